/* SPDX-License-Identifier: Apache-2.0
 *
 * The public face of a producer: publish, flush, poll, close.
 *
 * 1. A publishing thread makes sure the topic's partitions are known (may block), waits for room in buffer.memory,
 *    and adds the record to a batch under the client's lock.
 * 2. The internal thread sends batches (producer_send.c).
 * 3. Blocking publishers wait on the client's condition; callbacks wait in producer->done for evlog_poll().
 *
 * Closing is a handshake: the internal thread gives up what waits, detaches requests on their way, and says so.
 */
#include "fail.h"
#include "producer_state.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>

#define HEADER_COUNT_MAX 10000
#define TRACE_LEN_MAX 256 /* bytes that a traceparent adds to an event, and more */

int evlog_producer_open(struct evlog_client *client, struct evlog_producer **producer, struct evlog_failure *failure)
{
    struct evlog_producer *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a producer");
    }
    fresh->client = client;
    fresh->producer_id = -1;
    fresh->first_failure.size = sizeof fresh->first_failure;
    el_map_init(&fresh->topics, NULL);
    el_list_init(&fresh->active);
    el_list_init(&fresh->done);
    el_client_lock(client);
    el_list_push_back(&client->producers, &fresh->link);
    el_client_unlock(client);
    *producer = fresh;
    return 0;
}

/* --- publish ---------------------------------------------------------------------------------------------------- */

static int check_message(const struct evlog_producer *producer, const struct evlog_message *message,
                         struct evlog_failure *failure)
{
    if (message->size < offsetof(struct evlog_message, header_count) + sizeof message->header_count) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the message was not initialised with EVLOG_MESSAGE_INIT");
    }
    size_t topic_len = message->topic == NULL ? 0 : strlen(message->topic);
    if (topic_len == 0 || topic_len > EL_TOPIC_NAME_MAX) {
        return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "a topic's name has 1 to %d characters", EL_TOPIC_NAME_MAX);
    }
    if (message->partition < -1 || message->timestamp_ms < -1 || message->header_count > HEADER_COUNT_MAX) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "partition, time or number of headers is out of range");
    }
    size_t len = message->key.len;
    size_t len_max = EL_MIN(producer->client->cfg.request_len_max, producer->client->cfg.buffer_len_max);
    bool fits = message->key.len <= len_max && message->value.len <= len_max;
    len += fits ? message->value.len : 0;
    for (size_t i = 0; fits && i < message->header_count; i++) {
        const struct evlog_header *header = &message->headers[i];
        if (header->key.data == NULL) {
            return el_fail(failure, EVLOG_ERR_ARGUMENT, "header %zu has no name", i);
        }
        fits = header->key.len <= len_max && header->value.len <= len_max && len <= len_max;
        len += fits ? header->key.len + header->value.len : 0;
    }
    if (!fits || len > len_max) {
        return el_fail(failure, EVLOG_ERR_TOO_LARGE,
                       "an event for topic %s is larger than max.request.size or buffer.memory allow (%zu bytes)",
                       message->topic, len_max);
    }
    return 0;
}

/* Wait until the producer's buffers have room; lock held. */
static int wait_for_room(struct evlog_producer *producer, int64_t deadline_ns, struct evlog_failure *failure)
{
    struct evlog_client *client = producer->client;
    producer->memory_waiters++;
    int rc = 0;
    while (rc == 0 && producer->buffered_len >= client->cfg.buffer_len_max) {
        el_client_wake(client);
        if (!el_client_wait(client, deadline_ns) && producer->buffered_len >= client->cfg.buffer_len_max) {
            rc = el_fail(failure, EVLOG_ERR_FULL,
                         "buffer.memory (%zu bytes) is full of events that the broker has not taken",
                         client->cfg.buffer_len_max);
        }
    }
    producer->memory_waiters--;
    return rc;
}

static int append_locked(struct evlog_producer *producer, const struct evlog_message *message, int32_t partition_count,
                         const struct el_record_body *body, const struct el_delivery *delivery,
                         struct evlog_failure *failure)
{
    if (producer->closing || producer->client->stopping) {
        return el_fail(failure, EVLOG_ERR_CLOSED, "the producer is closed");
    }
    struct el_producer_topic *topic = el_producer_topic(producer, message->topic, partition_count);
    if (topic == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for topic %s", message->topic);
    }
    int32_t partition = el_producer_choose(producer, topic, message);
    if (partition >= partition_count) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s has partitions 0 to %d, not %d", message->topic,
                       partition_count - 1, partition);
    }
    int rc = el_producer_append(producer, topic, partition, body, delivery);
    if (rc != 0) {
        return el_fail(failure, rc, "an event for topic %s cannot be taken: %s", message->topic, evlog_error_text(rc));
    }
    return 0;
}

/* A span on its way, and the headers that carry it. */
struct traced {
    bool on;
    struct el_trace_place place;
    char parent[EVLOG_TRACEPARENT_LEN + 1];
};

