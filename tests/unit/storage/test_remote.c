/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what has left this disk is read from the archive as if it were here, whatever is asked: by offset, by time,
 * over the seam, with batches of any size; a slow or absent archive holds up nobody else, costs bounded memory, and
 * is told as something that passes. Method: a store on the simulated machine under an archive in memory.
 */
#include "kit.h"

#include "../../sim/sim_tier.h"
#include <stdio.h>
#include <storage/remote.h>

#define SECOND_NS 1000000000ull

struct rig {
    struct kit k;
    struct sim_tier *tier;
    struct sim_tier_knobs *knobs;
};

static void rig_init(struct rig *r, uint64_t seed)
{
    kit_init(&r->k, seed);
    r->tier = sim_tier_create(&r->k.w);
    r->knobs = sim_tier_knobs(r->tier);
    r->knobs->eager = true;
    r->knobs->known_ns_max = r->knobs->count_ns_max = r->knobs->read_ns_max = 0;
    r->k.w.tier = r->tier;
}

static void rig_free(struct rig *r)
{
    r->k.w.tier = NULL;
    sim_tier_free(r->tier);
    r->tier = NULL;
}

static void rig_end(struct rig *r)
{
    kit_crash(&r->k);
    rig_free(r);
    kit_free(&r->k);
}

static struct partition *part_of(struct rig *r)
{
    struct partition *part = store_tier_find(kit_shard(&r->k), &r->k.topic, 0);
    assert_non_null(part);
    return part;
}

static int64_t local_start(struct rig *r)
{
    struct tier_view view;
    store_tier_view(part_of(r), &view);
    return view.local_start;
}

static void pass(struct rig *r, uint64_t seconds)
{
    uint64_t end = r->k.w.clock.now_ns + seconds * SECOND_NS;
    while (r->k.w.clock.now_ns < end) {
        kit_steps(&r->k, 1);
    }
}

/* Segments leave, and a start has nothing in memory. */
static void memory_empty(struct rig *r)
{
    pass(r, 10);
    assert_true(kit_checkpoint(&r->k));
    kit_stop(&r->k);
    assert_int_equal(kit_open(&r->k), 0);
    pass(r, 1);
}

/* A topic of some segments, of which the last one or two are on this disk. */
static void some_remote(struct rig *r, const char *more)
{
    char settings[160];
    snprintf(settings, sizeof(settings), "segment.bytes=65536 local.retention.bytes=65536 %s", more);
    assert_int_equal(kit_open(&r->k), 0);
    kit_topic(&r->k, 1, settings);
    for (int i = 0; i < 8; i++) {
        kit_append_many(&r->k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r->k));
    }
    memory_empty(r);
    assert_true(local_start(r) >= 20);
    assert_true(local_start(r) < 80);
}

/* --- what is told when it cannot be read ---------------------------------------------------------------------------
 * */

TEST(remote, without_its_archive_what_left_the_disk_is_an_error_that_passes)
{
    struct rig r;
    rig_init(&r, 320);
    some_remote(&r, "");
    int64_t local = local_start(&r);
    kit_stop(&r.k);
    r.k.w.tier = NULL;
    assert_int_equal(kit_open(&r.k), 0);
    assert_int_equal(local_start(&r), local);
    assert_int_equal(kit_lookup(&r.k, 0, -2), 0);
    assert_int_equal(kit_read(&r.k, 0, 0), EVLOG_ERR_ARCHIVE);
    assert_int_equal(kit_lookup(&r.k, 0, 1005), EVLOG_ERR_ARCHIVE);
    kit_read_all(&r.k, 0, local, 80);
    assert_int_equal(kit_append(&r.k, 0, 10), 80);
    rig_end(&r);
}

