/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SIM_LEASE_MAIN_H
#define EL_SIM_LEASE_MAIN_H

#include "trial.h"

/* Run a seed of the lease mode in this process. */
void lease_trial(const struct plan *plan, struct verdict *verdict);

#endif
