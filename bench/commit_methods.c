/* SPDX-License-Identifier: Apache-2.0
 *
 * The three ways of a journal write to the disk, on an idle machine and beside programs that keep every processor busy:
 * one event of 256 bytes a request, from 1 and from 16 connections.
 *
 * The limit is measured under the same conditions: a blocking durable write of 4 KiB.
 */
#include "lib/bench.h"

#include <stdio.h>
#include <unistd.h>

#define VALUE_LEN 256
#define WARM_SECONDS 0.3
#define HOGS_MAX 64

static void measure(const struct bench_options *o, struct bench_broker *broker, uint32_t conns, const char *state)
{
    struct bench_produce produce;
    struct bench_load_result r;
    bench_produce_make(&produce, "durable", 0, 1, VALUE_LEN, -1);
    struct bench_load load = {.port = broker->port,
                              .produces = &produce,
                              .produce_count = 1,
                              .conns = conns,
                              .depth = 1,
                              .warm_seconds = WARM_SECONDS,
                              .seconds = o->seconds,
                              .quiet_seconds = state[0] == 'i' ? o->quiet_seconds : 0,
                              .broker = broker->pid};
    bench_load_run_quiet(&load, state[0] == 'i' ? o->repeats : 1, &r);
    printf("%-12s %-5s %5u %9.0f %9.0f %9.0f %9.0f %8.1f\n", o->commit, state, conns, r.requests_per_second, r.p50_us,
           r.p99_us, r.p999_us, r.broker_us);
}

static void measure_all(struct bench_options *o, const char *state)
{
    static const char *const methods[] = {"ring-dsync", "thread", "linked"};
    struct bench_limit flush;
    bench_limit_flush(o->data, 4096, 1, 0.5, &flush);
    printf("%-12s %-5s %5s %9.0f %9.0f %9.0f\n", "limit", state, "-", flush.per_second, flush.p50_us, flush.p99_us);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct bench_broker broker;
        o->commit = methods[i];
        if (!bench_row_wanted(o, methods[i])) {
            continue;
        }
        bench_broker_start(&broker, o);
        int fd = bench_connect(broker.port, true);
        bench_topic_create(fd, "durable", 1, false);
        close(fd);
        measure(o, &broker, 1, state);
        measure(o, &broker, 16, state);
        bench_broker_end(&broker);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options;
    pid_t hogs[HOGS_MAX];
    uint32_t processors = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t hog_count = processors < HOGS_MAX ? processors : HOGS_MAX;
    bench_options_parse(&options, argc, argv, "Commit methods, on an idle and on a busy machine.");
    bench_pin_self(&options);
    bench_wait_quiet(options.quiet_seconds);
    printf("%-12s %-5s %5s %9s %9s %9s %9s %8s\n", "method", "cpus", "conns", "events/s", "p50 us", "p99 us",
           "p99.9 us", "cpu us");
    measure_all(&options, "idle");
    bench_hogs_start(hogs, hog_count);
    measure_all(&options, "busy");
    bench_hogs_stop(hogs, hog_count);
    return 0;
}
