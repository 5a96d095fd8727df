/* SPDX-License-Identifier: Apache-2.0
 *
 * CloudEvents in JSON to a record and back to what the event says of itself. Goal: every byte of data survives, every
 * rule of the binding holds, and no bad line passes. Method: lines by hand, refusals first, every allocation failing
 * once.
 */
#include "../../lib/test.h"

#include <evlog/evlog.h>
#include <stdio.h>
#include <string.h>

#define HEAD "\"specversion\":\"1.0\",\"id\":\"i\",\"source\":\"/s\",\"type\":\"t\""

static void refuse(const char *line, const char *about)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_cloudevent *event = NULL;
    int rc = evlog_cloudevent_parse(line, strlen(line), &event, &failure);
    if (rc != EVLOG_ERR_MALFORMED || strstr(failure.text, about) == NULL) {
        fail_msg("%s: code %d, \"%s\" does not say \"%s\"", line, rc, failure.text, about);
    }
    assert_null(event);
}

TEST(cloudevent, refuses_what_is_no_json_object)
{
    refuse("", "");
    refuse("{", "");
    refuse("[]", "");
    refuse("null", "");
    refuse("{" HEAD "} x", "");
    refuse("{" HEAD ",}", "");
    refuse("{" HEAD ",\"data\":{\"a\":01}}", "");
    refuse("{" HEAD ",\"data\":tru}", "");
    refuse("{" HEAD ",\"data\":\"\x80\"}", "");
    refuse("{" HEAD, "");
}

TEST(cloudevent, refuses_missing_or_odd_attributes)
{
    refuse("{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", "\"id\"");
    refuse("{\"specversion\":\"1.0\",\"id\":\"i\",\"type\":\"t\"}", "\"source\"");
    refuse("{\"specversion\":\"1.0\",\"id\":\"i\",\"source\":\"/s\"}", "\"type\"");
    refuse("{\"id\":\"i\",\"source\":\"/s\",\"type\":\"t\"}", "\"specversion\"");
    refuse("{\"specversion\":\"0.3\",\"id\":\"i\",\"source\":\"/s\",\"type\":\"t\"}", "1.0");
    refuse("{\"specversion\":1.0,\"id\":\"i\",\"source\":\"/s\",\"type\":\"t\"}", "\"specversion\"");
    refuse("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\",\"type\":\"t\"}", "\"id\"");
    refuse("{\"specversion\":\"1.0\",\"id\":7,\"source\":\"/s\",\"type\":\"t\"}", "\"id\"");
    refuse("{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\",\"type\":\"t\"}", "\"id\"");
    refuse("{" HEAD ",\"id\":\"again\"}", "");
    refuse("{" HEAD ",\"ext\":{}}", "\"ext\"");
    refuse("{" HEAD ",\"ext\":[1]}", "\"ext\"");
    refuse("{" HEAD ",\"\":\"x\"}", "name");
}

TEST(cloudevent, refuses_bad_times)
{
    refuse("{" HEAD ",\"time\":\"yesterday 14:00\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":\"now\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":\"-1h\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":\"@1\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":\"2020-13-01T00:00:00Z\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":\"2020-01-01T00:00:00\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":\"1969-12-31T23:59:59.999Z\"}", "1970");
    refuse("{" HEAD ",\"time\":\"2020-01-01T00:00:00Z\\u0000\"}", "\"time\"");
    refuse("{" HEAD ",\"time\":5}", "\"time\"");
}

TEST(cloudevent, refuses_data_in_two_forms_or_broken_base64)
{
    refuse("{" HEAD ",\"data\":1,\"data_base64\":\"AA==\"}", "both");
    refuse("{" HEAD ",\"data\":1,\"data\":2}", "");
    refuse("{" HEAD ",\"data_base64\":\"A\"}", "base64");
    refuse("{" HEAD ",\"data_base64\":\"AB==\"}", "base64");
    refuse("{" HEAD ",\"data_base64\":5}", "base64");
    refuse("{" HEAD ",\"datacontenttype\":\"text/plain\",\"data\":\"\\ud800\"}", "");
}

