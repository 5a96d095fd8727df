/* SPDX-License-Identifier: Apache-2.0
 *
 * A round on a shard.
 *
 *   1. every partition with something new gets its goal, and goes to those that make an object of their own or to
 *      those that share bundles
 *   2. first tasks of the root maker: segments made of what bundles hold; then one partition after the other is read
 *      (store_read()) into the load that is filled, segments first, then bundles. What memory holds is read and copied
 *      on the shard's own thread: a little at a time, each in a step of its own
 *   3. a load that is full goes to a job, while the other one is filled; a job that failed is tried again, after a
 *      while
 *   4. when nothing is left, or ROUND_OBJECTS_MAX objects are put, the root maker is answered
 *
 * When there is no memory to know more (archive_memory.c), only tasks are done.
 *
 * Fails: no memory for a load: what is there so far is the round, unless it is nothing, then it is waited for. A range
 * that cannot be read is said once; the partition stays where it is, and with it the time that the archive is complete
 * through.
 */
#include <archive/archiver_state.h>

#include <core/logger.h>
#include <inttypes.h>
#include <sys/mman.h>

#define READ_LEN_MEMORY (16u << 10) /* requests that came meanwhile are served between two reads */
#define READ_LEN_DISK (256u << 10)  /* by a job; only the copying is the shard's */
#define READ_LEN_MIN (4u << 10)
#define TASK_TRIES_MAX 5u      /* of a segment that takes the place of bundles: a later round tries again */
#define TOUCH_LEN (128u << 10) /* of one call: a shard gets the processor between two */
#define MOVES_LEN (256u << 10)
#define PARTS_LEN (256u << 10) /* of a load's list of parts */
#define GROW_ROOM (64u << 10)  /* for entries, beside a batch that is larger than a load's buffer */

/* --- loads -------------------------------------------------------------------------------------------------------- */

static const struct el_sm_state load_states[LOAD_STATES] = {
    [LOAD_FREE] = {"free", EL_SM_TO(LOAD_OPENING) | EL_SM_TO(LOAD_FILLING)},
    [LOAD_OPENING] = {"opening", EL_SM_TO(LOAD_FILLING) | EL_SM_TO(LOAD_FREE)},
    [LOAD_FILLING] = {"filling", EL_SM_TO(LOAD_PUTTING) | EL_SM_TO(LOAD_FREE)},
    [LOAD_PUTTING] = {"putting", EL_SM_TO(LOAD_WAITING) | EL_SM_TO(LOAD_FREE)},
    [LOAD_WAITING] = {"waiting", EL_SM_TO(LOAD_PUTTING) | EL_SM_TO(LOAD_FREE)},
};

static void load_check(const void *object, unsigned state)
{
    const struct archive_load *load = object;
    if (state == LOAD_FREE) {
        EL_ASSERT(load->pack.result == NULL);
        EL_ASSERT(load->buf == NULL);
        EL_ASSERT(load->parts == NULL);
    }
    if (state == LOAD_PUTTING) {
        EL_ASSERT((load->pack.task != NULL) != (load->pack.part_count > 0));
    }
}

static const struct el_sm_table load_sm = {"load", load_states, LOAD_STATES, load_check};

static void load_on_touched(struct io_op *op);
static void load_on_done(struct io_op *op);
static void load_on_retry(struct io_timer *timer);

void archiver_load_init(struct archiver *ar, struct archive_load *load)
{
    load->ar = ar;
    load->job.arg = load;
    load->retry.fire = load_on_retry;
    load->retry.arg = load;
    el_sm_init(&load->sm, &load_sm, LOAD_FREE);
}

static void load_begin(struct archive_load *load, enum el_pack_kind kind, enum load_state state)
{
    struct archiver *ar = load->ar;
    load->tries = 0;
    load->pack = (struct archive_pack_job){.bucket = ar->archive->cfg.bucket,
                                           .incarnation = ar->archive->begin.incarnation,
                                           .shard = ar->index,
                                           .kind = kind};
    el_sm_move(&load->sm, load, state);
}

