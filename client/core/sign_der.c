/* SPDX-License-Identifier: Apache-2.0
 *
 * DER of keys and signatures. Pure functions, any thread.
 *
 * Lengths have their shortest form, nothing may follow the outermost element, and algorithms are compared as bytes:
 * named curve P-256, uncompressed points, Ed25519 without parameters. Others are UNSUPPORTED.
 *
 * Source: ITU-T X.690; RFC 5208, 5915, 5958 (private keys); RFC 5280, 5480, 8410 (public keys, algorithms).
 */
#include "sign_der.h"

#include <core/assert.h>

#define TAG_INTEGER 0x02
#define TAG_BITS 0x03
#define TAG_OCTETS 0x04
#define TAG_SEQUENCE 0x30
#define TAG_ATTRIBUTES 0xa0 /* [0] of PrivateKeyInfo, and the curve of an ECPrivateKey */
#define TAG_EC_PUBLIC 0xa1  /* [1] of an ECPrivateKey */
#define TAG_PUBLIC 0x81     /* [1] of a OneAsymmetricKey */

/* Contents of AlgorithmIdentifier */
static const uint8_t alg_ed25519[] = {0x06, 3, 0x2b, 0x65, 0x70};
static const uint8_t alg_p256[] = {0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1,     /* ecPublicKey */
                                   0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7}; /* prime256v1 */
#define OID_EC_LEN 9u                                                               /* of alg_p256, the rest: curve */

#define ED25519_LEN 32u
/* SubjectPublicKeyInfo up to the key itself */
static const uint8_t head_ed25519[] = {0x30, 42, 0x30, 5, 0x06, 3, 0x2b, 0x65, 0x70, 0x03, 33, 0};
static const uint8_t head_p256[] = {0x30, 89, 0x30, 19,   0x06, 7,    0x2a, 0x86, 0x48, 0xce, 0x3d, 2,  1,
                                    0x06, 8,  0x2a, 0x86, 0x48, 0xce, 0x3d, 3,    1,    7,    0x03, 66, 0};

EL_STATIC_ASSERT(sizeof(head_p256) + SIGN_POINT_LEN <= EL_SIGN_PUBLIC_MAX, "the key fits");
EL_STATIC_ASSERT(2 + 2 * (3 + SIGN_SCALAR_LEN) <= EL_SIGN_SIGNATURE_MAX, "the signature fits");

/* --- reading -------------------------------------------------------------------------------------------------- */

/* Take the element with this tag from the front of in. */
static bool take(struct el_slice *in, uint8_t tag, struct el_slice *content)
{
    size_t len, head = 2;
    if (in->len < 2 || in->data[0] != tag) {
        return false;
    }
    len = in->data[1];
    if (len == 0x81 || len == 0x82) {
        head += len & 3;
        if (in->len < head) {
            return false;
        }
        len = head == 3 ? in->data[2] : (size_t)in->data[2] << 8 | in->data[3];
        if (len < (head == 3 ? 0x80 : 0x100)) {
            return false;
        }
    } else if (len >= 0x80) {
        return false; /* no key has as much */
    }
    if (in->len - head < len) {
        return false;
    }
    *content = el_slice_of(in->data + head, len);
    *in = el_slice_of(in->data + head + len, in->len - head - len);
    return true;
}

static bool take_small(struct el_slice *in, uint8_t *value)
{
    struct el_slice content;
    if (!take(in, TAG_INTEGER, &content) || content.len != 1) {
        return false;
    }
    *value = content.data[0];
    return true;
}

static bool is_bytes(struct el_slice a, const uint8_t *bytes, size_t len)
{
    return el_slice_eq(a, el_slice_of(bytes, len)) != 0;
}

/* Bits of a BIT STRING whose last byte is whole: of the point, or of the Ed25519 key. */
static bool public_of_bits(enum el_sign_kind kind, struct el_slice bits, struct el_public_key *pub)
{
    if (bits.len == 0 || bits.data[0] != 0) {
        return false;
    }
    bits = el_slice_of(bits.data + 1, bits.len - 1);
    if (kind == EL_SIGN_ED25519 && bits.len == ED25519_LEN) {
        pub->kind = kind;
        pub->len = bits.len;
        memcpy(pub->bytes, bits.data, bits.len);
        return true;
    }
    if (kind == EL_SIGN_ECDSA_P256 && bits.len == SIGN_POINT_LEN && bits.data[0] == 4) {
        sign_der_public_of_point(bits.data, pub);
        return true;
    }
    return false;
}

