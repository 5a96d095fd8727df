/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: append times rise whatever the machine's clock does, and follow it only as fast as decided.
 * Method: readings are made up: drifts, jumps forward (true and false ones) and back, a suspend; random walks against
 * the rules; two threads that take times while a third ticks.
 */
#include "../../lib/test.h"

#include <core/clock.h>
#include <core/rng.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define S 1000000000ull
#define DAY (86400 * S)

static const uint64_t noon = 1772366400ull * S; /* 2026-03-01T12:00:00Z */

static void start(struct el_clock *clock, uint64_t floor_ns, uint64_t real_ns)
{
    assert_int_equal(el_clock_start(clock, floor_ns, real_ns, 5 * S, false, NULL), 0);
}

TEST(clock, start_far_from_the_last_time_is_refused)
{
    struct el_clock clock;
    struct el_error err = {0};
    assert_int_equal(el_clock_start(&clock, noon, noon - DAY - 1, 0, false, &err), EVLOG_ERR_POLICY);
    assert_non_null(strstr(err.text, "--accept-clock"));
    assert_non_null(strstr(err.text, "2026-03-01T12:00:00.000Z"));
    assert_non_null(strstr(err.text, "2026-02-28T11:59:59.999Z"));
    assert_int_equal(el_clock_start(&clock, noon, noon + 3653 * DAY, 0, false, &err), EVLOG_ERR_POLICY);
    assert_non_null(strstr(err.text, "ten years"));
    assert_int_equal(el_clock_start(&clock, noon, 0, 0, false, NULL), EVLOG_ERR_POLICY);
    assert_int_equal(el_clock_start(&clock, noon, UINT64_MAX, 0, false, &err), EVLOG_ERR_POLICY);
}

/* Or the next time would not be above it. */
TEST(clock, start_behind_a_time_that_no_event_has_is_refused_whatever_the_flag_says)
{
    static const uint64_t times[] = {EL_CLOCK_END_NS, INT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        struct el_clock clock;
        struct el_error err = {0};
        assert_int_equal(el_clock_start(&clock, times[i], noon, 0, true, &err), EVLOG_ERR_CORRUPT);
        assert_non_null(strstr(err.text, "no event was appended at"));
    }
    struct el_clock clock;
    assert_int_equal(el_clock_start(&clock, EL_CLOCK_END_NS - 1, noon, 0, true, NULL), 0);
    assert_true(el_clock_next(&clock) == EL_CLOCK_END_NS);
}

TEST(clock, start_near_the_last_time_or_with_the_flag_works)
{
    struct el_clock clock;
    start(&clock, noon, noon - DAY);
    assert_true(el_clock_next(&clock) == noon + 1);
    start(&clock, noon, noon + 3652 * DAY);
    assert_true(el_clock_next(&clock) == noon + 3652 * DAY);
    start(&clock, 0, noon); /* nothing stored: nothing to compare with */
    assert_true(el_clock_next(&clock) == noon);
    assert_int_equal(el_clock_start(&clock, noon, noon - 400 * DAY, 0, true, NULL), 0);
    assert_true(el_clock_next(&clock) == noon + 1);
    assert_true(el_clock_now(&clock) == noon - 400 * DAY);
    assert_int_equal(el_clock_start(&clock, noon, noon + 4000 * DAY, 0, true, NULL), 0);
    assert_true(el_clock_next(&clock) == noon + 4000 * DAY);
}

TEST(clock, times_rise_within_one_tick)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    assert_true(el_clock_next(&clock) == noon);
    assert_true(el_clock_next(&clock) == noon + 1);
    assert_true(el_clock_next(&clock) == noon + 2);
    assert_true(el_clock_last(&clock) == noon + 2);
    assert_true(el_clock_now(&clock) == noon);
    el_clock_tick(&clock, noon + S, 6 * S);
    assert_true(el_clock_next(&clock) == noon + S);
}