/* Have the kernel put memory behind a load's pages, which takes longer than copying to them. Where it cannot do that by
 * one call the shard's copying does. */
static int64_t load_touch_run(struct disk *disk, void *arg)
{
    struct archive_load *load = arg;
    (void)disk;
    for (size_t pos = 0; pos < load->touch_len; pos += TOUCH_LEN) {
        (void)madvise(load->buf + pos, EL_MIN(load->touch_len - pos, (size_t)TOUCH_LEN), MADV_POPULATE_WRITE);
    }
    return 0;
}

/* Memory for batches, of which the first partition has `pending` bytes; returns false when there is none now. */
static bool load_open(struct archive_load *load, enum el_pack_kind kind, size_t buf_len, uint64_t pending)
{
    struct archiver *ar = load->ar;
    EL_ASSERT(load->sm.state == LOAD_FREE);
    EL_ASSERT(load->buf == NULL);
    load->buf = el_buddy_alloc(ar->buddy, buf_len);
    load->parts = el_buddy_alloc(ar->buddy, PARTS_LEN);
    if (load->buf == NULL || load->parts == NULL) {
        el_buddy_free(ar->buddy, load->buf);
        el_buddy_free(ar->buddy, load->parts);
        load->buf = NULL;
        load->parts = NULL;
        return false;
    }
    EL_ASSERT(ar->filling == NULL);
    load->buf_len = buf_len & ~(size_t)15;
    load->touch_len = (size_t)EL_MIN((uint64_t)buf_len, pending);
    load_begin(load, kind, LOAD_OPENING);
    load->pack.data = load->buf;
    load->pack.entries_end = (const struct read_entry *)(void *)(load->buf + load->buf_len);
    load->pack.parts = load->parts;
    load->job.done = load_on_touched;
    io_job(ar->io, &load->job, IO_JOB_ARCHIVE, load_touch_run, load);
    return true;
}

static void load_close(struct archive_load *load)
{
    struct archiver *ar = load->ar;
    io_timer_cancel(ar->io, &load->retry);
    el_buddy_free(ar->buddy, load->buf);
    el_buddy_free(ar->buddy, load->parts);
    load->buf = NULL;
    load->parts = NULL;
    el_sm_move(&load->sm, load, LOAD_FREE);
}

static void load_put(struct archive_load *load)
{
    el_sm_move(&load->sm, load, LOAD_PUTTING);
    load->job.done = load_on_done;
    io_job(load->ar->io, &load->job, IO_JOB_ARCHIVE, archive_pack_run, &load->pack);
}

/* What it takes is of no use. */
static void load_drop(struct archive_load *load)
{
    archive_result_free(load->pack.result);
    load->pack.result = NULL;
    load_close(load);
}

static void load_submit(struct archiver *ar, struct archive_load *load)
{
    EL_ASSERT(load != ar->filling);
    EL_ASSERT(ar->in_round);
    ar->objects += load->pack.task == NULL;
    if (load->pack.kind == EL_PACK_BUNDLE) {
        load->pack.sequence = ar->bundle_next++;
    }
    load_put(load);
}

static void load_on_retry(struct io_timer *timer)
{
    struct archive_load *load = timer->arg;
    load_put(load);
}

static void load_on_touched(struct io_op *op)
{
    struct archive_load *load = op->arg;
    EL_ASSERT(load->sm.state == LOAD_OPENING);
    EL_ASSERT(load == load->ar->filling);
    el_sm_move(&load->sm, load, LOAD_FILLING);
    if (load->ar->ended) {
        load->ar->filling = NULL;
        load_drop(load);
    }
    archiver_round_go(load->ar);
}

