/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: every rule of docs/semantics.md, Streams, on what is admitted and in which order it is asked, by name.
 * Method: one partition whose next offset is counted here; batches of a few records; the same with the index in runs.
 */
#include "stream_kit.h"

#include <evlog/error.h>

#include <stdio.h>
#include <string.h>

#include "test.h"

#define SLOT 1

static struct kit k;
static int64_t next_offset;

static void begin(void)
{
    kit_begin(&k, 1 << 20, 64 << 10);
    next_offset = 100;
}

static int append_checked(const struct kit_record *records, uint32_t count, const struct kit_check *checks,
                          uint32_t check_count)
{
    kit_batch(&k, records, count, checks, check_count);
    uint32_t entries = stream_table_mark(k.view.active).entry_count;
    int code = kit_admit(&k, SLOT, next_offset);
    if (code == 0) {
        next_offset += count;
    } else {
        assert_int_equal(stream_table_mark(k.view.active).entry_count, entries); /* all or nothing */
    }
    assert_int_equal(k.batch.private_ != NULL, code == EVLOG_ERR_FULL); /* what is known is kept for the next call */
    return code;
}

static int append(const struct kit_record *records, uint32_t count)
{
    return append_checked(records, count, NULL, 0);
}

static int append_one(const char *key, const char *id, int64_t expected)
{
    return append(&(struct kit_record){.key = key, .id = id, .expected = expected}, 1);
}

static int delete_one(const char *key, uint8_t tombstone)
{
    return append(&(struct kit_record){.key = key, .expected = STREAM_EXISTS, .tombstone = tombstone}, 1);
}

static void told(int64_t current, int64_t offset, bool deleted, bool ended)
{
    assert_int_equal(k.batch.told.current, current);
    assert_int_equal(k.batch.told.current_offset, offset);
    assert_int_equal(k.batch.told.deleted, deleted);
    assert_int_equal(k.batch.told.ended, ended);
    assert_true(k.batch.told.failed);
}

static void flush(void)
{
    kit_freeze(&k);
    kit_flush(&k);
}

