/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what was written into a run is found, no more and no less, with as few reads as promised; damage is told or
 * does no harm; an error of the disk leaves nothing behind. Method: random sets on the simulated disk, every answer
 * compared with a sorted array; each byte of a small run changed; each call of the disk failed.
 */
#include "run_kit.h"

#include <evlog/error.h>
#include <stdlib.h>
#include <string.h>

#define ROOM 300u

/* Where the first entry not below the key is. */
static uint32_t lower_bound(const struct kit_set *set, const struct el_stream_entry *key)
{
    uint32_t low = 0, high = set->entry_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (el_stream_entry_compare(&set->entries[mid], key) < 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

/* Ask, and compare with the set. code 0 with another answer is a failure; returns the code */
static int ask(const struct index_run *run, const struct kit_set *set, const struct el_stream_entry *low, uint64_t high,
               bool descending, uint32_t room)
{
    struct el_stream_entry found[ROOM], top = *low;
    uint32_t count = 0, from = lower_bound(set, low), to = from;
    top.position = high;
    while (to < set->entry_count && low->position <= high && el_stream_entry_compare(&set->entries[to], &top) <= 0) {
        to++;
    }
    uint32_t expected = EL_MIN(to - from, room);
    int code = index_run_find(run, low->slot, low->hash, low->position, high, descending, found, room, &count);
    if (code != 0) {
        return code;
    }
    assert_int_equal(count, expected);
    for (uint32_t i = 0; i < count; i++) {
        const struct el_stream_entry *e = &set->entries[descending ? to - 1 - i : from + i];
        assert_int_equal(el_stream_entry_compare(&found[i], e), 0);
        assert_int_equal(found[i].place, e->place);
    }
    if (expected > 0) {
        assert_true(index_run_may_hold(run, low->slot, low->hash));
    }
    return 0;
}

static int ask_at_random(const struct index_run *run, const struct kit_set *set, struct el_rng *rng)
{
    struct el_stream_entry key = {.slot = 1 + (uint32_t)el_rng_below(rng, 6), .hash = {.low = el_rng_next(rng)}};
    uint64_t high = UINT64_MAX;
    if (set->entry_count > 0 && el_rng_below(rng, 10) > 0) {
        key = set->entries[el_rng_below(rng, set->entry_count)];
    }
    switch (el_rng_below(rng, 4)) {
    case 0:
        key.position = 0;
        break;
    case 1:
        high = key.position + el_rng_below(rng, 1000);
        break;
    case 2:
        high = key.position;
        key.position -= EL_MIN(key.position, el_rng_below(rng, 1000));
        break;
    default:
        break;
    }
    return ask(run, set, &key, high, el_rng_below(rng, 2) == 0, (uint32_t)el_rng_below(rng, ROOM + 1));
}

static void seek_at_random(struct index_cursor *c, const struct kit_set *set, struct el_rng *rng)
{
    uint8_t bytes[EL_RUN_NAME_KEY_MAX];
    struct kit_name near = {.slot = 1 + (uint32_t)el_rng_below(rng, 4), .key = bytes};
    struct el_slice prefix = {NULL, 0}, after = {NULL, 0}, key;
    uint32_t slot = 0, at = 0;
    if (set->name_count > 0) {
        const struct kit_name *n = &set->names[el_rng_below(rng, set->name_count)];
        near.slot = n->slot;
        near.len = el_rng_below(rng, 2) == 0 ? n->len : (uint32_t)el_rng_below(rng, n->len + 1);
        memcpy(bytes, n->key, near.len);
    }
    if (el_rng_below(rng, 2) == 0) {
        after = el_slice_of(bytes, near.len);
    }
    if (el_rng_below(rng, 2) == 0) {
        prefix = el_slice_of(bytes, el_rng_below(rng, near.len + 1));
    }
    while (at < set->name_count) {
        const struct kit_name *n = &set->names[at];
        struct el_slice k = el_slice_of(n->key, n->len);
        if (el_name_compare(n->slot, k, near.slot, prefix) >= 0 &&
            (after.data == NULL || el_name_compare(n->slot, k, near.slot, after) > 0)) {
            break;
        }
        at++;
    }
    assert_int_equal(index_cursor_seek_name(c, near.slot, prefix, after), 0);
    for (uint32_t i = 0; i < 3 && at < set->name_count; i++, at++) {
        assert_int_equal(index_cursor_next_name(c, &slot, &key), 1);
        assert_int_equal(slot, set->names[at].slot);
        assert_int_equal(key.len, set->names[at].len);
        assert_memory_equal(key.data, set->names[at].key, key.len);
    }
    if (at == set->name_count) {
        assert_int_equal(index_cursor_next_name(c, &slot, &key), 0);
    }
}

TEST(index_run, is_refused_where_there_is_one_or_none)
{
    struct kit k;
    struct kit_set none = {.entry_count = 0};
    struct el_index_run_info info;
    struct kit_run run;
    kit_init(&k, 1);
    assert_int_equal(kit_open(&k, 7, false, &run), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(kit_write(&k, 7, &none, &info), 0);
    assert_int_equal(kit_write(&k, 7, &none, &info), EVLOG_ERR_EXISTS);
    assert_int_equal(kit_open(&k, 7, true, &run), 0); /* the refused one has not removed it */
    kit_run_is(&run, &none);
    assert_false(index_run_may_hold(&run.run, 1, (struct el_hash128){1, 2}));
    assert_int_equal(ask(&run.run, &none, &(struct el_stream_entry){.slot = 1}, UINT64_MAX, true, 5), 0);
    kit_close(&run);
    kit_free(&k);
}

TEST(index_run, answers_as_a_sorted_array_does)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct kit k;
        struct kit_set set;
        struct kit_run run;
        struct el_index_run_info info;
        struct index_cursor *c = NULL;
        kit_init(&k, seed);
        kit_set_draw(&set, &k.rng, seed % 3 == 0 ? 300 : 60000, seed % 3 == 1 ? 100 : 4000, 5);
        assert_int_equal(kit_write(&k, seed, &set, &info), 0);
        assert_int_equal(kit_open(&k, seed, seed % 2 == 0, &run), 0);
        assert_memory_equal(&info, &run.run.info, sizeof(info));
        kit_run_is(&run, &set);
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(ask_at_random(&run.run, &set, &k.rng), 0);
        }
        assert_int_equal(index_cursor_open(&run.run, &c), 0);
        for (int i = 0; i < 300; i++) {
            seek_at_random(c, &set, &k.rng);
        }
        index_cursor_close(c);
        kit_close(&run);
        assert_int_equal(sim_disk_open_count(k.sim), 0);
        kit_set_free(&set);
        kit_free(&k);
    }
}

