/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DeleteRecords, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_delete_records.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_delete_records_partition
static const struct el_field delete_records_partition_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT64(T, offset,          EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_records_partition = EL_SCHEMA(delete_records_partition, 0, 2, 2);

#define T struct el_msg_delete_records_topic
static const struct el_field delete_records_topic_fields[] = {
    EL_STRING(T, name, EL_ALL),
    EL_STRUCTS(T, delete_records_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_records_topic = EL_SCHEMA(delete_records_topic, 0, 2, 2);

#define T struct el_msg_delete_records_request
static const struct el_field delete_records_request_fields[] = {
    EL_STRUCTS(T, delete_records_topic, topics, topic_count, EL_ALL),
    EL_INT32(T, timeout_ms, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_records_request = EL_SCHEMA(delete_records_request, 0, 2, 2);

#define T struct el_msg_delete_records_partition_result
static const struct el_field delete_records_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL, .key = true),
    EL_INT64(T, low_watermark,   EL_ALL),
    EL_INT16(T, error_code,      EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_records_partition_result =
    EL_SCHEMA(delete_records_partition_result, 0, 2, 2);

#define T struct el_msg_delete_records_topic_result
static const struct el_field delete_records_topic_result_fields[] = {
    EL_STRING(T, name, EL_ALL, .key = true),
    EL_STRUCTS(T, delete_records_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_records_topic_result = EL_SCHEMA(delete_records_topic_result, 0, 2, 2);

#define T struct el_msg_delete_records_response
static const struct el_field delete_records_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, delete_records_topic_result, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_records_response = EL_SCHEMA(delete_records_response, 0, 2, 2);
