/* SPDX-License-Identifier: Apache-2.0
 *
 * Produce (key 0, versions 3 to 13): records to append, by topic and partition.
 * Which version has which field: client/wire/msg_produce.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_PRODUCE_H
#define EL_WIRE_MSG_PRODUCE_H

#include <wire/schema.h>

/* The batch for one partition. */
struct el_msg_produce_partition {
    int32_t index;           /* partition */
    struct el_slice records; /* record batches, as stored */
};

/* Batches for one topic. */
struct el_msg_produce_topic {
    struct el_slice name;                            /* topic name */
    struct el_uuid topic_id;                         /* zero for none */
    struct el_msg_produce_partition *partition_data; /* [partition_data_count] by partition */
    uint32_t partition_data_count;
};

/* The request. */
struct el_msg_produce_request {
    struct el_slice transactional_id;        /* null for a producer without transactions */
    int16_t acks;                            /* 0 no answer, 1 and -1 answer when durable */
    int32_t timeout_ms;                      /* longest wait, ms */
    struct el_msg_produce_topic *topic_data; /* [topic_data_count] by topic */
    uint32_t topic_data_count;
};

/* One record that made its whole batch fail. */
struct el_msg_produce_record_error {
    int32_t batch_index;                       /* record, counted in its batch */
    struct el_slice batch_index_error_message; /* what is wrong with it */
};

/* Who leads the partition now; given with NOT_LEADER_OR_FOLLOWER. */
struct el_msg_produce_leader {
    int32_t leader_id;    /* node, -1 unknown */
    int32_t leader_epoch; /* -1 unknown */
};

/* Outcome for one partition: where the batch was put, or why it was not. */
struct el_msg_produce_partition_result {
    int32_t index;                                     /* partition */
    int16_t error_code;                                /* enum el_kafka_error */
    int64_t base_offset;                               /* offset of the first record, -1 on error */
    int64_t log_append_time_ms;                        /* -1 unless the topic stamps append time */
    int64_t log_start_offset;                          /* first offset of the log, -1 on error */
    struct el_msg_produce_record_error *record_errors; /* [record_error_count] records at fault */
    uint32_t record_error_count;
    struct el_slice error_message;               /* null without an error */
    struct el_msg_produce_leader current_leader; /* tag; left out when unknown */
};

/* Outcome for one topic. */
struct el_msg_produce_topic_result {
    struct el_slice name;                                        /* topic name */
    struct el_uuid topic_id;                                     /* zero for none */
    struct el_msg_produce_partition_result *partition_responses; /* [partition_response_count] by partition */
    uint32_t partition_response_count;
};

/* Address of a node named as leader. */
struct el_msg_produce_node {
    int32_t node_id;      /* broker */
    struct el_slice host; /* name or address */
    int32_t port;         /* TCP port */
    struct el_slice rack; /* null for none */
};

/* The response. */
struct el_msg_produce_response {
    struct el_msg_produce_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
    int32_t throttle_time_ms;                   /* how long to stay away, ms */
    struct el_msg_produce_node *node_endpoints; /* tag; addresses of the leaders named */
    uint32_t node_endpoint_count;
};

extern const struct el_schema el_schema_produce_partition;
extern const struct el_schema el_schema_produce_topic;
extern const struct el_schema el_schema_produce_request;
extern const struct el_schema el_schema_produce_record_error;
extern const struct el_schema el_schema_produce_leader;
extern const struct el_schema el_schema_produce_partition_result;
extern const struct el_schema el_schema_produce_topic_result;
extern const struct el_schema el_schema_produce_node;
extern const struct el_schema el_schema_produce_response;

#endif
