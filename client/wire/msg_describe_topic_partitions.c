/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeTopicPartitions, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_topic_partitions.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_topic_partitions_request_topic
static const struct el_field describe_topic_partitions_request_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_topic_partitions_request_topic =
    EL_SCHEMA(describe_topic_partitions_request_topic, 0, 0, 0);

#define T struct el_msg_describe_topic_partitions_cursor
static const struct el_field describe_topic_partitions_cursor_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
    EL_INT32(T, partition_index, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_topic_partitions_cursor =
    EL_SCHEMA(describe_topic_partitions_cursor, 0, 0, 0);

#define T struct el_msg_describe_topic_partitions_request
static const struct el_field describe_topic_partitions_request_fields[] = {
    EL_STRUCTS(T, describe_topic_partitions_request_topic, topics, topic_count, EL_ALL),
    EL_INT32(T, response_partition_limit, EL_ALL, .initial = 2000),
    EL_STRUCT_PTR(T, describe_topic_partitions_cursor, cursor, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_describe_topic_partitions_request =
    EL_SCHEMA(describe_topic_partitions_request, 0, 0, 0);

#define T struct el_msg_describe_topic_partitions_partition
static const struct el_field describe_topic_partitions_partition_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT32(T, leader_id, EL_ALL),
    EL_INT32(T, leader_epoch, EL_ALL, .initial = -1, .ignorable = true),
    EL_ARRAY(T, INT32, int32_t, replica_nodes, replica_node_count, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, isr_nodes, isr_node_count, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, eligible_leader_replicas, eligible_leader_replica_count,
        EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_ARRAY(T, INT32, int32_t, last_known_elr, last_known_elr_count,
        EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_ARRAY(T, INT32, int32_t, offline_replicas, offline_replica_count, EL_ALL, .ignorable = true),
};
#undef T
const struct el_schema el_schema_describe_topic_partitions_partition =
    EL_SCHEMA(describe_topic_partitions_partition, 0, 0, 0);

#define T struct el_msg_describe_topic_partitions_topic
static const struct el_field describe_topic_partitions_topic_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, name, EL_ALL, .nullable = EL_ALL, .key = true),
    EL_UUID(T, topic_id, EL_ALL, .ignorable = true),
    EL_BOOL(T, is_internal, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, describe_topic_partitions_partition, partitions, partition_count, EL_ALL),
    EL_INT32(T, topic_authorized_operations, EL_ALL, .initial = INT32_MIN),
};
#undef T
const struct el_schema el_schema_describe_topic_partitions_topic =
    EL_SCHEMA(describe_topic_partitions_topic, 0, 0, 0);

#define T struct el_msg_describe_topic_partitions_response
static const struct el_field describe_topic_partitions_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, describe_topic_partitions_topic, topics, topic_count, EL_ALL),
    EL_STRUCT_PTR(T, describe_topic_partitions_cursor, next_cursor, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_describe_topic_partitions_response =
    EL_SCHEMA(describe_topic_partitions_response, 0, 0, 0);
