/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: AlterConfigs replaces a topic's whole set of settings or nothing; DescribeConfigs tells every level a value
 * could come from; ListConfigResources names what has settings. Method: each handler over a catalogue of a few topics.
 */
#include "fake.h"

#include <core/logger.h>
#include <wire/msg_alter_configs.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_list_config_resources.h>

static struct fake f;

static void set(struct topic_config *config, const char *name, const char *value)
{
    struct el_error err;
    assert_int_equal(topic_config_set(config, el_slice_str(name), el_slice_str(value), &err), 0);
}

static void begin(void)
{
    fake_begin(&f);
    struct topic *topic = fake_add_topic(&f, "events", 2);
    set(&topic->config, "segment.bytes", "1048576");
    fake_add_topic(&f, "__evlog_meta", 1);
}

/* --- alter -------------------------------------------------------------------------------------------------------- */

static int16_t alter(int version, int8_t type, const char *name, struct el_msg_alter_configs_config *configs,
                     uint32_t count, bool validate)
{
    struct el_msg_alter_configs_resource target = {type, el_slice_str(name), configs, count};
    struct el_msg_alter_configs_request ask;
    el_schema_init(&el_schema_alter_configs_request, &ask);
    ask.resources = &target;
    ask.resource_count = 1;
    ask.validate_only = validate;
    struct fake_request *r = fake_request(&f, EL_API_AlterConfigs, version, &ask);
    fake_dispatch(&f, r);
    struct el_msg_alter_configs_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.response_count, 1);
    assert_int_equal(answer.responses[0].resource_type, type);
    assert_true(el_slice_eq(answer.responses[0].resource_name, el_slice_str(name)));
    int16_t error = answer.responses[0].error_code;
    assert_true((error != 0) == (answer.responses[0].error_message.data != NULL));
    fake_free(r);
    return error;
}

TEST(alter_whole_configs, refuses_what_cannot_be_set_and_changes_nothing)
{
    begin();
    struct el_msg_alter_configs_config good = {el_slice_str("retention.ms"), el_slice_str("5")};
    struct el_msg_alter_configs_config bad[] = {good, {el_slice_str("no.such"), el_slice_str("5")}};
    struct el_msg_alter_configs_config null[] = {{el_slice_str("retention.ms"), {0}}};
    struct el_msg_alter_configs_config twice[] = {good, good};
    for (int version = 0; version <= 2; version++) {
        assert_int_equal(alter(version, 2, "nothing", &good, 1, false), EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(alter(version, 2, "__evlog_meta", &good, 1, false), EL_KAFKA_POLICY_VIOLATION);
        assert_int_equal(alter(version, 2, "events", bad, 2, false), EL_KAFKA_INVALID_CONFIG);
        assert_int_equal(alter(version, 2, "events", null, 1, false), EL_KAFKA_INVALID_CONFIG);
        assert_int_equal(alter(version, 2, "events", twice, 2, false), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(alter(version, 4, "1", &good, 1, false), EL_KAFKA_POLICY_VIOLATION);
        assert_int_equal(alter(version, 4, "9", NULL, 0, false), EL_KAFKA_INVALID_REQUEST);
        assert_int_equal(alter(version, 4, "1", NULL, 0, false), 0);
    }
    assert_int_equal(f.change_count, 0);
    fake_end(&f);
}

TEST(alter_whole_configs, what_is_not_named_returns_to_its_default)
{
    begin();
    struct el_msg_alter_configs_config config = {el_slice_str("retention.ms"), el_slice_str("5")};
    assert_int_equal(alter(2, 2, "events", &config, 1, false), 0);
    assert_int_equal(topic_config_int(&f.change_config, NULL, TOPIC_RETENTION_MS), 5);
    assert_false(topic_config_is_overridden(&f.change_config, TOPIC_SEGMENT_BYTES));
    assert_int_equal(alter(0, 2, "events", NULL, 0, true), 0);
    assert_true(f.changes[1]->validate_only);
    assert_int_equal(f.change_config.set.overridden, 0);
    fake_end(&f);
}

TEST(alter_whole_configs, a_topic_named_twice_is_refused)
{
    begin();
    fake_add_topic(&f, "other", 1);
    struct el_msg_alter_configs_resource targets[] = {{2, el_slice_str("events"), NULL, 0},
                                                      {2, el_slice_str("other"), NULL, 0},
                                                      {2, el_slice_str("events"), NULL, 0}};
    struct el_msg_alter_configs_request ask = {.resources = targets, .resource_count = 3};
    struct fake_request *r = fake_request(&f, EL_API_AlterConfigs, 1, &ask);
    fake_dispatch(&f, r);
    struct el_msg_alter_configs_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.responses[0].error_code, EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(answer.responses[1].error_code, 0);
    assert_int_equal(answer.responses[2].error_code, EL_KAFKA_INVALID_REQUEST);
    assert_int_equal(f.change_count, 1);
    fake_free(r);
    fake_end(&f);
}

/* --- describe ----------------------------------------------------------------------------------------------------- */

/* One setting of one resource with its synonyms; the request stays open for the strings. */
static struct el_msg_describe_configs_config describe(int8_t type, const char *name, const char *setting,
                                                      struct fake_request **r)
{
    struct el_slice key = el_slice_str(setting);
    struct el_msg_describe_configs_resource target = {type, el_slice_str(name), &key, 1};
    struct el_msg_describe_configs_request ask = {.resources = &target, .resource_count = 1, .include_synonyms = true};
    *r = fake_request(&f, EL_API_DescribeConfigs, 4, &ask);
    fake_dispatch(&f, *r);
    struct el_msg_describe_configs_response answer;
    fake_response(*r, &answer);
    assert_int_equal(answer.results[0].error_code, 0);
    assert_int_equal(answer.results[0].config_count, 1);
    return answer.results[0].configs[0];
}

static void check_synonym(const struct el_msg_describe_configs_synonym *synonym, const char *name, const char *value,
                          int8_t source)
{
    assert_true(el_slice_eq(synonym->name, el_slice_str(name)));
    assert_true(el_slice_eq(synonym->value, el_slice_str(value)));
    assert_int_equal(synonym->source, source);
}

TEST(describe_configs, tells_every_level_strongest_first)
{
    begin();
    set(&f.topics[0].config, "retention.ms", "5");
    set(&f.node.topic_defaults, "retention.ms", "7");
    struct fake_request *r;
    struct el_msg_describe_configs_config config = describe(2, "events", "retention.ms", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("5")));
    assert_int_equal(config.config_source, 1);
    assert_int_equal(config.synonym_count, 3);
    check_synonym(&config.synonyms[0], "retention.ms", "5", 1);
    check_synonym(&config.synonyms[1], "log.retention.ms", "7", 4);
    check_synonym(&config.synonyms[2], "log.retention.ms", "-1", 5);
    fake_free(r);
    fake_end(&f);
}

TEST(describe_configs, the_broker_has_the_defaults_of_topics_by_kafkas_names)
{
    begin();
    set(&f.node.topic_defaults, "retention.ms", "7");
    struct fake_request *r;
    struct el_msg_describe_configs_config config = describe(4, "1", "log.retention.ms", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("7")));
    assert_int_equal(config.config_source, 4);
    assert_true(config.read_only);
    assert_int_equal(config.synonym_count, 2);
    fake_free(r);
    config = describe(4, "1", "message.max.bytes", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("1048588")));
    assert_int_equal(config.config_source, 5);
    fake_free(r);
    fake_end(&f);
}

