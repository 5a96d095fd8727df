/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeConfigs: settings of topics, of work groups and of the broker, with where each value comes from. Client
 * metrics have none. What groups have is asked of them first; all else is known here.
 *
 * Tools show an error when a setting they know is missing, so topics list every setting of Kafka that tools ask for,
 * also those without effect here; documentation says so. Source: docs/protocol.md, Admin.
 */
#include <api/api.h>
#include <api/logger_levels.h>
#include <config/broker_name.h>
#include <config/group_config.h>
#include <config/listener_settings.h>
#include <config/setting.h>
#include <wire/msg_describe_configs.h>

#define SOURCE_DYNAMIC_BROKER 2
#define SOURCE_BROKER_LOGGER 6
#define VERSION_TYPES 3 /* from here on the answer has types and documentation */

/* A work group's settings: op, then overrides. */
struct describe_group {
    struct lease_settings_op op;
    struct group_config config;
};

struct describe_call {
    struct api_call base;
    struct api *api;
    struct request *request;
    const struct el_msg_describe_configs_request *ask;
    struct describe_group **groups; /* [ask->resource_count] NULL where the resource is none */
    bool *denied;                   /* [the same] the caller may not see its settings; not set for topics */
};

/* Is the setting wanted? A null list wants all. */
static bool wanted(const struct el_msg_describe_configs_resource *ask, const char *name)
{
    if (ask->configuration_keys == NULL) {
        return true;
    }
    for (uint32_t i = 0; i < ask->configuration_key_count; i++) {
        if (el_slice_eq(ask->configuration_keys[i], el_slice_str(name))) {
            return true;
        }
    }
    return false;
}

/* One more level that the value could come from; the strongest is added first. */
static void add_synonym(struct el_msg_describe_configs_config *config, const char *name, struct el_slice value,
                        int8_t source)
{
    struct el_msg_describe_configs_synonym *synonym = &config->synonyms[config->synonym_count++];
    synonym->name = el_slice_str(name);
    synonym->value = value;
    synonym->source = source;
}

static int new_synonyms(struct describe_call *call, struct el_msg_describe_configs_config *config, uint32_t count_max)
{
    config->synonyms = el_schema_new(&el_schema_describe_configs_synonym, &call->request->arena, count_max);
    return config->synonyms == NULL ? EVLOG_ERR_NO_MEMORY : 0;
}

/* A setting of a topic may come from the topic, from evlogd's configuration, or from the table; below the topic it has
 * the broker's name. overrides NULL: the topic is no level. */
