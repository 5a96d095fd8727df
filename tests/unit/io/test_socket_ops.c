/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: accept, receive, send, cancel and close behave alike on both backends.
 * Method: real TCP on the loopback; the other side is a blocking or non-blocking socket of the test.
 */
#include "backends.h"

#include <core/bytes.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define PLACE(host_, port_, ...) (&(struct io_place){.host = (host_), .port = (port_), __VA_ARGS__})

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

struct pair {
    int listen_fd;
    int fd;   /* the shard's end */
    int peer; /* the test's end */
    uint16_t port;
};

static void pair_open(struct bench *bench, struct pair *pair)
{
    struct el_error err = {0};
    struct outcome outcome = {0};
    struct io_op op;
    assert_int_equal(io_listen(bench->io, PLACE("127.0.0.1", 0), &pair->listen_fd, &pair->port, &err), 0);
    assert_int_not_equal(pair->port, 0);
    bench_op(&op, &outcome);
    io_accept(bench->io, &op, pair->listen_fd);
    io_step(bench->io, 0); /* waits in the kernel before the peer comes */
    assert_int_equal(outcome.done_count, 0);
    pair->peer = connect_to(pair->port);
    pair->fd = (int)bench_result(bench, &outcome);
    assert_true(pair->fd >= 0);
}

static void pair_close(struct bench *bench, struct pair *pair)
{
    io_close(bench->io, pair->fd);
    io_close(bench->io, pair->listen_fd);
    if (pair->peer >= 0) {
        close(pair->peer);
    }
}

EACH_BACKEND(accepted_socket_has_no_delay_and_a_name)
{
    struct pair pair;
    pair_open(bench, &pair);
    int value = 0;
    socklen_t len = sizeof(value);
    assert_int_equal(getsockopt(pair.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_int_equal(value, 1);
    assert_true((fcntl(pair.fd, F_GETFL) & O_NONBLOCK) != 0);
    struct sockaddr_in local;
    len = sizeof(local);
    assert_int_equal(getsockname(pair.peer, (struct sockaddr *)&local, &len), 0);
    char expected[64], text[64];
    snprintf(expected, sizeof(expected), "127.0.0.1:%u", (unsigned)ntohs(local.sin_port));
    assert_int_equal(io_peer_name(bench->io, pair.fd, text, sizeof(text)), 0);
    assert_string_equal(text, expected);
    pair_close(bench, &pair);
}

/* --- echo with more than the socket buffers hold ---------------------------------------------------------------- */

#define BIG_LEN (8u << 20)

struct slow_reader {
    int fd;
    uint64_t sum;
    size_t len;
    pthread_t thread;
};

static void *slow_reader_main(void *arg)
{
    struct slow_reader *reader = arg;
    uint8_t buf[3001]; /* small and odd, so that sends stop in the middle of buffers */
    while (reader->len < BIG_LEN) {
        ssize_t n = recv(reader->fd, buf, sizeof(buf), 0);
        if (n <= 0) {
            break;
        }
        for (ssize_t i = 0; i < n; i++) {
            reader->sum = reader->sum * 31 + buf[i];
        }
        reader->len += (size_t)n;
    }
    return NULL;
}

static uint64_t sum_of(const uint8_t *data, size_t len)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + data[i];
    }
    return sum;
}

static void send_big(struct bench *bench, int iov_count)
{
    struct pair pair;
    struct outcome outcome = {0};
    struct io_op op;
    pair_open(bench, &pair);
    uint8_t *data = malloc(BIG_LEN);
    assert_non_null(data);
    for (size_t i = 0; i < BIG_LEN; i++) {
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    }
    struct iovec iov[IO_IOV_MAX];
    size_t part_len = BIG_LEN / (size_t)iov_count;
    for (int i = 0; i < iov_count; i++) {
        size_t pos = (size_t)i * part_len;
        iov[i] = (struct iovec){data + pos, i == iov_count - 1 ? BIG_LEN - pos : part_len};
    }
    bench_op(&op, &outcome);
    io_send(bench->io, &op, pair.fd, iov, iov_count);
    io_step(bench->io, 0);
    io_step(bench->io, 0);
    assert_int_equal(outcome.done_count, 0); /* nobody reads */
    struct slow_reader reader = {.fd = pair.peer};
    assert_int_equal(pthread_create(&reader.thread, NULL, slow_reader_main, &reader), 0);
    assert_int_equal(bench_result(bench, &outcome), BIG_LEN);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    assert_int_equal(reader.len, BIG_LEN);
    assert_true(reader.sum == sum_of(data, BIG_LEN));
    pair_close(bench, &pair);
    free(data);
}

