/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: checksums equal those of other implementations, on every path.
 * Method: published vectors; the SSE4.2 path against the table at every length around the sizes of its runs and at odd
 * addresses; a bit-by-bit CRC as the third opinion.
 */
#include "../../lib/test.h"

#include <core/hash.h>
#include <core/rng.h>

#include <stdlib.h>
#include <string.h>

static uint32_t crc_bitwise(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static uint8_t *random_bytes(size_t len, uint64_t seed)
{
    struct el_rng rng;
    uint8_t *data = malloc(len);
    assert_non_null(data);
    el_rng_seed(&rng, seed);
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)el_rng_next(&rng);
    }
    return data;
}

TEST(hash, crc32c_equals_rfc_3720_vectors)
{
    uint8_t data[48];
    memset(data, 0, 32);
    assert_int_equal(el_crc32c(0, data, 32), 0x8a9136aau);
    memset(data, 0xff, 32);
    assert_int_equal(el_crc32c(0, data, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) {
        data[i] = (uint8_t)i;
    }
    assert_int_equal(el_crc32c(0, data, 32), 0x46dd794eu);
    for (int i = 0; i < 32; i++) {
        data[i] = (uint8_t)(31 - i);
    }
    assert_int_equal(el_crc32c(0, data, 32), 0x113fdb5cu);
    assert_int_equal(el_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(el_crc32c_table(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(el_crc32c(0, NULL, 0), 0);
}

TEST(hash, crc32c_paths_agree_at_every_length)
{
    size_t len_max = 3 * 4096 + 2 * 3 * 256 + 64;
    uint8_t *data = random_bytes(len_max + 8, 1);
    for (size_t len = 0; len <= len_max; len += len < 1700 ? 1 : 37) {
        size_t skew = len % 8;
        uint32_t expected = el_crc32c_table(0x1234u, data + skew, len);
        assert_int_equal(el_crc32c(0x1234u, data + skew, len), expected);
        if (len < 1700) {
            assert_int_equal(crc_bitwise(0x1234u, data + skew, len), expected);
        }
    }
    free(data);
}

TEST(hash, crc32c_can_be_continued)
{
    uint8_t *data = random_bytes(40000, 2);
    uint32_t whole = el_crc32c(0, data, 40000);
    for (size_t cut = 0; cut <= 40000; cut += 997) {
        uint32_t crc = el_crc32c(0, data, cut);
        assert_int_equal(el_crc32c(crc, data + cut, 40000 - cut), whole);
    }
    free(data);
}

TEST(hash, crc32c_notices_every_flipped_bit)
{
    uint8_t *data = random_bytes(13000, 3);
    uint32_t whole = el_crc32c(0, data, 13000);
    for (size_t bit = 0; bit < (size_t)13000 * 8; bit += 101) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(el_crc32c(0, data, 13000), whole);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(data);
}

TEST(hash, murmur2_equals_the_java_client)
{
    static const struct {
        const char *key;
        int32_t hash;
    } rows[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal((int32_t)el_murmur2(rows[i].key, strlen(rows[i].key)), rows[i].hash);
    }
}

TEST(hash, murmur2_reads_bytes_as_unsigned)
{
    /* Java masks each byte with 0xff; a signed read would differ on the three tail bytes. */
    static const uint8_t high[] = {0xff, 0xfe, 0xfd};
    static const uint8_t low[] = {0x7f, 0x7e, 0x7d};
    assert_int_not_equal(el_murmur2(high, 3), el_murmur2(low, 3));
    assert_int_equal(el_murmur2(NULL, 0), 275646681u);
}

TEST(hash, xxh3_equals_the_published_value_of_nothing)
{
    assert_true(el_xxh3(NULL, 0) == 0x2d06800538d394c2u);
    assert_true(el_xxh3("", 0) == 0x2d06800538d394c2u);
    assert_true(el_xxh3("a", 1) != el_xxh3("b", 1));
}

TEST(hash, crc32_equals_published_vectors)
{
    assert_int_equal(el_crc32("", 0), 0);
    assert_int_equal(el_crc32("123456789", 9), 0xcbf43926u);
    assert_int_equal(el_crc32("The quick brown fox jumps over the lazy dog", 43), 0x414fa339u);
}

TEST(hash, fnv1a_equals_published_vectors)
{
    assert_int_equal(el_fnv1a("", 0), 0x811c9dc5u);
    assert_int_equal(el_fnv1a("a", 1), 0xe40c292cu);
    assert_int_equal(el_fnv1a("foobar", 6), 0xbf9cf968u);
}
