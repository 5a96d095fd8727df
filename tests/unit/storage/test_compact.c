/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: compaction keeps the last event of each key at its offset, nothing else leaves, tombstones stay their time, and
 * reads go on over the holes. Method: a store on the simulated machine; logs are written and compared as text, one word
 * "offset:key=value" for each record.
 */
#include "kit.h"

#include <core/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <storage/compact.h>
#include <storage/compact_batch.h>
#include <storage/compact_map.h>

#define LOG_LEN 16384

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

/* Let so many virtual seconds pass. */
static void pass(struct kit *k, uint64_t seconds)
{
    uint64_t end = k->w.clock.now_ns + seconds * 1000000000;
    while (k->w.clock.now_ns < end) {
        kit_steps(k, 1);
    }
}

static struct partition *part_of(struct kit *k)
{
    return partition_find(kit_shard(k), &k->topic, 0);
}

/* One batch of the records "key=value key=value ..."; "key" alone is a tombstone, "=value" has no key, and a value of
 * the form *N is N bytes long. returns its offset */
static int64_t put_packed(struct kit *k, const char *records, enum el_codec codec)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    static char text[LOG_LEN], padding[65536];
    char *rest = text;
    snprintf(text, sizeof(text), "%s", records);
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        char *value = strchr(word, '=');
        struct el_record_body body = {0};
        if (value != NULL) {
            *value++ = 0;
            body.value = el_slice_str(value);
            if (value[0] == '*') {
                memset(padding, 'x', sizeof(padding));
                body.value = el_slice_of(padding, (size_t)atoi(value + 1));
            }
        }
        body.key = word[0] == 0 ? el_slice_of(NULL, 0) : el_slice_str(word);
        assert_int_equal(el_batch_builder_add(&builder, 1000 + k->sent++, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, codec, NULL, &batch), 0);
    bool done = false;
    struct append_op op = {.base = {.done = on_flag, .arg = &done},
                           .topic_id = k->topic,
                           .batch = batch.data,
                           .batch_len = (uint32_t)batch.len};
    static uint8_t scratch[1 << 20];
    assert_int_equal(el_batch_check(batch.data, batch.len, op.batch_len, scratch, sizeof(scratch), &op.info), 0);
    store_append(kit_shard(k), &op);
    wait_for(k, &done);
    el_batch_builder_destroy(&builder);
    assert_int_equal(op.base.error, 0);
    return op.base_offset;
}

static int64_t put(struct kit *k, const char *records)
{
    return put_packed(k, records, EL_CODEC_NONE);
}

static size_t log_batch(char *text, size_t used, const uint8_t *batch, size_t len)
{
    static uint8_t scratch[1 << 20];
    struct el_batch_iter iter;
    struct el_batch_record record;
    assert_int_equal(el_batch_verify(batch, len), 0);
    assert_int_equal(el_batch_open(&iter, batch, len, scratch, sizeof(scratch)), 0);
    while (el_batch_next(&iter, &record) == 1) {
        struct el_slice key = record.record.key, value = record.record.value;
        int shown = value.len > 40 ? 3 : (int)value.len;
        used += (size_t)snprintf(text + used, LOG_LEN - used, "%s%lld:%.*s%s%.*s", used == 0 ? "" : " ",
                                 (long long)record.offset, (int)key.len, key.data == NULL ? "" : (const char *)key.data,
                                 value.data == NULL ? "" : "=", shown, (const char *)value.data);
    }
    return used;
}

/* What a reader sees from an offset on, batch by batch; it must come to the end. */
static const char *log_from(struct kit *k, int64_t offset)
{
    static char text[LOG_LEN];
    size_t used = 0;
    int64_t end = kit_lookup(k, 0, -1);
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
            used = log_batch(text, used, op.data + op.entries[i].pos, op.entries[i].len);
        }
        assert_true(op.next_offset > offset);
        offset = op.next_offset;
        store_read_release(&op);
    }
    return text;
}

#define COMPACTED "cleanup.policy=compact min.cleanable.dirty.ratio=0 max.compaction.lag.ms=2000 "

static void begin(struct kit *k, uint64_t seed, const char *settings)
{
    kit_init(k, seed);
    assert_int_equal(kit_open(k), 0);
    kit_topic(k, 1, settings);
}

