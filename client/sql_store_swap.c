/* SPDX-License-Identifier: Apache-2.0
 *
 * A rebuild's last step, and a comparison: two places of one database, the live one and one beside it.
 *
 * The swap is one transaction of the live place: the staged tables replace those of the same names, and checkpoint,
 * counts of streams and generation come with them. It is not made while the live checkpoint is ahead in any partition,
 * so that readers never see time go back; forced, it first takes the lease from the live runner, whose next commit then
 * fails, and the rebuild can catch up. A rebuild that fails after that gives the lease back.
 */
#include "fail.h"
#include "process_mark.h"
#include "sql_store.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/buffer.h>
#include <stdio.h>

#define COMPARE_ENDS 1         /* of a comparison that goes no further */
#define REBUILD_LEASE_MS 60000 /* a rebuild that took the lease swaps at once, or the live one may come back */
#define POSITION_COLUMNS                                                                                               \
    "name, topic, partition_index, topic_id, leader_epoch, next_offset, append_time_ns, history_end, whole, last_id"
#define LANE_COLUMNS "name, topic, partition_index, lane, lane_count, topic_id, leader_epoch, next_offset"

static struct el_sql_store *of(struct evlog_projection_store *store)
{
    return EL_CONTAINER(store, struct el_sql_store, base);
}

/* --- statements that are used once -------------------------------------------------------------------------------- */

struct once {
    struct evlog_sql_driver *driver;
    const struct evlog_sql_value *values; /* [value_count] */
    size_t value_count;
    int64_t *number; /* of one row with one column, or NULL */
};

static int take_number(void *arg, const struct evlog_sql_value *columns, size_t column_count)
{
    struct once *once = arg;
    if (once->number != NULL && column_count > 0) {
        *once->number = columns[0].number;
    }
    return 0;
}