static void load_on_done(struct io_op *op)
{
    struct archive_load *load = op->arg;
    struct archiver *ar = load->ar;
    int code = (int)op->result;
    EL_ASSERT(load->sm.state == LOAD_PUTTING);
    EL_ASSERT(load != ar->filling);
    if (code == 0) {
        EL_ASSERT(load->pack.result != NULL);
        EL_ASSERT(load->pack.result->next == NULL);
        metrics_add(ar->metrics, METRIC_ARCHIVE_PUTS, 1);
        metrics_add(ar->metrics, METRIC_ARCHIVE_PUT_BYTES, (int64_t)load->pack.result->object.len);
        archive_refused(ar, 0, NULL);
        load->pack.result->next = ar->results;
        ar->results = load->pack.result;
        load->pack.result = NULL;
        load_close(load);
        archiver_round_go(ar);
        return;
    }
    metrics_add(ar->metrics, METRIC_ARCHIVE_ERRORS, 1);
    if (ar->ended || !archive_retriable(code)) {
        if (!ar->ended && code != EVLOG_ERR_CLOSED) {
            archive_fail(ar->archive, "%s", load->pack.err.text);
        }
        load_drop(load);
        archiver_round_go(ar);
        return;
    }
    if (load->pack.task != NULL && load->tries == TASK_TRIES_MAX) {
        el_log(EL_LOG_ERROR, "archive", "a segment is not made of bundles now, which stay: %s", load->pack.err.text);
        load_drop(load);
        archiver_round_go(ar);
        return;
    }
    archive_refused(ar, code, load->pack.err.text);
    if (load->tries == 0) {
        el_log(EL_LOG_WARN, "archive", "shard %" PRIu32 ": %s; it is tried again", ar->index, load->pack.err.text);
    }
    el_sm_move(&load->sm, load, LOAD_WAITING);
    io_timer_set(ar->io, &load->retry, ar->io->now_ns + archive_backoff_ns(ar->archive, ar->io, load->tries++, code));
}

void archiver_loads_stop(struct archiver *ar)
{
    for (uint32_t i = 0; i < LOADS; i++) {
        struct archive_load *load = &ar->loads[i];
        if (load->sm.state == LOAD_WAITING || (load->sm.state == LOAD_FILLING && ar->reading == NULL)) {
            ar->filling = load == ar->filling ? NULL : ar->filling;
            load_drop(load);
        }
    }
    while (ar->results != NULL) {
        struct archive_result *result = ar->results;
        ar->results = result->next;
        archive_result_free(result);
    }
}

bool archiver_loads_idle(const struct archiver *ar)
{
    bool idle = ar->reading == NULL && ar->filling == NULL;
    for (uint32_t i = 0; i < LOADS; i++) {
        idle = idle && ar->loads[i].sm.state == LOAD_FREE;
    }
    return idle;
}

/* --- filling ------------------------------------------------------------------------------------------------------ */

/* Bytes between the batches and their entries. */
static size_t load_room(const struct archive_load *load)
{
    EL_ASSERT(load->pack.data_len + load->pack.entry_count * sizeof(struct read_entry) <= load->buf_len);
    return load->buf_len - load->pack.data_len - load->pack.entry_count * sizeof(struct read_entry);
}

/* The load that takes batches of a kind; NULL: none is free, or there is no memory. */
static struct archive_load *load_of(struct archiver *ar, enum el_pack_kind kind, size_t len, uint64_t pending)
{
    for (uint32_t i = 0; i < LOADS && ar->filling == NULL; i++) {
        if (ar->loads[i].sm.state == LOAD_FREE && load_open(&ar->loads[i], kind, len, pending)) {
            ar->filling = &ar->loads[i];
        }
    }
    return ar->filling;
}

static struct load_part *load_part_of(struct archive_load *load, const struct archive_part *ap, uint64_t leaf)
{
    struct archive_pack_job *pack = &load->pack;
    struct load_part *last = pack->part_count == 0 ? NULL : &load->parts[pack->part_count - 1];
    if (last != NULL && last->number == ap->number && el_uuid_eq(&last->topic_id, &ap->topic_id)) {
        return last;
    }
    EL_ASSERT(pack->part_count < PARTS_LEN / sizeof(struct load_part));
    last = &load->parts[pack->part_count++];
    *last = (struct load_part){
        .topic_id = ap->topic_id, .number = ap->number, .first_entry = pack->entry_count, .first_leaf = leaf};
    return last;
}

