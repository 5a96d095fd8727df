/* SPDX-License-Identifier: Apache-2.0
 *
 * PostgreSQL as the store of projections; in libevlog-postgres, which loads libpq when the first connection is opened.
 * Since 1.0.
 */
#ifndef EVLOG_POSTGRES_H
#define EVLOG_POSTGRES_H

#include <evlog/projection_sql.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Connect.
 *
 * url      as libpq takes it: postgres://USER@HOST:PORT/DATABASE, or key=value words
 * driver   written on success; evlog_sql_store_open() takes it over
 * returns  0 | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_DATABASE no schema to make tables in | EVLOG_ERR_UNSUPPORTED libpq is
 *          not installed
 */
int evlog_postgres_open(const char *url, struct evlog_sql_driver **driver, struct evlog_failure *failure);
/* The PGconn of such a driver, for handlers that call libpq themselves. */
void *evlog_postgres_handle(struct evlog_sql_driver *driver);

#ifdef __cplusplus
}
#endif
#endif
