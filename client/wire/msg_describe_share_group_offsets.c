/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeShareGroupOffsets, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_share_group_offsets.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_share_group_offsets_topic
static const struct el_field describe_share_group_offsets_topic_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_topic =
    EL_SCHEMA(describe_share_group_offsets_topic, 0, 1, 0);

#define T struct el_msg_describe_share_group_offsets_group
static const struct el_field describe_share_group_offsets_group_fields[] = {
    EL_STRING(T, group_id, EL_ALL),
    EL_STRUCTS(T, describe_share_group_offsets_topic, topics, topic_count, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_group =
    EL_SCHEMA(describe_share_group_offsets_group, 0, 1, 0);

#define T struct el_msg_describe_share_group_offsets_request
static const struct el_field describe_share_group_offsets_request_fields[] = {
    EL_STRUCTS(T, describe_share_group_offsets_group, groups, group_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_request =
    EL_SCHEMA(describe_share_group_offsets_request, 0, 1, 0);

#define T struct el_msg_describe_share_group_offsets_partition_result
static const struct el_field describe_share_group_offsets_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT64(T, start_offset,    EL_ALL),
    EL_INT32(T, leader_epoch,    EL_ALL),
    EL_INT64(T, lag,             EL_FROM(1), .initial = -1, .ignorable = true),
    EL_INT16(T, error_code,      EL_ALL),
    EL_STRING(T, error_message,  EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_partition_result =
    EL_SCHEMA(describe_share_group_offsets_partition_result, 0, 1, 0);

#define T struct el_msg_describe_share_group_offsets_topic_result
static const struct el_field describe_share_group_offsets_topic_result_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
    EL_UUID(T, topic_id,     EL_ALL),
    EL_STRUCTS(T, describe_share_group_offsets_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_topic_result =
    EL_SCHEMA(describe_share_group_offsets_topic_result, 0, 1, 0);

#define T struct el_msg_describe_share_group_offsets_group_result
static const struct el_field describe_share_group_offsets_group_result_fields[] = {
    EL_STRING(T, group_id,      EL_ALL),
    EL_STRUCTS(T, describe_share_group_offsets_topic_result, topics, topic_count, EL_ALL),
    EL_INT16(T, error_code,     EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_group_result =
    EL_SCHEMA(describe_share_group_offsets_group_result, 0, 1, 0);

#define T struct el_msg_describe_share_group_offsets_response
static const struct el_field describe_share_group_offsets_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, describe_share_group_offsets_group_result, groups, group_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_share_group_offsets_response =
    EL_SCHEMA(describe_share_group_offsets_response, 0, 1, 0);
