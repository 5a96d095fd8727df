/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: AES-256-GCM and HMAC equal the published vectors, and nothing but the very bytes that were sealed is opened.
 */
#include "../../lib/test.h"

#include <core/aead.h>
#include <core/crypto.h>
#include <evlog/error.h>

#include <string.h>

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < 2 * len; i++) {
        uint8_t digit = (uint8_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
    }
    return len;
}

static void check(const char *key_hex, const char *nonce_hex, const char *aad_hex, const char *text_hex,
                  const char *sealed_hex)
{
    uint8_t key[32], nonce[12], aad[64], text[128], expected[144], sealed[144], opened[128];
    (void)from_hex(key_hex, key);
    (void)from_hex(nonce_hex, nonce);
    struct el_aead with = {key, nonce, el_slice_of(aad, from_hex(aad_hex, aad))};
    size_t len = from_hex(text_hex, text);
    assert_int_equal(from_hex(sealed_hex, expected), len + EL_AEAD_TAG_LEN);
    assert_int_equal(el_aead_seal(&with, el_slice_of(text, len), sealed), 0);
    assert_memory_equal(sealed, expected, len + EL_AEAD_TAG_LEN);
    assert_int_equal(el_aead_open(&with, el_slice_of(sealed, len + EL_AEAD_TAG_LEN), opened), 0);
    assert_memory_equal(opened, text, len);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16. */
TEST(aead, equals_published_vectors)
{
    static const char zero[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const char key[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    check(zero, "000000000000000000000000", "", "", "530f8afbc74536b9a963b4f1c4cb738b");
    check(zero, "000000000000000000000000", "", "00000000000000000000000000000000",
          "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919");
    check(key, "cafebabefacedbaddecaf888", "",
          "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
          "b16aedf5aa0de657ba637b391aafd255",
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
          "c5f61e6393ba7a0abcc9f662898015adb094dac5d93471bdec1a502270e3cc6c");
    check(key, "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
          "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525"
          "b16aedf5aa0de657ba637b39",
          "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838"
          "c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
}

TEST(aead, opens_nothing_that_is_not_what_was_sealed)
{
    uint8_t key[32] = {1}, nonce[12] = {2}, aad[8] = {3}, sealed[21 + EL_AEAD_TAG_LEN], text[21];
    static const uint8_t zero[21];
    struct el_aead with = {key, nonce, el_slice_of(aad, sizeof aad)};
    struct el_slice whole = el_slice_of(sealed, sizeof sealed);
    assert_int_equal(el_aead_seal(&with, el_slice_str("what nobody may alter"), sealed), 0);
    uint8_t *const parts[] = {key, nonce, aad, sealed};
    const size_t lens[] = {sizeof key, sizeof nonce, sizeof aad, sizeof sealed};
    for (size_t part = 0; part < 4; part++) {
        for (size_t bit = 0; bit < 8 * lens[part]; bit++) {
            parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
            memset(text, 'x', sizeof text);
            assert_int_equal(el_aead_open(&with, whole, text), EVLOG_ERR_CORRUPT);
            assert_memory_equal(text, zero, sizeof text);
            parts[part][bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    for (size_t len = 0; len < sizeof sealed; len++) {
        assert_int_equal(el_aead_open(&with, el_slice_of(sealed, len), text), EVLOG_ERR_CORRUPT);
    }
    assert_int_equal(el_aead_open(&with, whole, text), 0);
}

/* RFC 4231, test cases 1 and 2, their keys filled up with zeros to 32 bytes, which HMAC does itself. */
TEST(aead, hmac_equals_published_vectors)
{
    uint8_t key[32], mac[32];
    char hex[65];
    memset(key, 0, sizeof key);
    memset(key, 0x0b, 20);
    el_hmac_sha256(key, el_slice_str("Hi There"), mac);
    el_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    memset(key, 0, sizeof key);
    memcpy(key, "Jefe", 4);
    el_hmac_sha256(key, el_slice_str("what do ya want for nothing?"), mac);
    el_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t longer[131];
    memset(longer, 0xaa, sizeof longer);
    el_hmac_sha256_long(el_slice_of(longer, sizeof longer),
                        el_slice_str("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    el_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(aead, random_bytes_differ)
{
    uint8_t a[32], b[32];
    assert_int_equal(el_random_fill(a, sizeof a), 0);
    assert_int_equal(el_random_fill(b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
}

TEST(aead, md5_equals_published_vectors)
{
    uint8_t digest[16];
    char hex[33];
    el_md5("", 0, digest);
    el_hex(hex, digest, sizeof digest);
    assert_string_equal(hex, "d41d8cd98f00b204e9800998ecf8427e");
    el_md5("message digest", 14, digest);
    el_hex(hex, digest, sizeof digest);
    assert_string_equal(hex, "f96b697d7cb7938d525a2f31aaf161d0");
}
