/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog groups ls | describe | lag | rm. Moving offsets is in cmd_groups_seek.c.
 *
 * lag looks twice, --trend apart: what was committed and what was appended between the two looks says whether the group
 * catches up, and when.
 */
#include "cli.h"
#include "group_halts.h"
#include "table.h"

#include <core/alloc.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000
#define TREND_MS 1000
#define TREND_MS_MAX 3600000
#define TREND_STEP_MS 100 /* between looks at whether to stop */

/* --- ls ---------------------------------------------------------------------------------------------------------- */

static int list_json(const struct cli *cli, const void *list, size_t index, struct el_buffer *line)
{
    const struct evlog_group_name *group = &((const struct evlog_group_list *)list)->groups[index];
    struct el_json_writer w;
    cli_json_begin(&w, line);
    el_json_add_str(&w, "group", group->name);
    el_json_add_str(&w, "state", group->state);
    el_json_add_str(&w, "protocol_type", group->protocol_type);
    el_json_add_str(&w, "type", group->type);
    return cli_json_end(cli, &w, line);
}

static void list_cells(struct table *table, const void *list, size_t index)
{
    const struct evlog_group_name *group = &((const struct evlog_group_list *)list)->groups[index];
    table_cell(table, "%s", group->name);
    table_cell(table, "%s", group->state[0] == '\0' ? "-" : group->state);
    table_cell(table, "%s", group->type[0] == '\0' ? "-" : group->type);
}

