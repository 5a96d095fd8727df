/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a redrive brings the letters that were asked for back to their group, each once, and leaves the others; what
 * cannot be is refused; a restart goes on. Method: the desk; letters are events that a worker has rejected.
 */
#include "part_kit.h"

#include <lease/lease_redrive.h>

#define LETTERS "source.g.dlq"

static struct lease_redrive_op begin_op;
static struct lease_redrives_op look_op;
static struct lease_selection selection;
static const char *copy_to; /* topic that letters are copied to; NULL: their events come back */

static struct lease_selection everything(void)
{
    return (struct lease_selection){.since_ms = -1, .until_ms = -1};
}

/* Ask for one; the answer is there, or the op waits. */
static void ask(const char *group, const char *topic, enum lease_redrive_action action)
{
    bool dry_run = begin_op.dry_run;
    uint32_t rate = begin_op.rate;
    begin_op = (struct lease_redrive_op){.base = {.group_id = el_slice_str(group), .done = part_on_answer},
                                         .topic = el_slice_str(topic),
                                         .action = copy_to == NULL ? action : LEASE_REDRIVE_COPY,
                                         .target = copy_to == NULL ? (struct el_slice){0} : el_slice_str(copy_to),
                                         .dry_run = dry_run,
                                         .rate = rate,
                                         .selection = &selection};
    part_waits = true;
    leases_redrive(desk->leases[1], &begin_op);
    fake_store_run(&desk->store);
}

static int refused(const char *group, const char *topic)
{
    ask(group, topic, LEASE_REDRIVE_BACK);
    assert_false(part_waits);
    return begin_op.base.error;
}

static struct lease_redrive_view look(uint64_t id)
{
    static struct lease_redrive_view view;
    look_op = (struct lease_redrives_op){.base = {.done = part_on_answer}, .verb = LEASE_REDRIVES_DESCRIBE, .id = id};
    leases_redrives(desk->leases[1], &look_op);
    fake_store_run(&desk->store);
    assert_int_equal(look_op.base.error, 0);
    assert_int_equal(look_op.view_count, 1);
    view = look_op.views[0];
    view.why = view.group = view.topic = view.target = (struct el_slice){0};
    lease_op_release(&look_op.base);
    fake_store_run(&desk->store);
    return view;
}

static int cancel(uint64_t id)
{
    look_op = (struct lease_redrives_op){.base = {.done = part_on_answer}, .verb = LEASE_REDRIVES_CANCEL, .id = id};
    part_waits = true;
    leases_redrives(desk->leases[1], &look_op);
    fake_store_run(&desk->store);
    assert_false(part_waits);
    return look_op.base.error;
}

/* Time passes, in steps that timers need. */
static void pass(int ms)
{
    for (; ms > 0; ms -= 100) {
        fake_store_ms(&desk->store, 100);
    }
}

/* Begin one and let it come to its end. */
static struct lease_redrive_view redrive(enum lease_redrive_action action)
{
    ask("g", LETTERS, action);
    assert_false(part_waits);
    assert_int_equal(begin_op.base.error, 0);
    for (int i = 0; i < 50 && look(begin_op.id).ended_ms < 0; i++) {
        fake_store_ms(&desk->store, 100);
    }
    return look(begin_op.id);
}

/* Events of keys "a", "b", "a", "b" ... in source, those from 0 to count - 1 rejected. */
static void dead(int64_t count)
{
    part_begin("start=earliest max.inflight=100");
    selection = everything();
    copy_to = NULL;
    begin_op.dry_run = false;
    begin_op.rate = 0;
    for (int64_t i = 0; i < count; i++) {
        part_append(i % 2 == 0 ? "a" : "b");
        assert_int_equal(part_lease(7), i);
        assert_int_equal(part_settle(7, i, LEASE_REJECT), 0);
        fake_store_ms(&desk->store, 200);
    }
    assert_int_equal(part_letters(LETTERS), count);
}

