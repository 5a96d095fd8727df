/* SPDX-License-Identifier: Apache-2.0
 *
 * Digests of tables. Goal: equal rows give equal lines whatever the order they came in, and any other value, type, name
 * or number of rows another one. Method: databases made by SQL, compared with one another; one digest made by hand.
 */
#include "../../../tools/evlog/row_digest.h"
#include "../../lib/test.h"

#include <core/crypto.h>
#include <evlog/sqlite.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Lines of a database that the SQL makes; *tables as told. */
static const char *lines_of(const char *sql, struct el_buffer *out, uint64_t *tables)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver;
    char path[300];
    (void)snprintf(path, sizeof path, "%s/rows.db", el_test_dir());
    if (evlog_sqlite_open(path, true, &driver, &failure) != 0 || driver->script(driver, sql, NULL, &failure) != 0 ||
        row_digest(driver, out, tables, &failure) != 0) {
        fail_msg("%s: %s", sql, failure.text);
    }
    driver->close(driver, true);
    return el_buffer_text(out);
}

static bool same(const char *a, const char *b)
{
    struct el_buffer first = {0}, second = {0};
    uint64_t tables = 0;
    bool equal = strcmp(lines_of(a, &first, &tables), lines_of(b, &second, &tables)) == 0;
    el_buffer_free(&first);
    el_buffer_free(&second);
    return equal;
}

#define MADE "CREATE TABLE t (a, b);"

TEST(row_digest, the_order_of_rows_means_nothing)
{
    assert_true(same(MADE "INSERT INTO t VALUES (1, 'x'), (2, NULL), (2, NULL)",
                     MADE "INSERT INTO t VALUES (2, NULL), (1, 'x'), (2, NULL)"));
}

TEST(row_digest, another_value_gives_another)
{
    static const char *const others[] = {
        MADE,
        MADE "INSERT INTO t VALUES (1, 'y')",
        MADE "INSERT INTO t VALUES (1.0, 'x')",
        MADE "INSERT INTO t VALUES ('1', 'x')",
        MADE "INSERT INTO t VALUES (1, x'78')",
        MADE "INSERT INTO t VALUES (1, NULL)",
        MADE "INSERT INTO t VALUES ('x', 1)",
        MADE "INSERT INTO t VALUES (1, 'x'), (1, 'x')",
        "CREATE TABLE t (a, c); INSERT INTO t VALUES (1, 'x')",
        "CREATE TABLE u (a, b); INSERT INTO u VALUES (1, 'x')",
        MADE "INSERT INTO t VALUES (1, 'x'); CREATE TABLE u (a)",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (same(MADE "INSERT INTO t VALUES (1, 'x')", others[i])) {
            fail_msg("%s", others[i]);
        }
    }
}

TEST(row_digest, tables_come_by_name_without_those_of_others)
{
    struct el_buffer out = {0};
    uint64_t tables = 0;
    const char *text = lines_of(
        "CREATE TABLE b (x); CREATE TABLE \"a \"\"\n\" (x); CREATE TABLE B2 (n INTEGER PRIMARY KEY "
        "AUTOINCREMENT); CREATE TABLE evlog_replay (x); INSERT INTO B2 VALUES (7)",
        &out, &tables);
    assert_int_equal(tables, 3);
    assert_memory_equal(text, "table 1 ", 8);
    assert_non_null(strstr(text, " \"B2\"\ntable 0 "));
    assert_non_null(strstr(text, " \"a \\\"\\n\"\ntable 0 "));
    assert_string_equal(text + strlen(text) - 5, " \"b\"\n");
    el_buffer_free(&out);
}

TEST(row_digest, is_what_the_document_says)
{
    static const uint8_t row[] = {1, 0, 0, 0, 0, 0, 0, 0, 7, 3, 0, 0, 0, 0, 0, 0, 0, 2, 'h', 'i'};
    static const uint8_t columns[] = {0, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 0, 0, 0, 0, 0, 1, 'b'};
    uint8_t all[sizeof columns + 32], digest[32];
    char hex[65], line[100];
    struct el_buffer out = {0};
    uint64_t tables = 0;
    memcpy(all, columns, sizeof columns);
    el_sha256(row, sizeof row, all + sizeof columns);
    el_sha256(all, sizeof all, digest);
    el_hex(hex, digest, sizeof digest);
    (void)snprintf(line, sizeof line, "table 1 %s \"t\"\n", hex);
    assert_string_equal(lines_of(MADE "INSERT INTO t VALUES (7, 'hi')", &out, &tables), line);
    el_buffer_free(&out);
}
