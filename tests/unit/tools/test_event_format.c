/* SPDX-License-Identifier: Apache-2.0
 *
 * The language of -f. Goal: what one side prints the other reads, and a mistake in a format is told. Method: formats
 * and lines by hand.
 */
#include "../../../tools/evlog/event_format.h"
#include "../../lib/test.h"

#include <evlog/error.h>
#include <string.h>

static void refuse(const char *source, const char *about)
{
    struct event_format format;
    struct el_error err = {0};
    assert_int_equal(event_format_parse(source, &format, &err), EVLOG_ERR_ARGUMENT);
    if (strstr(err.text, about) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", source, err.text, about);
    }
}

TEST(event_format, refuses_what_it_does_not_know)
{
    char long_format[3000];
    refuse("%z", "%z is no verb");
    refuse("%", "verb");
    refuse("\\q", "\\q is no escape");
    refuse("\\x1", "escape");
    refuse("\\xg0", "escape");
    memset(long_format, 'a', sizeof long_format - 1);
    long_format[sizeof long_format - 1] = '\0';
    refuse(long_format, "too long");
    for (size_t i = 0; i + 2 < sizeof long_format; i += 2) {
        memcpy(long_format + i, "%k", 2);
    }
    refuse(long_format, "too long");
}

static void expect_print(const char *source, const struct evlog_event *event, const char *text)
{
    struct event_format format;
    struct el_buffer out = {0};
    assert_int_equal(event_format_parse(source, &format, NULL), 0);
    event_format_print(&format, event, &out);
    assert_string_equal(el_buffer_text(&out), text);
    el_buffer_free(&out);
}

TEST(event_format, prints_every_verb)
{
    const struct evlog_header headers[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {NULL, 0}}};
    struct evlog_event event = {
        .topic = "orders",
        .partition = 3,
        .leader_epoch = 4,
        .offset = 12345678901,
        .timestamp_ms = 1577836800500,
        .append_time_ns = 1577836800000000001,
        .key = {"k", 1},
        .value = {"va", 2},
        .headers = headers,
        .header_count = 2,
    };
    expect_print("%t[%p]@%o %k=%v %K %V\\n", &event, "orders[3]@12345678901 k=va 1 2\n");
    expect_print("%d %T %a", &event, "2020-01-01T00:00:00.500Z 1577836800500 2020-01-01T00:00:00.000000001Z");
    expect_print("%h %e 100%% \\x41\\t\\\\", &event, "a=1,b= 4 100% A\t\\");
    event.key.data = event.value.data = NULL;
    event.key.len = event.value.len = 0;
    event.append_time_ns = -1;
    expect_print("[%k][%v][%K][%V][%a]", &event, "[][][-1][-1][]");
    expect_print("", &event, "");
}

static int read_line(const char *source, const char *line, struct event_format_line *out)
{
    struct event_format format;
    assert_int_equal(event_format_parse(source, &format, NULL), 0);
    return event_format_read(&format, el_slice_str(line), out);
}

static void expect_text(struct el_slice slice, const char *text)
{
    assert_int_equal(slice.len, strlen(text));
    assert_memory_equal(slice.data, text, slice.len);
}

TEST(event_format, reads_what_stands_between_texts)
{
    struct event_format_line line;
    assert_int_equal(read_line("%k %v", "a b c", &line), 0);
    expect_text(line.key, "a");
    expect_text(line.value, "b c");
    assert_int_equal(read_line("<%k>|%p|%T|%v!", "<k>|7|99|value!", &line), 0);
    expect_text(line.key, "k");
    expect_text(line.partition, "7");
    expect_text(line.time, "99");
    assert_true(line.time_is_ms);
    expect_text(line.value, "value");
    assert_int_equal(read_line("%v", "", &line), 0);
    assert_non_null(line.value.data);
    assert_null(line.key.data);
}

TEST(event_format, refuses_lines_and_verbs_that_cannot_be_read)
{
    struct event_format_line line;
    assert_int_equal(read_line("%k %v", "nothing-between", &line), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_line("<%v>", "v>", &line), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_line("%k,", "a,b", &line), EVLOG_ERR_MALFORMED);
    assert_int_equal(read_line("%k%v", "ab", &line), EVLOG_ERR_UNSUPPORTED);
    assert_int_equal(read_line("%o", "1", &line), EVLOG_ERR_UNSUPPORTED);
}
