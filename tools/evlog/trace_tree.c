/* SPDX-License-Identifier: Apache-2.0
 *
 * Collecting a chain and putting it in order.
 *
 * An event belongs to the chain when its correlation id is the chain's, or when it is the event that began it: its id
 * is the chain's. When the name given is that of an event in the middle, its own chain is noted in tree->moved: whoever
 * collects begins again with that.
 *
 * The same id twice is one node with two copies. Order: roots are events whose cause is not here; then depth first, by
 * a stack of indexes, so that no chain is too deep. A circle of causes, which only a mistake makes, has no root: its
 * events come last.
 */
#include "trace_tree.h"

#include <core/alloc.h>
#include <core/assert.h>
#include <evlog/lease.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void trace_begin(struct trace_tree *tree, const char *chain)
{
    memset(tree, 0, sizeof *tree);
    el_arena_init(&tree->arena, NULL, 0);
    tree->chain = chain;
}

void trace_free(struct trace_tree *tree)
{
    el_arena_reset(&tree->arena);
    el_free(tree->nodes);
    tree->nodes = NULL;
}

static bool is(struct evlog_bytes bytes, const char *text)
{
    return bytes.data != NULL && bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static const char *copied(struct trace_tree *tree, struct evlog_bytes bytes)
{
    char *copy = bytes.data == NULL ? NULL : el_arena_strndup(&tree->arena, bytes.data, bytes.len);
    tree->err = bytes.data != NULL && copy == NULL ? EVLOG_ERR_NO_MEMORY : tree->err;
    return copy;
}

static struct trace_node *room_for_one(struct trace_tree *tree)
{
    if (tree->node_count == TRACE_NODE_MAX) {
        tree->full = true;
        return NULL;
    }
    if (tree->node_count == tree->node_room) {
        uint32_t room = EL_MAX(2 * tree->node_room, 64u);
        struct trace_node *grown = el_realloc(tree->nodes, room * sizeof *grown);
        if (grown == NULL) {
            tree->err = EVLOG_ERR_NO_MEMORY;
            return NULL;
        }
        tree->nodes = grown;
        tree->node_room = room;
    }
    return &tree->nodes[tree->node_count];
}

static void add(struct trace_tree *tree, const struct evlog_event *event, const struct evlog_event_view *view,
                struct evlog_bytes id)
{
    struct evlog_bytes cause = {NULL, 0};
    struct trace_node *node = room_for_one(tree);
    if (node == NULL) {
        return;
    }
    (void)evlog_event_header(event, EVLOG_CAUSATION_ID, &cause);
    *node = (struct trace_node){
        .id = copied(tree, id),
        .cause = copied(tree, cause),
        .type = copied(tree, view->type),
        .topic = copied(tree, (struct evlog_bytes){event->topic, strlen(event->topic)}),
        .key = copied(tree, event->key),
        .partition = event->partition,
        .offset = event->offset,
        .timestamp_ms = event->timestamp_ms,
        .copies = 1,
    };
    tree->node_count += tree->err == 0;
}

bool trace_add(struct trace_tree *tree, const struct evlog_event *event)
{
    struct evlog_event_view view = {.size = sizeof view};
    struct evlog_bytes chain = {NULL, 0};
    char place[400];
    if (evlog_event_view(event, &view) != 0) {
        tree->err = EVLOG_ERR_NO_MEMORY;
        return false;
    }
    int len = snprintf(place, sizeof place, "%s/%d/%lld", event->topic, event->partition, (long long)event->offset);
    struct evlog_bytes id = view.id.data != NULL ? view.id : (struct evlog_bytes){place, (size_t)len};
    (void)evlog_event_header(event, EVLOG_CORRELATION_ID, &chain);
    if (is(id, tree->chain) && chain.data != NULL && !is(chain, tree->chain)) {
        tree->moved = copied(tree, chain);
    }
    if (is(chain, tree->chain) || is(id, tree->chain)) {
        add(tree, event, &view, id);
    }
    evlog_event_view_free(&view);
    return tree->err == 0 && !tree->full && tree->moved == NULL;
}

/* --- order -------------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct trace_node *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order != 0 ? order : (x->timestamp_ms > y->timestamp_ms) - (x->timestamp_ms < y->timestamp_ms);
}

static int by_time(const void *a, const void *b)
{
    const struct trace_node *x = a, *y = b;
    int order = (x->timestamp_ms > y->timestamp_ms) - (x->timestamp_ms < y->timestamp_ms);
    return order != 0 ? order : strcmp(x->id, y->id);
}

/* Keep the first of each id. */
static void merge_copies(struct trace_tree *tree)
{
    uint32_t kept = 0;
    qsort(tree->nodes, tree->node_count, sizeof *tree->nodes, by_id);
    for (uint32_t i = 0; i < tree->node_count; i++) {
        if (kept > 0 && strcmp(tree->nodes[kept - 1].id, tree->nodes[i].id) == 0) {
            tree->nodes[kept - 1].copies++;
        } else {
            tree->nodes[kept++] = tree->nodes[i];
        }
    }
    tree->node_count = kept;
}

/* Indexes of nodes, sorted by the id of each, to find causes. */
struct places {
    const struct trace_node *nodes;
    uint32_t *by_id;  /* [count] */
    uint32_t *parent; /* [count], count: none */
    uint32_t *first;  /* [count] first effect, count: none */
    uint32_t *next;   /* [count] next effect of the same cause */
    bool *written;    /* [count] is in the order already */
    uint32_t count;
};

static int compare_places(const void *a, const void *b, void *arg)
{
    const struct places *places = arg;
    return strcmp(places->nodes[*(const uint32_t *)a].id, places->nodes[*(const uint32_t *)b].id);
}

static uint32_t find(const struct places *places, const char *id)
{
    uint32_t low = 0, high = places->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(places->nodes[places->by_id[middle]].id, id);
        if (order == 0) {
            return places->by_id[middle];
        }
        low = order < 0 ? middle + 1 : low;
        high = order > 0 ? middle : high;
    }
    return places->count;
}

