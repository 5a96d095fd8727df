/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS between a connection and its socket. Internal thread of the client, lock held.
 *
 * 1. A connected socket begins with the handshake (EL_CONN_SECURING), which the connect deadline bounds.
 * 2. What is to be sent is sealed into a buffer of the connection and leaves from there; what comes is opened into one
 *    of the client.
 *
 * Fails by closing the connection with the reason; a certificate that is refused is EVLOG_ERR_POLICY.
 */
#include "client_conn.h"
#include "fail.h"

#include <core/alloc.h>
#include <errno.h>
#include <evlog/client.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define OUT_ROOM (2 * EL_TLS_ROOM_MIN)

int el_client_tls_open(struct evlog_client *client, struct evlog_failure *failure)
{
    struct el_error err = {0};
    const struct el_client_config *cfg = &client->cfg;
    if (!cfg->tls) {
        return 0;
    }
    struct el_tls_options options = {
        .certificate_file = cfg->tls_certificate[0] == '\0' ? NULL : cfg->tls_certificate,
        .key_file = cfg->tls_key[0] == '\0' ? NULL : cfg->tls_key,
        .ca_file = cfg->tls_ca[0] == '\0' ? NULL : cfg->tls_ca,
        .any_name = !cfg->tls_check_name,
    };
    int rc = el_tls_config_open(&options, &client->tls, &err);
    client->plain = rc == 0 ? el_malloc(EL_CLIENT_CHUNK_LEN) : NULL;
    if (rc == 0 && client->plain == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a client");
    }
    return rc == 0 ? 0 : el_fail(failure, rc, "TLS: %s", err.text);
}

void el_conn_tls_free(struct el_conn *conn)
{
    el_tls_free(conn->tls);
    el_free(conn->tls_out);
    conn->tls = NULL;
    conn->tls_out = NULL;
    conn->tls_out_len = conn->tls_out_pos = 0;
}

void el_conn_secure(struct evlog_client *client, struct el_conn *conn)
{
    char host[EL_HOST_LEN_MAX + 8];
    (void)snprintf(host, sizeof host, "%s", conn->peer);
    *strrchr(host, ':') = '\0'; /* peer is host:port */
    conn->state = EL_CONN_SECURING;
    conn->tls = el_tls_new(client->tls, host);
    conn->tls_out = el_malloc(OUT_ROOM);
    if (conn->tls == NULL || conn->tls_out == NULL) {
        el_conn_fail(client, conn, EVLOG_ERR_NO_MEMORY, "no memory for a connection");
        return;
    }
    (void)el_conn_tls_read(client, conn, NULL, 0);
}

bool el_conn_tls_flush(struct evlog_client *client, struct el_conn *conn)
{
    while (conn->tls_out_pos < conn->tls_out_len) {
        ssize_t n = send(conn->fd, conn->tls_out + conn->tls_out_pos, conn->tls_out_len - conn->tls_out_pos,
                         MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return false;
        }
        if (n < 0) {
            char reason[64];
            el_conn_fail(client, conn, EVLOG_ERR_CLOSED, strerror_r(errno, reason, sizeof reason));
            return false;
        }
        conn->tls_out_pos += (size_t)n;
    }
    conn->tls_out_len = conn->tls_out_pos = 0;
    return true;
}

int64_t el_conn_tls_write(struct evlog_client *client, struct el_conn *conn, const void *data, size_t len)
{
    if (!el_conn_tls_flush(client, conn)) {
        return EVLOG_ERR_AGAIN;
    }
    struct el_tls_bytes bytes = {.out = conn->tls_out, .out_room = OUT_ROOM};
    int64_t n = el_tls_write(conn->tls, &bytes, data, len);
    conn->tls_out_len = bytes.out_len;
    if (n < 0) {
        el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "TLS cannot go on");
        return n;
    }
    (void)el_conn_tls_flush(client, conn);
    return conn->state == EL_CONN_CLOSED ? EVLOG_ERR_CLOSED : n;
}

/* Go on with the handshake. returns false when it needs more bytes, or the connection was closed */
static bool shake(struct evlog_client *client, struct el_conn *conn, struct el_tls_bytes *bytes)
{
    struct el_error err = {0};
    int rc = EL_TLS_WANT_OUT;
    while (rc == EL_TLS_WANT_OUT) {
        bytes->out = conn->tls_out;
        bytes->out_room = OUT_ROOM;
        bytes->out_len = conn->tls_out_len;
        rc = el_tls_handshake(conn->tls, bytes, &err);
        conn->tls_out_len = bytes->out_len;
        bool flushed = el_conn_tls_flush(client, conn);
        if (conn->state == EL_CONN_CLOSED) {
            return false;
        }
        if (rc == EL_TLS_WANT_OUT && !flushed) {
            rc = el_error_set(&err, EVLOG_ERR_FAILED, "the broker takes nothing in the handshake");
        }
    }
    if (rc < 0) {
        char text[sizeof err.text + 80];
        bool foreign = rc == EVLOG_ERR_POLICY && strcmp(el_tls_failure(conn->tls), "certificate_foreign") == 0;
        (void)snprintf(text, sizeof text, "%s%s", err.text,
                       foreign ? ": ssl.ca.location names the file of the CAs to trust" : "");
        el_conn_fail(client, conn, rc == EVLOG_ERR_POLICY ? rc : EVLOG_ERR_UNREACHABLE, text);
        return false;
    }
    if (rc == EL_TLS_DONE) {
        el_client_log(client, EVLOG_LOG_INFO, "%s: TLS 1.2, %s", conn->peer, el_tls_cipher(conn->tls));
        el_conn_greet(client, conn);
    }
    return rc == EL_TLS_DONE && conn->state != EL_CONN_CLOSED;
}

bool el_conn_tls_read(struct evlog_client *client, struct el_conn *conn, const uint8_t *data, size_t len)
{
    struct el_tls_bytes bytes = {.in = data, .in_len = len};
    if (conn->state == EL_CONN_SECURING && !shake(client, conn, &bytes)) {
        return conn->state != EL_CONN_CLOSED;
    }
    for (;;) {
        int64_t n = el_tls_read(conn->tls, &bytes, client->plain, EL_CLIENT_CHUNK_LEN);
        if (n == 0) {
            return true;
        }
        if (n < 0) {
            bool closed = n == EVLOG_ERR_CLOSED;
            el_conn_fail(client, conn, conn->state == EL_CONN_READY ? EVLOG_ERR_CLOSED : EVLOG_ERR_UNREACHABLE,
                         closed ? "the broker closed the connection" : "a record of TLS is damaged or not authentic");
            return false;
        }
        if (!el_conn_take_bytes(client, conn, client->plain, (size_t)n)) {
            return false;
        }
    }
}
