/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a manifest that breaks a rule of docs/format.md 15.4 is refused with a text that names the rule, and what good
 * ones say is kept. Method: a builder archives a little; then the next manifest is made by hand, with one thing wrong.
 */
#include "archive_builder.h"
#include "mem_store.h"
#include "test.h"

#include <core/alloc.h>
#include <evlog/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <store/archive_reader.h>
#include <string.h>

/* Two topics: "a" with two partitions, "b" with one. a/0: leaves 0-2 in segment 3, 3-4 in bundle 4 (with a/1: 0);
 * bundles 1 and 2 are replaced. */
struct world {
    struct mem_store *store;
    struct archive_builder *b;
    struct el_buffer out; /* the manifest that is being made */
    struct el_manifest_header header;
    struct el_error err;
};

static void world_open(struct world *w)
{
    static struct el_private_key *key;
    if (key == NULL) {
        assert_int_equal(el_private_key_make(EL_SIGN_ED25519, &key, NULL), 0);
    }
    *w = (struct world){.store = mem_store_open()};
    assert_non_null(w->store);
    w->b = archive_builder_open(&w->store->base, &(struct archive_build){.seed = 7, .keys = &key, .key_count = 1});
    archive_builder_topic(w->b, "a", 2);
    archive_builder_topic(w->b, "b", 1);
    archive_builder_append(w->b, "a", 0, 2);
    archive_builder_round(w->b);
    archive_builder_append(w->b, "a", 0, 1);
    archive_builder_round(w->b);
    archive_builder_segment(w->b, "a", 0);
    archive_builder_append(w->b, "a", 0, 2);
    archive_builder_append(w->b, "a", 1, 1);
    archive_builder_round(w->b);
}

static void world_close(struct world *w)
{
    el_buffer_free(&w->out);
    archive_builder_close(w->b);
    object_store_close(&w->store->base);
}

/* Begin the next manifest. */
static struct el_buffer *begin(struct world *w)
{
    el_buffer_reset(&w->out);
    archive_state_next(w->b->state, &w->b->incarnation, &w->header);
    el_manifest_begin(&w->out);
    archive_state_put_tree(w->b->state, &w->out);
    return &w->out;
}

/* Apply what was made to a copy of the state. */
static int apply(struct world *w)
{
    struct archive_state *copy = archive_state_new();
    struct el_buffer full = {0};
    assert_non_null(copy);
    assert_int_equal(el_manifest_seal(&w->out, &w->header), 0);
    /* a full manifest of what there is has another hash, so the next one is told so */
    struct el_frontier tree = w->b->state->tree, before = w->b->state->before;
    uint8_t sha256[32];
    struct el_manifest_header header = w->b->state->header;
    memcpy(sha256, w->b->state->sha256, 32);
    assert_int_equal(archive_state_to_full(w->b->state, &full), 0);
    w->b->state->tree = tree;
    w->b->state->before = before;
    w->b->state->header = header;
    memcpy(w->b->state->sha256, sha256, 32);
    assert_int_equal(archive_state_apply(copy, full.data, full.len, NULL), 0);
    copy->tree = tree;
    copy->header = header;
    memcpy(copy->sha256, sha256, 32);
    int code = archive_state_apply(copy, w->out.data, w->out.len, &w->err);
    archive_state_free(copy);
    el_buffer_free(&full);
    return code;
}

static void refused(struct world *w, const char *word)
{
    assert_int_equal(apply(w), EVLOG_ERR_CORRUPT);
    if (strstr(w->err.text, word) == NULL || strstr(w->err.text, "manifest 4") == NULL) {
        (void)fprintf(stderr, "text: %s\n", w->err.text);
        fail();
    }
}

static struct el_manifest_partition partition_of(const struct world *w, const char *topic, int32_t partition)
{
    struct el_uuid id = archive_builder_topic_id(topic);
    return archive_state_partition(w->b->state, &id, partition)->now;
}

