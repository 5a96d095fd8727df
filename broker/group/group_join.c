/* SPDX-License-Identifier: Apache-2.0
 *
 * JoinGroup, Heartbeat and LeaveGroup: who becomes, stays or stops being a member.
 *
 *   new, dynamic   gets an id first (two steps), then is a member and waits for the end of the round
 *   new, static    takes the place of the one with its instance id, which is fenced; in a stable group without a new
 *                  round when the strategy stays, after the new id is stored
 *   known          in a round: has joined again. Outside: gets the present generation when nothing has changed; a
 *                  leader that joins again, or other protocols, begin a new round
 */
#include <group/group_state.h>

#include <core/logger.h>

static const char *text_of(struct el_slice text, char *room, size_t room_len)
{
    size_t len = EL_MIN(text.len, room_len - 1);
    if (len > 0) {
        memcpy(room, text.data, len);
    }
    room[len] = 0;
    return room;
}

static void say_member(const struct group *group, struct el_slice id, const char *what, struct el_slice reason)
{
    char text[120];
    if (group_may_log(group->gs)) {
        el_log(EL_LOG_INFO, "group", "group \"%.*s\": %.*s %s%s%s", (int)EL_MIN(group->id.len, (size_t)100),
               (const char *)group->id.data, (int)EL_MIN(id.len, (size_t)100), (const char *)id.data, what,
               reason.len > 0 ? ": " : "", text_of(reason, text, sizeof text));
    }
}

/* --- join --------------------------------------------------------------------------------------------------------- */

/* Memory may be free again soon: the client is to ask again. */
static void refuse_memory(struct group *group, struct join_op *op)
{
    metrics_add(group->gs->metrics, METRIC_REFUSED_GROUP_MEMORY, 1);
    group_remove_if_unused(group);
    group_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
}

/* The group's record would be larger than a batch may be, and stays so. */
static void refuse_metadata(struct group *group, struct join_op *op)
{
    metrics_add(group->gs->metrics, METRIC_REFUSED_GROUP_SIZE, 1);
    group_remove_if_unused(group);
    group_op_finish(&op->base, EVLOG_ERR_GROUP_FULL);
}

/* From here on the op is answered at the end of the round. */
static void wait_for_round(struct member *member, struct join_op *op)
{
    struct group *group = member->group;
    struct join_op *before = member->join;
    EL_ASSERT(!member->pending);
    member->join = op;
    op->base.waiter = member;
    member_alive(member);
    if (before != NULL) {
        before->base.waiter = NULL;
        group_op_finish(&before->base, EVLOG_ERR_REBALANCE); /* it has asked again, on another connection */
    } else {
        group->joined_count++;
    }
    if (group->sm.state == GROUP_PREPARING) {
        group_try_complete(group);
    } else {
        group_prepare(group, "a member joins");
    }
}

/* A member with an id joins for the first time. */
static void enter(struct member *member, struct join_op *op)
{
    struct group *group = member->group;
    struct el_slice type;
    bool first = group->member_count == 0;
    if (member_update(member, op) != 0 || (first && !group_copy(group->gs, op->protocol_type, &type))) {
        member_remove(member, EVLOG_ERR_NO_MEMORY);
        refuse_memory(group, op);
        return;
    }
    if (first) {
        group_drop(group->gs, &group->protocol_type);
        group->protocol_type = type;
    }
    member_enter(member);
    say_member(group, member->id, "joins", op->reason);
    group->leader = group->leader == NULL ? member : group->leader;
    group->newcomer = true;
    wait_for_round(member, op);
}

