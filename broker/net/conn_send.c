/* SPDX-License-Identifier: Apache-2.0
 *
 * Sending: answers in the order of their requests, as many in one call as are ready.
 *
 * One send is under way at most. It takes the ready requests from the front of the list, up to the first that is
 * still with its handler, CONN_IOV_MAX parts or CONN_SEND_LEN_MAX bytes. A request is freed when its last byte has
 * left.
 */
#include <net/conn.h>

static struct request *first_request(const struct conn *conn)
{
    return el_list_empty(&conn->requests) ? NULL : EL_CONTAINER(conn->requests.next, struct request, order);
}

/* Free requests at the front that owe no more bytes: sent, or answered by nothing. A refused one ends the
 * connection. */
static void retire(struct conn *conn)
{
    struct request *request = first_request(conn);
    while (request != NULL && request->state == REQUEST_READY && request->reply_len == 0) {
        if (request->refused) {
            conn_close(conn, true);
            return;
        }
        request_free(request);
        request = first_request(conn);
    }
}

/* Parts of one answer into the iov, from the first byte not sent. returns false when the send is full */
static bool gather(struct conn *conn, const struct request *request, int *count, size_t *len)
{
    size_t skip = request->part_sent;
    for (uint32_t i = request->part_next; i < request->part_count; i++) {
        struct el_slice part = request->parts[i];
        size_t part_len = EL_MIN(part.len - skip, CONN_SEND_LEN_MAX - *len);
        if (*count == CONN_IOV_MAX || *len == CONN_SEND_LEN_MAX) {
            return false;
        }
        if (part_len > 0) {
            conn->iov[(*count)++] = (struct iovec){(void *)(uintptr_t)(part.data + skip), part_len};
            *len += part_len;
        }
        if (skip + part_len < part.len) {
            return false;
        }
        skip = 0;
    }
    return true;
}

void conn_write(struct conn *conn)
{
    EL_ASSERT(CONN_IOV_MAX <= IO_IOV_MAX);
    if (conn->sending || (conn_state(conn) != CONN_OPEN && conn_state(conn) != CONN_DRAINING)) {
        return;
    }
    size_t request_count = conn->request_count;
    retire(conn);
    if (conn_state(conn) == CONN_CLOSING) {
        return;
    }
    int count = 0;
    size_t len = 0;
    EL_LIST_EACH(node, &conn->requests) {
        const struct request *request = EL_CONTAINER(node, struct request, order);
        if (request->state != REQUEST_READY || request->refused || !gather(conn, request, &count, &len)) {
            break;
        }
    }
    if (count > 0 && conn->tls != NULL) {
        conn_tls_write(conn, count, len);
    } else if (count > 0) {
        conn->sending = true;
        conn_wait_begin(conn, WAIT_SEND);
        io_send(conn->net->io, &conn->send_op, conn->fd, conn->iov, count);
    }
    if (conn->request_count < request_count) {
        conn_attend(conn); /* reading may go on */
    }
}

/* len bytes have left. */
static void advance(struct conn *conn, size_t len)
{
    EL_ASSERT(len <= conn->reply_bytes);
    while (len > 0) {
        struct request *request = first_request(conn);
        EL_ASSERT(request != NULL);
        EL_ASSERT(request->state == REQUEST_READY);
        if (request->reply_len == 0) {
            request_free(request);
            continue;
        }
        EL_ASSERT(request->part_next < request->part_count);
        size_t part_len = request->parts[request->part_next].len;
        size_t step = EL_MIN(len, part_len - request->part_sent);
        len -= step;
        account_paid(conn, request, step);
        request->reply_len -= step;
        request->part_sent += step;
        if (request->part_sent == part_len) {
            request->part_next++;
            request->part_sent = 0;
        }
    }
    retire(conn);
}

void conn_on_send(struct io_op *op)
{
    struct conn *conn = op->arg;
    OBJ_CHECK(conn, CONN);
    EL_ASSERT(conn->sending);
    conn->sending = false;
    conn_wait_end(conn, WAIT_SEND);
    if (op->result < 0) {
        conn_close(conn, false); /* the client is gone */
    } else if (conn_state(conn) != CONN_CLOSING) {
        advance(conn, conn->tls == NULL ? (size_t)op->result : conn_tls_sent(conn));
        if (conn_state(conn) == CONN_OPEN) {
            conn_wait_begin(conn, WAIT_IDLE);
        }
    }
    conn_attend(conn);
}
