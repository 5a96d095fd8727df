/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a disk that is not the one which signed last is found when archiving begins, and named as what it is.
 * Method: the jobs of a ledger on simulated disks over one object store in memory; disks are copied between roots.
 */
#include "../../sim/sim_disk.h"
#include "archive_builder.h"
#include "mem_store.h"

#include <archive/archive_ledger_state.h>
#include <core/alloc.h>
#include <core/crypto.h>
#include <core/rng.h>
#include <store/archive_cluster.h>
#include <test.h>

/* A disk, and what its broker knows. */
struct node {
    struct sim_disk *disk;
    struct archive_ledger *ledger;
    struct archive_begin_job begin;
    struct archive_make_job make;
};

struct rig {
    struct el_rng rng;
    struct mem_store *store;
    struct el_private_key *key;
    struct el_uuid cluster;
    uint64_t now_ms, mono_ms;
    bool heals; /* older disks */
    uint64_t silent_ms;
    uint8_t next_id;
};

static void rig_init(struct rig *r)
{
    *r = (struct rig){.store = mem_store_open(), .cluster = {{9}}, .now_ms = 1000000, .next_id = 1};
    el_rng_seed(&r->rng, 3);
    assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &r->key, NULL), 0);
}

static void rig_end(struct rig *r)
{
    el_private_key_free(r->key);
    object_store_close(&r->store->base);
}

static void node_init(struct rig *r, struct node *n, struct sim_disk *disk)
{
    struct archive_config cfg;
    archive_config_init(&cfg);
    cfg.bucket = &r->store->base;
    cfg.keys[0] = r->key;
    cfg.key_count = 1;
    cfg.heals = r->heals;
    cfg.silent_ms = r->silent_ms;
    memset(n, 0, sizeof *n);
    n->disk = disk;
    assert_int_equal(archive_ledger_create(&cfg, &r->cluster, 1, &n->ledger), 0);
}

static void node_end(struct node *n)
{
    archive_ledger_destroy(n->ledger);
    sim_disk_free(n->disk);
}

static int64_t begin(struct rig *r, struct node *n)
{
    n->begin = (struct archive_begin_job){
        .ledger = n->ledger, .fresh = {{r->next_id++}}, .now_ms = r->now_ms++, .shard_count = 1};
    n->begin.mono_ms = r->mono_ms;
    return archive_begin_run(sim_disk_as_disk(n->disk), &n->begin);
}

static int64_t sign_root(struct rig *r, struct node *n)
{
    uint64_t cut_ns = r->now_ms * 1000000;
    n->make = (struct archive_make_job){.ledger = n->ledger, .now_ms = r->now_ms++, .cut_ns = cut_ns};
    return archive_make_run(sim_disk_as_disk(n->disk), &n->make);
}

/* A node that has signed and put so many roots. */
static void node_with(struct rig *r, struct node *n, uint64_t roots)
{
    node_init(r, n, sim_disk_create(&r->rng));
    assert_int_equal(begin(r, n), 0);
    for (uint64_t i = 1; i <= roots; i++) {
        assert_int_equal(sign_root(r, n), 0);
        assert_int_equal(n->make.sequence, i);
    }
}

static void node_copy(struct rig *r, struct node *from, struct node *n)
{
    sim_disk_power_cycle(from->disk);
    node_init(r, n, sim_disk_copy(from->disk, &r->rng));
}

static void assert_refused(struct rig *r, struct node *n, const char *text)
{
    size_t count = r->store->count;
    assert_int_equal(begin(r, n), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(n->begin.err.text, text));
    assert_int_equal(r->store->count, count);
}

TEST(archive_begin, of_a_disk_from_before_the_last_root_says_that_it_is_older)
{
    struct rig r;
    struct node own, old;
    rig_init(&r);
    node_with(&r, &own, 2);
    node_copy(&r, &own, &old);
    assert_int_equal(sign_root(&r, &own), 0);
    assert_refused(&r, &old, "has a root behind number 2, the last that this directory has signed: this disk is older");
    node_end(&old);
    node_end(&own);
    rig_end(&r);
}

TEST(archive_begin, of_a_disk_from_before_a_manifest_whose_root_never_came_says_that_it_is_older)
{
    for (uint64_t roots = 0; roots < 3; roots++) {
        struct rig r;
        struct node own, old;
        rig_init(&r);
        node_with(&r, &own, roots);
        node_copy(&r, &own, &old);
        mem_store_fault(r.store, (struct mem_fault){.call = MEM_PUT,
                                                    .key_part = "/root/",
                                                    .count = UINT32_MAX,
                                                    .effect = MEM_FAIL,
                                                    .code = EVLOG_ERR_AGAIN});
        assert_int_not_equal(sign_root(&r, &own), 0);
        assert_refused(&r, &old, "this disk is older");
        node_end(&old);
        node_end(&own);
        rig_end(&r);
    }
}

