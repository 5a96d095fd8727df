/* SPDX-License-Identifier: Apache-2.0
 *
 * How the cost grows with the number of partitions: durable events of 256 bytes, one a request, to each of 1 to 10,000
 * partitions in turn; then one busy partition beside them. Checkpoints come while it is measured, for every partition
 * that got an event has something to carry.
 *
 * The limit is the same broker with one partition.
 */
#include "lib/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VALUE_LEN 256
#define WARM_SECONDS 0.5
#define CONNS 64

struct part_run {
    struct bench_options options;
    struct bench_broker broker;
    double one; /* events a second with one partition */
};

static void measure(struct part_run *run, const char *name, const struct bench_produce *produces, uint32_t count)
{
    struct bench_load_result r;
    struct bench_load load = {.port = run->broker.port,
                              .produces = produces,
                              .produce_count = count,
                              .in_turn = true,
                              .conns = CONNS,
                              .depth = 1,
                              .warm_seconds = WARM_SECONDS,
                              .seconds = run->options.seconds,
                              .quiet_seconds = run->options.quiet_seconds,
                              .broker = run->broker.pid};
    bench_load_run_quiet(&load, run->options.repeats, &r);
    run->one = run->one == 0 ? r.requests_per_second : run->one;
    printf("%-28s %9.0f %8.0f%% %9.0f %9.0f %8.1f %6.0f%%\n", name, r.requests_per_second,
           r.requests_per_second / run->one * 100, r.p50_us, r.p99_us, r.broker_us, r.others * 100);
}

static void row(struct part_run *run, uint32_t count)
{
    char topic[32], name[64];
    snprintf(name, sizeof name, "%u in turn", count);
    if (!bench_row_wanted(&run->options, name)) {
        return;
    }
    snprintf(topic, sizeof topic, "p-%05u", count);
    double before = (double)bench_resident_bytes(run->broker.pid);
    int fd = bench_connect(run->broker.port, true);
    bench_topic_create(fd, topic, count, false);
    close(fd);
    double each = ((double)bench_resident_bytes(run->broker.pid) - before) / count;
    struct bench_produce *produces = bench_alloc(count * sizeof *produces);
    for (uint32_t i = 0; i < count; i++) {
        bench_produce_make(&produces[i], topic, (int32_t)i, 1, VALUE_LEN, -1);
    }
    measure(run, name, produces, count);
    if (count > 1000) {
        snprintf(name, sizeof name, "1 busy beside %u idle", count - 1);
        measure(run, name, produces, 1);
        printf("an idle partition: %.0f bytes resident; evlogd has %u files open\n", each,
               bench_open_files(run->broker.pid));
    }
    for (uint32_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)produces[i].frame.data);
    }
    free(produces);
}

int main(int argc, char **argv)
{
    static struct part_run run;
    static const uint32_t counts[] = {1, 16, 256, 1000, 10000};
    bench_options_parse(&run.options, argc, argv, "Durable events to 1 to 10,000 partitions in turn.");
    bench_pin_self(&run.options);
    bench_broker_start(&run.broker, &run.options);
    printf("%s\n%-28s %9s %9s %9s %9s %8s %7s\n", run.broker.ready, "partitions, 64 connections", "events/s", "of one",
           "p50 us", "p99 us", "cpu us", "others");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        row(&run, counts[i]);
    }
    bench_broker_end(&run.broker);
    return 0;
}