TEST(clock, raise_lifts_the_floor_and_never_lowers_it)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    el_clock_raise(&clock, noon + 500);
    assert_true(el_clock_last(&clock) == noon + 500);
    el_clock_raise(&clock, noon + 100);
    assert_true(el_clock_last(&clock) == noon + 500);
    assert_true(el_clock_next(&clock) == noon + 501);
    assert_true(el_clock_now(&clock) == noon);
}

TEST(clock, small_error_is_slewed_at_500_ppm)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    /* Real time is 10 ms ahead at once, then runs evenly: 500 us per second are caught up, 20 s in all. */
    for (uint64_t ms = 1; ms <= 19000; ms++) {
        el_clock_tick(&clock, noon + 10000000 + ms * 1000000, 5 * S + ms * 1000000);
        assert_true(el_clock_now(&clock) == noon + ms * 1000500);
    }
    assert_true(el_clock_error_ns(&clock) == 500000);
    for (uint64_t ms = 19001; ms <= 21000; ms++) {
        el_clock_tick(&clock, noon + 10000000 + ms * 1000000, 5 * S + ms * 1000000);
    }
    assert_true(el_clock_error_ns(&clock) == 0);
    assert_true(el_clock_now(&clock) == noon + 10000000 + 21 * S);
}

TEST(clock, slew_does_not_depend_on_how_often_it_ticks)
{
    struct el_clock often, seldom;
    start(&often, 0, noon);
    start(&seldom, 0, noon);
    for (uint64_t us = 1; us <= 100000; us++) { /* 0.5 ns per tick: the parts must add up */
        el_clock_tick(&often, noon + S + us * 1000, 5 * S + us * 1000);
    }
    el_clock_tick(&seldom, noon + S + 100000000, 5 * S + 100000000);
    assert_true(el_clock_now(&often) == el_clock_now(&seldom));
    assert_true(el_clock_now(&seldom) == noon + 100050000);
}

TEST(clock, unused_slew_is_not_saved_up)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    for (uint64_t s = 1; s <= 1000; s++) {
        el_clock_tick(&clock, noon + s * S, (5 + s) * S);
    }
    assert_true(el_clock_now(&clock) == noon + 1000 * S);
    el_clock_tick(&clock, noon + 1011 * S, 1006 * S); /* ten seconds ahead */
    assert_true(el_clock_now(&clock) == noon + 1001 * S + 500000);
}

TEST(clock, jump_back_only_slows_it)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    uint64_t before = el_clock_next(&clock);
    for (uint64_t s = 1; s <= 200; s++) {
        el_clock_tick(&clock, noon - DAY + s * S, (5 + s) * S);
        assert_true(el_clock_now(&clock) == noon + s * (S - 500000));
        uint64_t next = el_clock_next(&clock);
        assert_true(next > before);
        before = next;
    }
    assert_true(el_clock_error_ns(&clock) < -(int64_t)(86399 * S));
}

TEST(clock, jump_forward_counts_after_two_readings_a_minute_apart)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    for (uint64_t s = 1; s <= 60; s++) {
        el_clock_tick(&clock, noon + 3600 * S + s * S, (5 + s) * S);
        assert_true(el_clock_now(&clock) == noon + s * S); /* by the boot clock alone */
    }
    assert_true(el_clock_error_ns(&clock) == (int64_t)(3600 * S));
    el_clock_tick(&clock, noon + 3661 * S, 66 * S);
    assert_true(el_clock_now(&clock) == noon + 3661 * S);
    assert_true(el_clock_error_ns(&clock) == 0);
}

TEST(clock, jump_forward_that_is_taken_back_leaves_nothing)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    for (uint64_t s = 1; s <= 59; s++) {
        el_clock_tick(&clock, noon + 3650 * DAY + s * S, (5 + s) * S);
    }
    el_clock_tick(&clock, noon + 60 * S, 65 * S); /* corrected in time */
    assert_true(el_clock_now(&clock) == noon + 60 * S);
    el_clock_tick(&clock, noon + 3650 * DAY + 61 * S, 66 * S); /* again: a new first reading */
    assert_true(el_clock_now(&clock) == noon + 61 * S);
    el_clock_tick(&clock, noon + 3650 * DAY + 120 * S, 125 * S);
    assert_true(el_clock_now(&clock) == noon + 120 * S);
}

