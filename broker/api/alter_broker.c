/* SPDX-License-Identifier: Apache-2.0 */
#include <api/alter_broker.h>
#include <api/alter_configs.h>
#include <api/api.h>
#include <config/value.h>

static int add(struct broker_settings_op *op, struct config_change *changes,
               const struct el_msg_incremental_alter_configs_config *ask, struct el_error *err)
{
    bool set = ask->config_operation == ALTER_SET;
    if (!set && ask->config_operation != ALTER_DELETE) {
        return el_error_set(err, EVLOG_ERR_INVALID_REQUEST, "settings of the broker are set (0) or deleted (1)");
    }
    if (set && ask->value.data == NULL) {
        return el_error_set(err, EVLOG_ERR_INVALID_CONFIG, "'%.*s' has no value", value_shown_len(ask->name),
                            (const char *)ask->name.data);
    }
    if (op->change_count == CONFIG_REQUEST_CHANGES_MAX) {
        return el_error_set(err, EVLOG_ERR_LIMIT, "at most %u settings in a request", CONFIG_REQUEST_CHANGES_MAX);
    }
    changes[op->change_count++] = (struct config_change){.name = ask->name,
                                                         .value = set ? ask->value : (struct el_slice){0}};
    return 0;
}

int alter_broker_make(struct api *api, struct request *request,
                      const struct el_msg_incremental_alter_configs_resource *ask, struct broker_settings_op **op,
                      struct el_error *err)
{
    struct el_map seen;
    struct broker_settings_op *made = el_arena_zalloc(&request->arena, sizeof *made);
    size_t room = EL_MIN(ask->config_count, CONFIG_REQUEST_CHANGES_MAX);
    struct config_change *changes = el_arena_zalloc(&request->arena, (room + 1) * sizeof *changes);
    *op = NULL;
    char(*before)[BROKER_SETTING_SHOWN_MAX] = el_arena_zalloc(&request->arena, (room + 1) * sizeof *before);
    if (made == NULL || changes == NULL || before == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory left for the change: raise memory.max");
    }
    int error = 0;
    el_map_init(&seen, api->buddy);
    for (uint32_t i = 0; i < ask->config_count && error == 0; i++) {
        api_name_once(&seen, ask->configs[i].name, &error);
        if (error != 0) {
            el_error_set(err, error, "a setting is named twice");
        } else if (ask->configs[i].config_operation != ALTER_DELETE ||
                   config_request_check(ask->configs[i].name, NULL) == 0) {
            error = add(made, changes, &ask->configs[i], err);
        }
    }
    el_map_destroy(&seen);
    if (error == 0 && made->change_count > 0) {
        made->origin = api->io;
        made->changes = changes;
        made->before = before;
        *op = made;
    }
    return error;
}
