/* SPDX-License-Identifier: Apache-2.0
 *
 * Offsets by time: ListOffsets for one partition, and Cut over many.
 *
 * Cut(T), after which no event can get an append time at or below T:
 *   1. on the asking shard: T must not lie in the future; the process-wide clock is raised to T, so every group opened
 *      from now on, on any shard, gets a later time
 *   2. on every shard: the group being filled is closed (it may have an earlier time), a clock frame makes the floor
 *      durable, and everything added so far is awaited
 *   3. each partition's first batch with a later append time is sought; without one its end is that of what is durable
 */
#include <storage/seek.h>

#include <core/assert.h>
#include <storage/remote.h>

/* --- ListOffsets -------------------------------------------------------------------------------------------------- */

#define TIME_LATEST (-1)
#define TIME_EARLIEST (-2)
#define TIME_MAX (-3)
#define TIME_EARLIEST_LOCAL (-4)
#define TIME_LATEST_TIERED (-5)
#define TIME_EARLIEST_PENDING_UPLOAD (-6)

static void lookup_on_found(struct seek *seek, int error)
{
    struct lookup_op *op = seek->arg;
    struct store_shard *shard = seek->part->shard;
    if (error == 0 && seek->found_offset >= 0 && seek->found_offset < seek->part->high_watermark) {
        op->offset = EL_MAX(seek->found_offset, seek->part->log_start); /* it may lie inside the batch */
        op->found_timestamp = seek->found_timestamp_ms;
        op->leader_epoch = seek->found_epoch;
    }
    el_buddy_free(shard->buddy, seek);
    store_op_finish(&op->base, error);
}

static void lookup_seek(struct partition *part, struct lookup_op *op, enum seek_kind kind, int64_t value, int64_t from)
{
    struct seek *seek = el_buddy_alloc(part->shard->buddy, sizeof(*seek));
    if (seek == NULL) {
        store_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    memset(seek, 0, sizeof(*seek));
    seek->part = part;
    seek->kind = kind;
    seek->value = value;
    seek->from_offset = EL_MAX(from, part->log_start);
    seek->end_offset = part->high_watermark;
    seek->refine = kind == SEEK_TIMESTAMP;
    seek->done = lookup_on_found;
    seek->arg = op;
    seek_start(seek);
}

/* Greatest event time of what is visible; INT64_MIN when empty. */
static int64_t greatest_timestamp(const struct partition *part)
{
    int64_t max = INT64_MIN;
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        max = seg->end_offset > part->log_start ? EL_MAX(max, seg->max_timestamp_ms) : max;
    }
    EL_LIST_EACH(n, &part->entries) {
        const struct batch_entry *e = EL_CONTAINER(n, struct batch_entry, link);
        if (batch_entry_next(e) <= part->high_watermark && batch_entry_next(e) > part->log_start) {
            max = EL_MAX(max, e->max_timestamp_ms);
        }
    }
    return max;
}

/* Where the greatest event time is of what only the archive has. */
struct newest_ask {
    struct remote remote;
    struct lookup_op *op;
    struct read_entry entry;
};

static void newest_answered(struct partition *part, const struct newest_ask *ask)
{
    const struct tier_read *read = &ask->remote.read;
    bool there = read->first_offset >= 0 && read->entry_count > 0;
    int64_t remote = there ? ask->entry.max_timestamp_ms : INT64_MIN, local = greatest_timestamp(part);
    if (remote == INT64_MIN && local == INT64_MIN) {
        store_op_finish(&ask->op->base, 0);
    } else if (remote >= local) { /* the first of those that have it */
        lookup_seek(part, ask->op, SEEK_TIMESTAMP, remote, read->first_offset);
    } else {
        lookup_seek(part, ask->op, SEEK_TIMESTAMP, local, tier_local_start(part));
    }
}

static void newest_on_done(struct remote *remote, int error, bool over)
{
    struct newest_ask *ask = EL_CONTAINER(remote, struct newest_ask, remote);
    struct partition *part = remote->part;
    error = error == 0 && part->deleted ? EVLOG_ERR_UNKNOWN_TOPIC : error; /* meanwhile */
    if (error != 0) {
        store_op_finish(&ask->op->base, error);
    } else {
        newest_answered(part, ask);
    }
    if (over) {
        el_buddy_free(part->shard->buddy, ask);
    }
}

static void newest_on_gone(struct remote *remote)
{
    el_buddy_free(remote->part->shard->buddy, EL_CONTAINER(remote, struct newest_ask, remote));
}

static void newest_ask(struct partition *part, struct lookup_op *op)
{
    struct newest_ask *ask = el_buddy_alloc(part->shard->buddy, sizeof(*ask));
    int error = ask == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    if (error == 0) {
        memset(ask, 0, sizeof(*ask));
        ask->op = op;
        ask->remote.done = newest_on_done;
        ask->remote.gone = newest_on_gone;
        ask->remote.read = (struct tier_read){.by = TIER_BY_NEWEST,
                                              .offset = part->log_start,
                                              .end_offset = tier_local_start(part),
                                              .entries = &ask->entry,
                                              .entry_max = 1};
        error = remote_start(part, &ask->remote);
    }
    if (error != 0) {
        el_buddy_free(part->shard->buddy, ask);
        store_op_finish(&op->base, error);
    }
}

