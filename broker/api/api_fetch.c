/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch: stored batches from given offsets on, byte for byte, waiting for more when there are too few (long_poll.c).
 *
 * Sessions are not kept: every answer has session id 0, which clients accept. A request that closes a session or
 * begins another is whole in itself and answered as such; one that goes on with a session is told that there is none.
 * There are no transactions, so that the last stable offset is the high watermark and the list of aborted
 * transactions is empty; at isolation level 0 it is null. Source: docs/protocol.md, Fetch.
 */
#include <api/long_poll.h>
#include <api/throttle.h>
#include <wire/msg_fetch.h>

#define VERSION_STORAGE_ERROR 6
#define VERSION_SESSIONS 7   /* the first with a session id */
#define VERSION_ZSTD 10      /* the first whose readers know zstd */
#define VERSION_TOPIC_IDS 13 /* the first that asks by id */

struct fetch_call {
    struct long_poll poll;
    const struct el_msg_fetch_request *ask;
};

static void fetch_on_sent(struct request *request)
{
    long_poll_release(request->user);
}

/* Does the data hold a batch that readers of old versions cannot open? */
static bool has_zstd(const uint8_t *data, uint32_t len)
{
    struct el_batch_info info;
    for (uint32_t pos = 0; pos < len; pos += info.len) {
        if (el_batch_header(data + pos, len - pos, &info) != 0) {
            return false; /* storage returns whole batches only */
        }
        if (info.codec == EL_CODEC_ZSTD) {
            return true;
        }
    }
    return false;
}

static void fill_partition(const struct fetch_call *call, const struct long_poll_part *part,
                           struct el_msg_fetch_partition_result *out)
{
    int version = call->poll.request->api_version;
    out->partition_index = part->partition;
    out->records = (struct el_slice){(const uint8_t *)"", 0};
    out->high_watermark = -1; /* and so the others, by their defaults */
    out->aborted_transactions = call->ask->isolation_level == 1 ? EL_EMPTY : NULL;
    int error = part->error;
    if (error == 0 && version < VERSION_ZSTD && has_zstd(part->read.data, part->read.data_len)) {
        error = EVLOG_ERR_COMPRESSION;
    }
    out->error_code = api_error_since(error, part->target.by_id, version, VERSION_STORAGE_ERROR);
    if (error != 0) {
        api_count_refusal(call->poll.api, error);
        return;
    }
    const struct read_op *read = &part->read;
    EL_ASSERT(read->high_watermark >= 0);
    EL_ASSERT(read->log_start_offset >= 0);
    EL_ASSERT(read->log_start_offset <= read->high_watermark);
    out->high_watermark = read->high_watermark;
    out->last_stable_offset = read->high_watermark;
    out->log_start_offset = read->log_start_offset;
    if (read->diverging_epoch >= 0 && version >= 12) {
        out->diverging_epoch.epoch = read->diverging_epoch;
        out->diverging_epoch.end_offset = read->diverging_end_offset;
        return;
    }
    if (read->data_len > 0) {
        out->records = el_slice_of(read->data, read->data_len);
    }
}

static void fetch_finish(struct long_poll *poll)
{
    struct fetch_call *call = EL_CONTAINER(poll, struct fetch_call, poll);
    const struct el_msg_fetch_request *ask = call->ask;
    struct request *request = poll->request;
    struct el_arena *arena = &request->arena;
    struct el_msg_fetch_response response;
    el_schema_init(&el_schema_fetch_response, &response);
    response.responses = el_schema_new(&el_schema_fetch_topic_result, arena, ask->topic_count);
    bool enough = response.responses != NULL;
    uint32_t n = 0;
    for (uint32_t t = 0; enough && t < ask->topic_count; t++) {
        const struct el_msg_fetch_topic *topic = &ask->topics[t];
        struct el_msg_fetch_topic_result *out = &response.responses[t];
        out->topic = topic->topic;
        out->topic_id = topic->topic_id;
        out->partitions = el_schema_new(&el_schema_fetch_partition_result, arena, topic->partition_count);
        enough = out->partitions != NULL;
        for (uint32_t p = 0; enough && p < topic->partition_count; p++) {
            fill_partition(call, &poll->parts[n++], &out->partitions[p]);
        }
        out->partition_count = enough ? topic->partition_count : 0;
        response.response_count++;
    }
    EL_ASSERT(!enough || n == poll->part_count);
    if (!enough) {
        metrics_add(poll->api->metrics, METRIC_REFUSED_MEMORY, 1);
        long_poll_release(poll);
        request_close(request, "no memory left for the answer: raise memory.max");
        return;
    }
    request->user = poll;
    request_reply_release(request, &el_schema_fetch_response, &response, fetch_on_sent);
}

