/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups: the members of a group lease single events and say of each what became of it. An event that fails is
 * delivered again, and only events of its key wait for it; what cannot be done ends among the dead letters.
 *
 *     while (evlog_group_fetch(group, 100, 1000, leases, &failure) ...) {
 *         ... work on each, then
 *         evlog_group_ack(group, lease, &failure);
 *     }
 *
 * or hand the loop over to evlog_group_run() with a handler and a number of threads.
 *
 * At least once: an event is delivered again when its lease ends without an outcome, when the connection breaks, or
 * when the answer to an outcome was lost. What a group does with failures (attempts, backoff, order, dead letters) are
 * settings of the group. These are Kafka's share groups on the wire: everything here works against Apache Kafka 4.2 and
 * newer as well, where a failed event is available again at once, without a delay, and a refused one is not kept.
 *
 * Thread safety: one thread at a time fetches; every other function may be called from any thread at the same time.
 * Closing must be the last call. The client's own thread keeps the membership alive between calls, and extends leases
 * that are kept. Since 1.0.
 */
#ifndef EVLOG_LEASE_H
#define EVLOG_LEASE_H

#include <evlog/admin.h>
#include <evlog/client.h>
#include <evlog/event.h>
#include <evlog/producer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct evlog_group;

struct evlog_group_options {
    size_t size;               /* sizeof(struct evlog_group_options) */
    const char *group;         /* NULL: the setting group.id */
    const char *const *topics; /* [topic_count] names */
    size_t topic_count;
    const struct evlog_setting *settings; /* [setting_count] of the group, set before it is joined */
    size_t setting_count;
};
#define EVLOG_GROUP_OPTIONS_INIT                                                                                       \
    {                                                                                                                  \
        .size = sizeof(struct evlog_group_options)                                                                     \
    }

/* Set the group's settings, if any are given, and begin to join it. Blocks only for the settings.
 *
 * group    written on success; close with evlog_group_close() before the client
 * returns  0 | EVLOG_ERR_ARGUMENT no group, no topic | EVLOG_ERR_INVALID_TOPIC | EVLOG_ERR_INVALID_CONFIG a setting is
 *          refused | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_UNREACHABLE
 */
int evlog_group_open(struct evlog_client *client, const struct evlog_group_options *options, struct evlog_group **group,
                     struct evlog_failure *failure);

/* One event in this member's hands. The library makes it; fields are only ever added at the end. */
struct evlog_lease {
    const struct evlog_event *event; /* valid as long as the lease */
    int32_t attempt;                 /* deliveries of the event, this one counted */
};

/* Take leases on events. Blocks.
 *
 * count_max   1 .. 100000
 * timeout_ms  how long to wait for the first one; -1: until there is one; 0: what has come since the call before, which
 *             asked for it (for event loops: evlog_client_fd() is readable when something has)
 * leases      [count_max], written as far as returned; each is valid until its outcome is given, or the group closed
 * returns     leases taken, 0 or more | EVLOG_ERR_UNREACHABLE, EVLOG_ERR_TIMED_OUT for request.timeout.ms nothing works
 *             | EVLOG_ERR_GROUP_KIND a consumer group has this id | EVLOG_ERR_GROUP_FULL, EVLOG_ERR_INVALID_GROUP,
 *             EVLOG_ERR_UNSUPPORTED the broker has no work groups: told again by every call | EVLOG_ERR_CORRUPT,
 *             EVLOG_ERR_INVALID_RECORD a batch does not pass its checks; its events are given back | EVLOG_ERR_CLOSED
 */
int evlog_group_fetch(struct evlog_group *group, size_t count_max, int timeout_ms, const struct evlog_lease **leases,
                      struct evlog_failure *failure);

/* --- outcomes ---------------------------------------------------------------------------------------------------- */

enum evlog_outcome {
    EVLOG_ACK,     /* done */
    EVLOG_NACK,    /* failed: deliver again after a while, or a dead letter when no attempt is left */
    EVLOG_DEAD,    /* cannot be done: a dead letter, now */
    EVLOG_RELEASE, /* not worked on: available again at once */
};

#define EVLOG_REASON_MAX 64 /* bytes, the NUL counted; longer ones are cut */
#define EVLOG_ERROR_TEXT_MAX 256

