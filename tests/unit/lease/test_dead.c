/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: each event that dies is told once and holds its key until the dead-letter topic has it; events of parked keys
 * are checked before they are leased. Method: the test is the engine.
 */
#include "table_kit.h"

static struct kit k;

static void open_table(enum lease_order order)
{
    struct lease_rules rules = kit_rules();
    rules.order = order;
    rules.attempts_max = 1;
    rules.on_exhausted = LEASE_PARK;
    kit_open(&k, &rules, 0);
}

static void expect_dying(int64_t offset, enum lease_death death)
{
    struct lease_dead dead = {.offset = -1};
    assert_true(lease_next_dying(k.t, &dead));
    assert_int_equal(dead.offset, offset);
    assert_int_equal(dead.death, death);
}

static void expect_none_dying(void)
{
    struct lease_dead dead;
    assert_false(lease_next_dying(k.t, &dead));
}

TEST(lease_dead, refuses_what_was_not_told)
{
    open_table(LEASE_ORDER_KEY);
    kit_add(&k, 0, 1);
    assert_false(lease_dead_done(k.t, 0));
    assert_false(lease_dead_retry(k.t, 0));
    assert_false(lease_check_passed(k.t, 0, k.now));
    assert_false(lease_dead_done(k.t, 1));
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_REJECT), 0);
    assert_false(lease_dead_done(k.t, 0));
    expect_dying(0, LEASE_DEATH_REJECTED);
    assert_false(lease_check_passed(k.t, 0, k.now));
    assert_true(lease_dead_done(k.t, 0));
    assert_false(lease_dead_done(k.t, 0));
    kit_close(&k);
}

TEST(lease_dead, an_event_that_dies_cannot_be_acknowledged)
{
    open_table(LEASE_ORDER_KEY);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_pass(&k, 30000);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    expect_dying(0, LEASE_DEATH_EXHAUSTED);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    assert_true(lease_dead_done(k.t, 0));
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), EVLOG_ERR_ARGUMENT);
    kit_close(&k);
}

TEST(lease_dead, each_is_told_once_lowest_first_and_again_when_that_failed)
{
    open_table(LEASE_ORDER_KEY);
    for (int64_t i = 0; i < 3; i++) {
        kit_add(&k, i, (uint64_t)i + 1);
    }
    kit_take(&k, KIT_SESSION, 3, 3);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 2, LEASE_REJECT), 0);
    expect_dying(1, LEASE_DEATH_REJECTED);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_REJECT), 0);
    expect_dying(0, LEASE_DEATH_REJECTED);
    expect_dying(2, LEASE_DEATH_REJECTED);
    expect_none_dying();
    assert_true(lease_dead_retry(k.t, 2));
    expect_dying(2, LEASE_DEATH_REJECTED);
    expect_none_dying();
    kit_close(&k);
}

TEST(lease_dead, its_key_goes_on_when_it_is_durable_that_it_is_in_the_topic)
{
    open_table(LEASE_ORDER_KEY);
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_REJECT), 0);
    expect_dying(0, LEASE_DEATH_REJECTED);
    kit_write(&k);
    kit_take(&k, KIT_SESSION, 1, 0);
    assert_true(lease_dead_done(k.t, 0));
    kit_take(&k, KIT_SESSION, 1, 0);
    kit_write(&k);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    kit_close(&k);
}

TEST(lease_dead, an_intent_is_followed_after_a_restart_and_nobody_leases_the_event)
{
    open_table(LEASE_ORDER_KEY);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_REJECT), 0);
    kit_write(&k);
    kit_restart(&k);
    struct lease_record record = {.offset = 0, .key_hash = 1, .death = LEASE_DEATH_REJECTED, .passed = true};
    assert_int_equal(lease_add(k.t, &record, k.now), 0);
    kit_take(&k, KIT_SESSION, 1, 0);
    expect_dying(0, LEASE_DEATH_REJECTED);
    assert_true(lease_dead_done(k.t, 0));
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 1);
    kit_close(&k);
}

