/* SPDX-License-Identifier: Apache-2.0
 *
 * Listening sockets and the few calls on sockets that are not worth an op. Accepted sockets inherit TCP_NODELAY and
 * SO_KEEPALIVE from the listening one.
 *
 * All shards listen on one port by SO_REUSEPORT. With that option set before the bind, a second server on the port
 * would start, too, and take half of the clients: so the first listener of a process binds without it, which fails when
 * anybody listens there, and only then lets its siblings join.
 *
 * A socket on :: takes clients of IPv4 as well, unless another listener is there for them.
 */
#include <io/backend.h>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#define LISTEN_BACKLOG 4096 /* the kernel lowers it to net.core.somaxconn */

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof(value));
}

/* A socket that listens on one address; returns it or -errno. */
static int listen_on(const struct addrinfo *address, const struct io_place *place)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
        return -errno;
    }
    bool ok = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0 &&
              set_option(fd, SOL_SOCKET, SO_REUSEPORT, place->join) == 0 &&
              set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0 && set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1) == 0;
    if (ok && address->ai_family == AF_INET6) {
        ok = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, place->only_v6) == 0;
    }
    if (ok && bind(fd, address->ai_addr, address->ai_addrlen) == 0 &&
        set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0 && listen(fd, LISTEN_BACKLOG) == 0) {
        return fd;
    }
    int failed = errno;
    close(fd);
    return -failed;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)address)->sin6_port);
    }
    return ntohs(((const struct sockaddr_in *)address)->sin_port);
}

int socket_listen(struct io *io, const struct io_place *place, int *fd, uint16_t *bound_port, struct el_error *err)
{
    char service[8];
    unsigned port = place->port;
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    const char *name = place->host == NULL || place->host[0] == '\0' ? NULL : place->host;
    int rc = getaddrinfo(name, service, &hints, &list);
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "cannot listen on %s:%u: %s", name == NULL ? "*" : name, port,
                            gai_strerror(rc));
    }
    int found = -EADDRNOTAVAIL;
    for (const struct addrinfo *address = list; address != NULL && found < 0; address = address->ai_next) {
        found = listen_on(address, place);
    }
    freeaddrinfo(list);
    if (found < 0) {
        int code = found == -EADDRINUSE ? EVLOG_ERR_EXISTS : el_error_from_errno(-found);
        return el_error_set(err, code, "cannot listen on %s:%u: %s", name == NULL ? "*" : name, port, strerror(-found));
    }
    struct sockaddr_storage bound = {0};
    socklen_t bound_len = sizeof(bound);
    if (getsockname(found, (struct sockaddr *)&bound, &bound_len) != 0) {
        rc = el_error_set(err, el_error_from_errno(errno), "getsockname: %s", strerror(errno));
        close(found);
        return rc;
    }
    *fd = found;
    *bound_port = port_of(&bound);
    return 0;
}

int socket_peer_name(struct io *io, int fd, char *text, size_t text_len)
{
    struct sockaddr_storage peer = {0};
    socklen_t peer_len = sizeof(peer);
    char address[INET6_ADDRSTRLEN] = "?";
    EL_ASSERT(text_len > 0);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0) {
        snprintf(text, text_len, "unknown");
        return el_error_from_errno(errno);
    }
    if (peer.ss_family == AF_INET6) {
        const struct in6_addr *in6 = &((const struct sockaddr_in6 *)&peer)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            inet_ntop(AF_INET, &in6->s6_addr[12], address, sizeof(address));
            snprintf(text, text_len, "%s:%u", address, (unsigned)port_of(&peer));
        } else {
            inet_ntop(AF_INET6, in6, address, sizeof(address));
            snprintf(text, text_len, "[%s]:%u", address, (unsigned)port_of(&peer));
        }
        return 0;
    }
    inet_ntop(AF_INET, &((const struct sockaddr_in *)&peer)->sin_addr, address, sizeof(address));
    snprintf(text, text_len, "%s:%u", address, (unsigned)port_of(&peer));
    return 0;
}

void socket_shutdown(struct io *io, int fd)
{
    (void)shutdown(fd, SHUT_WR);
}
