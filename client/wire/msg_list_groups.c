/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ListGroups, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_list_groups.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_list_groups_request
static const struct el_field list_groups_request_fields[] = {
    EL_ARRAY(T, STRING, struct el_slice, states_filter, states_filter_count, EL_FROM(4)),
    EL_ARRAY(T, STRING, struct el_slice, types_filter, types_filter_count, EL_FROM(5)),
};
#undef T
const struct el_schema el_schema_list_groups_request = EL_SCHEMA(list_groups_request, 0, 5, 3);

#define T struct el_msg_list_groups_group
static const struct el_field list_groups_group_fields[] = {
    EL_STRING(T, group_id,      EL_ALL),
    EL_STRING(T, protocol_type, EL_ALL),
    EL_STRING(T, group_state,   EL_FROM(4), .ignorable = true),
    EL_STRING(T, group_type,    EL_FROM(5), .ignorable = true),
};
#undef T
const struct el_schema el_schema_list_groups_group = EL_SCHEMA(list_groups_group, 0, 5, 3);

#define T struct el_msg_list_groups_response
static const struct el_field list_groups_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(1), .ignorable = true),
    EL_INT16(T, error_code,       EL_ALL),
    EL_STRUCTS(T, list_groups_group, groups, group_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_groups_response = EL_SCHEMA(list_groups_response, 0, 5, 3);
