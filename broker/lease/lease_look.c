/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators ask of a part: where its group stands (moving that: lease_move.c), why a key waits, letting one go.
 */
#include <lease/lease_part.h>

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_MS 1000000u

static struct lease_part *find(struct leases *ls, struct lease_op *op, const struct el_uuid *topic_id,
                               int32_t partition)
{
    struct lease_group *group = lease_group_find(ls, op->group_id);
    return group == NULL || !group->exists ? NULL : lease_part_find(group, topic_id, partition);
}

/* --- where it stands ---------------------------------------------------------------------------------------------- */

void lease_look_counts(struct lease_offsets_op *op, const struct lease_part *part)
{
    EL_ASSERT(part->table != NULL);
    struct lease_counts counts = lease_counts(part->table);
    op->start = lease_start(part->table);
    op->ready = counts.of[LEASE_STATE_READY];
    op->leased = counts.of[LEASE_STATE_LEASED];
    op->waiting = counts.of[LEASE_STATE_WAITING];
    op->backoff = counts.of[LEASE_STATE_BACKOFF];
    op->delayed = counts.of[LEASE_STATE_DELAYED];
    op->dying = counts.of[LEASE_STATE_DYING] + counts.of[LEASE_STATE_BURIED] + counts.of[LEASE_STATE_CHECK] +
                counts.of[LEASE_STATE_CHECKING];
    op->emitting = counts.of[LEASE_STATE_EMITTING];
    op->halted_at = lease_halted(part->table);
}

int64_t lease_lag(const struct lease_table *table, int64_t log_start, int64_t end)
{
    int64_t next = EL_MAX(lease_read_next(table), log_start);
    int64_t ahead = EL_MAX(end - next - lease_finished_ahead(table, next, end), (int64_t)0);
    return (int64_t)lease_counts(table).total + ahead;
}

/* The end of the log is known: lag, and the answer. */
static void get_on_stat(struct store_op *base)
{
    struct lease_offsets_op *op = base->arg;
    struct leases *ls = op->base.owner;
    struct lease_part *part = find(ls, &op->base, &op->topic_id, op->partition);
    OBJ_CHECK(ls, LEASES);
    EL_ASSERT(ls->busy > 0);
    EL_ASSERT(op->base.at_owner);
    ls->busy--;
    if (base->error == 0 && part != NULL && part->sm.state == PART_READY) {
        int64_t end = op->stat.high_watermark;
        lease_look_counts(op, part);
        op->start = lease_start_from(part->table, op->stat.log_start_offset);
        op->lag = lease_lag(part->table, op->stat.log_start_offset, end);
    } else if (base->error == 0 && op->exists) {
        op->start = EL_MAX(op->start, op->stat.log_start_offset); /* what is gone is finished */
        op->lag = EL_MAX(op->stat.high_watermark - op->start, (int64_t)0);
    }
    if (base->error == 0 && op->exists) {
        EL_ASSERT(op->start >= 0);
        EL_ASSERT(op->lag >= 0);
    }
    lease_op_finish(&op->base, base->error);
}

bool lease_part_stored_start(const struct lease_part *part, int64_t *start)
{
    EL_LIST_EACH(node, &part->stored) {
        const struct lease_stored *stored = EL_CONTAINER(node, struct lease_stored, link);
        struct lease_record_part record;
        if (stored->kind == LEASE_RECORD_PART && lease_record_part_decode(stored->value, &record) == 0) {
            *start = record.start;
            return true;
        }
    }
    return false;
}

static void get_run(struct leases *ls, struct lease_op *base)
{
    struct lease_offsets_op *op = EL_CONTAINER(base, struct lease_offsets_op, base);
    struct lease_part *part = find(ls, base, &op->topic_id, op->partition);
    if (part != NULL && part->sm.state == PART_MOVING) {
        lease_part_wait(part, base);
        return;
    }
    if (part != NULL && part->sm.state == PART_STORED && lease_part_has_stored(part, LEASE_RECORD_PART)) {
        lease_part_wake_quietly(part); /* without memory for that: what its record says */
    }
    op->exists = part != NULL && (part->sm.state == PART_READY || lease_part_stored_start(part, &op->start));
    if (!op->exists) {
        lease_op_finish(base, ls->state == LEASES_READY && !ls->known ? EVLOG_ERR_GROUP_LOADING : 0);
        return;
    }
    op->stat = (struct stat_op){
        .base = {.done = get_on_stat, .arg = op}, .topic_id = op->topic_id, .partition = op->partition};
    base->flags &= ~(uint32_t)LEASE_OP_WAITS;
    ls->busy++;
    store_stat(ls->shard, &op->stat);
}

