/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: evlog's own requests about work groups reach leases as they were meant, and their results and errors reach the
 * client. Method: a fake of the leases that notes what it was asked and answers what the test says.
 */
#include "fake_streams.h"
#include "share_ask.h"

#include <wire/msg_ext_group_progress.h>
#include <wire/msg_ext_group_why.h>
#include <wire/msg_ext_lease_outcome.h>
#include <wire/msg_ext_release_key.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 3);
    fake_add_topic(&f, "others", 2);
}

static struct el_msg_ext_lease_outcome_response send_outcome(struct fake_request **r,
                                                             struct el_msg_ext_lease_outcome_range *ranges,
                                                             uint32_t range_count, const char *topic)
{
    struct el_msg_ext_lease_outcome_partition part;
    struct el_msg_ext_lease_outcome_topic asked;
    struct el_msg_ext_lease_outcome_request message;
    struct el_msg_ext_lease_outcome_response answer;
    el_schema_init(&el_schema_ext_lease_outcome_partition, &part);
    el_schema_init(&el_schema_ext_lease_outcome_topic, &asked);
    el_schema_init(&el_schema_ext_lease_outcome_request, &message);
    part.outcomes = ranges;
    part.outcome_count = range_count;
    part.partition = 1;
    asked.topic = el_slice_str(topic);
    asked.partitions = &part;
    asked.partition_count = 1;
    message.group = el_slice_str("g");
    message.member = el_slice_str("m");
    message.topics = &asked;
    message.topic_count = 1;
    *r = fake_send(&f, EL_API_LeaseOutcome, 1, &message);
    fake_response(*r, &answer);
    return answer;
}

static struct el_msg_ext_lease_outcome_range range_of(int64_t first, int64_t last, int8_t kind)
{
    struct el_msg_ext_lease_outcome_range range;
    el_schema_init(&el_schema_ext_lease_outcome_range, &range);
    range.first = first;
    range.last = last;
    range.kind = kind;
    return range;
}

static void open_session(void)
{
    struct share_ask a = share_defaults;
    a.first = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
}

TEST(lease_outcome, without_a_session_is_refused)
{
    begin();
    struct fake_request *r;
    struct el_msg_ext_lease_outcome_range range = range_of(0, 0, 5);
    struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, &range, 1, "events");
    assert_int_equal(answer.error, EL_KAFKA_SHARE_SESSION_NOT_FOUND);
    assert_non_null(answer.message.data);
    fake_free(r);
    fake_end(&f);
}

TEST(lease_outcome, that_contradicts_itself_is_refused)
{
    begin();
    open_session();
    uint32_t before = leases_fake.call_count;
    for (int i = 0; i < 8; i++) {
        struct el_msg_ext_lease_outcome_range ranges[2] = {range_of(0, 1, 5), range_of(2, 3, 1)};
        ranges[0].first = i == 0 ? -1 : i == 1 ? 2 : 0;
        ranges[0].kind = i == 2 ? 6 : i == 3 ? -1 : 5;
        ranges[0].delay_ms = i == 4 ? -2 : i == 5 ? 604800001 : i == 6 ? INT64_MAX : 1000;
        ranges[1].first = i == 7 ? 1 : 2;
        struct fake_request *r;
        struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, ranges, 2, "events");
        assert_int_equal(answer.error, 0);
        assert_int_equal(answer.topics[0].partitions[0].error, EL_KAFKA_INVALID_REQUEST);
        assert_non_null(answer.topics[0].partitions[0].message.data);
        fake_free(r);
    }
    assert_int_equal(leases_fake.call_count, before);
    fake_end(&f);
}

TEST(lease_outcome, of_an_unknown_topic_is_refused)
{
    begin();
    open_session();
    struct fake_request *r;
    struct el_msg_ext_lease_outcome_range range = range_of(0, 0, 5);
    struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, &range, 1, "nothing");
    assert_int_equal(answer.topics[0].partitions[0].error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    fake_end(&f);
}

