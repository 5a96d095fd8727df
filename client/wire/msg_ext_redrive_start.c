/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of RedriveStart, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_redrive_start.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_redrive_start_range
static const struct el_field ext_redrive_start_range_fields[] = {
    EL_INT64(T, last,      EL_ALL),
    EL_INT64(T, first,     EL_ALL),
    EL_INT32(T, partition, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_redrive_start_range = EL_SCHEMA(ext_redrive_start_range, 0, 0, 0);

#define T struct el_msg_ext_redrive_start_request
static const struct el_field ext_redrive_start_request_fields[] = {
    EL_STRING(T, to,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BYTES(T, key,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, rate,     EL_ALL),
    EL_STRING(T, group,   EL_ALL),
    EL_STRING(T, topic,   EL_ALL),
    EL_INT8(T, action,    EL_ALL),
    EL_STRUCTS(T, ext_redrive_start_range, ranges, range_count, EL_ALL),
    EL_STRING(T, reason,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BOOL(T, dry_run,   EL_ALL),
    EL_STRING(T, pattern, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, since_ms, EL_ALL, .initial = -1),
    EL_INT64(T, until_ms, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_redrive_start_request = EL_SCHEMA(ext_redrive_start_request, 0, 0, 0);

#define T struct el_msg_ext_redrive_start_response
static const struct el_field ext_redrive_start_response_fields[] = {
    EL_UINT64(T, id,      EL_ALL),
    EL_INT16(T, error,    EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_redrive_start_response = EL_SCHEMA(ext_redrive_start_response, 0, 0, 0);
