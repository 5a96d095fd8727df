/* SPDX-License-Identifier: Apache-2.0
 *
 * Signature Version 4:
 *   1. the canonical request: method, path, query, headers, their names, SHA-256 of the body, on lines of their own
 *   2. the string to sign: algorithm, time, scope (day/region/service/aws4_request), SHA-256 of 1
 *   3. the key: HMACs of day, region, service and "aws4_request", each under the one before, the first under the secret
 *   4. the signature: HMAC of 2 under 3
 */
#include "s3_sign.h"

#include <core/aead.h>
#include <core/alloc.h>
#include <core/assert.h>
#include <core/crypto.h>
#include <stdio.h>
#include <time.h>

#define DAY_LEN 8

void s3_date_format(char *text, int64_t unix_s)
{
    struct tm tm;
    time_t time = (time_t)unix_s;
    if (gmtime_r(&time, &tm) == NULL || strftime(text, S3_DATE_LEN + 1, "%Y%m%dT%H%M%SZ", &tm) != S3_DATE_LEN) {
        memcpy(text, "19700101T000000Z", S3_DATE_LEN + 1); /* a clock past the year 9999: the store refuses it */
    }
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

void s3_encode(struct el_buffer *out, const char *text, bool slash)
{
    static const char digits[] = "0123456789ABCDEF";
    for (const char *p = text; *p != '\0'; p++) {
        uint8_t c = (uint8_t)*p;
        if (is_plain(*p) || (slash && *p == '/')) {
            el_buffer_append_char(out, *p);
        } else {
            char coded[3] = {'%', digits[c >> 4], digits[c & 15]};
            el_buffer_append(out, coded, sizeof coded);
        }
    }
}

void s3_query_add(struct el_buffer *query, const char *name, const char *value)
{
    if (query->len > 0) {
        el_buffer_append_char(query, '&');
    }
    s3_encode(query, name, false);
    el_buffer_append_char(query, '=');
    if (value != NULL) {
        s3_encode(query, value, false);
    }
}

static void append_names(const struct s3_signed *request, struct el_buffer *out)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (i > 0) {
            EL_ASSERT(strcmp(request->headers[i - 1].name, request->headers[i].name) < 0);
            el_buffer_append_char(out, ';');
        }
        el_buffer_append_str(out, request->headers[i].name);
    }
}

static void canonical(const struct s3_signed *request, struct el_buffer *out)
{
    el_buffer_printf(out, "%s\n%s\n%s\n", request->method, request->path, request->query);
    for (size_t i = 0; i < request->header_count; i++) {
        el_buffer_printf(out, "%s:%s\n", request->headers[i].name, request->headers[i].value);
    }
    el_buffer_append_char(out, '\n');
    append_names(request, out);
    el_buffer_printf(out, "\n%s", request->payload);
}

void s3_signing_key(const struct s3_signed *request, const char *secret, uint8_t key[32])
{
    struct el_slice words[] = {el_slice_of(request->date, DAY_LEN), el_slice_str(request->region),
                               el_slice_str(request->service), el_slice_str("aws4_request")};
    size_t len = strlen(secret) + 4;
    uint8_t first[256];
    EL_ASSERT(len <= sizeof first);
    memcpy(first, "AWS4", 4);
    memcpy(first + 4, secret, len - 4);
    el_hmac_sha256_long(el_slice_of(first, len), words[0], key);
    explicit_bzero(first, sizeof first);
    for (size_t i = 1; i < sizeof words / sizeof words[0]; i++) {
        uint8_t next[32];
        el_hmac_sha256(key, words[i], next);
        memcpy(key, next, sizeof next);
        explicit_bzero(next, sizeof next);
    }
}

void s3_sign(const struct s3_signed *request, const struct s3_credentials *with, struct el_buffer *out)
{
    struct el_buffer text = {.err = 0};
    uint8_t digest[32], key[32];
    char hex[65];
    EL_ASSERT(strlen(request->date) == S3_DATE_LEN);
    canonical(request, &text);
    el_sha256(text.data, text.err == 0 ? text.len : 0, digest);
    el_hex(hex, digest, sizeof digest);
    int err = text.err;
    el_buffer_reset(&text);
    el_buffer_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.*s/%s/%s/aws4_request\n%s", request->date, DAY_LEN, request->date,
                     request->region, request->service, hex);
    err = err != 0 ? err : text.err;
    if (err == 0) {
        s3_signing_key(request, with->secret_key, key);
        el_hmac_sha256(key, el_buffer_slice(&text), digest);
        explicit_bzero(key, sizeof key);
        el_hex(hex, digest, sizeof digest);
        el_buffer_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%.*s/%s/%s/aws4_request,SignedHeaders=", with->access_key,
                         DAY_LEN, request->date, request->region, request->service);
        append_names(request, out);
        el_buffer_printf(out, ",Signature=%s", hex);
    }
    out->err = out->err != 0 ? out->err : err;
    el_buffer_free(&text);
}
