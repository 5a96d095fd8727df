/* SPDX-License-Identifier: Apache-2.0
 *
 * See group_model.h.
 */
#include "group_model.h"

#include <core/assert.h>

#define MS_PER_MINUTE 60000

/* A line of the story: the group's number and the topic's as one. */
static void slot_say(const struct world *w, const struct group_slot *slot, const char *what, uint32_t value)
{
    world_say(w, what, (long long)(slot->group * 100 + slot->topic), value);
}

void group_model_init(struct group_model *g, uint32_t group)
{
    for (uint32_t i = 0; i < MODEL_TOPICS_MAX; i++) {
        g->slots[i].group = group;
        g->slots[i].topic = i;
    }
}

/* --- generations -------------------------------------------------------------------------------------------------- */

static void generations_forget(struct group_model *g)
{
    g->told = 0;
    memset(g->owners, 0, sizeof(g->owners));
    g->incarnation++;
}

void group_model_anew(struct world *w, struct group_model *g)
{
    w->events[EVENT_GROUP_ANEW]++;
    generations_forget(g);
}

bool group_model_conflict(const struct group_model *g, int32_t generation, uint64_t owner, uint8_t parts)
{
    uint32_t place = (uint32_t)generation % GROUP_GENERATIONS;
    for (uint32_t i = 0; i < GROUP_PARTS && g->owners[place].generation == generation; i++) {
        uint64_t known = g->owners[place].owner[i];
        if ((parts >> i & 1) != 0 && known != 0 && known != owner) {
            return true;
        }
    }
    return false;
}

void group_model_assigned(struct world *w, struct group_model *g, int32_t generation, int32_t told_before,
                          uint64_t owner, uint8_t parts)
{
    uint32_t place = (uint32_t)generation % GROUP_GENERATIONS;
    if (generation < told_before) {
        world_violation(w, "a member was told its assignment in generation %d after %d", generation, told_before);
        return;
    }
    if (group_model_conflict(g, generation, owner, parts)) {
        world_violation(w, "generation %d: a partition has two owners", generation);
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
        if ((parts >> i & 1) != 0) {
            g->owners[place].owner[i] = owner;
        }
    }
}

/* --- commits ------------------------------------------------------------------------------------------------------ */

static void slot_restart(struct group_slot *slot, bool lost)
{
    EL_ASSERT(!slot->busy);
    EL_ASSERT(slot->deletes == 0);
    slot->dropped = slot->loose ? slot->count : slot->dropped;
    slot->loose = false;
    if (lost) {
        slot->acked = slot->gone = slot->dropped = 0;
    }
    for (uint32_t i = 1; i <= slot->count; i++) {
        uint8_t fate = slot->values[i].fate;
        bool may_be = fate == COMMIT_LOST || (lost && fate == COMMIT_ACKED);
        slot->values[i].fate = may_be ? COMMIT_MAYBE : fate;
        slot->values[i].dead_step = lost ? 0 : slot->values[i].dead_step;
    }
}

void group_model_restart(struct group_model *g, bool lost)
{
    if (lost) {
        generations_forget(g);
    }
    for (uint32_t i = 0; i < MODEL_TOPICS_MAX; i++) {
        slot_restart(&g->slots[i], lost);
    }
}

uint32_t group_model_commit(struct world *w, const struct rule_book *rules, struct group_slot *slot)
{
    if (slot->busy || slot->count + 1 >= GROUP_VALUES_MAX) {
        return 0;
    }
    slot->busy = true;
    slot->count++;
    slot->values[slot->count].fate = COMMIT_ASKED;
    slot->values[slot->count].asked_ns = el_clock_now(store_clock(w->store));
    slot->values[slot->count].life = w->life;
    slot->values[slot->count].reading = rules->done;
    return slot->count;
}

void group_model_committed(const struct world *w, struct group_slot *slot, uint32_t value, enum commit_fate fate)
{
    EL_ASSERT(slot->values[value].fate == COMMIT_ASKED);
    slot->values[value].fate = (uint8_t)fate;
    slot_say(w, slot,
             fate == COMMIT_ACKED  ? "commit acknowledged"
             : fate == COMMIT_LOST ? "commit lost"
                                   : "commit refused",
             value);
    slot->busy = false;
    if (fate == COMMIT_ACKED) {
        slot->acked = EL_MAX(slot->acked, value);
    }
}

