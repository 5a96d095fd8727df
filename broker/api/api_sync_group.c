/* SPDX-License-Identifier: Apache-2.0
 *
 * SyncGroup: the leader's request has everybody's assignment, and each answer its own. The answer waits as that of
 * JoinGroup does.
 */
#include <api/api.h>
#include <wire/msg_sync_group.h>

#define VERSION_PROTOCOL 5 /* from here on protocol type and name must be said */

struct sync_call {
    struct sync_op op;
    struct api *api;
    struct request *request;
};

static void sync_on_release(struct request *request)
{
    struct sync_call *call = request->user;
    group_op_release(&call->op.base);
}

static void reply(struct sync_call *call, int16_t error)
{
    const struct sync_op *op = &call->op;
    struct el_msg_sync_group_response response;
    el_schema_init(&el_schema_sync_group_response, &response);
    response.error_code = error;
    response.assignment = op->assignment.data != NULL ? op->assignment : el_slice_str("");
    response.protocol_type = op->protocol_type_out;
    response.protocol_name = op->protocol_out;
    request_reply_release(call->request, &el_schema_sync_group_response, &response, sync_on_release);
}

static void sync_on_done(struct group_op *base)
{
    struct sync_call *call = EL_CONTAINER(base, struct sync_call, op.base);
    call->request->on_abandon = NULL;
    reply(call, api_group_error(base->error));
}

static void sync_on_abandon(struct request *request)
{
    struct sync_call *call = request->user;
    groups_cancel(&call->op.base);
}

void api_sync_group(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_sync_group_request *ask = message;
    struct sync_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    struct group_assignment *assignments = api_alloc(api, request, ask->assignment_count, sizeof *assignments);
    if (assignments == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ask->assignment_count; i++) {
        assignments[i].member_id = ask->assignments[i].member_id;
        assignments[i].assignment = ask->assignments[i].assignment;
    }
    call->api = api;
    call->request = request;
    request->user = call;
    if (ask->group_id.len == 0) {
        reply(call, EL_KAFKA_INVALID_GROUP_ID);
        return;
    }
    if (request->api_version >= VERSION_PROTOCOL &&
        (ask->protocol_type.data == NULL || ask->protocol_name.data == NULL)) {
        reply(call, EL_KAFKA_INCONSISTENT_GROUP_PROTOCOL);
        return;
    }
    call->op.base.group_id = ask->group_id;
    call->op.base.done = sync_on_done;
    call->op.member_id = ask->member_id;
    call->op.instance_id = ask->group_instance_id;
    call->op.generation = ask->generation_id;
    call->op.protocol_type = ask->protocol_type;
    call->op.protocol = ask->protocol_name;
    call->op.assignments = assignments;
    call->op.assignment_count = ask->assignment_count;
    request->on_abandon = sync_on_abandon;
    request_wait_begin(request); /* for the leader */
    groups_sync(api->groups, &call->op);
}
