/* SPDX-License-Identifier: Apache-2.0
 *
 * See sasl.h. What is looked at, in the order in which other servers once forgot it:
 *
 *   - the nonce of the last message is the one that was handed out, client's part and ours
 *   - the name that somebody wants to act as (authzid) is the one that is proved, or none
 *   - the header of the first message is repeated in the last one, so nobody has taken channel binding out
 *   - proofs are compared in a time that says nothing
 *   - iterations are what is stored, never what a message says
 */
#include <auth/sasl.h>

#include <core/base64.h>
#include <stdio.h>

#define SALT_LEN 16u  /* of names without a user, where there is none to take it from */
#define LOOKS_MAX 64u /* at users, for one of a mechanism */

int sasl_find(struct el_slice name)
{
    return el_slice_eq(name, el_slice_str("PLAIN")) ? SASL_PLAIN : el_scram_find(name);
}

const char *sasl_name(int mechanism)
{
    return mechanism == SASL_PLAIN ? "PLAIN" : el_scram_name(mechanism);
}

void sasl_begin(struct sasl *sasl, int mechanism)
{
    EL_ASSERT(sasl_name(mechanism) != NULL);
    memset(sasl, 0, sizeof *sasl);
    sasl->magic = SASL_MAGIC;
    sasl->mechanism = mechanism;
}

void sasl_end(struct sasl *sasl)
{
    OBJ_CHECK(sasl, SASL);
    explicit_bzero(sasl, sizeof *sasl);
}

struct el_slice sasl_user(const struct sasl *sasl)
{
    OBJ_CHECK(sasl, SASL);
    return el_slice_of(sasl->name, sasl->name_len);
}

static enum sasl_result fail(struct sasl *sasl)
{
    sasl->state = SASL_ENDED;
    return SASL_FAILED;
}

/* --- the user ----------------------------------------------------------------------------------------------------- */

/* One of the mechanism, always the same as long as no user is made or removed. NULL: none was found */
static const struct auth_user *user_like(const struct auth *auth, int mechanism, uint64_t number)
{
    uint32_t count = auth_user_count(auth);
    for (uint32_t i = 0; i < EL_MIN(count, LOOKS_MAX); i++) {
        const struct auth_user *user = auth_user_at(auth, (uint32_t)((number + i) % count));
        if (user->mechanism == mechanism) {
            return user;
        }
    }
    return NULL;
}

/* What stands for a user that is none: nobody can tell without the secret. Programs make users with iterations, and
 * lengths of salts, of their own, so both are those of a real user. */
static void user_pretend(struct sasl *sasl, const struct auth *auth, int mechanism, const uint8_t *secret)
{
    uint8_t digest[EL_SCRAM_KEY_MAX];
    struct el_slice key = el_slice_of(secret, SASL_SECRET_LEN);
    size_t key_len = el_scram_key_len(mechanism);
    el_scram_hmac(mechanism, key, sasl_user(sasl), digest);
    sasl->user = (struct auth_user){.mechanism = mechanism};
    el_scram_hmac(mechanism, key, el_slice_of(digest, key_len), sasl->user.stored_key);
    const struct auth_user *like = user_like(auth, mechanism, el_get_le64(sasl->user.stored_key));
    size_t salt_len = like == NULL ? SALT_LEN : EL_MIN((size_t)like->salt_len, key_len);
    EL_ASSERT(salt_len <= sizeof sasl->user.salt);
    sasl->user.iterations = like == NULL ? EL_SCRAM_ITERATIONS_DEFAULT : like->iterations;
    sasl->user.salt_len = (uint32_t)salt_len;
    memcpy(sasl->user.salt, digest, salt_len);
}

static void user_choose(struct sasl *sasl, const struct auth *auth, int mechanism, const uint8_t *secret)
{
    const struct auth_user *user = auth_user_find(auth, mechanism, sasl_user(sasl));
    sasl->known = user != NULL;
    sasl->births = auth->user_births;
    if (user != NULL) {
        sasl->user = *user;
        sasl->user.name = (struct el_slice){0};
    } else {
        user_pretend(sasl, auth, mechanism, secret);
    }
}

static bool name_take(struct sasl *sasl, struct el_slice name, struct el_slice authzid)
{
    const char *why;
    if (auth_user_name_check(name, &why) != 0 || (authzid.len > 0 && !el_slice_eq(authzid, name))) {
        return false;
    }
    sasl->name_len = name.len;
    memcpy(sasl->name, name.data, name.len);
    return true;
}

