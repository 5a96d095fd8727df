/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a member of a work group. Everything is guarded by the client's lock.
 *
 * The internal thread owns the membership (lease_member.c: who coordinates, heartbeats, what is assigned) and one share
 * session per node (lease_session.c: fetches and outcomes on their way). The caller's threads take answers apart
 * (lease_events.c) and give outcomes (lease.c). A lease belongs to the session that it came by: when the session is
 * lost, it is over, and its number is not the session's any more.
 */
#ifndef EL_CLIENT_LEASE_STATE_H
#define EL_CLIENT_LEASE_STATE_H

#include "client_core.h"
#include "trace.h"

#include <core/sm.h>
#include <evlog/lease.h>
#include <wire/msg_ext_lease_outcome.h>
#include <wire/msg_find_coordinator.h>
#include <wire/msg_share_acknowledge.h>
#include <wire/msg_share_fetch.h>
#include <wire/msg_share_group_heartbeat.h>

enum el_group_state {
    EL_GROUP_JOINING,  /* no member (any more): asks to be let in */
    EL_GROUP_STABLE,   /* a member */
    EL_GROUP_FAILED,   /* the group does not take it; ends only by closing */
    EL_GROUP_DRAINING, /* closes: outcomes on their way are waited for */
    EL_GROUP_LEAVING,  /* sessions are closed, then the group is told */
    EL_GROUP_LEFT,     /* the internal thread no longer touches it */
    EL_GROUP_STATE_COUNT,
};

/* A partition that the member leases from, or has leases of. */
struct el_lease_source {
    struct el_list link; /* group->sources */
    struct el_uuid topic_id;
    int32_t partition;
    bool assigned;      /* by the last assignment */
    uint64_t listed;    /* number of the session that has it, 0 none */
    uint32_t use_count; /* leases and outcomes that point here */
    char *topic;        /* owned; NULL: the name is not known yet */
};

/* As on the wire of LeaseOutcome; ShareAcknowledge has all but the last. */
enum el_outcome_kind {
    EL_OUTCOME_GAP,
    EL_OUTCOME_ACCEPT,
    EL_OUTCOME_RELEASE,
    EL_OUTCOME_REJECT,
    EL_OUTCOME_EXTEND,
    EL_OUTCOME_FAIL,
};

/* Somebody who waits for outcomes to be confirmed. */
struct el_outcome_wait {
    uint32_t left;
    struct evlog_failure failure; /* the first one */
};

struct el_lease;

/* Something that the broker is to be told about a range of offsets. */
struct el_outcome {
    struct el_list link; /* session->outcomes, call->outcomes, or in no list */
    struct el_lease_source *source;
    struct el_lease *lease; /* NULL: a range without events, freed with its end */
    struct el_outcome_wait *wait;
    int64_t first, last; /* inclusive */
    int64_t delay_ms;
    char *reason, *error; /* owned, NULL none */
    enum el_outcome_kind kind;
    bool queued; /* in session->outcomes */
    bool alone;  /* was refused together with others: sent by itself */
};

/* An event that is published with the acknowledgement of its lease: a copy, one block. */
struct el_emit {
    struct el_list link; /* lease->emits */
    struct evlog_message message;
};
#define EL_EMIT_VERSION_MIN 1 /* of LeaseOutcome */

struct el_lease {
    struct evlog_lease lease;
    struct el_list link; /* group->ready, ->held or ->settling */
    struct el_lease_session *session;
    uint64_t session_number;
    struct el_lease_source *source;
    struct el_outcome outcome;   /* the end of the lease */
    struct el_outcome extension; /* while extending */
    bool extending;
    bool over;             /* the broker has said so */
    int64_t lease_ns;      /* length of the lease */
    int64_t deadline_ns;   /* its end, unless it is extended */
    int64_t keep_until_ns; /* extend until then, 0: do not */
    struct el_list emits;  /* struct el_emit */
    uint32_t emit_count;
    size_t emit_len;                   /* of them, about, as they are sent */
    struct el_span *handling;          /* from fetch to outcome; NULL: not traced, or over */
    struct el_span *settling;          /* from outcome to its confirmation; NULL */
    struct evlog_failure emit_failure; /* why they could not be published before the acknowledgement; code 0 */
    struct evlog_event event;
    struct evlog_header headers[]; /* [event.header_count], then the bytes */
};

