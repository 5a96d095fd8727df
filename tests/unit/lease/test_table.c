/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what a session does not hold it cannot settle; one that fails holds up its key and nothing else; time and
 * attempts are counted as the rules say. Method: one table, a clock that only the test moves.
 */
#include "table_kit.h"

static struct kit k;

static void open_with(struct lease_rules rules)
{
    kit_open(&k, &rules, 0);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(lease_table, refuses_an_outcome_for_what_was_never_leased)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 1);
    for (int kind = LEASE_ACCEPT; kind <= LEASE_FAIL; kind++) {
        assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, (enum lease_outcome_kind)kind), EVLOG_ERR_ARGUMENT);
        assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, (enum lease_outcome_kind)kind), EVLOG_ERR_ARGUMENT);
        assert_int_equal(kit_settle(&k, KIT_SESSION, 2, 2, (enum lease_outcome_kind)kind), EVLOG_ERR_ARGUMENT);
    }
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_GAP), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, INT64_MAX, INT64_MAX, LEASE_GAP), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_READY);
    assert_false(lease_dirty(k.t));
    kit_close(&k);
}

TEST(lease_table, refuses_an_outcome_for_somebody_elses_lease)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_take_one(&k, 8, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_EXTEND), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, 8, 0, 0, LEASE_ACCEPT), 0);
    kit_close(&k);
}

TEST(lease_table, refuses_a_second_outcome_before_and_after_the_write)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    kit_write_begin(&k);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    kit_write_end(&k, true);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_REJECT), EVLOG_ERR_ARGUMENT);
    /* Below the start as well: it is not the log that has lost it. */
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    kit_close(&k);
}

TEST(lease_table, refuses_an_outcome_when_the_lease_has_ended_whether_or_not_a_tick_saw_it)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    k.now.mono_ns += 30000ull * 1000000;
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_EXTEND), EVLOG_ERR_ARGUMENT);
    k.now.mono_ns -= 1;
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_EXTEND), 0);
    kit_pass(&k, 29999);
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_LEASED);
    kit_pass(&k, 1);
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_BACKOFF);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    kit_close(&k);
}

TEST(lease_table, takes_all_outcomes_or_none)
{
    open_with(kit_rules());
    for (int64_t i = 0; i < 6; i++) {
        kit_add(&k, i, (uint64_t)i + 1);
    }
    kit_take(&k, KIT_SESSION, 4, 4);
    kit_take(&k, 8, 1, 1);
    struct lease_outcome outcomes[3] = {{.first = 0, .last = 1, .kind = LEASE_ACCEPT},
                                        {.first = 2, .last = 2, .kind = LEASE_FAIL, .delay_ms = -1},
                                        {.first = 3, .last = 4, .kind = LEASE_REJECT}};
    assert_int_equal(lease_settle(k.t, KIT_SESSION, outcomes, 3, k.now), EVLOG_ERR_ARGUMENT);
    outcomes[2].last = 3;
    outcomes[1].delay_ms = -2;
    assert_int_equal(lease_settle(k.t, KIT_SESSION, outcomes, 3, k.now), EVLOG_ERR_ARGUMENT);
    outcomes[1].delay_ms = LEASE_DELAY_MS_MAX + 1;
    assert_int_equal(lease_settle(k.t, KIT_SESSION, outcomes, 3, k.now), EVLOG_ERR_ARGUMENT);
    outcomes[1].delay_ms = -1;
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_LEASED], 5);
    assert_int_equal(lease_settle(k.t, KIT_SESSION, outcomes, 3, k.now), 0);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_SETTLING);
    assert_int_equal(kit_state(&k, 2), LEASE_STATE_BACKOFF);
    assert_int_equal(kit_state(&k, 3), LEASE_STATE_DYING);
    assert_int_equal(kit_state(&k, 4), LEASE_STATE_LEASED);
    kit_close(&k);
}

