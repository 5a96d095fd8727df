/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a payload that cannot be read is told apart from one that does not match, JSON and CBOR mean the same, and a
 * match ends in time.
 * Method: tables of pattern, event and verdict; CBOR by hand; the same match with every number of steps.
 */
#include "../../lib/test.h"
#include "pattern_kit.h"

#include <core/alloc.h>
#include <core/buffer.h>

#include <stdlib.h>
#include <string.h>

TEST(pattern, a_payload_that_decides_must_be_readable)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'a':[1]}}", "plain text", UNPARSABLE),
        DATA("{'data':{'a':[1]}}", "", UNPARSABLE),
        DATA("{'data':{'a':[1]}}", "{'a':1", UNPARSABLE),
        DATA("{'data':{'a':[1]}}", "{'a':1}}", UNPARSABLE),
        DATA("{'data':{'a':[{'exists':false}]}}", "{'a'", UNPARSABLE),
        DATA("{'data':[{'anything-but':1}]}", "nope", UNPARSABLE),
        DATA("{'data':{'a':[1]}}", "\xff", UNPARSABLE),
        DATA("{'data':{'a':[1]}}", "{'a':'\xff'}", UNPARSABLE),
        {"{'data':{'a':[1]}}", "{'a':1}", UNPARSABLE, "content-type=application/cbor", NULL},
        {"{'data':{'a':[1]}}",
         "\xa1\x61"
         "a\x01",
         UNPARSABLE, "content-type=application/json", NULL},
        /* What is known without it counts. */
        {"{'data':{'a':[1]},'h':['1']}", "plain text", NO, "h=2", NULL},
        {"{'$or':[{'h':['1']},{'data':{'a':[1]}}]}", "plain text", YES, "h=1", NULL},
        {"{'$or':[{'h':['1']},{'data':{'a':[1]}}]}", "plain text", UNPARSABLE, "h=2", NULL},
        DATA("{'data':[{'exists':true}]}", "plain text", YES),
        DATA("{'data':[{'exists':true}]}", "", YES),
        DATA("{'data':[{'exists':true},5]}", "plain text", YES),
        DATA("{'data':[{'exists':true}]}", "{}", YES),
        DATA("{'data':[{'exists':true}]}", NULL, NO),
        DATA("{'data':[{'exists':false}]}", NULL, YES),
        DATA("{'data':[{'exists':false}]}", "{}", NO),
        DATA("{'data':[{'exists':false},5]}", "5", YES),
        DATA("{'data':[{'exists':false},5]}", "{}", NO),
        /* No payload at all has nothing in it, and that is no failure. */
        DATA("{'data':{'a':[1]}}", NULL, NO),
        DATA("{'data':{'a':[{'exists':false}]}}", NULL, YES),
        DATA("{'data':[null]}", NULL, NO),
        DATA("{'data':[null]}", "null", YES),
    };
    KIT_CHECK(rows);
}

TEST(pattern, content_type_says_how_to_read)
{
    static const struct kit_row rows[] = {
        DATA("{'data':{'a':[1]}}",
             "\xa1\x61"
             "a\x01",
             YES),
        {"{'data':{'a':[1]}}",
         "\xa1\x61"
         "a\x01",
         YES, "content-type=application/cbor", NULL},
        {"{'data':{'a':[1]}}",
         "\xa1\x61"
         "a\x01",
         YES, "Content-Type=application/vnd.x+CBOR ; x=y", NULL},
        {"{'data':{'a':[1]}}", "{'a':1}", YES, "content-type=application/json; charset=utf-8", NULL},
        {"{'data':{'a':[1]}}", "{'a':1}", YES, "content-type=application/cloudevents+json", NULL},
        {"{'data':{'a':[1]}}", "{'a':1}", YES, "content-type=text/plain", NULL},
        {"{'data':{'a':[1]}}", "{'a':1}", YES, "content-type", NULL},
        {"{'data':[5]}", "\x05", YES, "content-type=application/cbor", NULL},
        DATA("{'data':[5]}", "\x05", UNPARSABLE),
    };
    KIT_CHECK(rows);
}

