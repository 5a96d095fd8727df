/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog diff TOPIC T1 T2: the keys whose state differs between two points in time, and what is different.
 *
 * 1. The state at T1 is read and kept, by key.
 * 2. The state at T2 comes by key too, and is compared row by row: type and value count; version, id and place do not.
 * 3. Of values that are JSON, the fields that differ are told.
 *
 * JSON objects, one a line; on a terminal, lines for people.
 */
#include "json_fields.h"
#include "kept_rows.h"
#include "replay_source.h"
#include "replay_target.h"

#include <core/timefmt.h>
#include <core/utf8.h>
#include <string.h>
#include <unistd.h>

struct diff {
    struct cli *cli;
    struct cli_list drop_types;
    struct replay_source source;
    struct evlog_replay_options options;
    bool readable;
    struct kept_rows before;
    size_t next; /* of before, not compared yet */
    struct el_buffer line;
    struct el_arena arena; /* of one row's fields */
    uint64_t added, removed, changed, same;
    int exit_code;
};

/* A key, or none: before or after NULL. */
struct pair {
    const struct evlog_replay_event *before, *after;
    struct json_fields old, new;
    bool has_fields;
};

/* --- what is different -------------------------------------------------------------------------------------------- */

typedef void (*field_fn)(struct diff *diff, void *arg, const struct json_field *old, const struct json_field *new);

/* Walk the fields of both, by path; old or new is NULL where there is none. */
static void each_difference(struct diff *diff, const struct pair *pair, field_fn fn, void *arg)
{
    size_t i = 0, j = 0;
    while (i < pair->old.count || j < pair->new.count) {
        const struct json_field *old = i < pair->old.count ? &pair->old.fields[i] : NULL;
        const struct json_field *new = j < pair->new.count ? &pair->new.fields[j] : NULL;
        int order = old == NULL ? 1 : new == NULL ? -1 : json_path_order(old->path, new->path);
        i += order <= 0;
        j += order >= 0;
        if (order != 0 || !el_slice_eq(old->value, new->value)) {
            fn(diff, arg, order <= 0 ? old : NULL, order >= 0 ? new : NULL);
        }
    }
}

static void json_field_differs(struct diff *diff, void *arg, const struct json_field *old, const struct json_field *new)
{
    struct el_json_writer *w = arg;
    (void)diff;
    el_json_begin_object(w);
    el_json_key(w, "path");
    el_json_put_slice(w, old != NULL ? old->path : new->path);
    if (old != NULL) {
        el_json_key(w, "before");
        el_json_put_raw(w, old->value);
    }
    if (new != NULL) {
        el_json_key(w, "after");
        el_json_put_raw(w, new->value);
    }
    el_json_end_object(w);
}

static void json_row(struct el_json_writer *w, const char *name, const struct evlog_replay_event *event)
{
    el_json_key(w, name);
    if (event == NULL) {
        el_json_put_null(w);
        return;
    }
    const struct evlog_stream_event row = {event->event, event->version, event->type, event->id, event->data};
    cli_json_event(w, &row);
}

static int print_json(struct diff *diff, const struct pair *pair)
{
    struct el_json_writer w;
    el_json_writer_init(&w, &diff->line);
    el_json_begin_object(&w);
    cli_json_bytes(&w, "key", (pair->before != NULL ? pair->before : pair->after)->event->key);
    el_json_add_str(&w, "change", pair->before == NULL ? "added" : pair->after == NULL ? "removed" : "changed");
    json_row(&w, "before", pair->before);
    json_row(&w, "after", pair->after);
    if (pair->has_fields) {
        el_json_key(&w, "fields");
        el_json_begin_array(&w);
        each_difference(diff, pair, json_field_differs, &w);
        el_json_end_array(&w);
    }
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        diff->line.err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(&diff->line, '\n');
    return cli_put(diff->cli, &diff->line);
}

/* --- for people --------------------------------------------------------------------------------------------------- */

