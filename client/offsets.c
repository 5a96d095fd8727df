/* SPDX-License-Identifier: Apache-2.0
 *
 * Where times and ends lie: ListOffsets for any broker, Cut for evlog. All blocking, any thread.
 *
 * ListOffsets goes to the leader of each partition: partitions are grouped by leader, and those that answer "not the
 * leader" are asked again after the topic's metadata was refreshed, until request.timeout.ms is over.
 */
#include "offsets.h"
#include "fail.h"

#include <core/alloc.h>
#include <evlog/consumer.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_ext_cut.h>
#include <wire/msg_list_offsets.h>

/* One question about partitions of a topic; answered ones have done set. */
struct question {
    struct evlog_client *client;
    const char *topic;
    int64_t time_ms;
    const int32_t *partitions; /* [count] */
    int64_t *offsets;          /* [count] */
    bool *answered;            /* [count] */
    int32_t count;
    int64_t deadline_ns;
};

/* The leader of the first unanswered partition, and a request for all of that leader's. */
static int32_t build(const struct question *q, struct el_msg_list_offsets_request *request,
                     struct el_msg_list_offsets_topic *topic)
{
    int32_t leader = -1;
    el_client_lock(q->client);
    for (int32_t i = 0; i < q->count; i++) {
        int32_t its = q->answered[i] ? -1 : el_cluster_leader(q->client, q->topic, q->partitions[i]);
        if (its < 0 || (leader >= 0 && its != leader)) {
            continue;
        }
        leader = its;
        struct el_msg_list_offsets_partition *entry = &topic->partitions[topic->partition_count++];
        entry->partition_index = q->partitions[i];
        entry->timestamp = q->time_ms;
    }
    el_client_unlock(q->client);
    topic->name = el_slice_str(q->topic);
    request->replica_id = -1;
    request->topics = topic;
    request->topic_count = 1;
    return leader;
}

/* Take the answers in; a retriable refusal stays unanswered. */
static int take(struct question *q, const struct el_msg_list_offsets_response *response, struct evlog_failure *failure)
{
    if (response->topic_count != 1 || !el_slice_eq(response->topics[0].name, el_slice_str(q->topic))) {
        return el_fail(failure, EVLOG_ERR_MALFORMED, "the broker answered for other topics than %s", q->topic);
    }
    const struct el_msg_list_offsets_topic_result *topic = &response->topics[0];
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct el_msg_list_offsets_partition_result *result = &topic->partitions[i];
        if (result->error_code != 0 && !el_kafka_error_retriable(result->error_code)) {
            char what[300];
            (void)snprintf(what, sizeof what, "%s[%d]", q->topic, result->partition_index);
            int rc = el_fail_kafka(failure, result->error_code, el_slice_of(NULL, 0), what);
            el_fail_right(failure, "describe topic", q->topic);
            return rc;
        }
        for (int32_t j = 0; j < q->count; j++) {
            if (q->partitions[j] == result->partition_index && result->error_code == 0) {
                q->offsets[j] = result->offset;
                q->answered[j] = true;
            }
        }
    }
    return 0;
}

static bool all_answered(const struct question *q)
{
    for (int32_t i = 0; i < q->count; i++) {
        if (!q->answered[i]) {
            return false;
        }
    }
    return true;
}

/* Ask one leader. returns 0 also when nothing could be asked because no leader is known */
static int ask_leader(struct question *q, struct evlog_failure *failure)
{
    struct el_msg_list_offsets_request request;
    struct el_msg_list_offsets_topic topic;
    struct el_msg_list_offsets_response response;
    struct el_call call;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_list_offsets_request, &request);
    el_schema_init(&el_schema_list_offsets_topic, &topic);
    topic.partitions = el_schema_new(&el_schema_list_offsets_partition, &arena, (uint32_t)q->count);
    if (topic.partitions == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to ask for offsets");
    }
    struct el_ask ask = {
        .api = EL_API_ListOffsets,
        .request = &request,
        .version_max = INT16_MAX,
        .node_id = build(q, &request, &topic),
        .deadline_ns = q->deadline_ns,
        .once = true,
    };
    int rc = 0;
    if (ask.node_id >= 0) {
        rc = el_client_ask(q->client, &ask, &call, &response, failure);
        if (rc == 0) {
            rc = take(q, &response, failure);
            el_call_free(&call);
        } else if (evlog_error_class_of(rc) == EVLOG_CLASS_RETRY && el_now_ns() < q->deadline_ns) {
            rc = 0;
        }
    }
    el_arena_reset(&arena);
    return rc;
}