TEST(archive_begin, of_an_older_disk_that_may_be_healed_says_what_was_signed)
{
    struct rig r;
    struct node own, old;
    rig_init(&r);
    r.heals = true;
    node_with(&r, &own, 2);
    node_copy(&r, &own, &old);
    assert_int_equal(sign_root(&r, &own), 0);
    size_t count = r.store->count;
    assert_int_equal(begin(&r, &old), 0);
    assert_true(old.begin.older);
    assert_int_equal(old.begin.sequence, 3);
    assert_int_equal(old.begin.complete_ns, own.make.complete_ns);
    assert_true(el_uuid_eq(&old.begin.incarnation, &own.begin.incarnation));
    assert_int_equal(r.store->count, count);
    assert_int_equal(begin(&r, &own), 0);
    assert_false(own.begin.older);
    node_end(&old);
    node_end(&own);
    rig_end(&r);
}

TEST(archive_begin, of_an_older_disk_waits_until_the_newer_one_is_silent)
{
    struct rig r;
    struct node own, old;
    rig_init(&r);
    r.heals = true;
    r.silent_ms = 5000;
    node_with(&r, &own, 2);
    node_copy(&r, &own, &old);
    for (int i = 0; i < 3; i++) { /* each root begins it anew, whatever the clocks say */
        assert_int_equal(sign_root(&r, &own), 0);
        assert_int_equal(begin(&r, &old), EVLOG_ERR_AGAIN);
        assert_true(old.begin.waits);
        r.mono_ms += 4999;
        assert_int_equal(begin(&r, &old), EVLOG_ERR_AGAIN);
    }
    r.mono_ms++;
    assert_int_equal(begin(&r, &old), 0);
    assert_true(old.begin.older);
    node_end(&old);
    node_end(&own);
    rig_end(&r);
}

TEST(archive_begin, of_an_older_disk_waits_for_a_root_whose_manifest_is_there)
{
    struct rig r;
    struct node own, old;
    rig_init(&r);
    r.heals = true;
    node_with(&r, &own, 2);
    node_copy(&r, &own, &old);
    mem_store_fault(
        r.store, (struct mem_fault){
                     .call = MEM_PUT, .key_part = "/root/", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    assert_int_not_equal(sign_root(&r, &own), 0);
    assert_int_equal(begin(&r, &old), EVLOG_ERR_AGAIN);
    assert_true(old.begin.waits);
    r.mono_ms += 60000;
    assert_int_equal(begin(&r, &old), 0);
    assert_int_equal(old.begin.sequence, 2);
    node_end(&old);
    node_end(&own);
    rig_end(&r);
}

TEST(archive_begin, of_an_older_disk_believes_no_root_that_its_keys_did_not_sign)
{
    struct rig r;
    struct node own, old;
    struct el_private_key *other;
    rig_init(&r);
    r.heals = true;
    node_with(&r, &own, 2);
    node_copy(&r, &own, &old);
    assert_int_equal(sign_root(&r, &own), 0);
    assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &other, NULL), 0);
    el_private_key_public(other, &old.ledger->publics[0]);
    assert_int_equal(begin(&r, &old), EVLOG_ERR_CONFLICT);
    assert_non_null(strstr(old.begin.err.text, "is not signed by any of the keys that are given"));
    el_private_key_free(other);
    node_end(&old);
    node_end(&own);
    rig_end(&r);
}

/* The guard of a broker that has signed the builder's newest root. */
static void guard_of(struct archive_builder *b, struct node *n)
{
    char key[EL_ARCHIVE_KEY_MAX];
    uint8_t *note = NULL, *manifest = NULL;
    uint64_t note_len = 0, manifest_len = 0;
    struct el_error err = {0};
    struct archive_guard guard = {.incarnation = b->incarnation, .sequence = b->state->header.sequence};
    el_archive_key_root(key, &guard.incarnation, guard.sequence);
    assert_int_equal(object_get_all(b->store, key, EL_NOTE_LEN_MAX, &note, &note_len, &err), 0);
    el_archive_key_manifest(key, &guard.incarnation, guard.sequence);
    assert_int_equal(object_get_all(b->store, key, EL_MANIFEST_LEN_MAX, &manifest, &manifest_len, &err), 0);
    guard.note = el_slice_of(note, note_len);
    guard.manifest = el_slice_of(manifest, manifest_len);
    assert_int_equal(archive_guard_save(sim_disk_as_disk(n->disk), &guard, NULL, &err), 0);
    el_free(note);
    el_free(manifest);
}

