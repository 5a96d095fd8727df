/* SPDX-License-Identifier: Apache-2.0
 *
 * Binary buddy allocator; one shard owns it, no locks.
 *
 * 1. init reserves the range and carves it greedily into the largest aligned blocks, so any length works
 * 2. alloc takes the smallest free block that is large enough and halves it, upper halves go to the free lists
 * 3. free joins a block with its buddy as long as that one is free and of the same order
 *
 * order_of has one byte per 4 KiB: zero inside a block, order + 1 where a block starts, bit 7 when it is free. Both
 * directions cost at most EL_BUDDY_ORDERS steps. Free lists are taken from the front, the block freed last first: its
 * pages are the warm ones. Order depends only on the calls made, never on addresses.
 *
 * The pages of a freed block of 1 MiB or more go back to the kernel, so one burst does not stay resident for ever. Up
 * to a 32nd of the range (at most 16 MiB) is kept all the same: large groups and fetch answers come one after the
 * other, and faulting the same pages in again cost as much as everything else that was done with them.
 */
#include <core/assert.h>
#include <core/buddy.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#define BUDDY_FREE 0x80u
#define BUDDY_GIVE_BACK_LEN_MIN (1u << 20)
#define BUDDY_WARM_SHARE 32u
#define BUDDY_WARM_LEN_MAX (16u << 20)

EL_STATIC_ASSERT(EL_BUDDY_ORDERS < BUDDY_FREE, "order + 1 fits beside the free bit");
EL_STATIC_ASSERT(sizeof(struct el_list) <= EL_BUDDY_BLOCK_MIN, "the list node lies in the free block");

static size_t order_len(unsigned order)
{
    return (size_t)EL_BUDDY_BLOCK_MIN << order;
}

static void free_list_push(struct el_buddy *buddy, size_t index, unsigned order)
{
    struct el_list *node = (struct el_list *)(void *)(buddy->base + index * EL_BUDDY_BLOCK_MIN);
    buddy->order_of[index] = (uint8_t)(BUDDY_FREE | (order + 1));
    el_list_push_front(&buddy->free_list[order], node);
}

static void buddy_carve(struct el_buddy *buddy)
{
    size_t count = buddy->len / EL_BUDDY_BLOCK_MIN;
    size_t index = 0;
    unsigned order = EL_BUDDY_ORDERS - 1;
    while (index < count) {
        while (((size_t)1 << order) > count - index) {
            order--;
        }
        free_list_push(buddy, index, order);
        index += (size_t)1 << order;
    }
}

