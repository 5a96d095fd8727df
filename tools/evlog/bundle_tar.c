/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle_tar.h"

#include <core/assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define BLOCK 512u

/* Positions of the fields of a ustar header. */
enum {
    AT_MODE = 100,
    AT_UID = 108,
    AT_GID = 116,
    AT_SIZE = 124,
    AT_TIME = 136,
    AT_SUM = 148,
    AT_TYPE = 156,
    AT_MAGIC = 257
};

static void put_octal(char *header, size_t at, size_t len, uint64_t value)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%0*llo", (int)len - 1, (unsigned long long)value);
    memcpy(header + at, text, len);
}

void bundle_add(struct el_buffer *tar, const char *name, struct el_slice text, int64_t time_s)
{
    char header[BLOCK] = {0};
    static const uint8_t zeros[BLOCK];
    unsigned sum = 0;
    EL_ASSERT(strlen(name) <= BUNDLE_NAME_MAX);
    memcpy(header, name, strlen(name));
    put_octal(header, AT_MODE, 8, 0600);
    put_octal(header, AT_UID, 8, 0);
    put_octal(header, AT_GID, 8, 0);
    put_octal(header, AT_SIZE, 12, text.len);
    put_octal(header, AT_TIME, 12, time_s < 0 ? 0 : (uint64_t)time_s);
    header[AT_TYPE] = '0';
    memcpy(header + AT_MAGIC, "ustar\00000", 8);
    memset(header + AT_SUM, ' ', 8);
    for (size_t i = 0; i < BLOCK; i++) {
        sum += (unsigned char)header[i];
    }
    put_octal(header, AT_SUM, 7, sum);
    el_buffer_append(tar, header, BLOCK);
    el_buffer_append(tar, text.data, text.len);
    el_buffer_append(tar, zeros, (BLOCK - text.len % BLOCK) % BLOCK);
}

void bundle_end(struct el_buffer *tar)
{
    static const uint8_t zeros[2 * BLOCK];
    el_buffer_append(tar, zeros, sizeof zeros);
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

static bool ends_with(struct el_slice text, const char *word)
{
    size_t len = strlen(word);
    return text.len >= len && strncasecmp((const char *)text.data + text.len - len, word, len) == 0;
}

static bool is_secret_name(struct el_slice name)
{
    static const char *const words[] = {"password",      "passwd",      "secret",
                                        "token",         "credential",  "credentials",
                                        "authorization", "private key", "secret_access_key"};
    while (name.len > 0 && (name.data[name.len - 1] == ' ' || name.data[name.len - 1] == '"')) {
        name.len--;
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (ends_with(name, words[i])) {
            return true;
        }
    }
    return false;
}

/* Where the value of a secret begins in the line; its length when there is none. */
static size_t secret_at(struct el_slice line)
{
    for (size_t i = 0; i < line.len; i++) {
        if ((line.data[i] == '=' || line.data[i] == ':') && is_secret_name(el_slice_of(line.data, i))) {
            return i + 1;
        }
    }
    return line.len;
}

static void mask_urls(struct el_buffer *out, struct el_slice line)
{
    size_t from = 0;
    for (size_t i = 0; i + 1 < line.len; i++) {
        if (line.data[i] != '/' || line.data[i + 1] != '/') {
            continue;
        }
        size_t end = i + 2;
        while (end < line.len && strchr("/ \"'@<>", line.data[end]) == NULL) {
            end++;
        }
        if (end < line.len && line.data[end] == '@') {
            el_buffer_append(out, line.data + from, i + 2 - from);
            el_buffer_append_str(out, "***");
            from = end;
            i = end;
        }
    }
    el_buffer_append(out, line.data + from, line.len - from);
}

static bool holds(struct el_slice line, const char *word)
{
    return memmem(line.data, line.len, word, strlen(word)) != NULL;
}

void bundle_mask(struct el_buffer *out, struct el_slice text)
{
    bool in_pem = false;
    while (text.len > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.len);
        size_t len = end == NULL ? text.len : (size_t)(end - text.data);
        struct el_slice line = el_slice_of(text.data, len);
        bool begins = holds(line, "-----BEGIN "), ends = holds(line, "-----END ");
        size_t secret = secret_at(line);
        if (begins || in_pem) {
            el_buffer_append_str(out, begins ? "*** a block of PEM" : "");
        } else {
            mask_urls(out, el_slice_of(line.data, secret));
            el_buffer_append_str(out, secret < line.len ? " ***" : "");
        }
        if ((begins || !in_pem) && end != NULL) {
            el_buffer_append_char(out, '\n');
        }
        in_pem = (in_pem || begins) && !ends;
        text = el_slice_of(text.data + len + (end != NULL), text.len - len - (end != NULL));
    }
}
