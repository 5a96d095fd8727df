/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing from lines. Events are published asynchronously; what counts is what the broker acknowledged, so every
 * end, good or bad, begins with a flush.
 *
 * A bad line: what came before it is flushed, the line is named, the number of published events is told; exit code 7,
 * or
 * 1 when nothing was published. The same holds when reading or the broker fails half-way.
 *
 * After a signal nothing is waited for longer than GRACE_MS: how many events are not acknowledged is told, exit code
 * 130.
 */
#include "publishing.h"

#include <core/timefmt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000
#define STEP_MS 100       /* so often a wait looks whether a signal came */
#define GRACE_MS 1000     /* for what is on its way when one came */
#define ROOM_MS_MAX 60000 /* for room in buffer.memory; publishing_defaults has the step */
#define PROGRESS_LINES 64
#define MESSAGE_ID_MAX 1024 /* bytes of an id, the NUL counted */

const char *const publishing_defaults[] = {"max.block.ms=100", NULL};

/* --- topic ------------------------------------------------------------------------------------------------------ */

static int check_partitions(const struct cli *cli, const char *topic, int64_t wanted, int32_t there)
{
    if (wanted < 0 || wanted == there) {
        return CLI_OK;
    }
    return cli_error(cli, CLI_ERR_PARTITIONS, "topic %s has %d partitions, not %lld", topic, there, (long long)wanted);
}

int publishing_topic(struct cli *cli, const char *topic, bool create, int64_t partition_count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int32_t there;
    int rc = evlog_topic_partition_count(cli->client, topic, &there, &failure);
    if (rc == 0) {
        return create ? check_partitions(cli, topic, partition_count, there) : CLI_OK;
    }
    if (rc != EVLOG_ERR_UNKNOWN_TOPIC) {
        return cli_failure(cli, &failure);
    }
    if (!create) {
        return cli_error(cli, CLI_ERR_NO_TOPIC, "topic %s is not there", topic);
    }
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    options.name = topic;
    options.partition_count = (int32_t)partition_count;
    rc = evlog_topic_create(cli->client, &options, &failure);
    if (rc == EVLOG_ERR_TOPIC_EXISTS) { /* somebody else was quicker */
        rc = evlog_topic_partition_count(cli->client, topic, &there, &failure);
        return rc == 0 ? check_partitions(cli, topic, partition_count, there) : cli_failure(cli, &failure);
    }
    if (rc != 0) {
        return cli_failure(cli, &failure);
    }
    if (cli->verbose) {
        cli_say(cli, "created topic %s", topic);
    }
    return CLI_OK;
}

/* --- one event -------------------------------------------------------------------------------------------------- */

static void on_delivery(void *arg, const struct evlog_receipt *receipt, const struct evlog_failure *failure)
{
    struct publishing *p = arg;
    if (receipt == NULL) {
        p->failed = p->failed.code == 0 ? *failure : p->failed;
        (void)fprintf(stderr, "evlog: EVL-%04d: %s\n", 1000 - failure->code, failure->text);
        return;
    }
    if (p->cli->json) {
        (void)printf("{\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld}\n", p->topic, receipt->partition,
                     (long long)receipt->offset);
    } else {
        cli_say(p->cli, "%s[%d] offset %lld", p->topic, receipt->partition, (long long)receipt->offset);
    }
}

#define HEADER_MAX 512
#define ID_HEADER "ce_id"

/* Seal an event's value. It gets an id when it has none: what is sealed is bound to it. */
static int seal(struct publishing *p, struct evlog_message *message, struct evlog_header headers[HEADER_MAX],
                char id[MESSAGE_ID_MAX], struct evlog_failure *failure)
{
    struct evlog_event event = {.headers = message->headers, .header_count = message->header_count};
    struct evlog_bytes found;
    if (evlog_event_header(&event, ID_HEADER, &found) && found.data != NULL && found.len < MESSAGE_ID_MAX) {
        memcpy(id, found.data, found.len);
        id[found.len] = '\0';
    } else if (message->header_count < HEADER_MAX) {
        evlog_event_id_make(id);
        memcpy(headers, message->headers, message->header_count * sizeof *headers);
        headers[message->header_count] = (struct evlog_header){{ID_HEADER, strlen(ID_HEADER)}, {id, strlen(id)}};
        message->headers = headers;
        message->header_count++;
    } else {
        id[0] = '\0';
    }
    return sealing_seal(p->sealing, message->key, id, &message->value, failure);
}

/* Was nothing acknowledged for as long as --timeout says? Asked while the buffer is full: events that are given up make
 * room in it, so that a long input would find out again and again that the server is gone. */
static bool stands_still(struct publishing *p)
{
    struct evlog_producer_stats stats = {.size = sizeof stats};
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    evlog_producer_stats(p->producer, &stats);
    if (p->moved_ns == 0 || stats.stored_count != p->moved_count) {
        p->moved_ns = now_ns;
        p->moved_count = stats.stored_count;
    }
    return p->cli->timeout_ms >= 0 && now_ns - p->moved_ns >= p->cli->timeout_ms * NS_PER_MS;
}

