/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading partitions: which batch comes next, and its events one by one. Runs on the thread that reads.
 *
 * 1. evlog_consumer_next() goes on in the open batch, and skips what lies before the wanted offset.
 * 2. Else it opens the next one: of the partition whose turn it is, or, when ordered, the one with the lowest append
 *    time, which needs a batch (or the end) of every partition.
 * 3. When there is none it sends fetches and waits for an answer.
 *
 * The next fetch is sent when a chunk begins to be read, so that broker and reader work at the same time. A failure
 * ends the call, not the consumer: calling again tries again from the same offset.
 */
#include "consumer_state.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>

#define LEADER_WAIT_NS (20 * EL_NS_PER_MS) /* between looks for a leader that nobody knows */

int evlog_consumer_open(struct evlog_client *client, const struct evlog_consumer_options *given,
                        struct evlog_consumer **consumer, struct evlog_failure *failure)
{
    struct evlog_consumer_options full = EVLOG_CONSUMER_OPTIONS_INIT;
    const struct evlog_consumer_options *options = &full;
    if (!EL_OPTIONS_TAKE(&full, given) || options->topic == NULL) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "the options name no topic or were not initialised");
    }
    int32_t partition_count;
    struct el_topic_ask ask = {
        .name = options->topic,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    int rc = el_cluster_topic(client, &ask, &partition_count, failure);
    if (rc != 0) {
        return rc;
    }
    struct evlog_consumer *fresh = el_calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a consumer");
    }
    fresh->client = client;
    fresh->ordered = options->ordered;
    fresh->partition_count = partition_count;
    el_list_init(&fresh->fetches);
    el_client_lock(client);
    fresh->has_append_times = client->is_evlog;
    el_client_unlock(client);
    fresh->topic = el_strdup(options->topic);
    fresh->feeds = el_calloc((size_t)partition_count, sizeof *fresh->feeds);
    if (fresh->topic == NULL || fresh->feeds == NULL) {
        evlog_consumer_close(fresh);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a consumer");
    }
    fresh->event.topic = fresh->topic;
    *consumer = fresh;
    return 0;
}

int32_t evlog_consumer_partition_count(const struct evlog_consumer *consumer)
{
    return consumer->partition_count;
}

int evlog_consumer_assign(struct evlog_consumer *consumer, int32_t partition, int64_t start_offset, int64_t end_offset,
                          struct evlog_failure *failure)
{
    if (consumer->started || start_offset < EVLOG_OFFSET_EARLIEST || end_offset < -1) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "%s",
                       consumer->started ? "reading has begun already" : "an offset is out of range");
    }
    if (partition < 0 || partition >= consumer->partition_count) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s has partitions 0 to %d, not %d", consumer->topic,
                       consumer->partition_count - 1, partition);
    }
    if (start_offset < 0) {
        int rc = evlog_offset_at(consumer->client, consumer->topic, partition, start_offset, &start_offset, failure);
        if (rc != 0) {
            return rc;
        }
    }
    struct el_feed *feed = &consumer->feeds[partition];
    feed->assigned = true;
    feed->partition = partition;
    feed->position = feed->fetch_offset = start_offset;
    feed->end_offset = end_offset < 0 ? INT64_MAX : end_offset;
    feed->high_watermark = INT64_MAX;
    return 0;
}

bool evlog_consumer_at_end(const struct evlog_consumer *consumer)
{
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        if (consumer->feeds[i].assigned && !el_feed_at_end(&consumer->feeds[i])) {
            return false;
        }
    }
    return true;
}

int64_t evlog_consumer_position(const struct evlog_consumer *consumer, int32_t partition)
{
    bool known = partition >= 0 && partition < consumer->partition_count && consumer->feeds[partition].assigned;
    return known ? consumer->feeds[partition].position : -1;
}

static void drop_chunk(struct el_feed *feed)
{
    struct el_chunk *chunk = feed->head;
    feed->head = chunk->next;
    feed->tail = feed->head == NULL ? NULL : feed->tail;
    feed->chunk_count--;
    el_free(chunk);
}

void evlog_consumer_close(struct evlog_consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    el_consumer_detach(consumer);
    for (int32_t i = 0; consumer->feeds != NULL && i < consumer->partition_count; i++) {
        while (consumer->feeds[i].head != NULL) {
            drop_chunk(&consumer->feeds[i]);
        }
    }
    el_free(consumer->feeds);
    el_free(consumer->headers);
    el_free(consumer->scratch);
    el_free(consumer->topic);
    el_free(consumer);
}

/* --- the open batch --------------------------------------------------------------------------------------------- */

