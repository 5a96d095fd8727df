/* SPDX-License-Identifier: Apache-2.0
 *
 * CreatePartitions (key 37, versions 0 to 3): grow topics.
 * Which version has which field: client/wire/msg_create_partitions.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_CREATE_PARTITIONS_H
#define EL_WIRE_MSG_CREATE_PARTITIONS_H

#include <wire/schema.h>

/* Brokers for one new partition. */
struct el_msg_create_partitions_assignment {
    int32_t *broker_ids; /* [broker_id_count] first one leads */
    uint32_t broker_id_count;
};

/* One topic to grow. */
struct el_msg_create_partitions_topic {
    struct el_slice name;                                    /* topic name */
    int32_t count;                                           /* partitions wanted in all */
    struct el_msg_create_partitions_assignment *assignments; /* [assignment_count] null unless chosen by hand */
    uint32_t assignment_count;
};

/* The request. */
struct el_msg_create_partitions_request {
    struct el_msg_create_partitions_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int32_t timeout_ms; /* longest wait, ms */
    bool validate_only; /* check, change nothing */
};

/* Outcome for one topic. */
struct el_msg_create_partitions_topic_result {
    struct el_slice name;          /* topic name */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_create_partitions_response {
    int32_t throttle_time_ms;                              /* how long to stay away, ms */
    struct el_msg_create_partitions_topic_result *results; /* [result_count] by topic */
    uint32_t result_count;
};

extern const struct el_schema el_schema_create_partitions_assignment;
extern const struct el_schema el_schema_create_partitions_topic;
extern const struct el_schema el_schema_create_partitions_request;
extern const struct el_schema el_schema_create_partitions_topic_result;
extern const struct el_schema el_schema_create_partitions_response;

#endif
