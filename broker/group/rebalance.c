/* SPDX-License-Identifier: Apache-2.0
 *
 * Rounds of a group: from the wish for a new generation to the answers of all joins.
 *
 *   1. a member comes, changes or goes: the group prepares. Those who waited for assignments are told to join again;
 *      the others learn it from their heartbeats
 *   2. the round is over when all members have joined again and nobody is known who has only got an id yet; or at the
 *      largest rebalance timeout. A group that was empty waits for more members first, whoever is there
 *   3. members that have not joined are removed, but for static ones, whose session decides; the generation rises; the
 *      strategy and the leader are chosen; every join is answered, the leader's with the list of members
 *   4. without members the group is empty, which is stored
 *   5. a member that does not ask for its assignment within the rebalance timeout is removed
 */
#include <group/group_state.h>

#include <core/logger.h>

#define NS_PER_MS 1000000ull
#define RETRY_NS 1000000000ull /* without memory for the name of a strategy */

static void group_on_timer(struct io_timer *timer);

static uint64_t rebalance_ns(const struct group *group)
{
    int32_t most_ms = 0;
    EL_LIST_EACH(node, &group->members) {
        const struct member *member = EL_CONTAINER(node, struct member, link);
        most_ms = EL_MAX(most_ms, member->rebalance_ms);
    }
    return (uint64_t)most_ms * NS_PER_MS;
}

static void timer_set(struct group *group, uint64_t ns)
{
    struct groups *gs = group->gs;
    if (gs->stopping) {
        return;
    }
    group->timer.fire = group_on_timer;
    group->timer.arg = group;
    io_timer_set(gs->io, &group->timer, gs->io->now_ns + ns);
}

