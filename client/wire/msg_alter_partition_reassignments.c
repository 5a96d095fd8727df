/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of AlterPartitionReassignments, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_alter_partition_reassignments.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_alter_partition_reassignments_partition
static const struct el_field alter_partition_reassignments_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, replicas, replica_count, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_alter_partition_reassignments_partition =
    EL_SCHEMA(alter_partition_reassignments_partition, 0, 1, 0);

#define T struct el_msg_alter_partition_reassignments_topic
static const struct el_field alter_partition_reassignments_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, alter_partition_reassignments_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_partition_reassignments_topic =
    EL_SCHEMA(alter_partition_reassignments_topic, 0, 1, 0);

#define T struct el_msg_alter_partition_reassignments_request
static const struct el_field alter_partition_reassignments_request_fields[] = {
    EL_INT32(T, timeout_ms, EL_ALL, .initial = 60000),
    EL_BOOL(T, allow_replication_factor_change, EL_FROM(1), .initial = true),
    EL_STRUCTS(T, alter_partition_reassignments_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_partition_reassignments_request =
    EL_SCHEMA(alter_partition_reassignments_request, 0, 1, 0);

#define T struct el_msg_alter_partition_reassignments_partition_result
static const struct el_field alter_partition_reassignments_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_partition_reassignments_partition_result =
    EL_SCHEMA(alter_partition_reassignments_partition_result, 0, 1, 0);

#define T struct el_msg_alter_partition_reassignments_topic_result
static const struct el_field alter_partition_reassignments_topic_result_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, alter_partition_reassignments_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_partition_reassignments_topic_result =
    EL_SCHEMA(alter_partition_reassignments_topic_result, 0, 1, 0);

#define T struct el_msg_alter_partition_reassignments_response
static const struct el_field alter_partition_reassignments_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_BOOL(T, allow_replication_factor_change, EL_FROM(1), .initial = true, .ignorable = true),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
    EL_STRUCTS(T, alter_partition_reassignments_topic_result, responses, response_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_partition_reassignments_response =
    EL_SCHEMA(alter_partition_reassignments_response, 0, 1, 0);
