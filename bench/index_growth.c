/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream index as the number of streams grows: what a stream takes, how long an append with an expected version
 * takes, how long the shard does nothing else.
 *
 *   real        so many streams of one event, through a running evlogd, 1,000 in a batch; measured at a tenth and at
 *               the end. Beside it somebody asks the shard something every millisecond: the longest answer is the
 *               longest pause. The row `plain` is the same without streams
 *   synthetic   index files of so many streams are written, of which some are real; evlogd is started on them. The same
 *               appends; and, in this process, the processor time of looks into cache of heads, table, filters, files
 *
 * Appends with an expected version are one event each, one at a time, durable: to new streams (`none`), to streams that
 * were silent (`cold`: their head is in files), and to one stream (`hot`). Files are in the page cache.
 *
 *   --scale=F   a share of the streams of each row: 0.01 for a short run
 */
#include "lib/bench.h"

#include <core/hash.h>
#include <core/rng.h>
#include <dirent.h>
#include <format/batch.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <stream/index_list.h>
#include <stream/index_run.h>
#include <stream/stream_batch.h>
#include <stream/stream_heads.h>
#include <stream/stream_table.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wire/msg_api_versions.h>

#define TOPIC "streams"
#define REAL_STREAMS 10000000u
#define BATCH_EVENTS 1000u
#define BATCH_LEN (128u << 10)
#define PROBES 2000u
#define ASK_NS 1000000u
#define REAL_KEYS 20000u /* of a synthetic index */
#define RUNS 3u
#define LOOKS 1000000u
#define STREAMS_MEMORY (512u << 20)

#define ROWS 3u
static const uint64_t synthetic_counts[ROWS] = {1000000, 10000000, 100000000};
static const double run_shares[RUNS] = {0.01, 0.09, 0.90}; /* newest first, as merges leave them */

struct growth {
    struct bench_options options;
    struct bench_broker broker;
    struct el_rng rng;
    double scale;
    double flush_us; /* limit: a durable write of 4 KiB, median */
    struct el_batch_builder builder;
    uint64_t next_id; /* of events */
    uint64_t next_key;
};

static void need(int code, const char *what)
{
    if (code < 0) {
        bench_die("%s: %s", what, evlog_error_text(code));
    }
}

/* --- one append --------------------------------------------------------------------------------------------------- */

struct probe {
    double p50_us, p99_us;
};

static struct el_slice batch_end(struct growth *g)
{
    struct el_slice batch;
    need(el_batch_builder_finish(&g->builder, EL_CODEC_NONE, NULL, &batch), "batch");
    return batch;
}

static void batch_add(struct growth *g, const char *key, const char *expected)
{
    char id[32];
    struct el_header headers[2];
    uint32_t header_count = 0;
    uint8_t value[16] = {1};
    if (expected != NULL) {
        snprintf(id, sizeof(id), "i%llu", (unsigned long long)g->next_id++);
        headers[header_count++] = (struct el_header){el_slice_str(STREAM_HEADER_EXPECTED), el_slice_str(expected)};
        headers[header_count++] = (struct el_header){el_slice_str(STREAM_HEADER_ID), el_slice_str(id)};
    }
    struct el_record_body body = {.key = el_slice_str(key),
                                  .value = el_slice_of(value, sizeof(value)),
                                  .headers = headers,
                                  .header_count = header_count};
    need(el_batch_builder_add(&g->builder, (int64_t)time(NULL) * 1000, &body), "batch");
}

static void append(struct growth *g, int fd, const char *topic, const char *key, const char *expected)
{
    el_batch_builder_reset(&g->builder);
    batch_add(g, key, expected);
    int code = bench_produce_batch(fd, topic, 0, batch_end(g));
    if (code != 0) {
        bench_die("append to %s, expected version %s: error %d", key, expected == NULL ? "any" : expected, code);
    }
}

enum probe_kind { PROBE_NEW, PROBE_COLD, PROBE_HOT };

