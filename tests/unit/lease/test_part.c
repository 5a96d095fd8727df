/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is asked of a partition that a group works on: refusals, what is durable before it is told, dead letters
 * that cannot go. Method: the desk, whose writes become durable when the test says so; the simulator has the rest.
 */
#include "desk.h"

#include <lease/lease_part.h>
#include <stdio.h>

static struct desk k;
static struct topic *source;

/* --- asking ------------------------------------------------------------------------------------------------------- */

static bool waits;

static void on_answer(struct lease_op *op)
{
    (void)op;
    waits = false;
}

static struct lease_fetch_op fetch_of(uint64_t session, uint32_t records_max)
{
    waits = true;
    return (struct lease_fetch_op){.base = {.group_id = el_slice_str("g"), .done = on_answer},
                                   .topic_id = source->id,
                                   .partition = 0,
                                   .session = session,
                                   .worker = el_slice_str("w"),
                                   .records_max = records_max,
                                   .bytes_max = 1u << 20};
}

/* From the other shard, so that the op travels. */
static void fetch(struct lease_fetch_op *op)
{
    leases_fetch(desk->leases[1], op);
    fake_store_run(&k.store);
}

static int64_t lease_now(uint64_t session)
{
    static struct lease_fetch_op op;
    op = fetch_of(session, 1);
    fetch(&op);
    assert_false(waits);
    int64_t offset = op.base.error != 0 ? op.base.error : op.range_count == 0 ? -1 : op.ranges[0].first;
    lease_op_release(&op.base);
    fake_store_run(&k.store);
    return offset;
}

/* returns the first offset leased, -1 none, or the op's error. The first question to a partition finds nothing read. */
static int64_t lease_one(uint64_t session)
{
    int64_t offset = lease_now(session);
    return offset == -1 ? lease_now(session) : offset;
}

static struct lease_outcome outcome;
static struct lease_fetch_op settle_op;

static void settle_begin(uint64_t session, int64_t offset, enum lease_outcome_kind kind)
{
    settle_op = fetch_of(session, 0);
    outcome = (struct lease_outcome){.first = offset, .last = offset, .kind = kind, .delay_ms = -1};
    outcome.error = el_slice_str("broken");
    settle_op.outcomes = &outcome;
    settle_op.outcome_count = 1;
    fetch(&settle_op);
}

/* returns its outcome_error */
static int settle(uint64_t session, int64_t offset, enum lease_outcome_kind kind)
{
    settle_begin(session, offset, kind);
    assert_false(waits);
    assert_int_equal(settle_op.base.error, 0);
    lease_op_release(&settle_op.base);
    return settle_op.outcome_error;
}

static void append_done(struct store_op *op)
{
    *(bool *)op->arg = true;
}

static void append(const char *key)
{
    static struct append_op op;
    static uint8_t buf[1024];
    struct el_batch_builder builder;
    struct el_slice batch;
    bool done = false;
    struct el_record_body body = {.key = el_slice_str(key), .value = el_slice_str("v")};
    el_batch_builder_init_fixed(&builder, buf, sizeof buf);
    assert_int_equal(el_batch_builder_add(&builder, 1, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    op = (struct append_op){.base = {.done = append_done, .arg = &done},
                            .topic_id = source->id,
                            .batch = batch.data,
                            .batch_len = (uint32_t)batch.len};
    assert_int_equal(el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &op.info), 0);
    store_append(&k.store.shards[0], &op);
    assert_true(done);
    fake_store_run(&k.store);
}

static void begin(const char *settings)
{
    desk_begin(&k);
    source = fake_topic(&k.store, "source", 2);
    assert_int_equal(desk_set("g", settings), 0);
}

static int64_t letters(const char *topic)
{
    for (uint32_t i = 0; i < k.store.topic_count; i++) {
        if (strcmp(k.store.topics[i].name, topic) == 0) {
            return k.store.next_offset[i][0];
        }
    }
    return -1;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_part, refuses_groups_and_partitions_that_are_not_there)
{
    struct lease_fetch_op op;
    begin("start=earliest");
    op = fetch_of(7, 1);
    op.base.group_id = el_slice_str("nobody");
    fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_GROUP_NOT_FOUND);
    op = fetch_of(7, 1);
    op.partition = 2;
    fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_UNKNOWN_TOPIC);
    op = fetch_of(7, 1);
    memset(&op.topic_id, 0xee, sizeof op.topic_id);
    fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_UNKNOWN_TOPIC_ID);
    op = fetch_of(7, 1);
    op.topic_id = store_topic_by_name(NULL, el_slice_str(LEASES_TOPIC))->id;
    fetch(&op);
    assert_int_equal(op.base.error, EVLOG_ERR_INVALID_TOPIC);
    desk_end(&k);
}