static void close_batch(struct evlog_consumer *consumer)
{
    struct el_feed *feed = consumer->open;
    feed->position = EL_MAX(feed->position, consumer->batch->last_offset + 1);
    consumer->open = NULL;
    feed->head->batch_index++;
    if (feed->head->batch_index == feed->head->batch_count) {
        drop_chunk(feed);
    }
}

/* Open the next batch of a feed, with more scratch memory if it must be decompressed. */
static int open_batch(struct evlog_consumer *consumer, struct el_feed *feed, struct evlog_failure *failure)
{
    const struct el_chunk_batch *batch = &feed->head->batches[feed->head->batch_index];
    const uint8_t *data = feed->head->data + batch->pos;
    int rc = el_batch_open(&consumer->iter, data, batch->len, consumer->scratch, consumer->scratch_len);
    while (rc == EVLOG_ERR_NO_MEMORY && consumer->iter.info.scratch_len_wanted > consumer->scratch_len) {
        size_t len = EL_MIN(consumer->iter.info.scratch_len_wanted, EL_BATCH_OUTPUT_MAX);
        uint8_t *scratch = el_malloc(len);
        if (scratch == NULL) {
            break;
        }
        el_free(consumer->scratch);
        consumer->scratch = scratch;
        consumer->scratch_len = len;
        rc = el_batch_open(&consumer->iter, data, batch->len, consumer->scratch, consumer->scratch_len);
    }
    if (rc != 0) {
        return el_fail(failure, rc, "%s[%d]: batch at offset %lld cannot be read: %s", consumer->topic, feed->partition,
                       (long long)el_batch_base_offset(data), evlog_error_text(rc));
    }
    consumer->open = feed;
    consumer->batch = batch;
    return 0;
}

static int fill_headers(struct evlog_consumer *consumer, const struct el_record *record)
{
    if (record->header_count > consumer->header_room) {
        struct evlog_header *grown = el_realloc(consumer->headers, record->header_count * sizeof *grown);
        if (grown == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        consumer->headers = grown;
        consumer->header_room = record->header_count;
    }
    struct el_reader headers = record->headers;
    struct el_header header;
    size_t count = 0;
    while (count < record->header_count && el_header_next(&headers, &header)) {
        consumer->headers[count++] = (struct evlog_header){
            {header.key.data, header.key.len},
            {header.value.data, header.value.len},
        };
    }
    consumer->event.headers = consumer->headers;
    consumer->event.header_count = count;
    return 0;
}

static int fill_event(struct evlog_consumer *consumer, const struct el_batch_record *record)
{
    int rc = fill_headers(consumer, &record->record);
    if (rc != 0) {
        return rc;
    }
    struct evlog_event *event = &consumer->event;
    event->partition = consumer->open->partition;
    event->leader_epoch = consumer->batch->leader_epoch;
    event->offset = record->offset;
    event->timestamp_ms = record->timestamp_ms;
    event->append_time_ns = consumer->batch->append_time_ns;
    event->key = (struct evlog_bytes){record->record.key.data, record->record.key.len};
    event->value = (struct evlog_bytes){record->record.value.data, record->record.value.len};
    return 0;
}

/* The next wanted event of the open batch. returns 1 | 0 none left, the batch is closed | negative */
static int next_in_batch(struct evlog_consumer *consumer, struct evlog_failure *failure)
{
    struct el_feed *feed = consumer->open;
    if ((consumer->iter.info.attributes & EL_BATCH_ATTR_CONTROL) != 0) {
        close_batch(consumer);
        return 0;
    }
    struct el_batch_record record;
    int rc = el_batch_next(&consumer->iter, &record);
    while (rc == 1 && record.offset < feed->position) {
        rc = el_batch_next(&consumer->iter, &record);
    }
    if (rc == 1 && record.offset < feed->end_offset) {
        rc = fill_event(consumer, &record);
        if (rc == 0) {
            feed->position = record.offset + 1;
            return 1;
        }
    }
    if (rc < 0) {
        consumer->open = NULL;
        return el_fail(failure, rc, "%s[%d]: a record at or behind offset %lld cannot be read: %s", consumer->topic,
                       feed->partition, (long long)feed->position, evlog_error_text(rc));
    }
    close_batch(consumer);
    return 0;
}

/* --- which batch ------------------------------------------------------------------------------------------------ */

/* Drop batches that lie wholly before the wanted offset or behind the end. */
static void skip_unwanted(struct el_feed *feed)
{
    while (feed->head != NULL) {
        const struct el_chunk_batch *batch = &feed->head->batches[feed->head->batch_index];
        if (!el_feed_at_end(feed) && batch->last_offset >= feed->position) {
            int64_t base = el_batch_base_offset(feed->head->data + batch->pos);
            if (base < feed->end_offset) {
                return;
            }
            feed->position = feed->end_offset;
        }
        feed->head->batch_index++;
        if (feed->head->batch_index == feed->head->batch_count) {
            drop_chunk(feed);
        }
    }
}

static struct el_feed *pick_any(struct evlog_consumer *consumer)
{
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        int32_t index = (consumer->turn + i) % consumer->partition_count;
        struct el_feed *feed = &consumer->feeds[index];
        skip_unwanted(feed);
        if (feed->head != NULL) {
            /* Stay with a chunk until it is used up: its memory is warm, and its successor is being fetched. */
            consumer->turn = index;
            return feed;
        }
    }
    return NULL;
}

