/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a store over a SQL database: sql_store.c does what every run needs, sql_store_swap.c what a rebuild and
 * a comparison need.
 */
#ifndef EL_CLIENT_SQL_STORE_H
#define EL_CLIENT_SQL_STORE_H

#include <evlog/projection_sql.h>

enum el_sql_own {
    EL_SQL_OWN_LOOK,
    EL_SQL_OWN_INSERT,
    EL_SQL_OWN_CLAIM,
    EL_SQL_OWN_RENEW,
    EL_SQL_OWN_RELEASE,
    EL_SQL_OWN_COUNT,
    EL_SQL_OWN_SAVE,
    EL_SQL_OWN_PLACE,
    EL_SQL_OWN_MOVE,
    EL_SQL_OWN_POSITIONS,
    EL_SQL_OWN_LANE_PLACE,
    EL_SQL_OWN_LANE_MOVE,
    EL_SQL_OWN_LANE_LEVEL,
    EL_SQL_OWN_LANES,
    EL_SQL_OWN_ROWS,
    EL_SQL_OWN_ROW,
    EL_SQL_OWN_PAUSE,
    EL_SQL_OWN_STATEMENTS, /* how many */
};

struct el_sql_store {
    struct evlog_projection_store base;
    struct evlog_sql_driver *driver;       /* owned */
    void *prepared[EL_SQL_OWN_STATEMENTS]; /* NULL until it is needed */
};

/* Values of parameters. */
#define EL_SQL_V_INT(n) ((struct evlog_sql_value){.kind = EVLOG_SQL_INT, .number = (n)})
#define EL_SQL_V_TEXT(t) ((struct evlog_sql_value){.kind = EVLOG_SQL_TEXT, .bytes = {(t), strlen(t)}})

/* --- sql_store.c --- */

/* Run one of the store's own statements. */
struct el_sql_run {
    enum el_sql_own own;
    const struct evlog_sql_value *values; /* [value_count] */
    size_t value_count;
    evlog_sql_row_fn fn; /* or NULL */
    void *arg;
    int64_t *changed; /* or NULL */
};
int el_sql_store_run(struct el_sql_store *store, const struct el_sql_run *run, struct evlog_failure *failure);
/* Make the store's own tables when they are not there; inside a transaction. */
int el_sql_store_make_tables(struct el_sql_store *store, struct evlog_failure *failure);
/* Text of a column, cut to room; empty when it is null. */
void el_sql_text_of(const struct evlog_sql_value *value, char *text, size_t room);

/* --- sql_store_swap.c --- */

int el_sql_store_stage(struct evlog_projection_store *store, const char *name, const char *suffix, bool fresh,
                       struct evlog_projection_store **staged, struct evlog_failure *failure);
int el_sql_store_swap(struct evlog_projection_store *store, struct evlog_projection_store *staged, const char *name,
                      struct evlog_projection_lease *lease, struct evlog_failure *failure);
int el_sql_store_compare(struct evlog_projection_store *store, struct evlog_projection_store *staged, const char *name,
                         void (*fn)(void *arg, const char *text), void *arg, struct evlog_failure *failure);

#endif
