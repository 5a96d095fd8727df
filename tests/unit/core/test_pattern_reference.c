/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the compiled, streaming matcher agrees with one that is written for being read.
 * Method: patterns and events are drawn as text from a small world, where they often meet; the reference walks trees of
 * both, recursively, with numbers as doubles (pattern_reference.c). Every payload is given as JSON and as CBOR.
 */
#include "../../lib/test.h"
#include "pattern_kit.h"
#include "pattern_reference.h"

#include <core/cbor.h>
#include <core/rng.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES 100000

static struct el_rng rng;

static uint32_t draw(uint32_t bound)
{
    return (uint32_t)el_rng_below(&rng, bound);
}

/* --- drawing ---------------------------------------------------------------------------------------------------- */

static const char *const names[] = {"a", "b", "c"};
static const char *const numbers[] = {"0",     "1",    "-1", "2", "1.5", "10", "1e1", "0.1", "100000000000001",
                                      "-2.50", "12e-1"};
static const char *const letters[] = {"a", "b", "A", "\xc3\xa4", "\xc3\x84", "1"};
static const char *const escapes[] = {"\\u0061", "\\u0062", "\\u0041", "\\u00e4", "\\u00C4", "\\u0031"};
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

static void put(struct el_buffer *out, const char *text)
{
    el_buffer_append_str(out, text);
}

static void put_string(struct el_buffer *out, bool wildcard)
{
    bool star = false;
    put(out, "\"");
    for (uint32_t left = draw(wildcard ? 7 : 4); left > 0; left--) {
        uint32_t letter = draw(COUNT(letters));
        if (wildcard && !star && draw(2) == 0) {
            put(out, "*");
            star = true;
            continue;
        }
        star = false;
        put(out, draw(4) == 0 ? escapes[letter] : letters[letter]);
    }
    put(out, "\"");
}

static void put_scalar(struct el_buffer *out, bool words)
{
    uint32_t kind = draw(words ? 10 : 7);
    if (kind < 4) {
        put_string(out, false);
    } else if (kind < 7) {
        put(out, numbers[draw(COUNT(numbers))]);
    } else {
        put(out, kind == 7 ? "true" : kind == 8 ? "false" : "null");
    }
}

static void put_value(struct el_buffer *out, uint32_t depth)
{
    uint32_t kind = draw(depth == 0 ? 5 : 10);
    if (kind < 5) {
        put_scalar(out, true);
    } else if (kind < 7) {
        put(out, "[");
        for (uint32_t i = 0, count = draw(4); i < count; i++) {
            put(out, i == 0 ? "" : draw(2) == 0 ? "," : ", ");
            put_value(out, depth - 1);
        }
        put(out, "]");
    } else {
        put(out, draw(2) == 0 ? "{" : "{ ");
        bool first = true;
        for (uint32_t i = 0; i < COUNT(names); i++) {
            if (draw(3) < 2) {
                put(out, first ? "\"" : ",\"");
                put(out, draw(8) == 0 ? escapes[i == 1 ? 1 : 0] : names[i]);
                put(out, draw(2) == 0 ? "\":" : "\" : ");
                put_value(out, depth - 1);
                first = false;
            }
        }
        put(out, "}");
    }
}

static void put_text_operand(struct el_buffer *out, bool folds, bool wildcard)
{
    bool fold = folds && draw(3) == 0;
    put(out, fold ? "{\"equals-ignore-case\":" : "");
    put_string(out, wildcard);
    put(out, fold ? "}" : "");
}

static void put_matcher(struct el_buffer *out, bool words)
{
    static const char *const kinds[] = {"prefix", "suffix", "equals-ignore-case", "wildcard"};
    static const char *const ops[] = {"<", "<=", "=", ">=", ">"};
    uint32_t what = draw(12), kind = draw(4);
    if (what < 5) {
        put_scalar(out, words);
    } else if (what == 5) {
        put(out, draw(2) == 0 ? "{\"exists\":true}" : "{\"exists\":false}");
    } else if (what == 6) {
        el_buffer_printf(out, "{\"numeric\":[\"%s\",%s]}", ops[draw(5)], numbers[draw(COUNT(numbers))]);
    } else if (what == 7) {
        el_buffer_printf(out, "{\"numeric\":[\"%s\",%d,\"%s\",2.5]}", ops[3 + draw(2)], (int)draw(3) - 1, ops[draw(2)]);
    } else if (what < 10) {
        el_buffer_printf(out, "{\"%s\":", kinds[kind]);
        put_text_operand(out, kind < 2, kind == 3);
        put(out, "}");
    } else {
        uint32_t form = draw(4);
        put(out, form < 2 ? "{\"anything-but\":" : "{\"anything-but\":[");
        if (form == 0) {
            el_buffer_printf(out, "{\"%s\":[\"a\",", kinds[kind]);
            put(out, kind < 2 ? "\"b\"" : "");
            if (kind >= 2) {
                put_string(out, kind == 3);
            }
            put(out, "]}");
        } else {
            put_scalar(out, words);
        }
        if (form >= 2) {
            put(out, ",");
            put_scalar(out, words);
            put(out, "]");
        }
        put(out, "}");
    }
}

