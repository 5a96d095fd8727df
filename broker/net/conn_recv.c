/* SPDX-License-Identifier: Apache-2.0
 *
 * Receiving: bytes into a buffer, frames out of it.
 *
 * 1. bytes are received behind those that are there; complete frames become requests that lie in the buffer and hold a
 *    reference to it, so nothing is copied
 * 2. when the room left is too small, the beginning of the next frame is moved to a new buffer (or to the front,
 *    when no request lies in the old one)
 * 3. a buffer grows by what has been received: twice that, never what a frame announces, unless the connection has sent
 *    a frame as long before
 *
 * Reading pauses while the connection has enough requests at work or answers unsent, while its client is to stay away,
 * and while its principal holds as much memory as it may (account.c, claim.c). Without memory it waits in
 * net.starving; the frame's deadline ends that.
 */
#include <core/logger.h>
#include <net/conn.h>
#include <wire/frame.h>

#define BUFFER_DATA_LEN_FIRST (CONN_BUFFER_LEN_FIRST - sizeof(struct net_buffer))
#define BUFFER_DATA_LEN_KEPT (64u << 10) /* an idle connection keeps no larger one */
#define FRAME_LEN_TRUSTED_MAX (4u << 20) /* of lengths seen before */
#define FRAME_PROGRESS_LEN (1u << 20)    /* bytes that buy a frame a new deadline */

static bool conn_paused(const struct conn *conn)
{
    const struct net_config *config = &conn->net->config;
    return conn->muted || conn->claim_waits > 0 || conn->request_count >= config->pipeline_max ||
           (conn->request_count > 0 && conn->request_bytes >= config->pipeline_bytes_max) ||
           conn->reply_bytes >= config->backlog_bytes_max;
}

/* Bytes received that have not become requests. */
static size_t unparsed_len(const struct conn *conn)
{
    return conn->filled - conn->parsed;
}

/* --- frames ----------------------------------------------------------------------------------------------------- */

static void refuse_prefix(struct conn *conn, int rc)
{
    const uint8_t *prefix = conn->buffer->data + conn->parsed;
    metrics_add(conn->net->metrics, METRIC_REFUSED_FRAME, 1);
    if (net_may_log(conn->net)) {
        const char *guess = el_frame_guess(prefix);
        el_log(EL_LOG_WARN, "net", "%s: closing the connection: a frame of %d bytes is %s%s%s", conn->peer,
               (int)el_get_be32(prefix), rc == EVLOG_ERR_LIMIT ? "over the limit" : "no request",
               guess == NULL ? "" : "; it looks like ", guess == NULL ? "" : guess);
    }
    conn_close(conn, true);
}

static void refuse_header(struct conn *conn)
{
    metrics_add(conn->net->metrics, METRIC_REFUSED_MALFORMED, 1);
    if (net_may_log(conn->net)) {
        el_log(EL_LOG_WARN, "net", "%s: closing the connection: malformed request header", conn->peer);
    }
    conn_close(conn, true);
}

/* Bytes of the frame at the front, prefix included. returns 0 when not even the prefix is there, or it is refused */
static size_t frame_want(struct conn *conn)
{
    size_t len = 0;
    if (unparsed_len(conn) < EL_FRAME_PREFIX_LEN) {
        return 0;
    }
    const uint8_t *prefix = conn->buffer->data + conn->parsed;
    int rc = 0;
    if (conn_reads_raw(conn)) {
        len = el_get_be32(prefix);
        rc = len > NET_UNTRUSTED_FRAME_LEN_MAX ? EVLOG_ERR_LIMIT : 0;
    } else {
        rc = el_frame_len(prefix, EL_SIDE_REQUEST, conn_frame_len_max(conn), &len);
    }
    if (rc != 0) {
        refuse_prefix(conn, rc);
        return 0;
    }
    return EL_FRAME_PREFIX_LEN + len;
}

