/* SPDX-License-Identifier: Apache-2.0
 *
 * The tree of manifests. Without `deep` its newest tiles that are not full: they show the rest. With it every manifest
 * from the first is applied to an empty state, so that whatever was ever said keeps the rules; each has its root,
 * signed by keys that were stated by then, over the tree that it had; and each tile of every size is what it should be.
 */
#include "archive_verify_internal.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <inttypes.h>
#include <stdlib.h>

struct history {
    struct check *c;
    struct archive_state *state; /* as of the manifest applied last */
    bool applies;                /* all manifests so far were applied */
    struct el_hash256 *leaves;   /* that were signed; NULL: not known, then manifests are taken for it */
    struct archive_tiles *tiles;
};

static int take_tile(void *arg, uint32_t level, uint64_t index, const struct el_hash256 *hashes, uint32_t width)
{
    struct history *h = arg;
    return verify_tile(h->c, &h->c->manifests, level, index, hashes, width);
}

static int by_tile(const void *a, const void *b)
{
    const struct seen_tile *x = a, *y = b;
    if (x->level != y->level) {
        return x->level < y->level ? -1 : 1;
    }
    if (x->index != y->index) {
        return x->index < y->index ? -1 : 1;
    }
    return x->width < y->width ? -1 : x->width > y->width;
}

static void check_root(struct history *h, uint64_t sequence)
{
    struct check *c = h->c;
    struct archive_root *root = el_malloc(sizeof(*root));
    struct el_frontier frontier;
    struct el_hash256 hash;
    struct el_error err = {0};
    char key[EL_ARCHIVE_KEY_MAX];
    if (root == NULL) {
        verify_fail(c->v, EVLOG_ERR_NO_MEMORY, NULL);
        return;
    }
    el_archive_key_root(key, &c->state->header.incarnation, sequence);
    int code = archive_root_get(c->v->store, &c->state->header.incarnation, sequence, root, &err);
    if (code != EVLOG_ERR_NOT_FOUND) { /* the listing has said so */
        (void)verify_settle(c->v, c->state, code, &err, (struct place){.object = key});
    }
    if (code == 0) {
        archive_tiles_frontier(h->tiles, &frontier);
        el_frontier_root(&frontier, &hash);
        if (memcmp(&hash, &root->hash, sizeof(hash)) != 0) {
            verify_find(c->v, c->state, (struct place){.object = key}, "it was signed over other manifests");
        } else if (!el_uuid_eq(&root->cluster, &archive_reader_root(c->reader)->cluster) ||
                   !verify_note(c->state, &root->cluster, el_slice_of(root->note, root->note_len))) {
            verify_find(c->v, c->state, (struct place){.object = key},
                        "it has a line that does not hold, or of a key that no manifest states");
        }
        c->v->report->roots++;
    }
    el_free(root);
}

/* Partitions whose segments grew with this manifest: a checkpoint of that size must be there. */
static int note_sizes(struct history *h)
{
    struct check *c = h->c;
    for (size_t i = 0; i < h->state->partitions.count; i++) {
        const struct archive_partition *p = h->state->partitions.entries[i].value;
        if (p->parts_changed != h->state->header.sequence) {
            continue;
        }
        struct seen_tree *seen = el_map_get(&c->trees, p->key, sizeof(p->key));
        uint64_t size = archive_partition_segment_leaves(h->state, p);
        if (seen == NULL || size == 0 ||
            (seen->expected_count > 0 && seen->expected[seen->expected_count - 1] >= size)) {
            continue;
        }
        if (seen->expected_count == seen->expected_max) {
            size_t max = seen->expected_max == 0 ? 16 : seen->expected_max * 2;
            uint64_t *more = el_realloc(seen->expected, max * sizeof(*more));
            if (more == NULL) {
                return EVLOG_ERR_NO_MEMORY;
            }
            seen->expected = more;
            seen->expected_max = max;
        }
        seen->expected[seen->expected_count++] = size;
    }
    return 0;
}

/* The manifest of this sequence: is it the one that was signed, and may it follow the others? *leaf: its own, or the
 * signed one where it is known. returns false when it has no leaf */
