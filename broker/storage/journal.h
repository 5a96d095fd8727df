/* SPDX-License-Identifier: Apache-2.0
 *
 * The journal of one shard: the only thing between an append and its acknowledgement.
 *
 *   journal_room      makes sure that the group being filled has room for a frame
 *   journal_add       copies a frame into it
 *   journal_tick      decides whether to write a group now (adaptive group commit) and submits it
 *   (completion)      journal_cb.durable for every group, in order of their sequence
 *
 * Slots are files that are filled with zeros once and then recycled. A group never shares a block with another. A
 * failed write stops the journal for good: nothing is retried. Owner shard only. docs/format.md section 3.
 */
#ifndef EL_STORAGE_JOURNAL_H
#define EL_STORAGE_JOURNAL_H

#include <core/clock.h>
#include <core/pool.h>
#include <format/journal_layout.h>
#include <io/io.h>
#include <obs/metrics.h>
#include <stdatomic.h>
#include <storage/tail.h>

#define JOURNAL_SLOT_COUNT_MAX 256

struct journal;

/* Groups are closed at this length, unless one frame alone is longer. */
#define JOURNAL_GROUP_TARGET_LEN (1u << 20)

struct jgroup {
    struct el_list link; /* ready or in flight, by sequence */
    uint8_t *buf;        /* block of the buddy, aligned */
    uint32_t len;        /* bytes used, header included */
    uint32_t cap;        /* bytes of buf */
    uint32_t frame_count;
    uint32_t event_count; /* waiting appends, for the commit rule */
    uint64_t sequence;
    uint64_t append_time_ns;
    uint64_t opened_ns; /* monotonic, for the commit rule */
    uint64_t submitted_ns;
    uint32_t slot;               /* where it was written */
    struct batch_entry *entries; /* of its batch frames, in order */
    struct batch_entry **entries_end;
    struct el_list waiters; /* struct journal_wait: to be told when durable */
    struct io_op op;
    struct journal *journal;
    bool written; /* completed, maybe before an earlier one */
};

/* Somebody who wants to know when the group that is being filled is durable. */
struct journal_wait {
    struct el_list link;
    void (*done)(struct journal_wait *wait, int error); /* 0, or EVLOG_ERR_STORAGE when the journal stopped */
};

enum jslot_state { JSLOT_FREE, JSLOT_ACTIVE, JSLOT_USED, JSLOT_WIPED /* a job overwrites it */ };

struct jslot {
    enum jslot_state state;
    int fd;
    uint64_t len;
    uint64_t last_sequence; /* highest in it, while not free */
    bool stale;             /* it is to be overwritten with zeros once it is free */
};

/* A new slot on its way: filled with zeros and synced by a job. */
struct journal_prepare {
    char path[48];
    char dir[32];
    uint64_t len;
    int fd;
};

/* A slot whose bytes are to be nowhere. */
struct journal_wipe {
    uint32_t slot;
    int fd;
    uint64_t len;
};

struct journal_cb {
    void (*durable)(void *arg, struct jgroup *group); /* entries of the group are durable; waiters are told after */
    void (*failed)(void *arg, const char *reason);    /* once; every waiter is then told EVLOG_ERR_STORAGE */
    void *arg;
};

struct journal_config {
    uint32_t shard;
    uint64_t ring_len; /* bytes of all slots, a bound */
    uint64_t slot_len; /* bytes of slots after the first */
    uint64_t first_slot_len;
    bool adaptive;
};

struct journal {
    struct journal_config cfg;
    struct journal_cb cb;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct el_clock *clock;
    struct jslot slots[JOURNAL_SLOT_COUNT_MAX];
    uint32_t slot_count;
    uint32_t active; /* slot that is being written */
    uint64_t pos;    /* next group in it */
    uint64_t incarnation;
    uint64_t parent_incarnation;
    uint64_t parent_sequence;
    uint64_t boot;
    uint32_t node_tag;
    uint64_t next_sequence; /* of the next group to be opened */
    uint64_t durable_sequence;
    uint64_t previous_checksum;
    uint64_t freed_through; /* every sequence at or below may be overwritten */
    struct jgroup *filling; /* NULL while no frame waits */
    struct el_list ready;   /* closed, not submitted */
    struct el_list flight;  /* submitted */
    uint32_t flight_count;
    _Atomic uint64_t flight_since_ns; /* when the oldest of them was, 0: there is none; for other threads */
    uint32_t closed_len;        /* of the group closed last: the length of the next buffer */
    uint64_t queued_bytes;      /* of filling, ready and in-flight groups */
    uint64_t bytes_since_cut;   /* written since journal_cut() */
    uint32_t flushed_events[2]; /* events in the last two flushes */
    uint64_t flush_ewma_ns;
    int mark_fd;
    uint8_t *mark_buf; /* EL_JOURNAL_ALIGN bytes */
    struct io_op mark_op;
    bool mark_busy;
    uint32_t mark_turn;
    uint64_t marked_sequence;
    struct io_timer mark_timer;
    struct io_op prepare_op; /* of a new slot */
    bool prepare_busy;
    struct journal_prepare prepare;
    struct io_timer prepare_timer; /* retry after a full disk */
    uint32_t prepare_tries;        /* that found no space, since one did */
    struct io_op wipe_op;          /* of a slot that is overwritten */
    bool wipe_busy;
    struct journal_wipe wipe;
    struct el_pool groups;   /* struct jgroup */
    uint64_t flush_ended_ns; /* monotonic end of the last flush */
    uint32_t slot_max;       /* slots that cfg.ring_len allows */
    bool stopped;            /* a write failed */
    char reason[160];
};