/* Copy what fits of a read and lies below end. returns how many batches; *next: behind the last one */
static uint32_t load_take(struct archive_load *load, const struct archive_part *ap, const struct read_op *op,
                          uint64_t leaf, int64_t end, int64_t *next)
{
    struct archive_pack_job *pack = &load->pack;
    struct read_entry *back = (struct read_entry *)(void *)(load->buf + load->buf_len);
    uint32_t taken = 0;
    EL_ASSERT(load->sm.state == LOAD_FILLING);
    for (; taken < op->entry_count; taken++) {
        const struct read_entry *e = &op->entries[taken];
        const uint8_t *batch = op->data + e->pos;
        if (load_room(load) < e->len + sizeof(*e) || el_batch_base_offset(batch) >= end) {
            break;
        }
        EL_ASSERT(el_batch_last_offset(batch) >= *next);
        struct load_part *lp = load_part_of(load, ap, leaf);
        struct read_entry *out = &back[-1 - (ptrdiff_t)pack->entry_count];
        *out = *e;
        out->pos = (uint32_t)pack->data_len;
        memcpy(load->buf + pack->data_len, batch, e->len);
        pack->data_len += e->len;
        pack->entry_count++;
        lp->count++;
        EL_ASSERT(lp->first_entry + lp->count == pack->entry_count); /* a part's entries are one run */
        *next = el_batch_last_offset(batch) + 1;
    }
    EL_ASSERT((uint8_t *)(back - pack->entry_count) >= load->buf + pack->data_len);
    return taken;
}

/* --- what is new in the archive ----------------------------------------------------------------------------------- */

/* Its turn is over: it stays dirty until a root has covered it. */
static void part_done(struct archive_part *ap)
{
    el_list_remove(&ap->todo_link);
    el_list_push_back(&ap->ar->dirty, &ap->todo_link);
}

/* May batches of the partition go into the load? */
static bool load_takes(const struct archive_load *load, enum el_pack_kind kind, const struct archive_part *ap)
{
    uint32_t count = load->pack.part_count;
    const struct load_part *last = count == 0 ? NULL : &load->parts[count - 1];
    bool same = last != NULL && last->number == ap->number && el_uuid_eq(&last->topic_id, &ap->topic_id);
    bool room = kind == EL_PACK_SEGMENT ? count == 0 : count < PARTS_LEN / sizeof(struct load_part);
    return load->pack.kind == kind && (same || room);
}

static void part_unreadable(struct archive_part *ap, int code)
{
    bool passes = code == EVLOG_ERR_UNKNOWN_TOPIC || code == EVLOG_ERR_NO_MEMORY || code == EVLOG_ERR_CLOSED;
    if (!ap->unreadable && !passes) {
        ap->unreadable = true;
        el_log(EL_LOG_ERROR, "archive",
               "partition %d: offset %" PRId64
               " cannot be read (%s), so nothing from there on is archived, and the disk "
               "keeps it; see evlogd --repair --check",
               ap->number, ap->next, evlog_error_text(code));
    }
}

/* What is in the load becomes an object. */
static void load_end(struct archiver *ar)
{
    struct archive_load *load = ar->filling;
    EL_ASSERT(ar->reading == NULL);
    ar->filling = NULL;
    if (load->pack.part_count > 0) {
        load_submit(ar, load);
    } else {
        load_drop(load);
    }
}

/* Log starts for the next manifest. */
static bool moves_have_room(struct archiver *ar)
{
    if (ar->moves == NULL) {
        ar->moves = el_buddy_alloc(ar->buddy, MOVES_LEN);
    }
    return ar->moves != NULL && ar->move_count < MOVES_LEN / sizeof(struct archive_move);
}

static void move_add(struct archiver *ar, struct archive_part *ap, int64_t log_start)
{
    EL_ASSERT(ar->move_count < MOVES_LEN / sizeof(struct archive_move));
    ar->moves[ar->move_count++] = (struct archive_move){
        .topic_id = ap->topic_id, .number = ap->number, .log_start = log_start};
    ap->log_start = log_start;
}

