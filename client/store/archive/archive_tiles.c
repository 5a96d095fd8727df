/* SPDX-License-Identifier: Apache-2.0
 *
 * Tiles of a tree: the right edge that grows, reading them, and proofs out of them. A tile of level L has the roots of
 * complete subtrees of 256^L leaves; so when the last tile of a level is full, its root is the next hash one level up.
 */
#include <store/archive_tiles.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <evlog/error.h>

#define LEVELS (EL_TILE_LEVEL_MAX + 1)

void archive_tiles_init(struct archive_tiles *tiles)
{
    tiles->size = 0;
}

int archive_tiles_add(struct archive_tiles *tiles, const struct el_hash256 *leaf, archive_tile_fn fn, void *arg)
{
    EL_ASSERT(tiles->size < EL_MERKLE_LEAVES_MAX);
    struct el_hash256 hash = *leaf;
    uint64_t position = tiles->size;
    for (uint32_t level = 0; level < LEVELS; level++, position /= EL_TILE_HASHES) {
        uint32_t at = (uint32_t)(position % EL_TILE_HASHES);
        tiles->edge[level][at] = hash;
        if (at + 1 < EL_TILE_HASHES) {
            break;
        }
        int code = fn == NULL ? 0 : fn(arg, level, position / EL_TILE_HASHES, tiles->edge[level], EL_TILE_HASHES);
        if (code != 0) {
            return code;
        }
        el_merkle_root(tiles->edge[level], EL_TILE_HASHES, &hash);
    }
    tiles->size++;
    return 0;
}

int archive_tiles_flush(const struct archive_tiles *tiles, archive_tile_fn fn, void *arg)
{
    uint64_t count = tiles->size;
    for (uint32_t level = 0; level < LEVELS && count > 0; level++, count /= EL_TILE_HASHES) {
        uint32_t width = (uint32_t)(count % EL_TILE_HASHES);
        int code = width == 0 ? 0 : fn(arg, level, count / EL_TILE_HASHES, tiles->edge[level], width);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

void archive_tiles_frontier(const struct archive_tiles *tiles, struct el_frontier *frontier)
{
    uint32_t count = 0;
    memset(frontier, 0, sizeof(*frontier));
    frontier->size = tiles->size;
    /* From the top: each level's tile holds the subtrees of eight bits of the size, largest first. */
    for (int level = (int)EL_TILE_LEVEL_MAX; level >= 0; level--) {
        uint32_t width = (uint32_t)(tiles->size >> (8 * level)) % EL_TILE_HASHES, from = 0;
        for (uint32_t part = EL_TILE_HASHES / 2; part > 0; part /= 2) {
            if ((width & part) != 0) {
                el_merkle_root(&tiles->edge[level][from], part, &frontier->hashes[count++]);
                from += part;
            }
        }
    }
    EL_ASSERT(count == el_frontier_count(tiles->size));
}

/* --- in the store ------------------------------------------------------------------------------------------------- */

void archive_tile_key(const struct archive_tree *tree, uint32_t level, uint64_t index, uint32_t width,
                      char key[EL_ARCHIVE_KEY_MAX])
{
    el_archive_key_tile(key, &tree->incarnation, tree->of_manifests ? NULL : &tree->topic_id, tree->partition, level,
                        index, width);
}

int archive_tile_put(const struct archive_tree *tree, uint32_t level, uint64_t index, const struct el_hash256 *hashes,
                     uint32_t width, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t sha256[32];
    size_t len = (size_t)width * EL_MERKLE_HASH_LEN;
    archive_tile_key(tree, level, index, width, key);
    el_sha256(hashes, len, sha256);
    return object_put_once(tree->store, key, hashes, len, sha256, err);
}

int archive_tile_get(const struct archive_tree *tree, uint32_t level, uint64_t index, uint64_t size,
                     struct el_hash256 hashes[EL_TILE_HASHES], uint32_t *width, struct el_error *err)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t buf[EL_TILE_HASHES * EL_MERKLE_HASH_LEN + 1]; /* one more: a tile that is too long shows */
    uint64_t done = 0;
    uint32_t want = el_tile_width(level, index, size);
    EL_ASSERT(want > 0);
    archive_tile_key(tree, level, index, want, key);
    int code = object_get(tree->store, key, 0, buf, sizeof(buf), &done, err);
    if (code == EVLOG_ERR_NOT_FOUND && want < EL_TILE_HASHES) {
        /* Whoever publishes a full tile may remove what it was in the making. */
        archive_tile_key(tree, level, index, EL_TILE_HASHES, key);
        code = object_get(tree->store, key, 0, buf, sizeof(buf), &done, NULL) == 0 ? 0 : code;
        done = code == 0 && done == EL_TILE_HASHES * EL_MERKLE_HASH_LEN ? (uint64_t)want * EL_MERKLE_HASH_LEN : done;
    }
    if (code != 0) {
        return code;
    }
    if (done != (uint64_t)want * EL_MERKLE_HASH_LEN) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "%s: tile has another length than %u hashes", key, want);
    }
    memcpy(hashes, buf, (size_t)done);
    *width = want;
    return 0;
}

