/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens behind appends: a full table becomes a run, runs are merged, files that count no more are removed. One
 * job at a time, each a step of some megabytes at most, a table before all else.
 *
 *   1. freeze: the active table is frozen, another one takes its place
 *   2. when all that it holds is durable a job sorts it and writes the run, in steps
 *   3. the run is opened and the list saved, with how far the run reaches in each partition. A crash before leaves a
 *      file that nobody names, which the next start removes
 *   4. its heads go to the cache; then the run takes the table's place, both at once
 *
 * Merging: four or more runs that follow one another and are of a level (powers of four of their entries) or below it
 * become one. Entries of deleted partitions are dropped.
 *
 * Fails: without space or memory it is tried again each second, and appends wait once both tables are full. Anything
 * else is the end of the index until a restart. What is under way is closed by a job of its own.
 */
#include <stream/stream_state.h>

#include <core/alloc.h>
#include <core/logger.h>

#define ENTRY_LEN 64u      /* of an entry or name, about, to count steps */
#define MERGE_RUNS 4u      /* at least */
#define MERGE_RUNS_MAX 16u /* at most, of one merge */
#define LEVEL_BASE 4096u   /* entries of a run of the lowest level, at most */
#define LEVEL_MAX 24u
#define HEADS_STEP 2048u /* places of a table looked at in one turn */

EL_STATIC_ASSERT(MERGE_RUNS_MAX <= INDEX_MERGE_MAX, "one merge takes them");

static void work_job(struct streams *st, enum stream_job job, io_job_fn run);

/* --- a table becomes a run ---------------------------------------------------------------------------------------- */

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
    if (code == 0) {
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

static void write_end(struct stream_work *w)
{
    if (w->writer != NULL) {
        index_run_writer_close(w->writer);
        w->writer = NULL;
    }
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
        write_end(w);
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
    work_job(st, STREAM_JOB_WRITE, write_run);
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

/* --- the list ----------------------------------------------------------------------------------------------------- */

static void save_free(struct streams *st)
{
    struct stream_save *s = &st->work.save;
    el_buddy_free(st->buddy, s->list.slots);
    el_buddy_free(st->buddy, s->list.run_ids);
    s->list = (struct index_list){0};
}

static bool list_fill(struct streams *st, struct index_list *list, const struct stream_run_set *set, bool frozen)
{
    uint32_t count = 0;
    EL_LIST_EACH(n, &st->parts) {
        count++;
    }
    *list = (struct index_list){.sequence = ++st->list_sequence,
                                .next_run_id = st->next_run_id,
                                .next_slot = st->next_slot,
                                .run_count = set->count};
    memcpy(list->secret_tag, st->tag, sizeof list->secret_tag);
    list->slots = el_buddy_alloc(st->buddy, (count + 1) * sizeof *list->slots);
    list->run_ids = el_buddy_alloc(st->buddy, (set->count + 1) * sizeof *list->run_ids);
    if (list->slots == NULL || list->run_ids == NULL) {
        return false;
    }
    EL_LIST_EACH(n, &st->parts) {
        const struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        int64_t end = frozen ? sp->frozen_end : sp->run_end;
        if (sp->part != NULL && end > 0) {
            list->slots[list->slot_count++] = (struct index_slot){
                .slot = sp->slot, .topic_id = sp->topic_id, .partition = sp->partition, .end_offset = end};
        }
    }
    for (uint32_t i = 0; i < set->count; i++) {
        list->run_ids[i] = set->runs[i]->id;
    }
    return true;
}

static int64_t save_run(struct disk *disk, void *arg)
{
    struct streams *st = arg;
    struct stream_save *s = &st->work.save;
    char path[INDEX_PATH_LEN];
    if (s->run != NULL && !s->opened) {
        index_run_path(path, st->index, s->run->id);
        int code = index_run_open(disk, path, &s->info, s->run->memory, s->with_filter, &s->run->run, &st->work.error);
        if (code != 0) {
            return code;
        }
        s->opened = true;
    }
    return index_list_save(disk, st->index, &s->list, &st->work.error);
}

/* Make the set that is to be, with a new run in place of [first, first + replaced) of the one there is; and save it.
 * returns 0 a job does | EVLOG_ERR_NO_MEMORY */
static int save_go(struct streams *st, const struct el_index_run_info *info, uint32_t first, uint32_t replaced)
{
    struct stream_save *s = &st->work.save;
    struct stream_run_set *now = st->runs;
    bool has_run = info->entry_count > 0 || info->name_count > 0;
    if (has_run && s->run == NULL) {
        s->run = stream_run_new(st, info, &s->with_filter);
        s->info = *info;
        s->opened = false;
        if (s->run == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    if (s->set == NULL) {
        uint32_t count = 0;
        struct stream_run **runs = el_buddy_alloc(st->buddy, (now->count + 1) * sizeof *runs);
        for (uint32_t i = 0; runs != NULL && i <= now->count; i++) {
            if (i == first && has_run) {
                runs[count++] = s->run;
            }
            if (i < now->count && (i < first || i >= first + replaced)) {
                runs[count++] = now->runs[i];
            }
        }
        s->set = runs == NULL ? NULL : stream_runs_make(st, runs, count);
        el_buddy_free(st->buddy, runs);
    }
    if (s->set == NULL || !list_fill(st, &s->list, s->set, replaced == 0)) {
        save_free(st);
        return EVLOG_ERR_NO_MEMORY;
    }
    work_job(st, STREAM_JOB_SAVE, save_run);
    return 0;
}

/* --- merging ------------------------------------------------------------------------------------------------------ */

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

static void merge_end(struct streams *st)
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
    uint32_t newer = st->runs->count - w->inputs->count; /* that came since it began */
    EL_ASSERT(st->runs->runs[newer + w->merge_first] == w->inputs->runs[w->merge_first]);
    w->listing = true; /* from here on nothing else is saved: either list may be on the disk */
    return save_go(st, &w->merge_info, newer + w->merge_first, w->merge_count);
}

static void merge_saved(struct streams *st)
{
    struct stream_work *w = &st->work;
    for (uint32_t i = 0; i < w->merge_count; i++) {
        w->inputs->runs[w->merge_first + i]->listed = false;
    }
    stream_runs_replace(st, w->save.set);
    w->save.set = NULL;
    w->listing = false;
    merge_end(st);
    metrics_add(st->metrics, METRIC_STREAM_MERGES, 1);
}

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
            write_end(w);
        }
    }
    if (w->damaged && !w->emptied) {
        struct index_list list = {
            .sequence = st->list_sequence + 1, .next_run_id = st->next_run_id, .next_slot = st->next_slot};
        memcpy(list.secret_tag, st->tag, sizeof list.secret_tag);
        index_list_save(disk, st->index, &list, &w->error);
        w->emptied = true;
    }
    return 0;
}

