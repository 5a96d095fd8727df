/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog saga ls | show | retry | cancel: sagas from outside. What they are is in their streams, of the topic
  * NAME.sagas.
 */
#include "cli.h"
#include "table.h"

#include <core/json.h>
#include <string.h>

#define TOPIC_ROOM 256

static struct evlog_bytes bytes_of(const char *text)
{
    return (struct evlog_bytes){text, strlen(text)};
}

/* --- ls ---------------------------------------------------------------------------------------------------------- */

struct listing {
    struct cli *cli;
    const char *name;
    const char *status; /* NULL: all */
    const char *prefix;
    int64_t count_max;
    int64_t count;
    struct table table;
};

static void put_members(struct el_json_writer *w, const struct evlog_saga_info *info)
{
    cli_json_bytes(w, "id", info->id);
    el_json_add_str(w, "status", evlog_saga_status_name(info->status));
    el_json_add_int(w, "version", info->version);
    el_json_add_int(w, "steps", info->step_count);
    el_json_add_int(w, "undo", info->undo_count);
    el_json_add_int(w, "waiting", info->wait_count);
    cli_json_time(w, "updated", cli_event_ns(info->updated_ms), 3);
    el_json_add_str(w, "reason", info->reason);
}

static int print(struct listing *l, const struct evlog_saga_info *info)
{
    struct el_buffer text = {0};
    char age[32];
    if (l->cli->json) {
        struct el_json_writer w;
        cli_json_begin(&w, &text);
        put_members(&w, info);
        int rc = cli_json_end(l->cli, &w, &text);
        el_buffer_free(&text);
        return rc;
    }
    cli_text(&text, info->id, CLI_SHOWN_MAX);
    table_cell(&l->table, "%s", el_buffer_text(&text) == NULL ? "?" : el_buffer_text(&text));
    table_cell(&l->table, "%s", evlog_saga_status_name(info->status));
    table_number(&l->table, info->step_count);
    table_number(&l->table, info->wait_count);
    table_cell(&l->table, "%s", cli_age(l->cli->now_ns / 1000000 - info->updated_ms, age, sizeof age));
    el_buffer_reset(&text);
    cli_text(&text, bytes_of(info->reason), CLI_SHOWN_MAX);
    table_cell(&l->table, "%s", el_buffer_text(&text) == NULL ? "?" : el_buffer_text(&text));
    el_buffer_free(&text);
    return CLI_OK;
}

static int list_one(struct listing *l, struct evlog_bytes id, struct evlog_failure *failure)
{
    struct evlog_saga_info info = {.size = sizeof info};
    struct evlog_saga *saga;
    int rc = evlog_saga_load(l->cli->client, l->name, id, &saga, failure);
    if (rc == EVLOG_ERR_NOT_FOUND) {
        return CLI_OK; /* deleted while we look */
    }
    if (rc != 0) {
        return cli_failure(l->cli, failure);
    }
    evlog_saga_info(saga, &info);
    int done = CLI_OK;
    if (l->status == NULL || strcmp(l->status, evlog_saga_status_name(info.status)) == 0) {
        done = print(l, &info);
        l->count++;
    }
    evlog_saga_close(saga);
    return done;
}

static int list(struct listing *l)
{
    struct evlog_stream_list_options options = EVLOG_STREAM_LIST_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_stream_name *name;
    struct evlog_stream_lister *lister;
    char topic[TOPIC_ROOM];
    int got = 0, rc = cli_connect(l->cli);
    if (rc != CLI_OK) {
        return rc;
    }
    (void)snprintf(topic, sizeof topic, "%.*s" EVLOG_SAGA_TOPIC_SUFFIX, EVLOG_SAGA_NAME_MAX, l->name);
    options.topic = topic;
    if (l->prefix != NULL) {
        options.prefix = bytes_of(l->prefix);
    }
    if (evlog_stream_list_open(l->cli->client, &options, &lister, &failure) != 0) {
        return cli_failure(l->cli, &failure);
    }
    while (rc == CLI_OK && !cli_interrupted && l->count != l->count_max &&
           (got = evlog_stream_list_next(lister, &name, &failure)) == 1) {
        rc = list_one(l, name->key, &failure);
    }
    evlog_stream_list_close(lister);
    return rc == CLI_OK && got < 0 ? cli_failure(l->cli, &failure) : rc;
}