/* Requests to one node: an epoch counts them, so they are sent in order over one connection. */
struct el_lease_session {
    struct el_list link; /* group->sessions */
    int32_t node_id;
    int32_t epoch;                  /* of the next request, 0: opens */
    uint64_t number;                /* changes when the session is lost */
    struct el_lease_call *fetching; /* ShareFetch on its way, NULL */
    struct el_lease_call *telling;  /* outcomes, or the close, on their way, NULL */
    struct el_list outcomes;        /* struct el_outcome to be sent */
    int64_t retry_at_ns;
    uint32_t failure_count; /* in a row */
};

/* A request on its way, or a fetch's answer that nobody has read. */
struct el_lease_call {
    struct el_list link; /* group->calls or group->answers */
    struct el_call call;
    struct evlog_group *group;        /* NULL: closed meanwhile */
    struct el_lease_session *session; /* NULL: of the membership */
    uint64_t session_number;
    struct el_lease_call **place; /* where it is kept, NULL nowhere */
    struct el_list outcomes;      /* struct el_outcome that it tells */
    int64_t sent_ns;              /* monotonic */
    int64_t arrived_ns;           /* of an answer, the same */
    struct el_arena arena;        /* of the request */
    union {
        struct el_msg_find_coordinator_request find;
        struct el_msg_share_group_heartbeat_request heartbeat;
        struct el_msg_share_fetch_request fetch;
        struct el_msg_share_acknowledge_request acknowledge;
        struct el_msg_ext_lease_outcome_request outcome;
    } request;
    struct el_msg_share_fetch_response fetched;
};

struct evlog_group {
    struct el_list link; /* client->groups */
    struct evlog_client *client;
    char *name;    /* owned */
    char **topics; /* [topic_count], owned */
    uint32_t topic_count;
    uint32_t lane; /* of the membership; sessions use the next one */
    struct el_sm sm;
    struct evlog_failure failure; /* why it failed */
    /* membership */
    char member_id[24];
    int32_t epoch;       /* of the member, 0: joins */
    int32_t coordinator; /* node id, -1 unknown */
    struct el_lease_call *finding, *beating;
    int64_t beat_at_ns; /* next heartbeat */
    int64_t retry_at_ns;
    uint32_t failure_count; /* in a row */
    bool leave_sent;
    struct el_list sources; /* struct el_lease_source */
    /* sessions */
    struct el_list sessions; /* struct el_lease_session */
    uint64_t session_next;   /* number for the next one */
    struct el_list calls;    /* struct el_lease_call on their way */
    struct el_list answers;  /* struct el_lease_call that hold leases */
    /* leases */
    struct el_list ready;    /* struct el_lease that nobody has taken */
    struct el_list held;     /* in the caller's hands */
    struct el_list settling; /* outcome given, not confirmed */
    int64_t keep_at_ns;      /* when to look at leases that are kept */
    /* what the reader wants */
    uint32_t wanted_count;   /* leases, 0: none */
    int64_t wanted_until_ns; /* how long */
    int64_t trouble_ns;      /* since when nothing works, 0: all is well */
    struct evlog_failure trouble;
    struct evlog_group_counts counts;
    struct evlog_emit_counts emits;
    bool stopping;                   /* evlog_group_run() shall end; atomic */
    struct evlog_producer *producer; /* of emits, for brokers that do not publish them; NULL none */
    uint8_t *scratch;                /* [scratch_len] decompressed records, the reader's */
    size_t scratch_len;
};

/* --- lease_member.c: internal thread ------------------------------------------------------------------------------ */

void el_group_init(struct evlog_group *group);
/* The group does not take this member: said by every call from now on. */
void el_group_fail(struct evlog_group *group, const struct evlog_failure *why);
/* Something does not work, and is tried again; NULL: it works. */
void el_group_trouble(struct evlog_group *group, const struct evlog_failure *why);
/* Begin to close; any thread. */
void el_group_leave(struct evlog_group *group);
static inline enum el_group_state el_group_state(const struct evlog_group *group)
{
    return (enum el_group_state)group->sm.state;
}
/* Leases are asked for and kept. */
static inline bool el_group_works(const struct evlog_group *group)
{
    return group->sm.state == EL_GROUP_JOINING || group->sm.state == EL_GROUP_STABLE;
}
/* True when the reader has something to take or to be told; any thread. */
bool el_group_has_due(const struct evlog_group *group);

