/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS over buffers: bytes of the wire in, bytes of the wire out; sockets are the caller's. The one profile: TLS 1.2,
 * ECDHE with AES-GCM or ChaCha20-Poly1305, curves X25519, P-256 and P-384, SHA-256 and better, RSA from 2048 bits, no
 * renegotiation, no tickets. Both sides, of the broker and of the library, have it.
 *
 * A config is made once and used by many connections in any threads. A connection belongs to one thread at a time. The
 * library underneath allocates from the C heap: about EL_TLS_MEMORY_LEN a connection.
 */
#ifndef EL_CORE_TLS_H
#define EL_CORE_TLS_H

#include <core/bytes.h>
#include <core/err.h>
#include <stdbool.h>

#define EL_TLS_MEMORY_LEN (48u << 10)    /* heap of a connection, with its handshake and a chain of certificates */
#define EL_TLS_PLAIN_LEN_MAX (16u << 10) /* bytes of a record before it is encrypted */
#define EL_TLS_ROOM_MIN (EL_TLS_PLAIN_LEN_MAX + 256u) /* room that el_tls_write() needs for a record */
#define EL_TLS_HELLO_LEN_MAX (16u << 10)              /* bytes of the first record that a server reads */

/* Does a server ask clients for certificates? */
enum el_tls_auth { EL_TLS_AUTH_NONE, EL_TLS_AUTH_REQUESTED, EL_TLS_AUTH_REQUIRED };

struct el_tls_options {
    bool server;
    const char *certificate_file; /* PEM, own certificate first, then those between it and the CA; NULL: none */
    const char *key_file;         /* PEM, not encrypted */
    const char *ca_file;          /* PEM, whose certificates are trusted; NULL: server nobody's, client the system's */
    enum el_tls_auth auth;        /* server */
    bool any_name;                /* client: do not compare the name in the server's certificate */
};

struct el_tls_config;
struct el_tls;

/* Read and check files: key and certificate belong together, are in force, and strong enough; the key is for its
 * owner's eyes. A server's certificates lead from its own to the last one without a gap.
 *
 * returns  0, one reference | EVLOG_ERR_INVALID_CONFIG with a text that names the file and says what to do |
 *          EVLOG_ERR_NO_MEMORY
 */
int el_tls_config_open(const struct el_tls_options *options, struct el_tls_config **config, struct el_error *err);
/* One more reference; one less, NULL is ignored. Any thread. */
struct el_tls_config *el_tls_config_ref(struct el_tls_config *config);
void el_tls_config_unref(struct el_tls_config *config);
/* When the first of the own certificate and those behind it is no longer in force, seconds since 1970; INT64_MAX
 * without one. */
int64_t el_tls_config_end_s(const struct el_tls_config *config);
/* Days until then; INT32_MAX without one. */
int32_t el_tls_config_days_left(const struct el_tls_config *config);
/* Does config end below a certificate that `before` shows to clients and that is no root, which they would have
 * themselves? Then it was forgotten: its name is written to name[name_max]. */
bool el_tls_config_lacks(const struct el_tls_config *config, const struct el_tls_config *before, char *name,
                         size_t name_max);

/* A connection; holds a reference to config.
 *
 * host     client: the name or IP address of the server, as the user wrote it; NULL for a server
 * returns  NULL: no memory
 */
struct el_tls *el_tls_new(struct el_tls_config *config, const char *host);
void el_tls_free(struct el_tls *tls);

/* The wire's side of a call. in moves on over what was taken; out_len grows, and never beyond out_room. */
struct el_tls_bytes {
    const uint8_t *in;
    size_t in_len;
    uint8_t *out;
    size_t out_room;
    size_t out_len;
};

enum el_tls_step { EL_TLS_DONE, EL_TLS_WANT_IN, EL_TLS_WANT_OUT };

/* Go on with the handshake. All of in is taken unless out is full or it is done.
 *
 * returns  enum el_tls_step: WANT_OUT when out must be sent and emptied first
 *          | EVLOG_ERR_MALFORMED, _UNSUPPORTED, _POLICY (a certificate), _NO_MEMORY, with a text; out may hold an
 *          alert, to be sent before the connection is closed
 */
int el_tls_handshake(struct el_tls *tls, struct el_tls_bytes *bytes, struct el_error *err);
/* Decrypt what is in, after the handshake.
 *
 * returns  bytes into buf[len] | 0: all of in is taken, more is needed | EVLOG_ERR_CLOSED the other side has said its
 *          end | EVLOG_ERR_MALFORMED, and _POLICY for one that wants to negotiate again: close the connection
 */
int64_t el_tls_read(struct el_tls *tls, struct el_tls_bytes *bytes, void *buf, size_t len);
/* Encrypt records into out, as many as have EL_TLS_ROOM_MIN room left each. returns bytes of data taken | a code */
int64_t el_tls_write(struct el_tls *tls, struct el_tls_bytes *bytes, const void *data, size_t len);
/* Say the end: an alert into out, if there is room for it. */
void el_tls_close(struct el_tls *tls, struct el_tls_bytes *bytes);

/* Subject of the certificate that the other side has proved to have, DER; data NULL: none. Valid as long as tls. */
struct el_slice el_tls_peer_subject(const struct el_tls *tls);
/* How many URIs are among the other names of that certificate (subjectAltName), and the first of them, as it stands
 * there; valid as long as tls. */
uint32_t el_tls_peer_uris(const struct el_tls *tls, struct el_slice *first);
/* SHA-256 of that certificate, as it was sent. returns false: there is none */
bool el_tls_peer_digest(const struct el_tls *tls, uint8_t digest[32]);
/* Why the handshake has failed, in one word of a few, for records: "no_certificate"; "" when it has not. Static. */
const char *el_tls_failure(const struct el_tls *tls);
/* The version that was agreed on: "TLSv1.2"; "" before. */
const char *el_tls_version(const struct el_tls *tls);
/* What was agreed on: "ECDHE-ECDSA-AES-128-GCM-SHA256"; "" before. */
const char *el_tls_cipher(const struct el_tls *tls);

/* A distinguished name as RFC 2253 has it, last element first: "CN=app,O=Example". Only what has one reading: an
 * element of one value, text as UTF-8, printable or IA5 string, no control characters. Types without a short name
 * stand as their numbers.
 *
 * text     [text_max], NUL-terminated
 * returns  0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_POLICY more than one reading | EVLOG_ERR_LIMIT
 */
int el_tls_name_text(struct el_slice der, char *text, size_t text_max);

#endif
