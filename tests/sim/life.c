/* SPDX-License-Identifier: Apache-2.0
 *
 * The lives of a seed: start on what the disk holds, compare the log with what the clients know, work, end.
 */
#include "life.h"

#include <stdio.h>

void life_say(struct life *l, const char *text, long long a, long long b)
{
    if (l->w.verbose) {
        printf("  %12llu ns  step %8llu  %s %lld %lld\n", (unsigned long long)l->w.clock.now_ns,
               (unsigned long long)l->w.steps, text, a, b);
    }
}

/* Start on what the disk holds; crash in recovery now and then. returns false when the start was refused */
static bool start(struct life *l)
{
    struct world *w = &l->w;
    struct el_error err = {0};
    if (l->begun && w->shard_count < WORLD_SHARDS_MAX && world_chance(w, 60000)) {
        w->cfg.shard_count = ++w->shard_count;
        life_say(l, "one shard more", w->shard_count, 0);
    }
    l->begun = true;
    for (int tries = 0;; tries++) {
        if (tries < 3 && l->rot.path[0] == 0 && world_chance(w, 200000)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 60));
        }
        int code = world_open(w, &err);
        SIM_TRACE(w->trace, "open", (uint64_t)code);
        if (code == 0) {
            int32_t epoch = store_leader_epoch(w->store);
            if (epoch < l->epoch || (epoch == l->epoch && l->served && !l->stopped)) {
                world_violation(w, "the leader epoch is %d after %d", epoch, l->epoch);
            }
            l->epoch = epoch;
            l->served = true;
            sim_disk_crash_at(w->disk, 0);
            l->rot.path[0] = 0;
            return true;
        }
        if (!sim_disk_crashed(w->disk)) {
            bool rotten = l->rot.path[0] != 0 && !l->rot.harmless &&
                          (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
            if (rotten) {
                life_say(l, "refused what has rotted", (long long)l->rot.pos, 0);
                l->refused_starts++;
                rot_undo(w, &l->rot); /* nothing else was changed: with the right byte all is well */
                l->rot.path[0] = 0;
                sim_disk_process_exit(w->disk);
                continue;
            }
            if (!w->lying) {
                world_violation(w, "a start was refused: %s", err.text);
            }
            l->refused_starts++;
            return false;
        }
        life_say(l, "crash in recovery", tries, 0);
        sim_disk_power_cycle(w->disk);
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
    if (w->violation[0] == 0 && model_check_log(&l->m) && digest != l->m.digest) {
        world_violation(w, "a second recovery gave another log");
    }
    return w->violation[0] == 0;
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
    if (!crashed && world_chance(w, 400000)) {
        life_say(l, "process ended", 0, 0);
        sim_disk_process_exit(w->disk);
    } else {
        life_say(l, "power cut", (long long)sim_disk_calls(w->disk), 0);
        sim_disk_power_cycle(w->disk);
    }
}

static void choose_faults(struct life *l)
{
    struct world *w = &l->w;
    struct sim_faults faults = {0};
    if (world_chance(w, 200000)) {
        faults.write_error = 200;
        faults.sync_error = 2000;
        faults.short_write = 100;
    }
    if (world_chance(w, 100000)) {
        faults.capacity = sim_disk_used(w->disk) + (1u << 20) + world_below(w, 2u << 20);
        faults.late_full = world_chance(w, 500000) ? 3000 : 0;
    }
    w->read_errors = world_chance(w, 50000);
    faults.read_error = w->read_errors ? 5000 : 0;
    w->disk_bounded = faults.capacity > 0;
    if (w->lying) {
        faults.lost_write = 500;
        faults.misdirected = 500;
    }
    sim_disk_faults(w->disk, &faults);
    if (world_chance(w, 700000)) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 3000));
    }
}

bool life_run(struct life *l, const struct plan *plan)
{
    memset(l, 0, sizeof(*l));
    world_init(&l->w, plan->seed, plan->verbose);
    l->w.trace->print = plan->trace;
    l->w.lying = world_chance(&l->w, 50000);
    l->rots = !l->w.lying && world_chance(&l->w, 50000);
    model_init(&l->m, &l->w);
    producers_init(&l->producers, &l->m);
    readers_init(&l->readers, &l->m);
    uint32_t lives = 1 + (uint32_t)world_below(&l->w, 5);
    bool up = true;
    for (uint32_t i = 0; i < lives && up && l->w.violation[0] == 0; i++) {
        up = verify(l);
        if (up) {
            choose_faults(l);
            bool whole = script_work(l, 500 + world_below(&l->w, 4000));
            end_life(l, !whole);
            sim_disk_faults(l->w.disk, &(struct sim_faults){0});
            l->w.read_errors = false;
            if (l->rots && world_chance(&l->w, 600000)) {
                l->rot = rot_make(&l->w, l->stopped);
                life_say(l, l->rot.path, (long long)l->rot.pos, l->rot.harmless);
            }
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
    model_free(&l->m);
}
