/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog top: topics and groups with their rates, again and again; --once for scripts.
 *
 * 1. A look gathers the end of every partition and the offsets of every group.
 * 2. Two looks, --interval apart, give rates; the later one is the earlier one of the next picture.
 * 3. On a terminal each picture replaces the one before; elsewhere they follow each other.
 *
 * A topic or group that goes away between the looks is left out of that picture.
 */
#include "cli.h"
#include "table.h"

#include <core/alloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 2000
#define INTERVAL_MS_MIN 100
#define INTERVAL_MS_MAX 3600000
#define STEP_MS 100 /* between looks at whether to stop */
#define TOPIC_MAX 1000
#define GROUP_MAX 1000
#define NS_PER_MS 1000000

struct topic_look {
    char name[256];
    int32_t partition_count;
    int64_t event_count; /* that are there */
    int64_t end_sum;     /* of the ends of all partitions */
};

struct group_look {
    char name[256];
    char state[32];
    size_t partition_count;
    int64_t committed_sum;
    int64_t lag_count;
    size_t hidden_count; /* partitions that members read, and this client may not describe */
};

struct look {
    int64_t at_ms; /* monotonic */
    struct topic_look *topics;
    size_t topic_count;
    struct group_look *groups;
    size_t group_count;
};

static int64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

static void look_free(struct look *look)
{
    el_free(look->topics);
    el_free(look->groups);
    memset(look, 0, sizeof *look);
}

/* --- looking ----------------------------------------------------------------------------------------------------- */

static int look_at_topic(struct cli *cli, const struct evlog_topic_name *topic, struct topic_look *out,
                         struct evlog_failure *failure)
{
    int32_t count = topic->partition_count;
    int64_t *starts = count <= 0 ? NULL : el_calloc(2 * (size_t)count, sizeof *starts);
    if (starts == NULL) {
        return EVLOG_ERR_UNKNOWN_TOPIC;
    }
    int rc = evlog_offsets_at(cli->client, topic->name, EVLOG_OFFSET_EARLIEST, starts, count, failure);
    if (rc == 0) {
        rc = evlog_offsets_at(cli->client, topic->name, EVLOG_OFFSET_LATEST, starts + count, count, failure);
    }
    (void)snprintf(out->name, sizeof out->name, "%s", topic->name);
    out->partition_count = count;
    for (int32_t i = 0; rc == 0 && i < count; i++) {
        out->end_sum += starts[count + i];
        out->event_count += starts[count + i] - starts[i];
    }
    el_free(starts);
    return rc;
}

static int look_at_topics(struct cli *cli, struct look *look, struct evlog_failure *failure)
{
    struct evlog_topic_list *list;
    int rc = evlog_topic_list(cli->client, &list, failure);
    if (rc != 0) {
        return rc;
    }
    look->topics = el_calloc(EL_MIN(list->topic_count, (size_t)TOPIC_MAX) + 1, sizeof *look->topics);
    rc = look->topics == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    for (size_t i = 0; rc == 0 && i < list->topic_count && look->topic_count < TOPIC_MAX && !cli_interrupted; i++) {
        struct topic_look *next = &look->topics[look->topic_count];
        memset(next, 0, sizeof *next);
        if (list->topics[i].internal) {
            continue;
        }
        rc = look_at_topic(cli, &list->topics[i], next, failure);
        look->topic_count += rc == 0;
        rc = rc == EVLOG_ERR_UNKNOWN_TOPIC || rc == EVLOG_ERR_ARGUMENT ? 0 : rc; /* gone or grown meanwhile */
    }
    evlog_topic_list_free(list);
    return rc;
}

static int look_at_group(struct cli *cli, const struct evlog_group_name *group, struct group_look *out,
                         struct evlog_failure *failure)
{
    struct evlog_group_lag *lag;
    int rc = evlog_group_lag(cli->client, group->name, false, &lag, failure);
    if (rc != 0) {
        return rc;
    }
    (void)snprintf(out->name, sizeof out->name, "%s", group->name);
    (void)snprintf(out->state, sizeof out->state, "%s", group->state);
    out->lag_count = lag->total_count;
    out->partition_count = lag->partition_count;
    out->hidden_count = lag->hidden_count;
    for (size_t i = 0; i < lag->partition_count; i++) {
        out->committed_sum += EL_MAX(lag->partitions[i].committed_offset, 0);
    }
    evlog_group_lag_free(lag);
    return 0;
}