TEST(lease_table, refuses_ranges_that_overlap_fall_or_are_turned_round)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    kit_take(&k, KIT_SESSION, 2, 2);
    struct lease_outcome twice[2] = {{.first = 0, .last = 1, .kind = LEASE_ACCEPT},
                                     {.first = 1, .last = 1, .kind = LEASE_REJECT}};
    struct lease_outcome falling[2] = {{.first = 1, .last = 1, .kind = LEASE_ACCEPT},
                                       {.first = 0, .last = 0, .kind = LEASE_ACCEPT}};
    assert_int_equal(lease_settle(k.t, KIT_SESSION, twice, 2, k.now), EVLOG_ERR_ARGUMENT);
    assert_int_equal(lease_settle(k.t, KIT_SESSION, falling, 2, k.now), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, -1, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, INT64_MAX, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_LEASED], 2);
    kit_close(&k);
}

TEST(lease_table, lets_only_a_gap_cover_offsets_without_an_event)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_add(&k, 3, 2);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 3, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 2, LEASE_RELEASE), EVLOG_ERR_ARGUMENT);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 2, LEASE_GAP), 0);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_LEASED], 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 3, LEASE_GAP), 0);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_SETTLING], 2);
    kit_close(&k);
}

TEST(lease_table, leaves_out_acknowledgements_below_the_logs_start)
{
    open_with(kit_rules());
    for (int64_t i = 0; i < 4; i++) {
        kit_add(&k, i, (uint64_t)i + 1);
    }
    kit_take(&k, KIT_SESSION, 4, 4);
    assert_true(lease_set_start(k.t, 2, k.now));
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 3, LEASE_ACCEPT), 0);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_SETTLING], 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 1, LEASE_ACCEPT), 0);
    kit_close(&k);
}

TEST(lease_table, takes_back_no_lease_that_is_not_the_sessions_any_more)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    assert_false(lease_unacquire(k.t, KIT_SESSION, 0, k.now));
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_false(lease_unacquire(k.t, 8, 0, k.now));
    kit_pass(&k, 30000);
    assert_false(lease_unacquire(k.t, KIT_SESSION, 0, k.now));
    assert_true(lease_set_start(k.t, 1, k.now));
    assert_false(lease_unacquire(k.t, KIT_SESSION, 0, k.now));
    kit_close(&k);
}

TEST(lease_table, keeps_the_order_while_entries_are_there)
{
    open_with(kit_rules());
    struct lease_rules rules = kit_rules();
    rules.order = LEASE_ORDER_NONE;
    kit_add(&k, 0, 1);
    assert_int_equal(lease_set_rules(k.t, &rules), EVLOG_ERR_AGAIN);
    assert_int_equal(lease_rules_of(k.t)->order, LEASE_ORDER_KEY);
    assert_true(lease_set_start(k.t, 1, k.now));
    assert_int_equal(lease_set_rules(k.t, &rules), 0);
    assert_int_equal(lease_rules_of(k.t)->order, LEASE_ORDER_NONE);
    kit_close(&k);
}

/* --- order -------------------------------------------------------------------------------------------------------- */

TEST(lease_table, only_the_failing_key_waits)
{
    open_with(kit_rules());
    for (int64_t i = 0; i < 9; i++) {
        kit_add(&k, i, (uint64_t)(i % 3) + 1);
    }
    kit_take(&k, KIT_SESSION, 64, 3);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 2, LEASE_ACCEPT), 0);
    kit_take(&k, KIT_SESSION, 64, 0);
    kit_write(&k);
    assert_int_equal(kit_take(&k, KIT_SESSION, 64, 2), 4);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 4, 5, LEASE_ACCEPT), 0);
    kit_write(&k);
    assert_int_equal(kit_take(&k, KIT_SESSION, 64, 2), 7);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 7, 8, LEASE_ACCEPT), 0);
    kit_write(&k);
    struct lease_why why;
    assert_true(lease_why(k.t, 1, &why));
    assert_int_equal(why.offset, 0);
    assert_int_equal(why.state, LEASE_STATE_BACKOFF);
    assert_int_equal(why.behind, 2);
    assert_int_equal(why.attempts, 1);
    assert_true(why.due_ns == k.now.mono_ns + 1000000000u);
    assert_false(lease_why(k.t, 2, &why));
    kit_pass(&k, 1000);
    kit_take_one(&k, KIT_SESSION, 0, 2);
    assert_true(lease_why(k.t, 1, &why));
    assert_true(why.session == KIT_SESSION);
    kit_close(&k);
}