/* --- CBOR ------------------------------------------------------------------------------------------------------- */

/* The pattern of a CBOR payload given in hexadecimal. */
static enum el_pattern_verdict match_cbor(const char *text, const char *hex)
{
    uint8_t bytes[512];
    size_t len = strlen(hex) / 2;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    assert_true(len <= sizeof bytes);
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    struct kit_event event = {NULL, "content-type=application/cbor", {bytes, len}};
    enum el_pattern_verdict verdict = kit_match(kit_compile(&arena, text), &event, EL_PATTERN_STEPS_DEFAULT);
    el_arena_reset(&arena);
    return verdict;
}

static void expect_cbor(const char *text, const char *hex, enum el_pattern_verdict wanted)
{
    enum el_pattern_verdict verdict = match_cbor(text, hex);
    if (verdict != wanted) {
        fail_msg("%s\nof %s: %s, not %s", text, hex, kit_verdict_name(verdict), kit_verdict_name(wanted));
    }
}

TEST(pattern, cbor_that_cannot_be_read_is_told)
{
    static const char *const bad[] = {
        "",           "a1",       "a16161", "a1616101ff", "9f01",     "ff", "bf6161ff", "a17f6161ff01",
        "7f6161ff",   "5f4101ff", "62c328", "a162c32801", "a1810101", "1c", "c0",       "9fc0ff",
        "c49f0102ff", "a1a000",   "f818",   "8201",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect_cbor("{'data':{'a':[1]}}", bad[i], UNPARSABLE);
    }
    char deep[2 * 130 + 3];
    for (int depth = 128; depth <= 129; depth++) {
        for (int i = 0; i < depth; i++) {
            memcpy(deep + 2 * (size_t)i, "81", 2);
        }
        memcpy(deep + 2 * (size_t)depth, "01", 3);
        expect_cbor("{'data':[1]}", deep, depth == 128 ? YES : UNPARSABLE);
    }
}

TEST(pattern, cbor_values)
{
    expect_cbor("{'data':{'a':{'b':[1]}}}", "a16161a1616201", YES);
    expect_cbor("{'data':{'a':{'b':[1]}}}", "bf6161bf616201ffff", YES);
    expect_cbor("{'data':{'a':[2]}}", "a161619f0102ff", YES);
    expect_cbor("{'data':{'a':[3]}}", "a161619f0102ff", NO);
    expect_cbor("{'data':{'a':['x']}}", "a161616178", YES);
    expect_cbor("{'data':{'a':['a\\\\']}}",
                "a16161"
                "62615c",
                YES);
    expect_cbor("{'data':{'a':[-5]}}", "a1616124", YES);
    expect_cbor("{'data':{'a':[18446744073709551615]}}", "a161611bffffffffffffffff", YES);
    expect_cbor("{'data':{'a':[-18446744073709551616]}}", "a161613bffffffffffffffff", YES);
    expect_cbor("{'data':{'a':[-18446744073709551615]}}", "a161613bfffffffffffffffe", YES);
    expect_cbor("{'data':{'a':[true,false]}}", "a16161f5", YES);
    expect_cbor("{'data':{'a':[false]}}", "a16161f5", NO);
    expect_cbor("{'data':{'a':[null]}}", "a16161f6", YES);
    expect_cbor("{'data':{'a':[null]}}", "a16161f7", NO);
    expect_cbor("{'data':{'a':[{'exists':true}]}}", "a16161f7", YES);
    expect_cbor("{'data':{'a':[{'anything-but':'x'}]}}", "a161614178", YES);
    expect_cbor("{'data':{'a':['x']}}", "a161614178", NO);
    /* Keys that are no text are nobody's; a tag changes nothing. */
    expect_cbor("{'data':{'a':[1]}}", "a301024161036161c101", YES);
    expect_cbor("{'data':{'a':[1]}}", "d9d9f7a16161d82001", YES);
    expect_cbor("{'data':{'a':[1]}}", "a1c0616101", YES);
    expect_cbor("{'data':{'a':[1]}}", "a10101", NO);
    expect_cbor("{'data':{'a':[{'exists':false}]}}", "a0", YES);
}

