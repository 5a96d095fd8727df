/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ListConfigResources, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_list_config_resources.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_list_config_resources_request
static const struct el_field list_config_resources_request_fields[] = {
    EL_ARRAY(T, INT8, int8_t, resource_types, resource_type_count, EL_FROM(1)),
};
#undef T
const struct el_schema el_schema_list_config_resources_request = EL_SCHEMA(list_config_resources_request, 0, 1, 0);

#define T struct el_msg_list_config_resources_resource
static const struct el_field list_config_resources_resource_fields[] = {
    EL_STRING(T, resource_name, EL_ALL),
    EL_INT8(T, resource_type, EL_FROM(1), .initial = 16, .ignorable = true),
};
#undef T
const struct el_schema el_schema_list_config_resources_resource = EL_SCHEMA(list_config_resources_resource, 0, 1, 0);

#define T struct el_msg_list_config_resources_response
static const struct el_field list_config_resources_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRUCTS(T, list_config_resources_resource, config_resources, config_resource_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_config_resources_response = EL_SCHEMA(list_config_resources_response, 0, 1, 0);
