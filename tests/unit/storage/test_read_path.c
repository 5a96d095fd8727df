/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: who reads knows beforehand how much memory that takes: a first batch that is longer is not given, but told of,
 * and what a read holds is no more than store_read_memory() says. Method: a batch in memory, and then in a segment.
 */
#include "kit.h"

#define VALUE_LEN 40000u

static void on_read(struct store_op *op)
{
    *(bool *)op->arg = true;
}

/* Of the first batch, which has to be no longer than first_len_max. */
static struct read_op read_first(struct kit *k, uint32_t first_len_max, bool entries)
{
    bool done = false;
    struct read_op op = {.base = {.done = on_read, .arg = &done},
                         .topic_id = k->topic,
                         .max_bytes = 1,
                         .at_least_one = true,
                         .first_len_max = first_len_max,
                         .want_entries = entries,
                         .current_leader_epoch = -1,
                         .last_fetched_epoch = -1};
    store_read(kit_shard(k), &op);
    for (int i = 0; i < 10000 && !done; i++) {
        kit_steps(k, 1);
    }
    assert_true(done);
    assert_int_equal(op.base.error, 0);
    assert_int_equal(op.high_watermark, 3);
    return op;
}

static void check(struct kit *k)
{
    for (int entries = 0; entries < 2; entries++) {
        struct read_op op = read_first(k, VALUE_LEN, entries != 0);
        uint32_t len = op.first_len;
        assert_in_range(len, VALUE_LEN + 1, VALUE_LEN + 200);
        assert_null(op.data);
        assert_int_equal(op.data_len, 0);
        assert_int_equal(op.memory_len, 0);
        assert_int_equal(op.next_offset, 0);
        store_read_release(&op);
        for (int any = 0; any < 2; any++) {
            op = read_first(k, any == 0 ? len : 0, entries != 0);
            assert_int_equal(op.first_len, 0);
            assert_int_equal(op.data_len, len);
            assert_in_range(op.memory_len, len, store_read_memory(len, entries != 0));
            store_read_release(&op);
            assert_int_equal(op.memory_len, 0);
        }
    }
}

TEST(read_path, a_first_batch_that_is_too_long_tells_its_length)
{
    struct kit k;
    kit_init(&k, 1);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, VALUE_LEN, 3);
    check(&k);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0); /* now it is in a segment alone */
    check(&k);
    kit_free(&k);
}

TEST(read_path, memory_and_the_room_in_it_fit_each_other)
{
    static const uint32_t lens[] = {0, 1, 16u << 10, 64u << 10, 1u << 20, STORE_READ_LEN_MAX, EL_BATCH_LEN_MAX};
    for (int entries = 0; entries < 2; entries++) {
        for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
            size_t memory_len = store_read_memory(lens[i], entries != 0);
            uint32_t room = store_read_room(memory_len, entries != 0);
            assert_true(room >= lens[i]);
            assert_int_equal(store_read_memory(room, entries != 0), memory_len);
            assert_true(store_read_room(memory_len - 1, entries != 0) < room);
        }
        assert_int_equal(store_read_room(EL_BUDDY_BLOCK_MIN, entries != 0), 0);
    }
    assert_int_equal(store_read_memory(STORE_READ_LEN_MAX, true), 8u << 20);
}
