/* SPDX-License-Identifier: Apache-2.0
 *
 * Cut (key 0x4001, version 0): the end offset of every partition as of one append time, exact and repeatable.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_CUT_H
#define EL_WIRE_MSG_EXT_CUT_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_cut_request {
    struct el_slice *topics; /* [topic_count] names, null for all topics */
    uint32_t topic_count;
    uint64_t time_ns; /* append time since 1970, 0 for now */
};

/* One partition at the cut. */
struct el_msg_ext_cut_partition {
    int64_t log_start;  /* first offset of the log */
    int32_t partition;  /* index */
    int64_t end_offset; /* one past the last record appended at or before the cut */
};

/* One topic at the cut. */
struct el_msg_ext_cut_topic {
    struct el_slice topic; /* name */
    struct el_uuid topic_id;
    struct el_msg_ext_cut_partition *partitions; /* [partition_count] */
    uint32_t partition_count;
};

/* The response. */
struct el_msg_ext_cut_response {
    int16_t error;                       /* enum el_kafka_error */
    struct el_msg_ext_cut_topic *topics; /* [topic_count] */
    uint32_t topic_count;
    struct el_slice message; /* text when error is set, else null */
    uint64_t time_ns;        /* the cut: that of the request, or the time chosen for 0 */
};

extern const struct el_schema el_schema_ext_cut_request;
extern const struct el_schema el_schema_ext_cut_partition;
extern const struct el_schema el_schema_ext_cut_topic;
extern const struct el_schema el_schema_ext_cut_response;

#endif