TEST(redrive, refuses_what_is_not_there)
{
    dead(1);
    assert_int_equal(refused("other", LETTERS), EVLOG_ERR_GROUP_NOT_FOUND);
    assert_int_equal(refused("g", "nothing"), EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(refused("g", LEASES_TOPIC), EVLOG_ERR_INVALID_TOPIC);
    part_end();
}

TEST(redrive, refuses_a_selection_that_cannot_be)
{
    dead(1);
    selection.ranges[0] = (struct lease_select_range){.partition = 9, .last = 1};
    selection.range_count = 1;
    assert_int_equal(refused("g", LETTERS), EVLOG_ERR_ARGUMENT);
    selection.ranges[0] = (struct lease_select_range){.first = 2, .last = 1};
    assert_int_equal(refused("g", LETTERS), EVLOG_ERR_ARGUMENT);
    selection = everything();
    selection.pattern = el_slice_str("{\"ce_type\": [");
    assert_int_equal(refused("g", LETTERS), EVLOG_ERR_ARGUMENT);
    assert_non_null(strstr(begin_op.base.message_text, "pattern"));
    selection = everything();
    selection.since_ms = 5;
    selection.until_ms = 5;
    assert_int_equal(refused("g", LETTERS), EVLOG_ERR_ARGUMENT);
    part_end();
}

TEST(redrive, refuses_a_second_one_of_the_same_letters_while_one_runs)
{
    dead(3);
    begin_op.rate = 1;
    assert_int_equal(refused("g", LETTERS), 0);
    uint64_t id = begin_op.id;
    assert_int_equal(refused("g", LETTERS), EVLOG_ERR_CONFLICT);
    assert_int_equal(cancel(id), 0);
    assert_int_equal(look(id).state, LEASE_REDRIVE_CANCELLED);
    assert_int_equal(cancel(id), EVLOG_ERR_CONFLICT);
    assert_int_equal(cancel(id + 1), EVLOG_ERR_NOT_FOUND);
    begin_op.rate = 0;
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).state, LEASE_REDRIVE_DONE);
    part_end();
}

TEST(redrive, events_come_back_once_and_in_order)
{
    dead(4);
    struct lease_redrive_view view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.state, LEASE_REDRIVE_DONE);
    assert_int_equal(view.counts.matched, 4);
    assert_int_equal(view.counts.redriven, 4);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(part_lease(7), -1); /* 2 waits behind 0, 3 behind 1 */
    for (int64_t i = 0; i < 4; i++) {
        assert_int_equal(part_settle(7, i, LEASE_ACCEPT), 0);
        assert_int_equal(i < 2 ? part_lease(7) : -1, i < 2 ? i + 2 : -1);
    }
    view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.counts.matched, 0);
    assert_int_equal(view.counts.settled, 4);
    desk_restart(desk);
    view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.counts.redriven, 0);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(redrive, what_has_come_back_survives_a_restart)
{
    dead(3);
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 3);
    desk_restart(desk);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    desk_restart(desk);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(part_lease(7), 2);
    part_end();
}

/* Events first to first + count - 1, each of a key of its own, rejected. */
static void reject_some(int64_t first, int64_t count)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    for (int64_t i = 0; i < count; i++) {
        part_append(keys[i]);
        assert_int_equal(part_lease(7), first + i);
        assert_int_equal(part_settle(7, first + i, LEASE_REJECT), 0);
    }
}

/* All letters that may be under way wait, when the machine stops, and an earlier event of the key of each has come
 * back meanwhile: those need a place themselves. */
TEST(redrive, letters_under_way_at_a_restart_do_not_wait_for_what_has_come_back)
{
    part_begin("start=earliest max.inflight=100");
    selection = everything();
    copy_to = NULL;
    reject_some(0, LEASE_INTENTS_MAX);
    fake_store_ms(&desk->store, 500);
    assert_int_equal(part_durable(LETTERS), LEASE_INTENTS_MAX);
    desk->store.held = store_topic_by_name(&desk->store.shards[0], el_slice_str(LETTERS));
    reject_some(LEASE_INTENTS_MAX, LEASE_INTENTS_MAX);
    fake_store_ms(&desk->store, 500);
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, LEASE_INTENTS_MAX);
    desk_restart(desk);
    for (int64_t i = 0; i < LEASE_INTENTS_MAX; i++) {
        assert_int_equal(part_lease(7), i);
        assert_int_equal(part_settle(7, i, LEASE_REJECT), 0);
    }
    fake_store_ms(&desk->store, 5000);
    assert_int_equal(part_durable(LETTERS), 3 * LEASE_INTENTS_MAX);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(redrive, one_that_dies_again_is_a_letter_with_its_whole_story)
{
    dead(1);
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 1);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_letters(LETTERS), 2);
    struct lease_redrive_view view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.counts.redriven, 1);
    assert_int_equal(view.counts.settled, 1);
    part_end();
}

