/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of Fetch, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_fetch.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_fetch_replica_state
static const struct el_field fetch_replica_state_fields[] = {
    EL_INT32(T, replica_id,    EL_FROM(15), .initial = -1),
    EL_INT64(T, replica_epoch, EL_FROM(15), .initial = -1),
};
#undef T
const struct el_schema el_schema_fetch_replica_state = EL_SCHEMA(fetch_replica_state, 4, 18, 12);

#define T struct el_msg_fetch_partition
static const struct el_field fetch_partition_fields[] = {
    EL_INT32(T, partition,            EL_ALL),
    EL_INT32(T, current_leader_epoch, EL_FROM(9), .initial = -1, .ignorable = true),
    EL_INT64(T, fetch_offset,         EL_ALL),
    EL_INT32(T, last_fetched_epoch,   EL_FROM(12), .initial = -1),
    EL_INT64(T, log_start_offset,     EL_FROM(5), .initial = -1, .ignorable = true),
    EL_INT32(T, partition_max_bytes,  EL_ALL),
    EL_UUID(T, replica_directory_id,  EL_FROM(17), .tagged = EL_FROM(17), .tag = 0, .ignorable = true),
    EL_INT64(T, high_watermark, EL_FROM(18),
        .tagged = EL_FROM(18), .tag = 1, .initial = INT64_MAX, .ignorable = true),
};
#undef T
const struct el_schema el_schema_fetch_partition = EL_SCHEMA(fetch_partition, 4, 18, 12);

