/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed notes and checkpoints. Pure functions, any thread.
 *
 * A note is read in one form only: what el_note_sign() would write again byte for byte, but for lines of other signers.
 *
 *   1. split: the text up to and with the line feed before the last empty line; signature lines behind it
 *   2. each signature line taken apart, whosever it is: a note with a bad line is no note
 *   3. verify: a line that has a known key's name and hash must verify
 *
 * Source: C2SP signed-note and tlog-checkpoint.
 */
#include <core/assert.h>
#include <core/base64.h>
#include <core/crypto.h>
#include <core/utf8.h>
#include <format/note.h>

#include <inttypes.h>
#include <stdio.h>

#define KEY_HASH_LEN 4u
#define LINE_START "\xe2\x80\x94 " /* EM DASH, space */
#define LINE_START_LEN (sizeof(LINE_START) - 1)
#define ROOT_TEXT_LEN 44u /* base64 of 32 bytes */
#define OWN_LINE_MAX (KEY_HASH_LEN + EL_SIGN_SIGNATURE_MAX)

/* A signature line of a note. */
struct signature_line {
    struct el_slice name;
    struct el_slice encoded; /* base64 */
};

struct split_note {
    struct el_slice text;
    struct el_slice lines; /* each with its line feed; not empty */
};

/* White space as Unicode has it. */
static bool is_space(uint32_t point)
{
    return (point >= 0x09 && point <= 0x0d) || point == ' ' || point == 0x85 || point == 0xa0 || point == 0x1680 ||
           (point >= 0x2000 && point <= 0x200a) || point == 0x2028 || point == 0x2029 || point == 0x202f ||
           point == 0x205f || point == 0x3000;
}

static bool is_text(struct el_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < 0x20 && text.data[i] != '\n') {
            return false;
        }
    }
    return el_utf8_valid(text.data, text.len);
}

static bool is_key_name(struct el_slice name)
{
    uint32_t point = 0;
    size_t step = 0;
    if (name.len == 0 || name.len > EL_NOTE_ORIGIN_MAX) {
        return false;
    }
    for (size_t i = 0; i < name.len; i += step) {
        step = el_utf8_next(name.data + i, name.len - i, &point);
        if (step == 0 || point < 0x20 || point == '+' || is_space(point)) {
            return false;
        }
    }
    return true;
}

static bool is_origin(struct el_slice origin)
{
    return origin.len > 0 && origin.len <= EL_NOTE_ORIGIN_MAX && is_text(origin) &&
           memchr(origin.data, '\n', origin.len) == NULL;
}

/* The next line of rest, without its line feed; false at the end, and where a line has none. */
static bool next_line(struct el_slice *rest, struct el_slice *line)
{
    const uint8_t *end = rest->len == 0 ? NULL : memchr(rest->data, '\n', rest->len);
    if (end == NULL) {
        return false;
    }
    *line = el_slice_of(rest->data, (size_t)(end - rest->data));
    *rest = el_slice_of(end + 1, rest->len - line->len - 1);
    return true;
}

static bool parse_line(struct el_slice line, struct signature_line *out)
{
    if (line.len <= LINE_START_LEN || memcmp(line.data, LINE_START, LINE_START_LEN) != 0) {
        return false;
    }
    struct el_slice rest = el_slice_of(line.data + LINE_START_LEN, line.len - LINE_START_LEN);
    const uint8_t *space = memchr(rest.data, ' ', rest.len);
    if (space == NULL) {
        return false;
    }
    out->name = el_slice_of(rest.data, (size_t)(space - rest.data));
    out->encoded = el_slice_of(space + 1, rest.len - out->name.len - 1);
    return is_key_name(out->name);
}

/* Key hash and signature are decoded for every line, into bytes[EL_NOTE_LEN_MAX]. */
static bool decode_line(const struct signature_line *line, uint8_t *bytes, size_t *len)
{
    return el_base64_decode((const char *)line->encoded.data, line->encoded.len, bytes, EL_NOTE_LEN_MAX, len) == 0 &&
           *len > KEY_HASH_LEN;
}

