/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams from the client's side. Goal: what the broker refuses is told with all that a caller needs to decide anew; an
 * append whose answer is lost is not taken for a conflict; readers end, go on after failures, and do not believe
 * answers that lead in circles. Method: a broker of a few arrays that loses answers and lies on request.
 */
#include "../../lib/test.h"
#include "scripted_stream.h"

#include <stdio.h>
#include <string.h>
#include <wire/error_code.h>

static struct evlog_bytes bytes(const char *text)
{
    return (struct evlog_bytes){text, strlen(text)};
}

static struct evlog_append append_of(const char *key, int64_t expected, const struct evlog_new_event *events,
                                     size_t count)
{
    struct evlog_append append = EVLOG_APPEND_INIT;
    append.topic = "t";
    append.key = bytes(key);
    append.expected = expected;
    append.events = events;
    append.event_count = count;
    return append;
}

static int append_one(struct scripted_stream *st, const char *key, int64_t expected, const char *id,
                      struct evlog_appended *appended, struct evlog_failure *failure)
{
    struct evlog_new_event event = {.id = id, .type = "Made", .data = bytes("{}")};
    struct evlog_append append = append_of(key, expected, &event, 1);
    return evlog_append(&st->s.client, &append, appended, failure);
}

static void expect_text(const struct evlog_failure *failure, const char *text)
{
    if (strstr(failure->text, text) == NULL && strstr(failure->hint, text) == NULL) {
        fail_msg("\"%s\" is not in: %s (%s)", text, failure->text, failure->hint);
    }
}

/* --- appending ---------------------------------------------------------------------------------------------------- */

static void refused(struct scripted_stream *st, const struct evlog_append *append, int code)
{
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    assert_int_equal(evlog_append(&st->s.client, append, &appended, &failure), code);
    assert_int_equal(failure.code, code);
    assert_true(failure.text[0] != '\0');
}

TEST(stream, appends_that_cannot_be_are_refused_here)
{
    struct scripted_stream st;
    static char long_key[EVLOG_STREAM_KEY_MAX + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    scripted_stream_begin(&st, NULL);
    struct evlog_new_event event = {.data = bytes("{}")}, no_id = {.id = ""};
    struct evlog_header nameless = {{NULL, 0}, {"v", 1}};
    struct evlog_new_event bad_header = {.headers = &nameless, .header_count = 1};
    struct evlog_stream_check no_key = {{NULL, 0}, 1};
    struct evlog_append a = append_of("k", 0, &event, 1);
    a.size = 0;
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of("k", 0, &event, 1);
    a.topic = NULL;
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of("k", 0, &event, 1);
    a.key = (struct evlog_bytes){NULL, 0};
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of("", 0, &event, 1);
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of(long_key, 0, &event, 1);
    refused(&st, &a, EVLOG_ERR_LIMIT);
    a = append_of("k", 0, NULL, 0);
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of("k", 0, &event, SIZE_MAX);
    refused(&st, &a, EVLOG_ERR_LIMIT);
    a = append_of("k", 0, &no_id, 1);
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of("k", 0, &bad_header, 1);
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    a = append_of("k", 0, &event, 1);
    a.checks = &no_key;
    a.check_count = 1;
    refused(&st, &a, EVLOG_ERR_ARGUMENT);
    assert_int_equal(st.append_count, 0);
    scripted_stream_end(&st);
}

TEST(stream, an_append_tells_where_its_events_are)
{
    struct scripted_stream st;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "a", NULL, NULL, "x");
    scripted_stream_put(&st, "c", NULL, NULL, "x");
    struct evlog_new_event events[2] = {{.type = "A", .data = bytes("1")}, {.type = "B", .data = bytes("2")}};
    struct evlog_append append = append_of("a", 0, events, 2);
    assert_int_equal(evlog_append(&st.s.client, &append, &appended, NULL), 0);
    assert_int_equal(appended.partition, 1);
    assert_int_equal(appended.first_version, 1);
    assert_int_equal(appended.first_offset, 2);
    assert_int_equal(appended.version, 2);
    assert_int_equal(appended.offset, 3);
    assert_false(appended.duplicate);
    assert_int_equal(strlen(appended.position), 40);
    const struct scripted_event *first = &st.log[1][2], *second = &st.log[1][3];
    assert_int_equal(strlen(first->id), 36);
    assert_int_equal(first->id[14], '7');
    assert_string_not_equal(first->id, second->id);
    assert_string_equal(second->data, "2");
    assert_int_equal(evlog_append(&st.s.client, &append, NULL, NULL), EVLOG_ERR_WRONG_VERSION);
    scripted_stream_end(&st);
}

