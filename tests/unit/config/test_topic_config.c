/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a topic carries only values that evlogd keeps to, tools see every name they ask for, and stored settings
 * survive a change of the table. Method: text in, text out; bytes of the catalogue cut, bent and from a newer
 * version.
 */
#include <config/broker_name.h>
#include <config/topic_config.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>

static int set(struct topic_config *cfg, const char *name, const char *value, struct el_error *err)
{
    return topic_config_set(cfg, el_slice_str(name), el_slice_str(value), err);
}

static void assert_refused(const char *name, const char *value, const char *said)
{
    struct topic_config cfg, before;
    struct el_error err = {.code = 0};
    topic_config_init(&cfg);
    before = cfg;
    assert_int_equal(set(&cfg, name, value, &err), EVLOG_ERR_INVALID_CONFIG);
    if (strstr(err.text, said) == NULL) {
        fail_msg("%s=%s: \"%s\" does not say \"%s\"", name, value == NULL ? "null" : value, err.text, said);
    }
    assert_memory_equal(&cfg, &before, sizeof cfg);
}

static void assert_shown(const struct topic_config *cfg, const struct topic_config *defaults, const char *name,
                         const char *value, enum override_source source)
{
    struct override_entry entry;
    int id = topic_setting_find(el_slice_str(name));
    assert_true(id >= 0);
    topic_config_describe(cfg, defaults, (enum topic_setting_id)id, &entry);
    assert_string_equal(entry.setting->name, name);
    assert_string_equal(entry.value, value);
    assert_int_equal(entry.source, source);
    assert_int_equal(entry.is_default, source != OVERRIDE_FROM_TOPIC);
}

TEST(topic_config, unknown_name_is_refused_with_the_nearest)
{
    assert_refused("retention.msec", "1", "did you mean 'retention.ms'?");
    assert_refused("retention_ms", "1", "did you mean 'retention.ms'?");
    assert_refused("RETENTION.MS", "1", "did you mean 'retention.ms'?");
    assert_refused("completely.different.thing", "1", "unknown topic setting");
    assert_refused("", "1", "unknown topic setting");
    assert_refused("retention.ms ", "1", "did you mean");
}

TEST(topic_config, number_outside_its_range_is_refused)
{
    assert_refused("retention.ms", "-2", "at least -1");
    assert_refused("retention.ms", "9223372036854775808", "at least -1");
    assert_refused("retention.ms", "", "at least -1");
    assert_refused("retention.ms", "7d", "at least -1");
    assert_refused("retention.ms", "1e3", "at least -1");
    assert_refused("retention.ms", "0x10", "at least -1");
    assert_refused("segment.bytes", "1", "from 65536 to 1073741824");
    assert_refused("max.message.bytes", "16777217", "16777216");
    assert_refused("segment.ms", "0", "at least 1");
    assert_refused("min.cleanable.dirty.ratio", "1.000001", "from 0 to 1");
    assert_refused("min.cleanable.dirty.ratio", "0.1234567", "from 0 to 1");
    assert_refused("preallocate", "yes", "true or false");
    assert_refused("retention.ms", NULL, "needs a value");
}

TEST(topic_config, what_evlogd_cannot_do_is_refused_with_the_reason)
{
    assert_refused("cleanup.policy", "", "'delete', 'compact' or 'compact,delete'");
    assert_refused("cleanup.policy", "delete,", "'delete'");
    assert_refused("cleanup.policy", "compact,keep", "'delete'");
    assert_refused("cleanup.policy", ",", "'delete'");
    assert_refused("compression.type", "brotli", "'zstd'");
    assert_refused("min.insync.replicas", "2", "one replica");
    assert_refused("evlog.durability", "disk", "'flush', 'memory', 'store' or 'both'");
    assert_refused("local.retention.ms", "-3", "at least -2");
    assert_refused("message.timestamp.type", "createtime", "'CreateTime' or 'LogAppendTime'");
    assert_refused("unclean.leader.election.enable", "true", "allowed is false");
}

