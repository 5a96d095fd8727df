/* SPDX-License-Identifier: Apache-2.0
 *
 * A table becomes a run.
 *
 *   1. freeze: the active table is frozen, another one takes its place
 *   2. when all that it holds is durable a job sorts it and writes the run, in steps
 *   3. the run is opened and the list saved, with how far the run reaches in each partition. A crash before leaves a
 *      file that nobody names, which the next start removes
 *   4. its heads go to the cache; then the run takes the table's place, both at once
 */
#include <stream/stream_state.h>

#define ENTRY_LEN 64u    /* of an entry or name, about, to count steps */
#define HEADS_STEP 2048u /* places of a table looked at in one turn */

static bool is_behind(const struct streams *st)
{
    EL_LIST_EACH(n, &st->parts) {
        const struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        if (sp->part != NULL && sp->noted > sp->run_end) {
            return true;
        }
    }
    return false;
}

static void flush_on_durable(struct journal_wait *wait, int error)
{
    struct streams *st = EL_CONTAINER(wait, struct streams, work.durable);
    OBJ_CHECK(st, STREAMS);
    EL_ASSERT(st->work.task == STREAM_TASK_WAIT);
    if (error != 0) {
        streams_fail(st, EVLOG_ERR_STORAGE, "the journal has stopped");
        return;
    }
    st->work.task = STREAM_TASK_WRITE;
    st->work.run_id = 0;
    streams_soon(st);
}

int stream_work_freeze(struct streams *st)
{
    struct stream_work *w = &st->work;
    struct stream_table *fresh = NULL;
    if (st->view.frozen != NULL || st->failed || st->dead) {
        return EVLOG_ERR_AGAIN;
    }
    EL_ASSERT(w->task == STREAM_TASK_NONE);
    if (stream_table_create(st->buddy, st->cfg.memory_max / STREAMS_TABLE_SHARE, &fresh) != 0) {
        return EVLOG_ERR_NO_MEMORY;
    }
    st->view.frozen = st->view.active;
    st->view.active = fresh;
    w->mark = stream_table_mark(st->view.frozen);
    EL_LIST_EACH(n, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        EL_ASSERT(sp->noted >= sp->run_end);
        sp->frozen_end = sp->noted;
    }
    st->want_flush = false;
    w->task = STREAM_TASK_WAIT;
    w->durable.done = flush_on_durable;
    store_when_durable(st->shard, &w->durable);
    return 0;
}

static int write_begin(struct streams *st, struct disk *disk)
{
    struct stream_work *w = &st->work;
    char path[INDEX_PATH_LEN];
    w->names = false;
    int code = index_list_folder(disk, st->index, &w->error);
    if (code == 0 && w->sorted != NULL) { /* of a try that found no room */
        stream_sorted_rewind(w->sorted);
    } else if (code == 0) {
        code = stream_sorted_make(st->view.frozen, &w->mark, 0, (struct el_slice){0}, &w->sorted);
    }
    if (code == 0) {
        index_run_path(path, st->index, w->run_id);
        code = index_run_writer_open(disk, path, w->run_id, &w->writer, &w->error);
    }
    return code;
}

/* One entry or name more. returns 1 | 0 that was all | EVLOG_ERR_... */
static int write_next(struct stream_work *w)
{
    struct el_stream_entry entry;
    uint32_t slot;
    struct el_slice key;
    if (!w->names) {
        w->names = !stream_sorted_next(w->sorted, &entry);
        if (!w->names) {
            int code = index_run_writer_add(w->writer, &entry);
            return code == 0 ? 1 : code;
        }
    }
    if (!stream_sorted_next_name(w->sorted, &slot, &key)) {
        return 0;
    }
    int code = index_run_writer_add_name(w->writer, slot, key);
    return code == 0 ? 1 : code;
}

static void writer_close(struct stream_work *w)
{
    if (w->writer != NULL) {
        index_run_writer_close(w->writer);
        w->writer = NULL;
    }
}