static void put_leaf(struct el_buffer *out, bool words)
{
    put(out, "[");
    for (uint32_t i = 0, count = 1 + draw(3); i < count; i++) {
        put(out, i == 0 ? "" : ",");
        put_matcher(out, words);
    }
    put(out, "]");
}

/* An object of names below the payload. depth: levels of objects that may still open */
static void put_object(struct el_buffer *out, uint32_t depth)
{
    bool first = true;
    put(out, "{");
    for (uint32_t i = 0; i < COUNT(names) || first; i++) {
        if (draw(5) < 2) {
            put(out, first ? "\"" : ",\"");
            put(out, names[i % COUNT(names)]);
            put(out, "\":");
            if (depth == 0 || draw(3) < 2) {
                put_leaf(out, true);
            } else {
                put_object(out, depth - 1);
            }
            first = false;
            i = i < COUNT(names) ? i : COUNT(names);
        }
    }
    if (depth > 0 && draw(5) == 0) {
        put(out, ",\"$or\":[");
        for (uint32_t i = 0, count = 1 + draw(3); i < count; i++) {
            put(out, i == 0 ? "" : ",");
            put_object(out, depth - 1);
        }
        put(out, "]");
    }
    put(out, "}");
}

static void put_event_pattern(struct el_buffer *out, uint32_t depth)
{
    static const char *const places[] = {"key", "h", "i", "data"};
    uint32_t must = draw(COUNT(places));
    bool first = true;
    put(out, "{");
    for (uint32_t i = 0; i < COUNT(places); i++) {
        if (i == must || draw(i == 3 ? 2 : 6) == 0) {
            el_buffer_printf(out, "%s\"%s\":", first ? "" : ",", places[i]);
            first = false;
            if (i == 3 && draw(8) > 0) {
                put_object(out, 3);
            } else {
                put_leaf(out, i == 3);
            }
        }
    }
    if (depth > 0 && draw(4) == 0) {
        put(out, ",\"$or\":[");
        for (uint32_t i = 0, count = 1 + draw(3); i < count; i++) {
            put(out, i == 0 ? "" : ",");
            put_event_pattern(out, depth - 1);
        }
        put(out, "]");
    }
    put(out, "}");
}

