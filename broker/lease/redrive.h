/* SPDX-License-Identifier: Apache-2.0
 *
 * Redrives of dead letters, on shard 0. Private to broker/lease.
 *
 *   redrive.c         tasks: begun, listed, ended, forgotten
 *   redrive_run.c     one step after the other
 *   redrive_scan.c    letters that are selected, found by a worker
 *   redrive_record.c  as bytes
 */
#ifndef EL_LEASE_REDRIVE_H
#define EL_LEASE_REDRIVE_H

#include <core/pattern.h>
#include <lease/control.h>
#include <lease/lease_redrive.h>

#define REDRIVE_MAGIC OBJ_MAGIC('r', 'd', 'r', 'v')
#define REDRIVE_PIECE_LEN (256u << 10) /* of letters, for one look */
#define REDRIVE_TEXTS_LEN (128u << 10) /* what is kept of the selected ones of a look */
#define REDRIVE_KEEP 16u               /* tasks of a group that have ended are kept, the last so many */
#define REDRIVE_TASKS_MAX 1000u
#define REDRIVE_PARTITIONS_MAX 100000u

/* A letter that was selected. */
struct redrive_letter {
    int64_t letter;
    int64_t offset; /* in its source */
    uint64_t key_hash;
    struct el_slice topic, history; /* in the scan's texts; history: data NULL: none */
    int32_t partition;
};

/* A look at some letters, by a worker. */
struct redrive_scan {
    /* in */
    const uint8_t *data;
    size_t len;
    int64_t from, end;   /* letters from .. end - 1 */
    int64_t next_offset; /* behind the batches */
    int32_t partition;
    struct el_slice group;
    const struct lease_selection *selection;
    const struct el_pattern *pattern;         /* of the selection; NULL: none */
    const struct lease_letter_range *settled; /* [settled_count] rising */
    uint32_t settled_count;
    uint32_t letter_max; /* 1 .. LEASE_LETTERS_MAX */
    /* out */
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

enum redrive_step {
    REDRIVE_IDLE,
    REDRIVE_MEASURING, /* where a partition of letters begins and ends */
    REDRIVE_STORING,   /* the task's record */
    REDRIVE_READING,
    REDRIVE_ASKING, /* which of them are settled */
    REDRIVE_SCANNING,
    REDRIVE_RETURNING, /* events of one source come back */
    REDRIVE_MARKING,
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

/* --- redrive_record.c --------------------------------------------------------------------------------------------- */

size_t redrive_record_len(const struct redrive *task);
void redrive_record_encode(struct el_writer *w, const struct redrive *task);
/* Into a task that is zero but for ls; what it owns is to be freed by redrive_free() in any case.
 * returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT | EVLOG_ERR_NO_MEMORY */
int redrive_record_decode(struct redrive *task, struct el_slice value);

#endif