/* May it have been removed for its age? */
static bool may_expire(const struct world *w, const struct rule_book *rules, const struct group_slot *slot,
                       uint32_t value)
{
    uint64_t age_ms = world_clock_age(w, slot->values[value].life, slot->values[value].asked_ns) / 1000000;
    int64_t least = rule_least(rules, RULE_RETENTION_MINUTES, slot->values[value].reading);
    return age_ms + 1 >= (uint64_t)least * MS_PER_MINUTE; /* times of commits are whole milliseconds */
}

/* The state of the slot is known: of an earlier life nothing else can be in the log. */
static void slot_known(const struct world *w, struct group_slot *slot, uint32_t value)
{
    for (uint32_t i = 1; i <= slot->count; i++) {
        if (i != value && slot->values[i].fate == COMMIT_MAYBE && slot->values[i].dead_step == 0) {
            slot->values[i].dead_step = w->steps;
        }
    }
}

static void see_none(struct world *w, const struct rule_book *rules, struct group_slot *slot,
                     struct group_slot_before before)
{
    bool excused = before.acked <= before.gone || before.acked <= slot->dropped || slot->deletes > 0 || slot->loose ||
                   may_expire(w, rules, slot, before.acked);
    if (!excused) {
        world_violation(w, "group %u topic %u: offset %u was acknowledged, and none is told", slot->group, slot->topic,
                        before.acked);
    }
    w->events[EVENT_COMMIT_GONE] += before.acked > before.gone;
    slot_say(w, slot, "no commit", before.acked);
    slot->gone = EL_MAX(slot->gone, before.acked);
}

void group_model_fetched(struct world *w, const struct rule_book *rules, struct group_slot *slot, uint32_t value,
                         struct group_slot_before before)
{
    if (value == 0) {
        see_none(w, rules, slot, before);
        slot_known(w, slot, 0);
        return;
    }
    if (value > slot->count) {
        world_violation(w, "group %u topic %u: offset %u is told, which nobody committed", slot->group, slot->topic,
                        value);
        return;
    }
    slot_say(w, slot, "commit seen", value);
    uint8_t fate = slot->values[value].fate;
    bool late = fate == COMMIT_LOST; /* it may have been carried out just now */
    bool dead = slot->values[value].dead_step != 0 && slot->values[value].dead_step < before.step;
    if (fate == COMMIT_REFUSED || dead) {
        world_violation(w, "group %u topic %u: offset %u is told, which was refused or replaced", slot->group,
                        slot->topic, value);
    } else if (value <= before.gone && !late && fate != COMMIT_MAYBE) {
        world_violation(w, "group %u topic %u: offset %u is told after it was gone", slot->group, slot->topic, value);
    } else if (value < before.acked && !late && fate != COMMIT_MAYBE) {
        world_violation(w, "group %u topic %u: offset %u is told after %u was acknowledged", slot->group, slot->topic,
                        value, before.acked);
    }
    slot_known(w, slot, value);
    if (value > slot->acked && (late || fate == COMMIT_MAYBE)) {
        slot->values[value].fate = COMMIT_ACKED; /* what was shown stays, too */
        slot->acked = value;
    }
}

void group_model_delete(struct group_slot *slot)
{
    slot->deletes++;
}

void group_model_deleted(const struct world *w, struct group_slot *slot, struct group_slot_before before,
                         enum commit_fate fate)
{
    EL_ASSERT(slot->deletes > 0);
    slot->deletes--;
    slot_say(w, slot,
             fate == COMMIT_ACKED  ? "deletion done"
             : fate == COMMIT_LOST ? "deletion lost"
                                   : "deletion refused",
             before.acked);
    if (fate == COMMIT_REFUSED) {
        return;
    }
    slot->dropped = EL_MAX(slot->dropped, slot->count);
    slot->loose = slot->loose || fate == COMMIT_LOST;
    if (fate == COMMIT_ACKED) {
        slot->gone = EL_MAX(slot->gone, before.acked);
    }
}
