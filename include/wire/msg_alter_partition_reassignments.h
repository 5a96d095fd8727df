/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterPartitionReassignments (key 45, versions 0 to 1): give partitions other replicas.
 * Which version has which field: client/wire/msg_alter_partition_reassignments.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ALTER_PARTITION_REASSIGNMENTS_H
#define EL_WIRE_MSG_ALTER_PARTITION_REASSIGNMENTS_H

#include <wire/schema.h>

/* One partition and its new replicas. */
struct el_msg_alter_partition_reassignments_partition {
    int32_t partition_index; /* index in the topic */
    int32_t *replicas;       /* [replica_count] nodes; null ends a move under way */
    uint32_t replica_count;
};

/* Partitions of one topic. */
struct el_msg_alter_partition_reassignments_topic {
    struct el_slice name;                                              /* topic */
    struct el_msg_alter_partition_reassignments_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_alter_partition_reassignments_request {
    int32_t timeout_ms;                                        /* longest wait, ms */
    bool allow_replication_factor_change;                      /* the number of replicas may change */
    struct el_msg_alter_partition_reassignments_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* One partition. */
struct el_msg_alter_partition_reassignments_partition_result {
    int32_t partition_index;       /* index in the topic */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* Partitions of one topic. */
struct el_msg_alter_partition_reassignments_topic_result {
    struct el_slice name;                                                     /* topic */
    struct el_msg_alter_partition_reassignments_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_alter_partition_reassignments_response {
    int32_t throttle_time_ms;                                            /* how long to stay away, ms */
    bool allow_replication_factor_change;                                /* the number of replicas may change */
    int16_t error_code;                                                  /* enum el_kafka_error */
    struct el_slice error_message;                                       /* null without an error */
    struct el_msg_alter_partition_reassignments_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
};

extern const struct el_schema el_schema_alter_partition_reassignments_partition;
extern const struct el_schema el_schema_alter_partition_reassignments_topic;
extern const struct el_schema el_schema_alter_partition_reassignments_request;
extern const struct el_schema el_schema_alter_partition_reassignments_partition_result;
extern const struct el_schema el_schema_alter_partition_reassignments_topic_result;
extern const struct el_schema el_schema_alter_partition_reassignments_response;

#endif
