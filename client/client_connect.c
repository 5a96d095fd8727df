/* SPDX-License-Identifier: Apache-2.0
 *
 * From a name to a connected socket. Internal thread; the lock is let go while a name is resolved, which may take long.
 * Connections that are retired meanwhile stay in the list, closed, until open_wanted() (client_conn.c) frees them.
 *
 * 1. el_conn_connect() takes the address of the node (or the next one of bootstrap.servers) and resolves it.
 * 2. Each address that the name stands for is tried in turn, without blocking.
 * 3. el_conn_connected() looks at the outcome: next address, or the TLS handshake, or SASL, or ApiVersions.
 *
 * Fails into EL_CONN_CLOSED with a time to try again (full jitter) and the reason in client->connect_failure.
 */
#include "client_conn.h"
#include "fail.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_DEFAULT "9092"

/* "host:port", "host", "[v6]:port" into host[EL_HOST_LEN_MAX + 1] and port[8]. */
static bool split_address(const char *text, size_t len, char *host, char *port)
{
    const char *colon = memrchr(text, ':', len);
    if (len > 0 && text[0] == '[') {
        const char *close_ = memchr(text, ']', len);
        if (close_ == NULL) {
            return false;
        }
        colon = close_ + 1 < text + len && close_[1] == ':' ? close_ + 1 : NULL;
        size_t host_len = (size_t)(close_ - text) - 1;
        (void)snprintf(host, EL_HOST_LEN_MAX + 1, "%.*s", (int)EL_MIN(host_len, EL_HOST_LEN_MAX), text + 1);
    } else {
        size_t host_len = colon == NULL ? len : (size_t)(colon - text);
        (void)snprintf(host, EL_HOST_LEN_MAX + 1, "%.*s", (int)EL_MIN(host_len, EL_HOST_LEN_MAX), text);
    }
    if (colon == NULL) {
        (void)snprintf(port, 8, "%s", PORT_DEFAULT);
    } else {
        (void)snprintf(port, 8, "%.*s", (int)EL_MIN((size_t)(text + len - colon) - 1, 7u), colon + 1);
    }
    return host[0] != '\0' && port[0] != '\0';
}

/* The index-th address of bootstrap.servers. */
static bool bootstrap_address(const struct evlog_client *client, uint32_t index, char *host, char *port)
{
    const char *p = client->cfg.bootstrap;
    for (uint32_t i = 0; i < index; i++) {
        p = strchr(p, ',') + 1;
    }
    const char *end = strchrnul(p, ',');
    while (p < end && *p == ' ') {
        p++;
    }
    while (end > p && end[-1] == ' ') {
        end--;
    }
    return split_address(p, (size_t)(end - p), host, port);
}

static bool find_address(struct evlog_client *client, struct el_conn *conn, char *host, char *port)
{
    if (conn->node_id == EL_NODE_ANY) {
        return bootstrap_address(client, client->bootstrap_next % client->bootstrap_count, host, port);
    }
    const struct el_node *node = el_cluster_node(client, conn->node_id);
    if (node == NULL) {
        return false;
    }
    (void)snprintf(host, EL_HOST_LEN_MAX + 1, "%s", node->host);
    (void)snprintf(port, 8, "%d", node->port);
    return true;
}

void el_conn_addresses_free(struct el_conn *conn)
{
    if (conn->addresses != NULL) {
        freeaddrinfo(conn->addresses);
    }
    conn->addresses = conn->address = NULL;
}

/* Begin to connect to conn->address. returns 0, or the errno */
static int start_socket(struct el_conn *conn)
{
    const struct addrinfo *a = conn->address;
    conn->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0) {
        return errno;
    }
    int on = 1;
    (void)setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(conn->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS) {
        return 0;
    }
    int err = errno;
    (void)close(conn->fd);
    conn->fd = -1;
    return err;
}

/* Try conn->address and those behind it. */
static void try_addresses(struct evlog_client *client, struct el_conn *conn, int last_errno)
{
    for (; conn->address != NULL; conn->address = conn->address->ai_next) {
        last_errno = start_socket(conn);
        if (last_errno == 0) {
            conn->state = EL_CONN_CONNECTING;
            return;
        }
    }
    char reason[64];
    int code = el_error_from_errno(last_errno);
    el_conn_fail(client, conn, code == EVLOG_ERR_NO_FILES ? code : EVLOG_ERR_UNREACHABLE,
                 strerror_r(last_errno, reason, sizeof reason));
}

void el_conn_connect(struct evlog_client *client, struct el_conn *conn)
{
    char host[EL_HOST_LEN_MAX + 1], port[8];
    EL_ASSERT(conn->state == EL_CONN_CLOSED);
    EL_ASSERT(conn->fd == -1);
    if (!find_address(client, conn, host, port)) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, "no such address or node");
        return;
    }
    (void)snprintf(conn->peer, sizeof conn->peer, "%.250s:%s", host, port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    client->resolving = true;
    el_client_unlock(client);
    int rc = getaddrinfo(host, port, &hints, &found);
    if (rc == EAI_BADFLAGS || rc == EAI_NONAME) {
        hints.ai_flags = AI_NUMERICSERV; /* a machine with only the loopback device has no configured address */
        rc = getaddrinfo(host, port, &hints, &found);
    }
    el_client_lock(client);
    client->resolving = false;
    EL_ASSERT(conn->state == EL_CONN_CLOSED);
    if (conn->retired) {
        if (rc == 0) {
            freeaddrinfo(found);
        }
        return;
    }
    if (rc != 0) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, gai_strerror(rc));
        return;
    }
    conn->addresses = conn->address = found;
    conn->connect_deadline_ns = el_now_ns() + client->cfg.connect_timeout_ms * EL_NS_PER_MS;
    try_addresses(client, conn, ECONNREFUSED);
}

void el_conn_connected(struct evlog_client *client, struct el_conn *conn)
{
    int err = 0;
    socklen_t len = sizeof err;
    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0) {
        err = errno;
    }
    if (err != 0) {
        (void)close(conn->fd);
        conn->fd = -1;
        conn->address = conn->address->ai_next;
        try_addresses(client, conn, err);
        return;
    }
    el_conn_addresses_free(conn);
    if (client->tls != NULL) {
        el_conn_secure(client, conn);
    } else {
        el_conn_greet(client, conn);
    }
}
