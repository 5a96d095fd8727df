/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the position of a subscription comes back as it went out, nothing else is taken for one, and two are compared
 * in what both know of. Method: words by hand, each changed in one place.
 */
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <wire/progress.h>

static struct el_progress_entry entries[] = {{0, -1, 5}, {1, 7, 0}, {4, 0, INT64_C(0x123456789abc)}};

static struct el_progress sample(void)
{
    struct el_progress progress = {.whole = true, .entries = entries, .count = 3};
    for (uint8_t i = 0; i < sizeof progress.topic_id.bytes; i++) {
        progress.topic_id.bytes[i] = (uint8_t)(0xf0 + i);
    }
    return progress;
}

static struct el_buffer word_of(const struct el_progress *progress)
{
    struct el_buffer text = {0};
    el_progress_format(&text, progress);
    assert_int_equal(text.err, 0);
    return text;
}

TEST(progress, of_another_length_is_refused)
{
    struct el_progress in = sample(), out;
    struct el_buffer text = word_of(&in);
    for (size_t len = 0; len < text.len; len++) {
        assert_int_equal(el_progress_parse(el_slice_of(text.data, len), &out), EVLOG_ERR_MALFORMED);
    }
    el_buffer_append_str(&text, "AAAA");
    assert_int_equal(el_progress_parse(el_buffer_slice(&text), &out), EVLOG_ERR_MALFORMED);
    el_buffer_free(&text);
}

TEST(progress, with_a_letter_changed_is_refused)
{
    struct el_progress in = sample(), out;
    struct el_buffer text = word_of(&in);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t before = text.data[i];
        for (const char *other = "AB=+/-_ "; *other != 0; other++) {
            text.data[i] = (uint8_t)*other;
            if (text.data[i] != before) {
                assert_int_equal(el_progress_parse(el_buffer_slice(&text), &out), EVLOG_ERR_MALFORMED);
            }
        }
        text.data[i] = before;
    }
    el_buffer_free(&text);
}

TEST(progress, comes_back_as_it_went_out)
{
    struct el_progress in = sample(), out;
    for (uint32_t count = 0; count <= 3; count++) {
        for (int whole = 0; whole < 2; whole++) {
            in.count = count;
            in.whole = whole != 0;
            struct el_buffer text = word_of(&in);
            assert_int_equal(text.len % 4, 0);
            assert_int_equal(el_progress_parse(el_buffer_slice(&text), &out), 0);
            assert_int_equal(out.count, count);
            assert_int_equal(out.whole, whole);
            assert_true(el_uuid_eq(&in.topic_id, &out.topic_id));
            for (uint32_t i = 0; i < count; i++) {
                assert_memory_equal(&out.entries[i], &entries[i], sizeof entries[i]);
            }
            el_progress_free(&out);
            el_buffer_free(&text);
        }
    }
}

TEST(progress, reads_the_position_of_an_append)
{
    struct el_position position = {.partition = 3, .offset = 9};
    struct el_progress out;
    char text[EL_POSITION_TEXT_LEN + 1];
    el_position_format(text, &position);
    assert_int_equal(el_progress_parse(el_slice_str(text), &out), 0);
    assert_int_equal(out.count, 1);
    assert_false(out.whole);
    assert_int_equal(el_progress_find(&out, 3)->offset, 9);
    assert_int_equal(el_progress_find(&out, 3)->leader_epoch, -1);
    assert_null(el_progress_find(&out, 2));
    assert_null(el_progress_find(&out, 4));
    el_progress_free(&out);
}

TEST(progress, is_compared_in_what_both_know_of)
{
    struct el_progress_entry low[] = {{0, 0, 5}, {1, 0, 5}}, high[] = {{0, 0, 5}, {1, 0, 6}},
                             mixed[] = {{0, 0, 4}, {1, 0, 9}};
    struct el_progress_entry one[] = {{1, -1, 5}}, none[] = {{2, -1, 5}};
    struct el_progress a = {.entries = low, .count = 2}, b = {.entries = high, .count = 2};
    struct el_progress c = {.entries = mixed, .count = 2}, d = {.entries = one, .count = 1};
    struct el_progress e = {.entries = none, .count = 1}, other = {.entries = low, .count = 2};
    enum el_progress_order order;
    other.topic_id.bytes[0] = 1;
    assert_int_equal(el_progress_compare(&a, &other, &order), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_progress_compare(&a, &e, &order), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_progress_compare(&a, &a, &order), 0);
    assert_int_equal(order, EL_PROGRESS_EQUAL);
    assert_int_equal(el_progress_compare(&a, &b, &order), 0);
    assert_int_equal(order, EL_PROGRESS_BEFORE);
    assert_int_equal(el_progress_compare(&b, &a, &order), 0);
    assert_int_equal(order, EL_PROGRESS_AFTER);
    assert_int_equal(el_progress_compare(&a, &c, &order), 0);
    assert_int_equal(order, EL_PROGRESS_APART);
    assert_int_equal(el_progress_compare(&a, &d, &order), 0);
    assert_int_equal(order, EL_PROGRESS_EQUAL);
    assert_int_equal(el_progress_compare(&b, &d, &order), 0);
    assert_int_equal(order, EL_PROGRESS_AFTER);
}