static struct el_archive_part part_of(const struct world *w, const char *topic, int32_t partition, uint32_t index)
{
    struct el_uuid id = archive_builder_topic_id(topic);
    const struct archive_partition *p = archive_state_partition(w->b->state, &id, partition);
    assert_true(index < p->part_count);
    return archive_part_at(p, index);
}

static struct el_manifest_object object_of(const struct world *w, uint64_t number)
{
    struct archive_object o;
    assert_true(archive_state_object(w->b->state, number, &o));
    return o.now;
}

/* A segment that would take the place of parts [from, to] of a/0. */
static struct el_manifest_object put_cover(struct world *w, struct el_archive_part *part)
{
    struct el_manifest_object o = object_of(w, 3);
    o.number = 9;
    o.topic_id = part->topic_id;
    o.partition = part->partition;
    o.sequence = (uint64_t)part->first_offset;
    o.len = part->data_pos + part->data_len;
    part->object = 9;
    return o;
}

/* Each change of the next manifest is refused with a text that has the word in it. */
#define REFUSED(word, ...)                                                                                             \
    do {                                                                                                               \
        struct el_buffer *out = begin(&w);                                                                             \
        (void)out;                                                                                                     \
        __VA_ARGS__;                                                                                                   \
        refused(&w, word);                                                                                             \
    } while (0)

TEST(archive_state, headers_that_do_not_follow_are_refused)
{
    struct world w;
    world_open(&w);
    begin(&w);
    assert_int_equal(apply(&w), 0);
    begin(&w);
    w.header.sequence = 5;
    assert_int_equal(apply(&w), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(w.err.text, "not the manifest behind number 3"));
    REFUSED("not the manifest behind", w.header.incarnation.bytes[0] ^= 1);
    REFUSED("follows another manifest", w.header.previous_sha256[0] ^= 1);
    REFUSED("names full manifest", w.header.full_sequence = 2);
    REFUSED("another parent", (w.header.parent.bytes[0] = 1, w.header.parent_sequence = 1));
    REFUSED("goes back", w.header.cut_ns--);
    REFUSED("goes back", w.header.leader_epoch--);
    REFUSED("goes back", w.header.made_ms--);
    world_close(&w);
}

TEST(archive_state, a_delta_on_nothing_is_refused)
{
    struct world w;
    struct archive_state *empty = archive_state_new();
    world_open(&w);
    begin(&w);
    assert_int_equal(el_manifest_seal(&w.out, &w.header), 0);
    assert_int_equal(archive_state_apply(empty, w.out.data, w.out.len, &w.err), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(w.err.text, "delta"));
    assert_int_equal(archive_state_apply(empty, w.out.data, w.out.len - 8, &w.err), EVLOG_ERR_TRUNCATED);
    archive_state_free(empty);
    world_close(&w);
}

TEST(archive_state, records_in_the_wrong_order_or_of_no_tree_are_refused)
{
    struct world w;
    world_open(&w);
    struct el_frontier tree = w.b->state->tree;
    REFUSED("in their order", el_manifest_tree_put(out, &tree)); /* twice */
    begin(&w);
    el_buffer_reset(&w.out);
    el_manifest_begin(&w.out);
    tree.hashes[0].bytes[0] ^= 1;
    el_manifest_tree_put(&w.out, &tree);
    refused(&w, "tree record is not that");
    /* none at all */
    begin(&w);
    el_buffer_reset(&w.out);
    el_manifest_begin(&w.out);
    refused(&w, "0 records");
    /* of another number of manifests */
    begin(&w);
    el_buffer_reset(&w.out);
    el_manifest_begin(&w.out);
    tree.size = 1;
    el_manifest_tree_put(&w.out, &tree);
    refused(&w, "not of the manifests before");
    world_close(&w);
}

