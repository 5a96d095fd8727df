/* SPDX-License-Identifier: Apache-2.0
 *
 * Sagas without a broker. Goal: a step that cannot hold what was said is never taken for a good one; a record reads
 * back as it was written, and what is none is refused; undoing goes from the newest back, and waits where it is told
 * to. Method: steps and records by hand.
 */
#include "../../../client/saga_state.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <stdio.h>
#include <string.h>

static struct evlog_bytes bytes_of(const char *text)
{
    return (struct evlog_bytes){text, strlen(text)};
}

static struct evlog_saga_command command(const char *type, const char *until)
{
    struct evlog_saga_command made = EVLOG_SAGA_COMMAND_INIT;
    made.topic = "t";
    made.type = type;
    made.until = until;
    return made;
}

TEST(saga, step_remembers_what_it_could_not_hold)
{
    struct evlog_saga_step step;
    struct evlog_saga_command none = EVLOG_SAGA_COMMAND_INIT, good = command("A", NULL), bad = command("\xff", NULL);
    el_saga_step_init(&step, 1000);
    assert_int_equal(evlog_saga_command(&step, &none), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_saga_command(&step, &good), 0);
    assert_int_equal(step.err, EVLOG_ERR_ARGUMENT);
    el_saga_step_free(&step);

    el_saga_step_init(&step, 1000);
    assert_int_equal(evlog_saga_undo(&step, &bad), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_saga_timer(&step, "", 1), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_saga_timer(&step, "x", -1), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_saga_fail(&step, "no"), 0);
    assert_int_equal(evlog_saga_complete(&step), EVLOG_ERR_ARGUMENT);
    assert_int_equal(evlog_saga_keep(&step, (struct evlog_bytes){"x", EVLOG_SAGA_STEP_LEN_MAX + 1}), EVLOG_ERR_LIMIT);
    el_saga_step_free(&step);
}

TEST(saga, step_holds_so_many_commands_and_no_more)
{
    struct evlog_saga_step step;
    struct evlog_saga_command good = command("A", NULL);
    el_saga_step_init(&step, 0);
    for (unsigned i = 0; i < EVLOG_SAGA_STEP_COUNT_MAX; i++) {
        assert_int_equal(evlog_saga_command(&step, &good), 0);
        assert_int_equal(evlog_saga_timer(&step, "t", 1), 0);
    }
    assert_int_equal(evlog_saga_timer(&step, "t", 1), EVLOG_ERR_LIMIT);
    assert_int_equal(evlog_saga_command(&step, &good), EVLOG_ERR_LIMIT);
    assert_int_equal(step.err, EVLOG_ERR_LIMIT);
    el_saga_step_free(&step);
}

TEST(saga, record_reads_back_as_it_was_written)
{
    struct evlog_saga_step step;
    struct el_saga_record read;
    struct el_buffer text = {0};
    struct el_arena arena;
    struct evlog_saga_command send = command("Send", NULL), back = command("Back", "IsBack");
    send.data = (struct evlog_bytes){"\xff\0\x01", 3};
    el_saga_step_init(&step, 5000);
    assert_int_equal(evlog_saga_keep(&step, (struct evlog_bytes){"{\"a\": 1}", 8}), 0);
    assert_int_equal(evlog_saga_command(&step, &send), 0);
    assert_int_equal(evlog_saga_undo(&step, &back), 0);
    assert_int_equal(evlog_saga_timer(&step, "soon", 250), 0);
    (void)snprintf(step.record.note.hash, sizeof step.record.note.hash, "abc");
    step.record.note.event.topic = "orders";
    step.record.note.event.partition = 3;
    step.record.note.event.offset = 9;
    assert_int_equal(el_saga_record_write(&text, &step.record), 0);
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(el_saga_record_read(&arena, (struct evlog_bytes){text.data, text.len}, &read), 0);
    assert_int_equal(read.status, EVLOG_SAGA_RUNNING);
    assert_true(read.has_state && el_saga_bytes_are(read.state, "{\"a\": 1}"));
    assert_int_equal(read.commands.count, 1);
    assert_true(read.commands.items[0].data.len == 3 && memcmp(read.commands.items[0].data.data, "\xff\0\x01", 3) == 0);
    assert_int_equal(read.undo.count, 1);
    assert_string_equal(read.undo.items[0].until, "IsBack");
    assert_int_equal(read.timer_count, 1);
    assert_int_equal(read.timers[0].due_ms, 5250);
    assert_string_equal(read.note.hash, "abc");
    assert_int_equal(read.note.event.offset, 9);
    el_arena_reset(&arena);
    el_buffer_free(&text);
    el_saga_step_free(&step);
}

