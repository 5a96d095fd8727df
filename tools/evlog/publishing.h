/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishing many events from lines: CloudEvents, or keys and values by a format. Shared by produce and "up --demo".
 */
#ifndef EVLOG_TOOLS_PUBLISHING_H
#define EVLOG_TOOLS_PUBLISHING_H

#include "cli.h"
#include "event_format.h"
#include "line_input.h"
#include "sealing.h"

struct publishing {
    struct cli *cli;
    const char *topic;
    struct evlog_producer *producer;
    struct evlog_message base;         /* what every event has: partition, time, headers, key */
    const struct event_format *format; /* of lines, NULL: the whole line is the value */
    const char *key_delimiter;         /* NULL: none; before its first occurrence stands the key */
    bool cloudevents;                  /* lines are CloudEvents */
    bool empty_is_null;                /* an empty value is a tombstone */
    uint64_t sent_count;               /* handed to the producer */
    uint64_t moved_count;              /* acknowledged when that was looked at last */
    int64_t moved_ns;                  /* since when the count is so, monotonic */
    struct evlog_failure failed;       /* the first that on_delivery told; code 0: none */
    struct sealing *sealing;           /* seals every event, NULL: none */
};

/* Client settings of who publishes: for cli->defaults. */
extern const char *const publishing_defaults[];

/* Make sure the topic is there, making it when create is set.
 *
 * partition_count  -1: any
 * returns          CLI_OK | CLI_NOT_FOUND | CLI_CONFLICT another number of partitions | another exit code, told
 */
int publishing_topic(struct cli *cli, const char *topic, bool create, int64_t partition_count);
/* Publish every line. A bad line ends it: what came before is flushed, the line is named, and how many were published.
 * returns an exit code, told. */
int publishing_lines(struct publishing *p, struct line_input *input, const char *name);
/* Publish one event. returns 0 or a library code, with the failure */
int publishing_one(struct publishing *p, const struct evlog_message *message, struct evlog_failure *failure);
/* Wait for everything and tell how much was stored. returns an exit code, told */
int publishing_finish(struct publishing *p);

#endif
