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

void el_consumer_init(struct evlog_consumer *consumer, struct evlog_client *client)
{
    memset(consumer, 0, sizeof *consumer);
    consumer->client = client;
    consumer->lane = EL_LANE_FETCH;
    el_list_init(&consumer->fetches);
    el_list_init(&consumer->dropped);
    el_client_lock(client);
    consumer->has_append_times = client->is_evlog;
    el_client_unlock(client);
}

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
    el_consumer_init(fresh, client);
    fresh->ordered = options->ordered;
    fresh->partition_count = partition_count;
    fresh->topic = el_strdup(options->topic);
    if (fresh->topic == NULL) {
        evlog_consumer_close(fresh);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a consumer");
    }
    *consumer = fresh;
    return 0;
}

int32_t evlog_consumer_partition_count(const struct evlog_consumer *consumer)
{
    return consumer->partition_count;
}

/* --- feeds ------------------------------------------------------------------------------------------------------ */

/* Where a feed is, or belongs, among the feeds. */
static uint32_t place_of(const struct evlog_consumer *consumer, const char *topic, int32_t partition, bool *there)
{
    uint32_t low = 0, high = consumer->feed_count;
    *there = false;
    while (low < high && !*there) {
        uint32_t middle = low + (high - low) / 2;
        const struct el_feed *feed = consumer->feeds[middle];
        int order = strcmp(feed->topic, topic);
        order = order != 0 ? order : (feed->partition > partition) - (feed->partition < partition);
        *there = order == 0;
        low = order < 0 ? middle + 1 : order == 0 ? middle : low;
        high = order > 0 ? middle : high;
    }
    return low;
}

struct el_feed *el_consumer_find(const struct evlog_consumer *consumer, const char *topic, int32_t partition)
{
    bool there;
    uint32_t place = place_of(consumer, topic, partition, &there);
    return there ? consumer->feeds[place] : NULL;
}

static struct el_feed *feed_new(const char *topic, int32_t partition)
{
    size_t topic_len = strlen(topic);
    struct el_feed *feed = el_calloc(1, sizeof *feed + topic_len + 1);
    if (feed != NULL) {
        memcpy(feed->topic, topic, topic_len);
        feed->partition = partition;
        feed->end_offset = feed->high_watermark = INT64_MAX;
        feed->stored_offset = feed->sent_offset = -1;
        feed->stored_epoch = -1;
        feed->version = -1;
        el_list_init(&feed->link);
    }
    return feed;
}

struct el_feed *el_consumer_add(struct evlog_consumer *consumer, const char *topic, int32_t partition, int64_t offset)
{
    bool there;
    uint32_t place = place_of(consumer, topic, partition, &there);
    EL_ASSERT(!there);
    if (consumer->feed_count == consumer->feed_room) {
        uint32_t room = EL_MAX(2 * consumer->feed_room, 8u);
        struct el_feed **grown = el_realloc(consumer->feeds, room * sizeof(struct el_feed *));
        if (grown == NULL) {
            return NULL;
        }
        consumer->feeds = grown;
        consumer->feed_room = room;
    }
    struct el_feed *feed = feed_new(topic, partition);
    if (feed == NULL) {
        return NULL;
    }
    feed->position = feed->fetch_offset = offset;
    memmove(&consumer->feeds[place + 1], &consumer->feeds[place],
            (consumer->feed_count - place) * sizeof(struct el_feed *));
    consumer->feeds[place] = feed;
    consumer->feed_count++;
    return feed;
}

static void drop_chunk(struct el_feed *feed)
{
    struct el_chunk *chunk = feed->head;
    feed->position = EL_MAX(feed->position, chunk->next_offset);
    feed->head = chunk->next;
    feed->tail = feed->head == NULL ? NULL : feed->tail;
    feed->chunk_count--;
    el_span_batch_end(chunk->receive, NULL, NULL);
    el_free(chunk);
}

static void drop_chunks(struct evlog_consumer *consumer, struct el_feed *feed)
{
    consumer->open = consumer->open == feed ? NULL : consumer->open;
    while (feed->head != NULL) {
        drop_chunk(feed);
    }
}

