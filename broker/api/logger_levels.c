/* SPDX-License-Identifier: Apache-2.0 */
#include <api/alter_configs.h>
#include <api/logger_levels.h>
#include <config/value.h>

const char *logger_level_name(enum el_log_level level)
{
    switch (level) {
    case EL_LOG_ERROR:
        return "ERROR";
    case EL_LOG_WARN:
        return "WARN";
    case EL_LOG_INFO:
        return "INFO";
    case EL_LOG_DEBUG:
        return "DEBUG";
    }
    return "?";
}

/* Java has two levels more, at both ends. */
static bool level_find(struct el_slice word, enum el_log_level *level)
{
    static const struct {
        const char *word;
        enum el_log_level level;
    } words[] = {{"FATAL", EL_LOG_ERROR}, {"ERROR", EL_LOG_ERROR}, {"WARN", EL_LOG_WARN},
                 {"INFO", EL_LOG_INFO},   {"DEBUG", EL_LOG_DEBUG}, {"TRACE", EL_LOG_DEBUG}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (el_slice_eq(word, el_slice_str(words[i].word))) {
            *level = words[i].level;
            return true;
        }
    }
    return false;
}

static int check(const struct el_msg_incremental_alter_configs_config *ask, struct el_error *err)
{
    enum el_log_level level;
    if (!el_log_level_known(ask->name)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG,
                            "there is no logger '%.*s': they are root and the areas that DescribeConfigs lists",
                            value_shown_len(ask->name), (const char *)ask->name.data);
    }
    if (ask->config_operation == ALTER_DELETE) {
        return 0;
    }
    if (ask->config_operation != ALTER_SET) {
        return el_error_set(err, EVLOG_ERR_INVALID_REQUEST, "levels are set (0) or deleted (1)");
    }
    if (ask->value.data == NULL || !level_find(ask->value, &level)) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "'%.*s' is no level: ERROR, WARN, INFO or DEBUG",
                            value_shown_len(ask->value), ask->value.data == NULL ? "" : (const char *)ask->value.data);
    }
    return 0;
}

int logger_levels_change(const struct el_msg_incremental_alter_configs_resource *ask, bool validate_only,
                         struct el_error *err)
{
    for (uint32_t i = 0; i < ask->config_count; i++) {
        int error = check(&ask->configs[i], err);
        if (error != 0) {
            return error;
        }
    }
    for (uint32_t i = 0; i < ask->config_count && !validate_only; i++) {
        const struct el_msg_incremental_alter_configs_config *one = &ask->configs[i];
        enum el_log_level level = EL_LOG_INFO;
        bool set = one->config_operation == ALTER_SET && level_find(one->value, &level);
        bool known = el_log_level_set(one->name, set ? &level : NULL);
        EL_ASSERT(known);
    }
    return 0;
}
