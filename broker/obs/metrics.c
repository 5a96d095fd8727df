/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting, and the Prometheus page.
 *
 * 1. Hot path: one relaxed atomic addition into the struct of the caller's shard; a histogram finds its bucket from the
 *    position of the highest bit, without a loop.
 * 2. metrics_render(), on the HTTP thread: for each row, the sum over all structs. Values of one page may be some
 *    nanoseconds apart; each is exact.
 *
 * What can fail: memory for the page.
 * Invariants: counters never fall; a histogram's count is the sum of its buckets as they were read, so a page never
 * shows a bucket above its count.
 */
#include <obs/lag.h>
#include <obs/metrics.h>

#include <core/alloc.h>
#include <core/assert.h>
#include <core/buffer.h>

#include <inttypes.h>

enum metric_type { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE, METRIC_TYPE_HISTOGRAM };

struct metric_row {
    const char *name;
    const char *labels;
    const char *help;
    enum metric_type type;
};

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC(ID, name_, type_, labels_, help_)                                                                       \
    [METRIC_##ID] = {.name = (name_), .labels = (labels_), .help = (help_), .type = METRIC_TYPE_##type_},
#include <obs/metrics.def>
#undef METRIC
};

/* Histograms are numbered on their own, so that only they have buckets. */
#define HISTOGRAM_ENTRY_COUNTER(ID)
#define HISTOGRAM_ENTRY_GAUGE(ID)
#define HISTOGRAM_ENTRY_HISTOGRAM(ID) HISTOGRAM_##ID,
enum histogram_index {
#define METRIC(ID, name, type, labels, help) HISTOGRAM_ENTRY_##type(ID)
#include <obs/metrics.def>
#undef METRIC
    HISTOGRAM_COUNT
};

#define HISTOGRAM_INDEX_COUNTER(ID)
#define HISTOGRAM_INDEX_GAUGE(ID)
#define HISTOGRAM_INDEX_HISTOGRAM(ID) [METRIC_##ID] = HISTOGRAM_##ID,
static const uint8_t histogram_of[METRIC_COUNT] = {
#define METRIC(ID, name, type, labels, help) HISTOGRAM_INDEX_##type(ID)
#include <obs/metrics.def>
#undef METRIC
};
EL_STATIC_ASSERT(HISTOGRAM_COUNT < 256, "histogram_of holds bytes");

struct histogram {
    _Atomic uint64_t sum_ns;
    _Atomic uint64_t buckets[METRICS_BUCKET_COUNT];
};

#define METRICS_MAGIC OBJ_MAGIC('m', 't', 'r', 'c')

struct metrics {
    uint32_t magic;
    _Atomic int64_t value[METRIC_COUNT]; /* counters and gauges */
    struct histogram histograms[HISTOGRAM_COUNT];
};

/* Bounds shown to Prometheus: 8 us, 16 us ... 34 s, each a power of two of nanoseconds. */
#define BOUND_POWER_MIN 13
#define BOUND_POWER_MAX 35
EL_STATIC_ASSERT(BOUND_POWER_MIN >= METRICS_POWER_MIN && BOUND_POWER_MAX <= METRICS_POWER_MAX,
                 "bounds are bucket bounds");

int metrics_create(struct metrics **metrics)
{
    struct metrics *m = el_calloc(1, sizeof *m);
    if (m == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    m->magic = METRICS_MAGIC;
    *metrics = m;
    return 0;
}

void metrics_destroy(struct metrics *metrics)
{
    if (metrics != NULL) {
        OBJ_CHECK(metrics, METRICS);
        metrics->magic = 0;
        el_free(metrics);
    }
}

void metrics_add(struct metrics *metrics, enum metric_id id, int64_t n)
{
    EL_ASSERT((unsigned)id < METRIC_COUNT);
    EL_ASSERT(rows[id].type != METRIC_TYPE_HISTOGRAM);
    EL_ASSERT(n >= 0 || rows[id].type == METRIC_TYPE_GAUGE);
    atomic_fetch_add_explicit(&metrics->value[id], n, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, enum metric_id id, int64_t value)
{
    EL_ASSERT((unsigned)id < METRIC_COUNT);
    EL_ASSERT(rows[id].type == METRIC_TYPE_GAUGE);
    atomic_store_explicit(&metrics->value[id], value, memory_order_relaxed);
}

static uint32_t bucket_of(uint64_t ns)
{
    if (ns < (uint64_t)1 << METRICS_POWER_MIN) {
        return 0;
    }
    uint32_t power = 63u - (uint32_t)__builtin_clzll(ns);
    if (power >= METRICS_POWER_MAX) {
        return METRICS_BUCKET_COUNT - 1;
    }
    uint32_t sub = (uint32_t)(ns >> (power - METRICS_SUB_BITS)) & (METRICS_SUB_COUNT - 1);
    return 1 + (power - METRICS_POWER_MIN) * METRICS_SUB_COUNT + sub;
}

/* First value above the bucket. */
static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket == METRICS_BUCKET_COUNT - 1) {
        return UINT64_MAX;
    }
    uint32_t power = METRICS_POWER_MIN + (bucket == 0 ? 0 : (bucket - 1) / METRICS_SUB_COUNT);
    uint64_t sub = bucket == 0 ? 0 : (bucket - 1) % METRICS_SUB_COUNT + 1;
    return (METRICS_SUB_COUNT + sub) << (power - METRICS_SUB_BITS);
}

static struct histogram *histogram_at(struct metrics *metrics, enum metric_id id)
{
    OBJ_CHECK(metrics, METRICS);
    EL_ASSERT((unsigned)id < METRIC_COUNT);
    EL_ASSERT(rows[id].type == METRIC_TYPE_HISTOGRAM);
    return &metrics->histograms[histogram_of[id]];
}