void el_consumer_drop(struct evlog_consumer *consumer, struct el_feed *feed)
{
    bool there;
    uint32_t place = place_of(consumer, feed->topic, feed->partition, &there);
    EL_ASSERT(there);
    EL_ASSERT(consumer->feeds[place] == feed);
    drop_chunks(consumer, feed);
    consumer->feed_count--;
    memmove(&consumer->feeds[place], &consumer->feeds[place + 1],
            (consumer->feed_count - place) * sizeof(struct el_feed *));
    if (feed->fetching) {
        feed->dropped = true;
        el_list_push_back(&consumer->dropped, &feed->link);
    } else {
        el_free(feed);
    }
}

void el_consumer_jump(struct evlog_consumer *consumer, struct el_feed *feed, int64_t offset)
{
    drop_chunks(consumer, feed);
    feed->jump_count++;
    feed->position = feed->fetch_offset = offset;
    feed->high_watermark = INT64_MAX;
    feed->version = -1;
    feed->astray = false;
}

void el_consumer_destroy(struct evlog_consumer *consumer)
{
    el_consumer_detach(consumer);
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        drop_chunks(consumer, consumer->feeds[i]);
        el_free(consumer->feeds[i]);
    }
    for (struct el_list *node = el_list_pop_front(&consumer->dropped); node != NULL;
         node = el_list_pop_front(&consumer->dropped)) {
        el_free(EL_CONTAINER(node, struct el_feed, link));
    }
    el_free(consumer->feeds);
    el_free(consumer->headers);
    el_free(consumer->scratch);
    el_free(consumer->topic);
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
    struct el_feed *feed = el_consumer_find(consumer, consumer->topic, partition);
    if (feed == NULL) {
        feed = el_consumer_add(consumer, consumer->topic, partition, start_offset);
    }
    if (feed == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read topic %s", consumer->topic);
    }
    feed->position = feed->fetch_offset = start_offset;
    feed->end_offset = end_offset < 0 ? INT64_MAX : end_offset;
    return 0;
}

bool evlog_consumer_at_end(const struct evlog_consumer *consumer)
{
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        if (!el_feed_at_end(consumer->feeds[i])) {
            return false;
        }
    }
    return true;
}

int64_t evlog_consumer_position(const struct evlog_consumer *consumer, int32_t partition)
{
    const struct el_feed *feed = el_consumer_find(consumer, consumer->topic, partition);
    return feed == NULL ? -1 : feed->position;
}

void evlog_consumer_close(struct evlog_consumer *consumer)
{
    if (consumer != NULL) {
        el_consumer_destroy(consumer);
        el_free(consumer);
    }
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
        return el_fail(failure, rc, "%s[%d]: batch at offset %lld cannot be read: %s", feed->topic, feed->partition,
                       (long long)el_batch_base_offset(data), evlog_error_text(rc));
    }
    if (feed->head->batch_index == 0 && feed->head->version >= 0) {
        feed->version = feed->head->version;
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
    event->topic = consumer->open->topic;
    event->partition = consumer->open->partition;
    event->leader_epoch = consumer->batch->leader_epoch;
    event->offset = record->offset;
    event->timestamp_ms = record->timestamp_ms;
    event->append_time_ns = consumer->batch->append_time_ns;
    event->key = (struct evlog_bytes){record->record.key.data, record->record.key.len};
    event->value = (struct evlog_bytes){record->record.value.data, record->record.value.len};
    el_span_batch_add(consumer->open->head->receive, event);
    return 0;
}

