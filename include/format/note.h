/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed notes and checkpoints of transparency logs (C2SP signed-note and tlog-checkpoint). Bytes in, bytes out.
 *
 *   text of a checkpoint:   origin, size in decimal, base64 of the root, one line each; further lines are kept
 *   then an empty line, then signature lines:  EM DASH, space, key name, space, base64(key hash [4] | signature)
 *
 * All is UTF-8 without control characters but line feeds. An origin is one line and not empty; a key name has no
 * spaces, no plus sign, and is not empty. A signature line of a key that is not asked for is passed over.
 */
#ifndef EL_FORMAT_NOTE_H
#define EL_FORMAT_NOTE_H

#include <core/buffer.h>
#include <core/sign.h>

#define EL_NOTE_LEN_MAX 16384u /* room for lines of other signers, also the long ones of lattice schemes */
#define EL_NOTE_ORIGIN_MAX 255u
#define EL_NOTE_LINES_MAX 64u /* signature lines */

struct el_checkpoint_note {
    struct el_slice text;   /* that is signed, with its last line feed; inside the note's bytes */
    struct el_slice origin; /* the same */
    struct el_slice more;   /* the lines behind the root, each with its line feed; may be empty */
    uint64_t size;          /* at most INT64_MAX, as other readers have it */
    uint8_t root[32];
};

/* First four bytes that a signature line has of a key. Of Ed25519: of SHA-256(name | LF | 0x01 | key). Of ECDSA: of
 * SHA-256(DER of the SubjectPublicKeyInfo), whatever the name. */
void el_note_key_hash(struct el_slice name, const struct el_public_key *key, uint8_t hash[4]);
/* Append a checkpoint with one signature line a key. Equal arguments give equal bytes. returns 0 | EVLOG_ERR_ARGUMENT
 * a name or an origin that is not allowed | _LIMIT | _FAILED | _NO_MEMORY */
int el_note_sign(struct el_slice origin, uint64_t size, const uint8_t root[32], struct el_slice key_name,
                 struct el_private_key *const *keys, size_t key_count, struct el_buffer *out);
/* The same of any text, which ends in a line feed. */
int el_note_sign_text(struct el_slice text, struct el_slice key_name, struct el_private_key *const *keys,
                      size_t key_count, struct el_buffer *out);
/* Take a note apart; nothing is verified. returns 0 | EVLOG_ERR_MALFORMED */
int el_note_parse(struct el_slice note, struct el_checkpoint_note *out);
/* Does any of keys, under this name, have a valid line, and does none of theirs have an invalid one?
 * note: any signed note; matched: [key_count] which have one; may be NULL. returns 0 | EVLOG_ERR_NOT_FOUND no line of
 * these keys | EVLOG_ERR_CORRUPT a line that does not verify | EVLOG_ERR_MALFORMED */
int el_note_verify(struct el_slice note, struct el_slice key_name, const struct el_public_key *keys, size_t key_count,
                   bool *matched);
/* "name+hash+base64" of a key, as note tools take it (Go's own know Ed25519 only); NUL-terminated.
 * returns 0 | EVLOG_ERR_ARGUMENT | _LIMIT */
int el_note_vkey(struct el_slice name, const struct el_public_key *key, char *text, size_t text_len);

#endif
