/* SPDX-License-Identifier: Apache-2.0
 *
 * The marks of an archive on partitions, and the appends that wait for it.
 *
 * Without an archive nothing here has an effect, but that topics whose setting waits for one refuse appends. With one,
 * a partition's events are archived up to archived_end. Of topics with evlog.durability store or both that is the high
 * watermark, so that what is shown, and what is acknowledged, is never lost with this disk. Appends wait in
 * part->tier.awaiting in the order of the offsets that their answers tell of, which is that of arrival but for
 * duplicates.
 *
 * After a start the archive takes its time to say what it has. Until then archived_end is -1, and of topics that wait
 * for it what is below the local start is shown: that is in the archive for certain.
 */
#include <storage/tier.h>

#include <core/assert.h>
#include <core/logger.h>
#include <storage/catalogue.h>
#include <storage/remote.h>

EL_STATIC_ASSERT(sizeof(struct journal_wait) <= sizeof(((struct tier_trim *)0)->private_), "a wait fits into it");

#define AWAIT_LOOK_NS 250000000u

/* --- rules -------------------------------------------------------------------------------------------------------- */

static bool waits_for_archive(const struct partition *part)
{
    return topic_config_needs_archive(&part->topic->config, &part->shard->topic_defaults);
}

bool tier_decides(const struct partition *part)
{
    return part->shard->tier != NULL && part->topic != NULL && waits_for_archive(part);
}

bool tier_settling(const struct partition *part)
{
    return part->tier.archived_end < 0 && tier_decides(part);
}

int64_t tier_floor(const struct partition *part)
{
    return part->shard->tier == NULL ? INT64_MAX : part->tier.local_end;
}

int64_t tier_local_start(const struct partition *part)
{
    EL_LIST_EACH(n, &part->segments) {
        const struct segment *seg = EL_CONTAINER(n, struct segment, link);
        if (!seg->removed) {
            return seg->base_offset;
        }
    }
    return part->segment_end;
}

bool tier_has_more(const struct partition *part)
{
    return part->tier.partly && tier_local_start(part) > part->log_start;
}

int tier_refusal(const struct partition *part)
{
    if (part->tier.refused) {
        return EVLOG_ERR_CONFLICT;
    }
    bool archives = part->shard->tier != NULL && !part->shard->tier_ended;
    return !archives && waits_for_archive(part) ? EVLOG_ERR_POLICY : 0;
}

/* --- telling the archiver ----------------------------------------------------------------------------------------- */

void tier_changed(struct partition *part)
{
    const struct store_tier *tier = part->shard->tier;
    if (tier != NULL && !part->tier.told && !part->deleted) {
        part->tier.told = true;
        tier->changed(tier->arg, part);
    }
}

void tier_forget(struct partition *part)
{
    const struct store_tier *tier = part->shard->tier;
    EL_ASSERT(part->deleted);
    tier_release(part, EVLOG_ERR_UNKNOWN_TOPIC);
    if (tier != NULL) {
        tier->changed(tier->arg, part);
    }
}

/* --- appends that wait -------------------------------------------------------------------------------------------- */

void tier_await(struct partition *part, struct append_op *op)
{
    struct store_shard *shard = part->shard;
    struct el_list *before = part->tier.awaiting.prev;
    EL_ASSERT(op->told_end > part->high_watermark);
    EL_ASSERT(op->told_end <= part->next_offset);
    EL_ASSERT(el_list_empty(&op->base.link));
    while (before != &part->tier.awaiting &&
           EL_CONTAINER(before, struct append_op, base.link)->told_end > op->told_end) {
        before = before->prev;
    }
    el_list_insert_between(&op->base.link, before, before->next);
    if (el_list_empty(&part->tier.link)) {
        if (el_list_empty(&shard->awaiting)) {
            io_timer_set(shard->io, &shard->await_timer, shard->io->now_ns + AWAIT_LOOK_NS);
        }
        el_list_push_back(&shard->awaiting, &part->tier.link);
    }
}

/* It leaves the list before it is answered, for who is told may append. */
static void await_end(struct partition *part, struct append_op *op, int error)
{
    el_list_remove(&op->base.link);
    if (el_list_empty(&part->tier.awaiting)) {
        el_list_remove(&part->tier.link);
    }
    store_op_finish(&op->base, error);
}

