/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing a data directory that evlogd opens as if its last run had stopped well (docs/format.md sections 2, 4 and 5):
 * logs of partitions as sealed segments, a checkpoint for each shard, at last the node file. Nothing is in the journal.
 *
 * Until new_dir_finish() the directory has a file `restoring`, which evlogd refuses, with the logs that are whole: who
 * begins again with the same purpose after a crash goes on behind them.
 *
 * Blocking. Logs may be written by several threads, each by one.
 */
#ifndef EL_STORE_NEW_DIR_H
#define EL_STORE_NEW_DIR_H

#include <core/err.h>
#include <format/archive_layout.h>
#include <format/node_layout.h>

#define NEW_DIR_SEGMENT_LEN (128ull << 20) /* of a segment, about */

struct new_dir;
struct new_log;

/* Begin, or go on.
 *
 * path     made when it is not there
 * purpose  what is written, as text: another one is refused while a directory is half written
 * returns  0 | EVLOG_ERR_EXISTS it holds something else, or was begun for another purpose | EVLOG_ERR_CORRUPT its file
 *          `restoring` cannot be read | EVLOG_ERR_NO_SPACE, _POLICY, _IO, ... with a text
 */
int new_dir_begin(const char *path, const char *purpose, struct new_dir **dir, struct el_error *err);
/* What is whole stays. NULL is passed through. */
void new_dir_close(struct new_dir *dir);

struct new_log_head {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t shard;
    int64_t log_start;
    int64_t local_start; /* above the log start: what lies between stays in the archive alone; else 0 */
};
/* Is it whole already? */
bool new_dir_has(const struct new_dir *dir, const struct el_uuid *topic_id, int32_t partition);
int new_log_begin(struct new_dir *dir, const struct new_log_head *head, uint64_t segment_len, struct new_log **log,
                  struct el_error *err);
/* The next batch, byte for byte, with append time, salt and leader epoch of its row. Where offsets are missing before
 * it, the segment says so. returns 0 | EVLOG_ERR_CORRUPT offsets go back | EVLOG_ERR_NO_MEMORY | what the disk says */
int new_log_put(struct new_log *log, const struct el_pack_batch *row, const uint8_t *batch, struct el_error *err);
/* It is whole: durable when this returns 0. end_offset: behind the last batch, or behind offsets that are missing.
 * The log is freed in any case. */
int new_log_end(struct new_log *log, int64_t end_offset, struct el_error *err);
/* Give it up. NULL is passed through. */
void new_log_drop(struct new_log *log);

struct new_dir_node {
    struct el_uuid id;
    uint32_t shard_count; /* above that of each log */
    int32_t leader_epoch;
    bool unseen;       /* not all batches were put: what producers they had is not known */
    uint64_t clock_ns; /* append times of batches that were not written: the clock begins above */
};
/* A folder beside, made when it is not there. */
int new_dir_folder(struct new_dir *dir, const char *folder, struct el_error *err);
/* A file in it ("." is the directory): durable when this returns 0. */
int new_dir_file(struct new_dir *dir, const char *folder, const char *name, struct el_slice bytes,
                 struct el_error *err);
/* The same, and only its owner may read it. */
int new_dir_secret(struct new_dir *dir, const char *folder, const char *name, struct el_slice bytes,
                   struct el_error *err);
/* All logs are whole: the directory becomes one that evlogd opens. */
int new_dir_finish(struct new_dir *dir, const struct new_dir_node *node, struct el_error *err);

struct new_dir_counts {
    uint64_t logs, logs_before; /* whole; of these, in an earlier run */
    uint64_t batches, records, bytes;
    uint64_t last_append_ns;
    int64_t max_timestamp_ms; /* INT64_MIN: there is no event */
};
void new_dir_count(struct new_dir *dir, struct new_dir_counts *counts);

#endif
