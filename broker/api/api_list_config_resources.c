/* SPDX-License-Identifier: Apache-2.0
 *
 * ListConfigResources: what has settings. That is topics, this broker, and its logger. Groups and client metrics may be
 * asked for and have none; version 0 asks for client metrics only.
 */
#include <api/api.h>
#include <wire/msg_list_config_resources.h>

#define VERSION_TYPES 1

static const int8_t known_types[] = {API_RESOURCE_TOPIC, API_RESOURCE_BROKER, API_RESOURCE_BROKER_LOGGER,
                                     API_RESOURCE_CLIENT_METRICS, API_RESOURCE_GROUP};

static bool types_known(const struct el_msg_list_config_resources_request *ask)
{
    for (uint32_t i = 0; i < ask->resource_type_count; i++) {
        if (memchr(known_types, ask->resource_types[i], sizeof known_types) == NULL) {
            return false;
        }
    }
    return true;
}

static bool wanted(const struct request *request, const struct el_msg_list_config_resources_request *ask, int8_t type)
{
    if (request->api_version < VERSION_TYPES) {
        return type == API_RESOURCE_CLIENT_METRICS;
    }
    return ask->resource_type_count == 0 || memchr(ask->resource_types, type, ask->resource_type_count) != NULL;
}

static void add(struct el_msg_list_config_resources_response *response, struct el_slice name, int8_t type)
{
    struct el_msg_list_config_resources_resource *resource =
        &response->config_resources[response->config_resource_count++];
    resource->resource_name = name;
    resource->resource_type = type;
}

void api_list_config_resources(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_list_config_resources_request *ask = message;
    struct el_msg_list_config_resources_response response;
    char self[16];
    el_schema_init(&el_schema_list_config_resources_response, &response);
    if (!types_known(ask)) {
        response.error_code = EL_KAFKA_UNSUPPORTED_VERSION;
        api_count_refusal(api, EVLOG_ERR_UNSUPPORTED);
        request_reply(request, &el_schema_list_config_resources_response, &response);
        return;
    }
    uint32_t count = store_topic_count(api->shard);
    response.config_resources = api_new(api, request, &el_schema_list_config_resources_resource, count + 2);
    if (response.config_resources == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count && wanted(request, ask, API_RESOURCE_TOPIC); i++) {
        const struct topic *topic = store_topic_at(api->shard, i);
        if (!topic->internal) {
            add(&response, el_slice_of(topic->name, topic->name_len), API_RESOURCE_TOPIC);
        }
    }
    snprintf(self, sizeof self, "%d", api->node->id);
    if (wanted(request, ask, API_RESOURCE_BROKER)) {
        add(&response, el_slice_str(self), API_RESOURCE_BROKER);
    }
    if (wanted(request, ask, API_RESOURCE_BROKER_LOGGER)) {
        add(&response, el_slice_str(self), API_RESOURCE_BROKER_LOGGER);
    }
    request_reply(request, &el_schema_list_config_resources_response, &response);
}
