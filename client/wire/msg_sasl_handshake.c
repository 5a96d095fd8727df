/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of SaslHandshake, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_sasl_handshake.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_sasl_handshake_request
static const struct el_field sasl_handshake_request_fields[] = {
    EL_STRING(T, mechanism, EL_ALL),
};
#undef T
const struct el_schema el_schema_sasl_handshake_request = EL_SCHEMA(sasl_handshake_request, 0, 1, EL_NEVER);

#define T struct el_msg_sasl_handshake_response
static const struct el_field sasl_handshake_response_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_ARRAY(T, STRING, struct el_slice, mechanisms, mechanism_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_sasl_handshake_response = EL_SCHEMA(sasl_handshake_response, 0, 1, EL_NEVER);
