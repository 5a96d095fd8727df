/* SPDX-License-Identifier: Apache-2.0
 *
 * What the stream index of a shard is made of. Private to broker/stream; owner shard only but for what jobs are handed.
 * docs/internals/stream-index.md.
 */
#ifndef EL_STREAM_STREAM_STATE_H
#define EL_STREAM_STREAM_STATE_H

#include <core/arena.h>
#include <core/assert.h>
#include <core/pool.h>
#include <storage/observer.h>
#include <stream/index_list.h>
#include <stream/index_run.h>
#include <stream/stream_admit.h>
#include <stream/streams.h>

#define STREAMS_MAGIC OBJ_MAGIC('S', 'T', 'R', 'M')
#define STREAMS_TABLE_SHARE 4u           /* of the memory, each of active and frozen */
#define STREAMS_REBUILDS_MAX 3u          /* of a damaged index: then the disk is not one to go on with */
#define STREAMS_RETRY_NS 1000000000u     /* after want of memory, before background work is tried again */
#define STREAMS_RETRY_MAX_NS 8000000000u /* after a full disk: from the former on twice as long each time, to this */

/* --- runs --------------------------------------------------------------------------------------------------------- */

/* An open run. Sets refer to it; when the last is gone it is closed, and its file removed unless it still counts. */
struct stream_run {
    struct el_list link; /* st->closing, without sets */
    struct index_run run;
    void *memory; /* of the buddy: top and filter */
    size_t memory_len;
    uint64_t id;
    uint32_t refs;
    bool listed; /* the list on disk names it: its file stays */
};

/* The runs that count at some time, newest first. Never changed: another set takes its place. Jobs hold it. */
struct stream_run_set {
    uint32_t refs;
    uint32_t count;
    struct stream_run *runs[];
};

/* --- partitions --------------------------------------------------------------------------------------------------- */

enum stream_part_state {
    STREAM_PART_COLD,     /* not used since the start: the log may hold more than the index */
    STREAM_PART_CATCHING, /* it is being read */
    STREAM_PART_READY,
    STREAM_PART_BROKEN, /* it cannot be read: refused */
};

struct stream_part;

/* Lookups of one batch, answered by a job. */
struct stream_resolve {
    struct io_op op;
    struct stream_part *sp;
    struct stream_run_set *runs;
    struct stream_lookup *lookups; /* [count] */
    uint32_t count;
    int64_t end_offset;         /* what the runs have lies below */
    struct append_op *append;   /* whose batch it is; NULL: of catching up, or it has ended meanwhile */
    struct stream_batch orphan; /* holds the lookups then */
    bool busy;
};

#define CATCH_BATCHES_MAX 64u   /* looked through by one job */
#define CATCH_RECORDS_MAX 4096u /* about */
#define CATCH_READ_LEN (256u << 10)

/* Reading a partition's log from where the index ends. */
struct stream_catch {
    struct stream_part *sp;
    struct read_op read;
    struct io_op op; /* job that looks through batches */
    struct journal_wait durable;
    uint32_t next_entry; /* of the read, to be looked through */
    uint32_t batch_count, batch_index;
    uint32_t done; /* records of the batch at batch_index that are in */
    bool begun;    /* done is set for it */
    struct catch_batch {
        struct stream_batch batch; /* records: el_malloc */
        int64_t base_offset, end_offset;
    } batches[CATCH_BATCHES_MAX];
};

struct stream_part {
    struct el_list link; /* st->parts, by slot */
    struct streams *st;
    struct partition *part; /* NULL: deleted */
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t slot;
    enum stream_part_state state;
    int64_t noted;            /* tables and runs hold all that is below */
    int64_t frozen_end;       /* the frozen table and the runs, while there is one */
    int64_t run_end;          /* the runs on the list */
    struct el_list wait_link; /* st->starved or st->catch_queue */
    bool raising;             /* a trim waits for the floor */
    bool anew;                /* its index was damaged and is made anew: refused until that is done */
    struct stream_resolve resolve;
    struct stream_catch *catching;
    int catch_error;          /* why the last try ended early, until an append was told */
    struct el_list questions; /* struct store_op.link: wait until it is caught up */
    uint32_t pins;            /* jobs and questions under way */
};

