/* SPDX-License-Identifier: Apache-2.0
 *
 * Segment files of a partition: written behind in chunks by jobs on the shard's disk thread, read by jobs on the
 * compute pool. Positions are given out on the shard when a chunk is planned; jobs run in that order. docs/format.md
 * section 4.
 */
#ifndef EL_STORAGE_SEGMENT_H
#define EL_STORAGE_SEGMENT_H

#include <format/segment_layout.h>
#include <storage/partition.h>

#define SEGMENT_MAGIC OBJ_MAGIC('S', 'E', 'G', 'M')

struct segment_index; /* chunk index, shared by readers; heap of the worker that built it */

struct segment {
    uint32_t magic;
    struct el_list link;          /* partition's segments */
    struct el_list unsynced_link; /* shard->unsynced: has bytes or a name that are not durable */
    struct el_list open_link;     /* shard->open_segments, least recently used first */
    struct partition *part;       /* NULL once removed from a deleted partition */
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t id;
    int64_t base_offset;
    int64_t end_offset;   /* first offset behind it, as planned */
    uint64_t len;         /* bytes of header and chunks, as planned */
    uint64_t written_len; /* readable: completed chunk writes */
    int64_t written_end;  /* first offset behind the readable chunks */
    int64_t max_timestamp_ms;
    uint64_t first_append_ns;
    uint64_t last_append_ns;
    uint64_t generation;   /* incarnation that created it */
    uint64_t created_ns;   /* append clock when made, for segment.ms */
    uint32_t tombstones_s; /* when compaction first covered the last of its tombstones, in seconds; 0 none */
    bool compacted;        /* offsets may be missing in it */
    int fd;                /* -1 while closed */
    bool trimmed;          /* this start has cut the file to its known length */
    bool exists;           /* the file was created (durably once it is not unsynced) */
    bool sealed;           /* its footer is written */
    bool sealing;
    bool damaged;                /* its chunks do not verify: this start does not try to seal it again */
    bool rolled;                 /* no more chunks */
    bool dirty;                  /* state changed since the last checkpoint */
    bool name_durable;           /* its folder entry is synced */
    uint64_t removed_at;         /* checkpoint that no longer lists it */
    bool removed;                /* below the log start: waits for checkpoints, then its file goes */
    uint32_t pins;               /* jobs that use its fd or index */
    uint64_t allocated_len;      /* blocks reserved by this start */
    bool synced_since;           /* no write has completed since the last sync was started */
    struct segment_index *index; /* NULL until a read needs it */
};

/* Path of a segment file and of its folder, relative to the data directory. */
#define SEGMENT_PATH_MAX 96
void segment_path(char *path, size_t len, const struct el_uuid *topic_id, int32_t partition, uint64_t id);
void segment_dir_path(char *path, size_t len, const struct el_uuid *topic_id, int32_t partition);
void segment_topic_path(char *path, size_t len, const struct el_uuid *topic_id);

/* The buffer that chunks are written from; freed with the shard. returns 0 | EVLOG_ERR_NO_MEMORY */
int segment_writer_init(struct store_shard *shard);
/* Make a segment object; put it at its place in the partition's list, which is by base offset. NULL: no memory */
struct segment *segment_new(struct partition *part, uint64_t id, int64_t base_offset);
void segment_insert(struct partition *part, struct segment *seg);
/* Both. */
struct segment *segment_create(struct partition *part, uint64_t id, int64_t base_offset);
void segment_destroy(struct store_shard *shard, struct segment *seg);
/* The segment that contains offset among readable ones; NULL none. */
struct segment *segment_at(struct partition *part, int64_t offset);
/* Close descriptors above the limit, least recently used first. */
void segment_close_idle(struct store_shard *shard, uint32_t open_max);

/* Plan durable pending batches of a partition into one chunk and start its job.
 *
 * through   journal sequence: only entries of groups at or below it
 * returns   batches planned, 0 when there is nothing to do | EVLOG_ERR_NO_MEMORY
 */
int segment_write_chunk(struct partition *part, uint64_t through);
/* Begin to write the footers of the partition's rolled segments whose chunks are all written. */
void segment_seal_rolled(struct partition *part);
/* No more chunks into the active segment: now; when it is older than segment.ms; or than ms. */
void segment_roll_now(struct partition *part);
void segment_roll_old(struct partition *part, uint64_t now_ns);
void segment_roll_older(struct partition *part, uint64_t now_ns, uint64_t ms);

/* Gather buffers and write them past the page cache in pieces of buf_len, the last one padded with zeros to a multiple
 * of EL_SEGMENT_ALIGN. Blocking; fd is open with DISK_DIRECT, buf aligned, pos a multiple of EL_SEGMENT_ALIGN. */
int segment_write_direct(struct disk *disk, int fd, const struct iovec *iov, int iov_count, uint8_t *buf,
                         size_t buf_len, uint64_t pos);

/* Where to look in a segment. */
enum seek_kind {
    SEEK_OFFSET,      /* batch that contains value */
    SEEK_TIMESTAMP,   /* first batch whose max timestamp is >= value (ms) */
    SEEK_APPEND_TIME, /* first batch whose append time is >= value (ns) */
};

/* A blocking read below `segment`, run as a job; also called directly during recovery. Fields before the line are set
 * by the caller on the shard, those behind it by the job. */
struct segment_read {
    char path[SEGMENT_PATH_MAX];
    bool sealed; /* the file ends in a footer */
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t segment_id;
    int fd;                      /* open descriptor, or -1: the job opens one */
    uint64_t written_len;        /* readable bytes */
    struct segment_index *index; /* may be NULL */
    struct segment_index *held;  /* the one that segment_read_begin() took */
    enum seek_kind kind;
    int64_t value;
    int64_t from_offset; /* batches wholly below are passed over; 0 for SEEK_OFFSET */
    int64_t end_offset;  /* batches at or above are not returned */
    uint8_t *buf;        /* [buf_len] for batches; may be NULL for a mere seek */
    size_t buf_len;
    size_t data_max;              /* batches beyond it are not taken, but for the first one when at_least_one is set */
    struct read_entry *entries;   /* [entry_max], or NULL */
    struct el_chunk_entry *table; /* [entry_max] the same entries as stored, or NULL */
    uint32_t entry_max;
    bool at_least_one;
    /* --- results ------------------------------------------------------------------------------------------------ */
    struct segment_index *new_index; /* longer than index, or NULL */
    size_t data_len;
    uint32_t entry_count;
    int64_t first_offset;        /* of the first batch found; -1 none */
    int64_t next_offset;         /* behind the last batch returned */
    struct el_chunk_entry found; /* the first batch's entry */
    size_t wanted_len;           /* EVLOG_ERR_LIMIT: the first batch needs so much */
};
/* returns 0 (data_len 0 and first_offset -1: nothing there) | EVLOG_ERR_LIMIT | _CORRUPT | _IO ... */
int segment_read_run(struct disk *disk, struct segment_read *read);
/* An index is shared by the segment and the reads that began with it. NULL is passed through. */
struct segment_index *segment_index_hold(struct segment_index *index);
void segment_index_release(struct segment_index *index);
uint32_t segment_index_count(const struct segment_index *index);
const struct el_index_entry *segment_index_entries(const struct segment_index *index);
/* A chunk was found that does not verify. */
bool segment_index_damaged(const struct segment_index *index);

/* Fill the caller's fields that describe a segment, and pin it; segment_read_end() unpins and keeps fd and index. */
void segment_read_begin(struct segment *seg, struct segment_read *read);
void segment_read_end(struct segment *seg, struct segment_read *read);

#endif
