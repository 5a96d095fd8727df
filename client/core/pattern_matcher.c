/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiler of patterns, second half: the array of a name and the matchers in it. Any thread.
 *
 *   [ "text", 7, true, null, {"prefix": "a"}, {"anything-but": ["x", "y"]}, {"numeric": [">", 0, "<=", 5]} ]
 *
 * Strings are decoded, and folded where case does not matter, once, here. Everything that could never match, or that
 * reads like another meaning than it has, is refused with the place and what to write instead.
 */
#include "pattern_parse.h"

#include <core/assert.h>
#include <core/utf8.h>

#include <string.h>

#define NUMBER_EXPONENT_MAX 9999 /* far below DECIMAL_EXPONENT_MAX, so that no value of an event is cut to it */

static const char matcher_names[] =
    "the matchers are prefix, suffix, anything-but, numeric, exists, equals-ignore-case and wildcard";

static int test_new(struct pattern_parse *parse, enum pattern_test_kind kind, struct pattern_test **test)
{
    if (++parse->matcher_count > parse->limits->matcher_count_max) {
        return pattern_refuse_limit(parse, "more than %u matchers in one pattern: split it, several may be given",
                                    parse->limits->matcher_count_max);
    }
    struct pattern_test *made = el_arena_zalloc(parse->arena, sizeof *made);
    if (made == NULL) {
        return pattern_no_memory(parse);
    }
    made->kind = kind;
    *test = made;
    return 0;
}

static bool token_is(const struct pattern_parse *parse, enum el_json_token token)
{
    return parse->walk.token == token;
}

/* True when the string or name that is the current token is word, without escapes. */
static bool string_is(const struct pattern_parse *parse, const char *word)
{
    const struct el_json_walk *walk = &parse->walk;
    if (walk->token != EL_JSON_TOKEN_STRING && walk->token != EL_JSON_TOKEN_KEY) {
        return false;
    }
    return el_slice_eq(el_slice_of(walk->start + 1, (size_t)(walk->stop - walk->start - 2)), el_slice_str(word)) != 0;
}

/* --- text ------------------------------------------------------------------------------------------------------- */

/* text in lower case, in memory of its own: a letter may become longer. */
static int fold_text(struct pattern_parse *parse, struct el_slice *text)
{
    uint8_t *out = el_arena_alloc(parse->arena, 4 * text->len + 4);
    size_t len = 0;
    if (out == NULL) {
        return pattern_no_memory(parse);
    }
    for (size_t i = 0; i < text->len;) {
        uint32_t point;
        size_t step = el_utf8_next(text->data + i, text->len - i, &point);
        EL_ASSERT(step > 0);
        i += step;
        len += el_utf8_put(el_utf8_fold(point), out + len);
    }
    *text = el_slice_of(out, len);
    return 0;
}

/* "a*b\\*c" as written becomes a, star, b*c; in place, for it only gets shorter. */
static int compile_wildcard(struct pattern_parse *parse, struct el_slice *text)
{
    uint8_t *out = el_arena_dup(parse->arena, text->data, text->len);
    size_t len = 0;
    if (out == NULL) {
        return pattern_no_memory(parse);
    }
    for (size_t i = 0; i < text->len; i++) {
        uint8_t c = text->data[i];
        if (c == '*') {
            if (len > 0 && out[len - 1] == PATTERN_STAR) {
                return pattern_refuse(parse, "two * in a row mean no more than one: write one");
            }
            c = PATTERN_STAR;
        } else if (c == '\\') {
            i++;
            if (i == text->len || (text->data[i] != '*' && text->data[i] != '\\')) {
                return pattern_refuse(parse, "in a wildcard a backslash stands before * or another backslash: write "
                                             "\\\\* for a star and \\\\\\\\ for a backslash");
            }
            c = text->data[i];
        }
        out[len++] = c;
    }
    *text = el_slice_of(out, len);
    return 0;
}

