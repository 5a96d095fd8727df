/* SPDX-License-Identifier: Apache-2.0
 *
 * Merkle trees of transparency logs. Pure functions, any thread.
 *
 * A *range* is the tree over leaves [first, first + count). Ranges that a proof speaks of begin at a multiple of the
 * power of two that is not below their count, so each is a row of complete subtrees, largest first, as a frontier is.
 *
 * Source: RFC 6962 section 2.1 (hashes and proofs); RFC 9162 sections 2.1.3.2 and 2.1.4.2 (how to check them);
 * C2SP tlog-tiles (names and contents of tiles).
 */
#include <core/assert.h>
#include <core/crypto.h>
#include <format/merkle.h>

#include <stdio.h>

#define LEAF_PREFIX 0u
#define NODE_PREFIX 1u
#define TILE_HEIGHT 8u
#define MANY 64u /* messages that are hashed at once */

EL_STATIC_ASSERT(EL_TILE_HASHES == 1u << TILE_HEIGHT, "a tile is a complete subtree");
EL_STATIC_ASSERT(EL_MERKLE_LEAVES_MAX == 1ull << (EL_TILE_LEVEL_MAX * TILE_HEIGHT), "the top tile has one hash");
EL_STATIC_ASSERT(sizeof(struct el_hash256) == EL_MERKLE_HASH_LEN, "tiles are arrays of hashes");

struct range {
    uint64_t first, count;
};

/* What a proof is made with. */
struct prover {
    el_merkle_get_fn get;
    void *arg;
};

/* The largest power of two below n. */
static uint64_t split_of(uint64_t n)
{
    EL_ASSERT(n > 1);
    return 1ull << (63 - (unsigned)__builtin_clzll(n - 1));
}

void el_merkle_leaf(const void *data, size_t len, struct el_hash256 *hash)
{
    struct el_sha256 ctx;
    const uint8_t prefix = LEAF_PREFIX;
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, &prefix, 1);
    el_sha256_add(&ctx, data, len);
    el_sha256_end(&ctx, hash->bytes);
}

void el_merkle_leaves(const uint8_t *entries, size_t stride, size_t len, size_t count, struct el_hash256 *hashes)
{
    static const uint8_t prefix = LEAF_PREFIX;
    struct el_sha256_job jobs[MANY];
    for (size_t i = 0, n = 0; i < count; i += n) {
        for (n = 0; n < MANY && i + n < count; n++) {
            jobs[n] = (struct el_sha256_job){.head = el_slice_of(&prefix, 1),
                                             .data = el_slice_of(entries + (i + n) * stride, len),
                                             .digest = hashes[i + n].bytes};
        }
        el_sha256_many(jobs, n);
    }
}

void el_merkle_node(const struct el_hash256 *left, const struct el_hash256 *right, struct el_hash256 *hash)
{
    uint8_t text[1 + 2 * EL_MERKLE_HASH_LEN];
    text[0] = NODE_PREFIX;
    memcpy(text + 1, left->bytes, EL_MERKLE_HASH_LEN);
    memcpy(text + 1 + EL_MERKLE_HASH_LEN, right->bytes, EL_MERKLE_HASH_LEN);
    el_sha256(text, sizeof(text), hash->bytes);
}

/* --- a tree that grows ------------------------------------------------------------------------------------------ */

uint32_t el_frontier_count(uint64_t size)
{
    return (uint32_t)__builtin_popcountll(size);
}

void el_frontier_add(struct el_frontier *f, const struct el_hash256 *leaf)
{
    EL_ASSERT(f->size < EL_MERKLE_LEAVES_MAX);
    struct el_hash256 hash = *leaf;
    uint32_t count = el_frontier_count(f->size);
    for (uint64_t n = f->size; (n & 1) != 0; n >>= 1) {
        el_merkle_node(&f->hashes[--count], &hash, &hash);
    }
    f->hashes[count] = hash;
    f->size++;
    EL_ASSERT(count + 1 == el_frontier_count(f->size));
}

void el_frontier_root(const struct el_frontier *f, struct el_hash256 *root)
{
    EL_ASSERT(f->size <= EL_MERKLE_LEAVES_MAX);
    uint32_t count = el_frontier_count(f->size);
    if (count == 0) {
        el_sha256("", 0, root->bytes);
        return;
    }
    struct el_hash256 hash = f->hashes[--count];
    while (count > 0) {
        el_merkle_node(&f->hashes[--count], &hash, &hash);
    }
    *root = hash;
}

