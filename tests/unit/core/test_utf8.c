/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: exactly the well-formed sequences of the Unicode standard, table 3-7, are accepted.
 * Method: every code point there and back; the classic malformed ones; every two-byte sequence against the rule.
 */
#include "../../lib/test.h"

#include <core/utf8.h>

#include <string.h>

static size_t encode(uint32_t point, uint8_t out[4])
{
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

TEST(utf8, every_code_point_and_nothing_else)
{
    for (uint32_t point = 0; point < 0x120000; point += point < 0x11000 ? 1 : 61) {
        uint8_t bytes[4];
        uint32_t found = 0xdead;
        size_t len = encode(point, bytes);
        bool fair = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        assert_int_equal(el_utf8_next(bytes, len, &found), fair ? len : 0);
        assert_int_equal(found, fair ? point : 0xdead);
        assert_int_equal(el_utf8_valid(bytes, len), fair);
        uint8_t again[4];
        assert_true(!fair || (el_utf8_put(point, again) == len && memcmp(again, bytes, len) == 0));
        for (size_t cut = 0; cut < len; cut++) {
            assert_int_equal(el_utf8_next(bytes, cut, &found), 0);
        }
    }
}

TEST(utf8, malformed_sequences_are_refused)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xc3",
        "\xe2\x82",
        "\xf0\x9f\x98",
        "\xc3\x28",
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "\xf8\x88\x80\x80\x80",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];
        assert_false(el_utf8_valid(bad[i], strlen(bad[i])));
        for (size_t before = 0; before < 20; before++) { /* at every place of the eight-byte step */
            memset(text, 'a', sizeof(text));
            memcpy(text + before, bad[i], strlen(bad[i]));
            assert_false(el_utf8_valid(text, sizeof(text)));
        }
    }
}

TEST(utf8, plain_and_mixed_text_is_accepted)
{
    static const char text[] = "Zeitz\xc3\xa4hler, \xe2\x82\xac 5, \xf0\x9f\x98\x80, plain text behind it";
    assert_true(el_utf8_valid(text, strlen(text)));
    assert_true(el_utf8_valid("a\0b", 3));
    assert_true(el_utf8_valid(NULL, 0));
}

TEST(utf8, letters_fold_to_lower_case_and_nothing_else_does)
{
    static const uint32_t pairs[][2] = {
        {'A', 'a'},     {'Z', 'z'},       {0xc4, 0xe4},   {0xde, 0xfe},     {0x100, 0x101},   {0x178, 0xff},
        {0x179, 0x17a}, {0x1a0, 0x1a1},   {0x1af, 0x1b0}, {0x218, 0x219},   {0x386, 0x3ac},   {0x391, 0x3b1},
        {0x3a9, 0x3c9}, {0x3c2, 0x3c3},   {0x401, 0x451}, {0x416, 0x436},   {0x490, 0x491},   {0x4c0, 0x4cf},
        {0x531, 0x561}, {0x1e00, 0x1e01}, {0x1e9e, 0xdf}, {0x1ef8, 0x1ef9}, {0xff21, 0xff41},
    };
    static const uint32_t own[] = {0,     '@',   '[',   '0',   0xd7,  0xdf,   0xe4,
                                   0x130, 0x131, 0x138, 0x149, 0x3a2, 0x4e00, 0x1f600};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(el_utf8_fold(pairs[i][0]), pairs[i][1]);
    }
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        assert_int_equal(el_utf8_fold(own[i]), own[i]);
    }
    for (uint32_t point = 0; point < 0x11000; point++) { /* once folded is folded for good */
        uint32_t folded = el_utf8_fold(point);
        assert_int_equal(el_utf8_fold(folded), folded);
    }
}
