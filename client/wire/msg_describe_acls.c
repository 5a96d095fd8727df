/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeAcls, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_acls.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_acls_request
static const struct el_field describe_acls_request_fields[] = {
    EL_INT8(T, resource_type_filter, EL_ALL),
    EL_STRING(T, resource_name_filter, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, pattern_type_filter, EL_FROM(1), .initial = 3),
    EL_STRING(T, principal_filter, EL_ALL, .nullable = EL_ALL),
    EL_STRING(T, host_filter, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, operation, EL_ALL),
    EL_INT8(T, permission_type, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_acls_request = EL_SCHEMA(describe_acls_request, 1, 3, 2);

#define T struct el_msg_describe_acls_rule
static const struct el_field describe_acls_rule_fields[] = {
    EL_STRING(T, principal, EL_ALL),
    EL_STRING(T, host, EL_ALL),
    EL_INT8(T, operation, EL_ALL),
    EL_INT8(T, permission_type, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_acls_rule = EL_SCHEMA(describe_acls_rule, 1, 3, 2);

#define T struct el_msg_describe_acls_resource
static const struct el_field describe_acls_resource_fields[] = {
    EL_INT8(T, resource_type, EL_ALL),
    EL_STRING(T, resource_name, EL_ALL),
    EL_INT8(T, pattern_type, EL_FROM(1), .initial = 3),
    EL_STRUCTS(T, describe_acls_rule, acls, acl_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_acls_resource = EL_SCHEMA(describe_acls_resource, 1, 3, 2);

#define T struct el_msg_describe_acls_response
static const struct el_field describe_acls_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, describe_acls_resource, resources, resource_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_acls_response = EL_SCHEMA(describe_acls_response, 1, 3, 2);
