/* SPDX-License-Identifier: Apache-2.0
 *
 * LogFetch (key 0x4000, version 0): Fetch's parameters; the answer adds what only evlog keeps with a batch: append
 * time, leader epoch and salt. Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_LOG_FETCH_H
#define EL_WIRE_MSG_EXT_LOG_FETCH_H

#include <wire/schema.h>

/* Where to read in one partition. */
struct el_msg_ext_log_fetch_partition {
    int32_t max_bytes;    /* most bytes of this partition, default INT32_MAX */
    int32_t partition;    /* index */
    int64_t fetch_offset; /* first offset wanted */
    int32_t leader_epoch; /* the asker's idea of it, -1 for no check */
};

/* Partitions wanted of one topic, by name or by id. */
struct el_msg_ext_log_fetch_topic {
    struct el_slice topic;                             /* name, null when asked by id */
    struct el_uuid topic_id;                           /* zero when asked by name */
    struct el_msg_ext_log_fetch_partition *partitions; /* [partition_count] */
    uint32_t partition_count;
};

/* The request. */
struct el_msg_ext_log_fetch_request {
    struct el_msg_ext_log_fetch_topic *topics; /* [topic_count] */
    uint32_t topic_count;
    int8_t isolation;    /* 0 uncommitted, 1 committed */
    int32_t max_bytes;   /* most bytes of batches in the answer, default EL_FETCH_LEN_MAX */
    int32_t min_bytes;   /* answer as soon as so much is there, default 1 */
    int32_t max_wait_ms; /* longest wait for min_bytes, ms, default 0 */
};

/* One stored batch. */
struct el_msg_ext_log_fetch_batch {
    struct el_uuid salt;     /* 16 random bytes drawn when the batch was admitted */
    struct el_slice batch;   /* one record batch, as stored */
    int32_t leader_epoch;    /* when it was appended */
    uint64_t append_time_ns; /* since 1970 */
};

/* Data of one partition. */
struct el_msg_ext_log_fetch_partition_result {
    int16_t error;                              /* enum el_kafka_error */
    struct el_msg_ext_log_fetch_batch *batches; /* [batch_count] ascending; the first one holds the fetch offset */
    uint32_t batch_count;
    int64_t log_start;      /* first offset of the log, -1 on error */
    int32_t partition;      /* index */
    int64_t high_watermark; /* first offset not yet visible, -1 on error */
};

/* Data of one topic. */
struct el_msg_ext_log_fetch_topic_result {
    struct el_slice topic;                                    /* name, null for an unknown id */
    struct el_uuid topic_id;                                  /* zero for an unknown name */
    struct el_msg_ext_log_fetch_partition_result *partitions; /* [partition_count] */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_ext_log_fetch_response {
    int16_t error;                                    /* enum el_kafka_error of the whole request */
    struct el_msg_ext_log_fetch_topic_result *topics; /* [topic_count] */
    uint32_t topic_count;
    struct el_slice message; /* text when error is set, else null */
};

extern const struct el_schema el_schema_ext_log_fetch_partition;
extern const struct el_schema el_schema_ext_log_fetch_topic;
extern const struct el_schema el_schema_ext_log_fetch_request;
extern const struct el_schema el_schema_ext_log_fetch_batch;
extern const struct el_schema el_schema_ext_log_fetch_partition_result;
extern const struct el_schema el_schema_ext_log_fetch_topic_result;
extern const struct el_schema el_schema_ext_log_fetch_response;

#endif
