/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a redaction in the archive ends when nothing is left, and says when it cannot end before something else comes.
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
