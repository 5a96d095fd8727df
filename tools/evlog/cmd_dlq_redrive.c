/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog dlq redrive | drop | tasks | cancel | release: dead letters that are worked on once more, or not.
 *
 * A redrive is a task of the broker. The command begins it, and shows how far it is until it ends; interrupted, it
 * leaves the task running and says how to look at it and how to end it.
 */
#include "cli.h"
#include "dead_letter.h"
#include "table.h"

#include <errno.h>
#include <evlog/redrive.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RANGES_MAX 64
#define POLL_MS 200
#define RELEASE_ROUNDS_MAX 10
#define NS_PER_MS 1000000

/* --- which group -------------------------------------------------------------------------------------------------- */

/* The group that a topic of dead letters belongs to by its name; written to group. */
static int find_group(struct cli *cli, const char *topic, char *group, size_t room)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_list *list;
    size_t found = 0;
    if (evlog_group_list(cli->client, &list, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    for (size_t i = 0; i < list->group_count; i++) {
        const struct evlog_group_name *name = &list->groups[i];
        if (dead_letter_names(topic, name)) {
            (void)snprintf(group, room, "%s", name->name);
            found++;
        }
    }
    evlog_group_list_free(list);
    if (found == 1) {
        return CLI_OK;
    }
    return cli_error(cli, CLI_ERR_VALUE, "the name of %s fits %s work group: say which with -g GROUP", topic,
                     found == 0 ? "no" : "more than one");
}

/* --- the selection ------------------------------------------------------------------------------------------------ */

struct selection {
    const char *group, *key, *reason, *pattern;
    int64_t since_ns, until_ns; /* -1: open */
    struct cli_list offsets;
    struct evlog_letter_range ranges[RANGES_MAX];
};

/* "P:FROM-TO", "P:N", or "P" for a whole partition. */
static int take_range(const struct cli *cli, const char *text, struct evlog_letter_range *range)
{
    char *end;
    errno = 0;
    long long partition = strtoll(text, &end, 10), first = 0, last = INT64_MAX - 1;
    bool good = end != text && partition >= 0 && partition <= INT32_MAX;
    if (good && *end == ':') {
        const char *from = end + 1;
        first = strtoll(from, &end, 10);
        good = end != from && *from != '-';
        last = first;
        if (good && *end == '-') {
            const char *to = end + 1;
            last = strtoll(to, &end, 10);
            good = end != to && *to != '-';
        }
    }
    if (!good || *end != '\0' || errno != 0 || last < first) {
        return cli_error(cli, CLI_ERR_VALUE, "--offsets takes PARTITION:FROM-TO, not %s", text);
    }
    *range = (struct evlog_letter_range){(int32_t)partition, first, last};
    return CLI_OK;
}

static int take_selection(const struct cli *cli, struct selection *selection, struct evlog_redrive_options *options)
{
    int rc = CLI_OK;
    if (selection->offsets.count > RANGES_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "at most %d times --offsets", RANGES_MAX);
    }
    for (size_t i = 0; rc == CLI_OK && i < (size_t)selection->offsets.count; i++) {
        rc = take_range(cli, selection->offsets.items[i], &selection->ranges[i]);
    }
    options->ranges = selection->ranges;
    options->range_count = (size_t)selection->offsets.count;
    if (selection->key != NULL) {
        options->key = (struct evlog_bytes){selection->key, strlen(selection->key)};
    }
    options->reason = selection->reason;
    options->pattern = selection->pattern;
    options->since_ms = selection->since_ns < 0 ? -1 : selection->since_ns / NS_PER_MS;
    options->until_ms = selection->until_ns < 0 ? -1 : selection->until_ns / NS_PER_MS;
    return rc;
}

/* --- showing ------------------------------------------------------------------------------------------------------ */

static const char *action_word(const struct evlog_redrive *r)
{
    return r->drop ? "drop" : r->to != NULL ? "copy" : "redrive";
}

static int put_json(const struct cli *cli, const struct evlog_redrive *r)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_uint(&w, "id", r->id);
    el_json_add_str(&w, "dlq_topic", r->topic);
    el_json_add_str(&w, "group", r->group);
    el_json_add_str(&w, "action", action_word(r));
    if (r->to != NULL) {
        el_json_add_str(&w, "to", r->to);
    }
    el_json_add_bool(&w, "dry_run", r->dry_run);
    el_json_add_str(&w, "state", r->state);
    el_json_add_str(&w, "why", r->why);
    cli_json_time(&w, "began", cli_event_ns(r->began_ms), 3);
    cli_json_time(&w, "ended", cli_event_ns(r->ended_ms), 3);
    el_json_add_int(&w, "rate", r->rate);
    el_json_add_uint(&w, "total", r->total);
    el_json_add_uint(&w, "seen", r->seen);
    el_json_add_uint(&w, "matched", r->matched);
    el_json_add_uint(&w, "redriven", r->redriven);
    el_json_add_uint(&w, "dropped", r->dropped);
    el_json_add_uint(&w, "gone", r->gone);
    el_json_add_uint(&w, "passed", r->passed);
    el_json_add_uint(&w, "settled", r->settled);
    el_json_add_uint(&w, "others", r->others);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

