/* SPDX-License-Identifier: Apache-2.0
 *
 * See stream_world.h.
 */
#include "stream_world.h"

#include <core/alloc.h>
#include <core/assert.h>

#define STOP_STEPS_MAX 200000u
#define CLIENTS_NS 5000000u /* clients do something so often */

static struct stream_world *of(const struct world *w)
{
    return w->upper_arg;
}

static int up(struct world *w, struct el_error *err)
{
    struct stream_world *sw = of(w);
    struct streams_config cfg = {.memory_max = sw->memory_max, .step_len = sw->step_len};
    uint32_t made = 0;
    sw->stopping_store = false;
    int code = streams_secret_load(w->ios[0], &sw->secret, err);
    while (code == 0 && made < w->shard_count) {
        code = streams_create(store_shard_at(w->store, made), sw->streams, &sw->secret, &cfg, &sw->streams[made], err);
        made += code == 0;
    }
    for (uint32_t i = 0; i < made && code != 0; i++) {
        streams_destroy(sw->streams[i]);
    }
    for (uint32_t i = 0; i < w->shard_count && code == 0; i++) {
        store_shard_start(store_shard_at(w->store, i));
        streams_start(sw->streams[i]);
    }
    return code;
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    el_alloc_seal(true);
    io_step(w->ios[shard], 0);
    uint64_t wish_ns = sim_disk_crashed(w->disk) ? 0 : store_shard_tick(store_shard_at(w->store, shard));
    el_alloc_seal(false);
    return wish_ns;
}

static bool idle(const struct stream_world *sw)
{
    for (uint32_t i = 0; i < sw->w->shard_count; i++) {
        if (!streams_idle(sw->streams[i])) {
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
    struct stream_world *sw = of(w);
    sw->serving = false;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        streams_stop(sw->streams[i]);
    }
    for (uint32_t i = 0; i < 2 * STOP_STEPS_MAX && !idle(sw); i++) {
        if (i == STOP_STEPS_MAX && w->disk_bounded) {
            world_space_returns(w); /* a real node does not wait for it, and leaves its memory to the system */
        }
        if (!world_step(w)) {
            return false;
        }
    }
    if (!idle(sw)) {
        world_violation(w, "stuck: the stream index did not stop");
        return false;
    }
    sw->stopping_store = true;
    for (uint32_t i = 0; i < w->shard_count; i++) {
        store_shard_stop(store_shard_at(w->store, i), on_stopped, w);
    }
    return true;
}

static void down(struct world *w)
{
    struct stream_world *sw = of(w);
    bool stopped = sw->stopping_store && w->stopped_count == w->shard_count && idle(sw);
    for (uint32_t i = 0; i < w->shard_count && stopped; i++) {
        streams_destroy(sw->streams[i]);
    }
    sw->serving = false;
    sw->lose(sw->arg);
}

static void step(struct world *w)
{
    struct stream_world *sw = of(w);
    if (sw->serving) {
        sw->step(sw->arg);
    }
}

static uint64_t next(const struct world *w)
{
    return of(w)->serving ? w->clock.now_ns + CLIENTS_NS : UINT64_MAX;
}

static const struct world_upper stream_upper =
    {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

void stream_world_init(struct stream_world *sw, struct world *w)
{
    memset(sw, 0, sizeof(*sw));
    sw->w = w;
    sw->memory_max = STREAMS_MEMORY_MIN;
    w->upper = &stream_upper;
    w->upper_arg = sw;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

static bool flag;

static void on_op(struct store_op *op)
{
    (void)op;
    flag = true;
}

static struct store_shard *ask(struct stream_world *sw, struct store_op *op)
{
    flag = false;
    op->done = on_op;
    return store_shard_at(sw->w->store, 0);
}

static int told(struct stream_world *sw, const struct store_op *op)
{
    return world_wait(sw->w, &flag) ? op->error : EVLOG_ERR_CRASHED;
}

int stream_world_topic(struct stream_world *sw, const char *name, int32_t partition_count,
                       const struct topic_config *config, struct el_uuid *id)
{
    static struct topic_op op;
    op = (struct topic_op){
        .verb = TOPIC_CREATE, .name = el_slice_str(name), .partition_count = partition_count, .config = config};
    store_topic_change(ask(sw, &op.base), &op);
    int code = told(sw, &op.base);
    *id = op.id;
    return code;
}

int stream_world_delete(struct stream_world *sw, const struct el_uuid *id)
{
    static struct topic_op op;
    op = (struct topic_op){.verb = TOPIC_DELETE, .id = *id};
    store_topic_change(ask(sw, &op.base), &op);
    return told(sw, &op.base);
}

int stream_world_read(struct stream_world *sw, struct read_op *op)
{
    store_read(ask(sw, &op->base), op);
    return told(sw, &op->base);
}

int stream_world_trim(struct stream_world *sw, struct trim_op *op)
{
    store_trim(ask(sw, &op->base), op);
    return told(sw, &op->base);
}

int stream_world_find(struct stream_world *sw, uint32_t shard, struct stream_find_op *op)
{
    ask(sw, &op->base);
    streams_find(sw->streams[shard], op);
    return told(sw, &op->base);
}

int stream_world_list(struct stream_world *sw, uint32_t shard, struct stream_list_op *op)
{
    ask(sw, &op->base);
    streams_list(sw->streams[shard], op);
    return told(sw, &op->base);
}
