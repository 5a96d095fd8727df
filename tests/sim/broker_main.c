/* SPDX-License-Identifier: Apache-2.0
 *
 * evlog-sim --mode broker: the whole broker, network and Kafka clients included.
 *
 * A seed: a broker with 1 to 3 shards and small limits; clients (clients.c) over a network that splits, delays and
 * breaks (sim_net.c), that repeat what they have no answer for; several lives, each ended by a crash at a random disk
 * call, a process that just ends, or a clean stop in the middle of everything, and crashes in recovery. What fails on
 * the way is in the table of faults.c. After each start the log is compared with what the clients were told (model.c).
 * Now and then they ask nothing more: then every question must be answered, and every request end.
 */
#include "broker_main.h"

#include "audits.h"
#include "boot.h"
#include "broker.h"
#include <core/assert.h>
#include <stdlib.h>

#define QUIET_STEPS_MAX 100000u
#define SECOND_NS 1000000000ull
#define LETTER_LEN_MAX 100000 /* of a dead letter: a limit below it may hold letters up */
#define LIES_MORE 40u         /* a life has fewer durable writes than one of the store alone */

struct life {
    struct plan plan;
    struct world w;
    struct model m;
    struct boot boot;
    struct clients clients;
    struct broker broker;
    uint64_t lives, steps_longest;
};

/* Step until nothing of it is left: for so many steps, and as long as what is stuck on the disk takes. returns false
 * when the machine crashed */
static bool step_while(struct life *l, bool (*is_left)(const struct life *l))
{
    uint64_t until_ns = l->w.clock.now_ns + WORLD_WAIT_NS_MIN;
    for (uint32_t i = 0; i < QUIET_STEPS_MAX || l->w.clock.now_ns < until_ns; i++) {
        if (l->w.violation[0] != 0 || !is_left(l)) {
            return true;
        }
        if (!world_step(&l->w)) {
            return false;
        }
    }
    return true;
}

static bool access_is_unread(const struct life *l)
{
    return broker_access_unread(&l->broker);
}

/* Users and access rules are what wardens were told. Nothing crashes here. */
static void check_access(struct life *l)
{
    bool runs = step_while(l, access_is_unread);
    EL_ASSERT(runs);
    if (access_is_unread(l) && l->w.violation[0] == 0) {
        world_violation(&l->w, "stuck: users and access rules are not read");
    }
    broker_access_check(&l->broker);
}

/* Start and compare; clients may connect meanwhile, and ask nothing. returns false when the start was refused or a
 * promise is broken */
static bool verify(struct life *l)
{
    if (!boot_start(&l->boot)) {
        return false;
    }
    clients_restart(&l->clients);
    l->clients.idle = true;
    if (l->w.violation[0] == 0) {
        model_check_catalogue(&l->m);
    }
    if (l->w.violation[0] == 0) {
        model_check_log(&l->m);
    }
    if (l->w.violation[0] == 0) {
        audits_check(l->w.audits);
    }
    if (l->w.violation[0] == 0) {
        check_access(l);
    }
    for (uint32_t i = 0; i < SHARE_GROUPS && l->w.violation[0] == 0; i++) {
        if (!share_group_letters(&l->clients.shares[i], &l->m)) {
            break;
        }
    }
    l->clients.idle = false;
    return l->w.violation[0] == 0;
}

static bool somebody_waits(const struct life *l)
{
    return clients_waiting(&l->clients) != NULL;
}

static bool requests_are_left(const struct life *l)
{
    return broker_requests(&l->broker) > 0;
}

static bool work_is_left(const struct life *l)
{
    return !clients_shared(&l->clients);
}

static bool members_are_apart(const struct life *l)
{
    return !members_settled(&l->clients);
}

