/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups as wholes, beside fake_leases.h: a few with settings, kept in arrays.
 */
#ifndef EL_TEST_API_FAKE_LEASE_GROUPS_H
#define EL_TEST_API_FAKE_LEASE_GROUPS_H

#include "fake_leases.h"

#include <config/group_config.h>

#define FAKE_GROUP_MAX 4

struct fake_lease_group {
    char id[32]; /* empty: none */
    struct group_config config;
};

struct fake_lease_groups {
    struct fake_lease_group groups[FAKE_GROUP_MAX];
    int error;            /* what every op ends with */
    uint32_t rival_count; /* before so many changes somebody else sets lease.ms */
    uint32_t set_count;   /* changes that were asked for */
    bool validated;       /* the last one only looked */
};

extern struct fake_lease_groups lease_groups_fake;

/* Begin with none; fake_begin() does it. */
void fake_lease_groups_begin(void);
struct fake_lease_group *fake_lease_group(const char *id);
struct fake_lease_group *fake_lease_group_add(const char *id);

#endif
