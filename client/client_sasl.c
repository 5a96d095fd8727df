/* SPDX-License-Identifier: Apache-2.0
 *
 * Who the client is: the exchange of SASL on a connection that is up, before its versions are asked for. Internal
 * thread of the client, lock held.
 *
 * 1. SaslHandshake names the mechanism (EL_CONN_PROVING).
 * 2. SaslAuthenticate carries its messages: one of PLAIN, two of SCRAM. A broker that speaks SCRAM proves in the last
 *    one that it knows the password too; who cannot is no broker of ours.
 * 3. The connection goes on with ApiVersions. When the broker says how long the proof is good for, the connection takes
 *    no new calls shortly before that, ends when the last answer is there, and is made again.
 *
 * What a broker sends is checked before it costs anything: the nonce begins with ours, and iterations are bounded both
 * ways, for few of them let who listens guess the password. The salted password is kept while the client lives, so that
 * connections after the first cost nothing.
 *
 * Fails by closing the connection: EVLOG_ERR_AUTHENTICATION with what to do, which nobody tries again on behalf of the
 * caller, or EVLOG_ERR_UNREACHABLE when the broker cannot look at the proof now.
 */
#include "client_conn.h"
#include "fail.h"

#include <core/alloc.h>
#include <core/base64.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <wire/error_code.h>
#include <wire/msg_sasl_authenticate.h>
#include <wire/msg_sasl_handshake.h>

#define HANDSHAKE_VERSION 1
#define AUTHENTICATE_VERSION 2
#define NONCE_BYTES (EL_SCRAM_NONCE_LEN / 4u * 3u)
#define BARE_MAX (3u * EL_SCRAM_NAME_MAX + EL_SCRAM_NONCE_LEN + 8u)
#define GS2 "n,,"         /* no channel binding, nobody else's name */
#define GS2_BASE64 "biws" /* the same, as the last message repeats it */
#define REST_MS_MIN 1000  /* shortest time that a connection is used for before it is made again */

enum step { STEP_AGREE, STEP_PLAIN, STEP_FIRST, STEP_FINAL };

struct el_proof {
    enum step step;
    struct el_msg_sasl_handshake_request handshake;
    struct el_msg_sasl_authenticate_request authenticate;
    char nonce[EL_SCRAM_NONCE_LEN + 1];
    char bare[BARE_MAX]; /* our first message without its header */
    size_t bare_len;
    uint8_t signature[EL_SCRAM_KEY_MAX]; /* what the broker has to sign with */
};

