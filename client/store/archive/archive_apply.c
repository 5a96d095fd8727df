/* SPDX-License-Identifier: Apache-2.0
 *
 * How a manifest changes the state: docs/format.md section 15.4, rule for rule.
 *
 * 1. the header follows the one before: sequence, hash of the manifest, tree, parent, a cut that does not fall
 * 2. records, in their order, each checked against what is there
 * 3. what records touched is checked again when all are in: parts that reach from the first to the last leaf, objects
 *    that count exactly as long as they are live
 *
 * A full manifest behind another one is applied to a new state, which then must be one that the old could become.
 * A failure leaves a broken state: nobody may go on from half a manifest.
 */
#include "archive_internal.h"
#include "archive_slim.h"

#include <core/alloc.h>
#include <core/crypto.h>
#include <inttypes.h>
#include <stdio.h>

struct apply {
    struct archive_state *state;
    uint64_t sequence;
    bool full; /* nothing was there before */
    struct el_error *err;
};

const char *archive_place(char text[ARCHIVE_PLACE_MAX], const struct el_uuid *topic_id, int32_t partition)
{
    char id[33];
    el_hex(id, topic_id->bytes, 16);
    (void)snprintf(text, ARCHIVE_PLACE_MAX, "topic %s/%d", id, partition);
    return text;
}

static int no_memory(struct apply *a)
{
    return el_error_set(a->err, EVLOG_ERR_NO_MEMORY, "no memory for manifest %" PRIu64, a->sequence);
}

#define REFUSE(...) el_error_set(a->err, EVLOG_ERR_CORRUPT, __VA_ARGS__)

/* --- keys, topics, partitions ------------------------------------------------------------------------------------- */

static int apply_key(struct apply *a, struct el_slice body)
{
    struct archive_state *state = a->state;
    struct el_manifest_key key;
    if (el_manifest_key_get(body, &key) != 0) {
        return REFUSE("key record is malformed");
    }
    for (size_t i = 0; i < state->key_count; i++) {
        struct el_manifest_key *now = &state->keys[i].now;
        if (now->kind != key.kind || !el_slice_eq(now->bytes, key.bytes)) {
            continue;
        }
        if (a->full || now->retired) {
            return REFUSE(a->full ? "key %zu is stated twice" : "key %zu was retired and is stated again", i);
        }
        now->retired = key.retired;
        now->changed_ms = key.changed_ms;
        return 0;
    }
    void *keys = state->keys;
    int code = archive_grow(&keys, state->key_count, &state->key_max, sizeof(*state->keys));
    state->keys = keys;
    uint8_t *bytes = code == 0 ? el_memdup(key.bytes.data, key.bytes.len) : NULL;
    if (bytes == NULL) {
        return no_memory(a);
    }
    key.bytes.data = bytes;
    state->keys[state->key_count++] = (struct archive_key){.now = key, .first_sequence = a->sequence, .bytes = bytes};
    return 0;
}