TEST(stream, what_the_caller_has_no_room_for_is_not_written)
{
    struct scripted_stream st;
    struct {
        struct evlog_appended appended;
        uint8_t behind;
    } old;
    memset(&old, 0x5a, sizeof old);
    old.appended.size = offsetof(struct evlog_appended, version);
    scripted_stream_begin(&st, NULL);
    assert_int_equal(append_one(&st, "a", EVLOG_EXPECT_NONE, NULL, &old.appended, NULL), 0);
    assert_int_equal(old.appended.first_version, 0);
    assert_int_equal(old.appended.size, offsetof(struct evlog_appended, version));
    assert_int_equal(((uint8_t *)&old.appended.version)[0], 0x5a);
    scripted_stream_end(&st);
}

TEST(stream, a_lost_answer_is_a_duplicate_and_no_conflict)
{
    struct scripted_stream st;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "a", NULL, NULL, "x");
    st.lost = 2;
    assert_int_equal(append_one(&st, "a", 0, NULL, &appended, NULL), 0);
    assert_int_equal(st.append_count, 3);
    assert_true(appended.duplicate);
    assert_int_equal(appended.version, 1);
    assert_int_equal(st.count[1], 2);
    scripted_stream_end(&st);
}

TEST(stream, an_answer_that_may_mend_is_asked_for_again)
{
    static const int codes[] = {EL_KAFKA_NOT_LEADER_OR_FOLLOWER, EL_KAFKA_KAFKA_STORAGE_ERROR,
                                EL_KAFKA_REQUEST_TIMED_OUT, EL_KAFKA_UNKNOWN_TOPIC_OR_PARTITION};
    struct scripted_stream st;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        el_client_lock(&st.s.client);
        st.error = codes[i];
        st.error_count = 2;
        el_client_unlock(&st.s.client);
        assert_int_equal(append_one(&st, "a", EVLOG_EXPECT_ANY, NULL, &appended, NULL), 0);
        assert_int_equal(appended.version, i);
    }
    scripted_stream_end(&st);
}

TEST(stream, an_append_without_an_answer_is_in_doubt)
{
    static const char *const settings[] = {
        "request.timeout.ms", "50", "delivery.timeout.ms", "100", "linger.ms", "0", NULL};
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_stream_begin(&st, settings);
    st.silent = true;
    assert_int_equal(append_one(&st, "a", 0, "id-1", NULL, &failure), EVLOG_ERR_IN_DOUBT);
    assert_true(failure.in_doubt);
    assert_true(failure.retriable);
    expect_text(&failure, "same ids");
    el_client_lock(&st.s.client);
    st.silent = false;
    st.error = EL_KAFKA_REQUEST_TIMED_OUT; /* the broker has it, and does not know yet */
    st.error_count = 1000;
    el_client_unlock(&st.s.client);
    assert_int_equal(append_one(&st, "a", 0, "id-1", NULL, &failure), EVLOG_ERR_IN_DOUBT);
    el_client_lock(&st.s.client);
    st.error = EL_KAFKA_NOT_LEADER_OR_FOLLOWER;
    st.error_count = 1000;
    el_client_unlock(&st.s.client);
    assert_int_equal(append_one(&st, "a", 0, "id-1", NULL, &failure), EVLOG_ERR_CLOSED);
    assert_false(failure.in_doubt);
    scripted_stream_end(&st);
}

TEST(stream, a_broker_without_streams_is_told_in_words)
{
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream *stream = NULL;
    scripted_stream_begin(&st, NULL);
    st.unsupported = true;
    assert_int_equal(append_one(&st, "a", 0, NULL, NULL, &failure), EVLOG_ERR_UNSUPPORTED);
    expect_text(&failure, "this broker has no streams");
    assert_int_equal(append_one(&st, "a", 0, NULL, NULL, NULL), EVLOG_ERR_UNSUPPORTED); /* who wants no words */
    options.topic = "t";
    options.key = bytes("a");
    assert_int_equal(evlog_stream_open(&st.s.client, &options, &stream, &failure), EVLOG_ERR_UNSUPPORTED);
    assert_null(stream);
    scripted_stream_end(&st);
}

