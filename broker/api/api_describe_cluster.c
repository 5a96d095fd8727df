/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeCluster: one broker, which is its own controller.
 */
#include <api/api.h>
#include <wire/msg_describe_cluster.h>

#define ENDPOINT_BROKERS 1

void api_describe_cluster(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_cluster_request *ask = message;
    struct el_msg_describe_cluster_response response;
    struct el_msg_describe_cluster_broker self;
    el_schema_init(&el_schema_describe_cluster_response, &response);
    el_schema_init(&el_schema_describe_cluster_broker, &self);
    response.cluster_id = el_slice_str(store_cluster_id(store_shard_store(api->shard)));
    if (ask->endpoint_type != ENDPOINT_BROKERS) {
        /* The answer names the type asked for; clients compare. */
        response.endpoint_type = ask->endpoint_type;
        response.error_code = EL_KAFKA_UNSUPPORTED_ENDPOINT_TYPE;
        response.error_message = el_slice_str("there are no separate controllers: ask for endpoint type 1, brokers");
    } else {
        self.broker_id = api->node->id;
        const struct config_address *address = api_advertised(api, request);
        self.host = el_slice_str(address->host);
        self.port = address->port;
        response.controller_id = api->node->id;
        response.brokers = &self;
        response.broker_count = 1;
    }
    if (ask->include_cluster_authorized_operations) {
        response.cluster_authorized_operations = api_operations(api, request, EL_ACL_RESOURCE_CLUSTER,
                                                                el_slice_str(EL_ACL_CLUSTER_NAME));
    }
    request_reply(request, &el_schema_describe_cluster_response, &response);
}
