/* SPDX-License-Identifier: Apache-2.0
 *
 * PostgreSQL behind the interface of SQL drivers.
 *
 * A connection that is lost is made again by the next begin(); statements that were prepared on it are prepared anew
 * when they are run. Whether a commit whose answer was lost has been made is the engine's to find out. Values go as
 * text, whose type PostgreSQL infers from where they stand; bytes go as they are.
 *
 * In a hurry, statements whose answer nobody asks for are sent one behind the other (libpq's pipeline mode), and their
 * answers are read when one is asked for, or when the transaction is to be committed: a round trip costs more than most
 * statements. Anything that the pipeline mode cannot do leaves it first.
 */
#include "postgres_state.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <core/buffer.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define LIBRARY "libpq.so.5"
#define COLUMN_MAX 32
#define LOCK_WAIT "2s"       /* for others' locks, then the engine tries again */
#define IDLE_WAIT "60s"      /* between two statements of a transaction, then the server ends it */
#define FLUSH_STATEMENTS 16  /* are sent together, so that the server works meanwhile */
#define SENT_STATEMENTS 1024 /* at most without an answer */

/* Type numbers of PostgreSQL's catalogue. */
enum { TYPE_BOOL = 16, TYPE_BYTES = 17, TYPE_INT8 = 20, TYPE_INT2 = 21, TYPE_INT4 = 23 };

struct statement {
    char *sql;
    size_t value_count;
    uint32_t epoch; /* of the connection that has it */
    char name[24];
    bool takes_bytes[]; /* [value_count], text goes there as bytes too */
};

/* --- libpq -------------------------------------------------------------------------------------------------------- */

static struct el_postgres_calls loaded;
static bool is_loaded;
static char load_fault[256];
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    bool whole = library != NULL;
#define X(name) whole = whole && (*(void **)&loaded.name = dlsym(library, #name)) != NULL;
    EL_POSTGRES_CALLS(X)
#undef X
    if (!whole) {
        const char *why = dlerror();
        (void)snprintf(load_fault, sizeof load_fault, "%s", why == NULL ? LIBRARY : why);
    }
    is_loaded = whole;
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

static bool begins(const char *state, const char *prefix)
{
    return strncmp(state, prefix, strlen(prefix)) == 0;
}

static int code_of(const char *state, bool running)
{
    if (begins(state, "08") || begins(state, "57P0")) {
        return EVLOG_ERR_UNREACHABLE;
    }
    if (begins(state, "40") || begins(state, "55P03") || begins(state, "53300")) {
        return EVLOG_ERR_LOCKED;
    }
    if (begins(state, "22") || begins(state, "23") || begins(state, "44") || begins(state, "P0")) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    if (begins(state, "2BP01")) {
        return EVLOG_ERR_CONFLICT;
    }
    bool names_a_thing = begins(state, "42P01") || begins(state, "42703") || begins(state, "42704") ||
                         begins(state, "42501");
    return begins(state, "42") && !names_a_thing && !running ? EVLOG_ERR_MALFORMED : EVLOG_ERR_DATABASE;
}

int el_postgres_fail(struct el_postgres *postgres, PGresult *result, bool running, struct evlog_failure *failure)
{
    const struct el_postgres_calls *pq = postgres->pq;
    const char *state = result == NULL ? NULL : pq->PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = result == NULL ? NULL : pq->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    /* What libpq says by itself, without a state, is of the connection; it may call the connection fine after that. */
    bool lost = state == NULL || pq->PQstatus(postgres->connection) != CONNECTION_OK;
    postgres->lost = postgres->lost || lost;
    char said[400];
    if (text == NULL) {
        (void)snprintf(said, sizeof said, "%s", pq->PQerrorMessage(postgres->connection));
        said[strcspn(said, "\n")] = '\0';
        text = said;
    }
    int code = lost ? EVLOG_ERR_UNREACHABLE : code_of(state, running);
    (void)el_fail(failure, code, "%s%s",
                  code == EVLOG_ERR_UNREACHABLE ? "PostgreSQL: "
                  : code == EVLOG_ERR_LOCKED    ? "another session holds what is needed: "
                                                : "",
                  text);
    if (code == EVLOG_ERR_UNREACHABLE) {
        el_fail_hint(failure, "is PostgreSQL running, and is the address of --db right?");
    } else if (code == EVLOG_ERR_DATABASE) {
        el_fail_hint(failure, "what the setup made may be gone or changed: --rebuild makes it anew");
    } else if (code == EVLOG_ERR_LOCKED) {
        el_fail_hint(failure, "pg_stat_activity shows whose transaction is open; end it, or try again later");
    } else if (code == EVLOG_ERR_CONFLICT) {
        el_fail_hint(failure, "drop what depends on it first, or make it in the setup");
    }
    pq->PQclear(result);
    return code;
}

