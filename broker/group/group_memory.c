/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory of groups: pieces of a few sizes from pools, larger ones from the shard's buddy, all counted against
 * group.memory.max with what their place in a map costs. Also the clock and the rate limit of log lines.
 */
#include <group/group_state.h>

#define NS_PER_S 1000000000u
#define LOG_PER_S_MAX 20u
#define MAP_ENTRY_LEN 64u /* what an entry of a map costs, about */

/* Before each piece of memory. */
struct piece {
    uint64_t charged;    /* bytes of the budget */
    uint64_t size_class; /* index, or GROUPS_CLASSES for a block of its own */
};
EL_STATIC_ASSERT(sizeof(struct piece) == 16, "keeps the alignment");

void *group_alloc(struct groups *gs, size_t len)
{
    uint64_t size_class = 0;
    size_t room = GROUP_CLASS_LEN_MIN;
    len += sizeof(struct piece);
    while (size_class < GROUPS_CLASSES && room < len) {
        room *= 2;
        size_class++;
    }
    if (size_class == GROUPS_CLASSES) {
        room = EL_ALIGN_UP(len, EL_BUDDY_BLOCK_MIN); /* at least; what it is will be known when it is there */
    }
    uint64_t memory_max = gs->cfg.memory_max + (gs->replacing ? gs->cfg.memory_max / 8 : 0);
    if (gs->memory_used + room + MAP_ENTRY_LEN > memory_max) {
        return NULL;
    }
    struct piece *piece = size_class < GROUPS_CLASSES ? el_pool_get(&gs->classes[size_class])
                                                      : el_buddy_alloc(gs->buddy, len);
    if (piece == NULL) {
        return NULL;
    }
    if (size_class == GROUPS_CLASSES) {
        room = el_buddy_block_len(gs->buddy, piece);
        memset(piece, 0, len);
    }
    piece->size_class = size_class;
    piece->charged = room + MAP_ENTRY_LEN;
    gs->memory_used += piece->charged;
    metrics_set(gs->metrics, METRIC_GROUP_MEMORY_BYTES, (int64_t)gs->memory_used);
    return piece + 1;
}

void group_free(struct groups *gs, void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct piece *piece = (struct piece *)memory - 1;
    EL_ASSERT(gs->memory_used >= piece->charged);
    EL_ASSERT(piece->size_class <= GROUPS_CLASSES);
    gs->memory_used -= piece->charged;
    metrics_set(gs->metrics, METRIC_GROUP_MEMORY_BYTES, (int64_t)gs->memory_used);
    if (piece->size_class < GROUPS_CLASSES) {
        el_pool_put(&gs->classes[piece->size_class], piece);
    } else {
        el_buddy_free(gs->buddy, piece);
    }
}

bool group_copy(struct groups *gs, struct el_slice in, struct el_slice *out)
{
    static const uint8_t empty[1];
    if (in.len == 0) {
        *out = in.data == NULL ? (struct el_slice){0} : el_slice_of(empty, 0);
        return true;
    }
    uint8_t *copy = group_alloc(gs, in.len);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, in.data, in.len);
    *out = el_slice_of(copy, in.len);
    return true;
}

void group_drop(struct groups *gs, struct el_slice *slice)
{
    if (slice->len > 0) {
        group_free(gs, (void *)(uintptr_t)slice->data);
    }
    *slice = (struct el_slice){0};
}

int64_t group_wall_ms(const struct groups *gs)
{
    return (int64_t)(el_clock_now(store_clock(store_shard_store(gs->shard))) / 1000000u);
}

bool group_may_log(struct groups *gs)
{
    uint64_t second = gs->io->now_ns / NS_PER_S;
    if (second != gs->log_second) {
        gs->log_second = second;
        gs->log_count = 0;
    }
    return gs->log_count++ < LOG_PER_S_MAX;
}
