/* SPDX-License-Identifier: Apache-2.0
 *
 * What operators do in the lease mode while nobody works on what they do it to: groups are moved to other offsets,
 * deleted and made anew; logs lose their beginning; a halted partition is let go on.
 */
#ifndef EL_SIM_LEASE_ACTS_H
#define EL_SIM_LEASE_ACTS_H

#include "lease_life.h"

/* Do something, by chance, or go on with what a crash has cut short. returns false: the machine crashed, or a
 * violation */
bool lease_act(struct lease_life *l);
/* End what was begun. returns false likewise */
bool lease_acts_end(struct lease_life *l);
/* A worker may take this partition. */
bool lease_may_work(struct lease_life *l, uint32_t group, uint32_t topic, int32_t partition);
/* The partition halts: let it go on. returns false likewise */
bool lease_let_go_on(struct lease_life *l, uint32_t group, uint32_t topic, int32_t partition);

#endif
