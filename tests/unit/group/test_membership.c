/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: who becomes, stays and stops being a member, by Kafka's rules. Method: a few members on two simulated shards;
 * time moves by hand. The refusals come first.
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

/* one leads, two follows, both have their assignments. */
static void pair(const char *group)
{
    caller_alone(&one, group);
    caller_join(&two, group);
    assert_true(two.joining);
    caller_join(&one, group);
    assert_false(two.joining);
    caller_sync(&two, group);
    caller_assign(&one, group, "part");
    assert_false(two.syncing);
}

TEST(join, refuses_session_timeouts_outside_the_limits)
{
    begin();
    one.session_ms = 99;
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_SESSION_TIMEOUT);
    one.session_ms = 10001;
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_SESSION_TIMEOUT);
    assert_string_equal(bench_state("g"), "Dead");
    bench_end(&b);
}

TEST(join, refuses_members_that_it_did_not_name)
{
    begin();
    snprintf(one.id, sizeof one.id, "made-up");
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_UNKNOWN_MEMBER);
    caller_alone(&two, "g");
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_UNKNOWN_MEMBER);
    memset(one.id, 'x', sizeof one.id - 1);
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_UNKNOWN_MEMBER);
    bench_end(&b);
}

TEST(join, refuses_strategies_that_not_all_have)
{
    begin();
    one.protocol_count = 0;
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_GROUP_PROTOCOL);
    one.protocol_count = 1;
    caller_alone(&one, "g");
    two.protocols[0].name = el_slice_str("other");
    caller_join(&two, "g");
    assert_int_equal(two.error, EVLOG_ERR_GROUP_PROTOCOL);
    caller_init(&two);
    two.type = "connect";
    caller_join(&two, "g");
    assert_int_equal(two.error, EVLOG_ERR_GROUP_PROTOCOL);
    assert_string_equal(bench_state("g"), "Stable");
    bench_end(&b);
}

TEST(join, refuses_more_members_than_the_group_may_have)
{
    begin();
    b.groups[0].cfg.size_max = b.groups[1].cfg.size_max = 2;
    pair("g");
    caller_join(&three, "g");
    assert_int_equal(three.error, EVLOG_ERR_GROUP_FULL);
    assert_int_equal(fake_store_metric(&b.store, METRIC_REFUSED_GROUP_SIZE), 1);
    assert_string_equal(bench_state("g"), "Stable");
    b.groups[0].cfg.size_max = b.groups[1].cfg.size_max = 3;
    three.two_steps = true;
    caller_join(&three, "g");
    assert_int_equal(three.error, EVLOG_ERR_MEMBER_ID_REQUIRED);
    b.groups[0].cfg.size_max = b.groups[1].cfg.size_max = 2;
    caller_join(&three, "g");
    assert_int_equal(three.error, EVLOG_ERR_GROUP_FULL);
    assert_string_equal(bench_state("g"), "Stable"); /* nobody who counted has gone */
    bench_end(&b);
}

TEST(join, refuses_and_counts_when_memory_is_spent)
{
    begin();
    b.groups[0].cfg.memory_max = b.groups[1].cfg.memory_max = 100;
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_NO_MEMORY);
    assert_int_equal(fake_store_metric(&b.store, METRIC_REFUSED_GROUP_MEMORY), 1);
    b.groups[0].cfg.memory_max = b.groups[1].cfg.memory_max = 1300;
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_NO_MEMORY);
    assert_string_equal(bench_state("g"), "Dead"); /* nothing is left of it */
    assert_int_equal(b.groups[0].memory_used + b.groups[1].memory_used, 0);
    bench_end(&b);
}

TEST(join, refuses_metadata_that_no_record_holds)
{
    static uint8_t large[GROUP_STATE_LEN_MAX / 2 + 1];
    begin();
    one.protocols[0].metadata = el_slice_of(large, sizeof large);
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_GROUP_FULL); /* waiting does not mend it */
    assert_int_equal(fake_store_metric(&b.store, METRIC_REFUSED_GROUP_SIZE), 1);
    assert_int_equal(fake_store_metric(&b.store, METRIC_REFUSED_GROUP_MEMORY), 0);
    assert_string_equal(bench_state("g"), "Dead");
    bench_end(&b);
}

