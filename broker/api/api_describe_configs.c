/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeConfigs: settings of topics and of the broker, with where each value comes from.
 *
 * Tools show an error when a setting they know is missing, so topics list every setting of Kafka that tools ask for,
 * also those without effect here; documentation says so. Source: docs/protocol.md, Admin.
 */
#include <api/api.h>
#include <config/setting.h>
#include <wire/msg_describe_configs.h>

struct describe_call {
    struct api *api;
    struct request *request;
    const struct el_msg_describe_configs_request *ask;
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

static int add_synonym(struct describe_call *call, struct el_msg_describe_configs_config *config)
{
    if (!call->ask->include_synonyms) {
        return 0;
    }
    config->synonyms = el_schema_new(&el_schema_describe_configs_synonym, &call->request->arena, 1);
    if (config->synonyms == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    config->synonym_count = 1;
    config->synonyms[0].name = config->name;
    config->synonyms[0].value = config->value;
    config->synonyms[0].source = config->config_source;
    return 0;
}

static int fill_setting(struct describe_call *call, const struct topic_config *overrides, enum topic_setting_id id,
                        struct el_msg_describe_configs_config *out)
{
    struct topic_config_entry shown;
    topic_config_describe(overrides, &call->api->node->topic_defaults, id, &shown);
    out->name = el_slice_str(shown.setting->name);
    out->documentation = (struct el_slice){0};
    out->value = api_text(call->request, shown.value);
    out->config_source = (int8_t)shown.source;
    if (call->request->api_version >= 3) {
        out->config_type = (int8_t)shown.setting->type;
        if (call->ask->include_documentation) {
            out->documentation = el_slice_str(shown.setting->doc);
        }
    }
    return add_synonym(call, out);
}

static int describe_topic(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                          struct el_msg_describe_configs_result *out)
{
    const struct topic *topic = api_topic(call->api, ask->resource_name, NULL);
    if (topic == NULL) {
        bool valid = api_name_valid(ask->resource_name);
        int error = valid ? EVLOG_ERR_UNKNOWN_TOPIC : EVLOG_ERR_INVALID_TOPIC;
        out->error_code = api_error(error, false);
        out->error_message = api_error_message(error);
        api_count_refusal(call->api, error);
        return 0;
    }
    out->configs = el_schema_new(&el_schema_describe_configs_config, &call->request->arena, TOPIC_SETTING_COUNT);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (int id = 0; id < TOPIC_SETTING_COUNT; id++) {
        if (!wanted(ask, topic_setting((enum topic_setting_id)id)->name)) {
            continue;
        }
        int error = fill_setting(call, &topic->config, (enum topic_setting_id)id, &out->configs[out->config_count++]);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* Kinds of settings as DescribeConfigs names types. */
static int8_t broker_type(enum setting_kind kind)
{
    switch (kind) {
    case SETTING_BOOL:
        return TOPIC_TYPE_BOOLEAN;
    case SETTING_COUNT:
    case SETTING_SIZE:
    case SETTING_DURATION:
        return TOPIC_TYPE_LONG;
    case SETTING_PATH:
    case SETTING_ADDRESS:
    case SETTING_CHOICE:
        return TOPIC_TYPE_STRING;
    }
    return TOPIC_TYPE_STRING;
}

static int fill_broker_setting(struct describe_call *call, enum config_setting_id id,
                               struct el_msg_describe_configs_config *out)
{
    const struct config *cfg = call->api->node->config;
    const struct setting *setting = setting_at(id);
    char text[SETTING_TEXT_MAX];
    out->name = el_slice_str(setting->name);
    out->documentation = (struct el_slice){0};
    out->value = api_text(call->request, setting_text(cfg, id, text, sizeof text));
    out->read_only = true;
    out->config_source = cfg->origin[id].kind == CONFIG_FROM_DEFAULT ? (int8_t)TOPIC_SOURCE_DEFAULT
                                                                     : (int8_t)TOPIC_SOURCE_BROKER;
    if (call->request->api_version >= 3) {
        out->config_type = broker_type(setting->kind);
        if (call->ask->include_documentation) {
            out->documentation = el_slice_str(setting->doc);
        }
    }
    return add_synonym(call, out);
}

static int describe_broker(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                           struct el_msg_describe_configs_result *out)
{
    char own[16];
    snprintf(own, sizeof own, "%d", call->api->node->id);
    bool cluster_default = ask->resource_name.len == 0;
    if (!cluster_default && !el_slice_eq(ask->resource_name, el_slice_str(own))) {
        out->error_code = EL_KAFKA_INVALID_REQUEST;
        out->error_message = el_slice_str("there is no such broker");
        api_count_refusal(call->api, EVLOG_ERR_INVALID_REQUEST);
        return 0;
    }
    out->configs = el_schema_new(&el_schema_describe_configs_config, &call->request->arena, CONFIG_SETTING_COUNT);
    if (out->configs == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    /* The cluster-wide dynamic defaults are a layer evlogd does not have: an empty list. */
    for (int id = 0; !cluster_default && id < CONFIG_SETTING_COUNT; id++) {
        if (!wanted(ask, setting_at((enum config_setting_id)id)->name)) {
            continue;
        }
        int error = fill_broker_setting(call, (enum config_setting_id)id, &out->configs[out->config_count++]);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

static int describe(struct describe_call *call, const struct el_msg_describe_configs_resource *ask,
                    struct el_msg_describe_configs_result *out)
{
    out->resource_type = ask->resource_type;
    out->resource_name = ask->resource_name;
    out->error_message = (struct el_slice){0};
    switch (ask->resource_type) {
    case API_RESOURCE_TOPIC:
        return describe_topic(call, ask, out);
    case API_RESOURCE_BROKER:
        return describe_broker(call, ask, out);
    default:
        out->error_code = EL_KAFKA_INVALID_REQUEST;
        out->error_message = el_slice_str("settings are those of topics (2) and brokers (4)");
        api_count_refusal(call->api, EVLOG_ERR_INVALID_REQUEST);
        return 0;
    }
}

void api_describe_configs(struct api *api, struct request *request, const void *message)
{
    struct describe_call call = {.api = api, .request = request, .ask = message};
    struct el_msg_describe_configs_response response;
    el_schema_init(&el_schema_describe_configs_response, &response);
    response.results = api_new(api, request, &el_schema_describe_configs_result, call.ask->resource_count);
    if (response.results == NULL) {
        return;
    }
    response.result_count = call.ask->resource_count;
    for (uint32_t i = 0; i < response.result_count; i++) {
        if (describe(&call, &call.ask->resources[i], &response.results[i]) != 0) {
            metrics_add(api->metrics, METRIC_REFUSED_MEMORY, 1);
            request_close(request, "no memory left for the answer: raise memory.max");
            return;
        }
    }
    request_reply(request, &el_schema_describe_configs_response, &response);
}
