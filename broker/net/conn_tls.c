/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a connection: the handshake, then bytes in both directions.
 *
 *   HELLO     the first record of the client is awaited, in a small buffer and without a context
 *   QUEUED    it is there, or the client's next flight: one of few workers' jobs is awaited
 *   WORKING   a job computes: a handshake costs milliseconds, and a shard has none to spare
 *   SENDING   what the job has written leaves
 *   GREETING  the client's next flight is awaited
 *   OPEN      as any connection; records are opened and sealed on the shard, where the bytes are
 *   FAILED    an alert leaves, then the connection ends
 *
 * What strangers can use up is bounded: a context, some 40 KiB of heap that the shard's budget answers for, is made
 * only for a first record that is whole; there are net_config.handshake_count_max of them at once whose handshake has
 * not ended; when others wait, those go first that have kept us waiting for handshake_patience_ns. When more wait than
 * that number, patience is short and who came last is served first: the others are a crowd, and would have who means
 * it wait behind them until its time is up. All of it has to end in net_config.handshake_ns_max.
 *
 * While a job runs, buffers and context are its, and the connection is not freed.
 */
#include <core/logger.h>
#include <net/conn.h>
#include <wire/frame.h>

#define TLS_JOBS_MAX 1u        /* of a shard at once: its other worker is left to reads */
#define TLS_RETRY_NS 20000000u /* without memory */
#define TLS_HASTE 8u           /* patience in a crowd is so much shorter */
#define TLS_IN_LEN_SMALL (4096u - sizeof(struct net_buffer))
#define TLS_IN_LEN_LARGE ((64u << 10) - sizeof(struct net_buffer))
#define TLS_OUT_LEN_SMALL ((32u << 10) - sizeof(struct net_buffer))
#define TLS_OUT_LEN_LARGE ((128u << 10) - sizeof(struct net_buffer))
#define TLS_HEAD_LEN 5u /* of a record */
#define TLS_HANDSHAKE 22u

EL_STATIC_ASSERT(TLS_OUT_LEN_SMALL >= EL_TLS_ROOM_MIN, "the small one has room for a record");

static size_t in_len(const struct conn_tls *t)
{
    return t->in_end - t->in_pos;
}

static bool has_context(const struct conn_tls *t)
{
    return t->reserve != NULL;
}

static struct el_tls_bytes bytes_of(struct conn_tls *t)
{
    return (struct el_tls_bytes){.in = t->in == NULL ? NULL : t->in->data + t->in_pos,
                                 .in_len = in_len(t),
                                 .out = t->out == NULL ? NULL : t->out->data,
                                 .out_room = t->out == NULL ? 0 : t->out->data_len,
                                 .out_len = t->out_len};
}

static void bytes_back(struct conn_tls *t, const struct el_tls_bytes *bytes)
{
    EL_ASSERT(bytes->in_len <= in_len(t));
    t->in_pos = t->in_end - bytes->in_len;
    t->out_len = bytes->out_len;
}

static void drop(struct net_buffer **buffer)
{
    if (*buffer != NULL) {
        buffer_unref(*buffer);
        *buffer = NULL;
    }
}

/* --- life --------------------------------------------------------------------------------------------------------- */

bool conn_tls_begin(struct conn *conn)
{
    struct net *net = conn->net;
    struct conn_tls *t = el_pool_get(&net->tls_pool);
    if (t == NULL) {
        return false;
    }
    t->conn = conn;
    t->state = TLS_HELLO;
    t->job.arg = t;
    el_list_init(&t->link);
    conn->tls = t;
    conn_wait_begin(conn, WAIT_HANDSHAKE);
    return true;
}

bool conn_tls_idle(const struct conn *conn)
{
    return conn->tls == NULL || conn->tls->state != TLS_WORKING;
}

bool conn_tls_open(const struct conn *conn)
{
    return conn->tls == NULL || conn->tls->state == TLS_OPEN;
}