/* --- background work ---------------------------------------------------------------------------------------------- */

enum stream_task {
    STREAM_TASK_NONE,
    STREAM_TASK_WAIT,  /* what is frozen is not durable yet */
    STREAM_TASK_WRITE, /* it becomes a run */
    STREAM_TASK_LIST,  /* which is put on the list */
    STREAM_TASK_HEADS, /* heads go to the cache, a few at a time */
};

enum stream_job {
    STREAM_JOB_NONE,
    STREAM_JOB_WRITE,
    STREAM_JOB_SAVE,
    STREAM_JOB_MERGE,
    STREAM_JOB_CLEAN,
    STREAM_JOB_EMPTY,
    STREAM_JOB_FILTER
};

/* A new list, maybe with a new run opened first. */
struct stream_save {
    struct stream_run *run;     /* NULL none */
    struct stream_run_set *set; /* takes the place of the one there is */
    struct el_index_run_info info;
    bool with_filter, opened;
    struct index_list list; /* arrays of the buddy */
};

struct stream_work {
    struct io_op op; /* one job at a time */
    enum stream_job job;
    struct io_timer timer;
    bool waiting;           /* for the timer, after a failure */
    bool complained;        /* the log has it */
    uint64_t retry_ns;      /* how long the last wait for disk space was; 0 none since a list was saved */
    uint64_t merge_from_ns; /* no merge before: the last one found no space */
    struct el_error error;
    struct stream_save save;
    /* from a table to a run */
    enum stream_task task;
    struct journal_wait durable;
    struct stream_table_mark mark;
    struct stream_sorted *sorted;
    struct index_run_writer *writer;
    bool names; /* all entries are written */
    uint64_t run_id;
    struct el_index_run_info run_info; /* run_id 0: there was nothing to write */
    uint64_t head_cursor;
    struct stream_table *old; /* is a run, but somebody reads its names still */
    /* merge */
    struct stream_run_set *inputs; /* NULL: no merge; [merge_first, merge_first + merge_count) are merged */
    uint32_t merge_first, merge_count;
    struct index_merge *merge;
    bool merged;  /* its run is complete */
    bool listing; /* and a list with it is being saved, or has to be saved again */
    uint64_t merge_id;
    struct el_index_run_info merge_info;
    uint32_t *live; /* [live_count] slots that existed when it began, ascending; buddy */
    uint32_t live_count;
    /* a filter that found no room */
    struct stream_run *filter_run; /* being opened with it; NULL none */
    struct el_index_run_info filter_info;
    uint64_t filter_from_ns; /* not before */
    /* cleaning up */
    struct el_list closing, closed; /* struct stream_run; closed is the job's */
    bool damaged;                   /* save an empty list: a start makes the index anew */
};

struct streams {
    uint32_t magic;
    uint32_t index;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct streams *const *peers;
    struct stream_secret secret;
    uint8_t tag[16];
    struct streams_config cfg;
    struct store_observer observer;
    struct stream_view view; /* active is NULL until the first partition is used */
    struct stream_run_set *runs;
    size_t filter_len;    /* bytes that runs take of memory */
    struct el_list parts; /* struct stream_part, by slot */
    struct el_pool part_pool, run_pool, catch_pool;
    uint64_t list_sequence, next_run_id;
    uint32_t next_slot;
    struct el_list starved;     /* struct stream_part.wait_link: the active table is full, or there is no memory */
    struct el_list catch_queue; /* struct stream_part.wait_link */
    uint32_t catch_count;
    struct io_timer retry_timer; /* for starved ones when no flush will wake them */
    struct stream_work work;
    bool want_flush; /* a floor is to be raised, or the shard stops */
    bool failed;     /* appends and questions are refused */
    bool rebuilding; /* likewise, until nothing of a damaged index is used any more */
    bool dead;       /* the machine crashed: nothing more */
    bool stopping;
    uint32_t ops;                                /* questions and jobs under way */
    uint32_t name_jobs;                          /* of them: jobs that read the tables */
    uint32_t rebuilds;                           /* since the start */
    bool telling;                                /* that it is made anew */
    char reasons[STREAMS_REBUILDS_MAX + 1][320]; /* each written once, for other threads read them; the last one says
                                                  * why it has failed */
    uint64_t counted[4];                         /* of view's counters, told to the metrics already */
};

