/* SPDX-License-Identifier: Apache-2.0
 *
 * What a matcher says of one value. Pure but for the count of work; any thread.
 *
 * Text from JSON is compared as it stands there, escapes and all: it is decoded character by character on the way, so
 * that nothing has to be copied. Without escapes whole runs of bytes are compared. Bytes that are not UTF-8, which a
 * header may hold, are characters of their own, equal only to themselves.
 *
 * Each test first counts the work it may at most be, but for a wildcard, which counts as it goes.
 */
#include "pattern_program.h"
#include <core/json_scan.h>

#include <core/assert.h>
#include <core/utf8.h>

#define NOT_UTF8 0x110000u /* above every character; the byte is added */

struct text {
    const uint8_t *p;
    const uint8_t *end;
    bool escaped;
};

static struct text text_of(const struct pattern_value *value)
{
    EL_ASSERT(value->kind == PATTERN_VALUE_TEXT);
    return (struct text){value->text.data, value->text.data + value->text.len, value->escaped};
}

static struct text text_plain(struct el_slice slice)
{
    return (struct text){slice.data, slice.data + slice.len, false};
}

/* The next character; text is not at its end. */
static uint32_t text_next(struct text *text)
{
    size_t left = (size_t)(text->end - text->p);
    uint32_t point;
    if (text->escaped && *text->p == '\\') {
        text->p += el_json_scan_char(text->p, left, &point);
        return point;
    }
    size_t len = el_utf8_next(text->p, left, &point);
    if (len == 0) {
        point = NOT_UTF8 + *text->p;
        len = 1;
    }
    text->p += len;
    return point;
}

static uint32_t folded(uint32_t point, bool fold)
{
    return fold ? el_utf8_fold(point) : point;
}

/* True when text begins with wanted, which it is then behind. */
static bool text_skip(struct text *text, struct el_slice wanted, bool fold)
{
    struct text want = text_plain(wanted);
    while (want.p != want.end) {
        if (text->p == text->end || folded(text_next(text), fold) != text_next(&want)) {
            return false;
        }
    }
    return true;
}

static bool is_equal(const struct pattern_value *value, const struct pattern_test *test, bool fold)
{
    if (!fold && !value->escaped) {
        return el_slice_eq(value->text, test->text) != 0;
    }
    struct text text = text_of(value);
    return text_skip(&text, test->text, fold) && text.p == text.end;
}

static bool has_prefix(const struct pattern_value *value, const struct pattern_test *test, bool fold)
{
    if (!fold && !value->escaped) {
        return value->text.len >= test->text.len &&
               el_slice_eq(el_slice_of(value->text.data, test->text.len), test->text) != 0;
    }
    struct text text = text_of(value);
    return text_skip(&text, test->text, fold);
}

static bool has_suffix(const struct pattern_value *value, const struct pattern_test *test, bool fold,
                       struct pattern_work *work)
{
    if (!fold && !value->escaped) {
        return value->text.len >= test->text.len &&
               el_slice_eq(el_slice_of(value->text.data + (value->text.len - test->text.len), test->text.len),
                           test->text) != 0;
    }
    struct text text = text_of(value), counted = text;
    uint32_t count = 0;
    work->done += value->text.len;
    for (; counted.p != counted.end; count++) {
        (void)text_next(&counted);
    }
    if (count < test->point_count) {
        return false;
    }
    for (; count > test->point_count; count--) {
        (void)text_next(&text);
    }
    return text_skip(&text, test->text, fold);
}

/* One way back is enough: a star that matches more never helps an earlier one. So the work is at most the product of
 * both lengths. */
static bool is_wildcard(const struct pattern_value *value, const struct pattern_test *test, struct pattern_work *work)
{
    struct text text = text_of(value), tried = text;
    struct text want = text_plain(test->text), behind_star = want;
    bool starred = false;
    while (text.p != text.end && work->done <= work->max) {
        work->done++;
        if (want.p != want.end && *want.p == PATTERN_STAR) {
            want.p++;
            if (want.p == want.end) {
                return true;
            }
            starred = true;
            behind_star = want;
            tried = text;
            continue;
        }
        if (want.p != want.end && text_next(&text) == text_next(&want)) {
            continue;
        }
        if (!starred) {
            return false;
        }
        (void)text_next(&tried);
        text = tried;
        want = behind_star;
    }
    if (want.p != want.end && *want.p == PATTERN_STAR) {
        want.p++;
    }
    return text.p == text.end && want.p == want.end;
}

static bool is_in_range(const struct pattern_value *value, const struct pattern_test *test)
{
    struct decimal number = value->number;
    if (value->kind != PATTERN_VALUE_NUMBER && (!value->maybe_number || !decimal_parse(value->text, &number))) {
        return false;
    }
    if (test->low.set) {
        int order = decimal_compare(&number, &test->low.number);
        if (order < 0 || (order == 0 && !test->low.inclusive)) {
            return false;
        }
    }
    if (test->high.set) {
        int order = decimal_compare(&number, &test->high.number);
        if (order > 0 || (order == 0 && !test->high.inclusive)) {
            return false;
        }
    }
    return true;
}

static bool text_holds(const struct pattern_test *test, const struct pattern_value *value, struct pattern_work *work)
{
    if (value->kind != PATTERN_VALUE_TEXT) {
        return false;
    }
    if (test->kind == PATTERN_STRING || test->kind == PATTERN_SAME) {
        return is_equal(value, test, test->kind == PATTERN_SAME);
    }
    if (test->kind == PATTERN_PREFIX || test->kind == PATTERN_SAME_PREFIX) {
        return has_prefix(value, test, test->kind == PATTERN_SAME_PREFIX);
    }
    if (test->kind == PATTERN_WILDCARD) {
        return is_wildcard(value, test, work);
    }
    EL_ASSERT(test->kind == PATTERN_SUFFIX || test->kind == PATTERN_SAME_SUFFIX);
    return has_suffix(value, test, test->kind == PATTERN_SAME_SUFFIX, work);
}

/* Every test but anything-but. */
static bool holds(const struct pattern_test *test, const struct pattern_value *value, struct pattern_work *work)
{
    work->done += PATTERN_STEP_BYTES + (value->text.len < test->text.len ? value->text.len : test->text.len);
    switch (test->kind) {
    case PATTERN_STRING:
    case PATTERN_PREFIX:
    case PATTERN_SUFFIX:
    case PATTERN_SAME:
    case PATTERN_SAME_PREFIX:
    case PATTERN_SAME_SUFFIX:
    case PATTERN_WILDCARD:
        return text_holds(test, value, work);
    case PATTERN_NUMBER:
        work->done += value->text.len;
        return is_in_range(value, test);
    case PATTERN_TRUE:
        return value->kind == PATTERN_VALUE_TRUE;
    case PATTERN_FALSE:
        return value->kind == PATTERN_VALUE_FALSE;
    case PATTERN_NULL:
        return value->kind == PATTERN_VALUE_NULL;
    case PATTERN_EXISTS:
        return true;
    case PATTERN_ABSENT:
        return false;
    case PATTERN_ANYTHING_BUT:
        break;
    }
    EL_ASSERT(test->kind != PATTERN_ANYTHING_BUT);
    return false;
}

bool pattern_test_holds(const struct pattern_test *test, const struct pattern_value *value, struct pattern_work *work)
{
    if (test->kind != PATTERN_ANYTHING_BUT) {
        return holds(test, value, work);
    }
    for (const struct pattern_test *but = test->but; but != NULL; but = but->next) {
        if (holds(but, value, work)) {
            return false;
        }
    }
    return true;
}
