/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupHeartbeat (key 76, version 1): a member of a share group lives; the answer assigns
 * partitions.
 * Which version has which field: client/wire/msg_share_group_heartbeat.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SHARE_GROUP_HEARTBEAT_H
#define EL_WIRE_MSG_SHARE_GROUP_HEARTBEAT_H

#include <wire/schema.h>

/* The request. */
struct el_msg_share_group_heartbeat_request {
    struct el_slice group_id;                /* group */
    struct el_slice member_id;               /* made by the member, kept while its process lives */
    int32_t member_epoch;                    /* 0 joins, -1 leaves */
    struct el_slice rack_id;                 /* null for none or as before */
    struct el_slice *subscribed_topic_names; /* [subscribed_topic_name_count] null for as before */
    uint32_t subscribed_topic_name_count;
};

/* Assigned partitions of one topic. */
struct el_msg_share_group_heartbeat_topic {
    struct el_uuid topic_id; /* topic */
    int32_t *partitions;     /* [partition_count] indexes */
    uint32_t partition_count;
};

/* What a member is to read. */
struct el_msg_share_group_heartbeat_assignment {
    struct el_msg_share_group_heartbeat_topic *topic_partitions; /* [topic_partition_count] by topic */
    uint32_t topic_partition_count;
};

/* The response. */
struct el_msg_share_group_heartbeat_response {
    int32_t throttle_time_ms;                                   /* how long to stay away, ms */
    int16_t error_code;                                         /* enum el_kafka_error */
    struct el_slice error_message;                              /* null without an error */
    struct el_slice member_id;                                  /* as asked */
    int32_t member_epoch;                                       /* of the member now */
    int32_t heartbeat_interval_ms;                              /* when to come again, ms */
    struct el_msg_share_group_heartbeat_assignment *assignment; /* null: as before */
};

extern const struct el_schema el_schema_share_group_heartbeat_request;
extern const struct el_schema el_schema_share_group_heartbeat_topic;
extern const struct el_schema el_schema_share_group_heartbeat_assignment;
extern const struct el_schema el_schema_share_group_heartbeat_response;

#endif
