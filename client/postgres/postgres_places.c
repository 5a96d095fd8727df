/* SPDX-License-Identifier: Apache-2.0
 *
 * The place beside, in PostgreSQL: a schema evlog_next_NAME, first in the search path of a connection of its own, so
 * that the setup makes its tables there. The swap moves them into the live schema, in one transaction; who was
 * granted what on a table that is replaced is granted the same on the new one.
 *
 * The swap is refused where it would lose something: an index or a trigger that the setup does not make, views that
 * depend on a table; and where moving tables is not enough: functions and types that the setup has made.
 */
#include "postgres_state.h"

#include <core/alloc.h>
#include <core/buffer.h>
#include <core/hash.h>
#include <stdio.h>

#define OURS "evlog\\_projection%%"
#define SQL_MAX 2048

/* A statement out of up to four names, each in double or single quotes where the format says so. */
static int exec_format(struct el_postgres *postgres, struct evlog_failure *failure, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int exec_format(struct el_postgres *postgres, struct evlog_failure *failure, const char *format, ...)
{
    char sql[SQL_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof sql) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "a name is too long");
    }
    return el_postgres_exec(postgres, sql, failure);
}

static int ask_format(struct el_postgres *postgres, PGresult **result, struct evlog_failure *failure,
                      const char *format, ...) __attribute__((format(printf, 4, 5)));

static int ask_format(struct el_postgres *postgres, PGresult **result, struct evlog_failure *failure,
                      const char *format, ...)
{
    char sql[SQL_MAX];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    if (len < 0 || (size_t)len >= sizeof sql) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "a name is too long");
    }
    return el_postgres_ask(postgres, sql, result, failure);
}

/* --- staging ------------------------------------------------------------------------------------------------------ */

/* The schema of a place; a long name ends with a hash. Names of projections hold nothing that needs care in quotes. */
static void name_schema(const char *suffix, char schema[EL_POSTGRES_NAME_MAX + 1])
{
    int len = snprintf(schema, EL_POSTGRES_NAME_MAX + 1, "evlog_%s", suffix);
    if (len > EL_POSTGRES_NAME_MAX) {
        (void)snprintf(schema + EL_POSTGRES_NAME_MAX - 17, 18, "_%016llx",
                       (unsigned long long)el_xxh3(suffix, strlen(suffix)));
    }
}

/* Go to the staged schema: its tables first, then what the live place sees. */
static int enter(struct el_postgres *beside, const char *schema, struct evlog_failure *failure)
{
    PGresult *result;
    char sql[SQL_MAX];
    int rc = el_postgres_ask(beside, "SHOW search_path", &result, failure);
    if (rc != 0) {
        return rc;
    }
    int len = snprintf(sql, sizeof sql, "SET search_path TO \"%s\", %s", schema, beside->pq->PQgetvalue(result, 0, 0));
    beside->pq->PQclear(result);
    if (len < 0 || (size_t)len >= sizeof sql) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "the search_path is too long");
    }
    beside->path = el_strdup(sql);
    if (beside->path == NULL) {
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory");
    }
    (void)snprintf(beside->schema, sizeof beside->schema, "%s", schema);
    (void)snprintf(beside->prefix, sizeof beside->prefix, "\"%s\".", schema);
    return el_postgres_exec(beside, sql, failure);
}

int el_postgres_stage(struct evlog_sql_driver *driver, const char *suffix, bool fresh, struct evlog_sql_driver **staged,
                      struct evlog_failure *failure)
{
    char schema[EL_POSTGRES_NAME_MAX + 1];
    struct el_postgres *beside;
    name_schema(suffix, schema);
    int rc = el_postgres_open(el_postgres_of(driver)->url, &beside, failure);
    if (rc != 0) {
        return rc;
    }
    if (fresh) {
        rc = exec_format(beside, failure, "DROP SCHEMA IF EXISTS \"%s\" CASCADE", schema);
    }
    rc = rc == 0 ? exec_format(beside, failure, "CREATE SCHEMA IF NOT EXISTS \"%s\"", schema) : rc;
    rc = rc == 0 ? enter(beside, schema, failure) : rc;
    if (rc != 0) {
        beside->base.close(&beside->base, false);
        return rc;
    }
    *staged = &beside->base;
    return 0;
}

