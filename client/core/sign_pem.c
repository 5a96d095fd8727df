/* SPDX-License-Identifier: Apache-2.0
 *
 * PEM of keys: blocks of base64 between BEGIN and END lines; any thread.
 *
 * Between the blocks there may be empty lines and comments ("#"), and nothing else: a damaged BEGIN line must not make
 * a key disappear. What may be in a block is told by its label; sign_der.c takes the bytes apart.
 *
 * Source: RFC 7468.
 */
#include "sign_key.h"

#include <core/assert.h>
#include <core/base64.h>

#include <stdio.h>

#define LINE_LEN 64u         /* characters that are written a line */
#define BLOCK_TEXT_MAX 1024u /* characters of a block's base64 */
#define BLOCK_LEN_MAX (BLOCK_TEXT_MAX / 4 * 3)
#define BEGIN "-----BEGIN "
#define END "-----END "
#define DASHES "-----"

struct pem_scan {
    struct el_slice rest;
    unsigned line; /* number of the line before rest */
};

struct pem_block {
    struct el_slice label;
    uint8_t der[BLOCK_LEN_MAX];
    size_t len;
    unsigned line; /* of BEGIN */
};

/* --- reading ------------------------------------------------------------------------------------------------------ */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool next_line(struct pem_scan *scan, struct el_slice *line)
{
    if (scan->rest.len == 0) {
        return false;
    }
    const uint8_t *end = memchr(scan->rest.data, '\n', scan->rest.len);
    size_t len = end == NULL ? scan->rest.len : (size_t)(end - scan->rest.data);
    size_t step = end == NULL ? len : len + 1;
    *line = el_slice_of(scan->rest.data, len);
    scan->rest = el_slice_of(scan->rest.data + step, scan->rest.len - step);
    scan->line++;
    while (line->len > 0 && is_blank(line->data[line->len - 1])) {
        line->len--;
    }
    return true;
}

static bool is_marker(struct el_slice line, const char *start, struct el_slice *label)
{
    size_t start_len = strlen(start), dashes = sizeof(DASHES) - 1;
    if (line.len <= start_len + dashes || memcmp(line.data, start, start_len) != 0 ||
        memcmp(line.data + line.len - dashes, DASHES, dashes) != 0) {
        return false;
    }
    *label = el_slice_of(line.data + start_len, line.len - start_len - dashes);
    return true;
}

static int read_body(struct pem_scan *scan, struct pem_block *block, char *text, struct el_error *err)
{
    struct el_slice line, label;
    size_t len = 0;
    while (next_line(scan, &line)) {
        if (is_marker(line, END, &label)) {
            if (!el_slice_eq(label, block->label)) {
                break;
            }
            if (el_base64_decode(text, len, block->der, sizeof(block->der), &block->len) != 0) {
                return el_error_set(err, EVLOG_ERR_MALFORMED, "line %u: the key's base64 is damaged", block->line);
            }
            return 0;
        }
        if (line.len > BLOCK_TEXT_MAX - len) {
            return el_error_set(err, EVLOG_ERR_UNSUPPORTED, "line %u: too long for a key of P-256 or Ed25519",
                                block->line);
        }
        memcpy(text + len, line.data, line.len);
        len += line.len;
    }
    return el_error_set(err, EVLOG_ERR_MALFORMED, "line %u: this block has no END line of its own", block->line);
}

/* returns 0 | EVLOG_ERR_NOT_FOUND at the end | with a text, EVLOG_ERR_MALFORMED | _UNSUPPORTED */
static int next_block(struct pem_scan *scan, struct pem_block *block, struct el_error *err)
{
    struct el_slice line;
    char text[BLOCK_TEXT_MAX];
    while (next_line(scan, &line)) {
        if (line.len == 0 || line.data[0] == '#') {
            continue;
        }
        if (!is_marker(line, BEGIN, &block->label)) {
            return el_error_set(err, EVLOG_ERR_MALFORMED,
                                "line %u: neither a BEGIN line of a key, nor empty, nor a comment (#)", scan->line);
        }
        block->line = scan->line;
        int rc = read_body(scan, block, text, err);
        sign_wipe(text, sizeof(text));
        return rc;
    }
    return EVLOG_ERR_NOT_FOUND;
}