void metrics_observe_ns(struct metrics *metrics, enum metric_id id, uint64_t duration_ns)
{
    struct histogram *h = histogram_at(metrics, id);
    atomic_fetch_add_explicit(&h->buckets[bucket_of(duration_ns)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_ns, duration_ns, memory_order_relaxed);
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

struct histogram_sum {
    uint64_t buckets[METRICS_BUCKET_COUNT];
    uint64_t count;
    uint64_t sum_ns;
};

static void histogram_add(struct histogram_sum *sum, struct histogram *h)
{
    for (uint32_t i = 0; i < METRICS_BUCKET_COUNT; i++) {
        uint64_t n = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        sum->buckets[i] += n;
        sum->count += n;
    }
    sum->sum_ns += atomic_load_explicit(&h->sum_ns, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *metrics, enum metric_id id)
{
    struct metrics *m = (struct metrics *)(uintptr_t)metrics;
    EL_ASSERT((unsigned)id < METRIC_COUNT);
    if (rows[id].type == METRIC_TYPE_HISTOGRAM) {
        struct histogram_sum sum = {.count = 0};
        histogram_add(&sum, histogram_at(m, id));
        return (int64_t)sum.count;
    }
    return atomic_load_explicit(&m->value[id], memory_order_relaxed);
}

uint64_t metrics_quantile_ns(struct metrics *const *list, size_t count, enum metric_id id, uint32_t share_ppm)
{
    struct histogram_sum sum = {.count = 0};
    EL_ASSERT(share_ppm <= 1000000);
    for (size_t i = 0; i < count; i++) {
        histogram_add(&sum, histogram_at(list[i], id));
    }
    /* The n-th smallest, n at least 1: exact without 128-bit numbers as long as fewer than 2^44 were observed. */
    uint64_t wanted = EL_MAX((sum.count * share_ppm + 999999) / 1000000, (uint64_t)1), seen = 0;
    for (uint32_t i = 0; i < METRICS_BUCKET_COUNT && sum.count > 0; i++) {
        seen += sum.buckets[i];
        if (seen >= wanted) {
            return bucket_end(i);
        }
    }
    return 0;
}

/* --- the page ---------------------------------------------------------------------------------------------------- */

static void page_add_number(struct el_buffer *page, const struct metric_row *row, int64_t value)
{
    const char *open = row->labels[0] == 0 ? "" : "{", *close = row->labels[0] == 0 ? "" : "}";
    el_buffer_printf(page, "%s%s%s%s %" PRId64 "\n", row->name, open, row->labels, close, value);
}

static void page_add_histogram(struct el_buffer *page, const struct metric_row *row, const struct histogram_sum *sum)
{
    const char *comma = row->labels[0] == 0 ? "" : ",";
    const char *open = row->labels[0] == 0 ? "" : "{", *close = row->labels[0] == 0 ? "" : "}";
    uint64_t below = 0;
    uint32_t bucket = 0;
    for (uint32_t power = BOUND_POWER_MIN; power <= BOUND_POWER_MAX; power++) {
        uint64_t bound_ns = (uint64_t)1 << power;
        while (bucket < METRICS_BUCKET_COUNT && bucket_end(bucket) <= bound_ns) {
            below += sum->buckets[bucket++];
        }
        el_buffer_printf(page, "%s_bucket{%s%sle=\"%.12g\"} %" PRIu64 "\n", row->name, row->labels, comma,
                         (double)bound_ns / 1e9, below);
    }
    el_buffer_printf(page, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", row->name, row->labels, comma, sum->count);
    el_buffer_printf(page, "%s_sum%s%s%s %" PRIu64 ".%09" PRIu64 "\n", row->name, open, row->labels, close,
                     sum->sum_ns / 1000000000, sum->sum_ns % 1000000000);
    el_buffer_printf(page, "%s_count%s%s%s %" PRIu64 "\n", row->name, open, row->labels, close, sum->count);
}

static void page_add_row(struct el_buffer *page, struct metrics *const *list, size_t count, enum metric_id id)
{
    static const char *const type_names[] = {"counter", "gauge", "histogram"};
    const struct metric_row *row = &rows[id];
    if (id == 0 || strcmp(rows[id - 1].name, row->name) != 0) {
        el_buffer_printf(page, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, type_names[row->type]);
    }
    if (row->type == METRIC_TYPE_HISTOGRAM) {
        struct histogram_sum sum = {.count = 0};
        for (size_t i = 0; i < count; i++) {
            histogram_add(&sum, histogram_at(list[i], id));
        }
        page_add_histogram(page, row, &sum);
        return;
    }
    int64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value += metrics_get(list[i], id);
    }
    page_add_number(page, row, value);
}

int metrics_render(struct metrics *const *list, size_t count, const struct lag_page *lag, char **text, size_t *len)
{
    struct el_buffer page = {.err = 0};
    el_buffer_printf(&page,
                     "# HELP evlog_build_info Version of this evlogd; the value is always 1.\n"
                     "# TYPE evlog_build_info gauge\nevlog_build_info{version=\"%s\"} 1\n",
                     EVLOG_VERSION);
    for (int id = 0; id < METRIC_COUNT; id++) {
        page_add_row(&page, list, count, (enum metric_id)id);
    }
    if (lag != NULL) {
        lag_render(lag, &page);
    }
    if (el_buffer_text(&page) == NULL) {
        el_buffer_free(&page);
        return EVLOG_ERR_NO_MEMORY;
    }
    *text = (char *)page.data; /* el_buffer has its memory from el_malloc() */
    *len = page.len;
    return 0;
}
