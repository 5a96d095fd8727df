/* SPDX-License-Identifier: Apache-2.0
 *
 * The work groups of a shard: life, the way of an op and back, and the topic __evlog_groups.
 *
 *   1. an op goes to control's shard or to the shard that owns the partition of a topic
 *   2. there it is refused while the shard's partition of __evlog_groups is being read; of one made just now it waits
 *      instead. The topic is made by control's shard when the first op that needs it comes; a shard that owns none of
 *      its partitions, because there were fewer shards then, lets it grow
 *   3. the op runs, and is answered now or later; results lie in a block of this shard's memory that comes back when
 *      the origin has used it
 *
 * A cancel travels behind its op and comes back too: the op's memory is used by both, so done waits for both.
 */
#include <lease/lease_group.h>

#include <core/logger.h>
#include <stdarg.h>
#include <stdio.h>

#define SESSION_SHARD_SHIFT 48

/* Results of an op. */
struct lease_block {
    struct io_message message; /* way home */
    struct leases *ls;         /* whose buddy it is from */
    struct read_op read;       /* goes with it, when it has data */
    void *memory;              /* the same of a block of the buddy */
    size_t len, used;          /* bytes of data */
    _Alignas(16) uint8_t data[];
};

/* --- results ------------------------------------------------------------------------------------------------------ */

bool lease_op_room(struct lease_op *op, size_t len)
{
    EL_ASSERT(op->block == NULL);
    struct lease_block *block = el_buddy_alloc(op->owner->buddy, sizeof *block + len);
    if (block == NULL) {
        return false;
    }
    memset(block, 0, sizeof *block);
    block->ls = op->owner;
    block->len = len;
    op->block = block;
    return true;
}

void *lease_op_take(struct lease_op *op, size_t len)
{
    struct lease_block *block = op->block;
    size_t room = EL_ALIGN_UP(len, 8);
    EL_ASSERT(block != NULL);
    EL_ASSERT(room <= block->len - block->used);
    void *out = block->data + block->used;
    block->used += room;
    memset(out, 0, room);
    return out;
}

struct el_slice lease_op_copy(struct lease_op *op, struct el_slice in)
{
    if (in.len == 0) {
        return in.data == NULL ? in : el_slice_str("");
    }
    void *copy = lease_op_take(op, in.len);
    memcpy(copy, in.data, in.len);
    return el_slice_of(copy, in.len);
}

void lease_op_keep_read(struct lease_op *op, const struct read_op *read)
{
    EL_ASSERT(op->block != NULL);
    EL_ASSERT(op->block->read.data == NULL);
    op->block->read = *read;
}

void lease_op_keep_memory(struct lease_op *op, void *memory)
{
    EL_ASSERT(op->block != NULL);
    EL_ASSERT(op->block->memory == NULL);
    op->block->memory = memory;
}

static void block_free(struct lease_block *block)
{
    el_buddy_free(block->ls->buddy, block->memory);
    if (block->read.data != NULL) {
        store_read_release(&block->read);
    }
    el_buddy_free(block->ls->buddy, block);
}

static void block_home(struct io_message *message)
{
    block_free(EL_CONTAINER(message, struct lease_block, message));
}

void lease_op_release(struct lease_op *op)
{
    struct lease_block *block = op->block;
    op->block = NULL;
    if (block == NULL) {
        return;
    }
    if (block->ls == op->origin) {
        block_free(block);
        return;
    }
    block->message.run = block_home;
    io_post(block->ls->io, &block->message);
}

/* --- the way back ------------------------------------------------------------------------------------------------- */

/* Back on the origin: when a cancel is on its way, done waits for its return. */
static void op_deliver(struct lease_op *op)
{
    op->ended = true;
    if (!op->cancel_sent || op->cancel_back) {
        op->done(op);
    }
}

static void op_on_return(struct io_message *message)
{
    op_deliver(EL_CONTAINER(message, struct lease_op, message));
}

