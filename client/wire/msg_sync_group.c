/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of SyncGroup, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_sync_group.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_sync_group_assignment
static const struct el_field sync_group_assignment_fields[] = {
    EL_STRING(T, member_id, EL_ALL),
    EL_BYTES(T, assignment, EL_ALL),
};
#undef T
const struct el_schema el_schema_sync_group_assignment = EL_SCHEMA(sync_group_assignment, 0, 5, 4);

#define T struct el_msg_sync_group_request
static const struct el_field sync_group_request_fields[] = {
    EL_STRING(T, group_id,          EL_ALL),
    EL_INT32(T, generation_id,      EL_ALL),
    EL_STRING(T, member_id,         EL_ALL),
    EL_STRING(T, group_instance_id, EL_FROM(3), .nullable = EL_FROM(3), .null_initial = true),
    EL_STRING(T, protocol_type,     EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
    EL_STRING(T, protocol_name,     EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
    EL_STRUCTS(T, sync_group_assignment, assignments, assignment_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_sync_group_request = EL_SCHEMA(sync_group_request, 0, 5, 4);

#define T struct el_msg_sync_group_response
static const struct el_field sync_group_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(1), .ignorable = true),
    EL_INT16(T, error_code,       EL_ALL),
    EL_STRING(T, protocol_type,   EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
    EL_STRING(T, protocol_name,   EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
    EL_BYTES(T, assignment,       EL_ALL),
};
#undef T
const struct el_schema el_schema_sync_group_response = EL_SCHEMA(sync_group_response, 0, 5, 4);
