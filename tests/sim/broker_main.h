/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker mode of evlog-sim.
 */
#ifndef EL_SIM_BROKER_MAIN_H
#define EL_SIM_BROKER_MAIN_H

#include "trial.h"

/* Run a plan for the whole broker, in this process. */
void broker_trial(const struct plan *plan, struct verdict *verdict);

#endif
