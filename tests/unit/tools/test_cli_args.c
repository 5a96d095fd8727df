/* SPDX-License-Identifier: Apache-2.0
 *
 * Options and words of the command line. Goal: every way to write an option means the same, and every mistake is
 * refused with exit code 2. Method: one command with an option of each kind; messages on stderr are not looked at here.
 */
#include "../../../tools/evlog/cli.h"
#include "../../lib/test.h"

#include <core/nearest.h>
#include <string.h>

struct given {
    struct cli cli;
    bool flag;
    const char *text;
    int64_t number;
    int64_t time_ns;
    int64_t ms;
    struct cli_list list;
    struct cli_words words;
};

static const struct cli_command command = {"test", "WORD", "A test", NULL, NULL};

/* Parse the words of a line that are separated by blanks; at most two words may be left over. */
static int parse(struct given *g, const char *line)
{
    static char copy[512];
    static char *argv[32];
    int argc = 0;
    memset(g, 0, sizeof *g);
    g->cli.now_ns = 1000000000000;
    (void)snprintf(copy, sizeof copy, "%s", line);
    char *rest;
    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    const struct cli_option options[] = {
        {"flag", 'f', CLI_FLAG, &g->flag, NULL, "a flag"},       {"text", 't', CLI_TEXT, &g->text, "TEXT", "a text"},
        {"number", 'n', CLI_INT, &g->number, "N", "a number"},   {"until", 0, CLI_TIME, &g->time_ns, "TIME", "a time"},
        {"wait", 0, CLI_DURATION, &g->ms, "TIME", "a duration"}, {"list", 'l', CLI_LIST, &g->list, "ITEM", "a list"},
    };
    struct cli_grammar grammar = {options, 6, 0, 2};
    return cli_parse(&g->cli, &command, &grammar, argc, argv, &g->words);
}

static void done(struct given *g)
{
    cli_list_free(&g->list);
    cli_list_free(&g->cli.settings);
}

TEST(cli_args, mistakes_are_usage_errors)
{
    static const char *const lines[] = {
        "--flagg",
        "--fla=",
        "--flag=yes",
        "-x",
        "-fx",
        "--number",
        "--number x",
        "--number 1x",
        "-n 99999999999999999999",
        "--until someday",
        "--wait long",
        "-t",
        "a b c",
        "--",
    };
    struct given g;
    for (size_t i = 0; i + 1 < sizeof lines / sizeof lines[0]; i++) {
        if (parse(&g, lines[i]) != CLI_USAGE) {
            fail_msg("\"%s\" was taken", lines[i]);
        }
        done(&g);
    }
}

TEST(cli_args, every_way_to_write_an_option)
{
    static const char *const lines[] = {
        "-f -t x -n 5 word",   "word -ft x -n5",  "--flag --text=x --number=5 word",
        "-fn 5 --text x word", "-n5 word -f -tx", "--text x --number 5 --flag -- word",
    };
    struct given g;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(parse(&g, lines[i]), CLI_PARSED);
        assert_true(g.flag);
        assert_string_equal(g.text, "x");
        assert_int_equal(g.number, 5);
        assert_int_equal(g.words.count, 1);
        assert_string_equal(g.words.items[0], "word");
        done(&g);
    }
}

TEST(cli_args, values_may_begin_with_a_dash)
{
    struct given g;
    assert_int_equal(parse(&g, "-n -7 --text -x --until -1s -"), CLI_PARSED);
    assert_int_equal(g.number, -7);
    assert_string_equal(g.text, "-x");
    assert_int_equal(g.time_ns, 999000000000);
    assert_string_equal(g.words.items[0], "-");
    done(&g);
}

TEST(cli_args, words_behind_two_dashes_are_no_options)
{
    struct given g;
    assert_int_equal(parse(&g, "-- --flag -n"), CLI_PARSED);
    assert_false(g.flag);
    assert_int_equal(g.words.count, 2);
    assert_string_equal(g.words.items[0], "--flag");
    done(&g);
}

TEST(cli_args, lists_gather_and_globals_are_understood_anywhere)
{
    struct given g;
    assert_int_equal(parse(&g, "-l a --list=b -b host:1 -qv --json --timeout 5s -X k=v w"), CLI_PARSED);
    assert_int_equal(g.list.count, 2);
    assert_string_equal(g.list.items[1], "b");
    assert_string_equal(g.cli.bootstrap, "host:1");
    assert_true(g.cli.quiet);
    assert_true(g.cli.verbose);
    assert_true(g.cli.json);
    assert_int_equal(g.cli.timeout_ms, 5000);
    assert_string_equal(g.cli.settings.items[0], "k=v");
    done(&g);
}

