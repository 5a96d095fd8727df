/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what the builder makes passes el_batch_check() and reads back as it was put in; a refused step changes nothing.
 * Method: refusals first, then batches of many sizes with every codec, then failing allocations.
 */
#include "batch_kit.h"
#include "test.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <evlog/error.h>

TEST(batch_builder, refuses_to_finish_nothing)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    el_batch_builder_init(&builder, 1000);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_batch_builder_len(&builder), EL_BATCH_HEADER_LEN);
    el_batch_builder_destroy(&builder);
}

TEST(batch_builder, stops_at_its_length)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    struct el_record_body body = {.value = el_slice_str("0123456789")};
    el_batch_builder_init(&builder, 200);
    int count = 0;
    for (;; count++) {
        size_t len = el_batch_builder_len_with(&builder, KIT_BASE_MS + count, &body);
        int err = el_batch_builder_add(&builder, KIT_BASE_MS + count, &body);
        assert_int_equal(err, len > 200 ? EVLOG_ERR_LIMIT : 0);
        if (err != 0) {
            break;
        }
        assert_int_equal(el_batch_builder_len(&builder), len);
    }
    assert_int_equal(count, (200 - EL_BATCH_HEADER_LEN) / 17);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_int_equal(batch.len, el_batch_builder_len(&builder));
    assert_int_equal(kit_iterate(batch.data, batch.len), count);
    el_batch_builder_destroy(&builder);
}

TEST(batch_builder, keeps_its_records_when_one_is_refused)
{
    static const struct el_header bad = {{NULL, 0}, {NULL, 0}};
    struct el_batch_builder builder;
    struct el_slice batch;
    struct el_record_body body = {.value = el_slice_str("v")};
    struct el_record_body bad_body = {.headers = &bad, .header_count = 1};
    el_batch_builder_init(&builder, 1000);
    assert_int_equal(el_batch_builder_add(&builder, INT64_MIN, &bad_body), EVLOG_ERR_ARGUMENT);
    assert_int_equal(el_batch_builder_add(&builder, INT64_MIN, &body), 0);
    assert_int_equal(el_batch_builder_add(&builder, 0, &body), EVLOG_ERR_ARGUMENT); /* 2^63 ms apart */
    assert_int_equal(el_batch_builder_add(&builder, -1, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    struct el_batch_info info;
    assert_int_equal(kit_check(batch.data, batch.len, &info), 0);
    assert_int_equal(info.record_count, 2);
    assert_true(info.base_timestamp == INT64_MIN);
    assert_int_equal(info.max_timestamp, -1);
    assert_int_equal(info.record_timestamp_max, -1);
    el_batch_builder_destroy(&builder);
}

TEST(batch_builder, in_fixed_memory_does_not_compress)
{
    uint8_t buf[256];
    struct el_batch_builder builder;
    struct el_slice batch;
    struct el_record_body body = {.value = el_slice_str("v")};
    uint64_t live = el_alloc_live();
    el_batch_builder_init_fixed(&builder, buf, 80);
    assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS, &body), 0);
    assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS, &body), 0);
    assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS, &body), EVLOG_ERR_LIMIT);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_LZ4, NULL, &batch), EVLOG_ERR_COMPRESSION);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    assert_int_equal(kit_iterate(batch.data, batch.len), 2);
    el_batch_builder_reset(&builder);
    assert_int_equal(el_batch_builder_len(&builder), EL_BATCH_HEADER_LEN);
    el_batch_builder_destroy(&builder);
    assert_int_equal(el_alloc_live(), live);
}

TEST(batch_builder, compresses_only_what_shrinks)
{
    uint8_t noise[64];
    struct el_rng rng;
    el_rng_seed(&rng, 3);
    for (size_t i = 0; i < sizeof(noise); i++) {
        noise[i] = (uint8_t)el_rng_next(&rng);
    }
    for (int codec = EL_CODEC_GZIP; codec <= EL_CODEC_ZSTD; codec++) {
        struct el_batch_builder builder;
        struct el_slice batch;
        struct el_record_body body = {.value = el_slice_of(noise, sizeof(noise))};
        el_batch_builder_init(&builder, 1 << 20);
        assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS, &body), 0);
        assert_int_equal(el_batch_builder_finish(&builder, (enum el_codec)codec, NULL, &batch), 0);
        assert_int_equal(el_batch_attributes(batch.data), EL_CODEC_NONE);
        assert_int_equal(batch.len, el_batch_builder_len(&builder));
        for (int i = 0; i < 20; i++) { /* the same value again compresses well */
            assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS, &body), 0);
        }
        assert_int_equal(el_batch_builder_finish(&builder, (enum el_codec)codec, NULL, &batch), 0);
        assert_int_equal(el_batch_attributes(batch.data), codec);
        assert_true(batch.len < el_batch_builder_len(&builder) / 2);
        assert_int_equal(kit_iterate(batch.data, batch.len), 21);
        assert_int_equal(el_batch_builder_finish(&builder, (enum el_codec)7, NULL, &batch), EVLOG_ERR_COMPRESSION);
        el_batch_builder_destroy(&builder);
    }
}

