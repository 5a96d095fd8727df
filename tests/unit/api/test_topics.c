/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: topics are shown, made, changed and deleted by the protocol's rules, evlog's own never by clients. Method: each
 * handler over a catalogue of a few topics.
 */
#include "fake.h"

#include <wire/msg_create_partitions.h>
#include <wire/msg_create_topics.h>
#include <wire/msg_delete_topics.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_incremental_alter_configs.h>
#include <wire/msg_metadata.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events", 2);
    fake_add_topic(&f, "__evlog_meta", 1);
}

/* --- metadata ----------------------------------------------------------------------------------------------------- */

static struct fake_request *metadata(int version, struct el_msg_metadata_request_topic *topics, uint32_t count,
                                     bool create)
{
    struct el_msg_metadata_request ask;
    el_schema_init(&el_schema_metadata_request, &ask);
    ask.topics = topics;
    ask.topic_count = count;
    if (version >= 4) {
        ask.allow_auto_topic_creation = create;
    }
    struct fake_request *r = fake_request(&f, EL_API_Metadata, version, &ask);
    fake_dispatch(&f, r);
    return r;
}

static int16_t metadata_error(int version, const char *name, bool create)
{
    struct el_msg_metadata_request_topic topic = {.name = el_slice_str(name)};
    struct fake_request *r = metadata(version, &topic, 1, create);
    struct el_msg_metadata_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.topic_count, 1);
    int16_t error = answer.topics[0].error_code;
    fake_free(r);
    return error;
}

