/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode lease: work groups on the real store, without a network.
 *
 * A seed: a node with 1 to 3 shards; one or two topics, one or two groups with settings of chance; producers that
 * append events with few keys; workers that lease, acknowledge, fail, reject, release, extend, or fall silent until
 * their leases have ended; several lives, each ended by a crash at a random disk call, a process that just ends or a
 * clean stop, with clocks that jump. At the end all faults cease and workers behave, but for poisoned events, which
 * always fail: then every event must have been acknowledged, or be in the dead-letter topic, once. See lease_model.h.
 */
#include "lease_main.h"

#include "lease_acts.h"
#include "lease_redrives.h"
#include "lease_topics.h"
#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

/* Without one event more that is finished. The longest waits are for clocks that jumped; a single worker has long
 * queues before it where a partition is worked on one event at a time. */
#define QUIET_NS_MAX 600000000000ull
#define QUIET_STEPS_MAX 200000u

/* --- a seed ------------------------------------------------------------------------------------------------------- */

static void set(struct group_config *config, const char *name, const char *format, uint64_t value)
{
    char text[32];
    struct el_error err = {0};
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    int code = group_config_set(config, el_slice_str(name), el_slice_str(format != NULL ? format : text), &err);
    EL_ASSERT(code == 0);
}

void lease_choose_group(struct lease_life *l, struct lease_model_group *g, struct group_config *config)
{
    static const char *const orders[] = {"key", "partition", "none"};
    struct world *w = &l->w;
    group_config_init(config);
    g->order = world_chance(w, 700000) ? MODEL_BY_KEY : (enum lease_model_order)world_below(w, 3);
    g->attempts_max = 1 + (int32_t)world_below(w, 4);
    g->parks = g->order == MODEL_BY_KEY && world_chance(w, 300000);
    g->halts = !g->parks && world_chance(w, 150000);
    g->filters = world_chance(w, 300000);
    set(config, "order", orders[g->order], 0);
    set(config, "retry.max.attempts", NULL, (uint64_t)g->attempts_max);
    set(config, "on.exhausted", g->parks ? "park" : g->halts ? "halt" : "skip", 0);
    set(config, "filter", g->filters ? LEASE_FILTER : "", 0);
    set(config, "start", "earliest", 0);
    g->lease_ms = 100 + (uint32_t)world_below(w, 2000);
    set(config, "lease.ms", NULL, g->lease_ms);
    set(config, "retry.backoff.ms", NULL, 1 + world_below(w, 200));
    set(config, "retry.backoff.max.ms", NULL, 500);
    set(config, "max.inflight", NULL, 1 + world_below(w, 30));
}

static bool make_topic(struct lease_life *l, const char *name, int32_t partition_count,
                       const struct topic_config *config, struct el_uuid *id)
{
    const struct topic *topic = store_topic_by_name(store_shard_at(l->w.store, 0), el_slice_str(name));
    if (topic == NULL) {
        return lease_world_topic(&l->lw, name, partition_count, config, id) == 0;
    }
    *id = topic->id;
    return true;
}

/* Where letters of an expiring topic go: made here, for with its settings they would expire as well. */
static bool make_letters(struct lease_life *l, uint32_t topic, uint32_t group)
{
    char name[EL_TOPIC_NAME_MAX + 1];
    struct el_uuid id;
    group_config_dead_topic(NULL, el_slice_str(l->topic_names[topic]), el_slice_str(l->m.groups[group].id), name);
    return make_topic(l, name, l->m.partition_count, NULL, &id);
}

/* What the groups have stored is compacted so often that some of it is in each life. returns false: crashed, or a
 * violation */
static bool compact_progress(struct lease_life *l)
{
    static const char *const settings[][2] = {{"segment.bytes", "65536"},
                                              {"segment.ms", "2000"},
                                              {"min.cleanable.dirty.ratio", "0.1"},
                                              {"max.compaction.lag.ms", "5000"},
                                              {"delete.retention.ms", "1000"}};
    static struct topic_config config;
    const struct topic *topic = store_topic_by_name(store_shard_at(l->w.store, 0), el_slice_str("__evlog_groups"));
    EL_ASSERT(topic != NULL);
    config = topic->config;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        int code = topic_config_set(&config, el_slice_str(settings[i][0]), el_slice_str(settings[i][1]), NULL);
        EL_ASSERT(code == 0);
    }
    return lease_world_alter(&l->lw, &topic->id, &config) == 0;
}