int publishing_one(struct publishing *p, const struct evlog_message *message, struct evlog_failure *failure)
{
    struct evlog_message full = *message;
    bool tells = p->cli->verbose || p->cli->json;
    full.topic = p->topic;
    if (full.partition < 0) {
        full.partition = p->base.partition;
    }
    struct evlog_header headers[HEADER_MAX];
    char id[MESSAGE_ID_MAX];
    int rc = p->sealing == NULL ? 0 : seal(p, &full, headers, id, failure);
    if (rc != 0) {
        return rc;
    }
    int64_t waited_ms = 0;
    do {
        rc = evlog_publish_async(p->producer, &full, tells ? on_delivery : NULL, p, failure);
        waited_ms += STEP_MS;
    } while (rc == EVLOG_ERR_FULL && !cli_interrupted && waited_ms < ROOM_MS_MAX && !stands_still(p));
    if (rc == 0) {
        p->sent_count++;
        (void)evlog_poll(p->producer, 0);
    }
    return rc;
}

/* --- lines ------------------------------------------------------------------------------------------------------ */

static struct evlog_bytes bytes(struct el_slice s)
{
    return (struct evlog_bytes){s.data, s.len};
}

static bool parse_number(struct el_slice text, int64_t max, int64_t *value)
{
    char copy[24];
    char *end;
    (void)snprintf(copy, sizeof copy, "%.*s", (int)EL_MIN(text.len, sizeof copy - 1), (const char *)text.data);
    *value = strtoll(copy, &end, 10);
    return text.len > 0 && text.len < sizeof copy && *end == '\0' && *value >= 0 && *value <= max;
}

static int message_of_format(const struct publishing *p, struct el_slice line, struct evlog_message *message,
                             struct el_error *err)
{
    struct event_format_line parts;
    int64_t number = 0;
    int rc = event_format_read(p->format, line, &parts);
    if (rc != 0) {
        return el_error_set(err, rc, "the line does not look like the format");
    }
    message->key = parts.key.data == NULL ? message->key : bytes(parts.key);
    message->value = parts.value.data == NULL ? (struct evlog_bytes){"", 0} : bytes(parts.value);
    if (parts.partition.data != NULL) {
        if (!parse_number(parts.partition, INT32_MAX, &number)) {
            return el_error_set(err, EVLOG_ERR_MALFORMED, "%%p is no partition");
        }
        message->partition = (int32_t)number;
    }
    if (parts.time.data != NULL && parts.time_is_ms) {
        if (!parse_number(parts.time, INT64_MAX, &message->timestamp_ms)) {
            return el_error_set(err, EVLOG_ERR_MALFORMED, "%%T is no time in milliseconds");
        }
    } else if (parts.time.data != NULL) {
        char text[64];
        (void)snprintf(text, sizeof text, "%.*s", (int)EL_MIN(parts.time.len, sizeof text - 1),
                       (const char *)parts.time.data);
        rc = el_time_parse(text, p->cli->now_ns, &number, err);
        message->timestamp_ms = number / NS_PER_MS;
    }
    return rc;
}

static int message_of_line(const struct publishing *p, struct el_slice line, struct evlog_message *message,
                           struct el_error *err)
{
    *message = p->base;
    int rc = 0;
    if (p->format != NULL) {
        rc = message_of_format(p, line, message, err);
    } else if (p->key_delimiter != NULL) {
        size_t len = strlen(p->key_delimiter);
        const uint8_t *found = memmem(line.data, line.len, p->key_delimiter, len);
        if (found == NULL) {
            return el_error_set(err, EVLOG_ERR_MALFORMED, "there is no \"%s\" behind a key", p->key_delimiter);
        }
        message->key = (struct evlog_bytes){line.data, (size_t)(found - line.data)};
        message->value = (struct evlog_bytes){found + len, (size_t)(line.data + line.len - found) - len};
    } else {
        message->value = bytes(line);
    }
    if (p->empty_is_null && message->value.len == 0) {
        message->value.data = NULL;
    }
    return rc;
}

static bool is_blank(struct el_slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t') {
            return false;
        }
    }
    return true;
}

/* Publish one line. returns 0 | a failure; *bad_line: it is the line's */
static int publish_line(struct publishing *p, struct el_slice line, bool *bad_line, struct evlog_failure *failure)
{
    *bad_line = true;
    if (p->cloudevents) {
        struct evlog_cloudevent *event;
        int rc = is_blank(line) ? 0 : evlog_cloudevent_parse(line.data, line.len, &event, failure);
        if (rc != 0 || is_blank(line)) {
            return rc;
        }
        rc = publishing_one(p, evlog_cloudevent_message(event), failure);
        *bad_line = evlog_error_class_of(rc) == EVLOG_CLASS_CALLER;
        evlog_cloudevent_free(event);
        return rc;
    }
    struct evlog_message message;
    struct el_error err = {0};
    int rc = message_of_line(p, line, &message, &err);
    if (rc != 0) {
        failure->code = rc;
        (void)snprintf(failure->text, sizeof failure->text, "%s", err.text);
        return rc;
    }
    rc = publishing_one(p, &message, failure);
    *bad_line = evlog_error_class_of(rc) == EVLOG_CLASS_CALLER;
    return rc;
}

