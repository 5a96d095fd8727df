/* SPDX-License-Identifier: Apache-2.0
 *
 * --db: the database of projections. sqlite:FILE, or postgres://USER@HOST/DATABASE.
 */
#ifndef EVLOG_TOOLS_PROJECT_DB_H
#define EVLOG_TOOLS_PROJECT_DB_H

#include "cli.h"

#include <evlog/projection_sql.h>

/* Open a database.
 *
 * db       what --db said, or NULL
 * create   make it when it is not there
 * store    written on success; evlog_projection_store_close()
 * returns  CLI_OK | exit code, told
 */
int project_db_open(const struct cli *cli, const char *db, bool create, struct evlog_projection_store **store);
/* Read a projection's file. returns CLI_OK | exit code, told */
int project_file_read(const struct cli *cli, const char *path, struct evlog_sql_projection **file);

#endif
