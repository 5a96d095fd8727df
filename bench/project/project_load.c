/* SPDX-License-Identifier: Apache-2.0
 *
 * A projection of payments into a table of accounts, one statement an event, in the ways that bench/project/run
 * compares. Prints one line of JSON.
 *
 * 1. fill: publish `count` events; number i has key i % keys
 * 2. file: apply them by a file of SQL
 * 3. callback: apply them by a handler in C, which runs the same statement
 * 4. straight: run the same statement as often, with the same values, by the database's own library and nothing of
 *    evlog: transactions of `batch` events, statements prepared, PostgreSQL's in its pipeline mode. The limit.
 */
#include "../lib/bench.h"

#include <evlog/evlog.h>
#include <evlog/postgres.h>
#include <evlog/sqlite.h>
#include <getopt.h>
#include <postgresql/libpq-fe.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETUP "CREATE TABLE account (name TEXT PRIMARY KEY, balance BIGINT NOT NULL, events BIGINT NOT NULL)"
#define STATEMENT(name, amount)                                                                                        \
    "INSERT INTO account VALUES (" name ", " amount ", 1) ON CONFLICT (name) DO UPDATE SET"                            \
    " balance = account.balance + excluded.balance, events = account.events + 1"
#define STORE_MAX 64

struct project_load {
    const char *verb, *topic, *db;
    char address[64];
    uint64_t count, keys;
    uint32_t partitions, batch, parallel;
};

static struct evlog_failure failure = EVLOG_FAILURE_INIT; /* ends the program */

static void must(int rc)
{
    if (rc < 0) {
        bench_die("%s (%s)", failure.text, failure.hint);
    }
}

static void tell(const struct project_load *load, uint64_t from_ns)
{
    double seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    printf("{\"events\":%llu,\"seconds\":%.6f}\n", (unsigned long long)load->count, seconds);
}

/* The same for every way. */
static size_t name_of(const struct project_load *load, uint64_t i, char name[32])
{
    return (size_t)snprintf(name, 32, "account-%08llu", (unsigned long long)(i % load->keys));
}

