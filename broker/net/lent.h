/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of each shard's memory answers to each principal hold, over all shards that its connections are on: what
 * is read is in the memory of the shard whose partition it is, and several shards ask for it without knowing of each
 * other.
 *
 * A table of words that shards change without a lock. Principal and shard lead to a word by a hash; two that meet in
 * one share a limit, which with a secret in the principal's id nobody can bring about. Two shards that claim at the
 * same moment may together go over the limit by what one of them claims.
 */
#ifndef EL_NET_LENT_H
#define EL_NET_LENT_H

#include <core/assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LENT_BITS 14u

/* Zeros are an empty one. */
struct lent {
    _Atomic size_t bytes[1u << LENT_BITS];
};

/* id: of the census; place: index of the shard */
static inline _Atomic size_t *lent_at(struct lent *lent, uint64_t id, uint32_t place)
{
    uint64_t x = (id ^ (place + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    return &lent->bytes[(x ^ x >> 32) * UINT64_C(0x94d049bb133111eb) >> (64 - LENT_BITS)];
}

static inline size_t lent_bytes(struct lent *lent, uint64_t id, uint32_t place)
{
    return atomic_load_explicit(lent_at(lent, id, place), memory_order_relaxed);
}

static inline void lent_add(struct lent *lent, uint64_t id, uint32_t place, size_t len)
{
    atomic_fetch_add_explicit(lent_at(lent, id, place), len, memory_order_relaxed);
}

static inline void lent_take(struct lent *lent, uint64_t id, uint32_t place, size_t len)
{
    size_t before = atomic_fetch_sub_explicit(lent_at(lent, id, place), len, memory_order_relaxed);
    EL_ASSERT(before >= len);
}

#endif
