/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DeleteGroups, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_delete_groups.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_delete_groups_request
static const struct el_field delete_groups_request_fields[] = {
    EL_ARRAY(T, STRING, struct el_slice, groups_names, groups_name_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_groups_request = EL_SCHEMA(delete_groups_request, 0, 3, 2);

#define T struct el_msg_delete_groups_result
static const struct el_field delete_groups_result_fields[] = {
    EL_STRING(T, group_id,      EL_ALL, .key = true),
    EL_INT16(T, error_code,     EL_ALL),
    EL_STRING(T, error_message, EL_FROM(3), .nullable = EL_FROM(3), .null_initial = true, .ignorable = true),
};
#undef T
const struct el_schema el_schema_delete_groups_result = EL_SCHEMA(delete_groups_result, 0, 3, 2);

#define T struct el_msg_delete_groups_response
static const struct el_field delete_groups_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, delete_groups_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_groups_response = EL_SCHEMA(delete_groups_response, 0, 3, 2);