static bool is_fine(const struct el_postgres *postgres, const PGresult *result)
{
    ExecStatusType status = postgres->pq->PQresultStatus(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
}

/* --- statements that are not waited for --------------------------------------------------------------------------- */

/* Who wants to know what the last statement has answered. */
struct wish {
    evlog_sql_row_fn fn; /* or NULL */
    void *arg;
    int64_t *changed; /* or NULL */
};
static int tell_answer(const struct el_postgres *postgres, PGresult *result, const struct wish *wish);

static int lose(struct el_postgres *postgres, struct evlog_failure *failure)
{
    postgres->lost = true;
    return el_postgres_fail(postgres, NULL, true, failure);
}

/* Read one answer. returns what it says | 1: it was the end */
static int read_answer(struct el_postgres *postgres, PGresult *result, const struct wish *wish, bool last,
                       struct evlog_failure *failure)
{
    ExecStatusType status = postgres->pq->PQresultStatus(result);
    int rc = status == PGRES_PIPELINE_SYNC ? 1 : 0;
    if (is_fine(postgres, result)) {
        rc = last ? tell_answer(postgres, result, wish) : 0;
    } else if (status != PGRES_PIPELINE_SYNC && status != PGRES_PIPELINE_ABORTED) {
        return el_postgres_fail(postgres, result, true, failure);
    }
    postgres->pq->PQclear(result);
    return rc;
}

/* Read the answers to all that was sent; wish is for the last. returns what the first failure was */
static int read_answers(struct el_postgres *postgres, const struct wish *wish, struct evlog_failure *failure)
{
    const struct el_postgres_calls *pq = postgres->pq;
    uint32_t sent = postgres->sent, answered = 0, nothing = 0;
    int first = postgres->fault;
    postgres->sent = 0;
    postgres->fault = 0;
    if (pq->PQpipelineSync(postgres->connection) == 0) {
        return lose(postgres, failure);
    }
    while (true) {
        PGresult *result = pq->PQgetResult(postgres->connection);
        if (result == NULL) {
            answered++;
            if (++nothing > 1 || pq->PQstatus(postgres->connection) != CONNECTION_OK) {
                return first != 0 ? first : lose(postgres, failure);
            }
            continue;
        }
        nothing = 0;
        int rc = read_answer(postgres, result, wish, first == 0 && answered + 1 == sent, first == 0 ? failure : NULL);
        if (rc == 1) {
            return first;
        }
        first = first == 0 ? rc : first;
    }
}

int el_postgres_calm(struct el_postgres *postgres, struct evlog_failure *failure)
{
    static const struct wish none = {.fn = NULL};
    int rc = 0;
    if (postgres->piping) {
        postgres->piping = false;
        rc = read_answers(postgres, &none, failure);
        if (postgres->pq->PQexitPipelineMode(postgres->connection) == 0 && rc == 0) {
            rc = lose(postgres, failure);
        }
    } else if (postgres->fault != 0) {
        rc = el_fail(failure, postgres->fault, "a statement before has failed");
        postgres->fault = 0;
    }
    return rc;
}

int el_postgres_ask(struct el_postgres *postgres, const char *sql, PGresult **result, struct evlog_failure *failure)
{
    int rc = el_postgres_calm(postgres, failure);
    if (rc != 0) {
        return rc;
    }
    PGresult *answer = postgres->pq->PQexec(postgres->connection, sql);
    if (!is_fine(postgres, answer)) {
        return el_postgres_fail(postgres, answer, false, failure);
    }
    *result = answer;
    return 0;
}

int el_postgres_exec(struct el_postgres *postgres, const char *sql, struct evlog_failure *failure)
{
    PGresult *result;
    int rc = el_postgres_ask(postgres, sql, &result, failure);
    if (rc == 0) {
        postgres->pq->PQclear(result);
    }
    return rc;
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

/* Nobody is waited for without an end, and a runner that sleeps amid a transaction holds nothing for ever. What the
 * address or the role says about it counts more. */
static int bound_waits(struct el_postgres *postgres, struct evlog_failure *failure)
{
    return el_postgres_exec(postgres,
                            "SELECT set_config(name, CASE name WHEN 'lock_timeout' THEN '" LOCK_WAIT
                            "' ELSE '" IDLE_WAIT "' END, false) FROM pg_settings WHERE setting = '0' AND name IN"
                            " ('lock_timeout', 'idle_in_transaction_session_timeout')",
                            failure);
}

static int reconnect(struct el_postgres *postgres, struct evlog_failure *failure)
{
    if (!postgres->lost && postgres->pq->PQstatus(postgres->connection) == CONNECTION_OK) {
        return 0;
    }
    postgres->epoch++;
    postgres->piping = false;
    postgres->sent = 0;
    postgres->fault = 0;
    postgres->pq->PQreset(postgres->connection);
    if (postgres->pq->PQstatus(postgres->connection) != CONNECTION_OK) {
        return el_postgres_fail(postgres, NULL, false, failure);
    }
    postgres->lost = false;
    int rc = bound_waits(postgres, failure);
    if (rc != 0) {
        return rc;
    }
    return postgres->path == NULL ? 0 : el_postgres_exec(postgres, postgres->path, failure);
}

static int driver_begin(struct evlog_sql_driver *driver, struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    int rc = reconnect(postgres, failure);
    return rc == 0 ? el_postgres_exec(postgres, "BEGIN", failure) : rc;
}

static int driver_commit(struct evlog_sql_driver *driver, struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    int rc = el_postgres_calm(postgres, failure);
    postgres->hurry = false;
    if (rc != 0) {
        return rc;
    }
    PGTransactionStatusType status = postgres->pq->PQtransactionStatus(postgres->connection);
    if (status == PQTRANS_IDLE || status == PQTRANS_INERROR) {
        return el_fail(failure, EVLOG_ERR_DATABASE, "a statement has ended the transaction");
    }
    return el_postgres_exec(postgres, "COMMIT", failure);
}

static void driver_rollback(struct evlog_sql_driver *driver)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    postgres->hurry = false;
    (void)el_postgres_calm(postgres, NULL);
    if (postgres->pq->PQtransactionStatus(postgres->connection) != PQTRANS_IDLE) {
        (void)el_postgres_exec(postgres, "ROLLBACK", NULL);
    }
}

/* --- statements --------------------------------------------------------------------------------------------------- */

/* Byte of a text at which character number (from 1) begins. */
static size_t byte_of(const char *sql, const char *number)
{
    size_t pos = 0;
    long left = number == NULL ? 0 : strtol(number, NULL, 10);
    while (left > 1 && sql[pos] != '\0') {
        pos++;
        left -= (sql[pos] & 0xc0) != 0x80;
    }
    return number == NULL ? SIZE_MAX : pos;
}

static int fail_at(struct el_postgres *postgres, PGresult *result, const char *sql, size_t *error_pos,
                   struct evlog_failure *failure)
{
    if (error_pos != NULL) {
        *error_pos = byte_of(sql, postgres->pq->PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION));
    }
    return el_postgres_fail(postgres, result, false, failure);
}

