/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of the lease tables: nodes of 88 bytes, the trees that they form, and the index of keys. Everything that a
 * table keeps for long is a node, so that one budget and one free list serve all of it:
 *
 *   an unfinished event      in the tree of its table by offset, chained to the next event of its key
 *   a block of progress      in the tree of its table by number
 *   a hash of parked keys    in the tree of its table by hash
 *   runs of a restored block a list behind the block's node (lease_set.h), in no tree
 *
 * Trees are balanced (AVL), with the way up in each node. A node knows of its subtree which states occur in it and when
 * the first of its timers ends. So "the lowest offset that is ready" and "the lease that ends first" are walks down,
 * and there are no queues beside the tree that would have to be kept in step. A change of state walks up only as far as
 * it changes what is known there.
 */
#ifndef EL_LEASE_NODE_H
#define EL_LEASE_NODE_H

#include <core/assert.h>
#include <core/pool.h>
#include <lease/lease_memory.h>
#include <lease/lease_table.h>

#define LEASE_NODE_LEN 88u
#define LEASE_CHUNK_HEAD_LEN 48u
#define LEASE_CHUNK_NODES 46u
#define LEASE_ID_SLOT_BITS 6u
#define LEASE_WALL_NEVER ((1ull << 48) - 1)
#define LEASE_BUDDY_LEN_MAX (1ull << (32 - LEASE_ID_SLOT_BITS + 12))

/* What a node is, one bit each: entries have one by their state, blocks any of theirs. */
#define LEASE_BIT(state) (1u << (state))
#define LEASE_BLOCK_DIRTY (1u << 12)   /* to be written */
#define LEASE_BLOCK_WRITING (1u << 13) /* part of the write that is under way */
#define LEASE_BLOCK_RUNS (1u << 14)    /* has restored runs that were not read yet */
#define LEASE_BLOCK_STORED (1u << 15)  /* may have a record */
#define LEASE_BITS_MONO (LEASE_BIT(LEASE_STATE_LEASED) | LEASE_BIT(LEASE_STATE_BACKOFF))
#define LEASE_BITS_WALL LEASE_BIT(LEASE_STATE_DELAYED)

/* Entries and blocks are in trees of their own, so that some states have the same bits as blocks; but not those states
 * that have a time. */
EL_STATIC_ASSERT(LEASE_STATE_COUNT <= 16, "states fit into 16 bits");
EL_STATIC_ASSERT((LEASE_BITS_MONO | LEASE_BITS_WALL) < LEASE_BLOCK_DIRTY, "a block has no time");

struct lease_node {
    int64_t at;             /* what the tree is sorted by: offset, block number, hash */
    uint64_t mono_min;      /* subtree: when the first lease or backoff ends, LEASE_NEVER none */
    uint64_t wall_min : 48; /* subtree: when the first delay ends, LEASE_WALL_NEVER none */
    uint64_t below : 16;    /* subtree: the bits that occur */
    uint32_t left, right, parent;
    uint16_t own;   /* its own bits */
    uint8_t height; /* of the subtree, 1 a leaf */
    uint8_t death;  /* entry: enum lease_death, or LEASE_NODE_... */
    union {
        struct {
            uint64_t due;            /* leased, backoff: mono ns; delayed, waiting: not before, wall ms, 0 none */
            uint64_t append_ms : 48; /* for its age */
            uint64_t attempts : 16;  /* deliveries, 0 .. LEASE_ATTEMPTS_MAX */
            uint64_t key_hash;
            union {
                uint64_t session; /* leased */
                uint64_t checked; /* else: parked hashes up to this count were looked at, 0 none */
            };
            uint32_t key_next; /* next event of the key, 0 none */
            union {
                uint32_t key_tail; /* first of its key: the last one, itself when alone */
                uint32_t key_rank; /* others: their place, counted from anywhere */
            };
            uint32_t bucket_next; /* first of its key: next in the bucket of the index */
            uint32_t table;       /* number of its table: the index is shared */
        };
        struct {
            uint32_t runs; /* block: first node of its restored runs, 0 none */
            uint32_t runs_tail;
            uint32_t fresh; /* place: from there on each offset that was read has an entry that was never delivered */
        };
        struct {
            uint64_t park_from; /* parked hash: the count of parkings when it was parked last */
            uint32_t park_count;
        };
    };
};
EL_STATIC_ASSERT(sizeof(struct lease_node) == LEASE_NODE_LEN, "what an entry costs is promised");
#define LEASE_NODE_EMITS 0xffu /* done before a restart, but for what it has emitted */
#define LEASE_NODE_LOOSE 0xfeu /* it settles, and is not among the events of its key any more */

