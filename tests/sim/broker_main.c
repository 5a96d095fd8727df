/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode broker: the whole broker, network and Kafka clients included.
 *
 * A seed: a broker with 1 to 3 shards and small limits; clients (clients.c) over a network that splits, delays and
 * breaks (sim_net.c), that repeat what they have no answer for; several lives, each ended by a crash at a random disk
 * call, a process that just ends, or a clean stop in the middle of everything, and crashes in recovery. After each
 * start the log is compared with what the clients were told (model.c). Now and then they ask nothing more: then every
 * question must be answered, and every request end.
 */
#include "broker_main.h"

#include "broker.h"
#include <core/assert.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_STEPS_MAX 100000u

struct life {
    struct plan plan;
    struct world w;
    struct model m;
    struct clients clients;
    struct broker broker;
    int32_t epoch; /* leader epoch of the last run */
    bool served;   /* a start succeeded */
    bool stopped;  /* the last run ended with a clean stop */
    uint64_t lives, steps_longest;
    uint32_t crashes;
};

static void say(struct life *l, const char *text)
{
    if (l->w.verbose) {
        printf("  %12llu ns  step %8llu  %s\n", (unsigned long long)l->w.clock.now_ns, (unsigned long long)l->w.steps,
               text);
    }
}

/* Start on what the disk holds; crash in recovery now and then. */
static void start(struct life *l)
{
    struct world *w = &l->w;
    struct el_error err = {0};
    for (int tries = 0;; tries++) {
        if (tries < 3 && world_chance(w, 150000)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 60));
        }
        int code = world_open(w, &err);
        if (code == 0) {
            int32_t epoch = store_leader_epoch(w->store);
            if (epoch < l->epoch || (epoch == l->epoch && l->served && !l->stopped)) {
                world_violation(w, "the leader epoch is %d after %d", epoch, l->epoch);
            }
            l->epoch = epoch;
            l->served = true;
            sim_disk_crash_at(w->disk, 0);
            return;
        }
        if (!sim_disk_crashed(w->disk)) {
            world_violation(w, "a start was refused: %s", err.text);
            return;
        }
        say(l, "crash in recovery");
        sim_disk_fault_count(w->disk, FAULT_CRASH_IN_RECOVERY);
        sim_disk_power_cycle(w->disk);
    }
}

/* Start and compare; clients may connect meanwhile, and ask nothing. returns false after a violation */
static bool verify(struct life *l)
{
    start(l);
    l->clients.idle = true;
    if (l->w.violation[0] == 0) {
        model_check_catalogue(&l->m);
    }
    if (l->w.violation[0] == 0) {
        model_check_log(&l->m);
    }
    l->clients.idle = false;
    return l->w.violation[0] == 0;
}

static void fault_set(struct life *l, enum sim_fault fault, uint32_t ppm)
{
    sim_disk_fault_set(l->w.disk, fault, (l->plan.faults_off >> fault & 1) == 0 ? ppm : 0);
}

static void choose_disk_faults(struct life *l)
{
    struct world *w = &l->w;
    if (world_chance(w, 150000)) {
        fault_set(l, FAULT_WRITE_ERROR, 200);
        fault_set(l, FAULT_SYNC_ERROR, 2000);
        fault_set(l, FAULT_SYNC_ALL_ERROR, 2000);
        fault_set(l, FAULT_SYNC_DIR_ERROR, 2000);
        fault_set(l, FAULT_SHORT_WRITE, 100);
    }
    if (world_chance(w, (l->plan.faults_off >> FAULT_DISK_FULL & 1) == 0 ? 150000 : 0)) {
        uint64_t room = world_below(w, world_chance(w, 500000) ? 2u << 20 : 256u << 10);
        sim_disk_capacity(w->disk, sim_disk_used(w->disk) + (1u << 20) + room);
        fault_set(l, FAULT_FULL_LATE, world_chance(w, 500000) ? 3000 : 0);
        w->disk_bounded = true;
    }
    w->read_errors = world_chance(w, 50000);
    fault_set(l, FAULT_READ_ERROR, w->read_errors ? 5000 : 0);
}

