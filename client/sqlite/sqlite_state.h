/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a connection to a SQLite file.
 */
#ifndef EL_CLIENT_SQLITE_STATE_H
#define EL_CLIENT_SQLITE_STATE_H

#include "../fail.h"

#include <evlog/sqlite.h>
#include <sqlite3.h>

struct el_sqlite {
    struct evlog_sql_driver base;
    sqlite3 *db;
    char *path;
    bool guarded; /* statements of a user are compiled: transactions are the engine's */
};

static inline struct el_sqlite *el_sqlite_of(struct evlog_sql_driver *driver)
{
    return EL_CONTAINER(driver, struct el_sqlite, base);
}

/* --- sqlite_driver.c --- */

/* A failure out of what SQLite says of its last call. returns its code */
int el_sqlite_fail(struct el_sqlite *sqlite, int rc, struct evlog_failure *failure);
/* Run statements of ours. */
int el_sqlite_exec(struct el_sqlite *sqlite, const char *sql, struct evlog_failure *failure);

/* --- sqlite_places.c --- */

int el_sqlite_stage(struct evlog_sql_driver *driver, const char *suffix, bool fresh, struct evlog_sql_driver **staged,
                    struct evlog_failure *failure);
int el_sqlite_join(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, const char **prefix,
                   struct evlog_failure *failure);
void el_sqlite_part(struct evlog_sql_driver *driver);
int el_sqlite_replace(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, struct evlog_failure *failure);
int el_sqlite_tables(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged,
                     int (*fn)(void *arg, const char *table), void *arg, struct evlog_failure *failure);
/* Remove a database file and what lies beside it. */
void el_sqlite_unlink(const char *path);

#endif
