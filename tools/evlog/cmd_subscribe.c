/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog subscribe TOPIC: what is stored of a topic, a stream or a filter, and then what comes.
 *
 * JSON objects, one a line, each with the position behind it: --from POSITION goes on there. "item" says what a line
 * is: an event, or that the reader has caught up, fell behind, has come further without an event, or that events are
 * gone.
 */
#include "cli.h"
#include "subscribing.h"

#include <core/timefmt.h>
#include <string.h>

struct subscribe {
    struct cli *cli;
    struct evlog_subscription_options options;
    const char *key, *prefix, *from, *missing;
    struct cli_list types, filters;
    int64_t count_max; /* -1: no end */
    bool until_caught_up, no_positions;
    struct evlog_subscription *subscription;
    struct el_buffer line;
    bool missed;
};

static const char *name_of(enum evlog_subscription_kind kind)
{
    switch (kind) {
    case EVLOG_SUBSCRIPTION_EVENT:
        return "event";
    case EVLOG_SUBSCRIPTION_POSITION:
        return "position";
    case EVLOG_SUBSCRIPTION_CAUGHT_UP:
        return "caught-up";
    case EVLOG_SUBSCRIPTION_FELL_BEHIND:
        return "fell-behind";
    case EVLOG_SUBSCRIPTION_MISSING:
        return "missing";
    }
    return "";
}

static int put(struct subscribe *s, const struct evlog_subscription_item *item)
{
    struct el_json_writer w;
    el_json_writer_init(&w, &s->line);
    el_json_begin_object(&w);
    el_json_add_str(&w, "item", name_of(item->kind));
    if (item->kind == EVLOG_SUBSCRIPTION_EVENT) {
        cli_json_event_members(&w, item->event);
    } else if (item->kind == EVLOG_SUBSCRIPTION_FELL_BEHIND) {
        el_json_add_int(&w, "behind", item->behind);
    } else if (item->kind == EVLOG_SUBSCRIPTION_MISSING) {
        el_json_add_int(&w, "partition", item->partition);
        el_json_add_int(&w, "from", item->from_offset);
        el_json_add_int(&w, "to", item->to_offset);
    }
    if (!s->no_positions) {
        el_json_add_str(&w, "position", evlog_subscription_position(s->subscription));
    }
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        s->line.err = EVLOG_ERR_NO_MEMORY;
    }
    el_buffer_append_char(&s->line, '\n');
    return cli_put(s->cli, &s->line);
}

static int show(void *arg, const struct evlog_subscription_item *item, bool *counts)
{
    struct subscribe *s = arg;
    *counts = item->kind == EVLOG_SUBSCRIPTION_EVENT;
    s->missed = s->missed || item->kind == EVLOG_SUBSCRIPTION_MISSING;
    return put(s, item);
}

/* beginning, end, a time, or a position: a word of url-safe base64, which no time is. */
static int parse_from(struct subscribe *s)
{
    const char *text = s->from;
    struct el_error err = {0};
    if (text == NULL || strcmp(text, "beginning") == 0) {
        return CLI_OK;
    }
    if (strcmp(text, "end") == 0) {
        s->options.start = EVLOG_SUBSCRIPTION_END;
        return CLI_OK;
    }
    if (el_time_parse(text, s->cli->now_ns, &s->options.start_ns, &err) == 0 && s->options.start_ns >= 0) {
        s->options.start = EVLOG_SUBSCRIPTION_TIME;
        return CLI_OK;
    }
    if (strlen(text) < 30 ||
        strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != strlen(text)) {
        return cli_error(s->cli, CLI_ERR_VALUE,
                         "--from %.60s: beginning, end, a position that a line has shown, or a "
                         "time: %s",
                         text, err.text);
    }
    s->options.position = text;
    return CLI_OK;
}

