/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the mark of a redacted batch is a batch that readers pass over, says what was put into it, and nothing else is
 * taken for one. Method: marks with every bound, and good ones with each byte changed and cut short, in exact copies on
 * the heap.
 */
#include "test.h"

#include <core/alloc.h>
#include <format/batch.h>
#include <format/redaction.h>

static struct el_redaction_mark good(const char *reason)
{
    return (struct el_redaction_mark){.first_offset = 1ll << 40,
                                      .last_offset_delta = 6,
                                      .leader_epoch = 9,
                                      .record_count = 7,
                                      .max_timestamp_ms = 1700000000000,
                                      .digest = {1, 2, 3, 4},
                                      .when_ms = 1800000000000,
                                      .reason = el_slice_str(reason)};
}

TEST(redaction, a_mark_is_a_control_batch_with_the_offsets_of_what_was_there)
{
    uint8_t bytes[EL_REDACTION_MARK_MAX];
    struct el_redaction_mark mark = good("a password");
    size_t len = el_redaction_mark_put(bytes, &mark);
    struct el_batch_info info;
    assert_int_equal(el_batch_verify(bytes, len), 0);
    assert_int_equal(el_batch_header(bytes, len, &info), 0);
    assert_int_equal(info.base_offset, mark.first_offset);
    assert_int_equal(info.last_offset_delta, 6);
    assert_int_equal(info.leader_epoch, 9);
    assert_int_equal(info.attributes, EL_BATCH_ATTR_CONTROL);
    assert_int_equal(info.producer_id, -1);
    assert_int_equal(info.max_timestamp, mark.max_timestamp_ms);
}

TEST(redaction, a_mark_says_what_was_put_into_it)
{
    static char longest[EL_REDACTION_REASON_MAX + 1];
    memset(longest, 'r', EL_REDACTION_REASON_MAX);
    const char *reasons[] = {"", "a password", longest};
    const int64_t times[] = {-1, 0, INT64_MIN, INT64_MAX};
    const uint32_t deltas[] = {0, 6, INT32_MAX};
    for (size_t i = 0; i < 36; i++) {
        uint8_t bytes[EL_REDACTION_MARK_MAX];
        struct el_redaction_mark mark = good(reasons[i % 3]), got;
        mark.max_timestamp_ms = times[i / 3 % 4];
        mark.last_offset_delta = deltas[i / 12];
        size_t len = el_redaction_mark_put(bytes, &mark);
        assert_true(el_redaction_mark_get(bytes, len, &got));
        assert_int_equal(got.first_offset, mark.first_offset);
        assert_int_equal(got.last_offset_delta, mark.last_offset_delta);
        assert_int_equal(got.leader_epoch, mark.leader_epoch);
        assert_int_equal(got.record_count, mark.record_count);
        assert_true(got.max_timestamp_ms == mark.max_timestamp_ms);
        assert_memory_equal(got.digest, mark.digest, 32);
        assert_true(got.when_ms == mark.when_ms);
        assert_true(el_slice_eq(got.reason, mark.reason));
    }
}

TEST(redaction, nothing_else_is_taken_for_a_mark)
{
    uint8_t bytes[EL_REDACTION_MARK_MAX];
    struct el_redaction_mark mark = good("a password"), got;
    size_t len = el_redaction_mark_put(bytes, &mark);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *copy = el_memdup(bytes, cut == 0 ? 1 : cut);
        assert_non_null(copy);
        assert_false(el_redaction_mark_get(copy, cut, &got));
        el_free(copy);
    }
    const size_t places[] = {EL_BATCH_POS_MAGIC, EL_BATCH_POS_ATTRIBUTES + 1, EL_BATCH_POS_RECORD_COUNT + 3};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t *copy = el_memdup(bytes, len);
        assert_non_null(copy);
        copy[places[i]] = 0;
        assert_false(el_redaction_mark_get(copy, len, &got));
        el_free(copy);
    }
    for (size_t pos = EL_BATCH_HEADER_LEN; pos < len; pos++) { /* whatever it says then, it is read within bounds */
        uint8_t *copy = el_memdup(bytes, len);
        assert_non_null(copy);
        copy[pos] ^= 0xff;
        (void)el_redaction_mark_get(copy, len, &got);
        el_free(copy);
    }
}

TEST(redaction, a_commit_mark_of_kafka_is_none)
{
    uint8_t buf[256], key[4] = {0, 0, 0, 1}, value[64] = {0};
    const struct el_batch_origin origin = {
        .producer_id = -1, .base_sequence = -1, .producer_epoch = -1, .attributes = EL_BATCH_ATTR_CONTROL};
    struct el_record_body body = {.key = el_slice_of(key, 4), .value = el_slice_of(value, sizeof value)};
    struct el_batch_builder builder;
    struct el_redaction_mark got;
    struct el_slice batch;
    el_batch_builder_init_fixed(&builder, buf, sizeof buf);
    assert_int_equal(el_batch_builder_add(&builder, 1, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, &origin, &batch), 0);
    assert_false(el_redaction_mark_get(batch.data, batch.len, &got));
}
