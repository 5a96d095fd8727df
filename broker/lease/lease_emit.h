/* SPDX-License-Identifier: Apache-2.0
 *
 * What handled events have emitted, and is on its way to its topics. Private to lease_emit*.c.
 */
#ifndef EL_LEASE_LEASE_EMIT_H
#define EL_LEASE_LEASE_EMIT_H

#include <lease/lease_part.h>

#define EMIT_TARGETS_KEPT 1024u /* partitions whose numbers are remembered; others begin with a new producer id */

enum emit_state {
    EMIT_BUILT,     /* its batches have their numbers: the next write stores them */
    EMIT_INTENT,    /* the write under way does */
    EMIT_INTENDED,  /* that is durable: to be appended */
    EMIT_APPENDED,  /* all are in their topics; the table does not know that of all its events yet */
    EMIT_DONE,      /* the table knows: the next write ends it */
    EMIT_FINISHING, /* the write under way does */
    EMIT_ALONE,     /* the part ends: a write of its own stores it */
};

struct emit_target_key {
    struct el_uuid topic_id;
    int32_t partition;
    int32_t zero;
};
EL_STATIC_ASSERT(sizeof(struct emit_target_key) == 24, "no padding, for it is hashed as bytes");

/* A partition that is emitted to. */
struct emit_target {
    struct emit_target_key key;  /* of the map */
    struct el_list link;         /* emitter->target_list, the one used last is the last */
    struct el_list batches;      /* struct emit_batch.link: to be appended, in order */
    struct el_list pending;      /* struct emit_batch.pending_link: of bundles that have not ended, in order */
    uint64_t given;              /* batches that it got numbers for */
    int64_t producer_id;         /* of the next batch; -1 none yet */
    int32_t next_sequence;       /* the same */
    int64_t proven_id;           /* producer that the partition has taken a batch of: it knows it; -1 none */
    uint64_t retry_ns, delay_ns; /* not before; and it has waited so long */
    int error;                   /* why */
    /* while a bundle is built */
    struct lease_emit *first, *last; /* linked by next */
    uint32_t bundle_len;             /* bytes at most of those of the bundle; 0 it has none */
    uint32_t event_len;              /* the same of the event that is looked at */
};

struct emit_batch {
    struct emit_bundle *bundle;
    struct emit_target *target;
    struct el_list link;         /* target->batches until it is appended */
    struct el_list pending_link; /* target->pending until its bundle has ended */
    uint64_t given;              /* its place among those of its target */
    uint32_t pos;                /* in bundle->value */
    bool appending, appended;
    bool renumber; /* the partition does not take its number: it needs another one */
    bool letters;  /* dead letters of what another partition has refused */
    int refused;   /* its partition never takes it: why; 0 it may */
    struct append_op op;
};

/* Events that are done, and what they have emitted: one record of __evlog_groups, one batch for each target. */
struct emit_bundle {
    struct lease_emitter *emitter;
    struct el_list link; /* emitter->bundles, oldest first */
    enum emit_state state;
    bool restored;      /* its events may not be read yet */
    bool stored;        /* it has been durable */
    bool borrowed;      /* value is of a struct lease_stored */
    uint8_t *value;     /* of the record */
    uint32_t value_len; /* bytes */
    uint32_t charged;   /* of leases.emit_bytes */
    int64_t number;     /* offset of its first event: in the record's key */
    uint64_t place;     /* among all of the part, in the order in which they were made */
    int64_t *offsets;   /* [event_count] rising: those that the table does not know to be published */
    uint32_t event_count;
    struct lease_staged **staged; /* [staged_count] told when it is durable */
    uint32_t staged_count;
    struct emit_batch *batches; /* [batch_count] */
    uint32_t batch_count;
    uint32_t left;          /* batches that are not appended */
    uint32_t refused_count; /* of those, the refused ones */
};

