/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the HTTP port answers its four pages, refuses everything else in a form that programs read, and survives
 * clients that misbehave. Method: a listener on a port of the kernel's choice, spoken to through a raw socket.
 */
#include <http/http.h>

#include "../../lib/test.h"

#include <core/alloc.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_S 20

/* What the callbacks say; set before the request that asks for it. */
static struct {
    _Atomic int render_result;
    const char *_Atomic not_ready;
    const char *_Atomic warning;
    const char *_Atomic dead;
    _Atomic int verdict; /* enum http_verdict of whoever comes without an Authorization header */
} says;

static int on_render(void *arg, char **text, size_t *len)
{
    assert_ptr_equal(arg, &says);
    int result = says.render_result;
    if (result != 0) {
        return result;
    }
    *text = el_strdup("evlog_test 1\n");
    *len = 13;
    return 0;
}

static bool on_ready(void *arg, char *reason, size_t reason_max)
{
    assert_ptr_equal(arg, &says);
    const char *not_ready = says.not_ready, *text = not_ready != NULL ? not_ready : says.warning;
    if (text != NULL) {
        snprintf(reason, reason_max, "%s", text);
    }
    return not_ready == NULL;
}

static enum http_verdict on_judge(void *arg, const struct http_caller *caller, char *reason, size_t reason_max)
{
    assert_ptr_equal(arg, &says);
    assert_string_equal(caller->address, "127.0.0.1");
    assert_true(caller->loopback);
    snprintf(reason, reason_max, "because of %d", says.verdict);
    return caller->authorization == NULL ? (enum http_verdict)says.verdict : HTTP_ALLOWED;
}

static bool on_live(void *arg, char *reason, size_t reason_max)
{
    assert_ptr_equal(arg, &says);
    const char *dead = says.dead;
    if (dead != NULL) {
        snprintf(reason, reason_max, "%s", dead);
    }
    return dead == NULL;
}

static struct http *start_at(const char *host, uint16_t *port)
{
    const struct http_config cfg = {
        .host = host, .render_metrics = on_render, .ready = on_ready, .live = on_live, .judge = on_judge, .arg = &says};
    struct http *http = NULL;
    struct el_error err = {.code = 0};
    says.verdict = HTTP_ALLOWED;
    says.render_result = 0;
    says.not_ready = says.warning = NULL;
    says.dead = NULL;
    *port = 0;
    if (http_start(&cfg, &http, port, &err) != 0) {
        fail_msg("%s", err.text);
    }
    assert_true(*port != 0);
    return http;
}

static struct http *start(uint16_t *port)
{
    return start_at("127.0.0.1", port);
}