TEST(redrive, a_drop_settles_letters_and_brings_nothing_back)
{
    dead(3);
    selection.key = el_slice_str("a");
    struct lease_redrive_view view = redrive(LEASE_REDRIVE_DROP);
    assert_int_equal(view.counts.dropped, 2);
    assert_int_equal(part_lease(7), -1);
    selection = everything();
    view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.counts.redriven, 1);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(redrive, only_what_is_selected_comes_back)
{
    dead(5);
    selection.ranges[0] = (struct lease_select_range){.first = 1, .last = 2};
    selection.range_count = 1;
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 2);
    selection = everything();
    selection.reason = el_slice_str("exhausted");
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 0);
    selection = everything();
    selection.pattern = el_slice_str("{\"evlog-dlq-offset\":[\"4\"]}");
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 1);
    selection = everything();
    selection.until_ms = 1;
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.matched, 0);
    assert_int_equal(part_lease(7), 1);
    assert_int_equal(part_lease(7), 2);
    assert_int_equal(part_settle(7, 2, LEASE_ACCEPT), 0);
    assert_int_equal(part_lease(7), 4);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(redrive, a_dry_run_counts_and_changes_nothing)
{
    dead(3);
    begin_op.dry_run = true;
    struct lease_redrive_view view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.counts.matched, 3);
    assert_int_equal(view.counts.redriven, 0);
    assert_int_equal(part_lease(7), -1);
    begin_op.dry_run = false;
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 3);
    part_end();
}

TEST(redrive, a_restart_goes_on_where_it_was)
{
    dead(4);
    begin_op.rate = 8;
    assert_int_equal(refused("g", LETTERS), 0);
    uint64_t id = begin_op.id;
    fake_store_ms(&desk->store, 60);
    assert_int_equal(look(id).state, LEASE_REDRIVE_RUNNING);
    desk_restart(desk);
    assert_int_equal(desk_set("g", "start=earliest max.inflight=100"), 0);
    pass(2000);
    assert_int_equal(look(id).state, LEASE_REDRIVE_DONE);
    assert_int_equal(look(id).counts.redriven, 4);
    for (int64_t i = 0; i < 2; i++) {
        assert_int_equal(part_lease(7), i);
    }
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(redrive, letters_of_a_topic_that_is_gone_stay_open)
{
    dead(2);
    fake_topic_delete(&desk->store, "source");
    fake_store_ms(&desk->store, 1000);
    struct lease_redrive_view view = redrive(LEASE_REDRIVE_BACK);
    assert_int_equal(view.state, LEASE_REDRIVE_DONE);
    assert_int_equal(view.counts.gone, 2);
    assert_int_equal(view.counts.redriven, 0);
    part_end();
}

/* Ask for letter 0 of event 0 as a step of a task does. */
static int again(const struct el_uuid *dead_id, uint64_t task)
{
    static struct lease_again_letter letter;
    static struct lease_again_op op;
    letter = (struct lease_again_letter){.key_hash = lease_key_hash(el_slice_str("a"))};
    op = (struct lease_again_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                 .topic_id = part_source->id,
                                 .dead_id = *dead_id,
                                 .task = task,
                                 .letters = &letter,
                                 .letter_count = 1};
    part_waits = true;
    leases_again(desk->leases[0], &op);
    fake_store_run(&desk->store);
    assert_false(part_waits);
    lease_op_release(&op.base);
    return op.base.error;
}

/* What has come back for letters of that topic is forgotten with it, while a task still repeats a step. */
TEST(redrive, nothing_comes_back_for_letters_whose_topic_is_gone)
{
    dead(1);
    struct el_uuid first = store_topic_by_name(&desk->store.shards[0], el_slice_str(LETTERS))->id;
    assert_int_equal(again(&first, 1), 0);
    fake_topic_delete(&desk->store, LETTERS);
    struct el_uuid second = fake_topic(&desk->store, LETTERS, 1)->id;
    assert_int_equal(again(&second, 2), 0); /* sweeps */
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    fake_store_ms(&desk->store, 200);
    assert_int_equal(again(&first, 1), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(part_lease(7), -1);
    part_end();
}

TEST(redrive, is_forgotten_with_its_group)
{
    dead(1);
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 1);
    uint64_t id = begin_op.id;
    assert_int_equal(desk_delete("g"), 0);
    fake_store_ms(&desk->store, 100);
    look_op = (struct lease_redrives_op){.base = {.done = part_on_answer}, .verb = LEASE_REDRIVES_DESCRIBE, .id = id};
    leases_redrives(desk->leases[1], &look_op);
    fake_store_run(&desk->store);
    assert_int_equal(look_op.base.error, EVLOG_ERR_NOT_FOUND);
    desk_restart(desk);
    part_end();
}

/* --- to a topic --------------------------------------------------------------------------------------------------- */

/* Records in all partitions of "target". */
static int64_t copies(void)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < desk->store.topic_count; i++) {
        for (int32_t p = 0; p < 3 && strcmp(desk->store.topics[i].name, "target") == 0; p++) {
            count += desk->store.next_offset[i][p];
        }
    }
    return count;
}

