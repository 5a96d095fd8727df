/* SPDX-License-Identifier: Apache-2.0
 *
 * How sealed data looks: bytes in, bytes out. Knows no key store. docs/format.md, "Sealed data", describes the same.
 *
 * Two shapes. A field of JSON data is replaced by an object:
 *
 *     {"$sealed":{"v":1,"k":"<id of the key>","n":"<nonce>","c":"<ciphertext and tag>"}}
 *
 * and data of any other kind by bytes that are no text in any encoding:
 *
 *      0   8  magic, the last byte is the version
 *      8  16  id of the key
 *     24  12  nonce
 *     36   .  ciphertext, then 16 bytes of tag
 */
#ifndef EL_CLIENT_SEAL_FORMAT_H
#define EL_CLIENT_SEAL_FORMAT_H

#include <core/aead.h>
#include <core/buffer.h>
#include <core/err.h>
#include <evlog/seal.h>

#define EL_SEAL_PAD_LEN 16 /* the text of a field is filled up with blanks to a multiple of it */

/* Where a ciphertext belongs. */
struct el_seal_place {
    struct el_slice key;  /* of the event, data NULL: none */
    struct el_slice id;   /* of the event */
    struct el_slice path; /* JSON pointer of the field; data NULL: the data as bytes */
};

/* A ciphertext as it was found. */
struct el_seal_box {
    struct el_uuid key_id;
    uint8_t nonce[EL_AEAD_NONCE_LEN];
    struct el_slice sealed; /* ciphertext and tag */
};

/* --- seal_format.c --- */

/* What is bound to a ciphertext. Memory that runs out is in out->err. */
void el_seal_aad(struct el_buffer *out, const struct el_uuid *key_id, const struct el_seal_place *place);
/* Encrypt a text into a box: sealed is written to room, text.len + EL_AEAD_TAG_LEN bytes.
 * returns 0 | EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY; box->key_id and box->nonce are given */
int el_seal_encrypt(const uint8_t key[EL_AEAD_KEY_LEN], const struct el_seal_place *place, struct el_slice text,
                    struct el_seal_box *box, uint8_t *room);
/* Decrypt a box into text, box->sealed.len - EL_AEAD_TAG_LEN bytes. returns 0 | EVLOG_ERR_CORRUPT |
 * EVLOG_ERR_NO_MEMORY */
int el_seal_decrypt(const uint8_t key[EL_AEAD_KEY_LEN], const struct el_seal_place *place,
                    const struct el_seal_box *box, uint8_t *text);

/* Append a field's object. */
void el_seal_write_field(struct el_buffer *out, const struct el_seal_box *box);
/* Read a field's object.
 *
 * raw      its text
 * room     emptied; holds the ciphertext that box->sealed points to
 * returns  0 | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY; the text of err says what is wrong
 */
int el_seal_read_field(struct el_slice raw, struct el_buffer *room, struct el_seal_box *box, struct el_error *err);

bool el_seal_is_bytes(struct el_slice data);
void el_seal_write_bytes(struct el_buffer *out, const struct el_seal_box *box);
/* returns 0 | EVLOG_ERR_MALFORMED too short; data begins as el_seal_is_bytes() has it */
int el_seal_read_bytes(struct el_slice data, struct el_seal_box *box, struct el_error *err);

/* Append what stands for an erased field. */
void el_seal_write_erased(struct el_buffer *out, const struct el_uuid *key_id, int64_t erased_ms, bool restorable);
/* Read it. returns 0, with path NULL | EVLOG_ERR_MALFORMED | EVLOG_ERR_NO_MEMORY */
int el_seal_read_erased(struct el_slice raw, struct evlog_field *field, struct el_error *err);

/* --- seal_walk.c --- */

enum el_seal_mark { EL_SEAL_PLAIN, EL_SEAL_SEALED, EL_SEAL_ERASED };

/* A value inside a document, told when it ends: those inside of it come before. */
struct el_seal_value {
    struct el_slice path;   /* JSON pointer, valid during the call */
    struct el_slice raw;    /* its very bytes */
    enum el_seal_mark mark; /* the object has a reserved name */
};
typedef int (*el_seal_value_fn)(void *arg, const struct el_seal_value *value);
/* Walk over all values of a document. returns 0 | EVLOG_ERR_MALFORMED, EVLOG_ERR_TRUNCATED, EVLOG_ERR_LIMIT no JSON |
 * EVLOG_ERR_NO_MEMORY | what fn returned */
int el_seal_walk(struct el_slice text, el_seal_value_fn fn, void *arg, struct el_error *err);
/* Can a document hold a reserved name? False is certain. */
bool el_seal_suspected(struct el_slice text);
/* A path as a person writes it, as a JSON pointer. returns 0 | EVLOG_ERR_ARGUMENT with the reason */
int el_seal_pointer(struct el_buffer *out, const char *path, struct el_error *err);

#endif
