/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog read TOPIC KEY: the events of one stream, in either direction, now or as it was; evlog read TOPIC --type NAME:
 * the events of one type, whatever their streams.
 *
 * With --follow, a subscription goes on behind the last event that was there; without KEY and --type it is the whole
 * topic.
 *
 * JSON objects, one a line, as replay prints them; on a terminal lines for people. A stream that is not there prints
 * nothing and is exit code 5, so that scripts can tell it from one without events in the range asked for.
 */
#include "cli.h"
#include "sealing.h"
#include "subscribing.h"

#include <core/timefmt.h>
#include <string.h>
#include <unistd.h>
#include <wire/position.h>

struct reading {
    struct cli *cli;
    const char *topic;
    struct evlog_stream_options options;
    const char *type;  /* NULL: a stream is read */
    int64_t count_max; /* -1: no limit */
    bool readable;
    bool follow;
    int64_t count;            /* events printed */
    int64_t last_version;     /* of the stream, when it was asked for; what is behind it is new */
    struct el_position place; /* behind the last event printed, of last_version; offset 0: none was */
    struct el_buffer line;
    struct sealing sealing;
};

/* Version (of a type: the key), append time, type, data: with tabs between them for scripts. */
static void put_row(struct reading *r, const struct evlog_stream_event *row)
{
    char time[40] = "-";
    if (row->event->append_time_ns >= 0) {
        el_time_format(time, row->event->append_time_ns, r->cli->plain ? 9 : 3);
    }
    const char *gap = r->cli->plain ? "\t" : "  ";
    if (r->type == NULL) {
        el_buffer_printf(&r->line, r->cli->plain ? "%lld%s%s%s" : "%7lld%s%s%s", (long long)row->version, gap, time,
                         gap);
    } else {
        el_buffer_printf(&r->line, "%s%s", time, gap);
    }
    struct evlog_bytes second = r->type == NULL ? row->type : row->event->key;
    size_t start = r->line.len;
    cli_text(&r->line, second.data == NULL ? (struct evlog_bytes){"-", 1} : second, SIZE_MAX - 1);
    while (!r->cli->plain && r->line.err == 0 && r->line.len - start < 20) {
        el_buffer_append_char(&r->line, ' ');
    }
    el_buffer_append_str(&r->line, gap);
    cli_text(&r->line, row->data, r->cli->plain ? SIZE_MAX - 1 : CLI_SHOWN_MAX);
}

static int print(struct reading *r, const struct evlog_stream_event *row)
{
    struct el_json_writer w;
    struct evlog_stream_event shown = *row;
    int rc = sealing_open_data(&r->sealing, row->event, row->id, &shown.data);
    if (rc != CLI_OK) {
        return rc;
    }
    if (r->readable) {
        put_row(r, &shown);
    } else {
        el_json_writer_init(&w, &r->line);
        cli_json_event(&w, &shown);
        if (el_json_writer_end(&w) != 0) {
            r->line.err = EVLOG_ERR_NO_MEMORY;
        }
    }
    el_buffer_append_char(&r->line, '\n');
    return cli_put(r->cli, &r->line);
}

static void put_heading(struct reading *r)
{
    if (r->type == NULL) {
        el_buffer_printf(&r->line, "%7s  %-24s  %-20s  %s\n", "VERSION", "APPENDED", "TYPE", "DATA");
    } else {
        el_buffer_printf(&r->line, "%-24s  %-20s  %s\n", "APPENDED", "KEY", "DATA");
    }
}

static int show(struct reading *r, const struct evlog_stream_event *event)
{
    if (r->count++ == 0 && r->readable && !r->cli->plain) {
        put_heading(r);
    }
    return print(r, event);
}

/* The next event of one of the two. */
static int next(struct evlog_stream *stream, struct evlog_type_reader *reader, const struct evlog_stream_event **event,
                struct evlog_failure *failure)
{
    return stream != NULL ? evlog_stream_next(stream, event, failure) : evlog_type_next(reader, event, failure);
}

static int read_events(struct reading *r, struct evlog_stream *stream, struct evlog_type_reader *reader)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_stream_event *event;
    int rc = CLI_OK;
    while (rc == CLI_OK && !cli_interrupted && r->count != r->count_max) {
        int got = next(stream, reader, &event, &failure);
        if (got <= 0) {
            return got < 0 ? cli_failure(r->cli, &failure) : CLI_OK;
        }
        rc = show(r, event);
        if (event->version == r->last_version) {
            r->place.partition = event->event->partition;
            r->place.offset = event->event->offset + 1;
        }
    }
    return rc;
}

/* --- following --------------------------------------------------------------------------------------------------- */

/* A stream's events count on behind what was read; deletions are no events of it. */
static int show_item(void *arg, const struct evlog_subscription_item *item, bool *counts)
{
    struct reading *r = arg;
    if (item->kind != EVLOG_SUBSCRIPTION_EVENT) {
        return CLI_OK;
    }
    int64_t version = item->event->version;
    *counts = version < 0 || (version > r->last_version && version >= r->options.from);
    return *counts ? show(r, item->event) : CLI_OK;
}

/* The word for the place behind what was read, so that it is not read again; empty when there is none. */
static int place_word(struct reading *r, char *word)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_info *info;
    word[0] = '\0';
    if (r->place.offset == 0) {
        return CLI_OK;
    }
    if (evlog_topic_look(r->cli->client, r->topic, &info, &failure) != 0) {
        return cli_failure(r->cli, &failure);
    }
    memcpy(r->place.topic_id.bytes, info->id, sizeof r->place.topic_id.bytes);
    evlog_topic_info_free(info);
    el_position_format(word, &r->place);
    return CLI_OK;
}

