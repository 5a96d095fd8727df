/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ArchiveNow, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_archive_now.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_archive_now_request
static const struct el_field ext_archive_now_request_fields[] = {
    EL_BOOL(T, seal,         EL_ALL),
    EL_BOOL(T, wait,         EL_ALL),
    EL_STRING(T, topic,      EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_archive_now_request = EL_SCHEMA(ext_archive_now_request, 0, 0, 0);

#define T struct el_msg_ext_archive_now_response
static const struct el_field ext_archive_now_response_fields[] = {
    EL_INT16(T, error,       EL_ALL),
    EL_STRING(T, message,    EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UINT64(T, sequence,   EL_ALL),
    EL_UINT64(T, complete_ns, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_archive_now_response = EL_SCHEMA(ext_archive_now_response, 0, 0, 0);
