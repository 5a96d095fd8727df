/* SPDX-License-Identifier: Apache-2.0
 *
 * From the start of the process to the first acknowledged event: on an empty directory, after a clean stop, and after
 * kill -9 with more and more bytes in the journal that no checkpoint covers; and memory and files of an idle server.
 *
 * The limit of a recovery is reading those bytes: 128 KiB reads in order, 8 in flight, in the same run.
 */
#include "lib/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORDS 64
#define VALUE_LEN 1010
#define READ_LEN 131072u

struct restart_run {
    struct bench_options options;
    struct bench_broker broker;
    struct bench_produce one, batch;
    double read_mb;
};

static void send_events(struct restart_run *run, const struct bench_produce *produce, uint64_t count)
{
    struct bench_load_result result;
    struct bench_load load = {.port = run->broker.port,
                              .produces = produce,
                              .produce_count = 1,
                              .conns = count == 1 ? 1 : 4,
                              .depth = count == 1 ? 1 : 4,
                              .request_count = count,
                              .broker = run->broker.pid};
    bench_load_run(&load, &result);
}

/* Milliseconds to the ready line and to the first acknowledgement. */
static void start_and_ask(struct restart_run *run, double *ready_ms, double *ack_ms)
{
    uint64_t from_ns = bench_now_ns();
    bench_broker_restart(&run->broker);
    *ready_ms = (double)(bench_now_ns() - from_ns) / 1e6;
    send_events(run, &run->one, 1);
    *ack_ms = (double)(bench_now_ns() - from_ns) / 1e6;
}

static void row(const struct restart_run *run, const char *name, double ready_ms, double ack_ms, double tail_mb)
{
    printf("%-34s %10.1f %10.1f", name, ready_ms, ack_ms);
    if (tail_mb > 0) {
        printf(" %10.0f %10.0f", tail_mb, tail_mb / run->read_mb * 1000);
    }
    printf("\n");
}

static void crash_row(struct restart_run *run, double tail_mb)
{
    double ready_ms, ack_ms;
    char name[64];
    snprintf(name, sizeof name, "after kill -9, %.0f MB behind", tail_mb);
    if (!bench_row_wanted(&run->options, name)) {
        return;
    }
    bench_broker_stop(&run->broker); /* a checkpoint: from here on all is behind it */
    bench_broker_restart(&run->broker);
    send_events(run, &run->batch, (uint64_t)(tail_mb * 1e6 / (double)run->batch.batch_len));
    bench_broker_kill(&run->broker);
    start_and_ask(run, &ready_ms, &ack_ms);
    row(run, name, ready_ms, ack_ms, tail_mb);
}

int main(int argc, char **argv)
{
    static struct restart_run run;
    struct bench_limit disk;
    double ready_ms, ack_ms;
    bench_options_parse(&run.options, argc, argv, "From start to first acknowledgement, and idle memory.");
    bench_limit_read(run.options.data, READ_LEN, 8, 0.5, &disk);
    run.read_mb = disk.mb_per_second;
    bench_produce_make(&run.one, "t", 0, 1, 100, -1);
    bench_produce_make(&run.batch, "t", 0, RECORDS, VALUE_LEN, -1);
    bench_wait_quiet(run.options.quiet_seconds);
    uint64_t from_ns = bench_now_ns();
    bench_broker_start(&run.broker, &run.options);
    ready_ms = (double)(bench_now_ns() - from_ns) / 1e6;
    int fd = bench_connect(run.broker.port, true);
    bench_topic_create(fd, "t", 1, false);
    close(fd);
    send_events(&run, &run.one, 1);
    ack_ms = (double)(bench_now_ns() - from_ns) / 1e6;
    printf("%s\nlimit: disk reads of 128 KiB, 8 in flight: %.0f MB/s\n", run.broker.ready, run.read_mb);
    printf("idle: %.1f MiB resident, %u files open\n", (double)bench_resident_bytes(run.broker.pid) / (1 << 20),
           bench_open_files(run.broker.pid));
    printf("%-34s %10s %10s %10s %10s\n", "start", "ready ms", "ack ms", "journal MB", "limit ms");
    row(&run, "on an empty directory", ready_ms, ack_ms, 0);
    bench_broker_stop(&run.broker);
    start_and_ask(&run, &ready_ms, &ack_ms);
    row(&run, "after a clean stop", ready_ms, ack_ms, 0);
    crash_row(&run, 1);
    crash_row(&run, 16);
    crash_row(&run, 48);
    bench_broker_end(&run.broker);
    return 0;
}