TEST(compact, the_last_event_of_each_key_stays_at_its_offset)
{
    struct kit k;
    begin(&k, 101, COMPACTED);
    put(&k, "a=1 b=1 a=2");
    put(&k, "b=2");
    put(&k, "a=3 c=1");
    pass(&k, 8);
    assert_string_equal(log_from(&k, 0), "3:b=2 4:a=3 5:c=1");
    assert_string_equal(log_from(&k, 1), "3:b=2 4:a=3 5:c=1");
    assert_string_equal(log_from(&k, 4), "4:a=3 5:c=1");
    assert_int_equal(part_of(&k)->clean_end, 6);
    assert_int_equal(put(&k, "b=3"), 6);
    pass(&k, 8);
    assert_string_equal(log_from(&k, 0), "4:a=3 5:c=1 6:b=3");
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_string_equal(log_from(&k, 0), "4:a=3 5:c=1 6:b=3");
    kit_free(&k);
}

/* --- what must not go --------------------------------------------------------------------------------------------- */

TEST(compact, nothing_goes_from_a_topic_that_is_not_compacted)
{
    struct kit k;
    begin(&k, 102, "segment.ms=1000 max.compaction.lag.ms=1000 min.cleanable.dirty.ratio=0");
    put(&k, "a=*3000 a=2");
    put(&k, "a=3 a");
    assert_true(kit_checkpoint(&k));
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "0:a=xxx 1:a=2 2:a=3 3:a");
    kit_free(&k);
}

TEST(compact, events_without_a_key_stay)
{
    struct kit k;
    begin(&k, 103, COMPACTED);
    put(&k, "=1 a=1 =2");
    put(&k, "a=2 =3");
    pass(&k, 8);
    assert_string_equal(log_from(&k, 0), "0:=1 2:=2 3:a=2 4:=3");
    kit_free(&k);
}

TEST(compact, events_younger_than_the_least_lag_stay)
{
    struct kit k;
    begin(&k, 104, COMPACTED "min.compaction.lag.ms=20000");
    put(&k, "a=1 a=2");
    pass(&k, 10);
    put(&k, "a=3 b=1");
    pass(&k, 5);
    assert_string_equal(log_from(&k, 0), "0:a=1 1:a=2 2:a=3 3:b=1");
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:a=2 2:a=3 3:b=1"); /* the others are still too young to say anything */
    pass(&k, 15);
    assert_string_equal(log_from(&k, 0), "2:a=3 3:b=1");
    kit_free(&k);
}

TEST(compact, a_partition_that_is_clean_enough_waits)
{
    struct kit k;
    begin(&k, 105, "cleanup.policy=compact min.cleanable.dirty.ratio=0.5 segment.ms=1000");
    put(&k, "a=*9000 b=*9000 c=*9000 d=*9000");
    assert_true(kit_checkpoint(&k));
    pass(&k, 5);
    assert_int_equal(part_of(&k)->clean_end, 4);
    put(&k, "a=*5000");
    assert_true(kit_checkpoint(&k));
    pass(&k, 5);
    assert_int_equal(part_of(&k)->clean_end, 4);
    put(&k, "b=*60000");
    assert_true(kit_checkpoint(&k));
    pass(&k, 5);
    assert_int_equal(part_of(&k)->clean_end, 6);
    assert_string_equal(log_from(&k, 0), "2:c=xxx 3:d=xxx 4:a=xxx 5:b=xxx");
    kit_free(&k);
}

/* --- tombstones --------------------------------------------------------------------------------------------------- */

TEST(compact, a_tombstone_stays_its_time_after_the_pass_that_came_to_it)
{
    struct kit k;
    begin(&k, 106, COMPACTED "delete.retention.ms=30000");
    put(&k, "a=1 b=1");
    put(&k, "a c=1");
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:b=1 2:a 3:c=1");
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    put(&k, "d=1");
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:b=1 2:a 3:c=1 4:d=1"); /* other passes do not begin the time anew */
    pass(&k, 20);
    assert_string_equal(log_from(&k, 0), "1:b=1 3:c=1 4:d=1"); /* though nothing was written */
    kit_free(&k);
}