static int check_status(const struct cli *cli, const char *status)
{
    for (int i = EVLOG_SAGA_RUNNING; status != NULL && i <= EVLOG_SAGA_COMPENSATED; i++) {
        if (strcmp(status, evlog_saga_status_name((enum evlog_saga_status)i)) == 0) {
            return CLI_OK;
        }
    }
    return status == NULL
               ? CLI_OK
               : cli_error(cli, CLI_ERR_VALUE,
                           "--status is running, stuck, compensating, completed or compensated, not %.100s", status);
}

int cmd_saga_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct table_column columns[] = {{"SAGA", false},   {"STATUS", false}, {"STEPS", true},
                                                  {"WAITING", true}, {"AGE", true},     {"REASON", false}};
    struct listing l = {.cli = cli, .count_max = -1};
    const struct cli_option options[] = {
        {"status", 0, CLI_TEXT, &l.status, "STATUS", "only those that are running, stuck, compensating ..."},
        {"prefix", 0, CLI_TEXT, &l.prefix, "TEXT", "only ids that begin with it"},
        {"count", 'n', CLI_INT, &l.count_max, "N", "stop after so many"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    l.name = words.items[0];
    rc = check_status(cli, l.status);
    if (rc != CLI_OK) {
        return rc;
    }
    table_begin(&l.table, columns, sizeof columns / sizeof columns[0]);
    rc = list(&l);
    int written = table_end(cli, &l.table);
    return rc == CLI_OK && !cli->json ? written : rc;
}

/* --- show -------------------------------------------------------------------------------------------------------- */

/* "name" and "name_base64" of an object, for people. */
static void put_value(struct el_buffer *line, const struct el_json *object, const char *name)
{
    struct el_slice text;
    if (el_json_get_string(object, name, &text, NULL) == 0) {
        cli_text(line, (struct evlog_bytes){text.data, text.len}, CLI_SHOWN_MAX);
    }
}

static void put_list(struct el_buffer *line, const struct el_json *record, const char *name, const char *word)
{
    const struct el_json *array = el_json_get(record, name);
    for (size_t i = 0; array != NULL && i < el_json_count(array); i++) {
        const struct el_json *item = el_json_at(array, i);
        el_buffer_printf(line, "        %-7s ", word);
        if (strcmp(name, "timers") == 0) {
            put_value(line, item, "name");
        } else {
            put_value(line, item, "type");
            el_buffer_append_str(line, " to ");
            put_value(line, item, "topic");
            el_buffer_append_char(line, ' ');
            put_value(line, item, "data");
        }
        el_buffer_append_char(line, '\n');
    }
}

static int print_record(const struct cli *cli, struct el_buffer *line, const struct evlog_stream_event *event)
{
    struct el_json *record;

    struct el_json_writer w;
    if (cli->json) {
        cli_json_begin(&w, line);
        cli_json_event_members(&w, event);
        return cli_json_end(cli, &w, line);
    }
    if (el_json_parse(event->data.data, event->data.len, EL_JSON_DEPTH_MAX, &record, NULL) != 0) {
        el_buffer_printf(line, "%4lld  no record of a saga\n", (long long)event->version);
        return cli_put(cli, line);
    }
    const struct el_json *cause = el_json_get(record, "event");
    struct el_slice type = el_slice_of(event->type.data, event->type.len);
    size_t skip = type.len > strlen("evlog.saga.") ? strlen("evlog.saga.") : 0;
    el_buffer_printf(line, "%4lld  %-7.*s", (long long)event->version, (int)(type.len - skip),
                     type.data == NULL ? "" : (const char *)type.data + skip);
    if (cause != NULL) {
        el_buffer_append_char(line, ' ');
        put_value(line, cause, el_json_get(cause, "timer") != NULL ? "timer" : "type");
        el_buffer_append_str(line, " of ");
        put_value(line, cause, "topic");
    }
    el_buffer_append_str(line, ": ");
    put_value(line, record, "status");
    if (el_json_get(record, "reason") != NULL) {
        el_buffer_append_str(line, ", ");
        put_value(line, record, "reason");
    }
    el_buffer_append_char(line, '\n');
    put_list(line, record, "commands", "sends");
    put_list(line, record, "undo", "undo by");
    put_list(line, record, "timers", "timer");
    el_json_free(record);
    return cli_put(cli, line);
}

static int show_history(struct cli *cli, const char *name, const char *id)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_stream_event *event;
    struct evlog_stream *stream;
    struct el_buffer line = {0};
    char topic[TOPIC_ROOM];
    int got = 0, rc = CLI_OK;
    (void)snprintf(topic, sizeof topic, "%.*s" EVLOG_SAGA_TOPIC_SUFFIX, EVLOG_SAGA_NAME_MAX, name);
    options.topic = topic;
    options.key = bytes_of(id);
    if (evlog_stream_open(cli->client, &options, &stream, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    while (rc == CLI_OK && !cli_interrupted && (got = evlog_stream_next(stream, &event, &failure)) == 1) {
        rc = print_record(cli, &line, event);
    }
    evlog_stream_close(stream);
    el_buffer_free(&line);
    return rc == CLI_OK && got < 0 ? cli_failure(cli, &failure) : rc;
}

static int print_summary(const struct cli *cli, const struct evlog_saga *saga)
{
    struct evlog_saga_info info = {.size = sizeof info};
    struct evlog_bytes state = evlog_saga_state(saga);
    struct el_buffer line = {0};
    evlog_saga_info(saga, &info);
    if (cli->json) {
        struct el_json_writer w;
        cli_json_begin(&w, &line);
        put_members(&w, &info);
        el_json_key(&w, "state");
        if (state.data != NULL && el_json_valid(state.data, state.len)) {
            el_json_put_raw(&w, el_slice_of(state.data, state.len));
        } else if (state.data == NULL) {
            el_json_put_null(&w);
        } else {
            el_json_put_base64(&w, el_slice_of(state.data, state.len));
        }
        int rc = cli_json_end(cli, &w, &line);
        el_buffer_free(&line);
        return rc;
    }
    cli_text(&line, info.id, CLI_SHOWN_MAX);
    el_buffer_printf(&line, ": %s%s", evlog_saga_status_name(info.status), info.reason[0] == '\0' ? "" : ", ");
    cli_text(&line, bytes_of(info.reason), CLI_SHOWN_MAX);
    if (info.wait_count > 0) {
        el_buffer_printf(&line, ", %lld events wait", (long long)info.wait_count);
    }
    el_buffer_append_char(&line, '\n');
    if (state.data != NULL) {
        el_buffer_append_str(&line, "state ");
        cli_text(&line, state, CLI_SHOWN_MAX);
        el_buffer_append_char(&line, '\n');
    }
    int rc = cli_put(cli, &line);
    el_buffer_free(&line);
    return rc;
}

/* --- one saga ---------------------------------------------------------------------------------------------------- */

static int show(struct cli *cli, const char *name, const char *id, bool history)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_saga *saga;
    if (evlog_saga_load(cli->client, name, bytes_of(id), &saga, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    int rc = print_summary(cli, saga);
    evlog_saga_close(saga);
    return rc == CLI_OK && history ? show_history(cli, name, id) : rc;
}

int cmd_saga_show(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool history = false;
    const struct cli_option options[] = {
        {"history", 0, CLI_FLAG, &history, NULL, "its records as well: what it has handled, sent, and would undo"},
    };
    struct cli_grammar grammar = {options, 1, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    return rc == CLI_OK ? show(cli, words.items[0], words.items[1], history) : rc;
}

int cmd_saga_retry(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct cli_grammar grammar = {NULL, 0, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_saga_retry(cli->client, words.items[0], bytes_of(words.items[1]), &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "%s goes on as soon as a runner of %s sees it", words.items[1], words.items[0]);
    return CLI_OK;
}

int cmd_saga_cancel(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *reason = NULL;
    const struct cli_option options[] = {
        {"reason", 0, CLI_TEXT, &reason, "TEXT", "kept in the saga (cancelled)"},
    };
    struct cli_grammar grammar = {options, 1, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_saga_cancel(cli->client, words.items[0], bytes_of(words.items[1]), reason, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "%s handles nothing more; a runner of %s undoes it", words.items[1], words.items[0]);
    return CLI_OK;
}
