/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS before a server that speaks none: a thread of its own accepts, shakes hands, and hands over a socket with the
 * plain bytes of each client that has come so far. Profile, certificates and names are those of core/tls.h.
 *
 * What strangers can use up is bounded: TLS_GATE_COUNT_MAX connections, and TLS_GATE_COUNT_PER_IP_MAX of one address,
 * with those whose handshake has not ended; a handshake ends in 10 seconds, and when there is no room, whoever has kept
 * others waiting for a second goes. A client that takes no bytes for 15 seconds is closed.
 */
#ifndef EL_HTTP_TLS_GATE_H
#define EL_HTTP_TLS_GATE_H

#include <config/principal_rules.h>
#include <core/tls.h>
#include <net/net.h>
#include <obs/metrics.h>
#include <sys/socket.h>

#define TLS_GATE_COUNT_MAX 128u
#define TLS_GATE_COUNT_PER_IP_MAX 64u
#define TLS_GATE_PRINCIPAL_MAX 512u /* with the NUL */

struct tls_gate;

/* A client after its handshake. */
struct tls_gate_client {
    int fd; /* its plain bytes, for the taker to close */
    const struct sockaddr *address;
    socklen_t address_len;
    const char *principal; /* "": it has shown no certificate */
};

struct tls_gate_config {
    int listen_fd;             /* not blocking; the gate's on success */
    struct el_tls_config *tls; /* borrowed for the call */
    struct metrics *metrics;   /* any thread may count in it; outlives the gate */
    /* The principal of a certificate. returns 0 | a code and why the client is refused */
    int (*name)(void *arg, const struct principal_names *names, char *principal, size_t principal_max,
                struct principal_refusal *refusal);
    net_handshake_fn shaken; /* of each handshake that proves who a client is, or fails; NULL: nobody is told */
    /* Takes the client over, its socket in any case. */
    void (*take)(void *arg, const struct tls_gate_client *client);
    void *arg; /* of all, which the gate's thread calls */
};

/* returns 0 | EVLOG_ERR_NO_MEMORY, also without descriptors or a thread */
int tls_gate_start(const struct tls_gate_config *cfg, struct tls_gate **gate);
/* Connections that come from now on get this one. Any thread. */
void tls_gate_renew(struct tls_gate *gate, struct el_tls_config *tls);
/* Close all connections and the listening socket, and end the thread. NULL is ignored. Blocking. */
void tls_gate_stop(struct tls_gate *gate);

#endif
