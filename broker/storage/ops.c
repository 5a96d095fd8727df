/* SPDX-License-Identifier: Apache-2.0
 *
 * The short ops: append, watch, trim, epoch, producer id, stat. Each is carried to the partition's owner, done there,
 * and carried back.
 *
 * An append that finds no room in journal or memory is held, in order, until the next checkpoint made room: a client
 * sees a slow answer and not an error. It is refused at once when the disk is below its reserve or the shard has
 * stopped; one that may use the reserve when it has waited for room for some time on a disk that is full. On topics
 * with evlog.streams the observer has a say (observer.h), and what it holds waits at its partition.
 * Where an archive decides (tier.h), what an append's answer tells of is shown before it leaves.
 */
#include <storage/shard_state.h>
#include <storage/upkeep.h>

#include <core/assert.h>
#include <core/logger.h>

EL_STATIC_ASSERT(sizeof(struct journal_wait) <= sizeof(((struct append_op *)0)->private_), "a wait fits into an op");
EL_STATIC_ASSERT(sizeof(struct journal_wait) <= sizeof(((struct trim_op *)0)->private_), "a wait fits into an op");
EL_STATIC_ASSERT(sizeof(struct journal_wait) <= sizeof(((struct producer_id_op *)0)->private_),
                 "a wait fits into an op");

#define RESERVED_WAIT_NS 5000000000u /* a checkpoint that finds space in the reserve is over by then */
#define MEMORY_WAIT_NS 10000000000u  /* what waits holds memory itself: clients wait 30 s by default and try again */

void store_op_to_partition(struct store_shard *shard, struct store_op *op, const struct el_uuid *topic_id,
                           int32_t partition, void (*run)(struct store_op *op))
{
    struct store_shard *owner = shard_owner(shard, topic_id, partition);
    if (owner == NULL) {
        op->origin = op->owner = shard;
        op->returned = NULL;
        bool known = store_topic_by_id(shard, topic_id) != NULL;
        store_op_finish(op, known ? EVLOG_ERR_UNKNOWN_TOPIC : EVLOG_ERR_UNKNOWN_TOPIC_ID);
        return;
    }
    store_op_send(shard, owner, op, run);
}

static int epoch_check(const struct store_shard *shard, int32_t current_leader_epoch)
{
    int32_t epoch = store_leader_epoch(shard->store);
    if (current_leader_epoch < 0 || current_leader_epoch == epoch) {
        return 0;
    }
    return current_leader_epoch < epoch ? EVLOG_ERR_FENCED_EPOCH : EVLOG_ERR_UNKNOWN_EPOCH;
}

/* --- append ------------------------------------------------------------------------------------------------------- */

static void append_on_durable(struct journal_wait *wait, int error)
{
    struct append_op *op = EL_CONTAINER(wait, struct append_op, private_);
    store_op_finish(&op->base, error != 0 ? error : op->refusal);
}

static bool append_waits(const struct partition *part, const struct append_op *op)
{
    if (op->no_wait || op->sequence <= part->shard->journal.durable_sequence) {
        return false;
    }
    return op->given != NULL || topic_config_int(&part->topic->config, &part->shard->topic_defaults,
                                                 TOPIC_DURABILITY) != TOPIC_DURABILITY_MEMORY;
}

static bool should_hold(const struct store_shard *shard)
{
    const struct journal *j = &shard->journal;
    return journal_behind(j) || (shard->disk_full ? journal_tight_as_it_is(j) : journal_tight(j)) ||
           shard->tail.bytes > 2 * shard->tail.bytes_max;
}

/* Will it not be stored, because it is already, or breaks the producer's order? To say so takes no room. */
static bool is_decided(struct partition *part, const struct append_op *op)
{
    const struct producer_batch *found;
    return op->info.producer_id >= 0 && producer_check(part, &op->info, &found) != 0;
}

/* Where the archive decides what is shown: does the answer tell of what is not yet? */
static bool append_awaits(const struct partition *part, struct append_op *op)
{
    if (op->no_wait || op->given != NULL || !tier_decides(part)) {
        return false;
    }
    if (op->told_end == 0 && op->sequence != 0) {
        op->told_end = part->next_offset; /* the observer's answer, which may tell of any */
    }
    return op->told_end > part->high_watermark;
}