/* With nothing more asked, everything is answered and every request ends. returns false when the machine crashed */
static bool settle(struct life *l)
{
    l->clients.idle = true;
    if (!step_while(l, somebody_waits)) {
        return false;
    }
    const struct peer *waiting = clients_waiting(&l->clients);
    if (waiting != NULL) {
        world_violation(&l->w, "stuck: client %u has no answer to %s", waiting->client, waiting->asked[0].api->name);
    }
    if (!step_while(l, requests_are_left)) {
        return false;
    }
    if (requests_are_left(l)) {
        world_violation(&l->w, "%u requests are left, and nobody waits for them", broker_requests(&l->broker));
    }
    l->clients.idle = false;
    return true;
}

/* Without faults all members come together again. returns false when the machine crashed */
static bool groups_recover(struct life *l)
{
    struct world *w = &l->w;
    if (world_failed_shard(w) || w->memory_tight || w->lying || w->rotten > 0) {
        return true; /* what fails by promise */
    }
    world_say(w, "members behave", 0, 0);
    clients_behave(&l->clients, true);
    bool runs = step_while(l, members_are_apart);
    clients_behave(&l->clients, false);
    if (runs && members_are_apart(l) && !world_failed_shard(w)) {
        world_violation(w, "stuck: the groups do not come together");
    }
    return runs;
}

/* Without faults everything is done that share groups had to do. returns false when the machine crashed */
static bool work_is_finished(struct life *l)
{
    struct world *w = &l->w;
    bool bounded = rule_least(&l->broker.rules, RULE_BATCH_LEN, l->broker.rules.done) < LETTER_LEN_MAX;
    if (world_failed_shard(w) || w->memory_tight || w->lying || w->rotten > 0 || bounded) {
        return true; /* what fails by promise */
    }
    world_say(w, "share groups behave", 0, 0);
    clients_share(&l->clients, true);
    if (!step_while(l, work_is_left)) {
        return false;
    }
    bool left = work_is_left(l);
    l->clients.idle = true; /* nothing new comes before it has been looked at */
    clients_share(&l->clients, false);
    if (left && !world_failed_shard(w)) {
        world_violation(w, "stuck: share groups do not come to their end");
    }
    for (uint32_t i = 0; i < SHARE_GROUPS && !left && w->violation[0] == 0; i++) {
        w->events[EVENT_SHARE_FINISHED]++;
        if (!share_group_letters(&l->clients.shares[i], &l->m)) {
            return false;
        }
        share_group_end(&l->clients.shares[i], &l->m);
    }
    l->clients.idle = false;
    return true;
}

/* The same when all faults have ceased. */
static bool quiet(struct life *l)
{
    bool (*const phases[])(struct life *) = {settle, groups_recover, settle, work_is_finished, settle};
    bool no_files = l->w.no_files, read_errors = l->w.read_errors;
    world_faults(&l->w, false);
    l->w.no_files = no_files; /* what is under way may have met them */
    l->w.read_errors = read_errors;
    for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]) && l->w.violation[0] == 0; i++) {
        if (!phases[i](l)) {
            return false;
        }
        l->w.no_files = l->w.read_errors = false;
    }
    return true;
}

/* Nobody asks anything for a long time: members are forgotten, commits and tombstones grow old. returns false when the
 * machine crashed */
static bool night(struct life *l)
{
    uint64_t until_ns = l->w.clock.now_ns + (60 + world_below(&l->w, 120)) * SECOND_NS;
    world_say(&l->w, "night", 0, 0);
    l->clients.idle = true;
    while (l->w.clock.now_ns < until_ns && l->w.violation[0] == 0) {
        if (!world_step(&l->w)) {
            return false;
        }
    }
    l->clients.idle = false;
    return true;
}

/* returns false when the machine crashed */
static bool work_step(struct life *l)
{
    struct world *w = &l->w;
    if (sim_disk_fault(w->disk, FAULT_NIGHT)) {
        return night(l);
    }
    bool lull = world_chance(w, 1500) && !w->disk_bounded; /* a full disk may answer nothing */
    return lull ? settle(l) : world_step(w);
}

