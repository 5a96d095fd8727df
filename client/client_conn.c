/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections: who gets which, versions, frames out and frames in. Internal thread of the client, lock held.
 *
 * 1. el_conns_dispatch() takes each waiting call to its connection, opening one when there is none.
 * 2. A fresh connection proves who the client is where that is asked for (client_sasl.c), then asks ApiVersions; a
 *    broker that does not know our version answers in version 0 with the one it knows, and is asked again.
 * 3. A call is encoded in the highest version both sides know, written, and moved to the list of those that fly.
 * 4. Answers come in the order of the requests; a frame belongs to the first call that flies.
 *
 * Fails by closing the connection: calls that may have reached the broker end with the reason, the others wait for the
 * next connection until their deadline. A call that is too late closes the connection too, since its answer may still
 * come. Memory for a frame grows with the bytes that arrive, never from the length it claims.
 */
#include "client_conn.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/limits.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wire/error_code.h>
#include <wire/frame.h>

#define FRAME_ROOM_FIRST (64u << 10)
#define READS_PER_TURN 16 /* so that one busy connection does not starve the others */
#define CONN_COUNT_MAX 512

/* --- ending calls ----------------------------------------------------------------------------------------------- */

static void end_call(struct evlog_client *client, struct el_call *call, int code, const char *peer, const char *text)
{
    el_list_remove(&call->link);
    if (code != 0) {
        (void)el_fail(&call->failure, code, "%s: %s", peer, text);
    }
    el_call_end(client, call);
}

static bool targets(const struct el_conn *conn, const struct el_call *call)
{
    if (conn->retired) {
        return false;
    }
    if (call->node_id == EL_NODE_ANY) {
        return conn->lane == EL_LANE_MAIN && (conn->node_id == EL_NODE_ANY || conn->state == EL_CONN_READY);
    }
    return conn->node_id == call->node_id && conn->lane == call->lane;
}

/* A connection could not be made: calls that wanted it end, unless another address is left to try. */
static void fail_waiting(struct evlog_client *client, struct el_conn *conn, int code, const char *text)
{
    struct el_list failed;
    el_list_init(&failed);
    EL_LIST_EACH_SAFE(node, next, &client->calls) {
        struct el_call *call = EL_CONTAINER(node, struct el_call, link);
        if (targets(conn, call) && (call->node_id != EL_NODE_ANY || ++call->try_count >= client->bootstrap_count)) {
            el_list_remove(node);
            el_list_push_back(&failed, node);
        }
    }
    while (!el_list_empty(&failed)) {
        end_call(client, EL_CONTAINER(failed.next, struct el_call, link), code, conn->peer, text);
    }
}

static void fail_list(struct evlog_client *client, struct el_list *list, struct el_conn *conn, int code,
                      const char *text)
{
    int64_t now_ns = el_now_ns();
    while (!el_list_empty(list)) {
        struct el_call *call = EL_CONTAINER(list->next, struct el_call, link);
        bool late = call->deadline_ns <= now_ns;
        if (call == &conn->negotiation) {
            el_list_remove(&call->link);
            call->done = true;
        } else {
            end_call(client, call, late ? EVLOG_ERR_TIMED_OUT : code, conn->peer,
                     late ? "no answer within the time allowed" : text);
        }
    }
}