static struct el_msg_ext_lease_outcome_emit emit_to(const char *topic, int32_t partition)
{
    struct el_msg_ext_lease_outcome_emit emit;
    el_schema_init(&el_schema_ext_lease_outcome_emit, &emit);
    emit.topic = el_slice_str(topic);
    emit.key = el_slice_str("k");
    emit.value = el_slice_str("v");
    emit.partition = partition;
    return emit;
}

TEST(lease_outcome, that_may_not_emit_what_it_says_is_refused)
{
    begin();
    open_session();
    f.topics[1].internal = true;
    uint32_t before = leases_fake.call_count;
    for (int i = 0; i < 7; i++) {
        struct el_msg_ext_lease_outcome_range range = range_of(3, i == 0 ? 4 : 3, i == 1 ? 5 : 1);
        struct el_msg_ext_lease_outcome_emit emit = emit_to(i == 2   ? "nothing"
                                                            : i == 3 ? "others"
                                                                     : "events",
                                                            i == 4   ? 3
                                                            : i == 5 ? -2
                                                                     : -1);
        static const int errors[] = {EL_KAFKA_INVALID_REQUEST,
                                     EL_KAFKA_INVALID_REQUEST,
                                     EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                     EL_KAFKA_INVALID_TOPIC_EXCEPTION,
                                     EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                     EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                                     EL_KAFKA_INVALID_TIMESTAMP};
        emit.time = i == 6 ? INT64_MAX : -1;
        range.emits = &emit;
        range.emit_count = 1;
        struct fake_request *r;
        struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, &range, 1, "events");
        assert_int_equal(answer.topics[0].partitions[0].error, errors[i]);
        assert_true(answer.topics[0].partitions[0].emits_refused);
        assert_non_null(answer.topics[0].partitions[0].message.data);
        fake_free(r);
    }
    assert_int_equal(leases_fake.call_count, before);
    fake_end(&f);
}

TEST(lease_outcome, emits_to_the_partition_of_the_key)
{
    begin();
    open_session();
    struct el_msg_ext_lease_outcome_range range = range_of(3, 3, 1);
    struct el_msg_ext_lease_outcome_emit emits[2] = {emit_to("others", -1), emit_to("others", 0)};
    range.emits = emits;
    range.emit_count = 2;
    struct fake_request *r;
    struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, &range, 1, "events");
    assert_int_equal(answer.topics[0].partitions[0].error, 0);
    const struct fake_lease_call *call = &leases_fake.calls[leases_fake.call_count - 1];
    assert_int_equal(call->outcomes[0].emit_count, 2);
    assert_int_equal(call->emit_partitions[0], (int32_t)((el_murmur2("k", 1) & 0x7fffffff) % 2));
    assert_int_equal(call->emit_partitions[1], 0);
    fake_free(r);
    fake_end(&f);
}

TEST(lease_outcome, emits_to_streams_keep_the_rules_of_streams)
{
    static const struct {
        const char *key, *header;
        int32_t partition;
        int16_t error; /* the CRC-32 of "hello" is even */
    } cases[] = {{"", "h", -1, EL_KAFKA_INVALID_RECORD},
                 {"k", STREAM_HEADER_EXPECTED, -1, EL_KAFKA_INVALID_RECORD},
                 {"hello", "h", 1, EL_KAFKA_INVALID_RECORD},
                 {"k", STREAM_HEADER_DELETED, -1, EL_KAFKA_INVALID_RECORD},
                 {"hello", "ce_id", 0, 0},
                 {"hello", "h", -1, 0}};
    begin();
    open_session();
    f.topics[1].internal = false;
    fake_topic_streams(&f.topics[1], "crc32");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_msg_ext_lease_outcome_range range = range_of(3, 3, 1);
        struct el_msg_ext_lease_outcome_emit emit = emit_to("others", cases[i].partition);
        struct el_msg_ext_lease_outcome_header header = {el_slice_str(cases[i].header), el_slice_str("1")};
        struct fake_request *r;
        emit.key = el_slice_str(cases[i].key);
        emit.headers = &header;
        emit.header_count = range.emit_count = 1;
        range.emits = &emit;
        struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, &range, 1, "events");
        assert_int_equal(answer.topics[0].partitions[0].error, cases[i].error);
        fake_free(r);
    }
    assert_int_equal(leases_fake.calls[leases_fake.call_count - 1].emit_partitions[0], 0);
    fake_end(&f);
}

