/* SPDX-License-Identifier: Apache-2.0 */
#include "archive_builder.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <evlog/error.h>
#include <format/batch.h>
#include <format/catalogue_layout.h>
#include <format/note.h>
#include <stdio.h>
#include <store/archive_cluster.h>
#include <store/archive_pack.h>

#define START_NS 1767225600000000000u /* 2026-01-01 */
#define SECOND_NS 1000000000u
#define OBJECTS_MAX 64
#define PARTS_MAX 256
#define ROUND_MS 60000u

/* What one round puts. */
struct round {
    struct archive_builder *b;
    struct el_manifest_object objects[OBJECTS_MAX];
    size_t object_count;
    struct el_archive_part parts[PARTS_MAX];
    size_t part_count;
    uint64_t last_object;
};

static void id_of(const char *word, uint64_t seed, struct el_uuid *id)
{
    uint8_t digest[32];
    char text[300];
    (void)snprintf(text, sizeof(text), "%s %llu", word, (unsigned long long)seed);
    el_sha256(text, strlen(text), digest);
    memcpy(id->bytes, digest, 16);
}

struct el_uuid archive_builder_topic_id(const char *name)
{
    struct el_uuid id;
    if (strcmp(name, "__evlog_meta") == 0) {
        return EL_CATALOGUE_TOPIC_ID;
    }
    id_of(name, 0, &id);
    return id;
}

struct archive_builder *archive_builder_open(struct object_store *store, const struct archive_build *build)
{
    struct archive_builder *b = el_calloc(1, sizeof(*b));
    EL_ASSERT(b != NULL);
    b->store = store;
    id_of("cluster", 0, &b->cluster);
    id_of("incarnation", build->seed, &b->incarnation);
    b->now_ns = build->start_ns == 0 ? START_NS : build->start_ns;
    b->made_ms = b->now_ns / 1000000;
    b->keys_new = true;
    b->key_count = build->key_count;
    for (size_t i = 0; i < build->key_count; i++) {
        b->keys[i] = build->keys[i];
    }
    b->state = archive_state_new();
    b->root_tiles = el_malloc(sizeof(*b->root_tiles));
    EL_ASSERT(b->state != NULL);
    EL_ASSERT(b->root_tiles != NULL);
    archive_tiles_init(b->root_tiles);
    if (build->parent == NULL) {
        return b;
    }
    b->parent = build->parent->header.incarnation;
    b->parent_sequence = build->parent->header.sequence;
    el_frontier_root(&build->parent->tree, &b->parent_root);
    /* All topics and partitions go on where they were. */
    for (size_t i = 0; i < build->parent->topics.count; i++) {
        const struct archive_topic *topic = build->parent->topics.entries[i].value;
        char name[EL_TOPIC_NAME_MAX + 1];
        (void)snprintf(name, sizeof(name), "%.*s", (int)topic->now.name.len, (const char *)topic->now.name.data);
        archive_builder_topic(b, name, topic->now.partition_count);
    }
    for (size_t i = 0; i < b->partition_count; i++) {
        struct built_partition *p = b->partitions[i];
        const struct archive_partition *was = archive_state_partition(build->parent, &p->topic_id, p->partition);
        p->start_offset = p->next_offset = was == NULL ? 0 : was->now.end_offset;
        p->log_start = was == NULL ? 0 : was->now.log_start;
    }
    return b;
}

void archive_builder_close(struct archive_builder *b)
{
    for (size_t i = 0; i < b->partition_count; i++) {
        for (size_t k = 0; k < b->partitions[i]->count; k++) {
            el_free(b->partitions[i]->batches[k].data);
        }
        el_free(b->partitions[i]->batches);
        el_free(b->partitions[i]->tiles);
        el_free(b->partitions[i]);
    }
    for (size_t i = 0; i < b->topic_count; i++) {
        el_free((void *)(uintptr_t)b->topics[i].name.data);
    }
    el_free(b->topics);
    archive_state_free(b->state);
    el_free(b->root_tiles);
    el_free(b);
}

/* --- what there is to archive ------------------------------------------------------------------------------------- */

