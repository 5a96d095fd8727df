/* SPDX-License-Identifier: Apache-2.0
 *
 * Merges runs: four or more that follow one another and are of a level (powers of four of their entries) or below it
 * become one. Entries of deleted partitions are dropped.
 */
#include <stream/stream_state.h>

#define MERGE_RUNS 4u      /* at least */
#define MERGE_RUNS_MAX 16u /* at most, of one merge */
#define LEVEL_BASE 4096u   /* entries of a run of the lowest level, at most */
#define LEVEL_MAX 24u

EL_STATIC_ASSERT(MERGE_RUNS_MAX <= INDEX_MERGE_MAX, "one merge takes them");

static uint32_t level_of(uint64_t entry_count)
{
    uint32_t level = 0;
    for (uint64_t bound = LEVEL_BASE; entry_count > bound && level < LEVEL_MAX; bound *= 4) {
        level++;
    }
    return level;
}

/* The lowest level at which enough runs follow one another. */
static bool merge_choose(const struct streams *st, uint32_t *first, uint32_t *count)
{
    const struct stream_run_set *set = st->runs;
    for (uint32_t level = 0; level <= LEVEL_MAX && set->count >= MERGE_RUNS; level++) {
        uint32_t begin = 0;
        for (uint32_t i = 0; i <= set->count; i++) {
            bool fits = i < set->count && level_of(set->runs[i]->run.info.entry_count) <= level;
            if (fits) {
                continue;
            }
            if (i - begin >= MERGE_RUNS) {
                *count = EL_MIN(i - begin, MERGE_RUNS_MAX);
                *first = i - *count; /* the oldest of them */
                return true;
            }
            begin = i + 1;
        }
    }
    return false;
}

static bool is_live(void *arg, uint32_t slot)
{
    const struct stream_work *w = arg;
    uint32_t low = 0, high = w->live_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (w->live[mid] < slot) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < w->live_count && w->live[low] == slot;
}

static int64_t merge_run(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_work *w = &st->work;
    int code = 0;
    if (w->merge == NULL) {
        const struct index_run *runs[MERGE_RUNS_MAX];
        char path[INDEX_PATH_LEN];
        for (uint32_t i = 0; i < w->merge_count; i++) {
            runs[i] = &w->inputs->runs[w->merge_first + i]->run;
        }
        index_run_path(path, st->index, w->merge_id);
        code = index_merge_open(runs, w->merge_count, disk, path, w->merge_id, is_live, w, &w->merge, &w->error);
    }
    code = code == 0 ? index_merge_step(w->merge, st->cfg.step_len, &w->merge_info) : code;
    if (code <= 0 && w->merge != NULL) {
        index_merge_close(w->merge);
        w->merge = NULL;
    }
    if (code == 0 && w->merge_info.entry_count == 0 && w->merge_info.name_count == 0) {
        char path[INDEX_PATH_LEN];
        index_run_path(path, st->index, w->merge_id);
        code = disk_unlink(disk, path);
    }
    return code;
}

void stream_merge_end(struct streams *st)
{
    struct stream_work *w = &st->work;
    stream_runs_drop(st, w->inputs);
    el_buddy_free(st->buddy, w->live);
    w->inputs = NULL;
    w->live = NULL;
    w->merged = false;
}

/* returns false when there is no memory for it now */
static bool merge_begin(struct streams *st, uint32_t first, uint32_t count)
{
    struct stream_work *w = &st->work;
    uint32_t parts = 0;
    EL_ASSERT(w->inputs == NULL);
    EL_ASSERT(w->live == NULL);
    EL_ASSERT(count <= MERGE_RUNS_MAX);
    EL_ASSERT(first + count <= st->runs->count);
    EL_LIST_EACH(n, &st->parts) {
        parts++;
    }
    w->live = el_buddy_alloc(st->buddy, (parts + 1) * sizeof *w->live);
    if (w->live == NULL) {
        return false;
    }
    w->live_count = 0;
    EL_LIST_EACH(n, &st->parts) {
        const struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        if (sp->part != NULL) {
            EL_ASSERT(w->live_count == 0 || w->live[w->live_count - 1] < sp->slot); /* is_live() goes by that */
            w->live[w->live_count++] = sp->slot;
        }
    }
    w->inputs = stream_runs_hold(st);
    w->merge_first = first;
    w->merge_count = count;
    w->merge_id = st->next_run_id++;
    return true;
}

static int merge_save(struct streams *st)
{
    struct stream_work *w = &st->work;
    EL_ASSERT(st->runs->count >= w->inputs->count);
    uint32_t newer = st->runs->count - w->inputs->count; /* that came since it began */
    EL_ASSERT(st->runs->runs[newer + w->merge_first] == w->inputs->runs[w->merge_first]);
    w->listing = true; /* from here on nothing else is saved: either list may be on the disk */
    return stream_save_go(st, &w->merge_info, newer + w->merge_first, w->merge_count);
}

void stream_merge_saved(struct streams *st)
{
    struct stream_work *w = &st->work;
    for (uint32_t i = 0; i < w->merge_count; i++) {
        w->inputs->runs[w->merge_first + i]->listed = false;
    }
    stream_runs_replace(st, w->save.set);
    w->save.set = NULL;
    w->listing = false;
    stream_merge_end(st);
    metrics_add(st->metrics, METRIC_STREAM_MERGES, 1);
}

void stream_merge_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    uint32_t first = 0, count = 0;
    if (w->inputs == NULL) {
        if (!merge_choose(st, &first, &count)) {
            return;
        }
        if (!merge_begin(st, first, count)) {
            stream_work_wait(st, EVLOG_ERR_NO_MEMORY);
            return;
        }
    }
    if (!w->merged) {
        stream_work_job(st, STREAM_JOB_MERGE, merge_run);
    } else if (merge_save(st) != 0) {
        stream_work_wait(st, EVLOG_ERR_NO_MEMORY);
    }
}