static int look_at_groups(struct cli *cli, struct look *look, struct evlog_failure *failure)
{
    struct evlog_group_list *list;
    int rc = evlog_group_list(cli->client, &list, failure);
    if (rc == EVLOG_ERR_UNSUPPORTED) {
        return 0; /* a broker without groups */
    }
    if (rc != 0) {
        return rc;
    }
    look->groups = el_calloc(EL_MIN(list->group_count, (size_t)GROUP_MAX) + 1, sizeof *look->groups);
    rc = look->groups == NULL ? EVLOG_ERR_NO_MEMORY : 0;
    for (size_t i = 0; rc == 0 && i < list->group_count && look->group_count < GROUP_MAX && !cli_interrupted; i++) {
        struct group_look *next = &look->groups[look->group_count];
        memset(next, 0, sizeof *next);
        rc = look_at_group(cli, &list->groups[i], next, failure);
        look->group_count += rc == 0;
        rc = rc == EVLOG_ERR_GROUP_NOT_FOUND ? 0 : rc;
    }
    evlog_group_list_free(list);
    return rc;
}

static int take_look(struct cli *cli, struct look *look)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    memset(look, 0, sizeof *look);
    look->at_ms = monotonic_ms();
    int rc = look_at_topics(cli, look, &failure);
    if (rc == 0) {
        rc = look_at_groups(cli, look, &failure);
    }
    return rc == 0             ? CLI_OK
           : failure.code != 0 ? cli_failure(cli, &failure)
                               : cli_error(cli, CLI_ERR_VALUE, "no memory");
}

/* --- showing ----------------------------------------------------------------------------------------------------- */

/* Change of a number since the look before, per second; -1 when it was not there then. */
static double rate(const struct look *before, const struct look *now, int64_t then, int64_t since)
{
    double seconds = (double)EL_MAX(now->at_ms - before->at_ms, 1) / 1000;
    return then < 0 ? -1 : (double)(since - then) / seconds;
}

static int64_t topic_before(const struct look *before, const char *name)
{
    for (size_t i = 0; i < before->topic_count; i++) {
        if (strcmp(before->topics[i].name, name) == 0) {
            return before->topics[i].end_sum;
        }
    }
    return -1;
}

static const struct group_look *group_before(const struct look *before, const char *name)
{
    for (size_t i = 0; i < before->group_count; i++) {
        if (strcmp(before->groups[i].name, name) == 0) {
            return &before->groups[i];
        }
    }
    return NULL;
}

static void put_rate(struct table *table, double value)
{
    if (value < 0) {
        table_cell(table, "-");
    } else {
        table_cell(table, "%.0f", value);
    }
}

static void show_topics(const struct cli *cli, const struct look *before, const struct look *now, struct el_buffer *out)
{
    static const struct table_column columns[] = {
        {"TOPIC", false},
        {"PARTITIONS", true},
        {"EVENTS", true},
        {"EVENTS/S", true},
    };
    struct table table;
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < now->topic_count; i++) {
        const struct topic_look *topic = &now->topics[i];
        table_cell(&table, "%s", topic->name);
        table_cell(&table, "%d", topic->partition_count);
        table_number(&table, topic->event_count);
        put_rate(&table, rate(before, now, topic_before(before, topic->name), topic->end_sum));
    }
    table_write(cli, &table, out);
    el_buffer_free(&table.cells);
}

static void show_groups(const struct cli *cli, const struct look *before, const struct look *now, struct el_buffer *out)
{
    static const struct table_column columns[] = {
        {"GROUP", false}, {"STATE", false},      {"PARTITIONS", true},
        {"LAG", true},    {"COMMITTED/S", true}, {"TREND", false},
    };
    struct table table;
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < now->group_count; i++) {
        const struct group_look *group = &now->groups[i], *then = group_before(before, group->name);
        int64_t change = then == NULL ? 0 : group->lag_count - then->lag_count;
        table_cell(&table, "%s", group->name);
        table_cell(&table, "%s", group->state[0] == '\0' ? "-" : group->state);
        table_cell(&table, "%zu", group->partition_count);
        if (group->hidden_count > 0) {
            table_cell(&table, "%lld+", (long long)group->lag_count);
        } else {
            table_number(&table, group->lag_count);
        }
        put_rate(&table, then == NULL ? -1 : rate(before, now, then->committed_sum, group->committed_sum));
        table_cell(&table, "%s", then == NULL ? "-" : change > 0 ? "growing" : change < 0 ? "falling" : "steady");
    }
    table_write(cli, &table, out);
    el_buffer_free(&table.cells);
}

