/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the table of error.def is well formed and every lookup finds its row.
 * Method: include the table once more and compare.
 */
#include "../../lib/test.h"

#include <core/err.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const int all_codes[] = {
#define EVLOG_ERROR(name, number, class_, kafka_code, text) EVLOG_ERR_##name,
#include <evlog/error.def>
#undef EVLOG_ERROR
};
#define CODE_COUNT (sizeof(all_codes) / sizeof(all_codes[0]))

TEST(error, codes_are_negative_and_unique)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        assert_true(all_codes[i] < 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(all_codes[i], all_codes[k]);
        }
    }
}

TEST(error, every_code_has_name_class_and_text)
{
    for (size_t i = 0; i < CODE_COUNT; i++) {
        const char *text = evlog_error_text(all_codes[i]);
        assert_int_equal(strncmp(evlog_error_name(all_codes[i]), "EVLOG_ERR_", 10), 0);
        assert_true(strlen(text) > 3);
        assert_int_not_equal(text[strlen(text) - 1], '.');
        assert_int_not_equal(evlog_error_class_of(all_codes[i]), EVLOG_CLASS_NONE);
        assert_int_not_equal(evlog_error_kafka(all_codes[i]), 0);
    }
    assert_string_equal(evlog_error_name(EVLOG_ERR_SEQUENCE), "EVLOG_ERR_SEQUENCE");
    assert_int_equal(evlog_error_kafka(EVLOG_ERR_SEQUENCE), 45);
    assert_int_equal(evlog_error_class_of(EVLOG_ERR_FULL), EVLOG_CLASS_RETRY);
}

/* A file of a later version is refused at the start: whoever meets one later has met a changed byte. */
TEST(error, a_format_that_looks_newer_is_damage_to_clients)
{
    assert_int_equal(evlog_error_kafka(EVLOG_ERR_FORMAT), evlog_error_kafka(EVLOG_ERR_CORRUPT));
}

TEST(error, success_is_a_row_too)
{
    assert_string_equal(evlog_error_name(0), "EVLOG_OK");
    assert_int_equal(evlog_error_class_of(0), EVLOG_CLASS_NONE);
    assert_int_equal(evlog_error_kafka(0), 0);
}

TEST(error, unknown_code_is_fatal)
{
    static const int unknown[] = {1, -999999, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_string_equal(evlog_error_name(unknown[i]), "EVLOG_ERR_?");
        assert_int_equal(evlog_error_class_of(unknown[i]), EVLOG_CLASS_FATAL);
        assert_int_equal(evlog_error_kafka(unknown[i]), -1);
        assert_non_null(evlog_error_text(unknown[i]));
    }
}

TEST(err, set_returns_the_code_even_without_a_place)
{
    struct el_error err = {0};
    assert_int_equal(el_error_set(NULL, EVLOG_ERR_IO, "x"), EVLOG_ERR_IO);
    assert_int_equal(el_error_set(&err, EVLOG_ERR_IO, "pos %d", 7), EVLOG_ERR_IO);
    assert_int_equal(err.code, EVLOG_ERR_IO);
    assert_string_equal(err.text, "pos 7");
}

TEST(err, wrap_puts_words_in_front)
{
    struct el_error err = {0};
    el_error_set(&err, EVLOG_ERR_CORRUPT, "crc 1, expected 2");
    assert_int_equal(el_error_wrap(&err, "segment %05d", 42), EVLOG_ERR_CORRUPT);
    assert_string_equal(err.text, "segment 00042: crc 1, expected 2");
    assert_int_equal(el_error_wrap(NULL, "x"), 0);
}

TEST(err, own_text_may_be_an_argument)
{
    struct el_error err = {0};
    el_error_set(&err, EVLOG_ERR_IO, "disk");
    el_error_set(&err, EVLOG_ERR_FAILED, "open: %s", err.text);
    assert_string_equal(err.text, "open: disk");
}

TEST(err, long_text_is_cut_not_overrun)
{
    struct {
        struct el_error err;
        char guard[8];
    } place;
    char text[2 * EL_ERROR_TEXT_MAX];
    memset(&place, 0x5a, sizeof(place));
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    el_error_set(&place.err, EVLOG_ERR_IO, "%s", text);
    assert_int_equal(strlen(place.err.text), EL_ERROR_TEXT_MAX - 1);
    for (int i = 0; i < 3; i++) {
        el_error_wrap(&place.err, "front");
        assert_int_equal(strlen(place.err.text), EL_ERROR_TEXT_MAX - 1);
        assert_int_equal(strncmp(place.err.text, "front: ", 7), 0);
    }
    el_error_wrap(&place.err, "%s", text);
    assert_int_equal(strlen(place.err.text), EL_ERROR_TEXT_MAX - 1);
    for (size_t i = 0; i < sizeof(place.guard); i++) {
        assert_int_equal(place.guard[i], 0x5a);
    }
}

TEST(err, errno_becomes_a_code)
{
    assert_int_equal(el_error_from_errno(ENOSPC), EVLOG_ERR_NO_SPACE);
    assert_int_equal(el_error_from_errno(EMFILE), EVLOG_ERR_NO_FILES);
    assert_int_equal(el_error_from_errno(ENFILE), EVLOG_ERR_NO_FILES);
    assert_int_equal(el_error_from_errno(ENOENT), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(el_error_from_errno(EEXIST), EVLOG_ERR_EXISTS);
    assert_int_equal(el_error_from_errno(ENOMEM), EVLOG_ERR_NO_MEMORY);
    assert_int_equal(el_error_from_errno(EAGAIN), EVLOG_ERR_AGAIN);
    assert_int_equal(el_error_from_errno(ECONNREFUSED), EVLOG_ERR_UNREACHABLE);
    assert_int_equal(el_error_from_errno(EIO), EVLOG_ERR_IO);
    assert_int_equal(el_error_from_errno(0), EVLOG_ERR_IO);
}
