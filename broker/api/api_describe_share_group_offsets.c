/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeShareGroupOffsets: where groups stand in the partitions named, or in all that they have read of. A partition
 * that a group has not read of has start offset -1.
 */
#include <api/share_offsets.h>
#include <wire/msg_describe_share_group_offsets.h>

struct describe_call {
    struct api_call base;
    const struct el_msg_describe_share_group_offsets_request *ask;
    struct share_offsets *groups; /* [group_count] as asked */
};

static void fill_partition(struct api *api, const struct lease_offsets_op *op,
                           struct el_msg_describe_share_group_offsets_partition_result *out)
{
    out->partition_index = op->partition;
    out->start_offset = op->base.error == 0 && op->exists ? op->start : -1;
    out->lag = op->base.error == 0 && op->exists ? op->lag : -1;
    out->leader_epoch = op->base.error == 0 && op->exists ? store_leader_epoch(store_shard_store(api->shard)) : 0;
    out->error_code = api_share_group_error(op->base.error);
    out->error_message = api_error_message(op->base.error);
}

/* The partitions of a topic: op is the next one of the group, in the order in which they were asked. These functions
 * return false without memory. */
static bool fill_named(struct describe_call *call, const struct el_msg_describe_share_group_offsets_topic *from,
                       const struct lease_offsets_op **op, struct el_msg_describe_share_group_offsets_topic_result *out)
{
    struct api *api = call->base.api;
    int error;
    const struct topic *topic = api_topic(api, call->base.request, from->topic_name, NULL, &error);
    out->topic_name = from->topic_name;
    out->partitions = el_schema_new(&el_schema_describe_share_group_offsets_partition_result,
                                    &call->base.request->arena, from->partition_count);
    for (uint32_t i = 0; out->partitions != NULL && i < from->partition_count; i++, (*op)++) {
        struct el_msg_describe_share_group_offsets_partition_result *to = &out->partitions[out->partition_count++];
        int code = api_partition_error(topic, from->partitions[i], error);
        if (code == 0) {
            out->topic_id = topic->id;
            fill_partition(api, *op, to);
        } else {
            to->partition_index = from->partitions[i];
            to->start_offset = -1;
            to->error_code = api_error(code, false);
            to->error_message = api_error_message(code);
        }
    }
    return out->partitions != NULL;
}

static bool fill_known(struct describe_call *call, const struct share_offsets *offsets,
                       struct el_msg_describe_share_group_offsets_group_result *out)
{
    struct api *api = call->base.api;
    struct el_arena *arena = &call->base.request->arena;
    struct el_msg_describe_share_group_offsets_topic_result *topic = NULL;
    out->topics = el_schema_new(&el_schema_describe_share_group_offsets_topic_result, arena, offsets->op_count);
    for (uint32_t i = 0; out->topics != NULL && i < offsets->op_count; i++) {
        const struct lease_offsets_op *op = &offsets->ops[i];
        const struct topic *known = store_topic_by_id(api->shard, &op->topic_id);
        if (op->base.error != 0 || !op->exists || known == NULL ||
            !api_could(api, call->base.request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TOPIC,
                       el_slice_of(known->name, known->name_len))) {
            continue;
        }
        if (topic == NULL || !el_uuid_eq(&topic->topic_id, &op->topic_id)) {
            topic = &out->topics[out->topic_count++];
            topic->topic_name = el_slice_of(known->name, known->name_len);
            topic->topic_id = op->topic_id;
            topic->partitions = el_schema_new(&el_schema_describe_share_group_offsets_partition_result, arena,
                                              (uint32_t)known->partition_count);
            if (topic->partitions == NULL) {
                return false;
            }
        }
        fill_partition(api, op, &topic->partitions[topic->partition_count++]);
    }
    return out->topics != NULL;
}

