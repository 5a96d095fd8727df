/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP/1.0, so that an answer ends where its connection does: no library for four pages.
 */
#include "http_page.h"

#include <core/base64.h>

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_MS 10000
#define HOST_MAX 256
#define WORD_MAX 1024

/* HOST:PORT or [ADDRESS]:PORT */
static int split(const char *address, char host[HOST_MAX], char port[8], struct el_error *err)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - address);
    bool bracketed = len >= 2 && address[0] == '[' && address[len - 1] == ']';
    const char *begin = bracketed ? address + 1 : address;
    len -= bracketed ? 2 : 0;
    if (colon == NULL || len == 0 || len >= HOST_MAX || strlen(colon + 1) > 5 || strlen(colon + 1) == 0) {
        return el_error_set(err, EVLOG_ERR_ARGUMENT, "%s is no HOST:PORT", address);
    }
    memcpy(host, begin, len);
    host[len] = '\0';
    (void)snprintf(port, 8, "%s", colon + 1);
    return 0;
}

static int open_socket(const char *host, const char *port, int64_t timeout_ms, int *fd, struct el_error *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct timeval wait = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, port, &hints, &list), reason = ECONNREFUSED;
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_UNREACHABLE, "%s: %s", host, gai_strerror(rc));
    }
    *fd = -1;
    for (struct addrinfo *at = list; at != NULL && *fd < 0; at = at->ai_next) {
        *fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        (void)setsockopt(*fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        (void)setsockopt(*fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
        if (*fd >= 0 && connect(*fd, at->ai_addr, at->ai_addrlen) != 0) {
            reason = errno == EINPROGRESS ? ETIMEDOUT : errno;
            (void)close(*fd);
            *fd = -1;
        }
    }
    freeaddrinfo(list);
    return *fd >= 0 ? 0 : el_error_set(err, EVLOG_ERR_UNREACHABLE, "%s:%s: %s", host, port, strerror(reason));
}

/* "Authorization: Basic ...\r\n" into the request, when there are credentials. returns 0 | CLI exit code, told */
static int add_credentials(const struct cli *cli, struct el_buffer *request)
{
    struct evlog_settings *settings = NULL;
    int rc = cli_settings(cli, &settings);
    if (rc != CLI_OK) {
        return rc;
    }
    const char *user = evlog_settings_get(settings, "sasl.username");
    const char *password = evlog_settings_get(settings, "sasl.password");
    char words[2 * WORD_MAX], text[4 * WORD_MAX];
    if (user != NULL && user[0] != '\0' && password != NULL && strlen(user) < WORD_MAX && strlen(password) < WORD_MAX) {
        int len = snprintf(words, sizeof words, "%s:%s", user, password);
        el_base64_encode(text, words, (size_t)len);
        el_buffer_printf(request, "Authorization: Basic %s\r\n", text);
        explicit_bzero(words, sizeof words);
        explicit_bzero(text, sizeof text);
    }
    evlog_settings_free(settings);
    return CLI_OK;
}

static bool send_all(int fd, struct el_slice data)
{
    while (data.len > 0) {
        ssize_t n = send(fd, data.data, data.len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        data = el_slice_of(data.data + n, data.len - (size_t)n);
    }
    return true;
}

static int receive_all(int fd, struct el_buffer *answer, struct el_error *err)
{
    uint8_t some[16384];
    ssize_t n;
    while ((n = recv(fd, some, sizeof some, 0)) > 0) {
        el_buffer_append(answer, some, (size_t)n);
        if (answer->err != 0 || answer->len > HTTP_PAGE_MAX) {
            return el_error_set(err, EVLOG_ERR_LIMIT, "the answer is too long");
        }
    }
    return n == 0 ? 0 : el_error_set(err, EVLOG_ERR_UNREACHABLE, "no answer: %s", strerror(errno));
}

static int take_answer(struct el_buffer *answer, struct http_page *page, struct el_error *err)
{
    const char *text = el_buffer_text(answer);
    const char *body = text == NULL ? NULL : strstr(text, "\r\n\r\n");
    if (body == NULL || sscanf(text, "HTTP/1.%*1[01] %3d", &page->status) != 1) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "what answers there does not speak HTTP");
    }
    el_buffer_append_str(&page->text, body + 4);
    return el_buffer_text(&page->text) != NULL ? 0 : el_error_set(err, EVLOG_ERR_NO_MEMORY, "no memory");
}

int http_page_get(const struct cli *cli, const char *address, const char *path, struct http_page *page,
                  struct el_error *err)
{
    char host[HOST_MAX], port[8];
    struct el_buffer request = {.err = 0}, answer = {.err = 0};
    int fd = -1;
    int rc = split(address, host, port, err);
    if (rc == 0) {
        rc = open_socket(host, port, cli->timeout_ms > 0 ? cli->timeout_ms : TIMEOUT_MS, &fd, err);
    }
    if (rc == 0) {
        el_buffer_printf(&request, "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n", path, address);
        bool told = add_credentials(cli, &request) == CLI_OK;
        el_buffer_append_str(&request, "\r\n");
        bool sent = told && request.err == 0 && send_all(fd, el_buffer_slice(&request));
        rc = sent ? 0 : el_error_set(err, EVLOG_ERR_UNREACHABLE, "%s: the request was not sent", address);
    }
    if (rc == 0) {
        rc = receive_all(fd, &answer, err);
    }
    if (rc == 0) {
        rc = take_answer(&answer, page, err);
    }
    if (request.data != NULL) {
        explicit_bzero(request.data, request.len);
    }
    el_buffer_free(&request);
    el_buffer_free(&answer);
    if (fd >= 0) {
        (void)close(fd);
    }
    return rc;
}

/* --- metrics ------------------------------------------------------------------------------------------------------ */

size_t http_page_samples(const char *text, const char *metric, http_sample_fn fn, void *arg)
{
    size_t name_len = strlen(metric), count = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line += line != NULL) {
        if (strncmp(line, metric, name_len) != 0 || (line[name_len] != '{' && line[name_len] != ' ')) {
            continue;
        }
        char labels[WORD_MAX] = "";
        const char *end = strchr(line, '\n'), *value = line + name_len;
        const char *last = end == NULL ? line + strlen(line) : end;
        while (last > value && last[-1] != ' ') {
            last--;
        }
        size_t labels_len = *value == '{' && last - value >= 3 ? (size_t)(last - value) - 3 : 0;
        if (labels_len >= sizeof labels) {
            continue;
        }
        memcpy(labels, value + 1, labels_len);
        labels[labels_len] = '\0';
        fn(arg, labels, strtod(last, NULL));
        count++;
    }
    return count;
}

bool http_page_label(const char *labels, const char *name, char *out, size_t room)
{
    size_t name_len = strlen(name);
    for (const char *at = labels; *at != '\0';) {
        const char *equals = strstr(at, "=\"");
        if (equals == NULL) {
            return false;
        }
        bool same = (size_t)(equals - at) == name_len && memcmp(at, name, name_len) == 0;
        const char *end = equals + 2;
        size_t len = 0;
        for (; *end != '"' && *end != '\0'; end++) {
            end += *end == '\\' && end[1] != '\0';
            if (same && len + 1 >= room) {
                return false;
            }
            if (same) {
                out[len++] = *end;
            }
        }
        if (same) {
            out[len] = '\0';
            return *end == '"';
        }
        at = *end == '"' && end[1] == ',' ? end + 2 : "";
    }
    return false;
}