TEST(join, counts_the_metadata_of_a_member_once)
{
    static uint8_t large[GROUP_STATE_LEN_MAX / 4 + 100]; /* of two there is no room */
    begin();
    b.groups[0].cfg.memory_max = b.groups[1].cfg.memory_max = 64u << 20;
    strcpy(one.instance, "first");
    one.protocols[0].metadata = el_slice_of(large, sizeof large);
    caller_alone(&one, "g");
    caller_join(&one, "g"); /* a leader begins a new round */
    assert_int_equal(one.error, 0);
    assert_int_equal(one.generation, 2);
    one.id[0] = 0; /* another process takes its place */
    caller_join(&one, "g");
    assert_int_equal(one.error, 0);
    two.protocols[0].metadata = one.protocols[0].metadata;
    caller_join(&two, "g");
    assert_int_equal(two.error, EVLOG_ERR_GROUP_FULL);
    bench_end(&b);
}

TEST(join, gives_an_id_first_and_the_reservation_lapses)
{
    begin();
    one.two_steps = true;
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_MEMBER_ID_REQUIRED);
    assert_int_equal(strncmp(one.id, "client-", 7), 0);
    assert_int_equal(strlen(one.id), 7 + 36);
    fake_store_ms(&b.store, 999);
    assert_string_equal(bench_state("g"), "Empty");
    fake_store_ms(&b.store, 1);
    assert_string_equal(bench_state("g"), "Dead");
    caller_join(&one, "g");
    assert_int_equal(one.error, EVLOG_ERR_UNKNOWN_MEMBER);
    one.id[0] = 0;
    caller_join(&one, "g");
    caller_alone(&one, "g");
    assert_int_equal(one.generation, 1);
    assert_string_equal(bench_state("g"), "Stable");
    bench_end(&b);
}

TEST(join, an_empty_group_waits_for_more_members_and_no_longer_than_the_rebalance_timeout)
{
    begin();
    b.groups[0].cfg.initial_delay_ms = b.groups[1].cfg.initial_delay_ms = 300;
    caller_join(&one, "g");
    fake_store_ms(&b.store, 290);
    caller_join(&two, "g"); /* extends the wait by 300 ms from its end */
    fake_store_ms(&b.store, 20);
    assert_true(one.joining);
    fake_store_ms(&b.store, 289);
    assert_true(one.joining);
    fake_store_ms(&b.store, 1);
    assert_false(one.joining);
    assert_false(two.joining);
    assert_int_equal(one.generation, 1);
    assert_int_equal(one.member_count, 2);
    assert_int_equal(two.member_count, 0);
    assert_string_equal(two.leader, one.id);
    bench_end(&b);
    begin();
    b.groups[0].cfg.initial_delay_ms = b.groups[1].cfg.initial_delay_ms = 1500;
    caller_join(&one, "g");
    fake_store_ms(&b.store, 1000);
    caller_join(&two, "g");
    fake_store_ms(&b.store, 999);
    assert_true(one.joining);
    fake_store_ms(&b.store, 1); /* 2 s, its rebalance timeout */
    assert_false(one.joining);
    bench_end(&b);
}

TEST(join, takes_the_strategy_that_most_prefer_of_those_that_all_have)
{
    begin();
    b.groups[0].cfg.initial_delay_ms = b.groups[1].cfg.initial_delay_ms = 100;
    struct el_slice range = el_slice_str("range"), sticky = el_slice_str("sticky"), own = el_slice_str("own");
    one.protocols[0].name = own;
    one.protocols[1].name = range;
    one.protocols[2].name = sticky;
    one.protocol_count = 3;
    two.protocols[0].name = three.protocols[0].name = sticky;
    two.protocols[1].name = three.protocols[1].name = range;
    two.protocol_count = three.protocol_count = 2;
    caller_join(&one, "g");
    caller_join(&two, "g");
    caller_join(&three, "g");
    fake_store_ms(&b.store, 300);
    assert_string_equal(one.protocol, "sticky");
    assert_string_equal(three.protocol, "sticky");
    bench_end(&b);
}

TEST(join, members_that_do_not_join_again_are_removed_at_the_rebalance_timeout)
{
    begin();
    one.session_ms = two.session_ms = three.session_ms = 5000;
    pair("g");
    caller_join(&three, "g");
    caller_join(&two, "g");
    fake_store_ms(&b.store, 1999);
    assert_true(three.joining);
    fake_store_ms(&b.store, 1);
    assert_false(three.joining);
    assert_false(two.joining);
    assert_int_equal(two.generation, 3);
    assert_string_equal(two.leader, two.id); /* the first that has joined */
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    assert_int_equal(fake_store_metric(&b.store, METRIC_GROUP_MEMBERS_EXPIRED), 1);
    bench_end(&b);
}

