/* SPDX-License-Identifier: Apache-2.0
 *
 * One event of 256 bytes a request: latency and rate with 1, 16 and 256 connections, durable and, beside it, on a topic
 * that acknowledges from memory. Then 5,000 requests a second at fixed times.
 *
 * The limits are measured in the same run: a durable 4 KiB write and a round trip. One connection cannot be faster than
 * their sum; many cannot be faster than the same broker without durability.
 */
#include "lib/bench.h"

#include <stdio.h>

#define VALUE_LEN 256
#define WARM_SECONDS 0.3
#define OPEN_RATE 5000.0

struct lat_run {
    const struct bench_options *options;
    struct bench_broker broker;
    struct bench_produce durable[BENCH_PARTITION_MAX];
    struct bench_produce memory[BENCH_PARTITION_MAX];
    double floor_us; /* round trip and flush */
};

static void measure(struct lat_run *run, bool memory, uint32_t conns, double rate, struct bench_load_result *result)
{
    const struct bench_options *o = run->options;
    struct bench_load load = {
        .port = run->broker.port,
        .produces = memory ? run->memory : run->durable,
        .produce_count = o->partitions,
        .conns = conns,
        .depth = rate > 0 ? 32 : 1,
        .rate = rate,
        .warm_seconds = WARM_SECONDS,
        .seconds = o->seconds,
        .quiet_seconds = o->quiet_seconds,
        .broker = run->broker.pid,
    };
    bench_load_run_quiet(&load, o->repeats, result);
}

static void print_row(const char *name, const struct bench_load_result *r, const char *note)
{
    printf("%-26s %9.0f %9.0f %9.0f %9.0f %8.1f %6.0f%%  %s\n", name, r->requests_per_second, r->p50_us, r->p99_us,
           r->p999_us, r->broker_us, r->others * 100, note);
}

static void row_pair(struct lat_run *run, uint32_t conns)
{
    struct bench_load_result durable, memory;
    char name[64], note[128];
    snprintf(name, sizeof name, "%u connection%s", conns, conns == 1 ? "" : "s");
    if (!bench_row_wanted(run->options, name)) {
        return;
    }
    measure(run, false, conns, 0, &durable);
    measure(run, true, conns, 0, &memory);
    snprintf(note, sizeof note, "p50 is %.2f x floor; rate is %.0f %% of memory", durable.p50_us / run->floor_us,
             durable.requests_per_second / memory.requests_per_second * 100);
    print_row(name, &durable, note);
    snprintf(name, sizeof name, "%u, memory", conns);
    print_row(name, &memory, "acknowledged before the disk has it");
}

int main(int argc, char **argv)
{
    static struct lat_run run;
    struct bench_options options;
    struct bench_limit flush, rtt;
    bench_options_parse(&options, argc, argv, "Latency of single events, closed and open loop.");
    run.options = &options;
    bench_pin_self(&options);
    bench_broker_start(&run.broker, &options);
    int fd = bench_connect(run.broker.port, true);
    bench_topic_create(fd, "durable", options.partitions, false);
    bench_topic_create(fd, "memory", options.partitions, true);
    for (uint32_t p = 0; p < options.partitions; p++) {
        bench_produce_make(&run.durable[p], "durable", (int32_t)p, 1, VALUE_LEN, -1);
        bench_produce_make(&run.memory[p], "memory", (int32_t)p, 1, VALUE_LEN, -1);
    }
    bench_wait_quiet(options.quiet_seconds);
    bench_limit_flush(options.data, 4096, 1, 0.5, &flush);
    bench_limit_rtt(&options, 0.5, &rtt);
    run.floor_us = flush.p50_us + rtt.p50_us;
    printf("%s\nlimits: durable 4 KiB write p50 %.0f us, p99 %.0f us, %.0f /s; round trip p50 %.0f us; floor of one "
           "connection %.0f us\n",
           run.broker.ready, flush.p50_us, flush.p99_us, flush.per_second, rtt.p50_us, run.floor_us);
    printf("%-26s %9s %9s %9s %9s %8s %7s\n", "256-byte events", "events/s", "p50 us", "p99 us", "p99.9 us", "cpu us",
           "others");
    row_pair(&run, 1);
    row_pair(&run, 16);
    row_pair(&run, 256);
    if (bench_row_wanted(&options, "5000/s")) {
        struct bench_load_result result;
        measure(&run, false, 4, OPEN_RATE, &result);
        print_row("5000/s, 4 connections", &result, "open loop; times count from when a request was due");
    }
    bench_broker_end(&run.broker);
    return 0;
}