TEST(lease_part, refuses_outcomes_of_who_does_not_hold_the_event)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(settle(7, 0, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(settle(8, 0, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    assert_int_equal(settle(7, 1, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    assert_int_equal(settle(7, 0, LEASE_ACCEPT), 0);
    assert_int_equal(settle(7, 0, LEASE_ACCEPT), EVLOG_ERR_LEASE);
    desk_end(&k);
}

TEST(lease_part, is_not_made_while_its_start_cannot_be_stored)
{
    begin("start=earliest");
    append("a");
    k.store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(lease_one(7), EVLOG_ERR_STORAGE);
    k.store.append_error = 0;
    fake_store_ms(&k.store, 300);
    assert_int_equal(lease_one(7), 0);
    desk_end(&k);
}

/* --- what is durable ---------------------------------------------------------------------------------------------- */

TEST(lease_part, an_acknowledgement_is_durable_before_it_is_answered)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(lease_one(7), 0);
    fake_store_ms(&k.store, 100);
    k.store.defer = true;
    settle_begin(7, 0, LEASE_ACCEPT);
    assert_true(waits);
    fake_store_durable(&k.store);
    assert_false(waits);
    k.store.defer = false;
    desk_restart(&k);
    assert_int_equal(lease_one(7), -1);
    desk_end(&k);
}

TEST(lease_part, an_acknowledgement_that_cannot_be_stored_is_told_and_tried_again)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(lease_one(7), 0);
    k.store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(settle(7, 0, LEASE_ACCEPT), EVLOG_ERR_STORAGE);
    k.store.append_error = 0;
    fake_store_ms(&k.store, 300);
    desk_restart(&k);
    assert_int_equal(lease_one(7), -1);
    desk_end(&k);
}

TEST(lease_part, the_next_event_of_a_key_waits_until_the_first_is_durably_done)
{
    begin("start=earliest");
    append("a");
    append("a");
    append("b");
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(lease_one(7), 2);
    assert_int_equal(lease_one(7), -1);
    fake_store_ms(&k.store, 100);
    k.store.defer = true;
    settle_begin(7, 0, LEASE_ACCEPT);
    static struct lease_fetch_op op;
    bool before = waits;
    op = fetch_of(7, 1);
    fetch(&op);
    assert_true(before);
    assert_int_equal(op.range_count, 0);
    lease_op_release(&op.base);
    fake_store_durable(&k.store);
    assert_int_equal(lease_one(7), 1);
    k.store.defer = false;
    desk_end(&k);
}

TEST(lease_part, attempts_survive_a_restart)
{
    begin("start=earliest retry.backoff.ms=0 retry.max.attempts=5");
    append("a");
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(settle(7, 0, LEASE_FAIL), 0);
    assert_int_equal(lease_one(7), 0);
    desk_restart(&k); /* which writes what nobody waited for */
    static struct lease_fetch_op op;
    op = fetch_of(9, 1);
    fetch(&op); /* brings it to life */
    lease_op_release(&op.base);
    op = fetch_of(9, 1);
    fetch(&op);
    assert_int_equal(op.range_count, 1);
    assert_int_equal(op.ranges[0].deliveries, 3);
    lease_op_release(&op.base);
    desk_end(&k);
}

/* --- dead letters ------------------------------------------------------------------------------------------------- */

TEST(lease_part, a_rejected_event_is_in_the_dead_letter_topic)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(settle(7, 0, LEASE_REJECT), 0);
    assert_int_equal(letters("source.g.dlq"), 1);
    assert_int_equal(lease_one(7), -1);
    desk_restart(&k);
    assert_int_equal(lease_one(7), -1);
    assert_int_equal(letters("source.g.dlq"), 1);
    desk_end(&k);
}

static const char *why(const char *key)
{
    static struct lease_why_op op;
    op = (struct lease_why_op){
        .base = {.group_id = el_slice_str("g"), .done = on_answer}, .topic_id = source->id, .key = el_slice_str(key)};
    leases_why(desk->leases[1], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, 0);
    return op.base.message_text;
}

TEST(lease_part, a_dead_letter_topic_that_is_the_source_holds_up_the_key_and_says_so)
{
    begin("start=earliest dlq.topic=source");
    append("a");
    append("a");
    append("b");
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&k.store, 200);
    assert_non_null(strstr(why("a"), "dlq.topic"));
    assert_int_equal(lease_one(7), 2);
    assert_int_equal(lease_one(7), -1);
    assert_int_equal(desk_set("g", "start=earliest dlq.topic=other"), 0);
    fake_store_ms(&k.store, 61000);
    assert_int_equal(letters("other"), 1);
    assert_int_equal(lease_one(7), 1);
    desk_end(&k);
}

TEST(lease_part, a_dead_letter_topic_that_cannot_be_made_loses_nothing)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(lease_one(7), 0);
    k.store.change_error = EVLOG_ERR_POLICY;
    assert_int_equal(settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&k.store, 3000);
    assert_non_null(strstr(why("a"), "cannot be made"));
    k.store.change_error = 0;
    fake_store_ms(&k.store, 61000);
    assert_int_equal(letters("source.g.dlq"), 1);
    desk_end(&k);
}

