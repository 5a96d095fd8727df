/* SPDX-License-Identifier: Apache-2.0
 *
 * 1. the address is taken apart, a socket is connected
 * 2. with TLS a handshake follows, with the CAs, the certificate and the check of names that the client's settings have
 * 3. what is sent is sealed record by record; what comes is opened until the other side says its end
 *
 * Fails with a text that names the host. An answer that ends without the end being said may have been cut by anybody on
 * the way, and is refused.
 */
#include "page_link.h"

#include <core/alloc.h>
#include <core/tls.h>

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HOST_MAX 256
#define IN_LEN 16384
#define OUT_LEN (2 * EL_TLS_ROOM_MIN)

struct page_link {
    int fd;
    char host[HOST_MAX];
    char port[8];
    char place[HOST_MAX + 16]; /* HOST:PORT as it was written */
    struct el_tls *tls;        /* NULL: plain */
    const uint8_t *in;         /* of in_bytes, not taken yet */
    size_t in_len;
    uint8_t in_bytes[IN_LEN];
    uint8_t out_bytes[OUT_LEN];
};

static int unreachable(const struct page_link *link, const char *why, struct el_error *err)
{
    return el_error_set(err, EVLOG_ERR_UNREACHABLE, "%s: %s", link->place, why);
}

/* HOST:PORT or [ADDRESS]:PORT */
static int split(const char *address, struct page_link *link, struct el_error *err)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    const char *begin = bracketed ? address + 1 : address;
    len -= bracketed ? 2 : 0;
    if (colon == NULL || len == 0 || len >= HOST_MAX || strlen(colon + 1) > 5 || strlen(colon + 1) == 0) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "%s is no HOST:PORT", address);
    }
    memcpy(link->host, begin, len);
    link->host[len] = '\0';
    (void)snprintf(link->port, sizeof link->port, "%s", colon + 1);
    (void)snprintf(link->place, sizeof link->place, "%s", address);
    return 0;
}

static int open_socket(struct page_link *link, int64_t timeout_ms, struct el_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(link->host, link->port, &hints, &list), reason = ECONNREFUSED;
    if (rc != 0) {
        return unreachable(link, gai_strerror(rc), err);
    }
    for (struct addrinfo *at = list; at != NULL && link->fd < 0; at = at->ai_next) {
        link->fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        (void)setsockopt(link->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        (void)setsockopt(link->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        if (link->fd >= 0 && connect(link->fd, at->ai_addr, at->ai_addrlen) != 0) {
            reason = errno == EINPROGRESS ? ETIMEDOUT : errno;
            (void)close(link->fd);
            link->fd = -1;
        }
    }
    freeaddrinfo(list);
    return link->fd >= 0 ? 0 : unreachable(link, strerror(reason), err);
}

static int send_all(struct page_link *link, struct el_slice data, struct el_error *err)
{
    while (data.len > 0) {
        ssize_t n = send(link->fd, data.data, data.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR && !cli_interrupted) { /* by the end of a child */
            continue;
        }
        if (n <= 0) {
            return unreachable(link, "the request was not sent", err);
        }
        data = el_slice_of(data.data + n, data.len - (size_t)n);
    }
    return 0;
}

/* More bytes of the wire. returns their number | 0 at the end | EVLOG_ERR_UNREACHABLE */
static int64_t fill(struct page_link *link, struct el_error *err)
{
    ssize_t n;
    do {
        n = recv(link->fd, link->in_bytes, IN_LEN, 0);
    } while (n < 0 && errno == EINTR && !cli_interrupted);
    if (n < 0) {
        return el_error_set(err, EVLOG_ERR_UNREACHABLE, "%s: no answer: %s", link->place, strerror(errno));
    }
    link->in = link->in_bytes;
    link->in_len = (size_t)n;
    return n;
}

/* --- TLS ---------------------------------------------------------------------------------------------------------- */

static struct el_tls_bytes bytes_of(struct page_link *link)
{
    return (struct el_tls_bytes){.in = link->in, .in_len = link->in_len, .out = link->out_bytes, .out_room = OUT_LEN};
}

static int shake(struct page_link *link, struct el_error *err)
{
    struct el_error why = {0};
    for (;;) {
        struct el_tls_bytes bytes = bytes_of(link);
        int step = el_tls_handshake(link->tls, &bytes, &why);
        link->in = bytes.in;
        link->in_len = bytes.in_len;
        int rc = send_all(link, el_slice_of(link->out_bytes, bytes.out_len), err);
        if (step < 0) {
            char text[sizeof why.text + 80];
            bool foreign = strcmp(el_tls_failure(link->tls), "certificate_foreign") == 0;
            (void)snprintf(text, sizeof text, "%s%s", why.text,
                           foreign ? ": ssl.ca.location names the file of the CAs to trust" : "");
            return unreachable(link, text, err);
        }
        if (rc != 0 || step == EL_TLS_DONE) {
            return rc;
        }
        int64_t n = step == EL_TLS_WANT_IN ? fill(link, err) : 1;
        if (n <= 0) {
            return n < 0 ? (int)n : unreachable(link, "it closed the connection: does this port speak TLS?", err);
        }
    }
}

static const char *file_of(const struct evlog_settings *settings, const char *name)
{
    const char *file = evlog_settings_get(settings, name);
    return file == NULL || file[0] == '\0' ? NULL : file;
}

static int secure(struct page_link *link, const struct evlog_settings *settings, struct el_error *err)
{
    const char *check = evlog_settings_get(settings, "ssl.endpoint.identification.algorithm");
    struct el_tls_config *config = NULL;
    struct el_tls_options options = {
        .certificate_file = file_of(settings, "ssl.certificate.location"),
        .key_file = file_of(settings, "ssl.key.location"),
        .ca_file = file_of(settings, "ssl.ca.location"),
        .any_name = check != NULL && strcmp(check, "none") == 0,
    };
    int rc = el_tls_config_open(&options, &config, err);
    if (rc != 0) {
        return rc;
    }
    link->tls = el_tls_new(config, link->host);
    el_tls_config_unref(config); /* the connection has its own */
    return link->tls == NULL ? el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory") : shake(link, err);
}

static int receive_sealed(struct page_link *link, struct el_buffer *answer, size_t len_max, struct el_error *err)
{
    uint8_t some[IN_LEN];
    int64_t n = 0;
    while (answer->err == 0 && answer->len <= len_max) {
        struct el_tls_bytes bytes = bytes_of(link);
        n = el_tls_read(link->tls, &bytes, some, sizeof some);
        link->in = bytes.in;
        link->in_len = bytes.in_len;
        if (n == EVLOG_ERR_CLOSED) {
            return 0;
        }
        if (n < 0) {
            return unreachable(link, "a record of TLS is damaged or not authentic", err);
        }
        if (n > 0) {
            el_buffer_append(answer, some, (size_t)n);
            continue;
        }
        n = fill(link, err);
        if (n <= 0) {
            return n < 0 ? (int)n : unreachable(link, "the answer was cut off", err);
        }
    }
    return el_error_set(err, EVLOG_ERR_LIMIT, "the answer is too long");
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

/* Behind the scheme, if any. */
static const char *after_scheme(const char *address, bool *tls)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);
        if (strncmp(address, schemes[i], len) == 0) {
            *tls = i == 1;
            return address + len;
        }
    }
    *tls = false;
    return address;
}