TEST(remote, an_archive_out_of_reach_or_damaged_is_told_as_that)
{
    struct rig r;
    rig_init(&r, 321);
    some_remote(&r, "");
    static const int told[][2] = {{EVLOG_ERR_AGAIN, EVLOG_ERR_ARCHIVE},     {EVLOG_ERR_POLICY, EVLOG_ERR_ARCHIVE},
                                  {EVLOG_ERR_NOT_FOUND, EVLOG_ERR_ARCHIVE}, {EVLOG_ERR_CORRUPT, EVLOG_ERR_CORRUPT},
                                  {EVLOG_ERR_CLOSED, EVLOG_ERR_ARCHIVE},    {EVLOG_ERR_NO_MEMORY, EVLOG_ERR_NO_MEMORY}};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        r.knobs->read_error = told[i][0];
        assert_int_equal(kit_read(&r.k, 0, 3), told[i][1]);
        assert_int_equal(kit_lookup(&r.k, 0, 1005), told[i][1]);
    }
    r.knobs->read_error = 0;
    kit_read_all(&r.k, 0, 0, 80);
    rig_end(&r);
}

static void on_flag(struct store_op *op)
{
    bool *flag = op->arg;
    *flag = true;
}

static void read_fill(struct rig *r, struct read_op *op, int64_t offset, bool *done)
{
    *op = (struct read_op){.base = {.done = on_flag, .arg = done},
                           .topic_id = r->k.topic,
                           .offset = offset,
                           .max_bytes = 10000,
                           .at_least_one = true,
                           .current_leader_epoch = -1,
                           .last_fetched_epoch = -1};
}

/* More readers than there are turns, of an archive that answers none of them for a minute. */
TEST(remote, a_slow_archive_holds_up_nobody_but_who_reads_from_it)
{
    enum { COUNT = 40 };
    static struct read_op ops[COUNT];
    static bool done[COUNT];
    struct rig r;
    rig_init(&r, 322);
    some_remote(&r, "");
    size_t used = kit_shard(&r.k)->buddy->used;
    uint64_t before = sim_tier_reads(r.tier);
    r.knobs->read_ns_max = 60 * SECOND_NS;
    for (int i = 0; i < COUNT; i++) {
        done[i] = false;
        read_fill(&r, &ops[i], i % 10, &done[i]);
        store_read(kit_shard(&r.k), &ops[i]);
    }
    assert_true(sim_tier_reads(r.tier) - before <= REMOTE_RUNNING_MAX);
    kit_read_all(&r.k, 0, local_start(&r), 80);
    assert_int_equal(kit_append(&r.k, 0, 10), 80);
    pass(&r, 16);
    uint32_t answered = 0;
    for (int i = 0; i < COUNT; i++) {
        assert_true(done[i]);
        assert_true(ops[i].base.error == 0 || ops[i].base.error == EVLOG_ERR_ARCHIVE);
        answered += ops[i].base.error == 0;
        store_read_release(&ops[i]);
    }
    assert_true(answered < COUNT);
    r.knobs->read_ns_max = 0;
    pass(&r, 60); /* those that nobody waits for any more end, and give their memory back */
    assert_int_equal(kit_shard(&r.k)->remote_count, 0);
    tail_evict(&kit_shard(&r.k)->tail, 0);
    assert_true(kit_shard(&r.k)->buddy->used <= used + (256u << 10));
    kit_read_all(&r.k, 0, 0, 81);
    rig_end(&r);
}

