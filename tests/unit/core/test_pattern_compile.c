/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a pattern that could not mean what it says is refused with its place and what to write instead; limits hold.
 * Method: a table of patterns with place and words; each fair pattern cut at every byte; limits from both sides; every
 * allocation failing once.
 */
#include "../../lib/test.h"
#include "pattern_kit.h"

#include <core/buffer.h>
#include <evlog/error.h>

#include <string.h>

static const struct el_pattern_limits limits = EL_PATTERN_LIMITS_DEFAULT;

static int compile(const char *text, size_t len, const struct el_pattern_limits *given, struct el_error *err)
{
    struct el_arena arena;
    const struct el_pattern *pattern = NULL;
    el_arena_init(&arena, NULL, 0);
    int rc = el_pattern_compile(text, len, given, &arena, &pattern, err);
    assert_true((rc == 0) == (pattern != NULL));
    el_arena_reset(&arena);
    return rc;
}

static void refuse(const char *text, const char *place, const char *words)
{
    struct el_arena arena;
    struct el_error err = {0};
    el_arena_init(&arena, NULL, 0);
    const char *quoted = kit_quoted(&arena, text);
    int rc = compile(quoted, strlen(quoted), NULL, &err);
    if (rc != EVLOG_ERR_MALFORMED || err.code != rc || strstr(err.text, place) != err.text ||
        strstr(err.text, words) == NULL) {
        fail_msg("%s: code %d, \"%s\" does not say \"%s\" and \"%s\"", text, rc, err.text, place, words);
    }
    el_arena_reset(&arena);
}