int el_postgres_again(struct evlog_sql_driver *driver, struct evlog_sql_driver **other, struct evlog_failure *failure)
{
    const struct el_postgres *postgres = el_postgres_of(driver);
    struct el_postgres *fresh;
    int rc = el_postgres_open(postgres->url, &fresh, failure);
    if (rc != 0) {
        return rc;
    }
    if (postgres->path != NULL) {
        rc = enter(fresh, postgres->schema, failure);
    }
    if (rc != 0) {
        fresh->base.close(&fresh->base, false);
        return rc;
    }
    *other = &fresh->base;
    return 0;
}

void el_postgres_drop(struct el_postgres *postgres)
{
    if (postgres->path != NULL) {
        (void)exec_format(postgres, NULL, "DROP SCHEMA IF EXISTS \"%s\" CASCADE", postgres->schema);
    }
}

/* Both schemas are visible to every connection. */
int el_postgres_join(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, const char **prefix,
                     struct evlog_failure *failure)
{
    (void)driver;
    (void)failure;
    *prefix = el_postgres_of(staged)->prefix;
    return 0;
}

void el_postgres_part(struct evlog_sql_driver *driver)
{
    (void)driver;
}

/* --- what is staged ----------------------------------------------------------------------------------------------- */

#define RELATIONS                                                                                                      \
    "SELECT c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"                        \
    " WHERE n.nspname = '%s' AND c.relname NOT LIKE '" OURS "' AND c.relkind IN (%s) ORDER BY c.oid"

int el_postgres_tables(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged,
                       int (*fn)(void *arg, const char *table), void *arg, struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    PGresult *result;
    int rc = ask_format(postgres, &result, failure, RELATIONS, el_postgres_of(staged)->schema, "'r', 'p'");
    if (rc != 0) {
        return rc;
    }
    for (int i = 0; rc == 0 && i < postgres->pq->PQntuples(result); i++) {
        rc = fn(arg, postgres->pq->PQgetvalue(result, i, 0));
    }
    postgres->pq->PQclear(result);
    return rc;
}

/* --- replacing ---------------------------------------------------------------------------------------------------- */

struct move {
    struct el_postgres *live, *staged;
    struct evlog_failure *failure;
};

/* Refuse when a question has an answer; its first row is put into the text. */
static int refuse_if(const struct move *move, PGresult *result, int code, const char *format)
{
    int rc = 0;
    char text[256];
    if (move->live->pq->PQntuples(result) > 0) {
        /* The format is one of ours, with one place for a name. */
        const char *place = strstr(format, "%s");
        (void)snprintf(text, sizeof text, "%.*s%.100s%s", (int)(place - format), format,
                       move->live->pq->PQgetvalue(result, 0, 0), place + 2);
        (void)el_fail(move->failure, code, "%s", text);
        el_fail_hint(move->failure, "make it in the setup, or drop it first");
        rc = code;
    }
    move->live->pq->PQclear(result);
    return rc;
}

static int check_kinds(const struct move *move)
{
    PGresult *result;
    int rc = ask_format(move->live, &result, move->failure,
                        "SELECT proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname ="
                        " '%s' UNION ALL SELECT typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
                        " WHERE n.nspname = '%s' AND t.typtype IN ('e', 'd', 'r')",
                        move->staged->schema, move->staged->schema);
    return rc == 0 ? refuse_if(move, result, EVLOG_ERR_UNSUPPORTED,
                               "%s is a function or a type of the setup, which cannot be swapped: make it in another"
                               " schema, before")
                   : rc;
}