static void trace(const struct evlog_producer *producer, const struct evlog_message *message, struct traced *traced)
{
    const struct evlog_client *client = producer->client;
    size_t len = message->key.len + message->value.len + TRACE_LEN_MAX;
    for (size_t i = 0; i < message->header_count; i++) {
        len += message->headers[i].key.len + message->headers[i].value.len;
    }
    bool fits = len <= EL_MIN(client->cfg.request_len_max, client->cfg.buffer_len_max);
    traced->on = fits && el_trace_decide(client, message->headers, message->header_count, &traced->place);
    if (traced->on) {
        evlog_traceparent_format(&traced->place.context, traced->parent);
    }
}

static struct el_span *begin_span(const struct evlog_client *client, const struct evlog_message *message,
                                  const struct traced *traced)
{
    struct el_span_about about = {
        .kind = EVLOG_SPAN_PRODUCER,
        .operation = "publish",
        .operation_type = "send",
        .topic = message->topic,
        .headers = message->headers,
        .header_count = message->header_count,
        .partition = message->partition,
        .offset = -1,
        .body_len = (int64_t)message->value.len,
    };
    return el_span_begin(client, &traced->place, &about);
}

/* Public headers as the codec's, [count] on the stack for few, else on the heap. A message that is traced gets its own
 * span's context in place of the one it came with. returns NULL: no memory */
static struct el_header *convert_headers(const struct evlog_message *message, const struct traced *traced,
                                         struct el_header *few, size_t few_count, size_t *count)
{
    struct el_header *headers = few;
    size_t n = 0;
    if (message->header_count + 2 > few_count) {
        headers = el_malloc((message->header_count + 2) * sizeof *headers);
    }
    for (size_t i = 0; headers != NULL && i < message->header_count; i++) {
        const struct evlog_header *header = &message->headers[i];
        if (!traced->on || !el_trace_is_header(header)) {
            headers[n].key = el_slice_of(header->key.data, header->key.len);
            headers[n++].value = el_slice_of(header->value.data, header->value.len);
        }
    }
    if (headers != NULL && traced->on) {
        headers[n].key = el_slice_str(EVLOG_TRACEPARENT);
        headers[n++].value = el_slice_of(traced->parent, EVLOG_TRACEPARENT_LEN);
    }
    if (headers != NULL && traced->on && traced->place.state.data != NULL) {
        headers[n].key = el_slice_str(EVLOG_TRACESTATE);
        headers[n++].value = el_slice_of(traced->place.state.data, traced->place.state.len);
    }
    *count = n;
    return headers;
}

