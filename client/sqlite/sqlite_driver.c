/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite behind the interface of SQL drivers.
 *
 * The file is in WAL mode: who reads it never waits for a projection, nor holds one up. A commit is not synced one by
 * one (synchronous=NORMAL): after a loss of power the last transactions may be missing, rows and checkpoint together,
 * and are applied again.
 *
 * What SQLite says becomes one of four kinds: held by somebody else (try later), at fault itself (table gone, disk
 * full), the values' fault (a constraint, a type), or a wrong statement.
 */
#include "sqlite_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <stdio.h>
#include <unistd.h>

#define BUSY_MS 2000 /* how long SQLite itself waits; the engine tries again */

/* --- failures ----------------------------------------------------------------------------------------------------- */

static bool names_a_thing(const char *text)
{
    return strncmp(text, "no such table", 13) == 0 || strncmp(text, "no such column", 14) == 0 ||
           strncmp(text, "no such view", 12) == 0 || strstr(text, "has no column named") != NULL ||
           (strncmp(text, "table ", 6) == 0 && strstr(text, " columns but ") != NULL);
}

int el_sqlite_fail(struct el_sqlite *sqlite, int rc, struct evlog_failure *failure)
{
    const char *text = sqlite->db == NULL ? sqlite3_errstr(rc) : sqlite3_errmsg(sqlite->db);
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        (void)el_fail(failure, EVLOG_ERR_LOCKED, "%s: another program holds the database: %s", sqlite->path, text);
        el_fail_hint(failure, "close what writes to it, or give the projection a file of its own");
        return EVLOG_ERR_LOCKED;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE:
        return el_fail(failure, EVLOG_ERR_INVALID_RECORD, "%s", text);
    case SQLITE_NOMEM:
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for SQLite");
    case SQLITE_ERROR:
        if (names_a_thing(text)) {
            (void)el_fail(failure, EVLOG_ERR_DATABASE, "%s: %s", sqlite->path, text);
            el_fail_hint(failure, "what the setup made was changed or removed: --rebuild makes it anew");
            return EVLOG_ERR_DATABASE;
        }
        return el_fail(failure, EVLOG_ERR_MALFORMED, "%s", text);
    case SQLITE_AUTH:
        return el_fail(failure, EVLOG_ERR_MALFORMED, "transactions and ATTACH are evlog's here: leave them out");
    case SQLITE_FULL:
        return el_fail(failure, EVLOG_ERR_DATABASE, "%s: %s", sqlite->path, text);
    default:
        (void)el_fail(failure, EVLOG_ERR_DATABASE, "%s: %s", sqlite->path, text);
        el_fail_hint(failure, "check the file and its folder: owner, rights, room on the disk");
        return EVLOG_ERR_DATABASE;
    }
}

int el_sqlite_exec(struct el_sqlite *sqlite, const char *sql, struct evlog_failure *failure)
{
    int rc = sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : el_sqlite_fail(sqlite, rc, failure);
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

static int driver_begin(struct evlog_sql_driver *driver, struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    EL_ASSERT(sqlite3_get_autocommit(sqlite->db) != 0);
    return el_sqlite_exec(sqlite, "BEGIN IMMEDIATE", failure);
}

static int driver_commit(struct evlog_sql_driver *driver, struct evlog_failure *failure)
{
    return el_sqlite_exec(el_sqlite_of(driver), "COMMIT", failure);
}

static void driver_rollback(struct evlog_sql_driver *driver)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    if (sqlite3_get_autocommit(sqlite->db) == 0) {
        (void)el_sqlite_exec(sqlite, "ROLLBACK", NULL);
    }
}

/* --- statements --------------------------------------------------------------------------------------------------- */

static int authorize(void *arg, int action, const char *a, const char *b, const char *database, const char *trigger)
{
    const struct el_sqlite *sqlite = arg;
    bool ours = action == SQLITE_TRANSACTION || action == SQLITE_SAVEPOINT || action == SQLITE_ATTACH ||
                action == SQLITE_DETACH;
    (void)a;
    (void)b;
    (void)database;
    (void)trigger;
    return sqlite->guarded && ours ? SQLITE_DENY : SQLITE_OK;
}

static int compile(struct el_sqlite *sqlite, const char *sql, sqlite3_stmt **statement, const char **tail)
{
    sqlite->guarded = true;
    int rc = sqlite3_prepare_v3(sqlite->db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, tail);
    sqlite->guarded = false;
    return rc;
}

static void tell_pos(struct el_sqlite *sqlite, size_t before, size_t *error_pos)
{
    int offset = sqlite3_error_offset(sqlite->db);
    if (error_pos != NULL) {
        *error_pos = before + (offset < 0 ? 0 : (size_t)offset);
    }
}

