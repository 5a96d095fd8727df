/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: one call is one line, whatever bytes are in it; a JSON line is JSON.
 * Method: stderr is a temporary file for the call; the lines are read back.
 */
#include "../../lib/test.h"

#include <core/bytes.h>
#include <core/json.h>
#include <core/logger.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char log_text[8192];
static const struct el_log_field *fields; /* [fields_count] of the next line */
static size_t fields_count;

/* Log one text with stderr caught; the line is in log_text. */
static void catch_line(bool json, const char *area, const char *text)
{
    char path[600];
    (void)snprintf(path, sizeof(path), "%s/log", el_test_dir());
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    int saved = dup(STDERR_FILENO);
    assert_true(fd >= 0 && saved >= 0);
    (void)dup2(fd, STDERR_FILENO);
    el_log_setup(EL_LOG_DEBUG, json);
    if (fields_count > 0) {
        el_log_fields(EL_LOG_WARN, area, fields, fields_count, text);
    } else {
        el_log(EL_LOG_WARN, area, "%s", text);
    }
    el_log_setup(EL_LOG_INFO, false);
    (void)dup2(saved, STDERR_FILENO);
    (void)close(saved);
    ssize_t len = pread(fd, log_text, sizeof(log_text) - 1, 0);
    (void)close(fd);
    assert_true(len > 0);
    log_text[len] = '\0';
    assert_int_equal(strlen(log_text), len);
    assert_ptr_equal(strchr(log_text, '\n'), log_text + len - 1);
}

TEST(logger, plain_line_is_aligned)
{
    catch_line(false, "storage", "segment 00042 sealed");
    assert_string_equal(log_text + 24, " warn  storage  segment 00042 sealed\n");
    assert_int_equal(log_text[10], 'T');
    assert_int_equal(log_text[23], 'Z');
}

TEST(logger, control_characters_never_reach_the_terminal)
{
    catch_line(false, "net", "a\nb\033[31mred\x7f \xc2\x9b tab\t\xff\xc3\xa4");
    assert_non_null(strstr(log_text, "a\\nb\\x1b[31mred\\x7f \\x9b tab\\t\\xff\xc3\xa4\n"));
}

TEST(logger, json_line_is_json)
{
    catch_line(true, "ne\"t", "say \"hi\" \\ \n\r\033 \xff \xc3\xa4");
    struct el_json *json;
    const char *text;
    assert_int_equal(el_json_parse(log_text, strlen(log_text), 2, &json, NULL), 0);
    assert_int_equal(el_json_get_text(json, "text", &text, NULL), 0);
    assert_string_equal(text, "say \"hi\" \\ \n\r\033 \xef\xbf\xbd \xc3\xa4");
    assert_int_equal(el_json_get_text(json, "level", &text, NULL), 0);
    assert_string_equal(text, "warn");
    assert_int_equal(el_json_get_text(json, "area", &text, NULL), 0);
    assert_string_equal(text, "ne\"t");
    assert_int_equal(el_json_get_text(json, "time", &text, NULL), 0);
    assert_int_equal(strlen(text), 24);
    el_json_free(json);
}

TEST(logger, long_line_is_cut_and_stays_whole)
{
    char text[5000];
    memset(text, '\001', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int json = 0; json < 2; json++) {
        catch_line(json != 0, "net", text);
        assert_true(strlen(log_text) <= 4096);
        assert_true(json == 0 || el_json_valid(log_text, strlen(log_text)));
    }
    memset(text, 'x', sizeof(text) - 1);
    catch_line(true, text, text);
    assert_true(el_json_valid(log_text, strlen(log_text)));
}

struct seen {
    int count;
    enum el_log_level level;
    char area[32];
    char text[64];
};

static void sink(void *arg, enum el_log_level level, const char *area, const char *text)
{
    struct seen *seen = arg;
    seen->count++;
    seen->level = level;
    (void)snprintf(seen->area, sizeof(seen->area), "%s", area);
    (void)snprintf(seen->text, sizeof(seen->text), "%s", text);
}