static int driver_script(struct evlog_sql_driver *driver, const char *sql, size_t *error_pos,
                         struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    int rc = el_postgres_calm(postgres, failure);
    if (rc != 0) {
        return rc;
    }
    PGresult *result = postgres->pq->PQexec(postgres->connection, sql);
    if (!is_fine(postgres, result)) {
        return fail_at(postgres, result, sql, error_pos, failure);
    }
    postgres->pq->PQclear(result);
    return 0;
}

/* The engine's transactions are not to be ended by a handler. */
static bool is_ours(const char *sql)
{
    static const char *const words[] = {"BEGIN", "START",   "COMMIT",  "END",      "ROLLBACK",
                                        "ABORT", "PREPARE", "RELEASE", "SAVEPOINT"};
    size_t len = strcspn(sql, " \t\r\n;(");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i]) == len && strncasecmp(words[i], sql, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Let the connection know the statement. */
static int settle(struct el_postgres *postgres, struct statement *statement, size_t *error_pos,
                  struct evlog_failure *failure)
{
    const struct el_postgres_calls *pq = postgres->pq;
    int rc = el_postgres_calm(postgres, failure);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(statement->name, sizeof statement->name, "evlog_%u", postgres->statement_next++);
    PGresult *result = pq->PQprepare(postgres->connection, statement->name, statement->sql, 0, NULL);
    if (!is_fine(postgres, result)) {
        return fail_at(postgres, result, statement->sql, error_pos, failure);
    }
    pq->PQclear(result);
    result = pq->PQdescribePrepared(postgres->connection, statement->name);
    if (!is_fine(postgres, result)) {
        return el_postgres_fail(postgres, result, false, failure);
    }
    int count = pq->PQnparams(result);
    for (int i = 0; i < count && (size_t)i < statement->value_count; i++) {
        statement->takes_bytes[i] = pq->PQparamtype(result, i) == TYPE_BYTES;
    }
    pq->PQclear(result);
    if ((size_t)count != statement->value_count) {
        return el_fail(failure, EVLOG_ERR_MALFORMED,
                       "the statement has a parameter of its own ($): values of the event are :key, :data.field");
    }
    statement->epoch = postgres->epoch;
    return 0;
}

static void driver_finish(struct evlog_sql_driver *driver, void *prepared)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    struct statement *statement = prepared;
    char sql[64];
    bool idle = postgres->pq->PQtransactionStatus(postgres->connection) == PQTRANS_IDLE;
    if (statement->epoch == postgres->epoch && idle) {
        (void)snprintf(sql, sizeof sql, "DEALLOCATE %s", statement->name);
        (void)el_postgres_exec(postgres, sql, NULL);
    }
    el_free(statement->sql);
    el_free(statement);
}

