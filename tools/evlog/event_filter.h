/* SPDX-License-Identifier: Apache-2.0
 *
 * --filter: which events a command takes, by event patterns (docs/patterns.md).
 */
#ifndef EVLOG_TOOLS_EVENT_FILTER_H
#define EVLOG_TOOLS_EVENT_FILTER_H

#include "cli.h"

#include <core/pattern.h>

struct event_filter {
    struct el_arena arena;
    const struct el_pattern *pattern; /* NULL: every event is taken */
    void *scratch;
    uint64_t unparsable_count; /* not taken: the payload decides, and is neither JSON nor CBOR */
    uint64_t too_long_count;   /* not taken: to match it would take too long */
};

/* Compile patterns; none takes every event. returns CLI_OK | exit code, told. To be closed in both cases */
int event_filter_open(struct event_filter *filter, const struct cli *cli, const struct cli_list *patterns);
void event_filter_close(struct event_filter *filter);
/* Is the event taken? Counts those of which it cannot be known. */
bool event_filter_takes(struct event_filter *filter, const struct evlog_event *event);
/* Say of how many events it could not be known, when there were some. */
void event_filter_say(const struct event_filter *filter, const struct cli *cli);

#endif
