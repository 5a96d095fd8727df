/* SPDX-License-Identifier: Apache-2.0
 *
 * An archive as storage sees it (tier.h), in memory: it copies what is durable as an archiver would, makes it count
 * some time later, serves reads after a delay, and may be slow or out of reach. What counts survives crashes. It
 * looks at what it copies: every batch as it was appended, none left out.
 */
#ifndef EL_SIM_SIM_TIER_H
#define EL_SIM_SIM_TIER_H

#include "world.h"
#include <storage/tier.h>

struct sim_tier;

/* How it behaves; may be changed at any time. */
struct sim_tier_knobs {
    bool hold;             /* nothing more counts */
    bool down;             /* it cannot be reached */
    bool calm;             /* it does not get out of reach: somebody waits for it */
    uint64_t known_ns_max; /* after a start it takes up to so long until it says what it has */
    uint64_t count_ns_max; /* until what was copied counts */
    uint64_t read_ns_max;  /* until a read is answered */
    bool eager;            /* it looks at every partition in every step, and releases the disk at once */
    int read_error;        /* of reads, 0 none */
    int presence_error;    /* of looks whether it has what it says */
    uint32_t read_len_max; /* it gives at most so much at once, 0: as much as is asked for */
};

struct sim_tier *sim_tier_create(struct world *w);
void sim_tier_free(struct sim_tier *st);
struct sim_tier_knobs *sim_tier_knobs(struct sim_tier *st);
/* The store is open and no shard has run; its process has ended; a step of the machine. */
void sim_tier_open(struct sim_tier *st);
void sim_tier_down(struct sim_tier *st);
/* A stop begins, which breaks off reads before the shards are stopped: none takes long any more. */
void sim_tier_stop(struct sim_tier *st);
void sim_tier_step(struct sim_tier *st);
/* When it has something to do. */
uint64_t sim_tier_next(const struct sim_tier *st);
/* What counts of a partition ends here; 0 none. */
int64_t sim_tier_end(const struct sim_tier *st, const struct el_uuid *topic_id, int32_t partition);
/* Everything below what this says may be gone before it was copied: somebody has asked for it. NULL: nothing. */
void sim_tier_deleted(struct sim_tier *st,
                      int64_t (*deleted)(void *arg, const struct el_uuid *topic_id, int32_t partition), void *arg);
/* Does all that is durable count? */
bool sim_tier_whole(const struct sim_tier *st);
/* Let the machine run until it does, but not for ever. returns false when it crashed */
bool sim_tier_rest(struct sim_tier *st);
/* Reads that it was asked for, and those that it answered with batches. */
uint64_t sim_tier_reads(const struct sim_tier *st);
uint64_t sim_tier_reads_given(const struct sim_tier *st);

#endif
