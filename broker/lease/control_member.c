/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of work groups. They are in memory only: after a restart of evlogd each is told that it is not known, and
 * joins again; what it has leased is not lost by that, for leases belong to its connection.
 *
 *   1. a heartbeat with epoch 0 joins, or joins again; the group is made when there is none
 *   2. whatever changes who may work on what (a member, a subscription, a topic) divides the partitions anew at once
 *      and raises the group's epoch
 *   3. each member hears of it with its next heartbeat, takes the group's epoch over, and says it from then on. The one
 *      before is taken too: the answer may have been lost. Any other epoch is that of somebody who was replaced
 *   4. a member that is silent for the session timeout is removed
 */
#include <lease/control.h>

#include <core/logger.h>

#define NS_PER_MS 1000000u
#define EPOCH_JOINS 0
#define EPOCH_LEAVES (-1)

/* --- finding, making, removing ------------------------------------------------------------------------------------ */

static struct control_member *member_find(struct control_group *group, struct el_slice id)
{
    uint8_t key[sizeof group->number + CONTROL_MEMBER_ID_LEN_MAX];
    EL_ASSERT(id.len > 0);
    EL_ASSERT(id.len <= CONTROL_MEMBER_ID_LEN_MAX);
    memcpy(key, &group->number, sizeof group->number);
    memcpy(key + sizeof group->number, id.data, id.len);
    return el_map_get(&group->ls->control->members, key, sizeof group->number + id.len);
}

static void member_free(struct control_member *member)
{
    struct control_group *group = member->group;
    struct leases *ls = group->ls;
    OBJ_CHECK(member, CONTROL_MEMBER);
    io_timer_cancel(ls->io, &member->session);
    lease_free(ls, member->places);
    member->places = NULL;
    member->place_count = 0;
    control_unsubscribe(member);
    el_list_remove(&member->link);
    group->member_count--;
    metrics_add(ls->metrics, METRIC_WORK_GROUP_MEMBERS, -1);
    el_map_remove(&ls->control->members, member->key.data, member->key.len);
    lease_drop(ls, &member->key);
    lease_drop(ls, &member->rack);
    lease_drop(ls, &member->client_id);
    lease_drop(ls, &member->host);
    member->magic = 0;
    lease_free(ls, member);
}

/* The partitions go to the others; without memory for that they get them later. */
static void member_remove(struct control_member *member)
{
    struct control_group *group = member->group;
    member_free(member);
    (void)control_assign(group);
}

static void member_on_session(struct io_timer *timer)
{
    struct control_member *member = timer->arg;
    struct control_group *group = member->group;
    OBJ_CHECK(member, CONTROL_MEMBER);
    metrics_add(group->ls->metrics, METRIC_WORK_GROUP_MEMBERS_EXPIRED, 1);
    if (lease_may_log(group->ls)) {
        el_log(EL_LOG_INFO, "lease", "work group %.*s: nothing was heard of member %.*s in time: it is removed",
               (int)group->id.len, (const char *)group->id.data, (int)member->id.len, (const char *)member->id.data);
    }
    member_remove(member);
}

static void member_alive(struct control_member *member)
{
    struct io *io = member->group->ls->io;
    uint64_t ms = (uint64_t)group_config_int(control_config(member->group), GROUP_SETTING_SESSION_MS);
    io_timer_set(io, &member->session, io->now_ns + ms * NS_PER_MS);
}

static struct control_member *member_new(struct control_group *group, struct el_slice id)
{
    struct leases *ls = group->ls;
    uint8_t key[sizeof group->number + CONTROL_MEMBER_ID_LEN_MAX];
    struct control_member *member = lease_alloc(ls, sizeof *member);
    memcpy(key, &group->number, sizeof group->number);
    memcpy(key + sizeof group->number, id.data, id.len);
    if (member == NULL || !lease_copy(ls, el_slice_of(key, sizeof group->number + id.len), &member->key)) {
        lease_free(ls, member);
        return NULL;
    }
    if (el_map_put(&ls->control->members, member->key.data, member->key.len, member) != 0) {
        lease_drop(ls, &member->key);
        lease_free(ls, member);
        return NULL;
    }
    member->magic = CONTROL_MEMBER_MAGIC;
    member->group = group;
    member->id = el_slice_of(member->key.data + sizeof group->number, id.len);
    member->session.fire = member_on_session;
    member->session.arg = member;
    el_list_push_back(&group->members, &member->link);
    group->member_count++;
    metrics_add(ls->metrics, METRIC_WORK_GROUP_MEMBERS, 1);
    return member;
}