/* Prepare a request to the membership's or a session's connection. returns NULL: no memory */
struct el_lease_call *el_lease_call_new(struct evlog_group *group, struct el_lease_session *session,
                                        enum el_api_key api, el_call_fn on_done);
void el_lease_call_free(struct el_lease_call *its);
/* Send it, and keep it in *place. */
void el_lease_call_submit(struct el_lease_call *its, struct el_lease_call **place);
/* It has ended: take it out of lists. returns false when nobody wants its answer; it is freed then */
bool el_lease_call_arrived(struct el_lease_call *its);
/* Let go of every request on its way; any thread. */
void el_lease_calls_detach(struct evlog_group *group);

/* --- lease_session.c: internal thread ----------------------------------------------------------------------------- */

/* Open, fetch, tell outcomes, extend what is kept; lowers *until_ns. */
void el_lease_sessions_turn(struct evlog_group *group, int64_t now_ns, int64_t *until_ns);
/* Close the sessions. returns true when all are closed */
bool el_lease_sessions_close(struct evlog_group *group);
/* Nothing is to be told any more; any thread. */
bool el_lease_sessions_quiet(const struct evlog_group *group);
/* The session is gone, and with it its leases. */
void el_lease_session_lost(struct evlog_group *group, struct el_lease_session *session,
                           const struct evlog_failure *why);

/* --- lease_outcome.c: internal thread but for queue --------------------------------------------------------------- */

/* Give an outcome to its session; any thread. When the session is gone it ends at once. */
void el_outcome_queue(struct evlog_group *group, struct el_lease_session *session, uint64_t session_number,
                      struct el_outcome *outcome);
/* Take it back: it is in session->outcomes. */
static inline void el_outcome_unqueue(struct el_outcome *outcome)
{
    el_list_remove(&outcome->link);
    outcome->queued = false;
}
/* Reason and error of a settlement, copied. */
void el_outcome_texts(struct el_outcome *outcome, const struct evlog_settlement *settlement);
/* The end of an outcome: confirmed (failure NULL), or not. Frees a lease whose end it was. */
void el_outcome_end(struct evlog_group *group, struct el_outcome *outcome, const struct evlog_failure *failure);
/* Send what waits. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_outcomes_send(struct evlog_group *group, struct el_lease_session *session);
/* The next epoch of a session. */
int32_t el_lease_session_epoch(struct el_lease_session *session);

/* --- lease_events.c: the reader, lock not held -------------------------------------------------------------------- */

/* Turn answers into leases in group->ready. returns 0 | negative: a batch could not be read */
int el_lease_take_answers(struct evlog_group *group, struct evlog_failure *failure);

/* --- lease_link.c, lease_emit.c ----------------------------------------------------------------------------------- */

/* A copy with the cause's ids; event_id: replaces the message's own, NULL: none does; span: what it is traced below,
 * NULL: what the cause is. returns NULL: no memory */
struct evlog_linked_message *el_message_link(const struct evlog_message *message, const struct evlog_event *cause,
                                             const char *event_id, const struct evlog_trace_context *span);
/* What was emitted is forgotten; lock held, or the lease is the caller's. */
void el_emits_free(struct el_lease *lease);
/* The event is about to be acknowledged, by the caller's thread, lock not held: where the broker does not publish what
 * it has emitted, that is done now; emit_failure says when it could not be. */
void el_emits_prepare(struct evlog_group *group, struct el_lease *lease);
/* Count what the lease emits as refused. Lock held. */
void el_emits_refused(struct evlog_group *group, const struct el_lease *lease, const struct evlog_failure *why);
/* Copy a lease's emits into a request. returns false: no memory */
bool el_emits_fill(struct el_arena *arena, const struct el_lease *lease, struct el_msg_ext_lease_outcome_range *range);

/* --- lease.c ------------------------------------------------------------------------------------------------------ */

/* Free a lease that is in no list of outcomes; lock held. */
void el_lease_free(struct el_lease *lease);
/* It has ended for what is known here. */
static inline bool el_lease_is_over(const struct el_lease *lease)
{
    return lease->over || lease->session_number != lease->session->number;
}
static inline struct el_lease *el_lease_of(const struct evlog_lease *lease)
{
    return EL_CONTAINER((void *)(uintptr_t)lease, struct el_lease, lease);
}
void el_source_free(struct el_lease_source *source);

#endif
