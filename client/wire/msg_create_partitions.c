/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of CreatePartitions, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_create_partitions.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_create_partitions_assignment
static const struct el_field create_partitions_assignment_fields[] = {
    EL_ARRAY(T, INT32, int32_t, broker_ids, broker_id_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_partitions_assignment = EL_SCHEMA(create_partitions_assignment, 0, 3, 2);

#define T struct el_msg_create_partitions_topic
static const struct el_field create_partitions_topic_fields[] = {
    EL_STRING(T, name, EL_ALL, .key = true),
    EL_INT32(T, count, EL_ALL),
    EL_STRUCTS(T, create_partitions_assignment, assignments, assignment_count, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_create_partitions_topic = EL_SCHEMA(create_partitions_topic, 0, 3, 2);

#define T struct el_msg_create_partitions_request
static const struct el_field create_partitions_request_fields[] = {
    EL_STRUCTS(T, create_partitions_topic, topics, topic_count, EL_ALL),
    EL_INT32(T, timeout_ms,   EL_ALL),
    EL_BOOL(T, validate_only, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_partitions_request = EL_SCHEMA(create_partitions_request, 0, 3, 2);

#define T struct el_msg_create_partitions_topic_result
static const struct el_field create_partitions_topic_result_fields[] = {
    EL_STRING(T, name,          EL_ALL),
    EL_INT16(T, error_code,     EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_create_partitions_topic_result =
    EL_SCHEMA(create_partitions_topic_result, 0, 3, 2);

#define T struct el_msg_create_partitions_response
static const struct el_field create_partitions_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, create_partitions_topic_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_partitions_response = EL_SCHEMA(create_partitions_response, 0, 3, 2);
