/* SPDX-License-Identifier: Apache-2.0
 *
 * Results of benches. All times are kept and sorted, so that percentiles are exact; the device's own floor, small
 * synced writes, is measured in the same run.
 */
#include "bench_report.h"
#include "table.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FLOOR_WRITES 200
#define FLOOR_LEN 4096

int64_t bench_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * BENCH_NS_PER_S + now.tv_nsec;
}

void bench_note(struct bench_times *times, int64_t from_ns)
{
    int64_t us = (bench_now_ns() - from_ns) / 1000;
    if (times->count < times->room) {
        times->us[times->count++] = (uint32_t)EL_MIN(EL_MAX(us, 0), (int64_t)UINT32_MAX);
    }
}

/* --- results ----------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_ms(const uint32_t *sorted, int64_t count, double share)
{
    return count == 0 ? 0 : sorted[EL_MIN((int64_t)(share * (double)count), count - 1)] / 1000.0;
}

/* Median of small synced writes; -1: not measured. */
static double floor_ms(const struct cli *cli, const char *folder)
{
    char path[4096];
    uint32_t times[FLOOR_WRITES];
    uint8_t block[FLOOR_LEN] = {0};
    if (folder == NULL) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/.evlog-bench-%d", folder, (int)getpid());
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    int count = 0;
    for (; fd >= 0 && count < FLOOR_WRITES; count++) {
        int64_t from_ns = bench_now_ns();
        if (pwrite(fd, block, sizeof block, (off_t)count * FLOOR_LEN) != FLOOR_LEN || fdatasync(fd) != 0) {
            break;
        }
        times[count] = (uint32_t)((bench_now_ns() - from_ns) / 1000);
    }
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(path);
    }
    if (count < FLOOR_WRITES) {
        cli_say(cli, "%s: the device could not be timed", folder);
        return -1;
    }
    qsort(times, FLOOR_WRITES, sizeof times[0], compare);
    size_t middle = FLOOR_WRITES / 2;
    return times[middle] / 1000.0;
}

int bench_report(const struct cli *cli, const struct bench_result *result, struct bench_times *times)
{
    double floor = floor_ms(cli, result->floor_dir);
    double per_second = (double)result->event_count / EL_MAX(result->seconds, 1e-9);
    double mib = per_second * (double)result->value_len / (1 << 20);
    struct el_buffer line = {0};
    int rc;
    qsort(times->us, (size_t)times->count, sizeof *times->us, compare);
    if (cli->json) {
        struct el_json_writer w;
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "bench", result->what);
        el_json_add_int(&w, "events", result->event_count);
        el_json_add_int(&w, "failed", result->failed_count);
        el_json_add_int(&w, "value_bytes", result->value_len);
        el_json_key(&w, "seconds");
        el_json_put_real(&w, result->seconds);
        el_json_key(&w, "events_per_second");
        el_json_put_real(&w, per_second);
        static const struct {
            const char *name;
            double share;
        } shares[] = {{"p50_ms", 0.5}, {"p99_ms", 0.99}, {"p999_ms", 0.999}, {"max_ms", 1}};
        for (size_t i = 0; times->count > 0 && i < sizeof shares / sizeof shares[0]; i++) {
            el_json_key(&w, shares[i].name);
            el_json_put_real(&w, percentile_ms(times->us, times->count, shares[i].share));
        }
        if (floor >= 0) {
            el_json_key(&w, "floor_ms");
            el_json_put_real(&w, floor);
        }
        rc = cli_json_end(cli, &w, &line);
    } else {
        el_buffer_printf(&line, "%s: %lld events of %lld bytes in %.2f s: %.0f events/s, %.1f MiB/s\n", result->what,
                         (long long)result->event_count, (long long)result->value_len, result->seconds, per_second,
                         mib);
        if (times->count > 0) {
            el_buffer_printf(&line, "time of an event: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, longest %.2f ms\n",
                             percentile_ms(times->us, times->count, 0.5), percentile_ms(times->us, times->count, 0.99),
                             percentile_ms(times->us, times->count, 0.999), percentile_ms(times->us, times->count, 1));
        }
        if (floor >= 0) {
            el_buffer_printf(&line, "device: a synced write of 4 KiB takes %.2f ms (median)\n", floor);
        }
        rc = cli_put(cli, &line);
    }
    el_buffer_free(&line);
    return rc;
}
