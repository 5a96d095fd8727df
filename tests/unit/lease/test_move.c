/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: an operator moves where a group stands in a partition: wholly or not at all, whatever ends in between. Method:
 * the desk, whose writes become durable when the test says so.
 */
#include "part_kit.h"

static struct lease_offsets_op op;

static void ask(int verb, int64_t offset)
{
    part_waits = true;
    op = (struct lease_offsets_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                   .verb = verb,
                                   .topic_id = part_source->id,
                                   .offset = offset};
    leases_offsets(desk->leases[1], &op);
    fake_store_run(&desk->store);
}

static int alter(int64_t offset)
{
    ask(LEASE_OFFSETS_ALTER, offset);
    assert_false(part_waits);
    return op.base.error;
}

/* Where the group stands; -1: it does not know the partition. */
static int64_t stands(void)
{
    ask(LEASE_OFFSETS_GET, 0);
    assert_false(part_waits);
    assert_int_equal(op.base.error, 0);
    return op.exists ? op.start : -1;
}

static void work_on(int count)
{
    for (int i = 0; i < count; i++) {
        part_append(i % 2 == 0 ? "a" : "b");
    }
    for (int i = 0; i < count; i++) {
        assert_int_equal(part_lease(7), i);
        assert_int_equal(part_settle(7, i, LEASE_ACCEPT), 0);
    }
    assert_int_equal(stands(), count);
}

TEST(lease_move, refuses_what_is_not_there_or_in_work)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(alter(-3), EVLOG_ERR_OFFSET_RANGE);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(alter(0), EVLOG_ERR_GROUP_NOT_EMPTY);
    assert_non_null(strstr(op.base.message_text, "hold events"));
    struct worker w = worker_of("w", "source");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    assert_int_equal(alter(0), EVLOG_ERR_GROUP_NOT_EMPTY);
    assert_int_equal(stands(), 1);
    part_end();
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

TEST(lease_move, a_look_after_a_restart_knows_what_is_done_behind_an_unfinished_event)
{
    part_begin("start=earliest");
    for (int i = 0; i < 10; i++) {
        part_append(NULL);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(part_lease(7), i);
        assert_int_equal(part_settle(7, i, i == 2 || i == 9 ? LEASE_RELEASE : LEASE_ACCEPT), 0);
        if (i == 2) {
            assert_int_equal(part_lease(8), 2); /* out of the way */
        }
    }
    fake_store_ms(&desk->store, 100);
    desk_restart(desk);
    assert_int_equal(stands(), 2);
    assert_int_equal(op.lag, 2);
    assert_int_equal(op.ready, 0); /* a look reads nothing ahead */
    assert_int_equal(part_lease(7), 2);
    assert_int_equal(stands(), 2);
    assert_int_equal(op.lag, 2);
    part_end();
}

TEST(lease_move, a_look_after_a_restart_knows_what_is_done_behind_the_begin_of_the_log)
{
    part_begin("start=earliest");
    for (int i = 0; i < 10; i++) {
        part_append(NULL);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(part_lease(7 + (uint64_t)i), i);
        assert_int_equal(part_settle(7 + (uint64_t)i, i, i == 2 || i == 9 ? LEASE_EXTEND : LEASE_ACCEPT), 0);
    }
    fake_store_ms(&desk->store, 100);
    desk_restart(desk);
    desk->store.trimmed = part_source;
    desk->store.log_start = 4;
    assert_int_equal(stands(), 9);
    assert_int_equal(op.lag, 1);
    part_end();
}

TEST(lease_move, a_look_makes_nothing)
{
    part_begin("start=earliest");
    part_append("a");
    assert_int_equal(stands(), -1);
    assert_null(lease_part_find(lease_group_find(desk->leases[0], el_slice_str("g")), &part_source->id, 0));
    part_end();
}

/* --- moving ------------------------------------------------------------------------------------------------------- */

TEST(lease_move, back_delivers_again_and_forward_passes_over)
{
    part_begin("start=earliest");
    work_on(6);
    assert_int_equal(alter(2), 0);
    assert_int_equal(op.start, 2);
    assert_int_equal(part_lease(7), 2);
    assert_int_equal(part_settle(7, 2, LEASE_ACCEPT), 0);
    assert_int_equal(alter(5), 0);
    assert_int_equal(part_lease(7), 5);
    assert_int_equal(part_settle(7, 5, LEASE_ACCEPT), 0);
    assert_int_equal(alter(LEASE_START_EARLIEST), 0);
    assert_int_equal(stands(), 0);
    assert_int_equal(alter(LEASE_START_LATEST), 0);
    assert_int_equal(stands(), 6);
    assert_int_equal(alter(1000), 0);
    assert_int_equal(stands(), 6);
    part_end();
}

TEST(lease_move, holds_for_a_partition_that_nobody_has_read)
{
    part_begin("start=latest");
    part_append("a");
    part_append("b");
    assert_int_equal(stands(), -1);
    assert_int_equal(alter(1), 0);
    assert_int_equal(part_lease(7), 1);
    part_end();
}