/* A reader below the high watermark must find something, or it would wait for ever. */
TEST(compact, the_last_record_of_the_log_stays_whatever_it_is)
{
    struct kit k;
    begin(&k, 107, COMPACTED "delete.retention.ms=0");
    put(&k, "a=1 b=1 b");
    put(&k, "a");
    pass(&k, 20);
    assert_string_equal(log_from(&k, 0), "3:a");
    uint64_t passes = (uint64_t)metrics_get(kit_shard(&k)->metrics, METRIC_COMPACTIONS);
    pass(&k, 60);
    assert_int_equal(metrics_get(kit_shard(&k)->metrics, METRIC_COMPACTIONS), passes); /* it is not tried for ever */
    put(&k, "c=1");
    pass(&k, 20);
    assert_string_equal(log_from(&k, 0), "4:c=1");
    kit_free(&k);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

TEST(compact, packed_batches_are_packed_again)
{
    static const enum el_codec codecs[] = {EL_CODEC_GZIP, EL_CODEC_SNAPPY, EL_CODEC_LZ4, EL_CODEC_ZSTD};
    struct kit k;
    begin(&k, 108, COMPACTED);
    for (int i = 0; i < 4; i++) {
        char text[96];
        snprintf(text, sizeof(text), "a=%d k%d=*30000 l%d=*30000 a=%d", i, i, i, i + 10);
        put_packed(&k, text, codecs[i]);
    }
    pass(&k, 8);
    assert_string_equal(log_from(&k, 0), "1:k0=xxx 2:l0=xxx 5:k1=xxx 6:l1=xxx 9:k2=xxx 10:l2=xxx 13:k3=xxx 14:l3=xxx "
                                         "15:a=13");
    assert_true(part_of(&k)->segment_bytes < 16384);
    kit_free(&k);
}

/* --- the size of things ------------------------------------------------------------------------------------------- */

TEST(compact, more_keys_than_fit_are_compacted_in_several_passes)
{
    struct kit k;
    kit_init(&k, 109);
    k.w.cfg.compact_map_len = 4096; /* 127 keys */
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, COMPACTED);
    char wanted[LOG_LEN] = "";
    size_t used = 0;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 20; i++) {
            char text[1024] = "";
            size_t len = 0;
            for (int r = 0; r < 20; r++) {
                len += (size_t)snprintf(text + len, sizeof(text) - len, "%sk%d=%d", r == 0 ? "" : " ", i * 20 + r,
                                        round);
            }
            int64_t offset = put(&k, text);
            for (int r = 0; r < 20 && round == 1; r++) {
                used += (size_t)snprintf(wanted + used, sizeof(wanted) - used, "%s%d:k%d=1", used == 0 ? "" : " ",
                                         (int)offset + r, i * 20 + r);
            }
        }
    }
    pass(&k, 20);
    assert_string_equal(log_from(&k, 0), wanted);
    assert_int_equal(part_of(&k)->clean_end, 800);
    assert_true(metrics_get(kit_shard(&k)->metrics, METRIC_COMPACTIONS) >= 6);
    kit_free(&k);
}

TEST(compact, small_segments_become_one)
{
    struct kit k;
    begin(&k, 110, COMPACTED);
    for (int i = 0; i < 6; i++) {
        char text[32];
        snprintf(text, sizeof(text), "k%d=*1000", i);
        put(&k, text);
        pass(&k, 5);
    }
    pass(&k, 10);
    uint32_t count = 0;
    EL_LIST_EACH(n, &part_of(&k)->segments) {
        count++;
    }
    assert_int_equal(count, 1);
    pass(&k, 5);
    assert_int_equal(kit_files(&k, ".seg"), 1); /* a quiet store also gets to removing files */
    assert_string_equal(log_from(&k, 0), "0:k0=xxx 1:k1=xxx 2:k2=xxx 3:k3=xxx 4:k4=xxx 5:k5=xxx");
    kit_free(&k);
}

/* --- the catalogue ------------------------------------------------------------------------------------------------ */

static void alter(struct kit *k, const struct el_uuid *id, const char *retention_ms)
{
    struct topic_config config;
    topic_config_init(&config);
    assert_int_equal(topic_config_set(&config, el_slice_str("retention.ms"), el_slice_str(retention_ms), NULL), 0);
    struct topic_op op = {.verb = TOPIC_ALTER, .id = *id, .config = &config};
    assert_int_equal(kit_topic_change(k, &op), 0);
}

static int64_t retention_of(struct kit *k, const struct el_uuid *id)
{
    const struct topic *topic = store_topic_by_id(kit_shard(k), id);
    assert_non_null(topic);
    return topic_config_int(&topic->config, &kit_shard(k)->topic_defaults, TOPIC_RETENTION_MS);
}

