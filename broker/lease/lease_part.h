/* SPDX-License-Identifier: Apache-2.0
 *
 * A partition that a group works on, on the shard that owns the partition. Private to broker/lease; owner shard only.
 *
 *   lease_part.c      life: made, started, restored, ended; its turn
 *   lease_fill.c      read-ahead: events into the table
 *   lease_fetch.c     outcomes and leases of a worker, and the batches that hold them
 *   lease_save.c  what must be durable
 *   lease_bury.c      dead letters
 *   lease_emit.c      what handled events have emitted
 *   lease_story.c     what became of failed attempts
 *   lease_again.c     events that come back from the dead letters
 *   lease_letters.c   of a partition of dead letters: which are settled
 *   lease_look.c      offsets, why a key waits, release of keys
 *   lease_move.c      other offsets
 *
 * Everything that happens ends with the part's turn: lease_part_turn() does what is due and says when the next is.
 */
#ifndef EL_LEASE_LEASE_PART_H
#define EL_LEASE_LEASE_PART_H

#include <core/sm.h>
#include <lease/lease_decode.h>
#include <lease/lease_filter.h>
#include <lease/lease_group.h>
#include <lease/lease_story.h>
#include <lease/lease_table.h>

#define LEASE_PART_MAGIC OBJ_MAGIC('l', 's', 'p', 't')
#define LEASE_WRITE_WITHIN_NS 50000000u    /* leases that nobody waits for are written so soon */
#define LEASE_PASSED_WITHIN_NS 2000000000u /* the same, when events only passed by */
#define LEASE_PARK_KEY_LEN_MAX (64u << 10) /* longer keys cannot be parked */
/* struct lease_part.start_fixed; the first two as ListOffsets has them. */
#define LEASE_START_LATEST (-1)
#define LEASE_START_EARLIEST (-2)
#define LEASE_START_BY_GROUP (-3) /* as its settings say */

enum lease_part_state {
    PART_STORED,   /* as records; nobody has used it since the start */
    PART_STARTING, /* where it begins is looked up, then stored */
    PART_READY,
    PART_MOVING, /* an operator moves where its group stands: see lease_move.c */
    PART_ENDING, /* its records are being deleted */
    PART_ENDED,
    LEASE_PART_STATE_COUNT
};

struct lease_part_key {
    uint64_t group_number;
    struct el_uuid topic_id;
    int32_t partition;
    int32_t zero;
};
EL_STATIC_ASSERT(sizeof(struct lease_part_key) == 32, "no padding, for it is hashed as bytes");

/* A record as it was read, until somebody uses the part. */
struct lease_stored {
    struct el_list link;
    struct lease_part *part;
    enum lease_record_kind kind;
    struct el_slice key; /* of the record, as bytes */
    struct el_slice value;
};

/* A parked key. */
struct lease_parked {
    struct el_list link; /* in parked_changed or parked_writing, while not stored as it is */
    struct el_slice key; /* of the map */
    uint64_t hash;
    int64_t offset;  /* that parked it */
    int64_t time_ms; /* when */
    uint64_t token;  /* another one with each letter of the key, and in each life */
    bool stored;     /* there is a record, or may be */
    bool released;   /* it is parked no more: the record goes, then this */
};

enum lease_fill_state { FILL_IDLE, FILL_READING, FILL_DECODING, FILL_ADDING, FILL_WATCHING };

/* Read-ahead. One thing at a time is under way. */
struct lease_fill {
    enum lease_fill_state state;
    struct read_op read;
    struct watch_op watch;
    struct stat_op stat;
    bool statting; /* the log start is being looked up */
    bool stale;    /* something below what is being read has come back: read again */
    struct io_op job;
    struct lease_decode decode;
    struct lease_filter *filter; /* of the group as it was when decode began, held; NULL none */
    uint32_t added;              /* of decode.records */
    int error;                   /* why it waits for retry_ns; 0 nothing */
    bool paused;                 /* memory is used up */
    uint64_t said_ns;            /* when the log was told of what cannot be read; 0 never */
    uint64_t retry_ns;           /* not before */
};

