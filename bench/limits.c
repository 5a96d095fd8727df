/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine can do without a broker: the floor of every latency and the ceiling of every throughput in the
 * other benchmarks.
 */
#include "lib/bench.h"

#include <core/hash.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_LEN (8u << 20)
#define PAUSE_NS 200000u

static void print_limit(const char *name, const struct bench_limit *limit)
{
    printf("%-44s %10.0f /s  p50 %7.1f us  p99 %7.1f us  %8.1f MB/s\n", name, limit->per_second, limit->p50_us,
           limit->p99_us, limit->mb_per_second);
}

static void print_stream(const char *name, enum bench_stream how, const struct bench_options *options)
{
    struct bench_stream_limit limit;
    bench_limit_stream(options, how, options->seconds / 2, &limit);
    printf("%-44s %10.0f MB/s  %.2f s of the sender a GB\n", name, limit.mb_per_second, limit.cpu_per_gb);
}

enum memory_work { WORK_COPY, WORK_CRC, WORK_XXH3 };

static double memory_gb(enum memory_work work, double seconds)
{
    uint8_t *from = bench_alloc(MEMORY_LEN), *to = bench_alloc(MEMORY_LEN);
    memset(from, 0x5a, MEMORY_LEN);
    memset(to, 0x5a, MEMORY_LEN);
    uint64_t start_ns = bench_now_ns(), now_ns = start_ns, len = 0;
    uint64_t sum = 0;
    while ((double)(now_ns - start_ns) < seconds * 1e9) {
        switch (work) {
        case WORK_COPY:
            memcpy(to, from, MEMORY_LEN);
            sum += to[len % MEMORY_LEN];
            break;
        case WORK_CRC:
            sum += el_crc32c((uint32_t)sum, from, MEMORY_LEN);
            break;
        case WORK_XXH3:
            from[len % MEMORY_LEN]++;
            sum += el_xxh3(from, MEMORY_LEN);
            break;
        }
        len += MEMORY_LEN;
        now_ns = bench_now_ns();
    }
    free(from);
    free(to);
    return sum == 0 ? 0 : (double)len / (double)(now_ns - start_ns);
}

/* A thread that does nothing but read the clock sees when it did not run: other threads here, other guests of the host.
 * No latency below the longest of these is a program's own. */
static void print_pauses(double seconds)
{
    uint64_t start_ns = bench_now_ns(), last_ns = start_ns, lost_ns = 0, longest_ns = 0;
    uint64_t until_ns = start_ns + (uint64_t)(seconds * 1e9);
    uint32_t count = 0;
    while (last_ns < until_ns) {
        uint64_t now_ns = bench_now_ns();
        uint64_t pause_ns = now_ns - last_ns;
        if (pause_ns >= PAUSE_NS) {
            count++;
            lost_ns += pause_ns;
            longest_ns = pause_ns > longest_ns ? pause_ns : longest_ns;
        }
        last_ns = now_ns;
    }
    double took_ns = (double)(last_ns - start_ns);
    printf("%-44s %10.1f /s  %.2f %% of the time, longest %.2f ms\n", "pauses of a busy thread, 0.2 ms and more",
           count * 1e9 / took_ns, (double)lost_ns * 100 / took_ns, (double)longest_ns / 1e6);
}

int main(int argc, char **argv)
{
    struct bench_options options;
    struct bench_limit limit;
    bench_options_parse(&options, argc, argv, "Limits of the machine, without a broker.");
    double seconds = options.seconds / 2;
    bench_wait_quiet(options.quiet_seconds);
    print_pauses(options.seconds);
    bench_limit_flush(options.data, 4096, 1, seconds, &limit);
    print_limit("durable write 4 KiB, zero-filled blocks", &limit);
    bench_limit_flush_unwritten(options.data, 4096, seconds, &limit);
    print_limit("durable write 4 KiB, blocks only allocated", &limit);
    bench_limit_flush(options.data, 65536, 1, seconds, &limit);
    print_limit("durable write 64 KiB", &limit);
    bench_limit_flush(options.data, 65536, 8, seconds, &limit);
    print_limit("durable write 64 KiB, 8 in flight", &limit);
    bench_limit_read(options.data, 131072, 8, seconds, &limit);
    print_limit("read 128 KiB in order, 8 in flight", &limit);
    bench_limit_rtt(&options, seconds, &limit);
    print_limit("round trip 300 B / 64 B, loopback TCP", &limit);
    print_stream("stream from memory, loopback TCP", BENCH_STREAM_MEMORY, &options);
    print_stream("the same, copied once before", BENCH_STREAM_COPIED, &options);
    print_stream("the same, sendfile() from the page cache", BENCH_STREAM_FILE, &options);
    printf("%-44s %10.1f GB/s\n", "memcpy 8 MiB", memory_gb(WORK_COPY, seconds / 4));
    printf("%-44s %10.1f GB/s\n", "crc32c 8 MiB", memory_gb(WORK_CRC, seconds / 4));
    printf("%-44s %10.1f GB/s\n", "xxh3-64 8 MiB", memory_gb(WORK_XXH3, seconds / 4));
    return 0;
}
