/* SPDX-License-Identifier: Apache-2.0
 *
 * State machines as tables: named states, the moves allowed from each, one invariant. A wrong move is a bug in the code
 * and stops the program with the names of both states.
 *
 *     enum conn_state { CONN_OPEN, CONN_CLOSING, CONN_CLOSED, CONN_STATE_COUNT };
 *     static const struct el_sm_state conn_states[CONN_STATE_COUNT] = {
 *         [CONN_OPEN] = {"open", EL_SM_TO(CONN_CLOSING) | EL_SM_TO(CONN_CLOSED)},
 *         [CONN_CLOSING] = {"closing", EL_SM_TO(CONN_CLOSED)},
 *         [CONN_CLOSED] = {"closed", 0},
 *     };
 *     static const struct el_sm_table conn_sm = {"conn", conn_states, CONN_STATE_COUNT, conn_check};
 */
#ifndef EL_CORE_SM_H
#define EL_CORE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define EL_SM_STATES_MAX 32
#define EL_SM_TO(state) (1u << (state))

struct el_sm_state {
    const char *name; /* as people see it in logs and metrics */
    uint32_t moves;   /* EL_SM_TO() of every state that may follow */
};

struct el_sm_table {
    const char *name;                 /* what the machine is of: "conn" */
    const struct el_sm_state *states; /* [state_count], by the enum's values */
    unsigned state_count;             /* 1 .. EL_SM_STATES_MAX */
    /* The invariant: asserts what must hold of object in its state. Called after every move; may be NULL. */
    void (*check)(const void *object, unsigned state);
};

/* Lies in the object; one owner. */
struct el_sm {
    const struct el_sm_table *table;
    unsigned state; /* read it freely, change it by el_sm_move() */
};

void el_sm_init(struct el_sm *sm, const struct el_sm_table *table, unsigned state);
/* Move and check the invariant of object; asserts that the move is allowed. */
void el_sm_move(struct el_sm *sm, const void *object, unsigned state);
/* True when the move is allowed. */
bool el_sm_may(const struct el_sm *sm, unsigned state);
/* Name of the present state. */
const char *el_sm_name(const struct el_sm *sm);

#endif