/* Out of the list that it is in, if any. */
static void leave_list(struct conn_tls *t)
{
    struct net *net = t->conn->net;
    if (t->state == TLS_QUEUED && !el_list_empty(&t->link)) {
        EL_ASSERT(net->tls_queue_count > 0);
        net->tls_queue_count--;
    }
    el_list_remove(&t->link);
}

static bool crowded(const struct net *net)
{
    return net->tls_queue_count > net->config.handshake_count_max;
}

/* Its handshake has ended, well or not. */
static void leave_half(struct conn_tls *t)
{
    struct net *net = t->conn->net;
    if (t->half) {
        t->half = false;
        EL_ASSERT(net->tls_half_count > 0);
        net->tls_half_count--;
        metrics_add(net->metrics, METRIC_TLS_HALF_OPEN, -1);
    }
}

void conn_tls_end(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    struct net *net = conn->net;
    if (t == NULL) {
        return;
    }
    EL_ASSERT(t->state != TLS_WORKING);
    leave_half(t);
    leave_list(t);
    el_tls_free(t->tls);
    drop(&t->in);
    drop(&t->out);
    el_buddy_free(net->buddy, t->reserve);
    el_pool_put(&net->tls_pool, t);
    conn->tls = NULL;
    net_tls_next(net);
}

/* --- receiving ---------------------------------------------------------------------------------------------------- */

/* Receive more behind what is there. */
static void receive(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    if (in_len(t) == 0) {
        size_t want = t->in_busy ? TLS_IN_LEN_LARGE : TLS_IN_LEN_SMALL;
        if (t->in != NULL && t->in->data_len != want) {
            drop(&t->in);
        }
        t->in_pos = t->in_end = 0;
        t->in = t->in != NULL ? t->in : buffer_get(conn->net, want);
        if (t->in == NULL) {
            conn_starve(conn);
            return;
        }
    }
    EL_ASSERT(t->in_end < t->in->data_len);
    conn->receiving = true;
    io_recv(conn->net->io, &conn->recv_op, conn->fd, t->in->data + t->in_end, t->in->data_len - t->in_end);
}

void conn_tls_took(struct conn *conn, size_t len)
{
    struct conn_tls *t = conn->tls;
    t->in_end += len;
    t->in_busy = t->in_end == t->in->data_len;
}

