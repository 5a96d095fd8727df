/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is asked of a partition that a group works on: refusals, what is durable before it is told, dead letters
 * that cannot go. Method: the desk, whose writes become durable when the test says so; the simulator has the rest.
 */
#include "part_kit.h"

#include <stdio.h>

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_part, refuses_groups_and_partitions_that_are_not_there)
{
    struct lease_fetch_op op;
    part_begin("start=earliest");
    op = part_fetch_of(7, 1);
    op.base.group_id = el_slice_str("nobody");
    part_fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_GROUP_NOT_FOUND);
    op = part_fetch_of(7, 1);
    op.partition = 2;
    part_fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    op = part_fetch_of(7, 1);
    memset(&op.topic_id, 0xee, sizeof op.topic_id);
    part_fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_UNKNOWN_TOPIC_ID);
    op = part_fetch_of(7, 1);
    op.topic_id = store_topic_by_name(NULL, el_slice_str(LEASES_TOPIC))->id;
    part_fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_INVALID_TOPIC);
    part_end();
}

TEST(lease_part, refuses_outcomes_of_who_does_not_hold_the_event)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(8, 0, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    assert_int_equal(part_settle(7, 1, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    part_end();
}

TEST(lease_part, is_not_made_while_its_start_cannot_be_stored)
{
    part_begin("start=earliest");
    part_append("a");
    desk->store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(part_lease(7), EVLOG_ERR_STORAGE);
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 300);
    assert_int_equal(part_lease(7), 0);
    part_end();
}

/* --- what is durable ---------------------------------------------------------------------------------------------- */

TEST(lease_part, an_acknowledgement_is_durable_before_it_is_answered)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
    desk->store.defer = true;
    part_settle_begin(7, 0, LEASE_ACCEPT);
    assert_true(part_waits);
    fake_store_durable(&desk->store);
    assert_false(part_waits);
    desk->store.defer = false;
    desk_restart(desk);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(lease_part, a_rejection_is_durable_before_it_is_answered)
{
    part_begin("start=earliest dlq.topic=source"); /* where no dead letter can go */
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
    desk->store.defer = true;
    part_settle_begin(7, 0, LEASE_REJECT);
    assert_true(part_waits);
    fake_store_durable(&desk->store);
    assert_false(part_waits);
    assert_int_equal(part_settle_op.outcome_error, 0);
    desk->store.defer = false;
    desk_restart(desk);
    assert_int_equal(part_lease(7), -1);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    fake_store_ms(&desk->store, 61000);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    part_end();
}

TEST(lease_part, a_rejection_that_cannot_be_stored_is_told)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), EVLOG_ERR_STORAGE);
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 61000);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    part_end();
}

TEST(lease_part, a_lease_that_expires_is_in_the_story_of_its_event)
{
    part_begin("start=earliest lease.ms=1000 retry.backoff.ms=0 retry.max.attempts=2");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 1100);
    assert_int_equal(part_lease(7), 0);
    struct lease_part *part = lease_part_find(lease_group_find(desk->leases[0], el_slice_str("g")), &part_source->id,
                                              0);
    const struct lease_story *story = lease_story_find(&part->stories, 0);
    assert_non_null(story);
    assert_int_equal(story->count, 1);
    assert_non_null(memmem(story->entries.data, story->entries.len, "timeout", 7));
    fake_store_ms(&desk->store, 1100);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASES_EXPIRED), 2);
    part_end();
}

TEST(lease_part, an_acknowledgement_that_cannot_be_stored_is_told_and_tried_again)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), EVLOG_ERR_STORAGE);
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 300);
    desk_restart(desk);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(lease_part, the_next_event_of_a_key_waits_until_the_first_is_durably_done)
{
    part_begin("start=earliest");
    part_append("a");
    part_append("a");
    part_append("b");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_lease(7), 2);
    assert_int_equal(part_lease(7), -1);
    fake_store_ms(&desk->store, 100);
    desk->store.defer = true;
    part_settle_begin(7, 0, LEASE_ACCEPT);
    static struct lease_fetch_op op;
    bool before = part_waits;
    op = part_fetch_of(7, 1);
    part_fetch(&op);
    assert_true(before);
    assert_int_equal(op.range_count, 0);
    lease_op_release(&op.base);
    fake_store_durable(&desk->store);
    assert_int_equal(part_lease(7), 1);
    desk->store.defer = false;
    part_end();
}

TEST(lease_part, attempts_survive_a_restart)
{
    part_begin("start=earliest retry.backoff.ms=0 retry.max.attempts=5");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_FAIL), 0);
    assert_int_equal(part_lease(7), 0);
    desk_restart(desk); /* which writes what nobody waited for */
    static struct lease_fetch_op op;
    op = part_fetch_of(9, 1);
    part_fetch(&op); /* brings it to life */
    lease_op_release(&op.base);
    op = part_fetch_of(9, 1);
    part_fetch(&op);
    assert_int_equal(op.range_count, 1);
    assert_int_equal(op.ranges[0].deliveries, 3);
    lease_op_release(&op.base);
    part_end();
}

