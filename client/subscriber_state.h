/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a subscriber: an engine that reads feeds, and a membership that decides which.
 *
 * Two threads share it. The internal thread owns the membership: it joins, syncs, sends heartbeats. The reader owns the
 * engine: only it adds and drops feeds, inside its own calls. What one wants of the other stands in member.task, under
 * the client's lock: the internal thread asks, the reader does it (commits, callbacks) and says so. So a partition is
 * never claimed in a join that is no longer read, and never left out of one while it still is.
 */
#ifndef EL_CLIENT_SUBSCRIBER_STATE_H
#define EL_CLIENT_SUBSCRIBER_STATE_H

#include "client_core.h"
#include "consumer_state.h"
#include "trace.h"

#include <core/sm.h>
#include <evlog/subscriber.h>
#include <wire/consumer_protocol.h>

enum el_member_state {
    EL_MEMBER_JOINING,    /* asks to be let in, or waits for the others */
    EL_MEMBER_SYNCING,    /* is in a generation, and does not know its assignment yet */
    EL_MEMBER_ADOPTING,   /* the reader shall take the assignment over */
    EL_MEMBER_STABLE,     /* reads */
    EL_MEMBER_RETREATING, /* the reader shall let partitions go before the next join */
    EL_MEMBER_FAILED,     /* the group does not take it; ends only by closing */
    EL_MEMBER_LEAVING,    /* the reader closes; LeaveGroup is on its way */
    EL_MEMBER_LEFT,       /* the internal thread no longer touches it */
    EL_MEMBER_STATE_COUNT,
};

/* What the reader shall do before the membership goes on. */
enum el_member_task {
    EL_TASK_NONE,
    EL_TASK_ADOPT,  /* read what is assigned, let the rest go */
    EL_TASK_REVOKE, /* let everything go, while commits still count */
    EL_TASK_LOSE,   /* everything is gone already */
};

struct el_member_call;

/* Partitions by topic, copied. */
struct el_partition_set {
    struct el_arena arena;
    struct el_msg_consumer_protocol_partitions *runs; /* [run_count] */
    uint32_t run_count;
};

struct el_member {
    struct el_sm sm; /* enum el_member_state */
    enum el_member_task task;
    char *id;            /* as the coordinator named it, owned; empty: not named */
    int32_t generation;  /* -1: none */
    int32_t coordinator; /* node id, -1 unknown */
    bool is_leader;
    bool rejoin;                      /* wanted as soon as the state allows it */
    bool cooperative;                 /* all strategies are */
    bool leaving;                     /* LeaveGroup was sent, and its end is waited for */
    bool poll_missed;                 /* max.poll.interval.ms was exceeded, and nobody has been told */
    int assignor;                     /* enum el_assignor agreed on, -1 none */
    struct el_member_call *pending;   /* join, sync, leave or metadata on its way, NULL */
    struct el_member_call *joined;    /* leader: the answered join whose members wait for their assignments, NULL */
    struct el_member_call *finding;   /* FindCoordinator on its way, NULL */
    struct el_member_call *heartbeat; /* on its way, NULL */
    int64_t heartbeat_at_ns;          /* next one */
    int64_t retry_at_ns;              /* of the next join or search */
    uint32_t failure_count;           /* in a row */
    struct el_partition_set assigned; /* of the last sync; the reader's while it shall adopt */
    struct el_partition_set held;     /* what the reader reads */
    uint64_t full_wanted;             /* full_count of the cluster that the first join waits for */
    uint64_t cluster_seen;            /* change_count of the cluster that was looked at last */
    uint64_t divided_hash;            /* leader: of the topics and partition counts it divided */
    uint64_t wanted_hash;             /* of the topics in the last join */
    struct el_slice *divided;         /* leader: [divided_count] topics of all members, in divided_arena */
    uint32_t divided_count;
    struct el_arena divided_arena;
    struct evlog_failure failure; /* why it failed */
    uint64_t rebalance_count;
};

/* An asynchronous commit that has ended; for the reader to tell. */
struct el_commit {
    struct el_list link; /* subscriber->commits while on its way, then subscriber->commits_done */
    struct el_call call;
    struct evlog_subscriber *subscriber; /* NULL: closed meanwhile */
    struct el_arena arena;               /* request, names, offsets */
    struct el_msg_offset_commit_request *request;
    struct evlog_partition_offset *offsets; /* [count], in the arena */
    size_t count;
    evlog_commit_fn fn;
    void *arg;
    bool automatic;
};

struct evlog_subscriber {
    struct el_list link; /* client->subscribers */
    struct evlog_client *client;
    char *group;       /* owned */
    char *instance_id; /* owned; NULL: not a static member */
    char **topics;     /* [topic_count], owned; may end in a star */
    uint32_t topic_count;
    bool has_pattern;
    evlog_rebalance_fn on_rebalance;
    evlog_commit_fn on_commit;
    void *arg;
    struct el_member member;
    /* the reader's */
    struct evlog_consumer engine;
    struct el_feed *last; /* of the event given last, while it does not count as processed; NULL */
    int64_t last_offset;
    int32_t last_epoch;
    struct el_span *handling; /* of that event, from then to the next call; NULL: not traced */
    bool in_callback;
    int64_t commit_at_ns;        /* next automatic commit */
    struct el_list commits;      /* struct el_commit on their way; lock */
    struct el_list commits_done; /* lock */
    uint32_t auto_commit_count;  /* automatic commits on their way; lock */
    uint64_t event_count;
    uint64_t commit_count; /* that succeeded */
    /* both; atomic */
    bool due;          /* the reader shall look at its tasks before the next event */
    int64_t polled_ns; /* when the reader was seen last; EL_NEVER_NS while it is inside a call */
};

