/* SPDX-License-Identifier: Apache-2.0
 *
 * Shrinking: each round tries to lower every limit and to leave out every fault, largest gain first, and keeps what
 * still fails the same way. It ends with a round that gained nothing, or when its time is over.
 */
#include "shrink.h"

#include <core/bytes.h>
#include <ctype.h>
#include <stdio.h>

#define TRIAL_MS_MAX 30000u

struct shrinking {
    struct plan best;
    struct verdict failed; /* of the best plan */
    char kind[512];
    uint64_t deadline_ms;
    uint32_t trials, gains;
};

/* What was broken, without its numbers. */
static void kind_of(const char *text, char *kind, size_t kind_len)
{
    size_t at = 0;
    for (const char *c = text; *c != 0 && at + 1 < kind_len; c++) {
        if (!isdigit((unsigned char)*c)) {
            kind[at++] = *c;
        }
    }
    kind[at] = 0;
}

/* Try a smaller plan; it becomes the best one when it fails like the first. */
static bool try(struct shrinking *s, const struct plan *plan)
{
    uint64_t now_ms = trial_now_ms();
    if (now_ms >= s->deadline_ms) {
        return false;
    }
    struct trial trial;
    struct verdict v;
    char kind[sizeof(s->kind)];
    trial_begin(&trial, plan, EL_MIN(TRIAL_MS_MAX, s->deadline_ms - now_ms));
    trial_end(&trial, &v);
    s->trials++;
    kind_of(v.text, kind, sizeof(kind));
    if (v.good || strcmp(kind, s->kind) != 0) {
        return false;
    }
    s->best = *plan;
    s->failed = v;
    s->gains++;
    return true;
}

static bool try_limit(struct shrinking *s, enum plan_limit limit, uint64_t value)
{
    struct plan plan = s->best;
    plan.limits[limit] = value;
    return try(s, &plan);
}

/* Few of something: from the least upwards. */
static void lower(struct shrinking *s, enum plan_limit limit, uint64_t least, uint64_t seen)
{
    uint64_t most = EL_MIN(s->best.limits[limit], seen);
    for (uint64_t value = least; value < most && !try_limit(s, limit, value); value++) {
    }
}

/* Many: by half, by a quarter ... of what is left. */
static void lower_steps(struct shrinking *s)
{
    uint64_t steps = EL_MIN(s->best.limits[LIMIT_STEPS], s->failed.steps_longest);
    for (uint64_t by = EL_MAX(steps / 2, 1); by > 0 && steps > 0;) {
        if (by <= steps && try_limit(s, LIMIT_STEPS, steps - by)) {
            steps -= by;
        } else {
            by = by > 1 && by * 64 > steps ? by / 2 : 0;
        }
    }
}

static void leave_out(struct shrinking *s)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        struct plan plan = s->best;
        plan.faults_off |= 1ull << i;
        if (plan.faults_off != s->best.faults_off && s->failed.faults[i] > 0) {
            try(s, &plan);
        }
    }
}

void shrink(const struct plan *plan, const struct verdict *failed, uint64_t most_ms)
{
    struct shrinking s = {.best = *plan, .failed = *failed, .deadline_ms = trial_now_ms() + most_ms};
    char command[1024];
    uint32_t gains;
    s.best.verbose = s.best.trace = false;
    kind_of(failed->text, s.kind, sizeof(s.kind));
    bool dead = failed->steps == 0; /* it could not say what there was */
    do {
        gains = s.gains;
        lower(&s, LIMIT_LIVES, 1, dead ? 5 : s.failed.lives);
        s.failed.steps_longest = dead ? 4500 : s.failed.steps_longest;
        lower_steps(&s);
        lower(&s, LIMIT_SHARDS, 1, dead ? 4 : s.failed.shards);
        lower(&s, LIMIT_TOPICS, 1, dead ? 4 : s.failed.topics);
        lower(&s, LIMIT_PRODUCERS, 0, dead ? 6 : s.failed.producers);
        lower(&s, LIMIT_READERS, 0, 4);
        for (int i = 0; i < FAULT_COUNT && dead; i++) {
            s.failed.faults[i] = 1;
        }
        leave_out(&s);
    } while (s.gains > gains && trial_now_ms() < s.deadline_ms);
    plan_print(&s.best, command, sizeof(command));
    printf("  smaller (%u of %u tries kept): %s\n  again: %s -v\n", s.gains, s.trials, s.failed.text, command);
}
