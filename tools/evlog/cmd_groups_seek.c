/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog groups seek: set the committed offsets of a group without members.
 *
 * 1. The partitions: those the group has offsets for, or all of the topics given (--topic), or some of them (-p).
 * 2. Each gets its new offset from --to, or from --shift and its old one, within its log.
 * 3. The change is shown, partition by partition. With --dry-run that is all; else it is committed in one request.
 *
 * A group with members is refused before anything is asked: its members would commit over what is set here.
 */
#include "cli.h"
#include "table.h"
#include "where.h"

#include <core/alloc.h>
#include <stdlib.h>
#include <string.h>

#define PARTITION_MAX 100000

struct change {
    const char *topic;
    int32_t partition;
    int64_t from; /* -1: none */
    int64_t to;
};

struct seek {
    struct cli *cli;
    const char *group;
    const char *to_text;
    struct where to;
    int64_t shift;
    bool has_shift;
    bool dry_run;
    struct cli_list topics;
    struct cli_list partitions;
    struct change *changes; /* [change_count] */
    size_t change_count;
};

/* --- which partitions -------------------------------------------------------------------------------------------- */

static bool is_chosen(const struct seek *s, int32_t partition)
{
    for (size_t i = 0; i < s->partitions.count; i++) {
        if (strtol(s->partitions.items[i], NULL, 10) == partition) {
            return true;
        }
    }
    return s->partitions.count == 0;
}

static int add(struct seek *s, const char *topic, int32_t partition, int64_t from)
{
    struct change *grown = s->change_count >= PARTITION_MAX
                               ? NULL
                               : el_realloc(s->changes, (s->change_count + 1) * sizeof *grown);
    if (grown == NULL) {
        return cli_error(s->cli, CLI_ERR_VALUE, "no memory, or more than %d partitions", PARTITION_MAX);
    }
    grown[s->change_count++] = (struct change){topic, partition, from, -1};
    s->changes = grown;
    return CLI_OK;
}

static int64_t committed(const struct evlog_group_offsets *offsets, const char *topic, int32_t partition)
{
    for (size_t i = 0; i < offsets->offset_count; i++) {
        if (offsets->offsets[i].partition == partition && strcmp(offsets->offsets[i].topic, topic) == 0) {
            return offsets->offsets[i].offset;
        }
    }
    return -1;
}

static int collect(struct seek *s, const struct evlog_group_offsets *offsets)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    int rc = CLI_OK;
    for (size_t i = 0; s->topics.count == 0 && rc == CLI_OK && i < offsets->offset_count; i++) {
        const struct evlog_partition_offset *p = &offsets->offsets[i];
        rc = is_chosen(s, p->partition) ? add(s, p->topic, p->partition, p->offset) : CLI_OK;
    }
    for (size_t i = 0; rc == CLI_OK && i < s->topics.count; i++) {
        int32_t count = 0;
        if (evlog_topic_partition_count(s->cli->client, s->topics.items[i], &count, &failure) != 0) {
            return cli_failure(s->cli, &failure);
        }
        for (int32_t p = 0; rc == CLI_OK && p < count; p++) {
            const char *topic = s->topics.items[i];
            rc = is_chosen(s, p) ? add(s, topic, p, committed(offsets, topic, p)) : CLI_OK;
        }
    }
    if (rc == CLI_OK && s->change_count == 0) {
        return cli_error(s->cli, CLI_ERR_NO_OFFSETS, "group %s has no offsets of the partitions asked for", s->group);
    }
    return rc;
}

/* --- where to ---------------------------------------------------------------------------------------------------- */