static bool has_label(const struct pem_block *block, const char *label)
{
    return el_slice_eq(block->label, el_slice_str(label)) != 0;
}

static int refuse(const struct pem_block *block, int code, struct el_error *err)
{
    if (code == EVLOG_ERR_UNSUPPORTED) {
        return el_error_set(err, code, "line %u: only keys of ECDSA P-256 (named curve) and Ed25519 can be used",
                            block->line);
    }
    return el_error_set(err, code, "line %u: this is not a valid key", block->line);
}

static int read_private(const struct pem_block *block, struct el_private_key **key, struct el_error *err)
{
    struct sign_secret secret;
    struct el_slice der = el_slice_of(block->der, block->len);
    int rc;
    if (has_label(block, "PRIVATE KEY")) {
        rc = sign_der_read_pkcs8(der, &secret);
    } else if (has_label(block, "EC PRIVATE KEY")) {
        rc = sign_der_read_ec(der, &secret);
    } else if (has_label(block, "ENCRYPTED PRIVATE KEY")) {
        return el_error_set(err, EVLOG_ERR_UNSUPPORTED,
                            "line %u: the key is encrypted: decrypt it first, with "
                            "'openssl pkey -in FILE -out FILE'",
                            block->line);
    } else if (has_label(block, "PUBLIC KEY")) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "line %u: a public key, where a private one is needed",
                            block->line);
    } else {
        return refuse(block, EVLOG_ERR_UNSUPPORTED, err);
    }
    if (rc == 0) {
        rc = sign_key_of(&secret, key);
    }
    sign_wipe(&secret, sizeof(secret));
    return rc == 0 ? 0 : refuse(block, rc, err);
}

static bool same_public(const struct el_public_key *a, const struct el_public_key *b)
{
    return a->kind == b->kind && el_slice_eq(el_slice_of(a->bytes, a->len), el_slice_of(b->bytes, b->len));
}

static int add_private(struct pem_block *block, struct el_private_key **keys, size_t *count, struct el_error *err)
{
    struct el_private_key *key;
    if (has_label(block, "EC PARAMETERS")) {
        return 0; /* names the curve of the key behind it, which does so itself */
    }
    if (*count == EL_SIGN_KEYS_MAX) {
        return el_error_set(err, EVLOG_ERR_LIMIT, "line %u: more than %u keys", block->line, EL_SIGN_KEYS_MAX);
    }
    int rc = read_private(block, &key, err);
    if (rc != 0) {
        return rc;
    }
    for (size_t i = 0; i < *count; i++) {
        if (same_public(&sign_key_secret(key)->pub, &sign_key_secret(keys[i])->pub)) {
            el_private_key_free(key);
            return el_error_set(err, EVLOG_ERR_MALFORMED, "line %u: this key is there twice", block->line);
        }
    }
    keys[(*count)++] = key;
    return 0;
}

int el_private_keys_parse(struct el_slice pem, struct el_private_key *keys[EL_SIGN_KEYS_MAX], size_t *count,
                          struct el_error *err)
{
    struct pem_scan scan = {.rest = pem};
    struct pem_block block;
    size_t found = 0;
    int rc = next_block(&scan, &block, err);
    while (rc == 0) {
        rc = add_private(&block, keys, &found, err);
        sign_wipe(&block, sizeof(block));
        if (rc == 0) {
            rc = next_block(&scan, &block, err);
        }
    }
    sign_wipe(&block, sizeof(block));
    if (rc == EVLOG_ERR_NOT_FOUND && found > 0) {
        *count = found;
        return 0;
    }
    while (found > 0) {
        el_private_key_free(keys[--found]);
    }
    return rc != EVLOG_ERR_NOT_FOUND ? rc : el_error_set(err, EVLOG_ERR_MALFORMED, "there is no private key in it");
}