/* The root that covers a gap says why there is one: else what is made from the archive begins before it, and has a
 * hole. */
static void note_gap(struct archiver *ar, struct archive_part *ap, int64_t log_start)
{
    for (uint32_t i = 0; i < ar->move_count; i++) {
        struct archive_move *m = &ar->moves[i];
        if (m->number == ap->number && el_uuid_eq(&m->topic_id, &ap->topic_id)) {
            m->log_start = ap->log_start = log_start;
            return;
        }
    }
    if (moves_have_room(ar)) {
        move_add(ar, ap, log_start);
    }
}

static void on_part_read(struct archiver *ar, struct archive_part *ap)
{
    struct archive_load *load = ar->filling;
    const struct read_op *op = &ar->read;
    int64_t next = ap->next;
    if (op->base.error == EVLOG_ERR_OFFSET_RANGE) {
        struct tier_view view;
        store_tier_view(ap->part, &view);
        if (view.log_start > ap->next) {
            ap->next = view.log_start; /* deleted before it was archived: a gap */
            note_gap(ar, ap, view.log_start);
            return;
        }
    }
    if (op->base.error != 0) {
        part_unreadable(ap, op->base.error);
        part_done(ap);
        return;
    }
    ap->unreadable = false;
    uint32_t taken = load_take(load, ap, op, ap->leaf, INT64_MAX, &next);
    if (taken > 0) {
        EL_ASSERT(next > ap->next);
        ap->leaf += taken;
        ap->next = ap->object_end = next;
    }
    if (taken < op->entry_count && load->pack.part_count == 0) { /* one batch larger than the buffer */
        ar->grow_len = op->entries[0].len + GROW_ROOM;
        load_end(ar);
        return;
    }
    if (taken < op->entry_count) {
        load_end(ar);
        if (store_tier_pending(ap->part, ap->next) < ar->load_len) { /* the rest shares a bundle */
            el_list_remove(&ap->todo_link);
            el_list_push_back(&ar->small, &ap->todo_link);
        }
        return;
    }
    ap->next = EL_MAX(ap->next, op->next_offset); /* what is between was compacted */
    if (op->entry_count == 0) {
        part_done(ap);
    }
}

/* --- segments in place of bundles --------------------------------------------------------------------------------- */

/* Begin the next of this shard's tasks. returns false when there is none, or no load for it */
static bool task_begin(struct archiver *ar)
{
    uint32_t index = ar->task_next * ar->archive->shard_count + ar->index;
    if (index >= ar->told.task_count) {
        return false;
    }
    for (uint32_t i = 0; i < LOADS; i++) {
        struct archive_load *load = &ar->loads[i];
        if (load->sm.state == LOAD_FREE) {
            ar->task_next++;
            load_begin(load, EL_PACK_SEGMENT, LOAD_FILLING);
            load->pack.task = &ar->told.tasks[index];
            load_submit(ar, load);
            return true;
        }
    }
    return false;
}

/* --- reads -------------------------------------------------------------------------------------------------------- */

static void on_read(struct store_op *base)
{
    struct archiver *ar = base->arg;
    struct archive_part *ap = ar->reading;
    OBJ_CHECK(ar, ARCHIVER);
    EL_ASSERT(ap != NULL);
    EL_ASSERT(ap->held);
    EL_ASSERT(ar->filling != NULL);
    ar->reading = NULL;
    ar->from_disk = !ar->looping; /* memory is read at once; the next read is alike */
    ap->held = false;
    if (ar->ended) {
        load_drop(ar->filling);
        ar->filling = NULL;
    }
    if (ap->part == NULL) {
        archiver_part_free(ap); /* deleted meanwhile; what is in the load of it stays */
    } else if (!ar->ended) {
        on_part_read(ar, ap);
    }
    store_read_release(&ar->read);
    io_timer_set(ar->io, &ar->go_timer, ar->io->now_ns + 1); /* not in this step */
}

