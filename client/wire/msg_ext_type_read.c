/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of TypeRead, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_type_read.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_type_read_request
static const struct el_field ext_type_read_request_fields[] = {
    EL_INT64(T, from,       EL_ALL, .initial = -1),
    EL_STRING(T, type,      EL_ALL),
    EL_STRING(T, topic,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BOOL(T, backward,    EL_ALL),
    EL_UUID(T, topic_id,    EL_ALL),
    EL_INT32(T, max_bytes,  EL_ALL, .initial = 1 << 20),
    EL_INT32(T, partition,  EL_ALL),
    EL_INT32(T, max_events, EL_ALL, .initial = 1000),
};
#undef T
const struct el_schema el_schema_ext_type_read_request = EL_SCHEMA(ext_type_read_request, 0, 0, 0);

#define T struct el_msg_ext_type_read_response
static const struct el_field ext_type_read_response_fields[] = {
    EL_BOOL(T, more,        EL_ALL),
    EL_INT64(T, next,       EL_ALL, .initial = -1),
    EL_INT16(T, error,      EL_ALL),
    EL_STRUCTS(T, ext_stream_read_event, events, event_count, EL_ALL),
    EL_STRING(T, message,   EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,    EL_ALL),
    EL_INT64(T, end_offset, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_type_read_response = EL_SCHEMA(ext_type_read_response, 0, 0, 0);