static bool refusal_says(const char *target, const char *text)
{
    copy_to = target;
    assert_int_equal(refused("g", LETTERS), EVLOG_ERR_ARGUMENT);
    return strstr(begin_op.base.message_text, text) != NULL;
}

/* Of 4 letters, eight events a second. */
static void begin_slow_copy(void)
{
    dead(4);
    fake_topic(&desk->store, "target", 3);
    copy_to = "target";
    begin_op.rate = 8;
    assert_int_equal(refused("g", LETTERS), 0);
}

TEST(redrive_copy, refuses_targets_that_cannot_be)
{
    dead(1);
    assert_true(refusal_says("nowhere", "create it first"));
    assert_true(refusal_says(LEASES_TOPIC, "evlog itself"));
    assert_true(refusal_says(LETTERS, "they are there"));
    fake_topic(&desk->store, "other", 1);
    fake_topic(&desk->store, "other.g.dlq", 1);
    assert_true(refusal_says("other.g.dlq", "same group"));
    struct topic *streams = fake_topic(&desk->store, "streams", 1);
    assert_int_equal(topic_config_set(&streams->config, el_slice_str("evlog.streams"), el_slice_str("true"), NULL), 0);
    assert_true(refusal_says("streams", "copy to a topic without"));
    part_end();
}

TEST(redrive_copy, letters_are_in_the_topic_once_and_settled)
{
    dead(5);
    fake_topic(&desk->store, "target", 3);
    copy_to = "target";
    struct lease_redrive_view view = redrive(LEASE_REDRIVE_COPY);
    assert_int_equal(view.state, LEASE_REDRIVE_DONE);
    assert_int_equal(view.counts.redriven, 5);
    assert_int_equal(copies(), 5);
    assert_int_equal(part_lease(7), -1);
    desk_restart(desk);
    view = redrive(LEASE_REDRIVE_COPY);
    assert_int_equal(view.counts.redriven, 0);
    assert_int_equal(view.counts.settled, 5);
    assert_int_equal(copies(), 5);
    part_end();
}

TEST(redrive_copy, a_dry_run_copies_nothing)
{
    dead(2);
    fake_topic(&desk->store, "target", 3);
    copy_to = "target";
    begin_op.dry_run = true;
    assert_int_equal(redrive(LEASE_REDRIVE_COPY).counts.matched, 2);
    assert_int_equal(copies(), 0);
    part_end();
}

TEST(redrive_copy, a_restart_goes_on_where_it_was)
{
    begin_slow_copy();
    uint64_t id = begin_op.id;
    fake_store_ms(&desk->store, 60);
    assert_int_equal(look(id).state, LEASE_REDRIVE_RUNNING);
    desk_restart(desk);
    pass(2000);
    assert_int_equal(look(id).state, LEASE_REDRIVE_DONE);
    assert_int_equal(look(id).action, LEASE_REDRIVE_COPY);
    assert_int_equal(look(id).counts.redriven, 4);
    assert_int_equal(copies(), 4);
    part_end();
}

