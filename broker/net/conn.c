/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of a connection. Reading is in conn_recv.c, writing in conn_send.c, TLS in conn_tls.c.
 *
 *   OPEN      -> DRAINING   the shard stops, or a request was refused: what came before is answered
 *   DRAINING  -> LINGERING  all answered: our side is shut, the client's bytes are thrown away until it closes; a close
 *                           with unread bytes would send a reset, which may overtake the last answer
 *   any       -> CLOSING    the client has closed, an error, a deadline: ops are cancelled, requests abandoned
 *
 * A connection is freed only by conn_look_after(), so everything else may end it and go on using it.
 */
#include <core/logger.h>
#include <net/conn.h>

#include <stdatomic.h>
#include <stdio.h>

#define STARVE_RETRY_NS 20000000u

void conn_wait_end(struct conn *conn, enum conn_wait_kind kind)
{
    el_list_remove(&conn->waits[kind].link);
}

void conn_wait_begin(struct conn *conn, enum conn_wait_kind kind)
{
    struct net *net = conn->net;
    struct conn_wait *wait = &conn->waits[kind];
    el_list_remove(&wait->link);
    wait->since_ns = net->io->now_ns;
    el_list_push_back(&net->waits[kind], &wait->link);
    net_sweep_by(net, wait->since_ns + net_wait_ns(net, kind));
}

static void conn_on_unmute(struct io_timer *timer)
{
    struct conn *conn = timer->arg;
    OBJ_CHECK(conn, CONN);
    conn->muted = false;
    conn_wait_begin(conn, WAIT_IDLE); /* it was evlogd that had it stay away */
    conn_attend(conn);
}

void conn_mute(struct conn *conn, uint64_t mute_ns)
{
    OBJ_CHECK(conn, CONN);
    uint64_t until_ns = conn->net->io->now_ns + mute_ns;
    if (conn_state(conn) != CONN_OPEN || (conn->muted && conn->mute_timer.at_ns >= until_ns)) {
        return;
    }
    conn->muted = true;
    io_timer_set(conn->net->io, &conn->mute_timer, until_ns);
}

static void conn_unmute(struct conn *conn)
{
    if (conn->muted) {
        conn->muted = false;
        io_timer_cancel(conn->net->io, &conn->mute_timer);
    }
}

static void conn_check(const void *object, unsigned state)
{
    const struct conn *conn = object;
    OBJ_CHECK(conn, CONN);
    if (state == CONN_LINGERING) {
        EL_ASSERT(conn->request_count == 0);
        EL_ASSERT(!conn->sending);
        EL_ASSERT(!conn->receiving);
    }
}

static const struct el_sm_state conn_states[CONN_STATE_COUNT] = {
    [CONN_OPEN] = {"open", EL_SM_TO(CONN_DRAINING) | EL_SM_TO(CONN_CLOSING)},
    [CONN_DRAINING] = {"draining", EL_SM_TO(CONN_LINGERING) | EL_SM_TO(CONN_CLOSING)},
    [CONN_LINGERING] = {"lingering", EL_SM_TO(CONN_CLOSING)},
    [CONN_CLOSING] = {"closing", 0},
};
static const struct el_sm_table conn_sm = {"connection", conn_states, CONN_STATE_COUNT, conn_check};

static void conn_init(struct conn *conn, const struct net_listener *listener, int fd)
{
    struct net *net = listener->net;
    conn->magic = CONN_MAGIC;
    el_sm_init(&conn->sm, &conn_sm, CONN_OPEN);
    conn->net = net;
    conn->listener = listener;
    conn->id = ++net->conn_id_last;
    conn->fd = fd;
    el_list_init(&conn->attend_link);
    el_list_init(&conn->starve_link);
    el_list_init(&conn->requests);
    for (int kind = 0; kind < WAIT_KIND_COUNT; kind++) {
        el_list_init(&conn->waits[kind].link);
    }
    conn->recv_op.done = conn_on_recv;
    conn->recv_op.arg = conn;
    conn->mute_timer.fire = conn_on_unmute;
    conn->mute_timer.arg = conn;
    conn->send_op.done = conn_on_send;
    conn->send_op.arg = conn;
    el_list_push_back(&net->conns, &conn->link);
    net->conn_count++;
    if (net->config.conn_total != NULL) {
        atomic_fetch_add(net->config.conn_total, 1);
    }
}

struct el_slice conn_address(const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    bool bracketed = len >= 2 && peer[0] == '[' && peer[len - 1] == ']';
    return bracketed ? el_slice_of(peer + 1, len - 2) : el_slice_of(peer, len);
}

/* A connection that is counted everywhere. returns NULL: it may not be, and fd is closed */
static struct conn *conn_make(const struct net_listener *listener, int fd, const char *peer)
{
    struct net *net = listener->net;
    enum net_refusal why;
    if (!net_admits(net, peer, &why)) {
        net_refuse(net, fd, peer, why);
        return NULL;
    }
    struct conn *conn = el_pool_get(&net->conn_pool);
    if (conn == NULL) {
        net_refuse(net, fd, peer, NET_REFUSED_MEMORY);
        return NULL;
    }
    conn->net = net;
    (void)snprintf(conn->peer, sizeof conn->peer, "%s", peer);
    if (!conn_seat_address(conn, &why)) {
        el_pool_put(&net->conn_pool, conn);
        net_refuse(net, fd, peer, why);
        return NULL;
    }
    conn_init(conn, listener, fd);
    return conn;
}

