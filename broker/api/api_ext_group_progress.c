/* SPDX-License-Identifier: Apache-2.0
 *
 * GroupProgress: events of a work group by state, for each partition that it has read of.
 */
#include <api/share_offsets.h>
#include <wire/msg_ext_group_progress.h>

struct progress_call {
    struct api_call base;
    struct share_offsets offsets; /* all partitions of the topics, topic by topic */
};

static void fill_partition(const struct lease_offsets_op *op, struct el_msg_ext_group_progress_partition *out)
{
    out->partition = op->partition;
    out->error = api_share_group_error(op->base.error);
    if (op->base.error != 0) {
        return;
    }
    out->start = op->start;
    out->lag = op->lag;
    out->ready = op->ready;
    out->leased = op->leased;
    out->waiting = op->waiting;
    out->backoff = op->backoff;
    out->delayed = op->delayed;
    out->dying = op->dying;
    out->halted_at = op->halted_at;
}

/* returns false without memory */
static bool fill(struct progress_call *call, struct el_msg_ext_group_progress_response *response)
{
    struct el_arena *arena = &call->base.request->arena;
    struct el_msg_ext_group_progress_topic *topic = NULL;
    uint32_t count = call->offsets.error == 0 ? call->offsets.op_count : 0;
    response->error = api_share_group_error(call->offsets.error);
    response->message = api_error_message(call->offsets.error);
    response->topics = el_schema_new(&el_schema_ext_group_progress_topic, arena, count);
    for (uint32_t i = 0; response->topics != NULL && i < count; i++) {
        const struct lease_offsets_op *op = &call->offsets.ops[i];
        const struct topic *known = store_topic_by_id(call->base.api->shard, &op->topic_id);
        if (known == NULL || (op->base.error == 0 && !op->exists) ||
            !api_could(call->base.api, call->base.request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TOPIC,
                       el_slice_of(known->name, known->name_len))) {
            continue;
        }
        if (topic == NULL || !el_uuid_eq(&topic->topic_id, &op->topic_id)) {
            topic = &response->topics[response->topic_count++];
            topic->topic = el_slice_of(known->name, known->name_len);
            topic->topic_id = op->topic_id;
            topic->partitions = el_schema_new(&el_schema_ext_group_progress_partition, arena,
                                              (uint32_t)known->partition_count);
            if (topic->partitions == NULL) {
                return false;
            }
        }
        fill_partition(op, &topic->partitions[topic->partition_count++]);
    }
    return response->topics != NULL;
}

static void progress_finish(struct api_call *base)
{
    struct progress_call *call = EL_CONTAINER(base, struct progress_call, base);
    struct el_msg_ext_group_progress_response response;
    el_schema_init(&el_schema_ext_group_progress_response, &response);
    if (!fill(call, &response)) {
        api_refuse_memory(base->api, base->request);
        return;
    }
    request_reply(base->request, &el_schema_ext_group_progress_response, &response);
}

static void refuse(struct request *request, int error)
{
    struct el_msg_ext_group_progress_response response;
    el_schema_init(&el_schema_ext_group_progress_response, &response);
    response.error = api_error(error, false);
    response.message = api_error_message(error);
    request_reply(request, &el_schema_ext_group_progress_response, &response);
}

/* The ops, for topics by name or for all.
 * returns 0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_TOPIC_DENIED | EVLOG_ERR_NO_MEMORY */
static int take(struct progress_call *call, const struct el_msg_ext_group_progress_request *ask)
{
    struct api *api = call->base.api;
    uint32_t count = ask->topics == NULL ? share_offsets_partition_count(api) : 0;
    for (uint32_t i = 0; ask->topics != NULL && i < ask->topic_count; i++) {
        int error;
        const struct topic *topic = api_topic(api, call->base.request, ask->topics[i], NULL, &error);
        if (topic == NULL) {
            return error;
        }
        count += (uint32_t)topic->partition_count;
    }
    struct lease_offsets_op *op = el_arena_zalloc(&call->base.request->arena, EL_MAX(count, 1u) * sizeof *op);
    if (op == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    call->offsets.ops = op;
    call->offsets.op_count = count;
    for (uint32_t i = 0; ask->topics == NULL && i < store_topic_count(api->shard); i++) {
        const struct topic *topic = store_topic_at(api->shard, i);
        op = topic->internal ? op : share_offsets_topic(op, topic);
    }
    for (uint32_t i = 0; i < ask->topic_count; i++) {
        op = share_offsets_topic(op, store_topic_by_name(api->shard, ask->topics[i])); /* it was found above */
    }
    EL_ASSERT(op == call->offsets.ops + count);
    return 0;
}

void api_ext_group_progress(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_group_progress_request *ask = message;
    struct progress_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, progress_finish);
    call->offsets.call = &call->base;
    call->offsets.group_id = ask->group;
    int error = take(call, ask);
    if (error == EVLOG_ERR_NO_MEMORY) {
        api_refuse_memory(api, request);
    } else if (error != 0) {
        refuse(request, error);
    } else {
        share_offsets_start(&call->offsets);
        api_call_release(&call->base);
    }
}