TEST(redrive_copy, fails_when_its_topic_is_deleted)
{
    begin_slow_copy();
    fake_topic_delete(&desk->store, "target");
    pass(2000);
    assert_int_equal(look(begin_op.id).state, LEASE_REDRIVE_FAILED);
    part_end();
}

static int refuse_copies(const struct append_op *op)
{
    const struct topic *target = store_topic_by_name(&desk->store.shards[0], el_slice_str("target"));
    return el_uuid_eq(&op->topic_id, &target->id) ? EVLOG_ERR_FULL : 0;
}

/* Else they would come after those of letters that are newer, in a topic of the same name. */
TEST(redrive_copy, that_waits_for_its_target_copies_nothing_when_the_letters_are_gone)
{
    dead(4);
    fake_topic(&desk->store, "target", 3);
    copy_to = "target";
    desk->store.refuse = refuse_copies;
    assert_int_equal(refused("g", LETTERS), 0);
    pass(1000);
    assert_int_equal(look(begin_op.id).state, LEASE_REDRIVE_RUNNING);
    fake_topic_delete(&desk->store, LETTERS);
    desk->store.refuse = NULL;
    pass(6000);
    assert_int_equal(look(begin_op.id).state, LEASE_REDRIVE_FAILED);
    assert_int_equal(copies(), 0);
    part_end();
}

/* --- parked keys -------------------------------------------------------------------------------------------------- */

static struct lease_release_key_op key_op;

/* Ask for the token of key "a", or release it while it has that token. */
static int key_release(bool ask, uint64_t token)
{
    key_op = (struct lease_release_key_op){.base = {.group_id = el_slice_str("g"), .done = part_on_answer},
                                           .topic_id = part_source->id,
                                           .key = el_slice_str("a"),
                                           .ask = ask,
                                           .token = token};
    part_waits = true;
    leases_release_key(desk->leases[1], &key_op);
    fake_store_run(&desk->store);
    fake_store_ms(&desk->store, 200);
    assert_false(part_waits);
    return key_op.base.error;
}

static uint64_t key_token(void)
{
    assert_int_equal(key_release(true, 0), 0);
    assert_true(key_op.token != 0);
    return key_op.token;
}

/* Key "a" is parked, one event has followed. */
static void parked(void)
{
    part_begin("start=earliest max.inflight=100 on.exhausted=park");
    selection = everything();
    copy_to = NULL;
    part_append("a");
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(key_release(true, 0), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(part_settle(7, 0, LEASE_REJECT), 0);
    fake_store_ms(&desk->store, 200);
    part_append("a");
    assert_int_equal(part_lease(7), -1);
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_letters(LETTERS), 2);
}

TEST(release_key, is_refused_when_more_letters_of_the_key_have_come)
{
    parked();
    uint64_t token = key_token();
    assert_int_equal(key_token(), token);
    assert_int_equal(key_release(false, token + 1), EVLOG_ERR_CONFLICT);
    part_append("a");
    assert_int_equal(part_lease(7), -1);
    fake_store_ms(&desk->store, 200);
    assert_int_equal(part_letters(LETTERS), 3);
    assert_int_equal(key_release(false, token), EVLOG_ERR_CONFLICT);
    assert_int_equal(redrive(LEASE_REDRIVE_BACK).counts.redriven, 3);
    assert_int_equal(key_release(false, key_token()), 0);
    assert_int_equal(key_release(true, 0), EVLOG_ERR_NOT_FOUND);
    part_end();
}

TEST(release_key, is_refused_with_what_was_known_before_a_restart)
{
    parked();
    uint64_t token = key_token();
    fake_store_ms(&desk->store, 200);
    desk_restart(desk);
    assert_int_equal(part_lease(7), -1);
    assert_int_equal(key_release(false, token), EVLOG_ERR_CONFLICT);
    assert_int_equal(key_release(false, key_token()), 0);
    part_end();
}

TEST(release_key, needs_no_token)
{
    parked();
    assert_int_equal(key_release(false, 0), 0);
    assert_int_equal(key_release(false, 0), EVLOG_ERR_NOT_FOUND);
    part_end();
}