TEST(describe_configs, numbers_of_the_broker_have_no_units)
{
    begin();
    f.cfg.connections_idle_ms = 600000;
    f.cfg.request_len_max = 100 << 20;
    struct fake_request *r;
    struct el_msg_describe_configs_config config = describe(4, "1", "connections.max.idle.ms", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("600000")));
    assert_int_equal(config.config_type, 5);
    fake_free(r);
    config = describe(4, "1", "socket.request.max.bytes", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("104857600")));
    fake_free(r);
    fake_end(&f);
}

TEST(describe_configs, loggers_have_javas_levels)
{
    begin();
    el_log_level_configure(EL_LOG_WARN);
    enum el_log_level debug = EL_LOG_DEBUG;
    assert_true(el_log_level_set(el_slice_str("net"), &debug));
    struct fake_request *r;
    struct el_msg_describe_configs_config config = describe(8, "1", "root", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("WARN")));
    assert_int_equal(config.config_source, 6);
    assert_false(config.read_only);
    fake_free(r);
    config = describe(8, "1", "net", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("DEBUG")));
    fake_free(r);
    config = describe(8, "1", "io", &r);
    assert_true(el_slice_eq(config.value, el_slice_str("WARN")));
    fake_free(r);
    el_log_level_set(el_slice_str("net"), NULL);
    el_log_level_configure(EL_LOG_INFO);
    fake_end(&f);
}

/* --- list --------------------------------------------------------------------------------------------------------- */

static uint32_t list(int version, int8_t *types, uint32_t count, int16_t error)
{
    struct el_msg_list_config_resources_request ask;
    el_schema_init(&el_schema_list_config_resources_request, &ask);
    ask.resource_types = types;
    ask.resource_type_count = count;
    struct fake_request *r = fake_request(&f, EL_API_ListConfigResources, version, &ask);
    fake_dispatch(&f, r);
    struct el_msg_list_config_resources_response answer;
    fake_response(r, &answer);
    assert_int_equal(answer.error_code, error);
    for (uint32_t i = 0; i < answer.config_resource_count; i++) {
        bool topic = answer.config_resources[i].resource_type == 2;
        assert_true(el_slice_eq(answer.config_resources[i].resource_name, el_slice_str(topic ? "events" : "1")));
    }
    uint32_t found = answer.config_resource_count;
    fake_free(r);
    return found;
}

TEST(list_config_resources, names_topics_and_the_broker_and_hides_evlogs_own)
{
    begin();
    int8_t unknown = 3, topic = 2, broker = 4, others[] = {8, 16, 32};
    assert_int_equal(list(1, &unknown, 1, EL_KAFKA_UNSUPPORTED_VERSION), 0);
    assert_int_equal(list(0, NULL, 0, 0), 0);
    assert_int_equal(list(1, NULL, 0, 0), 3);
    assert_int_equal(list(1, &topic, 1, 0), 1);
    assert_int_equal(list(1, &broker, 1, 0), 1);
    assert_int_equal(list(1, others, 3, 0), 1);
    fake_end(&f);
}