int cmd_groups_ls(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    static const struct table_column columns[] = {{"GROUP", false}, {"STATE", false}, {"TYPE", false}};
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_list *list;
    int rc = cli_connect_bare(cli, command, argc, argv);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (evlog_group_list(cli->client, &list, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    rc = table_show(cli,
                    &(struct table_list){columns, sizeof columns / sizeof columns[0], list, list->group_count,
                                         list_json, list_cells, "no groups; 'evlog consume TOPIC -g GROUP' makes one"});
    evlog_group_list_free(list);
    return rc;
}

/* --- describe ---------------------------------------------------------------------------------------------------- */

/* "orders:0-3,7 refunds:1" */
static void put_partitions(const struct evlog_group_member *member, struct el_buffer *out)
{
    size_t i = 0;
    while (i < member->partition_count) {
        const struct evlog_partition_offset *p = &member->partitions[i];
        bool same = i > 0 && strcmp(p[-1].topic, p->topic) == 0;
        size_t run = 1;
        while (i + run < member->partition_count && strcmp(p[run].topic, p->topic) == 0 &&
               p[run].partition == p->partition + (int32_t)run) {
            run++;
        }
        if (same) {
            el_buffer_printf(out, ",%d", p->partition);
        } else {
            el_buffer_printf(out, "%s%s:%d", i > 0 ? " " : "", p->topic, p->partition);
        }
        if (run > 1) {
            el_buffer_printf(out, "-%d", p->partition + (int32_t)run - 1);
        }
        i += run;
    }
    el_buffer_append_char(out, '\0');
}

static int describe_json(const struct cli *cli, const struct evlog_group_info *info)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_str(&w, "group", info->name);
    el_json_add_str(&w, "state", info->state);
    el_json_add_str(&w, "protocol_type", info->protocol_type);
    el_json_add_str(&w, "strategy", info->strategy);
    el_json_add_int(&w, "coordinator", info->coordinator);
    el_json_key(&w, "members");
    el_json_begin_array(&w);
    for (size_t i = 0; i < info->member_count; i++) {
        const struct evlog_group_member *member = &info->members[i];
        el_json_begin_object(&w);
        el_json_add_str(&w, "member", member->id);
        el_json_add_str(&w, "instance", member->instance_id);
        el_json_add_str(&w, "client", member->client_id);
        el_json_add_str(&w, "host", member->host);
        el_json_key(&w, "partitions");
        el_json_begin_array(&w);
        for (size_t j = 0; j < member->partition_count; j++) {
            el_json_begin_object(&w);
            el_json_add_str(&w, "topic", member->partitions[j].topic);
            el_json_add_int(&w, "partition", member->partitions[j].partition);
            el_json_end_object(&w);
        }
        el_json_end_array(&w);
        el_json_end_object(&w);
    }
    el_json_end_array(&w);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int describe_text(const struct cli *cli, const struct evlog_group_info *info)
{
    static const struct table_column columns[] = {
        {"MEMBER", false}, {"INSTANCE", false}, {"CLIENT", false}, {"HOST", false}, {"READS", false},
    };
    struct table table;
    if (!cli->plain) {
        (void)printf("group %s, state %s, strategy %s, coordinator node %d, %zu members\n", info->name, info->state,
                     info->strategy[0] == '\0' ? "-" : info->strategy, info->coordinator, info->member_count);
    }
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < info->member_count; i++) {
        const struct evlog_group_member *member = &info->members[i];
        struct el_buffer partitions = {0};
        put_partitions(member, &partitions);
        table_cell(&table, "%s", member->id);
        table_cell(&table, "%s", member->instance_id == NULL ? "-" : member->instance_id);
        table_cell(&table, "%s", member->client_id);
        table_cell(&table, "%s", member->host);
        table_cell(&table, "%s",
                   member->partition_count == 0 || partitions.err != 0 ? "-" : (const char *)partitions.data);
        el_buffer_free(&partitions);
    }
    return table_end(cli, &table);
}

int cmd_groups_describe(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_grammar grammar = {NULL, 0, 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    rc = cli_connect(cli);
    for (int i = 0; rc == CLI_OK && i < words.count; i++) {
        struct evlog_failure failure = EVLOG_FAILURE_INIT;
        struct evlog_group_info *info;
        if (evlog_group_describe(cli->client, words.items[i], &info, &failure) != 0) {
            return cli_failure(cli, &failure);
        }
        rc = cli->json ? describe_json(cli, info) : describe_text(cli, info);
        if (strcmp(info->protocol_type, "share") == 0) {
            group_halts_say(cli, words.items[i]);
        }
        evlog_group_info_free(info);
    }
    return rc;
}

/* --- lag --------------------------------------------------------------------------------------------------------- */

/* Two looks at a group. */
struct looks {
    struct evlog_group_lag *first; /* NULL: only one look */
    struct evlog_group_lag *last;
    double seconds; /* between them */
};

static const struct evlog_group_lag_partition *before(const struct looks *looks,
                                                      const struct evlog_group_lag_partition *p)
{
    for (size_t i = 0; looks->first != NULL && i < looks->first->partition_count; i++) {
        const struct evlog_group_lag_partition *q = &looks->first->partitions[i];
        if (q->partition == p->partition && strcmp(q->topic, p->topic) == 0) {
            return q->lag_count >= 0 && p->lag_count >= 0 ? q : NULL;
        }
    }
    return NULL;
}

/* What changed between the looks, in words. */
static const char *trend_of(int64_t change)
{
    return change > 0 ? "growing" : change < 0 ? "falling" : "steady";
}

static int lag_json(const struct cli *cli, const char *group, const struct looks *looks)
{
    struct el_buffer line = {0};
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < looks->last->partition_count; i++) {
        const struct evlog_group_lag_partition *p = &looks->last->partitions[i], *q = before(looks, p);
        struct el_json_writer w;
        cli_json_begin(&w, &line);
        el_json_add_str(&w, "group", group);
        el_json_add_str(&w, "topic", p->topic);
        el_json_add_int(&w, "partition", p->partition);
        el_json_add_int(&w, "start", p->start_offset);
        el_json_add_int(&w, "committed", p->committed_offset);
        el_json_add_int(&w, "end", p->end_offset);
        el_json_add_int(&w, "lag", p->lag_count);
        el_json_key(&w, "lag_seconds");
        if (p->lag_ms < 0) {
            el_json_put_null(&w);
        } else {
            el_json_put_real(&w, (double)p->lag_ms / 1000);
        }
        if (q != NULL) {
            el_json_add_int(&w, "lag_change", p->lag_count - q->lag_count);
            el_json_add_str(&w, "trend", trend_of(p->lag_count - q->lag_count));
        }
        el_json_add_str(&w, "member", p->member_id);
        el_json_add_str(&w, "client", p->client_id);
        rc = cli_json_end(cli, &w, &line);
    }
    el_buffer_free(&line);
    return rc;
}

static int lag_table(const struct cli *cli, const struct looks *looks)
{
    static const struct table_column columns[] = {
        {"TOPIC", false}, {"PARTITION", true}, {"COMMITTED", true}, {"END", true},
        {"LAG", true},    {"AGE", true},       {"TREND", false},    {"MEMBER", false},
    };
    struct table table;
    char age[32];
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < looks->last->partition_count; i++) {
        const struct evlog_group_lag_partition *p = &looks->last->partitions[i], *q = before(looks, p);
        table_cell(&table, "%s", p->topic);
        table_cell(&table, "%d", p->partition);
        table_number(&table, p->committed_offset);
        table_number(&table, p->end_offset);
        table_number(&table, p->lag_count);
        table_cell(&table, "%s", cli_age(p->lag_ms, age, sizeof age));
        table_cell(&table, "%s", q == NULL ? "-" : trend_of(p->lag_count - q->lag_count));
        table_cell(&table, "%s", p->member_id == NULL ? "-" : p->member_id);
    }
    return table_end(cli, &table);
}

