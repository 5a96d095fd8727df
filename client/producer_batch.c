/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of a producer: which partition, which batch, and who is told in the end. Client's lock held throughout.
 *
 * 1. el_producer_choose() picks the partition: the message's own, murmur2 of the key, or the sticky one.
 * 2. el_producer_append() adds the record to the batch at the queue's tail, or closes that and begins the next.
 * 3. el_producer_batch_end() takes a batch out of its queue, gives its memory back, wakes waiters, and leaves batches
 *    with callbacks for evlog_poll().
 *
 * Fails for want of memory before anything is added. Source of the partitioner: Kafka's Java client.
 */
#include "fail.h"
#include "producer_state.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <stdio.h>

#define BATCH_OVERHEAD_LEN 512 /* of buffer.memory for the batch itself */

int32_t el_partition_of_key(const void *key, size_t key_len, int32_t partition_count)
{
    EL_ASSERT(partition_count > 0);
    return (int32_t)((el_murmur2(key, key_len) & 0x7fffffffu) % (uint32_t)partition_count);
}

static struct el_producer_topic *topic_new(const char *name)
{
    struct el_producer_topic *topic = el_calloc(1, sizeof *topic);
    if (topic == NULL) {
        return NULL;
    }
    topic->sticky = -1;
    topic->name = el_strdup(name);
    if (topic->name == NULL) {
        el_free(topic);
        return NULL;
    }
    return topic;
}

static void topic_free(struct el_producer_topic *topic)
{
    for (int32_t i = 0; i < topic->partition_count; i++) {
        el_free(topic->partitions[i]);
    }
    el_free(topic->partitions);
    el_free(topic->name);
    el_free(topic);
}

