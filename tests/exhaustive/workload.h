/* SPDX-License-Identifier: Apache-2.0
 *
 * A simulated machine with a store of one shard and tiny limits, one client that remembers what it was told, and the
 * six things that the client can ask for.
 */
#ifndef EL_EXHAUSTIVE_WORKLOAD_H
#define EL_EXHAUSTIVE_WORKLOAD_H

#include "../sim/model.h"

#define ACTIONS_MAX 48
#define SENT_MAX 256

enum verb { VERB_APPEND, VERB_ROLL, VERB_CHECKPOINT, VERB_DELETE, VERB_TRIM, VERB_RESTART, VERB_COUNT };

/* What the client knows; it outlives the machine's crashes. */
struct client {
    struct model m;
    int64_t producer_id;
    int32_t next_sequence[MODEL_TOPICS_MAX];
    uint32_t value_len[SENT_MAX]; /* by index of the sent batch */
    uint32_t life;                /* starts so far */
    int32_t epoch;                /* leader epoch of the last start that succeeded; -1 none */
    bool stopping;                /* it was asked to stop since: the next start may have the same */
};

struct machine {
    struct world w;
    struct client c;
    void (*point)(void *arg); /* called whenever the client was told something; NULL */
    void *point_arg;
};

const char *verb_name(enum verb verb);

void client_copy(struct client *out, const struct client *from);
void client_free(struct client *c);
/* Mix of all that the client knows. */
uint64_t client_digest(const struct client *c);

/* An empty disk, and a client that knows nothing. */
void machine_init(struct machine *m);
void machine_free(struct machine *m);
/* What the machine is after a crash that left this disk, and a client who knows this. The disk is taken, c copied. */
void machine_become(struct machine *m, struct sim_disk *take_disk, const struct client *c);
/* Start the store. returns 0 | EVLOG_ERR_... with a text */
int machine_try(struct machine *m, struct el_error *err);
/* The same; a refusal is a violation. returns false when there is one */
bool machine_start(struct machine *m);
/* Stop well. returns false after a violation */
bool machine_stop(struct machine *m);
/* End the process without a word. */
void machine_kill(struct machine *m);
/* The first start on an empty disk: two topics and a producer id; `used`: with a sealed segment, an open one, a
 * checkpoint and batches behind it. */
bool machine_prepare(struct machine *m, bool used);
/* One topic more. */
bool machine_topic(struct machine *m);
/* Do all of this, each when the one before was answered, or `together`. Then wait until nothing goes on any more.
 * before(i) is called before the i-th begins. returns false after a violation */
bool machine_work(struct machine *m, const enum verb *verbs, uint32_t count, bool together,
                  void (*before)(void *arg, uint32_t index), void *arg);
/* Step until the journal's mark is written, the checkpoint is complete and no job runs. */
bool machine_settle(struct machine *m);
/* Everything that the client was told is so: catalogue, log, repeated batches. */
bool machine_look(struct machine *m);
/* The store takes and keeps something new. */
bool machine_goes_on(struct machine *m);

#endif