static int driver_script(struct evlog_sql_driver *driver, const char *sql, size_t *error_pos,
                         struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    const char *p = sql;
    while (*p != '\0') {
        p += strspn(p, " \t\r\n;");
        sqlite3_stmt *statement = NULL;
        const char *tail = p;
        int rc = compile(sqlite, p, &statement, &tail);
        if (rc == SQLITE_OK && statement != NULL) {
            do {
                rc = sqlite3_step(statement);
            } while (rc == SQLITE_ROW);
            rc = rc == SQLITE_DONE ? SQLITE_OK : rc;
        }
        if (rc != SQLITE_OK) {
            tell_pos(sqlite, (size_t)(p - sql), error_pos);
            int code = el_sqlite_fail(sqlite, rc, failure);
            (void)sqlite3_finalize(statement);
            return code;
        }
        (void)sqlite3_finalize(statement);
        p = tail;
    }
    return 0;
}

static int driver_prepare(struct evlog_sql_driver *driver, const char *sql, size_t value_count, void **statement,
                          size_t *error_pos, struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    sqlite3_stmt *fresh = NULL;
    const char *tail;
    int rc = compile(sqlite, sql, &fresh, &tail);
    if (rc != SQLITE_OK) {
        tell_pos(sqlite, 0, error_pos);
        return el_sqlite_fail(sqlite, rc, failure);
    }
    if (fresh == NULL || (size_t)sqlite3_bind_parameter_count(fresh) != value_count) {
        (void)sqlite3_finalize(fresh);
        return el_fail(failure, EVLOG_ERR_MALFORMED,
                       "the statement has a parameter of its own (?, @, $): values of the event are :key, :data.field");
    }
    *statement = fresh;
    return 0;
}

static void driver_finish(struct evlog_sql_driver *driver, void *statement)
{
    (void)driver;
    (void)sqlite3_finalize(statement);
}

static int bind(sqlite3_stmt *statement, int index, const struct evlog_sql_value *value)
{
    const void *data = value->bytes.len == 0 ? "" : value->bytes.data;
    switch (value->kind) {
    case EVLOG_SQL_NULL:
        return sqlite3_bind_null(statement, index);
    case EVLOG_SQL_INT:
    case EVLOG_SQL_BOOL:
        return sqlite3_bind_int64(statement, index, value->number);
    case EVLOG_SQL_REAL:
        return sqlite3_bind_double(statement, index, value->real);
    case EVLOG_SQL_TEXT:
        return sqlite3_bind_text64(statement, index, data, value->bytes.len, SQLITE_STATIC, SQLITE_UTF8);
    case EVLOG_SQL_BYTES:
        return sqlite3_bind_blob64(statement, index, data, value->bytes.len, SQLITE_STATIC);
    }
    return SQLITE_RANGE;
}

static void read_column(sqlite3_stmt *statement, int index, struct evlog_sql_value *value)
{
    *value = (struct evlog_sql_value){.kind = EVLOG_SQL_NULL};
    switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
        value->kind = EVLOG_SQL_INT;
        value->number = sqlite3_column_int64(statement, index);
        break;
    case SQLITE_FLOAT:
        value->kind = EVLOG_SQL_REAL;
        value->real = sqlite3_column_double(statement, index);
        break;
    case SQLITE_TEXT:
        value->kind = EVLOG_SQL_TEXT;
        value->bytes.data = sqlite3_column_text(statement, index);
        value->bytes.len = (size_t)sqlite3_column_bytes(statement, index);
        break;
    case SQLITE_BLOB:
        value->kind = EVLOG_SQL_BYTES;
        value->bytes.data = sqlite3_column_blob(statement, index);
        value->bytes.len = (size_t)sqlite3_column_bytes(statement, index);
        break;
    default:
        break;
    }
}

#define COLUMN_MAX 32

static int tell_row(sqlite3_stmt *statement, evlog_sql_row_fn fn, void *arg)
{
    struct evlog_sql_value columns[COLUMN_MAX];
    int count = EL_MIN(sqlite3_column_count(statement), COLUMN_MAX);
    for (int i = 0; i < count; i++) {
        read_column(statement, i, &columns[i]);
    }
    return fn == NULL ? 0 : fn(arg, columns, (size_t)count);
}

/* A plain error of a statement that runs: is it the schema's, or the values'? Compiling it once more tells. */
static int fail_of_run(struct el_sqlite *sqlite, sqlite3_stmt *statement, int rc, struct evlog_failure *failure)
{
    if ((rc & 0xff) != SQLITE_ERROR) {
        return el_sqlite_fail(sqlite, rc, failure);
    }
    sqlite3_stmt *again = NULL;
    char text[400];
    (void)snprintf(text, sizeof text, "%s", sqlite3_errmsg(sqlite->db));
    int compiled = compile(sqlite, sqlite3_sql(statement), &again, NULL);
    (void)sqlite3_finalize(again);
    if (compiled != SQLITE_OK) {
        (void)el_fail(failure, EVLOG_ERR_DATABASE, "%s: %s", sqlite->path, text);
        el_fail_hint(failure, "what the setup made was changed or removed: --rebuild makes it anew");
        return EVLOG_ERR_DATABASE;
    }
    return el_fail(failure, EVLOG_ERR_INVALID_RECORD, "%s", text);
}

