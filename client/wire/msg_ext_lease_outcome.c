/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of LeaseOutcome, in canonical order of the keys. Fields: docs/protocol.md section 5.
 */
#include <wire/msg_ext_lease_outcome.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_ext_lease_outcome_header
static const struct el_field ext_lease_outcome_header_fields[] = {
    EL_BYTES(T, name,  EL_ALL),
    EL_BYTES(T, value, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_header = EL_SCHEMA(ext_lease_outcome_header, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_emit
static const struct el_field ext_lease_outcome_emit_fields[] = {
    EL_BYTES(T, key,       EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, time,      EL_ALL, .initial = -1),
    EL_STRING(T, topic,    EL_ALL),
    EL_BYTES(T, value,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, ext_lease_outcome_header, headers, header_count, EL_ALL),
    EL_INT32(T, partition, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_emit = EL_SCHEMA(ext_lease_outcome_emit, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_range
static const struct el_field ext_lease_outcome_range_fields[] = {
    EL_INT8(T, kind,      EL_ALL),
    EL_INT64(T, last,     EL_ALL),
    EL_STRUCTS(T, ext_lease_outcome_emit, emits, emit_count, EL_FROM(1)),
    EL_STRING(T, error,   EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, first,    EL_ALL),
    EL_STRING(T, reason,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT64(T, delay_ms, EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_range = EL_SCHEMA(ext_lease_outcome_range, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_partition
static const struct el_field ext_lease_outcome_partition_fields[] = {
    EL_STRUCTS(T, ext_lease_outcome_range, outcomes, outcome_count, EL_ALL),
    EL_INT32(T, partition, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_partition =
    EL_SCHEMA(ext_lease_outcome_partition, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_topic
static const struct el_field ext_lease_outcome_topic_fields[] = {
    EL_STRING(T, topic,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id, EL_ALL),
    EL_STRUCTS(T, ext_lease_outcome_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_topic = EL_SCHEMA(ext_lease_outcome_topic, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_request
static const struct el_field ext_lease_outcome_request_fields[] = {
    EL_STRING(T, group,  EL_ALL),
    EL_STRING(T, member, EL_ALL),
    EL_STRUCTS(T, ext_lease_outcome_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_request = EL_SCHEMA(ext_lease_outcome_request, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_partition_result
static const struct el_field ext_lease_outcome_partition_result_fields[] = {
    EL_INT16(T, error,     EL_ALL),
    EL_STRING(T, message,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, partition, EL_ALL),
    EL_BOOL(T, emits_refused, EL_FROM(1), .ignorable = true),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_partition_result =
    EL_SCHEMA(ext_lease_outcome_partition_result, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_topic_result
static const struct el_field ext_lease_outcome_topic_result_fields[] = {
    EL_STRING(T, topic,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_UUID(T, topic_id, EL_ALL),
    EL_STRUCTS(T, ext_lease_outcome_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_topic_result =
    EL_SCHEMA(ext_lease_outcome_topic_result, 0, 1, 0);

#define T struct el_msg_ext_lease_outcome_response
static const struct el_field ext_lease_outcome_response_fields[] = {
    EL_INT16(T, error,    EL_ALL),
    EL_STRUCTS(T, ext_lease_outcome_topic_result, topics, topic_count, EL_ALL),
    EL_STRING(T, message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, lease_ms, EL_ALL),
};
#undef T
const struct el_schema el_schema_ext_lease_outcome_response = EL_SCHEMA(ext_lease_outcome_response, 0, 1, 0);