/* "t" has two batches in a segment when the disk is copied, and then so many in others; the first segments leave. */
static int64_t healed_start(uint32_t leaving)
{
    struct rig r;
    struct node old;
    int64_t start = -1;
    rig_init(&r);
    r.heals = true;
    struct archive_builder *b = archive_builder_open(
        &r.store->base, &(struct archive_build){.seed = 5, .keys = &r.key, .key_count = 1});
    r.cluster = b->cluster;
    r.now_ms = b->now_ns / 1000000 + 1000000;
    archive_builder_topic(b, "t", 1);
    node_init(&r, &old, sim_disk_create(&r.rng));
    for (uint32_t i = 0; i < 3; i++) {
        archive_builder_append(b, "t", 0, 2);
        archive_builder_round(b);
        archive_builder_segment(b, "t", 0);
        archive_builder_round(b);
        if (i == 0) {
            guard_of(b, &old);
        }
    }
    archive_builder_retire(b, "t", 0, leaving);
    archive_builder_round(b);
    assert_int_equal(begin(&r, &old), 0);
    assert_true(old.begin.older);
    for (size_t i = 0; i < old.ledger->told.part_count; i++) {
        const struct archive_told_part *part = &old.ledger->told.parts[i];
        if (part->end == 12) {
            assert_int_equal(part->known_end, 4);
            start = part->log_start;
        }
    }
    node_end(&old);
    archive_builder_close(b);
    rig_end(&r);
    return start;
}

TEST(archive_begin, of_an_older_disk_leaves_no_hole_where_events_left_the_archive)
{
    assert_int_equal(healed_start(1), 0); /* all that left is on the disk, too */
    assert_int_equal(healed_start(2), 8);
}