/* One sentence about the whole group. */
static void sum_up(const struct cli *cli, const char *group, const struct looks *looks)
{
    char age[32], rest[160] = "";
    int64_t committed = 0, appended = 0;
    for (size_t i = 0; i < looks->last->partition_count; i++) {
        const struct evlog_group_lag_partition *p = &looks->last->partitions[i], *q = before(looks, p);
        committed += q == NULL ? 0 : p->committed_offset - q->committed_offset;
        appended += q == NULL ? 0 : p->end_offset - q->end_offset;
    }
    if (looks->first != NULL) {
        double in = (double)appended / looks->seconds, out = (double)committed / looks->seconds;
        int len = snprintf(rest, sizeof rest, ", %s: %.0f events/s come, %.0f are committed",
                           trend_of(appended - committed), in, out);
        if (out > in && looks->last->total_count > 0 && len > 0) {
            char eta[32];
            int64_t ms = (int64_t)((double)looks->last->total_count / (out - in) * 1000);
            (void)snprintf(rest + len, sizeof rest - (size_t)len, ", caught up in %s", cli_age(ms, eta, sizeof eta));
        }
    }
    if (looks->last->partition_count == 0) {
        cli_say(cli, "group %s has no offsets and no readers in topics that you may describe", group);
        return;
    }
    cli_say(cli, "group %s is %lld events behind (%s)%s", group, (long long)looks->last->total_count,
            cli_age(looks->last->lag_ms_max, age, sizeof age), rest);
}

/* What members read, and this client may not describe, topic by topic. returns an exit code: CLI_PARTIAL, or CLI_DENIED
 * when nothing is left */
static int tell_hidden(const struct cli *cli, const char *group, const struct evlog_group_lag *lag)
{
    char hint[400], text[CLI_REMEDY_MAX];
    int rc = CLI_OK;
    for (size_t i = 0, end; i < lag->hidden_count; i = end) {
        const char *topic = lag->hidden[i].topic;
        for (end = i + 1; end < lag->hidden_count && strcmp(lag->hidden[end].topic, topic) == 0; end++) {
        }
        (void)snprintf(hint, sizeof hint, "'evlog acl allow PRINCIPAL describe topic %s' gives the right", topic);
        rc = cli_error_remedy(cli, (struct cli_remedy){CLI_ERR_NOT_SHOWN, cli_remedy_for(cli, hint, text)},
                              "%zu partitions of topic %s that group %s reads are not shown, for want of the right to "
                              "describe it",
                              end - i, topic, group);
    }
    if (lag->unread_count > 0) {
        (void)snprintf(hint, sizeof hint, "'evlog acl allow PRINCIPAL read topic %s' gives the right",
                       lag->unread_topic);
        cli_say(cli, "the age of %zu partitions is not known: %s", lag->unread_count, cli_remedy_for(cli, hint, text));
    }
    return rc != CLI_OK && lag->partition_count == 0 ? CLI_DENIED : rc;
}

