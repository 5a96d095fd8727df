/* SPDX-License-Identifier: Apache-2.0
 *
 * Fetch (key 1, versions 4 to 18): batches from given offsets on, waiting for more when there are too few.
 * Which version has which field: client/wire/msg_fetch.c.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_FETCH_H
#define EL_WIRE_MSG_FETCH_H

#include <wire/schema.h>

/* Who asks, when it is a follower. */
struct el_msg_fetch_replica_state {
    int32_t replica_id;    /* -1 for a consumer */
    int64_t replica_epoch; /* -1 for a consumer */
};

/* Where to read in one partition. */
struct el_msg_fetch_partition {
    int32_t partition;                   /* index */
    int32_t current_leader_epoch;        /* the asker's idea of it, -1 for no check */
    int64_t fetch_offset;                /* first offset wanted */
    int32_t last_fetched_epoch;          /* epoch of the last record read, -1 for none */
    int64_t log_start_offset;            /* followers only */
    int32_t partition_max_bytes;         /* most bytes of this partition */
    struct el_uuid replica_directory_id; /* tag; followers only */
    int64_t high_watermark;              /* tag; followers only */
};

/* Partitions wanted of one topic. */
struct el_msg_fetch_topic {
    struct el_slice topic;                     /* topic name */
    struct el_uuid topic_id;                   /* zero for none */
    struct el_msg_fetch_partition *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* Partitions to drop from the fetch session. */
struct el_msg_fetch_forgotten_topic {
    struct el_slice topic;   /* topic name */
    struct el_uuid topic_id; /* zero for none */
    int32_t *partitions;     /* [partition_count] indexes */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_fetch_request {
    struct el_slice cluster_id;                      /* tag; null when not known */
    int32_t replica_id;                              /* -1 for a consumer */
    struct el_msg_fetch_replica_state replica_state; /* tag; replaces replica_id */
    int32_t max_wait_ms;                             /* longest wait for min_bytes, ms */
    int32_t min_bytes;                               /* answer as soon as so much is there */
    int32_t max_bytes;                               /* most bytes of records in the answer */
    int8_t isolation_level;                          /* 0 uncommitted, 1 committed */
    int32_t session_id;                              /* 0 for none */
    int32_t session_epoch;                           /* -1 outside a session */
    struct el_msg_fetch_topic *topics;               /* [topic_count] by topic */
    uint32_t topic_count;
    struct el_msg_fetch_forgotten_topic *forgotten_topics_data; /* leave the session */
    uint32_t forgotten_topics_data_count;
    struct el_slice rack_id; /* of the consumer */
};

/* Last epoch the reader and the log have in common. */
struct el_msg_fetch_diverging_epoch {
    int32_t epoch;      /* leader epoch */
    int64_t end_offset; /* one past its last record */
};

/* Who leads the partition now. */
struct el_msg_fetch_leader {
    int32_t leader_id;    /* node, -1 unknown */
    int32_t leader_epoch; /* -1 unknown */
};

/* Snapshot to read instead; used by controllers only. */
struct el_msg_fetch_snapshot_id {
    int64_t end_offset; /* one past its last record */
    int32_t epoch;      /* leader epoch */
};

/* A transaction in the range returned whose records are to be skipped. */
struct el_msg_fetch_aborted_transaction {
    int64_t producer_id;  /* -1 for none */
    int64_t first_offset; /* of the transaction */
};

/* Data of one partition. */
struct el_msg_fetch_partition_result {
    int32_t partition_index;                                       /* index */
    int16_t error_code;                                            /* enum el_kafka_error */
    int64_t high_watermark;                                        /* first offset not yet visible, -1 on error */
    int64_t last_stable_offset;                                    /* end of what committed readers see, -1 on error */
    int64_t log_start_offset;                                      /* first offset of the log, -1 on error */
    struct el_msg_fetch_diverging_epoch diverging_epoch;           /* tag; left out when nothing diverges */
    struct el_msg_fetch_leader current_leader;                     /* tag; left out when unknown */
    struct el_msg_fetch_snapshot_id snapshot_id;                   /* tag; never set by evlog */
    struct el_msg_fetch_aborted_transaction *aborted_transactions; /* null at isolation level 0 */
    uint32_t aborted_transaction_count;
    int32_t preferred_read_replica; /* -1: this broker */
    struct el_slice records;        /* record batches, as stored */
};

/* Data of one topic. */
struct el_msg_fetch_topic_result {
    struct el_slice topic;                            /* topic name */
    struct el_uuid topic_id;                          /* zero for none */
    struct el_msg_fetch_partition_result *partitions; /* [partition_count] by partition */
    uint32_t partition_count;
};

/* Address of a node named as leader. */
struct el_msg_fetch_node {
    int32_t node_id;      /* broker */
    struct el_slice host; /* name or address */
    int32_t port;         /* TCP port */
    struct el_slice rack; /* null for none */
};

/* The response. */
struct el_msg_fetch_response {
    int32_t throttle_time_ms;                    /* how long to stay away, ms */
    int16_t error_code;                          /* enum el_kafka_error */
    int32_t session_id;                          /* 0 for none */
    struct el_msg_fetch_topic_result *responses; /* [response_count] by topic */
    uint32_t response_count;
    struct el_msg_fetch_node *node_endpoints; /* [node_endpoint_count] tag; addresses of the leaders named */
    uint32_t node_endpoint_count;
};

extern const struct el_schema el_schema_fetch_replica_state;
extern const struct el_schema el_schema_fetch_partition;
extern const struct el_schema el_schema_fetch_topic;
extern const struct el_schema el_schema_fetch_forgotten_topic;
extern const struct el_schema el_schema_fetch_request;
extern const struct el_schema el_schema_fetch_diverging_epoch;
extern const struct el_schema el_schema_fetch_leader;
extern const struct el_schema el_schema_fetch_snapshot_id;
extern const struct el_schema el_schema_fetch_aborted_transaction;
extern const struct el_schema el_schema_fetch_partition_result;
extern const struct el_schema el_schema_fetch_topic_result;
extern const struct el_schema el_schema_fetch_node;
extern const struct el_schema el_schema_fetch_response;

#endif
