/* SPDX-License-Identifier: Apache-2.0
 *
 * The groups of a shard: their memory, and the way of an op to its group and back.
 *
 *   1. the group's id gives the partition of __consumer_offsets, the partition its shard; the op is posted there. The
 *      topic is made when the first op that needs it comes
 *   2. while the partition is being read the op is refused as loading; of a topic made just now it waits instead
 *   3. an op for a group that is being deleted, or for which another waits for the end of writes, waits behind it
 *   4. the op runs, and is answered now or later; results lie in a block of this shard's memory that comes back when
 *      the origin has used it
 *
 * A cancel travels behind its op and comes back too: the op's memory is used by both, so done waits for both.
 */
#include <group/group_state.h>

#include <core/logger.h>
#include <core/utf8.h>

/* Results of an op. */
struct group_block {
    struct io_message message; /* way home */
    struct groups *gs;         /* whose buddy it is from */
    size_t len, used;          /* bytes of data */
    _Alignas(16) uint8_t data[];
};

/* --- results ------------------------------------------------------------------------------------------------------ */

bool group_op_room(struct group_op *op, size_t len)
{
    EL_ASSERT(op->block == NULL);
    struct group_block *block = el_buddy_alloc(op->owner->buddy, sizeof *block + len);
    if (block == NULL) {
        return false;
    }
    memset(block, 0, sizeof *block);
    block->gs = op->owner;
    block->len = len;
    op->block = block;
    return true;
}

void *group_op_take(struct group_op *op, size_t len)
{
    struct group_block *block = op->block;
    size_t room = EL_ALIGN_UP(len, 8);
    EL_ASSERT(block != NULL);
    EL_ASSERT(room <= block->len - block->used);
    void *out = block->data + block->used;
    block->used += room;
    memset(out, 0, room);
    return out;
}

struct el_slice group_op_copy(struct group_op *op, struct el_slice in)
{
    if (in.len == 0) {
        return in.data == NULL ? in : el_slice_str("");
    }
    void *copy = group_op_take(op, in.len);
    memcpy(copy, in.data, in.len);
    return el_slice_of(copy, in.len);
}

static void block_home(struct io_message *message)
{
    struct group_block *block = EL_CONTAINER(message, struct group_block, message);
    el_buddy_free(block->gs->buddy, block);
}

void group_op_release(struct group_op *op)
{
    struct group_block *block = op->block;
    op->block = NULL;
    if (block == NULL) {
        return;
    }
    if (block->gs == op->origin) {
        el_buddy_free(block->gs->buddy, block);
        return;
    }
    block->message.run = block_home;
    io_post(block->gs->io, &block->message);
}

/* --- the way back ------------------------------------------------------------------------------------------------- */

/* Back on the origin: when a cancel is on its way, done waits for its return. */
static void op_deliver(struct group_op *op)
{
    op->ended = true;
    if (!op->cancel_sent || op->cancel_back) {
        op->done(op);
    }
}

static void op_on_return(struct io_message *message)
{
    op_deliver(EL_CONTAINER(message, struct group_op, message));
}

void group_op_finish(struct group_op *op, int error)
{
    EL_ASSERT(op->at_owner);
    EL_ASSERT(op->waiter == NULL);
    EL_ASSERT(el_list_empty(&op->link));
    op->at_owner = false;
    op->error = error;
    if (op->owner == op->origin) {
        op_deliver(op);
        return;
    }
    op->message.run = op_on_return;
    io_post(op->origin->io, &op->message);
}

/* --- the way there ------------------------------------------------------------------------------------------------ */

static struct group_partition *partition_find(struct groups *gs, int32_t index)
{
    return el_map_get(&gs->partitions, &index, sizeof index);
}

static struct group_partition *partition_create(struct groups *gs, int32_t index, const struct topic *topic,
                                                bool patient)
{
    struct group_partition *part = el_buddy_alloc(gs->buddy, sizeof *part);
    if (part == NULL) {
        return NULL;
    }
    *part = (struct group_partition){.gs = gs, .index = index, .patient = patient, .topic_id = topic->id};
    el_list_init(&part->waiting);
    el_list_init(&part->groups);
    if (el_map_put(&gs->partitions, &part->index, sizeof part->index, part) != 0) {
        el_buddy_free(gs->buddy, part);
        return NULL;
    }
    metrics_add(gs->metrics, METRIC_GROUP_LOADING, 1);
    group_load_start(part);
    return part;
}

