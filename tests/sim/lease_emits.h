/* SPDX-License-Identifier: Apache-2.0
 *
 * What workers of the lease mode emit, and what must hold of it: of an event that was done with emits, the emits of one
 * acknowledgement are in their topics, each once; of any other event none are; those of a key come in the order of its
 * events. What is emitted says whose it is, so that the topics alone tell.
 */
#ifndef EL_SIM_LEASE_EMITS_H
#define EL_SIM_LEASE_EMITS_H

#include "lease_model.h"

#define EMIT_TOPICS 2u
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
    uint64_t count;             /* found in the topics */
    uint32_t topic;             /* that is being read */
    int32_t partition;
    int64_t last[LEASE_GROUPS_MAX][LEASE_TOPICS_MAX][LEASE_PARTITIONS_MAX][LEASE_KEYS]; /* there */
};

const char *lease_emits_topic(uint32_t i);
/* Let an acknowledgement emit something, sometimes. i: of the outcome in its request */
void lease_emits_choose(struct lease_emits *e, const struct emit_source *source, struct lease_outcome *outcome,
                        struct emit_room *room, uint32_t i);
/* The topic of that name is another one now. */
void lease_emits_anew(struct lease_emits *e, uint32_t topic, const struct el_uuid *id);
/* It was answered: done. */
void lease_emits_acked(struct lease_emits *e, const struct emit_source *source, const struct lease_outcome *outcome);
/* All that was found is forgotten, then every record of every partition of the topics is told. */
void lease_emits_begin(struct lease_emits *e);
void lease_emits_partition(struct lease_emits *e, uint32_t topic, int32_t partition);
void lease_emits_found(struct lease_emits *e, const struct el_batch_record *record);
/* Nothing is there twice, or of two acknowledgements. all: nothing is on its way any more, so nothing is missing. */
void lease_emits_end(struct lease_emits *e, bool all);

#endif