static struct probe probe(struct growth *g, enum probe_kind kind, const char *prefix, uint64_t first, uint64_t step)
{
    static struct bench_histogram h;
    int fd = bench_connect(g->broker.port, true);
    char key[32], expected[32];
    memset(&h, 0, sizeof(h));
    snprintf(key, sizeof(key), "hot%llu", (unsigned long long)g->next_key++);
    for (uint32_t i = 0; i < PROBES; i++) {
        snprintf(expected, sizeof(expected), "none");
        if (kind == PROBE_NEW) {
            snprintf(key, sizeof(key), "new%llu", (unsigned long long)g->next_key++);
        } else if (kind == PROBE_COLD) {
            snprintf(key, sizeof(key), "%s%llu", prefix, (unsigned long long)(first + i * step));
            snprintf(expected, sizeof(expected), "0");
        } else if (i > 0) {
            snprintf(expected, sizeof(expected), "%u", i - 1);
        }
        uint64_t start_ns = bench_now_ns();
        append(g, fd, TOPIC, key, expected);
        bench_histogram_add(&h, bench_now_ns() - start_ns);
    }
    close(fd);
    return (struct probe){bench_histogram_us(&h, 0.5), bench_histogram_us(&h, 0.99)};
}

/* --- pauses ------------------------------------------------------------------------------------------------------- */

struct asker {
    uint16_t port;
    volatile bool stop;
    uint64_t longest_ns;
    struct bench_histogram h;
    pthread_t thread;
};

static void *ask_on(void *arg)
{
    struct asker *a = arg;
    int fd = bench_connect(a->port, true);
    while (!a->stop) {
        struct el_arena arena;
        struct el_msg_api_versions_request request;
        struct el_msg_api_versions_response response;
        el_arena_init(&arena, NULL, 0);
        el_schema_init(&el_schema_api_versions_request, &request);
        uint64_t start_ns = bench_now_ns();
        bench_call(fd, EL_API_ApiVersions, 0, &request, &arena, &response);
        uint64_t took_ns = bench_now_ns() - start_ns;
        a->longest_ns = EL_MAX(a->longest_ns, took_ns);
        bench_histogram_add(&a->h, took_ns);
        el_arena_reset(&arena);
        struct timespec rest = {.tv_nsec = took_ns < ASK_NS ? (long)(ASK_NS - took_ns) : 0};
        nanosleep(&rest, NULL);
    }
    close(fd);
    return NULL;
}

static void asker_start(struct asker *a, uint16_t port)
{
    memset(a, 0, sizeof(*a));
    a->port = port;
    if (pthread_create(&a->thread, NULL, ask_on, a) != 0) {
        bench_die("thread");
    }
}

static void asker_stop(struct asker *a)
{
    a->stop = true;
    pthread_join(a->thread, NULL);
}

/* --- real streams ------------------------------------------------------------------------------------------------- */

static void broker_begin(struct growth *g, bool streams)
{
    bench_wait_quiet(g->options.quiet_seconds);
    bench_broker_start(&g->broker, &g->options);
    int fd = bench_connect(g->broker.port, true);
    struct bench_topic_ask ask = {.name = TOPIC, .partitions = 1, .streams = streams};
    int code = bench_topic_try(fd, &ask);
    if (code != 0) {
        bench_die("topic %s was not made: error %d", TOPIC, code);
    }
    close(fd);
}

/* Bytes of the index files. */
static uint64_t index_len(const struct growth *g)
{
    char folder[600], path[900];
    struct stat st;
    uint64_t len = 0;
    snprintf(folder, sizeof(folder), "%s/streams/0000", g->broker.data);
    DIR *dir = opendir(folder);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        len += stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return len;
}

/* Streams "s<n>" of one event, from first to end. returns streams a second */
static double grow(struct growth *g, uint64_t first, uint64_t end)
{
    int fd = bench_connect(g->broker.port, true);
    char key[32];
    uint64_t start_ns = bench_now_ns();
    for (uint64_t n = first; n < end;) {
        el_batch_builder_reset(&g->builder);
        for (uint32_t i = 0; i < BATCH_EVENTS && n < end; i++, n++) {
            snprintf(key, sizeof(key), "s%llu", (unsigned long long)n);
            batch_add(g, key, NULL);
        }
        int code = bench_produce_batch(fd, TOPIC, 0, batch_end(g));
        if (code != 0) {
            bench_die("append: error %d", code);
        }
    }
    close(fd);
    return (double)(end - first) / ((double)(bench_now_ns() - start_ns) / 1e9);
}

