/* SPDX-License-Identifier: Apache-2.0
 *
 * AES-256-GCM, HMAC-SHA-256, MD5 and the kernel's random bytes. Only client/core/aead.c includes mbedtls for it.
 *
 * A key and a nonce must never meet twice: who takes random nonces seals at most 2^32 texts under one key (NIST SP
 * 800-38D, 8.3). Any thread.
 */
#ifndef EL_CORE_AEAD_H
#define EL_CORE_AEAD_H

#include <core/bytes.h>

#define EL_AEAD_KEY_LEN 32
#define EL_AEAD_NONCE_LEN 12
#define EL_AEAD_TAG_LEN 16

/* What a text is sealed with; all of it must be the same when it is opened. */
struct el_aead {
    const uint8_t *key;   /* [EL_AEAD_KEY_LEN] */
    const uint8_t *nonce; /* [EL_AEAD_NONCE_LEN] */
    struct el_slice aad;  /* bound to the text, not kept with it */
};

/* Encrypt.
 *
 * text     text.len bytes; sealed may be the same memory
 * sealed   text.len + EL_AEAD_TAG_LEN bytes are written: the ciphertext, then the tag
 * returns  0 | EVLOG_ERR_LIMIT more bytes than one nonce may cover | EVLOG_ERR_NO_MEMORY
 */
int el_aead_seal(const struct el_aead *with, struct el_slice text, uint8_t *sealed);
/* Decrypt and authenticate.
 *
 * sealed   ciphertext and tag
 * text     sealed.len - EL_AEAD_TAG_LEN bytes; zeroed when the answer is not 0
 * returns  0 | EVLOG_ERR_CORRUPT another key, nonce, aad or ciphertext, or too short | EVLOG_ERR_NO_MEMORY
 */
int el_aead_open(const struct el_aead *with, struct el_slice sealed, uint8_t *text);

/* HMAC-SHA-256 (RFC 2104) of a text under a key of 32 bytes. */
void el_hmac_sha256(const uint8_t key[32], struct el_slice text, uint8_t mac[32]);
/* The same under a key of any length. */
void el_hmac_sha256_long(struct el_slice key, struct el_slice text, uint8_t mac[32]);

/* MD5, by which object stores name what they were sent. It proves nothing against somebody who wants to deceive. */
void el_md5(const void *data, size_t len, uint8_t digest[16]);

/* Fill with random bytes of the kernel. returns 0 | EVLOG_ERR_IO the kernel has none */
int el_random_fill(void *bytes, size_t len);

#endif
