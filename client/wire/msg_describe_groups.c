/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeGroups, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_groups.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_groups_request
static const struct el_field describe_groups_request_fields[] = {
    EL_ARRAY(T, STRING, struct el_slice, groups, group_count, EL_ALL),
    EL_BOOL(T, include_authorized_operations, EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_describe_groups_request = EL_SCHEMA(describe_groups_request, 0, 6, 5);

#define T struct el_msg_describe_groups_member
static const struct el_field describe_groups_member_fields[] = {
    EL_STRING(T, member_id,         EL_ALL),
    EL_STRING(T, group_instance_id, EL_FROM(4), .nullable = EL_FROM(4), .null_initial = true, .ignorable = true),
    EL_STRING(T, client_id,         EL_ALL),
    EL_STRING(T, client_host,       EL_ALL),
    EL_BYTES(T, member_metadata,    EL_ALL),
    EL_BYTES(T, member_assignment,  EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_groups_member = EL_SCHEMA(describe_groups_member, 0, 6, 5);

#define T struct el_msg_describe_groups_group
static const struct el_field describe_groups_group_fields[] = {
    EL_INT16(T, error_code,            EL_ALL),
    EL_STRING(T, error_message,        EL_FROM(6), .nullable = EL_FROM(6), .null_initial = true),
    EL_STRING(T, group_id,             EL_ALL),
    EL_STRING(T, group_state,          EL_ALL),
    EL_STRING(T, protocol_type,        EL_ALL),
    EL_STRING(T, protocol_data,        EL_ALL),
    EL_STRUCTS(T, describe_groups_member, members, member_count, EL_ALL),
    EL_INT32(T, authorized_operations, EL_FROM(3), .initial = INT32_MIN),
};
#undef T
const struct el_schema el_schema_describe_groups_group = EL_SCHEMA(describe_groups_group, 0, 6, 5);

#define T struct el_msg_describe_groups_response
static const struct el_field describe_groups_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(1), .ignorable = true),
    EL_STRUCTS(T, describe_groups_group, groups, group_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_groups_response = EL_SCHEMA(describe_groups_response, 0, 6, 5);
