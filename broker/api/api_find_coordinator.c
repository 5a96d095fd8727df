/* SPDX-License-Identifier: Apache-2.0
 *
 * FindCoordinator: this node, for every key. librdkafka compresses with lz4 only when this API is listed.
 */
#include <api/api.h>
#include <wire/msg_find_coordinator.h>

/* May the caller know where the coordinator of this key is? Kafka's code. */
static int16_t ask_right(struct api *api, const struct request *request, int8_t key_type, struct el_slice key)
{
    switch (key_type) {
    case 0:
        return api_may(api, request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_GROUP, key)
                   ? EL_KAFKA_NONE
                   : EL_KAFKA_GROUP_AUTHORIZATION_FAILED;
    case 1:
        return api_may(api, request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TRANSACTIONAL_ID, key)
                   ? EL_KAFKA_NONE
                   : EL_KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    case 2:
        return api_may(api, request, EL_ACL_OP_CLUSTER_ACTION, EL_ACL_RESOURCE_CLUSTER, key)
                   ? EL_KAFKA_NONE
                   : EL_KAFKA_CLUSTER_AUTHORIZATION_FAILED;
    default:
        return EL_KAFKA_INVALID_REQUEST;
    }
}

static void fill(struct api *api, const struct request *request, struct el_msg_find_coordinator_coordinator *out,
                 struct el_slice key, int16_t error)
{
    const struct config_address *address = api_advertised(api, request);
    out->key = key;
    out->error_code = error;
    out->node_id = error == 0 ? api->node->id : -1;
    out->host = el_slice_str(error == 0 ? address->host : "");
    out->port = error == 0 ? address->port : -1;
    out->error_message = (struct el_slice){0};
    if (error == EL_KAFKA_INVALID_REQUEST) {
        out->error_message = el_slice_str("key type must be 0 group, 1 transactional id or 2 share partition");
    }
}

void api_find_coordinator(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_find_coordinator_request *ask = message;
    struct el_msg_find_coordinator_response response;
    el_schema_init(&el_schema_find_coordinator_response, &response);
    if (request->api_version < 4) {
        struct el_msg_find_coordinator_coordinator one = {0};
        fill(api, request, &one, ask->key, ask_right(api, request, ask->key_type, ask->key));
        response.error_code = one.error_code;
        response.error_message = one.error_message;
        response.node_id = one.node_id;
        response.host = one.host;
        response.port = one.port;
    } else {
        uint32_t count = ask->coordinator_key_count;
        response.coordinators = api_new(api, request, &el_schema_find_coordinator_coordinator, count);
        if (response.coordinators == NULL) {
            return;
        }
        response.coordinator_count = count;
        for (uint32_t i = 0; i < count; i++) {
            struct el_slice key = ask->coordinator_keys[i];
            fill(api, request, &response.coordinators[i], key, ask_right(api, request, ask->key_type, key));
        }
    }
    request_reply(request, &el_schema_find_coordinator_response, &response);
}
