/* SPDX-License-Identifier: Apache-2.0
 *
 * ListPartitionReassignments (key 46, version 0): moves of partitions under way.
 * Which version has which field: client/wire/msg_list_partition_reassignments.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_LIST_PARTITION_REASSIGNMENTS_H
#define EL_WIRE_MSG_LIST_PARTITION_REASSIGNMENTS_H

#include <wire/schema.h>

/* Partitions of one topic. */
struct el_msg_list_partition_reassignments_request_topic {
    struct el_slice name;       /* topic */
    int32_t *partition_indexes; /* [partition_index_count] indexes */
    uint32_t partition_index_count;
};

/* The request. */
struct el_msg_list_partition_reassignments_request {
    int32_t timeout_ms;                                               /* longest wait, ms */
    struct el_msg_list_partition_reassignments_request_topic *topics; /* [topic_count] null for all */
    uint32_t topic_count;
};

/* A partition on the move. */
struct el_msg_list_partition_reassignments_partition {
    int32_t partition_index; /* index in the topic */
    int32_t *replicas;       /* [replica_count] nodes that have it */
    uint32_t replica_count;
    int32_t *adding_replicas; /* [adding_replica_count] nodes that will have it */
    uint32_t adding_replica_count;
    int32_t *removing_replicas; /* [removing_replica_count] nodes that will lose it */
    uint32_t removing_replica_count;
};

/* Partitions of one topic. */
struct el_msg_list_partition_reassignments_topic {
    struct el_slice name;                                             /* topic */
    struct el_msg_list_partition_reassignments_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_list_partition_reassignments_response {
    int32_t throttle_time_ms;                                 /* how long to stay away, ms */
    int16_t error_code;                                       /* enum el_kafka_error */
    struct el_slice error_message;                            /* null without an error */
    struct el_msg_list_partition_reassignments_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_list_partition_reassignments_request_topic;
extern const struct el_schema el_schema_list_partition_reassignments_request;
extern const struct el_schema el_schema_list_partition_reassignments_partition;
extern const struct el_schema el_schema_list_partition_reassignments_topic;
extern const struct el_schema el_schema_list_partition_reassignments_response;

#endif
