/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients were told of consumer groups, and what must therefore stay true: generations do not go back behind one
 * whose assignments were told, a partition has one owner in a generation, a commit that was acknowledged is not lost
 * and does not go back, one that was refused never shows.
 */
#ifndef EL_SIM_GROUP_MODEL_H
#define EL_SIM_GROUP_MODEL_H

#include "model.h"

#define GROUP_MODELS 2u
#define GROUP_PARTS 4u /* that leaders hand out; they have nothing to do with topics */
#define GROUP_GENERATIONS 64u
#define GROUP_VALUES_MAX 400u

enum commit_fate { COMMIT_NONE, COMMIT_ASKED, COMMIT_ACKED, COMMIT_LOST, COMMIT_REFUSED };

/* What was committed for partition 0 of a topic: values rise by one each time. */
struct group_slot {
    uint32_t count;                 /* values used, from 1 */
    uint32_t acked;                 /* greatest that was acknowledged; 0 none */
    bool busy;                      /* one is under way: two at once have no order */
    uint8_t fate[GROUP_VALUES_MAX]; /* enum commit_fate, by value */
};

struct group_model {
    int32_t told; /* greatest generation whose assignments were told */
    struct {
        int32_t generation;
        uint64_t owner[GROUP_PARTS]; /* who was told it; 0 nobody */
    } owners[GROUP_GENERATIONS];
    struct group_slot slots[MODEL_TOPICS_MAX];
};

/* A member was told its assignment; told_before: model->told when it asked. */
void group_model_assigned(struct world *w, struct group_model *g, int32_t generation, int32_t told_before,
                          uint64_t owner, uint8_t parts);
/* A value to commit; 0: not now. */
uint32_t group_model_commit(struct group_slot *slot);
/* What became of it. */
void group_model_committed(struct group_slot *slot, uint32_t value, enum commit_fate fate);
/* The value that a fetch gave, 0 for none; acked_before: slot->acked when it was asked. */
void group_model_fetched(struct world *w, struct group_slot *slot, uint32_t value, uint32_t acked_before);

#endif
