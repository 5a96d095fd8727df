/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ShareGroupHeartbeat, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_share_group_heartbeat.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_share_group_heartbeat_request
static const struct el_field share_group_heartbeat_request_fields[] = {
    EL_STRING(T, group_id,    EL_ALL),
    EL_STRING(T, member_id,   EL_ALL),
    EL_INT32(T, member_epoch, EL_ALL),
    EL_STRING(T, rack_id,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_ARRAY(T, STRING, struct el_slice, subscribed_topic_names, subscribed_topic_name_count, EL_ALL,
        .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_share_group_heartbeat_request =
    EL_SCHEMA(share_group_heartbeat_request, 1, 1, 0);

#define T struct el_msg_share_group_heartbeat_topic
static const struct el_field share_group_heartbeat_topic_fields[] = {
    EL_UUID(T, topic_id, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_heartbeat_topic =
    EL_SCHEMA(share_group_heartbeat_topic, 1, 1, 0);

#define T struct el_msg_share_group_heartbeat_assignment
static const struct el_field share_group_heartbeat_assignment_fields[] = {
    EL_STRUCTS(T, share_group_heartbeat_topic, topic_partitions, topic_partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_heartbeat_assignment =
    EL_SCHEMA(share_group_heartbeat_assignment, 1, 1, 0);

#define T struct el_msg_share_group_heartbeat_response
static const struct el_field share_group_heartbeat_response_fields[] = {
    EL_INT32(T, throttle_time_ms,      EL_ALL),
    EL_INT16(T, error_code,            EL_ALL),
    EL_STRING(T, error_message,        EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, member_id,            EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, member_epoch,          EL_ALL),
    EL_INT32(T, heartbeat_interval_ms, EL_ALL),
    EL_STRUCT_PTR(T, share_group_heartbeat_assignment, assignment, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_share_group_heartbeat_response =
    EL_SCHEMA(share_group_heartbeat_response, 1, 1, 0);