static void refuse(struct evlog_client *client, struct el_conn *conn, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void refuse(struct evlog_client *client, struct el_conn *conn, const char *format, ...)
{
    char text[320];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    el_conn_fail(client, conn, EVLOG_ERR_AUTHENTICATION, text);
}

void el_conn_proof_free(struct el_conn *conn)
{
    if (conn->proof != NULL) {
        explicit_bzero(conn->proof, sizeof *conn->proof);
        el_free(conn->proof);
        conn->proof = NULL;
    }
}

static const char *mechanism_name(const struct evlog_client *client)
{
    return client->cfg.sasl_mechanism == EL_SASL_PLAIN ? "PLAIN" : el_scram_name(client->cfg.sasl_mechanism);
}

static void ask(struct evlog_client *client, struct el_conn *conn, enum el_api_key api, const void *request,
                int16_t version)
{
    struct el_call *call = &conn->negotiation;
    el_call_free(call);
    el_call_init(call, el_api_find(api), request);
    call->deadline_ns = el_now_ns() + client->cfg.connect_timeout_ms * EL_NS_PER_MS;
    el_conn_send(client, conn, call, version);
}

static void say(struct evlog_client *client, struct el_conn *conn, struct el_slice message)
{
    struct el_proof *proof = conn->proof;
    el_schema_init(&el_schema_sasl_authenticate_request, &proof->authenticate);
    proof->authenticate.auth_bytes = message;
    ask(client, conn, EL_API_SaslAuthenticate, &proof->authenticate, AUTHENTICATE_VERSION);
}

void el_conn_prove(struct evlog_client *client, struct el_conn *conn)
{
    EL_ASSERT(client->cfg.sasl && conn->proof == NULL);
    EL_ASSERT(client->cfg.tls || client->cfg.sasl_mechanism != EL_SASL_PLAIN);
    conn->state = EL_CONN_PROVING;
    struct el_proof *proof = conn->proof = el_calloc(1, sizeof *proof);
    if (proof == NULL) {
        el_conn_fail(client, conn, EVLOG_ERR_NO_MEMORY, "no memory for a connection");
        return;
    }
    el_schema_init(&el_schema_sasl_handshake_request, &proof->handshake);
    proof->handshake.mechanism = el_slice_str(mechanism_name(client));
    ask(client, conn, EL_API_SaslHandshake, &proof->handshake, HANDSHAKE_VERSION);
}

/* --- first messages ----------------------------------------------------------------------------------------------- */

/* NUL name NUL password */
static void say_plain(struct evlog_client *client, struct el_conn *conn)
{
    char message[EL_SCRAM_NAME_MAX + EL_SASL_PASSWORD_MAX + 2];
    const char *name = client->cfg.sasl_username, *password = client->cfg.sasl_password;
    size_t name_len = strlen(name), password_len = strlen(password);
    EL_ASSERT(name_len <= EL_SCRAM_NAME_MAX && password_len <= EL_SASL_PASSWORD_MAX);
    message[0] = '\0';
    memcpy(message + 1, name, name_len);
    message[name_len + 1] = '\0';
    memcpy(message + name_len + 2, password, password_len);
    conn->proof->step = STEP_PLAIN;
    say(client, conn, el_slice_of(message, name_len + password_len + 2));
    explicit_bzero(message, sizeof message);
}

static void say_first(struct evlog_client *client, struct el_conn *conn)
{
    struct el_proof *proof = conn->proof;
    uint8_t random[NONCE_BYTES];
    char name[3 * EL_SCRAM_NAME_MAX + 1], message[BARE_MAX + sizeof GS2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, "the system has no random numbers");
        return;
    }
    EL_ASSERT(el_base64_encoded_len(sizeof random) == EL_SCRAM_NONCE_LEN);
    el_base64_encode(proof->nonce, random, sizeof random);
    (void)el_scram_encode_name(name, el_slice_str(client->cfg.sasl_username));
    int bare_len = snprintf(proof->bare, sizeof proof->bare, "n=%s,r=%s", name, proof->nonce);
    EL_ASSERT(bare_len > 0 && (size_t)bare_len < sizeof proof->bare);
    proof->bare_len = (size_t)bare_len;
    int len = snprintf(message, sizeof message, GS2 "%s", proof->bare);
    proof->step = STEP_FIRST;
    say(client, conn, el_slice_of(message, (size_t)len));
}

/* --- what the broker answers -------------------------------------------------------------------------------------- */

/* The names that a broker listed, as far as they are printable and there is room. */
static void list_names(const struct el_msg_sasl_handshake_response *response, char *text, size_t room)
{
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < response->mechanism_count; i++) {
        const struct el_slice *name = &response->mechanisms[i];
        bool plain = name->len > 0 && name->len < 32;
        for (size_t k = 0; plain && k < name->len; k++) {
            plain = name->data[k] > ' ' && name->data[k] < 0x7f;
        }
        if (plain && len + name->len + 3 <= room) {
            len += (size_t)snprintf(text + len, room - len, "%s%.*s", len == 0 ? "" : ", ", (int)name->len,
                                    (const char *)name->data);
        }
    }
}