static void state_topic(struct archive_builder *b, const char *name, uint32_t partition_count, bool deleted)
{
    b->topics = el_realloc(b->topics, (b->topic_count + 1) * sizeof(*b->topics));
    EL_ASSERT(b->topics != NULL);
    b->topics[b->topic_count++] = (struct el_manifest_topic){.id = archive_builder_topic_id(name),
                                                             .deleted = deleted,
                                                             .partition_count = partition_count,
                                                             .changed_ms = b->made_ms,
                                                             .name = el_slice_str(el_strdup(name)),
                                                             .settings = el_slice_of("\0\0\0\0", 4)};
}

void archive_builder_topic(struct archive_builder *b, const char *name, uint32_t partition_count)
{
    state_topic(b, name, partition_count, false);
    for (uint32_t i = 0; i < partition_count; i++) {
        struct built_partition *p = el_calloc(1, sizeof(*p));
        EL_ASSERT(p != NULL);
        EL_ASSERT(b->partition_count < 256);
        p->topic_id = archive_builder_topic_id(name);
        p->partition = (int32_t)i;
        p->is_new = true;
        p->tiles = el_malloc(sizeof(*p->tiles));
        EL_ASSERT(p->tiles != NULL);
        archive_tiles_init(p->tiles);
        /* By topic id and partition, as packs have them. */
        size_t at = b->partition_count++;
        while (at > 0 && memcmp(b->partitions[at - 1]->topic_id.bytes, p->topic_id.bytes, 16) > 0) {
            b->partitions[at] = b->partitions[at - 1];
            at--;
        }
        b->partitions[at] = p;
    }
}

void archive_builder_delete_topic(struct archive_builder *b, const char *name)
{
    struct el_uuid id = archive_builder_topic_id(name);
    const struct archive_topic *topic = archive_state_topic(b->state, &id);
    EL_ASSERT(topic != NULL);
    state_topic(b, name, topic->now.partition_count, true);
}

struct built_partition *archive_builder_partition(struct archive_builder *b, const char *topic, int32_t partition)
{
    struct el_uuid id = archive_builder_topic_id(topic);
    for (size_t i = 0; i < b->partition_count; i++) {
        if (el_uuid_eq(&b->partitions[i]->topic_id, &id) && b->partitions[i]->partition == partition) {
            return b->partitions[i];
        }
    }
    EL_ASSERT(!"a partition that there is");
    return NULL;
}

void archive_builder_append_batch(struct archive_builder *b, const char *topic, int32_t partition,
                                  struct el_slice batch, uint64_t append_time_ns)
{
    struct built_partition *p = archive_builder_partition(b, topic, partition);
    struct el_batch_info info;
    if (p->count == p->max) {
        p->max = p->max == 0 ? 64 : p->max * 2;
        p->batches = el_realloc(p->batches, p->max * sizeof(*p->batches));
        EL_ASSERT(p->batches != NULL);
    }
    uint8_t *data = el_memdup(batch.data, batch.len);
    EL_ASSERT(data != NULL);
    el_batch_assign(data, p->next_offset, 1);
    EL_ASSERT(el_batch_header(data, batch.len, &info) == 0);
    struct built_batch *built = &p->batches[p->count++];
    *built = (struct built_batch){.row = {.leaf = {.first_offset = p->next_offset,
                                                   .record_count = (uint32_t)info.record_count,
                                                   .append_time_ns = append_time_ns,
                                                   .max_timestamp_ms = info.max_timestamp,
                                                   .leader_epoch = 1},
                                          .len = (uint32_t)batch.len,
                                          .last_offset_delta = (uint32_t)info.last_offset_delta},
                                  .data = data};
    el_put_le64(built->row.salt, ++b->salt);
    el_put_le64(built->row.salt + 8, b->salt * 0x9e3779b97f4a7c15u);
    el_leaf_digest(built->row.salt, data, batch.len, built->row.leaf.digest);
    p->next_offset += (int64_t)info.last_offset_delta + 1;
    b->now_ns = append_time_ns > b->now_ns ? append_time_ns : b->now_ns;
}

void archive_builder_append(struct archive_builder *b, const char *topic, int32_t partition, uint32_t batch_count)
{
    struct built_partition *p = archive_builder_partition(b, topic, partition);
    for (uint32_t i = 0; i < batch_count; i++) {
        struct el_batch_builder builder;
        struct el_slice batch;
        el_batch_builder_init(&builder, 1 << 16);
        for (int64_t k = 0; k < 2; k++) {
            char value[300];
            (void)snprintf(value, sizeof(value), "%s/%d/%lld", topic, partition, (long long)(p->next_offset + k));
            struct el_record_body body = {.key = el_slice_str("k"), .value = el_slice_str(value)};
            EL_ASSERT(el_batch_builder_add(&builder, (int64_t)(START_NS / 1000000) + p->next_offset + k, &body) == 0);
        }
        EL_ASSERT(el_batch_builder_finish(&builder, EL_CODEC_NONE, NULL, &batch) == 0);
        archive_builder_append_batch(b, topic, partition, batch, b->now_ns + SECOND_NS);
        el_batch_builder_destroy(&builder);
    }
}

