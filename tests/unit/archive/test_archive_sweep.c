/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what no root names leaves the archive when it is old enough, and nothing else ever does: not what a root names,
 * not what is young, not names of others, and nothing that an archive which goes on from this one may need.
 * Method: passes over archives that a builder made, with objects put beside them.
 */
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archive_ledger_state.h>
#include <core/alloc.h>
#include <core/crypto.h>
#include <stdio.h>
#include <test.h>

#define DAY_MS 86400000

struct rig {
    struct mem_store *store;
    struct archive_builder *b;
    struct archive_ledger *l;
    struct archive_sweep_job job;
    _Atomic bool hurry;
    char folder[40]; /* "<incarnation>/" */
};

static struct el_private_key *key(void)
{
    static struct el_private_key *key;
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    }
    return key;
}

static void rig_init(struct rig *r)
{
    struct el_private_key *keys[] = {key()};
    struct archive_config cfg;
    memset(r, 0, sizeof *r);
    r->store = mem_store_open();
    r->b = archive_builder_open(&r->store->base, &(struct archive_build){.seed = 5, .keys = keys, .key_count = 1});
    archive_builder_topic(r->b, "t", 1);
    for (int i = 0; i < 3; i++) {
        archive_builder_append(r->b, "t", 0, 4);
        archive_builder_round(r->b);
    }
    archive_builder_segment(r->b, "t", 0);
    archive_builder_round(r->b); /* three bundles are replaced, and there */
    archive_config_init(&cfg);
    cfg.bucket = &r->store->base;
    cfg.keys[0] = key();
    cfg.key_count = 1;
    assert_int_equal(archive_ledger_create(&cfg, &r->b->cluster, 1, &r->l), 0);
    r->l->incarnation = r->b->incarnation;
    r->l->state = r->b->state;
    r->job = (struct archive_sweep_job){.ledger = r->l, .hurry = &r->hurry, .orphans = true, .over = true};
    el_hex(r->folder, r->b->incarnation.bytes, 16);
    strcat(r->folder, "/");
}

static void rig_end(struct rig *r)
{
    r->l->state = NULL;
    archive_ledger_destroy(r->l);
    archive_builder_close(r->b);
    object_store_close(&r->store->base);
}

static void put(struct rig *r, const char *folder, const char *name)
{
    char text[EL_ARCHIVE_KEY_MAX];
    uint8_t sha256[32];
    snprintf(text, sizeof text, "%s%s", folder, name);
    el_sha256(text, strlen(text), sha256);
    assert_int_equal(object_put(&r->store->base, text, text, strlen(text), sha256, NULL), 0);
}

static bool there(struct rig *r, const char *name)
{
    char text[EL_ARCHIVE_KEY_MAX];
    snprintf(text, sizeof text, "%s%s", r->folder, name);
    return mem_store_find(r->store, text) != NULL;
}

static int pass(struct rig *r)
{
    r->job.goes_on = !r->job.over;
    return (int)archive_sweep_run(NULL, &r->job);
}

static uint64_t sweep(struct rig *r)
{
    uint64_t removed = 0;
    do {
        assert_int_equal(pass(r), 0);
        removed += r->job.removed;
    } while (!r->job.over);
    return removed;
}

/* The store's clock goes on; it shows it with the next call. */
static void later(struct rig *r, int64_t ms)
{
    struct object_info info;
    r->store->now_ms += ms;
    (void)object_head(&r->store->base, "x", &info, NULL);
}

#define BUNDLE "bundles/0000/0000000000000009-0123456789abcdef"
#define SEGMENT "topics/0123456789abcdef0123456789abcdef/3/seg/00000000000000000007-0123456789abcdef.seg"

TEST(archive_sweep, orphans_leave_when_they_are_old_enough_by_the_stores_clock)
{
    struct rig r;
    rig_init(&r);
    size_t count = r.store->count;
    put(&r, r.folder, BUNDLE);
    put(&r, r.folder, SEGMENT);
    later(&r, DAY_MS - 1);
    assert_int_equal(sweep(&r), 0);
    assert_int_equal(r.l->sweep.young, 2);
    later(&r, 1);
    assert_int_equal(sweep(&r), 2);
    assert_false(there(&r, BUNDLE));
    assert_false(there(&r, SEGMENT));
    assert_int_equal(r.store->count, count);
    later(&r, 1000ll * DAY_MS);
    assert_int_equal(sweep(&r), 0); /* live or replaced: the root names them */
    assert_int_equal(r.store->count, count);
    rig_end(&r);
}