TEST(remote, a_deletion_and_a_stop_end_reads_under_way)
{
    struct read_op ops[2];
    bool done[2] = {false, false};
    struct rig r;
    rig_init(&r, 323);
    some_remote(&r, "");
    r.knobs->read_ns_max = 5 * SECOND_NS;
    read_fill(&r, &ops[0], 0, &done[0]);
    store_read(kit_shard(&r.k), &ops[0]);
    assert_int_equal(kit_topic_delete(&r.k), 0);
    pass(&r, 6);
    assert_true(done[0]);
    assert_int_equal(ops[0].base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    kit_topic(&r.k, 1, "");
    kit_stop(&r.k);
    rig_free(&r);
    kit_free(&r.k);
}

/* --- what is read ------------------------------------------------------------------------------------------------- */

TEST(remote, every_offset_is_read_over_the_seam)
{
    struct rig r;
    rig_init(&r, 324);
    some_remote(&r, "");
    assert_int_equal(kit_lookup(&r.k, 0, -2), 0);
    uint64_t before = sim_tier_reads_given(r.tier);
    for (int64_t offset = 0; offset < 80; offset++) {
        assert_true(kit_read(&r.k, 0, offset) > offset);
    }
    kit_read_all(&r.k, 0, 0, 80);
    assert_true(sim_tier_reads_given(r.tier) >= before + (uint64_t)local_start(&r));
    assert_int_equal(kit_append(&r.k, 0, 10), 80);
    kit_stop(&r.k);
    assert_int_equal(kit_open(&r.k), 0);
    pass(&r, 1);
    kit_read_all(&r.k, 0, 0, 81);
    kit_crash(&r.k);
    assert_int_equal(kit_open(&r.k), 0);
    pass(&r, 1);
    kit_read_all(&r.k, 0, 0, 81);
    rig_end(&r);
}

TEST(remote, a_batch_that_is_larger_than_a_read_comes_whole)
{
    struct rig r;
    rig_init(&r, 325);
    assert_int_equal(kit_open(&r.k), 0);
    kit_topic(&r.k, 1, "segment.bytes=65536 local.retention.bytes=0");
    kit_append_many(&r.k, 0, 200000, 6);
    kit_append_many(&r.k, 0, 100, 2);
    for (int i = 0; i < 3; i++) {
        kit_append_many(&r.k, 0, 30000, 4);
        assert_true(kit_checkpoint(&r.k));
        pass(&r, 10);
    }
    memory_empty(&r);
    assert_true(local_start(&r) > 6);
    kit_read_all(&r.k, 0, 0, 20);
    for (int64_t i = 0; i < 8; i++) {
        assert_int_equal(kit_lookup(&r.k, 0, 1001 + i), i);
    }
    rig_end(&r);
}

TEST(remote, a_read_that_may_not_be_exceeded_gives_nothing_instead)
{
    struct read_op op;
    bool done = false;
    struct rig r;
    rig_init(&r, 326);
    some_remote(&r, "");
    read_fill(&r, &op, 4, &done);
    op.max_bytes = 100;
    op.at_least_one = false;
    store_read(kit_shard(&r.k), &op);
    pass(&r, 1);
    assert_true(done);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(op.data_len, 0);
    assert_int_equal(op.next_offset, 4);
    assert_int_equal(op.high_watermark, 80);
    rig_end(&r);
}

/* Does the read have the batch that holds an offset? */
static bool has(const struct read_op *op, int64_t offset)
{
    for (uint32_t i = 0; i < op->entry_count; i++) {
        const uint8_t *batch = op->data + op->entries[i].pos;
        if (offset >= el_batch_base_offset(batch) && offset <= el_batch_last_offset(batch)) {
            return true;
        }
    }
    return false;
}

/* Fifteen batches, each 4 offsets from the next, rising or falling: what is between does not come. */
TEST(remote, what_is_wanted_far_apart_comes_by_one_read)
{
    static const bool falls[] = {false, true};
    struct rig r;
    rig_init(&r, 334);
    some_remote(&r, "");
    int64_t last = local_start(&r) / 4 * 4 - 4, wanted[16];
    uint32_t count = (uint32_t)EL_MIN(last / 4, (int64_t)12);
    assert_true(count >= 5);
    for (int i = 0; i < 2; i++) {
        bool done = false;
        struct read_op op;
        for (uint32_t k = 0; k < count; k++) {
            wanted[k] = falls[i] ? last - 4 * (int64_t)k : last - 4 * (int64_t)(count - 1 - k);
        }
        uint64_t before = sim_tier_reads(r.tier);
        read_fill(&r, &op, wanted[0], &done);
        op.max_bytes = 1;
        op.want_entries = true;
        op.wanted = wanted;
        op.wanted_count = count;
        op.wanted_bytes = 200000;
        store_read(kit_shard(&r.k), &op);
        pass(&r, 1);
        assert_true(done);
        assert_int_equal(op.base.error, 0);
        assert_int_equal(op.entry_count, count);
        for (uint32_t k = 0; k < count; k++) {
            assert_true(has(&op, wanted[k]));
        }
        assert_int_equal(op.next_offset, wanted[0] + 1);
        assert_int_equal(sim_tier_reads(r.tier), before + 1);
        store_read_release(&op);
    }
    rig_end(&r);
}

TEST(remote, the_greatest_time_is_found_on_both_sides_of_the_seam)
{
    struct rig r;
    rig_init(&r, 335);
    assert_int_equal(kit_open(&r.k), 0);
    kit_topic(&r.k, 1, "segment.bytes=65536 local.retention.bytes=65536");
    kit_append_many(&r.k, 0, 3000, 3);
    r.k.sent = 1000;
    kit_append_many(&r.k, 0, 3000, 4); /* the greatest: the last of them */
    r.k.sent = 7;
    for (int i = 0; i < 8; i++) {
        kit_append_many(&r.k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r.k));
    }
    memory_empty(&r);
    assert_true(local_start(&r) > 7);
    assert_int_equal(kit_lookup(&r.k, 0, -3), 6);
    r.knobs->read_error = EVLOG_ERR_AGAIN;
    assert_int_equal(kit_lookup(&r.k, 0, -3), EVLOG_ERR_ARCHIVE);
    r.knobs->read_error = 0;
    r.k.sent = 2000;
    int64_t here = kit_append(&r.k, 0, 10);
    assert_int_equal(kit_lookup(&r.k, 0, -3), here);
    rig_end(&r);
}