TEST(lease_move, starts_attempts_parked_keys_and_stories_anew)
{
    part_begin("start=earliest on.exhausted=park retry.max.attempts=2 retry.backoff.ms=0");
    part_append("a");
    part_append("a");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(part_lease(7), 0);
        assert_int_equal(part_settle(7, 0, LEASE_FAIL), 0);
    }
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_letters("source.g.dlq"), 2);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARKED), 1);
    assert_int_equal(alter(0), 0);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARKED), 0);
    static struct lease_fetch_op fetch;
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    fetch = part_fetch_of(7, 1);
    part_fetch(&fetch);
    assert_int_equal(fetch.ranges[0].first, 1);
    assert_int_equal(fetch.ranges[0].deliveries, 1);
    lease_op_release(&fetch.base);
    desk_restart(desk);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARKED), 0);
    assert_int_equal(stands(), 1);
    part_end();
}

TEST(lease_move, that_was_not_durable_leaves_what_was)
{
    part_begin("start=latest");
    assert_int_equal(part_lease(7), -1);
    work_on(6);
    desk->store.defer = true;
    ask(LEASE_OFFSETS_ALTER, 2);
    assert_true(part_waits);
    desk_restart(desk); /* which gives up what is not durable */
    desk->store.defer = false;
    assert_int_equal(stands(), 6);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(lease_move, is_one_write_with_all_that_it_forgets)
{
    part_begin("start=earliest");
    for (int i = 0; i < 6; i++) {
        part_append(NULL);
    }
    for (int i = 0; i < 6; i++) {
        assert_int_equal(part_lease(7), i);
    }
    for (int i = 0; i < 6; i++) {
        assert_int_equal(part_settle(7, i, i == 0 ? LEASE_FAIL : LEASE_ACCEPT), 0);
    }
    fake_store_ms(&desk->store, 100);
    desk->store.defer = true;
    ask(LEASE_OFFSETS_ALTER, 3);
    assert_int_equal(desk->store.append_count, 1);
    assert_true(part_waits);
    fake_store_durable(&desk->store);
    desk->store.defer = false;
    assert_false(part_waits);
    desk_restart(desk);
    assert_int_equal(stands(), 3);
    assert_int_equal(op.lag, 3); /* what was done is not any more */
    part_end();
}

TEST(lease_move, that_was_durable_holds_after_a_restart)
{
    part_begin("start=latest");
    assert_int_equal(part_lease(7), -1);
    work_on(6);
    assert_int_equal(alter(2), 0);
    desk_restart(desk);
    assert_int_equal(stands(), 2);
    assert_int_equal(part_lease(7), 2);
    part_end();
}

TEST(lease_move, that_cannot_be_stored_is_told_and_goes_on_trying)
{
    part_begin("start=earliest");
    work_on(6);
    desk->store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(alter(2), EVLOG_ERR_STORAGE);
    desk->store.append_error = 0;
    fake_store_ms(&desk->store, 300);
    assert_int_equal(stands(), 2);
    part_end();
}

TEST(lease_move, what_comes_meanwhile_waits_for_it)
{
    static struct lease_fetch_op fetch;
    part_begin("start=earliest");
    work_on(6);
    desk->store.defer = true;
    ask(LEASE_OFFSETS_ALTER, 2);
    assert_true(part_waits);
    bool waits_too = true;
    fetch = part_fetch_of(7, 1);
    fetch.base.done = part_on_answer;
    part_waits = true;
    part_fetch(&fetch);
    waits_too = part_waits;
    fake_store_durable(&desk->store);
    desk->store.defer = false;
    assert_true(waits_too);
    assert_false(part_waits);
    assert_int_equal(fetch.base.error, 0);
    lease_op_release(&fetch.base);
    assert_int_equal(part_lease(7), 2);
    part_end();
}

TEST(lease_move, ends_with_its_topic)
{
    part_begin("start=earliest");
    work_on(6);
    desk->store.defer = true;
    ask(LEASE_OFFSETS_ALTER, 2);
    assert_true(part_waits);
    fake_topic_delete(&desk->store, "source");
    fake_store_ms(&desk->store, 11000);
    assert_false(part_waits);
    assert_int_not_equal(op.base.error, 0);
    desk->store.defer = false;
    fake_store_durable(&desk->store);
    fake_store_ms(&desk->store, 2000);
    assert_int_equal(fake_store_metric(&desk->store, METRIC_LEASE_PARTS), 0);
    part_end();
}

TEST(lease_move, to_forget_a_partition_is_to_begin_anew)
{
    part_begin("start=earliest");
    work_on(6);
    ask(LEASE_OFFSETS_DELETE, 0);
    assert_false(part_waits);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(stands(), -1);
    assert_int_equal(part_lease(7), 0);
    part_end();
}
