/* SPDX-License-Identifier: Apache-2.0
 *
 * The messages of SCRAM, parsed strictly: attributes in the order of the grammar, nothing left over where the grammar
 * has nothing, names in UTF-8 without control characters. Source: RFC 5802 section 7.
 */
#include <core/scram.h>

#include <core/base64.h>
#include <core/utf8.h>
#include <evlog/error.h>

static bool starts_with(struct el_slice text, const char *prefix)
{
    size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

static struct el_slice behind(struct el_slice text, size_t len)
{
    return el_slice_of(text.data + len, text.len - len);
}

/* The next attribute up to a comma or the end; *rest moves behind the comma. returns false without the name */
static bool attribute(struct el_slice *rest, char name, struct el_slice *value)
{
    char prefix[3] = {name, '=', 0};
    if (!starts_with(*rest, prefix)) {
        return false;
    }
    *rest = behind(*rest, 2);
    const uint8_t *comma = rest->len == 0 ? NULL : memchr(rest->data, ',', rest->len);
    size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->data);
    *value = el_slice_of(rest->data, len);
    *rest = comma == NULL ? el_slice_of(rest->data + rest->len, 0) : behind(*rest, len + 1);
    return true;
}

/* Printable ASCII without a comma. */
static bool nonce_valid(struct el_slice nonce, size_t len_max)
{
    for (size_t i = 0; i < nonce.len; i++) {
        if (nonce.data[i] < 0x21 || nonce.data[i] > 0x7e) {
            return false;
        }
    }
    return nonce.len > 0 && nonce.len <= len_max;
}

/* A name with its =2C and =3D. out[EL_SCRAM_NAME_MAX + 1] */
static int decode_name(struct el_slice text, char *out, size_t *out_len)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '=') {
            struct el_slice rest = behind(text, i);
            if (!starts_with(rest, "=2C") && !starts_with(rest, "=3D")) {
                return EVLOG_ERR_MALFORMED;
            }
            c = rest.data[1] == '2' ? ',' : '=';
            i += 2;
        }
        if (c < 0x20 || c == 0x7f) {
            return EVLOG_ERR_MALFORMED;
        }
        if (len == EL_SCRAM_NAME_MAX) {
            return EVLOG_ERR_LIMIT;
        }
        out[len++] = (char)c;
    }
    out[len] = 0;
    *out_len = len;
    return len > 0 && el_utf8_valid(out, len) ? 0 : EVLOG_ERR_MALFORMED;
}

size_t el_scram_encode_name(char *text, struct el_slice name)
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = (char)name.data[i];
        if (c == ',' || c == '=') {
            memcpy(text + len, c == ',' ? "=2C" : "=3D", 3);
            len += 3;
        } else {
            text[len++] = c;
        }
    }
    text[len] = 0;
    return len;
}

