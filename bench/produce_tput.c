/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches, pipelined: encoded requests are replayed, so that the broker is the limit and not a client.
 */
#include "lib/bench.h"

#include <stdio.h>

#define WARM_SECONDS 0.3

struct tput_row {
    const char *name;
    uint32_t records;
    size_t value_len;
    uint32_t conns;
    uint32_t depth;
};

static const struct tput_row rows[] = {
    {"100 x 100 B", 100, 100, 4, 8},       {"1000 x 100 B", 1000, 100, 4, 5},    {"64 KiB of 1 KiB", 64, 1010, 4, 5},
    {"256 KiB of 1 KiB", 256, 1010, 4, 5}, {"1 MiB of 1 KiB", 1000, 1010, 4, 3},
};

static void run_row(const struct bench_options *options, struct bench_broker *broker, const struct tput_row *row,
                    bool memory, double limit_mb)
{
    struct bench_produce produces[BENCH_PARTITION_MAX];
    struct bench_load_result best;
    for (uint32_t p = 0; p < options->partitions; p++) {
        bench_produce_make(&produces[p], memory ? "memory" : "durable", (int32_t)p, row->records, row->value_len, -1);
    }
    struct bench_load load = {
        .port = broker->port,
        .produces = produces,
        .produce_count = options->partitions,
        .conns = row->conns,
        .depth = row->depth,
        .warm_seconds = WARM_SECONDS,
        .seconds = options->seconds,
        .quiet_seconds = options->quiet_seconds,
        .broker = broker->pid,
    };
    bench_load_run_quiet(&load, options->repeats, &best);
    double mb = best.requests_per_second * (double)produces[0].batch_len / 1e6;
    printf("%-18s %-8s %9.1f %12.0f %9.0f %9.0f %9.2f %6.0f%%", row->name, memory ? "memory" : "durable", mb,
           best.requests_per_second * row->records, best.p50_us, best.p99_us,
           best.broker_us / (double)produces[0].batch_len * 1000, best.others * 100);
    if (memory) {
        printf("\n");
    } else {
        printf("  %3.0f %% of the device\n", mb / limit_mb * 100);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct bench_broker broker;
    struct bench_limit limit;
    bench_options_parse(&options, argc, argv, "Throughput of batches.");
    bench_pin_self(&options);
    bench_broker_start(&broker, &options);
    int fd = bench_connect(broker.port, true);
    bench_topic_create(fd, "durable", options.partitions, false);
    bench_topic_create(fd, "memory", options.partitions, true);
    bench_wait_quiet(options.quiet_seconds);
    bench_limit_flush(options.data, 65536, 8, 1, &limit);
    printf("%s\nlimit: durable 64 KiB writes, 8 in flight: %.0f MB/s\n", broker.ready, limit.mb_per_second);
    printf("%-18s %-8s %9s %12s %9s %9s %9s %7s\n", "batch", "topic", "MB/s", "events/s", "p50 us", "p99 us",
           "cpu s/GB", "others");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (bench_row_wanted(&options, rows[i].name)) {
            run_row(&options, &broker, &rows[i], false, limit.mb_per_second);
            run_row(&options, &broker, &rows[i], true, limit.mb_per_second);
        }
    }
    bench_broker_end(&broker);
    return 0;
}
