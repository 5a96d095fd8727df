/* SPDX-License-Identifier: Apache-2.0
 *
 * What the headers of a dead letter tell: where the event came from, who gave it up, why, and its history. Pure
 * functions. Headers: docs/semantics.md, Work groups.
 */
#ifndef EVLOG_TOOLS_DEAD_LETTER_H
#define EVLOG_TOOLS_DEAD_LETTER_H

#include "cli.h"

#define DEAD_LETTER_SUFFIX ".dlq"
#define DEAD_LETTER_HISTORY_MAX 64 /* attempts that are shown */

/* One failed attempt. */
struct dead_letter_attempt {
    int64_t time_ms;
    struct evlog_bytes worker, outcome, reason, error; /* null where unknown */
};

struct dead_letter {
    struct evlog_bytes topic, group, reason, error; /* null where absent */
    int64_t partition, offset, attempts;            /* -1 where absent or no number */
    int64_t timestamp_ms;                           /* of the event, -1 unknown */
    struct dead_letter_attempt history[DEAD_LETTER_HISTORY_MAX];
    size_t history_count;
    bool history_broken; /* it is there and cannot be read */
};

/* Is it a group of work? */
bool group_works(const struct evlog_group_name *group);
/* Does "TOPIC.GROUP.dlq" name this group, and is it one of work? */
bool dead_letter_names(const char *topic, const struct evlog_group_name *group);
/* Read the headers of an event. returns false: it is no dead letter. Slices point into the event */
bool dead_letter_read(const struct evlog_event *event, struct dead_letter *letter);

#endif
