/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: Kafka's tools set, see, list and delete work groups as they do share groups, and nobody makes a group of the
 * other kind under the same id. Method: the handlers over a few groups in memory.
 */
#include "fake_lease_groups.h"

#include <api/alter_configs.h>
#include <wire/msg_alter_configs.h>
#include <wire/msg_delete_groups.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_describe_groups.h>
#include <wire/msg_incremental_alter_configs.h>
#include <wire/msg_join_group.h>
#include <wire/msg_list_config_resources.h>
#include <wire/msg_list_groups.h>
#include <wire/msg_offset_commit.h>

#include <stdio.h>

#define GROUP API_RESOURCE_GROUP

static struct fake f;
static char said[512];

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
}

static struct el_msg_incremental_alter_configs_config to(const char *name, const char *value)
{
    return (struct el_msg_incremental_alter_configs_config){
        el_slice_str(name), value == NULL ? ALTER_DELETE : ALTER_SET, el_slice_str(value)};
}

static int16_t alter_all(struct el_msg_incremental_alter_configs_resource *targets, uint32_t count, bool validate)
{
    struct el_msg_incremental_alter_configs_request ask;
    el_schema_init(&el_schema_incremental_alter_configs_request, &ask);
    ask.resources = targets;
    ask.resource_count = count;
    ask.validate_only = validate;
    struct fake_request *r = fake_request(&f, EL_API_IncrementalAlterConfigs, 1, &ask);
    fake_dispatch(&f, r);
    struct el_msg_incremental_alter_configs_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.response_count, count);
    int16_t error = answer.responses[0].error_code;
    snprintf(said, sizeof said, "%.*s", (int)answer.responses[0].error_message.len,
             (const char *)answer.responses[0].error_message.data);
    assert_true((error != 0) == (answer.responses[0].error_message.data != NULL));
    fake_free(r);
    return error;
}

static int16_t alter(const char *group, struct el_msg_incremental_alter_configs_config *configs, uint32_t count)
{
    struct el_msg_incremental_alter_configs_resource target = {GROUP, el_slice_str(group), configs, count};
    return alter_all(&target, 1, false);
}

static int16_t alter_one(const char *group, const char *name, const char *value)
{
    struct el_msg_incremental_alter_configs_config config = to(name, value);
    return alter(group, &config, 1);
}

static int64_t setting(const char *group, enum group_setting_id id)
{
    const struct fake_lease_group *found = fake_lease_group(group);
    assert_non_null(found);
    return group_config_int(&found->config, id);
}

/* --- alter -------------------------------------------------------------------------------------------------------- */