static struct el_feed *pick_ordered(struct evlog_consumer *consumer)
{
    struct el_feed *best = NULL;
    int64_t best_ns = 0;
    for (int32_t i = 0; i < consumer->partition_count; i++) {
        struct el_feed *feed = &consumer->feeds[i];
        skip_unwanted(feed);
        if (!feed->assigned || el_feed_at_end(feed)) {
            continue;
        }
        if (feed->head == NULL) {
            return NULL;
        }
        if (!consumer->has_append_times) {
            return feed;
        }
        int64_t ns = feed->head->batches[feed->head->batch_index].append_time_ns;
        if (best == NULL || ns < best_ns) {
            best = feed;
            best_ns = ns;
        }
    }
    return best;
}

/* Send what is due and wait once. returns 0 | negative; lock held */
static int fetch_and_wait(struct evlog_consumer *consumer, int64_t deadline_ns, struct evlog_failure *failure)
{
    int rc = el_consumer_fetch(consumer);
    if (rc != 0) {
        return el_fail(failure, rc, "no memory to read topic %s", consumer->topic);
    }
    int64_t until_ns = EL_NEVER_NS;
    if (el_list_empty(&consumer->fetches)) {
        int64_t now_ns = el_now_ns();
        until_ns = EL_MAX(consumer->retry_at_ns, now_ns + LEADER_WAIT_NS);
        rc = consumer->retry_at_ns > now_ns ? 0 : el_consumer_no_leader(consumer, failure);
    }
    if (rc == 0) {
        (void)el_client_wait(consumer->client, EL_MIN(until_ns, deadline_ns));
    }
    return rc;
}

/* Ask for more and wait for an answer. returns 1 something came | 0 the time is over | negative */
static int wait_for_data(struct evlog_consumer *consumer, int64_t deadline_ns, struct evlog_failure *failure)
{
    struct evlog_client *client = consumer->client;
    el_client_lock(client);
    int rc = 0;
    bool answer = el_consumer_has_answer(consumer);
    while (rc == 0 && !answer && !client->stopping) {
        rc = fetch_and_wait(consumer, deadline_ns, failure);
        answer = el_consumer_has_answer(consumer);
        if (el_now_ns() >= deadline_ns) {
            break;
        }
    }
    bool stopping = client->stopping;
    el_client_unlock(client);
    if (rc == 0 && stopping) {
        rc = el_fail(failure, EVLOG_ERR_CLOSED, "the client is closed");
    }
    return rc != 0 ? rc : answer;
}

/* Open the next batch. returns 1 | 0 there is none at hand | negative */
static int advance(struct evlog_consumer *consumer, struct evlog_failure *failure)
{
    struct el_feed *feed = consumer->ordered ? pick_ordered(consumer) : pick_any(consumer);
    if (feed == NULL) {
        return 0;
    }
    if (feed->chunk_count < 2) {
        el_client_lock(consumer->client);
        int rc = el_consumer_fetch(consumer);
        el_client_unlock(consumer->client);
        if (rc != 0) {
            return el_fail(failure, rc, "no memory to read topic %s", consumer->topic);
        }
    }
    int rc = open_batch(consumer, feed, failure);
    return rc == 0 ? 1 : rc;
}

int evlog_consumer_next(struct evlog_consumer *consumer, int timeout_ms, const struct evlog_event **event,
                        struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    consumer->started = true;
    for (;;) {
        if (consumer->open != NULL) {
            int rc = next_in_batch(consumer, failure);
            if (rc == 1) {
                *event = &consumer->event;
            }
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        int rc = el_consumer_take(consumer, failure);
        if (rc != 0) {
            return rc;
        }
        rc = advance(consumer, failure);
        if (rc == 1) {
            continue;
        }
        if (rc < 0 || evlog_consumer_at_end(consumer)) {
            return rc;
        }
        rc = wait_for_data(consumer, deadline_ns, failure);
        if (rc <= 0) {
            return rc;
        }
    }
}
