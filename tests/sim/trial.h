/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of a plan, here or in a process of its own, where it may also fail an assertion or never end.
 */
#ifndef EL_SIM_TRIAL_H
#define EL_SIM_TRIAL_H

#include "events.h"
#include "plan.h"
#include <sys/types.h>

struct verdict {
    uint64_t seed;
    bool good;
    uint64_t hash, event_count;
    uint64_t steps, batches, crashes, virtual_ns;
    uint64_t answers, repeats, lost; /* of the broker: answers to clients, requests sent again, connections lost */
    uint64_t lives, steps_longest, topics, producers, shards; /* what there was, as shrinking begins with it */
    uint64_t faults[FAULT_COUNT];                             /* how often each happened */
    uint64_t events[EVENT_COUNT];                             /* likewise */
    char text[512];                                           /* the promise that was broken */
};

struct trial {
    uint64_t seed;
    pid_t pid; /* 0: none */
    int fd;    /* the verdict comes here */
    int log;   /* what it said on stderr */
    uint64_t deadline_ms;
};

struct world;
/* What a world knows of it. */
void verdict_take(struct verdict *verdict, struct world *w);
void trial_here(const struct plan *plan, struct verdict *verdict);
void trial_begin(struct trial *trial, const struct plan *plan, uint64_t most_ms);
/* Wait for its verdict, or end it when its time is over. */
void trial_end(struct trial *trial, struct verdict *verdict);
/* Milliseconds on a clock that nobody sets. */
uint64_t trial_now_ms(void);

#endif
