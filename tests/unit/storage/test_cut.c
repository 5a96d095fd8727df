/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a cut names for good what was known at its time (docs/semantics.md, "Cut"). Method: a store on the simulated
 * machine, cut at the moments that the simulator's random times miss.
 */
#include "kit.h"

static void on_cut(struct store_op *op)
{
    bool *done = op->arg;
    *done = true;
}

static struct cut_op cut_start(struct kit *k, struct cut_result *result, uint64_t time_ns, bool *done)
{
    *result = (struct cut_result){.topic_id = k->topic};
    return (struct cut_op){
        .base = {.done = on_cut, .arg = done}, .time_ns = time_ns, .results = result, .result_count = 1};
}

static void wait_for(struct kit *k, const bool *done)
{
    for (int i = 0; i < 10000 && !*done; i++) {
        kit_steps(k, 1);
    }
    assert_true(*done);
}

TEST(cut, an_event_in_the_same_tick_is_later_than_a_cut_at_now)
{
    struct kit k;
    struct cut_result result;
    bool done = false;
    kit_init(&k, 70);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append(&k, 0, 10), 0);
    kit_steps(&k, 50);
    uint64_t now_ns = el_clock_now(store_clock(k.w.store));
    assert_true(now_ns > k.append_time_ns);
    struct cut_op cut = cut_start(&k, &result, now_ns, &done);
    store_cut(kit_shard(&k), &cut);
    assert_int_equal(kit_append(&k, 0, 10), 1);
    wait_for(&k, &done);
    assert_int_equal(cut.base.error, 0);
    assert_int_equal(result.end_offset, 1);
    assert_true(k.append_time_ns > now_ns);
    kit_free(&k);
}

TEST(cut, the_future_is_refused)
{
    struct kit k;
    struct cut_result result;
    bool done = false;
    kit_init(&k, 71);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    struct cut_op cut = cut_start(&k, &result, el_clock_now(store_clock(k.w.store)) + 1, &done);
    store_cut(kit_shard(&k), &cut);
    wait_for(&k, &done);
    assert_int_equal(cut.base.error, EVLOG_ERR_ARGUMENT);
    kit_free(&k);
}
