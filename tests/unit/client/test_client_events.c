/* SPDX-License-Identifier: Apache-2.0
 *
 * What a client has for its callers besides answers. Goal: the descriptor is readable whenever something is due and
 * never for ever; the log is bounded and told on the caller's thread; statistics are JSON. Method: the scripted broker.
 */
#include "../../../client/subscriber_state.h"
#include "../../lib/test.h"
#include "scripted.h"

#include <core/json.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 10000

static bool readable(int fd, int timeout_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    return poll(&entry, 1, timeout_ms) == 1;
}

static struct evlog_subscriber *subscribe(struct scripted *s)
{
    struct evlog_subscriber *subscriber = NULL;
    struct evlog_subscriber_options options = EVLOG_SUBSCRIBER_OPTIONS_INIT;
    const char *topic = "t";
    options.group = "g";
    options.topics = &topic;
    options.topic_count = 1;
    assert_int_equal(evlog_subscriber_open(&s->client, &options, &subscriber, NULL), 0);
    return subscriber;
}

TEST(client_events, an_event_loop_reads_everything_by_the_descriptor_alone)
{
    static struct scripted s;
    scripted_begin(&s, NULL);
    s.given_count = 1;
    s.ends[0] = 2;
    struct evlog_subscriber *subscriber = subscribe(&s);
    int fd = evlog_client_fd(&s.client);
    assert_true(fd >= 0);
    assert_int_equal(evlog_client_fd(&s.client), fd);
    int64_t count = 0;
    while (count < 5) {
        const struct evlog_event *event;
        assert_true(readable(fd, PATIENCE_MS));
        while (evlog_subscriber_next(subscriber, 0, &event, NULL) == 1) {
            assert_int_equal(event->offset, count++);
        }
        if (count == 2) {
            scripted_append(&s, 0, 3);
        }
    }
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(client_events, the_descriptor_rests_when_nothing_is_due)
{
    static struct scripted s;
    scripted_begin(&s, (const char *const[]){"fetch.max.wait.ms", "60000", "enable.auto.commit", "false", NULL});
    s.given_count = 1;
    struct evlog_subscriber *subscriber = subscribe(&s);
    int fd = evlog_client_fd(&s.client);
    const struct evlog_event *event;
    struct evlog_membership membership = {.size = sizeof membership};
    int64_t deadline_ns = el_now_ns() + PATIENCE_MS * EL_NS_PER_MS;
    do { /* until it is stable, and its fetch waits at the broker */
        assert_int_equal(evlog_subscriber_next(subscriber, 10, &event, NULL), 0);
        evlog_subscriber_membership(subscriber, &membership);
    } while (strcmp(membership.state, "stable") != 0 && el_now_ns() < deadline_ns);
    assert_int_equal(evlog_subscriber_next(subscriber, 0, &event, NULL), 0);
    assert_false(readable(fd, 0));
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

struct heard {
    int count;
    char first[128];
    char last[128];
};

static void on_line(void *arg, enum evlog_log_level level, const char *text)
{
    struct heard *heard = arg;
    assert_true(level <= EVLOG_LOG_DEBUG);
    (void)snprintf(heard->count == 0 ? heard->first : heard->last, sizeof heard->last, "%s", text);
    heard->count++;
}

TEST(client_events, the_log_is_bounded_and_says_what_it_dropped)
{
    static struct scripted s;
    struct heard heard = {0};
    scripted_begin(&s, NULL);
    el_client_lock(&s.client);
    el_client_log(&s.client, EVLOG_LOG_ERROR, "nobody hears this");
    el_client_unlock(&s.client);
    evlog_client_set_log(&s.client, EVLOG_LOG_WARNING, on_line, &heard);
    el_client_lock(&s.client);
    for (int i = 0; i < 300; i++) {
        el_client_log(&s.client, EVLOG_LOG_WARNING, "line %d", i);
    }
    el_client_log(&s.client, EVLOG_LOG_INFO, "not wanted");
    el_client_unlock(&s.client);
    assert_true(readable(evlog_client_fd(&s.client), 0));
    assert_int_equal(evlog_client_poll(&s.client, 0), 257);
    assert_string_equal(heard.first, "44 lines of the log were dropped");
    assert_string_equal(heard.last, "line 299");
    assert_false(readable(evlog_client_fd(&s.client), 0));
    assert_int_equal(evlog_client_poll(&s.client, 1), 0);
    el_client_lock(&s.client);
    el_client_log(&s.client, EVLOG_LOG_WARNING, "left over");
    el_client_unlock(&s.client);
    scripted_end(&s);
}

TEST(client_events, a_rebalance_stands_in_the_log)
{
    static struct scripted s;
    struct heard heard = {0};
    scripted_begin(&s, NULL);
    s.given_count = 1;
    evlog_client_set_log(&s.client, EVLOG_LOG_INFO, on_line, &heard);
    struct evlog_subscriber *subscriber = subscribe(&s);
    int64_t deadline_ns = el_now_ns() + PATIENCE_MS * EL_NS_PER_MS;
    const struct evlog_event *event;
    while (heard.count == 0 && el_now_ns() < deadline_ns) {
        assert_int_equal(evlog_subscriber_next(subscriber, 10, &event, NULL), 0);
    }
    assert_string_equal(heard.first, "group g: generation 1 gives 1 partitions");
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}

TEST(client_events, statistics_are_json)
{
    static struct scripted s;
    char *json;
    scripted_begin(&s, NULL);
    s.given_count = 1;
    s.ends[0] = 1;
    struct evlog_subscriber *subscriber = subscribe(&s);
    const struct evlog_event *event;
    assert_int_equal(evlog_subscriber_next(subscriber, PATIENCE_MS, &event, NULL), 1);
    assert_int_equal(evlog_client_stats(&s.client, &json, NULL), 0);
    assert_true(el_json_valid((const uint8_t *)json, strlen(json)));
    assert_non_null(strstr(json, "\"group\":\"g\""));
    assert_non_null(strstr(json, "\"state\":\"stable\""));
    assert_non_null(strstr(json, "\"events\":1"));
    evlog_text_free(json);
    assert_int_equal(evlog_subscriber_close(subscriber, -1, NULL), 0);
    scripted_end(&s);
}
