/* SPDX-License-Identifier: Apache-2.0
 *
 * GroupProgress (key 0x4024, version 0): where a work group stands: events by state, for each partition.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_GROUP_PROGRESS_H
#define EL_WIRE_MSG_EXT_GROUP_PROGRESS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_group_progress_request {
    struct el_slice group;   /* group */
    struct el_slice *topics; /* [topic_count] names, null for all that it has read of */
    uint32_t topic_count;
};

/* One partition. */
struct el_msg_ext_group_progress_partition {
    int64_t lag;       /* events that are not finished, -1 unknown */
    uint64_t dying;    /* on their way to the dead letters */
    int16_t error;     /* enum el_kafka_error */
    uint64_t ready;    /* may be leased now */
    int64_t start;     /* first event that is not finished, -1 none */
    uint64_t leased;   /* in somebody's hands */
    uint64_t backoff;  /* failed, wait for their retry */
    uint64_t delayed;  /* wait for their time */
    uint64_t waiting;  /* behind an earlier event of their key */
    int64_t halted_at; /* event that halts the partition, -1 none */
    int32_t partition; /* index */
};

/* One topic. */
struct el_msg_ext_group_progress_topic {
    struct el_slice topic;                                  /* name */
    struct el_uuid topic_id;                                /* id */
    struct el_msg_ext_group_progress_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_ext_group_progress_response {
    int16_t error;                                  /* enum el_kafka_error */
    struct el_msg_ext_group_progress_topic *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    struct el_slice message; /* text when error is set, else null */
};

extern const struct el_schema el_schema_ext_group_progress_request;
extern const struct el_schema el_schema_ext_group_progress_partition;
extern const struct el_schema el_schema_ext_group_progress_topic;
extern const struct el_schema el_schema_ext_group_progress_response;

#endif
