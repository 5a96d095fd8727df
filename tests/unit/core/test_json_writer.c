/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: whatever is written is JSON and says what was meant; wrong calls stop the program.
 */
#include "../../lib/test.h"

#include <core/json.h>
#include <core/json_writer.h>
#include <core/rng.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct el_buffer buffer;
static struct el_json_writer writer;

static void begin(void)
{
    el_buffer_free(&buffer);
    el_json_writer_init(&writer, &buffer);
}

static void check(const char *expected)
{
    assert_int_equal(el_json_writer_end(&writer), 0);
    assert_string_equal(el_buffer_text(&buffer), expected);
    assert_true(el_json_valid(buffer.data, buffer.len));
    el_buffer_free(&buffer);
}

TEST(json_writer, commas_and_nesting_are_right)
{
    begin();
    el_json_begin_object(&writer);
    el_json_add_str(&writer, "id", "e1");
    el_json_key(&writer, "list");
    el_json_begin_array(&writer);
    el_json_begin_array(&writer);
    el_json_end_array(&writer);
    el_json_put_int(&writer, INT64_MIN);
    el_json_put_uint(&writer, UINT64_MAX);
    el_json_begin_object(&writer);
    el_json_end_object(&writer);
    el_json_put_null(&writer);
    el_json_end_array(&writer);
    el_json_add_bool(&writer, "on", true);
    el_json_add_int(&writer, "n", -1);
    el_json_add_uint(&writer, "u", 1);
    el_json_key(&writer, "raw");
    el_json_put_raw(&writer, el_slice_str("{\"x\": 1.0}"));
    el_json_key(&writer, "bytes");
    el_json_put_base64(&writer, el_slice_of("\xff\x00\x01\x02", 4));
    el_json_key(&writer, "none");
    el_json_put_str(&writer, NULL);
    el_json_key(&writer, "no bytes");
    el_json_put_base64(&writer, el_slice_of(NULL, 0));
    el_json_end_object(&writer);
    check("{\"id\":\"e1\",\"list\":[[],-9223372036854775808,18446744073709551615,{},null],\"on\":true,\"n\":-1,\"u\":1,"
          "\"raw\":{\"x\": 1.0},\"bytes\":\"/wABAg==\",\"none\":null,\"no bytes\":null}");
}

TEST(json_writer, escapes_what_must_be)
{
    begin();
    el_json_begin_object(&writer);
    el_json_key(&writer, "k\"\\\n");
    el_json_put_slice(&writer, el_slice_of("\b\f\n\r\t\x00\x1f\x7f/\xc3\xa4", 11));
    el_json_end_object(&writer);
    check("{\"k\\\"\\\\\\n\":\"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f/\xc3\xa4\"}");
}

TEST(json_writer, random_strings_read_back)
{
    struct el_rng rng;
    el_rng_seed(&rng, 4);
    for (int round = 0; round < 3000; round++) {
        uint8_t text[20];
        struct el_json *json;
        struct el_slice back;
        size_t len = el_rng_below(&rng, sizeof(text) + 1);
        for (size_t i = 0; i < len; i++) {
            text[i] = (uint8_t)el_rng_below(&rng, 128);
        }
        begin();
        el_json_put_slice(&writer, el_slice_of(text, len));
        assert_int_equal(el_json_writer_end(&writer), 0);
        assert_int_equal(el_json_parse(buffer.data, buffer.len, 1, &json, NULL), 0);
        assert_int_equal(el_json_string(json, &back), 0);
        assert_true(el_slice_eq(back, el_slice_of(text, len)));
        el_json_free(json);
    }
    el_buffer_free(&buffer);
}

TEST(json_writer, text_that_is_not_utf8_is_an_error)
{
    begin();
    el_json_begin_array(&writer);
    el_json_put_str(&writer, "a\xff");
    el_json_put_str(&writer, "b");
    el_json_end_array(&writer);
    assert_int_equal(el_json_writer_end(&writer), EVLOG_ERR_MALFORMED);
    el_buffer_free(&buffer);
}

TEST(json_writer, doubles_read_back_the_same)
{
    struct el_rng rng;
    el_rng_seed(&rng, 8);
    for (int round = 0; round < 3000; round++) {
        uint64_t bits = el_rng_next(&rng);
        double value, back;
        memcpy(&value, &bits, sizeof(value));
        begin();
        el_json_put_real(&writer, value);
        assert_int_equal(el_json_writer_end(&writer), 0);
        assert_true(el_json_valid(buffer.data, buffer.len));
        back = strtod(el_buffer_text(&buffer), NULL);
        assert_true(back == value || !isfinite(value));
    }
    begin();
    el_json_put_real(&writer, 0.1);
    check("0.1");
    begin();
    el_json_put_real(&writer, (double)INFINITY);
    check("null");
}

TEST(json_writer, spent_memory_is_an_error)
{
    begin();
    buffer.err = EVLOG_ERR_NO_MEMORY;
    el_json_put_str(&writer, "a");
    assert_int_equal(el_json_writer_end(&writer), EVLOG_ERR_NO_MEMORY);
    el_buffer_free(&buffer);
}

static void value_without_key(void *arg)
{
    begin();
    el_json_begin_object(&writer);
    el_json_put_int(&writer, 1);
}
static void key_in_array(void *arg)
{
    begin();
    el_json_begin_array(&writer);
    el_json_key(&writer, "a");
}
static void wrong_end(void *arg)
{
    begin();
    el_json_begin_array(&writer);
    el_json_end_object(&writer);
}
static void end_inside(void *arg)
{
    begin();
    el_json_begin_array(&writer);
    (void)el_json_writer_end(&writer);
}
static void too_deep(void *arg)
{
    begin();
    for (int i = 0; i <= EL_JSON_WRITER_DEPTH_MAX; i++) {
        el_json_begin_array(&writer);
    }
}

TEST(json_writer, wrong_calls_stop_the_program)
{
    assert_true(el_test_aborts(value_without_key, NULL));
    assert_true(el_test_aborts(key_in_array, NULL));
    assert_true(el_test_aborts(wrong_end, NULL));
    assert_true(el_test_aborts(end_inside, NULL));
    assert_true(el_test_aborts(too_deep, NULL));
}