static void send_big_single(struct bench *bench)
{
    send_big(bench, 1);
}
static void send_big_parts(struct bench *bench)
{
    send_big(bench, IO_IOV_MAX);
}
TEST(uring, big_send_reaches_a_slow_reader_whole)
{
    bench_run(true, IO_COMMIT_AUTO, send_big_single);
}
TEST(posix, big_send_reaches_a_slow_reader_whole)
{
    bench_run(false, IO_COMMIT_AUTO, send_big_single);
}
TEST(uring, big_send_of_many_parts_keeps_their_order)
{
    bench_run(true, IO_COMMIT_AUTO, send_big_parts);
}
TEST(posix, big_send_of_many_parts_keeps_their_order)
{
    bench_run(false, IO_COMMIT_AUTO, send_big_parts);
}

EACH_BACKEND(received_bytes_come_back_by_echo)
{
    struct pair pair;
    struct outcome in = {0}, out = {0};
    struct io_op recv_op, send_op;
    char buf[64], text[64];
    pair_open(bench, &pair);
    bench_op(&recv_op, &in);
    bench_op(&send_op, &out);
    for (int i = 0; i < 100; i++) {
        int len = snprintf(text, sizeof(text), "message %d", i);
        io_recv(bench->io, &recv_op, pair.fd, buf, sizeof(buf));
        assert_int_equal(send(pair.peer, text, (size_t)len, 0), len);
        assert_int_equal(bench_result(bench, &in), len);
        send_op.one = (struct iovec){buf, (size_t)len};
        io_send(bench->io, &send_op, pair.fd, &send_op.one, 1);
        assert_int_equal(out.done_count, 0);
        assert_int_equal(bench_result(bench, &out), len);
        memset(text + 32, 0, 32);
        assert_int_equal(recv(pair.peer, text + 32, 32, 0), len);
        assert_memory_equal(text, text + 32, (size_t)len);
    }
    pair_close(bench, &pair);
}

/* Both directions of one socket at once. */
EACH_BACKEND(send_and_receive_wait_side_by_side)
{
    struct pair pair;
    struct outcome in = {0}, out = {0};
    struct io_op recv_op, send_op;
    char buf[8];
    pair_open(bench, &pair);
    uint8_t *data = calloc(1, BIG_LEN);
    assert_non_null(data);
    bench_op(&recv_op, &in);
    bench_op(&send_op, &out);
    io_recv(bench->io, &recv_op, pair.fd, buf, sizeof(buf));
    struct iovec iov = {data, BIG_LEN};
    io_send(bench->io, &send_op, pair.fd, &iov, 1);
    io_step(bench->io, 0);
    assert_int_equal(send(pair.peer, "hello", 5, 0), 5);
    assert_int_equal(bench_result(bench, &in), 5);
    assert_int_equal(out.done_count, 0);
    struct slow_reader reader = {.fd = pair.peer};
    assert_int_equal(pthread_create(&reader.thread, NULL, slow_reader_main, &reader), 0);
    assert_int_equal(bench_result(bench, &out), BIG_LEN);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    pair_close(bench, &pair);
    free(data);
}

/* --- ends ------------------------------------------------------------------------------------------------------- */

EACH_BACKEND(peer_that_closes_gives_zero)
{
    struct pair pair;
    struct outcome outcome = {0};
    struct io_op op;
    char buf[8];
    pair_open(bench, &pair);
    bench_op(&op, &outcome);
    io_recv(bench->io, &op, pair.fd, buf, sizeof(buf));
    io_step(bench->io, 0);
    close(pair.peer);
    pair.peer = -1;
    assert_int_equal(bench_result(bench, &outcome), 0);
    io_recv(bench->io, &op, pair.fd, buf, sizeof(buf)); /* and again */
    assert_int_equal(bench_result(bench, &outcome), 0);
    pair_close(bench, &pair);
}