/* Topics and groups, once. returns false when the machine crashed: they are made again */
static bool make(struct lease_life *l)
{
    static struct group_config config;
    static struct topic_config topic;
    bool made = true;
    for (uint32_t g = 0; g < l->m.group_count; g++) {
        snprintf(l->m.groups[g].id, sizeof(l->m.groups[g].id), "group%u", g);
    }
    for (uint32_t t = 0; t < l->m.topic_count && made; t++) {
        lease_topics_config(l, t, &topic);
        made = make_topic(l, l->topic_names[t], l->m.partition_count, &topic, &l->topic_ids[t]);
        for (uint32_t g = 0; g < l->m.group_count && made && l->topics.expire[t]; g++) {
            made = make_letters(l, t, g);
        }
    }
    for (uint32_t t = 0; t < EMIT_TOPICS && made; t++) {
        lease_emits_config(t, &topic);
        made = make_topic(l, lease_emits_topic(t), EMIT_PARTITIONS, &topic, &l->emits.topic_ids[t]);
    }
    if (made && l->redrive.copies) {
        made = make_topic(l, "copies", COPY_PARTITIONS, NULL, &l->redrive.copies_id);
    }
    if (!made) {
        return false;
    }
    for (uint32_t g = 0; g < l->m.group_count; g++) {
        lease_choose_group(l, &l->m.groups[g], &config);
        if (lease_world_settings(&l->lw, l->m.groups[g].id, &config) != 0) {
            return false;
        }
    }
    l->made = !world_chance(&l->w, 500000) || compact_progress(l);
    return l->made;
}

static void choose_faults(struct lease_life *l)
{
    struct world *w = &l->w;
    world_faults(w, true);
    if (sim_disk_fault_ppm(w->disk, FAULT_DISK_FULL) > 0 && w->disk_bounded) { /* work groups write little */
        sim_disk_capacity(w->disk, sim_disk_used(w->disk) + world_below(w, 1u << 18));
    }
    if (world_chance(w, w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 4000));
    }
}