/* Make a request of the frame at the front and start the work. returns false when there is none, or no memory for it */
static bool frame_take(struct conn *conn)
{
    size_t want = frame_want(conn);
    if (want == 0 || want > unparsed_len(conn)) {
        return false;
    }
    const uint8_t *frame = conn->buffer->data + conn->parsed;
    struct request *request = NULL;
    int rc = conn_reads_raw(conn)
                 ? request_make_raw(conn, el_slice_of(frame, want), &request)
                 : request_make(conn, el_slice_of(frame + EL_FRAME_PREFIX_LEN, want - EL_FRAME_PREFIX_LEN), &request);
    if (rc == EVLOG_ERR_NO_MEMORY) {
        conn_starve(conn);
        return false;
    }
    if (rc != 0) {
        refuse_header(conn);
        return false;
    }
    if (!config_protocol_has_sasl(conn->listener->config.protocol)) {
        conn_proved(conn);
    }
    conn->parsed += want;
    conn->frame_len_seen = EL_MAX(conn->frame_len_seen, want);
    account_yield(conn);
    conn->net->config.dispatch(conn->net->config.arg, request);
    return true;
}

/* Keep the deadline of a frame that has begun. fresh: it is another one than before. */
static void frame_deadline(struct conn *conn, bool fresh)
{
    size_t len = unparsed_len(conn);
    if (conn_state(conn) != CONN_OPEN || len == 0 || conn_paused(conn)) {
        conn_wait_end(conn, WAIT_FRAME);
        return;
    }
    bool waiting = !el_list_empty(&conn->waits[WAIT_FRAME].link);
    if (fresh || !waiting || len - conn->frame_mark >= FRAME_PROGRESS_LEN) {
        conn->frame_mark = len;
        conn_wait_begin(conn, WAIT_FRAME);
    }
}

/* --- room ------------------------------------------------------------------------------------------------------- */

/* Move what is not parsed to a buffer of its own. returns false without memory */
static bool move_to_new(struct conn *conn, size_t data_len)
{
    struct net_buffer *old = conn->buffer;
    size_t len = old == NULL ? 0 : unparsed_len(conn);
    EL_ASSERT(data_len > len);
    struct net_buffer *buffer = buffer_get(conn->net, data_len);
    if (buffer == NULL) {
        return false;
    }
    account_charge(conn->account, buffer);
    if (len > 0) {
        memcpy(buffer->data, old->data + conn->parsed, len);
    }
    if (old != NULL) {
        buffer_unref(old);
    }
    conn->buffer = buffer;
    conn->parsed = 0;
    conn->filled = len;
    return true;
}

static void move_to_front(struct conn *conn)
{
    size_t len = unparsed_len(conn);
    EL_ASSERT(conn->buffer->ref_count == 1);
    memmove(conn->buffer->data, conn->buffer->data + conn->parsed, len);
    conn->parsed = 0;
    conn->filled = len;
}

/* Length of the buffer for a frame of want bytes of which len are there. */
static size_t grown_len(const struct conn *conn, size_t want, size_t len)
{
    size_t trusted = EL_MIN(conn->frame_len_seen, FRAME_LEN_TRUSTED_MAX);
    size_t grown = EL_MAX(len * 2, BUFFER_DATA_LEN_FIRST);
    return EL_MAX(EL_MIN(want, EL_MAX(grown, trusted)), BUFFER_DATA_LEN_FIRST);
}

/* With nothing half received: begin at the front again, or leave a large buffer to the requests that lie in it. */
static void settle_buffer(struct conn *conn)
{
    struct net_buffer *buffer = conn->buffer;
    if (buffer == NULL || unparsed_len(conn) > 0) {
        return;
    }
    if (buffer->data_len > BUFFER_DATA_LEN_KEPT) {
        conn->parsed = conn->filled = 0;
        conn->buffer = NULL;
        buffer_unref(buffer);
    } else if (buffer->ref_count == 1) {
        conn->parsed = conn->filled = 0;
    }
}

