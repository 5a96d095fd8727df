/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict JSON scanner: says whether bytes are one document and where a top-level member's value lies. Allocates
 * nothing, does not recurse; any thread.
 *
 * 1. a loop over five expectations (value, value or end, key, key or end, what follows a value)
 * 2. nesting is one bit per level, object or array, so the depth limit is also the memory limit
 * 3. keys of the top-level object are compared after decoding their escapes
 *
 * Every refusal keeps its first reason and the byte it is about. Bytes that end too early are TRUNCATED, so that a
 * reader of lines can tell a cut line from a wrong one.
 *
 * Source: RFC 8259; lone surrogates and bytes that are not UTF-8 are refused (RFC 7493).
 */
#include "json_scan.h"

#include <core/assert.h>
#include <core/utf8.h>

struct scan {
    const uint8_t *start;
    const uint8_t *p;
    const uint8_t *end;
    uint8_t is_object[EL_JSON_DEPTH_MAX / 8]; /* bit per open level */
    unsigned depth;                           /* levels open */
    unsigned depth_max;
    const char *name;         /* member looked for at depth 1, or NULL */
    const uint8_t *raw_start; /* its value, NULL before it is met */
    const uint8_t *raw_end;   /* NULL while inside it */
    bool name_met;            /* the key just read is name */
    int code;                 /* 0 or the refusal */
    const char *why;
};

enum expect { EXPECT_VALUE, EXPECT_VALUE_OR_END, EXPECT_KEY, EXPECT_KEY_OR_END, EXPECT_NEXT, EXPECT_NOTHING };

/* Refuse at p; true is never returned, so that `return refuse(...)` reads as a failure. */
static bool refuse(struct scan *s, const char *why)
{
    s->code = s->p == s->end ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_MALFORMED;
    s->why = s->p == s->end ? "the text ends too early" : why;
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->p != s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

static bool at(const struct scan *s, char c)
{
    return s->p != s->end && *s->p == (uint8_t)c;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at p. */
static bool take_hex(struct scan *s, uint32_t *unit)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++, s->p++) {
        int digit = s->p == s->end ? -1 : hex_value(*s->p);
        if (digit < 0) {
            return refuse(s, "\\u needs four hexadecimal digits");
        }
        v = v << 4 | (uint32_t)digit;
    }
    *unit = v;
    return true;
}

/* \uXXXX, p behind the u; a pair of surrogates is one character. */
static bool take_unicode_escape(struct scan *s, uint32_t *point)
{
    uint32_t high, low;
    if (!take_hex(s, &high)) {
        return false;
    }
    if (high < 0xd800 || high > 0xdfff) {
        *point = high;
        return true;
    }
    if (high > 0xdbff) {
        return refuse(s, "a low surrogate stands alone");
    }
    if (!at(s, '\\')) {
        return refuse(s, "a high surrogate stands alone");
    }
    s->p++;
    if (!at(s, 'u')) {
        return refuse(s, "a high surrogate stands alone");
    }
    s->p++;
    if (!take_hex(s, &low)) {
        return false;
    }
    if (low < 0xdc00 || low > 0xdfff) {
        return refuse(s, "a high surrogate stands alone");
    }
    *point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

/* One escape, p behind the backslash. */
static bool take_escape(struct scan *s, uint32_t *point)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    if (at(s, 'u')) {
        s->p++;
        return take_unicode_escape(s, point);
    }
    const char *letter = s->p == s->end || *s->p == 0 ? NULL : strchr(letters, *s->p);
    if (letter == NULL) {
        return refuse(s, "unknown escape");
    }
    s->p++;
    *point = (uint8_t)meanings[letter - letters];
    return true;
}

/* One character of a string. */
static bool take_char(struct scan *s, uint32_t *point)
{
    if (*s->p == '\\') {
        s->p++;
        return take_escape(s, point);
    }
    if (*s->p < 0x20) {
        return refuse(s, "control character in a string");
    }
    size_t len = el_utf8_next(s->p, (size_t)(s->end - s->p), point);
    if (len == 0) {
        return refuse(s, "the string is not UTF-8");
    }
    s->p += len;
    return true;
}