/* The append ends with code, now or when what it tells is durable. */
static void append_end(struct partition *part, struct append_op *op, int code)
{
    struct store_shard *shard = op->base.owner;
    EL_ASSERT(el_list_empty(&op->base.link)); /* it waits nowhere any more */
    if (op->observer_knows) {
        op->observer_knows = false;
        shard->observer->ended(shard->observer->arg, part, op, code);
    }
    op->refusal = code;
    if (part != NULL && append_awaits(part, op)) {
        tier_await(part, op);
        return;
    }
    if (part == NULL || (op->given == NULL && tier_decides(part)) || !append_waits(part, op)) {
        store_op_finish(&op->base, code);
        return;
    }
    EL_ASSERT(op->sequence < shard->journal.next_sequence);
    struct journal_wait *wait = (struct journal_wait *)(void *)op->private_;
    wait->done = append_on_durable;
    journal_wait(&shard->journal, wait);
}

/* The events are stored already, but not by this batch: its producer's next batch must find this one's sequence all the
 * same, also after a crash. A batch without records says it, and takes the offsets. */
static int append_hollow(struct partition *part, struct append_op *op)
{
    uint8_t hollow[EL_BATCH_HEADER_LEN];
    struct append_op note = {.topic_id = op->topic_id, .partition = op->partition};
    el_batch_hollow(hollow, &op->info);
    int code = el_batch_header(hollow, sizeof(hollow), &note.info);
    EL_ASSERT(code == 0);
    note.batch = hollow;
    note.batch_len = sizeof(hollow);
    note.info.record_timestamp_max = note.info.max_timestamp;
    code = partition_append(part, &note);
    EL_ASSERT(!note.duplicate);
    op->sequence = note.sequence;
    op->told_end = note.told_end;
    return code;
}

enum append_result {
    APPEND_ENDS,    /* it was taken or refused */
    APPEND_NO_ROOM, /* for now, in the shard */
    APPEND_HELD,    /* by the observer */
};

static enum append_result append_store(struct partition *part, struct append_op *op, bool decided)
{
    struct store_shard *shard = part->shard;
    bool told = !decided && part->observed && op->given == NULL;
    const struct store_observer *observer = told ? shard->observer : NULL;
    int code = STORE_ADMITTED;
    op->told_end = 0;
    if (observer != NULL) {
        op->observer_knows = true;
        code = observer->admit(observer->arg, part, op);
    }
    if (code == STORE_HELD) {
        return APPEND_HELD;
    }
    op->duplicate = false;
    if (code == STORE_ADMITTED) {
        code = partition_append(part, op);
        if (code != 0 && observer != NULL) {
            observer->undo(observer->arg, part, op);
        }
    } else if (code == STORE_ANSWERED) {
        code = op->info.producer_id < 0 ? 0 : append_hollow(part, op);
        op->duplicate = code == 0;
    }
    if (code == EVLOG_ERR_NO_MEMORY) {
        tail_evict(&shard->tail, 0); /* what is only a cache goes first */
        shard->append_short = true;
        return APPEND_NO_ROOM;
    }
    op->log_start_offset = part->log_start;
    if (code == 0) {
        shard->append_short = shard->memory_said = false;
        upkeep_appended(shard, op->batch_len);
    }
    append_end(part, op, code);
    return APPEND_ENDS;
}

static enum append_result append_try(struct partition *part, struct append_op *op)
{
    struct store_shard *shard = op->base.owner;
    if (part == NULL || shard->failed || shard->stopping) {
        append_end(part, op,
                   part == NULL    ? EVLOG_ERR_UNKNOWN_TOPIC
                   : shard->failed ? EVLOG_ERR_STORAGE
                                   : EVLOG_ERR_CLOSED);
        return APPEND_ENDS;
    }
    int refusal = op->given != NULL ? 0 : tier_refusal(part);
    if (refusal != 0) {
        append_end(part, op, refusal);
        return APPEND_ENDS;
    }
    if (shard->tier_holds && op->given == NULL) {
        if (!shard->tier_ends) {
            return APPEND_NO_ROOM;
        }
        append_end(part, op, EVLOG_ERR_CLOSED);
        return APPEND_ENDS;
    }
    bool decided = op->given == NULL && (shard->disk_full || part->observed) && is_decided(part, op);
    if (shard->disk_full && !decided && !op->reserved) {
        append_end(part, op, EVLOG_ERR_FULL);
        return APPEND_ENDS;
    }
    if (!decided && should_hold(shard)) {
        shard->append_short = false; /* it waits for a checkpoint */
        return APPEND_NO_ROOM;
    }
    return append_store(part, op, decided);
}

