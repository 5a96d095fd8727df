/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens on a simulated machine, folded into one number: two runs of a seed that differ anywhere differ in it,
 * whatever compiler built them. The trace lives with the disk, which outlasts the processes.
 */
#ifndef EL_SIM_TRACE_H
#define EL_SIM_TRACE_H

#include <io/disk.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_trace {
    uint64_t hash;
    uint64_t event_count;
    bool print; /* a line for each event, to find where two runs part */
};

/* An event: what, and the numbers that describe it. Never a pointer. */
void sim_trace_add(struct sim_trace *trace, const char *what, const uint64_t *values, size_t value_count);
#define SIM_TRACE(trace, what, ...)                                                                                    \
    sim_trace_add(trace, what, (const uint64_t[]){__VA_ARGS__},                                                        \
                  sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* The calls of a simulated disk, each noted with its arguments and its outcome. */
extern const struct disk_ops sim_trace_calls;

#endif
