/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal numbers in their own digits; pure functions, any thread.
 *
 * 1. parse: check the grammar and note where the digits lie that count, and how far the point is from the first one
 * 2. compare: signs, then exponents, then digit by digit
 */
#include "decimal.h"

#include <core/assert.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SINGLE_DIGITS_MIN 6 /* significant digits that single precision always keeps, and that tell all numbers apart */
#define SINGLE_DIGITS_MAX 9
#define DOUBLE_DIGITS_MIN 15
#define DOUBLE_DIGITS_MAX 17

static bool is_digit(const uint8_t *p, const uint8_t *end)
{
    return p != end && *p >= '0' && *p <= '9';
}

/* Digits from p on; notes the first and the last that is not 0. */
static const uint8_t *take_digits(const uint8_t *p, const uint8_t *end, struct decimal *d)
{
    for (; is_digit(p, end); p++) {
        if (*p != '0') {
            d->first = d->first == NULL ? p : d->first;
            d->end = p + 1;
        }
    }
    return p;
}

/* What stands behind e, p at its sign or first digit; NULL when it is no number. */
static const uint8_t *take_exponent(const uint8_t *p, const uint8_t *end, int64_t *exponent)
{
    bool negative = p != end && *p == '-';
    int64_t value = 0;
    if (p != end && (*p == '-' || *p == '+')) {
        p++;
    }
    if (!is_digit(p, end)) {
        return NULL;
    }
    for (; is_digit(p, end); p++) {
        value = value > DECIMAL_EXPONENT_MAX ? value : value * 10 + (*p - '0');
    }
    value = value > DECIMAL_EXPONENT_MAX ? DECIMAL_EXPONENT_MAX : value;
    *exponent = negative ? -value : value;
    return p;
}

bool decimal_parse(struct el_slice text, struct decimal *number)
{
    const uint8_t *p = text.data, *end = p + text.len;
    struct decimal d = {NULL, NULL, 0, 1};
    if (text.len > 0 && *p == '-') {
        d.sign = -1;
        p++;
    }
    if (!is_digit(p, end) || (*p == '0' && is_digit(p + 1, end))) {
        return false;
    }
    p = take_digits(p, end, &d);
    const uint8_t *point = p;
    if (p != end && *p == '.') {
        p++;
        if (!is_digit(p, end)) {
            return false;
        }
        p = take_digits(p, end, &d);
    }
    if (p != end && (*p == 'e' || *p == 'E')) {
        p = take_exponent(p + 1, end, &d.exponent);
    }
    if (p != end) {
        return false;
    }
    if (d.first == NULL) {
        *number = (struct decimal){NULL, NULL, 0, 0};
        return true;
    }
    /* The point moves to the front of the first digit. Behind the point, 0.05 is 0.5 and one place back. */
    d.exponent += d.first < point ? point - d.first : point + 1 - d.first;
    *number = d;
    return true;
}

static int compare_digits(const struct decimal *a, const struct decimal *b)
{
    const uint8_t *p = a->first, *q = b->first;
    for (;;) {
        p += p != a->end && *p == '.';
        q += q != b->end && *q == '.';
        if (p == a->end || q == b->end) {
            return (p != a->end) - (q != b->end);
        }
        if (*p != *q) {
            return *p < *q ? -1 : 1;
        }
        p++;
        q++;
    }
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->sign != b->sign || a->sign == 0) {
        return a->sign - b->sign;
    }
    if (a->exponent != b->exponent) {
        return a->exponent < b->exponent ? -a->sign : a->sign;
    }
    return compare_digits(a, b) * a->sign;
}

void decimal_of_int(uint64_t value, bool negative, char *text, struct decimal *number)
{
    int len = snprintf(text, DECIMAL_TEXT_MAX, "%s%llu", negative ? "-" : "", (unsigned long long)value);
    EL_ASSERT(len < DECIMAL_TEXT_MAX);
    bool parsed = decimal_parse(el_slice_of(text, (size_t)len), number);
    EL_ASSERT(parsed);
}

bool decimal_of_real(double value, bool single, char *text, struct decimal *number)
{
    if (!isfinite(value)) {
        return false;
    }
    int digits = single ? SINGLE_DIGITS_MIN : DOUBLE_DIGITS_MIN;
    if (fabs(value) < (single ? (double)FLT_MIN : DBL_MIN)) {
        digits = 1; /* denormal numbers keep fewer */
    }
    int digits_max = single ? SINGLE_DIGITS_MAX : DOUBLE_DIGITS_MAX;
    for (; digits <= digits_max; digits++) {
        int len = snprintf(text, DECIMAL_TEXT_MAX, "%.*e", digits - 1, value);
        EL_ASSERT(len < DECIMAL_TEXT_MAX);
        bool same = single ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
        if (same) {
            break;
        }
    }
    /* The host program may have set a locale whose point is another character. */
    char *point = text + (text[0] == '-') + 1;
    *point = *point == ',' ? '.' : *point;
    return decimal_parse(el_slice_str(text), number);
}