static int split_of(struct el_slice note, struct split_note *out)
{
    if (note.len > EL_NOTE_LEN_MAX || note.len < 4 || note.data[note.len - 1] != '\n' || !is_text(note)) {
        return EVLOG_ERR_MALFORMED;
    }
    size_t at = note.len - 1; /* of the empty line's own line feed */
    while (at > 0 && (note.data[at] != '\n' || note.data[at - 1] != '\n')) {
        at--;
    }
    if (at < 2 || at + 1 == note.len) {
        return EVLOG_ERR_MALFORMED;
    }
    out->text = el_slice_of(note.data, at);
    out->lines = el_slice_of(note.data + at + 1, note.len - at - 1);
    return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

void el_note_key_hash(struct el_slice name, const struct el_public_key *key, uint8_t hash[4])
{
    struct el_sha256 ctx;
    uint8_t digest[32];
    const uint8_t head[2] = {'\n', (uint8_t)key->kind};
    el_sha256_begin(&ctx);
    if (key->kind == EL_SIGN_ED25519) {
        el_sha256_add(&ctx, name.data, name.len);
        el_sha256_add(&ctx, head, sizeof(head));
    }
    el_sha256_add(&ctx, key->bytes, key->len);
    el_sha256_end(&ctx, digest);
    memcpy(hash, digest, KEY_HASH_LEN);
}

static int write_line(struct el_slice text, struct el_slice key_name, const struct el_private_key *key,
                      struct el_buffer *out)
{
    struct el_public_key pub;
    uint8_t bytes[OWN_LINE_MAX];
    char encoded[(OWN_LINE_MAX + 2) / 3 * 4 + 1];
    size_t len;
    el_private_key_public(key, &pub);
    el_note_key_hash(key_name, &pub, bytes);
    int rc = el_sign(key, text.data, text.len, bytes + KEY_HASH_LEN, &len);
    if (rc != 0) {
        return rc;
    }
    EL_ASSERT(len <= EL_SIGN_SIGNATURE_MAX);
    el_base64_encode(encoded, bytes, KEY_HASH_LEN + len);
    el_buffer_append(out, LINE_START, LINE_START_LEN);
    el_buffer_append(out, key_name.data, key_name.len);
    el_buffer_append_char(out, ' ');
    el_buffer_append_str(out, encoded);
    el_buffer_append_char(out, '\n');
    return 0;
}

int el_note_sign_text(struct el_slice text, struct el_slice key_name, struct el_private_key *const *keys,
                      size_t key_count, struct el_buffer *out)
{
    size_t start = out->len;
    if (text.len < 2 || text.data[text.len - 1] != '\n' || !is_text(text) || !is_key_name(key_name) || key_count == 0) {
        return EVLOG_ERR_ARGUMENT;
    }
    el_buffer_append(out, text.data, text.len);
    el_buffer_append_char(out, '\n');
    for (size_t i = 0; i < key_count; i++) {
        int rc = write_line(text, key_name, keys[i], out);
        if (rc != 0) {
            return rc;
        }
    }
    if (out->err != 0) {
        return out->err;
    }
    return out->len - start <= EL_NOTE_LEN_MAX ? 0 : EVLOG_ERR_LIMIT;
}

int el_note_sign(struct el_slice origin, uint64_t size, const uint8_t root[32], struct el_slice key_name,
                 struct el_private_key *const *keys, size_t key_count, struct el_buffer *out)
{
    char text[EL_NOTE_ORIGIN_MAX + ROOT_TEXT_LEN + 32], encoded[ROOT_TEXT_LEN + 1];
    if (!is_origin(origin) || size > INT64_MAX) {
        return EVLOG_ERR_ARGUMENT;
    }
    el_base64_encode(encoded, root, 32);
    int len = snprintf(text, sizeof(text), "%.*s\n%" PRIu64 "\n%s\n", (int)origin.len, (const char *)origin.data, size,
                       encoded);
    EL_ASSERT(len > 0);
    EL_ASSERT((size_t)len < sizeof(text));
    return el_note_sign_text(el_slice_of(text, (size_t)len), key_name, keys, key_count, out);
}

int el_note_vkey(struct el_slice name, const struct el_public_key *key, char *text, size_t text_len)
{
    uint8_t hash[KEY_HASH_LEN], bytes[1 + EL_SIGN_PUBLIC_MAX];
    char encoded[(sizeof(bytes) + 2) / 3 * 4 + 1];
    if (!is_key_name(name)) {
        return EVLOG_ERR_ARGUMENT;
    }
    EL_ASSERT(key->len <= EL_SIGN_PUBLIC_MAX);
    el_note_key_hash(name, key, hash);
    bytes[0] = (uint8_t)key->kind;
    memcpy(bytes + 1, key->bytes, key->len);
    el_base64_encode(encoded, bytes, 1 + key->len);
    int len = snprintf(text, text_len, "%.*s+%08x+%s", (int)name.len, (const char *)name.data, el_get_be32(hash),
                       encoded);
    return len > 0 && (size_t)len < text_len ? 0 : EVLOG_ERR_LIMIT;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static bool parse_size(struct el_slice line, uint64_t *size)
{
    uint64_t value = 0;
    if (line.len == 0 || line.len > 19 || (line.data[0] == '0' && line.len > 1)) {
        return false;
    }
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] < '0' || line.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint64_t)(line.data[i] - '0');
    }
    *size = value;
    return value <= INT64_MAX;
}

