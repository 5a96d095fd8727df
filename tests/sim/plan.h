/* SPDX-License-Identifier: Apache-2.0
 *
 * What to run: a seed, and what of it is left out. A seed decides everything; the limits only cut away from it.
 */
#ifndef EL_SIM_PLAN_H
#define EL_SIM_PLAN_H

#include "faults.h"

enum plan_limit {
    LIMIT_LIVES,
    LIMIT_STEPS, /* of each life */
    LIMIT_TOPICS,
    LIMIT_PRODUCERS,
    LIMIT_READERS,
    LIMIT_SHARDS,
    LIMIT_COUNT
};

struct plan {
    uint64_t seed;
    uint64_t faults_off;          /* a bit for each fault that is left out */
    uint64_t limits[LIMIT_COUNT]; /* at most so many; UINT64_MAX: as the seed has it */
    enum sim_mode mode;
    bool verbose; /* tell the story */
    bool trace;   /* print every event */
};

void plan_init(struct plan *plan, uint64_t seed);
/* Take an option that changes what of a seed is run: --lives=N, --no-fault=NAME[,NAME...] ...
 *
 * returns  1 taken | 0 it is another option | -1 its value is wrong
 */
int plan_option(struct plan *plan, const char *option);
/* The command line that runs it. */
void plan_print(const struct plan *plan, char *text, size_t text_len);

#endif
