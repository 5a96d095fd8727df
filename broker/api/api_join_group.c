/* SPDX-License-Identifier: Apache-2.0
 *
 * JoinGroup: the answer waits for the other members, on the group's shard; when the client goes or the shard stops the
 * wait ends. Source: docs/protocol.md, Consumer groups.
 */
#include <api/api.h>
#include <wire/msg_join_group.h>

#define VERSION_REBALANCE_TIMEOUT 1
#define VERSION_TWO_STEPS 4
#define VERSION_SKIP 9

struct join_call {
    struct join_op op;
    struct api *api;
    struct request *request;
};

/* Memory may be free again soon. Of the codes that say so clients take this one best: all try again by themselves and
 * at the same coordinator; after COORDINATOR_NOT_AVAILABLE they search for it first, and older ones of sarama end. */
static int16_t join_error(int error)
{
    return error == EVLOG_ERR_NO_MEMORY ? EL_KAFKA_COORDINATOR_LOAD_IN_PROGRESS : api_group_error(error);
}

static void fill(struct join_call *call, struct el_msg_join_group_response *response)
{
    const struct join_op *op = &call->op;
    response->error_code = join_error(op->base.error);
    response->member_id = op->member_id_out.data != NULL           ? op->member_id_out
                          : op->base.error == EVLOG_ERR_GROUP_FULL ? el_slice_str("")
                                                                   : op->member_id;
    response->generation_id = op->generation;
    response->leader = op->leader_id.data != NULL ? op->leader_id : el_slice_str("");
    response->protocol_name = op->protocol; /* null with an error; empty in versions that have no null */
    response->protocol_type = op->protocol_type_out;
    response->skip_assignment = op->skip;
    for (uint32_t i = 0; i < op->member_count; i++) {
        struct el_msg_join_group_member *member = &response->members[response->member_count++];
        member->member_id = op->members[i].id;
        member->group_instance_id = op->members[i].instance_id;
        member->metadata = op->members[i].metadata;
    }
}

static void join_on_release(struct request *request)
{
    struct join_call *call = request->user;
    group_op_release(&call->op.base);
}

static void join_on_done(struct group_op *base)
{
    struct join_call *call = EL_CONTAINER(base, struct join_call, op.base);
    struct request *request = call->request;
    struct el_msg_join_group_response response;
    request->on_abandon = NULL;
    el_schema_init(&el_schema_join_group_response, &response);
    response.members = el_schema_new(&el_schema_join_group_member, &request->arena, call->op.member_count);
    if (response.members == NULL) {
        group_op_release(base);
        api_refuse_memory(call->api, request);
        return;
    }
    fill(call, &response);
    request_reply_release(request, &el_schema_join_group_response, &response, join_on_release);
}

static void join_on_abandon(struct request *request)
{
    struct join_call *call = request->user;
    groups_cancel(&call->op.base);
}

static void start(struct join_call *call, const struct el_msg_join_group_request *ask)
{
    struct join_op *op = &call->op;
    int version = call->request->api_version;
    op->base.group_id = ask->group_id;
    op->base.done = join_on_done;
    op->member_id = ask->member_id;
    op->instance_id = ask->group_instance_id;
    op->client_id = call->request->client_id;
    op->host = api_client_host(call->request);
    op->protocol_type = ask->protocol_type;
    op->reason = ask->reason;
    op->session_ms = ask->session_timeout_ms;
    op->rebalance_ms = version < VERSION_REBALANCE_TIMEOUT || ask->rebalance_timeout_ms < 0 ? ask->session_timeout_ms
                                                                                            : ask->rebalance_timeout_ms;
    op->two_steps = version >= VERSION_TWO_STEPS;
    op->skip_assignment = version >= VERSION_SKIP;
    call->request->user = call;
    call->request->on_abandon = join_on_abandon;
    request_wait_begin(call->request); /* for the others */
    groups_join(call->api->groups, op);
}

static void refuse(struct request *request, const struct el_msg_join_group_request *ask, int16_t error)
{
    struct el_msg_join_group_response response;
    el_schema_init(&el_schema_join_group_response, &response);
    response.error_code = error;
    response.member_id = ask->member_id;
    response.protocol_name = (struct el_slice){0};
    request_reply(request, &el_schema_join_group_response, &response);
}

void api_join_group(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_join_group_request *ask = message;
    struct join_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    struct group_protocol *protocols = api_alloc(api, request, ask->protocol_count, sizeof *protocols);
    if (protocols == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    for (uint32_t i = 0; i < ask->protocol_count; i++) {
        protocols[i] = (struct group_protocol){.name = ask->protocols[i].name, .metadata = ask->protocols[i].metadata};
    }
    call->op.protocols = protocols;
    call->op.protocol_count = ask->protocol_count;
    if (ask->group_id.len == 0) {
        refuse(request, ask, EL_KAFKA_INVALID_GROUP_ID);
    } else if (api_is_work_group(api, ask->group_id)) {
        refuse(request, ask, EL_KAFKA_INCONSISTENT_GROUP_PROTOCOL);
    } else {
        start(call, ask);
    }
}
