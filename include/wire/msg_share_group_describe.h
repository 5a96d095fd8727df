/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareGroupDescribe (key 77, version 1): state, members and assignments of share groups.
 * Which version has which field: client/wire/msg_share_group_describe.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SHARE_GROUP_DESCRIBE_H
#define EL_WIRE_MSG_SHARE_GROUP_DESCRIBE_H

#include <wire/schema.h>

/* The request. */
struct el_msg_share_group_describe_request {
    struct el_slice *group_ids; /* [group_id_count] groups */
    uint32_t group_id_count;
    bool include_authorized_operations; /* wanted in the answer */
};

/* Assigned partitions of one topic. */
struct el_msg_share_group_describe_topic {
    struct el_uuid topic_id;    /* topic */
    struct el_slice topic_name; /* its name */
    int32_t *partitions;        /* [partition_count] indexes */
    uint32_t partition_count;
};

/* What a member reads. */
struct el_msg_share_group_describe_assignment {
    struct el_msg_share_group_describe_topic *topic_partitions; /* [topic_partition_count] by topic */
    uint32_t topic_partition_count;
};

/* One member. */
struct el_msg_share_group_describe_member {
    struct el_slice member_id;               /* member */
    struct el_slice rack_id;                 /* null for none */
    int32_t member_epoch;                    /* of the member */
    struct el_slice client_id;               /* of its client */
    struct el_slice client_host;             /* its address */
    struct el_slice *subscribed_topic_names; /* [subscribed_topic_name_count] what it subscribes to */
    uint32_t subscribed_topic_name_count;
    struct el_msg_share_group_describe_assignment assignment; /* what it reads */
};

/* One group. */
struct el_msg_share_group_describe_group {
    int16_t error_code;                                 /* enum el_kafka_error */
    struct el_slice error_message;                      /* null without an error */
    struct el_slice group_id;                           /* group */
    struct el_slice group_state;                        /* such as "Stable" */
    int32_t group_epoch;                                /* rises with members and topics */
    int32_t assignment_epoch;                           /* group epoch of the assignment */
    struct el_slice assignor_name;                      /* who assigns */
    struct el_msg_share_group_describe_member *members; /* [member_count] all of them */
    uint32_t member_count;
    int32_t authorized_operations; /* bit set, INT32_MIN when not asked for */
};

/* The response. */
struct el_msg_share_group_describe_response {
    int32_t throttle_time_ms;                         /* how long to stay away, ms */
    struct el_msg_share_group_describe_group *groups; /* [group_count] as asked */
    uint32_t group_count;
};

extern const struct el_schema el_schema_share_group_describe_request;
extern const struct el_schema el_schema_share_group_describe_topic;
extern const struct el_schema el_schema_share_group_describe_assignment;
extern const struct el_schema el_schema_share_group_describe_member;
extern const struct el_schema el_schema_share_group_describe_group;
extern const struct el_schema el_schema_share_group_describe_response;

#endif
