/* SPDX-License-Identifier: Apache-2.0
 *
 * The computations of SCRAM; the messages are scram_message.c. PBKDF2 (RFC 8018) is one block, for a key is as long as
 * the hash.
 */
#include <core/scram.h>

#include <core/assert.h>
#include <core/crypto.h>

static const char *const names[EL_SCRAM_COUNT] = {NULL, "SCRAM-SHA-256", "SCRAM-SHA-512"};

const char *el_scram_name(int mechanism)
{
    return mechanism > EL_SCRAM_UNKNOWN && mechanism < EL_SCRAM_COUNT ? names[mechanism] : NULL;
}

int el_scram_find(struct el_slice name)
{
    for (int i = EL_SCRAM_UNKNOWN + 1; i < EL_SCRAM_COUNT; i++) {
        if (el_slice_eq(name, el_slice_str(names[i]))) {
            return i;
        }
    }
    return EL_SCRAM_UNKNOWN;
}

size_t el_scram_key_len(int mechanism)
{
    return mechanism == EL_SCRAM_SHA256 ? 32 : mechanism == EL_SCRAM_SHA512 ? 64 : 0;
}

static int bits_of(int mechanism)
{
    EL_ASSERT(el_scram_key_len(mechanism) > 0);
    return (int)el_scram_key_len(mechanism) * 8;
}

void el_scram_hmac(int mechanism, struct el_slice key, struct el_slice data, uint8_t *out)
{
    struct el_hmac hmac;
    el_hmac_begin(&hmac, bits_of(mechanism), key.data, key.len);
    el_hmac_add(&hmac, data.data, data.len);
    el_hmac_end(&hmac, out);
    explicit_bzero(&hmac, sizeof hmac);
}

static void hash(int mechanism, const uint8_t *data, size_t len, uint8_t *out)
{
    if (mechanism == EL_SCRAM_SHA256) {
        el_sha256(data, len, out);
    } else {
        el_sha512(data, len, out);
    }
}

void el_scram_salt(int mechanism, struct el_slice password, struct el_slice salt, uint32_t iterations, uint8_t *salted)
{
    static const uint8_t first_block[4] = {0, 0, 0, 1};
    size_t len = el_scram_key_len(mechanism);
    uint8_t round[EL_SCRAM_KEY_MAX];
    struct el_hmac keyed, use; /* the key is taken in once, which saves half of the work */
    EL_ASSERT(iterations > 0);
    el_hmac_begin(&keyed, bits_of(mechanism), password.data, password.len);
    use = keyed;
    el_hmac_add(&use, salt.data, salt.len);
    el_hmac_add(&use, first_block, sizeof first_block);
    el_hmac_end(&use, round);
    memcpy(salted, round, len);
    for (uint32_t i = 1; i < iterations; i++) {
        use = keyed;
        el_hmac_add(&use, round, len);
        el_hmac_end(&use, round);
        for (size_t k = 0; k < len; k++) {
            salted[k] ^= round[k];
        }
    }
    explicit_bzero(&keyed, sizeof keyed);
    explicit_bzero(&use, sizeof use);
    explicit_bzero(round, sizeof round);
}

static void client_key_of(int mechanism, const uint8_t *salted, uint8_t *client_key)
{
    el_scram_hmac(mechanism, el_slice_of(salted, el_scram_key_len(mechanism)), el_slice_str("Client Key"), client_key);
}

void el_scram_server_keys(int mechanism, const uint8_t *salted, uint8_t *stored_key, uint8_t *server_key)
{
    size_t len = el_scram_key_len(mechanism);
    uint8_t client_key[EL_SCRAM_KEY_MAX];
    client_key_of(mechanism, salted, client_key);
    hash(mechanism, client_key, len, stored_key);
    el_scram_hmac(mechanism, el_slice_of(salted, len), el_slice_str("Server Key"), server_key);
    explicit_bzero(client_key, sizeof client_key);
}

void el_scram_proof(int mechanism, const uint8_t *salted, struct el_slice auth_message, uint8_t *proof)
{
    size_t len = el_scram_key_len(mechanism);
    uint8_t client_key[EL_SCRAM_KEY_MAX], stored_key[EL_SCRAM_KEY_MAX], signature[EL_SCRAM_KEY_MAX];
    client_key_of(mechanism, salted, client_key);
    hash(mechanism, client_key, len, stored_key);
    el_scram_hmac(mechanism, el_slice_of(stored_key, len), auth_message, signature);
    for (size_t i = 0; i < len; i++) {
        proof[i] = client_key[i] ^ signature[i];
    }
    explicit_bzero(client_key, sizeof client_key);
    explicit_bzero(stored_key, sizeof stored_key);
}

bool el_scram_proof_fits(int mechanism, const uint8_t *stored_key, struct el_slice auth_message, const uint8_t *proof)
{
    size_t len = el_scram_key_len(mechanism);
    uint8_t client_key[EL_SCRAM_KEY_MAX], signature[EL_SCRAM_KEY_MAX], hashed[EL_SCRAM_KEY_MAX];
    el_scram_hmac(mechanism, el_slice_of(stored_key, len), auth_message, signature);
    for (size_t i = 0; i < len; i++) {
        client_key[i] = proof[i] ^ signature[i];
    }
    hash(mechanism, client_key, len, hashed);
    bool fits = el_scram_equal(hashed, stored_key, len);
    explicit_bzero(client_key, sizeof client_key);
    return fits;
}

void el_scram_signature(int mechanism, const uint8_t *server_key, struct el_slice auth_message, uint8_t *signature)
{
    el_scram_hmac(mechanism, el_slice_of(server_key, el_scram_key_len(mechanism)), auth_message, signature);
}

bool el_scram_equal(const void *a, const void *b, size_t len)
{
    return el_equal_always(a, b, len);
}
