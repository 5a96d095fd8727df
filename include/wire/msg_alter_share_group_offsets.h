/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterShareGroupOffsets (key 91, version 0): move where a share group without members stands.
 * Which version has which field: client/wire/msg_alter_share_group_offsets.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ALTER_SHARE_GROUP_OFFSETS_H
#define EL_WIRE_MSG_ALTER_SHARE_GROUP_OFFSETS_H

#include <wire/schema.h>

/* A partition to move in. */
struct el_msg_alter_share_group_offsets_partition {
    int32_t partition_index; /* index */
    int64_t start_offset;    /* where to go on */
};

/* Partitions of one topic. */
struct el_msg_alter_share_group_offsets_topic {
    struct el_slice topic_name;                                    /* topic */
    struct el_msg_alter_share_group_offsets_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_alter_share_group_offsets_request {
    struct el_slice group_id;                              /* group */
    struct el_msg_alter_share_group_offsets_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* Outcome of one partition. */
struct el_msg_alter_share_group_offsets_partition_result {
    int32_t partition_index;       /* index */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* Outcomes of one topic. */
struct el_msg_alter_share_group_offsets_topic_result {
    struct el_slice topic_name;                                           /* topic */
    struct el_uuid topic_id;                                              /* its id */
    struct el_msg_alter_share_group_offsets_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_alter_share_group_offsets_response {
    int32_t throttle_time_ms;                                        /* how long to stay away, ms */
    int16_t error_code;                                              /* enum el_kafka_error */
    struct el_slice error_message;                                   /* null without an error */
    struct el_msg_alter_share_group_offsets_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
};

extern const struct el_schema el_schema_alter_share_group_offsets_partition;
extern const struct el_schema el_schema_alter_share_group_offsets_topic;
extern const struct el_schema el_schema_alter_share_group_offsets_request;
extern const struct el_schema el_schema_alter_share_group_offsets_partition_result;
extern const struct el_schema el_schema_alter_share_group_offsets_topic_result;
extern const struct el_schema el_schema_alter_share_group_offsets_response;

#endif
