/* SPDX-License-Identifier: Apache-2.0
 *
 * What the archiver is made of. Private to broker/archive.
 *
 * A round: the root maker takes a cut and tells every shard (archiver_round.c). Each fills *loads* with what is durable
 * and in no object yet, and has each built and put by a job (archive_object.c), at most ROUND_OBJECTS_MAX of them. When
 * all have told what they put, a job makes the manifest, keeps it on this disk, puts it and what belongs to it
 * (archive_make.c); then the shards are told how far the archive reaches, and which bundles are to become segments.
 *
 * Threads: struct archiver belongs to its shard, struct archive to shard 0 but for what is marked; a struct
 * archive_ledger, and whatever else comes from the heap, to the job that runs. Between two threads things go by
 * messages and by jobs alone.
 */
#ifndef EL_ARCHIVE_ARCHIVER_STATE_H
#define EL_ARCHIVE_ARCHIVER_STATE_H

#include <archive/archive.h>
#include <archive/archive_ledger.h>
#include <core/pool.h>
#include <core/sm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <storage/tier.h>

#define ARCHIVER_MAGIC OBJ_MAGIC('A', 'R', 'C', 'H')
#define ROUND_OBJECTS_MAX 8u /* a shard puts so many in a round */
#define LOADS 2u             /* one is filled while the other is put */

/* A partition that this shard owns. */
struct archive_part {
    struct archiver *ar;
    struct partition *part; /* NULL: deleted */
    struct el_uuid topic_id;
    int32_t number;
    struct el_list link;      /* ar->parts */
    struct el_list todo_link; /* ar->dirty, ->big or ->small, or in none of them */
    int64_t next;             /* first offset that is in no object, nor in a gap */
    int64_t object_end;       /* behind the last batch that is in one */
    int64_t signed_end;       /* behind the last that a root covers */
    uint64_t leaf;            /* number of the next batch */
    int64_t goal;             /* end of what the cut covers */
    int64_t log_start;        /* as the last manifest has it */
    bool unreadable;          /* said in the log */
    bool held;                /* a read is under way: freed behind it */
};

/* What a shard's reading job is told. */
struct archive_read_job {
    const struct archive_config *cfg;
    struct el_uuid incarnation; /* this disk's */
    uint64_t sequence;          /* of the last root that was put; one that is older says too little */
    struct el_uuid parent;      /* that it continues, while it has no root; zero: none */
    uint64_t parent_sequence;
    struct tier_read *read;    /* NULL: the job is not running */
    struct archive_cold *cold; /* the job's, on the heap */
    uint64_t missing;          /* out: hash of what is said of an object that a root covers and that is not there, or is
                                * another; 0 none */
    uint64_t missing_told;     /* of what was said last */
    uint64_t memory_len;       /* out: of what it keeps, bytes */
};

enum load_state { LOAD_FREE, LOAD_OPENING, LOAD_FILLING, LOAD_PUTTING, LOAD_WAITING, LOAD_STATES };

/* One object in the making. */
struct archive_load {
    struct archiver *ar;
    struct el_sm sm;
    struct archive_pack_job pack; /* what its job is told */
    uint8_t *buf; /* of the buddy: batches from the front, their entries from the back; NULL of a task */
    size_t buf_len;
    size_t touch_len;        /* of buf, that a job makes present */
    struct load_part *parts; /* of the buddy, the same */
    struct io_op job;
    struct io_timer retry;
    uint32_t tries;
};

/* What the root maker asks of a shard. */
enum archiver_order {
    ORDER_TELL,      /* take what the archive has */
    ORDER_ROUND,     /* put what is new */
    ORDER_HEAL_LOOK, /* compare with what the archive has */
    ORDER_HEAL,      /* bring it back */
};

