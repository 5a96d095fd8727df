/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteShareGroupOffsets: a group without members forgets topics, and begins in them as a new one would.
 */
#include <api/share_offsets.h>
#include <wire/msg_delete_share_group_offsets.h>

struct delete_call {
    struct api_call base;
    const struct el_msg_delete_share_group_offsets_request *ask;
    struct share_offsets offsets; /* the partitions of the topics that exist, in the order of the request */
    const struct topic **topics;  /* [topic_count] while the ops are made */
    int32_t *partition_counts;    /* [topic_count] ops of each */
    int *errors;                  /* [topic_count] EVLOG_ERR_ of those that are not asked for */
};

/* What became of a topic: its ops begin at op. 0 or EVLOG_ERR_. */
static int result_of(const struct lease_offsets_op *op, int32_t count)
{
    bool existed = false;
    for (int32_t i = 0; i < count; i++) {
        if (op[i].base.error != 0) {
            return op[i].base.error;
        }
        existed = existed || op[i].exists;
    }
    return existed ? 0 : EVLOG_ERR_UNKNOWN_TOPIC;
}

static void delete_finish(struct api_call *base)
{
    struct delete_call *call = EL_CONTAINER(base, struct delete_call, base);
    const struct el_msg_delete_share_group_offsets_request *ask = call->ask;
    const struct lease_offsets_op *op = call->offsets.ops;
    uint32_t count = call->offsets.error == 0 ? ask->topic_count : 0;
    struct el_msg_delete_share_group_offsets_response response;
    el_schema_init(&el_schema_delete_share_group_offsets_response, &response);
    response.error_code = api_share_group_error(call->offsets.error);
    response.error_message = api_error_message(call->offsets.error);
    response.responses = api_new(base->api, base->request, &el_schema_delete_share_group_offsets_topic_result, count);
    if (response.responses == NULL) {
        return;
    }
    for (uint32_t t = 0; t < count; t++) {
        struct el_msg_delete_share_group_offsets_topic_result *out = &response.responses[response.response_count++];
        int error = call->errors[t] != 0 ? call->errors[t] : result_of(op, call->partition_counts[t]);
        out->topic_name = ask->topics[t].topic_name;
        if (call->partition_counts[t] > 0) {
            out->topic_id = op->topic_id;
        }
        out->error_code = api_share_group_error(error);
        out->error_message = error == EVLOG_ERR_UNKNOWN_TOPIC && call->partition_counts[t] > 0
                                 ? el_slice_str("the group knows nothing of the topic")
                                 : api_error_message(error);
        op += call->partition_counts[t];
    }
    EL_ASSERT(count == 0 || op == call->offsets.ops + call->offsets.op_count);
    request_reply(base->request, &el_schema_delete_share_group_offsets_response, &response);
}

void api_delete_share_group_offsets(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_delete_share_group_offsets_request *ask = message;
    struct delete_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->topics = api_alloc(api, request, ask->topic_count, sizeof *call->topics);
    if (call->topics == NULL) {
        return;
    }
    call->partition_counts = api_alloc(api, request, ask->topic_count, sizeof *call->partition_counts);
    if (call->partition_counts == NULL) {
        return;
    }
    call->errors = api_alloc(api, request, ask->topic_count, sizeof *call->errors);
    if (call->errors == NULL) {
        return;
    }
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        call->topics[t] = api_topic(api, request, ask->topics[t].topic_name, NULL, &call->errors[t]);
        call->partition_counts[t] = call->topics[t] == NULL ? 0 : call->topics[t]->partition_count;
        call->offsets.op_count += (uint32_t)call->partition_counts[t];
    }
    struct lease_offsets_op *op = api_alloc(api, request, call->offsets.op_count, sizeof *op);
    if (op == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, delete_finish);
    call->ask = ask;
    call->offsets.call = &call->base;
    call->offsets.group_id = ask->group_id;
    call->offsets.must_be_empty = true;
    call->offsets.ops = op;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        op = call->topics[t] == NULL ? op : share_offsets_topic(op, call->topics[t]);
    }
    EL_ASSERT(op == call->offsets.ops + call->offsets.op_count);
    for (uint32_t i = 0; i < call->offsets.op_count; i++) {
        call->offsets.ops[i].verb = LEASE_OFFSETS_DELETE;
    }
    share_offsets_start(&call->offsets);
    api_call_release(&call->base);
}