/* Outcomes of a worker that have emits, until all of these are stored. Embedded in what waits for that. */
struct lease_staged {
    struct el_list link;                  /* lease_emitter.staged, or of those to be told */
    const struct lease_outcome *outcomes; /* [outcome_count] */
    uint32_t outcome_count;
    void (*told)(struct lease_staged *staged, int error); /* once: all are stored, or some are not */
    uint32_t next;                                        /* private: the first outcome that is in no bundle */
    uint32_t chosen;                                      /* private: the first that is not in the one being built */
    uint32_t open;                                        /* private */
    int error;                                            /* private */
};

struct lease_save;
struct lease_burial;
struct lease_emitter;
struct lease_letters_op;

/* Blocks with events that came back since a write began: not more, so that they fit into one batch. */
#define LEASE_AGAIN_BLOCKS_MAX 16u

/* Events that come back, see lease_again.c. */
struct lease_again {
    struct el_list marks; /* struct lease_mark.link */
    bool running;         /* an op is at it */
    bool base_stored;     /* there is a record of the base, or may be */
    int64_t base_written; /* what it says; -1: what cannot be known */
    int64_t base_writing; /* the same of the write under way; 0: it ends the record */
    uint64_t blocks[2 * LEASE_AGAIN_BLOCKS_MAX], writing[2 * LEASE_AGAIN_BLOCKS_MAX];
    uint32_t block_count, writing_count;
};
struct lease_mark {
    struct el_list link;
    struct el_uuid dead_id;
    int32_t dead_partition;
    bool changed, writing; /* to be stored; being stored */
    bool ended;            /* the topic of dead letters is gone: the record goes, then this */
    struct lease_record_mark record;
};

/* What became of the letters of a partition of dead letters. */
struct lease_letters {
    struct el_list blocks;       /* struct letters_block.link, by number */
    struct el_list writing;      /* the same: would replace them */
    struct lease_letters_op *op; /* that is being stored; NULL none */
};

struct lease_part {
    uint32_t magic;
    struct el_sm sm;
    struct el_list link; /* in group->parts */
    struct lease_group *group;
    struct lease_part_key key; /* of the map */
    struct el_list stored;     /* struct lease_stored.link */
    struct lease_table *table; /* READY, and STARTING once its start is known */
    uint32_t pins;             /* reads, jobs, writes, calls under way: they need its memory */
    bool turning, again;       /* lease_part_turn() runs; and is wanted once more */
    struct io_timer timer;     /* next turn */
    uint64_t tick_ns;          /* when the table has something due */
    struct el_list waiting;    /* struct lease_op.link: until it is READY */
    uint32_t event_len;        /* about, of an event in its batch; 0 not known yet */
    struct el_list watchers;   /* struct lease_watch_op.base.link */
    struct el_list gathering;  /* struct lease_fetch_op.base.link: there is something, and time for more */
    bool rules_wait;           /* another order counts once the table is empty: read-ahead stops until then */
    /* start */
    bool starting;        /* it is looked up */
    int64_t start_fixed;  /* an operator said where: LEASE_START_..., or an offset */
    int64_t start_wanted; /* the log begins there now: events below are gone */
    struct stat_op stat;
    struct lookup_op lookup;
    /* moving */
    struct lease_offsets_op *mover; /* to be answered; NULL: nobody any more */
    int64_t move_to;
    bool moved; /* in memory: a write is to carry it */
    /* end */
    int end_error;         /* what is still asked of it ends with this; the same of MOVING */
    struct el_list enders; /* struct lease_op.link: run when it is gone */
    uint64_t erase_ns;     /* its records are not deleted before */
    /* progress */
    struct lease_save *save; /* the write under way; NULL none */
    bool write_wanted;       /* another one, at once */
    bool write_failed;       /* the last one did: the next waits for write_ns */
    uint64_t write_ns;       /* another one, then; UINT64_MAX none */
    bool passing;            /* the filter has let events pass by since the last write */
    struct el_list settled;  /* struct lease_call.link: outcomes that the next write carries */
    struct el_list carried;  /* the same of the write under way */
    struct lease_fill fill;
    /* stories of failed events */
    struct lease_stories stories;
    /* dead letters */
    int64_t producer_id; /* -1 none yet */
    int32_t next_sequence;
    struct lease_burial *burial;   /* NULL until there is something to bury */
    struct lease_emitter *emitter; /* NULL until something is emitted */
    struct lease_again back;
    struct lease_letters letters;
    struct el_map parked;          /* key -> struct lease_parked */
    struct el_list parked_changed; /* struct lease_parked.link: to be written */
    struct el_list parked_writing; /* the same: part of the write under way */
};

