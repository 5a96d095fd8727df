/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetForLeaderEpoch: where an epoch ended, by which a consumer finds out that a tail it has read is gone.
 * Source: docs/protocol.md, Offsets and leader epochs.
 */
#include <api/api.h>
#include <wire/msg_offset_for_leader_epoch.h>

struct epoch_call {
    struct api_call base;
    const struct el_msg_offset_for_leader_epoch_request *ask;
    struct epoch_op *ops; /* [partitions of all topics], in request order */
    int *errors;          /* [the same] EVLOG_ERR_ of what was not even asked, else 0 */
};

static void epoch_finish(struct api_call *base)
{
    struct epoch_call *call = EL_CONTAINER(base, struct epoch_call, base);
    const struct el_msg_offset_for_leader_epoch_request *ask = call->ask;
    struct request *request = base->request;
    struct el_msg_offset_for_leader_epoch_response response;
    el_schema_init(&el_schema_offset_for_leader_epoch_response, &response);
    response.topics = api_new(base->api, request, &el_schema_offset_for_leader_epoch_topic_result, ask->topic_count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = ask->topic_count;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        const struct el_msg_offset_for_leader_epoch_topic *topic = &ask->topics[t];
        struct el_msg_offset_for_leader_epoch_topic_result *out = &response.topics[t];
        out->topic = topic->topic;
        out->partitions = api_new(base->api, request, &el_schema_offset_for_leader_epoch_partition_result,
                                  topic->partition_count);
        if (out->partitions == NULL) {
            return;
        }
        out->partition_count = topic->partition_count;
        for (uint32_t p = 0; p < topic->partition_count; p++, n++) {
            const struct epoch_op *op = &call->ops[n];
            struct el_msg_offset_for_leader_epoch_partition_result *result = &out->partitions[p];
            result->partition = topic->partitions[p].partition;
            result->error_code = api_error(call->errors[n] != 0 ? call->errors[n] : op->base.error, false);
            if (result->error_code == EL_KAFKA_NONE) {
                result->leader_epoch = op->epoch;
                result->end_offset = op->end_offset;
            }
        }
    }
    request_reply(request, &el_schema_offset_for_leader_epoch_response, &response);
}

static void epoch_ask(struct epoch_call *call, const struct topic *topic, int error,
                      const struct el_msg_offset_for_leader_epoch_partition *partition, uint32_t n)
{
    call->errors[n] = api_partition_error(topic, partition->partition, error);
    if (call->errors[n] != 0) {
        api_count_refusal(call->base.api, call->errors[n]);
        return;
    }
    struct epoch_op *op = &call->ops[n];
    op->topic_id = topic->id;
    op->partition = partition->partition;
    op->current_leader_epoch = partition->current_leader_epoch;
    op->asked_epoch = partition->leader_epoch;
    api_call_add(&call->base, &op->base);
}

void api_offset_for_leader_epoch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_offset_for_leader_epoch_request *ask = message;
    uint32_t count = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        count += ask->topics[t].partition_count;
    }
    struct epoch_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, epoch_finish);
    call->ask = ask;
    call->ops = api_alloc(api, request, count, sizeof *call->ops);
    if (call->ops == NULL) {
        return;
    }
    call->errors = api_alloc(api, request, count, sizeof *call->errors);
    if (call->errors == NULL) {
        return;
    }
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        int error;
        const struct topic *topic = api_topic(api, request, ask->topics[t].topic, NULL, &error);
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            epoch_ask(call, topic, error, &ask->topics[t].partitions[p], n++);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (call->errors[i] == 0) {
            store_epoch_end(api->shard, &call->ops[i]);
        }
    }
    api_call_release(&call->base);
}
