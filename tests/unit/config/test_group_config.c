/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a work group carries only settings that evlogd keeps to, under evlog's names and Kafka's; texts live beside
 * numbers without harming each other; what is stored comes back. Method: text in, text out, and a random walk of sets
 * and unsets against a plain table of strings.
 */
#include <config/group_config.h>
#include <core/rng.h>

#include "../../lib/test.h"

#include <stdio.h>
#include <string.h>

static int set(struct group_config *cfg, const char *name, const char *value, struct el_error *err)
{
    return group_config_set(cfg, el_slice_str(name), el_slice_str(value), err);
}

static void assert_refused(const char *name, const char *value, const char *said)
{
    struct group_config cfg, before;
    struct el_error err = {.code = 0};
    group_config_init(&cfg);
    assert_int_equal(set(&cfg, "dlq.topic", "dead", NULL), 0);
    before = cfg;
    assert_int_equal(set(&cfg, name, value, &err), EVLOG_ERR_INVALID_CONFIG);
    if (strstr(err.text, said) == NULL) {
        fail_msg("%s=%s: \"%s\" does not say \"%s\"", name, value == NULL ? "null" : value, err.text, said);
    }
    assert_memory_equal(&cfg, &before, sizeof cfg);
}

TEST(group_config, names_of_other_groups_and_unknown_ones_are_refused)
{
    assert_refused("consumer.session.timeout.ms", "45000", "for consumer groups");
    assert_refused("consumer.heartbeat.interval.ms", "5000", "for consumer groups");
    assert_refused("streams.num.standby.replicas", "0", "for streams groups");
    assert_refused("share.record.lock.duration", "1", "did you mean 'share.record.lock.duration.ms'?");
    assert_refused("retry.max.attempt", "1", "did you mean 'retry.max.attempts'?");
    assert_refused("Order", "key", "did you mean 'order'?");
    assert_refused("", "1", "unknown group setting");
}

TEST(group_config, what_evlogd_would_not_do_is_refused_with_the_reason)
{
    assert_refused("retry.max.attempts", "0", "nothing would be delivered");
    assert_refused("share.delivery.count.limit", "-2", "from -1 to 32767");
    assert_refused("lease.ms", "99", "from 100 to 86400000");
    assert_refused("order", "keys", "'key', 'partition' or 'none'");
    assert_refused("on.exhausted", "drop", "'skip', 'park' or 'halt'");
    assert_refused("retry.backoff.multiplier", "0.5", "from 1 to 100");
    assert_refused("share.renew.acknowledge.enable", "false", "they may");
    assert_refused("errors.deadletterqueue.copy.record.enable", "false", "always has");
    assert_refused("share.assignment.interval.ms", "1000", "as soon as");
    assert_refused("share.isolation.level", "serializable", "'read_committed'");
    assert_refused("lease.ms", NULL, "needs a value");
}

TEST(group_config, texts_that_cannot_be_used_are_refused)
{
    assert_refused("dlq.topic", "", "without a copy");
    assert_refused("errors.deadletterqueue.topic.name", "", "without a copy");
    assert_refused("dlq.topic", "<topic>", "other than the source");
    assert_refused("dlq.topic", "..", "name of a topic");
    assert_refused("dlq.topic", "a b", "name of a topic");
    assert_refused("dlq.topic", "<tpic>.dlq", "name of a topic");
    assert_refused("dlq.topic", "a\x01z", "without control characters");
    char longest[600];
    memset(longest, 'x', sizeof longest);
    longest[250] = 0;
    assert_refused("dlq.topic", longest, "name of a topic");
    longest[250] = 'x';
    longest[513] = 0;
    assert_refused("dlq.topic", longest, "1 to 512 bytes");
    static const char *const starts[] = {
        "",
        "newest",
        "by_duration:",
        "by_duration:1h",
        "by_duration:P",
        "by_duration:PT",
        "-1h",
        "now",
        "by_duration:P1H",
        "by_duration:PT1D",
        "by_duration:-PT1H",
        "by_duration:P1D2H",
        "1",
        "2026-03-01",
        "by_duration:PT1H1H",
        "by_duration:PT1S1",
        "by_duration:PT1.H",
        "by_duration:PT1.5H",
        "@",
        "offsets:",
        "offsets:0",
        "offsets:0=",
        "offsets:0=1,",
        "offsets:0=1;1=2",
        "@1x",
        "offsets:=1",
        "offsets:-1=1",
        "offsets:0=-1",
        "offsets:2147483648=1",
        "latest,earliest",
        "by_duration:P99999999999999999999D",
        "offsets:0=99999999999999999999",
    };
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        assert_refused("start", starts[i], "start cannot be");
    }
}