/* One stream with so many versions, and so many others with one. */
static void set_of_streams(struct kit_set *set, uint32_t versions, uint32_t others)
{
    struct el_rng rng;
    el_rng_seed(&rng, 5);
    *set = (struct kit_set){.entries = calloc(versions + others, sizeof(*set->entries)), .names = calloc(1, 1)};
    for (uint32_t i = 0; i < others; i++) {
        uint64_t high = UINT64_MAX / (others + 1) * (i + 1); /* half of them below the hot one */
        if (i == others / 2) {
            for (uint32_t v = 0; v < versions; v++) {
                set->entries[set->entry_count++] = (struct el_stream_entry){
                    .slot = 1, .hash = {.high = high - 1, .low = 9}, .position = v, .place = v * 7};
            }
        }
        set->entries[set->entry_count++] = (struct el_stream_entry){.slot = 1,
                                                                    .hash = {.high = high, .low = el_rng_next(&rng)},
                                                                    .position = 0,
                                                                    .place = el_rng_next(&rng) >> 20};
    }
}

TEST(index_run, one_entry_costs_two_reads)
{
    struct kit k;
    struct kit_set set;
    struct kit_run run;
    struct el_index_run_info info;
    kit_init(&k, 2);
    set_of_streams(&set, 100000, 100000);
    assert_int_equal(kit_write(&k, 1, &set, &info), 0);
    assert_int_equal(kit_open(&k, 1, true, &run), 0);
    assert_true(info.group_count > 2);
    for (int i = 0; i < 2000; i++) {
        const struct el_stream_entry *e = &set.entries[el_rng_below(&k.rng, set.entry_count)];
        uint64_t reads = k.d.reads;
        assert_int_equal(ask(&run.run, &set, e, e->position, i % 2 == 0, 1), 0);
        assert_true(k.d.reads - reads <= 3); /* 2; 3 when the neighbour has to be looked at to know that it is all */
        struct el_stream_entry head = *e;
        head.position = 0;
        reads = k.d.reads;
        assert_int_equal(ask(&run.run, &set, &head, UINT64_MAX, true, 1), 0);
        assert_int_equal(k.d.reads - reads, 2);
    }
    assert_true(index_run_memory(&info, false) < 4096);
    assert_true(index_run_memory(&info, true) < 100000 * 12 / 8);
    kit_close(&run);
    kit_set_free(&set);
    kit_free(&k);
}

