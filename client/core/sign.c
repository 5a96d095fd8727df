/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys that sign: ECDSA P-256 by mbedtls, Ed25519 by libsodium; any thread.
 *
 * 1. a private key is held as its scalar or seed, with the public key derived from it; groups and points of mbedtls
 *    live for one call, since they keep tables that two threads may not fill at once
 * 2. signatures are deterministic; random numbers only blind the computation and make new keys
 * 3. whatever held a secret is wiped: by the library, or with sodium_memzero()
 *
 * Source: FIPS 186-4, RFC 6979 (ECDSA); RFC 8032 (Ed25519). Texts are sign_pem.c's, DER is sign_der.c's.
 */
#include "sign_key.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>

#include <mbedtls/ecdsa.h>
#include <mbedtls/platform_util.h>
#include <pthread.h>
#include <sodium.h>

#define PRIVATE_KEY_MAGIC OBJ_MAGIC('k', 'e', 'y', 's')

struct el_private_key {
    uint32_t magic;
    struct sign_secret secret; /* has_public */
};

/* What ECDSA computes with. */
struct curve {
    mbedtls_ecp_group group;
    mbedtls_mpi d, r, s;
    mbedtls_ecp_point q;
};

EL_STATIC_ASSERT(crypto_sign_SEEDBYTES == SIGN_SCALAR_LEN, "secrets of both kinds have one length");

static void sodium_start(void)
{
    int rc = sodium_init();
    EL_ASSERT(rc >= 0); /* fails only where the system gives no random numbers at all */
}

static void need_sodium(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int rc = pthread_once(&once, sodium_start);
    EL_ASSERT(rc == 0);
}

static int random_bytes(void *arg, unsigned char *buf, size_t len)
{
    (void)arg;
    randombytes_buf(buf, len);
    return 0;
}

/* False when memory is short. */
static bool curve_open(struct curve *c)
{
    need_sodium();
    mbedtls_ecp_group_init(&c->group);
    mbedtls_mpi_init(&c->d);
    mbedtls_mpi_init(&c->r);
    mbedtls_mpi_init(&c->s);
    mbedtls_ecp_point_init(&c->q);
    return mbedtls_ecp_group_load(&c->group, MBEDTLS_ECP_DP_SECP256R1) == 0;
}

static void curve_close(struct curve *c)
{
    mbedtls_ecp_group_free(&c->group);
    mbedtls_mpi_free(&c->d);
    mbedtls_mpi_free(&c->r);
    mbedtls_mpi_free(&c->s);
    mbedtls_ecp_point_free(&c->q);
}

static int code_of(int mbedtls_rc, int otherwise)
{
    if (mbedtls_rc == MBEDTLS_ERR_MPI_ALLOC_FAILED || mbedtls_rc == MBEDTLS_ERR_ECP_ALLOC_FAILED) {
        return EVLOG_ERR_NO_MEMORY;
    }
    return mbedtls_rc == 0 ? 0 : otherwise;
}

/* The public key of a scalar. returns 0 | EVLOG_ERR_MALFORMED 0 or too large | _NO_MEMORY */
static int derive_p256(struct sign_secret *secret)
{
    struct curve c;
    uint8_t point[SIGN_POINT_LEN];
    size_t len = 0;
    int rc = curve_open(&c) ? 0 : MBEDTLS_ERR_ECP_ALLOC_FAILED;
    if (rc == 0) {
        rc = mbedtls_mpi_read_binary(&c.d, secret->scalar, SIGN_SCALAR_LEN);
    }
    if (rc == 0) {
        rc = mbedtls_ecp_check_privkey(&c.group, &c.d);
    }
    if (rc == 0) {
        rc = mbedtls_ecp_mul(&c.group, &c.q, &c.d, &c.group.G, random_bytes, NULL);
    }
    if (rc == 0) {
        rc = mbedtls_ecp_point_write_binary(&c.group, &c.q, MBEDTLS_ECP_PF_UNCOMPRESSED, &len, point, sizeof(point));
    }
    curve_close(&c);
    if (rc == 0) {
        EL_ASSERT(len == SIGN_POINT_LEN);
        sign_der_public_of_point(point, &secret->pub);
    }
    return code_of(rc, EVLOG_ERR_MALFORMED);
}

