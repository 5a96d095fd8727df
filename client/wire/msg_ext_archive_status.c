/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ArchiveStatus, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_archive_status.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_archive_status_request
static const struct el_field ext_archive_status_request_fields[] = {
    EL_BOOL(T, detail,              EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_archive_status_request = EL_SCHEMA(ext_archive_status_request, 0, 0, 0);

#define T struct el_msg_ext_archive_status_response
static const struct el_field ext_archive_status_response_fields[] = {
    EL_STRING(T, url,               EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT16(T, error,              EL_ALL),
    EL_STRING(T, state,             EL_ALL),
    EL_STRING(T, message,           EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UINT64(T, objects,           EL_ALL),
    EL_UINT64(T, root_ms,           EL_ALL),
    EL_UINT64(T, replaced,          EL_ALL),
    EL_UINT64(T, sequence,          EL_ALL),
    EL_UINT64(T, complete_ns,       EL_ALL),
    EL_UUID(T, incarnation,         EL_ALL),
    EL_UINT64(T, object_bytes,      EL_ALL),
    EL_UINT64(T, pending_bytes,     EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_archive_status_response = EL_SCHEMA(ext_archive_status_response, 0, 0, 0);
