/* SPDX-License-Identifier: Apache-2.0
 *
 * TypeRead (key 0x4014, version 0): events of one type in a partition, without reading the others.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_TYPE_READ_H
#define EL_WIRE_MSG_EXT_TYPE_READ_H

#include <wire/msg_ext_stream_read.h>

/* The request. */
struct el_msg_ext_type_read_request {
    int64_t from;            /* first offset wanted; -1: the first, or backward the last, that there is */
    struct el_slice type;    /* ce_type */
    struct el_slice topic;   /* name, null when asked by id */
    bool backward;           /* newest first */
    struct el_uuid topic_id; /* zero when asked by name */
    int32_t max_bytes;       /* most bytes of events in the answer, default 1 MiB; the first one is given whole */
    int32_t partition;       /* index */
    int32_t max_events;      /* default 1000 */
};

/* The response. */
struct el_msg_ext_type_read_response {
    bool more;                                   /* there are further ones now: go on with from = next */
    int64_t next;                                /* offset to go on with; backward at the first one: -1 */
    int16_t error;                               /* enum el_kafka_error */
    struct el_msg_ext_stream_read_event *events; /* [event_count] in the direction of reading */
    uint32_t event_count;
    struct el_slice message; /* text when error is set, else null */
    struct el_uuid topic_id; /* zero when the topic is not known */
    int64_t end_offset;      /* first offset that the answer knows nothing of, -1 with an error */
};

extern const struct el_schema el_schema_ext_type_read_request;
extern const struct el_schema el_schema_ext_type_read_response;

#endif