static void choose_faults(struct life *l)
{
    struct world *w = &l->w;
    choose_disk_faults(l);
    fault_set(l, FAULT_CLOCK_FORWARD, 100);
    fault_set(l, FAULT_CLOCK_BACK, 100);
    struct sim_net_faults net = {.small = 50000, .slow = 20000};
    bool calm = world_chance(w, 200000);
    if (!calm) {
        net.reset = (uint32_t)world_below(w, 5000);
        net.accept_error = world_chance(w, 300000) ? 50000 : 0;
        net.slow = (uint32_t)world_below(w, 300000);
        net.small = (uint32_t)world_below(w, 500000);
    }
    sim_net_faults(w->net, &net);
    w->peer_faults = (struct peer_faults){0};
    if (!calm) {
        w->peer_faults.lose = (uint32_t)world_below(w, 2000);
        w->peer_faults.half_close = (uint32_t)world_below(w, 500);
        w->peer_faults.pause = (uint32_t)world_below(w, 2000);
    }
    if (world_chance(w, w->disk_bounded ? 200000 : 600000)) { /* a full disk is to stay for a stop */
        sim_disk_crash_at(w->disk, 1 + world_below(w, 3000));
    }
}

static void end_faults(struct life *l)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (sim_fault_table[i].scope != SCOPE_SEED) {
            fault_set(l, (enum sim_fault)i, 0);
        }
    }
    sim_disk_capacity(l->w.disk, 0);
    sim_net_faults(l->w.net, &(struct sim_net_faults){0});
    l->w.peer_faults = (struct peer_faults){0};
    l->w.read_errors = l->w.disk_bounded = false;
}

/* With nothing more asked, everything is answered and every request ends. returns false when the machine crashed */
static bool settle(struct life *l)
{
    l->clients.idle = true;
    for (uint32_t i = 0; i < QUIET_STEPS_MAX && clients_waiting(&l->clients) != NULL; i++) {
        if (!world_step(&l->w)) {
            return false;
        }
    }
    const struct peer *waiting = clients_waiting(&l->clients);
    if (waiting != NULL) {
        world_violation(&l->w, "stuck: client %u has no answer to %s", waiting->client, waiting->asked[0].api->name);
    }
    for (uint32_t i = 0; i < QUIET_STEPS_MAX && broker_requests(&l->broker) > 0; i++) {
        if (!world_step(&l->w)) {
            return false;
        }
    }
    if (l->w.violation[0] == 0 && broker_requests(&l->broker) > 0) {
        world_violation(&l->w, "%u requests are left, and nobody waits for them", broker_requests(&l->broker));
    }
    l->clients.idle = false;
    return true;
}

/* Without faults all members come together again. returns false when the machine crashed */
static bool groups_recover(struct life *l)
{
    struct world *w = &l->w;
    if (world_failed_shard(w) || w->memory_tight) {
        return true; /* what fails by promise */
    }
    say(l, "members behave");
    clients_behave(&l->clients, true);
    for (uint32_t i = 0; i < QUIET_STEPS_MAX && w->violation[0] == 0 && !members_settled(&l->clients); i++) {
        if (!world_step(w)) {
            return false;
        }
    }
    if (w->violation[0] == 0 && !members_settled(&l->clients) && !world_failed_shard(w)) {
        world_violation(w, "stuck: the groups do not come together");
    }
    clients_behave(&l->clients, false);
    return true;
}

/* The same when all faults have ceased. */
static bool quiet(struct life *l)
{
    end_faults(l);
    return settle(l) && (l->w.violation[0] != 0 || (groups_recover(l) && (l->w.violation[0] != 0 || settle(l))));
}

/* Work until the crash, or for so many steps. returns false when the machine crashed */
static bool work(struct life *l, uint64_t steps)
{
    for (uint64_t i = 0; i < steps && l->w.violation[0] == 0; i++) {
        bool lull = world_chance(&l->w, 1500) && !l->w.disk_bounded; /* a full disk may answer nothing */
        if (lull ? !settle(l) : !world_step(&l->w)) {
            return false;
        }
    }
    return l->w.violation[0] != 0 || !world_chance(&l->w, 300000) || quiet(l);
}

/* The last bytes of the disk go, and clients go on, so that a stop finds appends that wait for room. returns false when
 * the machine crashed */
