/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog snapshot get | put | rm: what programs keep of a stream's state, and scripts as well.
 *
 * put reads the event that the state stands for: its offset and id go into the snapshot, so that it does not count for
 * another history under the same key.
 */
#include "cli.h"
#include "data_argument.h"
#include "table.h"

#include <string.h>

#define NAME_LEN_MAX 300

static struct evlog_bytes bytes_of(const char *text)
{
    return (struct evlog_bytes){text, strlen(text)};
}

/* --- get --------------------------------------------------------------------------------------------------------- */

static int show(const struct cli *cli, const char *key, const struct evlog_snapshot *snapshot)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    cli_json_bytes(&w, "key", bytes_of(key));
    el_json_add_int(&w, "version", snapshot->version);
    el_json_add_int(&w, "schema", snapshot->schema);
    el_json_add_int(&w, "offset", snapshot->offset);
    cli_json_bytes(&w, "event_id", snapshot->event_id);
    cli_json_time(&w, "taken", cli_event_ns(snapshot->taken_ms), 3);
    cli_json_data(&w, snapshot->state);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int get(struct cli *cli, const struct cli_words *words, bool raw)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_snapshot *snapshot;
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_snapshot_get(cli->client, words->items[0], bytes_of(words->items[1]), &snapshot, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    if (raw) {
        struct el_buffer line = {0};
        el_buffer_append(&line, snapshot->state.data, snapshot->state.len);
        rc = cli_put(cli, &line);
        el_buffer_free(&line);
    } else {
        rc = show(cli, words->items[1], snapshot);
    }
    evlog_snapshot_free(snapshot);
    return rc;
}

int cmd_snapshot_get(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    bool raw = false;
    const struct cli_option options[] = {
        {"raw", 0, CLI_FLAG, &raw, NULL, "the bytes of the state, and nothing else"},
    };
    struct cli_grammar grammar = {options, 1, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? get(cli, &words, raw) : rc;
}

/* --- put --------------------------------------------------------------------------------------------------------- */

struct put {
    struct cli *cli;
    const char *data;
    int64_t version; /* -1: the last */
    int64_t schema;
    struct el_buffer room;
};

/* Put it, with the event that it stands for as proof. */
static int put_with(const struct put *p, const struct cli_words *words, const struct evlog_stream_event *event,
                    struct evlog_bytes state)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_snapshot snapshot = {
        .size = sizeof snapshot,
        .version = event->version,
        .schema = (int32_t)p->schema,
        .state = state,
        .offset = event->event->offset,
        .event_id = event->id,
    };
    if (evlog_snapshot_put(p->cli->client, words->items[0], bytes_of(words->items[1]), &snapshot, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    cli_say(p->cli, "snapshot of version %lld of %s, schema %lld", (long long)event->version, words->items[1],
            (long long)p->schema);
    return CLI_OK;
}

static int put(struct put *p, const struct cli_words *words)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_stream_event *event;
    struct evlog_stream *stream;
    struct evlog_bytes state;
    if (p->data == NULL || p->version < -1 || p->schema < 0 || p->schema > INT32_MAX) {
        return cli_error(p->cli, CLI_ERR_VALUE, "--data is needed; versions and schema numbers begin at 0");
    }
    int rc = data_argument(p->cli, p->data, &p->room, &state);
    rc = rc == CLI_OK ? cli_connect(p->cli) : rc;
    if (rc != CLI_OK) {
        return rc;
    }
    options.topic = words->items[0];
    options.key = bytes_of(words->items[1]);
    options.from = p->version;
    options.to = p->version;
    options.backward = true;
    if (evlog_stream_open(p->cli->client, &options, &stream, &failure) != 0) {
        return cli_failure(p->cli, &failure);
    }
    int got = evlog_stream_next(stream, &event, &failure);
    if (got < 0) {
        rc = cli_failure(p->cli, &failure);
    } else if (got == 0 && p->version < 0) {
        rc = cli_error(p->cli, CLI_ERR_NO_STREAM, "topic %s has no stream %.200s", words->items[0], words->items[1]);
    } else if (got == 0) {
        rc = cli_error(p->cli, CLI_ERR_NO_VERSION, "stream %.200s of topic %s has no version %lld to be read",
                       words->items[1], words->items[0], (long long)p->version);
    } else {
        rc = put_with(p, words, event, state);
    }
    evlog_stream_close(stream);
    return rc;
}

int cmd_snapshot_put(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct put p = {.cli = cli, .version = -1};
    const struct cli_option options[] = {
        {"data", 'd', CLI_TEXT, &p.data, "STATE", "the state; @FILE: of a file, -: of stdin"},
        {"version", 0, CLI_INT, &p.version, "N", "of the last event that is in the state (the stream's last)"},
        {"schema", 0, CLI_INT, &p.schema, "N", "number of the state's shape (0)"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = put(&p, &words);
    }
    el_buffer_free(&p.room);
    return rc;
}

/* --- rm ---------------------------------------------------------------------------------------------------------- */

static int forget(struct cli *cli, const struct cli_words *words)
{
    char topic[NAME_LEN_MAX];
    struct evlog_stream_delete options = EVLOG_STREAM_DELETE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    (void)snprintf(topic, sizeof topic, "%s" EVLOG_SNAPSHOT_TOPIC_SUFFIX, words->items[0]);
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    options.topic = topic;
    options.key = bytes_of(words->items[1]);
    rc = evlog_stream_delete(cli->client, &options, &appended, &failure);
    if (rc == EVLOG_ERR_NOT_FOUND || rc == EVLOG_ERR_UNKNOWN_TOPIC || (rc == 0 && appended.duplicate)) {
        return cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_NO_STREAM, "there is nothing to forget"},
                                "stream %.200s of topic %s has no snapshot", words->items[1], words->items[0]);
    }
    if (rc != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "the snapshots of %s are forgotten", words->items[1]);
    return CLI_OK;
}

int cmd_snapshot_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? forget(cli, &words) : rc;
}