void tier_release(struct partition *part, int error)
{
    while (!el_list_empty(&part->tier.awaiting)) {
        struct append_op *op = EL_CONTAINER(part->tier.awaiting.next, struct append_op, base.link);
        if (error == 0 && op->told_end > part->high_watermark) {
            break;
        }
        await_end(part, op, error != 0 ? error : op->refusal);
    }
}

void tier_release_all(struct store_shard *shard, int error)
{
    while (!el_list_empty(&shard->awaiting)) {
        tier_release(EL_CONTAINER(shard->awaiting.next, struct partition, tier.link), error);
    }
}

static bool is_late(const struct store_shard *shard, const struct append_op *op, uint64_t now_ns)
{
    return (op->wait_by_ns != 0 && now_ns >= op->wait_by_ns) ||
           (shard->answer_by_ns != 0 && now_ns >= shard->answer_by_ns);
}

static void await_look(struct io_timer *timer)
{
    struct store_shard *shard = timer->arg;
    uint64_t now_ns = io_mono(shard->io);
    struct el_list late;
    el_list_init(&late);
    EL_LIST_EACH_SAFE(p, part_next, &shard->awaiting) {
        struct partition *part = EL_CONTAINER(p, struct partition, tier.link);
        EL_LIST_EACH_SAFE(n, op_next, &part->tier.awaiting) {
            struct append_op *op = EL_CONTAINER(n, struct append_op, base.link);
            if (is_late(shard, op, now_ns)) {
                el_list_remove(n);
                el_list_push_back(&late, n);
            }
        }
        if (el_list_empty(&part->tier.awaiting)) {
            el_list_remove(&part->tier.link);
        }
    }
    if (!el_list_empty(&shard->awaiting)) {
        io_timer_set(shard->io, timer, shard->io->now_ns + AWAIT_LOOK_NS);
    }
    for (struct el_list *n; (n = el_list_pop_front(&late)) != NULL;) {
        store_op_finish(&EL_CONTAINER(n, struct append_op, base.link)->base, EVLOG_ERR_TIMED_OUT);
    }
}

/* --- the archiver's side ------------------------------------------------------------------------------------------ */

void tier_init(struct store_shard *shard)
{
    el_list_init(&shard->awaiting);
    shard->refill_due = true; /* it is looked for */
    shard->await_timer.fire = await_look;
    shard->await_timer.arg = shard;
    remote_init(shard);
}

void store_tier_set(struct store_shard *shard, const struct store_tier *tier)
{
    OBJ_CHECK(shard, SHARD);
    EL_ASSERT(shard->tier == NULL);
    EL_ASSERT(tier->changed != NULL);
    EL_ASSERT(tier->read != NULL);
    shard->tier = tier;
    for (size_t i = 0; i < shard->partitions.count; i++) {
        struct partition *part = shard->partitions.entries[i].value;
        if (tier_decides(part)) {
            part->high_watermark = EL_MAX(part->log_start, tier_local_start(part));
        }
    }
}

void tier_begin(struct store_shard *shard)
{
    const struct partition *first = NULL;
    uint32_t count = 0;
    for (size_t i = 0; shard->tier == NULL && i < shard->partitions.count; i++) {
        const struct partition *part = shard->partitions.entries[i].value;
        if (tier_has_more(part) || waits_for_archive(part)) {
            first = first == NULL ? part : first;
            count++;
        }
    }
    if (count > 0) {
        el_log(
            EL_LOG_WARN, "storage",
            "shard %u: %u partitions need the archive, such as topic %s partition %d (events that this disk does not "
            "have, or evlog.durability=store): start evlogd with --archive to read and write them whole",
            shard->index, count, first->topic->name, first->key.partition);
    }
}

struct partition *store_tier_next(struct store_shard *shard, size_t *cursor)
{
    return *cursor < shard->partitions.count ? shard->partitions.entries[(*cursor)++].value : NULL;
}

struct partition *store_tier_find(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition)
{
    return partition_find(shard, topic_id, partition);
}

void store_tier_view(const struct partition *part, struct tier_view *view)
{
    OBJ_CHECK(part, PARTITION);
    *view = (struct tier_view){
        .topic_id = part->key.topic_id,
        .partition = part->key.partition,
        .log_start = part->log_start,
        .local_start = tier_local_start(part),
        .archived_end = part->tier.archived_end,
        .durable_end = part->durable_end,
        .next_offset = part->next_offset,
        .internal = part->topic != NULL && part->topic->internal,
        .awaited = tier_decides(part),
        .deleted = part->deleted,
    };
}