TEST(index_run, stays_small_where_entries_belong_together)
{
    struct kit k;
    struct kit_set set;
    struct el_index_run_info info;
    kit_init(&k, 3);
    set_of_streams(&set, 200000, 1);
    assert_int_equal(kit_write(&k, 1, &set, &info), 0);
    assert_true(info.file_len < 200000 * 22 / 10); /* tag and difference of the place, each one byte */
    assert_int_equal(info.hash_count, 2);
    kit_set_free(&set);
    set_of_streams(&set, 1, 200000);
    assert_int_equal(kit_write(&k, 2, &set, &info), 0);
    assert_true(info.file_len < 200000 * 26);
    kit_set_free(&set);
    kit_free(&k);
}

TEST(index_run, keeps_names_of_any_length_apart)
{
    struct kit k;
    struct kit_run run;
    struct el_index_run_info info;
    struct index_cursor *c = NULL;
    struct kit_set set = {.name_count = 400, .entries = calloc(1, 1), .names = calloc(400, sizeof(*set.names))};
    kit_init(&k, 4);
    for (uint32_t i = 0; i < set.name_count; i++) {
        /* the longest there are, which share nothing with one neighbour and nearly all with the other */
        set.names[i] = (struct kit_name){.slot = 1, .len = EL_RUN_NAME_KEY_MAX, .key = calloc(1, EL_RUN_NAME_KEY_MAX)};
        set.names[i].key[0] = (uint8_t)(i / 2);
        set.names[i].key[EL_RUN_NAME_KEY_MAX - 1] = (uint8_t)(i % 2);
    }
    assert_int_equal(kit_write(&k, 1, &set, &info), 0);
    assert_int_equal(kit_open(&k, 1, true, &run), 0);
    kit_run_is(&run, &set);
    assert_int_equal(index_cursor_open(&run.run, &c), 0);
    for (int i = 0; i < 300; i++) {
        uint64_t reads = k.d.reads;
        seek_at_random(c, &set, &k.rng);
        assert_true(k.d.reads - reads <= 9); /* 134 leaves, 3 names to a block: 5 levels, then a few leaves on */
    }
    index_cursor_close(c);
    kit_close(&run);
    kit_set_free(&set);
    kit_free(&k);
}

/* --- damage ------------------------------------------------------------------------------------------------------- */

