/* SPDX-License-Identifier: Apache-2.0
 *
 * The lives of a seed: start on what the disk holds, compare the log with what the clients know, work, end.
 */
#include "life.h"

#include <stdio.h>

#define DAY_NS (86400ull * 1000000000)

void life_say(struct life *l, const char *text, long long a, long long b)
{
    if (l->w.verbose) {
        printf("  %12llu ns  step %8llu  %s %lld %lld\n", (unsigned long long)l->w.clock.now_ns,
               (unsigned long long)l->w.steps, text, a, b);
    }
}

/* The clock of a machine that was off, or whose store was, need not be where it was. */
static void clock_while_down(struct life *l)
{
    struct world *w = &l->w;
    if (sim_disk_fault(w->disk, FAULT_CLOCK_RESTART_FORWARD)) {
        world_clock_jump(w, true);
    }
    if (sim_disk_fault(w->disk, FAULT_CLOCK_RESTART_BACK)) {
        world_clock_jump(w, false);
    }
    uint64_t stored_ns = model_last_append_ns(&l->m);
    if (stored_ns > 0 && sim_disk_fault(w->disk, FAULT_CLOCK_BELOW_STORED)) {
        w->clock.wall_offset = (int64_t)(stored_ns - 1 - world_below(w, 2 * DAY_NS)) - (int64_t)w->clock.now_ns;
        w->clock_jumped = true;
    }
}

/* A start was refused. returns true when there was a reason that has been taken away: it must succeed now */
static bool refusal_mended(struct life *l, int code, bool errors)
{
    struct world *w = &l->w;
    l->refused_starts++;
    bool rotten = l->rot.path[0] != 0 && !l->rot.harmless && (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
    if (rotten) {
        life_say(l, "refused what has rotted", (long long)l->rot.pos, 0);
        rot_undo(w, &l->rot); /* nothing else was changed: with the right byte all is well */
        l->rot.path[0] = 0;
        sim_disk_process_exit(w->disk);
        return true;
    }
    if (code == EVLOG_ERR_POLICY && w->clock_jumped && !w->cfg.accept_clock) {
        life_say(l, "refused the clock", 0, 0);
        w->cfg.accept_clock = true; /* for this start */
        sim_disk_process_exit(w->disk);
        return true;
    }
    if (errors) {
        life_say(l, "refused for errors of the disk", code, 0);
        if (world_chance(w, 500000)) {
            sim_disk_process_exit(w->disk);
        } else {
            sim_disk_power_cycle(w->disk);
        }
        return true;
    }
    return false;
}

static void started(struct life *l)
{
    struct world *w = &l->w;
    int32_t epoch = store_leader_epoch(w->store);
    bool repeated = epoch < l->epoch || (epoch == l->epoch && l->served && !l->stopped);
    if (repeated && !w->lying) {
        world_violation(w, "the leader epoch is %d after %d", epoch, l->epoch);
    }
    l->epoch = epoch;
    l->served = true;
    sim_disk_crash_at(w->disk, 0);
    l->rot.path[0] = 0;
    producers_forget_silent(&l->producers);
}

/* Start on what the disk holds; crash in recovery now and then, or have the disk fail. returns false when the start was
 * refused */
static bool start(struct life *l)
{
    struct world *w = &l->w;
    if (l->begun && w->shard_count < EL_MIN(l->plan.limits[LIMIT_SHARDS], WORLD_SHARDS_MAX) && world_chance(w, 60000)) {
        w->cfg.shard_count = ++w->shard_count;
        life_say(l, "one shard more", w->shard_count, 0);
    }
    if (l->begun) {
        clock_while_down(l);
    }
    l->begun = true;
    w->cfg.accept_clock = world_chance(w, 300000);
    for (int tries = 0;; tries++) {
        struct el_error err = {0};
        bool disturbed = tries < 3 && l->rot.path[0] == 0;
        if (disturbed && sim_disk_fault(w->disk, FAULT_CRASH_IN_RECOVERY)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 60));
        }
        bool errors = disturbed && sim_disk_fault(w->disk, FAULT_ERRORS_IN_RECOVERY);
        world_faults(w, errors);
        int code = world_open(w, &err);
        world_faults(w, false);
        SIM_TRACE(w->trace, "open", (uint64_t)code);
        if (code == 0) {
            started(l);
            return true;
        }
        if (sim_disk_crashed(w->disk)) {
            life_say(l, "crash in recovery", tries, 0);
            sim_disk_power_cycle(w->disk);
        } else if (!refusal_mended(l, code, errors)) {
            if (!w->lying) {
                world_violation(w, "a start was refused: %s", err.text);
            }
            return false;
        }
    }
}

