/* SPDX-License-Identifier: Apache-2.0
 *
 * The storage engine as the rest of the broker sees it: one struct store per process, one struct store_shard per shard.
 *
 * Requests are operations ("ops"). The caller fills an op that it owns (in its request's arena), submits it on its own
 * shard's thread, and keeps it and everything it points to in place until op->base.done is called, once, on the same
 * thread. The engine carries it to the shard that owns the partition and back. `done` MAY be called from inside the
 * submit call: a caller that submits several ops counts itself as one more pending until the last is submitted.
 * op->base.error is 0 or an EVLOG_ERR_ code.
 *
 * Order: ops submitted by one shard for one partition are executed in the order of submission.
 */
#ifndef EL_STORAGE_STORE_H
#define EL_STORAGE_STORE_H

#include <config/topic_config.h>
#include <core/arena.h>
#include <core/bytes.h>
#include <core/clock.h>
#include <core/err.h>
#include <format/batch.h>
#include <io/io.h>
#include <obs/metrics.h>

struct store;
struct store_shard;
struct store_op;
struct stream_batch; /* stream/stream_batch.h */
struct topic;

/* --- life --------------------------------------------------------------------------------------------------------- */

struct store_config {
    uint32_t shard_count;            /* 1 .. EL_SHARD_COUNT_MAX */
    uint64_t memory_max;             /* bytes for all shards together */
    uint64_t journal_ring_len;       /* bytes of all slots of a shard */
    uint64_t journal_slot_len;       /* bytes of a slot after the first */
    uint64_t journal_first_slot_len; /* bytes of the first slot: small, so that an empty directory starts at once */
    uint64_t disk_reserve_len;       /* produce is refused below this much free space */
    bool accept_clock;               /* start although the clock is far from the last stored time */
    bool adaptive_commit;            /* wait a fraction of a flush to gather events */
    uint32_t retention_interval_ms;  /* how often retention is looked at */
    uint32_t open_segments_max;      /* segment files of a shard kept open */
    uint32_t chunk_len;              /* pending bytes of a partition at which a chunk is written */
    uint32_t sync_files_max;         /* segment files synced one by one at a checkpoint; more are synced by syncfs */
    uint32_t carry_len;              /* a smaller remainder goes back to the journal at a checkpoint */
    uint64_t compact_map_len;        /* of a shard, for keys while a partition is compacted; 0: a share of its memory */
    struct topic_config topic_defaults; /* broker-wide defaults of topic settings */
};

/* Defaults for everything but shard_count. */
void store_config_init(struct store_config *cfg);

/* Number of shards that the data directory was made with; 0 when it is new. A store runs with the larger of this and
 * the configured number, for partitions stay on their shard. returns 0 | EVLOG_ERR_CORRUPT | _FORMAT | _IO with a text
 * */
int store_stored_shard_count(struct disk *disk, uint32_t *shard_count, struct el_error *err);

/* Open a data directory and recover it: node file, checkpoints, journals, catalogue. Blocking; before any shard runs.
 *
 * ios       [cfg->shard_count] one backend per shard, borrowed
 * buddies   [cfg->shard_count] the memory of each shard, borrowed
 * metrics   [cfg->shard_count]
 * returns   0 | EVLOG_ERR_CORRUPT | _FORMAT | _LOCKED | _IO | _NO_MEMORY ... with a text that says what to do
 */
int store_open(const struct store_config *cfg, struct disk *disk, struct io **ios, struct el_buddy **buddies,
               struct metrics **metrics, struct store **store, struct el_error *err);
/* The shard's own part; index 0 .. shard_count - 1. The stored count may be larger than the configured one: see
 * store_shard_count(). */
struct store_shard *store_shard_at(struct store *store, uint32_t index);
uint32_t store_shard_count(const struct store *store);
/* To be called once on the shard's thread before its first io_step(). */
void store_shard_start(struct store_shard *shard);
/* To be called after every io_step(): flushes, checkpoints, retention. returns the monotonic time of its next wish to
 * run */
