/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: whatever a client does, its connection ends as promised, is counted, and leaves nothing behind (toy_run checks
 * that all memory is given back).
 */
#include "toy.h"

#include <core/bytes.h>
#include <net/conn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- refusals --------------------------------------------------------------------------------------------------- */

static void refused_bytes(struct toy *toy, const void *data, size_t len, enum metric_id id, const char *logged)
{
    int64_t before = metrics_get(toy->metrics, id);
    int64_t errors = metrics_get(toy->metrics, METRIC_CONNECTIONS_CLOSED_ERROR);
    int fd = toy_connect(toy);
    toy->log[0] = '\0';
    toy_send(toy, fd, data, len);
    toy_expect_close(toy, fd);
    close(fd);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_int_equal(metrics_get(toy->metrics, id), before + 1);
    assert_int_equal(metrics_get(toy->metrics, METRIC_CONNECTIONS_CLOSED_ERROR), errors + 1);
    assert_non_null(strstr(toy->log, logged));
    assert_non_null(strstr(toy->log, "net: 127.0.0.1:"));
    assert_null(strchr(strchr(toy->log, '\n') + 1, '\n')); /* one line */
}

EACH_BACKEND(impossible_lengths_are_refused)
{
    static const uint8_t negative[] = {0xff, 0xff, 0xff, 0xff, 0, 3}, zero[] = {0, 0, 0, 0}, seven[] = {0, 0, 0, 7, 0},
                         giant[] = {0x7f, 0xff, 0xff, 0xff}, above[] = {0x06, 0x40, 0x00, 0x01},
                         hello[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01};
    refused_bytes(toy, negative, sizeof(negative), METRIC_REFUSED_FRAME, "no request");
    refused_bytes(toy, zero, sizeof(zero), METRIC_REFUSED_FRAME, "no request");
    refused_bytes(toy, seven, sizeof(seven), METRIC_REFUSED_FRAME, "no request");
    refused_bytes(toy, giant, sizeof(giant), METRIC_REFUSED_FRAME, "over the limit");
    refused_bytes(toy, above, sizeof(above), METRIC_REFUSED_FRAME, "over the limit");
    refused_bytes(toy, hello, sizeof(hello), METRIC_REFUSED_FRAME, "TLS");
    refused_bytes(toy, "GET / HTTP/1.1\r\n\r\n", 18, METRIC_REFUSED_FRAME, "HTTP");
    assert_int_equal(toy->dispatch_count, 0);
}

EACH_BACKEND(bad_headers_unknown_apis_and_refused_requests_close)
{
    uint8_t frame[64];
    size_t len = toy_frame(frame, 1, "echo", 4);
    el_put_be16(frame + 12, 0x7fff); /* client id longer than the frame */
    refused_bytes(toy, frame, len, METRIC_REFUSED_MALFORMED, "malformed request header");
    assert_int_equal(toy->dispatch_count, 0);
    len = toy_frame(frame, 1, "echo", 4);
    el_put_be16(frame + 4, 12345);
    refused_bytes(toy, frame, len, METRIC_REFUSED_UNSUPPORTED_VERSION,
                  "unknown API (key 12345) version 0: no such order");
    len = toy_frame(frame, 1, "refuse", 6);
    refused_bytes(toy, frame, len, METRIC_REFUSED_MALFORMED, "Metadata (key 3) version 0: refused on purpose");
}

EACH_BACKEND(answer_that_cannot_be_encoded_closes)
{
    static const char empty[] = {0, 0, 0, 0, 0, 0, 0, 0}; /* no brokers, no topics */
    char body[64];
    int32_t id = 0;
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "metadata");
    assert_int_equal(toy_receive(toy, fd, &id, body, sizeof(body)), sizeof(empty));
    assert_memory_equal(body, empty, sizeof(empty));
    toy_request(toy, fd, 2, "x");
    toy_expect_close(toy, fd);
    close(fd);
    assert_non_null(strstr(toy->log, "cannot encode the answer to Metadata version 99"));
    TOY_UNTIL(toy, metrics_get(toy->metrics, METRIC_CONNECTIONS_CLOSED_ERROR) == 1);
}

