/* SPDX-License-Identifier: Apache-2.0
 *
 * How commits and groups end: OffsetDelete, DeleteGroups, age, and the deletion of a topic. The ends are written as
 * tombstones and count when they are durable; until then everything else that is asked of the group waits.
 *
 * By age: commits of a group that had members go a while after it became empty, those of a group that never had any a
 * while after the commit; in a stable group of consumers those of topics that nobody in it reads. What is left of a
 * deleted topic goes at the next look, and with its last commit an empty group.
 */
#include <group/group_state.h>

#include <core/logger.h>

#define NS_PER_MS 1000000ull
#define ENDS_MAX 4096u        /* commits ended by one write */
#define LOOK_MAX 20000u       /* commits looked at in one turn of the shard's loop */
#define PAUSE_NS 1000000u     /* between two turns */
#define GONE_AGE_MS_MIN 60000 /* a topic that another shard has just heard of may not be known here yet */

/* --- writing ends ------------------------------------------------------------------------------------------------- */

/* Tombstones for commits, and for the group itself when it ends as a whole. */
static int ends_write(struct group *group, struct group_offset *const *offsets, uint32_t count, bool whole,
                      struct group_write **out)
{
    struct group_write *write;
    size_t len = (count + 1) * group_commit_len(group, 0);
    int code = group_write_new(group, count + whole, len, count * sizeof(struct group_offset *), &write);
    if (code != 0) {
        return code == EVLOG_ERR_TOO_LARGE ? EVLOG_ERR_COMMIT_TOO_LARGE : EVLOG_ERR_GROUP_UNAVAILABLE;
    }
    struct group_offset **items = write->items;
    for (uint32_t i = 0; i < count; i++) {
        items[i] = offsets[i];
        group_write_tombstone(write, &offsets[i]->key);
    }
    if (whole) {
        group_write_tombstone(write, NULL);
    }
    write->item_count = count;
    write->whole = whole;
    *out = write;
    return 0;
}

/* What was written is durable. */
static void ends_apply(struct group_write *write)
{
    struct group_offset **items = write->items;
    for (uint32_t i = 0; i < write->item_count; i++) {
        group_offset_remove(write->group, items[i]);
    }
    if (write->whole) {
        write->group->stored = false;
    }
}

/* --- DeleteGroups ------------------------------------------------------------------------------------------------- */

static void delete_step(struct group *group, struct group_op *op);

static void delete_on_stored(struct group_write *write, int error)
{
    struct group *group = write->group;
    struct group_op *op = write->answer;
    if (error != 0) {
        group_op_finish(op, error);
        group_open(group);
        return;
    }
    ends_apply(write);
    if (!write->whole) {
        delete_step(group, op);
        return;
    }
    if (group_may_log(group->gs)) {
        el_log(EL_LOG_INFO, "group", "group \"%.*s\": deleted", (int)EL_MIN(group->id.len, (size_t)100),
               (const char *)group->id.data);
    }
    group_end(group);
    group_op_finish(op, 0);
}

/* A part of its commits, or the rest and the group. */
static void delete_step(struct group *group, struct group_op *op)
{
    struct group_offset *offsets[ENDS_MAX];
    struct group_write *write;
    uint32_t count = 0;
    EL_ASSERT(group->exclusive);
    EL_LIST_EACH(node, &group->offsets) {
        if (count == ENDS_MAX) {
            break;
        }
        offsets[count++] = EL_CONTAINER(node, struct group_offset, link);
    }
    int code = ends_write(group, offsets, count, count == group->offset_count, &write);
    if (code != 0) {
        group_op_finish(op, code);
        group_open(group);
        return;
    }
    write->answer = op;
    group_write_submit(write, delete_on_stored);
}

static void delete_run(struct groups *gs, struct group_partition *part, struct group_op *op)
{
    struct group *group = group_find(gs, op->group_id);
    (void)part;
    if (group == NULL) {
        group_op_finish(op, EVLOG_ERR_GROUP_NOT_FOUND);
    } else if (group->sm.state != GROUP_EMPTY) {
        group_op_finish(op, EVLOG_ERR_GROUP_NOT_EMPTY);
    } else if (!group_close(group, op)) {
        delete_step(group, op);
    }
}

void groups_delete(struct groups *gs, struct delete_group_op *op)
{
    op->base.run = delete_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}

/* --- OffsetDelete ------------------------------------------------------------------------------------------------- */

static bool is_consumer(const struct group *group)
{
    return el_slice_eq(group->protocol_type, el_slice_str("consumer"));
}

/* May a consumer of the group read this topic? Yes, when nobody can tell. */
static bool subscribed(const struct group *group, struct el_slice topic)
{
    if (group->protocol.data == NULL) {
        return true; /* before the first generation */
    }
    EL_LIST_EACH(node, &group->members) {
        const struct member *member = EL_CONTAINER(node, struct member, link);
        const struct group_protocol *protocol = member->is_new ? NULL : member_protocol(member, group->protocol);
        if (protocol != NULL && group->gs->cfg.subscribes(protocol->metadata, topic) != 0) {
            return true;
        }
    }
    return false;
}

static void offset_delete_on_stored(struct group_write *write, int error)
{
    struct group *group = write->group;
    if (error == 0) {
        ends_apply(write);
    }
    group_op_finish(write->answer, error);
    group_open(group);
}

