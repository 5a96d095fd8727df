/* SPDX-License-Identifier: Apache-2.0
 *
 * FilterFetch (key 0x4015, version 0): LogFetch for one topic that gives only batches in which an event matches, and
 * says how far it has looked. Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_FILTER_FETCH_H
#define EL_WIRE_MSG_EXT_FILTER_FETCH_H

#include <wire/msg_ext_log_fetch.h>

#define EL_FILTER_TYPES_MAX 64u        /* types in one filter */
#define EL_FILTER_TEXT_MAX (32u << 10) /* bytes of all patterns of one filter */

/* Where to read in one partition. */
struct el_msg_ext_filter_fetch_partition {
    int64_t offset;       /* first offset wanted */
    bool version;         /* tell which version of the stream comes next; for a filter that is a key and no more */
    int32_t max_bytes;    /* most bytes of this partition, default INT32_MAX */
    int32_t partition;    /* index */
    int32_t leader_epoch; /* the asker's idea of it, -1 for no check */
};

/* The request. An event matches when all that is given is true of it. */
struct el_msg_ext_filter_fetch_request {
    struct el_slice key;    /* its key is this one; null: any */
    struct el_slice topic;  /* name, null when asked by id */
    struct el_slice *types; /* [type_count] its ce_type is one of them; none: any */
    uint32_t type_count;
    struct el_slice prefix;   /* its key begins so; null: any */
    struct el_slice *filters; /* [filter_count] one of these event patterns takes it; none: any */
    uint32_t filter_count;
    struct el_uuid topic_id;                              /* zero when asked by name */
    int32_t max_bytes;                                    /* most bytes of batches, default EL_FETCH_LEN_MAX */
    struct el_msg_ext_filter_fetch_partition *partitions; /* [partition_count] */
    uint32_t partition_count;
    int32_t max_wait_ms; /* longest wait for an event that matches, ms, default 0 */
};

/* What was found in one partition. */
struct el_msg_ext_filter_fetch_result {
    int64_t next;  /* offset to go on with: all that match below it are here; -1 on error */
    int16_t error; /* enum el_kafka_error */
    struct el_msg_ext_log_fetch_batch *batches; /* [batch_count] ascending */
    uint32_t batch_count;
    int64_t version;        /* of the first event of the key at or above the offset asked for, -1 unknown */
    int64_t log_start;      /* first offset of the log, -1 on error */
    int32_t partition;      /* index */
    int64_t high_watermark; /* first offset not yet visible, -1 on error */
};

/* The response. */
struct el_msg_ext_filter_fetch_response {
    int16_t error;                                     /* enum el_kafka_error of the whole request */
    struct el_slice topic;                             /* name, null for an unknown topic */
    struct el_slice message;                           /* text when error is set, else null */
    struct el_uuid topic_id;                           /* zero for an unknown topic */
    struct el_msg_ext_filter_fetch_result *partitions; /* [partition_count] as asked */
    uint32_t partition_count;
};

extern const struct el_schema el_schema_ext_filter_fetch_partition;
extern const struct el_schema el_schema_ext_filter_fetch_request;
extern const struct el_schema el_schema_ext_filter_fetch_result;
extern const struct el_schema el_schema_ext_filter_fetch_response;

#endif
