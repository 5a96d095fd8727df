/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: pages come through TLS as they come without, the judge hears who a certificate is, and strangers who only hold
 * connections keep nobody out. Method: a listener over real sockets; clients are the library's other end, blocking.
 */
#include <http/http.h>
#include <http/tls_gate.h>

#include "../../lib/certs.h"
#include "../../lib/test.h"

#include <core/alloc.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_S 60
#define PAGE_LEN (200u << 10) /* does not fit into the buffers on the way */

static char dir[512];
static struct metrics *metrics;
static struct el_tls_config *server_tls, *next_tls, *client_tls, *app_tls, *other_tls;
static _Atomic int judged; /* 0: not asked, 1: nobody, 2: the certificate's name */

static struct el_tls_config *open_config(bool server, const char *own, const char *ca)
{
    struct el_tls_config *made = NULL;
    struct el_error err = {0};
    struct el_tls_options options = {.server = server,
                                     .certificate_file = own == NULL ? NULL : cert_path(dir, own, "pem"),
                                     .key_file = own == NULL ? NULL : cert_path(dir, own, "key"),
                                     .ca_file = cert_path(dir, ca, "pem"),
                                     .auth = EL_TLS_AUTH_REQUESTED};
    if (el_tls_config_open(&options, &made, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return made;
}

static void make_certificates(void)
{
    if (dir[0] != 0) {
        return;
    }
    snprintf(dir, sizeof dir, "%s", el_test_dir());
    cert_make(dir, &(struct cert_wish){.name = "ca", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "other", .ca = true});
    cert_make(dir, &(struct cert_wish){.name = "server", .issuer = "ca", .ip = "127.0.0.1"});
    cert_make(dir, &(struct cert_wish){.name = "next", .issuer = "other", .ip = "127.0.0.1"});
    cert_make(dir, &(struct cert_wish){.name = "app", .issuer = "ca"});
    server_tls = open_config(true, "server", "ca");
    next_tls = open_config(true, "next", "ca");
    client_tls = open_config(false, NULL, "ca");
    app_tls = open_config(false, "app", "ca");
    other_tls = open_config(false, NULL, "other");
}

static int on_render(void *arg, char **text, size_t *len)
{
    *text = el_malloc(PAGE_LEN + 1);
    assert_non_null(*text);
    memset(*text, 'm', PAGE_LEN);
    (*text)[PAGE_LEN - 1] = '\n';
    (*text)[PAGE_LEN] = '\0';
    *len = PAGE_LEN;
    return 0;
}

static bool on_ready(void *arg, char *reason, size_t reason_max)
{
    return true;
}

static enum http_verdict on_judge(void *arg, const struct http_caller *caller, char *reason, size_t reason_max)
{
    assert_true(caller->secure);
    assert_true(caller->loopback);
    judged = caller->principal == NULL ? 1 : strcmp(caller->principal, "User:app") == 0 ? 2 : 3;
    return HTTP_ALLOWED;
}

static int on_name(void *arg, const struct principal_names *names, char *principal, size_t principal_max,
                   struct principal_refusal *refusal)
{
    snprintf(principal, principal_max, "User:app");
    *refusal = (struct principal_refusal){"a test wants it so", "name_unmapped"};
    return *(const bool *)arg ? EVLOG_ERR_NOT_FOUND : 0;
}

static bool names_nobody;
static pthread_mutex_t told_lock = PTHREAD_MUTEX_INITIALIZER;
static char told[512]; /* how handshakes ended: "ok User:app;no_tls;" */

static void on_shaken(void *arg, const struct net_handshake *handshake)
{
    static const uint8_t nothing[sizeof handshake->certificate];
    char address[64];
    (void)arg;
    snprintf(address, sizeof address, "%.*s", (int)handshake->address.len, (const char *)handshake->address.data);
    (void)pthread_mutex_lock(&told_lock);
    size_t len = strlen(told);
    if (handshake->principal != NULL) {
        assert_string_equal(handshake->version, "TLSv1.2");
        assert_memory_not_equal(handshake->certificate, nothing, sizeof nothing);
        snprintf(told + len, sizeof told - len, "ok %s %s;", handshake->principal, address);
    } else {
        snprintf(told + len, sizeof told - len, "%s;", handshake->failure);
    }
    (void)pthread_mutex_unlock(&told_lock);
}

/* After the stop. */
static void assert_told(const char *text)
{
    assert_string_equal(told, text);
}

static struct http *start(uint16_t *port)
{
    struct http *http = NULL;
    struct el_error err = {.code = 0};
    make_certificates();
    if (metrics == NULL) {
        assert_int_equal(metrics_create(&metrics), 0);
    }
    names_nobody = false;
    told[0] = '\0';
    judged = 0;
    const struct http_config cfg = {.host = "127.0.0.1",
                                    .tls = server_tls,
                                    .metrics = metrics,
                                    .name = on_name,
                                    .shaken = on_shaken,
                                    .render_metrics = on_render,
                                    .ready = on_ready,
                                    .judge = on_judge,
                                    .arg = &names_nobody};
    if (http_start(&cfg, &http, port, &err) != 0) {
        fail_msg("%s", err.text);
    }
    return http;
}

/* --- a client ----------------------------------------------------------------------------------------------------- */

/* from: an address of the loopback that the client has */
static int connect_from(const char *from, uint16_t port)
{
    struct sockaddr_in own = {.sin_family = AF_INET}, address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval deadline = {.tv_sec = DEADLINE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(inet_pton(AF_INET, from, &own.sin_addr), 1);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&own, sizeof own), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

struct client {
    int fd;
    struct el_tls *tls;
    const uint8_t *in;
    size_t in_len;
    uint8_t in_bytes[4096], out[2 * EL_TLS_ROOM_MIN];
};

static struct el_tls_bytes bytes_of(struct client *client)
{
    return (struct el_tls_bytes){
        .in = client->in, .in_len = client->in_len, .out = client->out, .out_room = sizeof client->out};
}

static void take_back(struct client *client, const struct el_tls_bytes *bytes)
{
    client->in = bytes->in;
    client->in_len = bytes->in_len;
    if (bytes->out_len > 0) {
        (void)send(client->fd, client->out, bytes->out_len, MSG_NOSIGNAL);
    }
}

static bool fill(struct client *client)
{
    ssize_t n = recv(client->fd, client->in_bytes, sizeof client->in_bytes, 0);
    client->in = client->in_bytes;
    client->in_len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Of a connected client. returns false when the handshake fails */
static bool greet(struct client *client)
{
    struct el_error err = {0};
    int rc = EL_TLS_WANT_OUT;
    while (rc == EL_TLS_WANT_OUT || (rc == EL_TLS_WANT_IN && fill(client))) {
        struct el_tls_bytes bytes = bytes_of(client);
        rc = el_tls_handshake(client->tls, &bytes, &err);
        take_back(client, &bytes);
    }
    return rc == EL_TLS_DONE;
}

static bool shake(struct client *client, struct el_tls_config *config, const char *from, uint16_t port)
{
    *client = (struct client){.fd = connect_from(from, port), .tls = el_tls_new(config, "127.0.0.1")};
    assert_non_null(client->tls);
    return greet(client);
}

static void leave(struct client *client)
{
    el_tls_free(client->tls);
    close(client->fd);
}

static void say(struct client *client, const char *text)
{
    struct el_tls_bytes bytes = bytes_of(client);
    assert_int_equal(el_tls_write(client->tls, &bytes, text, strlen(text)), strlen(text));
    take_back(client, &bytes);
}

/* All that comes, into answer[max]. returns true when the other side has said its end */
static bool hear(struct client *client, char *answer, size_t max)
{
    size_t used = 0;
    int64_t n = 0;
    while (n >= 0 && used + 1 < max) {
        struct el_tls_bytes bytes = bytes_of(client);
        n = el_tls_read(client->tls, &bytes, answer + used, max - 1 - used);
        take_back(client, &bytes);
        used += n > 0 ? (size_t)n : 0;
        if (n == 0 && !fill(client)) {
            break;
        }
    }
    answer[used] = '\0';
    return n == EVLOG_ERR_CLOSED;
}

/* A request with "Connection: close"; static storage. NULL: no handshake */
static const char *ask_as(struct el_tls_config *config, const char *from, uint16_t port, const char *path)
{
    static char answer[PAGE_LEN + 4096];
    char request[256];
    struct client client;
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", path);
    bool shaken = shake(&client, config, from, port);
    if (shaken) {
        say(&client, request);
        shaken = hear(&client, answer, sizeof answer);
    }
    leave(&client);
    return shaken ? answer : NULL;
}

static void assert_answers(const char *answer, const char *text)
{
    assert_non_null(answer);
    if (strstr(answer, text) == NULL) {
        fail_msg("no \"%s\" in:\n%.400s", text, answer);
    }
}

/* Until an answer comes, for as long as strangers may hold others up. */
static void ask_until_answered(const char *from, uint16_t port)
{
    time_t until = time(NULL) + DEADLINE_S;
    const char *answer = NULL;
    while (answer == NULL && time(NULL) < until) {
        answer = ask_as(client_tls, from, port, "/health/live");
    }
    assert_answers(answer, " 200 ");
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

TEST(tls_gate, who_does_not_speak_it_is_closed_and_others_go_on)
{
    uint16_t port;
    char byte;
    struct http *http = start(&port);
    int64_t before = metrics_get(metrics, METRIC_TLS_REFUSED);
    int fd = connect_from("127.0.0.1", port);
    assert_int_equal(send(fd, "GET /metrics HTTP/1.1\r\n\r\n", 25, MSG_NOSIGNAL), 25);
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
    fd = connect_from("127.0.0.1", port);
    assert_int_equal(send(fd, "\x16\x03\x01\xff\xff garbage of a hello that is not one", 40, MSG_NOSIGNAL), 40);
    close(fd);
    assert_answers(ask_as(client_tls, "127.0.0.1", port, "/health/live"), " 200 ");
    assert_int_equal(judged, 0);
    http_stop(http);
    assert_true(metrics_get(metrics, METRIC_TLS_REFUSED) > before);
    assert_int_equal(metrics_get(metrics, METRIC_TLS_HALF_OPEN), 0);
    assert_memory_equal(told, "no_tls;", 7);
    assert_null(strstr(told, "ok"));
}

TEST(tls_gate, a_name_that_is_refused_is_no_connection)
{
    uint16_t port;
    struct http *http = start(&port);
    names_nobody = true;
    assert_null(ask_as(app_tls, "127.0.0.1", port, "/metrics"));
    assert_int_equal(judged, 0);
    assert_answers(ask_as(client_tls, "127.0.0.1", port, "/metrics"), " 200 ");
    http_stop(http);
    assert_told("name_unmapped;");
}

TEST(tls_gate, a_whole_page_comes_with_its_end_said)
{
    uint16_t port;
    struct http *http = start(&port);
    const char *answer = ask_as(client_tls, "127.0.0.1", port, "/metrics");
    assert_answers(answer, "HTTP/1.1 200 ");
    const char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    assert_int_equal(strspn(body + 4, "m"), PAGE_LEN - 1);
    assert_int_equal(judged, 1);
    assert_answers(ask_as(client_tls, "127.0.0.1", port, "/nothing"), " 404 ");
    http_stop(http);
}

TEST(tls_gate, the_judge_hears_the_name_of_a_certificate)
{
    uint16_t port;
    struct http *http = start(&port);
    for (int i = 0; i < 8; i++) { /* places of connections are used again */
        assert_answers(ask_as(app_tls, "127.0.0.1", port, "/metrics"), " 200 ");
        assert_int_equal(judged, 2);
        assert_answers(ask_as(client_tls, "127.0.0.1", port, "/metrics"), " 200 ");
        assert_int_equal(judged, 1);
    }
    http_stop(http);
    for (const char *at = told; *at != '\0'; at += strlen("ok User:app 127.0.0.1;")) {
        assert_memory_equal(at, "ok User:app 127.0.0.1;", strlen("ok User:app 127.0.0.1;"));
    }
    assert_int_equal(strlen(told), 8 * strlen("ok User:app 127.0.0.1;"));
}

TEST(tls_gate, requests_of_one_connection_and_bytes_one_by_one)
{
    static const char first[] = "GET /version HTTP/1.1\r\nHost: t\r\n\r\n";
    static const char last[] = "GET /health/live HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    static char answer[4096];
    uint16_t port;
    struct client client;
    struct http *http = start(&port);
    assert_true(shake(&client, client_tls, "127.0.0.1", port));
    say(&client, first);
    for (size_t i = 0; i < strlen(last); i++) {
        say(&client, (char[]){last[i], 0});
    }
    assert_true(hear(&client, answer, sizeof answer));
    assert_answers(answer, "\"name\":\"evlogd\"");
    assert_answers(answer, "\"status\":\"live\"");
    leave(&client);
    http_stop(http);
}

TEST(tls_gate, headers_that_are_too_long_are_refused)
{
    static char answer[4096];
    uint16_t port;
    struct client client;
    struct http *http = start(&port);
    char *huge = el_calloc(1, 8001);
    assert_non_null(huge);
    memset(huge, 'a', 8000);
    assert_true(shake(&client, client_tls, "127.0.0.1", port));
    say(&client, "GET /version HTTP/1.1\r\nX: ");
    for (int i = 0; i < 8; i++) {
        say(&client, huge);
    }
    (void)hear(&client, answer, sizeof answer);
    assert_answers(answer, "HTTP/1.1 431 ");
    el_free(huge);
    leave(&client);
    assert_answers(ask_as(client_tls, "127.0.0.1", port, "/version"), " 200 ");
    http_stop(http);
}

/* One crowd fills what an address may have, two fill all there is. returns true when somebody was served while most of
 * them were still there: their time was not up */
static bool serves_in_a_crowd(uint16_t port)
{
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.2"};
    int fds[TLS_GATE_COUNT_MAX];
    for (size_t i = 0; i < TLS_GATE_COUNT_MAX; i++) {
        fds[i] = connect_from(addresses[i / TLS_GATE_COUNT_PER_IP_MAX], port);
        assert_int_equal(send(fds[i], "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    }
    ask_until_answered("127.0.0.1", port);
    ask_until_answered("127.0.0.3", port);
    bool crowd = metrics_get(metrics, METRIC_TLS_HALF_OPEN) > TLS_GATE_COUNT_MAX / 2;
    for (size_t i = 0; i < TLS_GATE_COUNT_MAX; i++) {
        close(fds[i]);
    }
    return crowd;
}

TEST(tls_gate, a_crowd_that_only_connects_keeps_nobody_out)
{
    uint16_t port;
    struct http *http = start(&port);
    bool served = false;
    for (int i = 0; i < 5 && !served; i++) { /* a machine that is slow enough sees the crowd out first */
        served = serves_in_a_crowd(port);
    }
    http_stop(http);
    assert_true(served);
    assert_int_equal(metrics_get(metrics, METRIC_TLS_HALF_OPEN), 0);
}

/* It asks for many pages, and takes none. */
TEST(tls_gate, a_client_that_does_not_read_holds_up_nobody)
{
    uint16_t port;
    struct client slow;
    struct http *http = start(&port);
    assert_true(shake(&slow, client_tls, "127.0.0.1", port));
    for (int i = 0; i < 100; i++) {
        say(&slow, "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
    }
    for (int i = 0; i < 10; i++) {
        assert_answers(ask_as(client_tls, "127.0.0.1", port, "/metrics"), " 200 ");
    }
    http_stop(http); /* does not wait for it */
    leave(&slow);
}

TEST(tls_gate, new_connections_get_the_new_certificate)
{
    static char answer[4096];
    uint16_t port;
    struct client old;
    struct http *http = start(&port);
    assert_true(shake(&old, client_tls, "127.0.0.1", port));
    http_renew_tls(http, next_tls);
    assert_null(ask_as(client_tls, "127.0.0.1", port, "/version"));
    assert_answers(ask_as(other_tls, "127.0.0.1", port, "/version"), " 200 ");
    say(&old, "GET /version HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    assert_true(hear(&old, answer, sizeof answer));
    assert_answers(answer, " 200 ");
    leave(&old);
    http_stop(http);
}

static void *hurry(void *arg)
{
    uint16_t port = *(const uint16_t *)arg;
    for (int i = 0; i < 40; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
        struct timeval deadline = {.tv_sec = DEADLINE_S};
        struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)setsockopt(client.fd, SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof deadline);
        client.tls = el_tls_new(client_tls, "127.0.0.1");
        if (connect(client.fd, (struct sockaddr *)&address, sizeof address) == 0 && greet(&client)) {
            say(&client, "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n");
        }
        leave(&client);
    }
    return NULL;
}

TEST(tls_gate, a_stop_amid_clients_does_no_harm)
{
    pthread_t threads[4];
    uint16_t port;
    struct http *http = start(&port);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, hurry, &port), 0);
    }
    time_t until = time(NULL) + DEADLINE_S;
    while (judged == 0 && time(NULL) < until) {
        sched_yield();
    }
    http_stop(http);
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(judged != 0);
    assert_int_equal(metrics_get(metrics, METRIC_TLS_HALF_OPEN), 0);
}
