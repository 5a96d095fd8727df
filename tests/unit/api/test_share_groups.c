/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests about share groups and work groups reach leases as they were meant, and their results and errors reach
 * the client. Method: a fake of the leases that notes what it was asked and answers what the test says.
 */
#include "fake_streams.h"
#include "share_ask.h"

#include <core/hash.h>
#include <wire/msg_alter_share_group_offsets.h>
#include <wire/msg_delete_share_group_offsets.h>
#include <wire/msg_describe_share_group_offsets.h>
#include <wire/msg_ext_group_progress.h>
#include <wire/msg_ext_group_why.h>
#include <wire/msg_ext_lease_outcome.h>
#include <wire/msg_ext_release_key.h>
#include <wire/msg_share_group_describe.h>
#include <wire/msg_share_group_heartbeat.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 3);
    fake_add_topic(&f, "others", 2);
}

static struct fake_request *send_message(int key, int version, const void *message)
{
    struct fake_request *r = fake_request(&f, key, version, message);
    fake_dispatch(&f, r);
    return r;
}

/* --- heartbeat ---------------------------------------------------------------------------------------------------- */

static struct el_slice one_topic[1];

static struct el_msg_share_group_heartbeat_request heartbeat_message(void)
{
    struct el_msg_share_group_heartbeat_request message;
    el_schema_init(&el_schema_share_group_heartbeat_request, &message);
    one_topic[0] = el_slice_str("events");
    message.group_id = el_slice_str("g");
    message.member_id = el_slice_str("m");
    message.subscribed_topic_names = one_topic;
    message.subscribed_topic_name_count = 1;
    return message;
}

static int16_t heartbeat_error(const struct el_msg_share_group_heartbeat_request *message)
{
    struct el_msg_share_group_heartbeat_response answer;
    struct fake_request *r = send_message(EL_API_ShareGroupHeartbeat, 1, message);
    fake_response(r, &answer);
    assert_int_equal(answer.error_message.data == NULL, answer.error_code == 0);
    fake_free(r);
    return answer.error_code;
}

TEST(share_heartbeat, refuses_what_kafka_refuses)
{
    begin();
    struct el_msg_share_group_heartbeat_request message = heartbeat_message();
    message.group_id = el_slice_str("");
    assert_int_equal(heartbeat_error(&message), EL_KAFKA_INVALID_REQUEST);
    message = heartbeat_message();
    message.member_id = el_slice_str("");
    assert_int_equal(heartbeat_error(&message), EL_KAFKA_INVALID_REQUEST);
    message = heartbeat_message();
    message.member_epoch = -2;
    assert_int_equal(heartbeat_error(&message), EL_KAFKA_INVALID_REQUEST);
    message = heartbeat_message();
    message.rack_id = el_slice_str("");
    assert_int_equal(heartbeat_error(&message), EL_KAFKA_INVALID_REQUEST);
    message = heartbeat_message();
    message.subscribed_topic_names = NULL;
    message.subscribed_topic_name_count = 0;
    assert_int_equal(heartbeat_error(&message), EL_KAFKA_INVALID_REQUEST);
    message.member_epoch = 3; /* as before */
    assert_int_equal(heartbeat_error(&message), EL_KAFKA_NONE);
    fake_end(&f);
}

