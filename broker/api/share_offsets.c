/* SPDX-License-Identifier: Apache-2.0 */
#include <api/share_offsets.h>

static void offsets_on_group(struct lease_op *op)
{
    struct share_offsets *offsets = EL_CONTAINER(op, struct share_offsets, group.base);
    struct api_call *call = offsets->call;
    EL_ASSERT(call->pending > 0);
    offsets->error = op->error;
    if (op->error == 0 && offsets->must_be_empty && offsets->group.member_count > 0) {
        offsets->error = EVLOG_ERR_GROUP_NOT_EMPTY;
    }
    lease_op_release(op);
    for (uint32_t i = 0; offsets->error == 0 && i < offsets->op_count; i++) {
        struct lease_offsets_op *ask = &offsets->ops[i];
        if (ask->base.error != 0) {
            continue;
        }
        ask->base.group_id = offsets->group_id;
        api_call_add_lease(call, &ask->base, api_call_on_lease_end);
        leases_offsets(call->api->leases, ask);
    }
    api_call_release(call);
}

void share_offsets_start(struct share_offsets *offsets)
{
    offsets->group.base.group_id = offsets->group_id;
    api_call_add_lease(offsets->call, &offsets->group.base, offsets_on_group);
    leases_describe(offsets->call->api->leases, &offsets->group);
}

struct lease_offsets_op *share_offsets_topic(struct lease_offsets_op *at, const struct topic *topic)
{
    for (int32_t p = 0; p < topic->partition_count; p++, at++) {
        at->topic_id = topic->id;
        at->partition = p;
    }
    return at;
}

uint32_t share_offsets_partition_count(struct api *api)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < store_topic_count(api->shard); i++) {
        const struct topic *topic = store_topic_at(api->shard, i);
        count += topic->internal ? 0 : (uint32_t)topic->partition_count;
    }
    return count;
}
