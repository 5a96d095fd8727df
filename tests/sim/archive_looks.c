/* SPDX-License-Identifier: Apache-2.0
 *
 * What must hold of the archive and of the logs, at any time and between lives.
 */
#include "archive_life.h"

#include <core/assert.h>
#include <core/hash.h>
#include <stdlib.h>

/* --- looks -------------------------------------------------------------------------------------------------------- */

/* Nothing left the disk that the archive does not have, unless an operator wanted it. */
void arch_check_floors(struct archive_life *l)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        struct store_shard *shard = store_shard_at(l->w.store, i);
        size_t cursor = 0;
        for (struct partition *part; (part = store_tier_next(shard, &cursor)) != NULL;) {
            struct tier_view view;
            int64_t allowed = 0;
            store_tier_view(part, &view);
            for (uint32_t k = 0; k < TOPICS_MAX; k++) {
                if (el_uuid_eq(&l->topics[k].id, &view.topic_id) && view.partition < PARTITIONS_MAX) {
                    allowed = l->topics[k].parts[view.partition].trimmed;
                }
            }
            allowed = EL_MAX(allowed, bucket_end(l->bucket, &view.topic_id, view.partition));
            if (view.local_start > allowed || view.log_start > allowed) {
                world_violation(&l->w, "partition %d begins at offset %lld (local %lld), the archive ends at %lld",
                                view.partition, (long long)view.log_start, (long long)view.local_start,
                                (long long)allowed);
            }
        }
    }
}

/* Without memory to know more, nothing new is archived. */
void arch_check_full(struct archive_life *l)
{
    char text[256];
    uint64_t bundles = 0;
    bool full = archive_full(l->archive, text, sizeof text);
    for (size_t i = 0; i < l->bucket->mem->count && full; i++) {
        bundles += strstr(l->bucket->mem->objects[i].key, "/bundles/") != NULL;
    }
    if (full && l->full && !l->redacts && bundles > l->full_bundles) {
        world_violation(&l->w, "there is no memory to know more, and something new is archived");
    }
    l->full = full;
    l->full_bundles = bundles;
}

#define ORPHAN_ROUNDS_MAX 3000

/* Two sweeps: one may be under way. What a redaction has had replaced goes behind each root. */
void arch_check_orphans(struct archive_life *l)
{
    int64_t until_ms = l->bucket->mem->now_ms - (int64_t)l->cfg.orphan_ms;
    uint64_t enough = l->sweeps + 2;
    uint32_t before = bucket_orphans(l->bucket, until_ms), left = before;
    int code = 0;
    for (int i = 0; i < ORPHAN_ROUNDS_MAX && (l->sweeps < enough || left > 0) && l->w.violation[0] == 0; i++) {
        if (!arch_now(l, true, false, &code)) {
            return;
        }
        for (int k = 0; k < 10 && world_step(&l->w); k++) {
        }
        left = bucket_orphans(l->bucket, until_ms);
    }
    world_say(&l->w, "orphans", before, left);
    if (l->w.violation[0] == 0 && (left > 0 || l->sweeps < enough)) {
        world_violation(&l->w, "%u objects that no root names stay, of %u; sweeps: %llu of %llu", left, before,
                        (unsigned long long)l->sweeps, (unsigned long long)enough);
    }
}

#define START_STEPS_MAX 200000u

/* A log that begins below what has left the archive has that on its disk. */
static bool starts_follow(struct archive_life *l, struct tier_view *late)
{
    for (uint32_t i = 0; i < l->w.shard_count; i++) {
        struct store_shard *shard = store_shard_at(l->w.store, i);
        size_t cursor = 0;
        for (struct partition *part; (part = store_tier_next(shard, &cursor)) != NULL;) {
            store_tier_view(part, late);
            int64_t end = bucket_retired(l->bucket, &late->topic_id, late->partition)->end_offset;
            if (late->log_start < EL_MIN(end, late->local_start)) {
                return false;
            }
        }
    }
    return true;
}

void arch_check_starts(struct archive_life *l)
{
    struct tier_view late;
    for (uint32_t i = 0; i < START_STEPS_MAX && !starts_follow(l, &late); i++) {
        if (!world_step(&l->w)) {
            return;
        }
    }
    if (!starts_follow(l, &late)) {
        world_violation(&l->w,
                        "partition %d begins at offset %lld, is on the disk from %lld on, and has left the archive",
                        late.partition, (long long)late.log_start, (long long)late.local_start);
    }
}