void archiver_on_go(struct io_timer *timer)
{
    struct archiver *ar = timer->arg;
    archiver_round_go(ar);
}

static void read_begin(struct archiver *ar, struct archive_part *ap, int64_t offset)
{
    size_t room = load_room(ar->filling), most = ar->from_disk ? READ_LEN_DISK : READ_LEN_MEMORY;
    EL_ASSERT(ar->reading == NULL);
    EL_ASSERT(!ap->held);
    EL_ASSERT(ap->part != NULL);
    ar->reading = ap;
    ap->held = true;
    ar->read = (struct read_op){.base = {.done = on_read, .arg = ar},
                                .topic_id = ap->topic_id,
                                .partition = ap->number,
                                .offset = offset,
                                .max_bytes = (uint32_t)EL_MIN(EL_MAX(room, (size_t)READ_LEN_MIN), most),
                                .at_least_one = true,
                                .want_entries = true,
                                .for_archive = true,
                                .current_leader_epoch = -1,
                                .last_fetched_epoch = -1};
    store_read(ar->shard, &ar->read);
}

/* --- the round ---------------------------------------------------------------------------------------------------- */

/* A part with nothing more to read; storage is told of gaps behind all that there is. */
static void part_settle(struct archive_part *ap, const struct tier_view *view)
{
    if (ap->signed_end < ap->object_end) {
        return; /* when the root covers it */
    }
    if (ap->next > ap->signed_end && ap->next <= view->durable_end) {
        ap->signed_end = ap->object_end = ap->next;
        store_tier_archived(ap->part, ap->next, ap->next);
    }
    store_tier_settled(ap->part);
    store_tier_view(ap->part, (struct tier_view *)(uintptr_t)view);
    if (view->durable_end <= ap->next) {
        el_list_remove(&ap->todo_link);
    }
}

static void note_moves(struct archiver *ar)
{
    ar->move_count = 0;
    bool recent = ar->io->now_ns - ar->moves_ns < ar->archive->cfg.lag_ms * 1000000 / 2;
    if (recent && !ar->archive->moves_due) {
        return;
    }
    ar->moves_ns = ar->io->now_ns;
    EL_LIST_EACH(n, &ar->parts) {
        struct archive_part *ap = EL_CONTAINER(n, struct archive_part, link);
        struct tier_view view;
        if (ap->part == NULL || !moves_have_room(ar)) {
            continue;
        }
        store_tier_view(ap->part, &view);
        if (view.log_start != ap->log_start) {
            move_add(ar, ap, view.log_start);
        }
    }
}

void archiver_round_begin(struct archiver *ar)
{
    struct el_list dirty;
    bool full = atomic_load(&ar->archive->full); /* changes between rounds only */
    EL_ASSERT(!ar->in_round);
    EL_ASSERT(archiver_loads_idle(ar));
    EL_ASSERT(ar->results == NULL);
    ar->in_round = true;
    ar->more = false;
    ar->objects = 0;
    ar->task_next = 0;
    if (ar->unentered) {
        archiver_walk(ar);
    }
    note_moves(ar);
    el_list_init(&dirty);
    el_list_splice_back(&dirty, &ar->dirty);
    for (struct el_list *n; (n = el_list_pop_front(&dirty)) != NULL;) {
        struct archive_part *ap = EL_CONTAINER(n, struct archive_part, todo_link);
        struct tier_view view;
        store_tier_view(ap->part, &view);
        if (ar->archive->new_goal) {
            ap->goal = view.durable_end;
        }
        bool big = store_tier_pending(ap->part, ap->next) >= ar->load_len;
        if (view.durable_end > ap->next && full) {
            el_list_push_back(&ar->dirty, &ap->todo_link);
        } else if (view.durable_end > ap->next) {
            el_list_push_back(big ? &ar->big : &ar->small, &ap->todo_link);
        } else {
            el_list_push_back(&ar->dirty, &ap->todo_link);
            part_settle(ap, &view);
        }
    }
    archiver_round_go(ar);
}