TEST(pattern, cbor_numbers_mean_what_was_written)
{
    expect_cbor("{'data':[0.1]}", "fb3fb999999999999a", YES);
    expect_cbor("{'data':[0.1]}", "fa3dcccccd", YES);
    expect_cbor("{'data':[1.5]}", "f93e00", YES);
    expect_cbor("{'data':[-4.1]}", "fbc010666666666666", YES);
    expect_cbor("{'data':[1e300]}", "fb7e37e43c8800759c", YES);
    expect_cbor("{'data':[0.30000000000000004]}", "fb3fd3333333333334", YES);
    expect_cbor("{'data':[0.3]}", "fb3fd3333333333334", NO);
    expect_cbor("{'data':[100]}", "fb4059000000000000", YES);
    expect_cbor("{'data':[0]}", "fb8000000000000000", YES);
    expect_cbor("{'data':[{'numeric':['>',0]}]}", "f97c00", NO);
    expect_cbor("{'data':[{'exists':true}]}", "f97e00", YES);
    expect_cbor("{'data':[{'anything-but':0}]}", "f97e00", YES);
    /* [-2, 27315] under tag 4 is 273.15, and neither of its parts. */
    expect_cbor("{'data':[-2,27315,273.15]}", "c48221196ab3", NO);
    expect_cbor("{'data':[{'anything-but':0}]}", "c48221196ab3", YES);
    expect_cbor("{'data':{'a':[1]}}", "a26162c48221196ab3616101", YES);
    expect_cbor("{'data':[-2]}", "c38221196ab3", YES);
}

/* --- bounds ----------------------------------------------------------------------------------------------------- */

TEST(pattern, steps_end_a_match_that_takes_too_long)
{
    static const char text[] = "{'data':{'s':[{'wildcard':'*a*a*a*a*a*a*a*a*b'}]}}";
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    const struct el_pattern *pattern = kit_compile(&arena, text);
    static char payload[100020];
    memset(payload, 'a', sizeof payload);
    memcpy(payload, "{\"s\":\"", 6);
    memcpy(payload + sizeof payload - 2, "\"}", 2);
    struct kit_event event = {NULL, NULL, {(const uint8_t *)payload, sizeof payload}};
    assert_int_equal(kit_match(pattern, &event, 0), EL_PATTERN_TOO_MANY_STEPS);
    assert_int_equal(kit_match(pattern, &event, 1000), EL_PATTERN_TOO_MANY_STEPS);
    assert_int_equal(kit_match(pattern, &event, 10000), EL_PATTERN_TOO_MANY_STEPS);
    assert_int_equal(kit_match(pattern, &event, EL_PATTERN_STEPS_DEFAULT), EL_PATTERN_NO_MATCH);
    el_arena_reset(&arena);
}

/* With one step less than it takes, every match of the tables says so, and never something wrong. */
TEST(pattern, fewer_steps_never_change_a_verdict)
{
    static const char text[] =
        "{'h':['1'],'data':{'$or':[{'l':{'x':[1,{'anything-but':[3,4]}]}},{'n':{'m':[{'wildcard':'*b*d'}]}}]}}";
    static const char *const payloads[] = {
        "{'l':[{'x':[3,4,3]},{'x':4},{'y':0}],'n':{'m':'abcd'}}",
        "{'l':[{'x':[3,4,3]},{'x':4},{'y':0}],'n':{'m':'abce'}}",
        "{'l':[{'x':[3,4,3]},{'x':4},{'y':0}],'n':{'m':'abcd'}",
    };
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    const struct el_pattern *pattern = kit_compile(&arena, text);
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        struct kit_event event = {NULL, "a=b;h=1", el_slice_str(kit_quoted(&arena, payloads[i]))};
        enum el_pattern_verdict wanted = kit_match(pattern, &event, EL_PATTERN_STEPS_DEFAULT);
        bool enough = false;
        for (uint32_t steps = 0; steps < 200; steps++) {
            enum el_pattern_verdict verdict = kit_match(pattern, &event, steps);
            assert_true(verdict == wanted || (verdict == EL_PATTERN_TOO_MANY_STEPS && !enough));
            enough |= verdict == wanted;
        }
        assert_true(enough);
    }
    el_arena_reset(&arena);
}

