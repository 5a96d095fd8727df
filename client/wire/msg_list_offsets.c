/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ListOffsets, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_list_offsets.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_list_offsets_partition
static const struct el_field list_offsets_partition_fields[] = {
    EL_INT32(T, partition_index,      EL_ALL),
    EL_INT32(T, current_leader_epoch, EL_FROM(4), .initial = -1, .ignorable = true),
    EL_INT64(T, timestamp,            EL_ALL),
};
#undef T
const struct el_schema el_schema_list_offsets_partition = EL_SCHEMA(list_offsets_partition, 1, 11, 6);

#define T struct el_msg_list_offsets_topic
static const struct el_field list_offsets_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, list_offsets_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_offsets_topic = EL_SCHEMA(list_offsets_topic, 1, 11, 6);

#define T struct el_msg_list_offsets_request
static const struct el_field list_offsets_request_fields[] = {
    EL_INT32(T, replica_id,     EL_ALL),
    EL_INT8(T, isolation_level, EL_FROM(2)),
    EL_STRUCTS(T, list_offsets_topic, topics, topic_count, EL_ALL),
    EL_INT32(T, timeout_ms,     EL_FROM(10), .ignorable = true),
};
#undef T
const struct el_schema el_schema_list_offsets_request = EL_SCHEMA(list_offsets_request, 1, 11, 6);

#define T struct el_msg_list_offsets_partition_result
static const struct el_field list_offsets_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT16(T, error_code,      EL_ALL),
    EL_INT64(T, timestamp,       EL_ALL, .initial = -1),
    EL_INT64(T, offset,          EL_ALL, .initial = -1),
    EL_INT32(T, leader_epoch,    EL_FROM(4), .initial = -1),
};
#undef T
const struct el_schema el_schema_list_offsets_partition_result = EL_SCHEMA(list_offsets_partition_result, 1, 11, 6);

#define T struct el_msg_list_offsets_topic_result
static const struct el_field list_offsets_topic_result_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, list_offsets_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_offsets_topic_result = EL_SCHEMA(list_offsets_topic_result, 1, 11, 6);

#define T struct el_msg_list_offsets_response
static const struct el_field list_offsets_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(2), .ignorable = true),
    EL_STRUCTS(T, list_offsets_topic_result, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_list_offsets_response = EL_SCHEMA(list_offsets_response, 1, 11, 6);
