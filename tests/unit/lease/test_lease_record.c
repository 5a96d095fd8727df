/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: records of work groups hold no offset or number of a block behind which there is none, for whoever has one goes
 * on with the next. Method: a record with each number, read.
 */
#include <evlog/error.h>
#include <lease/lease_record.h>
#include <lease/lease_table.h>
#include <test.h>

static int key_of(enum lease_record_kind kind, int64_t number)
{
    uint8_t bytes[128];
    struct el_writer w;
    struct lease_record_key read, key = {.kind = kind, .group_id = el_slice_str("g"), .number = number};
    el_writer_init(&w, bytes, sizeof bytes);
    lease_record_key_encode(&w, &key);
    int code = lease_record_key_decode(el_slice_of(bytes, el_writer_len(&w)), &read);
    assert_true(code != 0 || read.number == number);
    return code;
}

TEST(lease_record, blocks_lie_where_offsets_are)
{
    static const enum lease_record_kind kinds[] = {LEASE_RECORD_BLOCK, LEASE_RECORD_LETTERS};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(key_of(kinds[i], INT64_MAX >> LEASE_BLOCK_BITS), 0);
        assert_int_equal(key_of(kinds[i], (INT64_MAX >> LEASE_BLOCK_BITS) + 1), EVLOG_ERR_CORRUPT);
        assert_int_equal(key_of(kinds[i], INT64_MAX), EVLOG_ERR_CORRUPT);
        assert_int_equal(key_of(kinds[i], -1), EVLOG_ERR_CORRUPT);
    }
}

TEST(lease_record, offsets_have_a_next_one)
{
    for (int i = 0; i < 3; i++) {
        static const int64_t offsets[] = {INT64_MAX - 1, INT64_MAX, -1};
        int wanted = i == 0 ? 0 : EVLOG_ERR_CORRUPT;
        int64_t offset = offsets[i], base;
        uint8_t bytes[LEASE_RECORD_MARK_LEN + 64];
        struct el_writer w;
        struct lease_record_parked parked = {.offset = offset};
        struct lease_record_mark mark = {.letter = offset};
        struct lease_record_part part = {.start = offset, .producer_id = -1}, read;
        assert_int_equal(key_of(LEASE_RECORD_STORY, offset), wanted);
        assert_int_equal(key_of(LEASE_RECORD_EMITS, offset), wanted);
        el_writer_init(&w, bytes, sizeof bytes);
        lease_record_parked_encode(&w, &parked);
        assert_int_equal(lease_record_parked_decode(el_slice_of(bytes, el_writer_len(&w)), &parked), wanted);
        el_writer_init(&w, bytes, sizeof bytes);
        lease_record_mark_encode(&w, &mark);
        assert_int_equal(lease_record_mark_decode(el_slice_of(bytes, el_writer_len(&w)), &mark), wanted);
        el_writer_init(&w, bytes, sizeof bytes);
        lease_record_base_encode(&w, offset);
        assert_int_equal(lease_record_base_decode(el_slice_of(bytes, el_writer_len(&w)), &base), wanted);
        el_writer_init(&w, bytes, sizeof bytes);
        lease_record_part_encode(&w, &part);
        assert_int_equal(lease_record_part_decode(el_slice_of(bytes, el_writer_len(&w)), &read), wanted);
    }
}
