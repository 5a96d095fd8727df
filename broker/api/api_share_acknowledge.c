/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareAcknowledge: outcomes of leased events, by the rules of ShareFetch. Epoch -1 ends the session: the answer comes
 * when all that it still held has been released.
 */
#include <api/share_ack.h>
#include <wire/msg_share_acknowledge.h>

struct acknowledge_call {
    struct request *request;
    const struct el_msg_share_acknowledge_request *ask;
    struct share_acks acks;
    int32_t lease_ms;
};

static bool fill(struct acknowledge_call *call, struct el_msg_share_acknowledge_response *response)
{
    const struct el_msg_share_acknowledge_request *ask = call->ask;
    struct api *api = call->acks.api;
    struct el_arena *arena = &call->request->arena;
    const struct share_ack *ack = call->acks.acks;
    response->acquisition_lock_timeout_ms = call->lease_ms;
    response->responses = el_schema_new(&el_schema_share_acknowledge_topic_result, arena, ask->topic_count);
    for (uint32_t t = 0; response->responses != NULL && t < ask->topic_count; t++) {
        struct el_msg_share_acknowledge_topic_result *topic = &response->responses[response->response_count++];
        uint32_t count = ask->topics[t].partition_count;
        topic->topic_id = ask->topics[t].topic_id;
        topic->partitions = el_schema_new(&el_schema_share_acknowledge_partition_result, arena, count);
        if (topic->partitions == NULL) {
            return false;
        }
        for (uint32_t p = 0; p < count; p++, ack++) {
            struct el_msg_share_acknowledge_partition_result *out = &topic->partitions[topic->partition_count++];
            out->partition_index = ask->topics[t].partitions[p].partition_index;
            out->error_code = ack->error;
            out->error_message = el_slice_str(ack->message);
            out->current_leader.leader_id = api->node->id;
            out->current_leader.leader_epoch = store_leader_epoch(store_shard_store(api->shard));
        }
    }
    EL_ASSERT(response->responses == NULL || ack == call->acks.acks + call->acks.count);
    return response->responses != NULL;
}

static void acknowledge_answer(void *arg)
{
    struct acknowledge_call *call = arg;
    struct el_msg_share_acknowledge_response response;
    el_schema_init(&el_schema_share_acknowledge_response, &response);
    if (!fill(call, &response)) {
        api_refuse_memory(call->acks.api, call->request);
        return;
    }
    request_reply(call->request, &el_schema_share_acknowledge_response, &response);
}

static void acknowledge_on_acks(struct share_acks *acks)
{
    struct acknowledge_call *call = EL_CONTAINER(acks, struct acknowledge_call, acks);
    struct share_session *session = acks->session;
    call->lease_ms = session->lease_ms;
    if (call->ask->share_session_epoch == SHARE_EPOCH_CLOSE) {
        share_session_give_back_closed(session, acknowledge_answer, call);
    } else {
        share_session_give_back(session);
        acknowledge_answer(call);
    }
}

static void refuse(struct api *api, struct request *request, int16_t error, const char *message)
{
    struct el_msg_share_acknowledge_response response;
    el_schema_init(&el_schema_share_acknowledge_response, &response);
    response.error_code = error;
    response.error_message = el_slice_str(message);
    metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
    request_reply(request, &el_schema_share_acknowledge_response, &response);
}

/* One for each partition of the request. returns false without memory */
static bool take_acks(struct acknowledge_call *call)
{
    const struct el_msg_share_acknowledge_request *ask = call->ask;
    struct el_arena *arena = &call->request->arena;
    struct share_ack *ack = call->acks.acks;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++, ack++) {
            const struct el_msg_share_acknowledge_partition *from = &ask->topics[t].partitions[p];
            uint32_t count = from->acknowledgement_batch_count;
            struct share_ack_range *ranges = el_arena_alloc(arena, EL_MAX(count, 1u) * sizeof *ranges);
            for (uint32_t i = 0; ranges != NULL && i < count; i++) {
                const struct el_msg_share_acknowledge_batch *batch = &from->acknowledgement_batches[i];
                ranges[i] = (struct share_ack_range){batch->first_offset, batch->last_offset, batch->acknowledge_types,
                                                     batch->acknowledge_type_count};
            }
            if (ranges == NULL || !share_ack_ranges(ack, ranges, count, ask->is_renew_ack, arena)) {
                return false;
            }
            share_ack_target(ack, call->acks.api, call->request, (struct el_slice){0}, &ask->topics[t].topic_id,
                             from->partition_index);
        }
    }
    EL_ASSERT(ack == call->acks.acks + call->acks.count);
    return true;
}

void api_share_acknowledge(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_share_acknowledge_request *ask = message;
    if (ask->group_id.len == 0 || ask->member_id.len == 0) {
        refuse(api, request, EL_KAFKA_INVALID_REQUEST, "group id and member id must not be empty");
        return;
    }
    if (ask->share_session_epoch == SHARE_EPOCH_OPEN) {
        refuse(api, request, EL_KAFKA_INVALID_SHARE_SESSION_EPOCH, "ShareAcknowledge opens no share session");
        return;
    }
    struct acknowledge_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->request = request;
    call->ask = ask;
    call->acks.api = api;
    call->acks.group_id = ask->group_id;
    call->acks.member_id = ask->member_id;
    call->acks.finish = acknowledge_on_acks;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        call->acks.count += ask->topics[t].partition_count;
    }
    call->acks.acks = api_alloc(api, request, call->acks.count, sizeof *call->acks.acks);
    if (call->acks.acks == NULL) {
        return;
    }
    if (!take_acks(call)) {
        api_refuse_memory(api, request);
        return;
    }
    int16_t error = share_session_take(&api->share, request, ask->group_id, ask->member_id, ask->share_session_epoch,
                                       &call->acks.session);
    if (error != EL_KAFKA_NONE) {
        refuse(api, request, error, NULL);
        return;
    }
    share_acks_start(&call->acks);
}
