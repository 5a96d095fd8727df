/* SPDX-License-Identifier: Apache-2.0
 *
 * One seed: a store that lives several times, with its clients and what they know. life.c starts and ends the lives,
 * script.c is what happens in one.
 */
#ifndef EL_SIM_LIFE_H
#define EL_SIM_LIFE_H

#include "boot.h"
#include "producers.h"
#include "readers.h"
#include "redacts.h"

struct live;

struct life {
    struct plan plan;
    struct world w;
    struct model m;
    struct producers producers;
    struct readers readers;
    struct redacts redacts;
    struct boot boot;
    uint32_t lives;         /* that were lived */
    uint64_t steps_longest; /* of the script in one of them */
    struct live *live;      /* of the liveness mode */
};

/* Run one seed from its beginning; life_free() ends it. A broken promise stands in w.violation. */
void life_run(struct life *l, const struct plan *plan);
void life_free(struct life *l);

/* End the process and start again. returns false when it was refused or a promise is broken */
bool life_again(struct life *l);
/* The faults have stopped: see that the store does its work again, and end it. returns true when it does */
bool life_liveness(struct life *l);
void life_liveness_free(struct life *l);

/* Work until the crash, or for so many steps. returns false when the machine crashed */
bool script_work(struct life *l, uint64_t steps);
/* Something that was asked for has no answer yet. */
bool script_waits(const struct life *l);

#endif
