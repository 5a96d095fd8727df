/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of faults, and what a seed draws from it.
 */
#include "faults.h"

#include <core/assert.h>
#include <stdio.h>
#include <string.h>

#define LIAR_PPM 50000u
#define ROT_PPM 50000u
#define LIVE_PPM 250000u
#define ARCHIVE_PPM 400000u

/* clang-format off */
const struct sim_fault_info sim_fault_table[FAULT_COUNT] = {
    [FAULT_TORN_WRITE] = {"torn-write", SCOPE_SEED, 800000, 100000, 500000,
        "of an unflushed write a power cut keeps any of the sectors; drawn for each file and each write under way"},
    [FAULT_UNSYNCED_LOST] = {"unsynced-lost", SCOPE_SEED, 900000, 300000, 1000000,
        "a power cut loses all unflushed writes and truncations of a file, or those after some point"},
    [FAULT_NAMES_LOST] = {"names-lost", SCOPE_SEED, 900000, 300000, 1000000,
        "a power cut loses the latest creations, renames and removals in a folder that was not synced"},
    [FAULT_LOST_WRITE] = {"lost-write", SCOPE_LIAR, 500000, 100, 1000,
        "the device confirms a durable write and does not write; four times as often in the broker mode"},
    [FAULT_MISDIRECTED_WRITE] = {"misdirected-write", SCOPE_LIAR, 500000, 100, 1000,
        "a durable write goes to another block of the file; likewise"},
    [FAULT_LYING_FLUSH] = {"lying-flush", SCOPE_LIAR, 500000, 1000, 1000000,
        "the device confirms a flush and keeps the bytes in its cache, to be lost at a power cut"},
    [FAULT_SHORT_WRITE] = {"short-write", SCOPE_WORK, 200000, 20, 500,
        "a durable write ends early and says so"},
    [FAULT_WRITE_ERROR] = {"write-error", SCOPE_WORK, 300000, 20, 500,
        "EIO of a write; an unknown part of it was made"},
    [FAULT_SYNC_ERROR] = {"sync-error", SCOPE_WORK, 300000, 200, 5000,
        "EIO of the sync of a file; what it was to sync counts as clean from then on and never reaches the disk"},
    [FAULT_SYNC_ALL_ERROR] = {"sync-all-error", SCOPE_WORK, 200000, 1000, 100000,
        "EIO of syncfs, likewise for some of the files"},
    [FAULT_SYNC_DIR_ERROR] = {"sync-dir-error", SCOPE_WORK, 200000, 200, 5000,
        "EIO of the sync of a folder"},
    [FAULT_READ_ERROR] = {"read-error", SCOPE_WORK, 100000, 500, 20000,
        "EIO of a read"},
    [FAULT_DISK_FULL] = {"disk-full", SCOPE_WORK, 200000, 200000, 1000000,
        "in a life the disk has room for 1 to 3 MiB more, and no more"},
    [FAULT_FULL_LATE] = {"full-late", SCOPE_WORK, 100000, 500, 5000,
        "a sync or a rename finds no space for what was accepted before"},
    [FAULT_FULL_ALLOCATE] = {"full-allocate", SCOPE_WORK, 200000, 5000, 200000,
        "an allocation finds no space"},
    [FAULT_NO_FILES] = {"no-files", SCOPE_WORK, 200000, 1000, 100000,
        "a file cannot be opened: too many are open"},
    [FAULT_SLOW_IO] = {"slow-io", SCOPE_SEED, 700000, 1000, 50000,
        "a read, a write or a job takes up to 50 ms longer"},
    [FAULT_STUCK_IO] = {"stuck-io", SCOPE_WORK, 200000, 50, 1000,
        "a read, a write or a job takes 1 to 40 s"},
    [FAULT_REORDER] = {"reorder", SCOPE_SEED, 700000, 100000, 1000000,
        "a read or a write ends before one that was asked for earlier"},
    [FAULT_JOB_PAUSE] = {"job-pause", SCOPE_SEED, 700000, 50000, 450000,
        "between two disk calls of a job the shards and other jobs run, or the machine crashes"},
    [FAULT_SHARD_STALL] = {"shard-stall", SCOPE_WORK, 300000, 20, 2000,
        "a shard's thread does not run for up to 20 ms"},
    [FAULT_BIT_FLIP] = {"bit-flip", SCOPE_ROT, 1000000, 300000, 900000,
        "between two lives a bit of a file changes"},
    [FAULT_CRASH] = {"crash", SCOPE_WORK, 900000, 300000, 1000000,
        "a life ends by a power cut at one of its first 3,000 disk calls"},
    [FAULT_CRASH_IN_RECOVERY] = {"crash-in-recovery", SCOPE_SEED, 600000, 100000, 500000,
        "the power is cut at one of the first 60 disk calls of a start"},
    [FAULT_ERRORS_IN_RECOVERY] = {"errors-in-recovery", SCOPE_SEED, 300000, 100000, 500000,
        "the errors of this life's disk come while the store starts"},
    [FAULT_PROCESS_EXIT] = {"process-exit", SCOPE_SEED, 700000, 200000, 800000,
        "a process ends without a word, the machine goes on; otherwise the power is cut"},
    [FAULT_CLOCK_FORWARD] = {"clock-forward", SCOPE_WORK, 400000, 20, 500,
        "the clock is set forward by up to a minute, an hour, a day or two years"},
    [FAULT_CLOCK_BACK] = {"clock-back", SCOPE_WORK, 400000, 20, 500,
        "the clock is set back by up to a minute, an hour, a day or two years"},
    [FAULT_CLOCK_RESTART_FORWARD] = {"clock-restart-forward", SCOPE_SEED, 200000, 100000, 500000,
        "the clock is set forward, likewise, while the store is down"},
    [FAULT_CLOCK_RESTART_BACK] = {"clock-restart-back", SCOPE_SEED, 200000, 100000, 500000,
        "the clock is set back, likewise, while the store is down"},
    [FAULT_CLOCK_BELOW_STORED] = {"clock-below-stored", SCOPE_SEED, 200000, 100000, 500000,
        "a store starts with a clock up to two days below the last time it has stored"},
    [FAULT_NET_RESET] = {"net-reset", SCOPE_NET, 800000, 100, 5000,
        "a connection breaks as bytes are sent, and of what is under way a part arrives"},
    [FAULT_NET_SLOW] = {"net-slow", SCOPE_NET, 900000, 10000, 300000,
        "bytes of a connection take up to 50 ms"},
    [FAULT_NET_SMALL] = {"net-small", SCOPE_NET, 900000, 10000, 500000,
        "of a connection 1 to 16 bytes move"},
    [FAULT_NO_ACCEPT] = {"no-accept", SCOPE_NET, 300000, 10000, 100000,
        "a connection finds no descriptor"},
    [FAULT_CLIENT_LOSES] = {"client-loses", SCOPE_NET, 800000, 100, 2000,
        "a client gives its connection up"},
    [FAULT_CLIENT_HALF_CLOSES] = {"client-half-closes", SCOPE_NET, 700000, 50, 500,
        "a client closes its side and reads on"},
    [FAULT_CLIENT_PAUSES] = {"client-pauses", SCOPE_NET, 800000, 100, 2000,
        "a client reads nothing for up to 200 ms"},
    [FAULT_RELOAD] = {"reload", SCOPE_NET, 600000, 200, 3000,
        "SIGHUP: the configuration is read again, and has other values"},
    [FAULT_NIGHT] = {"night", SCOPE_NET, 500000, 100, 600,
        "for one to three minutes nobody asks anything"},
    [FAULT_TOPIC_DELETED] = {"topic-deleted", SCOPE_LEASE, 400000, 50, 500,
        "a topic is deleted whose events are leased, wait, die, come back; another one takes its place"},
    [FAULT_DEAD_TOPIC_DELETED] = {"dead-topic-deleted", SCOPE_LEASE, 400000, 50, 500,
        "a topic of dead letters is deleted, while there are more to come"},
    [FAULT_EMIT_TOPIC_DELETED] = {"emit-topic-deleted", SCOPE_LEASE, 400000, 50, 500,
        "a topic that is emitted to is deleted, and made anew under its name"},
    [FAULT_EMIT_REFUSED] = {"emit-refused", SCOPE_LEASE, 500000, 20000, 400000,
        "a topic that is emitted to refuses an event for good, and what comes with it in a batch"},
    [FAULT_EVENTS_EXPIRE] = {"events-expire", SCOPE_LEASE, 300000, 1000000, 1000000,
        "events go by their age, whoever works on them"},
    [FAULT_INDEX_ROT] = {"index-rot", SCOPE_STREAM, 300000, 200000, 1000000,
        "a bit of a file of the stream index changes, while it is in use or between two lives"},
    [FAULT_ARCHIVE_DOWN] = {"archive-down", SCOPE_TIER, 400000, 5, 200,
        "the archive cannot be reached for up to 30 s"},
    [FAULT_ARCHIVE_SLOW] = {"archive-slow", SCOPE_TIER, 400000, 10000, 300000,
        "a read from the archive takes up to 40 s"},
    [FAULT_ARCHIVE_ERROR] = {"archive-error", SCOPE_TIER, 400000, 10000, 200000,
        "a read from the archive fails and is to be tried again"},
    [FAULT_BUCKET_AGAIN] = {"bucket-again", SCOPE_ARCHIVE, 700000, 5000, 300000,
        "the object store does nothing and asks to come again"},
    [FAULT_BUCKET_LOST] = {"bucket-lost", SCOPE_ARCHIVE, 700000, 5000, 200000,
        "the object store has done what it was asked for, and the answer is lost"},
    [FAULT_BUCKET_REFUSES] = {"bucket-refuses", SCOPE_ARCHIVE, 300000, 500, 10000,
        "for up to a minute the object store refuses everything"},
    [FAULT_BUCKET_SHORT] = {"bucket-short", SCOPE_ARCHIVE, 500000, 1000, 50000,
        "half of what the object store has arrives"},
    [FAULT_TOPIC_GROWS] = {"topic-grows", SCOPE_ARCHIVE, 500000, 10000, 200000,
        "a topic gets one partition more while rounds run"},
    [FAULT_LOCAL_LEAVES] = {"local-leaves", SCOPE_ARCHIVE, 600000, 200000, 1000000,
        "a new topic keeps nothing, or little, on the disk of what the archive has"},
    [FAULT_TOPIC_COMPACTED] = {"topic-compacted", SCOPE_ARCHIVE, 500000, 100000, 600000,
        "a new topic is compacted"},
    [FAULT_KEYS_CHANGE] = {"keys-change", SCOPE_ARCHIVE, 500000, 300000, 1000000,
        "between two lives another key signs beside the old one, or the old one goes"},
    [FAULT_DISK_OLDER] = {"disk-older", SCOPE_ARCHIVE, 400000, 300000, 1000000,
        "the broker starts on an older copy of its disk"},
    [FAULT_DISK_COPIED] = {"disk-copied", SCOPE_ARCHIVE, 250000, 500000, 1000000,
        "at the end of a seed two brokers go on with copies of one disk"},
    [FAULT_DISK_LOST] = {"disk-lost", SCOPE_ARCHIVE, 150000, 500000, 1000000,
        "at the end of a seed the disk is made anew from the archive"},
    [FAULT_TOPIC_AGES] = {"topic-ages", SCOPE_ARCHIVE, 500000, 200000, 800000,
        "events of a new topic leave the archive when they are up to a minute old"},
    [FAULT_MEMORY_FEW] = {"memory-few", SCOPE_ARCHIVE, 250000, 200000, 600000,
        "the memory to know what the archive has is used up, and nothing new is archived in this life"},
    [FAULT_CRASH_IN_REDACTION] = {"crash-in-redaction", SCOPE_ARCHIVE, 600000, 200000, 900000,
        "the power is cut at one of the first 600 calls of disk and object store after a redaction was accepted; "
        "in the store mode at one of the disk's"},
};
/* clang-format on */