void lease_op_finish(struct lease_op *op, int error)
{
    EL_ASSERT(op->at_owner);
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

void lease_op_refuse(struct lease_op *op, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(op->message_text, sizeof op->message_text, format, args);
    va_end(args);
    lease_op_finish(op, error);
}

/* --- the topic ---------------------------------------------------------------------------------------------------- */

static void ops_dispatch_all(struct leases *ls);

static const struct topic *groups_topic(const struct leases *ls)
{
    return store_topic_by_name(ls->shard, el_slice_str(LEASES_TOPIC));
}

/* The lowest partition that this shard owns, or -1. */
static int32_t own_partition(const struct leases *ls, const struct topic *topic)
{
    for (int32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        if (topic->shard_of[i] == ls->index) {
            return i;
        }
    }
    return -1;
}

/* Begin to read the shard's partition, when there is one. */
static void load_begin(struct leases *ls, bool patient)
{
    const struct topic *topic = groups_topic(ls);
    int32_t partition = own_partition(ls, topic);
    EL_ASSERT(ls->state == LEASES_NONE);
    if (partition < 0) {
        return;
    }
    ls->state = LEASES_LOADING;
    ls->patient = patient;
    ls->topic_id = topic->id;
    ls->partition = partition;
    metrics_add(ls->metrics, METRIC_LEASE_LOADING, 1);
    ls->scratch = el_buddy_alloc(ls->buddy, LEASE_SCRATCH_LEN); /* who has no work groups pays nothing */
    if (ls->scratch == NULL) {
        el_log(EL_LOG_ERROR, "lease", "no memory to serve partition %d of %s: raise memory.max", partition,
               LEASES_TOPIC);
        leases_loaded(ls, EVLOG_ERR_NO_MEMORY);
        return;
    }
    lease_load_start(ls);
}

static void change_on_done(struct store_op *base)
{
    struct leases *ls = base->arg;
    OBJ_CHECK(ls, LEASES);
    ls->creating = false;
    ls->busy--;
    bool there = base->error == 0 || base->error == EVLOG_ERR_TOPIC_EXISTS ||
                 base->error == EVLOG_ERR_INVALID_PARTITIONS; /* another shard was faster */
    if (!there && lease_may_log(ls)) {
        el_log(EL_LOG_WARN, "lease", "cannot make the topic %s, or give it more partitions: %s", LEASES_TOPIC,
               ls->create_op.message[0] != 0 ? ls->create_op.message : evlog_error_text(base->error));
    }
    if (!ls->stopping && ls->state == LEASES_NONE) {
        load_begin(ls, true);
    }
    ops_dispatch_all(ls);
}

static void change_begin(struct leases *ls)
{
    ls->creating = true;
    ls->busy++;
    ls->create_op.base = (struct store_op){.done = change_on_done, .arg = ls};
    store_topic_change(ls->shard, &ls->create_op);
}

static void topic_create(struct leases *ls)
{
    topic_config_init_kept(&ls->create_config, true);
    ls->create_op = (struct topic_op){
        .verb = TOPIC_CREATE,
        .name = el_slice_str(LEASES_TOPIC),
        .partition_count = (int32_t)ls->shard_count, /* placed one by one: each shard gets one */
        .internal = true,
        .config = &ls->create_config,
    };
    change_begin(ls);
}

/* So many more that each shard gets one, whichever was the last to get any. */
static void topic_grow(struct leases *ls, const struct topic *topic)
{
    ls->create_op = (struct topic_op){
        .verb = TOPIC_GROW,
        .id = topic->id,
        .partition_count = topic->partition_count + (int32_t)ls->shard_count,
    };
    change_begin(ls);
}

/* --- the way there ------------------------------------------------------------------------------------------------ */

static void op_wait(struct leases *ls, struct lease_op *op)
{
    op->flags |= LEASE_OP_WAITS;
    el_list_push_back(&ls->waiting, &op->link);
}

/* The shard has no partition so far. returns true when there will be one, and the op waits for it */
static bool wait_for_partition(struct leases *ls, struct lease_op *op)
{
    const struct topic *topic = groups_topic(ls);
    if (!ls->creating && topic == NULL) {
        if ((op->flags & LEASE_OP_CREATES) == 0) {
            return false;
        }
        EL_ASSERT(ls->index == LEASE_CONTROL_SHARD);
        op_wait(ls, op);
        topic_create(ls);
        return true;
    }
    op_wait(ls, op);
    if (!ls->creating && own_partition(ls, topic) < 0) {
        topic_grow(ls, topic);
    } else if (!ls->creating) {
        load_begin(ls, true);
    }
    return true;
}

static void op_arrive(struct lease_op *op)
{
    struct leases *ls = op->owner;
    OBJ_CHECK(ls, LEASES);
    op->at_owner = true;
    if (ls->stopping) {
        lease_op_finish(op, EVLOG_ERR_CLOSED);
    } else if ((op->flags & LEASE_OP_EARLY) != 0 || ls->state == LEASES_READY) {
        op->run(ls, op);
    } else if (ls->state == LEASES_FAILED) {
        lease_op_refuse(op, EVLOG_ERR_GROUP_UNAVAILABLE,
                        "records of work groups on shard %u cannot be read: the log says why", ls->index);
    } else if (ls->state == LEASES_LOADING && !ls->patient) {
        lease_op_finish(op, EVLOG_ERR_GROUP_LOADING);
    } else if (ls->state == LEASES_LOADING) {
        op_wait(ls, op);
    } else if (!wait_for_partition(ls, op)) {
        op->run(ls, op); /* there is no group at all */
    }
}

static void op_on_arrive(struct io_message *message)
{
    op_arrive(EL_CONTAINER(message, struct lease_op, message));
}

/* What waited for the partition: it is there, or could not be made. */
static void ops_dispatch_all(struct leases *ls)
{
    struct el_list waiting;
    if (ls->state == LEASES_LOADING) {
        return;
    }
    el_list_init(&waiting);
    el_list_splice_back(&waiting, &ls->waiting);
    for (struct el_list *node = el_list_pop_front(&waiting); node != NULL; node = el_list_pop_front(&waiting)) {
        struct lease_op *op = EL_CONTAINER(node, struct lease_op, link);
        if (ls->state == LEASES_NONE) {
            lease_op_finish(op, ls->stopping ? EVLOG_ERR_CLOSED : EVLOG_ERR_GROUP_UNAVAILABLE);
        } else {
            op_arrive(op);
        }
    }
}

void leases_loaded(struct leases *ls, int error)
{
    EL_ASSERT(ls->state == LEASES_LOADING);
    ls->state = error == 0 ? LEASES_READY : LEASES_FAILED;
    metrics_add(ls->metrics, METRIC_LEASE_LOADING, -1);
    metrics_add(ls->metrics, METRIC_LEASE_FAILED, error != 0 && error != EVLOG_ERR_CLOSED);
    if (error == 0) {
        lease_groups_loaded(ls);
    }
    if (error == 0 && ls->index == LEASE_CONTROL_SHARD) {
        lease_control_loaded(ls);
    }
    ops_dispatch_all(ls);
}

static void op_carry(struct lease_op *op, struct leases *owner)
{
    op->owner = owner;
    if (owner == op->origin) {
        op_arrive(op);
        return;
    }
    op->message.run = op_on_arrive;
    io_post(owner->io, &op->message);
}

static void op_begin(struct leases *ls, struct lease_op *op, uint32_t flags,
                     void (*run)(struct leases *, struct lease_op *))
{
    OBJ_CHECK(ls, LEASES);
    EL_ASSERT(op->done != NULL);
    el_list_init(&op->link);
    op->origin = ls;
    op->run = run;
    op->flags = flags;
    op->block = NULL;
    op->error = 0;
    op->message_text[0] = 0;
    op->at_owner = op->cancel_sent = op->cancel_back = op->ended = false;
}

void lease_op_send(struct leases *ls, struct lease_op *op, uint32_t shard, uint32_t flags,
                   void (*run)(struct leases *ls, struct lease_op *op))
{
    op_begin(ls, op, flags, run);
    EL_ASSERT(shard < ls->shard_count);
    op_carry(op, ls->peers[shard]);
}

void lease_op_send_part(struct leases *ls, struct lease_op *op, const struct el_uuid *topic_id, int32_t partition,
                        void (*run)(struct leases *ls, struct lease_op *op))
{
    const struct topic *topic = store_topic_by_id(ls->shard, topic_id);
    op_begin(ls, op, 0, run);
    if (topic == NULL || partition < 0 || partition >= topic->partition_count) {
        op->owner = ls;
        op->at_owner = true;
        lease_op_finish(op, topic == NULL ? EVLOG_ERR_UNKNOWN_TOPIC_ID : EVLOG_ERR_UNKNOWN_TOPIC);
        return;
    }
    op_carry(op, ls->peers[topic->shard_of[partition]]);
}

void lease_op_forward(struct lease_op *op, uint32_t shard, void (*run)(struct leases *ls, struct lease_op *op))
{
    struct leases *ls = op->owner;
    EL_ASSERT(op->at_owner);
    EL_ASSERT(op->block == NULL);
    EL_ASSERT(shard < ls->shard_count);
    op->run = run;
    op->at_owner = false;
    if (shard == ls->index) {
        op_arrive(op);
        return;
    }
    op->owner = ls->peers[shard];
    op->message.run = op_on_arrive;
    io_post(op->owner->io, &op->message);
}

/* --- cancels ------------------------------------------------------------------------------------------------------ */

static void cancel_at_owner(struct lease_op *op)
{
    if (!op->at_owner || (op->flags & LEASE_OP_WAITS) == 0 || el_list_empty(&op->link)) {
        return; /* it has ended, or a write or read is under way for it, which ends soon */
    }
    el_list_remove(&op->link);
    lease_op_finish(op, EVLOG_ERR_CLOSED);
}

static void cancel_on_return(struct io_message *message)
{
    struct lease_op *op = EL_CONTAINER(message, struct lease_op, cancel_message);
    op->cancel_back = true;
    if (op->ended) {
        op->done(op);
    }
}

static void cancel_on_arrive(struct io_message *message)
{
    struct lease_op *op = EL_CONTAINER(message, struct lease_op, cancel_message);
    struct io *origin = op->origin->io;
    cancel_at_owner(op);
    message->run = cancel_on_return;
    io_post(origin, message);
}

void leases_cancel(struct lease_op *op)
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

/* --- life --------------------------------------------------------------------------------------------------------- */

static uint64_t random_bits(void *arg)
{
    struct leases *ls = arg;
    uint64_t bits;
    io_random(ls->io, &bits, sizeof bits);
    return bits;
}

int leases_create(struct store_shard *shard, struct leases *const *peers, const struct leases_config *cfg,
                  struct leases **out)
{
    struct leases *ls = el_buddy_alloc(store_shard_buddy(shard), sizeof *ls);
    if (ls == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *ls = (struct leases){
        .magic = LEASES_MAGIC,
        .shard = shard,
        .io = store_shard_io(shard),
        .buddy = store_shard_buddy(shard),
        .metrics = store_shard_metrics(shard),
        .index = store_shard_index(shard),
        .shard_count = store_shard_count(store_shard_store(shard)),
        .peers = peers,
        .cfg = *cfg,
    };
    el_list_init(&ls->waiting);
    for (uint32_t i = 0; i < LEASE_CLASSES; i++) {
        el_pool_init(&ls->classes[i], ls->buddy, LEASE_CLASS_LEN_MIN << i);
    }
    lease_groups_init(ls);
    struct lease_memory_config memory = {
        .buddy = ls->buddy,
        .bytes_max = EL_MAX(cfg->memory_max - cfg->memory_max / LEASE_PIECES_SHARE, (uint64_t)LEASE_MEMORY_MIN),
        .random = random_bits,
        .random_arg = ls,
    };
    int code = lease_memory_create(&memory, &ls->tables);
    if (code != 0) {
        goto fail_leases;
    }
    code = ls->index == LEASE_CONTROL_SHARD ? lease_control_create(ls) : 0;
    if (code != 0) {
        goto fail_tables;
    }
    *out = ls;
    return 0;

fail_tables:
    lease_memory_destroy(ls->tables);
fail_leases:
    el_buddy_free(ls->buddy, ls);
    return code;
}

void leases_start(struct leases *ls)
{
    OBJ_CHECK(ls, LEASES);
    if (groups_topic(ls) != NULL) {
        load_begin(ls, false);
    }
    lease_groups_start(ls);
}

void leases_configure(struct leases *ls, const struct leases_config *cfg)
{
    OBJ_CHECK(ls, LEASES);
    uint64_t memory_max = ls->cfg.memory_max; /* takes a restart: tables know it */
    ls->cfg = *cfg;
    ls->cfg.memory_max = memory_max;
    if (ls->control != NULL) {
        lease_control_configure(ls);
    }
}

void leases_stop(struct leases *ls)
{
    OBJ_CHECK(ls, LEASES);
    ls->stopping = true;
    for (struct el_list *node = el_list_pop_front(&ls->waiting); node != NULL; node = el_list_pop_front(&ls->waiting)) {
        lease_op_finish(EL_CONTAINER(node, struct lease_op, link), EVLOG_ERR_CLOSED);
    }
    if (ls->control != NULL) {
        lease_control_stop(ls);
    }
    lease_groups_stop(ls);
}

bool leases_idle(const struct leases *ls)
{
    return ls->busy == 0;
}

void leases_destroy(struct leases *ls)
{
    OBJ_CHECK(ls, LEASES);
    EL_ASSERT(el_list_empty(&ls->waiting));
    lease_load_drop(ls);
    if (ls->control != NULL) {
        lease_control_destroy(ls);
    }
    lease_groups_destroy(ls);
    lease_memory_destroy(ls->tables);
    el_buddy_free(ls->buddy, ls->scratch);
    EL_ASSERT(ls->memory_used == 0);
    for (uint32_t i = 0; i < LEASE_CLASSES; i++) {
        el_pool_destroy(&ls->classes[i]);
    }
    ls->magic = 0;
    el_buddy_free(ls->buddy, ls);
}

uint64_t leases_session(struct leases *ls)
{
    OBJ_CHECK(ls, LEASES);
    return (uint64_t)(ls->index + 1) << SESSION_SHARD_SHIFT | ++ls->session_count;
}
