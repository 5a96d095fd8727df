/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: trees, proofs and tiles are those of RFC 6962 and C2SP tlog-tiles, and no other proof is taken.
 * Method: published values; every index and size up to 130 against the RFC's recursive definitions, written down here
 * as they stand there; every bit of proofs, and what else there is of a proof, changed.
 */
#include "../../lib/test.h"

#include <core/crypto.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <format/merkle.h>

#include <stdio.h>
#include <string.h>

#define LEAVES 130u

static struct el_hash256 leaves[LEAVES];
static struct el_hash256 known[LEAVES + 1][LEAVES + 1]; /* MTH(D[first:end]) */
static bool is_known[LEAVES + 1][LEAVES + 1];

/* --- the definitions of RFC 6962 --------------------------------------------------------------------------------- */

static uint64_t split_of(uint64_t n)
{
    uint64_t k = 1;
    while (2 * k < n) {
        k *= 2;
    }
    return k;
}

static struct el_hash256 mth(uint64_t first, uint64_t end)
{
    if (end - first == 1) {
        return leaves[first];
    }
    if (!is_known[first][end]) {
        uint64_t k = split_of(end - first);
        struct el_hash256 left = mth(first, first + k), right = mth(first + k, end);
        el_merkle_node(&left, &right, &known[first][end]);
        is_known[first][end] = true;
    }
    return known[first][end];
}

static void path(uint64_t m, uint64_t first, uint64_t end, struct el_hash256 *proof, size_t *count)
{
    if (end - first == 1) {
        return;
    }
    uint64_t k = split_of(end - first);
    if (m < k) {
        path(m, first, first + k, proof, count);
        proof[(*count)++] = mth(first + k, end);
    } else {
        path(m - k, first + k, end, proof, count);
        proof[(*count)++] = mth(first, first + k);
    }
}

static void subproof(uint64_t m, uint64_t first, uint64_t end, bool b, struct el_hash256 *proof, size_t *count)
{
    if (m == end - first) {
        if (!b) {
            proof[(*count)++] = mth(first, end);
        }
        return;
    }
    uint64_t k = split_of(end - first);
    if (m <= k) {
        subproof(m, first, first + k, b, proof, count);
        proof[(*count)++] = mth(first + k, end);
    } else {
        subproof(m - k, first + k, end, false, proof, count);
        proof[(*count)++] = mth(first, first + k);
    }
}

/* --- helpers ------------------------------------------------------------------------------------------------------ */

static void fill(void)
{
    for (unsigned i = 0; i < LEAVES; i++) {
        char text[16];
        (void)snprintf(text, sizeof(text), "leaf %u", i);
        el_merkle_leaf(text, strlen(text), &leaves[i]);
    }
}

static int get(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash)
{
    uint64_t size = *(uint64_t *)arg, first = index << level;
    assert_true(first + (1ull << level) <= size);
    *hash = mth(first, first + (1ull << level));
    return 0;
}

static int get_nothing(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash)
{
    (void)arg;
    (void)level;
    (void)index;
    (void)hash;
    return EVLOG_ERR_NOT_FOUND;
}