static bool is_wanted(struct evlog_consumer *consumer, const struct el_record *record)
{
    struct el_consumer_filter *filter = consumer->filter;
    if (filter == NULL) {
        return true;
    }
    uint64_t steps = 0;
    enum el_pattern_verdict verdict = el_sieve_match(&filter->sieve, record, filter->scratch, &steps);
    filter->unparsable_count += verdict == EL_PATTERN_UNPARSABLE;
    filter->too_long_count += verdict == EL_PATTERN_TOO_MANY_STEPS;
    return verdict == EL_PATTERN_MATCH;
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
    while (rc == 1 && record.offset < feed->end_offset &&
           (record.offset < feed->position || !is_wanted(consumer, &record.record))) {
        rc = el_batch_next(&consumer->iter, &record);
    }
    if (rc == 1 && record.offset < feed->end_offset) {
        rc = fill_event(consumer, &record);
        if (rc == 0) {
            consumer->event_version = feed->version;
            feed->version += feed->version >= 0;
            feed->position = record.offset + 1;
            return 1;
        }
    }
    if (rc < 0) {
        consumer->open = NULL;
        return el_fail(failure, rc, "%s[%d]: a record at or behind offset %lld cannot be read: %s", feed->topic,
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
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        uint32_t index = (consumer->turn + i) % consumer->feed_count;
        struct el_feed *feed = consumer->feeds[index];
        if (feed->paused) {
            continue;
        }
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
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        struct el_feed *feed = consumer->feeds[i];
        skip_unwanted(feed);
        if (el_feed_at_end(feed)) {
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

static int no_memory(const struct evlog_consumer *consumer, int rc, struct evlog_failure *failure)
{
    return el_fail(failure, rc, "no memory to read %s%s", consumer->topic == NULL ? "partitions" : "topic ",
                   consumer->topic == NULL ? "" : consumer->topic);
}

int el_consumer_await(struct evlog_consumer *consumer, int64_t deadline_ns, struct evlog_failure *failure)
{
    int rc = el_consumer_fetch(consumer);
    if (rc != 0) {
        return no_memory(consumer, rc, failure);
    }
    int64_t until_ns = EL_NEVER_NS, now_ns = el_now_ns();
    const struct el_feed *feed;
    if (consumer->retry_at_ns > now_ns) {
        until_ns = consumer->retry_at_ns;
    } else if (el_list_empty(&consumer->fetches) && el_consumer_lacks_leader(consumer, &feed)) {
        until_ns = now_ns + LEADER_WAIT_NS;
        rc = el_consumer_no_leader(consumer, feed, failure);
    }
    if (rc == 0) {
        (void)el_client_wait(consumer->client, EL_MIN(until_ns, deadline_ns));
    }
    return rc;
}

int el_consumer_wait(struct evlog_consumer *consumer, int64_t deadline_ns, struct evlog_failure *failure)
{
    struct evlog_client *client = consumer->client;
    el_client_lock(client);
    int rc = 0;
    bool answer = el_consumer_has_answer(consumer);
    while (rc == 0 && !answer && !client->stopping) {
        rc = el_consumer_await(consumer, deadline_ns, failure);
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
            return no_memory(consumer, rc, failure);
        }
    }
    int rc = open_batch(consumer, feed, failure);
    return rc == 0 ? 1 : rc;
}

int el_consumer_event(struct evlog_consumer *consumer, struct evlog_failure *failure)
{
    for (;;) {
        if (consumer->open != NULL) {
            int rc = next_in_batch(consumer, failure);
            if (rc != 0) {
                return rc;
            }
            continue;
        }
        int rc = el_consumer_take(consumer, failure);
        if (rc == 0) {
            rc = advance(consumer, failure);
        }
        if (rc != 1) {
            return rc;
        }
    }
}

int evlog_consumer_next(struct evlog_consumer *consumer, int timeout_ms, const struct evlog_event **event,
                        struct evlog_failure *failure)
{
    int64_t deadline_ns = el_deadline(timeout_ms);
    consumer->started = true;
    for (;;) {
        int rc = el_consumer_event(consumer, failure);
        if (rc == 1) {
            *event = &consumer->event;
        }
        if (rc != 0 || evlog_consumer_at_end(consumer)) {
            return rc;
        }
        rc = el_consumer_wait(consumer, deadline_ns, failure);
        if (rc <= 0) {
            return rc;
        }
    }
}
