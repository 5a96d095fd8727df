/* SPDX-License-Identifier: Apache-2.0
 *
 * Merkle trees of transparency logs: RFC 6962 section 2.1 hashes and proofs, C2SP tlog-tiles names. Bytes in, bytes
 * out; no state but what the caller holds.
 *
 * A *frontier* is what must be kept of a tree of n leaves to let it grow: the roots of its complete subtrees, largest
 * first, one for each bit of n. docs/format.md section 15.
 */
#ifndef EL_FORMAT_MERKLE_H
#define EL_FORMAT_MERKLE_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_MERKLE_HASH_LEN 32u
#define EL_MERKLE_LEAVES_MAX (1ull << 40)
#define EL_MERKLE_FRONTIER_MAX 41u
#define EL_MERKLE_PROOF_MAX 82u
#define EL_TILE_HASHES 256u /* tile height 8 */
#define EL_TILE_LEVEL_MAX 5u
#define EL_TILE_NAME_MAX 64u

struct el_hash256 {
    uint8_t bytes[EL_MERKLE_HASH_LEN];
};

struct el_frontier {
    uint64_t size; /* leaves */
    struct el_hash256 hashes[EL_MERKLE_FRONTIER_MAX];
};

/* SHA-256(0x00 | data), SHA-256(0x01 | left | right) */
void el_merkle_leaf(const void *data, size_t len, struct el_hash256 *hash);
/* Of entries in a row, each len bytes, stride bytes apart; as fast as el_sha256_many() */
void el_merkle_leaves(const uint8_t *entries, size_t stride, size_t len, size_t count, struct el_hash256 *hashes);
void el_merkle_node(const struct el_hash256 *left, const struct el_hash256 *right, struct el_hash256 *hash);
uint32_t el_frontier_count(uint64_t size); /* number of hashes: ones in size */
void el_frontier_add(struct el_frontier *f, const struct el_hash256 *leaf);
/* Root of the whole tree; that of no leaves is SHA-256 of nothing. */
void el_frontier_root(const struct el_frontier *f, struct el_hash256 *root);
/* The same of leaf hashes in a row: a tree, or the complete subtree that part of a tile stands for. */
void el_merkle_root(const struct el_hash256 *hashes, uint64_t count, struct el_hash256 *root);

/* Gives the root of the complete subtree of 2^level leaves that begins at leaf index << level.
 * returns 0 | EVLOG_ERR_... which ends the call that asked; see el_tile_find() for the way from tiles to it */
typedef int (*el_merkle_get_fn)(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash);
/* Inclusion of leaf `index` in the tree of `size`, and consistency of the trees of old_size and size (RFC 6962 2.1.1,
 * 2.1.2), hashes nearest to the leaves first. Nothing is needed to prove that a tree goes on from an empty one or from
 * itself: no hashes. returns 0 | EVLOG_ERR_ARGUMENT not below size, or size above EL_MERKLE_LEAVES_MAX | what get
 * returns */
int el_merkle_prove(uint64_t index, uint64_t size, el_merkle_get_fn get, void *arg,
                    struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count);
int el_merkle_prove_consistency(uint64_t old_size, uint64_t size, el_merkle_get_fn get, void *arg,
                                struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count);
/* Does the proof hold? Neither takes a proof with a hash too few or too many. */
bool el_merkle_check(const struct el_hash256 *leaf, uint64_t index, uint64_t size, const struct el_hash256 *root,
                     const struct el_hash256 *proof, size_t count);
bool el_merkle_check_consistency(uint64_t old_size, const struct el_hash256 *old_root, uint64_t size,
                                 const struct el_hash256 *root, const struct el_hash256 *proof, size_t count);

/* Where tiles hold the root of a complete subtree, level and index as el_merkle_get_fn has them: hashes [first,
 * first + count) of one tile, whose el_merkle_root() it is. */
struct el_tile_place {
    uint32_t level; /* of the tile */
    uint64_t index; /* of the tile in its level */
    uint32_t first, count;
};
void el_tile_find(uint32_t level, uint64_t index, struct el_tile_place *place);
/* Hashes that a tile has in the tree of size leaves; 0: there is no such tile. */
uint32_t el_tile_width(uint32_t level, uint64_t index, uint64_t size);
/* "tile/<level>/<index in groups of three digits>[.p/<width>]"; width 256: a full tile. returns length */
size_t el_tile_name(char name[EL_TILE_NAME_MAX], uint32_t level, uint64_t index, uint32_t width);

#endif
