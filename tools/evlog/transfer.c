/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a copy of a topic.
 *
 * 1. The topic is made, or looked at: partitions, ends, and the last event of each partition.
 * 2. Events come in the order of the source. As many of a partition as the target holds are passed over; the last of
 *    those must be the target's last event, byte for byte, else this is no copy that was interrupted, and it ends.
 * 3. The others are published in order. The first that fails ends the transfer: behind it nothing is sent.
 *
 * Every acknowledgement must name the offset that comes next: else somebody else writes to the target, and it ends.
 * What batches were on their way when one failed for good may leave a hole. The next run finds it by step 2, and says
 * so instead of going on.
 */
#include "transfer.h"

#include <core/alloc.h>
#include <core/hash.h>
#include <string.h>
#include <time.h>

#define PROGRESS_EVENTS 64
#define LAST_WAIT_MS 10000
#define SETTLE_MS 300
#define SETTLE_TRIES 50

/* --- comparing --------------------------------------------------------------------------------------------------- */

static void add_bytes(struct el_buffer *out, struct evlog_bytes bytes)
{
    int64_t len = bytes.data == NULL ? -1 : (int64_t)bytes.len;
    el_buffer_append(out, &len, sizeof len);
    if (bytes.data != NULL) {
        el_buffer_append(out, bytes.data, bytes.len);
    }
}

/* Of everything that a copy keeps. */
static uint64_t hash_of(struct transfer *t, const struct evlog_message *message)
{
    struct el_buffer *out = &t->scratch;
    el_buffer_reset(out);
    el_buffer_append(out, &message->timestamp_ms, sizeof message->timestamp_ms);
    add_bytes(out, message->key);
    add_bytes(out, message->value);
    for (size_t i = 0; i < message->header_count; i++) {
        add_bytes(out, message->headers[i].key);
        add_bytes(out, message->headers[i].value);
    }
    return out->err != 0 ? 0 : el_xxh3(out->data, out->len);
}

static uint64_t hash_of_event(struct transfer *t, const struct evlog_event *event)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    message.timestamp_ms = event->timestamp_ms;
    message.key = event->key;
    message.value = event->value;
    message.headers = event->headers;
    message.header_count = event->header_count;
    return hash_of(t, &message);
}

/* --- begin ------------------------------------------------------------------------------------------------------- */

static int make_topic(struct transfer *t, const struct evlog_setting *settings, size_t setting_count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int32_t count;
    int rc = evlog_topic_partition_count(t->cli->client, t->topic, &count, &failure);
    if (rc == EVLOG_ERR_UNKNOWN_TOPIC) {
        struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
        options.name = t->topic;
        options.partition_count = count = t->partition_count;
        options.settings = settings;
        options.setting_count = setting_count;
        rc = evlog_topic_create(t->cli->client, &options, &failure);
        if (rc == 0) {
            cli_say(t->cli, "created topic %s with %d partitions", t->topic, count);
        }
    }
    if (rc != 0) {
        return cli_failure(t->cli, &failure);
    }
    return count == t->partition_count
               ? CLI_OK
               : cli_error(t->cli, CLI_ERR_PARTITIONS, "topic %s has %d partitions, the source %d", t->topic, count,
                           t->partition_count);
}

/* The last event of each partition that holds some. */
static int look_at_last(struct transfer *t, const int64_t *ends, struct evlog_failure *failure)
{
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct evlog_consumer *consumer;
    const struct evlog_event *event;
    options.topic = t->topic;
    int rc = evlog_consumer_open(t->cli->client, &options, &consumer, failure);
    if (rc != 0) {
        return rc;
    }
    for (int32_t i = 0; rc == 0 && i < t->partition_count; i++) {
        if (ends[i] > 0) {
            rc = evlog_consumer_assign(consumer, i, ends[i] - 1, ends[i], failure);
        }
    }
    while (rc == 0 && !evlog_consumer_at_end(consumer) &&
           (rc = evlog_consumer_next(consumer, LAST_WAIT_MS, &event, failure)) == 1) {
        t->partitions[event->partition].last_hash = hash_of_event(t, event);
        rc = 0;
    }
    evlog_consumer_close(consumer);
    return rc;
}

/* Ends that have not moved for a moment: the server may still be storing what a killed run has sent. */
static int settled_ends(struct transfer *t, int64_t *ends, struct evlog_failure *failure)
{
    int64_t sum = 0, before = -1;
    for (int i = 0; i < SETTLE_TRIES && sum != before && !cli_interrupted; i++) {
        int rc = evlog_offsets_at(t->cli->client, t->topic, EVLOG_OFFSET_LATEST, ends, t->partition_count, failure);
        if (rc != 0) {
            return rc;
        }
        before = i == 0 ? -1 : sum;
        sum = 0;
        for (int32_t p = 0; p < t->partition_count; p++) {
            sum += ends[p];
        }
        if (sum == 0) {
            return 0;
        }
        if (sum != before) {
            struct timespec pause = {0, SETTLE_MS * 1000000L};
            (void)nanosleep(&pause, NULL);
        }
    }
    return 0;
}

