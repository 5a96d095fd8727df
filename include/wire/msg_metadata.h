/* SPDX-License-Identifier: Apache-2.0
 *
 * Metadata (key 3, versions 0 to 13): brokers, topics and who leads their partitions.
 * Which version has which field: client/wire/msg_metadata.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_METADATA_H
#define EL_WIRE_MSG_METADATA_H

#include <wire/schema.h>

/* One topic asked for, by name or (from 12) by id. */
struct el_msg_metadata_request_topic {
    struct el_uuid topic_id; /* zero for none */
    struct el_slice name;    /* null when asked by id */
};

/* The request. */
struct el_msg_metadata_request {
    struct el_msg_metadata_request_topic *topics; /* [topic_count] null for all; in version 0 empty is all */
    uint32_t topic_count;
    bool allow_auto_topic_creation;             /* make topics that are missing */
    bool include_cluster_authorized_operations; /* fill cluster_authorized_operations */
    bool include_topic_authorized_operations;   /* fill topic_authorized_operations */
};

/* One broker and how to reach it. */
struct el_msg_metadata_broker {
    int32_t node_id;      /* broker */
    struct el_slice host; /* name or address */
    int32_t port;         /* TCP port */
    struct el_slice rack; /* null for none */
};

/* One partition and its replicas. */
struct el_msg_metadata_partition {
    int16_t error_code;      /* enum el_kafka_error */
    int32_t partition_index; /* index */
    int32_t leader_id;       /* node, -1 unknown */
    int32_t leader_epoch;    /* -1 unknown */
    int32_t *replica_nodes;  /* [replica_node_count] nodes with a copy */
    uint32_t replica_node_count;
    int32_t *isr_nodes; /* [isr_node_count] nodes with a complete copy */
    uint32_t isr_node_count;
    int32_t *offline_replicas; /* [offline_replica_count] nodes that are down */
    uint32_t offline_replica_count;
};

/* One topic. */
struct el_msg_metadata_topic {
    int16_t error_code;                           /* enum el_kafka_error */
    struct el_slice name;                         /* null for an unknown id */
    struct el_uuid topic_id;                      /* zero for none */
    bool is_internal;                             /* hidden topic of evlog itself */
    struct el_msg_metadata_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
    int32_t topic_authorized_operations; /* bit set; INT32_MIN when not asked */
};

/* The response. */
struct el_msg_metadata_response {
    int32_t throttle_time_ms;               /* how long to stay away, ms */
    struct el_msg_metadata_broker *brokers; /* [broker_count] all of the cluster */
    uint32_t broker_count;
    struct el_slice cluster_id;           /* stable string */
    int32_t controller_id;                /* node, -1 unknown */
    struct el_msg_metadata_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int32_t cluster_authorized_operations; /* bit set; INT32_MIN when not asked */
    int16_t error_code;                    /* enum el_kafka_error */
};

extern const struct el_schema el_schema_metadata_request_topic;
extern const struct el_schema el_schema_metadata_request;
extern const struct el_schema el_schema_metadata_broker;
extern const struct el_schema el_schema_metadata_partition;
extern const struct el_schema el_schema_metadata_topic;
extern const struct el_schema el_schema_metadata_response;

#endif