TEST(lease_table, the_next_of_a_key_comes_when_the_outcome_is_durable_and_not_before)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_take(&k, KIT_SESSION, 1, 0);
    kit_write_begin(&k);
    kit_take(&k, KIT_SESSION, 1, 0);
    kit_write_end(&k, false);
    kit_take(&k, KIT_SESSION, 1, 0);
    assert_true(lease_dirty(k.t));
    kit_write(&k);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    kit_close(&k);
}

TEST(lease_table, events_without_a_key_wait_for_nothing)
{
    open_with(kit_rules());
    for (int64_t i = 0; i < 5; i++) {
        kit_add(&k, i, 0);
    }
    kit_take(&k, KIT_SESSION, 64, 5);
    struct lease_why why;
    assert_false(lease_why(k.t, 0, &why));
    kit_close(&k);
}

TEST(lease_table, order_by_partition_has_one_event_in_flight)
{
    struct lease_rules rules = kit_rules();
    rules.order = LEASE_ORDER_PARTITION;
    open_with(rules);
    for (int64_t i = 0; i < 5; i++) {
        kit_add(&k, i, (uint64_t)i);
    }
    for (int64_t i = 0; i < 5; i++) {
        struct lease_why why;
        assert_true(lease_why(k.t, 99, &why));
        assert_int_equal(why.offset, i);
        assert_int_equal(why.behind, 4 - i);
        assert_int_equal(kit_take(&k, KIT_SESSION, 64, 1), i);
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i, LEASE_ACCEPT), 0);
        kit_write(&k);
    }
    kit_close(&k);
}

TEST(lease_table, without_order_events_of_a_key_are_leased_together)
{
    struct lease_rules rules = kit_rules();
    rules.order = LEASE_ORDER_NONE;
    open_with(rules);
    for (int64_t i = 0; i < 5; i++) {
        kit_add(&k, i, 1);
    }
    kit_take(&k, KIT_SESSION, 64, 5);
    kit_close(&k);
}

/* --- leasing ------------------------------------------------------------------------------------------------------ */

TEST(lease_table, leases_the_lowest_offsets_and_no_more_than_may_be_in_flight)
{
    struct lease_rules rules = kit_rules();
    rules.inflight_max = 3;
    open_with(rules);
    for (int64_t i = 0; i < 5; i++) {
        kit_add(&k, i * 10, 0);
    }
    assert_int_equal(kit_take(&k, KIT_SESSION, 64, 3), 0);
    assert_false(lease_ready(k.t));
    assert_int_equal(kit_settle(&k, KIT_SESSION, 10, 10, LEASE_RELEASE), 0);
    assert_true(lease_ready(k.t));
    kit_take_one(&k, KIT_SESSION, 10, 2);
    /* What waits for its retry is not in flight. */
    assert_int_equal(kit_settle(&k, KIT_SESSION, 10, 10, LEASE_FAIL), 0);
    kit_take_one(&k, KIT_SESSION, 30, 1);
    kit_close(&k);
}

TEST(lease_table, what_did_not_fit_into_the_answer_was_never_leased)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    for (int i = 0; i < 5; i++) {
        kit_take_one(&k, KIT_SESSION, 0, 1);
        assert_true(lease_unacquire(k.t, KIT_SESSION, 0, k.now));
    }
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_READY);
    kit_close(&k);
}

TEST(lease_table, a_session_that_ends_gives_back_its_own_leases_and_the_deliveries_count)
{
    open_with(kit_rules());
    for (int64_t i = 0; i < 4; i++) {
        kit_add(&k, i, 0);
    }
    kit_take(&k, KIT_SESSION, 2, 2);
    kit_take(&k, 8, 2, 2);
    lease_release_session(k.t, KIT_SESSION, k.now);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_READY], 2);
    assert_int_equal(kit_state(&k, 2), LEASE_STATE_LEASED);
    kit_take_one(&k, 8, 0, 2);
    kit_close(&k);
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