/* A test of this kind against the string that is the current token. */
static int text_test(struct pattern_parse *parse, enum pattern_test_kind kind, struct pattern_test **test)
{
    int rc = test_new(parse, kind, test);
    if (rc == 0) {
        rc = pattern_string(parse, &(*test)->text);
    }
    if (rc == 0 && (kind == PATTERN_SAME || kind == PATTERN_SAME_PREFIX || kind == PATTERN_SAME_SUFFIX)) {
        rc = fold_text(parse, &(*test)->text);
    }
    if (rc == 0 && kind == PATTERN_WILDCARD) {
        return compile_wildcard(parse, &(*test)->text);
    }
    for (size_t i = 0; rc == 0 && i < (*test)->text.len; i++) {
        (*test)->point_count += ((*test)->text.data[i] & 0xc0) != 0x80;
    }
    return rc;
}

static bool text_kind(const struct pattern_parse *parse, enum pattern_test_kind *kind)
{
    static const struct {
        const char *name;
        enum pattern_test_kind kind;
    } kinds[] = {
        {"prefix", PATTERN_PREFIX},
        {"suffix", PATTERN_SUFFIX},
        {"equals-ignore-case", PATTERN_SAME},
        {"wildcard", PATTERN_WILDCARD},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (string_is(parse, kinds[i].name)) {
            *kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* What stands behind "prefix" and its like, the current token: a string or {"equals-ignore-case": string}. */
static int text_operand(struct pattern_parse *parse, enum pattern_test_kind kind, struct pattern_test **test)
{
    bool folds = kind == PATTERN_PREFIX || kind == PATTERN_SUFFIX;
    if (folds && token_is(parse, EL_JSON_TOKEN_OBJECT)) {
        kind = kind == PATTERN_PREFIX ? PATTERN_SAME_PREFIX : PATTERN_SAME_SUFFIX;
        if (pattern_token(parse) != EL_JSON_TOKEN_KEY || !string_is(parse, "equals-ignore-case")) {
            return pattern_refuse(parse, "only {\"equals-ignore-case\": \"...\"} may stand here, or a string");
        }
        if (pattern_token(parse) != EL_JSON_TOKEN_STRING) {
            return pattern_refuse(parse, "a string is expected behind equals-ignore-case");
        }
        int rc = text_test(parse, kind, test);
        if (rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_OBJECT_END) {
            rc = pattern_refuse(parse, "nothing may stand beside equals-ignore-case");
        }
        return rc;
    }
    if (!token_is(parse, EL_JSON_TOKEN_STRING)) {
        return pattern_refuse(parse, folds ? "a string or {\"equals-ignore-case\": \"...\"} is expected here"
                                           : "a string is expected here");
    }
    return text_test(parse, kind, test);
}

/* --- values ----------------------------------------------------------------------------------------------------- */

/* The number that is the current token, kept in the arena. */
static int parse_number(struct pattern_parse *parse, struct decimal *number)
{
    const struct el_json_walk *walk = &parse->walk;
    size_t len = (size_t)(walk->stop - walk->start);
    uint8_t *text = el_arena_dup(parse->arena, walk->start, len);
    if (text == NULL) {
        return pattern_no_memory(parse);
    }
    bool parsed = decimal_parse(el_slice_of(text, len), number);
    EL_ASSERT(parsed);
    if (number->exponent > NUMBER_EXPONENT_MAX || number->exponent < -NUMBER_EXPONENT_MAX) {
        return pattern_refuse_limit(parse, "the number is out of range: write one with an exponent of at most %d",
                                    NUMBER_EXPONENT_MAX);
    }
    return 0;
}

/* A string, number, true, false or null that is the current token. */
static int value_test(struct pattern_parse *parse, enum pattern_place place, struct pattern_test **test)
{
    enum el_json_token token = parse->walk.token;
    bool word = token == EL_JSON_TOKEN_TRUE || token == EL_JSON_TOKEN_FALSE;
    if (place != PATTERN_IN_PAYLOAD && word) {
        return pattern_refuse(parse, "keys and headers are text: write \"%s\"",
                              token == EL_JSON_TOKEN_TRUE ? "true" : "false");
    }
    if (place == PATTERN_IN_KEY && token == EL_JSON_TOKEN_NULL) {
        return pattern_refuse(parse, "an event without a key has none that is null: write {\"exists\": false}");
    }
    if (token == EL_JSON_TOKEN_STRING) {
        return text_test(parse, PATTERN_STRING, test);
    }
    if (token == EL_JSON_TOKEN_NUMBER) {
        int rc = test_new(parse, PATTERN_NUMBER, test);
        if (rc == 0) {
            rc = parse_number(parse, &(*test)->low.number);
            (*test)->low.set = (*test)->low.inclusive = true;
            (*test)->high = (*test)->low;
        }
        return rc;
    }
    if (token == EL_JSON_TOKEN_NULL || word) {
        return test_new(parse,
                        token == EL_JSON_TOKEN_NULL   ? PATTERN_NULL
                        : token == EL_JSON_TOKEN_TRUE ? PATTERN_TRUE
                                                      : PATTERN_FALSE,
                        test);
    }
    return pattern_refuse(parse, "a string, a number, true, false or null is expected here");
}

/* --- numeric ---------------------------------------------------------------------------------------------------- */

/* An operator and its number, the operator being the current token. */
static int numeric_pair(struct pattern_parse *parse, struct pattern_test *test)
{
    struct pattern_bound bound = {.set = true};
    bool equal = string_is(parse, "=");
    bool low = string_is(parse, ">") || string_is(parse, ">=");
    bool high = string_is(parse, "<") || string_is(parse, "<=");
    if (string_is(parse, "!=")) {
        return pattern_refuse(parse, "there is no != here: write {\"anything-but\": NUMBER} instead of numeric");
    }
    if (!token_is(parse, EL_JSON_TOKEN_STRING) || (!equal && !low && !high)) {
        return pattern_refuse(parse, "one of \"=\", \"<\", \"<=\", \">\" and \">=\" is expected here");
    }
    if ((test->low.set && (low || equal)) || (test->high.set && (high || equal))) {
        return pattern_refuse(parse, "only one of > and >= and one of < and <= may stand together, and = stands alone");
    }
    bound.inclusive = equal || string_is(parse, ">=") || string_is(parse, "<=");
    if (pattern_token(parse) != EL_JSON_TOKEN_NUMBER) {
        return pattern_refuse(parse, "a number is expected behind the operator");
    }
    int rc = parse_number(parse, &bound.number);
    test->low = low || equal ? bound : test->low;
    test->high = high || equal ? bound : test->high;
    return rc;
}

/* What stands behind "numeric", the current token. */
static int numeric_operand(struct pattern_parse *parse, struct pattern_test **test)
{
    if (!token_is(parse, EL_JSON_TOKEN_ARRAY)) {
        return pattern_refuse(parse, "an array is expected here, as in {\"numeric\": [\">\", 0, \"<=\", 5]}");
    }
    int rc = test_new(parse, PATTERN_NUMBER, test);
    while (rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_ARRAY_END) {
        rc = numeric_pair(parse, *test);
    }
    if (rc != 0) {
        return rc;
    }
    const struct pattern_bound *low = &(*test)->low, *high = &(*test)->high;
    if (!low->set && !high->set) {
        return pattern_refuse(parse, "an operator and a number are expected here, as in [\">\", 0]");
    }
    int order = low->set && high->set ? decimal_compare(&low->number, &high->number) : -1;
    if (order > 0 || (order == 0 && !(low->inclusive && high->inclusive))) {
        return pattern_refuse(parse, "no number lies between these bounds: the lower one must be less");
    }
    return 0;
}

/* --- anything-but ----------------------------------------------------------------------------------------------- */

static int but_operand_text(struct pattern_parse *parse, enum pattern_test_kind kind, struct pattern_test **test)
{
    int rc = text_operand(parse, kind, test);
    if (rc == 0 && (*test)->text.len == 0 && (kind == PATTERN_PREFIX || kind == PATTERN_SUFFIX)) {
        rc = pattern_refuse(parse,
                            "every string begins and ends with \"\": no string would be left, write another one");
    }
    return rc;
}

/* {"prefix": ...} behind anything-but, its opening brace being the current token: one operand or an array of them. */
static int but_matcher(struct pattern_parse *parse, struct pattern_test **tail)
{
    enum pattern_test_kind kind;
    if (pattern_token(parse) != EL_JSON_TOKEN_KEY || !text_kind(parse, &kind)) {
        return pattern_refuse(parse, "behind anything-but may stand a value, an array of values, or prefix, suffix, "
                                     "equals-ignore-case or wildcard in braces");
    }
    int rc = 0;
    if (pattern_token(parse) != EL_JSON_TOKEN_ARRAY) {
        rc = but_operand_text(parse, kind, tail);
    } else {
        while (rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_ARRAY_END) {
            rc = but_operand_text(parse, kind, tail);
            tail = rc == 0 ? &(*tail)->next : tail;
        }
    }
    if (rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_OBJECT_END) {
        rc = pattern_refuse(parse, "only one name may stand in these braces");
    }
    return rc;
}

/* What stands behind "anything-but", the current token. */
static int but_operand(struct pattern_parse *parse, enum pattern_place place, struct pattern_test **test)
{
    int rc = test_new(parse, PATTERN_ANYTHING_BUT, test);
    if (rc != 0) {
        return rc;
    }
    struct pattern_test **tail = &(*test)->but;
    if (token_is(parse, EL_JSON_TOKEN_OBJECT)) {
        rc = but_matcher(parse, tail);
    } else if (token_is(parse, EL_JSON_TOKEN_ARRAY)) {
        while (rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_ARRAY_END) {
            rc = value_test(parse, place, tail);
            tail = rc == 0 ? &(*tail)->next : tail;
        }
    } else {
        rc = value_test(parse, place, tail);
    }
    if (rc == 0 && (*test)->but == NULL) {
        return pattern_refuse(parse, "an empty array leaves out nothing: write {\"exists\": true} for any value");
    }
    return rc;
}

/* --- leaves ----------------------------------------------------------------------------------------------------- */

static int exists_operand(struct pattern_parse *parse, struct pattern_test **test)
{
    if (!token_is(parse, EL_JSON_TOKEN_TRUE) && !token_is(parse, EL_JSON_TOKEN_FALSE)) {
        return pattern_refuse(parse, "true or false is expected behind exists");
    }
    return test_new(parse, token_is(parse, EL_JSON_TOKEN_TRUE) ? PATTERN_EXISTS : PATTERN_ABSENT, test);
}

/* A matcher in braces, whose opening brace is the current token. */
static int parse_matcher(struct pattern_parse *parse, enum pattern_place place, struct pattern_test **test)
{
    enum pattern_test_kind kind;
    int rc;
    if (pattern_token(parse) != EL_JSON_TOKEN_KEY) {
        return pattern_refuse(parse, "the braces are empty: %s", matcher_names);
    }
    if (string_is(parse, "anything-but")) {
        (void)pattern_token(parse);
        rc = but_operand(parse, place, test);
    } else if (string_is(parse, "numeric")) {
        (void)pattern_token(parse);
        rc = numeric_operand(parse, test);
    } else if (string_is(parse, "exists")) {
        (void)pattern_token(parse);
        rc = exists_operand(parse, test);
    } else if (text_kind(parse, &kind)) {
        (void)pattern_token(parse);
        rc = text_operand(parse, kind, test);
    } else {
        return pattern_refuse(parse, "there is no such matcher: %s", matcher_names);
    }
    if (rc == 0 && pattern_token(parse) != EL_JSON_TOKEN_OBJECT_END) {
        rc = pattern_refuse(parse, "only one matcher stands in a pair of braces: give the next one its own; any of an "
                                   "array may match");
    }
    return rc;
}

int pattern_parse_leaf(struct pattern_parse *parse, enum pattern_place place, struct pattern_term *term)
{
    struct pattern_test **tail = &term->tests;
    EL_ASSERT(token_is(parse, EL_JSON_TOKEN_ARRAY));
    bool presence_only = true;
    while (pattern_token(parse) != EL_JSON_TOKEN_ARRAY_END) {
        int rc = token_is(parse, EL_JSON_TOKEN_OBJECT) ? parse_matcher(parse, place, tail)
                                                       : value_test(parse, place, tail);
        if (rc != 0) {
            return rc;
        }
        term->exists |= (*tail)->kind == PATTERN_EXISTS;
        term->missing |= (*tail)->kind == PATTERN_ABSENT;
        presence_only &= (*tail)->kind == PATTERN_EXISTS || (*tail)->kind == PATTERN_ABSENT;
        tail = &(*tail)->next;
    }
    if (term->tests == NULL) {
        return pattern_refuse(parse, "an empty array matches nothing: write {\"exists\": true} for any value");
    }
    term->payload = !presence_only;
    return 0;
}
