/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tables of a SQLite database hold, as one line for each: so that two databases made of the same events can be
 * compared, and others can compute it (docs/archive.md, Attesting).
 *
 *   row     each value: its type, then a number or bytes
 *               0 null   1 integer, i64   2 real, 8 bytes of IEEE 754   3 text, 4 blob: u64 length, bytes
 *   table   SHA-256( for each column: u64 length, name | the SHA-256 of each row, in ascending order )
 *
 * All numbers are big-endian. The order of rows in the file means nothing.
 */
#ifndef EVLOG_TOOLS_ROW_DIGEST_H
#define EVLOG_TOOLS_ROW_DIGEST_H

#include <core/buffer.h>
#include <evlog/sqlite.h>

/* Append a line for each table, by name: "table ROWS DIGEST NAME", the name as a JSON string. Left out are SQLite's own
 * tables and evlog_replay. Memory: 32 bytes a row of a table.
 *
 * driver   of evlog_sqlite_open()
 * tables   how many there are
 * returns  0 | EVLOG_ERR_DATABASE | EVLOG_ERR_NO_MEMORY
 */
int row_digest(struct evlog_sql_driver *driver, struct el_buffer *out, uint64_t *tables, struct evlog_failure *failure);

#endif
