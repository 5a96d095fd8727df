/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the map does what an array with linear search does.
 * Method: random puts, gets and removes on both, with keys that come again often; order and failure cases apart.
 */
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/map.h>
#include <core/rng.h>
#include <evlog/error.h>

#include <stdio.h>
#include <string.h>

#define KEYS 400

struct thing {
    char key[12];
    size_t key_len;
    bool inside;
};

static void random_load(struct el_buddy *buddy, uint64_t seed, uint64_t key_count)
{
    static struct thing things[KEYS];
    struct el_map map;
    struct el_rng rng;
    size_t count = 0;
    memset(things, 0, sizeof(things));
    for (size_t i = 0; i < KEYS; i++) {
        things[i].key_len = (size_t)snprintf(things[i].key, sizeof(things[i].key), "k%zu", i * 7);
    }
    things[0].key_len = 0; /* the empty key is a key */
    el_rng_seed(&rng, seed);
    el_map_init(&map, buddy);
    for (int round = 0; round < 30000; round++) {
        struct thing *t = &things[el_rng_below(&rng, key_count)];
        void *expected = t->inside ? t : NULL;
        switch (el_rng_below(&rng, round / 5000 % 2 == 0 ? 3 : 4)) {
        case 0:
            assert_ptr_equal(el_map_get(&map, t->key, t->key_len), expected);
            break;
        case 1:
            assert_int_equal(el_map_put(&map, t->key, t->key_len, t), t->inside ? EVLOG_ERR_EXISTS : 0);
            count += t->inside ? 0 : 1;
            t->inside = true;
            break;
        default:
            assert_ptr_equal(el_map_remove(&map, t->key, t->key_len), expected);
            count -= t->inside ? 1 : 0;
            t->inside = false;
        }
        assert_int_equal(map.count, count);
    }
    for (size_t i = 0; i < KEYS; i++) {
        assert_ptr_equal(el_map_get(&map, things[i].key, things[i].key_len), things[i].inside ? &things[i] : NULL);
    }
    for (size_t i = 0; i < map.count; i++) {
        assert_true(((struct thing *)map.entries[i].value)->inside);
    }
    el_map_destroy(&map);
}

TEST(map, does_what_an_array_does)
{
    uint64_t live = el_alloc_live();
    struct el_buddy buddy;
    assert_int_equal(el_buddy_init(&buddy, 16u << 20, NULL), 0);
    random_load(NULL, 1, KEYS);
    random_load(NULL, 2, 11);
    random_load(&buddy, 3, KEYS);
    random_load(&buddy, 4, 1);
    assert_int_equal(buddy.used, 0);
    assert_int_equal(el_alloc_live(), live);
    el_buddy_destroy(&buddy);
}

TEST(map, keeps_the_order_of_insertion)
{
    static uint32_t keys[1000];
    struct el_map map;
    el_map_init(&map, NULL);
    for (uint32_t i = 0; i < 1000; i++) {
        keys[i] = i * 2654435761u;
        assert_int_equal(el_map_put(&map, &keys[i], 4, &keys[i]), 0);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_ptr_equal(map.entries[i].value, &keys[i]);
    }
    assert_ptr_equal(el_map_remove(&map, &keys[3], 4), &keys[3]);
    assert_ptr_equal(map.entries[3].value, &keys[999]);
    assert_ptr_equal(map.entries[4].value, &keys[4]);
    assert_null(el_map_get(&map, &keys[3], 4));
    assert_ptr_equal(el_map_get(&map, &keys[999], 4), &keys[999]);
    el_map_destroy(&map);
}

TEST(map, empty_map_answers)
{
    struct el_map map;
    el_map_init(&map, NULL);
    assert_null(el_map_get(&map, "a", 1));
    assert_null(el_map_remove(&map, "a", 1));
    assert_int_equal(el_map_put(&map, NULL, 0, &map), 0);
    assert_ptr_equal(el_map_get(&map, "", 0), &map);
    el_map_destroy(&map);
    el_map_destroy(&map);
}

TEST(map, spent_source_leaves_the_map_as_it_was)
{
    static uint32_t keys[1000];
    struct el_buddy buddy;
    struct el_map map;
    assert_int_equal(el_buddy_init(&buddy, 4 * 4096, NULL), 0);
    el_map_init(&map, &buddy);
    uint32_t count = 0;
    for (; count < 1000; count++) {
        keys[count] = count;
        int err = el_map_put(&map, &keys[count], 4, &keys[count]);
        if (err != 0) {
            assert_int_equal(err, EVLOG_ERR_NO_MEMORY);
            break;
        }
    }
    assert_int_equal(count, 96);
    assert_int_equal(map.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_ptr_equal(el_map_get(&map, &keys[i], 4), &keys[i]);
    }
    el_map_destroy(&map);
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
}

TEST_TORTURE(map, failing_heap_leaves_the_map_as_it_was)
{
    static uint32_t keys[60];
    struct el_map map;
    size_t count = 0;
    el_map_init(&map, NULL);
    for (uint32_t i = 0; i < 60; i++) {
        keys[i] = i;
        int err = el_map_put(&map, &keys[i], 4, &keys[i]);
        assert_true(err == 0 || (err == EVLOG_ERR_NO_MEMORY && el_test_failing()));
        count += err == 0 ? 1 : 0;
        assert_int_equal(map.count, count);
        assert_ptr_equal(el_map_get(&map, &keys[i], 4), err == 0 ? &keys[i] : NULL);
    }
    el_map_destroy(&map);
}

static void put_null(void *arg)
{
    (void)el_map_put(arg, "a", 1, NULL);
}

TEST(map, null_value_stops_the_program)
{
    struct el_map map;
    el_map_init(&map, NULL);
    assert_true(el_test_aborts(put_null, &map));
}