void el_conn_fail(struct evlog_client *client, struct el_conn *conn, int code, const char *text)
{
    bool was_ready = conn->state == EL_CONN_READY;
    bool idle = was_ready && el_list_empty(&conn->flying) && el_list_empty(&conn->sending);
    if (conn->fd >= 0) {
        (void)close(conn->fd);
        conn->fd = -1;
    }
    el_conn_addresses_free(conn);
    el_conn_tls_free(conn);
    el_conn_proof_free(conn);
    conn->rest_at_ns = 0;
    conn->has_answered = false;
    conn->state = EL_CONN_CLOSED;
    el_free(conn->frame);
    conn->frame = NULL;
    conn->frame_room = conn->frame_have = conn->frame_len = conn->prefix_have = 0;
    conn->flying_count = 0;
    client->connect_failed_count += !idle;
    el_client_log(client, idle ? EVLOG_LOG_INFO : EVLOG_LOG_WARNING, "%s: %s: %s", conn->peer,
                  was_ready ? "connection ended" : "no connection", text);
    conn->failure_count = was_ready ? 1 : conn->failure_count + 1;
    conn->retry_at_ns = el_now_ns() + el_client_backoff_ns(client, conn->failure_count,
                                                           client->cfg.reconnect_backoff_ms,
                                                           client->cfg.reconnect_backoff_max_ms);
    if (code == EVLOG_ERR_AUTHENTICATION) { /* it will be refused again: not soon */
        conn->retry_at_ns = el_now_ns() + client->cfg.reconnect_backoff_max_ms * EL_NS_PER_MS;
    }
    if (conn->node_id == EL_NODE_ANY) {
        client->bootstrap_next = (client->bootstrap_next + 1) % client->bootstrap_count;
        if (client->bootstrap_count > 1) {
            conn->retry_at_ns = client->bootstrap_next == 0 ? conn->retry_at_ns : 0;
        }
    }
    struct el_list failed;
    el_list_init(&failed);
    el_list_splice_back(&failed, &conn->flying);
    el_list_splice_back(&failed, &conn->sending);
    fail_list(client, &failed, conn, was_ready ? EVLOG_ERR_CLOSED : code, text);
    el_call_free(&conn->negotiation);
    if (!was_ready) {
        client->connect_failure.size = sizeof client->connect_failure;
        (void)el_fail(&client->connect_failure, code, "%s: %s", conn->peer, text);
        fail_waiting(client, conn, code, text);
    }
    if (conn->node_id != EL_NODE_ANY && !idle) { /* a broker closes connections that rest: nothing has moved */
        el_cluster_suspect(client);
    }
}

/* --- versions --------------------------------------------------------------------------------------------------- */

void el_conn_negotiate(struct evlog_client *client, struct el_conn *conn, int16_t version)
{
    conn->state = EL_CONN_NEGOTIATING;
    struct el_call *call = &conn->negotiation;
    el_call_free(call);
    el_schema_init(&el_schema_api_versions_request, &conn->negotiation_request);
    conn->negotiation_request.client_software_name = el_slice_str("evlog");
    conn->negotiation_request.client_software_version = el_slice_str(EVLOG_VERSION);
    el_call_init(call, el_api_find(EL_API_ApiVersions), &conn->negotiation_request);
    call->deadline_ns = el_now_ns() + client->cfg.connect_timeout_ms * EL_NS_PER_MS;
    el_conn_send(client, conn, call, version);
}

void el_conn_greet(struct evlog_client *client, struct el_conn *conn)
{
    if (client->cfg.sasl) {
        el_conn_prove(client, conn);
    } else {
        el_conn_negotiate(client, conn, EL_API_VERSIONS_FIRST);
    }
}

/* The version that a broker which does not know ours asks for; -1 when it is no such answer. */
static int16_t version_asked_for(struct el_call *call)
{
    struct el_msg_api_versions_response response;
    int16_t sent = call->version;
    call->version = 0;
    int rc = el_call_decode(call, &response, NULL);
    if (rc != 0 || response.error_code != EL_KAFKA_UNSUPPORTED_VERSION || sent == 0) {
        return -1;
    }
    for (uint32_t i = 0; i < response.api_key_count; i++) {
        if (response.api_keys[i].api_key == EL_API_ApiVersions && response.api_keys[i].max_version < sent) {
            return EL_MAX(response.api_keys[i].max_version, 0);
        }
    }
    return 0;
}

static int take_versions(struct evlog_client *client, struct el_conn *conn,
                         const struct el_msg_api_versions_response *response)
{
    size_t len = response->api_key_count * sizeof *response->api_keys;
    struct el_msg_api_versions_key *copy = el_memdup(response->api_keys, len);
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_free(conn->versions);
    conn->versions = copy;
    conn->version_count = response->api_key_count;
    for (uint32_t i = 0; i < conn->version_count; i++) {
        client->is_evlog = client->is_evlog || copy[i].api_key == EL_API_LogFetch;
    }
    return 0;
}

