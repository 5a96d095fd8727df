/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DeleteShareGroupOffsets, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_delete_share_group_offsets.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_delete_share_group_offsets_topic
static const struct el_field delete_share_group_offsets_topic_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_share_group_offsets_topic =
    EL_SCHEMA(delete_share_group_offsets_topic, 0, 0, 0);

#define T struct el_msg_delete_share_group_offsets_request
static const struct el_field delete_share_group_offsets_request_fields[] = {
    EL_STRING(T, group_id, EL_ALL),
    EL_STRUCTS(T, delete_share_group_offsets_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_share_group_offsets_request =
    EL_SCHEMA(delete_share_group_offsets_request, 0, 0, 0);

#define T struct el_msg_delete_share_group_offsets_topic_result
static const struct el_field delete_share_group_offsets_topic_result_fields[] = {
    EL_STRING(T, topic_name,    EL_ALL),
    EL_UUID(T, topic_id,        EL_ALL),
    EL_INT16(T, error_code,     EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL, .null_initial = true),
};
#undef T
const struct el_schema el_schema_delete_share_group_offsets_topic_result =
    EL_SCHEMA(delete_share_group_offsets_topic_result, 0, 0, 0);

#define T struct el_msg_delete_share_group_offsets_response
static const struct el_field delete_share_group_offsets_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code,       EL_ALL),
    EL_STRING(T, error_message,   EL_ALL, .nullable = EL_ALL, .null_initial = true),
    EL_STRUCTS(T, delete_share_group_offsets_topic_result, responses, response_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_share_group_offsets_response =
    EL_SCHEMA(delete_share_group_offsets_response, 0, 0, 0);
