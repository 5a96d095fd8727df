/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of AlterClientQuotas, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_alter_client_quotas.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_alter_client_quotas_entity
static const struct el_field alter_client_quotas_entity_fields[] = {
    EL_STRING(T, entity_type, EL_ALL),
    EL_STRING(T, entity_name, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_client_quotas_entity =
    EL_SCHEMA(alter_client_quotas_entity, 0, 1, 1);

#define T struct el_msg_alter_client_quotas_op
static const struct el_field alter_client_quotas_op_fields[] = {
    EL_STRING(T, key, EL_ALL),
    EL_FLOAT64(T, value, EL_ALL),
    EL_BOOL(T, remove, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_client_quotas_op =
    EL_SCHEMA(alter_client_quotas_op, 0, 1, 1);

#define T struct el_msg_alter_client_quotas_entry
static const struct el_field alter_client_quotas_entry_fields[] = {
    EL_STRUCTS(T, alter_client_quotas_entity, entity, entity_count, EL_ALL),
    EL_STRUCTS(T, alter_client_quotas_op, ops, op_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_client_quotas_entry =
    EL_SCHEMA(alter_client_quotas_entry, 0, 1, 1);

#define T struct el_msg_alter_client_quotas_request
static const struct el_field alter_client_quotas_request_fields[] = {
    EL_STRUCTS(T, alter_client_quotas_entry, entries, entry_count, EL_ALL),
    EL_BOOL(T, validate_only, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_client_quotas_request =
    EL_SCHEMA(alter_client_quotas_request, 0, 1, 1);

#define T struct el_msg_alter_client_quotas_result
static const struct el_field alter_client_quotas_result_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, alter_client_quotas_entity, entity, entity_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_client_quotas_result =
    EL_SCHEMA(alter_client_quotas_result, 0, 1, 1);

#define T struct el_msg_alter_client_quotas_response
static const struct el_field alter_client_quotas_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, alter_client_quotas_result, entries, entry_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_client_quotas_response =
    EL_SCHEMA(alter_client_quotas_response, 0, 1, 1);
