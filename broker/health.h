/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the node well? What /health/live and /health/ready answer, from facts that any thread may read: a shard that
 * could not answer a question is what is looked for.
 */
#ifndef EL_HEALTH_H
#define EL_HEALTH_H

#include <archive/archive.h>
#include <shard.h>
#include <stdatomic.h>

#define HEALTH_WAIT_NS UINT64_C(30000000000)  /* a journal write, or a turn of a shard, that takes so long is no wait */
#define HEALTH_DEAD_NS UINT64_C(120000000000) /* a shard that has not turned for so long does not come back */
#define HEALTH_CERTIFICATE_S (14 * 86400)     /* a certificate that ends sooner is told */

/* Borrowed; they outlive it. */
struct health {
    struct shard *shards;     /* [shard_count] */
    struct metrics **metrics; /* [shard_count] */
    uint32_t shard_count;
    struct store *store;
    struct archive *archive;    /* NULL: there is none */
    _Atomic bool access_needed; /* by the settings nobody gets in without users and rules */
};

/* What is so at one moment. */
struct health_facts {
    const char *refusal;         /* appends are refused: one sentence; NULL they are taken */
    const char *archive_warning; /* NULL: none */
    uint64_t flush_ns;           /* a journal write has been under way for so long; 0: none is */
    uint32_t flush_shard;
    uint64_t turn_ns; /* the shard that has not turned for longest has not for so long */
    uint32_t turn_shard;
    int64_t certificate_left_s; /* INT64_MAX: there is no certificate */
    int64_t groups_failed;      /* partitions whose groups cannot be served */
    bool access_unreadable;     /* users and rules are there, and could not be read */
    bool access_needed;         /* nobody gets in without them */
    bool reload_refused;        /* what was read at the last reload has a fault */
};

/* Is it ready? reason: why not, or a warning, or "". */
bool health_judge(const struct health_facts *facts, char *reason, size_t reason_max);
/* Can it come back by itself? Else why not. */
bool health_judge_live(const struct health_facts *facts, char *reason, size_t reason_max);

/* What the settings say of it, at the start and after each reload. Main thread. */
void health_configure(struct health *health, const struct config *cfg);
/* The same as above of the node as it is. Any thread. */
bool health_ready(const struct health *health, char *reason, size_t reason_max);
bool health_live(const struct health *health, char *reason, size_t reason_max);

#endif
