/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections as two pipes. A pipe holds the bytes that were sent and not yet read, cut into pieces that each have a
 * time of arrival; behind the last one may stand the sender's end or a reset.
 */
#include "sim_net.h"

#include "sim_io.h"
#include <core/assert.h>
#include <core/hash.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNS_MAX 256u
#define LISTENERS_MAX 8u
#define FD_CONN 1000000
#define FD_LISTENER 2000000
#define PORT 9092

struct piece {
    size_t len;
    uint64_t due_ns;
};

struct pipe {
    uint8_t *bytes; /* [len] sent and not read */
    size_t len, room;
    struct piece *pieces; /* [piece_count] of those bytes, in order */
    uint32_t piece_count, piece_room;
    bool ended;      /* the sender's end stands behind them */
    bool reset;      /* a reset does */
    uint64_t end_ns; /* when that arrives */
};

struct conn {
    bool client_open; /* the client has not given it up */
    bool broker_open; /* waits for an accept, or was accepted and not closed */
    bool accepted;
    uint32_t listener;  /* whose queue it waits in */
    uint64_t accept_ns; /* when it gets there */
    uint64_t number;    /* of all connections ever made */
    uint32_t client;
    size_t window;        /* most bytes in a pipe */
    struct pipe up, down; /* to the broker, to the client */
};

struct sim_net {
    struct sim_clock *clock;
    struct el_rng *rng;
    struct sim_disk *disk; /* decides on faults */
    struct conn conns[CONNS_MAX];
    uint32_t slot_count; /* conns from here on were never used */
    bool listeners[LISTENERS_MAX];
    uint32_t waiting[LISTENERS_MAX]; /* connections that are not accepted */
    uint64_t conn_count;             /* ever */
    struct sim_trace *trace;
};

/* --- pipes -------------------------------------------------------------------------------------------------------- */

static uint64_t delay_ns(struct sim_net *net)
{
    bool slow = sim_disk_fault(net->disk, FAULT_NET_SLOW);
    return 1000 + el_rng_below(net->rng, slow ? 50000000 : 200000);
}

static size_t some_of(struct sim_net *net, size_t len)
{
    if (sim_disk_fault(net->disk, FAULT_NET_SMALL)) {
        size_t few = (size_t)(1 + el_rng_below(net->rng, 16)); /* EL_MIN names its arguments twice */
        return EL_MIN(len, few);
    }
    return el_rng_chance(net->rng, 300000) ? (size_t)(1 + el_rng_below(net->rng, len)) : len;
}

static uint64_t pipe_last_ns(const struct sim_net *net, const struct pipe *pipe)
{
    uint64_t last_ns = pipe->piece_count == 0 ? 0 : pipe->pieces[pipe->piece_count - 1].due_ns;
    return EL_MAX(last_ns, net->clock->now_ns);
}

static void piece_add(struct sim_net *net, struct pipe *pipe, const uint8_t *data, size_t len)
{
    if (pipe->len + len > pipe->room) {
        pipe->room = (pipe->len + len) * 2;
        pipe->bytes = realloc(pipe->bytes, pipe->room);
    }
    if (pipe->piece_count == pipe->piece_room) {
        pipe->piece_room = pipe->piece_room == 0 ? 16 : pipe->piece_room * 2;
        pipe->pieces = realloc(pipe->pieces, pipe->piece_room * sizeof(*pipe->pieces));
    }
    EL_ASSERT(pipe->bytes != NULL);
    EL_ASSERT(pipe->pieces != NULL);
    uint64_t last_ns = pipe_last_ns(net, pipe), due_ns = net->clock->now_ns + delay_ns(net);
    memcpy(pipe->bytes + pipe->len, data, len);
    pipe->len += len;
    pipe->pieces[pipe->piece_count++] = (struct piece){len, EL_MAX(last_ns, due_ns)};
}

static void pipe_end(struct sim_net *net, struct pipe *pipe, bool reset)
{
    if (pipe->reset) {
        return;
    }
    pipe->end_ns = pipe_last_ns(net, pipe) + delay_ns(net);
    pipe->ended = true;
    pipe->reset = reset;
}

static uint64_t pipe_ready_ns(const struct pipe *pipe)
{
    if (pipe->piece_count > 0) {
        return pipe->pieces[0].due_ns;
    }
    return pipe->ended ? pipe->end_ns : UINT64_MAX;
}

