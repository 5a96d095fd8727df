/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeTopicPartitions (key 75, version 0): topics and their partitions, page by page.
 * Which version has which field: client/wire/msg_describe_topic_partitions.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_TOPIC_PARTITIONS_H
#define EL_WIRE_MSG_DESCRIBE_TOPIC_PARTITIONS_H

#include <wire/schema.h>

/* A topic that is asked for. */
struct el_msg_describe_topic_partitions_request_topic {
    struct el_slice name; /* topic */
};

/* A place in the list of topics and partitions. */
struct el_msg_describe_topic_partitions_cursor {
    struct el_slice topic_name; /* first topic of the page */
    int32_t partition_index;    /* first partition of the page */
};

/* The request. */
struct el_msg_describe_topic_partitions_request {
    struct el_msg_describe_topic_partitions_request_topic *topics; /* [topic_count] none for all */
    uint32_t topic_count;
    int32_t response_partition_limit;                       /* most partitions in the answer */
    struct el_msg_describe_topic_partitions_cursor *cursor; /* where to begin, null for the start */
};

/* One partition. */
struct el_msg_describe_topic_partitions_partition {
    int16_t error_code;      /* enum el_kafka_error */
    int32_t partition_index; /* index in the topic */
    int32_t leader_id;       /* node that leads */
    int32_t leader_epoch;    /* at which it leads */
    int32_t *replica_nodes;  /* [replica_node_count] nodes that have it */
    uint32_t replica_node_count;
    int32_t *isr_nodes; /* [isr_node_count] of them, in step with the leader */
    uint32_t isr_node_count;
    int32_t *eligible_leader_replicas; /* [eligible_leader_replica_count] may lead besides those */
    uint32_t eligible_leader_replica_count;
    int32_t *last_known_elr; /* [last_known_elr_count] the last that might */
    uint32_t last_known_elr_count;
    int32_t *offline_replicas; /* [offline_replica_count] of them, not reachable */
    uint32_t offline_replica_count;
};

/* One topic, or the part of it on this page. */
struct el_msg_describe_topic_partitions_topic {
    int16_t error_code;                                            /* enum el_kafka_error */
    struct el_slice name;                                          /* topic */
    struct el_uuid topic_id;                                       /* random, for life */
    bool is_internal;                                              /* evlog's own */
    struct el_msg_describe_topic_partitions_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
    int32_t topic_authorized_operations; /* bits, one an operation */
};

/* The response. */
struct el_msg_describe_topic_partitions_response {
    int32_t throttle_time_ms;                              /* how long to stay away, ms */
    struct el_msg_describe_topic_partitions_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    struct el_msg_describe_topic_partitions_cursor *next_cursor; /* where the next page begins, null at the end */
};

extern const struct el_schema el_schema_describe_topic_partitions_request_topic;
extern const struct el_schema el_schema_describe_topic_partitions_cursor;
extern const struct el_schema el_schema_describe_topic_partitions_request;
extern const struct el_schema el_schema_describe_topic_partitions_partition;
extern const struct el_schema el_schema_describe_topic_partitions_topic;
extern const struct el_schema el_schema_describe_topic_partitions_response;

#endif
