/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of an incarnation: looking things up, and writing it out as a full manifest. How manifests change it is
 * archive_apply.c.
 */
#include "archive_internal.h"
#include "archive_slim.h"

#include <core/alloc.h>
#include <core/crypto.h>

struct archive_state *archive_state_new(void)
{
    struct archive_state *state = el_calloc(1, sizeof(*state));
    if (state != NULL) {
        el_map_init(&state->topics, NULL);
        el_map_init(&state->partitions, NULL);
    }
    return state;
}

static const struct el_manifest_retired nothing_retired;

struct archive_partition *archive_partition_new(void)
{
    struct archive_partition *partition = el_calloc(1, sizeof(*partition));
    if (partition != NULL) {
        partition->retired = &nothing_retired;
    }
    return partition;
}

static void retired_drop(struct archive_partition *partition)
{
    if (partition->retired != &nothing_retired) {
        el_free((void *)(uintptr_t)partition->retired);
    }
}

int archive_partition_retire(struct archive_partition *partition, const struct el_manifest_retired *stated)
{
    struct el_manifest_retired *copy = el_memdup(stated, sizeof(*stated));
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    retired_drop(partition);
    partition->retired = copy;
    return 0;
}

void archive_partition_free(struct archive_partition *partition)
{
    retired_drop(partition);
    archive_parts_free(partition);
    el_free(partition);
}

static void empty_topics(struct archive_state *state)
{
    for (size_t i = 0; i < state->topics.count; i++) {
        struct archive_topic *topic = state->topics.entries[i].value;
        el_free(topic->text);
        el_free(topic);
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        struct archive_partition *partition = state->partitions.entries[i].value;
        archive_partition_free(partition);
    }
    el_map_destroy(&state->topics);
    el_map_destroy(&state->partitions);
}

void archive_state_free(struct archive_state *state)
{
    if (state == NULL) {
        return;
    }
    archive_objects_free(state);
    empty_topics(state);
    for (size_t i = 0; i < state->key_count; i++) {
        el_free(state->keys[i].bytes);
    }
    for (size_t i = 0; i < state->redaction_count; i++) {
        el_free(state->redactions[i].reason);
    }
    el_free(state->keys);
    el_free(state->redactions);
    el_free(state);
}

static uint64_t map_memory(const struct el_map *map)
{
    return map->entry_max * sizeof(*map->entries) + map->slot_count * sizeof(*map->slots);
}

uint64_t archive_state_memory(const struct archive_state *state)
{
    uint64_t len = sizeof(*state) + map_memory(&state->topics) + map_memory(&state->partitions) +
                   archive_slim_memory(state) + state->key_max * sizeof(*state->keys) +
                   state->redaction_max * sizeof(*state->redactions);
    for (size_t i = 0; i < state->topics.count; i++) {
        const struct archive_topic *topic = state->topics.entries[i].value;
        len += sizeof(*topic) + topic->now.name.len + topic->now.settings.len;
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        len += sizeof(*p) + (p->retired != &nothing_retired ? sizeof(*p->retired) : 0);
    }
    for (size_t i = 0; i < state->key_count; i++) {
        len += state->keys[i].now.bytes.len;
    }
    for (size_t i = 0; i < state->redaction_count; i++) {
        len += state->redactions[i].now.reason.len;
    }
    return len;
}

/* --- looking up --------------------------------------------------------------------------------------------------- */

void archive_partition_key(uint8_t key[20], const struct el_uuid *topic_id, int32_t partition)
{
    memcpy(key, topic_id->bytes, 16);
    el_put_le32(key + 16, (uint32_t)partition);
}

struct archive_topic *archive_state_topic(const struct archive_state *state, const struct el_uuid *id)
{
    return el_map_get(&state->topics, id->bytes, sizeof(id->bytes));
}

struct archive_topic *archive_state_topic_named(const struct archive_state *state, struct el_slice name)
{
    struct archive_topic *found = NULL;
    for (size_t i = 0; i < state->topics.count; i++) {
        struct archive_topic *topic = state->topics.entries[i].value;
        if (!el_slice_eq(topic->now.name, name)) {
            continue;
        }
        if (found == NULL || (found->now.deleted && !topic->now.deleted) ||
            (found->now.deleted == topic->now.deleted && topic->now.changed_ms > found->now.changed_ms)) {
            found = topic;
        }
    }
    return found;
}

struct archive_partition *archive_state_partition(const struct archive_state *state, const struct el_uuid *topic_id,
                                                  int32_t partition)
{
    uint8_t key[20];
    archive_partition_key(key, topic_id, partition);
    return el_map_get(&state->partitions, key, sizeof(key));
}

