/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a reader hands out what was archived, all of it, over bundles, segments and incarnations, and nothing that the
 * root does not cover; it follows keys and newer roots, and names what is wrong. Method: archives that a builder makes
 * in memory, changed past all rules.
 */
#include "archive_builder.h"
#include "mem_store.h"
#include "test.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <stdio.h>
#include <store/archive_cluster.h>
#include <store/archive_reader.h>
#include <string.h>

static struct el_private_key *key_of(size_t i)
{
    static struct el_private_key *keys[4];
    if (keys[i] == NULL) {
        assert_int_equal(el_private_key_make(i % 2 == 0 ? EL_SIGN_ECDSA_P256 : EL_SIGN_ED25519, &keys[i], NULL), 0);
    }
    return keys[i];
}

/* "a" with two partitions, "b" with one; a/0 has 12 batches: 0-3 and 4-6 in segments, a gap, 7-9 and 10-11 in bundles.
 * */
struct world {
    struct mem_store *store;
    struct archive_builder *b;
    struct el_public_key pub;
    struct el_error err;
};

static void world_open(struct world *w)
{
    struct el_private_key *keys[] = {key_of(0), key_of(1)};
    *w = (struct world){.store = mem_store_open()};
    el_private_key_public(keys[0], &w->pub);
    w->b = archive_builder_open(&w->store->base, &(struct archive_build){.seed = 7, .keys = keys, .key_count = 2});
    archive_builder_topic(w->b, "a", 2);
    archive_builder_topic(w->b, "b", 1);
    archive_builder_append(w->b, "a", 0, 4);
    archive_builder_append(w->b, "b", 0, 1);
    archive_builder_round(w->b);
    archive_builder_segment(w->b, "a", 0);
    archive_builder_append(w->b, "a", 0, 3);
    archive_builder_round(w->b);
    archive_builder_segment(w->b, "a", 0);
    archive_builder_skip(w->b, "a", 0, 6);
    archive_builder_append(w->b, "a", 0, 3);
    archive_builder_append(w->b, "a", 1, 2);
    archive_builder_round(w->b);
    archive_builder_append(w->b, "a", 0, 2);
    archive_builder_round(w->b);
}

static void world_close(struct world *w)
{
    archive_builder_close(w->b);
    object_store_close(&w->store->base);
}

static int try_open(struct world *w, struct archive_reader **r)
{
    struct archive_reader_options options = {.keys = &w->pub, .key_count = 1};
    return archive_reader_open(&w->store->base, &options, r, &w->err);
}

static struct archive_reader *open_reader(struct world *w)
{
    struct archive_reader *r = NULL;
    int code = try_open(w, &r);
    if (code != 0) {
        (void)fprintf(stderr, "open: %s\n", w->err.text);
    }
    assert_int_equal(code, 0);
    return r;
}

static void says(const struct el_error *err, const char *word)
{
    if (strstr(err->text, word) == NULL) {
        (void)fprintf(stderr, "text: %s\n", err->text);
        fail();
    }
}

/* Read a partition from offset to its end, so many bytes at a time, and compare with what the builder appended.
 * returns the number of batches */
static size_t read_all(struct world *w, struct archive_reader *r, const char *topic, int32_t partition, size_t len_max)
{
    const struct built_partition *p = archive_builder_partition(w->b, topic, partition);
    struct archive_batches got = {.count = 0};
    size_t seen = 0;
    int64_t offset = p->start_offset;
    for (;;) {
        assert_int_equal(archive_reader_read(r, &p->topic_id, partition, offset, len_max, &got, &w->err), 0);
        if (got.count == 0) {
            break;
        }
        assert_true(got.count == 1 || got.data_len <= len_max);
        const uint8_t *data = got.data;
        for (uint32_t i = 0; i < got.count; i++, seen++) {
            const struct built_batch *batch = &p->batches[seen];
            assert_int_equal(got.rows[i].leaf.first_offset, batch->row.leaf.first_offset);
            assert_int_equal(got.rows[i].redacted, batch->row.redacted);
            assert_int_equal(got.rows[i].len, batch->row.len);
            assert_memory_equal(data, batch->data, batch->row.len);
            assert_int_equal(got.first_leaf + i, seen);
            data += got.rows[i].len;
        }
        assert_true(got.next_offset > offset);
        offset = got.next_offset;
    }
    assert_int_equal(got.next_offset, p->next_offset);
    archive_batches_free(&got);
    return seen;
}

