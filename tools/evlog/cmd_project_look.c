/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog project ls, status, pause, resume, wait: looking at projections that run elsewhere, through their database.
 *
 * Only the lag needs the server; when it is not reached the lag is unknown, and the rest is told.
 */
#include "cli.h"
#include "project_db.h"
#include "table.h"

#include <core/alloc.h>
#include <stdlib.h>
#include <string.h>

#define PING_MS 2000

struct look {
    struct cli *cli;
    const char *db;
    const char *name;
    struct evlog_projection_store *store;
    struct table table;
    struct el_buffer line;
    struct el_json_writer w;
    bool connected;
    int rc; /* of what is written */
};

static const char *state_of(const struct evlog_projection_row *row)
{
    if (row->running) {
        return row->paused ? "paused" : "running";
    }
    return row->error[0] != '\0' ? "failed" : row->paused ? "paused" : "stopped";
}

/* --- ls ----------------------------------------------------------------------------------------------------------- */

static void json_row(struct el_json_writer *w, const struct evlog_projection_row *row)
{
    el_json_add_str(w, "projection", row->name);
    el_json_add_int(w, "generation", row->generation);
    el_json_add_str(w, "state", state_of(row));
    el_json_add_bool(w, "running", row->running);
    el_json_add_bool(w, "paused", row->paused);
    el_json_add_str(w, "runner", row->who[0] == '\0' ? NULL : row->who);
    el_json_add_int(w, "applied", row->applied);
    el_json_add_int(w, "skipped", row->skipped);
    el_json_add_int(w, "dead", row->dead);
    el_json_key(w, "rate");
    if (row->rate_milli < 0) {
        el_json_put_null(w);
    } else {
        el_json_put_real(w, (double)row->rate_milli / 1000);
    }
    cli_json_time(w, "saved", row->saved_ms > 0 ? cli_event_ns(row->saved_ms) : -1, 3);
    el_json_add_str(w, "error", row->error[0] == '\0' ? NULL : row->error);
    cli_json_time(w, "error_time", row->error_ms > 0 ? cli_event_ns(row->error_ms) : -1, 3);
}

static int ls_row(void *arg, const struct evlog_projection_row *row)
{
    struct look *look = arg;
    char text[32];
    if (look->cli->json) {
        cli_json_begin(&look->w, &look->line);
        json_row(&look->w, row);
        look->rc = cli_json_end(look->cli, &look->w, &look->line);
        return look->rc == CLI_OK ? 0 : EVLOG_ERR_IO;
    }
    table_cell(&look->table, "%s", row->name);
    table_number(&look->table, row->generation);
    table_cell(&look->table, "%s", state_of(row));
    table_number(&look->table, row->applied);
    table_number(&look->table, row->skipped);
    table_number(&look->table, row->dead);
    table_cell(&look->table, "%s",
               cli_age(row->saved_ms > 0 ? look->cli->now_ns / 1000000 - row->saved_ms : -1, text, sizeof text));
    table_cell(&look->table, "%s", row->running ? row->who : row->error[0] == '\0' ? "-" : row->error);
    return 0;
}

static int ls(struct look *look)
{
    static const struct table_column columns[] = {
        {"PROJECTION", false}, {"GENERATION", true}, {"STATE", false}, {"APPLIED", true},
        {"SKIPPED", true},     {"DEAD", true},       {"SAVED", true},  {"RUNNER", false},
    };
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    table_begin(&look->table, columns, sizeof columns / sizeof columns[0]);
    int rc = evlog_projection_list(look->store, NULL, ls_row, look, &failure);
    if (rc != 0) {
        el_buffer_free(&look->table.cells);
        return look->rc != CLI_OK ? look->rc : cli_failure(look->cli, &failure);
    }
    return look->cli->json ? CLI_OK : table_end(look->cli, &look->table);
}

/* --- status ------------------------------------------------------------------------------------------------------- */

/* Reach the server without a word when it is not there. */
static bool connect_quietly(struct cli *cli)
{
    struct evlog_settings *settings;
    if (cli_settings(cli, &settings) != CLI_OK) {
        return false;
    }
    int rc = evlog_client_open(settings, &cli->client, NULL);
    evlog_settings_free(settings);
    return rc == 0 && evlog_client_ping(cli->client, PING_MS, NULL) == 0;
}

static int64_t lag_of(struct look *look, const struct evlog_projection_position *position)
{
    int64_t end = -1;
    if (!look->connected || evlog_offset_at(look->cli->client, position->topic, position->partition,
                                            EVLOG_OFFSET_LATEST, &end, NULL) != 0) {
        return -1;
    }
    return end > position->next_offset ? end - position->next_offset : 0;
}

static int status_position(void *arg, const struct evlog_projection_position *position)
{
    struct look *look = arg;
    int64_t lag = lag_of(look, position);
    if (look->cli->json) {
        el_json_begin_object(&look->w);
        el_json_add_str(&look->w, "topic", position->topic);
        el_json_add_int(&look->w, "partition", position->partition);
        el_json_add_int(&look->w, "next_offset", position->next_offset);
        el_json_key(&look->w, "lag");
        if (lag < 0) {
            el_json_put_null(&look->w);
        } else {
            el_json_put_int(&look->w, lag);
        }
        el_json_add_str(&look->w, "last_id", position->last_id[0] == '\0' ? NULL : position->last_id);
        cli_json_time(&look->w, "last_append_time", position->append_time_ns, 9);
        el_json_end_object(&look->w);
        return 0;
    }
    table_cell(&look->table, "%s", position->topic);
    table_number(&look->table, position->partition);
    table_number(&look->table, position->next_offset);
    table_number(&look->table, lag);
    table_cell(&look->table, "%s", position->last_id[0] == '\0' ? "-" : position->last_id);
    return 0;
}

