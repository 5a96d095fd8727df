/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a target refuses for good, after it was decided: it becomes a dead letter, once, with its story; what was
 * emitted with it is published; nothing else waits. Method: the desk, with a topic that refuses batches which hold a
 * bad event, or all; crashes between the steps are the simulator's as well.
 */
#include "part_kit.h"

#include <lease/lease_letter.h>
#include <stdio.h>

#define LETTERS "source.g.dlq"

static struct topic *out;
static struct lease_emit emits[64];
static struct lease_outcome outcomes[64];
static struct lease_fetch_op ask;
static int gone_error;     /* what appends to "out" end with; 0: only batches with a bad event are refused */
static int good_error;     /* what those without a bad event end with; 0: they are taken */
static int32_t full_below; /* partitions of "out" below it take nothing now */

static struct topic *topic_of(const char *name)
{
    for (uint32_t i = 0; i < desk->store.topic_count; i++) {
        if (strcmp(desk->store.topics[i].name, name) == 0) {
            return &desk->store.topics[i];
        }
    }
    return NULL;
}

typedef bool (*record_fn)(const struct el_batch_record *record, const char *arg);

/* Records of durable batches of a topic for which fn is true. */
static uint32_t count_records(const char *topic, record_fn fn, const char *arg)
{
    uint32_t count = 0;
    const struct topic *t = topic_of(topic);
    for (uint32_t i = 0; t != NULL && i < desk->store.batch_count; i++) {
        const struct fake_batch *batch = &desk->store.batches[i];
        struct el_batch_iter iter;
        struct el_batch_record record;
        if (!batch->durable || !el_uuid_eq(&batch->topic_id, &t->id)) {
            continue;
        }
        assert_int_equal(el_batch_open(&iter, batch->data, batch->len, NULL, 0), 0);
        while (el_batch_next(&iter, &record) == 1) {
            count += fn == NULL || fn(&record, arg);
        }
    }
    return count;
}

static bool has_value(const struct el_batch_record *record, const char *arg)
{
    return el_slice_eq(record->record.value, el_slice_str(arg));
}

static uint32_t found(const char *topic, const char *value)
{
    return count_records(topic, has_value, value);
}

static int refuse(const struct append_op *op)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    if (!el_uuid_eq(&op->topic_id, &out->id)) {
        return 0;
    }
    if (op->partition < full_below) {
        return EVLOG_ERR_FULL;
    }
    assert_int_equal(el_batch_open(&iter, op->batch, op->batch_len, NULL, 0), 0);
    while (gone_error == 0 && el_batch_next(&iter, &record) == 1) {
        if (record.record.value.data[0] == '!') {
            return EVLOG_ERR_ID_CONFLICT;
        }
    }
    return gone_error != 0 ? gone_error : good_error;
}

static void begin(const char *settings)
{
    part_begin(settings);
    out = fake_topic(&desk->store, "out", 4);
    desk->store.refuse = refuse;
    gone_error = good_error = full_below = 0;
}

static void end(void)
{
    desk->store.refuse = NULL;
    part_end();
}

static struct lease_emit emit_of(int32_t partition, const char *value)
{
    return (struct lease_emit){.topic_id = out->id,
                               .partition = partition,
                               .timestamp_ms = 5,
                               .body = {.key = el_slice_str("k"), .value = el_slice_str(value)},
                               .batch_len_max = 1u << 20};
}

/* Worker 7 is done with the events first .. first + count - 1, which emit one value each into partition 1. */
static void acknowledge(int64_t first, uint32_t count, const char *const *values)
{
    ask = part_fetch_of(7, 0);
    for (uint32_t i = 0; i < count; i++) {
        emits[i] = emit_of(1, values[i]);
        outcomes[i] = (struct lease_outcome){.first = first + i,
                                             .last = first + i,
                                             .kind = LEASE_ACCEPT,
                                             .delay_ms = -1,
                                             .emits = &emits[i],
                                             .emit_count = 1};
    }
    ask.outcomes = outcomes;
    ask.outcome_count = count;
    part_fetch(&ask);
}