/* Some of what has arrived. returns bytes, at least 1 */
static size_t pipe_read(struct sim_net *net, struct pipe *pipe, uint8_t *buf, size_t len)
{
    size_t there = 0;
    uint32_t gone = 0;
    for (uint32_t i = 0; i < pipe->piece_count && pipe->pieces[i].due_ns <= net->clock->now_ns; i++) {
        there += pipe->pieces[i].len;
    }
    EL_ASSERT(there > 0);
    size_t n = some_of(net, EL_MIN(there, len));
    memcpy(buf, pipe->bytes, n);
    memmove(pipe->bytes, pipe->bytes + n, pipe->len - n);
    pipe->len -= n;
    size_t left = n;
    while (left > 0 && pipe->pieces[gone].len <= left) {
        left -= pipe->pieces[gone++].len;
    }
    if (left > 0) {
        pipe->pieces[gone].len -= left;
    }
    pipe->piece_count -= gone;
    memmove(pipe->pieces, pipe->pieces + gone, pipe->piece_count * sizeof(*pipe->pieces));
    return n;
}

/* What is still under way is lost from a random piece on. */
static void pipe_cut(struct sim_net *net, struct pipe *pipe)
{
    uint32_t keep = (uint32_t)el_rng_below(net->rng, (uint64_t)pipe->piece_count + 1);
    size_t len = 0;
    for (uint32_t i = 0; i < keep; i++) {
        len += pipe->pieces[i].len;
    }
    pipe->len = len;
    pipe->piece_count = keep;
    pipe->ended = pipe->reset = false;
    pipe_end(net, pipe, true);
}

static void conn_break(struct sim_net *net, struct conn *c)
{
    pipe_cut(net, &c->up);
    pipe_cut(net, &c->down);
}

/* Send on one of the pipes; returns bytes taken. */
static size_t conn_send(struct sim_net *net, struct conn *c, struct pipe *pipe, const uint8_t *data, size_t len)
{
    if (pipe->len >= c->window || len == 0) {
        return 0;
    }
    size_t n = some_of(net, EL_MIN(len, c->window - pipe->len));
    piece_add(net, pipe, data, n);
    if (sim_disk_fault(net->disk, FAULT_NET_RESET)) {
        conn_break(net, c);
    }
    return n;
}

static void conn_release(struct conn *c)
{
    if (!c->client_open && !c->broker_open) {
        free(c->up.bytes);
        free(c->up.pieces);
        free(c->down.bytes);
        free(c->down.pieces);
        memset(c, 0, sizeof(*c));
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

struct sim_net *sim_net_create(struct sim_clock *clock, struct el_rng *rng, struct sim_disk *disk)
{
    struct sim_net *net = calloc(1, sizeof(*net));
    EL_ASSERT(net != NULL);
    net->clock = clock;
    net->rng = rng;
    net->disk = disk;
    net->trace = sim_disk_trace(disk);
    return net;
}

void sim_net_free(struct sim_net *net)
{
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        net->conns[i].client_open = net->conns[i].broker_open = false;
        conn_release(&net->conns[i]);
    }
    free(net);
}

void sim_net_off(struct sim_net *net)
{
    memset(net->listeners, 0, sizeof(net->listeners));
    memset(net->waiting, 0, sizeof(net->waiting));
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        struct conn *c = &net->conns[i];
        if (c->broker_open) {
            conn_break(net, c);
            c->broker_open = false;
            conn_release(c);
        }
    }
}

uint32_t sim_net_open_count(const struct sim_net *net)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        count += net->conns[i].broker_open && net->conns[i].accepted;
    }
    for (uint32_t i = 0; i < LISTENERS_MAX; i++) {
        count += net->listeners[i];
    }
    return count;
}

/* --- the broker's end --------------------------------------------------------------------------------------------- */

static struct conn *conn_of_fd(struct sim_net *net, int fd)
{
    EL_ASSERT(fd >= FD_CONN);
    EL_ASSERT(fd < FD_CONN + (int)CONNS_MAX);
    struct conn *c = &net->conns[fd - FD_CONN];
    EL_ASSERT(c->broker_open);
    EL_ASSERT(c->accepted);
    return c;
}

static uint32_t listener_of_fd(const struct sim_net *net, int fd)
{
    EL_ASSERT(fd >= FD_LISTENER);
    EL_ASSERT(fd < FD_LISTENER + (int)LISTENERS_MAX);
    EL_ASSERT(net->listeners[fd - FD_LISTENER]);
    return (uint32_t)(fd - FD_LISTENER);
}

