/* SPDX-License-Identifier: Apache-2.0
 *
 * Share sessions of a shard: what a member of a share group reads over one connection, so that a ShareFetch names only
 * what changes. All leases taken by a session are given back when it ends: by epoch -1, by a new session of the same
 * member, or with its connection.
 *
 * A session ends at once for the protocol, and is freed when no request works with it any more and all that it may hold
 * has been released. Runs on the connection's shard. Source: docs/protocol.md, Share groups.
 */
#ifndef EL_API_SHARE_SESSION_H
#define EL_API_SHARE_SESSION_H

#include <core/map.h>
#include <core/pool.h>
#include <lease/leases.h>

#define SHARE_EPOCH_OPEN 0
#define SHARE_EPOCH_CLOSE (-1)

struct api;
struct request;

struct share_sessions {
    struct api *api;
    struct el_pool part_pool;
    struct el_pool conn_pool;
    struct el_map sessions; /* share_session.key to session */
    struct el_map parts;    /* share_part.key to part, of all sessions */
    struct el_list ending;  /* by share_session.conn_link: ended and not yet freed */
    bool stopping;          /* nothing is released any more */
    bool destroyed;
};

/* Sessions opened over one connection: its user word. */
struct share_conn {
    struct el_list sessions; /* by share_session.conn_link */
};

struct share_part_key {
    uint64_t session; /* number */
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t zero;
};
EL_STATIC_ASSERT(sizeof(struct share_part_key) == 32, "keys are compared as bytes");

/* A partition of a session. */
struct share_part {
    struct share_part_key key;
    struct el_list place; /* in session.parts, always */
    struct el_list turn;  /* in session.turns, unless it has been forgotten */
    bool held;            /* leases have been asked for */
};

struct share_session {
    uint32_t magic;
    struct share_sessions *owner;
    uint64_t number;          /* as leases know it */
    int32_t epoch;            /* of the request that is expected next, from 1 */
    struct el_list conn_link; /* in share_conn.sessions, then in share_sessions.ending */
    struct el_list parts;
    struct el_list turns; /* to be read, in this order */
    uint32_t part_count;
    uint32_t turn_count;
    uint32_t use_count; /* requests that work with it */
    int32_t lease_ms;   /* as last heard from a partition */
    bool ended;
    bool submitting; /* inside leases_release() */
    bool returned;   /* the op has ended in there */
    struct lease_release_op release;
    void (*hurry)(void *arg); /* NULL, or of a fetch that waits: the member has sent another request, or is gone */
    void *hurry_arg;
    void (*closed)(void *arg); /* NULL, or of who waits until all has been released */
    void *closed_arg;
    struct el_slice group_id, member_id; /* in key */
    size_t key_len;
    uint8_t key[]; /* lengths and bytes of group and member */
};

void share_sessions_init(struct share_sessions *sessions, struct api *api);
/* The shard stops: leases end with the process, nobody need release them. */
void share_sessions_stop(struct share_sessions *sessions);
/* Every connection is gone. A release that is under way may end later. */
void share_sessions_destroy(struct share_sessions *sessions);
/* A connection has ended: so do its sessions. */
void share_sessions_conn_closed(struct share_sessions *sessions, struct share_conn *conn);

/* A request of a member has come: its session by the rules of epochs.
 *
 * epoch    0 opens a session, in place of an older one of the member; -1 ends it whatever its epoch; else the epoch
 *          expected, which moves on
 * session  out
 * returns  an enum el_kafka_error; NONE: share_session_give_back() when the request has ended
 */
int16_t share_session_take(struct share_sessions *sessions, struct request *request, struct el_slice group_id,
                           struct el_slice member_id, int32_t epoch, struct share_session **session);
/* The session of a member whatever its epoch, which stays; NULL when there is none. To be given back as well. */
struct share_session *share_session_find(struct share_sessions *sessions, struct el_slice group_id,
                                         struct el_slice member_id);
/* The request has ended. */
void share_session_give_back(struct share_session *session);
/* The same for the request that has closed it: closed is called with arg when all has been released, perhaps inside. */
void share_session_give_back_closed(struct share_session *session, void (*closed)(void *arg), void *arg);
/* It is found no longer. */
void share_session_end(struct share_session *session);

/* The partition, added to those that are read. returns an enum el_kafka_error */
int16_t share_session_add(struct share_session *session, const struct el_uuid *topic_id, int32_t partition);
/* No longer read; what is leased stays so. */
void share_session_forget(struct share_session *session, const struct el_uuid *topic_id, int32_t partition);
/* NULL when it was never added. */
struct share_part *share_session_part(struct share_session *session, const struct el_uuid *topic_id, int32_t partition);
/* It has had its turn: the others come before it next time. */
void share_part_turn(struct share_session *session, struct share_part *part);

#endif