TEST(join, again_without_change_gives_the_present_generation_but_a_leader_begins_a_round)
{
    begin();
    pair("g");
    caller_join(&two, "g");
    assert_false(two.joining);
    assert_int_equal(two.generation, 2);
    assert_string_equal(bench_state("g"), "Stable");
    caller_join(&one, "g");
    assert_true(one.joining);
    assert_string_equal(bench_state("g"), "PreparingRebalance");
    caller_join(&two, "g");
    assert_false(one.joining);
    assert_int_equal(one.generation, 3);
    caller_join(&one, "g"); /* while assignments are awaited */
    assert_false(one.joining);
    assert_int_equal(one.generation, 3);
    assert_int_equal(one.member_count, 2);
    two.protocols[0].metadata = el_slice_str("topics: others");
    caller_join(&two, "g");
    assert_true(two.joining);
    bench_end(&b);
}

TEST(join, a_lost_client_counts_as_not_joined_and_expires)
{
    begin();
    pair("g");
    caller_join(&three, "g");
    groups_cancel(&three.join.base);
    fake_store_run(&b.store);
    assert_false(three.joining);
    assert_int_equal(three.error, EVLOG_ERR_CLOSED);
    caller_join(&one, "g");
    caller_join(&two, "g");
    assert_true(one.joining); /* three is a member still */
    fake_store_ms(&b.store, 1000);
    assert_false(one.joining);
    assert_int_equal(bench_members("g"), 2);
    groups_cancel(&one.join.base); /* has been answered: nothing happens */
    bench_end(&b);
}

TEST(join, ends_when_the_shard_stops)
{
    begin();
    pair("g");
    caller_join(&three, "g");
    assert_true(three.joining);
    groups_stop(&b.groups[0]);
    groups_stop(&b.groups[1]);
    fake_store_run(&b.store);
    assert_false(three.joining);
    assert_int_equal(three.error, EVLOG_ERR_CLOSED);
    caller_join(&three, "g");
    assert_int_equal(three.error, EVLOG_ERR_CLOSED);
    bench_end(&b);
}

/* --- heartbeats and leaving --------------------------------------------------------------------------------------- */

TEST(heartbeat, says_what_the_member_has_to_do)
{
    begin();
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    pair("g");
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    one.generation--;
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_GENERATION);
    one.generation++;
    snprintf(one.instance, sizeof one.instance, "nobody's");
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    one.instance[0] = 0;
    caller_join(&three, "g");
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_REBALANCE);
    bench_end(&b);
}

TEST(heartbeat, keeps_a_member_and_silence_removes_it)
{
    begin();
    pair("g");
    for (int i = 0; i < 3; i++) {
        fake_store_ms(&b.store, 900);
        assert_int_equal(bench_heartbeat(&one, "g"), 0);
        assert_int_equal(bench_heartbeat(&two, "g"), 0);
    }
    fake_store_ms(&b.store, 500);
    assert_int_equal(bench_heartbeat(&one, "g"), 0);
    fake_store_ms(&b.store, 499); /* two has said nothing for 999 ms */
    assert_int_equal(bench_members("g"), 2);
    fake_store_ms(&b.store, 1);
    assert_int_equal(bench_members("g"), 1);
    assert_string_equal(bench_state("g"), "PreparingRebalance");
    bench_end(&b);
}