/* What was asked before the refused request is answered, what comes behind it is not even started. */
EACH_BACKEND(refusal_lets_earlier_answers_leave)
{
    uint8_t frames[128];
    int fd = toy_connect(toy);
    size_t len = toy_frame(frames, 1, "hold", 4);
    len += toy_frame(frames + len, 2, "echo", 4);
    len += toy_frame(frames + len, 3, "refuse", 6);
    len += toy_frame(frames + len, 4, "echo", 4);
    toy_send(toy, fd, frames, len);
    TOY_UNTIL(toy, toy->dispatch_count == 3);
    toy_step(toy);
    toy_answer(toy, 0);
    toy_expect(toy, fd, 1, "hold");
    toy_expect(toy, fd, 2, "echo");
    toy_expect_close(toy, fd);
    assert_int_equal(toy->dispatch_count, 3);
    close(fd);
}

/* --- clients that leave ----------------------------------------------------------------------------------------- */

EACH_BACKEND(request_outlives_its_connection)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "hold on");
    toy_request(toy, fd, 2, "hold too");
    toy_request(toy, fd, 3, "echo");
    toy_send(toy, fd, "\0\0", 2); /* and half a prefix */
    TOY_UNTIL(toy, toy->held_count == 2);
    assert_false(request_abandoned(toy->held[0]));
    assert_int_not_equal(request_conn_id(toy->held[0]), 0);
    close(fd);
    TOY_UNTIL(toy, toy->abandon_count == 2);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_int_equal(net_request_count(toy->net), 2);
    assert_int_equal(request_conn_id(toy->held[0]), 0);
    assert_memory_equal(toy->held[0]->body.data, "hold on", 7); /* its bytes are still there */
    toy_answer(toy, 1);
    toy_answer(toy, 0);
    assert_int_equal(net_request_count(toy->net), 0);
    assert_int_equal(toy->closed_count, 1);
    assert_int_equal(metrics_get(toy->metrics, METRIC_CONNECTIONS_CLOSED_ERROR), 0);
}

static void large_backlog(struct net_config *config)
{
    config->backlog_bytes_max = 64u << 20;
}

EACH_BACKEND_WITH(client_that_resets_during_a_send_is_forgotten, large_backlog)
{
    uint8_t frame[32], body[5] = {'b'};
    el_put_be32(body + 1, 32u << 20);
    for (int i = 0; i < 4; i++) {
        int fd = toy_connect(toy);
        toy_send(toy, fd, frame, toy_frame(frame, i, body, sizeof(body)));
        toy_request(toy, fd, i, "hold");
        TOY_UNTIL(toy, toy->held_count == 1);
        struct linger reset = {1, 0};
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        close(fd);
        TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
        assert_true(request_abandoned(toy->held[0]));
        toy_answer(toy, 0);
    }
}

/* A handler may need the body and the arena after its answer has left. */
EACH_BACKEND(held_request_stays_until_it_is_given_up)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    struct request *request = toy->held[0];
    request_hold(request);
    toy_answer(toy, 0);
    toy_expect(toy, fd, 1, "hold");
    close(fd);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    assert_int_equal(net_request_count(toy->net), 1);
    assert_memory_equal(request->body.data, "hold", 4);
    assert_true(request_abandoned(request));
    request_unhold(request);
    assert_int_equal(net_request_count(toy->net), 0);
}

/* --- limits ----------------------------------------------------------------------------------------------------- */

EACH_BACKEND(thousand_connections_are_served)
{
    enum { COUNT = 1000 };
    int *fds = calloc(COUNT, sizeof(*fds));
    assert_non_null(fds);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < 2 * COUNT + 100) {
        free(fds);
        toy_stop(toy);
        print_message("only %lu descriptors are allowed\n", (unsigned long)limit.rlim_cur);
        return;
    }
    for (int i = 0; i < COUNT; i++) {
        fds[i] = toy_connect(toy);
        toy_request(toy, fds[i], i, "echo");
    }
    for (int i = 0; i < COUNT; i++) {
        toy_expect(toy, fds[i], i, "echo");
    }
    assert_int_equal(net_conn_count(toy->net), COUNT);
    assert_int_equal(metrics_get(toy->metrics, METRIC_CONNECTIONS), COUNT);
    assert_true(toy->buddy.used - toy->buddy_used_first < COUNT * 16384u);
    for (int i = 0; i < COUNT; i++) {
        close(fds[i]);
    }
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    free(fds);
}