void leases_offsets(struct leases *ls, struct lease_offsets_op *op)
{
    op->exists = false;
    op->start = op->lag = op->halted_at = -1;
    op->ready = op->leased = op->waiting = op->backoff = op->delayed = op->dying = op->emitting = 0;
    if (op->verb == LEASE_OFFSETS_GET) {
        lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, get_run);
    } else {
        lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, 0, lease_move_check);
    }
}

/* --- why a key waits ---------------------------------------------------------------------------------------------- */

/* Every key waits while the partition halts, also those that were not read. */
static void tell_halt(const struct lease_part *part, struct lease_why_op *op)
{
    int64_t offset = lease_halted(part->table);
    if (offset < 0) {
        return;
    }
    EL_ASSERT(lease_counts(part->table).of[LEASE_STATE_HALTED] > 0);
    if (!op->known) {
        op->known = true;
        op->offset = offset;
        op->state = lease_state_name(LEASE_STATE_HALTED);
    }
    snprintf(op->base.message_text, sizeof op->base.message_text,
             "the partition halts at offset %" PRId64 ", whose event failed for the last time: nothing of it is "
             "delivered until \"evlog groups release\" lets it go on",
             offset);
}

static void why_run(struct leases *ls, struct lease_op *base)
{
    struct lease_why_op *op = EL_CONTAINER(base, struct lease_why_op, base);
    struct lease_part *part = lease_part_for(ls, base, &op->topic_id, op->partition);
    struct lease_why why;
    if (part == NULL) {
        return;
    }
    struct lease_now now = lease_part_now(part);
    op->parked = op->key.data != NULL && lease_parked_find(part, op->key) != NULL;
    op->known = lease_why(part->table, lease_key_hash(op->key), &why);
    if (op->known) {
        op->offset = why.offset;
        op->state = lease_state_name(why.state);
        op->attempts = (int32_t)why.attempts;
        op->behind = why.behind;
        if (why.due_ns != LEASE_NEVER) {
            op->due_ms = why.due_ns > now.mono_ns ? (int64_t)((why.due_ns - now.mono_ns) / NS_PER_MS) : 0;
        } else if (why.due_ms >= 0) {
            op->due_ms = EL_MAX(why.due_ms - now.wall_ms, (int64_t)0);
        }
        if (why.state == LEASE_STATE_EMITTING) {
            lease_emit_why(part, why.offset, base->message_text, sizeof base->message_text);
        } else if (why.state == LEASE_STATE_BURIED || why.state == LEASE_STATE_DYING) {
            snprintf(base->message_text, sizeof base->message_text, "%s", lease_bury_why(part, why.offset));
        }
    }
    tell_halt(part, op);
    lease_op_finish(base, 0);
    lease_part_turn(part);
}

void leases_why(struct leases *ls, struct lease_why_op *op)
{
    op->known = op->parked = false;
    op->offset = op->due_ms = -1;
    op->state = "";
    op->attempts = 0;
    op->behind = 0;
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, why_run);
}

/* --- release ------------------------------------------------------------------------------------------------------ */

static void release_key_run(struct leases *ls, struct lease_op *base)
{
    struct lease_release_key_op *op = EL_CONTAINER(base, struct lease_release_key_op, base);
    struct lease_part *part = lease_part_for(ls, base, &op->topic_id, op->partition);
    if (part == NULL) {
        return;
    }
    if (op->key.data == NULL) {
        if (lease_halted(part->table) < 0) {
            lease_op_finish(base, EVLOG_ERR_NOT_FOUND);
        } else if (!lease_call_wait(part, base)) {
            lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        } else {
            lease_resume(part->table, lease_part_now(part));
        }
        lease_part_turn(part);
        return;
    }
    struct lease_parked *parked = lease_parked_find(part, op->key);
    if (parked == NULL) {
        lease_op_refuse(base, EVLOG_ERR_NOT_FOUND, "the key is not parked in this partition");
        return;
    }
    if (op->ask) {
        op->token = parked->token;
        lease_op_finish(base, 0);
        return;
    }
    if (op->token != 0 && (op->token != parked->token || lease_bury_follows(part, op->key))) {
        lease_op_refuse(base, EVLOG_ERR_CONFLICT, "more events of the key have become dead letters meanwhile");
        return;
    }
    if (!lease_call_wait(part, base)) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    lease_park_release(part, parked);
    lease_part_turn(part);
}

void leases_release_key(struct leases *ls, struct lease_release_key_op *op)
{
    lease_op_send_part(ls, &op->base, &op->topic_id, op->partition, release_key_run);
}
