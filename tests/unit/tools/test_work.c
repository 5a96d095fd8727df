/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog work's contract with a handler. Goal: nothing a handler does or says is taken for success unless it is, and
 * whatever it does has a bounded effect. Method: the pure parts with hand-made events and reports; handlers are
 * shell commands.
 */
#include "../../../tools/evlog/work_drill.h"
#include "../../../tools/evlog/work_handler.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 3

struct batch {
    struct evlog_event events[EVENTS];
    struct evlog_lease leases[EVENTS];
    const struct evlog_lease *list[EVENTS];
    struct evlog_result results[EVENTS];
};

/* Offsets 10, 11 and 120 of t[4]. */
static struct batch *new_batch(void)
{
    static struct batch b;
    static const int64_t offsets[EVENTS] = {10, 11, 120};
    memset(&b, 0, sizeof b);
    for (int i = 0; i < EVENTS; i++) {
        b.events[i] = (struct evlog_event){
            .topic = "t",
            .partition = 4,
            .offset = offsets[i],
            .timestamp_ms = 1767225600000,
            .key = {"k", 1},
            .value = {"v", 1},
        };
        b.leases[i] = (struct evlog_lease){&b.events[i], 2};
        b.list[i] = &b.leases[i];
        b.results[i].outcome = EVLOG_ACK;
    }
    return &b;
}

