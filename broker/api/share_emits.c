/* SPDX-License-Identifier: Apache-2.0
 *
 * See share_emits.h. A topic may be the event's own: a chain that ends by itself is the worker's business.
 */
#include <api/share_emits.h>

#include <config/topic_partitioner.h>
#include <stdio.h>
#include <stream/stream_batch.h>

#define MESSAGE_LEN 320u
#define STICKY_BITS 6u /* events without a key go to the same partition so long, in powers of two of offsets */

/* What is wrong with an emit; the text is made of a format with the topic's name. */
struct fault {
    int16_t error;
    const char *text;
};

static struct fault topic_fault(const struct topic *topic, int error, const struct el_msg_ext_lease_outcome_emit *emit)
{
    if (error == EVLOG_ERR_TOPIC_DENIED) {
        return (struct fault){EL_KAFKA_TOPIC_AUTHORIZATION_FAILED,
                              "no right to write to %.*s: an operator can add one (evlog acl allow)"};
    }
    if (topic == NULL) {
        return (struct fault){EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION,
                              "there is no topic %.*s to emit to: create it first"};
    }
    if (topic->internal) {
        return (struct fault){EL_KAFKA_INVALID_TOPIC_EXCEPTION, "%.*s is a topic of evlog itself"};
    }
    if (emit->partition < -1 || emit->partition >= topic->partition_count) {
        return (struct fault){EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION, "%.*s has no such partition; -1: by the key"};
    }
    return (struct fault){0};
}

/* The same rules as for what producers send. */
static struct fault record_fault(const struct api *api, const struct topic *topic,
                                 const struct el_msg_ext_lease_outcome_emit *emit, int64_t time_ms)
{
    const struct topic_config *defaults = &api->node->topic_defaults;
    int64_t now_ms = (int64_t)(io_wall(api->io) / 1000000u);
    int64_t before_ms = topic_config_int(&topic->config, defaults, TOPIC_TIMESTAMP_BEFORE_MAX_MS);
    int64_t after_ms = topic_config_int(&topic->config, defaults, TOPIC_TIMESTAMP_AFTER_MAX_MS);
    bool stamped = topic_config_int(&topic->config, defaults, TOPIC_TIMESTAMP_TYPE) == TOPIC_LOG_APPEND_TIME;
    if (emit->time < -1) {
        return (struct fault){EL_KAFKA_INVALID_TIMESTAMP, "the time of an event for %.*s is negative"};
    }
    if (!stamped && ((after_ms >= 0 && time_ms > now_ms && time_ms - now_ms > after_ms) ||
                     (before_ms >= 0 && time_ms < now_ms && now_ms - time_ms > before_ms))) {
        return (struct fault){EL_KAFKA_INVALID_TIMESTAMP,
                              "the time of an event is too far from now for %.*s (message.timestamp.*.max.ms)"};
    }
    if (emit->key.data == NULL &&
        topic_config_int(&topic->config, defaults, TOPIC_CLEANUP_POLICY) != TOPIC_CLEANUP_DELETE) {
        return (struct fault){EL_KAFKA_INVALID_RECORD, "%.*s is compacted: every event needs a key"};
    }
    return (struct fault){0};
}

/* A topic with streams: what is emitted is an event of one. */
static struct fault stream_fault(const struct topic *topic, const struct el_msg_ext_lease_outcome_emit *emit)
{
    if (!topic_config_streams(&topic->config)) {
        return (struct fault){0};
    }
    if (emit->key.data != NULL && (emit->key.len == 0 || emit->key.len > EL_STREAM_KEY_MAX)) {
        return (struct fault){EL_KAFKA_INVALID_RECORD, "%.*s has streams: a key has 1 to 4096 bytes"};
    }
    if (emit->key.data != NULL && emit->partition >= 0 &&
        emit->partition != topic_partition_of(&topic->config, emit->key, topic->partition_count)) {
        return (struct fault){EL_KAFKA_INVALID_RECORD, "%.*s has streams: the key belongs to another partition; -1: by "
                                                       "the key"};
    }
    for (uint32_t i = 0; i < emit->header_count; i++) {
        struct el_slice name = emit->headers[i].name;
        if (el_slice_eq(name, el_slice_str(STREAM_HEADER_EXPECTED)) ||
            el_slice_eq(name, el_slice_str(STREAM_HEADER_DELETED))) {
            return (struct fault){EL_KAFKA_INVALID_RECORD,
                                  "an emit to %.*s cannot expect a version or delete a stream: it is appended whatever "
                                  "the stream is at"};
        }
    }
    return (struct fault){0};
}

