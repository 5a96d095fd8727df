/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept back follows what there is: a base checkpoint holds each partition, epoch, segment and producer once, so
 * its length has a bound that four counts give. Before an append adds to them, the block for the state is made larger;
 * where memory has no larger one, the append waits (ops.c). A pending partition may need a segment for its chunk, and
 * has one in the pool. Chunks themselves are written from where their batches lie; the job for one of them is kept,
 * and with it alone a checkpoint comes to its end, if slowly.
 *
 * Invariant, from the first append on: the state of a base with one more segment for each partition fits into `state`.
 */
#include <storage/spare.h>

#include <core/assert.h>
#include <storage/shard_state.h>

#define STATE_LEN_MIN (16u << 10)

/* Of a base, and of whatever may be added until appends ask again. */
static size_t state_bound(const struct store_shard *shard)
{
    size_t parts = shard->partition_pool.count;
    return EL_CHECKPOINT_HEADER_LEN + parts * EL_CHECKPOINT_ENTRY_LEN +
           (shard->epoch_pool.count + 1) * EL_CHECKPOINT_EPOCH_LEN +
           (shard->segment_pool.count + parts + 1) * EL_CHECKPOINT_SEGMENT_LEN +
           (shard->producer_pool.count + 1) *
               (EL_CHECKPOINT_PRODUCER_LEN + (size_t)PRODUCER_BATCHES_KEPT * EL_CHECKPOINT_BATCH_LEN);
}

int spare_init(struct store_shard *shard)
{
    struct spare *spare = &shard->spare;
    spare->chunk = el_buddy_alloc(shard->buddy, SPARE_CHUNK_LEN);
    spare->state = el_buddy_alloc(shard->buddy, STATE_LEN_MIN);
    if (spare->chunk == NULL || spare->state == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    spare->state_len = el_buddy_block_len(shard->buddy, spare->state);
    return 0;
}

void spare_free(struct store_shard *shard)
{
    el_buddy_free(shard->buddy, shard->spare.chunk);
    el_buddy_free(shard->buddy, shard->spare.state);
    shard->spare = (struct spare){0};
}

bool spare_hold(struct store_shard *shard, size_t segments)
{
    struct spare *spare = &shard->spare;
    if (!el_pool_hold(&shard->segment_pool, shard->pending_count + segments)) {
        return false;
    }
    size_t bound = state_bound(shard);
    if (bound <= spare->state_len) {
        return true;
    }
    uint8_t *larger = el_buddy_alloc(shard->buddy, bound);
    if (larger == NULL) {
        return false;
    }
    if (!spare->state_lent) {
        el_buddy_free(shard->buddy, spare->state);
    }
    spare->state = larger;
    spare->state_len = el_buddy_block_len(shard->buddy, larger);
    spare->state_lent = false; /* what is lent is the checkpoint's now */
    return true;
}

uint8_t *spare_state_take(struct store_shard *shard, size_t len)
{
    struct spare *spare = &shard->spare;
    EL_ASSERT(!spare->state_lent); /* one checkpoint at a time */
    if (len > spare->state_len) {  /* a start found no memory for what it had to keep */
        return el_buddy_alloc(shard->buddy, len);
    }
    spare->state_lent = true;
    return spare->state;
}

void spare_state_return(struct store_shard *shard, uint8_t *block)
{
    struct spare *spare = &shard->spare;
    if (block != spare->state) {
        el_buddy_free(shard->buddy, block);
    } else if (block != NULL) {
        EL_ASSERT(spare->state_lent);
        spare->state_lent = false;
    }
}

void *spare_chunk_take(struct spare *spare)
{
    if (spare->chunk_lent) {
        return NULL;
    }
    spare->chunk_lent = true;
    return spare->chunk;
}

bool spare_chunk_return(struct spare *spare, const void *block)
{
    if (block == NULL || block != spare->chunk) {
        return false;
    }
    EL_ASSERT(spare->chunk_lent);
    spare->chunk_lent = false;
    return true;
}
