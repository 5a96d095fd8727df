/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of UpdateFeatures, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_update_features.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_update_features_update
static const struct el_field update_features_update_fields[] = {
    EL_STRING(T, feature, EL_ALL, .key = true),
    EL_INT16(T, max_version_level, EL_ALL),
    EL_BOOL(T, allow_downgrade, EL_UPTO(0)),
    EL_INT8(T, upgrade_type, EL_FROM(1), .initial = 1),
};
#undef T
const struct el_schema el_schema_update_features_update = EL_SCHEMA(update_features_update, 0, 2, 0);

#define T struct el_msg_update_features_request
static const struct el_field update_features_request_fields[] = {
    EL_INT32(T, timeout_ms, EL_ALL, .initial = 60000),
    EL_STRUCTS(T, update_features_update, feature_updates, feature_update_count, EL_ALL),
    EL_BOOL(T, validate_only, EL_FROM(1)),
};
#undef T
const struct el_schema el_schema_update_features_request = EL_SCHEMA(update_features_request, 0, 2, 0);

#define T struct el_msg_update_features_result
static const struct el_field update_features_result_fields[] = {
    EL_STRING(T, feature, EL_ALL, .key = true),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_update_features_result = EL_SCHEMA(update_features_result, 0, 2, 0);

#define T struct el_msg_update_features_response
static const struct el_field update_features_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, update_features_result, results, result_count, EL_UPTO(1), .ignorable = true),
};
#undef T
const struct el_schema el_schema_update_features_response = EL_SCHEMA(update_features_response, 0, 2, 0);
