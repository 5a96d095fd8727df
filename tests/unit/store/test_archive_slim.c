/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: a state keeps what manifests say, to the bit, although it keeps it packed; what does not fit too; and it takes
 * as little memory as docs/archive.md says.
 * Method: manifests with random objects and parts, some with numbers that are too large for the packed form, beside a
 * list of what was stated; segments take the place of parts, parts leave by age, objects are removed.
 */
#include "test.h"

#include <core/alloc.h>
#include <core/rng.h>
#include <evlog/error.h>
#include <stdlib.h>
#include <store/archive_state.h>
#include <string.h>

#define PARTITIONS 3
#define PARTS_MAX 400
#define OBJECTS_MAX 800
#define ROUNDS 40

struct world {
    struct el_rng rng;
    bool large; /* some numbers are */
    struct archive_state *state;
    struct el_uuid topic, incarnation;
    struct el_manifest_object objects[OBJECTS_MAX]; /* as stated last; those that were removed have number 0 */
    size_t object_count;
    uint64_t number;
    struct el_archive_part parts[PARTITIONS][PARTS_MAX];
    uint32_t part_count[PARTITIONS];
    struct el_manifest_partition partitions[PARTITIONS];
    struct el_manifest_retired retired[PARTITIONS];
    struct el_buffer records[5]; /* of the next manifest, of one tag each: partitions, retired, objects new and old */
    uint64_t wide;               /* parts and objects that do not fit */
};

static bool one_in(struct world *w, uint32_t n)
{
    return el_rng_below(&w->rng, n) == 0;
}

/* Up to max; one in eight near it when numbers are to be large. */
static uint64_t some(struct world *w, uint64_t small, uint64_t max)
{
    return w->large && one_in(w, 8) ? max - el_rng_below(&w->rng, 1000) : 1 + el_rng_below(&w->rng, small);
}

static void some_hash(struct world *w, uint8_t hash[32])
{
    for (int i = 0; i < 32; i += 8) {
        el_put_le64(hash + i, el_rng_next(&w->rng));
    }
}

static struct el_manifest_object *object_new(struct world *w, enum el_pack_kind kind, int32_t partition)
{
    assert_true(w->object_count < OBJECTS_MAX);
    struct el_manifest_object *o = &w->objects[w->object_count++];
    w->number += w->large && one_in(w, 50) ? 1ull << 32 : 1;
    *o = (struct el_manifest_object){.number = w->number, .kind = kind, .state = EL_OBJECT_LIVE, .part_count = 1};
    if (kind == EL_PACK_SEGMENT) {
        o->topic_id = w->topic;
        o->partition = partition;
        o->sequence = (uint64_t)w->partitions[partition].end_offset;
    } else {
        o->shard = (uint32_t)el_rng_below(&w->rng, EL_PACK_SHARD_MAX + 1);
        o->sequence = some(w, 1000, UINT64_MAX);
        o->part_count = (uint32_t)some(w, 10, EL_PACK_PARTS_MAX - 1000) + (w->large ? 1000 : 0);
    }
    some_hash(w, o->sha256);
    return o;
}

/* Behind all others of its partition, in an object of its own. */
static void part_new(struct world *w, enum el_pack_kind kind, int32_t partition)
{
    struct el_manifest_partition *p = &w->partitions[partition];
    struct el_manifest_object *o = object_new(w, kind, partition);
    struct el_archive_part *part = &w->parts[partition][w->part_count[partition]++];
    uint32_t count = (uint32_t)some(w, 1000, 5000000);
    assert_true(w->part_count[partition] <= PARTS_MAX);
    uint64_t front = EL_PACK_HEADER_LEN + (uint64_t)o->part_count * EL_PACK_PART_LEN;
    *part = (struct el_archive_part){
        .topic_id = w->topic,
        .partition = partition,
        .batch_count = count,
        .first_offset = p->end_offset,
        .first_leaf = p->tree.size,
        .object = o->number,
        .table_pos = front + (kind == EL_PACK_BUNDLE ? some(w, 100000, 1ull << 32) : 0),
    };
    part->end_offset = part->first_offset + count + (int64_t)some(w, 10, 1ull << 33);
    part->data_pos = part->table_pos + (uint64_t)count * EL_PACK_BATCH_LEN;
    uint64_t most = EL_MIN((uint64_t)count * EL_BATCH_LEN_MAX, EL_PACK_LEN_MAX - part->data_pos);
    uint64_t data_len = some(w, 1000000, 1ull << 32) + 1000;
    part->data_len = EL_MIN(data_len, most);
    some_hash(w, part->table_sha256);
    uint64_t least = front + (uint64_t)o->part_count * EL_PACK_BATCH_LEN;
    uint64_t len = EL_MAX(part->data_pos + part->data_len, least) + one_in(w, 2);
    o->len = EL_MIN(len, EL_PACK_LEN_MAX);
    p->end_offset = part->end_offset + (int64_t)(one_in(w, 3) ? some(w, 100, 1ull << 48) : 0);
    if (kind == EL_PACK_SEGMENT) {
        o->sequence = (uint64_t)part->first_offset;
    }
    p->tree.size += count;
    some_hash(w, p->tree.hashes[0].bytes); /* nobody compares them with leaves */
    el_manifest_object_put(&w->records[3], o);
    el_manifest_part_put(&w->records[4], part);
}

