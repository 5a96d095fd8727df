/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteRecords: move the log start of partitions up. It never moves down and never passes the high watermark. What is
 * only compacted keeps the last event of each key, and is not for deletion.
 */
#include <api/api.h>
#include <wire/msg_delete_records.h>

struct trim_call {
    struct api_call base;
    const struct el_msg_delete_records_request *ask;
    struct trim_op *ops; /* [partitions of all topics], in request order */
    int *errors;         /* [the same] EVLOG_ERR_ of what was not even tried, else 0 */
};

static void trim_finish(struct api_call *base)
{
    struct trim_call *call = EL_CONTAINER(base, struct trim_call, base);
    const struct el_msg_delete_records_request *ask = call->ask;
    struct request *request = base->request;
    struct el_msg_delete_records_response response;
    el_schema_init(&el_schema_delete_records_response, &response);
    response.topics = api_new(base->api, request, &el_schema_delete_records_topic_result, ask->topic_count);
    if (response.topics == NULL) {
        return;
    }
    response.topic_count = ask->topic_count;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        const struct el_msg_delete_records_topic *topic = &ask->topics[t];
        struct el_msg_delete_records_topic_result *out = &response.topics[t];
        out->name = topic->name;
        out->partitions = api_new(base->api, request, &el_schema_delete_records_partition_result,
                                  topic->partition_count);
        if (out->partitions == NULL) {
            return;
        }
        out->partition_count = topic->partition_count;
        for (uint32_t p = 0; p < topic->partition_count; p++, n++) {
            int error = call->errors[n] != 0 ? call->errors[n] : call->ops[n].base.error;
            struct el_msg_delete_records_partition_result *result = &out->partitions[p];
            result->partition_index = topic->partitions[p].partition_index;
            result->error_code = api_error(error, false);
            result->low_watermark = error == 0 ? call->ops[n].log_start_offset : -1;
            if (error != 0) {
                api_count_refusal(base->api, error);
            }
        }
    }
    request_reply(request, &el_schema_delete_records_response, &response);
}

static void trim_ask(struct trim_call *call, const struct topic *topic, int error,
                     const struct el_msg_delete_records_partition *partition, uint32_t n)
{
    call->errors[n] = api_partition_error(topic, partition->partition_index, error);
    if (call->errors[n] != 0) {
        return;
    }
    const struct topic_config *defaults = &call->base.api->node->topic_defaults;
    bool deletes = topic_config_int(&topic->config, defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_COMPACT;
    if (topic->internal || !deletes) {
        call->errors[n] = EVLOG_ERR_POLICY;
        return;
    }
    if (partition->offset < -1) {
        call->errors[n] = EVLOG_ERR_OFFSET_RANGE;
        return;
    }
    struct trim_op *op = &call->ops[n];
    op->topic_id = topic->id;
    op->partition = partition->partition_index;
    op->offset = partition->offset;
    api_call_add(&call->base, &op->base);
}

void api_delete_records(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_delete_records_request *ask = message;
    uint32_t count = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        count += ask->topics[t].partition_count;
    }
    struct trim_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    api_call_init(&call->base, api, request, trim_finish);
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
            trim_ask(call, topic, error, &ask->topics[t].partitions[p], n++);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (call->errors[i] == 0) {
            store_trim(api->shard, &call->ops[i]);
        }
    }
    api_call_release(&call->base);
}