static int check_loss(const struct move *move, const char *table)
{
    PGresult *result;
    const char *live = move->live->schema, *staged = move->staged->schema;
    int rc = ask_format(move->live, &result, move->failure,
                        "SELECT indexname FROM pg_indexes WHERE schemaname = '%s' AND tablename = '%s' AND indexname"
                        " NOT IN (SELECT indexname FROM pg_indexes WHERE schemaname = '%s') UNION ALL"
                        " SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n"
                        " ON n.oid = c.relnamespace WHERE n.nspname = '%s' AND c.relname = '%s' AND NOT t.tgisinternal",
                        live, table, staged, live, table);
    return rc == 0 ? refuse_if(move, result, EVLOG_ERR_CONFLICT,
                               "%s, an index or trigger, is not made by the setup and would be lost")
                   : rc;
}

/* Statements that grant what is granted on the live table. */
static int ask_grants(const struct move *move, const char *table, PGresult **result)
{
    return ask_format(move->live, result, move->failure,
                      "SELECT format('GRANT %%s ON %%I.%%I TO %%s%%s', a.privilege_type, n.nspname, c.relname,"
                      " CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,"
                      " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM pg_class c"
                      " JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a"
                      " WHERE n.nspname = '%s' AND c.relname = '%s' AND a.grantee <> c.relowner",
                      move->live->schema, table);
}

static int move_table(const struct move *move, const char *table)
{
    PGresult *grants;
    int rc = check_loss(move, table);
    rc = rc == 0 ? ask_grants(move, table, &grants) : rc;
    if (rc != 0) {
        return rc;
    }
    rc = exec_format(move->live, move->failure, "DROP TABLE IF EXISTS \"%s\".\"%s\"", move->live->schema, table);
    if (rc == 0) {
        rc = exec_format(move->live, move->failure, "ALTER TABLE \"%s\".\"%s\" SET SCHEMA \"%s\"", move->staged->schema,
                         table, move->live->schema);
    }
    for (int i = 0; rc == 0 && i < move->live->pq->PQntuples(grants); i++) {
        rc = el_postgres_exec(move->live, move->live->pq->PQgetvalue(grants, i, 0), move->failure);
    }
    move->live->pq->PQclear(grants);
    return rc;
}

/* Views go first, since those of the live place stand on its tables; they come last. */
static int drop_views(const struct move *move, const PGresult *views)
{
    int rc = 0;
    for (int i = move->live->pq->PQntuples(views) - 1; rc == 0 && i >= 0; i--) {
        bool stored = move->live->pq->PQgetvalue(views, i, 1)[0] == 'm';
        rc = exec_format(move->live, move->failure, "DROP %sVIEW IF EXISTS \"%s\".\"%s\"",
                         stored ? "MATERIALIZED " : "", move->live->schema, move->live->pq->PQgetvalue(views, i, 0));
    }
    return rc;
}

static int move_views(const struct move *move, const PGresult *views)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < move->live->pq->PQntuples(views); i++) {
        bool stored = move->live->pq->PQgetvalue(views, i, 1)[0] == 'm';
        rc = exec_format(move->live, move->failure, "ALTER %sVIEW \"%s\".\"%s\" SET SCHEMA \"%s\"",
                         stored ? "MATERIALIZED " : "", move->staged->schema, move->live->pq->PQgetvalue(views, i, 0),
                         move->live->schema);
    }
    return rc;
}

int el_postgres_replace(struct evlog_sql_driver *driver, struct evlog_sql_driver *staged, struct evlog_failure *failure)
{
    struct move move = {el_postgres_of(driver), el_postgres_of(staged), failure};
    const struct el_postgres_calls *pq = move.live->pq;
    PGresult *views = NULL, *tables = NULL;
    int rc = check_kinds(&move);
    rc = rc == 0 ? ask_format(move.live, &views, failure, RELATIONS, move.staged->schema, "'v', 'm'") : rc;
    rc = rc == 0 ? ask_format(move.live, &tables, failure, RELATIONS, move.staged->schema, "'r', 'p'") : rc;
    rc = rc == 0 ? drop_views(&move, views) : rc;
    for (int i = 0; rc == 0 && i < pq->PQntuples(tables); i++) {
        rc = move_table(&move, pq->PQgetvalue(tables, i, 0));
    }
    rc = rc == 0 ? move_views(&move, views) : rc;
    pq->PQclear(views);
    pq->PQclear(tables);
    return rc;
}
