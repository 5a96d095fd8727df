/* SPDX-License-Identifier: Apache-2.0
 *
 * Signing keys: ECDSA over P-256 with SHA-256 (mbedtls) and Ed25519 (libsodium). Files are PEM: PKCS#8 private keys,
 * SubjectPublicKeyInfo public keys, one behind the other. Only client/core/sign.c includes the libraries.
 *
 * Any thread; a key may be used by several at once. Signing and checking allocate, so shards leave them to workers.
 */
#ifndef EL_CORE_SIGN_H
#define EL_CORE_SIGN_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers as in signed notes (C2SP signed-note) */
enum el_sign_kind { EL_SIGN_ED25519 = 1, EL_SIGN_ECDSA_P256 = 2 };

#define EL_SIGN_PUBLIC_MAX 96u    /* encoded public key: 32 bytes of Ed25519, or the DER of a SubjectPublicKeyInfo */
#define EL_SIGN_SIGNATURE_MAX 80u /* 64 bytes of Ed25519, or the DER of an ECDSA-Sig-Value */
#define EL_SIGN_KEYS_MAX 8u
#define EL_SIGN_PEM_MAX 512u /* text of one key, NUL included */

struct el_public_key {
    enum el_sign_kind kind;
    uint8_t bytes[EL_SIGN_PUBLIC_MAX];
    size_t len;
};

struct el_private_key; /* owned by who made it; el_private_key_free() wipes it */

/* Make a key from the system's random numbers. returns 0 | EVLOG_ERR_NO_MEMORY | _FAILED */
int el_private_key_make(enum el_sign_kind kind, struct el_private_key **key, struct el_error *err);
/* NULL is passed through. */
void el_private_key_free(struct el_private_key *key);
void el_private_key_public(const struct el_private_key *key, struct el_public_key *pub);
/* PKCS#8 PEM of the key, NUL-terminated; the caller wipes it. returns 0 | EVLOG_ERR_LIMIT */
int el_private_key_pem(const struct el_private_key *key, char *text, size_t text_len);
/* All private keys of a PEM text, in its order: PKCS#8, and RFC 5915 ("EC PRIVATE KEY") as older tools write it. A text
 * without any is refused, and so is a key that is there twice.
 * returns 0 | EVLOG_ERR_MALFORMED | _LIMIT | _UNSUPPORTED | _NO_MEMORY with a text; then there are no keys */
int el_private_keys_parse(struct el_slice pem, struct el_private_key *keys[EL_SIGN_KEYS_MAX], size_t *count,
                          struct el_error *err);
/* SubjectPublicKeyInfo PEM, NUL-terminated. returns 0 | EVLOG_ERR_LIMIT */
int el_public_key_pem(const struct el_public_key *pub, char *text, size_t text_len);
/* All public keys of a PEM text, in its order, as above. */
int el_public_keys_parse(struct el_slice pem, struct el_public_key keys[EL_SIGN_KEYS_MAX], size_t *count,
                         struct el_error *err);
/* One key as encoded in el_public_key.bytes. returns 0 | EVLOG_ERR_MALFORMED */
int el_public_key_check(const struct el_public_key *pub);

/* Equal data gives an equal signature (RFC 6979, RFC 8032). returns 0 | EVLOG_ERR_FAILED */
int el_sign(const struct el_private_key *key, const void *data, size_t len, uint8_t signature[EL_SIGN_SIGNATURE_MAX],
            size_t *signature_len);
/* pub: el_public_key_check() passed. An ECDSA signature has one encoding: DER, numbers without needless zeros. */
bool el_sign_verify(const struct el_public_key *pub, const void *data, size_t len, const uint8_t *signature,
                    size_t signature_len);

#endif
