/* SPDX-License-Identifier: Apache-2.0
 *
 * One simulated machine with one store: its clock, disk and shards, and the loop that moves them. Everything is decided
 * by one seed.
 */
#ifndef EL_SIM_WORLD_H
#define EL_SIM_WORLD_H

#include "events.h"
#include "sim_io.h"
#include <storage/store.h>

#define WORLD_SHARDS_MAX 4
#define WORLD_LIVES_MAX 32u
/* Virtual time that anything may take at least: a few operations may be stuck one after the other. */
#define WORLD_WAIT_NS_MIN 180000000000ull

struct world;
struct sim_tier;

/* What stands on the store, where there is more than the store. */
struct world_upper {
    /* The store is open, no shard has run: start them. returns 0 | EVLOG_ERR_..., with nothing left behind */
    int (*up)(struct world *w, struct el_error *err);
    bool (*stop)(struct world *w);                     /* a clean stop, to where the stores stop; false: crashed */
    void (*down)(struct world *w);                     /* the process has ended */
    uint64_t (*turn)(struct world *w, uint32_t shard); /* one turn of a shard; returns when it wants the next */
    void (*step)(struct world *w);                     /* others than shards that do something in each step */
    uint64_t (*next)(const struct world *w);           /* when those have something to do */
};

struct world {
    uint64_t seed;
    enum sim_mode mode;
    struct el_rng rng;
    struct sim_clock clock;
    struct sim_disk *disk;
    uint32_t shard_count;
    struct io *ios[WORLD_SHARDS_MAX];
    struct el_buddy buddies[WORLD_SHARDS_MAX];
    struct metrics *metrics[WORLD_SHARDS_MAX];
    struct store *store; /* NULL while down */
    struct store_config cfg;
    uint64_t wish_ns[WORLD_SHARDS_MAX];
    uint64_t steps;
    uint32_t life; /* stores that were opened before this one; the last counts for all more */
    uint64_t clock_begin_ns[WORLD_LIVES_MAX]; /* time that the store of a life began with */
    uint64_t clock_end_ns[WORLD_LIVES_MAX];   /* and the latest that it has gone by */
    uint64_t clock_max_ns;                    /* latest time that any store's own clock has had */
    uint64_t events[EVENT_COUNT];             /* how often each happened, in all lives */
    struct sim_trace *trace;                  /* the disk's */
    uint32_t stopped_count;
    size_t memory_len;    /* of a shard */
    bool memory_tight;    /* so little that requests are refused for it */
    uint64_t heap_blocks; /* before the store was opened */
    char violation[512];  /* first one found, "" none */
    bool verbose;
    bool stopped_well; /* the last stop left a clean mark */
    struct sim_knobs knobs;
    bool disk_bounded;   /* the disk may fill up */
    bool lying;          /* the device may lose or misdirect writes that it confirmed */
    bool read_errors;    /* reads fail now and then */
    bool no_files;       /* files cannot be opened now and then */
    bool clock_jumped;   /* the clock was set, in this life or before */
    uint32_t jump_kinds; /* how far the clock may be set: 1 a minute, 2 an hour, 3 a day, 4 two years */
    int64_t forward_ns;  /* that it was set forward, in all: for less than a day where it may be an hour at once */
    uint64_t stalled_until_ns[WORLD_SHARDS_MAX];
    const struct world_upper *upper; /* NULL: there is the store only */
    void *upper_arg;
    struct sim_net *net;   /* NULL: no network */
    struct audits *audits; /* NULL: the audit log is not looked at; the owner's */
    struct sim_tier *tier; /* NULL: no archive; the owner's */
    char offsets_dir[48];  /* of the topic of commits; "" none */
    uint32_t rotten;       /* bytes of files that were changed behind the store's back */
};

/* shards_max: at most so many, whatever the seed says. */
void world_init(struct world *w, uint64_t seed, uint32_t shards_max, bool verbose);
void world_free(struct world *w);
/* Open the store on what the disk holds. returns 0 | EVLOG_ERR_... with a text */
int world_open(struct world *w, struct el_error *err);
/* End the process without a word: nothing that was under way is told. */
void world_abandon(struct world *w);
/* A clean stop. returns false when the machine crashed meanwhile */
bool world_stop(struct world *w);
/* Faults of the seed's knobs: those that come at work are on, by chance, or off. */
void world_faults(struct world *w, bool work);
/* The disk has room again. */
void world_space_returns(struct world *w);
/* Somebody sets the clock: forward or back, by little or by much. */
void world_clock_jump(struct world *w, bool forward);
/* Let every shard run once and the time move on. returns false when the machine has crashed */
bool world_step(struct world *w);
/* Step until *flag, at most so many steps. returns false when the machine crashed or the flag did not come (a
 * violation) */
bool world_wait(struct world *w, const bool *flag);
/* Note a broken promise; the first one counts. */
void world_violation(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* How much time may have passed, for any store that ran since, after a time of a life. A store may begin below the time
 * of the one before. */
uint64_t world_clock_age(const struct world *w, uint32_t life, uint64_t then_ns);
/* A line of the story, with -v. */
void world_say(const struct world *w, const char *text, long long a, long long b);
/* A read may fail with this because of a fault that is on: nothing is said about what it would have read. */
bool world_read_may_fail(const struct world *w, int error);
/* What a read says of damaged bytes; those of a format number look like a newer file. */
bool world_read_is_damage(const struct world *w, int error);
/* Count what the open store has done so far; to be called once, at the end. */
void world_tally(struct world *w);
/* A question could not be answered because of the archive: let time pass, for it to be asked again. returns false when
 * that was not the reason, or has been often enough (tries), or the machine crashed */
bool world_archive_waits(struct world *w, int error, uint32_t *tries);
bool world_failed_shard(struct world *w);
/* The stream index is not to be used now; the store is well. */
bool world_index_failed(const struct world *w);

static inline uint64_t world_below(struct world *w, uint64_t bound)
{
    return el_rng_below(&w->rng, bound);
}
static inline bool world_chance(struct world *w, uint32_t ppm)
{
    return el_rng_chance(&w->rng, ppm);
}

#endif
