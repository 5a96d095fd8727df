/* SPDX-License-Identifier: Apache-2.0
 *
 * Heartbeat: a member lives; the answer tells it when to join again.
 */
#include <api/api.h>
#include <wire/msg_heartbeat.h>

struct heartbeat_call {
    struct heartbeat_op op;
    struct request *request;
};

static void reply(struct request *request, int16_t error)
{
    struct el_msg_heartbeat_response response;
    el_schema_init(&el_schema_heartbeat_response, &response);
    response.error_code = error;
    request_reply(request, &el_schema_heartbeat_response, &response);
}

static void heartbeat_on_done(struct group_op *base)
{
    struct heartbeat_call *call = EL_CONTAINER(base, struct heartbeat_call, op.base);
    reply(call->request, api_group_error(base->error));
}

void api_heartbeat(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_heartbeat_request *ask = message;
    struct heartbeat_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    if (ask->group_id.len == 0) {
        reply(request, EL_KAFKA_INVALID_GROUP_ID);
        return;
    }
    call->request = request;
    call->op.base.group_id = ask->group_id;
    call->op.base.done = heartbeat_on_done;
    call->op.member_id = ask->member_id;
    call->op.instance_id = ask->group_instance_id;
    call->op.generation = ask->generation_id;
    groups_heartbeat(api->groups, &call->op);
}
