/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog blame TOPIC KEY: which event made the state of a key what it is; with --field PATH or --fields which event gave
 * each field of its JSON the value that it has.
 *
 * Every event of the key is looked at in the log's order. A field belongs to the event since which it has had its value
 * without a break. The state is the last event; with --merge each event sets the fields that it has, and the others
 * stay as they were, which is how streams of events work that tell changes.
 */
#include "json_fields.h"
#include "kept_rows.h"
#include "replay_source.h"
#include "replay_target.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <string.h>
#include <unistd.h>

/* A field of the state, and whose it is. */
struct blamed {
    struct json_field field;
    size_t row; /* of rows */
};

struct blame {
    struct cli *cli;
    const char *field; /* NULL: not asked for */
    bool fields, merge, readable;
    struct cli_list drop_types;
    struct replay_source source;
    struct evlog_replay_options options;
    struct kept_rows rows; /* every event of the key */
    bool live;             /* the last one is the state, not a removal */
    struct blamed *state;  /* [state_count] by path */
    size_t state_count;
    struct el_buffer line;
};

/* --- fields ------------------------------------------------------------------------------------------------------- */

/* The state with the fields of an event over it. returns 0 | EVLOG_ERR_NO_MEMORY */
static int take_fields(struct blame *blame, const struct json_fields *fields, size_t row)
{
    struct blamed *merged = el_malloc((blame->state_count + fields->count + 1) * sizeof *merged);
    size_t i = 0, j = 0, count = 0;
    if (merged == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    while (i < blame->state_count || j < fields->count) {
        const struct blamed *old = i < blame->state_count ? &blame->state[i] : NULL;
        const struct json_field *new = j < fields->count ? &fields->fields[j] : NULL;
        int order = old == NULL ? 1 : new == NULL ? -1 : json_path_order(old->field.path, new->path);
        i += order <= 0;
        j += order >= 0;
        if (order < 0) {
            if (blame->merge) {
                merged[count++] = *old;
            }
        } else if (order == 0 && el_slice_eq(old->field.value, new->value)) {
            merged[count++] = *old;
        } else {
            merged[count++] = (struct blamed){*new, row};
        }
    }
    el_free(blame->state);
    blame->state = merged;
    blame->state_count = count;
    return 0;
}

static int on_event(void *arg, const struct evlog_replay_event *event)
{
    struct blame *blame = arg;
    struct json_fields fields = {NULL, 0};
    int rc = kept_rows_add(&blame->rows, event);
    blame->live = rc == 0 && !event->removes;
    if (rc != 0 || (blame->field == NULL && !blame->fields)) {
        return rc;
    }
    if (!blame->live) {
        blame->state_count = 0;
        return 0;
    }
    rc = json_fields_of(&blame->rows.arena, event->data, &fields);
    return rc == EVLOG_ERR_NO_MEMORY ? rc : take_fields(blame, &fields, blame->rows.count - 1);
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    const struct blame *blame = arg;
    cli_progress(blame->cli, "read", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

/* --- printing ----------------------------------------------------------------------------------------------------- */

static void put_row(struct blame *blame, const struct kept_row *row)
{
    struct el_buffer *line = &blame->line;
    char time[40] = "-";
    bool by_event = blame->options.event_time || row->event.append_time_ns < 0;
    int64_t ns = by_event ? cli_event_ns(row->event.timestamp_ms) : row->event.append_time_ns;
    if (ns >= 0) {
        el_time_format(time, ns, 3);
    }
    el_buffer_printf(line, "version %lld  %s  ", (long long)row->replayed.version, time);
    cli_text(line, row->replayed.type.data == NULL ? (struct evlog_bytes){"-", 1} : row->replayed.type, CLI_SHOWN_MAX);
    el_buffer_printf(line, "  %s/%d/%lld", blame->options.topic, row->event.partition, (long long)row->event.offset);
}

static int print_event(struct blame *blame)
{
    const struct kept_row *row = blame->rows.rows[blame->rows.count - 1];
    if (!blame->readable) {
        replay_put_event(&blame->line, &row->replayed);
        return cli_put(blame->cli, &blame->line);
    }
    put_row(blame, row);
    el_buffer_append_str(&blame->line, "  ");
    cli_text(&blame->line, row->replayed.data, CLI_SHOWN_MAX);
    el_buffer_append_char(&blame->line, '\n');
    return cli_put(blame->cli, &blame->line);
}

static int print_field(struct blame *blame, const struct blamed *blamed)
{
    const struct kept_row *row = blame->rows.rows[blamed->row];
    if (blame->readable) {
        cli_text(&blame->line, (struct evlog_bytes){blamed->field.path.data, blamed->field.path.len}, SIZE_MAX - 1);
        el_buffer_append_str(&blame->line, " = ");
        cli_text(&blame->line, (struct evlog_bytes){blamed->field.value.data, blamed->field.value.len}, CLI_SHOWN_MAX);
        el_buffer_append_str(&blame->line, "  ");
        put_row(blame, row);
    } else {
        struct el_json_writer w;
        const struct evlog_replay_event *event = &row->replayed;
        const struct evlog_stream_event shown = {event->event, event->version, event->type, event->id, event->data};
        el_json_writer_init(&w, &blame->line);
        el_json_begin_object(&w);
        el_json_key(&w, "field");
        el_json_put_slice(&w, blamed->field.path);
        el_json_key(&w, "value");
        el_json_put_raw(&w, blamed->field.value);
        el_json_key(&w, "event");
        cli_json_event(&w, &shown);
        el_json_end_object(&w);
        if (el_json_writer_end(&w) != 0) {
            blame->line.err = EVLOG_ERR_NO_MEMORY;
        }
    }
    el_buffer_append_char(&blame->line, '\n');
    return cli_put(blame->cli, &blame->line);
}

static int print_fields(struct blame *blame)
{
    struct el_slice asked = blame->field == NULL ? el_slice_of("", 0) : el_slice_str(blame->field);
    uint64_t count = 0;
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < blame->state_count; i++) {
        if (json_path_within(blame->state[i].field.path, asked)) {
            rc = print_field(blame, &blame->state[i]);
            count++;
        }
    }
    if (rc != CLI_OK || count > 0) {
        return rc;
    }
    return cli_error_remedy(blame->cli,
                            (struct cli_remedy){CLI_ERR_NO_KEY, "--fields lists what there is; --merge keeps what "
                                                                "earlier events have set"},
                            "the state has no field %s", blame->field == NULL ? "at all" : blame->field);
}

/* There is no state: why. */
static int absent(struct blame *blame)
{
    const char *key = blame->options.key.data;
    if (blame->rows.count == 0) {
        return cli_error(blame->cli, CLI_ERR_NO_KEY, "topic %s has no key %.200s at that time", blame->options.topic,
                         key);
    }
    const struct kept_row *row = blame->rows.rows[blame->rows.count - 1];
    put_row(blame, row);
    const char *text = el_buffer_text(&blame->line);
    return cli_error(blame->cli, CLI_ERR_NO_KEY, "key %.200s of topic %s was removed by %s", key, blame->options.topic,
                     text == NULL ? "" : text);
}

static int run(struct blame *blame)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    int rc = replay_source_take(&blame->source, blame->cli, &blame->options);
    rc = rc == CLI_OK ? replay_source_connect(blame->cli, &blame->options) : rc;
    if (rc != CLI_OK) {
        return rc;
    }
    rc = evlog_replay_run(blame->cli->client, &blame->options, &summary, &failure);
    cli_progress_end(blame->cli);
    if (rc != 0 && cli_interrupted) {
        return CLI_INTERRUPTED;
    }
    if (rc == EVLOG_ERR_NO_MEMORY && failure.code == 0) {
        return cli_error(blame->cli, CLI_ERR_VALUE, "no memory");
    }
    if (rc != 0) {
        return cli_failure(blame->cli, &failure);
    }
    if (summary.partial || summary.hole_count > 0) {
        cli_say(blame->cli,
                "the log no longer holds all events: an earlier one may have set what the first of them has");
    }
    if (!blame->live) {
        return absent(blame);
    }
    return blame->field == NULL && !blame->fields ? print_event(blame) : print_fields(blame);
}

int cmd_blame(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct blame blame = {.cli = cli};
    blame.options = (struct evlog_replay_options)EVLOG_REPLAY_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"field", 'f', CLI_TEXT, &blame.field, "PATH", "the field, such as customer.name, or those below it"},
        {"fields", 0, CLI_FLAG, &blame.fields, NULL, "every field"},
        {"merge", 0, CLI_FLAG, &blame.merge, NULL, "an event sets the fields that it has; the others stay"},
        {"as-of", 0, CLI_TIME, &blame.options.until_ns, "TIME", "as it was at this time (now)"},
        {"event-time", 0, CLI_FLAG, &blame.options.event_time, NULL, "the publishers' times, not the server's"},
        {"drop-type", 0, CLI_LIST, &blame.drop_types, "GLOB", "an event of such a type removes the key; repeatable"},
        REPLAY_SOURCE_OPTIONS(&blame.source),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 2, 2};
    struct cli_words words;
    kept_rows_init(&blame.rows);
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        blame.options.topic = words.items[0];
        blame.options.key = (struct evlog_bytes){words.items[1], strlen(words.items[1])};
        blame.options.drop_types = blame.drop_types.items;
        blame.options.drop_type_count = blame.drop_types.count;
        blame.options.on_event = on_event;
        blame.options.on_progress = on_progress;
        blame.options.arg = &blame;
        blame.readable = !cli->json && (cli->plain || isatty(STDOUT_FILENO) != 0);
        rc = blame.merge && blame.field == NULL && !blame.fields
                 ? cli_error(cli, CLI_ERR_VALUE, "--merge is about fields: --field PATH or --fields")
                 : run(&blame);
    }
    el_free(blame.state);
    kept_rows_free(&blame.rows);
    el_buffer_free(&blame.line);
    replay_source_free(&blame.source);
    cli_list_free(&blame.drop_types);
    return rc;
}