/* The same of one event that emits what is in emits[count]. */
static void acknowledge_emits(int64_t offset, uint32_t count)
{
    ask = part_fetch_of(7, 0);
    outcomes[0] = (struct lease_outcome){
        .first = offset, .last = offset, .kind = LEASE_ACCEPT, .delay_ms = -1, .emits = emits, .emit_count = count};
    ask.outcomes = outcomes;
    ask.outcome_count = 1;
    part_fetch(&ask);
}

static void acknowledge_all_as_one(int64_t offset, const char *const *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        emits[i] = emit_of(1, values[i]);
    }
    acknowledge_emits(offset, count);
}

static void answered(void)
{
    assert_false(part_waits);
    assert_int_equal(ask.base.error, 0);
    assert_int_equal(ask.outcome_error, 0);
    lease_op_release(&ask.base);
}

static void lease_all(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        part_append(NULL);
        assert_int_equal(part_lease(7), i);
    }
    fake_store_ms(&desk->store, 100);
}

static int64_t lag(void)
{
    static struct lease_offsets_op op;
    op = (struct lease_offsets_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                   .verb = LEASE_OFFSETS_GET,
                                   .topic_id = part_source->id};
    part_waits = true;
    leases_offsets(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_false(part_waits);
    assert_int_equal(op.base.error, 0);
    return op.lag;
}

static bool header_is(const struct el_batch_record *record, const char *name, const char *value)
{
    struct el_slice found_value;
    return el_header_find(&record->record, name, &found_value) && el_slice_eq(found_value, el_slice_str(value));
}

static bool tells_all(const struct el_batch_record *record, const char *arg)
{
    return el_slice_eq(record->record.value, el_slice_str(arg)) && el_slice_eq(record->record.key, el_slice_str("k")) &&
           header_is(record, "evlog-dlq-topic", "source") && header_is(record, "evlog-dlq-partition", "0") &&
           header_is(record, "evlog-dlq-offset", "0") && header_is(record, "evlog-dlq-group", "g") &&
           header_is(record, "evlog-dlq-reason", "emit-refused") && header_is(record, "evlog-dlq-timestamp", "5") &&
           header_is(record, "evlog-dlq-emit-topic", "out") && header_is(record, "evlog-dlq-emit-partition", "1") &&
           header_is(record, "evlog-dlq-error", evlog_error_text(EVLOG_ERR_ID_CONFLICT));
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_emit_refuse, makes_a_dead_letter_that_tells_where_it_is_from)
{
    begin("start=earliest");
    lease_all(1);
    acknowledge(0, 1, (const char *[]){"!bad"});
    answered();
    fake_store_ms(&desk->store, 100);
    assert_int_equal(count_records(LETTERS, tells_all, "!bad"), 1);
    assert_int_equal(count_records(LETTERS, NULL, NULL), 1);
    assert_int_equal(count_records("out", NULL, NULL), 0);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS_REFUSED), 1);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS), 0);
    assert_int_equal(lag(), 0);
    end();
}

TEST(lease_emit_refuse, finds_the_bad_ones_among_many_and_publishes_all_others)
{
    static const char *const values[] = {"a", "b", "!c", "d", "e", "f", "g", "!h", "i", "j", "k", "!l", "!m"};
    begin("start=earliest");
    lease_all(13);
    acknowledge(0, 13, values);
    answered();
    fake_store_ms(&desk->store, 1000);
    for (uint32_t i = 0; i < 13; i++) {
        const char *value = values[i];
        assert_int_equal(found("out", value), value[0] != '!');
        assert_int_equal(found(LETTERS, value), value[0] == '!');
    }
    assert_int_equal(lag(), 0);
    end();
}

TEST(lease_emit_refuse, to_a_topic_that_is_gone_makes_dead_letters_of_all)
{
    static const char *const values[] = {"a", "b", "c"};
    begin("start=earliest");
    lease_all(3);
    gone_error = EVLOG_ERR_UNKNOWN_TOPIC_ID;
    acknowledge(0, 3, values);
    answered();
    fake_store_ms(&desk->store, 1000);
    assert_int_equal(count_records(LETTERS, NULL, NULL), 3);
    assert_int_equal(count_records("out", NULL, NULL), 0);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS_LOST), 0);
    assert_int_equal(lag(), 0);
    end();
}

