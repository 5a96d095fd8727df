/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetDelete (key 47, version 0): remove commits of a group.
 * Which version has which field: client/wire/msg_offset_delete.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_OFFSET_DELETE_H
#define EL_WIRE_MSG_OFFSET_DELETE_H

#include <wire/schema.h>

/* One of them. */
struct el_msg_offset_delete_partition {
    int32_t partition_index; /* index */
};

/* Commits of one topic to remove. */
struct el_msg_offset_delete_topic {
    struct el_slice name;                              /* topic name */
    struct el_msg_offset_delete_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_offset_delete_request {
    struct el_slice group_id;                  /* group */
    struct el_msg_offset_delete_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* One outcome. */
struct el_msg_offset_delete_partition_result {
    int32_t partition_index; /* index */
    int16_t error_code;      /* enum el_kafka_error */
};

/* Outcomes of one topic. */
struct el_msg_offset_delete_topic_result {
    struct el_slice name;                                     /* topic name */
    struct el_msg_offset_delete_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_offset_delete_response {
    int16_t error_code;                               /* enum el_kafka_error */
    int32_t throttle_time_ms;                         /* how long to stay away, ms */
    struct el_msg_offset_delete_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_offset_delete_partition;
extern const struct el_schema el_schema_offset_delete_topic;
extern const struct el_schema el_schema_offset_delete_request;
extern const struct el_schema el_schema_offset_delete_partition_result;
extern const struct el_schema el_schema_offset_delete_topic_result;
extern const struct el_schema el_schema_offset_delete_response;

#endif
