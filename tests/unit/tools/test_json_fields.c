/* SPDX-License-Identifier: Apache-2.0
 *
 * The fields of a JSON value. Goal: every part has one path and its own value, in byte order of the paths, and what is
 * no JSON is refused. Method: values by hand, the fields as one text; every allocation failing once.
 */
#include "../../../tools/evlog/json_fields.h"
#include "../../lib/test.h"

#include <core/buffer.h>

static int fields_of(struct el_arena *arena, const char *text, struct json_fields *fields)
{
    return json_fields_of(arena, (struct evlog_bytes){text, strlen(text)}, fields);
}

static void expect(const char *text, const char *wanted)
{
    struct el_arena arena;
    struct json_fields fields = {NULL, 0};
    struct el_buffer out = {0};
    el_arena_init(&arena, NULL, 0);
    assert_int_equal(fields_of(&arena, text, &fields), 0);
    for (size_t i = 0; i < fields.count; i++) {
        const struct json_field *field = &fields.fields[i];
        el_buffer_printf(&out, "%.*s=%.*s;", (int)field->path.len, (const char *)field->path.data,
                         (int)field->value.len, (const char *)field->value.data);
        assert_ptr_equal(json_fields_find(&fields, field->path), field);
    }
    el_buffer_append_char(&out, '.');
    assert_string_equal(el_buffer_text(&out), wanted);
    assert_null(json_fields_find(&fields, el_slice_str("no such")));
    el_buffer_free(&out);
    el_arena_reset(&arena);
}

TEST(json_fields, what_is_no_json_is_refused)
{
    static const char *const texts[] = {"", "{", "{\"a\":}", "text", "{\"a\":1,\"a\":2}", "[1,]"};
    struct el_arena arena;
    struct json_fields fields;
    el_arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_true(fields_of(&arena, texts[i], &fields) < 0);
    }
    assert_true(json_fields_of(&arena, (struct evlog_bytes){NULL, 0}, &fields) < 0);
    el_arena_reset(&arena);
}

TEST(json_fields, every_part_has_a_path)
{
    expect("1", "=1;.");
    expect("[]", "=[];.");
    expect("{\"b\":{\"x\":1,\"a\":\"t\"},\"a\":[true,null,{\"c\":-2.5}],\"e\":{},\"s\":\"\"}",
           "a.0=true;a.1=null;a.2.c=-2.5;b.a=\"t\";b.x=1;e={};s=\"\";.");
}

TEST(json_fields, within_is_the_path_or_below_it)
{
    struct el_slice path = el_slice_str("a.bc.d");
    assert_true(json_path_within(path, el_slice_str("")));
    assert_true(json_path_within(path, el_slice_str("a")));
    assert_true(json_path_within(path, el_slice_str("a.bc")));
    assert_true(json_path_within(path, path));
    assert_false(json_path_within(path, el_slice_str("a.b")));
    assert_false(json_path_within(path, el_slice_str("a.bc.d.e")));
}

TEST_TORTURE(json_fields, every_allocation_may_fail)
{
    struct el_arena arena;
    struct json_fields fields;
    el_arena_init(&arena, NULL, 0);
    int rc = fields_of(&arena, "{\"a\":[1,2,3],\"b\":{\"c\":\"text\"}}", &fields);
    assert_true(rc == 0 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    el_arena_reset(&arena);
}