static int look_at_target(struct transfer *t)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = t->cli->client;
    int64_t *starts = el_calloc(2 * (size_t)t->partition_count, sizeof *starts);
    if (starts == NULL) {
        return cli_error(t->cli, CLI_ERR_VALUE, "no memory");
    }
    int64_t *ends = starts + t->partition_count;
    int rc = evlog_offsets_at(client, t->topic, EVLOG_OFFSET_EARLIEST, starts, t->partition_count, &failure);
    if (rc == 0) {
        rc = settled_ends(t, ends, &failure);
    }
    int told = CLI_OK;
    for (int32_t i = 0; rc == 0 && told == CLI_OK && i < t->partition_count; i++) {
        t->partitions[i].have_count = ends[i];
        if (starts[i] > 0) {
            told = cli_error(t->cli, CLI_ERR_TARGET, "%s[%d] begins at offset %lld: its first events are gone",
                             t->topic, i, (long long)starts[i]);
        }
    }
    if (rc == 0 && told == CLI_OK) {
        rc = look_at_last(t, ends, &failure);
    }
    el_free(starts);
    return rc != 0 ? cli_failure(t->cli, &failure) : told;
}

int transfer_begin(struct transfer *t, int32_t partition_count, const struct evlog_setting *settings,
                   size_t setting_count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    t->partition_count = partition_count;
    t->failure.size = sizeof t->failure;
    t->partitions = el_calloc((size_t)partition_count, sizeof *t->partitions);
    if (t->partitions == NULL) {
        return cli_error(t->cli, CLI_ERR_VALUE, "no memory");
    }
    int rc = make_topic(t, settings, setting_count);
    if (rc == CLI_OK) {
        rc = look_at_target(t);
    }
    if (rc == CLI_OK && evlog_producer_open(t->cli->client, &t->producer, &failure) != 0) {
        rc = cli_failure(t->cli, &failure);
    }
    return rc;
}

/* --- events ------------------------------------------------------------------------------------------------------ */

static void on_delivery(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
    struct transfer *t = arg;
    if (receipt == NULL) {
        t->failure = t->failure.code == 0 ? *failure : t->failure;
        return;
    }
    struct transfer_partition *p = &t->partitions[receipt->partition];
    t->disturbed = t->disturbed || receipt->offset != p->have_count + p->acked_count;
    p->acked_count++;
}

static int disturbed(const struct transfer *t)
{
    return cli_error(t->cli, CLI_ERR_TARGET, "somebody else writes to topic %s: it is no copy any more", t->topic);
}

int transfer_event(struct transfer *t, const struct evlog_message *message)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (message->partition < 0 || message->partition >= t->partition_count) {
        return cli_error(t->cli, CLI_ERR_PARTITIONS, "an event of partition %d, but topic %s has %d",
                         message->partition, t->topic, t->partition_count);
    }
    struct transfer_partition *p = &t->partitions[message->partition];
    p->seen_count++;
    if (p->seen_count <= p->have_count) {
        t->passed_count++;
        if (p->seen_count == p->have_count && hash_of(t, message) != p->last_hash) {
            return cli_error(t->cli, CLI_ERR_TARGET, "%s[%d] holds something else than the source's first %lld events",
                             t->topic, message->partition, (long long)p->have_count);
        }
        return CLI_OK;
    }
    struct evlog_message full = *message;
    full.topic = t->topic;
    if (evlog_publish_async(t->producer, &full, on_delivery, t, &failure) != 0) {
        return cli_failure(t->cli, &failure);
    }
    (void)evlog_poll(t->producer, 0);
    if (t->failure.code != 0) {
        return cli_failure(t->cli, &t->failure);
    }
    if (t->disturbed) {
        return disturbed(t);
    }
    if (++t->sent_count % PROGRESS_EVENTS == 0) {
        cli_progress(t->cli, "copied", t->sent_count + t->passed_count, 0);
    }
    return CLI_OK;
}

/* A target that holds more than the source is no copy of it. */
static int check_rest(struct transfer *t)
{
    for (int32_t i = 0; i < t->partition_count; i++) {
        const struct transfer_partition *p = &t->partitions[i];
        if (p->seen_count < p->have_count) {
            return cli_error(t->cli, CLI_ERR_TARGET, "%s[%d] holds %lld events, the source %lld", t->topic, i,
                             (long long)p->have_count, (long long)p->seen_count);
        }
    }
    return CLI_OK;
}

int transfer_end(struct transfer *t, int rc)
{
    if (t->producer == NULL) {
        return rc;
    }
    bool failed_before = t->failure.code != 0;
    (void)evlog_flush(t->producer, -1, NULL);
    (void)evlog_poll(t->producer, 0);
    cli_progress_end(t->cli);
    struct evlog_producer_stats stats = {.size = sizeof stats};
    evlog_producer_stats(t->producer, &stats);
    if (t->failure.code != 0 && !failed_before) {
        rc = cli_failure(t->cli, &t->failure);
    }
    if (rc == CLI_OK && t->disturbed) {
        rc = disturbed(t);
    }
    if (rc == CLI_OK && !cli_interrupted) {
        rc = check_rest(t);
    }
    cli_say(t->cli, "%llu events written to %s, %llu were there already%s", (unsigned long long)stats.stored_count,
            t->topic, (unsigned long long)t->passed_count,
            (rc != CLI_OK && rc != CLI_CONFLICT) || cli_interrupted ? "; the same command goes on from there" : "");
    return rc == CLI_OK && cli_interrupted ? CLI_INTERRUPTED : rc;
}

void transfer_free(struct transfer *t)
{
    evlog_producer_close(t->producer);
    el_free(t->partitions);
    el_buffer_free(&t->scratch);
}
