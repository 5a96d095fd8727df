/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the table finds what was put into it, exactly, at any size, gives back what is undone and never takes more than
 * its limit. Method: limits first; then long chains compared with arithmetic, random adds and undos with a plain list.
 */
#include <core/alloc.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <stream/stream_batch.h>
#include <stream/stream_heads.h>
#include <stream/stream_table.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test.h"

static struct el_buddy buddy;
static struct stream_table *table;

static void begin(uint64_t memory_max)
{
    assert_int_equal(el_buddy_init(&buddy, 256 << 20, NULL), 0);
    assert_int_equal(stream_table_create(&buddy, memory_max, &table), 0);
}

static void end(void)
{
    stream_table_destroy(table);
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
}

static struct el_hash128 hash_of(uint64_t number)
{
    uint64_t low = (number + 1) * 0x9e3779b97f4a7c15ull;
    low = (low ^ low >> 29) * 0xbf58476d1ce4e5b9ull;
    return (struct el_hash128){low ^ low >> 32, number * 0x94d049bb133111ebull};
}

static struct el_stream_entry entry_of(uint32_t slot, uint64_t number, uint64_t position)
{
    return (struct el_stream_entry){slot, hash_of(number), position, position + 1000};
}

static int add(uint32_t slot, uint64_t number, uint64_t position)
{
    struct el_stream_entry entry = entry_of(slot, number, position);
    return stream_table_add(table, STREAM_KIND_KEY, &entry);
}

TEST(stream_table, is_full_at_its_limit_and_stays_whole)
{
    static const uint64_t limits[] = {STREAM_TABLE_MEMORY_MIN, 300000, 1 << 20, 8 << 20};
    for (uint32_t i = 0; i < 4; i++) {
        begin(limits[i]);
        uint64_t count = 0;
        while (add(1, count, 5) == 0) {
            count++;
        }
        assert_int_equal(add(1, count, 5), EVLOG_ERR_FULL);
        assert_true(stream_table_memory(table) <= limits[i]);
        assert_int_equal(buddy.used, stream_table_memory(table));
        assert_true(count > limits[i] / 80); /* 48 bytes an entry, and the map */
        assert_true(stream_table_could_hold(table, (uint32_t)(count / 2), 0, 0));
        assert_false(stream_table_could_hold(table, (uint32_t)(count + count / 3), 0, 0));
        struct el_stream_entry found;
        for (uint64_t n = 0; n < count; n++) {
            assert_true(stream_table_newest(table, 1, hash_of(n), &found));
            assert_int_equal(found.position, 5);
        }
        assert_false(stream_table_newest(table, 1, hash_of(count), &found));
        assert_false(stream_table_newest(table, 2, hash_of(0), &found));
        end();
    }
}

TEST(stream_table, says_that_the_shard_has_no_memory)
{
    assert_int_equal(el_buddy_init(&buddy, 64 << 10, NULL), 0);
    assert_int_equal(stream_table_create(&buddy, 1 << 20, &table), 0);
    int code = 0;
    for (uint64_t n = 0; code == 0; n++) {
        code = add(1, n, 0);
    }
    assert_int_equal(code, EVLOG_ERR_NO_MEMORY);
    while ((code = stream_table_add_name(table, 1, el_slice_of("0123456789abcdef", 16))) == 0) {
    }
    assert_int_equal(code, EVLOG_ERR_NO_MEMORY);
    end();
    assert_int_equal(el_buddy_init(&buddy, 4096, NULL), 0);
    assert_non_null(el_buddy_alloc(&buddy, 4096));
    assert_int_equal(stream_table_create(&buddy, 1 << 20, &table), EVLOG_ERR_NO_MEMORY);
    el_buddy_destroy(&buddy);
}

TEST(stream_table, finds_any_part_of_a_long_chain)
{
    enum { COUNT = 20000, ROOM = 40 };
    struct el_stream_entry found[ROOM];
    struct el_rng rng;
    el_rng_seed(&rng, 7);
    begin(8 << 20);
    for (uint64_t v = 0; v < COUNT; v++) {
        assert_int_equal(add(3, 1, v * 2 + 10), 0); /* even positions from 10 on */
        assert_int_equal(v % 3 == 0 ? add(3, 2, v) : 0, 0);
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t low = el_rng_below(&rng, COUNT * 2 + 40);
        uint64_t high = el_rng_chance(&rng, 200000) ? UINT64_MAX : low + el_rng_below(&rng, 100) - 5;
        bool descending = el_rng_chance(&rng, 500000);
        uint32_t room = (uint32_t)el_rng_below(&rng, ROOM + 1);
        uint32_t count = stream_table_find(table, 3, hash_of(1), low, high, descending, found, room);
        uint64_t first = EL_MAX(low + low % 2, 10u), last = EL_MIN(high - high % 2, COUNT * 2ull + 8);
        uint64_t all = high < 10 || first > last ? 0 : (last - first) / 2 + 1;
        assert_int_equal(count, EL_MIN(all, room));
        for (uint32_t n = 0; n < count; n++) {
            assert_int_equal(found[n].position, descending ? last - n * 2 : first + n * 2);
            assert_int_equal(found[n].place, found[n].position + 1000);
            assert_int_equal(found[n].slot, 3);
        }
    }
    assert_int_equal(stream_table_find(table, 3, hash_of(9), 0, UINT64_MAX, false, found, ROOM), 0);
    end();
}

