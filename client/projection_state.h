/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a projection that runs. Everything belongs to the thread that runs it, but for the flag to stop.
 */
#ifndef EL_CLIENT_PROJECTION_STATE_H
#define EL_CLIENT_PROJECTION_STATE_H

#include "consumer_state.h"

#include <core/pattern.h>
#include <evlog/admin.h>
#include <evlog/producer.h>
#include <evlog/projection.h>
#include <pthread.h>

#define EL_PROJECTION_BATCH_BYTES (4u << 20) /* of events kept for one transaction, and one event */
#define EL_PROJECTION_TURN_MS 200            /* between two looks at the world */

/* One partition. */
struct el_projection_feed {
    struct evlog_projection_position saved; /* as the store has it; its topic is borrowed from the options */
    bool stored;                            /* the store has it */
    int64_t start_offset;                   /* first offset of the log, at the start */
    int64_t target_offset;                  /* end of the log, at the start */
    int32_t log_epoch;                      /* leader epoch of the log, at the start; -1 unknown */
};

/* What the present transaction makes of a partition. */
struct el_projection_step {
    bool touched;
    bool stored;          /* of a lane: it has a place of its own in the store, which is */
    int64_t saved_offset; /* this one */
    struct evlog_projection_position next;
};

/* A place that a lane of an earlier run has come to, while the checkpoint lies below. */
struct el_projection_ahead {
    uint32_t feed;
    int32_t lane, lane_count;
    int64_t next_offset;
};

enum el_projection_fate { EL_FATE_APPLY, EL_FATE_SKIP, EL_FATE_DEAD };

/* One event of a batch, copied: a transaction may have to be run again. */
struct el_projection_item {
    struct evlog_event event;
    struct evlog_event_view view;
    uint32_t feed;
    bool wanted; /* the filter takes it */
    bool done;   /* a lane has applied and committed it */
    enum el_projection_fate fate;
};

/* Who applies events: the projection itself, which moves the checkpoint, or one of its lanes, which are ahead of it. */
struct el_projection_worker {
    struct evlog_projection *projection;
    struct evlog_projection_store *store;
    int32_t lane;                      /* -1: the projection itself */
    struct el_projection_item **items; /* [item_count] of batch_room */
    uint32_t item_count;
    struct el_projection_step *steps;      /* [feed_room] */
    struct evlog_projection_move *moves;   /* [feed_room] */
    bool placing;                          /* only the places of partitions are to be stored */
    struct el_span_batches spans;          /* of this transaction */
    struct evlog_projection_counts counts; /* of a lane: of this round */
    /* of a lane, under lanes->lock */
    pthread_t thread;
    bool threaded; /* thread is there */
    bool started;  /* on_start has run on its store */
    bool working;
    int rc; /* of its last round */
    struct evlog_failure failure;
};

/* The lanes of a projection that applies in parallel. */
struct el_projection_lanes {
    struct el_projection_worker *workers; /* [count] */
    uint32_t count;                       /* 0: none */
    bool ready;                           /* lock and changed are */
    bool ending;
    int halt; /* atomic; the round is to end soon */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_mutex_t burying; /* one dead letter at a time */
};

struct evlog_projection {
    struct evlog_client *client;
    struct evlog_projection_store *store;
    struct evlog_projection_options options;
    struct evlog_projection_lease lease;
    bool claimed;
    bool started; /* on_start has run */
    bool paused;
    int stop; /* atomic */
    struct evlog_consumer consumer;
    bool reading;                     /* consumer is in use */
    struct el_projection_feed *feeds; /* [feed_count] of feed_room */
    uint32_t feed_count, feed_room;
    struct el_projection_worker self;
    struct el_projection_lanes lanes;
    struct el_projection_ahead *ahead; /* [ahead_count] */
    uint32_t ahead_count;
    /* filter */
    struct el_arena pattern_arena;
    const struct el_pattern *pattern; /* NULL: every event is wanted */
    void *pattern_scratch;
    /* batch */
    struct el_arena arena;            /* of the copies */
    struct el_projection_item *items; /* [item_room] */
    uint32_t item_room;
    uint32_t item_count;
    /* dead letters */
    struct evlog_producer *producer; /* NULL until the first */
    /* times, monotonic */
    int64_t renew_at_ns, turn_at_ns, grow_at_ns, save_at_ns;
    int64_t rate_since_ns;
    uint64_t rate_count;
    int64_t rate_milli;
    struct evlog_projection_counts counts;
    char error[EVLOG_FAILURE_TEXT_MAX]; /* that the run ended with, empty: none */
};

/* --- projection.c --- */

/* Wait, renewing the lease, until the time is over or somebody asks to stop. returns 0 | EVLOG_ERR_CONFLICT lost */
int el_projection_wait(struct evlog_projection *projection, int64_t ms, struct evlog_failure *failure);
bool el_projection_stopping(const struct evlog_projection *projection);
/* Codes that say nothing about the event whose handler returned them. */
bool el_projection_is_store_fault(int code);
/* And those that may pass. */
bool el_projection_may_pass(int code);

/* What is due now and then, wherever the run is: the lease, a pause, the caller's turn. */
int el_projection_tick(struct evlog_projection *projection, struct evlog_failure *failure);

/* --- projection_check.c --- */

/* Find out where every partition stands, in the store and in the log, and read on from there. */
int el_projection_place(struct evlog_projection *projection, struct evlog_failure *failure);
/* Partitions that a topic has got since. */
int el_projection_grow(struct evlog_projection *projection, struct evlog_failure *failure);

/* --- projection_read.c --- */

int el_projection_filter(struct evlog_projection *projection, struct evlog_failure *failure);
/* Fill the batch with what is at hand, waiting for the first event for at most timeout_ms. */
int el_projection_read(struct evlog_projection *projection, int timeout_ms, struct evlog_failure *failure);

/* --- projection_apply.c --- */

/* Apply and commit the batch, and where the reader has come without events. */
int el_projection_apply(struct evlog_projection *projection, struct evlog_failure *failure);
/* Apply and commit what a worker was given. */
int el_projection_work(struct el_projection_worker *worker, struct evlog_failure *failure);
/* Events applied just now, for the rate. */
void el_projection_measure(struct evlog_projection *projection, int64_t applied);

/* --- projection_lanes.c --- */

/* Open lanes as the options say, each with a connection and a thread of its own. */
int el_projection_lanes_open(struct evlog_projection *projection, struct evlog_failure *failure);
void el_projection_lanes_close(struct evlog_projection *projection);
/* Room for so many partitions in every worker. */
int el_projection_lanes_grow(struct evlog_projection *projection, uint32_t feed_room);
/* Let the lanes apply the batch, each the events of its keys. Those of lanes that succeed are done then. */
int el_projection_lanes_run(struct evlog_projection *projection, struct evlog_failure *failure);
/* Which of count lanes applies an event: always the same one for a key. The store remembers places of lanes, so this
 * must not change. */
int32_t el_projection_lane_of(const struct evlog_projection *projection, const struct evlog_event *event, uint32_t feed,
                              int32_t count);
/* A lane of an earlier run has committed it. */
bool el_projection_is_ahead(const struct evlog_projection *projection, const struct evlog_event *event, uint32_t feed);
/* Forget places that the checkpoint has passed. */
void el_projection_forget_ahead(struct evlog_projection *projection);

/* --- projection_dead.c --- */

/* Publish an event that was given up, and wait until it is stored. */
int el_projection_bury(struct evlog_projection *projection, const struct el_projection_item *item, const char *error,
                       struct evlog_failure *failure);

#endif
