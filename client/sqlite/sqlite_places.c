/* SPDX-License-Identifier: Apache-2.0
 *
 * The place beside a SQLite file: another file next to it, FILE-next_NAME. It is attached for the swap, and its tables
 * are copied over in one transaction of the live file: a rename would pull the file away from under its readers.
 *
 * The swap is refused where it would lose something: an index or a trigger that the setup does not make.
 */
#include "sqlite_state.h"

#include <core/alloc.h>
#include <core/buffer.h>
#include <stdio.h>
#include <unistd.h>

#define PREFIX "evlog_staged"
#define OURS "name LIKE 'evlog\\_projection%%' ESCAPE '\\' OR name LIKE 'sqlite\\_%%' ESCAPE '\\'"

void el_sqlite_unlink(const char *path)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    struct el_buffer name = {0};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        el_buffer_reset(&name);
        el_buffer_printf(&name, "%s%s", path, suffixes[i]);
        const char *text = el_buffer_text(&name);
        if (text != NULL) {
            (void)unlink(text);
        }
    }
    el_buffer_free(&name);
}

int el_sqlite_stage(struct evlog_sql_driver *driver, const char *suffix, bool fresh, struct evlog_sql_driver **staged,
                    struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    struct el_buffer name = {0};
    if (strchr(sqlite->path, ':') == sqlite->path || sqlite->path[0] == '\0') {
        return el_fail(failure, EVLOG_ERR_UNSUPPORTED, "a database in memory has no place beside it");
    }
    el_buffer_printf(&name, "%s-%s", sqlite->path, suffix);
    const char *path = el_buffer_text(&name);
    int rc;
    if (path == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory");
    } else {
        if (fresh) {
            el_sqlite_unlink(path);
        }
        rc = evlog_sqlite_open(path, true, staged, failure);
    }
    el_buffer_free(&name);
    return rc;
}

/* Run one statement of ours, made as sqlite3_mprintf() does: %Q text, %w inside a quoted name. */
static int exec_format(struct el_sqlite *sqlite, struct evlog_failure *failure, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    if (sql == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for SQLite");
    }
    int rc = el_sqlite_exec(sqlite, sql, failure);
    sqlite3_free(sql);
    return rc;
}

int el_sqlite_join(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, const char **prefix,
                   struct evlog_failure *failure)
{
    *prefix = PREFIX ".";
    return exec_format(el_sqlite_of(driver), failure, "ATTACH %Q AS " PREFIX, el_sqlite_of(staged)->path);
}

void el_sqlite_part(struct evlog_sql_driver *driver)
{
    (void)el_sqlite_exec(el_sqlite_of(driver), "DETACH " PREFIX, NULL);
}

/* --- what is staged ----------------------------------------------------------------------------------------------- */

/* The answer of a query of up to three text columns, kept, since who walks it changes the schema. */
struct list {
    char ***rows; /* [count][3], owned */
    size_t count;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < 3; j++) {
            el_free(list->rows[i][j]);
        }
        el_free(list->rows[i]);
    }
    el_free(list->rows);
    *list = (struct list){.rows = NULL};
}

