/* SPDX-License-Identifier: Apache-2.0
 *
 * The blocking half of compaction: jobs that read segments, remember keys, and write what stays into a new segment.
 * Each does a bounded piece of work, so that a worker is never taken for long; between two jobs the shard may give up.
 * A struct compact_work is used by one job at a time, and by the shard between jobs.
 */
#ifndef EL_STORAGE_COMPACT_JOB_H
#define EL_STORAGE_COMPACT_JOB_H

#include <storage/compact_batch.h>
#include <storage/segment_out.h>

/* A segment that is read; the shard keeps it pinned. */
struct compact_input {
    struct segment *seg; /* the shard's; no job looks into it. NULL once it is replaced */
    uint64_t id;
    uint64_t written_len;
    int64_t base_offset;
    int64_t end_offset;
    uint64_t last_append_ns;
    bool compacted;
    bool dirty; /* it holds offsets that no compaction has covered: their keys are to be remembered */
};

struct compact_work {
    /* --- set by the shard --------------------------------------------------------------------------------------- */
    struct el_uuid topic_id;
    int32_t partition;
    const struct compact_input *inputs; /* [input_count] ascending */
    uint32_t input_count;
    struct compact_rules rules; /* now_ns anew before each job */
    int64_t map_from;           /* keys are remembered from here on */
    struct segment_out out;
    uint32_t group_end; /* the inputs before it go into the output under way */
    /* --- of the jobs ------------------------------------------------------------------------------------------- */
    uint32_t input;           /* being read, or next */
    bool reading;             /* it is open */
    int64_t next_offset;      /* in it */
    struct segment_read read; /* its descriptor and index are the work's own */
    struct compact_scratch scratch;
    uint64_t read_bytes;
    uint64_t dropped_records;
    uint64_t redacted_batches;
};

#define COMPACT_MORE 0 /* the next job goes on */
#define COMPACT_DONE 1

/* Jobs; arg is a struct compact_work. Each returns COMPACT_MORE, COMPACT_DONE or an error, after which only
 * compact_job_close() may follow.
 *
 * map    remember the keys of the dirty inputs from `input` on, until all are read or the map is full: rules.map_end
 * write  filter inputs `input` .. group_end - 1 into the output. When it is done, the file has its footer and is
 *        durable, and so is its name
 * close  give back what a work holds besides the shard's blocks, and remove a file that is not finished */
int64_t compact_job_map(struct disk *disk, void *arg);
int64_t compact_job_write(struct disk *disk, void *arg);
int64_t compact_job_close(struct disk *disk, void *arg);
/* The same without touching the file: the process ends. */
void compact_work_drop(struct disk *disk, struct compact_work *work);

#endif
