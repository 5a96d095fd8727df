/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupDescribe: each group is asked of control, all at the same time.
 */
#include <api/api.h>
#include <wire/msg_share_group_describe.h>

#define ASSIGNOR "simple"

struct describe_call {
    struct api_call base;
    const struct el_msg_share_group_describe_request *ask;
    struct share_describe_op *ops; /* [group_id_count] */
};

static void describe_let_go(struct request *request)
{
    struct describe_call *call = request->user;
    for (uint32_t i = 0; i < call->ask->group_id_count; i++) {
        lease_op_release(&call->ops[i].base);
    }
}

static struct el_slice topic_name(struct describe_call *call, const struct el_uuid *id)
{
    const struct topic *topic = store_topic_by_id(call->base.api->shard, id);
    return topic == NULL ? el_slice_str("") : el_slice_of(topic->name, topic->name_len);
}

/* These functions return false without memory. */
static bool fill_member(struct describe_call *call, const struct share_member_view *from,
                        struct el_msg_share_group_describe_member *out)
{
    out->member_id = from->id;
    out->rack_id = from->rack;
    out->member_epoch = from->epoch;
    out->client_id = from->client_id;
    out->client_host = from->host;
    out->subscribed_topic_names = (struct el_slice *)(uintptr_t)from->topics; /* only read */
    out->subscribed_topic_name_count = from->topic_count;
    struct el_msg_share_group_describe_topic *topics = el_schema_new(
        &el_schema_share_group_describe_topic, &call->base.request->arena, from->assignment_count);
    out->assignment.topic_partitions = topics;
    for (uint32_t i = 0; topics != NULL && i < from->assignment_count; i++) {
        topics[i].topic_id = from->assignments[i].topic_id;
        topics[i].topic_name = topic_name(call, &from->assignments[i].topic_id);
        topics[i].partitions = (int32_t *)(uintptr_t)from->assignments[i].partitions; /* only read */
        topics[i].partition_count = from->assignments[i].count;
        out->assignment.topic_partition_count++;
    }
    return topics != NULL;
}

static bool fill_group(struct describe_call *call, const struct share_describe_op *op,
                       struct el_msg_share_group_describe_group *out)
{
    out->group_id = op->base.group_id;
    out->error_code = api_share_group_error(op->base.error);
    out->error_message = api_error_message(op->base.error);
    out->group_state = el_slice_str(op->base.error == 0 ? op->state : "Dead");
    out->assignor_name = el_slice_str(op->base.error == 0 ? ASSIGNOR : "");
    if (op->base.error != 0) {
        return true;
    }
    out->group_epoch = op->epoch;
    out->assignment_epoch = op->assignment_epoch;
    if (call->ask->include_authorized_operations) {
        out->authorized_operations = api_operations(call->base.api, call->base.request, EL_ACL_RESOURCE_GROUP,
                                                    out->group_id);
    }
    out->members = el_schema_new(&el_schema_share_group_describe_member, &call->base.request->arena, op->member_count);
    for (uint32_t i = 0; out->members != NULL && i < op->member_count; i++) {
        if (!fill_member(call, &op->members[i], &out->members[out->member_count++])) {
            return false;
        }
    }
    return out->members != NULL;
}

static void describe_finish(struct api_call *base)
{
    struct describe_call *call = EL_CONTAINER(base, struct describe_call, base);
    struct request *request = base->request;
    uint32_t count = call->ask->group_id_count;
    struct el_msg_share_group_describe_response response;
    el_schema_init(&el_schema_share_group_describe_response, &response);
    response.groups = el_schema_new(&el_schema_share_group_describe_group, &request->arena, count);
    bool filled = response.groups != NULL;
    for (uint32_t i = 0; filled && i < count; i++) {
        filled = fill_group(call, &call->ops[i], &response.groups[response.group_count++]);
    }
    if (!filled) {
        describe_let_go(request);
        api_refuse_memory(base->api, request);
        return;
    }
    request_reply_release(request, &el_schema_share_group_describe_response, &response, describe_let_go);
}

void api_share_group_describe(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_share_group_describe_request *ask = message;
    struct describe_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->ops = api_alloc(api, request, ask->group_id_count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, describe_finish);
    call->ask = ask;
    request->user = call;
    for (uint32_t i = 0; i < ask->group_id_count; i++) {
        call->ops[i].base.group_id = ask->group_ids[i];
        if (!api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, ask->group_ids[i])) {
            call->ops[i].base.error = EVLOG_ERR_GROUP_DENIED;
            continue;
        }
        api_call_add_lease(&call->base, &call->ops[i].base, api_call_on_lease);
        leases_describe(api->leases, &call->ops[i]);
    }
    api_call_release(&call->base);
}
