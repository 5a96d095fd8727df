/* SPDX-License-Identifier: Apache-2.0
 *
 * A node of one to three shards on the simulated machine, with users and rules and nothing else, and a model that knows
 * what was answered.
 */
#ifndef EL_TEST_ACCESS_NODE_H
#define EL_TEST_ACCESS_NODE_H

#include "../../sim/world.h"

#include <access/access.h>
#include <access/access_state.h>
#include <test.h>

#define STEPS_MAX 200000u
#define THINGS 10u /* users and rules; even ones are users */
#define VERSION_MIN EL_SCRAM_ITERATIONS_MIN

/* What there is: of a user its iterations, of a rule 1; 0: it is not there. */
struct state {
    uint32_t version[THINGS];
};

struct node {
    struct world w;
    struct access_keys keys;
    struct el_access_key added; /* put in front of the others at the next start, when `adds` */
    bool adds;
    bool loses_keys; /* the next start finds none */
    bool forgets;    /* as forget.access says */
    struct access *access[WORLD_SHARDS_MAX];
    uint32_t known_count;
    uint32_t settled_count;
    int known_error; /* that the start must end with; else the test fails */
    bool stopping;
    struct state now;  /* what was answered, or seen after a crash */
    struct state next; /* with the change under way */
    bool under_way;
    uint32_t version; /* of the last change */
    /* the change under way */
    struct access_op op;
    struct access_record records[THINGS];
    uint8_t bytes[THINGS][AUTH_RECORD_KEY_MAX + AUTH_RECORD_VALUE_MAX];
    bool answered;
    /* over all lives */
    uint32_t cut_count, kept_count, lost_count, answered_count;
};

extern const struct world_upper node_upper;

/* shards_max: as of world_init(). */
void node_init(struct node *n, uint64_t seed, uint32_t shards_max);
/* "user-4" or "topic-5"; name[16] */
void thing_user(uint32_t thing, uint32_t version, char *name, struct auth_user *user);
void thing_rule(uint32_t thing, char *name, struct auth_rule *rule);
/* The record of a thing at a version (0: its end), into n->records[index]. */
void record_make(struct node *n, uint32_t index, uint32_t thing, uint32_t version);
/* Several things at once, some of them taken away, asked of any shard. */
void change_begin(struct node *n);
void look(const struct node *n, uint32_t shard, struct state *state);
bool same(const struct state *a, const struct state *b);
/* The node has begun: every shard has the same, which is what was answered, with or without what was not. */
void look_after_start(struct node *n);
/* Step until it is so. returns false when the power was cut */
bool wait_for(struct node *n, const bool *flag);
bool await_known(struct node *n);
/* What shard 0 does before changes has been done, or has failed. The same returns. */
bool await_settled(struct node *n);
/* So many changes one after the other, each of which holds on every shard when it is answered. The same returns. */
bool work(struct node *n, uint32_t changes);
/* The life is over: after a power cut, or with a process that goes. */
void life_end(struct node *n);

#endif