static uint64_t catalogue_len(struct kit *k)
{
    uint64_t len = 0;
    EL_LIST_EACH(n, &partition_find(kit_shard(k), &META_TOPIC_ID, META_PARTITION)->segments) {
        len += EL_CONTAINER(n, struct segment, link)->len;
    }
    return len;
}

/* Topics that are made, changed, grown and deleted, one under the name of a deleted one: a start finds them as they
 * were, from a catalogue that has not grown by each change. */
TEST(compact, the_catalogue_keeps_the_last_state_of_each_topic)
{
    struct kit k;
    begin(&k, 119, "");
    struct el_uuid first = k.topic;
    kit_topic(&k, 2000, "");
    struct el_uuid wide = k.topic;
    struct topic_op deletion = {.verb = TOPIC_DELETE, .id = first};
    assert_int_equal(kit_topic_change(&k, &deletion), 0);
    struct topic_op again = {.verb = TOPIC_CREATE, .name = el_slice_str("t1"), .partition_count = 2};
    assert_int_equal(kit_topic_change(&k, &again), 0);
    for (int i = 0; i < 700; i++) { /* 4 KiB each */
        char text[16];
        snprintf(text, sizeof(text), "%d", 1000 + i);
        alter(&k, &wide, text);
    }
    struct topic_op growth = {.verb = TOPIC_GROW, .id = again.id, .partition_count = 3};
    assert_int_equal(kit_topic_change(&k, &growth), 0);
    alter(&k, &wide, "77");
    assert_true(kit_checkpoint(&k));
    pass(&k, 30);
    assert_true(kit_checkpoint(&k));
    assert_true(catalogue_len(&k) < 1200000); /* of 2.8 MB: an active segment, and what is left of the sealed ones */
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_null(store_topic_by_id(kit_shard(&k), &first));
    assert_int_equal(retention_of(&k, &wide), 77);
    assert_int_equal(store_topic_by_id(kit_shard(&k), &wide)->partition_count, 2000);
    const struct topic *other = store_topic_by_name(kit_shard(&k), el_slice_str("t1"));
    assert_non_null(other);
    assert_true(el_uuid_eq(&other->id, &again.id));
    assert_int_equal(other->partition_count, 3);
    kit_free(&k);
}

/* --- holes -------------------------------------------------------------------------------------------------------- */

TEST(compact, lookups_by_time_pass_over_holes)
{
    struct kit k;
    begin(&k, 111, COMPACTED);
    put(&k, "a=1 b=1"); /* times 1000, 1001 */
    put(&k, "c=1");     /* 1002 */
    put(&k, "a=2");     /* 1003 */
    put(&k, "c=2");     /* 1004 */
    pass(&k, 8);
    assert_string_equal(log_from(&k, 0), "1:b=1 3:a=2 4:c=2");
    assert_int_equal(kit_lookup(&k, 0, 1000), 1);
    assert_int_equal(kit_lookup(&k, 0, 1002), 3);
    assert_int_equal(kit_lookup(&k, 0, 1004), 4);
    assert_int_equal(kit_lookup(&k, 0, 1005), -1);
    assert_int_equal(kit_lookup(&k, 0, -3), 4);
    assert_int_equal(kit_lookup(&k, 0, -2), 0);
    assert_int_equal(kit_lookup(&k, 0, -1), 5);
    kit_free(&k);
}

/* Segments of seven offsets without a batch, and two batches behind them. */
static void begin_with_hole(struct kit *k, uint64_t seed)
{
    begin(k, seed, COMPACTED "segment.bytes=65536 delete.retention.ms=3600000");
    for (int i = 0; i < 6; i++) {
        put(k, "a=*60000");
        assert_true(kit_checkpoint(k));
    }
    put(k, "b=*60000");
    assert_true(kit_checkpoint(k));
    pass(k, 10);
    assert_string_equal(log_from(k, 0), "5:a=xxx 6:b=xxx");
    put(k, "a=2");
    put(k, "b=2");
    pass(k, 10);
    assert_string_equal(log_from(k, 0), "7:a=2 8:b=2");
}