TEST(share_heartbeat, errors_have_kafkas_codes)
{
    begin();
    struct {
        int error;
        int16_t code;
    } cases[] = {
        {EVLOG_ERR_UNKNOWN_MEMBER, EL_KAFKA_UNKNOWN_MEMBER_ID},
        {EVLOG_ERR_MEMBER_EPOCH, EL_KAFKA_FENCED_MEMBER_EPOCH},
        {EVLOG_ERR_GROUP_FULL, EL_KAFKA_GROUP_MAX_SIZE_REACHED},
        {EVLOG_ERR_GROUP_KIND, EL_KAFKA_GROUP_ID_NOT_FOUND},
        {EVLOG_ERR_GROUP_LOADING, EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS},
        {EVLOG_ERR_NO_MEMORY, EL_KAFKA_COORDINATOR_NOT_AVAILABLE},
        {EVLOG_ERR_CLOSED, EL_KAFKA_COORDINATOR_NOT_AVAILABLE},
        {EVLOG_ERR_ARGUMENT, EL_KAFKA_INVALID_REQUEST},
    };
    struct el_msg_share_group_heartbeat_request message = heartbeat_message();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        leases_fake.heartbeat_error = cases[i].error;
        assert_int_equal(heartbeat_error(&message), cases[i].code);
    }
    fake_end(&f);
}

TEST(share_heartbeat, tells_an_assignment_only_when_it_is_new)
{
    begin();
    static const int32_t partitions[] = {0, 2};
    struct el_msg_share_group_heartbeat_request message = heartbeat_message();
    struct el_msg_share_group_heartbeat_response answer;
    leases_fake.assignments[0] = (struct share_assignment){f.topics[0].id, partitions, 2};
    leases_fake.assignment_count = 1;
    struct fake_request *r = send_message(EL_API_ShareGroupHeartbeat, 1, &message);
    fake_response(r, &answer);
    assert_null(answer.assignment);
    assert_int_equal(answer.member_epoch, 1);
    assert_int_equal(answer.heartbeat_interval_ms, 5000);
    assert_true(el_slice_eq(answer.member_id, el_slice_str("m")));
    assert_int_equal(leases_fake.heartbeat.topic_count, 1);
    assert_null(leases_fake.heartbeat.rack.data);
    assert_true(el_slice_eq(leases_fake.heartbeat.host, el_slice_str("/127.0.0.1")));
    fake_free(r);
    leases_fake.assigned = true;
    r = send_message(EL_API_ShareGroupHeartbeat, 1, &message);
    fake_response(r, &answer);
    assert_int_equal(answer.assignment->topic_partition_count, 1);
    assert_true(el_uuid_eq(&answer.assignment->topic_partitions[0].topic_id, &f.topics[0].id));
    assert_int_equal(answer.assignment->topic_partitions[0].partition_count, 2);
    assert_int_equal(answer.assignment->topic_partitions[0].partitions[1], 2);
    fake_free(r);
    leases_fake.assignment_count = 0; /* nothing, and that is new */
    r = send_message(EL_API_ShareGroupHeartbeat, 1, &message);
    fake_response(r, &answer);
    assert_non_null(answer.assignment);
    assert_int_equal(answer.assignment->topic_partition_count, 0);
    fake_free(r);
    fake_end(&f);
}

/* --- describe ----------------------------------------------------------------------------------------------------- */

TEST(share_describe, unknown_groups_are_dead)
{
    begin();
    struct el_slice names[] = {el_slice_str("g"), el_slice_str("h")};
    struct el_msg_share_group_describe_request message;
    struct el_msg_share_group_describe_response answer;
    el_schema_init(&el_schema_share_group_describe_request, &message);
    message.group_ids = names;
    message.group_id_count = 2;
    leases_fake.group_error = EVLOG_ERR_GROUP_NOT_FOUND;
    struct fake_request *r = send_message(EL_API_ShareGroupDescribe, 1, &message);
    fake_response(r, &answer);
    assert_int_equal(answer.group_count, 2);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(answer.groups[i].error_code, EL_KAFKA_GROUP_ID_NOT_FOUND);
        assert_true(el_slice_eq(answer.groups[i].group_id, names[i]));
        assert_true(el_slice_eq(answer.groups[i].group_state, el_slice_str("Dead")));
    }
    fake_free(r);
    fake_end(&f);
}