/* --- SCRAM -------------------------------------------------------------------------------------------------------- */

static enum sasl_result scram_first(struct sasl *sasl, const struct auth *auth, const uint8_t *secret,
                                    const uint8_t *random, struct el_slice message, struct sasl_answer *answer)
{
    struct el_scram_client_first first;
    if (el_scram_parse_client_first(message, &first) != 0 || first.wants_token || first.bare.len > SASL_BARE_MAX ||
        first.gs2.len > sizeof sasl->gs2 ||
        !name_take(sasl, el_slice_of(first.name, first.name_len), el_slice_of(first.authzid, first.authzid_len))) {
        return fail(sasl);
    }
    user_choose(sasl, auth, sasl->mechanism, secret);
    sasl->bare_len = first.bare.len;
    memcpy(sasl->bare, first.bare.data, first.bare.len);
    sasl->gs2_len = first.gs2.len;
    memcpy(sasl->gs2, first.gs2.data, first.gs2.len);
    EL_ASSERT(first.nonce.len + EL_SCRAM_NONCE_LEN < sizeof sasl->nonce);
    EL_ASSERT(el_base64_encoded_len(SASL_RANDOM_LEN) == EL_SCRAM_NONCE_LEN);
    memcpy(sasl->nonce, first.nonce.data, first.nonce.len);
    el_base64_encode(sasl->nonce + first.nonce.len, random, SASL_RANDOM_LEN);
    sasl->nonce_len = first.nonce.len + EL_SCRAM_NONCE_LEN;
    sasl->own_nonce_len = first.nonce.len;
    char salt[4 * AUTH_SALT_LEN_MAX / 3 + 5];
    el_base64_encode(salt, sasl->user.salt, sasl->user.salt_len);
    int len = snprintf(sasl->first, sizeof sasl->first, "r=%s,s=%s,i=%u", sasl->nonce, salt, sasl->user.iterations);
    EL_ASSERT(len > 0 && (size_t)len < sizeof sasl->first);
    sasl->first_len = (size_t)len;
    answer->len = sasl->first_len;
    memcpy(answer->bytes, sasl->first, sasl->first_len);
    sasl->state = SASL_FINAL;
    return SASL_MORE;
}

/* The nonce that was handed out. Releases of librdkafka before 2.5 put their own part in front once more; that is
 * taken, for it is the whole of what was handed out and nothing that anybody could choose. */
static bool nonce_sound(const struct sasl *sasl, struct el_slice nonce)
{
    struct el_slice handed_out = el_slice_of(sasl->nonce, sasl->nonce_len);
    size_t own_len = sasl->own_nonce_len;
    if (nonce.len == own_len + handed_out.len && memcmp(nonce.data, sasl->nonce, own_len) == 0) {
        return memcmp(nonce.data + own_len, handed_out.data, handed_out.len) == 0;
    }
    return el_slice_eq(nonce, handed_out);
}

static bool final_sound(const struct sasl *sasl, const struct el_scram_client_final *final)
{
    return nonce_sound(sasl, final->nonce) && final->binding_len == sasl->gs2_len &&
           memcmp(final->binding, sasl->gs2, sasl->gs2_len) == 0 &&
           final->proof_len == el_scram_key_len(sasl->mechanism);
}

static enum sasl_result scram_final(struct sasl *sasl, struct el_slice message, struct sasl_answer *answer)
{
    struct el_scram_client_final final;
    if (el_scram_parse_client_final(message, &final) != 0 || !final_sound(sasl, &final)) {
        return fail(sasl);
    }
    char text[SASL_BARE_MAX + SASL_ANSWER_MAX + EL_SCRAM_MESSAGE_MAX + 3];
    int len = snprintf(text, sizeof text, "%.*s,%.*s,%.*s", (int)sasl->bare_len, sasl->bare, (int)sasl->first_len,
                       sasl->first, (int) final.without_proof.len, (const char *) final.without_proof.data);
    struct el_slice auth_message = el_slice_of(text, (size_t)len);
    bool fits = el_scram_proof_fits(sasl->mechanism, sasl->user.stored_key, auth_message, final.proof);
    if (!fits || !sasl->known) {
        return fail(sasl);
    }
    uint8_t signature[EL_SCRAM_KEY_MAX];
    size_t key_len = el_scram_key_len(sasl->mechanism);
    el_scram_signature(sasl->mechanism, sasl->user.server_key, auth_message, signature);
    memcpy(answer->bytes, "v=", 2);
    el_base64_encode((char *)answer->bytes + 2, signature, key_len);
    answer->len = 2 + el_base64_encoded_len(key_len);
    EL_ASSERT(answer->len < sizeof answer->bytes);
    sasl->state = SASL_ENDED;
    return SASL_DONE;
}

