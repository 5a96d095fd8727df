/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings of whatever has some: topics, work groups, the broker. Changed through the controller, read from whichever
 * node is there. Blocking, any thread.
 */
#include "admin_settings.h"
#include "admin_change.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <wire/error_code.h>
#include <wire/msg_describe_configs.h>
#include <wire/msg_incremental_alter_configs.h>

#define SETTING_COUNT_MAX 1000
#define CONFIG_SET 0
#define CONFIG_DELETE 1

/* Where a value comes from when it was made on the owner itself, by Kafka's numbers. */
#define SOURCE_DYNAMIC_BROKER 2

/* What to see or change settings of whatever it is needs. Who names a topic of dead letters must be able to write to
 * it. */
static void name_right(const struct el_settings_owner *owner, bool changes, struct evlog_failure *failure)
{
    el_fail_right(failure, changes ? "alter-configs cluster" : "describe-configs cluster", NULL);
    el_fail_right(failure, changes ? "alter-configs group" : "describe-configs group", owner->name);
    el_fail_right(failure,
                  owner->resource_type == EL_RESOURCE_GROUP ? "write topic"
                  : changes                                 ? "alter-configs topic"
                                                            : "describe-configs topic",
                  owner->resource_type == EL_RESOURCE_GROUP ? NULL : owner->name);
}

static int8_t own_source(int8_t resource_type)
{
    return resource_type == EL_RESOURCE_TOPIC ? 1 : resource_type == EL_RESOURCE_GROUP ? 8 : 4;
}

/* --- alter ------------------------------------------------------------------------------------------------------ */

static int alter_outcome(const void *response_, void *arg, struct el_slice *message)
{
    const struct el_msg_incremental_alter_configs_response *response = response_;
    if (response->response_count != 1) {
        return EL_KAFKA_UNKNOWN_SERVER_ERROR;
    }
    *message = response->responses[0].error_message;
    return response->responses[0].error_code;
}

int el_settings_alter(struct evlog_client *client, const struct el_settings_owner *owner,
                      const struct evlog_setting *changes, size_t change_count, bool validate_only,
                      struct evlog_failure *failure)
{
    if (change_count == 0 || change_count > SETTING_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "nothing to change, or more than %d settings", SETTING_COUNT_MAX);
    }
    struct el_msg_incremental_alter_configs_request request;
    struct el_msg_incremental_alter_configs_response response;
    struct el_msg_incremental_alter_configs_resource resource;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_incremental_alter_configs_request, &request);
    el_schema_init(&el_schema_incremental_alter_configs_resource, &resource);
    resource.resource_type = owner->resource_type;
    resource.resource_name = el_slice_str(owner->name);
    resource.configs = el_schema_new(&el_schema_incremental_alter_configs_config, &arena, (uint32_t)change_count);
    if (resource.configs == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to change %s %.200s", owner->noun, owner->name);
    }
    resource.config_count = (uint32_t)change_count;
    for (size_t i = 0; i < change_count; i++) {
        resource.configs[i].name = el_slice_str(changes[i].key);
        resource.configs[i].config_operation = changes[i].value == NULL ? CONFIG_DELETE : CONFIG_SET;
        resource.configs[i].value = el_slice_str(changes[i].value);
    }
    request.resources = &resource;
    request.resource_count = 1;
    request.validate_only = validate_only;
    char what[EL_TOPIC_NAME_MAX + 32];
    (void)snprintf(what, sizeof what, "change %s %.*s", owner->noun, EL_TOPIC_NAME_MAX, owner->name);
    struct el_change change = {
        client, EL_API_IncrementalAlterConfigs, INT16_MAX, &request, &response, alter_outcome, NULL, what,
    };
    int rc = el_change_make(&change, failure);
    name_right(owner, true, failure);
    el_arena_reset(&arena);
    return rc;
}

/* --- describe --------------------------------------------------------------------------------------------------- */

static int by_key(const void *a, const void *b)
{
    return strcmp(((const struct evlog_setting *)a)->key, ((const struct evlog_setting *)b)->key);
}