static void object_changes(struct world *w, uint64_t number, enum el_object_state state)
{
    for (size_t i = 0; i < w->object_count; i++) {
        struct el_manifest_object *o = &w->objects[i];
        if (o->number == number) {
            o->state = state;
            o->replaced_ms = o->replaced_ms != 0 ? o->replaced_ms : some(w, 1000, UINT64_MAX);
            el_manifest_object_put(&w->records[2], o);
            o->number = state == EL_OBJECT_REMOVED ? 0 : number;
            return;
        }
    }
    fail();
}

/* One segment in the place of parts [from, to). */
static void parts_merge(struct world *w, int32_t partition, uint32_t from, uint32_t to)
{
    struct el_archive_part *parts = w->parts[partition], made = parts[from];
    uint64_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        count += parts[i].batch_count;
        made.end_offset = parts[i].end_offset;
    }
    if (count * EL_PACK_BATCH_LEN > 1ull << 31) {
        return;
    }
    for (uint32_t i = from; i < to; i++) {
        object_changes(w, parts[i].object, EL_OBJECT_REPLACED);
    }
    struct el_manifest_object *o = object_new(w, EL_PACK_SEGMENT, partition);
    made.object = o->number;
    made.batch_count = (uint32_t)count;
    made.table_pos = EL_PACK_HEADER_LEN + EL_PACK_PART_LEN;
    made.data_pos = made.table_pos + count * EL_PACK_BATCH_LEN;
    made.data_len = 1000;
    o->sequence = (uint64_t)made.first_offset;
    o->len = made.data_pos + made.data_len;
    el_manifest_object_put(&w->records[3], o);
    el_manifest_part_put(&w->records[4], &made);
    parts[from] = made;
    memmove(&parts[from + 1], &parts[to], (w->part_count[partition] - to) * sizeof *parts);
    w->part_count[partition] -= to - from - 1;
}

/* The first parts that are in segments leave by age. */
static void parts_retire(struct world *w, int32_t partition)
{
    struct el_archive_part *parts = w->parts[partition];
    struct el_manifest_retired *r = &w->retired[partition];
    uint32_t count = 0;
    while (count < 2 && count < w->part_count[partition]) {
        struct archive_object o;
        assert_true(archive_state_object(w->state, parts[count].object, &o));
        if (o.now.kind != EL_PACK_SEGMENT) {
            break;
        }
        count++;
    }
    if (count == 0) {
        return;
    }
    r->topic_id = w->topic;
    r->partition = partition;
    r->end_offset = parts[count - 1].end_offset;
    r->when_ms += 1000;
    r->tree.size = el_archive_part_leaf_end(&parts[count - 1]);
    for (uint32_t i = 0; i < count; i++) {
        object_changes(w, parts[i].object, EL_OBJECT_REPLACED);
    }
    el_manifest_retired_put(&w->records[1], r);
    w->part_count[partition] -= count;
    memmove(parts, parts + count, w->part_count[partition] * sizeof *parts);
}

static void apply(struct world *w)
{
    struct el_manifest_header header;
    struct el_buffer out = {0};
    struct el_error err = {0};
    archive_state_next(w->state, &w->incarnation, &header);
    el_manifest_begin(&out);
    archive_state_put_tree(w->state, &out);
    if (header.sequence == 1) {
        el_manifest_topic_put(&out, &(struct el_manifest_topic){
                                        .id = w->topic, .partition_count = PARTITIONS, .name = el_slice_str("t")});
    }
    for (int32_t i = 0; i < PARTITIONS; i++) {
        el_manifest_partition_put(&out, &w->partitions[i]);
    }
    for (size_t i = 0; i < 5; i++) {
        el_buffer_append(&out, w->records[i].data, w->records[i].len);
        assert_int_equal(w->records[i].err, 0);
        el_buffer_reset(&w->records[i]);
    }
    assert_int_equal(el_manifest_seal(&out, &header), 0);
    if (archive_state_apply(w->state, out.data, out.len, &err) != 0) {
        fail_msg("%s", err.text);
    }
    el_buffer_free(&out);
}

static void check_part(const struct el_archive_part *x, const struct el_archive_part *y)
{
    uint8_t a[EL_PACK_PART_LEN], b[EL_PACK_PART_LEN];
    el_archive_part_put(a, x);
    el_archive_part_put(b, y);
    assert_memory_equal(a, b, sizeof a);
}