TEST(saga, what_is_no_record_is_refused)
{
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"status\":\"flying\"}",
        "{\"status\":7}",
        "{\"status\":\"running\",\"undone\":-1}",
        "{\"status\":\"running\",\"commands\":{}}x",
        "{\"status\":\"running\",\"commands\":[{}]}",
        "{\"status\":\"running\",\"commands\":[7]}",
        "{\"status\":\"running\",\"timers\":[{\"due_ms\":1}]}",
        "{\"status\":\"running\",\"event\":{\"type\":\"x\"}}",
        "{\"status\":\"running\",\"state_base64\":\"?\"}",
        "{\"status\":\"running\",\"event\":{\"hash\":\"0123456789012345678901234567890123456789\"}}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct el_saga_record record;
        struct el_arena arena;
        el_arena_init(&arena, NULL, 0);
        assert_int_equal(el_saga_record_read(&arena, bytes_of(texts[i]), &record), EVLOG_ERR_MALFORMED);
        el_arena_reset(&arena);
    }
}

static void apply(struct evlog_saga *saga, const char *type, const char *text)
{
    struct evlog_event event = {.timestamp_ms = 1};
    struct evlog_stream_event shown = {
        .event = &event, .version = saga->version + 1, .type = bytes_of(type), .data = bytes_of(text)};
    assert_int_equal(el_saga_apply(saga, &shown), 0);
}

#define UNDO                                                                                                           \
    "\"undo\":[{\"topic\":\"t\",\"type\":\"1\"},{\"topic\":\"t\",\"type\":\"2\",\"until\":\"Two\"},"                   \
    "{\"topic\":\"t\",\"type\":\"3\"}]"

TEST(saga, undoing_begins_with_the_newest_and_waits_for_answers)
{
    struct evlog_saga *saga = el_saga_new(bytes_of("s"));
    struct evlog_saga_step step;
    apply(saga, EL_SAGA_STEP, "{\"status\":\"running\"," UNDO "}");
    apply(saga, EL_SAGA_CANCEL, "{\"status\":\"running\",\"reason\":\"why\"}");
    assert_int_equal(saga->status, EVLOG_SAGA_COMPENSATING);
    assert_string_equal(saga->reason, "why");
    el_saga_step_init(&step, 0);
    assert_int_equal(el_saga_unwind(saga, &step), 0);
    assert_int_equal(step.record.commands.count, 2);
    assert_string_equal(step.record.commands.items[0].type, "3");
    assert_string_equal(step.record.commands.items[1].type, "2");
    assert_string_equal(step.record.until, "Two");
    assert_int_equal(step.record.status, EVLOG_SAGA_COMPENSATING);
    el_saga_step_free(&step);
    apply(saga, EL_SAGA_STEP, "{\"status\":\"compensating\",\"undone\":2,\"until\":\"Two\"}");
    assert_string_equal(saga->until, "Two");
    apply(saga, EL_SAGA_STEP, "{\"status\":\"compensating\",\"event\":{\"hash\":\"a\"}}");
    assert_true(saga->until == NULL);
    el_saga_step_init(&step, 0);
    assert_int_equal(el_saga_unwind(saga, &step), 0);
    assert_int_equal(step.record.commands.count, 1);
    assert_string_equal(step.record.commands.items[0].type, "1");
    assert_int_equal(step.record.status, EVLOG_SAGA_COMPENSATED);
    el_saga_step_free(&step);
    evlog_saga_close(saga);
}

TEST(saga, what_waits_keeps_its_order_and_goes_when_it_is_handled)
{
    struct evlog_saga *saga = el_saga_new(bytes_of("s"));
    apply(saga, EL_SAGA_STUCK, "{\"status\":\"running\",\"reason\":\"no\",\"event\":{\"hash\":\"a\"}}");
    apply(saga, EL_SAGA_HELD, "{\"status\":\"running\",\"event\":{\"hash\":\"b\"}}");
    assert_true(saga->stuck && saga->wait_count == 2);
    apply(saga, EL_SAGA_RETRY, "{\"status\":\"running\"}");
    assert_true(!saga->stuck && saga->wait_count == 2);
    apply(saga, EL_SAGA_STUCK, "{\"status\":\"running\",\"reason\":\"no\",\"event\":{\"hash\":\"a\"}}");
    assert_true(saga->stuck && saga->wait_count == 2);
    assert_string_equal(saga->waiting[0].hash, "a");
    apply(saga, EL_SAGA_STEP, "{\"status\":\"running\",\"event\":{\"hash\":\"a\"}}");
    assert_true(!saga->stuck && saga->wait_count == 1);
    assert_string_equal(saga->waiting[0].hash, "b");
    apply(saga, EL_SAGA_STEP, "{\"status\":\"completed\",\"event\":{\"hash\":\"b\"}}");
    apply(saga, EL_SAGA_CANCEL, "{\"status\":\"running\"}");
    assert_int_equal(saga->status, EVLOG_SAGA_COMPLETED);
    evlog_saga_close(saga);
}
