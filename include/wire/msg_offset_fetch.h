/* SPDX-License-Identifier: Apache-2.0
 *
 * OffsetFetch (key 9, versions 1 to 10): how far groups are.
 * Which version has which field: client/wire/msg_offset_fetch.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_OFFSET_FETCH_H
#define EL_WIRE_MSG_OFFSET_FETCH_H

#include <wire/schema.h>

/* Partitions asked for, up to version 7. */
struct el_msg_offset_fetch_topic {
    struct el_slice name;       /* topic name */
    int32_t *partition_indexes; /* [partition_index_count] indexes */
    uint32_t partition_index_count;
};

/* Partitions asked for, from version 8. */
struct el_msg_offset_fetch_group_topic {
    struct el_slice name;       /* topic name */
    struct el_uuid topic_id;    /* id instead of the name */
    int32_t *partition_indexes; /* [partition_index_count] indexes */
    uint32_t partition_index_count;
};

/* One group, from version 8. */
struct el_msg_offset_fetch_group {
    struct el_slice group_id;                       /* group */
    struct el_slice member_id;                      /* not looked at in a classic group */
    int32_t member_epoch;                           /* -1 in a classic group */
    struct el_msg_offset_fetch_group_topic *topics; /* [topic_count] by topic, null for all */
    uint32_t topic_count;
};

/* The request. */
struct el_msg_offset_fetch_request {
    struct el_slice group_id;                 /* group */
    struct el_msg_offset_fetch_topic *topics; /* [topic_count] by topic, null for all */
    uint32_t topic_count;
    struct el_msg_offset_fetch_group *groups; /* [group_count] by group */
    uint32_t group_count;
    bool require_stable; /* no offsets while a transaction is about to change them */
};

/* One commit; offset -1 for none. */
struct el_msg_offset_fetch_partition_result {
    int32_t partition_index;        /* index */
    int64_t committed_offset;       /* next event to read */
    int32_t committed_leader_epoch; /* of the last event read, -1 unknown */
    struct el_slice metadata;       /* text of the consumer's own */
    int16_t error_code;             /* enum el_kafka_error */
};

/* Commits of one topic, up to version 7. */
struct el_msg_offset_fetch_topic_result {
    struct el_slice name;                                    /* topic name */
    struct el_msg_offset_fetch_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* One commit; offset -1 for none. */
struct el_msg_offset_fetch_group_partition_result {
    int32_t partition_index;        /* index */
    int64_t committed_offset;       /* next event to read */
    int32_t committed_leader_epoch; /* of the last event read, -1 unknown */
    struct el_slice metadata;       /* text of the consumer's own */
    int16_t error_code;             /* enum el_kafka_error */
};

/* Commits of one topic, from version 8. */
struct el_msg_offset_fetch_group_topic_result {
    struct el_slice name;                                          /* topic name */
    struct el_uuid topic_id;                                       /* id instead of the name */
    struct el_msg_offset_fetch_group_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* One group, from version 8. */
struct el_msg_offset_fetch_group_result {
    struct el_slice group_id;                              /* group */
    struct el_msg_offset_fetch_group_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int16_t error_code; /* enum el_kafka_error */
};

/* The response. */
struct el_msg_offset_fetch_response {
    int32_t throttle_time_ms;                        /* how long to stay away, ms */
    struct el_msg_offset_fetch_topic_result *topics; /* [topic_count] by topic */
    uint32_t topic_count;
    int16_t error_code;                              /* enum el_kafka_error */
    struct el_msg_offset_fetch_group_result *groups; /* [group_count] by group */
    uint32_t group_count;
};

extern const struct el_schema el_schema_offset_fetch_topic;
extern const struct el_schema el_schema_offset_fetch_group_topic;
extern const struct el_schema el_schema_offset_fetch_group;
extern const struct el_schema el_schema_offset_fetch_request;
extern const struct el_schema el_schema_offset_fetch_partition_result;
extern const struct el_schema el_schema_offset_fetch_topic_result;
extern const struct el_schema el_schema_offset_fetch_group_partition_result;
extern const struct el_schema el_schema_offset_fetch_group_topic_result;
extern const struct el_schema el_schema_offset_fetch_group_result;
extern const struct el_schema el_schema_offset_fetch_response;

#endif