TEST(share_describe, shows_members_and_what_they_read)
{
    begin();
    static const int32_t partitions[] = {1};
    struct el_uuid gone = {{0xee}};
    struct el_slice names[] = {el_slice_str("g")};
    struct el_slice topics[] = {el_slice_str("events"), el_slice_str("others")};
    struct share_assignment assignments[] = {{f.topics[0].id, partitions, 1}, {gone, partitions, 1}};
    leases_fake.members[0] = (struct share_member_view){
        .id = el_slice_str("m"),
        .client_id = el_slice_str("c"),
        .host = el_slice_str("/h"),
        .epoch = 4,
        .topics = topics,
        .topic_count = 2,
        .assignments = assignments,
        .assignment_count = 2,
    };
    leases_fake.member_count = 1;
    struct el_msg_share_group_describe_request message;
    struct el_msg_share_group_describe_response answer;
    el_schema_init(&el_schema_share_group_describe_request, &message);
    message.group_ids = names;
    message.group_id_count = 1;
    for (int with = 0; with < 2; with++) {
        message.include_authorized_operations = with;
        struct fake_request *r = send_message(EL_API_ShareGroupDescribe, 1, &message);
        fake_response(r, &answer);
        const struct el_msg_share_group_describe_group *group = &answer.groups[0];
        assert_int_equal(group->error_code, 0);
        assert_int_equal(group->authorized_operations, with ? API_GROUP_OPERATIONS : INT32_MIN);
        assert_true(el_slice_eq(group->group_state, el_slice_str("Stable")));
        assert_true(el_slice_eq(group->assignor_name, el_slice_str("simple")));
        assert_int_equal(group->group_epoch, 3);
        assert_int_equal(group->assignment_epoch, 2);
        const struct el_msg_share_group_describe_member *member = &group->members[0];
        assert_int_equal(group->member_count, 1);
        assert_null(member->rack_id.data);
        assert_int_equal(member->member_epoch, 4);
        assert_int_equal(member->subscribed_topic_name_count, 2);
        assert_int_equal(member->assignment.topic_partition_count, 2);
        assert_true(el_slice_eq(member->assignment.topic_partitions[0].topic_name, topics[0]));
        assert_int_equal(member->assignment.topic_partitions[0].partitions[0], 1);
        assert_int_equal(member->assignment.topic_partitions[1].topic_name.len, 0); /* it is gone */
        fake_free(r);
    }
    fake_end(&f);
}

/* --- offsets ------------------------------------------------------------------------------------------------------ */

static struct el_msg_describe_share_group_offsets_response describe_offsets(struct fake_request **r, const char *topic,
                                                                            int32_t partition)
{
    struct el_msg_describe_share_group_offsets_topic asked;
    struct el_msg_describe_share_group_offsets_group group;
    struct el_msg_describe_share_group_offsets_request message;
    struct el_msg_describe_share_group_offsets_response answer;
    el_schema_init(&el_schema_describe_share_group_offsets_topic, &asked);
    el_schema_init(&el_schema_describe_share_group_offsets_group, &group);
    el_schema_init(&el_schema_describe_share_group_offsets_request, &message);
    asked.topic_name = el_slice_str(topic);
    asked.partitions = &partition;
    asked.partition_count = 1;
    group.group_id = el_slice_str("g");
    group.topics = topic == NULL ? NULL : &asked;
    group.topic_count = topic == NULL ? 0 : 1;
    message.groups = &group;
    message.group_count = 1;
    *r = send_message(EL_API_DescribeShareGroupOffsets, 1, &message);
    fake_response(*r, &answer);
    assert_int_equal(answer.group_count, 1);
    return answer;
}

