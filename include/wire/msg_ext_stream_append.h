/* SPDX-License-Identifier: Apache-2.0
 *
 * StreamAppend (key 0x4010, version 0): events for streams of one partition, all or nothing, each stream with the
 * version that it is expected to have. Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_STREAM_APPEND_H
#define EL_WIRE_MSG_EXT_STREAM_APPEND_H

#include <wire/schema.h>

/* Header of an event. */
struct el_msg_ext_stream_append_header {
    struct el_slice name;  /* bytes */
    struct el_slice value; /* bytes, null allowed */
};

/* One event. */
struct el_msg_ext_stream_append_event {
    struct el_slice id;                              /* ce_id; null for none: a retry is not known as such then */
    struct el_slice data;                            /* value, null allowed */
    struct el_slice type;                            /* ce_type, null for none */
    struct el_slice source;                          /* ce_source, null: one that names the topic */
    struct el_msg_ext_stream_append_header *headers; /* [header_count] besides those that the fields make */
    uint32_t header_count;
    int64_t time_ms;              /* of the event, since 1970; -1 now */
    struct el_slice content_type; /* of data, null for none */
};

/* Events of one stream. */
struct el_msg_ext_stream_append_append {
    struct el_slice key;
    struct el_msg_ext_stream_append_event *events; /* [event_count] at least one */
    uint32_t event_count;
    int64_t expected; /* version of its last event: >= 0; -1 none yet, -2 any, -4 at least one */
};

/* A condition on a stream that is not written to. */
struct el_msg_ext_stream_append_check {
    struct el_slice key;
    int64_t expected; /* as above */
};

/* The request. */
struct el_msg_ext_stream_append_request {
    struct el_slice topic;                         /* name, null when asked by id */
    struct el_msg_ext_stream_append_check *checks; /* [check_count] */
    uint32_t check_count;
    struct el_msg_ext_stream_append_append *appends; /* [append_count] at least one */
    uint32_t append_count;
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t partition;       /* -1: of the keys */
    int32_t timeout_ms;      /* longest wait for the answer; 0 and below: 30 s */
};

/* What one of appends has got, or had from the start when it is a duplicate. */
struct el_msg_ext_stream_append_result {
    int64_t offset;  /* of its last event */
    int64_t version; /* of its last event */
    bool duplicate;  /* its events were there already, by their ids */
    int64_t first_offset;
    int64_t first_version;
};

/* Why an append was refused: a stream that is not as expected. */
struct el_msg_ext_stream_append_conflict {
    struct el_slice key;
    bool check;                   /* index counts in checks, else in appends */
    int32_t event;                /* in the append, -1 not about one event */
    int32_t index;                /* from 0 */
    struct el_slice reason;       /* version, id or ended */
    bool deleted;                 /* the stream is deleted */
    int64_t expected;             /* as asked */
    struct el_slice current_type; /* of the stream's last event, null for none or unknown */
    int64_t current_offset;       /* of the stream's last event, -1 none */
    int64_t current_time_ms;      /* of the stream's last event, -1 none or unknown */
    int64_t current_version;      /* of the stream's last event, -1 none */
};

/* The response. */
struct el_msg_ext_stream_append_response {
    int16_t error;                                   /* enum el_kafka_error */
    struct el_slice message;                         /* text when error is set, else null */
    struct el_msg_ext_stream_append_result *results; /* [result_count] as appends; none with an error */
    uint32_t result_count;
    struct el_slice position;                            /* word of wire/position.h; null with an error */
    struct el_uuid topic_id;                             /* zero when the topic is not known */
    struct el_msg_ext_stream_append_conflict *conflicts; /* [conflict_count] all that were found */
    uint32_t conflict_count;
    int32_t partition;       /* -1 unknown */
    uint64_t append_time_ns; /* since 1970; 0 with an error, and when the broker does not say */
};

extern const struct el_schema el_schema_ext_stream_append_header;
extern const struct el_schema el_schema_ext_stream_append_event;
extern const struct el_schema el_schema_ext_stream_append_append;
extern const struct el_schema el_schema_ext_stream_append_check;
extern const struct el_schema el_schema_ext_stream_append_request;
extern const struct el_schema el_schema_ext_stream_append_result;
extern const struct el_schema el_schema_ext_stream_append_conflict;
extern const struct el_schema el_schema_ext_stream_append_response;

#endif
