/* SPDX-License-Identifier: Apache-2.0
 *
 * ArchiveStatus (key 0x4040, version 0): how far the archive reaches.
 * Body: one CBOR map; every field and its key: docs/protocol.md section 5.
 * Fill a message only after el_schema_init() or el_schema_new().
 */
#ifndef EL_WIRE_MSG_EXT_ARCHIVE_STATUS_H
#define EL_WIRE_MSG_EXT_ARCHIVE_STATUS_H

#include <wire/schema.h>

/* The request. */
struct el_msg_ext_archive_status_request {
    bool detail; /* without effect in this version */
};

/* The response. */
struct el_msg_ext_archive_status_response {
    struct el_slice url;        /* of the object store, null when there is no archive */
    int16_t error;              /* enum el_kafka_error */
    struct el_slice state;      /* "none", "begins", "works" or "stopped" */
    struct el_slice message;    /* text when error is set, why it has stopped, or the last error; else null */
    uint64_t objects;           /* live ones */
    uint64_t replaced;          /* those whose content is in others now */
    uint64_t root_ms;           /* when the last root was made, real time */
    uint64_t sequence;          /* of the last root, 0 none */
    uint64_t complete_ns;       /* every event appended at or before it is in the archive; 0 not yet */
    struct el_uuid incarnation; /* of the archive */
    uint64_t object_bytes;      /* of live objects */
    uint64_t pending_bytes;     /* about, that no root covers */
};

extern const struct el_schema el_schema_ext_archive_status_request;
extern const struct el_schema el_schema_ext_archive_status_response;

#endif