void archive_builder_skip(struct archive_builder *b, const char *topic, int32_t partition, int64_t offsets)
{
    archive_builder_partition(b, topic, partition)->next_offset += offsets;
}

void archive_builder_log_start(struct archive_builder *b, const char *topic, int32_t partition, int64_t offset)
{
    struct built_partition *p = archive_builder_partition(b, topic, partition);
    p->log_start = offset;
    p->moved = true;
}

void archive_builder_segment(struct archive_builder *b, const char *topic, int32_t partition)
{
    archive_builder_partition(b, topic, partition)->wants_segment = true;
}

void archive_builder_rotate(struct archive_builder *b, struct el_private_key *const *keys, size_t key_count)
{
    b->retired_count = b->key_count;
    memcpy(b->retired, b->keys, sizeof(b->retired));
    b->key_count = key_count;
    for (size_t i = 0; i < key_count; i++) {
        b->keys[i] = keys[i];
    }
    b->keys_new = true;
}

/* --- packs -------------------------------------------------------------------------------------------------------- */

static void put(struct archive_builder *b, const char *key, const void *data, uint64_t len)
{
    uint8_t sha256[32];
    struct el_error err = {0};
    el_sha256(data, len, sha256);
    int code = object_put_once(b->store, key, data, len, sha256, &err);
    if (code != 0) {
        (void)fprintf(stderr, "%s: %s\n", key, err.text);
    }
    EL_ASSERT(code == 0);
}

/* Rows and data of batches [from, to) of a partition into a part. */
static void fill_part(struct archive_pack *pack, const struct built_partition *p, size_t from, size_t to)
{
    EL_ASSERT(archive_pack_part(pack, &p->topic_id, p->partition, from) == 0);
    for (size_t i = from; i < to; i++) {
        const struct built_batch *batch = &p->batches[i];
        size_t room = 0;
        uint8_t *at = archive_pack_data(pack, &room);
        EL_ASSERT(room >= batch->row.len);
        memcpy(at, batch->data, batch->row.len);
        EL_ASSERT(archive_pack_row(pack, &batch->row) == 0);
    }
}

/* Finish a pack, put it, and note what the manifest says of it. */
static void put_pack(struct round *r, struct archive_pack *pack, struct el_pack_header *header)
{
    struct archive_builder *b = r->b;
    struct archive_pack_made made;
    char key[EL_ARCHIVE_KEY_MAX];
    EL_ASSERT(archive_pack_finish(pack, header, NULL, &made) == 0);
    EL_ASSERT(r->object_count < OBJECTS_MAX);
    struct el_manifest_object *object = &r->objects[r->object_count++];
    archive_pack_object(pack, header, &made, object);
    object->number = ++r->last_object;
    el_archive_key_object(key, &b->incarnation, object);
    put(b, key, made.object, made.len);
    for (uint32_t i = 0; i < made.part_count; i++) {
        EL_ASSERT(r->part_count < PARTS_MAX);
        pack->parts[i].object = object->number;
        r->parts[r->part_count++] = pack->parts[i];
    }
}

static size_t data_len(const struct built_partition *p, size_t from, size_t to)
{
    size_t len = 0;
    for (size_t i = from; i < to; i++) {
        len += p->batches[i].row.len;
    }
    return len;
}

