/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: when everything else has taken the shard's memory, its checkpoints come to their end all the same, and who
 * waits for memory is told so. Method: a store on the simulated machine, all of whose memory is taken block by block.
 */
#include "kit.h"

#include <core/buddy.h>
#include <stdlib.h>

#define PARTITIONS 40
#define WAIT_NS 10000000000u

static void on_done(struct store_op *op)
{
    bool *done = op->arg;
    *done = true;
}

/* Take every block that is left, blocks of `len` first; they are linked through their first word. */
static void *take_all(struct kit *k)
{
    void *first = NULL;
    for (size_t len = 1u << 20; len >= EL_BUDDY_BLOCK_MIN; len /= 2) {
        for (void **block; (block = el_buddy_alloc(kit_shard(k)->buddy, len)) != NULL; first = block) {
            *block = first;
        }
    }
    return first;
}

static void give_back(struct kit *k, void *first)
{
    while (first != NULL) {
        void *next = *(void **)first;
        el_buddy_free(kit_shard(k)->buddy, first);
        first = next;
    }
}

static void pass(struct kit *k, uint64_t ns)
{
    uint64_t end = k->w.clock.now_ns + ns;
    while (k->w.clock.now_ns < end) {
        kit_steps(k, 1);
    }
}

static void send_append(struct kit *k, struct append_op *op, int32_t partition, uint32_t value_len, bool *done)
{
    kit_batch(k, op, partition, value_len);
    *done = false;
    op->base.done = on_done;
    op->base.arg = done;
    store_append(kit_shard(k), op);
}

/* Some have enough for a chunk, some are carried, and each needs a segment. */
static void fill_partitions(struct kit *k)
{
    for (int32_t i = 0; i < PARTITIONS; i++) {
        kit_append_many(k, i, i % 2 == 0 ? 900 : 20, 3);
    }
}

TEST(spare, a_checkpoint_ends_without_any_memory)
{
    struct kit k;
    kit_init(&k, 41);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, PARTITIONS, "");
    fill_partitions(&k);
    void *taken = take_all(&k);
    uint64_t used = kit_shard(&k)->buddy->used;
    assert_true(kit_checkpoint(&k));
    assert_true(kit_checkpoint(&k)); /* all that it had is there for the next */
    assert_true(kit_shard(&k)->buddy->used <= used);
    assert_int_equal(kit_shard(&k)->pending_count, 0);
    give_back(&k, taken);
    fill_partitions(&k);
    assert_true(kit_checkpoint(&k));
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        kit_read_all(&k, i, 0, 6);
    }
    kit_free(&k);
}

/* The state of a base is longer than at the start: what is kept has grown with it. */
TEST(spare, a_base_of_many_producers_and_partitions_fits)
{
    struct kit k;
    kit_init(&k, 42);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, PARTITIONS, "");
    for (int64_t i = 0; i < 400; i++) {
        assert_true(kit_append_as(&k, (int32_t)(i % PARTITIONS), 20, 1000 + i, 0) >= 0);
    }
    assert_true(kit_shard(&k)->spare.state_len >= 400 * 144);
    kit_shard(&k)->checkpoint.retry_base = true;
    void *taken = take_all(&k);
    assert_true(kit_checkpoint(&k));
    assert_true(kit_shard(&k)->checkpoint.base_len > 25000);
    give_back(&k, taken);
    kit_stop(&k);
    assert_int_equal(kit_open(&k), 0);
    assert_int_equal(kit_append_as(&k, 0, 20, 1000, 0), 0); /* its producer is known */
    kit_free(&k);
}

/* It grows while a checkpoint has it, too. */
TEST(spare, grows_while_a_checkpoint_is_under_way)
{
    struct kit k;
    kit_init(&k, 43);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    assert_int_equal(kit_append(&k, 0, 20), 0);
    struct checkpoint *c = &kit_shard(&k)->checkpoint;
    c->wanted = true;
    while (checkpoint_idle(c)) {
        kit_steps(&k, 1);
    }
    assert_true(kit_shard(&k)->spare.state_lent);
    size_t used = kit_shard(&k)->buddy->used;
    const uint8_t *before = kit_shard(&k)->spare.state;
    for (size_t i = 0; i < 2000; i++) { /* as if producers had come */
        assert_non_null(el_pool_get(&kit_shard(&k)->producer_pool));
    }
    assert_true(spare_hold(kit_shard(&k), 0));
    assert_ptr_not_equal(kit_shard(&k)->spare.state, before);
    kit_shard(&k)->producer_pool.count = 0;
    while (!checkpoint_idle(c)) {
        kit_steps(&k, 1);
    }
    assert_false(kit_shard(&k)->spare.state_lent);
    assert_true(kit_shard(&k)->buddy->used > used);
    assert_true(kit_checkpoint(&k));
    kit_free(&k);
}