static int list_add(struct list *list, sqlite3_stmt *statement)
{
    char ***grown = el_realloc(list->rows, (list->count + 1) * sizeof *grown);
    if (grown == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    list->rows = grown;
    char **row = el_calloc(3, sizeof *row);
    if (row == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    list->rows[list->count++] = row;
    for (int j = 0; j < EL_MIN(3, sqlite3_column_count(statement)); j++) {
        const char *text = (const char *)sqlite3_column_text(statement, j);
        row[j] = el_strdup(text == NULL ? "" : text);
        if (row[j] == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
    }
    return 0;
}

static int ask(struct el_sqlite *sqlite, struct list *list, struct evlog_failure *failure, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *sql = sqlite3_vmprintf(format, args);
    va_end(args);
    sqlite3_stmt *statement = NULL;
    *list = (struct list){.rows = NULL};
    int rc = sql == NULL ? SQLITE_NOMEM : sqlite3_prepare_v2(sqlite->db, sql, -1, &statement, NULL);
    int code = 0;
    while (rc == SQLITE_OK && code == 0) {
        int step = sqlite3_step(statement);
        if (step != SQLITE_ROW) {
            rc = step == SQLITE_DONE ? SQLITE_DONE : step;
            break;
        }
        code = list_add(list, statement);
    }
    if (code != 0) {
        code = el_fail(failure, code, "no memory for the names of tables");
    } else if (rc != SQLITE_DONE) {
        code = el_sqlite_fail(sqlite, rc, failure);
    }
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    if (code != 0) {
        list_free(list);
    }
    return code;
}

int el_sqlite_tables(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged,
                     int (*fn)(void *arg, const char *table), void *arg, struct evlog_failure *failure)
{
    struct list list;
    (void)staged;
    int rc = ask(el_sqlite_of(driver), &list, failure,
                 "SELECT name FROM " PREFIX ".sqlite_master WHERE type = 'table' AND NOT (" OURS ") ORDER BY name");
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        rc = fn(arg, list.rows[i][0]);
    }
    list_free(&list);
    return rc;
}

/* --- replacing ---------------------------------------------------------------------------------------------------- */

/* An index or a trigger of the live table that is not staged would be lost with it. */
static int check_loss(struct el_sqlite *sqlite, const char *table, struct evlog_failure *failure)
{
    struct list list;
    int rc = ask(sqlite, &list, failure,
                 "SELECT type, name FROM main.sqlite_master WHERE tbl_name = %Q AND type IN ('index', 'trigger')"
                 " AND sql IS NOT NULL AND name NOT IN (SELECT name FROM " PREFIX ".sqlite_master)",
                 table);
    if (rc == 0 && list.count > 0) {
        rc = el_fail(failure, EVLOG_ERR_CONFLICT, "%s %s of table %s is not made by the setup and would be lost",
                     list.rows[0][0], list.rows[0][1], table);
        el_fail_hint(failure, "add it to the setup, or drop it first");
    }
    list_free(&list);
    return rc;
}

/* Copy the rows; generated columns make themselves. */
static int copy_rows(struct el_sqlite *sqlite, const char *table, struct evlog_failure *failure)
{
    struct list list;
    struct el_buffer columns = {0};
    int rc = ask(sqlite, &list, failure, "SELECT name FROM pragma_table_xinfo(%Q, '" PREFIX "') WHERE hidden = 0",
                 table);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        char *name = sqlite3_mprintf("%s\"%w\"", i == 0 ? "" : ", ", list.rows[i][0]);
        el_buffer_append_str(&columns, name == NULL ? "" : name);
        sqlite3_free(name);
    }
    const char *names = el_buffer_text(&columns);
    if (rc == 0 && names == NULL) {
        rc = el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for the names of columns");
    }
    if (rc == 0) {
        rc = exec_format(sqlite, failure, "INSERT INTO main.\"%w\" (%s) SELECT %s FROM " PREFIX ".\"%w\"", table, names,
                         names, table);
    }
    el_buffer_free(&columns);
    list_free(&list);
    return rc;
}

static int replace_table(struct el_sqlite *sqlite, const char *table, const char *sql, struct evlog_failure *failure)
{
    if (strncmp(sql, "CREATE VIRTUAL", 14) == 0) {
        return el_fail(failure, EVLOG_ERR_UNSUPPORTED, "virtual table %s cannot be put in another's place", table);
    }
    int rc = check_loss(sqlite, table, failure);
    rc = rc == 0 ? exec_format(sqlite, failure, "DROP TABLE IF EXISTS main.\"%w\"", table) : rc;
    rc = rc == 0 ? el_sqlite_exec(sqlite, sql, failure) : rc;
    return rc == 0 ? copy_rows(sqlite, table, failure) : rc;
}

/* Where numbers go on that AUTOINCREMENT has given. */
static int copy_sequences(struct el_sqlite *sqlite, struct evlog_failure *failure)
{
    struct list list;
    int rc = ask(sqlite, &list, failure, "SELECT name FROM " PREFIX ".sqlite_master WHERE name = 'sqlite_sequence'");
    if (rc == 0 && list.count > 0) {
        rc = el_sqlite_exec(sqlite,
                            "DELETE FROM main.sqlite_sequence WHERE name IN (SELECT name FROM " PREFIX
                            ".sqlite_sequence);"
                            "INSERT INTO main.sqlite_sequence SELECT name, seq FROM " PREFIX ".sqlite_sequence",
                            failure);
    }
    list_free(&list);
    return rc;
}

int el_sqlite_replace(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    struct list list;
    (void)staged;
    int rc = ask(sqlite, &list, failure,
                 "SELECT type, name, sql FROM " PREFIX ".sqlite_master WHERE sql IS NOT NULL AND NOT (" OURS ")"
                 " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid");
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        char **row = list.rows[i];
        if (strcmp(row[0], "table") == 0) {
            rc = replace_table(sqlite, row[1], row[2], failure);
            continue;
        }
        if (strcmp(row[0], "view") == 0) {
            rc = exec_format(sqlite, failure, "DROP VIEW IF EXISTS main.\"%w\"", row[1]);
        }
        rc = rc == 0 ? el_sqlite_exec(sqlite, row[2], failure) : rc;
    }
    rc = rc == 0 ? copy_sequences(sqlite, failure) : rc;
    list_free(&list);
    return rc;
}