TEST(pattern_compile, what_is_no_pattern_is_refused_with_its_place)
{
    static const struct {
        const char *text, *place, *words;
    } rows[] = {
        {"[1]", "line 1, column 2 ", "a pattern is an object"},
        {"[]", "line 1, column 2 ", "an empty array takes no event"},
        {"[{'a':[1]},\n {}]", "line 2, column 3 ", "an empty object asks for nothing"},
        {"[[{'a':[1]}]]", "line 1, column 2 ", "a pattern is an object"},
        {"'a'", "line 1, column 1 ", "a pattern is an object"},
        {"{'a':[1]} x", "line 1, column 11 ", "nothing may follow"},
        {"{'a':[1,]}", "line 1, column 9 ", "a value is expected"},
        {"{}", "line 1, column 2 ", "an empty object asks for nothing"},
        {"{'a':1}", "line 1, column 6 ", "write [ ] around it"},
        {"{'data':\n {'a':true}}", "line 2, column 7 ", "write [ ] around it"},
        {"{'data':{}}", "line 1, column 10 ", "an empty object"},
        {"{'a':[]}", "line 1, column 7 ", "an empty array matches nothing"},
        {"{'a':[[1]]}", "line 1, column 7 ", "a string, a number"},
        {"{'h':{'a':[1]}}", "line 1, column 6 ", "keys and headers are text"},
        {"{'key':{'a':[1]}}", "line 1, column 8 ", "keys and headers are text"},
        {"{'h':[true]}", "line 1, column 7 ", "write \"true\""},
        {"{'h':[{'anything-but':[false]}]}", "line 1, column 24 ", "write \"false\""},
        {"{'key':[null]}", "line 1, column 9 ", "{\"exists\": false}"},
        {"{'a':[1],'a':[2]}", "line 1, column 10 ", "occurs twice"},
        {"{'data':{'a':[1],'b':[1],'\\u0061':[2]}}", "line 1, column 26 ", "occurs twice"},
        {"{'data':{'a':[1]},'data':[1]}", "line 1, column 19 ", "occurs twice"},
        {"{'$or':{'a':[1]}}", "line 1, column 8 ", "an array of objects"},
        {"{'$or':[]}", "line 1, column 9 ", "at least one alternative"},
        {"{'$or':[1]}", "line 1, column 9 ", "write { } around it"},
        {"{'$or':[{}]}", "line 1, column 10 ", "an empty object"},
        {"{'$or':[{'a':[1]}],'$or':[{'a':[1]}]}", "line 1, column 20 ", "$or occurs twice"},
        {"{'$or':[{'a':[1],'a':[1]}]}", "line 1, column 18 ", "occurs twice"},
        {"{'$or':[{'h':{'a':[1]}}]}", "line 1, column 14 ", "keys and headers are text"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        refuse(rows[i].text, rows[i].place, rows[i].words);
    }
}

TEST(pattern_compile, what_is_no_matcher_is_refused_with_its_place)
{
    static const struct {
        const char *text, *place, *words;
    } rows[] = {
        {"{'a':[{}]}", "line 1, column 8 ", "the matchers are prefix"},
        {"{'a':[{'prefixx':'a'}]}", "line 1, column 8 ", "the matchers are prefix"},
        {"{'a':[{'cidr':'10.0.0.0/8'}]}", "line 1, column 8 ", "the matchers are prefix"},
        {"{'a':[{'prefix':5}]}", "line 1, column 17 ", "a string or {\"equals-ignore-case\""},
        {"{'a':[{'prefix':['a']}]}", "line 1, column 17 ", "a string or"},
        {"{'a':[{'prefix':{'wildcard':'a'}}]}", "line 1, column 18 ", "only {\"equals-ignore-case\""},
        {"{'a':[{'prefix':{}}]}", "line 1, column 18 ", "only {\"equals-ignore-case\""},
        {"{'a':[{'suffix':{'equals-ignore-case':5}}]}", "line 1, column 39 ", "a string is expected"},
        {"{'a':[{'suffix':{'equals-ignore-case':'a','x':1}}]}", "line 1, column 43 ", "nothing may stand beside"},
        {"{'a':[{'suffix':'a','prefix':'b'}]}", "line 1, column 21 ", "only one matcher"},
        {"{'a':[{'equals-ignore-case':{'prefix':'a'}}]}", "line 1, column 29 ", "a string is expected"},
        {"{'a':[{'wildcard':'a**'}]}", "line 1, column 19 ", "write one"},
        {"{'a':[{'wildcard':'a\\\\'}]}", "line 1, column 19 ", "in a wildcard a backslash"},
        {"{'a':[{'wildcard':'\\\\n'}]}", "line 1, column 19 ", "in a wildcard a backslash"},
        {"{'a':[{'exists':1}]}", "line 1, column 17 ", "true or false is expected"},
        {"{'a':[{'exists':'true'}]}", "line 1, column 17 ", "true or false is expected"},
        {"{'a':[{'numeric':5}]}", "line 1, column 18 ", "an array is expected"},
        {"{'a':[{'numeric':[]}]}", "line 1, column 19 ", "an operator and a number"},
        {"{'a':[{'numeric':[5]}]}", "line 1, column 19 ", "one of \"=\""},
        {"{'a':[{'numeric':['>']}]}", "line 1, column 22 ", "a number is expected"},
        {"{'a':[{'numeric':['>','5']}]}", "line 1, column 23 ", "a number is expected"},
        {"{'a':[{'numeric':['==',5]}]}", "line 1, column 19 ", "one of \"=\""},
        {"{'a':[{'numeric':['!=',5]}]}", "line 1, column 19 ", "anything-but"},
        {"{'a':[{'numeric':['>',1,'>=',2]}]}", "line 1, column 25 ", "only one of > and >="},
        {"{'a':[{'numeric':['=',1,'<',2]}]}", "line 1, column 25 ", "= stands alone"},
        {"{'a':[{'numeric':['<',2,'=',1]}]}", "line 1, column 25 ", "= stands alone"},
        {"{'a':[{'numeric':['>',5,'<',5]}]}", "line 1, column 30 ", "no number lies between"},
        {"{'a':[{'numeric':['>=',5,'<',5.0]}]}", "line 1, column 33 ", "no number lies between"},
        {"{'a':[{'numeric':['<',-1,'>',1e0]}]}", "line 1, column 33 ", "no number lies between"},
        {"{'a':[{'anything-but':[]}]}", "line 1, column 24 ", "leaves out nothing"},
        {"{'a':[{'anything-but':[[1]]}]}", "line 1, column 24 ", "a string, a number"},
        {"{'a':[{'anything-but':[{'prefix':'a'}]}]}", "line 1, column 24 ", "a string, a number"},
        {"{'a':[{'anything-but':{'numeric':['<',1]}}]}", "line 1, column 24 ", "behind anything-but"},
        {"{'a':[{'anything-but':{'exists':true}}]}", "line 1, column 24 ", "behind anything-but"},
        {"{'a':[{'anything-but':{}}]}", "line 1, column 24 ", "behind anything-but"},
        {"{'a':[{'anything-but':{'prefix':''}}]}", "line 1, column 33 ", "no string would be left"},
        {"{'a':[{'anything-but':{'suffix':['a','']}}]}", "line 1, column 38 ", "no string would be left"},
        {"{'a':[{'anything-but':{'prefix':[]}}]}", "line 1, column 35 ", "leaves out nothing"},
        {"{'a':[{'anything-but':{'prefix':'a','suffix':'b'}}]}", "line 1, column 37 ", "only one name"},
        {"{'a':[{'anything-but':'a','x':1}]}", "line 1, column 27 ", "only one matcher"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        refuse(rows[i].text, rows[i].place, rows[i].words);
    }
}

static const char *const fair[] = {
    "{'ce_type':['OrderPaid'],'data':{'total':[{'numeric':['>',100]}],'customer':{'tier':[{'anything-but':'free'}]}}}",
    "{'data':{'$or':[{'a':[{'prefix':{'equals-ignore-case':'x'}}]},{'b':{'c':[{'wildcard':'a*\\\\*'},null,true]}}]}}",
    "{'key':[{'anything-but':{'suffix':['a','b']}},{'exists':false}],'h':[1.5e3,{'equals-ignore-case':'\xc3\x84'}]}",
};

TEST(pattern_compile, cut_text_is_truncated)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof fair / sizeof fair[0]; i++) {
        const char *text = kit_quoted(&arena, fair[i]);
        for (size_t len = 0; len < strlen(text); len++) {
            struct el_error err = {0};
            int rc = compile(text, len, NULL, &err);
            assert_true(rc == EVLOG_ERR_TRUNCATED || rc == EVLOG_ERR_MALFORMED); /* half a character is no UTF-8 */
        }
        assert_int_equal(compile(text, strlen(text), NULL, NULL), 0);
    }
    el_arena_reset(&arena);
}

