/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: requests about share groups reach leases as they were meant, and their results and errors reach
 * the client. Method: a fake of the leases that notes what it was asked and answers what the test says.
 */
#include "fake_streams.h"
#include "share_ask.h"

#include <wire/msg_alter_share_group_offsets.h>
#include <wire/msg_delete_share_group_offsets.h>
#include <wire/msg_describe_share_group_offsets.h>
#include <wire/msg_share_group_describe.h>
#include <wire/msg_share_group_heartbeat.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 3);
    fake_add_topic(&f, "others", 2);
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
    struct fake_request *r = fake_send(&f, EL_API_ShareGroupHeartbeat, 1, message);
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
    struct fake_request *r = fake_send(&f, EL_API_ShareGroupHeartbeat, 1, &message);
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
    r = fake_send(&f, EL_API_ShareGroupHeartbeat, 1, &message);
    fake_response(r, &answer);
    assert_int_equal(answer.assignment->topic_partition_count, 1);
    assert_true(el_uuid_eq(&answer.assignment->topic_partitions[0].topic_id, &f.topics[0].id));
    assert_int_equal(answer.assignment->topic_partitions[0].partition_count, 2);
    assert_int_equal(answer.assignment->topic_partitions[0].partitions[1], 2);
    fake_free(r);
    leases_fake.assignment_count = 0; /* nothing, and that is new */
    r = fake_send(&f, EL_API_ShareGroupHeartbeat, 1, &message);
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
    struct fake_request *r = fake_send(&f, EL_API_ShareGroupDescribe, 1, &message);
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
        struct fake_request *r = fake_send(&f, EL_API_ShareGroupDescribe, 1, &message);
        fake_response(r, &answer);
        const struct el_msg_share_group_describe_group *group = &answer.groups[0];
        assert_int_equal(group->error_code, 0);
        assert_int_equal(group->authorized_operations,
                         with ? (int32_t)el_acl_operations_of(EL_ACL_RESOURCE_GROUP) : INT32_MIN);
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
    *r = fake_send(&f, EL_API_DescribeShareGroupOffsets, 1, &message);
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
    *r = fake_send(&f, EL_API_AlterShareGroupOffsets, 0, &message);
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
    *r = fake_send(&f, EL_API_DeleteShareGroupOffsets, 0, &message);
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