#define STREAM_PAGE 16u /* entries looked at together */

/* of_type: it is found by its type, and lies where it is */
static inline int64_t stream_entry_offset(const struct el_stream_entry *entry, bool of_type)
{
    return of_type ? (int64_t)entry->position : stream_place_offset(entry->place);
}

/* --- stream_runs.c: which runs count ------------------------------------------------------------------------------ */

struct stream_run_set *stream_runs_hold(struct streams *st);
void stream_runs_drop(struct streams *st, struct stream_run_set *set);
/* A set of [count] runs, each referred to; NULL no memory. */
struct stream_run_set *stream_runs_make(struct streams *st, struct stream_run *const *runs, uint32_t count);
/* Put another set into its place. */
void stream_runs_replace(struct streams *st, struct stream_run_set *set);
bool stream_runs_may_hold(void *arg, uint32_t slot, struct el_hash128 hash);
/* Newest entry of slot and hash in any of the runs whose event lies below an offset: *found. Runs may have events that
 * are durable and not shown yet, where evlog.durability waits for the archive. Blocking. */
int stream_runs_newest(const struct stream_run_set *set, uint32_t slot, struct el_hash128 hash, bool of_type,
                       int64_t end_offset, struct el_stream_entry *entry, bool *found);
/* A run that is to be opened, with memory for it. NULL no memory */
struct stream_run *stream_run_new(struct streams *st, const struct el_index_run_info *info, bool *with_filter);
void stream_run_free(struct streams *st, struct stream_run *run);
/* Is there room for it with its filter? */
bool stream_run_fits(const struct streams *st, const struct el_index_run_info *info);

/* --- streams.c ---------------------------------------------------------------------------------------------------- */

