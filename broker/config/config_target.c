/* SPDX-License-Identifier: Apache-2.0 */
#include <config/config_target.h>

#include <config/broker_name.h>
#include <config/config_request.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <core/assert.h>

#include <inttypes.h>

bool config_target_is_topic(int target)
{
    EL_ASSERT(target >= 0 && target < CONFIG_TARGET_COUNT);
    return target >= CONFIG_SETTING_COUNT;
}

enum topic_setting_id config_target_topic(int target)
{
    EL_ASSERT(config_target_is_topic(target));
    return (enum topic_setting_id)(target - CONFIG_SETTING_COUNT);
}

const char *config_target_name(int target)
{
    return config_target_is_topic(target) ? topic_setting(config_target_topic(target))->name
                                          : setting_at((enum config_setting_id)target)->name;
}

const char *config_target_section(int target)
{
    return config_target_is_topic(target) ? CONFIG_TOPIC_SECTION : setting_at((enum config_setting_id)target)->section;
}

const char *config_target_key(int target)
{
    return config_target_is_topic(target) ? config_target_name(target)
                                          : setting_at((enum config_setting_id)target)->key;
}

const char *config_target_other_name(int target)
{
    return config_target_is_topic(target) ? broker_name(config_target_topic(target)) : config_target_name(target);
}

struct config_origin *config_target_origin(struct config *cfg, int target)
{
    return config_target_is_topic(target) ? &cfg->topic_origin[config_target_topic(target)] : &cfg->origin[target];
}

/* NULL: a setting of evlogd or of topics */
static const struct listener_value *listener_value_of(const struct config *cfg, int target)
{
    EL_ASSERT(target < CONFIG_TARGET_OF_LISTENER(cfg->listener_values.count));
    return target < CONFIG_TARGET_COUNT ? NULL : &cfg->listener_values.list[target - CONFIG_TARGET_COUNT];
}

static const struct config_origin *origin_of(const struct config *cfg, int target)
{
    const struct listener_value *value = listener_value_of(cfg, target);
    if (value != NULL) {
        return &value->origin;
    }
    return config_target_is_topic(target) ? &cfg->topic_origin[config_target_topic(target)] : &cfg->origin[target];
}

static const char *name_of(const struct config *cfg, int target, char *text, size_t text_max)
{
    const struct listener_value *value = listener_value_of(cfg, target);
    if (value != NULL) {
        return listener_value_name(value, text, text_max);
    }
    return origin_of(cfg, target)->other_name ? config_target_other_name(target) : config_target_name(target);
}

static const char *variable_of(const struct config *cfg, int target, const char *name, char *text, size_t text_max)
{
    if (listener_value_of(cfg, target) != NULL) {
        return setting_variable_name(LISTENER_SETTING_SECTION, name, text, text_max);
    }
    const char *key = origin_of(cfg, target)->other_name ? name : config_target_key(target);
    return setting_variable_name(config_target_section(target), key, text, text_max);
}

const char *config_place(const struct config *cfg, int target, char *text, size_t text_max)
{
    const struct config_origin *origin = origin_of(cfg, target);
    char called[CONFIG_NAME_MAX], own[CONFIG_NAME_MAX];
    const char *name = name_of(cfg, target, own, sizeof own);
    switch (origin->kind) {
    case CONFIG_FROM_DEFAULT:
        snprintf(text, text_max, "default");
        break;
    case CONFIG_FROM_FILE:
        snprintf(text, text_max, "%s:%" PRIu32 ":%" PRIu32, cfg->path, origin->line, origin->column);
        break;
    case CONFIG_FROM_REQUEST:
        snprintf(text, text_max, "%s%s" CONFIG_REQUEST_FILE ":%" PRIu32 ":%" PRIu32, cfg->data,
                 cfg->data[0] == 0 ? "" : "/", origin->line, origin->column);
        break;
    case CONFIG_FROM_ENVIRONMENT:
        snprintf(text, text_max, "environment variable %s", variable_of(cfg, target, name, called, sizeof called));
        break;
    case CONFIG_FROM_FLAG:
        snprintf(text, text_max, "flag %s", setting_flag_name(name, called, sizeof called));
        break;
    }
    return text;
}

static bool is_empty_default(const struct config *cfg, int target)
{
    return origin_of(cfg, target)->kind == CONFIG_FROM_DEFAULT && target < CONFIG_SETTING_COUNT &&
           setting_at((enum config_setting_id)target)->default_text[0] == 0;
}

int config_blame(const struct config *cfg, struct el_error *err, int code, const int *targets, size_t count)
{
    char place[CONFIG_PLACE_MAX], own[CONFIG_NAME_MAX];
    size_t first = 0;
    if (code == 0 || err == NULL) {
        return code;
    }
    while (first < count && origin_of(cfg, targets[first])->kind == CONFIG_FROM_DEFAULT) {
        first++;
    }
    for (size_t i = 0; i < count; i++) {
        if (i == first || is_empty_default(cfg, targets[i])) {
            continue;
        }
        bool chosen = origin_of(cfg, targets[i])->kind != CONFIG_FROM_DEFAULT;
        const char *name = targets[i] < CONFIG_TARGET_COUNT ? config_target_name(targets[i])
                                                            : name_of(cfg, targets[i], own, sizeof own);
        el_error_set(err, err->code, "%s; %s is %s%s", err->text, name, chosen ? "of " : "at its ",
                     config_place(cfg, targets[i], place, sizeof place));
    }
    if (first < count) {
        el_error_wrap(err, "%s", config_place(cfg, targets[first], place, sizeof place));
    }
    return code;
}
