/* SPDX-License-Identifier: Apache-2.0
 *
 * The work groups of a node on a simulated machine: stores and leases, and questions that are asked one after the
 * other.
 */
#ifndef EL_SIM_LEASE_WORLD_H
#define EL_SIM_LEASE_WORLD_H

#include "world.h"
#include <config/group_config.h>
#include <lease/leases.h>

struct lease_world {
    struct world *w;
    struct leases *leases[WORLD_SHARDS_MAX];
    struct topic_config topic_defaults;
    uint64_t memory_max;
    bool serving;            /* workers may ask */
    void (*step)(void *arg); /* in each step while serving */
    void (*lose)(void *arg); /* the process has ended: nothing is answered any more */
    void *arg;
    bool stopping_store;
};

void lease_world_init(struct lease_world *lw, struct world *w);
/* Blocking; each returns 0 | EVLOG_ERR_..., or EVLOG_ERR_CRASHED when the machine crashed. */
int lease_world_topic(struct lease_world *lw, const char *name, int32_t partition_count,
                      const struct topic_config *config, struct el_uuid *id);
int lease_world_alter(struct lease_world *lw, const struct el_uuid *id, const struct topic_config *config);
int lease_world_settings(struct lease_world *lw, const char *group, const struct group_config *config);
int lease_world_offsets(struct lease_world *lw, struct lease_offsets_op *op);
int lease_world_log_start(struct lease_world *lw, const struct el_uuid *topic_id, int32_t partition, int64_t *start);
int lease_world_read(struct lease_world *lw, struct read_op *op);
/* Wait for a flag as world_wait(), but a crash is no violation. returns false: crashed, or stuck (a violation) */
bool lease_world_wait(struct lease_world *lw, const bool *flag);

#endif