static int driver_run(struct evlog_sql_driver *driver, void *prepared, const struct evlog_sql_value *values,
                      size_t value_count, evlog_sql_row_fn fn, void *arg, int64_t *changed,
                      struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    sqlite3_stmt *statement = prepared;
    int rc = SQLITE_OK, code = 0;
    int64_t before = sqlite3_total_changes64(sqlite->db);
    for (size_t i = 0; rc == SQLITE_OK && i < value_count; i++) {
        rc = bind(statement, (int)i + 1, &values[i]);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(statement);
        while (rc == SQLITE_ROW && code == 0) {
            code = tell_row(statement, fn, arg);
            rc = code == 0 ? sqlite3_step(statement) : rc;
        }
    }
    if (code == 0 && rc != SQLITE_DONE) {
        code = fail_of_run(sqlite, statement, rc, failure);
    }
    (void)sqlite3_reset(statement);
    (void)sqlite3_clear_bindings(statement);
    if (code == 0 && changed != NULL) {
        *changed = sqlite3_total_changes64(sqlite->db) - before;
    }
    return code;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void driver_close(struct evlog_sql_driver *driver, bool drop)
{
    struct el_sqlite *sqlite = el_sqlite_of(driver);
    (void)sqlite3_close_v2(sqlite->db);
    if (drop) {
        el_sqlite_unlink(sqlite->path);
    }
    el_free(sqlite->path);
    el_free(sqlite);
}

static int one_column(void *arg, int count, char **values, char **names)
{
    char *text = arg;
    (void)names;
    if (count == 1 && values[0] != NULL) {
        (void)snprintf(text, 16, "%s", values[0]);
    }
    return 0;
}

/* Learn that it is a database, and set how it is written. */
static int settle(struct el_sqlite *sqlite, struct evlog_failure *failure)
{
    char mode[16] = "";
    (void)sqlite3_extended_result_codes(sqlite->db, 1);
    (void)sqlite3_busy_timeout(sqlite->db, BUSY_MS);
    int rc = sqlite3_set_authorizer(sqlite->db, authorize, sqlite);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(sqlite->db, "PRAGMA journal_mode = WAL", one_column, mode, NULL);
    }
    if (rc == SQLITE_OK && strcmp(mode, "wal") == 0) {
        rc = sqlite3_exec(sqlite->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
    }
    return rc == SQLITE_OK ? 0 : el_sqlite_fail(sqlite, rc, failure);
}

static const struct evlog_sql_driver calls = {
    .name = "sqlite",
    .bytes_type = "BLOB",
    .now_ms = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    .row_lock = "",
    .own_prefix = "main.",
    .begin = driver_begin,
    .commit = driver_commit,
    .rollback = driver_rollback,
    .script = driver_script,
    .prepare = driver_prepare,
    .run = driver_run,
    .finish = driver_finish,
    .stage = el_sqlite_stage,
    .join = el_sqlite_join,
    .part = el_sqlite_part,
    .replace = el_sqlite_replace,
    .tables = el_sqlite_tables,
    .close = driver_close,
};

int evlog_sqlite_open(const char *path, bool create, struct evlog_sql_driver **driver, struct evlog_failure *failure)
{
    struct el_sqlite *sqlite = el_calloc(1, sizeof *sqlite);
    if (sqlite == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a database");
    }
    sqlite->base = calls;
    sqlite->path = el_strdup(path);
    if (sqlite->path == NULL) {
        el_free(sqlite);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a database");
    }
    int rc;
    if (!create && access(path, F_OK) != 0) {
        rc = el_fail(failure, EVLOG_ERR_NOT_FOUND, "there is no database %s", path);
        el_fail_hint(failure, "evlog project run makes it");
    } else {
        int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (create ? SQLITE_OPEN_CREATE : 0);
        rc = sqlite3_open_v2(path, &sqlite->db, flags, NULL);
        rc = rc == SQLITE_OK ? settle(sqlite, failure) : el_sqlite_fail(sqlite, rc, failure);
    }
    if (rc != 0) {
        driver_close(&sqlite->base, false);
        return rc;
    }
    *driver = &sqlite->base;
    return 0;
}

void *evlog_sqlite_handle(struct evlog_sql_driver *driver)
{
    EL_ASSERT(driver->begin == driver_begin);
    return el_sqlite_of(driver)->db;
}
