/* SPDX-License-Identifier: Apache-2.0
 *
 * Records on their way into the topic.
 *
 *   1. those of audit_write() wait in the queue; when the lane is free, as many as fit become one batch, which is
 *      appended and may use the reserve of a full disk: who makes room there is told of, too
 *   2. it is durable, or cannot be stored: their owners are told
 *   3. notes become records when audit_sums.c says so, in a lane of their own; a batch that cannot be stored stays
 *      there and is tried again every second, while notes go on being summed. So nothing of them is lost while evlogd
 *      runs
 *
 * A batch that could not be stored may be in the log all the same: records have ids.
 */
#include <audit/audit_state.h>

#include <core/logger.h>
#include <inttypes.h>
#include <stdio.h>

#define COMPLAIN_NS 60000000000u
#define NS_PER_MS 1000000u
#define HEADER_COUNT 5u

static const char *const types[CONFIG_AUDIT_CLASS_COUNT] = {"evlog.audit.change", "evlog.audit.denial",
                                                            "evlog.audit.authentication", "evlog.audit.access",
                                                            "evlog.audit.fault"};

static void queue_next(struct audit *audit);

/* --- life --------------------------------------------------------------------------------------------------------- */

static bool lane_init(struct audit *audit, struct audit_lane *lane)
{
    lane->audit = audit;
    lane->memory = el_buddy_alloc(audit->buddy, AUDIT_BATCH_LEN);
    if (lane->memory != NULL) {
        el_batch_builder_init_fixed(&lane->builder, lane->memory, AUDIT_BATCH_LEN);
    }
    return lane->memory != NULL;
}

static void memory_free(struct audit *audit)
{
    struct el_buddy *buddy = audit->buddy;
    el_buddy_free(buddy, audit->writes.memory);
    el_buddy_free(buddy, audit->notes.memory);
    el_buddy_free(buddy, audit->tables);
    audit->magic = 0;
    el_buddy_free(buddy, audit);
}

