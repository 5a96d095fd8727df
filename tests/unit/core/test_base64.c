/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: one text for one content: what decodes is what would have been encoded.
 * Method: the vectors of RFC 4648; random bytes there and back; every single wrong character.
 */
#include "../../lib/test.h"

#include <core/base64.h>
#include <core/rng.h>
#include <evlog/error.h>

TEST(base64, malformed_text_is_refused)
{
    static const char *const bad[] = {
        "A",        "AA",   "AAA",  "A===", "====",  "=AAA", "AA=A", "AAAA=",      "AAAA====",
        "AA==AA==", "AB==", "AAB=", "AA A", "AAA\n", "AA-_", "AA*A", "\xc3\xa4==",
    };
    uint8_t out[16];
    size_t len = 99;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(el_base64_decode(bad[i], strlen(bad[i]), out, sizeof(out), &len), EVLOG_ERR_MALFORMED);
        assert_int_equal(len, 99);
    }
    assert_int_equal(el_base64_decode("AAAAAAAA", 8, out, 5, &len), EVLOG_ERR_LIMIT);
    assert_int_equal(el_base64_decode("AAAAAA==", 8, out, 3, &len), EVLOG_ERR_LIMIT);
    assert_int_equal(el_base64_decode("AAAAAA==", 8, out, 4, &len), 0);
}

TEST(base64, equals_rfc_4648)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16];
        uint8_t out[8];
        size_t len;
        el_base64_encode(text, rows[i][0], strlen(rows[i][0]));
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(el_base64_encoded_len(strlen(rows[i][0])), strlen(text));
        assert_int_equal(el_base64_decode(text, strlen(text), out, sizeof(out), &len), 0);
        assert_int_equal(len, strlen(rows[i][0]));
        assert_memory_equal(out, rows[i][0], len);
    }
}

TEST(base64, random_bytes_go_there_and_back)
{
    struct el_rng rng;
    el_rng_seed(&rng, 3);
    for (size_t len = 0; len < 100; len++) {
        uint8_t data[100], back[100];
        char text[140];
        size_t back_len;
        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)el_rng_next(&rng);
        }
        el_base64_encode(text, data, len);
        assert_int_equal(el_base64_decode(text, strlen(text), back, len, &back_len), 0);
        assert_int_equal(back_len, len);
        assert_memory_equal(back, data, len);
    }
}

TEST(base64, uuid_is_22_url_safe_characters)
{
    struct el_uuid uuid, back;
    char text[EL_UUID_TEXT_LEN + 1];
    memset(&uuid, 0xff, sizeof(uuid));
    el_uuid_format(text, &uuid);
    assert_string_equal(text, "_____________________w");
    memset(&uuid, 0, sizeof(uuid));
    uuid.bytes[15] = 1; /* Kafka's metadata topic id */
    el_uuid_format(text, &uuid);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_int_equal(el_uuid_parse(text, 22, &back), 0);
    assert_true(el_uuid_eq(&uuid, &back));
    for (int i = 0; i < 16; i++) {
        uuid.bytes[i] = (uint8_t)(0xf8 + i * 17);
    }
    el_uuid_format(text, &uuid);
    assert_int_equal(el_uuid_parse(text, 22, &back), 0);
    assert_true(el_uuid_eq(&uuid, &back));
}

TEST(base64, malformed_uuid_is_refused)
{
    struct el_uuid uuid;
    assert_int_equal(el_uuid_parse("AAAAAAAAAAAAAAAAAAAAA", 21, &uuid), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_uuid_parse("AAAAAAAAAAAAAAAAAAAAAAA", 23, &uuid), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_uuid_parse("AAAAAAAAAAAAAAAAAAAAAB", 22, &uuid), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_uuid_parse("AAAAAAAAAAAAAAAAAAAAA+", 22, &uuid), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_uuid_parse("AAAAAAAAAAAAAAAAAAAAA=", 22, &uuid), EVLOG_ERR_MALFORMED);
}