/* --- subscriber_member.c: internal thread, lock held --- */

/* What a subscriber begins with. */
void el_member_init(struct evlog_subscriber *subscriber);
/* Free what the membership holds; every request has been let go. */
void el_member_destroy(struct el_member *member);
/* The coordinator says that the membership is over; keeps_id: only the generation is. */
void el_member_lost(struct evlog_subscriber *subscriber, bool keeps_id);
/* The group does not take it: said by every call from now on. */
void el_member_fail(struct evlog_subscriber *subscriber, const struct evlog_failure *why);
/* Join again later. */
void el_member_join_later(struct evlog_subscriber *subscriber);
/* The assignment of the generation has come, copied to member->assigned. */
void el_member_assigned(struct evlog_subscriber *subscriber);
/* The reader has done its task; any thread. returns 0 | EVLOG_ERR_NO_MEMORY the task stays */
int el_member_task_done(struct evlog_subscriber *subscriber, enum el_member_task task);
/* Begin to leave; any thread. */
void el_member_leave(struct evlog_subscriber *subscriber);
/* True when something is for the reader to do or to tell; any thread. */
bool el_subscriber_has_due(const struct evlog_subscriber *subscriber);
/* Set a time to try again, later with every failure in a row. */
void el_member_backoff(struct evlog_subscriber *subscriber);
/* The topics that are subscribed to, patterns replaced by what is there; ascending. returns NULL: no memory */
struct el_slice *el_member_topics(struct evlog_subscriber *subscriber, struct el_arena *arena, uint32_t *count);
/* Of topics; counts: and of their partition counts as known now. */
uint64_t el_member_hash(struct evlog_client *client, const struct el_slice *topics, uint32_t count, bool counts);

/* Replace a set by a copy of runs; names get a NUL behind them. returns 0 | EVLOG_ERR_NO_MEMORY the set is empty
 * then */
int el_partition_set_copy(struct el_partition_set *set, const struct el_msg_consumer_protocol_partitions *runs,
                          uint32_t run_count);

/* --- subscriber_calls.c: internal thread, lock held. Each returns 0 | EVLOG_ERR_NO_MEMORY --- */

int el_member_send_find(struct evlog_subscriber *subscriber);
int el_member_send_join(struct evlog_subscriber *subscriber);
int el_member_send_heartbeat(struct evlog_subscriber *subscriber);
/* LeaveGroup; waits: the membership is over when it has ended, else nobody waits for it. */
int el_member_send_leave(struct evlog_subscriber *subscriber, bool waits);
/* Let go of every request on its way; any thread. */
void el_member_detach(struct el_member *member);

/* --- subscriber_divide.c --- */

struct el_msg_join_group_response;
struct el_msg_sync_group_request;
/* The leader's work: who gets what.
 *
 * arena    takes the assignments of request
 * returns  0 | EVLOG_ERR_NO_MEMORY, EVLOG_ERR_LIMIT | EVLOG_ERR_MALFORMED a member's subscription cannot be read
 */
int el_member_divide(struct evlog_subscriber *subscriber, const struct el_msg_join_group_response *joined,
                     struct el_arena *arena, struct el_msg_sync_group_request *request);
/* The topics that members subscribe to, each once, ascending. returns NULL: no memory */
struct el_slice *el_member_topics_of_all(const struct el_msg_join_group_response *joined, struct el_arena *arena,
                                         uint32_t *count);

/* --- subscriber_handover.c: the reader --- */

/* Do what the membership asks for. returns callbacks run | negative */
int el_subscriber_handover(struct evlog_subscriber *subscriber, struct evlog_failure *failure);
/* Let all feeds go, telling why. returns callbacks run */
int el_subscriber_release(struct evlog_subscriber *subscriber, enum evlog_rebalance what);
/* Place the feeds whose offset the log does not have. returns 0 | negative */
int el_subscriber_place_astray(struct evlog_subscriber *subscriber, struct evlog_failure *failure);

/* --- subscriber_commit.c: the reader --- */

/* The event given last counts as processed. */
void el_subscriber_store_last(struct evlog_subscriber *subscriber);
/* Commit automatically when it is time. */
void el_subscriber_auto_commit(struct evlog_subscriber *subscriber);
/* Commit what is stored of these feeds, and wait. returns 0 | negative */
int el_subscriber_commit_stored(struct evlog_subscriber *subscriber, int64_t deadline_ns,
                                struct evlog_failure *failure);
/* Tell of asynchronous commits that have ended. returns callbacks run */
int el_subscriber_tell_commits(struct evlog_subscriber *subscriber);
/* Committed offsets. partitions [count]; offset -1 where there is none. */
int el_subscriber_ask_committed(struct evlog_subscriber *subscriber, struct evlog_partition_offset *partitions,
                                size_t count, struct evlog_failure *failure);
/* Let go of commits on their way and free those that have ended. Lock not held. */
void el_subscriber_detach_commits(struct evlog_subscriber *subscriber);

#endif