/* One level up: from[2 * count] hashes to to[count] nodes. */
static void nodes_up(const struct el_hash256 *from, size_t count, struct el_hash256 *to)
{
    static const uint8_t prefix = NODE_PREFIX;
    struct el_sha256_job jobs[MANY];
    for (size_t i = 0, n = 0; i < count; i += n) {
        for (n = 0; n < MANY && i + n < count; n++) {
            jobs[n] = (struct el_sha256_job){.head = el_slice_of(&prefix, 1),
                                             .data = el_slice_of(from[2 * (i + n)].bytes, 2 * EL_MERKLE_HASH_LEN),
                                             .digest = to[i + n].bytes};
        }
        el_sha256_many(jobs, n);
    }
}

/* A full tile, level by level. */
static void tile_root(const struct el_hash256 hashes[EL_TILE_HASHES], struct el_hash256 *root)
{
    struct el_hash256 one[EL_TILE_HASHES / 2], other[EL_TILE_HASHES / 4], *from = one, *to = other;
    nodes_up(hashes, EL_TILE_HASHES / 2, one);
    for (size_t count = EL_TILE_HASHES / 4; count > 0; count /= 2) {
        struct el_hash256 *done = to;
        nodes_up(from, count, to);
        to = from;
        from = done;
    }
    *root = from[0];
}

void el_merkle_root(const struct el_hash256 *hashes, uint64_t count, struct el_hash256 *root)
{
    struct el_frontier f = {.size = 0};
    if (count == EL_TILE_HASHES) {
        tile_root(hashes, root);
        return;
    }
    for (uint64_t i = 0; i < count; i++) {
        el_frontier_add(&f, &hashes[i]);
    }
    el_frontier_root(&f, root);
}

/* --- proofs ------------------------------------------------------------------------------------------------------- */

/* Root of a range: its complete subtrees, folded from the smallest, which is the last. */
static int range_root(const struct prover *p, struct range r, struct el_hash256 *root)
{
    bool is_first = true;
    uint64_t end = r.first + r.count;
    EL_ASSERT(r.count > 0);
    for (uint64_t left = r.count; left != 0; left &= left - 1) {
        uint32_t level = (uint32_t)__builtin_ctzll(left);
        struct el_hash256 hash;
        end -= 1ull << level;
        EL_ASSERT(end % (1ull << level) == 0);
        int rc = p->get(p->arg, level, end >> level, &hash);
        if (rc != 0) {
            return rc;
        }
        if (is_first) {
            *root = hash;
        } else {
            el_merkle_node(&hash, root, root);
        }
        is_first = false;
    }
    return 0;
}

/* Proofs are found from the root down and written from the leaf up. */
static int write_proof(const struct prover *p, const struct range *ranges, size_t range_count,
                       struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count)
{
    for (size_t i = 0; i < range_count; i++) {
        int rc = range_root(p, ranges[range_count - 1 - i], &proof[i]);
        if (rc != 0) {
            return rc;
        }
    }
    *count = range_count;
    return 0;
}

int el_merkle_prove(uint64_t index, uint64_t size, el_merkle_get_fn get, void *arg,
                    struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count)
{
    struct range ranges[EL_MERKLE_PROOF_MAX], tree = {0, size};
    size_t range_count = 0;
    if (index >= size || size > EL_MERKLE_LEAVES_MAX) {
        return EVLOG_ERR_ARGUMENT;
    }
    while (tree.count > 1) {
        uint64_t split = split_of(tree.count);
        EL_ASSERT(range_count < EL_MERKLE_PROOF_MAX);
        if (index < tree.first + split) {
            ranges[range_count++] = (struct range){tree.first + split, tree.count - split};
            tree.count = split;
        } else {
            ranges[range_count++] = (struct range){tree.first, split};
            tree.first += split;
            tree.count -= split;
        }
    }
    return write_proof(&(struct prover){get, arg}, ranges, range_count, proof, count);
}

int el_merkle_prove_consistency(uint64_t old_size, uint64_t size, el_merkle_get_fn get, void *arg,
                                struct el_hash256 proof[EL_MERKLE_PROOF_MAX], size_t *count)
{
    struct range ranges[EL_MERKLE_PROOF_MAX], tree = {0, size};
    size_t range_count = 0;
    if (old_size > size || size > EL_MERKLE_LEAVES_MAX) {
        return EVLOG_ERR_ARGUMENT;
    }
    /* Down to where the old tree is all of the range; it is known to the reader only while it begins at leaf 0. */
    while (old_size > 0 && tree.first + tree.count > old_size) {
        uint64_t split = split_of(tree.count);
        EL_ASSERT(range_count < EL_MERKLE_PROOF_MAX);
        if (old_size <= tree.first + split) {
            ranges[range_count++] = (struct range){tree.first + split, tree.count - split};
            tree.count = split;
        } else {
            ranges[range_count++] = (struct range){tree.first, split};
            tree.first += split;
            tree.count -= split;
        }
    }
    if (tree.first > 0) {
        EL_ASSERT(range_count < EL_MERKLE_PROOF_MAX);
        ranges[range_count++] = tree;
    }
    return write_proof(&(struct prover){get, arg}, ranges, range_count, proof, count);
}