static void three_connections(struct net_config *config)
{
    config->conn_count_max = 3;
}

static void three_of_one_address(struct net_config *config)
{
    config->address_conn_count_max = 3;
}

static void connection_limit_of(struct toy *toy, int64_t refused)
{
    int fds[3];
    for (int i = 0; i < 3; i++) {
        fds[i] = toy_connect(toy);
        toy_request(toy, fds[i], i, "echo");
        toy_expect(toy, fds[i], i, "echo");
    }
    int fourth = toy_connect(toy);
    toy_expect_close(toy, fourth);
    close(fourth);
    assert_int_equal(metrics_get(toy->metrics, METRIC_REFUSED_CONNECTIONS), refused);
    assert_non_null(strstr(toy->log, "connection refused: too many connections"));
    close(fds[0]);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 2);
    fds[0] = toy_connect(toy); /* there is room again */
    toy_request(toy, fds[0], 9, "echo");
    toy_expect(toy, fds[0], 9, "echo");
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

EACH_BACKEND_WITH(connection_over_the_limit_is_closed, three_connections)
{
    connection_limit_of(toy, 1);
}

EACH_BACKEND_WITH(connection_over_the_limit_of_its_address_is_closed, three_of_one_address)
{
    connection_limit_of(toy, 1);
}

static void none_of_this_address(struct net_config *config)
{
    config->address_conn_count_max = 3;
    config->address_limits = (struct address_limits){.count = 2, .list = {{"127.0.0.2", 9}, {"127.0.0.1", 0}}};
}

EACH_BACKEND_WITH(an_address_with_a_limit_of_its_own_is_held_to_that, none_of_this_address)
{
    int fd = toy_connect(toy);
    toy_expect_close(toy, fd);
    close(fd);
    assert_int_equal(metrics_get(toy->metrics, METRIC_REFUSED_CONNECTIONS), 1);
    toy->config.address_limits.list[1].count_max = 3;
    net_set_limits(toy->net, &toy->config); /* and to another one from then on */
    connection_limit_of(toy, 2);
}

static void two_of_a_principal(struct net_config *config)
{
    config->principal_conn_count_max = 2;
}

EACH_BACKEND_WITH(a_principal_has_no_more_connections_than_it_may, two_of_a_principal)
{
    int fds[4];
    fds[0] = toy_connect_as(toy, "User:alice", 0);
    fds[1] = toy_connect_as(toy, "User:alice", 0);
    fds[2] = toy_connect_as(toy, "User:bob", 0); /* nobody else is concerned */
    fds[3] = toy_connect_as(toy, "User:alice", EVLOG_ERR_LIMIT);
    assert_int_equal(metrics_get(toy->metrics, METRIC_REFUSED_PRINCIPAL), 1);
    toy_request(toy, fds[0], 2, "hold"); /* who proves itself again takes no further place */
    TOY_UNTIL(toy, toy->held_count == 1);
    assert_int_equal(request_set_principal(toy->held[0], "User:alice"), 0);
    toy_answer(toy, 0);
    toy_expect(toy, fds[0], 2, "hold");
    close(fds[1]);
    close(fds[3]);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 2);
    fds[1] = toy_connect_as(toy, "User:alice", 0); /* there is room again */
    for (int i = 0; i < 3; i++) {
        close(fds[i]);
    }
}

static uint32_t count_of(const char *text, const char *word)
{
    uint32_t count = 0;
    for (const char *at = strstr(text, word); at != NULL; at = strstr(at + 1, word)) {
        count++;
    }
    return count;
}

static void refuse_one(struct toy *toy, const char *principal)
{
    int fd = toy_connect_as(toy, principal, EVLOG_ERR_LIMIT);
    close(fd);
}

