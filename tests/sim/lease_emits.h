/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers of the lease mode emit, and what must hold of it: of an event that was done with emits, the emits of one
 * acknowledgement are in their topics, each once; of any other event none are; those of a key come in the order of its
 * events. One of the topics refuses some emits for good: those are dead letters instead, each once, and what came with
 * them is in its topic. What is emitted says whose it is, so that the topics alone tell.
 */
#ifndef EL_SIM_LEASE_EMITS_H
#define EL_SIM_LEASE_EMITS_H

#include "lease_model.h"
#include <storage/observer.h>

#define EMIT_TOPICS 2u
#define EMIT_TOPIC_REFUSES 1u /* the one that refuses */
#define EMIT_PARTITIONS 3
#define EMITS_MAX 3u          /* of one event */
#define EMIT_OUTCOMES_MAX 64u /* of one request */

/* The values and what points to them, of one request: they live until it is answered. */
struct emit_room {
    struct lease_emit emits[EMIT_OUTCOMES_MAX][EMITS_MAX];
    uint8_t values[EMIT_OUTCOMES_MAX][EMITS_MAX][400];
};

/* Where an event that emits stands. */
struct emit_source {
    uint32_t group, topic;
    int32_t partition;
    int64_t offset;
};

struct lease_emits {
    struct lease_model *m;
    struct el_uuid topic_ids[EMIT_TOPICS];
    uint32_t gone[EMIT_TOPICS]; /* nonces up to this were for topics of that name that are deleted: they may be lost */
    uint32_t letters_gone[LEASE_GROUPS_MAX][LEASE_TOPICS_MAX]; /* the same of topics of dead letters, by source */
    bool deleting;  /* one of the topics is being deleted: what it refuses may be a letter by now */
    uint64_t count; /* found in the topics */
    uint32_t topic; /* that is being read */
    int32_t partition;
    int64_t last[LEASE_GROUPS_MAX][LEASE_TOPICS_MAX][LEASE_PARTITIONS_MAX][LEASE_KEYS]; /* there */
};

const char *lease_emits_topic(uint32_t i);
/* Its settings, on top of the defaults. */
void lease_emits_config(uint32_t i, struct topic_config *config);
/* What appends to the topic that refuses are asked: one with such an event is refused. */
const struct store_observer *lease_emits_observer(void);
/* It was emitted, and copied from a dead letter perhaps. */
bool lease_emits_is(const struct el_record *record);
/* Let an acknowledgement emit something, sometimes. i: of the outcome in its request */
void lease_emits_choose(struct lease_emits *e, const struct emit_source *source, struct lease_outcome *outcome,
                        struct emit_room *room, uint32_t i);
/* The topic of that name is another one now. */
void lease_emits_anew(struct lease_emits *e, uint32_t topic, const struct el_uuid *id);
/* A topic of dead letters is gone. */
void lease_emits_letters_gone(struct lease_emits *e, uint32_t group, uint32_t topic);
/* It was answered: done. */
void lease_emits_acked(struct lease_emits *e, const struct emit_source *source, const struct lease_outcome *outcome);
/* All that was found is forgotten, then every record of every partition of the topics is told. */
void lease_emits_begin(struct lease_emits *e);
void lease_emits_partition(struct lease_emits *e, uint32_t topic, int32_t partition);
void lease_emits_found(struct lease_emits *e, const struct el_batch_record *record);
/* The same of every dead letter that lease_emits_is(). */
void lease_emits_letter(struct lease_emits *e, const struct el_batch_record *record);
/* Nothing is there twice, or of two acknowledgements. all: nothing is on its way any more, so nothing is missing. */
void lease_emits_end(struct lease_emits *e, bool all);

#endif
