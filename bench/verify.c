/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast an archive in a directory is proven, beside bare SHA-256 of as many bytes, which is the least that a proof
 * of every byte can cost. The files are in the page cache: what is measured is the processor, not the device, and what
 * is compared is time of processors, which neighbours do not change as much as time that passes.
 *
 * An archive of segments is made first; then the two take turns.
 */
#include "lib/bench.h"

#include "../tests/lib/archive_builder.h"
#include <core/crypto.h>
#include <format/batch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_verify.h>
#include <store/dir_store.h>
#include <string.h>
#include <time.h>

#define ARCHIVE_LEN (192u << 20)
#define PARTITIONS 4
#define SEGMENT_LEN (16u << 20)
#define HASHED_LEN (16u << 20)
#define TOPIC "events"

struct shape {
    const char *name;
    uint32_t records;
    uint32_t value_len;
};

static const struct shape shapes[] = {{"batches of 64 KiB", 64, 1010},
                                      {"batches of 4 KiB", 16, 240},
                                      {"batches of one event of 100 B", 1, 100}};

static struct el_slice make_batch(const struct shape *shape)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    uint8_t *value = bench_alloc(shape->value_len);
    el_batch_builder_init(&builder, shape->records * (shape->value_len + 32) + 1024);
    for (uint32_t i = 0; i < shape->records; i++) {
        memset(value, (int)i, shape->value_len);
        struct el_record_body body = {.value = el_slice_of(value, shape->value_len)};
        if (el_batch_builder_add(&builder, 1767225600000, &body) != 0) {
            bench_die("a batch");
        }
    }
    if (el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch) != 0) {
        bench_die("a batch");
    }
    uint8_t *copy = bench_alloc(batch.len);
    memcpy(copy, batch.data, batch.len);
    free(value);
    el_batch_builder_destroy(&builder);
    return el_slice_of(copy, batch.len);
}

/* Small batches make the same number of rounds, and less data: a row for each batch is what costs then. */
static void make_archive(struct object_store *store, const struct shape *shape, struct el_private_key *key)
{
    struct el_slice batch = make_batch(shape);
    struct archive_builder *b = archive_builder_open(
        store, &(struct archive_build){.seed = 1, .keys = (struct el_private_key *const[]){key}, .key_count = 1});
    uint32_t rounds = ARCHIVE_LEN / PARTITIONS / SEGMENT_LEN;
    uint32_t count = (uint32_t)EL_MIN(SEGMENT_LEN / batch.len, 8192u);
    archive_builder_topic(b, TOPIC, PARTITIONS);
    for (uint32_t round = 0; round < rounds; round++) {
        for (int32_t partition = 0; partition < PARTITIONS; partition++) {
            for (uint32_t i = 0; i < count; i++) {
                archive_builder_append_batch(b, TOPIC, partition, batch, b->now_ns + 1000);
            }
        }
        archive_builder_round(b);
        for (int32_t partition = 0; partition < PARTITIONS; partition++) {
            archive_builder_segment(b, TOPIC, partition); /* with the next round */
        }
    }
    archive_builder_round(b);
    archive_builder_sweep(b);
    archive_builder_round(b);
    archive_builder_close(b);
    free((void *)(uintptr_t)batch.data);
}

