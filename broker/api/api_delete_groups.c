/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteGroups: groups without members, with their commits or, of a work group, all it knows of its partitions. What is
 * no consumer group may be a work group. A name given twice counts once.
 */
#include <api/api.h>
#include <wire/msg_delete_groups.h>

struct delete_entry {
    struct delete_group_op op;
    struct lease_delete_op work;
    int error;
};

struct delete_call {
    struct api_call base;
    struct delete_entry *ops; /* [op_count] */
    uint32_t op_count;
};

static void delete_finish(struct api_call *base)
{
    struct delete_call *call = EL_CONTAINER(base, struct delete_call, base);
    struct el_msg_delete_groups_response response;
    el_schema_init(&el_schema_delete_groups_response, &response);
    response.results = api_new(base->api, base->request, &el_schema_delete_groups_result, call->op_count);
    if (response.results == NULL) {
        return;
    }
    for (uint32_t i = 0; i < call->op_count; i++) {
        struct el_msg_delete_groups_result *result = &response.results[response.result_count++];
        result->group_id = call->ops[i].op.base.group_id;
        result->error_code = api_group_error(call->ops[i].error);
        result->error_message = api_error_message(call->ops[i].error);
    }
    request_reply(base->request, &el_schema_delete_groups_response, &response);
}

static void delete_on_work(struct lease_op *op)
{
    struct delete_entry *entry = EL_CONTAINER(op, struct delete_entry, work.base);
    entry->error = op->error;
    api_call_release(op->arg);
}

static void delete_on_group(struct group_op *op)
{
    struct delete_entry *entry = EL_CONTAINER(op, struct delete_entry, op.base);
    struct api_call *call = op->arg;
    entry->error = op->error;
    if (op->error == EVLOG_ERR_GROUP_NOT_FOUND && call->api->leases != NULL) {
        entry->work.base.group_id = op->group_id;
        entry->work.base.done = delete_on_work;
        entry->work.base.arg = call;
        leases_delete(call->api->leases, &entry->work);
        return;
    }
    api_call_release(call);
}

/* The names without repetitions. returns false without memory */
static bool take(struct delete_call *call, const struct el_msg_delete_groups_request *ask)
{
    struct el_map seen;
    bool taken = true;
    el_map_init(&seen, call->base.api->buddy);
    for (uint32_t i = 0; i < ask->groups_name_count && taken; i++) {
        struct el_slice name = ask->groups_names[i].len == 0 ? el_slice_str("") : ask->groups_names[i];
        int code = el_map_put(&seen, name.data, name.len, call);
        taken = code == 0 || code == EVLOG_ERR_EXISTS;
        if (code == 0) {
            call->ops[call->op_count++].op.base.group_id = name;
        }
    }
    el_map_destroy(&seen);
    return taken;
}

void api_delete_groups(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_delete_groups_request *ask = message;
    struct delete_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->ops = api_alloc(api, request, ask->groups_name_count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, delete_finish);
    if (!take(call, ask)) {
        api_refuse_memory(api, request);
        return;
    }
    for (uint32_t i = 0; i < call->op_count; i++) {
        if (!api_may(api, request, 0, EL_ACL_RESOURCE_GROUP, call->ops[i].op.base.group_id)) {
            call->ops[i].error = EVLOG_ERR_GROUP_DENIED;
            continue;
        }
        api_call_add_group(&call->base, &call->ops[i].op.base, delete_on_group);
        groups_delete(api->groups, &call->ops[i].op);
    }
    api_call_release(&call->base);
}
