/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8, strict: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Source: RFC 3629.
 */
#ifndef EL_CORE_UTF8_H
#define EL_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at text[0..len), 1 .. 4, and its code point; 0 when the bytes there are not UTF-8 or end too
 * early. point is written only on success. */
size_t el_utf8_next(const void *text, size_t len, uint32_t *point);
/* True when all len bytes are UTF-8; NUL bytes count as characters. */
bool el_utf8_valid(const void *text, size_t len);

#endif
