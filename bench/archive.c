/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive in a directory, beside what the machine can do without it: SHA-256 of memory, and files written, synced
 * and named by plain calls. Both ways take turns, so that a drift of the device meets both.
 */
#include "lib/bench.h"

#include <core/crypto.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/dir_store.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECT_LEN (8u << 20)
#define SMALL_LEN (64u << 10)
#define KEY_LEN 64

struct bench {
    struct object_store *store;
    char folder[PATH_MAX + 32];
    int folder_fd;
    uint8_t *data; /* [OBJECT_LEN] */
    uint8_t sha256[32];
    uint32_t count; /* of names */
};

/* What one way has done so far. */
struct tally {
    uint64_t ns;
    uint64_t len;
    uint64_t count;
};

static void must(bool fine, const char *what)
{
    if (!fine) {
        bench_die("%s failed", what);
    }
}

/* What an object costs at least: its bytes and its name on the device. */
static void put_plain(struct bench *bench, size_t len)
{
    char name[KEY_LEN], beside[KEY_LEN + 8];
    (void)snprintf(name, sizeof name, "plain-%u", bench->count);
    (void)snprintf(beside, sizeof beside, ".%s", name);
    int fd = openat(bench->folder_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, bench->data, len) == (ssize_t)len && fsync(fd) == 0 && close(fd) == 0, "a plain write");
    must(renameat(bench->folder_fd, beside, bench->folder_fd, name) == 0 && fsync(bench->folder_fd) == 0, "a rename");
    must(unlinkat(bench->folder_fd, name, 0) == 0, "an unlink");
}

static void put_object(struct bench *bench, size_t len)
{
    char key[KEY_LEN];
    struct el_error err;
    (void)snprintf(key, sizeof key, "topics/t/0/seg/object-%u", bench->count);
    if (object_put(bench->store, key, bench->data, len, bench->sha256, &err) != 0) {
        bench_die("%s", err.text);
    }
    (void)snprintf(key, sizeof key, "objects/topics/t/0/seg/object-%u", bench->count);
    must(unlinkat(bench->folder_fd, key, 0) == 0, "an unlink");
}

static void time_one(struct bench *bench, void (*put)(struct bench *, size_t), size_t len, struct tally *tally)
{
    uint64_t start_ns = bench_now_ns();
    put(bench, len);
    tally->ns += bench_now_ns() - start_ns;
    tally->len += len;
    tally->count++;
    bench->count++;
}

static void print_puts(const char *name, const struct tally *tally, const struct tally *limit)
{
    double rate = (double)tally->count * 1e9 / (double)tally->ns;
    printf("%-44s %10.0f /s  %8.1f MB/s", name, rate, (double)tally->len * 1e3 / (double)tally->ns);
    if (limit != NULL) {
        printf("  %5.1f %% of plain", 100 * rate * (double)limit->ns / ((double)limit->count * 1e9));
    }
    printf("\n");
}

static void bench_puts(struct bench *bench, const struct bench_options *options, size_t len, const char *size)
{
    struct tally plain = {0}, object = {0};
    char name[64];
    el_sha256(bench->data, len, bench->sha256);
    put_plain(bench, len); /* the folders are made */
    put_object(bench, len);
    bench->count++;
    while ((double)(plain.ns + object.ns) < options->seconds * 1e9) {
        time_one(bench, put_plain, len, &plain);
        time_one(bench, put_object, len, &object);
    }
    (void)snprintf(name, sizeof name, "plain file of %s, synced and named", size);
    print_puts(name, &plain, NULL);
    (void)snprintf(name, sizeof name, "object of %s put into a directory", size);
    print_puts(name, &object, &plain);
}

static void print_rate(const char *name, uint64_t len, uint64_t ns, double limit)
{
    double rate = (double)len / (double)ns;
    printf("%-44s %10.2f GB/s", name, rate);
    if (limit > 0) {
        printf("               %5.1f %% of SHA-256", 100 * rate / limit);
    }
    printf("\n");
}

/* Hashing is what checking costs at least; the store's own check reads the object from the page cache. */
static void bench_hashing(struct bench *bench, const struct bench_options *options)
{
    struct tally memory = {0}, object = {0};
    struct object_info info;
    struct el_error err;
    uint8_t sha256[32];
    el_sha256(bench->data, OBJECT_LEN, bench->sha256);
    must(object_put(bench->store, "checked", bench->data, OBJECT_LEN, bench->sha256, &err) == 0, "a put");
    while ((double)(memory.ns + object.ns) < options->seconds * 1e9) {
        uint64_t start_ns = bench_now_ns();
        el_sha256(bench->data, OBJECT_LEN, sha256);
        uint64_t middle_ns = bench_now_ns();
        must(object_head(bench->store, "checked", &info, &err) == 0, "a look at an object");
        object.ns += bench_now_ns() - middle_ns;
        memory.ns += middle_ns - start_ns;
        object.len += OBJECT_LEN;
        memory.len += OBJECT_LEN;
        must(memcmp(info.sha256, sha256, sizeof sha256) == 0, "a comparison");
    }
    print_rate("SHA-256 of memory, one thread", memory.len, memory.ns, 0);
    print_rate("object of 8 MiB read and compared", object.len, object.ns, (double)memory.len / (double)memory.ns);
}

static void clean(struct bench *bench)
{
    char command[PATH_MAX + 64];
    object_store_close(bench->store);
    (void)close(bench->folder_fd);
    (void)snprintf(command, sizeof command, "rm -rf '%s'", bench->folder);
    must(system(command) == 0, "removing the folder"); /* NOLINT(cert-env33-c) */
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct bench bench = {.count = 0};
    struct el_error err;
    char path[PATH_MAX + 64], data[PATH_MAX];
    bench_options_parse(&options, argc, argv, "An archive in a directory.");
    must(realpath(options.data, data) != NULL, "finding the folder of data");
    (void)snprintf(bench.folder, sizeof bench.folder, "%s/evlog-bench-archive-XXXXXX", data);
    must(mkdtemp(bench.folder) != NULL, "making a folder");
    bench.folder_fd = open(bench.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof path, "%s/objects", bench.folder);
    if (bench.folder_fd < 0 || dir_store_open(path, true, "file://bench", &bench.store, &err) != 0) {
        bench_die("%s: cannot be used", bench.folder);
    }
    bench.data = bench_alloc(OBJECT_LEN);
    for (size_t i = 0; i < OBJECT_LEN; i++) {
        bench.data[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    bench_wait_quiet(options.quiet_seconds);
    bench_puts(&bench, &options, OBJECT_LEN, "8 MiB");
    bench_puts(&bench, &options, SMALL_LEN, "64 KiB");
    bench_hashing(&bench, &options);
    clean(&bench);
    free(bench.data);
    return 0;
}