static void print_growth(const char *name, uint64_t count, double rate, const struct asker *a)
{
    printf("%-12s %11llu %10.0f %9.2f %9.2f %9.2f", name, (unsigned long long)count, rate,
           bench_histogram_us(&a->h, 0.99) / 1e3, bench_histogram_us(&a->h, 0.999) / 1e3, (double)a->longest_ns / 1e6);
}

static void print_probes(const struct growth *g, const struct probe *p)
{
    for (int i = 0; i < 3; i++) {
        printf("  %6.0f %6.0f", p[i].p50_us, p[i].p99_us);
    }
    printf("  %5.2f\n", p[PROBE_COLD].p50_us / g->flush_us);
}

/* What is to be held against the goals. */
static void print_ratio(const struct probe *first, const struct probe *last, const char *goal)
{
    printf("p99 of the last row by that of the first: none %.2f, cold %.2f, hot %.2f; goal %s\n",
           last[PROBE_NEW].p99_us / first[PROBE_NEW].p99_us, last[PROBE_COLD].p99_us / first[PROBE_COLD].p99_us,
           last[PROBE_HOT].p99_us / first[PROBE_HOT].p99_us, goal);
}

static void probes(struct growth *g, const char *prefix, uint64_t first, uint64_t end, struct probe *p)
{
    uint64_t step = (end - first) / PROBES;
    p[PROBE_NEW] = probe(g, PROBE_NEW, "", 0, 0);
    p[PROBE_COLD] = probe(g, PROBE_COLD, prefix, first, step);
    p[PROBE_HOT] = probe(g, PROBE_HOT, "", 0, 0);
}

static void rows_real(struct growth *g)
{
    uint64_t end = EL_MAX((uint64_t)(REAL_STREAMS * g->scale), 20u * PROBES), tenth = end / 10;
    struct asker a;
    struct probe found[2][3];
    printf("%-12s %11s %10s %9s %9s %9s %9s %9s  %13s  %13s  %13s  %5s\n", "row", "streams", "streams/s", "ask p99",
           "p99.9 ms", "longest", "disk B", "rss MiB", "none p50/p99", "cold us", "hot us", "limit");
    if (bench_row_wanted(&g->options, "plain")) {
        broker_begin(g, false);
        asker_start(&a, g->broker.port);
        double rate = grow(g, 0, tenth);
        asker_stop(&a);
        print_growth("plain", tenth, rate, &a);
        printf("\n");
        bench_broker_end(&g->broker);
    }
    if (!bench_row_wanted(&g->options, "real")) {
        return;
    }
    broker_begin(g, true);
    for (int i = 0; i < 2; i++) {
        uint64_t from = i == 0 ? 0 : tenth, to = i == 0 ? tenth : end;
        asker_start(&a, g->broker.port);
        double rate = grow(g, from, to);
        asker_stop(&a);
        bench_wait_quiet(g->options.quiet_seconds);
        struct probe *p = found[i];
        probes(g, "s", from, to, p); /* each of them has one event */
        print_growth("real", to, rate, &a);
        printf(" %9.1f %9.1f", (double)index_len(g) / (double)to,
               (double)bench_resident_bytes(g->broker.pid) / 1048576);
        print_probes(g, p);
        fflush(stdout);
    }
    print_ratio(found[0], found[1], "1 (flat); goals of the row: 40 B a stream, all in; longest 5 ms");
    bench_broker_end(&g->broker);
}

/* --- synthetic streams -------------------------------------------------------------------------------------------- */

struct synthetic {
    struct disk *disk;
    struct stream_secret secret;
    uint32_t slot;
    uint64_t count;
    struct el_stream_entry real[REAL_KEYS]; /* heads of streams that have a name, in order */
    struct index_run runs[RUNS];
    void *memory[RUNS];
    double write_seconds;
};