/* Try an append, behind those of its partition that the observer holds. returns false when there is no room now */
static bool append_place(struct store_shard *shard, struct append_op *op)
{
    struct partition *part = partition_find(shard, &op->topic_id, op->partition);
    if (part != NULL && op->given == NULL && !el_list_empty(&part->held)) {
        el_list_push_back(&part->held, &op->base.link);
        return true;
    }
    enum append_result result = append_try(part, op);
    if (result == APPEND_HELD) {
        EL_ASSERT(op->observer_knows);
        EL_ASSERT(el_list_empty(&part->held_link)); /* it was the first */
        el_list_push_back(&part->held, &op->base.link);
        el_list_push_back(&shard->held_parts, &part->held_link);
    }
    return result != APPEND_NO_ROOM;
}

static void append_run(struct store_op *base)
{
    struct append_op *op = EL_CONTAINER(base, struct append_op, base);
    struct store_shard *shard = base->owner;
    if (op->given != NULL) { /* before those that wait */
        if (!append_place(shard, op)) {
            el_list_push_front(&shard->held, &base->link);
        }
    } else if (shard->tier_holds && !shard->tier_ends && !shard->stopping && !shard->failed) {
        el_list_push_back(&shard->tier_held, &base->link);
    } else if (!el_list_empty(&shard->held) || !append_place(shard, op)) {
        op->held_ns = shard->io->now_ns;
        el_list_push_back(&shard->held, &base->link);
    }
}

/* Appends of one partition that the observer has held. returns false when there is no room now */
static bool retry_observed(struct partition *part)
{
    struct store_shard *shard = part->shard;
    EL_ASSERT(!el_list_empty(&part->held)); /* else it would be in no list */
    while (!el_list_empty(&part->held)) {
        struct store_op *base = EL_CONTAINER(el_list_pop_front(&part->held), struct store_op, link);
        enum append_result result = append_try(part, EL_CONTAINER(base, struct append_op, base));
        if (result != APPEND_ENDS) {
            struct append_op *op = EL_CONTAINER(base, struct append_op, base);
            op->held_ns = op->held_ns == 0 ? shard->io->now_ns : op->held_ns;
            el_list_push_front(&part->held, &base->link);
            el_list_remove(&part->held_link);
            el_list_push_front(result == APPEND_HELD ? &shard->held_parts : &shard->resumed_parts, &part->held_link);
            return result == APPEND_HELD;
        }
    }
    el_list_remove(&part->held_link);
    return true;
}

void shard_retry_held(struct store_shard *shard)
{
    if (shard->failed || shard->stopping) {
        el_list_splice_back(&shard->resumed_parts, &shard->held_parts);
    }
    if (shard->failed || shard->stopping || shard->tier_ends) {
        el_list_splice_back(&shard->held, &shard->tier_held);
    }
    while (!el_list_empty(&shard->resumed_parts)) {
        if (!retry_observed(EL_CONTAINER(shard->resumed_parts.next, struct partition, held_link))) {
            return;
        }
    }
    while (!el_list_empty(&shard->held)) {
        struct store_op *base = EL_CONTAINER(el_list_pop_front(&shard->held), struct store_op, link);
        if (!append_place(shard, EL_CONTAINER(base, struct append_op, base))) {
            el_list_push_front(&shard->held, &base->link);
            return;
        }
    }
}

static bool memory_short(const struct store_shard *shard)
{
    return shard->append_short || shard->checkpoint_short;
}

/* Why the append does not wait any longer, 0 it does. */
static int late_code(const struct store_shard *shard, const struct append_op *op)
{
    uint64_t waited_ns = shard->io->now_ns - op->held_ns;
    if (shard->disk_full && op->reserved && waited_ns >= RESERVED_WAIT_NS) {
        return EVLOG_ERR_FULL;
    }
    bool hungry = memory_short(shard) && op->given == NULL && op->held_ns != 0;
    return hungry && waited_ns >= MEMORY_WAIT_NS ? EVLOG_ERR_NO_MEMORY : 0;
}

