/* SPDX-License-Identifier: Apache-2.0
 *
 * What compaction remembers of keys: 128 bits of hash and the last offset of each, in a fixed block of memory. Used by
 * one thread at a time.
 */
#ifndef EL_STORAGE_COMPACT_MAP_H
#define EL_STORAGE_COMPACT_MAP_H

#include <core/bytes.h>
#include <core/hash.h>
#include <stdbool.h>

#define COMPACT_MAP_LEN_MIN 4096u

struct compact_map_place {
    struct el_hash128 hash;
    uint64_t next; /* offset + 1; 0: free */
};

struct compact_map {
    struct compact_map_place *places; /* [place_count], borrowed */
    uint32_t place_count;
    uint32_t key_count;
    uint32_t key_max; /* three quarters of the places: above it looking takes too long */
};

/* A map in memory[len], COMPACT_MAP_LEN_MIN at least. compact_map_clear(), which takes its time, comes before the first
 * put. */
void compact_map_init(struct compact_map *map, void *memory, size_t len);
void compact_map_clear(struct compact_map *map);
/* Remember that the key is at offset, which is above all before. returns false when the key is new and there is no room
 */
bool compact_map_put(struct compact_map *map, struct el_hash128 hash, int64_t offset);
/* The key's last offset, -1 none. */
int64_t compact_map_get(const struct compact_map *map, struct el_hash128 hash);

#endif
