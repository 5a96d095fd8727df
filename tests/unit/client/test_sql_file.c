/* SPDX-License-Identifier: Apache-2.0
 *
 * Files of SQL projections. Goal: every slip is refused with its line, nothing inside a literal or a comment counts,
 * and statements and parameters come out as they stand. Method: files by hand, refusals first, every allocation failing
 * once.
 */
#include "../../../client/sql_file.h"
#include "../../lib/test.h"

#include <core/alloc.h>
#include <stdio.h>
#include <string.h>

#define HEAD "-- name: n\n-- topics: t\n"

static void refuse(const char *text, uint32_t line, const char *about)
{
    struct el_sql_file file = {.path = NULL};
    struct el_error err = {0};
    char place[32];
    (void)snprintf(place, sizeof place, "f.sql:%u: ", line);
    int rc = el_sql_file_read(&file, "f.sql", text, strlen(text), &err);
    if (rc != EVLOG_ERR_MALFORMED || strstr(err.text, place) == NULL || strstr(err.text, about) == NULL) {
        fail_msg("%s\n: code %d, \"%s\" does not say \"%s%s\"", text, rc, err.text, place, about);
    }
    el_sql_file_free(&file);
}

static void take(struct el_sql_file *file, const char *text)
{
    struct el_error err = {0};
    *file = (struct el_sql_file){.path = NULL};
    int rc = el_sql_file_read(file, "f.sql", text, strlen(text), &err);
    if (rc != 0) {
        fail_msg("%s\n: refused: %s", text, err.text);
    }
}

TEST(sql_file, refuses_a_file_that_lacks_a_part)
{
    refuse("", 1, "no name");
    refuse("-- topics: t\n-- on *\nSELECT 1", 1, "no name");
    refuse("-- name: n\n-- on *\nSELECT 1", 1, "no topic");
    refuse(HEAD "\n\n-- setup\nCREATE TABLE t(a);\n", 7, "no events");
}

TEST(sql_file, refuses_odd_heads)
{
    refuse("-- name: a b\n", 1, "letters, digits");
    refuse("-- name:\n", 1, "letters, digits");
    refuse("-- name: n\n-- name: m\n", 2, "twice");
    refuse("-- name: n\n-- topics: a,,b\n", 2, "no name of a topic");
    refuse("-- name: n\n-- topics: a, b c\n", 2, "\"b c\"");
    refuse("-- name: n\n-- topics: a, b, a\n", 2, "named twice");
    refuse("-- name: n\n-- filter:\n", 2, "event pattern");
    refuse("-- nmae: n\n", 1, "did you mean \"-- name:\"");
    refuse("-- name: n\n-- topic: t\n", 2, "did you mean \"-- topics:\"");
    refuse("-- name: n\n-- filters: {}\n", 2, "did you mean \"-- filter:\"");
    refuse("SELECT 1;\n-- name: n\n", 1, "before the first block");
    refuse(HEAD "-- on *\nSELECT 1;\n-- topics: u\n", 5, "before the first block");
}

TEST(sql_file, refuses_odd_blocks)
{
    refuse(HEAD "-- on\nSELECT 1", 3, "names no event type");
    refuse(HEAD "-- on A, , B\nSELECT 1", 3, "no event type");
    refuse(HEAD "-- on conflict we do nothing\nSELECT 1", 3, "must not begin with \"on\"");
    refuse(HEAD "-- setup\nSELECT 1;\n-- setup\nSELECT 2;\n", 5, "on line 3");
    refuse(HEAD "-- setup\nSELECT\n :key;\n-- on *\n", 5, "no event in the setup");
}

TEST(sql_file, refuses_unknown_parameters_with_the_nearest_known_one)
{
    refuse(HEAD "-- on *\nSELECT 1,\n  :kye;", 5, "did you mean :key?");
    refuse(HEAD "-- on *\nSELECT :total;", 4, ":data.total");
    refuse(HEAD "-- on *\nSELECT :key?;", 4, "can be missing");
    refuse(HEAD "-- on *\nSELECT :data?;", 4, "can be missing");
    refuse(HEAD "-- on *\nSELECT :key.a;", 4, ":key.a");
}

TEST(sql_file, refuses_literals_and_comments_without_an_end)
{
    refuse(HEAD "-- on *\nSELECT 'a\n;", 4, "does not end");
    refuse(HEAD "-- on *\nSELECT \"a\n;", 4, "does not end");
    refuse(HEAD "-- on *\nSELECT 1 /* \n;", 4, "does not end");
    refuse(HEAD "-- on *\nSELECT $x$ a $y$\n;", 4, "does not end");
    refuse(HEAD "-- on *\nSELECT E'a\\'\n;", 4, "does not end");
    refuse(HEAD "-- on *\nSELECT '\x80';", 1, "UTF-8");
}

TEST(sql_file, refuses_more_than_it_has_room_for)
{
    struct el_sql_file file = {.path = NULL};
    struct el_error err = {0};
    size_t len = EL_SQL_FILE_LEN_MAX + 1;
    char *text = el_malloc(len + 1);
    memset(text, ' ', len);
    text[len] = '\0';
    assert_int_equal(el_sql_file_read(&file, "f.sql", text, len, &err), EVLOG_ERR_LIMIT);
    el_sql_file_free(&file);
    memcpy(text, HEAD "-- on *\nSELECT ", strlen(HEAD "-- on *\nSELECT "));
    for (size_t i = 0, pos = strlen(HEAD "-- on *\nSELECT "); i <= EL_SQL_PARAM_MAX; i++, pos += 5) {
        memcpy(text + pos, ":key,", 5);
    }
    text[EL_SQL_FILE_LEN_MAX / 2] = '\0';
    refuse(text, 4, "parameters");
    el_free(text);
}