/* Text of a topic record of its own. returns 0 | EVLOG_ERR_NO_MEMORY */
static int topic_keep(struct archive_topic *topic, const struct el_manifest_topic *stated)
{
    uint8_t *text = el_malloc(stated->name.len + stated->settings.len);
    if (text == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memcpy(text, stated->name.data, stated->name.len);
    if (stated->settings.len > 0) {
        memcpy(text + stated->name.len, stated->settings.data, stated->settings.len);
    }
    el_free(topic->text);
    topic->text = text;
    topic->now = *stated;
    topic->now.name.data = text;
    topic->now.settings.data = text + stated->name.len;
    return 0;
}

static int apply_topic(struct apply *a, struct el_slice body)
{
    struct el_manifest_topic stated;
    char place[ARCHIVE_PLACE_MAX];
    if (el_manifest_topic_get(body, &stated) != 0) {
        return REFUSE("topic record is malformed");
    }
    archive_place(place, &stated.id, 0);
    struct archive_topic *topic = archive_state_topic(a->state, &stated.id);
    if (topic == NULL) {
        topic = el_calloc(1, sizeof(*topic));
        if (topic == NULL || topic_keep(topic, &stated) != 0) {
            el_free(topic);
            return no_memory(a);
        }
        topic->changed = a->sequence;
        if (el_map_put(&a->state->topics, topic->now.id.bytes, 16, topic) != 0) {
            el_free(topic->text);
            el_free(topic);
            return no_memory(a);
        }
        return 0;
    }
    if (topic->changed == a->sequence) {
        return REFUSE("%s: the topic is stated twice", place);
    }
    if (!el_slice_eq(topic->now.name, stated.name) || stated.partition_count < topic->now.partition_count ||
        topic->now.internal != stated.internal || (topic->now.deleted && !stated.deleted)) {
        return REFUSE("%s: the topic gets another name, fewer partitions, or comes back after its deletion", place);
    }
    topic->changed = a->sequence;
    return topic_keep(topic, &stated) == 0 ? 0 : no_memory(a);
}

static bool same_frontier(const struct el_frontier *a, const struct el_frontier *b)
{
    return a->size == b->size && memcmp(a->hashes, b->hashes, el_frontier_count(a->size) * EL_MERKLE_HASH_LEN) == 0;
}

/* A part does not count any more: its object has one less that does. */
static void object_loses(struct archive_state *state, const struct el_archive_part *part)
{
    size_t index = archive_object_index(state, part->object);
    EL_ASSERT(index != SIZE_MAX);
    struct archive_object object = archive_object_at(state, index);
    EL_ASSERT(object.part_count > 0);
    EL_ASSERT(object.live_len >= part->data_len);
    object.part_count--;
    object.live_len -= part->data_len;
    object.dirty = true;
    int code = archive_object_put(state, index, &object);
    EL_ASSERT(code == 0); /* less than before takes no memory */
}

/* Can a partition that was `before` become `after`? */
static bool partition_continues(const struct el_manifest_partition *before, const struct el_manifest_partition *after)
{
    return after->start_offset == before->start_offset && after->end_offset >= before->end_offset &&
           after->log_start >= before->log_start && after->last_append_ns >= before->last_append_ns &&
           after->tree.size >= before->tree.size &&
           (after->tree.size > before->tree.size || same_frontier(&after->tree, &before->tree));
}

static int apply_partition(struct apply *a, struct el_slice body)
{
    struct el_manifest_partition stated;
    char place[ARCHIVE_PLACE_MAX];
    if (el_manifest_partition_get(body, &stated) != 0) {
        return REFUSE("partition record is malformed");
    }
    archive_place(place, &stated.topic_id, stated.partition);
    const struct archive_topic *topic = archive_state_topic(a->state, &stated.topic_id);
    if (topic == NULL || (uint32_t)stated.partition >= topic->now.partition_count) {
        return REFUSE("%s: no topic record says that there is this partition", place);
    }
    struct archive_partition *partition = archive_state_partition(a->state, &stated.topic_id, stated.partition);
    if (partition == NULL) {
        partition = archive_partition_new();
        if (partition == NULL) {
            return no_memory(a);
        }
        partition->index = (uint32_t)a->state->partitions.count;
        partition->now = stated;
        archive_partition_key(partition->key, &stated.topic_id, stated.partition);
        if (el_map_put(&a->state->partitions, partition->key, sizeof(partition->key), partition) != 0) {
            archive_partition_free(partition);
            return no_memory(a);
        }
    } else if (partition->changed == a->sequence) {
        return REFUSE("%s: the partition is stated twice", place);
    } else if (!partition_continues(&partition->now, &stated)) {
        return REFUSE("%s: the partition goes back: offsets %" PRId64 " to %" PRId64 " and %" PRIu64
                      " batches before, now %" PRId64 " to %" PRId64 " and %" PRIu64,
                      place, partition->now.start_offset, partition->now.end_offset, partition->now.tree.size,
                      stated.start_offset, stated.end_offset, stated.tree.size);
    }
    partition->now = stated;
    partition->changed = a->sequence;
    partition->dirty = true;
    return 0;
}

/* All batches below an offset leave by age: parts that count no more. */
static int apply_retired(struct apply *a, struct el_slice body)
{
    struct el_manifest_retired stated;
    char place[ARCHIVE_PLACE_MAX];
    if (el_manifest_retired_get(body, &stated) != 0) {
        return REFUSE(
            "record of what was retired is malformed, or events leave that are younger than it says they may");
    }
    archive_place(place, &stated.topic_id, stated.partition);
    struct archive_partition *partition = archive_state_partition(a->state, &stated.topic_id, stated.partition);
    if (partition == NULL || stated.tree.size > partition->now.tree.size ||
        stated.end_offset > partition->now.end_offset || stated.end_offset <= partition->now.start_offset) {
        return REFUSE("%s: what is retired is not there", place);
    }
    if (stated.tree.size <= partition->retired->tree.size || stated.when_ms < partition->retired->when_ms) {
        return REFUSE("%s: what is retired goes back, or is stated twice", place);
    }
    uint32_t count = 0;
    struct el_archive_part last = {.object = 0};
    for (; count < partition->part_count; count++) {
        struct el_archive_part part = archive_part_at(partition, count);
        struct archive_object object = {.part_count = 0};
        if (part.first_leaf >= stated.tree.size) {
            break;
        }
        bool known = archive_state_object(a->state, part.object, &object);
        EL_ASSERT(known);
        if (object.now.kind != EL_PACK_SEGMENT || el_archive_part_leaf_end(&part) > stated.tree.size) {
            return REFUSE("%s: a part is retired by half, or one that is in no segment", place);
        }
        object_loses(a->state, &part);
        last = part;
    }
    if (!a->full &&
        (count == 0 || el_archive_part_leaf_end(&last) != stated.tree.size || last.end_offset != stated.end_offset)) {
        return REFUSE("%s: what is retired ends in no part", place);
    }
    int code = archive_parts_replace(partition, 0, count, NULL);
    EL_ASSERT(code == 0);
    if (archive_partition_retire(partition, &stated) != 0) {
        return no_memory(a);
    }
    partition->changed = a->sequence;
    partition->dirty = true;
    return 0;
}

/* --- objects and parts -------------------------------------------------------------------------------------------- */

/* What an object is made of stays what it was. */
static bool same_object(const struct el_manifest_object *x, const struct el_manifest_object *y)
{
    return x->kind == y->kind && x->shard == y->shard && x->part_count == y->part_count &&
           el_uuid_eq(&x->topic_id, &y->topic_id) && x->partition == y->partition && x->sequence == y->sequence &&
           x->len == y->len && memcmp(x->sha256, y->sha256, 32) == 0;
}

static int apply_object(struct apply *a, struct el_slice body)
{
    struct archive_state *state = a->state;
    struct el_manifest_object stated;
    if (el_manifest_object_get(body, &stated) != 0) {
        return REFUSE("object record is malformed");
    }
    size_t index = archive_object_index(state, stated.number);
    struct archive_object object = {.now = stated, .dirty = true};
    if (index == SIZE_MAX) {
        if (stated.number <= state->last_object) {
            return REFUSE("object %" PRIu64 ": its number was given before", stated.number);
        }
        if (stated.state == EL_OBJECT_REMOVED || (!a->full && stated.state != EL_OBJECT_LIVE)) {
            return REFUSE("object %" PRIu64 " is stated as replaced or removed, but never was live", stated.number);
        }
        if (archive_object_add(state, &object) != 0) {
            return no_memory(a);
        }
        state->last_object = stated.number;
        return 0;
    }
    object = archive_object_at(state, index);
    enum el_object_state from = object.now.state;
    if (a->full || !same_object(&object.now, &stated)) {
        return REFUSE("object %" PRIu64 " is stated %s", stated.number, a->full ? "twice" : "as another than it was");
    }
    if (stated.state == from || stated.state == EL_OBJECT_LIVE ||
        (stated.state == EL_OBJECT_REMOVED && from != EL_OBJECT_REPLACED)) {
        return REFUSE("object %" PRIu64 " goes from live to replaced to removed, in no other way", stated.number);
    }
    if (stated.state == EL_OBJECT_REMOVED && stated.number == state->last_object) {
        return REFUSE("object %" PRIu64 " has the highest number and is forgotten, so that it could be given again",
                      stated.number);
    }
    object.now = stated;
    object.dirty = true;
    return archive_object_put(state, index, &object) == 0 ? 0 : no_memory(a);
}

/* Does the part lie in its object, and is it one of the partition's? */
static int check_place(struct apply *a, const struct el_archive_part *part, const struct archive_object *object,
                       const char *place)
{
    const struct el_manifest_object *o = &object->now;
    if (o->state != EL_OBJECT_LIVE || object->part_count >= o->part_count) {
        return REFUSE("%s: object %" PRIu64 " is not live, or has more parts than it says", place, part->object);
    }
    if (part->data_pos + part->data_len > o->len) {
        return REFUSE("%s: a part ends behind its object %" PRIu64, place, part->object);
    }
    if (o->kind == EL_PACK_SEGMENT && (!el_uuid_eq(&o->topic_id, &part->topic_id) || o->partition != part->partition ||
                                       o->sequence != (uint64_t)part->first_offset)) {
        return REFUSE("%s: segment %" PRIu64 " is of another place", place, part->object);
    }
    return 0;
}

/* Take out parts [from, to), and put this one there. */
static int part_place(struct apply *a, struct archive_partition *partition, const struct el_archive_part *part,
                      uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        struct el_archive_part old = archive_part_at(partition, i);
        object_loses(a->state, &old);
    }
    if (archive_parts_replace(partition, from, to, part) != 0) {
        return no_memory(a);
    }
    partition->parts_changed = a->sequence;
    partition->dirty = true;
    return 0;
}

