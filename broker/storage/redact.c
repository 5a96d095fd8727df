/* SPDX-License-Identifier: Apache-2.0
 *
 * Redaction on a shard: batches leave this disk, marks take their places.
 *
 *   1. write   what is in memory and journal alone goes into segments; those that the range touches are closed, sealed
 *   2. pass    compaction's jobs write each of them anew, with marks (compact_redact()); its copies in memory go
 *   3. settle  what a checkpoint carries from slot to slot has arrived
 *   4. forget  checkpoints, until the old files are removed, and every journal slot that there was has been overwritten
 *   5. sync    the folder, so that a removed name does not come back
 *
 * It looks by a timer whether the next step can be done. Nothing of it is remembered: after a crash who asked asks
 * again (broker/redact), and finds marks where it has been. A batch has its mark before its bytes leave, and the mark
 * has the digest that its leaf in the archive's tree is made of.
 */
#include <storage/redact.h>

#include <core/assert.h>
#include <core/logger.h>
#include <format/redaction.h>
#include <storage/compact.h>
#include <storage/refill.h>

#define LOOK_NS 5000000u
#define AGAIN_NS 1000000000u /* after a failure that may pass, such as a full disk */

enum redact_step { REDACT_WRITE, REDACT_PASS, REDACT_PASSING, REDACT_SETTLE, REDACT_FORGET, REDACT_SYNC };

struct redact {
    struct store_shard *shard;
    struct redact_op *op;
    enum redact_step step;
    struct compact_redaction pass;
    uint64_t carried; /* no group behind this one can have a batch of the range: a checkpoint may have carried some */
    struct io_timer timer;
    struct io_op sync_op;
    char dir[SEGMENT_PATH_MAX];
};

static struct partition *part_of(const struct redact *r)
{
    return partition_find(r->shard, &r->op->topic_id, r->op->partition);
}

static void redact_end(struct redact *r, int error)
{
    struct store_shard *shard = r->shard;
    struct redact_op *op = r->op;
    EL_ASSERT(r->step != REDACT_PASSING);
    EL_ASSERT(shard->redact == r);
    io_timer_cancel(shard->io, &r->timer);
    op->batch_count = r->pass.batch_count;
    shard->redact = NULL;
    el_buddy_free(shard->buddy, r);
    store_op_finish(&op->base, error);
}

static void look_in(struct redact *r, uint64_t ns)
{
    io_timer_set(r->shard->io, &r->timer, r->shard->io->now_ns + ns);
}

static bool is_touched(const struct redact *r, const struct segment *seg)
{
    return !seg->removed && seg->end_offset > r->op->first_offset && seg->base_offset < r->op->end_offset;
}

/* --- write -------------------------------------------------------------------------------------------------------- */

/* Everything of the range in sealed segments? returns 1 | 0 not yet | EVLOG_ERR_CORRUPT */
static int range_is_sealed(const struct redact *r, struct partition *part)
{
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (is_touched(r, seg) && (!seg->sealed || seg->written_len != seg->len)) {
            return seg->damaged ? EVLOG_ERR_CORRUPT : 0;
        }
    }
    return 1;
}

static int range_seal(const struct redact *r, struct partition *part)
{
    int code = 1;
    while (code > 0 && part->segment_end < r->op->end_offset) {
        code = segment_write_chunk(part, UINT64_MAX);
    }
    if (part->segment_end < r->op->end_offset || refill_is_of(part)) {
        return 0;
    }
    if (!el_list_empty(&part->segments)) {
        const struct segment *last = EL_CONTAINER(part->segments.prev, struct segment, link);
        if (is_touched(r, last)) {
            segment_roll_now(part); /* whatever its age: the clock may have gone back */
        }
    }
    segment_seal_rolled(part);
    return range_is_sealed(r, part);
}

/* --- pass --------------------------------------------------------------------------------------------------------- */

static void settle_begin(struct redact *r)
{
    const struct journal *j = &r->shard->journal;
    r->step = REDACT_SETTLE;
    r->carried = j->next_sequence - 1 - (j->filling != NULL && !journal_is_filling(j));
    look_in(r, 0);
}

static bool may_pass(int error)
{
    return error == EVLOG_ERR_NO_SPACE || error == EVLOG_ERR_NO_FILES || error == EVLOG_ERR_NO_MEMORY;
}

static void pass_on_ended(struct compact_redaction *pass, int error)
{
    struct redact *r = EL_CONTAINER(pass, struct redact, pass);
    EL_ASSERT(r->step == REDACT_PASSING);
    r->step = REDACT_PASS;
    if (error == 0) {
        settle_begin(r);
    } else if (may_pass(error) && !r->shard->stopping && !r->shard->failed) {
        look_in(r, AGAIN_NS);
    } else {
        redact_end(r, r->shard->failed ? EVLOG_ERR_STORAGE : error);
    }
}

static void pass_begin(struct redact *r, struct partition *part)
{
    bool any = false;
    EL_LIST_EACH(n, &part->segments) {
        any = any || is_touched(r, EL_CONTAINER(n, struct segment, link));
    }
    if (!any) { /* trimmed, or in the archive alone */
        settle_begin(r);
        return;
    }
    r->step = REDACT_PASSING;
    if (compact_redact(part, &r->pass) != 0) {
        r->step = REDACT_PASS;
        look_in(r, LOOK_NS);
    }
}

/* --- forget ------------------------------------------------------------------------------------------------------- */

/* What is still on its way to a slot is in it before slots are overwritten. */
static void settle_go(struct redact *r)
{
    struct journal *j = &r->shard->journal;
    if (j->durable_sequence < r->carried) {
        look_in(r, LOOK_NS);
        return;
    }
    journal_wipe(j);
    r->step = REDACT_FORGET;
    look_in(r, 0);
}

