/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of OffsetForLeaderEpoch, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_offset_for_leader_epoch.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_offset_for_leader_epoch_partition
static const struct el_field offset_for_leader_epoch_partition_fields[] = {
    EL_INT32(T, partition,            EL_ALL),
    EL_INT32(T, current_leader_epoch, EL_ALL, .initial = -1, .ignorable = true),
    EL_INT32(T, leader_epoch,         EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_for_leader_epoch_partition =
    EL_SCHEMA(offset_for_leader_epoch_partition, 2, 4, 4);

#define T struct el_msg_offset_for_leader_epoch_topic
static const struct el_field offset_for_leader_epoch_topic_fields[] = {
    EL_STRING(T, topic, EL_ALL, .key = true),
    EL_STRUCTS(T, offset_for_leader_epoch_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_for_leader_epoch_topic = EL_SCHEMA(offset_for_leader_epoch_topic, 2, 4, 4);

#define T struct el_msg_offset_for_leader_epoch_request
static const struct el_field offset_for_leader_epoch_request_fields[] = {
    EL_INT32(T, replica_id, EL_FROM(3), .initial = -2, .ignorable = true),
    EL_STRUCTS(T, offset_for_leader_epoch_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_for_leader_epoch_request =
    EL_SCHEMA(offset_for_leader_epoch_request, 2, 4, 4);

#define T struct el_msg_offset_for_leader_epoch_partition_result
static const struct el_field offset_for_leader_epoch_partition_result_fields[] = {
    EL_INT16(T, error_code,   EL_ALL),
    EL_INT32(T, partition,    EL_ALL),
    EL_INT32(T, leader_epoch, EL_ALL, .initial = -1, .ignorable = true),
    EL_INT64(T, end_offset,   EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_offset_for_leader_epoch_partition_result =
    EL_SCHEMA(offset_for_leader_epoch_partition_result, 2, 4, 4);

#define T struct el_msg_offset_for_leader_epoch_topic_result
static const struct el_field offset_for_leader_epoch_topic_result_fields[] = {
    EL_STRING(T, topic, EL_ALL, .key = true),
    EL_STRUCTS(T, offset_for_leader_epoch_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_for_leader_epoch_topic_result =
    EL_SCHEMA(offset_for_leader_epoch_topic_result, 2, 4, 4);

#define T struct el_msg_offset_for_leader_epoch_response
static const struct el_field offset_for_leader_epoch_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, offset_for_leader_epoch_topic_result, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_offset_for_leader_epoch_response =
    EL_SCHEMA(offset_for_leader_epoch_response, 2, 4, 4);