int sim_net_listen(struct sim_net *net, uint16_t port, bool join, int *fd, uint16_t *bound_port)
{
    for (uint32_t i = 0; i < LISTENERS_MAX; i++) {
        if (net->listeners[i] && !join) {
            return EVLOG_ERR_EXISTS;
        }
        if (!net->listeners[i]) {
            net->listeners[i] = true;
            *fd = FD_LISTENER + (int)i;
            *bound_port = port == 0 ? PORT : port;
            return 0;
        }
    }
    return EVLOG_ERR_NO_FILES;
}

int sim_net_peer_name(struct sim_net *net, int fd, char *text, size_t text_len)
{
    struct conn *c = conn_of_fd(net, fd);
    if (c->up.reset && c->up.piece_count == 0 && c->up.end_ns <= net->clock->now_ns) {
        return EVLOG_ERR_CLOSED;
    }
    snprintf(text, text_len, "10.0.0.%u:%u", c->client, 1024 + (unsigned)(c->number % 60000));
    return 0;
}

void sim_net_shutdown(struct sim_net *net, int fd)
{
    pipe_end(net, &conn_of_fd(net, fd)->down, false);
}

/* A close with unread bytes sends a reset, which may overtake what was sent before. */
static void broker_close(struct sim_net *net, struct conn *c)
{
    if (c->up.len > 0) {
        pipe_cut(net, &c->down);
    } else {
        pipe_end(net, &c->down, false);
    }
    c->broker_open = false;
    conn_release(c);
}

void sim_net_close(struct sim_net *net, int fd)
{
    if (fd < FD_LISTENER) {
        broker_close(net, conn_of_fd(net, fd));
        return;
    }
    uint32_t listener = listener_of_fd(net, fd);
    net->listeners[listener] = false;
    net->waiting[listener] = 0;
    for (uint32_t i = 0; i < CONNS_MAX; i++) {
        struct conn *c = &net->conns[i];
        if (c->broker_open && !c->accepted && c->listener == listener) {
            conn_break(net, c);
            c->broker_open = false;
            conn_release(c);
        }
    }
}

/* The connection that waits longest for an accept; NULL none. */
static struct conn *accept_first(struct sim_net *net, uint32_t listener)
{
    struct conn *first = NULL;
    for (uint32_t i = 0; i < net->slot_count && net->waiting[listener] > 0; i++) {
        struct conn *c = &net->conns[i];
        if (c->broker_open && !c->accepted && c->listener == listener &&
            (first == NULL || c->accept_ns < first->accept_ns)) {
            first = c;
        }
    }
    return first;
}

uint64_t sim_net_ready(struct sim_net *net, const struct io_op *op)
{
    if (op->code == IO_ACCEPT) {
        const struct conn *c = accept_first(net, listener_of_fd(net, op->fd));
        return c == NULL ? UINT64_MAX : c->accept_ns;
    }
    const struct conn *c = conn_of_fd(net, op->fd);
    if (op->code == IO_RECV) {
        return pipe_ready_ns(&c->up);
    }
    EL_ASSERT(op->code == IO_SEND);
    return c->down.ended || c->down.len < c->window ? 0 : UINT64_MAX;
}

static int64_t go_accept(struct sim_net *net, const struct io_op *op)
{
    if (sim_disk_fault(net->disk, FAULT_NO_ACCEPT)) {
        return EVLOG_ERR_NO_FILES;
    }
    struct conn *c = accept_first(net, listener_of_fd(net, op->fd));
    EL_ASSERT(c != NULL);
    c->accepted = true;
    net->waiting[c->listener]--;
    return FD_CONN + (int64_t)(c - net->conns);
}

static int64_t go_recv(struct sim_net *net, const struct io_op *op)
{
    struct conn *c = conn_of_fd(net, op->fd);
    if (c->up.piece_count == 0) {
        EL_ASSERT(c->up.ended);
        return c->up.reset ? EVLOG_ERR_CLOSED : 0;
    }
    size_t n = pipe_read(net, &c->up, op->buf, op->len);
    SIM_TRACE(net->trace, "recv", (uint64_t)op->fd, n, el_xxh3(op->buf, n));
    return (int64_t)n;
}