int audit_create(struct store_shard *shard, struct audit **out)
{
    struct el_buddy *buddy = store_shard_buddy(shard);
    struct audit *audit = el_buddy_alloc(buddy, sizeof *audit);
    if (audit == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(audit, 0, sizeof *audit);
    audit->magic = AUDIT_MAGIC;
    audit->shard = shard;
    audit->io = store_shard_io(shard);
    audit->buddy = buddy;
    audit->metrics = store_shard_metrics(shard);
    el_list_init(&audit->queue);
    el_list_init(&audit->sent);
    size_t len = CONFIG_AUDIT_CLASS_COUNT * sizeof *audit->tables;
    audit->tables = el_buddy_alloc(buddy, len);
    if (!lane_init(audit, &audit->writes) || !lane_init(audit, &audit->notes) || audit->tables == NULL) {
        memory_free(audit);
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(audit->tables, 0, len);
    *out = audit;
    return 0;
}

void audit_destroy(struct audit *audit)
{
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(audit_idle(audit)); /* no append reads its memory */
    EL_ASSERT(el_list_empty(&audit->sent));
    memory_free(audit);
}

void audit_configure(struct audit *audit, const struct audit_settings *settings)
{
    OBJ_CHECK(audit, AUDIT);
    audit->settings = *settings;
    if (audit->started) {
        audit_topic_settle(audit);
    }
}

static void tick_on_timer(struct io_timer *timer)
{
    struct audit *audit = timer->arg;
    OBJ_CHECK(audit, AUDIT);
    bool minute = audit->io->now_ns - audit->flushed_ns >= AUDIT_MINUTE_NS;
    io_timer_set(audit->io, &audit->tick, audit->io->now_ns + AUDIT_TICK_NS);
    if (minute) {
        audit_topic_settle(audit);
    }
    audit_faults_look(audit);
    audit_sums_write(audit, minute);
    queue_next(audit);
}

void audit_start(struct audit *audit)
{
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(!audit->started);
    audit->started = true;
    audit->flushed_ns = audit->io->now_ns;
    audit->tick.fire = tick_on_timer;
    audit->tick.arg = audit;
    io_timer_set(audit->io, &audit->tick, audit->io->now_ns + AUDIT_TICK_NS);
    audit_topic_settle(audit);
}

void audit_stop(struct audit *audit)
{
    OBJ_CHECK(audit, AUDIT);
    if (audit->stopping || !audit->started) {
        return;
    }
    io_timer_cancel(audit->io, &audit->tick);
    audit_faults_look(audit);
    audit_sums_write(audit, true);
    audit->stopping = true;
}

bool audit_idle(const struct audit *audit)
{
    return !audit->writes.busy && !audit->notes.busy && !audit->changing && el_list_empty(&audit->queue);
}

bool audit_wants(const struct audit *audit, int class)
{
    return (audit->settings.classes & 1u << class) != 0;
}

bool audit_required(const struct audit *audit)
{
    return audit->settings.required;
}

void audit_id(struct audit *audit, char id[AUDIT_ID_LEN + 1])
{
    uint64_t random;
    io_random(audit->io, &random, sizeof random);
    snprintf(id, AUDIT_ID_LEN + 1, "%016" PRIx64, random);
}

static void complain(struct audit *audit, int error)
{
    uint64_t now_ns = audit->io->now_ns;
    if (audit->complained_ns != 0 && now_ns - audit->complained_ns < COMPLAIN_NS) {
        return;
    }
    audit->complained_ns = now_ns;
    el_log(EL_LOG_ERROR, "audit", "%s: records cannot be stored: %s; %s", AUDIT_TOPIC, evlog_error_text(error),
           audit->settings.required ? "changes are refused meanwhile (evlog.audit.required)"
                                    : "changes are made without (evlog.audit.required=false)");
}

void audit_lost(struct audit *audit)
{
    OBJ_CHECK(audit, AUDIT);
    audit->lost++;
    metrics_add(audit->metrics, METRIC_AUDIT_DROPPED, 1);
}

/* --- a batch ------------------------------------------------------------------------------------------------------ */

/* returns false when it has no room in the batch */
static bool lane_add(struct audit_lane *lane, int class, const char *id, struct el_slice value)
{
    struct audit *audit = lane->audit;
    EL_ASSERT(!lane->busy);
    const struct el_header headers[HEADER_COUNT] = {
        {el_slice_str("ce_specversion"), el_slice_str("1.0")},
        {el_slice_str("ce_id"), el_slice_str(id)},
        {el_slice_str("ce_type"), el_slice_str(types[class])},
        {el_slice_str("ce_source"), el_slice_str(store_cluster_id(store_shard_store(audit->shard)))},
        {el_slice_str("content-type"), el_slice_str("application/json")},
    };
    struct el_record_body body = {.value = value, .headers = headers, .header_count = HEADER_COUNT};
    int code = el_batch_builder_add(&lane->builder, (int64_t)(io_wall(audit->io) / NS_PER_MS), &body);
    EL_ASSERT(code == 0 || code == EVLOG_ERR_LIMIT);
    lane->record_count += code == 0;
    return code == 0;
}

static void lane_send(struct audit_lane *lane, const struct topic *topic, void (*done)(struct store_op *base))
{
    struct audit *audit = lane->audit;
    struct el_slice batch;
    EL_ASSERT(!lane->busy);
    EL_ASSERT(lane->record_count > 0);
    int code = el_batch_builder_finish(&lane->builder, EL_CODEC_NONE, NULL, &batch);
    EL_ASSERT(code == 0);
    lane->append = (struct append_op){
        .base = {.done = done, .arg = lane},
        .topic_id = topic->id,
        .batch = batch.data,
        .batch_len = (uint32_t)batch.len,
        .reserved = lane == &audit->writes,
    };
    code = el_batch_check(batch.data, batch.len, EL_BATCH_LEN_MAX, NULL, 0, &lane->append.info);
    EL_ASSERT(code == 0);
    EL_ASSERT(lane->append.info.record_count == (int32_t)lane->record_count);
    lane->busy = true;
    store_append(audit->shard, &lane->append);
}

static void lane_empty(struct audit_lane *lane)
{
    el_batch_builder_reset(&lane->builder);
    lane->record_count = 0;
}

/* --- records that are waited for ---------------------------------------------------------------------------------- */

static void ops_end(struct el_list *ops, int error)
{
    struct el_list ended;
    el_list_init(&ended);
    el_list_splice_back(&ended, ops);
    for (struct el_list *node = el_list_pop_front(&ended); node != NULL; node = el_list_pop_front(&ended)) {
        struct audit_op *op = EL_CONTAINER(node, struct audit_op, link);
        op->error = error;
        op->done(op);
    }
}

static void writes_on_append(struct store_op *base)
{
    struct audit_lane *lane = base->arg;
    struct audit *audit = lane->audit;
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(lane == &audit->writes);
    EL_ASSERT(lane->busy);
    EL_ASSERT(!el_list_empty(&audit->sent));
    lane->busy = false;
    if (base->error == 0) {
        metrics_add(audit->metrics, METRIC_AUDIT_RECORDS, lane->record_count);
    } else {
        complain(audit, base->error);
    }
    lane_empty(lane);
    ops_end(&audit->sent, base->error);
    queue_next(audit);
}

static void queue_next(struct audit *audit)
{
    struct audit_lane *lane = &audit->writes;
    if (lane->busy || el_list_empty(&audit->queue)) {
        return;
    }
    const struct topic *topic = audit_topic(audit);
    if (topic == NULL) {
        return;
    }
    EL_ASSERT(el_list_empty(&audit->sent)); /* those of the last batch were told */
    EL_ASSERT(lane->record_count == 0);
    while (!el_list_empty(&audit->queue)) {
        struct audit_op *op = EL_CONTAINER(audit->queue.next, struct audit_op, link);
        if (!lane_add(lane, CONFIG_AUDIT_CHANGES, op->id, op->value)) {
            break;
        }
        el_list_remove(&op->link);
        el_list_push_back(&audit->sent, &op->link);
    }
    EL_ASSERT(lane->record_count > 0); /* one always fits into an empty batch */
    lane_send(lane, topic, writes_on_append);
}

void audit_write(struct audit *audit, struct audit_op *op)
{
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(op->value.len <= AUDIT_RECORD_LEN_MAX);
    el_list_init(&op->link);
    el_list_push_back(&audit->queue, &op->link);
    queue_next(audit);
}

/* --- notes -------------------------------------------------------------------------------------------------------- */

static void notes_on_append(struct store_op *base)
{
    struct audit_lane *lane = base->arg;
    struct audit *audit = lane->audit;
    OBJ_CHECK(audit, AUDIT);
    EL_ASSERT(lane == &audit->notes);
    EL_ASSERT(lane->busy);
    EL_ASSERT(lane->record_count > 0);
    lane->busy = false;
    if (base->error != 0) {
        complain(audit, base->error);
        if (audit->stopping) {
            metrics_add(audit->metrics, METRIC_AUDIT_DROPPED, lane->record_count);
        }
        return; /* the tick tries it again: the batch is as it was */
    }
    metrics_add(audit->metrics, METRIC_AUDIT_RECORDS, lane->record_count);
    lane_empty(lane);
    if (audit->notes_full) {
        audit->notes_full = false;
        audit_sums_write(audit, false);
    }
}

void audit_notes_send(struct audit *audit)
{
    struct audit_lane *lane = &audit->notes;
    if (lane->busy || lane->record_count == 0) {
        return;
    }
    const struct topic *topic = audit_topic(audit);
    if (topic != NULL) {
        lane_send(lane, topic, notes_on_append);
    }
}

bool audit_post(struct audit *audit, int class, const char *id, struct el_slice value)
{
    EL_ASSERT(class != CONFIG_AUDIT_CHANGES); /* those are waited for */
    bool fits = !audit->notes.busy && lane_add(&audit->notes, class, id, value);
    audit->notes_full = audit->notes_full || !fits;
    return fits;
}

void audit_topic_done(struct audit *audit, int error)
{
    if (error != 0) {
        complain(audit, error);
        ops_end(&audit->queue, error);
        return;
    }
    queue_next(audit);
    audit_notes_send(audit);
}