static int add_topic_synonyms(struct describe_call *call, const struct topic_config *overrides,
                              enum topic_setting_id id, struct el_msg_describe_configs_config *out)
{
    const struct topic_config *defaults = &call->api->node->topic_defaults;
    struct override_entry shown;
    if (!call->ask->include_synonyms) {
        return 0;
    }
    if (new_synonyms(call, out, 3) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (topic_config_is_overridden(overrides, id)) {
        add_synonym(out, topic_setting(id)->name, out->value, OVERRIDE_FROM_TOPIC);
    }
    if (topic_config_is_overridden(defaults, id)) {
        topic_config_describe(NULL, defaults, id, &shown);
        add_synonym(out, broker_name(id), api_text(call->request, shown.value), OVERRIDE_FROM_BROKER);
    }
    topic_config_describe(NULL, NULL, id, &shown);
    add_synonym(out, broker_name(id), api_text(call->request, shown.value), OVERRIDE_FROM_DEFAULT);
    return 0;
}

static void set_documentation(struct describe_call *call, struct el_msg_describe_configs_config *out, int8_t type,
                              const char *doc)
{
    out->documentation = (struct el_slice){0};
    if (call->request->api_version >= VERSION_TYPES) {
        out->config_type = type;
        if (call->ask->include_documentation) {
            out->documentation = el_slice_str(doc);
        }
    }
}

/* overrides NULL: the default for all topics, under the broker's name. */
static int fill_setting(struct describe_call *call, const struct topic_config *overrides, enum topic_setting_id id,
                        struct el_msg_describe_configs_config *out)
{
    struct override_entry shown;
    topic_config_describe(overrides, &call->api->node->topic_defaults, id, &shown);
    out->name = el_slice_str(overrides == NULL ? broker_name(id) : shown.setting->name);
    out->value = api_text(call->request, shown.value);
    out->config_source = (int8_t)shown.source;
    out->read_only = overrides == NULL && call->api->node->change_settings == NULL;
    if (overrides == NULL && call->api->node->config->topic_origin[id].kind == CONFIG_FROM_REQUEST) {
        out->config_source = SOURCE_DYNAMIC_BROKER;
    }
    set_documentation(call, out, (int8_t)shown.setting->type, shown.setting->doc);
    return add_topic_synonyms(call, overrides, id, out);
}

static int refuse_error(struct describe_call *call, struct el_msg_describe_configs_result *out, int error)
{
    out->error_code = api_error(error, false);
    out->error_message = api_error_message(error);
    api_count_refusal(call->api, error);
    return 0;
}

static int describe_topic(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                          struct el_msg_describe_configs_result *out)
{
    int error;
    const struct topic *topic = api_topic(call->api, call->request, ask->resource_name, NULL, &error);
    if (topic == NULL) {
        bool valid = error == EVLOG_ERR_TOPIC_DENIED || api_name_valid(ask->resource_name);
        return refuse_error(call, out, valid ? error : EVLOG_ERR_INVALID_TOPIC);
    }
    out->configs = el_schema_new(&el_schema_describe_configs_config, &call->request->arena, TOPIC_SETTING_COUNT);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        if (!wanted(ask, topic_setting((enum topic_setting_id)id)->name)) {
            continue;
        }
        error = fill_setting(call, &topic->config, (enum topic_setting_id)id, &out->configs[out->config_count++]);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* A setting of a group comes from the group or from the table. Kafka's name for it, where there is one, has an entry of
 * its own: its tools look for that. */
static int fill_group_setting(struct describe_call *call, const struct group_config *config, int id, const char *name,
                              struct el_msg_describe_configs_config *out)
{
    struct override_entry shown, table;
    overrides_describe(&group_settings, &config->set, NULL, id, &shown);
    overrides_describe(&group_settings, NULL, NULL, id, &table);
    bool text = shown.setting->type == OVERRIDE_TEXT;
    out->name = el_slice_str(name);
    out->value = text ? shown.text : api_text(call->request, shown.value);
    out->config_source = (int8_t)shown.source;
    set_documentation(call, out, override_wire_type(shown.setting), shown.setting->doc);
    if (!call->ask->include_synonyms) {
        return 0;
    }
    if (new_synonyms(call, out, 2) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    if (!shown.is_default) {
        add_synonym(out, name, out->value, OVERRIDE_FROM_GROUP);
    }
    add_synonym(out, name, text ? table.text : api_text(call->request, table.value), OVERRIDE_FROM_DEFAULT);
    return 0;
}

static int describe_group(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                          const struct describe_group *group, struct el_msg_describe_configs_result *out)
{
    int error = group->op.base.error;
    if (error != 0) {
        const char *text = group->op.base.message_text;
        out->error_code = api_group_error(error);
        out->error_message = text[0] == 0 ? api_error_message(error) : el_slice_str(text);
        api_count_refusal(call->api, error);
        return 0;
    }
    out->configs = el_schema_new(&el_schema_describe_configs_config, &call->request->arena, 2 * GROUP_SETTING_COUNT);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (int id = 0; id < GROUP_SETTING_COUNT && error == 0; id++) {
        const struct override_row *row = &group_settings.rows[id];
        if (wanted(ask, row->name)) {
            error = fill_group_setting(call, &group->config, id, row->name, &out->configs[out->config_count++]);
        }
        if (error == 0 && row->alias[0] != 0 && wanted(ask, row->alias)) {
            error = fill_group_setting(call, &group->config, id, row->alias, &out->configs[out->config_count++]);
        }
    }
    return error;
}

/* Kinds of settings as DescribeConfigs names types. */
static int8_t broker_type(enum setting_kind kind)
{
    switch (kind) {
    case SETTING_BOOL:
        return OVERRIDE_BOOLEAN;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        return OVERRIDE_LONG;
    case SETTING_PATH:
    case SETTING_TEXT:
    case SETTING_URL:
    case SETTING_ADDRESS:
    case SETTING_CHOICE:
        return OVERRIDE_STRING;
    }
    return OVERRIDE_STRING;
}

static int8_t broker_source(enum config_origin_kind kind)
{
    switch (kind) {
    case CONFIG_FROM_DEFAULT:
        return OVERRIDE_FROM_DEFAULT;
    case CONFIG_FROM_FILE:
    case CONFIG_FROM_ENVIRONMENT:
    case CONFIG_FROM_FLAG:
        return OVERRIDE_FROM_BROKER;
    case CONFIG_FROM_REQUEST:
        return SOURCE_DYNAMIC_BROKER;
    }
    return OVERRIDE_FROM_BROKER;
}

static int fill_broker_setting(struct describe_call *call, enum config_setting_id id,
                               struct el_msg_describe_configs_config *out)
{
    const struct config *cfg = call->api->node->config;
    const struct setting *setting = setting_at(id);
    char text[SETTING_TEXT_MAX];
    out->name = el_slice_str(setting->name);
    out->value = api_text(call->request, setting_plain_text(cfg, id, text, sizeof text));
    out->read_only = call->api->node->change_settings == NULL || config_request_refusal(id) != NULL;
    out->config_source = broker_source(cfg->origin[id].kind);
    set_documentation(call, out, broker_type(setting->kind), setting->doc);
    if (!call->ask->include_synonyms) {
        return 0;
    }
    if (new_synonyms(call, out, 1) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    add_synonym(out, setting->name, out->value, out->config_source);
    return 0;
}

/* What a single listener has in place of a setting of all. */
static int fill_listener_setting(struct describe_call *call, const struct listener_value *value, const char *name,
                                 struct el_msg_describe_configs_config *out)
{
    const struct config *cfg = call->api->node->config;
    const struct setting *setting = setting_at(value->id);
    char common[SETTING_TEXT_MAX];
    out->name = api_text(call->request, name);
    out->value = api_text(call->request, listener_value_text(cfg, value));
    out->read_only = true;
    out->config_source = broker_source(value->origin.kind);
    set_documentation(call, out, broker_type(setting->kind), setting->doc);
    if (!call->ask->include_synonyms) {
        return 0;
    }
    if (new_synonyms(call, out, 2) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    out->synonyms[0].name = out->name;
    out->synonyms[0].value = out->value;
    out->synonyms[0].source = out->config_source;
    out->synonym_count = 1;
    setting_plain_text(cfg, value->id, common, sizeof common);
    add_synonym(out, setting->name, api_text(call->request, common), broker_source(cfg->origin[value->id].kind));
    return 0;
}

static int fill_listeners(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                          struct el_msg_describe_configs_result *out)
{
    const struct listener_values *values = &call->api->node->config->listener_values;
    char name[CONFIG_NAME_MAX];
    int error = 0;
    for (uint32_t i = 0; i < values->count && error == 0; i++) {
        if (wanted(ask, listener_value_name(&values->list[i], name, sizeof name))) {
            error = fill_listener_setting(call, &values->list[i], name, &out->configs[out->config_count++]);
        }
    }
    return error;
}

/* Settings of evlogd, those of single listeners, then the defaults of topics by the names that Kafka has for them. */
static int fill_broker(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                       struct el_msg_describe_configs_result *out)
{
    uint32_t own_count = call->api->node->config->listener_values.count;
    uint32_t count_max = (uint32_t)CONFIG_SETTING_COUNT + (uint32_t)TOPIC_SETTING_COUNT + own_count;
    out->configs = el_schema_new(&el_schema_describe_configs_config, &call->request->arena, count_max);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int error = 0;
    for (int id = 0; id < CONFIG_SETTING_COUNT && error == 0; id++) {
        if (wanted(ask, setting_at((enum config_setting_id)id)->name)) {
            error = fill_broker_setting(call, (enum config_setting_id)id, &out->configs[out->config_count++]);
        }
    }
    error = error == 0 ? fill_listeners(call, ask, out) : error;
    for (int id = 0; id < TOPIC_SETTING_COUNT && error == 0; id++) {
        if (wanted(ask, broker_name((enum topic_setting_id)id))) {
            error = fill_setting(call, NULL, (enum topic_setting_id)id, &out->configs[out->config_count++]);
        }
    }
    return error;
}

static int refuse_resource(struct describe_call *call, struct el_msg_describe_configs_result *out, const char *message)
{
    out->error_code = EL_KAFKA_INVALID_REQUEST;
    out->error_message = el_slice_str(message);
    api_count_refusal(call->api, EVLOG_ERR_INVALID_REQUEST);
    return 0;
}

/* The cluster-wide dynamic defaults, the broker without a name, are a layer evlogd does not have: an empty list. */
static int describe_broker(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                           struct el_msg_describe_configs_result *out)
{
    if (ask->resource_name.len == 0) {
        return 0;
    }
    return api_is_self(call->api, ask->resource_name) ? fill_broker(call, ask, out)
                                                      : refuse_resource(call, out, "there is no such broker");
}

/* The areas of the log as Kafka's tools show loggers, by name with one of Java's levels; "root" is above all. */
static void fill_logger(struct describe_call *call, const char *name, struct el_msg_describe_configs_config *out)
{
    out->name = el_slice_str(name);
    out->value = el_slice_str(logger_level_name(el_log_level_of(out->name)));
    out->config_source = SOURCE_BROKER_LOGGER;
    set_documentation(call, out, OVERRIDE_STRING, "Least important lines of this area that are logged.");
}

static int describe_logger(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                           struct el_msg_describe_configs_result *out)
{
    if (!api_is_self(call->api, ask->resource_name)) {
        return refuse_resource(call, out, "there is no such broker");
    }
    uint32_t count_max = (uint32_t)el_log_area_count() + 1;
    out->configs = el_schema_new(&el_schema_describe_configs_config, &call->request->arena, count_max);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count_max; i++) {
        const char *name = i == 0 ? EL_LOG_ROOT : el_log_area_name(i - 1);
        if (wanted(ask, name)) {
            fill_logger(call, name, &out->configs[out->config_count++]);
        }
    }
    return 0;
}

static int describe(struct describe_call *call, uint32_t index, struct el_msg_describe_configs_result *out)
{
    const struct el_msg_describe_configs_resource *ask = &call->ask->resources[index];
    out->resource_type = ask->resource_type;
    out->resource_name = ask->resource_name;
    out->error_message = (struct el_slice){0};
    if (call->denied[index]) {
        bool group = ask->resource_type == API_RESOURCE_GROUP;
        return refuse_error(call, out, group ? EVLOG_ERR_GROUP_DENIED : EVLOG_ERR_CLUSTER_DENIED);
    }
    switch (ask->resource_type) {
    case API_RESOURCE_TOPIC:
        return describe_topic(call, ask, out);
    case API_RESOURCE_BROKER:
        return describe_broker(call, ask, out);
    case API_RESOURCE_GROUP:
        if (call->groups[index] != NULL) {
            return describe_group(call, ask, call->groups[index], out);
        }
        return ask->resource_name.len > 0 ? 0 : refuse_resource(call, out, "the name is missing");
    case API_RESOURCE_CLIENT_METRICS:
        return ask->resource_name.len > 0 ? 0 : refuse_resource(call, out, "the name is missing");
    case API_RESOURCE_BROKER_LOGGER:
        return describe_logger(call, ask, out);
    default:
        return refuse_resource(call, out, "settings are those of topics (2), brokers (4) and groups (32)");
    }
}

static void describe_finish(struct api_call *base)
{
    struct describe_call *call = EL_CONTAINER(base, struct describe_call, base);
    struct el_msg_describe_configs_response response;
    el_schema_init(&el_schema_describe_configs_response, &response);
    response.results = api_new(call->api, call->request, &el_schema_describe_configs_result, call->ask->resource_count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = call->ask->resource_count;
    for (uint32_t i = 0; i < response.result_count; i++) {
        if (describe(call, i, &response.results[i]) != 0) {
            metrics_add(call->api->metrics, METRIC_REFUSED_MEMORY, 1);
            request_close(call->request, "no memory left for the answer: raise memory.max");
            return;
        }
    }
    request_reply(call->request, &el_schema_describe_configs_response, &response);
}

void api_describe_configs(struct api *api, struct request *request, const void *message)
{
    struct describe_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    call->ask = message;
    call->groups = api_alloc(api, request, call->ask->resource_count, sizeof(struct describe_group *));
    if (call->groups == NULL) {
        return;
    }
    call->denied = api_alloc(api, request, call->ask->resource_count, sizeof *call->denied);
    if (call->denied == NULL) {
        return;
    }
    for (uint32_t i = 0; i < call->ask->resource_count; i++) {
        const struct el_msg_describe_configs_resource *ask = &call->ask->resources[i];
        call->denied[i] = !api_config_right(api, request, ask->resource_type, ask->resource_name);
        if (call->denied[i] || api->leases == NULL) {
            continue;
        }
        if (ask->resource_type == API_RESOURCE_GROUP && ask->resource_name.len > 0) {
            call->groups[i] = api_alloc(api, request, 1, sizeof(struct describe_group));
            if (call->groups[i] == NULL) {
                return;
            }
            call->groups[i]->op.base.group_id = ask->resource_name;
            call->groups[i]->op.verb = LEASE_SETTINGS_GET;
            call->groups[i]->op.current = &call->groups[i]->config;
        }
    }
    api_call_init(&call->base, api, request, describe_finish);
    for (uint32_t i = 0; i < call->ask->resource_count; i++) {
        if (call->groups[i] != NULL) {
            api_call_add_lease(&call->base, &call->groups[i]->op.base, api_call_on_lease);
            leases_settings(api->leases, &call->groups[i]->op);
        }
    }
    api_call_release(&call->base);
}