int page_link_open(const char *address, const struct evlog_settings *settings, int64_t timeout_ms,
                   struct page_link **link, struct el_error *err)
{
    bool tls = false;
    struct page_link *made = el_calloc(1, sizeof *made);
    if (made == NULL) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory");
    }
    made->fd = -1;
    int rc = split(after_scheme(address, &tls), made, err);
    rc = rc == 0 ? open_socket(made, timeout_ms, err) : rc;
    rc = rc == 0 && tls ? secure(made, settings, err) : rc;
    if (rc != 0) {
        page_link_close(made);
        return rc;
    }
    *link = made;
    return 0;
}

const char *page_link_host(const struct page_link *link)
{
    return link->place;
}

int page_link_send(struct page_link *link, struct el_slice data, struct el_error *err)
{
    if (link->tls == NULL) {
        return send_all(link, data, err);
    }
    int rc = 0;
    while (data.len > 0 && rc == 0) {
        struct el_tls_bytes bytes = {.out = link->out_bytes, .out_room = OUT_LEN};
        int64_t n = el_tls_write(link->tls, &bytes, data.data, data.len);
        rc = n <= 0 ? unreachable(link, "TLS cannot go on", err)
                    : send_all(link, el_slice_of(link->out_bytes, bytes.out_len), err);
        data = rc == 0 ? el_slice_of(data.data + n, data.len - (size_t)n) : data;
    }
    return rc;
}

int page_link_receive(struct page_link *link, struct el_buffer *answer, size_t len_max, struct el_error *err)
{
    if (link->tls != NULL) {
        return receive_sealed(link, answer, len_max, err);
    }
    int64_t n;
    while ((n = fill(link, err)) > 0) {
        el_buffer_append(answer, link->in, link->in_len);
        if (answer->err != 0 || answer->len > len_max) {
            return el_error_set(err, EVLOG_ERR_LIMIT, "the answer is too long");
        }
    }
    return (int)n;
}

void page_link_close(struct page_link *link)
{
    if (link == NULL) {
        return;
    }
    el_tls_free(link->tls);
    if (link->fd >= 0) {
        (void)close(link->fd);
    }
    explicit_bzero(link->out_bytes, sizeof link->out_bytes);
    el_free(link);
}
