/* SPDX-License-Identifier: Apache-2.0
 *
 * Where work groups stand, for what looks at groups of both kinds. Blocking, any thread.
 */
#ifndef EL_CLIENT_ADMIN_WORK_H
#define EL_CLIENT_ADMIN_WORK_H

#include "client_core.h"

#include <evlog/groups.h>

#define EL_WORK_GROUP_TYPE "share" /* protocol_type of a work group */

/* All partitions that a work group has read of. */
struct el_work_offsets {
    struct el_arena arena;
    struct evlog_partition_offset *offsets; /* [count]; offset: first event that is not done */
    int64_t *lags;                          /* [count] events that are not done, -1 unknown */
    size_t count;
};

/* offsets  written on success; free with el_work_offsets_free()
 * returns  0 | EVLOG_ERR_GROUP_NOT_FOUND | EVLOG_ERR_UNREACHABLE | EVLOG_ERR_NO_MEMORY
 */
int el_work_offsets_ask(struct evlog_client *client, const char *group, struct el_work_offsets *offsets,
                        struct evlog_failure *failure);
void el_work_offsets_free(struct el_work_offsets *offsets);

#endif
