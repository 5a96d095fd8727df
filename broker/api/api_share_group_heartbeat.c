/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupHeartbeat: a member joins, lives or leaves; the answer gives its partitions when they have changed.
 */
#include <api/api.h>
#include <wire/msg_share_group_heartbeat.h>

#define EPOCH_JOIN 0
#define EPOCH_LEAVE (-1)

struct heartbeat_call {
    struct share_heartbeat_op op;
    struct api *api;
    struct request *request;
};

static void reply_error(struct request *request, int16_t error, struct el_slice message)
{
    struct el_msg_share_group_heartbeat_response response;
    el_schema_init(&el_schema_share_group_heartbeat_response, &response);
    response.error_code = error;
    response.error_message = message;
    request_reply(request, &el_schema_share_group_heartbeat_response, &response);
}

/* What is wrong with the request; NULL when nothing is. The texts are for people, the rules are Kafka's. */
static const char *fault_of(const struct el_msg_share_group_heartbeat_request *ask)
{
    if (ask->group_id.len == 0) {
        return "group id must not be empty";
    }
    if (ask->member_id.len == 0) {
        return "member id must not be empty";
    }
    if (ask->member_epoch < EPOCH_LEAVE) {
        return "member epoch must be -1 or above";
    }
    if (ask->rack_id.data != NULL && ask->rack_id.len == 0) {
        return "rack id must not be empty";
    }
    if (ask->member_epoch == EPOCH_JOIN && ask->subscribed_topic_name_count == 0) {
        return "the first heartbeat of a member must name its topics";
    }
    return NULL;
}

/* The answer's assignment; returns false without memory. */
static bool fill_assignment(struct heartbeat_call *call, struct el_msg_share_group_heartbeat_response *response)
{
    struct el_arena *arena = &call->request->arena;
    const struct share_heartbeat_op *op = &call->op;
    response->assignment = el_schema_new(&el_schema_share_group_heartbeat_assignment, arena, 1);
    if (response->assignment == NULL) {
        return false;
    }
    struct el_msg_share_group_heartbeat_topic *topics = el_schema_new(&el_schema_share_group_heartbeat_topic, arena,
                                                                      op->assignment_count);
    for (uint32_t i = 0; topics != NULL && i < op->assignment_count; i++) {
        const struct share_assignment *from = &op->assignments[i];
        topics[i].topic_id = from->topic_id;
        topics[i].partitions = (int32_t *)(uintptr_t)from->partitions; /* only read */
        topics[i].partition_count = from->count;
    }
    response->assignment->topic_partitions = topics;
    response->assignment->topic_partition_count = op->assignment_count;
    return topics != NULL;
}

static void heartbeat_on_release(struct request *request)
{
    struct heartbeat_call *call = request->user;
    lease_op_release(&call->op.base);
}

static void heartbeat_on_done(struct lease_op *base)
{
    struct heartbeat_call *call = EL_CONTAINER(base, struct heartbeat_call, op.base);
    struct request *request = call->request;
    struct el_msg_share_group_heartbeat_response response;
    el_schema_init(&el_schema_share_group_heartbeat_response, &response);
    response.error_code = api_share_group_error(base->error);
    if (base->error == 0) {
        response.member_id = call->op.member_id;
        response.member_epoch = call->op.member_epoch_out;
        response.heartbeat_interval_ms = call->op.heartbeat_ms;
    } else {
        response.error_message = base->message_text[0] != 0 ? el_slice_str(base->message_text)
                                                            : api_error_message(base->error);
    }
    if (base->error == 0 && call->op.assigned && !fill_assignment(call, &response)) {
        lease_op_release(base);
        api_refuse_memory(call->api, request);
        return;
    }
    request->user = call;
    request_reply_release(request, &el_schema_share_group_heartbeat_response, &response, heartbeat_on_release);
}

void api_share_group_heartbeat(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_share_group_heartbeat_request *ask = message;
    const char *fault = fault_of(ask);
    if (fault != NULL) {
        reply_error(request, EL_KAFKA_INVALID_REQUEST, el_slice_str(fault));
        return;
    }
    for (uint32_t i = 0; i < ask->subscribed_topic_name_count; i++) {
        if (!api_may(api, request, EL_ACL_OP_DESCRIBE, EL_ACL_RESOURCE_TOPIC, ask->subscribed_topic_names[i])) {
            reply_error(request, EL_KAFKA_TOPIC_AUTHORIZATION_FAILED, api_error_message(EVLOG_ERR_TOPIC_DENIED));
            return;
        }
    }
    struct heartbeat_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->api = api;
    call->request = request;
    call->op.base.group_id = ask->group_id;
    call->op.base.done = heartbeat_on_done;
    call->op.member_id = ask->member_id;
    call->op.member_epoch = ask->member_epoch;
    call->op.rack = ask->rack_id;
    call->op.client_id = request->client_id.data == NULL ? el_slice_str("") : request->client_id;
    call->op.host = api_client_host(request);
    call->op.topics = ask->subscribed_topic_names;
    call->op.topic_count = ask->subscribed_topic_name_count;
    leases_heartbeat(api->leases, &call->op);
}
