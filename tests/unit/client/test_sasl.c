/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's side of SASL. Goal: it lets itself in with the right password, and is taken in by nobody who does not
 * know it. Method: a connection on a pair of sockets, whose other end is a broker of this file's own that computes as a
 * server does and goes wrong where a test says so; refusals first.
 */
#include "../../../client/client_conn.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <evlog/evlog.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wire/error_code.h>
#include <wire/frame.h>
#include <wire/msg_metadata.h>
#include <wire/msg_sasl_authenticate.h>
#include <wire/msg_sasl_handshake.h>

#define ITERATIONS 4096u
#define SALT "saltsaltsaltsalt"

struct given {
    struct evlog_client client;
    struct el_conn *conn;
    struct el_call call; /* one that waits for the connection */
    struct el_msg_metadata_request question;
    int fd; /* the broker's */
    struct el_arena arena;
    struct el_request_header header; /* of the last request */
    struct el_slice said;            /* by the client, in SaslAuthenticate */
    char first[256];                 /* our first message */
    char bare[256];                  /* the client's */
};

static void configure(struct given *g, const char *mechanism)
{
    struct evlog_settings *settings;
    assert_int_equal(evlog_settings_new(&settings), 0);
    assert_int_equal(evlog_settings_set(settings, "security.protocol", "sasl_plaintext", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "sasl.mechanism", mechanism, NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "sasl.username", "a,b=c", NULL), 0);
    assert_int_equal(evlog_settings_set(settings, "sasl.password", "secret", NULL), 0);
    assert_int_equal(el_client_config_make(settings, &g->client.cfg, NULL), 0);
    evlog_settings_free(settings);
}

static void begin(struct given *g, const char *mechanism)
{
    int fds[2];
    memset(g, 0, sizeof *g);
    configure(g, mechanism);
    g->client.magic = EL_CLIENT_MAGIC;
    g->client.wake_fd = g->client.event_fd = -1;
    g->client.bootstrap_count = 1;
    g->client.chunk = el_malloc(EL_CLIENT_CHUNK_LEN);
    assert_non_null(g->client.chunk);
    el_rng_seed(&g->client.rng, 1);
    assert_int_equal(pthread_mutex_init(&g->client.lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&g->client.changed, NULL), 0);
    el_list_init(&g->client.calls);
    el_list_init(&g->client.conns);
    el_list_init(&g->client.log);
    el_arena_init(&g->arena, NULL, 1 << 20);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    g->fd = fds[1];
    struct el_conn *conn = g->conn = el_calloc(1, sizeof *conn);
    assert_non_null(conn);
    conn->node_id = EL_NODE_ANY;
    conn->fd = fds[0];
    conn->state = EL_CONN_CONNECTING;
    (void)snprintf(conn->peer, sizeof conn->peer, "broker:9092");
    el_list_init(&conn->sending);
    el_list_init(&conn->flying);
    el_list_init(&conn->negotiation.link);
    el_arena_init(&conn->negotiation.arena, NULL, 0);
    el_list_push_back(&g->client.conns, &conn->link);
    el_schema_init(&el_schema_metadata_request, &g->question);
    el_call_init(&g->call, el_api_find(EL_API_Metadata), &g->question);
    el_list_push_back(&g->client.calls, &g->call.link);
    el_conn_greet(&g->client, conn);
}

static void end(struct given *g)
{
    el_conns_close(&g->client);
    assert_true(g->call.done);
    el_call_free(&g->call);
    (void)close(g->fd);
    el_free(g->client.chunk);
    el_client_config_free(&g->client.cfg);
    el_arena_reset(&g->arena);
    (void)pthread_mutex_destroy(&g->client.lock);
    (void)pthread_cond_destroy(&g->client.changed);
}

/* What the client has sent: one frame of this api. */
static void take(struct given *g, enum el_api_key api, void *request)
{
    static uint8_t bytes[8192];
    ssize_t len = recv(g->fd, bytes, sizeof bytes, 0);
    assert_true(len > EL_FRAME_PREFIX_LEN);
    struct el_reader r;
    el_reader_init(&r, bytes + EL_FRAME_PREFIX_LEN, (size_t)len - EL_FRAME_PREFIX_LEN);
    assert_int_equal(el_request_header_decode(&r, &g->header), 0);
    assert_int_equal(g->header.api_key, api);
    assert_int_equal(el_api_decode(g->header.api, EL_SIDE_REQUEST, g->header.version, &r, &g->arena, request), 0);
}

static void give(struct given *g, const void *response)
{
    struct el_slice *parts;
    uint32_t count;
    assert_int_equal(el_frame_build_response(&g->arena, &g->header, response, SIZE_MAX, &parts, &count), 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(send(g->fd, parts[i].data, parts[i].len, 0), parts[i].len);
    }
    el_conn_read(&g->client, g->conn);
}