void control_members_destroy(struct control_group *group)
{
    while (!el_list_empty(&group->members)) {
        member_free(EL_CONTAINER(group->members.next, struct control_member, link));
    }
    EL_ASSERT(group->member_count == 0);
    EL_ASSERT(el_list_empty(&group->topics));
}

void control_members_stop(struct control_group *group)
{
    EL_LIST_EACH(node, &group->members) {
        io_timer_cancel(group->ls->io, &EL_CONTAINER(node, struct control_member, link)->session);
    }
}

/* --- results ------------------------------------------------------------------------------------------------------ */

/* Topics that a member has partitions of; those of one stand next to each other. */
static uint32_t assigned_topics(const struct control_member *member)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < member->place_count; i++) {
        count += i == 0 || member->places[i].topic != member->places[i - 1].topic ? 1 : 0;
    }
    return count;
}

static size_t assignment_len(const struct control_member *member)
{
    uint32_t topics = assigned_topics(member);
    return topics * sizeof(struct share_assignment) + EL_ALIGN_UP(member->place_count * sizeof(int32_t), 8);
}

static uint32_t assignment_take(struct lease_op *op, const struct control_member *member,
                                const struct share_assignment **out)
{
    struct share_assignment *list = lease_op_take(op, assigned_topics(member) * sizeof *list);
    int32_t *partitions = lease_op_take(op, member->place_count * sizeof *partitions);
    uint32_t count = 0;
    for (uint32_t i = 0; i < member->place_count; i++) {
        const struct control_place *place = &member->places[i];
        if (i == 0 || place->topic != member->places[i - 1].topic) {
            list[count++] = (struct share_assignment){.topic_id = place->topic->id, .partitions = &partitions[i]};
        }
        partitions[i] = place->partition;
        list[count - 1].count++;
    }
    *out = list;
    return count;
}

/* --- heartbeat ---------------------------------------------------------------------------------------------------- */

/* Replace a text when another one is said. */
static bool text_take(struct leases *ls, struct el_slice *text, struct el_slice said)
{
    struct el_slice copy = {0};
    if (said.data == NULL || (text->data != NULL && el_slice_eq(*text, said))) {
        return true;
    }
    if (!lease_copy(ls, said, &copy)) {
        return false;
    }
    lease_drop(ls, text);
    *text = copy;
    return true;
}

/* What the member says of itself. *changed: it subscribes to other topics. returns 0 | EVLOG_ERR_NO_MEMORY */
static int member_take(struct control_member *member, const struct share_heartbeat_op *op, bool *changed)
{
    struct leases *ls = member->group->ls;
    if (!text_take(ls, &member->rack, op->rack) || !text_take(ls, &member->client_id, op->client_id) ||
        !text_take(ls, &member->host, op->host)) {
        return EVLOG_ERR_NO_MEMORY;
    }
    return op->topics == NULL ? 0 : control_subscribe(member, op->topics, op->topic_count, changed);
}