/* First part whose leaves end above leaf. */
static uint32_t part_at_leaf(const struct archive_partition *partition, uint64_t leaf)
{
    uint32_t low = 0, high = partition->part_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct el_archive_part part = archive_part_at(partition, mid);
        if (el_archive_part_leaf_end(&part) <= leaf) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static uint64_t leaves_reached(const struct archive_partition *p)
{
    if (p->part_count == 0) {
        return p->retired->tree.size;
    }
    struct el_archive_part last = archive_part_at(p, p->part_count - 1);
    return el_archive_part_leaf_end(&last);
}

/* Does the part go on from the last one, or take the place of those from `from` on to *to, and nothing else? */
static int check_run(struct apply *a, const struct archive_partition *partition, const struct el_archive_part *part,
                     uint32_t from, uint32_t *to, const char *place)
{
    uint64_t leaf_end = el_archive_part_leaf_end(part);
    struct el_archive_part first = {.object = 0}, last = first, before = first;
    for (; *to < partition->part_count; (*to)++) {
        struct el_archive_part old = archive_part_at(partition, *to);
        if (el_archive_part_leaf_end(&old) > leaf_end) {
            break;
        }
        first = *to == from ? old : first;
        last = old;
    }
    bool fits = from == partition->part_count
                    ? part->first_leaf == leaves_reached(partition)
                    : !a->full && *to > from && first.first_leaf == part->first_leaf &&
                          el_archive_part_leaf_end(&last) == leaf_end && first.first_offset == part->first_offset &&
                          last.end_offset == part->end_offset;
    if (!fits) {
        return REFUSE("%s: leaves %" PRIu64 " to %" PRIu64
                      " leave a hole, are there already, or cover other parts by half",
                      place, part->first_leaf, leaf_end);
    }
    if (from > 0) {
        before = archive_part_at(partition, from - 1);
    }
    if ((from > 0 && before.end_offset > part->first_offset) ||
        part->first_offset < EL_MAX(partition->now.start_offset, partition->retired->end_offset) ||
        part->end_offset > partition->now.end_offset) {
        return REFUSE("%s: offsets %" PRId64 " to %" PRId64 " overlap others, or are outside the partition", place,
                      part->first_offset, part->end_offset);
    }
    return 0;
}

static int apply_part(struct apply *a, struct el_slice body)
{
    struct el_archive_part part;
    char place[ARCHIVE_PLACE_MAX];
    if (el_manifest_part_get(body, &part) != 0) {
        return REFUSE("part record is malformed");
    }
    archive_place(place, &part.topic_id, part.partition);
    struct archive_partition *partition = archive_state_partition(a->state, &part.topic_id, part.partition);
    size_t index = archive_object_index(a->state, part.object);
    if (partition == NULL || index == SIZE_MAX) {
        return REFUSE("%s: a part is stated, but not its %s", place, partition == NULL ? "partition" : "object");
    }
    struct archive_object object = archive_object_at(a->state, index);
    int code = check_place(a, &part, &object, place);
    if (code != 0) {
        return code;
    }
    uint32_t from = part_at_leaf(partition, part.first_leaf), to = from;
    code = check_run(a, partition, &part, from, &to, place);
    if (code != 0) {
        return code;
    }
    object.part_count++;
    object.live_len += part.data_len;
    object.dirty = true;
    return archive_object_put(a->state, index, &object) == 0 ? part_place(a, partition, &part, from, to) : no_memory(a);
}

static int apply_redaction(struct apply *a, struct el_slice body)
{
    struct archive_state *state = a->state;
    struct el_manifest_redaction stated;
    char place[ARCHIVE_PLACE_MAX];
    if (el_manifest_redaction_get(body, &stated) != 0) {
        return REFUSE("redaction record is malformed");
    }
    const struct archive_partition *partition = archive_state_partition(state, &stated.topic_id, stated.partition);
    if (partition == NULL || stated.end_offset > partition->now.end_offset) {
        return REFUSE("%s: redacted offsets are not there", archive_place(place, &stated.topic_id, stated.partition));
    }
    void *redactions = state->redactions;
    int code = archive_grow(&redactions, state->redaction_count, &state->redaction_max, sizeof(*state->redactions));
    state->redactions = redactions;
    uint8_t *reason = code == 0 ? el_memdup(stated.reason.data, stated.reason.len) : NULL;
    if (reason == NULL) {
        return no_memory(a);
    }
    stated.reason.data = reason;
    state->redactions[state->redaction_count++] = (struct archive_redaction){.now = stated, .reason = reason};
    return 0;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

static int apply_tree(struct apply *a, struct el_slice body)
{
    struct archive_state *state = a->state;
    struct el_frontier tree;
    if (el_manifest_tree_get(body, &tree) != 0 || tree.size != a->sequence - 1) {
        return REFUSE("tree record is malformed, or not of the manifests before this one");
    }
    if (state->header.sequence != 0 && !same_frontier(&tree, &state->tree)) {
        return REFUSE("tree record is not that of the manifests before");
    }
    state->before = tree;
    return 0;
}

static int apply_record(struct apply *a, const struct el_manifest_record *record)
{
    switch ((enum el_manifest_tag)record->tag) {
    case EL_MANIFEST_TREE:
        return apply_tree(a, record->body);
    case EL_MANIFEST_KEY:
        return apply_key(a, record->body);
    case EL_MANIFEST_TOPIC:
        return apply_topic(a, record->body);
    case EL_MANIFEST_PARTITION:
        return apply_partition(a, record->body);
    case EL_MANIFEST_OBJECT:
        return apply_object(a, record->body);
    case EL_MANIFEST_PART:
        return apply_part(a, record->body);
    case EL_MANIFEST_REDACTION:
        return apply_redaction(a, record->body);
    case EL_MANIFEST_RETIRED:
        return apply_retired(a, record->body);
    }
    return 0; /* one that says it may be passed over */
}

/* Parts of what was touched reach from the first leaf to the last. */
static int check_partitions(struct apply *a)
{
    char place[ARCHIVE_PLACE_MAX];
    for (size_t i = 0; i < a->state->partitions.count; i++) {
        struct archive_partition *partition = a->state->partitions.entries[i].value;
        if (!partition->dirty) {
            continue;
        }
        partition->dirty = false;
        uint64_t reached = leaves_reached(partition);
        if (reached != partition->now.tree.size) {
            return REFUSE("%s: parts have %" PRIu64 " batches, the tree %" PRIu64,
                          archive_place(place, &partition->now.topic_id, partition->now.partition), reached,
                          partition->now.tree.size);
        }
    }
    return 0;
}

/* An object is live exactly as long as parts of it count. Those that were removed are forgotten. */
static int check_objects(struct apply *a)
{
    struct archive_state *state = a->state;
    for (size_t i = 0; i < state->object_count; i++) {
        if (!state->slim_objects[i].dirty) {
            continue;
        }
        struct archive_object object = archive_object_at(state, i);
        if ((object.now.state == EL_OBJECT_LIVE) != (object.part_count > 0)) {
            return REFUSE("object %" PRIu64 " is stated as %s, but %u of its parts count", object.now.number,
                          object.now.state == EL_OBJECT_LIVE ? "live" : "replaced", object.part_count);
        }
        object.dirty = false;
        if (archive_object_put(state, i, &object) != 0) {
            return no_memory(a);
        }
    }
    archive_objects_forget(state);
    if (a->full) {
        archive_state_trim(state);
    }
    return 0;
}

static int apply_records(struct apply *a, const uint8_t *manifest, size_t len, const struct el_manifest_header *header)
{
    struct el_manifest_record record;
    size_t pos = EL_MANIFEST_HEADER_LEN, at = pos;
    uint32_t count = 0;
    int rank = -1, code = 0;
    while ((code = el_manifest_next(manifest, len, &pos, &record)) == 1) {
        int record_rank = el_manifest_tag_rank(record.tag);
        if (record_rank < 0) {
            record_rank = rank;
        }
        if ((rank < 0) != (record_rank == 0) || record_rank < rank) {
            code = REFUSE("records are not in their order, the tree first and once");
        } else {
            code = apply_record(a, &record);
        }
        if (code != 0) {
            el_error_wrap(a->err, "record at byte %zu", at);
            return code;
        }
        rank = record_rank;
        at = pos;
        count++;
    }
    if (code != 0) {
        return el_error_set(a->err, code, "record at byte %zu %s", at,
                            code == EVLOG_ERR_FORMAT ? "is of a newer evlog: use one that is as new" : "is malformed");
    }
    if (rank < 0 || count != header->record_count) {
        return REFUSE("%u records, where the header says %u", count, header->record_count);
    }
    code = check_partitions(a);
    return code != 0 ? code : check_objects(a);
}

/* --- one behind the other ----------------------------------------------------------------------------------------- */

/* Does the manifest with this header come behind those that were applied? */
static int check_header(struct apply *a, const struct el_manifest_header *h)
{
    const struct el_manifest_header *before = &a->state->header;
    if (before->sequence == 0) {
        return h->kind == EL_MANIFEST_FULL ? 0 : REFUSE("it is a delta, and what it is one to is not there");
    }
    if (h->sequence != before->sequence + 1 || !el_uuid_eq(&h->incarnation, &before->incarnation)) {
        return REFUSE("it is not the manifest behind number %" PRIu64, before->sequence);
    }
    if (memcmp(h->previous_sha256, a->state->sha256, 32) != 0) {
        return REFUSE("it follows another manifest %" PRIu64 " than the one that is there", before->sequence);
    }
    if (h->kind == EL_MANIFEST_DELTA && h->full_sequence != before->full_sequence) {
        return REFUSE("it names full manifest %" PRIu64 ", the one before it %" PRIu64, h->full_sequence,
                      before->full_sequence);
    }
    if (!el_uuid_eq(&h->parent, &before->parent) || h->parent_sequence != before->parent_sequence ||
        memcmp(h->parent_root, before->parent_root, 32) != 0) {
        return REFUSE("it has another parent than the one before");
    }
    if (h->cut_ns < before->cut_ns || h->made_ms < before->made_ms || h->leader_epoch < before->leader_epoch) {
        return REFUSE("what is complete, the time that it was made, or the leader epoch goes back");
    }
    return 0;
}

static bool keys_continue(const struct archive_state *before, const struct archive_state *after)
{
    for (size_t i = 0; i < before->key_count; i++) {
        const struct el_manifest_key *key = &before->keys[i].now;
        bool found = false;
        for (size_t k = 0; !found && k < after->key_count; k++) {
            const struct el_manifest_key *other = &after->keys[k].now;
            found = other->kind == key->kind && el_slice_eq(other->bytes, key->bytes) &&
                    (!key->retired || other->retired);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool redactions_continue(const struct archive_state *before, const struct archive_state *after)
{
    if (after->redaction_count < before->redaction_count) {
        return false;
    }
    for (size_t i = 0; i < before->redaction_count; i++) {
        const struct el_manifest_redaction *x = &before->redactions[i].now, *y = &after->redactions[i].now;
        if (!el_uuid_eq(&x->topic_id, &y->topic_id) || x->partition != y->partition ||
            x->first_offset != y->first_offset || x->end_offset != y->end_offset || x->when_ms != y->when_ms ||
            !el_slice_eq(x->reason, y->reason)) {
            return false;
        }
    }
    return true;
}

int archive_state_continues(const struct archive_state *before, const struct archive_state *after, struct el_error *err)
{
    char place[ARCHIVE_PLACE_MAX];
    for (size_t i = 0; i < before->topics.count; i++) {
        const struct archive_topic *x = before->topics.entries[i].value;
        const struct archive_topic *y = archive_state_topic(after, &x->now.id);
        if (y == NULL || !el_slice_eq(x->now.name, y->now.name) || (x->now.deleted && !y->now.deleted) ||
            y->now.partition_count < x->now.partition_count) {
            return el_error_set(err, EVLOG_ERR_CORRUPT, "topic %.*s is gone or became another", (int)x->now.name.len,
                                (const char *)x->now.name.data);
        }
    }
    for (size_t i = 0; i < before->partitions.count; i++) {
        const struct archive_partition *x = before->partitions.entries[i].value;
        const struct archive_partition *y = archive_state_partition(after, &x->now.topic_id, x->now.partition);
        if (y == NULL || !partition_continues(&x->now, &y->now) || y->retired->tree.size < x->retired->tree.size ||
            y->retired->end_offset < x->retired->end_offset) {
            return el_error_set(err, EVLOG_ERR_CORRUPT, "%s is gone or goes back",
                                archive_place(place, &x->now.topic_id, x->now.partition));
        }
    }
    if (after->last_object < before->last_object || !keys_continue(before, after) ||
        !redactions_continue(before, after)) {
        return el_error_set(err, EVLOG_ERR_CORRUPT, "objects, keys or redactions that were stated are gone");
    }
    return 0;
}

/* A full manifest behind another one: a state of its own, which must be one that the old could become. */
static int apply_full(struct apply *a, const uint8_t *manifest, size_t len, const struct el_manifest_header *header)
{
    struct archive_state *state = a->state, *next = archive_state_new();
    if (next == NULL) {
        return no_memory(a);
    }
    struct apply anew = {.state = next, .sequence = a->sequence, .full = true, .err = a->err};
    int code = apply_records(&anew, manifest, len, header);
    if (code == 0 && !same_frontier(&next->before, &state->tree)) {
        code = REFUSE("tree record is not that of the manifests before");
    }
    if (code == 0) {
        code = archive_state_continues(state, next, a->err);
    }
    if (code == 0) {
        struct archive_state old = *state;
        for (size_t i = 0; i < next->key_count; i++) {
            if (i < old.key_count) {
                next->keys[i].first_sequence = old.keys[i].first_sequence;
            }
        }
        *state = *next;
        *next = old;
    }
    archive_state_free(next);
    return code;
}

int archive_state_apply(struct archive_state *state, const uint8_t *manifest, size_t len, struct el_error *err)
{
    struct el_manifest_header header;
    struct apply apply = {.state = state, .err = err}, *a = &apply;
    EL_ASSERT(!state->broken);
    int code = el_manifest_header_get(manifest, len, &header);
    if (code != 0) {
        return el_error_set(err, code, "manifest behind number %" PRIu64 ": its header is %s", state->header.sequence,
                            code == EVLOG_ERR_FORMAT ? "of a newer evlog" : "malformed, or it is cut short");
    }
    a->sequence = header.sequence;
    a->full = header.kind == EL_MANIFEST_FULL;
    code = check_header(a, &header);
    if (code != 0) {
        el_error_wrap(err, "manifest %" PRIu64, header.sequence);
        return code;
    }
    code = a->full && state->header.sequence != 0 ? apply_full(a, manifest, len, &header)
                                                  : apply_records(a, manifest, len, &header);
    if (code != 0) {
        el_error_wrap(err, "manifest %" PRIu64, header.sequence);
        state->broken = true;
        return code;
    }
    state->header = header;
    archive_state_stand_at(state, manifest, len);
    return 0;
}