static void agree(struct given *g, int16_t code, const char *other)
{
    struct el_msg_sasl_handshake_request request;
    struct el_msg_sasl_handshake_response response;
    struct el_slice name = el_slice_str(other);
    take(g, EL_API_SaslHandshake, &request);
    assert_int_equal(g->header.version, 1);
    el_schema_init(&el_schema_sasl_handshake_response, &response);
    response.error_code = code;
    response.mechanisms = &name;
    response.mechanism_count = 1;
    give(g, &response);
}

static void hear(struct given *g)
{
    struct el_msg_sasl_authenticate_request request;
    take(g, EL_API_SaslAuthenticate, &request);
    assert_int_equal(g->header.version, 2);
    g->said = request.auth_bytes;
}

static void answer(struct given *g, int16_t code, const char *text, int64_t lifetime_ms)
{
    struct el_msg_sasl_authenticate_response response;
    el_schema_init(&el_schema_sasl_authenticate_response, &response);
    response.error_code = code;
    response.auth_bytes = el_slice_str(text);
    response.session_lifetime_ms = lifetime_ms;
    give(g, &response);
}

/* The first message of the broker. nonce: what its nonce begins with, NULL: the client's. */
static void answer_first(struct given *g, const char *nonce, uint32_t iterations)
{
    struct el_scram_client_first first;
    char salt[64];
    agree(g, 0, "SCRAM-SHA-256");
    hear(g);
    assert_int_equal(el_scram_parse_client_first(g->said, &first), 0);
    assert_string_equal(first.name, "a,b=c");
    assert_int_equal(first.authzid_len, 0);
    assert_int_equal(first.nonce.len, EL_SCRAM_NONCE_LEN);
    (void)snprintf(g->bare, sizeof g->bare, "%.*s", (int)first.bare.len, (const char *)first.bare.data);
    el_base64_encode(salt, SALT, strlen(SALT));
    (void)snprintf(g->first, sizeof g->first, "r=%.*sserver,s=%s,i=%u",
                   (int)(nonce == NULL ? first.nonce.len : strlen(nonce)),
                   nonce == NULL ? (const char *)first.nonce.data : nonce, salt, iterations);
    answer(g, 0, g->first, 0);
}

/* The last one: is the client's proof good, and what does the broker sign with? */
static void answer_final(struct given *g, int mechanism, const char *password, int64_t lifetime_ms)
{
    struct el_scram_client_final final;
    uint8_t salted[EL_SCRAM_KEY_MAX], stored_key[EL_SCRAM_KEY_MAX], server_key[EL_SCRAM_KEY_MAX];
    uint8_t signature[EL_SCRAM_KEY_MAX];
    char text[1024], signature_text[128], said[256];
    hear(g);
    assert_int_equal(el_scram_parse_client_final(g->said, &final), 0);
    (void)snprintf(text, sizeof text, "%s,%s,%.*s", g->bare, g->first, (int) final.without_proof.len,
                   (const char *) final.without_proof.data);
    struct el_slice salt = el_slice_of(SALT, strlen(SALT));
    el_scram_salt(mechanism, el_slice_str("secret"), salt, ITERATIONS, salted);
    el_scram_server_keys(mechanism, salted, stored_key, server_key);
    assert_true(el_scram_proof_fits(mechanism, stored_key, el_slice_str(text), final.proof));
    el_scram_salt(mechanism, el_slice_str(password), salt, ITERATIONS, salted);
    el_scram_server_keys(mechanism, salted, stored_key, server_key);
    el_scram_signature(mechanism, server_key, el_slice_str(text), signature);
    el_base64_encode(signature_text, signature, el_scram_key_len(mechanism));
    (void)snprintf(said, sizeof said, "v=%s", signature_text);
    answer(g, 0, said, lifetime_ms);
}

/* The call that waited has ended: it is the caller's to mend, and nothing is tried again soon. */
static void assert_refused(struct given *g, const char *text)
{
    assert_int_equal(g->conn->state, EL_CONN_CLOSED);
    assert_true(g->call.done);
    assert_int_equal(g->call.failure.code, EVLOG_ERR_AUTHENTICATION);
    assert_int_equal(g->call.failure.error_class, EVLOG_CLASS_CALLER);
    assert_false(g->call.failure.retriable);
    if (strstr(g->call.failure.text, text) == NULL) {
        fail_msg("\"%s\" is not in: %s", text, g->call.failure.text);
    }
    assert_null(strstr(g->call.failure.text, "secret"));
    assert_true(g->call.failure.hint[0] != '\0');
    assert_null(g->conn->proof);
    end(g);
}

TEST(sasl, a_mechanism_that_is_refused_names_those_that_are_taken)
{
    struct given g;
    begin(&g, "SCRAM-SHA-256");
    agree(&g, EL_KAFKA_UNSUPPORTED_SASL_MECHANISM, "SCRAM-SHA-512");
    assert_refused(&g, "set sasl.mechanism to one that it takes (SCRAM-SHA-512)");
    begin(&g, "SCRAM-SHA-256");
    agree(&g, EL_KAFKA_UNSUPPORTED_SASL_MECHANISM, "\033[31mred");
    assert_refused(&g, "it lists none");
    begin(&g, "SCRAM-SHA-256");
    agree(&g, EL_KAFKA_ILLEGAL_SASL_STATE, "");
    assert_refused(&g, "security.protocol=plaintext");
}

