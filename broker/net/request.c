/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests: made from a frame, answered once, freed when the answer has left.
 *
 * Every answer ends in request_ready(): with a connection it waits for its turn there; without one, or when that is
 * closing, nothing will be sent and the request is freed at once.
 */
#include <core/logger.h>
#include <net/conn.h>
#include <wire/frame.h>
#include <wire/msg_sasl_authenticate.h>

/* Longer records are sent from where they are: below that an extra part of a send costs more than the copy. */
#define COPY_LEN_MAX (16u << 10)

/* A request with this header and body. returns 0 | EVLOG_ERR_NO_MEMORY */
static int make(struct conn *conn, const struct el_request_header *header, struct el_slice body, size_t frame_len,
                struct request **request)
{
    struct net *net = conn->net;
    struct request *made = el_pool_get(&net->request_pool);
    if (made == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    made->magic = REQUEST_MAGIC;
    made->state = REQUEST_WORKING;
    made->api = header->api;
    made->api_key = header->api_key;
    made->api_version = header->version;
    made->correlation_id = header->correlation_id;
    made->client_id = header->client_id;
    made->body = body;
    made->net = net;
    made->conn = conn;
    made->listener = conn->listener;
    made->received_ns = net->io->now_ns;
    made->frame_len = frame_len;
    made->buffer = conn->buffer;
    buffer_ref(made->buffer);
    el_list_init(&made->link);
    el_list_init(&made->claim_link);
    el_arena_init(&made->arena, net->buddy, net->config.request_bytes_max);
    el_list_push_back(&conn->requests, &made->order);
    conn->request_count++;
    conn->request_bytes += made->frame_len;
    net->request_count++;
    *request = made;
    return 0;
}

int request_make(struct conn *conn, struct el_slice frame, struct request **request)
{
    struct el_request_header header;
    struct el_reader r;
    el_reader_init(&r, frame.data, frame.len);
    int rc = el_request_header_decode(&r, &header);
    return rc != 0 ? rc : make(conn, &header, el_slice_of(r.p, el_reader_left(&r)), frame.len, request);
}

int request_make_raw(struct conn *conn, struct el_slice frame, struct request **request)
{
    /* Its body, bytes behind their length, is what the frame is. */
    struct el_request_header header = {.api = el_api_find(EL_API_SaslAuthenticate), .api_key = EL_API_SaslAuthenticate};
    int rc = make(conn, &header, frame, frame.len - EL_FRAME_PREFIX_LEN, request);
    if (rc == 0) {
        (*request)->raw = true;
    }
    return rc;
}

void request_free(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    struct net *net = request->net;
    EL_ASSERT(request->state == REQUEST_READY);
    request_times_note(request);
    if (request->conn != NULL) {
        conn_request_gone(request->conn, request);
    }
    el_list_remove(&request->order); /* an orphan may still wait for its on_abandon */
    if (request->held) {
        request->ended = true;
        return;
    }
    if (request->release != NULL) {
        request->release(request);
    }
    EL_ASSERT(el_list_empty(&request->link));
    el_arena_reset(&request->arena);
    claim_end(request);
    buffer_unref(request->buffer);
    request->magic = 0;
    el_pool_put(&net->request_pool, request);
    EL_ASSERT(net->request_count > 0);
    net->request_count--;
    net_check_stopped(net);
}

void request_hold(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->state == REQUEST_WORKING);
    EL_ASSERT(!request->held);
    request->held = true;
}

void request_unhold(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->state == REQUEST_READY);
    EL_ASSERT(request->held);
    request->held = false;
    if (request->ended) {
        request_free(request);
    }
}

void request_abandon(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->conn == NULL);
    EL_ASSERT(request->state == REQUEST_WORKING);
    if (request->on_abandon != NULL) {
        request->on_abandon(request);
    } else if (request->claim_again != NULL) {
        request->claim_again(request);
    }
}

bool request_abandoned(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL || conn_state(request->conn) == CONN_CLOSING;
}

/* The handler is done. */
static void request_ready(struct request *request)
{
    EL_ASSERT(request->state == REQUEST_WORKING);
    EL_ASSERT(el_list_empty(&request->claim_link));
    claim_redeem(request);
    request->state = REQUEST_READY;
    request_mark(request, REQUEST_ANSWERED, request->net->io->now_ns);
    if (request->conn == NULL) {
        request_free(request);
    } else {
        account_owe(request->conn, request);
        conn_attend(request->conn);
    }
}