static int place_topic(struct seek *s, struct change *changes, size_t count)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_client *client = s->cli->client;
    int32_t partition_count;
    int rc = evlog_topic_partition_count(client, changes[0].topic, &partition_count, &failure);
    int64_t *starts = rc == 0 ? el_calloc(3 * (size_t)partition_count, sizeof *starts) : NULL;
    if (rc == 0 && starts == NULL) {
        return cli_error(s->cli, CLI_ERR_VALUE, "no memory");
    }
    int64_t *ends = rc == 0 ? starts + partition_count : NULL, *at = rc == 0 ? ends + partition_count : NULL;
    if (rc == 0) {
        rc = evlog_offsets_at(client, changes[0].topic, EVLOG_OFFSET_EARLIEST, starts, partition_count, &failure);
    }
    if (rc == 0) {
        rc = evlog_offsets_at(client, changes[0].topic, EVLOG_OFFSET_LATEST, ends, partition_count, &failure);
    }
    if (rc == 0 && !s->has_shift && s->to.kind == WHERE_TIME) {
        rc = evlog_offsets_at(client, changes[0].topic, s->to.number, at, partition_count, &failure);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int32_t p = changes[i].partition;
        if (p >= partition_count) {
            continue; /* an offset of a partition that is no longer there stays as it is */
        }
        struct where shifted = {WHERE_OFFSET, EL_MAX(changes[i].from, 0) + s->shift};
        shifted.number = EL_MAX(shifted.number, 0);
        changes[i].to = where_offset(s->has_shift ? &shifted : &s->to, starts[p], ends[p], at[p]);
        changes[i].to = s->has_shift && changes[i].from < 0 ? -1 : changes[i].to;
    }
    el_free(starts);
    return rc == 0 ? CLI_OK : cli_failure(s->cli, &failure);
}

static int place(struct seek *s)
{
    int rc = CLI_OK;
    for (size_t i = 0, end; rc == CLI_OK && i < s->change_count; i = end) {
        for (end = i + 1; end < s->change_count && strcmp(s->changes[i].topic, s->changes[end].topic) == 0; end++) {
        }
        rc = place_topic(s, &s->changes[i], end - i);
    }
    return rc;
}

/* --- show and do ------------------------------------------------------------------------------------------------- */

static int show(const struct seek *s)
{
    static const struct table_column columns[] = {
        {"TOPIC", false}, {"PARTITION", true}, {"FROM", true}, {"TO", true}, {"CHANGE", true},
    };
    struct table table;
    struct el_buffer line = {0};
    int rc = CLI_OK;
    table_begin(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; rc == CLI_OK && i < s->change_count; i++) {
        const struct change *c = &s->changes[i];
        if (s->cli->json) {
            struct el_json_writer w;
            cli_json_begin(&w, &line);
            el_json_add_str(&w, "group", s->group);
            el_json_add_str(&w, "topic", c->topic);
            el_json_add_int(&w, "partition", c->partition);
            el_json_add_int(&w, "from", c->from);
            el_json_add_int(&w, "to", c->to);
            el_json_add_bool(&w, "done", !s->dry_run && c->to >= 0);
            rc = cli_json_end(s->cli, &w, &line);
            continue;
        }
        table_cell(&table, "%s", c->topic);
        table_cell(&table, "%d", c->partition);
        table_number(&table, c->from);
        table_number(&table, c->to);
        if (c->from < 0 || c->to < 0) {
            table_cell(&table, "%s", c->to < 0 ? "stays" : "new");
        } else {
            table_cell(&table, "%+lld", (long long)(c->to - c->from));
        }
    }
    el_buffer_free(&line);
    int its = table_end(s->cli, &table);
    return rc != CLI_OK ? rc : its;
}

static int commit(struct seek *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_partition_offset *offsets = el_calloc(s->change_count, sizeof *offsets);
    size_t count = 0;
    if (offsets == NULL) {
        return cli_error(s->cli, CLI_ERR_VALUE, "no memory");
    }
    for (size_t i = 0; i < s->change_count; i++) {
        if (s->changes[i].to >= 0) {
            offsets[count++] = (struct evlog_partition_offset){s->changes[i].topic, s->changes[i].partition, -1,
                                                               s->changes[i].to};
        }
    }
    int rc = evlog_group_offsets_set(s->cli->client, s->group, offsets, count, &failure);
    el_free(offsets);
    if (rc == EVLOG_ERR_GROUP_NOT_EMPTY) {
        return cli_error(s->cli, CLI_ERR_MEMBERS, "group %s has members; nothing was changed", s->group);
    }
    return rc == 0 ? CLI_OK : cli_failure(s->cli, &failure);
}