static int keep_row(void *arg, const struct evlog_projection_row *row)
{
    *(struct evlog_projection_row *)arg = *row;
    return 0;
}

static void say_row(const struct evlog_projection_row *row)
{
    (void)printf("%s: %s, generation %lld\n", row->name, state_of(row), (long long)row->generation);
    (void)printf("  applied %lld, skipped %lld, dead letters %lld", (long long)row->applied, (long long)row->skipped,
                 (long long)row->dead);
    if (row->rate_milli >= 0 && row->running) {
        (void)printf(", %.1f events/s", (double)row->rate_milli / 1000);
    }
    (void)printf("\n");
    if (row->running) {
        (void)printf("  run by %s\n", row->who);
    }
    if (row->error[0] != '\0') {
        (void)printf("  stopped: %s\n", row->error);
    }
}

static int status(struct look *look)
{
    static const struct table_column columns[] = {
        {"TOPIC", false}, {"PARTITION", true}, {"NEXT", true}, {"LAG", true}, {"LAST ID", false},
    };
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_projection_row row;
    int rc = evlog_projection_list(look->store, look->name, keep_row, &row, &failure);
    if (rc != 0) {
        return cli_failure(look->cli, &failure);
    }
    look->connected = connect_quietly(look->cli);
    table_begin(&look->table, columns, sizeof columns / sizeof columns[0]);
    if (look->cli->json) {
        cli_json_begin(&look->w, &look->line);
        json_row(&look->w, &row);
        el_json_key(&look->w, "positions");
        el_json_begin_array(&look->w);
    } else {
        say_row(&row);
    }
    rc = evlog_projection_positions(look->store, look->name, status_position, look, &failure);
    if (look->cli->json) {
        el_json_end_array(&look->w);
    }
    int code = look->cli->json ? cli_json_end(look->cli, &look->w, &look->line) : table_end(look->cli, &look->table);
    return rc != 0 ? cli_failure(look->cli, &failure) : code;
}

/* --- commands ----------------------------------------------------------------------------------------------------- */

static int look_at(struct look *look, const struct cli_words *words, int (*fn)(struct look *look))
{
    look->name = words->count > 0 ? words->items[0] : NULL;
    int rc = project_db_open(look->cli, look->db, false, &look->store);
    if (rc == CLI_OK) {
        rc = fn(look);
    }
    evlog_projection_store_close(look->store);
    el_buffer_free(&look->line);
    return rc;
}

#define DB_OPTION(look)                                                                                                \
    {                                                                                                                  \
        "db", 0, CLI_TEXT, &(look).db, "DB", "where the rows are: sqlite:FILE, postgres://..."                         \
    }

static int simple(struct cli *cli, const struct cli_command *command, int argc, char **argv,
                  int (*fn)(struct look *look))
{
    struct look look = {.cli = cli};
    const struct cli_option options[] = {DB_OPTION(look)};
    int word_count = command->arguments[0] == '\0' ? 0 : 1;
    struct cli_grammar grammar = {options, 1, word_count, word_count};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? look_at(&look, &words, fn) : rc;
}

int cmd_project_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return simple(cli, command, argc, argv, ls);
}

int cmd_project_status(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return simple(cli, command, argc, argv, status);
}

static int set_paused(struct look *look, bool paused)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    if (evlog_projection_pause(look->store, look->name, paused, &failure) != 0) {
        return cli_failure(look->cli, &failure);
    }
    cli_say(look->cli, "%s: %s", look->name, paused ? "its runner pauses within a second" : "its runner goes on");
    return CLI_OK;
}

static int pause_it(struct look *look)
{
    return set_paused(look, true);
}

static int resume_it(struct look *look)
{
    return set_paused(look, false);
}

int cmd_project_pause(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return simple(cli, command, argc, argv, pause_it);
}

int cmd_project_resume(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return simple(cli, command, argc, argv, resume_it);
}

/* --- wait --------------------------------------------------------------------------------------------------------- */

int cmd_project_wait(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct look look = {.cli = cli};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *position = NULL;
    const struct cli_option options[] = {
        DB_OPTION(look),
        {"position", 0, CLI_TEXT, &position, "POSITION", "what an append printed, or TOPIC/PARTITION/OFFSET"},
    };
    struct cli_grammar grammar = {options, 2, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (position == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "--position says what must be in: what an append printed, or orders/0/17");
    }
    rc = project_db_open(cli, look.db, false, &look.store);
    if (rc == CLI_OK) {
        int timeout_ms = cli->timeout_ms < 0 || cli->timeout_ms > INT32_MAX ? 30000 : (int)cli->timeout_ms;
        int code = evlog_project_wait(look.store, words.items[0], position, timeout_ms, &failure);
        rc = code == 0 ? CLI_OK : cli_failure(cli, &failure);
    }
    evlog_projection_store_close(look.store);
    return rc;
}