EACH_BACKEND(send_to_a_gone_peer_is_an_error_without_a_signal)
{
    struct pair pair;
    struct outcome outcome = {0};
    struct io_op op;
    pair_open(bench, &pair);
    struct linger reset = {1, 0};
    assert_int_equal(setsockopt(pair.peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(pair.peer);
    pair.peer = -1;
    char data[] = "lost";
    bench_op(&op, &outcome);
    int64_t result = 1;
    for (int i = 0; i < 3 && result > 0; i++) {
        op.one = (struct iovec){data, sizeof(data)};
        io_send(bench->io, &op, pair.fd, &op.one, 1);
        result = bench_result(bench, &outcome);
    }
    assert_int_equal(result, EVLOG_ERR_CLOSED);
    pair_close(bench, &pair);
}

EACH_BACKEND(shutdown_lets_the_peer_read_to_the_end)
{
    struct pair pair;
    struct outcome outcome = {0};
    struct io_op op;
    char data[] = "bye", buf[8];
    pair_open(bench, &pair);
    bench_op(&op, &outcome);
    op.one = (struct iovec){data, 3};
    io_send(bench->io, &op, pair.fd, &op.one, 1);
    assert_int_equal(bench_result(bench, &outcome), 3);
    io_shutdown(bench->io, pair.fd);
    assert_int_equal(recv(pair.peer, buf, sizeof(buf), MSG_WAITALL), 3);
    pair_close(bench, &pair);
}

EACH_BACKEND(cancel_ends_accept_receive_and_send)
{
    struct pair pair;
    struct outcome outcomes[3] = {0};
    struct io_op ops[3];
    char buf[8];
    pair_open(bench, &pair);
    uint8_t *data = calloc(1, BIG_LEN);
    assert_non_null(data);
    for (int i = 0; i < 3; i++) {
        bench_op(&ops[i], &outcomes[i]);
    }
    struct iovec iov = {data, BIG_LEN};
    io_accept(bench->io, &ops[0], pair.listen_fd);
    io_recv(bench->io, &ops[1], pair.fd, buf, sizeof(buf));
    io_send(bench->io, &ops[2], pair.fd, &iov, 1);
    io_step(bench->io, 0);
    io_step(bench->io, 0);
    for (int i = 0; i < 3; i++) {
        io_cancel(bench->io, &ops[i]);
        io_cancel(bench->io, &ops[i]); /* twice is once */
        assert_int_equal(outcomes[i].done_count, 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(bench_result(bench, &outcomes[i]), EVLOG_ERR_CLOSED);
    }
    /* Cancelled before the kernel has seen it. */
    io_recv(bench->io, &ops[1], pair.fd, buf, sizeof(buf));
    io_cancel(bench->io, &ops[1]);
    assert_int_equal(bench_result(bench, &outcomes[1]), EVLOG_ERR_CLOSED);
    pair_close(bench, &pair);
    free(data);
}

/* More ops, and then more cancels, than the submission queue holds before the first step. */
static void cancel_many(struct bench *bench)
{
    enum { COUNT = 1500 };
    struct outcome outcome = {0};
    struct io_op *ops = calloc(COUNT, sizeof(*ops));
    int fds[2];
    char byte;
    assert_non_null(ops);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    for (int i = 0; i < COUNT; i++) {
        bench_op(&ops[i], &outcome);
        io_recv(bench->io, &ops[i], fds[0], &byte, 1);
    }
    for (int i = 0; i < COUNT; i++) {
        io_cancel(bench->io, &ops[i]);
    }
    assert_int_equal(outcome.done_count, 0);
    bench_wait(bench, &outcome.done_count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ops[i].result, EVLOG_ERR_CLOSED);
    }
    close(fds[0]);
    close(fds[1]);
    free(ops);
}

TEST(uring, more_cancels_than_queue_entries_all_end)
{
    bench_run(true, IO_COMMIT_AUTO, cancel_many);
}

/* Data that was there before the cancel may win; the op ends once either way. */
EACH_BACKEND(cancel_of_a_finished_receive_is_harmless)
{
    struct pair pair;
    struct outcome outcome = {0};
    struct io_op op;
    char buf[8];
    pair_open(bench, &pair);
    bench_op(&op, &outcome);
    assert_int_equal(send(pair.peer, "x", 1, 0), 1);
    io_recv(bench->io, &op, pair.fd, buf, sizeof(buf));
    io_step(bench->io, 0);
    if (outcome.done_count == 0) {
        io_cancel(bench->io, &op);
    }
    int64_t result = bench_result(bench, &outcome);
    assert_true(result == 1 || result == EVLOG_ERR_CLOSED);
    io_step(bench->io, 0);
    assert_int_equal(outcome.done_count, 0);
    pair_close(bench, &pair);
}

EACH_BACKEND(accept_without_descriptors_says_so_and_goes_on_later)
{
    struct el_error err = {0};
    struct outcome outcome = {0};
    struct io_op op;
    int listen_fd = -1;
    uint16_t port = 0;
    struct rlimit limit, low;
    assert_int_equal(io_listen(bench->io, PLACE("127.0.0.1", 0), &listen_fd, &port, &err), 0);
    int peer = connect_to(port);
    io_step(bench->io, 0);
    int next_fd = dup(0);
    assert_true(next_fd >= 0);
    close(next_fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = (struct rlimit){(rlim_t)next_fd, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    bench_op(&op, &outcome);
    io_accept(bench->io, &op, listen_fd);
    int64_t result = bench_result(bench, &outcome);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(result, EVLOG_ERR_NO_FILES);
    io_accept(bench->io, &op, listen_fd);
    result = bench_result(bench, &outcome);
    assert_true(result >= 0);
    io_close(bench->io, (int)result);
    io_close(bench->io, listen_fd);
    close(peer);
}

EACH_BACKEND(two_listeners_share_a_port_and_bad_addresses_are_refused)
{
    struct el_error err = {0};
    int a = -1, b = -1, c = -1;
    uint16_t port = 0, same = 0;
    assert_int_equal(io_listen(bench->io, PLACE("127.0.0.1", 0), &a, &port, &err), 0);
    assert_int_equal(io_listen(bench->io, PLACE("127.0.0.1", port), &c, &same, &err), EVLOG_ERR_EXISTS);
    assert_non_null(strstr(err.text, "127.0.0.1"));
    assert_int_equal(c, -1);
    assert_int_equal(io_listen(bench->io, PLACE("127.0.0.1", port, .join = true), &b, &same, &err), 0);
    assert_int_equal(port, same);
    /* Nor when the ones there would all share it. */
    assert_int_equal(io_listen(bench->io, PLACE("127.0.0.1", port), &c, &same, &err), EVLOG_ERR_EXISTS);
    assert_int_equal(io_listen(bench->io, PLACE("host.invalid", 0), &c, &same, &err), EVLOG_ERR_ARGUMENT);
    assert_non_null(strstr(err.text, "host.invalid"));
    assert_int_not_equal(io_listen(bench->io, PLACE("192.0.2.1", 0), &c, &same, &err), 0);
    assert_int_equal(c, -1);
    if (io_listen(bench->io, PLACE("::1", 0), &c, &same, &err) == 0) { /* a machine without IPv6 is fine */
        io_close(bench->io, c);
    }
    io_close(bench->io, a);
    io_close(bench->io, b);
}

/* Listeners of both kinds on one port, and of two shards. */
EACH_BACKEND(all_addresses_of_ipv6_leave_those_of_ipv4_to_another_listener)
{
    struct el_error err = {0};
    int four = -1, six = -1, shard = -1, none = -1;
    uint16_t port = 0, same = 0;
    if (io_listen(bench->io, PLACE("::", 0, .only_v6 = true), &six, &port, &err) != 0) {
        el_test_skip(err.text);
    }
    assert_int_equal(io_listen(bench->io, PLACE("0.0.0.0", port), &four, &same, &err), 0);
    assert_int_equal(io_listen(bench->io, PLACE("::", port, .only_v6 = true, .join = true), &shard, &same, &err), 0);
    io_close(bench->io, shard);
    assert_int_equal(io_listen(bench->io, PLACE("::", port, .only_v6 = true), &none, &same, &err), EVLOG_ERR_EXISTS);
    io_close(bench->io, six);
    assert_int_equal(io_listen(bench->io, PLACE("::", port), &none, &same, &err), EVLOG_ERR_EXISTS);
    assert_int_equal(none, -1);
    io_close(bench->io, four);
}
