/* SPDX-License-Identifier: Apache-2.0
 *
 * DeleteRecords (key 21, versions 0 to 2): raise the log start of partitions.
 * Which version has which field: client/wire/msg_delete_records.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_DELETE_RECORDS_H
#define EL_WIRE_MSG_DELETE_RECORDS_H

#include <wire/schema.h>

/* One partition and its new start. */
struct el_msg_delete_records_partition {
    int32_t partition_index; /* index */
    int64_t offset;          /* new log start, -1 for the high watermark */
};

/* Partitions of one topic. */
struct el_msg_delete_records_topic {
    struct el_slice name;                               /* topic name */
    struct el_msg_delete_records_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_delete_records_request {
    struct el_msg_delete_records_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int32_t timeout_ms; /* longest wait, ms */
};

/* Outcome for one partition. */
struct el_msg_delete_records_partition_result {
    int32_t partition_index; /* index */
    int64_t low_watermark;   /* log start afterwards, -1 on error */
    int16_t error_code;      /* enum el_kafka_error */
};

/* Outcome for one topic. */
struct el_msg_delete_records_topic_result {
    struct el_slice name;                                      /* topic name */
    struct el_msg_delete_records_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_delete_records_response {
    int32_t throttle_time_ms;                          /* how long to stay away, ms */
    struct el_msg_delete_records_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_delete_records_partition;
extern const struct el_schema el_schema_delete_records_topic;
extern const struct el_schema el_schema_delete_records_request;
extern const struct el_schema el_schema_delete_records_partition_result;
extern const struct el_schema el_schema_delete_records_topic_result;
extern const struct el_schema el_schema_delete_records_response;

#endif