/* Hang every node below its cause; effects by time, since nodes are. */
static void link_all(struct places *places)
{
    uint32_t none = places->count;
    for (uint32_t i = 0; i < none; i++) {
        places->first[i] = places->next[i] = none;
        places->by_id[i] = i;
    }
    qsort_r(places->by_id, none, sizeof *places->by_id, compare_places, places);
    for (uint32_t i = none; i-- > 0;) { /* from the last, so that the first one comes first */
        const char *cause = places->nodes[i].cause;
        uint32_t parent = cause == NULL || strcmp(cause, places->nodes[i].id) == 0 ? none : find(places, cause);
        places->parent[i] = parent;
        if (parent < none) {
            places->next[i] = places->first[parent];
            places->first[parent] = i;
        }
    }
}

/* Write one tree into out, depth first. returns how many there are in out */
static uint32_t walk(struct places *places, uint32_t root, struct trace_node *out, uint32_t done, uint32_t *stack)
{
    uint32_t depth = 0;
    stack[0] = root;
    for (;;) {
        uint32_t node = stack[depth];
        places->written[node] = true;
        out[done] = places->nodes[node];
        out[done++].depth = depth;
        if (places->first[node] < places->count) {
            stack[++depth] = places->first[node];
            continue;
        }
        while (depth > 0 && places->next[stack[depth]] == places->count) {
            depth--;
        }
        if (depth == 0) {
            return done;
        }
        stack[depth] = places->next[stack[depth]];
    }
}

void trace_order(struct trace_tree *tree)
{
    uint32_t count = tree->node_count, done = 0;
    if (count == 0) {
        return;
    }
    merge_copies(tree);
    count = tree->node_count;
    qsort(tree->nodes, count, sizeof *tree->nodes, by_time);
    uint32_t *numbers = el_calloc(5 * (size_t)count, sizeof *numbers);
    bool *written = el_calloc(count, sizeof *written);
    struct trace_node *out = el_calloc(count, sizeof *out);
    if (numbers == NULL || written == NULL || out == NULL) {
        tree->err = EVLOG_ERR_NO_MEMORY;
    } else {
        struct places places = {
            tree->nodes, numbers, numbers + count, numbers + 2 * (size_t)count, numbers + 3 * (size_t)count,
            written,     count,
        };
        link_all(&places);
        for (uint32_t i = 0; i < count; i++) {
            if (places.parent[i] == count) {
                done = walk(&places, i, out, done, numbers + 4 * (size_t)count);
            }
        }
        for (uint32_t i = 0; i < count; i++) {
            if (!written[i]) { /* in a circle, or below one */
                out[done++] = tree->nodes[i];
            }
        }
        EL_ASSERT(done == count);
        memcpy(tree->nodes, out, done * sizeof *out);
    }
    el_free(written);
    el_free(numbers);
    el_free(out);
}
