/* SPDX-License-Identifier: Apache-2.0
 *
 * Redrives of dead letters in the lease mode, in seeds of their own: operators redrive letters while workers work and
 * machines crash, some of them by key or with a rate. At the end each letter that is marked as redriven must have
 * brought its event back exactly once: it was acknowledged then, or has one letter more. In other seeds they copy
 * letters to a topic, which must then hold each that is marked once, and no other, those of a key in order.
 */
#ifndef EL_SIM_LEASE_REDRIVES_H
#define EL_SIM_LEASE_REDRIVES_H

#include "lease_life.h"

/* Maybe begin one. */
void lease_redrives_step(struct lease_life *l);
/* The process has ended. */
void lease_redrives_lose(struct lease_life *l);
/* All redrives have ended. returns 1 | 0 not yet | -1 crashed, or a violation */
int lease_redrives_ended(struct lease_life *l);
/* What became of letters of that topic and partition, for lease_redrives_letter(). returns false: crashed, or a
 * violation */
bool lease_redrives_read(struct lease_life *l, uint32_t group, const struct el_uuid *topic_id, int32_t partition);
/* It was read: has the letter at that offset brought its event back? */
bool lease_redrives_letter(const struct lease_life *l, int64_t letter);

/* A record of the topic of copies. */
void lease_redrives_copy(struct lease_life *l, const struct el_batch_record *record);
/* All of them, and all letters, were read; all redrives have ended. */
void lease_redrives_end(struct lease_life *l);

#endif
