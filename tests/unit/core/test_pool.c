/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: items are apart, zeroed and used again; a spent source gives NULL.
 */
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/pool.h>

#include <string.h>

static void take_and_return(struct el_buddy *buddy, size_t item_len)
{
    struct el_pool pool;
    uint8_t *items[500];
    el_pool_init(&pool, buddy, item_len);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 500; i++) {
            items[i] = el_pool_get(&pool);
            assert_non_null(items[i]);
            assert_int_equal((uintptr_t)items[i] % 16, 0);
            for (size_t k = 0; k < item_len; k++) {
                assert_int_equal(items[i][k], 0);
            }
            memset(items[i], (int)(i % 251) + 1, item_len);
        }
        assert_int_equal(pool.count, 500);
        for (size_t i = 0; i < 500; i++) {
            assert_int_equal(items[i][0], i % 251 + 1);
            assert_int_equal(items[i][item_len - 1], i % 251 + 1);
            el_pool_put(&pool, items[i]);
        }
        assert_int_equal(pool.count, 0);
    }
    el_pool_put(&pool, NULL);
    el_pool_destroy(&pool);
}

TEST(pool, items_stay_apart)
{
    uint64_t live = el_alloc_live();
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 64u << 20, NULL), 0);
    static const size_t lens[] = {1, 16, 17, 100, 4096, 20000};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        take_and_return(NULL, lens[i]);
        take_and_return(&buddy, lens[i]);
    }
    assert_int_equal(buddy.used, 0);
    assert_int_equal(el_alloc_live(), live);
    el_buddy_destroy(&buddy);
}

TEST(pool, returned_item_is_the_next_one)
{
    struct el_pool pool;
    el_pool_init(&pool, NULL, 48);
    void *a = el_pool_get(&pool);
    void *b = el_pool_get(&pool);
    assert_ptr_not_equal(a, b);
    el_pool_put(&pool, a);
    assert_ptr_equal(el_pool_get(&pool), a);
    el_pool_destroy(&pool);
}

TEST(pool, spent_source_gives_null)
{
    struct el_buddy buddy;
    struct el_pool pool;
    assert_int_equal(el_buddy_init(&buddy, 4096, NULL), 0);
    el_pool_init(&pool, &buddy, 64);
    size_t count = 0;
    void *last = NULL;
    for (void *item = el_pool_get(&pool); item != NULL; item = el_pool_get(&pool)) {
        last = item;
        count++;
    }
    assert_int_equal(count, (4096 - 16) / 64);
    el_pool_put(&pool, last);
    assert_ptr_equal(el_pool_get(&pool), last);
    el_pool_destroy(&pool);
    el_buddy_destroy(&buddy);
}

static void put_too_many(void *arg)
{
    static _Alignas(16) uint8_t item[64];
    el_pool_put(arg, item);
}

TEST(pool, return_without_take_stops_the_program)
{
    struct el_pool pool;
    el_pool_init(&pool, NULL, 64);
    assert_true(el_test_aborts(put_too_many, &pool));
    el_pool_destroy(&pool);
}