/* All new batches of all partitions. */
static void make_bundle(struct round *r)
{
    struct archive_builder *b = r->b;
    struct archive_pack pack;
    static struct el_archive_part parts[PARTS_MAX];
    size_t len = 0, batch_count = 0;
    for (size_t i = 0; i < b->partition_count; i++) {
        len += data_len(b->partitions[i], b->partitions[i]->archived, b->partitions[i]->count);
        batch_count += b->partitions[i]->count - b->partitions[i]->archived;
    }
    if (batch_count == 0) {
        return;
    }
    len += archive_pack_front(PARTS_MAX, (uint32_t)batch_count);
    uint8_t *buf = el_malloc(len);
    EL_ASSERT(buf != NULL);
    archive_pack_begin(&pack, buf, len, parts, PARTS_MAX, (uint32_t)batch_count);
    for (size_t i = 0; i < b->partition_count; i++) {
        struct built_partition *p = b->partitions[i];
        if (p->archived == p->count) {
            continue;
        }
        fill_part(&pack, p, p->archived, p->count);
        for (size_t k = p->archived; k < p->count; k++) {
            uint8_t entry[EL_LEAF_ENTRY_LEN];
            struct el_hash256 leaf;
            el_leaf_entry_put(entry, &p->batches[k].row.leaf);
            el_merkle_leaf(entry, sizeof(entry), &leaf);
            el_frontier_add(&p->frontier, &leaf);
        }
        p->archived = p->count;
        p->moved = true;
    }
    struct el_pack_header header = {
        .incarnation = b->incarnation, .kind = EL_PACK_BUNDLE, .sequence = ++b->bundle_sequence};
    put_pack(r, &pack, &header);
    el_free(buf);
}

static void put_segment(struct round *r, const struct built_partition *p, size_t from, size_t to)
{
    struct archive_pack pack;
    struct el_archive_part part;
    uint32_t batch_count = (uint32_t)(to - from);
    size_t len = archive_pack_front(1, batch_count) + data_len(p, from, to);
    uint8_t *buf = el_malloc(len);
    EL_ASSERT(buf != NULL);
    archive_pack_begin(&pack, buf, len, &part, 1, batch_count);
    fill_part(&pack, p, from, to);
    struct el_pack_header header = {.incarnation = r->b->incarnation, .kind = EL_PACK_SEGMENT};
    put_pack(r, &pack, &header);
    el_free(buf);
}

/* --- trees and notes ---------------------------------------------------------------------------------------------- */

static int put_tile(void *arg, uint32_t level, uint64_t index, const struct el_hash256 *hashes, uint32_t width)
{
    struct el_error err = {0};
    int code = archive_tile_put(arg, level, index, hashes, width, &err);
    EL_ASSERT(code == 0);
    return code;
}

static void put_note(struct archive_builder *b, const char *key, const char *origin, uint64_t size,
                     const struct el_hash256 *root)
{
    struct el_buffer note = {0};
    struct el_private_key *keys[2 * EL_SIGN_KEYS_MAX];
    char name[EL_ARCHIVE_KEY_MAX];
    size_t count = 0;
    el_archive_key_name(name, &b->cluster);
    for (size_t i = 0; i < b->key_count; i++) {
        keys[count++] = b->keys[i];
    }
    for (size_t i = 0; i < b->retired_count; i++) {
        keys[count++] = b->retired[i];
    }
    if (count > 0) {
        EL_ASSERT(el_note_sign(el_slice_str(origin), size, root->bytes, el_slice_str(name), keys, count, &note) == 0);
        put(b, key, note.data, note.len);
    }
    el_buffer_free(&note);
}

static struct archive_tree tree_of(struct archive_builder *b, const struct built_partition *p)
{
    struct archive_tree tree = {.store = b->store, .incarnation = b->incarnation, .of_manifests = p == NULL};
    if (p != NULL) {
        tree.topic_id = p->topic_id;
        tree.partition = p->partition;
    }
    return tree;
}

/* Segment, tiles and checkpoint of what bundles hold of a partition. */
static void make_segment(struct round *r, struct built_partition *p)
{
    struct archive_builder *b = r->b;
    struct archive_tree tree = tree_of(b, p);
    struct el_frontier frontier;
    struct el_hash256 root;
    char key[EL_ARCHIVE_KEY_MAX], origin[EL_ARCHIVE_KEY_MAX];
    size_t to = archive_state_partition(b->state, &p->topic_id, p->partition)->now.tree.size;
    EL_ASSERT(p->in_segments < to);
    put_segment(r, p, p->in_segments, to);
    for (size_t i = p->in_segments; i < to; i++) {
        uint8_t entry[EL_LEAF_ENTRY_LEN];
        struct el_hash256 leaf;
        el_leaf_entry_put(entry, &p->batches[i].row.leaf);
        el_merkle_leaf(entry, sizeof(entry), &leaf);
        EL_ASSERT(archive_tiles_add(p->tiles, &leaf, put_tile, &tree) == 0);
    }
    EL_ASSERT(archive_tiles_flush(p->tiles, put_tile, &tree) == 0);
    archive_tiles_frontier(p->tiles, &frontier);
    el_frontier_root(&frontier, &root);
    el_archive_key_checkpoint(key, &b->incarnation, &p->topic_id, p->partition, to);
    el_archive_origin_partition(origin, &b->cluster, &b->incarnation, &p->topic_id, p->partition);
    put_note(b, key, origin, to, &root);
    p->in_segments = to;
    p->wants_segment = false;
}