TEST(topic_config, what_stays_on_this_disk_is_a_part_of_what_stays)
{
    static const struct {
        const char *name, *value, *with, *with_value;
        const char *refusal; /* NULL: none */
    } rows[] = {
        {"local.retention.ms", "1000", "retention.ms", "999", "cannot keep more than retention.ms"},
        {"local.retention.ms", "-1", "retention.ms", "999", "cannot keep more than retention.ms"},
        {"local.retention.bytes", "2", "retention.bytes", "1", "cannot keep more than retention.bytes"},
        {"local.retention.ms", "999", "retention.ms", "999", NULL},
        {"local.retention.ms", "-2", "retention.ms", "5", NULL},
        {"local.retention.bytes", "0", "retention.bytes", "-1", NULL},
        {"local.retention.ms", "5", "cleanup.policy", "compact", "for topics with cleanup.policy=delete"},
        {"local.retention.ms", "5", "cleanup.policy", "compact,delete", "for topics with cleanup.policy=delete"},
        {"local.retention.ms", "-2", "cleanup.policy", "compact", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct topic_config cfg;
        struct el_error err = {0};
        topic_config_init(&cfg);
        assert_int_equal(set(&cfg, rows[i].name, rows[i].value, &err), 0);
        assert_int_equal(set(&cfg, rows[i].with, rows[i].with_value, &err), 0);
        int code = topic_config_check_new(&cfg, &err);
        assert_int_equal(code, rows[i].refusal == NULL ? 0 : EVLOG_ERR_INVALID_CONFIG);
        assert_true(rows[i].refusal == NULL || strstr(err.text, rows[i].refusal) != NULL);
    }
}

/* Who reads the table without the settings, such as evlog, finds the same. */
TEST(topic_config, names_of_defaults_are_listed_beside_those_of_topics)
{
    static const struct {
        int id;
        const char *own, *name;
    } rows[] = {
#define BROKER_NAME(ID, own_, name_) {TOPIC_##ID, (own_), (name_)},
#include <core/broker_names.def>
#undef BROKER_NAME
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(topic_setting((enum topic_setting_id)rows[i].id)->name, rows[i].own);
        assert_int_equal(broker_name_find(el_slice_str(rows[i].name)), rows[i].id);
    }
}

TEST(topic_config, settings_without_effect_are_named_once)
{
    struct topic_config before, after;
    struct el_error err;
    char text[OVERRIDE_NAMES_TEXT_MAX], small[8];
    topic_config_init(&before);
    topic_config_init(&after);
    assert_int_equal(topic_config_set(&after, el_slice_str("flush.ms"), el_slice_str("9"), &err), 0);
    assert_int_equal(topic_config_set(&after, el_slice_str("preallocate"), el_slice_str("false"), &err), 0);
    assert_int_equal(topic_config_set(&after, el_slice_str("compression.type"), el_slice_str("lz4"), &err), 0);
    assert_int_equal(topic_config_set(&after, el_slice_str("retention.ms"), el_slice_str("9"), &err), 0);
    assert_string_equal(topic_config_without_effect(&after, NULL, text, sizeof text), "compression.type, flush.ms");
    assert_int_equal(topic_config_set(&before, el_slice_str("flush.ms"), el_slice_str("9"), &err), 0);
    assert_string_equal(topic_config_without_effect(&after, &before, text, sizeof text), "compression.type");
    assert_string_equal(topic_config_without_effect(&after, &after, text, sizeof text), "");
    assert_string_equal(topic_config_without_effect(&after, NULL, small, sizeof small), "compres");
}

static void assert_policy(const char *value, int64_t wanted)
{
    struct topic_config cfg;
    topic_config_init(&cfg);
    assert_int_equal(topic_config_set(&cfg, el_slice_str("cleanup.policy"), el_slice_str(value), NULL), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_CLEANUP_POLICY), wanted);
}

TEST(topic_config, a_list_is_the_choice_with_its_elements)
{
    assert_policy("delete", TOPIC_CLEANUP_DELETE);
    assert_policy("compact", TOPIC_CLEANUP_COMPACT);
    assert_policy("compact,delete", TOPIC_CLEANUP_BOTH);
    assert_policy(" delete , compact ", TOPIC_CLEANUP_BOTH);
    assert_policy("delete,delete", TOPIC_CLEANUP_DELETE);
}

static int policy_change(struct topic_config *cfg, const char *value, bool add)
{
    struct el_error err;
    struct override_list_change change = {el_slice_str("cleanup.policy"), el_slice_str(value), add};
    return overrides_list(&topic_settings, &cfg->set, NULL, &change, &err);
}

TEST(topic_config, elements_are_added_to_a_list_and_taken_away)
{
    struct topic_config cfg;
    topic_config_init(&cfg);
    assert_int_equal(policy_change(&cfg, "delete", false), EVLOG_ERR_INVALID_CONFIG); /* nothing would be left */
    assert_int_equal(policy_change(&cfg, "keep", true), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(policy_change(&cfg, "", true), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(cfg.set.overridden, 0);
    assert_int_equal(policy_change(&cfg, "compact", true), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_CLEANUP_POLICY), TOPIC_CLEANUP_BOTH);
    assert_int_equal(policy_change(&cfg, "compact", true), 0); /* is there already */
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_CLEANUP_POLICY), TOPIC_CLEANUP_BOTH);
    assert_int_equal(policy_change(&cfg, "delete", false), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_CLEANUP_POLICY), TOPIC_CLEANUP_COMPACT);
    assert_int_equal(policy_change(&cfg, "delete,compact", false), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(policy_change(&cfg, "delete,compact", true), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_CLEANUP_POLICY), TOPIC_CLEANUP_BOTH);
}

