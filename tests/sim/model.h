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
#define MODEL_PRODUCERS_MAX 512
#define MODEL_PLAIN_LEN 30000u /* shorter values are random bytes */
#define MODEL_WORD_LEN 8u      /* of an event that nothing else has */
#define MODEL_GONE_MAX 12u

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
    uint64_t sent_ns;   /* latest time of the store's clock when it was made */
    uint64_t made_ns;   /* no later than its append by the store's clock of that life */
    uint32_t made_life;
    uint32_t key_count;    /* of a compacted topic: its records have keys; else 0 */
    uint32_t spread;       /* of another one: keys of its records; 0 they have none */
    uint32_t read_records; /* of a compacted topic, those that the last read gave; a bit each */
    uint32_t seen_records; /* those that the last scan has seen */
    bool repeated;         /* it was sent more than once */
    bool due, seen;        /* in the scan under way: it must be found, it was found */
};

struct model_partition {
    int64_t log_start_min; /* trims that were acknowledged */
    int64_t log_start_max; /* trims that were asked for */
    int64_t trim_max;      /* the same, where events may leave by themselves as well */
    int64_t end_shown;     /* greatest high watermark that anybody was told */
};

enum topic_state { TOPIC_ABSENT, TOPIC_MAYBE, TOPIC_THERE, TOPIC_MAYBE_GONE, TOPIC_GONE };

struct model_topic {
    char name[16];
    struct el_uuid id;
    enum topic_state state;
    int32_t partition_count; /* acknowledged */
    int32_t partition_asked;
    bool retention; /* old events may leave by themselves */
    bool memory;    /* evlog.durability=memory: only a clean stop keeps the tail */
    bool awaited;   /* store or both: acknowledged and shown when the archive has it */
    bool stamped;   /* message.timestamp.type=LogAppendTime */
    bool compacted; /* events may leave as keyed.h says */
    uint32_t key_count;
    uint32_t spread;       /* keys of the events of one that is not compacted, 0: they have none */
    bool small;            /* no large events: as dead letters they might fit nowhere */
    uint64_t tombstone_ns; /* delete.retention.ms */
    uint64_t lag_ns;       /* min.compaction.lag.ms */
    struct model_partition partitions[MODEL_PARTITIONS_MAX];
};

/* Somebody asked to redact it: whole batches, all of which are acknowledged. */
struct model_gone {
    uint32_t topic;
    int32_t partition;
    int64_t first, end;
    uint32_t life;          /* of the store, when it was asked for first */
    bool dropped;           /* the topic was deleted before it was done */
    bool complete;          /* it was said to be done ... */
    uint64_t complete_step; /* ... in this step of the world */
};

enum time_kind { TIME_OF_EVENT, TIME_OF_APPEND };

/* A question for the first offset at or after a time. */
struct model_lookup {
    uint32_t topic;
    int32_t partition;
    enum time_kind kind;
    int64_t time;    /* ms of event time, ns of append time */
    int64_t at_most; /* the answer is not above it: something known stands there. INT64_MAX: nothing does */
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
    struct model_gone gone[MODEL_GONE_MAX]; /* [gone_count] */
    uint32_t gone_count;
    uint64_t digest; /* of the last scan */
    struct model_damage {
        uint32_t topic;
        int32_t partition;
        int64_t start, end; /* end 0: none */
    } damage;               /* the last range that the last scan could not read */
    uint64_t events_stored; /* batches known to be stored, for the report */
};

void model_init(struct model *m, struct world *w);
void model_free(struct model *m);
/* done of an op whose arg points to a flag. */
void model_on_flag(struct store_op *op);
/* Offset up to which somebody has asked for a deletion. */
int64_t model_deleted(void *arg, const struct el_uuid *topic_id, int32_t partition);
/* Index of a topic that is there, UINT32_MAX when none is found. */
uint32_t model_topic_any(const struct model *m);
/* Index of a new batch. */
uint32_t model_send(struct model *m, uint32_t topic, int32_t partition, uint32_t producer, uint32_t record_count,
                    int32_t first_sequence);