static void sleep_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * NS_PER_MS};
    (void)nanosleep(&left, NULL);
}

static int64_t monotonic_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

static int lag_of(struct cli *cli, const char *group, int64_t trend_ms)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct looks looks = {0};
    int64_t began_ms = monotonic_ms();
    int rc = trend_ms == 0 ? 0 : evlog_group_lag(cli->client, group, false, &looks.first, &failure);
    for (int64_t left_ms = trend_ms; rc == 0 && left_ms > 0 && !cli_interrupted; left_ms -= TREND_STEP_MS) {
        sleep_ms(EL_MIN(left_ms, TREND_STEP_MS));
    }
    looks.seconds = (double)EL_MAX(monotonic_ms() - began_ms, 1) / 1000;
    if (rc == 0) {
        rc = evlog_group_lag(cli->client, group, true, &looks.last, &failure);
    }
    if (rc != 0) {
        evlog_group_lag_free(looks.first);
        return cli_failure(cli, &failure);
    }
    rc = cli->json ? lag_json(cli, group, &looks) : lag_table(cli, &looks);
    sum_up(cli, group, &looks);
    int hidden = tell_hidden(cli, group, looks.last);
    rc = rc == CLI_OK ? hidden : rc;
    evlog_group_lag_free(looks.first);
    evlog_group_lag_free(looks.last);
    return rc;
}

int cmd_groups_lag(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    int64_t trend_ms = TREND_MS;
    const struct cli_option options[] = {
        {"trend", 0, CLI_DURATION, &trend_ms, "TIME", "look twice, so far apart (1s); 0: once"},
    };
    struct cli_grammar grammar = {options, 1, 1, -1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc != CLI_PARSED) {
        return rc;
    }
    if (trend_ms < 0 || trend_ms > TREND_MS_MAX) {
        return cli_error(cli, CLI_ERR_VALUE, "--trend takes a time up to 1h");
    }
    rc = cli_connect(cli);
    bool whole = true;
    for (int i = 0; rc == CLI_OK && i < words.count && !cli_interrupted; i++) {
        rc = lag_of(cli, words.items[i], trend_ms);
        whole = whole && rc != CLI_PARTIAL;
        rc = rc == CLI_PARTIAL ? CLI_OK : rc;
    }
    return rc == CLI_OK && !whole ? CLI_PARTIAL : rc;
}

/* --- rm ---------------------------------------------------------------------------------------------------------- */

static int remove_group(struct cli *cli, const char *name, const char *confirm)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_info *info;
    struct evlog_group_offsets *offsets;
    int rc = cli_connect(cli);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_group_describe(cli->client, name, &info, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    size_t member_count = info->member_count;
    bool is_work = strcmp(info->protocol_type, "share") == 0;
    evlog_group_info_free(info);
    if (member_count > 0) {
        return cli_error(cli, CLI_ERR_MEMBERS, "group %s has %zu members and was not removed", name, member_count);
    }
    if (is_work) {
        cli_say(cli, "work group %s will be removed, with its settings and with what is done", name);
    } else if (evlog_group_offsets(cli->client, name, &offsets, &failure) != 0) {
        return cli_failure(cli, &failure);
    } else {
        cli_say(cli, "group %s with offsets of %zu partitions will be removed", name, offsets->offset_count);
        evlog_group_offsets_free(offsets);
    }
    rc = cli_confirm(cli, "group", name, confirm);
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_group_delete(cli->client, name, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    cli_say(cli, "removed group %s", name);
    return CLI_OK;
}

int cmd_groups_rm(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    const char *confirm = NULL;
    const struct cli_option options[] = {
        {"confirm", 0, CLI_TEXT, &confirm, "NAME", "the group's name once more"},
    };
    struct cli_grammar grammar = {options, 1, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    return rc == CLI_PARSED ? remove_group(cli, words.items[0], confirm) : rc;
}