static bool report(struct batch *b, const char *text, char *why)
{
    return work_report(el_slice_str(text), b->list, EVENTS, b->results, why);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

TEST(work, a_report_that_is_not_offsets_of_the_batch_is_refused)
{
    static const char *const bad[] = {
        "12\n",   "-10\n", "10 \n", "+10\n", "10\r\n", "\n", "x\n", "10\nx\n", "1.0e1\n", "99999999999999999999\n",
        "0x0a\n",
    };
    char why[EVLOG_ERROR_TEXT_MAX];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (report(new_batch(), bad[i], why)) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    assert_non_null(strstr(why, "line 1"));
}

TEST(work, a_report_without_its_line_end_may_be_half_an_offset)
{
    char why[EVLOG_ERROR_TEXT_MAX];
    assert_false(report(new_batch(), "11\n12", why));
    assert_false(report(new_batch(), "120", why));
}

TEST(work, a_report_marks_the_items_it_names)
{
    char why[EVLOG_ERROR_TEXT_MAX];
    struct batch *b = new_batch();
    assert_true(report(b, "", why));
    assert_int_equal(b->results[0].outcome, EVLOG_ACK);
    assert_true(report(b, "120\n10\n", why));
    assert_int_equal(b->results[0].outcome, EVLOG_NACK);
    assert_int_equal(b->results[1].outcome, EVLOG_ACK);
    assert_int_equal(b->results[2].outcome, EVLOG_NACK);
}

/* --- verdicts ----------------------------------------------------------------------------------------------------- */

TEST(work, only_exit_0_is_success)
{
    static const struct {
        enum handler_end end;
        int code;
        enum evlog_outcome outcome;
        const char *reason;
    } cases[] = {
        {HANDLER_EXITED, 0, EVLOG_ACK, ""},
        {HANDLER_EXITED, 1, EVLOG_NACK, "exit 1"},
        {HANDLER_EXITED, 75, EVLOG_NACK, "exit 75"},
        {HANDLER_EXITED, 65, EVLOG_DEAD, "exit 65"},
        {HANDLER_SIGNALLED, 9, EVLOG_NACK, "signal 9"},
        {HANDLER_TIMED_OUT, 0, EVLOG_NACK, "timeout"},
        {HANDLER_SAID_MUCH, 0, EVLOG_NACK, "output"},
        {HANDLER_NOT_STARTED, ENOENT, EVLOG_RELEASE, "not started"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct handler_run run = {.end = cases[i].end, .code = cases[i].code, .last_line = "said"};
        struct evlog_result result;
        work_verdict(&run, &result);
        assert_int_equal(result.outcome, cases[i].outcome);
        assert_string_equal(result.reason, cases[i].reason);
        assert_int_equal(result.delay_ms, -1);
        assert_true(result.outcome != EVLOG_ACK || result.error[0] == '\0');
    }
}

/* --- environment and lines ---------------------------------------------------------------------------------------- */

static const char *value_of(char *const *environment, const char *name)
{
    size_t len = strlen(name);
    for (; *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=') {
            return *environment + len + 1;
        }
    }
    return NULL;
}

TEST(work, the_environment_describes_the_event_and_hides_older_ones)
{
    struct batch *b = new_batch();
    (void)setenv("EVLOG_TYPE", "of another event", 1);
    (void)setenv("EVLOG_TEST_OTHER", "stays", 1);
    char **environment = work_environment("g", b->list[1], 2, NULL);
    assert_non_null(environment);
    assert_string_equal(value_of(environment, "EVLOG_GROUP"), "g");
    assert_string_equal(value_of(environment, "EVLOG_TOPIC"), "t");
    assert_string_equal(value_of(environment, "EVLOG_PARTITION"), "4");
    assert_string_equal(value_of(environment, "EVLOG_OFFSET"), "11");
    assert_string_equal(value_of(environment, "EVLOG_KEY"), "k");
    assert_string_equal(value_of(environment, "EVLOG_ATTEMPT"), "2");
    assert_string_equal(value_of(environment, "EVLOG_TIME"), "2026-01-01T00:00:00.000Z");
    assert_null(value_of(environment, "EVLOG_TYPE"));
    assert_null(value_of(environment, "EVLOG_TOMBSTONE"));
    assert_string_equal(value_of(environment, "EVLOG_TEST_OTHER"), "stays");
    el_free(environment);
    (void)unsetenv("EVLOG_TYPE");
    (void)unsetenv("EVLOG_TEST_OTHER");
}

TEST(work, a_key_that_an_environment_cannot_hold_is_left_out)
{
    struct batch *b = new_batch();
    b->events[0].key = (struct evlog_bytes){"a\0b", 3};
    b->events[0].value.data = NULL;
    char **environment = work_environment("g", b->list[0], 1, NULL);
    assert_null(value_of(environment, "EVLOG_KEY"));
    assert_string_equal(value_of(environment, "EVLOG_TOMBSTONE"), "1");
    el_free(environment);
}

TEST(work, an_event_is_one_line_of_json)
{
    struct batch *b = new_batch();
    struct el_buffer line = {0};
    b->events[0].value = (struct evlog_bytes){"{\"a\":\n1}", 8};
    work_event_line(&line, b->list[0], 3);
    assert_string_equal(
        el_buffer_text(&line),
        "{\"topic\":\"t\",\"partition\":4,\"offset\":10,\"attempt\":3,\"time\":\"2026-01-01T00:00:00.000Z\","
        "\"key\":\"k\",\"headers\":[],\"data\":{\"a\": 1}}\n");
    el_buffer_free(&line);
}

/* --- drill -------------------------------------------------------------------------------------------------------- */

TEST(work_drill, kinds_that_are_none_are_refused)
{
    struct work_drill drill = {0};
    assert_false(work_drill_parse("", &drill));
    assert_false(work_drill_parse("late,", &drill));
    assert_false(work_drill_parse("latecrash", &drill));
    assert_true(work_drill_parse("late,crash", &drill));
    assert_true(drill.late);
    assert_true(drill.crash);
    assert_false(drill.duplicate);
}

TEST(work_drill, the_same_seed_drills_the_same_events)
{
    struct work_drill drill = {.duplicate = true, .crash = true, .late = true, .seed = 5}, other = drill;
    int hit_count = 0, differs = 0;
    other.seed = 6;
    for (int64_t offset = 0; offset < 400; offset++) {
        struct evlog_event event = {.topic = "t", .offset = offset};
        struct work_drill_plan a = work_drill_plan(&drill, &event), b = work_drill_plan(&drill, &event);
        struct work_drill_plan c = work_drill_plan(&other, &event);
        assert_int_equal(a.duplicate, b.duplicate);
        assert_int_equal(a.crash_ms, b.crash_ms);
        assert_int_equal(a.late_ms, b.late_ms);
        hit_count += a.duplicate;
        differs += a.duplicate != c.duplicate;
    }
    assert_in_range(hit_count, 60, 140);
    assert_true(differs > 50);
}

TEST(work_drill, kinds_not_asked_for_do_not_happen)
{
    struct work_drill drill = {.late = true, .seed = 5};
    for (int64_t offset = 0; offset < 100; offset++) {
        struct evlog_event event = {.topic = "t", .offset = offset};
        struct work_drill_plan plan = work_drill_plan(&drill, &event);
        assert_false(plan.duplicate);
        assert_int_equal(plan.crash_ms, -1);
    }
}

/* --- processes ---------------------------------------------------------------------------------------------------- */

static void run_shell(struct handler_run *run, const char *script, const char *input)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    char *environment[] = {(char[]){"PATH=/usr/bin:/bin"}, NULL};
    (void)signal(SIGPIPE, SIG_IGN);
    run->argv = argv;
    run->environment = environment;
    run->input = el_slice_str(input);
    handler_run(run);
}

