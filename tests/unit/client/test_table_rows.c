/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of a table. Goal: after any events the rows are the last ones of their keys, in byte order, within the
 * bound, and a change tells what was and what is. Method: events by hand, refusals first; random events against a plain
 * array; every allocation failing once.
 */
#include "../../../client/table_rows.h"
#include "../../lib/test.h"

#include <core/rng.h>
#include <evlog/error.h>
#include <stdio.h>
#include <string.h>

static struct evlog_bytes text(const char *s)
{
    return (struct evlog_bytes){s, s == NULL ? 0 : strlen(s)};
}

static struct evlog_event event(const char *key, const char *value)
{
    return (struct evlog_event){.key = text(key), .value = text(value), .append_time_ns = 1};
}

static int apply(struct el_table_rows *rows, struct evlog_event e)
{
    struct el_table_change change;
    int rc = el_table_apply(rows, &e, &change);
    if (rc == 0) {
        el_table_settle(&change);
    }
    return rc;
}

static const char *value_of(const struct el_table_rows *rows, const char *key)
{
    static char value[64];
    const struct evlog_event *row = el_table_get(rows, el_slice_str(key));
    if (row == NULL) {
        return NULL;
    }
    (void)snprintf(value, sizeof value, "%.*s", (int)row->value.len, (const char *)row->value.data);
    return value;
}

TEST(table_rows, what_does_not_fit_leaves_the_rows_as_they_were)
{
    struct el_table_rows rows;
    el_table_rows_init(&rows, 800, false);
    assert_int_equal(apply(&rows, event("a", "small")), 0);
    uint64_t len = rows.memory_len;
    char large[700];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_int_equal(apply(&rows, event("b", large)), EVLOG_ERR_LIMIT);
    assert_int_equal(apply(&rows, event("a", large)), EVLOG_ERR_LIMIT);
    assert_string_equal(value_of(&rows, "a"), "small");
    assert_null(value_of(&rows, "b"));
    assert_int_equal(rows.memory_len, len);
    assert_int_equal(apply(&rows, event("a", NULL)), 0);
    assert_int_equal(rows.memory_len, 0);
    el_table_rows_free(&rows);
}

TEST(table_rows, a_change_tells_what_was_and_what_is)
{
    struct el_table_rows rows;
    struct el_table_change change;
    struct evlog_event e = event("k", "one");
    el_table_rows_init(&rows, 0, false);
    assert_int_equal(el_table_apply(&rows, &e, &change), 0);
    assert_null(change.before);
    assert_memory_equal(change.after->value.data, "one", 3);
    el_table_settle(&change);
    e = event("k", "two");
    assert_int_equal(el_table_apply(&rows, &e, &change), 0);
    assert_memory_equal(change.before->value.data, "one", 3);
    assert_memory_equal(change.after->value.data, "two", 3);
    el_table_settle(&change);
    e = event("k", NULL);
    assert_int_equal(el_table_apply(&rows, &e, &change), 0);
    assert_memory_equal(change.before->value.data, "two", 3);
    assert_memory_equal(change.before->key.data, "k", 1);
    assert_null(change.after);
    el_table_settle(&change);
    assert_int_equal(el_table_apply(&rows, &e, &change), 0);
    assert_true(change.before == NULL && change.after == NULL);
    el_table_settle(&change);
    el_table_rows_free(&rows);
}

TEST(table_rows, an_older_event_of_another_partition_changes_nothing)
{
    struct el_table_rows rows;
    struct evlog_event e = event("k", "new");
    el_table_rows_init(&rows, 0, false);
    e.partition = 3;
    e.append_time_ns = 10;
    assert_int_equal(apply(&rows, e), 0);
    e = event("k", "old");
    e.append_time_ns = 5;
    assert_int_equal(apply(&rows, e), 0);
    assert_string_equal(value_of(&rows, "k"), "new");
    e.append_time_ns = 11;
    assert_int_equal(apply(&rows, e), 0);
    assert_string_equal(value_of(&rows, "k"), "old");
    el_table_rows_free(&rows);
}

TEST(table_rows, headers_are_kept_when_they_are_wanted)
{
    const struct evlog_header headers[] = {{text("one"), text("1")}, {text("none"), {NULL, 0}}};
    for (int wanted = 0; wanted < 2; wanted++) {
        struct el_table_rows rows;
        struct evlog_event e = event("k", "v");
        e.headers = headers;
        e.header_count = 2;
        el_table_rows_init(&rows, 0, wanted == 1);
        assert_int_equal(apply(&rows, e), 0);
        const struct evlog_event *row = el_table_get(&rows, el_slice_str("k"));
        assert_int_equal(row->header_count, wanted == 1 ? 2 : 0);
        if (wanted == 1) {
            assert_memory_equal(row->headers[0].value.data, "1", 1);
            assert_null(row->headers[1].value.data);
        }
        el_table_rows_free(&rows);
    }
}

/* Walks the rows, and compares them with values[key]. */
static void compare(struct el_table_rows *rows, const int *values, int key_count)
{
    const struct evlog_event *row;
    struct el_slice after = {NULL, 0};
    char key[16], value[16];
    for (int i = 0; i < key_count; i++) {
        if (values[i] < 0) {
            continue;
        }
        (void)snprintf(key, sizeof key, "%03d", i);
        (void)snprintf(value, sizeof value, "%d", values[i]);
        assert_int_equal(el_table_next(rows, after, &row), 1);
        assert_true(row->key.len == 3 && memcmp(row->key.data, key, 3) == 0);
        assert_true(row->value.len == strlen(value) && memcmp(row->value.data, value, row->value.len) == 0);
        after = el_slice_of(row->key.data, row->key.len);
    }
    assert_int_equal(el_table_next(rows, after, &row), 0);
}

TEST(table_rows, are_the_last_events_of_their_keys_in_byte_order)
{
    enum { KEYS = 40, EVENTS = 3000 };
    struct el_table_rows rows;
    struct el_rng rng;
    int values[KEYS];
    memset(values, -1, sizeof values);
    el_rng_seed(&rng, 7);
    el_table_rows_init(&rows, 0, false);
    for (int i = 0; i < EVENTS; i++) {
        char key[16], value[16];
        int which = (int)el_rng_below(&rng, KEYS);
        (void)snprintf(key, sizeof key, "%03d", which);
        (void)snprintf(value, sizeof value, "%d", i);
        bool gone = el_rng_below(&rng, 3) == 0;
        assert_int_equal(apply(&rows, event(key, gone ? NULL : value)), 0);
        values[which] = gone ? -1 : i;
        if (i % 50 == 0) {
            compare(&rows, values, KEYS);
        }
    }
    compare(&rows, values, KEYS);
    el_table_rows_free(&rows);
}

TEST_TORTURE(table_rows, every_allocation_may_fail)
{
    struct el_table_rows rows;
    const struct evlog_event *row;
    int rc = 0;
    el_table_rows_init(&rows, 0, true);
    for (int i = 0; rc == 0 && i < 12; i++) {
        char key[16];
        (void)snprintf(key, sizeof key, "%d", i % 5);
        rc = apply(&rows, event(key, i % 4 == 3 ? NULL : "value"));
    }
    rc = rc == 0 ? el_table_next(&rows, (struct el_slice){NULL, 0}, &row) : rc;
    assert_true(rc == 1 || (el_test_failing() && rc == EVLOG_ERR_NO_MEMORY));
    el_table_rows_free(&rows);
}
