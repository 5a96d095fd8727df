/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterShareGroupOffsets: a group without members goes on at other offsets; what lies before them is finished, what
 * lies behind is not.
 */
#include <api/share_offsets.h>
#include <wire/msg_alter_share_group_offsets.h>

struct alter_call {
    struct api_call base;
    const struct el_msg_alter_share_group_offsets_request *ask;
    struct share_offsets offsets; /* an op for each partition of the request that exists, in its order */
};

/* What is wrong with a partition of the request: 0 or EVLOG_ERR_. */
static int fault_of(const struct topic *topic, int error, const struct el_msg_alter_share_group_offsets_partition *from)
{
    error = api_partition_error(topic, from->partition_index, error);
    return error == 0 && from->start_offset < 0 ? EVLOG_ERR_INVALID_REQUEST : error;
}

static bool fill(struct alter_call *call, struct el_msg_alter_share_group_offsets_response *response)
{
    const struct el_msg_alter_share_group_offsets_request *ask = call->ask;
    struct el_arena *arena = &call->base.request->arena;
    const struct lease_offsets_op *op = call->offsets.ops;
    response->error_code = api_share_group_error(call->offsets.error);
    response->error_message = api_error_message(call->offsets.error);
    if (call->offsets.error != 0) {
        return true;
    }
    response->responses = el_schema_new(&el_schema_alter_share_group_offsets_topic_result, arena, ask->topic_count);
    for (uint32_t t = 0; response->responses != NULL && t < ask->topic_count; t++) {
        const struct el_msg_alter_share_group_offsets_topic *from = &ask->topics[t];
        struct el_msg_alter_share_group_offsets_topic_result *out = &response->responses[response->response_count++];
        int error;
        const struct topic *topic = api_topic(call->base.api, call->base.request, from->topic_name, NULL, &error);
        out->topic_name = from->topic_name;
        out->topic_id = topic == NULL ? (struct el_uuid){{0}} : topic->id;
        out->partitions = el_schema_new(&el_schema_alter_share_group_offsets_partition_result, arena,
                                        from->partition_count);
        if (out->partitions == NULL) {
            return false;
        }
        for (uint32_t p = 0; p < from->partition_count; p++, op++) {
            struct el_msg_alter_share_group_offsets_partition_result *to = &out->partitions[out->partition_count++];
            to->partition_index = from->partitions[p].partition_index;
            to->error_code = api_share_group_error(op->base.error);
            to->error_message = api_error_message(op->base.error);
        }
    }
    EL_ASSERT(response->responses == NULL || op == call->offsets.ops + call->offsets.op_count);
    return response->responses != NULL;
}

static void alter_finish(struct api_call *base)
{
    struct alter_call *call = EL_CONTAINER(base, struct alter_call, base);
    struct el_msg_alter_share_group_offsets_response response;
    el_schema_init(&el_schema_alter_share_group_offsets_response, &response);
    if (!fill(call, &response)) {
        api_refuse_memory(base->api, base->request);
        return;
    }
    request_reply(base->request, &el_schema_alter_share_group_offsets_response, &response);
}

void api_alter_share_group_offsets(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_alter_share_group_offsets_request *ask = message;
    struct alter_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        call->offsets.op_count += ask->topics[t].partition_count;
    }
    struct lease_offsets_op *op = api_alloc(api, request, call->offsets.op_count, sizeof *op);
    if (op == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, alter_finish);
    call->ask = ask;
    call->offsets.call = &call->base;
    call->offsets.group_id = ask->group_id;
    call->offsets.must_be_empty = true;
    call->offsets.ops = op;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        int error;
        const struct topic *topic = api_topic(api, request, ask->topics[t].topic_name, NULL, &error);
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++, op++) {
            const struct el_msg_alter_share_group_offsets_partition *from = &ask->topics[t].partitions[p];
            op->base.error = fault_of(topic, error, from);
            op->verb = LEASE_OFFSETS_ALTER;
            op->topic_id = topic == NULL ? (struct el_uuid){{0}} : topic->id;
            op->partition = from->partition_index;
            op->offset = from->start_offset;
        }
    }
    EL_ASSERT(op == call->offsets.ops + call->offsets.op_count);
    share_offsets_start(&call->offsets);
    api_call_release(&call->base);
}