/* --- dead letters ------------------------------------------------------------------------------------------------- */

TEST(lease_part, a_rejected_event_is_in_the_dead_letter_topic)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    assert_int_equal(part_lease(7), -1);
    desk_restart(desk);
    assert_int_equal(part_lease(7), -1);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    part_end();
}

TEST(lease_part, a_dead_letter_topic_that_is_the_source_holds_up_the_key_and_says_so)
{
    part_begin("start=earliest dlq.topic=source");
    part_append("a");
    part_append("a");
    part_append("b");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 200);
    assert_non_null(strstr(part_why("a"), "dlq.topic"));
    assert_int_equal(part_lease(7), 2);
    assert_int_equal(part_lease(7), -1);
    assert_int_equal(desk_set("g", "start=earliest dlq.topic=other"), 0);
    fake_store_ms(&desk->store, 61000);
    assert_int_equal(part_letters("other"), 1);
    assert_int_equal(part_lease(7), 1);
    part_end();
}

static void make_streams(struct topic *topic)
{
    assert_int_equal(topic_config_set(&topic->config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL), 0);
    assert_int_equal(topic_config_set(&topic->config, el_slice_str("evlog.stream.max.count"), el_slice_str("5"), NULL),
                     0);
    assert_int_equal(
        topic_config_set(&topic->config, el_slice_str("evlog.key.partitioner"), el_slice_str("crc32"), NULL), 0);
}

/* Letters of one event that dies twice have one key and one id: in a stream the second would be a repeat. */
TEST(lease_part, dead_letters_of_streams_are_no_streams)
{
    part_begin("start=earliest");
    struct store_shard *shard = &desk->store.shards[0];
    make_streams((struct topic *)(uintptr_t)store_topic_by_name(shard, el_slice_str("source")));
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    const struct topic *letters = store_topic_by_name(shard, el_slice_str("source.g.dlq"));
    assert_false(topic_config_streams(&letters->config));
    assert_int_equal(topic_config_check_new(&letters->config, NULL), 0);
    part_end();
}

TEST(lease_part, a_dead_letter_topic_with_streams_is_refused_and_takes_none)
{
    part_begin("start=earliest dlq.topic=dead");
    make_streams(fake_topic(&desk->store, "dead", 2));
    assert_int_equal(desk_set("g", "start=earliest dlq.topic=dead lease.ms=1000"), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(desk_text, "evlog.streams"));
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 200);
    assert_non_null(strstr(part_why("a"), "evlog.streams"));
    assert_int_equal(desk_set("g", "start=earliest dlq.topic=other"), 0);
    fake_store_ms(&desk->store, 61000);
    assert_int_equal(part_letters("other"), 1);
    part_end();
}

TEST(lease_part, a_dead_letter_topic_that_cannot_be_made_loses_nothing)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    desk->store.change_error = EVLOG_ERR_POLICY;
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 3000);
    assert_non_null(strstr(part_why("a"), "cannot be made"));
    desk->store.change_error = 0;
    fake_store_ms(&desk->store, 61000);
    assert_int_equal(part_letters("source.g.dlq"), 1);
    part_end();
}

