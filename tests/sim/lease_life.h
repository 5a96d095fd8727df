/* SPDX-License-Identifier: Apache-2.0
 *
 * What a seed of the lease mode is made of.
 */
#ifndef EL_SIM_LEASE_LIFE_H
#define EL_SIM_LEASE_LIFE_H

#include "boot.h"
#include "lease_emits.h"
#include "lease_world.h"
#include "plan.h"

#define WORKERS_MAX 6u
#define HELD_MAX 64u
#define BATCH_EVENTS_MAX 8u
#define VALUE_LEN_MAX 300u

struct lease_life;

struct held {
    int64_t offset;
};

struct worker {
    struct lease_life *l;
    uint32_t number, group, topic;
    int32_t partition;
    uint64_t session;
    uint32_t shard; /* it asks there */
    struct held held[HELD_MAX];
    uint32_t held_count;
    struct lease_outcome outcomes[HELD_MAX];
    uint32_t outcome_count;
    struct emit_room emit_room;
    bool busy, releasing; /* an op is under way */
    uint32_t generation;  /* of the topic */
    uint64_t asked;       /* on the clock of questions */
    uint64_t asked_ns;
    struct lease_fetch_op fetch;
    struct lease_release_op release;
};

struct appended {
    struct append_op op;
    bool busy;
    uint32_t topic, generation;
    uint8_t buf[BATCH_EVENTS_MAX * (VALUE_LEN_MAX + 128) + EL_BATCH_HEADER_LEN];
    uint8_t keys[BATCH_EVENTS_MAX];
    uint64_t numbers[BATCH_EVENTS_MAX];
    uint32_t count;
    struct lease_life *l;
};

/* What operators have begun: it is repeated until it is answered, and nobody works on its partitions meanwhile. */
struct lease_acts {
    bool moving; /* where group stands in that partition */
    uint32_t group, topic;
    int32_t partition;
    int64_t from, to; /* from -1: the group did not know the partition */
    bool ending;      /* ending_group is deleted, and made anew */
    uint32_t ending_group;
};

/* See lease_redrives.h. */
#define COPY_PARTITIONS 3

struct lease_redrives {
    bool on, busy;
    bool copies; /* redrives of the seed go to the topic "copies" */
    struct el_uuid copies_id;
    int64_t last[LEASE_GROUPS_MAX][LEASE_TOPICS_MAX][LEASE_PARTITIONS_MAX][LEASE_KEYS]; /* of the partition read */
    uint64_t copy_count;
    uint64_t begun;
    char name[EL_TOPIC_NAME_MAX + 1];
    struct lease_redrive_op op;
    struct lease_selection selection;
    struct lease_letter_range ranges[1024]; /* [range_count] of the partition read last */
    uint32_t range_count;
};

/* See lease_topics.h. */
enum lease_topic_kind { TOPIC_OF_EVENTS, TOPIC_OF_LETTERS, TOPIC_OF_EMITS, LEASE_TOPIC_KINDS };

struct lease_topics {
    enum { TOPICS_WHOLE, TOPICS_DELETING, TOPICS_MAKING } state;
    enum lease_topic_kind kind; /* of the one that is not there */
    uint32_t topic, group;
    struct el_uuid id; /* of the one that is deleted */
    char name[EL_TOPIC_NAME_MAX + 1];
    struct topic_op op;
    struct topic_config config;
    bool busy;
    uint32_t generations[LEASE_TOPICS_MAX]; /* of topics of events */
    bool expire[LEASE_TOPICS_MAX];          /* events of the topic go by their age */
    uint32_t deleted[LEASE_TOPIC_KINDS];
    int64_t ends[LEASE_PARTITIONS_MAX]; /* of the one that is deleted, when that was looked at last */
};

struct lease_life {
    struct plan plan;
    struct world w;
    struct lease_world lw;
    struct lease_model m;
    struct lease_emits emits;
    char topic_names[LEASE_TOPICS_MAX][16];
    struct el_uuid topic_ids[LEASE_TOPICS_MAX];
    struct worker workers[WORKERS_MAX];
    uint32_t worker_count;
    struct appended batch;
    uint64_t sent; /* events; the number of the last */
    bool made;     /* topics and groups are there */
    bool behave;   /* workers acknowledge all but poison */
    uint64_t lives, steps_longest, answers;
    struct boot boot;
    struct lease_acts acts;
    struct lease_redrives redrive;
    struct lease_topics topics;
};

/* What producers and workers do in a step; the process has ended. arg: the lease_life */
void lease_work_step(void *arg);
void lease_work_lose(void *arg);
/* Count fetches whose answers are so late that their leases may have ended. */
void lease_work_late(struct lease_life *l);
/* The settings of a group, as the seed has them. */
void lease_choose_group(struct lease_life *l, struct lease_model_group *group, struct group_config *config);
/* Read the events of all topics, all dead letters, all that was emitted (all: nothing is on its way any more). returns
 * false: the machine crashed, or a violation */
bool lease_read_events(struct lease_life *l);
bool lease_read_letters(struct lease_life *l);
bool lease_read_emits(struct lease_life *l, bool all);
bool lease_read_copies(struct lease_life *l);
/* Where the groups stand; halted partitions are let go on. returns events that are not finished, -1: crashed, or a
 * violation */
int64_t lease_read_starts(struct lease_life *l);

#endif
