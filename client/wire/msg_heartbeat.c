/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Heartbeat, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_heartbeat.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_heartbeat_request
static const struct el_field heartbeat_request_fields[] = {
    EL_STRING(T, group_id,          EL_ALL),
    EL_INT32(T, generation_id,      EL_ALL),
    EL_STRING(T, member_id,         EL_ALL),
    EL_STRING(T, group_instance_id, EL_FROM(3), .nullable = EL_FROM(3), .null_initial = true),
};
#undef T
const struct el_schema el_schema_heartbeat_request = EL_SCHEMA(heartbeat_request, 0, 4, 4);

#define T struct el_msg_heartbeat_response
static const struct el_field heartbeat_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(1), .ignorable = true),
    EL_INT16(T, error_code,       EL_ALL),
};
#undef T
const struct el_schema el_schema_heartbeat_response = EL_SCHEMA(heartbeat_response, 0, 4, 4);