static void static_on_stored(struct group_write *write, int error)
{
    struct group *group = write->group;
    struct join_op *op = EL_CONTAINER(write->answer, struct join_op, base);
    struct member *member = member_by_instance(group, op->instance_id);
    bool still = member != NULL && el_slice_eq(member->id, op->member_id_out);
    char old_leader[MEMBER_ID_LEN_MAX];
    struct el_slice old = el_slice_of(old_leader, op->leader_id.len);
    if (old.len > 0) {
        memcpy(old_leader, op->leader_id.data, old.len);
    }
    group->stored = group->stored || error == 0;
    group_op_release(&op->base);
    op->member_id_out = op->leader_id = (struct el_slice){0}; /* they were in the block */
    if (error != 0 || !still) {
        group_op_finish(&op->base, error != 0 ? error : EVLOG_ERR_FENCED_INSTANCE);
        return;
    }
    /* A leader that cannot skip its work must not know that it leads: the assignments stand. */
    bool leads = group->leader == member;
    bool told = leads && op->skip_assignment;
    struct join_answer answer = {
        .leader_id = group->leader == NULL || (leads && !told) ? old : group->leader->id,
        .with_members = told,
        .skip = told,
    };
    group_answer_join(op, member, &answer);
}

/* In a stable group the new id is stored, and nothing else changes. returns false when a new round is needed */
static bool replace_quietly(struct member *member, struct join_op *op, struct el_slice old_leader)
{
    struct group *group = member->group;
    struct group_write *write;
    if (group->sm.state != GROUP_STABLE || !el_slice_eq(group_choose_protocol(group), group->protocol)) {
        return false;
    }
    member->synced = true;
    member->is_new = false;
    member_alive(member);
    size_t room = EL_ALIGN_UP(member->id.len, 8) + EL_ALIGN_UP(old_leader.len, 8);
    if (!group_op_room(&op->base, room) || group_write_state(group, false, &write) != 0) {
        group_op_release(&op->base);
        group_op_finish(&op->base, EVLOG_ERR_GROUP_UNAVAILABLE);
        return true;
    }
    op->member_id_out = group_op_copy(&op->base, member->id); /* to tell later whether it still has it */
    op->leader_id = group_op_copy(&op->base, old_leader);
    write->answer = &op->base;
    group_write_submit(write, static_on_stored);
    return true;
}

/* Another one with the same instance id takes the place. */
static void replace_static(struct member *member, struct join_op *op, struct el_slice id)
{
    struct group *group = member->group;
    struct join_op *join = member->join;
    struct sync_op *sync = member->sync;
    char text[MEMBER_ID_LEN_MAX];
    struct el_slice old_leader = el_slice_of(text, group->leader == NULL ? 0 : group->leader->id.len);
    if (old_leader.len > 0) {
        memcpy(text, group->leader->id.data, old_leader.len);
    }
    if (join != NULL && group_op_room(&join->base, EL_ALIGN_UP(member->id.len, 8))) {
        join->member_id_out = group_op_copy(&join->base, member->id); /* who is fenced */
    }
    if (member_rename(member, id) != 0 || member_update(member, op) != 0) {
        refuse_memory(group, op);
        return;
    }
    say_member(group, member->id, "takes the place of the member with its instance id", op->reason);
    if (join != NULL) {
        member->join = NULL;
        group->joined_count--;
        join->base.waiter = NULL;
        group_op_finish(&join->base, EVLOG_ERR_FENCED_INSTANCE);
    }
    if (sync != NULL) {
        member->sync = NULL;
        sync->base.waiter = NULL;
        group_op_finish(&sync->base, EVLOG_ERR_FENCED_INSTANCE);
    }
    if (!replace_quietly(member, op, old_leader)) {
        wait_for_round(member, op);
    }
}