static int driver_prepare(struct evlog_sql_driver *driver, const char *sql, size_t value_count, void **prepared,
                          size_t *error_pos, struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    if (is_ours(sql)) {
        return el_fail(failure, EVLOG_ERR_MALFORMED, "transactions are evlog's here: leave them out");
    }
    if (value_count > EL_POSTGRES_PARAM_MAX) {
        return el_fail(failure, EVLOG_ERR_LIMIT, "at most %d parameters in a statement", EL_POSTGRES_PARAM_MAX);
    }
    struct statement *statement = el_calloc(1, sizeof *statement + value_count);
    char *copy = el_strdup(sql);
    if (statement == NULL || copy == NULL) {
        el_free(statement);
        el_free(copy);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a statement");
    }
    statement->sql = copy;
    statement->value_count = value_count;
    int rc = settle(postgres, statement, error_pos, failure);
    if (rc != 0) {
        statement->epoch = postgres->epoch + 1; /* nothing to be deallocated */
        driver_finish(driver, statement);
        return rc;
    }
    *prepared = statement;
    return 0;
}

/* Texts need a NUL behind them: they are copied one behind the other, and pointed to when all are there. */
static int bind_text(struct el_postgres *postgres, size_t i, const struct evlog_sql_value *value)
{
    if (value->bytes.len > 0 && memchr(value->bytes.data, 0, value->bytes.len) != NULL) {
        return EVLOG_ERR_INVALID_RECORD;
    }
    postgres->lens[i] = (int)postgres->text.len; /* where it is, for now */
    el_buffer_append(&postgres->text, value->bytes.data, value->bytes.len);
    el_buffer_append_char(&postgres->text, '\0');
    return postgres->text.err;
}

