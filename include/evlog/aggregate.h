/* SPDX-License-Identifier: Apache-2.0
 *
 * Aggregates: a state that is folded from the events of one stream, and decisions on it that are appended only if the
 * stream is still the one that was decided on.
 *
 *     static int pay(void *arg, const struct evlog_aggregate *order, struct evlog_decision *decision)
 *     {
 *         const struct order *state = evlog_aggregate_state(order);
 *         if (state->paid) {
 *             return ALREADY_PAID;
 *         }
 *         return evlog_decision_emit(decision, &(struct evlog_new_event){.type = "OrderPaid"});
 *     }
 *     ...
 *     rc = evlog_decide(client, &orders, key, &options, &appended, &failure);
 *
 * Snapshots keep a state with the version it stands for, so that loading reads the newest one that fits and the events
 * behind it. They are events of the topic NAME.snapshots, which has streams as well: the newest of a key is found
 * without a search. A snapshot counts only while the event that it stands for is the stream's: a topic that was made
 * anew has none. It is a copy of what the log says, and may be removed at any time.
 *
 * Thread safety: as stream.h; an aggregate belongs to one thread at a time, and its callbacks run on that thread inside
 * the calls. Everything that takes a client blocks. Since 1.0.
 */
#ifndef EVLOG_AGGREGATE_H
#define EVLOG_AGGREGATE_H

#include <evlog/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- the fold ----------------------------------------------------------------------------------------------------- */

/* How states of one kind are made of events. */
struct evlog_fold {
    size_t size;       /* sizeof(struct evlog_fold) */
    const char *topic; /* of the streams */
    void *arg;         /* of the callbacks */
    /* A state before the first event; NULL: no memory. */
    void *(*begin)(void *arg);
    /* Take an event in, in order of versions. Anything but 0 ends the call with that code. */
    int (*apply)(void *arg, void *state, const struct evlog_stream_event *event);
    /* Give a state back. */
    void (*end)(void *arg, void *state);
    /* Snapshots; without these two there are none. */
    int32_t schema; /* of the state: snapshots of another one do not count. Raise it whenever bytes or meaning change */
    int64_t
        snapshot_every; /* put a snapshot when so many events were read behind the newest; 0: the caller puts them */
    /* The state as bytes, valid until the next call of a callback; anything but 0: there is no snapshot this time. */
    int (*save)(void *arg, const void *state, struct evlog_bytes *bytes);
    /* A state out of bytes; NULL: they are none, and all events are read. */
    void *(*restore)(void *arg, struct evlog_bytes bytes);
};
#define EVLOG_FOLD_INIT                                                                                                \
    {                                                                                                                  \
        .size = sizeof(struct evlog_fold)                                                                              \
    }

struct evlog_aggregate;

/* Read a stream into a state.
 *
 * fold       borrowed until evlog_aggregate_close()
 * aggregate  written on success, also when there is no such stream; close with evlog_aggregate_close()
 * returns    0 | what apply returned | EVLOG_ERR_NO_MEMORY | as evlog_stream_open() and evlog_stream_next()
 */
int evlog_load(struct evlog_client *client, const struct evlog_fold *fold, struct evlog_bytes key,
               struct evlog_aggregate **aggregate, struct evlog_failure *failure);
/* Read what has come since. After a failure of apply the next call makes the state anew. returns as evlog_load() */
int evlog_aggregate_refresh(struct evlog_aggregate *aggregate, struct evlog_failure *failure);

/* The state: the fold's own, valid until the next refresh, decision or close. */
const void *evlog_aggregate_state(const struct evlog_aggregate *aggregate);
struct evlog_bytes evlog_aggregate_key(const struct evlog_aggregate *aggregate);

struct evlog_aggregate_info {
    size_t size;              /* sizeof(struct evlog_aggregate_info), set by the caller */
    int64_t version;          /* of the last event that is in the state or deletes it, -1: none */
    bool deleted, ended;      /* as struct evlog_stream_state */
    int64_t snapshot_version; /* that the state was made from, -1: none */
    int64_t read_count;       /* events read since it was loaded */
};
void evlog_aggregate_info(const struct evlog_aggregate *aggregate, struct evlog_aggregate_info *info);
void evlog_aggregate_close(struct evlog_aggregate *aggregate); /* NULL is allowed */

