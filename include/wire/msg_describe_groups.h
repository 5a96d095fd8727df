/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeGroups (key 15, versions 0 to 6): state and members of groups.
 * Which version has which field: client/wire/msg_describe_groups.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_GROUPS_H
#define EL_WIRE_MSG_DESCRIBE_GROUPS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_describe_groups_request {
    struct el_slice *groups; /* [group_count] by group */
    uint32_t group_count;
    bool include_authorized_operations; /* fill authorized_operations */
};

/* One member. */
struct el_msg_describe_groups_member {
    struct el_slice member_id;         /* as the coordinator named it */
    struct el_slice group_instance_id; /* static member, null for none */
    struct el_slice client_id;         /* of its last join */
    struct el_slice client_host;       /* address it joined from */
    struct el_slice member_metadata;   /* its metadata for the strategy */
    struct el_slice member_assignment; /* its assignment */
};

/* One group. */
struct el_msg_describe_groups_group {
    int16_t error_code;                            /* enum el_kafka_error */
    struct el_slice error_message;                 /* null without an error */
    struct el_slice group_id;                      /* group */
    struct el_slice group_state;                   /* name of the state */
    struct el_slice protocol_type;                 /* "consumer" for consumers */
    struct el_slice protocol_data;                 /* strategy, empty unless stable */
    struct el_msg_describe_groups_member *members; /* [member_count] by member */
    uint32_t member_count;
    int32_t authorized_operations; /* bit set, INT32_MIN when not asked */
};

/* The response. */
struct el_msg_describe_groups_response {
    int32_t throttle_time_ms;                    /* how long to stay away, ms */
    struct el_msg_describe_groups_group *groups; /* [group_count] by group */
    uint32_t group_count;
};

extern const struct el_schema el_schema_describe_groups_request;
extern const struct el_schema el_schema_describe_groups_member;
extern const struct el_schema el_schema_describe_groups_group;
extern const struct el_schema el_schema_describe_groups_response;

#endif