static void agreed(struct evlog_client *client, struct el_conn *conn)
{
    struct el_msg_sasl_handshake_response response;
    char names[160];
    if (el_call_decode(&conn->negotiation, &response, NULL) != 0) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, "this does not look like a Kafka listener");
        return;
    }
    int code = response.error_code;
    if (code == EL_KAFKA_UNSUPPORTED_SASL_MECHANISM) {
        list_names(&response, names, sizeof names);
        refuse(client, conn, "the broker does not take %s here: set sasl.mechanism to one that it takes (%s)",
               mechanism_name(client), names[0] == '\0' ? "it lists none" : names);
    } else if (code == EL_KAFKA_ILLEGAL_SASL_STATE) {
        refuse(client, conn, "this listener asks for no SASL: set security.protocol=%s, or connect to another one",
               client->cfg.tls ? "ssl" : "plaintext");
    } else if (code != 0) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, el_kafka_error_name(code));
    } else if (client->cfg.sasl_mechanism == EL_SASL_PLAIN) {
        say_plain(client, conn);
    } else {
        say_first(client, conn);
    }
}

/* The password with salt and iterations, computed once for each of them. */
static const uint8_t *salted_of(struct evlog_client *client, const struct el_scram_server_first *first)
{
    struct el_salted *kept = &client->salted;
    bool same = kept->iterations == first->iterations && kept->salt_len == first->salt_len &&
                memcmp(kept->salt, first->salt, first->salt_len) == 0;
    if (!same) {
        kept->iterations = first->iterations;
        kept->salt_len = first->salt_len;
        memcpy(kept->salt, first->salt, first->salt_len);
        el_scram_salt(client->cfg.sasl_mechanism, el_slice_str(client->cfg.sasl_password),
                      el_slice_of(first->salt, first->salt_len), first->iterations, kept->key);
    }
    return kept->key;
}

/* Is it an answer to our message, and one that may cost something? Else the connection is closed. */
static bool first_sound(struct evlog_client *client, struct el_conn *conn, struct el_slice message,
                        struct el_scram_server_first *first)
{
    if (el_scram_parse_server_first(message, first) != 0 || first->salt_len == 0) {
        refuse(client, conn, "the broker's answer is no SCRAM: it is not the broker that you mean, or at fault");
        return false;
    }
    if (first->nonce.len <= EL_SCRAM_NONCE_LEN ||
        memcmp(first->nonce.data, conn->proof->nonce, EL_SCRAM_NONCE_LEN) != 0) {
        refuse(client, conn, "the broker's answer belongs to another exchange: somebody may be between you and it");
        return false;
    }
    if (first->iterations < EL_SCRAM_ITERATIONS_MIN || first->iterations > EL_SCRAM_ITERATIONS_MAX) {
        refuse(client, conn,
               "the broker wants %u iterations, and %u to %u are taken: have the user's password set anew",
               first->iterations, EL_SCRAM_ITERATIONS_MIN, EL_SCRAM_ITERATIONS_MAX);
        return false;
    }
    return true;
}