/* What was carried stands before what was not, and is not durable when the plan is made again. */
TEST(spare, a_plan_that_ended_half_way_loses_nothing)
{
    struct kit k;
    kit_init(&k, 47);
    k.w.cfg.carry_len = 64u << 10;
    k.w.cfg.chunk_len = 64u << 10;
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 1000, 24);
    struct tail *tail = &kit_shard(&k)->tail;
    assert_non_null(tail_add(tail, 250000)); /* in a block of its own, in which 5,000 bytes stay free */
    assert_non_null(tail_add(tail, (256u << 10) - 32 - 250000 - 2 * sizeof(struct batch_entry) - 5000));
    void *group = el_buddy_alloc(tail->buddy, kit_shard(&k)->journal.closed_len);
    void *taken = take_all(&k);
    el_buddy_free(tail->buddy, group);
    sim_disk_fault_set(k.w.disk, FAULT_STUCK_IO, 1000000);
    assert_true(kit_checkpoint(&k));
    assert_true(metrics_get(k.w.metrics[0], METRIC_CARRY_FRAMES) > 2);
    sim_disk_fault_set(k.w.disk, FAULT_STUCK_IO, 0);
    give_back(&k, taken);
    kit_crash(&k);
    assert_int_equal(kit_open(&k), 0);
    kit_read_all(&k, 0, 0, 24);
    kit_free(&k);
}

/* A group of the journal was opened for a batch that then found no memory: nothing is in it, and nothing is waited for.
 */
TEST(spare, a_plan_that_left_an_empty_group_is_made_again)
{
    struct kit k;
    kit_init(&k, 48);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 4, "");
    for (int32_t i = 0; i < 4; i++) {
        assert_int_equal(kit_append(&k, i, 200), 0);
    }
    struct tail *tail = &kit_shard(&k)->tail;
    assert_non_null(tail_add(tail, 261900)); /* in a block of its own, which is full with it */
    void *group = el_buddy_alloc(tail->buddy, 2 * EL_BUDDY_BLOCK_MIN);
    void *taken = take_all(&k);
    el_buddy_free(tail->buddy, group);
    uint64_t next = kit_shard(&k)->journal.next_sequence;
    assert_true(kit_checkpoint(&k));
    assert_int_equal(kit_shard(&k)->journal.next_sequence, next + 1);
    assert_true(kit_checkpoint(&k));
    give_back(&k, taken);
    kit_free(&k);
}

TEST(spare, an_append_that_finds_no_memory_is_refused_in_time_and_order)
{
    struct kit k;
    struct append_op ops[3];
    bool done[3];
    kit_init(&k, 44);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 2, "");
    assert_int_equal(kit_append(&k, 0, 100), 0);
    assert_true(kit_checkpoint(&k));
    void *taken = take_all(&k);
    for (uint32_t i = 0; i < 3; i++) {
        send_append(&k, &ops[i], 0, 200000, &done[i]);
    }
    pass(&k, WAIT_NS - 1000000000);
    assert_false(done[0] || done[1] || done[2]);
    pass(&k, 2000000000);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(done[i]);
        assert_int_equal(ops[i].base.error, EVLOG_ERR_NO_MEMORY);
    }
    give_back(&k, taken);
    assert_int_equal(kit_append(&k, 0, 100), 1);
    for (uint32_t i = 0; i < 3; i++) {
        free((void *)(uintptr_t)ops[i].batch);
    }
    kit_free(&k);
}

/* Memory that comes back in time is used, and nobody is refused. */
TEST(spare, an_append_waits_for_memory)
{
    struct kit k;
    struct append_op op;
    bool done;
    kit_init(&k, 45);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    void *taken = take_all(&k);
    send_append(&k, &op, 0, 200000, &done);
    pass(&k, WAIT_NS / 2);
    assert_false(done);
    give_back(&k, taken);
    assert_true(world_wait(&k.w, &done));
    assert_int_equal(op.base.error, 0);
    free((void *)(uintptr_t)op.batch);
    kit_free(&k);
}

/* In pieces there is enough: a batch does not ask for a large block. */
TEST(spare, a_batch_is_taken_where_memory_is_in_pieces)
{
    struct kit k;
    kit_init(&k, 46);
    assert_int_equal(kit_open(&k), 0);
    kit_topic(&k, 1, "");
    kit_append_many(&k, 0, 8000, 31); /* the block that batches go into is nearly full */
    void *pieces[16];
    for (size_t i = 0; i < 16; i++) {
        pieces[i] = el_buddy_alloc(kit_shard(&k)->buddy, 16u << 10);
        assert_non_null(pieces[i]);
    }
    void *taken = take_all(&k);
    for (size_t i = 0; i < 16; i += 2) { /* no two of them are neighbours */
        el_buddy_free(kit_shard(&k)->buddy, pieces[i]);
    }
    for (int64_t i = 31; i < 41; i++) {
        assert_int_equal(kit_append(&k, 0, 8000), i);
    }
    give_back(&k, taken);
    kit_read_all(&k, 0, 0, 41);
    kit_free(&k);
}