static void hash_of_hex(const char *hex, struct el_hash256 *hash)
{
    for (size_t i = 0; i < 64; i++) {
        uint8_t digit = (uint8_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        hash->bytes[i / 2] = (uint8_t)(hash->bytes[i / 2] << 4 | digit);
    }
}

static void flip(struct el_hash256 *hash, unsigned bit)
{
    hash->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(merkle, there_is_no_proof_of_what_is_not_in_the_tree)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX], hash = {{0}};
    uint64_t size = 7;
    size_t count = 99;
    fill();
    assert_int_equal(el_merkle_prove(7, 7, get, &size, proof, &count), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_merkle_prove(0, 0, get, &size, proof, &count), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_merkle_prove(0, EL_MERKLE_LEAVES_MAX + 1, get, &size, proof, &count), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_merkle_prove_consistency(8, 7, get, &size, proof, &count), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_merkle_prove_consistency(1, EL_MERKLE_LEAVES_MAX + 1, get, &size, proof, &count),
                     EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_merkle_prove(3, 7, get_nothing, NULL, proof, &count), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(el_merkle_prove_consistency(3, 7, get_nothing, NULL, proof, &count), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(count, 99);
    assert_false(el_merkle_check(&hash, 1, 1, &hash, NULL, 0));
    assert_false(el_merkle_check(&hash, 0, 0, &hash, NULL, 0));
    assert_false(el_merkle_check(&hash, 0, EL_MERKLE_LEAVES_MAX + 1, &hash, NULL, 0));
    assert_false(el_merkle_check_consistency(2, &hash, 1, &hash, NULL, 0));
    assert_false(el_merkle_check_consistency(3, &hash, 5, &hash, NULL, 0));
    assert_false(el_merkle_check_consistency(0, &hash, 5, &hash, NULL, 0)); /* not the root of no leaves */
    memset(proof, 0, sizeof(proof));
    assert_false(el_merkle_check(&hash, 0, 1, &hash, proof, 1));
    assert_false(el_merkle_check(&hash, 0, 1, &hash, proof, EL_MERKLE_PROOF_MAX));
}

TEST(merkle, every_changed_bit_of_an_inclusion_proof_is_refused)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX];
    size_t count = 0;
    fill();
    for (uint64_t size = 1; size <= 17; size++) {
        struct el_hash256 root = mth(0, size);
        for (uint64_t index = 0; index < size; index++) {
            struct el_hash256 leaf = leaves[index];
            assert_int_equal(el_merkle_prove(index, size, get, &size, proof, &count), 0);
            for (unsigned bit = 0; bit < 256 * count; bit++) {
                flip(&proof[bit / 256], bit % 256);
                assert_false(el_merkle_check(&leaf, index, size, &root, proof, count));
                flip(&proof[bit / 256], bit % 256);
            }
            for (unsigned bit = 0; bit < 256; bit++) {
                flip(&leaf, bit);
                assert_false(el_merkle_check(&leaf, index, size, &root, proof, count));
                flip(&leaf, bit);
                flip(&root, bit);
                assert_false(el_merkle_check(&leaf, index, size, &root, proof, count));
                flip(&root, bit);
            }
            assert_true(el_merkle_check(&leaf, index, size, &root, proof, count));
        }
    }
}

TEST(merkle, every_changed_bit_of_a_consistency_proof_is_refused)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX];
    size_t count = 0;
    fill();
    for (uint64_t size = 2; size <= 17; size++) {
        struct el_hash256 root = mth(0, size);
        for (uint64_t old = 1; old < size; old++) {
            struct el_hash256 old_root = mth(0, old);
            assert_int_equal(el_merkle_prove_consistency(old, size, get, &size, proof, &count), 0);
            for (unsigned bit = 0; bit < 256 * count; bit++) {
                flip(&proof[bit / 256], bit % 256);
                assert_false(el_merkle_check_consistency(old, &old_root, size, &root, proof, count));
                flip(&proof[bit / 256], bit % 256);
            }
            for (unsigned bit = 0; bit < 256; bit += 5) {
                flip(&old_root, bit);
                assert_false(el_merkle_check_consistency(old, &old_root, size, &root, proof, count));
                flip(&old_root, bit);
                flip(&root, bit);
                assert_false(el_merkle_check_consistency(old, &old_root, size, &root, proof, count));
                flip(&root, bit);
            }
            assert_true(el_merkle_check_consistency(old, &old_root, size, &root, proof, count));
        }
    }
}

/* Another place, a hash less, a hash more. (Another size alone may fit: where a leaf's path has the same turns, the
 * root is what differs.) */
TEST(merkle, a_proof_fits_one_place_and_one_length)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX + 1];
    size_t count = 0;
    fill();
    for (uint64_t size = 1; size <= 40; size++) {
        struct el_hash256 root = mth(0, size);
        for (uint64_t index = 0; index < size; index++) {
            assert_int_equal(el_merkle_prove(index, size, get, &size, proof, &count), 0);
            for (uint64_t other = 0; other < size + 2; other++) {
                assert_int_equal(el_merkle_check(&leaves[index], other, size, &root, proof, count), other == index);
            }
            proof[count] = root;
            assert_false(el_merkle_check(&leaves[index], index, size, &root, proof, count + 1));
            assert_true(count == 0 || !el_merkle_check(&leaves[index], index, size, &root, proof, count - 1));
            assert_true(count == 0 || !el_merkle_check(&leaves[index], index, size, &root, proof + 1, count - 1));
        }
        for (uint64_t old = 1; old <= size; old++) {
            struct el_hash256 old_root = mth(0, old);
            assert_int_equal(el_merkle_prove_consistency(old, size, get, &size, proof, &count), 0);
            for (uint64_t other = 1; other <= size; other++) {
                assert_int_equal(el_merkle_check_consistency(other, &old_root, size, &root, proof, count),
                                 other == old);
            }
            proof[count] = root;
            assert_false(el_merkle_check_consistency(old, &old_root, size, &root, proof, count + 1));
            assert_true(count == 0 || !el_merkle_check_consistency(old, &old_root, size, &root, proof, count - 1));
        }
    }
}

/* --- values ------------------------------------------------------------------------------------------------------ */

