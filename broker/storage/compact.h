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
/* Begin a pass that puts marks in the place of batches, in the partition's segments that overlap [first, end): they are
 * sealed. The pass is over when ended() is called: error 0, or why not, and then nothing is lost but time. */
struct compact_redaction {
    int64_t first, end;
    uint64_t when_ms;
    struct el_slice reason; /* borrowed until ended() */
    void (*ended)(struct compact_redaction *redaction, int error);
    uint64_t batch_count; /* out: that became marks */
};
/* returns 0 | EVLOG_ERR_AGAIN not now */
int compact_redact(struct partition *part, struct compact_redaction *redaction);
/* The store closes: free what a pass holds. */
void compact_free(struct store_shard *shard);

#endif
