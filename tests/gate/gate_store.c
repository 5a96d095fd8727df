/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <storage/shard_state.h>

#include <stdlib.h>

struct store_shard *gate_store_make(struct io *io, struct el_buddy *buddy, struct metrics *metrics)
{
    struct store_shard *shard = calloc(1, sizeof *shard);
    EL_ASSERT(shard != NULL);
    shard->magic = SHARD_MAGIC;
    shard->io = io;
    shard->buddy = buddy;
    shard->metrics = metrics;
    return shard;
}