/* Recover, look, end without a word, recover again: the same must be there. */
static bool verify(struct life *l)
{
    struct world *w = &l->w;
    if (!start(l)) {
        return false;
    }
    model_check_catalogue(&l->m);
    readers_reset(&l->readers);
    producers_restart(&l->producers);
    if (w->violation[0] != 0 || !model_check_log(&l->m)) {
        return false;
    }
    if (!world_chance(w, 300000)) {
        return true;
    }
    uint64_t digest = l->m.digest;
    l->stopped = false;
    world_abandon(w);
    model_forget(&l->m);
    sim_disk_power_cycle(w->disk);
    if (!start(l)) {
        return false;
    }
    model_check_catalogue(&l->m);
    if (w->violation[0] == 0 && model_check_log(&l->m) && digest != l->m.digest &&
        w->knobs.ppm[FAULT_LYING_FLUSH] == 0) {
        world_violation(w, "a second recovery gave another log");
    }
    return w->violation[0] == 0;
}

bool life_again(struct life *l)
{
    l->stopped = false;
    world_abandon(&l->w);
    model_forget(&l->m);
    sim_disk_process_exit(l->w.disk);
    return verify(l);
}

static void end_life(struct life *l, bool crashed)
{
    struct world *w = &l->w;
    if (w->violation[0] != 0) {
        return;
    }
    l->stopped = false;
    if (!crashed && world_chance(w, 300000)) {
        bool failed = world_failed_shard(w);
        life_say(l, "stop", failed, 0);
        if (world_stop(w)) {
            l->stopped = !failed && w->stopped_well;
            if (script_waits(l)) {
                world_violation(w, "a stop left something without an answer");
            }
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
    if (!crashed && sim_disk_fault(w->disk, FAULT_PROCESS_EXIT)) {
        life_say(l, "process ended", 0, 0);
        sim_disk_process_exit(w->disk);
    } else {
        life_say(l, "power cut", (long long)sim_disk_calls(w->disk), 0);
        sim_disk_power_cycle(w->disk);
    }
}

/* Work with faults, and the end of that. */
static void live(struct life *l, bool liveness)
{
    struct world *w = &l->w;
    world_faults(w, true);
    if (world_chance(w, liveness ? 0 : w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 3000));
    }
    bool whole = script_work(l, 500 + world_below(w, 4000));
    if (liveness && whole && w->violation[0] == 0) {
        life_liveness(l);
        return;
    }
    end_life(l, !whole);
    world_faults(w, false);
    if (world_chance(w, w->knobs.ppm[FAULT_BIT_FLIP])) {
        l->rot = rot_make(w, l->stopped);
        life_say(l, l->rot.path, (long long)l->rot.pos, l->rot.harmless);
    }
}

bool life_run(struct life *l, const struct plan *plan)
{
    struct el_rng knobs;
    memset(l, 0, sizeof(*l));
    l->plan = *plan;
    world_init(&l->w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    l->w.trace->print = plan->trace;
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&l->w.knobs, &knobs, plan->faults_off);
    l->w.lying = l->w.knobs.lying;
    world_faults(&l->w, false);
    model_init(&l->m, &l->w);
    producers_init(&l->producers, &l->m, plan->limits[LIMIT_PRODUCERS]);
    readers_init(&l->readers, &l->m, plan->limits[LIMIT_READERS]);
    uint32_t lives = 1 + (uint32_t)world_below(&l->w, 5);
    lives = (uint32_t)EL_MIN(lives, plan->limits[LIMIT_LIVES]);
    bool up = true;
    for (uint32_t i = 0; i < lives && up && l->w.violation[0] == 0; i++) {
        l->lives++;
        up = verify(l);
        if (up) {
            live(l, l->w.knobs.live && i + 1 == lives);
        }
    }
    if (up && l->w.violation[0] == 0) {
        verify(l);
    }
    return l->w.violation[0] == 0;
}

void life_free(struct life *l)
{
    producers_restart(&l->producers); /* frees what is in flight */
    world_free(&l->w);
    life_liveness_free(l);
    model_free(&l->m);
}
