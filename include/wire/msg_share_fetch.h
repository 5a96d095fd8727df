/* SPDX-License-Identifier: Apache-2.0
 *
 * ShareFetch (key 78, versions 1 to 2): records leased to a member of a share group, and outcomes of
 * those that it had before.
 * Which version has which field: client/wire/msg_share_fetch.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_SHARE_FETCH_H
#define EL_WIRE_MSG_SHARE_FETCH_H

#include <wire/schema.h>

/* Outcomes of a range of records: 0 gap, 1 accept, 2 release, 3 reject, 4 renew. */
struct el_msg_share_fetch_acknowledgement {
    int64_t first_offset;      /* first of the range */
    int64_t last_offset;       /* last of it, inclusive */
    int8_t *acknowledge_types; /* [acknowledge_type_count] one for all, or one for each offset */
    uint32_t acknowledge_type_count;
};

/* A partition to read, with what is acknowledged in it. */
struct el_msg_share_fetch_partition {
    int32_t partition_index;                                            /* index */
    struct el_msg_share_fetch_acknowledgement *acknowledgement_batches; /* [acknowledgement_batch_count] rising */
    uint32_t acknowledgement_batch_count;
};

/* Partitions of one topic. */
struct el_msg_share_fetch_topic {
    struct el_uuid topic_id;                         /* topic */
    struct el_msg_share_fetch_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* Partitions that leave the session. */
struct el_msg_share_fetch_forgotten_topic {
    struct el_uuid topic_id; /* topic */
    int32_t *partitions;     /* [partition_count] indexes */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_share_fetch_request {
    struct el_slice group_id;                /* group */
    struct el_slice member_id;               /* member, as in its heartbeats */
    int32_t share_session_epoch;             /* 0 opens a session, -1 closes it, else one more than before */
    int32_t max_wait_ms;                     /* longest wait for records, ms */
    int32_t min_bytes;                       /* wait for so many */
    int32_t max_bytes;                       /* most bytes of records */
    int32_t max_records;                     /* most records; more may come to end at a batch */
    int32_t batch_size;                      /* records of a range of the answer */
    int8_t share_acquire_mode;               /* 0 up to whole batches, 1 never more than max_records */
    bool is_renew_ack;                       /* there are acknowledgements of type renew */
    struct el_msg_share_fetch_topic *topics; /* [topic_count] added to the session or acknowledged in */
    uint32_t topic_count;
    struct el_msg_share_fetch_forgotten_topic
        *forgotten_topics_data; /* [forgotten_topics_data_count] taken from the session */
    uint32_t forgotten_topics_data_count;
};

/* Who leads the partition now. */
struct el_msg_share_fetch_leader {
    int32_t leader_id;    /* node, -1 unknown */
    int32_t leader_epoch; /* latest known */
};

/* A range of records that the member has now. */
struct el_msg_share_fetch_acquired {
    int64_t first_offset;   /* first */
    int64_t last_offset;    /* last, inclusive */
    int16_t delivery_count; /* deliveries, this one counted */
};

/* Data of one partition. */
struct el_msg_share_fetch_partition_result {
    int32_t partition_index;                         /* index */
    int16_t error_code;                              /* enum el_kafka_error of the fetch */
    struct el_slice error_message;                   /* null without an error */
    int16_t acknowledge_error_code;                  /* enum el_kafka_error of its acknowledgements */
    struct el_slice acknowledge_error_message;       /* null without an error */
    struct el_msg_share_fetch_leader current_leader; /* set with some errors */
    struct el_slice records; /* record batches that hold the acquired records, and perhaps others */
    struct el_msg_share_fetch_acquired *acquired_records; /* [acquired_record_count] rising */
    uint32_t acquired_record_count;
};

/* Data of one topic. */
struct el_msg_share_fetch_topic_result {
    struct el_uuid topic_id;                                /* topic */
    struct el_msg_share_fetch_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* Address of a node named as leader. */
struct el_msg_share_fetch_node {
    int32_t node_id;      /* broker */
    struct el_slice host; /* name or address */
    int32_t port;         /* TCP port */
    struct el_slice rack; /* null for none */
};

/* The response. */
struct el_msg_share_fetch_response {
    int32_t throttle_time_ms;                          /* how long to stay away, ms */
    int16_t error_code;                                /* enum el_kafka_error */
    struct el_slice error_message;                     /* null without an error */
    int32_t acquisition_lock_timeout_ms;               /* how long the records are the member's, ms */
    struct el_msg_share_fetch_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
    struct el_msg_share_fetch_node *node_endpoints; /* [node_endpoint_count] addresses of the leaders named */
    uint32_t node_endpoint_count;
};

extern const struct el_schema el_schema_share_fetch_acknowledgement;
extern const struct el_schema el_schema_share_fetch_partition;
extern const struct el_schema el_schema_share_fetch_topic;
extern const struct el_schema el_schema_share_fetch_forgotten_topic;
extern const struct el_schema el_schema_share_fetch_request;
extern const struct el_schema el_schema_share_fetch_leader;
extern const struct el_schema el_schema_share_fetch_acquired;
extern const struct el_schema el_schema_share_fetch_partition_result;
extern const struct el_schema el_schema_share_fetch_topic_result;
extern const struct el_schema el_schema_share_fetch_node;
extern const struct el_schema el_schema_share_fetch_response;

#endif