/* What became of it, and what is left to do. */
static void tell(const struct cli *cli, const struct evlog_redrive *r)
{
    if (r->dry_run) {
        cli_say(cli, "%llu open letters are selected; nothing was changed", (unsigned long long)r->matched);
    } else if (r->drop) {
        cli_say(cli, "%llu letters dropped", (unsigned long long)r->dropped);
    } else if (r->to != NULL) {
        cli_say(cli, "%llu events were copied to %s", (unsigned long long)r->redriven, r->to);
    } else {
        cli_say(cli, "%llu events are delivered to group %s again", (unsigned long long)r->redriven, r->group);
    }
    if (r->settled > 0) {
        cli_say(cli, "%llu more were redriven or dropped before", (unsigned long long)r->settled);
    }
    if (r->gone > 0) {
        cli_say(
            cli,
            "%llu events are not in their topic any more, because of its retention or because it was deleted: their "
            "letters stay open, and hold the events as they were",
            (unsigned long long)r->gone);
    }
    if (r->passed > 0 && r->to != NULL) {
        cli_say(cli,
                "%llu events were not taken by %s, for they are above its max.message.bytes, or have no key and it is "
                "compacted: their letters stay open",
                (unsigned long long)r->passed, r->to);
    } else if (r->passed > 0) {
        cli_say(cli, "%llu events do not match the filter of group %s any more: their letters stay open",
                (unsigned long long)r->passed, r->group);
    }
    if (r->others > 0 && r->matched == 0) {
        cli_say(cli, "%llu records of %s are no letters of group %s", (unsigned long long)r->others, r->topic,
                r->group);
    }
    if (r->why[0] != '\0') {
        cli_say(cli, "%s", r->why);
    }
}

static void wait_ms(long ms)
{
    struct timespec wait = {ms / 1000, ms % 1000 * NS_PER_MS};
    (void)nanosleep(&wait, NULL);
}

/* Show it until it ends, or until interrupted. *done: it has come to its end */
static int watch(struct cli *cli, uint64_t id, bool *done)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    for (;;) {
        struct evlog_redrive_list *list;
        if (evlog_redrive_find(cli->client, id, &list, &failure) != 0) {
            cli_progress_end(cli);
            return cli_failure(cli, &failure);
        }
        const struct evlog_redrive *r = &list->redrives[0];
        if (r->ended_ms >= 0) {
            int rc = CLI_OK;
            cli_progress_end(cli);
            *done = strcmp(r->state, "done") == 0;
            if (cli->json) {
                rc = put_json(cli, r);
            } else {
                tell(cli, r);
            }
            if (rc == CLI_OK && !*done) {
                rc = cli_error(cli, CLI_ERR_VALUE, "redrive %llu was %s: %s", (unsigned long long)id, r->state, r->why);
            }
            evlog_redrive_list_free(list);
            return rc;
        }
        cli_progress(cli, r->drop ? "dropping" : r->to != NULL ? "copying" : "redriving", r->seen, r->total);
        evlog_redrive_list_free(list);
        if (cli_interrupted) {
            cli_progress_end(cli);
            cli_say(cli, "redrive %llu goes on: evlog dlq tasks shows it, evlog dlq cancel %llu ends it",
                    (unsigned long long)id, (unsigned long long)id);
            return CLI_OK;
        }
        wait_ms(POLL_MS);
    }
}

/* --- redrive, drop ------------------------------------------------------------------------------------------------ */

struct begin {
    struct evlog_redrive_options options;
    struct selection selection;
    bool detach;
    char group[300];
};

/* Connect, find the group, begin. */
static int begin(struct cli *cli, struct begin *b, const char *topic, uint64_t *id)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = take_selection(cli, &b->selection, &b->options);
    rc = rc == CLI_OK ? cli_connect(cli) : rc;
    if (rc == CLI_OK && b->selection.group == NULL) {
        rc = find_group(cli, topic, b->group, sizeof b->group);
        b->selection.group = b->group;
    }
    if (rc != CLI_OK) {
        return rc;
    }
    b->options.group = b->selection.group;
    b->options.topic = topic;
    return evlog_redrive_start(cli->client, &b->options, id, &failure) == 0 ? CLI_OK : cli_failure(cli, &failure);
}

