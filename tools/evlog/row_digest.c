/* SPDX-License-Identifier: Apache-2.0 */
#include "row_digest.h"

#include <core/crypto.h>
#include <core/json_writer.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define HASH_LEN 32u

enum value_type { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

static int fail(sqlite3 *db, int code, struct evlog_failure *failure)
{
    failure->code = code;
    (void)snprintf(failure->text, sizeof failure->text, "%s",
                   code == EVLOG_ERR_NO_MEMORY ? "no memory for the rows of a table" : sqlite3_errmsg(db));
    return code;
}

static void add_number(struct el_sha256 *ctx, uint64_t number)
{
    uint8_t bytes[8];
    el_put_be64(bytes, number);
    el_sha256_add(ctx, bytes, sizeof bytes);
}

static void add_bytes(struct el_sha256 *ctx, const void *data, size_t len)
{
    add_number(ctx, len);
    el_sha256_add(ctx, data, len);
}

static void add_value(struct el_sha256 *ctx, sqlite3_stmt *row, int column)
{
    uint8_t type = VALUE_NULL;
    uint64_t number = 0;
    const void *data = NULL;
    double real;
    switch (sqlite3_column_type(row, column)) {
    case SQLITE_INTEGER:
        type = VALUE_INT;
        number = (uint64_t)sqlite3_column_int64(row, column);
        break;
    case SQLITE_FLOAT:
        type = VALUE_REAL;
        real = sqlite3_column_double(row, column);
        memcpy(&number, &real, sizeof number);
        break;
    case SQLITE_TEXT:
        type = VALUE_TEXT;
        data = sqlite3_column_text(row, column);
        break;
    case SQLITE_BLOB:
        type = VALUE_BLOB;
        data = sqlite3_column_blob(row, column);
        break;
    default:
        break;
    }
    el_sha256_add(ctx, &type, 1);
    if (type == VALUE_INT || type == VALUE_REAL) {
        add_number(ctx, number);
    } else if (type != VALUE_NULL) {
        int len = sqlite3_column_bytes(row, column);
        add_bytes(ctx, len == 0 ? "" : data, (size_t)len);
    }
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, HASH_LEN);
}

/* The hashes of all rows, sorted. returns 0 | EVLOG_ERR_DATABASE | _NO_MEMORY */
static int hash_rows(sqlite3_stmt *statement, struct el_buffer *hashes)
{
    int columns = sqlite3_column_count(statement), rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct el_sha256 ctx;
        uint8_t *hash = el_buffer_room(hashes, HASH_LEN);
        if (hash == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        el_sha256_begin(&ctx);
        for (int i = 0; i < columns; i++) {
            add_value(&ctx, statement, i);
        }
        el_sha256_end(&ctx, hash);
    }
    if (hashes->len > 0) {
        qsort(hashes->data, hashes->len / HASH_LEN, HASH_LEN, by_bytes);
    }
    return rc == SQLITE_DONE ? 0 : rc == SQLITE_NOMEM ? EVLOG_ERR_NO_MEMORY : EVLOG_ERR_DATABASE;
}

static void put_line(struct el_buffer *out, const char *name, sqlite3_stmt *statement, const struct el_buffer *hashes)
{
    struct el_sha256 ctx;
    uint8_t digest[HASH_LEN];
    char hex[2 * HASH_LEN + 1];
    struct el_json_writer w;
    el_sha256_begin(&ctx);
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
        const char *column = sqlite3_column_name(statement, i);
        out->err = column == NULL ? EVLOG_ERR_NO_MEMORY : out->err;
        add_bytes(&ctx, column == NULL ? "" : column, column == NULL ? 0 : strlen(column));
    }
    el_sha256_add(&ctx, hashes->data, hashes->len);
    el_sha256_end(&ctx, digest);
    el_hex(hex, digest, sizeof digest);
    el_buffer_printf(out, "table %zu %s ", hashes->len / HASH_LEN, hex);
    el_json_writer_init(&w, out);
    el_json_put_str(&w, name);
    if (el_json_writer_end(&w) != 0) {
        out->err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(out, '\n');
}

static int digest_table(sqlite3 *db, const char *name, struct el_buffer *out)
{
    struct el_buffer hashes = {0};
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT * FROM \"%w\"", name);
    int code = sql == NULL                                                      ? EVLOG_ERR_NO_MEMORY
               : sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ? EVLOG_ERR_DATABASE
                                                                                : 0;
    code = code == 0 ? hash_rows(statement, &hashes) : code;
    if (code == 0) {
        put_line(out, name, statement, &hashes);
        code = out->err;
    }
    (void)sqlite3_finalize(statement);
    sqlite3_free(sql);
    el_buffer_free(&hashes);
    return code;
}

int row_digest(struct evlog_sql_driver *driver, struct el_buffer *out, uint64_t *tables, struct evlog_failure *failure)
{
    sqlite3 *db = evlog_sqlite_handle(driver);
    sqlite3_stmt *names = NULL;
    int rc, code = 0;
    *tables = 0;
    if (sqlite3_prepare_v2(db,
                           "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'evlog_replay' AND "
                           "substr(name, 1, 7) <> 'sqlite_' ORDER BY name COLLATE BINARY",
                           -1, &names, NULL) != SQLITE_OK) {
        return fail(db, EVLOG_ERR_DATABASE, failure);
    }
    while (code == 0 && (rc = sqlite3_step(names)) != SQLITE_DONE) {
        code = rc == SQLITE_ROW ? digest_table(db, (const char *)sqlite3_column_text(names, 0), out)
                                : EVLOG_ERR_DATABASE;
        *tables += code == 0;
    }
    code = code == 0 ? 0 : fail(db, code, failure);
    (void)sqlite3_finalize(names);
    return code;
}