/* Of a segment that `from` lies in the share that its offsets have. */
uint64_t store_tier_pending(const struct partition *part, int64_t from)
{
    OBJ_CHECK(part, PARTITION);
    uint64_t len = from < part->durable_end ? part->pending_bytes : 0;
    for (const struct el_list *n = part->segments.prev; n != &part->segments; n = n->prev) {
        const struct segment *seg = EL_CONTAINER((struct el_list *)(uintptr_t)n, struct segment, link);
        if (seg->end_offset <= from || seg->removed) {
            break;
        }
        int64_t first = EL_MAX(seg->base_offset, from);
        len += (uint64_t)((double)seg->len * (double)(seg->end_offset - first) /
                          (double)(seg->end_offset - seg->base_offset));
    }
    return len;
}

void **store_tier_state(struct partition *part)
{
    OBJ_CHECK(part, PARTITION);
    return &part->tier.state;
}

void store_tier_settled(struct partition *part)
{
    OBJ_CHECK(part, PARTITION);
    part->tier.told = false;
}

void store_tier_archived(struct partition *part, int64_t end, int64_t local_end)
{
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(!part->deleted);
    EL_ASSERT(end >= part->tier.archived_end);
    EL_ASSERT(end <= part->durable_end);
    EL_ASSERT(local_end >= part->tier.local_end);
    EL_ASSERT(local_end <= end);
    part->tier.archived_end = end;
    part->tier.local_end = local_end;
    partition_show(part);
}

void store_tier_retired(struct partition *part, int64_t end)
{
    OBJ_CHECK(part, PARTITION);
    part->tier.retired_end = EL_MAX(part->tier.retired_end, end); /* tier_keep() goes after it */
}

void store_tier_read_done(struct tier_read *read)
{
    EL_ASSERT(read->done != NULL);
    read->done(read);
}

void store_tier_refuse(struct partition *part)
{
    OBJ_CHECK(part, PARTITION);
    part->tier.refused = true;
}

void store_tier_hold(struct store_shard *shard, bool holds)
{
    OBJ_CHECK(shard, SHARD);
    shard->tier_holds = holds;
    if (holds) {
        el_list_splice_back(&shard->tier_held, &shard->held);
    } else {
        el_list_splice_back(&shard->held, &shard->tier_held);
    }
    if (!holds && shard->index == 0) {
        meta_retry(shard->store);
    } /* appends are tried again at the next tick */
}

void store_tier_stop(struct store_shard *shard, uint64_t answer_by_ns)
{
    OBJ_CHECK(shard, SHARD);
    EL_ASSERT(answer_by_ns > 0);
    shard->tier_ends = true;
    shard->answer_by_ns = answer_by_ns;
    shard_retry_held(shard);
    if (shard->index == 0) {
        meta_retry(shard->store);
    }
}

static void trim_on_durable(struct journal_wait *wait, int error)
{
    struct tier_trim *trim = EL_CONTAINER(wait, struct tier_trim, private_);
    struct partition *part = trim->part;
    if (error == 0 && !part->deleted) {
        part->high_watermark = EL_MAX(part->high_watermark, trim->log_start); /* it is archived, or was */
        partition_set_log_start(part, trim->log_start);
        part->shard->checkpoint.wanted = true;
    }
    partition_unpin(part);
    trim->done(trim, error);
}

int store_tier_trim(struct partition *part, struct tier_trim *trim)
{
    OBJ_CHECK(part, PARTITION);
    EL_ASSERT(trim->log_start <= part->durable_end);
    EL_ASSERT(trim->log_start > part->log_start);
    int code = partition_trim_frame(part, trim->log_start);
    if (code != 0) {
        return code;
    }
    struct journal_wait *wait = (struct journal_wait *)(void *)trim->private_;
    wait->done = trim_on_durable;
    trim->part = part;
    part->pins++;
    journal_wait(&part->shard->journal, wait);
    return 0;
}

void store_tier_ended(struct store_shard *shard)
{
    OBJ_CHECK(shard, SHARD);
    shard->tier_ended = true;
}