/* --- PLAIN -------------------------------------------------------------------------------------------------------- */

/* authzid NUL name NUL password */
static enum sasl_result plain_take(struct sasl *sasl, const struct auth *auth, const uint8_t *secret,
                                   struct el_slice message)
{
    const uint8_t *first = message.len == 0 ? NULL : memchr(message.data, 0, message.len);
    if (first == NULL) {
        return fail(sasl);
    }
    size_t authzid_len = (size_t)(first - message.data), left = message.len - authzid_len - 1;
    const uint8_t *second = left == 0 ? NULL : memchr(first + 1, 0, left);
    if (second == NULL) {
        return fail(sasl);
    }
    struct el_slice name = el_slice_of(first + 1, (size_t)(second - first) - 1);
    struct el_slice password = el_slice_of(second + 1, left - name.len - 1);
    if (password.len == 0 || password.len > SASL_PASSWORD_MAX || memchr(password.data, 0, password.len) != NULL ||
        !name_take(sasl, name, el_slice_of(message.data, authzid_len))) {
        return fail(sasl);
    }
    /* Either mechanism's keys do: they are of the same password. */
    bool has256 = auth_user_find(auth, EL_SCRAM_SHA256, name) != NULL;
    user_choose(sasl, auth,
                has256 || auth_user_find(auth, EL_SCRAM_SHA512, name) == NULL ? EL_SCRAM_SHA256 : EL_SCRAM_SHA512,
                secret);
    memcpy(sasl->password, password.data, password.len);
    sasl->password_len = password.len;
    sasl->state = SASL_CHECKING;
    return SASL_CHECK;
}

void sasl_check(struct sasl *sasl)
{
    OBJ_CHECK(sasl, SASL);
    EL_ASSERT(sasl->state == SASL_CHECKING);
    uint8_t salted[EL_SCRAM_KEY_MAX], stored_key[EL_SCRAM_KEY_MAX], server_key[EL_SCRAM_KEY_MAX];
    const struct auth_user *user = &sasl->user;
    el_scram_salt(user->mechanism, el_slice_of(sasl->password, sasl->password_len),
                  el_slice_of(user->salt, user->salt_len), user->iterations, salted);
    el_scram_server_keys(user->mechanism, salted, stored_key, server_key);
    sasl->fits = el_scram_equal(stored_key, user->stored_key, el_scram_key_len(user->mechanism));
    explicit_bzero(sasl->password, sizeof sasl->password);
    explicit_bzero(salted, sizeof salted);
}

bool sasl_is_checked(const struct sasl *sasl)
{
    OBJ_CHECK(sasl, SASL);
    return sasl->state == SASL_CHECKING;
}

enum sasl_result sasl_checked(struct sasl *sasl)
{
    OBJ_CHECK(sasl, SASL);
    EL_ASSERT(sasl->state == SASL_CHECKING);
    sasl->state = SASL_ENDED;
    return sasl->fits && sasl->known ? SASL_DONE : SASL_FAILED;
}

/* ------------------------------------------------------------------------------------------------------------------ */

enum sasl_result sasl_take(struct sasl *sasl, const struct auth *auth, const uint8_t *secret, const uint8_t *random,
                           struct el_slice message, struct sasl_answer *answer)
{
    OBJ_CHECK(sasl, SASL);
    answer->len = 0;
    switch (sasl->state) {
    case SASL_FIRST:
        return sasl->mechanism == SASL_PLAIN ? plain_take(sasl, auth, secret, message)
                                             : scram_first(sasl, auth, secret, random, message, answer);
    case SASL_FINAL:
        return scram_final(sasl, message, answer);
    case SASL_CHECKING:
    case SASL_ENDED:
        break;
    }
    return fail(sasl);
}