static void offset_delete_step(struct group *group, struct offset_delete_op *op, struct group_offset **offsets)
{
    struct group_write *write;
    uint32_t count = 0;
    for (uint32_t i = 0; i < op->entry_count; i++) {
        struct offset_delete_entry *entry = &op->entries[i];
        if (entry->error == 0 && group->sm.state != GROUP_EMPTY && subscribed(group, entry->topic)) {
            entry->error = EVLOG_ERR_GROUP_SUBSCRIBED;
        }
        struct group_offset *offset = entry->error != 0 ? NULL
                                                        : group_offset_find(group, &entry->topic_id, entry->partition);
        if (offset == NULL || offset->writes > 0) {
            continue; /* there is none, or it was named before */
        }
        if (count == ENDS_MAX) {
            entry->error = EVLOG_ERR_COMMIT_TOO_LARGE;
            continue;
        }
        offset->writes = 1; /* a mark: the group has no writes under way */
        offsets[count++] = offset;
    }
    for (uint32_t i = 0; i < count; i++) {
        offsets[i]->writes = 0;
    }
    int code = count == 0 ? 0 : ends_write(group, offsets, count, false, &write);
    if (count == 0 || code != 0) {
        group_op_finish(&op->base, code);
        group_open(group);
        return;
    }
    write->answer = &op->base;
    group_write_submit(write, offset_delete_on_stored);
}

static void offset_delete_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct offset_delete_op *op = EL_CONTAINER(base, struct offset_delete_op, base);
    struct group *group = group_find(gs, base->group_id);
    struct group_offset *offsets[ENDS_MAX];
    (void)part;
    if (group == NULL) {
        group_op_finish(base, EVLOG_ERR_GROUP_NOT_FOUND);
    } else if (group->sm.state != GROUP_EMPTY && !is_consumer(group)) {
        group_op_finish(base, EVLOG_ERR_GROUP_NOT_EMPTY);
    } else if (!group_close(group, base)) {
        offset_delete_step(group, op, offsets);
    }
}

void groups_offset_delete(struct groups *gs, struct offset_delete_op *op)
{
    op->base.run = offset_delete_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}

/* --- age ---------------------------------------------------------------------------------------------------------- */

static bool expired(const struct group *group, const struct group_offset *offset, int64_t now_ms)
{
    struct groups *gs = group->gs;
    const struct topic *topic = store_topic_by_id(gs->shard, &offset->key.topic_id);
    int64_t commit_age_ms = now_ms - offset->time_ms;
    if (!offset->committed) {
        return false;
    }
    if (topic == NULL) {
        return commit_age_ms >= GONE_AGE_MS_MIN;
    }
    switch ((enum group_state)group->sm.state) {
    case GROUP_EMPTY:
        return (group->protocol_type.len > 0 ? now_ms - group->state_ms : commit_age_ms) >= gs->cfg.retention_ms;
    case GROUP_STABLE:
        return is_consumer(group) && commit_age_ms >= gs->cfg.retention_ms &&
               !subscribed(group, el_slice_of(topic->name, topic->name_len));
    case GROUP_PREPARING:
    case GROUP_COMPLETING:
    case GROUP_DEAD:
    case GROUP_STATE_COUNT:
        break;
    }
    return false;
}

static void expiry_on_stored(struct group_write *write, int error)
{
    struct group *group = write->group;
    if (error == 0) {
        metrics_add(group->gs->metrics, METRIC_GROUP_OFFSETS_EXPIRED, write->item_count);
        ends_apply(write);
    }
    if (error == 0 && write->whole && group->sm.state == GROUP_EMPTY && group->offset_count == 0) {
        group_end(group);
    } else {
        group_open(group);
    }
}

/* returns how many commits were looked at */
static uint32_t expire_group(struct group *group, int64_t now_ms)
{
    struct group_offset *offsets[ENDS_MAX];
    struct group_write *write;
    uint32_t count = 0, looked = 1;
    if (group->exclusive || group->writes > 0 || !el_list_empty(&group->blocked) || group_remove_if_unused(group)) {
        return looked;
    }
    EL_LIST_EACH(node, &group->offsets) {
        struct group_offset *offset = EL_CONTAINER(node, struct group_offset, link);
        looked++;
        if (count < ENDS_MAX && expired(group, offset, now_ms)) {
            offsets[count++] = offset;
        }
    }
    bool whole = group->sm.state == GROUP_EMPTY && group->pending_count == 0 && count == group->offset_count;
    if ((count > 0 || whole) && ends_write(group, offsets, count, whole, &write) == 0) {
        group->exclusive = true;
        group_write_submit(write, expiry_on_stored);
    }
    return looked;
}

static void expiry_on_timer(struct io_timer *timer)
{
    struct groups *gs = timer->arg;
    OBJ_CHECK(gs, GROUPS);
    int64_t now_ms = group_wall_ms(gs);
    uint32_t looked = 0;
    while (gs->expiry_cursor < gs->by_id.count && looked < LOOK_MAX) {
        struct group *group = gs->by_id.entries[gs->by_id.count - 1 - gs->expiry_cursor].value;
        gs->expiry_cursor++; /* from the end: a removal moves the last one into the hole */
        if (group->part->state == PART_READY) {
            looked += expire_group(group, now_ms);
        }
    }
    bool more = gs->expiry_cursor < gs->by_id.count;
    gs->expiry_cursor = more ? gs->expiry_cursor : 0;
    uint64_t pause_ns = more ? PAUSE_NS : (uint64_t)gs->cfg.check_interval_ms * NS_PER_MS;
    io_timer_set(gs->io, timer, gs->io->now_ns + pause_ns);
}

void group_expiry_start(struct groups *gs)
{
    gs->expiry_timer.fire = expiry_on_timer;
    gs->expiry_timer.arg = gs;
    io_timer_set(gs->io, &gs->expiry_timer, gs->io->now_ns + (uint64_t)gs->cfg.check_interval_ms * NS_PER_MS);
}
