/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: RedriveStart, RedriveTasks and LetterStates ask for what the request says, and say what came of it. Method: the
 * fake node; work groups answer as the test wants.
 */
#include "fake_leases.h"

#include <wire/msg_ext_letter_states.h>
#include <wire/msg_ext_redrive_start.h>
#include <wire/msg_ext_redrive_tasks.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "events.g.dlq", 3);
}

static struct fake_request *send_message(int key, const void *message, void *answer)
{
    struct fake_request *r = fake_request(&f, key, 0, message);
    fake_dispatch(&f, r);
    fake_response(r, answer);
    return r;
}

static struct el_msg_ext_redrive_start_request start_message(void)
{
    struct el_msg_ext_redrive_start_request message;
    el_schema_init(&el_schema_ext_redrive_start_request, &message);
    message.group = el_slice_str("g");
    message.topic = el_slice_str("events.g.dlq");
    return message;
}

TEST(redrive_start, refuses_more_ranges_unknown_actions_and_rates_below_0)
{
    begin();
    struct el_msg_ext_redrive_start_range ranges[65];
    struct el_msg_ext_redrive_start_response answer;
    struct el_msg_ext_redrive_start_request message = start_message();
    for (size_t i = 0; i < 65; i++) {
        el_schema_init(&el_schema_ext_redrive_start_range, &ranges[i]);
    }
    message.ranges = ranges;
    message.range_count = 65;
    fake_free(send_message(EL_API_RedriveStart, &message, &answer));
    message = start_message();
    message.action = 3;
    struct fake_request *r = send_message(EL_API_RedriveStart, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    message = start_message();
    message.action = 2; /* a copy without a topic */
    fake_free(send_message(EL_API_RedriveStart, &message, &answer));
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    message = start_message();
    message.to = el_slice_str("elsewhere"); /* a topic without a copy */
    fake_free(send_message(EL_API_RedriveStart, &message, &answer));
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    message = start_message();
    message.rate = -1;
    r = send_message(EL_API_RedriveStart, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    assert_null(leases_fake.redrive_asked.selection);
    fake_end(&f);
}

TEST(redrive_start, says_why_it_was_refused)
{
    begin();
    struct el_msg_ext_redrive_start_response answer;
    struct el_msg_ext_redrive_start_request message = start_message();
    leases_fake.redrive_error = EVLOG_ERR_CONFLICT;
    leases_fake.redrive_message = "redrive 3 is running";
    struct fake_request *r = send_message(EL_API_RedriveStart, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    assert_true(el_slice_eq(answer.message, el_slice_str("redrive 3 is running")));
    fake_free(r);
    leases_fake.redrive_error = EVLOG_ERR_GROUP_NOT_FOUND;
    leases_fake.redrive_message = NULL;
    r = send_message(EL_API_RedriveStart, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_GROUP_ID_NOT_FOUND);
    assert_int_equal(answer.id, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(redrive_start, asks_for_what_the_request_says)
{
    begin();
    struct el_msg_ext_redrive_start_range range;
    struct el_msg_ext_redrive_start_response answer;
    struct el_msg_ext_redrive_start_request message = start_message();
    el_schema_init(&el_schema_ext_redrive_start_range, &range);
    range.partition = 2;
    range.first = 5;
    range.last = 9;
    message.ranges = &range;
    message.range_count = 1;
    message.action = 1;
    message.dry_run = true;
    message.rate = 40;
    message.since_ms = 100;
    message.until_ms = 200;
    struct fake_request *r = send_message(EL_API_RedriveStart, &message, &answer);
    const struct lease_selection *selection = &leases_fake.redrive_selection;
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.id, 7);
    assert_int_equal(leases_fake.redrive_asked.action, LEASE_REDRIVE_DROP);
    assert_true(leases_fake.redrive_asked.dry_run);
    assert_int_equal(leases_fake.redrive_asked.rate, 40);
    assert_int_equal(selection->range_count, 1);
    assert_int_equal(selection->ranges[0].partition, 2);
    assert_int_equal(selection->ranges[0].first, 5);
    assert_int_equal(selection->ranges[0].last, 9);
    assert_null(selection->key.data);
    assert_int_equal(selection->since_ms, 100);
    assert_int_equal(selection->until_ms, 200);
    fake_free(r);
    fake_end(&f);
}

TEST(redrive_tasks, refuses_a_verb_and_a_redrive_that_are_not_known)
{
    begin();
    struct el_msg_ext_redrive_tasks_request message;
    struct el_msg_ext_redrive_tasks_response answer;
    el_schema_init(&el_schema_ext_redrive_tasks_request, &message);
    message.verb = 3;
    struct fake_request *r = send_message(EL_API_RedriveTasks, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    message.verb = 2;
    message.id = 9;
    leases_fake.redrive_error = EVLOG_ERR_NOT_FOUND;
    r = send_message(EL_API_RedriveTasks, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_RESOURCE_NOT_FOUND);
    assert_int_equal(leases_fake.redrives_asked.verb, LEASE_REDRIVES_CANCEL);
    assert_int_equal(leases_fake.redrives_asked.id, 9);
    assert_int_equal(leases_fake.block_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(redrive_tasks, tells_how_far_each_is)
{
    begin();
    struct el_msg_ext_redrive_tasks_request message;
    struct el_msg_ext_redrive_tasks_response answer;
    el_schema_init(&el_schema_ext_redrive_tasks_request, &message);
    leases_fake.redrives[0] = (struct lease_redrive_view){.id = 4,
                                                          .group = el_slice_str("g"),
                                                          .topic = el_slice_str("events.g.dlq"),
                                                          .state = LEASE_REDRIVE_FAILED,
                                                          .why = el_slice_str("gone"),
                                                          .ended_ms = 12,
                                                          .counts = {.total = 9, .seen = 8, .redriven = 7}};
    leases_fake.redrive_count = 1;
    struct fake_request *r = send_message(EL_API_RedriveTasks, &message, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.task_count, 1);
    assert_int_equal(answer.tasks[0].id, 4);
    assert_true(el_slice_eq(answer.tasks[0].state, el_slice_str("failed")));
    assert_true(el_slice_eq(answer.tasks[0].why, el_slice_str("gone")));
    assert_int_equal(answer.tasks[0].ended_ms, 12);
    assert_int_equal(answer.tasks[0].total, 9);
    assert_int_equal(answer.tasks[0].seen, 8);
    assert_int_equal(answer.tasks[0].redriven, 7);
    assert_int_equal(leases_fake.block_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(letter_states, of_what_is_not_there_is_an_error)
{
    begin();
    struct el_msg_ext_letter_states_request message;
    struct el_msg_ext_letter_states_response answer;
    el_schema_init(&el_schema_ext_letter_states_request, &message);
    message.topic = el_slice_str("nothing");
    struct fake_request *r = send_message(EL_API_LetterStates, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    fake_free(r);
    message.topic = el_slice_str("events.g.dlq");
    message.first = 5;
    message.last = 4;
    r = send_message(EL_API_LetterStates, &message, &answer);
    assert_int_equal(answer.error, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    fake_end(&f);
}

TEST(letter_states, tells_which_were_redriven_or_dropped)
{
    begin();
    struct el_msg_ext_letter_states_request message;
    struct el_msg_ext_letter_states_response answer;
    el_schema_init(&el_schema_ext_letter_states_request, &message);
    message.topic = el_slice_str("events.g.dlq");
    message.group = el_slice_str("g");
    message.partition = 1;
    message.last = 99;
    leases_fake.letter_ranges[0] = (struct lease_letter_range){3, 5, LEASE_LETTER_REDRIVEN};
    leases_fake.letter_ranges[1] = (struct lease_letter_range){6, 6, LEASE_LETTER_DROPPED};
    leases_fake.letter_range_count = 2;
    struct fake_request *r = send_message(EL_API_LetterStates, &message, &answer);
    assert_int_equal(answer.error, 0);
    assert_int_equal(answer.end, 100);
    assert_int_equal(answer.range_count, 2);
    assert_int_equal(answer.ranges[0].first, 3);
    assert_int_equal(answer.ranges[0].last, 5);
    assert_true(el_slice_eq(answer.ranges[0].state, el_slice_str("redriven")));
    assert_true(el_slice_eq(answer.ranges[1].state, el_slice_str("dropped")));
    assert_int_equal(leases_fake.letters_asked.partition, 1);
    assert_int_equal(leases_fake.block_count, 0);
    fake_free(r);
    fake_end(&f);
}