uint64_t store_shard_tick(struct store_shard *shard);
/* Settings that change without a restart; on the shard's thread. */
void store_shard_reload(struct store_shard *shard, const struct topic_config *topic_defaults,
                        uint64_t disk_reserve_len);
/* Begin a clean stop of the shard: no new appends, final checkpoint; `stopped` is called on the shard's thread. */
void store_shard_stop(struct store_shard *shard, void (*stopped)(void *arg), void *arg);
/* After every shard has stopped or its thread has ended: leave the clean mark when all stopped well, close files, free.
 * Blocking. returns true when the mark was left */
bool store_close(struct store *store);

/* Which node and cluster this is (22-character base64 of the data directory's id), the leader epoch of all partitions.
 * */
const char *store_cluster_id(const struct store *store);
/* The same id as it is stored. */
struct el_uuid store_cluster_uuid(const struct store *store);
int32_t store_leader_epoch(const struct store *store);
/* Raise it, durably; from any thread, while nothing new is appended. returns 0 | what the disk says, with a text */
int store_epoch_raise(struct store *store, int32_t epoch, struct el_error *err);
/* Why appends are refused now, or NULL: "shard 1 is read-only: ..." for /health/ready. Any thread; static or owned
 * text. */
const char *store_not_ready_reason(struct store *store);
/* When the oldest journal write that has not ended was begun (monotonic), and whose it is; 0: there is none. Any
 * thread. */
uint64_t store_flush_since_ns(struct store *store, uint32_t *shard);
/* The append-time clock. */
struct el_clock *store_clock(struct store *store);
/* Broker-wide defaults of topic settings, as this shard has them now; on its thread. */
const struct topic_config *store_topic_defaults(const struct store_shard *shard);
struct io *store_shard_io(struct store_shard *shard);
struct el_buddy *store_shard_buddy(struct store_shard *shard);
struct metrics *store_shard_metrics(struct store_shard *shard);
uint32_t store_shard_index(const struct store_shard *shard);
/* The index of the shard that has the partition; `shard`'s own for one that is not there. */
uint32_t store_owner_index(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition);
/* Free and total bytes of the data directory's file system, at most a second old; on the shard's thread. returns false
 * when nobody has looked yet */
bool store_shard_space(const struct store_shard *shard, uint64_t *free_bytes, uint64_t *total_bytes);
struct store *store_shard_store(struct store_shard *shard);

/* --- catalogue: every shard has its own copy, read on its thread -------------------------------------------------- */

struct topic {
    struct el_uuid id; /* random, for life */
    char name[EL_TOPIC_NAME_MAX + 1];
    uint16_t name_len;
    bool internal; /* hidden from clients without cluster rights */
    int32_t partition_count;
    uint16_t *shard_of;         /* [partition_count] owner shard */
    struct topic_config config; /* overrides on top of the defaults */
};

/* The topic, or NULL. Valid until control returns to the shard loop. */
const struct topic *store_topic_by_name(struct store_shard *shard, struct el_slice name);
const struct topic *store_topic_by_id(struct store_shard *shard, const struct el_uuid *id);
uint32_t store_topic_count(struct store_shard *shard);
const struct topic *store_topic_at(struct store_shard *shard, uint32_t index);

/* --- ops ---------------------------------------------------------------------------------------------------------- */

struct store_op {
    struct io_message message;             /* private: the way between shards */
    struct el_list link;                   /* private: place in a list of the owner */
    struct store_shard *origin;            /* private */
    struct store_shard *owner;             /* private */
    void (*run)(struct store_op *op);      /* private */
    void (*returned)(struct store_op *op); /* private: instead of done, back on the origin */
    void (*done)(struct store_op *op);     /* set by the caller */
    void *arg;                             /* the caller's */
    int error;                             /* 0 or EVLOG_ERR_ */
};

/* Append one batch that passed el_batch_check(). */
/* What a batch has that is not new, but comes back to the end of a log from the archive. */
struct append_given {
    uint64_t append_time_ns;
    int64_t max_timestamp_ms;
    int32_t leader_epoch;
    uint8_t salt[16];
};