/* Have room for the next receive. returns false without memory */
static bool make_room(struct conn *conn, size_t want)
{
    settle_buffer(conn);
    if (conn->buffer == NULL) {
        return move_to_new(conn, BUFFER_DATA_LEN_FIRST);
    }
    size_t len = unparsed_len(conn);
    size_t room = conn->buffer->data_len - conn->filled;
    if (want == 0 ? room >= CONN_RECV_LEN_MIN : want <= conn->buffer->data_len - conn->parsed) {
        return true;
    }
    size_t grown = grown_len(conn, want, len);
    if (room >= CONN_RECV_LEN_MIN && want > grown) {
        return true; /* neither here nor there would it fit: fill what is here first */
    }
    if (conn->buffer->ref_count == 1 && grown <= conn->buffer->data_len) {
        move_to_front(conn);
        return true;
    }
    return (account_lets(conn, buffer_block_len(grown)) && move_to_new(conn, grown)) || room > 0;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static void recv_start(struct conn *conn)
{
    struct net_buffer *buffer = conn->buffer;
    EL_ASSERT(conn->filled < buffer->data_len);
    conn->receiving = true;
    io_recv(conn->net->io, &conn->recv_op, conn->fd, buffer->data + conn->filled, buffer->data_len - conn->filled);
}

static bool conn_reads(const struct conn *conn)
{
    bool open = conn_state(conn) == CONN_OPEN || (conn_state(conn) == CONN_DRAINING && !conn->refusing);
    return open && !conn->starved && !conn_paused(conn);
}

/* Frames that are there become requests, and there is room for more. returns false when nothing is to be received */
static bool read_frames(struct conn *conn)
{
    bool taken = false;
    while (conn_reads(conn) && frame_take(conn)) {
        taken = true;
    }
    frame_deadline(conn, taken);
    if (conn_state(conn) != CONN_OPEN || !conn_reads(conn)) {
        return false;
    }
    size_t want = conn->buffer == NULL ? 0 : frame_want(conn);
    EL_ASSERT(conn_state(conn) == CONN_OPEN); /* a prefix to be refused was so above */
    bool lets = conn->request_count == 0 || account_lets(conn, 0);
    if (!lets || !make_room(conn, want)) {
        conn_starve(conn);
        if (conn->held_back) {
            conn_wait_end(conn, WAIT_FRAME); /* it is not the client that is late */
        }
        return false;
    }
    return true;
}

/* Bytes out of records, as far as they have come. returns false when there are none now */
static bool read_records(struct conn *conn)
{
    struct net_buffer *buffer = conn->buffer;
    EL_ASSERT(conn->filled < buffer->data_len);
    int64_t n = conn_tls_read(conn, buffer->data + conn->filled, buffer->data_len - conn->filled);
    if (n < 0) {
        conn_close(conn, n != EVLOG_ERR_CLOSED);
        return false;
    }
    conn->filled += (size_t)n;
    return n > 0;
}

void conn_read(struct conn *conn)
{
    if (conn->receiving || conn->starved) {
        return;
    }
    bool more = true;
    while (more && read_frames(conn)) {
        if (conn->tls == NULL) {
            recv_start(conn);
            return;
        }
        more = read_records(conn);
    }
}

bool conn_discard(struct conn *conn)
{
    EL_ASSERT(conn_state(conn) == CONN_LINGERING);
    EL_ASSERT(conn->request_count == 0);
    conn->parsed = conn->filled = 0;
    /* A request that is held beyond its answer still reads the old one. */
    bool shared = conn->buffer != NULL && conn->buffer->ref_count > 1;
    if ((conn->buffer == NULL || shared) && !move_to_new(conn, BUFFER_DATA_LEN_FIRST)) {
        return false;
    }
    EL_ASSERT(conn->buffer->ref_count == 1);
    recv_start(conn);
    return true;
}

void conn_on_recv(struct io_op *op)
{
    struct conn *conn = op->arg;
    OBJ_CHECK(conn, CONN);
    EL_ASSERT(conn->receiving);
    conn->receiving = false;
    switch (conn_state(conn)) {
    case CONN_OPEN:
        if (op->result <= 0) {
            conn_close(conn, false);
            return;
        }
        if (conn->tls != NULL) {
            conn_tls_took(conn, (size_t)op->result);
        } else {
            conn->filled += (size_t)op->result;
        }
        if (conn_tls_open(conn)) {
            conn_wait_begin(conn, WAIT_IDLE);
            conn_read(conn);
        } else {
            conn_tls_go(conn);
        }
        break;
    case CONN_DRAINING:
        /* Cancelled, unless bytes or the client's end came first. */
        if (conn->tls == NULL) { /* records that nobody has opened were not read */
            conn->filled += op->result > 0 ? (size_t)op->result : 0;
        }
        if (op->result == 0) {
            conn_close(conn, false);
        }
        conn_attend(conn);
        break;
    case CONN_LINGERING:
        if (op->result <= 0 || !conn_discard(conn)) {
            conn_close(conn, false);
        }
        break;
    case CONN_CLOSING:
    case CONN_STATE_COUNT:
        conn_attend(conn);
        break;
    }
}
