/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM (RFC 5802, RFC 7677): the messages and the computations that client and server share. A password is turned
 * into keys once; after that nobody needs it. Channel binding is not offered. Pure functions, any thread; slices are
 * borrowed from what was parsed.
 *
 *   client first   n,,n=USER,r=CNONCE
 *   server first   r=CNONCE SNONCE,s=SALT,i=ITERATIONS
 *   client final   c=biws,r=CNONCE SNONCE,p=PROOF
 *   server final   v=SIGNATURE, or e=ERROR
 */
#ifndef EL_CORE_SCRAM_H
#define EL_CORE_SCRAM_H

#include <core/bytes.h>
#include <stdbool.h>

/* Numbers as Kafka's requests have them. */
enum el_scram_mechanism { EL_SCRAM_UNKNOWN, EL_SCRAM_SHA256, EL_SCRAM_SHA512, EL_SCRAM_COUNT };

#define EL_SCRAM_KEY_MAX 64u
#define EL_SCRAM_ITERATIONS_MIN 4096u     /* RFC 7677 */
#define EL_SCRAM_ITERATIONS_DEFAULT 8192u /* of credentials that evlog makes */
#define EL_SCRAM_ITERATIONS_MAX 1000000u  /* more is an attack on who has to compute them */
#define EL_SCRAM_NONCE_MAX 128u           /* of each side */
#define EL_SCRAM_NONCE_LEN 24u            /* characters of those made here */
#define EL_SCRAM_SALT_MAX 64u
#define EL_SCRAM_MESSAGE_MAX 1536u /* longest message that is looked at */
#define EL_SCRAM_NAME_MAX 255u     /* of a user, decoded */

/* "SCRAM-SHA-256"; NULL for none of these. */
const char *el_scram_name(int mechanism);
/* EL_SCRAM_UNKNOWN: there is none of this name. */
int el_scram_find(struct el_slice name);
/* Bytes of its hash: 32 or 64; 0 for none of these. */
size_t el_scram_key_len(int mechanism);

/* What a password comes to. iterations costs time: milliseconds for thousands, never on a shard's thread.
 *
 * salted  out, key_len bytes
 */
void el_scram_salt(int mechanism, struct el_slice password, struct el_slice salt, uint32_t iterations, uint8_t *salted);
/* The keys that a server keeps, of a salted password. */
void el_scram_server_keys(int mechanism, const uint8_t *salted, uint8_t *stored_key, uint8_t *server_key);
/* The proof of a client that knows the salted password. */
void el_scram_proof(int mechanism, const uint8_t *salted, struct el_slice auth_message, uint8_t *proof);
/* Does the proof come from somebody who knows the password of this key? Takes as long whether or not. */
bool el_scram_proof_fits(int mechanism, const uint8_t *stored_key, struct el_slice auth_message, const uint8_t *proof);
/* What a server that has the key signs with, for the client to check. */
void el_scram_signature(int mechanism, const uint8_t *server_key, struct el_slice auth_message, uint8_t *signature);
/* Equal, in a time that does not depend on where they differ. */
bool el_scram_equal(const void *a, const void *b, size_t len);
/* HMAC of a mechanism's hash. */
void el_scram_hmac(int mechanism, struct el_slice key, struct el_slice data, uint8_t *out);

/* --- messages ----------------------------------------------------------------------------------------------------- */

struct el_scram_client_first {
    struct el_slice gs2;  /* "n,," or with an authzid, as it was sent */
    struct el_slice bare; /* behind it */
    struct el_slice nonce;
    size_t authzid_len, name_len;
    char authzid[EL_SCRAM_NAME_MAX + 1]; /* decoded; [0]: none */
    char name[EL_SCRAM_NAME_MAX + 1];    /* decoded */
    bool wants_token;                    /* an extension of Kafka's: a delegation token in place of a password */
};
/* returns 0 | EVLOG_ERR_MALFORMED also for channel binding, unknown mandatory extensions | EVLOG_ERR_LIMIT */
int el_scram_parse_client_first(struct el_slice message, struct el_scram_client_first *out);

struct el_scram_server_first {
    struct el_slice nonce; /* both sides' */
    uint32_t iterations;   /* not checked against any bound but 32 bits */
    size_t salt_len;
    uint8_t salt[EL_SCRAM_SALT_MAX];
};
int el_scram_parse_server_first(struct el_slice message, struct el_scram_server_first *out);

struct el_scram_client_final {
    struct el_slice without_proof;
    struct el_slice nonce;
    size_t binding_len, proof_len;
    uint8_t binding[3 * EL_SCRAM_NAME_MAX + 8]; /* decoded: the gs2 header again */
    uint8_t proof[EL_SCRAM_KEY_MAX];
};
int el_scram_parse_client_final(struct el_slice message, struct el_scram_client_final *out);

struct el_scram_server_final {
    struct el_slice error; /* data NULL: none */
    size_t signature_len;
    uint8_t signature[EL_SCRAM_KEY_MAX];
};
int el_scram_parse_server_final(struct el_slice message, struct el_scram_server_final *out);

/* A name as it stands in a message: "," and "=" become =2C and =3D. text[3 * len + 1]; returns its length */
size_t el_scram_encode_name(char *text, struct el_slice name);

#endif
