/* SPDX-License-Identifier: Apache-2.0
 *
 * ListConfigResources: what has settings. That is topics, work groups, this broker, and its loggers. Client metrics may
 * be asked for and have none; version 0 asks for client metrics only.
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

struct list_call {
    struct lease_list_op op;
    struct api *api;
    struct request *request;
    const struct el_msg_list_config_resources_request *ask;
};

static void list_on_release(struct request *request)
{
    struct list_call *call = request->user;
    lease_op_release(&call->op.base);
}

static void refuse(struct list_call *call, int error, int16_t code)
{
    struct el_msg_list_config_resources_response response;
    el_schema_init(&el_schema_list_config_resources_response, &response);
    response.error_code = code;
    api_count_refusal(call->api, error);
    lease_op_release(&call->op.base);
    request_reply(call->request, &el_schema_list_config_resources_response, &response);
}

/* Work groups are known, or are not wanted. */
static void reply(struct list_call *call)
{
    struct request *request = call->request;
    struct api *api = call->api;
    const struct el_msg_list_config_resources_request *ask = call->ask;
    struct el_msg_list_config_resources_response response;
    char self[16];
    el_schema_init(&el_schema_list_config_resources_response, &response);
    uint32_t count = store_topic_count(api->shard), group_count = call->op.group_count;
    response.config_resources = el_schema_new(&el_schema_list_config_resources_resource, &request->arena,
                                              count + group_count + 2);
    if (response.config_resources == NULL) {
        lease_op_release(&call->op.base);
        api_refuse_memory(api, request);
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
        add(&response, api_text(request, self), API_RESOURCE_BROKER);
    }
    if (wanted(request, ask, API_RESOURCE_BROKER_LOGGER)) {
        add(&response, api_text(request, self), API_RESOURCE_BROKER_LOGGER);
    }
    for (uint32_t i = 0; i < group_count; i++) {
        add(&response, call->op.groups[i].id, API_RESOURCE_GROUP);
    }
    request->user = call;
    request_reply_release(request, &el_schema_list_config_resources_response, &response, list_on_release);
}

static void list_on_groups(struct lease_op *op)
{
    struct list_call *call = EL_CONTAINER(op, struct list_call, op.base);
    if (op->error != 0) {
        refuse(call, op->error, api_group_error(op->error));
    } else {
        reply(call);
    }
}

void api_list_config_resources(struct api *api, struct request *request, const void *message)
{
    struct list_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    call->ask = message;
    if (!types_known(call->ask)) {
        refuse(call, EVLOG_ERR_UNSUPPORTED, EL_KAFKA_UNSUPPORTED_VERSION);
    } else if (api->leases == NULL || !wanted(request, call->ask, API_RESOURCE_GROUP)) {
        reply(call);
    } else {
        call->op.base.done = list_on_groups;
        leases_list(api->leases, &call->op);
    }
}