static void op_dispatch(struct groups *gs, struct group_partition *part, struct group_op *op)
{
    struct group *group = group_find(gs, op->group_id);
    if (group != NULL && (group->exclusive || (!op->unblocked && !el_list_empty(&group->blocked)))) {
        el_list_push_back(&group->blocked, &op->link);
        return;
    }
    op->run(gs, part, op);
}

/* At the shard that the group lives on. */
void group_op_arrive(struct group_op *op)
{
    struct groups *gs = op->owner;
    OBJ_CHECK(gs, GROUPS);
    op->at_owner = true;
    if (gs->stopping) {
        group_op_finish(op, EVLOG_ERR_CLOSED);
        return;
    }
    if (op->whole_shard) {
        op->run(gs, NULL, op);
        return;
    }
    const struct topic *topic = store_topic_by_name(gs->shard, el_slice_str(GROUPS_TOPIC));
    int32_t index = topic == NULL ? -1 : groups_partition_of(op->group_id, topic->partition_count);
    struct group_partition *part = topic == NULL ? NULL : partition_find(gs, index);
    if (part == NULL && topic != NULL) {
        part = partition_create(gs, index, topic, true);
    }
    if (part == NULL || part->state == PART_FAILED) {
        group_op_finish(op, EVLOG_ERR_GROUP_UNAVAILABLE);
    } else if (part->state == PART_READY) {
        op_dispatch(gs, part, op);
    } else if (part->patient) {
        el_list_push_back(&part->waiting, &op->link);
    } else {
        group_op_finish(op, EVLOG_ERR_GROUP_LOADING);
    }
}

static void op_on_arrive(struct io_message *message)
{
    group_op_arrive(EL_CONTAINER(message, struct group_op, message));
}

static void op_carry(struct group_op *op, struct groups *owner)
{
    op->owner = owner;
    if (owner == op->origin) {
        group_op_arrive(op);
        return;
    }
    op->message.run = op_on_arrive;
    io_post(owner->io, &op->message);
}

/* --- the topic ---------------------------------------------------------------------------------------------------- */

static void op_route(struct groups *gs, struct group_op *op, bool made);

static void create_on_done(struct store_op *base)
{
    struct groups *gs = base->arg;
    struct el_list waiting;
    OBJ_CHECK(gs, GROUPS);
    gs->creating = false;
    if (base->error != 0 && base->error != EVLOG_ERR_TOPIC_EXISTS && group_may_log(gs)) {
        el_log(EL_LOG_WARN, "group", "cannot make the topic %s: %s", GROUPS_TOPIC,
               gs->create_op.message[0] != 0 ? gs->create_op.message : evlog_error_text(base->error));
    }
    el_list_init(&waiting);
    el_list_splice_back(&waiting, &gs->create_waiting);
    for (struct el_list *node = el_list_pop_front(&waiting); node != NULL; node = el_list_pop_front(&waiting)) {
        op_route(gs, EL_CONTAINER(node, struct group_op, link), true);
    }
}

static void create_topic(struct groups *gs)
{
    topic_config_init_kept(&gs->create_config, false);
    gs->creating = true;
    gs->create_op = (struct topic_op){
        .base = {.done = create_on_done, .arg = gs},
        .verb = TOPIC_CREATE,
        .name = el_slice_str(GROUPS_TOPIC),
        .partition_count = gs->cfg.partition_count,
        .internal = true,
        .config = &gs->create_config,
    };
    store_topic_change(gs->shard, &gs->create_op);
}

/* made: the topic has been made for it, or could not be. */
static void op_route(struct groups *gs, struct group_op *op, bool made)
{
    const struct topic *topic = store_topic_by_name(gs->shard, el_slice_str(GROUPS_TOPIC));
    if (topic != NULL) {
        op->at_owner = false;
        op_carry(op, gs->peers[topic->shard_of[groups_partition_of(op->group_id, topic->partition_count)]]);
        return;
    }
    op->owner = gs;
    op->at_owner = true;
    if (gs->stopping || made) {
        group_op_finish(op, gs->stopping ? EVLOG_ERR_CLOSED : EVLOG_ERR_GROUP_UNAVAILABLE);
        return;
    }
    if (!op->creates) {
        op->run(gs, NULL, op); /* no group exists */
        return;
    }
    el_list_push_back(&gs->create_waiting, &op->link);
    if (!gs->creating) {
        create_topic(gs);
    }
}

