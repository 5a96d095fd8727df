/* SPDX-License-Identifier: Apache-2.0 */
#include "toy.h"

#include <core/alloc.h>
#include <core/logger.h>
#include <wire/msg_metadata.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUDDY_LEN (512u << 20)
#define TICK_NS 1000000u /* the clients are looked at again after so long at most */

static void on_abandon(struct request *request)
{
    struct toy *toy = request->user;
    assert_true(request_abandoned(request));
    assert_string_equal(request_peer(request), "gone");
    assert_null(request_conn_user(request));
    toy->abandon_count++;
}

static void hold(struct toy *toy, struct request *request)
{
    assert_true(toy->held_count < TOY_HELD_MAX);
    request->user = toy;
    request->on_abandon = on_abandon;
    toy->held[toy->held_count++] = request;
}

static void answer_big(struct request *request)
{
    assert_true(request->body.len >= 5);
    size_t len = el_get_be32(request->body.data + 1);
    uint8_t *body = malloc(len + 1);
    assert_non_null(body);
    for (size_t i = 0; i < len; i++) {
        body[i] = (uint8_t)(i * 31 + (size_t)request->correlation_id);
    }
    request_reply_bytes(request, body, len);
    free(body);
}

/* An answer that cannot be encoded: Metadata has no such version. */
static void answer_wrongly(struct request *request)
{
    struct el_msg_metadata_response *response = el_arena_alloc(&request->arena, sizeof(*response));
    assert_non_null(response);
    el_schema_init(&el_schema_metadata_response, response);
    request->api_version = 99;
    request_reply(request, &el_schema_metadata_response, response);
}

static void answer_well(struct request *request)
{
    struct el_msg_metadata_response *response = el_arena_alloc(&request->arena, sizeof(*response));
    assert_non_null(response);
    el_schema_init(&el_schema_metadata_response, response);
    request_reply(request, &el_schema_metadata_response, response);
}

static void dispatch(void *arg, struct request *request)
{
    struct toy *toy = arg;
    toy->dispatch_count++;
    assert_true(request->received_ns > 0);
    if (request->api == NULL || request->body.len == 0) {
        request_refuse(request, "no such order");
        return;
    }
    void **user = request_conn_user(request);
    *user = toy;
    switch (request->body.data[0]) {
    case 'e':
        request_reply_bytes(request, request->body.data, request->body.len);
        break;
    case 'h':
        hold(toy, request);
        break;
    case 'b':
        answer_big(request);
        break;
    case 't':
        request_throttle(request, (uint32_t)request->body.data[1]);
        answer_well(request);
        break;
    case 'm':
        answer_well(request);
        break;
    case 'x':
        answer_wrongly(request);
        break;
    case 's':
        request_end_silent(request);
        break;
    case 'r':
        request_refuse(request, "refused on purpose");
        break;
    default:
        fail_msg("order %c", request->body.data[0]);
    }
}

static void conn_closed(void *arg, void *conn_user)
{
    struct toy *toy = arg;
    assert_ptr_equal(conn_user, toy);
    toy->closed_count++;
}

static void log_line(void *arg, enum el_log_level level, const char *area, const char *text)
{
    struct toy *toy = arg;
    size_t len = strlen(toy->log);
    snprintf(toy->log + len, sizeof(toy->log) - len, "%s: %s\n", area, text);
}

static void on_stopped(void *arg)
{
    struct toy *toy = arg;
    toy->stopped_count++;
    net_free(toy->net);
    toy->net = NULL;
}

void toy_step(struct toy *toy)
{
    io_step(toy->io, io_mono(toy->io) + TICK_NS);
}

void toy_answer(struct toy *toy, uint32_t index)
{
    assert_true(index < toy->held_count);
    struct request *request = toy->held[index];
    memmove(&toy->held[index], &toy->held[index + 1], (--toy->held_count - index) * sizeof(toy->held[0]));
    request_reply_bytes(request, request->body.data, request->body.len);
}

void toy_begin_stop(struct toy *toy)
{
    net_stop(toy->net, io_mono(toy->io) + 60000000000u, on_stopped, toy);
}

void toy_stop(struct toy *toy)
{
    if (net_stopping(toy->net)) {
        return;
    }
    net_stop(toy->net, io_mono(toy->io), on_stopped, toy);
    while (toy->held_count > 0) {
        toy_answer(toy, 0);
    }
    TOY_UNTIL(toy, toy->stopped_count == 1);
}