static void negotiated(struct evlog_client *client, struct el_conn *conn)
{
    struct el_call *call = &conn->negotiation;
    struct el_msg_api_versions_response response;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = el_call_decode(call, &response, &failure);
    if (rc != 0 || response.error_code == EL_KAFKA_UNSUPPORTED_VERSION) {
        int16_t version = version_asked_for(call);
        if (version < 0) {
            el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, "this does not look like a Kafka listener");
            return;
        }
        el_conn_negotiate(client, conn, version);
        return;
    }
    if (response.error_code != 0) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, el_kafka_error_name(response.error_code));
        return;
    }
    rc = take_versions(client, conn, &response);
    if (rc != 0) {
        el_conn_fail(client, conn, rc, evlog_error_text(rc));
        return;
    }
    el_call_free(call);
    conn->state = EL_CONN_READY;
    conn->failure_count = 0;
    client->connect_count++;
    el_client_log(client, EVLOG_LOG_INFO, "%s: connected", conn->peer);
    client->connect_failure.code = 0;
}

/* The highest version that both sides and the call allow; -1: none. */
static int16_t choose_version(const struct el_conn *conn, const struct el_api *api, int16_t version_max)
{
    for (uint32_t i = 0; i < conn->version_count; i++) {
        const struct el_msg_api_versions_key *key = &conn->versions[i];
        if (key->api_key == api->key) {
            int16_t version = EL_MIN(EL_MIN(key->max_version, api->list_max), version_max);
            bool ok = version >= key->min_version && version >= api->accept_min;
            return ok ? version : -1;
        }
    }
    return -1;
}

/* --- out -------------------------------------------------------------------------------------------------------- */

void el_conn_send(struct evlog_client *client, struct el_conn *conn, struct el_call *call, int16_t version)
{
    call->version = version;
    call->correlation_id = client->correlation_next;
    client->correlation_next = (client->correlation_next + 1) & INT32_MAX;
    struct el_request_header header = {
        .api = call->api,
        .client_id = el_slice_str(client->cfg.client_id),
        .correlation_id = call->correlation_id,
        .api_key = call->api->key,
        .version = version,
    };
    int rc = el_frame_build_request(&call->arena, &header, call->request, &call->out);
    if (rc != 0 && call == &conn->negotiation) {
        el_conn_fail(client, conn, rc, evlog_error_text(rc));
        return;
    }
    if (rc != 0) {
        end_call(client, call, rc, conn->peer, "the request cannot be encoded for this broker");
        return;
    }
    el_list_remove(&call->link);
    el_list_push_back(&conn->sending, &call->link);
    el_conn_write(client, conn);
}

static void written(struct evlog_client *client, struct el_conn *conn, struct el_call *call)
{
    el_list_remove(&call->link);
    el_arena_reset(&call->arena);
    call->out = el_slice_of(NULL, 0);
    if (call->no_answer) {
        el_call_end(client, call);
        return;
    }
    el_list_push_back(&conn->flying, &call->link);
    conn->flying_count++;
}

/* Bytes of a call into the socket, by way of TLS or not. returns how many | EVLOG_ERR_AGAIN later | another code:
 * closed */
static int64_t write_some(struct evlog_client *client, struct el_conn *conn, const uint8_t *data, size_t len)
{
    if (conn->tls != NULL) {
        return el_conn_tls_write(client, conn, data, len);
    }
    ssize_t n = send(conn->fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return EVLOG_ERR_AGAIN;
    }
    if (n < 0) {
        char reason[64];
        el_conn_fail(client, conn, EVLOG_ERR_CLOSED, strerror_r(errno, reason, sizeof reason));
        return EVLOG_ERR_CLOSED;
    }
    return n;
}

void el_conn_write(struct evlog_client *client, struct el_conn *conn)
{
    if (conn->tls != NULL && !el_conn_tls_flush(client, conn)) {
        return;
    }
    while (!el_list_empty(&conn->sending)) {
        struct el_call *call = EL_CONTAINER(conn->sending.next, struct el_call, link);
        int64_t n = write_some(client, conn, call->out.data + call->out_pos, call->out.len - call->out_pos);
        if (n < 0) {
            return;
        }
        call->sent = true;
        call->out_pos += (size_t)n;
        if (call->out_pos == call->out.len) {
            written(client, conn, call);
        }
    }
}

