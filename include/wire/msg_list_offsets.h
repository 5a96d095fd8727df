/* SPDX-License-Identifier: Apache-2.0
 *
 * ListOffsets (key 2, versions 1 to 11): offset of a point in time, of the log's start or of its end.
 * Which version has which field: client/wire/msg_list_offsets.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_LIST_OFFSETS_H
#define EL_WIRE_MSG_LIST_OFFSETS_H

#include <wire/schema.h>

/* One question. */
struct el_msg_list_offsets_partition {
    int32_t partition_index;      /* index */
    int32_t current_leader_epoch; /* the asker's idea of it, -1 for no check */
    int64_t timestamp;            /* ms since 1970; -1 latest, -2 earliest, -3 to -6: docs/protocol.md */
};

/* Questions about one topic. */
struct el_msg_list_offsets_topic {
    struct el_slice name;                             /* topic name */
    struct el_msg_list_offsets_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_list_offsets_request {
    int32_t replica_id;                       /* -1 for a consumer */
    int8_t isolation_level;                   /* 0 uncommitted, 1 committed */
    struct el_msg_list_offsets_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int32_t timeout_ms; /* longest wait, ms */
};

/* One answer; offset and timestamp are -1 when there is none. */
struct el_msg_list_offsets_partition_result {
    int32_t partition_index; /* index */
    int16_t error_code;      /* enum el_kafka_error */
    int64_t timestamp;       /* of the record found, -1 for none */
    int64_t offset;          /* found, -1 for none */
    int32_t leader_epoch;    /* -1 unknown */
};

/* Answers about one topic. */
struct el_msg_list_offsets_topic_result {
    struct el_slice name;                                    /* topic name */
    struct el_msg_list_offsets_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_list_offsets_response {
    int32_t throttle_time_ms;                        /* how long to stay away, ms */
    struct el_msg_list_offsets_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_list_offsets_partition;
extern const struct el_schema el_schema_list_offsets_topic;
extern const struct el_schema el_schema_list_offsets_request;
extern const struct el_schema el_schema_list_offsets_partition_result;
extern const struct el_schema el_schema_list_offsets_topic_result;
extern const struct el_schema el_schema_list_offsets_response;

#endif
