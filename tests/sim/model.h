/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients know: every batch they sent, what came back, and what the log must therefore hold. Kept apart from the
 * engine: it shares no code with it but the batch format.
 */
#ifndef EL_SIM_MODEL_H
#define EL_SIM_MODEL_H

#include "world.h"

#define MODEL_TOPICS_MAX 24
#define MODEL_PARTITIONS_MAX 8
#define MODEL_CUTS_MAX 16

enum sent_state {
    SENT_UNKNOWN, /* may be in the log or not */
    SENT_STORED,  /* acknowledged or seen by a reader: must stay where it is */
    SENT_REFUSED, /* refused for certain: must never appear */
};

struct sent {
    uint64_t id;    /* unique; the records carry it */
    uint32_t topic; /* index in the model */
    int32_t partition;
    uint32_t producer; /* index */
    uint32_t record_count;
    int32_t first_sequence;
    enum sent_state state;
    int64_t offset;     /* when stored */
    uint64_t append_ns; /* when seen */
    bool seen;          /* in the scan under way */
};

struct model_partition {
    int64_t log_start_min; /* trims that were acknowledged */
    int64_t log_start_max; /* trims that were asked for */
    int64_t stored_end;    /* end of what is known to be stored */
};

enum topic_state { TOPIC_ABSENT, TOPIC_MAYBE, TOPIC_THERE, TOPIC_MAYBE_GONE, TOPIC_GONE };

struct model_topic {
    char name[16];
    struct el_uuid id;
    enum topic_state state;
    int32_t partition_count; /* acknowledged */
    int32_t partition_asked;
    bool retention; /* old events may leave by themselves */
    struct model_partition partitions[MODEL_PARTITIONS_MAX];
};

struct model_cut {
    uint64_t time_ns;
    uint32_t count;
    struct cut_result results[MODEL_TOPICS_MAX * MODEL_PARTITIONS_MAX];
};

struct model {
    struct world *w;
    struct model_topic topics[MODEL_TOPICS_MAX];
    uint32_t topic_count;
    struct sent *sent;
    uint32_t sent_count, sent_room;
    struct model_cut cuts[MODEL_CUTS_MAX];
    uint32_t cut_count;
    uint64_t digest;        /* of the last scan */
    uint64_t events_stored; /* batches known to be stored, for the report */
};

void model_init(struct model *m, struct world *w);
void model_free(struct model *m);
/* Index of a new batch. */
uint32_t model_send(struct model *m, uint32_t topic, int32_t partition, uint32_t producer, uint32_t record_count,
                    int32_t first_sequence);
/* Fill out[] with the batch of a sent entry: pid -1 for none. returns its length */
size_t model_batch(struct model *m, const struct sent *s, int64_t pid, uint32_t value_len, uint8_t *out,
                   size_t out_len);
/* After a start: what the catalogue must hold. */
void model_check_catalogue(struct model *m);
/* Read everything and compare. returns false when the machine crashed or a promise is broken */
bool model_check_log(struct model *m);
/* Cut at a time (0: now) and compare with earlier cuts of the same time. */
bool model_cut_now(struct model *m, uint64_t time_ns);
/* Producer ids that were given out are all different. */
bool model_producer_id(struct model *m, int64_t *pid);

#endif