static int publish(struct evlog_producer *producer, const struct evlog_message *message, struct el_delivery *delivery,
                   struct evlog_failure *failure)
{
    int rc = check_message(producer, message, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_client *client = producer->client;
    int64_t deadline_ns = el_deadline(client->cfg.block_max_ms);
    struct el_topic_ask ask = {
        .name = message->topic,
        .create = client->cfg.auto_create,
        .deadline_ns = deadline_ns,
    };
    int32_t partition_count;
    rc = el_cluster_topic(client, &ask, &partition_count, failure);
    if (rc != 0) {
        return rc;
    }
    struct el_header few[32];
    struct traced traced = {.on = false};
    size_t header_count;
    if (el_trace_on(client)) {
        trace(producer, message, &traced);
    }
    struct el_header *headers = convert_headers(message, &traced, few, 32, &header_count);
    if (headers == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the headers of an event");
    }
    struct el_record_body body = {
        .key = el_slice_of(message->key.data, message->key.len),
        .value = el_slice_of(message->value.data, message->value.len),
        .headers = headers,
        .header_count = header_count,
    };
    delivery->span = traced.on ? begin_span(client, message, &traced) : NULL;
    delivery->timestamp_ms = message->timestamp_ms >= 0 ? message->timestamp_ms : el_unix_ms();
    el_client_lock(client);
    rc = wait_for_room(producer, deadline_ns, failure);
    if (rc == 0) {
        rc = append_locked(producer, message, partition_count, &body, delivery, failure);
    }
    el_client_unlock(client);
    if (headers != few) {
        el_free(headers);
    }
    if (rc != 0) {
        el_span_end_code(delivery->span, rc, evlog_error_text(rc));
    }
    return rc;
}

int evlog_publish_async(struct evlog_producer *producer, const struct evlog_message *message, evlog_delivery_fn fn,
                        void *arg, struct evlog_failure *failure)
{
    struct el_delivery delivery = {.fn = fn, .arg = arg};
    return publish(producer, message, &delivery, failure);
}

int evlog_publish(struct evlog_producer *producer, const struct evlog_message *message, struct evlog_receipt *receipt,
                  struct evlog_failure *failure)
{
    struct el_waiter waiter = {.failure = EVLOG_FAILURE_INIT};
    struct el_delivery delivery = {.waiter = &waiter};
    int rc = publish(producer, message, &delivery, failure);
    if (rc != 0) {
        return rc;
    }
    el_client_lock(producer->client);
    while (!waiter.done) {
        (void)el_client_wait(producer->client, EL_NEVER_NS);
    }
    el_client_unlock(producer->client);
    if (waiter.failure.code != 0) {
        return el_fail_copy(failure, &waiter.failure);
    }
    if (receipt != NULL) {
        struct evlog_receipt full = {receipt->size, waiter.partition, waiter.offset, waiter.timestamp_ms};
        memcpy(receipt, &full, EL_MIN(receipt->size, sizeof full));
    }
    return 0;
}

/* --- flush and poll --------------------------------------------------------------------------------------------- */

/* Close the open batches, and say whether a batch older than the limit is still on its way. Lock held. */
static bool has_older(struct evlog_producer *producer, uint64_t ordinal_limit)
{
    EL_LIST_EACH(node, &producer->active) {
        struct el_producer_partition *partition = EL_CONTAINER(node, struct el_producer_partition, active);
        struct el_producer_batch *oldest = EL_CONTAINER(partition->queue.next, struct el_producer_batch, link);
        if (oldest->ordinal < ordinal_limit) {
            return true;
        }
    }
    return false;
}

static void close_open_batches(struct evlog_producer *producer)
{
    EL_LIST_EACH(node, &producer->active) {
        struct el_producer_partition *partition = EL_CONTAINER(node, struct el_producer_partition, active);
        EL_CONTAINER(partition->queue.prev, struct el_producer_batch, link)->closed = true;
    }
}

int evlog_flush(struct evlog_producer *producer, int timeout_ms, struct evlog_failure *failure)
{
    struct evlog_client *client = producer->client;
    int64_t deadline_ns = el_deadline(timeout_ms);
    el_client_lock(client);
    uint64_t ordinal_limit = producer->ordinal_next;
    close_open_batches(producer);
    el_client_wake(client);
    producer->flush_waiters++;
    int rc = 0;
    while (rc == 0 && has_older(producer, ordinal_limit)) {
        if (!el_client_wait(client, deadline_ns) && has_older(producer, ordinal_limit)) {
            rc = el_fail(failure, EVLOG_ERR_TIMED_OUT, "%llu events are still on their way",
                         (unsigned long long)producer->pending_count);
        }
    }
    producer->flush_waiters--;
    if (rc == 0 && producer->first_failure.code != 0) {
        rc = el_fail_copy(failure, &producer->first_failure);
        producer->first_failure.code = 0;
    }
    el_client_unlock(client);
    return rc;
}

static int run_callbacks(struct el_producer_batch *batch)
{
    int count = 0;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (batch->code != 0) {
        el_producer_batch_failure(batch, &failure);
    }
    for (uint32_t i = 0; i < batch->delivery_count; i++) {
        const struct el_delivery *delivery = &batch->deliveries[i];
        if (delivery->fn == NULL) {
            continue;
        }
        struct evlog_receipt receipt = {
            .size = sizeof receipt,
            .partition = batch->partition->index,
            .offset = batch->base_offset < 0 ? -1 : batch->base_offset + delivery->index,
            .timestamp_ms = batch->log_append_time_ms >= 0 ? batch->log_append_time_ms : delivery->timestamp_ms,
        };
        delivery->fn(delivery->arg, batch->code == 0 ? &receipt : NULL, batch->code == 0 ? NULL : &failure);
        count++;
    }
    return count;
}

int evlog_poll(struct evlog_producer *producer, int timeout_ms)
{
    struct evlog_client *client = producer->client;
    int64_t deadline_ns = el_deadline(timeout_ms);
    struct el_list due;
    int count = 0;
    el_list_init(&due);
    el_client_lock(client);
    while (el_list_empty(&producer->done) && timeout_ms != 0 && !producer->closed &&
           (timeout_ms > 0 || producer->pending_count > 0)) {
        if (!el_client_wait(client, deadline_ns)) {
            break;
        }
    }
    el_list_splice_back(&due, &producer->done);
    el_client_unlock(client);
    while (!el_list_empty(&due)) {
        struct el_producer_batch *batch = EL_CONTAINER(due.next, struct el_producer_batch, link);
        el_list_remove(&batch->link);
        count += run_callbacks(batch);
        el_producer_batch_free(batch);
    }
    count += el_client_tell_log(client);
    el_client_settle(client);
    return count;
}

void evlog_producer_stats(struct evlog_producer *producer, struct evlog_producer_stats *stats)
{
    el_client_lock(producer->client);
    struct evlog_producer_stats full = producer->stats;
    full.buffered_len = producer->buffered_len;
    el_client_unlock(producer->client);
    full.size = stats->size;
    memcpy(stats, &full, EL_MIN(stats->size, sizeof full));
}

void evlog_producer_close(struct evlog_producer *producer)
{
    if (producer == NULL) {
        return;
    }
    struct evlog_client *client = producer->client;
    el_client_lock(client);
    producer->closing = true;
    el_client_wake(client);
    while (!producer->closed) {
        (void)el_client_wait(client, EL_NEVER_NS);
    }
    el_client_unlock(client);
    (void)evlog_poll(producer, 0);
    el_producer_topics_free(producer);
    el_free(producer);
}
