/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection has proved. Listeners with SASL trust nobody before an exchange has ended well, and for no longer
 * than was said then; until that moment a connection may send small frames only. Elsewhere a whole request is proof
 * enough that somebody is there. Connections that have proved nothing are few, and for a short time.
 */
#include <core/logger.h>
#include <net/conn.h>

bool conn_trusted(const struct conn *conn)
{
    if (!config_protocol_has_sasl(conn->listener->config.protocol)) {
        return true;
    }
    return conn->trusted && (conn->proof.until_ns == 0 || conn->net->io->now_ns < conn->proof.until_ns);
}

size_t conn_frame_len_max(const struct conn *conn)
{
    size_t len_max = conn->net->config.frame_len_max;
    return conn_trusted(conn) ? len_max : EL_MIN(len_max, (size_t)NET_UNTRUSTED_FRAME_LEN_MAX);
}

bool conn_reads_raw(const struct conn *conn)
{
    return conn->raw_sasl && conn->sasl != NULL;
}

void conn_trust_drop(struct conn *conn)
{
    if (conn->sasl != NULL) {
        sasl_end(conn->sasl);
        el_pool_put(&conn->net->sasl_pool, conn->sasl);
        conn->sasl = NULL;
    }
}

bool net_drop_unproven(struct net *net)
{
    if (net->unproven_count == 0) {
        return false;
    }
    struct conn_wait *wait = EL_CONTAINER(net->waits[WAIT_PROOF].next, struct conn_wait, link);
    struct conn *conn = EL_CONTAINER(wait - WAIT_PROOF, struct conn, waits);
    OBJ_CHECK(conn, CONN);
    metrics_add(net->metrics, METRIC_UNPROVEN_DROPPED, 1);
    if (net_may_log(net)) {
        el_log(EL_LOG_WARN, "net", "%s: closing the connection: it has not proved who it is, and others wait",
               conn->peer);
    }
    conn_close(conn, true);
    return true;
}

void conn_unproven(struct conn *conn)
{
    struct net *net = conn->net;
    if (net->unproven_count >= net->config.unproven_count_max) {
        (void)net_drop_unproven(net);
    }
    conn_wait_begin(conn, WAIT_PROOF);
    net->unproven_count++;
    metrics_add(net->metrics, METRIC_UNPROVEN, 1);
}

void conn_proved(struct conn *conn)
{
    if (el_list_empty(&conn->waits[WAIT_PROOF].link)) {
        return;
    }
    conn_wait_end(conn, WAIT_PROOF);
    EL_ASSERT(conn->net->unproven_count > 0);
    conn->net->unproven_count--;
    metrics_add(conn->net->metrics, METRIC_UNPROVEN, -1);
}

bool request_trusted(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL || conn_trusted(request->conn);
}

int request_proved_by(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn != NULL && request->conn->trusted ? request->conn->proof.mechanism : 0;
}

struct net_proof request_proof(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn != NULL && request->conn->trusted ? request->conn->proof : (struct net_proof){0};
}

struct sasl *request_sasl(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL ? NULL : request->conn->sasl;
}

int request_sasl_begin(struct request *request, int mechanism)
{
    struct conn *conn = request->conn;
    OBJ_CHECK(request, REQUEST);
    if (conn == NULL) {
        return 0;
    }
    conn_trust_drop(conn);
    conn->sasl = el_pool_get(&conn->net->sasl_pool);
    if (conn->sasl == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    sasl_begin(conn->sasl, mechanism);
    conn->raw_sasl = request->api_version == 0; /* of SaslHandshake */
    return 0;
}

void request_sasl_end(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    if (request->conn != NULL) {
        conn_trust_drop(request->conn);
    }
}

int request_trust(struct request *request, const char *principal, const struct net_proof *proof)
{
    EL_ASSERT(proof->mechanism != 0);
    OBJ_CHECK(request, REQUEST);
    if (request->conn == NULL) {
        return 0;
    }
    int code = conn_set_principal(request->conn, principal);
    if (code == 0) {
        request->conn->trusted = true;
        request->conn->proof = *proof;
        conn_proved(request->conn);
    }
    return code;
}

/* What is under way is answered first, above all the request that has taken the user away, when that user asked for it.
 */
static void review(struct conn *conn, net_gone_fn gone, void *arg)
{
    if (conn_state(conn) != CONN_OPEN || !conn->trusted || !gone(arg, conn->principal, &conn->proof)) {
        return;
    }
    metrics_add(conn->net->metrics, METRIC_REFUSED_OTHER, 1);
    if (net_may_log(conn->net)) {
        el_log(EL_LOG_WARN, "net", "%s: closing the connection: its user was removed", conn->peer);
    }
    conn->refusing = true;
    conn_drain(conn);
}

void net_review(struct net *net, net_gone_fn gone, void *arg)
{
    OBJ_CHECK(net, NET);
    EL_LIST_EACH_SAFE(node, next, &net->conns) {
        review(EL_CONTAINER(node, struct conn, link), gone, arg);
    }
}

void request_is_last(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    if (request->conn != NULL && conn_state(request->conn) != CONN_CLOSING) {
        request->conn->refusing = true;
        conn_drain(request->conn);
    }
}
