/* SPDX-License-Identifier: Apache-2.0 */
#include <core/assert.h>
#include <core/rng.h>

/* The state is filled by splitmix64, as the authors of xoshiro advise: it never gives the all-zero state. */
void el_rng_seed(struct el_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ z >> 31;
    }
}

static uint64_t rotl(uint64_t v, int count)
{
    return v << count | v >> (64 - count);
}

uint64_t el_rng_next(struct el_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* Lemire's multiplication; the first (2^64 mod bound) low parts are drawn again, so every value is equally likely. */
uint64_t el_rng_below(struct el_rng *rng, uint64_t bound)
{
    EL_ASSERT(bound > 0);
    for (;;) {
        unsigned __int128 product = (unsigned __int128)el_rng_next(rng) * bound;
        uint64_t low = (uint64_t)product;
        if (low >= bound || low >= (0 - bound) % bound) {
            return (uint64_t)(product >> 64);
        }
    }
}

bool el_rng_chance(struct el_rng *rng, uint32_t ppm)
{
    return el_rng_below(rng, 1000000) < ppm;
}