static int bind(struct el_postgres *postgres, size_t i, const struct evlog_sql_value *value)
{
    postgres->formats[i] = 0;
    postgres->lens[i] = 0;
    postgres->values[i] = postgres->numbers[i];
    switch (value->kind) {
    case EVLOG_SQL_NULL:
        postgres->values[i] = NULL;
        return 0;
    case EVLOG_SQL_INT:
        (void)snprintf(postgres->numbers[i], sizeof postgres->numbers[i], "%lld", (long long)value->number);
        return 0;
    case EVLOG_SQL_BOOL:
        (void)snprintf(postgres->numbers[i], sizeof postgres->numbers[i], "%s", value->number != 0 ? "true" : "false");
        return 0;
    case EVLOG_SQL_REAL:
        (void)snprintf(postgres->numbers[i], sizeof postgres->numbers[i], "%.17g", value->real);
        return 0;
    case EVLOG_SQL_TEXT:
        return bind_text(postgres, i, value);
    case EVLOG_SQL_BYTES:
        if (value->bytes.len > INT32_MAX) {
            return EVLOG_ERR_INVALID_RECORD;
        }
        postgres->values[i] = value->bytes.len == 0 ? "" : value->bytes.data;
        postgres->lens[i] = (int)value->bytes.len;
        postgres->formats[i] = 1;
        return 0;
    }
    return EVLOG_ERR_INVALID_RECORD;
}

static int bind_all(struct el_postgres *postgres, const struct statement *statement,
                    const struct evlog_sql_value *values)
{
    size_t value_count = statement->value_count;
    int rc = 0;
    el_buffer_reset(&postgres->text);
    for (size_t i = 0; rc == 0 && i < value_count; i++) {
        struct evlog_sql_value value = values[i];
        bool as_bytes = value.kind == EVLOG_SQL_TEXT && statement->takes_bytes[i];
        value.kind = as_bytes ? EVLOG_SQL_BYTES : value.kind;
        rc = bind(postgres, i, &value);
    }
    for (size_t i = 0; rc == 0 && i < value_count; i++) {
        if (values[i].kind == EVLOG_SQL_TEXT && !statement->takes_bytes[i]) {
            postgres->values[i] = (const char *)postgres->text.data + postgres->lens[i];
        }
    }
    return rc;
}

static void read_column(const struct el_postgres *postgres, const PGresult *result, int row, int column,
                        struct evlog_sql_value *value)
{
    const char *text = postgres->pq->PQgetvalue(result, row, column);
    *value = (struct evlog_sql_value){.kind = EVLOG_SQL_NULL};
    if (postgres->pq->PQgetisnull(result, row, column) != 0) {
        return;
    }
    switch (postgres->pq->PQftype(result, column)) {
    case TYPE_BOOL:
        value->kind = EVLOG_SQL_BOOL;
        value->number = text[0] == 't';
        break;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        value->kind = EVLOG_SQL_INT;
        value->number = strtoll(text, NULL, 10);
        break;
    default:
        value->kind = EVLOG_SQL_TEXT;
        value->bytes.data = text;
        value->bytes.len = (size_t)postgres->pq->PQgetlength(result, row, column);
        break;
    }
}

