/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeQuorum (key 55, versions 0 to 2): who keeps the cluster's metadata.
 * Which version has which field: client/wire/msg_describe_quorum.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_QUORUM_H
#define EL_WIRE_MSG_DESCRIBE_QUORUM_H

#include <wire/schema.h>

/* One partition. */
struct el_msg_describe_quorum_request_partition {
    int32_t partition_index; /* index in the topic */
};

/* Partitions of one topic. */
struct el_msg_describe_quorum_request_topic {
    struct el_slice topic_name;                                  /* topic */
    struct el_msg_describe_quorum_request_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_describe_quorum_request {
    struct el_msg_describe_quorum_request_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* One voter or observer. */
struct el_msg_describe_quorum_replica {
    int32_t replica_id;                  /* node */
    struct el_uuid replica_directory_id; /* of its data directory */
    int64_t log_end_offset;              /* -1 unknown */
    int64_t last_fetch_timestamp;        /* ms since 1970, -1 unknown */
    int64_t last_caught_up_timestamp;    /* ms since 1970, -1 unknown */
};

/* One partition. */
struct el_msg_describe_quorum_partition {
    int32_t partition_index;                               /* index in the topic */
    int16_t error_code;                                    /* enum el_kafka_error */
    struct el_slice error_message;                         /* null without an error */
    int32_t leader_id;                                     /* node, -1 unknown */
    int32_t leader_epoch;                                  /* of the leader */
    int64_t high_watermark;                                /* end of what is durable */
    struct el_msg_describe_quorum_replica *current_voters; /* [current_voter_count] nodes that vote */
    uint32_t current_voter_count;
    struct el_msg_describe_quorum_replica *observers; /* [observer_count] nodes that only follow */
    uint32_t observer_count;
};

/* Partitions of one topic. */
struct el_msg_describe_quorum_topic {
    struct el_slice topic_name;                          /* topic */
    struct el_msg_describe_quorum_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* One address. */
struct el_msg_describe_quorum_listener {
    struct el_slice name; /* of the listener */
    struct el_slice host; /* name or address */
    uint16_t port;        /* of the listener */
};

/* One node. */
struct el_msg_describe_quorum_node {
    int32_t node_id;                                   /* node */
    struct el_msg_describe_quorum_listener *listeners; /* [listener_count] where it listens */
    uint32_t listener_count;
};

/* The response. */
struct el_msg_describe_quorum_response {
    int16_t error_code;                          /* enum el_kafka_error */
    struct el_slice error_message;               /* null without an error */
    struct el_msg_describe_quorum_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    struct el_msg_describe_quorum_node *nodes; /* [node_count] addresses of the voters */
    uint32_t node_count;
};

extern const struct el_schema el_schema_describe_quorum_request_partition;
extern const struct el_schema el_schema_describe_quorum_request_topic;
extern const struct el_schema el_schema_describe_quorum_request;
extern const struct el_schema el_schema_describe_quorum_replica;
extern const struct el_schema el_schema_describe_quorum_partition;
extern const struct el_schema el_schema_describe_quorum_topic;
extern const struct el_schema el_schema_describe_quorum_listener;
extern const struct el_schema el_schema_describe_quorum_node;
extern const struct el_schema el_schema_describe_quorum_response;

#endif