/* --- lease_group.c ------------------------------------------------------------------------------------------------ */

struct lease_part *lease_part_find(struct lease_group *group, const struct el_uuid *topic_id, int32_t partition);
/* Without anything in it yet, STORED; NULL without memory. */
struct lease_part *lease_part_create(struct lease_group *group, const struct el_uuid *topic_id, int32_t partition);
/* Is there one that was read, of this kind? */
bool lease_part_has_stored(const struct lease_part *part, enum lease_record_kind kind);
/* Forget records that were read: all of them. */
void lease_part_forget_stored(struct lease_part *part);
/* Nothing is under way for it. */
void lease_part_destroy(struct lease_part *part);

/* --- lease_part.c ------------------------------------------------------------------------------------------------- */

extern const struct el_sm_table lease_part_sm;

/* The READY part that an op is for; NULL: the op was answered, or waits until it is (and `run` is called anew). */
struct lease_part *lease_part_for(struct leases *ls, struct lease_op *op, const struct el_uuid *topic_id,
                                  int32_t partition);
/* What was read comes to life; a part that nothing was read of will start. returns 0 | EVLOG_ERR_NO_MEMORY |
 * EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT */
int lease_part_wake(struct lease_part *part);
/* The same for somebody who only looks: no line in the log. It reads nothing ahead before the next op or turn; dead
 * letters and emits that were on their way bring one. */
int lease_part_wake_quietly(struct lease_part *part);
/* Do all that is due now, for as long as there is something. */
void lease_part_turn(struct lease_part *part);
/* The same from the timer, soon. */
void lease_part_turn_at(struct lease_part *part, uint64_t at_ns);
void lease_part_pin(struct lease_part *part);
/* The last thing that a completion does: the part may be gone afterwards. */
void lease_part_unpin(struct lease_part *part);
struct lease_now lease_part_now(const struct lease_part *part);
static inline struct leases *lease_part_leases(const struct lease_part *part)
{
    return part->group->ls;
}
/* Its records go, then itself. error: what is still asked of it ends with. */
void lease_part_end(struct lease_part *part, int error);
/* What must happen before its end has failed: whoever waits for it is told so; it goes on, and they may ask again. */
void lease_part_end_delayed(struct lease_part *part, int error);
/* Whatever waits is answered, nothing new begins. */
void lease_part_close(struct lease_part *part, int error);
void lease_part_on_timer(struct io_timer *timer);
/* Rules of the group's settings have changed. */
void lease_part_new_rules(struct lease_part *part);
/* The write that makes its start durable has ended. */
void lease_part_started(struct lease_part *part, int error);
/* A name for the log: "topic 3 (group g)", in text; returns text. */
const char *lease_part_text(const struct lease_part *part, char *text, size_t text_len);
#define LEASE_PART_TEXT_MAX (EL_TOPIC_NAME_MAX + LEASE_GROUP_ID_LEN_MAX + 32)

/* The op waits until the part is READY, and is then run anew. */
void lease_part_wait(struct lease_part *part, struct lease_op *op);
void lease_part_run_waiting(struct lease_part *part);
/* It will not be, for now: they end with the error. */
void lease_part_end_waiting(struct lease_part *part, int error);

/* --- lease_look.c, lease_move.c ----------------------------------------------------------------------------------- */

/* Where the group stands, of a part with a table. */
void lease_look_counts(struct lease_offsets_op *op, const struct lease_part *part);
/* Where it starts, of a part that nobody has used since the start, by its record. returns false without one */
bool lease_part_stored_start(const struct lease_part *part, int64_t *start);
/* Events that are not finished of a log that goes from log_start to end. */
int64_t lease_lag(const struct lease_table *table, int64_t log_start, int64_t end);
/* An op that moves or forgets, on control's shard. */
void lease_move_check(struct leases *ls, struct lease_op *base);
/* Of a part that is MOVING: forget what was, once nothing is under way. */
void lease_move_turn(struct lease_part *part);
/* The write that carries that has ended. */
void lease_move_end(struct lease_part *part, int error);

