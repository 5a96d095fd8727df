/* SPDX-License-Identifier: Apache-2.0
 *
 * ReleaseKey: a parked key, or a halted partition, goes on; in one partition, or wherever it is.
 */
#include <api/api.h>
#include <wire/msg_ext_release_key.h>

struct release_call {
    struct api_call base;
    struct lease_release_key_op *ops; /* [op_count] */
    uint32_t op_count;
};

static void release_finish(struct api_call *base)
{
    struct release_call *call = EL_CONTAINER(base, struct release_call, base);
    struct el_msg_ext_release_key_response response;
    bool released = false;
    int error = EVLOG_ERR_NOT_FOUND;
    EL_ASSERT(call->op_count > 0);
    el_schema_init(&el_schema_ext_release_key_response, &response);
    for (uint32_t i = 0; i < call->op_count; i++) {
        if (call->ops[i].base.error == 0 && call->ops[i].ask && !released) {
            response.token = call->ops[i].token;
            response.partition = call->ops[i].partition;
        }
        released = released || call->ops[i].base.error == 0;
        if (call->ops[i].base.error != 0 && error == EVLOG_ERR_NOT_FOUND) {
            error = call->ops[i].base.error;
        }
    }
    if (error == EVLOG_ERR_NOT_FOUND && !released) {
        response.error = EL_KAFKA_RESOURCE_NOT_FOUND;
        response.message = el_slice_str("nothing is parked or halted there");
    } else if (error == EVLOG_ERR_CONFLICT) {
        response.error = EL_KAFKA_FENCED_STATE_EPOCH;
        response.message = el_slice_str("more events of the key have become dead letters meanwhile");
    } else if (error != EVLOG_ERR_NOT_FOUND) {
        response.error = api_share_group_error(error);
        response.message = api_error_message(error);
    }
    request_reply(base->request, &el_schema_ext_release_key_response, &response);
}

void api_ext_release_key(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_release_key_request *ask = message;
    struct api_partitions of;
    int error = api_partitions(api, request, ask->topic, &ask->topic_id, ask->partition, &of);
    if (error != 0) {
        struct el_msg_ext_release_key_response response;
        el_schema_init(&el_schema_ext_release_key_response, &response);
        response.error = api_error(error, error == EVLOG_ERR_UNKNOWN_TOPIC_ID);
        response.message = api_error_message(error);
        request_reply(request, &el_schema_ext_release_key_response, &response);
        return;
    }
    struct release_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->op_count = of.count;
    call->ops = api_alloc(api, request, call->op_count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, release_finish);
    for (uint32_t i = 0; i < call->op_count; i++) {
        struct lease_release_key_op *op = &call->ops[i];
        op->base.group_id = ask->group;
        op->topic_id = of.topic_id;
        op->partition = of.first + (int32_t)i;
        op->key = ask->key;
        op->ask = ask->probe;
        op->token = ask->token;
        api_call_add_lease(&call->base, &op->base, api_call_on_lease_end);
        leases_release_key(api->leases, op);
    }
    api_call_release(&call->base);
}