TEST(group_config, settings_that_contradict_each_other_are_refused_together)
{
    static const char *const pairs[][4] = {
        {"share.session.timeout.ms", "5000", "share.heartbeat.interval.ms", "5000"},
        {"retry.backoff.ms", "11", "retry.backoff.max.ms", "10"},
        {"order", "none", "on.exhausted", "park"},
        {"order", "partition", "on.exhausted", "park"},
    };
    struct group_config cfg;
    struct el_error err;
    group_config_init(&cfg);
    assert_int_equal(group_config_check(&cfg, &err), 0);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        group_config_init(&cfg);
        assert_int_equal(set(&cfg, pairs[i][0], pairs[i][1], NULL), 0);
        assert_int_equal(set(&cfg, pairs[i][2], pairs[i][3], NULL), 0);
        assert_int_equal(group_config_check(&cfg, &err), EVLOG_ERR_INVALID_CONFIG);
        assert_non_null(strstr(err.text, pairs[i][2]));
    }
}

TEST(group_config, every_default_can_be_set_and_rows_are_in_order)
{
    struct override_entry entry;
    for (int id = 0; id < GROUP_SETTING_COUNT; id++) {
        struct group_config cfg;
        group_config_init(&cfg);
        overrides_describe(&group_settings, NULL, NULL, id, &entry);
        assert_true(strlen(entry.setting->doc) > 10);
        assert_int_equal(entry.source, OVERRIDE_FROM_DEFAULT);
        assert_int_equal(group_config_set(&cfg, el_slice_str(entry.setting->name), entry.text, NULL), 0);
        assert_true(overrides_has(&cfg.set, id));
        if (id > 0) {
            assert_true(strcmp(group_settings.rows[id - 1].name, entry.setting->name) < 0);
        }
    }
}

