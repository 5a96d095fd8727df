/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata: the broker, the topics, and who leads their partitions, which is this node. Makes topics that are asked for
 * by name and missing, where client and configuration allow it. Source: docs/protocol.md, Metadata and topics.
 *
 *   1. without a list: every topic but evlog's own; __consumer_offsets, which tools know, is among them
 *   2. with one: each entry by name or id; a missing name becomes a creation
 *   3. when all creations are done, every entry is looked up (again) and the answer is built
 */
#include <api/api.h>
#include <wire/msg_metadata.h>

#define VERSION_LIST_NULL 1  /* from here on null is all topics and an empty list none */
#define VERSION_TOPIC_IDS 12 /* from here on topics may be asked by id */

struct metadata_entry {
    struct topic_op *op; /* creation, or NULL */
    int error;           /* EVLOG_ERR_ found before the lookup, else 0 */
    bool by_id;
};

struct metadata_call {
    struct api_call base;
    const struct el_msg_metadata_request *ask;
    struct metadata_entry *entries; /* [ask->topic_count] */
    struct topic_config no_overrides;
    bool all;
};

/* --- the answer --------------------------------------------------------------------------------------------------- */

static int fill_partitions(struct api *api, struct request *request, const struct topic *topic,
                           struct el_msg_metadata_topic *out)
{
    uint32_t count = (uint32_t)topic->partition_count;
    /* All partitions have the same replica, so that they share one array of one node. */
    int32_t *self = el_arena_alloc(&request->arena, sizeof *self);
    out->partitions = el_schema_new(&el_schema_metadata_partition, &request->arena, count);
    if (self == NULL || out->partitions == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *self = api->node->id;
    out->partition_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct el_msg_metadata_partition *partition = &out->partitions[i];
        partition->partition_index = (int32_t)i;
        partition->leader_id = api->node->id;
        partition->leader_epoch = store_leader_epoch(store_shard_store(api->shard));
        partition->replica_nodes = partition->isr_nodes = self;
        partition->replica_node_count = partition->isr_node_count = 1;
    }
    return 0;
}

static int fill_topic(struct metadata_call *call, const struct topic *topic, struct el_msg_metadata_topic *out)
{
    out->error_code = EL_KAFKA_NONE;
    out->name = el_slice_of(topic->name, topic->name_len);
    out->topic_id = topic->id;
    out->is_internal = topic->internal;
    if (call->ask->include_topic_authorized_operations) {
        out->topic_authorized_operations = api_operations(call->base.api, call->base.request, EL_ACL_RESOURCE_TOPIC,
                                                          out->name);
    }
    return fill_partitions(call->base.api, call->base.request, topic, out);
}

static int fill_entry(struct metadata_call *call, uint32_t index, struct el_msg_metadata_topic *out)
{
    struct api *api = call->base.api;
    const struct el_msg_metadata_request_topic *ask = &call->ask->topics[index];
    const struct metadata_entry *entry = &call->entries[index];
    const struct topic *topic = NULL;
    int error = entry->error;
    if (error == 0) {
        topic = api_topic(api, call->base.request, ask->name, entry->by_id ? &ask->topic_id : NULL, &error);
        if (entry->by_id && error == EVLOG_ERR_TOPIC_DENIED) {
            error = EVLOG_ERR_UNKNOWN_TOPIC_ID; /* an id tells no name to who may not know it */
        }
        if (error == EVLOG_ERR_UNKNOWN_TOPIC && entry->op != NULL && entry->op->base.error != 0) {
            error = entry->op->base.error;
        }
    }
    if (error == 0) {
        return fill_topic(call, topic, out);
    }
    api_count_refusal(api, error);
    /* Made by somebody else and not known on this shard yet: clients ask again. */
    out->error_code = error == EVLOG_ERR_TOPIC_EXISTS ? EL_KAFKA_LEADER_NOT_AVAILABLE : api_error(error, entry->by_id);
    out->topic_id = ask->topic_id;
    out->name = entry->by_id ? (struct el_slice){0} : ask->name;
    return 0;
}

/* evlog's own; the topic of consumer groups is shown, as Kafka does. */
static bool hidden(const struct topic *topic)
{
    return topic->internal && !el_slice_eq(el_slice_of(topic->name, topic->name_len), el_slice_str(GROUPS_TOPIC));
}

