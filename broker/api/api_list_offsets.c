/* SPDX-License-Identifier: Apache-2.0
 *
 * ListOffsets: the offset at a time, or at one of the special points. There are no transactions, so that the last
 * stable offset is the high watermark and the isolation level changes nothing. Source: docs/protocol.md, Offsets.
 */
#include <api/api.h>
#include <wire/msg_list_offsets.h>

struct list_call {
    struct api_call base;
    const struct el_msg_list_offsets_request *ask;
    struct lookup_op *ops; /* [partitions of all topics], in request order */
    int16_t *errors;       /* [the same] Kafka's code of what was not even asked, else 0 */
};

/* The version that brought each special value. */
static bool timestamp_known(int64_t timestamp, int version)
{
    static const int8_t since[] = {0, 1, 1, 7, 8, 9, 11}; /* by -timestamp */
    return timestamp >= 0 || (timestamp >= -6 && version >= since[-timestamp]);
}

static int16_t list_error(int error, int version)
{
    if (error == EVLOG_ERR_ARCHIVE) {
        return version >= 5 ? EL_KAFKA_OFFSET_NOT_AVAILABLE : EL_KAFKA_LEADER_NOT_AVAILABLE;
    }
    return api_error(error, false);
}

static void list_finish(struct api_call *base)
{
    struct list_call *call = EL_CONTAINER(base, struct list_call, base);
    const struct el_msg_list_offsets_request *ask = call->ask;
    struct request *request = base->request;
    struct el_msg_list_offsets_response response;
    el_schema_init(&el_schema_list_offsets_response, &response);
    response.topics = api_new(base->api, request, &el_schema_list_offsets_topic_result, ask->topic_count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = ask->topic_count;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        const struct el_msg_list_offsets_topic *topic = &ask->topics[t];
        struct el_msg_list_offsets_topic_result *out = &response.topics[t];
        out->name = topic->name;
        out->partitions = api_new(base->api, request, &el_schema_list_offsets_partition_result, topic->partition_count);
        if (out->partitions == NULL) {
            return;
        }
        out->partition_count = topic->partition_count;
        for (uint32_t p = 0; p < topic->partition_count; p++, n++) {
            const struct lookup_op *op = &call->ops[n];
            struct el_msg_list_offsets_partition_result *result = &out->partitions[p];
            result->partition_index = topic->partitions[p].partition_index;
            result->error_code = call->errors[n] != 0 ? call->errors[n]
                                                      : list_error(op->base.error, request->api_version);
            if (result->error_code == EL_KAFKA_NONE) {
                result->offset = op->offset;
                result->timestamp = op->found_timestamp;
                result->leader_epoch = request->api_version >= 4 ? op->leader_epoch : -1;
            }
        }
    }
    request_reply(request, &el_schema_list_offsets_response, &response);
}

static void list_ask(struct list_call *call, const struct topic *topic, int error,
                     const struct el_msg_list_offsets_partition *partition, uint32_t n)
{
    struct api *api = call->base.api;
    struct lookup_op *op = &call->ops[n];
    error = api_partition_error(topic, partition->partition_index, error);
    if (error != 0) {
        call->errors[n] = api_error(error, false);
        api_count_refusal(api, error);
        return;
    }
    if (!timestamp_known(partition->timestamp, call->base.request->api_version)) {
        call->errors[n] = EL_KAFKA_UNSUPPORTED_VERSION;
        api_count_refusal(api, EVLOG_ERR_UNSUPPORTED);
        return;
    }
    op->topic_id = topic->id;
    op->partition = partition->partition_index;
    op->timestamp = partition->timestamp;
    op->current_leader_epoch = partition->current_leader_epoch;
    api_call_add(&call->base, &op->base);
}

void api_list_offsets(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_list_offsets_request *ask = message;
    uint32_t count = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        count += ask->topics[t].partition_count;
    }
    struct list_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, list_finish);
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
        const struct topic *topic = api_topic(api, request, ask->topics[t].name, NULL, &error);
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            list_ask(call, topic, error, &ask->topics[t].partitions[p], n++);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (call->errors[i] == 0) {
            store_lookup(api->shard, &call->ops[i]);
        }
    }
    api_call_release(&call->base);
}
