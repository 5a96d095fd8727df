/* SPDX-License-Identifier: Apache-2.0
 *
 * Projections in SQL: a file of statements per event type, and a store over any SQL database that a driver speaks to.
 *
 * The drivers for SQLite and PostgreSQL are libraries of their own (evlog/sqlite.h, evlog/postgres.h), so that a
 * program links only what it uses. Thread safety: as evlog/projection.h. Since 1.0.
 */
#ifndef EVLOG_PROJECTION_SQL_H
#define EVLOG_PROJECTION_SQL_H

#include <evlog/projection.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- drivers ------------------------------------------------------------------------------------------------------ */

enum evlog_sql_kind {
    EVLOG_SQL_NULL,
    EVLOG_SQL_INT,
    EVLOG_SQL_REAL,
    EVLOG_SQL_BOOL,
    EVLOG_SQL_TEXT,  /* UTF-8 without NUL bytes */
    EVLOG_SQL_BYTES, /* anything */
};
struct evlog_sql_value {
    enum evlog_sql_kind kind;
    int64_t number; /* of an integer or a bool */
    double real;
    struct evlog_bytes bytes; /* of text and bytes; borrowed */
};
/* One row of an answer; anything but 0 ends the statement with that code. */
typedef int (*evlog_sql_row_fn)(void *arg, const struct evlog_sql_value *columns, size_t column_count);

/* One connection to a database. Functions return 0 or a negative code: EVLOG_ERR_LOCKED held by somebody else just now,
 * EVLOG_ERR_UNREACHABLE the connection is lost (the next begin() tries anew), EVLOG_ERR_DATABASE the database is at
 * fault (table gone, disk full), EVLOG_ERR_INVALID_RECORD the values are (a constraint, a type). Parameters are $1, $2,
 * ..., each used once, in order. */
struct evlog_sql_driver {
    const char *name;       /* "sqlite" */
    const char *bytes_type; /* SQL type of any bytes */
    const char *now_ms;     /* SQL for the database's time, ms since 1970 */
    const char *row_lock;   /* behind SELECT: "FOR UPDATE", or empty */
    const char *own_prefix; /* of tables that are not staged, while both are visible; may be empty */
    int (*begin)(struct evlog_sql_driver *driver, struct evlog_failure *failure);
    int (*commit)(struct evlog_sql_driver *driver, struct evlog_failure *failure);
    void (*rollback)(struct evlog_sql_driver *driver);
    /* Run statements without parameters. error_pos: byte in sql where the fault lies, SIZE_MAX unknown; or NULL */
    int (*script)(struct evlog_sql_driver *driver, const char *sql, size_t *error_pos, struct evlog_failure *failure);
    /* Prepare one statement with value_count parameters. EVLOG_ERR_MALFORMED: it is wrong, or has others;
     * EVLOG_ERR_DATABASE: a table or column is not there */
    int (*prepare)(struct evlog_sql_driver *driver, const char *sql, size_t value_count, void **statement,
                   size_t *error_pos, struct evlog_failure *failure);
    /* Run it. changed: rows written, or NULL; fn NULL: rows are not wanted */
    int (*run)(struct evlog_sql_driver *driver, void *statement, const struct evlog_sql_value *values,
               size_t value_count, evlog_sql_row_fn fn, void *arg, int64_t *changed, struct evlog_failure *failure);
    void (*finish)(struct evlog_sql_driver *driver, void *statement);
    /* Until the present transaction ends, an answer that nobody asks for (no fn, no changed) need not be waited for:
     * what is wrong with a statement may be told by a later call. NULL: every answer is waited for. */
    void (*hurry)(struct evlog_sql_driver *driver);
    /* Wait for those answers. NULL together with hurry. */
    int (*settle)(struct evlog_sql_driver *driver, struct evlog_failure *failure);
    /* Another connection, to a place beside; fresh: emptied first. */
    int (*stage)(struct evlog_sql_driver *driver, const char *suffix, bool fresh, struct evlog_sql_driver **staged,
                 struct evlog_failure *failure);
    /* Make what staged holds visible to driver as <prefix>table, before a transaction; undone by part(). */
    int (*join)(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, const char **prefix,
                struct evlog_failure *failure);
    void (*part)(struct evlog_sql_driver *driver);
    /* Inside a transaction, joined: put the staged tables, but those named evlog_projection*, where those of the same
     * names are. EVLOG_ERR_CONFLICT: something that is not staged depends on them. */
    int (*replace)(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, struct evlog_failure *failure);
    /* Inside a transaction, joined: tell the tables that are staged, but those named evlog_projection*. */
    int (*tables)(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged,
                  int (*fn)(void *arg, const char *table), void *arg, struct evlog_failure *failure);
    /* Another connection to the same place; NULL: the database has one writer. */
    int (*again)(struct evlog_sql_driver *driver, struct evlog_sql_driver **other, struct evlog_failure *failure);
    const char *one_moment; /* SQL behind the beginning of a transaction that is to see one moment, or NULL */
    /* Close; drop: remove a staged place. */
    void (*close)(struct evlog_sql_driver *driver, bool drop);
};

/* A store over a driver, which it takes over on success. Makes the tables evlog_projection, evlog_projection_position
 * and evlog_projection_stream when they are not there.
 *
 * store    written on success; close with evlog_projection_store_close()
 */
int evlog_sql_store_open(struct evlog_sql_driver *driver, struct evlog_projection_store **store,
                         struct evlog_failure *failure);
/* The driver of such a store, for handlers that run statements of their own. */
struct evlog_sql_driver *evlog_sql_store_driver(struct evlog_projection_store *store);

/* --- files -------------------------------------------------------------------------------------------------------- */

/* A projection written in SQL; docs/projections.md describes the file. */
struct evlog_sql_projection;

/* Read a file's text. Blocks on nothing.
 *
 * path     for messages
 * text     len bytes, copied
 * file     written on success; free with evlog_sql_projection_free()
 * returns  0 | EVLOG_ERR_MALFORMED with path:line in the text | EVLOG_ERR_LIMIT | EVLOG_ERR_NO_MEMORY
 */
int evlog_sql_projection_parse(const char *path, const void *text, size_t len, struct evlog_sql_projection **file,
                               struct evlog_failure *failure);
const char *evlog_sql_projection_name(const struct evlog_sql_projection *file);
/* Fill name, topics, filters, definition, callbacks and count_versions of options; the rest stays. The file must
 * outlive the projection and may serve one at a time. */
void evlog_sql_projection_options(struct evlog_sql_projection *file, struct evlog_projection_options *options);
/* Open sealed fields with a key store, which must outlive the projection; NULL: none, and a statement that asks for a
 * sealed field ends the run with EVLOG_ERR_SEALED. */
void evlog_sql_projection_keys(struct evlog_sql_projection *file, struct evlog_key_store *keys);
void evlog_sql_projection_free(struct evlog_sql_projection *file);

#ifdef __cplusplus
}
#endif
#endif
