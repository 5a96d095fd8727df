/* SPDX-License-Identifier: Apache-2.0
 *
 * Records of __evlog_groups as bytes; layouts stand beside the encoders and in docs/format.md. Pure functions.
 */
#ifndef EL_LEASE_LEASE_RECORD_H
#define EL_LEASE_LEASE_RECORD_H

#include <format/batch.h>

#define LEASE_RECORD_VERSION 1u
#define LEASE_GROUP_ID_LEN_MAX 249u                                  /* longer ones are refused */
#define LEASE_KEY_LEN_MAX (2 + 2 + LEASE_GROUP_ID_LEN_MAX + 20 + 20) /* of a record's key, but for parked ones */
#define LEASE_INTENTS_MAX 5u                                         /* an idempotent producer's window */

enum lease_record_kind {
    LEASE_RECORD_SETTINGS = 1, /* overrides of a group; on control's shard */
    LEASE_RECORD_PART = 2,     /* where a group stands in a partition */
    LEASE_RECORD_BLOCK = 3,    /* states of 65,536 offsets */
    LEASE_RECORD_PARKED = 4,   /* a parked key */
    LEASE_RECORD_STORY = 5,    /* failed attempts of an event */
    LEASE_RECORD_EMITS = 6,    /* events that are done, and what they have emitted */
    LEASE_RECORD_BASE = 7,     /* up to where blocks without a record are finished, while the start lies below */
    LEASE_RECORD_REDRIVE = 8,  /* a redrive of dead letters; on control's shard */
    LEASE_RECORD_MARK = 9,     /* the last dead letter whose event has come back */
    LEASE_RECORD_LETTERS = 10, /* what became of 65,536 dead letters */
};

struct lease_record_key {
    enum lease_record_kind kind;
    struct el_slice group_id;
    struct el_uuid topic_id; /* all but SETTINGS, REDRIVE */
    int32_t partition;       /* all but SETTINGS, REDRIVE */
    int64_t number;          /* BLOCK, LETTERS: its number; STORY: offset; EMITS: of the first event; REDRIVE: its id */
    struct el_uuid dead_id;  /* MARK: of the dead-letter topic */
    int32_t dead_partition;  /* MARK */
    struct el_slice key;     /* PARKED: the event's key; borrowed */
};

size_t lease_record_key_len(const struct lease_record_key *key);
void lease_record_key_encode(struct el_writer *w, const struct lease_record_key *key);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT a version or kind that is not known */
int lease_record_key_decode(struct el_slice data, struct lease_record_key *key);

#define LEASE_INTENT_APPENDED 0x80u /* the letter is in its topic, which may not know its number any more */

/* A dead letter that is on its way. */
struct lease_intent {
    int64_t offset;          /* of the event */
    struct el_uuid topic_id; /* of the dead-letter topic */
    int32_t partition;       /* of the same */
    int32_t sequence;
    uint8_t reason; /* enum lease_death, and LEASE_INTENT_APPENDED */
    int32_t attempts;
};

struct lease_record_part {
    int64_t start;       /* first offset that is not finished */
    int64_t producer_id; /* -1: none yet */
    int32_t next_sequence;
    uint32_t intent_count;
    struct lease_intent intents[LEASE_INTENTS_MAX];
};
#define LEASE_RECORD_PART_LEN_MAX (8u + 8u + 8u + 4u + 4u + LEASE_INTENTS_MAX * 40u)
void lease_record_part_encode(struct el_writer *w, const struct lease_record_part *part);
/* returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT */
int lease_record_part_decode(struct el_slice data, struct lease_record_part *part);

struct lease_record_parked {
    int64_t offset;  /* of the event that parked it */
    int64_t time_ms; /* when */
};
#define LEASE_RECORD_PARKED_LEN 24u
void lease_record_parked_encode(struct el_writer *w, const struct lease_record_parked *parked);
int lease_record_parked_decode(struct el_slice data, struct lease_record_parked *parked);

/* Events that are done but for what they have emitted, and that as batches that are ready to be appended. */
#define LEASE_EMITS_EVENTS_MAX 1024u
#define LEASE_EMITS_BATCHES_MAX 256u
#define LEASE_EMITS_HEAD_LEN 16u
#define LEASE_EMITS_BATCH_HEAD_LEN 24u
struct lease_record_emits {
    const uint8_t *begin;
    uint64_t place;                    /* among those of its part: they rise; 0: not known, before all others */
    uint32_t event_count, batch_count; /* at least 1 each */
    const uint8_t *offsets;            /* [event_count] of 8 bytes, rising: lease_record_emits_offset() */
    struct el_reader batches;          /* lease_record_emits_next() */
};
struct lease_record_emits_batch {
    struct el_uuid topic_id; /* target */
    int32_t partition;
    uint32_t pos; /* of the batch in the value */
    struct el_batch_info info;
};
/* The value's beginning; batches follow, each behind its head. */
void lease_record_emits_begin(struct el_writer *w, uint64_t place, uint32_t batch_count, const int64_t *offsets,
                              uint32_t event_count);
void lease_record_emits_batch_head(struct el_writer *w, const struct el_uuid *topic_id, int32_t partition,
                                   uint32_t len);
/* All is checked, the batches' checksums included.
 * returns 0 | EVLOG_ERR_CORRUPT | EVLOG_ERR_FORMAT */
int lease_record_emits_decode(struct el_slice data, struct lease_record_emits *emits);
int64_t lease_record_emits_offset(const struct lease_record_emits *emits, uint32_t i);
/* The next batch; call it batch_count times. */
void lease_record_emits_next(struct lease_record_emits *emits, struct lease_record_emits_batch *batch);
int lease_record_base_decode(struct el_slice data, int64_t *base);
#define LEASE_RECORD_BASE_LEN 16u
void lease_record_base_encode(struct el_writer *w, int64_t base);

struct lease_record_mark {
    uint64_t task;  /* the redrive */
    int64_t letter; /* offset in the dead-letter partition: this and what that task asked for below has come back */
};
#define LEASE_RECORD_MARK_LEN 24u
void lease_record_mark_encode(struct el_writer *w, const struct lease_record_mark *mark);
int lease_record_mark_decode(struct el_slice data, struct lease_record_mark *mark);

#endif
