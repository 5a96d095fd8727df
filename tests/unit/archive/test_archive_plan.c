/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is in bundles becomes segments of every partition, also when there is always more to do than a round
 * does; and small segments become larger ones, so that an archive does not grow with its age.
 * Method: the state of an archive that a builder made, and one plan after the other, none of which is carried out.
 */
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archive_ledger_state.h>
#include <core/alloc.h>
#include <test.h>

#define PARTITIONS 40

struct rig {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_ledger l;
};

static void rig_init(struct rig *r, uint32_t partitions)
{
    static struct el_private_key *key;
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    }
    *r = (struct rig){.store = mem_store_open()};
    r->b = archive_builder_open(&r->store->base, &(struct archive_build){.seed = 5, .keys = &key, .key_count = 1});
    archive_builder_topic(r->b, "t", partitions);
    archive_config_init(&r->l.cfg);
    r->l.shard_count = 1;
}

static void rig_end(struct rig *r)
{
    archive_told_free(&r->l.told);
    el_free(r->l.ages);
    archive_builder_close(r->b);
    object_store_close(&r->store->base);
}

static const struct archive_told *plan(struct rig *r, uint64_t now_ms)
{
    r->l.state = r->b->state;
    assert_int_equal(archive_plan(&r->l, false, NULL, now_ms, NULL), 0);
    return &r->l.told;
}

TEST(archive_plan, no_partition_waits_for_ever_behind_others)
{
    struct rig r;
    bool seen[PARTITIONS] = {false};
    rig_init(&r, PARTITIONS);
    for (int round = 0; round < 33; round++) {
        for (int i = 0; i < PARTITIONS; i++) {
            archive_builder_append(r.b, "t", i, 1);
        }
        archive_builder_round(r.b);
    }
    for (uint64_t i = 0; i < 6; i++) {
        const struct archive_told *told = plan(&r, 1000 + i);
        assert_true(told->task_count > 0);
        for (size_t k = 0; k < told->task_count; k++) {
            const struct archive_task *task = &told->tasks[k];
            assert_int_equal(task->source_count, 33);
            seen[task->sources[0].part.partition] = true;
        }
    }
    for (int i = 0; i < PARTITIONS; i++) {
        assert_true(seen[i]);
    }
    rig_end(&r);
}

/* "t" gets one more segment of so many batches. */
static void segment(struct rig *r, uint32_t batches)
{
    archive_builder_append(r->b, "t", 0, batches);
    archive_builder_round(r->b);
    archive_builder_segment(r->b, "t", 0);
    archive_builder_round(r->b);
}

TEST(archive_plan, a_few_small_segments_stay_what_they_are)
{
    struct rig r;
    rig_init(&r, 1);
    for (int i = 0; i < 15; i++) {
        segment(&r, 2);
    }
    assert_int_equal(plan(&r, 100000)->task_count, 0);
    rig_end(&r);
}

TEST(archive_plan, many_small_segments_become_one)
{
    struct rig r;
    rig_init(&r, 1);
    for (int i = 0; i < 20; i++) {
        segment(&r, 2);
    }
    const struct archive_told *told = plan(&r, 100000);
    assert_int_equal(told->task_count, 1);
    assert_int_equal(told->tasks[0].source_count, 20);
    assert_int_equal(told->tasks[0].batch_count, 40);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(told->tasks[0].sources[i].part.first_leaf, 2 * i);
    }
    rig_end(&r);
}

TEST(archive_plan, segments_of_other_sizes_are_not_written_anew_for_one)
{
    struct rig r;
    rig_init(&r, 1);
    segment(&r, 64);
    uint64_t len = r.b->state->objects[r.b->state->object_count - 1].now.len;
    for (int i = 0; i < 16; i++) {
        segment(&r, 1);
    }
    r.l.cfg.segment_len = len * 64; /* the first is above a 256th of it, the others below */
    const struct archive_told *told = plan(&r, 100000);
    assert_int_equal(told->task_count, 1);
    assert_int_equal(told->tasks[0].source_count, 16);
    assert_int_equal(told->tasks[0].sources[0].part.first_leaf, 64);
    r.l.cfg.segment_len = len / 16; /* nothing is small */
    assert_int_equal(plan(&r, 200000)->task_count, 0);
    rig_end(&r);
}
