/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog streams ls | top | delete.
 *
 * ls and top walk the names of all streams, page by page; top keeps the longest ones in a heap, the shortest of them on
 * top. Deleting for good asks for the name.
 */
#include "cli.h"
#include "table.h"

#include <core/alloc.h>
#include <core/utf8.h>
#include <stdlib.h>
#include <string.h>

#define TOP_MAX 10000

struct listing {
    struct cli *cli;
    struct evlog_stream_list_options options;
    const char *prefix;
    int64_t count_max; /* -1: no limit */
    struct el_buffer line;
    int64_t count;
};

static const char *state_of(const struct evlog_stream_name *name)
{
    return name->ended ? "ended" : name->deleted ? "deleted" : "live";
}

static void put_key(struct el_buffer *line, struct evlog_bytes key)
{
    const unsigned char *data = key.data;
    bool is_text = el_utf8_valid(data, key.len);
    for (size_t i = 0; i < key.len; i++) {
        bool shown = data[i] >= ' ' && data[i] != 0x7f && (is_text || data[i] < 0x80);
        el_buffer_append_char(line, shown ? (char)data[i] : '?');
    }
}

static int print(struct listing *l, const struct evlog_stream_name *name)
{
    struct el_buffer *line = &l->line;
    if (l->cli->json) {
        struct el_json_writer w;
        cli_json_begin(&w, line);
        cli_json_bytes(&w, "key", name->key);
        el_json_add_int(&w, "version", name->last_version);
        el_json_add_int(&w, "events", name->last_version + 1);
        el_json_add_int(&w, "partition", name->partition);
        el_json_add_str(&w, "state", state_of(name));
        return cli_json_end(l->cli, &w, line);
    }
    if (l->count == 0 && !l->cli->plain) {
        el_buffer_printf(line, "%10s  %9s  %-7s  %s\n", "VERSION", "PARTITION", "STATE", "KEY");
    }
    el_buffer_printf(line, l->cli->plain ? "%lld\t%d\t%s\t" : "%10lld  %9d  %-7s  ", (long long)name->last_version,
                     name->partition, state_of(name));
    put_key(line, name->key);
    el_buffer_append_char(line, '\n');
    return cli_put(l->cli, line);
}

/* Hand every name to fn until it does not return CLI_OK. returns an exit code, told */
static int walk(struct listing *l, const char *topic, int (*fn)(void *arg, const struct evlog_stream_name *name),
                void *arg)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_stream_lister *lister;
    const struct evlog_stream_name *name;
    int rc = cli_connect(l->cli);
    if (rc != CLI_OK) {
        return rc;
    }
    l->options.topic = topic;
    if (l->prefix != NULL) {
        l->options.prefix = (struct evlog_bytes){l->prefix, strlen(l->prefix)};
    }
    if (evlog_stream_list_open(l->cli->client, &l->options, &lister, &failure) != 0) {
        return cli_failure(l->cli, &failure);
    }
    int got = 1;
    while (rc == CLI_OK && !cli_interrupted && l->count != l->count_max &&
           (got = evlog_stream_list_next(lister, &name, &failure)) == 1) {
        rc = fn(arg, name);
        l->count++;
    }
    evlog_stream_list_close(lister);
    return got < 0 ? cli_failure(l->cli, &failure) : rc;
}

/* --- ls ---------------------------------------------------------------------------------------------------------- */

static int print_name(void *arg, const struct evlog_stream_name *name)
{
    return print(arg, name);
}

int cmd_streams_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct listing l = {.cli = cli, .count_max = -1};
    l.options = (struct evlog_stream_list_options)EVLOG_STREAM_LIST_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"prefix", 0, CLI_TEXT, &l.prefix, "TEXT", "only keys that begin with it"},
        {"deleted", 0, CLI_FLAG, &l.options.with_deleted, NULL, "those that are deleted as well"},
        {"count", 'n', CLI_INT, &l.count_max, "N", "stop after so many"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = l.count_max < -1 ? cli_error(cli, CLI_ERR_VALUE, "-n %lld: a count begins at 0", (long long)l.count_max)
                              : walk(&l, words.items[0], print_name, &l);
        if (rc == CLI_OK && l.count == 0 && l.count_max != 0) {
            cli_say(cli, "topic %s has no streams%s%s", words.items[0], l.prefix == NULL ? "" : " below ",
                    l.prefix == NULL ? "" : l.prefix);
        }
    }
    el_buffer_free(&l.line);
    return rc;
}

/* --- top --------------------------------------------------------------------------------------------------------- */

struct longest {
    const struct cli *cli;
    struct evlog_stream_name *names; /* [count] of room: a heap, the shortest first; keys are owned */
    size_t count, room;
};

/* Shorter, or as long and behind it by key: the listing comes by key, so the later one is. */
static bool is_shorter(const struct evlog_stream_name *a, const struct evlog_stream_name *b)
{
    if (a->last_version != b->last_version) {
        return a->last_version < b->last_version;
    }
    int order = memcmp(a->key.data, b->key.data, EL_MIN(a->key.len, b->key.len));
    return order != 0 ? order > 0 : a->key.len > b->key.len;
}