static int64_t amount_of(uint64_t i)
{
    return (int64_t)(i * 7919 % 1000) - 100;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static struct evlog_client *client_new(const struct project_load *load)
{
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    must(evlog_settings_new(&settings));
    must(evlog_settings_set(settings, "bootstrap.servers", load->address, &failure));
    must(evlog_settings_set(settings, "linger.ms", "5", &failure));
    must(evlog_client_open(settings, &client, &failure));
    evlog_settings_free(settings);
    return client;
}

static void publish(const struct project_load *load, struct evlog_producer *producer, uint64_t i)
{
    char name[32], id[32], value[96];
    size_t id_len = (size_t)snprintf(id, sizeof id, "e%llu", (unsigned long long)i);
    const struct evlog_header headers[] = {
        {{"ce_specversion", 14}, {"1.0", 3}},
        {{"ce_type", 7}, {"Paid", 4}},
        {{"ce_source", 9}, {"/bench", 6}},
        {{"ce_id", 5}, {id, id_len}},
    };
    struct evlog_message message = EVLOG_MESSAGE_INIT;
    message.topic = load->topic;
    message.key = (struct evlog_bytes){name, name_of(load, i, name)};
    message.value.data = value;
    message.value.len = (size_t)snprintf(value, sizeof value,
                                         "{\"amount\":%lld,\"currency\":\"EUR\",\"note\":\"%016llx\"}",
                                         (long long)amount_of(i), (unsigned long long)i);
    message.headers = headers;
    message.header_count = sizeof headers / sizeof headers[0];
    must(evlog_publish_async(producer, &message, NULL, NULL, &failure));
}

static void run_fill(const struct project_load *load)
{
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    struct evlog_client *client = client_new(load);
    struct evlog_producer *producer;
    options.name = load->topic;
    options.partition_count = (int32_t)load->partitions;
    must(evlog_topic_create(client, &options, &failure));
    must(evlog_producer_open(client, &producer, &failure));
    uint64_t from_ns = bench_now_ns();
    for (uint64_t i = 0; i < load->count; i++) {
        publish(load, producer, i);
    }
    must(evlog_flush(producer, -1, &failure));
    tell(load, from_ns);
    evlog_producer_close(producer);
    evlog_client_close(client);
}

/* --- projections -------------------------------------------------------------------------------------------------- */

static struct evlog_projection_store *store_new(const struct project_load *load)
{
    struct evlog_sql_driver *driver;
    struct evlog_projection_store *store;
    bool is_sqlite = strncmp(load->db, "sqlite:", 7) == 0;
    must(is_sqlite ? evlog_sqlite_open(load->db + 7, true, &driver, &failure)
                   : evlog_postgres_open(load->db, &driver, &failure));
    must(evlog_sql_store_open(driver, &store, &failure));
    return store;
}

/* A handler in C: the amount is where it always is. */
struct handler {
    struct {
        struct evlog_projection_store *store;
        void *statement;
    } places[STORE_MAX]; /* [place_count] a connection each */
    size_t place_count;
};

static int on_setup(void *arg, struct evlog_projection_store *store, struct evlog_failure *why)
{
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    (void)arg;
    return driver->script(driver, SETUP, NULL, why);
}

static int on_start(void *arg, struct evlog_projection_store *store, struct evlog_failure *why)
{
    struct handler *handler = arg;
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    handler->places[handler->place_count].store = store;
    return driver->prepare(driver, STATEMENT("$1", "$2"), 2, &handler->places[handler->place_count++].statement, NULL,
                           why);
}

static int on_event(void *arg, struct evlog_projection_store *store, const struct evlog_projection_event *event,
                    struct evlog_failure *why)
{
    static const size_t skip = sizeof "{\"amount\":" - 1;
    struct handler *handler = arg;
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    size_t place = 0;
    while (handler->places[place].store != store) {
        place++;
    }
    const struct evlog_sql_value values[] = {
        {.kind = EVLOG_SQL_TEXT, .bytes = event->event->key},
        {.kind = EVLOG_SQL_INT, .number = strtoll((const char *)event->data.data + skip, NULL, 10)},
    };
    return driver->run(driver, handler->places[place].statement, values, 2, NULL, NULL, NULL, why);
}

static int on_end(void *arg, struct evlog_projection_store *store, struct evlog_failure *why)
{
    struct handler *handler = arg;
    struct evlog_sql_driver *driver = evlog_sql_store_driver(store);
    (void)why;
    for (size_t i = 0; i < handler->place_count; i++) {
        if (handler->places[i].store == store) {
            driver->finish(driver, handler->places[i].statement);
        }
    }
    return 0;
}

static void run_projection(const struct project_load *load, bool by_file)
{
    struct evlog_projection_options options = EVLOG_PROJECTION_OPTIONS_INIT;
    struct evlog_client *client = client_new(load);
    struct evlog_projection_store *store = store_new(load);
    struct evlog_sql_projection *file = NULL;
    struct evlog_projection *projection;
    struct evlog_projection_counts counts;
    struct handler handler = {.place_count = 0};
    char text[1024];
    if (by_file) {
        int len = snprintf(text, sizeof text, "-- name: bench\n-- topics: %s\n-- setup\n%s;\n-- on Paid\n%s;\n",
                           load->topic, SETUP, STATEMENT(":key", ":data.amount"));
        must(evlog_sql_projection_parse("bench.sql", text, (size_t)len, &file, &failure));
        evlog_sql_projection_options(file, &options);
    } else {
        options.name = "bench";
        options.topics = &load->topic;
        options.topic_count = 1;
        options.on_setup = on_setup;
        options.on_start = on_start;
        options.on_event = on_event;
        options.on_end = on_end;
        options.arg = &handler;
    }
    options.until_caught_up = true;
    options.batch_count_max = load->batch;
    options.parallel = load->parallel;
    uint64_t from_ns = bench_now_ns();
    must(evlog_projection_open(client, store, &options, &projection, &failure));
    must(evlog_projection_run(projection, &failure));
    evlog_projection_counts(projection, &counts);
    must(evlog_projection_close(projection, &failure));
    if (counts.applied != load->count) {
        bench_die("%llu of %llu events were applied", (unsigned long long)counts.applied,
                  (unsigned long long)load->count);
    }
    tell(load, from_ns);
    evlog_projection_store_close(store);
    evlog_sql_projection_free(file);
    evlog_client_close(client);
}

/* --- without evlog ------------------------------------------------------------------------------------------------ */

static void lite(sqlite3 *db, int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) {
        bench_die("%s", sqlite3_errmsg(db));
    }
}

