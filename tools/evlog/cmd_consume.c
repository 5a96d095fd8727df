/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog consume and evlog tail: print events of topics, from a place to the end of the log or on and on.
 *
 * 1. -o and --until become a first and an end offset for every partition, asked from the broker.
 * 2. One consumer per topic; with several topics they are read in turn.
 * 3. Each event that --filter takes is printed as JSON, by a format, or as its value on a line.
 * With -g all this is the group's to say (group_reading.c).
 *
 * Without --follow the end is fixed when reading begins, so that a busy topic cannot keep the command running.
 */
#include "cli.h"
#include "event_filter.h"
#include "event_format.h"
#include "group_reading.h"
#include "sealing.h"
#include "where.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000
#define TOPIC_MAX 64
#define WAIT_MS 200      /* between looks at whether to stop */
#define WAIT_SHORT_MS 20 /* when several topics are read in turn */
#define TAIL_EVENTS "-10"

struct consume {
    struct cli *cli;
    const char *from_text;
    const char *format_text;
    const char *group;
    struct cli_list partitions;
    struct cli_list patterns;
    int64_t until_ns;
    int64_t count_max; /* -1: no limit */
    bool follow;
    bool readable; /* tail */
    struct where from;
    struct event_format format;
    struct event_filter filter;
    struct evlog_consumer *consumers[TOPIC_MAX];
    int consumer_count;
    uint64_t count;
    struct el_buffer line;
    struct sealing sealing;
};

/* --- assigning -------------------------------------------------------------------------------------------------- */

struct bounds {
    int64_t *start, *end, *from, *until; /* [count] each, in one block */
    int32_t count;
};

static int ask_bounds(const struct consume *c, const char *topic, struct bounds *b, struct evlog_failure *failure)
{
    struct evlog_client *client = c->cli->client;
    int rc = evlog_offsets_at(client, topic, EVLOG_OFFSET_EARLIEST, b->start, b->count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(client, topic, EVLOG_OFFSET_LATEST, b->end, b->count, failure);
    }
    if (rc == 0 && c->from.kind == WHERE_TIME) {
        rc = evlog_offsets_at(client, topic, c->from.number, b->from, b->count, failure);
    }
    if (rc == 0 && c->until_ns != EVLOG_TIME_NONE) {
        int64_t first_behind_ms = EL_MAX(c->until_ns, 0) / NS_PER_MS + 1;
        rc = evlog_offsets_at(client, topic, first_behind_ms, b->until, b->count, failure);
    }
    return rc;
}

static bool is_chosen(const struct consume *c, int32_t partition)
{
    for (size_t i = 0; i < c->partitions.count; i++) {
        if (strtol(c->partitions.items[i], NULL, 10) == partition) {
            return true;
        }
    }
    return c->partitions.count == 0;
}