/* Those behind one that the observer let go and that found no memory are refused with it: they keep their order. */
static void collect_late_observed(struct store_shard *shard, struct el_list *late)
{
    EL_LIST_EACH_SAFE(node, next, &shard->resumed_parts) {
        struct partition *part = EL_CONTAINER(node, struct partition, held_link);
        EL_ASSERT(!el_list_empty(&part->held));
        const struct store_op *base = EL_CONTAINER(part->held.next, struct store_op, link);
        if (late_code(shard, EL_CONTAINER(base, struct append_op, base)) == EVLOG_ERR_NO_MEMORY) {
            el_list_remove(node);
            el_list_splice_back(late, &part->held);
        }
    }
}

void shard_refuse_late(struct store_shard *shard)
{
    struct el_list late;
    el_list_init(&late);
    collect_late_observed(shard, &late);
    EL_LIST_EACH_SAFE(node, next, &shard->held) {
        const struct store_op *base = EL_CONTAINER(node, struct store_op, link);
        if (late_code(shard, EL_CONTAINER(base, struct append_op, base)) != 0) {
            el_list_remove(node);
            el_list_push_back(&late, node);
        }
    }
    if (!el_list_empty(&late) && memory_short(shard) && !shard->memory_said) {
        shard->memory_said = true;
        el_log(EL_LOG_WARN, "storage",
               "shard %u: %zu of %zu bytes of memory are taken: appends that have waited %u s for some are refused; "
               "raise memory.max",
               shard->index, shard->buddy->used, shard->buddy->len, (unsigned)(MEMORY_WAIT_NS / 1000000000));
    }
    for (struct el_list *node = el_list_pop_front(&late); node != NULL; node = el_list_pop_front(&late)) {
        struct store_op *base = EL_CONTAINER(node, struct store_op, link);
        struct append_op *op = EL_CONTAINER(base, struct append_op, base);
        int code = late_code(shard, op);
        append_end(partition_find(shard, &op->topic_id, op->partition), op, code != 0 ? code : EVLOG_ERR_NO_MEMORY);
    }
}

static void append_send(struct store_shard *shard, struct append_op *op)
{
    op->base_offset = -1;
    op->log_start_offset = -1;
    op->append_time_ms = -1;
    op->append_time_ns = 0;
    op->duplicate = false;
    op->sequence = 0;
    op->held_ns = 0;
    op->observer_memory = NULL;
    op->observer_knows = false;
    op->refusal = 0;
    op->told_end = 0;
    store_op_to_partition(shard, &op->base, &op->topic_id, op->partition, append_run);
}

void store_append(struct store_shard *shard, struct append_op *op)
{
    op->given = NULL;
    append_send(shard, op);
}

void store_append_given(struct store_shard *shard, struct append_op *op, const struct append_given *given)
{
    op->given = given;
    append_send(shard, op);
}

int shard_append_internal(struct partition *part, const struct el_record_body *body, struct journal_wait *wait)
{
    struct store_shard *shard = part->shard;
    size_t room = EL_BATCH_HEADER_LEN + body->key.len + body->value.len + 64;
    uint8_t *buf = el_buddy_alloc(shard->buddy, room);
    if (buf == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_batch_builder builder;
    struct el_slice batch;
    int64_t now_ms = (int64_t)(el_clock_now(store_clock(shard->store)) / 1000000);
    el_batch_builder_init_fixed(&builder, buf, room);
    int code = el_batch_builder_add(&builder, now_ms, body);
    code = code != 0 ? code : el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch);
    struct append_op op = {.partition = part->key.partition, .topic_id = part->key.topic_id};
    code = code != 0 ? code : tier_refusal(part);
    if (code == 0) {
        op.batch = batch.data;
        op.batch_len = (uint32_t)batch.len;
        code = el_batch_header(batch.data, batch.len, &op.info);
        op.info.record_timestamp_max = now_ms;
    }
    code = code != 0 ? code : partition_append(part, &op);
    el_buddy_free(shard->buddy, buf);
    if (code == 0) {
        journal_wait(&shard->journal, wait);
    }
    return code;
}

/* --- watch -------------------------------------------------------------------------------------------------------- */

/* Back on the origin: when a cancel is on its way, done waits for its return, for both use the op's memory. */
static void watch_returned(struct store_op *base)
{
    struct watch_op *op = EL_CONTAINER(base, struct watch_op, base);
    EL_ASSERT(!op->completed);
    EL_ASSERT(op->base.owner != op->base.origin || !op->cancel_sent);
    op->completed = true;
    if (!op->cancel_sent || op->cancel_back) {
        base->done(base);
    }
}

