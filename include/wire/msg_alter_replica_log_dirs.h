/* SPDX-License-Identifier: Apache-2.0
 *
 * AlterReplicaLogDirs (key 34, versions 1 to 2): move partitions to another directory.
 * Which version has which field: client/wire/msg_alter_replica_log_dirs.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_ALTER_REPLICA_LOG_DIRS_H
#define EL_WIRE_MSG_ALTER_REPLICA_LOG_DIRS_H

#include <wire/schema.h>

/* Partitions of one topic. */
struct el_msg_alter_replica_log_dirs_topic {
    struct el_slice name; /* topic */
    int32_t *partitions;  /* [partition_count] indexes */
    uint32_t partition_count;
};

/* A directory and what is to be moved there. */
struct el_msg_alter_replica_log_dirs_dir {
    struct el_slice path;                               /* of the directory, absolute */
    struct el_msg_alter_replica_log_dirs_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* The request. */
struct el_msg_alter_replica_log_dirs_request {
    struct el_msg_alter_replica_log_dirs_dir *dirs; /* [dir_count] by directory */
    uint32_t dir_count;
};

/* One partition. */
struct el_msg_alter_replica_log_dirs_partition_result {
    int32_t partition_index; /* index in the topic */
    int16_t error_code;      /* enum el_kafka_error */
};

/* Partitions of one topic. */
struct el_msg_alter_replica_log_dirs_topic_result {
    struct el_slice topic_name;                                        /* topic */
    struct el_msg_alter_replica_log_dirs_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_alter_replica_log_dirs_response {
    int32_t throttle_time_ms;                                   /* how long to stay away, ms */
    struct el_msg_alter_replica_log_dirs_topic_result *results; /* [result_count] by topic */
    uint32_t result_count;
};

extern const struct el_schema el_schema_alter_replica_log_dirs_topic;
extern const struct el_schema el_schema_alter_replica_log_dirs_dir;
extern const struct el_schema el_schema_alter_replica_log_dirs_request;
extern const struct el_schema el_schema_alter_replica_log_dirs_partition_result;
extern const struct el_schema el_schema_alter_replica_log_dirs_topic_result;
extern const struct el_schema el_schema_alter_replica_log_dirs_response;

#endif
