/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64: the standard alphabet with padding for bytes in text, and the url-safe one without padding for ids, as Kafka
 * prints them. Pure functions.
 * Source: RFC 4648 sections 4 and 5.
 */
#ifndef EL_CORE_BASE64_H
#define EL_CORE_BASE64_H

#include <core/bytes.h>

#define EL_UUID_TEXT_LEN 22 /* characters, without the NUL */

/* Characters of len encoded bytes, without a NUL. */
static inline size_t el_base64_encoded_len(size_t len) { return (len + 2) / 3 * 4; }

/* Encode into text[el_base64_encoded_len(len) + 1], NUL-terminated. */
void el_base64_encode(char *text, const void *data, size_t len);
/* Decode text_len characters into out[out_max].
 *
 * Strict: padding is required, unused bits must be zero, nothing but the alphabet is allowed: one text for one content.
 * returns 0 and *out_len | EVLOG_ERR_MALFORMED | EVLOG_ERR_LIMIT more than out_max bytes
 */
int el_base64_decode(const char *text, size_t text_len, void *out, size_t out_max, size_t *out_len);

/* An id as 22 url-safe characters; text[EL_UUID_TEXT_LEN + 1]. */
void el_uuid_format(char *text, const struct el_uuid *uuid);
/* The way back; returns 0 | EVLOG_ERR_MALFORMED. */
int el_uuid_parse(const char *text, size_t text_len, struct el_uuid *uuid);

#endif
