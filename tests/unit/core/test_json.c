/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: text that is not JSON is refused with its place; what is found is the very bytes of the text.
 * Method: refusals by table, each cut at every length; raw members in awkward surroundings; then trees and getters. The
 * scanner and jansson must agree on every text here and on mutations of them.
 */
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/json.h>
#include <core/rng.h>

#include <stdlib.h>
#include <string.h>

static const char *const good[] = {
    "{}",
    "[]",
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1.5e+10",
    "1E5",
    "0.0001",
    "\"\"",
    " \t\r\n{ } \n",
    "[1,2,[3,[]],{}]",
    "{\"a\":1,\"b\":[true,false,null],\"c\":{\"d\":\"e\"}}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\uDE00\"",
    "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80 \x7f\"",
    "{\"\":0}",
    "[[[[[[[[]]]]]]]]",
    "{ \"a\" : [ ] , \"b\" : \"}\" }",
};
#define GOOD_COUNT (sizeof(good) / sizeof(good[0]))

TEST(json, what_is_not_json_is_refused)
{
    static const char *const bad[] = {
        "{}{}",
        "{} x",
        "nul!",
        "True",
        "nan",
        "Infinity",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "0x10",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{1:2}",
        "[}",
        "{]",
        "[1}",
        "{\"a\":1]",
        "]",
        "}",
        ",",
        ":",
        "\"a\nb\"",
        "\"\x01\"",
        "\"\\x41\"",
        "\"\\'\"",
        "\"\\u12g4\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"",
        "\"\xff\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\xef\xbb\xbf{}",
        "// c\n1",
        "[1]/**/",
        "\xc2\xa0[]",
        "'a'",
        "{\"a\":1 \"b\":2}",
        "[\"a\"\"b\"]",
        "1 2",
        "\f1",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct el_error err = {0};
        struct el_json *json = NULL;
        struct el_slice raw;
        assert_false(el_json_valid(bad[i], strlen(bad[i])));
        int code = el_json_parse(bad[i], strlen(bad[i]), 16, &json, &err);
        assert_true(code == EVLOG_ERR_MALFORMED || code == EVLOG_ERR_TRUNCATED);
        assert_null(json);
        assert_int_equal(strncmp(err.text, "line ", 5), 0);
        assert_int_equal(el_json_raw_member(bad[i], strlen(bad[i]), "a", &raw, &err), code);
    }
}

TEST(json, cut_text_is_truncated)
{
    assert_int_equal(el_json_check("", 0, 16, NULL), EVLOG_ERR_TRUNCATED);
    assert_int_equal(el_json_check(NULL, 0, 16, NULL), EVLOG_ERR_TRUNCATED);
    for (size_t i = 0; i < GOOD_COUNT; i++) {
        size_t len = strlen(good[i]);
        assert_int_equal(el_json_check(good[i], len, 16, NULL), 0);
        for (size_t cut = 0; cut < len; cut++) {
            uint8_t *copy = malloc(cut + 1); /* of the exact size, so that a sanitizer sees one byte too many */
            assert_non_null(copy);
            memcpy(copy, good[i], cut);
            int code = el_json_check(copy, cut, 16, NULL);
            bool number = (good[i][0] >= '0' && good[i][0] <= '9') || good[i][0] == '-';
            bool whole = code == 0 && (number || good[i][cut] == ' ' || good[i][cut] == '\n');
            assert_true(whole || code == EVLOG_ERR_TRUNCATED || (code == EVLOG_ERR_MALFORMED && cut > 0));
            free(copy);
        }
    }
}

TEST(json, refusal_names_line_column_and_byte)
{
    struct el_error err = {0};
    static const char text[] = "{\n  \"n\xc3\xa4me\": 1,\n  \"b\": tru\n}";
    assert_int_equal(el_json_check(text, strlen(text), 16, &err), EVLOG_ERR_MALFORMED);
    assert_string_equal(err.text, "line 3, column 11 (byte 26): a value is expected here");
    assert_int_equal(el_json_check("[1,", 3, 16, &err), EVLOG_ERR_TRUNCATED);
    assert_string_equal(err.text, "line 1, column 4 (byte 3): the text ends too early");
}