TEST(archive_state, topics_and_partitions_that_go_back_are_refused)
{
    struct world w;
    world_open(&w);
    struct el_uuid id = archive_builder_topic_id("a");
    struct el_manifest_topic topic = archive_state_topic(w.b->state, &id)->now, fewer = topic, other = topic;
    fewer.partition_count = 1;
    other.name = el_slice_str("c");
    REFUSED("another name, fewer", el_manifest_topic_put(out, &fewer));
    REFUSED("another name, fewer", el_manifest_topic_put(out, &other));
    REFUSED("stated twice", (el_manifest_topic_put(out, &topic), el_manifest_topic_put(out, &topic)));
    struct el_manifest_partition good = partition_of(&w, "a", 0), p;
#define PARTITION(word, change)                                                                                        \
    do {                                                                                                               \
        p = good;                                                                                                      \
        change;                                                                                                        \
        REFUSED(word, el_manifest_partition_put(out, &p));                                                             \
    } while (0)
    PARTITION("no topic record", p.partition = 2);
    PARTITION("no topic record", p.topic_id.bytes[0] ^= 1);
    PARTITION("goes back", p.end_offset--);
    PARTITION("goes back", p.start_offset++);
    PARTITION("goes back", p.last_append_ns--);
    PARTITION("goes back", p.tree.size--);
    PARTITION("goes back", p.tree.hashes[0].bytes[0] ^= 1); /* of the same size, but another */
    PARTITION("parts have 5 batches, the tree 6", (p.tree.size++, p.end_offset += 10));
#undef PARTITION
    REFUSED("stated twice", (el_manifest_partition_put(out, &good), el_manifest_partition_put(out, &good)));
    begin(&w);
    good.log_start = 4;
    el_manifest_partition_put(&w.out, &good);
    assert_int_equal(apply(&w), 0);
    world_close(&w);
}

TEST(archive_state, objects_that_change_in_a_wrong_way_are_refused)
{
    struct world w;
    world_open(&w);
    struct el_manifest_object bundle = object_of(&w, 1), live = object_of(&w, 4), o;
    assert_int_equal(bundle.state, EL_OBJECT_REPLACED);
#define OBJECT(word, from, change)                                                                                     \
    do {                                                                                                               \
        o = from;                                                                                                      \
        change;                                                                                                        \
        REFUSED(word, el_manifest_object_put(out, &o));                                                                \
    } while (0)
    OBJECT("as another than it was", live, o.len++);
    OBJECT("as another than it was", live, o.sha256[0] ^= 1);
    OBJECT("in no other way", live, (void)o);
    OBJECT("in no other way", live, (o.state = EL_OBJECT_REMOVED, o.replaced_ms = 1));
    OBJECT("in no other way", bundle, (o.state = EL_OBJECT_LIVE, o.replaced_ms = 0));
    OBJECT("but 2 of its parts count", live, (o.state = EL_OBJECT_REPLACED, o.replaced_ms = 1));
    OBJECT("but 0 of its parts count", live, o.number = 5);
    OBJECT("never was live", bundle, o.number = 5);
#undef OBJECT
    begin(&w);
    bundle.state = EL_OBJECT_REMOVED;
    el_manifest_object_put(&w.out, &bundle);
    assert_int_equal(apply(&w), 0);
    world_close(&w);
}

TEST(archive_state, an_object_number_is_never_given_twice)
{
    struct world w;
    world_open(&w);
    archive_builder_sweep(w.b);
    archive_builder_round(w.b);
    struct archive_object gone;
    assert_false(archive_state_object(w.b->state, 1, &gone));
    struct el_manifest_object o = object_of(&w, 4);
    o.number = 1;
    begin(&w);
    el_manifest_object_put(&w.out, &o);
    assert_int_equal(apply(&w), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(w.err.text, "was given before"));
    world_close(&w);
}