static void op_begin(struct groups *gs, struct group_op *op)
{
    OBJ_CHECK(gs, GROUPS);
    EL_ASSERT(op->done != NULL);
    EL_ASSERT(op->run != NULL);
    el_list_init(&op->link);
    op->origin = gs;
    op->waiter = NULL;
    op->block = NULL;
    op->error = 0;
    op->unblocked = op->at_owner = op->cancel_sent = op->cancel_back = op->ended = false;
}

void group_op_send(struct groups *gs, struct group_op *op)
{
    op_begin(gs, op);
    op->whole_shard = false;
    op_route(gs, op, false);
}

void group_op_send_shard(struct groups *gs, struct group_op *op, uint32_t shard)
{
    op_begin(gs, op);
    op->whole_shard = true;
    op_carry(op, gs->peers[shard]);
}

/* --- cancels ------------------------------------------------------------------------------------------------------ */

static void cancel_at_owner(struct group_op *op)
{
    if (!op->at_owner) {
        return;
    }
    if (op->waiter != NULL) {
        group_member_cancelled(op->waiter, op);
    } else if (el_list_empty(&op->link)) {
        return; /* a write is under way for it, which ends soon */
    }
    el_list_remove(&op->link);
    group_op_finish(op, EVLOG_ERR_CLOSED);
}

static void cancel_on_return(struct io_message *message)
{
    struct group_op *op = EL_CONTAINER(message, struct group_op, cancel_message);
    op->cancel_back = true;
    if (op->ended) {
        op->done(op);
    }
}

static void cancel_on_arrive(struct io_message *message)
{
    struct group_op *op = EL_CONTAINER(message, struct group_op, cancel_message);
    struct io *origin = op->origin->io;
    cancel_at_owner(op);
    message->run = cancel_on_return;
    io_post(origin, message);
}

void groups_cancel(struct group_op *op)
{
    if (op->cancel_sent || op->ended) {
        return;
    }
    if (op->owner == op->origin) {
        cancel_at_owner(op);
        return;
    }
    op->cancel_sent = true;
    op->cancel_message.run = cancel_on_arrive;
    io_post(op->owner->io, &op->cancel_message);
}

