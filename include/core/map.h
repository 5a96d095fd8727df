/* SPDX-License-Identifier: Apache-2.0
 *
 * Hash map from a byte key to a pointer, open addressing, grown at 3/4 load. The key is borrowed: it must live inside
 * the value's object as long as the entry does. Iteration order is that of insertion as long as nothing is removed;
 * removal moves the last entry into the hole. Nothing depends on pointer values, so a simulator seed replays exactly.
 * One thread.
 */
#ifndef EL_CORE_MAP_H
#define EL_CORE_MAP_H

#include <core/buddy.h>
#include <core/bytes.h>

struct el_map_entry {
    struct el_slice key; /* borrowed */
    uint64_t hash;       /* XXH3 of the key */
    void *value;         /* never NULL */
};

struct el_map {
    struct el_buddy *buddy;       /* memory source, NULL for el_malloc */
    struct el_map_entry *entries; /* [count], dense */
    uint32_t *slots;              /* [slot_count] index + 1 into entries, 0 empty */
    size_t count;
    size_t entry_max;  /* room in entries */
    size_t slot_count; /* power of two */
};

void el_map_init(struct el_map *map, struct el_buddy *buddy);
void el_map_destroy(struct el_map *map);
/* The value, or NULL. */
void *el_map_get(const struct el_map *map, const void *key, size_t key_len);
/* Add; returns 0 | EVLOG_ERR_EXISTS | EVLOG_ERR_NO_MEMORY. key is borrowed until removal. */
int el_map_put(struct el_map *map, const void *key, size_t key_len, void *value);
/* Remove; returns the value, or NULL when absent. */
void *el_map_remove(struct el_map *map, const void *key, size_t key_len);

#endif