static void *reserve(size_t len)
{
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int el_buddy_init(struct el_buddy *buddy, size_t len, struct el_error *err)
{
    memset(buddy, 0, sizeof(*buddy));
    if (len == 0 || len > SIZE_MAX / 2) {
        return el_error_set(err, EVLOG_ERR_NO_MEMORY, "cannot reserve %zu bytes of address space", len);
    }
    buddy->len = EL_ALIGN_UP(len, EL_BUDDY_BLOCK_MIN);
    buddy->base = reserve(buddy->len);
    if (buddy->base == NULL) {
        goto fail_reserve;
    }
    buddy->order_of = reserve(buddy->len / EL_BUDDY_BLOCK_MIN);
    if (buddy->order_of == NULL) {
        goto fail_order_of;
    }
    for (unsigned i = 0; i < EL_BUDDY_ORDERS; i++) {
        el_list_init(&buddy->free_list[i]);
    }
    buddy_carve(buddy);
    return 0;

fail_order_of:
    munmap(buddy->base, buddy->len);
    buddy->base = NULL;
fail_reserve:
    return el_error_set(err, EVLOG_ERR_NO_MEMORY, "cannot reserve %zu bytes of address space: %s", len,
                        strerrordesc_np(errno));
}

void el_buddy_destroy(struct el_buddy *buddy)
{
    if (buddy->base == NULL) {
        return;
    }
    munmap(buddy->base, buddy->len);
    munmap(buddy->order_of, buddy->len / EL_BUDDY_BLOCK_MIN);
    memset(buddy, 0, sizeof(*buddy));
}

void *el_buddy_alloc(struct el_buddy *buddy, size_t len)
{
    if (len > order_len(EL_BUDDY_ORDERS - 1)) {
        return NULL;
    }
    unsigned order = 0;
    if (len > EL_BUDDY_BLOCK_MIN) {
        order = 64u - (unsigned)__builtin_clzll((len - 1) / EL_BUDDY_BLOCK_MIN);
    }
    unsigned found = order;
    while (found < EL_BUDDY_ORDERS && el_list_empty(&buddy->free_list[found])) {
        found++;
    }
    if (found == EL_BUDDY_ORDERS) {
        return NULL;
    }
    uint8_t *block = (uint8_t *)el_list_pop_front(&buddy->free_list[found]);
    size_t index = (size_t)(block - buddy->base) / EL_BUDDY_BLOCK_MIN;
    EL_ASSERT(buddy->order_of[index] == (BUDDY_FREE | (found + 1)));
    while (found > order) {
        found--;
        free_list_push(buddy, index + ((size_t)1 << found), found);
    }
    buddy->order_of[index] = (uint8_t)(order + 1);
    if (order_len(order) >= BUDDY_GIVE_BACK_LEN_MIN) {
        buddy->warm_len -= EL_MIN(buddy->warm_len, order_len(order));
    }
    buddy->used += order_len(order);
    buddy->used_max = EL_MAX(buddy->used_max, buddy->used);
    return block;
}

/* True when a large block that is freed may keep its pages. The count is an estimate: what was kept may have been split
 * or joined since, which only makes it keep less, or by one block more. */
static bool keep_warm(struct el_buddy *buddy, size_t len)
{
    if (buddy->warm_len + len > EL_MIN(buddy->len / BUDDY_WARM_SHARE, (size_t)BUDDY_WARM_LEN_MAX)) {
        return false;
    }
    buddy->warm_len += len;
    return true;
}

/* Index of a handed-out block; a pointer that is not one is a bug of the caller. */
static size_t block_index(const struct el_buddy *buddy, const void *block)
{
    size_t pos = (size_t)((const uint8_t *)block - buddy->base);
    EL_ASSERT(pos < buddy->len);
    EL_ASSERT(pos % EL_BUDDY_BLOCK_MIN == 0);
    size_t index = pos / EL_BUDDY_BLOCK_MIN;
    EL_ASSERT(buddy->order_of[index] != 0);
    EL_ASSERT((buddy->order_of[index] & BUDDY_FREE) == 0);
    return index;
}

void el_buddy_free(struct el_buddy *buddy, void *block)
{
    if (block == NULL) {
        return;
    }
    size_t index = block_index(buddy, block);
    size_t count = buddy->len / EL_BUDDY_BLOCK_MIN;
    unsigned order = buddy->order_of[index] - 1u;
    EL_ASSERT(buddy->used >= order_len(order));
    buddy->used -= order_len(order);
    if (order_len(order) >= BUDDY_GIVE_BACK_LEN_MIN && !keep_warm(buddy, order_len(order))) {
        (void)madvise(block, order_len(order), MADV_DONTNEED);
    }
    buddy->order_of[index] = 0;
    for (; order + 1 < EL_BUDDY_ORDERS; order++) {
        size_t other = index ^ (size_t)1 << order;
        if (other >= count || buddy->order_of[other] != (BUDDY_FREE | (order + 1))) {
            break;
        }
        el_list_remove((struct el_list *)(void *)(buddy->base + other * EL_BUDDY_BLOCK_MIN));
        buddy->order_of[other] = 0;
        index = EL_MIN(index, other);
    }
    free_list_push(buddy, index, order);
}

size_t el_buddy_block_len(const struct el_buddy *buddy, const void *block)
{
    return order_len(buddy->order_of[block_index(buddy, block)] - 1u);
}