void archive_builder_redact(struct archive_builder *b, const char *topic, int32_t partition, int64_t offset,
                            const char *reason)
{
    struct built_partition *p = archive_builder_partition(b, topic, partition);
    for (size_t i = 0; i < p->in_segments; i++) {
        struct el_pack_batch *row = &p->batches[i].row;
        if (offset < row->leaf.first_offset || offset >= el_pack_batch_end(row)) {
            continue;
        }
        EL_ASSERT(b->redaction_count < 16);
        memset(row->salt, 0, sizeof(row->salt));
        row->len = 0;
        row->redacted = true;
        b->redactions[b->redaction_count++] = (struct el_manifest_redaction){.topic_id = p->topic_id,
                                                                             .partition = p->partition,
                                                                             .first_offset = row->leaf.first_offset,
                                                                             .end_offset = el_pack_batch_end(row),
                                                                             .when_ms = b->made_ms,
                                                                             .reason = el_slice_str(reason)};
        return;
    }
    EL_ASSERT(!"an offset in a segment");
}

void archive_builder_retire(struct archive_builder *b, const char *topic, int32_t partition, uint32_t part_count)
{
    struct built_partition *p = archive_builder_partition(b, topic, partition);
    const struct archive_partition *stated = archive_state_partition(b->state, &p->topic_id, partition);
    EL_ASSERT(part_count > 0);
    EL_ASSERT(part_count <= stated->part_count);
    EL_ASSERT(b->leaving_count < 16);
    const struct el_archive_part held = archive_part_at(stated, part_count - 1), *last = &held;
    struct el_manifest_retired *r = &b->leaving[b->leaving_count++];
    uint64_t leaves = el_archive_part_leaf_end(last);
    *r = (struct el_manifest_retired){.topic_id = p->topic_id,
                                      .partition = partition,
                                      .end_offset = last->end_offset,
                                      .newest_append_ns = p->batches[leaves - 1].row.leaf.append_time_ns,
                                      .retention_ms = 1000};
    r->when_ms = EL_MAX(b->made_ms, r->newest_append_ns / 1000000 + 1000);
    for (uint64_t i = 0; i < leaves; i++) {
        uint8_t entry[EL_LEAF_ENTRY_LEN];
        struct el_hash256 leaf;
        el_leaf_entry_put(entry, &p->batches[i].row.leaf);
        el_merkle_leaf(entry, sizeof(entry), &leaf);
        el_frontier_add(&r->tree, &leaf);
    }
}

/* The parts with what was redacted, put anew. */
static void make_redacted(struct round *r)
{
    for (size_t i = 0; i < r->b->redaction_count; i++) {
        const struct el_manifest_redaction *redaction = &r->b->redactions[i];
        const struct archive_partition *stated = archive_state_partition(r->b->state, &redaction->topic_id,
                                                                         redaction->partition);
        struct el_archive_part part;
        bool known = archive_partition_part(stated, redaction->first_offset, &part);
        EL_ASSERT(known);
        for (size_t k = 0; k < r->b->partition_count; k++) {
            const struct built_partition *p = r->b->partitions[k];
            if (el_uuid_eq(&p->topic_id, &redaction->topic_id) && p->partition == redaction->partition) {
                put_segment(r, p, part.first_leaf, el_archive_part_leaf_end(&part));
            }
        }
    }
}

/* --- the round ---------------------------------------------------------------------------------------------------- */

static void put_keys(const struct archive_builder *b, struct el_buffer *out)
{
    for (size_t i = 0; i < b->retired_count + (b->keys_new ? b->key_count : 0); i++) {
        struct el_public_key pub;
        bool retired = i < b->retired_count;
        el_private_key_public(retired ? b->retired[i] : b->keys[i - b->retired_count], &pub);
        el_manifest_key_put(out, &(struct el_manifest_key){.kind = pub.kind,
                                                           .retired = retired,
                                                           .changed_ms = b->made_ms,
                                                           .bytes = el_slice_of(pub.bytes, pub.len)});
    }
}