TEST(lease_table, backoff_doubles_up_to_its_bound_and_a_worker_may_name_its_own)
{
    struct lease_rules rules = kit_rules();
    static const int64_t waits[] = {1000, 2000, 4000, 8000, 10000, 10000};
    rules.attempts_max = -1;
    open_with(rules);
    kit_add(&k, 0, 1);
    for (uint32_t i = 0; i < sizeof(waits) / sizeof(*waits); i++) {
        kit_take_one(&k, KIT_SESSION, 0, i + 1);
        assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
        assert_true(lease_tick(k.t, k.now) == k.now.mono_ns + (uint64_t)waits[i] * 1000000);
        kit_pass(&k, waits[i] - 1);
        assert_int_equal(kit_state(&k, 0), LEASE_STATE_BACKOFF);
        kit_pass(&k, 1);
        assert_int_equal(kit_state(&k, 0), LEASE_STATE_READY);
    }
    kit_take_one(&k, KIT_SESSION, 0, 7);
    struct lease_outcome own = {.first = 0, .last = 0, .kind = LEASE_FAIL, .delay_ms = 250};
    assert_int_equal(lease_settle(k.t, KIT_SESSION, &own, 1, k.now), 0);
    kit_pass(&k, 249);
    kit_take(&k, KIT_SESSION, 1, 0);
    kit_pass(&k, 1);
    kit_take_one(&k, KIT_SESSION, 0, 8);
    own.delay_ms = 0;
    assert_int_equal(lease_settle(k.t, KIT_SESSION, &own, 1, k.now), 0);
    kit_take_one(&k, KIT_SESSION, 0, 9);
    kit_close(&k);
}

TEST(lease_table, jitter_draws_from_more_than_nothing_to_the_whole_backoff)
{
    struct lease_rules rules = kit_rules();
    rules.full_jitter = true;
    open_with(rules);
    static const uint64_t draws[][2] = {{0, 1}, {UINT64_MAX, 1000000000}, {1ull << 63, 500000001}};
    for (int64_t i = 0; i < 3; i++) {
        kit_add(&k, i, 0);
        kit_take_one(&k, KIT_SESSION, i, 1);
        k.draw = draws[i][0];
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i, LEASE_FAIL), 0);
        assert_true(lease_tick(k.t, k.now) == k.now.mono_ns + draws[i][1]);
        kit_pass(&k, 1000);
        kit_take_one(&k, KIT_SESSION, i, 2);
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i, LEASE_ACCEPT), 0);
    }
    kit_close(&k);
}

TEST(lease_table, an_event_dies_after_its_last_attempt_whatever_ended_it)
{
    for (int how = 0; how < 4; how++) {
        struct lease_dead dead;
        open_with(kit_rules());
        kit_add(&k, 0, 1);
        for (uint32_t attempt = 1; attempt <= 3; attempt++) {
            assert_false(lease_next_dying(k.t, &dead));
            kit_take_one(&k, KIT_SESSION, 0, attempt);
            if (how == 0) {
                assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
            } else if (how == 1) {
                assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_RELEASE), 0);
            } else if (how == 2) {
                lease_release_session(k.t, KIT_SESSION, k.now);
            }
            kit_pass(&k, 30000);
            kit_pass(&k, 10000);
        }
        assert_true(lease_next_dying(k.t, &dead));
        assert_int_equal(dead.offset, 0);
        assert_int_equal(dead.attempts, 3);
        assert_int_equal(dead.death, LEASE_DEATH_EXHAUSTED);
        kit_close(&k);
    }
}

TEST(lease_table, an_old_event_is_tried_once_and_not_again)
{
    struct lease_rules rules = kit_rules();
    struct lease_dead dead;
    rules.age_max_ms = 60000;
    open_with(rules);
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_RELEASE), 0);
    kit_pass(&k, 60001);
    /* The first was tried and is too old when it would be leased again; the second never was. */
    kit_take_one(&k, KIT_SESSION, 1, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_FAIL), 0);
    for (int64_t i = 0; i < 2; i++) {
        assert_true(lease_next_dying(k.t, &dead));
        assert_int_equal(dead.offset, i);
        assert_int_equal(dead.death, LEASE_DEATH_TOO_OLD);
    }
    kit_close(&k);
}

