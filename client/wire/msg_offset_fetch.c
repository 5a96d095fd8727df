/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of OffsetFetch, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_offset_fetch.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_offset_fetch_topic
static const struct el_field offset_fetch_topic_fields[] = {
    EL_STRING(T, name, EL_UPTO(7)),
    EL_ARRAY(T, INT32, int32_t, partition_indexes, partition_index_count, EL_UPTO(7)),
};
#undef T
const struct el_schema el_schema_offset_fetch_topic = EL_SCHEMA(offset_fetch_topic, 1, 10, 6);

#define T struct el_msg_offset_fetch_group_topic
static const struct el_field offset_fetch_group_topic_fields[] = {
    EL_STRING(T, name,   EL_BETWEEN(8, 9), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(10), .ignorable = true),
    EL_ARRAY(T, INT32, int32_t, partition_indexes, partition_index_count, EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_offset_fetch_group_topic = EL_SCHEMA(offset_fetch_group_topic, 1, 10, 6);

#define T struct el_msg_offset_fetch_group
static const struct el_field offset_fetch_group_fields[] = {
    EL_STRING(T, group_id,    EL_FROM(8)),
    EL_STRING(T, member_id,   EL_FROM(9), .nullable = EL_FROM(9), .null_initial = true, .ignorable = true),
    EL_INT32(T, member_epoch, EL_FROM(9), .initial = -1, .ignorable = true),
    EL_STRUCTS(T, offset_fetch_group_topic, topics, topic_count, EL_FROM(8), .nullable = EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_offset_fetch_group = EL_SCHEMA(offset_fetch_group, 1, 10, 6);

#define T struct el_msg_offset_fetch_request
static const struct el_field offset_fetch_request_fields[] = {
    EL_STRING(T, group_id,     EL_UPTO(7)),
    EL_STRUCTS(T, offset_fetch_topic, topics, topic_count, EL_UPTO(7), .nullable = EL_BETWEEN(2, 7)),
    EL_STRUCTS(T, offset_fetch_group, groups, group_count, EL_FROM(8)),
    EL_BOOL(T, require_stable, EL_FROM(7)),
};
#undef T
const struct el_schema el_schema_offset_fetch_request = EL_SCHEMA(offset_fetch_request, 1, 10, 6);

#define T struct el_msg_offset_fetch_partition_result
static const struct el_field offset_fetch_partition_result_fields[] = {
    EL_INT32(T, partition_index,        EL_UPTO(7)),
    EL_INT64(T, committed_offset,       EL_UPTO(7)),
    EL_INT32(T, committed_leader_epoch, EL_BETWEEN(5, 7), .initial = -1, .ignorable = true),
    EL_STRING(T, metadata,              EL_UPTO(7), .nullable = EL_UPTO(7)),
    EL_INT16(T, error_code,             EL_UPTO(7)),
};
#undef T
const struct el_schema el_schema_offset_fetch_partition_result = EL_SCHEMA(offset_fetch_partition_result, 1, 10, 6);

#define T struct el_msg_offset_fetch_topic_result
static const struct el_field offset_fetch_topic_result_fields[] = {
    EL_STRING(T, name, EL_UPTO(7)),
    EL_STRUCTS(T, offset_fetch_partition_result, partitions, partition_count, EL_UPTO(7)),
};
#undef T
const struct el_schema el_schema_offset_fetch_topic_result = EL_SCHEMA(offset_fetch_topic_result, 1, 10, 6);

#define T struct el_msg_offset_fetch_group_partition_result
static const struct el_field offset_fetch_group_partition_result_fields[] = {
    EL_INT32(T, partition_index,        EL_FROM(8)),
    EL_INT64(T, committed_offset,       EL_FROM(8)),
    EL_INT32(T, committed_leader_epoch, EL_FROM(8), .initial = -1, .ignorable = true),
    EL_STRING(T, metadata,              EL_FROM(8), .nullable = EL_FROM(8)),
    EL_INT16(T, error_code,             EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_offset_fetch_group_partition_result =
    EL_SCHEMA(offset_fetch_group_partition_result, 1, 10, 6);

#define T struct el_msg_offset_fetch_group_topic_result
static const struct el_field offset_fetch_group_topic_result_fields[] = {
    EL_STRING(T, name,   EL_BETWEEN(8, 9), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(10), .ignorable = true),
    EL_STRUCTS(T, offset_fetch_group_partition_result, partitions, partition_count, EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_offset_fetch_group_topic_result = EL_SCHEMA(offset_fetch_group_topic_result, 1, 10, 6);

#define T struct el_msg_offset_fetch_group_result
static const struct el_field offset_fetch_group_result_fields[] = {
    EL_STRING(T, group_id,  EL_FROM(8)),
    EL_STRUCTS(T, offset_fetch_group_topic_result, topics, topic_count, EL_FROM(8)),
    EL_INT16(T, error_code, EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_offset_fetch_group_result = EL_SCHEMA(offset_fetch_group_result, 1, 10, 6);

#define T struct el_msg_offset_fetch_response
static const struct el_field offset_fetch_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_FROM(3), .ignorable = true),
    EL_STRUCTS(T, offset_fetch_topic_result, topics, topic_count, EL_UPTO(7)),
    EL_INT16(T, error_code,       EL_BETWEEN(2, 7), .ignorable = true),
    EL_STRUCTS(T, offset_fetch_group_result, groups, group_count, EL_FROM(8)),
};
#undef T
const struct el_schema el_schema_offset_fetch_response = EL_SCHEMA(offset_fetch_response, 1, 10, 6);
