/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of StreamList, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_stream_list.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_stream_list_request
static const struct el_field ext_stream_list_request_fields[] = {
    EL_INT32(T, max,         EL_ALL, .initial = 1000),
    EL_BYTES(T, after,       EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, topic,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BYTES(T, prefix,      EL_ALL),
    EL_UUID(T, topic_id,     EL_ALL),
    EL_INT32(T, partition,   EL_ALL),
    EL_BOOL(T, with_deleted, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_list_request = EL_SCHEMA(ext_stream_list_request, 0, 0, 0);

#define T struct el_msg_ext_stream_list_stream
static const struct el_field ext_stream_list_stream_fields[] = {
    EL_BYTES(T, key,          EL_ALL),
    EL_BOOL(T, ended,         EL_ALL),
    EL_BOOL(T, deleted,       EL_ALL),
    EL_INT64(T, last_offset,  EL_ALL, .initial = -1),
    EL_INT64(T, last_version, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_stream_list_stream = EL_SCHEMA(ext_stream_list_stream, 0, 0, 0);

#define T struct el_msg_ext_stream_list_response
static const struct el_field ext_stream_list_response_fields[] = {
    EL_BOOL(T, more,      EL_ALL),
    EL_INT16(T, error,    EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, ext_stream_list_stream, streams, stream_count, EL_ALL),
    EL_UUID(T, topic_id,  EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_stream_list_response = EL_SCHEMA(ext_stream_list_response, 0, 0, 0);