/* --- in --------------------------------------------------------------------------------------------------------- */

/* A frame is complete: it answers the first call that flies. */
static void answered(struct evlog_client *client, struct el_conn *conn)
{
    if (el_list_empty(&conn->flying)) {
        el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "an answer nobody asked for");
        return;
    }
    struct el_call *call = EL_CONTAINER(conn->flying.next, struct el_call, link);
    struct el_reader r;
    int32_t correlation_id = 0;
    el_reader_init(&r, conn->frame, conn->frame_len);
    int rc = el_response_header_decode(&r, call->api, call->version, &correlation_id);
    if (rc != 0 || correlation_id != call->correlation_id) {
        el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "an answer that does not belong to the request");
        return;
    }
    el_list_remove(&call->link);
    conn->flying_count--;
    call->frame = conn->frame;
    call->frame_len = conn->frame_len;
    call->body_pos = conn->frame_len - el_reader_left(&r);
    conn->frame = NULL;
    conn->frame_room = conn->frame_have = conn->frame_len = conn->prefix_have = 0;
    if (call == &conn->negotiation) {
        call->done = true;
        if (conn->state == EL_CONN_PROVING) {
            el_conn_proof_step(client, conn);
        } else {
            negotiated(client, conn);
        }
        return;
    }
    conn->has_answered = true;
    el_call_end(client, call);
}

static bool read_prefix(struct evlog_client *client, struct el_conn *conn, const uint8_t **p, size_t *len)
{
    size_t n = EL_MIN(sizeof conn->prefix - conn->prefix_have, *len);
    memcpy(conn->prefix + conn->prefix_have, *p, n);
    conn->prefix_have += n;
    *p += n;
    *len -= n;
    if (conn->prefix_have < sizeof conn->prefix) {
        return true;
    }
    if (el_frame_len(conn->prefix, EL_SIDE_RESPONSE, EL_REQUEST_LEN_MAX, &conn->frame_len) != 0) {
        bool http = memcmp(conn->prefix, "HTTP", sizeof conn->prefix) == 0;
        const char *guess = http ? "an HTTP answer" : el_frame_guess(conn->prefix);
        char text[128];
        (void)snprintf(text, sizeof text, "the answer is no Kafka frame%s%s", guess == NULL ? "" : " but looks like ",
                       guess == NULL ? "" : guess);
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, text);
        return false;
    }
    return true;
}

/* Room for len more bytes of the frame, doubling with what has come. */
static bool frame_grow(struct el_conn *conn, size_t len)
{
    size_t want = conn->frame_have + len;
    if (want <= conn->frame_room) {
        return true;
    }
    size_t room = EL_MAX(EL_MAX(want, 2 * conn->frame_room), FRAME_ROOM_FIRST);
    room = EL_MIN(room, conn->frame_len);
    uint8_t *frame = el_realloc(conn->frame, room);
    if (frame == NULL) {
        return false;
    }
    conn->frame = frame;
    conn->frame_room = room;
    return true;
}

bool el_conn_take_bytes(struct evlog_client *client, struct el_conn *conn, const uint8_t *p, size_t len)
{
    while (len > 0) {
        if (conn->prefix_have < sizeof conn->prefix) {
            if (!read_prefix(client, conn, &p, &len)) {
                return false;
            }
            continue;
        }
        size_t n = EL_MIN(conn->frame_len - conn->frame_have, len);
        if (!frame_grow(conn, n)) {
            el_conn_fail(client, conn, EVLOG_ERR_NO_MEMORY, "no memory for an answer");
            return false;
        }
        memcpy(conn->frame + conn->frame_have, p, n);
        conn->frame_have += n;
        p += n;
        len -= n;
        if (conn->frame_have == conn->frame_len) {
            answered(client, conn);
            if (conn->state == EL_CONN_CLOSED) {
                return false;
            }
        }
    }
    return true;
}

