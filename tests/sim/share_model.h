/* SPDX-License-Identifier: Apache-2.0
 *
 * What members of share groups were told, and what must hold of it: every event of a group's topics comes at least
 * once; those that are ordered one after the other; one that was acknowledged never again; one that was rejected, or
 * delivered as often as it may be, is in the dead-letter topic once, and then was not acknowledged.
 *
 * Topics whose events leave by themselves, by age or compaction, are held to less: what is missing there may be gone.
 */
#ifndef EL_SIM_SHARE_MODEL_H
#define EL_SIM_SHARE_MODEL_H

#include "model.h"

#define SHARE_GROUPS 2u

enum share_order { SHARE_BY_KEY, SHARE_BY_PARTITION, SHARE_UNORDERED };

/* An event, as one group sees it. */
struct share_view {
    uint32_t sent; /* its batch in the model, from 1; 0: not known yet */
    uint16_t deliveries;
    bool ack_sent;     /* it may be done */
    bool acked;        /* it is: that was answered, ... */
    uint64_t acked_ns; /* ... then */
    bool rejected;     /* a member said so, maybe without an answer */
    uint8_t buried;
    uint64_t buried_ns; /* when its letter was first seen; 0: never */
};

struct share_track {
    struct share_view *views; /* [room] by offset */
    int64_t room;
    int64_t floor; /* nothing below it holds up anything */
};

struct share_group {
    uint32_t number;
    bool configured; /* its settings are durable */
    bool finished;   /* the last look found nothing to do */
    enum share_order order;
    int32_t attempts_max; /* -1 no end */
    uint32_t lease_ms;
    uint32_t inflight_max;
    uint32_t lost;   /* fetches without an answer and lives: each may have been a delivery of any event */
    uint32_t flying; /* fetches under way: likewise */
    struct share_track parts[MODEL_TOPICS_MAX][MODEL_PARTITIONS_MAX];
};

void share_group_init(struct share_group *g, struct world *w, uint32_t number);
void share_group_free(struct share_group *g);
struct el_slice share_group_name(const struct share_group *g);
/* Is a topic of this number one of the group's? */
bool share_group_may_read(const struct share_group *g, uint32_t topic);
/* Does the group read the topic? Never one that only a clean stop keeps. */
bool share_group_reads(const struct share_group *g, const struct model *m, uint32_t topic);
/* A new process: what was under way there may have been a delivery. */
void share_group_restart(struct share_group *g);
/* A line of the story: group, topic and partition as one number, and the offset. */
static inline void share_say(const struct share_group *g, const struct model *m, const char *what, uint32_t topic,
                             int32_t partition, int64_t offset)
{
    world_say(m->w, what, (long long)(g->number * 10000 + topic * 100) + partition, offset);
}
struct share_view *share_view(struct share_group *g, uint32_t topic, int32_t partition, int64_t offset);
/* Batches of a partition may have become known. */
void share_group_learn(struct share_group *g, const struct model *m, uint32_t topic, int32_t partition);
/* A member was given record `index` of a batch. */
struct share_delivery {
    const struct sent *sent;
    uint32_t index;
    int32_t told;      /* number of the delivery */
    uint64_t asked_ns; /* when the fetch was asked: its answer may come long after it was given */
};
void share_group_delivered(struct share_group *g, struct model *m, const struct share_delivery *delivery);
/* Is this event one that nothing but the group can finish? */
bool share_event_stays(const struct model *m, uint32_t topic, int32_t partition, int64_t offset);
/* Read the dead letters and compare. returns false when the machine crashed or a promise is broken */
bool share_group_letters(struct share_group *g, struct model *m);
/* Nothing is left to do: was everything done? */
void share_group_end(struct share_group *g, struct model *m);

#endif