TEST(stream_admit, refuses_a_wrong_version_and_says_the_right_one)
{
    begin();
    assert_int_equal(append_one("a", NULL, 0), EVLOG_ERR_WRONG_VERSION);
    told(-1, -1, false, false);
    assert_int_equal(k.batch.failed_index, 0);
    assert_int_equal(k.batch.cited, -1);
    assert_int_equal(append_one("a", NULL, STREAM_EXISTS), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(append_one("a", NULL, STREAM_NONE), 0);
    assert_int_equal(append_one("a", NULL, STREAM_NONE), EVLOG_ERR_WRONG_VERSION);
    told(0, 100, false, false);
    assert_int_equal(k.batch.cited, 100);
    assert_true(el_slice_eq(k.batch.told.key_bytes, el_slice_str("a")));
    assert_int_equal(append_one("a", NULL, 1), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(append_one("a", NULL, 0), 0);
    assert_int_equal(append_one("a", NULL, STREAM_EXISTS), 0);
    assert_int_equal(append_one("a", NULL, STREAM_ANY), 0);
    assert_int_equal(k.records[0].version, 3);
    assert_int_equal(k.records[0].offset, 103);
    kit_end(&k);
}

TEST(stream_admit, counts_earlier_records_of_the_batch)
{
    begin();
    struct kit_record good[] = {{"a", NULL, NULL, STREAM_NONE, 0},
                                {"b", NULL, NULL, STREAM_NONE, 0},
                                {"a", NULL, NULL, 0, 0},
                                {"a", NULL, NULL, 1, 0},
                                {"b", NULL, NULL, STREAM_EXISTS, 0}};
    assert_int_equal(append(good, 5), 0);
    assert_int_equal(k.records[3].version, 2);
    assert_int_equal(k.records[4].version, 1);
    assert_int_equal(k.records[4].offset, 104);
    struct kit_record bad[] = {{"a", NULL, NULL, 2, 0}, {"a", NULL, NULL, 2, 0}};
    assert_int_equal(append(bad, 2), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(k.batch.failed_index, 1);
    told(2, 103, false, false); /* what is in the log, and not what the refused batch would have made of it */
    kit_end(&k);
}

TEST(stream_admit, knows_an_id_in_every_mode)
{
    static const int64_t modes[] = {STREAM_ANY, STREAM_NONE, STREAM_EXISTS, 0, 1, 77};
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    assert_int_equal(append_one("a", "i1", STREAM_ANY), 0);
    for (uint32_t flushed = 0; flushed < 2; flushed++) {
        for (uint32_t i = 0; i < 6; i++) {
            assert_int_equal(append_one("a", "i1", modes[i]), EVLOG_ERR_EXISTS);
            assert_int_equal(k.records[0].version, 1);
            assert_int_equal(k.records[0].offset, 101);
            assert_int_equal(k.batch.cited, 101);
        }
        flush();
    }
    kit_end(&k);
}

/* A retry of what has been stored is told so, although the stream has gone on since. */
TEST(stream_admit, asks_for_ids_before_versions)
{
    begin();
    struct kit_record batch[] = {{"a", "i0", NULL, STREAM_NONE, 0}, {"a", "i1", NULL, 0, 0}};
    assert_int_equal(append(batch, 2), 0);
    assert_int_equal(append_one("a", "i2", 1), 0);
    assert_int_equal(append(batch, 2), EVLOG_ERR_EXISTS);
    assert_int_equal(k.records[0].version, 0);
    assert_int_equal(k.records[1].version, 1);
    assert_int_equal(k.batch.failed_index, -1);
    kit_end(&k);
}

TEST(stream_admit, asks_for_ids_before_checks)
{
    begin();
    struct kit_record record = {"a", "i0", NULL, STREAM_ANY, 0};
    struct kit_check check = {"other", STREAM_NONE};
    assert_int_equal(append_checked(&record, 1, &check, 1), 0);
    assert_int_equal(append_one("other", NULL, STREAM_ANY), 0);
    assert_int_equal(append_checked(&record, 1, &check, 1), EVLOG_ERR_EXISTS);
    kit_end(&k);
}

TEST(stream_admit, asks_for_ids_before_ends)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    assert_int_equal(delete_one("a", STREAM_RECORD_HARD), 0);
    assert_int_equal(append_one("a", "i0", STREAM_ANY), EVLOG_ERR_EXISTS);
    assert_int_equal(append_one("a", "i1", STREAM_ANY), EVLOG_ERR_STREAM_ENDED);
    kit_end(&k);
}

TEST(stream_admit, asks_for_ends_before_versions)
{
    begin();
    assert_int_equal(append_one("a", NULL, STREAM_ANY), 0);
    assert_int_equal(delete_one("a", STREAM_RECORD_HARD), 0);
    assert_int_equal(append_one("a", NULL, 55), EVLOG_ERR_STREAM_ENDED);
    told(1, 101, true, true);
    assert_int_equal(k.batch.cited, 101);
    assert_int_equal(append_one("a", NULL, 1), EVLOG_ERR_STREAM_ENDED);
    assert_int_equal(append_one("a", NULL, STREAM_NONE), EVLOG_ERR_STREAM_ENDED);
    kit_end(&k);
}

TEST(stream_admit, refuses_a_batch_that_is_half_there)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    for (uint32_t flushed = 0; flushed < 2; flushed++) {
        struct kit_record half[] = {{"a", "i1", NULL, STREAM_ANY, 0}, {"a", "i0", NULL, STREAM_ANY, 0}};
        assert_int_equal(append(half, 2), EVLOG_ERR_ID_CONFLICT);
        assert_int_equal(k.batch.failed_index, 1);
        assert_int_equal(k.records[1].version, 0);
        assert_int_equal(k.records[1].offset, 100);
        assert_int_equal(k.records[0].version, -1);
        assert_int_equal(k.batch.cited, 100);
        told(0, 100, false, false);
        struct kit_record without[] = {{"a", "i0", NULL, STREAM_ANY, 0}, {"a", NULL, NULL, STREAM_ANY, 0}};
        assert_int_equal(append(without, 2), EVLOG_ERR_ID_CONFLICT);
        struct kit_record keyless[] = {{"a", "i0", NULL, STREAM_ANY, 0}, {NULL, NULL, "t", STREAM_ANY, 0}};
        assert_int_equal(append(keyless, 2), EVLOG_ERR_ID_CONFLICT);
        flush();
    }
    kit_end(&k);
}

TEST(stream_admit, refuses_an_id_twice_in_a_batch)
{
    begin();
    struct kit_record twice[] = {{"a", "i0", NULL, STREAM_ANY, 0},
                                 {"b", "i0", NULL, STREAM_ANY, 0}, /* another stream's */
                                 {"a", "i0", NULL, STREAM_ANY, 0}};
    assert_int_equal(append(twice, 3), EVLOG_ERR_ID_CONFLICT);
    assert_int_equal(k.batch.failed_index, 2);
    assert_int_equal(k.records[2].version, -1);
    assert_int_equal(k.batch.cited, -1);
    assert_int_equal(append(twice, 2), 0);
    assert_int_equal(append(twice, 3), EVLOG_ERR_ID_CONFLICT); /* also when all of them are there */
    kit_end(&k);
}

TEST(stream_admit, takes_the_same_id_in_another_stream_and_partition)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_NONE), 0);
    assert_int_equal(append_one("b", "i0", STREAM_NONE), 0);
    struct kit_record again = {"a", "i0", NULL, STREAM_NONE, 0};
    kit_batch(&k, &again, 1, NULL, 0);
    assert_int_equal(kit_admit(&k, SLOT + 1, 0), 0);
    assert_int_equal(k.records[0].version, 0);
    kit_end(&k);
}

