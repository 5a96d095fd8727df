/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of DeleteTopics, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_delete_topics.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_delete_topics_topic
static const struct el_field delete_topics_topic_fields[] = {
    EL_STRING(T, name,   EL_FROM(6), .nullable = EL_FROM(6), .null_initial = true),
    EL_UUID(T, topic_id, EL_FROM(6)),
};
#undef T
const struct el_schema el_schema_delete_topics_topic = EL_SCHEMA(delete_topics_topic, 1, 6, 4);

#define T struct el_msg_delete_topics_request
static const struct el_field delete_topics_request_fields[] = {
    EL_STRUCTS(T, delete_topics_topic, topics, topic_count, EL_FROM(6)),
    EL_ARRAY(T, STRING, struct el_slice, topic_names, topic_name_count, EL_UPTO(5), .ignorable = true),
    EL_INT32(T, timeout_ms, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_topics_request = EL_SCHEMA(delete_topics_request, 1, 6, 4);

#define T struct el_msg_delete_topics_topic_result
static const struct el_field delete_topics_topic_result_fields[] = {
    EL_STRING(T, name,          EL_ALL, .nullable = EL_FROM(6), .key = true),
    EL_UUID(T, topic_id,        EL_FROM(6), .ignorable = true),
    EL_INT16(T, error_code,     EL_ALL),
    EL_STRING(T, error_message, EL_FROM(5), .nullable = EL_FROM(5), .null_initial = true, .ignorable = true),
};
#undef T
const struct el_schema el_schema_delete_topics_topic_result = EL_SCHEMA(delete_topics_topic_result, 1, 6, 4);

#define T struct el_msg_delete_topics_response
static const struct el_field delete_topics_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, delete_topics_topic_result, responses, response_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_delete_topics_response = EL_SCHEMA(delete_topics_response, 1, 6, 4);