struct archiver {
    uint32_t magic;
    uint32_t index;
    struct archive *archive;
    struct store_shard *shard;
    struct io *io;
    struct el_buddy *buddy;
    struct metrics *metrics;
    struct store_tier tier;
    struct el_pool part_pool;
    struct el_list parts; /* all */
    struct el_list dirty; /* may have something that no root covers */
    struct el_list big;   /* in this round: enough for an object of their own */
    struct el_list small; /* in this round: the others */
    uint64_t bundle_next; /* sequence of the next bundle */
    size_t load_len;      /* bytes of a load's buffer */
    bool known;           /* the archive has said what it has */
    bool walk_again;      /* storage was not told of a partition yet */
    bool unentered;       /* for want of memory one is in no list */
    bool ended;           /* no more rounds */
    bool refused;         /* the store did not take the object that was put last */
    bool needs;           /* and will not before somebody acts */
    char refusal[256];    /* why, under fail_lock; "" */
    bool readable;        /* ended: what this disk's incarnation is, is known all the same */
    bool leaving;         /* the process stops: reads are answered, and not begun */
    /* the round */
    bool in_round;
    bool more;        /* something was left for the next one */
    bool reached;     /* everything below the goals is in objects */
    bool looping;     /* archiver_round_go() is on the stack */
    bool marks_left;  /* of the redaction, and in no object yet */
    uint32_t objects; /* made or begun */
    struct archive_load loads[LOADS];
    struct archive_load *filling; /* NULL none */
    struct archive_part *reading; /* NULL none */
    size_t grow_len;              /* of the next load, for a batch larger than load_len; 0 */
    uint32_t task_next;           /* of the shard's own */
    struct read_op read;
    bool from_disk;                 /* the last read */
    struct io_timer go_timer;       /* armed from a read to the next step */
    struct archive_result *results; /* of loads that were put */
    struct archive_move *moves;     /* of the buddy: log starts that moved, or NULL */
    uint32_t move_count;
    uint64_t moves_ns;         /* when they were looked for */
    struct archive_told told;  /* of the last round; its memory is the ledger's */
    struct archive_heal *heal; /* of the buddy, while this disk is healed; NULL */
    struct io_timer heal_timer;
    uint32_t heal_due;        /* partitions that are behind */
    bool heal_catalogue;      /* and so is the catalogue */
    bool heal_only_catalogue; /* it comes first */
    struct io_timer hold_timer;
    bool holds; /* appends wait */
    bool older; /* archiving ends before it began, for this disk is older than what told says */
    /* to and from the root maker */
    enum archiver_order order;
    struct io_message to_shard, to_root, want, end;
    bool want_sent;
    struct io_timer look_timer;
    /* reads for storage */
    uint32_t reads;           /* waiting or under way */
    struct el_list read_list; /* struct tier_read: they wait */
    struct archive_read_job cold_job;
    uint64_t cold_ns; /* monotonic: when a read ended last */
    /* memory, archive_memory.c */
    uint64_t ledger_share;  /* of the ledger, that this shard is charged with, bytes */
    uint64_t cold_len;      /* of what the reading jobs keep, bytes */
    struct el_list charges; /* blocks of the buddy */
    uint64_t charged_len;   /* their bytes */
    bool uncharged;         /* there was no memory for some of it */
    bool cold_stale;        /* what it keeps is not to be used any more: something was redacted */
    struct io_op cold_op;
    struct io_message kick;
    bool kicked;
};

enum root_state {
    ROOT_NEW,     /* not started */
    ROOT_BEGIN,   /* a job reads what the bucket has */
    ROOT_PAUSE,   /* it failed and is tried again */
    ROOT_HEAL,    /* this disk is older: archive_heal_root.c */
    ROOT_TELL,    /* shards take what the archive has of them */
    ROOT_IDLE,    /* until the timer, or somebody wants a round */
    ROOT_CUT,     /* the clock is raised on all shards */
    ROOT_COLLECT, /* shards put objects */
    ROOT_MAKE,    /* a job makes and puts the manifest */
    ROOT_AGAIN,   /* it failed and is tried again */
    ROOT_SWEEP,   /* a job looks for orphans */
    ROOT_ENDED,   /* stopped, or for good */
    ROOT_STATES
};

/* What others are told of a disk that is older than what was signed. */
enum behind { BEHIND_NOT, BEHIND_WAITS, BEHIND_HEALS };

enum heal_stage { HEAL_LOOKS, HEAL_FETCHES, HEAL_ADOPTS, HEAL_DONE };

