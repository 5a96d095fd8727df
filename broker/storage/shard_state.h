/* SPDX-License-Identifier: Apache-2.0
 *
 * What a shard of the store is made of. Private to broker/storage; owner shard only.
 */
#ifndef EL_STORAGE_SHARD_STATE_H
#define EL_STORAGE_SHARD_STATE_H

#include <core/map.h>
#include <core/pool.h>
#include <storage/checkpoint.h>
#include <storage/journal.h>
#include <storage/observer.h>
#include <storage/partition.h>
#include <storage/segment.h>
#include <storage/spare.h>
#include <storage/tail.h>
#include <storage/tier.h>

#define SHARD_MAGIC OBJ_MAGIC('S', 'H', 'R', 'D')
#define META_PARTITION 0

struct compaction;
struct refill;
struct redact;

struct store_shard {
    uint32_t magic;
    uint32_t index;
    struct store *store;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct topic_config topic_defaults; /* in force on this shard; a reload changes them */
    uint64_t disk_reserve_len;
    struct journal journal;
    struct tail tail;
    struct checkpoint checkpoint;
    struct spare spare;
    struct el_map partitions;     /* struct part_key -> struct partition, those that it owns */
    struct el_map topics_by_name; /* its copy of the catalogue */
    struct el_map topics_by_id;
    struct el_map tombstones; /* ids of deleted topics, struct el_uuid in pool `ids` */
    struct el_pool topic_pool;
    struct el_pool id_pool;
    struct el_pool partition_pool;
    struct el_pool segment_pool;
    struct el_pool epoch_pool;
    struct el_pool producer_pool;
    size_t evict_cursor;     /* where the next producer to be forgotten is looked for */
    struct el_list dirty;    /* partitions whose state changed since the last checkpoint */
    struct el_list pending;  /* partitions with batches in no segment */
    size_t pending_count;    /* of them */
    struct el_list behind;   /* partitions with enough of them for a chunk */
    struct el_list unsynced; /* segments with bytes or names that are not durable */
    struct el_list open_segments;
    uint32_t open_count;
    struct el_list removed_segments;       /* files that go after two more checkpoints */
    uint32_t unlinks;                      /* jobs that remove such */
    struct el_list held;                   /* struct append_op.base.link: wait for room in the journal */
    const struct store_observer *observer; /* NULL none */
    struct el_list held_parts;             /* struct partition.held_link: appends wait for the observer */
    struct el_list resumed_parts;          /* the same: they are to be tried again */
    const char *_Atomic observer_reason;   /* why the observer has failed, NULL it has not */
    const struct store_tier *tier;         /* NULL none */
    struct el_list tier_held;              /* struct store_op.link: those appends */
    bool tier_holds;                       /* appends wait, see store_tier_hold() */
    bool tier_ends;                        /* or are refused instead, see store_tier_stop() */
    uint64_t answer_by_ns;                 /* appends that wait to be archived are answered then; 0: as they wish */
    bool tier_ended;                       /* it archives nothing more */
    struct el_list awaiting;               /* struct part_tier.link: appends wait for the archive */
    struct io_timer await_timer;           /* for those that do not wait longer */
    struct el_list remote_waiting;         /* struct remote.link: reads from the archive whose turn it is not */
    struct el_list remote_running;         /* the same, that it has and that are not answered */
    uint32_t remote_count;                 /* that it has */
    struct io_timer remote_timer;
    struct refill *refill;    /* what comes back from the archive, NULL nothing does */
    size_t refill_turn;       /* the partition that is looked at first */
    bool refill_due;          /* something is to come back, or may be */
    uint64_t refill_begun_ns; /* when the first was found, 0 nothing is to come back */
    uint32_t chunk_jobs;      /* under way */
    uint8_t *chunk_buf;       /* aligned; of the chunk job that runs */
    size_t chunk_buf_len;
    uint32_t chunks_waiting; /* of them: tried again every second, for the disk was full */
    uint32_t jobs;           /* any job under way that a stop waits for */
    uint8_t random[4096];    /* salts not used yet */
    size_t random_left;
    bool swept;               /* files that the last run left behind are gone, or a job removes them */
    bool sweeping;            /* a job does: nothing but chunk jobs makes segment files meanwhile */
    bool append_short;        /* the last append that was tried found no memory */
    bool checkpoint_short;    /* likewise */
    bool memory_said;         /* that appends are refused for it */
    bool failed;              /* fail-stop: appends are refused */
    _Atomic bool failed_flag; /* the same, for other threads */
    char failed_reason[192];
    bool disk_full; /* below the reserve: appends of clients are refused */
    _Atomic bool full_flag;
    struct io_op space_op;
    bool space_busy;
    uint64_t appended_since_look; /* bytes of batches since the free space was looked at */
    uint64_t disk_free_bytes;     /* when the space was last looked at */
    uint64_t disk_total_bytes;
    uint64_t space_found[2]; /* free, total: the job's until it has ended */
    struct io_timer space_timer;
    struct io_timer retention_timer;
    struct compaction *compaction; /* the pass under way, NULL none */
    struct redact *redact;         /* what is redacted now, NULL nothing is */
    bool stopping;
    bool stop_done;
    uint64_t stop_by_ns; /* monotonic */
    void (*stopped)(void *arg);
    void *stopped_arg;
    bool draining;            /* the last checkpoint of a stop has begun */
    uint32_t producer_random; /* shard 0: bits of this start in producer ids, 0 not drawn yet */
    int64_t producer_next;    /* shard 0: counter of the next id */
};