TEST(remote, times_are_found_on_both_sides_of_the_seam)
{
    struct rig r;
    rig_init(&r, 327);
    some_remote(&r, "");
    for (int64_t i = 0; i < 80; i += 7) {
        assert_int_equal(kit_lookup(&r.k, 0, 1001 + i), i);
    }
    assert_int_equal(kit_lookup(&r.k, 0, 1), 0);
    assert_int_equal(kit_lookup(&r.k, 0, 1081), -1);
    rig_end(&r);
}

TEST(remote, the_special_times_tell_what_is_where)
{
    struct rig r;
    rig_init(&r, 328);
    some_remote(&r, "");
    assert_int_equal(kit_lookup(&r.k, 0, -4), local_start(&r));
    assert_int_equal(kit_lookup(&r.k, 0, -5), 79);
    assert_int_equal(kit_lookup(&r.k, 0, -6), 80);
    r.knobs->hold = true;
    assert_int_equal(kit_append(&r.k, 0, 10), 80);
    pass(&r, 1);
    assert_int_equal(kit_lookup(&r.k, 0, -5), 79);
    assert_int_equal(kit_lookup(&r.k, 0, -6), 80);
    assert_int_equal(kit_lookup(&r.k, 0, -1), 81);
    kit_stop(&r.k);
    r.knobs->down = true;
    assert_int_equal(kit_open(&r.k), 0);
    assert_int_equal(kit_lookup(&r.k, 0, -5), EVLOG_ERR_ARCHIVE); /* nobody knows yet */
    assert_int_equal(kit_lookup(&r.k, 0, -6), EVLOG_ERR_ARCHIVE);
    assert_int_equal(kit_lookup(&r.k, 0, -1), 81);
    rig_end(&r);
}

/* --- what stays --------------------------------------------------------------------------------------------------- */

TEST(remote, segments_leave_only_when_the_archive_has_them)
{
    struct rig r;
    rig_init(&r, 329);
    r.knobs->hold = true;
    assert_int_equal(kit_open(&r.k), 0);
    kit_topic(&r.k, 1, "segment.bytes=65536 local.retention.bytes=0 local.retention.ms=0");
    for (int i = 0; i < 6; i++) {
        kit_append_many(&r.k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r.k));
    }
    pass(&r, 30);
    assert_int_equal(local_start(&r), 0);
    uint32_t files = kit_files(&r.k, ".seg");
    assert_true(files >= 2);
    r.knobs->hold = false;
    pass(&r, 30);
    for (int i = 0; i < 3; i++) {
        assert_true(kit_checkpoint(&r.k));
        kit_steps(&r.k, 200);
    }
    assert_true(local_start(&r) > 0);
    assert_true(kit_files(&r.k, ".seg") < files);
    assert_int_equal(kit_lookup(&r.k, 0, -2), 0);
    kit_read_all(&r.k, 0, 0, 60);
    rig_end(&r);
}