/* What became of one lease. */
struct evlog_settlement {
    const struct evlog_lease *lease;
    enum evlog_outcome outcome;
    int64_t delay_ms;   /* EVLOG_NACK: until the next attempt; -1: as the group's settings say */
    const char *reason; /* EVLOG_NACK, EVLOG_DEAD: short, one of few, for statistics; NULL: none */
    const char *error;  /* EVLOG_NACK, EVLOG_DEAD: text of the error; NULL: none */
};

/* Give outcomes. The leases are over when this returns, whatever it returns; their events must not be used any more.
 *
 * settlements  [count]; texts are copied
 * wait         block until the broker has confirmed all of them (for as long as request.timeout.ms); else they are sent
 *              in the background, and failures only counted
 * returns      0 | the first failure: EVLOG_ERR_LEASE the lease had ended already, and the event is delivered again, to
 *              this member or another | EVLOG_ERR_IN_DOUBT, EVLOG_ERR_UNREACHABLE no answer: it may be delivered again
 */
int evlog_group_settle(struct evlog_group *group, const struct evlog_settlement *settlements, size_t count, bool wait,
                       struct evlog_failure *failure);

/* One outcome, and wait. Returns as evlog_group_settle(). */
int evlog_group_ack(struct evlog_group *group, const struct evlog_lease *lease, struct evlog_failure *failure);
int evlog_group_nack(struct evlog_group *group, const struct evlog_lease *lease, int64_t delay_ms, const char *reason,
                     const char *error, struct evlog_failure *failure);
int evlog_group_dead(struct evlog_group *group, const struct evlog_lease *lease, const char *reason, const char *error,
                     struct evlog_failure *failure);

/* Let a lease begin anew, and wait for the confirmation.
 *
 * returns  0 | EVLOG_ERR_LEASE it has ended: the event is delivered again, so what is done with it counts for nothing |
 *          EVLOG_ERR_UNSUPPORTED the broker cannot extend leases | EVLOG_ERR_UNREACHABLE
 */
int evlog_group_extend(struct evlog_group *group, const struct evlog_lease *lease, struct evlog_failure *failure);

/* Extend a lease again and again, in the background, for so long; 0: no more. */
void evlog_group_keep(struct evlog_group *group, const struct evlog_lease *lease, int64_t for_ms);

/* True while the lease is known to hold. A false one has ended, and its event is delivered again. */
bool evlog_group_holds(struct evlog_group *group, const struct evlog_lease *lease);

/* --- running ----------------------------------------------------------------------------------------------------- */

/* What a handler says of an event; it begins as EVLOG_ACK with delay_ms -1 and empty texts. */
struct evlog_result {
    enum evlog_outcome outcome;
    int64_t delay_ms;
    char reason[EVLOG_REASON_MAX];
    char error[EVLOG_ERROR_TEXT_MAX];
};

/* Work on one event. */
typedef void (*evlog_work_fn)(void *arg, const struct evlog_lease *lease, struct evlog_result *result);

/* Work on several events of one partition, in the order of their offsets.
 *
 * leases   [count]
 * results  [count]: an item that failed is marked here, and the others are done
 * whole    anything but EVLOG_ACK: the batch failed as a whole, and results do not count
 */
typedef void (*evlog_batch_fn)(void *arg, const struct evlog_lease *const *leases, size_t count,
                               struct evlog_result *results, struct evlog_result *whole);

struct evlog_group_counts {
    uint64_t acked, nacked, dead, released; /* outcomes given */
    uint64_t lost;                          /* outcomes that came too late or whose answer was lost */
    uint64_t leased;                        /* in hands now */
};

struct evlog_group_run_options {
    size_t size;            /* sizeof(struct evlog_group_run_options) */
    evlog_work_fn on_event; /* one of the two */
    evlog_batch_fn on_batch;
    void *arg;            /* of all callbacks */
    size_t worker_count;  /* threads that run handlers at the same time, 1 .. 1024 */
    size_t batch_size;    /* on_batch: most events of a call, 1 .. 10000 */
    int64_t handler_ms;   /* leases are kept for so long while their handler runs; -1: as long as it runs */
    bool bisect;          /* a batch that failed as a whole is split in two, and each half run again, without using
                               up an attempt, until the event that fails stands alone */
    bool until_caught_up; /* return when every event that was there at the beginning is done or a dead letter */
    /* Called by the thread that runs, at least five times a second; false: stop as evlog_group_stop() does. NULL */
    bool (*on_turn)(void *arg, const struct evlog_group_counts *counts);
};
#define EVLOG_GROUP_RUN_OPTIONS_INIT                                                                                   \
    {                                                                                                                  \
        .size = sizeof(struct evlog_group_run_options), .worker_count = 1, .batch_size = 100, .handler_ms = -1         \
    }

