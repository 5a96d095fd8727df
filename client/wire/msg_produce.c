/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Produce, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_produce.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_produce_partition
static const struct el_field produce_partition_fields[] = {
    EL_INT32(T, index,     EL_ALL),
    EL_RECORDS(T, records, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_produce_partition = EL_SCHEMA(produce_partition, 3, 13, 9);

#define T struct el_msg_produce_topic
static const struct el_field produce_topic_fields[] = {
    EL_STRING(T, name,   EL_UPTO(12), .ignorable = true, .key = true),
    EL_UUID(T, topic_id, EL_FROM(13), .ignorable = true, .key = true),
    EL_STRUCTS(T, produce_partition, partition_data, partition_data_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_produce_topic = EL_SCHEMA(produce_topic, 3, 13, 9);

#define T struct el_msg_produce_request
static const struct el_field produce_request_fields[] = {
    EL_STRING(T, transactional_id, EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT16(T, acks,              EL_ALL),
    EL_INT32(T, timeout_ms,        EL_ALL),
    EL_STRUCTS(T, produce_topic, topic_data, topic_data_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_produce_request = EL_SCHEMA(produce_request, 3, 13, 9);

#define T struct el_msg_produce_record_error
static const struct el_field produce_record_error_fields[] = {
    EL_INT32(T, batch_index,                EL_FROM(8)),
    EL_STRING(T, batch_index_error_message, EL_FROM(8), .nullable = EL_FROM(8), .null_initial = true),
};
#undef T
const struct el_schema el_schema_produce_record_error = EL_SCHEMA(produce_record_error, 3, 13, 9);

#define T struct el_msg_produce_leader
static const struct el_field produce_leader_fields[] = {
    EL_INT32(T, leader_id,    EL_FROM(10), .initial = -1),
    EL_INT32(T, leader_epoch, EL_FROM(10), .initial = -1),
};
#undef T
const struct el_schema el_schema_produce_leader = EL_SCHEMA(produce_leader, 3, 13, 9);

#define T struct el_msg_produce_partition_result
static const struct el_field produce_partition_result_fields[] = {
    EL_INT32(T, index,                           EL_ALL),
    EL_INT16(T, error_code,                      EL_ALL),
    EL_INT64(T, base_offset,                     EL_ALL),
    EL_INT64(T, log_append_time_ms,              EL_ALL, .initial = -1, .ignorable = true),
    EL_INT64(T, log_start_offset,                EL_FROM(5), .initial = -1, .ignorable = true),
    EL_STRUCTS(T, produce_record_error, record_errors, record_error_count, EL_FROM(8), .ignorable = true),
    EL_STRING(T, error_message, EL_FROM(8),
        .nullable = EL_FROM(8), .null_initial = true, .ignorable = true),
    EL_STRUCT(T, produce_leader, current_leader, EL_FROM(10), .tagged = EL_FROM(10), .tag = 0),
};
#undef T
const struct el_schema el_schema_produce_partition_result = EL_SCHEMA(produce_partition_result, 3, 13, 9);

#define T struct el_msg_produce_topic_result
static const struct el_field produce_topic_result_fields[] = {
    EL_STRING(T, name,   EL_UPTO(12), .ignorable = true, .key = true),
    EL_UUID(T, topic_id, EL_FROM(13), .ignorable = true, .key = true),
    EL_STRUCTS(T, produce_partition_result, partition_responses, partition_response_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_produce_topic_result = EL_SCHEMA(produce_topic_result, 3, 13, 9);

#define T struct el_msg_produce_node
static const struct el_field produce_node_fields[] = {
    EL_INT32(T, node_id, EL_FROM(10), .key = true),
    EL_STRING(T, host,   EL_FROM(10)),
    EL_INT32(T, port,    EL_FROM(10)),
    EL_STRING(T, rack,   EL_FROM(10), .nullable = EL_FROM(10), .null_initial = true),
};
#undef T
const struct el_schema el_schema_produce_node = EL_SCHEMA(produce_node, 3, 13, 9);

#define T struct el_msg_produce_response
static const struct el_field produce_response_fields[] = {
    EL_STRUCTS(T, produce_topic_result, responses, response_count, EL_ALL),
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, produce_node, node_endpoints, node_endpoint_count, EL_FROM(10),
        .tagged = EL_FROM(10), .tag = 0),
};
#undef T
const struct el_schema el_schema_produce_response = EL_SCHEMA(produce_response, 3, 13, 9);
