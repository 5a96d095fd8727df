/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DescribeLogDirs, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_describe_log_dirs.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_describe_log_dirs_request_topic
static const struct el_field describe_log_dirs_request_topic_fields[] = {
    EL_STRING(T, topic, EL_ALL, .key = true),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_log_dirs_request_topic =
    EL_SCHEMA(describe_log_dirs_request_topic, 1, 5, 2);

#define T struct el_msg_describe_log_dirs_request
static const struct el_field describe_log_dirs_request_fields[] = {
    EL_STRUCTS(T, describe_log_dirs_request_topic, topics, topic_count, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_log_dirs_request = EL_SCHEMA(describe_log_dirs_request, 1, 5, 2);

#define T struct el_msg_describe_log_dirs_partition
static const struct el_field describe_log_dirs_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT64(T, partition_size, EL_ALL),
    EL_INT64(T, offset_lag, EL_ALL),
    EL_BOOL(T, is_future_key, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_log_dirs_partition = EL_SCHEMA(describe_log_dirs_partition, 1, 5, 2);

#define T struct el_msg_describe_log_dirs_topic
static const struct el_field describe_log_dirs_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, describe_log_dirs_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_log_dirs_topic = EL_SCHEMA(describe_log_dirs_topic, 1, 5, 2);

#define T struct el_msg_describe_log_dirs_result
static const struct el_field describe_log_dirs_result_fields[] = {
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, log_dir, EL_ALL),
    EL_STRUCTS(T, describe_log_dirs_topic, topics, topic_count, EL_ALL),
    EL_INT64(T, total_bytes, EL_FROM(4), .initial = -1, .ignorable = true),
    EL_INT64(T, usable_bytes, EL_FROM(4), .initial = -1, .ignorable = true),
    EL_BOOL(T, is_cordoned, EL_FROM(5), .ignorable = true),
};
#undef T
const struct el_schema el_schema_describe_log_dirs_result = EL_SCHEMA(describe_log_dirs_result, 1, 5, 2);

#define T struct el_msg_describe_log_dirs_response
static const struct el_field describe_log_dirs_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_FROM(3), .ignorable = true),
    EL_STRUCTS(T, describe_log_dirs_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_describe_log_dirs_response = EL_SCHEMA(describe_log_dirs_response, 1, 5, 2);