struct append_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    const uint8_t *batch; /* borrowed until done; copied, not changed */
    uint32_t batch_len;
    struct el_batch_info info;     /* of el_batch_check() */
    bool no_wait;                  /* acks 0: done as soon as it is admitted */
    bool reserved;                 /* taken also while the disk is below its reserve, until that is used up */
    uint64_t wait_by_ns;           /* a wait for the archive ends then, with EVLOG_ERR_TIMED_OUT: monotonic; 0 never */
    int64_t base_offset;           /* out: also for a duplicate */
    int64_t log_start_offset;      /* out */
    int64_t append_time_ms;        /* out: -1 unless the topic stamps append time */
    uint64_t append_time_ns;       /* out */
    bool duplicate;                /* out: an idempotent retry of a stored batch */
    struct stream_batch *observed; /* of a topic with evlog.streams: what the stream index is to know, else NULL */
    const struct append_given *given; /* private: see store_append_given() */
    uint64_t sequence;                /* private: group that carries it */
    uint64_t held_ns;                 /* private: since when it waits for room, monotonic */
    int64_t told_end;                 /* private: what it tells lies below; shown before it is answered */
    void *observer_memory;            /* the observer's, see observer.h */
    bool observer_knows;              /* private: the observer has seen it */
    int refusal;                      /* private: what it ends with once `sequence` is durable */
    void *private_[4];
};
void store_append(struct store_shard *shard, struct append_op *op);
/* Append a batch that comes back from the archive, as it was: its offset must be the next one of the log. It is no
 * duplicate, passes what is held (store_tier_hold()), and tells the observer nothing. One at a time for each shard.
 * given is borrowed until done. error: EVLOG_ERR_CONFLICT the log ends elsewhere | as store_append() */
void store_append_given(struct store_shard *shard, struct append_op *op, const struct append_given *given);

struct read_entry {
    uint64_t append_time_ns;
    uint8_t salt[16];
    int64_t max_timestamp_ms; /* the greatest of its records' event times */
    int32_t leader_epoch;
    uint32_t pos; /* of the batch in data */
    uint32_t len;
};

/* Bytes of one read, unless one batch is longer; with the block's header and entries just below a power of two. */
#define STORE_READ_LEN_MAX ((8u << 20) - (256u << 10))
#define STORE_READ_LEN_MIN (16u << 10) /* memory for so many is taken at least */
#define STORE_READ_ENTRIES_MAX 4096u
#define STORE_READ_HEAD_LEN 2048u /* of the memory, most that is neither */

