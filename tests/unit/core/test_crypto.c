/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: SHA-256 equals FIPS 180-4, however the bytes are handed over.
 */
#include "../../lib/test.h"

#include <core/crypto.h>

#include <string.h>

static void check(const char *data, const char *expected)
{
    uint8_t digest[32];
    char text[65];
    el_sha256(data, strlen(data), digest);
    el_hex(text, digest, 32);
    assert_string_equal(text, expected);
    el_sha256_portable(data, strlen(data), digest);
    el_hex(text, digest, 32);
    assert_string_equal(text, expected);
}

TEST(crypto, sha256_equals_published_vectors)
{
    check("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(crypto, sha256_of_a_million_a)
{
    struct el_sha256 ctx;
    uint8_t digest[32];
    char text[65], block[1000];
    memset(block, 'a', sizeof(block));
    el_sha256_begin(&ctx);
    for (int i = 0; i < 1000; i++) {
        el_sha256_add(&ctx, block, sizeof(block));
    }
    el_sha256_end(&ctx, digest);
    el_hex(text, digest, 32);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(crypto, sha256_does_not_depend_on_the_cuts)
{
    uint8_t data[300], whole[32], parts[32];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * 31);
    }
    el_sha256(data, sizeof(data), whole);
    for (size_t cut = 0; cut <= sizeof(data); cut++) {
        struct el_sha256 ctx;
        el_sha256_begin(&ctx);
        el_sha256_add(&ctx, data, cut);
        el_sha256_add(&ctx, data + cut, sizeof(data) - cut);
        el_sha256_end(&ctx, parts);
        assert_memory_equal(parts, whole, 32);
    }
}

TEST(crypto, both_paths_agree_at_every_length)
{
    uint8_t data[700], fast[32], portable[32];
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (uint8_t)(i * i + 7);
    }
    for (size_t len = 0; len < 600; len++) {
        el_sha256(data + len % 16, len, fast);
        el_sha256_portable(data + len % 16, len, portable);
        assert_memory_equal(fast, portable, 32);
    }
}

TEST(crypto, hex_is_lower_case_and_ends)
{
    char text[9] = "xxxxxxxx";
    el_hex(text, "\x00\xff\x0a", 3);
    assert_string_equal(text, "00ff0a");
    el_hex(text, NULL, 0);
    assert_string_equal(text, "");
}