TEST(group_config, kafkas_names_set_the_same_values)
{
    static const char *const names[][3] = {
        {"share.record.lock.duration.ms", "lease.ms", "15000"},
        {"share.delivery.count.limit", "retry.max.attempts", "7"},
        {"share.partition.max.record.locks", "max.inflight", "2000"},
        {"share.auto.offset.reset", "start", "earliest"},
        {"errors.deadletterqueue.topic.name", "dlq.topic", "dlq.orders"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct group_config one, other;
        group_config_init(&one);
        group_config_init(&other);
        assert_int_equal(set(&one, names[i][0], names[i][2], NULL), 0);
        assert_int_equal(set(&other, names[i][1], names[i][2], NULL), 0);
        assert_true(group_config_equal(&one, &other));
        assert_int_equal(__builtin_popcountll(one.set.overridden), 1);
        assert_int_equal(overrides_unset(&group_settings, &one.set, el_slice_str(names[i][0]), NULL), 0);
        assert_int_equal(one.set.overridden, 0);
    }
}

static struct group_start start_of(const char *text, int32_t partition, int64_t now_ms)
{
    struct group_config cfg;
    struct group_start start;
    group_config_init(&cfg);
    assert_int_equal(set(&cfg, "start", text, NULL), 0);
    group_config_start(&cfg, partition, now_ms, &start);
    return start;
}

TEST(group_config, start_is_understood_in_all_its_forms)
{
    const int64_t now = 1000000000000;
    static const struct {
        const char *text;
        int kind;
        int64_t value;
    } cases[] = {
        {"latest", GROUP_START_LATEST, 0},
        {"earliest", GROUP_START_EARLIEST, 0},
        {"2026-03-01T12:00:00Z", GROUP_START_TIME, 1772366400000},
        {"@1772366400001", GROUP_START_TIME, 1772366400001},
        {"by_duration:PT1H", GROUP_START_TIME, now - 3600000},
        {"by_duration:P2D", GROUP_START_TIME, now - 172800000},
        {"by_duration:P1DT2H3M4.5S", GROUP_START_TIME, now - 93784500},
        {"by_duration:pt0.001s", GROUP_START_TIME, now - 1},
        {"by_duration:P36500D", GROUP_START_TIME, 0},
        {"offsets:3=77", GROUP_START_OFFSET, 77},
        {"offsets:1=5,3=0", GROUP_START_OFFSET, 0},
        {"offsets:1=5,2=6", GROUP_START_EARLIEST, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct group_start start = start_of(cases[i].text, 3, now);
        assert_int_equal(start.kind, cases[i].kind);
        assert_int_equal(start.value, cases[i].value);
    }
}

static const char *dead_topic(const char *form, const char *topic, const char *group)
{
    static char name[EL_TOPIC_NAME_MAX + 1];
    struct group_config cfg;
    group_config_init(&cfg);
    if (form != NULL) {
        assert_int_equal(set(&cfg, "dlq.topic", form, NULL), 0);
    }
    group_config_dead_topic(&cfg, el_slice_str(topic), el_slice_str(group), name);
    return name;
}

TEST(group_config, dead_letter_topics_have_names_that_are_allowed)
{
    char first[EL_TOPIC_NAME_MAX + 1], topic[EL_TOPIC_NAME_MAX + 1], group[400];
    assert_string_equal(dead_topic(NULL, "orders", "billing"), "orders.billing.dlq");
    assert_string_equal(dead_topic("dead", "orders", "billing"), "dead");
    assert_string_equal(dead_topic("<group>-<topic>-<topic>", "o", "b"), "b-o-o");
    snprintf(first, sizeof first, "%s", dead_topic(NULL, "orders", "bill ing"));
    assert_memory_equal(first, "orders.bill-ing.dlq-", 20);
    assert_string_not_equal(first, dead_topic(NULL, "orders", "bill/ing"));
    assert_string_equal(first, dead_topic(NULL, "orders", "bill ing"));
    assert_int_equal(dead_topic("<group>", "orders", ".")[0], '.');
    assert_true(strlen(dead_topic("<group>", "orders", ".")) > 1);
    assert_true(strlen(dead_topic("<group>", "orders", "")) > 1);
    memset(topic, 't', sizeof topic - 1);
    topic[sizeof topic - 1] = 0;
    memset(group, 'g', sizeof group - 1);
    group[sizeof group - 1] = 0;
    snprintf(first, sizeof first, "%s", dead_topic(NULL, topic, group));
    assert_int_equal(strlen(first), EL_TOPIC_NAME_MAX);
    group[sizeof group - 2] = 'h';
    assert_string_not_equal(first, dead_topic(NULL, topic, group));
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static size_t everything(struct group_config *cfg, uint8_t out[GROUP_CONFIG_BYTES_MAX])
{
    struct override_entry entry;
    size_t len = 0;
    char form[513], offsets[1025] = "offsets:";
    group_config_init(cfg);
    for (int id = 0; id < GROUP_SETTING_COUNT; id++) {
        overrides_describe(&group_settings, NULL, NULL, id, &entry);
        assert_int_equal(group_config_set(cfg, el_slice_str(entry.setting->name), entry.text, NULL), 0);
    }
    memset(form, 'x', sizeof form - 1);
    memcpy(form, "<topic>", 7);
    form[sizeof form - 1] = 0;
    assert_int_equal(set(cfg, "dlq.topic", form, NULL), 0);
    while (strlen(offsets) < 1000) {
        strcat(offsets, strlen(offsets) > 8 ? ",10=12345678901234567" : "10=1");
    }
    assert_int_equal(set(cfg, "start", offsets, NULL), 0);
    assert_int_equal(group_config_encode(cfg, out, GROUP_CONFIG_BYTES_MAX, &len), 0);
    return len;
}

TEST(group_config_bytes, every_cut_is_refused_and_all_of_it_comes_back)
{
    static uint8_t data[GROUP_CONFIG_BYTES_MAX];
    static struct group_config cfg, result;
    size_t len = everything(&cfg, data);
    assert_true(len + 8192 < GROUP_CONFIG_BYTES_MAX); /* the longest filter would fit too */
    for (size_t cut = 0; cut < len; cut += cut < 64 ? 1 : 37) {
        assert_int_equal(group_config_decode(&result, data, cut), EVLOG_ERR_TRUNCATED);
        assert_int_equal(result.set.overridden, 0);
    }
    assert_int_equal(group_config_decode(&result, data, len), 0);
    assert_true(group_config_equal(&result, &cfg));
    assert_memory_equal(&result, &cfg, sizeof cfg);
}

TEST(group_config_bytes, the_bytes_that_count_are_enough_to_read)
{
    static struct group_config cfg, copy;
    group_config_init(&cfg);
    assert_int_equal(group_config_len(&cfg), sizeof cfg.set);
    assert_int_equal(set(&cfg, "dlq.topic", "dead", NULL), 0);
    assert_int_equal(group_config_len(&cfg), sizeof cfg.set + 5);
    memset(&copy, 0xee, sizeof copy);
    memcpy(&copy, &cfg, group_config_len(&cfg));
    assert_true(group_config_equal(&copy, &cfg));
    assert_true(el_slice_eq(group_config_text(&copy, GROUP_SETTING_DLQ_TOPIC), el_slice_str("dead")));
    assert_true(el_slice_eq(group_config_text(&copy, GROUP_SETTING_START), el_slice_str("latest")));
}

TEST(group_config, texts_keep_out_of_each_others_way)
{
    static const char *const names[] = {"dlq.topic", "start", "filter"};
    static const char *const values[3][4] = {
        {"a", "dead.letters", "<topic>-x", "yyyyyyyyyyyyyyyyyyyyyyyyyyy"},
        {"earliest", "latest", "@1", "offsets:0=1,1=2,2=3"},
        {"{}", "[{}]", "{\"a\":[1]}", ""},
    };
    static struct group_config cfg, again;
    const char *now[3] = {NULL, NULL, NULL};
    struct el_rng rng;
    el_rng_seed(&rng, 7);
    group_config_init(&cfg);
    for (int round = 0; round < 5000; round++) {
        uint64_t which = el_rng_next(&rng) % 3, value = el_rng_next(&rng) % 5;
        now[which] = value == 4 ? NULL : values[which][value];
        if (value == 4) {
            assert_int_equal(overrides_unset(&group_settings, &cfg.set, el_slice_str(names[which]), NULL), 0);
        } else {
            assert_int_equal(set(&cfg, names[which], now[which], NULL), 0);
        }
        group_config_init(&again);
        for (int i = 2; i >= 0; i--) {
            int id = override_find(&group_settings, el_slice_str(names[i]));
            assert_int_equal(overrides_has(&cfg.set, id), now[i] != NULL);
            if (now[i] != NULL) {
                assert_true(el_slice_eq(group_config_text(&cfg, (enum group_setting_id)id), el_slice_str(now[i])));
                assert_int_equal(set(&again, names[i], now[i], NULL), 0);
            }
        }
        assert_memory_equal(&again, &cfg, sizeof cfg);
    }
}
