/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the numbers on the page are those that were counted, in the format that Prometheus reads. Method: known
 * observations, then the page line by line; threads that count at the same time.
 */
#include <obs/metrics.h>

#include "../../lib/test.h"

#include <core/alloc.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define THREAD_COUNT 4
#define ROUNDS 20000

static struct metrics *make(void)
{
    struct metrics *m = NULL;
    assert_int_equal(metrics_create(&m), 0);
    return m;
}

static void assert_line(const char *page, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(page, wanted) == NULL) {
        fail_msg("no line \"%s\"", line);
    }
}

TEST(metrics, start_at_zero)
{
    struct metrics *m = make();
    for (int id = 0; id < METRIC_COUNT; id++) {
        assert_int_equal(metrics_get(m, (enum metric_id)id), 0);
    }
    assert_int_equal(metrics_quantile_ns(&m, 1, METRIC_FLUSH_SECONDS, 500000), 0);
    assert_int_equal(metrics_quantile_ns(NULL, 0, METRIC_FLUSH_SECONDS, 500000), 0);
    metrics_destroy(m);
    metrics_destroy(NULL);
}

TEST(metrics, counters_add_and_gauges_move_both_ways)
{
    struct metrics *m = make();
    metrics_add(m, METRIC_APPENDS, 2);
    metrics_add(m, METRIC_APPENDS, 3);
    metrics_add(m, METRIC_CONNECTIONS, 5);
    metrics_add(m, METRIC_CONNECTIONS, -7);
    metrics_set(m, METRIC_JOURNAL_USED_BYTES, (int64_t)1 << 50);
    assert_int_equal(metrics_get(m, METRIC_APPENDS), 5);
    assert_int_equal(metrics_get(m, METRIC_CONNECTIONS), -2);
    assert_int_equal(metrics_get(m, METRIC_JOURNAL_USED_BYTES), (int64_t)1 << 50);
    metrics_destroy(m);
}

/* Each bucket is at most an eighth wider than it is high, over the whole range; none loses a value. */
TEST(metrics, quantile_is_within_an_eighth)
{
    struct metrics *m = make();
    uint64_t count = 0;
    for (uint64_t ns = 1024; ns < (uint64_t)1 << 40; ns += ns / 5 + 1) {
        struct metrics *one = make();
        metrics_observe_ns(one, METRIC_FLUSH_SECONDS, ns);
        uint64_t bound = metrics_quantile_ns(&one, 1, METRIC_FLUSH_SECONDS, 1000000);
        if (bound <= ns || bound > ns + ns / 8 + 1) {
            fail_msg("%llu ns is shown as %llu", (unsigned long long)ns, (unsigned long long)bound);
        }
        metrics_observe_ns(m, METRIC_FLUSH_SECONDS, ns);
        count++;
        metrics_destroy(one);
    }
    assert_int_equal(metrics_get(m, METRIC_FLUSH_SECONDS), count);
    metrics_destroy(m);
}

TEST(metrics, extremes_have_buckets)
{
    struct metrics *m = make();
    metrics_observe_ns(m, METRIC_FLUSH_SECONDS, 0);
    assert_int_equal(metrics_quantile_ns(&m, 1, METRIC_FLUSH_SECONDS, 0), 1024);
    metrics_observe_ns(m, METRIC_FLUSH_SECONDS, 1023);
    assert_int_equal(metrics_quantile_ns(&m, 1, METRIC_FLUSH_SECONDS, 1000000), 1024);
    metrics_observe_ns(m, METRIC_FLUSH_SECONDS, UINT64_MAX);
    metrics_observe_ns(m, METRIC_FLUSH_SECONDS, (uint64_t)1 << 40);
    assert_true(metrics_quantile_ns(&m, 1, METRIC_FLUSH_SECONDS, 1000000) == UINT64_MAX);
    assert_int_equal(metrics_quantile_ns(&m, 1, METRIC_FLUSH_SECONDS, 500000), 1024);
    assert_int_equal(metrics_get(m, METRIC_FLUSH_SECONDS), 4);
    metrics_destroy(m);
}

