/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog dlq ls | inspect | stats: dead letters are events like any others, in topics of their own; their headers tell
 * the story.
 *
 * ls takes a topic for one of dead letters when its name ends in .dlq; the other two take any topic and show what has
 * the headers. Counts of ls are offsets, so compaction and transactions make them too high. Which letters are open is
 * known for the group that a topic's name tells.
 */
#include "cli.h"
#include "dead_letter.h"
#include "group_halts.h"
#include "letter_states.h"
#include "table.h"
#include "topic_scan.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 1000 /* different ones that stats tells apart */
#define TEXT_SHOWN 80   /* bytes of a text in a table */

/* --- ls ---------------------------------------------------------------------------------------------------------- */

static bool is_dead_letter_topic(const struct evlog_topic_name *topic)
{
    size_t len = strlen(topic->name), suffix = strlen(DEAD_LETTER_SUFFIX);
    return !topic->internal && len > suffix && strcmp(topic->name + len - suffix, DEAD_LETTER_SUFFIX) == 0;
}

/* Letters that are settled, of the groups that the topic's name tells; -1 it tells none, or nobody knows. */
static int64_t settled_in(struct cli *cli, const char *topic, const struct evlog_group_list *groups,
                          const int64_t *bounds, int32_t count)
{
    int64_t settled = -1;
    for (size_t i = 0; i < groups->group_count; i++) {
        if (!dead_letter_names(topic, &groups->groups[i])) {
            continue;
        }
        settled = EL_MAX(settled, (int64_t)0);
        for (int32_t p = 0; p < count; p++) {
            int64_t its = letter_states_settled(cli, groups->groups[i].name, topic, p, bounds[p], bounds[count + p]);
            if (its < 0) {
                return -1;
            }
            settled += its;
        }
    }
    return settled;
}

struct list_out {
    struct table table;
    struct el_buffer line;
    size_t found, unknown; /* topics; of which it is not known what is open */
};

static int list_one(struct cli *cli, const struct evlog_topic_name *topic, const struct evlog_group_list *groups,
                    struct list_out *out)
{
    struct el_json_writer w;
    int32_t partitions;
    int64_t *bounds, count = 0;
    int rc = topic_scan_bounds(cli, topic->name, &partitions, &bounds);
    if (rc != CLI_OK) {
        return rc;
    }
    for (int32_t i = 0; i < partitions; i++) {
        count += bounds[partitions + i] - bounds[i];
    }
    int64_t settled = settled_in(cli, topic->name, groups, bounds, partitions);
    int64_t open = settled < 0 ? -1 : EL_MAX(count - settled, (int64_t)0);
    el_free(bounds);
    out->found++;
    out->unknown += open < 0;
    if (cli->json) {
        cli_json_begin(&w, &out->line);
        el_json_add_str(&w, "topic", topic->name);
        el_json_add_int(&w, "partitions", topic->partition_count);
        el_json_add_int(&w, "events", count);
        if (open >= 0) {
            el_json_add_int(&w, "open", open);
        }
        return cli_json_end(cli, &w, &out->line);
    }
    table_cell(&out->table, "%s", topic->name);
    table_cell(&out->table, "%d", topic->partition_count);
    table_number(&out->table, count);
    table_number(&out->table, open);
    return CLI_OK;
}

static int list_all(struct cli *cli, const struct evlog_topic_list *topics, const struct evlog_group_list *groups)
{
    static const struct table_column columns[] = {
        {"TOPIC", false}, {"PARTITIONS", true}, {"EVENTS", true}, {"OPEN", true}};
    struct list_out out = {.found = 0};
    int rc = CLI_OK;
    table_begin(&out.table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; rc == CLI_OK && i < topics->topic_count; i++) {
        if (is_dead_letter_topic(&topics->topics[i])) {
            rc = list_one(cli, &topics->topics[i], groups, &out);
        }
    }
    int its = table_end(cli, &out.table);
    if (rc == CLI_OK && out.found == 0) {
        cli_say(cli, "no topic's name ends in %s: nothing was given up, or dlq.topic names another one",
                DEAD_LETTER_SUFFIX);
    }
    if (out.unknown > 0) {
        cli_say(cli, "what is open in %zu of them is not known: no group that you may describe has its name in theirs",
                out.unknown);
    }
    el_buffer_free(&out.line);
    return rc != CLI_OK ? rc : its;
}