static int read_public(const struct pem_block *block, struct el_public_key *pub, struct el_error *err)
{
    if (!has_label(block, "PUBLIC KEY")) {
        bool is_private = block->label.len >= 11 &&
                          memcmp(block->label.data + block->label.len - 11, "PRIVATE KEY", 11) == 0;
        if (is_private) {
            return el_error_set(err, EVLOG_ERR_MALFORMED,
                                "line %u: a private key, where a public one is needed "
                                "('openssl pkey -in FILE -pubout')",
                                block->line);
        }
        return refuse(block, EVLOG_ERR_UNSUPPORTED, err);
    }
    int rc = sign_der_read_public(el_slice_of(block->der, block->len), pub);
    if (rc == 0) {
        rc = el_public_key_check(pub);
    }
    return rc == 0 ? 0 : refuse(block, rc, err);
}

int el_public_keys_parse(struct el_slice pem, struct el_public_key keys[EL_SIGN_KEYS_MAX], size_t *count,
                         struct el_error *err)
{
    struct pem_scan scan = {.rest = pem};
    struct pem_block block;
    size_t found = 0;
    int rc;
    while ((rc = next_block(&scan, &block, err)) == 0) {
        if (found == EL_SIGN_KEYS_MAX) {
            return el_error_set(err, EVLOG_ERR_LIMIT, "line %u: more than %u keys", block.line, EL_SIGN_KEYS_MAX);
        }
        rc = read_public(&block, &keys[found], err);
        if (rc != 0) {
            return rc;
        }
        for (size_t i = 0; i < found; i++) {
            if (same_public(&keys[i], &keys[found])) {
                return el_error_set(err, EVLOG_ERR_MALFORMED, "line %u: this key is there twice", block.line);
            }
        }
        found++;
    }
    if (rc != EVLOG_ERR_NOT_FOUND) {
        return rc;
    }
    if (found == 0) {
        return el_error_set(err, EVLOG_ERR_MALFORMED, "there is no public key in it");
    }
    *count = found;
    return 0;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static int write_block(const char *label, struct el_slice der, char *text, size_t text_len)
{
    char encoded[(SIGN_DER_MAX + 2) / 3 * 4 + 1];
    EL_ASSERT(der.len <= SIGN_DER_MAX);
    el_base64_encode(encoded, der.data, der.len);
    size_t encoded_len = strlen(encoded);
    size_t need = sizeof(BEGIN) + sizeof(END) + 2 * (strlen(label) + sizeof(DASHES)) + encoded_len +
                  (encoded_len + LINE_LEN - 1) / LINE_LEN;
    int rc = EVLOG_ERR_LIMIT;
    if (text_len >= need) {
        int len = snprintf(text, text_len, BEGIN "%s" DASHES "\n", label);
        for (size_t i = 0; i < encoded_len; i += LINE_LEN) {
            len += snprintf(text + len, text_len - (size_t)len, "%.*s\n", (int)LINE_LEN, encoded + i);
        }
        len += snprintf(text + len, text_len - (size_t)len, END "%s" DASHES "\n", label);
        EL_ASSERT((size_t)len < text_len);
        rc = 0;
    }
    sign_wipe(encoded, sizeof(encoded));
    return rc;
}

int el_private_key_pem(const struct el_private_key *key, char *text, size_t text_len)
{
    uint8_t der[SIGN_DER_MAX];
    size_t len = sign_der_write_pkcs8(sign_key_secret(key), der);
    int rc = write_block("PRIVATE KEY", el_slice_of(der, len), text, text_len);
    sign_wipe(der, sizeof(der));
    return rc;
}

int el_public_key_pem(const struct el_public_key *pub, char *text, size_t text_len)
{
    uint8_t der[SIGN_DER_MAX];
    size_t len = sign_der_write_public(pub, der);
    return write_block("PUBLIC KEY", el_slice_of(der, len), text, text_len);
}
