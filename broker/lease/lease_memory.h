/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of a shard's lease tables: one budget, nodes of one size, and the index of keys that all tables share, so that
 * a table with three events costs three nodes. Nodes lie in the buddy's smallest blocks; a block goes back when its
 * last node does. A node is named by a number of 32 bits, from which its address follows. One thread.
 */
#ifndef EL_LEASE_MEMORY_H
#define EL_LEASE_MEMORY_H

#include <core/buddy.h>
#include <stdbool.h>

struct lease_memory;

/* Any 64 bits; jitter and the index's secret come from here. */
typedef uint64_t (*lease_random_fn)(void *arg);

struct lease_memory_config {
    struct el_buddy *buddy; /* borrowed; at most 256 GiB */
    uint64_t bytes_max;     /* of the budget, at least LEASE_MEMORY_MIN */
    lease_random_fn random;
    void *random_arg;
};

#define LEASE_MEMORY_MIN (64u << 10) /* the least that a budget may be, bytes */
/* While a table has at most this many events it may use the last eighth of the budget: a partition with a long queue
 * does not stop the others. */
#define LEASE_FAIR_COUNT 1024u

/* returns 0 | EVLOG_ERR_NO_MEMORY */
int lease_memory_create(const struct lease_memory_config *cfg, struct lease_memory **memory);
/* No table may be left. NULL is ignored. */
void lease_memory_destroy(struct lease_memory *memory);
/* A new bound; what is there stays, and is not grown while it is above it. */
void lease_memory_set_max(struct lease_memory *memory, uint64_t bytes_max);
/* Bytes of buddy blocks in use; never above the bound, but for what was there when the bound went down. */
uint64_t lease_memory_used(const struct lease_memory *memory);

#endif