/* A minute later for all that was said. */
static void pass_a_minute(struct net *net)
{
    for (uint32_t i = 0; i < NET_SAID_PRINCIPALS; i++) {
        net->said[i].refusals.said_ns = net->said[i].refusals.said_ns == 0 ? 0 : 1;
    }
}

static void none_of_a_principal(struct net_config *config)
{
    config->principal_conn_count_max = 1;
}

EACH_BACKEND_WITH(principals_over_their_limit_are_named_once_a_minute_each_with_a_count, none_of_a_principal)
{
    int alice = toy_connect_as(toy, "User:alice", 0), bob = toy_connect_as(toy, "User:bob", 0);
    for (int i = 0; i < 30; i++) {
        refuse_one(toy, "User:alice");
    }
    refuse_one(toy, "User:bob"); /* one that is loud hides nobody */
    assert_int_equal(count_of(toy->log, "User:alice has too many (evlog.max.connections.per.principal)\n"), 1);
    assert_int_equal(count_of(toy->log, "User:bob has too many (evlog.max.connections.per.principal)\n"), 1);
    assert_int_equal(count_of(toy->log, "\n"), 2);
    pass_a_minute(toy->net);
    refuse_one(toy, "User:alice");
    assert_int_equal(count_of(toy->log, "; 29 others of it since this was last said\n"), 1);
    assert_int_equal(count_of(toy->log, "\n"), 3);
    close(alice);
    close(bob);
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
}

EACH_BACKEND_WITH(more_principals_than_are_named_are_counted, none_of_a_principal)
{
    int fds[NET_SAID_PRINCIPALS + 4];
    char name[32];
    for (uint32_t i = 0; i < NET_SAID_PRINCIPALS + 4; i++) {
        (void)snprintf(name, sizeof name, "User:u%u", i);
        fds[i] = toy_connect_as(toy, name, 0);
        refuse_one(toy, name);
        refuse_one(toy, name);
    }
    assert_int_equal(count_of(toy->log, "has too many"), NET_SAID_PRINCIPALS);
    pass_a_minute(toy->net);
    refuse_one(toy, "User:u19"); /* in the row of one that was refused once more in its minute */
    assert_int_equal(count_of(toy->log, "User:u19 has too many (evlog.max.connections.per.principal); 9 of other"), 1);
    for (uint32_t i = 0; i < NET_SAID_PRINCIPALS + 4; i++) {
        close(fds[i]);
    }
    TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
}

static void little_memory(struct net_config *config)
{
    config->recv_bytes_max = 96u << 10;
    config->frame_ns_max = 3000000000u;
}

EACH_BACKEND_WITH(frame_without_memory_waits_then_is_refused, little_memory)
{
    uint8_t *frame = calloc(1, 600000);
    assert_non_null(frame);
    toy_frame(frame, 1, "echo", 4);
    el_put_be32(frame, 600000 - 4);
    int fd = toy_connect(toy), other = toy_connect(toy);
    ssize_t n;
    size_t sent = 0;
    while (sent < 500000) { /* as much as is taken */
        n = send(fd, frame + sent, 500000 - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        toy_step(toy);
        if (toy->closed_count > 0 || metrics_get(toy->metrics, METRIC_REFUSED_MEMORY) > 0) {
            break;
        }
    }
    TOY_UNTIL(toy, metrics_get(toy->metrics, METRIC_REFUSED_MEMORY) == 1);
    assert_non_null(strstr(toy->log, "no memory for a request"));
    TOY_UNTIL(toy, net_conn_count(toy->net) == 1);
    toy_request(toy, other, 2, "echo"); /* the others go on */
    toy_expect(toy, other, 2, "echo");
    close(fd);
    close(other);
    free(frame);
}

static void tight_memory(struct net_config *config)
{
    config->recv_bytes_max = 3400u << 10;
}

/* Spare buffers of an earlier large request give way to a larger one. */
EACH_BACKEND_WITH(spares_are_no_reason_to_refuse, tight_memory)
{
    size_t lens[] = {900u << 10, 1900u << 10, 900u << 10};
    uint8_t *frame = calloc(1, 2u << 20), *body = calloc(1, 2u << 20);
    assert_non_null(frame);
    assert_non_null(body);
    body[0] = 'e';
    for (int32_t i = 0; i < 3; i++) {
        int32_t id = -1;
        int fd = toy_connect(toy);
        toy_send(toy, fd, frame, toy_frame(frame, i, body, lens[i]));
        assert_int_equal(toy_receive(toy, fd, &id, body, 2u << 20), lens[i]);
        assert_int_equal(id, i);
        TOY_UNTIL(toy, net_request_count(toy->net) == 0);
        assert_true(toy->net->recv_bytes <= 3400u << 10);
        close(fd);
        TOY_UNTIL(toy, net_conn_count(toy->net) == 0);
    }
    free(frame);
    free(body);
}

/* --- deadlines -------------------------------------------------------------------------------------------------- */

static void short_frame(struct net_config *config)
{
    config->frame_ns_max = 1000000;
}

EACH_BACKEND_WITH(half_a_frame_is_not_waited_for_for_ever, short_frame)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "echo");
    toy_expect(toy, fd, 1, "echo");
    toy_send(toy, fd, "\0\0\0\20abc", 7);
    toy_expect_close(toy, fd);
    assert_int_equal(metrics_get(toy->metrics, METRIC_REFUSED_FRAME), 1);
    assert_non_null(strstr(toy->log, "did not arrive"));
    close(fd);
}