int sign_der_read_ec(struct el_slice der, struct sign_secret *out)
{
    struct el_slice key, scalar, more, bits;
    uint8_t version;
    if (!take(&der, TAG_SEQUENCE, &key) || der.len != 0 || !take_small(&key, &version) || version != 1 ||
        !take(&key, TAG_OCTETS, &scalar)) {
        return EVLOG_ERR_MALFORMED;
    }
    if (take(&key, TAG_ATTRIBUTES, &more) && !is_bytes(more, alg_p256 + OID_EC_LEN, sizeof(alg_p256) - OID_EC_LEN)) {
        return EVLOG_ERR_UNSUPPORTED;
    }
    if (scalar.len != SIGN_SCALAR_LEN) {
        return EVLOG_ERR_UNSUPPORTED;
    }
    out->kind = EL_SIGN_ECDSA_P256;
    memcpy(out->scalar, scalar.data, SIGN_SCALAR_LEN);
    out->has_public = false;
    if (take(&key, TAG_EC_PUBLIC, &more)) {
        out->has_public = take(&more, TAG_BITS, &bits) && public_of_bits(out->kind, bits, &out->pub);
        if (!out->has_public || more.len != 0) {
            return EVLOG_ERR_MALFORMED;
        }
    }
    return key.len == 0 ? 0 : EVLOG_ERR_MALFORMED;
}

static int read_ed25519(struct el_slice octets, struct sign_secret *out)
{
    struct el_slice seed;
    if (!take(&octets, TAG_OCTETS, &seed) || octets.len != 0 || seed.len != SIGN_SCALAR_LEN) {
        return EVLOG_ERR_MALFORMED;
    }
    out->kind = EL_SIGN_ED25519;
    memcpy(out->scalar, seed.data, SIGN_SCALAR_LEN);
    out->has_public = false;
    return 0;
}

int sign_der_read_pkcs8(struct el_slice der, struct sign_secret *out)
{
    struct el_slice key, alg, octets, bits;
    uint8_t version;
    if (!take(&der, TAG_SEQUENCE, &key) || der.len != 0 || !take_small(&key, &version) || version > 1 ||
        !take(&key, TAG_SEQUENCE, &alg) || !take(&key, TAG_OCTETS, &octets)) {
        return EVLOG_ERR_MALFORMED;
    }
    int rc = EVLOG_ERR_UNSUPPORTED;
    if (is_bytes(alg, alg_p256, sizeof(alg_p256))) {
        rc = sign_der_read_ec(octets, out);
    } else if (is_bytes(alg, alg_ed25519, sizeof(alg_ed25519))) {
        rc = read_ed25519(octets, out);
    }
    if (rc != 0) {
        return rc;
    }
    struct el_slice attributes;
    (void)take(&key, TAG_ATTRIBUTES, &attributes); /* say nothing about the key */
    if (version == 1) {                            /* which says that the public key is there */
        if (!take(&key, TAG_PUBLIC, &bits) || !public_of_bits(out->kind, bits, &out->pub)) {
            return EVLOG_ERR_MALFORMED;
        }
        out->has_public = true;
    }
    return key.len == 0 ? 0 : EVLOG_ERR_MALFORMED;
}