static void heartbeat_answer(struct leases *ls, struct share_heartbeat_op *op, struct control_member *member)
{
    struct control_group *group = member->group;
    if (member->epoch != group->epoch) {
        member->previous_epoch = member->epoch;
        member->epoch = group->epoch;
    }
    op->assigned = op->member_epoch != member->epoch;
    if (op->assigned && !lease_op_room(&op->base, 8 + assignment_len(member))) {
        lease_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    if (op->assigned) {
        op->assignment_count = assignment_take(&op->base, member, &op->assignments);
    }
    op->member_epoch_out = member->epoch;
    op->heartbeat_ms = (int32_t)group_config_int(control_config(group), GROUP_SETTING_HEARTBEAT_MS);
    lease_op_finish(&op->base, 0);
}

/* A known member, or a new one that has just been made. */
static void heartbeat_take(struct leases *ls, struct share_heartbeat_op *op, struct control_member *member, bool is_new)
{
    struct control_group *group = member->group;
    bool changed = false;
    member_alive(member);
    int code = member_take(member, op, &changed);
    changed = changed || is_new;
    changed = control_topics_look(group) || changed || group->stale;
    if (code == 0 && changed) {
        code = control_assign(group);
        code = is_new ? code : 0; /* the others go on with what they have */
    }
    if (code != 0) {
        if (is_new) {
            member_free(member);
        }
        metrics_add(ls->metrics, METRIC_REFUSED_WORK_GROUP_MEMORY, 1);
        lease_op_refuse(&op->base, code, "no memory left for work groups: raise group.memory.max or memory.max");
        return;
    }
    heartbeat_answer(ls, op, member);
}

static void heartbeat_join(struct leases *ls, struct share_heartbeat_op *op, struct control_group *group)
{
    struct control_member *member = member_find(group, op->member_id);
    bool is_new = member == NULL;
    if (is_new && group->member_count >= (uint32_t)ls->cfg.members_max) {
        metrics_add(ls->metrics, METRIC_REFUSED_WORK_GROUP_SIZE, 1);
        lease_op_refuse(&op->base, EVLOG_ERR_GROUP_FULL,
                        "the group has %u members, as many as group.share.max.size allows", group->member_count);
        return;
    }
    member = is_new ? member_new(group, op->member_id) : member;
    if (member == NULL) {
        metrics_add(ls->metrics, METRIC_REFUSED_WORK_GROUP_MEMORY, 1);
        lease_op_finish(&op->base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    heartbeat_take(ls, op, member, is_new);
}

static void heartbeat_known(struct leases *ls, struct share_heartbeat_op *op, struct control_group *group)
{
    struct control_member *member = member_find(group, op->member_id);
    if (member == NULL) {
        lease_op_finish(&op->base, EVLOG_ERR_UNKNOWN_MEMBER);
        return;
    }
    if (op->member_epoch == EPOCH_LEAVES) {
        member_remove(member);
        op->member_epoch_out = EPOCH_LEAVES;
        lease_op_finish(&op->base, 0);
        return;
    }
    if (op->member_epoch != member->epoch && op->member_epoch != member->previous_epoch) {
        lease_op_refuse(&op->base, EVLOG_ERR_MEMBER_EPOCH, "the member's epoch is %d, not %d", member->epoch,
                        op->member_epoch);
        return;
    }
    heartbeat_take(ls, op, member, false);
}

static void heartbeat_run(struct leases *ls, struct lease_op *base);

static void heartbeat_on_made(struct leases *ls, struct lease_op *base, int error)
{
    if (error != 0) {
        lease_op_finish(base, error);
    } else {
        heartbeat_run(ls, base);
    }
}

static void heartbeat_run(struct leases *ls, struct lease_op *base)
{
    static const struct group_config none;
    struct share_heartbeat_op *op = EL_CONTAINER(base, struct share_heartbeat_op, base);
    struct control_group *group = NULL;
    if (control_enter(ls, base, false, &group)) {
        return;
    }
    if (group == NULL && op->member_epoch == EPOCH_JOINS) {
        control_change(ls, NULL, base, &none, heartbeat_on_made);
    } else if (group == NULL) {
        lease_op_finish(base, EVLOG_ERR_GROUP_NOT_FOUND);
    } else if (op->member_epoch == EPOCH_JOINS) {
        heartbeat_join(ls, op, group);
    } else {
        heartbeat_known(ls, op, group);
    }
}

/* What cannot be right whatever the group is; on the way there. */
static void heartbeat_check_run(struct leases *ls, struct lease_op *base)
{
    struct share_heartbeat_op *op = EL_CONTAINER(base, struct share_heartbeat_op, base);
    bool joins = op->member_epoch == EPOCH_JOINS;
    if (base->group_id.len == 0 || base->group_id.len > LEASE_GROUP_ID_LEN_MAX) {
        lease_op_refuse(base, EVLOG_ERR_INVALID_GROUP, "the id of a work group has 1 to %u bytes",
                        LEASE_GROUP_ID_LEN_MAX);
    } else if (op->member_id.len == 0 || op->member_id.len > CONTROL_MEMBER_ID_LEN_MAX) {
        lease_op_refuse(base, EVLOG_ERR_INVALID_REQUEST, "a member brings an id of 1 to %u bytes",
                        CONTROL_MEMBER_ID_LEN_MAX);
    } else if (op->member_epoch < EPOCH_LEAVES) {
        lease_op_refuse(base, EVLOG_ERR_INVALID_REQUEST,
                        "a member's epoch is -1 to leave, 0 to join, or what it was told");
    } else if (joins && (op->topics == NULL || op->topic_count == 0)) {
        lease_op_refuse(base, EVLOG_ERR_INVALID_REQUEST, "a member that joins names the topics it subscribes to");
    } else if (op->topics != NULL && op->topic_count > CONTROL_TOPICS_MAX) {
        lease_op_refuse(base, EVLOG_ERR_INVALID_REQUEST, "a member may subscribe to %u topics", CONTROL_TOPICS_MAX);
    } else {
        base->run = heartbeat_run;
        heartbeat_run(ls, base);
    }
}

void leases_heartbeat(struct leases *ls, struct share_heartbeat_op *op)
{
    bool joins = op->member_epoch == EPOCH_JOINS && op->topics != NULL && op->topic_count > 0;
    op->member_epoch_out = 0;
    op->heartbeat_ms = 0;
    op->assigned = false;
    op->assignments = NULL;
    op->assignment_count = 0;
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, joins ? LEASE_OP_CREATES : 0, heartbeat_check_run);
}

/* --- describe ----------------------------------------------------------------------------------------------------- */

static size_t text_len(struct el_slice text)
{
    return EL_ALIGN_UP(text.len, 8);
}

static size_t view_len(const struct control_member *member)
{
    size_t len = sizeof(struct share_member_view) + text_len(member->id) + text_len(member->rack) +
                 text_len(member->client_id) + text_len(member->host) + assignment_len(member) +
                 member->topic_count * sizeof(struct el_slice);
    for (uint32_t i = 0; i < member->topic_count; i++) {
        len += text_len(member->topics[i]->name);
    }
    return len;
}

static void view_fill(struct lease_op *op, struct share_member_view *view, const struct control_member *member)
{
    struct el_slice *topics = lease_op_take(op, member->topic_count * sizeof *topics);
    for (uint32_t i = 0; i < member->topic_count; i++) {
        topics[i] = lease_op_copy(op, member->topics[i]->name);
    }
    view->id = lease_op_copy(op, member->id);
    view->rack = lease_op_copy(op, member->rack);
    view->client_id = lease_op_copy(op, member->client_id);
    view->host = lease_op_copy(op, member->host);
    view->epoch = member->epoch;
    view->topics = topics;
    view->topic_count = member->topic_count;
    view->assignment_count = assignment_take(op, member, &view->assignments);
}

static void describe_run(struct leases *ls, struct lease_op *base)
{
    struct share_describe_op *op = EL_CONTAINER(base, struct share_describe_op, base);
    struct control_group *group = NULL;
    size_t len = 8;
    if (base->group_id.len == 0) {
        lease_op_finish(base, EVLOG_ERR_GROUP_NOT_FOUND);
        return;
    }
    if (control_enter(ls, base, false, &group)) {
        return;
    }
    if (group == NULL) {
        lease_op_finish(base, EVLOG_ERR_GROUP_NOT_FOUND);
        return;
    }
    EL_LIST_EACH(node, &group->members) {
        len += view_len(EL_CONTAINER(node, struct control_member, link));
    }
    if (!lease_op_room(base, len)) {
        lease_op_finish(base, EVLOG_ERR_NO_MEMORY);
        return;
    }
    struct share_member_view *views = lease_op_take(base, group->member_count * sizeof *views);
    EL_LIST_EACH(node, &group->members) {
        view_fill(base, &views[op->member_count++], EL_CONTAINER(node, struct control_member, link));
    }
    op->members = views;
    op->state = group->member_count > 0 ? "Stable" : "Empty";
    op->epoch = group->epoch;
    op->assignment_epoch = group->epoch;
    lease_op_finish(base, 0);
}

void leases_describe(struct leases *ls, struct share_describe_op *op)
{
    op->state = "Dead";
    op->epoch = op->assignment_epoch = 0;
    op->members = NULL;
    op->member_count = 0;
    lease_op_send(ls, &op->base, LEASE_CONTROL_SHARD, 0, describe_run);
}