TEST(lease_part, later_events_of_a_parked_key_follow_until_it_is_released)
{
    begin("start=earliest on.exhausted=park retry.max.attempts=1");
    append("a");
    append("a");
    append("b");
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(settle(7, 0, LEASE_FAIL), 0);
    fake_store_ms(&k.store, 200);
    assert_int_equal(letters("source.g.dlq"), 2);
    assert_int_equal(lease_one(7), 2);
    desk_restart(&k);
    static struct lease_release_key_op op;
    op = (struct lease_release_key_op){
        .base = {.group_id = el_slice_str("g"), .done = on_answer}, .topic_id = source->id, .key = el_slice_str("b")};
    leases_release_key(desk->leases[1], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, EVLOG_ERR_NOT_FOUND);
    op.key = el_slice_str("a");
    leases_release_key(desk->leases[1], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, 0);
    append("a");
    assert_int_equal(lease_one(8), 3);
    assert_int_equal(letters("source.g.dlq"), 3); /* with b, whose only attempt the restart has ended */
    desk_end(&k);
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

TEST(lease_part, is_forgotten_with_its_topic)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(lease_one(7), 0);
    fake_topic_delete(&k.store, "source");
    fake_store_ms(&k.store, 11000);
    assert_int_equal(fake_store_metric(&k.store, METRIC_LEASE_PARTS), 0);
    desk_restart(&k);
    assert_int_equal(fake_store_metric(&k.store, METRIC_LEASE_PARTS), 0);
    desk_end(&k);
}

TEST(lease_part, begins_anew_when_its_group_was_deleted)
{
    begin("start=earliest");
    append("a");
    assert_int_equal(lease_one(7), 0);
    assert_int_equal(settle(7, 0, LEASE_ACCEPT), 0);
    assert_int_equal(desk_delete("g"), 0);
    assert_int_equal(lease_one(7), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    assert_int_equal(lease_one(7), 0);
    desk_end(&k);
}
