/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: nobody is told an assignment before it is stored, and what is stored is what a restart finds. Method: writes
 * end when the test says so, well or badly.
 */
#include "bench.h"

#include <stdio.h>

static struct bench b;
static struct caller one, two, three;

static void begin(void)
{
    bench_begin(&b);
    caller_init(&one);
    caller_init(&two);
    caller_init(&three);
}

/* Both have joined; nobody has asked for assignments. */
static void joined(void)
{
    b.groups[0].cfg.initial_delay_ms = b.groups[1].cfg.initial_delay_ms = 50;
    caller_join(&one, "g");
    caller_join(&two, "g");
    fake_store_ms(&b.store, 100);
    assert_false(one.joining);
    assert_false(two.joining);
}

TEST(sync, refuses_strangers_old_generations_and_other_strategies)
{
    begin();
    caller_sync(&one, "g");
    assert_int_equal(one.sync.base.error, EVLOG_ERR_UNKNOWN_MEMBER);
    joined();
    caller_sync(&three, "g");
    assert_int_equal(three.sync.base.error, EVLOG_ERR_UNKNOWN_MEMBER);
    two.generation++;
    caller_sync(&two, "g");
    assert_int_equal(two.sync.base.error, EVLOG_ERR_GENERATION);
    two.generation--;
    two.sync_type = "connect";
    caller_sync(&two, "g");
    assert_int_equal(two.sync.base.error, EVLOG_ERR_GROUP_PROTOCOL);
    two.sync_type = "consumer";
    two.sync_protocol = "sticky";
    caller_sync(&two, "g");
    assert_int_equal(two.sync.base.error, EVLOG_ERR_GROUP_PROTOCOL);
    two.sync_protocol = "range";
    caller_sync(&two, "g");
    assert_true(two.syncing); /* for the leader */
    groups_cancel(&two.sync.base);
    fake_store_run(&b.store);
    assert_int_equal(two.sync.base.error, EVLOG_ERR_CLOSED);
    caller_join(&three, "g");
    caller_sync(&two, "g");
    assert_int_equal(two.sync.base.error, EVLOG_ERR_REBALANCE);
    bench_end(&b);
}

TEST(sync, nobody_is_told_before_the_assignments_are_stored)
{
    begin();
    joined();
    b.store.defer = true;
    caller_sync(&two, "g");
    caller_assign(&one, "g", "part");
    assert_true(one.syncing);
    assert_true(two.syncing);
    assert_string_equal(bench_state("g"), "CompletingRebalance");
    fake_store_durable(&b.store);
    assert_false(one.syncing);
    assert_false(two.syncing);
    assert_string_equal(one.assignment, "part0");
    assert_string_equal(two.assignment, "part1");
    assert_string_equal(bench_state("g"), "Stable");
    caller_sync(&two, "g"); /* later it is told at once */
    assert_false(two.syncing);
    assert_string_equal(two.assignment, "part1");
    assert_int_equal(b.store.append_count, 0);
    bench_end(&b);
}

TEST(sync, members_that_the_leader_leaves_out_get_nothing)
{
    begin();
    joined();
    caller_sync(&two, "g");
    one.member_count = 1;
    caller_assign(&one, "g", "part");
    assert_string_equal(one.assignment, "part0");
    assert_int_equal(two.sync.base.error, 0);
    assert_string_equal(two.assignment, "");
    bench_end(&b);
}

TEST(sync, a_round_that_begins_meanwhile_ends_the_wait_and_the_record_does_not_count)
{
    begin();
    joined();
    b.store.defer = true;
    caller_sync(&two, "g");
    caller_assign(&one, "g", "part");
    caller_join(&three, "g");
    assert_int_equal(one.sync.base.error, EVLOG_ERR_REBALANCE);
    assert_int_equal(two.sync.base.error, EVLOG_ERR_REBALANCE);
    fake_store_durable(&b.store);
    assert_string_equal(bench_state("g"), "PreparingRebalance");
    caller_join(&one, "g");
    caller_join(&two, "g");
    assert_int_equal(one.generation, 2);
    caller_sync(&two, "g");
    assert_true(two.syncing);
    bench_end(&b);
}