TEST(stream, a_conflict_says_what_the_stream_is_at)
{
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "a", "1", "Made", "x");
    scripted_stream_put(&st, "a", "2", "Paid", "x");
    assert_int_equal(append_one(&st, "a", 0, "3", &appended, &failure), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(appended.conflict.current_version, 1);
    assert_int_equal(appended.conflict.expected, 0);
    assert_string_equal(appended.conflict.current_type, "Paid");
    assert_int_equal(appended.conflict.current_time_ms, 1767225600000);
    assert_memory_equal(appended.conflict.key.data, "a", 1);
    assert_string_equal(failure.text,
                        "stream a of topic t is at version 1 (Paid, 2026-01-01T00:00:00.000Z), and not at version 0");
    assert_false(failure.retriable);
    assert_int_equal(append_one(&st, "a", EVLOG_EXPECT_NONE, "3", NULL, &failure), EVLOG_ERR_WRONG_VERSION);
    expect_text(&failure, "and was to have no events");
    assert_int_equal(append_one(&st, "b", EVLOG_EXPECT_EXISTS, "3", &appended, &failure), EVLOG_ERR_WRONG_VERSION);
    expect_text(&failure, "stream b of topic t is not there, and was to have events");
    assert_int_equal(appended.conflict.current_version, -1);
    assert_int_equal(append_one(&st, "a", 0, "2", &appended, &failure), 0);
    assert_true(appended.duplicate);
    scripted_stream_end(&st);
}

TEST(stream, ids_that_half_exist_and_ended_streams_are_told_apart)
{
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    struct evlog_stream_delete del = EVLOG_STREAM_DELETE_INIT;
    struct evlog_new_event events[2] = {{.id = "1"}, {.id = "2"}};
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "a", "1", "Made", "x");
    struct evlog_append append = append_of("a", EVLOG_EXPECT_ANY, events, 2);
    assert_int_equal(evlog_append(&st.s.client, &append, &appended, &failure), EVLOG_ERR_ID_CONFLICT);
    expect_text(&failure, "some of the events are there already");
    del.topic = "t";
    del.key = bytes("a");
    del.hard = true;
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, NULL, &failure), 0);
    assert_int_equal(append_one(&st, "a", EVLOG_EXPECT_ANY, "9", &appended, &failure), EVLOG_ERR_STREAM_ENDED);
    expect_text(&failure, "deleted for good");
    assert_true(appended.conflict.deleted);
    scripted_stream_end(&st);
}

