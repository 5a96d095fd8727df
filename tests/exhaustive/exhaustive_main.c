/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-exhaustive: small spaces of faults, looked at whole.
 *
 *   evlog-exhaustive crash [--depth N] [--slice K] [--part I/N]   every crash of all workloads of at most N (3) actions
 *   evlog-exhaustive crash --workload append,trim                 one of them, by the name that a failure shows
 *   evlog-exhaustive rot [--slice K] [--part I/N]                 every byte of a data directory changed, every length
 *
 * --slice K takes every K-th of the longest workloads, or of the bytes; --part I/N the I-th of N parts (from 1 on), for
 * that many processes. -v says more. Exit 1 when a promise is broken.
 */
#include "exhaustive.h"

#include <core/logger.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void log_drop(void *arg, enum el_log_level level, const char *area, const char *text)
{
    (void)arg, (void)level, (void)area, (void)text;
}

/* What a crashed machine had is left to nobody. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static int usage(void)
{
    fprintf(stderr, "usage: evlog-exhaustive crash [--depth N] [--slice K] [--part I/N] [--workload A,B,C] [-v]\n"
                    "       evlog-exhaustive rot [--slice K] [--part I/N] [-v]\n");
    return 2;
}

static bool part_parse(struct part *part, const char *text)
{
    unsigned index, count;
    if (sscanf(text, "%u/%u", &index, &count) != 2 || index < 1 || index > count) {
        return false;
    }
    *part = (struct part){index - 1, count};
    return true;
}

int main(int argc, char **argv)
{
    struct crash_config crash = {.depth = 3, .slice = 1, .part = {0, 1}};
    struct rot_config rot = {.slice = 1, .part = {0, 1}};
    bool good = argc > 1;
    for (int i = 2; i < argc && good; i++) {
        bool more = i + 1 < argc;
        if (strcmp(argv[i], "-v") == 0) {
            crash.verbose = rot.verbose = true;
        } else if (more && strcmp(argv[i], "--depth") == 0) {
            crash.depth = (uint32_t)strtoul(argv[++i], NULL, 10);
            good = crash.depth <= 4;
        } else if (more && strcmp(argv[i], "--slice") == 0) {
            crash.slice = rot.slice = (uint32_t)strtoul(argv[++i], NULL, 10);
            good = crash.slice > 0;
        } else if (more && strcmp(argv[i], "--part") == 0) {
            good = part_parse(&crash.part, argv[++i]);
            rot.part = crash.part;
        } else if (more && strcmp(argv[i], "--workload") == 0) {
            crash.workload = argv[++i];
        } else {
            good = false;
        }
    }
    el_log_setup(EL_LOG_ERROR, false);
    el_log_sink(log_drop, NULL);
    if (good && strcmp(argv[1], "crash") == 0) {
        return crash_points_run(&crash) ? 0 : 1;
    }
    if (good && strcmp(argv[1], "rot") == 0) {
        return rot_points_run(&rot) ? 0 : 1;
    }
    return usage();
}
