/* SPDX-License-Identifier: Apache-2.0
 *
 * Making a failing run small: as long as it breaks the same kind of promise, lives, steps, clients and faults are taken
 * away.
 */
#ifndef EL_SIM_SHRINK_H
#define EL_SIM_SHRINK_H

#include "trial.h"

/* Shrink and print.
 *
 * plan     what failed
 * failed   how
 * most_ms  time it may take
 */
void shrink(const struct plan *plan, const struct verdict *failed, uint64_t most_ms);

#endif
