/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: who reads below the local start is never told that there is nothing where there is something: of what does not
 * fit, behind what is redacted, and when the newest root is not seen.
 * Method: the job, on an archive that a builder made.
 */
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archiver_state.h>
#include <core/alloc.h>
#include <test.h>

struct rig {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_config cfg;
    struct archive_read_job job;
    struct tier_read read;
    uint8_t buf[4096];
};

/* "t" has batches of two events: 0 to 7 in a segment, 8 to 15 in a bundle. */
static void rig_init(struct rig *r)
{
    static struct el_private_key *key;
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    }
    memset(r, 0, sizeof *r);
    r->store = mem_store_open();
    r->b = archive_builder_open(&r->store->base, &(struct archive_build){.seed = 5, .keys = &key, .key_count = 1});
    archive_builder_topic(r->b, "t", 1);
    archive_builder_append(r->b, "t", 0, 4);
    archive_builder_round(r->b);
    archive_builder_segment(r->b, "t", 0);
    archive_builder_append(r->b, "t", 0, 4);
    archive_builder_round(r->b);
    archive_config_init(&r->cfg);
    r->cfg.bucket = &r->store->base;
    r->cfg.keys[0] = key;
    r->cfg.key_count = 1;
    r->job = (struct archive_read_job){
        .cfg = &r->cfg, .incarnation = r->b->incarnation, .sequence = r->b->state->header.sequence, .read = &r->read};
}

static void rig_end(struct rig *r)
{
    archive_cold_free(r->job.cold);
    archive_builder_close(r->b);
    object_store_close(&r->store->base);
}

static const struct tier_read *ask(struct rig *r, int64_t offset, int64_t end, size_t data_max, bool at_least_one)
{
    r->read = (struct tier_read){.topic_id = archive_builder_topic_id("t"),
                                 .offset = offset,
                                 .end_offset = end,
                                 .buf = r->buf,
                                 .buf_len = sizeof r->buf,
                                 .data_max = data_max,
                                 .at_least_one = at_least_one};
    assert_int_equal(archive_read_job_run(NULL, &r->job), 0);
    return &r->read;
}

TEST(archive_read, a_batch_that_does_not_fit_is_there)
{
    struct rig r;
    rig_init(&r);
    const struct tier_read *read = ask(&r, 2, 16, 1, false);
    assert_int_equal(read->error, 0);
    assert_int_equal(read->data_len, 0);
    assert_int_equal(read->first_offset, 2);
    read = ask(&r, 2, 16, 1, true);
    assert_int_equal(read->first_offset, 2);
    assert_int_equal(read->next_offset, 4);
    assert_true(read->data_len > 0);
    read = ask(&r, 0, 16, sizeof r.buf, false);
    assert_int_equal(read->first_offset, 0);
    assert_int_equal(read->next_offset, 8);
    rig_end(&r);
}

TEST(archive_read, what_follows_redacted_batches_is_there)
{
    struct rig r;
    rig_init(&r);
    for (int64_t offset = 0; offset < 8; offset += 2) {
        archive_builder_redact(r.b, "t", 0, offset, "a secret");
        archive_builder_round(r.b);
    }
    r.job.sequence = r.b->state->header.sequence;
    const struct tier_read *read = ask(&r, 0, 16, sizeof r.buf, false);
    assert_int_equal(read->error, 0);
    assert_int_equal(read->first_offset, 8);
    assert_int_equal(read->next_offset, 16);
    read = ask(&r, 0, 8, sizeof r.buf, false);
    assert_int_equal(read->error, 0);
    assert_int_equal(read->first_offset, -1);
    rig_end(&r);
}

TEST(archive_read, an_old_root_is_no_answer)
{
    struct rig r;
    rig_init(&r);
    assert_int_equal(ask(&r, 0, 16, 4096, true)->error, 0);
    r.job.sequence++; /* put, and the list of the store does not show it yet */
    assert_int_equal(ask(&r, 16, 18, 4096, true)->error, EVLOG_ERR_AGAIN);
    assert_int_equal(ask(&r, 0, 16, 4096, true)->error, 0);
    archive_builder_append(r.b, "t", 0, 1);
    archive_builder_round(r.b);
    const struct tier_read *read = ask(&r, 16, 18, 4096, true);
    assert_int_equal(read->error, 0);
    assert_int_equal(read->first_offset, 16);
    rig_end(&r);
}