TEST(lease_dead, an_event_without_an_intent_whose_attempts_were_used_up_dies_after_a_restart)
{
    open_table(LEASE_ORDER_KEY);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_write(&k);
    kit_restart(&k);
    kit_add(&k, 0, 1);
    kit_take(&k, KIT_SESSION, 1, 0);
    expect_dying(0, LEASE_DEATH_EXHAUSTED);
    kit_close(&k);
}

TEST(lease_dead, what_was_told_may_vanish_below_the_logs_start)
{
    open_table(LEASE_ORDER_KEY);
    kit_add(&k, 0, 1);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_REJECT), 0);
    expect_dying(0, LEASE_DEATH_REJECTED);
    assert_true(lease_set_start(k.t, 1, k.now));
    assert_false(lease_dead_done(k.t, 0));
    assert_false(lease_dead_retry(k.t, 0));
    kit_close(&k);
}

/* --- parked keys -------------------------------------------------------------------------------------------------- */

TEST(lease_dead, events_of_a_parked_key_follow_it_in_order_and_another_key_of_its_hash_does_not)
{
    open_table(LEASE_ORDER_KEY);
    for (int64_t i = 0; i < 4; i++) {
        kit_add(&k, i, 1);
    }
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_FAIL), 0);
    expect_dying(0, LEASE_DEATH_EXHAUSTED);
    assert_int_equal(lease_park_hash(k.t, 1), 0);
    assert_true(lease_dead_done(k.t, 0));
    expect_none_dying();
    kit_write(&k);
    expect_dying(1, LEASE_DEATH_CHECK);
    expect_none_dying();
    assert_true(lease_dead_retry(k.t, 1));
    expect_dying(1, LEASE_DEATH_CHECK);
    assert_true(lease_dead_done(k.t, 1));
    kit_write(&k);
    /* The third has other bytes. */
    expect_dying(2, LEASE_DEATH_CHECK);
    kit_take(&k, KIT_SESSION, 1, 0);
    assert_true(lease_check_passed(k.t, 2, k.now));
    kit_take_one(&k, KIT_SESSION, 2, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 2, 2, LEASE_ACCEPT), 0);
    kit_write(&k);
    expect_dying(3, LEASE_DEATH_CHECK);
    lease_unpark_hash(k.t, 1, k.now);
    assert_true(lease_check_passed(k.t, 3, k.now));
    kit_take_one(&k, KIT_SESSION, 3, 1);
    kit_close(&k);
}

TEST(lease_dead, releasing_the_last_key_of_a_hash_frees_what_waits_to_be_checked)
{
    open_table(LEASE_ORDER_NONE);
    assert_int_equal(lease_park_hash(k.t, 1), 0);
    assert_int_equal(lease_park_hash(k.t, 1), 0);
    assert_int_equal(lease_park_hash(k.t, 2), 0);
    for (int64_t i = 0; i < 6; i++) {
        kit_add(&k, i, (uint64_t)(i % 2) + 1);
    }
    kit_take(&k, KIT_SESSION, 6, 0);
    lease_unpark_hash(k.t, 1, k.now);
    kit_take(&k, KIT_SESSION, 6, 0);
    lease_unpark_hash(k.t, 1, k.now);
    assert_int_equal(kit_take(&k, KIT_SESSION, 6, 3), 0);
    expect_dying(1, LEASE_DEATH_CHECK);
    kit_close(&k);
}

TEST(lease_dead, what_was_ready_when_its_key_was_parked_is_checked_before_it_is_leased)
{
    open_table(LEASE_ORDER_NONE);
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    assert_int_equal(lease_park_hash(k.t, 1), 0);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    expect_dying(0, LEASE_DEATH_CHECK);
    assert_true(lease_check_passed(k.t, 0, k.now));
    /* Another key of that hash is parked: what was checked before is checked again. */
    assert_int_equal(lease_park_hash(k.t, 1), 0);
    kit_take(&k, KIT_SESSION, 1, 0);
    expect_dying(0, LEASE_DEATH_CHECK);
    kit_close(&k);
}

TEST(lease_dead, an_event_without_a_key_is_never_checked)
{
    open_table(LEASE_ORDER_KEY);
    assert_int_equal(lease_park_hash(k.t, 1), 0);
    kit_add(&k, 0, 0);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    kit_close(&k);
}
