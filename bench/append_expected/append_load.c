/* SPDX-License-Identifier: Apache-2.0
 *
 * Appends with an expected version, one event each, from some connections at once; prints one line of JSON.
 * bench/append_expected/run compares.
 *
 * 1. evlog: libevlog's evlog_append(), a client and so a connection for each thread
 * 2. postgres: an INSERT into a table with the primary key (stream, version), a commit each; what was there already is
 *    a conflict, and the version that the stream is at is asked for
 *
 * Shapes: new (every append begins a stream), own (each thread has a stream of its own), hot (all have one stream). An
 * append that met a conflict is tried again behind the version that it was told, until it is in; its time counts
 * from the first try. An event is in when the answer says so, that is when it is on the disk.
 */
#include "../lib/bench.h"

#include <evlog/evlog.h>
#include <getopt.h>
#include <postgresql/libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONN_MAX 256
#define DATA_LEN_MAX 65536u
#define TABLE                                                                                                          \
    "CREATE TABLE event (stream TEXT NOT NULL, version BIGINT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,"         \
    " data BYTEA NOT NULL, at TIMESTAMPTZ NOT NULL DEFAULT now(), PRIMARY KEY (stream, version))"

enum shape { NEW, OWN, HOT };

struct append_load {
    enum shape shape;
    const char *topic, *db; /* db: of PostgreSQL, NULL: evlog */
    char address[64];
    double warm_seconds, seconds;
    uint32_t conns, partitions, data_len;
    _Atomic uint64_t stream_next; /* number of the next stream */
    uint64_t measure_ns, end_ns;  /* from when and until when appends count */
};

struct appender {
    struct append_load *load;
    pthread_t thread;
    struct evlog_client *client;
    PGconn *connection;
    char stream[64];
    int64_t version; /* of its last event as far as known, -1 none */
    uint64_t appends, conflicts;
    struct bench_histogram in;    /* from the first try until it is in */
    struct bench_histogram tries; /* of each try that did not meet a conflict */
};

static uint8_t data[DATA_LEN_MAX];

/* --- evlog -------------------------------------------------------------------------------------------------------- */

static struct evlog_client *client_new(const struct append_load *load)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_settings *settings = NULL;
    struct evlog_client *client = NULL;
    if (evlog_settings_new(&settings) != 0 ||
        evlog_settings_set(settings, "bootstrap.servers", load->address, &failure) != 0 ||
        evlog_client_open(settings, &client, &failure) != 0) {
        bench_die("%s (%s)", failure.text, failure.hint);
    }
    evlog_settings_free(settings);
    return client;
}

static void topic_create(const struct append_load *load)
{
    static const struct evlog_setting streams = {"evlog.streams", "true"};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_create_options options = EVLOG_TOPIC_CREATE_OPTIONS_INIT;
    struct evlog_client *client = client_new(load);
    options.name = load->topic;
    options.partition_count = (int32_t)load->partitions;
    options.settings = &streams;
    options.setting_count = 1;
    if (evlog_topic_create(client, &options, &failure) != 0) {
        bench_die("%s (%s)", failure.text, failure.hint);
    }
    evlog_client_close(client);
}

/* One try. returns true: it is in; false: a conflict, version is that of the stream now */
static bool try_evlog(struct appender *a, const char *id)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    struct evlog_append append = EVLOG_APPEND_INIT;
    struct evlog_new_event event = {.id = id, .type = "Paid", .data = {data, a->load->data_len}};
    append.topic = a->load->topic;
    append.key = (struct evlog_bytes){a->stream, strlen(a->stream)};
    append.expected = a->version < 0 ? EVLOG_EXPECT_NONE : a->version;
    append.events = &event;
    append.event_count = 1;
    int rc = evlog_append(a->client, &append, &appended, &failure);
    if (rc == EVLOG_ERR_WRONG_VERSION) {
        a->version = appended.conflict.current_version;
        return false;
    }
    if (rc != 0) {
        bench_die("append: %s (%s)", failure.text, failure.hint);
    }
    a->version = appended.version;
    return true;
}