/* The eight leaves that the programs of Certificate Transparency test with. */
TEST(merkle, roots_and_proofs_equal_published_values)
{
    static const char *const entries[8] = {"",
                                           "\x00",
                                           "\x10",
                                           "\x20\x21",
                                           "\x30\x31",
                                           "\x40\x41\x42\x43",
                                           "\x50\x51\x52\x53\x54\x55\x56\x57",
                                           "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"};
    static const size_t lens[8] = {0, 1, 1, 2, 2, 4, 8, 16};
    static const char *const roots[9] = {
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    };
    static const char *const sixth[3] = {
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    };
    struct el_frontier f = {.size = 0};
    struct el_hash256 hashes[8], proof[3], root, expected;
    for (size_t i = 0;; i++) {
        hash_of_hex(roots[i], &expected);
        el_frontier_root(&f, &root);
        assert_memory_equal(&root, &expected, 32);
        el_merkle_root(hashes, i, &root);
        assert_memory_equal(&root, &expected, 32);
        if (i == 8) {
            break;
        }
        el_merkle_leaf(entries[i], lens[i], &hashes[i]);
        el_frontier_add(&f, &hashes[i]);
        assert_int_equal(el_frontier_count(f.size), __builtin_popcount((unsigned)i + 1));
    }
    for (size_t i = 0; i < 3; i++) {
        hash_of_hex(sixth[i], &proof[i]);
    }
    assert_true(el_merkle_check(&hashes[5], 5, 8, &root, proof, 3));
}

TEST(merkle, proofs_of_every_leaf_equal_the_definitions)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX], expected[EL_MERKLE_PROOF_MAX];
    struct el_frontier f = {.size = 0};
    fill();
    for (uint64_t size = 1; size <= LEAVES; size++) {
        struct el_hash256 root = mth(0, size), grown;
        el_frontier_add(&f, &leaves[size - 1]);
        el_frontier_root(&f, &grown);
        assert_memory_equal(&grown, &root, 32);
        for (uint64_t index = 0; index < size; index++) {
            size_t count = 0, expected_count = 0;
            path(index, 0, size, expected, &expected_count);
            assert_int_equal(el_merkle_prove(index, size, get, &size, proof, &count), 0);
            assert_int_equal(count, expected_count);
            assert_memory_equal(proof, expected, 32 * count);
            assert_true(el_merkle_check(&leaves[index], index, size, &root, proof, count));
        }
    }
}

TEST(merkle, consistency_proofs_of_every_two_sizes_equal_the_definitions)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX], expected[EL_MERKLE_PROOF_MAX], none;
    fill();
    el_merkle_root(NULL, 0, &none);
    for (uint64_t size = 1; size <= LEAVES; size++) {
        struct el_hash256 root = mth(0, size);
        size_t count = 99;
        assert_int_equal(el_merkle_prove_consistency(0, size, get, &size, proof, &count), 0);
        assert_int_equal(count, 0);
        assert_true(el_merkle_check_consistency(0, &none, size, &root, proof, 0));
        for (uint64_t old = 1; old <= size; old++) {
            struct el_hash256 old_root = mth(0, old);
            size_t expected_count = 0;
            subproof(old, 0, size, true, expected, &expected_count);
            assert_int_equal(el_merkle_prove_consistency(old, size, get, &size, proof, &count), 0);
            assert_int_equal(count, expected_count);
            assert_memory_equal(proof, expected, 32 * count);
            assert_true(el_merkle_check_consistency(old, &old_root, size, &root, proof, count));
        }
    }
    assert_true(el_merkle_check_consistency(0, &none, 0, &none, NULL, 0));
}

/* Trees that nobody builds whole: the hash of a subtree is made of its place. */
static int get_made_up(void *arg, uint32_t level, uint64_t index, struct el_hash256 *hash)
{
    uint64_t place[2] = {level, index};
    (void)arg;
    el_merkle_leaf(place, sizeof(place), hash);
    return 0;
}

TEST(merkle, proofs_fit_at_the_largest_sizes)
{
    struct el_hash256 proof[EL_MERKLE_PROOF_MAX];
    struct el_rng rng;
    size_t count = 0;
    el_rng_seed(&rng, 8);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t size = EL_MERKLE_LEAVES_MAX - (i < 1000 ? i : el_rng_below(&rng, EL_MERKLE_LEAVES_MAX - 1));
        uint64_t index = i % 3 == 0 ? size - 1 : el_rng_below(&rng, size);
        assert_int_equal(el_merkle_prove(index, size, get_made_up, NULL, proof, &count), 0);
        assert_true(count <= 40);
        assert_int_equal(el_merkle_prove_consistency(index + 1, size, get_made_up, NULL, proof, &count), 0);
        assert_true(count <= 41);
    }
}