TEST(json, depth_is_limited)
{
    char text[2 * EL_JSON_DEPTH_MAX + 4];
    struct el_json *json;
    for (size_t depth = 1; depth <= EL_JSON_DEPTH_MAX + 1; depth++) {
        for (size_t i = 0; i < depth; i++) {
            text[i] = '[';
            text[2 * depth - 1 - i] = ']';
        }
        assert_int_equal(el_json_valid(text, 2 * depth), depth <= EL_JSON_DEPTH_MAX);
        assert_int_equal(el_json_check(text, 2 * depth, 5, NULL), depth <= 5 ? 0 : EVLOG_ERR_LIMIT);
        assert_int_equal(el_json_check(text, depth, EL_JSON_DEPTH_MAX, NULL),
                         depth <= EL_JSON_DEPTH_MAX ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_LIMIT);
    }
    assert_int_equal(el_json_parse("[[[]]]", 6, 2, &json, NULL), EVLOG_ERR_LIMIT);
    assert_int_equal(el_json_parse("[[{}]]", 6, 3, &json, NULL), 0);
    el_json_free(json);
}

TEST(json, mixed_nesting_is_kept_apart)
{
    assert_true(el_json_valid("[{\"a\":[{\"b\":[]}]}]", 18));
    assert_false(el_json_valid("[{\"a\":[{\"b\":[}]}]]", 18));
    assert_false(el_json_valid("[{\"a\":[{\"b\":[]}}]]", 18));
}

TEST(json, duplicate_name_is_refused_at_every_level)
{
    static const char *const bad[] = {
        "{\"a\":1,\"a\":2}",
        "{\"a\":{\"b\":1,\"c\":2,\"b\":3}}",
        "[{\"x\":0},{\"x\":0,\"x\":0}]",
        "{\"a\":1,\"\\u0061\":2}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct el_json *json = NULL;
        struct el_error err = {0};
        assert_int_equal(el_json_parse(bad[i], strlen(bad[i]), 16, &json, &err), EVLOG_ERR_MALFORMED);
        assert_non_null(strstr(err.text, "twice"));
        assert_true(el_json_valid(bad[i], strlen(bad[i]))); /* by grammar alone it is JSON */
    }
}

static void check_raw(const char *text, const char *name, const char *expected)
{
    struct el_slice raw;
    assert_int_equal(el_json_raw_member(text, strlen(text), name, &raw, NULL), 0);
    assert_int_equal(raw.len, strlen(expected));
    assert_memory_equal(raw.data, expected, raw.len);
    assert_true((const char *)raw.data >= text && (const char *)raw.data + raw.len <= text + strlen(text));
}

TEST(json, raw_member_is_the_very_bytes)
{
    check_raw("{\"data\":1}", "data", "1");
    check_raw("{\"data\":-1.50e+300}", "data", "-1.50e+300");
    check_raw("{\"data\": 123456789012345678901234567890 }", "data", "123456789012345678901234567890");
    check_raw("{\"id\":\"x\",\"data\" :\t{ \"b\" : [ 1 , 2 ] }\n, \"z\":0}", "data", "{ \"b\" : [ 1 , 2 ] }");
    check_raw("{\"data\":[ ]}", "data", "[ ]");
    check_raw("{\"data\":{}}", "data", "{}");
    check_raw("{\"data\":null}", "data", "null");
    check_raw("{\"data\":\"a\\\"},{\\\\\"}", "data", "\"a\\\"},{\\\\\"");
    check_raw("{\"data\":\"\\u0041\xc3\xa4\"}", "data", "\"\\u0041\xc3\xa4\"");
    check_raw("{\"d\\u0061ta\":true}", "data", "true");
    check_raw("{\"\\uD83D\\uDE00\":7}", "\xf0\x9f\x98\x80", "7");
    check_raw("{\"a\\/b\":7}", "a/b", "7");
    check_raw("  {\"\":7}  ", "", "7");
}

TEST(json, raw_member_is_sought_at_the_top_level_only)
{
    struct el_slice raw = {NULL, 77};
    check_raw("{\"x\":{\"data\":1},\"data\":2,\"y\":[{\"data\":3}]}", "data", "2");
    check_raw("{\"data\":{\"data\":{\"data\":1}}}", "data", "{\"data\":{\"data\":1}}");
    check_raw("{\"x\":\"data\",\"data\":2}", "data", "2");
    check_raw("{\"dat\":0,\"data2\":1,\"Data\":2,\"data\":3,\"\":4}", "data", "3");
    static const char *const absent[] = {"{}",          "{\"x\":{\"data\":1}}", "{\"x\":[\"data\",1]}", "{\"data \":1}",
                                         "{\"dat\":1}", "{\"data\\u0000\":1}"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        struct el_error err = {0};
        assert_int_equal(el_json_raw_member(absent[i], strlen(absent[i]), "data", &raw, &err), EVLOG_ERR_NOT_FOUND);
        assert_non_null(strstr(err.text, "\"data\""));
        assert_int_equal(raw.len, 77);
    }
    static const char *const no_object[] = {"[]", "1", "\"data\"", "[{\"data\":1}]", "null"};
    for (size_t i = 0; i < sizeof(no_object) / sizeof(no_object[0]); i++) {
        assert_int_equal(el_json_raw_member(no_object[i], strlen(no_object[i]), "data", &raw, NULL),
                         EVLOG_ERR_MALFORMED);
    }
}

