/* SPDX-License-Identifier: Apache-2.0
 *
 * Idle connections: what each costs in memory, and what the rate of 64 busy ones loses beside them. The limit of the
 * rate is that of the same broker with the 64 alone.
 */
#include "lib/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define VALUE_LEN 256
#define WARM_SECONDS 0.3
#define BUSY 64u
#define FILES_SPARE 200u
#define SETTLE_US 200000 /* the last ones are accepted by then */

static const uint32_t idle_counts[] = {0, 936, 4936, 9836};

/* As many files as the machine lets a process have. */
static uint32_t files_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0;
    }
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return (uint32_t)limit.rlim_cur;
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct bench_broker broker;
    struct bench_produce produce;
    struct bench_load_result r;
    bench_options_parse(&options, argc, argv, "Idle connections beside busy ones.");
    bench_pin_self(&options);
    uint32_t room = files_max();
    bench_broker_start(&broker, &options);
    int fd = bench_connect(broker.port, true);
    bench_topic_create(fd, "memory", 1, true);
    bench_produce_make(&produce, "memory", 0, 1, VALUE_LEN, -1);
    struct bench_load load = {.port = broker.port,
                              .produces = &produce,
                              .produce_count = 1,
                              .conns = BUSY,
                              .depth = 1,
                              .warm_seconds = WARM_SECONDS,
                              .seconds = options.seconds,
                              .quiet_seconds = options.quiet_seconds,
                              .broker = broker.pid};
    bench_load_run(&load, &r); /* what memory the busy ones want is there from now on */
    double alone = 0, idle_bytes = 0;
    uint32_t open = 0;
    printf("%s\n%-22s %9s %9s %9s %14s %7s\n", broker.ready, "64 busy beside", "events/s", "of alone", "p99 us",
           "bytes per idle", "others");
    for (size_t i = 0; i < sizeof idle_counts / sizeof idle_counts[0]; i++) {
        char name[32];
        uint32_t want = idle_counts[i];
        snprintf(name, sizeof name, "%u idle", want);
        if (want + BUSY + FILES_SPARE > room) {
            printf("%-22s SKIP: a process may open %u files here\n", name, room);
            continue;
        }
        double before = (double)bench_resident_bytes(broker.pid);
        for (; open < want; open++) {
            bench_connect(broker.port, true); /* left open to the end */
        }
        usleep(SETTLE_US);
        idle_bytes += (double)bench_resident_bytes(broker.pid) - before;
        bench_load_run_quiet(&load, options.repeats, &r);
        alone = i == 0 ? r.requests_per_second : alone;
        printf("%-22s %9.0f %8.0f%% %9.0f %14.0f %6.0f%%\n", name, r.requests_per_second,
               r.requests_per_second / alone * 100, r.p99_us, open == 0 ? 0 : idle_bytes / open, r.others * 100);
    }
    bench_broker_end(&broker);
    return 0;
}
