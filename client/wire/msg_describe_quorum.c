/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeQuorum, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_quorum.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_quorum_request_partition
static const struct el_field describe_quorum_request_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_quorum_request_partition =
    EL_SCHEMA(describe_quorum_request_partition, 0, 2, 0);

#define T struct el_msg_describe_quorum_request_topic
static const struct el_field describe_quorum_request_topic_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
    EL_STRUCTS(T, describe_quorum_request_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_quorum_request_topic = EL_SCHEMA(describe_quorum_request_topic, 0, 2, 0);

#define T struct el_msg_describe_quorum_request
static const struct el_field describe_quorum_request_fields[] = {
    EL_STRUCTS(T, describe_quorum_request_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_quorum_request = EL_SCHEMA(describe_quorum_request, 0, 2, 0);

#define T struct el_msg_describe_quorum_replica
static const struct el_field describe_quorum_replica_fields[] = {
    EL_INT32(T, replica_id, EL_ALL),
    EL_UUID(T, replica_directory_id, EL_FROM(2)),
    EL_INT64(T, log_end_offset, EL_ALL),
    EL_INT64(T, last_fetch_timestamp, EL_FROM(1), .initial = -1, .ignorable = true),
    EL_INT64(T, last_caught_up_timestamp, EL_FROM(1), .initial = -1, .ignorable = true),
};
#undef T
const struct el_schema el_schema_describe_quorum_replica = EL_SCHEMA(describe_quorum_replica, 0, 2, 0);

#define T struct el_msg_describe_quorum_partition
static const struct el_field describe_quorum_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_FROM(2), .nullable = EL_FROM(2), .ignorable = true),
    EL_INT32(T, leader_id, EL_ALL),
    EL_INT32(T, leader_epoch, EL_ALL),
    EL_INT64(T, high_watermark, EL_ALL),
    EL_STRUCTS(T, describe_quorum_replica, current_voters, current_voter_count, EL_ALL),
    EL_STRUCTS(T, describe_quorum_replica, observers, observer_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_quorum_partition = EL_SCHEMA(describe_quorum_partition, 0, 2, 0);

#define T struct el_msg_describe_quorum_topic
static const struct el_field describe_quorum_topic_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
    EL_STRUCTS(T, describe_quorum_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_quorum_topic = EL_SCHEMA(describe_quorum_topic, 0, 2, 0);

#define T struct el_msg_describe_quorum_listener
static const struct el_field describe_quorum_listener_fields[] = {
    EL_STRING(T, name, EL_FROM(2), .key = true),
    EL_STRING(T, host, EL_FROM(2)),
    EL_UINT16(T, port, EL_FROM(2)),
};
#undef T
const struct el_schema el_schema_describe_quorum_listener = EL_SCHEMA(describe_quorum_listener, 0, 2, 0);

#define T struct el_msg_describe_quorum_node
static const struct el_field describe_quorum_node_fields[] = {
    EL_INT32(T, node_id, EL_FROM(2), .key = true),
    EL_STRUCTS(T, describe_quorum_listener, listeners, listener_count, EL_FROM(2)),
};
#undef T
const struct el_schema el_schema_describe_quorum_node = EL_SCHEMA(describe_quorum_node, 0, 2, 0);

#define T struct el_msg_describe_quorum_response
static const struct el_field describe_quorum_response_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_FROM(2), .nullable = EL_FROM(2), .ignorable = true),
    EL_STRUCTS(T, describe_quorum_topic, topics, topic_count, EL_ALL),
    EL_STRUCTS(T, describe_quorum_node, nodes, node_count, EL_FROM(2)),
};
#undef T
const struct el_schema el_schema_describe_quorum_response = EL_SCHEMA(describe_quorum_response, 0, 2, 0);
