/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of CreateTopics, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_create_topics.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_create_topics_assignment
static const struct el_field create_topics_assignment_fields[] = {
    EL_INT32(T, partition_index, EL_ALL, .key = true),
    EL_ARRAY(T, INT32, int32_t, broker_ids, broker_id_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_topics_assignment = EL_SCHEMA(create_topics_assignment, 2, 7, 5);

#define T struct el_msg_create_topics_config
static const struct el_field create_topics_config_fields[] = {
    EL_STRING(T, name,  EL_ALL, .key = true),
    EL_STRING(T, value, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_create_topics_config = EL_SCHEMA(create_topics_config, 2, 7, 5);

#define T struct el_msg_create_topics_topic
static const struct el_field create_topics_topic_fields[] = {
    EL_STRING(T, name,              EL_ALL, .key = true),
    EL_INT32(T, num_partitions,     EL_ALL),
    EL_INT16(T, replication_factor, EL_ALL),
    EL_STRUCTS(T, create_topics_assignment, assignments, assignment_count, EL_ALL),
    EL_STRUCTS(T, create_topics_config, configs, config_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_topics_topic = EL_SCHEMA(create_topics_topic, 2, 7, 5);

#define T struct el_msg_create_topics_request
static const struct el_field create_topics_request_fields[] = {
    EL_STRUCTS(T, create_topics_topic, topics, topic_count, EL_ALL),
    EL_INT32(T, timeout_ms,   EL_ALL, .initial = 60000),
    EL_BOOL(T, validate_only, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_topics_request = EL_SCHEMA(create_topics_request, 2, 7, 5);

#define T struct el_msg_create_topics_config_result
static const struct el_field create_topics_config_result_fields[] = {
    EL_STRING(T, name,        EL_FROM(5)),
    EL_STRING(T, value,       EL_FROM(5), .nullable = EL_FROM(5)),
    EL_BOOL(T, read_only,     EL_FROM(5)),
    EL_INT8(T, config_source, EL_FROM(5), .initial = -1, .ignorable = true),
    EL_BOOL(T, is_sensitive,  EL_FROM(5)),
};
#undef T
const struct el_schema el_schema_create_topics_config_result = EL_SCHEMA(create_topics_config_result, 2, 7, 5);

#define T struct el_msg_create_topics_topic_result
static const struct el_field create_topics_topic_result_fields[] = {
    EL_STRING(T, name,                   EL_ALL, .key = true),
    EL_UUID(T, topic_id,                 EL_FROM(7), .ignorable = true),
    EL_INT16(T, error_code,              EL_ALL),
    EL_STRING(T, error_message,          EL_ALL, .nullable = EL_ALL, .ignorable = true),
    EL_INT16(T, topic_config_error_code, EL_FROM(5), .tagged = EL_FROM(5), .tag = 0, .ignorable = true),
    EL_INT32(T, num_partitions,          EL_FROM(5), .initial = -1, .ignorable = true),
    EL_INT16(T, replication_factor,      EL_FROM(5), .initial = -1, .ignorable = true),
    EL_STRUCTS(T, create_topics_config_result, configs, config_count, EL_FROM(5),
        .nullable = EL_FROM(5), .ignorable = true),
};
#undef T
const struct el_schema el_schema_create_topics_topic_result = EL_SCHEMA(create_topics_topic_result, 2, 7, 5);

#define T struct el_msg_create_topics_response
static const struct el_field create_topics_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_STRUCTS(T, create_topics_topic_result, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_create_topics_response = EL_SCHEMA(create_topics_response, 2, 7, 5);
