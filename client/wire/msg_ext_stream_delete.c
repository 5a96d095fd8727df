/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of StreamDelete, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_stream_delete.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_stream_delete_request
static const struct el_field ext_stream_delete_request_fields[] = {
    EL_BYTES(T, key,        EL_ALL),
    EL_BOOL(T, hard,        EL_ALL),
    EL_STRING(T, topic,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, expected,   EL_ALL, .initial = -2),
    EL_UUID(T, topic_id,    EL_ALL),
    EL_INT32(T, timeout_ms, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_delete_request = EL_SCHEMA(ext_stream_delete_request, 0, 0, 0);

#define T struct el_msg_ext_stream_delete_response
static const struct el_field ext_stream_delete_response_fields[] = {
    EL_INT16(T, error,     EL_ALL),
    EL_INT64(T, offset,    EL_ALL, .initial = -1),
    EL_STRING(T, message,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, version,   EL_ALL, .initial = -1),
    EL_STRING(T, position, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,   EL_ALL),
    EL_STRUCTS(T, ext_stream_append_conflict, conflicts, conflict_count, EL_ALL),
    EL_BOOL(T, duplicate,  EL_ALL),
    EL_INT32(T, partition, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_stream_delete_response = EL_SCHEMA(ext_stream_delete_response, 0, 0, 0);
