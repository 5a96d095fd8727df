/* SPDX-License-Identifier: Apache-2.0
 *
 * The two enumerations: what a crash can leave (crash_points.c), and bytes that changed (rot_points.c).
 */
#ifndef EL_EXHAUSTIVE_EXHAUSTIVE_H
#define EL_EXHAUSTIVE_EXHAUSTIVE_H

#include "workload.h"

#define FAILURES_MAX 5 /* then a run ends */

struct part {
    uint32_t index, count; /* of every `count` things the index-th */
};

struct crash_config {
    uint32_t depth;       /* actions of a workload, at most */
    uint32_t slice;       /* of the workloads with `depth` actions every slice-th; 1 all */
    struct part part;     /* of the workloads */
    const char *workload; /* only this one, "append,trim"; NULL all */
    bool verbose;
};

struct rot_config {
    uint32_t slice; /* of the bytes and lengths every slice-th; 1 all */
    struct part part;
    bool verbose;
};

/* Print what was looked at; the last line is "N passed, N failed". returns true when nothing failed */
bool crash_points_run(const struct crash_config *cfg);
bool rot_points_run(const struct rot_config *cfg);

#endif
