/* SPDX-License-Identifier: Apache-2.0
 *
 * How evlog work shows events to a handler, and what a handler's end means: environment, lines of JSON, exit codes,
 * failed items. Pure functions but for the environment that is copied.
 */
#ifndef EVLOG_TOOLS_WORK_HANDLER_H
#define EVLOG_TOOLS_WORK_HANDLER_H

#include "cli.h"
#include "handler_process.h"

#define WORK_EXIT_RETRY 75 /* EX_TEMPFAIL of sysexits.h */
#define WORK_EXIT_DEAD 65  /* EX_DATAERR */

/* The environment of a handler: ours, with EVLOG_ variables about the event (NULL: only the group).
 *
 * returns  NULL-terminated, one block; free with el_free() | NULL: no memory
 */
char **work_environment(const char *group, const struct evlog_lease *lease, int32_t attempt,
                        const struct evlog_trace_context *trace);

/* Append an event as a line of JSON. */
void work_event_line(struct el_buffer *out, const struct evlog_lease *lease, int32_t attempt);

/* What the end of a handler says of its event or its whole batch. */
void work_verdict(const struct handler_run *run, struct evlog_result *result);

/* Mark the items that the report on descriptor 3 names.
 *
 * leases   [count], ascending offsets
 * results  [count]
 * returns  false: the report is malformed, so that nothing in it can be believed; why says it
 */
bool work_report(struct el_slice report, const struct evlog_lease *const *leases, size_t count,
                 struct evlog_result *results, char why[EVLOG_ERROR_TEXT_MAX]);

/* A line of a handler's stdout. */
struct work_line {
    struct el_slice text; /* without its end */
    size_t number;        /* 1: the first */
    size_t next;          /* private: where the one behind it begins */
};
/* The next line; begin with zeros. The last one need not have an end. returns false: none is left */
bool work_line_next(struct el_slice output, struct work_line *line);
/* Of a batch, the event that a line names: OFFSET, a space or tab, then what it emits, to which the text is cut.
 * returns its index | count: none */
size_t work_line_index(struct el_slice *text, const struct evlog_lease *const *leases, size_t count);

#endif
