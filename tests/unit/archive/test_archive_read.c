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

/* --- by time ------------------------------------------------------------------------------------------------------ */

static const struct tier_read *ask_time(struct rig *r, int by, int64_t offset, int64_t end, int64_t time)
{
    static struct read_entry entry;
    r->read = (struct tier_read){.topic_id = archive_builder_topic_id("t"),
                                 .offset = offset,
                                 .end_offset = end,
                                 .time = time,
                                 .entries = &entry,
                                 .entry_max = 1};
    r->read.by = by;
    assert_int_equal(archive_read_job_run(NULL, &r->job), 0);
    return &r->read;
}

TEST(archive_read, no_time_is_found_below_the_offset_that_is_asked_from)
{
    struct rig r;
    rig_init(&r);
    assert_int_equal(ask_time(&r, TIER_BY_TIMESTAMP, 0, 16, 0)->first_offset, 0);
    assert_int_equal(ask_time(&r, TIER_BY_TIMESTAMP, 4, 16, 0)->first_offset, 4);
    assert_int_equal(ask_time(&r, TIER_BY_TIMESTAMP, 5, 16, 0)->first_offset, 4); /* its batch ends above */
    assert_int_equal(ask_time(&r, TIER_BY_TIMESTAMP, 10, 16, 0)->first_offset, 10);
    assert_int_equal(ask_time(&r, TIER_BY_APPEND_TIME, 10, 16, 0)->first_offset, 10);
    assert_int_equal(ask_time(&r, TIER_BY_TIMESTAMP, 10, 10, 0)->first_offset, -1);
    rig_end(&r);
}

static int64_t built_time(struct rig *r, uint32_t batch)
{
    return archive_builder_partition(r->b, "t", 0)->batches[batch].row.leaf.max_timestamp_ms;
}

TEST(archive_read, the_greatest_time_is_that_of_the_range)
{
    struct rig r;
    rig_init(&r);
    for (int i = 0; i < 2; i++) { /* what is remembered gives the same */
        for (int64_t from = 0; from < 16; from += 6) {
            for (int64_t end = from + 2; end <= 16; end += 2) {
                int64_t greatest = from;
                for (int64_t k = from; k < end; k += 2) {
                    bool more = built_time(&r, (uint32_t)k / 2) > built_time(&r, (uint32_t)greatest / 2);
                    greatest = more ? k : greatest;
                }
                const struct tier_read *read = ask_time(&r, TIER_BY_NEWEST, from, end, 0);
                assert_int_equal(read->error, 0);
                assert_int_equal(read->first_offset, greatest);
                assert_int_equal(read->entries[0].max_timestamp_ms, built_time(&r, (uint32_t)greatest / 2));
            }
        }
    }
    rig_end(&r);
}

TEST(archive_read, a_greatest_time_that_takes_long_is_found_bit_by_bit)
{
    struct rig r;
    rig_init(&r);
    for (int i = 0; i < 100; i++) {
        archive_builder_append(r.b, "t", 0, 1);
        archive_builder_round(r.b);
    }
    r.job.sequence = r.b->state->header.sequence;
    assert_int_equal(ask_time(&r, TIER_BY_NEWEST, 0, 216, 0)->error, EVLOG_ERR_AGAIN);
    uint64_t gets = r.store->calls[MEM_GET];
    const struct tier_read *read = ask_time(&r, TIER_BY_NEWEST, 0, 216, 0);
    assert_int_equal(read->error, 0);
    assert_true(read->first_offset >= 0);
    assert_true(r.store->calls[MEM_GET] - gets <= 40);
    rig_end(&r);
}

/* --- batches far apart -------------------------------------------------------------------------------------------- */

static const struct tier_read *ask_wanted(struct rig *r, const int64_t *wanted, uint32_t count, int64_t end)
{
    static struct read_entry entries[64];
    r->read = (struct tier_read){.topic_id = archive_builder_topic_id("t"),
                                 .offset = wanted[0],
                                 .end_offset = end,
                                 .buf = r->buf,
                                 .buf_len = sizeof r->buf,
                                 .data_max = sizeof r->buf,
                                 .at_least_one = true,
                                 .entries = entries,
                                 .entry_max = 64,
                                 .wanted_count = count};
    memcpy(r->read.wanted, wanted, count * sizeof *wanted);
    assert_int_equal(archive_read_job_run(NULL, &r->job), 0);
    return &r->read;
}

TEST(archive_read, what_is_wanted_comes_in_its_order_and_nothing_else)
{
    static const int64_t rising[] = {1, 6, 7, 13}, falling[] = {13, 7, 6, 1}, some[] = {3, 14, 9, 100};
    static const int64_t bases[3][3] = {{0, 6, 12}, {12, 6, 0}, {2, 8, -1}};
    const int64_t *lists[] = {rising, falling, some};
    struct rig r;
    rig_init(&r);
    for (int i = 0; i < 3; i++) {
        const struct tier_read *read = ask_wanted(&r, lists[i], 4, i == 2 ? 14 : 16);
        assert_int_equal(read->error, 0);
        assert_int_equal(read->entry_count, i == 2 ? 2 : 3);
        for (uint32_t k = 0; k < read->entry_count; k++) {
            assert_int_equal(el_batch_base_offset(r.buf + read->entries[k].pos), bases[i][k]);
            assert_int_equal(el_batch_verify(r.buf + read->entries[k].pos, read->entries[k].len), 0);
        }
        assert_int_equal(read->next_offset, bases[i][0] + 2);
    }
    archive_builder_redact(r.b, "t", 0, 6, "a secret");
    archive_builder_round(r.b);
    r.job.sequence = r.b->state->header.sequence;
    archive_cold_free(r.job.cold);
    r.job.cold = NULL;
    assert_int_equal(ask_wanted(&r, rising, 4, 16)->entry_count, 2);
    rig_end(&r);
}