static int run_once(struct once *once, struct evlog_failure *failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int run_once(struct once *once, struct evlog_failure *failure, const char *format, ...)
{
    struct el_buffer text = {0};
    void *statement;
    va_list args;
    va_start(args, format);
    el_buffer_vprintf(&text, format, args);
    va_end(args);
    const char *sql = el_buffer_text(&text);
    int rc = sql == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory")
                         : once->driver->prepare(once->driver, sql, once->value_count, &statement, NULL, failure);
    if (rc == 0) {
        rc = once->driver->run(once->driver, statement, once->values, once->value_count, take_number, once, NULL,
                               failure);
        once->driver->finish(once->driver, statement);
    }
    el_buffer_free(&text);
    return rc;
}

/* --- staging ------------------------------------------------------------------------------------------------------ */

/* Its own tables at once: where one place lies behind another, names must not be found in the other. */
static int furnish(struct el_sql_store *staged, struct evlog_failure *failure)
{
    int rc = staged->driver->begin(staged->driver, failure);
    if (rc != 0) {
        return rc;
    }
    rc = el_sql_store_make_tables(staged, failure);
    rc = rc == 0 ? staged->driver->commit(staged->driver, failure) : rc;
    if (rc != 0) {
        staged->driver->rollback(staged->driver);
    }
    return rc;
}

int el_sql_store_stage(struct evlog_projection_store *store, const char *name, const char *suffix, bool fresh,
                       struct evlog_projection_store **staged, struct evlog_failure *failure)
{
    struct evlog_sql_driver *driver = of(store)->driver, *beside;
    char place[EVLOG_PROJECTION_NAME_MAX + 32];
    (void)snprintf(place, sizeof place, "%.20s_%s", suffix, name);
    int rc = driver->stage(driver, place, fresh, &beside, failure);
    if (rc == 0) {
        rc = evlog_sql_store_open(beside, staged, failure);
        if (rc != 0) {
            beside->close(beside, false);
            return rc;
        }
        rc = furnish(of(*staged), failure);
        if (rc != 0) {
            (*staged)->calls->close(*staged, false);
        }
    }
    return rc;
}

/* --- swap --------------------------------------------------------------------------------------------------------- */

struct swap {
    struct el_sql_store *live, *staged;
    const char *name;
    const char *prefix;                   /* of the staged tables */
    struct evlog_projection_lease *lease; /* forced: written when it is taken; else NULL */
};

/* Partitions in which the live one has come further. */
static int count_behind(const struct swap *swap, int64_t *count, struct evlog_failure *failure)
{
    struct evlog_sql_value name = EL_SQL_V_TEXT(swap->name);
    struct once once = {swap->live->driver, &name, 1, count};
    *count = 0;
    return run_once(&once, failure,
                    "SELECT count(*) FROM (SELECT name, topic, partition_index, next_offset FROM"
                    " evlog_projection_position UNION ALL SELECT name, topic, partition_index, next_offset FROM"
                    " evlog_projection_lane) l JOIN %sevlog_projection_position s"
                    " ON s.name = l.name AND s.topic = l.topic AND s.partition_index = l.partition_index"
                    " WHERE l.name = $1 AND s.next_offset < l.next_offset",
                    swap->prefix);
}

static int take_lease(const struct swap *swap, struct evlog_failure *failure)
{
    char mark[EL_PROCESS_MARK_MAX], who[EL_PROCESS_MARK_MAX];
    el_process_mark(mark, who);
    struct evlog_projection_lease taken = {.lease_ms = REBUILD_LEASE_MS};
    struct evlog_sql_value values[] = {EL_SQL_V_TEXT(who), EL_SQL_V_TEXT(mark), EL_SQL_V_TEXT(swap->name)};
    struct once take = {swap->live->driver, values, 3, &taken.fence};
    struct once look = {swap->live->driver, &values[2], 1, &taken.generation};
    (void)snprintf(taken.name, sizeof taken.name, "%s", swap->name);
    int rc = run_once(&take, failure,
                      "UPDATE evlog_projection SET fence = fence + 1, who = 'the rebuild of ' || $1, mark = $2,"
                      " lease_until_ms = %s + %d WHERE name = $3 RETURNING fence",
                      swap->live->driver->now_ms, REBUILD_LEASE_MS);
    if (rc == 0) {
        rc = run_once(&look, failure, "SELECT generation FROM evlog_projection WHERE name = $1");
    }
    if (rc == 0) {
        *swap->lease = taken;
    }
    return rc;
}

/* Rows of a table of ours: those of the staged place instead of those here. */
static int replace_rows(const struct swap *swap, const char *table, const char *columns, struct evlog_failure *failure)
{
    struct evlog_sql_value name = EL_SQL_V_TEXT(swap->name);
    struct once once = {swap->live->driver, &name, 1, NULL};
    int rc = run_once(&once, failure, "DELETE FROM %s WHERE name = $1", table);
    if (rc == 0) {
        rc = run_once(&once, failure, "INSERT INTO %s (%s) SELECT %s FROM %s%s WHERE name = $1", table, columns,
                      columns, swap->prefix, table);
    }
    return rc;
}

/* The next generation, which nobody runs yet; a projection that was never run has no row to be raised. */
static int raise_generation(const struct swap *swap, struct evlog_failure *failure)
{
    struct evlog_sql_value name = EL_SQL_V_TEXT(swap->name);
    int64_t there = 0;
    struct once look = {swap->live->driver, &name, 1, &there};
    struct once once = {swap->live->driver, &name, 1, NULL};
    int rc = run_once(&look, failure, "SELECT count(*) FROM evlog_projection WHERE name = $1");
    if (rc != 0) {
        return rc;
    }
    const char *columns = "name, format, generation, definition, fence, who, mark, lease_until_ms, paused, applied,"
                          " skipped, dead, rate_milli, saved_ms, error, error_ms";
    if (there == 0) {
        return replace_rows(swap, "evlog_projection", columns, failure);
    }
#define STAGED "(SELECT %s FROM %sevlog_projection s WHERE s.name = evlog_projection.name)"
    return run_once(&once, failure,
                    "UPDATE evlog_projection SET generation = generation + 1, fence = fence + 1, who = '', mark = '',"
                    " lease_until_ms = 0, error = '', error_ms = 0, definition = " STAGED ", applied = " STAGED
                    ", skipped = " STAGED ", dead = " STAGED ", saved_ms = " STAGED " WHERE name = $1",
                    "s.definition", swap->prefix, "s.applied", swap->prefix, "s.skipped", swap->prefix, "s.dead",
                    swap->prefix, "s.saved_ms", swap->prefix);
#undef STAGED
}

static int replace_all(const struct swap *swap, struct evlog_failure *failure)
{
    struct evlog_sql_driver *driver = swap->live->driver;
    int rc = driver->replace(driver, swap->staged->driver, failure);
    if (rc == 0) {
        rc = replace_rows(swap, "evlog_projection_position", POSITION_COLUMNS, failure);
    }
    if (rc == 0) {
        rc = replace_rows(swap, "evlog_projection_lane", LANE_COLUMNS, failure);
    }
    if (rc == 0) {
        rc = replace_rows(swap, "evlog_projection_stream", "name, topic, stream_key, next_version", failure);
    }
    return rc == 0 ? raise_generation(swap, failure) : rc;
}

/* Inside the transaction. returns 0: to be committed | 1: to be committed, and the swap tried again | negative */
static int swap_inside(const struct swap *swap, struct evlog_failure *failure)
{
    int64_t behind;
    int rc = el_sql_store_make_tables(swap->live, failure);
    rc = rc == 0 ? count_behind(swap, &behind, failure) : rc;
    if (rc != 0) {
        return rc;
    }
    if (behind == 0) {
        return replace_all(swap, failure);
    }
    if (swap->lease == NULL) {
        return el_fail(failure, EVLOG_ERR_AGAIN, "projection %s has come further meanwhile", swap->name);
    }
    rc = take_lease(swap, failure);
    return rc == 0 ? 1 : rc;
}

/* Statements that were prepared for tables which are gone must not outlive them. */
static void forget_statements(struct el_sql_store *store)
{
    for (size_t i = 0; i < EL_SQL_OWN_STATEMENTS; i++) {
        if (store->prepared[i] != NULL) {
            store->driver->finish(store->driver, store->prepared[i]);
            store->prepared[i] = NULL;
        }
    }
}

int el_sql_store_swap(struct evlog_projection_store *store, struct evlog_projection_store *staged, const char *name,
                      struct evlog_projection_lease *lease, struct evlog_failure *failure)
{
    struct swap swap = {.live = of(store), .staged = of(staged), .name = name, .lease = lease};
    struct evlog_sql_driver *driver = swap.live->driver;
    forget_statements(swap.staged);
    int rc = driver->join(driver, swap.staged->driver, &swap.prefix, failure);
    if (rc != 0) {
        return rc;
    }
    rc = driver->begin(driver, failure);
    if (rc == 0) {
        rc = swap_inside(&swap, failure);
        bool again = rc == 1;
        rc = rc < 0 ? rc : driver->commit(driver, failure);
        if (rc != 0) {
            driver->rollback(driver);
        } else if (again) {
            rc = el_fail(failure, EVLOG_ERR_AGAIN, "projection %s had come further; its runner is stopped now", name);
        }
    }
    forget_statements(swap.live);
    driver->part(driver);
    return rc;
}

/* --- compare ------------------------------------------------------------------------------------------------------ */

struct compare {
    struct swap places;
    struct evlog_failure *failure;
    void (*fn)(void *arg, const char *text);
    void *arg;
};

static int compare_positions(struct compare *compare)
{
    struct evlog_sql_value values[] = {EL_SQL_V_TEXT(compare->places.name), EL_SQL_V_TEXT(compare->places.name)};
    int64_t differing = 0, ahead = 0;
    struct once once = {compare->places.live->driver, values, 2, &differing};
    struct once lanes = {compare->places.live->driver, values, 1, &ahead};
    int rc = run_once(&once, compare->failure,
                      "SELECT count(*) FROM (SELECT topic, partition_index, next_offset FROM evlog_projection_position"
                      " WHERE name = $1 EXCEPT SELECT topic, partition_index, next_offset FROM"
                      " %sevlog_projection_position WHERE name = $2) d",
                      compare->places.prefix);
    rc = rc == 0 ? run_once(&lanes, compare->failure, "SELECT count(*) FROM evlog_projection_lane WHERE name = $1")
                 : rc;
    if (rc == 0 && ahead > 0) {
        return el_fail(compare->failure, EVLOG_ERR_AGAIN, "lanes of projection %s are ahead of its checkpoint",
                       compare->places.name);
    }
    return rc == 0 && differing > 0 ? el_fail(compare->failure, EVLOG_ERR_AGAIN, "the checkpoints differ") : rc;
}

static int compare_table(void *arg, const char *table)
{
    struct compare *compare = arg;
    const char *prefix = compare->places.prefix, *own = compare->places.live->driver->own_prefix;
    char text[256];
    int64_t here = 0, there = 0, missing = 0, surplus = 0;
    struct once once = {compare->places.live->driver, NULL, 0, &here};
    int rc = run_once(&once, compare->failure, "SELECT count(*) FROM %s\"%s\"", own, table);
    if (rc == EVLOG_ERR_DATABASE) {
        (void)snprintf(text, sizeof text, "table %.100s is gone", table);
        compare->fn(compare->arg, text);
        return COMPARE_ENDS; /* some databases answer nothing more in this transaction */
    }
    once.number = &there;
    rc = rc == 0 ? run_once(&once, compare->failure, "SELECT count(*) FROM %s\"%s\"", prefix, table) : rc;
    once.number = &missing;
    rc = rc == 0 ? run_once(&once, compare->failure,
                            "SELECT count(*) FROM (SELECT * FROM %s\"%s\" EXCEPT SELECT * FROM %s\"%s\") d", prefix,
                            table, own, table)
                 : rc;
    once.number = &surplus;
    rc = rc == 0 ? run_once(&once, compare->failure,
                            "SELECT count(*) FROM (SELECT * FROM %s\"%s\" EXCEPT SELECT * FROM %s\"%s\") d", own, table,
                            prefix, table)
                 : rc;
    if (rc == 0 && (missing > 0 || surplus > 0 || here != there)) {
        (void)snprintf(text, sizeof text,
                       "table %.100s: %lld rows, the fold gives %lld; %lld of the fold are missing, %lld are not of it",
                       table, (long long)here, (long long)there, (long long)missing, (long long)surplus);
        compare->fn(compare->arg, text);
    }
    return rc;
}

int el_sql_store_compare(struct evlog_projection_store *store, struct evlog_projection_store *staged, const char *name,
                         void (*fn)(void *arg, const char *text), void *arg, struct evlog_failure *failure)
{
    struct compare compare = {
        .places = {.live = of(store), .staged = of(staged), .name = name},
        .failure = failure,
        .fn = fn,
        .arg = arg,
    };
    struct evlog_sql_driver *driver = of(store)->driver;
    forget_statements(of(staged));
    int rc = driver->join(driver, of(staged)->driver, &compare.places.prefix, failure);
    if (rc != 0) {
        return rc;
    }
    rc = driver->begin(driver, failure);
    if (rc == 0) {
        rc = driver->one_moment == NULL ? 0 : driver->script(driver, driver->one_moment, NULL, failure);
        rc = rc == 0 ? compare_positions(&compare) : rc;
        rc = rc == 0 ? driver->tables(driver, of(staged)->driver, compare_table, &compare, failure) : rc;
        rc = rc == COMPARE_ENDS ? 0 : rc;
        driver->rollback(driver);
    }
    driver->part(driver);
    return rc;
}
