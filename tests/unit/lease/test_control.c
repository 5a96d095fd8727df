/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a work group exists for everybody or for nobody, also after a restart; its settings are those that were
 * answered, on every shard; its end is complete. Method: ops from another shard, with writes, questions and messages
 * held at each step.
 */
#include "desk.h"

#include <stdio.h>

static struct desk k;

static void begin(void)
{
    desk_begin(&k);
    fake_topic(&k.store, "a", 4);
}

/* What a shard works by. */
static int64_t at_shard(uint32_t shard, const char *group, enum group_setting_id id)
{
    struct lease_group *known = lease_group_find(k.leases[shard], el_slice_str(group));
    assert_non_null(known);
    assert_true(known->exists);
    return group_config_int(known->config, id);
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(control, ids_that_no_group_may_have_are_refused)
{
    char id[LEASE_GROUP_ID_LEN_MAX + 2];
    begin();
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = 0;
    struct worker w = worker_of("w", "a");
    assert_int_equal(worker_join(&w, ""), EVLOG_ERR_INVALID_GROUP);
    assert_int_equal(worker_join(&w, id), EVLOG_ERR_INVALID_GROUP);
    assert_int_equal(desk_set(id, "order=none"), EVLOG_ERR_INVALID_GROUP);
    assert_int_equal(desk_set("", "order=none"), EVLOG_ERR_INVALID_GROUP);
    assert_int_equal(desk_delete(""), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(desk_delete(id), EVLOG_ERR_GROUP_NOT_FOUND);
    id[LEASE_GROUP_ID_LEN_MAX] = 0;
    assert_int_equal(worker_join(&w, id), 0);
    desk_end(&k);
}

TEST(control, nothing_is_made_for_looking)
{
    bool exists = true;
    begin();
    struct worker w = worker_of("w", "a");
    w.epoch = 3;
    assert_int_equal(worker_beat(&w, "g"), EVLOG_ERR_GROUP_NOT_FOUND);
    w.epoch = -1;
    assert_int_equal(worker_beat(&w, "g"), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(desk_delete("g"), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(desk_setting("g", GROUP_SETTING_LEASE_MS, &exists), 30000);
    assert_false(exists);
    assert_int_equal(desk_set("g", ""), 0);
    assert_string_equal(desk_describe("g"), "error -57");
    assert_string_equal(desk_list(), "");
    assert_int_equal(k.store.topic_count, 1);
    assert_false(leases_has(k.leases[1], el_slice_str("g")));
    desk_end(&k);
}

TEST(control, an_id_of_another_kind_of_group_is_refused)
{
    begin();
    struct worker w = worker_of("w", "a");
    k.kind_error = EVLOG_ERR_GROUP_KIND;
    assert_int_equal(worker_join(&w, "g"), EVLOG_ERR_GROUP_KIND);
    assert_int_equal(desk_set("g", "order=none"), EVLOG_ERR_GROUP_KIND);
    k.kind_error = EVLOG_ERR_GROUP_LOADING;
    assert_int_equal(worker_join(&w, "g"), EVLOG_ERR_GROUP_LOADING);
    assert_string_equal(desk_list(), "");
    k.kind_error = 0;
    assert_int_equal(worker_join(&w, "g"), 0);
    k.kind_error = EVLOG_ERR_GROUP_KIND; /* asked of new groups only */
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(desk_set("g", "order=none"), 0);
    desk_end(&k);
}

TEST(control, settings_that_contradict_each_other_change_nothing)
{
    begin();
    assert_int_equal(desk_set("g", "filter={\"data\":[1]"), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(desk_text, "filter: line 1, column 12"));
    assert_int_equal(desk_set("g", "order=none on.exhausted=park"), EVLOG_ERR_INVALID_CONFIG);
    assert_non_null(strstr(desk_text, "order=key"));
    assert_string_equal(desk_list(), "");
    desk_end(&k);
}

TEST(control, a_write_that_fails_makes_and_changes_nothing)
{
    begin();
    struct worker w = worker_of("w", "a");
    assert_int_equal(desk_set("other", "order=none"), 0);
    k.store.append_error = EVLOG_ERR_STORAGE;
    assert_int_equal(worker_join(&w, "g"), EVLOG_ERR_STORAGE);
    assert_int_equal(desk_set("g", "order=none"), EVLOG_ERR_STORAGE);
    assert_int_equal(desk_set("other", "order=partition"), EVLOG_ERR_STORAGE);
    assert_int_equal(desk_delete("other"), EVLOG_ERR_STORAGE);
    assert_string_equal(desk_list(), "other:Empty");
    assert_int_equal(desk_setting("other", GROUP_SETTING_ORDER, NULL), GROUP_ORDER_NONE);
    k.store.append_error = 0;
    assert_int_equal(desk_set("other", "order=partition"), 0);
    assert_int_equal(at_shard(0, "other", GROUP_SETTING_ORDER), GROUP_ORDER_PARTITION);
    assert_int_equal(at_shard(1, "other", GROUP_SETTING_ORDER), GROUP_ORDER_PARTITION);
    desk_end(&k);
}

TEST(control, the_topic_that_cannot_be_made_is_said)
{
    begin();
    struct worker w = worker_of("w", "a");
    k.store.change_error = EVLOG_ERR_FULL;
    assert_int_equal(worker_join(&w, "g"), EVLOG_ERR_GROUP_UNAVAILABLE);
    k.store.change_error = 0;
    assert_int_equal(worker_join(&w, "g"), 0);
    desk_end(&k);
}

TEST(control, a_change_made_from_other_settings_is_refused)
{
    static struct group_config config, expected, current;
    begin();
    assert_int_equal(desk_set("g", "order=none"), 0);
    group_config_init(&config);
    group_config_init(&expected);
    struct lease_settings_op op = {
        .base = {.group_id = el_slice_str("g"), .done = lease_op_release}, /* it has no results */
        .verb = LEASE_SETTINGS_SET,
        .config = &config,
        .expected = &expected,
        .current = &current,
    };
    leases_settings(k.leases[1], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, EVLOG_ERR_AGAIN);
    assert_true(op.exists);
    assert_int_equal(group_config_int(&current, GROUP_SETTING_ORDER), GROUP_ORDER_NONE);
    expected = current;
    op.validate_only = true;
    leases_settings(k.leases[1], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(desk_setting("g", GROUP_SETTING_ORDER, NULL), GROUP_ORDER_NONE);
    op.validate_only = false;
    leases_settings(k.leases[1], &op);
    fake_store_run(&k.store);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(desk_setting("g", GROUP_SETTING_ORDER, NULL), GROUP_ORDER_KEY);
    desk_end(&k);
}

/* --- making ------------------------------------------------------------------------------------------------------- */

TEST(control, a_group_is_seen_when_all_shards_know_it_and_not_before)
{
    begin();
    assert_int_equal(desk_set("first", "order=none"), 0); /* makes the topic */
    k.store.defer = true;
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    worker_ask(&w, "g");
    worker_ask(&other, "g");
    assert_true(w.waits);
    assert_true(other.waits);
    assert_string_equal(desk_list(), "first:Empty");
    assert_false(leases_has(k.leases[0], el_slice_str("g")));
    k.store.defer = false;
    fake_store_durable(&k.store);
    assert_int_equal(w.op.base.error, 0);
    assert_int_equal(other.op.base.error, 0);
    assert_false(w.waits);
    assert_false(other.waits);
    assert_int_equal(k.store.batch_count, 2); /* one of each group */
    assert_string_equal(desk_list(), "first:Empty g:Stable");
    assert_true(leases_has(k.leases[0], el_slice_str("g")));
    assert_true(leases_has(k.leases[1], el_slice_str("g")));
    assert_int_equal(fake_store_metric(&k.store, METRIC_WORK_GROUPS), 2);
    desk_end(&k);
}

TEST(control, those_who_wait_for_a_group_that_is_not_made_are_told)
{
    begin();
    assert_int_equal(desk_set("first", "order=none"), 0);
    k.kind_holds = true;
    struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
    worker_ask(&w, "g");
    worker_ask(&other, "g");
    struct lease_kind_question *question = k.question;
    k.question = NULL;
    k.kind_holds = false;
    k.kind_error = EVLOG_ERR_GROUP_KIND;
    question->told(question, EVLOG_ERR_GROUP_KIND);
    fake_store_run(&k.store);
    assert_int_equal(w.op.base.error, EVLOG_ERR_GROUP_KIND);
    assert_int_equal(other.op.base.error, EVLOG_ERR_GROUP_KIND);
    assert_false(other.waits);
    desk_end(&k);
}

TEST(control, settings_survive_a_restart_and_reach_every_shard)
{
    bool exists = false;
    begin();
    assert_int_equal(desk_set("g", "lease.ms=1000 dlq.topic=dead start=earliest"), 0);
    assert_int_equal(desk_set("h", "order=none"), 0);
    assert_int_equal(desk_set("g", "lease.ms=2000 dlq.topic=dead"), 0);
    for (int round = 0; round < 2; round++) {
        for (uint32_t shard = 0; shard < FAKE_SHARDS; shard++) {
            assert_int_equal(at_shard(shard, "g", GROUP_SETTING_LEASE_MS), 2000);
            assert_int_equal(at_shard(shard, "h", GROUP_SETTING_ORDER), GROUP_ORDER_NONE);
        }
        assert_int_equal(desk_setting("g", GROUP_SETTING_LEASE_MS, &exists), 2000);
        assert_true(exists);
        assert_string_equal(desk_list(), "g:Empty h:Empty");
        desk_restart(&k);
    }
    assert_true(k.leases[0]->known);
    assert_true(k.leases[1]->known);
    assert_int_equal(fake_store_metric(&k.store, METRIC_WORK_GROUPS), 2);
    desk_end(&k);
}

TEST(control, a_shard_without_memory_is_told_again_until_it_has_some)
{
    begin();
    assert_int_equal(desk_set("g", "lease.ms=1000"), 0);
    uint64_t memory_max = k.leases[1]->cfg.memory_max;
    k.leases[1]->cfg.memory_max = 0;
    struct worker w = worker_of("w", "a");
    worker_ask(&w, "h");
    assert_true(w.waits);
    fake_store_ms(&k.store, 500);
    assert_true(w.waits);
    assert_string_equal(desk_list(), "g:Empty");
    k.leases[1]->cfg.memory_max = memory_max;
    fake_store_ms(&k.store, 200);
    assert_false(w.waits);
    assert_int_equal(w.op.base.error, 0);
    desk_end(&k);
}

TEST(control, no_memory_on_shard_0_refuses_and_leaves_nothing)
{
    begin();
    assert_int_equal(desk_set("g", "lease.ms=1000"), 0);
    uint64_t memory_max = k.leases[0]->cfg.memory_max, used = k.leases[0]->memory_used;
    struct worker w = worker_of("w", "a");
    for (uint64_t room = 0; room < 20000; room += 100) {
        k.leases[0]->cfg.memory_max = used + room;
        worker_ask(&w, "h");
        if (w.waits) {
            k.leases[0]->cfg.memory_max = memory_max; /* told again */
            fake_store_ms(&k.store, 200);
        }
        assert_false(w.waits);
        if (w.op.base.error == 0) {
            assert_true(room > 0);
            desk_end(&k);
            return;
        }
        assert_int_equal(w.op.base.error, EVLOG_ERR_NO_MEMORY);
        k.leases[0]->cfg.memory_max = memory_max;
        if (strstr(desk_list(), "h:") != NULL) {
            assert_int_equal(desk_delete("h"), 0); /* it was made before its member found no room */
        }
    }
    fail_msg("20,000 bytes are no room for a group with a member");
}

/* --- ending ------------------------------------------------------------------------------------------------------- */

TEST(control, a_group_with_members_is_not_deleted)
{
    begin();
    struct worker w = worker_of("w", "a");
    assert_int_equal(worker_join(&w, "g"), 0);
    assert_int_equal(desk_delete("g"), EVLOG_ERR_GROUP_NOT_EMPTY);
    assert_int_equal(lease_control_check_empty(k.leases[0], el_slice_str("g")), EVLOG_ERR_GROUP_NOT_EMPTY);
    w.epoch = -1;
    assert_int_equal(worker_beat(&w, "g"), 0);
    assert_int_equal(lease_control_check_empty(k.leases[0], el_slice_str("g")), 0);
    assert_int_equal(desk_delete("g"), 0);
    assert_int_equal(lease_control_check_empty(k.leases[0], el_slice_str("g")), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_string_equal(desk_list(), "");
    assert_false(leases_has(k.leases[1], el_slice_str("g")));
    assert_int_equal(fake_store_metric(&k.store, METRIC_WORK_GROUPS), 0);
    desk_restart(&k);
    assert_string_equal(desk_list(), "");
    desk_end(&k);
}

TEST(control, who_joins_while_a_group_ends_makes_a_new_one)
{
    begin();
    assert_int_equal(desk_set("g", "lease.ms=1000"), 0);
    k.store.defer = true;
    struct worker w = worker_of("w", "a");
    struct lease_delete_op op = {.base = {.group_id = el_slice_str("g"), .done = lease_op_release}};
    op.base.error = 1;
    leases_delete(k.leases[1], &op);
    fake_store_run(&k.store);
    worker_ask(&w, "g");
    assert_true(w.waits);
    k.store.defer = false;
    fake_store_durable(&k.store);
    assert_int_equal(op.base.error, 0);
    assert_false(w.waits);
    assert_int_equal(w.op.base.error, 0);
    assert_int_equal(desk_setting("g", GROUP_SETTING_LEASE_MS, NULL), 30000);
    desk_end(&k);
}

TEST(control, a_group_that_a_shard_cannot_forget_now_is_refused_until_it_has)
{
    begin();
    struct worker w = worker_of("w", "a");
    assert_int_equal(desk_set("g", "lease.ms=1000"), 0);
    assert_int_equal(worker_join(&w, "h"), 0);
    enum leases_state state = k.leases[1]->state;
    k.leases[1]->state = LEASES_LOADING;
    k.leases[1]->patient = false;
    assert_int_equal(desk_delete("g"), EVLOG_ERR_GROUP_LOADING);
    assert_int_equal(desk_delete("g"), EVLOG_ERR_GROUP_UNAVAILABLE);
    struct worker other = worker_of("o", "a");
    assert_int_equal(worker_join(&other, "g"), EVLOG_ERR_GROUP_UNAVAILABLE);
    assert_string_equal(desk_list(), "h:Stable");
    fake_store_ms(&k.store, 1500);
    assert_int_equal(desk_delete("g"), EVLOG_ERR_GROUP_UNAVAILABLE);
    k.leases[1]->state = state;
    fake_store_ms(&k.store, 1500);
    assert_int_equal(desk_delete("g"), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(worker_join(&other, "g"), 0);
    desk_end(&k);
}

/* --- the end of the shard ----------------------------------------------------------------------------------------- */

TEST(control, what_waits_when_the_shard_stops_is_answered)
{
    for (int held = 0; held < 3; held++) {
        begin();
        assert_int_equal(desk_set("first", "order=none"), 0);
        k.kind_holds = held == 0;
        k.store.defer = held == 1;
        uint64_t memory_max = k.leases[1]->cfg.memory_max;
        k.leases[1]->cfg.memory_max = held == 2 ? 0 : memory_max;
        struct worker w = worker_of("w", "a"), other = worker_of("o", "a");
        worker_ask(&w, "g");
        worker_ask(&other, "g");
        assert_true(w.waits);
        desk_stop(&k);
        assert_false(w.waits);
        assert_false(other.waits);
        assert_int_equal(w.op.base.error, EVLOG_ERR_CLOSED);
        assert_int_equal(other.op.base.error, EVLOG_ERR_CLOSED);
        worker_ask(&w, "g");
        assert_int_equal(w.op.base.error, EVLOG_ERR_CLOSED);
        desk_end(&k);
    }
}

TEST(control, a_change_that_becomes_durable_after_the_stop_is_answered)
{
    begin();
    k.store.defer = true;
    struct worker w = worker_of("w", "a");
    worker_ask(&w, "g");
    assert_true(w.waits);
    assert_true(k.store.append_count > 0);
    for (uint32_t i = 0; i < FAKE_SHARDS; i++) {
        leases_stop(k.leases[i]);
    }
    while (k.store.append_count > 0) {
        fake_store_durable(&k.store);
    }
    fake_store_run(&k.store);
    assert_false(w.waits);
    assert_int_equal(w.op.base.error, EVLOG_ERR_CLOSED);
    desk_end(&k);
}