uint64_t archive_partition_segment_leaves(const struct archive_state *state, const struct archive_partition *partition)
{
    uint64_t leaves = partition->retired->tree.size;
    for (uint32_t i = 0; i < partition->part_count; i++) {
        struct el_archive_part part = archive_part_at(partition, i);
        struct archive_object object;
        if (!archive_state_object(state, part.object, &object) || object.now.kind != EL_PACK_SEGMENT) {
            break;
        }
        leaves = el_archive_part_leaf_end(&part);
    }
    return leaves;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

void archive_state_next(const struct archive_state *state, const struct el_uuid *incarnation,
                        struct el_manifest_header *header)
{
    EL_ASSERT(!state->broken);
    if (state->header.sequence == 0) {
        *header = (struct el_manifest_header){
            .kind = EL_MANIFEST_FULL, .incarnation = *incarnation, .sequence = 1, .full_sequence = 1};
        return;
    }
    *header = state->header;
    header->kind = EL_MANIFEST_DELTA;
    header->sequence++;
    memcpy(header->previous_sha256, state->sha256, 32);
}

/* All records of a full manifest. */
static void put_all(const struct archive_state *state, struct el_buffer *out)
{
    el_manifest_begin(out);
    el_manifest_tree_put(out, &state->before);
    for (size_t i = 0; i < state->key_count; i++) {
        el_manifest_key_put(out, &state->keys[i].now);
    }
    for (size_t i = 0; i < state->topics.count; i++) {
        el_manifest_topic_put(out, &((struct archive_topic *)state->topics.entries[i].value)->now);
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        el_manifest_partition_put(out, &((struct archive_partition *)state->partitions.entries[i].value)->now);
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *partition = state->partitions.entries[i].value;
        if (partition->retired->tree.size > 0) {
            el_manifest_retired_put(out, partition->retired);
        }
    }
    for (size_t i = 0; i < state->object_count; i++) {
        struct archive_object object = archive_object_at(state, i);
        el_manifest_object_put(out, &object.now);
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *partition = state->partitions.entries[i].value;
        for (uint32_t k = 0; k < partition->part_count; k++) {
            struct el_archive_part part = archive_part_at(partition, k);
            el_manifest_part_put(out, &part);
        }
    }
    for (size_t i = 0; i < state->redaction_count; i++) {
        el_manifest_redaction_put(out, &state->redactions[i].now);
    }
}

/* Bytes of a record with so many of its own, before what follows, padded to 8: docs/format.md 15.4. */
static uint64_t record_len(uint64_t own, uint64_t more)
{
    return 8 + EL_ALIGN_UP(own + more, (uint64_t)8);
}

static uint64_t frontier_len(const struct el_frontier *tree)
{
    return el_frontier_count(tree->size) * EL_MERKLE_HASH_LEN;
}

uint64_t archive_state_full_len(const struct archive_state *state)
{
    /* the tree of manifests may be larger by one then */
    uint64_t len = EL_MANIFEST_HEADER_LEN + record_len(8, EL_MERKLE_FRONTIER_MAX * EL_MERKLE_HASH_LEN) +
                   state->object_count * record_len(104, 0);
    for (size_t i = 0; i < state->key_count; i++) {
        len += record_len(16, state->keys[i].now.bytes.len);
    }
    for (size_t i = 0; i < state->topics.count; i++) {
        const struct archive_topic *topic = state->topics.entries[i].value;
        len += record_len(40, topic->now.name.len + topic->now.settings.len);
    }
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        len += record_len(64, frontier_len(&p->now.tree)) + p->part_count * record_len(EL_PACK_PART_LEN, 0);
        len += p->retired->tree.size == 0 ? 0 : record_len(64, frontier_len(&p->retired->tree));
    }
    for (size_t i = 0; i < state->redaction_count; i++) {
        len += record_len(48, state->redactions[i].now.reason.len);
    }
    return len;
}

/* The manifest applied last has these bytes. */
void archive_state_stand_at(struct archive_state *state, const uint8_t *manifest, size_t len)
{
    struct el_hash256 leaf;
    el_sha256(manifest, len, state->sha256);
    el_merkle_leaf(state->sha256, sizeof(state->sha256), &leaf);
    state->tree = state->before;
    el_frontier_add(&state->tree, &leaf);
}

int archive_state_to_full(struct archive_state *state, struct el_buffer *out)
{
    EL_ASSERT(!state->broken);
    EL_ASSERT(state->header.sequence > 0);
    struct el_manifest_header header = state->header;
    header.kind = EL_MANIFEST_FULL;
    header.full_sequence = header.sequence;
    put_all(state, out);
    int code = el_manifest_seal(out, &header);
    if (code != 0) {
        return code;
    }
    state->header = header;
    archive_state_stand_at(state, out->data, out->len);
    return 0;
}