TEST(archive_state, parts_that_leave_holes_or_overlap_are_refused)
{
    struct world w;
    world_open(&w);
    struct el_archive_part first = part_of(&w, "a", 0, 0), last = part_of(&w, "a", 0, 1), whole = first, p;
    struct el_manifest_object o;
    assert_int_equal(first.object, 3);
    assert_int_equal(last.object, 4);
    assert_int_equal(last.first_leaf, 3);
    whole.batch_count = 5;
    whole.end_offset = last.end_offset;
    whole.data_pos = whole.table_pos + 5 * EL_PACK_BATCH_LEN;
#define PART(word, from, change)                                                                                       \
    do {                                                                                                               \
        p = from;                                                                                                      \
        change;                                                                                                        \
        o = put_cover(&w, &p);                                                                                         \
        REFUSED(word, (el_manifest_object_put(out, &o), el_manifest_part_put(out, &p)));                               \
    } while (0)
    PART("by half", whole, p.batch_count = 4);
    PART("by half", last, (p.first_leaf = 4, p.batch_count = 1, p.first_offset += 2));
    PART("by half", last, p.first_leaf = 6);
    PART("by half", last, p.first_offset--);
    PART("by half", last, p.end_offset++);
    PART("overlap others, or are outside", last, p.first_leaf = 5);
    PART("but 0 of its parts count", whole, (void)p); /* what it covers is not stated as replaced */
    /* in no object, in one that is replaced, behind its end, in a segment of another place */
    p = last;
    p.object = 77;
    REFUSED("but not its object", el_manifest_part_put(out, &p));
    p.object = 1;
    REFUSED("is not live", el_manifest_part_put(out, &p));
    p = last;
    o = put_cover(&w, &p);
    o.len--;
    REFUSED("ends behind its object", (el_manifest_object_put(out, &o), el_manifest_part_put(out, &p)));
    o = put_cover(&w, &p);
    o.partition = 1;
    REFUSED("of another place", (el_manifest_object_put(out, &o), el_manifest_part_put(out, &p)));
    p = part_of(&w, "a", 1, 0);
    p.topic_id.bytes[0] ^= 1;
    REFUSED("but not its partition", el_manifest_part_put(out, &p));
    world_close(&w);
}

TEST(archive_state, a_part_takes_the_place_of_those_that_it_covers)
{
    struct world w;
    world_open(&w);
    archive_builder_segment(w.b, "a", 0);
    archive_builder_segment(w.b, "a", 1);
    archive_builder_round(w.b);
    struct el_uuid id = archive_builder_topic_id("a");
    const struct archive_partition *p = archive_state_partition(w.b->state, &id, 0);
    assert_int_equal(p->part_count, 2);
    assert_int_equal(object_of(&w, archive_part_at(p, 1).object).kind, EL_PACK_SEGMENT);
    assert_int_equal(object_of(&w, 4).state, EL_OBJECT_REPLACED);
    assert_int_equal(archive_partition_segment_leaves(w.b->state, p), 5);
    struct el_archive_part part;
    assert_true(archive_partition_part(p, 0, &part));
    assert_int_equal(part.first_leaf, 0);
    assert_true(archive_partition_part(p, 6, &part));
    assert_int_equal(part.first_leaf, 3);
    assert_false(archive_partition_part(p, 10, &part));
    world_close(&w);
}

static struct el_manifest_retired retired_of(const struct world *w)
{
    struct el_archive_part part = part_of(w, "a", 0, 0);
    return (struct el_manifest_retired){.topic_id = part.topic_id,
                                        .partition = 0,
                                        .end_offset = part.end_offset,
                                        .newest_append_ns = 5000000,
                                        .when_ms = 1000,
                                        .retention_ms = 10,
                                        .tree = {.size = part.batch_count}};
}

static void put_retired(struct world *w, const struct el_manifest_retired *r, bool replaced)
{
    struct el_manifest_object segment = object_of(w, 3);
    segment.state = EL_OBJECT_REPLACED;
    segment.replaced_ms = 1;
    el_manifest_retired_put(&w->out, r);
    if (replaced) {
        el_manifest_object_put(&w->out, &segment);
    }
}

