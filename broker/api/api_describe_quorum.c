/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeQuorum: who keeps the cluster's metadata. Clients ask for Kafka's topic of it, __cluster_metadata; what
 * stands for it here is __evlog_meta, kept by one voter, this node.
 */
#include <api/api.h>
#include <wire/msg_describe_quorum.h>

#define ASKED_TOPIC "__cluster_metadata"
#define OWN_TOPIC "__evlog_meta"

struct quorum_call {
    struct api_call base;
    const struct el_msg_describe_quorum_request *ask;
    struct stat_op op;
};

static void fill_partition(struct quorum_call *call, bool known, int32_t partition,
                           struct el_msg_describe_quorum_replica *voter, struct el_msg_describe_quorum_partition *out)
{
    out->partition_index = partition;
    out->error_message = (struct el_slice){0};
    if (!known || partition != 0 || call->op.base.error != 0) {
        out->error_code = EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION;
        out->error_message = el_slice_str("a quorum keeps partition 0 of " ASKED_TOPIC " only");
        out->leader_id = -1;
        api_count_refusal(call->base.api, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    out->leader_id = call->base.api->node->id;
    out->leader_epoch = store_leader_epoch(store_shard_store(call->base.api->shard));
    out->high_watermark = call->op.high_watermark;
    out->current_voters = voter;
    out->current_voter_count = 1;
}

/* returns false when the request has been refused, for want of memory */
static bool fill_topic(struct quorum_call *call, const struct el_msg_describe_quorum_request_topic *ask,
                       struct el_msg_describe_quorum_replica *voter, struct el_msg_describe_quorum_topic *out)
{
    bool known = el_slice_eq(ask->topic_name, el_slice_str(ASKED_TOPIC));
    out->topic_name = ask->topic_name;
    out->partitions = api_new(call->base.api, call->base.request, &el_schema_describe_quorum_partition,
                              ask->partition_count);
    if (out->partitions == NULL) {
        return false;
    }
    out->partition_count = ask->partition_count;
    for (uint32_t i = 0; i < ask->partition_count; i++) {
        fill_partition(call, known, ask->partitions[i].partition_index, voter, &out->partitions[i]);
    }
    return true;
}

/* returns how many */
static uint32_t fill_listeners(const struct api_node *node,
                               struct el_msg_describe_quorum_listener listeners[CONFIG_LISTENERS_MAX])
{
    const struct config_listeners *table = &node->config->listener_table;
    for (uint32_t i = 0; i < table->count; i++) {
        el_schema_init(&el_schema_describe_quorum_listener, &listeners[i]);
        listeners[i].name = el_slice_str(table->list[i].name);
        listeners[i].host = el_slice_str(node->advertised[i].host);
        listeners[i].port = node->advertised[i].port;
    }
    return table->count;
}

static void quorum_finish(struct api_call *base)
{
    struct quorum_call *call = EL_CONTAINER(base, struct quorum_call, base);
    const struct api_node *node = base->api->node;
    struct el_msg_describe_quorum_response response;
    struct el_msg_describe_quorum_replica voter;
    struct el_msg_describe_quorum_node self;
    struct el_msg_describe_quorum_listener listeners[CONFIG_LISTENERS_MAX];
    el_schema_init(&el_schema_describe_quorum_response, &response);
    el_schema_init(&el_schema_describe_quorum_replica, &voter);
    el_schema_init(&el_schema_describe_quorum_node, &self);
    response.error_message = (struct el_slice){0};
    voter.replica_id = node->id;
    voter.log_end_offset = call->op.high_watermark;
    voter.last_fetch_timestamp = (int64_t)(io_wall(base->api->io) / 1000000u); /* Kafka's leader says now, too */
    voter.last_caught_up_timestamp = voter.last_fetch_timestamp;
    response.topics = api_new(base->api, base->request, &el_schema_describe_quorum_topic, call->ask->topic_count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = call->ask->topic_count;
    for (uint32_t i = 0; i < response.topic_count; i++) {
        if (!fill_topic(call, &call->ask->topics[i], &voter, &response.topics[i])) {
            return;
        }
    }
    if (base->request->api_version >= 2) {
        self.node_id = node->id;
        self.listeners = listeners;
        self.listener_count = fill_listeners(node, listeners);
        response.nodes = &self;
        response.node_count = 1;
    }
    request_reply(base->request, &el_schema_describe_quorum_response, &response);
}

void api_describe_quorum(struct api *api, struct request *request, const void *message)
{
    struct quorum_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, quorum_finish);
    call->ask = message;
    const struct topic *topic = store_topic_by_name(api->shard, el_slice_str(OWN_TOPIC));
    if (topic == NULL) {
        call->op.base.error = EVLOG_ERR_UNKNOWN_TOPIC;
    } else {
        call->op.topic_id = topic->id;
        api_call_add(&call->base, &call->op.base);
        store_stat(api->shard, &call->op);
    }
    api_call_release(&call->base);
}
