/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SIM_ARCHIVE_MAIN_H
#define EL_SIM_ARCHIVE_MAIN_H

#include "trial.h"

/* Run a seed of the archive mode in this process. */
void archive_trial(const struct plan *plan, struct verdict *verdict);

#endif
