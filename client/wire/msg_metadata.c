/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Metadata, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_metadata.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_metadata_request_topic
static const struct el_field metadata_request_topic_fields[] = {
    EL_UUID(T, topic_id, EL_FROM(10), .ignorable = true),
    EL_STRING(T, name,   EL_ALL, .nullable = EL_FROM(10)),
};
#undef T
const struct el_schema el_schema_metadata_request_topic = EL_SCHEMA(metadata_request_topic, 0, 13, 9);

#define T struct el_msg_metadata_request
static const struct el_field metadata_request_fields[] = {
    EL_STRUCTS(T, metadata_request_topic, topics, topic_count, EL_ALL, .nullable = EL_FROM(1)),
    EL_BOOL(T, allow_auto_topic_creation, EL_FROM(4), .initial = true),
    EL_BOOL(T, include_cluster_authorized_operations, EL_BETWEEN(8, 10)),
    EL_BOOL(T, include_topic_authorized_operations, EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_metadata_request = EL_SCHEMA(metadata_request, 0, 13, 9);

#define T struct el_msg_metadata_broker
static const struct el_field metadata_broker_fields[] = {
    EL_INT32(T, node_id, EL_ALL, .key = true),
    EL_STRING(T, host,   EL_ALL),
    EL_INT32(T, port,    EL_ALL),
    EL_STRING(T, rack,   EL_FROM(1), .nullable = EL_FROM(1), .null_initial = true, .ignorable = true),
};
#undef T
const struct el_schema el_schema_metadata_broker = EL_SCHEMA(metadata_broker, 0, 13, 9);

#define T struct el_msg_metadata_partition
static const struct el_field metadata_partition_fields[] = {
    EL_INT16(T, error_code,      EL_ALL),
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT32(T, leader_id,       EL_ALL),
    EL_INT32(T, leader_epoch,    EL_FROM(7), .initial = -1, .ignorable = true),
    EL_ARRAY(T, INT32, int32_t, replica_nodes, replica_node_count, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, isr_nodes, isr_node_count, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, offline_replicas, offline_replica_count, EL_FROM(5), .ignorable = true),
};
#undef T
const struct el_schema el_schema_metadata_partition = EL_SCHEMA(metadata_partition, 0, 13, 9);

#define T struct el_msg_metadata_topic
static const struct el_field metadata_topic_fields[] = {
    EL_INT16(T, error_code,                  EL_ALL),
    EL_STRING(T, name,                       EL_ALL, .nullable = EL_FROM(12), .key = true),
    EL_UUID(T, topic_id,                     EL_FROM(10), .ignorable = true),
    EL_BOOL(T, is_internal,                  EL_FROM(1), .ignorable = true),
    EL_STRUCTS(T, metadata_partition, partitions, partition_count, EL_ALL),
    EL_INT32(T, topic_authorized_operations, EL_FROM(8), .initial = INT32_MIN),
};
#undef T
const struct el_schema el_schema_metadata_topic = EL_SCHEMA(metadata_topic, 0, 13, 9);

#define T struct el_msg_metadata_response
static const struct el_field metadata_response_fields[] = {
    EL_INT32(T, throttle_time_ms,              EL_FROM(3), .ignorable = true),
    EL_STRUCTS(T, metadata_broker, brokers, broker_count, EL_ALL),
    EL_STRING(T, cluster_id, EL_FROM(2),
        .nullable = EL_FROM(2), .null_initial = true, .ignorable = true),
    EL_INT32(T, controller_id,                 EL_FROM(1), .initial = -1, .ignorable = true),
    EL_STRUCTS(T, metadata_topic, topics, topic_count, EL_ALL),
    EL_INT32(T, cluster_authorized_operations, EL_BETWEEN(8, 10), .initial = INT32_MIN),
    EL_INT16(T, error_code,                    EL_FROM(13), .ignorable = true),
};
#undef T
const struct el_schema el_schema_metadata_response = EL_SCHEMA(metadata_response, 0, 13, 9);