/* returns a socket, or -1 when nobody listens */
static int try_connect(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval deadline = {.tv_sec = DEADLINE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int connect_to(uint16_t port)
{
    int fd = try_connect(port);
    assert_true(fd >= 0);
    return fd;
}

/* Send a request and read until the other side closes. Static storage. */
static const char *ask(uint16_t port, const void *request, size_t request_len)
{
    static char answer[65536];
    size_t used = 0;
    int fd = connect_to(port);
    assert_int_equal(send(fd, request, request_len, MSG_NOSIGNAL), (ssize_t)request_len);
    for (;;) {
        ssize_t n = recv(fd, answer + used, sizeof answer - 1 - used, 0);
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    answer[used] = 0;
    close(fd);
    return answer;
}

/* Send what the listener may not want to hear to its end, and hang up. */
static void send_and_leave(uint16_t port, const void *bytes, size_t len)
{
    int fd = connect_to(port);
    ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
    assert_true(sent > 0 || sent == -1);
    close(fd);
}

static const char *ask_line(uint16_t port, const char *line)
{
    char request[1024];
    int len = snprintf(request, sizeof request, "%s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", line);
    return ask(port, request, (size_t)len);
}

static void assert_holds(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL) {
        fail_msg("no \"%s\" in:\n%s", text, answer);
    }
}

TEST(http, unknown_paths_are_problems)
{
    uint16_t port;
    struct http *http = start(&port);
    const char *answer = ask_line(port, "GET /nothing");
    assert_holds(answer, "HTTP/1.1 404 ");
    assert_holds(answer, "Content-Type: application/problem+json\r\n");
    assert_holds(answer, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
                         "\"detail\":\"there is nothing at /nothing\"}");
    assert_holds(ask_line(port, "GET /metrics/"), " 404 ");
    assert_holds(ask_line(port, "GET /METRICS"), " 404 ");
    assert_holds(ask_line(port, "GET /"), " 404 ");
    assert_holds(ask_line(port, "POST /nothing"), " 404 ");
    http_stop(http);
}

TEST(http, hostile_paths_cannot_leave_their_string)
{
    uint16_t port;
    struct http *http = start(&port);
    const char *answer = ask_line(port, "GET /%22%2C%22x%22%3A%22%0d%0aSet-Cookie:a");
    assert_holds(answer, " 404 ");
    assert_holds(answer, "/\\\",\\\"x\\\":\\\"");
    assert_null(strstr(answer, "\nSet-Cookie"));
    assert_holds(ask_line(port, "GET /%ff%fe"), "\"status\":404,\"detail\":\"there is nothing at /??\"}");
    http_stop(http);
}

TEST(http, other_methods_are_refused_with_what_is_allowed)
{
    static const char *const lines[] = {"POST /metrics",        "PUT /health/ready", "DELETE /version",
                                        "OPTIONS /health/live", "get /metrics",      "BREW /metrics"};
    uint16_t port;
    struct http *http = start(&port);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *answer = ask_line(port, lines[i]);
        assert_holds(answer, "HTTP/1.1 405 ");
        assert_holds(answer, "Allow: GET, HEAD\r\n");
        assert_holds(answer, "\"status\":405");
    }
    http_stop(http);
}

TEST(http, a_body_is_read_and_refused)
{
    static const char request[] =
        "POST /metrics HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    uint16_t port;
    struct http *http = start(&port);
    assert_holds(ask(port, request, sizeof request - 1), " 405 ");
    http_stop(http);
}

/* Begin a request whose headers are longer than the listener takes, and hang up. returns false when nobody listens */
static bool ask_too_much(uint16_t port)
{
    enum { LONG_LEN = 200000 };
    int fd = try_connect(port);
    if (fd < 0) {
        return false;
    }
    char *huge = malloc(LONG_LEN);
    assert_non_null(huge);
    memset(huge, 'a', LONG_LEN);
    memcpy(huge, "GET /metrics HTTP/1.1\r\nX: ", 26);
    (void)send(fd, huge, LONG_LEN, MSG_NOSIGNAL | MSG_DONTWAIT);
    free(huge);
    close(fd);
    return true;
}

TEST(http, garbage_and_huge_headers_do_no_harm)
{
    uint16_t port;
    struct http *http = start(&port);
    assert_true(ask_too_much(port));
    send_and_leave(port, "\0\1\2\3\r\n\r\n", 8);
    send_and_leave(port, "GET\r\n\r\n", 7);
    send_and_leave(port, "GET /metrics HTTP/1.1\r\nHost: te", 32);
    assert_holds(ask_line(port, "GET /health/live"), " 200 ");
    http_stop(http);
}

/* Ask until there is an answer: who comes while the listener is at its limit of connections is hung up on. */
static void ask_until_answered(uint16_t port)
{
    for (int i = 0; i < 10000; i++) {
        if (strstr(ask_line(port, "GET /health/live"), " 200 ") != NULL) {
            return;
        }
    }
    fail_msg("no answer");
}

/* libmicrohttpd 0.9.75 with epoll sleeps for ever once it is at its limit of connections, and follows a null pointer
 * when it refuses a request while another thread stops it: half of the runs of this ended so. */
TEST(http, a_stop_amid_more_clients_than_it_takes_does_no_harm)
{
    uint16_t port;
    struct http *http = start(&port);
    for (int i = 0; i < 500; i++) {
        assert_true(ask_too_much(port));
    }
    ask_until_answered(port);
    http_stop(http);
}

TEST(http, a_port_in_use_is_refused_with_a_way_out)
{
    uint16_t port, second_port = 0;
    struct http *http = start(&port), *second = NULL;
    struct el_error err = {.code = 0};
    const struct http_config cfg = {
        .host = "127.0.0.1", .port = port, .render_metrics = on_render, .ready = on_ready, .arg = &says};
    assert_true(http_start(&cfg, &second, &second_port, &err) < 0);
    assert_holds(err.text, "--http=off");
    assert_null(second);
    http_stop(http);
    assert_int_equal(http_start(&cfg, &second, &second_port, &err), 0);
    assert_int_equal(second_port, port);
    http_stop(second);
    http_stop(NULL);
}

TEST(http, an_unknown_host_is_refused)
{
    const struct http_config cfg = {
        .host = "256.256.256.256", .render_metrics = on_render, .ready = on_ready, .arg = &says};
    struct http *http = NULL;
    struct el_error err = {.code = 0};
    uint16_t port = 0;
    assert_int_equal(http_start(&cfg, &http, &port, &err), EVLOG_ERR_ARGUMENT);
    assert_holds(err.text, "http address 256.256.256.256");
}

TEST(http, not_ready_is_503_with_the_reason)
{
    uint16_t port;
    struct http *http = start(&port);
    says.not_ready = "shard 1 is read-only: \"disk\" failed";
    const char *answer = ask_line(port, "GET /health/ready");
    assert_holds(answer, "HTTP/1.1 503 ");
    assert_holds(answer, "\"detail\":\"shard 1 is read-only: \\\"disk\\\" failed\"");
    assert_holds(ask_line(port, "GET /health/live"), " 200 ");
    says.not_ready = NULL;
    assert_holds(ask_line(port, "GET /health/ready"), "{\"status\":\"ready\"}");
    http_stop(http);
}

/* Names of files are any bytes, and long texts are cut in the middle of a character. */
TEST(http, what_is_no_utf8_hides_no_reason)
{
    uint16_t port;
    struct http *http = start(&port);
    says.warning = "archiving has ended for good: stra\xc3\x9f"
                   "e\xc3";
    assert_holds(ask_line(port, "GET /health/ready"), "\"warning\":\"archiving has ended for good: stra??e?\"");
    says.warning = "late: stra\xc3\x9f"
                   "e";
    assert_holds(ask_line(port, "GET /health/ready"), "\"warning\":\"late: stra\xc3\x9f"
                                                      "e\"");
    says.not_ready = "\xff is full";
    assert_holds(ask_line(port, "GET /health/ready"), "\"detail\":\"? is full\"");
    http_stop(http);
}

TEST(http, what_does_not_come_back_is_not_live)
{
    uint16_t port;
    struct http *http = start(&port);
    says.dead = "shard 0 has answered nobody for 130 s";
    const char *answer = ask_line(port, "GET /health/live");
    assert_holds(answer, "HTTP/1.1 503 ");
    assert_holds(answer, "\"detail\":\"shard 0 has answered nobody for 130 s\"");
    says.dead = NULL;
    assert_holds(ask_line(port, "GET /health/live"), "{\"status\":\"live\"}");
    http_stop(http);
}

TEST(http, metrics_are_for_whom_the_judge_lets_in)
{
    static const struct {
        enum http_verdict verdict;
        const char *status, *header;
    } rows[] = {
        {HTTP_WHO, "HTTP/1.1 401 ", "WWW-Authenticate: Basic realm=\"evlog\", charset=\"UTF-8\"\r\n"},
        {HTTP_DENIED, "HTTP/1.1 403 ", "application/problem+json"},
        {HTTP_TOO_MANY, "HTTP/1.1 429 ", "Retry-After: 1\r\n"},
        {HTTP_NOT_NOW, "HTTP/1.1 503 ", "Retry-After: 1\r\n"},
    };
    uint16_t port;
    struct http *http = start(&port);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char reason[64];
        says.verdict = rows[i].verdict;
        snprintf(reason, sizeof reason, "\"detail\":\"because of %d\"", (int)rows[i].verdict);
        const char *answer = ask_line(port, "GET /metrics");
        assert_holds(answer, rows[i].status);
        assert_holds(answer, rows[i].header);
        assert_holds(answer, reason);
        assert_null(strstr(answer, "evlog_test"));
        assert_holds(ask_line(port, "GET /health/live"), " 200 ");
        assert_holds(ask_line(port, "GET /health/ready"), " 200 ");
        assert_holds(ask_line(port, "GET /version"), " 200 ");
        assert_holds(ask_line(port, "POST /metrics"), " 405 ");
    }
    static const char known[] =
        "GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Basic x\r\nConnection: close\r\n\r\n";
    assert_holds(ask(port, known, sizeof known - 1), "evlog_test 1");
    http_stop(http);
}

