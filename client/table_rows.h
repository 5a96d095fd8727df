/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of a table: the last event of each key, within a bound of memory. Knows no broker. One thread.
 */
#ifndef EL_CLIENT_TABLE_ROWS_H
#define EL_CLIENT_TABLE_ROWS_H

#include <core/map.h>
#include <evlog/event.h>

struct el_table_row; /* one key; see table_rows.c */

struct el_table_rows {
    struct el_map map;            /* key -> row */
    struct el_table_row **sorted; /* [map.count] by key while is_sorted */
    bool is_sorted;
    bool with_headers;
    uint64_t memory_len, memory_max; /* bytes; memory_max 0: no bound */
};

/* A change that was made; what was there before lives until el_table_settle(). */
struct el_table_change {
    const struct evlog_event *before, *after; /* NULL: none */
    struct el_table_row *gone;                /* key that was removed */
    void *old;                                /* value that was replaced or removed */
};

void el_table_rows_init(struct el_table_rows *rows, uint64_t memory_max, bool with_headers);
void el_table_rows_free(struct el_table_rows *rows);
/* Take an event with a key in. An older one, by append time, of another partition than the row's changes nothing.
 *
 * change   written on success; both NULL: nothing has changed
 * returns  0 | EVLOG_ERR_LIMIT it does not fit | EVLOG_ERR_NO_MEMORY; the rows are as they were
 */
int el_table_apply(struct el_table_rows *rows, const struct evlog_event *event, struct el_table_change *change);
/* Free what the change has left over. */
void el_table_settle(struct el_table_change *change);
const struct evlog_event *el_table_get(const struct el_table_rows *rows, struct el_slice key);
/* The row with the lowest key above after (data NULL: the lowest). returns 1 | 0 | EVLOG_ERR_NO_MEMORY */
int el_table_next(struct el_table_rows *rows, struct el_slice after, const struct evlog_event **row);

#endif
