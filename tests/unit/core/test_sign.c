/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: nothing but the very bytes that were signed verifies; files are openssl's, both ways.
 * Method: what must be refused; keys and signatures of RFC 6979 and RFC 8032; files written by openssl, equal byte for
 * byte to what is written here; every bit of a signature and of a signed text changed.
 */
#include "../../lib/test.h"
#include "../../lib/test_keys.h"

#include <core/base64.h>
#include <core/buffer.h>
#include <core/sign.h>
#include <evlog/error.h>

#include <stdio.h>
#include <string.h>

#define TEXT "what is signed"
#define CURVE_BLOCK "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

static size_t from_hex(const char *hex, uint8_t *bytes)
{
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < 2 * len; i++) {
        uint8_t digit = (uint8_t)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | digit);
    }
    return len;
}

static int parse(const char *pem, size_t *count)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    struct el_error err = {0};
    int rc = el_private_keys_parse(el_slice_str(pem), keys, count, &err);
    for (size_t i = 0; rc == 0 && i < *count; i++) {
        el_private_key_free(keys[i]);
    }
    assert_true(rc == 0 || err.text[0] != '\0');
    return rc;
}

static int parse_public(const char *pem, size_t *count)
{
    struct el_public_key keys[EL_SIGN_KEYS_MAX];
    struct el_error err = {0};
    int rc = el_public_keys_parse(el_slice_str(pem), keys, count, &err);
    assert_true(rc == 0 || err.text[0] != '\0');
    return rc;
}

static struct el_private_key *key_of(const char *pem)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    size_t count = 0;
    struct el_error err;
    int rc = el_private_keys_parse(el_slice_str(pem), keys, &count, &err);
    assert_int_equal(rc, 0);
    assert_int_equal(count, 1);
    return keys[0];
}