void stream_flush_drop(struct stream_work *w)
{
    writer_close(w);
    if (w->sorted != NULL) {
        stream_sorted_free(w->sorted);
        w->sorted = NULL;
    }
}

static int64_t write_run(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_work *w = &st->work;
    int code = w->writer == NULL ? write_begin(st, disk) : 0;
    code = code == 0 ? 1 : code;
    for (uint32_t i = 0; i <= st->cfg.step_len / ENTRY_LEN && code == 1; i++) {
        code = write_next(w);
    }
    if (code == 0) {
        code = index_run_writer_finish(w->writer, &w->run_info);
    }
    if (code <= 0) {
        writer_close(w);
    }
    if (code == 0 || (code < 0 && !stream_work_lacks_disk(code))) {
        stream_flush_drop(w); /* else the order is kept for the next try */
    }
    return code;
}

/* Write, or begin to. */
static void write_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    if (w->mark.entry_count == 0 && w->mark.name_count == 0) {
        w->run_info = (struct el_index_run_info){0};
        w->task = STREAM_TASK_LIST;
        stream_work_go(st);
        return;
    }
    if (w->writer == NULL) {
        w->run_id = st->next_run_id++;
    }
    stream_work_job(st, STREAM_JOB_WRITE, write_run);
}

static void put_head(void *arg, const struct el_stream_entry *entry)
{
    struct streams *st = arg;
    struct stream_head head = {.version = (int64_t)entry->position, .place = entry->place};
    stream_heads_put(st->view.heads, entry->slot, entry->hash, &head);
}

/* The run is on the list: it takes the place of the table. */
static void flush_end(struct streams *st)
{
    struct stream_work *w = &st->work;
    if (!stream_table_each_head(st->view.frozen, &w->head_cursor, HEADS_STEP, put_head, st)) {
        io_timer_set(st->io, &w->timer, st->io->now_ns);
        return;
    }
    if (w->old != NULL) {
        return; /* whoever reads its names comes here again */
    }
    struct stream_table *table = st->view.frozen;
    st->view.frozen = NULL;
    stream_runs_replace(st, w->save.set);
    w->save.set = NULL;
    w->task = STREAM_TASK_NONE;
    if (st->name_jobs > 0) {
        w->old = table;
    } else {
        stream_table_destroy(table);
    }
    metrics_add(st->metrics, METRIC_STREAM_FLUSHES, 1);
    EL_LIST_EACH_SAFE(n, tmp, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        if (sp->raising && sp->part != NULL && sp->state == STREAM_PART_READY) {
            sp->raising = false;
            store_observed_floor(sp->part, 0);
        }
    }
    streams_feed(st);
    stream_work_go(st);
}

void stream_flush_saved(struct streams *st)
{
    EL_LIST_EACH(n, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        sp->run_end = EL_MAX(sp->run_end, sp->frozen_end);
    }
    st->work.head_cursor = 0;
    st->work.task = STREAM_TASK_HEADS;
}

bool stream_flush_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    int code = 0;
    if (w->task == STREAM_TASK_NONE && st->want_flush && st->view.active != NULL && is_behind(st)) {
        code = stream_work_freeze(st);
        if (code != 0) {
            stream_work_wait(st, code);
            return true;
        }
    }
    if (w->task == STREAM_TASK_NONE) {
        st->want_flush = false;
        EL_LIST_EACH_SAFE(n, tmp, &st->parts) { /* those whose floor was high enough already */
            struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
            if (sp->raising && sp->part != NULL && sp->state == STREAM_PART_READY) {
                sp->raising = false;
                store_observed_floor(sp->part, 0);
            }
        }
    }
    switch (w->task) {
    case STREAM_TASK_NONE:
    case STREAM_TASK_WAIT:
        return false;
    case STREAM_TASK_WRITE:
        write_go(st);
        return true;
    case STREAM_TASK_LIST:
        code = stream_save_go(st, &w->run_info, 0, 0);
        if (code != 0) {
            stream_work_wait(st, code);
        }
        return true;
    case STREAM_TASK_HEADS:
        flush_end(st);
        return true;
    }
    return false;
}