static void watch_run(struct store_op *base)
{
    struct watch_op *op = EL_CONTAINER(base, struct watch_op, base);
    struct partition *part = partition_find(base->owner, &op->topic_id, op->partition);
    EL_ASSERT(op->state == WATCH_SENT);
    if (part == NULL || part->high_watermark > op->offset) {
        op->state = WATCH_FIRED;
        store_op_finish(base, part == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : 0);
        return;
    }
    op->state = WATCH_ARMED;
    el_list_push_back(&part->watches, &base->link);
}

void store_watch(struct store_shard *shard, struct watch_op *op)
{
    op->state = WATCH_SENT;
    op->cancel_sent = op->cancel_back = op->completed = false;
    struct store_shard *owner = shard_owner(shard, &op->topic_id, op->partition);
    op->base.origin = shard;
    op->base.owner = owner == NULL ? shard : owner;
    op->base.error = 0;
    op->base.run = watch_run;
    op->base.returned = watch_returned;
    el_list_init(&op->base.link);
    if (owner == NULL) {
        store_op_finish(&op->base, EVLOG_ERR_UNKNOWN_TOPIC);
    } else if (owner == shard) {
        watch_run(&op->base);
    } else {
        store_op_carry(&op->base);
    }
}

static void cancel_on_return(struct io_message *message)
{
    struct watch_op *op = EL_CONTAINER(message, struct watch_op, cancel_message);
    EL_ASSERT(op->cancel_sent);
    EL_ASSERT(!op->cancel_back);
    op->cancel_back = true;
    if (op->completed) {
        op->base.done(&op->base);
    }
}

static void cancel_at_owner(struct watch_op *op)
{
    if (op->state == WATCH_ARMED) {
        op->state = WATCH_FIRED;
        el_list_remove(&op->base.link);
        store_op_finish(&op->base, EVLOG_ERR_CLOSED);
    }
}

static void cancel_on_arrive(struct io_message *message)
{
    struct watch_op *op = EL_CONTAINER(message, struct watch_op, cancel_message);
    struct io *origin = op->base.origin->io;
    EL_ASSERT(op->state != WATCH_SENT); /* messages keep their order */
    cancel_at_owner(op);
    message->run = cancel_on_return;
    io_post(origin, message);
}

void store_watch_cancel(struct watch_op *op)
{
    if (op->cancel_sent || op->completed) {
        return;
    }
    if (op->base.owner == op->base.origin) {
        cancel_at_owner(op);
        return;
    }
    op->cancel_sent = true;
    op->cancel_message.run = cancel_on_arrive;
    io_post(op->base.owner->io, &op->cancel_message);
}

/* --- trim, epoch, stat -------------------------------------------------------------------------------------------- */

static void trim_on_durable(struct journal_wait *wait, int error)
{
    struct trim_op *op = EL_CONTAINER(wait, struct trim_op, private_);
    struct partition *part = partition_find(op->base.owner, &op->topic_id, op->partition);
    if (error == 0 && part == NULL) {
        error = EVLOG_ERR_UNKNOWN_TOPIC; /* deleted meanwhile */
    }
    if (error == 0) {
        partition_set_log_start(part, op->offset);
        op->log_start_offset = part->log_start;
        op->base.owner->checkpoint.wanted = true;
    }
    store_op_finish(&op->base, error);
}

static void trim_run(struct store_op *base)
{
    struct trim_op *op = EL_CONTAINER(base, struct trim_op, base);
    struct store_shard *shard = base->owner;
    struct partition *part = partition_find(shard, &op->topic_id, op->partition);
    if (part == NULL || shard->failed || shard->stopping) {
        store_op_finish(base, part == NULL    ? EVLOG_ERR_UNKNOWN_TOPIC
                              : shard->failed ? EVLOG_ERR_STORAGE
                                              : EVLOG_ERR_CLOSED);
        return;
    }
    op->offset = op->offset == -1 ? part->high_watermark : op->offset;
    op->log_start_offset = part->log_start;
    if (op->offset < 0 || op->offset > part->high_watermark) {
        store_op_finish(base, tier_settling(part) ? EVLOG_ERR_ARCHIVE : EVLOG_ERR_OFFSET_RANGE);
        return;
    }
    int code;
    if (observer_allows(part, op->offset, &code) < op->offset) {
        if (code != 0) {
            store_op_finish(base, code);
        } else {
            el_list_push_back(&part->held_trims, &base->link);
        }
        return;
    }
    code = op->offset <= part->log_start ? EVLOG_ERR_EXISTS : partition_trim_frame(part, op->offset);
    if (code != 0) {
        store_op_finish(base, code == EVLOG_ERR_EXISTS ? 0 : code);
        return;
    }
    struct journal_wait *wait = (struct journal_wait *)(void *)op->private_;
    wait->done = trim_on_durable;
    journal_wait(&shard->journal, wait);
}

