/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: DescribeTopicPartitions shows every partition of every topic once, in the order of names, on pages of any size.
 * Method: the whole list is read with every page size and compared with the catalogue.
 */
#include "fake.h"

#include <wire/msg_describe_topic_partitions.h>

static struct fake f;

static void begin(void)
{
    fake_begin(&f);
    fake_add_topic(&f, "gamma", 3);
    fake_add_topic(&f, "alpha", 1);
    fake_add_topic(&f, "__evlog_meta", 1);
    fake_add_topic(&f, "beta", 5);
    fake_add_topic(&f, "alph", 2);
}

static struct fake_request *page(struct el_msg_describe_topic_partitions_request_topic *topics, uint32_t count,
                                 int32_t limit, struct el_msg_describe_topic_partitions_cursor *cursor,
                                 struct el_msg_describe_topic_partitions_response *answer)
{
    struct el_msg_describe_topic_partitions_request ask;
    el_schema_init(&el_schema_describe_topic_partitions_request, &ask);
    ask.topics = topics;
    ask.topic_count = count;
    ask.response_partition_limit = limit;
    ask.cursor = cursor;
    struct fake_request *r = fake_request(&f, EL_API_DescribeTopicPartitions, 0, &ask);
    fake_dispatch(&f, r);
    fake_response(r, answer);
    return r;
}

/* Read all pages into text: "alph/0 alph/1 ..."; unknown topics as "name!". */
static void read_all(struct el_msg_describe_topic_partitions_request_topic *topics, uint32_t count, int32_t limit,
                     char *text, size_t text_max)
{
    char name[64];
    struct el_msg_describe_topic_partitions_cursor cursor = {0};
    size_t used = 0;
    text[0] = '\0';
    for (int pages = 0; pages < 100; pages++) {
        struct el_msg_describe_topic_partitions_response answer;
        struct fake_request *r = page(topics, count, limit, pages == 0 ? NULL : &cursor, &answer);
        int32_t on_page = 0;
        for (uint32_t t = 0; t < answer.topic_count; t++) {
            const struct el_msg_describe_topic_partitions_topic *topic = &answer.topics[t];
            if (topic->error_code != 0) {
                used += (size_t)snprintf(text + used, text_max - used, "%.*s! ", (int)topic->name.len,
                                         (const char *)topic->name.data);
            }
            on_page += (int32_t)topic->partition_count;
            for (uint32_t p = 0; p < topic->partition_count; p++) {
                assert_int_equal(topic->partitions[p].leader_id, 1);
                assert_int_equal(topic->partitions[p].isr_node_count, 1);
                used += (size_t)snprintf(text + used, text_max - used, "%.*s/%d ", (int)topic->name.len,
                                         (const char *)topic->name.data, topic->partitions[p].partition_index);
            }
        }
        assert_true(on_page <= EL_MAX(limit, 1));
        bool more = answer.next_cursor != NULL;
        if (more) {
            snprintf(name, sizeof name, "%.*s", (int)answer.next_cursor->topic_name.len,
                     (const char *)answer.next_cursor->topic_name.data);
            cursor.topic_name = el_slice_str(name);
            cursor.partition_index = answer.next_cursor->partition_index;
        }
        fake_free(r);
        if (!more) {
            return;
        }
    }
    fail_msg("the pages do not end");
}

#define ALL "alph/0 alph/1 alpha/0 beta/0 beta/1 beta/2 beta/3 beta/4 gamma/0 gamma/1 gamma/2 "

TEST(topic_pages, every_page_size_gives_the_same_list)
{
    begin();
    char text[512];
    static const int32_t sizes[] = {-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 2000, INT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        read_all(NULL, 0, sizes[i], text, sizeof text);
        assert_string_equal(text, ALL);
    }
    fake_end(&f);
}

TEST(topic_pages, topics_asked_for_are_answered_once_and_unknown_ones_told)
{
    begin();
    char text[512];
    struct el_msg_describe_topic_partitions_request_topic topics[] = {
        {el_slice_str("gamma")}, {el_slice_str("nothing")}, {el_slice_str("alph")},
        {el_slice_str("gamma")}, {el_slice_str("a/b")},     {el_slice_str("__evlog_meta")},
    };
    for (int32_t limit = 1; limit < 9; limit++) {
        read_all(topics, 6, limit, text, sizeof text);
        assert_string_equal(text, "__evlog_meta/0 a/b! alph/0 alph/1 gamma/0 gamma/1 gamma/2 nothing! ");
    }
    struct el_msg_describe_topic_partitions_response answer;
    struct fake_request *r = page(topics, 6, 2000, NULL, &answer);
    assert_int_equal(answer.topics[1].error_code, EL_KAFKA_INVALID_TOPIC_EXCEPTION);
    assert_int_equal(answer.topics[4].error_code, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION);
    assert_true(answer.topics[0].is_internal);
    fake_free(r);
    fake_end(&f);
}

TEST(topic_pages, a_cursor_may_point_anywhere)
{
    begin();
    struct el_msg_describe_topic_partitions_response answer;
    struct el_msg_describe_topic_partitions_cursor cursor = {el_slice_str("alph"), -1};
    struct fake_request *r = page(NULL, 0, 2000, &cursor, &answer);
    assert_int_equal(answer.topics[0].error_code, EL_KAFKA_INVALID_REQUEST);
    fake_free(r);
    cursor = (struct el_msg_describe_topic_partitions_cursor){el_slice_str("beta"), INT32_MAX};
    r = page(NULL, 0, 2000, &cursor, &answer);
    assert_int_equal(answer.topic_count, 2);
    assert_int_equal(answer.topics[0].partition_count, 0);
    assert_int_equal(answer.topics[1].partition_count, 3);
    assert_null(answer.next_cursor);
    fake_free(r);
    cursor = (struct el_msg_describe_topic_partitions_cursor){el_slice_str("b"), 4};
    r = page(NULL, 0, 2000, &cursor, &answer);
    assert_int_equal(answer.topics[0].partition_count,
                     5); /* the topic at the cursor is gone: the next from its start */
    fake_free(r);
    cursor = (struct el_msg_describe_topic_partitions_cursor){el_slice_str("z"), 0};
    r = page(NULL, 0, 2000, &cursor, &answer);
    assert_int_equal(answer.topic_count, 0);
    fake_free(r);
    fake_end(&f);
}

TEST(topic_pages, a_page_has_at_most_2000_partitions)
{
    begin();
    fake_add_topic(&f, "many", 2500);
    struct el_msg_describe_topic_partitions_request_topic many = {el_slice_str("many")};
    struct el_msg_describe_topic_partitions_response answer;
    struct fake_request *r = page(&many, 1, INT32_MAX, NULL, &answer);
    assert_int_equal(answer.topics[0].partition_count, 2000);
    assert_int_equal(answer.next_cursor->partition_index, 2000);
    fake_free(r);
    fake_end(&f);
}