static void put_partitions(struct archive_builder *b, struct el_buffer *out)
{
    for (size_t i = 0; i < b->partition_count; i++) {
        struct built_partition *p = b->partitions[i];
        bool has_come = p->is_new && p->next_offset > 0; /* without events it is not stated, as by a broker */
        if (!p->moved && !has_come) {
            continue;
        }
        uint64_t last_ns = p->archived == 0 ? 0 : p->batches[p->archived - 1].row.leaf.append_time_ns;
        el_manifest_partition_put(out, &(struct el_manifest_partition){.topic_id = p->topic_id,
                                                                       .partition = p->partition,
                                                                       .start_offset = p->start_offset,
                                                                       .end_offset = p->next_offset,
                                                                       .log_start = p->log_start,
                                                                       .last_append_ns = last_ns,
                                                                       .tree = p->frontier});
        p->moved = p->is_new = false;
    }
}

/* Live objects all of whose parts the round's own parts take the place of. */
static void put_replaced(struct round *r, struct el_buffer *out)
{
    const struct archive_state *state = r->b->state;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct archive_object known = archive_object_at(state, i);
        uint32_t left = known.part_count;
        for (size_t k = 0; k < state->partitions.count && known.now.state == EL_OBJECT_LIVE; k++) {
            const struct archive_partition *p = state->partitions.entries[k].value;
            for (uint32_t m = 0; m < p->part_count; m++) {
                const struct el_archive_part old = archive_part_at(p, m);
                bool here = old.object == known.now.number;
                for (size_t n = 0; n < r->b->leaving_count && here; n++) {
                    const struct el_manifest_retired *gone = &r->b->leaving[n];
                    left -= el_uuid_eq(&gone->topic_id, &p->now.topic_id) && gone->partition == p->now.partition &&
                            old.first_leaf < gone->tree.size;
                }
                for (size_t n = 0; n < r->part_count && here; n++) {
                    const struct el_archive_part *part = &r->parts[n];
                    left -= el_uuid_eq(&part->topic_id, &p->now.topic_id) && part->partition == p->now.partition &&
                            part->first_leaf <= old.first_leaf &&
                            el_archive_part_leaf_end(part) >= el_archive_part_leaf_end(&old);
                }
            }
        }
        if (left == 0 && known.now.state == EL_OBJECT_LIVE) {
            struct el_manifest_object object = known.now;
            object.state = EL_OBJECT_REPLACED;
            object.replaced_ms = r->b->made_ms;
            el_manifest_object_put(out, &object);
        }
    }
}

void archive_builder_sweep(struct archive_builder *b)
{
    for (size_t i = 0; i < b->state->object_count; i++) {
        char key[EL_ARCHIVE_KEY_MAX];
        const struct archive_object known = archive_object_at(b->state, i);
        const struct el_manifest_object *object = &known.now;
        if (object->state == EL_OBJECT_REPLACED && object->number != b->state->last_object) {
            el_archive_key_object(key, &b->incarnation, object);
            EL_ASSERT(object_remove(b->store, key, NULL) == 0);
        }
    }
}

/* Replaced objects that are gone. */
static void put_removed(struct archive_builder *b, struct el_buffer *out)
{
    for (size_t i = 0; i < b->state->object_count; i++) {
        struct el_manifest_object object = archive_object_at(b->state, i).now;
        struct object_info info;
        char key[EL_ARCHIVE_KEY_MAX];
        if (object.state != EL_OBJECT_REPLACED) {
            continue;
        }
        el_archive_key_object(key, &b->incarnation, &object);
        if (object_head(b->store, key, &info, NULL) == EVLOG_ERR_NOT_FOUND) {
            object.state = EL_OBJECT_REMOVED;
            el_manifest_object_put(out, &object);
        }
    }
}