TEST(stream_admit, tells_all_failing_checks)
{
    begin();
    assert_int_equal(append_one("a", NULL, STREAM_ANY), 0);
    assert_int_equal(append_one("b", NULL, STREAM_ANY), 0);
    assert_int_equal(delete_one("b", STREAM_RECORD_SOFT), 0);
    struct kit_record record = {"w", NULL, NULL, STREAM_ANY, 0};
    struct kit_check checks[] = {{"a", STREAM_NONE}, {"a", 0}, {"b", STREAM_EXISTS}, {"c", 3}, {"w", STREAM_NONE}};
    assert_int_equal(append_checked(&record, 1, checks, 5), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(k.batch.failed_index, -1);
    static const bool failed[] = {true, false, true, true, false};
    static const int64_t current[] = {0, 0, 1, -1, -1};
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(k.checks[i].failed, failed[i]);
        assert_int_equal(k.checks[i].current, current[i]);
    }
    assert_true(k.checks[2].deleted);
    assert_false(k.checks[2].ended);
    assert_int_equal(k.batch.cited, 102);
    /* with a record that fails as well, both are told */
    record.expected = STREAM_EXISTS;
    assert_int_equal(append_checked(&record, 1, checks, 5), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(k.batch.failed_index, 0);
    assert_true(k.checks[0].failed);
    kit_end(&k);
}

TEST(stream_admit, checks_what_was_there_before_the_batch)
{
    begin();
    struct kit_record record = {"a", NULL, NULL, STREAM_ANY, 0};
    struct kit_check none = {"a", STREAM_NONE}, first = {"a", 0};
    assert_int_equal(append_checked(&record, 1, &none, 1), 0);
    assert_int_equal(append_checked(&record, 1, &first, 1), 0);
    assert_int_equal(append_checked(&record, 1, &first, 1), EVLOG_ERR_WRONG_VERSION);
    kit_end(&k);
}

TEST(stream_admit, goes_on_numbering_after_a_soft_deletion)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    assert_int_equal(delete_one("a", STREAM_RECORD_SOFT), 0);
    assert_int_equal(k.records[0].version, 1);
    assert_int_equal(delete_one("a", STREAM_RECORD_SOFT), EVLOG_ERR_WRONG_VERSION); /* it exists no more */
    told(1, 101, true, false);
    for (uint32_t i = 0; i < 3; i++) {
        struct kit_record record = {"w", NULL, NULL, STREAM_ANY, 0};
        struct kit_check holds[] = {{"a", STREAM_NONE}, {"a", 1}, {"a", STREAM_ANY}};
        struct kit_check fails[] = {{"a", STREAM_EXISTS}, {"a", 0}, {"a", 2}};
        assert_int_equal(append_checked(&record, 1, &holds[i], 1), 0);
        assert_int_equal(append_checked(&record, 1, &fails[i], 1), EVLOG_ERR_WRONG_VERSION);
    }
    flush();
    assert_int_equal(append_one("a", "i1", STREAM_NONE), 0);
    assert_int_equal(k.records[0].version, 2);
    assert_int_equal(append_one("a", NULL, STREAM_NONE), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(append_one("a", "i0", STREAM_ANY), EVLOG_ERR_EXISTS); /* ids outlive a deletion */
    kit_end(&k);
}

TEST(stream_admit, counts_tombstones_within_a_batch)
{
    begin();
    struct kit_record soft[] = {{"a", NULL, NULL, STREAM_ANY, 0},
                                {"a", NULL, NULL, STREAM_EXISTS, STREAM_RECORD_SOFT},
                                {"a", NULL, NULL, STREAM_NONE, 0}};
    assert_int_equal(append(soft, 3), 0);
    struct kit_record hard[] = {{"a", NULL, NULL, STREAM_EXISTS, STREAM_RECORD_HARD}, {"a", NULL, NULL, STREAM_ANY, 0}};
    assert_int_equal(append(hard, 2), EVLOG_ERR_STREAM_ENDED);
    assert_int_equal(k.batch.failed_index, 1);
    told(2, 102, false, false); /* nothing of it was appended */
    struct el_stream_entry found[4];
    assert_int_equal(
        stream_table_find(k.view.active, SLOT, stream_hash_deleted(kit_key("a")), 0, UINT64_MAX, false, found, 4), 1);
    assert_int_equal(found[0].position, 1);
    assert_true((found[0].place & STREAM_PLACE_SOFT) != 0);
    kit_end(&k);
}

TEST(stream_admit, a_check_of_an_ended_stream_holds_for_its_last_version_only)
{
    begin();
    assert_int_equal(append_one("a", NULL, STREAM_ANY), 0);
    assert_int_equal(delete_one("a", STREAM_RECORD_HARD), 0);
    struct kit_record record = {"w", NULL, NULL, STREAM_ANY, 0};
    struct kit_check checks[] = {{"a", STREAM_NONE}, {"a", STREAM_EXISTS}, {"a", 0}, {"a", 1}, {"a", STREAM_ANY}};
    assert_int_equal(append_checked(&record, 1, checks, 5), EVLOG_ERR_WRONG_VERSION);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(k.checks[i].failed, i < 3);
        assert_true(k.checks[i].ended);
    }
    kit_end(&k);
}

