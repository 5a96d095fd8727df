/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_write.h.
 *
 *   1. the batch is built in the request's arena, without compression, and next to it what the index is to know of it
 *   2. it passes the check that batches of producers pass, and the topic's limits of timestamps
 *   3. store_append(); at the deadline the caller is told so, and the request is held until the append has ended
 */
#include <api/stream_write.h>

#define TIMEOUT_MS_DEFAULT 30000
#define RECORD_OVERHEAD 128u /* lengths, deltas and what else a record has besides its bytes, at most */

int stream_write_begin(struct stream_write *a, uint32_t record_max, size_t bytes, uint32_t check_max)
{
    struct el_arena *arena = &a->request->arena;
    const struct topic_config *defaults = &a->api->node->topic_defaults;
    const struct topic_config *cfg = &a->target.config;
    bool stamped = topic_config_int(cfg, defaults, TOPIC_TIMESTAMP_TYPE) == TOPIC_LOG_APPEND_TIME;
    a->batch_len_max = (uint32_t)topic_config_int(cfg, defaults, TOPIC_MAX_MESSAGE_BYTES);
    a->before_ms = stamped ? -1 : topic_config_int(cfg, defaults, TOPIC_TIMESTAMP_BEFORE_MAX_MS);
    a->after_ms = stamped ? -1 : topic_config_int(cfg, defaults, TOPIC_TIMESTAMP_AFTER_MAX_MS);
    a->now_ms = (int64_t)(io_wall(a->api->io) / 1000000u);
    if (record_max > EL_STREAM_RECORDS_MAX || bytes > a->batch_len_max) {
        return EVLOG_ERR_TOO_LARGE;
    }
    size_t len = EL_BATCH_HEADER_LEN + bytes + (size_t)record_max * RECORD_OVERHEAD;
    len = EL_MIN(len, EL_MAX((size_t)a->batch_len_max, (size_t)EL_BATCH_HEADER_LEN));
    void *buf = el_arena_alloc(arena, len);
    a->batch.records = el_arena_alloc(arena, EL_MAX(record_max, 1u) * sizeof *a->batch.records);
    a->batch.checks = el_arena_alloc(arena, EL_MAX(check_max, 1u) * sizeof *a->batch.checks);
    if (buf == NULL || a->batch.records == NULL || a->batch.checks == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    a->record_max = record_max;
    a->check_max = check_max;
    a->batch.failed_index = -1;
    a->batch.cited = -1;
    el_batch_builder_init_fixed(&a->builder, buf, len);
    return 0;
}

int stream_write_add(struct stream_write *a, const struct stream_write_event *event)
{
    const struct stream_secret *secret = streams_secret(a->api->streams);
    EL_ASSERT(a->batch.record_count < a->record_max);
    EL_ASSERT(event->key.len > 0);
    EL_ASSERT(event->key.len <= EL_STREAM_KEY_MAX);
    struct el_record_body body = {
        .key = event->key, .value = event->value, .headers = event->headers, .header_count = event->header_count};
    if (el_batch_builder_add(&a->builder, event->time_ms < 0 ? a->now_ms : event->time_ms, &body) != 0) {
        return EVLOG_ERR_TOO_LARGE;
    }
    struct stream_record *record = &a->batch.records[a->batch.record_count];
    *record = (struct stream_record){
        .key = stream_hash_key(secret, event->key),
        .key_bytes = event->key,
        .expected = event->expected,
        .offset_delta = a->batch.record_count,
        .flags = STREAM_RECORD_KEY | event->flags,
        .version = -1,
        .offset = -1,
    };
    if (event->id.data != NULL) {
        record->id = stream_hash_id(secret, event->key, event->id);
        record->flags |= STREAM_RECORD_ID;
    }
    if (event->type.data != NULL) {
        record->type = stream_hash_type(secret, event->type);
        record->flags |= STREAM_RECORD_TYPE;
    }
    a->batch.record_count++;
    return 0;
}

void stream_write_check(struct stream_write *a, struct el_slice key, int64_t expected)
{
    EL_ASSERT(a->batch.check_count < a->check_max);
    a->batch.checks[a->batch.check_count++] = (struct stream_check){
        .key = stream_hash_key(streams_secret(a->api->streams), key),
        .key_bytes = key,
        .expected = expected,
        .current = -1,
        .current_offset = -1,
    };
}

/* --- on its way --------------------------------------------------------------------------------------------------- */

static void append_answer(struct stream_write *a, int error)
{
    EL_ASSERT(!a->answered);
    a->answered = true;
    io_timer_cancel(a->api->io, &a->deadline);
    if (error != 0) {
        api_count_refusal(a->api, error);
    }
    a->finish(a, error);
}

static void append_on_done(struct store_op *op)
{
    struct stream_write *a = op->arg;
    if (a->answered) {
        request_unhold(a->request);
        return;
    }
    if (op->error == 0) {
        request_mark(a->request, REQUEST_STORED, a->api->io->now_ns);
        metrics_observe_ns(a->api->metrics, METRIC_APPEND_SECONDS, a->api->io->now_ns - a->request->received_ns);
    }
    append_answer(a, op->error);
}

static void append_on_deadline(struct io_timer *timer)
{
    struct stream_write *a = timer->arg;
    EL_ASSERT(!a->answered);
    request_hold(a->request);
    append_answer(a, EVLOG_ERR_TIMED_OUT);
}

void stream_write_submit(struct stream_write *a, int32_t timeout_ms)
{
    struct api *api = a->api;
    struct el_slice batch;
    EL_ASSERT(a->batch.record_count > 0);
    int error = el_batch_builder_finish(&a->builder, EL_CODEC_NONE, NULL, &batch);
    EL_ASSERT(error == 0);
    EL_ASSERT(!a->answered);
    EL_ASSERT(a->partition >= 0);
    error = el_batch_check(batch.data, batch.len, a->batch_len_max, NULL, 0, &a->op.info);
    int32_t late = error != 0 ? -1 : api_timestamp_fault(api, &a->op.info, a->before_ms, a->after_ms);
    if (late >= 0) {
        error = EVLOG_ERR_TIMESTAMP;
        a->message = api_textf(a->request, "event %d: its time is too far from now (message.timestamp.*.max.ms)", late);
    }
    if (error != 0) {
        append_answer(a, error);
        return;
    }
    a->op.topic_id = a->target.topic_id;
    a->op.partition = a->partition;
    a->op.batch = batch.data;
    a->op.batch_len = (uint32_t)batch.len;
    a->op.observed = &a->batch;
    a->op.base.done = append_on_done;
    a->op.base.arg = a;
    request_mark(a->request, REQUEST_CHECKED, io_mono(api->io));
    int64_t wait_ms = timeout_ms > 0 ? timeout_ms : TIMEOUT_MS_DEFAULT;
    a->op.wait_by_ns = a->request->received_ns + (uint64_t)wait_ms * 1000000u;
    a->deadline.fire = append_on_deadline;
    a->deadline.arg = a;
    io_timer_set(api->io, &a->deadline, a->request->received_ns + (uint64_t)wait_ms * 1000000u);
    store_append(api->shard, &a->op);
}