TEST(pattern, any_of_a_set_may_match)
{
    static const char *const texts[EL_PATTERN_COUNT_MAX] = {
        "{'h':['1']}",        "{'data':{'l':{'x':[1],'y':[1]}}}", "{'data':{'l':{'x':[2],'y':[2]}}}",
        "{'data':{'l':[7]}}", "{'data':[{'exists':false}]}",
    };
    static const struct {
        const char *headers, *payload;
        enum el_pattern_verdict verdict;
    } rows[] = {
        {"h=1", "x", YES},
        {"h=2", "x", UNPARSABLE},
        {"h=2", "{'l':{'x':1,'y':1}}", YES},
        {"h=2", "{'l':{'x':2,'y':2}}", YES},
        {"h=2", "{'l':{'x':[1,2],'y':[2]}}", YES},
        {"h=2", "{'l':[{'x':1,'y':2},{'x':2,'y':1}]}", NO},
        {"h=2", "{'l':[{'x':1,'y':2},7]}", YES},
        {"h=2", NULL, YES},
    };
    struct el_slice slices[EL_PATTERN_COUNT_MAX];
    const struct el_pattern *pattern;
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < EL_PATTERN_COUNT_MAX; i++) {
        slices[i] = el_slice_str(kit_quoted(&arena, texts[i]));
    }
    assert_int_equal(el_pattern_compile_any(slices, EL_PATTERN_COUNT_MAX, NULL, &arena, &pattern, NULL), 0);
    struct el_buffer array = {0};
    for (size_t i = 0; i < EL_PATTERN_COUNT_MAX; i++) {
        el_buffer_printf(&array, "%s%s", i == 0 ? "[" : ", ", texts[i]);
    }
    el_buffer_append_str(&array, "]");
    const struct el_pattern *same = kit_compile(&arena, el_buffer_text(&array));
    el_buffer_free(&array);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kit_event event = {NULL, rows[i].headers, el_slice_str(kit_quoted(&arena, rows[i].payload))};
        assert_int_equal(kit_match(pattern, &event, EL_PATTERN_STEPS_DEFAULT), rows[i].verdict);
        assert_int_equal(kit_match(same, &event, EL_PATTERN_STEPS_DEFAULT), rows[i].verdict);
    }
    el_arena_reset(&arena);
}

TEST(pattern, matching_never_allocates)
{
    static const char text[] = "{'key':[1],'data':{'a':[{'numeric':['>',0.5]},{'wildcard':'*x*'}]}}";
    static const uint8_t cbor[] = {0xa1, 0x61, 'a', 0xfb, 0x3f, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a};
    uint8_t scratch[64];
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    const struct el_pattern *pattern = kit_compile(&arena, text);
    struct el_pattern_event event = {.key = el_slice_str("1.0"), .value = el_slice_of(cbor, sizeof cbor)};
    assert_true(el_pattern_scratch_len(pattern) <= sizeof scratch);
    bool before = el_alloc_seal(true);
    enum el_pattern_verdict first = el_pattern_match(pattern, &event, scratch, EL_PATTERN_STEPS_DEFAULT);
    event.value = el_slice_str("{\"a\":[1e-1,\"\\u0078\"]}");
    enum el_pattern_verdict second = el_pattern_match(pattern, &event, scratch, EL_PATTERN_STEPS_DEFAULT);
    (void)el_alloc_seal(before);
    assert_int_equal(first, EL_PATTERN_NO_MATCH);
    assert_int_equal(second, EL_PATTERN_MATCH);
    el_arena_reset(&arena);
}