static int list(struct cli *cli)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_list *topics;
    struct evlog_group_list *groups;
    if (evlog_topic_list(cli->client, &topics, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    if (evlog_group_list(cli->client, &groups, &failure) != 0) {
        evlog_topic_list_free(topics);
        return cli_failure(cli, &failure);
    }
    int rc = list_all(cli, topics, groups);
    group_halts_say_all(cli, groups, NULL);
    evlog_group_list_free(groups);
    evlog_topic_list_free(topics);
    return rc;
}

int cmd_dlq_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    int rc = cli_connect_bare(cli, command, argc, argv);
    return rc == CLI_PARSED ? list(cli) : rc;
}

/* --- inspect ------------------------------------------------------------------------------------------------------ */

struct inspect {
    struct cli *cli;
    int64_t count_max; /* -1: all */
    const char *key;   /* NULL: any */
    const char *reason;
    int64_t count;
    uint64_t other_count; /* events that are no dead letters */
    bool open;            /* only those neither redriven nor dropped */
    const char *state;    /* of the letter that is being shown */
    struct letter_states states;
    int rc;
    struct el_buffer line;
};

static bool is_text(struct evlog_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static void put_history(struct el_json_writer *w, const struct dead_letter *letter)
{
    el_json_key(w, "history");
    el_json_begin_array(w);
    for (size_t i = 0; i < letter->history_count; i++) {
        const struct dead_letter_attempt *attempt = &letter->history[i];
        el_json_begin_object(w);
        cli_json_time(w, "time", cli_event_ns(attempt->time_ms), 3);
        cli_json_bytes(w, "worker", attempt->worker);
        cli_json_bytes(w, "outcome", attempt->outcome);
        cli_json_bytes(w, "reason", attempt->reason);
        cli_json_bytes(w, "error", attempt->error);
        el_json_end_object(w);
    }
    el_json_end_array(w);
}

static void put_json(struct inspect *in, const struct evlog_event *event, const struct dead_letter *letter)
{
    struct el_json_writer w;
    cli_json_begin(&w, &in->line);
    el_json_add_str(&w, "dlq_topic", event->topic);
    el_json_add_int(&w, "dlq_partition", event->partition);
    el_json_add_int(&w, "dlq_offset", event->offset);
    cli_json_bytes(&w, "topic", letter->topic);
    el_json_add_int(&w, "partition", letter->partition);
    el_json_add_int(&w, "offset", letter->offset);
    cli_json_time(&w, "time", cli_event_ns(letter->timestamp_ms), 3);
    cli_json_bytes(&w, "group", letter->group);
    el_json_add_int(&w, "attempts", letter->attempts);
    cli_json_bytes(&w, "reason", letter->reason);
    cli_json_bytes(&w, "error", letter->error);
    el_json_add_str(&w, "state", in->state);
    put_history(&w, letter);
    cli_json_bytes(&w, "key", event->key);
    cli_json_data(&w, event->value);
    in->rc = cli_json_end(in->cli, &w, &in->line);
}

/* A text for people: cut, and "-" for null. */
static void put_text(struct el_buffer *out, struct evlog_bytes text)
{
    if (text.data == NULL) {
        el_buffer_append_char(out, '-');
        return;
    }
    for (size_t i = 0; i < text.len && i < TEXT_SHOWN; i++) {
        char c = ((const char *)text.data)[i];
        el_buffer_append_char(out, (unsigned char)c < ' ' || c == 0x7f ? ' ' : c);
    }
    if (text.len > TEXT_SHOWN) {
        el_buffer_append_str(out, "...");
    }
}

static void put_readable(struct inspect *in, const struct evlog_event *event, const struct dead_letter *letter)
{
    char time[40] = "-";
    struct el_buffer *out = &in->line;
    if (cli_event_ns(letter->timestamp_ms) >= 0) {
        el_time_format(time, cli_event_ns(letter->timestamp_ms), 3);
    }
    put_text(out, letter->topic);
    el_buffer_printf(out, "[%lld]@%lld  %s  group ", (long long)letter->partition, (long long)letter->offset, time);
    put_text(out, letter->group);
    el_buffer_printf(out, "  attempts %lld  ", (long long)letter->attempts);
    put_text(out, letter->reason);
    el_buffer_printf(out, "  %s", in->state);
    el_buffer_append_str(out, ": ");
    put_text(out, letter->error);
    el_buffer_append_str(out, "\n    key ");
    put_text(out, event->key);
    el_buffer_append_str(out, "  value ");
    put_text(out, event->value);
    for (size_t i = 0; i < letter->history_count; i++) {
        const struct dead_letter_attempt *attempt = &letter->history[i];
        (void)snprintf(time, sizeof time, "-");
        if (cli_event_ns(attempt->time_ms) >= 0) {
            el_time_format(time, cli_event_ns(attempt->time_ms), 3);
        }
        el_buffer_printf(out, "\n    %s  ", time);
        put_text(out, attempt->outcome);
        el_buffer_append_str(out, "  ");
        put_text(out, attempt->reason);
        el_buffer_append_str(out, ": ");
        put_text(out, attempt->error);
        el_buffer_append_str(out, "  by ");
        put_text(out, attempt->worker);
    }
    el_buffer_append_str(out, letter->history_broken ? "\n    the rest of the history cannot be read\n" : "\n");
    in->rc = cli_put(in->cli, out);
}

static bool inspect_one(void *arg, const struct evlog_event *event)
{
    struct inspect *in = arg;
    struct dead_letter letter;
    if (!dead_letter_read(event, &letter)) {
        in->other_count++;
        return true;
    }
    if ((in->key != NULL && !is_text(event->key, in->key)) ||
        (in->reason != NULL && !is_text(letter.reason, in->reason))) {
        return true;
    }
    in->state = letter_state(&in->states, event, &letter);
    if (in->open && strcmp(in->state, "open") != 0 && strcmp(in->state, "unknown") != 0) {
        return true;
    }
    if (in->cli->json) {
        put_json(in, event, &letter);
    } else {
        put_readable(in, event, &letter);
    }
    in->count++;
    return in->rc == CLI_OK && in->count != in->count_max;
}

int cmd_dlq_inspect(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct inspect in = {.cli = cli, .count_max = -1, .states = {.cli = cli}};
    const struct cli_option options[] = {
        {"count", 'n', CLI_INT, &in.count_max, "N", "stop after so many"},
        {"key", 'k', CLI_TEXT, &in.key, "KEY", "only events of this key"},
        {"reason", 0, CLI_TEXT, &in.reason, "REASON", "only those given up for this reason"},
        {"open", 0, CLI_FLAG, &in.open, NULL, "only those neither redriven nor dropped, as far as is known"},
    };
    struct cli_grammar grammar = {options, 4, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    if (rc == CLI_OK && in.count_max != 0) {
        rc = topic_scan(cli, words.items[0], inspect_one, &in);
    }
    if (rc == CLI_OK && in.other_count > 0) {
        cli_say(cli, "%llu events are no dead letters", (unsigned long long)in.other_count);
    }
    letter_states_say(&in.states);
    el_buffer_free(&in.line);
    letter_states_free(&in.states);
    return rc == CLI_OK ? in.rc : rc;
}

/* --- stats -------------------------------------------------------------------------------------------------------- */

struct reason {
    char text[EVLOG_REASON_MAX];
    uint64_t count, open, unknown;
    int64_t first_ms, last_ms; /* of the events' times, -1 unknown */
};

struct stats {
    struct reason *reasons; /* [reason_count] of REASON_MAX */
    size_t reason_count;
    uint64_t count, open, other_count, uncounted; /* what is unknown is in states */
    struct letter_states states;
};

static struct reason *reason_of(struct stats *stats, struct evlog_bytes text)
{
    char copy[EVLOG_REASON_MAX] = "-";
    if (text.data != NULL) {
        (void)snprintf(copy, sizeof copy, "%.*s", (int)EL_MIN(text.len, sizeof copy - 1), (const char *)text.data);
    }
    for (size_t i = 0; i < stats->reason_count; i++) {
        if (strcmp(stats->reasons[i].text, copy) == 0) {
            return &stats->reasons[i];
        }
    }
    if (stats->reason_count == REASON_MAX) {
        return NULL;
    }
    struct reason *fresh = &stats->reasons[stats->reason_count++];
    memcpy(fresh->text, copy, sizeof copy);
    fresh->first_ms = fresh->last_ms = -1;
    return fresh;
}

static bool count_one(void *arg, const struct evlog_event *event)
{
    struct stats *stats = arg;
    struct dead_letter letter;
    if (!dead_letter_read(event, &letter)) {
        stats->other_count++;
        return true;
    }
    struct reason *reason = reason_of(stats, letter.reason);
    const char *state = letter_state(&stats->states, event, &letter);
    bool open = strcmp(state, "open") == 0, unknown = strcmp(state, "unknown") == 0;
    stats->count++;
    stats->open += open;
    if (reason == NULL) {
        stats->uncounted++;
        return true;
    }
    reason->count++;
    reason->open += open;
    reason->unknown += unknown;
    if (event->timestamp_ms >= 0) {
        reason->first_ms = reason->first_ms < 0 ? event->timestamp_ms : EL_MIN(reason->first_ms, event->timestamp_ms);
        reason->last_ms = EL_MAX(reason->last_ms, event->timestamp_ms);
    }
    return true;
}

static int by_count(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;
    return (x->count < y->count) - (x->count > y->count);
}

static int show_reason(const struct cli *cli, const struct reason *reason, struct table *table)
{
    char first[40] = "-", last[40] = "-";
    struct el_buffer line = {0};
    struct el_json_writer w;
    if (cli->json) {
        cli_json_begin(&w, &line);
        cli_json_bytes(&w, "reason", (struct evlog_bytes){reason->text, strlen(reason->text)});
        el_json_add_uint(&w, "events", reason->count);
        el_json_add_uint(&w, "open", reason->open);
        if (reason->unknown > 0) {
            el_json_add_uint(&w, "unknown", reason->unknown);
        }
        cli_json_time(&w, "first", cli_event_ns(reason->first_ms), 3);
        cli_json_time(&w, "last", cli_event_ns(reason->last_ms), 3);
        int rc = cli_json_end(cli, &w, &line);
        el_buffer_free(&line);
        return rc;
    }
    if (cli_event_ns(reason->first_ms) >= 0) {
        el_time_format(first, cli_event_ns(reason->first_ms), 3);
        el_time_format(last, cli_event_ns(reason->last_ms), 3);
    }
    table_cell(table, "%s", reason->text);
    table_cell(table, "%llu", (unsigned long long)reason->count);
    if (reason->unknown > 0) {
        table_cell(table, "%llu-%llu", (unsigned long long)reason->open,
                   (unsigned long long)(reason->open + reason->unknown));
    } else {
        table_cell(table, "%llu", (unsigned long long)reason->open);
    }
    table_cell(table, "%s", first);
    table_cell(table, "%s", last);
    return CLI_OK;
}

static int show_stats(const struct cli *cli, const char *topic, struct stats *stats)
{
    static const struct table_column columns[] = {
        {"REASON", false}, {"EVENTS", true}, {"OPEN", true}, {"FIRST", false}, {"LAST", false},
    };
    struct table table;
    int rc = CLI_OK;
    if (stats->reason_count > 0) {
        qsort(stats->reasons, stats->reason_count, sizeof *stats->reasons, by_count);
    }
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; rc == CLI_OK && i < stats->reason_count; i++) {
        rc = show_reason(cli, &stats->reasons[i], &table);
    }
    int its = table_end(cli, &table);
    cli_say(cli, "%llu dead letters in %s, %llu of them open", (unsigned long long)stats->count, topic,
            (unsigned long long)stats->open);
    letter_states_say(&stats->states);
    if (stats->uncounted > 0) {
        cli_say(cli, "%llu of them for more than %d different reasons", (unsigned long long)stats->uncounted,
                REASON_MAX);
    }
    return rc != CLI_OK ? rc : its;
}

/* Of the groups that the topic's name tells. */
static void say_halts(struct cli *cli, const char *topic)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_list *groups;
    if (evlog_group_list(cli->client, &groups, &failure) == 0) {
        group_halts_say_all(cli, groups, topic);
        evlog_group_list_free(groups);
    }
}

int cmd_dlq_stats(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct stats stats = {.states = {.cli = cli}};
    struct cli_grammar grammar = {NULL, 0, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    stats.reasons = el_calloc(REASON_MAX, sizeof *stats.reasons);
    rc = stats.reasons == NULL ? cli_error(cli, CLI_ERR_VALUE, "no memory") : cli_connect(cli);
    if (rc == CLI_OK) {
        rc = topic_scan(cli, words.items[0], count_one, &stats);
    }
    if (rc == CLI_OK) {
        rc = show_stats(cli, words.items[0], &stats);
        say_halts(cli, words.items[0]);
    }
    letter_states_free(&stats.states);
    el_free(stats.reasons);
    return rc;
}
