/* SPDX-License-Identifier: Apache-2.0
 *
 * A matcher of patterns that is written for being read: it walks jansson's trees of pattern and payload, recursively,
 * with numbers as doubles. It takes for granted that the pattern is fair.
 */
#include "pattern_reference.h"

#include "../../lib/test.h"

#include <string.h>

/* A value without inner structure; json NULL: text of a header or key. */
struct ref_value {
    const struct el_json *json;
    struct el_slice text;
};

static bool ref_text(const struct ref_value *value, struct el_slice *text)
{
    *text = value->text;
    return value->json == NULL ? value->text.data != NULL : el_json_string(value->json, text) == 0;
}

static bool ref_number(const struct ref_value *value, double *number)
{
    struct el_json *parsed = NULL;
    if (value->json != NULL) {
        return el_json_real(value->json, number) == 0;
    }
    bool is = value->text.data != NULL && el_json_parse(value->text.data, value->text.len, 1, &parsed, NULL) == 0 &&
              el_json_real(parsed, number) == 0 && value->text.data[0] != ' ';
    el_json_free(parsed);
    return is;
}

/* The world of this test has A, a and the two umlauts of it. */
static void ref_fold(struct el_slice text, char *out)
{
    for (size_t i = 0; i < text.len; i++) {
        out[i] = (char)text.data[i];
        out[i] = out[i] == 'A' ? 'a' : out[i];
        out[i] = i > 0 && text.data[i - 1] == 0xc3 && text.data[i] == 0x84 ? (char)0xa4 : out[i];
    }
    out[text.len] = '\0';
}

static bool ref_wildcard(const char *want, const char *text)
{
    if (*want == '*') {
        return ref_wildcard(want + 1, text) || (*text != '\0' && ref_wildcard(want, text + 1));
    }
    want += *want == '\\';
    return *want == *text && (*want == '\0' || ref_wildcard(want + 1, text + 1));
}

static bool ref_text_matcher(struct el_slice name, struct el_slice want, bool fold, const struct ref_value *value)
{
    struct el_slice text;
    char folded_want[64], folded_text[64];
    if (!ref_text(value, &text)) {
        return false;
    }
    assert_true(text.len < sizeof folded_text);
    if (el_slice_eq(name, el_slice_str("wildcard"))) {
        memcpy(folded_want, want.data, want.len);
        memcpy(folded_text, text.data, text.len);
        folded_want[want.len] = folded_text[text.len] = '\0';
        return ref_wildcard(folded_want, folded_text);
    }
    if (fold || el_slice_eq(name, el_slice_str("equals-ignore-case"))) {
        ref_fold(want, folded_want);
        ref_fold(text, folded_text);
        want = el_slice_str(folded_want);
        text = el_slice_str(folded_text);
    }
    if (el_slice_eq(name, el_slice_str("prefix"))) {
        return text.len >= want.len && memcmp(text.data, want.data, want.len) == 0;
    }
    if (el_slice_eq(name, el_slice_str("suffix"))) {
        return text.len >= want.len && memcmp(text.data + text.len - want.len, want.data, want.len) == 0;
    }
    return text.len == want.len && memcmp(text.data, want.data, want.len) == 0;
}

static bool ref_equal(const struct el_json *want, const struct ref_value *value)
{
    struct el_slice text, wanted;
    double number, wanted_number;
    bool truth, wanted_truth;
    if (el_json_string(want, &wanted) == 0) {
        return ref_text(value, &text) && el_slice_eq(text, wanted);
    }
    if (el_json_real(want, &wanted_number) == 0) {
        return ref_number(value, &number) && number == wanted_number;
    }
    if (el_json_bool(want, &wanted_truth) == 0) {
        return value->json != NULL && el_json_bool(value->json, &truth) == 0 && truth == wanted_truth;
    }
    return value->json == NULL ? value->text.data == NULL : el_json_type_of(value->json) == EL_JSON_NULL;
}

static bool ref_numeric(const struct el_json *operand, const struct ref_value *value)
{
    double number;
    if (!ref_number(value, &number)) {
        return false;
    }
    for (size_t i = 0; i < el_json_count(operand); i += 2) {
        struct el_slice op = {NULL, 0};
        double bound = 0;
        assert_int_equal(el_json_string(el_json_at(operand, i), &op), 0);
        assert_int_equal(el_json_real(el_json_at(operand, i + 1), &bound), 0);
        bool or_equal = op.data[op.len - 1] == '=';
        bool holds = (op.data[0] == '<' && number < bound) || (op.data[0] == '>' && number > bound) ||
                     (or_equal && number == bound);
        if (!holds) {
            return false;
        }
    }
    return true;
}

/* prefix and its like, with a string, {"equals-ignore-case": string} or an array of these. */
static bool ref_text_operand(struct el_slice name, const struct el_json *operand, const struct ref_value *value)
{
    struct el_slice want;
    if (el_json_type_of(operand) == EL_JSON_ARRAY) {
        for (size_t i = 0; i < el_json_count(operand); i++) {
            if (ref_text_operand(name, el_json_at(operand, i), value)) {
                return true;
            }
        }
        return false;
    }
    if (el_json_type_of(operand) == EL_JSON_OBJECT) {
        return el_json_get_string(operand, "equals-ignore-case", &want, NULL) == 0 &&
               ref_text_matcher(name, want, true, value);
    }
    return el_json_string(operand, &want) == 0 && ref_text_matcher(name, want, false, value);
}

