/* SPDX-License-Identifier: Apache-2.0
 *
 * A replay into a SQLite file.
 *
 * 1. Everything goes into FILE-replay, in transactions of some thousand events. With a projection its setup runs first,
 *    then its statements on every event that its filter takes, in the order of the replay; else rows are inserted.
 * 2. finish() notes in the table evlog_replay what the rows are made of, and renames the file. So FILE is whole or not
 *    there; what an interrupted replay leaves is removed.
 *
 * A file that is there is never written to. An event that the SQL cannot be applied to ends the replay with file, line
 * and the event's place.
 */
#include "event_filter.h"
#include "project_db.h"
#include "replay_target.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <core/json.h>
#include <core/timefmt.h>
#include <core/utf8.h>
#include <errno.h>
#include <evlog/sqlite.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define BATCH_EVENTS 5000
#define COLUMN_COUNT 9

struct rows {
    struct replay_target base;
    const char *topic, *path;
    char *part_path; /* of the file while it is made */
    bool fold_latest;
    bool temporary;
    struct evlog_projection_store *store;
    struct evlog_sql_driver *driver; /* the store's */
    void *insert;                    /* without a projection */
    struct evlog_sql_projection *file;
    struct evlog_projection_options projection;
    struct event_filter filter;
    bool started; /* the projection's statements are prepared */
    bool in_transaction;
    uint32_t batch_count;
    uint64_t count;
};

static int told(const struct rows *rows, const struct evlog_failure *failure)
{
    return cli_failure(rows->base.cli, failure);
}

/* --- transactions ------------------------------------------------------------------------------------------------- */

static int begin(struct rows *rows)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (rows->in_transaction) {
        return CLI_OK;
    }
    int rc = rows->driver->begin(rows->driver, &failure);
    rows->in_transaction = rc == 0;
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

static int commit(struct rows *rows)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (!rows->in_transaction) {
        return CLI_OK;
    }
    rows->in_transaction = false;
    rows->batch_count = 0;
    return rows->driver->commit(rows->driver, &failure) == 0 ? CLI_OK : told(rows, &failure);
}

/* --- rows of events ----------------------------------------------------------------------------------------------- */

static struct evlog_sql_value of_int(int64_t number)
{
    return (struct evlog_sql_value){.kind = number < 0 ? EVLOG_SQL_NULL : EVLOG_SQL_INT, .number = number};
}

static struct evlog_sql_value of_bytes(struct evlog_bytes bytes)
{
    if (bytes.data == NULL) {
        return (struct evlog_sql_value){.kind = EVLOG_SQL_NULL};
    }
    bool text = el_utf8_valid(bytes.data, bytes.len) && (bytes.len == 0 || memchr(bytes.data, 0, bytes.len) == NULL);
    return (struct evlog_sql_value){.kind = text ? EVLOG_SQL_TEXT : EVLOG_SQL_BYTES, .bytes = bytes};
}

static struct evlog_sql_value of_time(char text[40], int64_t ns, int digits)
{
    if (ns < 0) {
        return (struct evlog_sql_value){.kind = EVLOG_SQL_NULL};
    }
    el_time_format(text, ns, digits);
    return (struct evlog_sql_value){.kind = EVLOG_SQL_TEXT, .bytes = {text, strlen(text)}};
}

static int insert(struct rows *rows, const struct evlog_replay_event *replayed)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event = replayed->event;
    char time[40], append_time[40];
    const struct evlog_sql_value values[COLUMN_COUNT] = {
        of_bytes(event->key),
        of_int(replayed->version),
        of_bytes(replayed->type),
        of_bytes(replayed->id),
        of_int(event->partition),
        of_int(event->offset),
        of_time(time, cli_event_ns(event->timestamp_ms), 3),
        of_time(append_time, event->append_time_ns, 9),
        of_bytes(replayed->data),
    };
    int rc = rows->driver->run(rows->driver, rows->insert, values, COLUMN_COUNT, NULL, NULL, NULL, &failure);
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

static int make_table(struct rows *rows)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver = rows->driver;
    const char *make =
        rows->fold_latest
            ? "CREATE TABLE state (key PRIMARY KEY NOT NULL, version INTEGER, type, id, partition INTEGER "
              "NOT NULL, \"offset\" INTEGER NOT NULL, time TEXT, append_time TEXT, data)"
            : "CREATE TABLE events (key, version INTEGER, type, id, partition INTEGER NOT NULL, "
              "\"offset\" INTEGER NOT NULL, time TEXT, append_time TEXT, data, PRIMARY KEY (partition, "
              "\"offset\"))";
    const char *fill = rows->fold_latest ? "INSERT INTO state VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
                                         : "INSERT INTO events VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    int rc = driver->script(driver, make, NULL, &failure);
    if (rc == 0) {
        rc = driver->prepare(driver, fill, COLUMN_COUNT, &rows->insert, NULL, &failure);
    }
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

