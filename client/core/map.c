/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map: a dense array of entries in insertion order, and a table of slots that hold index + 1 into it. Linear
 * probing; a removal shifts the following slots back, so there are no tombstones and a lookup ends at the first empty
 * slot. One thread.
 *
 * Growth takes both arrays anew before anything is changed: when memory is short the put fails and the map is as
 * before.
 */
#include <core/alloc.h>
#include <core/assert.h>
#include <core/hash.h>
#include <core/map.h>
#include <evlog/error.h>

#define MAP_SLOTS_FIRST_HEAP 16u
#define MAP_SLOTS_FIRST_BUDDY 128u /* 96 entries of 32 bytes fit into the buddy's smallest block */
#define MAP_SLOTS_MAX (1u << 31)   /* slots hold 32-bit indices */

EL_STATIC_ASSERT(sizeof(struct el_map_entry) * MAP_SLOTS_FIRST_BUDDY * 3 / 4 <= EL_BUDDY_BLOCK_MIN, "one block");

static void *map_memory_get(struct el_map *map, size_t len)
{
    return map->buddy != NULL ? el_buddy_alloc(map->buddy, len) : el_malloc(len);
}

static void map_memory_put(struct el_map *map, void *memory)
{
    if (map->buddy != NULL) {
        el_buddy_free(map->buddy, memory);
    } else {
        el_free(memory);
    }
}

void el_map_init(struct el_map *map, struct el_buddy *buddy)
{
    memset(map, 0, sizeof(*map));
    map->buddy = buddy;
}

void el_map_destroy(struct el_map *map)
{
    map_memory_put(map, map->entries);
    map_memory_put(map, map->slots);
    el_map_init(map, map->buddy);
}

/* Slot that holds the key, or the empty one where the search ended. The table is never full. */
static size_t slot_find(const struct el_map *map, struct el_slice key, uint64_t hash)
{
    size_t mask = map->slot_count - 1;
    size_t slot = (size_t)hash & mask;
    while (map->slots[slot] != 0) {
        const struct el_map_entry *entry = &map->entries[map->slots[slot] - 1];
        if (entry->hash == hash && el_slice_eq(entry->key, key)) {
            break;
        }
        slot = (slot + 1) & mask;
    }
    return slot;
}

void *el_map_get(const struct el_map *map, const void *key, size_t key_len)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t slot = slot_find(map, el_slice_of(key, key_len), el_xxh3(key, key_len));
    return map->slots[slot] == 0 ? NULL : map->entries[map->slots[slot] - 1].value;
}

static int map_grow(struct el_map *map)
{
    size_t slot_count = map->slot_count * 2;
    if (slot_count == 0) {
        slot_count = map->buddy != NULL ? MAP_SLOTS_FIRST_BUDDY : MAP_SLOTS_FIRST_HEAP;
    }
    if (slot_count > MAP_SLOTS_MAX) {
        return EVLOG_ERR_NO_MEMORY;
    }
    size_t entry_max = slot_count / 4 * 3;
    uint32_t *slots = map_memory_get(map, slot_count * sizeof(*slots));
    if (slots == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    struct el_map_entry *entries = map_memory_get(map, entry_max * sizeof(*entries));
    if (entries == NULL) {
        map_memory_put(map, slots);
        return EVLOG_ERR_NO_MEMORY;
    }
    memset(slots, 0, slot_count * sizeof(*slots));
    for (size_t i = 0; i < map->count; i++) {
        entries[i] = map->entries[i];
        size_t slot = (size_t)entries[i].hash & (slot_count - 1);
        while (slots[slot] != 0) {
            slot = (slot + 1) & (slot_count - 1);
        }
        slots[slot] = (uint32_t)(i + 1);
    }
    map_memory_put(map, map->entries);
    map_memory_put(map, map->slots);
    map->entries = entries;
    map->slots = slots;
    map->entry_max = entry_max;
    map->slot_count = slot_count;
    return 0;
}

int el_map_put(struct el_map *map, const void *key, size_t key_len, void *value)
{
    EL_ASSERT(value != NULL);
    struct el_slice slice = el_slice_of(key, key_len);
    uint64_t hash = el_xxh3(key, key_len);
    if (map->count > 0 && map->slots[slot_find(map, slice, hash)] != 0) {
        return EVLOG_ERR_EXISTS;
    }
    if (map->count == map->entry_max) {
        int err = map_grow(map);
        if (err != 0) {
            return err;
        }
    }
    size_t slot = slot_find(map, slice, hash);
    EL_ASSERT(map->slots[slot] == 0);
    map->entries[map->count] = (struct el_map_entry){slice, hash, value};
    map->count++;
    map->slots[slot] = (uint32_t)map->count;
    return 0;
}

/* Empty a slot and move back every following one that would no longer be reached from its home. */
static void slot_clear(struct el_map *map, size_t hole)
{
    size_t mask = map->slot_count - 1;
    for (size_t slot = (hole + 1) & mask; map->slots[slot] != 0; slot = (slot + 1) & mask) {
        size_t home = (size_t)map->entries[map->slots[slot] - 1].hash & mask;
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            map->slots[hole] = map->slots[slot];
            hole = slot;
        }
    }
    map->slots[hole] = 0;
}

void *el_map_remove(struct el_map *map, const void *key, size_t key_len)
{
    if (map->count == 0) {
        return NULL;
    }
    size_t slot = slot_find(map, el_slice_of(key, key_len), el_xxh3(key, key_len));
    if (map->slots[slot] == 0) {
        return NULL;
    }
    size_t index = map->slots[slot] - 1;
    void *value = map->entries[index].value;
    slot_clear(map, slot);
    map->count--;
    if (index != map->count) {
        struct el_map_entry *last = &map->entries[map->count];
        size_t last_slot = slot_find(map, last->key, last->hash);
        EL_ASSERT(map->slots[last_slot] == map->count + 1);
        map->slots[last_slot] = (uint32_t)(index + 1);
        map->entries[index] = *last;
    }
    return value;
}
