/* SPDX-License-Identifier: Apache-2.0
 *
 * A broker that archives, beside one that does not.
 *
 * 1. latency: brokers take the same load in turns, one running at a time; the archive is asked for every second, sixty
 *    times as often as by default
 *
 *    plain    does not archive
 *    disk     archives into a directory of the device that its log is on
 *    files    does not archive, while another process writes, syncs and names as many files as "disk" has put: what the
 *             device makes of them, whoever asks for it
 *    bucket   archives into a bucket in the memory of another process (lib/bucket.c), which gives way: what is evlogd's
 *
 *    and once "plain" and "disk" for longer than a minute, with a round a minute as by default
 *
 * 2. throughput: batches are appended as fast as they go, then the archive is waited for; and once more until segments
 *    were made of all of it
 */
#include "lib/bench.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/dir_store.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wire/msg_ext_archive_now.h>

#define ARCHIVE_NOW_KEY 0x4041
#define VALUE_LEN 256
#define WARM_SECONDS 0.3
#define TURNS 3
#define WAYS 4
#define MINUTE_SECONDS 66.0 /* has one round of the default archive.max_lag in it */
#define BATCH_RECORDS 256
#define BATCH_VALUE_LEN 1010

/* What an archive was given. */
struct given {
    uint32_t count;
    uint64_t len;
    double seconds;
};

struct way {
    const char *name;
    struct bench_options options;
    struct bench_broker broker;
    struct bench_produce produce[BENCH_PARTITION_MAX];
    struct bench_load_result results[TURNS];
    const char *folder;        /* of its archive; NULL: another one, or none */
    const struct given *files; /* for another process to write meanwhile; NULL: none does */
};

static struct given given; /* to the archive on the disk, in its last turn */

struct load {
    const char *name;
    uint32_t conns;
    double rate;
};

static const struct load loads[] = {{"16 connections", 16, 0}, {"5000/s, 4 connections", 4, 5000}};
static const struct load minute_load = {"5000/s, by default", 4, 5000};

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

/* --- latency ------------------------------------------------------------------------------------------------------ */

static bool count_object(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct given *sum = arg;
    (void)key;
    (void)modified_ms;
    sum->count++;
    sum->len += len;
    return true;
}

static struct given given_to(const char *folder)
{
    struct given sum = {0};
    struct object_store *store;
    if (dir_store_open(folder, false, folder, &store, NULL) != 0 ||
        object_list(store, "", NULL, count_object, &sum, NULL) != 0) {
        bench_die("%s cannot be listed", folder);
    }
    object_store_close(store);
    return sum;
}

static void write_file(int folder_fd, const uint8_t *data, size_t len, const char *name)
{
    int fd = openat(folder_fd, "beside", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, data, len) != (ssize_t)len || fsync(fd) != 0 || close(fd) != 0 ||
        renameat(folder_fd, "beside", folder_fd, name) != 0 || fsync(folder_fd) != 0) {
        bench_die("a file cannot be written");
    }
}