TEST(archive_sweep, names_of_others_stay)
{
    static const char *const names[] = {
        "bundles/0000/0000000000000009-0123456789abcdef.part", "bundles/00/0000000000000009-0123456789abcdef",
        "bundles/0000/0000000000000009-0123456789ABCDEF",      "bundles/readme",
        "topics/0123456789abcdef0123456789abcdef/3/seg/x.seg", "topics/0123456789abcdef0123456789abcdef/3/tile/0/000",
        "topics/0123456789abcdef0123456789abcdef/topic.cbor",  "manifest/00000000000000ff",
    };
    struct rig r;
    rig_init(&r);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        put(&r, r.folder, names[i]);
    }
    put(&r, "ffffffffffffffffffffffffffffffff/", BUNDLE); /* another writer's */
    later(&r, 2ll * DAY_MS);
    assert_int_equal(sweep(&r), 0);
    rig_end(&r);
}

TEST(archive_sweep, passes_go_on_where_the_last_one_ended)
{
    struct rig r;
    char name[EL_ARCHIVE_KEY_MAX];
    uint32_t passes = 1;
    uint64_t removed = 0;
    rig_init(&r);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "bundles/%04d/%016x-0123456789abcdef", i % 3, i + 100);
        put(&r, r.folder, name);
    }
    later(&r, DAY_MS);
    r.hurry = true;
    assert_int_equal(pass(&r), 0);
    assert_false(r.job.over);
    assert_int_equal(r.job.removed, 0);
    r.hurry = false;
    r.l->cfg.sweep_names = 40;
    for (; !r.job.over; passes++) {
        assert_int_equal(pass(&r), 0);
        assert_in_range(r.job.removed, 0, 32);
        removed += r.job.removed;
    }
    assert_int_equal(removed, 100);
    assert_in_range(passes, 4, 8);
    rig_end(&r);
}

TEST(archive_sweep, a_failure_ends_a_sweep_and_the_next_one_begins_anew)
{
    struct rig r;
    rig_init(&r);
    put(&r, r.folder, BUNDLE);
    later(&r, DAY_MS);
    mem_store_fault(r.store,
                    (struct mem_fault){
                        .call = MEM_REMOVE, .key_part = "", .effect = MEM_FAIL, .code = EVLOG_ERR_POLICY, .count = 1});
    assert_int_equal(pass(&r), EVLOG_ERR_POLICY);
    assert_true(r.job.over);
    assert_true(there(&r, BUNDLE));
    assert_int_equal(sweep(&r), 1);
    rig_end(&r);
}

TEST(archive_sweep, what_lay_there_before_a_child_began_stays)
{
    struct rig r;
    struct el_private_key *keys[] = {key()};
    rig_init(&r);
    put(&r, r.folder, BUNDLE);
    later(&r, DAY_MS);
    struct archive_builder *child = archive_builder_open(
        &r.store->base, &(struct archive_build){.seed = 6, .keys = keys, .key_count = 1, .parent = r.b->state});
    archive_builder_round(child);
    later(&r, 1);
    put(&r, r.folder, SEGMENT);
    later(&r, DAY_MS);
    assert_int_equal(sweep(&r), 1);
    assert_true(there(&r, BUNDLE));
    assert_int_equal(r.l->sweep.of_child, 1);
    assert_false(there(&r, SEGMENT));
    archive_builder_close(child);
    rig_end(&r);
}

TEST(archive_sweep, nothing_is_removed_when_somebody_beside_it_cannot_be_understood)
{
    struct rig r;
    rig_init(&r);
    put(&r, r.folder, BUNDLE);
    put(&r, "0123456789abcdef0123456789abcdef/", "cluster.json");
    later(&r, DAY_MS);
    assert_int_not_equal(pass(&r), 0);
    assert_true(there(&r, BUNDLE));
    rig_end(&r);
}

/* --- a child that comes late -------------------------------------------------------------------------------------- */

TEST(archive_sweep, a_directory_restored_from_what_is_removed_since_does_not_begin)
{
    struct rig r;
    struct el_error err = {0};
    rig_init(&r);
    struct el_manifest_header draft = {.parent = r.b->incarnation, .parent_sequence = 3}; /* before the segment */
    assert_int_equal(archive_parent_check(r.l, &draft, &err), 0);                         /* replaced, and there */
    archive_builder_sweep(r.b);
    archive_builder_round(r.b);
    r.l->state = r.b->state;
    assert_int_equal(archive_parent_check(r.l, &draft, &err), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(err.text, "restore again"));
    draft.parent_sequence = 5;
    assert_int_equal(archive_parent_check(r.l, &draft, &err), 0);
    draft.parent.bytes[0] ^= 1; /* another place */
    assert_int_equal(archive_parent_check(r.l, &draft, &err), 0);
    rig_end(&r);
}
