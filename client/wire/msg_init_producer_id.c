/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of InitProducerId, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_init_producer_id.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_init_producer_id_request
static const struct el_field init_producer_id_request_fields[] = {
    EL_STRING(T, transactional_id,      EL_ALL, .nullable = EL_ALL),
    EL_INT32(T, transaction_timeout_ms, EL_ALL),
    EL_INT64(T, producer_id,            EL_FROM(3), .initial = -1),
    EL_INT16(T, producer_epoch,         EL_FROM(3), .initial = -1),
};
#undef T
const struct el_schema el_schema_init_producer_id_request = EL_SCHEMA(init_producer_id_request, 0, 5, 2);

#define T struct el_msg_init_producer_id_response
static const struct el_field init_producer_id_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_INT16(T, error_code,       EL_ALL),
    EL_INT64(T, producer_id,      EL_ALL, .initial = -1),
    EL_INT16(T, producer_epoch,   EL_ALL),
};
#undef T
const struct el_schema el_schema_init_producer_id_response = EL_SCHEMA(init_producer_id_response, 0, 5, 2);