TEST(archive_state, what_is_retired_by_half_or_not_there_is_refused)
{
    struct world w;
    world_open(&w);
    struct el_manifest_retired good = retired_of(&w), r;
#define RETIRED(word, change)                                                                                          \
    do {                                                                                                               \
        r = good;                                                                                                      \
        change;                                                                                                        \
        REFUSED(word, put_retired(&w, &r, true));                                                                      \
    } while (0)
    RETIRED("is not there", r.partition = 7);
    RETIRED("is not there", r.topic_id.bytes[3] ^= 1);
    RETIRED("is not there", (r.tree.size = 9, r.end_offset = 10));
    RETIRED("is not there", r.end_offset = 11);
    RETIRED("by half", r.tree.size = 2);
    RETIRED("in no segment", (r.tree.size = 5, r.end_offset = 10));
    RETIRED("ends in no part", r.end_offset = 5);
    RETIRED("ends in no part", r.end_offset = 7);
#undef RETIRED
    REFUSED("is stated as live, but 0 of its parts count", put_retired(&w, &good, false));
    REFUSED("goes back, or is stated twice", (put_retired(&w, &good, false), put_retired(&w, &good, true)));
    begin(&w);
    put_retired(&w, &good, true);
    assert_int_equal(apply(&w), 0);
    world_close(&w);
}

TEST(archive_state, what_is_retired_stays_so_and_its_object_may_go)
{
    struct world w;
    world_open(&w);
    archive_builder_retire(w.b, "a", 0, 1);
    archive_builder_round(w.b);
    struct el_uuid id = archive_builder_topic_id("a");
    const struct archive_partition *p = archive_state_partition(w.b->state, &id, 0);
    assert_int_equal(p->retired->end_offset, 6);
    assert_int_equal(p->retired->tree.size, 3);
    assert_int_equal(p->part_count, 1);
    assert_int_equal(archive_part_at(p, 0).first_leaf, 3);
    assert_int_equal(archive_partition_segment_leaves(w.b->state, p), 3);
    assert_int_equal(object_of(&w, 3).state, EL_OBJECT_REPLACED);
    w.b->full = true;
    archive_builder_append(w.b, "a", 0, 1);
    archive_builder_round(w.b); /* a full manifest, read by who had the ones before */
    struct archive_reader *reader = NULL;
    struct archive_range range;
    struct archive_batches batches = {0};
    assert_int_equal(archive_reader_open(&w.store->base, &(struct archive_reader_options){0}, &reader, NULL), 0);
    assert_int_equal(archive_reader_range(reader, &id, 0, &range, NULL), 0);
    assert_int_equal(range.log_start, 6);
    assert_int_equal(archive_reader_read(reader, &id, 0, 0, 1 << 20, &batches, NULL), 0);
    assert_int_equal(batches.rows[0].leaf.first_offset, 6);
    archive_batches_free(&batches);
    archive_builder_segment(w.b, "a", 0);
    archive_builder_round(w.b);
    archive_builder_retire(w.b, "a", 0, 1);
    archive_builder_round(w.b);
    assert_int_equal(archive_reader_refresh(reader, NULL, NULL), 0);
    assert_int_equal(archive_reader_range(reader, &id, 0, &range, NULL), 0);
    assert_int_equal(range.log_start, 12);
    assert_int_equal(range.end_offset, 12);
    archive_reader_close(reader);
    world_close(&w);
}

TEST(archive_state, the_highest_number_of_an_object_is_not_forgotten)
{
    struct world w;
    world_open(&w);
    archive_builder_segment(w.b, "a", 0);
    archive_builder_segment(w.b, "a", 1);
    archive_builder_round(w.b);
    uint64_t last = w.b->state->last_object;
    archive_builder_retire(w.b, "a", 0, 2);
    archive_builder_retire(w.b, "a", 1, 1);
    archive_builder_round(w.b);
    struct el_manifest_object o = object_of(&w, last);
    assert_int_equal(o.state, EL_OBJECT_REPLACED);
    begin(&w);
    o.state = EL_OBJECT_REMOVED;
    el_manifest_object_put(&w.out, &o);
    assert_int_equal(apply(&w), EVLOG_ERR_CORRUPT);
    assert_non_null(strstr(w.err.text, "has the highest number"));
    world_close(&w);
}