/* Events of which nothing is known yet. */
static uint64_t pending_count(struct publishing *p, uint64_t *stored)
{
    struct evlog_producer_stats stats = {.size = sizeof stats};
    evlog_producer_stats(p->producer, &stats);
    *stored = stats.stored_count;
    return p->sent_count - EL_MIN(p->sent_count, stats.stored_count + stats.failed_count);
}

/* Wait for everything, or after a signal for what comes soon. What was on its way when a step ended may have its answer
 * by the time that it is counted: then one more look says what became of it. */
static int flush(struct publishing *p, unsigned long long *stored, unsigned long long *pending,
                 struct evlog_failure *failure)
{
    int32_t grace_ms = GRACE_MS;
    uint64_t count = 0, left = 0;
    int rc;
    do {
        rc = evlog_flush(p->producer, STEP_MS, failure);
        grace_ms -= cli_interrupted ? STEP_MS : 0;
        left = pending_count(p, &count);
    } while (rc == EVLOG_ERR_TIMED_OUT && (left == 0 || grace_ms > 0));
    (void)evlog_poll(p->producer, 0);
    cli_progress_end(p->cli);
    *pending = cli_interrupted ? (unsigned long long)left : 0;
    *stored = (unsigned long long)count;
    return rc;
}

static int stop_unsure(const struct publishing *p, unsigned long long stored, unsigned long long pending)
{
    return cli_error(p->cli, CLI_ERR_UNSURE,
                     "interrupted: %llu of %llu events are not acknowledged, %llu are published", pending,
                     (unsigned long long)p->sent_count, stored);
}

/* The end that something forced: where, why, and how much is stored. */
static int stop_early(struct publishing *p, const char *name, uint64_t line_number, const char *why)
{
    unsigned long long count, pending;
    (void)flush(p, &count, &pending, NULL);
    if (pending > 0) {
        return stop_unsure(p, count, pending);
    }
    return cli_error(p->cli, count == 0 ? CLI_ERR_LINE : CLI_ERR_PARTIAL, "%s:%llu: %s; %llu events were published",
                     name, (unsigned long long)line_number, why, count);
}

/* No room was left for an event: what became of those before it says why. */
static int stop_full(struct publishing *p, const struct evlog_failure *failure)
{
    int rc = publishing_finish(p);
    return rc == CLI_OK ? cli_failure(p->cli, failure) : rc;
}

/* The broker failed: its own code when nothing was stored, else partial. */
static int stop_failed(struct publishing *p, const struct evlog_failure *failure)
{
    unsigned long long count, pending;
    (void)flush(p, &count, &pending, NULL);
    if (pending > 0) {
        return stop_unsure(p, count, pending);
    }
    int rc = cli_failure(p->cli, failure);
    if (count > 0) {
        rc = cli_error(p->cli, CLI_ERR_PARTIAL, "%llu of %llu events were published", count,
                       (unsigned long long)p->sent_count);
    }
    return rc;
}

int publishing_lines(struct publishing *p, struct line_input *input, const char *name)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_error err = {0};
    struct el_slice line;
    line_input_stop_on(input, &cli_interrupted);
    for (;;) {
        int rc = line_input_next(input, &line, &err);
        if (rc == EVLOG_ERR_CLOSED) {
            return stop_early(p, name, line_input_number(input), "interrupted behind this line");
        }
        if (rc < 0) {
            return stop_early(p, name, line_input_number(input) + 1, err.text);
        }
        if (rc == 0) {
            return publishing_finish(p);
        }
        bool bad_line;
        rc = publish_line(p, line, &bad_line, &failure);
        if (rc == EVLOG_ERR_FULL) {
            return stop_full(p, &failure);
        }
        if (rc != 0) {
            return bad_line ? stop_early(p, name, line_input_number(input), failure.text) : stop_failed(p, &failure);
        }
        if (cli_interrupted) {
            return stop_early(p, name, line_input_number(input), "interrupted behind this line");
        }
        if (line_input_number(input) % PROGRESS_LINES == 0) {
            cli_progress(p->cli, "published", p->sent_count, 0);
        }
    }
}

int publishing_finish(struct publishing *p)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    unsigned long long count, pending;
    int rc = flush(p, &count, &pending, &failure);
    if (pending > 0) {
        return stop_unsure(p, count, pending);
    }
    if (rc == 0 && count < p->sent_count) { /* told by on_delivery already */
        rc = cli_error(p->cli, count == 0 ? CLI_ERR_LINE : CLI_ERR_PARTIAL, "%llu of %llu events were published", count,
                       (unsigned long long)p->sent_count);
        return count == 0 && p->failed.code != 0 ? cli_exit_of(&p->failed) : rc;
    }
    if (rc != 0) {
        return stop_failed(p, &failure);
    }
    cli_say(p->cli, "published %llu events to %s", count, p->topic);
    return CLI_OK;
}
