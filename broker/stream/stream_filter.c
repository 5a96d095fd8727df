/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters that found no room. While runs are merged the filters of both, old and new, are in memory: the new run may
 * have to do without. As soon as there is room its file is opened once more, with the filter, and takes the place of
 * the one that has none. The smallest is first: each run without a filter is read for nearly every stream that is new.
 */
#include <stream/stream_state.h>

#include <core/logger.h>

static int64_t filter_run(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_work *w = &st->work;
    char path[INDEX_PATH_LEN];
    index_run_path(path, st->index, w->filter_run->id);
    return index_run_open(disk, path, &w->filter_info, w->filter_run->memory, true, &w->filter_run->run, &w->error);
}

void stream_filter_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    const struct stream_run *chosen = NULL;
    bool with_filter = false;
    EL_ASSERT(w->filter_run == NULL);
    for (uint32_t i = 0; i < st->runs->count; i++) {
        const struct stream_run *run = st->runs->runs[i];
        bool less = chosen == NULL || run->run.info.filter_len < chosen->run.info.filter_len;
        if (run->run.filter == NULL && less && stream_run_fits(st, &run->run.info)) {
            chosen = run;
        }
    }
    if (chosen == NULL || st->io->now_ns < w->filter_from_ns) {
        return; /* looked at again when something has changed */
    }
    w->filter_info = chosen->run.info;
    w->filter_run = stream_run_new(st, &w->filter_info, &with_filter);
    if (w->filter_run == NULL || !with_filter) {
        stream_filter_end(st, EVLOG_ERR_NO_MEMORY);
        stream_work_go(st); /* what was taken is given back now; it comes here no more before filter_from_ns */
        return;
    }
    stream_work_job(st, STREAM_JOB_FILTER, filter_run);
}

/* The set with it in place of the run of that id that has no filter. */
static struct stream_run_set *replaced(struct streams *st, struct stream_run *fresh)
{
    struct stream_run **runs = el_buddy_alloc(st->buddy, (st->runs->count + 1) * sizeof *runs);
    struct stream_run_set *set = NULL;
    for (uint32_t i = 0; runs != NULL && i < st->runs->count; i++) {
        runs[i] = st->runs->runs[i]->id == fresh->id ? fresh : st->runs->runs[i];
    }
    if (runs != NULL) {
        set = stream_runs_make(st, runs, st->runs->count);
    }
    el_buddy_free(st->buddy, runs);
    return set;
}

void stream_filter_end(struct streams *st, int error)
{
    struct stream_work *w = &st->work;
    struct stream_run *fresh = w->filter_run;
    struct stream_run_set *set = NULL;
    w->filter_run = NULL;
    EL_ASSERT(error != 0 || fresh->run.filter != NULL);
    if (error == 0 && !st->failed && !st->rebuilding) {
        set = replaced(st, fresh);
    }
    if (set != NULL) {
        fresh->listed = true; /* as the other one is: only its descriptor goes */
        stream_runs_replace(st, set);
        return;
    }
    w->filter_from_ns = st->io->now_ns + STREAMS_RETRY_NS;
    if (fresh != NULL) {
        fresh->listed = true;
        el_list_push_back(&w->closing, &fresh->link);
    }
}