/* Every second what an archive is given in one, and the file that evlogd keeps beside its log; until it is killed. */
static pid_t write_files(const struct bench_options *options, const struct given *g)
{
    char folder[PATH_MAX + 40];
    uint32_t count = (uint32_t)EL_MAX((double)g->count / g->seconds + 0.5, 1.0);
    size_t len = (size_t)((double)g->len / g->seconds);
    pid_t pid = fork();
    if (pid != 0) {
        return pid;
    }
    uint8_t *data = bench_alloc(len + 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(folder, sizeof folder, "%s/bench-files", options->data);
    (void)mkdir(folder, 0700);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (;;) {
        uint64_t until_ns = bench_now_ns() + 1000000000;
        for (uint32_t i = 0; i <= count; i++) {
            char name[32];
            (void)snprintf(name, sizeof name, "file-%u", i);
            write_file(fd, data, i == 0 ? len : EL_MIN(len, (size_t)400), name);
        }
        uint64_t now_ns = bench_now_ns();
        if (now_ns < until_ns) {
            (void)usleep((useconds_t)((until_ns - now_ns) / 1000));
        }
    }
}

static void measure(struct way *way, const struct load *load, struct bench_load_result *result)
{
    struct given before = way->folder == NULL ? (struct given){0} : given_to(way->folder);
    bench_broker_restart(&way->broker);
    pid_t writer = way->files == NULL ? 0 : write_files(&way->options, way->files);
    uint64_t start_ns = bench_now_ns();
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
    double seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    if (writer > 0) {
        (void)kill(writer, SIGKILL);
        (void)waitpid(writer, NULL, 0);
    }
    bench_broker_stop(&way->broker);
    if (way->folder != NULL) {
        given = given_to(way->folder);
        given = (struct given){given.count - before.count, given.len - before.len, seconds};
    }
}

static int by_p99(const void *a, const void *b)
{
    const struct bench_load_result *first = a, *second = b;
    return (first->p99_us > second->p99_us) - (first->p99_us < second->p99_us);
}

static void print_latency(const struct load *load, const struct way *way, const struct bench_load_result *r,
                          double plain_p99_us)
{
    printf("%-22s %-10s %9.0f %9.0f %9.0f %9.0f %8.1f %6.0f%%  p99 is %.2f x plain\n", load->name, way->name,
           r->requests_per_second, r->p50_us, r->p99_us, r->p999_us, r->broker_us, r->others * 100,
           r->p99_us / plain_p99_us);
}

static void bench_latency(struct way *ways, const struct load *load)
{
    for (int turn = 0; turn < TURNS; turn++) {
        for (int i = 0; i < WAYS; i++) {
            struct way *way = &ways[turn % 2 == 0 ? i : WAYS - 1 - i];
            measure(way, load, &way->results[turn]);
        }
    }
    for (int i = 0; i < WAYS; i++) {
        qsort(ways[i].results, TURNS, sizeof ways[i].results[0], by_p99);
        print_latency(load, &ways[i], &ways[i].results[TURNS / 2], ways[0].results[TURNS / 2].p99_us);
    }
}

/* plain, disk: measured in turns of a minute, which is too long for more than one. */
static void bench_minute(struct way *plain, struct way *disk)
{
    struct way *both[] = {plain, disk};
    disk->options.extra[1] = NULL;
    for (size_t i = 0; i < 2; i++) {
        both[i]->options.seconds = MINUTE_SECONDS;
        measure(both[i], &minute_load, &both[i]->results[0]);
        print_latency(&minute_load, both[i], &both[i]->results[0], plain->results[0].p99_us);
    }
    printf("%-22s %-10s was given %u objects meanwhile\n", minute_load.name, disk->name, given.count);
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
    static struct way ways[WAYS] = {{.name = "plain"}, {.name = "disk"}, {.name = "files"}, {.name = "bucket"}};
    static char data[PATH_MAX], folder[PATH_MAX + 40], url[PATH_MAX + 64], bucket_url[96], command[2 * PATH_MAX + 128];
    struct bench_options options;
    struct bench_bucket bucket;
    bench_options_parse(&options, argc, argv, "A broker that archives.");
    if (realpath(options.data, data) == NULL) {
        bench_die("%s is not there", options.data);
    }
    (void)snprintf(folder, sizeof folder, "%s/evlog-bench-archive-XXXXXX", data);
    if (mkdtemp(folder) == NULL) {
        bench_die("no folder in %s", data);
    }
    bench_bucket_start(&bucket);
    (void)setpriority(PRIO_PROCESS, (id_t)bucket.pid, 19); /* elsewhere it has processors of its own */
    (void)snprintf(url, sizeof url, "--archive=file://%s", folder);
    (void)snprintf(bucket_url, sizeof bucket_url, "--archive=%s", bucket.url);
    bench_pin_self(&options);
    for (int i = 0; i < WAYS; i++) {
        ways[i].options = options;
        if (i % 2 == 1) {
            ways[i].options.extra[0] = i == 1 ? url : bucket_url;
            ways[i].options.extra[1] = "--archive-max-lag-ms=1s";
        }
        start(&ways[i]);
    }
    ways[1].folder = folder;
    ways[2].files = &given;
    printf("%-22s %-10s %9s %9s %9s %9s %8s %7s\n", "256-byte events", "broker", "events/s", "p50 us", "p99 us",
           "p99.9 us", "cpu us", "others");
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        if (bench_row_wanted(&options, loads[i].name)) {
            bench_latency(ways, &loads[i]);
        }
    }
    if (bench_row_wanted(&options, "appended")) {
        bench_throughput(&ways[1], folder);
    }
    if (bench_row_wanted(&options, minute_load.name)) {
        bench_minute(&ways[0], &ways[1]);
    }
    for (int i = 0; i < WAYS; i++) {
        bench_broker_end(&ways[i].broker);
    }
    bench_bucket_stop(&bucket);
    (void)snprintf(command, sizeof command, "rm -rf '%s' '%s/bench-files'", folder, data);
    return system(command) == 0 ? 0 : 1; /* NOLINT(cert-env33-c) */
}