static bool clean_wanted(const struct streams *st)
{
    const struct stream_work *w = &st->work;
    bool ends = (w->merge != NULL && (st->failed || st->stopping)) || (w->writer != NULL && st->failed);
    return !el_list_empty(&w->closing) || ends || (w->damaged && !w->emptied);
}

/* --- one after the other ------------------------------------------------------------------------------------------ */

static void wait_for_room(struct streams *st, int code)
{
    struct stream_work *w = &st->work;
    if (!w->complained) {
        el_log(EL_LOG_WARN, "stream", "shard %u: an index file has to wait, tried again every second: %s", st->index,
               evlog_error_text(code));
    }
    w->complained = true;
    w->waiting = true;
    io_timer_set(st->io, &w->timer, st->io->now_ns + STREAMS_RETRY_NS);
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
    if (w->save.run != NULL) {
        w->save.run->listed = true;
        w->save.run = NULL;
    }
    if (w->listing) {
        merge_saved(st);
        return;
    }
    EL_LIST_EACH(n, &st->parts) {
        struct stream_part *sp = EL_CONTAINER(n, struct stream_part, link);
        sp->run_end = EL_MAX(sp->run_end, sp->frozen_end);
    }
    w->head_cursor = 0;
    w->task = STREAM_TASK_HEADS;
}

static void cleaned(struct streams *st)
{
    struct stream_work *w = &st->work;
    for (struct el_list *n; (n = el_list_pop_front(&w->closed)) != NULL;) {
        stream_run_free(st, EL_CONTAINER(n, struct stream_run, link));
    }
    if (w->inputs != NULL && w->merge == NULL && !w->listing && (st->failed || st->stopping)) {
        merge_end(st);
    }
}