int archive_tiles_load(const struct archive_tree *tree, uint64_t size, const struct el_hash256 *root,
                       struct archive_tiles *tiles, struct el_error *err)
{
    uint64_t count = size;
    EL_ASSERT(size <= EL_MERKLE_LEAVES_MAX);
    for (uint32_t level = 0; level < LEVELS && count > 0; level++, count /= EL_TILE_HASHES) {
        uint32_t width = 0;
        int code = count % EL_TILE_HASHES == 0
                       ? 0
                       : archive_tile_get(tree, level, count / EL_TILE_HASHES, size, tiles->edge[level], &width, err);
        if (code != 0) {
            return code;
        }
    }
    tiles->size = size;
    if (root != NULL) {
        struct el_frontier frontier;
        struct el_hash256 got;
        archive_tiles_frontier(tiles, &frontier);
        el_frontier_root(&frontier, &got);
        if (memcmp(&got, root, sizeof(got)) != 0) {
            char key[EL_ARCHIVE_KEY_MAX];
            archive_tile_key(tree, 0, 0, EL_TILE_HASHES, key);
            return el_error_set(err, EVLOG_ERR_CORRUPT, "%s and the other tiles are not of the tree that is signed",
                                key);
        }
    }
    return 0;
}

/* --- proofs ------------------------------------------------------------------------------------------------------- */

struct prover {
    const struct archive_tree *tree;
    uint64_t size;
    struct el_error *err;
    uint32_t level; /* of the tile that is held; LEVELS: none */
    uint64_t index;
    struct el_hash256 hashes[EL_TILE_HASHES];
};

static int prover_get(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash)
{
    struct prover *p = arg;
    struct el_tile_place place;
    el_tile_find(level, index, &place);
    if (place.level != p->level || place.index != p->index) {
        uint32_t width = 0;
        p->level = LEVELS;
        int code = archive_tile_get(p->tree, place.level, place.index, p->size, p->hashes, &width, p->err);
        if (code != 0) {
            return code;
        }
        EL_ASSERT(place.first + place.count <= width);
        p->level = place.level;
        p->index = place.index;
    }
    el_merkle_root(&p->hashes[place.first], place.count, hash);
    return 0;
}

int archive_tiles_consistent(const struct archive_tree *tree, uint64_t old_size, const struct el_hash256 *old_root,
                             uint64_t size, const struct el_hash256 *root, struct el_error *err)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX];
    struct prover p = {.tree = tree, .size = size, .err = err, .level = LEVELS};
    size_t count = 0;
    if (old_size > size) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "the tree has %llu leaves, and had %llu before",
                            (unsigned long long)size, (unsigned long long)old_size);
    }
    int code = el_merkle_prove_consistency(old_size, size, prover_get, &p, proof, &count);
    if (code != 0) {
        return code;
    }
    if (!el_merkle_check_consistency(old_size, old_root, size, root, proof, count)) {
        char key[EL_ARCHIVE_KEY_MAX];
        archive_tile_key(tree, 0, 0, EL_TILE_HASHES, key);
        return el_error_set(err, EVLOG_ERR_CORRUPT,
                            "%s: the tree of %llu leaves did not grow out of the one of %llu: it was rewritten, or its "
                            "tiles were",
                            key, (unsigned long long)size, (unsigned long long)old_size);
    }
    return 0;
}

int archive_tiles_prove(const struct archive_tree *tree, uint64_t index, uint64_t size,
                        struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count, struct el_error *err)
{
    struct prover p = {.tree = tree, .size = size, .err = err, .level = LEVELS};
    return el_merkle_prove(index, size, prover_get, &p, proof, count);
}

int archive_tiles_leaves(const struct archive_tree *tree, uint64_t size, const struct el_hash256 *root,
                         struct el_hash256 **leaves, struct el_error *err)
{
    struct el_frontier folded = {.size = 0};
    struct el_hash256 hash, *found = NULL;
    uint64_t have = 0, room = 0;
    int code = 0;
    while (code == 0 && have < size) {
        struct el_hash256 tile[EL_TILE_HASHES];
        uint32_t width = 0;
        code = archive_tile_get(tree, 0, have / EL_TILE_HASHES, size, tile, &width, err);
        if (code == 0 && have + width > room) {
            room = EL_MAX(room * 2, have + width);
            struct el_hash256 *more = el_realloc(found, room * sizeof(*more));
            code = more == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory for the leaves of a tree") : 0;
            found = more == NULL ? found : more;
        }
        for (uint32_t i = 0; code == 0 && i < width; i++) {
            found[have++] = tile[i];
            el_frontier_add(&folded, &tile[i]);
        }
    }
    el_frontier_root(&folded, &hash);
    if (code == 0 && memcmp(&hash, root, sizeof(hash)) != 0) {
        code = el_error_set(err, EVLOG_ERR_CORRUPT,
                            "the tiles of a tree lead to another root than the one that is signed");
    }
    if (code != 0) {
        el_free(found);
        return code;
    }
    *leaves = found;
    return 0;
}