/* Marks of the redaction that is under way, and that no object has yet: until a root covers them, the archive does not
 * say that anything was redacted, and a disk from before would bring it back. */
static bool marks_left(const struct archiver *ar)
{
    const struct archive_redaction_job *r = &ar->archive->redaction_job;
    bool left = ar->unentered;
    EL_LIST_EACH(n, &ar->dirty) {
        const struct archive_part *ap = EL_CONTAINER(n, struct archive_part, todo_link);
        if (ap->number == r->partition && el_uuid_eq(&ap->topic_id, &r->topic_id)) {
            struct tier_view view;
            store_tier_view(ap->part, &view);
            left = left || ap->next < EL_MIN(r->end_offset, view.durable_end);
        }
    }
    return left;
}

/* The cut is reached when nothing dirty has anything below its goal that is in no object. */
static void round_end(struct archiver *ar)
{
    ar->reached = !ar->unentered;
    EL_LIST_EACH(n, &ar->dirty) {
        const struct archive_part *ap = EL_CONTAINER(n, struct archive_part, todo_link);
        ar->reached = ar->reached && ap->next >= ap->goal;
    }
    ar->marks_left = ar->archive->redacting && marks_left(ar);
    EL_ASSERT(ar->in_round);
    EL_ASSERT(el_list_empty(&ar->big));
    EL_ASSERT(el_list_empty(&ar->small));
    ar->in_round = false;
    archiver_answer(ar);
}

static void round_leave(struct archiver *ar)
{
    ar->more = ar->more || !el_list_empty(&ar->big) || !el_list_empty(&ar->small);
    el_list_splice_back(&ar->dirty, &ar->big);
    el_list_splice_back(&ar->dirty, &ar->small);
}

/* Begin the next read or job. returns false when there is nothing to begin now */
static bool round_step(struct archiver *ar)
{
    bool big = !el_list_empty(&ar->big);
    enum el_pack_kind kind = big ? EL_PACK_SEGMENT : EL_PACK_BUNDLE;
    struct el_list *list = big ? &ar->big : &ar->small;
    if (ar->filling == NULL && ar->objects >= ROUND_OBJECTS_MAX) {
        round_leave(ar);
        return false;
    }
    if (ar->filling == NULL && task_begin(ar)) {
        return true;
    }
    if (el_list_empty(list)) {
        if (ar->filling != NULL) {
            load_end(ar);
        }
        return false;
    }
    struct archive_part *ap = EL_CONTAINER(list->next, struct archive_part, todo_link);
    if (ar->filling != NULL && !load_takes(ar->filling, kind, ap)) {
        load_end(ar);
        return true;
    }
    uint64_t pending = store_tier_pending(ap->part, ap->next);
    const struct archive_load *load = load_of(ar, kind, EL_MAX(ar->load_len, ar->grow_len), pending);
    if (load == NULL) {
        if (archiver_loads_idle(ar)) { /* no memory: in the next round */
            round_leave(ar);
        }
        return false;
    }
    ar->grow_len = 0;
    if (load->sm.state == LOAD_FILLING) {
        read_begin(ar, ap, ap->next);
    }
    return true;
}

/* The load that is filled is read into, opened, or its next step is to come. */
static bool filling_waits(const struct archiver *ar)
{
    return ar->reading != NULL || ar->go_timer.heap_index != 0 ||
           (ar->filling != NULL && ar->filling->sm.state == LOAD_OPENING);
}

void archiver_round_go(struct archiver *ar)
{
    if (!ar->in_round || ar->looping || filling_waits(ar)) {
        return;
    }
    ar->looping = true;
    bool going = !ar->ended;
    while (going && !filling_waits(ar)) {
        going = round_step(ar);
    }
    ar->looping = false;
    if (filling_waits(ar)) {
        return;
    }
    bool left = !el_list_empty(&ar->big) || !el_list_empty(&ar->small);
    if (ar->ended || (!left && archiver_loads_idle(ar))) {
        round_leave(ar);
        round_end(ar);
    }
}
