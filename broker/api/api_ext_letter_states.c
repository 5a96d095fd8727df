/* SPDX-License-Identifier: Apache-2.0
 *
 * LetterStates: which dead letters of a partition were redriven or dropped; all others are open.
 */
#include <api/api.h>
#include <wire/msg_ext_letter_states.h>

struct states_call {
    struct api_call base;
    struct lease_letters_op op;
};

static void refuse(struct request *request, int error)
{
    struct el_msg_ext_letter_states_response response;
    el_schema_init(&el_schema_ext_letter_states_response, &response);
    response.error = api_share_group_error(error);
    response.message = api_error_message(error);
    request_reply(request, &el_schema_ext_letter_states_response, &response);
}

static void states_finish(struct api_call *base)
{
    struct states_call *call = EL_CONTAINER(base, struct states_call, base);
    struct lease_letters_op *op = &call->op;
    struct el_msg_ext_letter_states_response response;
    if (op->base.error != 0) {
        refuse(base->request, op->base.error);
        lease_op_release(&op->base);
        return;
    }
    el_schema_init(&el_schema_ext_letter_states_response, &response);
    response.ranges = api_new(base->api, base->request, &el_schema_ext_letter_states_range, op->range_count);
    for (uint32_t i = 0; response.ranges != NULL && i < op->range_count; i++) {
        struct el_msg_ext_letter_states_range *range = &response.ranges[response.range_count++];
        range->first = op->ranges[i].first;
        range->last = op->ranges[i].last;
        range->state = el_slice_str(op->ranges[i].state == LEASE_LETTER_DROPPED ? "dropped" : "redriven");
    }
    if (response.ranges != NULL) {
        response.end = op->end;
        request_reply(base->request, &el_schema_ext_letter_states_response, &response);
    }
    lease_op_release(&op->base);
}

void api_ext_letter_states(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_letter_states_request *ask = message;
    int error;
    const struct topic *topic = api_topic(api, request, ask->topic, NULL, &error);
    int64_t last = ask->last == -1 ? INT64_MAX - 1 : ask->last;
    error = api_partition_error(topic, ask->partition, error);
    if (error != 0) {
        refuse(request, error);
        return;
    }
    if (ask->first < 0 || last < ask->first || last == INT64_MAX) {
        refuse(request, EVLOG_ERR_ARGUMENT);
        return;
    }
    struct states_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->op.base.group_id = ask->group;
    call->op.verb = LEASE_LETTERS_GET;
    call->op.topic_id = topic->id;
    call->op.partition = ask->partition;
    call->op.first = ask->first;
    call->op.last = last;
    api_call_init(&call->base, api, request, states_finish);
    api_call_add_lease(&call->base, &call->op.base, api_call_on_lease);
    leases_letters(api->leases, &call->op);
    api_call_release(&call->base);
}
