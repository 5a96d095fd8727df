/* SPDX-License-Identifier: Apache-2.0
 *
 * What a bench has measured: times, all of them kept, and the lines that say what they come to. One thread.
 */
#ifndef EVLOG_TOOLS_BENCH_REPORT_H
#define EVLOG_TOOLS_BENCH_REPORT_H

#include "cli.h"

#define BENCH_NS_PER_S 1000000000ll

struct bench_times {
    uint32_t *us; /* [room] */
    int64_t count;
    int64_t room;
};

struct bench_result {
    const char *what;      /* the bench's name */
    const char *floor_dir; /* where synced writes are timed for comparison; NULL: nowhere */
    int64_t event_count;
    int64_t failed_count;
    int64_t value_len;
    double seconds;
};

/* Monotonic. */
int64_t bench_now_ns(void);
/* Note how long it has been since from_ns; nothing is noted when there is no room. */
void bench_note(struct bench_times *times, int64_t from_ns);
/* Print, sorting the times. returns CLI_OK | CLI_FAILED told */
int bench_report(const struct cli *cli, const struct bench_result *result, struct bench_times *times);

#endif
