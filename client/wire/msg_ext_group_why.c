/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of GroupWhy, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_group_why.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_group_why_request
static const struct el_field ext_group_why_request_fields[] = {
    EL_BYTES(T, key,       EL_ALL),
    EL_STRING(T, group,    EL_ALL),
    EL_STRING(T, topic,    EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,   EL_ALL),
    EL_INT32(T, partition, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_group_why_request = EL_SCHEMA(ext_group_why_request, 0, 0, 0);

#define T struct el_msg_ext_group_why_wait
static const struct el_field ext_group_why_wait_fields[] = {
    EL_STRING(T, state,    EL_ALL),
    EL_UINT64(T, behind,   EL_ALL),
    EL_INT64(T, due_ms,    EL_ALL, .initial = -1),
    EL_INT64(T, offset,    EL_ALL, .initial = -1),
    EL_BOOL(T, parked,     EL_ALL),
    EL_STRING(T, message,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, attempts,  EL_ALL),
    EL_INT32(T, partition, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_group_why_wait = EL_SCHEMA(ext_group_why_wait, 0, 0, 0);

#define T struct el_msg_ext_group_why_response
static const struct el_field ext_group_why_response_fields[] = {
    EL_INT16(T, error,    EL_ALL),
    EL_STRUCTS(T, ext_group_why_wait, waits, wait_count, EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_group_why_response = EL_SCHEMA(ext_group_why_response, 0, 0, 0);