/* No answer can be made. */
static void fail_reply(struct request *request, int rc)
{
    struct net *net = request->net;
    if (rc == EVLOG_ERR_NO_MEMORY) {
        metrics_add(net->metrics, METRIC_REFUSED_MEMORY, 1);
    }
    if (net_may_log(net)) {
        el_log(EL_LOG_ERROR, "net", "%s: closing the connection: cannot encode the answer to %s version %d: %s",
               request_peer(request), request->api->name, request->api_version, evlog_error_text(rc));
    }
    request->part_count = 0;
    conn_close(request->conn, true);
}

static void request_set_parts(struct request *request, struct el_slice *parts, uint32_t part_count)
{
    request->parts = parts;
    request->part_count = part_count;
    for (uint32_t i = 0; i < part_count; i++) {
        request->reply_len += parts[i].len;
    }
    request->reply_len_all = request->reply_len;
    metrics_add(request->net->metrics, METRIC_REQUESTS, 1);
}

void request_throttle(struct request *request, uint32_t throttle_ms)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->state == REQUEST_WORKING);
    request->throttle_ms = EL_MAX(request->throttle_ms, throttle_ms);
    if (request->conn != NULL && throttle_ms > 0) {
        conn_mute(request->conn, (uint64_t)throttle_ms * 1000000u);
    }
}

/* The response with throttle_time_ms, where its version has that; a copy of its first level. NULL without memory */
static const void *throttled(struct request *request, const struct el_schema *schema, const void *response)
{
    for (uint16_t i = 0; i < schema->field_count; i++) {
        const struct el_field *field = &schema->fields[i];
        bool there = (field->versions & 1u << request->api_version) != 0;
        if (there && field->type == EL_TYPE_INT32 && !field->array && strcmp(field->name, "throttle_time_ms") == 0) {
            uint8_t *copy = el_arena_alloc(&request->arena, schema->size);
            if (copy != NULL) {
                memcpy(copy, response, schema->size);
                *(int32_t *)(void *)(copy + field->offset) = (int32_t)EL_MIN(request->throttle_ms, (uint32_t)INT32_MAX);
            }
            return copy;
        }
    }
    return response;
}

/* What the answer adds to what the client has used, and what it is told of that. NULL without memory */
static const void *meter(struct request *request, const struct el_schema *schema, const void *response)
{
    const struct net_config *config = &request->net->config;
    if (request->metered) {
        struct el_schema_size size;
        el_api_measure(request->api, EL_SIDE_RESPONSE, request->api_version, response, 0, &size);
        config->meter(config->arg, request, size.len);
    }
    return request->throttle_ms == 0 ? response : throttled(request, schema, response);
}

/* The message of the exchange behind its length. A failure has no place in it: that the connection is closed is the
 * answer. returns 0 | EVLOG_ERR_NO_MEMORY */
static int build_raw(struct request *request, const struct el_msg_sasl_authenticate_response *response)
{
    struct el_slice token = response->auth_bytes;
    if (response->error_code != 0) {
        return 0;
    }
    uint8_t *frame = el_arena_alloc(&request->arena, EL_FRAME_PREFIX_LEN + token.len);
    struct el_slice *part = el_arena_alloc(&request->arena, sizeof *part);
    if (frame == NULL || part == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    el_put_be32(frame, (uint32_t)token.len);
    if (token.len > 0) {
        memcpy(frame + EL_FRAME_PREFIX_LEN, token.data, token.len);
    }
    *part = el_slice_of(frame, EL_FRAME_PREFIX_LEN + token.len);
    request_set_parts(request, part, 1);
    return 0;
}

static void reply(struct request *request, const struct el_schema *schema, const void *response, size_t copy_len_max)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->state == REQUEST_WORKING);
    EL_ASSERT(request->api != NULL);
    EL_ASSERT(schema == request->api->schema[EL_SIDE_RESPONSE]);
    if (request->on_reply != NULL) {
        request->on_reply(request, schema, (void *)(uintptr_t)response);
    }
    if (request->raw && !request_abandoned(request)) {
        int rc = build_raw(request, response);
        if (rc != 0) {
            fail_reply(request, rc);
        }
    } else if (!request_abandoned(request)) {
        struct el_request_header header = {.api = request->api,
                                           .api_key = request->api_key,
                                           .version = request->api_version,
                                           .correlation_id = request->correlation_id,
                                           .client_id = request->client_id};
        struct el_slice *parts = NULL;
        uint32_t part_count = 0;
        response = meter(request, schema, response);
        int rc = response == NULL
                     ? EVLOG_ERR_NO_MEMORY
                     : el_frame_build_response(&request->arena, &header, response, copy_len_max, &parts, &part_count);
        if (rc == 0) {
            request_set_parts(request, parts, part_count);
        } else {
            fail_reply(request, rc);
        }
    }
    if (request->on_replied != NULL) {
        request->on_abandon = NULL; /* the handler is done */
        request->reply_len = 0;     /* counted when it may leave */
        request->on_replied(request);
        return;
    }
    request_ready(request);
}

