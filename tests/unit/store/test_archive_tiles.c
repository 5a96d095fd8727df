/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the edge of a tree grows as the tree does, can be read back at every size that was published, and its tiles
 * prove what they should and nothing else. Method: trees around the width of a tile, against a frontier that is told
 * the same leaves.
 */
#include "mem_store.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <store/archive_tiles.h>

static int put(void *arg, uint32_t level, uint64_t index, const struct el_hash256 *hashes, uint32_t width)
{
    return archive_tile_put(arg, level, index, hashes, width, NULL);
}

static void leaf_of(uint64_t i, struct el_hash256 *leaf)
{
    el_merkle_leaf(&i, sizeof(i), leaf);
}

static void root_of(uint64_t size, struct el_hash256 *root)
{
    struct el_frontier f = {.size = 0};
    for (uint64_t i = 0; i < size; i++) {
        struct el_hash256 leaf;
        leaf_of(i, &leaf);
        el_frontier_add(&f, &leaf);
    }
    el_frontier_root(&f, root);
}

static const uint64_t sizes[] = {0, 1, 2, 7, 255, 256, 257, 511, 600, 1024};
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

/* A tree that was published at all of these sizes. */
static struct mem_store *publish(struct archive_tree *tree)
{
    struct mem_store *store = mem_store_open();
    struct archive_tiles *tiles = el_malloc(sizeof(*tiles));
    *tree = (struct archive_tree){.store = &store->base, .incarnation = {{1}}, .topic_id = {{2}}, .partition = 3};
    archive_tiles_init(tiles);
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        while (tiles->size < sizes[i]) {
            struct el_hash256 leaf;
            leaf_of(tiles->size, &leaf);
            assert_int_equal(archive_tiles_add(tiles, &leaf, put, tree), 0);
        }
        assert_int_equal(archive_tiles_flush(tiles, put, tree), 0);
    }
    el_free(tiles);
    return store;
}

TEST(archive_tiles, are_read_back_at_every_size)
{
    struct archive_tree tree;
    struct mem_store *store = publish(&tree);
    struct archive_tiles *tiles = el_malloc(sizeof(*tiles));
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        struct el_hash256 root, other = {{1}};
        root_of(sizes[i], &root);
        assert_int_equal(archive_tiles_load(&tree, sizes[i], &root, tiles, NULL), 0);
        assert_int_equal(archive_tiles_load(&tree, sizes[i], &other, tiles, NULL), EVLOG_ERR_CORRUPT);
        /* and go on */
        for (uint64_t k = sizes[i]; k < sizes[i] + 300; k++) {
            struct el_hash256 leaf;
            leaf_of(k, &leaf);
            assert_int_equal(archive_tiles_add(tiles, &leaf, NULL, NULL), 0);
        }
        struct el_frontier f;
        struct el_hash256 got;
        archive_tiles_frontier(tiles, &f);
        el_frontier_root(&f, &got);
        root_of(sizes[i] + 300, &root);
        assert_memory_equal(&got, &root, sizeof(root));
    }
    assert_int_equal(archive_tiles_load(&tree, 1025, NULL, tiles, NULL), EVLOG_ERR_NOT_FOUND);
    el_free(tiles);
    object_store_close(&store->base);
}

TEST(archive_tiles, prove_growth_and_nothing_else)
{
    struct archive_tree tree;
    struct mem_store *store = publish(&tree);
    struct el_error err;
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (size_t k = 0; k < SIZE_COUNT; k++) {
            struct el_hash256 from, to;
            root_of(sizes[i], &from);
            root_of(sizes[k], &to);
            int code = archive_tiles_consistent(&tree, sizes[i], &from, sizes[k], &to, &err);
            assert_int_equal(code, sizes[i] <= sizes[k] ? 0 : EVLOG_ERR_CORRUPT);
            from.bytes[0] ^= 1;
            if (sizes[i] > 0) {
                assert_int_equal(archive_tiles_consistent(&tree, sizes[i], &from, sizes[k], &to, &err),
                                 EVLOG_ERR_CORRUPT);
            }
        }
    }
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX], root, leaf;
    size_t count = 0;
    root_of(600, &root);
    for (uint64_t i = 0; i < 600; i += 37) {
        leaf_of(i, &leaf);
        assert_int_equal(archive_tiles_prove(&tree, i, 600, proof, &count, &err), 0);
        assert_true(el_merkle_check(&leaf, i, 600, &root, proof, count));
    }
    object_store_close(&store->base);
}

TEST(archive_tiles, of_another_length_or_content_are_refused)
{
    struct archive_tree tree;
    struct mem_store *store = publish(&tree);
    struct archive_tiles *tiles = el_malloc(sizeof(*tiles));
    struct el_hash256 root;
    struct el_error err;
    char key[EL_ARCHIVE_KEY_MAX];
    root_of(600, &root);
    archive_tile_key(&tree, 0, 2, 88, key);
    struct mem_object *o = mem_store_find(store, key);
    assert_non_null(o);
    o->data[5] ^= 1;
    assert_int_equal(archive_tiles_load(&tree, 600, &root, tiles, &err), EVLOG_ERR_CORRUPT);
    o->data[5] ^= 1;
    uint8_t longer[89 * 32] = {0};
    memcpy(longer, o->data, o->len);
    assert_int_equal(mem_store_set(store, key, longer, sizeof(longer)), 0);
    assert_int_equal(archive_tiles_load(&tree, 600, &root, tiles, &err), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(err.text, "length"));
    /* without the tile in the making, the full one does */
    mem_store_drop(store, key);
    assert_int_equal(archive_tiles_load(&tree, 600, &root, tiles, &err), 0);
    el_free(tiles);
    object_store_close(&store->base);
}
