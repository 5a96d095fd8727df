/* SPDX-License-Identifier: Apache-2.0
 *
 * Small seeded generator (xoshiro256**, Blackman and Vigna) for simulation, jitter and tests. Not for secrets.
 */
#ifndef EL_CORE_RNG_H
#define EL_CORE_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct el_rng {
    uint64_t s[4];
};

void el_rng_seed(struct el_rng *rng, uint64_t seed);
uint64_t el_rng_next(struct el_rng *rng);
/* Uniform in [0, bound); bound > 0. */
uint64_t el_rng_below(struct el_rng *rng, uint64_t bound);
/* True with probability ppm / 1,000,000. */
bool el_rng_chance(struct el_rng *rng, uint32_t ppm);

#endif
