/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts and objects of a state, packed; see archive_slim.h. Packing makes no choice by itself: what was packed is
 * unpacked and compared, and kept whole when it is not the same.
 */
#include "archive_slim.h"

#include "archive_internal.h"

#include <core/alloc.h>

#define GROW_FIRST 4u
#define GROW_DOUBLE_MAX 64u /* items; beyond it an eighth more at a time, for of a million a half would be unused */

int archive_grow(void **items, size_t count, size_t *max, size_t item_len)
{
    if (count < *max) {
        return 0;
    }
    size_t more = *max == 0 ? GROW_FIRST : *max < GROW_DOUBLE_MAX ? *max * 2 : *max + *max / 8;
    void *moved = el_realloc(*items, more * item_len);
    if (moved == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *items = moved;
    *max = more;
    return 0;
}

/* That which does not fit is kept whole, and where is noted in place of its hash. */
static void *whole_at(const uint8_t place[32])
{
    void *whole;
    memcpy(&whole, place, sizeof(whole));
    return whole;
}

/* --- parts -------------------------------------------------------------------------------------------------------- */

static struct el_archive_part part_unpack(const struct archive_partition *partition,
                                          const struct archive_slim_part *slim)
{
    struct el_archive_part part = {
        .topic_id = partition->now.topic_id,
        .partition = partition->now.partition,
        .batch_count = slim->batch_count,
        .first_offset = (int64_t)slim->first_offset,
        .end_offset = (int64_t)slim->first_offset + slim->offset_count,
        .first_leaf = slim->first_leaf,
        .object = slim->object,
        .table_pos = slim->table_pos,
        .data_pos = slim->data_pos,
        .data_len = slim->data_len,
    };
    memcpy(part.table_sha256, slim->table_sha256, sizeof(part.table_sha256));
    return part;
}

static bool same_part(const struct el_archive_part *x, const struct el_archive_part *y)
{
    return el_uuid_eq(&x->topic_id, &y->topic_id) && x->partition == y->partition && x->batch_count == y->batch_count &&
           x->first_offset == y->first_offset && x->end_offset == y->end_offset && x->first_leaf == y->first_leaf &&
           x->object == y->object && x->table_pos == y->table_pos && x->data_pos == y->data_pos &&
           x->data_len == y->data_len && memcmp(x->table_sha256, y->table_sha256, sizeof(x->table_sha256)) == 0;
}

static int part_pack(const struct archive_partition *partition, const struct el_archive_part *part,
                     struct archive_slim_part *slim)
{
    EL_ASSERT(part->batch_count > 0);
    *slim = (struct archive_slim_part){
        .first_offset = (uint64_t)part->first_offset & 0xffffffffffff,
        .first_leaf = part->first_leaf & 0xffffffffffff,
        .offset_count = (uint32_t)(part->end_offset - part->first_offset),
        .batch_count = part->batch_count,
        .object = (uint32_t)part->object,
        .table_pos = (uint32_t)part->table_pos,
        .data_pos = (uint32_t)part->data_pos,
        .data_len = (uint32_t)part->data_len,
    };
    memcpy(slim->table_sha256, part->table_sha256, sizeof(slim->table_sha256));
    struct el_archive_part back = part_unpack(partition, slim);
    if (same_part(&back, part)) {
        return 0;
    }
    void *whole = el_memdup(part, sizeof(*part));
    if (whole == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *slim = (struct archive_slim_part){.batch_count = 0};
    memcpy(slim->table_sha256, &whole, sizeof(whole));
    return 0;
}

static void parts_drop(struct archive_partition *partition, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (partition->slim_parts[i].batch_count == 0) {
            el_free(whole_at(partition->slim_parts[i].table_sha256));
            partition->wide_count--;
        }
    }
}

struct el_archive_part archive_part_at(const struct archive_partition *partition, uint32_t index)
{
    EL_ASSERT(index < partition->part_count);
    const struct archive_slim_part *slim = &partition->slim_parts[index];
    return slim->batch_count != 0 ? part_unpack(partition, slim)
                                  : *(const struct el_archive_part *)whole_at(slim->table_sha256);
}

int archive_parts_replace(struct archive_partition *partition, uint32_t from, uint32_t to,
                          const struct el_archive_part *part)
{
    struct archive_slim_part slim;
    uint32_t more = part != NULL;
    EL_ASSERT(from <= to);
    EL_ASSERT(to <= partition->part_count);
    if (part != NULL) {
        void *parts = partition->slim_parts;
        size_t max = partition->part_max;
        int code = archive_grow(&parts, partition->part_count, &max, sizeof(slim));
        partition->slim_parts = parts;
        partition->part_max = (uint32_t)max;
        code = code != 0 ? code : part_pack(partition, part, &slim);
        if (code != 0) {
            return code;
        }
    }
    parts_drop(partition, from, to);
    if (to < partition->part_count) {
        memmove(&partition->slim_parts[from + more], &partition->slim_parts[to],
                (partition->part_count - to) * sizeof(slim));
    }
    if (part != NULL) {
        partition->slim_parts[from] = slim;
        partition->wide_count += slim.batch_count == 0;
    }
    partition->part_count = partition->part_count - (to - from) + more;
    return 0;
}

void archive_parts_free(struct archive_partition *partition)
{
    parts_drop(partition, 0, partition->part_count);
    el_free(partition->slim_parts);
    partition->slim_parts = NULL;
    partition->part_count = partition->part_max = 0;
}

bool archive_partition_part(const struct archive_partition *partition, int64_t offset, struct el_archive_part *part)
{
    uint32_t low = 0, high = partition->part_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (archive_part_at(partition, mid).end_offset <= offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (low == partition->part_count) {
        return false;
    }
    *part = archive_part_at(partition, low);
    return true;
}

/* --- objects ------------------------------------------------------------------------------------------------------ */

static struct archive_object object_unpack(const struct archive_state *state, const struct archive_slim_object *slim)
{
    struct archive_object object = {
        .now = {.number = slim->number,
                .kind = (enum el_pack_kind)slim->kind,
                .state = (enum el_object_state)slim->state,
                .part_count = slim->stated_parts,
                .sequence = slim->sequence,
                .len = slim->len},
        .dirty = slim->dirty,
    };
    memcpy(object.now.sha256, slim->sha256, sizeof(object.now.sha256));
    if (object.now.kind == EL_PACK_BUNDLE) {
        object.now.shard = slim->place;
    } else if (slim->place < state->partitions.count) {
        const struct archive_partition *p = state->partitions.entries[slim->place].value;
        object.now.topic_id = p->now.topic_id;
        object.now.partition = p->now.partition;
    }
    if (object.now.state == EL_OBJECT_LIVE) {
        object.part_count = slim->part_count;
        object.live_len = slim->live_len;
    } else {
        object.now.replaced_ms = (uint64_t)slim->part_count << 32 | slim->live_len;
    }
    return object;
}

static bool same_object(const struct archive_object *x, const struct archive_object *y)
{
    const struct el_manifest_object *a = &x->now, *b = &y->now;
    return x->part_count == y->part_count && x->live_len == y->live_len && x->dirty == y->dirty &&
           a->number == b->number && a->kind == b->kind && a->state == b->state && a->shard == b->shard &&
           a->part_count == b->part_count && el_uuid_eq(&a->topic_id, &b->topic_id) && a->partition == b->partition &&
           a->sequence == b->sequence && a->len == b->len && a->replaced_ms == b->replaced_ms &&
           memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0;
}

/* returns false: it does not fit */
static bool object_fits_slim(const struct archive_state *state, const struct archive_object *object,
                             struct archive_slim_object *slim)
{
    const struct el_manifest_object *o = &object->now;
    bool live = o->state == EL_OBJECT_LIVE;
    *slim = (struct archive_slim_object){
        .sequence = o->sequence & 0xffffffffffff,
        .live_len = (uint32_t)(live ? object->live_len : o->replaced_ms),
        .part_count = (uint16_t)(live ? object->part_count : o->replaced_ms >> 32),
        .number = (uint32_t)o->number,
        .len = (uint32_t)o->len,
        .place = o->shard,
        .stated_parts = (uint16_t)o->part_count,
        .kind = (uint8_t)o->kind & 3,
        .state = (uint8_t)o->state & 3,
        .dirty = object->dirty,
    };
    if (o->kind == EL_PACK_SEGMENT) {
        const struct archive_partition *p = archive_state_partition(state, &o->topic_id, o->partition);
        slim->place = p == NULL ? UINT32_MAX : p->index;
    }
    memcpy(slim->sha256, o->sha256, sizeof(slim->sha256));
    struct archive_object back = object_unpack(state, slim);
    return same_object(&back, object);
}

struct archive_object archive_object_at(const struct archive_state *state, size_t index)
{
    EL_ASSERT(index < state->object_count);
    const struct archive_slim_object *slim = &state->slim_objects[index];
    return slim->whole ? *(const struct archive_object *)whole_at(slim->sha256) : object_unpack(state, slim);
}

static uint64_t number_at(const struct archive_state *state, size_t index)
{
    const struct archive_slim_object *slim = &state->slim_objects[index];
    return slim->whole ? ((const struct archive_object *)whole_at(slim->sha256))->now.number : slim->number;
}

size_t archive_object_index(const struct archive_state *state, uint64_t number)
{
    size_t low = 0, high = state->object_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (number_at(state, mid) < number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < state->object_count && number_at(state, low) == number ? low : SIZE_MAX;
}

bool archive_state_object(const struct archive_state *state, uint64_t number, struct archive_object *object)
{
    size_t index = archive_object_index(state, number);
    if (index == SIZE_MAX) {
        return false;
    }
    *object = archive_object_at(state, index);
    return true;
}

int archive_object_put(struct archive_state *state, size_t index, const struct archive_object *object)
{
    struct archive_slim_object *slim = &state->slim_objects[index], made;
    struct archive_object *whole = slim->whole ? whole_at(slim->sha256) : NULL;
    EL_ASSERT(index < state->object_count);
    if (object_fits_slim(state, object, &made)) {
        state->wide_count -= whole != NULL;
        el_free(whole);
        *slim = made;
        return 0;
    }
    if (whole == NULL) {
        whole = el_malloc(sizeof(*whole));
        if (whole == NULL) {
            return EVLOG_ERR_NO_MEMORY;
        }
        state->wide_count++;
    }
    *whole = *object;
    *slim = (struct archive_slim_object){.state = made.state, .dirty = object->dirty, .whole = 1};
    memcpy(slim->sha256, &whole, sizeof(whole));
    return 0;
}

int archive_object_add(struct archive_state *state, const struct archive_object *object)
{
    void *objects = state->slim_objects;
    int code = archive_grow(&objects, state->object_count, &state->object_max, sizeof(*state->slim_objects));
    state->slim_objects = objects;
    if (code != 0) {
        return code;
    }
    state->slim_objects[state->object_count++] = (struct archive_slim_object){.whole = 0};
    code = archive_object_put(state, state->object_count - 1, object);
    state->object_count -= code != 0;
    return code;
}

void archive_objects_forget(struct archive_state *state)
{
    size_t kept = 0;
    for (size_t i = 0; i < state->object_count; i++) {
        const struct archive_slim_object *slim = &state->slim_objects[i];
        if (slim->state != EL_OBJECT_REMOVED) {
            if (kept != i) {
                state->slim_objects[kept] = *slim;
            }
            kept++;
        } else if (slim->whole) {
            el_free(whole_at(slim->sha256));
            state->wide_count--;
        }
    }
    state->object_count = kept;
}

void archive_objects_free(struct archive_state *state)
{
    for (size_t i = 0; i < state->object_count && state->wide_count > 0; i++) {
        if (state->slim_objects[i].whole) {
            el_free(whole_at(state->slim_objects[i].sha256));
            state->wide_count--;
        }
    }
    el_free(state->slim_objects);
    state->slim_objects = NULL;
    state->object_count = state->object_max = 0;
}

/* --- as small as it can be ---------------------------------------------------------------------------------------- */

static size_t trim(void **items, size_t count, size_t max, size_t item_len)
{
    void *moved = count == max || count == 0 ? NULL : el_realloc(*items, count * item_len);
    if (moved == NULL) {
        return max;
    }
    *items = moved;
    return count;
}

void archive_state_trim(struct archive_state *state)
{
    void *items = state->slim_objects;
    state->object_max = trim(&items, state->object_count, state->object_max, sizeof(*state->slim_objects));
    state->slim_objects = items;
    for (size_t i = 0; i < state->partitions.count; i++) {
        struct archive_partition *p = state->partitions.entries[i].value;
        items = p->slim_parts;
        p->part_max = (uint32_t)trim(&items, p->part_count, p->part_max, sizeof(*p->slim_parts));
        p->slim_parts = items;
    }
}

uint64_t archive_slim_memory(const struct archive_state *state)
{
    uint64_t len = state->object_max * sizeof(*state->slim_objects) + state->wide_count * sizeof(struct archive_object);
    for (size_t i = 0; i < state->partitions.count; i++) {
        const struct archive_partition *p = state->partitions.entries[i].value;
        len += p->part_max * sizeof(*p->slim_parts) + p->wide_count * sizeof(struct el_archive_part);
    }
    return len;
}
