/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of OffsetDelete, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_offset_delete.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_offset_delete_partition
static const struct el_field offset_delete_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_delete_partition = EL_SCHEMA(offset_delete_partition, 0, 0, EL_NEVER);

#define T struct el_msg_offset_delete_topic
static const struct el_field offset_delete_topic_fields[] = {
    EL_STRING(T, name, EL_ALL, .key = true),
    EL_STRUCTS(T, offset_delete_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_delete_topic = EL_SCHEMA(offset_delete_topic, 0, 0, EL_NEVER);

#define T struct el_msg_offset_delete_request
static const struct el_field offset_delete_request_fields[] = {
    EL_STRING(T, group_id, EL_ALL),
    EL_STRUCTS(T, offset_delete_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_delete_request = EL_SCHEMA(offset_delete_request, 0, 0, EL_NEVER);

#define T struct el_msg_offset_delete_partition_result
static const struct el_field offset_delete_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL, .key = true),
    EL_INT16(T, error_code,      EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_delete_partition_result =
    EL_SCHEMA(offset_delete_partition_result, 0, 0, EL_NEVER);

#define T struct el_msg_offset_delete_topic_result
static const struct el_field offset_delete_topic_result_fields[] = {
    EL_STRING(T, name, EL_ALL, .key = true),
    EL_STRUCTS(T, offset_delete_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_delete_topic_result = EL_SCHEMA(offset_delete_topic_result, 0, 0, EL_NEVER);

#define T struct el_msg_offset_delete_response
static const struct el_field offset_delete_response_fields[] = {
    EL_INT16(T, error_code,       EL_ALL),
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, offset_delete_topic_result, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_delete_response = EL_SCHEMA(offset_delete_response, 0, 0, EL_NEVER);