/* --- PostgreSQL --------------------------------------------------------------------------------------------------- */

static PGconn *connection_new(const struct append_load *load)
{
    PGconn *connection = PQconnectdb(load->db);
    if (PQstatus(connection) != CONNECTION_OK) {
        bench_die("%s", PQerrorMessage(connection));
    }
    return connection;
}

static void must(PGconn *connection, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        bench_die("%s", PQerrorMessage(connection));
    }
    PQclear(result);
}

static void table_create(const struct append_load *load)
{
    PGconn *connection = connection_new(load);
    must(connection, PQexec(connection, TABLE));
    PQfinish(connection);
}

static void prepare(PGconn *connection)
{
    must(connection,
         PQprepare(connection, "append",
                   "INSERT INTO event (stream, version, id, type, data) VALUES ($1, $2, $3, 'Paid', $4)", 0, NULL));
    must(connection,
         PQprepare(connection, "version", "SELECT coalesce(max(version), -1) FROM event WHERE stream = $1", 0, NULL));
}

static int64_t ask_version(struct appender *a)
{
    const char *values[] = {a->stream};
    PGresult *result = PQexecPrepared(a->connection, "version", 1, values, NULL, NULL, 0);
    int64_t version = PQntuples(result) == 1 ? strtoll(PQgetvalue(result, 0, 0), NULL, 10) : -1;
    must(a->connection, result);
    return version;
}

