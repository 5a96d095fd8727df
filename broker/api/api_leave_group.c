/* SPDX-License-Identifier: Apache-2.0
 *
 * LeaveGroup: one member, from version 3 several, each by its id or, for tools, by its instance id alone.
 */
#include <api/api.h>
#include <wire/msg_leave_group.h>

#define VERSION_MEMBERS 3

struct leave_call {
    struct leave_op op;
    struct api *api;
    struct request *request;
    struct el_msg_leave_group_response response;
};

static void leave_on_done(struct group_op *base)
{
    struct leave_call *call = EL_CONTAINER(base, struct leave_call, op.base);
    struct el_msg_leave_group_response *response = &call->response;
    response->error_code = api_group_error(base->error);
    if (call->request->api_version < VERSION_MEMBERS) {
        if (base->error == 0) {
            response->error_code = api_group_error(call->op.entries[0].error);
        }
        request_reply(call->request, &el_schema_leave_group_response, response);
        return;
    }
    for (uint32_t i = 0; base->error == 0 && i < call->op.entry_count; i++) {
        struct el_msg_leave_group_member_result *result = &response->members[response->member_count++];
        result->member_id = call->op.entries[i].member_id;
        result->group_instance_id = call->op.entries[i].instance_id;
        result->error_code = api_group_error(call->op.entries[i].error);
    }
    request_reply(call->request, &el_schema_leave_group_response, response);
}

void api_leave_group(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_leave_group_request *ask = message;
    struct leave_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    bool several = request->api_version >= VERSION_MEMBERS;
    uint32_t count = several ? ask->member_count : 1;
    struct leave_entry *entries = api_alloc(api, request, count, sizeof *entries);
    if (entries == NULL) {
        return;
    }
    el_schema_init(&el_schema_leave_group_response, &call->response);
    call->response.members = api_new(api, request, &el_schema_leave_group_member_result, several ? count : 0);
    if (call->response.members == NULL) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        entries[i].member_id = several ? ask->members[i].member_id : ask->member_id;
        entries[i].instance_id = several ? ask->members[i].group_instance_id : (struct el_slice){0};
        entries[i].reason = several ? ask->members[i].reason : (struct el_slice){0};
    }
    if (ask->group_id.len == 0) {
        call->response.error_code = EL_KAFKA_INVALID_GROUP_ID;
        request_reply(request, &el_schema_leave_group_response, &call->response);
        return;
    }
    call->api = api;
    call->request = request;
    call->op.base.group_id = ask->group_id;
    call->op.base.done = leave_on_done;
    call->op.entries = entries;
    call->op.entry_count = count;
    groups_leave(api->groups, &call->op);
}