TEST(archive_state, keys_and_redactions_that_contradict_are_refused)
{
    struct world w;
    uint8_t bytes[32] = {1};
    world_open(&w);
    struct el_manifest_key key = {.kind = EL_SIGN_ED25519, .bytes = el_slice_of(bytes, 32)}, retired = key;
    retired.retired = true;
    REFUSED("was retired", (el_manifest_key_put(out, &retired), el_manifest_key_put(out, &key)));
    struct el_manifest_redaction r = {
        .topic_id = archive_builder_topic_id("a"), .first_offset = 0, .end_offset = 100, .reason = el_slice_str("x")};
    REFUSED("are not there", el_manifest_redaction_put(out, &r));
    r.end_offset = 2;
    r.partition = 5;
    REFUSED("are not there", el_manifest_redaction_put(out, &r));
    world_close(&w);
}

TEST(archive_state, goes_on_from_a_full_manifest_as_from_what_it_replaces)
{
    struct world w;
    struct archive_state *fresh = archive_state_new();
    world_open(&w);
    w.b->full = true;
    archive_builder_append(w.b, "b", 0, 3);
    archive_builder_round(w.b);
    assert_int_equal(w.b->state->header.kind, EL_MANIFEST_FULL);
    uint64_t sequence = w.b->state->header.sequence;
    archive_builder_append(w.b, "b", 0, 1);
    archive_builder_round(w.b);
    for (uint64_t i = sequence; i <= sequence + 1; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        el_archive_key_manifest(key, &w.b->incarnation, i);
        struct mem_object *o = mem_store_find(w.store, key);
        assert_int_equal(archive_state_apply(fresh, o->data, o->len, &w.err), 0);
    }
    assert_memory_equal(fresh->sha256, w.b->state->sha256, 32);
    assert_memory_equal(&fresh->tree, &w.b->state->tree, 8 + 32 * el_frontier_count(fresh->tree.size));
    assert_int_equal(fresh->partitions.count, 3);
    assert_int_equal(fresh->object_count, w.b->state->object_count);
    assert_int_equal(archive_state_continues(fresh, w.b->state, &w.err), 0);
    assert_int_equal(archive_state_topic_named(fresh, el_slice_str("b"))->now.partition_count, 1);
    assert_null(archive_state_topic_named(fresh, el_slice_str("c")));
    archive_state_free(fresh);
    world_close(&w);
}

/* A full manifest that leaves out what was there is refused by who knows it. */
TEST(archive_state, a_full_manifest_that_forgets_is_refused)
{
    struct world w;
    world_open(&w);
    begin(&w);
    w.header.kind = EL_MANIFEST_FULL;
    w.header.full_sequence = w.header.sequence;
    refused(&w, "is gone");
    world_close(&w);
}

TEST_TORTURE(archive_state, memory_that_runs_out_is_said)
{
    static uint8_t *manifest;
    static size_t len;
    if (manifest == NULL) {
        struct world w;
        struct el_buffer full = {0};
        world_open(&w);
        assert_int_equal(archive_state_to_full(w.b->state, &full), 0);
        len = full.len;
        manifest = malloc(len);
        memcpy(manifest, full.data, len);
        el_buffer_free(&full);
        world_close(&w);
    }
    struct archive_state *state = archive_state_new();
    int code = state == NULL ? EVLOG_ERR_NO_MEMORY : archive_state_apply(state, manifest, len, NULL);
    assert_true(code == 0 || (code == EVLOG_ERR_NO_MEMORY && el_test_failing()));
    archive_state_free(state);
}