TEST(lease_part, later_events_of_a_parked_key_follow_until_it_is_released)
{
    part_begin("start=earliest on.exhausted=park retry.max.attempts=1");
    part_append("a");
    part_append("a");
    part_append("b");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_FAIL), 0);
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_letters("source.g.dlq"), 2);
    assert_int_equal(part_lease(7), 2);
    desk_restart(desk);
    static struct lease_release_key_op op;
    op = (struct lease_release_key_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                       .topic_id = part_source->id,
                                       .key = el_slice_str("b")};
    leases_release_key(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_int_equal(op.base.error, EVLOG_ERR_NOT_FOUND);
    op.key = el_slice_str("a");
    leases_release_key(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_int_equal(op.base.error, 0);
    part_append("a");
    assert_int_equal(part_lease(8), 3);
    assert_int_equal(part_letters("source.g.dlq"), 3); /* with b, whose only attempt the restart has ended */
    part_end();
}

TEST(lease_part, a_halted_partition_says_so_for_every_key)
{
    part_begin("start=earliest on.exhausted=halt retry.max.attempts=1");
    part_append("a");
    part_append("b");
    assert_int_equal(part_lease(7), 0);
    assert_string_equal(part_why("c"), "");
    assert_int_equal(part_settle(7, 0, LEASE_FAIL), 0);
    assert_int_equal(part_lease(7), -1);
    assert_non_null(strstr(part_why("a"), "halts at offset 0"));
    assert_non_null(strstr(part_why("c"), "halts at offset 0"));
    desk_restart(desk);
    assert_int_equal(part_lease(7), -1);
    assert_non_null(strstr(part_why("c"), "halts at offset 0"));
    static struct lease_release_key_op op;
    op = (struct lease_release_key_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                       .topic_id = part_source->id};
    part_waits = true;
    leases_release_key(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_false(part_waits);
    assert_int_equal(op.base.error, 0);
    desk_restart(desk);
    assert_int_equal(part_lease(7), 0); /* what was answered is durable */
    part_end();
}

TEST(lease_part, a_fetch_with_a_window_returns_when_there_is_enough_or_it_is_over)
{
    static struct lease_fetch_op op;
    part_begin("start=earliest order=none");
    assert_int_equal(part_lease(7), -1);
    for (int round = 0; round < 3; round++) {
        part_append("a");
        op = part_fetch_of(7, 3);
        op.window_ms = 1000;
        part_fetch(&op);
        assert_true(part_waits);
        fake_store_ms(&desk->store, 900);
        assert_true(part_waits);
        if (round == 0) {
            part_append("b");
            assert_true(part_waits);
            part_append("c");
        } else if (round == 1) {
            fake_store_ms(&desk->store, 100);
        } else {
            leases_cancel(&op.base);
            fake_store_run(&desk->store);
        }
        assert_false(part_waits);
        assert_int_equal(op.base.error, round == 2 ? EVLOG_ERR_CLOSED : 0);
        assert_int_equal(op.range_count == 0 ? 0 : op.ranges[0].last - op.ranges[0].first + 1, round == 0   ? 3
                                                                                               : round == 1 ? 1
                                                                                                            : 0);
        lease_op_release(&op.base);
    }
    assert_int_equal(part_lease(7), 4);
    struct lease_batch batch = leases_batch(desk->leases[1], el_slice_str("g"));
    assert_int_equal(batch.records_max, 100);
    assert_int_equal(desk_set("g", "batch.size=7 batch.window.ms=20 batch.bytes=1000"), 0);
    batch = leases_batch(desk->leases[1], el_slice_str("g"));
    assert_int_equal(batch.records_max, 7);
    assert_int_equal(batch.bytes_max, 1000);
    assert_int_equal(batch.window_ms, 20);
    part_end();
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

TEST(lease_part, is_forgotten_with_its_topic)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_topic_delete(&desk->store, "source");
    fake_store_ms(&desk->store, 11000);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARTS), 0);
    desk_restart(desk);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARTS), 0);
    part_end();
}

TEST(lease_part, whose_records_cannot_be_deleted_sleeps_until_it_tries_again)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    fake_topic_delete(&desk->store, "source");
    fake_store_ms(&desk->store, 11000); /* which does not end while a timer is due */
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARTS), 1);
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        struct io *io = &desk->store.shards[i].io;
        assert_true(io_timer_next(io) > io->now_ns);
    }
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 1000);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARTS), 0);
    part_end();
}

TEST(lease_part, begins_anew_when_its_group_was_deleted)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    assert_int_equal(desk_delete("g"), 0);
    assert_int_equal(part_lease(7), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    assert_int_equal(part_lease(7), 0);
    part_end();
}

/* --- ranges ------------------------------------------------------------------------------------------------------- */

/* Append batches of so many events, no key twice. */
static void append_batches(const uint32_t *sizes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        static const struct part_event events[8] = {{NULL, "v"}, {NULL, "v"}, {NULL, "v"}, {NULL, "v"},
                                                    {NULL, "v"}, {NULL, "v"}, {NULL, "v"}, {NULL, "v"}};
        part_append_batch(events, sizes[i], EL_CODEC_NONE);
    }
}

/* "0-4 5-9": the ranges of a fetch. */
static const char *ranges_of(uint32_t range_fill)
{
    static char text[200];
    struct lease_fetch_op op = part_fetch_of(7, 100);
    op.range_fill = range_fill;
    part_fetch(&op);
    assert_int_equal(op.base.error, 0);
    text[0] = '\0';
    for (uint32_t i = 0; i < op.range_count; i++) {
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%d-%d", i == 0 ? "" : " ", (int)op.ranges[i].first,
                 (int)op.ranges[i].last);
    }
    lease_op_release(&op.base);
    fake_store_run(&desk->store);
    return text;
}

TEST(lease_part, a_full_range_ends_with_its_batch)
{
    static const struct {
        uint32_t fill;
        const char *ranges;
    } cases[] = {
        {0, "0-14"},         {1, "0-4 5-7 8-8 9-14"}, {3, "0-4 5-7 8-14"}, /* 8 alone is not full */
        {4, "0-4 5-8 9-14"}, {6, "0-7 8-14"},         {9, "0-8 9-14"},     {15, "0-14"}, {UINT32_MAX, "0-14"},
    };
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        part_begin("start=earliest retry.max.attempts=-1");
        append_batches((const uint32_t[]){5, 3, 1, 6}, 4);
        assert_string_equal(ranges_of(0), ""); /* brings it to life */
        assert_string_equal(ranges_of(cases[i].fill), cases[i].ranges);
        part_end();
    }
}