TEST(sql_file, gives_head_and_blocks_in_order)
{
    struct el_sql_file file;
    take(&file,
         "-- Orders, for the shop\n-- Name: orders.by-day_2\n-- topics: orders ,payments\n"
         "-- filter: {\"data\":{\"a\":[1]}}\n-- filter: {\"key\":[\"k\"]}\n\n-- setup\n"
         "CREATE TABLE t (a TEXT DEFAULT ';:x'); -- :no parameter\n\n-- on A, b.C\nINSERT INTO t VALUES (:key);\n"
         "-- on *\nSELECT 1\n");
    assert_string_equal(file.name, "orders.by-day_2");
    assert_int_equal(file.topic_count, 2);
    assert_string_equal(file.topics[1], "payments");
    assert_int_equal(file.filter_count, 2);
    assert_string_equal(file.filters[1], "{\"key\":[\"k\"]}");
    assert_int_equal(file.setup_line, 7);
    assert_non_null(strstr(file.setup, "DEFAULT ';:x'"));
    assert_null(strstr(file.setup, "-- on"));
    const struct el_sql_block *block = file.blocks;
    assert_int_equal(block->type_count, 2);
    assert_false(block->any);
    assert_memory_equal(block->types[1].data, "b.C", 3);
    assert_true(block->next->any);
    assert_null(block->next->next);
    assert_false(file.uses_version);
    el_sql_file_free(&file);
}

TEST(sql_file, cuts_statements_and_numbers_each_use_of_a_parameter)
{
    struct el_sql_file file;
    take(&file,
         HEAD "-- on A\n\n  INSERT INTO t -- into: :key ;\n  VALUES (:key, ':id;', \":x\", :data.a.b?,\n"
              "  :version::text, a[1:2], $$:y;$$, :key);; /* ; */ ;\nDELETE FROM t WHERE a = :data.items.0.id\n");
    const struct el_sql_statement *s = file.blocks->statements;
    assert_string_equal(s->text, "INSERT INTO t -- into: :key ;\n  VALUES ($1, ':id;', \":x\", $2,\n"
                                 "  $3::text, a[1:2], $$:y;$$, $4)");
    assert_int_equal(s->line, 5);
    assert_int_equal(s->param_count, 4);
    assert_int_equal(s->params[0].source, EL_SQL_KEY);
    assert_int_equal(s->params[1].source, EL_SQL_FIELD);
    assert_string_equal(s->params[1].path, "a.b");
    assert_true(s->params[1].optional);
    assert_int_equal(s->params[2].source, EL_SQL_VERSION);
    assert_int_equal(s->params[2].line, 7);
    assert_int_equal(s->params[3].source, EL_SQL_KEY);
    assert_true(file.uses_version);
    s = s->next;
    assert_int_equal(s->line, 8);
    assert_string_equal(s->params[0].path, "items.0.id");
    assert_false(s->params[0].optional);
    assert_null(s->next);
    el_sql_file_free(&file);
}

TEST(sql_file, takes_no_mark_inside_a_literal)
{
    struct el_sql_file file;
    take(&file, HEAD "-- on *\nINSERT INTO t VALUES ('\n-- on A\n-- name: x\n', $q$\n-- setup\n$q$);\n");
    assert_null(file.blocks->next);
    assert_null(file.setup);
    el_sql_file_free(&file);
}

TEST(sql_file, has_a_definition_that_changes_with_what_is_done)
{
    static const char *const texts[] = {
        HEAD "-- on A\nDELETE FROM t WHERE a = :key;",     HEAD "-- on B\nDELETE FROM t WHERE a = :key;",
        HEAD "-- on A\nDELETE FROM t WHERE a = :id;",      HEAD "-- on A\nDELETE FROM t WHERE a = :data.x;",
        HEAD "-- on A\nDELETE FROM t WHERE a = :data.x?;", HEAD "-- filter: {\"key\":[\"a\"]}\n-- on A\nSELECT 1",
        HEAD "-- setup\nSELECT 1;\n-- on A\nSELECT 1",     "-- name: n\n-- topics: u\n-- on A\nSELECT 1",
    };
    char seen[8][65];
    struct el_sql_file file;
    for (size_t i = 0; i < 8; i++) {
        take(&file, texts[i]);
        memcpy(seen[i], file.definition, sizeof seen[i]);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(seen[i], seen[j]);
        }
        el_sql_file_free(&file);
    }
    take(&file, "-- a comment\n\n-- name: other\n-- topics: t\n-- on A\n\n\nDELETE FROM t WHERE a = :key;\n\n");
    assert_string_equal(file.definition, seen[0]);
    el_sql_file_free(&file);
}

TEST_TORTURE(sql_file, survives_every_failing_allocation)
{
    struct el_sql_file file = {.path = NULL};
    struct el_error err = {0};
    static const char text[] = HEAD "-- filter: {}\n-- setup\nSELECT 1;\n-- on A\nSELECT :key, :data.x;\nSELECT 2;\n";
    int rc = el_sql_file_read(&file, "f.sql", text, sizeof text - 1, &err);
    if (!el_test_failing()) {
        assert_int_equal(rc, 0);
    } else if (rc != 0) {
        assert_int_equal(rc, EVLOG_ERR_NO_MEMORY);
    }
    el_sql_file_free(&file);
}