TEST(lease_outcome, carries_reason_error_and_delay_and_cuts_them)
{
    begin();
    open_session();
    struct fake_request *r;
    char long_text[400];
    memset(long_text, 'x', sizeof long_text);
    struct el_msg_ext_lease_outcome_range range = range_of(3, 4, 5);
    range.delay_ms = 60000;
    range.reason = el_slice_str("no-stock");
    range.error = el_slice_of(long_text, sizeof long_text);
    struct el_msg_ext_lease_outcome_response answer = send_outcome(&r, &range, 1, "events");
    assert_int_equal(answer.topics[0].partitions[0].error, 0);
    assert_int_equal(answer.lease_ms, 20000);
    const struct fake_lease_call *call = &leases_fake.calls[leases_fake.call_count - 1];
    assert_int_equal(call->partition, 1);
    assert_int_equal(call->session, 1);
    assert_int_equal(call->records_max, 0);
    assert_int_equal(call->outcomes[0].kind, LEASE_FAIL);
    assert_int_equal(call->outcomes[0].delay_ms, 60000);
    assert_string_equal(call->reason, "no-stock");
    assert_int_equal(strlen(call->error), 256);
    fake_free(r);
    struct share_ask a = share_defaults; /* the epoch has not moved */
    a.epoch = 1;
    assert_int_equal(share_error(&f, &a), EL_KAFKA_NONE);
    fake_end(&f);
}

static struct el_msg_ext_group_why_response ask_why(struct fake_request **r, const char *topic, int32_t partition)
{
    struct el_msg_ext_group_why_request message;
    struct el_msg_ext_group_why_response answer;
    el_schema_init(&el_schema_ext_group_why_request, &message);
    message.group = el_slice_str("g");
    message.key = el_slice_str("k");
    message.topic = el_slice_str(topic);
    message.partition = partition;
    *r = fake_send(&f, EL_API_GroupWhy, 0, &message);
    fake_response(*r, &answer);
    return answer;
}

