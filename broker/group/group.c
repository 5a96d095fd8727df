/* SPDX-License-Identifier: Apache-2.0
 *
 * One group: its states, how it comes and goes, and who has to wait.
 *
 *   Empty                no members; commits at most
 *   PreparingRebalance   members are joining
 *   CompletingRebalance  they have joined and wait for their assignments
 *   Stable               they read
 *   Dead                 for a moment, while it is removed
 *
 * An op that ends a group or some of its commits must be alone: it waits until no write is under way, and whatever
 * comes for the group after it waits behind it.
 */
#include <group/group_state.h>

static void group_check(const void *object, unsigned state)
{
    const struct group *group = object;
    EL_ASSERT(group->magic == GROUP_MAGIC);
    EL_ASSERT(group->joined_count <= group->member_count);
    EL_ASSERT((group->member_count == 0) == el_list_empty(&group->members));
    switch ((enum group_state)state) {
    case GROUP_EMPTY:
        EL_ASSERT(group->member_count == 0);
        EL_ASSERT(group->leader == NULL);
        EL_ASSERT(!group->storing);
        break;
    case GROUP_PREPARING:
        EL_ASSERT(!group->storing);
        break;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        EL_ASSERT(group->member_count > 0);
        EL_ASSERT(group->leader != NULL);
        EL_ASSERT(group->protocol.data != NULL);
        EL_ASSERT(group->joined_count == 0);
        EL_ASSERT(!group->storing);
        break;
    case GROUP_DEAD:
        EL_ASSERT(group->member_count == 0);
        EL_ASSERT(group->pending_count == 0);
        EL_ASSERT(group->offset_count == 0);
        EL_ASSERT(group->writes == 0);
        break;
    case GROUP_STATE_COUNT:
        EL_ASSERT(false);
    }
}

static const struct el_sm_state group_states[GROUP_STATE_COUNT] = {
    [GROUP_EMPTY] = {"Empty", EL_SM_TO(GROUP_PREPARING) | EL_SM_TO(GROUP_DEAD)},
    [GROUP_PREPARING] = {"PreparingRebalance", EL_SM_TO(GROUP_COMPLETING) | EL_SM_TO(GROUP_EMPTY)},
    [GROUP_COMPLETING] = {"CompletingRebalance", EL_SM_TO(GROUP_STABLE) | EL_SM_TO(GROUP_PREPARING)},
    [GROUP_STABLE] = {"Stable", EL_SM_TO(GROUP_PREPARING)},
    [GROUP_DEAD] = {"Dead", 0},
};
const struct el_sm_table group_sm = {"group", group_states, GROUP_STATE_COUNT, group_check};

const char *group_state_word(const struct group *group)
{
    return group == NULL ? group_states[GROUP_DEAD].name : el_sm_name(&group->sm);
}

static void count_state(struct groups *gs, unsigned state, int by)
{
    EL_STATIC_ASSERT(METRIC_GROUPS_STABLE - METRIC_GROUPS_EMPTY == GROUP_STABLE - GROUP_EMPTY, "a row for each state");
    if (state != GROUP_DEAD) {
        gs->state_count[state] += (uint32_t)by;
        metrics_set(gs->metrics, (enum metric_id)(METRIC_GROUPS_EMPTY + state), gs->state_count[state]);
    }
}

void group_move(struct group *group, enum group_state state)
{
    OBJ_CHECK(group, GROUP);
    count_state(group->gs, group->sm.state, -1);
    el_sm_move(&group->sm, group, state);
    count_state(group->gs, state, 1);
}

struct group *group_find(struct groups *gs, struct el_slice id)
{
    return el_map_get(&gs->by_id, id.len == 0 ? (const void *)"" : id.data, id.len);
}

struct group *group_create(struct groups *gs, struct group_partition *part, struct el_slice id)
{
    struct group *group = group_alloc(gs, sizeof *group);
    if (group == NULL) {
        return NULL;
    }
    group->magic = GROUP_MAGIC;
    group->gs = gs;
    group->part = part;
    if (id.len == 0) {
        id = el_slice_str("");
    }
    if (!group_copy(gs, id, &group->id)) {
        group_free(gs, group);
        return NULL;
    }
    if (el_map_put(&gs->by_id, group->id.data, group->id.len, group) != 0) {
        group_drop(gs, &group->id);
        group_free(gs, group);
        return NULL;
    }
    group->number = ++gs->group_number;
    el_sm_init(&group->sm, &group_sm, GROUP_EMPTY);
    count_state(gs, GROUP_EMPTY, 1);
    el_list_init(&group->members);
    el_list_init(&group->pending);
    el_list_init(&group->blocked);
    el_list_init(&group->offsets);
    el_list_push_back(&part->groups, &group->link);
    group->state_ms = group_wall_ms(gs);
    return group;
}

