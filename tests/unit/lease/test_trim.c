/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a batch without the records that nobody was given is a batch still, with the others as they were; whatever is
 * not as it should be stays as it is. Method: batches made by the builder, every subset of a small one, damage of each
 * byte of the records; and what a worker gets that takes one event at a time.
 */
#include "part_kit.h"

#include <lease/lease_trim.h>
#include <stdio.h>

#define RECORDS 8u
#define BASE 1000

static struct el_slice make(uint8_t *buf, size_t room, uint32_t records)
{
    struct el_batch_builder builder;
    struct el_slice batch;
    char value[64];
    el_batch_builder_init_fixed(&builder, buf, room);
    for (uint32_t i = 0; i < records; i++) {
        struct el_header header = {el_slice_str("h"), el_slice_str("x")};
        snprintf(value, sizeof value, "%0*u", (int)(1 + i * 7 % 50), i);
        struct el_record_body body = {
            .key = el_slice_str("key"), .value = el_slice_str(value), .headers = &header, .header_count = i % 2};
        assert_int_equal(el_batch_builder_add(&builder, 5000 - (int64_t)i * 300, &body), 0);
    }
    assert_int_equal(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch), 0);
    el_put_be64(buf + EL_BATCH_POS_BASE_OFFSET, BASE);
    return batch;
}

static uint32_t grants_of(uint32_t mask, struct lease_grant *grants)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < RECORDS; i++) {
        if ((mask & 1u << i) != 0) {
            grants[count++] = (struct lease_grant){.offset = BASE + i, .attempts = 1};
        }
    }
    return count;
}

static void expect_same(const struct el_batch_record *a, const struct el_batch_record *b)
{
    assert_int_equal(a->offset, b->offset);
    assert_int_equal(a->timestamp_ms, b->timestamp_ms);
    assert_true(el_slice_eq(a->record.key, b->record.key));
    assert_true(el_slice_eq(a->record.value, b->record.value));
    assert_int_equal(a->record.header_count, b->record.header_count);
}

TEST(lease_trim, leaves_what_was_granted_as_it_was)
{
    uint8_t whole_buf[4096], buf[4096];
    for (uint32_t mask = 1; mask < 1u << RECORDS; mask++) {
        struct lease_grant grants[RECORDS];
        struct el_batch_iter whole_iter, iter;
        struct el_batch_record whole_record, record;
        struct el_slice whole = make(whole_buf, sizeof whole_buf, RECORDS);
        make(buf, sizeof buf, RECORDS);
        uint32_t count = grants_of(mask, grants);
        uint32_t len = lease_trim_batch(buf, (uint32_t)whole.len, grants, count);
        bool cut = count < 6;
        assert_int_equal(len < whole.len, cut);
        assert_int_equal(el_batch_total_len(buf), len);
        assert_int_equal(el_batch_verify(buf, len), 0);
        assert_int_equal(el_batch_last_offset(buf), BASE + RECORDS - 1);
        assert_int_equal(el_batch_open(&whole_iter, whole.data, whole.len, NULL, 0), 0);
        assert_int_equal(el_batch_open(&iter, buf, len, NULL, 0), 0);
        while (el_batch_next(&whole_iter, &whole_record) == 1) {
            if (!cut || (mask & 1u << (whole_record.offset - BASE)) != 0) {
                assert_int_equal(el_batch_next(&iter, &record), 1);
                expect_same(&record, &whole_record);
            }
        }
        assert_int_equal(el_batch_next(&iter, &record), 0);
    }
}

TEST(lease_trim, leaves_damage_alone)
{
    uint8_t whole_buf[4096], buf[4096], before[4096];
    struct lease_grant grants[RECORDS];
    struct el_slice whole = make(whole_buf, sizeof whole_buf, RECORDS);
    uint32_t count = grants_of(0x24, grants);
    for (size_t i = EL_BATCH_HEADER_LEN; i < whole.len; i++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            memcpy(buf, whole.data, whole.len);
            buf[i] ^= (uint8_t)(1u << bit);
            memcpy(before, buf, whole.len);
            uint32_t len = lease_trim_batch(buf, (uint32_t)whole.len, grants, count);
            assert_true(len <= whole.len);
            if (len == whole.len) {
                assert_memory_equal(buf, before, whole.len);
            }
        }
    }
    /* One that is gone, and more than there are. */
    grants[0].offset = BASE + RECORDS + 5;
    memcpy(buf, whole.data, whole.len);
    assert_int_equal(lease_trim_batch(buf, (uint32_t)whole.len, grants, 1), whole.len);
    el_put_be32(buf + EL_BATCH_POS_RECORD_COUNT, 7000);
    assert_int_equal(lease_trim_batch(buf, (uint32_t)whole.len, grants, 1), whole.len);
}

TEST(lease_trim, all_events_that_were_leased_are_in_the_answer)
{
    static struct part_event events[100];
    static struct lease_fetch_op op;
    for (int i = 0; i < 100; i++) {
        events[i] = (struct part_event){NULL, "v"};
    }
    part_begin("start=earliest");
    part_append_batch(events, 100, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 0);
    int64_t next = 1;
    for (uint32_t count = 1; count < 12; count++) {
        struct el_batch_iter iter;
        struct el_batch_record record;
        op = part_fetch_of(7, count);
        part_fetch(&op);
        assert_int_equal(el_batch_verify(op.data, op.data_len), 0);
        assert_int_equal(el_batch_open(&iter, op.data, op.data_len, NULL, 0), 0);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(el_batch_next(&iter, &record), 1);
            assert_int_equal(record.offset, next++);
        }
        lease_op_release(&op.base);
    }
    part_end();
}

TEST(lease_trim, one_event_at_a_time_costs_its_own_bytes)
{
    static struct part_event events[1000];
    static struct lease_fetch_op op;
    size_t sent = 0;
    for (int i = 0; i < 1000; i++) {
        events[i] = (struct part_event){"hot", "a value of about one hundred bytes, as events have them on average, "
                                               "more or less, so to say"};
    }
    part_begin("start=earliest");
    part_append_batch(events, 1000, EL_CODEC_NONE);
    assert_int_equal(part_lease(7), 0);
    assert_int_equal(part_settle(7, 0, LEASE_ACCEPT), 0);
    for (int64_t i = 1; i < 100; i++) {
        op = part_fetch_of(7, 1);
        part_fetch(&op);
        assert_int_equal(op.range_count, 1);
        assert_int_equal(op.ranges[0].first, i);
        sent += op.data_len;
        lease_op_release(&op.base);
        assert_int_equal(part_settle(7, i, LEASE_ACCEPT), 0);
    }
    assert_true(sent / 99 < 200); /* the batch has 100 kB */
    part_end();
}