struct archive {
    struct archive_config cfg;
    struct store *store;
    uint32_t shard_count;
    struct archiver *shards; /* [shard_count] */
    struct io *io;           /* of shard 0 */
    struct metrics *metrics; /* of shard 0 */
    struct el_sm sm;
    struct archive_ledger *ledger; /* the job's; between jobs nobody's */
    struct archive_begin_job begin;
    struct archive_make_job make;
    struct archive_adopt_job adopt;
    enum heal_stage heal_stage;
    bool heal_catalogue;
    struct archive_sweep_job sweep;
    bool rooted;            /* a root was put in this process */
    uint64_t aged_ns;       /* monotonic: the last look for what is too old */
    bool sweeping;          /* a sweep is not over: the next pass is behind the next root */
    uint64_t swept_ns;      /* monotonic: when the last one ended, or this began */
    uint64_t sweeps;        /* that ended */
    _Atomic bool sweep_end; /* a pass is to end soon */
    struct io_op job;
    bool job_busy, cutting;
    struct io_timer timer; /* next round, or next try */
    struct io_timer deadline;
    struct cut_op cut;
    bool new_goal;        /* of the round: shards take new goals, for a cut was made */
    bool moves_due;       /* of the round: somebody waits for it, and log starts are in it too */
    bool goal_open;       /* not all have reached theirs */
    uint64_t goal_ns;     /* the cut that they come of */
    uint64_t complete_ns; /* what the last root says */
    uint64_t root_ms;
    uint64_t sequence;
    uint64_t object_count, object_len, replaced_count;
    uint64_t ledger_len;   /* bytes on the heap */
    uint64_t manifest_len; /* of a full manifest, about */
    uint64_t began_ns;     /* monotonic: the last round */
    uint64_t goals;        /* taken so far; all but an open one are reached */
    uint32_t waiting;      /* shards that have not answered */
    uint32_t tries;
    bool wanted; /* a round is to begin at once */
    bool more;   /* the last one left something */
    bool stopping;
    uint32_t stop_rounds;
    struct el_list asks; /* struct archive_ask: they wait for a round */
    bool seal;
    uint32_t seal_idle; /* rounds since the last that put something, while sealing */
    struct el_uuid seal_topic;
    struct archive_redact_ask *redaction;       /* that is asked for, NULL none */
    bool redacting;                             /* in this round */
    struct archive_redaction_job redaction_job; /* what the job is told of it */
    uint64_t catalogue_digest;                  /* of what the last manifest was told of */
    char last_error[256];                       /* of the object store; "" */
    /* other threads read these */
    _Atomic bool failed;
    _Atomic bool full;   /* nothing new is archived for want of memory; of shards' rounds: set before they are told */
    char full_text[256]; /* why; shard 0's own */
    _Atomic bool healed;
    _Atomic bool asked;
    _Atomic int needs_count;             /* of shards and root that wait until somebody acts */
    bool needs;                          /* the root does */
    _Atomic int behind_shown;            /* enum behind */
    char failed_text[EL_ERROR_TEXT_MAX]; /* before failed is set; not changed again */
    pthread_mutex_t fail_lock;
    uint64_t made_ns; /* append clock */
    _Atomic uint64_t complete_shown_ns;
    _Atomic uint64_t kept_ns; /* as complete_shown_ns, of what this disk has signed, while the store says nothing */
    _Atomic uint64_t sequence_shown; /* of the last root */
    _Atomic uint64_t missing_ns;     /* append clock: when an object was missed last; 0 never */
};

/* --- archiver.c: of a shard --------------------------------------------------------------------------------------- */

void archiver_init(struct archive *a, uint32_t index);
void archiver_timers_cancel(struct archiver *ar);
void archiver_destroy(struct archiver *ar);
void archiver_part_free(struct archive_part *ap);
/* Enter partitions that are not; where there is no memory for it, unentered is set. */
void archiver_walk(struct archiver *ar);
/* The root maker is to begin a round. */
void archiver_want(struct archiver *ar);
/* Send an order; the one before has been answered. */
void archiver_order(struct archiver *ar, enum archiver_order order);
/* It is carried out. */
void archiver_answer(struct archiver *ar);
/* No more rounds: what is under way ends. From shard 0. */
void archiver_end(struct archiver *ar);

/* --- archive_memory.c --------------------------------------------------------------------------------------------- */