void sim_knobs_draw(struct sim_knobs *knobs, struct el_rng *rng, uint64_t off)
{
    memset(knobs, 0, sizeof(*knobs));
    knobs->lying = el_rng_chance(rng, LIAR_PPM);
    knobs->rots = el_rng_chance(rng, ROT_PPM) && !knobs->lying;
    knobs->live = el_rng_chance(rng, LIVE_PPM) && !knobs->lying && !knobs->rots;
    knobs->archive = el_rng_chance(rng, ARCHIVE_PPM) && !knobs->lying && !knobs->rots;
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        const struct sim_fault_info *info = &sim_fault_table[i];
        bool here = el_rng_chance(rng, info->seeds_ppm);
        uint32_t ppm = info->low_ppm + (uint32_t)el_rng_below(rng, info->high_ppm - info->low_ppm + 1);
        EL_ASSERT(info->name != NULL); /* a row for each */
        here = here && (info->scope != SCOPE_LIAR || knobs->lying) && (info->scope != SCOPE_ROT || knobs->rots);
        knobs->ppm[i] = here && (off >> i & 1) == 0 ? ppm : 0;
    }
}

int sim_fault_find(const char *name, size_t name_len)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (strlen(sim_fault_table[i].name) == name_len && memcmp(sim_fault_table[i].name, name, name_len) == 0) {
            return i;
        }
    }
    return -1;
}

