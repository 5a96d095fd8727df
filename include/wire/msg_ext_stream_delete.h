/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamDelete (key 0x4013, version 0): hides the events of a stream, or ends it for good.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_STREAM_DELETE_H
#define EL_WIRE_MSG_EXT_STREAM_DELETE_H

#include <wire/msg_ext_stream_append.h>

/* The request. */
struct el_msg_ext_stream_delete_request {
    struct el_slice key;
    bool hard;               /* for good: nothing can be appended any more */
    struct el_slice topic;   /* name, null when asked by id */
    int64_t expected;        /* as in StreamAppend, default -2 any */
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t timeout_ms;      /* longest wait for the answer; 0 and below: 30 s */
};

/* The response. */
struct el_msg_ext_stream_delete_response {
    int16_t error;                                       /* enum el_kafka_error */
    int64_t offset;                                      /* of the event that deletes it, -1 with an error */
    struct el_slice message;                             /* text when error is set, else null */
    int64_t version;                                     /* of the event that deletes it, -1 with an error */
    struct el_slice position;                            /* word of wire/position.h; null with an error */
    struct el_uuid topic_id;                             /* zero when the topic is not known */
    struct el_msg_ext_stream_append_conflict *conflicts; /* [conflict_count] */
    uint32_t conflict_count;
    bool duplicate;    /* it was deleted already, and nothing was appended */
    int32_t partition; /* -1 unknown */
};

extern const struct el_schema el_schema_ext_stream_delete_request;
extern const struct el_schema el_schema_ext_stream_delete_response;

#endif
