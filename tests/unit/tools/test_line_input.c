/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of plain and compressed input. Goal: the same lines either way, and a cut-off or broken file is never a short
 * one. Method: inputs in memory, cut at every byte; lines longer than any buffer; every allocation failing once.
 */
#include "../../../tools/evlog/line_input.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <core/compress.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

/* All lines joined by "|"; the last result of line_input_next(). */
static int read_all(const void *data, size_t len, char *joined, size_t room)
{
    struct line_input *input;
    struct el_slice line;
    struct el_error err = {0};
    size_t used = 0;
    joined[0] = '\0';
    int rc = line_input_memory(data, len, &input, &err);
    if (rc != 0) {
        return rc;
    }
    while ((rc = line_input_next(input, &line, &err)) == 1) {
        used += (size_t)snprintf(joined + used, room - used, "%.*s|", (int)line.len, (const char *)line.data);
    }
    line_input_close(input);
    return rc;
}

static void expect_lines(const char *text, const char *joined)
{
    char got[256];
    assert_int_equal(read_all(text, strlen(text), got, sizeof got), 0);
    assert_string_equal(got, joined);
}

TEST(line_input, lines_with_and_without_an_end)
{
    expect_lines("", "");
    expect_lines("a", "a|");
    expect_lines("a\n", "a|");
    expect_lines("a\nb", "a|b|");
    expect_lines("\n\n", "||");
    expect_lines("a\r\n\r\nb\r", "a||b|");
}

static size_t pack(const char *text, uint8_t *out, size_t room)
{
    size_t len;
    assert_int_equal(el_compress(EL_CODEC_GZIP, text, strlen(text), out, room, &len), 0);
    return len;
}

TEST(line_input, gzip_members_follow_each_other)
{
    uint8_t packed[512];
    char got[256];
    size_t len = pack("one\ntw", packed, sizeof packed);
    len += pack("o\nthree\n", packed + len, sizeof packed - len);
    assert_int_equal(read_all(packed, len, got, sizeof got), 0);
    assert_string_equal(got, "one|two|three|");
}

TEST(line_input, gzip_cut_at_any_byte_is_an_error)
{
    uint8_t packed[512];
    char got[256];
    size_t len = pack("one\ntwo\nthree\n", packed, sizeof packed);
    for (size_t cut = 2; cut < len; cut++) {
        assert_int_equal(read_all(packed, cut, got, sizeof got), EVLOG_ERR_CORRUPT);
    }
}

TEST(line_input, broken_gzip_is_an_error)
{
    uint8_t packed[512];
    char got[256];
    size_t len = pack("one\ntwo\nthree\n", packed, sizeof packed);
    for (size_t i = len - 8; i < len; i++) { /* checksum and length */
        packed[i] ^= 1;
        assert_int_equal(read_all(packed, len, got, sizeof got), EVLOG_ERR_CORRUPT);
        packed[i] ^= 1;
    }
    packed[len] = 'x';
    assert_int_equal(read_all(packed, len + 1, got, sizeof got), EVLOG_ERR_CORRUPT);
}

TEST(line_input, line_longer_than_the_first_buffer)
{
    size_t len = 3 << 20;
    char *text = el_malloc(len + 4);
    assert_non_null(text);
    memset(text, 'x', len);
    memcpy(text + len, "\nab\n", 4);
    struct line_input *input;
    struct el_slice line;
    assert_int_equal(line_input_memory(text, len + 4, &input, NULL), 0);
    assert_int_equal(line_input_next(input, &line, NULL), 1);
    assert_int_equal(line.len, len);
    assert_int_equal(line_input_next(input, &line, NULL), 1);
    assert_int_equal(line.len, 2);
    assert_int_equal(line_input_number(input), 2);
    assert_int_equal(line_input_next(input, &line, NULL), 0);
    line_input_close(input);
    el_free(text);
}

TEST(line_input, file_that_is_not_there_is_named)
{
    struct line_input *input;
    struct el_error err = {0};
    assert_int_equal(line_input_open("/nowhere/events", &input, &err), EVLOG_ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/events"));
}

TEST_TORTURE(line_input, every_allocation_may_fail)
{
    char got[64];
    int rc = read_all("a\nb\n", 4, got, sizeof got);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
}