static int follow(struct reading *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_subscription_options options = EVLOG_SUBSCRIPTION_OPTIONS_INIT;
    struct evlog_subscription *subscription;
    char word[EL_POSITION_TEXT_LEN + 1];
    int rc = place_word(r, word);
    if (rc != CLI_OK) {
        return rc;
    }
    options.topic = r->topic;
    options.key = r->options.key;
    options.types = &r->type;
    options.type_count = r->type != NULL;
    options.position = word[0] == '\0' ? NULL : word;
    if (evlog_subscription_open(r->cli->client, &options, &subscription, &failure) != 0) {
        return subscribing_failed(r->cli, &failure);
    }
    struct subscribing reading = {
        .cli = r->cli,
        .subscription = subscription,
        .count_max = r->count_max,
        .count = r->count,
        .show = show_item,
        .arg = r,
    };
    rc = subscribing_run(&reading);
    evlog_subscription_close(subscription);
    return rc;
}

/* There is nothing to be read under this key: why. */
static int absent(const struct reading *r, const struct evlog_stream_state *state)
{
    char as_of[64] = "", time[40];
    const char *key = r->options.key.data;
    if (r->options.as_of_ns > 0) {
        el_time_format(time, r->options.as_of_ns, 9);
        (void)snprintf(as_of, sizeof as_of, " as of %s", time);
    }
    if (state->last_version < 0) {
        return cli_error(r->cli, CLI_ERR_NO_STREAM, "topic %s has no stream %.200s%s", r->topic, key, as_of);
    }
    return cli_error_remedy(r->cli,
                            (struct cli_remedy){CLI_ERR_NO_STREAM, "'evlog replay TOPIC KEY' shows what the log still "
                                                                   "has of it"},
                            "stream %.200s of topic %s is deleted%s%s", key, r->topic, state->ended ? " for good" : "",
                            as_of);
}

static int read_stream(struct reading *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_stream_state state = EVLOG_STREAM_STATE_INIT;
    struct evlog_stream *stream;
    if (evlog_stream_open(r->cli->client, &r->options, &stream, &failure) != 0) {
        return cli_failure(r->cli, &failure);
    }
    evlog_stream_state(stream, &state);
    r->last_version = state.last_version;
    bool is_absent = state.last_version < 0 || state.deleted || state.ended;
    int rc = !is_absent ? read_events(r, stream, NULL) : r->follow && !state.ended ? CLI_OK : absent(r, &state);
    evlog_stream_close(stream);
    return rc == CLI_OK && r->follow && !cli_interrupted && r->count != r->count_max ? follow(r) : rc;
}

static int read_type(struct reading *r)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_type_options options = EVLOG_TYPE_OPTIONS_INIT;
    struct evlog_type_reader *reader;
    options.topic = r->topic;
    options.type = r->type;
    options.backward = r->options.backward;
    if (evlog_type_open(r->cli->client, &options, &reader, &failure) != 0) {
        return cli_failure(r->cli, &failure);
    }
    int rc = read_events(r, NULL, reader);
    evlog_type_close(reader);
    return rc;
}

static int run(struct reading *r, const struct cli_words *words)
{
    bool of_stream = words->count == 2;
    r->topic = r->options.topic = words->items[0];
    r->readable = !r->cli->json && (r->cli->plain || isatty(STDOUT_FILENO) != 0);
    if (of_stream ? r->type != NULL : r->type == NULL && !r->follow) {
        return cli_error(r->cli, CLI_ERR_WORDS, "usage: evlog read TOPIC KEY, or evlog read TOPIC --type NAME");
    }
    if (r->follow && (r->options.backward || r->options.to != -1 || r->options.as_of_ns != 0)) {
        return cli_error(r->cli, CLI_ERR_VALUE, "--follow goes on with what comes: not with --to, --backward, --as-of");
    }
    if (!of_stream && (r->options.from != -1 || r->options.to != -1 || r->options.as_of_ns != 0)) {
        return cli_error(r->cli, CLI_ERR_VALUE, "--from, --to and --as-of are for streams, not for --type");
    }
    if (r->options.from < -1 || r->options.to < -1 || r->count_max < -1) {
        return cli_error(r->cli, CLI_ERR_VALUE, "versions and counts begin at 0");
    }
    int rc = sealing_open(&r->sealing, r->cli, false);
    rc = rc == CLI_OK ? cli_connect(r->cli) : rc;
    if (rc == CLI_OK && of_stream) {
        r->options.key = (struct evlog_bytes){words->items[1], strlen(words->items[1])};
        rc = read_stream(r);
    } else if (rc == CLI_OK) {
        rc = r->follow ? follow(r) : read_type(r);
    }
    return rc;
}

int cmd_read(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct reading r = {.cli = cli, .count_max = -1, .last_version = -1};
    r.options = (struct evlog_stream_options)EVLOG_STREAM_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"from", 0, CLI_INT, &r.options.from, "VERSION", "begin here (the first; with --backward the last)"},
        {"to", 0, CLI_INT, &r.options.to, "VERSION", "the last one wanted (all)"},
        {"backward", 'r', CLI_FLAG, &r.options.backward, NULL, "the newest first"},
        {"as-of", 0, CLI_TIME, &r.options.as_of_ns, "TIME", "as the stream stood at this append time (now)"},
        {"type", 't', CLI_TEXT, &r.type, "NAME", "instead of a stream: all events of this type, by partition"},
        {"follow", 0, CLI_FLAG, &r.follow, NULL, "go on with what comes; without KEY and --type: the whole topic"},
        {"count", 'n', CLI_INT, &r.count_max, "N", "stop after so many events"},
        SEALING_KEYS_OPTIONS(&r.sealing),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run(&r, &words);
    }
    sealing_close(&r.sealing);
    el_buffer_free(&r.line);
    return rc;
}
