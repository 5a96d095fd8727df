/* SPDX-License-Identifier: Apache-2.0
 *
 * Starts and ends of a store on one disk: what may refuse a start, what becomes of the clock meanwhile, crashes in
 * recovery, processes and machines that end. For all modes.
 */
#ifndef EL_SIM_BOOT_H
#define EL_SIM_BOOT_H

#include "model.h"
#include "plan.h"
#include "rot.h"

struct boot {
    const struct plan *plan;
    struct world *w;
    struct model *m; /* NULL: there is none */
    struct rot rot;
    bool stopped;  /* the last life ended with a clean stop */
    bool begun;    /* the store was started once */
    bool served;   /* a start succeeded */
    int32_t epoch; /* leader epoch of the last run */
    uint32_t crashes;
};

/* m may be NULL. */
void boot_init(struct boot *b, struct world *w, struct model *m, const struct plan *plan);
/* Start on what the disk holds; crash in recovery now and then, or have the disk fail. returns false when the start was
 * refused, which is a violation unless the device lies */
bool boot_start(struct boot *b);
/* The life ends without a clean stop: of the process, or of the machine, which may have crashed already. */
void boot_kill(struct boot *b, bool crashed);
/* Between two lives something may rot. */
void boot_rot(struct boot *b);

#endif