/* Segments in the middle may be left without any batch; then reads go on in the next one, or in memory. */
TEST(compact, a_segment_may_be_left_without_a_batch)
{
    struct kit k;
    begin_with_hole(&k, 112);
    assert_int_equal(kit_lookup(&k, 0, 1001), 7);
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_string_equal(log_from(&k, 0), "7:a=2 8:b=2");
    kit_free(&k);
}

TEST(compact, a_read_of_a_hole_whose_topic_is_deleted_meanwhile_says_so)
{
    struct kit k;
    bool ended = false;
    begin_with_hole(&k, 115);
    struct read_op op = {.base = {.done = on_flag, .arg = &ended},
                         .topic_id = k.topic,
                         .max_bytes = 1 << 20,
                         .at_least_one = true,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    store_read(kit_shard(&k), &op);
    assert_false(ended); /* a job looks into the segment, which has nothing left */
    partition_delete(part_of(&k));
    wait_for(&k, &ended);
    assert_int_equal(op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    store_read_release(&op);
    kit_free(&k);
}

TEST(compact, what_was_replaced_is_not_shown_from_memory)
{
    struct kit k;
    begin(&k, 113, COMPACTED "delete.retention.ms=1000");
    put(&k, "a=1 b=1");
    put(&k, "a");
    put(&k, "c=1");
    pass(&k, 20);
    assert_string_equal(log_from(&k, 0), "1:b=1 3:c=1");
    kit_free(&k);
}

/* --- retention, trims --------------------------------------------------------------------------------------------- */

TEST(compact, a_topic_may_be_compacted_and_deleted_from)
{
    struct kit k;
    begin(&k, 114,
          "cleanup.policy=compact,delete min.cleanable.dirty.ratio=0 max.compaction.lag.ms=2000 "
          "retention.ms=60000");
    put(&k, "a=1 b=1 a=2");
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:b=1 2:a=2");
    pass(&k, 70);
    assert_int_equal(kit_lookup(&k, 0, -2), 3);
    put(&k, "a=3");
    assert_string_equal(log_from(&k, 3), "3:a=3");
    kit_free(&k);
}

TEST(compact, retention_deletes_nothing_from_a_topic_that_is_only_compacted)
{
    struct kit k;
    begin(&k, 115, COMPACTED "retention.ms=5000 retention.bytes=10");
    put(&k, "a=1 a=2");
    pass(&k, 60);
    assert_int_equal(kit_lookup(&k, 0, -2), 0);
    assert_string_equal(log_from(&k, 0), "1:a=2");
    kit_free(&k);
}

/* --- damage and the older checkpoint ------------------------------------------------------------------------------ */

TEST(compact, a_damaged_segment_is_left_as_it_is)
{
    struct kit k;
    begin(&k, 116, "cleanup.policy=compact min.cleanable.dirty.ratio=0 segment.ms=1000 min.compaction.lag.ms=30000");
    put(&k, "a=1");
    put(&k, "a=*4000");
    assert_true(kit_checkpoint(&k));
    pass(&k, 5); /* sealed, and too young */
    kit_stop(&k);
    kit_flip(&k, "00000001.seg", 0, 250);
    assert_int_equal(kit_open(&k), 0);
    put(&k, "a=3");
    pass(&k, 40);
    assert_int_equal(part_of(&k)->clean_end, 0);
    assert_true(part_of(&k)->unclean);
    assert_int_equal(kit_files(&k, "00000001.seg"), 1);
    kit_free(&k);
}

static uint32_t checkpoint_files(struct kit *k)
{
    return kit_files(k, "checkpoint/0000/");
}

/* The newest checkpoint no longer lists what compaction replaced; the one before does, and may have to serve. */
TEST(compact, the_checkpoint_before_finds_its_segments)
{
    struct kit k;
    begin(&k, 117, COMPACTED);
    put(&k, "a=1 b=1");
    put(&k, "a=2");
    for (int i = 0; i < 20000 && part_of(&k)->clean_end == 0; i++) {
        kit_steps(&k, 1);
    }
    uint64_t before = kit_shard(&k)->checkpoint.sequence;
    for (int i = 0; i < 20000 && (kit_shard(&k)->checkpoint.sequence == before || kit_shard(&k)->jobs > 0); i++) {
        kit_steps(&k, 1);
    }
    assert_int_equal(kit_shard(&k)->checkpoint.sequence, before + 1);
    world_abandon(&k.w);
    sim_disk_process_exit(k.w.disk); /* all that was written is there, and what was removed is not */
    kit_flip(&k, "checkpoint/0000/", checkpoint_files(&k) - 1, 20);
    assert_int_equal(kit_open(&k), 0);
    assert_string_equal(log_from(&k, 0), "0:a=1 1:b=1 2:a=2");
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:b=1 2:a=2");
    assert_int_equal(kit_files(&k, ".seg"), 1);
    kit_free(&k);
}

/* --- deletion, stops ---------------------------------------------------------------------------------------------- */

TEST(compact, a_pass_ends_with_its_topic_or_its_shard)
{
    for (uint64_t seed = 120; seed < 128; seed++) {
        struct kit k;
        begin(&k, seed, COMPACTED);
        sim_disk_fault_set(k.w.disk, FAULT_JOB_PAUSE, 300000);
        for (int i = 0; i < 20; i++) {
            put(&k, "a=*2000 b=*2000 a=*2000");
        }
        for (int i = 0; i < 20000 && kit_shard(&k)->compaction == NULL; i++) {
            kit_steps(&k, 1);
        }
        assert_non_null(kit_shard(&k)->compaction);
        kit_steps(&k, (uint32_t)(seed % 4) * 3);
        if (seed % 2 == 0) {
            assert_int_equal(kit_topic_delete(&k), 0);
            pass(&k, 10);
            assert_null(kit_shard(&k)->compaction);
            assert_int_equal(kit_files(&k, ".seg"), 0);
        }
        kit_stop(&k); /* complains about memory and files that are left */
        kit_free(&k);
    }
}

/* --- the map ------------------------------------------------------------------------------------------------------ */

TEST(compact, the_map_remembers_the_last_offset_of_as_many_keys_as_fit)
{
    static _Alignas(16) uint8_t memory[COMPACT_MAP_LEN_MIN];
    struct compact_map map;
    memset(memory, 0xff, sizeof(memory));
    compact_map_init(&map, memory, sizeof(memory));
    compact_map_clear(&map);
    assert_int_equal(compact_map_get(&map, (struct el_hash128){1, 2}), -1);
    for (uint64_t i = 0; i < map.key_max; i++) { /* all want the same place */
        assert_true(compact_map_put(&map, (struct el_hash128){7, i}, (int64_t)i));
    }
    assert_false(compact_map_put(&map, (struct el_hash128){7, 1000}, 1000));
    assert_true(compact_map_put(&map, (struct el_hash128){7, 3}, 1001)); /* one that is there */
    assert_int_equal(compact_map_get(&map, (struct el_hash128){7, 3}), 1001);
    assert_int_equal(compact_map_get(&map, (struct el_hash128){7, 4}), 4);
    assert_int_equal(compact_map_get(&map, (struct el_hash128){7, 1000}), -1);
    assert_int_equal(compact_map_get(&map, (struct el_hash128){8, 3}), -1);
}

/* --- crashes ------------------------------------------------------------------------------------------------------ */

#define BEFORE "0:a=1 1:b=1 2:a=2 3:c 4:b=2 5:d=xxx"
#define BETWEEN "2:a=2 3:c 4:b=2 5:d=xxx"
#define AFTER "2:a=2 4:b=2 5:d=xxx"

/* A log of which a pass has not begun yet: the machine is at the moment at which the partition becomes due. */
static void begin_due(struct kit *k, uint64_t seed)
{
    begin(k, seed, "cleanup.policy=compact min.cleanable.dirty.ratio=0 delete.retention.ms=0 segment.ms=1000");
    put(k, "a=1 b=1");
    put(k, "a=2 c");
    put(k, "b=2");
    put(k, "d=*2000");
    assert_true(kit_checkpoint(k));
    while (!EL_CONTAINER(part_of(k)->segments.next, struct segment, link)->sealed) {
        kit_steps(k, 1);
    }
}

static bool is_old_or_new(const char *text)
{
    return strcmp(text, BEFORE) == 0 || strcmp(text, BETWEEN) == 0 || strcmp(text, AFTER) == 0;
}

/* Power is cut at the n-th call of the disk from the moment on at which the partition may be compacted, for every n
 * until all is over: passes, the checkpoints behind them, and the removal of files. */
/* Chunks may overlap where each is right by itself. */
TEST(compact, a_batch_below_what_was_passed_is_damage)
{
    static uint8_t memory[COMPACT_MAP_LEN_MIN];
    struct compact_rules rules = {0};
    struct compact_scratch scratch = {0};
    struct el_batch_builder builder;
    struct el_slice batch;
    struct el_record_body body = {.key = el_slice_str("k"), .value = el_slice_str("v")};
    int64_t map_end = 0;
    uint8_t bytes[256];
    compact_map_init(&rules.map, memory, sizeof(memory));
    compact_map_clear(&rules.map);
    el_batch_builder_init(&builder, EL_BATCH_OUTPUT_MAX);
    assert_int_equal(el_batch_builder_add(&builder, 1000, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_in_range(batch.len, 1, sizeof(bytes));
    memcpy(bytes, batch.data, batch.len);
    el_batch_assign(bytes, 9, 0);
    assert_int_equal(compact_batch_map(&rules, bytes, batch.len, 0, &map_end, &scratch), 0);
    assert_int_equal(map_end, 10);
    el_batch_assign(bytes, 5, 0);
    assert_int_equal(compact_batch_map(&rules, bytes, batch.len, 0, &map_end, &scratch), EVLOG_ERR_CORRUPT);
    assert_int_equal(map_end, 10);
    compact_scratch_free(&scratch);
    el_batch_builder_destroy(&builder);
}

TEST(compact, a_power_cut_at_any_call_leaves_the_old_log_or_the_new_one)
{
    uint32_t cuts = 0;
    for (uint64_t seed = 130; seed < 133; seed++) {
        bool cut = true;
        for (uint64_t n = 1; cut; n++) {
            struct kit k;
            begin_due(&k, seed);
            sim_disk_crash_at(k.w.disk, n);
            uint64_t end = k.w.clock.now_ns + 12000000000u;
            while (k.w.clock.now_ns < end && world_step(&k.w)) {
            }
            cut = sim_disk_crashed(k.w.disk);
            cuts += cut;
            sim_disk_crash_at(k.w.disk, 0);
            kit_crash(&k);
            assert_int_equal(kit_open(&k), 0);
            const char *text = log_from(&k, 0);
            if (!is_old_or_new(text)) {
                print_error("seed %llu, cut at call %llu: %s\n", (unsigned long long)seed, (unsigned long long)n, text);
            }
            assert_true(is_old_or_new(text));
            put(&k, "e=1");
            assert_true(kit_checkpoint(&k)); /* files that nobody lists go behind it */
            pass(&k, 12);
            assert_string_equal(log_from(&k, 0), AFTER " 6:e=1");
            assert_int_equal(kit_files(&k, ".seg"), 1);
            kit_stop(&k);
            kit_free(&k);
        }
    }
    assert_true(cuts > 60);
}

/* --- faults of the disk ------------------------------------------------------------------------------------------- */

TEST(compact, a_full_disk_puts_a_pass_off)
{
    struct kit k;
    begin(&k, 140, COMPACTED);
    put(&k, "a=*3000 a=2");
    put(&k, "b=1");
    while (part_of(&k)->pending != NULL) {
        kit_steps(&k, 1); /* the pass comes at the next look */
    }
    sim_disk_capacity(k.w.disk, 1);
    pass(&k, 10);
    assert_int_equal(part_of(&k)->clean_end, 0);
    assert_false(part_of(&k)->unclean);
    sim_disk_capacity(k.w.disk, 0);
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:a=2 2:b=1");
    assert_int_equal(kit_files(&k, ".seg"), 1);
    kit_stop(&k);
    kit_free(&k);
}

TEST(compact, a_failed_sync_stops_the_shard_and_the_old_log_stays)
{
    struct kit k;
    begin(&k, 141, COMPACTED);
    put(&k, "a=1 a=2");
    pass(&k, 1);
    while (kit_shard(&k)->compaction == NULL) {
        kit_steps(&k, 1);
    }
    sim_disk_fault_set(k.w.disk, FAULT_SYNC_ERROR, 1000000);
    for (int i = 0; i < 20000 && !kit_shard(&k)->failed; i++) {
        kit_steps(&k, 1);
    }
    assert_true(kit_shard(&k)->failed);
    sim_disk_fault_set(k.w.disk, FAULT_SYNC_ERROR, 0);
    assert_string_equal(log_from(&k, 0), "0:a=1 1:a=2");
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    pass(&k, 10);
    assert_string_equal(log_from(&k, 0), "1:a=2");
    kit_free(&k);
}