void group_partition_loaded(struct group_partition *part, int error)
{
    struct groups *gs = part->gs;
    struct el_list waiting;
    EL_ASSERT(part->state == PART_LOADING);
    part->state = error == 0 ? PART_READY : PART_FAILED;
    metrics_add(gs->metrics, METRIC_GROUP_LOADING, -1);
    metrics_add(gs->metrics, METRIC_GROUP_FAILED, error != 0);
    el_list_init(&waiting);
    el_list_splice_back(&waiting, &part->waiting);
    for (struct el_list *node = el_list_pop_front(&waiting); node != NULL; node = el_list_pop_front(&waiting)) {
        group_op_arrive(EL_CONTAINER(node, struct group_op, link));
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

int32_t groups_partition_of(struct el_slice group_id, int32_t partition_count)
{
    /* Java's String.hashCode() over UTF-16; bytes that are no UTF-8 count as the replacement character. */
    uint32_t hash = 0;
    size_t pos = 0;
    EL_ASSERT(partition_count > 0);
    while (pos < group_id.len) {
        uint32_t point = 0xfffd;
        size_t len = el_utf8_next(group_id.data + pos, group_id.len - pos, &point);
        if (len == 0) {
            len = 1;
            point = 0xfffd;
        }
        pos += len;
        if (point >= 0x10000) {
            hash = hash * 31 + (0xd800 + ((point - 0x10000) >> 10));
            point = 0xdc00 + ((point - 0x10000) & 0x3ff);
        }
        hash = hash * 31 + point;
    }
    int32_t value = (int32_t)hash;
    value = value == INT32_MIN ? 0 : value < 0 ? -value : value;
    return value % partition_count;
}

void groups_init(struct groups *gs, struct store_shard *shard, struct groups *const *peers,
                 const struct groups_config *cfg)
{
    *gs = (struct groups){
        .magic = GROUPS_MAGIC,
        .shard = shard,
        .io = store_shard_io(shard),
        .buddy = store_shard_buddy(shard),
        .metrics = store_shard_metrics(shard),
        .peers = peers,
        .cfg = *cfg,
    };
    el_list_init(&gs->create_waiting);
    struct el_map *maps[] = {&gs->partitions, &gs->by_id, &gs->members, &gs->offsets};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        el_map_init(maps[i], gs->buddy);
    }
    for (uint32_t i = 0; i < GROUPS_CLASSES; i++) {
        el_pool_init(&gs->classes[i], gs->buddy, GROUP_CLASS_LEN_MIN << i);
    }
}

void groups_configure(struct groups *gs, const struct groups_config *cfg)
{
    OBJ_CHECK(gs, GROUPS);
    gs->cfg = *cfg;
}

void groups_start(struct groups *gs)
{
    OBJ_CHECK(gs, GROUPS);
    const struct topic *topic = store_topic_by_name(gs->shard, el_slice_str(GROUPS_TOPIC));
    uint32_t index = store_shard_index(gs->shard);
    for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        if (topic->shard_of[i] == index && partition_create(gs, i, topic, false) == NULL) {
            el_log(EL_LOG_ERROR, "group", "no memory to serve partition %d of %s: raise memory.max", i, GROUPS_TOPIC);
        }
    }
    group_expiry_start(gs);
}

static void list_close(struct el_list *list)
{
    for (struct el_list *node = el_list_pop_front(list); node != NULL; node = el_list_pop_front(list)) {
        group_op_finish(EL_CONTAINER(node, struct group_op, link), EVLOG_ERR_CLOSED);
    }
}

static void member_close(struct groups *gs, struct member *member)
{
    struct group_op *ops[] = {member->join == NULL ? NULL : &member->join->base,
                              member->sync == NULL ? NULL : &member->sync->base};
    io_timer_cancel(gs->io, &member->session);
    for (size_t i = 0; i < 2; i++) {
        if (ops[i] != NULL) {
            cancel_at_owner(ops[i]);
        }
    }
    io_timer_cancel(gs->io, &member->session);
}

void groups_stop(struct groups *gs)
{
    OBJ_CHECK(gs, GROUPS);
    gs->stopping = true;
    io_timer_cancel(gs->io, &gs->expiry_timer);
    list_close(&gs->create_waiting);
    for (size_t i = 0; i < gs->partitions.count; i++) {
        struct group_partition *part = gs->partitions.entries[i].value;
        list_close(&part->waiting);
        EL_LIST_EACH(node, &part->groups) {
            struct group *group = EL_CONTAINER(node, struct group, link);
            io_timer_cancel(gs->io, &group->timer);
            list_close(&group->blocked);
        }
    }
    for (size_t i = 0; i < gs->members.count; i++) {
        member_close(gs, gs->members.entries[i].value);
    }
}

void groups_destroy(struct groups *gs)
{
    OBJ_CHECK(gs, GROUPS);
    while (gs->by_id.count > 0) {
        group_destroy(gs->by_id.entries[gs->by_id.count - 1].value);
    }
    for (size_t i = 0; i < gs->partitions.count; i++) {
        group_load_drop(gs->partitions.entries[i].value);
        el_buddy_free(gs->buddy, gs->partitions.entries[i].value);
    }
    EL_ASSERT(gs->members.count == 0);
    EL_ASSERT(gs->offsets.count == 0);
    EL_ASSERT(gs->memory_used == 0);
    io_timer_cancel(gs->io, &gs->expiry_timer);
    struct el_map *maps[] = {&gs->partitions, &gs->by_id, &gs->members, &gs->offsets};
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        el_map_destroy(maps[i]);
    }
    for (uint32_t i = 0; i < GROUPS_CLASSES; i++) {
        el_pool_destroy(&gs->classes[i]);
    }
    gs->magic = 0;
}
