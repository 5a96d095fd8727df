/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ShareGroupDescribe, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_share_group_describe.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_share_group_describe_request
static const struct el_field share_group_describe_request_fields[] = {
    EL_ARRAY(T, STRING, struct el_slice, group_ids, group_id_count, EL_ALL),
    EL_BOOL(T, include_authorized_operations, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_describe_request =
    EL_SCHEMA(share_group_describe_request, 1, 1, 0);

#define T struct el_msg_share_group_describe_topic
static const struct el_field share_group_describe_topic_fields[] = {
    EL_UUID(T, topic_id,     EL_ALL),
    EL_STRING(T, topic_name, EL_ALL),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_describe_topic = EL_SCHEMA(share_group_describe_topic, 1, 1, 0);

#define T struct el_msg_share_group_describe_assignment
static const struct el_field share_group_describe_assignment_fields[] = {
    EL_STRUCTS(T, share_group_describe_topic, topic_partitions, topic_partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_describe_assignment =
    EL_SCHEMA(share_group_describe_assignment, 1, 1, 0);

#define T struct el_msg_share_group_describe_member
static const struct el_field share_group_describe_member_fields[] = {
    EL_STRING(T, member_id,   EL_ALL),
    EL_STRING(T, rack_id,     EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_INT32(T, member_epoch, EL_ALL),
    EL_STRING(T, client_id,   EL_ALL),
    EL_STRING(T, client_host, EL_ALL),
    EL_ARRAY(T, STRING, struct el_slice, subscribed_topic_names, subscribed_topic_name_count, EL_ALL),
    EL_STRUCT(T, share_group_describe_assignment, assignment, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_describe_member =
    EL_SCHEMA(share_group_describe_member, 1, 1, 0);

#define T struct el_msg_share_group_describe_group
static const struct el_field share_group_describe_group_fields[] = {
    EL_INT16(T, error_code,            EL_ALL),
    EL_STRING(T, error_message,        EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRING(T, group_id,             EL_ALL),
    EL_STRING(T, group_state,          EL_ALL),
    EL_INT32(T, group_epoch,           EL_ALL),
    EL_INT32(T, assignment_epoch,      EL_ALL),
    EL_STRING(T, assignor_name,        EL_ALL),
    EL_STRUCTS(T, share_group_describe_member, members, member_count, EL_ALL),
    EL_INT32(T, authorized_operations, EL_ALL, .initial = INT32_MIN),
};
#undef T
const struct el_schema el_schema_share_group_describe_group = EL_SCHEMA(share_group_describe_group, 1, 1, 0);

#define T struct el_msg_share_group_describe_response
static const struct el_field share_group_describe_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, share_group_describe_group, groups, group_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_share_group_describe_response =
    EL_SCHEMA(share_group_describe_response, 1, 1, 0);