static void swap(struct evlog_stream_name *a, struct evlog_stream_name *b)
{
    struct evlog_stream_name name = *a;
    *a = *b;
    *b = name;
}

static void sift_down(struct longest *top)
{
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < top->count; child++) {
            least = is_shorter(&top->names[child], &top->names[least]) ? child : least;
        }
        if (least == i) {
            return;
        }
        swap(&top->names[i], &top->names[least]);
        i = least;
    }
}

static int keep_longest(void *arg, const struct evlog_stream_name *name)
{
    struct longest *top = arg;
    if (top->count == top->room && !is_shorter(&top->names[0], name)) {
        return CLI_OK;
    }
    struct evlog_stream_name kept = *name;
    kept.key.data = el_memdup(name->key.len == 0 ? "" : name->key.data, EL_MAX(name->key.len, 1));
    if (kept.key.data == NULL) {
        return cli_error(top->cli, CLI_ERR_VALUE, "no memory");
    }
    if (top->count == top->room) {
        el_free((void *)(uintptr_t)top->names[0].key.data);
        top->names[0] = kept;
        sift_down(top);
        return CLI_OK;
    }
    size_t i = top->count++;
    top->names[i] = kept;
    for (; i > 0 && is_shorter(&top->names[i], &top->names[(i - 1) / 2]); i = (i - 1) / 2) {
        swap(&top->names[i], &top->names[(i - 1) / 2]);
    }
    return CLI_OK;
}

static int longest_first(const void *a, const void *b)
{
    return is_shorter(a, b) ? 1 : -1;
}

static int show_top(struct listing *l, struct longest *top)
{
    int rc = CLI_OK;
    qsort(top->names, top->count, sizeof *top->names, longest_first);
    l->count = 0;
    for (size_t i = 0; rc == CLI_OK && i < top->count; i++) {
        rc = print(l, &top->names[i]);
        l->count++;
    }
    return rc;
}

static int run_top(struct listing *l, const char *topic, int64_t room)
{
    if (room < 1 || room > TOP_MAX) {
        return cli_error(l->cli, CLI_ERR_VALUE, "-n %lld: 1 to %d streams can be shown", (long long)room, TOP_MAX);
    }
    struct longest top = {.cli = l->cli, .names = el_calloc((size_t)room, sizeof *top.names), .room = (size_t)room};
    if (top.names == NULL) {
        return cli_error(l->cli, CLI_ERR_VALUE, "no memory");
    }
    int rc = walk(l, topic, keep_longest, &top);
    if (rc == CLI_OK && l->count == 0) {
        cli_say(l->cli, "topic %s has no streams", topic);
    }
    if (rc == CLI_OK) {
        rc = show_top(l, &top);
    }
    for (size_t i = 0; i < top.count; i++) {
        el_free((void *)(uintptr_t)top.names[i].key.data);
    }
    el_free(top.names);
    return rc;
}

int cmd_streams_top(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct listing l = {.cli = cli, .count_max = -1};
    int64_t room = 10;
    l.options = (struct evlog_stream_list_options)EVLOG_STREAM_LIST_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"count", 'n', CLI_INT, &room, "N", "so many (10)"},
        {"prefix", 0, CLI_TEXT, &l.prefix, "TEXT", "only keys that begin with it"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run_top(&l, words.items[0], room);
    }
    el_buffer_free(&l.line);
    return rc;
}

/* --- delete ------------------------------------------------------------------------------------------------------ */

struct deletion {
    struct evlog_stream_delete options;
    const char *expect;
    const char *confirm;
};

static int run_delete(struct cli *cli, struct deletion *d, const struct cli_words *words)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    int rc = cli_expected(cli, "--expect", d->expect, &d->options.expected);
    if (rc == CLI_OK && d->options.hard) {
        rc = cli_confirm(cli, "stream", words->items[1], d->confirm);
    }
    if (rc == CLI_OK) {
        rc = cli_connect(cli);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    d->options.topic = words->items[0];
    d->options.key = (struct evlog_bytes){words->items[1], strlen(words->items[1])};
    rc = evlog_stream_delete(cli->client, &d->options, &appended, &failure);
    if (rc != 0) {
        return cli_failure_conflict(cli, &failure, rc == EVLOG_ERR_WRONG_VERSION ? &appended.conflict : NULL);
    }
    if (appended.duplicate) {
        cli_say(cli, "stream %s was deleted already", words->items[1]);
    } else {
        cli_say(cli, "stream %s is deleted%s; the log keeps its events until retention removes them", words->items[1],
                d->options.hard ? " for good" : ", and can begin anew");
    }
    return CLI_OK;
}

int cmd_streams_delete(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct deletion d = {.options = EVLOG_STREAM_DELETE_INIT, .expect = "exists"};
    const struct cli_option options[] = {
        {"expect", 'e', CLI_TEXT, &d.expect, "EXPECTED", "any, exists, or the version of the last event (exists)"},
        {"hard", 0, CLI_FLAG, &d.options.hard, NULL, "for good: nothing is ever appended to it again"},
        {"confirm", 0, CLI_TEXT, &d.confirm, "KEY", "the stream's key, for scripts: --hard cannot be undone"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? run_delete(cli, &d, &words) : rc;
}