TEST(topic_config, hostile_text_is_cut_in_messages)
{
    struct topic_config cfg;
    struct el_error err;
    char name[2000];
    topic_config_init(&cfg);
    memset(name, 'x', sizeof name);
    memcpy(name, "evil\r\nline", 10);
    assert_int_equal(topic_config_set(&cfg, el_slice_of(name, sizeof name), el_slice_str("1"), &err),
                     EVLOG_ERR_INVALID_CONFIG);
    assert_null(strchr(err.text, '\n'));
    assert_string_equal(err.text, "unknown topic setting 'evil'");
    assert_int_equal(topic_config_set(&cfg, el_slice_of(NULL, 0), el_slice_str("1"), NULL), EVLOG_ERR_INVALID_CONFIG);
}

TEST(topic_config, defaults_are_those_of_the_table)
{
    struct topic_config cfg;
    topic_config_init(&cfg);
    assert_shown(&cfg, NULL, "retention.ms", "-1", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "segment.bytes", "134217728", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "max.message.bytes", "1048588", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "message.timestamp.before.max.ms", "9223372036854775807", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "message.timestamp.after.max.ms", "3600000", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "message.timestamp.type", "CreateTime", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "min.cleanable.dirty.ratio", "0.5", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "cleanup.policy", "delete", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "evlog.durability", "flush", OVERRIDE_FROM_DEFAULT);
    assert_shown(&cfg, NULL, "preallocate", "false", OVERRIDE_FROM_DEFAULT);
    assert_int_equal(topic_config_int(NULL, NULL, TOPIC_RETENTION_MS), -1);
}

TEST(topic_config, every_name_that_kafka_tools_ask_for_is_shown)
{
    static const char *const names[] = {
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
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int id = topic_setting_find(el_slice_str(names[i]));
        assert_true(id >= 0);
        assert_true(strlen(topic_setting((enum topic_setting_id)id)->doc) > 10);
    }
}

/* A default that could not be set by hand would make "describe, then alter with what was shown" fail. */
TEST(topic_config, every_shown_value_can_be_set)
{
    struct topic_config cfg;
    struct override_entry entry;
    topic_config_init(&cfg);
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        topic_config_describe(&cfg, NULL, (enum topic_setting_id)id, &entry);
        assert_int_equal(set(&cfg, entry.setting->name, entry.value, NULL), 0);
        assert_true(topic_config_is_overridden(&cfg, (enum topic_setting_id)id));
        assert_int_equal(topic_config_int(&cfg, NULL, (enum topic_setting_id)id), entry.setting->default_value);
    }
}

TEST(topic_config, topic_wins_over_broker_wins_over_table)
{
    struct topic_config cfg, defaults;
    topic_config_init(&cfg);
    topic_config_init(&defaults);
    assert_int_equal(set(&defaults, "retention.ms", "1000", NULL), 0);
    assert_shown(&cfg, &defaults, "retention.ms", "1000", OVERRIDE_FROM_BROKER);
    assert_int_equal(set(&cfg, "retention.ms", " 5 ", NULL), 0);
    assert_shown(&cfg, &defaults, "retention.ms", "5", OVERRIDE_FROM_TOPIC);
    assert_int_equal(topic_config_unset(&cfg, el_slice_str("retention.ms"), NULL), 0);
    assert_int_equal(topic_config_unset(&cfg, el_slice_str("retention.ms"), NULL), 0);
    assert_int_equal(topic_config_int(&cfg, &defaults, TOPIC_RETENTION_MS), 1000);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_RETENTION_MS), -1);
    assert_int_equal(topic_config_unset(&cfg, el_slice_str("retention.m"), NULL), EVLOG_ERR_INVALID_CONFIG);
    topic_config_init(&defaults);
    assert_true(topic_config_equal(&cfg, &defaults));
}

