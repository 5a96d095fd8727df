/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes of a shard's lease tables. A chunk is one block of the buddy's smallest size:
 *
 *   0    head: its place among those with free nodes, how many are in use, the first free one
 *   48   46 nodes of 88 bytes
 *
 * A node's number is its block in the buddy's range, and in the low six bits its place + 1; so an address needs no
 * table, and 32 bits name every node of a range of 256 GiB. Free nodes of a chunk are linked through their first bytes;
 * those never used are not linked at all. A chunk goes back to the buddy when its last node does, so that what a long
 * queue took is there for everything else when it is gone.
 */
#include <evlog/error.h>
#include <lease/lease_node.h>
#include <lease/lease_table_state.h>

struct lease_chunk {
    struct el_list link; /* in memory->partial, while a node is free */
    uint16_t used;       /* nodes in use */
    uint16_t fresh;      /* nodes that were used at any time */
    uint16_t free_first; /* place + 1 of the first free one among those, 0 none */
};

EL_STATIC_ASSERT(sizeof(struct lease_chunk) <= LEASE_CHUNK_HEAD_LEN, "the head lies before the nodes");
EL_STATIC_ASSERT(LEASE_CHUNK_HEAD_LEN + LEASE_CHUNK_NODES * LEASE_NODE_LEN <= EL_BUDDY_BLOCK_MIN, "a chunk is a block");
EL_STATIC_ASSERT(LEASE_CHUNK_NODES < 1u << LEASE_ID_SLOT_BITS, "a place fits beside the block's number");

static uint32_t chunk_id(const struct lease_memory *m, const struct lease_chunk *chunk, uint32_t slot)
{
    size_t block = (size_t)((const uint8_t *)chunk - m->base) / EL_BUDDY_BLOCK_MIN;
    return (uint32_t)(block << LEASE_ID_SLOT_BITS) | (slot + 1);
}

static struct lease_chunk *chunk_of(const struct lease_memory *m, uint32_t id)
{
    return (struct lease_chunk *)(void *)(m->base + (uint64_t)(id >> LEASE_ID_SLOT_BITS) * EL_BUDDY_BLOCK_MIN);
}

int lease_memory_create(const struct lease_memory_config *cfg, struct lease_memory **memory)
{
    EL_ASSERT(cfg->buddy != NULL);
    EL_ASSERT(cfg->random != NULL);
    EL_ASSERT(cfg->buddy->len <= LEASE_BUDDY_LEN_MAX);
    EL_ASSERT(cfg->bytes_max >= LEASE_MEMORY_MIN);
    struct lease_memory *m = el_buddy_alloc(cfg->buddy, sizeof(*m));
    if (m == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    *m = (struct lease_memory){.magic = LEASE_MEMORY_MAGIC, .cfg = *cfg, .base = cfg->buddy->base};
    el_list_init(&m->partial);
    el_pool_init(&m->tables, cfg->buddy, sizeof(struct lease_table));
    int err = lease_index_init(m);
    if (err != 0) {
        el_buddy_free(cfg->buddy, m);
        return err;
    }
    *memory = m;
    return 0;
}

void lease_memory_destroy(struct lease_memory *memory)
{
    if (memory == NULL) {
        return;
    }
    OBJ_CHECK(memory, LEASE_MEMORY);
    EL_ASSERT(memory->table_count == 0);
    EL_ASSERT(memory->node_count == 0);
    lease_index_destroy(memory);
    EL_ASSERT(memory->used == 0);
    el_pool_destroy(&memory->tables);
    memory->magic = 0;
    el_buddy_free(memory->cfg.buddy, memory);
}

void lease_memory_set_max(struct lease_memory *memory, uint64_t bytes_max)
{
    OBJ_CHECK(memory, LEASE_MEMORY);
    EL_ASSERT(bytes_max >= LEASE_MEMORY_MIN);
    memory->cfg.bytes_max = bytes_max;
}

uint64_t lease_memory_used(const struct lease_memory *memory)
{
    OBJ_CHECK(memory, LEASE_MEMORY);
    return memory->used;
}

void *lease_chunk_get(struct lease_memory *m, bool small)
{
    uint64_t max = small ? m->cfg.bytes_max : m->cfg.bytes_max - m->cfg.bytes_max / 8;
    if (m->used + EL_BUDDY_BLOCK_MIN > max) {
        return NULL;
    }
    void *chunk = el_buddy_alloc(m->cfg.buddy, EL_BUDDY_BLOCK_MIN);
    if (chunk != NULL) {
        m->used += EL_BUDDY_BLOCK_MIN;
    }
    return chunk;
}

void lease_chunk_put(struct lease_memory *m, void *chunk)
{
    EL_ASSERT(m->used >= EL_BUDDY_BLOCK_MIN);
    m->used -= EL_BUDDY_BLOCK_MIN;
    el_buddy_free(m->cfg.buddy, chunk);
}

uint32_t lease_node_get(struct lease_memory *m, bool small)
{
    struct lease_chunk *chunk;
    if (el_list_empty(&m->partial)) {
        chunk = lease_chunk_get(m, small);
        if (chunk == NULL) {
            return 0;
        }
        *chunk = (struct lease_chunk){.used = 0};
        el_list_push_front(&m->partial, &chunk->link);
    } else {
        chunk = EL_CONTAINER(m->partial.next, struct lease_chunk, link);
    }
    uint32_t id;
    if (chunk->free_first != 0) {
        id = chunk_id(m, chunk, chunk->free_first - 1u);
        chunk->free_first = el_get_le16(lease_slot(m, id));
    } else {
        EL_ASSERT(chunk->fresh < LEASE_CHUNK_NODES);
        id = chunk_id(m, chunk, chunk->fresh);
        chunk->fresh++;
    }
    chunk->used++;
    if (chunk->used == LEASE_CHUNK_NODES) {
        el_list_remove(&chunk->link);
    }
    m->node_count++;
    memset(lease_slot(m, id), 0, LEASE_NODE_LEN);
    return id;
}

void lease_node_put(struct lease_memory *m, uint32_t id)
{
    struct lease_chunk *chunk = chunk_of(m, id);
    EL_ASSERT(chunk->used > 0);
    EL_ASSERT(m->node_count > 0);
    m->node_count--;
    if (chunk->used == LEASE_CHUNK_NODES) {
        el_list_push_front(&m->partial, &chunk->link);
    }
    chunk->used--;
    if (chunk->used == 0) {
        el_list_remove(&chunk->link);
        lease_chunk_put(m, chunk);
        return;
    }
#ifdef EL_DEBUG
    memset(lease_slot(m, id), 0xdb, LEASE_NODE_LEN); /* so that a use after this shows */
#endif
    el_put_le16(lease_slot(m, id), chunk->free_first);
    chunk->free_first = (uint16_t)(id & ((1u << LEASE_ID_SLOT_BITS) - 1));
}
