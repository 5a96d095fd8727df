/* SPDX-License-Identifier: Apache-2.0
 *
 * The lives of a seed: start on what the disk holds, compare the log with what the clients know, work, end.
 */
#include "life.h"

#include "sim_tier.h"

#define REDACTS_PPM 600000u

/* returns false when the start was refused */
static bool start(struct life *l)
{
    bool up = boot_start(&l->boot);
    if (up) {
        producers_forget_silent(&l->producers);
    }
    return up;
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
    redacts_restart(&l->redacts);
    producers_restart(&l->producers);
    redacts_check(&l->redacts);
    if (w->violation[0] != 0 || !model_check_log(&l->m)) {
        return false;
    }
    if (!world_chance(w, 300000)) {
        return true;
    }
    uint64_t digest = l->m.digest;
    l->boot.stopped = false;
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
    l->boot.stopped = false;
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
    l->boot.stopped = false;
    if (!crashed && world_chance(w, 300000)) {
        bool failed = world_failed_shard(w);
        world_say(&l->w, "stop", failed, 0);
        if (world_stop(w)) {
            l->boot.stopped = !failed && w->stopped_well;
            if (script_waits(l)) {
                world_violation(w, "a stop left something without an answer");
            }
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

/* Work with faults, and the end of that. */
static void live(struct life *l, bool liveness)
{
    struct world *w = &l->w;
    world_faults(w, true);
    if (world_chance(w, liveness ? 0 : w->knobs.ppm[FAULT_CRASH])) {
        sim_disk_crash_at(w->disk, 1 + world_below(w, 3000));
    }
    l->redacts.calm = liveness;
    bool whole = script_work(l, 500 + world_below(w, 4000));
    if (liveness && whole && w->violation[0] == 0) {
        life_liveness(l);
        return;
    }
    end_life(l, !whole);
    world_faults(w, false);
    boot_rot(&l->boot);
}

/* What was to be redacted is, and still is after a power cut. */
static void redact_all(struct life *l)
{
    if (l->m.gone_count == 0 || !redacts_finish(&l->redacts)) {
        return;
    }
    l->boot.stopped = false;
    world_abandon(&l->w);
    model_forget(&l->m);
    sim_disk_power_cycle(l->w.disk);
    verify(l);
}

void life_run(struct life *l, const struct plan *plan)
{
    struct el_rng knobs;
    memset(l, 0, sizeof(*l));
    l->plan = *plan;
    world_init(&l->w, plan->seed, (uint32_t)EL_MIN(plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX), plan->verbose);
    l->w.trace->print = plan->trace;
    el_rng_seed(&knobs, ~plan->seed);
    sim_knobs_draw(&l->w.knobs, &knobs, plan->faults_off);
    l->w.lying = l->w.knobs.lying;
    l->w.tier = l->w.knobs.archive ? sim_tier_create(&l->w) : NULL;
    world_faults(&l->w, false);
    model_init(&l->m, &l->w);
    if (l->w.tier != NULL) {
        sim_tier_deleted(l->w.tier, model_deleted, &l->m);
    }
    boot_init(&l->boot, &l->w, &l->m, &l->plan);
    producers_init(&l->producers, &l->m, plan->limits[LIMIT_PRODUCERS]);
    readers_init(&l->readers, &l->m, plan->limits[LIMIT_READERS]);
    bool redacts = el_rng_chance(&knobs, REDACTS_PPM) && !l->w.lying && !l->w.knobs.rots && l->w.tier == NULL;
    redacts_init(&l->redacts, &l->m, redacts);
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
    if (up && l->w.violation[0] == 0 && verify(l)) {
        redact_all(l);
    }
}

void life_free(struct life *l)
{
    producers_restart(&l->producers); /* frees what is in flight */
    world_free(&l->w);
    sim_tier_free(l->w.tier);
    life_liveness_free(l);
    model_free(&l->m);
}