/* --- tiles -------------------------------------------------------------------------------------------------------- */

static void check_name(const char *expected, uint32_t level, uint64_t index, uint32_t width)
{
    char name[EL_TILE_NAME_MAX];
    assert_int_equal(el_tile_name(name, level, index, width), strlen(expected));
    assert_string_equal(name, expected);
}

TEST(merkle, leaves_in_a_row_are_each_by_itself)
{
    static uint8_t entries[150 * 9];
    static struct el_hash256 many[150];
    struct el_hash256 one;
    for (size_t i = 0; i < sizeof(entries); i++) {
        entries[i] = (uint8_t)(i * 7);
    }
    for (size_t count = 0; count <= 150; count += 25) {
        el_merkle_leaves(entries, 9, 7, count, many);
        for (size_t i = 0; i < count; i++) {
            el_merkle_leaf(entries + i * 9, 7, &one);
            assert_memory_equal(&many[i], &one, sizeof(one));
        }
    }
}

TEST(merkle, root_of_a_full_tile_is_that_of_a_tree_that_grew)
{
    static struct el_hash256 tile[EL_TILE_HASHES];
    struct el_frontier f = {.size = 0};
    struct el_hash256 grown, root;
    for (size_t i = 0; i < EL_TILE_HASHES; i++) {
        el_merkle_leaf(&i, sizeof(i), &tile[i]);
        el_frontier_add(&f, &tile[i]);
    }
    el_frontier_root(&f, &grown);
    el_merkle_root(tile, EL_TILE_HASHES, &root);
    assert_memory_equal(&root, &grown, sizeof(root));
}

TEST(merkle, tiles_have_the_names_that_others_look_for)
{
    check_name("tile/0/000", 0, 0, 256);
    check_name("tile/0/000.p/1", 0, 0, 1);
    check_name("tile/1/999", 1, 999, 256);
    check_name("tile/0/x001/000.p/255", 0, 1000, 255);
    check_name("tile/4/x001/x234/067", 4, 1234067, 256);
    check_name("tile/0/x004/x294/x967/295.p/17", 0, 4294967295, 17);
    check_name("tile/5/x018/x446/x744/x073/x709/x551/615.p/255", 5, UINT64_MAX, 255);
}

TEST(merkle, widths_are_those_of_the_specification)
{
    /* the specification's own example */
    for (uint64_t i = 0; i < 273; i++) {
        assert_int_equal(el_tile_width(0, i, 70000), 256);
    }
    assert_int_equal(el_tile_width(0, 273, 70000), 112);
    assert_int_equal(el_tile_width(0, 274, 70000), 0);
    assert_int_equal(el_tile_width(1, 0, 70000), 256);
    assert_int_equal(el_tile_width(1, 1, 70000), 17);
    assert_int_equal(el_tile_width(1, 2, 70000), 0);
    assert_int_equal(el_tile_width(2, 0, 70000), 1);
    assert_int_equal(el_tile_width(3, 0, 70000), 0);
    assert_int_equal(el_tile_width(0, 0, 0), 0);
    assert_int_equal(el_tile_width(0, 0, 256), 256);
    assert_int_equal(el_tile_width(0, 1, 256), 0);
    assert_int_equal(el_tile_width(1, 0, 256), 1);
}

/* Subtrees of every level come from tiles alone, in a tree large enough for two levels of them. */
TEST(merkle, every_subtree_is_part_of_a_tile)
{
    enum { size = 600 };
    static struct el_hash256 rows[2][size];
    struct el_frontier f;
    for (unsigned i = 0; i < size; i++) {
        el_merkle_leaf(&i, sizeof(i), &rows[0][i]);
    }
    for (unsigned i = 0; i < size / 256; i++) {
        el_merkle_root(&rows[0][256u * i], 256, &rows[1][i]);
    }
    for (uint32_t level = 0; level < 10; level++) {
        for (uint64_t index = 0; (index + 1) << level <= size; index++) {
            struct el_tile_place place;
            struct el_hash256 found, expected;
            el_tile_find(level, index, &place);
            assert_true(place.level < 2);
            assert_true(place.first + place.count <= el_tile_width(place.level, place.index, size));
            el_merkle_root(&rows[place.level][place.index * 256 + place.first], place.count, &found);
            f.size = 0;
            for (uint64_t i = index << level; i < (index + 1) << level; i++) {
                el_frontier_add(&f, &rows[0][i]);
            }
            el_frontier_root(&f, &expected);
            assert_memory_equal(&found, &expected, 32);
        }
    }
}