/* Any number of adds taken back in any pieces leaves what was there. */
TEST(stream_table, undo_leaves_what_was_there)
{
    enum { HASHES = 300, KEPT = 4000 };
    static uint64_t next[HASHES], at_mark[HASHES];
    struct el_rng rng;
    el_rng_seed(&rng, 11);
    memset(next, 0, sizeof(next));
    begin(1 << 20);
    uint32_t names = 0;
    char name[64];
    for (int kept = 0; kept < KEPT;) {
        struct stream_table_mark mark = stream_table_mark(table);
        memcpy(at_mark, next, sizeof(next));
        uint32_t names_at_mark = names;
        for (uint64_t n = el_rng_below(&rng, 30); n > 0; n--) {
            uint64_t number = el_rng_below(&rng, HASHES);
            if (add((uint32_t)(number % 3) + 1, number, next[number]) == 0) {
                next[number]++;
                kept++;
            }
            int len = snprintf(name, sizeof(name), "%u", names);
            names += stream_table_add_name(table, 1, el_slice_of(name, (size_t)len + el_rng_below(&rng, 30))) == 0;
        }
        if (el_rng_chance(&rng, 500000)) {
            stream_table_undo(table, mark);
            memcpy(next, at_mark, sizeof(next));
            names = names_at_mark;
            assert_int_equal(stream_table_mark(table).entry_count, mark.entry_count);
        }
        kept++;
    }
    struct el_stream_entry found[8];
    for (uint64_t number = 0; number < HASHES; number++) {
        uint32_t slot = (uint32_t)(number % 3) + 1;
        bool there = stream_table_newest(table, slot, hash_of(number), found);
        assert_int_equal(there, next[number] > 0);
        if (there) {
            assert_int_equal(found[0].position, next[number] - 1);
        }
        assert_int_equal(stream_table_find(table, slot, hash_of(number), 0, UINT64_MAX, false, found, 8),
                         EL_MIN(next[number], 8u));
    }
    struct stream_table_mark mark = stream_table_mark(table);
    struct stream_sorted *sorted;
    assert_int_equal(stream_sorted_make(table, &mark, 0, (struct el_slice){0}, &sorted), 0);
    uint32_t entries = 0, names_found = 0, slot;
    struct el_slice key;
    struct el_stream_entry before = {0}, entry;
    for (; stream_sorted_next(sorted, &entry); before = entry, entries++) {
        bool above = entry.slot != before.slot             ? entry.slot > before.slot
                     : entry.hash.high != before.hash.high ? entry.hash.high > before.hash.high
                     : entry.hash.low != before.hash.low   ? entry.hash.low > before.hash.low
                                                           : entry.position > before.position;
        assert_true(above);
    }
    while (stream_sorted_next_name(sorted, &slot, &key)) {
        names_found++;
    }
    assert_int_equal(entries, mark.entry_count);
    assert_int_equal(names_found, names);
    stream_sorted_free(sorted);
    end();
}

TEST(stream_table, sorts_names_by_their_bytes)
{
    static const struct {
        uint32_t slot;
        const char *key;
        size_t len;
    } names[] = {{2, "b", 1},         {1, "b", 1},         {2, "", 0},         {2, "\xff", 1}, {2, "a\0", 2},
                 {2, "aaaaaaaab", 9}, {2, "aaaaaaaaa", 9}, {2, "aaaaaaaa", 8}, {3, "a", 1},    {2, "a", 1}};
    static const char *const order[] = {"1b",         "2",          "2a", "2a",    "2aaaaaaaa",
                                        "2aaaaaaaaa", "2aaaaaaaab", "2b", "2\xff", "3a"};
    begin(STREAM_TABLE_MEMORY_MIN);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(stream_table_add_name(table, names[i].slot, el_slice_of(names[i].key, names[i].len)), 0);
    }
    struct stream_table_mark mark = stream_table_mark(table);
    struct stream_sorted *sorted;
    struct el_slice key;
    uint32_t slot;
    assert_int_equal(stream_sorted_make(table, &mark, 0, (struct el_slice){0}, &sorted), 0);
    for (uint32_t i = 0; i < 10; i++) {
        assert_true(stream_sorted_next_name(sorted, &slot, &key));
        assert_int_equal(slot, (uint32_t)(order[i][0] - '0'));
        assert_memory_equal(key.data, order[i] + 1, strlen(order[i] + 1));
        assert_int_equal(key.len, strlen(order[i] + 1) + (i == 3)); /* "a\0" comes after "a" */
    }
    assert_false(stream_sorted_next_name(sorted, &slot, &key));
    stream_sorted_free(sorted);
    /* those of one slot that begin with a prefix, below the mark */
    assert_int_equal(stream_table_add_name(table, 2, el_slice_str("aab")), 0);
    assert_int_equal(stream_sorted_make(table, &mark, 2, el_slice_str("aa"), &sorted), 0);
    for (uint32_t i = 4; i < 7; i++) {
        assert_true(stream_sorted_next_name(sorted, &slot, &key));
        assert_true(el_slice_eq(key, el_slice_str(order[i] + 1)));
    }
    assert_false(stream_sorted_next_name(sorted, &slot, &key));
    stream_sorted_free(sorted);
    end();
}

