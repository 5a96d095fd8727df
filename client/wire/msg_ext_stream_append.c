/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of StreamAppend, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_stream_append.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_stream_append_header
static const struct el_field ext_stream_append_header_fields[] = {
    EL_BYTES(T, name,  EL_ALL),
    EL_BYTES(T, value, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_stream_append_header = EL_SCHEMA(ext_stream_append_header, 0, 0, 0);

#define T struct el_msg_ext_stream_append_event
static const struct el_field ext_stream_append_event_fields[] = {
    EL_STRING(T, id,           EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BYTES(T, data,          EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, type,         EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, source,       EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, ext_stream_append_header, headers, header_count, EL_ALL),
    EL_INT64(T, time_ms,       EL_ALL, .initial = -1),
    EL_STRING(T, content_type, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_stream_append_event = EL_SCHEMA(ext_stream_append_event, 0, 0, 0);

#define T struct el_msg_ext_stream_append_append
static const struct el_field ext_stream_append_append_fields[] = {
    EL_BYTES(T, key,      EL_ALL),
    EL_STRUCTS(T, ext_stream_append_event, events, event_count, EL_ALL),
    EL_INT64(T, expected, EL_ALL, .initial = -2),
};
#undef T
const struct el_schema el_schema_ext_stream_append_append = EL_SCHEMA(ext_stream_append_append, 0, 0, 0);

#define T struct el_msg_ext_stream_append_check
static const struct el_field ext_stream_append_check_fields[] = {
    EL_BYTES(T, key,      EL_ALL),
    EL_INT64(T, expected, EL_ALL, .initial = -2),
};
#undef T
const struct el_schema el_schema_ext_stream_append_check = EL_SCHEMA(ext_stream_append_check, 0, 0, 0);

#define T struct el_msg_ext_stream_append_request
static const struct el_field ext_stream_append_request_fields[] = {
    EL_STRING(T, topic,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, ext_stream_append_check, checks, check_count, EL_ALL),
    EL_STRUCTS(T, ext_stream_append_append, appends, append_count, EL_ALL),
    EL_UUID(T, topic_id,    EL_ALL),
    EL_INT32(T, partition,  EL_ALL, .initial = -1),
    EL_INT32(T, timeout_ms, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_append_request = EL_SCHEMA(ext_stream_append_request, 0, 0, 0);

#define T struct el_msg_ext_stream_append_result
static const struct el_field ext_stream_append_result_fields[] = {
    EL_INT64(T, offset,        EL_ALL, .initial = -1),
    EL_INT64(T, version,       EL_ALL, .initial = -1),
    EL_BOOL(T, duplicate,      EL_ALL),
    EL_INT64(T, first_offset,  EL_ALL, .initial = -1),
    EL_INT64(T, first_version, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_stream_append_result = EL_SCHEMA(ext_stream_append_result, 0, 0, 0);

#define T struct el_msg_ext_stream_append_conflict
static const struct el_field ext_stream_append_conflict_fields[] = {
    EL_BYTES(T, key,             EL_ALL),
    EL_BOOL(T, check,            EL_ALL),
    EL_INT32(T, event,           EL_ALL, .initial = -1),
    EL_INT32(T, index,           EL_ALL),
    EL_STRING(T, reason,         EL_ALL),
    EL_BOOL(T, deleted,          EL_ALL),
    EL_INT64(T, expected,        EL_ALL, .initial = -2),
    EL_STRING(T, current_type,   EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, current_offset,  EL_ALL, .initial = -1),
    EL_INT64(T, current_time_ms, EL_ALL, .initial = -1),
    EL_INT64(T, current_version, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_stream_append_conflict = EL_SCHEMA(ext_stream_append_conflict, 0, 0, 0);

#define T struct el_msg_ext_stream_append_response
static const struct el_field ext_stream_append_response_fields[] = {
    EL_INT16(T, error,           EL_ALL),
    EL_STRING(T, message,        EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, ext_stream_append_result, results, result_count, EL_ALL),
    EL_STRING(T, position,       EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,         EL_ALL),
    EL_STRUCTS(T, ext_stream_append_conflict, conflicts, conflict_count, EL_ALL),
    EL_INT32(T, partition,       EL_ALL, .initial = -1),
    EL_UINT64(T, append_time_ns, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_append_response = EL_SCHEMA(ext_stream_append_response, 0, 0, 0);