/* Work until the crash, or for so many steps. returns false when the machine crashed */
static bool work(struct life *l, uint64_t steps)
{
    for (uint64_t i = 0; i < steps && l->w.violation[0] == 0; i++) {
        if (!work_step(l)) {
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
    world_say(w, "disk full", 0, 0);
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
    l->boot.stopped = false;
    if (!crashed && world_chance(w, (l->plan.faults_off >> FAULT_DISK_FULL & 1) == 0 ? 100000 : 0)) {
        crashed = !fill_disk(l);
    }
    if (w->violation[0] != 0) {
        return;
    }
    if (!crashed && world_chance(w, w->disk_bounded ? 800000 : 400000)) {
        bool failed = world_failed_shard(w);
        world_say(w, "stop", failed, 0);
        if (world_stop(w)) {
            l->boot.stopped = !failed && w->stopped_well;
            if (!l->boot.stopped) {
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
    boot_kill(&l->boot, crashed);
}

static void live(struct life *l)
{
    struct world *w = &l->w;
    world_faults(w, true);
    if (world_chance(w, w->disk_bounded ? w->knobs.ppm[FAULT_CRASH] / 4 : w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 3000)); /* a full disk is to stay for a stop */
    }
    uint64_t steps = EL_MIN(500 + world_below(w, 4000), l->plan.limits[LIMIT_STEPS]);
    l->lives++;
    l->steps_longest = EL_MAX(l->steps_longest, steps);
    bool whole = work(l, steps);
    if (w->violation[0] != 0) {
        return;
    }
    end_life(l, !whole);
    world_faults(w, false);
    boot_rot(&l->boot);
}

static void run_seed(const struct plan *plan, struct life *l)
{
    struct el_rng knobs;
    memset(l, 0, sizeof(*l));
    l->plan = *plan;
    world_init(&l->w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    l->w.trace->print = plan->trace;
    l->w.mode = plan->mode;
    l->w.jump_kinds = 2; /* clients do not know that the store may have forgotten them after a day */
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&l->w.knobs, &knobs, plan->faults_off);
    l->w.knobs.ppm[FAULT_LOST_WRITE] *= LIES_MORE;
    l->w.knobs.ppm[FAULT_MISDIRECTED_WRITE] *= LIES_MORE;
    l->w.lying = l->w.knobs.lying;
    l->w.net = sim_net_create(&l->w.clock, &l->w.rng, l->w.disk);
    model_init(&l->m, &l->w);
    l->w.audits = audits_create(&l->m);
    boot_init(&l->boot, &l->w, &l->m, &l->plan);
    clients_init(&l->clients, &l->m);
    broker_init(&l->broker, &l->w, &l->clients);
    world_faults(&l->w, false);
    uint64_t lives = EL_MIN(1 + world_below(&l->w, 4), plan->limits[LIMIT_LIVES]);
    bool up = true;
    for (uint64_t i = 0; i < lives && up && l->w.violation[0] == 0; i++) {
        up = verify(l);
        if (up) {
            live(l);
        }
    }
    if (up && l->w.violation[0] == 0 && verify(l)) {
        quiet(l);
    }
}

static void end_seed(struct life *l)
{
    world_free(&l->w); /* which tells the clients that all is lost */
    clients_free(&l->clients);
    audits_free(l->w.audits);
    sim_net_free(l->w.net);
    model_free(&l->m);
}

void broker_trial(const struct plan *plan, struct verdict *v)
{
    struct life *l = malloc(sizeof(*l));
    EL_ASSERT(l != NULL);
    run_seed(plan, l);
    memset(v, 0, sizeof(*v));
    verdict_take(v, &l->w);
    v->batches = l->m.events_stored;
    v->crashes = l->boot.crashes;
    v->answers = l->clients.answers;
    v->repeats = l->clients.repeats;
    v->lost = clients_lost(&l->clients);
    v->lives = l->lives;
    v->steps_longest = l->steps_longest;
    end_seed(l);
    free(l);
}