/* As much as the window takes now. returns true when all has left */
static bool go_send(struct sim_net *net, const struct io_op *op, uint64_t *sent, int64_t *result)
{
    struct conn *c = conn_of_fd(net, op->fd);
    uint64_t before = 0;
    for (int i = 0; i < op->iov_count; i++) {
        uint64_t end = before + op->iov[i].iov_len;
        while (*sent < end) {
            if (c->down.ended) {
                *result = EVLOG_ERR_CLOSED;
                return true;
            }
            const uint8_t *data = op->iov[i].iov_base;
            size_t n = conn_send(net, c, &c->down, data + (*sent - before), (size_t)(end - *sent));
            if (n == 0) {
                return false;
            }
            *sent += n;
            if (el_rng_chance(net->rng, 300000)) {
                return false; /* the rest later */
            }
        }
        before = end;
    }
    *result = (int64_t)before;
    return true;
}

bool sim_net_go(struct sim_net *net, struct io_op *op, uint64_t *sent, int64_t *result)
{
    if (op->code == IO_SEND) {
        return go_send(net, op, sent, result);
    }
    *result = op->code == IO_ACCEPT ? go_accept(net, op) : go_recv(net, op);
    return true;
}

/* --- the clients' end --------------------------------------------------------------------------------------------- */

static struct conn *conn_at(struct sim_net *net, int conn)
{
    EL_ASSERT(conn >= 0);
    EL_ASSERT(conn < (int)CONNS_MAX);
    struct conn *c = &net->conns[conn];
    EL_ASSERT(c->client_open);
    return c;
}

/* One of the listeners; LISTENERS_MAX none. */
static uint32_t listener_any(struct sim_net *net)
{
    uint32_t first = (uint32_t)el_rng_below(net->rng, LISTENERS_MAX);
    for (uint32_t i = 0; i < LISTENERS_MAX; i++) {
        if (net->listeners[(first + i) % LISTENERS_MAX]) {
            return (first + i) % LISTENERS_MAX;
        }
    }
    return LISTENERS_MAX;
}

int sim_net_connect(struct sim_net *net, uint32_t client)
{
    uint32_t listener = listener_any(net);
    int free_slot = -1;
    for (uint32_t i = 0; i < CONNS_MAX && free_slot < 0; i++) {
        free_slot = net->conns[i].client_open || net->conns[i].broker_open ? -1 : (int)i;
    }
    if (listener == LISTENERS_MAX || free_slot < 0) {
        return -1;
    }
    struct conn *c = &net->conns[free_slot];
    net->slot_count = EL_MAX(net->slot_count, (uint32_t)free_slot + 1);
    net->waiting[listener]++;
    c->client_open = c->broker_open = true;
    c->listener = listener;
    c->client = client;
    c->number = ++net->conn_count;
    c->accept_ns = net->clock->now_ns + delay_ns(net);
    c->window = (size_t)256 << el_rng_below(net->rng, 11);
    return free_slot;
}

size_t sim_net_write(struct sim_net *net, int conn, const uint8_t *data, size_t len)
{
    struct conn *c = conn_at(net, conn);
    return c->up.ended || !c->broker_open ? 0 : conn_send(net, c, &c->up, data, len);
}

int64_t sim_net_read(struct sim_net *net, int conn, uint8_t *buf, size_t len)
{
    struct conn *c = conn_at(net, conn);
    if (pipe_ready_ns(&c->down) > net->clock->now_ns) {
        return 0;
    }
    if (c->down.piece_count == 0) {
        return c->down.reset ? EVLOG_ERR_CLOSED : EVLOG_ERR_NOT_FOUND;
    }
    size_t n = pipe_read(net, &c->down, buf, len);
    SIM_TRACE(net->trace, "answer", (uint64_t)conn, n, el_xxh3(buf, n));
    return (int64_t)n;
}

uint64_t sim_net_read_at(struct sim_net *net, int conn)
{
    return pipe_ready_ns(&conn_at(net, conn)->down);
}

void sim_net_end(struct sim_net *net, int conn)
{
    pipe_end(net, &conn_at(net, conn)->up, false);
}

void sim_net_drop(struct sim_net *net, int conn, bool reset)
{
    struct conn *c = conn_at(net, conn);
    if (reset) {
        pipe_cut(net, &c->up);
    } else {
        pipe_end(net, &c->up, false);
    }
    pipe_cut(net, &c->down); /* nobody reads it: the broker's next send fails */
    c->client_open = false;
    conn_release(c);
}
