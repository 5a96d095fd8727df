/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a finished event that comes back is worked on once more in the order of its key, the start goes back for it and
 * nothing else comes again, whatever a restart or a write under way have carried.
 * Method: one table each, with the disk of table_kit.h.
 */
#include "table_kit.h"

static struct kit k;

static int reopen(int64_t offset, uint64_t key, bool *open)
{
    struct lease_record record = {.offset = offset, .key_hash = key, .append_ms = k.now.wall_ms};
    return lease_reopen(k.t, &record, k.now, open);
}

static void come_back(int64_t offset, uint64_t key)
{
    bool open = true;
    assert_int_equal(reopen(offset, key, &open), 0);
    assert_false(open);
}

/* Events 0 .. count - 1 of one key, all done and durable. */
static void all_done(int64_t count, uint64_t key)
{
    for (int64_t i = 0; i < count; i++) {
        kit_add(&k, i, key);
        kit_take_one(&k, KIT_SESSION, i, 1);
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i, LEASE_ACCEPT), 0);
        kit_write(&k);
    }
}

static void setup(uint64_t memory_max)
{
    struct lease_rules rules = kit_rules();
    kit_open(&k, &rules, memory_max);
}

TEST(lease_reopen, says_so_when_it_is_unfinished_already_or_was_not_read)
{
    bool open = false;
    setup(0);
    kit_add(&k, 0, 1);
    assert_int_equal(reopen(0, 1, &open), 0);
    assert_true(open);
    open = false;
    assert_int_equal(reopen(7, 1, &open), 0);
    assert_true(open);
    assert_int_equal(lease_counts(k.t).total, 1);
    kit_close(&k);
}

TEST(lease_reopen, changes_nothing_without_memory)
{
    bool open = true;
    setup(LEASE_MEMORY_MIN);
    all_done(1, 1);
    int64_t next = 10;
    struct lease_record record = {.append_ms = 1};
    do {
        record.offset = next++;
    } while (lease_add(k.t, &record, k.now) == 0);
    uint32_t total = lease_counts(k.t).total;
    while (reopen(0, 1, &open) == 0) { /* a node may have been left over */
        assert_false(open);
        kit_take_one(&k, KIT_SESSION, 0, 1);
        assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_ACCEPT), 0);
        kit_write(&k);
        assert_true(lease_add(k.t, &record, k.now) != 0 || ++total > 0);
        record.offset++;
    }
    assert_int_equal(lease_start(k.t), 10);
    kit_close(&k);
}

TEST(lease_reopen, the_start_goes_back_and_nothing_between_comes_again)
{
    setup(0);
    all_done(3, 0);
    lease_read_to(k.t, 200000);
    kit_write(&k);
    come_back(1, 0);
    assert_int_equal(lease_start(k.t), 1);
    kit_write(&k);
    assert_int_equal(k.stored_start, 1);
    kit_restart(&k);
    assert_int_equal(lease_start(k.t), 1);
    kit_add(&k, 1, 0);
    assert_int_equal(lease_read_next(k.t), 200000);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), 0);
    kit_write(&k);
    assert_int_equal(lease_start(k.t), 200000);
    kit_close(&k);
}

TEST(lease_reopen, a_write_under_way_that_passes_blocks_takes_none_of_them_along)
{
    setup(0);
    all_done(2, 0);
    kit_add(&k, 70000, 0);
    kit_add(&k, 140000, 0);
    kit_take_one(&k, KIT_SESSION, 70000, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 70000, 70000, LEASE_ACCEPT), 0);
    kit_write_begin(&k);
    come_back(1, 0);
    kit_write_end(&k, true);
    kit_write(&k);
    kit_restart(&k);
    kit_add(&k, 1, 0);
    assert_int_equal(lease_read_next(k.t), 140000);
    kit_close(&k);
}

TEST(lease_reopen, what_a_restart_knows_to_be_finished_comes_back_when_it_is_read)
{
    setup(0);
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    kit_add(&k, 2, 3);
    assert_int_equal(kit_take(&k, KIT_SESSION, 3, 3), 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 2, LEASE_ACCEPT), 0);
    kit_write(&k);
    kit_restart(&k);
    come_back(2, 3);
    kit_write(&k);
    kit_add(&k, 0, 1);
    assert_int_equal(lease_read_next(k.t), 2);
    kit_restart(&k);
    kit_add(&k, 0, 1);
    assert_int_equal(lease_read_next(k.t), 2);
    kit_add(&k, 2, 3);
    assert_int_equal(kit_state(&k, 2), LEASE_STATE_READY);
    kit_close(&k);
}

