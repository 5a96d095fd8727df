/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is published with an acknowledgement: refusals, that it is stored before anything is appended and appended
 * whatever happens then. Method: the desk, where a test says when a write is durable; crashes are the simulator's.
 */
#include "part_kit.h"

#include <stdio.h>

static struct topic *out;
static struct lease_emit emits[4];
static struct lease_outcome outcomes[2];
static struct lease_fetch_op ask;

static void begin(const char *settings)
{
    part_begin(settings);
    out = fake_topic(&desk->store, "out", 4);
}

/* Into partition p of the topic, with so many bytes of value. */
static struct lease_emit emit_of(const struct topic *topic, int32_t p, size_t len)
{
    static uint8_t bytes[2u << 20];
    return (struct lease_emit){.topic_id = topic->id,
                               .partition = p,
                               .timestamp_ms = 5,
                               .body = {.key = el_slice_str("k"), .value = el_slice_of(bytes, len)},
                               .batch_len_max = 1u << 20};
}

static void settle_begin(uint64_t session, int64_t offset, enum lease_outcome_kind kind, uint32_t emit_count)
{
    ask = part_fetch_of(session, 0);
    outcomes[0] = (struct lease_outcome){
        .first = offset, .last = offset, .kind = kind, .delay_ms = -1, .emits = emits, .emit_count = emit_count};
    ask.outcomes = outcomes;
    ask.outcome_count = 1;
    part_fetch(&ask);
}

/* returns its outcome_error */
static int settle(uint64_t session, int64_t offset, uint32_t emit_count)
{
    settle_begin(session, offset, LEASE_ACCEPT, emit_count);
    assert_false(part_waits);
    assert_int_equal(ask.base.error, 0);
    lease_op_release(&ask.base);
    return ask.outcome_error;
}

static int64_t emitted(int32_t partition)
{
    return desk->store.next_offset[out - desk->store.topics][partition];
}

/* Worker 7 holds the event 0, of key "a", and what it costs to lease it has been written. */
static void begin_leased(void)
{
    begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
}

/* That event is done, and what it emits into partition 1 is stored, but could not be appended. Writes are deferred. */
static void begin_stored(void)
{
    begin_leased();
    emits[0] = emit_of(out, 1, 10);
    desk->store.defer = true;
    settle_begin(7, 0, LEASE_ACCEPT, 1);
    fake_store_durable(&desk->store);
    lease_op_release(&ask.base);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    fake_store_durable(&desk->store); /* the append */
    desk->store.append_error = 0;
}

static void all_durable(void)
{
    while (desk->store.append_count > 0) {
        fake_store_durable(&desk->store);
    }
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_emit, is_refused_with_any_outcome_but_done)
{
    begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    emits[0] = emit_of(out, 0, 10);
    for (int kind = LEASE_GAP; kind <= LEASE_FAIL; kind++) {
        if (kind != LEASE_ACCEPT) {
            settle_begin(7, 0, (enum lease_outcome_kind)kind, 1);
            assert_int_equal(ask.outcome_error, EVLOG_ERR_LEASE);
            lease_op_release(&ask.base);
        }
    }
    assert_int_equal(emitted(0), 0);
    assert_int_equal(settle(7, 0, 1), 0); /* still leased */
    assert_int_equal(emitted(0), 1);
    part_end();
}

TEST(lease_emit, is_refused_for_who_does_not_hold_the_event)
{
    begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    emits[0] = emit_of(out, 0, 10);
    assert_int_equal(settle(8, 0, 1), EVLOG_ERR_LEASE);
    assert_int_equal(settle(7, 1, 1), EVLOG_ERR_LEASE);
    assert_int_equal(settle(7, 0, 1), 0);
    assert_int_equal(settle(7, 0, 1), EVLOG_ERR_LEASE); /* twice */
    assert_int_equal(emitted(0), 1);
    part_end();
}

TEST(lease_emit, above_its_bounds_is_refused_and_the_event_is_still_leased)
{
    begin("start=earliest");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    emits[0] = emit_of(out, 0, 300u << 10); /* the desk's budget allows 256 KiB */
    settle_begin(7, 0, LEASE_ACCEPT, 1);
    assert_int_equal(ask.outcome_error, EVLOG_ERR_TOO_LARGE);
    assert_true(ask.emits_refused);
    assert_non_null(strstr(ask.base.message_text, "bytes"));
    lease_op_release(&ask.base);
    emits[0] = emit_of(out, 0, 1000);
    emits[1] = emit_of(out, 0, 1000);
    emits[0].batch_len_max = emits[1].batch_len_max = 2000; /* each of them fits */
    settle_begin(7, 0, LEASE_ACCEPT, 2);
    assert_int_equal(ask.outcome_error, EVLOG_ERR_TOO_LARGE);
    assert_non_null(strstr(ask.base.message_text, "max.message.bytes"));
    lease_op_release(&ask.base);
    emits[1].partition = 1;
    assert_int_equal(settle(7, 0, 2), 0);
    assert_int_equal(emitted(0), 1);
    assert_int_equal(emitted(1), 1);
    part_end();
}