TEST(leave, begins_a_round_at_once_and_tells_unknown_members)
{
    begin();
    assert_int_equal(bench_leave(&one, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    pair("g");
    assert_int_equal(bench_leave(&three, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    assert_int_equal(bench_leave(&two, "g"), 0);
    assert_int_equal(bench_leave(&two, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    assert_int_equal(bench_heartbeat(&one, "g"), EVLOG_ERR_REBALANCE);
    caller_join(&one, "g");
    assert_false(one.joining);
    assert_int_equal(one.generation, 3);
    assert_int_equal(bench_leave(&one, "g"), 0);
    assert_string_equal(bench_state("g"), "Empty");
    caller_init(&one);
    caller_alone(&one, "g");
    assert_int_equal(one.generation, 5); /* becoming empty was one, too */
    bench_end(&b);
}

TEST(leave, of_one_who_only_has_an_id_leaves_a_stable_group_alone)
{
    begin();
    pair("g");
    three.two_steps = true;
    caller_join(&three, "g");
    assert_int_equal(three.error, EVLOG_ERR_MEMBER_ID_REQUIRED);
    assert_int_equal(bench_leave(&three, "g"), 0);
    assert_string_equal(bench_state("g"), "Stable");
    bench_end(&b);
}

/* --- static members ----------------------------------------------------------------------------------------------- */

static void static_pair(void)
{
    snprintf(one.instance, sizeof one.instance, "i1");
    snprintf(two.instance, sizeof two.instance, "i2");
    one.session_ms = two.session_ms = 5000;
    pair("g");
}

TEST(static_member, takes_its_place_without_a_round_once_that_is_stored)
{
    begin();
    static_pair();
    struct caller again = two;
    again.id[0] = 0;
    b.store.defer = true;
    caller_join(&again, "g");
    assert_true(again.joining);
    fake_store_durable(&b.store);
    assert_false(again.joining);
    assert_int_equal(again.error, 0);
    assert_int_equal(again.generation, two.generation);
    assert_string_not_equal(again.id, two.id);
    assert_string_equal(bench_state("g"), "Stable");
    assert_int_equal(bench_heartbeat(&two, "g"), EVLOG_ERR_FENCED_INSTANCE);
    assert_int_equal(bench_heartbeat(&again, "g"), 0);
    caller_sync(&again, "g");
    assert_string_equal(again.assignment, "part1");
    caller_sync(&two, "g");
    assert_int_equal(two.sync.base.error, EVLOG_ERR_FENCED_INSTANCE);
    caller_join(&two, "g");
    assert_int_equal(two.error, EVLOG_ERR_FENCED_INSTANCE);
    assert_int_equal(bench_leave(&two, "g"), EVLOG_ERR_FENCED_INSTANCE);
    bench_restart(&b);
    assert_int_equal(bench_heartbeat(&again, "g"), 0);
    assert_int_equal(bench_heartbeat(&two, "g"), EVLOG_ERR_FENCED_INSTANCE);
    bench_end(&b);
}

TEST(static_member, whose_new_id_cannot_be_stored_is_told_no_names)
{
    begin();
    static_pair();
    struct caller again = two;
    again.id[0] = 0;
    b.store.defer = true;
    caller_join(&again, "g");
    assert_true(again.joining);
    b.store.append_error = EVLOG_ERR_STORAGE;
    fake_store_durable(&b.store);
    b.store.append_error = 0;
    b.store.defer = false;
    assert_int_equal(again.error, EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_null(again.join.leader_id.data); /* the memory that they were in is given back */
    assert_null(again.join.member_id_out.data);
    bench_end(&b);
}

TEST(static_member, that_led_does_not_assign_again)
{
    begin();
    static_pair();
    struct caller again = one;
    again.id[0] = 0;
    caller_join(&again, "g");
    assert_int_equal(again.error, 0);
    assert_int_equal(again.member_count, 0);
    assert_string_equal(again.leader, one.id); /* not itself, as far as it knows */
    assert_string_equal(bench_state("g"), "Stable");
    bench_end(&b);
}

TEST(static_member, stays_through_a_round_that_it_misses_until_its_session_ends)
{
    begin();
    static_pair();
    caller_join(&one, "g"); /* the leader begins a round */
    fake_store_ms(&b.store, 2000);
    assert_false(one.joining);
    assert_int_equal(one.member_count, 2);
    bench_end(&b);
}

TEST(static_member, is_removed_by_its_instance_id_alone)
{
    begin();
    static_pair();
    struct caller admin = two;
    admin.id[0] = 0;
    assert_int_equal(bench_leave(&admin, "g"), 0);
    assert_int_equal(bench_leave(&admin, "g"), EVLOG_ERR_UNKNOWN_MEMBER);
    assert_int_equal(bench_members("g"), 1);
    bench_end(&b);
}

TEST(groups, belong_to_the_partition_that_kafkas_tools_compute)
{
    /* From "…".hashCode() of Java. */
    assert_int_equal(groups_partition_of(el_slice_str(""), 50), 0);
    assert_int_equal(groups_partition_of(el_slice_str("a"), 50), 97 % 50);
    assert_int_equal(groups_partition_of(el_slice_str("my-group"), 50), 12);
    assert_int_equal(groups_partition_of(el_slice_str("polygenelubricants"), 50), 0); /* INT_MIN */
    assert_int_equal(groups_partition_of(el_slice_str("\xe2\x82\xac"), 50), 0x20ac % 50);
    assert_int_equal(groups_partition_of(el_slice_str("\xf0\x9f\x98\x80"), 50), 1772899 % 50);
}