/* --- decisions ---------------------------------------------------------------------------------------------------- */

/* What a decision is to append. */
struct evlog_decision;

/* An event of it, in order; copied. An event without an id gets one for this decision: one that is to happen once
 * however often the decision is made takes an id that is derived from its command.
 *
 * returns  0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT | EVLOG_ERR_ARGUMENT
 */
int evlog_decision_emit(struct evlog_decision *decision, const struct evlog_new_event *event);
/* A condition on another stream of the same partition; the key is copied. returns as evlog_decision_emit() */
int evlog_decision_check(struct evlog_decision *decision, struct evlog_bytes key, int64_t expected);

/* Decide on a state. It may be called more than once, with newer states: it changes nothing but the decision.
 *
 * returns  0 append what the decision has (nothing: that is fine as well) | anything else: append nothing, and
 *          evlog_decide() returns it
 */
typedef int (*evlog_decide_fn)(void *arg, const struct evlog_aggregate *aggregate, struct evlog_decision *decision);

struct evlog_decide_options {
    size_t size; /* sizeof(struct evlog_decide_options) */
    evlog_decide_fn decide;
    void *arg;
    int32_t tries_max; /* decisions, while others append to the stream in between; 1 .. 1000 */
};
#define EVLOG_DECIDE_OPTIONS_INIT                                                                                      \
    {                                                                                                                  \
        .size = sizeof(struct evlog_decide_options), .tries_max = 10                                                   \
    }

/* Load, decide, append with the version that was decided on; again, with what has come, when another was faster.
 *
 * appended  NULL, or written as by evlog_append(); when nothing was appended, version is the state's and offset -1; the
 *           key of a conflict is null when it is about a check
 * returns   0 | what decide returned | EVLOG_ERR_WRONG_VERSION after tries_max decisions | as evlog_load() and
 *           evlog_append()
 */
int evlog_decide(struct evlog_client *client, const struct evlog_fold *fold, struct evlog_bytes key,
                 const struct evlog_decide_options *options, struct evlog_appended *appended,
                 struct evlog_failure *failure);
/* The same with a state at hand, which is kept: it is refreshed before each decision. */
int evlog_decide_on(struct evlog_aggregate *aggregate, const struct evlog_decide_options *options,
                    struct evlog_appended *appended, struct evlog_failure *failure);

/* --- snapshots ---------------------------------------------------------------------------------------------------- */

#define EVLOG_SNAPSHOT_TOPIC_SUFFIX ".snapshots"

/* Put a snapshot of the state. The topic of snapshots is made when it is not there.
 *
 * returns  0 | EVLOG_ERR_ARGUMENT the fold has no save, or the stream no events | what save returned | as
 *          evlog_append()
 */
int evlog_aggregate_snapshot(struct evlog_aggregate *aggregate, struct evlog_failure *failure);

struct evlog_snapshot {
    size_t size; /* sizeof(struct evlog_snapshot) */
    int64_t version;
    int32_t schema;
    struct evlog_bytes state;
    int64_t offset;              /* of the event that it stands for */
    struct evlog_bytes event_id; /* of that event; null: it has none */
    int64_t taken_ms;            /* when it was put */
};

/* The newest snapshot of a stream, of any schema and whether it still counts or not.
 *
 * snapshot  written on success; free with evlog_snapshot_free()
 * returns   0 | EVLOG_ERR_NOT_FOUND | as evlog_stream_open()
 */
int evlog_snapshot_get(struct evlog_client *client, const char *topic, struct evlog_bytes key,
                       const struct evlog_snapshot **snapshot, struct evlog_failure *failure);
void evlog_snapshot_free(const struct evlog_snapshot *snapshot);
/* Put one: offset and event_id must be those of the event of that version. returns as evlog_aggregate_snapshot() */
int evlog_snapshot_put(struct evlog_client *client, const char *topic, struct evlog_bytes key,
                       const struct evlog_snapshot *snapshot, struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