static int run(struct cli *cli, struct begin *b, const char *topic)
{
    uint64_t id = 0;
    bool done = false;
    int rc = begin(cli, b, topic, &id);
    if (rc == CLI_OK && b->detach) {
        cli_say(cli, "redrive %llu has begun: evlog dlq tasks shows it, evlog dlq cancel %llu ends it",
                (unsigned long long)id, (unsigned long long)id);
        return CLI_OK;
    }
    return rc == CLI_OK ? watch(cli, id, &done) : rc;
}

#define SELECTION_OPTIONS(b)                                                                                           \
    {"group", 'g', CLI_TEXT, &(b).selection.group, "GROUP", "that gave the events up, where the topic does not say"},  \
        {"offsets", 0, CLI_LIST, &(b).selection.offsets, "P:FROM-TO", "only these letters; may be given again"},       \
        {"key", 'k', CLI_TEXT, &(b).selection.key, "KEY", "only events of this key"},                                  \
        {"reason", 0, CLI_TEXT, &(b).selection.reason, "REASON", "only those given up for this reason"},               \
        {"filter", 0, CLI_TEXT, &(b).selection.pattern, "PATTERN", "only letters that this event pattern matches"},    \
        {"since", 0, CLI_TIME, &(b).selection.since_ns, "TIME", "only letters from then on"},                          \
    {                                                                                                                  \
        "until", 0, CLI_TIME, &(b).selection.until_ns, "TIME", "only letters from before then"                         \
    }