TEST(json, raw_member_that_occurs_twice_is_refused)
{
    struct el_slice raw;
    struct el_error err = {0};
    static const char plain[] = "{\"data\":1,\"x\":0,\"data\":1}";
    static const char escaped[] = "{\"data\":1,\"\\u0064ata\":1}";
    assert_int_equal(el_json_raw_member(plain, strlen(plain), "data", &raw, &err), EVLOG_ERR_MALFORMED);
    assert_string_equal(err.text, "line 1, column 17 (byte 16): the member occurs twice");
    assert_int_equal(el_json_raw_member(escaped, strlen(escaped), "data", &raw, NULL), EVLOG_ERR_MALFORMED);
    check_raw(plain, "x", "0");
}

TEST(json, error_behind_the_member_still_refuses)
{
    struct el_slice raw;
    assert_int_equal(el_json_raw_member("{\"data\":1,\"x\":}", 15, "data", &raw, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_raw_member("{\"data\":1", 9, "data", &raw, NULL), EVLOG_ERR_TRUNCATED);
    assert_int_equal(el_json_raw_member("{\"data\":1}x", 11, "data", &raw, NULL), EVLOG_ERR_MALFORMED);
}

TEST(json, parse_except_keeps_numbers_of_any_size)
{
    static const char text[] = "{\"id\":\"e1\",\n\"data\":{\"n\":12345678901234567890123,\n\"x\":1e999},\"n\":5}";
    struct el_json *json;
    struct el_slice raw;
    const char *id;
    int64_t n;
    assert_int_equal(el_json_parse(text, strlen(text), 8, &json, NULL), EVLOG_ERR_LIMIT);
    assert_int_equal(el_json_parse_except(text, strlen(text), 8, "data", &json, &raw, NULL), 0);
    assert_int_equal(raw.len, strlen("{\"n\":12345678901234567890123,\n\"x\":1e999}"));
    assert_memory_equal(raw.data, strstr(text, "{\"n\""), raw.len);
    assert_int_equal(el_json_get_text(json, "id", &id, NULL), 0);
    assert_string_equal(id, "e1");
    assert_int_equal(el_json_get_int(json, "n", &n, NULL), 0);
    assert_int_equal(n, 5);
    el_json_free(json);
    assert_int_equal(el_json_parse_except("{\"id\":1}", 8, 8, "data", &json, &raw, NULL), 0);
    assert_null(raw.data);
    el_json_free(json);
    assert_int_equal(el_json_parse_except("{\"data\":1}", 10, 8, "data", &json, &raw, NULL), 0);
    assert_int_equal(raw.len, 1);
    el_json_free(json);
    assert_int_equal(el_json_parse_except("[1]", 3, 8, "data", &json, &raw, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_parse_except("{\"a\":1,\"a\":1,\"data\":1}", 22, 8, "data", &json, &raw, NULL),
                     EVLOG_ERR_MALFORMED);
}

TEST_TORTURE(json, parse_except_survives_a_failing_heap)
{
    struct el_json *json;
    struct el_slice raw;
    int code = el_json_parse_except("{\"data\":{},\"a\":1}", 17, 8, "data", &json, &raw, NULL);
    assert_true(code == 0 || (el_test_failing() && code == EVLOG_ERR_NO_MEMORY));
    if (code == 0) {
        el_json_free(json);
    }
}

TEST(json, getters_refuse_the_wrong_type)
{
    static const char text[] =
        "{\"s\":\"text\",\"z\":\"a\\u0000b\",\"i\":-42,\"r\":2.5,\"b\":true,\"n\":null,\"o\":{},\"a\":[1]}";
    struct el_json *json;
    struct el_error err = {0};
    struct el_slice slice = {NULL, 77};
    const struct el_json *value = NULL;
    const char *string = NULL;
    int64_t i = 77;
    double r = 77;
    bool b = false;
    assert_int_equal(el_json_parse(text, strlen(text), 8, &json, NULL), 0);
    assert_int_equal(el_json_get_string(json, "i", &slice, &err), EVLOG_ERR_MALFORMED);
    assert_string_equal(err.text, "\"i\" must be a string, not integer");
    assert_int_equal(el_json_get_string(json, "x", &slice, &err), EVLOG_ERR_NOT_FOUND);
    assert_string_equal(err.text, "\"x\" is missing");
    assert_int_equal(el_json_get_text(json, "z", &string, &err), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_int(json, "r", &i, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_int(json, "s", &i, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_real(json, "b", &r, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_bool(json, "i", &b, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_object(json, "a", &value, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_array(json, "o", &value, NULL), EVLOG_ERR_MALFORMED);
    assert_int_equal(el_json_get_array(json, "n", &value, NULL), EVLOG_ERR_MALFORMED);
    assert_true(slice.len == 77 && i == 77 && r == 77 && string == NULL && value == NULL);
    assert_int_equal(el_json_get_text(json, "s", &string, NULL), 0);
    assert_string_equal(string, "text");
    assert_int_equal(el_json_get_string(json, "z", &slice, NULL), 0);
    assert_int_equal(slice.len, 3);
    assert_memory_equal(slice.data, "a\0b", 3);
    assert_int_equal(el_json_get_int(json, "i", &i, NULL), 0);
    assert_true(i == -42);
    assert_int_equal(el_json_get_real(json, "i", &r, NULL), 0);
    assert_true(r == -42);
    assert_int_equal(el_json_get_real(json, "r", &r, NULL), 0);
    assert_true(r == 2.5);
    assert_int_equal(el_json_get_bool(json, "b", &b, NULL), 0);
    assert_true(b);
    assert_int_equal(el_json_get_object(json, "o", &value, NULL), 0);
    assert_int_equal(el_json_count(value), 0);
    assert_int_equal(el_json_get_array(json, "a", &value, NULL), 0);
    assert_int_equal(el_json_count(value), 1);
    assert_int_equal(el_json_type_of(el_json_at(value, 0)), EL_JSON_INT);
    assert_int_equal(el_json_type_of(el_json_get(json, "n")), EL_JSON_NULL);
    assert_null(el_json_get(el_json_at(value, 0), "a"));
    el_json_free(json);
    el_json_free(NULL);
}

TEST(json, members_come_in_the_order_of_the_text)
{
    static const char text[] = "{\"z\":0,\"a\":1,\"m\":2,\"b\":3}";
    struct el_json *json;
    char order[8] = "";
    int64_t expected = 0;
    assert_int_equal(el_json_parse(text, strlen(text), 8, &json, NULL), 0);
    assert_int_equal(el_json_count(json), 4);
    for (void *iter = el_json_first(json); iter != NULL; iter = el_json_next(json, iter)) {
        int64_t v;
        strncat(order, (const char *)el_json_iter_key(iter).data, 1);
        assert_int_equal(el_json_int(el_json_iter_value(iter), &v), 0);
        assert_int_equal(v, expected++);
    }
    assert_string_equal(order, "zamb");
    el_json_free(json);
}

TEST(json, integers_keep_all_64_bits)
{
    struct el_json *json;
    int64_t v;
    static const char text[] = "[9223372036854775807,-9223372036854775808]";
    assert_int_equal(el_json_parse(text, strlen(text), 8, &json, NULL), 0);
    assert_int_equal(el_json_int(el_json_at(json, 0), &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(el_json_int(el_json_at(json, 1), &v), 0);
    assert_true(v == INT64_MIN);
    el_json_free(json);
    assert_int_equal(el_json_parse("9223372036854775808", 19, 8, &json, NULL), EVLOG_ERR_LIMIT);
    assert_int_equal(el_json_parse("1e999", 5, 8, &json, NULL), EVLOG_ERR_LIMIT);
}

TEST(json, what_the_scanner_lets_pass_jansson_reads)
{
    struct el_rng rng;
    size_t passed = 0;
    el_rng_seed(&rng, 11);
    for (int round = 0; round < 40000; round++) {
        char text[128];
        struct el_json *json;
        struct el_error err = {0};
        size_t len = strlen(good[(size_t)round % GOOD_COUNT]);
        memcpy(text, good[(size_t)round % GOOD_COUNT], len);
        for (uint64_t i = el_rng_below(&rng, 3) + 1; i > 0; i--) {
            static const char bytes[] = "{}[]\",:\\u0a1e-. \xc3\xa4\x01";
            text[el_rng_below(&rng, len)] = bytes[el_rng_below(&rng, sizeof(bytes) - 1)];
        }
        if (!el_json_valid(text, len)) {
            continue;
        }
        passed++;
        int code = el_json_parse(text, len, EL_JSON_DEPTH_MAX, &json, &err);
        if (code == 0) {
            el_json_free(json);
        } else { /* only what is a matter of values */
            assert_true(strstr(err.text, "twice") != NULL || strstr(err.text, "too large") != NULL ||
                        strstr(err.text, "NUL") != NULL);
        }
    }
    assert_true(passed > 1000);
}
