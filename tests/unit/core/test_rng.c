/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a seed repeats exactly, on every machine; bounded numbers are even.
 */
#include "../../lib/test.h"

#include <core/rng.h>

TEST(rng, sequence_of_a_seed_is_frozen)
{
    /* splitmix64(0) starts with these published values; they are the state of seed 0. */
    struct el_rng rng;
    el_rng_seed(&rng, 0);
    assert_true(rng.s[0] == 0xe220a8397b1dcdafull);
    assert_true(rng.s[1] == 0x6e789e6aa1b965f4ull);
    assert_true(rng.s[2] == 0x06c45d188009454full);
    assert_true(rng.s[3] == 0xf88bb8a8724c81ecull);
    assert_true(el_rng_next(&rng) == 0x99ec5f36cb75f2b4ull);
    /* The generator's own example: state 1, 2, 3, 4. */
    rng = (struct el_rng){{1, 2, 3, 4}};
    assert_true(el_rng_next(&rng) == 11520);
    assert_true(el_rng_next(&rng) == 0);
    assert_true(el_rng_next(&rng) == 1509978240);
}

TEST(rng, below_stays_below_and_is_even)
{
    struct el_rng rng;
    size_t counts[7] = {0};
    el_rng_seed(&rng, 5);
    for (int i = 0; i < 70000; i++) {
        counts[el_rng_below(&rng, 7)]++;
    }
    for (int i = 0; i < 7; i++) {
        assert_true(counts[i] > 9500 && counts[i] < 10500);
    }
    assert_int_equal(el_rng_below(&rng, 1), 0);
    for (int i = 0; i < 1000; i++) {
        assert_true(el_rng_below(&rng, (1ull << 63) + 1) <= 1ull << 63);
    }
}

TEST(rng, chance_keeps_its_ends)
{
    struct el_rng rng;
    size_t count = 0;
    el_rng_seed(&rng, 6);
    for (int i = 0; i < 100000; i++) {
        assert_false(el_rng_chance(&rng, 0));
        assert_true(el_rng_chance(&rng, 1000000));
        count += el_rng_chance(&rng, 250000) ? 1 : 0;
    }
    assert_true(count > 24000 && count < 26000);
}

static void below_zero(void *arg)
{
    (void)el_rng_below(arg, 0);
}

TEST(rng, bound_zero_stops_the_program)
{
    struct el_rng rng;
    el_rng_seed(&rng, 1);
    assert_true(el_test_aborts(below_zero, &rng));
}
