/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: of a batch that is redacted nothing is left on the disk, wherever it was, and nothing else changes. Method: a
 * store on the simulated machine; what a log holds is compared as text, "o:value" for each event and "[first-last]" for
 * a mark, and every file of the disk, and what may still get into it, is searched for the secret.
 */
#include "kit.h"

#include <core/crypto.h>
#include <format/archive_layout.h>
#include <format/redaction.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_LEN 16384
#define SECRET "swordfish-0123456789-swordfish"

static void on_flag(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

static void wait_for(struct kit *k, const bool *flag)
{
    assert_true(world_wait(&k->w, flag));
    assert_string_equal(k->w.violation, "");
}

/* One batch of so many events with this value. returns its offset */
static int64_t put(struct kit *k, const char *value, uint32_t count)
{
    static uint8_t buf[65536];
    struct el_batch_builder builder;
    struct el_slice batch;
    bool done = false;
    el_batch_builder_init_fixed(&builder, buf, sizeof buf);
    for (uint32_t i = 0; i < count; i++) {
        struct el_record_body body = {.value = el_slice_str(value)};
        assert_int_equal(el_batch_builder_add(&builder, 1000 + k->sent++, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    struct append_op op = {.base = {.done = on_flag, .arg = &done},
                           .topic_id = k->topic,
                           .batch = batch.data,
                           .batch_len = (uint32_t)batch.len};
    assert_int_equal(el_batch_check(batch.data, batch.len, op.batch_len, NULL, 0, &op.info), 0);
    store_append(kit_shard(k), &op);
    wait_for(k, &done);
    assert_int_equal(op.base.error, 0);
    return op.base_offset;
}

static size_t batch_text(char *text, size_t used, const uint8_t *batch, size_t len)
{
    struct el_redaction_mark mark;
    struct el_batch_iter iter;
    struct el_batch_record record;
    assert_int_equal(el_batch_verify(batch, len), 0);
    if (el_redaction_mark_get(batch, len, &mark)) {
        return used + (size_t)snprintf(text + used, TEXT_LEN - used, "[%lld-%lld]", (long long)mark.first_offset,
                                       (long long)mark.first_offset + mark.last_offset_delta);
    }
    assert_int_equal(el_batch_open(&iter, batch, len, NULL, 0), 0);
    while (el_batch_next(&iter, &record) == 1) {
        used += (size_t)snprintf(text + used, TEXT_LEN - used, " %lld:%.*s", (long long)record.offset,
                                 (int)EL_MIN(record.record.value.len, (size_t)6), record.record.value.data);
    }
    return used;
}

/* What a reader finds from the start of the log to its end. */
static const char *log_text(struct kit *k)
{
    static char text[TEXT_LEN];
    int64_t offset = 0, end = kit_lookup(k, 0, -1);
    size_t used = 0;
    text[0] = 0;
    while (offset < end) {
        bool done = false;
        struct read_op op = {.base = {.done = on_flag, .arg = &done},
                             .topic_id = k->topic,
                             .offset = offset,
                             .max_bytes = 1,
                             .at_least_one = true,
                             .want_entries = true,
                             .current_leader_epoch = -1,
                             .last_fetched_epoch = -1};
        store_read(kit_shard(k), &op);
        wait_for(k, &done);
        assert_int_equal(op.base.error, 0);
        assert_true(op.entry_count > 0); /* or a consumer would wait for ever */
        for (uint32_t i = 0; i < op.entry_count; i++) {
            used = batch_text(text, used, op.data + op.entries[i].pos, op.entries[i].len);
        }
        offset = op.next_offset;
        store_read_release(&op);
    }
    return text;
}

static struct redact_op redaction_of(struct kit *k, int64_t first, int64_t end)
{
    return (struct redact_op){.topic_id = k->topic,
                              .first_offset = first,
                              .end_offset = end,
                              .when_ms = 77,
                              .reason = el_slice_str("a password")};
}

static int redact_op(struct kit *k, struct redact_op *op)
{
    bool done = false;
    op->base.done = on_flag;
    op->base.arg = &done;
    store_redact(kit_shard(k), op);
    wait_for(k, &done);
    return op->base.error;
}

/* returns how many batches were made marks | EVLOG_ERR_... */
static int64_t redact(struct kit *k, int64_t first, int64_t end)
{
    struct redact_op op = redaction_of(k, first, end);
    int code = redact_op(k, &op);
    return code != 0 ? code : (int64_t)op.batch_count;
}

static void is_nowhere(struct kit *k)
{
    const char *path = sim_disk_holds(k->w.disk, SECRET, strlen(SECRET));
    if (path != NULL) {
        fprintf(stderr, "the secret is in %s\n", path);
    }
    assert_null(path);
}

static void begin(struct kit *k, uint64_t seed, const char *settings)
{
    kit_init(k, seed);
    assert_int_equal(kit_open(k), 0);
    kit_topic(k, 1, settings);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(redact, what_is_not_there_is_refused)
{
    struct kit k;
    begin(&k, 301, "");
    put(&k, "a", 2);
    assert_int_equal(redact(&k, 0, 3), EVLOG_ERR_OFFSET_RANGE);
    assert_int_equal(redact(&k, 1, 1), EVLOG_ERR_OFFSET_RANGE);
    assert_int_equal(redact(&k, -1, 1), EVLOG_ERR_OFFSET_RANGE);
    struct redact_op op = redaction_of(&k, 0, 1);
    op.partition = 1;
    assert_int_equal(redact_op(&k, &op), EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(kit_topic_delete(&k), 0);
    assert_int_equal(redact(&k, 0, 1), EVLOG_ERR_UNKNOWN_TOPIC_ID);
    kit_free(&k);
}

TEST(redact, another_one_waits_until_the_first_is_done)
{
    struct kit k;
    begin(&k, 302, "");
    put(&k, "a", 2);
    bool done[2] = {false, false};
    struct redact_op one = redaction_of(&k, 0, 1), two = redaction_of(&k, 0, 1);
    one.base = (struct store_op){.done = on_flag, .arg = &done[0]};
    two.base = (struct store_op){.done = on_flag, .arg = &done[1]};
    store_redact(kit_shard(&k), &one);
    store_redact(kit_shard(&k), &two);
    wait_for(&k, &done[1]);
    assert_int_equal(two.base.error, EVLOG_ERR_AGAIN);
    wait_for(&k, &done[0]);
    assert_int_equal(one.base.error, 0);
    kit_free(&k);
}

/* --- what goes ---------------------------------------------------------------------------------------------------- */

TEST(redact, a_batch_that_the_journal_alone_has_is_gone)
{
    struct kit k;
    begin(&k, 303, "");
    put(&k, "a", 1);
    put(&k, SECRET, 3);
    put(&k, "b", 1);
    assert_non_null(sim_disk_holds(k.w.disk, SECRET, strlen(SECRET)));
    assert_int_equal(redact(&k, 2, 3), 1);
    is_nowhere(&k);
    assert_string_equal(log_text(&k), " 0:a[1-3] 4:b");
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_string_equal(log_text(&k), " 0:a[1-3] 4:b");
    is_nowhere(&k);
    kit_free(&k);
}

TEST(redact, batches_in_closed_segments_are_gone_and_the_others_stay)
{
    struct kit k;
    char before[TEXT_LEN];
    static char value[60000];
    begin(&k, 304, "segment.bytes=1048576");
    for (int i = 0; i < 60; i++) {
        bool secret = i >= 20 && i < 33;
        snprintf(value, sizeof value, "%05d%50000d%s", i, i, secret ? SECRET : "");
        assert_int_equal(put(&k, value, 1), i);
    }
    assert_true(kit_checkpoint(&k));
    assert_true(kit_checkpoint(&k));
    assert_true(kit_files(&k, ".seg") > 2);
    assert_int_equal(redact(&k, 20, 33), 13);
    is_nowhere(&k);
    snprintf(before, sizeof before, "%s", log_text(&k));
    for (int i = 0; i < 60; i++) {
        char one[32];
        snprintf(one, sizeof one, i >= 20 && i < 33 ? "[%d-%d]" : " %d:%05d ", i, i);
        assert_non_null(strstr(before, one));
    }
    assert_int_equal(redact(&k, 20, 33), 0); /* again: nothing is left to do */
    assert_string_equal(log_text(&k), before);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_string_equal(log_text(&k), before);
    kit_free(&k);
}

TEST(redact, the_last_event_of_the_log_leaves_a_mark_to_read)
{
    struct kit k;
    begin(&k, 305, "");
    put(&k, "a", 1);
    put(&k, SECRET, 1);
    assert_int_equal(redact(&k, 1, 2), 1);
    is_nowhere(&k);
    assert_string_equal(log_text(&k), " 0:a[1-1]");
    assert_int_equal(put(&k, "b", 1), 2);
    assert_string_equal(log_text(&k), " 0:a[1-1] 2:b");
    kit_free(&k);
}

TEST(redact, a_mark_has_what_the_leaf_is_made_of_and_no_salt)
{
    struct kit k;
    begin(&k, 306, "");
    put(&k, SECRET, 2);
    uint8_t digest[32];
    int64_t max_timestamp_ms = 0;
    for (int i = 0; i < 2; i++) {
        bool done = false;
        struct read_op op = {.base = {.done = on_flag, .arg = &done},
                             .topic_id = k.topic,
                             .max_bytes = 65536,
                             .want_entries = true,
                             .current_leader_epoch = -1,
                             .last_fetched_epoch = -1};
        store_read(kit_shard(&k), &op);
        wait_for(&k, &done);
        assert_int_equal(op.entry_count, 1);
        struct el_redaction_mark mark;
        if (i == 0) {
            el_leaf_digest(op.entries[0].salt, op.data, op.entries[0].len, digest);
            max_timestamp_ms = op.entries[0].max_timestamp_ms;
            assert_int_equal(redact(&k, 0, 1), 1);
        } else {
            static const uint8_t zeros[16];
            assert_true(el_redaction_mark_get(op.data, op.data_len, &mark));
            assert_memory_equal(mark.digest, digest, 32);
            assert_memory_equal(op.entries[0].salt, zeros, 16);
            assert_int_equal(mark.record_count, 2);
            assert_int_equal(mark.max_timestamp_ms, max_timestamp_ms);
            assert_int_equal(op.entries[0].max_timestamp_ms, max_timestamp_ms);
            assert_int_equal(mark.when_ms, 77);
            assert_true(el_slice_eq(mark.reason, el_slice_str("a password")));
        }
        store_read_release(&op);
    }
    kit_free(&k);
}

TEST(redact, events_that_are_appended_meanwhile_are_kept)
{
    struct kit k;
    begin(&k, 307, "");
    put(&k, SECRET, 1);
    bool done = false;
    struct redact_op op = redaction_of(&k, 0, 1);
    op.base = (struct store_op){.done = on_flag, .arg = &done};
    store_redact(kit_shard(&k), &op);
    int64_t count = 1;
    for (; !done && count < 3000; count++) {
        assert_int_equal(put(&k, "b", 1), count);
    }
    assert_true(done);
    assert_int_equal(op.base.error, 0);
    is_nowhere(&k);
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_lookup(&k, 0, -1), count);
    is_nowhere(&k);
    kit_free(&k);
}

TEST(redact, another_partition_is_left_as_it_was)
{
    struct kit k;
    kit_init(&k, 308);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 2, "");
    put(&k, SECRET, 1);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(kit_append(&k, 1, 700), i);
    }
    assert_int_equal(redact(&k, 0, 1), 1);
    is_nowhere(&k);
    kit_read_all(&k, 1, 0, 9);
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 1, 0, 9);
    kit_free(&k);
}

/* --- crashes ------------------------------------------------------------------------------------------------------ */

TEST(redact, after_a_crash_anywhere_it_can_be_done_again)
{
    for (uint64_t at = 1; at < 140; at += 3) {
        struct kit k;
        begin(&k, 400 + at, "");
        for (int i = 0; i < 12; i++) {
            put(&k, i == 3 || i == 9 ? SECRET : "ordinary", 2);
            if (i == 6) {
                assert_true(kit_checkpoint(&k));
            }
        }
        bool done = false;
        struct redact_op op = redaction_of(&k, 7, 20);
        op.base = (struct store_op){.done = on_flag, .arg = &done};
        el_test_may_leak(true);
        sim_disk_crash_at(k.w.disk, at);
        store_redact(kit_shard(&k), &op);
        for (uint32_t i = 0; i < 20000 && !done && !sim_disk_crashed(k.w.disk); i++) {
            (void)world_step(&k.w);
        }
        assert_true(done || sim_disk_crashed(k.w.disk));
        sim_disk_crash_at(k.w.disk, 0);
        kit_crash(&k);
        el_test_may_leak(false);
        assert_int_equal(kit_open(&k), 0);
        assert_true(redact(&k, 7, 20) >= 0);
        is_nowhere(&k);
        assert_string_equal(log_text(&k),
                            " 0:ordina 1:ordina 2:ordina 3:ordina 4:ordina 5:ordina[6-7][8-9][10-11][12-13]"
                            "[14-15][16-17][18-19] 20:ordina 21:ordina 22:ordina 23:ordina");
        kit_free(&k);
    }
}
