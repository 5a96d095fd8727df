/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the counters are exact, the n-th allocation fails and only that, and a sealed thread cannot allocate.
 */
#include "../../lib/test.h"

#include <core/alloc.h>

#include <pthread.h>
#include <string.h>

TEST(alloc, live_counts_blocks)
{
    uint64_t live = el_alloc_live();
    void *a = el_malloc(10), *b = el_calloc(3, 5), *c = el_strdup("text"), *d = el_memdup("ab", 2);
    assert_int_equal(el_alloc_live(), live + 4);
    a = el_realloc(a, 1000);
    assert_int_equal(el_alloc_live(), live + 4);
    void *e = el_realloc(NULL, 4);
    assert_int_equal(el_alloc_live(), live + 5);
    assert_string_equal(c, "text");
    assert_memory_equal(d, "ab", 2);
    el_free(a);
    el_free(b);
    el_free(c);
    el_free(d);
    el_free(e);
    el_free(NULL);
    assert_int_equal(el_alloc_live(), live);
}

TEST(alloc, format_fits_what_it_prints)
{
    uint64_t live = el_alloc_live();
    char *text = el_format("%s/%05d", "a", 7), *none = el_format("%s", "");
    assert_string_equal(text, "a/00007");
    assert_string_equal(none, "");
    assert_int_equal(el_alloc_live(), live + 2);
    el_free(text);
    el_free(none);
}

TEST(alloc, nothing_gives_a_pointer)
{
    void *a = el_malloc(0), *b = el_calloc(0, 8), *c = el_calloc(8, 0), *d = el_memdup(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    d = el_realloc(d, 0);
    assert_non_null(d);
    el_free(a);
    el_free(b);
    el_free(c);
    el_free(d);
}

TEST(alloc, calloc_refuses_a_product_that_overflows)
{
    volatile size_t huge = SIZE_MAX / 2;
    assert_null(el_calloc(huge, 4));
}

TEST(alloc, exactly_the_nth_fails)
{
    void *blocks[4];
    el_alloc_fail_at(3);
    for (int i = 0; i < 4; i++) {
        blocks[i] = el_malloc(8);
    }
    assert_int_equal(el_alloc_count(), 4);
    el_alloc_fail_at(0);
    assert_non_null(blocks[0]);
    assert_non_null(blocks[1]);
    assert_null(blocks[2]);
    assert_non_null(blocks[3]);
    el_alloc_fail_at(1);
    assert_null(el_realloc(blocks[0], 100)); /* the old block stays */
    el_alloc_fail_at(0);
    for (int i = 0; i < 4; i++) {
        el_free(blocks[i]);
    }
}

static void allocate(void *arg)
{
    (void)arg;
    el_alloc_seal(true);
    el_free(el_malloc(1));
}

static void free_below_zero(void *arg)
{
    (void)arg;
    void *p = el_malloc(1);
    el_free(p);
    while (el_alloc_live() > 0) { /* blocks of the test program itself */
        el_free(strdup("x"));
    }
    el_free(strdup("x"));
}

TEST(alloc, sealed_thread_stops_at_an_allocation)
{
    assert_true(el_test_aborts(allocate, NULL));
    assert_true(el_test_aborts(free_below_zero, NULL));
}

static void *allocate_elsewhere(void *arg)
{
    *(void **)arg = el_malloc(16);
    return NULL;
}

TEST(alloc, seal_is_per_thread_and_free_stays_allowed)
{
    void *mine = el_malloc(16), *others = NULL;
    pthread_t thread;
    el_alloc_seal(true);
    assert_int_equal(pthread_create(&thread, NULL, allocate_elsewhere, &others), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    el_free(mine);
    el_alloc_seal(false);
    assert_non_null(others);
    el_free(others);
}

TEST_TORTURE(alloc, torture_fails_each_allocation_in_turn)
{
    static bool failed[3];
    for (int i = 0; i < 3; i++) {
        void *p = el_malloc(1);
        if (p == NULL) {
            assert_true(el_test_failing());
            failed[i] = true;
        }
        el_free(p);
    }
    static int run;
    if (++run == 5) { /* as it is, three failing, one beyond the last allocation */
        assert_true(failed[0] && failed[1] && failed[2]);
    }
    assert_true(run <= 5);
}