/* Lease events and run handlers on them in threads of its own until stopped. Handlers that run are waited for, and
 * their outcomes sent, before this returns; leases that no handler has begun with are released. Blocks. A broker that
 * cannot be reached is waited for without end (the client's log tells of it), unless the end is (until_caught_up).
 *
 * returns  0 stopped, or caught up | EVLOG_ERR_ARGUMENT | a failure of evlog_group_fetch() that trying again does not
 *          mend; with until_caught_up any
 */
int evlog_group_run(struct evlog_group *group, const struct evlog_group_run_options *options,
                    struct evlog_failure *failure);
/* Let evlog_group_run() end. Any thread, also a handler's. */
void evlog_group_stop(struct evlog_group *group);

/* Counts since the group was opened. */
void evlog_group_counts(struct evlog_group *group, struct evlog_group_counts *counts);

/* Close: outcomes on their way are waited for, what is leased and has no outcome is released, then the group is left.
 * All leases are invalid afterwards. Blocks for at most timeout_ms. NULL is allowed.
 *
 * timeout_ms  -1: request.timeout.ms
 * returns     0 | EVLOG_ERR_TIMED_OUT the group was not told; leases end by themselves
 */
int evlog_group_close(struct evlog_group *group, int timeout_ms, struct evlog_failure *failure);

/* --- chains of events -------------------------------------------------------------------------------------------- */

/* Headers that say where an event comes from: the id that all events of a chain have in common, and the id of the event
 * that was the immediate cause. The id of an event is its ce_id, else TOPIC/PARTITION/OFFSET. */
#define EVLOG_CORRELATION_ID "evlog-correlation-id"
#define EVLOG_CAUSATION_ID "evlog-causation-id"

/* A message with more headers than it was made with. */
struct evlog_linked_message;

/* A copy of a message that names an event as its cause: the correlation id is the cause's, or the cause's own id when
 * it begins a chain. Headers that the message has already under these names are kept.
 *
 * message  borrowed as long as linked is used
 * linked   written on success; free with evlog_linked_message_free()
 * returns  0 | EVLOG_ERR_NO_MEMORY
 */
int evlog_message_link(const struct evlog_message *message, const struct evlog_event *cause,
                       struct evlog_linked_message **linked, struct evlog_failure *failure);
const struct evlog_message *evlog_linked_message(const struct evlog_linked_message *linked);
void evlog_linked_message_free(struct evlog_linked_message *linked);

#define EVLOG_EMIT_LEN_MAX 1000000u /* bytes that one event may emit, headers and about 64 bytes each included */

/* Say that an event is to be published when this one is acknowledged. The message is linked to the event, and its ce_id
 * is replaced by one that is derived from group, topic, partition, offset, and how many were emitted for this lease
 * before: a handler that runs again emits the same ids. With any other outcome, and when the lease ends, it is
 * forgotten.
 *
 * evlog publishes it exactly once: durably decided together with the acknowledgement, whatever crashes then; a handler
 * that runs again adds nothing. It is in its topic a moment after evlog_group_settle() returns, and before the event
 * counts as done for the group's progress. An emit that may not be (no such topic, too large) fails its event with the
 * reason "emit", and that call returns why. Brokers that cannot publish with an acknowledgement (Apache Kafka): it is
 * published by evlog_group_settle() before the acknowledgement is sent, at least once; the client's log says so.
 *
 * message  copied; its topic must be given
 * returns  0 | EVLOG_ERR_ARGUMENT | EVLOG_ERR_LIMIT more than one event may emit (EVLOG_EMIT_LEN_MAX bytes, 4,096
 *          events): publish it with a producer | EVLOG_ERR_NO_MEMORY
 */
int evlog_emit(struct evlog_group *group, const struct evlog_lease *lease, const struct evlog_message *message,
               struct evlog_failure *failure);

