/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareAcknowledge (key 79, versions 1 to 2): outcomes of records that a member of a share group has.
 * Which version has which field: client/wire/msg_share_acknowledge.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SHARE_ACKNOWLEDGE_H
#define EL_WIRE_MSG_SHARE_ACKNOWLEDGE_H

#include <wire/schema.h>

/* Outcomes of a range of records: 0 gap, 1 accept, 2 release, 3 reject, 4 renew. */
struct el_msg_share_acknowledge_batch {
    int64_t first_offset;      /* first of the range */
    int64_t last_offset;       /* last of it, inclusive */
    int8_t *acknowledge_types; /* [acknowledge_type_count] one for all, or one for each offset */
    uint32_t acknowledge_type_count;
};

/* Outcomes in one partition. */
struct el_msg_share_acknowledge_partition {
    int32_t partition_index;                                        /* index */
    struct el_msg_share_acknowledge_batch *acknowledgement_batches; /* [acknowledgement_batch_count] rising */
    uint32_t acknowledgement_batch_count;
};

/* Partitions of one topic. */
struct el_msg_share_acknowledge_topic {
    struct el_uuid topic_id;                               /* topic */
    struct el_msg_share_acknowledge_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_share_acknowledge_request {
    struct el_slice group_id;                      /* group */
    struct el_slice member_id;                     /* member, as in its heartbeats */
    int32_t share_session_epoch;                   /* 0 opens a session, -1 closes it, else one more than before */
    bool is_renew_ack;                             /* there are acknowledgements of type renew */
    struct el_msg_share_acknowledge_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* Who leads the partition now. */
struct el_msg_share_acknowledge_leader {
    int32_t leader_id;    /* node, -1 unknown */
    int32_t leader_epoch; /* latest known */
};

/* Outcome of one partition. */
struct el_msg_share_acknowledge_partition_result {
    int32_t partition_index;                               /* index */
    int16_t error_code;                                    /* enum el_kafka_error */
    struct el_slice error_message;                         /* null without an error */
    struct el_msg_share_acknowledge_leader current_leader; /* set with some errors */
};

/* Outcomes of one topic. */
struct el_msg_share_acknowledge_topic_result {
    struct el_uuid topic_id;                                      /* topic */
    struct el_msg_share_acknowledge_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* Address of a node named as leader. */
struct el_msg_share_acknowledge_node {
    int32_t node_id;      /* broker */
    struct el_slice host; /* name or address */
    int32_t port;         /* TCP port */
    struct el_slice rack; /* null for none */
};

/* The response. */
struct el_msg_share_acknowledge_response {
    int32_t throttle_time_ms;                                /* how long to stay away, ms */
    int16_t error_code;                                      /* enum el_kafka_error */
    struct el_slice error_message;                           /* null without an error */
    int32_t acquisition_lock_timeout_ms;                     /* how long renewed records are the member's, ms */
    struct el_msg_share_acknowledge_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
    struct el_msg_share_acknowledge_node *node_endpoints; /* [node_endpoint_count] addresses of the leaders named */
    uint32_t node_endpoint_count;
};

extern const struct el_schema el_schema_share_acknowledge_batch;
extern const struct el_schema el_schema_share_acknowledge_partition;
extern const struct el_schema el_schema_share_acknowledge_topic;
extern const struct el_schema el_schema_share_acknowledge_request;
extern const struct el_schema el_schema_share_acknowledge_leader;
extern const struct el_schema el_schema_share_acknowledge_partition_result;
extern const struct el_schema el_schema_share_acknowledge_topic_result;
extern const struct el_schema el_schema_share_acknowledge_node;
extern const struct el_schema el_schema_share_acknowledge_response;

#endif
