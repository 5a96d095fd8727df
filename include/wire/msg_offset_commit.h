/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetCommit (key 8, versions 2 to 10): consumers save how far they are.
 * Which version has which field: client/wire/msg_offset_commit.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_OFFSET_COMMIT_H
#define EL_WIRE_MSG_OFFSET_COMMIT_H

#include <wire/schema.h>

/* One commit. */
struct el_msg_offset_commit_partition {
    int32_t partition_index;            /* index */
    int64_t committed_offset;           /* next event to read */
    int32_t committed_leader_epoch;     /* of the last event read, -1 unknown */
    struct el_slice committed_metadata; /* text of the consumer's own, null for none */
};

/* Commits of one topic. */
struct el_msg_offset_commit_topic {
    struct el_slice name;                              /* topic name */
    struct el_uuid topic_id;                           /* id instead of the name */
    struct el_msg_offset_commit_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_offset_commit_request {
    struct el_slice group_id;                  /* group */
    int32_t generation_id_or_member_epoch;     /* generation of a classic group, -1 without membership */
    struct el_slice member_id;                 /* as the coordinator named it */
    struct el_slice group_instance_id;         /* static member, null for none */
    int64_t retention_time_ms;                 /* not looked at */
    struct el_msg_offset_commit_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

/* Outcome of one commit. */
struct el_msg_offset_commit_partition_result {
    int32_t partition_index; /* index */
    int16_t error_code;      /* enum el_kafka_error */
};

/* Outcomes of one topic. */
struct el_msg_offset_commit_topic_result {
    struct el_slice name;                                     /* topic name */
    struct el_uuid topic_id;                                  /* id instead of the name */
    struct el_msg_offset_commit_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_offset_commit_response {
    int32_t throttle_time_ms;                         /* how long to stay away, ms */
    struct el_msg_offset_commit_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
};

extern const struct el_schema el_schema_offset_commit_partition;
extern const struct el_schema el_schema_offset_commit_topic;
extern const struct el_schema el_schema_offset_commit_request;
extern const struct el_schema el_schema_offset_commit_partition_result;
extern const struct el_schema el_schema_offset_commit_topic_result;
extern const struct el_schema el_schema_offset_commit_response;

#endif
