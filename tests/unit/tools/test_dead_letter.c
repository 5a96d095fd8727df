/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of dead letters. Goal: what anybody may have written there is read without harm, and nothing is made up.
 * Method: hand-made headers, the refusals first; histories cut at every byte.
 */
#include "../../../tools/evlog/dead_letter.h"
#include "../../lib/test.h"

#include <core/cbor.h>
#include <string.h>

#define HEADER(name, text)                                                                                             \
    {                                                                                                                  \
        {name, sizeof(name) - 1},                                                                                      \
        {                                                                                                              \
            text, sizeof(text) - 1                                                                                     \
        }                                                                                                              \
    }

static bool read_headers(const struct evlog_header *headers, size_t count, struct dead_letter *letter)
{
    struct evlog_event event = {.topic = "t.g.dlq", .headers = headers, .header_count = count};
    return dead_letter_read(&event, letter);
}

TEST(dead_letter, an_event_without_topic_or_offset_is_none)
{
    struct dead_letter letter;
    const struct evlog_header bad[] = {HEADER("evlog-dlq-topic", "t"), HEADER("evlog-dlq-offset", "x")};
    assert_false(read_headers(NULL, 0, &letter));
    assert_false(read_headers(bad, 1, &letter));
    assert_false(read_headers(bad, 2, &letter));
}

TEST(dead_letter, numbers_that_are_none_are_unknown)
{
    struct dead_letter letter;
    const struct evlog_header headers[] = {
        HEADER("evlog-dlq-topic", "t"),
        HEADER("evlog-dlq-offset", "12"),
        HEADER("evlog-dlq-partition", "-3"),
        HEADER("evlog-dlq-attempts", "99999999999999999999"),
        HEADER("evlog-dlq-timestamp", "yesterday or so"),
    };
    assert_true(read_headers(headers, 5, &letter));
    assert_int_equal(letter.offset, 12);
    assert_int_equal(letter.partition, -1);
    assert_int_equal(letter.attempts, -1);
    assert_int_equal(letter.timestamp_ms, -1);
    assert_null(letter.reason.data);
}

static size_t write_history(uint8_t *buf, size_t room)
{
    struct el_writer w;
    el_writer_init(&w, buf, room);
    el_cbor_write_array(&w, 2);
    for (int i = 0; i < 2; i++) {
        el_cbor_write_array(&w, i == 0 ? 5 : 6);
        el_cbor_write_int(&w, 1000 + i);
        el_cbor_write_cstr(&w, "worker");
        el_cbor_write_cstr(&w, "failed");
        el_cbor_write_cstr(&w, "why");
        if (i == 0) {
            el_cbor_write_null(&w);
        } else {
            el_cbor_write_bytes(&w, el_slice_str("\xff"));
            el_cbor_write_int(&w, 7); /* of a later version */
        }
    }
    return el_writer_len(&w);
}

TEST(dead_letter, tells_its_story)
{
    struct dead_letter letter;
    uint8_t history[128];
    struct evlog_header headers[] = {
        HEADER("evlog-dlq-topic", "t"),        HEADER("evlog-dlq-offset", "12"), HEADER("evlog-dlq-partition", "3"),
        HEADER("evlog-dlq-attempts", "2"),     HEADER("evlog-dlq-group", "g"),   HEADER("evlog-dlq-reason", "exit 9"),
        HEADER("evlog-dlq-timestamp", "1000"), HEADER("evlog-dlq-history", ""),
    };
    headers[7].value = (struct evlog_bytes){history, write_history(history, sizeof history)};
    assert_true(read_headers(headers, 8, &letter));
    assert_int_equal(letter.partition, 3);
    assert_int_equal(letter.attempts, 2);
    assert_int_equal(letter.timestamp_ms, 1000);
    assert_int_equal(letter.reason.len, 6);
    assert_false(letter.history_broken);
    assert_int_equal(letter.history_count, 2);
    assert_int_equal(letter.history[1].time_ms, 1001);
    assert_null(letter.history[0].error.data);
    assert_int_equal(letter.history[0].reason.len, 3);
    assert_int_equal(letter.history[1].error.len, 1);
}

TEST(dead_letter, a_history_cut_anywhere_is_called_broken)
{
    uint8_t history[128];
    size_t len = write_history(history, sizeof history);
    struct evlog_header headers[] = {
        HEADER("evlog-dlq-topic", "t"),
        HEADER("evlog-dlq-offset", "1"),
        HEADER("evlog-dlq-history", ""),
    };
    for (size_t cut = 0; cut < len; cut++) {
        struct dead_letter letter;
        headers[2].value = (struct evlog_bytes){history, cut};
        assert_true(read_headers(headers, 3, &letter));
        assert_true(letter.history_broken);
        assert_true(letter.history_count < 2);
    }
}
