/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: numbers and words are taken whole or not at all. Method: the edges of each form.
 */
#include <config/value.h>

#include "../../lib/test.h"

#include <string.h>

static bool is_int(const char *text, int64_t expected)
{
    int64_t value = 0;
    return value_int(el_slice_str(text), &value) && value == expected;
}

static bool no_int(const char *text)
{
    int64_t value = 4711;
    return !value_int(el_slice_str(text), &value) && value == 4711;
}

TEST(value, int_refuses_all_but_digits_that_fit)
{
    assert_true(no_int(""));
    assert_true(no_int("-"));
    assert_true(no_int("+"));
    assert_true(no_int(" "));
    assert_true(no_int("1 2"));
    assert_true(no_int("1x"));
    assert_true(no_int("--1"));
    assert_true(no_int("9223372036854775808"));
    assert_true(no_int("-9223372036854775809"));
    assert_true(no_int("99999999999999999999999"));
}

TEST(value, int_reads_its_whole_range)
{
    assert_true(is_int("0", 0));
    assert_true(is_int("-0", 0));
    assert_true(is_int("+7", 7));
    assert_true(is_int(" 12\t", 12));
    assert_true(is_int("9223372036854775807", INT64_MAX));
    assert_true(is_int("-9223372036854775808", INT64_MIN));
}

TEST(value, millionths_are_exact)
{
    int64_t v = 0;
    assert_false(value_millionths(el_slice_str(".5"), &v));
    assert_false(value_millionths(el_slice_str("0.5x"), &v));
    assert_false(value_millionths(el_slice_str("0.1234567"), &v));
    assert_false(value_millionths(el_slice_str("9223372036855"), &v));
    assert_false(value_millionths(el_slice_str(""), &v));
    assert_true(value_millionths(el_slice_str("0.5"), &v) && v == 500000);
    assert_true(value_millionths(el_slice_str("-0.25"), &v) && v == -250000);
    assert_true(value_millionths(el_slice_str("3"), &v) && v == 3000000);
    assert_true(value_millionths(el_slice_str("0.000001"), &v) && v == 1);
}

TEST(value, choices_are_whole_words)
{
    char word[8];
    assert_int_equal(value_choice("auto|uring|posix", el_slice_str("auto")), 0);
    assert_int_equal(value_choice("auto|uring|posix", el_slice_str("posix")), 2);
    assert_int_equal(value_choice("auto|uring|posix", el_slice_str("uri")), -1);
    assert_int_equal(value_choice("auto|uring|posix", el_slice_str("uring|posix")), -1);
    assert_int_equal(value_choice("auto|uring|posix", el_slice_str("")), -1);
    assert_int_equal(value_choice("", el_slice_str("")), -1);
    assert_string_equal(value_choice_name("auto|uring|posix", 1, word, sizeof word), "uring");
    assert_string_equal(value_choice_name("auto|uring|posix", 3, word, sizeof word), "");
}

TEST(value, bool_is_one_of_two_words)
{
    bool v = true;
    assert_false(value_bool(el_slice_str("1"), &v));
    assert_false(value_bool(el_slice_str("truer"), &v));
    assert_false(value_bool(el_slice_str(""), &v));
    assert_true(value_bool(el_slice_str(" False "), &v) && !v);
    assert_true(value_bool(el_slice_str("TRUE"), &v) && v);
}
