/* SPDX-License-Identifier: Apache-2.0
 *
 * Projections: a state that a program keeps of a log, each event applied exactly once. What the handler writes and how
 * far it has come are committed in one transaction of the store, so a crash at any point leaves both or neither.
 *
 * 1. evlog_projection_open() claims the projection in its store (one runner at a time, by a lease), and checks where it
 *    stands against the log.
 * 2. evlog_projection_run() reads, calls the handler inside transactions of the store, and commits.
 * 3. evlog_projection_close() gives the lease back.
 *
 * Order: the events of a partition, and so of a key, are applied in the log's order; partitions have none among each
 * other. Thread safety: one thread at a time per projection and per store, but for evlog_projection_stop(). Callbacks
 * run inside the calls, on the caller's thread, but for handlers of a projection that applies in parallel. Since 1.0.
 */
#ifndef EVLOG_PROJECTION_H
#define EVLOG_PROJECTION_H

#include <evlog/client.h>
#include <evlog/event.h>
#include <evlog/seal.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVLOG_PROJECTION_NAME_MAX 128 /* bytes; letters, digits, '.', '_', '-' */
#define EVLOG_PROJECTION_ID_MAX 256   /* bytes kept of an event's id, with the NUL */
#define EVLOG_PROJECTION_WHO_MAX 128
#define EVLOG_PROJECTION_PARALLEL_MAX 64

struct evlog_projection;
struct evlog_projection_store;

/* One event as a handler gets it; valid during the call. */
struct evlog_projection_event {
    const struct evlog_event *event;
    struct evlog_bytes type; /* null when the event names none */
    struct evlog_bytes id;   /* null when the event names none */
    struct evlog_bytes data; /* the value, or the data inside a structured CloudEvents envelope */
    int64_t version;         /* 0-based number in its stream; -1: not counted, without a key, or history is missing */
    /* History: it was in the log when the projection began, or a rebuild or a comparison applies it once more. Events
     * that came while no runner was there are none: nobody has applied them yet. What a handler does outside of the
     * store, such as sending a mail, it does when this is false. */
    bool replaying;
    /* What was sealed in data, which is opened; NULL: nothing was, or the projection opens nothing itself. */
    const struct evlog_opened *opened;
};

/* Apply one event, inside a transaction of the store.
 *
 * returns  0 | EVLOG_ERR_LOCKED try the batch again later | EVLOG_ERR_DATABASE, EVLOG_ERR_UNREACHABLE the store is at
 *          fault, not the event | EVLOG_ERR_CLOSED stop | anything else: this event is at fault, see on_error
 */
typedef int (*evlog_projection_fn)(void *arg, struct evlog_projection_store *store,
                                   const struct evlog_projection_event *event, struct evlog_failure *failure);
/* A step before the first event; see the options. */
typedef int (*evlog_projection_step_fn)(void *arg, struct evlog_projection_store *store, struct evlog_failure *failure);

/* --- stores ------------------------------------------------------------------------------------------------------- */

/* How far a projection has come in one partition: its checkpoint is one of these for each. */
struct evlog_projection_position {
    const char *topic;
    uint8_t topic_id[16]; /* zero where the broker has none */
    int32_t partition;
    int32_t leader_epoch;                  /* of the last event, -1 unknown */
    int64_t next_offset;                   /* first offset that is not applied yet */
    int64_t append_time_ns;                /* of the last event, -1 unknown */
    int64_t history_offset;                /* end of the log when the projection began: before it is history */
    bool whole;                            /* read from offset 0 on, so that streams can be counted */
    char last_id[EVLOG_PROJECTION_ID_MAX]; /* id of the last event, empty: none; cut when longer */
    int32_t lane, lane_count; /* lane_count > 0: only of this lane, which is ahead of the checkpoint; for stores only */
};
typedef int (*evlog_projection_position_fn)(void *arg, const struct evlog_projection_position *position);

/* Who wants to run a projection. */
struct evlog_projection_claim {
    const char *name;
    const char *who;        /* for people: "process 17 on host db1" */
    const char *mark;       /* for evlog: tells whether that process still lives */
    const char *definition; /* what it is made of, hashed as hex; NULL: not compared */
    bool accept_change;     /* another definition than that of the last run is fine */
    int64_t lease_ms;
    evlog_projection_step_fn on_setup; /* in the claim's transaction, when the projection is new; or NULL */
    void *arg;
};
/* The right to run it. */
struct evlog_projection_lease {
    char name[EVLOG_PROJECTION_NAME_MAX + 1];
    int64_t generation; /* raised by each rebuild */
    int64_t fence;      /* raised by each claim */
    int64_t lease_ms;
    bool fresh; /* it was new */
};
/* A checkpoint that moves. */
struct evlog_projection_move {
    int64_t old_offset; /* next_offset as it was saved last, -1: never */
    bool levels;        /* places of lanes of this partition that are not ahead of it any more are to be removed */
    struct evlog_projection_position position;
};
/* What a transaction adds to the counts. */
struct evlog_projection_gain {
    int64_t applied;
    int64_t skipped;
    int64_t dead;
    int64_t rate_milli; /* events in 1000 seconds, of the last seconds; -1 unknown */
};

