/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of the stream index, without a broker: what an entry takes, how fast runs are written, looked into and merged,
 * and how often a filter is wrong. Events have a key, an id and one of 20 types: three entries each.
 *
 *   streams of one event    as many streams as events: nothing is near to anything
 *   streams of 100 events
 *   1,000 streams           all events of a run in a few of them
 *
 * Each row writes four runs as four flushes of the memory would, and merges them. Files are in the page cache when they
 * are looked into: what a find costs is the processor's part of it. The last line is the limit: writing and syncing as
 * many bytes in order.
 */
#include "lib/bench.h"

#include <core/hash.h>
#include <core/rng.h>
#include <stdio.h>
#include <stdlib.h>
#include <stream/index_list.h>
#include <stream/index_run.h>
#include <string.h>
#include <unistd.h>

#define RUN_COUNT 4u
#define EVENTS 500000u /* of a run */
#define ENTRIES (3 * EVENTS)
#define TYPE_COUNT 20u
#define FIND_COUNT 200000u

struct made_run {
    struct index_run run;
    void *memory;
};

struct bench {
    struct bench_options options;
    struct disk *disk;
    struct el_rng rng;
    struct el_stream_entry *entries; /* [ENTRIES] of one run, in order */
    uint64_t *versions;              /* [stream count] next of each stream */
    uint32_t stream_count;
    uint64_t offset; /* next */
    uint64_t id;     /* next */
};

static struct el_hash128 hash_of(uint64_t kind, uint64_t number)
{
    static const uint8_t secret[EL_XXH3_SECRET_LEN] = {1, 2, 3};
    uint64_t bytes[2] = {kind, number};
    return el_xxh3_128(bytes, sizeof(bytes), secret);
}

static int order(const void *a, const void *b)
{
    return el_stream_entry_compare(a, b);
}

/* The entries of so many events, in the order of a run. */
static void draw(struct bench *b)
{
    struct el_stream_entry *e = b->entries;
    for (uint32_t i = 0; i < EVENTS; i++, b->offset++) {
        uint64_t stream = b->stream_count == RUN_COUNT * EVENTS ? b->offset : el_rng_below(&b->rng, b->stream_count);
        uint64_t version = b->versions[stream]++;
        *e++ = (struct el_stream_entry){.slot = 1, .hash = hash_of(1, stream), .position = version, .place = b->offset};
        *e++ = (struct el_stream_entry){
            .slot = 1, .hash = hash_of(2, b->id++), .position = b->offset, .place = version};
        *e++ = (struct el_stream_entry){
            .slot = 1, .hash = hash_of(3, el_rng_below(&b->rng, TYPE_COUNT)), .position = b->offset};
    }
    qsort(b->entries, ENTRIES, sizeof(*b->entries), order);
}

static void need(int code, const char *what)
{
    if (code < 0) {
        bench_die("%s: %s", what, evlog_error_text(code));
    }
}

static void open_run(struct bench *b, uint64_t run_id, struct made_run *made)
{
    char path[INDEX_PATH_LEN];
    struct el_index_run_info info;
    index_run_path(path, 0, run_id);
    need(index_run_peek(b->disk, path, &info, NULL), path);
    made->memory = bench_alloc(index_run_memory(&info, true));
    need(index_run_open(b->disk, path, &info, made->memory, true, &made->run, NULL), path);
}

static void close_run(struct made_run *made)
{
    index_run_close(&made->run);
    free(made->memory);
}

/* returns seconds */
static double write_run(struct bench *b, uint64_t run_id)
{
    char path[INDEX_PATH_LEN];
    struct index_run_writer *w = NULL;
    struct el_index_run_info info;
    index_run_path(path, 0, run_id);
    uint64_t start_ns = bench_now_ns();
    need(index_run_writer_open(b->disk, path, run_id, &w, NULL), path);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        need(index_run_writer_add(w, &b->entries[i]), path);
    }
    need(index_run_writer_finish(w, &info), path);
    index_run_writer_close(w);
    return (double)(bench_now_ns() - start_ns) / 1e9;
}

static bool keep(void *arg, uint32_t slot)
{
    return true;
}

static double merge_runs(struct bench *b, const struct made_run *made)
{
    char path[INDEX_PATH_LEN];
    const struct index_run *open[RUN_COUNT];
    struct index_merge *m = NULL;
    struct el_index_run_info info;
    for (uint32_t i = 0; i < RUN_COUNT; i++) {
        open[i] = &made[RUN_COUNT - 1 - i].run;
    }
    index_run_path(path, 0, RUN_COUNT);
    uint64_t start_ns = bench_now_ns();
    need(index_merge_open(open, RUN_COUNT, b->disk, path, RUN_COUNT, keep, NULL, &m, NULL), path);
    int code = 1;
    while (code > 0) {
        code = index_merge_step(m, 1u << 20, &info);
    }
    need(code, path);
    index_merge_close(m);
    return (double)(bench_now_ns() - start_ns) / 1e9;
}

