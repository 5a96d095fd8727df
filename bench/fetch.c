/* SPDX-License-Identifier: Apache-2.0
 *
 * Consuming: from the start while the log is in memory, from the start behind a restart with nothing cached, and at the
 * tail behind a producer.
 */
#include "lib/bench.h"

#include <core/assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fetch_run {
    const struct bench_options *options;
    struct bench_broker broker;
    const char *topic;
    uint32_t readers;
    int64_t end; /* stop there; 0: when time is over */
    int32_t wait_ms;
    volatile bool *stop; /* set at the end, for the producer */
};

static void run_readers(const struct fetch_run *run, const char *name, const char *note)
{
    struct bench_consume_result r;
    bench_consume_run(&(struct bench_consume){.port = run->broker.port,
                                              .topic = run->topic,
                                              .partitions = run->options->partitions,
                                              .readers = run->readers,
                                              .end = run->end,
                                              .wait_ms = run->wait_ms,
                                              .seconds = run->options->seconds,
                                              .quiet_seconds = run->end > 0 ? run->options->quiet_seconds : 0,
                                              .broker = run->broker.pid},
                      &r);
    printf("%-34s %9.1f %12.0f %9.0f %9.3f %6.0f%%  %s\n", name, (double)r.bytes / r.seconds / 1e6,
           (double)r.events / r.seconds, (double)r.bytes / (double)r.fetches / 1024,
           r.broker_seconds * 1e9 / (double)r.bytes, r.others * 100, note);
}

/* bytes of batches in each partition of a topic; returns its end offset */
static int64_t fill(struct fetch_run *run, const char *topic, uint32_t records, size_t value_len, uint64_t bytes)
{
    struct bench_produce produces[BENCH_PARTITION_MAX];
    uint32_t partitions = run->options->partitions;
    int fd = bench_connect(run->broker.port, true);
    bench_topic_create(fd, topic, partitions, false);
    close(fd);
    EL_ASSERT(partitions > 0);
    for (uint32_t p = 0; p < partitions; p++) {
        bench_produce_make(&produces[p], topic, (int32_t)p, records, value_len, -1);
    }
    uint64_t batches = bytes / produces[0].batch_len;
    for (uint32_t p = 0; p < partitions; p++) {
        struct bench_load load = {.port = run->broker.port,
                                  .produces = &produces[p],
                                  .produce_count = 1,
                                  .conns = 8,
                                  .depth = 8,
                                  .request_count = batches,
                                  .broker = run->broker.pid};
        struct bench_load_result result;
        bench_load_run(&load, &result);
    }
    return (int64_t)(batches * records);
}

static void *produce_main(void *arg)
{
    struct bench_load_result result;
    bench_load_run(arg, &result);
    return NULL;
}

static void run_tail(struct fetch_run *run, uint32_t readers)
{
    char topic[32], name[64];
    struct bench_produce produce;
    volatile bool stop = false;
    pthread_t thread;
    snprintf(topic, sizeof topic, "tail-%u", readers);
    snprintf(name, sizeof name, "tail, %u consumer%s, 64 KiB batches", readers, readers == 1 ? "" : "s");
    int fd = bench_connect(run->broker.port, true);
    bench_topic_create(fd, topic, run->options->partitions, false);
    close(fd);
    bench_produce_make(&produce, topic, 0, 64, 1010, -1);
    struct bench_load load = {.port = run->broker.port,
                              .produces = &produce,
                              .produce_count = 1,
                              .conns = 1,
                              .depth = 4,
                              .seconds = run->options->seconds + 1,
                              .stop = &stop,
                              .broker = run->broker.pid};
    if (pthread_create(&thread, NULL, produce_main, &load) != 0) {
        bench_die("thread");
    }
    struct fetch_run tail = *run;
    tail.topic = topic;
    tail.readers = readers;
    tail.end = 0;
    tail.wait_ms = 500;
    run_readers(&tail, name, "cpu counts the producing as well");
    stop = true;
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    static struct fetch_run run;
    struct bench_options options;
    struct bench_limit disk;
    struct bench_stream_limit stream, copied;
    bench_options_parse(&options, argc, argv, "Consuming from the start, cold and at the tail.");
    run.options = &options;
    bench_pin_self(&options);
    bench_limit_read(options.data, 131072, 8, 1, &disk);
    bench_broker_start(&run.broker, &options);
    bench_limit_stream(&options, BENCH_STREAM_MEMORY, 1, &stream);
    bench_limit_stream(&options, BENCH_STREAM_COPIED, 1, &copied);
    printf("%s\nlimit: disk reads of 128 KiB, 8 in flight: %.0f MB/s\n", run.broker.ready, disk.mb_per_second);
    printf("limit: a stream over loopback TCP: %.0f MB/s and %.2f cpu s/GB of its sender, %.0f and %.2f when the bytes "
           "are copied once before\n",
           stream.mb_per_second, stream.cpu_per_gb, copied.mb_per_second, copied.cpu_per_gb);
    printf("%-34s %9s %12s %9s %9s %7s\n", "consume", "MB/s", "events/s", "KiB/fetch", "cpu s/GB", "others");
    if (bench_row_wanted(&options, "tail")) {
        run_tail(&run, 1);
        run_tail(&run, 4);
    }
    run.readers = options.partitions;
    static const struct {
        const char *name;
        const char *topic;
        uint32_t records;
        size_t value_len;
        uint64_t bytes;
    } logs[] = {
        {"from start, in memory, 100 B", "small", 1000, 100, 96u << 20},
        {"from start, in memory, 1 KiB", "large", 64, 1010, 96u << 20},
        {"from start, in memory, 256 B alone", "alone", 1, 256, 32u << 20},
        {"from start, cold, 1 KiB", "cold", 64, 1010, 512u << 20},
    };
    for (size_t i = 0; i < 4; i++) {
        if (!bench_row_wanted(&options, logs[i].name)) {
            continue;
        }
        run.topic = logs[i].topic;
        run.end = fill(&run, logs[i].topic, logs[i].records, logs[i].value_len, logs[i].bytes);
        if (i == 3) {
            bench_broker_restart_cold(&run.broker);
            run_readers(&run, logs[i].name, "restarted, caches dropped");
            run_readers(&run, "from start, again, 1 KiB", "in the kernel's page cache");
        } else {
            run_readers(&run, logs[i].name, "");
        }
    }
    bench_broker_end(&run.broker);
    return 0;
}
