/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a client: one lock, one thread, connections, calls.
 *
 * The lock guards everything below but the fields that say otherwise. The internal thread holds it except while it
 * polls, resolves names, or packs batches. A call is a request on its way: made by any thread, encoded, sent and
 * answered by the internal thread, which ends each call exactly once, at its deadline at the latest.
 */
#ifndef EL_CLIENT_CLIENT_CORE_H
#define EL_CLIENT_CLIENT_CORE_H

#include "client_config.h"

#include <core/arena.h>
#include <core/assert.h>
#include <core/list.h>
#include <core/map.h>
#include <core/rng.h>
#include <core/scram.h>
#include <evlog/client.h>
#include <evlog/trace.h>
#include <pthread.h>
#include <wire/api.h>

#define EL_NODE_ANY (-1)
#define EL_CLIENT_MAGIC OBJ_MAGIC('E', 'V', 'C', 'L')
#define EL_NEVER_NS INT64_MAX
#define EL_NS_PER_MS 1000000ll
#define EL_CLIENT_CHUNK_LEN (256u << 10)
#define EL_CLIENT_POLL_MAX 1024          /* connections of one client */
#define EL_ANSWER_ARENA_MAX (256u << 20) /* decoded arrays of one answer, bytes */

/* Fetches wait at the broker and would hold up the answers behind them: they have connections of their own. So do the
 * joins and the fetches of each subscriber, in lanes from EL_LANE_OWN on. */
enum { EL_LANE_MAIN, EL_LANE_FETCH, EL_LANE_OWN };

struct el_call;
typedef void (*el_call_fn)(struct evlog_client *client, struct el_call *call);

struct el_call {
    struct el_list link; /* client->calls, conn->sending or conn->flying */
    const struct el_api *api;
    const void *request; /* struct of the api, borrowed until the call has ended */
    int16_t version_max; /* highest version wanted */
    int16_t version;     /* chosen when it is sent */
    int32_t node_id;     /* whom to ask, EL_NODE_ANY for whoever is there */
    uint32_t lane;
    int64_t deadline_ns; /* monotonic */
    el_call_fn on_done;  /* on the internal thread with the lock held; NULL: the waiter looks at done */
    void *arg;           /* of on_done */
    uint32_t try_count;  /* addresses that could not be connected to */
    bool no_answer;      /* ends when it is written (acks 0) */
    bool sent;           /* bytes may have reached the broker */
    bool done;
    int32_t correlation_id;
    struct el_arena arena; /* request frame, then the decoded answer */
    struct el_slice out;   /* request frame */
    size_t out_pos;        /* bytes of it written */
    uint8_t *frame;        /* answer without its length, owned; NULL when it failed */
    size_t frame_len;
    size_t body_pos;              /* where the body begins in frame */
    struct evlog_failure failure; /* code 0 on success */
};

struct el_conn; /* client_conn.c */
struct pollfd;

struct el_node {
    int32_t id;
    int32_t port;
    char *host; /* owned */
};

struct el_topic_partition {
    int32_t leader;       /* node id, -1 unknown */
    int32_t leader_epoch; /* -1 unknown */
};

struct el_topic {
    char *name;        /* key in the map, owned */
    struct el_uuid id; /* zero: not known */
    bool internal;
    int32_t partition_count;
    struct el_topic_partition *partitions; /* [partition_count], owned */
};

/* What the brokers said of themselves; see cluster.c. */
struct el_cluster {
    struct el_node *nodes; /* [node_count], owned */
    uint32_t node_count;
    int32_t controller_id; /* -1 unknown */
    char cluster_id[64];
    struct el_map topics;    /* name -> struct el_topic */
    bool refresh_wanted;     /* somebody saw that a leader has moved */
    uint32_t refresh_tries;  /* in a row without success */
    int64_t refresh_at_ns;   /* not before; EL_NEVER_NS while one is on its way */
    struct el_call *refresh; /* the one on its way, NULL */
    uint64_t change_count;   /* answers taken in */
    uint64_t full_count;     /* of those, about all topics */
};

/* The password of SCRAM, salted: what costs time. */
struct el_salted {
    uint32_t iterations; /* 0: none yet */
    size_t salt_len;
    uint8_t salt[EL_SCRAM_SALT_MAX];
    uint8_t key[EL_SCRAM_KEY_MAX];
};