static bool ref_anything_but(const struct el_json *operand, const struct ref_value *value)
{
    if (el_json_type_of(operand) == EL_JSON_OBJECT) {
        void *iter = el_json_first(operand);
        return !ref_text_operand(el_json_iter_key(iter), el_json_iter_value(iter), value);
    }
    if (el_json_type_of(operand) != EL_JSON_ARRAY) {
        return !ref_equal(operand, value);
    }
    for (size_t i = 0; i < el_json_count(operand); i++) {
        if (ref_equal(el_json_at(operand, i), value)) {
            return false;
        }
    }
    return true;
}

/* One matcher of one value; value NULL: there is none. */
static bool ref_matcher(const struct el_json *matcher, const struct ref_value *value)
{
    bool wanted;
    if (el_json_type_of(matcher) != EL_JSON_OBJECT) {
        return value != NULL && ref_equal(matcher, value);
    }
    if (el_json_get_bool(matcher, "exists", &wanted, NULL) == 0) {
        return wanted == (value != NULL);
    }
    if (value == NULL) {
        return false;
    }
    if (el_json_get(matcher, "numeric") != NULL) {
        return ref_numeric(el_json_get(matcher, "numeric"), value);
    }
    if (el_json_get(matcher, "anything-but") != NULL) {
        return ref_anything_but(el_json_get(matcher, "anything-but"), value);
    }
    void *iter = el_json_first(matcher);
    return ref_text_operand(el_json_iter_key(iter), el_json_iter_value(iter), value);
}

static bool ref_matchers(const struct el_json *leaf, const struct ref_value *value)
{
    for (size_t i = 0; i < el_json_count(leaf); i++) {
        if (ref_matcher(el_json_at(leaf, i), value)) {
            return true;
        }
    }
    return false;
}

/* Try every scalar in value; *met says whether there was one. */
static bool ref_scalars(const struct el_json *leaf, const struct el_json *value, bool *met)
{
    bool matched = false;
    if (value == NULL || el_json_type_of(value) == EL_JSON_OBJECT) {
        return false;
    }
    if (el_json_type_of(value) == EL_JSON_ARRAY) {
        for (size_t i = 0; i < el_json_count(value); i++) {
            matched |= ref_scalars(leaf, el_json_at(value, i), met);
        }
        return matched;
    }
    *met = true;
    return ref_matchers(leaf, &(struct ref_value){.json = value});
}

static bool ref_member(const struct el_json *part, const struct el_json *value);

/* All names of the object; value is an object, or NULL for what has no names. */
static bool ref_names(const struct el_json *object, const struct el_json *value)
{
    for (void *iter = el_json_first(object); iter != NULL; iter = el_json_next(object, iter)) {
        const char *name = (const char *)el_json_iter_key(iter).data;
        const struct el_json *part = el_json_iter_value(iter);
        bool matched = false;
        if (strcmp(name, "$or") == 0) {
            for (size_t i = 0; i < el_json_count(part); i++) {
                matched |= ref_names(el_json_at(part, i), value);
            }
        } else {
            matched = ref_member(part, value == NULL ? NULL : el_json_get(value, name));
        }
        if (!matched) {
            return false;
        }
    }
    return true;
}

static bool ref_member(const struct el_json *part, const struct el_json *value)
{
    if (el_json_type_of(part) == EL_JSON_ARRAY) {
        bool met = false;
        bool matched = ref_scalars(part, value, &met);
        return met ? matched : ref_matchers(part, NULL);
    }
    if (value != NULL && el_json_type_of(value) == EL_JSON_ARRAY && el_json_count(value) > 0) {
        for (size_t i = 0; i < el_json_count(value); i++) {
            if (ref_member(part, el_json_at(value, i))) {
                return true;
            }
        }
        return false;
    }
    return ref_names(part, value != NULL && el_json_type_of(value) == EL_JSON_OBJECT ? value : NULL);
}

static bool ref_payload_part(const struct el_json *part, const struct drawn_event *event)
{
    if (el_json_type_of(part) != EL_JSON_ARRAY) {
        return ref_member(part, event->data);
    }
    /* Of the payload as a whole, exists asks whether there is one. */
    bool met = false;
    bool matched = ref_scalars(part, event->data, &met);
    for (size_t i = 0; i < el_json_count(part); i++) {
        bool wanted;
        if (el_json_get_bool(el_json_at(part, i), "exists", &wanted, NULL) == 0) {
            matched |= wanted == (event->data != NULL);
        }
    }
    return matched;
}

static bool ref_text_part(const struct el_json *part, const char *name, const struct drawn_event *event)
{
    bool met = false, matched = false;
    if (strcmp(name, "key") == 0) {
        struct ref_value value = {.text = el_slice_str(event->key)};
        return ref_matchers(part, event->has_key ? &value : NULL);
    }
    for (size_t i = 0; i < event->header_count; i++) {
        if (strcmp(event->headers[i].name, name) == 0) {
            struct ref_value value = {.text = el_slice_str(event->headers[i].null ? NULL : event->headers[i].value)};
            met = true;
            matched |= ref_matchers(part, &value);
        }
    }
    return met ? matched : ref_matchers(part, NULL);
}

bool reference_match(const struct el_json *pattern, const struct drawn_event *event)
{
    for (void *iter = el_json_first(pattern); iter != NULL; iter = el_json_next(pattern, iter)) {
        const char *name = (const char *)el_json_iter_key(iter).data;
        const struct el_json *part = el_json_iter_value(iter);
        bool matched = false;
        if (strcmp(name, "$or") == 0) {
            for (size_t i = 0; i < el_json_count(part); i++) {
                matched |= reference_match(el_json_at(part, i), event);
            }
        } else if (strcmp(name, "data") == 0) {
            matched = ref_payload_part(part, event);
        } else {
            matched = ref_text_part(part, name, event);
        }
        if (!matched) {
            return false;
        }
    }
    return true;
}