/* Errors of the request as a whole; returns Kafka's code. */
static int16_t check_session(const struct el_msg_fetch_request *ask, int version)
{
    if (version < VERSION_SESSIONS || ask->session_epoch == 0 || ask->session_epoch == -1) {
        return EL_KAFKA_NONE;
    }
    return ask->session_id != 0 ? EL_KAFKA_FETCH_SESSION_ID_NOT_FOUND : EL_KAFKA_INVALID_FETCH_SESSION_EPOCH;
}

static void part_init(struct fetch_call *call, struct long_poll_part *part, const struct topic *topic, int error,
                      const struct el_msg_fetch_partition *ask)
{
    bool by_id = call->poll.request->api_version >= VERSION_TOPIC_IDS;
    part->target.by_id = by_id;
    part->partition = ask->partition;
    part->offset = ask->fetch_offset;
    part->bytes_max = (uint32_t)EL_MAX(ask->partition_max_bytes, 0);
    part->current_leader_epoch = ask->current_leader_epoch;
    part->last_fetched_epoch = ask->last_fetched_epoch;
    if (topic == NULL) {
        part->target.error = error;
    } else if (!api_partition_exists(topic, ask->partition)) {
        part->target.error = EVLOG_ERR_UNKNOWN_TOPIC;
        part->target.by_id = false; /* the id is right, the partition is not */
    } else {
        part->target.topic_id = topic->id;
    }
}

void api_fetch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_fetch_request *ask = message;
    int16_t refused = check_session(ask, request->api_version);
    if (refused != EL_KAFKA_NONE) {
        struct el_msg_fetch_response response;
        el_schema_init(&el_schema_fetch_response, &response);
        response.error_code = refused;
        metrics_add(api->metrics, METRIC_REFUSED_OTHER, 1);
        request_reply(request, &el_schema_fetch_response, &response);
        return;
    }
    if (request->throttle_ms > 0) { /* its client is in debt: as Kafka answers it */
        struct el_msg_fetch_response response;
        el_schema_init(&el_schema_fetch_response, &response);
        request_reply(request, &el_schema_fetch_response, &response);
        return;
    }
    struct fetch_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->ask = ask;
    call->poll.api = api;
    call->poll.request = request;
    call->poll.finish = fetch_finish;
    call->poll.bytes_max = (uint32_t)EL_MIN((int64_t)EL_MAX(ask->max_bytes, 0), api->node->fetch_len_max);
    call->poll.bytes_max = api_throttle_len_max(api, request, call->poll.bytes_max);
    call->poll.bytes_min = EL_MIN((uint32_t)EL_MAX(ask->min_bytes, 0), call->poll.bytes_max);
    call->poll.wait_ms = ask->max_wait_ms;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        call->poll.part_count += ask->topics[t].partition_count;
    }
    call->poll.parts = api_alloc(api, request, call->poll.part_count, sizeof *call->poll.parts);
    if (call->poll.parts == NULL) {
        return;
    }
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        bool by_id = request->api_version >= VERSION_TOPIC_IDS;
        int error = EVLOG_ERR_UNKNOWN_TOPIC_ID;
        const struct topic *topic = NULL;
        if (!by_id || !el_uuid_is_zero(&ask->topics[t].topic_id)) {
            topic = api_topic(api, request, ask->topics[t].topic, by_id ? &ask->topics[t].topic_id : NULL, &error);
        }
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            part_init(call, &call->poll.parts[n++], topic, error, &ask->topics[t].partitions[p]);
        }
    }
    long_poll_start(&call->poll);
}