int sign_der_read_public(struct el_slice der, struct el_public_key *out)
{
    struct el_slice key, alg, bits;
    enum el_sign_kind kind;
    if (!take(&der, TAG_SEQUENCE, &key) || der.len != 0 || !take(&key, TAG_SEQUENCE, &alg) ||
        !take(&key, TAG_BITS, &bits) || key.len != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    if (is_bytes(alg, alg_p256, sizeof(alg_p256))) {
        kind = EL_SIGN_ECDSA_P256;
    } else if (is_bytes(alg, alg_ed25519, sizeof(alg_ed25519))) {
        kind = EL_SIGN_ED25519;
    } else {
        return EVLOG_ERR_UNSUPPORTED;
    }
    return public_of_bits(kind, bits, out) ? 0 : EVLOG_ERR_MALFORMED;
}

/* A positive number of at most 32 bytes, without needless zeros in front. */
static bool take_number(struct el_slice *in, uint8_t number[SIGN_SCALAR_LEN])
{
    struct el_slice n;
    if (!take(in, TAG_INTEGER, &n) || n.len == 0 || (n.data[0] & 0x80) != 0) {
        return false;
    }
    if (n.data[0] == 0) {
        if (n.len < 2 || (n.data[1] & 0x80) == 0) {
            return false;
        }
        n = el_slice_of(n.data + 1, n.len - 1);
    }
    if (n.len > SIGN_SCALAR_LEN) {
        return false;
    }
    memset(number, 0, SIGN_SCALAR_LEN);
    memcpy(number + SIGN_SCALAR_LEN - n.len, n.data, n.len);
    return true;
}

bool sign_der_read_signature(struct el_slice der, uint8_t r[SIGN_SCALAR_LEN], uint8_t s[SIGN_SCALAR_LEN])
{
    struct el_slice both;
    return take(&der, TAG_SEQUENCE, &both) && der.len == 0 && take_number(&both, r) && take_number(&both, s) &&
           both.len == 0;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

void sign_der_public_of_point(const uint8_t point[SIGN_POINT_LEN], struct el_public_key *pub)
{
    EL_ASSERT(point[0] == 4);
    pub->kind = EL_SIGN_ECDSA_P256;
    memcpy(pub->bytes, head_p256, sizeof(head_p256));
    memcpy(pub->bytes + sizeof(head_p256), point, SIGN_POINT_LEN);
    pub->len = sizeof(head_p256) + SIGN_POINT_LEN;
}

const uint8_t *sign_der_point(const struct el_public_key *pub)
{
    if (pub->kind != EL_SIGN_ECDSA_P256 || pub->len != sizeof(head_p256) + SIGN_POINT_LEN ||
        memcmp(pub->bytes, head_p256, sizeof(head_p256)) != 0 || pub->bytes[sizeof(head_p256)] != 4) {
        return NULL;
    }
    return pub->bytes + sizeof(head_p256);
}

size_t sign_der_write_public(const struct el_public_key *pub, uint8_t *der)
{
    size_t head = pub->kind == EL_SIGN_ED25519 ? sizeof(head_ed25519) : 0;
    EL_ASSERT(head + pub->len <= SIGN_DER_MAX);
    memcpy(der, head_ed25519, head);
    memcpy(der + head, pub->bytes, pub->len);
    return head + pub->len;
}

/* Put tag and length in front of the len bytes that end at *at. */
static void wrap(uint8_t **at, size_t len, uint8_t tag)
{
    if (len >= 0x80) {
        EL_ASSERT(len <= 0xff);
        *--*at = (uint8_t)len;
        *--*at = 0x81;
    } else {
        *--*at = (uint8_t)len;
    }
    *--*at = tag;
}

static void put(uint8_t **at, const void *bytes, size_t len)
{
    *at -= len;
    memcpy(*at, bytes, len);
}

/* Written from the end, so that every length is known when it comes. */
size_t sign_der_write_pkcs8(const struct sign_secret *secret, uint8_t *der)
{
    static const uint8_t version_0[] = {TAG_INTEGER, 1, 0}, version_1[] = {TAG_INTEGER, 1, 1};
    uint8_t *end = der + SIGN_DER_MAX, *at = end;
    if (secret->kind == EL_SIGN_ED25519) {
        put(&at, secret->scalar, SIGN_SCALAR_LEN);
        wrap(&at, SIGN_SCALAR_LEN, TAG_OCTETS);
        wrap(&at, (size_t)(end - at), TAG_OCTETS);
        put(&at, alg_ed25519, sizeof(alg_ed25519));
        wrap(&at, sizeof(alg_ed25519), TAG_SEQUENCE);
    } else {
        put(&at, sign_der_point(&secret->pub), SIGN_POINT_LEN);
        put(&at, "", 1); /* no unused bits */
        wrap(&at, (size_t)(end - at), TAG_BITS);
        wrap(&at, (size_t)(end - at), TAG_EC_PUBLIC);
        put(&at, secret->scalar, SIGN_SCALAR_LEN);
        wrap(&at, SIGN_SCALAR_LEN, TAG_OCTETS);
        put(&at, version_1, sizeof(version_1));
        wrap(&at, (size_t)(end - at), TAG_SEQUENCE);
        wrap(&at, (size_t)(end - at), TAG_OCTETS);
        put(&at, alg_p256, sizeof(alg_p256));
        wrap(&at, sizeof(alg_p256), TAG_SEQUENCE);
    }
    put(&at, version_0, sizeof(version_0));
    wrap(&at, (size_t)(end - at), TAG_SEQUENCE);
    EL_ASSERT(at >= der);
    size_t len = (size_t)(end - at);
    memmove(der, at, len);
    return len;
}

static void write_number(const uint8_t number[SIGN_SCALAR_LEN], uint8_t **at)
{
    size_t zeros = 0;
    while (zeros < SIGN_SCALAR_LEN - 1 && number[zeros] == 0) {
        zeros++;
    }
    size_t len = SIGN_SCALAR_LEN - zeros;
    put(at, number + zeros, len);
    if ((number[zeros] & 0x80) != 0) {
        put(at, "", 1);
        len++;
    }
    wrap(at, len, TAG_INTEGER);
}

size_t sign_der_write_signature(const uint8_t r[SIGN_SCALAR_LEN], const uint8_t s[SIGN_SCALAR_LEN],
                                uint8_t der[EL_SIGN_SIGNATURE_MAX])
{
    uint8_t *end = der + EL_SIGN_SIGNATURE_MAX, *at = end;
    write_number(s, &at);
    write_number(r, &at);
    wrap(&at, (size_t)(end - at), TAG_SEQUENCE);
    size_t len = (size_t)(end - at);
    memmove(der, at, len);
    return len;
}
