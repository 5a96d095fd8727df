/* SPDX-License-Identifier: Apache-2.0
 *
 * --drill: what is done to a handler on purpose, so that it shows whether it can take an event twice. What happens to
 * an event depends on the seed and the event alone: the same seed drills the same events again. Pure functions.
 */
#ifndef EVLOG_TOOLS_WORK_DRILL_H
#define EVLOG_TOOLS_WORK_DRILL_H

#include "cli.h"

struct work_drill {
    bool duplicate, crash, late; /* wanted */
    uint64_t seed;
};

/* What to do to one event. */
struct work_drill_plan {
    bool duplicate;   /* run the handler again after it succeeded */
    int64_t crash_ms; /* kill it so long after its start, and run it again; -1: no */
    int64_t late_ms;  /* wait so long before it is run; 0: no */
};

/* Read "duplicate,crash,late" or part of it. returns false: it says something else */
bool work_drill_parse(const char *text, struct work_drill *drill);
struct work_drill_plan work_drill_plan(const struct work_drill *drill, const struct evlog_event *event);

#endif
