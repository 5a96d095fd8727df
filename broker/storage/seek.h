/* SPDX-License-Identifier: Apache-2.0
 *
 * Finding a batch by time: in the archive, in segments by a job, then in memory. Used by ListOffsets and Cut. Owner
 * shard only.
 */
#ifndef EL_STORAGE_SEEK_H
#define EL_STORAGE_SEEK_H

#include <storage/shard_state.h>

struct seek {
    struct partition *part; /* pinned while it runs */
    enum seek_kind kind;    /* SEEK_TIMESTAMP or SEEK_APPEND_TIME */
    int64_t value;
    int64_t from_offset; /* batches wholly below are passed over */
    int64_t end_offset;  /* batches that end above it are not found, of those in no segment */
    bool refine;         /* look into the batch for the first record that matches (SEEK_TIMESTAMP) */
    void (*done)(struct seek *seek, int error);
    void *arg;
    int64_t found_offset;       /* out: of the record (refine) or of the batch; -1 none */
    int64_t found_timestamp_ms; /* out, refine only */
    int32_t found_epoch;        /* out */
    struct segment *seg;        /* private */
    struct io_op op;            /* private */
    struct segment_read read;   /* private */
    const uint8_t *batch;       /* private: copy to look into */
    size_t batch_len;           /* private */
    int64_t batch_end;          /* private: first offset behind it */
    uint8_t *buf;               /* private: block of the buddy */
    size_t remote_len;          /* private: of a batch in the archive that is longer than was asked for; 0 none */
};

/* Begin. done is called once, maybe from inside the call; the seek's memory is the caller's. */
void seek_start(struct seek *seek);

#endif
