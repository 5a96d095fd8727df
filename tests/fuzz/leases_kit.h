/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups of which there is only the memory, for targets that decode into it.
 */
#ifndef EL_TEST_FUZZ_LEASES_KIT_H
#define EL_TEST_FUZZ_LEASES_KIT_H

#include <lease/lease_state.h>

#include <stdlib.h>

static inline struct leases *leases_kit_begin(struct el_buddy *buddy)
{
    struct leases *ls = calloc(1, sizeof(*ls));
    EL_ASSERT(ls != NULL);
    EL_ASSERT(el_buddy_init(buddy, 32u << 20, NULL) == 0);
    ls->buddy = buddy;
    ls->cfg.memory_max = 64u << 20;
    for (uint32_t i = 0; i < LEASE_CLASSES; i++) {
        el_pool_init(&ls->classes[i], buddy, LEASE_CLASS_LEN_MIN << i);
    }
    return ls;
}

/* All that was decoded has been freed. */
static inline void leases_kit_end(struct leases *ls)
{
    struct el_buddy *buddy = ls->buddy;
    EL_ASSERT(ls->memory_used == 0);
    for (uint32_t i = 0; i < LEASE_CLASSES; i++) {
        el_pool_destroy(&ls->classes[i]);
    }
    el_buddy_destroy(buddy);
    free(ls);
}

#endif
