/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of FindCoordinator, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_find_coordinator.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_find_coordinator_request
static const struct el_field find_coordinator_request_fields[] = {
    EL_STRING(T, key,    EL_UPTO(3)),
    EL_INT8(T, key_type, EL_FROM(1)),
    EL_ARRAY(T, STRING, struct el_slice, coordinator_keys, coordinator_key_count, EL_FROM(4)),
};
#undef T
const struct el_schema el_schema_find_coordinator_request = EL_SCHEMA(find_coordinator_request, 0, 6, 3);

#define T struct el_msg_find_coordinator_coordinator
static const struct el_field find_coordinator_coordinator_fields[] = {
    EL_STRING(T, key,           EL_FROM(4)),
    EL_INT32(T, node_id,        EL_FROM(4)),
    EL_STRING(T, host,          EL_FROM(4)),
    EL_INT32(T, port,           EL_FROM(4)),
    EL_INT16(T, error_code,     EL_FROM(4)),
    EL_STRING(T, error_message, EL_FROM(4), .nullable = EL_FROM(4), .ignorable = true),
};
#undef T
const struct el_schema el_schema_find_coordinator_coordinator = EL_SCHEMA(find_coordinator_coordinator, 0, 6, 3);

#define T struct el_msg_find_coordinator_response
static const struct el_field find_coordinator_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(1), .ignorable = true),
    EL_INT16(T, error_code,       EL_UPTO(3)),
    EL_STRING(T, error_message,   EL_BETWEEN(1, 3), .nullable = EL_BETWEEN(1, 3), .ignorable = true),
    EL_INT32(T, node_id,          EL_UPTO(3)),
    EL_STRING(T, host,            EL_UPTO(3)),
    EL_INT32(T, port,             EL_UPTO(3)),
    EL_STRUCTS(T, find_coordinator_coordinator, coordinators, coordinator_count, EL_FROM(4)),
};
#undef T
const struct el_schema el_schema_find_coordinator_response = EL_SCHEMA(find_coordinator_response, 0, 6, 3);
