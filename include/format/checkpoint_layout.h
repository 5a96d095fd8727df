/* SPDX-License-Identifier: Apache-2.0
 *
 * Checkpoint files: docs/format.md section 5. A base holds the state of every partition of a shard, a delta that of the
 * partitions, segments and producers that changed since the file before. All numbers little-endian.
 *
 * Header, 128 bytes:
 *   0 8 magic "EVLOGCKP"  8 4 format  12 4 shard  16 8 sequence  24 4 kind (0 base, 1 delta)  28 4 entry count
 *  32 8 sequence of the base  40 8 incarnation  48 8 journal sequence of the cut  56 8 clock  64 8 producer-id counter
 *  72 8 body length  80 8 XXH3-64 of the body  88 8 body bytes of all deltas since the base  96 8 cut of the checkpoint
 *  before  104 16 zero  120 8 XXH3-64 of 0..120
 * Entry: 80 bytes, then its epochs (16 each), segments (80 each), producers (24 and 24 for each kept batch):
 *   0 16 topic id  16 4 partition  20 4 flags  24 8 log start  32 8 next offset  40 8 segment end
 *  48 8 next segment id  56 8 clean end  64 2 epochs  66 6 zero  72 4 segments  76 4 producers
 */
#ifndef EL_FORMAT_CHECKPOINT_LAYOUT_H
#define EL_FORMAT_CHECKPOINT_LAYOUT_H

#include <core/cursor.h>

#define EL_CHECKPOINT_FORMAT 1
#define EL_CHECKPOINT_HEADER_LEN 128u
#define EL_CHECKPOINT_ENTRY_LEN 80u
#define EL_CHECKPOINT_EPOCH_LEN 16u
#define EL_CHECKPOINT_SEGMENT_LEN 80u
#define EL_CHECKPOINT_PRODUCER_LEN 24u
#define EL_CHECKPOINT_BATCH_LEN 24u

enum { EL_CHECKPOINT_BASE = 0, EL_CHECKPOINT_DELTA = 1 };
enum {
    EL_CHECKPOINT_SEGMENT_SEALED = 1,
    EL_CHECKPOINT_SEGMENT_REMOVED = 2,
    EL_CHECKPOINT_SEGMENT_COMPACTED = 4, /* offsets inside may be missing */
};

enum {
    EL_CHECKPOINT_ENTRY_ARCHIVED = 1, /* what lies from the log start up to the first segment is in the archive alone */
};

struct el_checkpoint_header {
    uint32_t shard;
    uint64_t sequence;
    uint32_t kind;
    uint32_t entry_count;
    uint64_t base_sequence;
    uint64_t incarnation;
    uint64_t cut; /* journal groups at or below are not needed for this state */
    uint64_t clock_ns;
    int64_t producer_counter;
    uint64_t body_len;
    uint64_t delta_len; /* body bytes of all deltas since the base, this one included */
    uint64_t previous_cut;
};

struct el_checkpoint_entry {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t flags;
    int64_t log_start;
    int64_t next_offset; /* durable log end when it was planned: recovery must reach it */
    int64_t segment_end;
    uint64_t next_segment_id;
    int64_t clean_end; /* compaction has covered what lies below */
    uint16_t epoch_count;
    uint32_t segment_count;
    uint32_t producer_count;
};

struct el_checkpoint_epoch {
    int32_t epoch;
    int64_t start_offset;
};

struct el_checkpoint_segment {
    uint64_t id;
    int64_t base_offset;
    int64_t end_offset;
    uint64_t len;
    int64_t max_timestamp_ms;
    uint64_t first_append_ns;
    uint64_t last_append_ns;
    uint64_t generation;
    uint64_t created_ns;
    uint32_t flags;
    uint32_t
        tombstones_s; /* the last of the times at which compaction first covered a tombstone that is in it; 0 none */
};

struct el_checkpoint_batch {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    uint64_t append_time_ns;
};

struct el_checkpoint_producer {
    int64_t id;
    int16_t epoch;
    uint16_t batch_count;
    uint64_t last_append_ns;
};

/* Write the header in front of a body that is there already; computes the checksums. p[header + h->body_len] */
void el_checkpoint_seal(uint8_t *p, const struct el_checkpoint_header *h);
/* Verify a whole file. returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT | EVLOG_ERR_TRUNCATED */
int el_checkpoint_open(const uint8_t *p, size_t len, struct el_checkpoint_header *h);

void el_checkpoint_entry_put(struct el_writer *w, const struct el_checkpoint_entry *e);
void el_checkpoint_epoch_put(struct el_writer *w, const struct el_checkpoint_epoch *e);
void el_checkpoint_segment_put(struct el_writer *w, const struct el_checkpoint_segment *s);
void el_checkpoint_producer_put(struct el_writer *w, const struct el_checkpoint_producer *p);
void el_checkpoint_batch_put(struct el_writer *w, const struct el_checkpoint_batch *b);
/* The reader's sticky error tells of a short file. */
void el_checkpoint_entry_get(struct el_reader *r, struct el_checkpoint_entry *e);
void el_checkpoint_epoch_get(struct el_reader *r, struct el_checkpoint_epoch *e);
void el_checkpoint_segment_get(struct el_reader *r, struct el_checkpoint_segment *s);
void el_checkpoint_producer_get(struct el_reader *r, struct el_checkpoint_producer *p);
void el_checkpoint_batch_get(struct el_reader *r, struct el_checkpoint_batch *b);

#endif