struct evlog_projection_row {
    char name[EVLOG_PROJECTION_NAME_MAX + 1];
    int64_t generation;
    char who[EVLOG_PROJECTION_WHO_MAX]; /* empty: nobody runs it */
    bool running;
    bool paused;
    int64_t applied, skipped, dead;
    int64_t rate_milli; /* -1 unknown */
    int64_t saved_ms;   /* since 1970, of the last commit; 0: never */
    int64_t error_ms;   /* since 1970, 0: none */
    char error[512];    /* why the last run stopped, empty when it did not fail */
    char definition[65];
};
typedef int (*evlog_projection_row_fn)(void *arg, const struct evlog_projection_row *row);

/* What a store must be able to do. Every function returns 0 or a negative code, with the text in failure. Codes that
 * mean something: EVLOG_ERR_LOCKED the database is held just now, EVLOG_ERR_CONFLICT another runner has the projection,
 * EVLOG_ERR_NOT_FOUND no such projection, EVLOG_ERR_UNREACHABLE the database is gone for now. */
struct evlog_projection_store_calls {
    size_t size;
    /* Take the lease, in a transaction of its own. CONFLICT names who has it, or tells of another definition. */
    int (*claim)(struct evlog_projection_store *store, const struct evlog_projection_claim *claim,
                 struct evlog_projection_lease *lease, struct evlog_failure *failure);
    /* Keep it, and see whether somebody has asked for a pause. CONFLICT: it is lost. */
    int (*renew)(struct evlog_projection_store *store, const struct evlog_projection_lease *lease, bool *paused,
                 struct evlog_failure *failure);
    /* Give it back; error NULL: all was well. */
    int (*release)(struct evlog_projection_store *store, const struct evlog_projection_lease *lease, const char *error,
                   struct evlog_failure *failure);
    int (*begin)(struct evlog_projection_store *store, struct evlog_failure *failure);
    /* Number of the next event of a stream, counted up; NULL: this store does not count. Inside a transaction. */
    int (*count)(struct evlog_projection_store *store, const struct evlog_projection_lease *lease,
                 const struct evlog_event *event, int64_t *version, struct evlog_failure *failure);
    /* Move the checkpoint, inside a transaction: CONFLICT when generation, fence or an old offset is another one. */
    int (*save)(struct evlog_projection_store *store, const struct evlog_projection_lease *lease,
                const struct evlog_projection_move *moves, size_t move_count, const struct evlog_projection_gain *gain,
                struct evlog_failure *failure);
    /* Until the transaction ends, what handlers write need not be waited for: a fault may be told by a later call, and
     * is looked for with a transaction that does not hurry. NULL: everything is waited for. */
    void (*hurry)(struct evlog_projection_store *store);
    /* Wait for all that was written. NULL together with hurry. */
    int (*settle)(struct evlog_projection_store *store, struct evlog_failure *failure);
    int (*commit)(struct evlog_projection_store *store, struct evlog_failure *failure);
    void (*rollback)(struct evlog_projection_store *store);
    /* Another connection to the same place, for a thread of its own; NULL: there is one writer, and nothing is applied
     * in parallel. save() and positions() then know places of lanes beside the checkpoint. */
    int (*lane)(struct evlog_projection_store *store, struct evlog_projection_store **lane,
                struct evlog_failure *failure);
    /* Tell the checkpoint, and the places of lanes, in any order. */
    int (*positions)(struct evlog_projection_store *store, const char *name, evlog_projection_position_fn fn, void *arg,
                     struct evlog_failure *failure);
    /* Tell what is known of one projection, or of all (name NULL). */
    int (*rows)(struct evlog_projection_store *store, const char *name, evlog_projection_row_fn fn, void *arg,
                struct evlog_failure *failure);
    int (*set_paused)(struct evlog_projection_store *store, const char *name, bool paused,
                      struct evlog_failure *failure);
    /* A place beside this one, for a rebuild (suffix "next") or a comparison; NULL: this store cannot. fresh: empty */
    int (*stage)(struct evlog_projection_store *store, const char *name, const char *suffix, bool fresh,
                 struct evlog_projection_store **staged, struct evlog_failure *failure);
    /* Put what the staged place holds where the live one is, in one transaction, and raise the generation. AGAIN: the
     * live one has come further meanwhile. lease: stop the live runner first, so that the next try finds it still; the
     * name is written when its lease was taken, which is to be given back if no swap follows. NULL: leave it alone */
    int (*swap)(struct evlog_projection_store *store, struct evlog_projection_store *staged, const char *name,
                struct evlog_projection_lease *lease, struct evlog_failure *failure);
    /* Compare the tables of both places; fn is told of each difference. AGAIN: the checkpoints differ. */
    int (*compare)(struct evlog_projection_store *store, struct evlog_projection_store *staged, const char *name,
                   void (*fn)(void *arg, const char *text), void *arg, struct evlog_failure *failure);
    /* Close; drop: a staged place is removed. */
    void (*close)(struct evlog_projection_store *store, bool drop);
};
struct evlog_projection_store {
    const struct evlog_projection_store_calls *calls;
};
/* Close; NULL is allowed. */
void evlog_projection_store_close(struct evlog_projection_store *store);