/* A client that streams without a pause always has half a frame under way: each frame has a deadline of its own. */
EACH_BACKEND(each_frame_has_its_own_deadline)
{
    uint8_t frame[32];
    size_t len = toy_frame(frame, 1, "echo", 4);
    int fd = toy_connect(toy);
    toy_send(toy, fd, frame, 5);
    TOY_UNTIL(toy, !el_list_empty(&toy->net->waits[WAIT_FRAME]));
    const struct conn_wait *wait = EL_CONTAINER(toy->net->waits[WAIT_FRAME].next, struct conn_wait, link);
    for (uint32_t round = 0; round < 3; round++) {
        uint64_t since_ns = wait->since_ns;
        TOY_UNTIL(toy, toy->io->now_ns > since_ns);
        toy_send(toy, fd, frame + 5, 1); /* a byte more of the same frame: no new deadline */
        toy_step(toy);
        assert_int_equal(wait->since_ns, since_ns);
        uint8_t rest[64];
        memcpy(rest, frame + 6, len - 6);
        memcpy(rest + len - 6, frame, 5);
        toy_send(toy, fd, rest, len - 1); /* the rest, and the beginning of the next */
        toy_expect(toy, fd, 1, "echo");
        assert_false(el_list_empty(&toy->net->waits[WAIT_FRAME]));
        assert_true(wait->since_ns > since_ns);
    }
    close(fd);
}

static void short_idle(struct net_config *config)
{
    config->idle_ns_max = 20000000;
}

