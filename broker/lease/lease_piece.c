/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of work groups: pieces of a few sizes from pools, larger ones from the shard's buddy, all counted against the
 * shard's budget with what their place in a map costs. Also the clock and the rate limit of log lines.
 */
#include <lease/lease_state.h>

#define NS_PER_S 1000000000u
#define LOG_PER_S_MAX 20u
#define MAP_ENTRY_LEN 64u /* what an entry of a map costs, about */

/* Before each piece of memory. */
struct piece {
    uint64_t charged;    /* bytes of the budget */
    uint64_t size_class; /* index, or LEASE_CLASSES for a block of its own */
};
EL_STATIC_ASSERT(sizeof(struct piece) == 16, "keeps the alignment");

static void *alloc_below(struct leases *ls, size_t len, uint64_t used_max)
{
    uint64_t size_class = 0;
    size_t room = LEASE_CLASS_LEN_MIN;
    len += sizeof(struct piece);
    while (size_class < LEASE_CLASSES && room < len) {
        room *= 2;
        size_class++;
    }
    bool pooled = size_class < LEASE_CLASSES;
    room = pooled ? room : EL_ALIGN_UP(len, EL_BUDDY_BLOCK_MIN); /* what it is will be known when it is there */
    if (ls->memory_used + room + MAP_ENTRY_LEN > used_max) {
        return NULL;
    }
    struct piece *piece = pooled ? el_pool_get(&ls->classes[size_class]) : el_buddy_alloc(ls->buddy, len);
    if (piece == NULL) {
        return NULL;
    }
    if (!pooled) {
        room = el_buddy_block_len(ls->buddy, piece);
        memset(piece, 0, len);
    }
    piece->size_class = size_class;
    piece->charged = room + MAP_ENTRY_LEN;
    ls->memory_used += piece->charged;
    return piece + 1;
}

void *lease_alloc(struct leases *ls, size_t len)
{
    return alloc_below(ls, len, ls->cfg.memory_max / LEASE_PIECES_SHARE);
}

void *lease_alloc_spare(struct leases *ls, size_t len)
{
    uint64_t max = ls->cfg.memory_max / LEASE_PIECES_SHARE;
    return alloc_below(ls, len, max - max / LEASE_SPARE_SHARE);
}

void lease_free(struct leases *ls, void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct piece *piece = (struct piece *)memory - 1;
    EL_ASSERT(ls->memory_used >= piece->charged);
    EL_ASSERT(piece->size_class <= LEASE_CLASSES);
    ls->memory_used -= piece->charged;
    if (piece->size_class < LEASE_CLASSES) {
        el_pool_put(&ls->classes[piece->size_class], piece);
    } else {
        el_buddy_free(ls->buddy, piece);
    }
}

bool lease_copy(struct leases *ls, struct el_slice in, struct el_slice *out)
{
    static const uint8_t empty[1];
    if (in.len == 0) {
        *out = in.data == NULL ? (struct el_slice){0} : el_slice_of(empty, 0);
        return true;
    }
    uint8_t *copy = lease_alloc(ls, in.len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, in.data, in.len);
    *out = el_slice_of(copy, in.len);
    return true;
}

void lease_drop(struct leases *ls, struct el_slice *slice)
{
    if (slice->len > 0) {
        lease_free(ls, (void *)(uintptr_t)slice->data);
    }
    *slice = (struct el_slice){0};
}

int64_t lease_wall_ms(const struct leases *ls)
{
    return (int64_t)(el_clock_now(store_clock(store_shard_store(ls->shard))) / 1000000u);
}

bool lease_may_log(struct leases *ls)
{
    uint64_t second = ls->io->now_ns / NS_PER_S;
    if (second != ls->log_second) {
        ls->log_second = second;
        ls->log_count = 0;
    }
    return ls->log_count++ < LOG_PER_S_MAX;
}