TEST(sync, what_cannot_be_stored_is_refused_and_a_new_round_begins)
{
    begin();
    joined();
    b.store.append_error = EVLOG_ERR_STORAGE;
    caller_sync(&two, "g");
    caller_assign(&one, "g", "part");
    assert_int_equal(one.sync.base.error, EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_int_equal(two.sync.base.error, EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_string_equal(bench_state("g"), "PreparingRebalance");
    b.store.append_error = 0;
    bench_end(&b);
}

TEST(sync, who_does_not_ask_in_time_is_removed)
{
    begin();
    one.session_ms = two.session_ms = 10000;
    joined();
    caller_assign(&one, "g", "part");
    assert_string_equal(bench_state("g"), "Stable");
    fake_store_ms(&b.store, 1949);
    assert_int_equal(bench_members("g"), 2);
    fake_store_ms(&b.store, 60);
    assert_int_equal(bench_members("g"), 1);
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_REBALANCE);
    bench_end(&b);
}

TEST(restart, finds_members_assignments_and_generation)
{
    begin();
    snprintf(two.instance, sizeof two.instance, "i2");
    joined();
    caller_sync(&two, "g");
    caller_assign(&one, "g", "part");
    bench_restart(&b);
    assert_string_equal(bench_state("g"), "Stable");
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    assert_int_equal(bench_heartbeat(&two, "g"), 0);
    caller_sync(&two, "g");
    assert_string_equal(two.assignment, "part1");
    caller_join(&one, "g"); /* it leads still */
    assert_true(one.joining);
    caller_join(&two, "g");
    assert_int_equal(one.generation, 2);
    bench_restart(&b); /* that generation was never assigned */
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_GENERATION);
    fake_store_ms(&b.store, 1000);
    assert_int_equal(bench_members("g"), 0); /* nothing was heard of them */
    assert_string_equal(bench_state("g"), "Empty");
    bench_end(&b);
}

/* A record may hold any generation, the last that the wire has room for too. */
TEST(restart, behind_the_last_generation_comes_the_first)
{
    begin();
    caller_alone(&one, "g");
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        struct group *group = group_find(&b.groups[i], el_slice_str("g"));
        if (group != NULL) {
            group->generation = INT32_MAX - 1;
        }
    }
    caller_alone(&one, "g"); /* it leads, so that this is another round */
    assert_int_equal(one.generation, INT32_MAX);
    bench_restart(&b);
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    caller_alone(&one, "g");
    assert_int_equal(one.generation, 1);
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    bench_end(&b);
}

TEST(restart, refuses_a_partition_with_a_record_that_does_not_decode)
{
    begin();
    caller_alone(&one, "g");
    struct fake_batch *batch = &b.store.batches[0];
    uint8_t *key = memmem(batch->data, batch->len, "\1\2\1\0g", 5);
    assert_non_null(key);
    key[1] = 9;
    bench_restart(&b);
    assert_int_equal(bench_commit(NULL, "g", fake_topic(&b.store, "events", 1), 0, 1), EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_RECORDS_DAMAGED), 1);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_FAILED), 1);
    caller_alone(&two, "other"); /* another partition */
    bench_end(&b);
}

static void loads_after(int error, uint64_t retry_ms)
{
    begin();
    caller_alone(&one, "g");
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        b.groups[i].cfg.check_interval_ms = 1000000;
    }
    b.store.read_error = error;
    bench_restart(&b);
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_GROUP_LOADING);
    b.store.read_error = 0;
    fake_store_ms(&b.store, retry_ms);
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_FAILED), 0);
    bench_end(&b);
}

TEST(restart, refuses_as_loading_until_there_is_memory_for_the_records)
{
    loads_after(EVLOG_ERR_NO_MEMORY, 100);
}

/* Found by the simulated broker: an error of one read kept the groups out until the next start. */
TEST(restart, repeats_a_read_that_failed_without_damage)
{
    loads_after(EVLOG_ERR_STORAGE, 1000);
}
