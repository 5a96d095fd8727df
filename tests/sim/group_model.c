/* SPDX-License-Identifier: Apache-2.0
 *
 * See group_model.h.
 */
#include "group_model.h"

#include <core/assert.h>

void group_model_assigned(struct world *w, struct group_model *g, int32_t generation, int32_t told_before,
                          uint64_t owner, uint8_t parts)
{
    uint32_t place = (uint32_t)generation % GROUP_GENERATIONS;
    if (generation < told_before) {
        world_violation(w, "a member was told its assignment in generation %d after %d", generation, told_before);
        return;
    }
    g->told = EL_MAX(g->told, generation);
    if (g->owners[place].generation != generation) {
        if (g->owners[place].generation > generation) {
            return; /* so long ago that it is forgotten */
        }
        memset(&g->owners[place], 0, sizeof(g->owners[place]));
        g->owners[place].generation = generation;
    }
    for (uint32_t i = 0; i < GROUP_PARTS; i++) {
        uint64_t *known = &g->owners[place].owner[i];
        if ((parts >> i & 1) == 0) {
            continue;
        }
        if (*known != 0 && *known != owner) {
            world_violation(w, "generation %d: partition %u has two owners", generation, i);
        }
        *known = owner;
    }
}

uint32_t group_model_commit(struct group_slot *slot)
{
    if (slot->busy || slot->count + 1 >= GROUP_VALUES_MAX) {
        return 0;
    }
    slot->busy = true;
    slot->count++;
    slot->fate[slot->count] = COMMIT_ASKED;
    return slot->count;
}

void group_model_committed(struct group_slot *slot, uint32_t value, enum commit_fate fate)
{
    EL_ASSERT(slot->fate[value] == COMMIT_ASKED);
    slot->fate[value] = (uint8_t)fate;
    slot->busy = false;
    if (fate == COMMIT_ACKED) {
        slot->acked = EL_MAX(slot->acked, value);
    }
}

void group_model_fetched(struct world *w, struct group_slot *slot, uint32_t value, uint32_t acked_before)
{
    if (value > slot->count) {
        world_violation(w, "offset %u is told, which nobody committed", value);
    } else if (value != 0 && slot->fate[value] == COMMIT_REFUSED) {
        world_violation(w, "offset %u is told, which was refused", value);
    } else if (value < acked_before && (value == 0 || slot->fate[value] != COMMIT_LOST)) {
        world_violation(w, "offset %u is told after %u was acknowledged", value, acked_before);
    }
}
