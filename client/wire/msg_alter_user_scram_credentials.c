/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of AlterUserScramCredentials, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_alter_user_scram_credentials.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_alter_user_scram_credentials_deletion
static const struct el_field alter_user_scram_credentials_deletion_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_INT8(T, mechanism, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_user_scram_credentials_deletion =
    EL_SCHEMA(alter_user_scram_credentials_deletion, 0, 0, 0);

#define T struct el_msg_alter_user_scram_credentials_upsertion
static const struct el_field alter_user_scram_credentials_upsertion_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_INT8(T, mechanism, EL_ALL),
    EL_INT32(T, iterations, EL_ALL),
    EL_BYTES(T, salt, EL_ALL),
    EL_BYTES(T, salted_password, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_user_scram_credentials_upsertion =
    EL_SCHEMA(alter_user_scram_credentials_upsertion, 0, 0, 0);

#define T struct el_msg_alter_user_scram_credentials_request
static const struct el_field alter_user_scram_credentials_request_fields[] = {
    EL_STRUCTS(T, alter_user_scram_credentials_deletion, deletions, deletion_count, EL_ALL),
    EL_STRUCTS(T, alter_user_scram_credentials_upsertion, upsertions, upsertion_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_user_scram_credentials_request =
    EL_SCHEMA(alter_user_scram_credentials_request, 0, 0, 0);

#define T struct el_msg_alter_user_scram_credentials_result
static const struct el_field alter_user_scram_credentials_result_fields[] = {
    EL_STRING(T, user, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_user_scram_credentials_result =
    EL_SCHEMA(alter_user_scram_credentials_result, 0, 0, 0);

#define T struct el_msg_alter_user_scram_credentials_response
static const struct el_field alter_user_scram_credentials_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, alter_user_scram_credentials_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_user_scram_credentials_response =
    EL_SCHEMA(alter_user_scram_credentials_response, 0, 0, 0);