TEST(clock, jumps_that_disagree_start_the_minute_anew)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    for (uint64_t s = 1; s <= 1000; s++) { /* every 30 s it says something else */
        el_clock_tick(&clock, noon + (3600 + s / 30 * 100) * S + s * S, (5 + s) * S);
        assert_true(el_clock_now(&clock) == noon + s * S);
    }
}

TEST(clock, suspend_is_no_jump)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    el_clock_tick(&clock, noon + 9 * 3600 * S, (5 + 9 * 3600) * S); /* both clocks went on */
    assert_true(el_clock_now(&clock) == noon + 9 * 3600 * S);
}

TEST(clock, late_reading_is_ignored)
{
    struct el_clock clock;
    start(&clock, 0, noon);
    el_clock_tick(&clock, noon + 2 * S, 7 * S);
    el_clock_tick(&clock, noon + S, 6 * S);
    el_clock_tick(&clock, noon + 50 * S, 7 * S);
    assert_true(el_clock_now(&clock) == noon + 2 * S);
}

TEST(clock, random_readings_never_break_the_rules)
{
    struct el_rng rng;
    struct el_clock clock;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t boot = 5 * S, offset = noon, estimate, last = 0;
        el_rng_seed(&rng, seed);
        start(&clock, 0, noon + boot);
        estimate = noon + boot;
        for (int i = 0; i < 5000; i++) {
            uint64_t elapsed = el_rng_below(&rng, el_rng_chance(&rng, 10000) ? 100 * S : S / 10);
            boot += elapsed;
            if (el_rng_chance(&rng, 5000)) {
                offset = noon - 30 * DAY + el_rng_below(&rng, 60 * DAY);
            } else {
                offset += el_rng_below(&rng, 2001) - 1000;
            }
            el_clock_tick(&clock, offset + boot, boot);
            uint64_t now = el_clock_now(&clock);
            uint64_t slew_max = elapsed / 2000 + 1;
            bool stepped = now == offset + boot;
            assert_true(now >= estimate + elapsed - slew_max);
            assert_true(stepped || now <= estimate + elapsed + slew_max);
            estimate = now;
            uint64_t next = el_clock_next(&clock);
            assert_true(next > last && next >= now);
            last = next;
        }
    }
}

struct taker {
    struct el_clock *clock;
    uint64_t *times;
    pthread_t thread;
};
#define TAKES 50000

static void *take_times(void *arg)
{
    struct taker *taker = arg;
    for (size_t i = 0; i < TAKES; i++) {
        taker->times[i] = el_clock_next(taker->clock);
        if (i % 16 == 0) {
            el_clock_tick(taker->clock, noon + i * 100, 5 * S + i * 100);
        }
    }
    return NULL;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

TEST(clock, threads_never_get_the_same_time)
{
    struct el_clock clock;
    struct taker takers[3];
    uint64_t *times = calloc((size_t)3 * TAKES, sizeof(*times));
    assert_non_null(times);
    start(&clock, 0, noon);
    for (size_t i = 0; i < 3; i++) {
        takers[i] = (struct taker){.clock = &clock, .times = times + i * TAKES};
        assert_int_equal(pthread_create(&takers[i].thread, NULL, take_times, &takers[i]), 0);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(takers[i].thread, NULL), 0);
        for (size_t k = 1; k < TAKES; k++) {
            assert_true(takers[i].times[k] > takers[i].times[k - 1]);
        }
    }
    qsort(times, (size_t)3 * TAKES, sizeof(*times), compare_times);
    for (size_t k = 1; k < (size_t)3 * TAKES; k++) {
        assert_true(times[k] != times[k - 1]);
    }
    free(times);
}
