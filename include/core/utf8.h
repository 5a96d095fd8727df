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
/* Write a character; out has room for 4 bytes. point is at most U+10FFFF and no surrogate. returns its bytes */
size_t el_utf8_put(uint32_t point, uint8_t *out);
/* The lower case of a letter of the Latin, Greek, Cyrillic and Armenian scripts as today's languages use them, for
 * comparing without regard to case; any other character is its own. Always one character for one: sharp s is not ss. */
uint32_t el_utf8_fold(uint32_t point);

#endif
