/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SIM_STREAM_MAIN_H
#define EL_SIM_STREAM_MAIN_H

#include "trial.h"

/* Run a seed of the stream mode in this process. */
void stream_trial(const struct plan *plan, struct verdict *verdict);

#endif
