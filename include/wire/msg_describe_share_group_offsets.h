/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeShareGroupOffsets (key 90, versions 0 to 1): where share groups stand in partitions.
 * Which version has which field: client/wire/msg_describe_share_group_offsets.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_SHARE_GROUP_OFFSETS_H
#define EL_WIRE_MSG_DESCRIBE_SHARE_GROUP_OFFSETS_H

#include <wire/schema.h>

/* Partitions of one topic. */
struct el_msg_describe_share_group_offsets_topic {
    struct el_slice topic_name; /* topic */
    int32_t *partitions;        /* [partition_count] indexes */
    uint32_t partition_count;
};

/* What is asked of one group. */
struct el_msg_describe_share_group_offsets_group {
    struct el_slice group_id;                                 /* group */
    struct el_msg_describe_share_group_offsets_topic *topics; /* [topic_count] null for all that it has read of */
    uint32_t topic_count;
};

/* The request. */
struct el_msg_describe_share_group_offsets_request {
    struct el_msg_describe_share_group_offsets_group *groups; /* [group_count] by group */
    uint32_t group_count;
};

/* One partition. */
struct el_msg_describe_share_group_offsets_partition_result {
    int32_t partition_index;       /* index */
    int64_t start_offset;          /* first record that is not finished, -1 for none */
    int32_t leader_epoch;          /* of the partition */
    int64_t lag;                   /* records not finished, -1 unknown */
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* One topic. */
struct el_msg_describe_share_group_offsets_topic_result {
    struct el_slice topic_name;                                              /* topic */
    struct el_uuid topic_id;                                                 /* its id */
    struct el_msg_describe_share_group_offsets_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* One group. */
struct el_msg_describe_share_group_offsets_group_result {
    struct el_slice group_id;                                        /* group */
    struct el_msg_describe_share_group_offsets_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int16_t error_code;            /* enum el_kafka_error */
    struct el_slice error_message; /* null without an error */
};

/* The response. */
struct el_msg_describe_share_group_offsets_response {
    int32_t throttle_time_ms;                                        /* how long to stay away, ms */
    struct el_msg_describe_share_group_offsets_group_result *groups; /* [group_count] as asked */
    uint32_t group_count;
};

extern const struct el_schema el_schema_describe_share_group_offsets_topic;
extern const struct el_schema el_schema_describe_share_group_offsets_group;
extern const struct el_schema el_schema_describe_share_group_offsets_request;
extern const struct el_schema el_schema_describe_share_group_offsets_partition_result;
extern const struct el_schema el_schema_describe_share_group_offsets_topic_result;
extern const struct el_schema el_schema_describe_share_group_offsets_group_result;
extern const struct el_schema el_schema_describe_share_group_offsets_response;

#endif