struct evlog_client {
    uint32_t magic;
    struct el_client_config cfg; /* never changes */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a call ended, the cluster changed, memory became free, events were delivered */
    pthread_t thread;
    int wake_fd;    /* eventfd: the thread shall look at its lists */
    bool wake_sent; /* and has been told so */
    bool stopping;
    bool given_up;      /* nobody waits for answers any more; atomic */
    bool given_up_seen; /* by the thread */
    bool is_evlog;      /* a broker listed evlog's own requests */
    struct el_rng rng;
    struct el_list calls;       /* not yet on a connection */
    struct el_list conns;       /* struct el_conn */
    bool resolving;             /* the thread resolves a name, unlocked, in its loop over conns: nobody takes one out */
    struct el_list producers;   /* struct evlog_producer */
    struct el_list subscribers; /* struct evlog_subscriber */
    struct el_list groups;      /* struct evlog_group */
    uint32_t lane_next;         /* EL_LANE_OWN and up, for the next subscriber or group */
    uint32_t bootstrap_next;    /* address to try next */
    uint32_t bootstrap_count;
    int32_t correlation_next;
    struct el_cluster cluster;
    int event_fd;               /* eventfd of evlog_client_fd(), -1 none */
    bool event_sent;            /* and it is readable */
    struct el_list log;         /* struct el_log_line that wait */
    uint32_t log_count;         /* of them */
    uint64_t log_lost_count;    /* dropped since the last one was told */
    struct evlog_tracer tracer; /* on_span NULL: none; does not change once anything is opened with the client */
    evlog_log_fn log_fn;        /* NULL: nobody hears it */
    void *log_arg;
    enum evlog_log_level log_level_max;
    uint64_t request_count;               /* calls that have ended */
    uint64_t request_failed_count;        /* of those, without an answer */
    uint64_t connect_count;               /* connections made */
    uint64_t connect_failed_count;        /* attempts that failed, and connections that broke */
    struct evlog_failure connect_failure; /* why the last attempt to connect failed */
    uint8_t *chunk;                       /* [EL_CLIENT_CHUNK_LEN], what one read brings */
    struct el_tls_config *tls;            /* NULL: connections are plain */
    uint8_t *plain;                       /* [EL_CLIENT_CHUNK_LEN] what was sealed in it; NULL without TLS */
    struct el_salted salted;              /* internal thread only */
    struct pollfd *poll_set;              /* [EL_CLIENT_POLL_MAX + 1] */
};

/* --- client.c --- */