static int tell_rows(const struct el_postgres *postgres, const PGresult *result, evlog_sql_row_fn fn, void *arg)
{
    struct evlog_sql_value columns[COLUMN_MAX];
    int column_count = EL_MIN(postgres->pq->PQnfields(result), COLUMN_MAX), rc = 0;
    for (int row = 0; fn != NULL && rc == 0 && row < postgres->pq->PQntuples(result); row++) {
        for (int i = 0; i < column_count; i++) {
            read_column(postgres, result, row, i, &columns[i]);
        }
        rc = fn(arg, columns, (size_t)column_count);
    }
    return rc;
}

static int tell_answer(const struct el_postgres *postgres, PGresult *result, const struct wish *wish)
{
    int rc = tell_rows(postgres, result, wish->fn, wish->arg);
    if (rc == 0 && wish->changed != NULL) {
        *wish->changed = strtoll(postgres->pq->PQcmdTuples(result), NULL, 10);
    }
    return rc;
}

static int pipe_on(struct el_postgres *postgres, const struct statement *statement, const struct wish *wish,
                   struct evlog_failure *failure)
{
    const struct el_postgres_calls *pq = postgres->pq;
    bool asked = wish->fn != NULL || wish->changed != NULL;
    if (!postgres->piping && pq->PQenterPipelineMode(postgres->connection) == 0) {
        return lose(postgres, failure);
    }
    postgres->piping = true;
    if (pq->PQsendQueryPrepared(postgres->connection, statement->name, (int)statement->value_count, postgres->values,
                                postgres->lens, postgres->formats, 0) == 0) {
        return lose(postgres, failure);
    }
    postgres->sent++;
    if (asked || postgres->sent == SENT_STATEMENTS) {
        return read_answers(postgres, wish, failure);
    }
    if (postgres->sent % FLUSH_STATEMENTS == 0 && pq->PQflush(postgres->connection) < 0) {
        return lose(postgres, failure);
    }
    return 0;
}

static void driver_hurry(struct evlog_sql_driver *driver)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    postgres->hurry = !postgres->plain;
}

static int driver_settle(struct evlog_sql_driver *driver, struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    postgres->hurry = false;
    return el_postgres_calm(postgres, failure);
}

static int driver_run(struct evlog_sql_driver *driver, void *prepared, const struct evlog_sql_value *values,
                      size_t value_count, evlog_sql_row_fn fn, void *arg, int64_t *changed,
                      struct evlog_failure *failure)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    struct statement *statement = prepared;
    EL_ASSERT(value_count == statement->value_count);
    int rc = postgres->pq->PQtransactionStatus(postgres->connection) == PQTRANS_IDLE ? reconnect(postgres, failure) : 0;
    if (rc == 0 && statement->epoch != postgres->epoch) {
        rc = settle(postgres, statement, NULL, failure);
    }
    if (rc != 0) {
        return rc;
    }
    rc = bind_all(postgres, statement, values);
    if (rc != 0) {
        return el_fail(failure, rc, "a value holds a NUL byte, is too large, or memory is short");
    }
    struct wish wish = {fn, arg, changed};
    if (postgres->hurry) {
        return pipe_on(postgres, statement, &wish, failure);
    }
    rc = el_postgres_calm(postgres, failure);
    if (rc != 0) {
        return rc;
    }
    PGresult *result = postgres->pq->PQexecPrepared(postgres->connection, statement->name, (int)value_count,
                                                    postgres->values, postgres->lens, postgres->formats, 0);
    if (!is_fine(postgres, result)) {
        return el_postgres_fail(postgres, result, true, failure);
    }
    rc = tell_answer(postgres, result, &wish);
    postgres->pq->PQclear(result);
    return rc;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

static void driver_close(struct evlog_sql_driver *driver, bool drop)
{
    struct el_postgres *postgres = el_postgres_of(driver);
    if (drop) {
        el_postgres_drop(postgres);
    }
    postgres->pq->PQfinish(postgres->connection);
    el_buffer_free(&postgres->text);
    el_free(postgres->path);
    el_free(postgres->url);
    el_free(postgres);
}

static void on_notice(void *arg, const char *text)
{
    (void)arg;
    (void)text; /* "relation exists already, skipping" is nobody's news */
}