static struct evlog_cloudevent *parse(const char *line)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_cloudevent *event = NULL;
    if (evlog_cloudevent_parse(line, strlen(line), &event, &failure) != 0) {
        fail_msg("%s: %s", line, failure.text);
    }
    return event;
}

static void expect_bytes(struct evlog_bytes bytes, const char *text)
{
    if (text == NULL) {
        assert_null(bytes.data);
        return;
    }
    assert_non_null(bytes.data);
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

static void value_is(const char *members, const char *value)
{
    char line[1024];
    (void)snprintf(line, sizeof line, "{" HEAD "%s}", members);
    struct evlog_cloudevent *event = parse(line);
    expect_bytes(evlog_cloudevent_message(event)->value, value);
    evlog_cloudevent_free(event);
}

TEST(cloudevent, value_is_the_very_bytes_of_data)
{
    value_is(",\"data\":{ \"b\" : 1.0, \"a\":[1,2 , {}],\"a\":\"\\u0041\" }",
             "{ \"b\" : 1.0, \"a\":[1,2 , {}],\"a\":\"\\u0041\" }");
    value_is(",\"data\": 1e400 ", "1e400");
    value_is(",\"data\":123456789012345678901234567890", "123456789012345678901234567890");
    value_is(",\"data\":null", "null");
    value_is(",\"data\":\"text\"", "\"text\"");
    value_is(",\"datacontenttype\":\"application/json\",\"data\":\"text\"", "\"text\"");
    value_is(",\"datacontenttype\":\"application/vnd.x+JSON; charset=utf-8\",\"data\":\"text\"", "\"text\"");
    value_is("", NULL);
}

TEST(cloudevent, string_of_another_type_is_its_text)
{
    value_is(",\"datacontenttype\":\"text/plain\",\"data\":\"a\\n\\u00e4\\ud83d\\ude00\\\"\"",
             "a\n\xc3\xa4\xf0\x9f\x98\x80\"");
    value_is(",\"datacontenttype\":\"text/plain\",\"data\":\"\"", "");
    value_is(",\"data\":\"x\",\"datacontenttype\":\"text/xml\"", "x");
    value_is(",\"datacontenttype\":\"text/xml\",\"data\":{\"a\":1}", "{\"a\":1}");
}

TEST(cloudevent, base64_is_decoded)
{
    value_is(",\"data_base64\":\"aGVsbG8=\"", "hello");
    value_is(",\"data_base64\":\"\"", "");
    struct evlog_cloudevent *event = parse("{" HEAD ",\"data_base64\":\"AP8A\"}");
    struct evlog_bytes value = evlog_cloudevent_message(event)->value;
    assert_int_equal(value.len, 3);
    assert_memory_equal(value.data, "\x00\xff\x00", 3);
    evlog_cloudevent_free(event);
}

TEST(cloudevent, attributes_become_headers_in_their_order)
{
    struct evlog_cloudevent *event = parse(
        " {\"specversion\":\"1.0\",\"id\":\"a\\u0062\",\"source\":\"/s\",\"type\":\"t\",\"subject\":\"orders/7\","
        "\"data\":1,\"time\":\"2020-01-01T01:00:00.5+01:00\",\"datacontenttype\":\"application/json\",\"n\":-12,"
        "\"flag\":true,\"gone\":null,\"traceparent\":\"00-x\"} ");
    const struct evlog_message *m = evlog_cloudevent_message(event);
    static const char *const expected[][2] = {
        {"ce_specversion", "1.0"},
        {"ce_id", "ab"},
        {"ce_source", "/s"},
        {"ce_type", "t"},
        {"ce_subject", "orders/7"},
        {"ce_time", "2020-01-01T01:00:00.5+01:00"},
        {"content-type", "application/json"},
        {"ce_n", "-12"},
        {"ce_flag", "true"},
        {"ce_traceparent", "00-x"},
    };
    assert_int_equal(m->header_count, sizeof expected / sizeof expected[0]);
    for (size_t i = 0; i < m->header_count; i++) {
        expect_bytes(m->headers[i].key, expected[i][0]);
        expect_bytes(m->headers[i].value, expected[i][1]);
    }
    expect_bytes(m->key, "orders/7");
    assert_int_equal(m->timestamp_ms, 1577836800500);
    assert_int_equal(m->partition, -1);
    evlog_cloudevent_free(event);
}

TEST(cloudevent, without_subject_and_time_there_is_no_key_and_the_time_is_now)
{
    struct evlog_cloudevent *event = parse("{" HEAD "}");
    expect_bytes(evlog_cloudevent_message(event)->key, NULL);
    assert_int_equal(evlog_cloudevent_message(event)->timestamp_ms, -1);
    evlog_cloudevent_free(event);
}

static struct evlog_event as_read(const struct evlog_header *headers, size_t count, const char *value)
{
    return (struct evlog_event){
        .headers = headers,
        .header_count = count,
        .value = {value, value == NULL ? 0 : strlen(value)},
    };
}

#define H(k, v)                                                                                                        \
    {                                                                                                                  \
        {k, sizeof(k) - 1},                                                                                            \
        {                                                                                                              \
            v, sizeof(v) - 1                                                                                           \
        }                                                                                                              \
    }

TEST(event_view, binary_structured_and_neither)
{
    const struct evlog_header binary[] = {H("ce_type", "old"), H("ce_id", "1"), H("ce_type", "t")};
    struct evlog_event event = as_read(binary, 3, "v");
    struct evlog_event_view view = {.size = sizeof view};
    assert_int_equal(evlog_event_view(&event, &view), 0);
    expect_bytes(view.type, "t"); /* the last header of a name counts */
    expect_bytes(view.id, "1");
    expect_bytes(view.data, "v");
    evlog_event_view_free(&view);

    const struct evlog_header structured[] = {H("content-type", "Application/CloudEvents+json; charset=UTF-8")};
    event = as_read(structured, 1, "{" HEAD ",\"data\":{\"a\": 1}}");
    assert_int_equal(evlog_event_view(&event, &view), 0);
    expect_bytes(view.type, "t");
    expect_bytes(view.id, "i");
    expect_bytes(view.data, "{\"a\": 1}");
    evlog_event_view_free(&view);

    event = as_read(structured, 1, "{\"id\":\"no event\"}");
    assert_int_equal(evlog_event_view(&event, &view), 0);
    expect_bytes(view.type, NULL);
    expect_bytes(view.id, NULL);
    expect_bytes(view.data, "{\"id\":\"no event\"}");
    evlog_event_view_free(&view);

    const struct evlog_header batched[] = {H("content-type", "application/cloudevents-batch+json")};
    event = as_read(batched, 1, "[]");
    assert_int_equal(evlog_event_view(&event, &view), 0);
    expect_bytes(view.type, NULL);
    evlog_event_view_free(&view);

    event = as_read(NULL, 0, NULL);
    assert_int_equal(evlog_event_view(&event, &view), 0);
    expect_bytes(view.type, NULL);
    expect_bytes(view.data, NULL);
    evlog_event_view_free(&view);
}

TEST_TORTURE(cloudevent, every_allocation_may_fail)
{
    static const char *const lines[] = {
        "{" HEAD ",\"n\":5,\"subject\":\"k\",\"data\":{\"a\":1}}",
        "{" HEAD ",\"data_base64\":\"aGVsbG8=\"}",
        "{" HEAD ",\"datacontenttype\":\"text/plain\",\"data\":\"text\"}",
    };
    for (size_t i = 0; i < 3; i++) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        struct evlog_cloudevent *event = NULL;
        int rc = evlog_cloudevent_parse(lines[i], strlen(lines[i]), &event, &failure);
        assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
        evlog_cloudevent_free(event);
    }
    const struct evlog_header structured[] = {H("content-type", "application/cloudevents+json")};
    struct evlog_event event = as_read(structured, 1, "{" HEAD ",\"data\":1}");
    struct evlog_event_view view = {.size = sizeof view};
    int rc = evlog_event_view(&event, &view);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    if (rc == 0) {
        evlog_event_view_free(&view);
    }
}
