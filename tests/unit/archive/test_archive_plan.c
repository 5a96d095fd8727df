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
    uint64_t len = archive_object_at(r.b->state, r.b->state->object_count - 1).now.len;
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

/* --- ages --------------------------------------------------------------------------------------------------------- */

/* "u" is appended to in each of so many rounds, "t" in the first only. returns when that was, in ms */
static uint64_t rounds(struct rig *r, int count)
{
    archive_builder_topic(r->b, "u", 1);
    archive_builder_append(r->b, "t", 0, 1);
    uint64_t first_ms = r->b->now_ns / 1000000;
    for (int i = 0; i < count; i++) {
        archive_builder_append(r->b, "u", 0, 1);
        archive_builder_round(r->b);
    }
    return first_ms;
}

static int start(struct rig *r, uint64_t now_ms)
{
    r->l.cfg.bucket = &r->store->base;
    r->l.incarnation = r->b->incarnation;
    r->l.state = r->b->state;
    r->l.began_ms = now_ms;
    return archive_ages_find(&r->l, now_ms, NULL);
}

TEST(archive_plan, a_start_does_not_make_bundles_younger)
{
    struct rig r;
    rig_init(&r, 1);
    uint64_t first_ms = rounds(&r, 20), last_ms = r.b->now_ns / 1000000;
    r.l.cfg.segment_ms = (last_ms - first_ms) / 2; /* half of them are older at the end */
    assert_int_equal(start(&r, last_ms), 0);
    const struct archive_told *told = plan(&r, last_ms);
    assert_int_equal(told->task_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(told->tasks[i].source_count == 1 || told->tasks[i].source_count == 20);
    }
    rig_end(&r);
}

TEST(archive_plan, a_start_does_not_make_bundles_older)
{
    struct rig r;
    rig_init(&r, 1);
    uint64_t first_ms = rounds(&r, 20), last_ms = r.b->now_ns / 1000000;
    r.l.cfg.segment_ms = last_ms - first_ms + 5000;
    assert_int_equal(start(&r, last_ms), 0);
    assert_int_equal(plan(&r, last_ms)->task_count, 0);
    rig_end(&r);
}

TEST(archive_plan, the_ages_of_many_bundles_cost_a_start_few_requests)
{
    struct rig r;
    rig_init(&r, 1);
    uint64_t first_ms = rounds(&r, 300);
    uint64_t gets = r.store->calls[MEM_GET];
    assert_int_equal(start(&r, r.b->now_ns / 1000000), 0);
    assert_true(r.store->calls[MEM_GET] - gets <= 32);
    assert_int_equal(r.l.age_count, 32);
    assert_true(r.l.ages[0].since_ms <= first_ms + 1000);
    assert_int_equal(r.l.ages[31].number, archive_object_at(r.b->state, r.b->state->object_count - 1).now.number);
    mem_store_fault(
        r.store,
        (struct mem_fault){.call = MEM_GET, .key_part = "", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    assert_int_equal(start(&r, first_ms), EVLOG_ERR_AGAIN);
    rig_end(&r);
}

TEST(archive_plan, bundles_get_old_however_many_objects_come_between_two_plans)
{
    struct rig r;
    struct el_uuid late = archive_builder_topic_id("u");
    rig_init(&r, 1);
    archive_builder_topic(r.b, "u", 1);
    r.l.cfg.segment_ms = 1000;
    for (uint64_t plans = 1; plans <= 2; plans++) {
        for (int i = 0; i < 4; i++) {
            archive_builder_append(r.b, "t", 0, 1);
            archive_builder_append(r.b, "u", 0, plans == 2 && i == 3);
            archive_builder_round(r.b);
        }
        assert_int_equal(plan(&r, plans * 500)->task_count, 0);
    }
    const struct archive_told *told = plan(&r, 1000 + 60000);
    assert_int_equal(told->task_count, 2); /* also of "u", which is in the last bundle only */
    assert_true(el_uuid_eq(&told->tasks[0].sources[0].part.topic_id, &late) ||
                el_uuid_eq(&told->tasks[1].sources[0].part.topic_id, &late));
    rig_end(&r);
}

TEST(archive_plan, what_a_redaction_held_up_is_planned_as_soon_as_it_is_done)
{
    struct rig r;
    struct archive_redaction_job redaction = {.partition = 0};
    struct archive_make_job make = {.redaction = &redaction};
    rig_init(&r, 1);
    (void)rounds(&r, 2);
    r.l.cfg.segment_ms = 1000;
    assert_int_equal(plan(&r, 1000)->task_count, 0);
    assert_int_equal(archive_plan(&r.l, false, &make, 61000, NULL), 0);
    assert_int_equal(r.l.told.task_count, 0);
    assert_int_equal(plan(&r, 61001)->task_count, 2);
    rig_end(&r);
}

TEST(archive_plan, a_deleted_topic_does_not_keep_bundles_alive_that_are_mostly_elsewhere)
{
    struct rig r;
    rig_init(&r, 1);
    archive_builder_topic(r.b, "gone", 1);
    archive_builder_append(r.b, "t", 0, 20);
    archive_builder_append(r.b, "gone", 0, 2);
    archive_builder_round(r.b); /* most of it is of "t" */
    archive_builder_append(r.b, "gone", 0, 2);
    archive_builder_round(r.b); /* all of it is of "gone" */
    archive_builder_delete_topic(r.b, "gone");
    archive_builder_round(r.b);
    r.l.cfg.segment_ms = 1000;
    assert_int_equal(plan(&r, 1000)->task_count, 0);
    archive_builder_segment(r.b, "t", 0);
    archive_builder_round(r.b);
    assert_int_equal(plan(&r, 1500)->task_count, 0); /* young */
    const struct archive_told *told = plan(&r, 2000 + 60000);
    assert_int_equal(told->task_count, 1);
    assert_int_equal(told->tasks[0].source_count, 2); /* the run, though one of its bundles would do */
    struct el_uuid gone = archive_builder_topic_id("gone");
    assert_true(el_uuid_eq(&told->tasks[0].sources[0].part.topic_id, &gone));
    rig_end(&r);
}
