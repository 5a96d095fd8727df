/* SPDX-License-Identifier: Apache-2.0
 *
 * Work groups on shard 0.
 */
#include <lease/lease_group.h>

int lease_control_create(struct leases *ls)
{
    (void)ls;
    return 0;
}

int lease_control_restore(struct leases *ls, struct el_slice group_id, struct el_slice value)
{
    (void)ls;
    (void)group_id;
    (void)value;
    return 0;
}

void lease_control_loaded(struct leases *ls)
{
    (void)ls;
}

void lease_control_configure(struct leases *ls)
{
    (void)ls;
}

void lease_control_stop(struct leases *ls)
{
    (void)ls;
}

void lease_control_destroy(struct leases *ls)
{
    (void)ls;
}