static void text_field_differs(struct diff *diff, void *arg, const struct json_field *old, const struct json_field *new)
{
    struct el_slice path = old != NULL ? old->path : new->path;
    (void)arg;
    el_buffer_append_str(&diff->line, "      ");
    cli_text(&diff->line, (struct evlog_bytes){path.data, path.len}, SIZE_MAX - 1);
    el_buffer_append_str(&diff->line, ": ");
    const struct json_field *sides[] = {old, new};
    for (int i = 0; i < 2; i++) {
        if (sides[i] == NULL) {
            el_buffer_append_str(&diff->line, "(none)");
        } else {
            cli_text(&diff->line, (struct evlog_bytes){sides[i]->value.data, sides[i]->value.len}, CLI_SHOWN_MAX);
        }
        el_buffer_append_str(&diff->line, i == 0 ? " -> " : "\n");
    }
}

static void text_side(struct el_buffer *line, const char *mark, const struct evlog_replay_event *event)
{
    el_buffer_append_str(line, mark);
    cli_text(line, event->type.data == NULL ? (struct evlog_bytes){"-", 1} : event->type, CLI_SHOWN_MAX);
    el_buffer_append_str(line, "  ");
    cli_text(line, event->data, CLI_SHOWN_MAX);
    el_buffer_append_char(line, '\n');
}

static void text_versions(struct el_buffer *line, const struct pair *pair)
{
    int64_t before = pair->before == NULL ? -1 : pair->before->version;
    int64_t after = pair->after == NULL ? -1 : pair->after->version;
    if (before >= 0 && after >= 0) {
        el_buffer_printf(line, "  version %lld -> %lld", (long long)before, (long long)after);
    } else if (before >= 0 || after >= 0) {
        el_buffer_printf(line, "  version %lld", (long long)EL_MAX(before, after));
    }
    el_buffer_append_char(line, '\n');
}

static int print_text(struct diff *diff, const struct pair *pair)
{
    struct el_buffer *line = &diff->line;
    el_buffer_append_str(line, pair->before == NULL ? "+ " : pair->after == NULL ? "- " : "~ ");
    cli_text(line, (pair->before != NULL ? pair->before : pair->after)->event->key, SIZE_MAX - 1);
    text_versions(line, pair);
    bool same_type = pair->before != NULL && pair->after != NULL &&
                     kept_bytes_equal(pair->before->type, pair->after->type);
    if (pair->has_fields && same_type) {
        each_difference(diff, pair, text_field_differs, NULL);
    } else {
        if (pair->before != NULL) {
            text_side(line, "    - ", pair->before);
        }
        if (pair->after != NULL) {
            text_side(line, "    + ", pair->after);
        }
    }
    return cli_put(diff->cli, line);
}

/* --- comparing ---------------------------------------------------------------------------------------------------- */

static int tell(struct diff *diff, const struct evlog_replay_event *before, const struct evlog_replay_event *after)
{
    struct pair pair = {.before = before, .after = after};
    diff->added += before == NULL;
    diff->removed += after == NULL;
    diff->changed += before != NULL && after != NULL;
    if (before != NULL && after != NULL) {
        int old = json_fields_of(&diff->arena, before->data, &pair.old);
        int new = json_fields_of(&diff->arena, after->data, &pair.new);
        if (old == EVLOG_ERR_NO_MEMORY || new == EVLOG_ERR_NO_MEMORY) {
            return cli_error(diff->cli, CLI_ERR_VALUE, "no memory");
        }
        pair.has_fields = old == 0 && new == 0;
    }
    int rc = diff->readable ? print_text(diff, &pair) : print_json(diff, &pair);
    el_arena_reset(&diff->arena);
    return rc;
}

