/* SPDX-License-Identifier: Apache-2.0
 *
 * SyncGroup: the leader brings what each member shall read; it is stored, then everybody is told.
 *
 *   1. members ask and wait
 *   2. the leader's request has the assignments; they are written as one record with the members
 *   3. when that is durable the group is stable and all who wait are answered; who asks later is answered at once
 *   4. when a new round began meanwhile, those who waited have been told to join again, and the record does not count
 */
#include <group/group_state.h>

static size_t room(struct el_slice text)
{
    return EL_ALIGN_UP(text.len, 8);
}

static void answer(struct sync_op *op, const struct member *member)
{
    const struct group *group = member->group;
    if (!group_op_room(&op->base, room(member->assignment) + room(group->protocol) + room(group->protocol_type))) {
        group_op_finish(&op->base, EVLOG_ERR_GROUP_UNAVAILABLE);
        return;
    }
    op->assignment = group_op_copy(&op->base, member->assignment);
    op->protocol_out = group_op_copy(&op->base, group->protocol);
    op->protocol_type_out = group_op_copy(&op->base, group->protocol_type);
    group_op_finish(&op->base, 0);
}

/* Take the op that waits from its member; NULL: none waits. */
static struct sync_op *sync_take(struct member *member)
{
    struct sync_op *op = member->sync;
    if (op != NULL) {
        member->sync = NULL;
        op->base.waiter = NULL;
        member_alive(member);
    }
    return op;
}

void group_end_syncs(struct group *group, int error)
{
    bool completing = group->sm.state == GROUP_COMPLETING;
    group->storing = false;
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        group_drop(group->gs, &member->next_assignment);
        if (completing) {
            group_drop(group->gs, &member->assignment); /* of the generation before; nobody has it any more */
        }
        struct sync_op *op = sync_take(member);
        if (op != NULL) {
            group_op_finish(&op->base, error);
        }
    }
}

/* --- storing ------------------------------------------------------------------------------------------------------ */

static void stored(struct group *group)
{
    group->storing = false;
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        group_drop(group->gs, &member->assignment);
        member->assignment = member->next_assignment;
        member->next_assignment = (struct el_slice){0};
    }
    group_move(group, GROUP_STABLE);
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        struct sync_op *op = sync_take(member);
        if (op != NULL) {
            answer(op, member);
        }
    }
}

static void assignments_on_stored(struct group_write *write, int error)
{
    struct group *group = write->group;
    group->stored = group->stored || error == 0;
    if (!group->storing || group->sm.state != GROUP_COMPLETING || group->generation != write->generation) {
        return; /* a new round has begun */
    }
    if (error == 0) {
        stored(group);
        return;
    }
    group_end_syncs(group, error);
    group_prepare(group, "the assignments could not be stored");
}

static int take_assignments(struct group *group, const struct sync_op *op)
{
    for (uint32_t i = 0; i < op->assignment_count; i++) {
        struct member *member = member_find(group, op->assignments[i].member_id);
        if (member == NULL || member->pending) {
            continue;
        }
        group_drop(group->gs, &member->next_assignment);
        if (!group_copy(group->gs, op->assignments[i].assignment, &member->next_assignment)) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    return 0;
}

static void store(struct group *group, const struct sync_op *op)
{
    struct group_write *write;
    int code = take_assignments(group, op);
    code = code != 0 ? code : group_write_state(group, true, &write);
    if (code != 0) {
        metrics_add(group->gs->metrics, METRIC_REFUSED_GROUP_MEMORY, 1);
        group_end_syncs(group, code == EVLOG_ERR_TOO_LARGE ? EVLOG_ERR_FAILED : EVLOG_ERR_GROUP_UNAVAILABLE);
        group_prepare(group, "the assignments could not be stored: they are too large, or there is no memory");
        return;
    }
    group->storing = true;
    group_write_submit(write, assignments_on_stored);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static bool differs(struct el_slice said, struct el_slice known)
{
    return said.data != NULL && known.data != NULL && !el_slice_eq(said, known);
}

static int check(struct group *group, const struct sync_op *op, struct member **member)
{
    if (group == NULL) {
        return EVLOG_ERR_UNKNOWN_MEMBER;
    }
    int code = member_check_generation(group, op->member_id, op->instance_id, op->generation, member);
    if (code != 0) {
        return code;
    }
    if (differs(op->protocol_type, group->protocol_type) || differs(op->protocol, group->protocol)) {
        return EVLOG_ERR_GROUP_PROTOCOL;
    }
    return group->sm.state == GROUP_PREPARING ? EVLOG_ERR_REBALANCE : 0;
}

static void wait_for_leader(struct member *member, struct sync_op *op)
{
    struct group *group = member->group;
    struct sync_op *before = sync_take(member);
    member->sync = op;
    op->base.waiter = member;
    member_alive(member);
    if (before != NULL) {
        group_op_finish(&before->base, EVLOG_ERR_REBALANCE); /* it has asked again, on another connection */
    }
    if (group->leader == member && !group->storing) {
        store(group, op);
    }
}

static void sync_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct sync_op *op = EL_CONTAINER(base, struct sync_op, base);
    struct member *member = NULL;
    int code = check(group_find(gs, base->group_id), op, &member);
    (void)part;
    if (code != 0) {
        group_op_finish(base, code);
        return;
    }
    member->synced = true;
    if (member->group->sm.state == GROUP_STABLE) {
        member_alive(member);
        answer(op, member);
        return;
    }
    EL_ASSERT(member->group->sm.state == GROUP_COMPLETING);
    wait_for_leader(member, op);
}

void groups_sync(struct groups *gs, struct sync_op *op)
{
    op->assignment = op->protocol_type_out = op->protocol_out = (struct el_slice){0};
    op->base.run = sync_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}
