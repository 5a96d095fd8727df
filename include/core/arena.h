/* SPDX-License-Identifier: Apache-2.0
 *
 * Arena: many small allocations, freed at once. Takes blocks from a buddy (broker) or from the heap (client, when
 * buddy is NULL). Memory is 16-byte aligned.
 */
#ifndef EL_CORE_ARENA_H
#define EL_CORE_ARENA_H

#include <core/buddy.h>

struct el_arena {
    struct el_buddy *buddy; /* block source, NULL for el_malloc */
    void *block_list;       /* blocks in use, newest first */
    uint8_t *p, *end;       /* free bytes of the newest block */
    size_t used;            /* bytes of all blocks */
    size_t used_max;        /* bytes allowed, 0 for no limit of its own */
};

void el_arena_init(struct el_arena *arena, struct el_buddy *buddy, size_t used_max);
/* An arena in the caller's memory, aligned to 16 bytes: no more than that, and nothing to free. */
void el_arena_init_fixed(struct el_arena *arena, void *memory, size_t len);
/* len bytes, undefined / zeroed; NULL when the budget is spent. */
void *el_arena_alloc(struct el_arena *arena, size_t len);
void *el_arena_zalloc(struct el_arena *arena, size_t len);
/* Copy of len bytes; NULL when the budget is spent. */
void *el_arena_dup(struct el_arena *arena, const void *data, size_t len);
/* NUL-terminated copy. */
char *el_arena_strndup(struct el_arena *arena, const void *data, size_t len);
/* Free all blocks; the arena can be used again. */
void el_arena_reset(struct el_arena *arena);

#endif
