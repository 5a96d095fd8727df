/* SPDX-License-Identifier: Apache-2.0
 *
 * The search of evlog bisect. Goal: the guilty event is found whichever it is, in as few tries as halving takes, and
 * states that cannot be judged are stepped around, or left over as a range that holds it. Method: every guilty event of
 * every short row, with every pattern of states that cannot be judged.
 */
#include "../../../tools/evlog/bisect_search.h"
#include "../../lib/test.h"

/* Search among count events where guilty is the first bad one and bit i of skips means that state i cannot be judged.
 * returns tries */
static int search_for(struct bisect_search *search, uint64_t count, uint64_t guilty, uint64_t skips)
{
    uint64_t at, seen = 0;
    int tries = 0;
    bisect_begin(search, count);
    while (bisect_next(search, &at)) {
        assert_true(at > search->good && at < search->bad);
        assert_int_equal(seen >> at & 1, 0);
        seen |= 1ull << at;
        enum bisect_verdict verdict = (skips >> at & 1) != 0 ? BISECT_SKIP : at < guilty ? BISECT_GOOD : BISECT_BAD;
        assert_int_equal(bisect_note(search, at, verdict), 0);
        tries++;
    }
    return tries;
}

TEST(bisect, finds_every_event_by_halving)
{
    struct bisect_search search;
    for (uint64_t count = 1; count <= 60; count++) {
        int most = 0;
        while (1ull << most < count) {
            most++;
        }
        for (uint64_t guilty = 1; guilty <= count; guilty++) {
            assert_in_range(search_for(&search, count, guilty, 0), 0, most);
            assert_int_equal(search.bad, guilty);
            assert_int_equal(search.good, guilty - 1);
            bisect_end(&search);
        }
    }
}

TEST(bisect, steps_around_states_that_cannot_be_judged)
{
    struct bisect_search search;
    for (uint64_t guilty = 1; guilty <= 9; guilty++) {
        for (uint64_t skips = 0; skips < 1u << 9; skips++) {
            (void)search_for(&search, 9, guilty, skips);
            assert_true(search.good < guilty && guilty <= search.bad);
            for (uint64_t at = search.good + 1; at < search.bad; at++) {
                assert_int_equal(skips >> at & 1, 1); /* what is left over could not be judged */
            }
            bisect_end(&search);
        }
    }
}