/* Where recovery found the journal to end, and which slots hold what. */
struct journal_state {
    uint64_t parent_incarnation;
    uint64_t parent_sequence;
    uint64_t incarnation; /* of this start */
    uint64_t boot;
    uint32_t node_tag;
};

/* Open the slots and the mark in journal/<shard>/, choose a fresh slot. Blocking, before the shard runs.
 * last_sequence[slot] as recovery found it (0: nothing that matters); slots at or below freed_through are free. */
int journal_open(struct journal *journal, const struct journal_config *cfg, const struct journal_state *state,
                 const uint64_t *last_sequence, uint32_t slot_count, uint64_t freed_through, struct disk *disk,
                 struct el_error *err);
/* Free memory and close files; nothing may be in flight unless the shard is dead. */
void journal_close(struct journal *journal, struct disk *disk);

/* Make room for a frame with this payload in the group being filled, opening one when needed.
 * returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_STORAGE stopped | EVLOG_ERR_TOO_LARGE never fits a slot */
int journal_room(struct journal *journal, size_t payload_len);
/* Add a frame after journal_room(); its append time is the group's when 0. returns the place of the payload in the
 * group */
uint8_t *journal_add(struct journal *journal, struct el_frame *frame);
/* Sequence and append time of the group that journal_room() left open. */
static inline struct jgroup *journal_group(struct journal *journal)
{
    return journal->filling;
}
/* Tell when everything added so far is durable; done may be called at once when nothing waits. */
void journal_wait(struct journal *journal, struct journal_wait *wait);
/* Close the group being filled, so that the next frame gets a later append time. returns its sequence, or the last one
 * */
uint64_t journal_close_group(struct journal *journal);
/* Submit what may be submitted. returns monotonic time of its next wish to run, UINT64_MAX none */
uint64_t journal_tick(struct journal *journal);
/* Stop for a reason outside the journal: waiters are told EVLOG_ERR_STORAGE, nothing more is written. */
void journal_abort(struct journal *journal);
/* No more marks and slots: called when it is quiet, before it is closed. */
void journal_rest(struct journal *journal);
/* Everything at or below sequence may be overwritten from now on. */
void journal_free_through(struct journal *journal, uint64_t sequence);
/* What the journal holds at this moment is to be overwritten with zeros, as soon as it may be: journal_wipe_go(),
 * called again and again while checkpoints are taken, says whether all of it has been. */
void journal_wipe(struct journal *journal);
bool journal_wipe_go(struct journal *journal);
/* Bytes of slots that cannot be overwritten yet / of the whole ring as it may grow. */
uint64_t journal_used(const struct journal *journal);
/* Bytes that can be written before a slot must be freed. */
uint64_t journal_left(const struct journal *journal);
/* Slots in use that the next checkpoint would free: their groups are at or below the newest cut. */
uint32_t journal_stale_slots(const struct journal *journal, uint64_t cut);
/* Appends of clients should wait: too much waits to be written. A checkpoint does not help. */
bool journal_behind(const struct journal *journal);
/* Appends of clients should wait: the ring is nearly full, and a checkpoint is due. */
bool journal_tight(const struct journal *journal);
/* The same if it can have no further slot: nobody knows before it has been tried whether a full disk has room. */
bool journal_tight_as_it_is(const struct journal *journal);
/* True when frames wait in the group being filled. It may be open without any, when what it was opened for found no
 * memory: nothing ever writes it then but the next frame. */
static inline bool journal_is_filling(const struct journal *j)
{
    return j->filling != NULL && j->filling->frame_count > 0;
}
/* Of the last group that has frames: all that was added is durable when that is. */
static inline uint64_t journal_last_sequence(const struct journal *j)
{
    bool empty = j->filling != NULL && j->filling->frame_count == 0;
    return j->next_sequence - (empty ? 2 : 1);
}
/* True when nothing waits and nothing is in flight. */
static inline bool journal_idle(const struct journal *j)
{
    return !journal_is_filling(j) && el_list_empty(&j->ready) && el_list_empty(&j->flight) && !j->mark_busy &&
           !j->prepare_busy && !j->wipe_busy;
}
/* True when the kernel has none of its buffers: memory may go. */
static inline bool journal_quiet(const struct journal *j)
{
    return el_list_empty(&j->flight) && !j->mark_busy && !j->prepare_busy && !j->wipe_busy;
}
/* "journal/0003" and "journal/0003/0001". */
void journal_dir_path(char *path, size_t len, uint32_t shard);
void journal_slot_path(char *path, size_t len, uint32_t shard, uint32_t slot);
void journal_mark_path(char *path, size_t len, uint32_t shard);

#endif
