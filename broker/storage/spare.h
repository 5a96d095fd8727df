/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory that a shard keeps back, so that its checkpoints never lack any: without them neither journal nor memory is
 * ever freed. Owner shard only. docs/decisions/0028-spare-memory.md.
 */
#ifndef EL_STORAGE_SPARE_H
#define EL_STORAGE_SPARE_H

#include <core/buddy.h>
#include <stdbool.h>

#define SPARE_CHUNK_LEN (16u << 10)

struct store_shard;

struct spare {
    uint8_t *state;   /* block that the state of a base fits into */
    size_t state_len; /* of that block */
    bool state_lent;  /* a checkpoint has it */
    void *chunk;      /* block of SPARE_CHUNK_LEN for one chunk job */
    bool chunk_lent;
};

/* Take the blocks. returns 0 | EVLOG_ERR_NO_MEMORY */
int spare_init(struct store_shard *shard);
void spare_free(struct store_shard *shard);
/* Is there enough for a checkpoint when a producer, an epoch and so many segments, or partitions that will need one,
 * are added? Takes more when there is not. returns false when there is none to be had: nothing may be added */
bool spare_hold(struct store_shard *shard, size_t segments);
/* The block for a state of len bytes: the spare one, or where that is too small one of the buddy; NULL no memory */
uint8_t *spare_state_take(struct store_shard *shard, size_t len);
void spare_state_return(struct store_shard *shard, uint8_t *block);
/* The block for a chunk job; NULL it is lent */
void *spare_chunk_take(struct spare *spare);
/* returns false when the block is not the spare one */
bool spare_chunk_return(struct spare *spare, const void *block);

#endif
