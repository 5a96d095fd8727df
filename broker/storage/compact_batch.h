/* SPDX-License-Identifier: Apache-2.0
 *
 * What compaction makes of one batch. Pure functions over bytes, on a worker.
 */
#ifndef EL_STORAGE_COMPACT_BATCH_H
#define EL_STORAGE_COMPACT_BATCH_H

#include <format/batch.h>
#include <format/segment_layout.h>
#include <storage/compact_map.h>

/* What may go. */
struct compact_rules {
    struct compact_map map; /* last offset of each key, for offsets below map_end */
    uint8_t secret[EL_XXH3_SECRET_LEN];
    int64_t map_end;     /* records at or above it are not in the map */
    int64_t keep_offset; /* the last record of the log stays, so that a reader always finds something ahead of it */
    uint64_t now_ns;
    uint64_t tombstone_ns; /* a tombstone stays so long after a compaction first covered it */
    /* Of a pass that redacts, and does nothing else: redact_end 0 when it is another. */
    int64_t redact_first; /* batches with offsets from here on ... */
    int64_t redact_end;   /* ... below this become marks */
    uint64_t redact_ms;
    struct el_slice redact_reason; /* borrowed for the time of the pass */
};

/* Memory that batches share; heap, kept for the time of a job. */
struct compact_scratch {
    uint8_t *inflated;
    size_t inflated_len;
    uint8_t *plain; /* header and the records that stay */
    size_t plain_len;
    uint8_t *packed;
    size_t packed_len;
};
void compact_scratch_free(struct compact_scratch *scratch);

/* Remember the keys of a batch's records from `from` on.
 *
 * map_end   behind what came before; then behind the last record that is remembered
 * returns   0 | EVLOG_ERR_FULL the map is full; *map_end is the first record that found no room |
 *           EVLOG_ERR_CORRUPT ... | EVLOG_ERR_NO_MEMORY
 */
int compact_batch_map(struct compact_rules *rules, const uint8_t *batch, size_t len, int64_t from, int64_t *map_end,
                      struct compact_scratch *scratch);

struct compact_kept {
    struct el_slice batch; /* the batch as it came, or in the scratch memory, or empty: nothing is left of it */
    struct el_chunk_entry entry;
    uint32_t dropped;       /* records */
    bool tombstone_waiting; /* a tombstone is left that may go once its time is over */
    bool redacted;          /* a mark has taken its place */
};
/* Leave out the records that may go. A batch that loses none stays byte for byte.
 *
 * entry     of the batch, as stored
 * returns   0 | EVLOG_ERR_LIMIT what is left does not fit into a batch any more: it was packed better than evlogd can |
 *           EVLOG_ERR_CORRUPT ... | EVLOG_ERR_NO_MEMORY
 */
int compact_batch_filter(const struct compact_rules *rules, const uint8_t *batch, const struct el_chunk_entry *entry,
                         struct compact_kept *kept, struct compact_scratch *scratch);

/* Put a mark in the place of a batch that has redacted offsets; any other, and one that is a mark already, stays as it
 * is. returns 0 | EVLOG_ERR_NO_MEMORY */
int compact_batch_redact(const struct compact_rules *rules, const uint8_t *batch, const struct el_chunk_entry *entry,
                         struct compact_kept *kept, struct compact_scratch *scratch);

#endif
