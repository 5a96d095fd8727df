/* SPDX-License-Identifier: Apache-2.0
 *
 * The seeds of the broker mode; called by sim_main.c.
 */
#ifndef EL_SIM_BROKER_MAIN_H
#define EL_SIM_BROKER_MAIN_H

#include <stdbool.h>
#include <stdint.h>

struct broker_run {
    uint64_t from, count;
    bool verbose;
    bool hash;         /* print the hash of all events of each seed */
    bool trace;        /* print the events */
    uint64_t *running; /* out: the seed that runs, for a crash of the program itself */
};

/* returns the exit code */
int broker_main(const struct broker_run *run);

#endif