static bool try_postgres(struct appender *a, const char *id)
{
    char version[32];
    const char *values[] = {a->stream, version, id, (const char *)data};
    const int lens[] = {0, 0, 0, (int)a->load->data_len};
    const int formats[] = {0, 0, 0, 1};
    (void)snprintf(version, sizeof version, "%lld", (long long)a->version + 1);
    PGresult *result = PQexecPrepared(a->connection, "append", 4, values, lens, formats, 0);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (state != NULL && strcmp(state, "23505") == 0) {
        PQclear(result);
        a->version = ask_version(a);
        return false;
    }
    must(a->connection, result);
    a->version++;
    return true;
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

static void choose_stream(struct appender *a)
{
    if (a->load->shape == NEW) {
        (void)snprintf(a->stream, sizeof a->stream, "order-%llu",
                       (unsigned long long)atomic_fetch_add(&a->load->stream_next, 1));
        a->version = -1;
    }
}

static void append_one(struct appender *a)
{
    char id[EVLOG_ID_MAX];
    uint64_t conflicts = 0, from_ns = bench_now_ns(), try_ns = from_ns;
    choose_stream(a);
    evlog_event_id_make(id);
    while (!(a->connection != NULL ? try_postgres(a, id) : try_evlog(a, id))) {
        conflicts++;
        try_ns = bench_now_ns();
    }
    uint64_t now_ns = bench_now_ns();
    if (from_ns >= a->load->measure_ns && now_ns <= a->load->end_ns) {
        a->appends++;
        a->conflicts += conflicts;
        bench_histogram_add(&a->in, now_ns - from_ns);
        bench_histogram_add(&a->tries, now_ns - try_ns);
    }
}

static void *append_thread(void *arg)
{
    struct appender *a = arg;
    while (bench_now_ns() < a->load->end_ns) {
        append_one(a);
    }
    return NULL;
}

static void open_one(struct append_load *load, struct appender *a, uint32_t i)
{
    a->load = load;
    a->version = -1;
    (void)snprintf(a->stream, sizeof a->stream, "order-%s%u", load->shape == OWN ? "of-" : "hot-",
                   load->shape == OWN ? i : 0);
    if (load->db != NULL) {
        a->connection = connection_new(load);
        prepare(a->connection);
    } else {
        a->client = client_new(load);
    }
}

static void add_up(struct appender *all, const struct appender *a)
{
    all->appends += a->appends;
    all->conflicts += a->conflicts;
    all->in.count += a->in.count;
    all->tries.count += a->tries.count;
    for (size_t i = 0; i < sizeof all->in.buckets / sizeof all->in.buckets[0]; i++) {
        all->in.buckets[i] += a->in.buckets[i];
        all->tries.buckets[i] += a->tries.buckets[i];
    }
}

static void run(struct append_load *load)
{
    struct appender *appenders = bench_alloc((load->conns + 1) * sizeof *appenders), *all = &appenders[load->conns];
    (load->db != NULL ? table_create : topic_create)(load);
    for (uint32_t i = 0; i < load->conns; i++) {
        open_one(load, &appenders[i], i);
    }
    load->measure_ns = bench_now_ns() + (uint64_t)(load->warm_seconds * 1e9);
    load->end_ns = load->measure_ns + (uint64_t)(load->seconds * 1e9);
    for (uint32_t i = 0; i < load->conns; i++) {
        if (pthread_create(&appenders[i].thread, NULL, append_thread, &appenders[i]) != 0) {
            bench_die("no thread");
        }
    }
    for (uint32_t i = 0; i < load->conns; i++) {
        (void)pthread_join(appenders[i].thread, NULL);
        add_up(all, &appenders[i]);
        PQfinish(appenders[i].connection);
        evlog_client_close(appenders[i].client);
    }
    printf("{\"appends\":%llu,\"conflicts\":%llu,\"seconds\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"try_p50_us\":%.1f,\"try_p99_us\":%.1f}\n",
           (unsigned long long)all->appends, (unsigned long long)all->conflicts, load->seconds,
           bench_histogram_us(&all->in, 0.5), bench_histogram_us(&all->in, 0.99), bench_histogram_us(&all->tries, 0.5),
           bench_histogram_us(&all->tries, 0.99));
}

/* --- command line ------------------------------------------------------------------------------------------------- */

static enum shape shape_of(const char *word)
{
    if (strcmp(word, "new") == 0) {
        return NEW;
    }
    if (strcmp(word, "own") == 0) {
        return OWN;
    }
    if (strcmp(word, "hot") == 0) {
        return HOT;
    }
    bench_die("no such shape: %s", word);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},       {"db", required_argument, NULL, 'd'},
        {"topic", required_argument, NULL, 't'},      {"shape", required_argument, NULL, 's'},
        {"conns", required_argument, NULL, 'c'},      {"seconds", required_argument, NULL, 'S'},
        {"warm", required_argument, NULL, 'w'},       {"data-len", required_argument, NULL, 'l'},
        {"partitions", required_argument, NULL, 'P'}, {NULL, 0, NULL, 0},
    };
    static struct append_load load = {
        .topic = "orders", .seconds = 2, .warm_seconds = 0.5, .conns = 1, .partitions = 1, .data_len = 256};
    uint64_t port = 0;
    int c = getopt_long(argc, argv, "", options, NULL);
    for (; c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        uint64_t number = optarg == NULL ? 0 : strtoull(optarg, NULL, 10);
        switch (c) {
        case 'p':
            port = number;
            break;
        case 'd':
            load.db = optarg;
            break;
        case 't':
            load.topic = optarg;
            break;
        case 's':
            load.shape = shape_of(optarg);
            break;
        case 'c':
            load.conns = (uint32_t)number;
            break;
        case 'S':
            load.seconds = strtod(optarg, NULL);
            break;
        case 'w':
            load.warm_seconds = strtod(optarg, NULL);
            break;
        case 'l':
            load.data_len = (uint32_t)number;
            break;
        case 'P':
            load.partitions = (uint32_t)number;
            break;
        default:
            bench_die("usage: append_load --port=N|--db=URL [--shape=new|own|hot --conns --seconds --warm --data-len "
                      "--topic --partitions]");
        }
    }
    if ((port == 0) == (load.db == NULL) || port > 65535 || load.conns == 0 || load.conns > CONN_MAX ||
        load.data_len > DATA_LEN_MAX || !(load.seconds > 0)) {
        bench_die("a value is missing or out of range");
    }
    memset(data, 'x', sizeof data);
    (void)snprintf(load.address, sizeof load.address, "127.0.0.1:%llu", (unsigned long long)port);
    run(&load);
    return 0;
}
