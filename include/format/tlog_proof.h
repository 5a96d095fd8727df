/* SPDX-License-Identifier: Apache-2.0
 *
 * Proofs of transparency logs as text (C2SP tlog-proof): one entry's place in a tree, the hashes up to its root, and
 * the signed checkpoint with that root. Bytes in, bytes out.
 *
 *   c2sp.org/tlog-proof@v1
 *   extra <base64>               may be left out; nothing vouches for it but what the entry's hash is made of
 *   index <decimal>
 *   <base64 of a hash>           one a line, nearest to the leaf first
 *
 *   the checkpoint, behind an empty line
 */
#ifndef EL_FORMAT_TLOG_PROOF_H
#define EL_FORMAT_TLOG_PROOF_H

#include <core/buffer.h>
#include <format/merkle.h>
#include <format/note.h>

#define EL_TLOG_PROOF_EXTRA_MAX (256u << 20) /* bytes of extra data */

struct el_tlog_proof {
    struct el_slice extra; /* base64, inside the text; data NULL: there is none */
    uint64_t index;
    struct el_hash256 hashes[EL_MERKLE_PROOF_MAX];
    size_t count;
    struct el_slice note; /* signed checkpoint, inside the text */
    struct el_checkpoint_note checkpoint;
};

/* Whom a reader believes, and what about. */
struct el_tlog_trust {
    struct el_slice origin; /* of the checkpoint */
    struct el_slice key_name;
    const struct el_public_key *keys;
    size_t key_count;
};

/* Append a proof. extra: bytes, data NULL for none; proof: index, hashes, count and note are read.
 * returns 0 | EVLOG_ERR_LIMIT | _NO_MEMORY */
int el_tlog_proof_write(struct el_slice extra, const struct el_tlog_proof *proof, struct el_buffer *out);
/* Take a text apart; nothing is verified. returns 0 | EVLOG_ERR_MALFORMED with a text */
int el_tlog_proof_parse(struct el_slice text, struct el_tlog_proof *out, struct el_error *err);
/* The extra data. returns 0 | EVLOG_ERR_NOT_FOUND there is none | _NO_MEMORY */
int el_tlog_proof_extra(const struct el_tlog_proof *proof, struct el_buffer *out);
/* Does a trusted key say that this leaf is in the tree, at the proof's index?
 * returns 0 | with a text, EVLOG_ERR_CORRUPT it does not | EVLOG_ERR_NOT_FOUND no line of a trusted key, or a
 * checkpoint of another tree */
int el_tlog_proof_verify(const struct el_tlog_proof *proof, const struct el_hash256 *leaf,
                         const struct el_tlog_trust *trust, struct el_error *err);

#endif
