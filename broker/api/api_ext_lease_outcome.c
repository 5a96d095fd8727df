/* SPDX-License-Identifier: Apache-2.0
 *
 * LeaseOutcome: outcomes as ShareAcknowledge takes them, with reason, error text and delay. The session is named by its
 * member and its epoch stays, so that outcomes may be sent while other requests of the session are under way.
 */
#include <api/share_emits.h>

#define REASON_LEN_MAX 64u
#define ERROR_LEN_MAX 256u
#define DELAY_MS_MAX 604800000 /* 7 days */

struct outcome_call {
    struct request *request;
    const struct el_msg_ext_lease_outcome_request *ask;
    struct share_acks acks;
    int32_t lease_ms;
};

static bool fill(struct outcome_call *call, struct el_msg_ext_lease_outcome_response *response)
{
    const struct el_msg_ext_lease_outcome_request *ask = call->ask;
    struct el_arena *arena = &call->request->arena;
    const struct share_ack *ack = call->acks.acks;
    EL_ASSERT(call->acks.pending == 0);
    response->lease_ms = call->lease_ms;
    response->topics = el_schema_new(&el_schema_ext_lease_outcome_topic_result, arena, ask->topic_count);
    for (uint32_t t = 0; response->topics != NULL && t < ask->topic_count; t++) {
        struct el_msg_ext_lease_outcome_topic_result *topic = &response->topics[response->topic_count++];
        uint32_t count = ask->topics[t].partition_count;
        topic->topic = ask->topics[t].topic;
        topic->topic_id = ask->topics[t].topic_id;
        topic->partitions = el_schema_new(&el_schema_ext_lease_outcome_partition_result, arena, count);
        if (topic->partitions == NULL) {
            return false;
        }
        for (uint32_t p = 0; p < count; p++, ack++) {
            struct el_msg_ext_lease_outcome_partition_result *out = &topic->partitions[topic->partition_count++];
            out->partition = ask->topics[t].partitions[p].partition;
            out->error = ack->error;
            out->message = el_slice_str(ack->message);
            out->emits_refused = ack->emits_refused;
        }
    }
    EL_ASSERT(response->topics == NULL || ack == call->acks.acks + call->acks.count);
    return response->topics != NULL;
}

static void outcome_on_acks(struct share_acks *acks)
{
    struct outcome_call *call = EL_CONTAINER(acks, struct outcome_call, acks);
    struct el_msg_ext_lease_outcome_response response;
    el_schema_init(&el_schema_ext_lease_outcome_response, &response);
    call->lease_ms = acks->session->lease_ms;
    share_session_give_back(acks->session);
    if (!fill(call, &response)) {
        api_refuse_memory(acks->api, call->request);
        return;
    }
    request_reply(call->request, &el_schema_ext_lease_outcome_response, &response);
}

static const char *range_fault(const struct el_msg_ext_lease_outcome_range *range, int64_t after)
{
    if (range->first < 0 || range->first > range->last) {
        return "first offset of a range is negative or above its last";
    }
    if (range->first <= after) {
        return "ranges overlap or do not rise";
    }
    if (range->kind < LEASE_GAP || range->kind > LEASE_FAIL) {
        return "kind must be 0 gap, 1 accept, 2 release, 3 reject, 4 extend or 5 fail";
    }
    if (range->delay_ms < -1 || range->delay_ms > DELAY_MS_MAX) {
        return "delay_ms must be -1 or 0 to 604800000, seven days";
    }
    return NULL;
}

static struct el_slice cut(struct el_slice text, size_t len_max)
{
    return (struct el_slice){text.data, EL_MIN(text.len, len_max)};
}

/* returns false without memory */
static bool take_partition(struct share_ack *ack, const struct el_msg_ext_lease_outcome_partition *from,
                           struct api *api, struct request *request)
{
    struct lease_outcome *outcomes = el_arena_alloc(&request->arena,
                                                    EL_MAX(from->outcome_count, 1u) * sizeof *outcomes);
    int64_t after = -1;
    if (outcomes == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < from->outcome_count; i++) {
        const struct el_msg_ext_lease_outcome_range *range = &from->outcomes[i];
        const char *fault = range_fault(range, after);
        if (fault != NULL) {
            ack->error = EL_KAFKA_INVALID_REQUEST;
            ack->message = fault;
            return true;
        }
        after = range->last;
        outcomes[i] = (struct lease_outcome){
            .first = range->first,
            .last = range->last,
            .kind = (enum lease_outcome_kind)range->kind,
            .delay_ms = range->delay_ms,
            .reason = cut(range->reason, REASON_LEN_MAX),
            .error = cut(range->error, ERROR_LEN_MAX),
        };
        if (range->emit_count > 0 && !share_emits_take(ack, range, from->partition, &outcomes[i], api, request)) {
            return false;
        }
        if (ack->error != EL_KAFKA_NONE) {
            return true;
        }
    }
    ack->op.outcomes = outcomes;
    ack->op.outcome_count = from->outcome_count;
    return true;
}

static bool take_acks(struct outcome_call *call)
{
    const struct el_msg_ext_lease_outcome_request *ask = call->ask;
    struct share_ack *ack = call->acks.acks;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++, ack++) {
            const struct el_msg_ext_lease_outcome_partition *from = &ask->topics[t].partitions[p];
            if (!take_partition(ack, from, call->acks.api, call->request)) {
                return false;
            }
            share_ack_target(ack, call->acks.api, call->request, ask->topics[t].topic, &ask->topics[t].topic_id,
                             from->partition);
        }
    }
    EL_ASSERT(ack == call->acks.acks + call->acks.count);
    return true;
}

static void refuse(struct api *api, struct request *request, int16_t error, const char *message)
{
    struct el_msg_ext_lease_outcome_response response;
    el_schema_init(&el_schema_ext_lease_outcome_response, &response);
    response.error = error;
    response.message = el_slice_str(message);
    metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
    request_reply(request, &el_schema_ext_lease_outcome_response, &response);
}

void api_ext_lease_outcome(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_lease_outcome_request *ask = message;
    struct outcome_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->request = request;
    call->ask = ask;
    call->acks.api = api;
    call->acks.group_id = ask->group;
    call->acks.member_id = ask->member;
    call->acks.finish = outcome_on_acks;
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
    call->acks.session = share_session_find(&api->share, ask->group, ask->member);
    if (call->acks.session == NULL) {
        refuse(api, request, EL_KAFKA_SHARE_SESSION_NOT_FOUND,
               "the member has no share session on this connection's shard: send outcomes over the connection that "
               "ShareFetch goes over");
        return;
    }
    share_acks_start(&call->acks);
}