TEST(lease_table, halts_at_an_exhausted_event_until_it_is_resumed)
{
    struct lease_rules rules = kit_rules();
    rules.attempts_max = 1;
    rules.on_exhausted = LEASE_HALT;
    open_with(rules);
    for (int64_t i = 0; i < 3; i++) {
        kit_add(&k, i, 0);
    }
    assert_int_equal(lease_halted(k.t), -1);
    kit_take(&k, KIT_SESSION, 2, 2);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
    assert_int_equal(lease_halted(k.t), 0);
    assert_false(lease_ready(k.t));
    kit_take(&k, KIT_SESSION, 1, 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), 0);
    lease_resume(k.t, k.now);
    assert_int_equal(lease_halted(k.t), -1);
    assert_false(lease_ready(k.t)); /* before it is durable that all attempts are there again */
    kit_write(&k);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
    assert_int_equal(lease_halted(k.t), 0);
    rules.on_exhausted = LEASE_SKIP;
    assert_int_equal(lease_set_rules(k.t, &rules), 0);
    struct lease_dead dead;
    assert_true(lease_next_dying(k.t, &dead));
    assert_int_equal(dead.offset, 0);
    kit_take_one(&k, KIT_SESSION, 2, 1);
    kit_close(&k);
}

/* --- delays ------------------------------------------------------------------------------------------------------- */

TEST(lease_table, a_delayed_event_holds_its_key_until_the_wall_clock_says_so)
{
    open_with(kit_rules());
    struct lease_record record = {.offset = 0, .key_hash = 1, .not_before_ms = k.now.wall_ms + 5000};
    assert_int_equal(lease_add(k.t, &record, k.now), 0);
    kit_add(&k, 1, 1);
    kit_add(&k, 2, 2);
    assert_true(lease_tick(k.t, k.now) == k.now.mono_ns + 5000000000ull);
    kit_take_one(&k, KIT_SESSION, 2, 1);
    /* The wall clock is set back, then forth. */
    k.now.wall_ms -= 100000;
    kit_pass(&k, 5000);
    kit_take(&k, KIT_SESSION, 1, 0);
    k.now.wall_ms += 100000;
    assert_true(lease_tick(k.t, k.now) == k.now.mono_ns + 25000000000ull);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    k.now.wall_ms -= 100000;
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_RELEASE), 0);
    kit_take_one(&k, KIT_SESSION, 0, 2);
    kit_close(&k);
}

TEST(lease_table, a_delay_that_is_over_when_the_event_becomes_first_delays_nothing)
{
    open_with(kit_rules());
    kit_add(&k, 0, 1);
    struct lease_record record = {.offset = 1, .key_hash = 1, .not_before_ms = k.now.wall_ms + 5000};
    assert_int_equal(lease_add(k.t, &record, k.now), 0);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_pass(&k, 6000);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
    kit_write(&k);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    kit_close(&k);
}

TEST(lease_table, a_tick_does_a_bounded_number_and_says_that_there_is_more)
{
    struct lease_rules rules = kit_rules();
    rules.inflight_max = 10000;
    open_with(rules);
    for (int64_t i = 0; i < 3000; i++) {
        kit_add(&k, i, 0);
    }
    for (int i = 0; i < 3000; i += 60) {
        kit_take(&k, KIT_SESSION, 60, 60);
    }
    k.now.mono_ns += 30000000000ull;
    assert_true(lease_tick(k.t, k.now) == k.now.mono_ns);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_BACKOFF], LEASE_STEP_MAX);
    assert_true(lease_tick(k.t, k.now) == k.now.mono_ns);
    assert_true(lease_tick(k.t, k.now) == k.now.mono_ns + 1000000000u);
    assert_int_equal(lease_counts(k.t).of[LEASE_STATE_BACKOFF], 3000);
    kit_close(&k);
}
