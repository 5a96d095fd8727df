/* SPDX-License-Identifier: Apache-2.0
 *
 * Storage under an archive: what the archiver asks and tells, and how storage reads what is no longer on this disk.
 * Storage knows nothing of objects; everything here happens on the thread of the shard that owns the partition.
 *
 *   log_start <= local_start <= archived_end <= durable_end <= next_offset
 *
 * (DeleteRecords may take log_start above archived_end: then the archive has a gap.) While an archive is set, nothing
 * at or above local_end (see store_tier_archived()) leaves the disk by retention or is compacted, and events of
 * topics with evlog.durability store or both are neither acknowledged nor shown at or above archived_end.
 */
#ifndef EL_STORAGE_TIER_H
#define EL_STORAGE_TIER_H

#include <storage/store.h>

struct partition;

#define TIER_WANTED_MAX 64u

/* Read whole batches of a partition from the archive: from the one that contains or follows `offset` on, below
 * `end_offset`. Filled by storage, kept in place until store_tier_read_done(). */
struct tier_read {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset;
    int64_t end_offset;
    uint8_t *buf; /* [buf_len] for batches back to back */
    size_t buf_len;
    size_t data_max;            /* batches beyond it are not taken, but for the first one when at_least_one is set */
    bool at_least_one;          /* a first batch that does not fit into buf: error EVLOG_ERR_LIMIT and wanted_len */
    struct read_entry *entries; /* [entry_max], or NULL */
    uint32_t entry_max;
    /* Offsets that are asked for, in any order; of batches other than the first, those that hold none of them may be
     * left out, and the others come in this order. next_offset is that behind the first. 0: all are wanted. */
    uint32_t wanted_count;
    int64_t wanted[TIER_WANTED_MAX];
    /* A question instead. Of time: first batch whose event time (ms) or append time (ns) is at or above `time`, or the
     * first of those with the greatest event time; buf gets that batch, unless it is NULL, and entries its entry. Of
     * size: first offset from which on there are at most `time` bytes of batches below end_offset, roughly; buf is
     * NULL and first_offset the answer. Whether it is there: objects that hold batches of the range are looked for;
     * next_offset says how far that got, error EVLOG_ERR_CORRUPT that one is missing or another. */
    enum {
        TIER_BY_OFFSET,
        TIER_BY_TIMESTAMP,
        TIER_BY_APPEND_TIME,
        TIER_BY_SIZE,
        TIER_BY_NEWEST,
        TIER_BY_PRESENCE,
    } by;
    int64_t time;
    void (*done)(struct tier_read *read); /* storage's */
    /* --- results ----- */
    size_t data_len;
    uint32_t entry_count;
    int64_t first_offset; /* -1: nothing there */
    int64_t next_offset;  /* behind the last batch returned */
    size_t wanted_len;
    int error;             /* 0 | EVLOG_ERR_AGAIN the archive cannot be reached now | _CORRUPT | _LIMIT ... */
    uint64_t private_[24]; /* the archive's */
};

struct store_tier {
    /* The partition has durable batches above its archived_end for the first time since store_tier_settled(), or was
     * made, or deleted (then view.deleted is set, and the pointer is of no use after the call). Called from inside of
     * storage: note it and act later. */
    void (*changed)(void *arg, struct partition *part);
    /* Begin a read; store_tier_read_done() is called when it has ended, not from inside. Every read ends, at a stop
     * too. */
    void (*read)(void *arg, struct tier_read *read);
    void *arg;
};

/* After store_open() and before the shard runs; tier is borrowed until the store is closed. */
void store_tier_set(struct store_shard *shard, const struct store_tier *tier);
void store_tier_read_done(struct tier_read *read);

/* --- what the archiver asks --------------------------------------------------------------------------------------- */

struct tier_view {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t log_start;
    int64_t local_start;  /* first offset on this disk */
    int64_t archived_end; /* -1: the archive has not said yet */
    int64_t durable_end;
    int64_t next_offset; /* behind what was taken and may not be durable yet */
    bool internal;       /* evlog's own */
    bool awaited;        /* by producers and readers: evlog.durability is store or both */
    bool deleted;
};
/* Partitions of the shard one after the other: *cursor begins at 0. NULL at the end. Partitions made or deleted between
 * two calls may be missed or seen twice. */
struct partition *store_tier_next(struct store_shard *shard, size_t *cursor);
/* NULL: not on this shard, or deleted. */
struct partition *store_tier_find(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition);
void store_tier_view(const struct partition *part, struct tier_view *view);
/* Bytes, about, of durable batches from an offset on. */
uint64_t store_tier_pending(const struct partition *part, int64_t from);
/* A word of the archiver's own, NULL at first; it frees what is there when changed() tells of the deletion. */
void **store_tier_state(struct partition *part);
/* changed() may be called for the partition again: what was durable before this call is known. */
void store_tier_settled(struct partition *part);
/* The archive covers everything below end, provably: acknowledgements that waited for it leave. The archive does not
 * need this disk below local_end any more: retention and compaction may go so far. Neither falls; local_end <= end <=
 * durable_end. */
void store_tier_archived(struct partition *part, int64_t end, int64_t local_end);
/* Below `end` the archive has nothing any more. The log start follows it as far as this disk has nothing there. */
void store_tier_retired(struct partition *part, int64_t end);
/* The archive has more of this partition than the disk, or something else: appends are refused from now on, with
 * EVLOG_ERR_CONFLICT. */
void store_tier_refuse(struct partition *part);
/* Appends and changes of the catalogue wait from now on, or go on: what the archive has is not known yet, or comes back
 * first. Reads beyond the end, and answers about later leader epochs, are EVLOG_ERR_ARCHIVE meanwhile. */
void store_tier_hold(struct store_shard *shard, bool holds);
/* The broker stops: what waits so, and what comes, is EVLOG_ERR_CLOSED at once, as if the store had stopped already.
 * Who asked tries again elsewhere or later, and a stop is not held up by an archive that is away. Appends that are in
 * the log and wait until the archive has them may do so until answer_by_ns, and are EVLOG_ERR_TIMED_OUT then: the next
 * start may archive them all the same. */
void store_tier_stop(struct store_shard *shard, uint64_t answer_by_ns);
struct tier_trim {
    int64_t log_start; /* above the partition's, at or below its durable end */
    void (*done)(struct tier_trim *trim, int error);
    struct partition *part; /* private */
    void *private_[4];
};
/* The archive's log start is above this disk's. trim is kept until done, which is not called from inside. returns 0 |
 * EVLOG_ERR_FULL, _NO_MEMORY: not now, and nothing is called */
int store_tier_trim(struct partition *part, struct tier_trim *trim);
/* Nothing more will be archived by this start: topics whose appends wait for it take no further ones,
 * EVLOG_ERR_POLICY. */
void store_tier_ended(struct store_shard *shard);

/* Reads for the archiver: store_read() with read_op.for_archive reads up to durable_end, and never from the archive. */

#endif