static bool is_of(const struct el_list *list, const struct partition *part)
{
    EL_LIST_EACH(n, list) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (seg->partition == part->key.partition && el_uuid_eq(&seg->topic_id, &part->key.topic_id)) {
            return true;
        }
    }
    return false;
}

static void sync_on_done(struct io_op *op)
{
    struct redact *r = op->arg;
    struct store_shard *shard = r->shard;
    EL_ASSERT(r->step == REDACT_SYNC);
    EL_ASSERT(shard->jobs > 0);
    shard->jobs--;
    if (op->result != 0 && op->result != EVLOG_ERR_NOT_FOUND) {
        shard_fail(shard, "syncing %s failed (%s)", r->dir, evlog_error_text((int)op->result));
        redact_end(r, EVLOG_ERR_STORAGE);
        return;
    }
    redact_end(r, 0);
}

static int64_t sync_run(struct disk *disk, void *arg)
{
    const struct redact *r = arg;
    return disk_sync_dir(disk, r->dir);
}

static void forget_go(struct redact *r, struct partition *part)
{
    struct store_shard *shard = r->shard;
    bool wiped = journal_wipe_go(&shard->journal);
    bool files = is_of(&part->replaced, part) || is_of(&shard->removed_segments, part) || shard->unlinks > 0;
    if (!wiped || files) {
        shard->checkpoint.wanted = shard->checkpoint.wanted || checkpoint_idle(&shard->checkpoint);
        look_in(r, LOOK_NS);
        return;
    }
    r->step = REDACT_SYNC;
    segment_dir_path(r->dir, sizeof(r->dir), &r->op->topic_id, r->op->partition);
    r->sync_op.done = sync_on_done;
    r->sync_op.arg = r;
    shard->jobs++;
    io_job(shard->io, &r->sync_op, IO_JOB_DISK, sync_run, r);
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static void redact_look(struct redact *r)
{
    struct store_shard *shard = r->shard;
    struct partition *part = part_of(r);
    int sealed;
    if (part == NULL || shard->failed || shard->stopping) {
        redact_end(r, part == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : shard->failed ? EVLOG_ERR_STORAGE : EVLOG_ERR_CLOSED);
        return;
    }
    switch (r->step) {
    case REDACT_WRITE:
        sealed = range_seal(r, part);
        if (sealed < 0) {
            redact_end(r, sealed);
            return;
        }
        r->step = sealed > 0 ? REDACT_PASS : REDACT_WRITE;
        look_in(r, sealed > 0 ? 0 : LOOK_NS);
        return;
    case REDACT_PASS:
        pass_begin(r, part);
        return;
    case REDACT_SETTLE:
        settle_go(r);
        return;
    case REDACT_FORGET:
        forget_go(r, part);
        return;
    case REDACT_PASSING:
    case REDACT_SYNC:
        return; /* a job tells */
    }
}

static void redact_on_timer(struct io_timer *timer)
{
    redact_look(timer->arg);
}

static int redact_check(const struct store_shard *shard, struct partition *part, const struct redact_op *op)
{
    if (part == NULL) {
        return EVLOG_ERR_UNKNOWN_TOPIC;
    }
    if (shard->failed || shard->stopping) {
        return shard->failed ? EVLOG_ERR_STORAGE : EVLOG_ERR_CLOSED;
    }
    if (part->observed) {
        return EVLOG_ERR_POLICY;
    }
    if (op->first_offset < 0 || op->end_offset <= op->first_offset || op->end_offset > part->durable_end) {
        return EVLOG_ERR_OFFSET_RANGE;
    }
    return shard->redact != NULL ? EVLOG_ERR_AGAIN : 0;
}

static void redact_run(struct store_op *base)
{
    struct redact_op *op = EL_CONTAINER(base, struct redact_op, base);
    struct store_shard *shard = base->owner;
    struct partition *part = partition_find(shard, &op->topic_id, op->partition);
    if (op->release) {
        if (part != NULL) {
            part->tier.held = false;
        }
        store_op_finish(base, 0);
        return;
    }
    int code = redact_check(shard, part, op);
    struct redact *r = code != 0 ? NULL : el_buddy_alloc(shard->buddy, sizeof(*r));
    if (r == NULL) {
        store_op_finish(base, code != 0 ? code : EVLOG_ERR_AGAIN);
        return;
    }
    EL_ASSERT(shard->redact == NULL);
    memset(r, 0, sizeof(*r));
    r->shard = shard;
    r->op = op;
    r->pass = (struct compact_redaction){.first = op->first_offset,
                                         .end = op->end_offset,
                                         .when_ms = op->when_ms,
                                         .reason = op->reason,
                                         .ended = pass_on_ended};
    r->timer.fire = redact_on_timer;
    r->timer.arg = r;
    shard->redact = r;
    part->tier.held = true;
    look_in(r, 0);
}

void redact_stop(struct store_shard *shard)
{
    struct redact *r = shard->redact;
    if (r != NULL && r->step != REDACT_PASSING && r->step != REDACT_SYNC) {
        redact_end(r, EVLOG_ERR_CLOSED);
    }
}

void redact_free(struct store_shard *shard)
{
    struct redact *r = shard->redact;
    if (r != NULL) { /* in the middle of it */
        io_timer_cancel(shard->io, &r->timer);
        el_buddy_free(shard->buddy, r);
        shard->redact = NULL;
    }
}

void store_redact(struct store_shard *shard, struct redact_op *op)
{
    op->batch_count = 0;
    EL_ASSERT(op->reason.len <= EL_REDACTION_REASON_MAX);
    store_op_to_partition(shard, &op->base, &op->topic_id, op->partition, redact_run);
}
