/* SPDX-License-Identifier: Apache-2.0
 *
 * XXH3 (from libxxhash), CRC-32C, and the hashes by which clients choose partitions. Pure functions, any thread.
 *
 * CRC-32C, reflected polynomial 0x82f63b78:
 * 1. with SSE4.2 and PCLMULQDQ: three runs of equal length at once, because the crc32 instruction takes three cycles
 *    but a new one can start each cycle; the three results are joined by carry-less multiplication
 * 2. else: eight bytes at a time through eight tables, made when the program starts
 *
 * Joining: a crc followed by n zero bytes is crc * x^(8n) mod P. The product of two reflected 32-bit numbers, read as a
 * reflected 64-bit number, is one power of x too high, and crc32 of those 64 bits multiplies by x^32 and reduces; so
 * the factor is x^(8n - 33) mod P. The table version checks these constants in the tests.
 *
 * Sources: Castagnoli, Braeuer and Herrmann 1993 (polynomial); Gopal and others, "Fast CRC computation for iSCSI
 * polynomial using CRC32 instruction", Intel 2011 (three runs); A. Appleby (murmur2); Apache Kafka, Utils.murmur2
 * (seed).
 */
#include <core/assert.h>
#include <core/bytes.h>
#include <core/hash.h>

#include <xxhash.h>

#if defined(__x86_64__)
#include <immintrin.h>
#include <xxh_x86dispatch.h>
#endif

#define CRC32C_POLY 0x82f63b78u
#define MURMUR2_SEED 0x9747b28cu

EL_STATIC_ASSERT(EL_XXH3_SECRET_LEN >= XXH3_SECRET_SIZE_MIN, "as long as the specification asks for");

/* xxh_x86dispatch.h turns this into the library's choice of the widest vectors that the processor has; without it the
 * Debian package's SSE2 code runs, at half the speed. */
uint64_t el_xxh3(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

struct el_hash128 el_xxh3_128(const void *data, size_t len, const uint8_t secret[EL_XXH3_SECRET_LEN])
{
    XXH128_hash_t hash = XXH3_128bits_withSecret(data, len, secret, EL_XXH3_SECRET_LEN);
    return (struct el_hash128){hash.low64, hash.high64};
}

/* crc_table[k][b]: crc of byte b followed by k zero bytes. */
static uint32_t crc_table[8][256];

__attribute__((constructor)) static void crc_table_make(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int i = 0; i < 8; i++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? CRC32C_POLY : 0);
        }
        crc_table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++) {
        for (uint32_t b = 0; b < 256; b++) {
            uint32_t before = crc_table[k - 1][b];
            crc_table[k][b] = before >> 8 ^ crc_table[0][before & 0xff];
        }
    }
}

uint32_t el_crc32c_table(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;
    crc = ~crc;
    for (; len >= 8; len -= 8, p += 8) {
        uint64_t v = el_get_le64(p) ^ crc;
        crc = crc_table[7][v & 0xff] ^ crc_table[6][v >> 8 & 0xff] ^ crc_table[5][v >> 16 & 0xff] ^
              crc_table[4][v >> 24 & 0xff] ^ crc_table[3][v >> 32 & 0xff] ^ crc_table[2][v >> 40 & 0xff] ^
              crc_table[1][v >> 48 & 0xff] ^ crc_table[0][v >> 56];
    }
    for (; len > 0; len--, p++) {
        crc = crc >> 8 ^ crc_table[0][(crc ^ *p) & 0xff];
    }
    return ~crc;
}

#if defined(__x86_64__)
/* Bytes of one run and x^(8n - 33) mod P for n = one run and n = two runs. */
struct crc_run {
    size_t len;
    uint32_t shift_one;
    uint32_t shift_two;
};

static const struct crc_run crc_run_long = {4096, 0x82f89c77, 0x54a86326};
static const struct crc_run crc_run_short = {256, 0xb9e02b86, 0xdd7e3b0c};

__attribute__((target("sse4.2,pclmul"))) static uint64_t crc_multiply(uint64_t crc, uint32_t factor)
{
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128(factor), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* Take triples of runs from *data as long as there are any. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t crc_triples(uint64_t crc, const uint8_t **data, size_t *len,
                                                                     const struct crc_run *run)
{
    const uint8_t *p = *data;
    size_t left = *len;
    for (; left >= 3 * run->len; left -= 3 * run->len, p += 3 * run->len) {
        uint64_t first = crc, second = 0, third = 0;
        for (size_t i = 0; i < run->len; i += 8) {
            first = _mm_crc32_u64(first, el_get_le64(p + i));
            second = _mm_crc32_u64(second, el_get_le64(p + run->len + i));
            third = _mm_crc32_u64(third, el_get_le64(p + 2 * run->len + i));
        }
        crc = third ^ _mm_crc32_u64(0, crc_multiply(first, run->shift_two) ^ crc_multiply(second, run->shift_one));
    }
    *data = p;
    *len = left;
    return crc;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_sse42(uint32_t start, const uint8_t *p, size_t len)
{
    uint64_t crc = ~start;
    crc = crc_triples(crc, &p, &len, &crc_run_long);
    crc = crc_triples(crc, &p, &len, &crc_run_short);
    for (; len >= 8; len -= 8, p += 8) {
        crc = _mm_crc32_u64(crc, el_get_le64(p));
    }
    for (; len > 0; len--, p++) {
        crc = _mm_crc32_u8((uint32_t)crc, *p);
    }
    return ~(uint32_t)crc;
}
#endif

uint32_t el_crc32c(uint32_t crc, const void *data, size_t len)
{
#if defined(__x86_64__)
    if (__builtin_expect(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"), 1)) {
        return crc32c_sse42(crc, data, len);
    }
#endif
    return el_crc32c_table(crc, data, len);
}

uint32_t el_murmur2(const void *data, size_t len)
{
    const uint32_t m = 0x5bd1e995;
    const uint8_t *p = data;
    uint32_t h = MURMUR2_SEED ^ (uint32_t)len;
    for (; len >= 4; len -= 4, p += 4) {
        uint32_t k = el_get_le32(p) * m;
        k = (k ^ k >> 24) * m;
        h = h * m ^ k;
    }
    if (len > 0) {
        uint32_t tail = 0;
        for (size_t i = len; i > 0; i--) {
            tail = tail << 8 | p[i - 1];
        }
        h = (h ^ tail) * m;
    }
    h = (h ^ h >> 13) * m;
    return h ^ h >> 15;
}

/* Four bits at a time: the keys are short, and a table of 64 bytes stays in the cache. */
uint32_t el_crc32(const void *data, size_t len)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *bytes = data;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < len; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

uint32_t el_fnv1a(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint32_t hash = 0x811c9dc5u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x01000193u;
    }
    return hash;
}