TEST(stream_table, takes_the_longest_name)
{
    static uint8_t key[EL_STREAM_KEY_MAX];
    begin(STREAM_TABLE_MEMORY_MIN);
    int count = 0;
    while (stream_table_add_name(table, 1, el_slice_of(key, sizeof(key))) == 0) {
        key[0]++;
        count++;
    }
    assert_true(count >= 5);
    struct stream_table_mark mark = stream_table_mark(table);
    struct stream_sorted *sorted;
    struct el_slice name;
    uint32_t slot;
    assert_int_equal(stream_sorted_make(table, &mark, 1, (struct el_slice){0}, &sorted), 0);
    for (int i = 0; i < count; i++) {
        assert_true(stream_sorted_next_name(sorted, &slot, &name));
        assert_int_equal(name.len, EL_STREAM_KEY_MAX);
        assert_int_equal(name.data[0], i);
    }
    stream_sorted_free(sorted);
    end();
}

static void head_count(void *arg, const struct el_stream_entry *entry)
{
    uint64_t *sum = arg;
    *sum += entry->position;
}

TEST(stream_table, walks_heads_in_pieces)
{
    begin(1 << 20);
    for (uint64_t n = 0; n < 1000; n++) {
        for (uint64_t v = 0; v <= n % 4; v++) {
            assert_int_equal(add(1, n, v), 0);
        }
        struct el_stream_entry type = entry_of(1, n + 5000, 100);
        assert_int_equal(stream_table_add(table, STREAM_KIND_TYPE, &type), 0);
    }
    uint64_t sum = 0, cursor = 0;
    uint32_t calls = 1;
    while (!stream_table_each_head(table, &cursor, 100, head_count, &sum)) {
        calls++;
    }
    assert_int_equal(sum, 250 * (0 + 1 + 2 + 3)); /* the newest of each, and keys only */
    assert_true(calls > 10);
    end();
}

static void add_below(void *arg)
{
    begin(1 << 20);
    (void)add(1, 1, 5);
    (void)add(1, 1, 5);
}

TEST(stream_table, asserts_that_positions_rise)
{
    assert_true(el_test_aborts(add_below, NULL));
}

TEST_TORTURE(stream_table, sorts_or_says_that_it_cannot)
{
    begin(1 << 20);
    for (uint64_t n = 0; n < 50; n++) {
        assert_int_equal(add(1, n, 0), 0);
    }
    struct stream_table_mark mark = stream_table_mark(table);
    struct stream_sorted *sorted;
    int code = stream_sorted_make(table, &mark, 0, (struct el_slice){0}, &sorted);
    assert_true(code == 0 || (code == EVLOG_ERR_NO_MEMORY && el_test_failing()));
    if (code == 0) {
        stream_sorted_free(sorted);
    }
    end();
}

/* --- heads -------------------------------------------------------------------------------------------------------- */

TEST(stream_heads, keeps_what_is_asked_for)
{
    struct stream_heads *heads;
    struct stream_head head = {0};
    assert_int_equal(el_buddy_init(&buddy, 1 << 20, NULL), 0);
    assert_int_equal(stream_heads_create(&buddy, 10000, &heads), 0);
    assert_int_equal(stream_heads_memory(heads), 8192);
    assert_false(stream_heads_get(heads, 1, hash_of(1), &head));
    for (uint64_t n = 0; n < 5000; n++) {
        struct stream_head put = {.version = (int64_t)n, .place = n * 3};
        stream_heads_put(heads, 1, hash_of(n), &put);
        assert_true(stream_heads_get(heads, 1, hash_of(0), &head));  /* hot */
        assert_false(stream_heads_get(heads, 2, hash_of(n), &head)); /* another partition's */
    }
    uint32_t kept = 0;
    for (uint64_t n = 0; n < 5000; n++) {
        if (stream_heads_get(heads, 1, hash_of(n), &head)) {
            assert_int_equal(head.version, n);
            assert_int_equal(head.place, n * 3);
            kept++;
        }
    }
    assert_int_equal(kept, 8192 / 320 * 8);
    struct stream_head newer = {.version = 9, .place = STREAM_PLACE_SOFT | 77};
    stream_heads_put(heads, 1, hash_of(0), &newer);
    assert_true(stream_heads_get(heads, 1, hash_of(0), &head));
    assert_int_equal(stream_place_offset(head.place), 77);
    stream_heads_clear(heads);
    assert_false(stream_heads_get(heads, 1, hash_of(0), &head));
    stream_heads_destroy(heads);
    assert_int_equal(buddy.used, 0);
    struct stream_heads *none;
    assert_int_equal(stream_heads_create(&buddy, 4 << 20, &none), EVLOG_ERR_NO_MEMORY);
    el_buddy_destroy(&buddy);
}