/* The broker has closed: what that means as early as now. */
static const char *why_closed(const struct evlog_client *client, const struct el_conn *conn)
{
    if (conn->state == EL_CONN_SECURING) {
        return "the broker closed the connection in the TLS handshake: perhaps this listener speaks without TLS, or "
               "wants a certificate";
    }
    if (conn->state == EL_CONN_PROVING) {
        return conn->tls != NULL ? "the broker closed the connection in the exchange of SASL"
                                 : "the broker closed the connection in the exchange of SASL: perhaps this listener "
                                   "wants TLS (security.protocol=sasl_ssl)";
    }
    if (conn->state == EL_CONN_READY && !client->cfg.sasl && !conn->has_answered) {
        return "the broker closed the connection at the first request: perhaps this listener wants SASL "
               "(security.protocol=sasl_ssl or sasl_plaintext)";
    }
    if (conn->state == EL_CONN_NEGOTIATING && conn->tls == NULL && !client->cfg.sasl) {
        return "the broker closed the connection at once: perhaps this listener wants TLS (security.protocol=ssl)";
    }
    return "the broker closed the connection";
}

void el_conn_read(struct evlog_client *client, struct el_conn *conn)
{
    uint8_t *chunk = client->chunk;
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n = recv(conn->fd, chunk, EL_CLIENT_CHUNK_LEN, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            char reason[64];
            el_conn_fail(client, conn, conn->state == EL_CONN_READY ? EVLOG_ERR_CLOSED : EVLOG_ERR_UNREACHABLE,
                         n == 0 ? why_closed(client, conn) : strerror_r(errno, reason, sizeof reason));
            return;
        }
        bool open = conn->tls != NULL ? el_conn_tls_read(client, conn, chunk, (size_t)n)
                                      : el_conn_take_bytes(client, conn, chunk, (size_t)n);
        if (!open || (size_t)n < EL_CLIENT_CHUNK_LEN) {
            return;
        }
    }
}

/* --- all of them ------------------------------------------------------------------------------------------------ */

static struct el_conn *conn_new(struct evlog_client *client, int32_t node_id, uint32_t lane)
{
    struct el_conn *conn = el_conns_count(client) >= CONN_COUNT_MAX ? NULL : el_calloc(1, sizeof *conn);
    if (conn != NULL) {
        conn->node_id = node_id;
        conn->lane = lane;
        conn->fd = -1;
        el_list_init(&conn->sending);
        el_list_init(&conn->flying);
        el_list_init(&conn->negotiation.link);
        el_arena_init(&conn->negotiation.arena, NULL, 0);
        el_list_push_back(&client->conns, &conn->link);
    }
    return conn;
}

/* The connection for a call, made when there is none; NULL: no memory. */
static struct el_conn *conn_for(struct evlog_client *client, const struct el_call *call)
{
    struct el_conn *found = NULL;
    EL_LIST_EACH(node, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        if (targets(conn, call) && (found == NULL || conn->state == EL_CONN_READY)) {
            found = conn;
        }
    }
    return found != NULL ? found : conn_new(client, call->node_id, call->lane);
}

/* Its proof ends soon: no new calls. */
static bool is_resting(const struct el_conn *conn, int64_t now_ns)
{
    return conn->rest_at_ns != 0 && conn->rest_at_ns <= now_ns;
}

static bool is_idle(const struct el_conn *conn)
{
    return conn->state == EL_CONN_READY && el_list_empty(&conn->flying) && el_list_empty(&conn->sending);
}

