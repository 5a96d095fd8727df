/* SPDX-License-Identifier: Apache-2.0
 *
 * LogFetch, evlog's own: Fetch that also gives what evlog keeps with each batch: append time, leader epoch, salt.
 * Source: docs/protocol.md, evlog requests.
 */
#include <api/long_poll.h>
#include <api/throttle.h>
#include <wire/msg_ext_log_fetch.h>

struct log_fetch_call {
    struct long_poll poll;
    const struct el_msg_ext_log_fetch_request *ask;
};

static void log_fetch_on_sent(struct request *request)
{
    long_poll_release(request->user);
}

static int fill_partition(const struct log_fetch_call *call, const struct long_poll_part *part,
                          struct el_msg_ext_log_fetch_partition_result *out)
{
    out->partition = part->partition;
    out->error = api_error(part->error, part->target.by_id);
    out->high_watermark = out->log_start = -1;
    if (part->error != 0) {
        api_count_refusal(call->poll.api, part->error);
        return 0;
    }
    const struct read_op *read = &part->read;
    out->high_watermark = read->high_watermark;
    out->log_start = read->log_start_offset;
    struct el_arena *arena = &call->poll.request->arena;
    out->batches = el_schema_new(&el_schema_ext_log_fetch_batch, arena, read->entry_count);
    if (out->batches == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    EL_ASSERT(read->high_watermark >= 0);
    EL_ASSERT(read->log_start_offset >= 0);
    out->batch_count = read->entry_count;
    for (uint32_t i = 0; i < read->entry_count; i++) {
        const struct read_entry *entry = &read->entries[i];
        EL_ASSERT(entry->pos <= read->data_len);
        EL_ASSERT(entry->len <= read->data_len - entry->pos);
        memcpy(out->batches[i].salt.bytes, entry->salt, sizeof entry->salt);
        out->batches[i].batch = el_slice_of(read->data + entry->pos, entry->len);
        out->batches[i].append_time_ns = entry->append_time_ns;
        out->batches[i].leader_epoch = entry->leader_epoch;
    }
    return 0;
}

static int fill_response(struct log_fetch_call *call, struct el_msg_ext_log_fetch_response *response)
{
    const struct el_msg_ext_log_fetch_request *ask = call->ask;
    struct el_arena *arena = &call->poll.request->arena;
    response->topics = el_schema_new(&el_schema_ext_log_fetch_topic_result, arena, ask->topic_count);
    if (response->topics == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    response->topic_count = ask->topic_count;
    uint32_t n = 0;
    for (uint32_t t = 0; t < ask->topic_count; t++) {
        const struct el_msg_ext_log_fetch_topic *topic = &ask->topics[t];
        struct el_msg_ext_log_fetch_topic_result *out = &response->topics[t];
        out->topic = topic->topic;
        out->topic_id = topic->topic_id;
        out->partitions = el_schema_new(&el_schema_ext_log_fetch_partition_result, arena, topic->partition_count);
        if (out->partitions == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        out->partition_count = topic->partition_count;
        for (uint32_t p = 0; p < topic->partition_count; p++) {
            const struct long_poll_part *part = &call->poll.parts[n++];
            if (!el_uuid_is_zero(&part->target.topic_id)) {
                out->topic_id = part->target.topic_id; /* asked by name: the reader learns the id */
            }
            int error = fill_partition(call, part, &out->partitions[p]);
            if (error != 0) {
                return error;
            }
        }
    }
    EL_ASSERT(n == call->poll.part_count);
    return 0;
}

static void log_fetch_finish(struct long_poll *poll)
{
    struct log_fetch_call *call = EL_CONTAINER(poll, struct log_fetch_call, poll);
    struct request *request = poll->request;
    struct el_msg_ext_log_fetch_response response;
    el_schema_init(&el_schema_ext_log_fetch_response, &response);
    if (fill_response(call, &response) != 0) {
        metrics_add(poll->api->metrics, METRIC_REFUSED_MEMORY, 1);
        long_poll_release(poll);
        request_close(request, "no memory left for the answer: raise memory.max");
        return;
    }
    request->user = poll;
    request_reply_release(request, &el_schema_ext_log_fetch_response, &response, log_fetch_on_sent);
}

static void part_init(struct long_poll_part *part, const struct topic *topic, int error, bool by_id,
                      const struct el_msg_ext_log_fetch_partition *ask)
{
    part->target.by_id = by_id;
    part->partition = ask->partition;
    part->offset = ask->fetch_offset;
    part->bytes_max = (uint32_t)EL_MAX(ask->max_bytes, 0);
    part->current_leader_epoch = ask->leader_epoch;
    part->last_fetched_epoch = -1;
    part->want_entries = true;
    if (topic == NULL) {
        part->target.error = error;
    } else if (!api_partition_exists(topic, ask->partition)) {
        part->target.error = EVLOG_ERR_UNKNOWN_TOPIC;
        part->target.by_id = false;
    } else {
        part->target.topic_id = topic->id;
    }
}

void api_ext_log_fetch(struct api *api, struct request *request, const void *message)
{
    const struct el_msg_ext_log_fetch_request *ask = message;
    struct log_fetch_call *call = api_alloc(api, request, 1, sizeof *call);
    if (call == NULL) {
        return;
    }
    call->ask = ask;
    call->poll.api = api;
    call->poll.request = request;
    call->poll.finish = log_fetch_finish;
    call->poll.bytes_max = (uint32_t)EL_MIN((int64_t)EL_MAX(ask->max_bytes, 0), api->node->fetch_len_max);
    call->poll.bytes_max = api_throttle_len_max(api, request, call->poll.bytes_max);
    call->poll.bytes_min = (uint32_t)EL_MAX(ask->min_bytes, 0);
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
        bool by_id = !el_uuid_is_zero(&ask->topics[t].topic_id);
        int error;
        const struct topic *topic = api_topic(api, request, ask->topics[t].topic, &ask->topics[t].topic_id, &error);
        for (uint32_t p = 0; p < ask->topics[t].partition_count; p++) {
            part_init(&call->poll.parts[n++], topic, error, by_id, &ask->topics[t].partitions[p]);
        }
    }
    long_poll_start(&call->poll);
}