/* What became of what was emitted, since the group was opened. */
struct evlog_emit_counts {
    size_t size;                  /* sizeof(struct evlog_emit_counts) */
    uint64_t emitted;             /* events published, or taken by the broker with an acknowledgement */
    uint64_t refused;             /* those of events that failed for it, with the reason "emit" */
    struct evlog_failure refusal; /* why the last of those were refused; code 0: none was */
};
#define EVLOG_EMIT_COUNTS_INIT                                                                                         \
    {                                                                                                                  \
        .size = sizeof(struct evlog_emit_counts), .refusal = EVLOG_FAILURE_INIT                                        \
    }
void evlog_emit_counts(struct evlog_group *group, struct evlog_emit_counts *counts);

/* --- work groups from outside ------------------------------------------------------------------------------------ */

/* Change settings of a work group, making it when there is none. Names are evlog's or Kafka's; against Apache Kafka
 * evlog's names are replaced where Kafka has the same.
 *
 * changes        [change_count]; value NULL resets
 * validate_only  check, change nothing
 * returns        0 | EVLOG_ERR_INVALID_CONFIG | EVLOG_ERR_ARGUMENT | EVLOG_ERR_UNSUPPORTED the broker is too old
 */
int evlog_group_set(struct evlog_client *client, const char *group, const struct evlog_setting *changes,
                    size_t change_count, bool validate_only, struct evlog_failure *failure);

/* Where a group stands in a partition. */
struct evlog_group_progress {
    int64_t start; /* first event that is not done, as the broker has stored it; -1: the group has not begun here */
    int64_t lag;   /* events that are not done; -1 unknown */
};

/* Ask where a group stands in a topic. Apache Kafka stores the start late: there the lag says whether all is done.
 *
 * progress  [partition_count], written on success
 * returns   0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_ARGUMENT
 */
int evlog_group_progress(struct evlog_client *client, const char *group, const char *topic,
                         struct evlog_group_progress *progress, int32_t partition_count, struct evlog_failure *failure);

/* Why a key waits in one partition. */
struct evlog_group_wait {
    int32_t partition;
    const char *state;   /* of the event at offset, such as "leased", "backoff" */
    bool parked;         /* later events of the key follow it to the dead letters until the key is released */
    int32_t attempt;     /* deliveries of the event */
    int64_t offset;      /* event that the others wait for, -1 none */
    int64_t due_ms;      /* until its lease or its wait ends, -1 no end */
    uint64_t behind;     /* events of the key behind it */
    const char *message; /* what keeps it from going on, where there is more to say; "" nothing */
};
struct evlog_group_waits {
    const struct evlog_group_wait *waits; /* [wait_count]; none: the key does not wait */
    size_t wait_count;
};

/* Ask evlog why events of a key are not delivered.
 *
 * partition  -1: all
 * waits      written on success; free with evlog_group_waits_free()
 * returns    0 | EVLOG_ERR_UNSUPPORTED the broker is not evlog | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_GROUP_NOT_FOUND
 */
int evlog_group_why(struct evlog_client *client, const char *group, const char *topic, int32_t partition,
                    struct evlog_bytes key, struct evlog_group_waits **waits, struct evlog_failure *failure);
void evlog_group_waits_free(struct evlog_group_waits *waits);

/* A partition of which a group is given nothing: an event of it has failed for the last time (on.exhausted=halt). */
struct evlog_group_halt {
    const char *topic;
    int32_t partition;
    int64_t offset; /* of that event */
};
struct evlog_group_halts {
    const struct evlog_group_halt *halts; /* [halt_count] topic by topic */
    size_t halt_count;
};

/* Ask evlog which partitions a work group has halted. After a start of the broker a halt is known again when a worker
 * has asked for events.
 *
 * halts    written on success; free with evlog_group_halts_free()
 * returns  0 | EVLOG_ERR_UNSUPPORTED the broker is not evlog | EVLOG_ERR_GROUP_NOT_FOUND
 */
int evlog_group_halts(struct evlog_client *client, const char *group, struct evlog_group_halts **halts,
                      struct evlog_failure *failure);
void evlog_group_halts_free(struct evlog_group_halts *halts);

/* Let partitions of a topic go on that a work group has halted (on.exhausted=halt): the event that failed is tried
 * anew, with all its attempts.
 *
 * returns  0 | EVLOG_ERR_NOT_FOUND nothing halts there | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_UNSUPPORTED
 */
int evlog_group_go_on(struct evlog_client *client, const char *group, const char *topic, int32_t partition,
                      struct evlog_failure *failure);

#ifdef __cplusplus
}
#endif
#endif