/* Read whole batches from the one that contains `offset` on, durable ones only. */
struct read_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset;
    uint32_t max_bytes;           /* data returned stays within it ... */
    bool at_least_one;            /* ... but for the first batch when this is set ... */
    uint32_t first_len_max;       /* ... and it is not longer than that; 0: whatever its length */
    bool want_entries;            /* fill entries (evlog LogFetch) */
    bool unshown;                 /* also what is durable and not shown yet: for who tells nobody */
    bool for_archive;             /* the same, and of this disk only */
    int32_t current_leader_epoch; /* -1: no check */
    int32_t last_fetched_epoch;   /* -1: no check */
    const int64_t *wanted;        /* [wanted_count], until done; or NULL: of what only the archive has, batches other */
    uint32_t wanted_count;        /* than the first are left out that hold none of these offsets, and the others come */
    uint32_t wanted_bytes;        /* in this order, as many as so many bytes hold; entries say which */
    int64_t high_watermark;       /* out: -1 on error, but for EVLOG_ERR_NO_MEMORY and _OFFSET_RANGE */
    int64_t log_start_offset;     /* out: the same */
    int64_t next_offset;          /* out: first offset after the data */
    int32_t diverging_epoch;      /* out: -1 none */
    int64_t diverging_end_offset; /* out */
    uint8_t *data;                /* out: the batches back to back; NULL when data_len is 0 */
    uint32_t data_len;            /* out */
    struct read_entry *entries;   /* out: [entry_count] inside the same memory block */
    uint32_t entry_count;         /* out */
    uint32_t first_len;           /* out: of a first batch that is over first_len_max; 0: there is none */
    size_t memory_len;            /* out: bytes of the memory block, until it is given back */
    void *private_[2];
};
/* Bytes of the memory block that a read of so many bytes takes at most, with entries or without. */
static inline size_t store_read_memory(uint32_t max_bytes, bool want_entries)
{
    size_t need = STORE_READ_HEAD_LEN + (want_entries ? STORE_READ_ENTRIES_MAX * sizeof(struct read_entry) : 0);
    need += EL_ALIGN_UP(EL_MAX((size_t)max_bytes, (size_t)STORE_READ_LEN_MIN), 16);
    size_t memory_len = EL_BUDDY_BLOCK_MIN;
    while (memory_len < need) {
        memory_len *= 2;
    }
    return memory_len;
}
/* The longest read that takes no more than that; 0: there is none. */
static inline uint32_t store_read_room(size_t memory_len, bool want_entries)
{
    size_t head = STORE_READ_HEAD_LEN + (want_entries ? STORE_READ_ENTRIES_MAX * sizeof(struct read_entry) : 0);
    size_t block_len = EL_BUDDY_BLOCK_MIN;
    while (block_len <= memory_len / 2) {
        block_len *= 2;
    }
    return block_len < head + STORE_READ_LEN_MIN ? 0 : (uint32_t)EL_MIN(block_len - head, (size_t)UINT32_MAX);
}
void store_read(struct store_shard *shard, struct read_op *op);
/* Give op->data back to the shard it came from; on the origin's thread, once, also after an error. */
void store_read_release(struct read_op *op);

/* Wait until the partition's high watermark is above `offset`, or the topic is deleted, or the watch is cancelled. */
struct watch_op {
    struct store_op base; /* error: 0 fired, EVLOG_ERR_UNKNOWN_TOPIC deleted, EVLOG_ERR_CLOSED cancelled */
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset;
    struct io_message cancel_message; /* private */
    uint64_t state;                   /* private: owner's view; a word of its own, for the origin reads what follows */
    bool cancel_sent, cancel_back;    /* private: origin's view */
    bool completed;                   /* private: origin's view */
};
void store_watch(struct store_shard *shard, struct watch_op *op);
/* Ask for the end of a watch; done comes as ever (soon, maybe with 0 when it had just fired). Not after done. */
void store_watch_cancel(struct watch_op *op);

/* ListOffsets for one partition. */
struct lookup_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t timestamp;            /* ms of event time, or Kafka's special values -1 .. -6 */
    bool by_append_time;          /* timestamp is ns of append time: first offset appended at or after it */
    int32_t current_leader_epoch; /* -1: no check */
    int64_t offset;               /* out: -1 none */
    int64_t found_timestamp;      /* out: -1 none */
    int32_t leader_epoch;         /* out: -1 none */
    void *private_[2];
};
void store_lookup(struct store_shard *shard, struct lookup_op *op);

/* OffsetForLeaderEpoch. */
struct epoch_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    int32_t current_leader_epoch; /* -1: no check */
    int32_t asked_epoch;
    int32_t epoch;      /* out: -1 none */
    int64_t end_offset; /* out: -1 none */
};
void store_epoch_end(struct store_shard *shard, struct epoch_op *op);

/* DeleteRecords: move the log start up; offset -1 means the high watermark. */
struct trim_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t offset;
    int64_t log_start_offset; /* out */
    void *private_[4];
};
void store_trim(struct store_shard *shard, struct trim_op *op);

/* Take batches out of this disk: each one with an offset in [first, end) is replaced by a mark (format/redaction.h),
 * and when the op is done its bytes are in no segment, journal slot or memory any more. Nothing comes back from the
 * archive to the partition, until an op with `release` says that the archive has none of it either. One op at a time on
 * a shard.
 *
 * error: EVLOG_ERR_UNKNOWN_TOPIC | _OFFSET_RANGE not all of it is durable | _POLICY the topic has evlog.streams |
 * _AGAIN another one is under way, or no memory now | _CORRUPT the partition's files there are damaged |
 * _CLOSED stopping | _STORAGE. After each of them it may be tried again. */