#define T struct el_msg_fetch_topic
static const struct el_field fetch_topic_fields[] = {
    EL_STRING(T, topic,  EL_UPTO(12), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(13), .ignorable = true),
    EL_STRUCTS(T, fetch_partition, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_fetch_topic = EL_SCHEMA(fetch_topic, 4, 18, 12);

#define T struct el_msg_fetch_forgotten_topic
static const struct el_field fetch_forgotten_topic_fields[] = {
    EL_STRING(T, topic,  EL_BETWEEN(7, 12), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(13), .ignorable = true),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_FROM(7)),
};
#undef T
const struct el_schema el_schema_fetch_forgotten_topic = EL_SCHEMA(fetch_forgotten_topic, 4, 18, 12);

#define T struct el_msg_fetch_request
static const struct el_field fetch_request_fields[] = {
    EL_STRING(T, cluster_id, EL_FROM(12),
        .nullable = EL_FROM(12), .tagged = EL_FROM(12), .tag = 0, .null_initial = true, .ignorable = true),
    EL_INT32(T, replica_id,     EL_UPTO(14), .initial = -1),
    EL_STRUCT(T, fetch_replica_state, replica_state, EL_FROM(15), .tagged = EL_FROM(15), .tag = 1),
    EL_INT32(T, max_wait_ms,    EL_ALL),
    EL_INT32(T, min_bytes,      EL_ALL),
    EL_INT32(T, max_bytes,      EL_ALL, .initial = INT32_MAX, .ignorable = true),
    EL_INT8(T, isolation_level, EL_ALL, .ignorable = true),
    EL_INT32(T, session_id,     EL_FROM(7), .ignorable = true),
    EL_INT32(T, session_epoch,  EL_FROM(7), .initial = -1, .ignorable = true),
    EL_STRUCTS(T, fetch_topic, topics, topic_count, EL_ALL),
    EL_STRUCTS(T, fetch_forgotten_topic, forgotten_topics_data, forgotten_topics_data_count, EL_FROM(7)),
    EL_STRING(T, rack_id,       EL_FROM(11), .ignorable = true),
};
#undef T
const struct el_schema el_schema_fetch_request = EL_SCHEMA(fetch_request, 4, 18, 12);

#define T struct el_msg_fetch_diverging_epoch
static const struct el_field fetch_diverging_epoch_fields[] = {
    EL_INT32(T, epoch,      EL_FROM(12), .initial = -1),
    EL_INT64(T, end_offset, EL_FROM(12), .initial = -1),
};
#undef T
const struct el_schema el_schema_fetch_diverging_epoch = EL_SCHEMA(fetch_diverging_epoch, 4, 18, 12);

#define T struct el_msg_fetch_leader
static const struct el_field fetch_leader_fields[] = {
    EL_INT32(T, leader_id,    EL_FROM(12), .initial = -1),
    EL_INT32(T, leader_epoch, EL_FROM(12), .initial = -1),
};
#undef T
const struct el_schema el_schema_fetch_leader = EL_SCHEMA(fetch_leader, 4, 18, 12);

#define T struct el_msg_fetch_snapshot_id
static const struct el_field fetch_snapshot_id_fields[] = {
    EL_INT64(T, end_offset, EL_ALL, .initial = -1),
    EL_INT32(T, epoch,      EL_ALL, .initial = -1),
};
#undef T
const struct el_schema el_schema_fetch_snapshot_id = EL_SCHEMA(fetch_snapshot_id, 4, 18, 12);

#define T struct el_msg_fetch_aborted_transaction
static const struct el_field fetch_aborted_transaction_fields[] = {
    EL_INT64(T, producer_id,  EL_ALL),
    EL_INT64(T, first_offset, EL_ALL),
};
#undef T
const struct el_schema el_schema_fetch_aborted_transaction = EL_SCHEMA(fetch_aborted_transaction, 4, 18, 12);

#define T struct el_msg_fetch_partition_result
static const struct el_field fetch_partition_result_fields[] = {
    EL_INT32(T, partition_index,                 EL_ALL),
    EL_INT16(T, error_code,                      EL_ALL),
    EL_INT64(T, high_watermark,                  EL_ALL),
    EL_INT64(T, last_stable_offset,              EL_ALL, .initial = -1, .ignorable = true),
    EL_INT64(T, log_start_offset,                EL_FROM(5), .initial = -1, .ignorable = true),
    EL_STRUCT(T, fetch_diverging_epoch, diverging_epoch, EL_FROM(12), .tagged = EL_FROM(12), .tag = 0),
    EL_STRUCT(T, fetch_leader, current_leader,   EL_FROM(12), .tagged = EL_FROM(12), .tag = 1),
    EL_STRUCT(T, fetch_snapshot_id, snapshot_id, EL_FROM(12), .tagged = EL_FROM(12), .tag = 2),
    EL_STRUCTS(T, fetch_aborted_transaction, aborted_transactions, aborted_transaction_count,
        EL_ALL, .nullable = EL_ALL, .ignorable = true),
    EL_INT32(T, preferred_read_replica,          EL_FROM(11), .initial = -1),
    EL_RECORDS(T, records,                       EL_ALL, .nullable = EL_ALL),
};
#undef T
const struct el_schema el_schema_fetch_partition_result = EL_SCHEMA(fetch_partition_result, 4, 18, 12);

#define T struct el_msg_fetch_topic_result
static const struct el_field fetch_topic_result_fields[] = {
    EL_STRING(T, topic,  EL_UPTO(12), .ignorable = true),
    EL_UUID(T, topic_id, EL_FROM(13), .ignorable = true),
    EL_STRUCTS(T, fetch_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_fetch_topic_result = EL_SCHEMA(fetch_topic_result, 4, 18, 12);

#define T struct el_msg_fetch_node
static const struct el_field fetch_node_fields[] = {
    EL_INT32(T, node_id, EL_FROM(16), .key = true),
    EL_STRING(T, host,   EL_FROM(16)),
    EL_INT32(T, port,    EL_FROM(16)),
    EL_STRING(T, rack,   EL_FROM(16), .nullable = EL_FROM(16), .null_initial = true),
};
#undef T
const struct el_schema el_schema_fetch_node = EL_SCHEMA(fetch_node, 4, 18, 12);

#define T struct el_msg_fetch_response
static const struct el_field fetch_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL, .ignorable = true),
    EL_INT16(T, error_code,       EL_FROM(7), .ignorable = true),
    EL_INT32(T, session_id,       EL_FROM(7)),
    EL_STRUCTS(T, fetch_topic_result, responses, response_count, EL_ALL),
    EL_STRUCTS(T, fetch_node, node_endpoints, node_endpoint_count, EL_FROM(16),
        .tagged = EL_FROM(16), .tag = 0),
};
#undef T
const struct el_schema el_schema_fetch_response = EL_SCHEMA(fetch_response, 4, 18, 12);