void toy_run(bool uring, toy_config_fn config, toy_fn body)
{
    struct toy *toy = calloc(1, sizeof(*toy));
    struct el_error err = {0};
    assert_non_null(toy);
    assert_int_equal(disk_posix_open(el_test_dir(), &toy->disk), 0);
    struct io_config io_config = {.disk = toy->disk, .shard_count = 1, .lock_fd = -1};
    int rc = uring ? io_uring_open(&io_config, &toy->io, &err) : io_posix_open(&io_config, &toy->io, &err);
    if (rc == EVLOG_ERR_UNSUPPORTED && uring) {
        disk_posix_close(toy->disk);
        free(toy);
        el_test_skip(err.text);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(el_buddy_init(&toy->buddy, BUDDY_LEN, &err), 0);
    assert_int_equal(metrics_create(&toy->metrics), 0);
    toy->listeners[0] = (struct config_listener){.name = "PLAINTEXT", .address = {.host = "127.0.0.1"}};
    toy->config = (struct net_config){.listeners = toy->listeners,
                                      .listener_count = 1,
                                      .dispatch = dispatch,
                                      .arg = toy,
                                      .conn_closed = conn_closed,
                                      .census = &toy->census};
    if (config != NULL) {
        config(&toy->config);
    }
    el_log_sink(log_line, toy);
    rc = net_start(toy->io, &toy->buddy, toy->metrics, &toy->config, &toy->net, &err);
    assert_int_equal(rc, 0);
    toy->buddy_used_first = toy->buddy.used;
    el_alloc_seal(true); /* net and io live on the shard's memory alone */
    body(toy);
    if (toy->net != NULL) {
        toy_stop(toy);
    }
    el_alloc_seal(false);
    assert_int_equal(toy->stopped_count, 1);
    assert_int_equal(toy->buddy.used, 0); /* nothing leaked */
    assert_int_equal(toy->io->op_count, 0);
    assert_int_equal(metrics_get(toy->metrics, METRIC_CONNECTIONS), 0);
    el_log_sink(NULL, NULL);
    io_destroy(toy->io);
    metrics_destroy(toy->metrics);
    el_buddy_destroy(&toy->buddy);
    disk_posix_close(toy->disk);
    free(toy);
}

/* --- clients ---------------------------------------------------------------------------------------------------- */

int toy_connect(struct toy *toy)
{
    return toy_connect_to(toy, 0);
}

int toy_connect_to(struct toy *toy, uint32_t listener_index)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(net_port(toy->net, listener_index))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

void toy_send(struct toy *toy, int fd, const void *data, size_t len)
{
    const uint8_t *p = data;
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            toy_step(toy);
            continue;
        }
        p += n;
        len -= (size_t)n;
    }
}

size_t toy_frame(uint8_t *frame, int32_t correlation_id, const void *body, size_t body_len)
{
    el_put_be32(frame, (uint32_t)(10 + body_len));
    el_put_be16(frame + 4, 3);
    el_put_be16(frame + 6, 0);
    el_put_be32(frame + 8, (uint32_t)correlation_id);
    el_put_be16(frame + 12, 0xffff);
    memcpy(frame + 14, body, body_len);
    return 14 + body_len;
}

void toy_request(struct toy *toy, int fd, int32_t correlation_id, const char *body)
{
    uint8_t frame[1024];
    assert_true(strlen(body) < sizeof(frame) - 14);
    toy_send(toy, fd, frame, toy_frame(frame, correlation_id, body, strlen(body)));
}

static void receive_all(struct toy *toy, int fd, uint8_t *data, size_t len)
{
    uint64_t until_ns = io_mono(toy->io) + 60000000000u;
    while (len > 0) {
        ssize_t n = recv(fd, data, len, MSG_DONTWAIT);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(io_mono(toy->io) < until_ns);
            toy_step(toy);
            continue;
        }
        assert_true(n > 0);
        data += n;
        len -= (size_t)n;
    }
}

size_t toy_receive(struct toy *toy, int fd, int32_t *correlation_id, void *body, size_t body_max)
{
    uint8_t head[8];
    receive_all(toy, fd, head, sizeof(head));
    size_t len = el_get_be32(head);
    assert_true(len >= 4);
    assert_true(len - 4 <= body_max);
    *correlation_id = (int32_t)el_get_be32(head + 4);
    receive_all(toy, fd, body, len - 4);
    return len - 4;
}

void toy_expect(struct toy *toy, int fd, int32_t correlation_id, const char *body)
{
    char text[1024];
    int32_t found = 0;
    size_t len = toy_receive(toy, fd, &found, text, sizeof(text));
    assert_int_equal(found, correlation_id);
    assert_int_equal(len, strlen(body));
    assert_memory_equal(text, body, len);
}

void toy_expect_close(struct toy *toy, int fd)
{
    char byte;
    ssize_t n;
    TOY_UNTIL(toy, (n = recv(fd, &byte, 1, MSG_DONTWAIT)) >= 0 || errno != EAGAIN);
    assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
}

int toy_connect_as(struct toy *toy, const char *principal, int expected)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    assert_int_equal(request_set_principal(toy->held[0], principal), expected);
    toy_answer(toy, 0);
    toy_expect(toy, fd, 1, "hold");
    return fd;
}