static int compare(struct diff *diff, const struct evlog_replay_event *after)
{
    int order = 1, rc = CLI_OK;
    while (rc == CLI_OK && diff->next < diff->before.count &&
           (order = kept_key_order(diff->before.rows[diff->next]->event.key, after->event->key)) < 0) {
        rc = tell(diff, &diff->before.rows[diff->next++]->replayed, NULL);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    if (diff->next == diff->before.count || order != 0) {
        return tell(diff, NULL, after);
    }
    const struct evlog_replay_event *before = &diff->before.rows[diff->next++]->replayed;
    if (kept_bytes_equal(before->type, after->type) && kept_bytes_equal(before->event->value, after->event->value)) {
        diff->same++;
        return CLI_OK;
    }
    return tell(diff, before, after);
}

static int on_event(void *arg, const struct evlog_replay_event *event)
{
    struct diff *diff = arg;
    diff->exit_code = cli_interrupted ? CLI_INTERRUPTED : compare(diff, event);
    return diff->exit_code == CLI_OK ? 0 : EVLOG_ERR_IO;
}

static int on_progress(void *arg, uint64_t read_count, uint64_t total_count)
{
    const struct diff *diff = arg;
    cli_progress(diff->cli, "compared", read_count, total_count);
    return cli_interrupted ? EVLOG_ERR_CLOSED : 0;
}

static int run(struct diff *diff, int64_t first_ns, int64_t second_ns)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_replay_summary summary = EVLOG_REPLAY_SUMMARY_INIT;
    int rc = replay_source_take(&diff->source, diff->cli, &diff->options);
    rc = rc == CLI_OK ? replay_source_connect(diff->cli, &diff->options) : rc;
    diff->options.until_ns = first_ns;
    if (rc == CLI_OK) {
        rc = kept_rows_read(diff->cli, &diff->options, &diff->before, &summary);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    diff->options.until_ns = second_ns;
    diff->options.on_event = on_event;
    diff->options.on_progress = on_progress;
    diff->options.arg = diff;
    rc = evlog_replay_run(diff->cli->client, &diff->options, &summary, &failure);
    cli_progress_end(diff->cli);
    if (rc != 0) {
        return cli_interrupted             ? CLI_INTERRUPTED
               : diff->exit_code != CLI_OK ? diff->exit_code
                                           : cli_failure(diff->cli, &failure);
    }
    while (rc == CLI_OK && diff->next < diff->before.count) {
        rc = tell(diff, &diff->before.rows[diff->next++]->replayed, NULL);
    }
    if (rc == CLI_OK) {
        (void)fflush(stdout);
        cli_say(diff->cli, "%llu keys added, %llu removed, %llu changed, %llu the same%s",
                (unsigned long long)diff->added, (unsigned long long)diff->removed, (unsigned long long)diff->changed,
                (unsigned long long)diff->same,
                summary.partial ? "; the log begins above offset 0: history is missing" : "");
    }
    return rc;
}

static int take_time(const struct cli *cli, const char *text, int64_t *ns)
{
    struct el_error err = {0};
    return el_time_parse(text, cli->now_ns, ns, &err) == 0 ? CLI_OK
                                                           : cli_error(cli, CLI_ERR_VALUE, "%s: %s", text, err.text);
}

int cmd_diff(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct diff diff = {.cli = cli};
    diff.options = (struct evlog_replay_options)EVLOG_REPLAY_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"event-time", 0, CLI_FLAG, &diff.options.event_time, NULL, "the publishers' times, not the server's"},
        {"drop-type", 0, CLI_LIST, &diff.drop_types, "GLOB", "an event of such a type removes its key; repeatable"},
        REPLAY_SOURCE_OPTIONS(&diff.source),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 3, 3};
    struct cli_words words;
    int64_t first_ns = 0, second_ns = 0;
    kept_rows_init(&diff.before);
    el_arena_init(&diff.arena, NULL, 0);
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        diff.options.topic = words.items[0];
        diff.options.fold_latest = true;
        diff.options.drop_types = diff.drop_types.items;
        diff.options.drop_type_count = diff.drop_types.count;
        diff.readable = !cli->json && (cli->plain || isatty(STDOUT_FILENO) != 0);
        rc = take_time(cli, words.items[1], &first_ns);
        rc = rc == CLI_OK ? take_time(cli, words.items[2], &second_ns) : rc;
        rc = rc == CLI_OK ? run(&diff, first_ns, second_ns) : rc;
    }
    kept_rows_free(&diff.before);
    el_arena_reset(&diff.arena);
    el_buffer_free(&diff.line);
    replay_source_free(&diff.source);
    cli_list_free(&diff.drop_types);
    return rc;
}
