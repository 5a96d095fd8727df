/* SPDX-License-Identifier: Apache-2.0
 *
 * Committed offsets: OffsetCommit and OffsetFetch. How they end: group_expiry.c.
 *
 *   1. a commit is checked against the group, and every offset finds its place in memory: nothing can fail later
 *   2. all offsets of a request are written as one batch
 *   3. when that is durable they count and the request is answered; until then readers get the ones before
 *
 * Offsets are kept by the topic's id: a topic made again under the same name begins without any.
 */
#include <group/group_state.h>

#include <core/utf8.h>

struct commit_item {
    struct group_offset *offset;
    struct group_record_commit commit;
    struct el_slice metadata; /* a copy that the offset takes over */
};

/* --- places ------------------------------------------------------------------------------------------------------- */

static struct group_offset_key key_of(const struct group *group, const struct el_uuid *topic_id, int32_t partition)
{
    return (struct group_offset_key){.group_number = group->number, .topic_id = *topic_id, .partition = partition};
}

struct group_offset *group_offset_find(struct group *group, const struct el_uuid *topic_id, int32_t partition)
{
    struct group_offset_key key = key_of(group, topic_id, partition);
    return el_map_get(&group->gs->offsets, &key, sizeof key);
}

struct group_offset *group_offset_get(struct group *group, const struct el_uuid *topic_id, int32_t partition)
{
    struct groups *gs = group->gs;
    struct group_offset *offset = group_offset_find(group, topic_id, partition);
    if (offset != NULL) {
        return offset;
    }
    offset = group_alloc(gs, sizeof *offset);
    if (offset == NULL) {
        return NULL;
    }
    offset->key = key_of(group, topic_id, partition);
    offset->offset = -1;
    if (el_map_put(&gs->offsets, &offset->key, sizeof offset->key, offset) != 0) {
        group_free(gs, offset);
        return NULL;
    }
    el_list_push_back(&group->offsets, &offset->link);
    group->offset_count++;
    metrics_set(gs->metrics, METRIC_GROUP_OFFSETS, (int64_t)gs->offsets.count);
    return offset;
}

void group_offset_remove(struct group *group, struct group_offset *offset)
{
    struct groups *gs = group->gs;
    EL_ASSERT(offset->writes == 0);
    EL_ASSERT(group->offset_count > 0);
    el_map_remove(&gs->offsets, &offset->key, sizeof offset->key);
    el_list_remove(&offset->link);
    group->offset_count--;
    group_drop(gs, &offset->metadata);
    group_free(gs, offset);
    metrics_set(gs->metrics, METRIC_GROUP_OFFSETS, (int64_t)gs->offsets.count);
}

/* Length as Kafka counts it, in UTF-16 units; a byte that is no UTF-8 is one. */
static int64_t text_len(struct el_slice text)
{
    int64_t units = 0;
    for (size_t pos = 0; pos < text.len; units++) {
        uint32_t point = 0;
        size_t len = el_utf8_next(text.data + pos, text.len - pos, &point);
        units += point >= 0x10000;
        pos += EL_MAX(len, (size_t)1);
    }
    return units;
}

/* --- commit ------------------------------------------------------------------------------------------------------- */

static void item_end(struct group *group, struct commit_item *item, int error)
{
    struct group_offset *offset = item->offset;
    EL_ASSERT(offset->writes > 0);
    offset->writes--;
    if (error == 0) {
        group_drop(group->gs, &offset->metadata);
        offset->metadata = item->metadata;
        offset->committed = true;
        offset->offset = item->commit.offset;
        offset->leader_epoch = item->commit.leader_epoch;
        offset->time_ms = item->commit.time_ms;
        metrics_add(group->gs->metrics, METRIC_GROUP_COMMITS, 1);
        return;
    }
    group_drop(group->gs, &item->metadata);
    if (!offset->committed && offset->writes == 0) {
        group_offset_remove(group, offset);
    }
}