TEST(archive_begin, puts_again_what_this_disk_has_signed_and_did_not_put)
{
    struct rig r;
    struct node own, again;
    rig_init(&r);
    node_with(&r, &own, 2);
    mem_store_fault(
        r.store, (struct mem_fault){
                     .call = MEM_PUT, .key_part = "/root/", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    assert_int_not_equal(sign_root(&r, &own), 0);
    node_copy(&r, &own, &again);
    assert_int_equal(begin(&r, &again), 0);
    assert_int_equal(again.begin.sequence, 3);
    node_end(&again);
    node_end(&own);
    rig_end(&r);
}

/* --- calls that fail ---------------------------------------------------------------------------------------------- */

struct calls {
    uint64_t count, fails_at; /* of the calls, from 1 on; 0: none fails */
    enum mem_call failed;
};

static enum mem_effect call_decide(void *arg, enum mem_call call, const char *key, int *code)
{
    struct calls *c = arg;
    (void)key;
    if (++c->count != c->fails_at) {
        return MEM_NONE;
    }
    c->failed = call;
    *code = EVLOG_ERR_AGAIN;
    return MEM_FAIL;
}

/* Calls of a start of a copy of the disk, in two tries when one of them fails. returns false: none was the n-th */
static bool count_calls(struct rig *r, struct node *from, uint64_t fails_at, uint64_t sequence,
                        uint64_t made[MEM_CALLS])
{
    struct calls calls = {.fails_at = fails_at};
    struct node n;
    uint64_t before[MEM_CALLS];
    struct mem_store *own = r->store;
    node_copy(r, from, &n);
    r->store = mem_store_copy(own);
    n.ledger->cfg.bucket = &r->store->base;
    memcpy(before, r->store->calls, sizeof before);
    mem_store_decide(r->store, call_decide, &calls);
    int64_t code = begin(r, &n);
    bool failed = fails_at != 0 && calls.count >= fails_at;
    if (failed) {
        assert_int_equal(code, EVLOG_ERR_AGAIN);
        assert_true(n.begin.further || fails_at < 4);
        code = begin(r, &n);
    }
    assert_int_equal(code, 0);
    assert_int_equal(n.begin.sequence, sequence);
    for (int i = 0; i < MEM_CALLS; i++) {
        made[i] = r->store->calls[i] - before[i] - (failed && calls.failed == (enum mem_call)i);
    }
    node_end(&n);
    object_store_close(&r->store->base);
    r->store = own;
    return failed;
}

/* A failed call is made once more, and with it the looks at what may have changed; nothing is read twice. */
static void assert_resumes(struct rig *r, struct node *n, uint64_t sequence)
{
    uint64_t whole[MEM_CALLS], made[MEM_CALLS], fails_at = 1;
    assert_false(count_calls(r, n, 0, sequence, whole));
    assert_true(whole[MEM_GET] > sequence);
    for (; count_calls(r, n, fails_at, sequence, made); fails_at++) {
        assert_int_equal(made[MEM_GET], whole[MEM_GET]);
        assert_true(made[MEM_PUT] <= whole[MEM_PUT] + 1);
        assert_true(made[MEM_LIST] <= whole[MEM_LIST] + 3);
        assert_true(made[MEM_HEAD] <= whole[MEM_HEAD] + 2);
    }
    assert_true(fails_at > sequence);
}

/* A disk whose archive has twenty bundles and then a segment, in a chain of manifests. */
static struct archive_builder *node_built(struct rig *r, struct node *n)
{
    rig_init(r);
    struct archive_builder *b = archive_builder_open(
        &r->store->base, &(struct archive_build){.seed = 5, .keys = &r->key, .key_count = 1});
    r->cluster = b->cluster;
    r->now_ms = b->now_ns / 1000000 + 1000000;
    archive_builder_topic(b, "t", 1);
    node_init(r, n, sim_disk_create(&r->rng));
    for (int i = 0; i < 20; i++) {
        archive_builder_append(b, "t", 0, 2);
        archive_builder_round(b);
    }
    archive_builder_segment(b, "t", 0);
    archive_builder_round(b);
    archive_builder_append(b, "t", 0, 2);
    archive_builder_round(b);
    return b;
}

TEST(archive_begin, that_fails_in_one_call_does_not_read_again_what_it_has_read)
{
    struct rig r;
    struct node n;
    struct archive_builder *b = node_built(&r, &n);
    guard_of(b, &n);
    assert_resumes(&r, &n, 22);
    node_end(&n);
    archive_builder_close(b);
    rig_end(&r);
}

TEST(archive_begin, that_puts_again_what_was_signed_does_not_read_again_what_it_has_read)
{
    struct rig r;
    struct node n;
    char key[EL_ARCHIVE_KEY_MAX];
    struct archive_builder *b = node_built(&r, &n);
    archive_builder_segment(b, "t", 0);
    archive_builder_round(b);
    guard_of(b, &n);
    el_archive_key_root(key, &b->incarnation, 23);
    mem_store_drop(r.store, key);
    assert_resumes(&r, &n, 23);
    node_end(&n);
    archive_builder_close(b);
    rig_end(&r);
}

/* Between two tries another broker goes on. */
TEST(archive_begin, that_failed_looks_anew_at_what_may_have_changed)
{
    struct rig r;
    struct node own, old;
    rig_init(&r);
    node_with(&r, &own, 5);
    node_copy(&r, &own, &old);
    mem_store_fault(
        r.store, (struct mem_fault){
                     .call = MEM_GET, .key_part = "/root/", .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    assert_int_equal(begin(&r, &old), EVLOG_ERR_AGAIN);
    assert_int_equal(sign_root(&r, &own), 0);
    assert_refused(&r, &old, "this disk is older");
    node_end(&old);
    node_end(&own);
    rig_end(&r);
}

TEST(archive_begin, of_a_disk_whose_archive_has_an_heir_writes_nothing_and_names_it)
{
    struct rig r;
    struct node own;
    struct el_buffer text = {0};
    char key[EL_ARCHIVE_KEY_MAX], heir[33];
    uint8_t sha256[32];
    rig_init(&r);
    node_with(&r, &own, 3);
    struct archive_cluster child = {.cluster = r.cluster,
                                    .incarnation = {{0xab}},
                                    .parent = own.begin.incarnation,
                                    .parent_sequence = 2,
                                    .made_ms = r.now_ms,
                                    .key_count = 1};
    el_private_key_public(r.key, &child.keys[0]);
    assert_int_equal(archive_cluster_write(&child, &text), 0);
    el_archive_key_cluster(key, &child.incarnation);
    el_sha256(text.data, text.len, sha256);
    assert_int_equal(object_put(&r.store->base, key, text.data, text.len, sha256, NULL), 0);
    el_hex(heir, child.incarnation.bytes, 16);
    assert_refused(&r, &own, heir);
    assert_non_null(strstr(own.begin.err.text, "continues the archive of this disk"));
    assert_non_null(strstr(own.begin.err.text, "behind root 2"));
    el_buffer_free(&text);
    node_end(&own);
    rig_end(&r);
}