TEST(metrics, page_sums_over_shards)
{
    struct metrics *list[2] = {make(), make()};
    char *page = NULL;
    size_t len = 0;
    metrics_add(list[0], METRIC_APPENDS, 40);
    metrics_add(list[1], METRIC_APPENDS, 2);
    metrics_set(list[0], METRIC_PARTITIONS, 3);
    metrics_set(list[1], METRIC_PARTITIONS, 4);
    metrics_add(list[1], METRIC_REFUSED_FULL, 1);
    metrics_observe_ns(list[0], METRIC_FLUSH_SECONDS, 1);
    metrics_observe_ns(list[0], METRIC_FLUSH_SECONDS, 3 * MS);
    metrics_observe_ns(list[1], METRIC_FLUSH_SECONDS, 3 * MS);
    metrics_observe_ns(list[1], METRIC_FLUSH_SECONDS, 100000 * MS);
    assert_int_equal(metrics_render(list, 2, NULL, &page, &len), 0);
    assert_int_equal(strlen(page), len);
    assert_line(page, "evlog_appends_total 42");
    assert_line(page, "evlog_partitions 7");
    assert_line(page, "evlog_refused_total{reason=\"full\"} 1");
    assert_line(page, "evlog_refused_total{reason=\"frame\"} 0");
    assert_line(page, "# TYPE evlog_journal_flush_seconds histogram");
    assert_line(page, "evlog_journal_flush_seconds_bucket{le=\"8.192e-06\"} 1");
    assert_line(page, "evlog_journal_flush_seconds_bucket{le=\"0.002097152\"} 1");
    assert_line(page, "evlog_journal_flush_seconds_bucket{le=\"0.004194304\"} 3");
    assert_line(page, "evlog_journal_flush_seconds_bucket{le=\"34.359738368\"} 3");
    assert_line(page, "evlog_journal_flush_seconds_bucket{le=\"+Inf\"} 4");
    assert_line(page, "evlog_journal_flush_seconds_sum 100.006000001");
    assert_line(page, "evlog_journal_flush_seconds_count 4");
    assert_line(page, "evlog_build_info{version=\"" EVLOG_VERSION "\"} 1");
    el_free(page);
    metrics_destroy(list[0]);
    metrics_destroy(list[1]);
}

/* Names must be legal, a name's rows together and typed once, counters end in _total, each line a name and a number. */
TEST(metrics, page_keeps_to_the_format)
{
    struct metrics *m = make();
    char *page = NULL, name[128], typed[128] = "", kind[16] = "";
    size_t len = 0, type_count = 0;
    assert_int_equal(metrics_render(&m, 1, NULL, &page, &len), 0);
    assert_int_equal(page[len - 1], '\n');
    for (char *line = strtok(page, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_true(strlen(line) > 20);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            char before[128];
            strcpy(before, typed);
            assert_int_equal(sscanf(line, "# TYPE %127s %15s", typed, kind), 2);
            assert_string_not_equal(before, typed);
            assert_int_equal(strcmp(kind, "counter") == 0,
                             strlen(typed) > 6 && strcmp(typed + strlen(typed) - 6, "_total") == 0);
            type_count++;
        } else {
            size_t name_len = strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
            char *end = NULL;
            assert_true(name_len > 6 && name_len < sizeof name);
            assert_int_equal(strncmp(line, typed, strlen(typed)), 0);
            assert_true(line[name_len] == ' ' || line[name_len] == '{');
            strtod(strrchr(line, ' '), &end);
            assert_int_equal(*end, 0);
        }
    }
    assert_true(type_count > 30);
    el_free(page);
    metrics_destroy(m);
}

static void *count_rounds(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        metrics_add(arg, METRIC_REQUESTS, 1);
        metrics_observe_ns(arg, METRIC_APPEND_SECONDS, (uint64_t)i);
    }
    return NULL;
}

TEST(metrics, no_count_is_lost_between_threads)
{
    struct metrics *m = make();
    pthread_t threads[THREAD_COUNT];
    for (int i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count_rounds, m), 0);
    }
    for (int i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(metrics_get(m, METRIC_REQUESTS), THREAD_COUNT * ROUNDS);
    assert_int_equal(metrics_get(m, METRIC_APPEND_SECONDS), THREAD_COUNT * ROUNDS);
    metrics_destroy(m);
}

TEST_TORTURE(metrics, page_without_memory_is_refused)
{
    struct metrics *m = NULL;
    char *page = NULL;
    size_t len = 0;
    if (metrics_create(&m) != 0) {
        assert_true(el_test_failing());
        return;
    }
    int result = metrics_render(&m, 1, NULL, &page, &len);
    assert_true(result == 0 || (el_test_failing() && result == EVLOG_ERR_NO_MEMORY));
    el_free(page);
    metrics_destroy(m);
}