/* Or a rule about 127.0.0.1 would be about nobody: on_judge() looks. */
TEST(http, a_client_of_ipv4_at_a_port_of_ipv6_has_its_address)
{
    uint16_t port;
    struct http *http = start_at("::", &port);
    says.verdict = HTTP_DENIED;
    assert_holds(ask_line(port, "GET /metrics"), " 403 ");
    http_stop(http);
}

TEST(http, a_page_that_fails_is_500)
{
    uint16_t port;
    struct http *http = start(&port);
    says.render_result = EVLOG_ERR_NO_MEMORY;
    const char *answer = ask_line(port, "GET /metrics");
    assert_holds(answer, "HTTP/1.1 500 ");
    assert_holds(answer, "out of memory budget");
    http_stop(http);
}

TEST(http, pages_are_served)
{
    uint16_t port;
    struct http *http = start(&port);
    const char *answer = ask_line(port, "GET /metrics");
    assert_holds(answer, "HTTP/1.1 200 ");
    assert_holds(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    assert_holds(answer, "Cache-Control: no-store\r\n");
    assert_holds(answer, "\r\n\r\nevlog_test 1\n");
    assert_holds(ask_line(port, "GET /metrics?x=1"), " 200 ");
    assert_holds(ask_line(port, "GET /version"), "{\"name\":\"evlogd\",\"version\":\"" EVLOG_VERSION "\"}");
    answer = ask_line(port, "HEAD /metrics");
    assert_holds(answer, "Content-Length: 13\r\n");
    assert_null(strstr(answer, "evlog_test"));
    http_stop(http);
}

TEST(http, stop_does_not_wait_for_idle_clients)
{
    uint16_t port;
    char byte;
    struct http *http = start(&port);
    int fd = connect_to(port);
    http_stop(http);
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}
