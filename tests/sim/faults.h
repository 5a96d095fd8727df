/* SPDX-License-Identifier: Apache-2.0
 *
 * The faults of a simulated machine: one table of names, what each does, and the range that a seed draws its
 * probability from. Each seed has only some of them (many interesting runs are those where most things work), and a
 * fault that no seed ever sees is found by counting.
 */
#ifndef EL_SIM_FAULTS_H
#define EL_SIM_FAULTS_H

#include <core/rng.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sim_fault {
    FAULT_TORN_WRITE,
    FAULT_UNSYNCED_LOST,
    FAULT_NAMES_LOST,
    FAULT_LOST_WRITE,
    FAULT_MISDIRECTED_WRITE,
    FAULT_LYING_FLUSH,
    FAULT_SHORT_WRITE,
    FAULT_WRITE_ERROR,
    FAULT_SYNC_ERROR,
    FAULT_SYNC_ALL_ERROR,
    FAULT_SYNC_DIR_ERROR,
    FAULT_READ_ERROR,
    FAULT_DISK_FULL,
    FAULT_FULL_LATE,
    FAULT_FULL_ALLOCATE,
    FAULT_NO_FILES,
    FAULT_SLOW_IO,
    FAULT_STUCK_IO,
    FAULT_REORDER,
    FAULT_JOB_PAUSE,
    FAULT_SHARD_STALL,
    FAULT_BIT_FLIP,
    FAULT_CRASH,
    FAULT_CRASH_IN_RECOVERY,
    FAULT_ERRORS_IN_RECOVERY,
    FAULT_PROCESS_EXIT,
    FAULT_CLOCK_FORWARD,
    FAULT_CLOCK_BACK,
    FAULT_CLOCK_RESTART_FORWARD,
    FAULT_CLOCK_RESTART_BACK,
    FAULT_CLOCK_BELOW_STORED,
    FAULT_NET_RESET,
    FAULT_NET_SLOW,
    FAULT_NET_SMALL,
    FAULT_NO_ACCEPT,
    FAULT_CLIENT_LOSES,
    FAULT_CLIENT_HALF_CLOSES,
    FAULT_CLIENT_PAUSES,
    FAULT_RELOAD,
    FAULT_NIGHT,
    FAULT_TOPIC_DELETED,
    FAULT_DEAD_TOPIC_DELETED,
    FAULT_EMIT_TOPIC_DELETED,
    FAULT_EMIT_REFUSED,
    FAULT_EVENTS_EXPIRE,
    FAULT_INDEX_ROT,
    FAULT_ARCHIVE_DOWN,
    FAULT_ARCHIVE_SLOW,
    FAULT_ARCHIVE_ERROR,
    FAULT_BUCKET_AGAIN,
    FAULT_BUCKET_LOST,
    FAULT_BUCKET_REFUSES,
    FAULT_BUCKET_SHORT,
    FAULT_TOPIC_GROWS,
    FAULT_LOCAL_LEAVES,
    FAULT_TOPIC_COMPACTED,
    FAULT_KEYS_CHANGE,
    FAULT_DISK_OLDER,
    FAULT_DISK_COPIED,
    FAULT_DISK_LOST,
    FAULT_TOPIC_AGES,
    FAULT_MEMORY_FEW,
    FAULT_CRASH_IN_REDACTION,
    FAULT_COUNT
};

#define SIM_PPM 1000000u

/* What is simulated. */
enum sim_mode { MODE_STORE, MODE_BROKER, MODE_LEASE, MODE_STREAM, MODE_ARCHIVE };

/* Where a fault may happen. */
enum sim_fault_scope {
    SCOPE_SEED,    /* all the time */
    SCOPE_WORK,    /* while a store works, in some of its lives */
    SCOPE_LIAR,    /* likewise, on the few seeds whose device loses what it confirmed: nothing may be made up then */
    SCOPE_ROT,     /* between two lives, on the few seeds where files rot */
    SCOPE_NET,     /* while a broker works, in some of its lives; the store alone has no network, clients or settings */
    SCOPE_LEASE,   /* while work groups work, in some of their lives */
    SCOPE_STREAM,  /* likewise, of streams */
    SCOPE_TIER,    /* while a store works, on those seeds where there is an archive */
    SCOPE_ARCHIVE, /* while an archiver works, in some of its lives */
};

struct sim_fault_info {
    const char *name;
    enum sim_fault_scope scope;
    uint32_t seeds_ppm;         /* share of the seeds that have it */
    uint32_t low_ppm, high_ppm; /* probability at each occasion: a seed draws one between them */
    const char *what;
};

extern const struct sim_fault_info sim_fault_table[FAULT_COUNT];

/* What a seed drew: the probability of each fault, 0 for those it does not have. */
struct sim_knobs {
    uint32_t ppm[FAULT_COUNT];
    bool lying, rots;
    bool archive; /* there is one, where the mode has it */
    bool live;    /* the faults stop at the end, and the store must work again */
};

/* off: a bit for each fault that is left out. The draws are the same whatever is left out. */
void sim_knobs_draw(struct sim_knobs *knobs, struct el_rng *rng, uint64_t off);
/* Index of a fault, -1 when there is none of that name. */
int sim_fault_find(const char *name, size_t name_len);
/* Can a mode have it? */
bool sim_fault_applies(enum sim_fault fault, enum sim_mode mode);
/* Print the table. */
void sim_fault_list(void);

#endif
