/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading as a member of a group, for "consume -g": what is committed has been written out before.
 */
#ifndef EVLOG_TOOLS_GROUP_READING_H
#define EVLOG_TOOLS_GROUP_READING_H

#include "cli.h"

struct group_reading {
    struct cli *cli;
    const char *group;
    const char *const *topics; /* [topic_count] */
    size_t topic_count;
    bool follow;       /* go on behind the end */
    int64_t count_max; /* events printed, -1: no limit */
    /* Is an event wanted? One that is not counts as read, and as nothing for count_max. */
    bool (*take)(void *arg, const struct evlog_event *event);
    /* Take an event to the output. returns an exit code, told */
    int (*print)(void *arg, const struct evlog_event *event);
    void *arg;
    /* its own */
    struct evlog_subscriber *subscriber;
    uint64_t count;
    int64_t commit_at_ms;
};

/* Settings that make a client fit for this; a command puts them into cli->defaults before it connects. */
extern const char *const group_reading_defaults[];
/* Read until the end, the count, or a signal; then commit and leave. The client is connected. returns an exit code */
int group_reading_run(struct group_reading *reading);

#endif
