/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeGroups: state and members. A group that is not known is Dead, from version 6 an error with a text.
 */
#include <api/api.h>
#include <wire/msg_describe_groups.h>

#define VERSION_NOT_FOUND 6 /* a group that is not known is an error from then on, and errors have a text */

struct describe_call {
    struct api_call base;
    struct describe_op *ops; /* [op_count] */
    uint32_t op_count;
    bool operations; /* are asked for */
};

static void blocks_release(struct describe_call *call)
{
    for (uint32_t i = 0; i < call->op_count; i++) {
        group_op_release(&call->ops[i].base);
    }
}

static void describe_on_release(struct request *request)
{
    blocks_release(request->user);
}

static bool fill_members(struct request *request, const struct describe_op *op,
                         struct el_msg_describe_groups_group *out)
{
    out->members = el_schema_new(&el_schema_describe_groups_member, &request->arena, op->member_count);
    if (out->members == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < op->member_count; i++) {
        struct el_msg_describe_groups_member *member = &out->members[out->member_count++];
        member->member_id = op->members[i].id;
        member->group_instance_id = op->members[i].instance_id;
        member->client_id = op->members[i].client_id;
        member->client_host = op->members[i].host;
        member->member_metadata = op->members[i].metadata;
        member->member_assignment = op->members[i].assignment;
    }
    return true;
}

static bool fill_group(struct describe_call *call, const struct describe_op *op,
                       struct el_msg_describe_groups_group *out)
{
    struct request *request = call->base.request;
    int error = op->base.error;
    bool absent = error == EVLOG_ERR_GROUP_NOT_FOUND;
    out->group_id = op->base.group_id;
    out->group_state = el_slice_str(error == 0 || absent ? op->state : "");
    out->protocol_type = op->protocol_type.data != NULL ? op->protocol_type : el_slice_str("");
    out->protocol_data = op->protocol;
    if (error != 0 && (!absent || request->api_version >= VERSION_NOT_FOUND)) {
        out->error_code = api_group_error(error);
        if (request->api_version >= VERSION_NOT_FOUND) {
            out->error_message = api_error_message(error);
        }
    } else if (call->operations) {
        out->authorized_operations = api_operations(call->base.api, request, EL_ACL_RESOURCE_GROUP, out->group_id);
    }
    return fill_members(request, op, out);
}

static void describe_finish(struct api_call *base)
{
    struct describe_call *call = EL_CONTAINER(base, struct describe_call, base);
    struct request *request = base->request;
    struct el_msg_describe_groups_response response;
    el_schema_init(&el_schema_describe_groups_response, &response);
    response.groups = el_schema_new(&el_schema_describe_groups_group, &request->arena, call->op_count);
    response.group_count = call->op_count;
    bool filled = response.groups != NULL;
    for (uint32_t i = 0; filled && i < call->op_count; i++) {
        filled = fill_group(call, &call->ops[i], &response.groups[i]);
    }
    if (!filled) {
        blocks_release(call);
        api_refuse_memory(base->api, request);
        return;
    }
    request_reply_release(request, &el_schema_describe_groups_response, &response, describe_on_release);
}

void api_describe_groups(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_describe_groups_request *ask = message;
    struct describe_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->ops = api_alloc(api, request, ask->group_count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, describe_finish);
    request->user = call;
    call->op_count = ask->group_count;
    call->operations = ask->include_authorized_operations;
    for (uint32_t i = 0; i < ask->group_count; i++) {
        call->ops[i].base.group_id = ask->groups[i];
        if (!api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, ask->groups[i])) {
            call->ops[i].base.error = EVLOG_ERR_GROUP_DENIED;
            continue;
        }
        api_call_add_group(&call->base, &call->ops[i].base, api_call_on_group);
        groups_describe(api->groups, &call->ops[i]);
    }
    api_call_release(&call->base);
}
