/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetForLeaderEpoch (key 23, versions 2 to 4): where a leader epoch ends, to find a lost tail.
 * Which version has which field: client/wire/msg_offset_for_leader_epoch.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_OFFSET_FOR_LEADER_EPOCH_H
#define EL_WIRE_MSG_OFFSET_FOR_LEADER_EPOCH_H

#include <wire/schema.h>

/* One question. */
struct el_msg_offset_for_leader_epoch_partition {
    int32_t partition;            /* index */
    int32_t current_leader_epoch; /* the asker's idea of it, -1 for no check */
    int32_t leader_epoch;         /* epoch asked about */
};

/* Questions about one topic. */
struct el_msg_offset_for_leader_epoch_topic {
    struct el_slice topic;                                       /* topic name */
    struct el_msg_offset_for_leader_epoch_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_offset_for_leader_epoch_request {
    int32_t replica_id;                                  /* -1 for a consumer, -2 for a tool */
    struct el_msg_offset_for_leader_epoch_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* One answer; epoch and offset are -1 when the epoch is unknown. */
struct el_msg_offset_for_leader_epoch_partition_result {
    int16_t error_code;   /* enum el_kafka_error */
    int32_t partition;    /* index */
    int32_t leader_epoch; /* greatest known up to the one asked */
    int64_t end_offset;   /* one past its last record */
};

/* Answers about one topic. */
struct el_msg_offset_for_leader_epoch_topic_result {
    struct el_slice topic;                                              /* topic name */
    struct el_msg_offset_for_leader_epoch_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_offset_for_leader_epoch_response {
    int32_t throttle_time_ms;                                   /* how long to stay away, ms */
    struct el_msg_offset_for_leader_epoch_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_offset_for_leader_epoch_partition;
extern const struct el_schema el_schema_offset_for_leader_epoch_topic;
extern const struct el_schema el_schema_offset_for_leader_epoch_request;
extern const struct el_schema el_schema_offset_for_leader_epoch_partition_result;
extern const struct el_schema el_schema_offset_for_leader_epoch_topic_result;
extern const struct el_schema el_schema_offset_for_leader_epoch_response;

#endif