static void end_life(struct lease_life *l, bool crashed)
{
    struct world *w = &l->w;
    l->boot.stopped = false;
    if (!crashed && world_chance(w, 400000)) {
        bool failed = world_failed_shard(w);
        world_say(w, "stop", failed, 0);
        if (world_stop(w)) {
            l->boot.stopped = !failed && w->stopped_well;
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = sim_disk_crashed(w->disk);
    }
    boot_kill(&l->boot, crashed);
}

/* All that is left becomes finished. */
static void quiet(struct lease_life *l)
{
    struct world *w = &l->w;
    l->behave = true;
    l->lw.serving = true;
    world_say(w, "workers behave", 0, 0);
    /* A clock that was set back holds up events with a time for as long. */
    int64_t late_ns = (int64_t)w->clock_max_ns - ((int64_t)w->clock.now_ns + w->clock.wall_offset);
    w->clock.wall_offset += EL_MAX(late_ns, (int64_t)0);
    if (!lease_acts_end(l) || !lease_topics_end(l)) {
        return;
    }
    uint64_t until_ns = w->clock.now_ns + QUIET_NS_MAX;
    uint64_t most_steps = w->steps + QUIET_STEPS_MAX;
    int64_t left = -1, least = INT64_MAX;
    while (w->violation[0] == 0 && (w->clock.now_ns < until_ns || w->steps < most_steps) && left != 0) {
        for (uint32_t i = 0; i < 400 && w->violation[0] == 0; i++) {
            world_step(w);
        }
        left = w->violation[0] == 0 ? lease_read_starts(l) : -1;
        int ended = left == 0 ? lease_redrives_ended(l) : 0;
        left = ended < 0 ? -1 : left == 0 && ended == 0 ? 1 : left;
        if (left > 0 && left < least) {
            least = left;
            until_ns = w->clock.now_ns + QUIET_NS_MAX;
            most_steps = w->steps + QUIET_STEPS_MAX;
        }
    }
    if (w->violation[0] == 0 && left != 0) {
        world_violation(w, "stuck: %lld events are never finished", (long long)left);
    }
    l->lw.serving = false;
    if (w->violation[0] == 0 && lease_read_letters(l) && lease_read_emits(l, true) && lease_read_copies(l)) {
        lease_redrives_end(l);
        lease_model_end(&l->m);
    }
}

static void init(const struct plan *plan, struct lease_life *l)
{
    struct world *w = &l->w;
    struct el_rng knobs;
    l->plan = *plan;
    world_init(w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    w->trace->print = plan->trace;
    w->mode = plan->mode;
    w->jump_kinds = 2; /* the store forgets producers after a day */
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&w->knobs, &knobs, plan->faults_off);
    for (int i = 0; i < FAULT_COUNT; i++) {
        w->knobs.ppm[i] = sim_fault_applies((enum sim_fault)i, w->mode) ? w->knobs.ppm[i] : 0;
    }
    world_faults(w, false);
    boot_init(&l->boot, w, NULL, &l->plan);
    lease_model_init(&l->m, w);
    l->emits.m = &l->m;
    lease_world_init(&l->lw, w);
    l->lw.step = lease_work_step;
    l->lw.lose = lease_work_lose;
    l->lw.arg = l;
    l->m.topic_count = 1 + (uint32_t)world_below(w, LEASE_TOPICS_MAX);
    l->m.topic_count = (uint32_t)EL_MIN(l->m.topic_count, plan->limits[LIMIT_TOPICS]);
    l->m.partition_count = 1 + (int32_t)world_below(w, LEASE_PARTITIONS_MAX);
    l->m.group_count = 1 + (uint32_t)world_below(w, LEASE_GROUPS_MAX);
    l->worker_count = 1 + (uint32_t)world_below(w, WORKERS_MAX);
    l->redrive.on = world_chance(w, 400000);
    l->redrive.copies = l->redrive.on && world_chance(w, 400000);
    for (uint32_t t = 0; t < l->m.topic_count; t++) {
        snprintf(l->topic_names[t], sizeof(l->topic_names[t]), "t%u", t);
        l->topics.expire[t] = world_chance(w, w->knobs.ppm[FAULT_EVENTS_EXPIRE]) && world_chance(w, 600000);
    }
    for (uint32_t i = 0; i < l->worker_count; i++) {
        l->workers[i].l = l;
        l->workers[i].number = i;
    }
}

/* returns false when the machine crashed */
static bool work_step(struct lease_life *l)
{
    struct world *w = &l->w;
    if (w->disk_bounded && world_chance(w, 500)) {
        world_space_returns(w);
    }
    bool whole = world_step(w);
    if (whole && !l->redrive.on && l->topics.state == TOPICS_WHOLE && world_chance(w, 500)) {
        whole = lease_act(l);
    }
    if (whole && world_chance(w, 500)) {
        whole = lease_read_starts(l) >= 0;
    }
    if (whole && l->redrive.on && !l->redrive.copies && world_chance(w, 2000)) {
        whole = lease_read_letters(l);
    }
    return whole;
}

/* The last bytes of the disk go, and work goes on: the end of the life finds what was told meanwhile. */
static void fill_disk(struct lease_life *l)
{
    struct world *w = &l->w;
    world_say(w, "disk full", 0, 0);
    w->disk_bounded = true;
    sim_disk_capacity(w->disk, sim_disk_used(w->disk));
    for (uint64_t i = 200 + world_below(w, 1500); i > 0 && w->violation[0] == 0; i--) {
        if (!world_step(w)) {
            return;
        }
    }
}

/* Work with faults, and the end of that. */
static void live(struct lease_life *l)
{
    struct world *w = &l->w;
    choose_faults(l);
    uint64_t steps = EL_MIN(500 + world_below(w, 6000), l->plan.limits[LIMIT_STEPS]);
    l->lives++;
    l->steps_longest = EL_MAX(l->steps_longest, steps);
    bool whole = (l->made || make(l)) && lease_read_events(l), failed = false;
    l->lw.serving = true;
    for (uint64_t k = 0; k < steps && whole && w->violation[0] == 0; k++) {
        whole = work_step(l);
        if (whole && !failed && world_failed_shard(w)) {
            failed = true;
            steps = EL_MIN(steps, k + 1 + world_below(w, 1000)); /* it stores nothing any more */
        }
    }
    if (whole && world_chance(w, (l->plan.faults_off >> FAULT_DISK_FULL & 1) == 0 ? 100000 : 0)) {
        fill_disk(l);
    }
    l->lw.serving = false;
    if (w->violation[0] == 0) {
        end_life(l, sim_disk_crashed(w->disk));
        world_faults(w, false);
    }
}

static void run_seed(const struct plan *plan, struct lease_life *l)
{
    struct world *w = &l->w;
    init(plan, l);
    uint64_t lives = EL_MIN(1 + world_below(w, 4), plan->limits[LIMIT_LIVES]);
    for (uint64_t i = 0; i < lives && w->violation[0] == 0 && boot_start(&l->boot); i++) {
        live(l);
    }
    if (w->violation[0] != 0 || !boot_start(&l->boot)) {
        return;
    }
    if ((!l->made && !make(l)) || !lease_read_events(l)) {
        world_violation(w, "no faults any more, but topics and groups cannot be made and read");
    }
    if (w->violation[0] == 0 && lease_read_letters(l)) {
        lease_read_emits(l, false);
    }
    if (w->violation[0] == 0) {
        quiet(l);
    }
}

void lease_trial(const struct plan *plan, struct verdict *v)
{
    struct lease_life *l = calloc(1, sizeof(*l));
    EL_ASSERT(l != NULL);
    run_seed(plan, l);
    if (plan->verbose) {
        printf("  redrives begun %llu, copies %llu\n", (unsigned long long)l->redrive.begun,
               (unsigned long long)l->redrive.copy_count);
    }
    memset(v, 0, sizeof(*v));
    verdict_take(v, &l->w);
    v->batches = l->m.deliveries;
    v->crashes = l->boot.crashes;
    v->answers = l->m.acks;
    v->repeats = l->m.dead;
    v->lives = l->lives;
    v->steps_longest = l->steps_longest;
    world_free(&l->w);
    lease_model_free(&l->m);
    free(l);
}
