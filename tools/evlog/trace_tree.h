/* SPDX-License-Identifier: Apache-2.0
 *
 * Events of one chain as a tree: each below the one that caused it. Pure functions.
 */
#ifndef EVLOG_TOOLS_TRACE_TREE_H
#define EVLOG_TOOLS_TRACE_TREE_H

#include <core/arena.h>
#include <evlog/event.h>

#define TRACE_NODE_MAX 100000u

struct trace_node {
    const char *id;    /* ce_id, else TOPIC/PARTITION/OFFSET */
    const char *cause; /* causation id, NULL none */
    const char *type;  /* NULL none */
    const char *topic;
    const char *key; /* NULL none */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    uint32_t copies; /* of the same id: retries of a publisher or a handler */
    uint32_t depth;  /* in the tree, 0 a root; set by trace_order() */
};

struct trace_tree {
    struct el_arena arena;
    struct trace_node *nodes; /* [node_count] of node_room */
    uint32_t node_count, node_room;
    const char *chain; /* correlation id that is collected */
    const char *moved; /* another chain that the event with this id belongs to, NULL none */
    bool full;         /* TRACE_NODE_MAX were found: the rest is missing */
    int err;           /* 0 or EVLOG_ERR_NO_MEMORY */
};

/* Collect events of the chain named, which may be the id of one of its events.
 *
 * chain  borrowed
 */
void trace_begin(struct trace_tree *tree, const char *chain);
/* Look at an event. returns false: enough */
bool trace_add(struct trace_tree *tree, const struct evlog_event *event);
/* Put nodes in the order of the tree: causes before effects, siblings by time. */
void trace_order(struct trace_tree *tree);
void trace_free(struct trace_tree *tree);

#endif