static int assign(const struct consume *c, struct evlog_consumer *consumer, const struct bounds *b,
                  struct evlog_failure *failure)
{
    for (int32_t i = 0; i < b->count; i++) {
        int64_t end = c->follow ? -1 : b->end[i];
        if (c->until_ns != EVLOG_TIME_NONE && b->until[i] >= 0) {
            end = c->follow ? b->until[i] : EL_MIN(b->until[i], b->end[i]);
        }
        int rc = is_chosen(c, i)
                     ? evlog_consumer_assign(consumer, i, where_offset(&c->from, b->start[i], b->end[i], b->from[i]),
                                             end, failure)
                     : 0;
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int open_topic(struct consume *c, const char *topic)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_consumer_options options = EVLOG_CONSUMER_OPTIONS_INIT;
    struct bounds b = {0};
    options.topic = topic;
    struct evlog_consumer *consumer;
    if (evlog_consumer_open(c->cli->client, &options, &consumer, &failure) != 0) {
        return cli_failure(c->cli, &failure);
    }
    c->consumers[c->consumer_count++] = consumer;
    b.count = evlog_consumer_partition_count(consumer);
    for (size_t i = 0; i < c->partitions.count; i++) {
        int64_t number;
        if (!where_count(c->partitions.items[i], &number) || number >= b.count) {
            return cli_error(c->cli, CLI_ERR_VALUE, "-p %s: topic %s has partitions 0 to %d", c->partitions.items[i],
                             topic, b.count - 1);
        }
    }
    b.start = el_calloc(4 * (size_t)b.count, sizeof *b.start);
    if (b.start == NULL) {
        return cli_error(c->cli, CLI_ERR_VALUE, "no memory");
    }
    b.end = b.start + b.count;
    b.from = b.end + b.count;
    b.until = b.from + b.count;
    for (int32_t i = 0; i < b.count; i++) {
        b.until[i] = -1;
    }
    int rc = ask_bounds(c, topic, &b, &failure);
    if (rc == 0) {
        rc = assign(c, consumer, &b, &failure);
    }
    el_free(b.start);
    return rc == 0 ? CLI_OK : cli_failure(c->cli, &failure);
}

/* --- printing --------------------------------------------------------------------------------------------------- */

static void print_json(struct consume *c, const struct evlog_event *event)
{
    struct el_json_writer w;
    el_json_writer_init(&w, &c->line);
    el_json_begin_object(&w);
    el_json_add_str(&w, "topic", event->topic);
    el_json_add_int(&w, "partition", event->partition);
    el_json_add_int(&w, "offset", event->offset);
    cli_json_time(&w, "time", cli_event_ns(event->timestamp_ms), 3);
    cli_json_time(&w, "append_time", event->append_time_ns, 9);
    cli_json_bytes(&w, "key", event->key);
    el_json_key(&w, "headers");
    el_json_begin_array(&w);
    for (size_t i = 0; i < event->header_count; i++) {
        el_json_begin_object(&w);
        cli_json_bytes(&w, "name", event->headers[i].key);
        cli_json_bytes(&w, "value", event->headers[i].value);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    cli_json_data(&w, event->value);
    el_json_end_object(&w);
    if (el_json_writer_end(&w) != 0) {
        c->line.err = EVLOG_ERR_NO_MEMORY;
    }
}

static void print_readable(struct consume *c, const struct evlog_event *event)
{
    char text[40] = "-";
    if (cli_event_ns(event->timestamp_ms) >= 0) {
        el_time_format(text, cli_event_ns(event->timestamp_ms), 3);
    }
    el_buffer_printf(&c->line, "%s %s[%d]@%lld ", text, event->topic, event->partition, (long long)event->offset);
    el_buffer_append(&c->line, event->key.data == NULL ? "-" : event->key.data,
                     event->key.data == NULL ? 1 : event->key.len);
    el_buffer_append_char(&c->line, ' ');
    if (event->value.data == NULL) {
        el_buffer_append_str(&c->line, "(null)");
    } else {
        el_buffer_append(&c->line, event->value.data, event->value.len);
    }
}

static int print(struct consume *c, const struct evlog_event *event)
{
    int rc = sealing_open_event(&c->sealing, &event);
    if (rc != CLI_OK) {
        return rc;
    }
    c->count++;
    if (c->format_text != NULL) {
        event_format_print(&c->format, event, &c->line);
    } else if (c->cli->json) {
        print_json(c, event);
    } else if (c->readable) {
        print_readable(c, event);
    } else {
        el_buffer_append(&c->line, event->value.data, event->value.len);
    }
    if (c->format_text == NULL) {
        el_buffer_append_char(&c->line, '\n');
    }
    return cli_put(c->cli, &c->line);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Print what one consumer has at hand. returns CLI_OK, *idle when it had nothing | an exit code, told */
static int drain(struct consume *c, struct evlog_consumer *consumer, int wait_ms, bool *idle)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_event *event;
    int rc = evlog_consumer_next(consumer, wait_ms, &event, &failure);
    while (rc == 1 && !cli_interrupted) {
        *idle = false;
        rc = event_filter_takes(&c->filter, event) ? print(c, event) : CLI_OK;
        if (rc != CLI_OK || (uint64_t)c->count_max == c->count) {
            return rc;
        }
        rc = evlog_consumer_next(consumer, 0, &event, &failure);
    }
    return rc < 0 ? cli_failure(c->cli, &failure) : CLI_OK;
}

static bool all_at_end(const struct consume *c)
{
    for (int i = 0; i < c->consumer_count; i++) {
        if (!evlog_consumer_at_end(c->consumers[i])) {
            return false;
        }
    }
    return true;
}

static int read_all(struct consume *c)
{
    int rc = CLI_OK;
    int wait_ms = c->consumer_count > 1 ? WAIT_SHORT_MS : WAIT_MS;
    while (rc == CLI_OK && !cli_interrupted && (uint64_t)c->count_max != c->count && !all_at_end(c)) {
        bool idle = true;
        for (int i = 0; rc == CLI_OK && i < c->consumer_count && (uint64_t)c->count_max != c->count; i++) {
            rc = drain(c, c->consumers[i], wait_ms, &idle);
        }
        if (idle && fflush(stdout) != 0) {
            rc = cli_error(c->cli, CLI_ERR_OUTPUT, "the output cannot be written");
        }
    }
    return rc;
}

static bool take_for_group(void *arg, const struct evlog_event *event)
{
    return event_filter_takes(&((struct consume *)arg)->filter, event);
}

static int print_for_group(void *arg, const struct evlog_event *event)
{
    return print(arg, event);
}

static int run_group(struct consume *c, const struct cli_words *words)
{
    if (c->from_text != NULL || c->until_ns != EVLOG_TIME_NONE || c->partitions.count > 0) {
        return cli_error(c->cli, CLI_ERR_WORDS,
                         "-g %s: -o, -p and --until are not for groups: the group's offsets say where reading begins "
                         "('evlog groups seek' sets them), and it gives out the partitions",
                         c->group);
    }
    struct group_reading reading = {
        .cli = c->cli,
        .group = c->group,
        .topics = (const char *const *)words->items,
        .topic_count = (size_t)words->count,
        .follow = c->follow,
        .count_max = c->count_max,
        .take = take_for_group,
        .print = print_for_group,
        .arg = c,
    };
    c->cli->defaults = group_reading_defaults;
    int rc = cli_connect(c->cli);
    if (rc == CLI_OK) {
        rc = group_reading_run(&reading);
    }
    if (rc == CLI_OK && c->cli->verbose) {
        cli_say(c->cli, "%llu events", (unsigned long long)reading.count);
    }
    return rc;
}

static int run_topics(struct consume *c, const struct cli_words *words)
{
    int rc = where_parse(c->cli, "-o", c->from_text == NULL ? "start" : c->from_text, &c->from);
    if (rc == CLI_OK) {
        rc = cli_connect(c->cli);
    }
    for (int i = 0; rc == CLI_OK && i < words->count; i++) {
        rc = open_topic(c, words->items[i]);
    }
    if (rc == CLI_OK) {
        rc = read_all(c);
    }
    if (rc == CLI_OK && !c->follow && c->cli->verbose) {
        cli_say(c->cli, "%llu events", (unsigned long long)c->count);
    }
    for (int i = 0; i < c->consumer_count; i++) {
        evlog_consumer_close(c->consumers[i]);
    }
    return rc;
}

static int run(struct consume *c, const struct cli_words *words)
{
    struct el_error err = {0};
    if (words->count > TOPIC_MAX || c->count_max < -1) {
        return cli_error(c->cli, CLI_ERR_VALUE, "at most %d topics, and a count of at least 0", TOPIC_MAX);
    }
    if (c->format_text != NULL && event_format_parse(c->format_text, &c->format, &err) != 0) {
        return cli_error(c->cli, CLI_ERR_VALUE, "-f %s: %s", c->format_text, err.text);
    }
    int rc = sealing_open(&c->sealing, c->cli, false);
    rc = rc == CLI_OK ? event_filter_open(&c->filter, c->cli, &c->patterns) : rc;
    if (rc == CLI_OK) {
        rc = c->group != NULL ? run_group(c, words) : run_topics(c, words);
    }
    event_filter_say(&c->filter, c->cli);
    event_filter_close(&c->filter);
    return rc;
}

static int consume(struct cli *cli, const struct cli_command *command, int argc, char **argv, bool tail)
{
    struct consume *c = el_calloc(1, sizeof *c);
    if (c == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "no memory");
    }
    c->cli = cli;
    c->from_text = tail ? TAIL_EVENTS : NULL;
    c->follow = c->readable = tail;
    c->until_ns = EVLOG_TIME_NONE;
    c->count_max = -1;
    const struct cli_option options[] = {
        {"offset", 'o', CLI_TEXT, &c->from_text, "WHERE", "where to begin: start, end, N, -N, +N, @TIME"},
        {"until", 0, CLI_TIME, &c->until_ns, "TIME", "stop behind this event time"},
        {"partition", 'p', CLI_LIST, &c->partitions, "N", "only this partition; may be repeated"},
        {"count", 'n', CLI_INT, &c->count_max, "N", "stop after so many events"},
        {"format", 'f', CLI_TEXT, &c->format_text, "FORMAT", "print by a format"},
        {"follow", 0, CLI_FLAG, &c->follow, NULL, "go on with what comes"},
        {"filter", 0, CLI_LIST, &c->patterns, "PATTERN", "only events that match this event pattern; up to five"},
        {"group", 'g', CLI_TEXT, &c->group, "GROUP", "share the partitions with the other members of a group"},
        SEALING_KEYS_OPTIONS(&c->sealing),
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = run(c, &words);
    }
    sealing_close(&c->sealing);
    el_buffer_free(&c->line);
    cli_list_free(&c->partitions);
    cli_list_free(&c->patterns);
    el_free(c);
    return rc;
}

int cmd_consume(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return consume(cli, command, argc, argv, false);
}

int cmd_tail(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    return consume(cli, command, argc, argv, true);
}