static void say(struct group *group, const char *what, struct el_slice who, const char *why)
{
    if (group_may_log(group->gs)) {
        el_log(EL_LOG_INFO, "group", "group \"%.*s\" generation %d: %s%.*s%s%s",
               (int)EL_MIN(group->id.len, (size_t)100), (const char *)group->id.data, group->generation, what,
               (int)EL_MIN(who.len, (size_t)100), who.len == 0 ? "" : (const char *)who.data, why[0] == 0 ? "" : ": ",
               why);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static size_t room(struct el_slice text)
{
    return EL_ALIGN_UP(text.len, 8);
}

static size_t answer_len(const struct group *group, const struct member *member, const struct join_answer *answer)
{
    size_t len = room(member->id) + room(answer->leader_id) + room(group->protocol) + room(group->protocol_type);
    if (!answer->with_members) {
        return len;
    }
    EL_LIST_EACH(node, &group->members) {
        const struct member *other = EL_CONTAINER(node, struct member, link);
        const struct group_protocol *protocol = member_protocol(other, group->protocol);
        len += sizeof(struct group_member_view) + room(other->id) + room(other->instance_id);
        len += protocol == NULL ? 0 : room(protocol->metadata);
    }
    return len + 8;
}

static void answer_members(struct join_op *op, const struct group *group)
{
    struct group_member_view *views = group_op_take(&op->base, group->member_count * sizeof *views);
    op->members = views;
    EL_LIST_EACH(node, &group->members) {
        const struct member *other = EL_CONTAINER(node, struct member, link);
        const struct group_protocol *protocol = member_protocol(other, group->protocol);
        struct group_member_view *view = &views[op->member_count++];
        view->id = group_op_copy(&op->base, other->id);
        view->instance_id = group_op_copy(&op->base, other->instance_id);
        view->metadata = protocol == NULL ? el_slice_str("") : group_op_copy(&op->base, protocol->metadata);
    }
}

void group_answer_join(struct join_op *op, const struct member *member, const struct join_answer *answer)
{
    const struct group *group = member->group;
    if (!group_op_room(&op->base, answer_len(group, member, answer))) {
        group_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    op->generation = group->generation;
    op->member_id_out = group_op_copy(&op->base, member->id);
    op->leader_id = group_op_copy(&op->base, answer->leader_id);
    op->protocol = group_op_copy(&op->base, group->protocol);
    op->protocol_type_out = group_op_copy(&op->base, group->protocol_type);
    op->skip = answer->skip;
    if (answer->with_members) {
        answer_members(op, group);
    }
    group_op_finish(&op->base, 0);
}

void group_answer_member(struct join_op *op, const struct member *member)
{
    const struct group *group = member->group;
    struct join_answer answer = {
        .leader_id = group->leader == NULL ? el_slice_str("") : group->leader->id,
        .with_members = group->leader == member,
    };
    group_answer_join(op, member, &answer);
}

/* --- the end of a round ------------------------------------------------------------------------------------------- */

static void emptied_on_stored(struct group_write *write, int error)
{
    write->group->stored = write->group->stored || error == 0;
}

/* Every member of a round has its number, so that it may begin again. */
static void generation_next(struct group *group)
{
    group->generation = group->generation == INT32_MAX ? 1 : group->generation + 1;
}

/* The last member has gone: its generation and the time are kept, for the age of commits. */
static void complete_empty(struct group *group)
{
    struct group_write *write;
    generation_next(group);
    group->state_ms = group_wall_ms(group->gs);
    group_drop(group->gs, &group->protocol);
    group_move(group, GROUP_EMPTY);
    say(group, "empty", (struct el_slice){0}, "");
    /* Nobody waits for it: after a crash the members are there again and expire. */
    if (!group->gs->stopping && group_write_state(group, false, &write) == 0) {
        group_write_submit(write, emptied_on_stored);
    }
}

static void remove_absent(struct group *group)
{
    EL_LIST_EACH_SAFE(node, next, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        if (member->join == NULL && member->instance_id.data == NULL) {
            say(group, "removed ", member->id, "did not join in time");
            metrics_add(group->gs->metrics, METRIC_GROUP_MEMBERS_EXPIRED, 1);
            member_remove(member, EVLOG_ERR_UNKNOWN_MEMBER);
        }
    }
}

/* The leader stays as long as it joins, else the first that did. returns false when nobody has */
static bool choose_leader(struct group *group)
{
    if (group->leader != NULL && group->leader->join != NULL) {
        return true;
    }
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        if (member->join != NULL) {
            group->leader = member;
            return true;
        }
    }
    return false;
}

static void answer_all(struct group *group)
{
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        struct join_op *op = member->join;
        member->synced = false;
        if (op == NULL) {
            continue;
        }
        member->join = NULL;
        member->is_new = false;
        op->base.waiter = NULL;
        member_alive(member);
        group_answer_member(op, member);
    }
}

static void complete(struct group *group)
{
    struct groups *gs = group->gs;
    struct el_slice protocol;
    EL_ASSERT(group->sm.state == GROUP_PREPARING);
    group->initial = false;
    io_timer_cancel(gs->io, &group->timer);
    remove_absent(group);
    if (group->member_count == 0) {
        complete_empty(group);
        return;
    }
    if (!choose_leader(group)) {
        timer_set(group, rebalance_ns(group)); /* static members all, and none is here: their sessions decide */
        return;
    }
    if (!group_copy(gs, group_choose_protocol(group), &protocol)) {
        timer_set(group, RETRY_NS);
        return;
    }
    EL_ASSERT(protocol.data != NULL); /* group_supports() lets nobody in who has none in common */
    group_drop(gs, &group->protocol);
    group->protocol = protocol;
    generation_next(group);
    group->joined_count = 0;
    group_move(group, GROUP_COMPLETING);
    metrics_add(gs->metrics, METRIC_GROUP_REBALANCES, 1);
    if (group_may_log(gs)) {
        el_log(EL_LOG_INFO, "group", "group \"%.*s\" generation %d: %u members, strategy %.*s",
               (int)EL_MIN(group->id.len, (size_t)100), (const char *)group->id.data, group->generation,
               group->member_count, (int)EL_MIN(protocol.len, (size_t)100), (const char *)protocol.data);
    }
    timer_set(group, rebalance_ns(group));
    answer_all(group);
}

void group_try_complete(struct group *group)
{
    bool all = group->joined_count == group->member_count && group->pending_count == 0;
    if (group->sm.state == GROUP_PREPARING && !group->initial && all) {
        complete(group);
    }
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

void group_prepare(struct group *group, const char *why)
{
    struct groups *gs = group->gs;
    uint64_t wait_ns = rebalance_ns(group);
    uint64_t delay_ns = (uint64_t)gs->cfg.initial_delay_ms * NS_PER_MS;
    group->initial = group->sm.state == GROUP_EMPTY && delay_ns > 0;
    group_end_syncs(group, EVLOG_ERR_REBALANCE);
    say(group, "rebalance", (struct el_slice){0}, why);
    group_move(group, GROUP_PREPARING);
    if (group->initial) {
        group->newcomer = false;
        group->initial_left_ns = wait_ns > delay_ns ? wait_ns - delay_ns : 0;
        timer_set(group, delay_ns);
        return;
    }
    timer_set(group, wait_ns);
    group_try_complete(group);
}

void group_changed(struct group *group, const char *why)
{
    switch ((enum group_state)group->sm.state) {
    case GROUP_STABLE:
    case GROUP_COMPLETING:
        group_prepare(group, why);
        break;
    case GROUP_PREPARING:
        group_try_complete(group);
        break;
    case GROUP_EMPTY:
        group_remove_if_unused(group);
        break;
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        EL_ASSERT(false);
    }
}

/* --- timers ------------------------------------------------------------------------------------------------------- */

/* The wait for more members is over, or is extended because some have come. */
static void initial_over(struct group *group)
{
    uint64_t delay_ns = EL_MIN((uint64_t)group->gs->cfg.initial_delay_ms * NS_PER_MS, group->initial_left_ns);
    if (group->newcomer && delay_ns > 0) {
        group->newcomer = false;
        group->initial_left_ns -= delay_ns;
        timer_set(group, delay_ns);
        return;
    }
    complete(group);
}

/* Members that have joined and do not ask for their assignment. */
static void remove_unsynced(struct group *group)
{
    bool removed = false;
    EL_LIST_EACH_SAFE(node, next, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        if (!member->synced) {
            say(group, "removed ", member->id, "did not ask for its assignment in time");
            metrics_add(group->gs->metrics, METRIC_GROUP_MEMBERS_EXPIRED, 1);
            member_remove(member, EVLOG_ERR_UNKNOWN_MEMBER);
            removed = true;
        }
    }
    if (removed) {
        group_prepare(group, "a member did not ask for its assignment");
    }
}

static void group_on_timer(struct io_timer *timer)
{
    struct group *group = timer->arg;
    OBJ_CHECK(group, GROUP);
    switch ((enum group_state)group->sm.state) {
    case GROUP_PREPARING:
        if (group->initial) {
            initial_over(group);
        } else {
            complete(group);
        }
        break;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        remove_unsynced(group);
        break;
    case GROUP_EMPTY:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
}

void group_member_expired(struct member *member)
{
    struct group *group = member->group;
    bool pending = member->pending;
    if (!pending) {
        say(group, "removed ", member->id, "nothing was heard of it for its session timeout");
        metrics_add(group->gs->metrics, METRIC_GROUP_MEMBERS_EXPIRED, 1);
    }
    member_remove(member, EVLOG_ERR_UNKNOWN_MEMBER);
    if (!pending) {
        group_changed(group, "a member is gone");
    } else if (group->sm.state == GROUP_PREPARING) {
        group_try_complete(group);
    } else {
        group_remove_if_unused(group);
    }
}

void group_member_cancelled(struct member *member, struct group_op *op)
{
    OBJ_CHECK(member, MEMBER);
    EL_ASSERT(op->waiter == member);
    op->waiter = NULL;
    if (member->join != NULL && &member->join->base == op) {
        EL_ASSERT(member->group->joined_count > 0);
        member->join = NULL;
        member->group->joined_count--;
    } else {
        EL_ASSERT(member->sync != NULL);
        EL_ASSERT(&member->sync->base == op);
        member->sync = NULL;
    }
    member_alive(member); /* from now on it must say something again */
}

void group_restored(struct group *group)
{
    EL_LIST_EACH(node, &group->members) {
        struct member *member = EL_CONTAINER(node, struct member, link);
        member->synced = true;
        member_alive(member);
    }
}
