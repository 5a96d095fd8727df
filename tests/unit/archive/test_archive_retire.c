/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what leaves the archive by age is old enough, is whole segments from the first on, and of no topic that is
 * compacted or evlog's own; and a segment is looked at once.
 * Method: looks at archives that a builder made, at times of the test's choice.
 */
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archive_ledger_state.h>
#include <core/alloc.h>
#include <test.h>

struct rig {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_ledger *l;
    struct archive_sweep_job job;
    _Atomic bool hurry;
};

/* "t" has two segments of two batches, and a bundle with one; "own", an internal topic, two segments. */
static void rig_init(struct rig *r)
{
    static struct el_private_key *key;
    struct archive_config cfg;
    memset(r, 0, sizeof *r);
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    }
    r->store = mem_store_open();
    r->b = archive_builder_open(&r->store->base, &(struct archive_build){.seed = 5, .keys = &key, .key_count = 1});
    archive_builder_topic(r->b, "t", 1);
    archive_builder_topic(r->b, "own", 1);
    for (int i = 0; i < 2; i++) {
        archive_builder_append(r->b, "t", 0, 2);
        archive_builder_append(r->b, "own", 0, 1);
        archive_builder_round(r->b);
        archive_builder_segment(r->b, "t", 0);
        archive_builder_segment(r->b, "own", 0);
        archive_builder_round(r->b);
    }
    archive_builder_append(r->b, "t", 0, 1);
    archive_builder_round(r->b);
    archive_config_init(&cfg);
    cfg.bucket = &r->store->base;
    cfg.keys[0] = key;
    cfg.key_count = 1;
    assert_int_equal(archive_ledger_create(&cfg, &r->b->cluster, 1, &r->l), 0);
    r->l->incarnation = r->b->incarnation;
    r->l->state = r->b->state;
    struct el_uuid own = archive_builder_topic_id("own");
    archive_state_topic(r->l->state, &own)->now.internal = true;
    r->job = (struct archive_sweep_job){.ledger = r->l, .hurry = &r->hurry, .ages = true};
    topic_config_init(&r->job.topic_defaults);
}

static void rig_end(struct rig *r)
{
    r->l->state = NULL;
    archive_ledger_destroy(r->l);
    archive_builder_close(r->b);
    object_store_close(&r->store->base);
}

static void set(struct rig *r, const char *name, const char *value)
{
    assert_int_equal(topic_config_set(&r->job.topic_defaults, el_slice_str(name), el_slice_str(value), NULL), 0);
}

/* Append time of a batch of "t", ms. */
static uint64_t appended_ms(struct rig *r, size_t leaf)
{
    return archive_builder_partition(r->b, "t", 0)->batches[leaf].row.leaf.append_time_ns / 1000000;
}

static size_t look(struct rig *r, uint64_t now_ms)
{
    r->job.now_ns = now_ms * 1000000;
    assert_int_equal(archive_sweep_run(NULL, &r->job), 0);
    return r->l->retiring_count;
}

TEST(archive_retire, whole_segments_leave_when_their_newest_event_is_old)
{
    struct rig r;
    rig_init(&r);
    set(&r, "evlog.archive.retention.ms", "5000");
    assert_int_equal(look(&r, appended_ms(&r, 1) + 5000), 0);
    uint64_t gets = r.store->calls[MEM_GET];
    assert_int_equal(look(&r, appended_ms(&r, 1) + 5000), 0);
    assert_int_equal(r.store->calls[MEM_GET], gets); /* it is remembered */
    assert_int_equal(look(&r, appended_ms(&r, 1) + 5001), 1);
    const struct el_manifest_retired *gone = &r.l->retiring[0];
    assert_int_equal(gone->end_offset, 4);
    assert_int_equal(gone->tree.size, 2);
    assert_int_equal(gone->newest_append_ns / 1000000, appended_ms(&r, 1));
    assert_int_equal(gone->retention_ms, 5000);
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 1); /* all of it, but the bundle */
    assert_int_equal(r.l->retiring[0].end_offset, 8);
    assert_int_equal(r.l->retiring[0].tree.size, 4);
    rig_end(&r);
}

