/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a redaction in the archive ends when nothing is left, and says when it cannot end before something else comes.
 * What no root names may hold it, and goes; nothing else does.
 * Method: the step of the job that makes manifests, on the state of an archive that a builder made.
 */
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archive_ledger_state.h>
#include <test.h>

struct rig {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_ledger l;
    struct archive_redaction_job redaction;
};

/* "t" has two segments, of offsets 0 to 4 and 4 to 8, and all of it has left by age. */
static void rig_init(struct rig *r)
{
    static struct el_private_key *key;
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    }
    *r = (struct rig){.store = mem_store_open()};
    r->b = archive_builder_open(&r->store->base, &(struct archive_build){.seed = 5, .keys = &key, .key_count = 1});
    archive_builder_topic(r->b, "t", 1);
    archive_builder_topic(r->b, "u", 1);
    for (int i = 0; i < 2; i++) {
        archive_builder_append(r->b, "t", 0, 2);
        archive_builder_round(r->b);
        archive_builder_segment(r->b, "t", 0);
        archive_builder_round(r->b);
    }
    archive_builder_retire(r->b, "t", 0, 2);
    archive_builder_round(r->b);
    archive_config_init(&r->l.cfg);
    r->l.cfg.bucket = &r->store->base;
    r->l.incarnation = r->b->incarnation;
    r->l.shard_count = 1;
}

static void rig_end(struct rig *r)
{
    archive_builder_close(r->b);
    object_store_close(&r->store->base);
}

static const struct archive_redaction_job *redact(struct rig *r, int64_t first, int64_t end)
{
    struct el_error err = {0};
    struct archive_make_job job = {.ledger = &r->l, .redaction = &r->redaction};
    r->redaction = (struct archive_redaction_job){
        .topic_id = archive_builder_topic_id("t"), .first_offset = first, .end_offset = end};
    r->l.state = r->b->state;
    assert_int_equal(archive_redaction_run(&r->l, &job, &err), 0);
    assert_null(job.results[0]);
    return &r->redaction;
}

TEST(archive_redact, waits_for_another_object_behind_the_newest_one_that_has_it_and_left_by_age)
{
    struct rig r;
    rig_init(&r);
    archive_builder_sweep(r.b); /* all but the newest */
    archive_builder_round(r.b);
    assert_true(redact(&r, 4, 5)->waits);
    assert_false(r.redaction.done);
    archive_builder_append(r.b, "u", 0, 1);
    archive_builder_round(r.b);
    assert_false(redact(&r, 4, 5)->waits); /* the next manifest states it as removed */
    assert_false(r.redaction.done);
    archive_builder_sweep(r.b);
    archive_builder_round(r.b);
    assert_true(redact(&r, 4, 5)->done);
    rig_end(&r);
}

TEST(archive_redact, does_not_wait_for_the_newest_object_when_that_has_none_of_it)
{
    struct rig r;
    rig_init(&r);
    assert_false(redact(&r, 0, 5)->done); /* the first segment is still there */
    archive_builder_sweep(r.b);
    archive_builder_round(r.b);
    assert_true(redact(&r, 0, 4)->done);
    assert_true(redact(&r, 8, 9)->done); /* behind it */
    assert_false(r.redaction.waits);
    rig_end(&r);
}

/* --- objects that no root covers ---------------------------------------------------------------------------------- */

/* "t" has a segment that counts and "u" a bundle; what left by age is gone. */
static void rig_filled(struct rig *r)
{
    rig_init(r);
    archive_builder_append(r->b, "t", 0, 2);
    archive_builder_round(r->b);
    archive_builder_segment(r->b, "t", 0);
    archive_builder_append(r->b, "u", 0, 1);
    archive_builder_round(r->b);
    archive_builder_sweep(r->b);
    archive_builder_round(r->b);
}

static struct el_manifest_object segment_of(const char *topic, int32_t partition, uint8_t hash)
{
    return (struct el_manifest_object){.kind = EL_PACK_SEGMENT,
                                       .topic_id = archive_builder_topic_id(topic),
                                       .partition = partition,
                                       .sequence = 4,
                                       .sha256 = {hash}};
}

