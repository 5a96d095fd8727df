/* SPDX-License-Identifier: Apache-2.0
 *
 * Blocks of recent batches. A block is one buddy allocation: header, then entries back to back. An entry is dead when
 * its part is NULL; a block whose entries are all dead is freed, unless it is the one being filled.
 */
#include <storage/tail.h>

#include <core/assert.h>
#include <core/bytes.h>

#define TAIL_BLOCK_LEN (256u << 10)
#define ENTRY_ALIGN 16u

struct tail_block {
    struct el_list link;
    uint32_t len; /* bytes of data */
    uint32_t used;
    uint32_t live; /* entries that are not dead */
    uint32_t pad;
    _Alignas(ENTRY_ALIGN) uint8_t data[];
};

static size_t entry_len(uint32_t batch_len)
{
    return EL_ALIGN_UP(sizeof(struct batch_entry) + batch_len, ENTRY_ALIGN);
}

void tail_init(struct tail *tail, struct el_buddy *buddy, uint64_t bytes_max)
{
    *tail = (struct tail){.buddy = buddy, .bytes_max = bytes_max};
    el_list_init(&tail->blocks);
}

static void block_free(struct tail *tail, struct tail_block *block)
{
    el_list_remove(&block->link);
    EL_ASSERT(tail->bytes >= block->len);
    tail->bytes -= block->len;
    el_buddy_free(tail->buddy, block);
}

void tail_destroy(struct tail *tail)
{
    while (!el_list_empty(&tail->blocks)) {
        block_free(tail, EL_CONTAINER(tail->blocks.next, struct tail_block, link));
    }
    EL_ASSERT(tail->bytes == 0);
}

struct batch_entry *tail_add(struct tail *tail, uint32_t batch_len)
{
    size_t need = entry_len(batch_len);
    struct tail_block *block = NULL;
    if (!el_list_empty(&tail->blocks)) {
        block = EL_CONTAINER(tail->blocks.prev, struct tail_block, link);
    }
    if (block == NULL || block->len - block->used < need) {
        size_t want = EL_MAX((size_t)TAIL_BLOCK_LEN, need + sizeof(struct tail_block));
        struct tail_block *fresh = el_buddy_alloc(tail->buddy, want);
        while (fresh == NULL && want / 2 >= need + sizeof(struct tail_block)) { /* what is left may be in pieces */
            want /= 2;
            fresh = el_buddy_alloc(tail->buddy, want);
        }
        if (fresh == NULL) {
            return NULL;
        }
        if (block != NULL && block->live == 0) {
            block_free(tail, block);
        }
        block = fresh;
        block->len = (uint32_t)(el_buddy_block_len(tail->buddy, block) - sizeof(struct tail_block));
        block->used = 0;
        block->live = 0;
        el_list_push_back(&tail->blocks, &block->link);
        tail->bytes += block->len;
    }
    EL_ASSERT(block->len - block->used >= need);
    EL_ASSERT(block->used % ENTRY_ALIGN == 0);
    struct batch_entry *entry = (struct batch_entry *)(void *)(block->data + block->used);
    memset(entry, 0, sizeof(*entry));
    el_list_init(&entry->link);
    entry->block = block;
    entry->len = batch_len;
    block->used += (uint32_t)need;
    block->live++;
    return entry;
}

/* The entry leaves: nothing may find it any more. */
static void bookmark_clear(struct batch_entry *entry)
{
    if (entry->bookmark != NULL) {
        EL_ASSERT(*entry->bookmark == entry);
        *entry->bookmark = NULL;
        entry->bookmark = NULL;
    }
}

void tail_drop(struct tail *tail, struct batch_entry *entry)
{
    struct tail_block *block = entry->block;
    EL_ASSERT(block->live > 0);
    EL_ASSERT(el_list_empty(&entry->link));
    EL_ASSERT(entry->part != NULL); /* dropped once */
    bookmark_clear(entry);
    entry->part = NULL;
    entry->group_next = NULL;
    block->live--;
    if (block->live == 0 && &block->link != tail->blocks.prev) {
        block_free(tail, block);
    }
}

/* True when every live entry may go; then all of them are unlinked and the block is freed. */
static bool block_evict(struct tail *tail, struct tail_block *block)
{
    for (uint32_t pos = 0; pos < block->used;) {
        struct batch_entry *entry = (struct batch_entry *)(void *)(block->data + pos);
        if (entry->part != NULL && !entry->in_segment) {
            return false;
        }
        pos += (uint32_t)entry_len(entry->len);
    }
    for (uint32_t pos = 0; pos < block->used;) {
        struct batch_entry *entry = (struct batch_entry *)(void *)(block->data + pos);
        if (entry->part != NULL) {
            EL_ASSERT(block->live > 0);
            EL_ASSERT(!entry->planned); /* no job reads it */
            bookmark_clear(entry);
            el_list_remove(&entry->link);
            block->live--;
        }
        pos += (uint32_t)entry_len(entry->len);
    }
    EL_ASSERT(block->live == 0);
    block_free(tail, block);
    return true;
}

bool tail_evict(struct tail *tail, uint64_t bytes_max)
{
    while (tail->bytes > bytes_max && !el_list_empty(&tail->blocks)) {
        struct tail_block *block = EL_CONTAINER(tail->blocks.next, struct tail_block, link);
        if (block->live > 0 && !block_evict(tail, block)) {
            return true;
        }
        if (el_list_empty(&tail->blocks)) {
            break;
        }
        block = EL_CONTAINER(tail->blocks.next, struct tail_block, link);
        if (block->live == 0) {
            if (&block->link == tail->blocks.prev) {
                break;
            }
            block_free(tail, block);
        }
    }
    return false;
}
