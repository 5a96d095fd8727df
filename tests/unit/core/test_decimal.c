/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: numbers are compared by what is written, to the last digit.
 * Method: what is no number; a table in ascending order, every pair of it; drawn numbers against 128-bit integers;
 * doubles there and back.
 */
#include "../../../client/core/decimal.h"
#include "../../lib/test.h"

#include <core/rng.h>
#include <stdio.h>

static struct decimal parse(const char *text)
{
    struct decimal number = {NULL, NULL, 0, 0};
    if (!decimal_parse(el_slice_str(text), &number)) {
        fail_msg("%s is refused", text);
    }
    return number;
}

TEST(decimal, what_json_would_not_write_is_refused)
{
    static const char *const bad[] = {"",    "-",  "+1", "01",  "-01",  "1.",  ".5",  "1.e5", "1e", "1e+", "1e5.",
                                      "0x1", " 1", "1 ", "1,5", "1e5x", "inf", "--1", "1..2", "1-", "e5",  "-e5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct decimal number;
        if (decimal_parse(el_slice_str(bad[i]), &number)) {
            fail_msg("\"%s\" is taken", bad[i]);
        }
    }
}

TEST(decimal, order_is_that_of_the_values)
{
    /* Ascending; those that are equal stand in one row. */
    static const char *const rows[][4] = {
        {"-1e99999999999999999999"},
        {"-123456789012345678901234567891"},
        {"-123456789012345678901234567890", "-1.2345678901234567890123456789e29"},
        {"-10", "-1e1", "-10.0", "-100E-1"},
        {"-1.5", "-15e-1", "-0.15e+1"},
        {"-0.05", "-5e-2"},
        {"0", "-0", "0.000", "0e99999999999999999999"},
        {"1e-99999999999999999999"},
        {"0.0009", "9e-4"},
        {"0.001", "1e-3"},
        {"0.1", "0.10000", "1e-1", "100.00e-3"},
        {"0.1000000000000000055511151231257827"},
        {"1", "1.0", "10e-1"},
        {"1.00000000000000000000000000000000000001"},
        {"100", "1e2", "100.0", "0.001e5"},
        {"101"},
        {"1e99999999999999999999"},
    };
    size_t count = sizeof rows / sizeof rows[0];
    for (size_t a = 0; a < 4 * count; a++) {
        for (size_t b = 0; b < 4 * count; b++) {
            if (rows[a / 4][a % 4] != NULL && rows[b / 4][b % 4] != NULL) {
                struct decimal left = parse(rows[a / 4][a % 4]), right = parse(rows[b / 4][b % 4]);
                int order = decimal_compare(&left, &right), wanted = (a / 4 > b / 4) - (a / 4 < b / 4);
                if ((order > 0) - (order < 0) != wanted) {
                    fail_msg("%s and %s: %d", rows[a / 4][a % 4], rows[b / 4][b % 4], order);
                }
            }
        }
    }
}

/* value hundredths, written in one of several ways */
static void write_hundredths(char text[64], int64_t value, uint64_t way)
{
    uint64_t size = (uint64_t)(value < 0 ? -value : value);
    const char *sign = value < 0 ? "-" : "";
    if (way == 0) {
        (void)snprintf(text, 64, "%s%llu.%02llu", sign, (unsigned long long)size / 100, (unsigned long long)size % 100);
    } else if (way == 1) {
        (void)snprintf(text, 64, "%s%llue-2", sign, (unsigned long long)size);
    } else {
        (void)snprintf(text, 64, "%s%llu.000E-0002", sign, (unsigned long long)size);
    }
}

TEST(decimal, drawn_numbers_compare_as_integers_do)
{
    struct el_rng rng;
    el_rng_seed(&rng, 7);
    for (int i = 0; i < 20000; i++) {
        char a_text[64], b_text[64];
        uint64_t bound = el_rng_below(&rng, 2) == 0 ? 2000 : 2000000000000000000;
        int64_t a = (int64_t)el_rng_below(&rng, bound) - (int64_t)(bound / 2);
        int64_t b = el_rng_below(&rng, 3) == 0 ? a + (int64_t)el_rng_below(&rng, 3) - 1
                                               : (int64_t)el_rng_below(&rng, bound) - (int64_t)(bound / 2);
        write_hundredths(a_text, a, el_rng_below(&rng, 3));
        write_hundredths(b_text, b, el_rng_below(&rng, 3));
        struct decimal left = parse(a_text), right = parse(b_text);
        int order = decimal_compare(&left, &right);
        if ((order > 0) - (order < 0) != (a > b) - (a < b)) {
            fail_msg("%s and %s: %d", a_text, b_text, order);
        }
    }
}

TEST(decimal, a_double_is_the_shortest_number_that_brings_it_back)
{
    static const struct {
        double value;
        bool single;
        const char *text;
    } rows[] = {
        {0.1, false, "0.1"},
        {0.1f, true, "0.1"},
        {0.1 + 0.2, false, "0.30000000000000004"},
        {1e300, false, "1e300"},
        {-2.5, false, "-2.5"},
        {5e-324, false, "5e-324"},
        {16777217, false, "16777217"},
        {0, false, "0"},
        {1e-45f, true, "1e-45"},
        {3.4028235e38f, true, "3.4028235e38"},
        {123456.7f, true, "123456.7"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[DECIMAL_TEXT_MAX];
        struct decimal number, wanted = parse(rows[i].text);
        assert_true(decimal_of_real(rows[i].value, rows[i].single, text, &number));
        if (decimal_compare(&number, &wanted) != 0) {
            fail_msg("%s became %s", rows[i].text, text);
        }
    }
    char text[DECIMAL_TEXT_MAX];
    struct decimal number;
    assert_false(decimal_of_real(1.0 / 0.0, false, text, &number));
    assert_false(decimal_of_real(0.0 / 0.0, false, text, &number));
}
