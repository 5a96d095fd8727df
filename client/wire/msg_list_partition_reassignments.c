/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ListPartitionReassignments, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_list_partition_reassignments.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_list_partition_reassignments_request_topic
static const struct el_field list_partition_reassignments_request_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, partition_indexes, partition_index_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_partition_reassignments_request_topic =
    EL_SCHEMA(list_partition_reassignments_request_topic, 0, 0, 0);

#define T struct el_msg_list_partition_reassignments_request
static const struct el_field list_partition_reassignments_request_fields[] = {
    EL_INT32(T, timeout_ms, EL_ALL, .initial = 60000),
    EL_STRUCTS(T, list_partition_reassignments_request_topic, topics, topic_count,
        EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_list_partition_reassignments_request =
    EL_SCHEMA(list_partition_reassignments_request, 0, 0, 0);

#define T struct el_msg_list_partition_reassignments_partition
static const struct el_field list_partition_reassignments_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, replicas, replica_count, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, adding_replicas, adding_replica_count, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, removing_replicas, removing_replica_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_partition_reassignments_partition =
    EL_SCHEMA(list_partition_reassignments_partition, 0, 0, 0);

#define T struct el_msg_list_partition_reassignments_topic
static const struct el_field list_partition_reassignments_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, list_partition_reassignments_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_partition_reassignments_topic =
    EL_SCHEMA(list_partition_reassignments_topic, 0, 0, 0);

#define T struct el_msg_list_partition_reassignments_response
static const struct el_field list_partition_reassignments_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, list_partition_reassignments_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_partition_reassignments_response =
    EL_SCHEMA(list_partition_reassignments_response, 0, 0, 0);
