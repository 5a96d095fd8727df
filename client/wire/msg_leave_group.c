/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of LeaveGroup, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_leave_group.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_leave_group_member
static const struct el_field leave_group_member_fields[] = {
    EL_STRING(T, member_id,         EL_FROM(3)),
    EL_STRING(T, group_instance_id, EL_FROM(3), .nullable = EL_FROM(3), .null_initial = true),
    EL_STRING(T, reason,            EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
};
#undef T
const struct el_schema el_schema_leave_group_member = EL_SCHEMA(leave_group_member, 0, 5, 4);

#define T struct el_msg_leave_group_request
static const struct el_field leave_group_request_fields[] = {
    EL_STRING(T, group_id,  EL_ALL),
    EL_STRING(T, member_id, EL_UPTO(2)),
    EL_STRUCTS(T, leave_group_member, members, member_count, EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_leave_group_request = EL_SCHEMA(leave_group_request, 0, 5, 4);

#define T struct el_msg_leave_group_member_result
static const struct el_field leave_group_member_result_fields[] = {
    EL_STRING(T, member_id,         EL_FROM(3)),
    EL_STRING(T, group_instance_id, EL_FROM(3), .nullable = EL_FROM(3)),
    EL_INT16(T, error_code,         EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_leave_group_member_result = EL_SCHEMA(leave_group_member_result, 0, 5, 4);

#define T struct el_msg_leave_group_response
static const struct el_field leave_group_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(1), .ignorable = true),
    EL_INT16(T, error_code,       EL_ALL),
    EL_STRUCTS(T, leave_group_member_result, members, member_count, EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_leave_group_response = EL_SCHEMA(leave_group_response, 0, 5, 4);
