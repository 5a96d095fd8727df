/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamList (key 0x4012, version 0): the streams of a partition by their keys, in byte order.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_STREAM_LIST_H
#define EL_WIRE_MSG_EXT_STREAM_LIST_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_stream_list_request {
    int32_t max;             /* most streams in the answer, default 1000 */
    struct el_slice after;   /* only keys above it; null: from the start */
    struct el_slice topic;   /* name, null when asked by id */
    struct el_slice prefix;  /* of the keys */
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t partition;       /* index */
    bool with_deleted;       /* those that are deleted as well */
};

/* One stream. */
struct el_msg_ext_stream_list_stream {
    struct el_slice key;
    bool ended;           /* deleted for good */
    bool deleted;         /* the last event deletes it */
    int64_t last_offset;  /* of its last event */
    int64_t last_version; /* of its last event: one less than it has had events */
};

/* The response. */
struct el_msg_ext_stream_list_response {
    bool more;                                     /* there are further ones: go on with after = the last key */
    int16_t error;                                 /* enum el_kafka_error */
    struct el_slice message;                       /* text when error is set, else null */
    struct el_msg_ext_stream_list_stream *streams; /* [stream_count] rising */
    uint32_t stream_count;
    struct el_uuid topic_id; /* zero when the topic is not known */
};

extern const struct el_schema el_schema_ext_stream_list_request;
extern const struct el_schema el_schema_ext_stream_list_stream;
extern const struct el_schema el_schema_ext_stream_list_response;

#endif