TEST(remote, segments_leave_only_when_the_archive_was_seen_to_have_them)
{
    struct rig r;
    rig_init(&r, 336);
    r.knobs->presence_error = EVLOG_ERR_CORRUPT; /* it says that it has, and an object is not there */
    assert_int_equal(kit_open(&r.k), 0);
    kit_topic(&r.k, 1, "segment.bytes=65536 local.retention.bytes=0 local.retention.ms=0");
    for (int i = 0; i < 6; i++) {
        kit_append_many(&r.k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r.k));
    }
    pass(&r, 200);
    assert_int_equal(local_start(&r), 0);
    uint64_t asked = sim_tier_reads(r.tier);
    assert_true(asked >= 2);
    assert_true(asked <= 5); /* not with every look */
    r.knobs->presence_error = 0;
    pass(&r, 100);
    assert_true(kit_checkpoint(&r.k));
    assert_true(local_start(&r) > 0);
    asked = sim_tier_reads(r.tier);
    pass(&r, 200);
    assert_int_equal(sim_tier_reads(r.tier), asked); /* what was seen is remembered */
    kit_read_all(&r.k, 0, 0, 60);
    rig_end(&r);
}

TEST(remote, what_compaction_keeps_stays_on_this_disk)
{
    struct rig r;
    rig_init(&r, 330);
    assert_int_equal(kit_open(&r.k), 0);
    kit_topic(&r.k, 1, "segment.bytes=65536 cleanup.policy=compact");
    part_of(&r)->topic->config.set.value[TOPIC_LOCAL_RETENTION_BYTES] = 0; /* as a default of the broker would */
    part_of(&r)->topic->config.set.overridden |= 1ull << TOPIC_LOCAL_RETENTION_BYTES;
    for (int i = 0; i < 6; i++) {
        kit_append_many(&r.k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r.k));
    }
    pass(&r, 10);
    assert_int_equal(local_start(&r), 0);
    rig_end(&r);
}

TEST(remote, retention_reaches_into_the_archive_by_age)
{
    struct rig r;
    rig_init(&r, 331);
    some_remote(&r, "retention.ms=600000");
    pass(&r, 300);
    assert_int_equal(kit_lookup(&r.k, 0, -2), 0);
    for (int i = 0; i < 4; i++) {
        kit_append_many(&r.k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r.k));
        pass(&r, 60);
    }
    pass(&r, 180);
    int64_t start = kit_lookup(&r.k, 0, -2);
    assert_int_equal(start, 80);
    assert_true(local_start(&r) > start); /* the archive told where to */
    kit_read_all(&r.k, 0, start, 120);
    assert_int_equal(kit_read(&r.k, 0, 0), EVLOG_ERR_OFFSET_RANGE);
    rig_end(&r);
}

TEST(remote, retention_reaches_into_the_archive_by_size)
{
    struct rig r;
    rig_init(&r, 332);
    some_remote(&r, "retention.bytes=150000");
    pass(&r, 3700);
    int64_t start = kit_lookup(&r.k, 0, -2);
    assert_true(start > 10);
    assert_true(start < local_start(&r));
    assert_true((80 - start) * 3000 > 100000);
    kit_read_all(&r.k, 0, start, 80);
    rig_end(&r);
}

TEST(remote, a_log_start_inside_the_archive_holds)
{
    bool done = false;
    struct rig r;
    rig_init(&r, 333);
    some_remote(&r, "");
    struct trim_op op = {.base = {.done = on_flag, .arg = &done}, .topic_id = r.k.topic, .offset = 7};
    store_trim(kit_shard(&r.k), &op);
    pass(&r, 1);
    assert_true(done);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(kit_read(&r.k, 0, 6), EVLOG_ERR_OFFSET_RANGE);
    kit_read_all(&r.k, 0, 7, 80);
    assert_int_equal(kit_lookup(&r.k, 0, 1), 7);
    rig_end(&r);
}

/* --- what comes back ---------------------------------------------------------------------------------------------- */

static void alter(struct rig *r, const char *name, const char *value)
{
    struct topic_config config = part_of(r)->topic->config;
    if (value == NULL) {
        assert_int_equal(topic_config_unset(&config, el_slice_str(name), NULL), 0);
    } else {
        assert_int_equal(topic_config_set(&config, el_slice_str(name), el_slice_str(value), NULL), 0);
    }
    struct topic_op op = {.verb = TOPIC_ALTER, .id = r->k.topic, .config = &config};
    assert_int_equal(kit_topic_change(&r->k, &op), 0);
}

