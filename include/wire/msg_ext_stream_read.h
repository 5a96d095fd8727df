/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamRead (key 0x4011, version 0): events of one stream, forward or backward.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_STREAM_READ_H
#define EL_WIRE_MSG_EXT_STREAM_READ_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_stream_read_request {
    int64_t to; /* last version wanted, in the direction of reading; -1: to the end */
    struct el_slice key;
    int64_t from;            /* first version wanted; -1: the first, or backward the last, that there is */
    struct el_slice topic;   /* name, null when asked by id */
    uint64_t as_of_ns;       /* append time since 1970: only events of this time or before; 0: all */
    bool backward;           /* newest first */
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t max_bytes;       /* most bytes of events in the answer, default 1 MiB; the first one is given whole */
    int32_t max_events;      /* default 1000; 0: only what the stream is at */
};

/* Header of an event. */
struct el_msg_ext_stream_read_header {
    struct el_slice name;  /* bytes */
    struct el_slice value; /* bytes, null allowed */
};

/* One event; also of TypeRead. */
struct el_msg_ext_stream_read_event {
    struct el_slice key;   /* null in StreamRead, whose asker knows it */
    struct el_slice value; /* null allowed */
    int64_t offset;
    struct el_msg_ext_stream_read_header *headers; /* [header_count] as stored */
    uint32_t header_count;
    int64_t time_ms;         /* record timestamp */
    int64_t version;         /* in its stream; -1 in TypeRead */
    int32_t leader_epoch;    /* when it was appended */
    uint64_t append_time_ns; /* since 1970 */
};

/* The response. */
struct el_msg_ext_stream_read_response {
    bool more;     /* there are further ones that were asked for: go on with from = next */
    int64_t next;  /* version to go on with; -1 none: backward, the first was given */
    bool ended;    /* the stream is deleted for good */
    int16_t error; /* enum el_kafka_error */
    struct el_msg_ext_stream_read_event *events; /* [event_count] in the direction of reading */
    uint32_t event_count;
    bool deleted;            /* the last event deletes the stream */
    struct el_slice message; /* text when error is set, else null */
    struct el_uuid topic_id; /* zero when the topic is not known */
    int32_t partition;       /* of the key, -1 when the topic is not known */
    int64_t end_offset;      /* first offset that the answer knows nothing of, -1 with an error */
    int64_t last_offset;     /* of the stream's last event, as of as_of_ns; -1 none */
    int64_t last_version;    /* of the stream's last event, as of as_of_ns; -1 none */
    int64_t first_version;   /* first one that can be read */
};

extern const struct el_schema el_schema_ext_stream_read_request;
extern const struct el_schema el_schema_ext_stream_read_header;
extern const struct el_schema el_schema_ext_stream_read_event;
extern const struct el_schema el_schema_ext_stream_read_response;

#endif