static const struct evlog_sql_driver calls = {
    .name = "postgres",
    .bytes_type = "BYTEA",
    .now_ms = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    .row_lock = "FOR UPDATE",
    .begin = driver_begin,
    .commit = driver_commit,
    .rollback = driver_rollback,
    .script = driver_script,
    .prepare = driver_prepare,
    .run = driver_run,
    .finish = driver_finish,
    .hurry = driver_hurry,
    .settle = driver_settle,
    .stage = el_postgres_stage,
    .again = el_postgres_again,
    .one_moment = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    .join = el_postgres_join,
    .part = el_postgres_part,
    .replace = el_postgres_replace,
    .tables = el_postgres_tables,
    .close = driver_close,
};

/* Where tables are made that name no schema. */
static int learn_schema(struct el_postgres *postgres, struct evlog_failure *failure)
{
    PGresult *result;
    int rc = el_postgres_ask(postgres, "SELECT current_schema()", &result, failure);
    if (rc != 0) {
        return rc;
    }
    if (postgres->pq->PQgetisnull(result, 0, 0) != 0) {
        rc = el_fail(failure, EVLOG_ERR_DATABASE, "the search_path of the role names no schema that is there");
        el_fail_hint(failure, "CREATE SCHEMA, or options=-csearch_path=SCHEMA in the address");
    }
    (void)snprintf(postgres->schema, sizeof postgres->schema, "%s", postgres->pq->PQgetvalue(result, 0, 0));
    (void)snprintf(postgres->prefix, sizeof postgres->prefix, "\"%s\".", postgres->schema);
    postgres->base.own_prefix = postgres->prefix;
    postgres->pq->PQclear(result);
    return rc;
}

int el_postgres_open(const char *url, struct el_postgres **opened, struct evlog_failure *failure)
{
    (void)pthread_once(&load_once, load);
    if (!is_loaded) {
        (void)el_fail(failure, EVLOG_ERR_UNSUPPORTED, "PostgreSQL's client library cannot be loaded: %s", load_fault);
        el_fail_hint(failure, "install libpq5");
        return EVLOG_ERR_UNSUPPORTED;
    }
    struct el_postgres *postgres = el_calloc(1, sizeof *postgres);
    char *copy = el_strdup(url);
    if (postgres == NULL || copy == NULL) {
        el_free(postgres);
        el_free(copy);
        return el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a database");
    }
    postgres->base = calls;
    postgres->pq = &loaded;
    postgres->url = copy;
    postgres->connection = postgres->pq->PQconnectdb(url);
    int rc = postgres->connection == NULL ? el_fail(failure, EVLOG_ERR_NO_MEMORY, "no memory for a database") : 0;
    if (rc == 0 && postgres->pq->PQstatus(postgres->connection) != CONNECTION_OK) {
        rc = el_postgres_fail(postgres, NULL, false, failure);
    }
    if (rc == 0) {
        (void)postgres->pq->PQsetNoticeProcessor(postgres->connection, on_notice, NULL);
        rc = bound_waits(postgres, failure);
        rc = rc == 0 ? learn_schema(postgres, failure) : rc;
    }
    if (rc != 0) {
        driver_close(&postgres->base, false);
        return rc;
    }
    *opened = postgres;
    return 0;
}

int evlog_postgres_open(const char *url, struct evlog_sql_driver **driver, struct evlog_failure *failure)
{
    struct el_postgres *postgres = NULL;
    int rc = el_postgres_open(url, &postgres, failure);
    if (rc == 0) {
        *driver = &postgres->base;
    }
    return rc;
}

void *evlog_postgres_handle(struct evlog_sql_driver *driver)
{
    EL_ASSERT(driver->begin == driver_begin);
    struct el_postgres *postgres = el_postgres_of(driver);
    postgres->plain = true; /* libpq's other calls do not work in the pipeline mode */
    postgres->hurry = false;
    postgres->fault = el_postgres_calm(postgres, NULL);
    return postgres->connection;
}
