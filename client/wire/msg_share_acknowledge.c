/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ShareAcknowledge, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_share_acknowledge.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_share_acknowledge_batch
static const struct el_field share_acknowledge_batch_fields[] = {
    EL_INT64(T, first_offset, EL_ALL),
    EL_INT64(T, last_offset,  EL_ALL),
    EL_ARRAY(T, INT8, int8_t, acknowledge_types, acknowledge_type_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_batch = EL_SCHEMA(share_acknowledge_batch, 1, 2, 0);

#define T struct el_msg_share_acknowledge_partition
static const struct el_field share_acknowledge_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL, .key = true),
    EL_STRUCTS(T, share_acknowledge_batch, acknowledgement_batches, acknowledgement_batch_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_partition =
    EL_SCHEMA(share_acknowledge_partition, 1, 2, 0);

#define T struct el_msg_share_acknowledge_topic
static const struct el_field share_acknowledge_topic_fields[] = {
    EL_UUID(T, topic_id, EL_ALL, .key = true),
    EL_STRUCTS(T, share_acknowledge_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_topic = EL_SCHEMA(share_acknowledge_topic, 1, 2, 0);

#define T struct el_msg_share_acknowledge_request
static const struct el_field share_acknowledge_request_fields[] = {
    EL_STRING(T, group_id,           EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, member_id,          EL_ALL, .nullable = EL_ALL),
    EL_INT32(T, share_session_epoch, EL_ALL),
    EL_BOOL(T, is_renew_ack,         EL_FROM(2)),
    EL_STRUCTS(T, share_acknowledge_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_request = EL_SCHEMA(share_acknowledge_request, 1, 2, 0);

#define T struct el_msg_share_acknowledge_leader
static const struct el_field share_acknowledge_leader_fields[] = {
    EL_INT32(T, leader_id,    EL_ALL),
    EL_INT32(T, leader_epoch, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_leader = EL_SCHEMA(share_acknowledge_leader, 1, 2, 0);

#define T struct el_msg_share_acknowledge_partition_result
static const struct el_field share_acknowledge_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT16(T, error_code,      EL_ALL),
    EL_STRING(T, error_message,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCT(T, share_acknowledge_leader, current_leader, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_partition_result =
    EL_SCHEMA(share_acknowledge_partition_result, 1, 2, 0);

#define T struct el_msg_share_acknowledge_topic_result
static const struct el_field share_acknowledge_topic_result_fields[] = {
    EL_UUID(T, topic_id, EL_ALL, .key = true),
    EL_STRUCTS(T, share_acknowledge_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_topic_result =
    EL_SCHEMA(share_acknowledge_topic_result, 1, 2, 0);

#define T struct el_msg_share_acknowledge_node
static const struct el_field share_acknowledge_node_fields[] = {
    EL_INT32(T, node_id, EL_ALL, .key = true),
    EL_STRING(T, host,   EL_ALL),
    EL_INT32(T, port,    EL_ALL),
    EL_STRING(T, rack,   EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_share_acknowledge_node = EL_SCHEMA(share_acknowledge_node, 1, 2, 0);

#define T struct el_msg_share_acknowledge_response
static const struct el_field share_acknowledge_response_fields[] = {
    EL_INT32(T, throttle_time_ms,            EL_ALL),
    EL_INT16(T, error_code,                  EL_ALL),
    EL_STRING(T, error_message,              EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, acquisition_lock_timeout_ms, EL_FROM(2), .ignorable = true),
    EL_STRUCTS(T, share_acknowledge_topic_result, responses, response_count, EL_ALL),
    EL_STRUCTS(T, share_acknowledge_node, node_endpoints, node_endpoint_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_acknowledge_response = EL_SCHEMA(share_acknowledge_response, 1, 2, 0);