static int entry_order(const void *a, const void *b)
{
    return el_stream_entry_compare(a, b);
}

static void secret_read(struct synthetic *s)
{
    uint8_t p[256];
    size_t done = 0;
    int fd = -1;
    need(disk_open(s->disk, "streams/secret", DISK_READ, &fd), "streams/secret");
    need(disk_pread(s->disk, fd, p, sizeof(p), 0, &done), "streams/secret");
    disk_close(s->disk, fd);
    memcpy(s->secret.bytes, p + 8, sizeof(s->secret.bytes));
}

/* Streams of the log, whose heads come from files as if they had been silent for long. */
static void real_make(struct synthetic *s, uint64_t offsets)
{
    char key[32];
    for (uint32_t i = 0; i < REAL_KEYS; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        s->real[i] = (struct el_stream_entry){
            .slot = s->slot, .hash = stream_hash_key(&s->secret, el_slice_str(key)), .place = i % offsets};
    }
    qsort(s->real, REAL_KEYS, sizeof(s->real[0]), entry_order);
}

/* One run: count heads at rising hashes, the named ones of the oldest run among them. */
static void run_write(struct growth *g, struct synthetic *s, uint64_t run_id, uint64_t count, bool named)
{
    char path[INDEX_PATH_LEN];
    struct index_run_writer *w = NULL;
    struct el_index_run_info info;
    uint64_t gap = UINT64_MAX / count;
    uint32_t next = named ? 0 : REAL_KEYS;
    index_run_path(path, 0, run_id);
    need(index_run_writer_open(s->disk, path, run_id, &w, NULL), path);
    for (uint64_t i = 0; i < count; i++) {
        struct el_stream_entry e = {.slot = s->slot,
                                    .hash = {.high = i * gap + el_rng_below(&g->rng, gap), .low = el_rng_next(&g->rng)},
                                    .place = i % 1000};
        while (next < REAL_KEYS && entry_order(&s->real[next], &e) < 0) {
            need(index_run_writer_add(w, &s->real[next++]), path);
        }
        need(index_run_writer_add(w, &e), path);
    }
    while (next < REAL_KEYS) {
        need(index_run_writer_add(w, &s->real[next++]), path);
    }
    need(index_run_writer_finish(w, &info), path);
    index_run_writer_close(w);
}

/* Put runs of so many streams beside what evlogd has written, and on the list. */
static void synthetic_make(struct growth *g, struct synthetic *s)
{
    struct index_list list;
    need(index_list_load(s->disk, 0, &list, NULL), "list");
    if (list.slot_count != 1) {
        bench_die("the index has %u partitions", list.slot_count);
    }
    s->slot = list.slots[0].slot;
    secret_read(s);
    real_make(s, (uint64_t)list.slots[0].end_offset);
    list.run_ids = realloc(list.run_ids, (list.run_count + RUNS) * sizeof(*list.run_ids));
    uint64_t start_ns = bench_now_ns();
    for (uint32_t i = 0; i < RUNS; i++) {
        uint64_t id = list.next_run_id++;
        run_write(g, s, id, (uint64_t)((double)s->count * run_shares[i]), i == RUNS - 1);
        list.run_ids[list.run_count++] = id;
    }
    s->write_seconds = (double)(bench_now_ns() - start_ns) / 1e9;
    list.sequence++;
    need(index_list_save(s->disk, 0, &list, NULL), "list");
    for (uint32_t i = 0; i < RUNS; i++) {
        char path[INDEX_PATH_LEN];
        struct el_index_run_info info;
        index_run_path(path, 0, list.run_ids[list.run_count - RUNS + i]);
        need(index_run_peek(s->disk, path, &info, NULL), path);
        s->memory[i] = bench_alloc(index_run_memory(&info, true));
        need(index_run_open(s->disk, path, &info, s->memory[i], true, &s->runs[i], NULL), path);
    }
    free(list.slots);
    free(list.run_ids);
}