bool sim_fault_applies(enum sim_fault fault, enum sim_mode mode)
{
    switch (sim_fault_table[fault].scope) {
    case SCOPE_SEED:
    case SCOPE_WORK:
        return true;
    case SCOPE_LIAR:
    case SCOPE_ROT:
        return mode == MODE_STORE || mode == MODE_BROKER; /* of what the model knows nothing would hold */
    case SCOPE_NET:
        return mode == MODE_BROKER;
    case SCOPE_LEASE:
        return mode == MODE_LEASE;
    case SCOPE_STREAM:
        return mode == MODE_STREAM;
    case SCOPE_TIER:
        return mode == MODE_STORE || mode == MODE_STREAM;
    case SCOPE_ARCHIVE:
        return mode == MODE_ARCHIVE;
    }
    return false;
}

void sim_fault_list(void)
{
    static const char *const scopes[] = {
        [SCOPE_SEED] = "always",   [SCOPE_WORK] = "at work", [SCOPE_LIAR] = "liars",
        [SCOPE_ROT] = "rotting",   [SCOPE_NET] = "broker",   [SCOPE_LEASE] = "lease",
        [SCOPE_STREAM] = "stream", [SCOPE_TIER] = "tier",    [SCOPE_ARCHIVE] = "archive"};
    printf("%-22s %-8s %7s  %-19s  %s\n", "fault", "when", "seeds", "probability", "what it does");
    for (uint32_t i = 0; i < FAULT_COUNT; i++) {
        const struct sim_fault_info *info = &sim_fault_table[i];
        printf("%-22s %-8s %5u %%  %.6f-%.6f    %s\n", info->name, scopes[info->scope], info->seeds_ppm / 10000,
               (double)info->low_ppm / SIM_PPM, (double)info->high_ppm / SIM_PPM, info->what);
    }
}