static void dispatch_call(struct evlog_client *client, struct el_call *call, int64_t now_ns)
{
    if (call->deadline_ns <= now_ns) {
        const struct evlog_failure *why = &client->connect_failure;
        int code = why->code == EVLOG_ERR_AUTHENTICATION ? why->code : EVLOG_ERR_UNREACHABLE;
        end_call(client, call, why->code != 0 ? code : EVLOG_ERR_TIMED_OUT, call->api->name,
                 why->code != 0 ? why->text : "no connection within the time allowed");
        return;
    }
    if (call->node_id != EL_NODE_ANY && el_cluster_node(client, call->node_id) == NULL) {
        end_call(client, call, EVLOG_ERR_UNREACHABLE, call->api->name, "the node that should answer is not known");
        return;
    }
    struct el_conn *conn = conn_for(client, call);
    if (conn == NULL) {
        end_call(client, call, EVLOG_ERR_NO_MEMORY, call->api->name, "no memory for a connection");
        return;
    }
    if (conn->state == EL_CONN_READY && !is_resting(conn, now_ns)) {
        int16_t version = choose_version(conn, call->api, call->version_max);
        if (version < 0) {
            end_call(client, call, EVLOG_ERR_UNSUPPORTED, conn->peer, "the broker does not answer this request");
            el_fail_hint(&call->failure, "request %s", call->api->name);
            return;
        }
        el_conn_send(client, conn, call, version);
    }
}

static void conn_free(struct el_conn *conn)
{
    el_list_remove(&conn->link);
    el_free(conn->versions);
    el_free(conn);
}

/* Open the connections that calls wait for. The lock is released within: what is retired then is freed behind the loop.
 */
static void open_wanted(struct evlog_client *client, int64_t now_ns)
{
    EL_LIST_EACH_SAFE(node, next, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        bool wanted = false;
        EL_LIST_EACH(waiting, &client->calls) {
            wanted = wanted || targets(conn, EL_CONTAINER(waiting, struct el_call, link));
        }
        if (wanted && conn->state == EL_CONN_CLOSED && conn->retry_at_ns <= now_ns) {
            el_conn_connect(client, conn);
        }
    }
    EL_LIST_EACH_SAFE(node, next, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        if (conn->retired) {
            conn_free(conn);
        }
    }
}

static bool has_late_call(const struct el_list *list, int64_t now_ns)
{
    EL_LIST_EACH(node, list) {
        if (EL_CONTAINER(node, struct el_call, link)->deadline_ns <= now_ns) {
            return true;
        }
    }
    return false;
}

static void close_late(struct evlog_client *client, int64_t now_ns)
{
    EL_LIST_EACH_SAFE(node, next, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        bool connecting = conn->state == EL_CONN_CONNECTING || conn->state == EL_CONN_SECURING;
        if (connecting && conn->connect_deadline_ns <= now_ns) {
            el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, "no connection within the time allowed");
        } else if (has_late_call(&conn->flying, now_ns) || has_late_call(&conn->sending, now_ns)) {
            el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "an answer did not come within the time allowed");
        } else if (is_idle(conn) && is_resting(conn, now_ns)) {
            el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "the proof of who the client is ends: another one is given");
            conn->retry_at_ns = 0;
        }
    }
}

/* Calls with on_done are of what goes on in the background, and so is the negotiation of a connection. */
static void give_up(struct el_list *list, const struct el_call *negotiation)
{
    EL_LIST_EACH(node, list) {
        struct el_call *call = EL_CONTAINER(node, struct el_call, link);
        if (call->on_done == NULL && call != negotiation) {
            call->deadline_ns = 0;
        }
    }
}

void el_conns_give_up(struct evlog_client *client)
{
    give_up(&client->calls, NULL);
    EL_LIST_EACH(node, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        give_up(&conn->sending, &conn->negotiation);
        give_up(&conn->flying, &conn->negotiation);
    }
}

void el_conns_dispatch(struct evlog_client *client, int64_t now_ns)
{
    close_late(client, now_ns);
    EL_LIST_EACH_SAFE(node, next, &client->calls) {
        dispatch_call(client, EL_CONTAINER(node, struct el_call, link), now_ns);
    }
    open_wanted(client, now_ns);
}

static int64_t earliest(const struct el_list *list, int64_t until_ns)
{
    EL_LIST_EACH(node, list) {
        until_ns = EL_MIN(until_ns, EL_CONTAINER(node, struct el_call, link)->deadline_ns);
    }
    return until_ns;
}