static struct el_manifest_object bundle_of(uint32_t shard, uint8_t hash)
{
    return (struct el_manifest_object){.kind = EL_PACK_BUNDLE, .shard = shard, .sequence = 1, .sha256 = {hash}};
}

static const char *key_of(const struct rig *r, const struct el_manifest_object *object)
{
    static char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_object(key, &r->l.incarnation, object);
    return key;
}

static void put(struct rig *r, const struct el_manifest_object *object)
{
    assert_int_equal(mem_store_set(r->store, key_of(r, object), "left over", 9), 0);
}

static bool is_there(struct rig *r, const struct el_manifest_object *object)
{
    return mem_store_find(r->store, key_of(r, object)) != NULL;
}

/* Every object that the state names is there. */
static void assert_whole(struct rig *r)
{
    assert_true(r->b->state->object_count > 1);
    for (size_t i = 0; i < r->b->state->object_count; i++) {
        struct archive_object object = archive_object_at(r->b->state, i);
        assert_true(is_there(r, &object.now));
    }
}

TEST(archive_redact, ends_with_what_no_root_names_where_the_range_may_be)
{
    struct rig r;
    rig_filled(&r);
    size_t count = r.store->count;
    struct el_manifest_object gone[] = {bundle_of(0, 1), bundle_of(3, 2), segment_of("t", 0, 3)};
    struct el_manifest_object kept[] = {segment_of("t", 1, 4), segment_of("u", 0, 5)};
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        put(&r, &gone[i]);
    }
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        put(&r, &kept[i]);
    }
    assert_true(redact(&r, 0, 4)->done);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        assert_false(is_there(&r, &gone[i]));
    }
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        assert_true(is_there(&r, &kept[i])); /* none of the partition's events are there */
    }
    assert_whole(&r);
    assert_int_equal(r.store->count, count + sizeof(kept) / sizeof(kept[0]));
    rig_end(&r);
}

/* What this round has put is named by the manifest that comes next. */
TEST(archive_redact, leaves_what_the_round_has_put)
{
    struct rig r;
    struct el_error err = {0};
    rig_filled(&r);
    struct archive_result made[] = {{.object = bundle_of(0, 1)}, {.object = segment_of("t", 0, 2)}};
    struct el_manifest_object gone = bundle_of(0, 3);
    r.redaction = (struct archive_redaction_job){.topic_id = archive_builder_topic_id("t"), .end_offset = 4};
    r.l.state = r.b->state;
    r.l.shard_count = 2;
    struct archive_make_job job = {.ledger = &r.l, .redaction = &r.redaction, .results = {&made[0], &made[1]}};
    put(&r, &made[0].object);
    put(&r, &made[1].object);
    put(&r, &gone);
    assert_int_equal(archive_redaction_run(&r.l, &job, &err), 0);
    assert_true(r.redaction.done);
    assert_true(is_there(&r, &made[0].object));
    assert_true(is_there(&r, &made[1].object));
    assert_false(is_there(&r, &gone));
    assert_whole(&r);
    rig_end(&r);
}

TEST(archive_redact, is_not_done_while_what_no_root_names_cannot_be_removed)
{
    struct rig r;
    struct el_error err = {0};
    rig_filled(&r);
    struct el_manifest_object gone = segment_of("t", 0, 1);
    put(&r, &gone);
    mem_store_fault(r.store,
                    (struct mem_fault){.call = MEM_REMOVE, .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    r.redaction = (struct archive_redaction_job){.topic_id = archive_builder_topic_id("t"), .end_offset = 4};
    r.l.state = r.b->state;
    struct archive_make_job job = {.ledger = &r.l, .redaction = &r.redaction};
    assert_int_equal(archive_redaction_run(&r.l, &job, &err), EVLOG_ERR_AGAIN);
    assert_false(r.redaction.done);
    assert_true(redact(&r, 0, 4)->done);
    assert_false(is_there(&r, &gone));
    rig_end(&r);
}