TEST(stream_admit, records_without_a_key_are_in_no_stream)
{
    begin();
    struct kit_record records[] = {{NULL, NULL, "t", STREAM_ANY, 0}, {NULL, NULL, NULL, STREAM_ANY, 0}};
    assert_int_equal(append(records, 2), 0);
    assert_int_equal(k.records[0].version, -1);
    assert_int_equal(k.records[1].offset, 101);
    assert_int_equal(stream_table_mark(k.view.active).entry_count, 1);
    assert_int_equal(stream_table_mark(k.view.active).name_count, 0);
    struct el_stream_entry found;
    assert_true(stream_table_newest(k.view.active, SLOT, stream_hash_type(&kit_secret, el_slice_str("t")), &found));
    assert_int_equal(found.position, 100);
    kit_end(&k);
}

TEST(stream_admit, names_a_stream_once)
{
    begin();
    for (int i = 0; i < 3; i++) {
        struct kit_record records[] = {{"a", NULL, NULL, STREAM_ANY, 0}, {"a", NULL, NULL, STREAM_ANY, 0}};
        assert_int_equal(append(records, 2), 0);
        flush();
    }
    assert_int_equal(k.run_names, 1);
    kit_end(&k);
}

TEST(stream_admit, an_undo_leaves_no_trace)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    struct kit_record records[] = {{"a", "i1", "t", 0, 0}, {"b", "i1", "t", STREAM_NONE, 0}};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append(records, 2), 0);
        stream_table_undo(k.view.active, k.view.undo);
        next_offset -= 2;
        assert_int_equal(stream_table_mark(k.view.active).name_count, 1);
    }
    assert_int_equal(append_one("b", NULL, STREAM_EXISTS), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(append(records, 2), 0);
    assert_int_equal(append(records, 2), EVLOG_ERR_EXISTS);
    kit_end(&k);
}

