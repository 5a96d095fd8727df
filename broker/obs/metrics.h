/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters, gauges and duration histograms. The rows are metrics.def. One struct metrics per shard, so that shards
 * do not share cache lines; its functions may be called by any thread (relaxed atomics: a job's thread counts into
 * its shard's). metrics_render() sums a list of them. Fixed memory; nothing is allocated after metrics_create().
 *
 * Histograms are log-linear: each power of two of nanoseconds has METRICS_SUB_COUNT buckets, so that a value is
 * known to 12.5 %; Prometheus is shown a fixed list of bounds that are bucket bounds themselves.
 */
#ifndef EL_OBS_METRICS_H
#define EL_OBS_METRICS_H

#include <core/err.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum metric_id {
#define METRIC(ID, name, type, labels, help) METRIC_##ID,
#include <obs/metrics.def>
#undef METRIC
    METRIC_COUNT
};

#define METRICS_SUB_BITS 3
#define METRICS_SUB_COUNT (1u << METRICS_SUB_BITS) /* buckets in a power of two */
#define METRICS_POWER_MIN 10                       /* below 1,024 ns everything is one bucket */
#define METRICS_POWER_MAX 40                       /* from 2^40 ns (18 minutes) on everything is one bucket */
#define METRICS_BUCKET_COUNT ((METRICS_POWER_MAX - METRICS_POWER_MIN) * METRICS_SUB_COUNT + 2)

struct metrics;

/* All zero. returns 0 | EVLOG_ERR_NO_MEMORY */
int metrics_create(struct metrics **metrics);
void metrics_destroy(struct metrics *metrics); /* NULL is ignored */

/* Counters: grow by n. Gauges: move by n (negative as well). */
void metrics_add(struct metrics *metrics, enum metric_id id, int64_t n);
/* Gauges: set. */
void metrics_set(struct metrics *metrics, enum metric_id id, int64_t value);
/* Histograms: one observation. */
void metrics_observe_ns(struct metrics *metrics, enum metric_id id, uint64_t duration_ns);

/* Value of a counter or gauge; number of observations of a histogram. */
int64_t metrics_get(const struct metrics *metrics, enum metric_id id);
/* Upper bound of the bucket at which the share (0 .. 1,000,000 ppm) of all observations is reached; 0 without any. */
uint64_t metrics_quantile_ns(struct metrics *const *list, size_t count, enum metric_id id, uint32_t share_ppm);

/* Prometheus text format 0.0.4 of the sum over list[count], with evlog_build_info.
 *
 * lag       what to add of groups; NULL: nothing
 * text      out: NUL-terminated, of el_malloc(); the caller frees it with el_free()
 * len       out: bytes without the NUL
 * returns   0 | EVLOG_ERR_NO_MEMORY
 */
struct lag_page;
int metrics_render(struct metrics *const *list, size_t count, const struct lag_page *lag, char **text, size_t *len);

#endif