TEST(alter_group_configs, what_cannot_be_set_is_refused_with_a_text_and_changes_nothing)
{
    struct el_msg_incremental_alter_configs_config two[] = {to("lease.ms", "1000"), to("no.such", "1")};
    struct el_msg_incremental_alter_configs_config twice[] = {to("lease.ms", "1000"),
                                                              to("share.record.lock.duration.ms", "2000")};
    begin();
    fake_lease_group_add("g");
    assert_int_equal(alter("", two, 1), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter("g", two, 2), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter("g", twice, 2), EL_KAFKA_INVALID_REQUEST);
    assert_non_null(strstr(said, "lease.ms is named twice"));
    assert_int_equal(alter_one("g", "consumer.session.timeout.ms", "45000"), EL_KAFKA_INVALID_CONFIG);
    assert_non_null(strstr(said, "consumer groups"));
    assert_int_equal(alter_one("g", "streams.num.standby.replicas", "1"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_one("g", "leader.replication.throttled.rate", NULL), EL_KAFKA_INVALID_CONFIG);
    struct el_msg_incremental_alter_configs_config append = to("order", "key");
    append.config_operation = ALTER_APPEND;
    assert_int_equal(alter("g", &append, 1), EL_KAFKA_INVALID_CONFIG);
    append.config_operation = 9;
    assert_int_equal(alter("g", &append, 1), EL_KAFKA_INVALID_REQUEST);
    struct el_msg_incremental_alter_configs_resource same[] = {{GROUP, el_slice_str("g"), two, 1},
                                                               {GROUP, el_slice_str("g"), two, 1}};
    assert_int_equal(alter_all(same, 2, false), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(lease_groups_fake.set_count, 0);
    lease_groups_fake.error = EVLOG_ERR_GROUP_KIND;
    assert_int_equal(alter_one("g", "lease.ms", "1000"), EL_KAFKA_INVALID_CONFIG);
    assert_non_null(strstr(said, "consumer group"));
    lease_groups_fake.error = EVLOG_ERR_GROUP_LOADING;
    assert_int_equal(alter_one("g", "lease.ms", "1000"), EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    fake_end(&f);
}

TEST(alter_group_configs, either_name_sets_and_deletes_and_makes_the_group)
{
    begin();
    assert_int_equal(alter_one("g", "share.record.lock.duration.ms", "1000"), 0);
    assert_int_equal(setting("g", GROUP_SETTING_LEASE_MS), 1000);
    struct el_msg_incremental_alter_configs_config both[] = {to("lease.ms", "2000"), to("order", "none"),
                                                             to("share.record.lock.duration.ms", "2000")};
    assert_int_equal(alter("g", both, 3), 0);
    assert_int_equal(setting("g", GROUP_SETTING_LEASE_MS), 2000);
    assert_int_equal(alter_one("g", "lease.ms", NULL), 0);
    assert_int_equal(setting("g", GROUP_SETTING_LEASE_MS), 30000);
    assert_int_equal(setting("g", GROUP_SETTING_ORDER), GROUP_ORDER_NONE);
    struct el_msg_incremental_alter_configs_config config = to("order", "key");
    struct el_msg_incremental_alter_configs_resource target = {GROUP, el_slice_str("g"), &config, 1};
    assert_int_equal(alter_all(&target, 1, true), 0);
    assert_true(lease_groups_fake.validated);
    assert_int_equal(setting("g", GROUP_SETTING_ORDER), GROUP_ORDER_NONE);
    fake_end(&f);
}

TEST(alter_group_configs, what_others_set_meanwhile_stays)
{
    begin();
    fake_lease_group_add("g");
    lease_groups_fake.rival_count = 3;
    assert_int_equal(alter_one("g", "order", "none"), 0);
    assert_int_equal(lease_groups_fake.set_count, 4);
    assert_int_equal(setting("g", GROUP_SETTING_ORDER), GROUP_ORDER_NONE);
    assert_int_equal(setting("g", GROUP_SETTING_LEASE_MS), 1001);
    fake_end(&f);
}

TEST(alter_group_configs, the_older_request_replaces_all)
{
    begin();
    assert_int_equal(alter_one("g", "lease.ms", "1000"), 0);
    struct el_msg_alter_configs_config config = {el_slice_str("dlq.topic"), el_slice_str("dead")};
    struct el_msg_alter_configs_resource target = {GROUP, el_slice_str("g"), &config, 1};
    struct el_msg_alter_configs_request ask = {.resources = &target, .resource_count = 1};
    struct fake_request *r = fake_request(&f, EL_API_AlterConfigs, 2, &ask);
    fake_dispatch(&f, r);
    struct el_msg_alter_configs_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.responses[0].error_code, 0);
    fake_free(r);
    assert_int_equal(setting("g", GROUP_SETTING_LEASE_MS), 30000);
    assert_true(
        el_slice_eq(group_config_text(&fake_lease_group("g")->config, GROUP_SETTING_DLQ_TOPIC), el_slice_str("dead")));
    fake_end(&f);
}

/* --- describe and list -------------------------------------------------------------------------------------------- */

static struct el_msg_describe_configs_response described(const char *group, const char *key, struct fake_request **r)
{
    struct el_slice keys[] = {el_slice_str(key)};
    struct el_msg_describe_configs_resource target = {GROUP, el_slice_str(group), key == NULL ? NULL : keys,
                                                      key == NULL ? 0 : 1};
    struct el_msg_describe_configs_request ask = {
        .resources = &target, .resource_count = 1, .include_synonyms = true, .include_documentation = true};
    *r = fake_request(&f, EL_API_DescribeConfigs, 4, &ask);
    fake_dispatch(&f, *r);
    struct el_msg_describe_configs_response answer;
    fake_response(*r, &answer);
    return answer;
}

TEST(describe_group_configs, tell_values_and_where_they_come_from_under_either_name)
{
    struct fake_request *r;
    begin();
    assert_int_equal(alter_one("g", "start", "by_duration:PT1H"), 0);
    struct el_msg_describe_configs_response answer = described("g", "share.auto.offset.reset", &r);
    assert_int_equal(answer.results[0].config_count, 1);
    const struct el_msg_describe_configs_config *config = &answer.results[0].configs[0];
    assert_true(el_slice_eq(config->name, el_slice_str("share.auto.offset.reset")));
    assert_true(el_slice_eq(config->value, el_slice_str("by_duration:PT1H")));
    assert_int_equal(config->config_source, 8);
    assert_int_equal(config->config_type, 2);
    assert_true(config->documentation.len > 10);
    assert_int_equal(config->synonym_count, 2);
    assert_true(el_slice_eq(config->synonyms[1].value, el_slice_str("latest")));
    assert_int_equal(config->synonyms[1].source, 5);
    fake_free(r);
    answer = described("g", NULL, &r);
    assert_int_equal(answer.results[0].config_count, GROUP_SETTING_COUNT + 5);
    fake_free(r);
    answer = described("nobody", "lease.ms", &r);
    assert_true(el_slice_eq(answer.results[0].configs[0].value, el_slice_str("30000")));
    assert_int_equal(answer.results[0].configs[0].config_source, 5);
    fake_free(r);
    lease_groups_fake.error = EVLOG_ERR_GROUP_LOADING;
    answer = described("g", "lease.ms", &r);
    assert_int_equal(answer.results[0].error_code, EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS);
    assert_int_equal(answer.results[0].config_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(list_config_resources, names_work_groups)
{
    int8_t type = GROUP;
    begin();
    fake_lease_group_add("g");
    struct el_msg_list_config_resources_request ask;
    el_schema_init(&el_schema_list_config_resources_request, &ask);
    ask.resource_types = &type;
    ask.resource_type_count = 1;
    for (int failing = 0; failing < 2; failing++) {
        lease_groups_fake.error = failing != 0 ? EVLOG_ERR_GROUP_LOADING : 0;
        struct fake_request *r = fake_request(&f, EL_API_ListConfigResources, 1, &ask);
        fake_dispatch(&f, r);
        struct el_msg_list_config_resources_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.error_code, failing != 0 ? EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS : 0);
        assert_int_equal(answer.config_resource_count, failing != 0 ? 0 : 1);
        if (failing == 0) {
            assert_true(el_slice_eq(answer.config_resources[0].resource_name, el_slice_str("g")));
            assert_int_equal(answer.config_resources[0].resource_type, GROUP);
        }
        fake_free(r);
    }
    fake_end(&f);
}

static uint32_t listed(int version, const char *type, const char *state)
{
    struct el_slice types[] = {el_slice_str(type)}, states[] = {el_slice_str(state)};
    struct el_msg_list_groups_request ask;
    el_schema_init(&el_schema_list_groups_request, &ask);
    ask.types_filter = types;
    ask.types_filter_count = type == NULL ? 0 : 1;
    ask.states_filter = states;
    ask.states_filter_count = state == NULL ? 0 : 1;
    struct fake_request *r = fake_request(&f, EL_API_ListGroups, version, &ask);
    fake_dispatch(&f, r);
    struct el_msg_list_groups_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error_code, 0);
    for (uint32_t i = 0; i < answer.group_count; i++) {
        assert_true(el_slice_eq(answer.groups[i].group_id, el_slice_str("g")));
        assert_true(el_slice_eq(answer.groups[i].protocol_type, el_slice_str("share")));
        assert_true(version < 5 || el_slice_eq(answer.groups[i].group_type, el_slice_str("share")));
        assert_true(version < 4 || el_slice_eq(answer.groups[i].group_state, el_slice_str("Empty")));
    }
    uint32_t count = answer.group_count;
    fake_free(r);
    return count;
}

TEST(list_groups, has_work_groups_as_share_groups)
{
    begin();
    fake_lease_group_add("g");
    assert_int_equal(listed(0, NULL, NULL), 1);
    assert_int_equal(listed(4, NULL, "Stable"), 0);
    assert_int_equal(listed(5, "classic", NULL), 0);
    assert_int_equal(listed(5, "Share", "empty"), 1);
    fake_end(&f);
}

/* --- groups of either kind ---------------------------------------------------------------------------------------- */

static int16_t deleted(const char *group)
{
    struct el_slice names[] = {el_slice_str(group)};
    struct el_msg_delete_groups_request ask = {.groups_names = names, .groups_name_count = 1};
    struct fake_request *r = fake_request(&f, EL_API_DeleteGroups, 2, &ask);
    fake_dispatch(&f, r);
    struct el_msg_delete_groups_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.result_count, 1);
    int16_t error = answer.results[0].error_code;
    fake_free(r);
    return error;
}

TEST(delete_groups, takes_work_groups)
{
    begin();
    fake_lease_group_add("g");
    assert_int_equal(deleted("nobody"), EL_KAFKA_GROUP_ID_NOT_FOUND);
    lease_groups_fake.error = EVLOG_ERR_GROUP_NOT_EMPTY;
    assert_int_equal(deleted("g"), EL_KAFKA_NON_EMPTY_GROUP);
    lease_groups_fake.error = 0;
    assert_int_equal(deleted("g"), 0);
    assert_null(fake_lease_group("g"));
    fake_end(&f);
}

TEST(join_group, of_a_work_group_is_refused)
{
    begin();
    fake_lease_group_add("g");
    struct el_msg_join_group_protocol protocol = {el_slice_str("range"), el_slice_str("")};
    for (int version = 0; version <= 9; version++) {
        struct el_msg_join_group_request ask;
        el_schema_init(&el_schema_join_group_request, &ask);
        ask.group_id = el_slice_str("g");
        ask.session_timeout_ms = 30000;
        ask.protocol_type = el_slice_str("consumer");
        ask.protocols = &protocol;
        ask.protocol_count = 1;
        struct fake_request *r = fake_request(&f, EL_API_JoinGroup, version, &ask);
        fake_dispatch(&f, r);
        struct el_msg_join_group_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.error_code, EL_KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(offset_commit, of_a_work_group_is_refused)
{
    begin();
    fake_lease_group_add("g");
    for (int version = 2; version <= 9; version++) {
        struct el_msg_offset_commit_partition partition;
        struct el_msg_offset_commit_topic topic;
        struct el_msg_offset_commit_request ask;
        el_schema_init(&el_schema_offset_commit_partition, &partition);
        el_schema_init(&el_schema_offset_commit_topic, &topic);
        el_schema_init(&el_schema_offset_commit_request, &ask);
        topic.name = el_slice_str("events");
        topic.partitions = &partition;
        topic.partition_count = 1;
        ask.group_id = el_slice_str("g");
        ask.generation_id_or_member_epoch = -1;
        ask.topics = &topic;
        ask.topic_count = 1;
        struct fake_request *r = fake_request(&f, EL_API_OffsetCommit, version, &ask);
        fake_dispatch(&f, r);
        struct el_msg_offset_commit_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.topics[0].partitions[0].error_code, EL_KAFKA_GROUP_ID_NOT_FOUND);
        fake_free(r);
    }
    fake_end(&f);
}

TEST(describe_groups, of_a_work_group_is_dead)
{
    begin();
    fake_lease_group_add("g");
    for (int version = 0; version <= 6; version++) {
        struct el_slice name = el_slice_str("g");
        struct el_msg_describe_groups_request ask;
        el_schema_init(&el_schema_describe_groups_request, &ask);
        ask.groups = &name;
        ask.group_count = 1;
        struct fake_request *r = fake_request(&f, EL_API_DescribeGroups, version, &ask);
        fake_dispatch(&f, r);
        struct el_msg_describe_groups_response answer;
        fake_response(r, &answer);
        assert_true(el_slice_eq(answer.groups[0].group_state, el_slice_str("Dead")));
        assert_int_equal(answer.groups[0].error_code, version >= 6 ? EL_KAFKA_GROUP_ID_NOT_FOUND : 0);
        fake_free(r);
    }
    fake_end(&f);
}

/* --- the question of work groups ---------------------------------------------------------------------------------- */

static int told_error;

static void on_told(struct lease_kind_question *question, int error)
{
    (void)question;
    told_error = error;
}

TEST(group_kind, an_id_that_no_consumer_group_has_is_free)
{
    begin();
    struct lease_kind_question question = {.group_id = el_slice_str("free"), .told = on_told};
    told_error = 1;
    api_ask_kind(&f.api, &question);
    assert_int_equal(told_error, 0);
    fake_end(&f);
}
