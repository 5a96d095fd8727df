/* SPDX-License-Identifier: Apache-2.0
 *
 * Redrives of dead letters, on shard 0. Private to broker/lease.
 *
 *   redrive.c         tasks: begun, listed, ended, forgotten
 *   redrive_run.c     one step after the other
 *   redrive_scan.c    letters that are selected, found by a worker
 *   redrive_copy.c    letters that are appended to a topic
 *   redrive_record.c  as bytes
 */
#ifndef EL_LEASE_REDRIVE_H
#define EL_LEASE_REDRIVE_H

#include <core/pattern.h>
#include <lease/control.h>
#include <lease/lease_redrive.h>

#define REDRIVE_MAGIC OBJ_MAGIC('r', 'd', 'r', 'v')
#define REDRIVE_PIECE_LEN (256u << 10)  /* of letters, for one look */
#define REDRIVE_TEXTS_LEN (128u << 10)  /* what is kept of the selected ones of a look */
#define REDRIVE_COPIES_LEN (256u << 10) /* of the copies of a look; more when one of them needs it */
#define REDRIVE_COPY_OVERHEAD 32u       /* that a record may be longer by than alone in a batch */
#define REDRIVE_KEEP 16u                /* tasks of a group that have ended are kept, the last so many */
#define REDRIVE_TASKS_MAX 1000u
#define REDRIVE_PARTITIONS_MAX 100000u

/* A letter that was selected. */
struct redrive_letter {
    int64_t letter;
    int64_t offset; /* in its source */
    uint64_t key_hash;
    struct el_slice topic, history; /* in the scan's texts; history: data NULL: none */
    int32_t partition;
    int32_t to; /* COPY: partition of the target, -1: the target does not take it */
    bool done;  /* its result is known */
};

/* What decides how letters become batches of a target; the same however often a piece is begun. */
struct redrive_target {
    int32_t partition_count;
    uint32_t len_max; /* of a batch */
    bool keyed;       /* it takes no records without a key */
};

/* The copies of a look: first as one batch of all, in order, in the lower half of a block; then those for one partition
 * of the target as a batch in the upper half. */
struct redrive_copies {
    struct redrive_target target;
    uint8_t *buf;  /* [2 * room], of the buddy */
    size_t room;   /* 0: there are none */
    size_t used;   /* at most, by the batches of all partitions */
    size_t wanted; /* out: such a room is needed for the next one; 0: none is wanted */
    struct el_batch_builder all;
    struct redrive_part {
        int32_t partition;
        uint32_t len; /* of its batch, at most */
    } parts[LEASE_LETTERS_MAX];
    uint32_t part_count;
    /* the batch that is made */
    int32_t partition;
    struct el_batch_origin origin;
    struct el_slice batch;
    struct el_batch_info info;
};

/* A look at some letters, by a worker; maybe in several runs. */
struct redrive_scan {
    /* in */
    const uint8_t *data;
    size_t len;
    int64_t from, end;   /* of this run: letters from .. end - 1 */
    int64_t next_offset; /* behind the batches */
    int32_t partition;
    struct el_slice group;
    const struct lease_selection *selection;
    const struct el_pattern *pattern;         /* of the selection; NULL: none */
    bool emits;                               /* letters of what was emitted are taken; else they are others */
    const struct lease_letter_range *settled; /* [settled_count] rising */
    uint32_t settled_count;
    uint32_t letter_max; /* 1 .. LEASE_LETTERS_MAX */
    struct redrive_copies copies;
    /* out: of all runs */
    int64_t next; /* goes on there */
    struct redrive_letter letters[LEASE_LETTERS_MAX];
    uint32_t letter_count;
    uint64_t settled_seen, others;
    size_t texts_used;
    uint8_t texts[REDRIVE_TEXTS_LEN];
    /* what becomes of them */
    uint8_t results[LEASE_LETTERS_MAX]; /* enum lease_again_result, by letter */
    struct lease_again_letter again[LEASE_LETTERS_MAX];
    struct lease_letter_range ranges[LEASE_LETTERS_MAX];
};

/* returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_INVALID_RECORD, ...: the batch at `next` cannot be read */
int redrive_scan_run(struct redrive_scan *scan);
/* Make the batch of copies.partition. returns 0 | EVLOG_ERR_NO_MEMORY */
int redrive_scan_batch(struct redrive_scan *scan);

enum redrive_step {
    REDRIVE_IDLE,
    REDRIVE_MEASURING, /* where a partition of letters begins and ends */
    REDRIVE_STORING,   /* the task's record */
    REDRIVE_READING,
    REDRIVE_ASKING, /* which of them are settled */
    REDRIVE_SCANNING,
    REDRIVE_RETURNING, /* events of one source come back */
    REDRIVE_DRAWING,   /* a producer id */
    REDRIVE_BATCHING,  /* copies for one partition */
    REDRIVE_APPENDING, /* the same */
    REDRIVE_MARKING,
};

