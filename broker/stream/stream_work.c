/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens behind appends: a full table becomes a run (stream_flush.c), runs are merged (stream_merge.c), files
 * that count no more are removed. One job at a time, each a step of some megabytes at most, a table before all else.
 *
 * Fails: without memory it is tried again each second, without space after up to eight seconds, and appends wait once
 * both tables are full. Anything else is the end of the index until a restart. What is under way is closed by a job of
 * its own.
 */
#include <stream/stream_state.h>

#include <core/alloc.h>
#include <core/logger.h>

/* --- cleaning up -------------------------------------------------------------------------------------------------- */

/* Close what nobody uses, remove what no list names. After a failure also what was under way. */
static int64_t clean_run(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_work *w = &st->work;
    char path[INDEX_PATH_LEN];
    EL_LIST_EACH(n, &w->closed) {
        struct stream_run *run = EL_CONTAINER(n, struct stream_run, link);
        if (run->run.fd >= 0) {
            index_run_close(&run->run);
        }
        if (!run->listed) {
            index_run_path(path, st->index, run->id);
            disk_unlink(disk, path); /* else the next start removes it */
        }
    }
    if (st->failed || st->stopping) {
        if (w->merge != NULL) {
            index_merge_close(w->merge);
            w->merge = NULL;
        }
        if (st->failed) {
            stream_flush_drop(w);
        }
    }
    return 0;
}

static bool clean_wanted(const struct streams *st)
{
    const struct stream_work *w = &st->work;
    bool ends = (w->merge != NULL && (st->failed || st->stopping)) ||
                ((w->writer != NULL || w->sorted != NULL) && st->failed);
    return !el_list_empty(&w->closing) || ends;
}

/* --- one after the other ------------------------------------------------------------------------------------------ */

bool stream_work_lacks_disk(int code)
{
    return code == EVLOG_ERR_NO_SPACE || code == EVLOG_ERR_NO_FILES || code == EVLOG_ERR_FULL;
}

/* Each try on a full disk writes, and removes, what there was room for: they become rare. */
static uint64_t wait_ns(struct stream_work *w, int code)
{
    if (!stream_work_lacks_disk(code)) {
        return STREAMS_RETRY_NS;
    }
    w->retry_ns = w->retry_ns == 0 ? STREAMS_RETRY_NS : EL_MIN(2 * w->retry_ns, STREAMS_RETRY_MAX_NS);
    return w->retry_ns;
}

static void complain(struct streams *st, int code)
{
    if (!st->work.complained) {
        el_log(EL_LOG_WARN, "stream", "shard %u: an index file has to wait, tried again within %u s: %s", st->index,
               (unsigned)(STREAMS_RETRY_MAX_NS / 1000000000u), evlog_error_text(code));
    }
    st->work.complained = true;
}

void stream_work_wait(struct streams *st, int code)
{
    struct stream_work *w = &st->work;
    complain(st, code);
    w->waiting = true;
    io_timer_set(st->io, &w->timer, st->io->now_ns + wait_ns(w, code));
}

/* A merge can wait while tables become runs. */
static void merge_wait(struct streams *st, int code)
{
    struct stream_work *w = &st->work;
    complain(st, code);
    w->merge_from_ns = st->io->now_ns + wait_ns(w, code);
}

void stream_work_hurry(struct streams *st)
{
    st->work.waiting = false;
    st->work.retry_ns = 0;
    stream_work_go(st);
}

static void work_on_timer(struct io_timer *timer)
{
    struct streams *st = timer->arg;
    OBJ_CHECK(st, STREAMS);
    st->work.waiting = false;
    stream_work_go(st);
}

static void saved(struct streams *st)
{
    struct stream_work *w = &st->work;
    EL_ASSERT(w->save.set != NULL);
    if (w->save.run != NULL) {
        EL_ASSERT(w->save.opened);
        w->save.run->listed = true;
        w->save.run = NULL;
    }
    if (w->listing) {
        stream_merge_saved(st);
    } else {
        stream_flush_saved(st);
    }
}

static void cleaned(struct streams *st)
{
    struct stream_work *w = &st->work;
    for (struct el_list *n; (n = el_list_pop_front(&w->closed)) != NULL;) {
        stream_run_free(st, EL_CONTAINER(n, struct stream_run, link));
    }
    if (w->inputs != NULL && w->merge == NULL && !w->listing && (st->failed || st->stopping)) {
        stream_merge_end(st);
    }
}

static bool is_for_want_of_room(int code)
{
    return code == EVLOG_ERR_NO_MEMORY || stream_work_lacks_disk(code);
}

