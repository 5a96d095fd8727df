/* SPDX-License-Identifier: Apache-2.0
 *
 * What a lost disk costs: an archive in a bucket (lib/bucket.c: in the memory of another process), read back in every
 * way there is, beside GET of the same objects by plain HTTP in the same run.
 *
 * 1. a broker archives batches as fast as they are appended, until all of them are in segments, and ends
 * 2. plain    every object of the archive, one after the other, in pieces of 4 MiB
 * 3. restore  into a data directory, by 1, 2 and 4 threads: read, compared with what was signed, written and synced
 * 4. replay   the batches of all partitions, as `evlog replay --source archive` reads them: compared, and given away
 * 5. remote   evlogd on an empty directory (--from-archive): how long until it serves, and how fast consumers get what
 *             it does not have on its disk, while it brings that back behind
 */
#include "lib/bench.h"

#include <core/alloc.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_restore.h>
#include <store/object_store.h>
#include <string.h>
#include <unistd.h>
#include <wire/msg_ext_archive_now.h>

#define ARCHIVE_NOW_KEY 0x4041
#define TOPIC "events"
#define BATCH_RECORDS 64
#define BATCH_VALUE_LEN 1010
#define PIECE_LEN (4u << 20)
#define OBJECTS_MAX 65536
#define KEY_FLAG "--archive-key="

struct bench {
    struct bench_options options;
    struct bench_bucket bucket;
    struct bench_broker broker;
    struct object_store *store;
    char *keys[OBJECTS_MAX]; /* [key_count] of all objects */
    uint64_t lens[OBJECTS_MAX];
    uint32_t key_count;
    int64_t end; /* of each partition */
    double limit;
    char url[96];
    char key[PATH_MAX + 40]; /* --archive-key=FILE: the keys outlive the first broker's disk */
};

static void print_head(const struct bench *bench)
{
    struct bench_limit disk;
    bench_limit_flush(bench->options.data, 65536, 8, 1, &disk);
    printf("limit: durable writes of 64 KiB, 8 in flight: %.0f MB/s\n", disk.mb_per_second);
    printf("%-42s %9s %10s %12s\n", "archive in a bucket", "seconds", "MB/s", "of plain");
}

static void print_row(const struct bench *bench, const char *name, double seconds, double bytes)
{
    double rate = bytes / seconds / 1e6;
    printf("%-42s %9.2f %10.1f", name, seconds, rate);
    if (bench->limit > 0) {
        printf(" %10.0f %%", 100 * rate / bench->limit);
    }
    printf("\n");
}

static double since(uint64_t start_ns)
{
    return (double)(bench_now_ns() - start_ns) / 1e9;
}

/* --- the archive -------------------------------------------------------------------------------------------------- */

static void wait_for_archive(int fd)
{
    struct el_arena arena;
    struct el_msg_ext_archive_now_request request;
    struct el_msg_ext_archive_now_response response;
    el_arena_init(&arena, NULL, 0);
    el_schema_init(&el_schema_ext_archive_now_request, &request);
    request.wait = true;
    request.seal = true;
    bench_call(fd, ARCHIVE_NOW_KEY, 0, &request, &arena, &response);
    if (response.error != 0) {
        bench_die("the archive: %.*s", (int)response.message.len, (const char *)response.message.data);
    }
    el_arena_reset(&arena);
}

static void keep_key(struct bench *bench)
{
    char from[PATH_MAX];
    const char *to = bench->key + strlen(KEY_FLAG);
    (void)snprintf(from, sizeof from, "%s/keys/archive.pem", bench->broker.data);
    (void)snprintf(bench->key, sizeof bench->key, KEY_FLAG "%s/bench-archive-key-%d.pem", bench->options.data,
                   (int)getpid());
    if (rename(from, to) != 0) {
        bench_die("%s cannot be kept", from);
    }
}

static void make_archive(struct bench *bench)
{
    static struct bench_produce produces[BENCH_PARTITION_MAX];
    uint32_t partitions = bench->options.partitions;
    bench_broker_start(&bench->broker, &bench->options);
    int fd = bench_connect(bench->broker.port, true);
    bench_topic_create(fd, TOPIC, partitions, false);
    for (uint32_t p = 0; p < partitions; p++) {
        bench_produce_make(&produces[p], TOPIC, (int32_t)p, BATCH_RECORDS, BATCH_VALUE_LEN, -1);
    }
    uint64_t batches = (uint64_t)(bench->options.seconds * 192e6) / produces[0].batch_len / partitions;
    for (uint32_t p = 0; p < partitions; p++) {
        struct bench_load_result result;
        bench_load_run(&(struct bench_load){.port = bench->broker.port,
                                            .produces = &produces[p],
                                            .produce_count = 1,
                                            .conns = 4,
                                            .depth = 8,
                                            .request_count = batches,
                                            .broker = bench->broker.pid},
                       &result);
    }
    bench->end = (int64_t)(batches * BATCH_RECORDS);
    wait_for_archive(fd);
    (void)close(fd);
    bench_broker_stop(&bench->broker);
    keep_key(bench);
    bench_broker_end(&bench->broker);
}

/* --- ways to read it ---------------------------------------------------------------------------------------------- */

static bool add_key(void *arg, const char *key, uint64_t len, int64_t modified_ms)
{
    struct bench *bench = arg;
    (void)modified_ms;
    if (strstr(key, "/bundles/") != NULL) {
        return true; /* replaced by segments: nobody reads them any more */
    }
    if (bench->key_count == OBJECTS_MAX) {
        bench_die("too many objects");
    }
    bench->keys[bench->key_count] = el_strdup(key);
    bench->lens[bench->key_count++] = len;
    return true;
}