/* Where copies go. A piece of letters is one batch for each partition, with the number 0 of an epoch that no other
 * piece has: a partition that does not take that number has got the batch before. */
struct redrive_copy {
    struct el_slice topic; /* owned; data NULL: nothing is copied */
    struct el_uuid topic_id;
    int64_t producer_id;          /* -1 not yet */
    int16_t epoch;                /* of the piece begun last; -1 none */
    int64_t next;                 /* a piece is begun: letters below it, from the task's offset on; -1 none is */
    struct redrive_target target; /* of that piece */
    size_t room;                  /* for the copies of the next look */
};

struct redrive {
    uint32_t magic;
    struct el_list link; /* in control->redrives, by id */
    struct leases *ls;
    uint64_t id;
    struct el_slice group_id, topic;
    struct el_uuid topic_id;
    enum lease_redrive_action action;
    enum lease_redrive_state state;
    bool dry_run;
    uint32_t rate;
    struct lease_selection selection; /* texts are owned */
    struct el_arena arena;            /* of the pattern */
    const struct el_pattern *pattern;
    int64_t began_ms, ended_ms;
    int32_t partition_count;
    int64_t *ends; /* [partition_count] owned: letters behind them are none of this task's */
    int32_t partition;
    int64_t offset;
    struct lease_redrive_counts counts;
    struct redrive_copy copy;
    char why[160]; /* it has failed, or waits; empty: nothing to say */
    /* running */
    enum redrive_step step; /* what is under way */
    bool cancel;            /* to be ended at the next step */
    bool stored;            /* there is a record, or may be */
    bool forget;            /* to be ended with its record: the group is gone, or there are later ones */
    bool dirty;             /* its record is to be written */
    uint64_t not_before_ns; /* the next step */
    uint64_t store_ns;      /* its record is not written before: that failed */
    uint64_t delay_ns;      /* it waited so long before */
    struct io_timer timer;
    struct lease_redrive_op *beginner; /* to be answered when it is stored */
    struct el_list cancellers;         /* struct lease_op.link */
    union {
        struct stat_op stat;
        struct read_op read;
        struct producer_id_op draw;
        struct append_op append;
    };
    struct lease_letters_op letters_op;
    struct lease_again_op again_op;
    uint32_t range_count;
    uint32_t letter_next;      /* the first of scan->letters that is not done */
    struct redrive_scan *scan; /* a block of the buddy while a piece is being worked on */
    struct io_op job;
};

/* --- redrive.c ---------------------------------------------------------------------------------------------------- */

/* The state is one of an end: stored, told, and kept. */
void redrive_end(struct redrive *task, enum lease_redrive_state state, const char *why);
/* Its record is stored, or was not (error): go on. */
void redrive_stored(struct redrive *task, int error);
void redrive_free(struct redrive *task);

/* --- redrive_run.c ------------------------------------------------------------------------------------------------ */

/* Go on, when nothing is under way. */
void redrive_go(struct redrive *task);
void redrive_on_timer(struct io_timer *timer);
/* The look is over. */
void redrive_piece_free(struct redrive *task);
/* Something begins, that redrive_step_end() ends. returns false: the shard stops, and so does the task */
void redrive_step_begin(struct redrive *task, enum redrive_step step);
bool redrive_step_end(struct redrive *task, enum redrive_step step);
/* Once more after a while, because of an error. */
void redrive_again(struct redrive *task, const char *what, int error);
void redrive_went_well(struct redrive *task);

/* --- redrive_copy.c ----------------------------------------------------------------------------------------------- */

/* NULL, or why letters may not be copied to the topic; text is room for that. */
const char *redrive_copy_check(struct leases *ls, const struct lease_redrive_op *op, const struct topic *letters,
                               char *text, size_t text_len);
/* Make the look one that takes copies. returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_UNKNOWN_TOPIC */
int redrive_copy_open(struct redrive *task, struct redrive_scan *scan);
/* A run of the look has ended. returns false: it is to begin anew */
bool redrive_copy_looked(struct redrive *task);
/* The next step for a look with letters that are not done. */
void redrive_copy_go(struct redrive *task);

/* --- redrive_record.c --------------------------------------------------------------------------------------------- */

size_t redrive_record_len(const struct redrive *task);
void redrive_record_encode(struct el_writer *w, const struct redrive *task);
/* Into a task that is zero but for ls; what it owns is to be freed by redrive_free() in any case.
 * returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT | EVLOG_ERR_NO_MEMORY */
int redrive_record_decode(struct redrive *task, struct el_slice value);

#endif
