/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of events as trees. Goal: every event of a chain is shown once, below its cause, whatever order they are found
 * in and however wrong their ids are. Method: hand-made events; the order is written as "id depth".
 */
#include "../../../tools/evlog/trace_tree.h"
#include "../../lib/test.h"

#include <evlog/lease.h>
#include <stdio.h>
#include <string.h>

static struct evlog_bytes bytes(const char *text)
{
    return (struct evlog_bytes){text, text == NULL ? 0 : strlen(text)};
}

/* An event with ids; NULL: without. Its time is its offset. */
static bool find(struct trace_tree *tree, int64_t offset, const char *id, const char *chain, const char *cause)
{
    struct evlog_header headers[3];
    struct evlog_event event = {.topic = "t", .offset = offset, .timestamp_ms = offset, .headers = headers};
    const char *const keys[] = {"ce_id", EVLOG_CORRELATION_ID, EVLOG_CAUSATION_ID};
    const char *const values[] = {id, chain, cause};
    for (int i = 0; i < 3; i++) {
        if (values[i] != NULL) {
            headers[event.header_count++] = (struct evlog_header){bytes(keys[i]), bytes(values[i])};
        }
    }
    return trace_add(tree, &event);
}

static const char *order_of(struct trace_tree *tree)
{
    static char text[512];
    size_t len = 0;
    text[0] = '\0';
    trace_order(tree);
    assert_int_equal(tree->err, 0);
    for (uint32_t i = 0; i < tree->node_count; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%s %u, ", tree->nodes[i].id, tree->nodes[i].depth);
    }
    return text;
}

TEST(trace_tree, events_of_other_chains_are_left_out)
{
    struct trace_tree tree;
    trace_begin(&tree, "c");
    assert_true(find(&tree, 1, "a", "other", "x"));
    assert_true(find(&tree, 2, "b", NULL, NULL));
    assert_true(find(&tree, 3, NULL, NULL, NULL));
    assert_string_equal(order_of(&tree), "");
    trace_free(&tree);
}

TEST(trace_tree, effects_stand_below_their_causes_by_time)
{
    struct trace_tree tree;
    trace_begin(&tree, "root");
    assert_true(find(&tree, 9, "late", "root", "root"));
    assert_true(find(&tree, 5, "deep", "root", "early"));
    assert_true(find(&tree, 3, "early", "root", "root"));
    assert_true(find(&tree, 1, "root", NULL, NULL));
    assert_true(find(&tree, 7, "stray", "root", "unknown"));
    assert_string_equal(order_of(&tree), "root 0, early 1, deep 2, late 1, stray 0, ");
    trace_free(&tree);
}

TEST(trace_tree, an_event_without_an_id_is_named_by_its_place)
{
    struct trace_tree tree;
    trace_begin(&tree, "t/0/1");
    assert_true(find(&tree, 1, NULL, NULL, NULL));
    assert_true(find(&tree, 2, "effect", "t/0/1", "t/0/1"));
    assert_string_equal(order_of(&tree), "t/0/1 0, effect 1, ");
    trace_free(&tree);
}

TEST(trace_tree, the_same_id_twice_is_shown_once)
{
    struct trace_tree tree;
    trace_begin(&tree, "c");
    assert_true(find(&tree, 1, "a", "c", NULL));
    assert_true(find(&tree, 2, "a", "c", NULL));
    assert_string_equal(order_of(&tree), "a 0, ");
    assert_int_equal(tree.nodes[0].copies, 2);
    assert_int_equal(tree.nodes[0].offset, 1);
    trace_free(&tree);
}

TEST(trace_tree, an_event_inside_another_chain_says_which)
{
    struct trace_tree tree;
    trace_begin(&tree, "middle");
    assert_false(find(&tree, 2, "middle", "begin", "begin"));
    assert_string_equal(tree.moved, "begin");
    trace_free(&tree);
}

TEST(trace_tree, circles_of_causes_are_shown_and_end)
{
    struct trace_tree tree;
    trace_begin(&tree, "c");
    assert_true(find(&tree, 1, "a", "c", "b"));
    assert_true(find(&tree, 2, "b", "c", "a"));
    assert_true(find(&tree, 3, "below", "c", "a"));
    assert_true(find(&tree, 4, "self", "c", "self"));
    assert_string_equal(order_of(&tree), "self 0, a 0, b 0, below 0, ");
    trace_free(&tree);
}

TEST_TORTURE(trace_tree, running_out_of_memory_is_told)
{
    struct trace_tree tree;
    trace_begin(&tree, "c");
    bool more = true;
    for (int i = 0; more && i < 3; i++) {
        more = find(&tree, i, "a", "c", "b");
    }
    trace_order(&tree);
    assert_true(tree.err == 0 || el_test_failing());
    trace_free(&tree);
}
