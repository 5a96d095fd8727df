/* SPDX-License-Identifier: Apache-2.0
 *
 * The stream index of a node on a simulated machine: stores and streams, and questions that are asked one after the
 * other.
 */
#ifndef EL_SIM_STREAM_WORLD_H
#define EL_SIM_STREAM_WORLD_H

#include "world.h"
#include <stream/streams.h>

struct stream_world {
    struct world *w;
    struct streams *streams[WORLD_SHARDS_MAX];
    struct stream_secret secret;
    uint64_t memory_max;
    uint32_t step_len;
    bool serving;            /* clients may ask */
    void (*step)(void *arg); /* in each step while serving */
    void (*lose)(void *arg); /* the process has ended: nothing is answered any more */
    void *arg;
    bool stopping_store;
};

void stream_world_init(struct stream_world *sw, struct world *w);
/* Blocking; each returns 0 | EVLOG_ERR_..., or EVLOG_ERR_CRASHED when the machine crashed. */
int stream_world_topic(struct stream_world *sw, const char *name, int32_t partition_count,
                       const struct topic_config *config, struct el_uuid *id);
int stream_world_delete(struct stream_world *sw, const struct el_uuid *id);
int stream_world_read(struct stream_world *sw, struct read_op *op);
int stream_world_trim(struct stream_world *sw, struct trim_op *op);
/* Asked on a shard of chance. */
int stream_world_find(struct stream_world *sw, uint32_t shard, struct stream_find_op *op);
int stream_world_list(struct stream_world *sw, uint32_t shard, struct stream_list_op *op);

#endif
