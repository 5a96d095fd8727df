/* SPDX-License-Identifier: Apache-2.0
 *
 * LeaseOutcome (key 0x4020, versions 0 to 1): outcomes of leased events, with what ShareAcknowledge cannot
 * say: a reason, the text of an error, a delay, and what a handled event emits.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_LEASE_OUTCOME_H
#define EL_WIRE_MSG_EXT_LEASE_OUTCOME_H

#include <wire/schema.h>

/* Header of an event. */
struct el_msg_ext_lease_outcome_header {
    struct el_slice name;  /* bytes */
    struct el_slice value; /* bytes, null allowed */
};

/* An event that is published because another one is done. */
struct el_msg_ext_lease_outcome_emit {
    struct el_slice key;                             /* null for none */
    int64_t time;                                    /* ms since 1970; -1 now */
    struct el_slice topic;                           /* name */
    struct el_slice value;                           /* null for none */
    struct el_msg_ext_lease_outcome_header *headers; /* [header_count] */
    uint32_t header_count;
    int32_t partition; /* -1 by the key, as producers choose it */
};

/* Outcome of a range of events. */
struct el_msg_ext_lease_outcome_range {
    int8_t kind;                                 /* 0 gap, 1 accept, 2 release, 3 reject, 4 extend, 5 fail */
    int64_t last;                                /* last offset, inclusive */
    struct el_msg_ext_lease_outcome_emit *emits; /* [emit_count] of an accept of one offset; since version 1 */
    uint32_t emit_count;
    struct el_slice error;  /* text of the error, null for none */
    int64_t first;          /* first offset */
    struct el_slice reason; /* short, null for none */
    int64_t delay_ms;       /* of a failure, until it is tried again; -1 as the group's settings say */
};

/* Outcomes in one partition. */
struct el_msg_ext_lease_outcome_partition {
    struct el_msg_ext_lease_outcome_range *outcomes; /* [outcome_count] taken all or none */
    uint32_t outcome_count;
    int32_t partition; /* index */
};

/* Partitions of one topic, by name or by id. */
struct el_msg_ext_lease_outcome_topic {
    struct el_slice topic;                                 /* name, null when asked by id */
    struct el_uuid topic_id;                               /* zero when asked by name */
    struct el_msg_ext_lease_outcome_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_ext_lease_outcome_request {
    struct el_slice group;                         /* group */
    struct el_slice member;                        /* whose share session holds the leases */
    struct el_msg_ext_lease_outcome_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* Outcome of one partition. */
struct el_msg_ext_lease_outcome_partition_result {
    int16_t error;           /* enum el_kafka_error */
    struct el_slice message; /* text when error is set, else null */
    int32_t partition;       /* index */
    bool emits_refused; /* error is about what was to be emitted: the events are leased as before; since version 1 */
};

/* Outcomes of one topic. */
struct el_msg_ext_lease_outcome_topic_result {
    struct el_slice topic;                                        /* name, null when asked by id */
    struct el_uuid topic_id;                                      /* zero when asked by name */
    struct el_msg_ext_lease_outcome_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_ext_lease_outcome_response {
    int16_t error;                                        /* enum el_kafka_error */
    struct el_msg_ext_lease_outcome_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    struct el_slice message; /* text when error is set, else null */
    int32_t lease_ms;        /* how long an extended lease lasts, ms */
};

extern const struct el_schema el_schema_ext_lease_outcome_header;
extern const struct el_schema el_schema_ext_lease_outcome_emit;
extern const struct el_schema el_schema_ext_lease_outcome_range;
extern const struct el_schema el_schema_ext_lease_outcome_partition;
extern const struct el_schema el_schema_ext_lease_outcome_topic;
extern const struct el_schema el_schema_ext_lease_outcome_request;
extern const struct el_schema el_schema_ext_lease_outcome_partition_result;
extern const struct el_schema el_schema_ext_lease_outcome_topic_result;
extern const struct el_schema el_schema_ext_lease_outcome_response;

#endif
