/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog table: a compacted topic as a table, its rows as they are now; with --follow every change after them.
 *
 * JSON objects, one a line: key, partition, offset, times, data. A row that was removed has null data.
 */
#include "cli.h"

#include <string.h>

#define TURN_MS 200 /* between two looks at whether somebody wants to stop */

struct show {
    struct cli *cli;
    const char *prefix, *key;
    bool follow;
    int64_t memory_mib;
    struct evlog_table *table;
    struct el_buffer line;
    int exit_code; /* of a callback */
};

static int put(struct show *show, const struct evlog_event *row, bool removed)
{
    struct el_json_writer w;
    struct evlog_event_view view = {.size = sizeof view};
    if (!removed && evlog_event_view(row, &view) != 0) {
        return cli_error(show->cli, CLI_ERR_VALUE, "no memory");
    }
    el_json_writer_init(&w, &show->line);
    el_json_begin_object(&w);
    cli_json_bytes(&w, "key", row->key);
    if (!removed) {
        cli_json_bytes(&w, "type", view.type);
        el_json_add_int(&w, "partition", row->partition);
        el_json_add_int(&w, "offset", row->offset);
        cli_json_time(&w, "time", cli_event_ns(row->timestamp_ms), 3);
        cli_json_time(&w, "append_time", row->append_time_ns, 9);
    }
    cli_json_data(&w, view.data);
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        show->line.err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(&show->line, '\n');
    evlog_event_view_free(&view);
    return cli_put(show->cli, &show->line);
}

static bool wanted(const struct show *show, struct evlog_bytes key)
{
    const char *text = show->key != NULL ? show->key : show->prefix;
    size_t len = text == NULL ? 0 : strlen(text);
    return key.len >= len && memcmp(key.data, text == NULL ? "" : text, len) == 0 &&
           (show->key == NULL || key.len == len);
}

static int on_change(void *arg, const struct evlog_event *before, const struct evlog_event *after)
{
    struct show *show = arg;
    const struct evlog_event *row = after != NULL ? after : before;
    if (wanted(show, row->key)) {
        show->exit_code = put(show, row, after == NULL);
    }
    return show->exit_code == CLI_OK ? 0 : EVLOG_ERR_IO;
}

/* Read up to now. returns CLI_OK | exit code, told */
static int load(struct show *show)
{
    int rc;
    do {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        struct evlog_table_state state = EVLOG_TABLE_STATE_INIT;
        rc = evlog_table_refresh(show->table, TURN_MS, &failure);
        evlog_table_state(show->table, &state);
        cli_progress(show->cli, "read", state.event_count, 0);
        if (rc != 0 && rc != EVLOG_ERR_TIMED_OUT) {
            cli_progress_end(show->cli);
            return cli_failure(show->cli, &failure);
        }
    } while (rc != 0 && !cli_interrupted);
    cli_progress_end(show->cli);
    return cli_interrupted ? CLI_INTERRUPTED : CLI_OK;
}

static int print_rows(struct show *show)
{
    const struct evlog_event *row;
    struct evlog_bytes after = {NULL, 0};
    if (show->key != NULL) {
        row = evlog_table_get(show->table, (struct evlog_bytes){show->key, strlen(show->key)});
        return row != NULL    ? put(show, row, false)
               : show->follow ? CLI_OK
                              : cli_error(show->cli, CLI_ERR_NO_KEY, "the table has no key %.200s", show->key);
    }
    int rc = CLI_OK, got;
    while (rc == CLI_OK && !cli_interrupted && (got = evlog_table_next(show->table, after, &row)) != 0) {
        if (got < 0) {
            return cli_error(show->cli, CLI_ERR_VALUE, "no memory");
        }
        rc = wanted(show, row->key) ? put(show, row, false) : CLI_OK;
        after = row->key;
    }
    return rc;
}

static int follow(struct show *show)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    while (!cli_interrupted) {
        (void)fflush(stdout);
        if (evlog_table_poll(show->table, TURN_MS, &failure) < 0) {
            return show->exit_code != CLI_OK ? show->exit_code : cli_failure(show->cli, &failure);
        }
    }
    return CLI_INTERRUPTED;
}

static int run(struct show *show, const struct cli_words *words)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_table_options options = EVLOG_TABLE_OPTIONS_INIT;
    options.topic = words->items[0];
    options.memory_max = (uint64_t)show->memory_mib << 20;
    options.with_headers = true;
    options.on_change = on_change;
    options.arg = show;
    show->key = words->count > 1 ? words->items[1] : NULL;
    if (show->memory_mib < 0 || show->memory_mib > INT32_MAX) {
        return cli_error(show->cli, CLI_ERR_VALUE, "--memory takes MiB, 0 for no bound");
    }
    if (show->key != NULL && show->prefix != NULL) {
        return cli_error(show->cli, CLI_ERR_VALUE, "a KEY and --prefix exclude each other");
    }
    int rc = cli_connect(show->cli);
    if (rc == CLI_OK && evlog_table_open(show->cli->client, &options, &show->table, &failure) != 0) {
        rc = cli_failure(show->cli, &failure);
    }
    rc = rc == CLI_OK ? load(show) : rc;
    rc = rc == CLI_OK ? print_rows(show) : rc;
    return rc == CLI_OK && show->follow ? follow(show) : rc;
}

int cmd_table(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct show show = {.cli = cli, .memory_mib = 1024};
    const struct cli_option options[] = {
        {"follow", 'f', CLI_FLAG, &show.follow, NULL, "go on with every change"},
        {"prefix", 0, CLI_TEXT, &show.prefix, "TEXT", "only keys that begin so"},
        {"memory", 0, CLI_INT, &show.memory_mib, "MIB", "bound of the rows in memory, 0 for none (1024)"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run(&show, &words);
    }
    evlog_table_close(show.table);
    el_buffer_free(&show.line);
    return rc;
}
