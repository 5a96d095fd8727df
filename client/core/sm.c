/* SPDX-License-Identifier: Apache-2.0 */
#include <core/assert.h>
#include <core/sm.h>

#include <stddef.h>
#include <stdio.h>

void el_sm_init(struct el_sm *sm, const struct el_sm_table *table, unsigned state)
{
    EL_ASSERT(table->state_count > 0);
    EL_ASSERT(table->state_count <= EL_SM_STATES_MAX);
    EL_ASSERT(state < table->state_count);
    for (unsigned i = 0; i < table->state_count; i++) {
        EL_ASSERT(table->states[i].name != NULL);
        EL_ASSERT(((uint64_t)table->states[i].moves >> table->state_count) == 0);
    }
    sm->table = table;
    sm->state = state;
}

bool el_sm_may(const struct el_sm *sm, unsigned state)
{
    EL_ASSERT(state < sm->table->state_count);
    return (sm->table->states[sm->state].moves & EL_SM_TO(state)) != 0;
}

void el_sm_move(struct el_sm *sm, const void *object, unsigned state)
{
    if (!el_sm_may(sm, state)) {
        char text[160];
        (void)snprintf(text, sizeof(text), "%s may not move from %s to %s", sm->table->name, el_sm_name(sm),
                       sm->table->states[state].name);
        el_assert_fail(__FILE__, __LINE__, text);
    }
    sm->state = state;
    if (sm->table->check != NULL) {
        sm->table->check(object, state);
    }
}

const char *el_sm_name(const struct el_sm *sm)
{
    return sm->table->states[sm->state].name;
}