TEST(lease_emit_refuse, holds_up_no_later_emit_of_its_partition)
{
    begin("start=earliest dlq.topic=source"); /* which takes no letters */
    lease_all(3);
    acknowledge(0, 1, (const char *[]){"!bad"});
    answered();
    for (int64_t i = 1; i < 3; i++) {
        acknowledge(i, 1, (const char *[]){"good"});
        answered();
        fake_store_ms(&desk->store, 3000);
        assert_int_equal(found("out", "good"), i);
    }
    end();
}

/* No letter gets a number while one five before it may be sent again. That one's bundle has a batch behind one which is
 * to be divided, of a bundle that has a letter to write, too. */
TEST(lease_emit_refuse, is_divided_before_letters_that_wait_for_what_is_behind_it)
{
    begin("start=earliest");
    lease_all(6);
    full_below = 2;
    emits[0] = emit_of(0, "!a");
    emits[1] = emit_of(1, "!b");
    emits[2] = emit_of(1, "!c");
    acknowledge_emits(0, 3);
    answered();
    emits[0] = emit_of(1, "behind");
    emits[1] = emit_of(3, "!d");
    acknowledge_emits(1, 2);
    answered();
    fake_store_ms(&desk->store, 100);
    assert_int_equal(found(LETTERS, "!d"), 1);
    for (int64_t i = 2; i < 6; i++) {
        emits[0] = emit_of(3, "!e");
        acknowledge_emits(i, 1);
        answered();
        fake_store_ms(&desk->store, 100);
        assert_int_equal(found(LETTERS, "!e"), i - 1);
    }
    full_below = 0;
    fake_store_ms(&desk->store, 20000);
    assert_int_equal(found("out", "behind"), 1);
    assert_int_equal(found(LETTERS, "!a") + found(LETTERS, "!b") + found(LETTERS, "!c"), 3);
    assert_int_equal(lag(), 0);
    end();
}

TEST(lease_emit_refuse, waits_for_its_letter_and_says_why)
{
    begin("start=earliest dlq.topic=source");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    fake_store_ms(&desk->store, 100);
    acknowledge(0, 1, (const char *[]){"!bad"});
    answered();
    fake_store_ms(&desk->store, 100);
    const char *why = part_why("a");
    assert_non_null(strstr(why, "out 1 refuses for good"));
    assert_non_null(strstr(why, "dlq.topic"));
    assert_int_equal(desk_set("g", "start=earliest dlq.topic=graves"), 0);
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(found("graves", "!bad"), 1);
    assert_int_equal(lag(), 0);
    end();
}

TEST(lease_emit_refuse, that_may_pass_is_tried_again_and_is_no_letter)
{
    static const int errors[] = {EVLOG_ERR_STORAGE, EVLOG_ERR_FULL, EVLOG_ERR_NO_MEMORY};
    begin("start=earliest");
    lease_all(3);
    for (int64_t i = 0; i < 3; i++) {
        gone_error = errors[i];
        acknowledge(i, 1, (const char *[]){"good"});
        answered();
        fake_store_ms(&desk->store, 500);
        assert_int_equal(found("out", "good"), i);
        gone_error = 0;
        fake_store_ms(&desk->store, 5000);
        assert_int_equal(found("out", "good"), i + 1);
    }
    assert_null(topic_of(LETTERS));
    end();
}

/* --- crashes ------------------------------------------------------------------------------------------------------ */

/* A crash after each number of durable writes: each event is published once or is one letter. */
TEST(lease_emit_refuse, is_one_letter_wherever_a_crash_comes)
{
    static const char *const values[] = {"a", "!b", "c", "d", "!e"};
    bool ended = false;
    for (uint32_t writes = 0; !ended; writes++) {
        begin("start=earliest");
        lease_all(5);
        desk->store.defer = true;
        acknowledge(0, 5, values);
        fake_store_durable(&desk->store); /* it is decided */
        answered();
        for (uint32_t i = 0; i < writes && desk->store.append_count > 0; i++) {
            fake_store_durable(&desk->store);
        }
        ended = desk->store.append_count == 0;
        desk->store.defer = false;
        desk_restart(desk);
        assert_int_equal(part_lease(7), -1);
        fake_store_ms(&desk->store, 5000);
        for (uint32_t i = 0; i < 5; i++) {
            const char *value = values[i];
            /* The desk knows no numbers: what a crash repeats is there twice, but never in both places. */
            assert_true(found("out", value) == 0 || value[0] != '!');
            assert_true(found(value[0] == '!' ? LETTERS : "out", value) >= 1);
            assert_true(value[0] == '!' || found(LETTERS, value) == 0);
        }
        assert_int_equal(lag(), 0);
        end();
    }
}