/* Time of the processor: who else uses it does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static double ns_each(uint64_t start_ns, uint64_t count)
{
    return (double)(cpu_ns() - start_ns) / (double)count;
}

/* All filters, for a stream that is new. */
static double filters_look(struct growth *g, const struct synthetic *s)
{
    uint64_t wrong = 0, start_ns = cpu_ns();
    for (uint32_t i = 0; i < LOOKS; i++) {
        struct el_hash128 hash = {.high = el_rng_next(&g->rng), .low = el_rng_next(&g->rng)};
        for (uint32_t r = 0; r < RUNS; r++) {
            wrong += index_run_may_hold(&s->runs[r], s->slot, hash);
        }
    }
    if (wrong > LOOKS / 10) {
        bench_die("filters are wrong %llu times", (unsigned long long)wrong);
    }
    return ns_each(start_ns, LOOKS);
}

/* The head of a stream that is in files. */
static double files_look(const struct synthetic *s)
{
    uint64_t start_ns = cpu_ns();
    for (uint32_t i = 0; i < REAL_KEYS; i++) {
        const struct el_stream_entry *want = &s->real[(i * 7919u) % REAL_KEYS];
        struct el_stream_entry found;
        uint32_t count = 0;
        for (uint32_t r = 0; r < RUNS && count == 0; r++) {
            if (index_run_may_hold(&s->runs[r], s->slot, want->hash)) {
                need(index_run_find(&s->runs[r], s->slot, want->hash, 0, UINT64_MAX, true, &found, 1, &count), "find");
            }
        }
        if (count != 1 || found.place != want->place) {
            bench_die("a stream was not found");
        }
    }
    return ns_each(start_ns, REAL_KEYS);
}

struct memory_cost {
    double table_ns, heads_ns; /* of a look */
    double add_max_us;         /* longest of all adds */
    double bytes;              /* of the table, for a stream */
};

static struct el_hash128 hash_at(uint64_t n)
{
    return (struct el_hash128){.high = (n + 1) * 0x9e3779b97f4a7c15u, .low = n * 0xd6e8feb86659fd93u + 1};
}

/* Table and cache at the sizes that evlogd would give them. */
static struct memory_cost memory_look(struct growth *g)
{
    struct memory_cost cost = {0};
    struct el_buddy buddy;
    struct stream_table *table = NULL;
    struct stream_heads *heads = NULL;
    uint64_t count = 0;
    int code = 0;
    need(el_buddy_init(&buddy, STREAMS_MEMORY, NULL), "memory");
    need(stream_table_create(&buddy, STREAMS_MEMORY / 4, &table), "table");
    need(stream_heads_create(&buddy, STREAMS_MEMORY / 8, &heads), "heads");
    while (code == 0) {
        struct el_stream_entry e = {.slot = 1, .hash = hash_at(count), .place = count};
        uint64_t start_ns = cpu_ns();
        code = stream_table_add(table, STREAM_KIND_KEY, &e);
        double us = (double)(cpu_ns() - start_ns) / 1e3;
        cost.add_max_us = EL_MAX(cost.add_max_us, us);
        count += code == 0;
    }
    cost.bytes = (double)stream_table_memory(table) / (double)count;
    uint64_t hits = 0, start_ns = cpu_ns();
    for (uint32_t i = 0; i < LOOKS; i++) {
        struct el_stream_entry e;
        hits += stream_table_newest(table, 1, hash_at(el_rng_below(&g->rng, count)), &e);
    }
    cost.table_ns = ns_each(start_ns, LOOKS);
    uint64_t in_cache = STREAMS_MEMORY / 8 / 80; /* half of its places */
    for (uint64_t i = 0; i < in_cache; i++) {
        struct stream_head head = {.version = 0, .place = i};
        stream_heads_put(heads, 1, hash_at(i), &head);
    }
    start_ns = cpu_ns();
    for (uint32_t i = 0; i < LOOKS; i++) {
        struct stream_head head;
        hits += stream_heads_get(heads, 1, hash_at(el_rng_below(&g->rng, in_cache)), &head);
    }
    cost.heads_ns = ns_each(start_ns, LOOKS);
    if (hits < LOOKS + LOOKS / 2) {
        bench_die("of %u looks %llu found something", 2 * LOOKS, (unsigned long long)hits);
    }
    stream_heads_destroy(heads);
    stream_table_destroy(table);
    el_buddy_destroy(&buddy);
    return cost;
}

