/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of AlterConfigs, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_alter_configs.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_alter_configs_config
static const struct el_field alter_configs_config_fields[] = {
    EL_STRING(T, name, EL_ALL, .key = true),
    EL_STRING(T, value, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_configs_config = EL_SCHEMA(alter_configs_config, 0, 2, 2);

#define T struct el_msg_alter_configs_resource
static const struct el_field alter_configs_resource_fields[] = {
    EL_INT8(T, resource_type, EL_ALL, .key = true),
    EL_STRING(T, resource_name, EL_ALL, .key = true),
    EL_STRUCTS(T, alter_configs_config, configs, config_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_configs_resource = EL_SCHEMA(alter_configs_resource, 0, 2, 2);

#define T struct el_msg_alter_configs_request
static const struct el_field alter_configs_request_fields[] = {
    EL_STRUCTS(T, alter_configs_resource, resources, resource_count, EL_ALL),
    EL_BOOL(T, validate_only, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_configs_request = EL_SCHEMA(alter_configs_request, 0, 2, 2);

#define T struct el_msg_alter_configs_resource_result
static const struct el_field alter_configs_resource_result_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, resource_type, EL_ALL),
    EL_STRING(T, resource_name, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_configs_resource_result = EL_SCHEMA(alter_configs_resource_result, 0, 2, 2);

#define T struct el_msg_alter_configs_response
static const struct el_field alter_configs_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, alter_configs_resource_result, responses, response_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_configs_response = EL_SCHEMA(alter_configs_response, 0, 2, 2);