void conn_open(const struct net_listener *listener, int fd)
{
    struct net *net = listener->net;
    char peer[sizeof(((struct conn *)0)->peer)];
    if (io_peer_name(net->io, fd, peer, sizeof(peer)) != 0) {
        io_close(net->io, fd); /* gone already */
        return;
    }
    struct conn *conn = conn_make(listener, fd, peer);
    if (conn == NULL) {
        return;
    }
    metrics_add(net->metrics, METRIC_CONNECTIONS, 1);
    metrics_add(net->metrics, METRIC_CONNECTIONS_ACCEPTED, 1);
    conn_wait_begin(conn, WAIT_IDLE);
    conn_unproven(conn);
    if (!config_protocol_has_tls(listener->config.protocol)) {
        conn_read(conn);
    } else if (conn_tls_begin(conn)) {
        conn_tls_go(conn);
    } else {
        conn_close(conn, true);
    }
}

int conn_set_principal(struct conn *conn, const char *text)
{
    size_t len = strlen(text) + 1;
    if (len > NET_PRINCIPAL_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    char *principal = conn->principal == NULL ? el_pool_get(&conn->net->principal_pool) : conn->principal;
    if (principal == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    bool proved_again = conn->principal != NULL && strcmp(conn->principal, text) == 0;
    int rc = proved_again ? 0 : conn_seat_principal(conn, text);
    if (rc != 0) {
        if (conn->principal == NULL) {
            el_pool_put(&conn->net->principal_pool, principal);
        }
        return rc;
    }
    conn->principal = principal;
    memcpy(conn->principal, text, len);
    return 0;
}

void conn_attend(struct conn *conn)
{
    struct net *net = conn->net;
    if (el_list_empty(&conn->attend_link)) {
        el_list_push_back(&net->attention, &conn->attend_link);
    }
    if (net->attend_timer.heap_index == 0) {
        io_timer_set(net->io, &net->attend_timer, net->io->now_ns);
    }
}

void conn_starve(struct conn *conn)
{
    struct net *net = conn->net;
    if (conn->starved) {
        return;
    }
    conn->starved = true;
    el_list_push_back(&net->starving, &conn->starve_link);
    if (net->starve_timer.heap_index == 0) {
        io_timer_set(net->io, &net->starve_timer, net->io->now_ns + STARVE_RETRY_NS);
    }
}

void conn_feed(struct conn *conn)
{
    EL_ASSERT(conn->starved);
    el_list_remove(&conn->starve_link);
    conn->starved = false;
    if (!el_list_empty(&conn->waits[WAIT_IDLE].link)) {
        conn_wait_begin(conn, WAIT_IDLE); /* from now on it may be the client that is */
    }
    conn_attend(conn);
}

void conn_close(struct conn *conn, bool error)
{
    OBJ_CHECK(conn, CONN);
    if (conn_state(conn) == CONN_CLOSING) {
        return;
    }
    if (error) {
        metrics_add(conn->net->metrics, METRIC_CONNECTIONS_CLOSED_ERROR, 1);
    }
    conn_unmute(conn);
    el_sm_move(&conn->sm, conn, CONN_CLOSING);
    conn_proved(conn);
    for (int kind = 0; kind < WAIT_KIND_COUNT; kind++) {
        conn_wait_end(conn, (enum conn_wait_kind)kind);
    }
    conn_attend(conn);
}

void conn_drain(struct conn *conn)
{
    OBJ_CHECK(conn, CONN);
    if (conn_state(conn) != CONN_OPEN) {
        return;
    }
    conn_unmute(conn); /* what has been read is answered */
    el_sm_move(&conn->sm, conn, CONN_DRAINING);
    conn_wait_end(conn, WAIT_IDLE);
    if (conn->receiving) {
        io_cancel(conn->net->io, &conn->recv_op);
    }
    conn_attend(conn);
}

void conn_late(struct conn *conn, enum conn_wait_kind kind)
{
    struct net *net = conn->net;
    bool error = true, starved;
    const char *what = NULL;
    switch (kind) {
    case WAIT_FRAME:
        starved = !conn->receiving; /* also when it is about to try again */
        metrics_add(net->metrics, starved ? METRIC_REFUSED_MEMORY : METRIC_REFUSED_FRAME, 1);
        what = starved ? "no memory for a request that has begun" : "a request that has begun did not arrive";
        break;
    case WAIT_SEND:
        metrics_add(net->metrics, METRIC_REFUSED_UNREAD, 1);
        what = "answers are not read";
        break;
    case WAIT_IDLE:
        if (conn->request_count > 0 || conn->muted || conn->starved) { /* it is not the client that is idle */
            conn_wait_begin(conn, WAIT_IDLE);
            return;
        }
        error = false;
        break;
    case WAIT_HANDSHAKE:
        conn_tls_refused(conn, "too_late");
        what = "the TLS handshake did not end in time";
        break;
    case WAIT_PROOF:
        metrics_add(net->metrics, METRIC_UNPROVEN_DROPPED, 1);
        what = "it has not proved who it is, or sent a request, in time";
        break;
    case WAIT_LINGER:
    case WAIT_KIND_COUNT:
        error = false;
        break;
    }
    if (what != NULL && net_may_log(net)) {
        el_log(EL_LOG_WARN, "net", "%s: closing the connection: %s", conn->peer, what);
    }
    conn_close(conn, error);
}

/* --- requests leave --------------------------------------------------------------------------------------------- */

void conn_request_gone(struct conn *conn, struct request *request)
{
    OBJ_CHECK(conn, CONN);
    EL_ASSERT(conn->request_count > 0);
    EL_ASSERT(conn->request_bytes >= request->frame_len);
    claim_leave(request);
    el_list_remove(&request->order);
    conn->request_count--;
    conn->request_bytes -= request->frame_len;
    account_paid(conn, request, request->reply_len);
    request->conn = NULL;
    claim_first(conn);
    if (conn->held_back && conn->starved && conn->request_count == 0) { /* it may read on whatever others hold */
        conn_feed(conn);
    }
}

/* Requests with a handler live on without their connection. */
static void abandon_requests(struct conn *conn)
{
    struct el_list orphans;
    el_list_init(&orphans);
    EL_LIST_EACH_SAFE(node, next, &conn->requests) {
        struct request *request = EL_CONTAINER(node, struct request, order);
        if (request->state == REQUEST_WORKING) {
            conn_request_gone(conn, request);
            el_list_push_back(&orphans, &request->order);
        }
    }
    struct el_list *node = el_list_pop_front(&orphans);
    while (node != NULL) {
        request_abandon(EL_CONTAINER(node, struct request, order));
        node = el_list_pop_front(&orphans);
    }
}

static void conn_free(struct conn *conn)
{
    struct net *net = conn->net;
    while (!el_list_empty(&conn->requests)) {
        request_free(EL_CONTAINER(conn->requests.next, struct request, order));
    }
    EL_ASSERT(conn->request_count == 0);
    EL_ASSERT(conn->request_bytes == 0);
    EL_ASSERT(conn->reply_bytes == 0);
    EL_ASSERT(conn->owed_bytes == 0);
    io_close(net->io, conn->fd);
    if (conn->user != NULL && net->config.conn_closed != NULL) {
        net->config.conn_closed(net->config.arg, conn->user);
    }
    if (conn->buffer != NULL) {
        buffer_unref(conn->buffer);
    }
    conn_tls_end(conn);
    account_leave(conn);
    conn_seats_leave(conn);
    conn_trust_drop(conn);
    if (conn->principal != NULL) {
        el_pool_put(&net->principal_pool, conn->principal);
    }
    el_list_remove(&conn->starve_link);
    el_list_remove(&conn->attend_link);
    el_list_remove(&conn->link);
    conn->magic = 0;
    el_pool_put(&net->conn_pool, conn);
    EL_ASSERT(net->conn_count > 0);
    net->conn_count--;
    if (net->config.conn_total != NULL) {
        atomic_fetch_sub(net->config.conn_total, 1);
    }
    metrics_add(net->metrics, METRIC_CONNECTIONS, -1);
    net_check_stopped(net);
}

static void look_after_closing(struct conn *conn)
{
    struct net *net = conn->net;
    if (!conn->cancelled) {
        conn->cancelled = true;
        if (conn->receiving) {
            io_cancel(net->io, &conn->recv_op);
        }
        if (conn->sending) {
            io_cancel(net->io, &conn->send_op);
        }
        abandon_requests(conn);
    }
    if (!conn->receiving && !conn->sending && conn_tls_idle(conn)) {
        conn_free(conn);
    }
}

static void look_after_draining(struct conn *conn)
{
    if (conn->receiving || conn->sending || conn->starved || conn->request_count > 0) {
        return;
    }
    if (conn_tls_say_end(conn)) {
        return;
    }
    el_sm_move(&conn->sm, conn, CONN_LINGERING);
    conn_wait_end(conn, WAIT_FRAME);
    io_shutdown(conn->net->io, conn->fd);
    if (conn_discard(conn)) {
        conn_wait_begin(conn, WAIT_LINGER);
    } else {
        conn_close(conn, false);
    }
}

void conn_look_after(struct conn *conn)
{
    OBJ_CHECK(conn, CONN);
    if (!conn_tls_open(conn)) {
        conn_tls_go(conn);
    } else if (conn_state(conn) == CONN_OPEN || conn_state(conn) == CONN_DRAINING) {
        conn_read(conn);
        conn_write(conn);
    }
    switch (conn_state(conn)) {
    case CONN_DRAINING:
        look_after_draining(conn);
        break;
    case CONN_CLOSING:
        look_after_closing(conn);
        break;
    case CONN_OPEN:
    case CONN_LINGERING:
    case CONN_STATE_COUNT:
        break;
    }
}
