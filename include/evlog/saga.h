/* SPDX-License-Identifier: Apache-2.0
 *
 * Sagas: work that takes several steps in several places, goes on after any crash, and is undone in reverse order when
 * it cannot be finished.
 *
 *     static int on_event(void *arg, const struct evlog_saga *saga, const struct evlog_saga_event *event,
 *                         struct evlog_saga_step *step, struct evlog_failure *failure)
 *     {
 *         if (is(event, "OrderPlaced")) {
 *             evlog_saga_command(step, &reserve_stock);
 *             evlog_saga_undo(step, &release_stock);
 *             return evlog_saga_timer(step, "stock", 60000);
 *         }
 *         ...
 *     }
 *     ...
 *     rc = evlog_sagas_run(client, &options, &failure);
 *
 * A saga is a stream of the topic NAME.sagas, whose key is the saga's id. Each event that it handles becomes one record
 * of that stream, with the new state, the commands, what would undo them, and the timers: all of it is stored at once,
 * if nothing else has happened to the saga meanwhile. What a record tells to publish is published exactly once, behind
 * it. An event that comes twice, by its id or its offset, is handled once. docs/sagas.md tells the idea,
 * docs/decisions/0015 why it holds. Only evlog has sagas: other brokers give EVLOG_ERR_UNSUPPORTED.
 *
 * Thread safety: every function that takes a client may be called from any thread, and blocks; a step and a saga belong
 * to one thread at a time. Handlers of different sagas run at the same time when there are several workers; of one
 * saga they may as well, and all but one are thrown away and run again: they change nothing but the step. Since 1.0.
 */
#ifndef EVLOG_SAGA_H
#define EVLOG_SAGA_H

#include <evlog/client.h>
#include <evlog/event.h>
#include <evlog/lease.h>
#include <evlog/settings.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVLOG_SAGA_NAME_MAX 128              /* bytes: letters, digits, '.', '_', '-' */
#define EVLOG_SAGA_TOPIC_SUFFIX ".sagas"     /* topic of the sagas called NAME */
#define EVLOG_SAGA_TIMER_SUFFIX ".timers"    /* topic of their timers */
#define EVLOG_SAGA_ID_HEADER "evlog-saga-id" /* of commands: which saga has sent them */
#define EVLOG_SAGA_STEP_LEN_MAX 524288u      /* bytes of all that a step holds */
#define EVLOG_SAGA_STEP_COUNT_MAX 256u       /* commands of a step; timers, and commands that undo, as well */

enum evlog_saga_status {
    EVLOG_SAGA_NEW,          /* nothing has happened yet: only handlers see it */
    EVLOG_SAGA_RUNNING,      /* waits for events */
    EVLOG_SAGA_STUCK,        /* its handler has failed for the last time: evlog_saga_retry() or evlog_saga_cancel() */
    EVLOG_SAGA_COMPENSATING, /* what was done is being undone */
    EVLOG_SAGA_COMPLETED,    /* ended well */
    EVLOG_SAGA_COMPENSATED,  /* ended, and undone */
};
/* "running" and so on. */
const char *evlog_saga_status_name(enum evlog_saga_status status);

struct evlog_saga;
struct evlog_saga_step;

/* An event as a saga gets it; valid during the call. It may come out of the saga's own stream, where it waited. */
struct evlog_saga_event {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    struct evlog_bytes key;
    struct evlog_bytes type; /* null: none */
    struct evlog_bytes id;   /* null: none */
    struct evlog_bytes data; /* null: none */
    const char *timer;       /* name of the timer that has come due; NULL: an event of a topic */
};

/* --- what a step does --------------------------------------------------------------------------------------------- */

/* An event that a saga publishes. It goes to any topic: one with streams as well, in whatever state the stream is. It
 * is published exactly once, with an id that is derived from the place of the step, and names the event behind it
 * (evlog-causation-id) and the saga (evlog-saga-id). Commands of one saga are published in the order of its steps. */
struct evlog_saga_command {
    size_t size; /* sizeof(struct evlog_saga_command) */
    const char *topic;
    struct evlog_bytes key;   /* null: the saga's id */
    const char *type;         /* ce_type; NULL: none */
    const char *content_type; /* of the data; NULL: none */
    struct evlog_bytes data;  /* null: none */
    const char
        *until; /* evlog_saga_undo(): what stands before it is undone after an event of this type; NULL: at once */
};
#define EVLOG_SAGA_COMMAND_INIT                                                                                        \
    {                                                                                                                  \
        .size = sizeof(struct evlog_saga_command)                                                                      \
    }

/* What a handler says; everything is copied. When one of these fails, the whole step does, also when the handler does
 * not look: nothing is stored, and the event is handled again.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_LIMIT more than EVLOG_SAGA_STEP_ | EVLOG_ERR_NO_MEMORY
 */
/* The state from now on: bytes that the next handler gets from evlog_saga_state(). Null data: none. */
int evlog_saga_keep(struct evlog_saga_step *step, struct evlog_bytes state);
int evlog_saga_command(struct evlog_saga_step *step, const struct evlog_saga_command *command);
/* A command that is published when the saga is undone: the newest first. Say it in the step that sends the command
 * which it undoes, and not when the answer has come: a saga may be undone in between. So who gets it must bear that
 * there is nothing to undo. */
int evlog_saga_undo(struct evlog_saga_step *step, const struct evlog_saga_command *command);
/* Call the handler with this name after a while, if the saga still runs then. A timer cannot be taken back: the state
 * says whether it still means something. */
