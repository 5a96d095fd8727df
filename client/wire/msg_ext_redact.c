/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Redact, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_redact.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_redact_request
static const struct el_field ext_redact_request_fields[] = {
    EL_INT64(T, end,         EL_ALL),
    EL_INT64(T, first,       EL_ALL),
    EL_STRING(T, topic,      EL_ALL),
    EL_STRING(T, reason,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_BOOL(T, dry_run,      EL_ALL),
    EL_INT32(T, partition,   EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_redact_request = EL_SCHEMA(ext_redact_request, 0, 0, 0);

#define T struct el_msg_ext_redact_response
static const struct el_field ext_redact_response_fields[] = {
    EL_INT64(T, end,         EL_ALL),
    EL_INT16(T, error,       EL_ALL),
    EL_INT64(T, first,       EL_ALL),
    EL_STRING(T, state,      EL_ALL),
    EL_UINT64(T, events,     EL_ALL),
    EL_UINT64(T, batches,    EL_ALL),
    EL_STRING(T, message,    EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, parent_end,  EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_redact_response = EL_SCHEMA(ext_redact_response, 0, 0, 0);
