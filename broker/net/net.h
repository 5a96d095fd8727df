/* SPDX-License-Identifier: Apache-2.0
 *
 * The Kafka listeners of one shard: accepts connections, cuts requests out of their bytes, hands them to a dispatch
 * function and sends the answers in order. Knows nothing of what requests mean. All of it belongs to the shard's thread
 * and uses the shard's buddy only.
 */
#ifndef EL_NET_NET_H
#define EL_NET_NET_H

#include <config/address_limits.h>
#include <config/listeners.h>
#include <config/principal_rules.h>
#include <core/tls.h>
#include <io/io.h>
#include <net/census.h>
#include <net/lent.h>
#include <net/request.h>
#include <obs/metrics.h>

/* A handshake of TLS has ended: the client's certificate says who it is, or the client was refused. */
struct net_handshake {
    const struct config_listener *listener; /* NULL: of the HTTP port */
    struct el_slice address;                /* of the client, without the port */
    const char *principal;                  /* of its certificate; NULL: refused */
    uint8_t certificate[32];                /* with a principal: SHA-256 of the certificate */
    const char *version;                    /* the same: "TLSv1.2" */
    const char *cipher;                     /* the same */
    const char *failure;                    /* refused: why, in one word of docs/audit.md; static */
};
/* All texts are valid until the return. */
typedef void (*net_handshake_fn)(void *arg, const struct net_handshake *handshake);

struct net_config {
    const struct config_listener *listeners;         /* [listener_count], copied by net_start() */
    uint32_t listener_count;                         /* 1 .. CONFIG_LISTENERS_MAX */
    bool join;                                       /* another net of this process listens on the ports */
    struct el_tls_config *tls[CONFIG_LISTENERS_MAX]; /* of listeners with TLS, by place; each gets a reference */
    /* The same of their rules; borrowed. NULL: the name in the certificate is the principal's. */
    const struct principal_rules *principal_rules[CONFIG_LISTENERS_MAX];
    net_dispatch_fn dispatch;                          /* called for each request */
    void *arg;                                         /* of all that is called */
    void (*conn_closed)(void *arg, void *conn_user);   /* optional: a connection whose user word is set has ended */
    bool (*admit)(void *arg, struct el_slice address); /* optional: may one more connection come from this address? */
    net_handshake_fn shaken;       /* optional: of each handshake that proves who a client is, or fails */
    net_trace_id_fn trace_id;      /* optional: of a slow request, for its line in the log */
    net_meter_fn meter;            /* of requests that are metered; optional while there is none */
    _Atomic(uint32_t) *conn_total; /* connections of all nets that share it; NULL: of this one */

    struct census *census; /* who has how many connections, of all nets that share it; NULL: no limit on anybody */
    struct lent *lent;     /* who holds how much of each shard's memory, of all nets that share it; NULL: of this one */

    /* Limits of this shard; 0 takes the default. */
    uint32_t conn_count_max;         /* connections, of all nets that share conn_total (10,000) */
    uint32_t address_conn_count_max; /* connections of one client address, of all nets that share census (no limit) */
    struct address_limits address_limits; /* of single addresses, in place of that */
    uint32_t principal_conn_count_max; /* connections on which one principal has proved itself, likewise (no limit) */
    uint32_t unproven_count_max;       /* connections that have proved nothing (1,000); one more ends the oldest */
    uint64_t unproven_ns_max;          /* to do so, from the accept on (10 s) */
    uint32_t pipeline_max;             /* requests of one connection at work (64); then reading pauses */
    size_t pipeline_bytes_max;         /* bytes of those, beyond the first (16 MiB) */
    size_t backlog_bytes_max;          /* answers that wait for a slow reader (4 MiB); then reading pauses */
    size_t frame_len_max;              /* of a request (EL_REQUEST_LEN_MAX) */
    size_t recv_bytes_max;             /* receive buffers of all connections (half of the buddy) */
    size_t principal_bytes_max;        /* buffers and unsent answers of one principal (a quarter of the buddy) */
    size_t request_bytes_max;          /* arena of one request: its message, its work, its answer (half of the buddy) */
    uint64_t frame_ns_max;             /* for the next MiB of a frame that has begun (30 s) */
    uint64_t send_ns_max;              /* for the next MiB of an answer to be taken (30 s) */
    uint64_t idle_ns_max;              /* without a request (10 min) */
    uint64_t linger_ns_max;            /* for a client to close its side at a stop (1 s) */
    uint64_t handshake_ns_max;         /* of TLS, from the accept on (10 s) */
    uint32_t handshake_count_max;      /* TLS handshakes that hold memory (128); others wait */
    uint64_t slow_ns;                  /* operations that take longer are logged; 0: none */
    uint64_t handshake_patience_ns; /* a client that keeps its handshake waiting so long makes room for others (1 s) */
};

typedef void (*net_stopped_fn)(void *arg);

/* Listen and start to accept.
 *
 * io, buddy, metrics  the shard's; outlive net
 * config              copied
 * net                 out; freed with net_free() after it has stopped
 * returns             0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_ARGUMENT host | EVLOG_ERR_EXISTS port taken | ...
 */
int net_start(struct io *io, struct el_buddy *buddy, struct metrics *metrics, const struct net_config *config,
              struct net **net, struct el_error *err);

/* Take over the limits on connections, frames and idle time from config, where they are not 0, and slow_ns. Connections
 * over a lowered limit stay. */
void net_set_limits(struct net *net, const struct net_config *config);

/* Connections that come from now on have these contexts; those that are there keep theirs. */
void net_set_tls(struct net *net, struct el_tls_config *const tls[CONFIG_LISTENERS_MAX]);

/* Is whoever has proved to be this there no more? */
typedef bool (*net_gone_fn)(void *arg, const char *principal, const struct net_proof *proof);
/* End the connections whose proof is worth nothing any more. Those with requests are read no further and end when these
 * are answered. */
void net_review(struct net *net, net_gone_fn gone, void *arg);

/* The port that a listener has, by its place in net_config.listeners. */
uint16_t net_port(const struct net *net, uint32_t listener_index);

/* Stop: accept and read no more, answer what has been read, then close each connection so that its client has read all.
 * Handlers that wait (net_stopping() is true from now on) should answer with what they have. At deadline_ns (monotonic)
 * every connection still open is cut and its requests are abandoned. stopped is called from a step, once, when all
 * connections and all requests have ended. */
void net_stop(struct net *net, uint64_t deadline_ns, net_stopped_fn stopped, void *arg);
bool net_stopping(const struct net *net);

/* Free a net that has stopped; may be called from stopped. */
void net_free(struct net *net);

/* Connections open and requests not yet ended. */
uint32_t net_conn_count(const struct net *net);
uint32_t net_request_count(const struct net *net);

#endif