static int fill_topics(struct metadata_call *call, struct el_msg_metadata_response *response)
{
    struct api *api = call->base.api;
    uint32_t count = call->all ? store_topic_count(api->shard) : call->ask->topic_count;
    response->topics = el_schema_new(&el_schema_metadata_topic, &call->base.request->arena, count);
    if (response->topics == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct el_msg_metadata_topic *out = &response->topics[response->topic_count];
        const struct topic *topic = call->all ? api_topic_shown(api, call->base.request, i) : NULL;
        if (call->all && (topic == NULL || hidden(topic))) {
            continue;
        }
        int error = call->all ? fill_topic(call, topic, out) : fill_entry(call, i, out);
        if (error != 0) {
            return error;
        }
        response->topic_count++;
    }
    return 0;
}

static void metadata_finish(struct api_call *base)
{
    struct metadata_call *call = EL_CONTAINER(base, struct metadata_call, base);
    struct api *api = base->api;
    struct el_msg_metadata_response response;
    struct el_msg_metadata_broker self;
    el_schema_init(&el_schema_metadata_response, &response);
    el_schema_init(&el_schema_metadata_broker, &self);
    self.node_id = api->node->id;
    const struct config_address *address = api_advertised(api, base->request);
    self.host = el_slice_str(address->host);
    self.port = address->port;
    response.brokers = &self;
    response.broker_count = 1;
    response.cluster_id = el_slice_str(store_cluster_id(store_shard_store(api->shard)));
    response.controller_id = api->node->id;
    if (call->ask->include_cluster_authorized_operations) {
        response.cluster_authorized_operations = api_operations(api, base->request, EL_ACL_RESOURCE_CLUSTER,
                                                                el_slice_str(EL_ACL_CLUSTER_NAME));
    }
    if (fill_topics(call, &response) != 0) {
        metrics_add(api->metrics, METRIC_REFUSED_MEMORY, 1);
        request_close(base->request, "no memory left for the answer: raise memory.max");
        return;
    }
    request_reply(base->request, &el_schema_metadata_response, &response);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

/* A name may be made by asking for it. */
static bool may_create(const struct metadata_call *call)
{
    return call->base.api->node->auto_create && !call->base.request->unrecorded &&
           (call->base.request->api_version < 4 || call->ask->allow_auto_topic_creation);
}

/* The right to make any topic, or this one. */
static bool right_to_create(struct metadata_call *call, struct el_slice name)
{
    struct api *api = call->base.api;
    const struct request *request = call->base.request;
    return api_could(api, request, EL_ACL_OP_CREATE, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME)) ||
           api_may(api, request, EL_ACL_OP_CREATE, EL_ACL_RESOURCE_TOPIC, name);
}

static int entry_create(struct metadata_call *call, struct metadata_entry *entry, struct el_slice name)
{
    struct api *api = call->base.api;
    struct topic_op *op = el_arena_zalloc(&call->base.request->arena, sizeof *op);
    if (op == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    op->verb = TOPIC_CREATE;
    op->name = name;
    op->partition_count = api->node->partition_count;
    op->config = &call->no_overrides;
    entry->op = op;
    api_call_add(&call->base, &op->base);
    store_topic_change(api->shard, op);
    return 0;
}

static void entry_ask(struct metadata_call *call, uint32_t index)
{
    const struct el_msg_metadata_request_topic *ask = &call->ask->topics[index];
    struct metadata_entry *entry = &call->entries[index];
    int version = call->base.request->api_version;
    bool has_id = !el_uuid_is_zero(&ask->topic_id);
    if (has_id && (version < VERSION_TOPIC_IDS || ask->name.data != NULL)) {
        entry->error = EVLOG_ERR_INVALID_REQUEST;
        return;
    }
    entry->by_id = has_id;
    if (has_id) {
        return;
    }
    int error;
    if (api_topic(call->base.api, call->base.request, ask->name, NULL, &error) != NULL) {
        return;
    }
    if (!api_name_valid(ask->name)) {
        entry->error = EVLOG_ERR_INVALID_TOPIC;
    } else if (error == EVLOG_ERR_TOPIC_DENIED) {
        entry->error = error;
    } else if (may_create(call) && !api_name_reserved(ask->name)) {
        entry->error = right_to_create(call, ask->name) ? entry_create(call, entry, ask->name) : EVLOG_ERR_TOPIC_DENIED;
    }
}

void api_metadata(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_metadata_request *ask = message;
    struct metadata_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, metadata_finish);
    call->ask = ask;
    topic_config_init(&call->no_overrides);
    call->all = request->api_version < VERSION_LIST_NULL ? ask->topic_count == 0 : ask->topics == NULL;
    call->entries = api_alloc(api, request, ask->topic_count, sizeof *call->entries);
    if (call->entries == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        entry_ask(call, i);
    }
    api_call_release(&call->base);
}