/* --- refusals ----------------------------------------------------------------------------------------------------- */

TEST(archive_reader, an_empty_place_is_no_archive)
{
    struct world w = {.store = mem_store_open()};
    struct archive_reader *r = NULL;
    el_private_key_public(key_of(0), &w.pub);
    assert_int_equal(try_open(&w, &r), EVLOG_ERR_NOT_FOUND);
    says(&w.err, "no archive");
    assert_int_equal(mem_store_set(w.store, "something/else", "x", 1), 0);
    assert_int_equal(mem_store_set(w.store, "zzz", "x", 1), 0);
    assert_int_equal(try_open(&w, &r), EVLOG_ERR_NOT_FOUND);
    object_store_close(&w.store->base);
}

TEST(archive_reader, two_archives_that_are_strangers_are_not_guessed_about)
{
    struct world w;
    struct archive_reader *r = NULL;
    world_open(&w);
    struct el_private_key *keys[] = {key_of(0)};
    struct archive_builder *other = archive_builder_open(
        &w.store->base, &(struct archive_build){.seed = 8, .keys = keys, .key_count = 1});
    archive_builder_topic(other, "a", 1);
    archive_builder_round(other);
    assert_int_equal(try_open(&w, &r), EVLOG_ERR_CONFLICT);
    says(&w.err, "say which");
    struct archive_reader_options options = {.keys = &w.pub, .key_count = 1, .incarnation = &other->incarnation};
    assert_int_equal(archive_reader_open(&w.store->base, &options, &r, &w.err), 0);
    assert_int_equal(archive_reader_root(r)->sequence, 1);
    archive_reader_close(r);
    archive_builder_close(other);
    world_close(&w);
}

TEST(archive_reader, a_foreign_key_opens_nothing)
{
    struct world w;
    struct archive_reader *r = NULL;
    world_open(&w);
    el_private_key_public(key_of(2), &w.pub);
    assert_int_equal(try_open(&w, &r), EVLOG_ERR_CORRUPT);
    says(&w.err, "is not signed with a key that was given");
    world_close(&w);
}