/* Finds a second of the newest entry of a hash: of streams that there are. */
static double finds(struct bench *b, const struct index_run *run)
{
    uint64_t start_ns = bench_now_ns();
    for (uint32_t i = 0; i < FIND_COUNT; i++) {
        struct el_stream_entry head;
        uint32_t count = 0;
        uint64_t stream = el_rng_below(&b->rng, b->stream_count);
        need(index_run_find(run, 1, hash_of(1, stream), 0, UINT64_MAX, true, &head, 1, &count), "find");
        if (count != (b->versions[stream] > 0)) {
            bench_die("stream %llu was not found", (unsigned long long)stream);
        }
    }
    return FIND_COUNT / ((double)(bench_now_ns() - start_ns) / 1e9);
}

/* Share of the hashes that are not there which the filter does not know; and the time of one look. */
static double false_positives(const struct index_run *run, double *ns)
{
    uint32_t wrong = 0;
    uint64_t start_ns = bench_now_ns();
    for (uint32_t i = 0; i < FIND_COUNT; i++) {
        wrong += index_run_may_hold(run, 1, hash_of(9, i));
    }
    *ns = (double)(bench_now_ns() - start_ns) / FIND_COUNT;
    return (double)wrong / FIND_COUNT;
}

static void row(struct bench *b, const char *name, uint32_t stream_count)
{
    struct made_run made[RUN_COUNT], merged;
    double write_seconds = 0, look_ns = 0;
    uint64_t len = 0;
    if (!bench_row_wanted(&b->options, name)) {
        return;
    }
    b->stream_count = stream_count;
    b->versions = bench_alloc(stream_count * sizeof(*b->versions));
    b->offset = b->id = 0;
    bench_wait_quiet(b->options.quiet_seconds);
    for (uint32_t i = 0; i < RUN_COUNT; i++) {
        draw(b);
        write_seconds += write_run(b, i);
        open_run(b, i, &made[i]);
        len += made[i].run.info.file_len;
    }
    double merge_seconds = merge_runs(b, made);
    open_run(b, RUN_COUNT, &merged);
    double find_rate = finds(b, &merged.run), wrong = false_positives(&merged.run, &look_ns);
    uint64_t entries = merged.run.info.entry_count;
    printf("%-22s %7.1f %7.2f %9.1f %9.1f %9.1f %9.0f %7.2f%% %7.0f\n", name,
           (double)merged.run.info.file_len / (double)entries,
           (double)index_run_memory(&merged.run.info, true) / (double)entries, (double)len / write_seconds / 1e6,
           (double)len / merge_seconds / 1e6, (double)entries / merge_seconds / 1e6, find_rate, wrong * 100, look_ns);
    close_run(&merged);
    for (uint64_t i = 0; i <= RUN_COUNT; i++) {
        char path[INDEX_PATH_LEN];
        index_run_path(path, 0, i);
        need(disk_unlink(b->disk, path), path);
        if (i < RUN_COUNT) {
            close_run(&made[i]);
        }
    }
    free(b->versions);
}

static void limit(struct bench *b)
{
    size_t len = 1u << 20, total = 64;
    uint8_t *buf = bench_alloc(len);
    int fd = -1;
    uint64_t start_ns = bench_now_ns();
    need(disk_open(b->disk, "limit", DISK_WRITE | DISK_CREATE, &fd), "limit");
    for (size_t i = 0; i < total; i++) {
        need(disk_pwrite(b->disk, fd, buf, len, i * len), "limit");
    }
    need(disk_sync(b->disk, fd), "limit");
    printf("%-22s %24.1f MB/s\n", "write and sync 64 MiB",
           (double)(total * len) / (double)(bench_now_ns() - start_ns) * 1e3);
    disk_close(b->disk, fd);
    need(disk_unlink(b->disk, "limit"), "limit");
    free(buf);
}

int main(int argc, char **argv)
{
    struct bench b = {.entries = NULL};
    char folder[256];
    bench_options_parse(&b.options, argc, argv, "Files of the stream index, without a broker.");
    snprintf(folder, sizeof(folder), "%s/index-runs-XXXXXX", b.options.data);
    if (mkdtemp(folder) == NULL) {
        bench_die("no folder can be made in %s", b.options.data);
    }
    need(disk_posix_open(folder, &b.disk), folder);
    need(index_list_folder(b.disk, 0, NULL), folder);
    b.entries = bench_alloc(ENTRIES * sizeof(*b.entries));
    el_rng_seed(&b.rng, 1);
    printf("%-22s %7s %7s %9s %9s %9s %9s %8s %7s\n", "four runs of 500,000", "bytes/", "memory/", "write", "merge",
           "merge", "finds/s", "false", "look");
    printf("%-22s %7s %7s %9s %9s %9s %9s %8s %7s\n", "events each", "entry", "entry", "MB/s", "MB/s", "M entr/s",
           "warm", "positive", "ns");
    row(&b, "streams of one event", RUN_COUNT * EVENTS);
    row(&b, "streams of 100 events", RUN_COUNT * EVENTS / 100);
    row(&b, "1,000 streams", 1000);
    limit(&b);
    free(b.entries);
    need(disk_rmdir(b.disk, "streams/0000"), folder);
    need(disk_rmdir(b.disk, "streams"), folder);
    disk_posix_close(b.disk);
    rmdir(folder);
    return 0;
}
