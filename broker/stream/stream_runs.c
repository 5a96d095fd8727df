/* SPDX-License-Identifier: Apache-2.0
 *
 * Which runs count now. A set is never changed while somebody looks into it; a job holds the one that it began with.
 * Tops of all runs are in memory, filters as long as the budget lasts: three eighths of what the index may take.
 */
#include <stream/stream_state.h>

#define FILTER_SHARE(max) ((max) / 8 * 3)

struct stream_run_set *stream_runs_hold(struct streams *st)
{
    EL_ASSERT(st->runs->refs > 0);
    st->runs->refs++;
    return st->runs;
}

void stream_runs_drop(struct streams *st, struct stream_run_set *set)
{
    if (set == NULL) {
        return;
    }
    EL_ASSERT(set->refs > 0);
    if (--set->refs > 0) {
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        struct stream_run *run = set->runs[i];
        EL_ASSERT(run->refs > 0);
        EL_ASSERT(el_list_empty(&run->link)); /* it is closed once */
        if (--run->refs == 0) {
            el_list_push_back(&st->work.closing, &run->link);
            streams_soon(st); /* a question may be the last that held it, and no other work be due */
        }
    }
    el_buddy_free(st->buddy, set);
}

struct stream_run_set *stream_runs_make(struct streams *st, struct stream_run *const *runs, uint32_t count)
{
    struct stream_run_set *set = el_buddy_alloc(st->buddy, sizeof *set + count * sizeof *runs);
    if (set == NULL) {
        return NULL;
    }
    set->refs = 1;
    set->count = count;
    for (uint32_t i = 0; i < count; i++) {
        set->runs[i] = runs[i];
        set->runs[i]->refs++;
    }
    return set;
}

void stream_runs_replace(struct streams *st, struct stream_run_set *set)
{
    struct stream_run_set *before = st->runs;
    uint64_t entries = 0, len = 0;
    uint32_t unfiltered = 0;
    st->runs = set;
    stream_runs_drop(st, before);
    for (uint32_t i = 0; i < set->count; i++) {
        entries += set->runs[i]->run.info.entry_count;
        len += set->runs[i]->run.info.file_len;
        unfiltered += set->runs[i]->run.filter == NULL;
    }
    metrics_set(st->metrics, METRIC_STREAM_RUNS, set->count);
    metrics_set(st->metrics, METRIC_STREAM_ENTRIES, (int64_t)entries);
    metrics_set(st->metrics, METRIC_STREAM_BYTES, (int64_t)len);
    metrics_set(st->metrics, METRIC_STREAM_UNFILTERED, unfiltered);
    streams_count(st);
}

bool stream_runs_may_hold(void *arg, uint32_t slot, struct el_hash128 hash)
{
    const struct streams *st = arg;
    for (uint32_t i = 0; i < st->runs->count; i++) {
        if (index_run_may_hold(&st->runs->runs[i]->run, slot, hash)) {
            return true;
        }
    }
    return false;
}

static int run_newest(const struct index_run *run, uint32_t slot, struct el_hash128 hash, bool of_type,
                      int64_t end_offset, struct el_stream_entry *entry, bool *found)
{
    struct el_stream_entry page[STREAM_PAGE];
    uint64_t high = UINT64_MAX;
    uint32_t count = STREAM_PAGE;
    while (count == STREAM_PAGE) {
        int code = index_run_find(run, slot, hash, 0, high, true, page, STREAM_PAGE, &count);
        if (code != 0) {
            return code;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (stream_entry_offset(&page[i], of_type) < end_offset) {
                *entry = page[i];
                *found = true;
                return 0;
            }
        }
        if (count == 0 || page[count - 1].position == 0) {
            break;
        }
        high = page[count - 1].position - 1;
    }
    return 0;
}

int stream_runs_newest(const struct stream_run_set *set, uint32_t slot, struct el_hash128 hash, bool of_type,
                       int64_t end_offset, struct el_stream_entry *entry, bool *found)
{
    int code = 0;
    *found = false;
    for (uint32_t i = 0; i < set->count && code == 0 && !*found; i++) {
        const struct index_run *run = &set->runs[i]->run;
        if (index_run_may_hold(run, slot, hash)) {
            code = run_newest(run, slot, hash, of_type, end_offset, entry, found);
        }
    }
    return code;
}

bool stream_run_fits(const struct streams *st, const struct el_index_run_info *info)
{
    return st->filter_len + index_run_memory(info, true) <= FILTER_SHARE(st->cfg.memory_max);
}

struct stream_run *stream_run_new(struct streams *st, const struct el_index_run_info *info, bool *with_filter)
{
    struct stream_run *run = el_pool_get(&st->run_pool);
    if (run == NULL) {
        return NULL;
    }
    size_t len = index_run_memory(info, true);
    *with_filter = stream_run_fits(st, info);
    len = *with_filter ? len : index_run_memory(info, false);
    run->memory = el_buddy_alloc(st->buddy, EL_MAX(len, (size_t)1));
    if (run->memory == NULL && *with_filter) {
        *with_filter = false;
        len = index_run_memory(info, false);
        run->memory = el_buddy_alloc(st->buddy, EL_MAX(len, (size_t)1));
    }
    if (run->memory == NULL) {
        el_pool_put(&st->run_pool, run);
        return NULL;
    }
    el_list_init(&run->link);
    run->memory_len = len;
    run->id = info->run_id;
    run->run.fd = -1;
    st->filter_len += len;
    return run;
}

void stream_run_free(struct streams *st, struct stream_run *run)
{
    EL_ASSERT(run->refs == 0);
    EL_ASSERT(st->filter_len >= run->memory_len);
    st->filter_len -= run->memory_len;
    el_buddy_free(st->buddy, run->memory);
    el_pool_put(&st->run_pool, run);
}
