/* SPDX-License-Identifier: Apache-2.0
 *
 * Moving where a group stands in a partition, and forgetting it.
 *
 *   1. nobody may be at work: the group has no members, and nothing of the partition is leased
 *   2. where the log begins and ends is looked up
 *   3. MOVING: what comes for the part waits; what is under way ends, such as letters that are being appended
 *   4. table, stories, parked keys and letters to be are forgotten in memory, and one write stores the new start and
 *      the ends of the records that told of the old one
 *   5. durable: READY again, the operator is answered, and what waited runs
 *
 * A crash leaves the one or the other. A write that fails is repeated until it is durable; the operator has been told
 * of the failure by then, and may ask again. A partition that the group does not know begins where the operator says.
 * To forget a partition is to end its part.
 */
#include <lease/control.h>
#include <lease/lease_part.h>

static struct lease_offsets_op *op_of(struct lease_op *base)
{
    return EL_CONTAINER(base, struct lease_offsets_op, base);
}

static struct lease_part *part_of(struct leases *ls, struct lease_op *base)
{
    struct lease_group *group = lease_group_find(ls, base->group_id);
    return group == NULL || !group->exists ? NULL
                                           : lease_part_find(group, &op_of(base)->topic_id, op_of(base)->partition);
}

/* --- the move ----------------------------------------------------------------------------------------------------- */

void lease_move_turn(struct lease_part *part)
{
    struct leases *ls = lease_part_leases(part);
    EL_ASSERT(part->sm.state == PART_MOVING);
    if (part->moved || part->pins > 1 || part->save != NULL || ls->stopping) {
        return;
    }
    if (!lease_reset(part->table, part->move_to)) {
        part->again = true;
        return;
    }
    EL_ASSERT(lease_counts(part->table).total == 0);
    EL_ASSERT(!lease_emit_under_way(part));
    lease_bury_free(part);
    lease_stories_end_all(&part->stories);
    lease_park_end_all(part);
    part->producer_id = -1; /* numbers of letters that were not appended are left out */
    part->start_wanted = 0;
    part->fill.retry_ns = 0;
    part->moved = true;
    lease_save_now(part);
}

void lease_move_end(struct lease_part *part, int error)
{
    struct lease_offsets_op *op = part->mover;
    EL_ASSERT(part->sm.state == PART_MOVING);
    EL_ASSERT(part->save == NULL);
    EL_ASSERT(part->moved);
    part->mover = NULL;
    if (error == 0) {
        part->moved = false;
        part->end_error = 0;
        el_sm_move(&part->sm, part, PART_READY);
    }
    if (op != NULL) {
        op->exists = true;
        lease_look_counts(op, part);
        lease_op_finish(&op->base, error);
    }
    if (error == 0) {
        lease_part_run_waiting(part);
    } else {
        lease_part_end_waiting(part, error);
    }
}

static void move_begin(struct lease_part *part, struct lease_offsets_op *op, int64_t offset)
{
    EL_ASSERT(part->mover == NULL);
    EL_ASSERT(!part->moved);
    EL_ASSERT(offset >= 0);
    part->end_error = EVLOG_ERR_AGAIN;
    part->move_to = offset;
    lease_part_pin(part);
    el_sm_move(&part->sm, part, PART_MOVING);
    lease_part_close(part, EVLOG_ERR_AGAIN);
    part->mover = op;
    lease_part_unpin(part);
}

static void alter_on_stat(struct store_op *base)
{
    struct lease_offsets_op *op = base->arg;
    struct leases *ls = op->base.owner;
    struct lease_part *part = part_of(ls, &op->base);
    int64_t begin = op->stat.log_start_offset, end = op->stat.high_watermark;
    OBJ_CHECK(ls, LEASES);
    EL_ASSERT(ls->busy > 0);
    ls->busy--;
    if (base->error != 0 || ls->stopping) {
        lease_op_finish(&op->base, ls->stopping ? EVLOG_ERR_CLOSED : base->error);
    } else if (part == NULL || part->sm.state != PART_READY) {
        lease_op_finish(&op->base, EVLOG_ERR_AGAIN);
    } else if (lease_counts(part->table).of[LEASE_STATE_LEASED] > 0) {
        lease_op_refuse(&op->base, EVLOG_ERR_GROUP_NOT_EMPTY, "workers hold events of the partition");
    } else if (lease_emit_under_way(part)) {
        lease_op_refuse(&op->base, EVLOG_ERR_GROUP_NOT_EMPTY,
                        "what workers have emitted is being published: try again, or ask why its key waits");
    } else {
        int64_t wanted = op->offset == LEASE_START_LATEST ? end : op->offset;
        move_begin(part, op, EL_MIN(EL_MAX(wanted, begin), end));
    }
}

