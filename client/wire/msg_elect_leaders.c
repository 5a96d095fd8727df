/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of ElectLeaders, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_elect_leaders.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_elect_leaders_topic
static const struct el_field elect_leaders_topic_fields[] = {
    EL_STRING(T, topic, EL_ALL, .key = true),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_elect_leaders_topic = EL_SCHEMA(elect_leaders_topic, 0, 2, 2);

#define T struct el_msg_elect_leaders_request
static const struct el_field elect_leaders_request_fields[] = {
    EL_INT8(T, election_type, EL_FROM(1)),
    EL_STRUCTS(T, elect_leaders_topic, topic_partitions, topic_partition_count, EL_ALL, .nullable = EL_ALL),
    EL_INT32(T, timeout_ms, EL_ALL, .initial = 60000),
};
#undef T
const struct el_schema el_schema_elect_leaders_request = EL_SCHEMA(elect_leaders_request, 0, 2, 2);

#define T struct el_msg_elect_leaders_partition_result
static const struct el_field elect_leaders_partition_result_fields[] = {
    EL_INT32(T, partition_id, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
    EL_STRING(T, error_message, EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_elect_leaders_partition_result = EL_SCHEMA(elect_leaders_partition_result, 0, 2, 2);

#define T struct el_msg_elect_leaders_topic_result
static const struct el_field elect_leaders_topic_result_fields[] = {
    EL_STRING(T, topic, EL_ALL),
    EL_STRUCTS(T, elect_leaders_partition_result, partition_result, partition_result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_elect_leaders_topic_result = EL_SCHEMA(elect_leaders_topic_result, 0, 2, 2);

#define T struct el_msg_elect_leaders_response
static const struct el_field elect_leaders_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_INT16(T, error_code, EL_FROM(1)),
    EL_STRUCTS(T, elect_leaders_topic_result, replica_election_results, replica_election_result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_elect_leaders_response = EL_SCHEMA(elect_leaders_response, 0, 2, 2);