/* Before, each event was a read of its own: 50 of them, and as many ranges where they lie far apart. */
TEST(archive_read, what_lies_far_apart_in_one_object_costs_few_requests)
{
    struct rig r;
    int64_t wanted[50];
    rig_init(&r);
    archive_builder_append(r.b, "t", 0, 500);
    archive_builder_round(r.b);
    r.job.sequence = r.b->state->header.sequence;
    for (int64_t i = 0; i < 50; i++) {
        wanted[i] = 16 + 20 * i;
    }
    assert_int_equal(ask(&r, 0, 2, 100, true)->error, 0); /* the reader is open */
    uint64_t gets = r.store->calls[MEM_GET], given = 0, reads = 0;
    while (given < 50) {
        const struct tier_read *read = ask_wanted(&r, wanted + given, 50 - (uint32_t)given, 1016);
        assert_true(read->entry_count > 0);
        given += read->entry_count;
        reads++;
    }
    assert_true(reads <= 5);
    assert_true(r.store->calls[MEM_GET] - gets <= 3);
    rig_end(&r);
}

/* --- is it there? ------------------------------------------------------------------------------------------------- */

static const struct tier_read *ask_presence(struct rig *r, int64_t offset, int64_t end)
{
    r->read = (struct tier_read){.topic_id = archive_builder_topic_id("t"), .offset = offset, .end_offset = end};
    r->read.by = TIER_BY_PRESENCE;
    assert_int_equal(archive_read_job_run(NULL, &r->job), 0);
    return &r->read;
}

/* The object that holds an offset. */
static void name_of(struct rig *r, int64_t offset, char key[EL_ARCHIVE_KEY_MAX])
{
    struct el_uuid id = archive_builder_topic_id("t");
    const struct archive_partition *p = archive_state_partition(r->b->state, &id, 0);
    struct el_archive_part part;
    struct archive_object o;
    assert_true(archive_partition_part(p, offset, &part));
    assert_true(archive_state_object(r->b->state, part.object, &o));
    el_archive_key_object(key, &r->b->incarnation, &o.now);
}

TEST(archive_read, an_object_that_is_gone_or_another_is_not_there)
{
    struct rig r;
    char key[EL_ARCHIVE_KEY_MAX];
    rig_init(&r);
    name_of(&r, 8, key);
    struct mem_object *object = mem_store_find(r.store, key);
    assert_non_null(object);
    uint8_t *bytes = el_memdup(object->data, object->len);
    uint64_t len = object->len;
    mem_store_drop(r.store, key);
    const struct tier_read *read = ask_presence(&r, 0, 16);
    assert_int_equal(read->error, EVLOG_ERR_CORRUPT);
    assert_true(r.job.missing != 0);
    read = ask_presence(&r, 0, 8); /* the other one is */
    assert_int_equal(read->error, 0);
    assert_int_equal(read->next_offset, 8);
    assert_true(r.job.missing == 0);
    bytes[len - 1] ^= 1;
    assert_int_equal(mem_store_set(r.store, key, bytes, len), 0);
    assert_int_equal(ask_presence(&r, 8, 16)->error, EVLOG_ERR_CORRUPT);
    mem_store_drop(r.store, key);
    bytes[len - 1] ^= 1;
    assert_int_equal(mem_store_set(r.store, key, bytes, len - 1), 0);
    assert_int_equal(ask_presence(&r, 8, 16)->error, EVLOG_ERR_CORRUPT);
    mem_store_drop(r.store, key);
    assert_int_equal(mem_store_set(r.store, key, bytes, len), 0);
    read = ask_presence(&r, 0, 16);
    assert_int_equal(read->error, 0);
    assert_int_equal(read->next_offset, 16);
    el_free(bytes);
    rig_end(&r);
}

TEST(archive_read, an_object_is_looked_for_once_and_many_bit_by_bit)
{
    struct rig r;
    rig_init(&r);
    for (int i = 0; i < 50; i++) {
        archive_builder_append(r.b, "t", 0, 1);
        archive_builder_round(r.b);
    }
    r.job.sequence = r.b->state->header.sequence;
    assert_int_equal(ask(&r, 0, 2, 100, true)->error, 0);
    uint64_t heads = r.store->calls[MEM_HEAD];
    int64_t next = 0;
    for (int i = 0; i < 2; i++) {
        const struct tier_read *read = ask_presence(&r, next, 116);
        assert_int_equal(read->error, 0);
        assert_true(read->next_offset > next);
        next = read->next_offset;
    }
    assert_int_equal(next, 116);
    assert_int_equal(r.store->calls[MEM_HEAD], heads + 52);
    assert_int_equal(ask_presence(&r, 0, 116)->next_offset, 116);
    assert_int_equal(r.store->calls[MEM_HEAD], heads + 52);
    mem_store_fault(
        r.store,
        (struct mem_fault){.call = MEM_HEAD, .key_part = "", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    archive_cold_free(r.job.cold);
    r.job.cold = NULL;
    assert_int_equal(ask_presence(&r, 0, 116)->error, EVLOG_ERR_AGAIN);
    assert_true(r.job.missing == 0); /* that says nothing */
    rig_end(&r);
}