int el_note_parse(struct el_slice note, struct el_checkpoint_note *out)
{
    struct split_note split;
    struct el_checkpoint_note found;
    struct el_slice size, root, line;
    size_t root_len = 0;
    int rc = split_of(note, &split);
    if (rc != 0) {
        return rc;
    }
    struct el_slice rest = split.text;
    if (!next_line(&rest, &found.origin) || !next_line(&rest, &size) || !next_line(&rest, &root)) {
        return EVLOG_ERR_MALFORMED;
    }
    if (!is_origin(found.origin) || !parse_size(size, &found.size) || root.len != ROOT_TEXT_LEN ||
        el_base64_decode((const char *)root.data, root.len, found.root, 32, &root_len) != 0 || root_len != 32) {
        return EVLOG_ERR_MALFORMED;
    }
    found.text = split.text;
    found.more = rest;
    while (next_line(&rest, &line)) {
        if (line.len == 0) {
            return EVLOG_ERR_MALFORMED;
        }
    }
    *out = found;
    return 0;
}

int el_note_verify(struct el_slice note, struct el_slice key_name, const struct el_public_key *keys, size_t key_count,
                   bool *matched)
{
    struct split_note split;
    struct el_slice line;
    uint8_t hashes[EL_SIGN_KEYS_MAX][KEY_HASH_LEN], bytes[EL_NOTE_LEN_MAX];
    size_t lines = 0, valid = 0;
    int rc = split_of(note, &split), verdict = 0;
    EL_ASSERT(key_count <= EL_SIGN_KEYS_MAX);
    for (size_t i = 0; i < key_count; i++) {
        el_note_key_hash(key_name, &keys[i], hashes[i]);
        if (matched != NULL) {
            matched[i] = false;
        }
    }
    while (rc == 0 && next_line(&split.lines, &line)) {
        struct signature_line sig;
        size_t len;
        if (++lines > EL_NOTE_LINES_MAX || !parse_line(line, &sig) || !decode_line(&sig, bytes, &len)) {
            return EVLOG_ERR_MALFORMED;
        }
        for (size_t i = 0; i < key_count; i++) {
            if (!el_slice_eq(sig.name, key_name) || memcmp(bytes, hashes[i], KEY_HASH_LEN) != 0) {
                continue;
            }
            if (!el_sign_verify(&keys[i], split.text.data, split.text.len, bytes + KEY_HASH_LEN, len - KEY_HASH_LEN)) {
                verdict = EVLOG_ERR_CORRUPT;
                continue;
            }
            valid++;
            if (matched != NULL) {
                matched[i] = true;
            }
        }
    }
    if (rc != 0 || verdict != 0) {
        return rc != 0 ? rc : verdict;
    }
    return valid > 0 ? 0 : EVLOG_ERR_NOT_FOUND;
}
