/* SPDX-License-Identifier: Apache-2.0
 *
 * Fixed-size objects carved from buddy blocks (heap when buddy is NULL). Blocks stay with the pool until it is
 * destroyed. One thread.
 */
#ifndef EL_CORE_POOL_H
#define EL_CORE_POOL_H

#include <core/buddy.h>
#include <stdbool.h>

struct el_pool {
    struct el_buddy *buddy; /* block source, NULL for el_malloc */
    size_t item_len;        /* bytes of an item, 16-byte multiple */
    size_t block_len;       /* bytes of a block */
    void *free_list;        /* free items, linked through their first word */
    void *block_list;       /* all blocks */
    size_t count;           /* items handed out */
    size_t item_count;      /* items in all blocks */
};

void el_pool_init(struct el_pool *pool, struct el_buddy *buddy, size_t item_len);
/* A zeroed item, or NULL when the budget is spent. */
void *el_pool_get(struct el_pool *pool);
/* Have at least count items free, for calls of el_pool_get() that must not fail. returns false: the budget is spent */
bool el_pool_hold(struct el_pool *pool, size_t count);
void el_pool_put(struct el_pool *pool, void *item);
void el_pool_destroy(struct el_pool *pool);

#endif