/* --- order of things ---------------------------------------------------------------------------------------------- */

TEST(lease_emit, is_stored_before_it_is_appended_and_answered)
{
    begin("start=earliest");
    part_append("a");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
    emits[0] = emit_of(out, 3, 10);
    emits[1] = emit_of(out, 0, 10);
    desk->store.defer = true;
    settle_begin(7, 0, LEASE_ACCEPT, 2);
    assert_true(part_waits);
    assert_int_equal(emitted(3), 0);
    fake_store_durable(&desk->store); /* the record */
    assert_false(part_waits);
    assert_int_equal(ask.outcome_error, 0);
    lease_op_release(&ask.base);
    assert_int_equal(emitted(3), 1);
    assert_int_equal(emitted(0), 1);
    assert_string_equal(part_why("a"), "");
    fake_store_durable(&desk->store); /* one of the batches: the key waits for both */
    assert_string_equal(part_why("a"), "");
    fake_store_durable(&desk->store);
    fake_store_durable(&desk->store); /* progress */
    assert_int_equal(part_lease(7), 1);
    desk->store.defer = false;
    part_end();
}

TEST(lease_emit, that_cannot_be_stored_is_told_and_tried_again)
{
    begin_leased();
    emits[0] = emit_of(out, 0, 10);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(settle(7, 0, 1), EVLOG_ERR_STORAGE);
    assert_int_equal(emitted(0), 0);
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 300);
    assert_int_equal(emitted(0), 1);
    part_end();
}

TEST(lease_emit, of_several_workers_share_a_record)
{
    begin("start=earliest");
    for (int i = 0; i < 4; i++) {
        part_append(NULL);
        assert_int_equal(part_lease(7), i);
    }
    fake_store_ms(&desk->store, 100);
    emits[0] = emit_of(out, 0, 10);
    desk->store.defer = true;
    static struct lease_fetch_op ops[4];
    static struct lease_outcome each[4];
    static struct lease_emit own[4];
    for (int i = 0; i < 4; i++) {
        own[i] = emit_of(out, 0, 10);
        each[i] = (struct lease_outcome){
            .first = i, .last = i, .kind = LEASE_ACCEPT, .delay_ms = -1, .emits = &own[i], .emit_count = 1};
        ops[i] = part_fetch_of(7, 0);
        ops[i].outcomes = &each[i];
        ops[i].outcome_count = 1;
        part_fetch(&ops[i]);
    }
    fake_store_durable(&desk->store); /* the first one's record; then its batch, and the record of all others */
    desk->store.defer = false;
    all_durable();
    assert_int_equal(emitted(0), 4);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS), 4);
    uint32_t batches = 0;
    for (uint32_t i = 0; i < desk->store.batch_count; i++) {
        batches += el_uuid_eq(&desk->store.batches[i].topic_id, &out->id);
    }
    assert_int_equal(batches, 2);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(ops[i].outcome_error, 0);
        lease_op_release(&ops[i].base);
    }
    part_end();
}

/* A batch that may have to be sent again must be among the last five of its partition, which remembers no more. */
TEST(lease_emit, gets_no_number_while_one_five_before_it_may_be_sent_again)
{
    begin("start=earliest");
    struct topic *other = fake_topic(&desk->store, "other", 1);
    for (int64_t i = 0; i < 7; i++) {
        part_append(NULL);
        assert_int_equal(part_lease(7), i);
    }
    fake_store_ms(&desk->store, 100);
    desk->store.held = other;
    emits[0] = emit_of(out, 0, 10);
    emits[1] = emit_of(other, 0, 10);
    assert_int_equal(settle(7, 0, 2), 0); /* it does not end before the other topic has taken its part */
    for (int64_t i = 1; i < 5; i++) {
        assert_int_equal(settle(7, i, 1), 0);
        assert_int_equal(emitted(0), i + 1);
    }
    settle_begin(7, 5, LEASE_ACCEPT, 1);
    fake_store_ms(&desk->store, 1000);
    assert_true(part_waits);
    assert_int_equal(emitted(0), 5);
    desk->store.held = NULL;
    fake_store_durable(&desk->store);
    fake_store_ms(&desk->store, 100);
    assert_false(part_waits);
    assert_int_equal(ask.outcome_error, 0);
    lease_op_release(&ask.base);
    assert_int_equal(emitted(0), 6);
    part_end();
}