/* Any byte of a root, of a manifest, and of what holds events: the reader does not open, or does not read. */
TEST(archive_reader, a_changed_byte_is_found_and_named)
{
    struct world w;
    struct el_uuid a = archive_builder_topic_id("a");
    world_open(&w);
    for (size_t i = 0; i < w.store->count; i++) {
        struct mem_object *o = &w.store->objects[i];
        bool root = strstr(o->key, "/root/0000000000000004") != NULL;
        bool manifest = strstr(o->key, "/manifest/") != NULL;
        bool pack = strstr(o->key, "/bundles/") != NULL || strstr(o->key, "/seg/") != NULL;
        if (!root && !manifest && !pack) {
            continue;
        }
        /* Of a note the text that is signed: a reader passes over lines of keys that it was not given. */
        for (uint64_t pos = 0; pos < (root ? 120 : o->len); pos += 7) {
            struct archive_reader *r = NULL;
            struct archive_batches got = {.count = 0};
            o->data[pos] ^= 0x10;
            int code = try_open(&w, &r);
            if (pack) {
                assert_int_equal(code, 0);
                for (int64_t offset = 0; code == 0; offset = got.next_offset) {
                    code = archive_reader_read(r, &a, 0, offset, 1 << 20, &got, &w.err);
                    if (code == 0 && got.count == 0) {
                        break;
                    }
                }
                if (code != 0) {
                    assert_int_equal(code, EVLOG_ERR_CORRUPT);
                    says(&w.err, o->key);
                }
            } else {
                if (code != EVLOG_ERR_CORRUPT && code != EVLOG_ERR_FORMAT) {
                    (void)fprintf(stderr, "%s byte %d: %d %s\n", o->key, (int)pos, code, code != 0 ? w.err.text : "");
                }
                assert_true(code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
                says(&w.err, manifest ? "manifest" : "root");
            }
            archive_batches_free(&got);
            archive_reader_close(r);
            o->data[pos] ^= 0x10;
        }
    }
    world_close(&w);
}

TEST(archive_reader, what_is_not_there_or_cut_short_is_named)
{
    struct world w;
    struct el_uuid a = archive_builder_topic_id("a");
    world_open(&w);
    size_t count = w.store->count;
    for (size_t i = 0; i < count; i++) {
        const char *key = w.store->objects[i].key;
        if (strstr(key, "/bundles/0000/0000000000000003") == NULL && strstr(key, "/manifest/") == NULL) {
            continue;
        }
        for (int drop = 0; drop < 2; drop++) {
            struct mem_store *copy = mem_store_copy(w.store);
            struct world of_copy = w;
            struct archive_reader *r = NULL;
            struct archive_batches got = {.count = 0};
            of_copy.store = copy;
            struct mem_object *o = mem_store_find(copy, key);
            if (drop == 1) {
                mem_store_drop(copy, key);
            } else {
                o->len /= 2;
            }
            int code = try_open(&of_copy, &r);
            if (code == 0) {
                code = archive_reader_read(r, &a, 0, 20, 1 << 20, &got, &of_copy.err);
            }
            assert_true(code == EVLOG_ERR_CORRUPT || (code == EVLOG_ERR_NOT_FOUND && drop == 1));
            says(&of_copy.err, key);
            archive_batches_free(&got);
            archive_reader_close(r);
            object_store_close(&copy->base);
        }
    }
    world_close(&w);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

TEST(archive_reader, hands_out_what_was_archived)
{
    struct world w;
    struct archive_range range;
    struct el_uuid a = archive_builder_topic_id("a"), none = {{1}};
    struct archive_batches got = {.count = 0};
    world_open(&w);
    struct archive_reader *r = open_reader(&w);
    static const size_t lens[] = {1, 200, 1 << 20};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(read_all(&w, r, "a", 0, lens[i]), 12);
        assert_int_equal(read_all(&w, r, "a", 1, lens[i]), 2);
        assert_int_equal(read_all(&w, r, "b", 0, lens[i]), 1);
    }
    assert_int_equal(archive_reader_range(r, &a, 0, &range, &w.err), 0);
    assert_int_equal(range.start_offset, 0);
    assert_int_equal(range.end_offset, 30);
    /* in the middle of a batch, in the gap, at the end, behind it */
    assert_int_equal(archive_reader_read(r, &a, 0, 5, 1, &got, &w.err), 0);
    assert_int_equal(got.rows[0].leaf.first_offset, 4);
    assert_int_equal(archive_reader_read(r, &a, 0, 16, 1, &got, &w.err), 0);
    assert_int_equal(got.rows[0].leaf.first_offset, 20);
    assert_int_equal(archive_reader_read(r, &a, 0, 30, 1, &got, &w.err), 0);
    assert_int_equal(got.count, 0);
    assert_int_equal(got.next_offset, 30);
    assert_int_equal(archive_reader_read(r, &none, 0, 0, 1, &got, &w.err), EVLOG_ERR_UNKNOWN_TOPIC);
    assert_int_equal(archive_reader_read(r, &a, 2, 0, 1, &got, &w.err), EVLOG_ERR_UNKNOWN_TOPIC);
    archive_batches_free(&got);
    archive_reader_close(r);
    world_close(&w);
}

TEST(archive_reader, finds_times)
{
    struct world w;
    struct el_uuid a = archive_builder_topic_id("a");
    world_open(&w);
    struct archive_reader *r = open_reader(&w);
    const struct built_partition *p = archive_builder_partition(w.b, "a", 0);
    for (size_t i = 0; i < p->count; i++) {
        const struct el_leaf_entry *leaf = &p->batches[i].row.leaf;
        int64_t offset = 0, append = (int64_t)leaf->append_time_ns;
        assert_int_equal(archive_reader_seek(r, &a, 0, ARCHIVE_APPEND_TIME_NS, append, &offset, &w.err), 0);
        assert_int_equal(offset, leaf->first_offset);
        assert_int_equal(archive_reader_seek(r, &a, 0, ARCHIVE_EVENT_TIME_MS, leaf->max_timestamp_ms, &offset, &w.err),
                         0);
        assert_int_equal(offset, leaf->first_offset);
        assert_int_equal(archive_reader_seek(r, &a, 0, ARCHIVE_APPEND_TIME_NS, append + 1, &offset, &w.err), 0);
        assert_int_equal(offset, i + 1 == p->count ? -1 : p->batches[i + 1].row.leaf.first_offset);
    }
    archive_reader_close(r);
    world_close(&w);
}

TEST(archive_reader, a_redacted_batch_is_a_row_without_bytes)
{
    struct world w;
    world_open(&w);
    archive_builder_redact(w.b, "a", 0, 2, "a password");
    archive_builder_round(w.b);
    struct archive_reader *r = open_reader(&w);
    assert_int_equal(read_all(&w, r, "a", 0, 1 << 20), 12);
    assert_int_equal(archive_reader_state(r)->redaction_count, 1);
    archive_reader_close(r);
    world_close(&w);
}

static struct archive_builder *child_open(struct world *w, struct archive_builder *parent, uint64_t seed)
{
    struct el_private_key *keys[] = {key_of(0)};
    return archive_builder_open(
        &w->store->base,
        &(struct archive_build){
            .seed = seed, .keys = keys, .key_count = 1, .parent = parent->state, .start_ns = parent->now_ns});
}

TEST(archive_reader, a_partition_begins_where_the_first_incarnation_that_has_it_does)
{
    struct world w;
    struct el_uuid a = archive_builder_topic_id("a");
    struct archive_range range;
    world_open(&w);
    archive_builder_segment(w.b, "a", 0);
    archive_builder_round(w.b);
    archive_builder_retire(w.b, "a", 0, 1);
    archive_builder_round(w.b);
    int64_t left = archive_state_partition(w.b->state, &a, 0)->retired->end_offset;
    assert_true(left > 0);
    struct archive_builder *child = child_open(&w, w.b, 9); /* which has nothing of it */
    archive_builder_append(child, "b", 0, 2);
    archive_builder_round(child);
    struct archive_builder *heir = child_open(&w, child, 10);
    archive_builder_append(heir, "a", 0, 2);
    archive_builder_round(heir);
    struct archive_reader *r = open_reader(&w);
    assert_true(el_uuid_eq(&archive_reader_root(r)->incarnation, &heir->incarnation));
    assert_int_equal(archive_reader_range(r, &a, 0, &range, &w.err), 0);
    assert_int_equal(range.start_offset, 0);
    assert_int_equal(range.end_offset, 34);
    assert_int_equal(range.log_start, left); /* what left an earlier one is served by no later one */
    archive_reader_close(r);
    archive_builder_close(heir);
    archive_builder_close(child);
    world_close(&w);
}

TEST(archive_reader, goes_on_into_the_parent)
{
    struct world w;
    struct el_uuid a = archive_builder_topic_id("a");
    struct archive_batches got = {.count = 0};
    struct archive_range range;
    world_open(&w);
    struct el_private_key *keys[] = {key_of(0)};
    struct archive_builder *child = archive_builder_open(
        &w.store->base, &(struct archive_build){
                            .seed = 9, .keys = keys, .key_count = 1, .parent = w.b->state, .start_ns = w.b->now_ns});
    archive_builder_append(child, "a", 0, 2);
    /* The parent goes on, as the broker may that did not know of its end: it does not count. */
    archive_builder_append(w.b, "a", 0, 5);
    archive_builder_round(w.b);
    archive_builder_round(child);
    struct archive_reader *r = open_reader(&w);
    assert_true(el_uuid_eq(&archive_reader_root(r)->incarnation, &child->incarnation));
    assert_int_equal(archive_reader_range(r, &a, 0, &range, &w.err), 0);
    assert_int_equal(range.start_offset, 0);
    assert_int_equal(range.end_offset, 34);
    size_t seen = 0;
    const struct built_partition *old = archive_builder_partition(w.b, "a", 0);
    const struct built_partition *new = archive_builder_partition(child, "a", 0);
    for (int64_t offset = 0;; offset = got.next_offset) {
        assert_int_equal(archive_reader_read(r, &a, 0, offset, 1, &got, &w.err), 0);
        if (got.count == 0) {
            break;
        }
        const struct built_batch *batch = seen < 12 ? &old->batches[seen] : &new->batches[seen - 12];
        assert_memory_equal(got.data, batch->data, batch->row.len);
        assert_true(el_uuid_eq(&got.incarnation, seen < 12 ? &w.b->incarnation : &child->incarnation));
        seen++;
    }
    assert_int_equal(seen, 14);
    int64_t offset = 0, time = (int64_t) new->batches[1].row.leaf.append_time_ns;
    assert_int_equal(archive_reader_seek(r, &a, 0, ARCHIVE_APPEND_TIME_NS, time, &offset, &w.err), 0);
    assert_int_equal(offset, 32);
    time = (int64_t)old->batches[3].row.leaf.append_time_ns;
    assert_int_equal(archive_reader_seek(r, &a, 0, ARCHIVE_APPEND_TIME_NS, time, &offset, &w.err), 0);
    assert_int_equal(offset, 6);
    /* So many bytes from an end on: of the parent too, and all of them when there are not so many. */
    assert_int_equal(archive_reader_seek_size(r, &a, 0, 30, 1 << 20, &offset, &w.err), 0);
    assert_int_equal(offset, 0);
    assert_int_equal(archive_reader_seek_size(r, &a, 0, 34, 1 << 20, &offset, &w.err), 0);
    assert_int_equal(offset, 0);
    assert_int_equal(archive_reader_seek_size(r, &a, 0, 34, 0, &offset, &w.err), 0);
    assert_int_equal(offset, 34);
    uint64_t last = new->batches[0].row.len + new->batches[1].row.len;
    assert_int_equal(archive_reader_seek_size(r, &a, 0, 34, last, &offset, &w.err), 0);
    assert_int_equal(offset, 30);
    last = old->batches[10].row.len + old->batches[11].row.len;
    assert_int_equal(archive_reader_seek_size(r, &a, 0, 30, last, &offset, &w.err), 0);
    assert_int_equal(offset, old->batches[9].row.leaf.first_offset + 2);
    archive_batches_free(&got);
    archive_reader_close(r);
    /* The parent's root, changed: the child's signed word stands against it. */
    char key[EL_ARCHIVE_KEY_MAX];
    el_archive_key_root(key, &w.b->incarnation, 3);
    struct mem_object *three = mem_store_find(w.store, key);
    el_archive_key_root(key, &w.b->incarnation, 4);
    assert_int_equal(mem_store_set(w.store, key, three->data, three->len), 0);
    r = open_reader(&w);
    assert_int_equal(archive_reader_read(r, &a, 0, 0, 1, &got, &w.err), EVLOG_ERR_CORRUPT);
    archive_batches_free(&got);
    archive_reader_close(r);
    archive_builder_close(child);
    world_close(&w);
}

/* --- going on ------------------------------------------------------------------------------------------------------
 * */

TEST(archive_reader, follows_newer_roots)
{
    struct world w;
    bool moved = true;
    world_open(&w);
    struct archive_reader *r = open_reader(&w);
    assert_int_equal(archive_reader_refresh(r, &moved, &w.err), 0);
    assert_false(moved);
    for (int rounds = 1; rounds <= 130; rounds += 43) {
        for (int i = 0; i < rounds; i++) {
            archive_builder_append(w.b, "a", i % 2, 1);
            if (i % 10 == 0) {
                archive_builder_segment(w.b, "a", 0);
            }
            archive_builder_round(w.b);
        }
        assert_int_equal(archive_reader_refresh(r, &moved, &w.err), 0);
        assert_true(moved);
        assert_int_equal(archive_reader_root(r)->sequence, w.b->state->header.sequence);
        (void)read_all(&w, r, "a", 0, 1 << 20);
    }
    archive_reader_close(r);
    world_close(&w);
}

TEST(archive_reader, seeks_in_what_took_the_place_of_objects_that_are_removed)
{
    struct world w;
    struct el_uuid a = archive_builder_topic_id("a");
    world_open(&w);
    const struct built_partition *p = archive_builder_partition(w.b, "a", 0);
    struct archive_reader *r = open_reader(&w);
    archive_builder_segment(w.b, "a", 0);
    archive_builder_round(w.b);
    archive_builder_sweep(w.b);
    archive_builder_round(w.b);
    int64_t offset = -1, time = (int64_t)p->batches[11].row.leaf.append_time_ns;
    assert_int_equal(archive_reader_seek(r, &a, 0, ARCHIVE_APPEND_TIME_NS, time, &offset, &w.err), 0);
    assert_int_equal(offset, p->batches[11].row.leaf.first_offset);
    archive_reader_close(r);
    world_close(&w);
}

/* Put another's objects over those of a world. */
static void overwrite(struct world *w, struct mem_store *with)
{
    for (size_t i = 0; i < with->count; i++) {
        struct mem_object *o = &with->objects[i];
        assert_int_equal(mem_store_set(w->store, o->key, o->data, o->len), 0);
    }
}

/* Another history, signed with the right keys, from the fifth root on. */
TEST(archive_reader, does_not_follow_a_history_that_was_rewritten)
{
    static const struct {
        int rounds;
        const char *word;
    } cases[] = {{6, "signed over other manifests"}, {90, "did not grow out of"}};
    for (size_t i = 0; i < 2; i++) {
        struct world w, other;
        world_open(&w);
        world_open(&other);
        archive_builder_append(w.b, "a", 0, 1);
        archive_builder_round(w.b);
        struct archive_reader *r = open_reader(&w);
        for (int k = 0; k < cases[i].rounds; k++) {
            archive_builder_append(other.b, "a", 1, 1);
            archive_builder_round(other.b);
        }
        overwrite(&w, other.store);
        assert_int_equal(archive_reader_refresh(r, NULL, &w.err), EVLOG_ERR_CORRUPT);
        says(&w.err, cases[i].word);
        archive_reader_close(r);
        world_close(&w);
        world_close(&other);
    }
}

TEST(archive_reader, goes_along_successors_of_a_key)
{
    struct world w;
    struct archive_reader *r = NULL;
    world_open(&w);
    for (size_t i = 2; i < 4; i++) {
        struct el_private_key *keys[] = {key_of(i)};
        archive_builder_append(w.b, "a", 0, 1);
        archive_builder_rotate(w.b, keys, 1);
        archive_builder_round(w.b);
        archive_builder_append(w.b, "a", 0, 1);
        archive_builder_round(w.b);
    }
    for (size_t i = 0; i < 4; i++) { /* any of them opens the newest root ... */
        el_private_key_public(key_of(i), &w.pub);
        r = open_reader(&w);
        assert_int_equal(archive_reader_root(r)->sequence, 8);
        archive_reader_close(r);
    }
    struct archive_reader_options options = {.keys = &w.pub, .key_count = 1, .sequence = 3};
    assert_int_equal(archive_reader_open(&w.store->base, &options, &r, &w.err), 0); /* ... and the last an old one */
    archive_reader_close(r);
    world_close(&w);
}

TEST(archive_reader, finds_the_newest_of_many_roots_in_few_requests)
{
    struct mem_store *store = mem_store_open();
    struct el_uuid id = {{3}};
    static const uint64_t counts[] = {0, 1, 999, 1000, 1001, 5000, 12345};
    uint64_t put = 0, newest = 0;
    for (size_t i = 0; i < 7; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        for (; put < counts[i]; put++) {
            el_archive_key_root(key, &id, put + 1);
            assert_int_equal(mem_store_set(store, key, "", 0), 0);
        }
        uint64_t calls = store->calls[MEM_LIST];
        assert_int_equal(archive_root_newest(&store->base, &id, 0, &newest, NULL), 0);
        assert_int_equal(newest, counts[i]);
        assert_true(store->calls[MEM_LIST] - calls <= 25);
        assert_int_equal(archive_root_newest(&store->base, &id, counts[i], &newest, NULL), 0);
        assert_int_equal(newest, 0);
    }
    object_store_close(&store->base);
}

TEST(archive_reader, what_the_store_says_is_passed_on)
{
    struct world w;
    struct archive_reader *r = NULL;
    struct el_uuid a = archive_builder_topic_id("a");
    struct archive_batches got = {.count = 0};
    world_open(&w);
    static const enum mem_call calls[] = {MEM_LIST, MEM_GET};
    for (size_t c = 0; c < 2; c++) {
        for (uint32_t skip = 0; skip < 4; skip++) {
            mem_store_fault(
                w.store, (struct mem_fault){
                             .call = calls[c], .skip = skip, .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
            int code = try_open(&w, &r);
            if (code == 0) {
                archive_reader_close(r);
            } else {
                assert_int_equal(code, EVLOG_ERR_AGAIN);
            }
            mem_store_clear_faults(w.store);
        }
    }
    r = open_reader(&w);
    mem_store_fault(w.store,
                    (struct mem_fault){.call = MEM_GET, .count = 1, .effect = MEM_FAIL, .code = EVLOG_ERR_AGAIN});
    assert_int_equal(archive_reader_read(r, &a, 0, 0, 1, &got, &w.err), EVLOG_ERR_AGAIN);
    assert_int_equal(archive_reader_read(r, &a, 0, 0, 1, &got, &w.err), 0);
    archive_batches_free(&got);
    archive_reader_close(r);
    world_close(&w);
}

TEST(archive_reader, cluster_json_is_read_as_it_was_written)
{
    struct archive_cluster c = {.cluster = {{1}},
                                .incarnation = {{2}},
                                .parent = {{3}},
                                .parent_sequence = 4,
                                .made_ms = 1767225600123u,
                                .key_count = 2},
                           got;
    struct el_buffer text = {0};
    el_private_key_public(key_of(0), &c.keys[0]);
    el_private_key_public(key_of(1), &c.keys[1]);
    assert_int_equal(archive_cluster_write(&c, &text), 0);
    assert_int_equal(archive_cluster_parse(el_buffer_slice(&text), &got, NULL), 0);
    assert_true(el_uuid_eq(&got.cluster, &c.cluster));
    assert_true(el_uuid_eq(&got.parent, &c.parent));
    assert_int_equal(got.parent_sequence, 4);
    assert_int_equal(got.made_ms, c.made_ms);
    assert_int_equal(got.key_count, 2);
    assert_memory_equal(got.keys[1].bytes, c.keys[1].bytes, 32);
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"evlog\":\"archive\"}",
                                      "{\"evlog\":\"broker\",\"format\":1}",
                                      "{\"evlog\":\"archive\",\"format\":1,\"cluster\":\"00\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(archive_cluster_parse(el_slice_str(bad[i]), &got, NULL), EVLOG_ERR_MALFORMED);
    }
    assert_int_equal(archive_cluster_parse(el_slice_str("{\"evlog\":\"archive\",\"format\":2}"), &got, NULL),
                     EVLOG_ERR_FORMAT);
    el_buffer_free(&text);
}