TEST(share_offsets, of_an_unknown_group_are_an_error_of_the_group)
{
    begin();
    struct fake_request *r;
    leases_fake.group_error = EVLOG_ERR_GROUP_NOT_FOUND;
    struct el_msg_describe_share_group_offsets_response answer = describe_offsets(&r, "events", 0);
    assert_int_equal(answer.groups[0].error_code, EL_KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(answer.groups[0].topic_count, 0);
    assert_int_equal(leases_fake.offsets_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_offsets, of_unknown_partitions_are_an_error_of_theirs)
{
    begin();
    static const struct {
        const char *topic;
        int32_t partition;
    } cases[] = {{"nothing", 0}, {"events", 3}, {"events", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fake_request *r;
        struct el_msg_describe_share_group_offsets_response answer = describe_offsets(&r, cases[i].topic,
                                                                                      cases[i].partition);
        assert_int_equal(answer.groups[0].error_code, 0);
        assert_int_equal(answer.groups[0].topics[0].partitions[0].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer.groups[0].topics[0].partitions[0].start_offset, -1);
        fake_free(r);
    }
    assert_int_equal(leases_fake.offsets_count, 0);
    fake_end(&f);
}

TEST(share_offsets, are_minus_one_where_the_group_has_not_read)
{
    begin();
    struct fake_request *r;
    struct el_msg_describe_share_group_offsets_response answer = describe_offsets(&r, "events", 2);
    assert_int_equal(answer.groups[0].topics[0].partitions[0].error_code, 0);
    assert_int_equal(answer.groups[0].topics[0].partitions[0].start_offset, -1);
    assert_int_equal(answer.groups[0].topics[0].partitions[0].lag, -1);
    fake_free(r);
    leases_fake.offsets_answer.exists = true;
    leases_fake.offsets_answer.start = 42;
    leases_fake.offsets_answer.lag = 7;
    answer = describe_offsets(&r, "events", 2);
    assert_true(el_uuid_eq(&answer.groups[0].topics[0].topic_id, &f.topics[0].id));
    assert_int_equal(answer.groups[0].topics[0].partitions[0].start_offset, 42);
    assert_int_equal(answer.groups[0].topics[0].partitions[0].lag, 7);
    fake_free(r);
    fake_end(&f);
}

TEST(share_offsets, of_all_topics_are_those_of_the_partitions_it_has_read_of)
{
    begin();
    fake_add_topic(&f, "__evlog_groups", 1);
    struct fake_request *r;
    struct el_msg_describe_share_group_offsets_response answer = describe_offsets(&r, NULL, 0);
    assert_int_equal(answer.groups[0].topic_count, 0);
    assert_int_equal(leases_fake.offsets_count, 5);
    fake_free(r);
    leases_fake.offsets_answer.exists = true;
    answer = describe_offsets(&r, NULL, 0);
    assert_int_equal(answer.groups[0].topic_count, 2);
    assert_int_equal(answer.groups[0].topics[0].partition_count, 3);
    assert_int_equal(answer.groups[0].topics[1].partition_count, 2);
    assert_true(el_slice_eq(answer.groups[0].topics[1].topic_name, el_slice_str("others")));
    fake_free(r);
    fake_end(&f);
}

static struct el_msg_alter_share_group_offsets_response alter_offsets(struct fake_request **r, const char *topic,
                                                                      int32_t partition, int64_t offset)
{
    struct el_msg_alter_share_group_offsets_partition parts[2];
    struct el_msg_alter_share_group_offsets_topic asked;
    struct el_msg_alter_share_group_offsets_request message;
    struct el_msg_alter_share_group_offsets_response answer;
    el_schema_init(&el_schema_alter_share_group_offsets_topic, &asked);
    el_schema_init(&el_schema_alter_share_group_offsets_request, &message);
    parts[0] = (struct el_msg_alter_share_group_offsets_partition){partition, offset};
    parts[1] = (struct el_msg_alter_share_group_offsets_partition){1, 5};
    asked.topic_name = el_slice_str(topic);
    asked.partitions = parts;
    asked.partition_count = 2;
    message.group_id = el_slice_str("g");
    message.topics = &asked;
    message.topic_count = 1;
    *r = send_message(EL_API_AlterShareGroupOffsets, 0, &message);
    fake_response(*r, &answer);
    return answer;
}

TEST(share_offsets, of_a_group_with_members_are_not_altered)
{
    begin();
    struct fake_request *r;
    leases_fake.member_count = 1;
    assert_int_equal(alter_offsets(&r, "events", 0, 5).error_code, EL_KAFKA_NON_EMPTY_GROUP);
    assert_int_equal(leases_fake.offsets_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_offsets, that_cannot_be_altered_do_not_keep_others_from_it)
{
    begin();
    static const struct {
        int32_t partition;
        int64_t offset;
        int16_t error;
    } cases[] = {{3, 5, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION}, {0, -1, EL_KAFKA_INVALID_REQUEST}};
    for (uint32_t i = 0; i < 2; i++) {
        struct fake_request *r;
        struct el_msg_alter_share_group_offsets_response answer = alter_offsets(&r, "events", cases[i].partition,
                                                                                cases[i].offset);
        assert_int_equal(answer.error_code, 0);
        assert_int_equal(answer.responses[0].partitions[0].error_code, cases[i].error);
        assert_int_equal(answer.responses[0].partitions[1].error_code, 0);
        assert_int_equal(leases_fake.offsets_count, i + 1);
        assert_int_equal(leases_fake.offsets_asked[i].verb, LEASE_OFFSETS_ALTER);
        assert_int_equal(leases_fake.offsets_asked[i].partition, 1);
        assert_int_equal(leases_fake.offsets_asked[i].offset, 5);
        fake_free(r);
    }
    fake_end(&f);
}

static struct el_msg_delete_share_group_offsets_response delete_offsets(struct fake_request **r)
{
    struct el_msg_delete_share_group_offsets_topic topics[3];
    struct el_msg_delete_share_group_offsets_request message;
    struct el_msg_delete_share_group_offsets_response answer;
    el_schema_init(&el_schema_delete_share_group_offsets_request, &message);
    topics[0].topic_name = el_slice_str("events");
    topics[1].topic_name = el_slice_str("nothing");
    topics[2].topic_name = el_slice_str("others");
    message.group_id = el_slice_str("g");
    message.topics = topics;
    message.topic_count = 3;
    *r = send_message(EL_API_DeleteShareGroupOffsets, 0, &message);
    fake_response(*r, &answer);
    return answer;
}

TEST(share_offsets, of_a_group_with_members_are_not_deleted)
{
    begin();
    struct fake_request *r;
    leases_fake.member_count = 1;
    struct el_msg_delete_share_group_offsets_response answer = delete_offsets(&r);
    assert_int_equal(answer.error_code, EL_KAFKA_NON_EMPTY_GROUP);
    assert_int_equal(answer.response_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(share_offsets, are_deleted_topic_by_topic)
{
    begin();
    struct fake_request *r;
    struct el_msg_delete_share_group_offsets_response answer = delete_offsets(&r); /* nothing was read of any */
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(answer.responses[i].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    }
    fake_free(r);
    leases_fake.offsets_answer.exists = true;
    leases_fake.offsets_count = 0;
    answer = delete_offsets(&r);
    assert_int_equal(answer.responses[0].error_code, 0);
    assert_int_equal(answer.responses[1].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(answer.responses[2].error_code, 0);
    assert_true(el_uuid_eq(&answer.responses[2].topic_id, &f.topics[1].id));
    assert_int_equal(leases_fake.offsets_count, 5);
    assert_int_equal(leases_fake.offsets_asked[4].verb, LEASE_OFFSETS_DELETE);
    fake_free(r);
    fake_end(&f);
}

/* --- evlog's requests --------------------------------------------------------------------------------------------- */

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
    *r = send_message(EL_API_LeaseOutcome, 1, &message);
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
    *r = send_message(EL_API_GroupWhy, 0, &message);
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
    struct fake_request *r = send_message(EL_API_ReleaseKey, 0, &message);
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
    *r = send_message(EL_API_GroupProgress, 0, &message);
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