int cmd_dlq_redrive(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct begin b = {.options = EVLOG_REDRIVE_OPTIONS_INIT, .selection = {.since_ns = -1, .until_ns = -1}};
    int64_t rate = 0;
    const struct cli_option options[] = {
        SELECTION_OPTIONS(b),
        {"to", 0, CLI_TEXT, &b.options.to, "TOPIC", "append the events to this topic instead"},
        {"rate", 0, CLI_INT, &rate, "N", "events a second (as fast as workers take them)"},
        {"dry-run", 0, CLI_FLAG, &b.options.dry_run, NULL, "count, and change nothing"},
        {"detach", 'd', CLI_FLAG, &b.detach, NULL, "do not wait for its end"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED && (rate < 0 || rate > INT32_MAX)) {
        rc = cli_error(cli, CLI_ERR_VALUE, "--rate takes events a second");
    }
    b.options.rate = (int32_t)rate;
    rc = rc == CLI_PARSED ? run(cli, &b, words.items[0]) : rc;
    cli_list_free(&b.selection.offsets);
    return rc;
}

int cmd_dlq_drop(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct begin b = {.options = EVLOG_REDRIVE_OPTIONS_INIT, .selection = {.since_ns = -1, .until_ns = -1}};
    const char *confirm = NULL;
    const struct cli_option options[] = {
        SELECTION_OPTIONS(b),
        {"dry-run", 0, CLI_FLAG, &b.options.dry_run, NULL, "count, and change nothing"},
        {"confirm", 0, CLI_TEXT, &confirm, "TOPIC", "the name of the topic, so that nothing is asked"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED && !b.options.dry_run) {
        rc = cli_confirm(cli, "letters of topic", words.items[0], confirm);
        rc = rc == CLI_OK ? CLI_PARSED : rc;
    }
    b.options.drop = true;
    rc = rc == CLI_PARSED ? run(cli, &b, words.items[0]) : rc;
    cli_list_free(&b.selection.offsets);
    return rc;
}

/* --- tasks, cancel ------------------------------------------------------------------------------------------------ */

static int show_tasks(struct cli *cli, const struct evlog_redrive_list *list)
{
    static const struct table_column columns[] = {
        {"ID", true},      {"TOPIC", false},  {"GROUP", false}, {"ACTION", false}, {"STATE", false},
        {"MATCHED", true}, {"SETTLED", true}, {"GONE", true},   {"SEEN", true},    {"WHY", false},
    };
    struct table table;
    int rc = CLI_OK;
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; rc == CLI_OK && i < list->redrive_count; i++) {
        const struct evlog_redrive *r = &list->redrives[i];
        if (cli->json) {
            rc = put_json(cli, r);
            continue;
        }
        uint64_t percent = r->total == 0 ? 100 : EL_MIN(r->seen * 100 / r->total, (uint64_t)100);
        table_cell(&table, "%llu", (unsigned long long)r->id);
        table_cell(&table, "%s", r->topic);
        table_cell(&table, "%s", r->group);
        table_cell(&table, "%s%s", action_word(r), r->dry_run ? " (dry run)" : "");
        table_cell(&table, "%s", r->state);
        table_number(&table, (int64_t)r->matched);
        table_number(&table, (int64_t)(r->redriven + r->dropped));
        table_number(&table, (int64_t)r->gone);
        table_cell(&table, "%llu%%", (unsigned long long)percent);
        table_cell(&table, "%s", r->why[0] == '\0' ? "-" : r->why);
    }
    int its = table_end(cli, &table);
    return rc != CLI_OK ? rc : its;
}

int cmd_dlq_tasks(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_redrive_list *list;
    struct cli_grammar grammar = {NULL, 0, 0, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_redrive_list(cli->client, words.count > 0 ? words.items[0] : NULL, &list, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    rc = show_tasks(cli, list);
    if (list->redrive_count == 0) {
        cli_say(cli, "there are no redrives");
    }
    evlog_redrive_list_free(list);
    return rc;
}

int cmd_dlq_cancel(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct cli_grammar grammar = {NULL, 0, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    char *end;
    errno = 0;
    unsigned long long id = strtoull(words.items[0], &end, 10);
    if (end == words.items[0] || *end != '\0' || errno != 0 || words.items[0][0] == '-') {
        return cli_error(cli, CLI_ERR_VALUE, "ID is a number as evlog dlq tasks shows it, not %s", words.items[0]);
    }
    rc = cli_connect(cli);
    if (rc == CLI_OK && evlog_redrive_cancel(cli->client, id, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    }
    return rc;
}

/* --- release ------------------------------------------------------------------------------------------------------ */

/* Letters of the key first, so that they come before what the release lets through. */
static int redrive_key(struct cli *cli, const char *letters, const char *group, const char *key)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_redrive_options options = EVLOG_REDRIVE_OPTIONS_INIT;
    uint64_t id = 0;
    bool done = false;
    options.group = group;
    options.topic = letters;
    options.key = (struct evlog_bytes){key, strlen(key)};
    if (evlog_redrive_start(cli->client, &options, &id, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    int rc = watch(cli, id, &done);
    return rc == CLI_OK && !done ? CLI_FAILED : rc;
}

/* Redrive its letters and release it, in each partition; again while more of its events have followed it meanwhile. */
static int release_key(struct cli *cli, const char *letters, const char *group, const char *topic, const char *key)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_bytes bytes = {key, strlen(key)};
    bool released = false;
    for (int round = 0; round < RELEASE_ROUNDS_MAX; round++) {
        struct evlog_parked parked;
        int code = evlog_key_parked(cli->client, group, topic, bytes, &parked, &failure);
        if (code != 0) {
            return code == EVLOG_ERR_NOT_FOUND && released ? CLI_OK : cli_failure(cli, &failure);
        }
        int rc = redrive_key(cli, letters, group, key);
        if (rc != CLI_OK || cli_interrupted) {
            return rc;
        }
        code = evlog_key_release_after(cli->client, group, topic, bytes, &parked, &failure);
        if (code != 0 && code != EVLOG_ERR_AGAIN && code != EVLOG_ERR_NOT_FOUND) {
            return cli_failure(cli, &failure);
        }
        released = released || code == 0;
        wait_ms(code == EVLOG_ERR_AGAIN ? POLL_MS : 0);
    }
    return cli_error(cli, CLI_ERR_VALUE,
                     "events of this key fail as fast as they are redriven: mend that, then release it");
}

int cmd_dlq_release(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const char *group = NULL, *letters = NULL;
    bool no_redrive = false;
    char name[600];
    const struct cli_option options[] = {
        {"group", 'g', CLI_TEXT, &group, "GROUP", "in which the key is parked"},
        {"letters", 0, CLI_TEXT, &letters, "TOPIC", "of its letters (TOPIC.GROUP.dlq)"},
        {"no-redrive", 0, CLI_FLAG, &no_redrive, NULL, "leave its letters where they are"},
    };
    struct cli_grammar grammar = {options, 3, 2, 2};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (group == NULL) {
        return cli_error(cli, CLI_ERR_VALUE, "in which group? Say -g GROUP");
    }
    const char *topic = words.items[0], *key = words.items[1];
    (void)snprintf(name, sizeof name, "%.250s.%.250s" DEAD_LETTER_SUFFIX, topic, group);
    rc = cli_connect(cli);
    struct evlog_bytes bytes = {key, strlen(key)};
    if (rc == CLI_OK && !no_redrive) {
        return release_key(cli, letters == NULL ? name : letters, group, topic, key);
    }
    if (rc == CLI_OK && evlog_key_release(cli->client, group, topic, bytes, &failure) != 0) {
        rc = cli_failure(cli, &failure);
    }
    return rc;
}