/* A string, p at its quote. *equal tells whether it decodes to name (NULL: do not compare). */
static bool take_string(struct scan *s, const char *name, bool *equal)
{
    size_t name_left = name == NULL ? 0 : strlen(name);
    bool same = name != NULL;
    s->p++;
    for (;;) {
        uint32_t point, wanted;
        if (s->p == s->end) {
            return refuse(s, "");
        }
        if (*s->p == '"') {
            break;
        }
        if (!take_char(s, &point)) {
            return false;
        }
        if (same) {
            size_t len = el_utf8_next(name, name_left, &wanted);
            same = len != 0 && wanted == point;
            name += len;
            name_left -= len;
        }
    }
    s->p++;
    *equal = same && name_left == 0;
    return true;
}

/* Digits, at least one. */
static bool take_digits(struct scan *s)
{
    if (s->p == s->end || *s->p < '0' || *s->p > '9') {
        return refuse(s, "a digit is expected here");
    }
    while (s->p != s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return true;
}

static bool take_number(struct scan *s)
{
    if (at(s, '-')) {
        s->p++;
    }
    if (at(s, '0')) {
        s->p++;
        if (s->p != s->end && *s->p >= '0' && *s->p <= '9') {
            return refuse(s, "a number has no leading zeros");
        }
    } else if (!take_digits(s)) {
        return false;
    }
    if (at(s, '.')) {
        s->p++;
        if (!take_digits(s)) {
            return false;
        }
    }
    if (at(s, 'e') || at(s, 'E')) {
        s->p++;
        if (at(s, '+') || at(s, '-')) {
            s->p++;
        }
        return take_digits(s);
    }
    return true;
}

static bool take_word(struct scan *s, const char *word)
{
    for (; *word != '\0'; word++, s->p++) {
        if (!at(s, *word)) {
            return refuse(s, "a value is expected here");
        }
    }
    return true;
}

static bool in_object(const struct scan *s)
{
    return s->depth > 0 && (s->is_object[(s->depth - 1) / 8] >> (s->depth - 1) % 8 & 1) != 0;
}

static bool push(struct scan *s, bool object)
{
    if (s->depth == s->depth_max) {
        s->code = EVLOG_ERR_LIMIT;
        s->why = "arrays and objects are nested too deeply";
        return false;
    }
    uint8_t bit = (uint8_t)(1u << s->depth % 8);
    uint8_t *byte = &s->is_object[s->depth / 8];
    *byte = (uint8_t)(object ? *byte | bit : *byte & ~bit);
    s->depth++;
    s->p++;
    return true;
}

/* The value that began last is complete at p. */
static enum expect value_done(struct scan *s)
{
    if (s->depth == 1 && s->raw_start != NULL && s->raw_end == NULL) {
        s->raw_end = s->p;
    }
    return EXPECT_NEXT;
}

static bool step_value(struct scan *s, enum expect *expect)
{
    bool equal;
    if (s->name_met) {
        s->raw_start = s->p;
        s->name_met = false;
    }
    if (at(s, '{') || at(s, '[')) {
        bool object = *s->p == '{';
        *expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
        return push(s, object);
    }
    bool taken;
    if (at(s, '"')) {
        taken = take_string(s, NULL, &equal);
    } else if (at(s, 't')) {
        taken = take_word(s, "true");
    } else if (at(s, 'f')) {
        taken = take_word(s, "false");
    } else if (at(s, 'n')) {
        taken = take_word(s, "null");
    } else if (at(s, '-') || (s->p != s->end && *s->p >= '0' && *s->p <= '9')) {
        taken = take_number(s);
    } else {
        taken = refuse(s, "a value is expected here");
    }
    *expect = value_done(s);
    return taken;
}

static bool step_key(struct scan *s, enum expect *expect)
{
    const char *name = s->depth == 1 ? s->name : NULL;
    bool equal = false;
    if (!at(s, '"')) {
        return refuse(s, "a member name in quotes is expected here");
    }
    const uint8_t *key = s->p;
    if (!take_string(s, name, &equal)) {
        return false;
    }
    if (equal && s->raw_start != NULL) {
        s->p = key;
        return refuse(s, "the member occurs twice");
    }
    skip_space(s);
    if (!at(s, ':')) {
        return refuse(s, "a colon is expected here");
    }
    s->p++;
    s->name_met = equal;
    *expect = EXPECT_VALUE;
    return true;
}

/* Behind a value: a comma, or the end of what contains it. */
static bool step_next(struct scan *s, enum expect *expect)
{
    if (s->depth == 0) {
        *expect = EXPECT_NOTHING;
        return s->p == s->end || refuse(s, "nothing may follow the document");
    }
    if (at(s, ',')) {
        s->p++;
        *expect = in_object(s) ? EXPECT_KEY : EXPECT_VALUE;
        return true;
    }
    if (!at(s, in_object(s) ? '}' : ']')) {
        return refuse(s, in_object(s) ? "a comma or } is expected here" : "a comma or ] is expected here");
    }
    s->p++;
    s->depth--;
    *expect = value_done(s);
    return true;
}

static bool step(struct scan *s, enum expect *expect)
{
    skip_space(s);
    switch (*expect) {
    case EXPECT_VALUE:
        return step_value(s, expect);
    case EXPECT_VALUE_OR_END:
        return at(s, ']') ? step_next(s, expect) : step_value(s, expect);
    case EXPECT_KEY:
        return step_key(s, expect);
    case EXPECT_KEY_OR_END:
        return at(s, '}') ? step_next(s, expect) : step_key(s, expect);
    case EXPECT_NEXT:
        return step_next(s, expect);
    case EXPECT_NOTHING:
        break;
    }
    return false;
}

int json_scan_refuse(struct el_error *err, int code, const void *data, size_t pos, const char *why)
{
    const uint8_t *bytes = data;
    size_t line = 1, column = 1;
    for (size_t i = 0; err != NULL && i < pos; i++) {
        if (bytes[i] == '\n') {
            line++;
            column = 1;
        } else if ((bytes[i] & 0xc0) != 0x80) {
            column++; /* characters, not bytes */
        }
    }
    return el_error_set(err, code, "line %zu, column %zu (byte %zu): %s", line, column, pos, why);
}

int json_scan(const void *data, size_t len, unsigned depth_max, const char *name, struct el_slice *raw,
              struct el_error *err)
{
    EL_ASSERT(depth_max > 0);
    EL_ASSERT(depth_max <= EL_JSON_DEPTH_MAX);
    static const uint8_t nothing[1];
    const uint8_t *start = data == NULL ? nothing : data;
    struct scan s = {.start = start, .p = start, .end = start + len, .depth_max = depth_max, .name = name};
    enum expect expect = EXPECT_VALUE;
    while (expect != EXPECT_NOTHING) {
        /* Every step takes at least one byte or ends the loop. */
        if (!step(&s, &expect)) {
            return json_scan_refuse(err, s.code, start, (size_t)(s.p - start), s.why);
        }
    }
    EL_ASSERT(s.p == s.end);
    EL_ASSERT(s.depth == 0);
    *raw = s.raw_start == NULL ? el_slice_of(NULL, 0) : el_slice_of(s.raw_start, (size_t)(s.raw_end - s.raw_start));
    return 0;
}

bool el_json_valid(const void *data, size_t len)
{
    return el_json_check(data, len, EL_JSON_DEPTH_MAX, NULL) == 0;
}

int el_json_check(const void *data, size_t len, unsigned depth_max, struct el_error *err)
{
    struct el_slice raw;
    return json_scan(data, len, depth_max, NULL, &raw, err);
}

int el_json_raw_member(const void *data, size_t len, const char *name, struct el_slice *raw, struct el_error *err)
{
    struct el_slice found;
    int code = json_scan(data, len, EL_JSON_DEPTH_MAX, name, &found, err);
    if (code != 0) {
        return code;
    }
    const char *p = data;
    size_t i = 0;
    while (i < len && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r')) {
        i++;
    }
    if (p[i] != '{') {
        return json_scan_refuse(err, EVLOG_ERR_MALFORMED, data, i, "an object is expected here");
    }
    if (found.data == NULL) {
        return el_error_set(err, EVLOG_ERR_NOT_FOUND, "there is no member \"%.64s\"", name);
    }
    *raw = found;
    return 0;
}
