/* SPDX-License-Identifier: Apache-2.0
 *
 * ListGroups: every shard is asked for its consumer groups, and shard 0 for all work groups; filters are by state (from
 * version 4) and by type (from 5), in upper or lower case. Consumer groups are of type classic, work groups of type
 * share.
 */
#include <api/api.h>
#include <strings.h>
#include <wire/msg_list_groups.h>

#define TYPE_CONSUMER "classic"
#define TYPE_WORK "share"

struct list_call {
    struct api_call base;
    const struct el_msg_list_groups_request *ask;
    struct list_op *ops; /* [op_count] one for each shard */
    uint32_t op_count;
    struct lease_list_op work; /* the work groups */
    bool all;                  /* who may describe the cluster sees every group, others those that they may describe */
};

static void blocks_release(struct list_call *call)
{
    for (uint32_t i = 0; i < call->op_count; i++) {
        group_op_release(&call->ops[i].base);
    }
    lease_op_release(&call->work.base);
}

static void list_on_release(struct request *request)
{
    blocks_release(request->user);
}

/* No filter lets everything through. */
static bool passes(const struct el_slice *filter, uint32_t count, const char *word)
{
    for (uint32_t i = 0; i < count; i++) {
        if (filter[i].len == strlen(word) && strncasecmp((const char *)filter[i].data, word, filter[i].len) == 0) {
            return true;
        }
    }
    return count == 0;
}

static void add(struct list_call *call, struct el_msg_list_groups_response *response,
                const struct el_msg_list_groups_group *group)
{
    const struct el_msg_list_groups_request *ask = call->ask;
    if (!call->all &&
        !api_could(call->base.api, call->base.request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_GROUP, group->group_id)) {
        return;
    }
    if (passes(ask->states_filter, ask->states_filter_count, (const char *)group->group_state.data) &&
        passes(ask->types_filter, ask->types_filter_count, (const char *)group->group_type.data)) {
        response->groups[response->group_count++] = *group;
    }
}

static void fill(struct list_call *call, struct el_msg_list_groups_response *response)
{
    for (uint32_t i = 0; i < call->op_count; i++) {
        const struct list_op *op = &call->ops[i];
        if (op->base.error != 0 && response->error_code == 0) {
            response->error_code = api_group_error(op->base.error);
        }
        for (uint32_t k = 0; k < op->group_count; k++) {
            const struct group_view *view = &op->groups[k];
            struct el_msg_list_groups_group group;
            el_schema_init(&el_schema_list_groups_group, &group);
            group.group_id = view->id;
            group.protocol_type = view->protocol_type.data != NULL ? view->protocol_type : el_slice_str("");
            group.group_state = el_slice_str(view->state);
            group.group_type = el_slice_str(TYPE_CONSUMER);
            add(call, response, &group);
        }
    }
    if (call->work.base.error != 0 && response->error_code == 0) {
        response->error_code = api_group_error(call->work.base.error);
    }
    for (uint32_t i = 0; i < call->work.group_count; i++) {
        struct el_msg_list_groups_group group;
        el_schema_init(&el_schema_list_groups_group, &group);
        group.group_id = call->work.groups[i].id;
        group.protocol_type = el_slice_str(TYPE_WORK);
        group.group_state = el_slice_str(call->work.groups[i].state);
        group.group_type = el_slice_str(TYPE_WORK);
        add(call, response, &group);
    }
}

static void list_finish(struct api_call *base)
{
    struct list_call *call = EL_CONTAINER(base, struct list_call, base);
    struct request *request = base->request;
    struct el_msg_list_groups_response response;
    uint32_t count = call->work.group_count;
    el_schema_init(&el_schema_list_groups_response, &response);
    for (uint32_t i = 0; i < call->op_count; i++) {
        count += call->ops[i].group_count;
    }
    response.groups = el_schema_new(&el_schema_list_groups_group, &request->arena, count);
    if (response.groups == NULL) {
        blocks_release(call);
        api_refuse_memory(base->api, request);
        return;
    }
    fill(call, &response);
    request_reply_release(request, &el_schema_list_groups_response, &response, list_on_release);
}

void api_list_groups(struct api *api, struct request *request, const void *message)
{
    struct list_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    uint32_t shard_count = api->node->shard_count;
    call->ops = api_alloc(api, request, shard_count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, list_finish);
    request->user = call;
    call->ask = message;
    call->op_count = shard_count;
    call->all = api_could(api, request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_CLUSTER, el_slice_str(EL_ACL_CLUSTER_NAME));
    for (uint32_t i = 0; i < shard_count; i++) {
        call->ops[i].shard = i;
        api_call_add_group(&call->base, &call->ops[i].base, api_call_on_group);
        groups_list(api->groups, &call->ops[i]);
    }
    if (api->leases != NULL) {
        api_call_add_lease(&call->base, &call->work.base, api_call_on_lease);
        leases_list(api->leases, &call->work);
    }
    api_call_release(&call->base);
}
