/* SPDX-License-Identifier: Apache-2.0 */
#include <core/alloc.h>
#include <core/assert.h>
#include <core/pool.h>

#include <string.h>

#define POOL_ALIGN 16u
#define POOL_BLOCK_ITEMS_MIN 8u /* items a block should hold, so that one block pays for its rounding */

/* First word of a free item, and of a block. */
struct pool_link {
    struct pool_link *next;
};

void el_pool_init(struct el_pool *pool, struct el_buddy *buddy, size_t item_len)
{
    EL_ASSERT(item_len > 0);
    EL_ASSERT(item_len <= SIZE_MAX / 64);
    memset(pool, 0, sizeof(*pool));
    pool->buddy = buddy;
    pool->item_len = EL_ALIGN_UP(item_len, POOL_ALIGN);
    pool->block_len = EL_BUDDY_BLOCK_MIN;
    while (pool->block_len < POOL_ALIGN + pool->item_len * POOL_BLOCK_ITEMS_MIN) {
        pool->block_len *= 2;
    }
}

/* Take one more block and put its items on the free list, lowest address first out. */
static bool pool_grow(struct el_pool *pool)
{
    uint8_t *block = pool->buddy != NULL ? el_buddy_alloc(pool->buddy, pool->block_len) : el_malloc(pool->block_len);
    if (block == NULL) {
        return false;
    }
    struct pool_link *head = (struct pool_link *)(void *)block;
    head->next = pool->block_list;
    pool->block_list = head;
    for (size_t i = (pool->block_len - POOL_ALIGN) / pool->item_len; i > 0; i--) {
        struct pool_link *item = (struct pool_link *)(void *)(block + POOL_ALIGN + (i - 1) * pool->item_len);
        item->next = pool->free_list;
        pool->free_list = item;
        pool->item_count++;
    }
    return true;
}

void *el_pool_get(struct el_pool *pool)
{
    if (pool->free_list == NULL && !pool_grow(pool)) {
        return NULL;
    }
    struct pool_link *item = pool->free_list;
    pool->free_list = item->next;
    pool->count++;
    memset(item, 0, pool->item_len);
    return item;
}

bool el_pool_hold(struct el_pool *pool, size_t count)
{
    EL_ASSERT(pool->item_count >= pool->count);
    while (pool->item_count - pool->count < count) {
        if (!pool_grow(pool)) {
            return false;
        }
    }
    return true;
}

void el_pool_put(struct el_pool *pool, void *item)
{
    if (item == NULL) {
        return;
    }
    EL_ASSERT(pool->count > 0);
#ifdef EL_DEBUG
    memset(item, 0xdb, pool->item_len); /* so that a use after this shows, magic fields first */
#endif
    struct pool_link *link = item;
    link->next = pool->free_list;
    pool->free_list = link;
    pool->count--;
}

void el_pool_destroy(struct el_pool *pool)
{
    struct pool_link *block = pool->block_list;
    while (block != NULL) {
        struct pool_link *next = block->next;
        if (pool->buddy != NULL) {
            el_buddy_free(pool->buddy, block);
        } else {
            el_free(block);
        }
        block = next;
    }
    pool->block_list = NULL;
    pool->free_list = NULL;
    pool->count = 0;
    pool->item_count = 0;
}
