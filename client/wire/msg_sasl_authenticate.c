/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of SaslAuthenticate, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_sasl_authenticate.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_sasl_authenticate_request
static const struct el_field sasl_authenticate_request_fields[] = {
    EL_BYTES(T, auth_bytes, EL_ALL),
};
#undef T
const struct el_schema el_schema_sasl_authenticate_request = EL_SCHEMA(sasl_authenticate_request, 0, 2, 2);

#define T struct el_msg_sasl_authenticate_response
static const struct el_field sasl_authenticate_response_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_BYTES(T, auth_bytes, EL_ALL),
    EL_INT64(T, session_lifetime_ms, EL_FROM(1), .ignorable = true),
};
#undef T
const struct el_schema el_schema_sasl_authenticate_response = EL_SCHEMA(sasl_authenticate_response, 0, 2, 2);
