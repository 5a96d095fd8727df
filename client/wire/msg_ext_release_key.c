/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ReleaseKey, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_release_key.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_release_key_request
static const struct el_field ext_release_key_request_fields[] = {
    EL_BYTES(T, key,       EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, group,    EL_ALL),
    EL_BOOL(T, probe,      EL_ALL),
    EL_UINT64(T, token,    EL_ALL),
    EL_STRING(T, topic,    EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id,   EL_ALL),
    EL_INT32(T, partition, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_release_key_request = EL_SCHEMA(ext_release_key_request, 0, 0, 0);

#define T struct el_msg_ext_release_key_response
static const struct el_field ext_release_key_response_fields[] = {
    EL_INT16(T, error,     EL_ALL),
    EL_UINT64(T, token,    EL_ALL),
    EL_STRING(T, message,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, partition, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_release_key_response = EL_SCHEMA(ext_release_key_response, 0, 0, 0);
