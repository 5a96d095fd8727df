/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetches of a consumer: LogFetch against evlog, or FilterFetch where it has a filter; Fetch against any other broker.
 *
 * 1. el_consumer_fetch() sends at most one fetch per leader, for the partitions whose buffers run low. While some
 *    partition still has something to read, one that stands at the end of its log is left out: its fetch would wait at
 *    the broker and hold up the others.
 * 2. The internal thread only marks a fetch as finished.
 * 3. el_consumer_take(), on the reading thread, decodes the answer; the batches of each partition are checked and
 *    copied into a chunk of its own (consumer_chunk.c).
 *
 * A lost connection or a moved leader is tried again, with backoff, for request.timeout.ms; then, and on anything that
 * trying again does not mend, reading ends with the failure. Memory: at most two chunks a partition, and all chunks of
 * one answer together at most fetch.max.bytes (plus one batch).
 */
#include "consumer_state.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <stdio.h>
#include <wire/error_code.h>

#define FETCH_VERSION_MAX 12 /* 13 wants topic ids */
#define CHUNKS_MAX 2         /* buffered per partition */
#define PARTITION_LEN_MIN (16 << 10)

static void fetch_free(struct el_fetch *fetch)
{
    el_call_free(&fetch->call);
    el_arena_reset(&fetch->arena);
    el_free(fetch);
}

static void fetch_on_done(struct evlog_client *client, struct el_call *call)
{
    struct el_fetch *fetch = call->arg;
    if (fetch->consumer == NULL) {
        fetch_free(fetch);
        return;
    }
    fetch->finished = true;
    fetch->arrived_ns = el_now_ns();
    el_client_notify(client);
}

/* --- asking ----------------------------------------------------------------------------------------------------- */

static bool wants_more(const struct el_feed *feed)
{
    return !feed->fetching && !feed->paused && !feed->astray && feed->chunk_count < CHUNKS_MAX &&
           feed->fetch_offset < feed->end_offset;
}

static bool at_tail(const struct el_feed *feed)
{
    return feed->fetch_offset >= feed->high_watermark;
}

static bool leader_busy(const struct evlog_consumer *consumer, int32_t leader)
{
    EL_LIST_EACH(node, &consumer->fetches) {
        if (EL_CONTAINER(node, struct el_fetch, link)->call.node_id == leader) {
            return true;
        }
    }
    return false;
}

/* Feeds of a leader to ask for, into slots[feed_count of the consumer]; *wait: all of them are at the end of their logs
 * and nothing else is left to read. */
static uint32_t choose(struct evlog_consumer *consumer, int32_t leader, struct el_fetch_slot *slots, bool *wait)
{
    uint32_t count = 0;
    bool busy = false;
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        const struct el_feed *feed = consumer->feeds[i];
        bool ours = el_cluster_leader(consumer->client, feed->topic, feed->partition) == leader;
        bool readable = feed->head != NULL && !feed->paused && !consumer->ordered;
        busy = busy || readable || (ours && wants_more(feed) && !at_tail(feed));
    }
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        struct el_feed *feed = consumer->feeds[i];
        /* A filter may read for long where there is nothing: the others are not to wait for it. */
        if (wants_more(feed) && (!busy || consumer->ordered || consumer->filter != NULL || !at_tail(feed)) &&
            el_cluster_leader(consumer->client, feed->topic, feed->partition) == leader) {
            slots[count++] = (struct el_fetch_slot){feed, feed->jump_count};
        }
    }
    *wait = !busy;
    return count;
}

/* Slots from first on that are of one topic. */
static uint32_t run_of_topic(const struct el_fetch *fetch, uint32_t first)
{
    uint32_t count = 1;
    while (first + count < fetch->slot_count &&
           strcmp(fetch->slots[first + count].feed->topic, fetch->slots[first].feed->topic) == 0) {
        count++;
    }
    return count;
}

static uint32_t topic_count_of(const struct el_fetch *fetch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < fetch->slot_count; i += run_of_topic(fetch, i)) {
        count++;
    }
    return count;
}

/* The topic's name for as long as the request needs it: a feed may be dropped before that. */
static struct el_slice name_for(struct el_fetch *fetch, const struct el_feed *feed)
{
    char *copy = el_arena_strndup(&fetch->arena, feed->topic, strlen(feed->topic));
    return copy == NULL ? el_slice_of(NULL, 0) : el_slice_str(copy);
}