/* --- running ------------------------------------------------------------------------------------------------------ */

/* What becomes of an event whose handler fails, retry_max times in a row. */
enum evlog_projection_on_error {
    EVLOG_PROJECTION_STOP,        /* the run ends, in front of it */
    EVLOG_PROJECTION_SKIP,        /* counted and left out */
    EVLOG_PROJECTION_DEAD_LETTER, /* published to <topic>.<name>.dlq, then left out; there at least once */
};

struct evlog_projection_options {
    size_t size; /* sizeof(struct evlog_projection_options) */
    const char *name;
    const char *const *topics; /* [topic_count] */
    size_t topic_count;
    const char *const *filters; /* [filter_count] event patterns, of which any may match; none: every event */
    size_t filter_count;
    const char *definition;            /* hex of a hash of what it is made of; NULL: changes are not noticed */
    bool accept_change;                /* go on though the definition has changed */
    evlog_projection_step_fn on_setup; /* in the first transaction of a new projection: make tables; or NULL */
    evlog_projection_step_fn on_start; /* before the first event of a run: prepare statements; or NULL */
    evlog_projection_fn on_event;
    evlog_projection_step_fn on_end;               /* when it is closed, after on_start succeeded: undo it; or NULL */
    void *arg;                                     /* of the callbacks */
    bool count_versions;                           /* the handler wants versions: one more write an event */
    bool until_caught_up;                          /* end when what was in the log at the start is applied */
    const struct evlog_projection_position *until; /* [until_count]: apply nothing at or behind these next_offsets, and
                                                    * end there; NULL: no such end */
    size_t until_count;
    uint32_t batch_count_max; /* events of one transaction */
    uint32_t batch_ms_max;    /* time of one transaction */
    enum evlog_projection_on_error on_error;
    uint32_t retry_max;                              /* further tries of a handler that failed */
    uint32_t retry_backoff_ms, retry_backoff_max_ms; /* full jitter under a doubling bound */
    uint32_t store_patience_ms;                      /* how long a store that is locked or away is waited for */
    uint32_t lease_ms;                               /* silence after which another runner may take over */
    /* 0 or 1: one event after the other. More: events of so many keys at once, each on a thread and a connection to the
     * store of its own; what has the same key keeps its order, and the callbacks run on several threads at once. */
    uint32_t parallel;
    /* Opens sealed fields before the handler gets the event. NULL: an event with sealed ones ends the run with
     * EVLOG_ERR_SEALED, so that no ciphertext is taken for a text. Must outlive the projection. */
    struct evlog_key_store *keys;
    /* The handler has heard of erasure: it gets events with erased fields too, and looks at opened. Else such an event
     * fails with EVLOG_ERR_ERASED, and on_error says what becomes of it. */
    bool takes_erased;
    /* The handler gets data as it is, sealed or not, and opens it itself. */
    bool takes_sealed;
    /* Told a few times a second; anything but 0 ends the run with that code. May be NULL. */
    int (*on_turn)(void *arg, const struct evlog_projection *projection);
    void *turn_arg;
};
#define EVLOG_PROJECTION_OPTIONS_INIT                                                                                  \
    {                                                                                                                  \
        .size = sizeof(struct evlog_projection_options), .batch_count_max = 1000, .batch_ms_max = 500, .retry_max = 5, \
        .retry_backoff_ms = 100, .retry_backoff_max_ms = 5000, .store_patience_ms = 60000, .lease_ms = 10000           \
    }