static bool same(const struct el_hash256 *a, const struct el_hash256 *b)
{
    return memcmp(a->bytes, b->bytes, EL_MERKLE_HASH_LEN) == 0;
}

bool el_merkle_check(const struct el_hash256 *leaf, uint64_t index, uint64_t size, const struct el_hash256 *root,
                     const struct el_hash256 *proof, size_t count)
{
    struct el_hash256 hash = *leaf;
    if (index >= size || size > EL_MERKLE_LEAVES_MAX || count > EL_MERKLE_PROOF_MAX) {
        return false;
    }
    uint64_t node = index, last = size - 1; /* of the level that hash is in */
    for (size_t i = 0; i < count; i++) {
        if (last == 0) {
            return false;
        }
        if ((node & 1) != 0 || node == last) {
            el_merkle_node(&proof[i], &hash, &hash);
            while ((node & 1) == 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            el_merkle_node(&hash, &proof[i], &hash);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && same(&hash, root);
}

bool el_merkle_check_consistency(uint64_t old_size, const struct el_hash256 *old_root, uint64_t size,
                                 const struct el_hash256 *root, const struct el_hash256 *proof, size_t count)
{
    struct el_hash256 old_hash, hash;
    if (old_size > size || size > EL_MERKLE_LEAVES_MAX || count > EL_MERKLE_PROOF_MAX) {
        return false;
    }
    if (old_size == size) {
        return count == 0 && same(old_root, root);
    }
    if (old_size == 0) {
        el_sha256("", 0, hash.bytes);
        return count == 0 && same(old_root, &hash);
    }
    uint64_t node = old_size - 1, last = size - 1;
    while ((node & 1) != 0) { /* the old tree's last complete subtree */
        node >>= 1;
        last >>= 1;
    }
    size_t i = 0;
    if (node == 0) {
        hash = *old_root; /* the old tree is one complete subtree: the proof leaves it out */
    } else if (count > 0) {
        hash = proof[i++];
    } else {
        return false;
    }
    old_hash = hash;
    for (; i < count; i++) {
        if (last == 0) {
            return false;
        }
        if ((node & 1) != 0 || node == last) {
            el_merkle_node(&proof[i], &old_hash, &old_hash);
            el_merkle_node(&proof[i], &hash, &hash);
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else {
            el_merkle_node(&hash, &proof[i], &hash);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && same(&old_hash, old_root) && same(&hash, root);
}

/* --- tiles -------------------------------------------------------------------------------------------------------- */

void el_tile_find(uint32_t level, uint64_t index, struct el_tile_place *place)
{
    EL_ASSERT(level <= EL_TILE_LEVEL_MAX * TILE_HEIGHT);
    uint32_t above = level % TILE_HEIGHT; /* levels between the tile's hashes and what is asked for */
    uint64_t first = index << above;      /* of the tile level's hashes */
    EL_ASSERT(first >> above == index);
    place->level = level / TILE_HEIGHT;
    place->index = first / EL_TILE_HASHES;
    place->first = (uint32_t)(first % EL_TILE_HASHES);
    place->count = 1u << above;
    EL_ASSERT(place->first + place->count <= EL_TILE_HASHES);
}

uint32_t el_tile_width(uint32_t level, uint64_t index, uint64_t size)
{
    EL_ASSERT(level <= EL_TILE_LEVEL_MAX);
    uint64_t hashes = size >> (level * TILE_HEIGHT);
    if (index >= hashes / EL_TILE_HASHES + (hashes % EL_TILE_HASHES != 0)) {
        return 0;
    }
    return (uint32_t)EL_MIN(hashes - index * EL_TILE_HASHES, EL_TILE_HASHES);
}

size_t el_tile_name(char name[EL_TILE_NAME_MAX], uint32_t level, uint64_t index, uint32_t width)
{
    unsigned groups[7], count = 0; /* 2^64 has 20 digits */
    EL_ASSERT(level <= EL_TILE_LEVEL_MAX);
    EL_ASSERT(width > 0);
    EL_ASSERT(width <= EL_TILE_HASHES);
    do {
        groups[count++] = (unsigned)(index % 1000);
        index /= 1000;
    } while (index > 0);
    int len = snprintf(name, EL_TILE_NAME_MAX, "tile/%u", level);
    while (count > 0) {
        count--;
        len += snprintf(name + len, EL_TILE_NAME_MAX - (size_t)len, count > 0 ? "/x%03u" : "/%03u", groups[count]);
    }
    if (width < EL_TILE_HASHES) {
        len += snprintf(name + len, EL_TILE_NAME_MAX - (size_t)len, ".p/%u", width);
    }
    EL_ASSERT(len > 0);
    EL_ASSERT((size_t)len < EL_TILE_NAME_MAX);
    return (size_t)len;
}