static void work_on_done(struct io_op *op)
{
    struct streams *st = EL_CONTAINER(op, struct streams, work.op);
    OBJ_CHECK(st, STREAMS);
    struct stream_work *w = &st->work;
    enum stream_job job = w->job;
    int code = (int)op->result;
    EL_ASSERT(job != STREAM_JOB_NONE);
    EL_ASSERT(st->ops > 0);
    w->job = STREAM_JOB_NONE;
    st->ops--;
    if (job == STREAM_JOB_SAVE) {
        stream_save_free(st);
    }
    if (code < 0 && job == STREAM_JOB_MERGE) {
        stream_merge_end(st);
    }
    if (job == STREAM_JOB_FILTER) {
        stream_filter_end(st, code);
        code = is_for_want_of_room(code) ? 0 : code;
    }
    if (code < 0 && job == STREAM_JOB_EMPTY && (st->failed || st->stopping)) {
        stream_rebuild_give_up(st);
        code = 0;
    }
    if (code < 0 && is_for_want_of_room(code)) {
        if (job == STREAM_JOB_MERGE) {
            merge_wait(st, code);
            stream_work_go(st);
        } else {
            stream_work_wait(st, code);
        }
        return;
    }
    if (code < 0) {
        streams_fail(st, code, "%s", w->error.text[0] != 0 ? w->error.text : "an index file cannot be written");
        stream_work_go(st);
        return;
    }
    switch (job) {
    case STREAM_JOB_WRITE:
        EL_ASSERT(w->task == STREAM_TASK_WRITE);
        w->task = code == 0 ? STREAM_TASK_LIST : STREAM_TASK_WRITE;
        break;
    case STREAM_JOB_SAVE:
        w->complained = false;
        w->retry_ns = 0;
        saved(st);
        break;
    case STREAM_JOB_MERGE:
        w->merged = code == 0;
        break;
    case STREAM_JOB_CLEAN:
        cleaned(st);
        break;
    case STREAM_JOB_EMPTY:
        w->damaged = false;
        if (st->rebuilding) {
            stream_rebuild_emptied(st);
        }
        break;
    case STREAM_JOB_FILTER:
    case STREAM_JOB_NONE:
        break;
    }
    stream_work_go(st);
}

void stream_work_job(struct streams *st, enum stream_job job, io_job_fn run)
{
    struct stream_work *w = &st->work;
    EL_ASSERT(w->job == STREAM_JOB_NONE);
    w->job = job;
    w->error.text[0] = 0;
    w->op.done = work_on_done;
    st->ops++;
    io_job(st->io, &w->op, IO_JOB_COMPUTE, run, st);
}

void stream_work_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    if (w->old != NULL && st->name_jobs == 0) {
        stream_table_destroy(w->old);
        w->old = NULL;
    }
    if (w->job != STREAM_JOB_NONE || w->waiting || st->dead) {
        return;
    }
    if (w->damaged) {
        stream_rebuild_go(st);
        return;
    }
    if (!st->failed && w->listing) {
        stream_merge_go(st);
        return;
    }
    if (!st->failed && stream_flush_go(st)) {
        return;
    }
    if (clean_wanted(st)) {
        el_list_splice_back(&w->closed, &w->closing);
        stream_work_job(st, STREAM_JOB_CLEAN, clean_run);
        return;
    }
    if (st->failed || st->stopping || w->task != STREAM_TASK_NONE) {
        return;
    }
    if (st->io->now_ns >= w->merge_from_ns) {
        stream_merge_go(st);
    } else {
        io_timer_set(st->io, &w->timer, w->merge_from_ns);
    }
    if (w->job == STREAM_JOB_NONE && !w->waiting && w->inputs == NULL) {
        stream_filter_go(st);
    }
}

bool stream_work_idle(const struct streams *st)
{
    const struct stream_work *w = &st->work;
    return w->job == STREAM_JOB_NONE && (st->failed || (w->task == STREAM_TASK_NONE && !st->want_flush)) &&
           !clean_wanted(st) && !w->damaged;
}

void stream_work_init(struct streams *st)
{
    struct stream_work *w = &st->work;
    el_list_init(&w->closing);
    el_list_init(&w->closed);
    w->timer.fire = work_on_timer;
    w->timer.arg = st;
}

/* At the end: blocking. */
void stream_work_free(struct streams *st)
{
    struct stream_work *w = &st->work;
    io_timer_cancel(st->io, &w->timer);
    stream_flush_drop(w);
    if (w->merge != NULL) {
        index_merge_close(w->merge);
    }
    if (w->inputs != NULL) {
        stream_merge_end(st);
    }
    stream_runs_drop(st, w->save.set);
    if (w->filter_run != NULL) {
        el_list_push_back(&w->closing, &w->filter_run->link);
    }
    el_list_splice_back(&w->closed, &w->closing);
    for (struct el_list *n; (n = el_list_pop_front(&w->closed)) != NULL;) {
        struct stream_run *run = EL_CONTAINER(n, struct stream_run, link);
        if (run->run.fd >= 0) {
            index_run_close(&run->run);
        }
        stream_run_free(st, run);
    }
    stream_save_free(st);
    stream_table_destroy(w->old);
}
