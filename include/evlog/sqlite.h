/* SPDX-License-Identifier: Apache-2.0
 *
 * SQLite as the store of projections; in libevlog-sqlite. Since 1.0.
 */
#ifndef EVLOG_SQLITE_H
#define EVLOG_SQLITE_H

#include <evlog/projection_sql.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Open a database file, made when it is not there, in WAL mode: readers never wait for a projection.
 *
 * path     NUL-terminated
 * create   false: refuse a file that is not there
 * driver   written on success; evlog_sql_store_open() takes it over
 * returns  0 | EVLOG_ERR_NOT_FOUND | EVLOG_ERR_DATABASE not a database, or no access | EVLOG_ERR_LOCKED
 */
int evlog_sqlite_open(const char *path, bool create, struct evlog_sql_driver **driver, struct evlog_failure *failure);
/* The sqlite3 handle of such a driver, for handlers that call SQLite themselves. */
void *evlog_sqlite_handle(struct evlog_sql_driver *driver);

#ifdef __cplusplus
}
#endif
#endif