static int ask_all(struct question *q, struct evlog_failure *failure)
{
    while (!all_answered(q)) {
        int32_t before = 0, after = 0, count;
        for (int32_t i = 0; i < q->count; i++) {
            before += q->answered[i];
        }
        int rc = ask_leader(q, failure);
        if (rc != 0) {
            return rc;
        }
        for (int32_t i = 0; i < q->count; i++) {
            after += q->answered[i];
        }
        if (after > before) {
            continue;
        }
        struct el_topic_ask topic = {.name = q->topic, .fresh = true, .deadline_ns = q->deadline_ns};
        rc = el_cluster_topic(q->client, &topic, &count, failure);
        if (rc != 0) {
            return rc;
        }
        if (!el_pause_before_retry(q->client, 3, q->deadline_ns)) {
            return el_fail(failure, EVLOG_ERR_TIMED_OUT, "offsets of topic %s: no leader answers", q->topic);
        }
    }
    return 0;
}

static int ask_partitions(struct evlog_client *client, const char *topic, int64_t time_ms, const int32_t *partitions,
                          int64_t *offsets, int32_t count, struct evlog_failure *failure)
{
    bool *answered = el_calloc((size_t)count, sizeof *answered);
    if (answered == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to ask for offsets");
    }
    struct question q = {
        .client = client,
        .topic = topic,
        .time_ms = time_ms,
        .partitions = partitions,
        .offsets = offsets,
        .answered = answered,
        .count = count,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    int rc = ask_all(&q, failure);
    el_free(answered);
    return rc;
}

static int topic_size(struct evlog_client *client, const char *topic, int32_t *count, struct evlog_failure *failure)
{
    struct el_topic_ask ask = {.name = topic, .deadline_ns = el_deadline(client->cfg.request_timeout_ms)};
    return el_cluster_topic(client, &ask, count, failure);
}

int evlog_offset_at(struct evlog_client *client, const char *topic, int32_t partition, int64_t time_ms, int64_t *offset,
                    struct evlog_failure *failure)
{
    int32_t count;
    int rc = topic_size(client, topic, &count, failure);
    if (rc == 0 && (partition < 0 || partition >= count)) {
        rc = el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s has partitions 0 to %d, not %d", topic, count - 1,
                     partition);
    }
    int64_t found = -1;
    if (rc == 0) {
        rc = ask_partitions(client, topic, time_ms, &partition, &found, 1, failure);
    }
    if (rc == 0) {
        *offset = found;
    }
    return rc;
}

int evlog_offsets_at(struct evlog_client *client, const char *topic, int64_t time_ms, int64_t *offsets,
                     int32_t partition_count, struct evlog_failure *failure)
{
    int32_t count;
    int rc = topic_size(client, topic, &count, failure);
    if (rc == 0 && count != partition_count) {
        rc = el_fail(failure, EVLOG_ERR_ARGUMENT, "topic %s has %d partitions, not %d", topic, count, partition_count);
    }
    if (rc != 0) {
        return rc;
    }
    int32_t *partitions = el_malloc((size_t)count * sizeof *partitions);
    int64_t *found = el_malloc((size_t)count * sizeof *found);
    if (partitions == NULL || found == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to ask for offsets");
    } else {
        for (int32_t i = 0; i < count; i++) {
            partitions[i] = i;
        }
        rc = ask_partitions(client, topic, time_ms, partitions, found, count, failure);
    }
    if (rc == 0) {
        memcpy(offsets, found, (size_t)count * sizeof *found);
    }
    el_free(partitions);
    el_free(found);
    return rc;
}