static bool is_for_want_of_room(int code)
{
    return code == EVLOG_ERR_NO_SPACE || code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_NO_FILES ||
           code == EVLOG_ERR_FULL;
}

static void work_on_done(struct io_op *op)
{
    struct streams *st = EL_CONTAINER(op, struct streams, work.op);
    OBJ_CHECK(st, STREAMS);
    struct stream_work *w = &st->work;
    enum stream_job job = w->job;
    int code = (int)op->result;
    w->job = STREAM_JOB_NONE;
    st->ops--;
    if (job == STREAM_JOB_SAVE) {
        save_free(st);
    }
    if (code < 0 && job == STREAM_JOB_MERGE) {
        merge_end(st);
    }
    if (code < 0 && is_for_want_of_room(code)) {
        wait_for_room(st, code);
        return;
    }
    if (code < 0) {
        streams_fail(st, code, "%s", w->error.text[0] != 0 ? w->error.text : "an index file cannot be written");
        stream_work_go(st);
        return;
    }
    w->complained = false;
    switch (job) {
    case STREAM_JOB_WRITE:
        w->task = code == 0 ? STREAM_TASK_LIST : STREAM_TASK_WRITE;
        break;
    case STREAM_JOB_SAVE:
        saved(st);
        break;
    case STREAM_JOB_MERGE:
        w->merged = code == 0;
        break;
    case STREAM_JOB_CLEAN:
        cleaned(st);
        break;
    case STREAM_JOB_NONE:
        break;
    }
    stream_work_go(st);
}

static void work_job(struct streams *st, enum stream_job job, io_job_fn run)
{
    struct stream_work *w = &st->work;
    EL_ASSERT(w->job == STREAM_JOB_NONE);
    w->job = job;
    w->error.text[0] = 0;
    w->op.done = work_on_done;
    st->ops++;
    io_job(st->io, &w->op, IO_JOB_COMPUTE, run, st);
}

/* The table's way. returns false when nothing is to be done for it now */
static bool flush_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    int code = 0;
    if (w->task == STREAM_TASK_NONE && st->want_flush && st->view.active != NULL && is_behind(st)) {
        code = stream_work_freeze(st);
        if (code != 0) {
            wait_for_room(st, code);
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
        code = save_go(st, &w->run_info, 0, 0);
        if (code != 0) {
            wait_for_room(st, code);
        }
        return true;
    case STREAM_TASK_HEADS:
        flush_end(st);
        return true;
    }
    return false;
}

static void merge_go(struct streams *st)
{
    struct stream_work *w = &st->work;
    uint32_t first = 0, count = 0;
    if (w->inputs == NULL) {
        if (!merge_choose(st, &first, &count)) {
            return;
        }
        if (!merge_begin(st, first, count)) {
            wait_for_room(st, EVLOG_ERR_NO_MEMORY);
            return;
        }
    }
    if (!w->merged) {
        work_job(st, STREAM_JOB_MERGE, merge_run);
    } else if (merge_save(st) != 0) {
        wait_for_room(st, EVLOG_ERR_NO_MEMORY);
    }
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
    if (!st->failed && w->listing) {
        merge_go(st);
        return;
    }
    if (!st->failed && flush_go(st)) {
        return;
    }
    if (clean_wanted(st)) {
        el_list_splice_back(&w->closed, &w->closing);
        work_job(st, STREAM_JOB_CLEAN, clean_run);
        return;
    }
    if (!st->failed && !st->stopping && w->task == STREAM_TASK_NONE) {
        merge_go(st);
    }
}

bool stream_work_idle(const struct streams *st)
{
    const struct stream_work *w = &st->work;
    return w->job == STREAM_JOB_NONE && (st->failed || (w->task == STREAM_TASK_NONE && !st->want_flush)) &&
           !clean_wanted(st);
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
    write_end(w);
    if (w->merge != NULL) {
        index_merge_close(w->merge);
    }
    if (w->inputs != NULL) {
        merge_end(st);
    }
    stream_runs_drop(st, w->save.set);
    el_list_splice_back(&w->closed, &w->closing);
    for (struct el_list *n; (n = el_list_pop_front(&w->closed)) != NULL;) {
        struct stream_run *run = EL_CONTAINER(n, struct stream_run, link);
        if (run->run.fd >= 0) {
            index_run_close(&run->run);
        }
        stream_run_free(st, run);
    }
    save_free(st);
    stream_table_destroy(w->old);
}