uint32_t el_conns_poll_set(struct evlog_client *client, struct pollfd *fds, uint32_t max, int64_t *until_ns)
{
    uint32_t count = 0;
    int64_t until = earliest(&client->calls, *until_ns);
    bool waiting = !el_list_empty(&client->calls);
    EL_LIST_EACH(node, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        conn->poll_index = UINT32_MAX;
        if (conn->state == EL_CONN_CLOSED) {
            until = waiting ? EL_MIN(until, conn->retry_at_ns) : until;
            continue;
        }
        if (conn->state == EL_CONN_CONNECTING || conn->state == EL_CONN_SECURING) {
            until = EL_MIN(until, conn->connect_deadline_ns);
        }
        if (is_idle(conn) && conn->rest_at_ns != 0) {
            until = EL_MIN(until, conn->rest_at_ns);
        }
        until = earliest(&conn->flying, earliest(&conn->sending, until));
        if (count < max) {
            bool out = conn->state == EL_CONN_CONNECTING || !el_list_empty(&conn->sending) ||
                       conn->tls_out_pos < conn->tls_out_len;
            fds[count] = (struct pollfd){.fd = conn->fd, .events = (short)(POLLIN | (out ? POLLOUT : 0))};
            conn->poll_index = count++;
        }
    }
    *until_ns = until;
    return count;
}

void el_conns_poll_done(struct evlog_client *client, const struct pollfd *fds, uint32_t count)
{
    EL_LIST_EACH_SAFE(node, next, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        short events = conn->poll_index < count ? fds[conn->poll_index].revents : 0;
        conn->poll_index = UINT32_MAX;
        if (events == 0) {
            continue;
        }
        if (conn->state == EL_CONN_CONNECTING) {
            el_conn_connected(client, conn);
            continue;
        }
        if ((events & POLLOUT) != 0) {
            el_conn_write(client, conn);
        }
        if (conn->state != EL_CONN_CLOSED && (events & (POLLIN | POLLERR | POLLHUP)) != 0) {
            el_conn_read(client, conn);
        }
    }
}

uint32_t el_conns_count(const struct evlog_client *client)
{
    uint32_t count = 0;
    EL_LIST_EACH(node, &client->conns) {
        count++;
    }
    return count;
}

int16_t el_conns_version(const struct evlog_client *client, int32_t node_id, uint32_t lane, enum el_api_key api)
{
    EL_LIST_EACH(node, &client->conns) {
        const struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        if (conn->node_id == node_id && conn->lane == lane && conn->state == EL_CONN_READY) {
            return choose_version(conn, el_api_find(api), INT16_MAX);
        }
    }
    return -1;
}

uint32_t el_conns_in_flight(const struct evlog_client *client, int32_t node_id)
{
    uint32_t count = 0;
    EL_LIST_EACH(waiting, &client->calls) {
        const struct el_call *call = EL_CONTAINER(waiting, struct el_call, link);
        count += call->node_id == node_id && call->lane == EL_LANE_MAIN;
    }
    EL_LIST_EACH(node, &client->conns) {
        const struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        if (conn->node_id == node_id && conn->lane == EL_LANE_MAIN) {
            count += conn->flying_count;
            EL_LIST_EACH(sending, &conn->sending) {
                count++;
            }
        }
    }
    return count;
}

void el_conns_each_list(struct evlog_client *client, el_call_list_fn fn, const void *arg)
{
    EL_LIST_EACH(node, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        fn(&conn->sending, arg);
        fn(&conn->flying, arg);
    }
}

void el_conns_retire(struct evlog_client *client, uint32_t first)
{
    EL_LIST_EACH_SAFE(node, next, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        if (conn->lane == first || conn->lane == first + 1) {
            el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "the subscriber is closed");
            conn->retired = true;
            if (!client->resolving) {
                conn_free(conn);
            }
        }
    }
}

void el_conns_close(struct evlog_client *client)
{
    EL_LIST_EACH_SAFE(node, next, &client->conns) {
        struct el_conn *conn = EL_CONTAINER(node, struct el_conn, link);
        el_conn_fail(client, conn, EVLOG_ERR_CLOSED, "the client is closed");
        conn_free(conn);
    }
    while (!el_list_empty(&client->calls)) {
        end_call(client, EL_CONTAINER(client->calls.next, struct el_call, link), EVLOG_ERR_CLOSED, "client",
                 "the client is closed");
    }
}
