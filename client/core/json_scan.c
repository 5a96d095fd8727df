/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict JSON scanner: says whether bytes are one document, hands out its tokens one after the other, and finds where a
 * top-level member's value lies. Allocates nothing, does not recurse; any thread.
 *
 * 1. a loop over five expectations (value, value or end, key, key or end, what follows a value)
 * 2. nesting is one bit per level, object or array, so the depth limit is also the memory limit
 * 3. strings stay as they stand in the text; el_json_scan_char() decodes them character by character
 *
 * Every refusal keeps its first reason and the byte it is about. Bytes that end too early are TRUNCATED, so that a
 * reader of lines can tell a cut line from a wrong one.
 *
 * Source: RFC 8259; lone surrogates and bytes that are not UTF-8 are refused (RFC 7493).
 */
#include <core/json_scan.h>

#include <core/assert.h>
#include <core/utf8.h>

/* Refuse at p; true is never returned, so that `return refuse(...)` reads as a failure. */
static bool refuse(struct el_json_walk *s, const char *why)
{
    s->code = s->p == s->end ? EVLOG_ERR_TRUNCATED : EVLOG_ERR_MALFORMED;
    s->why = s->p == s->end ? "the text ends too early" : why;
    return false;
}

static void skip_space(struct el_json_walk *s)
{
    while (s->p != s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

static bool at(const struct el_json_walk *s, char c)
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
static bool take_hex(struct el_json_walk *s, uint32_t *unit)
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
static bool take_unicode_escape(struct el_json_walk *s, uint32_t *point)
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
static bool take_escape(struct el_json_walk *s, uint32_t *point)
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
static bool take_char(struct el_json_walk *s, uint32_t *point)
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

/* A string, p at its quote. */
static bool take_string(struct el_json_walk *s)
{
    uint32_t point;
    s->escaped = false;
    s->p++;
    for (;;) {
        while (s->p != s->end && *s->p >= 0x20 && *s->p < 0x80 && *s->p != '"' && *s->p != '\\') {
            s->p++;
        }
        if (s->p == s->end) {
            return refuse(s, "");
        }
        if (*s->p == '"') {
            break;
        }
        s->escaped |= *s->p == '\\';
        if (!take_char(s, &point)) {
            return false;
        }
    }
    s->p++;
    return true;
}

/* Digits, at least one. */
static bool take_digits(struct el_json_walk *s)
{
    if (s->p == s->end || *s->p < '0' || *s->p > '9') {
        return refuse(s, "a digit is expected here");
    }
    while (s->p != s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return true;
}

static bool take_number(struct el_json_walk *s)
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

static bool take_word(struct el_json_walk *s, const char *word)
{
    for (; *word != '\0'; word++, s->p++) {
        if (!at(s, *word)) {
            return refuse(s, "a value is expected here");
        }
    }
    return true;
}

static bool in_object(const struct el_json_walk *s)
{
    return s->depth > 0 && (s->is_object[(s->depth - 1) / 8] >> (s->depth - 1) % 8 & 1) != 0;
}

static bool push(struct el_json_walk *s, bool object)
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

/* The token that began at start ends at p. */
static void token_done(struct el_json_walk *s, enum el_json_token token)
{
    s->token = token;
    s->stop = s->p;
}

static bool step_value(struct el_json_walk *s)
{
    enum el_json_token token = EL_JSON_TOKEN_NUMBER;
    s->start = s->p;
    s->expect = EL_JSON_EXPECT_NEXT;
    if (at(s, '{') || at(s, '[')) {
        bool object = *s->p == '{';
        s->expect = object ? EL_JSON_EXPECT_KEY_OR_END : EL_JSON_EXPECT_VALUE_OR_END;
        if (!push(s, object)) {
            return false;
        }
        token_done(s, object ? EL_JSON_TOKEN_OBJECT : EL_JSON_TOKEN_ARRAY);
        return true;
    }
    bool taken;
    if (at(s, '"')) {
        token = EL_JSON_TOKEN_STRING;
        taken = take_string(s);
    } else if (at(s, 't')) {
        token = EL_JSON_TOKEN_TRUE;
        taken = take_word(s, "true");
    } else if (at(s, 'f')) {
        token = EL_JSON_TOKEN_FALSE;
        taken = take_word(s, "false");
    } else if (at(s, 'n')) {
        token = EL_JSON_TOKEN_NULL;
        taken = take_word(s, "null");
    } else if (at(s, '-') || (s->p != s->end && *s->p >= '0' && *s->p <= '9')) {
        taken = take_number(s);
    } else {
        taken = refuse(s, "a value is expected here");
    }
    token_done(s, token);
    return taken;
}

static bool step_key(struct el_json_walk *s)
{
    s->start = s->p;
    if (!at(s, '"')) {
        return refuse(s, "a member name in quotes is expected here");
    }
    if (!take_string(s)) {
        return false;
    }
    token_done(s, EL_JSON_TOKEN_KEY);
    skip_space(s);
    if (!at(s, ':')) {
        return refuse(s, "a colon is expected here");
    }
    s->p++;
    s->expect = EL_JSON_EXPECT_VALUE;
    return true;
}

/* Behind a value: a comma, or the end of what contains it. */
static bool step_next(struct el_json_walk *s)
{
    s->start = s->p;
    if (s->depth == 0) {
        token_done(s, EL_JSON_TOKEN_END);
        return s->p == s->end || refuse(s, "nothing may follow the document");
    }
    bool object = in_object(s);
    if (at(s, ',')) {
        s->p++;
        s->expect = object ? EL_JSON_EXPECT_KEY : EL_JSON_EXPECT_VALUE;
        return true;
    }
    if (!at(s, object ? '}' : ']')) {
        return refuse(s, object ? "a comma or } is expected here" : "a comma or ] is expected here");
    }
    s->p++;
    s->depth--;
    s->expect = EL_JSON_EXPECT_NEXT;
    token_done(s, object ? EL_JSON_TOKEN_OBJECT_END : EL_JSON_TOKEN_ARRAY_END);
    return true;
}

static bool step(struct el_json_walk *s)
{
    skip_space(s);
    switch (s->expect) {
    case EL_JSON_EXPECT_VALUE:
        return step_value(s);
    case EL_JSON_EXPECT_VALUE_OR_END:
        return at(s, ']') ? step_next(s) : step_value(s);
    case EL_JSON_EXPECT_KEY:
        return step_key(s);
    case EL_JSON_EXPECT_KEY_OR_END:
        return at(s, '}') ? step_next(s) : step_key(s);
    case EL_JSON_EXPECT_NEXT:
        return step_next(s);
    }
    return false;
}

void el_json_walk_begin(struct el_json_walk *walk, const void *data, size_t len, unsigned depth_max)
{
    EL_ASSERT(depth_max > 0);
    EL_ASSERT(depth_max <= EL_JSON_DEPTH_MAX);
    static const uint8_t nothing[1];
    memset(walk, 0, sizeof *walk);
    walk->base = walk->p = data == NULL ? nothing : data;
    walk->end = walk->base + len;
    walk->depth_max = depth_max;
    walk->expect = EL_JSON_EXPECT_VALUE;
}

int el_json_walk_next(struct el_json_walk *walk)
{
    EL_ASSERT(walk->token != EL_JSON_TOKEN_END);
    EL_ASSERT(walk->code == 0);
    walk->token = EL_JSON_TOKEN_NONE;
    while (walk->token == EL_JSON_TOKEN_NONE) {
        /* Every step takes at least one byte or makes a token. */
        if (!step(walk)) {
            return walk->code;
        }
    }
    return 0;
}

size_t el_json_scan_char(const uint8_t *text, size_t len, uint32_t *point)
{
    struct el_json_walk walk;
    walk.p = text;
    walk.end = text + len;
    bool taken = take_char(&walk, point);
    EL_ASSERT(taken);
    return (size_t)(walk.p - text);
}

int el_json_scan_refuse(struct el_error *err, int code, const void *data, size_t pos, const char *why)
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

int el_json_walk_refuse(const struct el_json_walk *walk, struct el_error *err)
{
    return el_json_scan_refuse(err, walk->code, walk->base, (size_t)(walk->p - walk->base), walk->why);
}

/* True when the key just read decodes to name. */
static bool key_is(const struct el_json_walk *walk, const char *name)
{
    const uint8_t *p = walk->start + 1;
    size_t left = strlen(name);
    while (p != walk->stop - 1 && left > 0) {
        uint32_t point, wanted;
        size_t len = el_utf8_next(name, left, &wanted);
        p += el_json_scan_char(p, (size_t)(walk->stop - 1 - p), &point);
        if (len == 0 || wanted != point) {
            return false;
        }
        name += len;
        left -= len;
    }
    return p == walk->stop - 1 && left == 0;
}

int el_json_scan(const void *data, size_t len, unsigned depth_max, const char *name, struct el_slice *raw,
                 struct el_error *err)
{
    struct el_json_walk walk;
    struct el_slice found = {NULL, 0};
    bool name_met = false; /* the next value is the one looked for */
    el_json_walk_begin(&walk, data, len, depth_max);
    do {
        if (el_json_walk_next(&walk) != 0) {
            return el_json_walk_refuse(&walk, err);
        }
        if (name_met) {
            found.data = walk.start;
        }
        name_met = name != NULL && walk.depth == 1 && walk.token == EL_JSON_TOKEN_KEY && key_is(&walk, name);
        if (name_met && found.data != NULL) {
            return el_json_scan_refuse(err, EVLOG_ERR_MALFORMED, walk.base, (size_t)(walk.start - walk.base),
                                       "the member occurs twice");
        }
        if (found.data != NULL && found.len == 0 && walk.depth == 1) {
            found.len = (size_t)(walk.stop - found.data); /* a scalar, or the end of the array or object */
        }
    } while (walk.token != EL_JSON_TOKEN_END);
    EL_ASSERT(walk.p == walk.end);
    EL_ASSERT(walk.depth == 0);
    *raw = found;
    return 0;
}

bool el_json_valid(const void *data, size_t len)
{
    return el_json_check(data, len, EL_JSON_DEPTH_MAX, NULL) == 0;
}

int el_json_check(const void *data, size_t len, unsigned depth_max, struct el_error *err)
{
    struct el_slice raw;
    return el_json_scan(data, len, depth_max, NULL, &raw, err);
}

int el_json_raw_member(const void *data, size_t len, const char *name, struct el_slice *raw, struct el_error *err)
{
    struct el_slice found;
    int code = el_json_scan(data, len, EL_JSON_DEPTH_MAX, name, &found, err);
    if (code != 0) {
        return code;
    }
    const char *p = data;
    size_t i = 0;
    while (i < len && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r')) {
        i++;
    }
    if (p[i] != '{') {
        return el_json_scan_refuse(err, EVLOG_ERR_MALFORMED, data, i, "an object is expected here");
    }
    if (found.data == NULL) {
        return el_error_set(err, EVLOG_ERR_NOT_FOUND, "there is no member \"%.64s\"", name);
    }
    *raw = found;
    return 0;
}