/* Open, walk, and ask for what there is. returns how often damage was told */
static uint32_t look_over(struct kit *k, const struct kit_set *set, bool with_filter)
{
    struct kit_run run;
    uint32_t told = 0;
    int code = kit_open(k, 1, with_filter, &run);
    if (code != 0) {
        assert_true(code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
        return 1;
    }
    code = kit_walk(&run.run);
    assert_true(code == 0 || code == EVLOG_ERR_CORRUPT);
    told += code != 0;
    for (uint32_t i = 0; i < set->entry_count; i += 1 + set->entry_count / 7) {
        code = ask(&run.run, set, &set->entries[i], UINT64_MAX, i % 2 == 0, 3);
        assert_true(code == 0 || code == EVLOG_ERR_CORRUPT);
        told += code != 0;
    }
    kit_close(&run);
    return told;
}

TEST(index_run, tells_of_every_changed_byte)
{
    struct kit k;
    struct kit_set set = {.entry_count = 0};
    struct el_index_run_info info;
    char path[INDEX_PATH_LEN];
    kit_init(&k, 6);
    do {
        kit_set_free(&set);
        kit_set_draw(&set, &k.rng, 60, 30, 3);
    } while (set.entry_count < 20 || set.name_count < 10);
    assert_int_equal(kit_write(&k, 1, &set, &info), 0);
    assert_int_equal(look_over(&k, &set, true), 0);
    assert_int_equal(disk_sync_dir(k.d.inner, "streams/0000"), 0);
    index_run_path(path, 0, 1);
    for (uint64_t pos = 0; pos < info.file_len; pos++) {
        assert_true(sim_disk_flip(k.sim, path, pos, (uint8_t)(1u << pos % 8)));
        assert_true(look_over(&k, &set, true) > 0);
        assert_true(sim_disk_flip(k.sim, path, pos, (uint8_t)(1u << pos % 8)));
    }
    assert_int_equal(look_over(&k, &set, true), 0);
    kit_set_free(&set);
    kit_free(&k);
}

TEST(index_run, damage_harms_the_finds_that_need_it_and_no_others)
{
    struct kit k;
    struct kit_set set;
    struct kit_run run;
    struct el_index_run_info info;
    char path[INDEX_PATH_LEN];
    uint32_t told = 0;
    kit_init(&k, 7);
    set_of_streams(&set, 10, 20000);
    assert_int_equal(kit_write(&k, 1, &set, &info), 0);
    assert_int_equal(disk_sync_dir(k.d.inner, "streams/0000"), 0);
    index_run_path(path, 0, 1);
    assert_true(sim_disk_flip(k.sim, path, 30 * EL_RUN_BLOCK_LEN + 100, 4)); /* a block of entries */
    assert_int_equal(kit_open(&k, 1, true, &run), 0);
    for (uint32_t i = 0; i < set.entry_count; i++) {
        int code = ask(&run.run, &set, &set.entries[i], UINT64_MAX, true, 1);
        assert_true(code == 0 || code == EVLOG_ERR_CORRUPT);
        told += code != 0;
    }
    assert_in_range(told, 100, 300);
    kit_close(&run);
    kit_set_free(&set);
    kit_free(&k);
}

TEST(index_run, a_file_cut_short_is_refused)
{
    struct kit k;
    struct kit_set set;
    struct el_index_run_info info;
    char path[INDEX_PATH_LEN];
    kit_init(&k, 8);
    kit_set_draw(&set, &k.rng, 5000, 300, 3);
    assert_int_equal(kit_write(&k, 1, &set, &info), 0);
    assert_int_equal(disk_sync_dir(k.d.inner, "streams/0000"), 0);
    index_run_path(path, 0, 1);
    for (uint64_t len = info.file_len - 1; len > 0; len -= EL_MIN(len, 1000u)) {
        struct kit_run run;
        assert_true(sim_disk_cut(k.sim, path, len));
        assert_int_equal(kit_open(&k, 1, false, &run), EVLOG_ERR_CORRUPT);
    }
    kit_set_free(&set);
    kit_free(&k);
}

/* --- errors ------------------------------------------------------------------------------------------------------- */

TEST(index_run, a_failed_call_leaves_nothing_behind)
{
    struct kit k;
    struct kit_set set;
    struct el_index_run_info info;
    struct kit_run run;
    kit_init(&k, 9);
    set_of_streams(&set, 1000, 30000);
    for (uint64_t n = 1;; n++) {
        kit_fail_at(&k, n, n % 2 == 0 ? EVLOG_ERR_NO_SPACE : EVLOG_ERR_IO);
        int code = kit_write(&k, 1, &set, &info);
        assert_int_equal(sim_disk_open_count(k.sim), 0);
        if (code == 0) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(code, n % 2 == 0 ? EVLOG_ERR_NO_SPACE : EVLOG_ERR_IO);
        assert_int_equal(sim_disk_used(k.sim), 0);
    }
    for (uint64_t n = 1;; n++) {
        kit_fail_at(&k, n, EVLOG_ERR_IO);
        int code = kit_open(&k, 1, true, &run);
        if (code == 0) {
            code = kit_walk(&run.run);
            code = code != 0 ? code : ask(&run.run, &set, &set.entries[77], UINT64_MAX, false, 1);
            kit_close(&run);
        }
        assert_int_equal(sim_disk_open_count(k.sim), 0);
        if (code == 0) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(code, EVLOG_ERR_IO);
    }
    kit_set_free(&set);
    kit_free(&k);
}

TEST_TORTURE(index_run, survives_failing_memory)
{
    struct kit k;
    struct kit_set set;
    struct el_index_run_info info;
    struct kit_run run;
    bool failing = el_test_failing();
    kit_init(&k, 10);
    kit_set_draw(&set, &k.rng, 3000, 2000, 3);
    int code = kit_write(&k, 1, &set, &info);
    if (code == 0 && kit_open(&k, 1, true, &run) == 0) {
        code = kit_walk(&run.run);
        kit_close(&run);
    }
    assert_true(code == 0 || (failing && code == EVLOG_ERR_NO_MEMORY));
    assert_int_equal(sim_disk_open_count(k.sim), 0);
    kit_set_free(&set);
    kit_free(&k);
}
