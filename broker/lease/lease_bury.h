/* SPDX-License-Identifier: Apache-2.0
 *
 * Dead letters of a part that are on their way. Private to lease_bury*.c:
 *
 *   lease_bury.c         slots, the turn, what waits
 *   lease_bury_letter.c  the event is read, the letter made
 *   lease_bury_append.c  intents, appends, what is settled
 *   lease_bury_topic.c   topic, partition and producer id
 */
#ifndef EL_LEASE_LEASE_BURY_H
#define EL_LEASE_LEASE_BURY_H

#include <lease/lease_letter.h>
#include <lease/lease_part.h>

enum bury_state {
    BURY_FREE,
    BURY_WAITING,   /* it has a number, and is to be read, again perhaps */
    BURY_READING,   /* the event is read */
    BURY_BUILDING,  /* a worker makes the letter */
    BURY_BUILT,     /* the letter is there: it needs topic, producer id and an intent */
    BURY_INTENT,    /* its intent is part of the write under way */
    BURY_INTENDED,  /* that is durable: to be appended */
    BURY_APPENDING, /* under way */
    BURY_APPENDED, /* it is in the topic; the table has not told the event yet, or there is no memory to park its key */
    BURY_DONE,     /* the table knows: the next write carries it */
    BURY_FINISHING, /* the write under way does */
};

struct bury_slot {
    struct lease_burial *burial;
    enum bury_state state;
    bool told;     /* by the table; an intent that was restored runs before that */
    bool intended; /* `intent` is valid, and may be stored */
    bool appended; /* the letter is in its topic, which the intent says from the next write on */
    struct lease_dead dead;
    struct lease_intent intent;
    struct read_op read;
    struct io_op job;
    struct append_op append;
    struct lease_letter letter;
    uint8_t *texts;    /* of the letter, while it is built: the worker's copy */
    uint64_t delay_ns; /* it was put off for so long before */
    uint64_t retry_ns; /* one with a number tries again then */
};

/* An event that the table told and that has no slot, for want of one or because it failed by itself. */
struct bury_later {
    struct el_list link;
    struct lease_dead dead;
    uint64_t at_ns, delay_ns; /* not before; and it has waited so long */
    int error;                /* 0: for want of a slot */
};

struct lease_burial {
    struct lease_part *part;
    struct bury_slot slots[LEASE_INTENTS_MAX];
    struct el_list later; /* struct bury_later.link */
    /* where they go */
    struct topic_op create;
    struct topic_config create_config;
    char topic_name[EL_TOPIC_NAME_MAX + 1];
    bool making;  /* the topic is being made */
    bool drawing; /* a producer id is being drawn */
    struct producer_id_op draw;
    struct el_uuid proven; /* topic whose partition has taken a letter: it knows the producer */
    int32_t proven_partition;
    bool fenced; /* the partition does not take the sequence: a new producer id */
    /* what holds up all of them */
    uint64_t retry_ns, delay_ns;
    uint64_t said_ns; /* when the log was told */
    int error;
    char why[192];
};

static inline struct lease_part *bury_part(const struct bury_slot *slot)
{
    return slot->burial->part;
}

/* --- lease_bury.c ------------------------------------------------------------------------------------------------- */

/* Made when there is none; NULL without memory. */
struct lease_burial *bury_of(struct lease_part *part);
/* Free what the slot holds: it is BURY_FREE. */
void bury_slot_clear(struct bury_slot *slot);
/* It cannot be buried now, for a reason of its own: it leaves its slot for a while, or, with a number, waits in it. */
void bury_slot_fail(struct bury_slot *slot, int error);

/* --- lease_bury_letter.c ------------------------------------------------------------------------------------------ */

/* Read the event and build its letter: the slot is BUILT, or INTENDED where it has a number; or has failed. */
void bury_slot_read(struct bury_slot *slot);

/* --- lease_bury_append.c ------------------------------------------------------------------------------------------ */

/* A slot that is INTENDED is appended, when those before it are or will be. */
void bury_append_turn(struct bury_slot *slot);
/* One that is APPENDED: the table learns it when it has told the event, and the next write carries it. */
void bury_slot_settle(struct bury_slot *slot);
/* The event is nowhere any more: there is nothing to bury. */
void bury_slot_vanished(struct bury_slot *slot);
/* The partition takes no number of this producer: draw another id, once none may be sent again. */
void bury_fence_turn(struct lease_burial *b);

/* --- lease_bury_topic.c ------------------------------------------------------------------------------------------- */

/* Where a letter goes. */
struct bury_target {
    struct el_uuid topic_id;
    int32_t partition;
    uint32_t len_max; /* of a batch */
};
/* The topic is there and may be used; it is made when it is not. returns false: not now */
bool bury_target(struct lease_burial *b, struct bury_target *target);
/* There is a producer id; it is drawn when there is none. returns false: not now */
bool bury_producer(struct lease_burial *b);
/* All wait: for a second, then longer, at most a minute. */
void bury_fail(struct lease_burial *b, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Something went well: the next failure waits for a second again. */
void bury_went_well(struct lease_burial *b);
/* The next wait after one of delay_ns. */
uint64_t bury_longer(uint64_t delay_ns);

#endif