static void join_new(struct group *group, struct join_op *op)
{
    char text[MEMBER_ID_LEN_MAX];
    struct el_slice id = member_new_id(group->gs, op, text);
    struct member *member = op->instance_id.data == NULL ? NULL : member_by_instance(group, op->instance_id);
    if (member != NULL) {
        replace_static(member, op, id);
        return;
    }
    bool first_step = op->two_steps && op->instance_id.data == NULL;
    member = member_create(group, id, op);
    if (member == NULL || (first_step && !group_op_room(&op->base, EL_ALIGN_UP(id.len, 8)))) {
        if (member != NULL) {
            member_remove(member, EVLOG_ERR_NO_MEMORY);
        }
        refuse_memory(group, op);
        return;
    }
    if (!first_step) {
        enter(member, op);
        return;
    }
    op->member_id_out = group_op_copy(&op->base, id);
    member_alive(member); /* the reservation lapses */
    group_op_finish(&op->base, EVLOG_ERR_MEMBER_ID_REQUIRED);
}

static void join_again(struct group *group, struct join_op *op)
{
    struct member *member = member_find(group, op->member_id);
    if (member != NULL && member->pending && op->instance_id.data == NULL) {
        enter(member, op);
        return;
    }
    int code = member_check(group, op->member_id, op->instance_id, &member);
    if (code != 0) {
        group_op_finish(&op->base, code);
        return;
    }
    bool same = member_same_protocols(member, op);
    bool current = same && (group->sm.state == GROUP_COMPLETING ||
                            (group->sm.state == GROUP_STABLE && group->leader != member));
    if (current) {
        member_alive(member);
        group_answer_member(op, member);
        return;
    }
    if (member_update(member, op) != 0) {
        refuse_memory(group, op);
        return;
    }
    wait_for_round(member, op);
}

/* Is there room for it? A group that is preparing counts those that have come. */
static bool has_room(struct group *group, const struct join_op *op)
{
    const struct member *member = member_find(group, op->member_id);
    bool known = member != NULL && !member->pending;
    int64_t size_max = group->gs->cfg.size_max;
    switch ((enum group_state)group->sm.state) {
    case GROUP_PREPARING:
        return (known && member->join != NULL) || group->joined_count < size_max;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        return known || group->member_count < size_max;
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
    return true;
}

static void refuse_size(struct group *group, struct join_op *op)
{
    struct member *member = member_find(group, op->member_id);
    metrics_add(group->gs->metrics, METRIC_REFUSED_GROUP_SIZE, 1);
    if (member != NULL) {
        member_remove(member, EVLOG_ERR_GROUP_FULL); /* it only had an id, or was missing in this round */
        group_try_complete(group);
    }
    group_op_finish(&op->base, EVLOG_ERR_GROUP_FULL);
}

/* The member that the op is of, or whose place it takes; NULL: somebody new. */
static const struct member *member_of(struct group *group, const struct join_op *op)
{
    if (op->member_id.len > 0) {
        return member_find(group, op->member_id);
    }
    return op->instance_id.data == NULL ? NULL : member_by_instance(group, op->instance_id);
}

/* Would the metadata of all members, with what this one says now, fit into the group's record? */
static bool metadata_fits(struct group *group, const struct join_op *op)
{
    const struct member *member = member_of(group, op);
    uint64_t len = group->data_len - (member == NULL ? 0 : member->data_len);
    EL_ASSERT(member == NULL || member->data_len <= group->data_len);
    for (uint32_t i = 0; i < op->protocol_count; i++) {
        len += op->protocols[i].name.len + op->protocols[i].metadata.len;
    }
    return len <= GROUP_STATE_LEN_MAX / 2;
}

static void join_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct join_op *op = EL_CONTAINER(base, struct join_op, base);
    if (op->session_ms < gs->cfg.session_min_ms || op->session_ms > gs->cfg.session_max_ms) {
        group_op_finish(base, EVLOG_ERR_SESSION_TIMEOUT);
        return;
    }
    struct group *group = group_find(gs, base->group_id);
    bool unknown = group == NULL && op->member_id.len > 0;
    if (group == NULL && !unknown && part != NULL) {
        group = group_create(gs, part, base->group_id);
    }
    if (group == NULL) {
        metrics_add(gs->metrics, METRIC_REFUSED_GROUP_MEMORY, !unknown);
        group_op_finish(base, unknown ? EVLOG_ERR_UNKNOWN_MEMBER : EVLOG_ERR_NO_MEMORY);
        return;
    }
    if (!has_room(group, op)) {
        refuse_size(group, op);
    } else if (!group_supports(group, op)) {
        group_remove_if_unused(group);
        group_op_finish(base, EVLOG_ERR_GROUP_PROTOCOL);
    } else if (!metadata_fits(group, op)) {
        refuse_metadata(group, op);
    } else if (op->member_id.len == 0) {
        join_new(group, op);
    } else {
        join_again(group, op);
    }
}

