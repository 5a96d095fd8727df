/* SPDX-License-Identifier: Apache-2.0
 *
 * A segment file that is written whole, by jobs on workers: batches gather in chunks, which go past the page cache,
 * and at the end come footer and syncs of file and folders. Used by compaction and by what comes back from the
 * archive. The shard fills it and gives the blocks; a job uses it at a time.
 */
#ifndef EL_STORAGE_SEGMENT_OUT_H
#define EL_STORAGE_SEGMENT_OUT_H

#include <storage/segment.h>

/* Most batches of a chunk: their table takes a block of 64 KiB. */
#define SEGMENT_OUT_CHUNK_BATCHES 1000u
#define SEGMENT_OUT_TABLE_LEN (EL_CHUNK_HEADER_LEN + SEGMENT_OUT_CHUNK_BATCHES * EL_CHUNK_ENTRY_LEN)
#define SEGMENT_OUT_WRITE_LEN (64u << 10)

struct segment_out {
    char path[SEGMENT_PATH_MAX];
    struct el_segment_header header;
    bool make_dirs; /* its folders may not be there */
    int fd;         /* buffered: footer and syncs; -1 none */
    int direct_fd;  /* past the page cache: chunks */
    bool made;      /* there is a file */
    uint64_t len;   /* bytes of header and chunks */
    uint8_t *data;  /* [data_max] batches of the chunk that is being filled; block of the buddy */
    size_t data_max;
    size_t data_len;
    uint8_t *table;     /* [SEGMENT_OUT_TABLE_LEN] block of the buddy */
    uint32_t count;     /* batches in it */
    uint8_t *write_buf; /* [write_buf_len] aligned; block of the buddy */
    size_t write_buf_len;
    struct el_index_entry *index; /* heap */
    uint32_t index_count;
    uint32_t index_room;
    struct el_index_entry next; /* of the chunk that is being filled */
    int64_t max_timestamp_ms;
    uint64_t first_append_ns; /* 0: no batch */
    uint64_t last_append_ns;
    uint32_t tombstones_s;  /* the caller's */
    bool disk_failed;       /* an error came from writing or syncing: the shard must stop */
    uint64_t written_bytes; /* of all segments that it was used for */
};

/* Blocks of the shard's memory; false: none now, and what was taken is to be given back all the same. */
bool segment_out_take(struct store_shard *shard, struct segment_out *out);
void segment_out_give(struct store_shard *shard, struct segment_out *out);
/* Begin a segment. */
void segment_out_begin(struct segment_out *out, const struct segment *seg);

/* --- of jobs; each returns 0 | EVLOG_ERR_... --- */

/* Put one batch behind the others. A chunk takes a batch that is longer than what chunks gather in. */
int segment_out_add(struct disk *disk, struct segment_out *out, const struct el_chunk_entry *e, const uint8_t *batch);
/* The file gets its footer and is durable, and so is its name. */
int segment_out_finish(struct disk *disk, struct segment_out *out);
/* Close what is open; unlink removes a file that is not finished. */
void segment_out_close(struct disk *disk, struct segment_out *out);
int segment_out_unlink(struct disk *disk, struct segment_out *out);

#endif
