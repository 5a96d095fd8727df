/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed notes and checkpoints of transparency logs (C2SP signed-note and tlog-checkpoint). Bytes in, bytes out.
 *
 *   text of a checkpoint:   origin, size in decimal, base64 of the root, one line each; further lines are kept
 *   then an empty line, then signature lines:  EM DASH, space, key name, space, base64(key hash [4] | signature)
 *
 * A signature line of a key that is not asked for is passed over.
 */
#ifndef EL_FORMAT_NOTE_H
#define EL_FORMAT_NOTE_H

#include <core/buffer.h>
#include <core/sign.h>

#define EL_NOTE_LEN_MAX 4096u
#define EL_NOTE_ORIGIN_MAX 255u

struct el_checkpoint_note {
    struct el_slice text;   /* that is signed, with its last line feed; inside the note's bytes */
    struct el_slice origin; /* the same */
    uint64_t size;
    uint8_t root[32];
};

/* First four bytes that a signature line has of a key. */
void el_note_key_hash(struct el_slice name, const struct el_public_key *key, uint8_t hash[4]);
/* Write a checkpoint with one signature line a key. returns 0 | EVLOG_ERR_LIMIT | _FAILED */
int el_note_sign(struct el_slice origin, uint64_t size, const uint8_t root[32], struct el_slice key_name,
                 struct el_private_key *const *keys, size_t key_count, struct el_buffer *out);
/* Take a note apart; nothing is verified. returns 0 | EVLOG_ERR_MALFORMED */
int el_note_parse(struct el_slice note, struct el_checkpoint_note *out);
/* Does any of keys, under this name, have a valid line, and does none of theirs have an invalid one?
 * matched: [key_count] which have one; may be NULL. returns 0 | EVLOG_ERR_NOT_FOUND no line of these keys |
 * EVLOG_ERR_CORRUPT a line that does not verify | EVLOG_ERR_MALFORMED */
int el_note_verify(struct el_slice note, struct el_slice key_name, const struct el_public_key *keys, size_t key_count,
                   bool *matched);
/* "name+hash+base64" of an Ed25519 key, as Go's note tools take it; NUL-terminated. returns 0 | EVLOG_ERR_UNSUPPORTED |
 * _LIMIT */
int el_note_vkey(struct el_slice name, const struct el_public_key *key, char *text, size_t text_len);

#endif