static void run_plain(struct bench *bench)
{
    uint8_t *buf = bench_alloc(PIECE_LEN);
    double bytes = 0;
    int fd = bench_http_connect(&bench->bucket);
    if (object_list(bench->store, "", NULL, add_key, bench, NULL) != 0) {
        bench_die("the bucket cannot be listed");
    }
    bench_wait_quiet(bench->options.quiet_seconds);
    uint64_t start_ns = bench_now_ns();
    for (uint32_t i = 0; i < bench->key_count; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, "/bench/archive/%s", bench->keys[i]);
        for (uint64_t pos = 0; pos < bench->lens[i];) {
            size_t done = bench_http_get(fd, path, pos, buf, PIECE_LEN);
            pos += done;
            bytes += (double)done;
        }
    }
    double seconds = since(start_ns);
    print_row(bench, "plain GET of every object, 1 connection", seconds, bytes);
    bench->limit = bytes / seconds / 1e6;
    (void)close(fd);
    free(buf);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return remove(path);
}

static void run_restore(struct bench *bench, uint32_t threads)
{
    char path[PATH_MAX], name[64];
    struct archive_restore_result result = {.complete_ns = 0};
    struct archive_reader_options reader = {.key_count = 0};
    struct el_error err;
    (void)snprintf(path, sizeof path, "%s/bench-restored-XXXXXX", bench->options.data);
    (void)snprintf(name, sizeof name, "restore into a directory, %u thread%s", threads, threads == 1 ? "" : "s");
    if (!bench_row_wanted(&bench->options, name)) {
        return;
    }
    if (mkdtemp(path) == NULL) {
        bench_die("no folder in %s", bench->options.data);
    }
    bench_wait_quiet(bench->options.quiet_seconds);
    uint64_t start_ns = bench_now_ns();
    struct archive_restore_options options = {.path = path, .threads = threads};
    if (archive_restore(bench->store, &reader, &options, &result, &err) != 0) {
        bench_die("%s", err.text);
    }
    print_row(bench, name, since(start_ns), (double)result.counts.bytes);
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void run_replay(struct bench *bench)
{
    struct archive_reader_options options = {.key_count = 0};
    struct archive_reader *reader;
    struct archive_batches batches = {.count = 0};
    struct el_error err;
    double bytes = 0;
    if (!bench_row_wanted(&bench->options, "read as replays do")) {
        return;
    }
    bench_wait_quiet(bench->options.quiet_seconds);
    uint64_t start_ns = bench_now_ns();
    if (archive_reader_open(bench->store, &options, &reader, &err) != 0) {
        bench_die("%s", err.text);
    }
    const struct archive_topic *topic = archive_state_topic_named(archive_reader_state(reader), el_slice_str(TOPIC));
    for (uint32_t p = 0; topic != NULL && p < bench->options.partitions; p++) {
        int64_t offset = 0;
        do {
            if (archive_reader_read(reader, &topic->now.id, (int32_t)p, offset, PIECE_LEN, &batches, &err) != 0) {
                bench_die("%s", err.text);
            }
            bytes += (double)batches.data_len;
            offset = batches.next_offset;
        } while (batches.count > 0);
    }
    print_row(bench, "read as replays do, 1 thread", since(start_ns), bytes);
    archive_batches_free(&batches);
    archive_reader_close(reader);
}

static void run_remote(struct bench *bench)
{
    static const char *const flags[] = {"--from-archive=true", "--from-archive-recent-ms=0"};
    struct bench_consume_result r;
    if (!bench_row_wanted(&bench->options, "remote reads")) {
        return;
    }
    bench->options.extra[1] = flags[0];
    bench->options.extra[2] = flags[1];
    bench->options.extra[3] = bench->key;
    bench_wait_quiet(bench->options.quiet_seconds);
    uint64_t start_ns = bench_now_ns();
    bench_broker_start(&bench->broker, &bench->options);
    double seconds = since(start_ns);
    printf("%-42s %9.2f\n", "evlogd --from-archive until it serves", seconds);
    bench_consume_run(&(struct bench_consume){.port = bench->broker.port,
                                              .topic = TOPIC,
                                              .partitions = bench->options.partitions,
                                              .readers = bench->options.partitions,
                                              .end = bench->end,
                                              .seconds = 120,
                                              .broker = bench->broker.pid},
                      &r);
    print_row(bench, "remote reads while it comes back", r.seconds, (double)r.bytes);
    bench_broker_end(&bench->broker);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct el_error err;
    bench_options_parse(&bench.options, argc, argv, "An archive in a bucket, read back.");
    bench_bucket_start(&bench.bucket);
    (void)snprintf(bench.url, sizeof bench.url, "--archive=%s", bench.bucket.url);
    bench.options.extra[0] = bench.url;
    make_archive(&bench);
    if (object_store_open(bench.bucket.url, false, &bench.store, &err) != 0) {
        bench_die("%s", err.text);
    }
    print_head(&bench);
    run_plain(&bench);
    run_restore(&bench, 1);
    run_restore(&bench, 2);
    run_restore(&bench, 4);
    run_replay(&bench);
    run_remote(&bench);
    (void)unlink(bench.key + strlen(KEY_FLAG));
    object_store_close(bench.store);
    bench_bucket_stop(&bench.bucket);
    return 0;
}