/* What has left was old enough, and nothing younger went with it. */
static void check_retired(struct archive_life *l, const struct life_topic *t, int32_t partition)
{
    const struct el_manifest_retired *r = bucket_retired(l->bucket, &t->id, partition);
    const struct life_part *p = &t->parts[partition];
    if (r->tree.size == 0) {
        return;
    }
    if (t->compacted || t->retention_ms < 0 || r->retention_ms != t->retention_ms) {
        world_violation(&l->w, "events left partition %d by a retention of %lld ms, which is %lld", partition,
                        (long long)r->retention_ms, (long long)t->retention_ms);
    }
    for (uint32_t i = 0; i < p->acked_count; i++) {
        const struct acked *a = &p->acked[i];
        if (a->offset < r->end_offset && a->append_time_ns > r->newest_append_ns) {
            world_violation(&l->w, "offset %lld of partition %d left the archive, and is younger than what may",
                            (long long)a->offset, partition);
        }
    }
}

struct compare {
    int64_t retired; /* below it nothing is left */
    struct archive_life *l;
    const struct life_part *part;
    const struct el_uuid *topic_id;
    int32_t partition;
    uint32_t index;
    bool whole;        /* nothing is missing but what was deleted */
    int64_t log_start; /* as the newest root says */
    int64_t end;       /* of what was looked at */
};

static int by_offset(const void *left, const void *right)
{
    const struct acked *a = left, *b = right;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Acknowledged batches are in the archive as they were sent, but those that were deleted before. */
static bool compare_batch(void *arg, const struct el_pack_batch *row, const uint8_t *batch)
{
    struct compare *c = arg;
    const struct life_part *p = c->part;
    if (c->whole && row->leaf.first_offset > EL_MAX(c->end, EL_MAX(c->log_start, c->retired))) {
        world_violation(&c->l->w, "the archive has nothing from offset %lld to %lld, and says that it begins at %lld",
                        (long long)c->end, (long long)row->leaf.first_offset, (long long)c->log_start);
        return false;
    }
    c->end = el_pack_batch_end(row);
    while (c->index < p->acked_count && p->acked[c->index].offset < row->leaf.first_offset) {
        const struct acked *a = &p->acked[c->index++];
        if (a->offset + a->count > EL_MAX(p->trimmed, c->retired)) {
            world_violation(&c->l->w, "offset %lld was acknowledged and is not in the archive, which goes on behind it",
                            (long long)a->offset);
            return false;
        }
    }
    if (c->index == p->acked_count || p->acked[c->index].offset != row->leaf.first_offset) {
        return true; /* nobody was told of it */
    }
    const struct acked *a = &p->acked[c->index++];
    if (row->redacted) {
        if (!arch_is_gone(p, row->leaf.first_offset, el_pack_batch_end(row))) {
            world_violation(&c->l->w, "offset %lld is redacted in the archive, and nobody asked for it",
                            (long long)a->offset);
        }
        if (!bucket_redacted(c->l->bucket, c->topic_id, c->partition, row, LIFE_REASON)) {
            world_violation(&c->l->w, "offset %lld is redacted in the archive, and no root says so and why",
                            (long long)a->offset);
        }
        return row->leaf.record_count == a->count;
    }
    if (el_get_be32(batch + EL_BATCH_POS_CRC) != a->crc || row->leaf.record_count != a->count) {
        world_violation(&c->l->w, "offset %lld is another batch in the archive than was acknowledged",
                        (long long)a->offset);
        return false;
    }
    return true;
}

void arch_compare_topics(struct archive_life *l)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there; k++) {
            struct compare c = {.l = l,
                                .part = &t->parts[k],
                                .topic_id = &t->id,
                                .partition = k,
                                .retired = bucket_retired(l->bucket, &t->id, k)->end_offset};
            const struct archive_partition *p = archive_state_partition(l->bucket->state, &t->id, k);
            c.whole = !t->compacted && p != NULL;
            c.log_start = p == NULL ? 0 : p->now.log_start;
            check_retired(l, t, k);
            if (t->parts[k].acked_count > 0) {
                qsort(t->parts[k].acked, t->parts[k].acked_count, sizeof(struct acked), by_offset);
            }
            bucket_each(l->bucket, &t->id, k, compare_batch, &c);
        }
    }
}

/* Everything acknowledged with an append time up to this one is in the archive. */
void arch_check_whole(struct archive_life *l, uint64_t through_ns)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        const struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there; k++) {
            const struct life_part *p = &t->parts[k];
            for (uint32_t n = 0; n < p->acked_count; n++) {
                int64_t end = p->acked[n].offset + p->acked[n].count;
                bool due = p->acked[n].append_time_ns <= through_ns && end > p->trimmed;
                if (due && end > bucket_end(l->bucket, &t->id, k)) {
                    world_violation(&l->w, "offset %lld of partition %d was acknowledged; the archive ends at %lld",
                                    (long long)p->acked[n].offset, k, (long long)bucket_end(l->bucket, &t->id, k));
                    return;
                }
            }
        }
    }
}

