/* SPDX-License-Identifier: Apache-2.0
 *
 * The S3 client beside plain HTTP: the same bytes, over the same loopback, to the same server, which keeps them in its
 * memory (lib/bucket.c). What is missing to 100 % is what the client costs: libcurl, headers, signatures, and one HEAD
 * and three requests more for an object that goes in parts. The two take turns.
 */
#include "lib/bench.h"

#include <core/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/object_store.h>
#include <string.h>
#include <unistd.h>

#define LARGE_LEN (16u << 20) /* a segment: two parts */
#define MIDDLE_LEN (1u << 20)
#define SMALL_LEN (4u << 10)

struct bench {
    struct object_store *store;
    int http;
    uint8_t *data, *got; /* [LARGE_LEN] */
    uint8_t sha256[32];
    size_t len;     /* of an object */
    uint32_t count; /* of names */
};

struct tally {
    uint64_t ns;
    uint64_t count;
};

typedef void (*step_fn)(struct bench *bench);

static void put_plain(struct bench *bench)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/bench/plain/put-%u", bench->count % 8);
    bench_http_put(bench->http, path, bench->data, bench->len);
}

static void put_object(struct bench *bench)
{
    char key[64];
    struct el_error err;
    (void)snprintf(key, sizeof key, "put-%u", bench->count);
    if (object_put(bench->store, key, bench->data, bench->len, bench->sha256, &err) != 0 ||
        object_remove(bench->store, key, &err) != 0) {
        bench_die("%s", err.text);
    }
    bench->count++;
}

static void get_plain(struct bench *bench)
{
    if (bench_http_get(bench->http, "/bench/archive/there", 0, bench->got, bench->len) != bench->len) {
        bench_die("a plain GET brought too little");
    }
}

static void get_object(struct bench *bench)
{
    uint64_t done = 0;
    struct el_error err;
    if (object_get(bench->store, "there", 0, bench->got, bench->len, &done, &err) != 0 || done != bench->len) {
        bench_die("a GET: %s", err.text);
    }
}

static void time_one(struct bench *bench, step_fn step, struct tally *tally)
{
    uint64_t start_ns = bench_now_ns();
    step(bench);
    tally->ns += bench_now_ns() - start_ns;
    tally->count++;
}

static void run_row(struct bench *bench, const struct bench_options *options, const char *name, size_t len, bool is_put)
{
    struct tally plain = {0}, client = {0};
    if (!bench_row_wanted(options, name)) {
        return;
    }
    bench->len = len;
    el_sha256(bench->data, len, bench->sha256);
    step_fn plain_step = is_put ? put_plain : get_plain, client_step = is_put ? put_object : get_object;
    plain_step(bench);
    client_step(bench);
    bench_wait_quiet(options->quiet_seconds);
    while ((double)(plain.ns + client.ns) < options->seconds * 1e9) {
        time_one(bench, plain_step, &plain);
        time_one(bench, client_step, &client);
    }
    double limit = (double)plain.count * (double)len * 1e3 / (double)plain.ns;
    double rate = (double)client.count * (double)len * 1e3 / (double)client.ns;
    printf("%-28s %10.1f %10.1f %9.0f %% %11.3f\n", name, limit, rate, 100 * rate / limit,
           ((double)client.ns / (double)client.count - (double)plain.ns / (double)plain.count) / 1e6);
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct bench_bucket bucket;
    struct bench bench = {.count = 0};
    struct el_error err;
    bench_options_parse(&options, argc, argv, "The S3 client beside plain HTTP.");
    bench_bucket_start(&bucket);
    if (object_store_open(bucket.url, false, &bench.store, &err) != 0) {
        bench_die("%s", err.text);
    }
    bench.http = bench_http_connect(&bucket);
    bench.data = bench_alloc(LARGE_LEN);
    bench.got = bench_alloc(LARGE_LEN);
    for (size_t i = 0; i < LARGE_LEN; i++) {
        bench.data[i] = (uint8_t)(i * 2654435761u >> 24);
    }
    el_sha256(bench.data, LARGE_LEN, bench.sha256);
    if (object_put(bench.store, "there", bench.data, LARGE_LEN, bench.sha256, &err) != 0) {
        bench_die("%s", err.text);
    }
    printf("%-28s %10s %10s %11s %11s\n", "one connection", "HTTP MB/s", "S3 MB/s", "of HTTP", "ms more");
    run_row(&bench, &options, "put of 16 MiB, and remove", LARGE_LEN, true);
    run_row(&bench, &options, "put of 1 MiB, and remove", MIDDLE_LEN, true);
    run_row(&bench, &options, "put of 4 KiB, and remove", SMALL_LEN, true);
    run_row(&bench, &options, "get of 16 MiB", LARGE_LEN, false);
    run_row(&bench, &options, "get of a range of 1 MiB", MIDDLE_LEN, false);
    run_row(&bench, &options, "get of a range of 4 KiB", SMALL_LEN, false);
    object_store_close(bench.store);
    (void)close(bench.http);
    bench_bucket_stop(&bucket);
    free(bench.data);
    free(bench.got);
    return 0;
}
