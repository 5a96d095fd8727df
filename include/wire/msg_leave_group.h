/* SPDX-License-Identifier: Apache-2.0
 *
 * LeaveGroup (key 13, versions 0 to 5): members go.
 * Which version has which field: client/wire/msg_leave_group.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_LEAVE_GROUP_H
#define EL_WIRE_MSG_LEAVE_GROUP_H

#include <wire/schema.h>

/* Who goes: a member id, or an instance id alone. */
struct el_msg_leave_group_member {
    struct el_slice member_id;         /* as the coordinator named it */
    struct el_slice group_instance_id; /* static member, null for none */
    struct el_slice reason;            /* why, for the log; null for none */
};

/* The request. */
struct el_msg_leave_group_request {
    struct el_slice group_id;                  /* group */
    struct el_slice member_id;                 /* who leaves */
    struct el_msg_leave_group_member *members; /* [member_count] by member */
    uint32_t member_count;
};

/* One outcome. */
struct el_msg_leave_group_member_result {
    struct el_slice member_id;         /* as the coordinator named it */
    struct el_slice group_instance_id; /* static member, null for none */
    int16_t error_code;                /* enum el_kafka_error */
};

/* The response. */
struct el_msg_leave_group_response {
    int32_t throttle_time_ms;                         /* how long to stay away, ms */
    int16_t error_code;                               /* enum el_kafka_error */
    struct el_msg_leave_group_member_result *members; /* [member_count] by member */
    uint32_t member_count;
};

extern const struct el_schema el_schema_leave_group_member;
extern const struct el_schema el_schema_leave_group_request;
extern const struct el_schema el_schema_leave_group_member_result;
extern const struct el_schema el_schema_leave_group_response;

#endif
