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