void group_remove(struct group *group)
{
    struct groups *gs = group->gs;
    EL_ASSERT(el_list_empty(&group->blocked));
    EL_ASSERT(el_list_empty(&group->pending));
    EL_ASSERT(el_list_empty(&group->offsets));
    group_move(group, GROUP_DEAD);
    io_timer_cancel(gs->io, &group->timer);
    el_map_remove(&gs->by_id, group->id.data, group->id.len);
    el_list_remove(&group->link);
    group_drop(gs, &group->id);
    group_drop(gs, &group->protocol_type);
    group_drop(gs, &group->protocol);
    group->removed = true;
    group_pin(group);
    group_unpin(group);
}

void group_pin(struct group *group)
{
    OBJ_CHECK(group, GROUP);
    group->pins++;
}

void group_unpin(struct group *group)
{
    OBJ_CHECK(group, GROUP);
    EL_ASSERT(group->pins > 0);
    group->pins--;
    if (group->pins == 0 && group->removed) {
        group->magic = 0;
        group_free(group->gs, group);
    }
}

void group_enter_stable(struct group *group)
{
    EL_ASSERT(group->sm.state == GROUP_EMPTY);
    count_state(group->gs, GROUP_EMPTY, -1);
    el_sm_init(&group->sm, &group_sm, GROUP_STABLE);
    group_check(group, GROUP_STABLE);
    count_state(group->gs, GROUP_STABLE, 1);
}

bool group_remove_if_unused(struct group *group)
{
    bool used = group->sm.state != GROUP_EMPTY || group->stored || group->pending_count > 0 ||
                group->offset_count > 0 || group->writes > 0 || group->exclusive || !el_list_empty(&group->blocked);
    if (!used) {
        group_remove(group);
    }
    return !used;
}

/* --- waiting for writes ------------------------------------------------------------------------------------------- */

bool group_close(struct group *group, struct group_op *op)
{
    EL_ASSERT(!group->exclusive);
    if (group->writes == 0) {
        group->exclusive = true;
        return false;
    }
    el_list_push_front(&group->blocked, &op->link); /* it is the first of those that wait */
    group->halted = true;
    return true;
}

void group_open(struct group *group)
{
    group->exclusive = false;
    group_pin(group);
    while (!group->removed && !group->exclusive && !el_list_empty(&group->blocked)) {
        struct group_op *op = EL_CONTAINER(el_list_pop_front(&group->blocked), struct group_op, link);
        op->unblocked = true;
        group->halted = false;
        group_op_arrive(op);
        if (group->halted) {
            break;
        }
    }
    group_unpin(group);
}

void group_end(struct group *group)
{
    struct el_list waiting;
    el_list_init(&waiting);
    el_list_splice_back(&waiting, &group->blocked);
    while (!el_list_empty(&group->pending)) {
        member_remove(EL_CONTAINER(group->pending.next, struct member, link), EVLOG_ERR_UNKNOWN_MEMBER);
    }
    group->exclusive = false;
    group_remove(group);
    for (struct el_list *node = el_list_pop_front(&waiting); node != NULL; node = el_list_pop_front(&waiting)) {
        group_op_arrive(EL_CONTAINER(node, struct group_op, link));
    }
}

void group_destroy(struct group *group)
{
    group->joined_count = 0;
    group->storing = false;
    group->leader = NULL;
    while (!el_list_empty(&group->members) || !el_list_empty(&group->pending)) {
        struct el_list *list = el_list_empty(&group->members) ? &group->pending : &group->members;
        member_remove(EL_CONTAINER(list->next, struct member, link), EVLOG_ERR_CLOSED);
    }
    while (!el_list_empty(&group->offsets)) {
        group_offset_remove(group, EL_CONTAINER(group->offsets.next, struct group_offset, link));
    }
    count_state(group->gs, group->sm.state, -1);
    el_sm_init(&group->sm, &group_sm, GROUP_EMPTY);
    count_state(group->gs, GROUP_EMPTY, 1);
    group_remove(group);
}