void request_go(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    for (uint32_t i = 0; i < request->part_count; i++) {
        request->reply_len += request->parts[i].len;
    }
    request_ready(request);
}

void request_withhold(struct request *request, const char *reason)
{
    OBJ_CHECK(request, REQUEST);
    request->part_count = 0;
    request_close(request, reason);
}

void request_reply(struct request *request, const struct el_schema *schema, const void *response)
{
    reply(request, schema, response, SIZE_MAX);
}

void request_reply_release(struct request *request, const struct el_schema *schema, const void *response,
                           request_fn release)
{
    request->release = release;
    reply(request, schema, response, COPY_LEN_MAX);
}

/* The frame of a finished body; returns 0 | EVLOG_ERR_NO_MEMORY | EVLOG_ERR_LIMIT */
static int build_bytes(struct request *request, const void *body, size_t len)
{
    size_t header_len = el_response_header_len(request->api, request->api_version);
    if (len > INT32_MAX - header_len) {
        return EVLOG_ERR_LIMIT;
    }
    size_t frame_len = EL_FRAME_PREFIX_LEN + header_len + len;
    uint8_t *frame = el_arena_alloc(&request->arena, frame_len);
    struct el_slice *part = el_arena_alloc(&request->arena, sizeof(*part));
    if (frame == NULL || part == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_writer w;
    el_writer_init(&w, frame, frame_len);
    el_write_be32(&w, (uint32_t)(header_len + len));
    int rc = el_response_header_encode(&w, request->api, request->api_version, request->correlation_id);
    el_write_bytes(&w, body, len);
    EL_ASSERT(rc == 0);
    EL_ASSERT(w.err == 0);
    EL_ASSERT(el_writer_len(&w) == frame_len);
    *part = el_slice_of(frame, frame_len);
    request_set_parts(request, part, 1);
    return 0;
}

void request_reply_bytes(struct request *request, const void *body, size_t len)
{
    OBJ_CHECK(request, REQUEST);
    EL_ASSERT(request->state == REQUEST_WORKING);
    EL_ASSERT(request->api != NULL);
    if (!request_abandoned(request)) {
        int rc = build_bytes(request, body, len);
        if (rc != 0) {
            fail_reply(request, rc);
        }
    }
    request_ready(request);
}

void request_end_silent(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    metrics_add(request->net->metrics, METRIC_REQUESTS, 1);
    request_ready(request);
}

void request_refuse(struct request *request, const char *reason)
{
    OBJ_CHECK(request, REQUEST);
    bool known = request->api != NULL && el_api_accepts(request->api, request->api_version);
    metrics_add(request->net->metrics, known ? METRIC_REFUSED_MALFORMED : METRIC_REFUSED_UNSUPPORTED_VERSION, 1);
    request_close(request, reason);
}

void request_close(struct request *request, const char *reason)
{
    OBJ_CHECK(request, REQUEST);
    if (!request_abandoned(request)) {
        if (reason != NULL && net_may_log(request->net)) {
            el_log(EL_LOG_WARN, "net", "%s: closing the connection: %s (key %d) version %d: %s", request_peer(request),
                   request->api == NULL ? "unknown API" : request->api->name, request->api_key, request->api_version,
                   reason);
        }
        request->refused = true;
        request->conn->refusing = true;
        conn_drain(request->conn);
    }
    request_ready(request);
}

const char *request_peer(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL ? "gone" : request->conn->peer;
}

void request_caller(const struct request *request, struct auth_caller *caller)
{
    OBJ_CHECK(request, REQUEST);
    caller->host = conn_address(request_peer(request));
    caller->principal = el_slice_str(request_principal(request));
}

uint64_t request_conn_id(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL ? 0 : request->conn->id;
}

uint32_t request_listener_index(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->listener->index;
}

const struct config_listener *request_listener(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return &request->listener->config;
}

const char *request_principal(const struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    bool known = request->conn != NULL && request->conn->principal != NULL;
    return known ? request->conn->principal : NET_PRINCIPAL_ANONYMOUS;
}

int request_set_principal(struct request *request, const char *text)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL ? 0 : conn_set_principal(request->conn, text);
}

void **request_conn_user(struct request *request)
{
    OBJ_CHECK(request, REQUEST);
    return request->conn == NULL ? NULL : &request->conn->user;
}