TEST(remote, what_the_disk_is_to_have_comes_back)
{
    struct rig r;
    rig_init(&r, 340);
    some_remote(&r, "");
    assert_true(local_start(&r) > 0);
    alter(&r, "local.retention.bytes", NULL);
    pass(&r, 20);
    assert_int_equal(local_start(&r), 0);
    r.knobs->down = true;
    r.knobs->read_error = EVLOG_ERR_AGAIN;
    kit_read_all(&r.k, 0, 0, 80);
    for (int64_t i = 0; i < 80; i += 9) {
        assert_int_equal(kit_lookup(&r.k, 0, 1001 + i), i);
    }
    assert_true(kit_checkpoint(&r.k));
    kit_crash(&r.k);
    assert_int_equal(kit_open(&r.k), 0);
    assert_int_equal(local_start(&r), 0);
    kit_read_all(&r.k, 0, 0, 80);
    rig_end(&r);
}

TEST(remote, no_more_comes_back_than_the_disk_is_to_have)
{
    struct rig r;
    rig_init(&r, 341);
    some_remote(&r, "");
    int64_t before = local_start(&r);
    alter(&r, "local.retention.bytes", "170000");
    pass(&r, 200);
    int64_t after = local_start(&r);
    assert_true(after < before);
    assert_true(after > 0);
    assert_true(part_of(&r)->segment_bytes + part_of(&r)->pending_bytes <= 170000 + 16384); /* tables, and padding */
    pass(&r, 200);
    assert_int_equal(local_start(&r), after); /* and what came stays */
    kit_read_all(&r.k, 0, 0, 80);
    rig_end(&r);
}

TEST(remote, what_is_too_old_for_the_disk_does_not_come_back)
{
    struct rig r;
    rig_init(&r, 342);
    some_remote(&r, "");
    int64_t before = local_start(&r);
    alter(&r, "local.retention.ms", "1000");
    alter(&r, "local.retention.bytes", NULL);
    pass(&r, 200);
    assert_true(local_start(&r) >= before);
    rig_end(&r);
}

TEST(remote, nothing_comes_back_while_the_archive_fails)
{
    static const int errors[] = {EVLOG_ERR_AGAIN, EVLOG_ERR_CORRUPT, EVLOG_ERR_NO_MEMORY};
    struct rig r;
    rig_init(&r, 343);
    some_remote(&r, "");
    int64_t before = local_start(&r);
    uint32_t files = kit_files(&r.k, ".seg");
    alter(&r, "local.retention.bytes", NULL);
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        r.knobs->read_error = errors[i];
        pass(&r, 100);
        assert_int_equal(local_start(&r), before);
    }
    assert_int_equal(kit_files(&r.k, ".seg"), files);
    r.knobs->read_error = 0;
    r.knobs->read_ns_max = 40 * SECOND_NS; /* longer than anybody waits for it */
    pass(&r, 300);
    r.knobs->read_ns_max = 0;
    pass(&r, 200);
    assert_int_equal(local_start(&r), 0);
    kit_read_all(&r.k, 0, 0, 80);
    rig_end(&r);
}

static int64_t metric(struct rig *r, enum metric_id id)
{
    return metrics_get(store_shard_metrics(store_shard_at(r->k.w.store, 0)), id);
}

TEST(remote, it_is_told_what_is_to_come_back_until_it_has)
{
    struct rig r;
    rig_init(&r, 347);
    some_remote(&r, "");
    pass(&r, 20);
    assert_int_equal(metric(&r, METRIC_REFILL_PARTITIONS), 0);
    r.knobs->read_error = EVLOG_ERR_AGAIN;
    alter(&r, "local.retention.bytes", NULL);
    pass(&r, 20);
    assert_int_equal(metric(&r, METRIC_REFILL_PARTITIONS), 1);
    r.knobs->read_error = 0;
    pass(&r, 100);
    assert_int_equal(metric(&r, METRIC_REFILL_PARTITIONS), 0);
    assert_int_equal(local_start(&r), 0);
    rig_end(&r);
}

