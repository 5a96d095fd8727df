/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of OffsetCommit, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_offset_commit.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_offset_commit_partition
static const struct el_field offset_commit_partition_fields[] = {
    EL_INT32(T, partition_index,        EL_ALL),
    EL_INT64(T, committed_offset,       EL_ALL),
    EL_INT32(T, committed_leader_epoch, EL_FROM(6), .initial = -1, .ignorable = true),
    EL_STRING(T, committed_metadata,    EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_commit_partition = EL_SCHEMA(offset_commit_partition, 2, 10, 8);

#define T struct el_msg_offset_commit_topic
static const struct el_field offset_commit_topic_fields[] = {
    EL_STRING(T, name,   EL_UPTO(9), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(10), .ignorable = true),
    EL_STRUCTS(T, offset_commit_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_commit_topic = EL_SCHEMA(offset_commit_topic, 2, 10, 8);

#define T struct el_msg_offset_commit_request
static const struct el_field offset_commit_request_fields[] = {
    EL_STRING(T, group_id,                     EL_ALL),
    EL_INT32(T, generation_id_or_member_epoch, EL_ALL, .initial = -1, .ignorable = true),
    EL_STRING(T, member_id,                    EL_ALL, .ignorable = true),
    EL_STRING(T, group_instance_id,            EL_FROM(7), .nullable = EL_FROM(7), .null_initial = true),
    EL_INT64(T, retention_time_ms,             EL_UPTO(4), .initial = -1, .ignorable = true),
    EL_STRUCTS(T, offset_commit_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_commit_request = EL_SCHEMA(offset_commit_request, 2, 10, 8);

#define T struct el_msg_offset_commit_partition_result
static const struct el_field offset_commit_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT16(T, error_code,      EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_commit_partition_result = EL_SCHEMA(offset_commit_partition_result, 2, 10, 8);

#define T struct el_msg_offset_commit_topic_result
static const struct el_field offset_commit_topic_result_fields[] = {
    EL_STRING(T, name,   EL_UPTO(9), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(10), .ignorable = true),
    EL_STRUCTS(T, offset_commit_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_commit_topic_result = EL_SCHEMA(offset_commit_topic_result, 2, 10, 8);

#define T struct el_msg_offset_commit_response
static const struct el_field offset_commit_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(3), .ignorable = true),
    EL_STRUCTS(T, offset_commit_topic_result, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_commit_response = EL_SCHEMA(offset_commit_response, 2, 10, 8);