/* --- rows of a projection ----------------------------------------------------------------------------------------- */

static int apply(struct rows *rows, const struct evlog_replay_event *replayed)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (!event_filter_takes(&rows->filter, replayed->event)) {
        return CLI_OK;
    }
    const struct evlog_projection_event event = {
        .event = replayed->event,
        .type = replayed->type,
        .id = replayed->id,
        .data = replayed->data,
        .version = replayed->version,
        .replaying = true,
    };
    int rc = rows->projection.on_event(rows->projection.arg, rows->store, &event, &failure);
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

static int read_project(struct rows *rows, const struct replay_wanted *wanted)
{
    struct cli *cli = rows->base.cli;
    int rc = project_file_read(cli, wanted->project, &rows->file);
    if (rc != CLI_OK) {
        return rc;
    }
    struct evlog_projection_options *projection = &rows->projection;
    *projection = (struct evlog_projection_options)EVLOG_PROJECTION_OPTIONS_INIT;
    evlog_sql_projection_keys(rows->file, wanted->keys);
    evlog_sql_projection_options(rows->file, projection);
    if (projection->topic_count != 1 || strcmp(projection->topics[0], wanted->topic) != 0) {
        return cli_error_remedy(cli,
                                (struct cli_remedy){CLI_ERR_VALUE, "replay the topic that its line \"-- topics:\" "
                                                                   "names; a replay reads one"},
                                "%s is a projection of %s%s, not of topic %s", wanted->project, projection->topics[0],
                                projection->topic_count > 1 ? " and other topics" : "", wanted->topic);
    }
    struct cli_list filters = {(const char **)projection->filters, projection->filter_count};
    return event_filter_open(&rows->filter, cli, &filters);
}

/* The setup, and statements made ready: what is wrong with the SQL is told before anything is read. */
static int start_project(struct rows *rows)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_options *projection = &rows->projection;
    int rc = projection->on_setup(projection->arg, rows->store, &failure);
    if (rc == 0) {
        rc = projection->on_start(projection->arg, rows->store, &failure);
        rows->started = rc == 0;
    }
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static int rows_take(struct replay_target *target, const struct evlog_replay_event *event)
{
    struct rows *rows = (struct rows *)target;
    int rc = begin(rows);
    if (rc == CLI_OK) {
        rc = rows->file != NULL ? apply(rows, event) : insert(rows, event);
    }
    rows->count += rc == CLI_OK;
    return rc == CLI_OK && ++rows->batch_count == BATCH_EVENTS ? commit(rows) : rc;
}

/* What the rows are made of, in a table of one row; the tables of running projections go. */
static int note(struct rows *rows, const struct evlog_replay_summary *summary)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_sql_driver *driver = rows->driver;
    void *statement = NULL;
    char digest[65];
    el_hex(digest, summary->digest, sizeof summary->digest);
    const struct evlog_sql_value values[] = {
        of_bytes((struct evlog_bytes){rows->topic, strlen(rows->topic)}),
        of_bytes((struct evlog_bytes){digest, 64}),
        of_int((int64_t)summary->event_count),
        of_int((int64_t)summary->key_count),
        of_int(summary->partial),
    };
    int rc = driver->script(driver,
                            "DROP TABLE IF EXISTS evlog_projection_stream; DROP TABLE IF EXISTS "
                            "evlog_projection_position; DROP TABLE IF EXISTS evlog_projection; CREATE TABLE "
                            "evlog_replay (topic TEXT NOT NULL, digest TEXT NOT NULL, events INTEGER NOT NULL, keys "
                            "INTEGER NOT NULL, partial INTEGER NOT NULL)",
                            NULL, &failure);
    if (rc == 0) {
        rc = driver->prepare(driver, "INSERT INTO evlog_replay VALUES ($1, $2, $3, $4, $5)", 5, &statement, NULL,
                             &failure);
    }
    if (rc == 0) {
        rc = driver->run(driver, statement, values, 5, NULL, NULL, NULL, &failure);
    }
    if (statement != NULL) {
        driver->finish(driver, statement);
    }
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