/* Claim a projection and check where it stands. Blocks. The store is borrowed until the projection is closed.
 *
 * projection  written on success; close with evlog_projection_close() before store and client
 * returns     0 | EVLOG_ERR_CONFLICT somebody runs it (the text says who), the definition has changed, or the
 *             checkpoint is not of this log (another topic id, ahead of the log, another last event) |
 *             EVLOG_ERR_LOCKED the database was held for store_patience_ms |
 *             EVLOG_ERR_OFFSET_RANGE events that it needs are gone | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNREACHABLE |
 *             EVLOG_ERR_UNSUPPORTED the store has one writer, and parallel is more than 1 |
 *             EVLOG_ERR_ARGUMENT | what on_setup and on_start returned
 */
int evlog_projection_open(struct evlog_client *client, struct evlog_projection_store *store,
                          const struct evlog_projection_options *options, struct evlog_projection **projection,
                          struct evlog_failure *failure);
/* Apply events until there is a reason to stop. Blocks.
 *
 * returns  0 caught up, at its end, or asked to stop | EVLOG_ERR_CONFLICT the lease is lost: another runner goes on |
 *          the code of a handler that failed for good | what reading and the store return
 */
int evlog_projection_run(struct evlog_projection *projection, struct evlog_failure *failure);
/* Ask it to stop after the present transaction. Any thread, also out of a signal handler. */
void evlog_projection_stop(struct evlog_projection *projection);
/* What this run has done. */
struct evlog_projection_counts {
    uint64_t applied, skipped, dead;
    uint64_t retries;      /* handlers run again */
    uint64_t transactions; /* committed */
    uint64_t lag;          /* events of the log behind the checkpoint, as far as known */
};
void evlog_projection_counts(const struct evlog_projection *projection, struct evlog_projection_counts *counts);
/* Give the lease back and free everything. NULL is allowed. */
int evlog_projection_close(struct evlog_projection *projection, struct evlog_failure *failure);

/* Build a new generation beside the live one, from the beginning of the log, and put it in its place when it has caught
 * up. The live one runs on meanwhile and ends with EVLOG_ERR_CONFLICT at the swap. An interrupted rebuild goes on where
 * it was, unless the definition is another one. Blocks. on_setup, on_start and on_event get the store beside.
 *
 * returns  0 | EVLOG_ERR_UNSUPPORTED the store cannot | EVLOG_ERR_CONFLICT the swap would lose something | as
 *          evlog_projection_open() and evlog_projection_run()
 */
int evlog_projection_rebuild(struct evlog_client *client, struct evlog_projection_store *store,
                             const struct evlog_projection_options *options, struct evlog_failure *failure);
/* Fold the log anew up to the checkpoint, beside, and compare. Nothing of the live one is changed.
 *
 * fn       told of each difference
 * count    differences, written on success
 * returns  0 | EVLOG_ERR_AGAIN the live one does not stand still: pause it | as evlog_projection_rebuild()
 */
int evlog_projection_verify(struct evlog_client *client, struct evlog_projection_store *store,
                            const struct evlog_projection_options *options, void (*fn)(void *arg, const char *text),
                            void *arg, uint64_t *count, struct evlog_failure *failure);

/* --- looking ------------------------------------------------------------------------------------------------------ */

/* What is known of a projection, or of all of a store. */
int evlog_projection_list(struct evlog_projection_store *store, const char *name, evlog_projection_row_fn fn, void *arg,
                          struct evlog_failure *failure);
int evlog_projection_positions(struct evlog_projection_store *store, const char *name, evlog_projection_position_fn fn,
                               void *arg, struct evlog_failure *failure);
/* Ask its runner to apply nothing until it is resumed; within a second or so. returns 0 | EVLOG_ERR_NOT_FOUND */
int evlog_projection_pause(struct evlog_projection_store *store, const char *name, bool paused,
                           struct evlog_failure *failure);
/* Wait until a projection has come to a position: what an append returned can then be read in its rows. Blocks.
 *
 * position    the word that an append gave (struct evlog_appended), or TOPIC/PARTITION/OFFSET of an event
 * timeout_ms  -1: no end
 * returns     0 | EVLOG_ERR_TIMED_OUT | EVLOG_ERR_NOT_FOUND no such projection, or it does not read that topic |
 *             EVLOG_ERR_MALFORMED no position
 */
int evlog_project_wait(struct evlog_projection_store *store, const char *name, const char *position, int timeout_ms,
                       struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