TEST(stream, an_event_is_found_by_its_id_and_nothing_is_appended)
{
    struct scripted_stream st;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    struct evlog_stream_delete del = EVLOG_STREAM_DELETE_INIT;
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "a", "1", "Made", "x");
    scripted_stream_put(&st, "a", "2", "Paid", "x");
    struct evlog_client *client = &st.s.client;
    assert_int_equal(evlog_event_find(client, "t", bytes("a"), "1", &appended, NULL), 0);
    assert_int_equal(appended.version, 0);
    assert_int_equal(evlog_event_find(client, "t", bytes("a"), "3", &appended, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(evlog_event_find(client, "t", bytes("b"), "1", NULL, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(evlog_event_find(client, "t", bytes("a"), NULL, NULL, NULL), EVLOG_ERR_ARGUMENT);
    del.topic = "t";
    del.key = bytes("a");
    del.hard = true;
    assert_int_equal(evlog_stream_delete(client, &del, NULL, NULL), 0);
    assert_int_equal(evlog_event_find(client, "t", bytes("a"), "3", NULL, NULL), EVLOG_ERR_NOT_FOUND);
    assert_int_equal(st.count[1], 3);
    scripted_stream_end(&st);
}

TEST(stream, several_streams_are_appended_to_or_all_conflicts_are_told)
{
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_append_outcome *outcome = NULL;
    struct evlog_new_event event = {.type = "Moved", .data = bytes("{}")};
    struct evlog_stream_events streams[2] = {{bytes("a"), EVLOG_EXPECT_NONE, &event, 1},
                                             {bytes("c"), EVLOG_EXPECT_NONE, &event, 1}};
    struct evlog_stream_check check = {bytes("e"), EVLOG_EXPECT_EXISTS};
    struct evlog_append_all all = EVLOG_APPEND_ALL_INIT;
    scripted_stream_begin(&st, NULL);
    all.topic = "t";
    all.streams = streams;
    all.stream_count = 2;
    assert_int_equal(evlog_append_all(&st.s.client, &all, &outcome, NULL), 0);
    assert_int_equal(outcome->place_count, 2);
    assert_int_equal(outcome->places[1].offset, 1);
    assert_int_equal(outcome->places[1].version, 0);
    assert_int_equal(outcome->conflict_count, 0);
    evlog_append_outcome_free(outcome);
    all.checks = &check;
    all.check_count = 1;
    assert_int_equal(evlog_append_all(&st.s.client, &all, &outcome, &failure), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(outcome->place_count, 0);
    assert_string_equal(outcome->position, "");
    assert_int_equal(outcome->conflict_count, 3);
    assert_memory_equal(outcome->conflicts[1].key.data, "c", 1);
    assert_memory_equal(outcome->conflicts[2].key.data, "e", 1);
    expect_text(&failure, "2 more of the append");
    evlog_append_outcome_free(outcome);
    assert_int_equal(st.count[1], 2);
    scripted_stream_end(&st);
}

TEST(stream, answers_that_do_not_fit_are_not_believed)
{
    struct scripted_stream st;
    struct evlog_append_outcome *outcome = (void *)1;
    struct evlog_new_event event = {.type = "Moved"};
    struct evlog_stream_events stream = {bytes("a"), EVLOG_EXPECT_NONE, &event, 1};
    struct evlog_append_all all = EVLOG_APPEND_ALL_INIT;
    scripted_stream_begin(&st, NULL);
    st.unfit = true;
    all.topic = "t";
    all.streams = &stream;
    all.stream_count = 1;
    assert_int_equal(evlog_append_all(&st.s.client, &all, &outcome, NULL), EVLOG_ERR_MALFORMED);
    assert_null(outcome);
    assert_int_equal(evlog_append_all(&st.s.client, &all, &outcome, NULL), EVLOG_ERR_MALFORMED);
    assert_null(outcome);
    scripted_stream_end(&st);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static struct evlog_stream *open_stream(struct scripted_stream *st, const char *key, int64_t from, int64_t to,
                                        bool backward)
{
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream *stream = NULL;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    options.topic = "t";
    options.key = bytes(key);
    options.from = from;
    options.to = to;
    options.backward = backward;
    if (evlog_stream_open(&st->s.client, &options, &stream, &failure) != 0) {
        fail_msg("%s", failure.text);
    }
    return stream;
}

/* Versions as text, such as "0 1 2 "; the reader is closed. */
static const char *read_all(struct evlog_stream *stream)
{
    static char text[512];
    const struct evlog_stream_event *event;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    size_t len = 0;
    text[0] = '\0';
    int rc = evlog_stream_next(stream, &event, &failure);
    for (; rc == 1; rc = evlog_stream_next(stream, &event, &failure)) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%lld ", (long long)event->version);
    }
    if (rc != 0) {
        fail_msg("%s", failure.text);
    }
    evlog_stream_close(stream);
    return text;
}

static void put_many(struct scripted_stream *st, const char *key, int count)
{
    char id[16];
    for (int i = 0; i < count; i++) {
        (void)snprintf(id, sizeof id, "%s%d", key, i);
        scripted_stream_put(st, key, id, i % 2 == 0 ? "Even" : "Odd", "{}");
        scripted_stream_put(st, "zz", NULL, NULL, "other");
    }
}

TEST(stream, a_stream_is_read_in_pages_in_both_directions)
{
    struct scripted_stream st;
    scripted_stream_begin(&st, NULL);
    put_many(&st, "a", 7);
    st.page = 3;
    assert_string_equal(read_all(open_stream(&st, "a", -1, -1, false)), "0 1 2 3 4 5 6 ");
    assert_string_equal(read_all(open_stream(&st, "a", 2, 5, false)), "2 3 4 5 ");
    assert_string_equal(read_all(open_stream(&st, "a", -1, -1, true)), "6 5 4 3 2 1 0 ");
    assert_string_equal(read_all(open_stream(&st, "a", 4, 1, true)), "4 3 2 1 ");
    assert_string_equal(read_all(open_stream(&st, "a", 0, 0, true)), "0 ");
    assert_string_equal(read_all(open_stream(&st, "a", 7, -1, false)), "");
    st.page = 1;
    assert_string_equal(read_all(open_stream(&st, "a", 0, 1, false)), "0 1 ");
    scripted_stream_end(&st);
}

TEST(stream, an_event_has_its_names_and_its_place)
{
    struct scripted_stream st;
    const struct evlog_stream_event *event;
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "b", NULL, NULL, "x");
    scripted_stream_put(&st, "a", "id-1", "Made", "{\"n\":1}");
    scripted_stream_put(&st, "a", NULL, NULL, NULL);
    struct evlog_stream *stream = open_stream(&st, "a", -1, -1, false);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    assert_int_equal(event->event->partition, 1);
    assert_int_equal(event->event->offset, 0);
    assert_int_equal(event->event->append_time_ns, 1000);
    assert_string_equal(event->event->topic, "t");
    assert_memory_equal(event->event->key.data, "a", 1);
    assert_memory_equal(event->id.data, "id-1", 4);
    assert_memory_equal(event->type.data, "Made", 4);
    assert_memory_equal(event->data.data, "{\"n\":1}", 7);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    assert_null(event->id.data);
    assert_null(event->type.data);
    assert_null(event->data.data);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 0);
    evlog_stream_close(stream);
    scripted_stream_end(&st);
}

TEST(stream, a_stream_that_is_not_there_says_so)
{
    struct scripted_stream st;
    struct evlog_stream_state state = EVLOG_STREAM_STATE_INIT;
    const struct evlog_stream_event *event;
    scripted_stream_begin(&st, NULL);
    struct evlog_stream *stream = open_stream(&st, "a", -1, -1, false);
    evlog_stream_state(stream, &state);
    assert_int_equal(state.last_version, -1);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 0);
    evlog_stream_close(stream);
    scripted_stream_end(&st);
}

TEST(stream, what_comes_while_it_is_read_is_not_read)
{
    struct scripted_stream st;
    const struct evlog_stream_event *event;
    scripted_stream_begin(&st, NULL);
    put_many(&st, "a", 4);
    st.page = 2;
    struct evlog_stream *stream = open_stream(&st, "a", -1, -1, false);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    put_many(&st, "a", 4);
    assert_string_equal(read_all(stream), "1 2 3 ");
    scripted_stream_end(&st);
}

TEST(stream, the_past_is_read_as_it_was)
{
    struct scripted_stream st;
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream *stream = NULL;
    scripted_stream_begin(&st, NULL);
    for (int i = 0; i < 5; i++) {
        scripted_stream_put(&st, "a", NULL, "Made", "x");
    }
    options.topic = "t";
    options.key = bytes("a");
    options.as_of_ns = 3000;
    assert_int_equal(evlog_stream_open(&st.s.client, &options, &stream, NULL), 0);
    assert_string_equal(read_all(stream), "0 1 2 ");
    scripted_stream_end(&st);
}

TEST(stream, a_reader_goes_on_where_it_failed)
{
    static const char *const settings[] = {"request.timeout.ms", "20", NULL};
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    const struct evlog_stream_event *event;
    scripted_stream_begin(&st, settings);
    put_many(&st, "a", 4);
    st.page = 2;
    struct evlog_stream *stream = open_stream(&st, "a", -1, -1, false);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    st.silent = true;
    assert_int_equal(evlog_stream_next(stream, &event, &failure), EVLOG_ERR_CLOSED);
    assert_false(failure.in_doubt);
    st.silent = false;
    assert_string_equal(read_all(stream), "2 3 ");
    scripted_stream_end(&st);
}

TEST(stream, a_reader_does_not_go_in_circles)
{
    struct scripted_stream st;
    const struct evlog_stream_event *event;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    scripted_stream_begin(&st, NULL);
    put_many(&st, "a", 6);
    st.page = 2;
    struct evlog_stream *stream = open_stream(&st, "a", 0, -1, false);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    assert_int_equal(evlog_stream_next(stream, &event, NULL), 1);
    st.unfit = true;
    assert_int_equal(evlog_stream_next(stream, &event, &failure), EVLOG_ERR_MALFORMED);
    expect_text(&failure, "does not fit");
    evlog_stream_close(stream);
    scripted_stream_end(&st);
}

TEST(stream, versions_that_cannot_be_are_refused_here)
{
    static const struct {
        int64_t from, to, as_of_ns;
        bool backward;
    } bad[] = {{-2, -1, 0, false}, {3, 2, 0, false}, {2, 3, 0, true}, {0, -7, 0, false}, {0, 0, -1, false}};
    struct scripted_stream st;
    scripted_stream_begin(&st, NULL);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
        struct evlog_stream *stream = NULL;
        options.topic = "t";
        options.key = bytes("a");
        options.from = bad[i].from;
        options.to = bad[i].to;
        options.as_of_ns = bad[i].as_of_ns;
        options.backward = bad[i].backward;
        assert_int_equal(evlog_stream_open(&st.s.client, &options, &stream, NULL), EVLOG_ERR_ARGUMENT);
    }
    scripted_stream_end(&st);
}

