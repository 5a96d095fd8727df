/* SPDX-License-Identifier: Apache-2.0
 *
 * What a redrive of dead letters asks of other shards: events that come back, on the shard of their source; and what
 * became of letters, on the shard of the letters. Private to broker/lease: redrive.c asks, lease_again.c and
 * lease_letters.c answer. Ops as in leases.h.
 */
#ifndef EL_LEASE_LEASE_REDRIVE_H
#define EL_LEASE_LEASE_REDRIVE_H

#include <lease/leases.h>

#define LEASE_LETTERS_MAX 256u /* of one op */

/* What became of an event that is to come back. */
enum lease_again_result {
    LEASE_AGAIN_BACK,   /* it will be delivered */
    LEASE_AGAIN_GONE,   /* the source does not have it any more */
    LEASE_AGAIN_PASSED, /* the group's filter lets it pass by, so nobody would get it */
};

struct lease_again_letter {
    int64_t letter;                 /* its offset in the dead-letter partition */
    int64_t offset;                 /* of the event in its source */
    uint64_t key_hash;              /* of the letter: an event with another key is another event */
    struct el_slice history;        /* of the letter; data NULL: none */
    enum lease_again_result result; /* out, for the first done_count */
};

/* Events of one partition come back to the group, once each however often it is asked: those up to the last letter that
 * the task has asked for before are known to have. Durable when it is answered.
 * errors: UNKNOWN_TOPIC, UNKNOWN_TOPIC_ID the source is gone; NOT_FOUND the letters' topic is; AGAIN: not now, for more
 * of them wait than is good, or another op is at it; as leases_fetch() */
struct lease_again_op {
    struct lease_op base;
    struct el_uuid topic_id; /* of the source */
    int32_t partition;
    struct el_uuid dead_id; /* of the letters */
    int32_t dead_partition;
    uint64_t task;                      /* never 0; the tasks of one topic of letters rise */
    struct lease_again_letter *letters; /* [letter_count] rising, at most LEASE_LETTERS_MAX */
    uint32_t letter_count;
    uint32_t done_count; /* out: 0 .. letter_count */
};
void leases_again(struct leases *ls, struct lease_again_op *op);

#endif