/* The index is of no use any more: refuse, and wake all who wait. A damaged one is made anew from the log. */
void streams_fail(struct streams *st, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Whoever waits for the index is told that it cannot be used. */
void streams_refuse_all(struct streams *st, const char *reason);
/* The error of whoever finds the index failed. */
int streams_refusal(const struct streams *st, const struct stream_part *sp);
/* Memory for tables and heads is taken when the first partition wants it: who has no streams pays nothing.
 * returns 0 | EVLOG_ERR_NO_MEMORY */
int streams_tables_make(struct streams *st);
/* The partition's state, made when there is none. NULL no memory */
struct stream_part *stream_part_of(struct streams *st, struct partition *part);
void stream_part_unpin(struct stream_part *sp);
/* A retry of what is starved: in some milliseconds, or in the next turn of the loop. */
void streams_retry(struct streams *st);
void streams_soon(struct streams *st);
/* Wake those who wait for memory or another table. */
void streams_feed(struct streams *st);
void streams_count(struct streams *st);

/* --- stream_append.c ---------------------------------------------------------------------------------------------- */

int stream_append_admit(void *arg, struct partition *part, struct append_op *op);
void stream_append_undo(void *arg, struct partition *part, struct append_op *op);
void stream_append_ended(void *arg, struct partition *part, struct append_op *op, int error);
/* Answer lookups by a job; then the append is tried again, or catching up goes on. */
void stream_resolve_start(struct stream_part *sp, struct append_op *append, struct stream_batch *batch);

/* --- stream_catch.c ----------------------------------------------------------------------------------------------- */

/* Read what the log has more, then go on with whoever waits. */
void stream_catch_want(struct stream_part *sp);
/* Its lookups are answered, or there is memory again. */
void stream_catch_go(struct stream_part *sp, int error);
/* Begin those that wait for their turn. */
void stream_catch_next(struct streams *st);

/* --- stream_work.c ------------------------------------------------------------------------------------------------ */

/* Whatever is to be done and can be. */
void stream_work_go(struct streams *st);
bool stream_work_idle(const struct streams *st);
void stream_work_init(struct streams *st);
void stream_work_free(struct streams *st);
/* Begin a job; no other is under way. */
void stream_work_job(struct streams *st, enum stream_job job, io_job_fn run);
/* There is no room for it, or no memory: later. */
void stream_work_wait(struct streams *st, int code);
/* Is it an error of a disk that has no room, or of too many files? */
bool stream_work_lacks_disk(int code);
/* What waits for room is tried now. */
void stream_work_hurry(struct streams *st);

/* --- stream_flush.c ----------------------------------------------------------------------------------------------- */

/* The active table is full: freeze it, when nothing is frozen. returns 0 there is an empty one | EVLOG_ERR_AGAIN wait |
 * EVLOG_ERR_NO_MEMORY */
int stream_work_freeze(struct streams *st);
/* The table's way. returns false when nothing is to be done for it now */
bool stream_flush_go(struct streams *st);
/* The list has its run. */
void stream_flush_saved(struct streams *st);
/* Close what is being written. Blocking. */
void stream_flush_drop(struct stream_work *w);

/* --- stream_filter.c ---------------------------------------------------------------------------------------------- */

/* Open a run once more, with its filter, when there is room. */
void stream_filter_go(struct streams *st);
/* It is open, or is not to be had. */
void stream_filter_end(struct streams *st, int error);

/* --- stream_rebuild.c --------------------------------------------------------------------------------------------- */

/* Something of the files is damaged. */
void stream_rebuild_begin(struct streams *st, const char *what);
/* Go on with it: when nothing is under way any more the list on disk is emptied. */
void stream_rebuild_go(struct streams *st);
/* Blocking, in a job: close what is under way, save an empty list. returns 0 | EVLOG_ERR_... */
int64_t stream_rebuild_empty(struct disk *disk, void *arg);
/* That is done: forget all, and read the logs. */
void stream_rebuild_emptied(struct streams *st);
/* It cannot be done now: the next start meets the damage again. */
void stream_rebuild_give_up(struct streams *st);
/* A partition needs no rebuilding any more, or is gone. */
void stream_rebuild_look(struct streams *st);

/* --- stream_save.c ------------------------------------------------------------------------------------------------ */

/* Make the set that is to be, with a new run in place of [first, first + replaced) of the one there is; and save it.
 * returns 0 a job does | EVLOG_ERR_NO_MEMORY */
int stream_save_go(struct streams *st, const struct el_index_run_info *info, uint32_t first, uint32_t replaced);
void stream_save_free(struct streams *st);

/* --- stream_merge.c ----------------------------------------------------------------------------------------------- */

/* Merge on, or begin to. */
void stream_merge_go(struct streams *st);
/* The list has its run. */
void stream_merge_saved(struct streams *st);
/* Give its inputs back. */
void stream_merge_end(struct streams *st);

/* --- stream_find.c, stream_names.c -------------------------------------------------------------------------------- */

/* Carry a question to the shard that owns the partition: run is called there; owner is filled in. Or refuse it here. */
void stream_ask(struct streams *st, struct store_op *op, const struct el_uuid *topic_id, int32_t partition,
                struct streams **owner, void (*run)(struct store_op *op));
/* At the owner: its partition when the question may be answered now, NULL when it waits or has been refused. */
struct stream_part *stream_ask_part(struct streams *st, struct store_op *op, const struct el_uuid *topic_id,
                                    int32_t partition);
/* Back to where it came from. */
void stream_ask_end(struct streams *st, struct store_op *op, int error);
/* The partition is caught up: run it again; or it ends with error. */
void stream_question_go(struct stream_part *sp, struct store_op *op, int error);
/* What a stream is at below the high watermark, by the tables: false when they have nothing of it there. */
bool stream_tables_newest(const struct stream_view *view, uint32_t slot, struct el_hash128 hash, bool of_type,
                          int64_t high_watermark, struct el_stream_entry *entry);

#endif
