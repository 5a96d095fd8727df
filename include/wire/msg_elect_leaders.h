/* SPDX-License-Identifier: Apache-2.0
 *
 * ElectLeaders (key 43, versions 0 to 2): elect leaders of partitions.
 * Which version has which field: client/wire/msg_elect_leaders.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ELECT_LEADERS_H
#define EL_WIRE_MSG_ELECT_LEADERS_H

#include <wire/schema.h>

/* Partitions of one topic. */
struct el_msg_elect_leaders_topic {
    struct el_slice topic; /* topic */
    int32_t *partitions;   /* [partition_count] indexes */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_elect_leaders_request {
    int8_t election_type;                                /* 0 the preferred replica, 1 any that is alive */
    struct el_msg_elect_leaders_topic *topic_partitions; /* [topic_partition_count] null for all */
    uint32_t topic_partition_count;
    int32_t timeout_ms; /* longest wait, ms */
};

/* One partition. */
struct el_msg_elect_leaders_partition_result {
    int32_t partition_id;          /* index in the topic */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* Partitions of one topic. */
struct el_msg_elect_leaders_topic_result {
    struct el_slice topic;                                          /* topic */
    struct el_msg_elect_leaders_partition_result *partition_result; /* [partition_result_count] by partition */
    uint32_t partition_result_count;
};

/* The response. */
struct el_msg_elect_leaders_response {
    int32_t throttle_time_ms;                                           /* how long to stay away, ms */
    int16_t error_code;                                                 /* enum el_kafka_error */
    struct el_msg_elect_leaders_topic_result *replica_election_results; /* [replica_election_result_count] by topic */
    uint32_t replica_election_result_count;
};

extern const struct el_schema el_schema_elect_leaders_topic;
extern const struct el_schema el_schema_elect_leaders_request;
extern const struct el_schema el_schema_elect_leaders_partition_result;
extern const struct el_schema el_schema_elect_leaders_topic_result;
extern const struct el_schema el_schema_elect_leaders_response;

#endif