TEST(group_why, of_unknown_topics_partitions_and_groups_is_an_error)
{
    begin();
    struct fake_request *r;
    assert_int_equal(ask_why(&r, "nothing", -1).error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    assert_int_equal(ask_why(&r, "events", 3).error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    assert_int_equal(ask_why(&r, "events", -2).error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    leases_fake.group_error = EVLOG_ERR_GROUP_NOT_FOUND;
    leases_fake.why_partition = 0;
    leases_fake.why_answer.known = true;
    struct el_msg_ext_group_why_response answer = ask_why(&r, "events", -1);
    assert_int_equal(answer.error, EL_KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(answer.wait_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(group_why, tells_where_a_key_waits_or_is_parked)
{
    begin();
    leases_fake.why_partition = 2;
    leases_fake.parked_partition = 0;
    leases_fake.why_answer = (struct lease_why_op){
        .known = true, .offset = 9, .state = "backoff", .attempts = 3, .due_ms = 1500, .behind = 4};
    snprintf(leases_fake.why_answer.base.message_text, LEASE_MESSAGE_LEN, "its dead-letter topic is full");
    struct fake_request *r;
    struct el_msg_ext_group_why_response answer = ask_why(&r, "events", -1);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.wait_count, 2);
    assert_null(answer.waits[0].message.data);
    assert_true(el_slice_eq(answer.waits[1].message, el_slice_str("its dead-letter topic is full")));
    assert_int_equal(answer.waits[0].partition, 0);
    assert_true(answer.waits[0].parked);
    assert_int_equal(answer.waits[0].offset, -1);
    assert_int_equal(answer.waits[1].partition, 2);
    assert_false(answer.waits[1].parked);
    assert_int_equal(answer.waits[1].offset, 9);
    assert_int_equal(answer.waits[1].attempts, 3);
    assert_int_equal(answer.waits[1].due_ms, 1500);
    assert_int_equal(answer.waits[1].behind, 4);
    assert_true(el_slice_eq(answer.waits[1].state, el_slice_str("backoff")));
    fake_free(r);
    answer = ask_why(&r, "events", 1);
    assert_int_equal(answer.wait_count, 0);
    fake_free(r);
    fake_end(&f);
}

static int16_t release_key(int32_t partition)
{
    struct el_msg_ext_release_key_request message;
    struct el_msg_ext_release_key_response answer;
    el_schema_init(&el_schema_ext_release_key_request, &message);
    message.group = el_slice_str("g");
    message.key = el_slice_str("k");
    message.topic = el_slice_str("events");
    message.partition = partition;
    struct fake_request *r = fake_send(&f, EL_API_ReleaseKey, 0, &message);
    fake_response(r, &answer);
    assert_int_equal(answer.message.data == NULL, answer.error == 0);
    fake_free(r);
    return answer.error;
}

TEST(release_key, of_what_is_not_parked_is_an_error)
{
    begin();
    assert_int_equal(release_key(3), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(release_key(-1), EL_KAFKA_RESOURCE_NOT_FOUND);
    leases_fake.parked_partition = 1;
    assert_int_equal(release_key(0), EL_KAFKA_RESOURCE_NOT_FOUND);
    assert_int_equal(release_key(1), EL_KAFKA_NONE);
    assert_int_equal(release_key(-1), EL_KAFKA_NONE);
    leases_fake.group_error = EVLOG_ERR_GROUP_NOT_FOUND;
    assert_int_equal(release_key(-1), EL_KAFKA_GROUP_ID_NOT_FOUND);
    fake_end(&f);
}

static struct el_msg_ext_group_progress_response progress(struct fake_request **r, const char *topic)
{
    struct el_slice names[1] = {el_slice_str(topic)};
    struct el_msg_ext_group_progress_request message;
    struct el_msg_ext_group_progress_response answer;
    el_schema_init(&el_schema_ext_group_progress_request, &message);
    message.group = el_slice_str("g");
    message.topics = topic == NULL ? NULL : names;
    message.topic_count = topic == NULL ? 0 : 1;
    *r = fake_send(&f, EL_API_GroupProgress, 0, &message);
    fake_response(*r, &answer);
    return answer;
}

TEST(group_progress, of_unknown_groups_and_topics_is_an_error)
{
    begin();
    struct fake_request *r;
    assert_int_equal(progress(&r, "nothing").error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    leases_fake.group_error = EVLOG_ERR_GROUP_NOT_FOUND;
    assert_int_equal(progress(&r, "events").error, EL_KAFKA_GROUP_ID_NOT_FOUND);
    fake_free(r);
    fake_end(&f);
}

TEST(group_progress, counts_events_by_state)
{
    begin();
    struct fake_request *r;
    struct el_msg_ext_group_progress_response answer = progress(&r, NULL);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.topic_count, 0);
    fake_free(r);
    leases_fake.offsets_answer = (struct lease_offsets_op){.exists = true,
                                                           .start = 1,
                                                           .lag = 2,
                                                           .ready = 3,
                                                           .leased = 4,
                                                           .waiting = 5,
                                                           .backoff = 6,
                                                           .delayed = 7,
                                                           .dying = 8,
                                                           .halted_at = 9};
    answer = progress(&r, "others");
    assert_int_equal(answer.topic_count, 1);
    assert_int_equal(answer.topics[0].partition_count, 2);
    const struct el_msg_ext_group_progress_partition *part = &answer.topics[0].partitions[1];
    assert_int_equal(part->partition, 1);
    assert_int_equal(part->start, 1);
    assert_int_equal(part->lag, 2);
    assert_int_equal(part->ready, 3);
    assert_int_equal(part->leased, 4);
    assert_int_equal(part->waiting, 5);
    assert_int_equal(part->backoff, 6);
    assert_int_equal(part->delayed, 7);
    assert_int_equal(part->dying, 8);
    assert_int_equal(part->halted_at, 9);
    fake_free(r);
    answer = progress(&r, NULL);
    assert_int_equal(answer.topic_count, 2);
    fake_free(r);
    fake_end(&f);
}