struct el_producer_topic *el_producer_topic(struct evlog_producer *producer, const char *name, int32_t partition_count)
{
    struct el_producer_topic *topic = el_map_get(&producer->topics, name, strlen(name));
    if (topic == NULL) {
        topic = topic_new(name);
        if (topic == NULL) {
            return NULL;
        }
        if (el_map_put(&producer->topics, topic->name, strlen(topic->name), topic) != 0) {
            topic_free(topic);
            return NULL;
        }
    }
    if (topic->partition_count < partition_count) {
        struct el_producer_partition **grown = el_realloc(topic->partitions, (size_t)partition_count * sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        for (int32_t i = topic->partition_count; i < partition_count; i++) {
            grown[i] = NULL;
        }
        topic->partitions = grown;
        topic->partition_count = partition_count;
    }
    return topic;
}

void el_producer_topics_free(struct evlog_producer *producer)
{
    for (size_t i = 0; i < producer->topics.count; i++) {
        topic_free(producer->topics.entries[i].value);
    }
    el_map_destroy(&producer->topics);
}

int32_t el_producer_choose(struct evlog_producer *producer, struct el_producer_topic *topic,
                           const struct evlog_message *message)
{
    if (message->partition >= 0) {
        return message->partition;
    }
    if (message->key.data != NULL) {
        return el_partition_of_key(message->key.data, message->key.len, topic->partition_count);
    }
    if (topic->sticky < 0 || topic->sticky >= topic->partition_count) {
        topic->sticky = (int32_t)el_rng_below(&producer->client->rng, (uint64_t)topic->partition_count);
    }
    return topic->sticky;
}

static struct el_producer_partition *partition_of(struct el_producer_topic *topic, int32_t index)
{
    struct el_producer_partition *partition = topic->partitions[index];
    if (partition == NULL) {
        partition = el_calloc(1, sizeof *partition);
        if (partition == NULL) {
            return NULL;
        }
        partition->topic = topic;
        partition->index = index;
        partition->producer_id = -1;
        el_list_init(&partition->active);
        el_list_init(&partition->queue);
        topic->partitions[index] = partition;
    }
    return partition;
}

static struct el_producer_batch *batch_new(struct evlog_producer *producer, struct el_producer_partition *partition)
{
    struct el_producer_batch *batch = el_calloc(1, sizeof *batch);
    if (batch == NULL) {
        return NULL;
    }
    const struct el_client_config *cfg = &producer->client->cfg;
    batch->partition = partition;
    batch->ordinal = producer->ordinal_next++;
    batch->created_ns = el_now_ns();
    batch->deadline_ns = batch->created_ns + cfg->delivery_timeout_ms * EL_NS_PER_MS;
    batch->producer_id = -1;
    batch->base_sequence = -1;
    batch->base_offset = -1;
    batch->log_append_time_ms = -1;
    batch->charged_len = BATCH_OVERHEAD_LEN;
    el_list_init(&batch->link);
    el_batch_builder_init(&batch->builder, EL_MAX(cfg->batch_len, cfg->request_len_max));
    return batch;
}

void el_producer_batch_free(struct el_producer_batch *batch)
{
    el_batch_builder_destroy(&batch->builder);
    el_free(batch->deliveries);
    el_free(batch->failure);
    el_free(batch);
}

/* Room for one more delivery. */
static int delivery_room(struct el_producer_batch *batch)
{
    if (batch->delivery_count < batch->delivery_room) {
        return 0;
    }
    uint32_t room = batch->delivery_room == 0 ? 8 : 2 * batch->delivery_room;
    struct el_delivery *grown = el_realloc(batch->deliveries, room * sizeof *grown);
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    batch->deliveries = grown;
    batch->delivery_room = room;
    return 0;
}

static struct el_producer_batch *open_batch(struct el_producer_partition *partition)
{
    if (el_list_empty(&partition->queue)) {
        return NULL;
    }
    struct el_producer_batch *batch = EL_CONTAINER(partition->queue.prev, struct el_producer_batch, link);
    return batch->closed ? NULL : batch;
}

static int add_record(struct evlog_producer *producer, struct el_producer_batch *batch,
                      const struct el_record_body *body, const struct el_delivery *delivery)
{
    bool told = delivery->fn != NULL || delivery->waiter != NULL;
    int rc = told || delivery->span != NULL ? delivery_room(batch) : 0;
    if (rc != 0) {
        return rc;
    }
    size_t before = el_batch_builder_len(&batch->builder);
    rc = el_batch_builder_add(&batch->builder, delivery->timestamp_ms, body);
    if (rc != 0) {
        return rc == EVLOG_ERR_LIMIT ? EVLOG_ERR_TOO_LARGE : rc;
    }
    size_t added = el_batch_builder_len(&batch->builder) - before + el_span_len(delivery->span);
    batch->told_count += told;
    if (told || delivery->span != NULL) {
        batch->deliveries[batch->delivery_count] = *delivery;
        batch->deliveries[batch->delivery_count++].index = batch->record_count;
    }
    batch->urgent = batch->urgent || delivery->waiter != NULL;
    batch->record_count++;
    batch->charged_len += added;
    producer->buffered_len += added;
    producer->pending_count++;
    return 0;
}

int el_producer_append(struct evlog_producer *producer, struct el_producer_topic *topic, int32_t index,
                       const struct el_record_body *body, const struct el_delivery *delivery)
{
    struct el_producer_partition *partition = partition_of(topic, index);
    if (partition == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_producer_batch *batch = open_batch(partition);
    size_t batch_len = producer->client->cfg.batch_len;
    if (batch != NULL && el_batch_builder_len_with(&batch->builder, delivery->timestamp_ms, body) > batch_len) {
        batch->closed = true;
        batch = NULL;
        topic->sticky = -1;
        el_client_wake(producer->client);
    }
    if (batch != NULL) {
        int rc = add_record(producer, batch, body, delivery);
        if (delivery->waiter != NULL) {
            el_client_wake(producer->client);
        }
        return rc;
    }
    batch = batch_new(producer, partition);
    if (batch == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = add_record(producer, batch, body, delivery);
    if (rc != 0) {
        el_producer_batch_free(batch);
        return rc;
    }
    producer->buffered_len += BATCH_OVERHEAD_LEN;
    if (el_list_empty(&partition->queue)) {
        el_list_push_back(&producer->active, &partition->active);
    }
    el_list_push_back(&partition->queue, &batch->link);
    el_client_wake(producer->client);
    return 0;
}

/* --- outcome ---------------------------------------------------------------------------------------------------- */

void el_producer_batch_failure(const struct el_producer_batch *batch, struct evlog_failure *failure)
{
    failure->size = sizeof *failure;
    if (batch->failure != NULL) {
        (void)el_fail_copy(failure, batch->failure);
    } else {
        (void)el_fail(failure, batch->code, "%s", evlog_error_text(batch->code));
        failure->in_doubt = batch->in_doubt;
    }
}

void el_producer_batch_refuse(struct evlog_producer *producer, struct el_producer_batch *batch, int code,
                              const struct evlog_failure *why)
{
    bool lost = batch->in_doubt && evlog_error_class_of(code) == EVLOG_CLASS_RETRY;
    batch->code = lost ? EVLOG_ERR_IN_DOUBT : code;
    batch->failure = el_malloc(sizeof *batch->failure);
    if (batch->failure != NULL) {
        batch->failure->size = sizeof *batch->failure;
        (void)el_fail(batch->failure, batch->code, "%s[%d]: %s%s", batch->partition->topic->name,
                      batch->partition->index, lost ? "outcome unknown: " : "",
                      why != NULL && why->text[0] != '\0' ? why->text : evlog_error_text(code));
        if (!lost && why != NULL && why->hint[0] != '\0') {
            el_fail_hint(batch->failure, "%s", why->hint);
        }
        batch->failure->kafka_code = why == NULL ? 0 : why->kafka_code;
        batch->failure->in_doubt = batch->in_doubt;
    }
    el_producer_batch_end(producer, batch);
}

static void end_span(const struct el_producer_batch *batch, struct el_delivery *delivery)
{
    struct el_span *span = delivery->span;
    delivery->span = NULL;
    el_span_locate(span, batch->partition->index, batch->base_offset < 0 ? -1 : batch->base_offset + delivery->index);
    el_span_end_code(span, batch->code, batch->failure == NULL ? NULL : batch->failure->text);
}

static void tell_waiter(const struct el_producer_batch *batch, const struct el_delivery *delivery)
{
    struct el_waiter *waiter = delivery->waiter;
    waiter->partition = batch->partition->index;
    waiter->offset = batch->base_offset < 0 ? -1 : batch->base_offset + delivery->index;
    waiter->timestamp_ms = batch->log_append_time_ms >= 0 ? batch->log_append_time_ms : delivery->timestamp_ms;
    if (batch->code != 0) {
        el_producer_batch_failure(batch, &waiter->failure);
    }
    waiter->done = true;
}

void el_producer_batch_end(struct evlog_producer *producer, struct el_producer_batch *batch)
{
    struct el_producer_partition *partition = batch->partition;
    EL_ASSERT(!batch->in_flight);
    el_list_remove(&batch->link);
    if (el_list_empty(&partition->queue)) {
        el_list_remove(&partition->active);
    }
    producer->buffered_len -= batch->charged_len;
    producer->pending_count -= batch->record_count;
    if (batch->code == 0) {
        producer->stats.stored_count += batch->record_count;
    } else {
        producer->stats.failed_count += batch->record_count;
    }
    uint32_t callbacks = 0;
    for (uint32_t i = 0; i < batch->delivery_count; i++) {
        end_span(batch, &batch->deliveries[i]);
        if (batch->deliveries[i].waiter != NULL) {
            tell_waiter(batch, &batch->deliveries[i]);
        } else {
            callbacks += batch->deliveries[i].fn != NULL;
        }
    }
    if (batch->code != 0 && batch->told_count < batch->record_count && producer->first_failure.code == 0) {
        el_producer_batch_failure(batch, &producer->first_failure);
    }
    el_batch_builder_destroy(&batch->builder);
    el_batch_builder_init(&batch->builder, EL_BATCH_LEN_MIN);
    if (callbacks > 0) {
        el_list_push_back(&producer->done, &batch->link);
    } else {
        el_producer_batch_free(batch);
    }
    el_client_notify(producer->client);
}
