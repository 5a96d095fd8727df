/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP listener, with TLS or without, on a thread of its own: /metrics, /health/live, /health/ready, /version.
 * Anything else is answered with problem details (RFC 9457). Callbacks run on that thread: they must not block for
 * long, and must not touch a shard's state other than through atomics and messages.
 */
#ifndef EL_HTTP_HTTP_H
#define EL_HTTP_HTTP_H

#include <config/principal_rules.h>
#include <core/tls.h>
#include <net/net.h>
#include <obs/metrics.h>
#include <stddef.h>
#include <stdint.h>

struct http;

/* May somebody see what is not open to all? */
enum http_verdict {
    HTTP_ALLOWED,
    HTTP_WHO,      /* 401: who are you? */
    HTTP_DENIED,   /* 403 */
    HTTP_TOO_MANY, /* 429: too many passwords at once */
    HTTP_NOT_NOW,  /* 503: nobody can tell */
};

struct http_caller {
    const char *address;       /* numeric, without the port */
    bool loopback;             /* it comes from this machine */
    bool secure;               /* by TLS */
    const char *principal;     /* of the certificate that it has shown; NULL: none */
    const char *authorization; /* the header; NULL: there is none */
};

struct http_config {
    const char *host;          /* name or address; "" listens on all addresses */
    uint16_t port;             /* 0: the kernel's choice */
    struct el_tls_config *tls; /* borrowed for the call; NULL: plain */
    struct metrics *metrics;   /* of TLS; any thread may count in it */
    /* The principal of a certificate, see tls_gate.h; with TLS */
    int (*name)(void *arg, const struct principal_names *names, char *principal, size_t principal_max,
                struct principal_refusal *refusal);
    /* Handshakes that prove who a client is, or fail; with TLS, NULL: nobody is told */
    net_handshake_fn shaken;
    /* Prometheus text of el_malloc() into *text, taken over by the listener. returns 0 or an error code */
    int (*render_metrics)(void *arg, char **text, size_t *len);
    /* true when appends are taken, with a warning in reason[reason_max] or ""; else false and why not */
    bool (*ready)(void *arg, char *reason, size_t reason_max);
    /* false when it does not come back by itself, and why. NULL: it always does */
    bool (*live)(void *arg, char *reason, size_t reason_max);
    /* Is the caller let at /metrics? Else one sentence in reason[reason_max]. NULL: everybody is. */
    enum http_verdict (*judge)(void *arg, const struct http_caller *caller, char *reason, size_t reason_max);
    void *arg; /* handed to all; name and shaken are called by another thread than the others */
};

/* Listen and serve. The configuration is copied; arg is borrowed until http_stop().
 *
 * bound_port  out: the port in use
 * returns     0 | EVLOG_ERR_ARGUMENT host does not resolve | EVLOG_ERR_IO port taken or forbidden | EVLOG_ERR_NO_MEMORY
 */
int http_start(const struct http_config *cfg, struct http **http, uint16_t *bound_port, struct el_error *err);
/* Connections that come from now on get this one; of a listener with TLS. Any thread. */
void http_renew_tls(struct http *http, struct el_tls_config *tls);
/* Close all connections and end the thread; afterwards no callback runs. NULL is ignored. Blocking. */
void http_stop(struct http *http);

#endif
