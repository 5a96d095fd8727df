/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a work group's filter: what does not match is passed over and counts as done, and nothing else changes.
 * Method: the desk; the language of patterns has its own tests.
 */
#include "part_kit.h"

#include <config/group_config.h>

static const struct part_event orders[] = {
    {"a", "{\"n\":1}"}, {"a", "{\"n\":2}"}, {"b", "{\"n\":1}"},
    {"a", "{\"n\":3}"}, {"b", "{\"n\":2}"}, {"a", "no json"},
};
#define FILTER "start=earliest filter={\"data\":{\"n\":[2]}}"

static int64_t passed(enum metric_id id)
{
    return fake_store_metric(&desk->store, id);
}

TEST(lease_filter, that_cannot_be_compiled_is_refused_with_its_position)
{
    part_begin("start=earliest");
    assert_int_equal(desk_set("g", "filter={\"data\":[{\"numeric\":[\"!\",1]}]}"), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(desk_text, "filter: line 1, column "));
    assert_int_equal(desk_set("g", "filter=[{},{},{},{},{},{}]"), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(desk_set("g", "filter=[]"), EVLOG_ERR_INVALID_CONFIG);
    assert_int_equal(desk_set("g", "filter=x"), EVLOG_ERR_INVALID_CONFIG);
    part_end();
}

static void expect_matches(enum el_codec codec)
{
    part_begin(FILTER);
    part_append_batch(orders, 6, codec);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(part_lease(7), 4);
    assert_int_equal(part_lease(7), -1);
    assert_int_equal(passed(METRIC_LEASES_PASSED), 3);
    assert_int_equal(passed(METRIC_LEASES_UNPARSABLE), 1);
    part_end();
}

TEST(lease_filter, only_what_matches_is_leased)
{
    expect_matches(EL_CODEC_NONE);
    expect_matches(EL_CODEC_GZIP);
    expect_matches(EL_CODEC_ZSTD);
}

TEST(lease_filter, several_patterns_match_each_for_itself)
{
    part_begin("start=earliest filter=[{\"data\":{\"n\":[3]}},{\"key\":[\"b\"]}]");
    part_append_batch(orders, 6, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 2);
    assert_int_equal(part_lease(7), 3);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(lease_filter, does_not_hold_up_a_key_with_what_does_not_match)
{
    part_begin(FILTER);
    part_append_batch(orders, 6, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(part_settle(7, 1, LEASE_ACCEPT), 0);
    assert_int_equal(part_lease(7), 4);
    assert_int_equal(part_settle(7, 4, LEASE_ACCEPT), 0);
    static struct lease_offsets_op op;
    op = (struct lease_offsets_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                   .topic_id = part_source->id};
    leases_offsets(desk->leases[1], &op);
    fake_store_run(&desk->store);
    assert_int_equal(op.start, 6);
    assert_int_equal(op.lag, 0);
    part_end();
}

TEST(lease_filter, where_it_has_passed_everything_is_stored)
{
    part_begin("start=earliest filter={\"key\":[\"nobody\"]}");
    part_append_batch(orders, 6, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), -1);
    fake_store_ms(&desk->store, 3000);
    desk_restart(desk);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(lease_filter, a_change_holds_for_what_is_read_from_then_on)
{
    part_begin(FILTER);
    part_append_batch(orders, 6, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(desk_set("g", "filter={\"data\":{\"n\":[1]}}"), 0);
    part_append_batch(orders, 6, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 4);
    assert_int_equal(part_settle(7, 1, LEASE_ACCEPT), 0);
    assert_int_equal(part_settle(7, 4, LEASE_ACCEPT), 0);
    assert_int_equal(part_lease(7), 6);
    assert_int_equal(part_lease(7), 8);
    assert_int_equal(desk_set("g", "start=earliest"), 0);
    part_append("c");
    assert_int_equal(part_lease(7), 12);
    part_end();
}

TEST(lease_filter, an_event_that_was_begun_goes_on_without_regard_to_it)
{
    part_begin("start=earliest retry.backoff.ms=0");
    part_append_batch(orders, 6, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_FAIL), 0);
    fake_store_ms(&desk->store, 100);
    assert_int_equal(desk_set("g", FILTER), 0);
    desk_restart(desk);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_lease(7), 4);
    part_end();
}

TEST(lease_filter, that_another_version_has_stored_and_this_one_cannot_compile_stops_all_reading)
{
    static struct group_config config;
    struct el_error err = {0};
    part_begin("start=earliest");
    part_append_batch(orders, 6, EL_CODEC_NONE);
    group_config_init(&config);
    assert_int_equal(group_config_set(&config, el_slice_str("start"), el_slice_str("earliest"), &err), 0);
    assert_int_equal(group_config_set(&config, el_slice_str("filter"), el_slice_str("{\"later\":9}"), &err), 0);
    assert_int_equal(lease_group_apply(desk->leases[0], el_slice_str("g"), &config), 0);
    assert_int_equal(part_lease(7), -1);
    fake_store_ms(&desk->store, 3000);
    assert_int_equal(part_lease(7), -1);
    assert_int_equal(passed(METRIC_LEASES_PASSED), 0);
    assert_int_equal(desk_set("g", "start=earliest lease.ms=20000"), 0); /* other settings than control has */
    assert_int_equal(part_lease(7), 0);                                  /* nothing was taken for finished meanwhile */
    part_end();
}

TEST(lease_filter, without_memory_is_refused_and_changes_nothing)
{
    part_begin("start=earliest");
    part_append_batch(orders, 6, EL_CODEC_NONE);
    for (int i = 0; i < 2; i++) {
        desk->leases[i]->cfg.memory_max = 8u << 10;
    }
    assert_int_equal(desk_set("g", FILTER), EVLOG_ERR_NO_MEMORY);
    for (int i = 0; i < 2; i++) {
        desk->leases[i]->cfg.memory_max = 8u << 20;
    }
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(desk_set("g", FILTER), 0);
    part_end();
}