/* --- cut -------------------------------------------------------------------------------------------------------- */

static int take_cut(const struct el_msg_ext_cut_response *response, const char *name, struct el_cut *cut,
                    struct evlog_failure *failure)
{
    if (response->error != 0) {
        int rc = el_fail_kafka(failure, response->error, response->message, "cut");
        el_fail_right(failure, "describe topic", name);
        return rc;
    }
    const struct el_msg_ext_cut_topic *topic = response->topic_count == 1 ? &response->topics[0] : NULL;
    if (topic == NULL || !el_slice_eq(topic->topic, el_slice_str(name))) {
        return el_fail(failure, EVLOG_ERR_UNKNOWN_TOPIC, "topic %s is not there", name);
    }
    if (topic->partition_count != (uint32_t)cut->partition_count) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "topic %s has %u partitions, not %d", name, topic->partition_count,
                       cut->partition_count);
    }
    for (int32_t i = 0; i < cut->partition_count; i++) {
        cut->end_offsets[i] = -1;
    }
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        const struct el_msg_ext_cut_partition *p = &topic->partitions[i];
        if (p->partition < 0 || p->partition >= cut->partition_count || p->end_offset < 0 || p->log_start < 0) {
            return el_fail(failure, EVLOG_ERR_MALFORMED, "the broker's cut of topic %s cannot be read", name);
        }
        cut->start_offsets[p->partition] = p->log_start;
        cut->end_offsets[p->partition] = p->end_offset;
    }
    for (int32_t i = 0; i < cut->partition_count; i++) {
        if (cut->end_offsets[i] < 0) {
            return el_fail(failure, EVLOG_ERR_MALFORMED, "the broker's cut of topic %s leaves out partition %d", name,
                           i);
        }
    }
    cut->chosen_ns = (int64_t)response->time_ns;
    return 0;
}

int el_cut_ask(struct evlog_client *client, const char *topic, struct el_cut *cut, struct evlog_failure *failure)
{
    struct el_msg_ext_cut_request request;
    struct el_msg_ext_cut_response response;
    struct el_slice name = el_slice_str(topic);
    struct el_call call;
    if (cut->time_ns < 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "append times begin in 1970");
    }
    el_schema_init(&el_schema_ext_cut_request, &request);
    request.topics = &name;
    request.topic_count = 1;
    request.time_ns = (uint64_t)cut->time_ns;
    struct el_ask ask = {
        .api = EL_API_Cut,
        .request = &request,
        .version_max = INT16_MAX,
        .node_id = EL_NODE_ANY,
        .deadline_ns = el_deadline(client->cfg.request_timeout_ms),
    };
    int rc = el_client_ask(client, &ask, &call, &response, failure);
    if (rc == EVLOG_ERR_UNSUPPORTED) {
        (void)el_fail(failure, rc, "this broker has no append times to cut by");
        el_fail_hint(failure, "use event times (--event-time), or a topic with "
                              "message.timestamp.type=LogAppendTime");
        return rc;
    }
    if (rc != 0) {
        return rc;
    }
    rc = take_cut(&response, topic, cut, failure);
    el_call_free(&call);
    return rc;
}

int evlog_cut(struct evlog_client *client, const char *topic, int64_t time_ns, int64_t *offsets,
              int32_t partition_count, struct evlog_failure *failure)
{
    if (partition_count <= 0) {
        return el_fail(failure, EVLOG_ERR_ARGUMENT, "a topic has at least one partition");
    }
    struct el_cut cut = {.time_ns = time_ns, .partition_count = partition_count};
    cut.start_offsets = el_malloc(2 * (size_t)partition_count * sizeof *cut.start_offsets);
    if (cut.start_offsets == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a cut");
    }
    cut.end_offsets = cut.start_offsets + partition_count;
    int rc = el_cut_ask(client, topic, &cut, failure);
    if (rc == 0) {
        memcpy(offsets, cut.end_offsets, (size_t)partition_count * sizeof *offsets);
    }
    el_free(cut.start_offsets);
    return rc;
}