/* --- types, names, deletion --------------------------------------------------------------------------------------- */

static const char *read_type(struct scripted_stream *st, const struct evlog_type_options *options)
{
    static char text[512];
    const struct evlog_stream_event *event;
    struct evlog_type_reader *reader = NULL;
    size_t len = 0;
    text[0] = '\0';
    int rc = evlog_type_open(&st->s.client, options, &reader, NULL);
    assert_int_equal(rc, 0);
    while ((rc = evlog_type_next(reader, &event, NULL)) == 1) {
        assert_int_equal(event->version, -1);
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s@%d:%lld ", (int)event->event->key.len,
                                (const char *)event->event->key.data, event->event->partition,
                                (long long)event->event->offset);
    }
    evlog_type_close(reader);
    (void)snprintf(text + len, sizeof text - len, "%s", rc == 0 ? "" : evlog_error_name(rc));
    return text;
}

TEST(stream, events_of_a_type_are_read_over_all_partitions)
{
    struct scripted_stream st;
    struct evlog_type_options options = EVLOG_TYPE_OPTIONS_INIT;
    scripted_stream_begin(&st, NULL);
    for (int i = 0; i < 3; i++) {
        scripted_stream_put(&st, "a", NULL, "Made", "x");
        scripted_stream_put(&st, "b", NULL, "Made", "x");
        scripted_stream_put(&st, "c", NULL, "Paid", "x");
    }
    st.page = 2;
    options.topic = "t";
    options.type = "Made";
    assert_string_equal(read_type(&st, &options), "b@0:0 b@0:1 b@0:2 a@1:0 a@1:2 a@1:4 ");
    options.backward = true;
    assert_string_equal(read_type(&st, &options), "b@0:2 b@0:1 b@0:0 a@1:4 a@1:2 a@1:0 ");
    options.backward = false;
    options.partition = 1;
    options.from_offset = 1;
    assert_string_equal(read_type(&st, &options), "a@1:2 a@1:4 ");
    options.type = "Gone";
    assert_string_equal(read_type(&st, &options), "");
    options.type = "Made";
    st.unfit = true;
    struct evlog_type_reader *reader = NULL;
    assert_int_equal(evlog_type_open(&st.s.client, &options, &reader, NULL), EVLOG_ERR_MALFORMED);
    options.partition = 2;
    assert_int_equal(evlog_type_open(&st.s.client, &options, &reader, NULL), EVLOG_ERR_UNKNOWN_TOPIC);
    options.type = "";
    assert_int_equal(evlog_type_open(&st.s.client, &options, &reader, NULL), EVLOG_ERR_ARGUMENT);
    scripted_stream_end(&st);
}

