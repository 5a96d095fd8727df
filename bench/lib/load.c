/* SPDX-License-Identifier: Apache-2.0
 *
 * The load generator: one thread, one epoll, connections that replay one encoded Produce request each.
 *
 * 1. closed loop: each connection keeps `depth` requests under way and sends the next one when an answer comes
 * 2. open loop (rate): requests are due at fixed times, whether or not answers came; the time of a request counts from
 *    when it was due, so that a stall is not hidden by the requests it kept from being sent
 * 3. every answer's error code is looked at; the first that is not 0 ends the benchmark
 *
 * The cost of the generator is two system calls a request (recv, writev) and a share of an epoll_wait.
 */
#include "bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define HEAD_LEN 12u /* length, key, version, correlation id */
#define IN_LEN 16384u
#define OTHERS_FINE 0.12 /* kernel threads that finish the broker's own writes take up to a tenth */

struct load_conn {
    int fd;
    const struct bench_produce *produce;
    uint32_t sent; /* requests whose sending has begun */
    uint32_t answered;
    size_t out_pos; /* bytes sent of the request being sent, 0: none is */
    uint8_t head[HEAD_LEN];
    uint64_t due_ns[BENCH_DEPTH_MAX]; /* [sent % BENCH_DEPTH_MAX] */
    size_t in_len;
    uint8_t in[IN_LEN];
};

struct load {
    const struct bench_load *ask;
    struct load_conn *conns;
    int epoll_fd;
    uint64_t sent;
    uint64_t answered;
    uint64_t due_ns;    /* open loop: of the next request */
    uint64_t step_ns;   /* open loop: between two requests; 0: closed loop */
    uint32_t next_conn; /* open loop */
    bool ending;
    struct bench_histogram histogram;
};

/* Go on with the request being sent. returns false when the socket is full */
static bool push(struct load_conn *conn)
{
    struct el_slice frame = conn->produce->frame;
    while (conn->out_pos < frame.len) {
        struct iovec iov[2];
        int count = 0;
        if (conn->out_pos < HEAD_LEN) {
            iov[count++] = (struct iovec){conn->head + conn->out_pos, HEAD_LEN - conn->out_pos};
        }
        size_t at = conn->out_pos < HEAD_LEN ? HEAD_LEN : conn->out_pos;
        iov[count++] = (struct iovec){(void *)(uintptr_t)(frame.data + at), frame.len - at};
        ssize_t n = writev(conn->fd, iov, count);
        if (n < 0 && errno == EAGAIN) {
            return false;
        }
        if (n <= 0) {
            bench_die("send: %s", strerror(errno));
        }
        conn->out_pos += (size_t)n;
    }
    conn->out_pos = 0;
    return true;
}

static bool begin(struct load *load, struct load_conn *conn, uint64_t due_ns)
{
    if (load->ask->in_turn) { /* all requests have the same error_pos: they differ in the partition only */
        conn->produce = &load->ask->produces[load->sent % load->ask->produce_count];
    }
    memcpy(conn->head, conn->produce->frame.data, HEAD_LEN);
    el_put_be32(conn->head + 8, conn->sent);
    conn->due_ns[conn->sent % BENCH_DEPTH_MAX] = due_ns;
    conn->sent++;
    load->sent++;
    return push(conn);
}

static bool may_send(const struct load *load, const struct load_conn *conn)
{
    const struct bench_load *ask = load->ask;
    return !load->ending && conn->out_pos == 0 && conn->sent - conn->answered < ask->depth &&
           (ask->request_count == 0 || load->sent < ask->request_count);
}

static void conn_send(struct load *load, struct load_conn *conn)
{
    if (conn->out_pos > 0 && !push(conn)) {
        return;
    }
    while (load->step_ns == 0 && may_send(load, conn)) {
        if (!begin(load, conn, bench_now_ns())) {
            return;
        }
    }
}

/* Frames of answers in conn->in. */
static void take_answers(struct load *load, struct load_conn *conn, uint64_t now_ns)
{
    size_t pos = 0;
    while (conn->in_len - pos >= 4) {
        const uint8_t *frame = conn->in + pos;
        size_t len = 4 + (size_t)el_get_be32(frame);
        if (len > IN_LEN) {
            bench_die("an answer of %zu bytes", len);
        }
        if (conn->in_len - pos < len) {
            break;
        }
        size_t at = conn->produce->error_pos;
        int error = len < at + 2 ? -1 : (int)(int16_t)el_get_be16(frame + at);
        if (error != 0 || el_get_be32(frame + 4) != conn->answered) {
            bench_die("request %u was answered with error %d", conn->answered, error);
        }
        bench_histogram_add(&load->histogram, now_ns - conn->due_ns[conn->answered % BENCH_DEPTH_MAX]);
        conn->answered++;
        load->answered++;
        pos += len;
    }
    memmove(conn->in, conn->in + pos, conn->in_len - pos);
    conn->in_len -= pos;
}

