/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker that archives to a directory of the same device, beside one that does not.
 *
 * 1. latency: both take the same load in turns, one running at a time; the archive is asked for every second, sixty
 *    times as often as by default
 * 2. throughput: batches are appended as fast as they go, then the archive is waited for; and once more until segments
 *    were made of all of it
 *
 * The directory shares the device with the log: whoever archives elsewhere has half of these writes.
 */
#include "lib/bench.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/dir_store.h>
#include <string.h>
#include <wire/msg_ext_archive_now.h>

#define ARCHIVE_NOW_KEY 0x4041
#define VALUE_LEN 256
#define WARM_SECONDS 0.3
#define TURNS 3
#define BATCH_RECORDS 256
#define BATCH_VALUE_LEN 1010

struct way {
    const char *name;
    struct bench_options options;
    struct bench_broker broker;
    struct bench_produce produce[BENCH_PARTITION_MAX];
    struct bench_load_result results[TURNS];
};

struct load {
    const char *name;
    uint32_t conns;
    double rate;
};

static const struct load loads[] = {{"16 connections", 16, 0}, {"5000/s, 4 connections", 4, 5000}};

static void start(struct way *way)
{
    bench_broker_start(&way->broker, &way->options);
    int fd = bench_connect(way->broker.port, true);
    bench_topic_create(fd, "events", way->options.partitions, false);
    for (uint32_t p = 0; p < way->options.partitions; p++) {
        bench_produce_make(&way->produce[p], "events", (int32_t)p, 1, VALUE_LEN, -1);
    }
    bench_broker_stop(&way->broker);
}

static void measure(struct way *way, const struct load *load, struct bench_load_result *result)
{
    bench_broker_restart(&way->broker);
    bench_load_run(&(struct bench_load){.port = way->broker.port,
                                        .produces = way->produce,
                                        .produce_count = way->options.partitions,
                                        .conns = load->conns,
                                        .depth = load->rate > 0 ? 32 : 1,
                                        .rate = load->rate,
                                        .warm_seconds = WARM_SECONDS,
                                        .seconds = way->options.seconds,
                                        .quiet_seconds = way->options.quiet_seconds,
                                        .broker = way->broker.pid},
                   result);
    bench_broker_stop(&way->broker);
}

static int by_p99(const void *a, const void *b)
{
    const struct bench_load_result *first = a, *second = b;
    return (first->p99_us > second->p99_us) - (first->p99_us < second->p99_us);
}

static void bench_latency(struct way *plain, struct way *archiving, const struct load *load)
{
    for (int turn = 0; turn < TURNS; turn++) {
        measure(turn % 2 == 0 ? plain : archiving, load, &(turn % 2 == 0 ? plain : archiving)->results[turn]);
        measure(turn % 2 == 0 ? archiving : plain, load, &(turn % 2 == 0 ? archiving : plain)->results[turn]);
    }
    struct way *ways[] = {plain, archiving};
    for (size_t i = 0; i < 2; i++) {
        qsort(ways[i]->results, TURNS, sizeof ways[i]->results[0], by_p99);
        const struct bench_load_result *r = &ways[i]->results[TURNS / 2];
        printf("%-22s %-10s %9.0f %9.0f %9.0f %9.0f %8.1f %6.0f%%", load->name, ways[i]->name, r->requests_per_second,
               r->p50_us, r->p99_us, r->p999_us, r->broker_us, r->others * 100);
        printf(i == 0 ? "\n" : "  p99 is %.2f x plain\n", r->p99_us / plain->results[TURNS / 2].p99_us);
    }
}

/* --- throughput --------------------------------------------------------------------------------------------------- */