/* The tree as CBOR; lengths are definite or not by chance, numbers integers or doubles by what they are. */
static void put_cbor(struct el_writer *w, const struct el_json *value)
{
    int64_t number = 0;
    double real = 0;
    struct el_slice text;
    bool truth = false, open = draw(4) == 0;
    size_t count = el_json_count(value);
    switch (el_json_type_of(value)) {
    case EL_JSON_NULL:
        el_cbor_write_null(w);
        break;
    case EL_JSON_BOOL:
        (void)el_json_bool(value, &truth);
        el_cbor_write_bool(w, truth);
        break;
    case EL_JSON_INT:
        (void)el_json_int(value, &number);
        el_cbor_write_int(w, number);
        break;
    case EL_JSON_REAL:
        (void)el_json_real(value, &real);
        el_write_u8(w, 0xfb);
        memcpy(&number, &real, sizeof real);
        el_write_be64(w, (uint64_t)number);
        break;
    case EL_JSON_STRING:
        (void)el_json_string(value, &text);
        el_cbor_write_text(w, text);
        break;
    case EL_JSON_ARRAY:
        open ? el_write_u8(w, 0x9f) : el_cbor_write_array(w, (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            put_cbor(w, el_json_at(value, i));
        }
        open ? el_write_u8(w, 0xff) : (void)0;
        break;
    case EL_JSON_OBJECT:
        open ? el_write_u8(w, 0xbf) : el_cbor_write_map(w, (uint32_t)count);
        for (void *iter = el_json_first(value); iter != NULL; iter = el_json_next(value, iter)) {
            el_cbor_write_text(w, el_json_iter_key(iter));
            put_cbor(w, el_json_iter_value(iter));
        }
        open ? el_write_u8(w, 0xff) : (void)0;
        break;
    }
}

static void draw_text(char text[8])
{
    static const char *const texts[] = {"", "a", "ab", "A", "b", "1", "10", "-1", "1.5", "ba", "\xc3\xa4"};
    (void)snprintf(text, 8, "%s", texts[draw(COUNT(texts))]);
}

/* returns false when the payload is one that a tree refuses (a name twice) */
static bool draw_event(struct drawn_event *event)
{
    event->has_key = draw(3) > 0;
    draw_text(event->key);
    event->header_count = draw(DRAWN_HEADERS_MAX + 1);
    event->header_next = 0;
    for (size_t i = 0; i < event->header_count; i++) {
        event->headers[i].name = draw(2) == 0 ? "h" : "i";
        event->headers[i].null = draw(8) == 0;
        draw_text(event->headers[i].value);
    }
    el_buffer_reset(&event->json);
    event->data = NULL;
    event->cbor_len = 0;
    if (draw(12) == 0) {
        return true;
    }
    put_value(&event->json, 4);
    if (el_json_parse(event->json.data, event->json.len, EL_JSON_DEPTH_MAX, &event->data, NULL) != 0) {
        return false;
    }
    struct el_writer w;
    el_writer_init(&w, event->cbor, sizeof event->cbor);
    put_cbor(&w, event->data);
    event->cbor_len = w.err == 0 ? el_writer_len(&w) : 0;
    return true;
}

static bool next_header(void *headers, struct el_slice *name, struct el_slice *value)
{
    struct drawn_event *event = headers;
    if (event->header_next == event->header_count) {
        return false;
    }
    *name = el_slice_str(event->headers[event->header_next].name);
    *value = el_slice_str(event->headers[event->header_next].null ? NULL : event->headers[event->header_next].value);
    event->header_next++;
    return true;
}

static bool next_header_cbor(void *headers, struct el_slice *name, struct el_slice *value)
{
    struct drawn_event *event = headers;
    if (event->header_next == event->header_count) {
        event->header_next++;
        *name = el_slice_str("content-type");
        *value = el_slice_str("application/cbor");
        return true;
    }
    return event->header_next < event->header_count && next_header(headers, name, value);
}

static void check(const struct el_pattern *pattern, struct drawn_event *event, const char *text, bool wanted)
{
    static uint8_t scratch[4096];
    struct el_pattern_event given = {
        .key = el_slice_str(event->has_key ? event->key : NULL),
        .value = event->data == NULL ? el_slice_of(NULL, 0) : el_buffer_slice(&event->json),
        .header_next = next_header,
        .headers = event,
    };
    assert_true(el_pattern_scratch_len(pattern) <= sizeof scratch);
    enum el_pattern_verdict first = el_pattern_match(pattern, &given, scratch, EL_PATTERN_STEPS_DEFAULT),
                            second = first;
    event->header_next = 0;
    if (event->cbor_len > 0) {
        given.value = el_slice_of(event->cbor, event->cbor_len);
        given.header_next = next_header_cbor;
        second = el_pattern_match(pattern, &given, scratch, EL_PATTERN_STEPS_DEFAULT);
        event->header_next = 0;
    }
    enum el_pattern_verdict verdict = wanted ? EL_PATTERN_MATCH : EL_PATTERN_NO_MATCH;
    if (first != verdict || second != verdict) {
        fail_msg("%s\nof key %s and payload %s: JSON %s, CBOR %s, the reference %s", text,
                 event->has_key ? event->key : "(none)", event->data == NULL ? "(none)" : el_buffer_text(&event->json),
                 kit_verdict_name(first), kit_verdict_name(second), kit_verdict_name(verdict));
    }
}

TEST(pattern, agrees_with_a_reference_on_drawn_events)
{
    static struct drawn_event event;
    struct el_buffer text = {0};
    struct el_arena arena;
    uint32_t matches = 0, checks = 0;
    const char *seed = getenv("EVLOG_TEST_SEED");
    el_rng_seed(&rng, seed == NULL ? 1 : strtoull(seed, NULL, 10));
    el_arena_init(&arena, NULL, 0);
    while (checks < CASES) {
        struct el_json *tree = NULL;
        const struct el_pattern *pattern = NULL;
        struct el_error err = {0};
        el_buffer_reset(&text);
        el_arena_reset(&arena);
        put_event_pattern(&text, 2);
        int parsed = el_json_parse(text.data, text.len, EL_JSON_DEPTH_MAX, &tree, NULL);
        if (parsed != 0) {
            continue; /* a name twice */
        }
        if (el_pattern_compile(text.data, text.len, NULL, &arena, &pattern, &err) != 0) {
            fail_msg("%s\nis refused: %s", el_buffer_text(&text), err.text);
        }
        for (int i = 0; i < 10; i++) {
            bool fair = draw_event(&event);
            if (fair) {
                bool wanted = reference_match(tree, &event);
                check(pattern, &event, el_buffer_text(&text), wanted);
                matches += wanted;
                checks++;
            }
            el_json_free(event.data);
        }
        el_json_free(tree);
    }
    /* A world in which nothing matches, or everything, would show nothing. */
    assert_in_range(matches, CASES / 15, CASES / 2);
    el_buffer_free(&text);
    el_buffer_free(&event.json);
    el_arena_reset(&arena);
}
