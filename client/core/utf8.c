/* SPDX-License-Identifier: Apache-2.0 */
#include <core/assert.h>
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

size_t el_utf8_put(uint32_t point, uint8_t *out)
{
    EL_ASSERT(point <= 0x10ffff);
    EL_ASSERT(point < 0xd800 || point > 0xdfff);
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xc0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 0x3f));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xe0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (point & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (point & 0x3f));
    return 4;
}

#define FOLD_PAIRS 0 /* upper and lower case alternate, the first one is upper case */

/* Runs of upper case letters in ascending order, and how far their lower case lies from them. */
static const struct fold_run {
    uint16_t first, last;
    int32_t distance;
} fold_runs[] = {
    {0x0041, 0x005a, 32},         {0x00b5, 0x00b5, 775},        {0x00c0, 0x00d6, 32},
    {0x00d8, 0x00de, 32},         {0x0100, 0x012f, FOLD_PAIRS}, {0x0132, 0x0137, FOLD_PAIRS},
    {0x0139, 0x0148, FOLD_PAIRS}, {0x014a, 0x0177, FOLD_PAIRS}, {0x0178, 0x0178, -121},
    {0x0179, 0x017e, FOLD_PAIRS}, {0x018f, 0x018f, 202},        {0x01a0, 0x01a5, FOLD_PAIRS},
    {0x01af, 0x01b0, FOLD_PAIRS}, {0x01cd, 0x01dc, FOLD_PAIRS}, {0x01de, 0x01ef, FOLD_PAIRS},
    {0x01f4, 0x01f5, FOLD_PAIRS}, {0x01f8, 0x021f, FOLD_PAIRS}, {0x0222, 0x0233, FOLD_PAIRS},
    {0x0386, 0x0386, 38},         {0x0388, 0x038a, 37},         {0x038c, 0x038c, 64},
    {0x038e, 0x038f, 63},         {0x0391, 0x03a1, 32},         {0x03a3, 0x03ab, 32},
    {0x03c2, 0x03c2, 1},          {0x0400, 0x040f, 80},         {0x0410, 0x042f, 32},
    {0x0460, 0x0481, FOLD_PAIRS}, {0x048a, 0x04bf, FOLD_PAIRS}, {0x04c0, 0x04c0, 15},
    {0x04c1, 0x04ce, FOLD_PAIRS}, {0x04d0, 0x052f, FOLD_PAIRS}, {0x0531, 0x0556, 48},
    {0x1e00, 0x1e95, FOLD_PAIRS}, {0x1e9e, 0x1e9e, -7615},      {0x1ea0, 0x1eff, FOLD_PAIRS},
    {0xff21, 0xff3a, 32},
};

uint32_t el_utf8_fold(uint32_t point)
{
    if (point < 0x80) {
        return point >= 'A' && point <= 'Z' ? point + 32 : point;
    }
    size_t low = 0, high = sizeof fold_runs / sizeof fold_runs[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct fold_run *run = &fold_runs[middle];
        if (point > run->last) {
            low = middle + 1;
        } else if (point < run->first) {
            high = middle;
        } else if (run->distance == FOLD_PAIRS) {
            return point + (((point - run->first) & 1) == 0);
        } else {
            return (uint32_t)((int32_t)point + run->distance);
        }
    }
    return point;
}
