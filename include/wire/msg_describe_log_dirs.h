/* SPDX-License-Identifier: Apache-2.0
 *
 * DescribeLogDirs (key 35, versions 1 to 5): how many bytes partitions take and disks have.
 * Which version has which field: client/wire/msg_describe_log_dirs.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DESCRIBE_LOG_DIRS_H
#define EL_WIRE_MSG_DESCRIBE_LOG_DIRS_H

#include <wire/schema.h>

/* Partitions of one topic. */
struct el_msg_describe_log_dirs_request_topic {
    struct el_slice topic; /* topic */
    int32_t *partitions;   /* [partition_count] indexes */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_describe_log_dirs_request {
    struct el_msg_describe_log_dirs_request_topic *topics; /* [topic_count] null for all */
    uint32_t topic_count;
};

/* What one partition takes. */
struct el_msg_describe_log_dirs_partition {
    int32_t partition_index; /* index in the topic */
    int64_t partition_size;  /* bytes on disk */
    int64_t offset_lag;      /* records that a copy being made lacks */
    bool is_future_key;      /* a copy that will replace the partition */
};

/* Partitions of one topic. */
struct el_msg_describe_log_dirs_topic {
    struct el_slice name;                                  /* topic */
    struct el_msg_describe_log_dirs_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* One directory. */
struct el_msg_describe_log_dirs_result {
    int16_t error_code;                            /* enum el_kafka_error */
    struct el_slice log_dir;                       /* path, absolute */
    struct el_msg_describe_log_dirs_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int64_t total_bytes;  /* of the file system, -1 unknown */
    int64_t usable_bytes; /* free of them, -1 unknown */
    bool is_cordoned;     /* takes no new partitions */
};

/* The response. */
struct el_msg_describe_log_dirs_response {
    int32_t throttle_time_ms;                        /* how long to stay away, ms */
    int16_t error_code;                              /* enum el_kafka_error */
    struct el_msg_describe_log_dirs_result *results; /* [result_count] by directory */
    uint32_t result_count;
};

extern const struct el_schema el_schema_describe_log_dirs_request_topic;
extern const struct el_schema el_schema_describe_log_dirs_request;
extern const struct el_schema el_schema_describe_log_dirs_partition;
extern const struct el_schema el_schema_describe_log_dirs_topic;
extern const struct el_schema el_schema_describe_log_dirs_result;
extern const struct el_schema el_schema_describe_log_dirs_response;

#endif