TEST(stream_admit, asks_memory_before_the_cache_and_the_cache_before_runs)
{
    begin();
    k.filters_lie = true;
    assert_int_equal(append_one("a", NULL, STREAM_ANY), 0);
    flush(); /* the cache has version 0 */
    uint64_t runs_before = k.view.by_runs;
    assert_int_equal(append_one("a", NULL, 0), 0);
    assert_int_equal(k.view.by_heads, 1);
    assert_int_equal(append_one("a", NULL, 1), 0); /* and still has, while the table has 1 */
    kit_freeze(&k);
    assert_int_equal(append_one("a", NULL, 2), 0);
    assert_int_equal(k.view.by_memory, 2);
    assert_int_equal(k.view.by_runs, runs_before);
    kit_flush(&k);
    assert_int_equal(append_one("a", NULL, 3), 0);
    stream_heads_clear(k.view.heads);
    flush();
    stream_heads_clear(k.view.heads);
    assert_int_equal(append_one("a", NULL, 4), 0);
    assert_int_equal(k.view.by_runs, runs_before + 1);
    kit_end(&k);
}

TEST(stream_admit, a_stream_without_events_has_no_ids_to_look_up)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    flush();
    struct kit_record record = {"new", "i0", NULL, STREAM_NONE, 0};
    kit_batch(&k, &record, 1, NULL, 0);
    if (kit_key("new").low % 64 != 0) { /* its filter does not lie */
        k.filters_lie = false;
        assert_int_equal(stream_admit(&k.view, SLOT, next_offset, &k.batch), 0);
    }
    kit_end(&k);
}

TEST(stream_admit, can_be_given_up_while_it_waits)
{
    begin();
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    flush();
    stream_heads_clear(k.view.heads);
    struct kit_record record = {"a", "i0", NULL, STREAM_ANY, 0};
    size_t used = k.buddy.used;
    kit_batch(&k, &record, 1, NULL, 0);
    assert_int_equal(stream_admit(&k.view, SLOT, next_offset, &k.batch), EVLOG_ERR_AGAIN);
    uint32_t count;
    stream_admit_lookups(&k.batch, &count);
    assert_int_equal(count, 2);
    stream_admit_forget(&k.view, &k.batch);
    assert_int_equal(k.buddy.used, used);
    assert_int_equal(kit_admit(&k, SLOT, next_offset), EVLOG_ERR_EXISTS);
    kit_end(&k);
}

TEST(stream_admit, waits_for_another_table_when_this_one_is_full)
{
    kit_begin(&k, STREAM_TABLE_MEMORY_MIN, 4096);
    next_offset = 0;
    struct kit_record record = {"a", "i0", "t", STREAM_ANY, 0};
    char id[16];
    uint32_t batches = 0;
    int code;
    record.id = id;
    do {
        snprintf(id, sizeof(id), "i%u", batches++);
        code = append(&record, 1);
    } while (code == 0);
    assert_int_equal(code, EVLOG_ERR_FULL);
    kit_freeze(&k);
    assert_int_equal(stream_admit(&k.view, SLOT, next_offset, &k.batch), 0);
    assert_int_equal(k.records[0].version, batches - 1);
    assert_null(k.batch.private_);
    kit_end(&k);
    assert_true(batches > 200);
}