/* All that was stated is there, and nothing else. */
static void check(struct world *w, const struct archive_state *state)
{
    struct el_buffer x = {0}, y = {0};
    size_t index = 0;
    uint64_t wide = state->wide_count;
    for (size_t i = 0; i < w->object_count; i++) {
        if (w->objects[i].number != 0) {
            struct archive_object o = archive_object_at(state, index++), found;
            el_manifest_object_put(&x, &w->objects[i]);
            el_manifest_object_put(&y, &o.now);
            assert_true(archive_state_object(state, o.now.number, &found));
            assert_int_equal(found.now.len, o.now.len);
            assert_int_equal(o.part_count, o.now.state == EL_OBJECT_LIVE);
        }
    }
    assert_int_equal(index, state->object_count);
    assert_true(el_slice_eq(el_buffer_slice(&x), el_buffer_slice(&y)));
    for (int32_t i = 0; i < PARTITIONS; i++) {
        const struct archive_partition *p = archive_state_partition(state, &w->topic, i);
        assert_int_equal(p->part_count, w->part_count[i]);
        wide += p->wide_count;
        for (uint32_t k = 0; k < p->part_count; k++) {
            struct el_archive_part part = archive_part_at(p, k), found;
            struct archive_object o;
            check_part(&part, &w->parts[i][k]);
            assert_true(archive_partition_part(p, part.first_offset, &found));
            check_part(&found, &part);
            assert_true(archive_state_object(state, part.object, &o));
            assert_int_equal(o.live_len, part.data_len);
        }
    }
    w->wide = EL_MAX(w->wide, wide);
    el_buffer_free(&x);
    el_buffer_free(&y);
}

static void change(struct world *w)
{
    for (int32_t i = 0; i < PARTITIONS; i++) {
        uint32_t count = w->part_count[i];
        if (one_in(w, 3) && count > 4) {
            uint32_t from = (uint32_t)el_rng_below(&w->rng, count - 3);
            parts_merge(w, i, from, from + 1 + (uint32_t)el_rng_below(&w->rng, 3));
        } else if (one_in(w, 4)) {
            parts_retire(w, i);
        }
    }
    for (size_t i = 0; i < w->object_count; i++) {
        bool old = w->objects[i].number != 0 && w->objects[i].state == EL_OBJECT_REPLACED;
        struct archive_object o;
        if (old && archive_state_object(w->state, w->objects[i].number, &o) && o.now.state == EL_OBJECT_REPLACED &&
            w->objects[i].number != w->state->last_object && one_in(w, 3)) {
            object_changes(w, w->objects[i].number, EL_OBJECT_REMOVED);
        }
    }
    for (int32_t i = 0; i < PARTITIONS; i++) {
        for (uint64_t n = el_rng_below(&w->rng, 4); n > 0; n--) {
            part_new(w, one_in(w, 2) ? EL_PACK_SEGMENT : EL_PACK_BUNDLE, i);
        }
    }
}

static void live(uint64_t seed, bool large, uint64_t *wide)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    el_rng_seed(&w->rng, seed);
    w->large = large;
    w->state = archive_state_new();
    memset(w->topic.bytes, 7, 16);
    memset(w->incarnation.bytes, 9, 16);
    for (int32_t i = 0; i < PARTITIONS; i++) {
        w->partitions[i] = (struct el_manifest_partition){.topic_id = w->topic, .partition = i};
        part_new(w, EL_PACK_SEGMENT, i);
    }
    apply(w);
    for (int round = 0; round < ROUNDS; round++) {
        change(w);
        apply(w);
        check(w, w->state);
    }
    struct el_buffer full = {0};
    struct archive_state *again = archive_state_new();
    assert_int_equal(archive_state_to_full(w->state, &full), 0);
    assert_true(archive_state_full_len(w->state) >= full.len); /* room for it is kept */
    assert_true(archive_state_full_len(w->state) <= full.len + EL_MERKLE_FRONTIER_MAX * EL_MERKLE_HASH_LEN);
    assert_int_equal(archive_state_apply(again, full.data, full.len, NULL), 0);
    check(w, again);
    *wide += w->wide;
    archive_state_free(again);
    archive_state_free(w->state);
    el_buffer_free(&full);
    for (size_t i = 0; i < 5; i++) {
        el_buffer_free(&w->records[i]);
    }
    free(w);
}

TEST(archive_slim, keeps_what_manifests_say)
{
    uint64_t wide = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        live(seed, false, &wide);
    }
    assert_int_equal(wide, 0);
}

TEST(archive_slim, keeps_what_does_not_fit_as_well)
{
    uint64_t wide = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        live(seed, true, &wide);
    }
    assert_true(wide > 100);
}
