/* SPDX-License-Identifier: Apache-2.0
 *
 * Appends to partitions of topics with streams: what store_observer's functions do.
 *
 *   1. a partition that is not caught up with its log holds the append until it is
 *   2. stream_admit() decides. What memory cannot say is looked up by a job; later appends of the partition wait
 *   3. admitted: the entries are in the active table, with the offsets that the append is about to get. If it gets no
 *      room after all they are taken out again, before anything else happens
 *   4. a conflict or a duplicate is told when what it cites is durable
 *
 * Appends of evlog's own (emits, dead letters, copies) come without a stream_batch; it is made here, of what a shard
 * has built itself a moment ago.
 */
#include <stream/stream_state.h>

#include <core/logger.h>

/* The batch of an append of evlog's own, with what it takes. */
struct own_batch {
    struct el_arena arena;
    struct stream_batch batch;
};

static int own_make(struct streams *st, struct append_op *op)
{
    const char *why = "";
    if (op->info.codec != EL_CODEC_NONE) {
        return EVLOG_ERR_COMPRESSION; /* a shard does not decompress: who appends for evlog does not compress */
    }
    struct own_batch *own = el_buddy_alloc(st->buddy, sizeof *own);
    if (own == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(own, 0, sizeof *own);
    el_arena_init(&own->arena, st->buddy, 0);
    int code = stream_batch_make(&st->secret, op->batch, op->batch_len, NULL, 0, &own->arena, true, &own->batch, &why);
    if (code != 0) {
        el_arena_reset(&own->arena);
        el_buddy_free(st->buddy, own);
        return code;
    }
    op->observer_memory = own;
    op->observed = &own->batch;
    return 0;
}

static void own_free(struct streams *st, struct append_op *op)
{
    struct own_batch *own = op->observer_memory;
    if (own != NULL) {
        el_arena_reset(&own->arena);
        el_buddy_free(st->buddy, own);
        op->observer_memory = NULL;
        op->observed = NULL;
    }
}

/* --- lookups ------------------------------------------------------------------------------------------------------ */

/* Versions count events, so none is above its event's offset; and nothing lies behind what is noted of the log. */
static bool answer_is_sound(const struct stream_lookup *lookup, const struct el_stream_entry *entry, int64_t end_offset)
{
    uint64_t offset = lookup->of_id ? entry->position : (uint64_t)stream_place_offset(entry->place);
    uint64_t version = lookup->of_id ? entry->place : entry->position;
    return version <= offset && offset < (uint64_t)end_offset;
}

static int64_t resolve_run(struct disk *disk, void *arg)
{
    const struct stream_resolve *resolve = arg;
    (void)disk;
    for (uint32_t i = 0; i < resolve->count; i++) {
        struct stream_lookup *lookup = &resolve->lookups[i];
        struct el_stream_entry entry;
        int code = stream_runs_newest(resolve->runs, resolve->sp->slot, lookup->hash, false, INT64_MAX, &entry,
                                      &lookup->found);
        if (code == 0 && lookup->found && !answer_is_sound(lookup, &entry, resolve->end_offset)) {
            code = EVLOG_ERR_CORRUPT;
        }
        if (code != 0) {
            return code;
        }
        if (lookup->found) {
            lookup->position = entry.position;
            lookup->place = entry.place;
        }
    }
    return 0;
}

static void resolve_on_done(struct io_op *io_op)
{
    struct stream_resolve *resolve = EL_CONTAINER(io_op, struct stream_resolve, op);
    struct stream_part *sp = resolve->sp;
    struct streams *st = sp->st;
    int error = (int)io_op->result;
    bool orphan = resolve->append == NULL && resolve->orphan.private_ != NULL;
    EL_ASSERT(resolve->busy);
    resolve->busy = false;
    st->ops--;
    stream_runs_drop(st, resolve->runs);
    if (error != 0) {
        streams_fail(st, error, "an index file cannot be read");
    }
    if (orphan) {
        stream_admit_forget(&st->view, &resolve->orphan);
    }
    resolve->append = NULL;
    if (sp->catching != NULL && !orphan) {
        stream_catch_go(sp, error);
    } else if (sp->part != NULL) {
        store_observed_resume(sp->part);
    }
    stream_part_unpin(sp);
    stream_work_go(st);
}

void stream_resolve_start(struct stream_part *sp, struct append_op *append, struct stream_batch *batch)
{
    struct stream_resolve *resolve = &sp->resolve;
    struct streams *st = sp->st;
    EL_ASSERT(!resolve->busy);
    resolve->sp = sp;
    resolve->append = append;
    resolve->orphan.private_ = NULL;
    resolve->lookups = stream_admit_lookups(batch, &resolve->count);
    resolve->runs = stream_runs_hold(st);
    resolve->end_offset = sp->noted;
    resolve->op.done = resolve_on_done;
    resolve->busy = true;
    sp->pins++;
    st->ops++;
    io_job(st->io, &resolve->op, IO_JOB_COMPUTE, resolve_run, resolve);
}

/* --- the observer ------------------------------------------------------------------------------------------------- */

/* Wait for memory or another table. */
static int hold_starved(struct stream_part *sp)
{
    if (el_list_empty(&sp->wait_link)) {
        el_list_push_back(&sp->st->starved, &sp->wait_link);
    }
    streams_retry(sp->st);
    return STORE_HELD;
}

/* What the answer says of other events must be durable first. */
static void cite(const struct streams *st, const struct partition *part, struct append_op *op)
{
    bool durable = op->observed->cited < store_observed_high_watermark(part);
    op->sequence = durable ? 0 : store_last_sequence(st->shard);
}

static int answer_duplicate(const struct streams *st, const struct partition *part, struct append_op *op)
{
    const struct stream_batch *batch = op->observed;
    op->base_offset = batch->record_count > 0 ? batch->records[0].offset : -1;
    cite(st, part, op);
    metrics_add(st->metrics, METRIC_STREAM_DUPLICATES, 1);
    return STORE_ANSWERED;
}

static int refuse(const struct streams *st, const struct partition *part, struct append_op *op, int code)
{
    bool cites = code == EVLOG_ERR_WRONG_VERSION || code == EVLOG_ERR_ID_CONFLICT || code == EVLOG_ERR_STREAM_ENDED;
    if (cites) {
        cite(st, part, op);
        metrics_add(st->metrics, METRIC_STREAM_CONFLICTS, 1);
    }
    return code;
}

static int admit(struct stream_part *sp, struct partition *part, struct append_op *op)
{
    struct streams *st = sp->st;
    int64_t base_offset = store_observed_next_offset(part);
    EL_ASSERT(sp->noted == base_offset);
    if (base_offset > (int64_t)INDEX_POSITION_END - op->info.last_offset_delta - 1) {
        return EVLOG_ERR_CORRUPT; /* offsets that no log comes to, and no entry has room for */
    }
    int code = stream_admit(&st->view, sp->slot, base_offset, op->observed);
    if (code == EVLOG_ERR_FULL) {
        code = stream_work_freeze(st);
        code = code == 0 ? stream_admit(&st->view, sp->slot, base_offset, op->observed) : EVLOG_ERR_FULL;
    }
    switch (code) {
    case 0:
        sp->noted = base_offset + op->info.last_offset_delta + 1;
        return STORE_ADMITTED;
    case EVLOG_ERR_AGAIN:
        stream_resolve_start(sp, op, op->observed);
        return STORE_HELD;
    case EVLOG_ERR_FULL:
    case EVLOG_ERR_NO_MEMORY:
        return hold_starved(sp);
    case EVLOG_ERR_EXISTS:
        return answer_duplicate(st, part, op);
    default:
        return refuse(st, part, op, code);
    }
}

int stream_append_admit(void *arg, struct partition *part, struct append_op *op)
{
    struct streams *st = arg;
    OBJ_CHECK(st, STREAMS);
    struct stream_part *sp = stream_part_of(st, part);
    if (sp == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int code = streams_refusal(st, sp);
    if (code != 0) {
        return code;
    }
    if (sp->resolve.busy) { /* of an append that has ended meanwhile */
        return STORE_HELD;
    }
    if (sp->state != STREAM_PART_READY && st->stopping) {
        return EVLOG_ERR_CLOSED;
    }
    if (sp->catch_error == 0) {
        stream_catch_want(sp); /* which may end at once */
        code = streams_refusal(st, sp);
    }
    if (sp->catch_error != 0) { /* of the last try: this append is told, the next one begins another */
        code = sp->catch_error;
        sp->catch_error = 0;
    }
    if (code != 0) {
        return code;
    }
    if (sp->state != STREAM_PART_READY) {
        return STORE_HELD;
    }
    code = op->observed == NULL ? own_make(st, op) : 0;
    if (code != 0) {
        return code == EVLOG_ERR_NO_MEMORY ? hold_starved(sp) : code;
    }
    code = admit(sp, part, op);
    streams_count(st);
    return code;
}

void stream_append_undo(void *arg, struct partition *part, struct append_op *op)
{
    struct streams *st = arg;
    struct stream_part *sp = *store_observed_state(part);
    EL_ASSERT(sp != NULL);
    EL_ASSERT(sp->noted == store_observed_next_offset(part) + op->info.last_offset_delta + 1);
    stream_table_undo(st->view.active, st->view.undo);
    sp->noted = store_observed_next_offset(part);
}

void stream_append_ended(void *arg, struct partition *part, struct append_op *op, int error)
{
    struct streams *st = arg;
    struct stream_part *sp = part == NULL ? NULL : *store_observed_state(part);
    if (error == 0 && op->duplicate && sp != NULL && sp->state == STREAM_PART_READY) {
        sp->noted = store_observed_next_offset(part); /* a batch without records says nothing of streams */
    }
    if (op->observed == NULL) {
        return;
    }
    for (struct el_list *n = st->parts.next; part == NULL && sp == NULL && n != &st->parts; n = n->next) {
        struct stream_part *other = EL_CONTAINER(n, struct stream_part, link); /* that was deleted */
        sp = other->resolve.busy && other->resolve.append == op ? other : NULL;
    }
    if (sp != NULL && sp->resolve.busy && sp->resolve.append == op) { /* the job goes on with what it was given */
        sp->resolve.append = NULL;
        sp->resolve.orphan.private_ = op->observed->private_;
        op->observed->private_ = NULL;
    }
    stream_admit_forget(&st->view, op->observed);
    own_free(st, op);
}