TEST(stream_admit, refuses_what_no_table_could_hold)
{
    kit_begin(&k, STREAM_TABLE_MEMORY_MIN, 4096);
    static char keys[KIT_RECORD_MAX][3000];
    struct kit_record records[KIT_RECORD_MAX];
    for (uint32_t i = 0; i < KIT_RECORD_MAX; i++) {
        memset(keys[i], 'a' + (int)(i % 26), sizeof(keys[i]) - 2);
        keys[i][0] = (char)('0' + i);
        records[i] = (struct kit_record){keys[i], NULL, NULL, STREAM_ANY, 0};
    }
    next_offset = 0;
    assert_int_equal(append(records, KIT_RECORD_MAX), EVLOG_ERR_TOO_LARGE);
    assert_int_equal(append(records, 5), 0);
    kit_end(&k);
}

TEST(stream_admit, keeps_nothing_when_the_shard_has_no_memory)
{
    begin();
    void *all[64];
    uint32_t count = 0;
    for (size_t len = 32 << 20; len >= 4096; len /= 2) {
        while ((all[count] = el_buddy_alloc(&k.buddy, len)) != NULL) {
            count++;
        }
    }
    assert_int_equal(append_one("a", "i0", STREAM_ANY), EVLOG_ERR_NO_MEMORY);
    while (count > 0) {
        el_buddy_free(&k.buddy, all[--count]);
    }
    assert_int_equal(append_one("a", "i0", STREAM_ANY), 0);
    kit_end(&k);
}

TEST(stream_admit, replay_takes_what_the_log_says)
{
    begin();
    struct kit_record records[] = {{"a", "i0", "t", 7, 0}, /* the check was made when it was appended */
                                   {"a", "i1", NULL, STREAM_ANY, STREAM_RECORD_HARD},
                                   {NULL, NULL, "t", STREAM_ANY, 0}};
    uint32_t done = 0;
    kit_batch(&k, records, 3, NULL, 0);
    assert_int_equal(stream_admit_replay(&k.view, SLOT, 50, &k.batch, &done), 0);
    assert_int_equal(done, 3);
    assert_int_equal(k.records[1].version, 1);
    assert_int_equal(k.records[1].offset, 51);
    next_offset = 60;
    assert_int_equal(append_one("a", "i0", STREAM_ANY), EVLOG_ERR_EXISTS);
    assert_int_equal(k.records[0].offset, 50);
    assert_int_equal(append_one("a", "i9", STREAM_ANY), EVLOG_ERR_STREAM_ENDED);
    kit_end(&k);
}

TEST(stream_admit, replay_goes_on_in_another_table)
{
    kit_begin(&k, STREAM_TABLE_MEMORY_MIN, 4096);
    struct kit_record records[KIT_RECORD_MAX];
    uint32_t frozen = 0;
    for (uint32_t i = 0; i < KIT_RECORD_MAX; i++) {
        records[i] = (struct kit_record){i % 2 == 0 ? "a" : "b", NULL, "t", STREAM_ANY, 0};
    }
    for (int64_t offset = 0; offset < 40 * KIT_RECORD_MAX; offset += KIT_RECORD_MAX) {
        uint32_t done = 0;
        kit_batch(&k, records, KIT_RECORD_MAX, NULL, 0);
        int code;
        while ((code = stream_admit_replay(&k.view, SLOT, offset, &k.batch, &done)) != 0) {
            assert_int_equal(code, EVLOG_ERR_FULL);
            assert_true(done < KIT_RECORD_MAX);
            flush();
            frozen++;
        }
        assert_int_equal(k.records[62].version, (offset + 62) / 2);
        assert_int_equal(k.records[63].version, (offset + 62) / 2);
    }
    assert_true(frozen > 3);
    assert_int_equal(k.run_names, 2);
    kit_end(&k);
}

static void check_without_key(void *arg)
{
    begin();
    (void)append_one(NULL, NULL, STREAM_NONE);
}

TEST(stream_admit, asserts_that_checks_have_keys)
{
    assert_true(el_test_aborts(check_without_key, NULL));
}
