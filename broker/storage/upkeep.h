/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shard looks after by timer: free space, retention, segments to roll and seal, gauges. Owner shard only.
 */
#ifndef EL_STORAGE_UPKEEP_H
#define EL_STORAGE_UPKEEP_H

#include <storage/shard_state.h>

void upkeep_init(struct store_shard *shard);
void upkeep_start(struct store_shard *shard);
/* No more timers; a job under way still ends. */
void upkeep_stop(struct store_shard *shard);
void upkeep_free(struct store_shard *shard);

/* Bytes were appended: look at the free space when they are many, and not only at intervals. */
void upkeep_appended(struct store_shard *shard, uint64_t len);
/* Appends are refused from now on, or taken again. */
void upkeep_set_full(struct store_shard *shard, bool full);
/* After a checkpoint: remove segment files that the last run left behind. Once in a start. */
void upkeep_sweep(struct store_shard *shard);

#endif