TEST(topic_config, values_of_each_type_are_read)
{
    struct topic_config cfg;
    topic_config_init(&cfg);
    assert_int_equal(set(&cfg, "message.timestamp.type", "LogAppendTime", NULL), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_TIMESTAMP_TYPE), TOPIC_LOG_APPEND_TIME);
    assert_int_equal(set(&cfg, "evlog.durability", "memory", NULL), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_DURABILITY), TOPIC_DURABILITY_MEMORY);
    assert_int_equal(set(&cfg, "preallocate", "TRUE", NULL), 0);
    assert_shown(&cfg, NULL, "preallocate", "true", OVERRIDE_FROM_TOPIC);
    assert_int_equal(set(&cfg, "min.cleanable.dirty.ratio", "0.25", NULL), 0);
    assert_shown(&cfg, NULL, "min.cleanable.dirty.ratio", "0.25", OVERRIDE_FROM_TOPIC);
    assert_int_equal(set(&cfg, "min.cleanable.dirty.ratio", "1", NULL), 0);
    assert_shown(&cfg, NULL, "min.cleanable.dirty.ratio", "1.0", OVERRIDE_FROM_TOPIC);
    assert_int_equal(set(&cfg, "cleanup.policy", "delete,delete", NULL), 0);
    assert_int_equal(set(&cfg, "retention.ms", "9223372036854775807", NULL), 0);
    assert_shown(&cfg, NULL, "retention.ms", "9223372036854775807", OVERRIDE_FROM_TOPIC);
}

/* --- bytes for the catalogue ------------------------------------------------------------------------------------- */

static size_t encode_everything(uint8_t out[TOPIC_CONFIG_BYTES_MAX], struct topic_config *cfg)
{
    struct override_entry entry;
    size_t len = 0;
    topic_config_init(cfg);
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        topic_config_describe(cfg, NULL, (enum topic_setting_id)id, &entry);
        assert_int_equal(set(cfg, entry.setting->name, entry.value, NULL), 0);
    }
    assert_int_equal(topic_config_encode(cfg, out, TOPIC_CONFIG_BYTES_MAX, &len), 0);
    return len;
}

TEST(topic_config_bytes, every_cut_is_refused)
{
    uint8_t data[TOPIC_CONFIG_BYTES_MAX];
    struct topic_config cfg, result;
    size_t len = encode_everything(data, &cfg);
    topic_config_init(&result);
    struct topic_config before = result;
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(topic_config_decode(&result, data, cut), EVLOG_ERR_TRUNCATED);
        assert_memory_equal(&result, &before, sizeof result);
    }
    data[len] = 0;
    assert_int_equal(topic_config_decode(&result, data, len + 1), EVLOG_ERR_MALFORMED);
    assert_int_equal(topic_config_decode(&result, data, len), 0);
    assert_true(topic_config_equal(&result, &cfg));
}

TEST(topic_config_bytes, claimed_count_and_repeats_are_refused)
{
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a', 0, 'b', 0};
    static const char repeat[] = "\2\0\0\0retention.ms\0001\0retention.ms\0002";
    struct topic_config cfg;
    assert_int_equal(topic_config_decode(&cfg, huge, sizeof huge), EVLOG_ERR_TRUNCATED);
    assert_int_equal(topic_config_decode(&cfg, (const uint8_t *)repeat, sizeof repeat), EVLOG_ERR_MALFORMED);
    assert_int_equal(topic_config_decode(&cfg, NULL, 0), EVLOG_ERR_TRUNCATED);
}

TEST(topic_config_bytes, newer_names_and_values_are_left_out)
{
    static const char newer[] = "\3\0\0\0evlog.future\0yes\0retention.ms\0005000\0evlog.durability\0moon";
    struct topic_config cfg;
    assert_int_equal(topic_config_decode(&cfg, (const uint8_t *)newer, sizeof newer), 0);
    assert_int_equal(topic_config_int(&cfg, NULL, TOPIC_RETENTION_MS), 5000);
    assert_int_equal(cfg.set.overridden, (uint64_t)1 << TOPIC_RETENTION_MS);
}

TEST(topic_config_bytes, layout_is_count_then_name_and_value)
{
    static const char expected[] = "\2\0\0\0evlog.durability\0memory\0retention.ms\00077";
    uint8_t data[TOPIC_CONFIG_BYTES_MAX];
    struct topic_config cfg;
    size_t len = 0;
    topic_config_init(&cfg);
    assert_int_equal(set(&cfg, "retention.ms", "77", NULL), 0);
    assert_int_equal(set(&cfg, "evlog.durability", "memory", NULL), 0);
    assert_int_equal(topic_config_encode(&cfg, data, sizeof data, &len), 0);
    assert_int_equal(len, sizeof expected);
    assert_memory_equal(data, expected, len);
    assert_int_equal(topic_config_encode(&cfg, data, len - 1, &len), EVLOG_ERR_LIMIT);
}