static bool check_manifest(struct history *h, uint64_t sequence, struct el_hash256 *leaf)
{
    struct check *c = h->c;
    const struct el_uuid *incarnation = &c->state->header.incarnation;
    char key[EL_ARCHIVE_KEY_MAX];
    struct el_error err = {0};
    uint8_t *manifest = NULL, sha256[32];
    uint64_t len = 0;
    el_archive_key_manifest(key, incarnation, sequence);
    int code = archive_manifest_get(c->v->store, incarnation, sequence, &manifest, &len, &err);
    bool is_there = code == 0;
    if (is_there) {
        el_sha256(manifest, (size_t)len, sha256);
        el_merkle_leaf(sha256, sizeof(sha256), leaf);
        if (h->leaves != NULL && memcmp(leaf, &h->leaves[sequence - 1], sizeof(*leaf)) != 0) {
            code = el_error_set(&err, EVLOG_ERR_CORRUPT, "it is not the manifest that was signed");
        } else if (h->applies) {
            code = archive_state_apply(h->state, manifest, (size_t)len, &err);
        }
    }
    if (h->leaves != NULL) {
        *leaf = h->leaves[sequence - 1];
    }
    el_free(manifest);
    h->applies = h->applies && code == 0;
    c->v->report->manifests += is_there;
    if (is_there || code != EVLOG_ERR_NOT_FOUND) { /* else the listing has said so */
        (void)verify_settle(c->v, c->state, code, &err, (struct place){.object = key});
    }
    code = h->applies ? note_sizes(h) : 0;
    if (code != 0) {
        verify_fail(c->v, code, NULL);
    }
    return is_there || h->leaves != NULL;
}

static void check_from_the_first(struct history *h)
{
    struct check *c = h->c;
    const struct archive_root *root = archive_reader_root(c->reader);
    struct archive_tree tree = verify_tree_of(c, &c->manifests);
    /* When tiles are wrong, manifests say what the tree is, and the tiles are compared with it. */
    (void)archive_tiles_leaves(&tree, root->sequence, &root->hash, &h->leaves, NULL);
    h->applies = true;
    for (uint64_t i = 1; i <= root->sequence && !verify_stopped(c->v); i++) {
        struct el_hash256 leaf;
        if (!check_manifest(h, i, &leaf)) {
            return;
        }
        int code = archive_tiles_add(h->tiles, &leaf, take_tile, h);
        code = code == 0 ? archive_tiles_flush(h->tiles, take_tile, h) : code;
        if (code != 0) {
            return;
        }
        check_root(h, i);
    }
    if (verify_stopped(c->v)) {
        return;
    }
    if (h->leaves == NULL) {
        struct el_frontier frontier;
        struct el_hash256 hash;
        archive_tiles_frontier(h->tiles, &frontier);
        el_frontier_root(&frontier, &hash);
        if (memcmp(&hash, &root->hash, sizeof(hash)) != 0) {
            verify_find(c->v, c->state, (struct place){.object = NULL}, "the manifests are not those that were signed");
        }
    }
    c->history_done = h->applies;
    verify_tiles_left(c, &c->manifests, h->tiles);
}

void verify_history(struct check *c)
{
    struct history history = {.c = c, .tiles = el_malloc(sizeof(*history.tiles))}, *h = &history;
    struct el_error err = {0};
    if (h->tiles == NULL) {
        verify_fail(c->v, EVLOG_ERR_NO_MEMORY, NULL);
        return;
    }
    if (c->manifests.tile_count > 0) {
        qsort(c->manifests.tiles, c->manifests.tile_count, sizeof(*c->manifests.tiles), by_tile);
    }
    if (c->v->options->deep) {
        h->state = archive_state_new();
        archive_tiles_init(h->tiles);
        if (h->state == NULL) {
            verify_fail(c->v, EVLOG_ERR_NO_MEMORY, NULL);
        } else {
            check_from_the_first(h);
        }
        archive_state_free(h->state);
        el_free(h->leaves);
    } else {
        struct archive_tree tree = verify_tree_of(c, &c->manifests);
        const struct archive_root *root = archive_reader_root(c->reader);
        int code = archive_tiles_load(&tree, root->sequence, &root->hash, h->tiles, &err);
        (void)verify_settle(c->v, c->state, code, &err, (struct place){.object = NULL});
        c->v->report->manifests += root->sequence - c->state->header.full_sequence + 1;
        c->v->report->roots++;
    }
    el_free(h->tiles);
}
