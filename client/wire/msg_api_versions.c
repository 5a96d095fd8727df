/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ApiVersions, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_api_versions.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_api_versions_request
static const struct el_field api_versions_request_fields[] = {
    EL_STRING(T, client_software_name,    EL_FROM(3), .ignorable = true),
    EL_STRING(T, client_software_version, EL_FROM(3), .ignorable = true),
    EL_STRING(T, cluster_id, EL_FROM(5),
        .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
    EL_INT32(T, node_id,                  EL_FROM(5), .initial = -1, .ignorable = true),
};
#undef T
const struct el_schema el_schema_api_versions_request = EL_SCHEMA(api_versions_request, 0, 5, 3);

#define T struct el_msg_api_versions_key
static const struct el_field api_versions_key_fields[] = {
    EL_INT16(T, api_key,     EL_ALL, .key = true),
    EL_INT16(T, min_version, EL_ALL),
    EL_INT16(T, max_version, EL_ALL),
};
#undef T
const struct el_schema el_schema_api_versions_key = EL_SCHEMA(api_versions_key, 0, 5, 3);

#define T struct el_msg_api_versions_supported_feature
static const struct el_field api_versions_supported_feature_fields[] = {
    EL_STRING(T, name,       EL_FROM(3), .key = true),
    EL_INT16(T, min_version, EL_FROM(3)),
    EL_INT16(T, max_version, EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_api_versions_supported_feature =
    EL_SCHEMA(api_versions_supported_feature, 0, 5, 3);

#define T struct el_msg_api_versions_finalized_feature
static const struct el_field api_versions_finalized_feature_fields[] = {
    EL_STRING(T, name,             EL_FROM(3), .key = true),
    EL_INT16(T, max_version_level, EL_FROM(3)),
    EL_INT16(T, min_version_level, EL_FROM(3)),
};
#undef T
const struct el_schema el_schema_api_versions_finalized_feature =
    EL_SCHEMA(api_versions_finalized_feature, 0, 5, 3);

#define T struct el_msg_api_versions_response
static const struct el_field api_versions_response_fields[] = {
    EL_INT16(T, error_code,               EL_ALL),
    EL_STRUCTS(T, api_versions_key, api_keys, api_key_count, EL_ALL),
    EL_INT32(T, throttle_time_ms,         EL_FROM(1), .ignorable = true),
    EL_STRUCTS(T, api_versions_supported_feature, supported_features, supported_feature_count,
        EL_FROM(3), .tagged = EL_FROM(3), .tag = 0, .ignorable = true),
    EL_INT64(T, finalized_features_epoch, EL_FROM(3),
        .tagged = EL_FROM(3), .tag = 1, .initial = -1, .ignorable = true),
    EL_STRUCTS(T, api_versions_finalized_feature, finalized_features, finalized_feature_count,
        EL_FROM(3), .tagged = EL_FROM(3), .tag = 2, .ignorable = true),
    EL_BOOL(T, zk_migration_ready,        EL_FROM(3), .tagged = EL_FROM(3), .tag = 3, .ignorable = true),
};
#undef T
const struct el_schema el_schema_api_versions_response = EL_SCHEMA(api_versions_response, 0, 5, 3);