static void row_synthetic(struct growth *g, uint64_t count, struct probe *p)
{
    struct synthetic *s = bench_alloc(sizeof(*s));
    double memory = 0;
    s->count = count;
    broker_begin(g, true);
    grow(g, 0, 1000);
    bench_broker_stop(&g->broker);
    need(disk_posix_open(g->broker.data, &s->disk), g->broker.data);
    synthetic_make(g, s);
    double filter_ns = filters_look(g, s), file_ns = files_look(s);
    for (uint32_t i = 0; i < RUNS; i++) {
        memory += (double)index_run_memory(&s->runs[i].info, true);
        index_run_close(&s->runs[i]);
        free(s->memory[i]);
    }
    disk_posix_close(s->disk);
    uint64_t start_ns = bench_now_ns();
    bench_broker_restart(&g->broker);
    double start_ms = (double)(bench_now_ns() - start_ns) / 1e6;
    probes(g, "k", 0, REAL_KEYS, p);
    printf("%-12s %11llu %10.0f %9.2f %9.2f %9.0f %9.0f %9.0f", "synthetic", (unsigned long long)count,
           (double)count / s->write_seconds, (double)index_len(g) / (double)count, memory / (double)count, filter_ns,
           file_ns, start_ms);
    print_probes(g, p);
    fflush(stdout);
    bench_broker_end(&g->broker);
    free(s);
}

static void rows_synthetic(struct growth *g)
{
    struct memory_cost cost = memory_look(g);
    printf("\nmemory: look into a full table %.0f ns, into the cache of heads %.0f ns; %.1f B a stream in a table, "
           "longest of all adds %.0f us\n\n",
           cost.table_ns, cost.heads_ns, cost.bytes, cost.add_max_us);
    printf("%-12s %11s %10s %9s %9s %9s %9s %9s  %13s  %13s  %13s  %5s\n", "row", "streams", "written/s", "disk B",
           "memory B", "filter ns", "files ns", "start ms", "none p50/p99", "cold us", "hot us", "limit");
    struct probe found[ROWS][3];
    for (size_t i = 0; i < ROWS; i++) {
        row_synthetic(g, EL_MAX((uint64_t)((double)synthetic_counts[i] * g->scale), 100u * PROBES), found[i]);
    }
    print_ratio(found[0], found[ROWS - 1], "2; goals of the rows: looks 100 ns, adds 5 ms");
}

int main(int argc, char **argv)
{
    static struct growth g;
    int count = 0;
    g.scale = 1;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "--scale=", 8) == 0) {
            g.scale = strtod(argv[i] + 8, NULL);
        } else {
            argv[count++] = argv[i];
        }
    }
    argv[count] = NULL;
    bench_options_parse(&g.options, count, argv,
                        "The stream index as the number of streams grows. --scale=F: a share of the streams.");
    g.options.shards = 1;
    g.options.extra[0] = "--memory-max=2GiB";
    g.options.extra[1] = "--stream-memory-max=512MiB";
    el_rng_seed(&g.rng, 1);
    el_batch_builder_init(&g.builder, BATCH_LEN);
    struct bench_limit limit;
    bench_limit_flush(g.options.data, 4096, 1, g.options.seconds, &limit);
    g.flush_us = limit.p50_us;
    printf("limit: a durable write of 4 KiB, one at a time: p50 %.0f us, p99 %.0f us. The last column is `cold` p50 in "
           "units of the former\n\n",
           limit.p50_us, limit.p99_us);
    rows_real(&g);
    if (bench_row_wanted(&g.options, "synthetic")) {
        rows_synthetic(&g);
    }
    el_batch_builder_destroy(&g.builder);
    return 0;
}
