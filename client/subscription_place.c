/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a subscription begins. A position that is not of this log must never be gone on from: events would be missing
 * or come twice, and nobody would see it. Refused are another topic of the same name, a log that ends before the
 * position or whose epoch lies behind it, and, unless they are to be told, events that are gone.
 */
#include "fail.h"
#include "stream_ask.h"
#include "subscription_state.h"

#include <core/alloc.h>
#include <evlog/consumer.h>
#include <stdio.h>
#include <wire/error_code.h>
#include <wire/msg_ext_stream_read.h>

/* What placing needs to know. */
struct placing {
    struct evlog_subscription *s;
    const struct evlog_subscription_options *options;
    const struct evlog_topic_info *info;
    struct el_progress progress; /* the position that was given; count 0 without one */
    int64_t *offsets;            /* [partition_count] of start END and TIME */
    struct evlog_failure *failure;
};

/* --- which partitions --------------------------------------------------------------------------------------------- */

static int code_of(const void *response)
{
    return ((const struct el_msg_ext_stream_read_response *)response)->error;
}

/* The partition of the key where the topic has streams, -1 where any may hold it. */
static int find_partition(const struct placing *p, int32_t *partition)
{
    struct el_msg_ext_stream_read_request request;
    struct el_msg_ext_stream_read_response response;
    struct el_call call;
    struct evlog_failure why = EVLOG_FAILURE_INIT;
    *partition = -1;
    if (p->options->key.data == NULL || !p->s->consumer.has_append_times) {
        return 0;
    }
    el_schema_init(&el_schema_ext_stream_read_request, &request);
    request.topic = el_slice_str(p->options->topic);
    request.key = el_slice_from(p->options->key);
    request.max_events = 0;
    struct el_stream_ask ask = {p->options->topic, -1, EL_API_StreamRead, &request, code_of, false};
    int rc = el_stream_ask(p->s->client, &ask, &call, &response, &why);
    if (rc == EVLOG_ERR_UNSUPPORTED) {
        return 0;
    }
    if (rc != 0) {
        return el_fail_copy(p->failure, &why);
    }
    if (response.error == 0 && response.partition >= 0 && (size_t)response.partition < p->info->partition_count) {
        *partition = response.partition;
    } else if (response.error != EL_KAFKA_POLICY_VIOLATION) {
        rc = el_fail_kafka(p->failure, response.error == 0 ? EL_KAFKA_UNKNOWN_SERVER_ERROR : response.error,
                           response.message, p->options->topic);
        el_fail_right(p->failure, "read topic", p->options->topic);
    }
    el_call_free(&call);
    return rc;
}

/* --- a position against the log ----------------------------------------------------------------------------------- */

static int refuse(const struct placing *p, int code, const char *hint, const char *why)
{
    (void)el_fail(p->failure, code, "cannot go on from the position in topic %s: %s", p->options->topic, why);
    el_fail_hint(p->failure, "%s", hint);
    return code;
}

static const char BEGIN_ANEW[] = "if this is the right server, begin anew, from the beginning";

static int check_progress(struct placing *p, int32_t partition)
{
    struct evlog_subscription *s = p->s;
    static const uint8_t none[16];
    if (memcmp(p->info->id, none, 16) != 0 && memcmp(p->info->id, p->progress.topic_id.bytes, 16) != 0) {
        return refuse(p, EVLOG_ERR_CONFLICT, BEGIN_ANEW,
                      "it is of another topic, or the topic was made anew under its name");
    }
    if (partition >= 0) {
        return el_progress_find(&p->progress, partition) != NULL
                   ? 0
                   : refuse(p, EVLOG_ERR_CONFLICT, "use a position of this stream",
                            "it says nothing of the partition of this key");
    }
    if (!p->progress.whole && p->progress.count < p->info->partition_count) {
        return refuse(p, EVLOG_ERR_CONFLICT, "use a position of a subscription to the whole topic",
                      "it is of one stream or one append, and other partitions are to be read too");
    }
    const struct el_progress_entry *last = p->progress.count == 0 ? NULL : &p->progress.entries[p->progress.count - 1];
    if (last != NULL && (size_t)last->partition >= p->info->partition_count) {
        return refuse(p, EVLOG_ERR_CONFLICT, BEGIN_ANEW, "the topic has fewer partitions than the position");
    }
    s->whole = true;
    return 0;
}

static int check_entry(const struct placing *p, const struct evlog_partition_info *log,
                       const struct el_progress_entry *entry)
{
    char why[160];
    if (entry->offset > log->end_offset) {
        (void)snprintf(why, sizeof why, "partition %d ends at offset %lld, before %lld: another log or an older copy",
                       log->index, (long long)log->end_offset, (long long)entry->offset);
        return refuse(p, EVLOG_ERR_CONFLICT, BEGIN_ANEW, why);
    }
    if (log->leader_epoch >= 0 && entry->leader_epoch > log->leader_epoch) {
        (void)snprintf(why, sizeof why, "its leader epoch %d of partition %d is newer than the log's %d",
                       entry->leader_epoch, log->index, log->leader_epoch);
        return refuse(p, EVLOG_ERR_CONFLICT, BEGIN_ANEW, why);
    }
    if (entry->offset < log->start_offset && p->s->on_missing == EVLOG_SUBSCRIPTION_FAIL) {
        (void)snprintf(why, sizeof why, "events of partition %d from offset %lld on are gone, the log begins at %lld",
                       log->index, (long long)entry->offset, (long long)log->start_offset);
        return refuse(p, EVLOG_ERR_OFFSET_RANGE,
                      "keep events for longer (retention.ms), or let missing ones be told (on_missing) and go on", why);
    }
    return 0;
}

