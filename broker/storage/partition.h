/* SPDX-License-Identifier: Apache-2.0
 *
 * A partition on its owner shard: offsets, the batches that are still in memory, its segments, producers, epochs and
 * whoever waits for its tail. Owner shard only.
 *
 *   log_start <= high_watermark <= next_offset, segment_end <= durable_end <= next_offset
 *
 * The high watermark is the durable end, but for topics whose events are shown sooner (evlog.durability=memory) or
 * later (store, both: when the archive has them). Offsets below segment_end are in segment files (or in chunks on
 * their way there); those from segment_end on are in `entries` for certain; entries below it are a cache.
 */
#ifndef EL_STORAGE_PARTITION_H
#define EL_STORAGE_PARTITION_H

#include <core/map.h>
#include <format/journal_layout.h>
#include <storage/journal.h>
#include <storage/store.h>
#include <storage/tail.h>

#define PARTITION_MAGIC OBJ_MAGIC('P', 'A', 'R', 'T')
#define PRODUCER_BATCHES_KEPT 5
#define PARTITION_BOOKMARKS 8 /* readers in the middle of the entries that are found without a walk */

/* What the archive has of a partition; see tier.h. */
struct part_tier {
    int64_t archived_end;      /* -1 unknown, or there is no archive */
    int64_t local_end;         /* the archive needs nothing of this disk below it */
    bool partly;               /* what lies below the first segment is in the archive alone, else it is damage */
    int64_t retired_end;       /* below it the archive has nothing any more */
    int64_t drop_end;          /* segments that end at or below it leave with the next checkpoint */
    struct el_list awaiting;   /* struct append_op.base.link, by told_end: they wait to be shown */
    struct el_list link;       /* shard->awaiting, while there are some */
    void *state;               /* the archiver's */
    bool told;                 /* changed() was called */
    bool aging;                /* the archive is asked for what is too old in it */
    bool age_by_size;          /* what it was asked last */
    uint64_t refill_again_ns;  /* the same, for events to come back */
    uint64_t age_again_ns;     /* monotonic: when it may be asked again */
    int64_t confirmed_end;     /* the archive was seen to have what this disk has below it */
    bool confirming;           /* it is being looked for */
    uint64_t confirm_again_ns; /* monotonic: when it may be looked for again */
    int64_t refill_old_ms;     /* local.retention.ms for which all that is not here is too old */
    bool refused;              /* the archive has something else: no appends */
    bool held;                 /* nothing comes back from it: it may still have what is redacted */
};

/* Map key of a partition. */
struct part_key {
    struct el_uuid topic_id;
    int32_t partition;
};
EL_STATIC_ASSERT(sizeof(struct part_key) == 20, "no padding, for it is hashed as bytes");

struct epoch_start {
    struct el_list link;
    int32_t epoch;
    int64_t start_offset; /* first offset appended in it */
};

struct producer_batch {
    int32_t first_sequence;
    int32_t last_sequence;
    int64_t base_offset;
    uint64_t append_time_ns;
    uint64_t group_sequence; /* journal group: a duplicate is answered when it is durable; 0 after a restart */
};

struct producer {
    int64_t id; /* map key */
    int16_t epoch;
    uint8_t batch_count;
    bool dirty;                                           /* changed since the last checkpoint */
    uint64_t last_append_ns;                              /* of its last batch, for expiry */
    struct producer_batch batches[PRODUCER_BATCHES_KEPT]; /* oldest first */
};

struct partition {
    uint32_t magic;
    struct store_shard *shard;
    struct topic *topic; /* catalogue entry of this shard; NULL once deleted */
    struct part_key key;
    int64_t log_start;
    int64_t next_offset;                                /* log end: next to be given */
    int64_t high_watermark;                             /* first offset not yet visible */
    int64_t durable_end;                                /* first offset not yet durable on this disk */
    int64_t segment_end;                                /* first offset not planned into a segment */
    struct el_list entries;                             /* struct batch_entry, by offset */
    struct batch_entry *bookmarks[PARTITION_BOOKMARKS]; /* where reads ended, starting points of the next; or NULL */
    uint32_t bookmark_turn;                             /* the one to be replaced next */
    struct batch_entry *pending;                        /* first entry at or above segment_end, NULL none */
    uint64_t pending_bytes;                             /* of the batches from it on */
    struct el_list segments;                            /* struct segment, by base offset; the last one is active */
    uint64_t segment_bytes;                             /* planned bytes of all segments */
    uint64_t next_segment_id;                           /* counts from 1 */
    uint64_t recovered_id;         /* next_segment_id when this start began: files that nobody lists may be left over */
    int64_t clean_end;             /* compaction has covered what lies below */
    struct el_list replaced;       /* struct segment, by compaction: the next checkpoint says that they are removed */
    bool unclean;                  /* compaction met what it cannot read: not tried again by this start */
    struct el_list epochs;         /* struct epoch_start, ascending */
    struct el_map producers;       /* by id */
    struct el_list watches;        /* struct watch_op.base.link */
    struct el_list dirty_link;     /* shard->dirty: state changed since the last checkpoint */
    struct el_list pending_link;   /* shard->pending: batches in no segment */
    struct el_list chunk_jobs;     /* struct chunk_job, in order of file position; the first one runs */
    struct el_list behind_link;    /* shard->behind: enough pending bytes for a chunk */
    uint32_t pins;                 /* jobs, reads and undurable entries that need the object */
    struct journal_wait trim_wait; /* of a move by retention */
    int64_t trim_target;
    bool trimming;
    bool deleted;
    bool directory_known;      /* its folder exists and is durable */
    bool observed;             /* its topic has evlog.streams: see observer.h */
    void *observer_state;      /* the observer's */
    struct el_list held;       /* struct append_op.base.link: wait for the observer, in order */
    struct el_list held_link;  /* shard->held_parts or resumed_parts, while appends are held */
    struct el_list held_trims; /* struct trim_op.base.link: wait for the observer's floor */
    struct part_tier tier;
};