static int32_t partition_len(const struct evlog_consumer *consumer, uint32_t count)
{
    const struct el_client_config *cfg = &consumer->client->cfg;
    int32_t share = cfg->fetch_len_max / (int32_t)count;
    return EL_MIN(cfg->partition_fetch_len_max, EL_MAX(share, PARTITION_LEN_MIN));
}

static int build_plain(struct evlog_consumer *consumer, struct el_fetch *fetch, bool wait)
{
    const struct el_client_config *cfg = &consumer->client->cfg;
    struct el_msg_fetch_request *request = &fetch->request.plain;
    el_schema_init(&el_schema_fetch_request, request);
    uint32_t topic_count = topic_count_of(fetch);
    struct el_msg_fetch_topic *topic = el_schema_new(&el_schema_fetch_topic, &fetch->arena, topic_count);
    struct el_msg_fetch_partition *p = el_schema_new(&el_schema_fetch_partition, &fetch->arena, fetch->slot_count);
    if (topic == NULL || p == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->replica_id = -1;
    request->max_wait_ms = wait ? cfg->fetch_wait_ms : 0;
    request->min_bytes = EL_MAX(cfg->fetch_len_min, 1);
    request->max_bytes = cfg->fetch_len_max;
    request->isolation_level = 0;
    request->session_id = 0;
    request->session_epoch = -1;
    request->topics = topic;
    request->topic_count = topic_count;
    for (uint32_t i = 0; i < fetch->slot_count; topic++) {
        topic->topic = name_for(fetch, fetch->slots[i].feed);
        topic->partitions = &p[i];
        topic->partition_count = run_of_topic(fetch, i);
        if (topic->topic.data == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t end = i + topic->partition_count; i < end; i++) {
            p[i].partition = fetch->slots[i].feed->partition;
            p[i].current_leader_epoch = -1;
            p[i].fetch_offset = fetch->slots[i].feed->fetch_offset;
            p[i].partition_max_bytes = partition_len(consumer, fetch->slot_count);
        }
    }
    return 0;
}

static int build_log(struct evlog_consumer *consumer, struct el_fetch *fetch, bool wait)
{
    const struct el_client_config *cfg = &consumer->client->cfg;
    struct el_msg_ext_log_fetch_request *request = &fetch->request.log;
    el_schema_init(&el_schema_ext_log_fetch_request, request);
    uint32_t topic_count = topic_count_of(fetch);
    struct el_msg_ext_log_fetch_topic *topic = el_schema_new(&el_schema_ext_log_fetch_topic, &fetch->arena,
                                                             topic_count);
    struct el_msg_ext_log_fetch_partition *p = el_schema_new(&el_schema_ext_log_fetch_partition, &fetch->arena,
                                                             fetch->slot_count);
    if (topic == NULL || p == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->max_wait_ms = wait ? cfg->fetch_wait_ms : 0;
    request->min_bytes = EL_MAX(cfg->fetch_len_min, 1);
    request->max_bytes = cfg->fetch_len_max;
    request->topics = topic;
    request->topic_count = topic_count;
    for (uint32_t i = 0; i < fetch->slot_count; topic++) {
        topic->topic = name_for(fetch, fetch->slots[i].feed);
        topic->partitions = &p[i];
        topic->partition_count = run_of_topic(fetch, i);
        if (topic->topic.data == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        for (uint32_t end = i + topic->partition_count; i < end; i++) {
            p[i].partition = fetch->slots[i].feed->partition;
            p[i].fetch_offset = fetch->slots[i].feed->fetch_offset;
            p[i].max_bytes = partition_len(consumer, fetch->slot_count);
        }
    }
    return 0;
}

/* A copy for as long as the request needs it: a consumer may be closed before that. */
static bool copy_slice(struct el_arena *arena, struct el_slice from, struct el_slice *to)
{
    *to = from;
    if (from.data != NULL) {
        to->data = el_arena_dup(arena, from.len == 0 ? (const void *)"" : from.data, EL_MAX(from.len, (size_t)1));
    }
    return from.data == NULL || to->data != NULL;
}

static bool copy_slices(struct el_arena *arena, const struct el_slice *from, uint32_t count, struct el_slice **to)
{
    *to = el_arena_alloc(arena, EL_MAX(count, 1u) * sizeof **to);
    bool fine = *to != NULL;
    for (uint32_t i = 0; fine && i < count; i++) {
        fine = copy_slice(arena, from[i], &(*to)[i]);
    }
    return fine;
}

static bool copy_filter(struct evlog_consumer *consumer, struct el_fetch *fetch)
{
    const struct el_consumer_filter *filter = consumer->filter;
    struct el_msg_ext_filter_fetch_request *request = &fetch->request.filter;
    struct el_arena *arena = &fetch->arena;
    request->type_count = filter->sieve.type_count;
    request->filter_count = filter->filter_count;
    request->topic_id = filter->topic_id;
    struct el_slice topic = el_uuid_is_zero(&filter->topic_id) ? el_slice_str(consumer->topic) : el_slice_of(NULL, 0);
    return copy_slice(arena, filter->sieve.key, &request->key) &&
           copy_slice(arena, filter->sieve.prefix, &request->prefix) && copy_slice(arena, topic, &request->topic) &&
           copy_slices(arena, filter->sieve.types, filter->sieve.type_count, &request->types) &&
           copy_slices(arena, filter->filters, filter->filter_count, &request->filters);
}

static int build_filter(struct evlog_consumer *consumer, struct el_fetch *fetch, bool wait)
{
    const struct el_client_config *cfg = &consumer->client->cfg;
    const struct el_consumer_filter *filter = consumer->filter;
    struct el_msg_ext_filter_fetch_request *request = &fetch->request.filter;
    el_schema_init(&el_schema_ext_filter_fetch_request, request);
    struct el_msg_ext_filter_fetch_partition *p = el_schema_new(&el_schema_ext_filter_fetch_partition, &fetch->arena,
                                                                fetch->slot_count);
    if (p == NULL || !copy_filter(consumer, fetch)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    request->max_wait_ms = wait ? cfg->fetch_wait_ms : 0;
    request->max_bytes = cfg->fetch_len_max;
    request->partitions = p;
    request->partition_count = fetch->slot_count;
    for (uint32_t i = 0; i < fetch->slot_count; i++) {
        p[i].partition = fetch->slots[i].feed->partition;
        p[i].offset = fetch->slots[i].feed->fetch_offset;
        p[i].max_bytes = partition_len(consumer, fetch->slot_count);
        p[i].version = filter->one_stream && fetch->slots[i].feed->version < 0;
    }
    return 0;
}

static int build(struct evlog_consumer *consumer, struct el_fetch *fetch, bool wait)
{
    switch (fetch->api) {
    case EL_API_FilterFetch:
        return build_filter(consumer, fetch, wait);
    case EL_API_LogFetch:
        return build_log(consumer, fetch, wait);
    default:
        return build_plain(consumer, fetch, wait);
    }
}

static enum el_api_key api_for(const struct evlog_consumer *consumer)
{
    if (!consumer->has_append_times) {
        return EL_API_Fetch;
    }
    return consumer->filter != NULL && !consumer->filter->unsupported ? EL_API_FilterFetch : EL_API_LogFetch;
}

static struct el_fetch *fetch_new(struct evlog_consumer *consumer)
{
    struct el_fetch *fetch = el_calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        return NULL;
    }
    fetch->consumer = consumer;
    fetch->api = api_for(consumer);
    el_list_init(&fetch->link);
    el_arena_init(&fetch->arena, NULL, 0);
    el_call_init(&fetch->call, el_api_find(fetch->api), &fetch->request);
    fetch->call.lane = consumer->lane;
    fetch->call.on_done = fetch_on_done;
    fetch->call.arg = fetch;
    fetch->call.version_max = FETCH_VERSION_MAX;
    fetch->slots = el_arena_alloc(&fetch->arena, (size_t)consumer->feed_count * sizeof *fetch->slots);
    if (fetch->slots == NULL) {
        fetch_free(fetch);
        return NULL;
    }
    return fetch;
}

/* One fetch from a leader, when it has something to be asked for. */
static int fetch_from(struct evlog_consumer *consumer, int32_t leader)
{
    struct el_fetch *fetch = fetch_new(consumer);
    if (fetch == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    bool wait;
    fetch->slot_count = choose(consumer, leader, fetch->slots, &wait);
    if (fetch->slot_count == 0) {
        fetch_free(fetch);
        return 0;
    }
    int rc = build(consumer, fetch, wait);
    if (rc != 0) {
        fetch_free(fetch);
        return rc;
    }
    for (uint32_t i = 0; i < fetch->slot_count; i++) {
        fetch->slots[i].feed->fetching = true;
    }
    const struct el_client_config *cfg = &consumer->client->cfg;
    fetch->call.node_id = leader;
    fetch->sent_ns = el_now_ns();
    fetch->call.deadline_ns = fetch->sent_ns + (cfg->request_timeout_ms + cfg->fetch_wait_ms) * EL_NS_PER_MS;
    el_list_push_back(&consumer->fetches, &fetch->link);
    el_call_submit(consumer->client, &fetch->call);
    return 0;
}

int el_consumer_fetch(struct evlog_consumer *consumer)
{
    if (consumer->retry_at_ns > el_now_ns()) {
        return 0;
    }
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        const struct el_feed *feed = consumer->feeds[i];
        if (!wants_more(feed)) {
            continue;
        }
        int32_t leader = el_cluster_leader(consumer->client, feed->topic, feed->partition);
        if (leader < 0) {
            el_cluster_suspect(consumer->client);
            continue;
        }
        int rc = leader_busy(consumer, leader) ? 0 : fetch_from(consumer, leader);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* --- answers ---------------------------------------------------------------------------------------------------- */

/* Something failed that may mend itself: wait and try again, until it has lasted too long. */
static int trouble(struct evlog_consumer *consumer, const struct evlog_failure *why, struct evlog_failure *failure)
{
    struct evlog_client *client = consumer->client;
    int64_t now_ns = el_now_ns();
    consumer->trouble_ns = consumer->trouble_ns == 0 ? now_ns : consumer->trouble_ns;
    consumer->trouble_count++;
    if (now_ns - consumer->trouble_ns >= client->cfg.request_timeout_ms * EL_NS_PER_MS || client->stopping) {
        return el_fail_copy(failure, why);
    }
    el_client_lock(client);
    consumer->retry_at_ns = now_ns + el_client_backoff_ns(client, consumer->trouble_count, client->cfg.retry_backoff_ms,
                                                          client->cfg.retry_backoff_max_ms);
    el_cluster_suspect(client);
    el_client_unlock(client);
    return 0;
}

static int partition_error(struct evlog_consumer *consumer, struct el_feed *feed, int kafka_code,
                           struct evlog_failure *failure)
{
    if (kafka_code == EL_KAFKA_OFFSET_OUT_OF_RANGE && consumer->resets) {
        feed->astray = consumer->has_astray = true;
        return 0;
    }
    if (kafka_code == EL_KAFKA_UNKNOWN_TOPIC_ID && consumer->filter != NULL) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC_ID, "topic %s, as it was when reading began, is deleted",
                       feed->topic);
    }
    char what[300];
    (void)snprintf(what, sizeof what, "%s[%d] at offset %lld", feed->topic, feed->partition,
                   (long long)feed->fetch_offset);
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    (void)el_fail_kafka(&why, kafka_code, el_slice_of(NULL, 0), what);
    el_fail_right(&why, "read topic", feed->topic);
    return el_kafka_error_retriable(kafka_code) ? trouble(consumer, &why, failure) : el_fail_copy(failure, &why);
}

/* The feed that a part of an answer belongs to; NULL: none, or it has jumped meanwhile. Answers mostly come in the
 * order of the questions. */
static struct el_feed *feed_of(struct el_fetch *fetch, struct el_slice topic, int32_t partition)
{
    for (uint32_t i = 0; i < fetch->slot_count; i++) {
        uint32_t index = (fetch->slot_turn + i) % fetch->slot_count;
        const struct el_fetch_slot *slot = &fetch->slots[index];
        if (slot->feed->partition == partition && el_slice_eq(topic, el_slice_str(slot->feed->topic))) {
            fetch->slot_turn = index + 1;
            bool counts = !slot->feed->dropped && slot->feed->jump_count == slot->jump_count;
            return counts ? slot->feed : NULL;
        }
    }
    return NULL;
}

static int batch_error(const struct el_feed *feed, int code, struct evlog_failure *failure)
{
    return el_fail(failure, code, "%s[%d] at offset %lld: %s", feed->topic, feed->partition,
                   (long long)feed->fetch_offset, evlog_error_text(code));
}

/* A feed has taken its part of an answer: what is read of it will be in the span of the fetch. */
static int taken(const struct evlog_consumer *consumer, const struct el_fetch *fetch, struct el_feed *feed,
                 const struct el_chunk *before)
{
    if (el_trace_on(consumer->client) && !consumer->quiet && feed->tail != NULL && feed->tail != before) {
        struct el_span_about about = {
            .kind = EVLOG_SPAN_CLIENT,
            .operation = "receive",
            .operation_type = "receive",
            .topic = feed->topic,
            .group = consumer->group,
            .projection = consumer->projection,
            .partition = feed->partition,
        };
        feed->tail->receive = el_span_batch_received(consumer->client, &about, fetch->sent_ns, fetch->arrived_ns);
    }
    return 0;
}

static int take_plain_answer(struct evlog_consumer *consumer, struct el_fetch *fetch, struct evlog_failure *failure)
{
    struct el_msg_fetch_response response;
    int rc = el_call_decode(&fetch->call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error_code != 0) {
        return el_fail_kafka(failure, response.error_code, el_slice_of(NULL, 0), "fetch");
    }
    for (uint32_t i = 0; rc == 0 && i < response.response_count; i++) {
        const struct el_msg_fetch_topic_result *topic = &response.responses[i];
        for (uint32_t j = 0; rc == 0 && j < topic->partition_count; j++) {
            const struct el_msg_fetch_partition_result *result = &topic->partitions[j];
            struct el_feed *feed = feed_of(fetch, topic->topic, result->partition_index);
            if (feed == NULL) {
                continue;
            }
            if (result->error_code != 0) {
                rc = partition_error(consumer, feed, result->error_code, failure);
                continue;
            }
            consumer->trouble_ns = 0;
            consumer->trouble_count = 0;
            const struct el_chunk *before = feed->tail;
            rc = el_feed_take_plain(feed, result);
            rc = rc == 0 ? taken(consumer, fetch, feed, before) : batch_error(feed, rc, failure);
        }
    }
    return rc;
}

static int take_log_answer(struct evlog_consumer *consumer, struct el_fetch *fetch, struct evlog_failure *failure)
{
    struct el_msg_ext_log_fetch_response response;
    int rc = el_call_decode(&fetch->call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error != 0) {
        return el_fail_kafka(failure, response.error, response.message, "fetch");
    }
    for (uint32_t i = 0; rc == 0 && i < response.topic_count; i++) {
        const struct el_msg_ext_log_fetch_topic_result *topic = &response.topics[i];
        for (uint32_t j = 0; rc == 0 && j < topic->partition_count; j++) {
            const struct el_msg_ext_log_fetch_partition_result *result = &topic->partitions[j];
            struct el_feed *feed = feed_of(fetch, topic->topic, result->partition);
            if (feed == NULL) {
                continue;
            }
            if (result->error != 0) {
                rc = partition_error(consumer, feed, result->error, failure);
                continue;
            }
            consumer->trouble_ns = 0;
            consumer->trouble_count = 0;
            const struct el_chunk *before = feed->tail;
            rc = el_feed_take_log(feed, result);
            rc = rc == 0 ? taken(consumer, fetch, feed, before) : batch_error(feed, rc, failure);
        }
    }
    return rc;
}

static int take_filter_answer(struct evlog_consumer *consumer, struct el_fetch *fetch, struct evlog_failure *failure)
{
    struct el_msg_ext_filter_fetch_response response;
    int rc = el_call_decode(&fetch->call, &response, failure);
    if (rc != 0) {
        return rc;
    }
    if (response.error != 0) {
        rc = el_fail_kafka(failure, response.error, response.message, consumer->topic);
        el_fail_right(failure, "read topic", consumer->topic);
        return rc;
    }
    for (uint32_t i = 0; rc == 0 && i < response.partition_count; i++) {
        const struct el_msg_ext_filter_fetch_result *result = &response.partitions[i];
        struct el_feed *feed = feed_of(fetch, el_slice_str(consumer->topic), result->partition);
        if (feed == NULL) {
            continue;
        }
        if (result->error != 0) {
            rc = partition_error(consumer, feed, result->error, failure);
            continue;
        }
        consumer->trouble_ns = 0;
        consumer->trouble_count = 0;
        const struct el_chunk *before = feed->tail;
        rc = el_feed_take_filter(feed, result);
        rc = rc == 0 ? taken(consumer, fetch, feed, before) : batch_error(feed, rc, failure);
    }
    return rc;
}

static int take_answer(struct evlog_consumer *consumer, struct el_fetch *fetch, struct evlog_failure *failure)
{
    switch (fetch->api) {
    case EL_API_FilterFetch:
        return take_filter_answer(consumer, fetch, failure);
    case EL_API_LogFetch:
        return take_log_answer(consumer, fetch, failure);
    default:
        return take_plain_answer(consumer, fetch, failure);
    }
}

static bool may_mend(int code)
{
    return code == EVLOG_ERR_CLOSED || code == EVLOG_ERR_UNREACHABLE || code == EVLOG_ERR_TIMED_OUT;
}

static int take_fetch(struct evlog_consumer *consumer, struct el_fetch *fetch, struct evlog_failure *failure)
{
    int rc;
    consumer->answer_count++;
    if (fetch->call.failure.code == 0) {
        rc = take_answer(consumer, fetch, failure);
    } else if (fetch->api == EL_API_FilterFetch && fetch->call.failure.code == EVLOG_ERR_UNSUPPORTED) {
        consumer->filter->unsupported = true; /* an older one: all of it is fetched */
        rc = 0;
    } else if (may_mend(fetch->call.failure.code)) {
        rc = trouble(consumer, &fetch->call.failure, failure);
    } else {
        rc = el_fail_copy(failure, &fetch->call.failure);
    }
    for (uint32_t i = 0; i < fetch->slot_count; i++) {
        struct el_feed *feed = fetch->slots[i].feed;
        feed->fetching = false;
        if (feed->dropped) {
            el_list_remove(&feed->link);
            el_free(feed);
        }
    }
    return rc;
}

bool el_consumer_lacks_leader(struct evlog_consumer *consumer, const struct el_feed **feed)
{
    for (uint32_t i = 0; i < consumer->feed_count; i++) {
        *feed = consumer->feeds[i];
        if (wants_more(*feed) && el_cluster_leader(consumer->client, (*feed)->topic, (*feed)->partition) < 0) {
            return true;
        }
    }
    return false;
}

int el_consumer_no_leader(struct evlog_consumer *consumer, const struct el_feed *feed, struct evlog_failure *failure)
{
    int64_t now_ns = el_now_ns();
    consumer->trouble_ns = consumer->trouble_ns == 0 ? now_ns : consumer->trouble_ns;
    if (now_ns - consumer->trouble_ns < consumer->client->cfg.request_timeout_ms * EL_NS_PER_MS) {
        return 0;
    }
    return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s is gone, or no node leads its partitions", feed->topic);
}

bool el_consumer_has_answer(const struct evlog_consumer *consumer)
{
    EL_LIST_EACH(node, &consumer->fetches) {
        if (EL_CONTAINER(node, struct el_fetch, link)->finished) {
            return true;
        }
    }
    return false;
}

int el_consumer_take(struct evlog_consumer *consumer, struct evlog_failure *failure)
{
    struct el_list finished;
    el_list_init(&finished);
    el_client_lock(consumer->client);
    EL_LIST_EACH_SAFE(node, next, &consumer->fetches) {
        if (EL_CONTAINER(node, struct el_fetch, link)->finished) {
            el_list_remove(node);
            el_list_push_back(&finished, node);
        }
    }
    el_client_unlock(consumer->client);
    int rc = 0;
    for (struct el_list *node = el_list_pop_front(&finished); node != NULL; node = el_list_pop_front(&finished)) {
        struct el_fetch *fetch = EL_CONTAINER(node, struct el_fetch, link);
        int its = take_fetch(consumer, fetch, rc == 0 ? failure : NULL);
        rc = rc == 0 ? its : rc;
        fetch_free(fetch);
    }
    return rc;
}

void el_consumer_detach(struct evlog_consumer *consumer)
{
    el_client_lock(consumer->client);
    EL_LIST_EACH_SAFE(node, next, &consumer->fetches) {
        struct el_fetch *fetch = EL_CONTAINER(node, struct el_fetch, link);
        el_list_remove(node);
        fetch->consumer = NULL;
        if (fetch->finished) {
            fetch_free(fetch);
        }
    }
    el_client_unlock(consumer->client);
}