static bool fill_disk(struct life *l)
{
    struct world *w = &l->w;
    say(l, "disk full");
    w->disk_bounded = true;
    sim_disk_capacity(w->disk, sim_disk_used(w->disk));
    for (uint64_t i = 200 + world_below(w, 1500); i > 0 && w->violation[0] == 0; i--) {
        if (!world_step(w)) {
            return false;
        }
    }
    return true;
}

static void end_life(struct life *l, bool crashed)
{
    struct world *w = &l->w;
    l->stopped = false;
    if (!crashed && world_chance(w, 100000)) {
        crashed = !fill_disk(l);
    }
    if (w->violation[0] != 0) {
        return;
    }
    if (!crashed && world_chance(w, w->disk_bounded ? 800000 : 400000)) {
        bool failed = world_failed_shard(w);
        say(l, "stop");
        if (world_stop(w)) {
            l->stopped = !failed && w->stopped_well;
            if (!l->stopped) {
                model_forget(&l->m);
            }
            sim_disk_process_exit(w->disk);
            return;
        }
        if (w->violation[0] != 0) {
            return;
        }
        crashed = sim_disk_crashed(w->disk);
    }
    world_abandon(w);
    model_forget(&l->m);
    l->crashes++;
    if (crashed) {
        sim_disk_fault_count(w->disk, FAULT_CRASH);
    }
    if (!crashed && world_chance(w, 400000)) {
        say(l, "process ended");
        sim_disk_fault_count(w->disk, FAULT_PROCESS_EXIT);
        sim_disk_process_exit(w->disk);
    } else {
        say(l, "power cut");
        sim_disk_power_cycle(w->disk);
    }
}

static void run_seed(const struct plan *plan, struct life *l)
{
    memset(l, 0, sizeof(*l));
    l->plan = *plan;
    world_init(&l->w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    l->w.trace->print = plan->trace;
    l->w.jump_kinds = 2; /* clients do not know that the store may have forgotten them after a day */
    fault_set(l, FAULT_JOB_PAUSE, world_chance(&l->w, 300000) ? 0 : 50000 + (uint32_t)world_below(&l->w, 400000));
    fault_set(l, FAULT_SLOW_IO, 20000);
    fault_set(l, FAULT_REORDER, SIM_PPM);
    l->w.net = sim_net_create(&l->w.clock, &l->w.rng, l->w.trace);
    model_init(&l->m, &l->w);
    clients_init(&l->clients, &l->m);
    broker_init(&l->broker, &l->w, &l->clients);
    uint64_t lives = EL_MIN(1 + world_below(&l->w, 4), plan->limits[LIMIT_LIVES]);
    for (uint64_t i = 0; i < lives && l->w.violation[0] == 0 && verify(l); i++) {
        choose_faults(l);
        uint64_t steps = EL_MIN(500 + world_below(&l->w, 4000), plan->limits[LIMIT_STEPS]);
        l->lives++;
        l->steps_longest = EL_MAX(l->steps_longest, steps);
        bool whole = work(l, steps);
        if (l->w.violation[0] != 0) {
            return;
        }
        end_life(l, !whole);
        end_faults(l);
    }
    if (l->w.violation[0] == 0 && verify(l)) {
        quiet(l);
    }
}

static void end_seed(struct life *l)
{
    world_free(&l->w); /* which tells the clients that all is lost */
    clients_free(&l->clients);
    sim_net_free(l->w.net);
    model_free(&l->m);
}

void broker_trial(const struct plan *plan, struct verdict *v)
{
    struct life *l = malloc(sizeof(*l));
    EL_ASSERT(l != NULL);
    run_seed(plan, l);
    *v = (struct verdict){
        .seed = plan->seed,
        .good = l->w.violation[0] == 0,
        .hash = l->w.trace->hash,
        .event_count = l->w.trace->event_count,
        .steps = l->w.steps,
        .batches = l->m.events_stored,
        .crashes = l->crashes,
        .virtual_ns = l->w.clock.now_ns,
        .answers = l->clients.answers,
        .repeats = l->clients.repeats,
        .lost = clients_lost(&l->clients),
        .lives = l->lives,
        .steps_longest = l->steps_longest,
        .shards = l->w.shard_count,
    };
    memcpy(v->faults, sim_disk_fault_counts(l->w.disk), sizeof(v->faults));
    snprintf(v->text, sizeof(v->text), "%s", l->w.violation);
    end_seed(l);
    free(l);
}