#define RUN_INIT                                                                                                       \
    {                                                                                                                  \
        .timeout_ms = 60000, .crash_ms = -1                                                                            \
    }

TEST(handler, a_program_that_is_not_there_is_told)
{
    struct handler_run run = RUN_INIT;
    const char *argv[] = {"/nonexistent/handler", NULL};
    char *environment[] = {NULL};
    run.argv = argv;
    run.environment = environment;
    handler_run(&run);
    assert_int_equal(run.end, HANDLER_NOT_STARTED);
    assert_int_equal(run.code, ENOENT);
    handler_run_free(&run);
}

TEST(handler, one_that_hangs_is_stopped_with_its_children)
{
    struct handler_run run = RUN_INIT;
    run.timeout_ms = 100;
    run_shell(&run, "sleep 1000 & sleep 1000", "");
    assert_int_equal(run.end, HANDLER_TIMED_OUT);
    handler_run_free(&run);
}

TEST(handler, megabytes_on_stderr_leave_one_line)
{
    struct handler_run run = RUN_INIT;
    run_shell(&run, "head -c 3000000 /dev/zero | tr '\\0' 'x' >&2; printf '\\n  last\\tword \\n\\n' >&2; exit 4", "");
    assert_int_equal(run.end, HANDLER_EXITED);
    assert_int_equal(run.code, 4);
    assert_string_equal(run.last_line, "last word");
    handler_run_free(&run);
}

TEST(handler, a_line_in_another_encoding_becomes_utf8)
{
    struct handler_run run = RUN_INIT;
    run_shell(&run, "printf 'caf\\351 \\303\\251' >&2", "");
    assert_string_equal(run.last_line, "caf? \xc3\xa9");
    handler_run_free(&run);
}

TEST(handler, more_output_than_is_kept_stops_it)
{
    struct handler_run run = RUN_INIT;
    run.keeps_output = true;
    run_shell(&run, "cat /dev/zero", "");
    assert_int_equal(run.end, HANDLER_SAID_MUCH);
    assert_true(run.output.len <= HANDLER_OUTPUT_MAX);
    handler_run_free(&run);
}

TEST(handler, one_that_does_not_read_its_input_may_succeed)
{
    struct handler_run run = RUN_INIT;
    char *large = el_malloc(1 << 20);
    assert_non_null(large);
    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    run_shell(&run, "exec true", large);
    assert_int_equal(run.end, HANDLER_EXITED);
    assert_int_equal(run.code, 0);
    el_free(large);
    handler_run_free(&run);
}

TEST(handler, output_and_report_come_back_whole)
{
    struct handler_run run = RUN_INIT;
    run.keeps_output = run.has_report = true;
    run_shell(&run, "cat; echo 12 >&3", "in\n");
    assert_int_equal(run.code, 0);
    assert_string_equal(el_buffer_text(&run.output), "in\n");
    assert_string_equal(el_buffer_text(&run.report), "12\n");
    handler_run_free(&run);
}

TEST(handler, a_crash_on_purpose_is_a_kill)
{
    struct handler_run run = RUN_INIT;
    run.crash_ms = 10;
    run_shell(&run, "sleep 1000", "");
    assert_int_equal(run.end, HANDLER_SIGNALLED);
    assert_int_equal(run.code, SIGKILL);
    handler_run_free(&run);
}

TEST(handler, a_child_that_lives_on_does_not_hold_us)
{
    struct handler_run run = RUN_INIT;
    run.keeps_output = true;
    run_shell(&run, "sleep 20 & echo $!; exit 0", "");
    assert_int_equal(run.end, HANDLER_EXITED);
    int pid = atoi(el_buffer_text(&run.output));
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0); /* it was still there */
    handler_run_free(&run);
}
