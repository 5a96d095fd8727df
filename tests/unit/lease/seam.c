/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard that knows groups and has no parts, until there is a real one.
 */
#include <config/group_config.h>
#include <lease/lease_group.h>

__attribute__((weak)) int lease_group_apply(struct leases *ls, struct el_slice group_id,
                                            const struct group_config *config)
{
    struct lease_group *group = lease_group_get(ls, group_id);
    struct group_config *copy = group == NULL ? NULL : lease_alloc(ls, group_config_len(config));
    if (copy == NULL) {
        return EVLOG_ERR_NO_MEMORY;
    }
    memcpy(copy, config, group_config_len(config));
    lease_free(ls, group->config);
    group->config = copy;
    group->exists = true;
    return 0;
}

__attribute__((weak)) void lease_group_end(struct leases *ls, struct lease_op *op)
{
    struct lease_group *group = lease_group_find(ls, op->group_id);
    if (group != NULL) {
        group->exists = false;
    }
    lease_op_finish(op, 0);
}