/* --- lease_fill.c ------------------------------------------------------------------------------------------------- */

/* Begin to read, when more is wanted and nothing is under way. */
void lease_fill_turn(struct lease_part *part);
/* When it wants a turn; UINT64_MAX: it will be called. */
uint64_t lease_fill_next(const struct lease_part *part);
/* The log may begin later than the table knows: look. */
void lease_fill_log_start(struct lease_part *part);
/* No more reading; what is under way ends by itself. */
void lease_fill_stop(struct lease_part *part);

/* --- lease_fetch.c ------------------------------------------------------------------------------------------------ */

struct lease_call;
/* The write that carries a call's outcomes has ended. */
void lease_call_written(struct lease_call *call, int error);
/* Answer an op when the next write is durable. returns false without memory */
bool lease_call_wait(struct lease_part *part, struct lease_op *base);
struct lease_call *lease_call_of(struct el_list *link);
/* Answer those that gather, when they have enough or their time is over. */
void lease_gather_turn(struct lease_part *part);
/* When the next of them is over; UINT64_MAX: none. */
uint64_t lease_gather_next(const struct lease_part *part);

/* --- lease_save.c --------------------------------------------------------------------------------------------- */

/* Begin a write, when one is due and none is under way: what nobody waits for within LEASE_WRITE_WITHIN_NS. */
void lease_save_turn(struct lease_part *part);
/* Somebody waits: write at the next turn. */
void lease_save_now(struct lease_part *part);
/* The shard stops: what nobody waited for, such as deliveries, is written once more. */
void lease_save_last(struct lease_part *part);
/* Store one record of emits by itself, while the part ends. returns 0: done is called | EVLOG_ERR_NO_MEMORY, ... */
int lease_save_emits(struct lease_part *part, int64_t number, struct el_slice value, lease_write_fn done, void *arg);
/* Delete all records of the part; done is called once, maybe at once. */
void lease_save_erase(struct lease_part *part, void (*done)(struct lease_part *part, int error));

/* --- lease_bury.c ------------------------------------------------------------------------------------------------- */

/* Bury what the table says is to be. */
void lease_bury_turn(struct lease_part *part);
/* When it wants a turn; UINT64_MAX: it will be called. */
uint64_t lease_bury_next(const struct lease_part *part);
/* Dead letters wait for a write. */
bool lease_bury_wants_write(struct lease_part *part);
/* A write begins: the intents of dead letters that are on their way, for the record of the part. */
void lease_bury_write_begin(struct lease_part *part, struct lease_record_part *record);
void lease_bury_write_end(struct lease_part *part, bool durable);
/* Between the two: an event of this block becomes finished by it as a dead letter. */
bool lease_bury_done_in(const struct lease_part *part, uint64_t block);
/* An intent of the part's record: appended again. returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_bury_restore(struct lease_part *part, const struct lease_intent *intent);
/* Why an intent is stored for this offset; LEASE_DEATH_NONE: none is. */
enum lease_death lease_bury_intended(const struct lease_part *part, int64_t offset);
/* Why the event at this offset waits for its dead letter, for people; "" it does not. */
const char *lease_bury_why(const struct lease_part *part, int64_t offset);
/* Is an event that follows this parked key on its way to the dead letters? */
bool lease_bury_follows(const struct lease_part *part, struct el_slice key);
/* No append, read or job is under way for it. */
void lease_bury_free(struct lease_part *part);

/* --- lease_emit.c ------------------------------------------------------------------------------------------------- */

#define LEASE_EMITS_LEN_MAX (1u << 20) /* of what one event emits, as it is stored */

/* Bytes that a shard's emits may need until they are published; and those of one event. */
static inline uint64_t lease_emit_budget(const struct leases *ls)
{
    return ls->cfg.memory_max / LEASE_PIECES_SHARE / 2;
}
uint32_t lease_emits_len_max(const struct leases *ls);
/* Bytes of an emitted event in its batch, at most. */
uint32_t lease_emit_len(const struct lease_emit *emit);
/* May an outcome have these emits? returns 0 | EVLOG_ERR_TOO_LARGE with a text | EVLOG_ERR_NO_MEMORY */
int lease_emit_check(struct lease_part *part, const struct lease_outcome *outcome, char *text, size_t text_len);
/* The table has taken these outcomes: publish their emits. Borrowed until told. returns false without memory: only when
 * lease_emit_check() was not asked */