/* So many objects within each other, the first around "data": below names, or as alternatives of $or. */
static int compile_nested(uint32_t depth, bool alternatives)
{
    struct el_buffer text = {0};
    struct el_error err = {0};
    el_buffer_append_str(&text, "{\"data\":");
    for (uint32_t i = 1; i < depth; i++) {
        el_buffer_append_str(&text, alternatives ? "{\"a\":[1],\"$or\":[" : "{\"a\":");
    }
    el_buffer_append_str(&text, alternatives ? "{\"a\":[1]}" : "[1]");
    for (uint32_t i = 1; i < depth; i++) {
        el_buffer_append_str(&text, alternatives ? "]}" : "}");
    }
    el_buffer_append_str(&text, "}");
    int rc = compile(el_buffer_text(&text), text.len, &limits, &err);
    assert_int_equal(rc, err.code);
    el_buffer_free(&text);
    return rc;
}

TEST(pattern_compile, depth_is_limited)
{
    assert_int_equal(compile_nested(limits.depth_max, false), 0);
    assert_int_equal(compile_nested(limits.depth_max + 1, false), EVLOG_ERR_LIMIT);
    assert_int_equal(compile_nested(100, false), EVLOG_ERR_LIMIT);
    assert_int_equal(compile_nested(limits.depth_max - 1, true), 0);
    assert_int_equal(compile_nested(limits.depth_max, true), EVLOG_ERR_LIMIT);
    assert_int_equal(compile_nested(1000, true), EVLOG_ERR_LIMIT);
}

TEST(pattern_compile, matchers_are_counted)
{
    static const char *const parts[][2] = {{"{\"h\":[", "]}"}, {"{\"h\":[{\"anything-but\":[", "]}]}"}};
    for (size_t form = 0; form < 2; form++) {
        for (uint32_t extra = 0; extra < 2; extra++) {
            struct el_buffer text = {0};
            struct el_error err = {0};
            el_buffer_append_str(&text, parts[form][0]);
            for (uint32_t i = (uint32_t)form; i < limits.matcher_count_max + extra; i++) {
                el_buffer_printf(&text, "%s\"%u\"", i == form ? "" : ",", i);
            }
            el_buffer_append_str(&text, parts[form][1]);
            assert_int_equal(compile(el_buffer_text(&text), text.len, &limits, &err), extra == 0 ? 0 : EVLOG_ERR_LIMIT);
            el_buffer_free(&text);
        }
    }
}

