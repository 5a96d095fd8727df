/* SPDX-License-Identifier: Apache-2.0
 *
 * What a worker says about events that it has leased.
 */
#ifndef EL_LEASE_OUTCOME_H
#define EL_LEASE_OUTCOME_H

#include <core/bytes.h>
#include <format/record.h>

#define LEASE_DELAY_MS_MAX (7ll * 24 * 3600 * 1000) /* of a delay that a worker names: a week */

enum lease_outcome_kind {
    LEASE_GAP,     /* there is no such event */
    LEASE_ACCEPT,  /* done */
    LEASE_RELEASE, /* available again at once; the delivery counts */
    LEASE_REJECT,  /* dead letter, now */
    LEASE_EXTEND,  /* the lease begins anew */
    LEASE_FAIL,    /* retry after the group's backoff, or a dead letter when attempts are used up */
};

/* An event that is published because another one is done. */
struct lease_emit {
    struct el_uuid topic_id;
    int32_t partition;
    int64_t timestamp_ms;
    struct el_record_body body; /* borrowed */
    uint32_t batch_len_max;     /* max.message.bytes of the topic */
    struct lease_emit *next;    /* private */
};

struct lease_outcome {
    int64_t first, last; /* inclusive */
    enum lease_outcome_kind kind;
    int64_t delay_ms;       /* FAIL: -1 as the group's settings say, else 0 .. LEASE_DELAY_MS_MAX */
    struct el_slice reason; /* FAIL, REJECT: short, for people and for dlq stats; data NULL: none */
    struct el_slice error;  /* FAIL, REJECT: text of the error; data NULL: none */
    /* ACCEPT of one offset: published exactly once, when it is done; their targets were checked */
    struct lease_emit *emits; /* [emit_count]; borrowed */
    uint32_t emit_count;
};

#endif
