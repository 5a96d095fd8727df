/* SPDX-License-Identifier: Apache-2.0
 *
 * Proofs of transparency logs as text; pure functions, any thread. A text is read in the one form that is written.
 *
 * Source: C2SP tlog-proof.
 */
#include <core/assert.h>
#include <core/base64.h>
#include <format/tlog_proof.h>

#include <inttypes.h>

#define FIRST_LINE "c2sp.org/tlog-proof@v1"
#define EXTRA "extra "
#define INDEX "index "
#define HASH_TEXT_LEN 44u /* base64 of 32 bytes */

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void write_base64(struct el_buffer *out, struct el_slice bytes)
{
    /* With room for the NUL, which is not counted. */
    uint8_t *text = el_buffer_room(out, el_base64_encoded_len(bytes.len) + 1);
    if (text != NULL) {
        el_base64_encode((char *)text, bytes.data, bytes.len);
        out->len--;
    }
}

int el_tlog_proof_write(struct el_slice extra, const struct el_tlog_proof *proof, struct el_buffer *out)
{
    if (extra.len > EL_TLOG_PROOF_EXTRA_MAX || proof->count > EL_MERKLE_PROOF_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    el_buffer_append_str(out, FIRST_LINE "\n");
    if (extra.data != NULL) {
        el_buffer_append_str(out, EXTRA);
        write_base64(out, extra);
        el_buffer_append_char(out, '\n');
    }
    el_buffer_printf(out, INDEX "%" PRIu64 "\n", proof->index);
    for (size_t i = 0; i < proof->count; i++) {
        write_base64(out, el_slice_of(proof->hashes[i].bytes, EL_MERKLE_HASH_LEN));
        el_buffer_append_char(out, '\n');
    }
    el_buffer_append_char(out, '\n');
    el_buffer_append(out, proof->note.data, proof->note.len);
    return out->err;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

struct line_scan {
    struct el_slice rest;
    struct el_slice line; /* the last one, without its line feed */
    unsigned number;      /* its number */
};

static bool next_line(struct line_scan *scan)
{
    const uint8_t *end = scan->rest.len == 0 ? NULL : memchr(scan->rest.data, '\n', scan->rest.len);
    if (end == NULL) {
        return false;
    }
    scan->line = el_slice_of(scan->rest.data, (size_t)(end - scan->rest.data));
    scan->rest = el_slice_of(end + 1, scan->rest.len - scan->line.len - 1);
    scan->number++;
    return true;
}

static bool has_prefix(struct el_slice line, const char *prefix, struct el_slice *value)
{
    size_t len = strlen(prefix);
    if (line.len < len || memcmp(line.data, prefix, len) != 0) {
        return false;
    }
    *value = el_slice_of(line.data + len, line.len - len);
    return true;
}

static bool parse_index(struct el_slice text, uint64_t *index)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 18 || (text.data[0] == '0' && text.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *index = value;
    return true;
}

static bool is_base64(struct el_slice text)
{
    struct el_buffer bytes = {0};
    size_t len = 0;
    uint8_t *room = text.len / 4 * 3 > EL_TLOG_PROOF_EXTRA_MAX ? NULL : el_buffer_room(&bytes, text.len / 4 * 3 + 1);
    bool ok = room != NULL && el_base64_decode((const char *)text.data, text.len, room, bytes.len, &len) == 0;
    el_buffer_free(&bytes);
    return ok;
}

static int malformed(struct el_error *err, const struct line_scan *scan, const char *what)
{
    return el_error_set(err, EVLOG_ERR_MALFORMED, "line %u: %s", scan->number, what);
}

int el_tlog_proof_parse(struct el_slice text, struct el_tlog_proof *out, struct el_error *err)
{
    struct line_scan scan = {.rest = text, .number = 0};
    struct el_slice value;
    size_t len = 0;
    if (!next_line(&scan) || !el_slice_eq(scan.line, el_slice_str(FIRST_LINE))) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "line 1: not '" FIRST_LINE "', with which a proof begins");
    }
    if (!next_line(&scan)) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "it ends too early");
    }
    out->extra = (struct el_slice){NULL, 0};
    if (has_prefix(scan.line, EXTRA, &out->extra)) {
        if (!is_base64(out->extra)) {
            return malformed(err, &scan, "the extra data is no base64");
        }
        if (!next_line(&scan)) {
            return el_error_set(err, EVLOG_ERR_MALFORMED, "it ends too early");
        }
    }
    if (!has_prefix(scan.line, INDEX, &value) || !parse_index(value, &out->index)) {
        return malformed(err, &scan, "not the word index and a number");
    }
    out->count = 0;
    while (next_line(&scan) && scan.line.len > 0) {
        struct el_hash256 *hash = &out->hashes[out->count];
        if (out->count == EL_MERKLE_PROOF_MAX || scan.line.len != HASH_TEXT_LEN ||
            el_base64_decode((const char *)scan.line.data, scan.line.len, hash->bytes, sizeof(hash->bytes), &len) !=
                0 ||
            len != EL_MERKLE_HASH_LEN) {
            return malformed(err, &scan, "neither a hash in base64 nor the empty line behind the hashes");
        }
        out->count++;
    }
    out->note = scan.rest;
    if (el_note_parse(out->note, &out->checkpoint) != 0) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "there is no signed checkpoint behind line %u", scan.number);
    }
    return 0;
}

int el_tlog_proof_extra(const struct el_tlog_proof *proof, struct el_buffer *out)
{
    size_t len = 0, start = out->len;
    if (proof->extra.data == NULL) {
        return EVLOG_ERR_NOT_FOUND;
    }
    uint8_t *room = el_buffer_room(out, proof->extra.len / 4 * 3 + 1);
    if (room == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    int rc = el_base64_decode((const char *)proof->extra.data, proof->extra.len, room, out->len - start, &len);
    EL_ASSERT(rc == 0); /* el_tlog_proof_parse() has looked */
    out->len = start + len;
    return 0;
}

int el_tlog_proof_verify(const struct el_tlog_proof *proof, const struct el_hash256 *leaf,
                         const struct el_tlog_trust *trust, struct el_error *err)
{
    const struct el_checkpoint_note *checkpoint = &proof->checkpoint;
    struct el_hash256 root;
    if (!el_slice_eq(checkpoint->origin, trust->origin)) {
        return el_error_set(err, EVLOG_ERR_NOT_FOUND, "the checkpoint is of '%.*s', not of '%.*s'",
                            (int)checkpoint->origin.len, (const char *)checkpoint->origin.data, (int)trust->origin.len,
                            (const char *)trust->origin.data);
    }
    int rc = el_note_verify(proof->note, trust->key_name, trust->keys, trust->key_count, NULL);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return el_error_set(err, rc, "no signature of the checkpoint is by one of the given keys");
    }
    if (rc != 0) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "a signature of the checkpoint is wrong");
    }
    memcpy(root.bytes, checkpoint->root, EL_MERKLE_HASH_LEN);
    if (!el_merkle_check(leaf, proof->index, checkpoint->size, &root, proof->hashes, proof->count)) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "the hashes do not lead from the entry to the signed root");
    }
    return 0;
}