static void straight_sqlite(const struct project_load *load)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    char name[32];
    lite(NULL, sqlite3_open(load->db + 7, &db));
    lite(db, sqlite3_exec(db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; " SETUP, NULL, NULL, NULL));
    lite(db, sqlite3_prepare_v2(db, STATEMENT("?1", "?2"), -1, &statement, NULL));
    uint64_t from_ns = bench_now_ns();
    for (uint64_t i = 0; i < load->count; i++) {
        if (i % load->batch == 0) {
            lite(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        }
        lite(db, sqlite3_bind_text(statement, 1, name, (int)name_of(load, i, name), SQLITE_STATIC));
        lite(db, sqlite3_bind_int64(statement, 2, amount_of(i)));
        lite(db, sqlite3_step(statement));
        lite(db, sqlite3_reset(statement));
        if ((i + 1) % load->batch == 0 || i + 1 == load->count) {
            lite(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
        }
    }
    tell(load, from_ns);
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(db);
}

static void pg(PGconn *connection, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_PIPELINE_SYNC) {
        bench_die("%s", PQerrorMessage(connection));
    }
    PQclear(result);
}

static void sent(PGconn *connection, int rc)
{
    if (rc != 1) {
        bench_die("%s", PQerrorMessage(connection));
    }
}

/* All answers up to the point of synchronisation. */
static void read_answers(PGconn *connection)
{
    sent(connection, PQpipelineSync(connection));
    for (bool more = true; more;) {
        PGresult *result = PQgetResult(connection);
        more = result == NULL || PQresultStatus(result) != PGRES_PIPELINE_SYNC;
        if (result != NULL) {
            pg(connection, result);
        }
    }
}

static void straight_postgres(const struct project_load *load)
{
    PGconn *connection = PQconnectdb(load->db);
    char name[32], amount[32];
    const char *values[] = {name, amount};
    if (PQstatus(connection) != CONNECTION_OK) {
        bench_die("%s", PQerrorMessage(connection));
    }
    pg(connection, PQexec(connection, SETUP));
    pg(connection, PQprepare(connection, "pay", STATEMENT("$1", "$2"), 0, NULL));
    sent(connection, PQenterPipelineMode(connection));
    uint64_t from_ns = bench_now_ns();
    for (uint64_t i = 0; i < load->count; i++) {
        if (i % load->batch == 0) {
            sent(connection, PQsendQueryParams(connection, "BEGIN", 0, NULL, NULL, NULL, NULL, 0));
        }
        (void)name_of(load, i, name);
        (void)snprintf(amount, sizeof amount, "%lld", (long long)amount_of(i));
        sent(connection, PQsendQueryPrepared(connection, "pay", 2, values, NULL, NULL, 0));
        if (i % 16 == 15 && PQflush(connection) < 0) {
            bench_die("%s", PQerrorMessage(connection));
        }
        if ((i + 1) % load->batch == 0 || i + 1 == load->count) {
            sent(connection, PQsendQueryParams(connection, "COMMIT", 0, NULL, NULL, NULL, NULL, 0));
            read_answers(connection);
        }
    }
    tell(load, from_ns);
    PQfinish(connection);
}

/* --- command line ------------------------------------------------------------------------------------------------- */

static void run(const struct project_load *load)
{
    bool needs_db = strcmp(load->verb, "fill") != 0;
    if (needs_db && load->db == NULL) {
        bench_die("%s needs --db", load->verb);
    }
    if (!needs_db) {
        run_fill(load);
    } else if (strcmp(load->verb, "file") == 0) {
        run_projection(load, true);
    } else if (strcmp(load->verb, "callback") == 0) {
        run_projection(load, false);
    } else if (strcmp(load->verb, "straight") == 0) {
        (strncmp(load->db, "sqlite:", 7) == 0 ? straight_sqlite : straight_postgres)(load);
    } else {
        bench_die("no such verb: %s", load->verb);
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"topic", required_argument, NULL, 't'},
        {"count", required_argument, NULL, 'c'},
        {"keys", required_argument, NULL, 'k'},
        {"db", required_argument, NULL, 'd'},
        {"partitions", required_argument, NULL, 'P'},
        {"batch", required_argument, NULL, 'b'},
        {"parallel", required_argument, NULL, 'n'},
        {NULL, 0, NULL, 0},
    };
    struct project_load load = {
        .verb = "", .topic = "bench", .count = 10000, .keys = 1000, .partitions = 1, .batch = 1000, .parallel = 1};
    uint64_t port = 0;
    int c = getopt_long(argc, argv, "", options, NULL);
    for (; c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        uint64_t number = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        switch (c) {
        case 'p':
            port = number;
            break;
        case 't':
            load.topic = optarg;
            break;
        case 'c':
            load.count = number;
            break;
        case 'k':
            load.keys = number;
            break;
        case 'd':
            load.db = optarg;
            break;
        case 'P':
            load.partitions = (uint32_t)number;
            break;
        case 'b':
            load.batch = (uint32_t)number;
            break;
        case 'n':
            load.parallel = (uint32_t)number;
            break;
        default:
            bench_die("usage: project_load fill|file|callback|straight --port=N [--topic --count --keys --db "
                      "--partitions --batch --parallel]");
        }
    }
    load.verb = optind < argc ? argv[optind] : "";
    if (port > 65535 || load.count == 0 || load.keys == 0 || load.batch == 0 || load.parallel == 0) {
        bench_die("a value is missing or out of range");
    }
    (void)snprintf(load.address, sizeof load.address, "127.0.0.1:%llu", (unsigned long long)port);
    run(&load);
    return 0;
}
