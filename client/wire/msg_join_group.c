/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of JoinGroup, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_join_group.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_join_group_protocol
static const struct el_field join_group_protocol_fields[] = {
    EL_STRING(T, name,    EL_ALL, .key = true),
    EL_BYTES(T, metadata, EL_ALL),
};
#undef T
const struct el_schema el_schema_join_group_protocol = EL_SCHEMA(join_group_protocol, 0, 9, 6);

#define T struct el_msg_join_group_request
static const struct el_field join_group_request_fields[] = {
    EL_STRING(T, group_id,            EL_ALL),
    EL_INT32(T, session_timeout_ms,   EL_ALL),
    EL_INT32(T, rebalance_timeout_ms, EL_FROM(1), .initial = -1, .ignorable = true),
    EL_STRING(T, member_id,           EL_ALL),
    EL_STRING(T, group_instance_id,   EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true),
    EL_STRING(T, protocol_type,       EL_ALL),
    EL_STRUCTS(T, join_group_protocol, protocols, protocol_count, EL_ALL),
    EL_STRING(T, reason,              EL_FROM(8), .nullable = EL_FROM(8), .null_initial = true, .ignorable = true),
};
#undef T
const struct el_schema el_schema_join_group_request = EL_SCHEMA(join_group_request, 0, 9, 6);

#define T struct el_msg_join_group_member
static const struct el_field join_group_member_fields[] = {
    EL_STRING(T, member_id,         EL_ALL),
    EL_STRING(T, group_instance_id, EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
    EL_BYTES(T, metadata,           EL_ALL),
};
#undef T
const struct el_schema el_schema_join_group_member = EL_SCHEMA(join_group_member, 0, 9, 6);

#define T struct el_msg_join_group_response
static const struct el_field join_group_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(2), .ignorable = true),
    EL_INT16(T, error_code,       EL_ALL),
    EL_INT32(T, generation_id,    EL_ALL, .initial = -1),
    EL_STRING(T, protocol_type,   EL_FROM(7), .nullable = EL_FROM(7), .null_initial = true, .ignorable = true),
    EL_STRING(T, protocol_name,   EL_ALL, .nullable = EL_FROM(7)),
    EL_STRING(T, leader,          EL_ALL),
    EL_BOOL(T, skip_assignment,   EL_FROM(9)),
    EL_STRING(T, member_id,       EL_ALL),
    EL_STRUCTS(T, join_group_member, members, member_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_join_group_response = EL_SCHEMA(join_group_response, 0, 9, 6);
