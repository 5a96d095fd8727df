/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of StreamRead, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_stream_read.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_stream_read_request
static const struct el_field ext_stream_read_request_fields[] = {
    EL_INT64(T, to,         EL_ALL, .initial = -1),
    EL_BYTES(T, key,        EL_ALL),
    EL_INT64(T, from,       EL_ALL, .initial = -1),
    EL_STRING(T, topic,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UINT64(T, as_of_ns,  EL_ALL),
    EL_BOOL(T, backward,    EL_ALL),
    EL_UUID(T, topic_id,    EL_ALL),
    EL_INT32(T, max_bytes,  EL_ALL, .initial = 1 << 20),
    EL_INT32(T, max_events, EL_ALL, .initial = 1000),
};
#undef T
const struct el_schema el_schema_ext_stream_read_request = EL_SCHEMA(ext_stream_read_request, 0, 0, 0);

#define T struct el_msg_ext_stream_read_header
static const struct el_field ext_stream_read_header_fields[] = {
    EL_BYTES(T, name,  EL_ALL),
    EL_BYTES(T, value, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_stream_read_header = EL_SCHEMA(ext_stream_read_header, 0, 0, 0);

#define T struct el_msg_ext_stream_read_event
static const struct el_field ext_stream_read_event_fields[] = {
    EL_BYTES(T, key,             EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_RECORDS(T, value,         EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, offset,          EL_ALL),
    EL_STRUCTS(T, ext_stream_read_header, headers, header_count, EL_ALL),
    EL_INT64(T, time_ms,         EL_ALL),
    EL_INT64(T, version,         EL_ALL, .initial = -1),
    EL_INT32(T, leader_epoch,    EL_ALL, .initial = -1),
    EL_UINT64(T, append_time_ns, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_read_event = EL_SCHEMA(ext_stream_read_event, 0, 0, 0);

#define T struct el_msg_ext_stream_read_response
static const struct el_field ext_stream_read_response_fields[] = {
    EL_BOOL(T, more,           EL_ALL),
    EL_INT64(T, next,          EL_ALL, .initial = -1),
    EL_BOOL(T, ended,          EL_ALL),
    EL_INT16(T, error,         EL_ALL),
    EL_STRUCTS(T, ext_stream_read_event, events, event_count, EL_ALL),
    EL_BOOL(T, deleted,        EL_ALL),
    EL_STRING(T, message,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,       EL_ALL),
    EL_INT32(T, partition,     EL_ALL, .initial = -1),
    EL_INT64(T, end_offset,    EL_ALL, .initial = -1),
    EL_INT64(T, last_offset,   EL_ALL, .initial = -1),
    EL_INT64(T, last_version,  EL_ALL, .initial = -1),
    EL_INT64(T, first_version, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_read_response = EL_SCHEMA(ext_stream_read_response, 0, 0, 0);