void store_trim(struct store_shard *shard, struct trim_op *op)
{
    op->log_start_offset = -1;
    store_op_to_partition(shard, &op->base, &op->topic_id, op->partition, trim_run);
}

static void epoch_run(struct store_op *base)
{
    struct epoch_op *op = EL_CONTAINER(base, struct epoch_op, base);
    struct partition *part = partition_find(base->owner, &op->topic_id, op->partition);
    int code = part == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : epoch_check(base->owner, op->current_leader_epoch);
    code = code == 0 && tier_settling(part) ? EVLOG_ERR_ARCHIVE : code; /* an end too low would look like a loss */
    if (code == 0) {
        partition_epoch_end(part, op->asked_epoch, &op->epoch, &op->end_offset);
    }
    store_op_finish(base, code);
}

void store_epoch_end(struct store_shard *shard, struct epoch_op *op)
{
    op->epoch = -1;
    op->end_offset = -1;
    store_op_to_partition(shard, &op->base, &op->topic_id, op->partition, epoch_run);
}

static void stat_run(struct store_op *base)
{
    struct stat_op *op = EL_CONTAINER(base, struct stat_op, base);
    struct partition *part = partition_find(base->owner, &op->topic_id, op->partition);
    if (part != NULL) {
        op->stored_len = part->segment_bytes + part->pending_bytes;
        op->high_watermark = part->high_watermark;
        op->log_start_offset = part->log_start;
    }
    store_op_finish(base, part == NULL ? EVLOG_ERR_UNKNOWN_TOPIC : tier_settling(part) ? EVLOG_ERR_ARCHIVE : 0);
}

void store_stat(struct store_shard *shard, struct stat_op *op)
{
    op->stored_len = 0;
    op->high_watermark = op->log_start_offset = -1;
    store_op_to_partition(shard, &op->base, &op->topic_id, op->partition, stat_run);
}

/* --- producer ids ------------------------------------------------------------------------------------------------- */

static void producer_id_on_durable(struct journal_wait *wait, int error)
{
    struct producer_id_op *op = EL_CONTAINER(wait, struct producer_id_op, private_);
    store_op_finish(&op->base, error);
}

/* 23 random bits of this start, then a counter that never repeats in this data directory: its block is durable before
 * any id of it is given out. */
static void producer_id_run(struct store_op *base)
{
    struct producer_id_op *op = EL_CONTAINER(base, struct producer_id_op, base);
    struct store_shard *shard = base->owner;
    struct checkpoint *c = &shard->checkpoint;
    if (shard->failed || shard->stopping) {
        store_op_finish(base, shard->failed ? EVLOG_ERR_STORAGE : EVLOG_ERR_CLOSED);
        return;
    }
    if (shard->producer_random == 0) {
        io_random(shard->io, &shard->producer_random, sizeof(shard->producer_random));
        shard->producer_random = (shard->producer_random & 0x7fffff) | 0x800000; /* bit 23: drawn */
        shard->producer_next = c->producer_counter;
    }
    if (shard->producer_next == c->producer_counter) {
        int code = journal_room(&shard->journal, 0);
        if (code != 0) {
            store_op_finish(base, code);
            return;
        }
        struct el_frame frame = {.type = EL_FRAME_PRODUCER_IDS, .base_offset = c->producer_counter + PRODUCER_ID_BLOCK};
        journal_add(&shard->journal, &frame);
        c->producer_counter += PRODUCER_ID_BLOCK;
    }
    EL_ASSERT(shard->index == 0);
    EL_ASSERT(shard->producer_next < c->producer_counter);
    op->producer_id = (int64_t)(shard->producer_random & 0x7fffff) << PRODUCER_COUNTER_BITS | shard->producer_next++;
    struct journal_wait *wait = (struct journal_wait *)(void *)op->private_;
    wait->done = producer_id_on_durable;
    journal_wait(&shard->journal, wait);
}

void store_producer_id(struct store_shard *shard, struct producer_id_op *op)
{
    op->producer_id = -1;
    store_op_send(shard, &shard->store->shards[0], &op->base, producer_id_run);
}