static int derive(struct sign_secret *secret)
{
    uint8_t pair[crypto_sign_SECRETKEYBYTES];
    if (secret->kind == EL_SIGN_ECDSA_P256) {
        return derive_p256(secret);
    }
    need_sodium();
    secret->pub.kind = EL_SIGN_ED25519;
    secret->pub.len = crypto_sign_PUBLICKEYBYTES;
    crypto_sign_seed_keypair(secret->pub.bytes, pair, secret->scalar);
    sodium_memzero(pair, sizeof(pair));
    return 0;
}

int sign_key_of(const struct sign_secret *secret, struct el_private_key **key)
{
    struct el_private_key *k = el_calloc(1, sizeof(*k));
    if (k == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    k->magic = PRIVATE_KEY_MAGIC;
    k->secret.kind = secret->kind;
    k->secret.has_public = true;
    memcpy(k->secret.scalar, secret->scalar, SIGN_SCALAR_LEN);
    int rc = derive(&k->secret);
    if (rc == 0 && secret->has_public &&
        !el_slice_eq(el_slice_of(secret->pub.bytes, secret->pub.len),
                     el_slice_of(k->secret.pub.bytes, k->secret.pub.len))) {
        rc = EVLOG_ERR_MALFORMED;
    }
    if (rc != 0) {
        el_private_key_free(k);
        return rc;
    }
    *key = k;
    return 0;
}

const struct sign_secret *sign_key_secret(const struct el_private_key *key)
{
    OBJ_CHECK(key, PRIVATE_KEY);
    return &key->secret;
}

void sign_wipe(void *data, size_t len)
{
    sodium_memzero(data, len);
}

int el_private_key_make(enum el_sign_kind kind, struct el_private_key **key, struct el_error *err)
{
    struct sign_secret secret = {.kind = kind};
    int rc = EVLOG_ERR_MALFORMED;
    EL_ASSERT(kind == EL_SIGN_ED25519 || kind == EL_SIGN_ECDSA_P256);
    need_sodium();
    /* One scalar in 2^32 is not below the curve's order. */
    for (int tries = 0; tries < 4 && rc == EVLOG_ERR_MALFORMED; tries++) {
        randombytes_buf(secret.scalar, sizeof(secret.scalar));
        rc = sign_key_of(&secret, key);
    }
    sodium_memzero(&secret, sizeof(secret));
    return rc == 0 ? 0 : el_error_set(err, rc, "a signing key could not be made");
}

void el_private_key_free(struct el_private_key *key)
{
    if (key != NULL) {
        OBJ_CHECK(key, PRIVATE_KEY);
        sodium_memzero(key, sizeof(*key));
        el_free(key);
    }
}

void el_private_key_public(const struct el_private_key *key, struct el_public_key *pub)
{
    OBJ_CHECK(key, PRIVATE_KEY);
    *pub = key->secret.pub;
}

/* Read the point of pub into c. returns 0 | of mbedtls */
static int read_point(struct curve *c, const struct el_public_key *pub)
{
    const uint8_t *point = sign_der_point(pub);
    if (point == NULL) {
        return MBEDTLS_ERR_ECP_INVALID_KEY;
    }
    int rc = mbedtls_ecp_point_read_binary(&c->group, &c->q, point, SIGN_POINT_LEN);
    return rc == 0 ? mbedtls_ecp_check_pubkey(&c->group, &c->q) : rc;
}

int el_public_key_check(const struct el_public_key *pub)
{
    struct curve c;
    if (pub->kind == EL_SIGN_ED25519) {
        need_sodium();
        /* Points of small order would take one signature for many texts. */
        return pub->len == crypto_sign_PUBLICKEYBYTES && crypto_core_ed25519_is_valid_point(pub->bytes) == 1
                   ? 0
                   : EVLOG_ERR_MALFORMED;
    }
    int rc = curve_open(&c) ? read_point(&c, pub) : MBEDTLS_ERR_ECP_ALLOC_FAILED;
    curve_close(&c);
    return code_of(rc, EVLOG_ERR_MALFORMED);
}

/* --- signatures --------------------------------------------------------------------------------------------------- */

static int sign_p256(const struct sign_secret *secret, const uint8_t digest[32], uint8_t *signature, size_t *len)
{
    struct curve c;
    uint8_t r[SIGN_SCALAR_LEN], s[SIGN_SCALAR_LEN];
    int rc = curve_open(&c) ? 0 : MBEDTLS_ERR_ECP_ALLOC_FAILED;
    if (rc == 0) {
        rc = mbedtls_mpi_read_binary(&c.d, secret->scalar, SIGN_SCALAR_LEN);
    }
    if (rc == 0) {
        rc = mbedtls_ecdsa_sign_det_ext(&c.group, &c.r, &c.s, &c.d, digest, 32, MBEDTLS_MD_SHA256, random_bytes, NULL);
    }
    if (rc == 0) {
        rc = mbedtls_mpi_write_binary(&c.r, r, sizeof(r));
    }
    if (rc == 0) {
        rc = mbedtls_mpi_write_binary(&c.s, s, sizeof(s));
    }
    curve_close(&c);
    if (rc == 0) {
        *len = sign_der_write_signature(r, s, signature);
    }
    return rc == 0 ? 0 : EVLOG_ERR_FAILED;
}

int el_sign(const struct el_private_key *key, const void *data, size_t len, uint8_t signature[EL_SIGN_SIGNATURE_MAX],
            size_t *signature_len)
{
    uint8_t digest[32], pair[crypto_sign_SECRETKEYBYTES];
    OBJ_CHECK(key, PRIVATE_KEY);
    if (key->secret.kind == EL_SIGN_ECDSA_P256) {
        el_sha256(data, len, digest);
        return sign_p256(&key->secret, digest, signature, signature_len);
    }
    need_sodium();
    EL_ASSERT(key->secret.pub.len + SIGN_SCALAR_LEN == sizeof(pair));
    memcpy(pair, key->secret.scalar, SIGN_SCALAR_LEN); /* libsodium's form of a private key: seed, public key */
    memcpy(pair + SIGN_SCALAR_LEN, key->secret.pub.bytes, key->secret.pub.len);
    int rc = crypto_sign_detached(signature, NULL, data, len, pair);
    sodium_memzero(pair, sizeof(pair));
    *signature_len = crypto_sign_BYTES;
    return rc == 0 ? 0 : EVLOG_ERR_FAILED;
}

static bool verify_p256(const struct el_public_key *pub, const uint8_t digest[32], struct el_slice signature)
{
    struct curve c;
    uint8_t r[SIGN_SCALAR_LEN], s[SIGN_SCALAR_LEN];
    if (!sign_der_read_signature(signature, r, s)) {
        return false;
    }
    bool ok = curve_open(&c) && read_point(&c, pub) == 0 && mbedtls_mpi_read_binary(&c.r, r, sizeof(r)) == 0 &&
              mbedtls_mpi_read_binary(&c.s, s, sizeof(s)) == 0 &&
              mbedtls_ecdsa_verify(&c.group, digest, 32, &c.q, &c.r, &c.s) == 0;
    curve_close(&c);
    return ok;
}

bool el_sign_verify(const struct el_public_key *pub, const void *data, size_t len, const uint8_t *signature,
                    size_t signature_len)
{
    uint8_t digest[32];
    if (pub->kind == EL_SIGN_ECDSA_P256) {
        el_sha256(data, len, digest);
        return verify_p256(pub, digest, el_slice_of(signature, signature_len));
    }
    need_sodium();
    return pub->kind == EL_SIGN_ED25519 && pub->len == crypto_sign_PUBLICKEYBYTES &&
           signature_len == crypto_sign_BYTES && crypto_sign_verify_detached(signature, data, len, pub->bytes) == 0;
}
