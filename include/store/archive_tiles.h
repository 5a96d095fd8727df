/* SPDX-License-Identifier: Apache-2.0
 *
 * The right edge of a growing tree in tiles (C2SP tlog-tiles): what must be in memory to put the tiles of the next
 * size. * About 48 KiB, no heap. Blocking where it reads or puts. One thread.
 */
#ifndef EL_STORE_ARCHIVE_TILES_H
#define EL_STORE_ARCHIVE_TILES_H

#include <format/archive_layout.h>
#include <store/object_store.h>

/* Which tree. */
struct archive_tree {
    struct object_store *store;
    struct el_uuid incarnation;
    bool of_manifests; /* else of the partition below */
    struct el_uuid topic_id;
    int32_t partition;
};

struct archive_tiles {
    uint64_t size; /* leaves */
    struct el_hash256 edge[EL_TILE_LEVEL_MAX + 1]
                          [EL_TILE_HASHES]; /* last tile of each level: (size >> 8 level) % 256 */
};

/* Takes a tile that is to be put: hashes[width]. returns 0 | EVLOG_ERR_ which ends the call */
typedef int (*archive_tile_fn)(void *arg, uint32_t level, uint64_t index, const struct el_hash256 *hashes,
                               uint32_t width);

void archive_tiles_init(struct archive_tiles *tiles);
/* Read the edge of a tree of `size` leaves from its tiles, and check it against root (NULL: not).
 * returns 0 | EVLOG_ERR_NOT_FOUND | _CORRUPT | what the store says */
int archive_tiles_load(const struct archive_tree *tree, uint64_t size, const struct el_hash256 *root,
                       struct archive_tiles *tiles, struct el_error *err);
/* Add a leaf hash; tiles that are full now are handed out. */
int archive_tiles_add(struct archive_tiles *tiles, const struct el_hash256 *leaf, archive_tile_fn fn, void *arg);
/* Hand out the tiles of this size that are not full. */
int archive_tiles_flush(const struct archive_tiles *tiles, archive_tile_fn fn, void *arg);
/* The frontier of the tree. */
void archive_tiles_frontier(const struct archive_tiles *tiles, struct el_frontier *frontier);

/* Put a tile by object_put_once(). returns what that does */
int archive_tile_put(const struct archive_tree *tree, uint32_t level, uint64_t index, const struct el_hash256 *hashes,
                     uint32_t width, struct el_error *err);
/* Read tile `index` of `level` as it is in the tree of `size` leaves: hashes[el_tile_width()]. */
int archive_tile_get(const struct archive_tree *tree, uint32_t level, uint64_t index, uint64_t size,
                     struct el_hash256 hashes[EL_TILE_HASHES], uint32_t *width, struct el_error *err);
/* Name of a tree's tile. */
void archive_tile_key(const struct archive_tree *tree, uint32_t level, uint64_t index, uint32_t width,
                      char key[EL_ARCHIVE_KEY_MAX]);

/* Do the trees of old_size and size, read from tiles, have these roots, and did one grow out of the other?
 * returns 0 | EVLOG_ERR_CORRUPT it did not | what the store says */
int archive_tiles_consistent(const struct archive_tree *tree, uint64_t old_size, const struct el_hash256 *old_root,
                             uint64_t size, const struct el_hash256 *root, struct el_error *err);
/* Hashes of all leaves, as the tiles have them that lead to root: (*leaves)[size], freed by el_free().
 * returns 0 | EVLOG_ERR_CORRUPT they lead to another | EVLOG_ERR_NO_MEMORY | what the store says */
int archive_tiles_leaves(const struct archive_tree *tree, uint64_t size, const struct el_hash256 *root,
                         struct el_hash256 **leaves, struct el_error *err);
/* Proof that leaf `index` is in the tree of `size`: from tiles. returns as above */
int archive_tiles_prove(const struct archive_tree *tree, uint64_t index, uint64_t size,
                        struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count, struct el_error *err);

#endif