struct lease_index {
    uint32_t **pages;      /* [page_max] of 1,024 buckets */
    uint32_t page_max;     /* room in pages */
    uint32_t base;         /* buckets when the present round of splitting began, a power of two */
    uint32_t bucket_count; /* base .. 2 * base */
    uint32_t count;        /* keys */
    uint64_t secret;       /* mixed into hashes: nobody outside can aim at a bucket */
};

struct lease_memory {
    uint32_t magic;
    uint32_t table_last; /* number given last */
    uint32_t table_count;
    uint32_t node_count;
    struct lease_memory_config cfg;
    uint8_t *base;          /* of the buddy's range */
    uint64_t used;          /* bytes */
    struct el_list partial; /* chunks with free nodes */
    struct el_pool tables;
    struct lease_index index;
};
#define LEASE_MEMORY_MAGIC OBJ_MAGIC('L', 'm', 'e', 'm')

/* --- nodes -------------------------------------------------------------------------------------------------------- */

/* The node of a number; id not 0. */
static inline void *lease_slot(const struct lease_memory *m, uint32_t id)
{
    EL_DEBUG_ASSERT((id & 63u) >= 1 && (id & 63u) <= LEASE_CHUNK_NODES);
    return m->base + (uint64_t)(id >> LEASE_ID_SLOT_BITS) * EL_BUDDY_BLOCK_MIN + LEASE_CHUNK_HEAD_LEN +
           (size_t)((id & 63u) - 1) * LEASE_NODE_LEN;
}
static inline struct lease_node *lease_node(const struct lease_memory *m, uint32_t id)
{
    return lease_slot(m, id);
}
/* A zeroed node | 0: the budget is used up. small: the last eighth may be used. */
uint32_t lease_node_get(struct lease_memory *m, bool small);
void lease_node_put(struct lease_memory *m, uint32_t id);
/* One of the buddy's smallest blocks, counted | NULL: no budget or memory. */
void *lease_chunk_get(struct lease_memory *m, bool small);
void lease_chunk_put(struct lease_memory *m, void *chunk);

/* --- trees: root 0 is an empty one -------------------------------------------------------------------------------- */

/* The node at exactly that place | 0 */
uint32_t lease_tree_find(const struct lease_memory *m, uint32_t root, int64_t at);
/* The first node at or behind it | 0 */
uint32_t lease_tree_ceil(const struct lease_memory *m, uint32_t root, int64_t at);
uint32_t lease_tree_first(const struct lease_memory *m, uint32_t root);
/* The node behind this one | 0 */
uint32_t lease_tree_next(const struct lease_memory *m, uint32_t id);
/* The first node that has one of the bits | 0 */
uint32_t lease_tree_first_of(const struct lease_memory *m, uint32_t root, uint32_t bits);
/* The same, among those behind this node. */
uint32_t lease_tree_next_of(const struct lease_memory *m, uint32_t id, uint32_t bits);
/* The node whose timer on the monotonic (wall) clock ends first, the lowest of several | 0: none ends by then */
uint32_t lease_tree_due_mono(const struct lease_memory *m, uint32_t root, uint64_t by_ns);
uint32_t lease_tree_due_wall(const struct lease_memory *m, uint32_t root, int64_t by_ms);
/* No node may be at its place yet. */
void lease_tree_insert(struct lease_memory *m, uint32_t *root, uint32_t id);
void lease_tree_remove(struct lease_memory *m, uint32_t *root, uint32_t id);
/* The node's own bits or timer have changed. */
void lease_tree_refresh(struct lease_memory *m, uint32_t id);

/* --- index: the first unfinished event of each key, of all tables ------------------------------------------------- */

/* returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_index_init(struct lease_memory *m);
void lease_index_destroy(struct lease_memory *m);
/* The first event of the key | 0 */
uint32_t lease_index_find(const struct lease_memory *m, uint32_t table, uint64_t key_hash);
/* The key may not have one yet. Cannot fail: without memory buckets become longer. */
void lease_index_put(struct lease_memory *m, uint32_t id);
void lease_index_remove(struct lease_memory *m, uint32_t id);
/* Another event of the same key takes the place. */
void lease_index_replace(struct lease_memory *m, uint32_t id, uint32_t other);

#endif