static int show_json(const struct cli *cli, const struct look *before, const struct look *now)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < now->topic_count; i++) {
        const struct topic_look *topic = &now->topics[i];
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "topic", topic->name);
        el_json_add_int(&w, "partitions", topic->partition_count);
        el_json_add_int(&w, "events", topic->event_count);
        el_json_key(&w, "events_per_second");
        el_json_put_real(&w, EL_MAX(rate(before, now, topic_before(before, topic->name), topic->end_sum), 0));
        rc = cli_json_end(cli, &w, &line);
    }
    for (size_t i = 0; rc == CLI_OK && i < now->group_count; i++) {
        const struct group_look *group = &now->groups[i], *then = group_before(before, group->name);
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "group", group->name);
        el_json_add_str(&w, "state", group->state);
        el_json_add_uint(&w, "partitions", group->partition_count);
        el_json_add_int(&w, "lag", group->lag_count);
        if (group->hidden_count > 0) {
            el_json_add_uint(&w, "hidden_partitions", group->hidden_count);
        }
        el_json_key(&w, "committed_per_second");
        el_json_put_real(&w, then == NULL ? 0 : rate(before, now, then->committed_sum, group->committed_sum));
        rc = cli_json_end(cli, &w, &line);
    }
    el_buffer_free(&line);
    return rc;
}

static int show(const struct cli *cli, const struct look *before, const struct look *now, bool replace)
{
    if (cli->json) {
        int rc = show_json(cli, before, now);
        return rc == CLI_OK && fflush(stdout) != 0 ? cli_error(cli, CLI_ERR_OUTPUT, "the output cannot be written")
                                                   : rc;
    }
    struct el_buffer out = {0};
    el_buffer_append_str(&out, replace ? "\033[H\033[J" : "");
    show_topics(cli, before, now, &out);
    if (now->group_count > 0 && now->topic_count > 0 && !cli->plain) {
        el_buffer_append_char(&out, '\n');
    }
    show_groups(cli, before, now, &out);
    int rc = cli_put(cli, &out);
    el_buffer_free(&out);
    return rc == CLI_OK && fflush(stdout) != 0 ? cli_error(cli, CLI_ERR_OUTPUT, "the output cannot be written") : rc;
}

static void say_hidden(const struct cli *cli, const struct look *look)
{
    size_t count = 0;
    for (size_t i = 0; i < look->group_count; i++) {
        count += look->groups[i].hidden_count > 0;
    }
    if (count > 0) {
        cli_say(cli, "the lag of %zu groups is not whole: their members read topics that you may not describe", count);
    }
}

static void wait_ms(int64_t ms)
{
    for (int64_t left = ms; left > 0 && !cli_interrupted; left -= STEP_MS) {
        int64_t step = EL_MIN(left, STEP_MS);
        struct timespec pause = {step / 1000, step % 1000 * NS_PER_MS};
        (void)nanosleep(&pause, NULL);
    }
}

int cmd_top(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    int64_t interval_ms = INTERVAL_MS;
    bool once = false;
    const struct cli_option options[] = {
        {"interval", 'i', CLI_DURATION, &interval_ms, "TIME", "between two pictures (2s)"},
        {"once", 0, CLI_FLAG, &once, NULL, "one picture, for scripts"},
    };
    struct cli_grammar grammar = {options, 2, 0, 0};
    struct cli_words words;
    struct look before, now;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (interval_ms < INTERVAL_MS_MIN || interval_ms > INTERVAL_MS_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "--interval takes 100ms to 1h");
    }
    bool replace = !once && !cli->json && !cli->plain && isatty(STDOUT_FILENO) != 0;
    rc = cli_connect(cli);
    if (rc == CLI_OK) {
        rc = take_look(cli, &before);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    do {
        wait_ms(interval_ms);
        if (cli_interrupted) {
            break;
        }
        rc = take_look(cli, &now);
        if (rc == CLI_OK) {
            rc = show(cli, &before, &now, replace);
        }
        look_free(&before);
        before = now;
    } while (rc == CLI_OK && !once && !cli_interrupted);
    say_hidden(cli, &before);
    look_free(&before);
    return rc;
}