static bool fill_group(struct describe_call *call, uint32_t index,
                       struct el_msg_describe_share_group_offsets_group_result *out)
{
    const struct el_msg_describe_share_group_offsets_group *ask = &call->ask->groups[index];
    const struct share_offsets *offsets = &call->groups[index];
    const struct lease_offsets_op *op = offsets->ops;
    out->group_id = ask->group_id;
    out->error_code = api_share_group_error(offsets->error);
    out->error_message = api_error_message(offsets->error);
    if (offsets->error != 0) {
        return true;
    }
    if (ask->topics == NULL) {
        return fill_known(call, offsets, out);
    }
    out->topics = el_schema_new(&el_schema_describe_share_group_offsets_topic_result, &call->base.request->arena,
                                ask->topic_count);
    for (uint32_t t = 0; out->topics != NULL && t < ask->topic_count; t++) {
        if (!fill_named(call, &ask->topics[t], &op, &out->topics[out->topic_count++])) {
            return false;
        }
    }
    return out->topics != NULL;
}

static void describe_finish(struct api_call *base)
{
    struct describe_call *call = EL_CONTAINER(base, struct describe_call, base);
    struct el_msg_describe_share_group_offsets_response response;
    uint32_t count = call->ask->group_count;
    el_schema_init(&el_schema_describe_share_group_offsets_response, &response);
    response.groups = el_schema_new(&el_schema_describe_share_group_offsets_group_result, &base->request->arena, count);
    bool filled = response.groups != NULL;
    for (uint32_t i = 0; filled && i < count; i++) {
        filled = fill_group(call, i, &response.groups[response.group_count++]);
    }
    if (!filled) {
        api_refuse_memory(base->api, base->request);
        return;
    }
    request_reply(base->request, &el_schema_describe_share_group_offsets_response, &response);
}

/* What is asked of one group; an op for each partition named, whether it exists or not. returns false without memory */
static bool take_group(struct describe_call *call, uint32_t index)
{
    struct api *api = call->base.api;
    const struct el_msg_describe_share_group_offsets_group *ask = &call->ask->groups[index];
    struct share_offsets *offsets = &call->groups[index];
    uint32_t count = ask->topics == NULL ? share_offsets_partition_count(api) : 0;
    for (uint32_t t = 0; ask->topics != NULL && t < ask->topic_count; t++) {
        count += ask->topics[t].partition_count;
    }
    offsets->call = &call->base;
    offsets->group_id = ask->group_id;
    offsets->op_count = count;
    offsets->ops = el_arena_zalloc(&call->base.request->arena, EL_MAX(count, 1u) * sizeof *offsets->ops);
    struct lease_offsets_op *op = offsets->ops;
    for (uint32_t i = 0; op != NULL && ask->topics == NULL && i < store_topic_count(api->shard); i++) {
        const struct topic *topic = store_topic_at(api->shard, i);
        op = topic->internal ? op : share_offsets_topic(op, topic);
    }
    for (uint32_t t = 0; op != NULL && t < ask->topic_count; t++) {
        int error;
        const struct topic *topic = api_topic(api, call->base.request, ask->topics[t].topic_name, NULL, &error);
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++, op++) {
            op->topic_id = topic == NULL ? (struct el_uuid){{0}} : topic->id;
            op->partition = ask->topics[t].partitions[p];
            op->base.error = api_partition_error(topic, op->partition, error);
        }
    }
    EL_ASSERT(op == NULL || op == offsets->ops + count);
    return offsets->ops != NULL;
}

void api_describe_share_group_offsets(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_share_group_offsets_request *ask = message;
    struct describe_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->groups = api_alloc(api, request, ask->group_count, sizeof *call->groups);
    if (call->groups == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, describe_finish);
    call->ask = ask;
    for (uint32_t i = 0; i < ask->group_count; i++) {
        if (!take_group(call, i)) {
            api_refuse_memory(api, request);
            return;
        }
    }
    for (uint32_t i = 0; i < ask->group_count; i++) {
        if (!api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, ask->groups[i].group_id)) {
            call->groups[i].error = EVLOG_ERR_GROUP_DENIED;
            continue;
        }
        share_offsets_start(&call->groups[i]);
    }
    api_call_release(&call->base);
}
