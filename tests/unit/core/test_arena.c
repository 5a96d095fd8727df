/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: memory of an arena is apart, aligned, within the budget, and all of it comes back.
 * Method: fill every piece with its own byte and look again at the end; from the heap and from a buddy.
 */
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/arena.h>
#include <core/rng.h>

#include <stdlib.h>
#include <string.h>

static void fill_and_check(struct el_buddy *buddy, uint64_t seed)
{
    struct el_arena arena;
    struct el_rng rng;
    uint8_t *pieces[300];
    size_t lens[300];
    el_rng_seed(&rng, seed);
    el_arena_init(&arena, buddy, 0);
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = 0; i < 300; i++) {
            lens[i] = el_rng_below(&rng, (size_t)1 << el_rng_below(&rng, 17));
            pieces[i] = el_arena_alloc(&arena, lens[i]);
            assert_non_null(pieces[i]);
            assert_int_equal((uintptr_t)pieces[i] % 16, 0);
            memset(pieces[i], (int)(i & 0xff), lens[i]);
        }
        for (size_t i = 0; i < 300; i++) {
            for (size_t k = 0; k < lens[i]; k++) {
                assert_int_equal(pieces[i][k], i & 0xff);
            }
        }
        el_arena_reset(&arena);
        assert_int_equal(arena.used, 0);
    }
}

TEST(arena, pieces_from_the_heap_stay_apart)
{
    uint64_t live = el_alloc_live();
    fill_and_check(NULL, 1);
    assert_int_equal(el_alloc_live(), live);
}

TEST(arena, pieces_from_a_buddy_stay_apart)
{
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 64u << 20, NULL), 0);
    fill_and_check(&buddy, 2);
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
}

TEST(arena, budget_is_never_passed)
{
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 1u << 20, NULL), 0);
    for (int source = 0; source < 2; source++) {
        struct el_arena arena;
        el_arena_init(&arena, source == 0 ? NULL : &buddy, 16384);
        assert_null(el_arena_alloc(&arena, 16384)); /* the header needs room too */
        assert_null(el_arena_alloc(&arena, SIZE_MAX));
        assert_null(el_arena_alloc(&arena, SIZE_MAX / 4));
        size_t got = 0;
        while (el_arena_alloc(&arena, 100) != NULL) {
            got++;
            assert_true(arena.used <= 16384);
        }
        assert_true(got > 100);
        assert_true(got < 16384 / 100);
        assert_null(el_arena_zalloc(&arena, 1000));
        assert_null(el_arena_dup(&arena, "x", 1000));
        el_arena_reset(&arena);
        assert_non_null(el_arena_alloc(&arena, 100)); /* usable again */
        el_arena_reset(&arena);
    }
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
}

TEST(arena, large_piece_leaves_the_newest_block_in_use)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    uint8_t *a = el_arena_alloc(&arena, 16);
    assert_non_null(el_arena_alloc(&arena, 100000));
    uint8_t *b = el_arena_alloc(&arena, 16);
    assert_ptr_equal(b, a + 16);
    el_arena_reset(&arena);
}

TEST(arena, copies_are_copies)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    uint8_t *zero = el_arena_zalloc(&arena, 64);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(zero[i], 0);
    }
    assert_memory_equal(el_arena_dup(&arena, "abc", 3), "abc", 3);
    assert_string_equal(el_arena_strndup(&arena, "abcdef", 3), "abc");
    assert_string_equal(el_arena_strndup(&arena, NULL, 0), "");
    assert_non_null(el_arena_dup(&arena, NULL, 0));
    assert_null(el_arena_strndup(&arena, "x", SIZE_MAX));
    el_arena_reset(&arena);
    el_arena_reset(&arena);
}

TEST(arena, exhausted_buddy_gives_null)
{
    struct el_buddy buddy;
    struct el_arena arena;
    assert_int_equal(el_buddy_init(&buddy, 8192, NULL), 0);
    el_arena_init(&arena, &buddy, 0);
    size_t got = 0;
    while (el_arena_alloc(&arena, 1000) != NULL) {
        got++;
    }
    assert_int_equal(got, 8); /* the second block is taken at its bare need when no larger one is left */
    el_arena_reset(&arena);
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
}

TEST(arena, in_the_callers_memory_takes_no_more)
{
    _Alignas(16) uint8_t memory[256];
    struct el_arena arena;
    el_arena_init_fixed(&arena, memory, sizeof memory);
    assert_null(el_arena_alloc(&arena, 257));
    assert_ptr_equal(el_arena_alloc(&arena, 100), memory);
    assert_non_null(el_arena_alloc(&arena, 144));
    assert_null(el_arena_alloc(&arena, 1));
    el_arena_reset(&arena);
}

TEST_TORTURE(arena, failing_heap_gives_null_and_nothing_leaks)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    for (int i = 0; i < 40; i++) {
        void *piece = el_arena_alloc(&arena, 700);
        assert_true(piece != NULL || el_test_failing());
    }
    el_arena_reset(&arena);
}