/* --- where a partition begins ------------------------------------------------------------------------------------- */

static int offsets_find(struct placing *p)
{
    const struct evlog_subscription_options *options = p->options;
    struct evlog_client *client = p->s->client;
    int32_t count = (int32_t)p->info->partition_count;
    if (options->position != NULL || options->start == EVLOG_SUBSCRIPTION_BEGINNING) {
        return 0;
    }
    p->offsets = el_calloc(EL_MAX((size_t)count, (size_t)1), sizeof *p->offsets);
    if (p->offsets == NULL) {
        return el_fail(p->failure, EVLOG_ERR_NO_MEMORY, "no memory for a subscription");
    }
    if (options->start == EVLOG_SUBSCRIPTION_TIME && p->s->consumer.has_append_times) {
        /* a cut at 0 would be one at now */
        return options->start_ns < 2
                   ? 0
                   : evlog_cut(client, options->topic, options->start_ns - 1, p->offsets, count, p->failure);
    }
    int64_t time = options->start == EVLOG_SUBSCRIPTION_END ? EVLOG_OFFSET_LATEST : options->start_ns / EL_NS_PER_MS;
    return evlog_offsets_at(client, options->topic, time, p->offsets, count, p->failure);
}

static int place(struct placing *p, const struct evlog_partition_info *log)
{
    const struct el_progress_entry *entry = el_progress_find(&p->progress, log->index);
    int64_t offset = log->start_offset, begun = log->start_offset;
    if (entry != NULL) {
        int rc = check_entry(p, log, entry);
        if (rc != 0) {
            return rc;
        }
        offset = entry->offset;
        begun = -1;
    } else if (p->offsets != NULL) {
        int64_t found = p->offsets[log->index];
        offset = EL_MAX(found < 0 ? log->end_offset : found, log->start_offset);
        begun = -1;
    }
    struct el_feed *feed = el_consumer_add(&p->s->consumer, p->options->topic, log->index, offset);
    if (feed == NULL) {
        return el_fail(p->failure, EVLOG_ERR_NO_MEMORY, "no memory to read topic %s", p->options->topic);
    }
    feed->stored_offset = begun;
    feed->stored_epoch = entry != NULL ? entry->leader_epoch : -1;
    return 0;
}

static int parse(struct placing *p)
{
    const char *word = p->options->position;
    if (word == NULL) {
        return 0;
    }
    int rc = el_progress_parse(el_slice_str(word), &p->progress);
    if (rc != 0) {
        (void)el_fail(p->failure, rc, "\"%.60s%s\" is no position%s", word, strlen(word) > 60 ? "..." : "",
                      rc == EVLOG_ERR_FORMAT ? " that this version knows" : "");
        el_fail_hint(p->failure, "a position is the word that a subscription or an append has given, whole");
    }
    return rc;
}

static int place_all(struct placing *p)
{
    struct evlog_subscription *s = p->s;
    int32_t partition;
    memcpy(s->filter.topic_id.bytes, p->info->id, sizeof s->filter.topic_id.bytes);
    int rc = find_partition(p, &partition);
    if (rc == 0 && p->options->position != NULL) {
        rc = check_progress(p, partition);
    }
    s->whole = partition < 0;
    s->filter.one_stream = partition >= 0 && s->filter.sieve.prefix.data == NULL && s->filter.sieve.type_count == 0 &&
                           s->filter.filter_count == 0;
    rc = rc == 0 ? offsets_find(p) : rc;
    for (size_t i = 0; rc == 0 && i < p->info->partition_count; i++) {
        if (partition < 0 || p->info->partitions[i].index == partition) {
            rc = place(p, &p->info->partitions[i]);
        }
    }
    return rc;
}

int el_subscription_place(struct evlog_subscription *s, const struct evlog_subscription_options *options,
                          struct evlog_failure *failure)
{
    struct placing p = {.s = s, .options = options, .failure = failure};
    struct evlog_topic_info *info;
    int rc = parse(&p);
    if (rc == 0) {
        rc = evlog_topic_look(s->client, options->topic, &info, failure);
    }
    if (rc == 0) {
        p.info = info;
        el_client_lock(s->client);
        s->consumer.has_append_times = s->client->is_evlog; /* not known before the first connection */
        el_client_unlock(s->client);
        rc = place_all(&p);
        evlog_topic_info_free(info);
    }
    el_progress_free(&p.progress);
    el_free(p.offsets);
    return rc;
}

int el_subscription_grow(struct evlog_subscription *s, struct evlog_failure *failure)
{
    int32_t count = 0;
    if (!s->whole) {
        return 0;
    }
    int rc = evlog_topic_partition_count(s->client, s->consumer.topic, &count, failure);
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        if (el_consumer_find(&s->consumer, s->consumer.topic, i) == NULL) {
            struct el_feed *feed = el_consumer_add(&s->consumer, s->consumer.topic, i, 0);
            rc = feed == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory to read topic %s", s->consumer.topic)
                              : 0;
            if (feed != NULL) {
                feed->stored_offset = 0;
            }
        }
    }
    return rc;
}