static void close_store(struct rows *rows)
{
    if (rows->store == NULL) {
        return;
    }
    if (rows->in_transaction) {
        rows->driver->rollback(rows->driver);
        rows->in_transaction = false;
    }
    if (rows->started) {
        (void)rows->projection.on_end(rows->projection.arg, rows->store, NULL);
    }
    if (rows->insert != NULL) {
        rows->driver->finish(rows->driver, rows->insert);
    }
    evlog_projection_store_close(rows->store);
    rows->store = NULL;
}

static bool sync_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    return (fd < 0 || close(fd) == 0) && ok;
}

static int rows_finish(struct replay_target *target, const struct evlog_replay_summary *summary)
{
    struct rows *rows = (struct rows *)target;
    int rc = begin(rows);
    if (rc == CLI_OK) {
        rc = note(rows, summary);
    }
    if (rc == CLI_OK) {
        rc = commit(rows);
    }
    close_store(rows);
    if (rc != CLI_OK) {
        return rc;
    }
    /* link() refuses where rename() would replace a file that somebody has made meanwhile. */
    if (!sync_file(rows->part_path) || link(rows->part_path, rows->path) != 0) {
        return cli_error(target->cli, CLI_ERR_OUTPUT, "%s: %s", rows->path, strerror(errno));
    }
    event_filter_say(&rows->filter, target->cli);
    if (!rows->temporary) {
        cli_say(target->cli, "%s: made of %llu events", rows->path, (unsigned long long)summary->event_count);
    }
    return CLI_OK;
}

static void remove_part(const struct rows *rows)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; rows->part_path != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        struct el_buffer name = {0};
        el_buffer_printf(&name, "%s%s", rows->part_path, endings[i]);
        const char *text = el_buffer_text(&name);
        if (text != NULL) {
            (void)unlink(text);
        }
        el_buffer_free(&name);
    }
}

static void rows_close(struct replay_target *target)
{
    struct rows *rows = (struct rows *)target;
    bool made = rows->store != NULL;
    close_store(rows);
    if (made || rows->part_path != NULL) {
        remove_part(rows);
    }
    event_filter_close(&rows->filter);
    evlog_sql_projection_free(rows->file);
    el_free(rows->part_path);
    el_free(rows);
}

static int open_store(struct rows *rows)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct el_buffer name = {0};
    el_buffer_printf(&name, "%s-replay-%d", rows->path, (int)getpid());
    const char *text = el_buffer_text(&name);
    rows->part_path = text == NULL ? NULL : el_strdup(text);
    el_buffer_free(&name);
    if (rows->part_path == NULL) {
        return cli_error(rows->base.cli, CLI_ERR_VALUE, "no memory");
    }
    remove_part(rows);
    int rc = evlog_sqlite_open(rows->part_path, true, &rows->driver, &failure);
    if (rc == 0) {
        rc = evlog_sql_store_open(rows->driver, &rows->store, &failure);
        if (rc != 0) {
            rows->driver->close(rows->driver, false);
        }
    }
    return rc == 0 ? CLI_OK : told(rows, &failure);
}

static int prepare(struct rows *rows, const struct replay_wanted *wanted)
{
    struct cli *cli = rows->base.cli;
    if (access(rows->path, F_OK) == 0) {
        return cli_error_remedy(cli,
                                (struct cli_remedy){CLI_ERR_TARGET, "name a file that is not there yet, or remove it"},
                                "%s is there already", rows->path);
    }
    if (wanted->project != NULL && wanted->fold_latest) {
        return cli_error(cli, CLI_ERR_VALUE, "a projection is made of every event: leave --fold out");
    }
    int rc = wanted->project != NULL ? read_project(rows, wanted) : CLI_OK;
    if (rc == CLI_OK) {
        rc = open_store(rows);
    }
    if (rc == CLI_OK) {
        rc = begin(rows);
    }
    if (rc == CLI_OK) {
        rc = rows->file != NULL ? start_project(rows) : make_table(rows);
    }
    return rc;
}

int replay_rows_open(struct cli *cli, const struct replay_wanted *wanted, const char *path,
                     struct replay_target **target)
{
    struct rows *rows = el_calloc(1, sizeof *rows);
    if (rows == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    rows->base = (struct replay_target){
        .cli = cli,
        .take = rows_take,
        .finish = rows_finish,
        .close = rows_close,
        .resume_hint = "nothing was left behind; run the same command again",
    };
    rows->topic = wanted->topic;
    rows->path = path;
    rows->fold_latest = wanted->fold_latest;
    rows->temporary = wanted->temporary;
    int rc = prepare(rows, wanted);
    if (rc != CLI_OK) {
        rows_close(&rows->base);
        return rc;
    }
    *target = &rows->base;
    return CLI_OK;
}