static const char *list_all(struct scripted_stream *st, const struct evlog_stream_list_options *options)
{
    static char text[512];
    const struct evlog_stream_name *name;
    struct evlog_stream_lister *lister = NULL;
    size_t len = 0;
    text[0] = '\0';
    assert_int_equal(evlog_stream_list_open(&st->s.client, options, &lister, NULL), 0);
    while (evlog_stream_list_next(lister, &name, NULL) == 1) {
        len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=%lld%s%s ", (int)name->key.len,
                                (const char *)name->key.data, (long long)name->last_version, name->deleted ? "d" : "",
                                name->ended ? "e" : "");
    }
    evlog_stream_list_close(lister);
    return text;
}

TEST(stream, names_of_all_partitions_come_in_one_order)
{
    static const char *const keys[] = {"d", "a", "aa", "c", "b", "ab", "e", "ca", "b", "d", "d"};
    struct scripted_stream st;
    struct evlog_stream_list_options options = EVLOG_STREAM_LIST_OPTIONS_INIT;
    struct evlog_stream_delete del = EVLOG_STREAM_DELETE_INIT;
    struct evlog_stream_lister *lister = NULL;
    scripted_stream_begin(&st, NULL);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        scripted_stream_put(&st, keys[i], NULL, NULL, "x");
    }
    del.topic = "t";
    del.key = bytes("ab");
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, NULL, NULL), 0);
    options.topic = "t";
    for (st.page = 1; st.page < 5; st.page++) {
        assert_string_equal(list_all(&st, &options), "a=0 aa=0 b=1 c=0 ca=0 d=2 e=0 ");
    }
    options.with_deleted = true;
    options.prefix = bytes("a");
    assert_string_equal(list_all(&st, &options), "a=0 aa=0 ab=1d ");
    options.after = bytes("a");
    assert_string_equal(list_all(&st, &options), "aa=0 ab=1d ");
    st.unfit = true;
    assert_int_equal(evlog_stream_list_open(&st.s.client, &options, &lister, NULL), EVLOG_ERR_MALFORMED);
    scripted_stream_end(&st);
}