struct redact_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    int64_t first_offset, end_offset;
    uint64_t when_ms;
    struct el_slice reason; /* borrowed until done */
    bool release;
    uint64_t batch_count; /* out: that became marks */
};
void store_redact(struct store_shard *shard, struct redact_op *op);

/* Cut(T): end offset of every asked partition such that exactly the events appended at or before T lie below it.
 * Repeatable: after it no event can be appended with a time at or below T. */
struct cut_result {
    struct el_uuid topic_id;
    int32_t partition;
    int error;                /* out: EVLOG_ERR_UNKNOWN_TOPIC when deleted meanwhile */
    int64_t end_offset;       /* out */
    int64_t log_start_offset; /* out */
};
struct cut_op {
    struct store_op base;       /* error: EVLOG_ERR_ARGUMENT for a time in the future */
    uint64_t time_ns;           /* in: 0 means now; out: the time that was cut at */
    struct cut_result *results; /* [result_count] topic_id and partition filled by the caller; in its arena */
    uint32_t result_count;
    uint32_t left;   /* private: shards that have not answered */
    int first_error; /* private */
};
void store_cut(struct store_shard *shard, struct cut_op *op);

/* A new producer id with epoch 0, never handed out before in the life of this data directory. */
struct producer_id_op {
    struct store_op base;
    int64_t producer_id; /* out */
    void *private_[4];
};
void store_producer_id(struct store_shard *shard, struct producer_id_op *op);

/* --- changes of the catalogue; all run on shard 0 one after the other and are answered once every shard has them -- */

struct topic_op {
    struct store_op base;
    enum { TOPIC_CREATE, TOPIC_DELETE, TOPIC_GROW, TOPIC_ALTER } verb;
    struct el_slice name;                /* CREATE; for others may be empty when id is set */
    struct el_uuid id;                   /* DELETE, GROW, ALTER; out for CREATE */
    int32_t partition_count;             /* CREATE, GROW: the new total */
    bool internal;                       /* CREATE */
    bool validate_only;                  /* check, change nothing */
    const struct topic_config *config;   /* CREATE, ALTER: the whole new set of overrides; borrowed */
    const struct topic_config *expected; /* ALTER: NULL, or the overrides that config was made from; borrowed */
    char message[256];                   /* out: text for the caller when error is set */
    void *private_[2];
};
/* errors: TOPIC_EXISTS, INVALID_TOPIC (name, or collides by . and _), INVALID_PARTITIONS, UNKNOWN_TOPIC, STORAGE, FULL,
 * AGAIN (the overrides are not the expected ones any more; the caller's shard has the newer ones) */
void store_topic_change(struct store_shard *shard, struct topic_op *op);

/* Bytes that a partition holds in segments and journal, for DescribeLogDirs and metrics. EVLOG_ERR_ARCHIVE: the
 * archive has not said yet how far the log is shown. */
struct stat_op {
    struct store_op base;
    struct el_uuid topic_id;
    int32_t partition;
    uint64_t stored_len;      /* out: bytes */
    int64_t high_watermark;   /* out */
    int64_t log_start_offset; /* out */
};
void store_stat(struct store_shard *shard, struct stat_op *op);

/* The same at once, of a partition that the shard owns, on its thread; and when what is at an offset was appended. */
struct store_look {
    int64_t log_start_offset, high_watermark;
    uint64_t
        append_time_ns; /* of the event at the offset, or of one not far before it: as indexes in memory know it, and
                              * where they do not, in proportion; of the first one here when it is in the archive only.
                              * 0: there is no such event */
};
/* returns false when the shard does not own it, or the archive has not said yet how far it is shown */
bool store_look(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition, int64_t offset,
                struct store_look *look);

#endif
