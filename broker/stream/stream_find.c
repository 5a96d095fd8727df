/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the events of a stream are, or those of a type.
 *
 *   1. at the owner, once the partition is caught up: the newest event and the newest tombstone below the high
 *      watermark, by the tables, else by a job that looks into the runs. It also finds the first version that the log
 *      still has, when its start is above 0
 *   2. what a reader may see follows: behind the last tombstone, at most max.count, not below the log's start
 *   3. places of that range: the tables have the newest of them, a job finds the rest in the runs. Both are of one
 *      moment: when a table becomes a run, the one goes as the other comes
 *
 * All of it is below the high watermark that the question found, so that a crash takes nothing back.
 */
#include <stream/stream_state.h>

struct find {
    struct io_message message; /* way home */
    struct streams *st;
    struct stream_find_op *op;
    struct io_op job;
    struct stream_part *sp;
    struct stream_run_set *runs;
    int64_t high_watermark, log_start;
    bool has_head, has_tomb, has_kept;
    bool wants_head, wants_tomb, wants_kept; /* of the runs */
    struct el_stream_entry head, tomb;
    uint64_t kept; /* first version at or above the log's start */
    uint64_t low, high;
    bool covered;                /* the tables have all of the range */
    uint32_t memory_count;       /* entries of the tables, from 0 on */
    uint32_t run_count;          /* of the runs, behind them */
    uint32_t room;               /* of entries, for each of both */
    struct stream_place *places; /* [room] */
    struct el_stream_entry entries[];
};

EL_STATIC_ASSERT(sizeof(void *) * 2 <= sizeof(((struct stream_find_op *)0)->private_), "owner and block");

static struct streams **op_owner(struct stream_find_op *op)
{
    return (struct streams **)&op->private_[0];
}