static bool refuse(struct share_ack *ack, const struct fault *fault, struct el_slice name, struct el_arena *arena)
{
    char *message = el_arena_alloc(arena, MESSAGE_LEN);
    if (message == NULL) {
        return false;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(message, MESSAGE_LEN, fault->text, (int)EL_MIN(name.len, (size_t)EL_TOPIC_NAME_MAX),
             name.data == NULL ? "" : (const char *)name.data);
#pragma GCC diagnostic pop
    ack->error = fault->error;
    ack->message = message;
    ack->emits_refused = true;
    return true;
}

static int32_t partition_of(const struct topic *topic, const struct el_msg_ext_lease_outcome_emit *emit, int64_t offset,
                            int32_t partition)
{
    uint32_t count = (uint32_t)topic->partition_count;
    if (emit->partition >= 0) {
        return emit->partition;
    }
    if (emit->key.data != NULL) {
        return topic_partition_of(&topic->config, emit->key, topic->partition_count);
    }
    return (int32_t)(((uint64_t)(offset >> STICKY_BITS) + (uint32_t)partition) % count);
}

/* returns NULL without memory */
static struct el_header *take_headers(const struct el_msg_ext_lease_outcome_emit *emit, struct el_arena *arena)
{
    struct el_header *headers = el_arena_alloc(arena, EL_MAX(emit->header_count, 1u) * sizeof *headers);
    for (uint32_t i = 0; headers != NULL && i < emit->header_count; i++) {
        headers[i] = (struct el_header){emit->headers[i].name, emit->headers[i].value};
    }
    return headers;
}

bool share_emits_take(struct share_ack *ack, const struct el_msg_ext_lease_outcome_range *range, int32_t partition,
                      struct lease_outcome *outcome, struct api *api, struct request *request)
{
    struct el_arena *arena = &request->arena;
    struct fault fault = {0};
    if (range->kind != LEASE_ACCEPT || range->first != range->last) {
        fault = (struct fault){EL_KAFKA_INVALID_REQUEST, "only the outcome accept of a single event may emit"};
    } else if (range->emit_count > SHARE_EMITS_MAX) {
        fault = (struct fault){EL_KAFKA_INVALID_REQUEST, "an event may emit 4096 others"};
    }
    if (fault.text != NULL) {
        return refuse(ack, &fault, (struct el_slice){0}, arena);
    }
    struct lease_emit *emits = el_arena_alloc(arena, range->emit_count * sizeof *emits);
    for (uint32_t i = 0; emits != NULL && i < range->emit_count; i++) {
        const struct el_msg_ext_lease_outcome_emit *emit = &range->emits[i];
        int error;
        const struct topic *topic = api_topic_for(api, request, EL_ACL_OP_WRITE, emit->topic, &error);
        int64_t time_ms = emit->time == -1 ? (int64_t)(io_wall(api->io) / 1000000u) : emit->time;
        fault = topic_fault(topic, error, emit);
        if (fault.text == NULL) {
            fault = record_fault(api, topic, emit, time_ms);
        }
        if (fault.text == NULL) {
            fault = stream_fault(topic, emit);
        }
        if (fault.text != NULL) {
            return refuse(ack, &fault, emit->topic, arena);
        }
        struct el_header *headers = take_headers(emit, arena);
        if (headers == NULL) {
            return false;
        }
        int32_t to = partition_of(topic, emit, range->first, partition);
        EL_ASSERT(to >= 0);
        EL_ASSERT(to < topic->partition_count);
        emits[i] = (struct lease_emit){
            .topic_id = topic->id,
            .partition = to,
            .timestamp_ms = time_ms,
            .body = {.key = emit->key, .value = emit->value, .headers = headers, .header_count = emit->header_count},
            .batch_len_max = (uint32_t)topic_config_int(&topic->config, &api->node->topic_defaults,
                                                        TOPIC_MAX_MESSAGE_BYTES),
        };
    }
    outcome->emits = emits;
    outcome->emit_count = range->emit_count;
    return emits != NULL;
}