int evlog_saga_timer(struct evlog_saga_step *step, const char *name, int64_t after_ms);
/* The saga has ended: later events are passed over. */
int evlog_saga_complete(struct evlog_saga_step *step);
/* The saga cannot be finished: undo it. The commands of this step are published before. */
int evlog_saga_fail(struct evlog_saga_step *step, const char *reason);

/* Handle an event. It may be called more than once for one event, with newer states of the saga.
 *
 * saga     as it stood before the event: its status is EVLOG_SAGA_NEW or EVLOG_SAGA_RUNNING
 * step     to be filled; left empty, an event begins no saga
 * returns  0 | anything else: it is tried again later, and after tries_max times the saga is stuck with the text of
 *          failure as the reason. Events that come for it then wait in their order
 */
typedef int (*evlog_saga_fn)(void *arg, const struct evlog_saga *saga, const struct evlog_saga_event *event,
                             struct evlog_saga_step *step, struct evlog_failure *failure);

/* Which saga an event belongs to.
 *
 * id       set to bytes that live as long as the event, 1 to 4096 of them
 * returns  1 to the one with this id | 0 to none | anything else: tried again, then a dead letter
 */
typedef int (*evlog_saga_correlate_fn)(void *arg, const struct evlog_event *event, struct evlog_bytes *id);

/* --- running ------------------------------------------------------------------------------------------------------ */

struct evlog_sagas_options {
    size_t size;                          /* sizeof(struct evlog_sagas_options) */
    const char *name;                     /* of this kind of saga: that of the work group, and of NAME.sagas */
    const char *const *topics;            /* [topic_count] whose events are handled */
    size_t topic_count;                   /* 1 or more */
    evlog_saga_correlate_fn on_correlate; /* NULL: the key is the saga's id; events without one belong to none */
    evlog_saga_fn on_event;
    void *arg;                            /* of the callbacks */
    int32_t tries_max;                    /* 1 .. 1000, of a handler that fails, with the group's backoff between */
    size_t worker_count;                  /* threads, 1 .. 1024 */
    bool until_caught_up;                 /* as for evlog_group_run(): what was there at the beginning is handled */
    const struct evlog_setting *settings; /* [setting_count] of the work group, such as retry.backoff.ms or start */
    size_t setting_count;
    bool (*on_turn)(void *arg, const struct evlog_group_counts *counts); /* false: end. NULL: run on */
    /* For tests of what a crash does: called between the writes, with "taken", "handled", "stored", "published".
     * NULL */
    void (*on_point)(void *arg, const char *point);
};
#define EVLOG_SAGAS_OPTIONS_INIT                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct evlog_sagas_options), .tries_max = 5, .worker_count = 1                                  \
    }

/* Handle events until stopped. Any number of programs may do so for one name: they share the work. The topics
 * NAME.sagas and NAME.timers are made when they are not there, with as many partitions as the first topic has; the
 * work group begins at the first event of each topic, never gives an event up, and replaces a runner that has died
 * after 6 seconds, unless the settings say otherwise. The id of an event, with its topic, key and source, tells it from
 * others; one without an id is told by its place. An event whose saga cannot be told is a dead letter in the end.
 *
 * returns  0 stopped, or caught up | EVLOG_ERR_ARGUMENT | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_POLICY NAME.sagas is
  * there
 *          and has no streams | EVLOG_ERR_UNSUPPORTED | as evlog_group_open() and evlog_group_run()
 */
int evlog_sagas_run(struct evlog_client *client, const struct evlog_sagas_options *options,
                    struct evlog_failure *failure);

/* --- looking at one ----------------------------------------------------------------------------------------------- */

struct evlog_saga_info {
    size_t size; /* sizeof(struct evlog_saga_info), set by the caller */
    struct evlog_bytes id;
    enum evlog_saga_status status;
    int64_t version;    /* of its stream, -1: new */
    int64_t step_count; /* events that it has handled, and steps of undoing */
    int64_t undo_count; /* commands that would undo it, or have not been published yet */
    int64_t wait_count; /* events that wait until it is not stuck any more */
    int64_t updated_ms; /* since 1970, of the last record; -1: none */
    const char *reason; /* why it is stuck, or was undone; "" else */
};

/* Read a saga.
 *
 * saga     written on success; close with evlog_saga_close()
 * returns  0 | EVLOG_ERR_NOT_FOUND no such saga | EVLOG_ERR_MALFORMED its stream has a record that is none | as
 *          evlog_stream_open()
 */
int evlog_saga_load(struct evlog_client *client, const char *name, struct evlog_bytes id, struct evlog_saga **saga,
                    struct evlog_failure *failure);
/* Texts and bytes live as long as the saga; handlers may ask too. */
void evlog_saga_info(const struct evlog_saga *saga, struct evlog_saga_info *info);
struct evlog_bytes evlog_saga_state(const struct evlog_saga *saga); /* null: none was kept */
void evlog_saga_close(struct evlog_saga *saga);                     /* NULL is allowed; not for a handler's */

/* Let a stuck saga go on: the event that it is stuck at is handled again, then those that wait behind it. Stores the
 * wish; a runner obeys it.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_CONFLICT it is not stuck | as evlog_append()
 */
int evlog_saga_retry(struct evlog_client *client, const char *name, struct evlog_bytes id,
                     struct evlog_failure *failure);
/* Undo a saga that runs or is stuck; events that wait are dropped. Stores the wish: no event is handled from then on,
 * and a runner undoes it.
 *
 * reason   NULL: "cancelled"
 * returns  0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_CONFLICT it is being undone, or has ended | as evlog_append()
 */
int evlog_saga_cancel(struct evlog_client *client, const char *name, struct evlog_bytes id, const char *reason,
                      struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