/* No members: else their next commit would undo this. */
static int check_empty(struct seek *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_info *info;
    int rc = evlog_group_describe(s->cli->client, s->group, &info, &failure);
    if (rc == EVLOG_ERR_GROUP_NOT_FOUND) {
        return s->topics.count > 0 ? CLI_OK : cli_failure(s->cli, &failure); /* it is made, for these topics */
    }
    if (rc != 0) {
        return cli_failure(s->cli, &failure);
    }
    size_t count = info->member_count;
    char member[300];
    (void)snprintf(member, sizeof member, "%s", count == 0 ? "" : info->members[0].id);
    evlog_group_info_free(info);
    return count == 0 ? CLI_OK
                      : cli_error(s->cli, CLI_ERR_MEMBERS, "group %s has %zu members (%s%s); nothing was changed",
                                  s->group, count, member, count > 1 ? ", ..." : "");
}

static int seek(struct seek *s)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_group_offsets *offsets;
    int rc = cli_connect(s->cli);
    if (rc == CLI_OK) {
        rc = check_empty(s);
    }
    if (rc != CLI_OK) {
        return rc;
    }
    if (evlog_group_offsets(s->cli->client, s->group, &offsets, &failure) != 0) {
        return cli_failure(s->cli, &failure);
    }
    rc = collect(s, offsets);
    if (rc == CLI_OK) {
        rc = place(s);
    }
    if (rc == CLI_OK && !s->dry_run) {
        rc = commit(s);
    }
    if (rc == CLI_OK) {
        rc = show(s);
        cli_say(s->cli,
                s->dry_run ? "nothing was changed; without --dry-run group %s would begin there"
                           : "group %s begins there",
                s->group);
    }
    evlog_group_offsets_free(offsets);
    return rc;
}

static int check(struct seek *s)
{
    int64_t number;
    if ((s->to_text != NULL) == s->has_shift) {
        return cli_error(s->cli, CLI_ERR_WORDS, "where to: --to WHERE or --shift N, one of the two");
    }
    for (size_t i = 0; i < s->partitions.count; i++) {
        if (!where_count(s->partitions.items[i], &number) || number > INT32_MAX) {
            return cli_error(s->cli, CLI_ERR_VALUE, "-p %s: a partition is a number", s->partitions.items[i]);
        }
    }
    return s->has_shift ? CLI_OK : where_parse(s->cli, "--to", s->to_text, &s->to);
}

int cmd_groups_seek(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct seek s = {.cli = cli, .shift = INT64_MIN};
    const struct cli_option options[] = {
        {"to", 0, CLI_TEXT, &s.to_text, "WHERE", "start, end, N, -N before the end, +N behind the start, @TIME"},
        {"shift", 0, CLI_INT, &s.shift, "N", "so many events on, or back when negative"},
        {"topic", 't', CLI_LIST, &s.topics, "TOPIC", "all partitions of this topic; may be repeated"},
        {"partition", 'p', CLI_LIST, &s.partitions, "N", "only this partition; may be repeated"},
        {"dry-run", 0, CLI_FLAG, &s.dry_run, NULL, "show what would change, change nothing"},
    };
    struct cli_grammar grammar = {options, sizeof options / sizeof options[0], 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        s.group = words.items[0];
        s.has_shift = s.shift != INT64_MIN;
        rc = check(&s);
        if (rc == CLI_OK) {
            rc = seek(&s);
        }
    }
    el_free(s.changes);
    cli_list_free(&s.topics);
    cli_list_free(&s.partitions);
    return rc;
}
