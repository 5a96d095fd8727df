/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeConfigs, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_configs.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_configs_resource
static const struct el_field describe_configs_resource_fields[] = {
    EL_INT8(T, resource_type,   EL_ALL),
    EL_STRING(T, resource_name, EL_ALL),
    EL_ARRAY(T, STRING, struct el_slice, configuration_keys, configuration_key_count, EL_ALL,
        .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_configs_resource = EL_SCHEMA(describe_configs_resource, 1, 4, 4);

#define T struct el_msg_describe_configs_request
static const struct el_field describe_configs_request_fields[] = {
    EL_STRUCTS(T, describe_configs_resource, resources, resource_count, EL_ALL),
    EL_BOOL(T, include_synonyms,      EL_ALL),
    EL_BOOL(T, include_documentation, EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_describe_configs_request = EL_SCHEMA(describe_configs_request, 1, 4, 4);

#define T struct el_msg_describe_configs_synonym
static const struct el_field describe_configs_synonym_fields[] = {
    EL_STRING(T, name,  EL_ALL),
    EL_STRING(T, value, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, source,  EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_configs_synonym = EL_SCHEMA(describe_configs_synonym, 1, 4, 4);

#define T struct el_msg_describe_configs_config
static const struct el_field describe_configs_config_fields[] = {
    EL_STRING(T, name,          EL_ALL),
    EL_STRING(T, value,         EL_ALL, .nullable = EL_ALL),
    EL_BOOL(T, read_only,       EL_ALL),
    EL_INT8(T, config_source,   EL_ALL, .initial = -1, .ignorable = true),
    EL_BOOL(T, is_sensitive,    EL_ALL),
    EL_STRUCTS(T, describe_configs_synonym, synonyms, synonym_count, EL_ALL, .ignorable = true),
    EL_INT8(T, config_type,     EL_FROM(3), .ignorable = true),
    EL_STRING(T, documentation, EL_FROM(3), .nullable = EL_FROM(3), .ignorable = true),
};
#undef T
const struct el_schema el_schema_describe_configs_config = EL_SCHEMA(describe_configs_config, 1, 4, 4);

#define T struct el_msg_describe_configs_result
static const struct el_field describe_configs_result_fields[] = {
    EL_INT16(T, error_code,     EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_INT8(T, resource_type,   EL_ALL),
    EL_STRING(T, resource_name, EL_ALL),
    EL_STRUCTS(T, describe_configs_config, configs, config_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_configs_result = EL_SCHEMA(describe_configs_result, 1, 4, 4);

#define T struct el_msg_describe_configs_response
static const struct el_field describe_configs_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, describe_configs_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_configs_response = EL_SCHEMA(describe_configs_response, 1, 4, 4);