/* Time that processors have spent on all threads of this process. */
static double cpu_seconds(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What the ways to hash many messages make of sixteen of 256 KiB: the limit of what is printed below. */
static void print_ways(void)
{
    static const struct {
        enum el_sha256_way way;
        const char *name;
    } ways[] = {
        {EL_SHA256_ONE, "one after the other"}, {EL_SHA256_TWO, "two at once"}, {EL_SHA256_WIDE, "sixteen at once"}};
    enum { MESSAGES = 16, LEN = 256 << 10, TURNS = 32 };
    static uint8_t digests[MESSAGES][32];
    struct el_sha256_job jobs[MESSAGES];
    uint8_t *data = bench_alloc(MESSAGES * LEN);
    memset(data, 1, MESSAGES * LEN);
    for (size_t i = 0; i < MESSAGES; i++) {
        jobs[i] = (struct el_sha256_job){.data = el_slice_of(data + i * LEN, LEN), .digest = digests[i]};
    }
    printf("SHA-256, GB a cpu s:");
    for (size_t k = 0; k < sizeof ways / sizeof ways[0]; k++) {
        bool can = true;
        double start = cpu_seconds();
        for (int turn = 0; turn < TURNS && can; turn++) {
            can = el_sha256_many_by(ways[k].way, jobs, MESSAGES);
        }
        double rate = (double)MESSAGES * LEN * TURNS / 1e9 / (cpu_seconds() - start);
        printf(can ? "%s %s %.2f" : "%s %s: not on this processor", k == 0 ? "" : ",", ways[k].name, rate);
    }
    printf("\n");
    free(data);
}

static double hash_seconds(const uint8_t *data)
{
    uint8_t sha256[32];
    double start = cpu_seconds();
    el_sha256(data, HASHED_LEN, sha256);
    return cpu_seconds() - start;
}

static void run_row(struct object_store *store, const struct shape *shape, const struct el_public_key *pub,
                    const struct bench_options *options, uint32_t threads)
{
    uint8_t *data = bench_alloc(HASHED_LEN);
    memset(data, 1, HASHED_LEN); /* its pages are there before they are timed */
    double hashed = 0, seconds = 0, cpu = 0, gb = 0;
    uint64_t batches = 0;
    uint32_t turns = 0;
    while (turns == 0 || seconds < options->seconds) {
        struct archive_report report;
        struct el_error err;
        hashed += hash_seconds(data);
        cpu -= cpu_seconds();
        uint64_t start_ns = bench_now_ns();
        int code = archive_verify(
            store, &(struct archive_verify_options){.keys = pub, .key_count = 1, .deep = true, .threads = threads},
            &report, &err);
        seconds += (double)(bench_now_ns() - start_ns) / 1e9;
        cpu += cpu_seconds();
        if (code != 0 || !report.proven) {
            bench_die("the archive is not proven: %s", code != 0 ? err.text : report.findings[0].text);
        }
        gb += (double)report.read_len / 1e9;
        batches += report.batches;
        archive_report_free(&report);
        turns++;
    }
    double hash_gb = (double)HASHED_LEN * turns / 1e9 / hashed;
    printf("%-32s %7u %10.3f %12.0f %12.3f %12.3f %10.0f %%\n", shape->name, threads, gb / seconds,
           (double)batches / seconds, gb / cpu, hash_gb, 100 * gb / cpu / hash_gb);
    free(data);
}

static void run_shape(const struct shape *shape, const struct bench_options *options, const char *data,
                      struct el_private_key *key)
{
    char folder[PATH_MAX + 40], command[PATH_MAX + 64];
    struct object_store *store;
    struct el_public_key pub;
    struct el_error err;
    (void)snprintf(folder, sizeof folder, "%s/evlog-bench-verify-XXXXXX", data);
    if (mkdtemp(folder) == NULL || dir_store_open(folder, true, folder, &store, &err) != 0) {
        bench_die("no folder in %s", data);
    }
    el_private_key_public(key, &pub);
    make_archive(store, shape, key);
    bench_wait_quiet(options->quiet_seconds);
    run_row(store, shape, &pub, options, 1);
    run_row(store, shape, &pub, options, 2);
    object_store_close(store);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) { /* NOLINT(cert-env33-c) */
        bench_die("%s cannot be removed", folder);
    }
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct el_private_key *key;
    char data[PATH_MAX];
    bench_options_parse(&options, argc, argv, "Proving an archive.");
    if (realpath(options.data, data) == NULL || el_private_key_make(EL_SIGN_ED25519, &key, NULL) != 0) {
        bench_die("%s is not there", options.data);
    }
    bench_wait_quiet(options.quiet_seconds);
    print_ways();
    printf("%-32s %7s %10s %12s %12s %12s %12s\n", "every byte of an archive", "threads", "GB/s", "batches/s",
           "GB a cpu s", "SHA-256", "of SHA-256");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (bench_row_wanted(&options, shapes[i].name)) {
            run_shape(&shapes[i], &options, data, key);
        }
    }
    el_private_key_free(key);
    return 0;
}
