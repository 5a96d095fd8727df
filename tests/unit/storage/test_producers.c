/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: the rules of idempotent producers (docs/protocol.md) hold over restarts, and any number of them fits into
 * memory. Method: a store on the simulated machine.
 */
#include "kit.h"

#define P 7001

TEST(producers, a_duplicate_gets_the_offset_of_its_original)
{
    struct kit k;
    kit_init(&k, 51);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    for (int32_t i = 0; i < 7; i++) {
        assert_int_equal(kit_append_as(&k, 0, 20, P, i), i);
    }
    assert_int_equal(kit_append_as(&k, 0, 20, P, 6), 6);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 2), 2); /* the fifth from behind */
    assert_int_equal(kit_append_as(&k, 0, 20, P, 1), EVLOG_ERR_SEQUENCE);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 8), EVLOG_ERR_SEQUENCE);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 7), 7);
    kit_free(&k);
}

static void after_restart(bool checkpoint, bool clean)
{
    struct kit k;
    kit_init(&k, 52);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    for (int32_t i = 0; i < 7; i++) {
        assert_int_equal(kit_append_as(&k, 0, 20, P, i), i);
        if (checkpoint && i == 4) {
            assert_true(kit_checkpoint(&k));
        }
    }
    if (clean) {
        kit_stop(&k);
    } else {
        kit_crash(&k);
    }
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 2), 2);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 6), 6);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 1), EVLOG_ERR_SEQUENCE);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 8), EVLOG_ERR_SEQUENCE);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 7), 7);
    kit_free(&k);
}

TEST(producers, the_rules_hold_after_a_restart)
{
    after_restart(false, false);
    after_restart(true, false);
    after_restart(false, true);
    after_restart(true, true);
}

/* Rule 5: nothing is known of a producer whose records were deleted, or of one that was silent for long. */
TEST(producers, an_unknown_one_may_begin_anywhere)
{
    struct kit k;
    kit_init(&k, 53);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append_as(&k, 0, 20, P, 4711), 0);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 4712), 1);
    kit_free(&k);
}

TEST(producers, more_than_memory_is_meant_for_push_out_the_silent_ones)
{
    struct kit k;
    kit_init(&k, 54);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    struct store_shard *shard = kit_shard(&k);
    size_t bound = shard->buddy->len / 8 / sizeof(struct producer);
    assert_int_equal(kit_append_as(&k, 0, 20, P, 0), 0);
    struct partition *part = partition_find(shard, &k.topic, 0);
    for (int64_t id = 100000; id < 100000 + (int64_t)bound; id++) { /* as appends do it, without their time */
        struct producer state = {.id = id, .batch_count = 1, .last_append_ns = (uint64_t)id};
        assert_int_equal(producer_load(part, &state), 0);
    }
    assert_true(shard->producer_pool.count < bound);
    assert_int_equal(kit_append_as(&k, 0, 20, P + 1, 0), 1);
    assert_int_equal(kit_append_as(&k, 0, 20, P + 1, 0), 1); /* and it is known */
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_free(&k);
}
