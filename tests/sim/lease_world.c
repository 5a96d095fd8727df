/* SPDX-License-Identifier: Apache-2.0
 *
 * See lease_world.h.
 */
#include "lease_world.h"

#include "lease_emits.h"

#include <core/alloc.h>
#include <core/assert.h>

#define STOP_STEPS_MAX 200000u
#define WORKERS_NS 5000000u /* workers do something so often */

static struct lease_world *of(const struct world *w)
{
    return w->upper_arg;
}

static int up(struct world *w, struct el_error *err)
{
    struct lease_world *lw = of(w);
    struct leases_config cfg = {.topic_defaults = &lw->topic_defaults, .memory_max = lw->memory_max, .members_max = 10};
    lw->stopping_store = false;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        int code = leases_create(store_shard_at(w->store, i), lw->leases, &cfg, &lw->leases[i]);
        EL_ASSERT(code == 0);
        store_observe(store_shard_at(w->store, i), lease_emits_observer());
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_start(store_shard_at(w->store, i));
        leases_start(lw->leases[i]);
    }
    (void)err;
    return 0;
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    el_alloc_seal(true);
    io_step(w->ios[shard], 0);
    uint64_t wish_ns = sim_disk_crashed(w->disk) ? 0 : store_shard_tick(store_shard_at(w->store, shard));
    el_alloc_seal(false);
    return wish_ns;
}

static bool idle(const struct lease_world *lw)
{
    for (uint32_t i = 0; i < lw->w->shard_count; i++) {
        if (!leases_idle(lw->leases[i])) {
            return false;
        }
    }
    return true;
}

static void on_stopped(void *arg)
{
    struct world *w = arg;
    w->stopped_count++;
}

static bool stop(struct world *w)
{
    struct lease_world *lw = of(w);
    lw->serving = false;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        leases_stop(lw->leases[i]);
    }
    for (uint32_t i = 0; i < STOP_STEPS_MAX && !idle(lw); i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (!idle(lw) && !w->disk_bounded) { /* on a full disk appends wait until the store stops */
        world_violation(w, "stuck: work groups did not stop");
        return false;
    }
    lw->stopping_store = true;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_stop(store_shard_at(w->store, i), on_stopped, w);
    }
    return true;
}

static void down(struct world *w)
{
    struct lease_world *lw = of(w);
    bool stopped = lw->stopping_store && w->stopped_count == w->shard_count && idle(lw);
    for (uint32_t i = 0; i < w->shard_count && stopped; i++) {
        leases_destroy(lw->leases[i]);
    }
    lw->serving = false;
    lw->lose(lw->arg);
}

static void step(struct world *w)
{
    struct lease_world *lw = of(w);
    if (lw->serving) {
        lw->step(lw->arg);
    }
}

static uint64_t next(const struct world *w)
{
    return of(w)->serving ? w->clock.now_ns + WORKERS_NS : UINT64_MAX;
}

static const struct world_upper lease_upper =
    {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

void lease_world_init(struct lease_world *lw, struct world *w)
{
    memset(lw, 0, sizeof(*lw));
    lw->w = w;
    lw->memory_max = 4u << 20;
    topic_config_init(&lw->topic_defaults);
    w->upper = &lease_upper;
    w->upper_arg = lw;
}

bool lease_world_wait(struct lease_world *lw, const bool *flag)
{
    return world_wait(lw->w, flag);
}

static void on_store(struct store_op *op)
{
    *(bool *)op->arg = true;
}

static void on_lease(struct lease_op *op)
{
    *(bool *)op->arg = true;
}

static int change_topic(struct lease_world *lw, struct topic_op *op)
{
    static bool done;
    op->base.done = on_store;
    op->base.arg = &done;
    done = false;
    store_topic_change(store_shard_at(lw->w->store, 0), op);
    return lease_world_wait(lw, &done) ? op->base.error : EVLOG_ERR_CRASHED;
}

int lease_world_topic(struct lease_world *lw, const char *name, int32_t partition_count,
                      const struct topic_config *config, struct el_uuid *id)
{
    static struct topic_op op;
    op = (struct topic_op){
        .verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = partition_count, .config = config};
    int code = change_topic(lw, &op);
    *id = op.id;
    return code;
}

int lease_world_alter(struct lease_world *lw, const struct el_uuid *id, const struct topic_config *config)
{
    static struct topic_op op;
    op = (struct topic_op){.verb = TOPIC_ALTER, .id = *id, .config = config};
    return change_topic(lw, &op);
}

int lease_world_settings(struct lease_world *lw, const char *group, const struct group_config *config)
{
    static struct lease_settings_op op;
    static struct group_config current;
    static bool done;
    do {
        op = (struct lease_settings_op){.base = {.group_id = el_slice_str(group), .done = on_lease, .arg = &done},
                                        .verb = LEASE_SETTINGS_SET,
                                        .config = config,
                                        .current = &current};
        done = false;
        leases_settings(lw->leases[0], &op);
        if (!lease_world_wait(lw, &done)) {
            return EVLOG_ERR_CRASHED;
        }
        lease_op_release(&op.base);
    } while (op.base.error == EVLOG_ERR_GROUP_LOADING && world_step(lw->w));
    return op.base.error;
}

int lease_world_offsets(struct lease_world *lw, struct lease_offsets_op *op)
{
    static bool done;
    op->base.done = on_lease;
    op->base.arg = &done;
    done = false;
    leases_offsets(lw->leases[0], op);
    if (!lease_world_wait(lw, &done)) {
        return EVLOG_ERR_CRASHED;
    }
    lease_op_release(&op->base);
    return op->base.error;
}

int lease_world_log_start(struct lease_world *lw, const struct el_uuid *topic_id, int32_t partition, int64_t *start)
{
    static struct stat_op op;
    static bool done;
    op = (struct stat_op){.base = {.done = on_store, .arg = &done}, .topic_id = *topic_id, .partition = partition};
    done = false;
    store_stat(store_shard_at(lw->w->store, 0), &op);
    if (!lease_world_wait(lw, &done)) {
        return EVLOG_ERR_CRASHED;
    }
    *start = op.log_start_offset;
    return op.base.error;
}

int lease_world_read(struct lease_world *lw, struct read_op *op)
{
    static bool done;
    op->base.done = on_store;
    op->base.arg = &done;
    done = false;
    store_read(store_shard_at(lw->w->store, 0), op);
    return lease_world_wait(lw, &done) ? op->base.error : EVLOG_ERR_CRASHED;
}