static void alter_known(struct leases *ls, struct lease_op *base)
{
    struct lease_offsets_op *op = op_of(base);
    if (lease_part_for(ls, base, &op->topic_id, op->partition) == NULL) {
        return;
    }
    op->stat = (struct stat_op){
        .base = {.done = alter_on_stat, .arg = op}, .topic_id = op->topic_id, .partition = op->partition};
    base->flags &= ~(uint32_t)LEASE_OP_WAITS;
    ls->busy++;
    store_stat(ls->shard, &op->stat);
}

/* --- a part that is not there ------------------------------------------------------------------------------------- */

static void made_run(struct leases *ls, struct lease_op *base)
{
    struct lease_offsets_op *op = op_of(base);
    struct lease_part *part = part_of(ls, base);
    op->exists = part != NULL && part->sm.state == PART_READY;
    if (op->exists) {
        lease_look_counts(op, part);
    }
    lease_op_finish(base, op->exists ? 0 : EVLOG_ERR_AGAIN);
}

static void alter_run(struct leases *ls, struct lease_op *base)
{
    struct lease_offsets_op *op = op_of(base);
    struct lease_group *group = lease_group_find(ls, base->group_id);
    base->run = alter_known;
    if (group == NULL || !group->exists || part_of(ls, base) != NULL) {
        alter_known(ls, base);
        return;
    }
    struct lease_part *part = lease_part_create(group, &op->topic_id, op->partition);
    if (part == NULL) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    part->start_fixed = op->offset;
    base->run = made_run;
    if (lease_part_for(ls, base, &op->topic_id, op->partition) != NULL) {
        made_run(ls, base);
    }
}

/* --- forgetting --------------------------------------------------------------------------------------------------- */

static void forgotten_run(struct leases *ls, struct lease_op *base)
{
    (void)ls;
    base->flags &= ~(uint32_t)LEASE_OP_WAITS;
    lease_op_finish(base, 0);
}

static void delete_run(struct leases *ls, struct lease_op *base)
{
    struct lease_part *part = part_of(ls, base);
    op_of(base)->exists = part != NULL;
    if (part == NULL) {
        lease_op_finish(base, 0);
        return;
    }
    if (part->sm.state == PART_READY && lease_counts(part->table).of[LEASE_STATE_LEASED] > 0) {
        lease_op_refuse(base, EVLOG_ERR_GROUP_NOT_EMPTY, "workers hold events of the partition");
        return;
    }
    base->run = forgotten_run;
    el_list_push_back(&part->enders, &base->link);
    lease_part_end(part, EVLOG_ERR_AGAIN);
}

/* --- the op ------------------------------------------------------------------------------------------------------- */

void lease_move_check(struct leases *ls, struct lease_op *base)
{
    struct lease_offsets_op *op = op_of(base);
    const struct topic *topic = store_topic_by_id(ls->shard, &op->topic_id);
    int code = lease_control_check_empty(ls, base->group_id);
    if (code == 0 && (topic == NULL || op->partition < 0 || op->partition >= topic->partition_count)) {
        code = topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC_ID : EVLOG_ERR_UNKNOWN_TOPIC;
    }
    if (code == 0 && op->verb == LEASE_OFFSETS_ALTER && op->offset < LEASE_START_EARLIEST) {
        code = EVLOG_ERR_OFFSET_RANGE;
    }
    if (code != 0) {
        lease_op_finish(base, code);
        return;
    }
    bool alters = op->verb == LEASE_OFFSETS_ALTER;
    lease_op_forward(base, topic->shard_of[op->partition], alters ? alter_run : delete_run);
}
