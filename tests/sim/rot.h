/* SPDX-License-Identifier: Apache-2.0
 *
 * Bits of files that change while the store is down.
 */
#ifndef EL_SIM_ROT_H
#define EL_SIM_ROT_H

#include "world.h"

struct rot {
    char path[128]; /* "" nothing was changed */
    uint64_t pos;
    uint8_t bits;
    bool harmless; /* the store must start, and lose nothing */
};

/* Change a byte somewhere.
 *
 * clean     the last run stopped well: journals may be hit as well. After a crash the last group of a journal may be
 *           too young for a proof that it was acknowledged
 * returns   what was done, for rot_undo()
 */
struct rot rot_make(struct world *w, bool clean);
void rot_undo(struct world *w, const struct rot *rot);

#endif