/* Settings that were made on the owner itself (own) or those that were not, sorted. */
static int fill(const struct el_settings_owner *owner, const struct el_msg_describe_configs_result *result, bool own,
                struct el_arena *arena, struct el_settings *out)
{
    struct evlog_setting *settings = el_arena_zalloc(arena, result->config_count * sizeof *settings);
    if (settings == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    size_t count = 0;
    for (uint32_t i = 0; i < result->config_count; i++) {
        const struct el_msg_describe_configs_config *config = &result->configs[i];
        bool made = config->config_source == own_source(owner->resource_type) ||
                    (owner->resource_type == EL_RESOURCE_BROKER && config->config_source == SOURCE_DYNAMIC_BROKER);
        if (made != own) {
            continue;
        }
        settings[count].key = el_arena_strndup(arena, config->name.data, config->name.len);
        bool shown = config->value.data != NULL && !config->is_sensitive;
        settings[count].value = shown ? el_arena_strndup(arena, config->value.data, config->value.len) : NULL;
        if (settings[count].key == NULL || (shown && settings[count].value == NULL)) {
            return EVLOG_ERR_NO_MEMORY;
        }
        count++;
    }
    if (count > 0) {
        qsort(settings, count, sizeof *settings, by_key);
    }
    *out = (struct el_settings){settings, count};
    return 0;
}

static int described_code(const void *response_)
{
    const struct el_msg_describe_configs_response *response = response_;
    return response->result_count == 1 ? response->results[0].error_code : 0;
}

int el_settings_describe(struct evlog_client *client, const struct el_settings_owner *owner, struct el_arena *arena,
                         struct el_settings *own, struct el_settings *defaults, struct evlog_failure *failure)
{
    struct el_msg_describe_configs_request request;
    struct el_msg_describe_configs_resource resource;
    struct el_msg_describe_configs_response response;
    struct el_call call;
    el_schema_init(&el_schema_describe_configs_request, &request);
    el_schema_init(&el_schema_describe_configs_resource, &resource);
    resource.resource_type = owner->resource_type;
    resource.resource_name = el_slice_str(owner->name);
    resource.configuration_keys = NULL;
    request.resources = &resource;
    request.resource_count = 1;
    int rc = el_look(client, EL_API_DescribeConfigs, &request, described_code, &call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    char what[EL_TOPIC_NAME_MAX + 32];
    (void)snprintf(what, sizeof what, "describe %s %.*s", owner->noun, EL_TOPIC_NAME_MAX, owner->name);
    if (response.result_count != 1) {
        rc = el_fail(failure, EVLOG_ERR_MALFORMED, "%s: the broker described others", what);
    } else if (response.results[0].error_code != 0) {
        rc = el_fail_kafka(failure, response.results[0].error_code, response.results[0].error_message, what);
        name_right(owner, false, failure);
    } else if (fill(owner, &response.results[0], true, arena, own) != 0 ||
               fill(owner, &response.results[0], false, arena, defaults) != 0) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "%s: no memory", what);
    }
    el_call_free(&call);
    return rc;
}

/* --- of a work group, of the broker ------------------------------------------------------------------------------- */

struct settings_object {
    struct evlog_setting_list list;
    struct el_arena arena;
};

static int list_make(struct evlog_client *client, const struct el_settings_owner *owner,
                     struct evlog_setting_list **list, struct evlog_failure *failure)
{
    struct el_settings own, defaults;
    struct settings_object *object = el_calloc(1, sizeof *object);
    if (object == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for settings");
    }
    el_arena_init(&object->arena, NULL, 0);
    int rc = el_settings_describe(client, owner, &object->arena, &own, &defaults, failure);
    if (rc != 0) {
        evlog_setting_list_free(&object->list);
        return rc;
    }
    object->list = (struct evlog_setting_list){own.settings, own.count, defaults.settings, defaults.count};
    *list = &object->list;
    return 0;
}

int evlog_group_settings(struct evlog_client *client, const char *group, struct evlog_setting_list **list,
                         struct evlog_failure *failure)
{
    struct el_settings_owner owner = {EL_RESOURCE_GROUP, "work group", group};
    return list_make(client, &owner, list, failure);
}

/* The number of the broker that is there, as a resource's name. */
static int broker_name(struct evlog_client *client, char name[16], struct evlog_failure *failure)
{
    int rc = el_cluster_refresh(client, NULL, false, el_deadline(client->cfg.request_timeout_ms), failure);
    if (rc != 0) {
        return rc;
    }
    el_client_lock(client);
    int32_t id = client->cluster.node_count == 0 ? 0 : client->cluster.nodes[0].id;
    el_client_unlock(client);
    (void)snprintf(name, 16, "%d", id);
    return 0;
}

int evlog_broker_settings(struct evlog_client *client, struct evlog_setting_list **list, struct evlog_failure *failure)
{
    char name[16];
    struct el_settings_owner owner = {EL_RESOURCE_BROKER, "broker", name};
    int rc = broker_name(client, name, failure);
    return rc != 0 ? rc : list_make(client, &owner, list, failure);
}

int evlog_broker_set(struct evlog_client *client, const struct evlog_setting *changes, size_t change_count,
                     bool validate_only, struct evlog_failure *failure)
{
    char name[16];
    struct el_settings_owner owner = {EL_RESOURCE_BROKER, "broker", name};
    int rc = broker_name(client, name, failure);
    return rc != 0 ? rc : el_settings_alter(client, &owner, changes, change_count, validate_only, failure);
}

void evlog_setting_list_free(struct evlog_setting_list *list)
{
    if (list != NULL) {
        struct settings_object *object = EL_CONTAINER(list, struct settings_object, list);
        el_arena_reset(&object->arena);
        el_free(object);
    }
}
