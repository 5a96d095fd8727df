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

static const struct override_refusal refusals[] = {
    {TOPIC_DURABILITY, "store", "there is no archive yet whose copy could be waited for"},
    {TOPIC_DURABILITY, "both", "there is no archive yet whose copy could be waited for"},
};

const struct override_table topic_settings = {
    .noun = "topic setting",
    .rows = rows,
    .count = TOPIC_SETTING_COUNT,
    .own = OVERRIDE_FROM_TOPIC,
    .refusals = refusals,
    .refusal_count = sizeof refusals / sizeof refusals[0],
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
