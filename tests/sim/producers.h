/* SPDX-License-Identifier: Apache-2.0
 *
 * Producers, idempotent and not: each keeps up to three batches under way, in order, and those that are idempotent send
 * again what came back with an error or was never answered.
 */
#ifndef EL_SIM_PRODUCERS_H
#define EL_SIM_PRODUCERS_H

#include "model.h"

#define PRODUCERS_MAX 6
#define WINDOW 3

struct producers;

struct in_flight {
    struct append_op op;
    uint32_t sent; /* index in the model */
    bool busy;
    bool again; /* a client without patience: the same batch once more while the first is under way */
    struct producers *producers;
    uint8_t *batch;
};

struct producer {
    int64_t id; /* -1: not idempotent */
    uint32_t topic;
    int32_t partition;
    int32_t next_sequence;
    uint32_t queue[WINDOW]; /* sent batches without an answer, oldest first */
    uint32_t queue_len;
    uint32_t asked; /* of the queue, how many are under way or answered */
    bool failed;    /* one came back with an error: the rest must come back, then all are sent again */
    bool dead;
    uint64_t last_ns; /* append time of the last batch that was acknowledged, or when it began */
};

struct producers {
    struct model *m;
    struct producer list[PRODUCERS_MAX];
    uint32_t count;
    uint64_t max; /* alive at the same time */
    struct in_flight flights[PRODUCERS_MAX][WINDOW];
};

void producers_init(struct producers *ps, struct model *m, uint64_t max);
/* One producer more, for some topic. */
void producers_make(struct producers *ps);
/* One of them sends something. */
void producers_act(struct producers *ps);
/* The store forgets a producer after a day of silence by its clock, which may have jumped: a retry is not recognized
 * then, and a client that knows it begins anew. To be called after each start, for the clock may jump back again. */
void producers_forget_silent(struct producers *ps);
/* True when one waits for an answer. */
bool producers_busy(const struct producers *ps);
/* A topic is being deleted: nobody sends to it any more. */
void producers_topic_gone(struct producers *ps, uint32_t topic);
/* After a start nothing is under way: idempotent producers send again what has no answer, others forget it. */
void producers_restart(struct producers *ps);

#endif