/* A PKCS#8 block of these bytes. */
static const char *block_of(const char *label, const char *der_hex)
{
    static char text[2048];
    char encoded[1024];
    uint8_t der[512];
    el_base64_encode(encoded, der, from_hex(der_hex, der));
    (void)snprintf(text, sizeof(text), "-----BEGIN %s-----\n%s\n-----END %s-----\n", label, encoded, label);
    return text;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

static const char bad_x[] = "-----BEGIN PRIVATE KEY-----\n"
                            "MC4CAQAwBQYDK2VuBCIEIIjWErFtmxRNrbIbU0u0rEJFo2hKCNs+HekWAclHSTh5\n"
                            "-----END PRIVATE KEY-----\n";
static const char bad_p384[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDB/K918pp3sNgXyo4U5\n"
                               "p2jNqZdnDWUb13lUKEOioOBH2X7x/JvlgkTYTb4mqNCBw9ChZANiAASpOc7psdqP\n"
                               "SO/ZnXj/sFjJe7cT6Lz8bA4oDh9bUM8Rl09rQ6ErCOw7CFmy5rAAX5L+jy7t0Ycn\n"
                               "lqq0BO+Ha+qF4i9O16c+Iva993J7w2Srb9bDvNVwMsVasRlmWBB3kWQ=\n"
                               "-----END PRIVATE KEY-----\n";
static const char bad_expl[] = "-----BEGIN PRIVATE KEY-----\n"
                               "MIIBeQIBADCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAAB\n"
                               "AAAAAAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA\n"
                               "///////////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMV\n"
                               "AMSdNgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg\n"
                               "9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8A\n"
                               "AAAA//////////+85vqtpxeehPO5ysL8YyVRAgEBBG0wawIBAQQgmaq4BGn4ymts\n"
                               "KMTXlM+3EgDvBXRpUG8euPuxJiPGWOGhRANCAAT6VUSxfFVqwCGHb2pV6URqUbyl\n"
                               "AkzTJQo0rAQRzrT6VPCnf/QvP0J+vg9pTrcVqqNiYTkepGGaaK27yb54A/Th\n"
                               "-----END PRIVATE KEY-----\n";
static const char bad_enc[] = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
                              "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgyH0pMImNXMwICCAAw\n"
                              "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEENIlETlarVNmfGzp5CczjyIEgZBL\n"
                              "RsxKtPsRHIWdohT/xLMMt6wLBvvtP/WGdKYQ+NhlcZeIFK3qsUB2CHYYbjFy2JPn\n"
                              "Ee74IJp2h2OZLyABUrffqs4s5Pg1Jjxdz4uUM0A65Ph4+TPXM8WwNewTDi4UDl5y\n"
                              "gC/s3gcexzuw06WZRoqQjgZYwM7EQN79EpsSNW3AZ1PBaTEN2eHLUuAHtaFmFLg=\n"
                              "-----END ENCRYPTED PRIVATE KEY-----\n";
static const char bad_compressed[] = "-----BEGIN PUBLIC KEY-----\n"
                                     "MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgAD8t5pj9WSjLXn+YUV9lYr5zCYWT79\n"
                                     "MZRxxhJVAp2MaO8=\n"
                                     "-----END PUBLIC KEY-----\n";

TEST(sign, other_private_keys_are_refused_with_a_reason)
{
    size_t count = 99;
    assert_int_equal(parse(bad_x, &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(parse(bad_p384, &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(parse(bad_expl, &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(parse(bad_enc, &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(parse(TEST_KEY_P256_PUBLIC, &count), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse(block_of("CERTIFICATE", "3000"), &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(count, 99);
}

TEST(sign, damaged_private_keys_are_refused)
{
    size_t count = 99;
    static const char *const bad[] = {
        "",
        "\n\n",
        "# nothing but a comment\n",
        "-----BEGIN PRIVATE KEY-----\n",
        "garbage\n",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END EC PRIVATE KEY-----\n",
        "----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n",
        TEST_KEY_ED25519 "x\n",
        "x\n" TEST_KEY_ED25519,
        TEST_KEY_ED25519 TEST_KEY_ED25519,
        TEST_KEY_P256 TEST_KEY_ED25519 TEST_KEY_P256,
        CURVE_BLOCK,
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i], &count), EVLOG_ERR_MALFORMED);
    }
    assert_int_equal(count, 99);
}

TEST(sign, private_keys_that_are_no_numbers_of_the_curve_are_refused)
{
    size_t count;
    static const char head[] = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
    static const char *const scalars[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    };
    char hex[256];
    for (size_t i = 0; i < 3; i++) {
        (void)snprintf(hex, sizeof(hex), "%s%s", head, scalars[i]);
        assert_int_equal(parse(block_of("PRIVATE KEY", hex), &count), EVLOG_ERR_MALFORMED);
    }
    (void)snprintf(hex, sizeof(hex), "%s%s", head, "0000000000000000000000000000000000000000000000000000000000000001");
    assert_int_equal(parse(block_of("PRIVATE KEY", hex), &count), 0);
}

/* One bit of the public key that a file states, or of the secret it belongs to. */
TEST(sign, a_private_key_with_another_public_key_is_refused)
{
    size_t count;
    const char *v2 = "3051020101300506032b657004220420"
                     "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
                     "812100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    char hex[256];
    assert_int_equal(parse(block_of("PRIVATE KEY", v2), &count), 0);
    (void)snprintf(hex, sizeof(hex), "%s", v2);
    hex[strlen(hex) - 1] = 'b';
    assert_int_equal(parse(block_of("PRIVATE KEY", hex), &count), EVLOG_ERR_MALFORMED);
    (void)snprintf(hex, sizeof(hex), "%s", v2);
    hex[40] ^= 1;
    assert_int_equal(parse(block_of("PRIVATE KEY", hex), &count), EVLOG_ERR_MALFORMED);
}

/* Whatever is changed in the file of a key: it is refused, or it is the key of another secret. */
TEST(sign, no_changed_byte_of_a_key_file_gives_the_same_key)
{
    static const char *const files[] = {TEST_KEY_P256, TEST_KEY_ED25519, TEST_KEY_P256_OLD};
    struct el_public_key truth, found;
    for (size_t f = 0; f < 3; f++) {
        char text[512];
        /* the block that names the curve once more is passed over */
        size_t len = strlen(files[f]), accepted = 0, start = f == 2 ? strlen(CURVE_BLOCK) : 0;
        struct el_private_key *key = key_of(files[f]);
        el_private_key_public(key, &truth);
        el_private_key_free(key);
        for (size_t i = start; i < len; i++) {
            struct el_private_key *keys[EL_SIGN_KEYS_MAX];
            size_t count = 0;
            memcpy(text, files[f], len);
            text[i] ^= 2;
            if (el_private_keys_parse(el_slice_of(text, len), keys, &count, NULL) != 0) {
                continue;
            }
            accepted++;
            assert_int_equal(count, 1);
            el_private_key_public(keys[0], &found);
            el_private_key_free(keys[0]);
            assert_true(found.len != truth.len || memcmp(found.bytes, truth.bytes, truth.len) != 0);
        }
        assert_true(accepted == 0 || f == 1); /* an Ed25519 file holds the secret alone: any 32 bytes are one */
    }
}

TEST(sign, other_public_keys_are_refused)
{
    size_t count = 99;
    assert_int_equal(parse_public("", &count), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse_public(TEST_KEY_P256, &count), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse_public(TEST_KEY_P256_OLD, &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(parse_public(bad_compressed, &count), EVLOG_ERR_MALFORMED);
    assert_int_equal(parse_public(TEST_KEY_P256_PUBLIC TEST_KEY_P256_PUBLIC, &count), EVLOG_ERR_MALFORMED);
    /* not on the curve; of small order; P-384's name; something behind the key */
    assert_int_equal(
        parse_public(block_of("PUBLIC KEY", "3059301306072a8648ce3d020106082a8648ce3d0301070342000460fed4ba255a9d31c961"
                                            "eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e95628"
                                            "bc64f2f1b20c2d7e9f5177a3c294d4462298"),
                     &count),
        EVLOG_ERR_MALFORMED);
    assert_int_equal(parse_public(block_of("PUBLIC KEY", "302a300506032b6570032100010000000000000000000000000000000000"
                                                         "0000000000000000000000000000"),
                                  &count),
                     EVLOG_ERR_MALFORMED);
    assert_int_equal(parse_public(block_of("PUBLIC KEY", "300a300506032b6571030100"), &count), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(parse_public(block_of("PUBLIC KEY", "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee1"
                                                         "72f3daa62325af021a68f707511a00"),
                                  &count),
                     EVLOG_ERR_MALFORMED);
    assert_int_equal(count, 99);
}

TEST(sign, a_text_of_nine_keys_is_refused)
{
    struct el_buffer all = {0}, publics = {0};
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    struct el_public_key pub, pubs[EL_SIGN_KEYS_MAX];
    char text[EL_SIGN_PEM_MAX];
    size_t count = 0;
    for (size_t i = 0; i < EL_SIGN_KEYS_MAX + 1; i++) {
        struct el_private_key *key;
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
        assert_int_equal(el_private_key_pem(key, text, sizeof(text)), 0);
        el_buffer_append_str(&all, text);
        el_private_key_public(key, &pub);
        assert_int_equal(el_public_key_pem(&pub, text, sizeof(text)), 0);
        el_buffer_append_str(&publics, text);
        el_private_key_free(key);
        int rc = el_private_keys_parse(el_buffer_slice(&all), keys, &count, NULL);
        int public_rc = el_public_keys_parse(el_buffer_slice(&publics), pubs, &count, NULL);
        assert_int_equal(rc, i < EL_SIGN_KEYS_MAX ? 0 : EVLOG_ERR_LIMIT);
        assert_int_equal(public_rc, rc);
        for (size_t k = 0; rc == 0 && k < count; k++) {
            el_private_key_free(keys[k]);
        }
    }
    assert_int_equal(count, EL_SIGN_KEYS_MAX);
    el_buffer_free(&all);
    el_buffer_free(&publics);
}

static void every_change_is_refused(const struct el_private_key *key)
{
    struct el_public_key pub;
    uint8_t sig[EL_SIGN_SIGNATURE_MAX + 1], text[] = TEXT;
    size_t len;
    el_private_key_public(key, &pub);
    assert_int_equal(el_sign(key, TEXT, sizeof(text), sig, &len), 0);
    assert_true(el_sign_verify(&pub, text, sizeof(text), sig, len));
    for (size_t bit = 0; bit < 8 * len; bit++) {
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(el_sign_verify(&pub, text, sizeof(text), sig, len));
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] ^= 0x10;
        assert_false(el_sign_verify(&pub, text, sizeof(text), sig, len));
        text[i] ^= 0x10;
    }
    sig[len] = 0;
    assert_false(el_sign_verify(&pub, text, sizeof(text), sig, len + 1));
    assert_false(el_sign_verify(&pub, text, sizeof(text), sig, len - 1));
    assert_false(el_sign_verify(&pub, text, sizeof(text), sig, 0));
    assert_false(el_sign_verify(&pub, text, sizeof(text) - 1, sig, len));
}

TEST(sign, every_changed_bit_is_refused)
{
    struct el_private_key *p256 = key_of(TEST_KEY_P256), *ed25519 = key_of(TEST_KEY_ED25519);
    every_change_is_refused(p256);
    every_change_is_refused(ed25519);
    el_private_key_free(p256);
    el_private_key_free(ed25519);
}

/* Two numbers that stand for one signature in looser readings: longer lengths, zeros in front, a zero number. */
TEST(sign, ecdsa_signatures_have_one_encoding)
{
    static const char key_text[] = TEST_KEY_P256;
    struct el_private_key *key = key_of(key_text);
    struct el_public_key pub;
    uint8_t sig[EL_SIGN_SIGNATURE_MAX], other[EL_SIGN_SIGNATURE_MAX];
    size_t len;
    el_private_key_public(key, &pub);
    assert_int_equal(el_sign(key, TEXT, strlen(TEXT), sig, &len), 0);
    memcpy(other + 1, sig, len);
    other[0] = 0x30;
    other[1] = 0x81;
    other[2] = sig[1];
    assert_false(el_sign_verify(&pub, TEXT, strlen(TEXT), other, len + 1));
    memcpy(other, sig, 2);
    memcpy(other + 5, sig + 4, len - 4); /* one more zero in front of r */
    other[1]++;
    other[2] = 2;
    other[3] = (uint8_t)(sig[3] + 1);
    other[4] = 0;
    assert_false(el_sign_verify(&pub, TEXT, strlen(TEXT), other, len + 1));
    assert_false(el_sign_verify(&pub, TEXT, strlen(TEXT), (const uint8_t *)"\x30\x06\x02\x01\x00\x02\x01\x00", 8));
    el_private_key_free(key);
}

/* --- published values ------------------------------------------------------------------------------------------- */

/* RFC 6979 A.2.5: P-256, SHA-256, "sample" */
TEST(sign, ecdsa_equals_rfc_6979)
{
    struct el_private_key *key = key_of(
        block_of("PRIVATE KEY", "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420"
                                "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"));
    struct el_public_key pub;
    uint8_t expected[EL_SIGN_SIGNATURE_MAX], point[64], sig[EL_SIGN_SIGNATURE_MAX];
    size_t len;
    (void)from_hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
                   "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
                   point);
    el_private_key_public(key, &pub);
    assert_int_equal(pub.len, 91);
    assert_memory_equal(pub.bytes + 27, point, 64);
    assert_int_equal(el_sign(key, "sample", 6, sig, &len), 0);
    assert_int_equal(len, from_hex("3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
                                   "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
                                   expected));
    assert_memory_equal(sig, expected, len);
    assert_true(el_sign_verify(&pub, "sample", 6, sig, len));
    el_private_key_free(key);
}

/* RFC 8032 7.1, test 1 */
TEST(sign, ed25519_equals_rfc_8032)
{
    struct el_private_key *key = key_of(block_of("PRIVATE KEY",
                                                 "302e020100300506032b657004220420"
                                                 "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
    struct el_public_key pub;
    uint8_t expected[64], sig[EL_SIGN_SIGNATURE_MAX];
    size_t len;
    el_private_key_public(key, &pub);
    (void)from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", expected);
    assert_int_equal(pub.len, 32);
    assert_memory_equal(pub.bytes, expected, 32);
    assert_int_equal(el_sign(key, "", 0, sig, &len), 0);
    assert_int_equal(len, from_hex("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
                                   "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
                                   expected));
    assert_memory_equal(sig, expected, 64);
    el_private_key_free(key);
}

/* --- files -------------------------------------------------------------------------------------------------------- */

static void files_equal(const char *private_pem, const char *public_pem, enum el_sign_kind kind)
{
    char text[EL_SIGN_PEM_MAX];
    struct el_public_key pub, parsed[EL_SIGN_KEYS_MAX];
    size_t count = 0;
    struct el_private_key *key = key_of(private_pem);
    assert_int_equal(el_private_key_pem(key, text, sizeof(text)), 0);
    assert_string_equal(text, private_pem);
    assert_int_equal(el_private_key_pem(key, text, strlen(private_pem) / 2), EVLOG_ERR_LIMIT);
    el_private_key_public(key, &pub);
    assert_int_equal(pub.kind, kind);
    assert_int_equal(el_public_key_pem(&pub, text, sizeof(text)), 0);
    assert_string_equal(text, public_pem);
    assert_int_equal(el_public_key_pem(&pub, text, strlen(public_pem) / 2), EVLOG_ERR_LIMIT);
    assert_int_equal(el_public_keys_parse(el_slice_str(public_pem), parsed, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(parsed[0].kind, kind);
    assert_int_equal(parsed[0].len, pub.len);
    assert_memory_equal(parsed[0].bytes, pub.bytes, pub.len);
    el_private_key_free(key);
}

TEST(sign, files_are_those_of_openssl)
{
    files_equal(TEST_KEY_P256, TEST_KEY_P256_PUBLIC, EL_SIGN_ECDSA_P256);
    files_equal(TEST_KEY_ED25519, TEST_KEY_ED25519_PUBLIC, EL_SIGN_ED25519);
}

TEST(sign, files_of_older_tools_are_read)
{
    char text[EL_SIGN_PEM_MAX];
    struct el_private_key *key = key_of(TEST_KEY_P256_OLD);
    struct el_public_key pub;
    el_private_key_public(key, &pub);
    assert_int_equal(el_public_key_pem(&pub, text, sizeof(text)), 0);
    assert_string_equal(text, TEST_KEY_P256_OLD_PUBLIC);
    el_private_key_free(key);
}

TEST(sign, several_keys_keep_their_order_between_comments)
{
    static const char pem[] = "# the archive's keys\r\n\n" TEST_KEY_ED25519 "\n#second\n" TEST_KEY_P256 "  \n";
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    struct el_public_key pubs[EL_SIGN_KEYS_MAX], pub;
    size_t count = 0;
    assert_int_equal(el_private_keys_parse(el_slice_str(pem), keys, &count, NULL), 0);
    assert_int_equal(count, 2);
    el_private_key_public(keys[0], &pub);
    assert_int_equal(pub.kind, EL_SIGN_ED25519);
    el_private_key_public(keys[1], &pub);
    assert_int_equal(pub.kind, EL_SIGN_ECDSA_P256);
    el_private_key_free(keys[0]);
    el_private_key_free(keys[1]);
    assert_int_equal(
        el_public_keys_parse(el_slice_str(TEST_KEY_P256_PUBLIC TEST_KEY_ED25519_PUBLIC), pubs, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(pubs[0].kind, EL_SIGN_ECDSA_P256);
    assert_int_equal(pubs[1].kind, EL_SIGN_ED25519);
}

TEST(sign, new_keys_differ_and_come_back_from_their_file)
{
    for (int kind = EL_SIGN_ED25519; kind <= EL_SIGN_ECDSA_P256; kind++) {
        struct el_private_key *a, *b, *again;
        struct el_public_key pub, other;
        char text[EL_SIGN_PEM_MAX];
        uint8_t sig[EL_SIGN_SIGNATURE_MAX], same[EL_SIGN_SIGNATURE_MAX];
        size_t len, same_len;
        assert_int_equal(el_private_key_make((enum el_sign_kind)kind, &a, NULL), 0);
        assert_int_equal(el_private_key_make((enum el_sign_kind)kind, &b, NULL), 0);
        el_private_key_public(a, &pub);
        el_private_key_public(b, &other);
        assert_int_equal(el_public_key_check(&pub), 0);
        assert_memory_not_equal(pub.bytes, other.bytes, pub.len);
        assert_int_equal(el_private_key_pem(a, text, sizeof(text)), 0);
        again = key_of(text);
        assert_int_equal(el_sign(a, TEXT, strlen(TEXT), sig, &len), 0);
        assert_int_equal(el_sign(again, TEXT, strlen(TEXT), same, &same_len), 0);
        assert_int_equal(len, same_len);
        assert_memory_equal(sig, same, len);
        assert_true(el_sign_verify(&pub, TEXT, strlen(TEXT), sig, len));
        assert_false(el_sign_verify(&other, TEXT, strlen(TEXT), sig, len));
        el_private_key_free(a);
        el_private_key_free(b);
        el_private_key_free(again);
    }
}

TEST_TORTURE(sign, short_memory_is_reported)
{
    struct el_private_key *keys[EL_SIGN_KEYS_MAX];
    size_t count = 0;
    struct el_error err;
    int rc = el_private_keys_parse(el_slice_str(TEST_KEY_P256 TEST_KEY_ED25519), keys, &count, &err);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    for (size_t i = 0; rc == 0 && i < count; i++) {
        el_private_key_free(keys[i]);
    }
}
