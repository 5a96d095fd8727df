/* SPDX-License-Identifier: Apache-2.0
 *
 * Arena over blocks of a buddy or of the heap; one thread.
 *
 * 1. an allocation takes 16-byte steps from the newest block
 * 2. when that is spent, a new block twice as large (4 KiB up to 64 KiB) becomes the newest
 * 3. an allocation of a quarter of such a block or more, that does not fit the newest, gets a block of its own behind
 *    it, so the rest of the newest block is still used
 *
 * used counts whole blocks, as the source counts them. An allocation that would pass used_max first tries a block of
 * just its size, then fails; the arena stays usable.
 */
#include <core/alloc.h>
#include <core/arena.h>
#include <core/assert.h>

#include <string.h>

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_LEN_MIN 4096u
#define ARENA_BLOCK_LEN_MAX 65536u

struct arena_block {
    struct arena_block *next;
    size_t len; /* bytes of the block, this header included */
};

EL_STATIC_ASSERT(sizeof(struct arena_block) % ARENA_ALIGN == 0, "data behind the header stays aligned");

void el_arena_init(struct el_arena *arena, struct el_buddy *buddy, size_t used_max)
{
    memset(arena, 0, sizeof(*arena));
    arena->buddy = buddy;
    arena->used_max = used_max;
}

void el_arena_init_fixed(struct el_arena *arena, void *memory, size_t len)
{
    EL_ASSERT((uintptr_t)memory % ARENA_ALIGN == 0);
    el_arena_init(arena, NULL, 1); /* a budget that no block fits into */
    arena->p = memory;
    arena->end = arena->p + len;
}

/* A block of at least len bytes within the budget, not yet linked. */
static struct arena_block *block_get(struct el_arena *arena, size_t len)
{
    size_t used_left = arena->used_max == 0 ? SIZE_MAX : arena->used_max - arena->used;
    if (arena->buddy != NULL) {
        /* The buddy hands out powers of two: ask for what is counted. */
        if (len > SIZE_MAX / 4) {
            return NULL;
        }
        len = len <= EL_BUDDY_BLOCK_MIN ? EL_BUDDY_BLOCK_MIN : (size_t)1 << (64 - __builtin_clzll(len - 1));
    }
    if (len > used_left) {
        return NULL;
    }
    struct arena_block *block = arena->buddy != NULL ? el_buddy_alloc(arena->buddy, len) : el_malloc(len);
    if (block != NULL) {
        block->len = len;
        arena->used += len;
    }
    return block;
}

static void *alloc_slow(struct el_arena *arena, size_t len)
{
    struct arena_block *newest = arena->block_list;
    size_t block_len = newest == NULL ? ARENA_BLOCK_LEN_MIN : EL_MIN(newest->len * 2, ARENA_BLOCK_LEN_MAX);
    block_len = EL_MAX(block_len, ARENA_BLOCK_LEN_MIN);
    size_t need = sizeof(struct arena_block) + len;
    bool own = len >= block_len / 4;
    struct arena_block *block = block_get(arena, own ? need : block_len);
    if (block == NULL && !own) {
        block = block_get(arena, need);
    }
    if (block == NULL) {
        return NULL;
    }
    uint8_t *data = (uint8_t *)(block + 1);
    if (own && newest != NULL) {
        block->next = newest->next;
        newest->next = block;
        return data;
    }
    block->next = newest;
    arena->block_list = block;
    arena->p = data + len;
    arena->end = (uint8_t *)block + block->len;
    return data;
}

void *el_arena_alloc(struct el_arena *arena, size_t len)
{
    if (len > SIZE_MAX / 4) {
        return NULL;
    }
    len = len == 0 ? ARENA_ALIGN : EL_ALIGN_UP(len, ARENA_ALIGN);
    if ((size_t)(arena->end - arena->p) < len) {
        return alloc_slow(arena, len);
    }
    void *data = arena->p;
    arena->p += len;
    return data;
}

void *el_arena_zalloc(struct el_arena *arena, size_t len)
{
    void *data = el_arena_alloc(arena, len);
    if (data != NULL) {
        memset(data, 0, len);
    }
    return data;
}

void *el_arena_dup(struct el_arena *arena, const void *data, size_t len)
{
    void *copy = el_arena_alloc(arena, len);
    if (copy != NULL && len > 0) {
        memcpy(copy, data, len);
    }
    return copy;
}

char *el_arena_strndup(struct el_arena *arena, const void *data, size_t len)
{
    if (len == SIZE_MAX) {
        return NULL;
    }
    char *copy = el_arena_alloc(arena, len + 1);
    if (copy == NULL) {
        return NULL;
    }
    if (len > 0) {
        memcpy(copy, data, len);
    }
    copy[len] = '\0';
    return copy;
}

void el_arena_reset(struct el_arena *arena)
{
    struct arena_block *block = arena->block_list;
    while (block != NULL) {
        struct arena_block *next = block->next;
        EL_ASSERT(arena->used >= block->len);
        arena->used -= block->len;
        if (arena->buddy != NULL) {
            el_buddy_free(arena->buddy, block);
        } else {
            el_free(block);
        }
        block = next;
    }
    EL_ASSERT(arena->used == 0);
    arena->block_list = NULL;
    arena->p = arena->end = NULL;
}
