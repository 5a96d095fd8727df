/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeUserScramCredentials, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_user_scram_credentials.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_user_scram_credentials_user
static const struct el_field describe_user_scram_credentials_user_fields[] = {
    EL_STRING(T, name, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_user_scram_credentials_user =
    EL_SCHEMA(describe_user_scram_credentials_user, 0, 0, 0);

#define T struct el_msg_describe_user_scram_credentials_request
static const struct el_field describe_user_scram_credentials_request_fields[] = {
    EL_STRUCTS(T, describe_user_scram_credentials_user, users, user_count, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_user_scram_credentials_request =
    EL_SCHEMA(describe_user_scram_credentials_request, 0, 0, 0);

#define T struct el_msg_describe_user_scram_credentials_info
static const struct el_field describe_user_scram_credentials_info_fields[] = {
    EL_INT8(T, mechanism, EL_ALL),
    EL_INT32(T, iterations, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_user_scram_credentials_info =
    EL_SCHEMA(describe_user_scram_credentials_info, 0, 0, 0);

#define T struct el_msg_describe_user_scram_credentials_result
static const struct el_field describe_user_scram_credentials_result_fields[] = {
    EL_STRING(T, user, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, describe_user_scram_credentials_info, credential_infos, credential_info_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_user_scram_credentials_result =
    EL_SCHEMA(describe_user_scram_credentials_result, 0, 0, 0);

#define T struct el_msg_describe_user_scram_credentials_response
static const struct el_field describe_user_scram_credentials_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, describe_user_scram_credentials_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_user_scram_credentials_response =
    EL_SCHEMA(describe_user_scram_credentials_response, 0, 0, 0);
