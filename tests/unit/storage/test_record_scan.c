/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading all records of a partition. Goal: each comes once and in order, and every way to end is told once. Method: a
 * store on the simulated machine; the partition's records are those of the kit, whose times are their numbers.
 */
#include "kit.h"

#include <storage/record_scan.h>

struct reader {
    struct kit k;
    struct record_scan scan;
    bool stopping;
    uint32_t taken;
    uint32_t refuse_at; /* the record of this number is not taken */
    uint32_t ends;
    int error;
};

static int take(void *arg, const struct el_record *record)
{
    struct reader *r = arg;
    assert_int_equal(record->value.len, 500);
    return r->taken++ == r->refuse_at ? EVLOG_ERR_CORRUPT : 0;
}

static void on_end(void *arg, int error)
{
    struct reader *r = arg;
    r->ends++;
    r->error = error;
}

static void begin(struct reader *r, uint32_t batches)
{
    memset(r, 0, sizeof *r);
    kit_init(&r->k, 60);
    assert_int_equal(kit_open(&r->k), 0);
    kit_topic(&r->k, 1, "segment.bytes=65536");
    kit_append_many(&r->k, 0, 500, batches);
    r->refuse_at = UINT32_MAX;
}

static void scan(struct reader *r, int32_t partition)
{
    struct store_shard *shard = kit_shard(&r->k);
    r->scan = (struct record_scan){.shard = shard,
                                   .io = shard->io,
                                   .metrics = shard->metrics,
                                   .stopping = &r->stopping,
                                   .topic_id = r->k.topic,
                                   .partition = partition,
                                   .module = "test",
                                   .topic = "t",
                                   .waiters = "tests",
                                   .damaged = METRIC_GROUP_RECORDS_DAMAGED,
                                   .take = take,
                                   .end = on_end,
                                   .arg = r};
    record_scan_start(&r->scan);
    for (uint32_t i = 0; i < 100000 && r->ends == 0; i++) {
        kit_steps(&r->k, 1);
    }
    kit_steps(&r->k, 100);
    assert_int_equal(r->ends, 1);
}

TEST(record_scan, of_a_partition_that_is_not_there_ends_with_that)
{
    static struct reader r;
    begin(&r, 1);
    scan(&r, 7);
    assert_int_equal(r.error, EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(r.taken, 0);
    kit_free(&r.k);
}

TEST(record_scan, ends_at_a_record_that_is_not_taken_and_counts_damage)
{
    static struct reader r;
    begin(&r, 100);
    int64_t damaged = metrics_get(kit_shard(&r.k)->metrics, METRIC_GROUP_RECORDS_DAMAGED);
    r.refuse_at = 30;
    scan(&r, 0);
    assert_int_equal(r.error, EVLOG_ERR_CORRUPT);
    assert_int_equal(r.taken, 31);
    assert_int_equal(metrics_get(kit_shard(&r.k)->metrics, METRIC_GROUP_RECORDS_DAMAGED), damaged + 1);
    kit_free(&r.k);
}

TEST(record_scan, ends_when_the_shard_stops)
{
    static struct reader r;
    begin(&r, 10);
    r.stopping = true;
    scan(&r, 0);
    assert_int_equal(r.error, EVLOG_ERR_CLOSED);
    assert_int_equal(r.taken, 0);
    kit_free(&r.k);
}

TEST(record_scan, hands_over_every_record_of_segments_and_memory_in_pieces)
{
    static struct reader r;
    begin(&r, 0);
    for (int i = 0; i < 30; i++) {
        kit_append_many(&r.k, 0, 500, 100); /* more than one piece in all */
    }
    assert_true(kit_checkpoint(&r.k));
    kit_append_many(&r.k, 0, 500, 10);
    scan(&r, 0);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.taken, 3010);
    kit_free(&r.k);
}