struct store {
    struct store_config cfg;
    struct disk *disk;
    uint32_t shard_count;
    struct store_shard *shards; /* [shard_count] */
    struct el_clock clock;
    struct el_node *node;
    struct meta *meta; /* catalogue changes, shard 0 */
    char cluster_id[24];
    _Atomic uint32_t clean_stops; /* shards that stopped well */
};

extern const struct el_uuid META_TOPIC_ID;
#define META_TOPIC_NAME "__evlog_meta"

/* 16 fresh random bytes. */
void shard_salt(struct store_shard *shard, uint8_t salt[16]);
/* Fail-stop: refuse appends from now on, with a reason for people. */
void shard_fail(struct store_shard *shard, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The shard that owns a partition, by this shard's catalogue; NULL unknown. */
struct store_shard *shard_owner(struct store_shard *shard, const struct el_uuid *topic_id, int32_t partition);

/* Carry an op to its owner (run is called there, maybe at once); answer it back to its origin. */
void store_op_send(struct store_shard *origin, struct store_shard *owner, struct store_op *op,
                   void (*run)(struct store_op *op));
void store_op_finish(struct store_op *op, int error);
/* Carry an op to the owner of its partition, or refuse it here. */
void store_op_to_partition(struct store_shard *shard, struct store_op *op, const struct el_uuid *topic_id,
                           int32_t partition, void (*run)(struct store_op *op));
/* Post an op whose fields are filled to its owner. */
void store_op_carry(struct store_op *op);

/* After a change of held, disk or journal state: try the appends that wait. */
void shard_retry_held(struct store_shard *shard);
/* Appends that have waited for room for some time are refused: reserved ones on a full disk, all where memory is short.
 * To be called every second. */
void shard_refuse_late(struct store_shard *shard);
/* The partition is deleted: what waits at it ends with EVLOG_ERR_UNKNOWN_TOPIC. */
void observer_forget(struct partition *part);
/* Keep the log start at or below the observer's floor, and have it raised when more is wanted. returns the offset that
 * is allowed now; *error: why it will not be told when it is raised, 0 it will */
int64_t observer_allows(struct partition *part, int64_t log_start, int *error);
/* Does the archive decide what of the partition is acknowledged and shown? */
bool tier_decides(const struct partition *part);
/* Its archive has not said yet how far that goes. */
bool tier_settling(const struct partition *part);
/* Offsets from here on are not to leave the disk by retention, nor to be compacted. */
int64_t tier_floor(const struct partition *part);
/* Is there something above the log start that only the archive has? */
bool tier_has_more(const struct partition *part);
/* First offset on this disk. */
int64_t tier_local_start(const struct partition *part);
/* May the partition be appended to? returns 0 | EVLOG_ERR_CONFLICT | _POLICY a setting waits for an archive that is
 * none */
int tier_refusal(const struct partition *part);
/* Something durable was added, or the partition is new. */
void tier_changed(struct partition *part);
/* The append is answered with op->refusal once op->told_end is shown. */
void tier_await(struct partition *part, struct append_op *op);
/* Answer what waits and is shown now; with an error, all that waits. */
void tier_release(struct partition *part, int error);
void tier_release_all(struct store_shard *shard, int error);
/* The partition is deleted. */
void tier_forget(struct partition *part);
/* Which segments of this disk are not kept beside the archive; which events that only the archive has are too old. */
void tier_keep(struct partition *part, uint64_t now_ns);
void tier_init(struct store_shard *shard);
/* The shard starts: say what cannot be read without an archive. */
void tier_begin(struct store_shard *shard);
/* Append a record to an internal topic's partition on this shard; wait->done when durable. */
int shard_append_internal(struct partition *part, const struct el_record_body *body, struct journal_wait *wait);

#endif