int64_t conn_tls_read(struct conn *conn, void *buf, size_t len)
{
    struct conn_tls *t = conn->tls;
    EL_ASSERT(t->state == TLS_OPEN);
    struct el_tls_bytes bytes = bytes_of(t);
    int64_t n = el_tls_read(t->tls, &bytes, buf, len);
    t->in_pos = t->in_end - bytes.in_len;
    if (n == 0) {
        receive(conn);
    } else if (n < 0 && n != EVLOG_ERR_CLOSED) {
        metrics_add(conn->net->metrics, METRIC_REFUSED_MALFORMED, 1);
        if (net_may_log(conn->net)) {
            el_log(EL_LOG_WARN, "net", "%s: closing the connection: %s", conn->peer,
                   n == EVLOG_ERR_POLICY ? "it wants to negotiate TLS again, which is not done here"
                                         : "a record of TLS is damaged or not authentic");
        }
    }
    return n;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

/* What is in out leaves; conn_tls_sent() goes on. */
static void send_out(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    EL_ASSERT(!conn->sending);
    EL_ASSERT(t->out_len > 0);
    conn->sending = true;
    conn->iov[0] = (struct iovec){t->out->data, t->out_len};
    conn_wait_begin(conn, WAIT_SEND);
    io_send(conn->net->io, &conn->send_op, conn->fd, conn->iov, 1);
}

static bool get_out(struct conn *conn, bool large)
{
    struct conn_tls *t = conn->tls;
    EL_ASSERT(t->out == NULL);
    t->out_len = 0;
    t->out = large ? buffer_get(conn->net, TLS_OUT_LEN_LARGE) : NULL;
    t->out = t->out != NULL ? t->out : buffer_get(conn->net, TLS_OUT_LEN_SMALL);
    return t->out != NULL;
}

void conn_tls_write(struct conn *conn, int iov_count, size_t len)
{
    struct conn_tls *t = conn->tls;
    EL_ASSERT(t->state == TLS_OPEN);
    if (!get_out(conn, len > EL_TLS_PLAIN_LEN_MAX)) {
        conn_starve(conn);
        return;
    }
    struct el_tls_bytes bytes = bytes_of(t);
    t->plain_len = 0;
    for (int i = 0; i < iov_count; i++) {
        int64_t n = el_tls_write(t->tls, &bytes, conn->iov[i].iov_base, conn->iov[i].iov_len);
        if (n < 0) {
            conn_close(conn, true);
            return;
        }
        t->plain_len += (size_t)n;
        if ((size_t)n < conn->iov[i].iov_len) {
            break;
        }
    }
    t->out_len = bytes.out_len;
    send_out(conn);
}

bool conn_tls_say_end(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    if (t == NULL || t->state != TLS_OPEN || !get_out(conn, false)) {
        return false;
    }
    struct el_tls_bytes bytes = bytes_of(t);
    el_tls_close(t->tls, &bytes);
    t->out_len = bytes.out_len;
    t->state = TLS_ENDED;
    if (t->out_len == 0) {
        return false;
    }
    send_out(conn);
    return true;
}

/* --- the handshake ------------------------------------------------------------------------------------------------ */

static void tell(struct conn *conn, struct net_handshake *handshake)
{
    const struct net_config *config = &conn->net->config;
    if (config->shaken != NULL) {
        handshake->listener = &conn->listener->config;
        handshake->address = conn_address(conn->peer);
        config->shaken(config->arg, handshake);
    }
}

void conn_tls_refused(struct conn *conn, const char *failure)
{
    metrics_add(conn->net->metrics, METRIC_TLS_REFUSED, 1);
    tell(conn, &(struct net_handshake){.failure = failure});
}

/* why: for people, NULL: it has been said; failure: the same in one word */
static void failed(struct conn *conn, const char *why, const char *failure)
{
    struct conn_tls *t = conn->tls;
    conn_tls_refused(conn, failure);
    if (why != NULL && net_may_log(conn->net)) {
        el_log(EL_LOG_WARN, "net", "%s: closing the connection: TLS: %s", conn->peer, why);
    }
    leave_half(t);
    if (t->out != NULL && t->out_len > 0) {
        t->state = TLS_FAILED;
        send_out(conn);
    } else {
        conn_close(conn, true);
    }
}

/* Who the client is, by its certificate. returns a code with *refusal */
static int name_client(struct conn *conn, struct el_slice subject, struct principal_refusal *refusal)
{
    char principal[NET_PRINCIPAL_MAX];
    struct principal_names names = {.subject = subject};
    names.uri_count = el_tls_peer_uris(conn->tls->tls, &names.uri);
    const struct principal_rules *rules = conn->net->config.principal_rules[conn->listener->index];
    int rc = principal_rules_of_names(rules, &names, principal, sizeof principal, refusal);
    if (rc == 0) {
        rc = conn_set_principal(conn, principal);
        *refusal = rc == EVLOG_ERR_LIMIT ? (struct principal_refusal){NULL, "too_many_connections"}
                                         : (struct principal_refusal){"no memory", "no_memory"};
    }
    return rc;
}

/* The client has a name: that is a proof like any other. */
static void tell_proof(struct conn *conn)
{
    struct el_tls *tls = conn->tls->tls;
    struct net_handshake handshake = {
        .principal = conn->principal, .version = el_tls_version(tls), .cipher = el_tls_cipher(tls)};
    bool shown = el_tls_peer_digest(tls, handshake.certificate);
    EL_ASSERT(shown);
    metrics_add(conn->net->metrics, METRIC_AUTHENTICATIONS, 1);
    tell(conn, &handshake);
}

static void opened(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    struct principal_refusal refusal;
    struct el_slice subject = el_tls_peer_subject(t->tls);
    /* Elsewhere the client is who SASL says, or anonymous. */
    bool named = subject.data != NULL && conn->listener->config.protocol == CONFIG_SSL;
    drop(&t->out);
    if (named && name_client(conn, subject, &refusal) != 0) {
        failed(conn, refusal.why, refusal.failure);
        return;
    }
    leave_half(t);
    t->state = TLS_OPEN;
    metrics_add(conn->net->metrics, METRIC_TLS_HANDSHAKES, 1);
    if (named) {
        tell_proof(conn);
    }
    conn_wait_end(conn, WAIT_HANDSHAKE);
    conn_wait_begin(conn, WAIT_IDLE);
    conn_attend(conn); /* reads on */
}

static void queue(struct conn_tls *t)
{
    struct net *net = t->conn->net;
    leave_list(t);
    t->state = TLS_QUEUED;
    net->tls_queue_count++;
    if (has_context(t)) {
        el_list_push_front(&net->tls_queue, &t->link); /* so that what has begun ends */
    } else {
        el_list_push_back(&net->tls_queue, &t->link);
    }
    net_tls_next(net);
}

/* The job's output has left, or there was none. */
static void went_on(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    t->out_len = 0;
    switch (t->step) {
    case EL_TLS_DONE:
        opened(conn);
        break;
    case EL_TLS_WANT_OUT:
        queue(t);
        break;
    default:
        if (in_len(t) == 0) {
            t->state = TLS_GREETING;
            t->since_ns = conn->net->io->now_ns;
            el_list_push_back(&conn->net->tls_greeting, &t->link);
            conn_tls_go(conn);
        } else {
            queue(t);
        }
        break;
    }
}

static void on_job(struct io_op *op)
{
    struct conn_tls *t = op->arg;
    struct conn *conn = t->conn;
    struct net *net = conn->net;
    OBJ_CHECK(conn, CONN);
    EL_ASSERT(t->state == TLS_WORKING);
    EL_ASSERT(net->tls_job_count > 0);
    net->tls_job_count--;
    el_tls_config_unref(t->config);
    t->config = NULL;
    t->state = TLS_SENDING;
    t->step = (int)op->result;
    if (conn_state(conn) != CONN_OPEN) {
        conn_close(conn, false); /* the shard stops, or the client was late */
        conn_attend(conn);
    } else if (t->step < 0) {
        failed(conn, t->err.text, t->tls == NULL ? "no_memory" : el_tls_failure(t->tls));
    } else if (t->out_len > 0) {
        send_out(conn);
    } else {
        went_on(conn);
    }
    net_tls_next(net);
}

/* A worker's thread. */
static int64_t handshake_job(struct disk *disk, void *arg)
{
    struct conn_tls *t = arg;
    if (t->tls == NULL) {
        t->tls = el_tls_new(t->config, NULL);
    }
    if (t->tls == NULL) {
        return el_error_set(&t->err, EVLOG_ERR_NO_MEMORY, "no memory for a handshake");
    }
    struct el_tls_bytes bytes = bytes_of(t);
    int rc = el_tls_handshake(t->tls, &bytes, &t->err);
    bytes_back(t, &bytes);
    return rc;
}

/* What a handshake needs beside its input. returns false without memory */
static bool equip(struct conn_tls *t)
{
    struct net *net = t->conn->net;
    if (t->reserve == NULL) {
        t->reserve = el_buddy_alloc(net->buddy, EL_TLS_MEMORY_LEN);
        if (t->reserve == NULL) {
            return false;
        }
        t->half = true;
        net->tls_half_count++;
        metrics_add(net->metrics, METRIC_TLS_HALF_OPEN, 1);
    }
    return t->out != NULL || get_out(t->conn, false);
}

/* Contexts are used up: who has kept us waiting longest makes room, if that is long. */
static void make_room(struct net *net)
{
    if (el_list_empty(&net->tls_greeting)) {
        return;
    }
    struct conn_tls *t = EL_CONTAINER(net->tls_greeting.next, struct conn_tls, link);
    uint64_t until_ns = t->since_ns + net->config.handshake_patience_ns / (crowded(net) ? TLS_HASTE : 1);
    if (until_ns > net->io->now_ns) {
        io_timer_set(net->io, &net->tls_timer, until_ns);
        return;
    }
    leave_list(t);
    conn_tls_refused(t->conn, "made_room");
    conn_close(t->conn, true); /* its end calls net_tls_next() */
}

/* Who is served next. */
static struct conn_tls *next_in_queue(const struct net *net)
{
    struct conn_tls *first = EL_CONTAINER(net->tls_queue.next, struct conn_tls, link);
    bool last = crowded(net) && !has_context(first);
    return last ? EL_CONTAINER(net->tls_queue.prev, struct conn_tls, link) : first;
}

void net_tls_next(struct net *net)
{
    while (!el_list_empty(&net->tls_queue) && net->tls_job_count < TLS_JOBS_MAX) {
        struct conn_tls *t = next_in_queue(net);
        if (!has_context(t) && net->tls_half_count >= net->config.handshake_count_max) {
            make_room(net);
            return;
        }
        if (!equip(t)) {
            io_timer_set(net->io, &net->tls_timer, net->io->now_ns + TLS_RETRY_NS);
            return;
        }
        leave_list(t);
        t->state = TLS_WORKING;
        t->config = el_tls_config_ref(net->config.tls[t->conn->listener->index]);
        t->job.done = on_job;
        net->tls_job_count++;
        io_job(net->io, &t->job, IO_JOB_COMPUTE, handshake_job, t);
    }
}

/* Is the first record whole, or no record? With a full buffer it is looked at as it is. */
static bool hello_is_there(const struct conn_tls *t)
{
    const uint8_t *head = t->in->data + t->in_pos;
    size_t len = in_len(t);
    return len >= TLS_HEAD_LEN + el_get_be16(head + 3) || t->in_end == t->in->data_len;
}

static void look_at_hello(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    if (in_len(t) > 0 && t->in->data[t->in_pos] != TLS_HANDSHAKE) {
        failed(conn, "the client does not speak TLS, or not at once: this listener wants it", "no_tls");
    } else if (in_len(t) >= TLS_HEAD_LEN && hello_is_there(t)) {
        queue(t);
    } else {
        receive(conn);
    }
}

void conn_tls_go(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    if (conn_state(conn) != CONN_OPEN) {
        if (conn_state(conn) == CONN_DRAINING && t->state != TLS_OPEN && t->state != TLS_FAILED &&
            t->state != TLS_ENDED) {
            conn_close(conn, false); /* nothing has been asked yet */
        }
        return;
    }
    if (conn->receiving || conn->starved) {
        return;
    }
    switch (t->state) {
    case TLS_HELLO:
        look_at_hello(conn);
        break;
    case TLS_GREETING:
        if (in_len(t) > 0) {
            queue(t);
        } else {
            receive(conn);
        }
        break;
    case TLS_QUEUED:
    case TLS_WORKING:
    case TLS_SENDING:
    case TLS_OPEN:
    case TLS_FAILED:
    case TLS_ENDED:
        break;
    }
}

size_t conn_tls_sent(struct conn *conn)
{
    struct conn_tls *t = conn->tls;
    size_t plain_len = 0;
    switch (t->state) {
    case TLS_OPEN:
        plain_len = t->plain_len;
        t->plain_len = 0;
        drop(&t->out);
        break;
    case TLS_FAILED:
        drop(&t->out);
        conn_drain(conn);
        break;
    case TLS_ENDED:
        drop(&t->out);
        break;
    case TLS_SENDING:
        went_on(conn);
        break;
    case TLS_HELLO:
    case TLS_QUEUED:
    case TLS_WORKING:
    case TLS_GREETING:
        EL_ASSERT(t->state == TLS_SENDING);
        break;
    }
    return plain_len;
}

void net_on_tls_timer(struct io_timer *timer)
{
    struct net *net = timer->arg;
    OBJ_CHECK(net, NET);
    net_tls_next(net);
}