struct lease_emitter {
    struct lease_part *part;
    struct el_list bundles; /* at most LEASE_INTENTS_MAX */
    uint32_t bundle_count;
    uint64_t place;        /* of the last bundle */
    struct el_list staged; /* struct lease_staged.link: to be put into bundles */
    struct el_map targets; /* struct emit_target_key -> struct emit_target */
    struct el_list target_list;
    int64_t spare_id; /* a producer id that nobody has used; -1 none */
    bool drawing;
    struct producer_id_op draw;
    uint64_t retry_ns;   /* no memory, or no producer id: not before */
    uint64_t said_ns;    /* when the log was told; 0 never */
    uint64_t refused_ns; /* the same of what was refused for good */
};

/* --- lease_emit.c ------------------------------------------------------------------------------------------------- */

/* Made when there is none; NULL without memory. */
struct lease_emitter *emitter_of(struct lease_part *part);
/* With arrays of these sizes and a value of so many bytes at most, last in the list; NULL without memory. */
struct emit_bundle *emit_bundle_new(struct lease_emitter *emitter, uint32_t event_count, uint32_t staged_count,
                                    uint32_t batch_count);
/* The same without a value; place: it comes before that one in the list. */
struct emit_bundle *emit_bundle_new_at(struct lease_emitter *emitter, struct el_list *place, uint32_t event_count,
                                       uint32_t staged_count, uint32_t batch_count);
/* The place of an offset among those of a bundle | event_count */
uint32_t emit_bundle_find(const struct emit_bundle *bundle, int64_t offset);
/* Out of all lists. */
void emit_bundle_free(struct emit_bundle *bundle);
/* The log is told, once a minute; those who wait for the end of its partition, each time. */
void emit_complain(struct lease_emitter *emitter, const struct emit_target *target, int error);

/* --- lease_emit_build.c ------------------------------------------------------------------------------------------- */

/* Put what is staged into bundles, as many as may be under way. */
void emit_build_turn(struct lease_emitter *emitter);

/* --- lease_emit_append.c ------------------------------------------------------------------------------------------ */

/* The target, made when it is not known; NULL without memory. */
struct emit_target *emit_target_get(struct lease_emitter *emitter, const struct el_uuid *topic_id, int32_t partition);
/* It has a producer id for the next batch; one is drawn otherwise. returns false: not now */
bool emit_target_ready(struct lease_emitter *emitter, struct emit_target *target);
/* One more batch, and its partition would no longer know the oldest that may have to be sent again. step: the batch is
 * for that bundle, or NULL; with it goes what of the bundle has been appended. */
bool emit_target_full(const struct emit_target *target, const struct emit_bundle *step);
/* A batch for it is to be appended, in that place: before what is there; &target->batches: behind all others. */
void emit_target_add(struct emit_target *target, struct emit_batch *batch, struct el_list *place);
/* Append what may be. */
void emit_append_turn(struct emit_bundle *bundle);
/* It is not to be appended any more. */
void emit_batch_end(struct emit_batch *batch);

/* --- lease_emit_refuse.c ------------------------------------------------------------------------------------------ */

/* Is it of no use to append the batch once more? */
bool emit_refused_for_good(const struct emit_batch *batch, int error);
/* The partition has refused a batch for good: later ones go on, once nothing of it is to be appended there. */
void emit_batch_refuse(struct emit_batch *batch, int error);
/* One that was stored holds dead letters: see struct emit_batch. */
bool emit_batch_is_letters(const struct emit_batch *batch);
/* Go on with what was refused, when nothing of the bundle is under way. The bundle may be another one then: look at the
 * list. */
void emit_refuse_turn(struct emit_bundle *bundle);
/* When it wants a turn; UINT64_MAX: it will be called. */
uint64_t emit_refuse_next(const struct lease_emitter *emitter);
/* Why what was refused is still there, for people. */
void emit_refuse_why(const struct emit_batch *batch, char *text, size_t text_len);

#endif
