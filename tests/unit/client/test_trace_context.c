/* SPDX-License-Identifier: Apache-2.0
 *
 * traceparent. Goal: exactly what W3C Trace Context allows is taken, and a context is written as it was read. Method:
 * one good header, and all that can be wrong with it.
 */
#include "../../../client/trace.h"
#include "../../lib/test.h"

#include <evlog/error.h>
#include <string.h>

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
#define OTHER "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

static int parse(const char *text)
{
    struct evlog_trace_context context;
    return evlog_traceparent_parse(text, strlen(text), &context);
}

static struct evlog_header header(const char *key, const char *value)
{
    return (struct evlog_header){{key, strlen(key)}, {value, strlen(value)}};
}

TEST(trace_context, a_context_is_written_as_it_was_read)
{
    struct evlog_trace_context context;
    char text[EVLOG_TRACEPARENT_LEN + 1];
    assert_int_equal(evlog_traceparent_parse(GOOD, strlen(GOOD), &context), 0);
    assert_int_equal(context.trace_id[0], 0x4b);
    assert_int_equal(context.trace_id[15], 0x36);
    assert_int_equal(context.span_id[1], 0xf0);
    assert_int_equal(context.flags, EVLOG_TRACE_SAMPLED);
    evlog_traceparent_format(&context, text);
    assert_string_equal(text, GOOD);
}

TEST(trace_context, what_w3c_forbids_is_refused)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-011",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0F",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
        " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
    };
    assert_int_equal(parse(GOOD), 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i]) != EVLOG_ERR_MALFORMED) {
            fail_msg("taken: %s", bad[i]);
        }
    }
    struct evlog_trace_context context;
    assert_int_equal(evlog_traceparent_parse(NULL, 0, &context), EVLOG_ERR_MALFORMED);
}

TEST(trace_context, newer_versions_are_read_as_far_as_they_are_known)
{
    struct evlog_trace_context context;
    const char *newer = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more";
    char text[EVLOG_TRACEPARENT_LEN + 1];
    assert_int_equal(parse("fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"), 0);
    assert_int_equal(evlog_traceparent_parse(newer, strlen(newer), &context), 0);
    evlog_traceparent_format(&context, text);
    assert_string_equal(text, GOOD); /* flags that mean nothing here are not passed on */
}

TEST(trace_context, two_parents_are_none)
{
    struct evlog_trace_context context;
    struct evlog_bytes state;
    struct evlog_header headers[] = {header("traceparent", GOOD), header("tracestate", "a=1"),
                                     header("traceparent", OTHER)};
    assert_true(el_trace_of(headers, 2, &context, &state));
    assert_int_equal(state.len, 3);
    assert_false(el_trace_of(headers, 3, &context, &state));
    assert_null(state.data);
    headers[0] = header("Traceparent", GOOD); /* names of record headers have one case */
    assert_false(el_trace_of(headers, 2, &context, &state));
    assert_false(el_trace_of(NULL, 0, &context, &state));
    headers[0] = (struct evlog_header){{"traceparent", 11}, {NULL, 0}};
    assert_false(el_trace_of(headers, 2, &context, &state));
}
