/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the rows of lag are those of the groups, few enough, and whatever a group is called the page stays one that
 * Prometheus reads. Method: lists as shards fill them, the page line by line.
 */
#include <obs/lag.h>

#include "../../lib/test.h"

#include <core/alloc.h>

#include <stdio.h>
#include <string.h>

#define S 1000000000ull

static void add(struct lag_list *list, enum lag_kind kind, const char *group, const char *topic, int32_t partition,
                int64_t records, uint64_t since_ns)
{
    struct lag_entry entry = {.kind = kind, .partition = partition, .records = records, .since_ns = since_ns};
    lag_list_add(list, el_slice_str(group), el_slice_str(topic), &entry);
}

static char *page_of(struct lag_list *lists, uint32_t count, uint32_t rows_max)
{
    struct el_buffer out = {.err = 0};
    struct lag_page page = {.lists = lists, .list_count = count, .rows_max = rows_max, .now_ns = 100 * S};
    lag_render(&page, &out);
    char *text = el_strdup(el_buffer_text(&out));
    el_buffer_free(&out);
    return text;
}

static void assert_line(const char *page, const char *line)
{
    char wanted[256];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(page, wanted) == NULL) {
        fail_msg("no line \"%s\" in %s", line, page);
    }
}

TEST(lag, partitions_of_all_shards_are_one_row)
{
    struct lag_list lists[2];
    assert_int_equal(lag_list_init(&lists[0], 10), 0);
    assert_int_equal(lag_list_init(&lists[1], 10), 0);
    add(&lists[0], LAG_CONSUMER, "g", "t", 0, 5, 90 * S);
    add(&lists[0], LAG_CONSUMER, "g", "t", 2, 0, 10 * S); /* nothing waits: its time is none */
    add(&lists[0], LAG_CONSUMER, "g", "gone", 0, -1, 0);
    add(&lists[1], LAG_CONSUMER, "g", "t", 1, 7, 40 * S + S / 2);
    add(&lists[1], LAG_CONSUMER, "g", "other", 0, 0, 0);
    char *page = page_of(lists, 2, 10);
    assert_line(page, "evlog_group_lag_records{group=\"g\",topic=\"t\"} 12");
    assert_line(page, "evlog_group_lag_seconds{group=\"g\",topic=\"t\"} 59.500");
    assert_line(page, "evlog_group_lag_records{group=\"g\",topic=\"other\"} 0");
    assert_line(page, "evlog_group_lag_seconds{group=\"g\",topic=\"other\"} 0.000");
    assert_line(page, "evlog_group_lag_left_out 0");
    assert_null(strstr(page, "gone"));
    el_free(page);
    lag_list_free(&lists[0]);
    lag_list_free(&lists[1]);
}

TEST(lag, letters_of_many_groups_in_one_topic_count_once)
{
    struct lag_list list;
    assert_int_equal(lag_list_init(&list, 10), 0);
    add(&list, LAG_LETTERS, "a", "dead", 0, 3, 0);
    add(&list, LAG_LETTERS, "b", "dead", 0, 3, 0);
    add(&list, LAG_LETTERS, "b", "dead", 1, 4, 0);
    char *page = page_of(&list, 1, 10);
    assert_line(page, "evlog_dlq_records{topic=\"dead\"} 7");
    assert_null(strstr(page, "\nevlog_group_lag_records{"));
    el_free(page);
    lag_list_free(&list);
}

TEST(lag, names_cannot_break_the_page)
{
    struct lag_list list;
    assert_int_equal(lag_list_init(&list, 10), 0);
    add(&list, LAG_WORK, "a\"b\\c\nd\xff\xc3\xa4", "t", 0, 1, 99 * S);
    char *page = page_of(&list, 1, 10);
    assert_line(page, "evlog_group_lag_records{group=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa4\",topic=\"t\"} 1");
    el_free(page);
    lag_list_free(&list);
}

TEST(lag, rows_beyond_the_limit_are_counted_and_the_longest_are_shown)
{
    struct lag_list list;
    char group[16];
    assert_int_equal(lag_list_init(&list, 100), 0);
    for (int i = 0; i < 50; i++) {
        snprintf(group, sizeof group, "g%02d", i);
        add(&list, LAG_CONSUMER, group, "t", 0, i, 99 * S);
    }
    char *page = page_of(&list, 1, 3);
    assert_line(page, "evlog_group_lag_records{group=\"g49\",topic=\"t\"} 49");
    assert_line(page, "evlog_group_lag_records{group=\"g47\",topic=\"t\"} 47");
    assert_null(strstr(page, "g46"));
    assert_line(page, "evlog_group_lag_left_out 47");
    el_free(page);
    lag_list_free(&list);
}

TEST(lag, list_that_is_full_takes_no_more_and_says_so)
{
    struct lag_list list;
    char group[400];
    assert_int_equal(lag_list_init(&list, 2), 0);
    memset(group, 'x', sizeof group);
    group[sizeof group - 1] = '\0'; /* longer than is shown */
    for (int i = 0; i < 5; i++) {
        add(&list, LAG_CONSUMER, group, "t", i, 1, 99 * S);
    }
    assert_int_equal(list.entry_count, 2);
    assert_int_equal(list.left_out, 3);
    char *page = page_of(&list, 1, 3);
    assert_line(page, "evlog_group_lag_left_out 3");
    el_free(page);
    lag_list_reset(&list);
    assert_int_equal(list.entry_count, 0);
    lag_list_free(&list);
}

TEST(lag, shards_that_are_late_are_counted)
{
    struct el_buffer out = {.err = 0};
    struct lag_page page = {.late_count = 2, .rows_max = 3, .now_ns = S};
    lag_render(&page, &out);
    assert_line(el_buffer_text(&out), "evlog_group_lag_left_out 2");
    el_buffer_free(&out);
}