static int parse(struct subscribe *s, const struct cli_words *words)
{
    struct evlog_subscription_options *o = &s->options;
    o->topic = words->items[0];
    o->key = s->key == NULL ? (struct evlog_bytes){NULL, 0} : (struct evlog_bytes){s->key, strlen(s->key)};
    o->prefix = s->prefix == NULL ? (struct evlog_bytes){NULL, 0} : (struct evlog_bytes){s->prefix, strlen(s->prefix)};
    o->types = s->types.items;
    o->type_count = s->types.count;
    o->filters = s->filters.items;
    o->filter_count = s->filters.count;
    if (s->count_max < -1) {
        return cli_error(s->cli, CLI_ERR_VALUE, "-n %lld: a count begins at 0", (long long)s->count_max);
    }
    if (o->behind_max < 0) {
        return cli_error(s->cli, CLI_ERR_VALUE, "--behind %lld: a count begins at 0", (long long)o->behind_max);
    }
    if (s->missing != NULL && strcmp(s->missing, "fail") != 0 && strcmp(s->missing, "tell") != 0) {
        return cli_error(s->cli, CLI_ERR_VALUE, "--missing %.60s: fail or tell", s->missing);
    }
    o->on_missing = s->missing != NULL && strcmp(s->missing, "tell") == 0 ? EVLOG_SUBSCRIPTION_TELL
                                                                          : EVLOG_SUBSCRIPTION_FAIL;
    return parse_from(s);
}

static void say_left_out(const struct subscribe *s)
{
    uint64_t unparsable, too_long;
    evlog_subscription_left_out(s->subscription, &unparsable, &too_long);
    if (unparsable > 0) {
        cli_say(s->cli,
                "--filter: %llu events of the batches that came left out, whose payload is neither JSON nor CBOR",
                (unsigned long long)unparsable);
    }
    if (too_long > 0) {
        cli_say(s->cli, "--filter: %llu events left out that would take too long to match: use fewer wildcards",
                (unsigned long long)too_long);
    }
}

static int run(struct subscribe *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = cli_connect(s->cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_subscription_open(s->cli->client, &s->options, &s->subscription, &failure) != 0) {
        return subscribing_failed(s->cli, &failure);
    }
    struct subscribing reading = {
        .cli = s->cli,
        .subscription = s->subscription,
        .until_caught_up = s->until_caught_up,
        .count_max = s->count_max,
        .show = show,
        .arg = s,
    };
    rc = subscribing_run(&reading);
    say_left_out(s);
    if (rc == CLI_OK && s->missed) {
        rc = CLI_PARTIAL;
    }
    evlog_subscription_close(s->subscription);
    return rc;
}

int cmd_subscribe(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct subscribe s = {.cli = cli, .count_max = -1};
    s.options = (struct evlog_subscription_options)EVLOG_SUBSCRIPTION_OPTIONS_INIT;
    const struct cli_option options[] = {
        {"stream", 0, CLI_TEXT, &s.key, "KEY", "only events of this key"},
        {"prefix", 0, CLI_TEXT, &s.prefix, "TEXT", "only events whose key begins so"},
        {"type", 't', CLI_LIST, &s.types, "NAME", "only events of this type (ce_type); may be given again"},
        {"filter", 0, CLI_LIST, &s.filters, "PATTERN", "only events that this pattern takes; given again: or this one"},
        {"from", 0, CLI_TEXT, &s.from, "WHERE", "beginning, end, a time, or the position of a line (beginning)"},
        {"until-caught-up", 0, CLI_FLAG, &s.until_caught_up, NULL, "end when what is stored has been printed"},
        {"count", 'n', CLI_INT, &s.count_max, "N", "end after so many events"},
        {"missing", 0, CLI_TEXT, &s.missing, "fail|tell",
         "events that were removed before they were read: an error, or a line, and go on (fail)"},
        {"behind", 0, CLI_INT, &s.options.behind_max, "N", "tell when it is so many events behind again (10000)"},
        {"no-positions", 0, CLI_FLAG, &s.no_positions, NULL,
         "lines without their position, which is long for many "
         "partitions"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = parse(&s, &words);
        rc = rc == CLI_OK ? run(&s) : rc;
    }
    cli_list_free(&s.types);
    cli_list_free(&s.filters);
    el_buffer_free(&s.line);
    return rc;
}