/* struct watch_op.state */
enum watch_state { WATCH_SENT, WATCH_ARMED, WATCH_FIRED };

static inline bool partition_is_dirty(const struct partition *p)
{
    return !el_list_empty(&p->dirty_link);
}

/* Make an empty partition and enter it into the shard's map. NULL: no memory */
struct partition *partition_create(struct store_shard *shard, struct topic *topic, int32_t number);
struct partition *partition_find(struct store_shard *shard, const struct el_uuid *topic_id, int32_t number);
/* Take it out of the map: watches end, its memory is freed once nothing pins it, its files are removed by a job. */
void partition_delete(struct partition *part);
/* Free a partition's memory, at close. */
void partition_destroy(struct partition *part);
void partition_unpin(struct partition *part);
/* Remember that the next checkpoint must hold its state. */
void partition_mark_dirty(struct partition *part);

/* Append an op's batch to the tail and the journal. returns 0 admitted (or a durable or pending duplicate: see
 * op->duplicate and op->sequence) | EVLOG_ERR_... refused, nothing changed */
int partition_append(struct partition *part, struct append_op *op);
/* Put a batch that recovery found into the tail, in order of offsets. A batch that is there already is left out.
 * returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_CORRUPT */
int partition_load(struct partition *part, const struct el_frame *frame, bool is_carry);
/* After recovery: batches must be dense from segment_end on. Sets next_offset, durable_end and high_watermark.
 * returns 0 | EVLOG_ERR_CORRUPT */
int partition_load_end(struct partition *part, struct el_error *err);
/* An entry has become durable: move the high watermark and wake those who wait. */
void partition_on_durable(struct partition *part, struct batch_entry *entry);
/* What may be shown has grown, or the topic's settings have changed: move the high watermark, wake who waits for it. */
void partition_show(struct partition *part);
/* Batches up to `end` are planned into a segment: move segment_end and `pending`. */
void partition_planned(struct partition *part, int64_t end);
/* The entry that contains or follows offset, or NULL when it is not in memory (or at the end). */
struct batch_entry *partition_entry_at(struct partition *part, int64_t offset);
/* A read has ended with this entry: the next one will begin behind it. */
void partition_bookmark(struct partition *part, struct batch_entry *entry);
/* Move the log start (already durable); segments wholly below it leave at the next checkpoint. */
void partition_set_log_start(struct partition *part, int64_t log_start);
/* Retention: write the new log start to the journal; it shows once it is durable. returns 0 | EVLOG_ERR_... */
int partition_trim(struct partition *part, int64_t log_start);
/* Add the frame that moves the log start to the group being filled. */
int partition_trim_frame(struct partition *part, int64_t log_start);
/* Epoch that answers a question for `asked`, and where it ends (docs/protocol.md, leader epochs). */
void partition_epoch_end(const struct partition *part, int32_t asked, int32_t *epoch, int64_t *end_offset);
/* Note the epoch in which start_offset was appended, when it is new. returns 0 | EVLOG_ERR_NO_MEMORY */
int partition_note_epoch(struct partition *part, int32_t epoch, int64_t start_offset);

/* Producer rules of docs/protocol.md on a batch that is about to be appended.
 * returns 0 new | EVLOG_ERR_EXISTS duplicate, *found set | EVLOG_ERR_PRODUCER_EPOCH | EVLOG_ERR_SEQUENCE */
int producer_check(struct partition *part, const struct el_batch_info *info, const struct producer_batch **found);
/* Make sure producer_note() cannot fail. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_FULL too many producers */
int producer_reserve(struct partition *part, const struct el_batch_info *info);
/* Remember a batch that was appended. Batches at or below what is remembered are left out (recovery reads twice). */
void producer_note(struct partition *part, const struct el_batch_info *info, const struct producer_batch *batch);
/* Forget producers silent since before_ns. */
void producer_expire(struct partition *part, uint64_t before_ns);
/* State from a checkpoint. returns 0 | EVLOG_ERR_NO_MEMORY */
int producer_load(struct partition *part, const struct producer *state);
void producer_free_all(struct partition *part);

#endif
