/* SPDX-License-Identifier: Apache-2.0
 *
 * Outcomes of leased events, for the requests that bring them: ShareFetch, ShareAcknowledge, LeaseOutcome. Each
 * partition is one operation, and its outcomes are taken all or none.
 */
#ifndef EL_API_SHARE_ACK_H
#define EL_API_SHARE_ACK_H

#include <api/api.h>

/* Types of Kafka's acknowledgements have the numbers of enum lease_outcome_kind. */
enum share_ack_type {
    SHARE_ACK_GAP,
    SHARE_ACK_ACCEPT,
    SHARE_ACK_RELEASE,
    SHARE_ACK_REJECT,
    SHARE_ACK_RENEW,
};

/* A range as a request has it. */
struct share_ack_range {
    int64_t first, last; /* inclusive */
    const int8_t *types; /* [type_count] one for all, or one for each offset */
    uint32_t type_count;
};

/* The outcomes of one partition. */
struct share_ack {
    struct lease_fetch_op op;
    int16_t error;         /* enum el_kafka_error, out */
    const char *message;   /* out: static, in op or in the request's arena; NULL without */
    bool emits_refused;    /* out: error is about what was to be emitted */
    struct share_acks *of; /* private */
};

struct share_acks {
    struct api *api;
    struct share_session *session;       /* in use by the request until finish */
    struct el_slice group_id, member_id; /* in the request */
    struct share_ack *acks;              /* [count] with topic id and partition in op, and op.outcomes or an error */
    uint32_t count;
    uint32_t pending;                        /* private */
    void (*finish)(struct share_acks *acks); /* called once, perhaps inside share_acks_start() */
};

/* Outcomes from ranges.
 *
 * renew    type 4 is allowed
 * arena    takes the outcomes
 * ack      op.outcomes, or error INVALID_REQUEST with a message
 * returns  false without memory
 */
bool share_ack_ranges(struct share_ack *ack, const struct share_ack_range *ranges, uint32_t range_count, bool renew,
                      struct el_arena *arena);
/* Where the outcomes are to go: finds the topic, or sets the error. An id that is zero means: by name. */
void share_ack_target(struct share_ack *ack, struct api *api, const struct request *request, struct el_slice name,
                      const struct el_uuid *topic_id, int32_t partition);
/* Hand in all that have no error. */
void share_acks_start(struct share_acks *acks);
/* Kafka's code for what an op of a partition ended with: one of the few that share consumers know in this place. */
int16_t share_part_error(int error);
/* Text of an op's error: its own, or the code's; a NULL slice for 0. In the op. */
struct el_slice share_op_message(const struct lease_op *op);

#endif