TEST(batch_builder, can_finish_again_for_another_producer)
{
    struct el_batch_builder builder;
    struct el_batch_info info;
    struct el_slice batch;
    struct el_batch_origin origin = {.producer_id = 9, .producer_epoch = 1, .base_sequence = 100};
    static const uint8_t zeros[100];
    struct el_record_body body = {.value = el_slice_of(zeros, sizeof(zeros))};
    el_batch_builder_init(&builder, 1 << 20);
    assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS, &body), 0);
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_ZSTD, &origin, &batch), 0);
    assert_int_equal(kit_check(batch.data, batch.len, &info), 0);
    assert_int_equal(info.base_sequence, 100);
    origin.producer_epoch = 2;
    origin.base_sequence = 0;
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_ZSTD, &origin, &batch), 0);
    assert_int_equal(kit_check(batch.data, batch.len, &info), 0);
    assert_int_equal(info.producer_id, 9);
    assert_int_equal(info.producer_epoch, 2);
    assert_int_equal(info.base_sequence, 0);
    assert_int_equal(info.leader_epoch, -1);
    assert_int_equal(info.base_offset, 0);
    el_batch_builder_destroy(&builder);
}

TEST(batch_builder, check_and_iterator_agree)
{
    for (int codec = EL_CODEC_NONE; codec <= EL_CODEC_ZSTD; codec++) {
        for (int count = 1; count < 5000; count = count * 3 + 1) {
            struct el_batch_builder builder;
            struct el_batch_info info;
            struct el_slice batch;
            uint8_t value[40] = "an event with some text in it: ";
            el_batch_builder_init(&builder, 1 << 20);
            for (int i = 0; i < count; i++) {
                el_put_be32(value + 32, (uint32_t)i);
                struct el_record_body body = {.key = el_slice_of(value + 32, 4), .value = el_slice_of(value, 36)};
                assert_int_equal(el_batch_builder_add(&builder, KIT_BASE_MS + i * 3, &body), 0);
            }
            assert_int_equal(el_batch_builder_finish(&builder, (enum el_codec)codec, NULL, &batch), 0);
            assert_int_equal(kit_check(batch.data, batch.len, &info), 0);
            assert_int_equal(info.record_count, count);
            assert_int_equal(info.keyless_index, -1);
            assert_int_equal(info.record_timestamp_max, KIT_BASE_MS + (count - 1) * 3);
            assert_int_equal(info.records_len + EL_BATCH_HEADER_LEN, el_batch_builder_len(&builder));
            assert_int_equal(kit_iterate(batch.data, batch.len), count);
            el_batch_builder_destroy(&builder);
        }
    }
}

TEST_TORTURE(batch_builder, survives_failing_memory)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    uint8_t value[600] = {0};
    struct el_record_body body = {.value = el_slice_of(value, sizeof(value))};
    el_batch_builder_init(&builder, 1 << 20);
    int added = 0;
    for (int i = 0; i < 10; i++) {
        int err = el_batch_builder_add(&builder, KIT_BASE_MS, &body);
        assert_true(err == 0 || (err == EVLOG_ERR_NO_MEMORY && el_test_failing()));
        added += err == 0;
    }
    int err = el_batch_builder_finish(&builder, EL_CODEC_SNAPPY, NULL, &batch);
    assert_true(err == 0 || (err == EVLOG_ERR_NO_MEMORY && el_test_failing()));
    if (err == 0) {
        struct el_batch_info info;
        uint8_t scratch[8192];
        assert_int_equal(el_batch_check(batch.data, batch.len, 1 << 20, scratch, sizeof(scratch), &info), 0);
        assert_int_equal(info.record_count, added);
    }
    el_batch_builder_destroy(&builder);
}
