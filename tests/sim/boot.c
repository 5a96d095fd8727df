/* SPDX-License-Identifier: Apache-2.0
 *
 * See boot.h.
 */
#include "boot.h"

#define DAY_NS (86400ull * 1000000000)

void boot_init(struct boot *b, struct world *w, struct model *m, const struct plan *plan)
{
    *b = (struct boot){.w = w, .m = m, .plan = plan};
}

/* The clock of a machine that was off, or whose store was, need not be where it was. */
static void clock_while_down(struct boot *b)
{
    struct world *w = b->w;
    if (sim_disk_fault(w->disk, FAULT_CLOCK_RESTART_FORWARD)) {
        world_clock_jump(w, true);
    }
    if (sim_disk_fault(w->disk, FAULT_CLOCK_RESTART_BACK)) {
        world_clock_jump(w, false);
    }
    uint64_t stored_ns = b->m != NULL ? model_last_append_ns(b->m) : w->clock_max_ns;
    if (stored_ns > 0 && sim_disk_fault(w->disk, FAULT_CLOCK_BELOW_STORED)) {
        int64_t below = (int64_t)(stored_ns - 1 - world_below(w, 2 * DAY_NS)) - (int64_t)w->clock.now_ns;
        w->clock.wall_offset = EL_MIN(w->clock.wall_offset, below); /* never forward */
        w->clock_jumped = true;
    }
}

/* A start was refused. returns true when there was a reason that has been taken away: it must succeed now */
static bool refusal_mended(struct boot *b, int code, bool errors)
{
    struct world *w = b->w;
    w->events[EVENT_START_REFUSED]++;
    bool rotten = b->rot.path[0] != 0 && !b->rot.harmless && (code == EVLOG_ERR_CORRUPT || code == EVLOG_ERR_FORMAT);
    if (rotten) {
        world_say(w, "refused what has rotted", (long long)b->rot.pos, 0);
        rot_undo(w, &b->rot); /* nothing else was changed: with the right byte all is well */
        b->rot.path[0] = 0;
        sim_disk_process_exit(w->disk);
        return true;
    }
    if (code == EVLOG_ERR_POLICY && w->clock_jumped && !w->cfg.accept_clock) {
        world_say(w, "refused the clock", 0, 0);
        w->cfg.accept_clock = true; /* for this start */
        sim_disk_process_exit(w->disk);
        return true;
    }
    if (errors) {
        world_say(w, "refused for errors of the disk", code, 0);
        if (world_chance(w, 500000)) {
            sim_disk_process_exit(w->disk);
        } else {
            sim_disk_power_cycle(w->disk);
        }
        return true;
    }
    return false;
}

static void started(struct boot *b)
{
    struct world *w = b->w;
    int32_t epoch = store_leader_epoch(w->store);
    bool repeated = epoch < b->epoch || (epoch == b->epoch && b->served && !b->stopped);
    if (repeated && !w->lying) {
        world_violation(w, "the leader epoch is %d after %d", epoch, b->epoch);
    }
    b->epoch = epoch;
    b->served = true;
    sim_disk_crash_at(w->disk, 0);
    b->rot.path[0] = 0;
}

bool boot_start(struct boot *b)
{
    struct world *w = b->w;
    if (b->begun && w->shard_count < EL_MIN(b->plan->limits[LIMIT_SHARDS], WORLD_SHARDS_MAX) &&
        world_chance(w, 60000)) {
        w->cfg.shard_count = ++w->shard_count;
        world_say(w, "one shard more", w->shard_count, 0);
    }
    if (b->begun) {
        clock_while_down(b);
    }
    b->begun = true;
    w->cfg.accept_clock = world_chance(w, 300000);
    for (int tries = 0;; tries++) {
        struct el_error err = {0};
        bool disturbed = tries < 3 && b->rot.path[0] == 0;
        if (disturbed && sim_disk_fault(w->disk, FAULT_CRASH_IN_RECOVERY)) {
            sim_disk_crash_at(w->disk, 1 + world_below(w, 60));
        }
        bool errors = disturbed && sim_disk_fault(w->disk, FAULT_ERRORS_IN_RECOVERY);
        world_faults(w, errors);
        int code = world_open(w, &err);
        world_faults(w, false);
        SIM_TRACE(w->trace, "open", (uint64_t)code);
        if (code == 0) {
            started(b);
            return true;
        }
        if (sim_disk_crashed(w->disk)) {
            world_say(w, "crash in recovery", tries, 0);
            sim_disk_power_cycle(w->disk);
        } else if (!refusal_mended(b, code, errors)) {
            if (!w->lying) {
                world_violation(w, "a start was refused: %s", err.text);
            }
            return false;
        }
    }
}

void boot_kill(struct boot *b, bool crashed)
{
    struct world *w = b->w;
    b->stopped = false;
    world_abandon(w);
    if (b->m != NULL) {
        model_forget(b->m);
    }
    b->crashes++;
    if (crashed) {
        sim_disk_fault_count(w->disk, FAULT_CRASH);
    }
    if (!crashed && sim_disk_fault(w->disk, FAULT_PROCESS_EXIT)) {
        world_say(w, "process ended", 0, 0);
        sim_disk_process_exit(w->disk);
    } else {
        world_say(w, "power cut", (long long)sim_disk_calls(w->disk), 0);
        sim_disk_power_cycle(w->disk);
    }
}

void boot_rot(struct boot *b)
{
    struct world *w = b->w;
    if (world_chance(w, w->knobs.ppm[FAULT_BIT_FLIP])) {
        b->rot = rot_make(w, b->stopped);
        world_say(w, b->rot.path, (long long)b->rot.pos, b->rot.harmless);
    }
}
