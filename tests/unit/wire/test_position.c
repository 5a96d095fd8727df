/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a position comes back as it went out, and nothing else is taken for one.
 * Method: words by hand, each changed in one place.
 */
#include "test.h"

#include <evlog/error.h>
#include <wire/position.h>

static struct el_position sample(void)
{
    struct el_position position = {.partition = 7, .offset = INT64_C(0x123456789abc)};
    for (uint8_t i = 0; i < sizeof position.topic_id.bytes; i++) {
        position.topic_id.bytes[i] = (uint8_t)(0xf0 + i);
    }
    return position;
}

TEST(position, of_another_length_is_refused)
{
    char text[EL_POSITION_TEXT_LEN + 1];
    struct el_position in = sample(), out;
    el_position_format(text, &in);
    for (size_t len = 0; len < EL_POSITION_TEXT_LEN; len++) {
        assert_int_equal(el_position_parse(el_slice_of(text, len), &out), EVLOG_ERR_MALFORMED);
    }
    char longer[EL_POSITION_TEXT_LEN + 2];
    memcpy(longer, text, EL_POSITION_TEXT_LEN);
    memcpy(longer + EL_POSITION_TEXT_LEN, "A", 2);
    assert_int_equal(el_position_parse(el_slice_str(longer), &out), EVLOG_ERR_MALFORMED);
}

TEST(position, with_a_letter_changed_is_refused)
{
    char text[EL_POSITION_TEXT_LEN + 1];
    struct el_position in = sample(), out;
    for (uint32_t i = 0; i < EL_POSITION_TEXT_LEN; i++) {
        el_position_format(text, &in);
        text[i] = text[i] == 'A' ? 'B' : 'A';
        assert_int_equal(el_position_parse(el_slice_str(text), &out), EVLOG_ERR_MALFORMED);
        text[i] = '+';
        assert_int_equal(el_position_parse(el_slice_str(text), &out), EVLOG_ERR_MALFORMED);
    }
}

TEST(position, of_a_newer_version_is_told_from_a_damaged_one)
{
    struct el_position out;
    assert_int_equal(el_position_parse(el_slice_str("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACD"), &out),
                     EVLOG_ERR_FORMAT);
}

TEST(position, comes_back_as_it_was)
{
    char text[EL_POSITION_TEXT_LEN + 1];
    struct el_position in = sample(), out;
    el_position_format(text, &in);
    assert_int_equal(strlen(text), EL_POSITION_TEXT_LEN);
    assert_null(strpbrk(text, "+/="));
    assert_int_equal(el_position_parse(el_slice_str(text), &out), 0);
    assert_memory_equal(out.topic_id.bytes, in.topic_id.bytes, sizeof in.topic_id.bytes);
    assert_int_equal(out.partition, in.partition);
    assert_true(out.offset == in.offset);
}