TEST(stream, a_deletion_is_done_once)
{
    struct scripted_stream st;
    struct evlog_failure failure = EVLOG_FAILURE_INIT;
    struct evlog_appended appended = EVLOG_APPENDED_INIT;
    struct evlog_stream_delete del = EVLOG_STREAM_DELETE_INIT;
    scripted_stream_begin(&st, NULL);
    scripted_stream_put(&st, "a", NULL, "Made", "x");
    del.topic = "t";
    del.key = bytes("b");
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, &appended, &failure), EVLOG_ERR_NOT_FOUND);
    del.key = bytes("a");
    del.expected = 5;
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, &appended, &failure), EVLOG_ERR_WRONG_VERSION);
    assert_int_equal(appended.conflict.current_version, 0);
    del.expected = 0;
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, &appended, &failure), 0);
    assert_int_equal(appended.version, 1);
    assert_false(appended.duplicate);
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, &appended, &failure), 0);
    assert_true(appended.duplicate);
    assert_int_equal(append_one(&st, "a", EVLOG_EXPECT_NONE, NULL, &appended, &failure), 0);
    assert_int_equal(appended.version, 2);
    del.key = (struct evlog_bytes){NULL, 0};
    assert_int_equal(evlog_stream_delete(&st.s.client, &del, &appended, &failure), EVLOG_ERR_ARGUMENT);
    scripted_stream_end(&st);
}

static void fair(int rc)
{
    if (rc < 0) {
        assert_true(el_test_failing());
    }
}

TEST_TORTURE(stream, memory_that_runs_out_is_told)
{
    static const char *const settings[] = {
        "request.timeout.ms", "200", "delivery.timeout.ms", "400", "linger.ms", "0", NULL};
    struct scripted_stream st;
    struct evlog_append_outcome *outcome = NULL;
    struct evlog_new_event event = {.type = "Moved", .data = bytes("{}")};
    struct evlog_stream_events stream = {bytes("a"), EVLOG_EXPECT_ANY, &event, 1};
    struct evlog_append_all all = EVLOG_APPEND_ALL_INIT;
    struct evlog_stream_options options = EVLOG_STREAM_OPTIONS_INIT;
    struct evlog_stream_list_options names = EVLOG_STREAM_LIST_OPTIONS_INIT;
    struct evlog_type_options type = EVLOG_TYPE_OPTIONS_INIT;
    struct evlog_stream *reader = NULL;
    struct evlog_type_reader *typed = NULL;
    struct evlog_stream_lister *lister = NULL;
    const struct evlog_stream_event *shown;
    const struct evlog_stream_name *name;
    scripted_stream_begin(&st, settings);
    all.topic = options.topic = names.topic = type.topic = "t";
    all.streams = &stream;
    all.stream_count = 1;
    options.key = bytes("a");
    type.type = "Moved";
    fair(evlog_append_all(&st.s.client, &all, &outcome, NULL));
    evlog_append_outcome_free(outcome);
    fair(evlog_stream_open(&st.s.client, &options, &reader, NULL));
    fair(reader == NULL ? 0 : evlog_stream_next(reader, &shown, NULL));
    evlog_stream_close(reader);
    fair(evlog_type_open(&st.s.client, &type, &typed, NULL));
    fair(typed == NULL ? 0 : evlog_type_next(typed, &shown, NULL));
    evlog_type_close(typed);
    fair(evlog_stream_list_open(&st.s.client, &names, &lister, NULL));
    fair(lister == NULL ? 0 : evlog_stream_list_next(lister, &name, NULL));
    evlog_stream_list_close(lister);
    scripted_stream_end(&st);
}
