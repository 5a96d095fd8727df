/* SPDX-License-Identifier: Apache-2.0
 *
 * GroupWhy: what holds a key up, in one partition or in all.
 */
#include <api/api.h>
#include <wire/msg_ext_group_why.h>

struct why_call {
    struct api_call base;
    struct lease_why_op *ops; /* [op_count] */
    uint32_t op_count;
};

static void fill_wait(const struct lease_why_op *op, struct el_msg_ext_group_why_wait *out)
{
    out->state = el_slice_str(op->state == NULL ? "" : op->state);
    out->behind = op->behind;
    out->due_ms = op->known ? op->due_ms : -1;
    out->offset = op->known ? op->offset : -1;
    out->parked = op->parked;
    out->message = op->base.message_text[0] != 0 ? el_slice_str(op->base.message_text) : (struct el_slice){0};
    out->attempts = op->attempts;
    out->partition = op->partition;
}

static void why_finish(struct api_call *base)
{
    struct why_call *call = EL_CONTAINER(base, struct why_call, base);
    struct el_msg_ext_group_why_response response;
    el_schema_init(&el_schema_ext_group_why_response, &response);
    response.waits = api_new(base->api, base->request, &el_schema_ext_group_why_wait, call->op_count);
    if (response.waits == NULL) {
        return;
    }
    for (uint32_t i = 0; i < call->op_count && response.error == EL_KAFKA_NONE; i++) {
        const struct lease_why_op *op = &call->ops[i];
        response.error = api_share_group_error(op->base.error);
        response.message = api_error_message(op->base.error);
        if (op->base.error == 0 && (op->known || op->parked)) {
            fill_wait(op, &response.waits[response.wait_count++]);
        }
    }
    response.wait_count = response.error == EL_KAFKA_NONE ? response.wait_count : 0;
    request_reply(base->request, &el_schema_ext_group_why_response, &response);
}

void api_ext_group_why(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_group_why_request *ask = message;
    struct api_partitions of;
    int error = api_partitions(api, request, ask->topic, &ask->topic_id, ask->partition, &of);
    if (error != 0) {
        struct el_msg_ext_group_why_response response;
        el_schema_init(&el_schema_ext_group_why_response, &response);
        response.error = api_error(error, error == EVLOG_ERR_UNKNOWN_TOPIC_ID);
        response.message = api_error_message(error);
        request_reply(request, &el_schema_ext_group_why_response, &response);
        return;
    }
    struct why_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->op_count = of.count;
    call->ops = api_alloc(api, request, call->op_count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, why_finish);
    for (uint32_t i = 0; i < call->op_count; i++) {
        struct lease_why_op *op = &call->ops[i];
        op->base.group_id = ask->group;
        op->topic_id = of.topic_id;
        op->partition = of.first + (int32_t)i;
        op->key = ask->key.data == NULL ? el_slice_str("") : ask->key;
        api_call_add_lease(&call->base, &op->base, api_call_on_lease_end);
        leases_why(api->leases, op);
    }
    api_call_release(&call->base);
}
