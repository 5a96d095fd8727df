/* SPDX-License-Identifier: Apache-2.0
 *
 * What server.c does with threads and signals, in virtual time.
 */
#include "broker.h"

#include <core/alloc.h>
#include <core/assert.h>

#define STOP_STEPS_MAX 200000u
#define PORT 9092

static void on_done(struct shard *shard)
{
    struct broker *b = shard->arg;
    b->done_count++;
    b->w->stopped_count += b->stopping_store;
}

static void shard_make(struct broker *b, uint32_t index)
{
    struct world *w = b->w;
    struct shard *shard = &b->shards[index];
    memset(shard, 0, sizeof(*shard));
    shard->magic = SHARD_THREAD_MAGIC;
    shard->index = index;
    shard->peers = b->groups;
    shard->shard_count = w->shard_count;
    shard->io = w->ios[index];
    shard->metrics = w->metrics[index];
    shard->store = store_shard_at(w->store, index);
    shard->drain_ns = b->drain_ns;
    shard->done = on_done;
    shard->arg = b;
}

static void up(struct world *w)
{
    struct broker *b = w->upper_arg;
    b->stopping_store = false;
    atomic_store(&b->conn_total, 0);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        struct el_error err = {0};
        struct net_config net_cfg = b->limits;
        shard_make(b, i);
        net_cfg.port = PORT;
        net_cfg.join = i > 0;
        net_cfg.conn_total = &b->conn_total;
        int code = shard_listen(&b->shards[i], &b->config, &net_cfg, &err);
        EL_ASSERT(code == 0);
    }
    for (uint32_t i = 0; i < w->shard_count; i++) {
        shard_begin(&b->shards[i]);
        el_alloc_seal(false);
    }
}

static void command_all(struct broker *b, enum shard_command command)
{
    b->done_count = 0;
    for (uint32_t i = 0; i < b->w->shard_count; i++) {
        shard_command(&b->shards[i], command);
    }
}

static bool stop(struct world *w)
{
    struct broker *b = w->upper_arg;
    command_all(b, SHARD_STOP_NET);
    for (uint32_t i = 0; i < STOP_STEPS_MAX && b->done_count < w->shard_count; i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (b->done_count < w->shard_count) {
        world_violation(w, "stuck: the listeners did not stop");
        return false;
    }
    b->stopping_store = true;
    command_all(b, SHARD_STOP_STORE);
    return true;
}

static void down(struct world *w)
{
    struct broker *b = w->upper_arg;
    bool stopped = b->stopping_store && w->stopped_count == w->shard_count;
    if (stopped && sim_net_open_count(w->net) != 0) {
        world_violation(w, "after a clean stop %u sockets are open", sim_net_open_count(w->net));
    }
    for (uint32_t i = 0; i < w->shard_count && stopped; i++) {
        groups_destroy(&b->shards[i].groups);
    }
    sim_net_off(w->net);
    clients_lose(b->clients);
}

static uint64_t turn(struct world *w, uint32_t shard)
{
    struct broker *b = w->upper_arg;
    el_alloc_seal(true);
    uint64_t wish_ns = shard_turn(&b->shards[shard], 0);
    el_alloc_seal(false);
    return wish_ns;
}

static void step(struct world *w)
{
    struct broker *b = w->upper_arg;
    if (!b->stopping_store) { /* nobody listens any more */
        clients_step(b->clients);
    }
}

static uint64_t next(const struct world *w)
{
    const struct broker *b = w->upper_arg;
    return b->stopping_store ? UINT64_MAX : clients_next(b->clients);
}

static const struct world_upper broker_upper =
    {.up = up, .stop = stop, .down = down, .turn = turn, .step = step, .next = next};

/* Limits small enough to be met. */
static void choose_limits(struct broker *b)
{
    struct world *w = b->w;
    b->limits = shard_net_limits(&b->config);
    if (world_chance(w, 200000)) {
        b->limits.conn_count_max = 8 + (uint32_t)world_below(w, 7);
    }
    if (world_chance(w, 300000)) {
        b->limits.pipeline_max = 1 + (uint32_t)world_below(w, 4);
    }
    if (world_chance(w, 300000)) {
        b->limits.pipeline_bytes_max = 1 + world_below(w, 20000);
        b->limits.backlog_bytes_max = 1 + world_below(w, 20000);
    }
    if (world_chance(w, 200000)) {
        b->limits.frame_ns_max = 1000000 + world_below(w, 100000000);
        b->limits.send_ns_max = 1000000 + world_below(w, 100000000);
    }
    if (world_chance(w, 200000)) {
        b->limits.idle_ns_max = 1000000 + world_below(w, 100000000);
    }
    if (world_chance(w, 200000)) {
        b->limits.recv_bytes_max = 400000 + world_below(w, 400000);
    }
    if (world_chance(w, 100000)) {
        w->memory_tight = true;
        w->memory_len = (size_t)(4 + world_below(w, 6)) << 20;
    }
    b->drain_ns = world_chance(w, 300000) ? world_below(w, 100000000) : 20000000000u;
}

void broker_init(struct broker *b, struct world *w, struct clients *clients)
{
    char name[] = "evlogd", data[] = "--ephemeral"; /* where the data lies is the machine's business */
    char *argv[] = {name, data, NULL};
    struct el_error err = {0};
    memset(b, 0, sizeof(*b));
    b->w = w;
    b->clients = clients;
    int code = config_load(&b->config, 2, argv, NULL, &err);
    EL_ASSERT(code == 0);
    b->config.group_session_min_ms = 1;
    b->config.group_initial_delay_ms = world_chance(w, 300000) ? 0 : (int64_t)world_below(w, 30);
    b->config.offsets_partitions = 1 + (int64_t)world_below(w, 4);
    b->config.offsets_check_ms = 86400000; /* clients do not know that a group may be forgotten */
    choose_limits(b);
    w->upper = &broker_upper;
    w->upper_arg = b;
}

uint32_t broker_requests(const struct broker *b)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->w->shard_count; i++) {
        count += b->shards[i].net == NULL ? 0 : net_request_count(b->shards[i].net);
    }
    return count;
}