static void say_final(struct evlog_client *client, struct el_conn *conn, struct el_slice server_first)
{
    struct el_proof *proof = conn->proof;
    struct el_scram_server_first first;
    if (!first_sound(client, conn, server_first, &first)) {
        return;
    }
    char message[2 * EL_SCRAM_NONCE_MAX + 2 * EL_SCRAM_KEY_MAX + 16];
    char auth_message[BARE_MAX + EL_SCRAM_MESSAGE_MAX + sizeof message];
    uint8_t stored_key[EL_SCRAM_KEY_MAX], server_key[EL_SCRAM_KEY_MAX], bytes[EL_SCRAM_KEY_MAX];
    char proof_text[2 * EL_SCRAM_KEY_MAX];
    int mechanism = client->cfg.sasl_mechanism;
    const uint8_t *salted = salted_of(client, &first);
    int bound_len = snprintf(message, sizeof message, "c=" GS2_BASE64 ",r=%.*s", (int)first.nonce.len,
                             (const char *)first.nonce.data);
    int len = snprintf(auth_message, sizeof auth_message, "%s,%.*s,%s", proof->bare, (int)server_first.len,
                       (const char *)server_first.data, message);
    EL_ASSERT(len > 0 && (size_t)len < sizeof auth_message);
    struct el_slice signed_text = el_slice_of(auth_message, (size_t)len);
    el_scram_server_keys(mechanism, salted, stored_key, server_key);
    el_scram_signature(mechanism, server_key, signed_text, proof->signature);
    el_scram_proof(mechanism, salted, signed_text, bytes);
    el_base64_encode(proof_text, bytes, el_scram_key_len(mechanism));
    len = bound_len + snprintf(message + bound_len, sizeof message - (size_t)bound_len, ",p=%s", proof_text);
    EL_ASSERT(len > 0 && (size_t)len < sizeof message);
    explicit_bzero(stored_key, sizeof stored_key);
    explicit_bzero(server_key, sizeof server_key);
    proof->step = STEP_FINAL;
    say(client, conn, el_slice_of(message, (size_t)len));
}

/* Has the broker signed what was said, with the key of our password? */
static bool final_sound(const struct evlog_client *client, const struct el_proof *proof, struct el_slice message)
{
    struct el_scram_server_final final;
    size_t key_len = el_scram_key_len(client->cfg.sasl_mechanism);
    return el_scram_parse_server_final(message, &final) == 0 && final.error.data == NULL &&
           final.signature_len == key_len && el_scram_equal(final.signature, proof->signature, key_len);
}

/* lifetime_ms  how long the proof is good for, as the broker says; not above 0: for ever */
static void proved(struct evlog_client *client, struct el_conn *conn, int64_t lifetime_ms)
{
    el_conn_proof_free(conn);
    if (lifetime_ms > 0) {
        int64_t rest_ms = EL_MIN(lifetime_ms, (int64_t)INT32_MAX) / 5 * 4;
        conn->rest_at_ns = el_now_ns() + EL_MAX(rest_ms, (int64_t)REST_MS_MIN) * EL_NS_PER_MS;
    }
    el_client_log(client, EVLOG_LOG_INFO, "%s: authenticated by %s", conn->peer, mechanism_name(client));
    el_conn_negotiate(client, conn, EL_API_VERSIONS_FIRST);
}

static void answered(struct evlog_client *client, struct el_conn *conn)
{
    struct el_msg_sasl_authenticate_response response;
    if (el_call_decode(&conn->negotiation, &response, NULL) != 0) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, "this does not look like a Kafka listener");
        return;
    }
    if (response.error_code != 0 && el_kafka_error_retriable(response.error_code)) {
        el_conn_fail(client, conn, EVLOG_ERR_UNREACHABLE, el_kafka_error_name(response.error_code));
        return;
    }
    if (response.error_code != 0) {
        refuse(client, conn,
               "the broker refuses the user or the password (%s, %s): look at sasl.username, "
               "sasl.password and sasl.mechanism",
               mechanism_name(client), el_kafka_error_name(response.error_code));
        return;
    }
    if (conn->proof->step == STEP_FIRST) {
        say_final(client, conn, response.auth_bytes);
        return;
    }
    if (conn->proof->step == STEP_FINAL && !final_sound(client, conn->proof, response.auth_bytes)) {
        refuse(client, conn,
               "the broker cannot prove that it knows the user: it is not the broker that you mean, or "
               "somebody is between you and it");
        return;
    }
    proved(client, conn, response.session_lifetime_ms);
}

void el_conn_proof_step(struct evlog_client *client, struct el_conn *conn)
{
    EL_ASSERT(conn->state == EL_CONN_PROVING && conn->proof != NULL);
    if (conn->proof->step == STEP_AGREE) {
        agreed(client, conn);
    } else {
        answered(client, conn);
    }
}