/* Event 0 is done and has emitted "first" and "!bad", event 1 of its key "second"; nothing of it is in "out". */
static void two_of_a_key(void)
{
    begin("start=earliest");
    gone_error = EVLOG_ERR_FULL;
    part_append("a");
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    acknowledge_all_as_one(0, (const char *[]){"first", "!bad"}, 2);
    answered();
    desk_restart(desk);
    assert_int_equal(part_lease(7), 1);
    acknowledge(1, 1, (const char *[]){"second"});
    answered();
}

static uint32_t place_in_out(const char *value)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < desk->store.batch_count; i++) {
        struct el_batch_iter iter;
        struct el_batch_record record;
        const struct fake_batch *batch = &desk->store.batches[i];
        if (!el_uuid_eq(&batch->topic_id, &out->id)) {
            continue;
        }
        assert_int_equal(el_batch_open(&iter, batch->data, batch->len, NULL, 0), 0);
        while (el_batch_next(&iter, &record) == 1) {
            count++;
            if (has_value(&record, value)) {
                return count;
            }
        }
    }
    return 0;
}

TEST(lease_emit_refuse, what_came_with_it_stays_before_later_events_of_its_key)
{
    two_of_a_key();
    gone_error = 0;
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(place_in_out("first"), 1);
    assert_int_equal(place_in_out("second"), 2);
    assert_int_equal(found(LETTERS, "!bad"), 1);
    assert_int_equal(lag(), 0);
    end();
}

static bool is_emits(const struct fake_batch *batch)
{
    struct el_batch_iter iter;
    struct el_batch_record record;
    struct lease_record_key key;
    assert_int_equal(el_batch_open(&iter, batch->data, batch->len, NULL, 0), 0);
    while (el_batch_next(&iter, &record) == 1) {
        assert_int_equal(lease_record_key_decode(record.record.key, &key), 0);
        if (key.kind == LEASE_RECORD_EMITS) {
            return true;
        }
    }
    return false;
}

/* The first record of emits goes: a later one of its key replaces it. */
static void compact(void)
{
    for (uint32_t i = 0; i < desk->store.batch_count; i++) {
        struct fake_batch *batch = &desk->store.batches[i];
        if (el_uuid_eq(&batch->topic_id, &topic_of(LEASES_TOPIC)->id) && is_emits(batch)) {
            batch->durable = false;
            return;
        }
    }
    assert_true(false);
}

/* Its record has been written anew, and is behind that of the later event. */
TEST(lease_emit_refuse, what_came_with_it_stays_there_after_a_restart)
{
    two_of_a_key();
    gone_error = 0;
    good_error = EVLOG_ERR_FULL;
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(place_in_out("first"), 0);
    compact();
    desk_restart(desk);
    good_error = 0;
    assert_int_equal(part_lease(7), -1);
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(place_in_out("first"), 1);
    assert_int_equal(place_in_out("second"), 2);
    assert_int_equal(found(LETTERS, "!bad"), 1);
    assert_int_equal(lag(), 0);
    end();
}

TEST(lease_emit_refuse, is_lost_with_its_group_and_counted)
{
    static struct lease_delete_op op;
    begin("start=earliest dlq.topic=source");
    lease_all(1);
    acknowledge(0, 1, (const char *[]){"!bad"});
    answered();
    op = (struct lease_delete_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer}};
    part_waits = true;
    leases_delete(desk->leases[1], &op);
    fake_store_ms(&desk->store, 2000);
    assert_false(part_waits);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_EMITS_LOST), 1);
    end();
}
