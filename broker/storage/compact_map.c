/* SPDX-License-Identifier: Apache-2.0 */
#include <storage/compact_map.h>

#include <core/assert.h>

void compact_map_init(struct compact_map *map, void *memory, size_t len)
{
    EL_ASSERT(len >= COMPACT_MAP_LEN_MIN);
    uint32_t count = (uint32_t)EL_MIN(len / sizeof(struct compact_map_place), (size_t)UINT32_MAX);
    *map = (struct compact_map){.places = memory, .place_count = count, .key_max = count - count / 4};
    EL_ASSERT(map->key_max < map->place_count); /* a free place ends each search */
}

void compact_map_clear(struct compact_map *map)
{
    EL_ASSERT(map->key_count == 0);
    memset(map->places, 0, map->place_count * sizeof(struct compact_map_place));
}

/* Where the key stands, or may be put. There is always a free place. */
static struct compact_map_place *place_of(const struct compact_map *map, struct el_hash128 hash)
{
    uint32_t at = (uint32_t)(((hash.low >> 32) * map->place_count) >> 32);
    for (;;) {
        struct compact_map_place *place = &map->places[at];
        if (place->next == 0 || (place->hash.low == hash.low && place->hash.high == hash.high)) {
            return place;
        }
        at = at + 1 == map->place_count ? 0 : at + 1;
    }
}

bool compact_map_put(struct compact_map *map, struct el_hash128 hash, int64_t offset)
{
    struct compact_map_place *place = place_of(map, hash);
    EL_ASSERT(offset >= 0);
    EL_ASSERT(map->key_count <= map->key_max);
    if (place->next == 0) {
        if (map->key_count == map->key_max) {
            return false;
        }
        map->key_count++;
        place->hash = hash;
    }
    EL_ASSERT(place->next <= (uint64_t)offset);
    place->next = (uint64_t)offset + 1;
    return true;
}

int64_t compact_map_get(const struct compact_map *map, struct el_hash128 hash)
{
    return map->key_count == 0 ? -1 : (int64_t)place_of(map, hash)->next - 1;
}