static void find_end(struct find *f, int error)
{
    struct streams *st = f->st;
    struct stream_find_op *op = f->op;
    EL_ASSERT(f->runs == NULL);
    EL_ASSERT(st->ops > 0);
    stream_part_unpin(f->sp);
    st->ops--;
    if (error != 0) {
        op->count = 0;
        op->places = NULL;
    }
    stream_ask_end(st, &op->base, error);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

static bool table_newest(const struct stream_table *table, uint32_t slot, struct el_hash128 hash, bool of_type,
                         int64_t high_watermark, struct el_stream_entry *entry)
{
    struct el_stream_entry page[STREAM_PAGE];
    uint64_t high = UINT64_MAX;
    uint32_t count = STREAM_PAGE;
    while (table != NULL && count == STREAM_PAGE) {
        count = stream_table_find(table, slot, hash, 0, high, true, page, STREAM_PAGE);
        for (uint32_t i = 0; i < count; i++) {
            if (stream_entry_offset(&page[i], of_type) < high_watermark) {
                *entry = page[i];
                return true;
            }
        }
        if (count == 0 || page[count - 1].position == 0) {
            break;
        }
        high = page[count - 1].position - 1;
    }
    return false;
}

bool stream_tables_newest(const struct stream_view *view, uint32_t slot, struct el_hash128 hash, bool of_type,
                          int64_t high_watermark, struct el_stream_entry *entry)
{
    return table_newest(view->active, slot, hash, of_type, high_watermark, entry) ||
           table_newest(view->frozen, slot, hash, of_type, high_watermark, entry);
}

/* --- the first version that the log has --------------------------------------------------------------------------- */

/* Where versions are: a table or a run. Those of one stream follow one another without a gap. */
struct source {
    const struct stream_table *table;
    const struct index_run *run;
};

static int source_find(const struct source *s, const struct find *f, uint64_t low, uint64_t high, bool descending,
                       struct el_stream_entry *entry, bool *found)
{
    uint32_t count = 0;
    int code = 0;
    if (s->table != NULL) {
        count = stream_table_find(s->table, f->sp->slot, f->op->hash, low, high, descending, entry, 1);
    } else {
        code = index_run_find(s->run, f->sp->slot, f->op->hash, low, high, descending, entry, 1, &count);
    }
    *found = count > 0;
    return code;
}

/* The first version of a source whose event is at or above the log's start. */
static int source_kept(const struct source *s, const struct find *f, uint64_t *version, bool *found)
{
    struct el_stream_entry entry;
    int code = source_find(s, f, 0, UINT64_MAX, true, &entry, found);
    if (code != 0 || !*found || stream_place_offset(entry.place) < f->log_start) {
        *found = false;
        return code;
    }
    uint64_t low = 0, high = entry.position;
    code = source_find(s, f, 0, UINT64_MAX, false, &entry, found);
    low = entry.position;
    while (code == 0 && *found && low < high) {
        uint64_t mid = low + (high - low) / 2;
        code = source_find(s, f, mid, mid, false, &entry, found);
        if (stream_place_offset(entry.place) < f->log_start) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *version = low;
    return code != 0 ? code : *found ? 0 : EVLOG_ERR_CORRUPT;
}

static int tables_kept(struct find *f)
{
    const struct stream_view *view = &f->st->view;
    struct source frozen = {.table = view->frozen}, active = {.table = view->active};
    int code = view->frozen == NULL ? 0 : source_kept(&frozen, f, &f->kept, &f->has_kept);
    if (code == 0 && !f->has_kept) {
        code = source_kept(&active, f, &f->kept, &f->has_kept);
    }
    return code;
}

/* --- places ------------------------------------------------------------------------------------------------------- */

static void tables_gather(struct find *f)
{
    const struct stream_view *view = &f->st->view;
    bool backward = f->op->backward;
    const struct stream_table *tables[2] = {backward ? view->active : view->frozen,
                                            backward ? view->frozen : view->active};
    f->memory_count = 0;
    for (int i = 0; i < 2; i++) {
        if (tables[i] != NULL && f->memory_count < f->room) {
            f->memory_count += stream_table_find(tables[i], f->sp->slot, f->op->hash, f->low, f->high, backward,
                                                 f->entries + f->memory_count, f->room - f->memory_count);
        }
    }
    EL_ASSERT(f->memory_count <= f->room);
}

static int64_t gather_run(struct disk *disk, void *arg)
{
    struct find *f = arg;
    const struct stream_find_op *op = f->op;
    uint32_t room = op->backward ? f->room - f->memory_count : f->room;
    (void)disk;
    f->run_count = 0;
    for (uint32_t i = 0; i < f->runs->count && f->run_count < room; i++) {
        uint32_t at = op->backward ? i : f->runs->count - 1 - i;
        const struct index_run *run = &f->runs->runs[at]->run;
        uint32_t count = 0;
        if (!index_run_may_hold(run, f->sp->slot, op->hash)) {
            continue;
        }
        int code = index_run_find(run, f->sp->slot, op->hash, f->low, f->high, op->backward,
                                  f->entries + f->room + f->run_count, room - f->run_count, &count);
        if (code != 0) {
            return code;
        }
        f->run_count += count;
        EL_ASSERT(f->run_count <= room);
    }
    return 0;
}

static void place_add(struct find *f, const struct el_stream_entry *entry)
{
    struct stream_find_op *op = f->op;
    int64_t offset = stream_entry_offset(entry, op->of_type);
    if (op->count < f->room && offset < f->high_watermark && offset >= f->log_start) {
        f->places[op->count++] = (struct stream_place){.version = op->of_type ? -1 : (int64_t)entry->position,
                                                       .offset = offset};
    }
}

static void answer(struct find *f)
{
    struct stream_find_op *op = f->op;
    const struct el_stream_entry *memory = f->entries, *runs = f->entries + f->room;
    op->count = 0;
    for (uint32_t i = 0; op->backward && i < f->memory_count; i++) {
        place_add(f, &memory[i]);
    }
    for (uint32_t i = 0; i < f->run_count; i++) {
        place_add(f, &runs[i]);
    }
    for (uint32_t i = 0; !op->backward && i < f->memory_count; i++) {
        place_add(f, &memory[i]);
    }
    op->places = op->count > 0 ? f->places : NULL;
    bool whole = op->of_type || op->raw || op->count == (f->low > f->high ? 0 : f->high - f->low + 1) ||
                 f->log_start < store_observed_log_start(f->sp->part);
    find_end(f, whole ? 0 : EVLOG_ERR_CORRUPT);
}

static void gather_on_done(struct io_op *job)
{
    struct find *f = EL_CONTAINER(job, struct find, job);
    int error = (int)job->result;
    EL_ASSERT(f->runs != NULL);
    stream_runs_drop(f->st, f->runs);
    f->runs = NULL;
    if (error != 0) {
        streams_fail(f->st, error, "an index file cannot be read");
        error = EVLOG_ERR_STORAGE;
    }
    if (error == 0 && f->sp->part == NULL) {
        error = EVLOG_ERR_UNKNOWN_TOPIC;
    }
    if (error != 0) {
        find_end(f, error);
    } else {
        answer(f);
    }
}

/* --- what may be seen --------------------------------------------------------------------------------------------- */

static void range_of_stream(struct find *f)
{
    struct stream_find_op *op = f->op;
    int64_t count_max = store_observed_setting(f->sp->part, TOPIC_STREAM_MAX_COUNT);
    op->last_version = op->last_offset = -1;
    op->first_version = 0;
    f->low = 1;
    f->high = 0;
    if (!f->has_head) {
        return;
    }
    op->last_version = (int64_t)f->head.position;
    op->last_offset = stream_place_offset(f->head.place);
    op->ended = (f->head.place & STREAM_PLACE_HARD) != 0;
    op->deleted = (f->head.place & STREAM_PLACE_SOFT) != 0;
    if (f->has_tomb) {
        op->first_version = (int64_t)f->tomb.position + 1;
    }
    if (count_max >= 0 && count_max <= op->last_version) {
        op->first_version = EL_MAX(op->first_version, op->last_version + 1 - count_max);
    }
    if (f->log_start > 0) {
        int64_t kept = f->has_kept ? (int64_t)f->kept : op->last_version + 1;
        op->first_version = EL_MAX(op->first_version, kept);
    }
    int64_t from = op->from < 0 ? (op->backward ? op->last_version : op->first_version) : op->from;
    int64_t low = EL_MAX(from, op->first_version), high = op->last_version;
    if (op->backward) {
        high = EL_MIN(from, op->last_version);
        low = EL_MAX(op->first_version, high - (int64_t)f->room + 1);
    } else if (low <= high) {
        high = EL_MIN(high, low + (int64_t)f->room - 1);
    }
    if (low <= high) {
        f->low = (uint64_t)low;
        f->high = (uint64_t)high;
        EL_ASSERT(f->high - f->low < f->room); /* a page holds all of it */
    }
}

/* Whatever there is, which of tombstones is not every version. */
static void range_raw(struct find *f)
{
    struct stream_find_op *op = f->op;
    op->last_version = op->last_offset = -1;
    op->first_version = 0;
    f->low = 1;
    f->high = 0;
    if (!f->has_head) {
        return;
    }
    op->last_version = (int64_t)f->head.position;
    op->last_offset = stream_place_offset(f->head.place);
    f->low = op->backward || op->from < 0 ? 0 : (uint64_t)op->from;
    f->high = op->backward && op->from >= 0 ? EL_MIN((uint64_t)op->from, f->head.position) : f->head.position;
}

static void range_of_type(struct find *f)
{
    struct stream_find_op *op = f->op;
    int64_t low = f->log_start, high = f->high_watermark - 1;
    op->last_version = op->first_version = -1;
    op->last_offset = f->has_head ? (int64_t)f->head.position : -1;
    if (op->from >= 0) {
        low = op->backward ? low : EL_MAX(low, op->from);
        high = op->backward ? EL_MIN(high, op->from) : high;
    }
    f->low = low <= high ? (uint64_t)low : 1;
    f->high = low <= high ? (uint64_t)high : 0;
}

static void find_places(struct find *f)
{
    struct stream_find_op *op = f->op;
    struct streams *st = f->st;
    op->end_offset = f->high_watermark;
    if (op->of_type) {
        range_of_type(f);
    } else if (op->raw) {
        range_raw(f);
    } else {
        range_of_stream(f);
    }
    f->memory_count = f->run_count = 0;
    if (f->low > f->high) {
        answer(f);
        return;
    }
    tables_gather(f);
    bool all = op->of_type || op->raw ? op->backward && f->memory_count == f->room
                                      : f->memory_count == f->high - f->low + 1;
    if (all || !stream_runs_may_hold(st, f->sp->slot, op->hash)) {
        answer(f);
        return;
    }
    f->runs = stream_runs_hold(st);
    f->job.done = gather_on_done;
    io_job(st->io, &f->job, IO_JOB_COMPUTE, gather_run, f);
}

/* --- the newest --------------------------------------------------------------------------------------------------- */

/* Runs are asked oldest first, for what is older than the log's start lies there. */
static int runs_kept(struct find *f)
{
    bool found = false;
    for (uint32_t i = f->runs->count; i > 0 && !found; i--) {
        struct source s = {.run = &f->runs->runs[i - 1]->run};
        if (index_run_may_hold(s.run, f->sp->slot, f->op->hash)) {
            int code = source_kept(&s, f, &f->kept, &found);
            if (code != 0) {
                return code;
            }
        }
    }
    f->has_kept = f->has_kept || found;
    return 0;
}

static int64_t newest_run(struct disk *disk, void *arg)
{
    struct find *f = arg;
    int code = 0;
    (void)disk;
    if (f->wants_head) {
        code = stream_runs_newest(f->runs, f->sp->slot, f->op->hash, f->op->of_type, f->high_watermark, &f->head,
                                  &f->has_head);
    }
    if (f->wants_tomb && code == 0) {
        code = stream_runs_newest(f->runs, f->sp->slot, stream_hash_deleted(f->op->hash), false, f->high_watermark,
                                  &f->tomb, &f->has_tomb);
    }
    if (f->wants_kept && code == 0) {
        code = runs_kept(f);
    }
    return code;
}

static void newest_on_done(struct io_op *job)
{
    struct find *f = EL_CONTAINER(job, struct find, job);
    int error = (int)job->result;
    EL_ASSERT(f->runs != NULL);
    stream_runs_drop(f->st, f->runs);
    f->runs = NULL;
    if (error != 0) {
        streams_fail(f->st, error, "an index file cannot be read");
        error = EVLOG_ERR_STORAGE;
    }
    if (error == 0 && f->sp->part == NULL) {
        error = EVLOG_ERR_UNKNOWN_TOPIC;
    }
    if (error != 0) {
        find_end(f, error);
    } else {
        find_places(f);
    }
}

static void find_newest(struct find *f)
{
    struct streams *st = f->st;
    const struct stream_find_op *op = f->op;
    uint32_t slot = f->sp->slot;
    struct el_hash128 tomb = stream_hash_deleted(op->hash);
    f->has_head = stream_tables_newest(&st->view, slot, op->hash, op->of_type, f->high_watermark, &f->head);
    f->wants_head = !f->has_head && stream_runs_may_hold(st, slot, op->hash);
    if (!op->of_type && !op->raw) {
        f->has_tomb = stream_tables_newest(&st->view, slot, tomb, false, f->high_watermark, &f->tomb);
        f->wants_tomb = !f->has_tomb && stream_runs_may_hold(st, slot, tomb);
        f->wants_kept = f->log_start > 0 && stream_runs_may_hold(st, slot, op->hash);
    }
    int code = f->log_start > 0 && !op->of_type && !op->raw ? tables_kept(f) : 0;
    if (code != 0) {
        find_end(f, code);
        return;
    }
    if (f->wants_head || f->wants_tomb || f->wants_kept) {
        f->runs = stream_runs_hold(st);
        f->job.done = newest_on_done;
        io_job(st->io, &f->job, IO_JOB_COMPUTE, newest_run, f);
    } else {
        find_places(f);
    }
}

/* --- the op ------------------------------------------------------------------------------------------------------- */

static void find_run(struct store_op *base)
{
    struct stream_find_op *op = EL_CONTAINER(base, struct stream_find_op, base);
    struct streams *st = *op_owner(op);
    struct stream_part *sp = stream_ask_part(st, base, &op->topic_id, op->partition);
    if (sp == NULL) {
        return;
    }
    size_t entries_len = 2 * (size_t)op->count_max * sizeof(struct el_stream_entry);
    struct find *f = el_buddy_alloc(st->buddy, sizeof *f + entries_len + op->count_max * sizeof *f->places);
    if (f == NULL) {
        stream_ask_end(st, base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    memset(f, 0, sizeof *f);
    f->st = st;
    f->op = op;
    f->sp = sp;
    f->room = op->count_max;
    f->places = (struct stream_place *)(void *)((uint8_t *)f->entries + entries_len);
    f->high_watermark = store_observed_high_watermark(sp->part);
    f->log_start = store_observed_log_start(sp->part);
    op->private_[1] = f;
    sp->pins++;
    st->ops++;
    find_newest(f);
}

void streams_find(struct streams *st, struct stream_find_op *op)
{
    EL_ASSERT(op->count_max >= 1);
    EL_ASSERT(op->count_max <= STREAM_FIND_MAX);
    op->last_version = op->last_offset = op->first_version = op->end_offset = -1;
    op->deleted = op->ended = false;
    op->places = NULL;
    op->count = 0;
    op->private_[1] = NULL;
    stream_ask(st, &op->base, &op->topic_id, op->partition, op_owner(op), find_run);
}

static void block_home(struct io_message *message)
{
    struct find *f = EL_CONTAINER(message, struct find, message);
    el_buddy_free(f->st->buddy, f);
}

void streams_find_release(struct streams *st, struct stream_find_op *op)
{
    struct find *f = op->private_[1];
    op->private_[1] = NULL;
    op->places = NULL;
    if (f == NULL) {
        return;
    }
    if (f->st == st) {
        el_buddy_free(st->buddy, f);
        return;
    }
    f->message.run = block_home;
    io_post(f->st->io, &f->message);
}