int el_scram_parse_client_first(struct el_slice message, struct el_scram_client_first *out)
{
    struct el_slice rest = message, value;
    memset(out, 0, sizeof *out);
    if (message.len > EL_SCRAM_MESSAGE_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    /* "y": the client could bind channels and thinks that we cannot, which is so. "p=" wants it, which is refused. */
    if (!starts_with(rest, "n,") && !starts_with(rest, "y,")) {
        return EVLOG_ERR_MALFORMED;
    }
    rest = behind(rest, 2);
    if (attribute(&rest, 'a', &value)) {
        int code = decode_name(value, out->authzid, &out->authzid_len);
        if (code != 0) {
            return code;
        }
        if (rest.data[-1] != ',') {
            return EVLOG_ERR_MALFORMED;
        }
    } else if (starts_with(rest, ",")) {
        rest = behind(rest, 1);
    } else {
        return EVLOG_ERR_MALFORMED;
    }
    out->gs2 = el_slice_of(message.data, (size_t)(rest.data - message.data));
    out->bare = rest;
    if (!attribute(&rest, 'n', &value)) {
        return EVLOG_ERR_MALFORMED; /* also m=, an extension that must be understood */
    }
    int code = decode_name(value, out->name, &out->name_len);
    if (code != 0) {
        return code;
    }
    if (!attribute(&rest, 'r', &out->nonce) || !nonce_valid(out->nonce, EL_SCRAM_NONCE_MAX)) {
        return EVLOG_ERR_MALFORMED;
    }
    while (rest.len > 0) {
        struct el_slice extension = rest;
        if (rest.len < 2 || rest.data[1] != '=' || !attribute(&rest, (char)rest.data[0], &value)) {
            return EVLOG_ERR_MALFORMED;
        }
        out->wants_token = out->wants_token || starts_with(extension, "tokenauth=");
    }
    return 0;
}

static bool decode_bytes(struct el_slice text, uint8_t *out, size_t out_max, size_t *out_len)
{
    return text.len > 0 && el_base64_decode((const char *)text.data, text.len, out, out_max, out_len) == 0;
}

static bool decode_number(struct el_slice text, uint32_t *number)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len > 10 || text.data[0] == '0') {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (text.data[i] - '0');
    }
    *number = (uint32_t)value;
    return value <= UINT32_MAX;
}

int el_scram_parse_server_first(struct el_slice message, struct el_scram_server_first *out)
{
    struct el_slice rest = message, salt, iterations;
    memset(out, 0, sizeof *out);
    if (message.len > EL_SCRAM_MESSAGE_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    bool sound = attribute(&rest, 'r', &out->nonce) && nonce_valid(out->nonce, 2 * EL_SCRAM_NONCE_MAX) &&
                 attribute(&rest, 's', &salt) && decode_bytes(salt, out->salt, sizeof out->salt, &out->salt_len) &&
                 attribute(&rest, 'i', &iterations) && decode_number(iterations, &out->iterations);
    return sound ? 0 : EVLOG_ERR_MALFORMED; /* extensions behind it are for who knows them */
}

int el_scram_parse_client_final(struct el_slice message, struct el_scram_client_final *out)
{
    struct el_slice rest = message, value;
    memset(out, 0, sizeof *out);
    if (message.len > EL_SCRAM_MESSAGE_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    if (!attribute(&rest, 'c', &value) || !decode_bytes(value, out->binding, sizeof out->binding, &out->binding_len) ||
        !attribute(&rest, 'r', &out->nonce) || !nonce_valid(out->nonce, 2 * EL_SCRAM_NONCE_MAX)) {
        return EVLOG_ERR_MALFORMED;
    }
    while (rest.len > 1 && rest.data[0] != 'p') {
        if (rest.data[1] != '=' || !attribute(&rest, (char)rest.data[0], &value)) {
            return EVLOG_ERR_MALFORMED;
        }
    }
    if (rest.len < 2 || rest.data == message.data || rest.data[-1] != ',') {
        return EVLOG_ERR_MALFORMED;
    }
    out->without_proof = el_slice_of(message.data, (size_t)(rest.data - message.data) - 1);
    bool sound = attribute(&rest, 'p', &value) && rest.len == 0 &&
                 decode_bytes(value, out->proof, sizeof out->proof, &out->proof_len);
    return sound ? 0 : EVLOG_ERR_MALFORMED;
}

int el_scram_parse_server_final(struct el_slice message, struct el_scram_server_final *out)
{
    struct el_slice rest = message, value;
    memset(out, 0, sizeof *out);
    if (message.len > EL_SCRAM_MESSAGE_MAX) {
        return EVLOG_ERR_LIMIT;
    }
    if (attribute(&rest, 'e', &out->error)) {
        return 0;
    }
    bool sound = attribute(&rest, 'v', &value) &&
                 decode_bytes(value, out->signature, sizeof out->signature, &out->signature_len);
    return sound ? 0 : EVLOG_ERR_MALFORMED;
}