/* Fill out[] with the batch of a sent entry: pid -1 for none. returns its length */
size_t model_batch(struct model *m, const struct sent *s, int64_t pid, uint32_t value_len, uint8_t *out,
                   size_t out_len);
/* The same with a codec; values of MODEL_PLAIN_LEN and more shrink to almost nothing. */
size_t model_batch_packed(const struct sent *s, int64_t pid, uint32_t value_len, enum el_codec codec, uint8_t *out,
                          size_t out_len);
/* Time that the records of a stored batch have, in ms. */
int64_t model_timestamp_ms(const struct model *m, const struct sent *s);
/* What an event of a batch holds that nothing else does. One that is too short does not hold it. */
void model_word(const struct sent *s, uint32_t index, uint8_t word[MODEL_WORD_LEN]);
/* The step of the world behind which it is redacted for certain; UINT64_MAX: it may be, 0: nobody asked for it. */
uint64_t model_gone_step(const struct model *m, const struct sent *s);
/* A producer was told that a batch is stored; append_ns 0: not when. */
void model_acked(struct model *m, struct sent *s, int64_t offset, uint64_t append_ns);
/* Greatest append time that anybody was told. */
uint64_t model_last_append_ns(const struct model *m);
/* A reader was given a batch at `next`: are they the bytes that were sent, at the place where they were acknowledged,
 * or a mark in the place of what somebody wanted to be redacted? From now on it must stay there. `inside`: it may begin
 * below next. An append time of 0 was not told. returns NULL after a violation */
struct sent *model_see(struct model *m, uint32_t topic, int32_t partition, int64_t next, bool inside,
                       const uint8_t *batch, const struct read_entry *e);
/* A reader was given some records of a batch; which is in read_records. returns NULL after a violation */
const struct sent *model_see_some(struct model *m, uint32_t topic, int32_t partition, const uint8_t *batch,
                                  uint32_t len);
/* A read was answered. */
void model_trace_read(struct model *m, const struct read_op *op);
/* The end of a partition was told: it is never below what had been told when the question was asked (model_end()). */
void model_see_end(struct model *m, uint32_t topic, int32_t partition, int64_t before, int64_t end);
/* Likewise its beginning, which is never above what a trim asked for. */
void model_see_start(struct model *m, uint32_t topic, int32_t partition, int64_t start);
static inline int64_t model_end(const struct model *m, uint32_t topic, int32_t partition)
{
    return m->topics[topic].partitions[partition].end_shown;
}
/* A run ended other than by a clean stop: what is promised to nobody is forgotten. */
void model_forget(struct model *m);
/* Choose a time that tells something. returns false when there is none */
bool model_lookup_choose(struct model *m, uint32_t topic, int32_t partition, enum time_kind kind,
                         struct model_lookup *lookup);
/* Its answer, -1 for none: compare with what is known to be stored. */
void model_see_lookup(struct model *m, const struct model_lookup *lookup, int64_t offset);
/* Look a time up and compare with what is known to be stored. returns false when the machine crashed */
bool model_check_lookup(struct model *m, uint32_t topic, int32_t partition);
/* After a start: what the catalogue must hold. */
void model_check_catalogue(struct model *m);
/* Read everything and compare. returns false when the machine crashed or a promise is broken */
bool model_check_log(struct model *m);
/* A cut was told: compare with earlier ones of the same time, and keep it. */
void model_see_cut(struct model *m, const struct model_cut *cut);
/* Cut at a time (0: now) and compare with earlier cuts of the same time. */
bool model_cut_now(struct model *m, uint64_t time_ns);
/* Producer ids that were given out are all different. */
bool model_producer_id(struct model *m, int64_t *pid);

#endif
