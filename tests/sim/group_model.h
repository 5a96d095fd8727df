/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients were told of consumer groups, and what must therefore stay true: generations do not go back behind one
 * whose assignments were told, unless the group may have ended; a partition has one owner in a generation; a commit
 * that was acknowledged is not lost and does not go back, unless it may have been deleted or expired, and does not come
 * back after it was seen gone; one that was refused never shows.
 */
#ifndef EL_SIM_GROUP_MODEL_H
#define EL_SIM_GROUP_MODEL_H

#include "model.h"
#include "rules.h"

#define GROUP_MODELS 3u  /* the last one never has members */
#define GROUP_CROWDED 2u /* groups with members */
#define GROUP_PARTS 4u   /* that leaders hand out; they have nothing to do with topics */
#define GROUP_GENERATIONS 64u
#define GROUP_VALUES_MAX 400u

enum commit_fate {
    COMMIT_NONE,
    COMMIT_ASKED,
    COMMIT_ACKED,
    COMMIT_LOST,  /* no answer came: it may still be carried out */
    COMMIT_MAYBE, /* likewise, of an earlier life: the log has it or not, and that stays so */
    COMMIT_REFUSED,
};

/* What was committed for partition 0 of a topic: values rise by one each time. */
struct group_slot {
    uint32_t group, topic; /* whose */
    uint32_t count;        /* values used, from 1 */
    uint32_t acked;        /* greatest that was acknowledged; 0 none */
    uint32_t gone;         /* values up to this are gone: none was there */
    uint32_t dropped;      /* values up to this may have been deleted */
    uint32_t deletes;      /* deletions under way */
    bool loose;            /* a deletion without an answer may still be carried out */
    bool busy;             /* a commit is under way: two at once have no order */
    struct {
        uint64_t asked_ns;  /* by the store's clock */
        uint32_t life;      /* whose */
        uint32_t reading;   /* of the configuration, that was in force everywhere */
        uint64_t dead_step; /* from then on it is known not to be what the log says; 0 not */
        uint8_t fate;       /* enum commit_fate */
    } values[GROUP_VALUES_MAX];
};

struct group_model {
    int32_t told;         /* greatest generation whose assignments were told */
    uint32_t incarnation; /* how often it was seen to begin anew */
    struct {
        int32_t generation;
        uint64_t owner[GROUP_PARTS]; /* who was told it; 0 nobody */
    } owners[GROUP_GENERATIONS];
    struct group_slot slots[MODEL_TOPICS_MAX];
};

void group_model_init(struct group_model *g, uint32_t group);
/* A new process; lost: what its device had confirmed may be lost. */
void group_model_restart(struct group_model *g, bool lost);
/* Has another one been told a partition of this generation? */
bool group_model_conflict(const struct group_model *g, int32_t generation, uint64_t owner, uint8_t parts);
/* A member was told its assignment; told_before: model->told when it asked. */
void group_model_assigned(struct world *w, struct group_model *g, int32_t generation, int32_t told_before,
                          uint64_t owner, uint8_t parts);
/* It had ended and begins again with small numbers. */
void group_model_anew(struct world *w, struct group_model *g);

/* What was known of a slot when something was asked of it. */
struct group_slot_before {
    uint32_t acked, gone;
    uint64_t step;
};
static inline struct group_slot_before group_slot_before(const struct world *w, const struct group_slot *slot)
{
    return (struct group_slot_before){.acked = slot->acked, .gone = slot->gone, .step = w->steps};
}
/* A value to commit; 0: not now. */
uint32_t group_model_commit(struct world *w, const struct rule_book *rules, struct group_slot *slot);
/* What became of it. */
void group_model_committed(const struct world *w, struct group_slot *slot, uint32_t value, enum commit_fate fate);
/* The value that a look gave, 0 for none. */
void group_model_fetched(struct world *w, const struct rule_book *rules, struct group_slot *slot, uint32_t value,
                         struct group_slot_before before);
/* A deletion was asked for; what became of it: acknowledged, refused for certain, or neither. */
void group_model_delete(struct group_slot *slot);
void group_model_deleted(const struct world *w, struct group_slot *slot, struct group_slot_before before,
                         enum commit_fate fate);

#endif