TEST(cli_error, failures_become_exit_codes)
{
    static const struct {
        int code;
        int kafka_code;
        int exit_code;
    } known[] = {
        {EVLOG_ERR_UNREACHABLE, 0, CLI_UNREACHABLE},
        {EVLOG_ERR_UNKNOWN_TOPIC, 3, CLI_NOT_FOUND},
        {EVLOG_ERR_TOPIC_EXISTS, 36, CLI_CONFLICT},
        {EVLOG_ERR_CORRUPT, 0, CLI_INTEGRITY},
        {EVLOG_ERR_KAFKA, 29, CLI_DENIED},
        {EVLOG_ERR_TOPIC_DENIED, 0, CLI_DENIED},
        {EVLOG_ERR_GROUP_DENIED, 30, CLI_DENIED},
        {EVLOG_ERR_CLUSTER_DENIED, 0, CLI_DENIED},
        {EVLOG_ERR_AUTHENTICATION, 0, CLI_DENIED},
        {EVLOG_ERR_IN_DOUBT, 0, CLI_FAILED},
        {EVLOG_ERR_INVALID_PARTITIONS, 37, CLI_FAILED},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        failure.code = known[i].code;
        failure.kafka_code = known[i].kafka_code;
        assert_int_equal(cli_exit_of(&failure), known[i].exit_code);
    }
}

TEST(cli_args, an_expectation_is_a_word_or_a_version)
{
    struct cli cli = {.quiet = true};
    int64_t expected = 77;
    assert_int_equal(cli_expected(&cli, "--expect", "", &expected), CLI_USAGE);
    assert_int_equal(cli_expected(&cli, "--expect", "-1", &expected), CLI_USAGE);
    assert_int_equal(cli_expected(&cli, "--expect", "9223372036854775808", &expected), CLI_USAGE);
    assert_int_equal(cli_expected(&cli, "--expect", "None", &expected), CLI_USAGE);
    assert_int_equal(expected, 77);
    assert_int_equal(cli_expected(&cli, "--expect", "none", &expected), CLI_OK);
    assert_int_equal(expected, EVLOG_EXPECT_NONE);
    assert_int_equal(cli_expected(&cli, "--expect", "any", &expected), CLI_OK);
    assert_int_equal(expected, EVLOG_EXPECT_ANY);
    assert_int_equal(cli_expected(&cli, "--expect", "exists", &expected), CLI_OK);
    assert_int_equal(expected, EVLOG_EXPECT_EXISTS);
    assert_int_equal(cli_expected(&cli, "--expect", "9223372036854775807", &expected), CLI_OK);
    assert_true(expected == INT64_MAX);
}

TEST(cli_error, every_number_is_explained)
{
    FILE *nowhere = fopen("/dev/null", "w");
    assert_non_null(nowhere);
    assert_true(cli_explain("EVL-1036", nowhere, false));
    assert_true(cli_explain("evl-1001", nowhere, true));
    assert_true(cli_explain("2001", nowhere, false));
    assert_false(cli_explain("EVL-", nowhere, false));
    assert_false(cli_explain("EVL-1000", nowhere, false));
    assert_false(cli_explain("EVL-1036x", nowhere, false));
    assert_false(cli_explain("", nowhere, false));
    assert_false(cli_explain("-5", nowhere, false));
    (void)fclose(nowhere);
}

TEST(nearest, word_that_was_probably_meant)
{
    static const char *const words[] = {"produce", "consume", "topics ls", NULL, "up", "replay"};
    assert_string_equal(el_nearest("prodcue", words, 6), "produce");
    assert_string_equal(el_nearest("Consme", words, 6), "consume");
    assert_string_equal(el_nearest("topics", words, 6), "topics ls");
    assert_string_equal(el_nearest("relpay", words, 6), "replay");
    assert_null(el_nearest("xyzzy", words, 6));
    assert_null(el_nearest("", words, 6));
    assert_null(el_nearest("p", words, 0));
}

TEST(cli_json, data_stays_as_it_is_on_one_line)
{
    struct el_buffer out = {0};
    struct el_json_writer w;
    el_json_writer_init(&w, &out);
    el_json_begin_object(&w);
    cli_json_data(&w, (struct evlog_bytes){"{\n \"a\" : 1.0\r\n}", 15});
    el_json_end_object(&w);
    assert_int_equal(el_json_writer_end(&w), 0);
    assert_string_equal(el_buffer_text(&out), "{\"data\":{  \"a\" : 1.0  }}");
    el_buffer_reset(&out);
    el_json_writer_init(&w, &out);
    el_json_begin_object(&w);
    cli_json_data(&w, (struct evlog_bytes){"no json", 7});
    cli_json_bytes(&w, "key", (struct evlog_bytes){"\xff", 1});
    cli_json_bytes(&w, "id", (struct evlog_bytes){NULL, 0});
    cli_json_time(&w, "time", -1, 3);
    el_json_end_object(&w);
    assert_int_equal(el_json_writer_end(&w), 0);
    assert_string_equal(el_buffer_text(&out),
                        "{\"data_base64\":\"bm8ganNvbg==\",\"key_base64\":\"/w==\",\"id\":null,\"time\":null}");
    el_buffer_free(&out);
}
