/* SPDX-License-Identifier: Apache-2.0 */
#include <core/base64.h>
#include <evlog/error.h>

static const char alphabet_plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value of a character, -1 when it is in no alphabet of ours. */
static int char_value(char c, char c62, char c63)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == c62 ? 62 : c == c63 ? 63 : -1;
}

/* Characters of len bytes without padding; returns how many. */
static size_t encode_unpadded(char *text, const uint8_t *data, size_t len, const char *alphabet)
{
    size_t count = 0;
    size_t i = 0;
    for (; len - i >= 3; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16 | (uint32_t)data[i + 1] << 8 | data[i + 2];
        text[count++] = alphabet[v >> 18];
        text[count++] = alphabet[v >> 12 & 63];
        text[count++] = alphabet[v >> 6 & 63];
        text[count++] = alphabet[v & 63];
    }
    if (i < len) {
        uint32_t v = (uint32_t)data[i] << 16 | (len - i == 2 ? (uint32_t)data[i + 1] << 8 : 0);
        text[count++] = alphabet[v >> 18];
        text[count++] = alphabet[v >> 12 & 63];
        if (len - i == 2) {
            text[count++] = alphabet[v >> 6 & 63];
        }
    }
    return count;
}

void el_base64_encode(char *text, const void *data, size_t len)
{
    size_t count = encode_unpadded(text, data, len, alphabet_plain);
    while (count % 4 != 0) {
        text[count++] = '=';
    }
    text[count] = '\0';
}

/* count characters without padding into (count * 6 / 8) bytes. */
static int decode_unpadded(const char *text, size_t count, uint8_t *out, const char *alphabet)
{
    uint32_t v = 0;
    unsigned bit_count = 0;
    if (count % 4 == 1) {
        return EVLOG_ERR_MALFORMED;
    }
    for (size_t i = 0; i < count; i++) {
        int value = char_value(text[i], alphabet[62], alphabet[63]);
        if (value < 0) {
            return EVLOG_ERR_MALFORMED;
        }
        v = v << 6 | (uint32_t)value;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            *out++ = (uint8_t)(v >> bit_count);
            v &= (1u << bit_count) - 1;
        }
    }
    return v == 0 ? 0 : EVLOG_ERR_MALFORMED;
}

int el_base64_decode(const char *text, size_t text_len, void *out, size_t out_max, size_t *out_len)
{
    size_t count = text_len;
    if (text_len % 4 != 0) {
        return EVLOG_ERR_MALFORMED;
    }
    while (count > 0 && text_len - count < 2 && text[count - 1] == '=') {
        count--;
    }
    size_t len = count / 4 * 3 + (count % 4 == 0 ? 0 : count % 4 - 1);
    if (len > out_max) {
        return EVLOG_ERR_LIMIT;
    }
    int err = decode_unpadded(text, count, out, alphabet_plain);
    if (err == 0) {
        *out_len = len;
    }
    return err;
}

void el_uuid_format(char *text, const struct el_uuid *uuid)
{
    size_t count = encode_unpadded(text, uuid->bytes, sizeof(uuid->bytes), alphabet_url);
    text[count] = '\0';
}

int el_uuid_parse(const char *text, size_t text_len, struct el_uuid *uuid)
{
    struct el_uuid found;
    if (text_len != EL_UUID_TEXT_LEN) {
        return EVLOG_ERR_MALFORMED;
    }
    int err = decode_unpadded(text, text_len, found.bytes, alphabet_url);
    if (err == 0) {
        *uuid = found;
    }
    return err;
}