TEST(logger, sink_gets_what_the_level_lets_through)
{
    struct seen seen = {0};
    el_log_sink(sink, &seen);
    el_log_setup(EL_LOG_WARN, false);
    el_log(EL_LOG_INFO, "io", "not this");
    el_log(EL_LOG_DEBUG, "io", "nor this");
    assert_int_equal(seen.count, 0);
    el_log(EL_LOG_WARN, "io", "pos %d", 7);
    el_log(EL_LOG_ERROR, "net", "last");
    el_log_sink(NULL, NULL);
    el_log_setup(EL_LOG_INFO, false);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.level, EL_LOG_ERROR);
    assert_string_equal(seen.area, "net");
    assert_string_equal(seen.text, "last");
}

TEST(logger, fields_are_members_or_words)
{
    static const struct el_log_field some[] = {{.name = "client", .text = "a \"b\" \\ \n\xff"},
                                               {.name = "ms", .number = -7}};
    fields = some;
    fields_count = 2;
    catch_line(false, "net", "slow");
    assert_non_null(strstr(log_text, " slow client=\"a \\\"b\\\" \\\\ \\n\\ufffd\" ms=-7\n"));
    catch_line(true, "net", "slow");
    struct el_json *json;
    const char *text;
    assert_int_equal(el_json_parse(log_text, strlen(log_text), 2, &json, NULL), 0);
    assert_int_equal(el_json_get_text(json, "text", &text, NULL), 0);
    assert_string_equal(text, "slow");
    assert_int_equal(el_json_get_text(json, "client", &text, NULL), 0);
    assert_string_equal(text, "a \"b\" \\ \n\xef\xbf\xbd");
    assert_non_null(strstr(log_text, ",\"ms\":-7}"));
    el_json_free(json);
    fields_count = 0;
}

TEST(logger, fields_that_do_not_fit_are_left_out_whole)
{
    static char longest[4000];
    memset(longest, '\001', sizeof(longest) - 1);
    static struct el_log_field some[] = {{.name = "a", .number = 1}, {.name = "b"}};
    some[1].text = longest;
    fields = some;
    fields_count = 2;
    for (int json = 0; json < 2; json++) {
        catch_line(json != 0, "net", "slow");
        assert_null(strstr(log_text, "\\u0001"));
        assert_true(json == 0 || el_json_valid(log_text, strlen(log_text)));
        assert_non_null(strstr(log_text, json != 0 ? ",\"a\":1}" : " a=1\n"));
    }
    fields_count = 0;
}

TEST(logger, areas_have_levels_of_their_own)
{
    struct seen seen = {0};
    enum el_log_level debug = EL_LOG_DEBUG, error = EL_LOG_ERROR;
    el_log_sink(sink, &seen);
    assert_true(el_log_level_set(el_slice_str("net"), &debug));
    el_log(EL_LOG_DEBUG, "net", "this");
    el_log(EL_LOG_DEBUG, "io", "not this");
    assert_int_equal(seen.count, 1);
    assert_true(el_log_level_set(el_slice_str("io"), &error));
    el_log(EL_LOG_INFO, "io", "not this");
    el_log(EL_LOG_INFO, "storage", "this");
    assert_int_equal(seen.count, 2);
    assert_true(el_log_level_set(el_slice_str(EL_LOG_ROOT), &error));
    el_log_setup(EL_LOG_DEBUG, false); /* the configuration is read again */
    el_log(EL_LOG_WARN, "storage", "not this");
    el_log(EL_LOG_WARN, "elsewhere", "not this");
    el_log(EL_LOG_DEBUG, "net", "this");
    assert_int_equal(seen.count, 3);
    assert_true(el_log_level_set(el_slice_str(EL_LOG_ROOT), NULL));
    assert_int_equal(el_log_level_of(el_slice_str("storage")), EL_LOG_DEBUG);
    assert_true(el_log_level_set(el_slice_str("net"), NULL));
    assert_true(el_log_level_set(el_slice_str("io"), NULL));
    assert_false(el_log_level_set(el_slice_str("nets"), &debug));
    assert_false(el_log_level_known(el_slice_str("")));
    el_log_sink(NULL, NULL);
    el_log_setup(EL_LOG_INFO, false);
    assert_false(el_log_wanted(EL_LOG_DEBUG, "net"));
}
