/* SPDX-License-Identifier: Apache-2.0
 *
 * DER of keys and signatures, as far as two algorithms need it; private to client/core. Bytes in, bytes out: which
 * numbers make a valid key is for sign.c to say.
 */
#ifndef EL_CLIENT_CORE_SIGN_DER_H
#define EL_CLIENT_CORE_SIGN_DER_H

#include <core/sign.h>

#define SIGN_SCALAR_LEN 32u /* secret of both kinds, and each number of an ECDSA signature */
#define SIGN_POINT_LEN 65u  /* 0x04, x, y */
#define SIGN_DER_MAX 160u   /* what is written here */

/* What a private key's file says. */
struct sign_secret {
    enum el_sign_kind kind;
    uint8_t scalar[SIGN_SCALAR_LEN]; /* the seed of Ed25519 */
    bool has_public;
    struct el_public_key pub;
};

/* PrivateKeyInfo (RFC 5208) and OneAsymmetricKey (RFC 5958). returns 0 | EVLOG_ERR_MALFORMED | _UNSUPPORTED */
int sign_der_read_pkcs8(struct el_slice der, struct sign_secret *out);
/* ECPrivateKey (RFC 5915) that names its curve or leaves it out. */
int sign_der_read_ec(struct el_slice der, struct sign_secret *out);
int sign_der_read_public(struct el_slice der, struct el_public_key *out);
/* returns bytes written to der[SIGN_DER_MAX] */
size_t sign_der_write_pkcs8(const struct sign_secret *secret, uint8_t *der);
size_t sign_der_write_public(const struct el_public_key *pub, uint8_t *der);
/* SubjectPublicKeyInfo of a point of P-256. */
void sign_der_public_of_point(const uint8_t point[SIGN_POINT_LEN], struct el_public_key *pub);
/* The point in it; NULL when pub does not have the one form that is written. */
const uint8_t *sign_der_point(const struct el_public_key *pub);

/* ECDSA-Sig-Value of two numbers, big-endian. */
size_t sign_der_write_signature(const uint8_t r[SIGN_SCALAR_LEN], const uint8_t s[SIGN_SCALAR_LEN],
                                uint8_t der[EL_SIGN_SIGNATURE_MAX]);
bool sign_der_read_signature(struct el_slice der, uint8_t r[SIGN_SCALAR_LEN], uint8_t s[SIGN_SCALAR_LEN]);

#endif