EACH_BACKEND_WITH(idle_connection_is_closed_but_not_one_that_waits_for_an_answer, short_idle)
{
    int idle = toy_connect(toy), waiting = toy_connect(toy);
    toy_request(toy, waiting, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    toy_expect_close(toy, idle);
    uint64_t until_ns = io_mono(toy->io) + 50000000;
    TOY_UNTIL(toy, io_mono(toy->io) > until_ns);
    toy_answer(toy, 0);
    toy_expect(toy, waiting, 1, "hold");
    toy_expect_close(toy, waiting);
    assert_int_equal(metrics_get(toy->metrics, METRIC_CONNECTIONS_CLOSED_ERROR), 0);
    close(idle);
    close(waiting);
}

/* --- out of descriptors ----------------------------------------------------------------------------------------- */

EACH_BACKEND(accepting_goes_on_when_descriptors_are_back)
{
    struct rlimit limit, low;
    int fd = toy_connect(toy), spare = toy_connect(toy);
    toy_request(toy, spare, 1, "echo");
    toy_expect(toy, spare, 1, "echo");
    TOY_UNTIL(toy, net_conn_count(toy->net) == 2);
    int late = toy_connect(toy); /* before the limit: the test needs a descriptor itself */
    (void)late;
    TOY_UNTIL(toy, net_conn_count(toy->net) == 3);
    int next = toy_connect(toy);
    int dup_fd = dup(0);
    assert_true(dup_fd >= 0);
    close(dup_fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){(rlim_t)dup_fd, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    for (int i = 0; i < 5; i++) {
        toy_step(toy);
    }
    uint32_t count = net_conn_count(toy->net);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count, 3);
    assert_non_null(strstr(toy->log, "LimitNOFILE"));
    toy_request(toy, next, 5, "echo");
    toy_expect(toy, next, 5, "echo");
    close(fd);
    close(spare);
    close(late);
    close(next);
}

/* --- stopping --------------------------------------------------------------------------------------------------- */

static void count_stopped(void *arg)
{
    struct toy *toy = arg;
    toy->stopped_count++;
    net_free(toy->net);
    toy->net = NULL;
}

/* The clients' close ends the lingering, not its deadline: they have read our end before. */
static void long_linger(struct net_config *config)
{
    config->linger_ns_max = 3600000000000u;
}

EACH_BACKEND_WITH(stop_answers_what_was_read_then_closes, long_linger)
{
    int fd = toy_connect(toy), idle = toy_connect(toy);
    toy_request(toy, fd, 1, "hold");
    toy_request(toy, fd, 2, "echo");
    TOY_UNTIL(toy, toy->dispatch_count == 2 && net_conn_count(toy->net) == 2);
    uint16_t port = net_port(toy->net, 0);
    assert_true(port > 0);
    net_stop(toy->net, io_mono(toy->io) + 60000000000u, count_stopped, toy);
    assert_true(net_stopping(toy->net));
    toy_expect_close(toy, idle);
    close(idle);
    toy_request(toy, fd, 3, "echo"); /* too late: not read */
    toy_step(toy);
    assert_int_equal(toy->stopped_count, 0);
    toy_answer(toy, 0);
    toy_expect(toy, fd, 1, "hold");
    toy_expect(toy, fd, 2, "echo");
    toy_expect_close(toy, fd);
    close(fd);
    TOY_UNTIL(toy, toy->stopped_count == 1);
    assert_int_equal(toy->dispatch_count, 2);
}

EACH_BACKEND(stop_cuts_what_is_left_at_its_deadline_and_waits_for_handlers)
{
    int fd = toy_connect(toy);
    toy_request(toy, fd, 1, "hold");
    TOY_UNTIL(toy, toy->held_count == 1);
    net_stop(toy->net, io_mono(toy->io) + 1000000, count_stopped, toy);
    TOY_UNTIL(toy, toy->abandon_count == 1);
    toy_expect_close(toy, fd);
    toy_step(toy);
    assert_int_equal(toy->stopped_count, 0); /* a request is still out */
    toy_answer(toy, 0);
    TOY_UNTIL(toy, toy->stopped_count == 1);
    close(fd);
}

EACH_BACKEND(stop_without_connections_ends_in_a_step)
{
    net_stop(toy->net, UINT64_MAX, count_stopped, toy);
    assert_int_equal(toy->stopped_count, 0);
    TOY_UNTIL(toy, toy->stopped_count == 1);
}

TEST(net, taken_port_and_bad_host_are_errors)
{
    struct el_buddy buddy;
    struct el_error err = {0};
    struct disk *disk = NULL;
    struct io *io = NULL;
    struct net *net = NULL;
    assert_int_equal(disk_posix_open(el_test_dir(), &disk), 0);
    struct io_config io_config = {.disk = disk, .shard_count = 1, .lock_fd = -1};
    assert_int_equal(io_posix_open(&io_config, &io, &err), 0);
    assert_int_equal(el_buddy_init(&buddy, 1u << 20, &err), 0);
    struct config_listener listener = {.name = "PLAINTEXT", .address = {.host = "host.invalid"}};
    struct net_config config = {.listeners = &listener, .listener_count = 1, .dispatch = (net_dispatch_fn)(uintptr_t)1};
    assert_int_equal(net_start(io, &buddy, NULL, &config, &net, &err), EVLOG_ERR_ARGUMENT);
    assert_null(net);
    assert_int_equal(buddy.used, 0);
    el_buddy_destroy(&buddy);
    io_destroy(io);
    disk_posix_close(disk);
}
