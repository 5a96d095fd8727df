/* SPDX-License-Identifier: Apache-2.0
 *
 * Idempotent producers of a partition: docs/protocol.md, "Idempotent producers". State is kept with the partition,
 * saved in checkpoints as deltas and brought up to date by the journal behind them. It is forgotten a day after the
 * producer's last batch, or earlier when more producers come than memory is meant for.
 */
#include <storage/shard_state.h>

#include <core/assert.h>

#define MEMORY_SHARE 8u /* of a shard's memory at most an eighth, whatever the number of producers */
#define PRODUCER_MEMORY_LEN (sizeof(struct producer) + 2 * sizeof(struct el_map_entry))
#define EVICT_LOOKS 16u

int producer_check(struct partition *part, const struct el_batch_info *info, const struct producer_batch **found)
{
    struct producer *p = el_map_get(&part->producers, &info->producer_id, sizeof(info->producer_id));
    if (p == NULL || p->batch_count == 0) {
        return 0; /* unknown, or reserved by an append that then found no room */
    }
    EL_ASSERT(p->id == info->producer_id);
    EL_ASSERT(p->batch_count <= PRODUCER_BATCHES_KEPT);
    int32_t last_sequence = el_batch_last_sequence(info);
    if (info->producer_epoch == p->epoch) {
        for (uint32_t i = 0; i < p->batch_count; i++) {
            if (p->batches[i].first_sequence == info->base_sequence && p->batches[i].last_sequence == last_sequence) {
                *found = &p->batches[i];
                return EVLOG_ERR_EXISTS;
            }
        }
    }
    if (info->producer_epoch < p->epoch) {
        return EVLOG_ERR_PRODUCER_EPOCH;
    }
    if (info->producer_epoch > p->epoch) {
        return info->base_sequence == 0 ? 0 : EVLOG_ERR_SEQUENCE;
    }
    int32_t expected = el_sequence_add(p->batches[p->batch_count - 1].last_sequence, 1);
    return info->base_sequence == expected ? 0 : EVLOG_ERR_SEQUENCE;
}

static void producer_remove(struct partition *part, struct producer *p)
{
    el_map_remove(&part->producers, &p->id, sizeof(p->id));
    el_pool_put(&part->shard->producer_pool, p);
}

/* Forget about the longest silent producer of the partition: of a few, for there may be very many. */
static bool producer_evict(struct partition *part)
{
    struct store_shard *shard = part->shard;
    struct producer *oldest = NULL;
    for (size_t i = 0; i < EVICT_LOOKS && i < part->producers.count; i++) {
        struct producer *p = part->producers.entries[shard->evict_cursor++ % part->producers.count].value;
        bool durable = p->batch_count == 0 ||
                       p->batches[p->batch_count - 1].group_sequence <= shard->journal.durable_sequence;
        if (durable && (oldest == NULL || p->last_append_ns < oldest->last_append_ns)) {
            oldest = p;
        }
    }
    if (oldest != NULL) {
        producer_remove(part, oldest);
    }
    return oldest != NULL;
}

int producer_reserve(struct partition *part, const struct el_batch_info *info)
{
    if (el_map_get(&part->producers, &info->producer_id, sizeof(info->producer_id)) != NULL) {
        return 0;
    }
    uint64_t memory_max = part->shard->buddy->len / MEMORY_SHARE;
    if (part->shard->producer_pool.count >= memory_max / PRODUCER_MEMORY_LEN && !producer_evict(part)) {
        return EVLOG_ERR_FULL; /* those of other partitions take it all; they expire */
    }
    struct producer *p = el_pool_get(&part->shard->producer_pool);
    if (p == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    p->id = info->producer_id;
    p->epoch = info->producer_epoch;
    int code = el_map_put(&part->producers, &p->id, sizeof(p->id), p);
    if (code != 0) {
        el_pool_put(&part->shard->producer_pool, p);
        return code;
    }
    return 0;
}

void producer_note(struct partition *part, const struct el_batch_info *info, const struct producer_batch *batch)
{
    struct producer *p = el_map_get(&part->producers, &info->producer_id, sizeof(info->producer_id));
    EL_ASSERT(p != NULL);
    if (p->batch_count > 0 && batch->base_offset <= p->batches[p->batch_count - 1].base_offset) {
        return;
    }
    if (info->producer_epoch != p->epoch) {
        p->epoch = info->producer_epoch;
        p->batch_count = 0;
    }
    if (p->batch_count == PRODUCER_BATCHES_KEPT) {
        memmove(&p->batches[0], &p->batches[1], sizeof(p->batches[0]) * (PRODUCER_BATCHES_KEPT - 1));
        p->batch_count--;
    }
    EL_ASSERT(p->batch_count < PRODUCER_BATCHES_KEPT);
    p->batches[p->batch_count++] = *batch;
    p->last_append_ns = batch->append_time_ns;
    p->dirty = true;
}

void producer_expire(struct partition *part, uint64_t before_ns)
{
    for (size_t i = part->producers.count; i > 0; i--) {
        struct producer *p = part->producers.entries[i - 1].value;
        if (p->last_append_ns < before_ns) {
            producer_remove(part, p);
        }
    }
}

int producer_load(struct partition *part, const struct producer *state)
{
    struct el_batch_info info = {.producer_id = state->id, .producer_epoch = state->epoch};
    EL_ASSERT(state->batch_count > 0);
    EL_ASSERT(state->batch_count <= PRODUCER_BATCHES_KEPT); /* the reader of checkpoints has looked */
    int code = producer_reserve(part, &info);
    if (code != 0) {
        return code;
    }
    struct producer *p = el_map_get(&part->producers, &state->id, sizeof(state->id));
    int64_t id = p->id;
    *p = *state;
    EL_ASSERT(p->id == id);
    p->dirty = false;
    return 0;
}

void producer_free_all(struct partition *part)
{
    while (part->producers.count > 0) {
        producer_remove(part, part->producers.entries[part->producers.count - 1].value);
    }
    el_map_destroy(&part->producers);
}
