/* SPDX-License-Identifier: Apache-2.0
 *
 * Log compaction of a shard's partitions: one at a time, looked for by timer. Owner shard only.
 */
#ifndef EL_STORAGE_COMPACT_H
#define EL_STORAGE_COMPACT_H

#include <storage/shard_state.h>

/* What the topic's cleanup.policy says. */
bool compact_wanted(const struct partition *part);
bool compact_deletes(const struct partition *part);

/* At intervals: begin a pass when none is under way and a partition is due. */
void compact_look(struct store_shard *shard);
/* Close the active segment of a compacted partition, and write what is in no segment yet, when max.compaction.lag.ms
 * asks for it. */
void compact_roll(struct partition *part, uint64_t now_ns);
/* The store closes: free what a pass holds. */
void compact_free(struct store_shard *shard);

#endif