TEST(metadata, shows_all_topics_but_evlogs_own)
{
    begin();
    for (int version = 0; version <= 13; version++) {
        struct fake_request *r = metadata(version, version == 0 ? EL_EMPTY : NULL, 0, false);
        struct el_msg_metadata_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.topic_count, 1);
        assert_true(el_slice_eq(answer.topics[0].name, el_slice_str("events")));
        assert_int_equal(answer.topics[0].partition_count, 2);
        assert_int_equal(answer.topics[0].partitions[1].leader_id, 1);
        assert_int_equal(answer.topics[0].partitions[1].replica_node_count, 1);
        assert_int_equal(answer.broker_count, 1);
        assert_int_equal(answer.brokers[0].port, 9092);
        assert_int_equal(answer.topics[0].topic_authorized_operations, INT32_MIN);
        fake_free(r);
    }
    struct fake_request *r = metadata(1, EL_EMPTY, 0, false); /* from version 1 on: none */
    struct el_msg_metadata_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.topic_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(metadata, makes_missing_topics_where_that_is_allowed)
{
    begin();
    assert_int_equal(metadata_error(4, "new", false), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(metadata_error(4, "new", true), 0);
    assert_int_equal(f.topics[2].partition_count, 3);
    assert_int_equal(metadata_error(0, "old-client", false), 0); /* has no say below version 4 */
    assert_int_equal(metadata_error(4, "bad name", true), EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(metadata_error(4, "__evlog_new", true), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    f.node.auto_create = false;
    assert_int_equal(metadata_error(4, "newer", true), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(f.change_count, 2);
    fake_end(&f);
}

TEST(metadata, a_creation_that_fails_says_why)
{
    begin();
    f.change_error = EVLOG_ERR_INVALID_TOPIC;
    assert_int_equal(metadata_error(9, "a_b", true), EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    f.change_error = EVLOG_ERR_FULL;
    assert_int_equal(metadata_error(9, "x", true), EL_KAFKA_KAFKA_STORAGE_ERROR);
    fake_end(&f);
}

TEST(metadata, finds_topics_by_id_from_version_12)
{
    begin();
    struct el_msg_metadata_request_topic topic = {.topic_id = f.topics[0].id};
    struct fake_request *r = metadata(12, &topic, 1, true);
    struct el_msg_metadata_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.topics[0].error_code, 0);
    assert_true(el_slice_eq(answer.topics[0].name, el_slice_str("events")));
    fake_free(r);
    topic.topic_id.bytes[3] = 0xee;
    r = metadata(12, &topic, 1, true);
    fake_response(r, &answer);
    assert_int_equal(answer.topics[0].error_code, EL_KAFKA_UNKNOWN_TOPIC_ID);
    assert_null(answer.topics[0].name.data);
    fake_free(r);
    topic.name = el_slice_str("events");
    r = metadata(11, &topic, 1, true);
    fake_response(r, &answer);
    assert_int_equal(answer.topics[0].error_code, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    assert_int_equal(f.change_count, 0);
    fake_end(&f);
}

/* --- create ------------------------------------------------------------------------------------------------------- */

static struct el_msg_create_topics_topic new_topic(const char *name, int32_t partitions, int16_t replicas)
{
    struct el_msg_create_topics_topic topic;
    el_schema_init(&el_schema_create_topics_topic, &topic);
    topic.name = el_slice_str(name);
    topic.num_partitions = partitions;
    topic.replication_factor = replicas;
    return topic;
}

static struct fake_request *create(int version, struct el_msg_create_topics_topic *topics, uint32_t count,
                                   bool validate)
{
    struct el_msg_create_topics_request ask;
    el_schema_init(&el_schema_create_topics_request, &ask);
    ask.topics = topics;
    ask.topic_count = count;
    ask.validate_only = validate;
    struct fake_request *r = fake_request(&f, EL_API_CreateTopics, version, &ask);
    fake_dispatch(&f, r);
    return r;
}

static int16_t create_error(int version, struct el_msg_create_topics_topic topic)
{
    struct fake_request *r = create(version, &topic, 1, false);
    struct el_msg_create_topics_response answer;
    fake_response(r, &answer);
    int16_t error = answer.topics[0].error_code;
    assert_true((error != 0) == (answer.topics[0].error_message.data != NULL));
    fake_free(r);
    return error;
}

TEST(create_topics, refuses_with_the_right_code)
{
    begin();
    assert_int_equal(create_error(7, new_topic("a/b", 1, 1)), EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create_error(7, new_topic("", 1, 1)), EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create_error(7, new_topic("__evlog_mine", 1, 1)), EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(create_error(7, new_topic("t", 0, 1)), EL_KAFKA_INVALID_PARTITIONS);
    assert_int_equal(create_error(7, new_topic("t", -2, 1)), EL_KAFKA_INVALID_PARTITIONS);
    assert_int_equal(create_error(3, new_topic("t", -2, 1)), EL_KAFKA_INVALID_PARTITIONS);
    assert_int_equal(create_error(7, new_topic("t", 1, 0)), EL_KAFKA_INVALID_REPLICATION_FACTOR);
    assert_int_equal(create_error(3, new_topic("t", 1, -2)), EL_KAFKA_INVALID_REPLICATION_FACTOR);
    struct el_msg_create_topics_config config = {el_slice_str("no.such.key"), el_slice_str("1")};
    struct el_msg_create_topics_topic topic = new_topic("t", 1, 1);
    topic.configs = &config;
    topic.config_count = 1;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_CONFIG);
    config.name = el_slice_str("retention.ms");
    config.value = el_slice_str("soon");
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(f.change_count, 0);
    f.change_error = EVLOG_ERR_TOPIC_EXISTS;
    assert_int_equal(create_error(7, new_topic("events", 1, 1)), EL_KAFKA_TOPIC_ALREADY_EXISTS);
    fake_end(&f);
}

/* The protocol knows -1 from version 4 on; kafkajs sends it in 2 and 3. */
TEST(create_topics, minus_one_is_the_default_in_every_version)
{
    begin();
    for (int version = 2; version <= 7; version++) {
        assert_int_equal(create_error(version, new_topic("t", -1, -1)), 0);
    }
    fake_end(&f);
}

TEST(create_topics, more_replicas_are_taken_as_one_or_refused)
{
    begin();
    assert_int_equal(create_error(7, new_topic("three", 1, 3)), 0);
    f.node.replication_refused = true;
    assert_int_equal(create_error(7, new_topic("four", 1, 3)), EL_KAFKA_INVALID_REPLICATION_FACTOR);
    fake_end(&f);
}

TEST(create_topics, checks_assignments_by_hand)
{
    begin();
    int32_t self = 1, other = 2, both[] = {1, 2};
    struct el_msg_create_topics_assignment list[] = {
        {.partition_index = 1, .broker_ids = &self, .broker_id_count = 1},
        {.partition_index = 0, .broker_ids = &self, .broker_id_count = 1},
    };
    struct el_msg_create_topics_topic topic = new_topic("t", -1, -1);
    topic.assignments = list;
    topic.assignment_count = 2;
    topic.num_partitions = 2;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_REQUEST);
    topic.num_partitions = -1;
    list[0].broker_ids = &other;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    list[0].broker_ids = both;
    list[0].broker_id_count = 2;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    list[0].broker_ids = &self;
    list[0].broker_id_count = 1;
    list[0].partition_index = 2;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    list[0].partition_index = 0;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    struct el_msg_create_topics_assignment four[4]; /* 0 0 3 3 have the sum of 0 1 2 3 */
    for (int i = 0; i < 4; i++) {
        four[i] = (struct el_msg_create_topics_assignment){
            .partition_index = i / 2 * 3, .broker_ids = &self, .broker_id_count = 1};
    }
    topic.assignments = four;
    topic.assignment_count = 4;
    assert_int_equal(create_error(7, topic), EL_KAFKA_INVALID_REPLICA_ASSIGNMENT);
    topic.assignments = list;
    topic.assignment_count = 2;
    list[0].partition_index = 1;
    assert_int_equal(create_error(7, topic), 0);
    assert_int_equal(f.changes[0]->partition_count, 2);
    fake_end(&f);
}

TEST(create_topics, a_name_given_twice_is_refused_and_the_rest_is_made)
{
    begin();
    struct el_msg_create_topics_topic topics[] = {new_topic("a", 1, 1), new_topic("b", 1, 1), new_topic("a", 1, 1)};
    struct fake_request *r = create(7, topics, 3, false);
    struct el_msg_create_topics_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.topics[0].error_code, EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.topics[1].error_code, 0);
    assert_int_equal(answer.topics[2].error_code, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    fake_end(&f);
}

TEST(create_topics, defaults_and_settings_are_answered)
{
    begin();
    struct el_msg_create_topics_config config = {el_slice_str("retention.ms"), el_slice_str("1000")};
    struct el_msg_create_topics_topic topic = new_topic("t", -1, -1);
    topic.configs = &config;
    topic.config_count = 1;
    struct fake_request *r = create(7, &topic, 1, true);
    struct el_msg_create_topics_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.topics[0].error_code, 0);
    assert_true(f.changes[0]->validate_only);
    assert_int_equal(answer.topics[0].num_partitions, 3);
    assert_int_equal(answer.topics[0].replication_factor, 1);
    assert_int_equal(answer.topics[0].config_count, TOPIC_SETTING_COUNT);
    bool found = false;
    for (uint32_t i = 0; i < answer.topics[0].config_count; i++) {
        const struct el_msg_create_topics_config_result *shown = &answer.topics[0].configs[i];
        if (el_slice_eq(shown->name, el_slice_str("retention.ms"))) {
            found = true;
            assert_true(el_slice_eq(shown->value, el_slice_str("1000")));
            assert_int_equal(shown->config_source, 1);
        }
    }
    assert_true(found);
    fake_free(r);
    fake_end(&f);
}

/* --- delete, grow, alter, describe -------------------------------------------------------------------------------- */

TEST(delete_topics, by_name_and_by_id)
{
    begin();
    struct el_uuid unknown = {{0xee}};
    struct el_msg_delete_topics_topic topics[] = {
        {.name = el_slice_str("nothing")},      {.topic_id = unknown},
        {.name = el_slice_str("__evlog_meta")}, {.name = el_slice_str("events"), .topic_id = f.topics[0].id},
        {.topic_id = f.topics[0].id},
    };
    static const int16_t expected[] = {EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, EL_KAFKA_UNKNOWN_TOPIC_ID,
                                       EL_KAFKA_POLICY_VIOLATION, EL_KAFKA_INVALID_REQUEST, 0};
    struct el_msg_delete_topics_request ask;
    el_schema_init(&el_schema_delete_topics_request, &ask);
    ask.topics = topics;
    ask.topic_count = 5;
    struct fake_request *r = fake_request(&f, EL_API_DeleteTopics, 6, &ask);
    fake_dispatch(&f, r);
    struct el_msg_delete_topics_response answer;
    fake_response(r, &answer);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(answer.responses[i].error_code, expected[i]);
    }
    assert_null(answer.responses[1].name.data);
    assert_true(el_slice_eq(answer.responses[4].name, el_slice_str("events")));
    assert_int_equal(f.change_count, 1);
    assert_int_equal(f.changes[0]->verb, TOPIC_DELETE);
    fake_free(r);
    fake_end(&f);
}

TEST(create_partitions, only_grows)
{
    begin();
    struct {
        const char *name;
        int32_t count;
        int16_t error;
    } cases[] = {
        {"nothing", 3, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION}, {"__evlog_meta", 3, EL_KAFKA_POLICY_VIOLATION},
        {"events", 1, EL_KAFKA_INVALID_PARTITIONS},          {"events", 2, EL_KAFKA_INVALID_PARTITIONS},
        {"events", -1, EL_KAFKA_INVALID_PARTITIONS},         {"events", 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct el_msg_create_partitions_topic topic;
        struct el_msg_create_partitions_request ask;
        el_schema_init(&el_schema_create_partitions_topic, &topic);
        el_schema_init(&el_schema_create_partitions_request, &ask);
        topic.name = el_slice_str(cases[i].name);
        topic.count = cases[i].count;
        topic.assignments = NULL;
        ask.topics = &topic;
        ask.topic_count = 1;
        struct fake_request *r = fake_request(&f, EL_API_CreatePartitions, 3, &ask);
        fake_dispatch(&f, r);
        struct el_msg_create_partitions_response answer;
        fake_response(r, &answer);
        assert_int_equal(answer.results[0].error_code, cases[i].error);
        fake_free(r);
    }
    assert_int_equal(f.change_count, 1);
    assert_int_equal(f.changes[0]->partition_count, 3);
    fake_end(&f);
}

static int16_t alter_error(int8_t type, const char *resource, int8_t operation, const char *name, const char *value)
{
    struct el_msg_incremental_alter_configs_config config = {
        el_slice_str(name), operation, value == NULL ? (struct el_slice){0} : el_slice_str(value)};
    struct el_msg_incremental_alter_configs_resource target = {type, el_slice_str(resource), &config, 1};
    struct el_msg_incremental_alter_configs_request ask;
    el_schema_init(&el_schema_incremental_alter_configs_request, &ask);
    ask.resources = &target;
    ask.resource_count = 1;
    struct fake_request *r = fake_request(&f, EL_API_IncrementalAlterConfigs, 1, &ask);
    fake_dispatch(&f, r);
    struct el_msg_incremental_alter_configs_response answer;
    fake_response(r, &answer);
    int16_t error = answer.responses[0].error_code;
    fake_free(r);
    return error;
}

TEST(alter_configs, changes_topics_and_nothing_else)
{
    begin();
    assert_int_equal(alter_error(4, "1", 0, "retention.ms", "5"), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(alter_error(4, "1", 0, "log.retention.ms", "5"), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(alter_error(4, "1", 0, "num.partitions", "5"), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(alter_error(4, "", 0, "num.partitions", "5"), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(alter_error(4, "9", 0, "num.partitions", "5"), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter_error(4, "1", 0, "no.such", "5"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(8, "1", 0, "retention.ms", "5"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(4, "9", 1, "num.partitions", NULL), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter_error(2, "events", 0, "leader.replication.throttled.replicas", "*"),
                     EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(4, "1", 0, "leader.replication.throttled.rate", "9"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(2, "events", 1, "no.such", NULL), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(16, "m", 0, "interval.ms", "5"), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(alter_error(32, "g", 0, "consumer.session.timeout.ms", "5"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(99, "g", 0, "retention.ms", "5"), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter_error(2, "nothing", 0, "retention.ms", "5"), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(alter_error(2, "__evlog_meta", 0, "retention.ms", "5"), EL_KAFKA_POLICY_VIOLATION);
    assert_int_equal(alter_error(2, "events", 0, "no.such", "5"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(2, "events", 0, "retention.ms", "x"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(2, "events", 9, "retention.ms", "5"), EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(alter_error(2, "events", 2, "retention.ms", "5"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(alter_error(2, "events", 3, "cleanup.policy", "delete"), EL_KAFKA_INVALID_CONFIG);
    assert_int_equal(f.change_count, 0);
    assert_int_equal(alter_error(4, "1", 1, "leader.replication.throttled.rate", NULL), 0);
    assert_int_equal(f.change_count, 0);
    assert_int_equal(alter_error(2, "events", 2, "cleanup.policy", "delete"), 0);
    assert_int_equal(alter_error(2, "events", 0, "retention.ms", "5"), 0);
    assert_int_equal(f.change_count, 2);
    assert_int_equal(f.changes[1]->verb, TOPIC_ALTER);
    assert_int_equal(alter_error(2, "events", 2, "cleanup.policy", "compact"), 0);
    assert_int_equal(topic_config_int(&f.change_config, NULL, TOPIC_CLEANUP_POLICY), TOPIC_CLEANUP_BOTH);
    fake_end(&f);
}

TEST(alter_configs, keeps_what_somebody_else_changed_at_the_same_time)
{
    begin();
    f.rival_count = 1;
    assert_int_equal(alter_error(2, "events", 0, "retention.ms", "5"), 0);
    assert_int_equal(f.change_count, 2);
    struct topic_config defaults;
    topic_config_init(&defaults);
    assert_int_equal(topic_config_int(&f.change_config, &defaults, TOPIC_RETENTION_MS), 5);
    assert_int_equal(topic_config_int(&f.change_config, &defaults, TOPIC_SEGMENT_BYTES), 1048576);
    fake_end(&f);
}

TEST(describe_configs, lists_what_tools_need)
{
    begin();
    static const char *const needed[] = {
        "cleanup.policy",
        "compression.type",
        "delete.retention.ms",
        "file.delete.delay.ms",
        "flush.messages",
        "flush.ms",
        "index.interval.bytes",
        "max.compaction.lag.ms",
        "max.message.bytes",
        "message.timestamp.type",
        "message.timestamp.before.max.ms",
        "message.timestamp.after.max.ms",
        "min.cleanable.dirty.ratio",
        "min.compaction.lag.ms",
        "min.insync.replicas",
        "preallocate",
        "retention.bytes",
        "retention.ms",
        "segment.bytes",
        "segment.index.bytes",
        "segment.jitter.ms",
        "segment.ms",
        "unclean.leader.election.enable",
    };
    for (int version = 1; version <= 4; version++) {
        struct el_slice one = el_slice_str("retention.ms");
        struct el_msg_describe_configs_resource targets[] = {
            {2, el_slice_str("events"), NULL, 0},  {2, el_slice_str("events"), &one, 1},
            {2, el_slice_str("nothing"), NULL, 0}, {4, el_slice_str("1"), NULL, 0},
            {4, el_slice_str("9"), NULL, 0},       {99, el_slice_str("x"), NULL, 0},
            {32, el_slice_str("g"), NULL, 0},      {16, el_slice_str("m"), NULL, 0},
            {16, el_slice_str(""), NULL, 0},       {8, el_slice_str("9"), NULL, 0},
            {4, el_slice_str(""), NULL, 0},
        };
        struct el_msg_describe_configs_request ask;
        el_schema_init(&el_schema_describe_configs_request, &ask);
        ask.resources = targets;
        ask.resource_count = 11;
        ask.include_synonyms = true;
        ask.include_documentation = version >= 3;
        struct fake_request *r = fake_request(&f, EL_API_DescribeConfigs, version, &ask);
        fake_dispatch(&f, r);
        struct el_msg_describe_configs_response answer;
        fake_response(r, &answer);
        for (size_t n = 0; n < sizeof needed / sizeof needed[0]; n++) {
            bool found = false;
            for (uint32_t i = 0; i < answer.results[0].config_count; i++) {
                found = found || el_slice_eq(answer.results[0].configs[i].name, el_slice_str(needed[n]));
            }
            assert_true(found);
        }
        assert_int_equal(answer.results[1].config_count, 1);
        assert_int_equal(answer.results[1].configs[0].config_source, 5);
        assert_int_equal(answer.results[1].configs[0].synonym_count, 1);
        assert_true((version >= 3) == (answer.results[1].configs[0].documentation.len > 0));
        assert_int_equal(answer.results[2].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(answer.results[3].error_code, 0);
        assert_true(answer.results[3].config_count > 10);
        assert_int_equal(answer.results[4].error_code, EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(answer.results[5].error_code, EL_KAFKA_INVALID_REQUEST);
        assert_true(answer.results[6].config_count > 20); /* of a group that is none yet */
        assert_int_equal(answer.results[6].error_code, 0);
        for (int i = 7; i <= 10; i++) {
            assert_int_equal(answer.results[i].config_count, 0);
            assert_int_equal(answer.results[i].error_code, i == 8 || i == 9 ? EL_KAFKA_INVALID_REQUEST : 0);
        }
        fake_free(r);
    }
    fake_end(&f);
}
