/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP listener, on a thread of its own: /metrics, /health/live, /health/ready, /version. Anything else is answered
 * with problem details (RFC 9457). Callbacks run on that thread: they must not block for long, and must not touch a
 * shard's state other than through atomics and messages.
 */
#ifndef EL_HTTP_HTTP_H
#define EL_HTTP_HTTP_H

#include <core/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http;

struct http_config {
    const char *host; /* name or address; "" listens on all addresses */
    uint16_t port;    /* 0: the kernel's choice */
    /* Prometheus text of el_malloc() into *text, taken over by the listener. returns 0 or an error code */
    int (*render_metrics)(void *arg, char **text, size_t *len);
    /* true when appends are taken; else false and one sentence in reason[reason_max]. */
    bool (*ready)(void *arg, char *reason, size_t reason_max);
    void *arg; /* handed to both */
};

/* Listen and serve. The configuration is copied; arg is borrowed until http_stop().
 *
 * bound_port  out: the port in use
 * returns     0 | EVLOG_ERR_ARGUMENT host does not resolve | EVLOG_ERR_IO port taken or forbidden | EVLOG_ERR_NO_MEMORY
 */
int http_start(const struct http_config *cfg, struct http **http, uint16_t *bound_port, struct el_error *err);
/* Close all connections and end the thread; afterwards no callback runs. NULL is ignored. Blocking. */
void http_stop(struct http *http);

#endif