bool lease_emit_stage(struct lease_part *part, struct lease_staged *staged);
/* Bundle, append, settle. */
void lease_emit_turn(struct lease_part *part);
/* When it wants a turn; UINT64_MAX: it will be called. */
uint64_t lease_emit_next(const struct lease_part *part);
/* Something that is stored is to be published still. */
bool lease_emit_busy(const struct lease_part *part);
/* Something is emitted and not yet finished. */
bool lease_emit_under_way(const struct lease_part *part);
/* Bundles wait for a write. */
bool lease_emit_wants_write(const struct lease_part *part);
void lease_emit_write_begin(struct lease_part *part);
/* The records of the write that begins, value.data NULL: to be deleted; while the part ends: all. */
typedef void (*lease_emit_record_fn)(void *arg, int64_t number, struct el_slice value);
void lease_emit_write_each(const struct lease_part *part, lease_emit_record_fn each, void *arg);
/* Who is to be told of the write's end is put into a list, for lease_emit_tell(). */
void lease_emit_write_end(struct lease_part *part, int error, struct el_list *tell);
void lease_emit_tell(struct el_list *tell);
/* A stored record: appended again. The value is borrowed until lease_emit_restored(), which takes it out of its struct
 * lease_stored. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT */
int lease_emit_restore(struct lease_part *part, int64_t number, struct el_slice value);
void lease_emit_restored(struct lease_part *part);
/* Is a record stored for this offset, from before a restart? */
bool lease_emit_intended(const struct lease_part *part, int64_t offset);
/* Why the event at this offset is still emitting, for people; "" nothing stands in its way. */
void lease_emit_why(const struct lease_part *part, int64_t offset, char *text, size_t text_len);
/* What is not stored is not going to be: whoever waits for it is told. */
void lease_emit_close(struct lease_part *part, int error);
/* No append is under way for it, and nobody waits. */
void lease_emit_free(struct lease_part *part);

/* --- lease_park.c ------------------------------------------------------------------------------------------------- */

struct lease_parked *lease_parked_find(const struct lease_part *part, struct el_slice key);
/* There is a letter of the key that its token does not know of. */
void lease_parked_followed(struct lease_part *part, struct lease_parked *parked);
/* A key is parked from now on; stored: the log says so already. returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_park_key(struct lease_part *part, struct el_slice key, const struct lease_record_parked *record, bool stored);
/* It is parked no more, durable with the next write. */
void lease_park_release(struct lease_part *part, struct lease_parked *parked);
/* All changes so far are part of a write: those in `parked_writing`; it has ended. */
void lease_park_write_begin(struct lease_part *part);
void lease_park_write_end(struct lease_part *part, bool durable);
/* All are released. */
void lease_park_end_all(struct lease_part *part);
void lease_park_free_all(struct lease_part *part);

/* --- lease_again.c ------------------------------------------------------------------------------------------------ */

void lease_again_init(struct lease_part *part);
void lease_again_free(struct lease_part *part);
/* A record of kind MARK. returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_mark_restore(struct lease_part *part, const struct lease_record_key *key,
                       const struct lease_record_mark *record);
/* A write begins with that start; it has ended. */
void lease_again_write_begin(struct lease_part *part, int64_t start);
void lease_again_write_end(struct lease_part *part, bool durable);
/* Between the two: events of this block have come back by it. */
bool lease_again_in(const struct lease_part *part, uint64_t block);
/* Between the two: the record of the base is written. */
bool lease_again_base(const struct lease_part *part);

/* --- lease_letters.c ---------------------------------------------------------------------------------------------- */

void lease_letters_init(struct lease_part *part);
void lease_letters_free(struct lease_part *part);
/* A record of kind LETTERS; data NULL: it has ended. returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_NO_MEMORY */
int lease_letters_restore(struct lease_part *part, uint64_t number, struct el_slice value);
/* The number of each block that has a record, or may have. */
bool lease_letters_next(const struct lease_part *part, int64_t *number);

#endif