static void commit_end(struct commit_op *op, int error)
{
    for (uint32_t i = 0; i < op->entry_count; i++) {
        op->entries[i].error = op->entries[i].error != 0 ? op->entries[i].error : error;
    }
    group_op_finish(&op->base, 0);
}

static void commit_on_stored(struct group_write *write, int error)
{
    struct commit_item *items = write->items;
    struct commit_op *op = EL_CONTAINER(write->answer, struct commit_op, base);
    for (uint32_t i = 0; i < write->item_count; i++) {
        item_end(write->group, &items[i], error);
    }
    commit_end(op, error);
}

/* Places and copies of everything. returns 0 | EVLOG_ERR_NO_MEMORY, nothing is left then */
static int items_prepare(struct group_write *write, const struct commit_op *op)
{
    struct group *group = write->group;
    struct commit_item *items = write->items;
    int64_t now_ms = group_wall_ms(group->gs);
    for (uint32_t i = 0; i < op->entry_count; i++) {
        const struct commit_entry *entry = &op->entries[i];
        struct commit_item *item = &items[write->item_count];
        struct el_slice metadata = entry->metadata.data == NULL ? el_slice_str("") : entry->metadata;
        if (entry->error != 0) {
            continue;
        }
        item->offset = group_offset_get(group, &entry->topic_id, entry->partition);
        if (item->offset == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        item->offset->writes++;
        write->item_count++;
        group->gs->replacing = item->offset->committed;
        bool copied = group_copy(group->gs, metadata, &item->metadata);
        group->gs->replacing = false;
        if (!copied) {
            return EVLOG_ERR_NO_MEMORY;
        }
        item->commit = (struct group_record_commit){
            .offset = entry->offset,
            .leader_epoch = EL_MAX(entry->leader_epoch, -1),
            .time_ms = now_ms,
            .metadata = item->metadata,
        };
        group_write_commit(write, &item->offset->key, &item->commit);
    }
    return 0;
}

static void commit_store(struct group *group, struct commit_op *op)
{
    struct group_write *write = NULL;
    size_t len = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < op->entry_count; i++) {
        if (op->entries[i].error == 0 && text_len(op->entries[i].metadata) > group->gs->cfg.metadata_len_max) {
            op->entries[i].error = EVLOG_ERR_METADATA_TOO_LARGE;
        }
        if (op->entries[i].error == 0) {
            len += group_commit_len(group, op->entries[i].metadata.len);
            count++;
        }
    }
    if (count == 0) {
        group_remove_if_unused(group);
        commit_end(op, 0);
        return;
    }
    int code = group_write_new(group, count, len, count * sizeof(struct commit_item), &write);
    if (code == 0) {
        code = items_prepare(write, op);
        for (uint32_t i = 0; code != 0 && i < write->item_count; i++) {
            item_end(group, &((struct commit_item *)write->items)[i], code);
        }
    }
    if (code == 0) {
        write->answer = &op->base;
        group_write_submit(write, commit_on_stored);
        return;
    }
    if (write != NULL) {
        group_write_drop(write);
    }
    metrics_add(group->gs->metrics, METRIC_REFUSED_GROUP_MEMORY, 1);
    group_remove_if_unused(group);
    commit_end(op, code == EVLOG_ERR_TOO_LARGE ? EVLOG_ERR_COMMIT_TOO_LARGE : EVLOG_ERR_GROUP_UNAVAILABLE);
}

/* May it commit? A sign of life, too. */
static int commit_check(struct group *group, const struct commit_op *op)
{
    bool nobody = op->generation < 0 && op->member_id.len == 0 && op->instance_id.data == NULL;
    if (op->generation < 0 && group->sm.state == GROUP_EMPTY) {
        return 0;
    }
    if (nobody) {
        return EVLOG_ERR_UNKNOWN_MEMBER;
    }
    struct member *member;
    int code = member_check_generation(group, op->member_id, op->instance_id, op->generation, &member);
    if (code != 0) {
        return code;
    }
    member_alive(member);
    return group->sm.state == GROUP_COMPLETING ? EVLOG_ERR_REBALANCE : 0;
}