int64_t el_now_ns(void);
int64_t el_unix_ms(void);
static inline int64_t el_deadline(int64_t timeout_ms)
{
    return timeout_ms < 0 || timeout_ms > INT32_MAX ? EL_NEVER_NS : el_now_ns() + timeout_ms * EL_NS_PER_MS;
}
void el_client_lock(struct evlog_client *client);
void el_client_unlock(struct evlog_client *client);
/* Wait before the next try. returns false when there is no time left for one. Lock not held. */
bool el_pause_before_retry(struct evlog_client *client, uint32_t tries, int64_t deadline_ns);
/* Wait for a change until the deadline; false when it has passed. Lock held. */
bool el_client_wait(struct evlog_client *client, int64_t deadline_ns);
/* Nobody shall wait or try again: the client closes, or evlog_client_give_up() was called. */
static inline bool el_client_ends(const struct evlog_client *client)
{
    return client->stopping || __atomic_load_n(&client->given_up, __ATOMIC_RELAXED);
}
/* Tell the thread that there is work; lock held. */
void el_client_wake(struct evlog_client *client);
/* Tell everybody who waits; lock held. */
void el_client_notify(struct evlog_client *client);
/* Write a line of the log; lock held. Costs nothing while nobody hears it. */
void el_client_log(struct evlog_client *client, enum evlog_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tell what waits in the log. Lock not held. returns lines told */
int el_client_tell_log(struct evlog_client *client);
/* Make evlog_client_fd() unreadable when nothing is due any more. Lock not held. */
void el_client_settle(struct evlog_client *client);
/* Make it readable when something is due. Lock held. */
void el_client_announce(struct evlog_client *client);
/* Forget the log and close the descriptor. */
void el_client_events_destroy(struct evlog_client *client);
/* Delay before try number tries (1 ...): full jitter under a doubling bound. Lock held. */
int64_t el_client_backoff_ns(struct evlog_client *client, uint32_t tries, int64_t first_ms, int64_t max_ms);

/* Prepare a call; the request is borrowed until the call has ended. */
void el_call_init(struct el_call *call, const struct el_api *api, const void *request);
/* Give it to the internal thread; lock held. */
void el_call_submit(struct evlog_client *client, struct el_call *call);
/* End it with the failure in call->failure or with success; internal thread, lock held, not in any list. */
void el_call_end(struct evlog_client *client, struct el_call *call);
/* Decode the answer into the schema's struct; after success only.
 *
 * returns  0 | EVLOG_ERR_MALFORMED and the like, with the text in failure
 */
int el_call_decode(struct el_call *call, void *response, struct evlog_failure *failure);
/* Free what a call owns; it must have ended. */
void el_call_free(struct el_call *call);

/* How a blocking request is made. */
struct el_ask {
    enum el_api_key api;
    const void *request;
    int16_t version_max; /* 0x7fff: any */
    int32_t node_id;
    int64_t deadline_ns;
    bool once; /* do not try again: it changes something, or speed matters more than patience */
};
/* Ask and wait, trying again (with backoff) after lost connections until the deadline. Lock not held.
 *
 * call      filled; el_call_free() after success, when the decoded answer is no longer needed
 * response  the answer's struct, decoded into call's arena
 * returns   0 | the failure's code; call is already freed then
 */
int el_client_ask(struct evlog_client *client, const struct el_ask *ask, struct el_call *call, void *response,
                  struct evlog_failure *failure);

/* --- client_conn.c: the internal thread's; lock held --- */

/* Find or open connections for waiting calls and put them there; end those that are too late. */
void el_conns_dispatch(struct evlog_client *client, int64_t now_ns);
/* The time of every call that somebody waits for is over. */
void el_conns_give_up(struct evlog_client *client);
/* Add the connections to a poll set; returns how many were added, at most max. *until_ns is lowered to the next time
 * something must be looked at. */
uint32_t el_conns_poll_set(struct evlog_client *client, struct pollfd *fds, uint32_t max, int64_t *until_ns);
/* Act on what poll found, in the same order. */
void el_conns_poll_done(struct evlog_client *client, const struct pollfd *fds, uint32_t count);
uint32_t el_conns_count(const struct evlog_client *client);
/* Close the connections of lanes first and first + 1: nobody will use them any more. */
void el_conns_retire(struct evlog_client *client, uint32_t first);
/* Close all; every call on them ends with EVLOG_ERR_CLOSED. */
void el_conns_close(struct evlog_client *client);
/* The version of a request that a node's open connection has agreed on; -1: none, or not connected. */
int16_t el_conns_version(const struct evlog_client *client, int32_t node_id, uint32_t lane, enum el_api_key api);
/* Requests of the main lane on their way to a node or waiting for its answer. */
uint32_t el_conns_in_flight(const struct evlog_client *client, int32_t node_id);
/* Show every list of calls that are on a connection to fn. */
typedef void (*el_call_list_fn)(struct el_list *calls, const void *arg);
void el_conns_each_list(struct evlog_client *client, el_call_list_fn fn, const void *arg);

/* --- cluster.c --- */

void el_cluster_destroy(struct el_cluster *cluster);
/* The topic as known, NULL when it is not; lock held, valid until it is released. */
struct el_topic *el_cluster_find(struct evlog_client *client, const char *name);
const struct el_node *el_cluster_node(const struct evlog_client *client, int32_t node_id);
/* Leader of a partition, -1 unknown; lock held. */
int32_t el_cluster_leader(struct evlog_client *client, const char *name, int32_t partition);
/* Make sure that a topic is known, asking for it if need be. Blocks; lock not held.
 *
 * create           let the broker make it
 * deadline_ns      try until then
 * partition_count  written on success
 * returns          0 | EVLOG_ERR_UNKNOWN_TOPIC | EVLOG_ERR_INVALID_TOPIC | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_TIMED_OUT
 */
struct el_topic_ask {
    const char *name;
    bool create;
    bool fresh; /* ask even when it is known */
    int64_t deadline_ns;
};
int el_cluster_topic(struct evlog_client *client, const struct el_topic_ask *ask, int32_t *partition_count,
                     struct evlog_failure *failure);
/* Ask for the metadata of one topic (NULL: none, only nodes) once and take the answer in. Lock not held. */
int el_cluster_refresh(struct evlog_client *client, const char *name, bool create, int64_t deadline_ns,
                       struct evlog_failure *failure);
/* Something said that a leader has moved: ask again soon. Lock held. */
void el_cluster_suspect(struct evlog_client *client);
/* Internal thread: start a refresh when one is due; lowers *until_ns. Lock held. */
void el_cluster_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns);
/* Fill a metadata request; nothing is created by it.
 *
 * names    [count]; NULL: all topics. Copied into the arena
 * returns  0 | EVLOG_ERR_NO_MEMORY
 */
struct el_msg_metadata_request;
struct el_msg_metadata_response;
int el_cluster_question(struct el_arena *arena, const struct el_slice *names, uint32_t count,
                        struct el_msg_metadata_request *request);
#define EL_METADATA_VERSION_MAX 12 /* 13 moves the error of a request to the top and gives nothing else */
/* Take an answer in. Lock held. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_cluster_take(struct evlog_client *client, const struct el_msg_metadata_response *response);
/* Forget a topic that was removed. Lock not held. */
void el_cluster_forget(struct evlog_client *client, const char *name);

/* --- producer_send.c --- */

struct evlog_producer;
/* Internal thread: send what is due, expire what is late; lowers *until_ns. Lock held, released while packing. */
void el_producers_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns);

/* --- subscriber_member.c --- */

struct evlog_subscriber;
/* Internal thread: take the turns of all memberships; lowers *until_ns. Lock held. */
void el_subscribers_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns);
/* Topics that subscribers want to know, into names[room]; *all: every topic, because of a pattern. Lock held. returns
 * how many there are, which may be more than room */
uint32_t el_subscribers_topics(const struct evlog_client *client, struct el_slice *names, uint32_t room, bool *all);

/* --- lease_member.c --- */

struct evlog_group;
/* Internal thread: take the turns of all members of work groups; lowers *until_ns. Lock held. */
void el_groups_tick(struct evlog_client *client, int64_t now_ns, int64_t *until_ns);
/* Topics that they want to know, as el_subscribers_topics(). */
uint32_t el_groups_topics(const struct evlog_client *client, struct el_slice *names, uint32_t room);

#endif