/* Batches of a log as they are on the disk. */
struct log_look {
    struct archive_life *l;
    struct log_batch {
        int64_t offset;
        uint64_t hash;
    } * batches; /* [count] */
    uint32_t count, room, at;
    bool whole; /* it must have all that is shown */
    const struct life_part *part;
    int64_t log_start; /* as the archive says */
};

static uint64_t batch_hash(const uint8_t *batch, size_t len, const uint8_t salt[16], uint64_t append_time_ns)
{
    return el_xxh3(batch, len) * 31 + el_xxh3(salt, 16) + append_time_ns;
}

static void log_take(struct log_look *look, const struct read_op *op)
{
    for (uint32_t i = 0; i < op->entry_count; i++) {
        const struct read_entry *e = &op->entries[i];
        const uint8_t *batch = op->data + e->pos;
        if (look->count == look->room) {
            look->room = EL_MAX(look->room * 2, 64u);
            look->batches = realloc(look->batches, look->room * sizeof *look->batches);
            EL_ASSERT(look->batches != NULL);
        }
        look->batches[look->count++] = (struct log_batch){
            .offset = el_batch_base_offset(batch), .hash = batch_hash(batch, e->len, e->salt, e->append_time_ns)};
    }
}

static void log_read(struct log_look *look, const struct life_topic *t, int32_t partition)
{
    static struct read_op op;
    int64_t offset = 0;
    for (bool more = true; more;) {
        op = (struct read_op){.topic_id = t->id,
                              .partition = partition,
                              .offset = offset,
                              .max_bytes = 1u << 20,
                              .at_least_one = true,
                              .want_entries = true,
                              .for_archive = true,
                              .current_leader_epoch = -1,
                              .last_fetched_epoch = -1};
        store_read(arch_ask(look->l, &op.base), &op);
        int code = arch_told(look->l, &op.base);
        if (code == EVLOG_ERR_OFFSET_RANGE) { /* it begins later: one after the other is tried */
            offset++;
            continue;
        }
        more = code == 0 && op.entry_count > 0;
        if (code == 0) {
            log_take(look, &op);
            offset = op.next_offset;
            store_read_release(&op);
        }
    }
}

/* What the disk still has is what the archive has. */
static bool log_compare(void *arg, const struct el_pack_batch *row, const uint8_t *batch)
{
    struct log_look *look = arg;
    while (look->at < look->count && look->batches[look->at].offset < row->leaf.first_offset) {
        look->at++;
    }
    bool both = look->at < look->count && look->batches[look->at].offset == row->leaf.first_offset;
    bool gone = arch_is_gone(look->part, row->leaf.first_offset, row->leaf.first_offset + 1 + row->last_offset_delta);
    if (row->redacted || gone) { /* an archive that is continued by another keeps what was redacted since */
        return true;
    }
    if (both && look->batches[look->at].hash != batch_hash(batch, row->len, row->salt, row->leaf.append_time_ns)) {
        world_violation(&look->l->w, "offset %lld is another batch in the archive than in the log",
                        (long long)row->leaf.first_offset);
        return false;
    }
    if (!both && look->whole && row->leaf.first_offset >= look->log_start) {
        world_violation(&look->l->w, "offset %lld is in the archive and not in the log",
                        (long long)row->leaf.first_offset);
        return false;
    }
    return true;
}

void arch_compare_logs(struct archive_life *l, bool whole)
{
    for (uint32_t i = 0; i < TOPICS_MAX; i++) {
        const struct life_topic *t = &l->topics[i];
        for (int32_t k = 0; k < t->partition_count && t->there && !t->compacted; k++) {
            struct log_look look = {.l = l, .whole = whole, .part = &t->parts[k]};
            const struct archive_partition *p = archive_state_partition(l->bucket->state, &t->id, k);
            look.log_start = p == NULL ? 0 : p->now.log_start;
            /* An heir's own events leave while older ones stay in what it continues: nothing begins before the hole. */
            look.log_start = EL_MAX(look.log_start, bucket_retired(l->bucket, &t->id, k)->end_offset);
            log_read(&look, t, k);
            bucket_each(l->bucket, &t->id, k, log_compare, &look);
            free(look.batches);
        }
    }
}
