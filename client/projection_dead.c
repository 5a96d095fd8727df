/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters of a projection: the event as it was, with headers that tell where it came from and what its handler
 * said. Published and stored before the transaction that leaves it out is committed: it is there at least once.
 */
#include "fail.h"
#include "projection_state.h"

#include <core/alloc.h>
#include <core/buffer.h>
#include <stdio.h>

#define OWN_HEADERS 8
#define TOPIC_LEN_MAX 249

struct letter {
    char topic[TOPIC_LEN_MAX + 1];
    struct evlog_header *headers; /* [header_count] */
    size_t header_count;
    char partition[16], offset[24], timestamp[24], attempts[16];
};

static void put(struct letter *letter, const char *key, const char *value)
{
    letter->headers[letter->header_count++] = (struct evlog_header){{key, strlen(key)}, {value, strlen(value)}};
}

static int write_letter(const struct evlog_projection *projection, const struct el_projection_item *item,
                        const char *error, struct letter *letter, struct evlog_failure *failure)
{
    const struct evlog_event *event = &item->event;
    int len = snprintf(letter->topic, sizeof letter->topic, "%s.%s.dlq", event->topic, projection->options.name);
    if (len < 0 || (size_t)len >= sizeof letter->topic) {
        return el_fail(failure, EVLOG_ERR_INVALID_TOPIC, "%s.%s.dlq is too long for the name of a topic", event->topic,
                       projection->options.name);
    }
    letter->headers = el_calloc(event->header_count + OWN_HEADERS, sizeof *letter->headers);
    if (letter->headers == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a dead letter");
    }
    for (size_t i = 0; i < event->header_count; i++) {
        letter->headers[letter->header_count++] = event->headers[i];
    }
    (void)snprintf(letter->partition, sizeof letter->partition, "%d", event->partition);
    (void)snprintf(letter->offset, sizeof letter->offset, "%lld", (long long)event->offset);
    (void)snprintf(letter->timestamp, sizeof letter->timestamp, "%lld", (long long)event->timestamp_ms);
    (void)snprintf(letter->attempts, sizeof letter->attempts, "%u", projection->options.retry_max + 1);
    put(letter, "evlog-dlq-topic", event->topic);
    put(letter, "evlog-dlq-partition", letter->partition);
    put(letter, "evlog-dlq-offset", letter->offset);
    put(letter, "evlog-dlq-timestamp", letter->timestamp);
    put(letter, "evlog-dlq-group", projection->options.name);
    put(letter, "evlog-dlq-attempts", letter->attempts);
    put(letter, "evlog-dlq-reason", "exhausted");
    put(letter, "evlog-dlq-error", error);
    return 0;
}

static int make_topic(struct evlog_projection *projection, const struct evlog_event *event, const char *topic,
                      struct evlog_failure *failure)
{
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    int32_t count;
    if (evlog_topic_partition_count(projection->client, topic, &count, NULL) == 0) {
        return 0;
    }
    int rc = evlog_topic_partition_count(projection->client, event->topic, &count, failure);
    if (rc != 0) {
        return rc;
    }
    options.name = topic;
    options.partition_count = count;
    rc = evlog_topic_create(projection->client, &options, failure);
    return rc == EVLOG_ERR_TOPIC_EXISTS ? 0 : rc;
}

static int publish(struct evlog_projection *projection, const struct evlog_event *event, const struct letter *letter,
                   struct evlog_failure *failure)
{
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    int rc = 0;
    if (projection->producer == NULL) {
        rc = evlog_producer_open(projection->client, &projection->producer, failure);
    }
    if (rc == 0) {
        rc = make_topic(projection, event, letter->topic, failure);
    }
    if (rc != 0) {
        return rc;
    }
    message.topic = letter->topic;
    message.key = event->key;
    message.value = event->value;
    message.headers = letter->headers;
    message.header_count = letter->header_count;
    message.timestamp_ms = event->timestamp_ms;
    return evlog_publish(projection->producer, &message, NULL, failure);
}

int el_projection_bury(struct evlog_projection *projection, const struct el_projection_item *item, const char *error,
                       struct evlog_failure *failure)
{
    struct letter letter = {.headers = NULL};
    bool shared = projection->lanes.ready;
    if (shared) {
        (void)pthread_mutex_lock(&projection->lanes.burying);
    }
    int rc = write_letter(projection, item, error, &letter, failure);
    if (rc == 0) {
        rc = publish(projection, &item->event, &letter, failure);
    }
    if (shared) {
        (void)pthread_mutex_unlock(&projection->lanes.burying);
    }
    el_free(letter.headers);
    if (rc != 0) {
        el_fail_wrap(failure, "projection %s: %s[%d] offset %lld cannot become a dead letter", projection->options.name,
                     item->event.topic, item->event.partition, (long long)item->event.offset);
    }
    return rc;
}
