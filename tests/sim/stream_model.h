/* SPDX-License-Identifier: Apache-2.0
 *
 * What the logs of topics with streams hold, as they were read, and what of that any answer must say. The log is the
 * truth: each stream is what a plain count of it gives.
 *
 *   an event is at each offset once, and never another one later; what was acknowledged is there
 *   no event id is twice in a stream
 *   an append with an expected version was at that version; one that was told of a conflict, or of a duplicate, was
 *     told the truth, and nothing older than what was acknowledged before it was sent
 *   where events of a stream or type are, and which streams there are, is what a scan says
 */
#ifndef EL_SIM_STREAM_MODEL_H
#define EL_SIM_STREAM_MODEL_H

#include "stream_world.h"

#define STREAM_PARTITIONS_MAX 3
#define MODEL_KEYS 600u /* few of them are hot */
#define MODEL_TYPES 4u

enum model_deletes { MODEL_EVENT, MODEL_SOFT, MODEL_HARD };

/* One event of a log. */
struct model_event {
    uint64_t number; /* of the event, in its value; a retry has the same */
    uint64_t id;     /* event id; 0 none */
    uint32_t key;    /* 0 none */
    uint8_t type;    /* 0 none */
    uint8_t deletes; /* enum model_deletes */
    int64_t version; /* -1 without a key */
};

struct model_stream {
    int64_t *offsets; /* [count] by version */
    uint32_t count, room;
};

struct model_part {
    struct model_event *events; /* [end] by offset */
    int64_t end, room;
    int64_t start; /* log start, as far as is known */
    bool trimmed;  /* it was asked to move, perhaps without an answer */
    struct model_stream streams[MODEL_KEYS];
    int64_t acked[MODEL_KEYS]; /* highest version that somebody was told, -1 none */
};

struct stream_model {
    struct world *w;
    struct stream_world *sw;
    struct el_uuid topic_id;
    int32_t partition_count;
    struct model_part parts[STREAM_PARTITIONS_MAX];
    int64_t count_max; /* evlog.stream.max.count; -1 none */
    bool disturbed;    /* the disk may fail: the index may be refused for it */
    uint64_t refused;  /* comparisons that were not to be had */
    bool rotted;       /* its files have been changed behind its back, once */
    bool whole;        /* the last scan came to the end of each partition: a read may fail, for want of files too */
};

void stream_model_init(struct stream_model *m, struct stream_world *sw);
void stream_model_free(struct stream_model *m);
/* The topic is another one: nothing is known of it. */
void stream_model_clear(struct stream_model *m);
/* "k17", the key's bytes; empty for 0 */
struct el_slice stream_model_key(uint32_t key, char *text);
/* "t2" */
struct el_slice stream_model_type(uint8_t type, char *text);
/* What a batch of the log holds. returns the number of events, taken from the log */
bool stream_model_parse(const struct el_batch_record *record, struct model_event *event);
/* Read all logs on, from where they were read to. returns false: crashed or a violation. */
bool stream_model_scan(struct stream_model *m);
/* Version of the last event of a stream below an offset, -1 none. */
int64_t stream_model_last(const struct stream_model *m, int32_t partition, uint32_t key, int64_t below);
/* First version of a stream that a reader may see, when `last` is its last one and the log begins at `start`. */
int64_t stream_model_first(const struct stream_model *m, const struct model_part *p, const struct model_stream *s,
                           int64_t last, int64_t start);
/* Does a fault explain that the index of a partition is refused? */
bool stream_model_may_refuse(const struct stream_model *m, int32_t partition, int code);
/* Ask for streams, types and names, and compare with the log; nobody appends meanwhile. count: so many streams.
 * returns false: crashed or a violation */
bool stream_model_compare(struct stream_model *m, uint32_t count);

#endif