void groups_join(struct groups *gs, struct join_op *op)
{
    op->generation = -1;
    op->member_id_out = op->leader_id = op->protocol = op->protocol_type_out = (struct el_slice){0};
    op->skip = false;
    op->members = NULL;
    op->member_count = 0;
    op->base.run = join_run;
    op->base.creates = op->member_id.len == 0;
    group_op_send(gs, &op->base);
}

/* --- heartbeat ---------------------------------------------------------------------------------------------------- */

static int heartbeat(struct group *group, const struct heartbeat_op *op)
{
    struct member *member;
    if (group == NULL) {
        return EVLOG_ERR_UNKNOWN_MEMBER;
    }
    int code = member_check_generation(group, op->member_id, op->instance_id, op->generation, &member);
    if (code != 0) {
        return code;
    }
    member_alive(member);
    return group->sm.state == GROUP_PREPARING ? EVLOG_ERR_REBALANCE : 0;
}

static void heartbeat_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    const struct heartbeat_op *op = EL_CONTAINER(base, struct heartbeat_op, base);
    group_op_finish(base, heartbeat(group_find(gs, base->group_id), op));
}

void groups_heartbeat(struct groups *gs, struct heartbeat_op *op)
{
    op->base.run = heartbeat_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}

/* --- leave -------------------------------------------------------------------------------------------------------- */

static int leave_one(struct group *group, const struct leave_entry *entry)
{
    struct member *member = NULL;
    if (entry->member_id.len == 0) {
        member = entry->instance_id.data == NULL ? NULL : member_by_instance(group, entry->instance_id);
    } else {
        member = member_find(group, entry->member_id);
    }
    bool pending = member != NULL && member->pending;
    if (member != NULL && !pending && entry->member_id.len > 0) {
        int code = member_check(group, entry->member_id, entry->instance_id, &member);
        if (code != 0) {
            return code;
        }
    }
    if (member == NULL) {
        bool replaced = entry->instance_id.data != NULL && member_by_instance(group, entry->instance_id) != NULL;
        return replaced ? EVLOG_ERR_FENCED_INSTANCE : EVLOG_ERR_UNKNOWN_MEMBER;
    }
    if (!pending) {
        say_member(group, member->id, "leaves", entry->reason);
    }
    member_remove(member, EVLOG_ERR_UNKNOWN_MEMBER);
    return 0;
}

static void leave_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct leave_op *op = EL_CONTAINER(base, struct leave_op, base);
    struct group *group = group_find(gs, base->group_id);
    uint32_t before = group == NULL ? 0 : group->member_count;
    bool removed = false;
    for (uint32_t i = 0; i < op->entry_count; i++) {
        op->entries[i].error = group == NULL ? EVLOG_ERR_UNKNOWN_MEMBER : leave_one(group, &op->entries[i]);
        removed = removed || op->entries[i].error == 0;
    }
    bool fewer = group != NULL && group->member_count < before;
    if (fewer || (removed && group->sm.state != GROUP_STABLE && group->sm.state != GROUP_COMPLETING)) {
        group_changed(group, "a member leaves"); /* one who only had an id counts in a round, but begins none */
    }
    group_op_finish(base, 0);
}

void groups_leave(struct groups *gs, struct leave_op *op)
{
    op->base.run = leave_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}