/* On the shard: what the ledger and its reader take is charged to its memory, or is not any more. */
void archive_memory_charge(struct archiver *ar);
/* All of it is given back. */
void archive_memory_release(struct archiver *ar);
/* On the shard, now and then: a reader that nobody uses is closed. */
void archive_memory_idle(struct archiver *ar);
/* On shard 0, when all shards were told of a root: may anything new be archived? */
void archive_memory_look(struct archive *a);

/* --- archiver_round.c --------------------------------------------------------------------------------------------- */

void archiver_round_begin(struct archiver *ar);
/* Whatever can go on does. */
void archiver_round_go(struct archiver *ar);
void archiver_on_go(struct io_timer *timer);
void archiver_load_init(struct archiver *ar, struct archive_load *load);
/* The archiver has ended: drop what no job has. */
void archiver_loads_stop(struct archiver *ar);
bool archiver_loads_idle(const struct archiver *ar);

/* --- archive_root.c: on shard 0 ----------------------------------------------------------------------------------- */

extern const struct el_sm_table archive_root_sm;
void archive_root_init(struct archive *a);
void archive_root_start(struct archive *a);
void archive_root_want(struct archive *a);
void archive_root_stop(struct archive *a, uint64_t deadline_ns);
bool archive_root_idle(const struct archive *a);
/* A shard has carried out its order. */
void archive_root_answered(struct archive *a, struct archiver *ar);
/* archive_root_redact.c: a round begins; its manifest is put; there are no more rounds. */
void archive_root_redact_begin(struct archive *a);
void archive_root_redact_made(struct archive *a);
void archive_root_redact_end(struct archive *a);
/* Since when everything is in the archive, or this broker runs. Any thread. */
uint64_t archive_lag_ns(const struct archive *archive);
/* A call to the store ended with this code: does it, or does it not any more, wait until somebody acts?
 *
 * metrics  of the thread that calls
 * needs    its own; kept here
 */
void archive_needs(struct archive *archive, struct metrics *metrics, bool *needs, int code);
/* The store took an object of the shard's (0, NULL), or did not, and says why. The shard's thread. */
void archive_refused(struct archiver *ar, int code, const char *why);
/* What the store says that keeps archiving, "" nothing. Shard 0. */
void archive_trouble(struct archive *archive, char *text, size_t text_len);
/* Archiving ends for good, and this is why. Any shard's thread. */
void archive_fail(struct archive *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Monotonic ns until the try after so many that failed. */
uint64_t archive_backoff_ns(struct archive *a, struct io *io, uint32_t tries, int code);
/* Will it help to try again? */
bool archive_retriable(int code);

/* What the store has is asked; archiving ends; a job failed: it is tried again from a state, or that is the end. */
void archive_root_begin(struct archive *a);
void archive_root_end(struct archive *a);
void archive_root_again(struct archive *a, int code, const struct el_error *err, enum root_state state);

/* --- archive_heal_root.c: on shard 0 ------------------------------------------------------------------------------ */

void archive_root_news(struct archive *a);
void archive_heal_begin(struct archive *a);
void archive_heal_answered(struct archive *a);
void archive_heal_adopt(struct archive *a);

/* --- archive_heal.c: of a shard ----------------------------------------------------------------------------------- */

/* The orders. */
void archiver_heal_look(struct archiver *ar);
void archiver_heal(struct archiver *ar);
/* The archiver has ended: what waits is answered. */
void archiver_heal_stop(struct archiver *ar);

/* --- archive_read.c ----------------------------------------------------------------------------------------------- */

void archive_read_begin(void *arg, struct tier_read *read);
/* What the archive has is known now, the archiver has ended, or the process stops: questions that wait go on, or are
 * answered. */
void archive_reads_go(struct archiver *ar);
/* The same, not from inside of the call. */
void archive_reads_kick(struct archiver *ar);
/* What the shard's job is to know but for the read. */
void archive_read_job_fill(struct archiver *ar);
/* The job; arg: a struct archive_read_job. */
int64_t archive_read_job_run(struct disk *disk, void *arg);
void archive_cold_free(struct archive_cold *cold); /* NULL is passed through */
/* Let go of what was kept, now or when the job that uses it ends. */
void archive_cold_forget(struct archiver *ar);

#endif
