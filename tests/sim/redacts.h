/* SPDX-License-Identifier: Apache-2.0
 *
 * Redactions on a disk alone: store_redact(), asked for again after each crash until it is done, as the redactor does.
 * Not of topics that may lose events by themselves at a crash, or by compaction, nor beside an archive or on a device
 * that lies or rots.
 */
#ifndef EL_SIM_REDACTS_H
#define EL_SIM_REDACTS_H

#include "model.h"

struct redacts {
    struct model *m;
    struct redact_op op;
    bool on;      /* the seed has some */
    bool busy;    /* the op is under way */
    bool release; /* the next one lets come back what belongs on this disk */
    bool calm;    /* no crashes are made */
    uint32_t at;  /* index in the model, of what is under way or was last */
};

void redacts_init(struct redacts *r, struct model *m, bool on);
/* A start: nothing is under way. */
void redacts_restart(struct redacts *r);
/* Somebody redacts something, or asks again for what is not done. Nothing happens while one is under way. */
void redacts_act(struct redacts *r);
/* What was redacted is still nowhere. */
void redacts_check(const struct redacts *r);
/* Without faults every one is done. returns false when a promise is broken */
bool redacts_finish(struct redacts *r);

#endif
