/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DeleteAcls, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_delete_acls.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_delete_acls_filter
static const struct el_field delete_acls_filter_fields[] = {
    EL_INT8(T, resource_type_filter, EL_ALL),
    EL_STRING(T, resource_name_filter, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, pattern_type_filter, EL_FROM(1), .initial = 3),
    EL_STRING(T, principal_filter, EL_ALL, .nullable = EL_ALL),
    EL_STRING(T, host_filter, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, operation, EL_ALL),
    EL_INT8(T, permission_type, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_acls_filter = EL_SCHEMA(delete_acls_filter, 1, 3, 2);

#define T struct el_msg_delete_acls_request
static const struct el_field delete_acls_request_fields[] = {
    EL_STRUCTS(T, delete_acls_filter, filters, filter_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_acls_request = EL_SCHEMA(delete_acls_request, 1, 3, 2);

#define T struct el_msg_delete_acls_rule
static const struct el_field delete_acls_rule_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, resource_type, EL_ALL),
    EL_STRING(T, resource_name, EL_ALL),
    EL_INT8(T, pattern_type, EL_FROM(1), .initial = 3),
    EL_STRING(T, principal, EL_ALL),
    EL_STRING(T, host, EL_ALL),
    EL_INT8(T, operation, EL_ALL),
    EL_INT8(T, permission_type, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_acls_rule = EL_SCHEMA(delete_acls_rule, 1, 3, 2);

#define T struct el_msg_delete_acls_result
static const struct el_field delete_acls_result_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, delete_acls_rule, matching_acls, matching_acl_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_acls_result = EL_SCHEMA(delete_acls_result, 1, 3, 2);

#define T struct el_msg_delete_acls_response
static const struct el_field delete_acls_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, delete_acls_result, filter_results, filter_result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_acls_response = EL_SCHEMA(delete_acls_response, 1, 3, 2);