TEST(sasl, a_nonce_that_does_not_begin_with_ours_is_refused)
{
    struct given g;
    begin(&g, "SCRAM-SHA-256");
    answer_first(&g, "fyko+d2lbbFgONRv9qkxdawL", ITERATIONS);
    assert_refused(&g, "belongs to another exchange");
    begin(&g, "SCRAM-SHA-256");
    answer_first(&g, "", ITERATIONS);
    assert_refused(&g, "belongs to another exchange");
}

TEST(cve_2026_10143, iterations_out_of_bounds_are_refused_before_they_cost_anything)
{
    static const uint32_t bad[] = {0, 1, EL_SCRAM_ITERATIONS_MIN - 1, EL_SCRAM_ITERATIONS_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct given g;
        begin(&g, "SCRAM-SHA-256");
        answer_first(&g, NULL, bad[i]);
        assert_int_equal(g.client.salted.iterations, 0);
        assert_refused(&g, bad[i] == 0 ? "" : "iterations");
    }
}

TEST(sasl, a_broker_that_does_not_know_the_password_is_refused)
{
    struct given g;
    begin(&g, "SCRAM-SHA-256");
    answer_first(&g, NULL, ITERATIONS);
    answer_final(&g, EL_SCRAM_SHA256, "another", 0);
    assert_refused(&g, "the broker cannot prove that it knows the user");
    static const char *const bad[] = {"", "v=", "v=AAAA", "e=invalid-proof", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(&g, "SCRAM-SHA-256");
        answer_first(&g, NULL, ITERATIONS);
        hear(&g);
        answer(&g, 0, bad[i], 0);
        assert_refused(&g, "the broker cannot prove that it knows the user");
    }
}

TEST(sasl, a_password_that_is_refused_is_not_tried_again_soon)
{
    struct given g;
    begin(&g, "SCRAM-SHA-256");
    answer_first(&g, NULL, ITERATIONS);
    hear(&g);
    int64_t before_ns = el_now_ns();
    answer(&g, EL_KAFKA_SASL_AUTHENTICATION_FAILED, "", 0);
    assert_true(g.conn->retry_at_ns >= before_ns + g.client.cfg.reconnect_backoff_max_ms * EL_NS_PER_MS);
    assert_refused(&g, "look at sasl.username, sasl.password and sasl.mechanism");
}

static void assert_greeted(struct given *g)
{
    struct el_msg_api_versions_request request;
    assert_int_equal(g->conn->state, EL_CONN_NEGOTIATING);
    take(g, EL_API_ApiVersions, &request);
    assert_false(g->call.done);
    assert_null(g->conn->proof);
}

TEST(sasl, who_knows_the_password_goes_on_to_the_versions)
{
    struct given g;
    begin(&g, "SCRAM-SHA-256");
    answer_first(&g, NULL, ITERATIONS);
    answer_final(&g, EL_SCRAM_SHA256, "secret", 0);
    assert_greeted(&g);
    assert_int_equal(g.conn->rest_at_ns, 0);
    end(&g);
    begin(&g, "SCRAM-SHA-512");
    answer_first(&g, NULL, ITERATIONS);
    answer_final(&g, EL_SCRAM_SHA512, "secret", 0);
    assert_greeted(&g);
    end(&g);
}

TEST(sasl, a_connection_is_made_again_before_its_proof_ends)
{
    struct given g;
    begin(&g, "SCRAM-SHA-256");
    int64_t before_ns = el_now_ns();
    answer_first(&g, NULL, ITERATIONS);
    answer_final(&g, EL_SCRAM_SHA256, "secret", 3600000);
    assert_greeted(&g);
    assert_in_range(g.conn->rest_at_ns, before_ns + 1, el_now_ns() + 3600000 * EL_NS_PER_MS);
    struct el_msg_api_versions_response response;
    struct el_msg_api_versions_key keys[] = {{.api_key = EL_API_Metadata, .min_version = 0, .max_version = 12}};
    el_schema_init(&el_schema_api_versions_response, &response);
    response.api_keys = keys;
    response.api_key_count = 1;
    give(&g, &response);
    assert_int_equal(g.conn->state, EL_CONN_READY);
    g.conn->rest_at_ns = before_ns;  /* the time has come: the waiting call is not sent on this connection */
    g.client.cfg.bootstrap[0] = ':'; /* and there is no address for another one */
    el_conns_dispatch(&g.client, el_now_ns());
    assert_int_equal(g.conn->state, EL_CONN_CLOSED);
    uint8_t byte;
    assert_int_equal(recv(g.fd, &byte, 1, 0), 0);
    end(&g);
}
