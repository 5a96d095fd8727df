/* SPDX-License-Identifier: Apache-2.0
 *
 * A call that can stop in the middle and go on later, on a stack of its own: how a job of the simulator lets shards and
 * other jobs run between two of its disk calls.
 */
#ifndef EL_SIM_FIBER_H
#define EL_SIM_FIBER_H

#include <stdbool.h>

struct fiber;

/* Make a fiber that will call fn(arg). */
struct fiber *fiber_create(void (*fn)(void *arg), void *arg);
/* Run it until it pauses (false) or fn has returned (true; the fiber is freed). */
bool fiber_run(struct fiber *fiber);
/* Inside a fiber: go back to fiber_run(). returns false outside of any, without effect */
bool fiber_pause(void);

#endif
