/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of a topic: the table, and override.h's functions with its names and types.
 */
#include <config/topic_config.h>
#include <core/assert.h>

static const struct override_row rows[TOPIC_SETTING_COUNT] = {
#define TOPIC_SETTING(ID, name_, type_, default_, min_, max_, behaviour_, choices_, doc_)                              \
    [TOPIC_##ID] = {                                                                                                   \
        .name = (name_),                                                                                               \
        .alias = "",                                                                                                   \
        .choices = (choices_),                                                                                         \
        .doc = (doc_),                                                                                                 \
        .default_value = (default_),                                                                                   \
        .min = (min_),                                                                                                 \
        .max = (max_),                                                                                                 \
        .type = OVERRIDE_##type_,                                                                                      \
        .behaviour = OVERRIDE_##behaviour_,                                                                            \
    },
#include <config/topic_settings.def>
#undef TOPIC_SETTING
};

const struct override_table topic_settings = {
    .noun = "topic setting",
    .rows = rows,
    .count = TOPIC_SETTING_COUNT,
    .own = OVERRIDE_FROM_TOPIC,
};

static const struct overrides *set_of(const struct topic_config *cfg)
{
    return cfg == NULL ? NULL : &cfg->set;
}

const struct override_row *topic_setting(enum topic_setting_id id)
{
    EL_ASSERT((unsigned)id < TOPIC_SETTING_COUNT);
    return &rows[id];
}

int topic_setting_find(struct el_slice name)
{
    return override_find(&topic_settings, name);
}

void topic_config_init(struct topic_config *cfg)
{
    overrides_init(&topic_settings, &cfg->set);
}

void topic_config_init_own(struct topic_config *cfg, const char *const (*settings)[2], size_t count)
{
    topic_config_init(cfg);
    for (size_t i = 0; i < count; i++) {
        int code = topic_config_set(cfg, el_slice_str(settings[i][0]), el_slice_str(settings[i][1]), NULL);
        EL_ASSERT(code == 0);
    }
}

void topic_config_init_kept(struct topic_config *cfg, bool large)
{
    static const char *const settings[][2] = {
        {"cleanup.policy", "compact"},
        {"retention.ms", "-1"},
        {"retention.bytes", "-1"},
        {"segment.bytes", "16777216"}, /* only sealed segments are compacted, and all is read at a start */
        {"message.timestamp.type", "CreateTime"},
        {"evlog.durability", "flush"},
        {"max.message.bytes", "16777216"},
    };
    topic_config_init_own(cfg, settings, sizeof settings / sizeof settings[0] - !large);
}

int topic_config_set(struct topic_config *cfg, struct el_slice name, struct el_slice value, struct el_error *err)
{
    return overrides_set(&topic_settings, &cfg->set, name, value, err);
}

int topic_config_unset(struct topic_config *cfg, struct el_slice name, struct el_error *err)
{
    return overrides_unset(&topic_settings, &cfg->set, name, err);
}

int64_t topic_config_int(const struct topic_config *cfg, const struct topic_config *defaults, enum topic_setting_id id)
{
    return overrides_int(&topic_settings, set_of(cfg), set_of(defaults), (int)id);
}

bool topic_setting_is_own(enum topic_setting_id id)
{
    return id == TOPIC_STREAMS || id == TOPIC_KEY_PARTITIONER;
}

bool topic_config_needs_archive(const struct topic_config *cfg, const struct topic_config *defaults)
{
    int64_t durability = topic_config_int(cfg, defaults, TOPIC_DURABILITY);
    return durability == TOPIC_DURABILITY_STORE || durability == TOPIC_DURABILITY_BOTH;
}

/* What stays on this disk is a part of what stays. */
static int check_local(const struct topic_config *cfg, struct el_error *err)
{
    static const enum topic_setting_id pairs[][2] = {{TOPIC_LOCAL_RETENTION_MS, TOPIC_RETENTION_MS},
                                                     {TOPIC_LOCAL_RETENTION_BYTES, TOPIC_RETENTION_BYTES}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int64_t local = topic_config_int(cfg, NULL, pairs[i][0]), whole = topic_config_int(cfg, NULL, pairs[i][1]);
        bool more = whole >= 0 && (local == -1 || local > whole);
        if (local != -2 && topic_config_int(cfg, NULL, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s is for topics with cleanup.policy=delete: what compaction keeps stays on this disk",
                                rows[pairs[i][0]].name);
        }
        if (topic_config_is_overridden(cfg, pairs[i][0]) && topic_config_is_overridden(cfg, pairs[i][1]) && more) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s cannot keep more than %s does: make it smaller, or -2", rows[pairs[i][0]].name,
                                rows[pairs[i][1]].name);
        }
    }
    return 0;
}

int topic_config_check_new(const struct topic_config *cfg, struct el_error *err)
{
    static const enum topic_setting_id needs_streams[] = {TOPIC_KEY_PARTITIONER, TOPIC_STREAM_MAX_AGE_MS,
                                                          TOPIC_STREAM_MAX_COUNT};
    for (size_t i = 0; i < sizeof needs_streams / sizeof needs_streams[0]; i++) {
        if (topic_config_is_overridden(cfg, needs_streams[i]) && !topic_config_streams(cfg)) {
            return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                                "%s is for topics with streams: set evlog.streams=true as well, when the topic is made",
                                rows[needs_streams[i]].name);
        }
    }
    if (topic_config_streams(cfg) && topic_config_int(cfg, NULL, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE) {
        return el_error_set(
            err, EVLOG_ERR_POLICY,
            "a topic with evlog.streams=true cannot be compacted, for the versions of its streams count "
            "every event: leave out cleanup.policy");
    }
    return check_local(cfg, err);
}

int topic_config_check_change(const struct topic_config *cfg, const struct topic_config *next, struct el_error *err)
{
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        bool differs = topic_config_int(cfg, NULL, (enum topic_setting_id)id) !=
                       topic_config_int(next, NULL, (enum topic_setting_id)id);
        if (topic_setting_is_own((enum topic_setting_id)id) && differs) {
            return el_error_set(err, EVLOG_ERR_POLICY,
                                "%s is set when a topic is made and stays: make another topic, or leave it as it is",
                                rows[id].name);
        }
    }
    return topic_config_check_new(next, err);
}

void topic_config_describe(const struct topic_config *cfg, const struct topic_config *defaults,
                           enum topic_setting_id id, struct override_entry *entry)
{
    overrides_describe(&topic_settings, set_of(cfg), set_of(defaults), (int)id, entry);
}

const char *topic_config_without_effect(const struct topic_config *cfg, const struct topic_config *before, char *text,
                                        size_t text_max)
{
    return overrides_without_effect(&topic_settings, set_of(cfg), set_of(before), text, text_max);
}

int topic_config_encode(const struct topic_config *cfg, uint8_t *out, size_t out_max, size_t *len)
{
    return overrides_encode(&topic_settings, &cfg->set, out, out_max, len);
}

int topic_config_decode(struct topic_config *cfg, const uint8_t *data, size_t len)
{
    struct topic_config result;
    int error = overrides_decode(&topic_settings, &result.set, data, len);
    if (error == 0) {
        *cfg = result;
    }
    return error;
}

bool topic_config_equal(const struct topic_config *a, const struct topic_config *b)
{
    return overrides_equal(&topic_settings, &a->set, &b->set);
}