TEST(archive_retire, nothing_leaves_of_topics_with_streams)
{
    struct rig r;
    rig_init(&r);
    set(&r, "evlog.archive.retention.ms", "0");
    set(&r, "evlog.streams", "true");
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 0);
    set(&r, "evlog.streams", "false");
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 1);
    rig_end(&r);
}

TEST(archive_retire, nothing_leaves_without_a_retention_or_of_compacted_topics)
{
    struct rig r;
    rig_init(&r);
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 0);
    set(&r, "evlog.archive.retention.ms", "0");
    set(&r, "cleanup.policy", "compact");
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 0);
    rig_end(&r);
}

TEST(archive_retire, a_damaged_table_retires_nothing)
{
    struct rig r;
    rig_init(&r);
    set(&r, "evlog.archive.retention.ms", "0");
    mem_store_fault(r.store, (struct mem_fault){.call = MEM_GET, .key_part = "/seg/", .effect = MEM_FLIP, .count = 1});
    r.job.now_ns = (appended_ms(&r, 1) + 1000000) * 1000000;
    assert_int_equal(archive_sweep_run(NULL, &r.job), EVLOG_ERR_CORRUPT);
    assert_int_equal(r.l->retiring_count, 0);
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 1);
    r.hurry = true;
    assert_int_equal(look(&r, appended_ms(&r, 1) + 1000000), 0);
    rig_end(&r);
}

/* What shards are told has left partition 0 of "t", when the archive continues that of the rig. */
static int64_t told_of_child(struct rig *r, bool parent_there)
{
    struct el_private_key *keys[1];
    struct el_error err = {0};
    int64_t retired = -1;
    keys[0] = r->l->cfg.keys[0];
    struct archive_builder *child = archive_builder_open(
        &r->store->base, &(struct archive_build){.seed = 6, .keys = keys, .key_count = 1, .parent = r->b->state});
    archive_builder_append(child, "t", 0, 1);
    archive_builder_round(child);
    if (!parent_there) {
        child->state->header.parent.bytes[0] ^= 1;
    }
    r->l->incarnation = child->incarnation;
    r->l->state = child->state;
    assert_int_equal(archive_inherit(r->l, &err), 0);
    assert_int_equal(archive_plan(r->l, true, NULL, 1, &err), 0);
    for (size_t i = 0; i < r->l->told.part_count; i++) {
        struct el_uuid id = archive_builder_topic_id("t");
        if (el_uuid_eq(&r->l->told.parts[i].topic_id, &id)) {
            retired = r->l->told.parts[i].retired;
            assert_int_equal(r->l->told.parts[i].log_start, 0);
        }
    }
    r->l->incarnation = r->b->incarnation;
    r->l->state = r->b->state;
    archive_builder_close(child);
    return retired;
}

TEST(archive_retire, what_had_left_an_archive_is_known_to_the_one_that_continues_it)
{
    for (int parent_there = 0; parent_there < 2; parent_there++) {
        struct rig r;
        rig_init(&r);
        archive_builder_retire(r.b, "t", 0, 1);
        archive_builder_round(r.b);
        assert_int_equal(told_of_child(&r, parent_there == 1), parent_there == 1 ? 4 : 0);
        rig_end(&r);
    }
}

TEST(archive_retire, a_store_that_cannot_say_what_had_left_is_asked_again)
{
    struct rig r;
    struct el_error err = {0};
    rig_init(&r);
    r.l->state->header.parent = (struct el_uuid){{7}};
    mem_store_fault(
        r.store,
        (struct mem_fault){.call = MEM_LIST, .key_part = "", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    r.l->state->header.parent_sequence = 0;
    assert_int_equal(archive_inherit(r.l, &err), EVLOG_ERR_AGAIN);
    r.l->state->header.parent = (struct el_uuid){{0}};
    rig_end(&r);
}
