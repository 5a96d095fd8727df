/* SPDX-License-Identifier: Apache-2.0
 *
 * Many seeds on all processors, and what they add up to.
 */
#ifndef EL_SIM_CAMPAIGN_H
#define EL_SIM_CAMPAIGN_H

#include "trial.h"

struct campaign {
    struct plan plan; /* of every seed, but for the seed */
    uint64_t from, count;
    uint32_t jobs;      /* trials at the same time */
    uint64_t shrink_ms; /* time to make a failure smaller; 0: it is left as it is */
    bool hash;          /* print a hash for each seed, in their order */
    bool every_fault;   /* a fault that never happened is a failure */
};

/* returns true when nothing failed; the last line printed is "N passed, N failed" */
bool campaign_run(const struct campaign *campaign);

#endif
