/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of AlterReplicaLogDirs, one line a field in wire order. Layout: docs/protocol.md section 2.
 */
#include <wire/msg_alter_replica_log_dirs.h>
#include <wire/table.h>

/* clang-format off */

#define T struct el_msg_alter_replica_log_dirs_topic
static const struct el_field alter_replica_log_dirs_topic_fields[] = {
    EL_STRING(T, name, EL_ALL, .key = true),
    EL_ARRAY(T, INT32, int32_t, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_replica_log_dirs_topic = EL_SCHEMA(alter_replica_log_dirs_topic, 1, 2, 2);

#define T struct el_msg_alter_replica_log_dirs_dir
static const struct el_field alter_replica_log_dirs_dir_fields[] = {
    EL_STRING(T, path, EL_ALL, .key = true),
    EL_STRUCTS(T, alter_replica_log_dirs_topic, topics, topic_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_replica_log_dirs_dir = EL_SCHEMA(alter_replica_log_dirs_dir, 1, 2, 2);

#define T struct el_msg_alter_replica_log_dirs_request
static const struct el_field alter_replica_log_dirs_request_fields[] = {
    EL_STRUCTS(T, alter_replica_log_dirs_dir, dirs, dir_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_replica_log_dirs_request = EL_SCHEMA(alter_replica_log_dirs_request, 1, 2, 2);

#define T struct el_msg_alter_replica_log_dirs_partition_result
static const struct el_field alter_replica_log_dirs_partition_result_fields[] = {
    EL_INT32(T, partition_index, EL_ALL),
    EL_INT16(T, error_code, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_replica_log_dirs_partition_result =
    EL_SCHEMA(alter_replica_log_dirs_partition_result, 1, 2, 2);

#define T struct el_msg_alter_replica_log_dirs_topic_result
static const struct el_field alter_replica_log_dirs_topic_result_fields[] = {
    EL_STRING(T, topic_name, EL_ALL),
    EL_STRUCTS(T, alter_replica_log_dirs_partition_result, partitions, partition_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_replica_log_dirs_topic_result =
    EL_SCHEMA(alter_replica_log_dirs_topic_result, 1, 2, 2);

#define T struct el_msg_alter_replica_log_dirs_response
static const struct el_field alter_replica_log_dirs_response_fields[] = {
    EL_INT32(T, throttle_time_ms, EL_ALL),
    EL_STRUCTS(T, alter_replica_log_dirs_topic_result, results, result_count, EL_ALL),
};
#undef T
const struct el_schema el_schema_alter_replica_log_dirs_response =
    EL_SCHEMA(alter_replica_log_dirs_response, 1, 2, 2);