/* --- what comes between ------------------------------------------------------------------------------------------- */

static struct lease_offsets_op look;
static uint32_t looks;

static void on_look(struct lease_op *op);

static void look_again(void)
{
    look = (struct lease_offsets_op){.base = {.group_id = el_slice_str("g"), .done = on_look},
                                     .verb = LEASE_OFFSETS_GET,
                                     .topic_id = part_source->id};
    looks++;
    leases_offsets(desk->leases[1], &look);
}

static void on_look(struct lease_op *op)
{
    if (op->error == EVLOG_ERR_GROUP_LOADING && looks < 100) {
        look_again();
    }
}

/* Else nothing would go on before somebody asks for events. */
TEST(lease_emit, that_is_stored_is_appended_after_a_restart_at_whose_begin_somebody_looked)
{
    begin_stored();
    desk->starting = look_again;
    looks = 0;
    desk_restart(desk);
    desk->starting = NULL;
    all_durable();
    fake_store_ms(&desk->store, 1);
    all_durable();
    assert_int_equal(look.base.error, 0);
    assert_true(looks > 1);
    assert_int_equal(emitted(1), 1);
    desk->store.defer = false;
    part_end();
}

TEST(lease_emit, that_is_stored_is_appended_after_a_restart)
{
    begin("start=earliest");
    part_append("a");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
    emits[0] = emit_of(out, 2, 10);
    desk->store.defer = true;
    settle_begin(7, 0, LEASE_ACCEPT, 1);
    fake_store_durable(&desk->store);
    assert_false(part_waits);
    lease_op_release(&ask.base);
    desk->store.defer = false;
    desk_restart(desk); /* the append did not come to its end */
    fake_store_ms(&desk->store, 100);
    uint32_t durable = 0;
    for (uint32_t i = 0; i < desk->store.batch_count; i++) {
        durable += desk->store.batches[i].durable && el_uuid_eq(&desk->store.batches[i].topic_id, &out->id);
    }
    assert_int_equal(durable, 1);
    assert_int_equal(part_lease(7), 1); /* the first is done */
    part_end();
}

TEST(lease_emit, that_waits_says_why_and_is_tried_again)
{
    begin_stored();
    assert_non_null(strstr(part_why("a"), "out 1 takes nothing"));
    desk->store.defer = false;
    fake_store_ms(&desk->store, 2000);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS), 1);
    part_end();
}

TEST(lease_emit, that_is_stored_outlives_its_group)
{
    begin_stored();
    desk->store.defer = false;
    static struct lease_delete_op op;
    op = (struct lease_delete_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer}};
    part_waits = true;
    leases_delete(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_true(part_waits);
    fake_store_ms(&desk->store, 2000);
    assert_false(part_waits);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS), 1);
    part_end();
}

TEST(lease_emit, that_waits_lets_nobody_wait_for_the_end_of_its_group)
{
    static struct lease_delete_op op;
    begin_stored();
    op = (struct lease_delete_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer}};
    part_waits = true;
    leases_delete(desk->leases[1], &op);
    fake_store_run(&desk->store);
    all_durable();
    assert_true(part_waits);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    for (int i = 0; i < 10 && part_waits; i++) {
        fake_store_ms(&desk->store, 1000);
        all_durable();
    }
    assert_false(part_waits);
    assert_int_equal(op.base.error, EVLOG_ERR_STORAGE);
    desk->store.append_error = 0;
    desk->store.defer = false;
    for (int i = 0; i < 20; i++) {
        fake_store_ms(&desk->store, 1000);
    }
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS), 1);
    assert_false(leases_has(desk->leases[1], el_slice_str("g")));
    part_end();
}

TEST(lease_emit, with_a_number_that_is_not_taken_gets_another_producer)
{
    begin_leased();
    emits[0] = emit_of(out, 1, 10);
    desk->store.defer = true;
    settle_begin(7, 0, LEASE_ACCEPT, 1);
    fake_store_durable(&desk->store);
    lease_op_release(&ask.base);
    int64_t before = desk->store.appends[0]->info.producer_id;
    desk->store.append_error = EVLOG_ERR_SEQUENCE;
    fake_store_durable(&desk->store);
    desk->store.append_error = 0;
    assert_false(el_uuid_eq(&desk->store.appends[0]->topic_id, &out->id)); /* its record first */
    fake_store_durable(&desk->store);
    assert_true(el_uuid_eq(&desk->store.appends[0]->topic_id, &out->id));
    assert_true(desk->store.appends[0]->info.producer_id > before);
    desk->store.defer = false;
    all_durable();
    assert_int_equal(part_lease(7), -1);
    part_end();
}
