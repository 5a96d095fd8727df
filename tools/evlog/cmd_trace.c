/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog trace ID: the chain of events that an event belongs to, over all topics, as a tree.
 *
 * Reads every topic (or those of -t) once; when the id turns out to be that of an event inside another chain, once more
 * for that chain. There is no index: the time it takes is the time to read the topics.
 */
#include "cli.h"
#include "table.h"
#include "topic_scan.h"
#include "trace_tree.h"

#include <core/alloc.h>
#include <core/timefmt.h>
#include <string.h>

#define CHAIN_LEN_MAX 4096
#define DEPTH_SHOWN 40 /* levels that are indented */

static bool look(void *arg, const struct evlog_event *event)
{
    return trace_add(arg, event);
}

/* Read all topics that count. */
static int collect(struct cli *cli, const struct cli_list *topics, struct trace_tree *tree)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_topic_list *all = NULL;
    int rc = CLI_OK;
    if (topics->count == 0 && evlog_topic_list(cli->client, &all, &failure) != 0) {
        return cli_failure(cli, &failure);
    }
    size_t count = all == NULL ? topics->count : all->topic_count;
    for (size_t i = 0; rc == CLI_OK && i < count && !cli_interrupted; i++) {
        if (all != NULL && all->topics[i].internal) {
            continue;
        }
        cli_progress(cli, "topics read", i, count);
        rc = topic_scan(cli, all == NULL ? topics->items[i] : all->topics[i].name, look, tree);
        if (tree->err != 0 || tree->full || tree->moved != NULL) {
            break;
        }
    }
    cli_progress_end(cli);
    if (all != NULL) {
        evlog_topic_list_free(all);
    }
    return rc == CLI_OK && tree->err != 0 ? cli_error(cli, CLI_ERR_VALUE, "no memory") : rc;
}

static int show_json(const struct cli *cli, const struct trace_node *node)
{
    struct el_buffer line = {0};
    struct el_json_writer w;
    cli_json_begin(&w, &line);
    el_json_add_int(&w, "depth", node->depth);
    cli_json_bytes(&w, "id", (struct evlog_bytes){node->id, strlen(node->id)});
    cli_json_bytes(&w, "cause", (struct evlog_bytes){node->cause, node->cause == NULL ? 0 : strlen(node->cause)});
    cli_json_bytes(&w, "type", (struct evlog_bytes){node->type, node->type == NULL ? 0 : strlen(node->type)});
    el_json_add_str(&w, "topic", node->topic);
    el_json_add_int(&w, "partition", node->partition);
    el_json_add_int(&w, "offset", node->offset);
    cli_json_time(&w, "time", cli_event_ns(node->timestamp_ms), 3);
    cli_json_bytes(&w, "key", (struct evlog_bytes){node->key, node->key == NULL ? 0 : strlen(node->key)});
    el_json_add_uint(&w, "copies", node->copies);
    int rc = cli_json_end(cli, &w, &line);
    el_buffer_free(&line);
    return rc;
}

static int show(const struct cli *cli, const struct trace_tree *tree)
{
    struct el_buffer line = {0};
    int rc = CLI_OK;
    for (uint32_t i = 0; rc == CLI_OK && i < tree->node_count; i++) {
        const struct trace_node *node = &tree->nodes[i];
        if (cli->json) {
            rc = show_json(cli, node);
            continue;
        }
        char time[40] = "-";
        if (cli_event_ns(node->timestamp_ms) >= 0) {
            el_time_format(time, cli_event_ns(node->timestamp_ms), 3);
        }
        el_buffer_printf(&line, "%s  ", time);
        for (uint32_t j = 0; j < EL_MIN(node->depth, DEPTH_SHOWN); j++) {
            el_buffer_append_str(&line, "  ");
        }
        el_buffer_printf(&line, "%s%s%s[%d]@%lld  %s", node->type == NULL ? "" : node->type,
                         node->type == NULL ? "" : "  ", node->topic, node->partition, (long long)node->offset,
                         node->id);
        if (node->copies > 1) {
            el_buffer_printf(&line, "  (%u times)", node->copies);
        }
        el_buffer_append_char(&line, '\n');
        rc = cli_put(cli, &line);
    }
    el_buffer_free(&line);
    return rc;
}

static int trace(struct cli *cli, const char *id, const struct cli_list *topics)
{
    struct trace_tree tree;
    char chain[CHAIN_LEN_MAX];
    trace_begin(&tree, id);
    int rc = collect(cli, topics, &tree);
    if (rc == CLI_OK && tree.moved != NULL) {
        (void)snprintf(chain, sizeof chain, "%s", tree.moved);
        trace_free(&tree);
        trace_begin(&tree, chain);
        rc = collect(cli, topics, &tree);
        cli_say(cli, "%s belongs to chain %s", id, chain);
    }
    if (rc == CLI_OK) {
        trace_order(&tree);
        rc = tree.err != 0 ? cli_error(cli, CLI_ERR_VALUE, "no memory") : show(cli, &tree);
    }
    if (rc == CLI_OK && tree.node_count == 0) {
        rc = cli_error(cli, CLI_ERR_NO_CHAIN, "no event has the id or the correlation id %s", id);
    }
    if (rc == CLI_OK && tree.full) {
        cli_say(cli, "the chain has more events than %u: the rest is not shown", TRACE_NODE_MAX);
    }
    trace_free(&tree);
    return rc;
}

int cmd_trace(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    struct cli_list topics = {0};
    const struct cli_option options[] = {
        {"topic", 't', CLI_LIST, &topics, "TOPIC", "only this topic; may be repeated"},
    };
    struct cli_grammar grammar = {options, 1, 1, 1};
    struct cli_words words;
    int rc = cli_parse(cli, command, &grammar, argc, argv, &words);
    if (rc == CLI_PARSED) {
        rc = words.items[0][0] == '\0' || strlen(words.items[0]) >= CHAIN_LEN_MAX
                 ? cli_error(cli, CLI_ERR_VALUE, "an id has 1 to %d bytes", CHAIN_LEN_MAX - 1)
                 : cli_connect(cli);
        rc = rc == CLI_OK ? trace(cli, words.items[0], &topics) : rc;
    }
    cli_list_free(&topics);
    return rc;
}