TEST(remote, what_is_too_old_is_asked_for_once)
{
    struct rig r;
    rig_init(&r, 348);
    some_remote(&r, "");
    alter(&r, "local.retention.ms", "1000");
    alter(&r, "local.retention.bytes", NULL);
    pass(&r, 200);
    assert_int_equal(metric(&r, METRIC_REFILL_PARTITIONS), 0);
    int64_t reads = metric(&r, METRIC_REMOTE_READS);
    pass(&r, 300);
    assert_int_equal(metric(&r, METRIC_REMOTE_READS), reads);
    alter(&r, "local.retention.ms", "86400000");
    pass(&r, 100);
    assert_int_equal(local_start(&r), 0);
    rig_end(&r);
}

/* At every disk call of the way back. */
TEST(remote, a_crash_while_events_come_back_loses_nothing)
{
    for (uint64_t call = 1; call < 60; call += 3) {
        struct rig r;
        rig_init(&r, 344);
        some_remote(&r, "");
        alter(&r, "local.retention.bytes", NULL);
        uint32_t segments = 0;
        sim_disk_crash_at(r.k.w.disk, call);
        for (uint64_t end = r.k.w.clock.now_ns + 100 * SECOND_NS; r.k.w.clock.now_ns < end;) {
            if (!world_step(&r.k.w)) {
                break;
            }
        }
        kit_crash(&r.k);
        sim_disk_crash_at(r.k.w.disk, 0);
        assert_int_equal(kit_open(&r.k), 0);
        pass(&r, 100);
        assert_int_equal(local_start(&r), 0);
        kit_read_all(&r.k, 0, 0, 80);
        EL_LIST_EACH(n, &part_of(&r)->segments) {
            segments++;
        }
        for (int i = 0; i < 3; i++) {
            assert_true(kit_checkpoint(&r.k));
            kit_steps(&r.k, 300);
        }
        assert_int_equal(kit_files(&r.k, ".seg"), segments); /* of this topic: the catalogue's is in the journal */
        rig_end(&r);
    }
}

TEST(remote, a_topic_that_goes_while_its_events_come_back_is_gone)
{
    for (uint64_t ns = 1000000; ns < 12 * SECOND_NS; ns = ns * 3 / 2) {
        struct rig r;
        rig_init(&r, 345);
        some_remote(&r, "");
        r.knobs->read_ns_max = SECOND_NS;
        alter(&r, "local.retention.bytes", NULL);
        for (uint64_t end = r.k.w.clock.now_ns + ns; r.k.w.clock.now_ns < end;) {
            kit_steps(&r.k, 1);
        }
        assert_int_equal(kit_topic_delete(&r.k), 0);
        pass(&r, 30);
        assert_int_equal(kit_files(&r.k, ".seg"), 0);
        kit_topic(&r.k, 1, "");
        assert_int_equal(kit_append(&r.k, 0, 10), 0);
        rig_end(&r);
    }
}

/* As after a start from the archive: a checkpoint that lists no segment. */
TEST(remote, a_partition_without_anything_on_this_disk_goes_on)
{
    struct rig r;
    rig_init(&r, 346);
    assert_int_equal(kit_open(&r.k), 0);
    kit_topic(&r.k, 1, "segment.bytes=65536 segment.ms=1000 local.retention.ms=0");
    for (int i = 0; i < 4; i++) {
        kit_append_many(&r.k, 0, 3000, 10);
        assert_true(kit_checkpoint(&r.k));
    }
    memory_empty(&r);
    pass(&r, 20);
    assert_true(kit_checkpoint(&r.k));
    assert_int_equal(local_start(&r), 40);
    assert_true(el_list_empty(&part_of(&r)->segments));
    kit_stop(&r.k);
    assert_int_equal(kit_open(&r.k), 0);
    pass(&r, 1);
    assert_int_equal(kit_lookup(&r.k, 0, -1), 40);
    assert_int_equal(kit_lookup(&r.k, 0, -2), 0);
    assert_int_equal(kit_lookup(&r.k, 0, -4), 40);
    kit_read_all(&r.k, 0, 0, 40);
    assert_int_equal(kit_append(&r.k, 0, 10), 40);
    alter(&r, "local.retention.ms", NULL);
    pass(&r, 100);
    assert_int_equal(local_start(&r), 0);
    r.knobs->down = true;
    kit_read_all(&r.k, 0, 0, 41);
    rig_end(&r);
}