/* Else a crash could forget it when a worker has seen it, and later ones of its key would come after it. */
TEST(lease_reopen, nothing_is_leased_before_a_write_that_carries_it_is_durable)
{
    setup(0);
    all_done(1, 5);
    kit_add(&k, 1, 6);
    kit_write_begin(&k);
    come_back(0, 5);
    assert_false(lease_ready(k.t));
    kit_write_end(&k, true); /* began before it */
    assert_false(lease_ready(k.t));
    assert_true(lease_dirty(k.t));
    kit_write_begin(&k);
    kit_write_end(&k, false);
    assert_int_equal(kit_take(&k, KIT_SESSION, 2, 0), -1);
    assert_true(lease_dirty(k.t));
    kit_write(&k);
    assert_int_equal(kit_take(&k, KIT_SESSION, 2, 2), 0);
    kit_close(&k);
}

TEST(lease_reopen, what_is_read_again_is_not_leased_before_that_either)
{
    setup(0);
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    assert_int_equal(kit_take(&k, KIT_SESSION, 2, 2), 0);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_ACCEPT), 0);
    kit_write(&k);
    kit_restart(&k);
    come_back(1, 2);
    kit_add(&k, 0, 1);
    kit_add(&k, 1, 2);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_READY);
    assert_false(lease_ready(k.t));
    kit_write(&k);
    assert_int_equal(kit_take(&k, KIT_SESSION, 2, 2), 0);
    kit_close(&k);
}

TEST(lease_reopen, what_leaves_the_log_at_once_holds_up_nothing)
{
    setup(0);
    all_done(1, 5);
    kit_add(&k, 70000, 6);
    come_back(0, 5);
    assert_true(lease_set_start(k.t, 70000, k.now));
    assert_true(lease_dirty(k.t));
    kit_write(&k);
    kit_take_one(&k, KIT_SESSION, 70000, 1);
    kit_close(&k);
}

TEST(lease_reopen, it_goes_before_a_later_one_that_is_not_in_work)
{
    setup(0);
    all_done(2, 5);
    kit_add(&k, 2, 5);
    assert_int_equal(kit_state(&k, 2), LEASE_STATE_READY);
    come_back(1, 5);
    come_back(0, 5);
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_READY);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_WAITING);
    assert_int_equal(kit_state(&k, 2), LEASE_STATE_WAITING);
    kit_write(&k);
    for (int64_t i = 0; i < 3; i++) {
        kit_take_one(&k, KIT_SESSION, i, 1);
        assert_int_equal(kit_settle(&k, KIT_SESSION, i, i, LEASE_ACCEPT), 0);
        kit_write(&k);
    }
    kit_close(&k);
}

TEST(lease_reopen, it_waits_for_a_later_one_in_work_which_gives_way_when_it_fails)
{
    setup(0);
    all_done(1, 5);
    kit_add(&k, 1, 5);
    kit_take_one(&k, KIT_SESSION, 1, 1);
    come_back(0, 5);
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_WAITING);
    kit_write(&k);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 1, 1, LEASE_FAIL), 0);
    kit_pass(&k, 1000);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_WAITING);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    struct lease_why why;
    assert_true(lease_why(k.t, 5, &why));
    assert_int_equal(why.offset, 0);
    assert_int_equal(why.behind, 1);
    kit_close(&k);
}

TEST(lease_reopen, a_parked_key_does_not_hold_it_up)
{
    setup(0);
    all_done(1, 5);
    assert_int_equal(lease_park_hash(k.t, 5), 0);
    kit_add(&k, 1, 5);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_CHECK);
    come_back(0, 5);
    assert_int_equal(kit_state(&k, 0), LEASE_STATE_READY);
    assert_int_equal(kit_state(&k, 1), LEASE_STATE_WAITING);
    kit_close(&k);
}

TEST(lease_reopen, more_than_one_call_looks_at_are_refused_for_now)
{
    bool open = true;
    int64_t count = LEASE_STEP_MAX + 3;
    setup(0);
    all_done(count, 5);
    kit_add(&k, count, 5);
    kit_take_one(&k, KIT_SESSION, count, 1);
    for (int64_t i = 0; i <= LEASE_STEP_MAX; i++) {
        come_back(i, 5);
    }
    assert_int_equal(reopen(count - 1, 5, &open), EVLOG_ERR_AGAIN);
    assert_int_equal(lease_counts(k.t).total, LEASE_STEP_MAX + 2);
    kit_close(&k);
}

TEST(lease_reopen, what_is_about_to_be_finished_cannot_come_back_yet)
{
    bool open = false;
    setup(0);
    kit_add(&k, 0, 5);
    kit_take_one(&k, KIT_SESSION, 0, 1);
    assert_int_equal(kit_settle(&k, KIT_SESSION, 0, 0, LEASE_REJECT), 0);
    struct lease_dead dead;
    assert_true(lease_next_dying(k.t, &dead));
    assert_int_equal(reopen(0, 5, &open), EVLOG_ERR_AGAIN);
    assert_true(lease_dead_done(k.t, 0));
    assert_int_equal(reopen(0, 5, &open), EVLOG_ERR_AGAIN);
    kit_write_begin(&k);
    assert_int_equal(reopen(0, 5, &open), EVLOG_ERR_AGAIN);
    kit_write_end(&k, true);
    come_back(0, 5);
    kit_close(&k);
}