static void commit_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct commit_op *op = EL_CONTAINER(base, struct commit_op, base);
    struct group *group = group_find(gs, base->group_id);
    int code = 0;
    if (group == NULL && op->generation >= 0) {
        code = EVLOG_ERR_GROUP_NOT_FOUND;
    } else if (group == NULL) {
        group = part == NULL ? NULL : group_create(gs, part, base->group_id);
        code = group == NULL ? EVLOG_ERR_GROUP_UNAVAILABLE : 0;
        metrics_add(gs->metrics, METRIC_REFUSED_GROUP_MEMORY, group == NULL);
    } else {
        code = commit_check(group, op);
    }
    if (code != 0) {
        commit_end(op, code);
        return;
    }
    commit_store(group, op);
}

void groups_commit(struct groups *gs, struct commit_op *op)
{
    op->base.run = commit_run;
    op->base.creates = op->generation < 0;
    group_op_send(gs, &op->base);
}

/* --- fetch -------------------------------------------------------------------------------------------------------- */

static void view_fill(struct offsets_op *op, struct offset_view *view, const struct group_offset *offset)
{
    view->offset = offset->offset;
    view->leader_epoch = offset->leader_epoch;
    view->metadata = group_op_copy(&op->base, offset->metadata);
}

static int fetch_asked(struct group *group, struct offsets_op *op)
{
    size_t len = 8;
    for (uint32_t i = 0; i < op->view_count; i++) {
        struct offset_view *view = &op->views[i];
        const struct group_offset *offset = group_offset_find(group, &view->topic_id, view->partition);
        len += offset == NULL ? 0 : EL_ALIGN_UP(offset->metadata.len, 8);
    }
    if (!group_op_room(&op->base, len)) {
        return EVLOG_ERR_GROUP_UNAVAILABLE;
    }
    for (uint32_t i = 0; i < op->view_count; i++) {
        struct offset_view *view = &op->views[i];
        const struct group_offset *offset = group_offset_find(group, &view->topic_id, view->partition);
        if (offset != NULL && offset->committed) {
            view_fill(op, view, offset);
        }
    }
    return 0;
}

static int fetch_all(struct group *group, struct offsets_op *op)
{
    size_t len = 8 + group->offset_count * sizeof(struct offset_view);
    EL_LIST_EACH(node, &group->offsets) {
        len += EL_ALIGN_UP(EL_CONTAINER(node, struct group_offset, link)->metadata.len, 8);
    }
    if (!group_op_room(&op->base, len)) {
        return EVLOG_ERR_GROUP_UNAVAILABLE;
    }
    op->views = group_op_take(&op->base, group->offset_count * sizeof(struct offset_view));
    EL_LIST_EACH(node, &group->offsets) {
        const struct group_offset *offset = EL_CONTAINER(node, struct group_offset, link);
        if (offset->committed) {
            struct offset_view *view = &op->views[op->view_count++];
            view->topic_id = offset->key.topic_id;
            view->partition = offset->key.partition;
            view_fill(op, view, offset);
        }
    }
    return 0;
}

static void offsets_run(struct groups *gs, struct group_partition *part, struct group_op *base)
{
    struct offsets_op *op = EL_CONTAINER(base, struct offsets_op, base);
    struct group *group = group_find(gs, base->group_id);
    int code = 0;
    (void)part;
    if (group != NULL) {
        code = op->all ? fetch_all(group, op) : fetch_asked(group, op);
    }
    group_op_finish(base, code);
}

void groups_offsets(struct groups *gs, struct offsets_op *op)
{
    for (uint32_t i = 0; !op->all && i < op->view_count; i++) {
        op->views[i].offset = -1;
        op->views[i].leader_epoch = -1;
        op->views[i].metadata = el_slice_str("");
    }
    if (op->all) {
        op->views = NULL;
        op->view_count = 0;
    }
    op->base.run = offsets_run;
    op->base.creates = false;
    group_op_send(gs, &op->base);
}
