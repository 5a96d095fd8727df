/* SPDX-License-Identifier: Apache-2.0 */
#include <core/bytes.h>
#include <core/utf8.h>

/* Value of count continuation bytes behind the lead; false when one is not of the form 10xxxxxx. */
static bool continuation(const uint8_t *p, size_t count, uint32_t lead, uint32_t *point)
{
    uint32_t v = lead;
    for (size_t i = 1; i <= count; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return false;
        }
        v = v << 6 | (p[i] & 0x3fu);
    }
    *point = v;
    return true;
}

size_t el_utf8_next(const void *text, size_t len, uint32_t *point)
{
    const uint8_t *p = text;
    uint32_t v = 0;
    if (len == 0) {
        return 0;
    }
    if (p[0] < 0x80) {
        *point = p[0];
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf && len >= 2 && continuation(p, 1, p[0] & 0x1fu, &v)) {
        *point = v;
        return 2;
    }
    if ((p[0] & 0xf0) == 0xe0 && len >= 3 && continuation(p, 2, p[0] & 0x0fu, &v) && v >= 0x800 &&
        (v < 0xd800 || v > 0xdfff)) {
        *point = v;
        return 3;
    }
    if ((p[0] & 0xf8) == 0xf0 && len >= 4 && continuation(p, 3, p[0] & 0x07u, &v) && v >= 0x10000 && v <= 0x10ffff) {
        *point = v;
        return 4;
    }
    return 0;
}

bool el_utf8_valid(const void *text, size_t len)
{
    const uint8_t *p = text;
    size_t i = 0;
    while (i < len) {
        /* Eight plain ASCII bytes at once: most text is. */
        if (len - i >= 8 && (el_get_le64(p + i) & 0x8080808080808080u) == 0) {
            i += 8;
            continue;
        }
        uint32_t point;
        size_t char_len = el_utf8_next(p + i, len - i, &point);
        if (char_len == 0) {
            return false;
        }
        i += char_len;
    }
    return true;
}