TEST(pattern_compile, text_names_and_exponents_are_limited)
{
    struct el_buffer text = {0};
    struct el_error err = {0};
    el_buffer_append_str(&text, "{\"h\":[\"");
    while (text.len + 4 < limits.text_len_max) {
        el_buffer_append_char(&text, 'a');
    }
    el_buffer_append_str(&text, "\"]}");
    assert_int_equal(compile(el_buffer_text(&text), text.len, &limits, &err), 0);
    el_buffer_append_str(&text, "  ");
    assert_int_equal(compile(el_buffer_text(&text), text.len, &limits, &err), EVLOG_ERR_LIMIT);
    for (uint32_t extra = 0; extra < 2; extra++) {
        el_buffer_reset(&text);
        el_buffer_append_str(&text, "{\"\\u0061");
        for (uint32_t i = 1; i < EL_PATTERN_NAME_MAX + extra; i++) {
            el_buffer_append_char(&text, 'a');
        }
        el_buffer_append_str(&text, "\":[1]}");
        assert_int_equal(compile(el_buffer_text(&text), text.len, &limits, &err), extra == 0 ? 0 : EVLOG_ERR_LIMIT);
    }
    assert_int_equal(compile("{\"h\":[1e9998]}", 14, &limits, &err), 0);
    assert_int_equal(compile("{\"h\":[1e9999]}", 14, &limits, &err), EVLOG_ERR_LIMIT);
    assert_int_equal(compile("{\"h\":[1e-99999]}", 16, &limits, &err), EVLOG_ERR_LIMIT);
    assert_int_equal(compile("{\"h\":[0e-99999]}", 16, &limits, &err), 0);
    el_buffer_free(&text);
}

TEST(pattern_compile, a_refusal_names_the_pattern_of_a_set)
{
    struct el_slice texts[3] = {el_slice_str("{\"h\":[1]}"), el_slice_str("{\"h\":[2]}"), el_slice_str("{\"h\":[]}")};
    struct el_arena arena;
    struct el_error err = {0};
    const struct el_pattern *pattern = NULL;
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(el_pattern_compile_any(texts, 3, NULL, &arena, &pattern, &err), EVLOG_ERR_MALFORMED);
    assert_string_equal(err.text, "pattern 3: line 1, column 7 (byte 6): an empty array matches nothing: write "
                                  "{\"exists\": true} for any value");
    texts[1] = el_slice_str("{\"h\":");
    assert_int_equal(el_pattern_compile_any(texts, 3, NULL, &arena, &pattern, &err), EVLOG_ERR_TRUNCATED);
    assert_ptr_equal(strstr(err.text, "pattern 2: line 1"), err.text);
    el_arena_reset(&arena);
}

TEST(pattern_compile, patterns_are_counted)
{
    static const char five[] = "[{\"a\":[1]},{\"a\":[2]},{\"a\":[3]},{\"a\":[4]},{\"a\":[5]}]";
    static const char six[] = "[{\"a\":[1]},{\"a\":[2]},{\"a\":[3]},{\"a\":[4]},{\"a\":[5]},{\"a\":[6]}]";
    struct el_error err = {0};
    assert_int_equal(compile(five, strlen(five), NULL, &err), 0);
    assert_int_equal(compile(six, strlen(six), NULL, &err), EVLOG_ERR_LIMIT);
    assert_non_null(strstr(err.text, "line 1, column 52 (byte 51): more than 5 patterns"));
}

/* The same name in two patterns of a set, or in two alternatives, is no name that occurs twice. */
TEST(pattern_compile, a_name_may_occur_once_in_every_object)
{
    struct el_arena arena;
    el_arena_init(&arena, NULL, 0);
    (void)kit_compile(&arena, "{'h':[1],'$or':[{'h':[2]},{'h':[3],'data':{'h':[4]}}],'data':{'h':[5],'a':{'h':[6]}}}");
    (void)kit_compile(&arena, "{'$OR':['$or'],'data':{'key':[1],'data':{'$':[1]}}}");
    el_arena_reset(&arena);
}

TEST_TORTURE(pattern_compile, survives_a_failing_heap)
{
    for (size_t i = 0; i < sizeof fair / sizeof fair[0]; i++) {
        struct el_arena arena;
        struct el_error err = {0};
        const struct el_pattern *pattern = NULL;
        char text[256];
        size_t len = strlen(fair[i]);
        assert_true(len < sizeof text);
        for (size_t j = 0; j < len; j++) {
            text[j] = fair[i][j] == '\'' ? '"' : fair[i][j];
        }
        el_arena_init(&arena, NULL, 0);
        int rc = el_pattern_compile(text, len, NULL, &arena, &pattern, &err);
        assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
        el_arena_reset(&arena);
    }
}