static void put_records(struct round *r, struct el_buffer *out)
{
    struct archive_builder *b = r->b;
    archive_state_put_tree(b->state, out);
    put_keys(b, out);
    for (size_t i = 0; i < b->topic_count; i++) {
        el_manifest_topic_put(out, &b->topics[i]);
        el_free((void *)(uintptr_t)b->topics[i].name.data);
    }
    b->topic_count = 0;
    put_partitions(b, out);
    for (size_t i = 0; i < b->leaving_count; i++) {
        el_manifest_retired_put(out, &b->leaving[i]);
    }
    put_removed(b, out);
    put_replaced(r, out);
    b->leaving_count = 0;
    for (size_t i = 0; i < r->object_count; i++) {
        el_manifest_object_put(out, &r->objects[i]);
    }
    for (size_t i = 0; i < r->part_count; i++) {
        el_manifest_part_put(out, &r->parts[i]);
    }
    for (size_t i = 0; i < b->redaction_count; i++) {
        el_manifest_redaction_put(out, &b->redactions[i]);
    }
}

static void put_cluster(struct archive_builder *b)
{
    struct archive_cluster cluster = {.cluster = b->cluster,
                                      .incarnation = b->incarnation,
                                      .parent = b->parent,
                                      .parent_sequence = b->parent_sequence,
                                      .made_ms = b->made_ms,
                                      .key_count = b->key_count};
    struct el_buffer text = {0};
    char key[EL_ARCHIVE_KEY_MAX];
    for (size_t i = 0; i < b->key_count; i++) {
        el_private_key_public(b->keys[i], &cluster.keys[i]);
    }
    EL_ASSERT(archive_cluster_write(&cluster, &text) == 0);
    el_archive_key_cluster(key, &b->incarnation);
    put(b, key, text.data, text.len);
    el_buffer_free(&text);
}

/* Apply, put, sign. */
static void publish(struct archive_builder *b, struct el_buffer *manifest)
{
    struct el_error err = {0};
    struct el_buffer full = {0};
    struct el_hash256 leaf, root;
    struct archive_tree tree = tree_of(b, NULL);
    char key[EL_ARCHIVE_KEY_MAX], origin[EL_ARCHIVE_KEY_MAX];
    int code = archive_state_apply(b->state, manifest->data, manifest->len, &err);
    if (code != 0) {
        (void)fprintf(stderr, "archive_builder: %s\n", err.text);
    }
    EL_ASSERT(code == 0);
    uint64_t sequence = b->state->header.sequence;
    if (b->full || archive_state_chain(b->state) == EL_MANIFEST_CHAIN_MAX) {
        EL_ASSERT(archive_state_to_full(b->state, &full) == 0);
        b->full = false;
    }
    el_archive_key_manifest(key, &b->incarnation, sequence);
    put(b, key, full.len > 0 ? full.data : manifest->data, full.len > 0 ? full.len : manifest->len);
    el_merkle_leaf(b->state->sha256, 32, &leaf);
    EL_ASSERT(archive_tiles_add(b->root_tiles, &leaf, put_tile, &tree) == 0);
    EL_ASSERT(archive_tiles_flush(b->root_tiles, put_tile, &tree) == 0);
    el_frontier_root(&b->state->tree, &root);
    el_archive_key_root(key, &b->incarnation, sequence);
    el_archive_origin_root(origin, &b->cluster, &b->incarnation);
    put_note(b, key, origin, sequence, &root);
    el_buffer_free(&full);
}

void archive_builder_round(struct archive_builder *b)
{
    struct round *r = el_calloc(1, sizeof(*r));
    struct el_buffer manifest = {0};
    struct el_manifest_header header;
    EL_ASSERT(r != NULL);
    r->b = b;
    r->last_object = b->state->last_object;
    if (b->state->header.sequence == 0) {
        put_cluster(b);
    }
    make_redacted(r);
    for (size_t i = 0; i < b->partition_count; i++) {
        if (b->partitions[i]->wants_segment) {
            make_segment(r, b->partitions[i]);
        }
    }
    make_bundle(r);
    archive_state_next(b->state, &b->incarnation, &header);
    header.cut_ns = b->now_ns;
    header.made_ms = b->made_ms;
    header.leader_epoch = 1;
    header.parent = b->parent;
    header.parent_sequence = b->parent_sequence;
    memcpy(header.parent_root, b->parent_root.bytes, 32);
    el_manifest_begin(&manifest);
    put_records(r, &manifest);
    EL_ASSERT(el_manifest_seal(&manifest, &header) == 0);
    publish(b, &manifest);
    b->redaction_count = 0;
    b->retired_count = 0;
    b->keys_new = false;
    b->made_ms += ROUND_MS;
    el_buffer_free(&manifest);
    el_free(r);
}
