/* SPDX-License-Identifier: Apache-2.0
 *
 * Buddy allocator over one reserved range of address space: the memory of a shard. Blocks are powers of two from
 * EL_BUDDY_BLOCK_MIN. Pages are touched on use; large freed blocks are given back to the kernel. One thread.
 */
#ifndef EL_CORE_BUDDY_H
#define EL_CORE_BUDDY_H

#include <core/err.h>
#include <core/list.h>
#include <stddef.h>
#include <stdint.h>

#define EL_BUDDY_BLOCK_MIN 4096u
#define EL_BUDDY_ORDERS 28 /* 4 KiB << 27 = 512 GiB */

struct el_buddy {
    uint8_t *base;                             /* start of the range, aligned to EL_BUDDY_BLOCK_MIN */
    size_t len;                                /* bytes of the range, a multiple of EL_BUDDY_BLOCK_MIN */
    size_t used;                               /* bytes in handed-out blocks */
    size_t used_max;                           /* the most that used has been */
    size_t warm_len;                           /* of large blocks freed whose pages were kept, about */
    uint8_t *order_of;                         /* [len / block] order + 1 of the block that starts there; bit 7: free */
    struct el_list free_list[EL_BUDDY_ORDERS]; /* free blocks by order; the node lies in the block */
};

/* Reserve len bytes (rounded up) with mmap. returns 0 | EVLOG_ERR_NO_MEMORY */
int el_buddy_init(struct el_buddy *buddy, size_t len, struct el_error *err);
/* Unmap everything. Blocks still handed out become invalid. */
void el_buddy_destroy(struct el_buddy *buddy);
/* A block of at least len bytes, 4 KiB aligned, contents undefined; NULL when the range has no such block. */
void *el_buddy_alloc(struct el_buddy *buddy, size_t len);
/* Give a block back; NULL is ignored. */
void el_buddy_free(struct el_buddy *buddy, void *block);
/* Usable bytes of a handed-out block. */
size_t el_buddy_block_len(const struct el_buddy *buddy, const void *block);

#endif