/* The socket is edge-triggered: read until less comes than there was room for. */
static void conn_recv(struct load *load, struct load_conn *conn)
{
    for (;;) {
        size_t room = IN_LEN - conn->in_len;
        ssize_t n = recv(conn->fd, conn->in + conn->in_len, room, 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n <= 0) {
            bench_die("the broker closed a connection");
        }
        conn->in_len += (size_t)n;
        take_answers(load, conn, bench_now_ns());
        if ((size_t)n < room) {
            return;
        }
    }
}

/* Open loop: what is due goes out, as far as connections have room. */
static void send_due(struct load *load)
{
    uint64_t now_ns = bench_now_ns();
    uint32_t tried = 0;
    while (load->due_ns <= now_ns && tried < load->ask->conns) {
        struct load_conn *conn = &load->conns[load->next_conn];
        load->next_conn = (load->next_conn + 1) % load->ask->conns;
        tried++;
        if (may_send(load, conn)) {
            begin(load, conn, load->due_ns);
            load->due_ns += load->step_ns;
            tried = 0;
        }
    }
}

static void load_poll(struct load *load, uint64_t until_ns)
{
    struct epoll_event events[256];
    uint64_t now_ns = bench_now_ns();
    uint64_t wake_ns = load->step_ns > 0 && load->due_ns < until_ns ? load->due_ns : until_ns;
    uint64_t wait_ns = wake_ns <= now_ns ? 0 : wake_ns - now_ns;
    struct timespec t = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
    int n = epoll_pwait2(load->epoll_fd, events, 256, &t, NULL);
    for (int i = 0; i < n; i++) {
        struct load_conn *conn = events[i].data.ptr;
        if ((events[i].events & EPOLLIN) != 0) {
            conn_recv(load, conn);
        }
        conn_send(load, conn);
    }
}

static bool load_over(const struct load *load, uint64_t until_ns)
{
    const struct bench_load *ask = load->ask;
    if (ask->request_count > 0) {
        return load->answered >= ask->request_count;
    }
    return bench_now_ns() >= until_ns || (ask->stop != NULL && *ask->stop);
}

static void load_for(struct load *load, double seconds)
{
    uint64_t until_ns = bench_now_ns() + (uint64_t)(seconds * 1e9);
    while (!load_over(load, until_ns)) {
        if (load->step_ns > 0) {
            send_due(load);
        }
        load_poll(load, until_ns);
    }
}

static void load_open(struct load *load)
{
    const struct bench_load *ask = load->ask;
    load->conns = bench_alloc(ask->conns * sizeof *load->conns);
    load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < ask->conns; i++) {
        struct load_conn *conn = &load->conns[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
        conn->fd = bench_connect(ask->port, false);
        conn->produce = &ask->produces[i % ask->produce_count];
        epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event);
    }
    if (ask->rate > 0) {
        load->step_ns = (uint64_t)(1e9 / ask->rate);
        load->due_ns = bench_now_ns();
    }
}

/* All that is under way is answered, then the connections close. */
static void load_close(struct load *load)
{
    load->ending = true;
    uint64_t until_ns = bench_now_ns() + 30000000000u;
    while (load->answered < load->sent && bench_now_ns() < until_ns) {
        load_poll(load, until_ns);
    }
    if (load->answered < load->sent) {
        bench_die("%llu requests were not answered", (unsigned long long)(load->sent - load->answered));
    }
    for (uint32_t i = 0; i < load->ask->conns; i++) {
        close(load->conns[i].fd);
    }
    close(load->epoll_fd);
    free(load->conns);
}

void bench_load_run(const struct bench_load *ask, struct bench_load_result *result)
{
    struct load *load = bench_alloc(sizeof *load);
    struct bench_cpu from, to;
    load->ask = ask;
    bench_wait_quiet(ask->quiet_seconds);
    load_open(load);
    if (ask->warm_seconds > 0) {
        load_for(load, ask->warm_seconds);
        memset(&load->histogram, 0, sizeof load->histogram);
    }
    uint64_t before = load->answered;
    bench_cpu_read(&from, ask->broker);
    load_for(load, ask->request_count > 0 ? 60 : ask->seconds);
    bench_cpu_read(&to, ask->broker);
    double requests = (double)(load->answered - before);
    *result = (struct bench_load_result){
        .requests = load->answered - before,
        .seconds = (double)(to.at_ns - from.at_ns) / 1e9,
        .p50_us = bench_histogram_us(&load->histogram, 0.5),
        .p99_us = bench_histogram_us(&load->histogram, 0.99),
        .p999_us = bench_histogram_us(&load->histogram, 0.999),
        .broker_us = requests > 0 ? (double)(to.broker_ns - from.broker_ns) / 1000 / requests : 0,
        .others = bench_cpu_others(&from, &to),
    };
    result->requests_per_second = requests / result->seconds;
    load_close(load);
    free(load);
}

void bench_load_run_quiet(const struct bench_load *ask, uint32_t repeats, struct bench_load_result *result)
{
    bench_load_run(ask, result);
    for (uint32_t i = 1; i < repeats && result->others > OTHERS_FINE; i++) {
        struct bench_load_result again;
        bench_load_run(ask, &again);
        if (again.others < result->others) {
            *result = again;
        }
    }
}