static double wait_for_archive(int fd, bool seal)
{
    struct el_arena arena;
    struct el_msg_ext_archive_now_request request;
    struct el_msg_ext_archive_now_response response;
    uint64_t start_ns = bench_now_ns();
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_ext_archive_now_request, &request);
    request.wait = true;
    request.seal = seal;
    bench_call(fd, ARCHIVE_NOW_KEY, 0, &request, &arena, &response);
    if (response.error != 0) {
        bench_die("the archive: %.*s", (int)response.message.len, (const char *)response.message.data);
    }
    el_arena_reset(&arena);
    return (double)(bench_now_ns() - start_ns) / 1e9;
}

static bool count_segment(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    (void)len;
    (void)modified_ms;
    *(uint32_t *)arg += strstr(key, "/seg/") != NULL;
    return true;
}

static uint32_t segments_in(const char *folder)
{
    struct object_store *store;
    uint32_t count = 0;
    if (dir_store_open(folder, false, folder, &store, NULL) != 0 ||
        object_list(store, "", NULL, count_segment, &count, NULL) != 0) {
        bench_die("%s cannot be listed", folder);
    }
    object_store_close(store);
    return count;
}

static void bench_throughput(struct way *way, const char *folder)
{
    struct bench_load_result result;
    for (uint32_t p = 0; p < way->options.partitions; p++) {
        bench_produce_make(&way->produce[p], "events", (int32_t)p, BATCH_RECORDS, BATCH_VALUE_LEN, -1);
    }
    bench_broker_restart(&way->broker);
    int fd = bench_connect(way->broker.port, true);
    (void)wait_for_archive(fd, true);
    uint32_t before = segments_in(folder);
    bench_load_run(&(struct bench_load){.port = way->broker.port,
                                        .produces = way->produce,
                                        .produce_count = way->options.partitions,
                                        .conns = 4,
                                        .depth = 5,
                                        .seconds = way->options.seconds,
                                        .broker = way->broker.pid},
                   &result);
    double mb = (double)result.requests * (double)way->produce[0].batch_len / 1e6;
    double archived_s = wait_for_archive(fd, false);
    double sealed_s = wait_for_archive(fd, true);
    uint32_t segments = segments_in(folder) - before;
    printf("%-33s %9.1f MB/s for %.1f s\n", "appended", mb / result.seconds, result.seconds);
    printf("%-33s %9.1f MB/s, %.1f s after the last event\n", "appended and archived",
           mb / (result.seconds + archived_s), archived_s);
    printf("%-33s %9.1f MB/s, %.1f s after that: %.1f segments/s\n", "and put into segments",
           mb / (result.seconds + archived_s + sealed_s), sealed_s,
           segments / (result.seconds + archived_s + sealed_s));
    bench_broker_stop(&way->broker);
}

int main(int argc, char **argv)
{
    static struct way plain = {.name = "plain"}, archiving = {.name = "archiving"};
    char data[PATH_MAX], folder[PATH_MAX + 40], url[PATH_MAX + 64], command[PATH_MAX + 64];
    bench_options_parse(&plain.options, argc, argv, "A broker that archives.");
    if (realpath(plain.options.data, data) == NULL) {
        bench_die("%s is not there", plain.options.data);
    }
    (void)snprintf(folder, sizeof folder, "%s/evlog-bench-archive-XXXXXX", data);
    if (mkdtemp(folder) == NULL) {
        bench_die("no folder in %s", data);
    }
    (void)snprintf(url, sizeof url, "--archive=file://%s", folder);
    archiving.options = plain.options;
    archiving.options.extra[0] = url;
    archiving.options.extra[1] = "--archive-max-lag-ms=1s";
    bench_pin_self(&plain.options);
    start(&plain);
    start(&archiving);
    printf("%-22s %-10s %9s %9s %9s %9s %8s %7s\n", "256-byte events", "broker", "events/s", "p50 us", "p99 us",
           "p99.9 us", "cpu us", "others");
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        bench_latency(&plain, &archiving, &loads[i]);
    }
    bench_throughput(&archiving, folder);
    bench_broker_end(&plain.broker);
    bench_broker_end(&archiving.broker);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : 1; /* NOLINT(cert-env33-c) */
}