/* Epoch in which the event at an offset was appended, or will be. */
static int32_t epoch_at(const struct partition *part, int64_t offset)
{
    for (const struct el_list *n = part->epochs.prev; n != &part->epochs; n = n->prev) {
        const struct epoch_start *e = EL_CONTAINER(n, struct epoch_start, link);
        if (e->start_offset <= offset || n->prev == &part->epochs) {
            return e->epoch;
        }
    }
    return store_leader_epoch(part->shard->store);
}

/* The answer is the archive's, and it has not said yet how far it goes. */
static bool lookup_unknown(const struct partition *part, const struct lookup_op *op)
{
    bool tiered = op->timestamp == TIME_LATEST_TIERED || op->timestamp == TIME_EARLIEST_PENDING_UPLOAD;
    bool earliest = op->timestamp == TIME_EARLIEST || op->timestamp == TIME_EARLIEST_LOCAL;
    if (!op->by_append_time && tiered) {
        return part->shard->tier != NULL && part->tier.archived_end < 0;
    }
    return tier_settling(part) && (op->by_append_time || !earliest);
}

static void lookup_run(struct store_op *base)
{
    struct lookup_op *op = EL_CONTAINER(base, struct lookup_op, base);
    struct store_shard *shard = base->owner;
    struct partition *part = partition_find(shard, &op->topic_id, op->partition);
    int32_t epoch = store_leader_epoch(shard->store);
    if (part == NULL) {
        store_op_finish(base, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    if (op->current_leader_epoch >= 0 && op->current_leader_epoch != epoch) {
        store_op_finish(base, op->current_leader_epoch < epoch ? EVLOG_ERR_FENCED_EPOCH : EVLOG_ERR_UNKNOWN_EPOCH);
        return;
    }
    if (lookup_unknown(part, op)) {
        store_op_finish(base, EVLOG_ERR_ARCHIVE);
        return;
    }
    if (op->by_append_time || op->timestamp >= 0) {
        lookup_seek(part, op, op->by_append_time ? SEEK_APPEND_TIME : SEEK_TIMESTAMP, op->timestamp, part->log_start);
        return;
    }
    switch (op->timestamp) {
    case TIME_LATEST:
        op->offset = part->high_watermark;
        op->leader_epoch = epoch;
        break;
    case TIME_EARLIEST:
        op->offset = part->log_start;
        op->leader_epoch = epoch_at(part, op->offset);
        break;
    case TIME_EARLIEST_LOCAL:
        op->offset = EL_MAX(part->log_start, tier_local_start(part));
        op->leader_epoch = epoch_at(part, op->offset);
        break;
    case TIME_MAX: {
        int64_t max = greatest_timestamp(part);
        if (tier_has_more(part)) {
            newest_ask(part, op);
            return;
        }
        if (max != INT64_MIN) {
            lookup_seek(part, op, SEEK_TIMESTAMP, max, part->log_start);
            return;
        }
        break;
    }
    case TIME_LATEST_TIERED: /* without an archive nothing is there, and nothing waits for it */
        if (part->tier.archived_end > 0) {
            op->offset = part->tier.archived_end - 1;
            op->leader_epoch = epoch_at(part, op->offset);
        }
        break;
    case TIME_EARLIEST_PENDING_UPLOAD:
        if (shard->tier != NULL) {
            op->offset = EL_MAX(part->tier.archived_end, part->log_start);
            op->leader_epoch = epoch_at(part, op->offset);
        }
        break;
    default:
        store_op_finish(base, EVLOG_ERR_UNSUPPORTED);
        return;
    }
    EL_ASSERT(op->offset <= part->next_offset);
    store_op_finish(base, 0);
}

void store_lookup(struct store_shard *shard, struct lookup_op *op)
{
    op->offset = -1;
    op->found_timestamp = -1;
    op->leader_epoch = -1;
    struct store_shard *owner = shard_owner(shard, &op->topic_id, op->partition);
    if (owner == NULL) {
        op->base.origin = op->base.owner = shard;
        op->base.returned = NULL;
        store_op_finish(&op->base, EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    store_op_send(shard, owner, &op->base, lookup_run);
}

/* --- Cut ---------------------------------------------------------------------------------------------------------- */

/* The part of a cut that one shard does. */
struct cut_part {
    struct store_op op; /* travels to its shard and back */
    struct cut_op *cut;
    struct journal_wait wait;
    struct seek seek;
    uint32_t index; /* result that is being worked on */
    bool seeking;   /* its seek has not ended */
    bool looping;   /* cut_next() is on the stack */
};

static void cut_next(struct cut_part *cp);

/* A cut is over what is stored, shown already or not: that is what can be said of it again. */
static int64_t seek_end(const struct partition *part)
{
    return EL_MAX(part->high_watermark, part->durable_end);
}

static void cut_on_found(struct seek *seek, int error)
{
    struct cut_part *cp = seek->arg;
    EL_ASSERT(cp->seeking);
    EL_ASSERT(cp->index < cp->cut->result_count);
    struct cut_result *result = &cp->cut->results[cp->index++];
    const struct partition *part = seek->part;
    int64_t end = seek->found_offset >= 0 ? seek->found_offset : seek_end(part);
    result->error = error;
    result->log_start_offset = part->log_start;
    result->end_offset = EL_MAX(end, part->log_start);
    cp->seeking = false;
    if (!cp->looping) {
        cut_next(cp);
    }
}

/* Partition after partition. A seek that ends within its call goes round the loop, another one comes back here. */
static void cut_next(struct cut_part *cp)
{
    struct cut_op *cut = cp->cut;
    EL_ASSERT(!cp->looping);
    EL_ASSERT(!cp->seeking);
    cp->looping = true;
    while (cp->index < cut->result_count && !cp->seeking) {
        struct cut_result *result = &cut->results[cp->index];
        struct partition *part = partition_find(cp->op.owner, &result->topic_id, result->partition);
        if (part == NULL) {
            cp->index++;
            continue;
        }
        memset(&cp->seek, 0, sizeof(cp->seek));
        cp->seek.part = part;
        cp->seek.kind = SEEK_APPEND_TIME;
        cp->seek.value = (int64_t)cut->time_ns + 1;
        cp->seek.end_offset = seek_end(part);
        cp->seek.done = cut_on_found;
        cp->seek.arg = cp;
        cp->seeking = true;
        seek_start(&cp->seek);
    }
    cp->looping = false;
    EL_ASSERT(cp->index <= cut->result_count);
    if (!cp->seeking) {
        store_op_finish(&cp->op, 0);
    }
}

static void cut_on_durable(struct journal_wait *wait, int error)
{
    struct cut_part *cp = EL_CONTAINER(wait, struct cut_part, wait);
    if (error != 0) {
        store_op_finish(&cp->op, error);
        return;
    }
    cut_next(cp);
}

static void cut_run(struct store_op *base)
{
    struct cut_part *cp = EL_CONTAINER(base, struct cut_part, op);
    struct store_shard *shard = base->owner;
    journal_close_group(&shard->journal);
    int code = shard->failed ? EVLOG_ERR_STORAGE : shard->stopping ? EVLOG_ERR_CLOSED : 0;
    if (code == 0) {
        code = journal_room(&shard->journal, 0);
    }
    if (code != 0) {
        store_op_finish(base, code);
        return;
    }
    struct el_frame frame = {.type = EL_FRAME_CLOCK, .append_time_ns = cp->cut->time_ns};
    journal_add(&shard->journal, &frame);
    cp->wait.done = cut_on_durable;
    journal_wait(&shard->journal, &cp->wait);
}

static void cut_on_part(struct store_op *base)
{
    struct cut_part *cp = EL_CONTAINER(base, struct cut_part, op);
    struct cut_op *cut = cp->cut;
    struct store_shard *shard = base->origin;
    if (base->error != 0 && cut->first_error == 0) {
        cut->first_error = base->error;
    }
    el_buddy_free(shard->buddy, cp);
    EL_ASSERT(cut->left > 0);
    if (--cut->left == 0) {
        store_op_finish(&cut->base, cut->first_error);
    }
}

static int cut_time(struct store_shard *shard, struct cut_op *cut)
{
    struct el_clock *clock = store_clock(shard->store);
    if (cut->time_ns == 0) {
        cut->time_ns = el_clock_next(clock);
        return 0;
    }
    if (cut->time_ns > EL_MAX(el_clock_now(clock), el_clock_last(clock))) {
        return EVLOG_ERR_ARGUMENT;
    }
    el_clock_raise(clock, cut->time_ns);
    return 0;
}

void store_cut(struct store_shard *shard, struct cut_op *cut)
{
    struct store *store = shard->store;
    cut->base.origin = cut->base.owner = shard;
    cut->base.returned = NULL;
    cut->first_error = 0;
    for (uint32_t i = 0; i < cut->result_count; i++) {
        cut->results[i].error = EVLOG_ERR_UNKNOWN_TOPIC;
        cut->results[i].end_offset = cut->results[i].log_start_offset = -1;
    }
    int code = cut_time(shard, cut);
    if (code != 0) {
        store_op_finish(&cut->base, code);
        return;
    }
    cut->left = 1; /* this call: no part can end the cut before all are sent */
    for (uint32_t i = 0; i < store->shard_count; i++) {
        struct cut_part *cp = el_buddy_alloc(shard->buddy, sizeof(*cp));
        if (cp == NULL) {
            cut->first_error = EVLOG_ERR_NO_MEMORY;
            break;
        }
        memset(cp, 0, sizeof(*cp));
        cp->cut = cut;
        cp->op.done = cut_on_part;
        cut->left++;
        store_op_send(shard, &store->shards[i], &cp->op, cut_run);
    }
    if (--cut->left == 0) {
        store_op_finish(&cut->base, cut->first_error);
    }
}
