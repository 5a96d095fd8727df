/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: bytes come out as they went in, and memory that runs out shows once and stays.
 */
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/buffer.h>
#include <evlog/error.h>

#include <stdlib.h>

TEST(buffer, grows_and_keeps_what_is_there)
{
    struct el_buffer buffer = {0};
    for (uint32_t i = 0; i < 5000; i++) {
        el_buffer_append(&buffer, &i, sizeof(i));
    }
    assert_int_equal(buffer.err, 0);
    assert_int_equal(buffer.len, 20000);
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(el_get_le32(buffer.data + (size_t)i * 4), i);
    }
    el_buffer_free(&buffer);
    assert_null(buffer.data);
}

TEST(buffer, of_a_long_one_less_than_a_quarter_is_unused)
{
    static const char line[1000] = "";
    struct el_buffer buffer = {0};
    for (uint32_t i = 0; i < 20000; i++) {
        el_buffer_append(&buffer, line, sizeof line);
        assert_true(buffer.len < (2u << 20) || buffer.cap - buffer.len <= buffer.len / 4);
    }
    assert_int_equal(buffer.err, 0);
    el_buffer_free(&buffer);
}

TEST(buffer, text_is_terminated_at_every_length)
{
    struct el_buffer buffer = {0};
    assert_string_equal(el_buffer_text(&buffer), "");
    for (size_t i = 1; i < 2000; i++) {
        el_buffer_append_char(&buffer, 'x');
        assert_int_equal(strlen(el_buffer_text(&buffer)), i);
        assert_int_equal(buffer.len, i);
    }
    el_buffer_free(&buffer);
}

TEST(buffer, printf_appends)
{
    struct el_buffer buffer = {0};
    el_buffer_append_str(&buffer, "a");
    el_buffer_printf(&buffer, "-%d-%s", 42, "text");
    el_buffer_printf(&buffer, "%300s", "|");
    assert_int_equal(buffer.len, 1 + 8 + 300);
    assert_int_equal(strncmp(el_buffer_text(&buffer), "a-42-text ", 10), 0);
    el_buffer_reset(&buffer);
    assert_int_equal(buffer.len, 0);
    assert_string_equal(el_buffer_text(&buffer), "");
    el_buffer_append(&buffer, NULL, 0);
    assert_int_equal(buffer.len, 0);
    el_buffer_free(&buffer);
}

TEST(buffer, impossible_length_is_an_error_that_stays)
{
    struct el_buffer buffer = {0};
    el_buffer_append_str(&buffer, "before");
    assert_null(el_buffer_room(&buffer, SIZE_MAX));
    assert_int_equal(buffer.err, EVLOG_ERR_NO_MEMORY);
    el_buffer_append_str(&buffer, "after");
    el_buffer_printf(&buffer, "%d", 5);
    assert_int_equal(buffer.len, 6);
    assert_null(el_buffer_text(&buffer));
    el_buffer_reset(&buffer);
    assert_int_equal(buffer.err, 0);
    el_buffer_append_str(&buffer, "again");
    assert_string_equal(el_buffer_text(&buffer), "again");
    el_buffer_free(&buffer);
}

TEST_TORTURE(buffer, failing_heap_is_an_error_and_nothing_leaks)
{
    struct el_buffer buffer = {0};
    for (int i = 0; i < 300; i++) {
        el_buffer_printf(&buffer, "%d", i);
    }
    assert_true(buffer.err == 0 || el_test_failing());
    if (buffer.err == 0) {
        assert_int_equal(buffer.len, 10 + 90 * 2 + 200 * 3);
    }
    el_buffer_free(&buffer);
}
