/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what is kept on the heap to know an archive is charged to a shard's memory, and given back; and at the limit
 * nothing new is archived.
 * Method: archivers of two shards with small buddies and nothing else; what a state says that it takes, against its
 * parts.
 */
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archive_ledger_state.h>
#include <archive/archiver_state.h>
#include <stdlib.h>
#include <test.h>

#define RANGE_LEN (8u << 20)

struct rig {
    struct archive a;
    struct archiver shards[2];
    struct el_buddy buddies[2];
};

static void rig_init(struct rig *r)
{
    memset(r, 0, sizeof *r);
    r->a.shards = r->shards;
    r->a.shard_count = 2;
    r->a.cfg.memory_max = UINT64_MAX;
    for (uint32_t i = 0; i < 2; i++) {
        struct archiver *ar = &r->shards[i];
        assert_int_equal(el_buddy_init(&r->buddies[i], RANGE_LEN, NULL), 0);
        assert_int_equal(metrics_create(&ar->metrics), 0);
        ar->archive = &r->a;
        ar->buddy = &r->buddies[i];
        el_list_init(&ar->charges);
    }
    r->a.metrics = r->shards[0].metrics;
}

static void rig_end(struct rig *r)
{
    for (uint32_t i = 0; i < 2; i++) {
        archive_memory_release(&r->shards[i]);
        assert_int_equal(r->buddies[i].used, 0);
        metrics_destroy(r->shards[i].metrics);
        el_buddy_destroy(&r->buddies[i]);
    }
}

static void charge(struct rig *r, uint64_t ledger_len)
{
    r->a.ledger_len = ledger_len;
    for (uint32_t i = 0; i < 2; i++) {
        r->shards[i].ledger_share = ledger_len / 2;
        archive_memory_charge(&r->shards[i]);
    }
    archive_memory_look(&r->a);
}

TEST(archive_memory, is_taken_from_the_shards_and_given_back)
{
    static const uint64_t lens[] = {1, 100000, 3000000, 9000000, 8999999, 12000000, 500000, 70000, 0};
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        charge(&r, lens[i]);
        for (uint32_t k = 0; k < 2; k++) {
            size_t used = r.buddies[k].used;
            assert_true(used >= lens[i] / 2);
            assert_true(used <= lens[i] / 2 + (64u << 10));
            assert_int_equal(metrics_get(r.shards[k].metrics, METRIC_ARCHIVE_MEMORY), lens[i] / 2);
        }
        assert_false(atomic_load(&r.a.full));
    }
    assert_int_equal(r.buddies[0].used, 0);
    rig_end(&r);
}

TEST(archive_memory, of_a_reader_is_taken_from_its_own_shard)
{
    struct rig r;
    rig_init(&r);
    r.shards[1].cold_len = 1 << 20;
    charge(&r, 0);
    assert_int_equal(r.buddies[0].used, 0);
    assert_int_equal(r.buddies[1].used, 1 << 20);
    rig_end(&r);
}

TEST(archive_memory, that_is_not_there_lets_nothing_new_be_archived_until_it_is)
{
    struct rig r;
    char text[256];
    rig_init(&r);
    void *others = el_buddy_alloc(&r.buddies[1], RANGE_LEN / 2);
    assert_non_null(others);
    charge(&r, 12 << 20);
    assert_true(r.shards[1].uncharged);
    assert_true(archive_full(&r.a, text, sizeof text));
    assert_non_null(strstr(r.a.full_text, "there is no memory left for that: raise memory.max"));
    assert_int_equal(metrics_get(r.a.metrics, METRIC_ARCHIVE_FULL), 1);
    el_buddy_free(&r.buddies[1], others);
    charge(&r, 12 << 20);
    assert_false(archive_full(&r.a, text, sizeof text));
    assert_int_equal(metrics_get(r.a.metrics, METRIC_ARCHIVE_FULL), 0);
    rig_end(&r);
}

TEST(archive_memory, has_a_limit_for_the_ledger_and_a_reader_of_each_shard)
{
    struct rig r;
    rig_init(&r);
    r.a.cfg.memory_max = 300000;
    charge(&r, 100000);
    assert_false(atomic_load(&r.a.full));
    charge(&r, 100001);
    assert_true(atomic_load(&r.a.full));
    assert_non_null(
        strstr(r.a.full_text, "takes 300003 bytes, more than archive.memory.max: raise archive.memory.max"));
    rig_end(&r);
}

/* Else a round would make a full manifest that nobody can read, and archiving would end for good. */
TEST(archive_memory, is_not_the_limit_where_a_full_manifest_would_be_too_long)
{
    struct rig r;
    char text[256];
    rig_init(&r);
    r.a.manifest_len = EL_MANIFEST_LEN_MAX / 16 * 15;
    charge(&r, 1000);
    assert_false(archive_full(&r.a, text, sizeof text));
    r.a.manifest_len++;
    charge(&r, 1000);
    assert_true(archive_full(&r.a, text, sizeof text));
    assert_non_null(strstr(r.a.full_text, "nearly as long as one may be: raise archive.segment.bytes"));
    rig_end(&r);
}

TEST(archive_memory, of_a_ledger_has_room_for_the_next_full_manifest)
{
    struct archive_ledger *l = calloc(1, sizeof *l);
    assert_non_null(l);
    uint64_t before = archive_ledger_memory(l);
    l->state = archive_state_new();
    assert_non_null(l->state);
    uint64_t state_len = archive_state_memory(l->state), full_len = archive_state_full_len(l->state);
    assert_int_equal(archive_ledger_memory(l) - before, state_len + full_len);
    l->manifest.cap = full_len; /* it lies there */
    assert_int_equal(archive_ledger_memory(l) - before, state_len + full_len);
    l->manifest.cap = full_len + 7;
    assert_int_equal(archive_ledger_memory(l) - before, state_len + full_len + 7);
    archive_state_free(l->state);
    free(l);
}

TEST(archive_memory, of_a_state_grows_with_objects_and_not_twice_over)
{
    struct el_private_key *key;
    struct mem_store *store = mem_store_open();
    assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    struct archive_builder *b = archive_builder_open(&store->base,
                                                     &(struct archive_build){.seed = 5, .keys = &key, .key_count = 1});
    archive_builder_topic(b, "t", 1);
    archive_builder_append(b, "t", 0, 1);
    archive_builder_round(b);
    uint64_t before = archive_state_memory(b->state);
    for (int i = 0; i < 100; i++) {
        archive_builder_append(b, "t", 0, 1);
        archive_builder_round(b);
    }
    const uint64_t each = 128; /* of an object with one part */
    uint64_t more = archive_state_memory(b->state) - before;
    assert_true(more >= 96 * each); /* a few had room before */
    assert_true(more <= 200 * each);
    archive_builder_segment(b, "t", 0);
    archive_builder_round(b);
    archive_builder_retire(b, "t", 0, 1);
    before = archive_state_memory(b->state);
    archive_builder_round(b);
    assert_int_equal(archive_state_memory(b->state) - before, sizeof(struct el_manifest_retired));
    archive_builder_close(b);
    object_store_close(&store->base);
    el_private_key_free(key);
}
