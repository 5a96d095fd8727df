/* SPDX-License-Identifier: Apache-2.0
 *
 * A shard that has had something for seconds that the archive has not says so in evlog_archive_pending_bytes.
 */
#ifndef EL_SIM_ARCHIVE_WAITS_H
#define EL_SIM_ARCHIVE_WAITS_H

#include "world.h"

/* A partition that has something which is not in the archive. */
struct archive_waits {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t end; /* 0: none */
    uint64_t since_ns;
};

/* Now and then, with waits all zero after each start. */
void archive_waits_check(struct world *w, uint32_t shard, struct archive_waits *waits);

#endif
