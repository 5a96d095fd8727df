/* SPDX-License-Identifier: Apache-2.0
 *
 * AES-256-GCM by mbedtls (with AES-NI and carry-less multiplication where the processor has them), HMAC by core/crypto.
 *
 * The key schedule lives on the stack for one call and is wiped by mbedtls_gcm_free(). Memory that held a text whose
 * tag did not match is zeroed: nobody can use what was not authenticated.
 *
 * Source: NIST SP 800-38D; RFC 2104.
 */
#include <core/aead.h>
#include <core/assert.h>
#include <core/crypto.h>

#include <errno.h>
#include <evlog/error.h>
#include <mbedtls/gcm.h>
#include <mbedtls/md5.h>
#include <mbedtls/version.h>
#include <sys/random.h>

#define GCM_LEN_MAX ((UINT64_C(1) << 36) - 32) /* bytes of text, by the counter's 32 bits */
#define HMAC_BLOCK_LEN 64

/* The only failure but a wrong tag is memory: lengths are checked, and the key's is fixed. */
static int set_key(mbedtls_gcm_context *gcm, const uint8_t *key)
{
    mbedtls_gcm_init(gcm);
    return mbedtls_gcm_setkey(gcm, MBEDTLS_CIPHER_ID_AES, key, 8 * EL_AEAD_KEY_LEN) == 0 ? 0 : EVLOG_ERR_NO_MEMORY;
}

int el_aead_seal(const struct el_aead *with, struct el_slice text, uint8_t *sealed)
{
    mbedtls_gcm_context gcm;
    if (text.len > GCM_LEN_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    int rc = set_key(&gcm, with->key);
    if (rc == 0) {
        int err = mbedtls_gcm_crypt_and_tag(&gcm, MBEDTLS_GCM_ENCRYPT, text.len, with->nonce, EL_AEAD_NONCE_LEN,
                                            with->aad.data, with->aad.len, text.data, sealed, EL_AEAD_TAG_LEN,
                                            sealed + text.len);
        EL_ASSERT(err == 0);
    }
    mbedtls_gcm_free(&gcm);
    return rc;
}

int el_aead_open(const struct el_aead *with, struct el_slice sealed, uint8_t *text)
{
    mbedtls_gcm_context gcm;
    if (sealed.len < EL_AEAD_TAG_LEN || sealed.len - EL_AEAD_TAG_LEN > GCM_LEN_MAX) {
        return EVLOG_ERR_CORRUPT;
    }
    size_t len = sealed.len - EL_AEAD_TAG_LEN;
    int rc = set_key(&gcm, with->key);
    if (rc == 0) {
        int err = mbedtls_gcm_auth_decrypt(&gcm, len, with->nonce, EL_AEAD_NONCE_LEN, with->aad.data, with->aad.len,
                                           sealed.data + len, EL_AEAD_TAG_LEN, sealed.data, text);
        rc = err == 0 ? 0 : EVLOG_ERR_CORRUPT;
    }
    mbedtls_gcm_free(&gcm);
    if (rc != 0) {
        explicit_bzero(text, len);
    }
    return rc;
}

void el_hmac_sha256(const uint8_t key[32], struct el_slice text, uint8_t mac[32])
{
    el_hmac_sha256_long(el_slice_of(key, 32), text, mac);
}

void el_hmac_sha256_long(struct el_slice key, struct el_slice text, uint8_t mac[32])
{
    struct el_sha256 ctx;
    uint8_t pad[HMAC_BLOCK_LEN] = {0}, inner[32];
    if (key.len > sizeof pad) {
        el_sha256(key.data, key.len, pad);
    } else if (key.len > 0) {
        memcpy(pad, key.data, key.len);
    }
    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36;
    }
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, pad, sizeof pad);
    el_sha256_add(&ctx, text.data, text.len);
    el_sha256_end(&ctx, inner);
    for (size_t i = 0; i < sizeof pad; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    el_sha256_begin(&ctx);
    el_sha256_add(&ctx, pad, sizeof pad);
    el_sha256_add(&ctx, inner, sizeof inner);
    el_sha256_end(&ctx, mac);
    explicit_bzero(pad, sizeof pad);
    explicit_bzero(&ctx, sizeof ctx);
}

void el_md5(const void *data, size_t len, uint8_t digest[16])
{
#if MBEDTLS_VERSION_MAJOR >= 3
    int err = mbedtls_md5(data, len, digest);
#else
    int err = mbedtls_md5_ret(data, len, digest);
#endif
    EL_ASSERT(err == 0);
}

int el_random_fill(void *bytes, size_t len)
{
    uint8_t *p = bytes;
    while (len > 0) {
        ssize_t got = getrandom(p, len, 0);
        if (got < 0 && errno != EINTR) {
            return EVLOG_ERR_IO;
        }
        if (got > 0) {
            p += got;
            len -= (size_t)got;
        }
    }
    return 0;
}
