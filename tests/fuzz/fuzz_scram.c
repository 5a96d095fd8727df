/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of SASL from whoever is on the other side. The first byte chooses the part:
 *
 *   0 client first  1 server first  2 client final  3 server final    parsed; what is found lies inside the message
 *   4 SCRAM-SHA-256  5 SCRAM-SHA-512  6 PLAIN    a server takes messages, with a byte 0xff between them: nobody gets
 *                                                in, and what has ended stays so
 */
#include <auth/sasl.h>
#include <evlog/error.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define PARTS 7
#define END 0xff

static void check_inside(struct el_slice part, struct el_slice message)
{
    EL_ASSERT(part.data == NULL || (part.data >= message.data && part.data + part.len <= message.data + message.len));
}

static void check_code(int code)
{
    EL_ASSERT(code == 0 || code == EVLOG_ERR_MALFORMED || code == EVLOG_ERR_LIMIT);
}

static void parse_client_first(struct el_slice message)
{
    struct el_scram_client_first out;
    int code = el_scram_parse_client_first(message, &out);
    check_code(code);
    if (code == 0) {
        check_inside(out.gs2, message);
        check_inside(out.bare, message);
        check_inside(out.nonce, message);
        EL_ASSERT(out.gs2.len + out.bare.len == message.len);
        EL_ASSERT(out.nonce.len <= EL_SCRAM_NONCE_MAX);
        EL_ASSERT(out.name_len <= EL_SCRAM_NAME_MAX);
        EL_ASSERT(out.authzid_len <= EL_SCRAM_NAME_MAX);
    }
}

static void parse_server_first(struct el_slice message)
{
    struct el_scram_server_first out;
    int code = el_scram_parse_server_first(message, &out);
    check_code(code);
    if (code == 0) {
        check_inside(out.nonce, message);
        EL_ASSERT(out.salt_len <= EL_SCRAM_SALT_MAX);
    }
}

static void parse_client_final(struct el_slice message)
{
    struct el_scram_client_final out;
    int code = el_scram_parse_client_final(message, &out);
    check_code(code);
    if (code == 0) {
        check_inside(out.without_proof, message);
        check_inside(out.nonce, message);
        EL_ASSERT(out.binding_len <= sizeof out.binding);
        EL_ASSERT(out.proof_len <= EL_SCRAM_KEY_MAX);
    }
}

static void parse_server_final(struct el_slice message)
{
    struct el_scram_server_final out;
    int code = el_scram_parse_server_final(message, &out);
    check_code(code);
    if (code == 0) {
        check_inside(out.error, message);
        EL_ASSERT(out.signature_len <= EL_SCRAM_KEY_MAX);
    }
}

/* A user "alice" whose keys nobody knows the password of. */
static void add_alice(struct auth *auth, int mechanism)
{
    struct auth_user user = {.mechanism = mechanism,
                             .name = el_slice_str("alice"),
                             .iterations = EL_SCRAM_ITERATIONS_MIN,
                             .salt_len = AUTH_SALT_LEN_MAX};
    memset(user.stored_key, 0x5a, sizeof user.stored_key);
    int code = auth_user_put(auth, &user);
    EL_ASSERT(code == 0);
}

static void serve(int mechanism, const uint8_t *data, size_t len)
{
    static const uint8_t secret[SASL_SECRET_LEN] = "of the node", random[SASL_RANDOM_LEN] = "not random";
    struct auth auth;
    struct sasl sasl;
    struct sasl_answer answer;
    bool ended = false;
    auth_init(&auth, NULL);
    add_alice(&auth, EL_SCRAM_SHA256);
    add_alice(&auth, EL_SCRAM_SHA512);
    sasl_begin(&sasl, mechanism);
    for (size_t at = 0; at <= len;) {
        const uint8_t *stop = at == len ? NULL : memchr(data + at, END, len - at);
        size_t message_len = stop == NULL ? len - at : (size_t)(stop - data) - at;
        uint8_t *message = malloc(message_len == 0 ? 1 : message_len);
        EL_ASSERT(message != NULL);
        memcpy(message, data + at, message_len);
        enum sasl_result result = sasl_take(&sasl, &auth, secret, random, el_slice_of(message, message_len), &answer);
        EL_ASSERT(result != SASL_DONE);
        EL_ASSERT(!ended || result == SASL_FAILED);
        EL_ASSERT(answer.len <= SASL_ANSWER_MAX);
        EL_ASSERT(result == SASL_MORE || answer.len == 0);
        EL_ASSERT(sasl_user(&sasl).len <= AUTH_USER_NAME_MAX);
        ended = ended || result == SASL_FAILED;
        free(message);
        at += message_len + 1;
        if (result == SASL_CHECK) {
            break; /* computing takes milliseconds, and bytes of messages play no part in it */
        }
    }
    sasl_end(&sasl);
    auth_destroy(&auth);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static void (*const parsers[])(struct el_slice) = {parse_client_first, parse_server_first, parse_client_final,
                                                       parse_server_final};
    static const int mechanisms[] = {EL_SCRAM_SHA256, EL_SCRAM_SHA512, SASL_PLAIN};
    if (len == 0) {
        return 0;
    }
    int part = data[0] % PARTS;
    if (part >= 4) {
        serve(mechanisms[part - 4], data + 1, len - 1);
        return 0;
    }
    uint8_t *message = malloc(len);
    EL_ASSERT(message != NULL);
    memcpy(message, data + 1, len - 1);
    message = realloc(message, len == 1 ? 1 : len - 1);
    EL_ASSERT(message != NULL);
    parsers[part](el_slice_of(message, len - 1));
    free(message);
    return 0;
}
